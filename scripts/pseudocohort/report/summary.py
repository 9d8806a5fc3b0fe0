"""results/evaluation/summary.json: every measure with its verdict, the verdict of every group, and what follows of it.

Here alone the goals of the configuration are applied, so that other goals rerun nothing that was measured.
workflow/schemas/summary.schema.json describes the file.
"""

import json
from pathlib import Path

from pseudocohort.measures.catalogue import GROUPS, catalogue, goal_of, judged
from pseudocohort.measures.line import content_digest, save_evidence
from pseudocohort.report.uses import ORDER, together, undecided, uses

SCHEMA_VERSION = 1


def write_summary(output: str | Path, paths: dict[str, str | Path], goals: dict[str, dict | None]) -> dict:
    """Judge the lines of the files (path under results -> path), write and return the summary."""
    found = {part: json.loads(Path(path).read_text(encoding="utf-8")) for part, path in paths.items()}
    summary = summarised(found, goals)
    save_evidence(output, summary)
    return summary


def summarised(parts: dict[str, dict], goals: dict[str, dict | None]) -> dict:
    """The summary of the parts' contents, {part: {"metrics": lines, "digest": of the content}}."""
    place = {key: i for i, key in enumerate(catalogue())}
    lines = judged([line for part in parts.values() for line in part["metrics"]], goals)
    lines.sort(key=lambda line: (GROUPS.index(line["group"]), place[line["key"]]))
    missing = absent(lines, goals)
    return {
        "schema_version": SCHEMA_VERSION,
        "parts": {name: part.get("digest") or content_digest(part) for name, part in parts.items()},
        "people": _people(parts),
        "metrics": lines,
        "groups": groups([*lines, *missing]),
        "uses": uses([*lines, *missing]),
        "absent": [line["key"] for line in missing],
    }


def _people(parts: dict[str, dict]) -> dict:
    """The people that all parts were made from; nothing where they do not agree."""
    named = [part.get("people", {}) for part in parts.values()]
    return named[0] if named and all(other == named[0] for other in named) else {}


def groups(lines: list[dict]) -> list[dict]:
    """Per group that has goals: verdict, how many lines have which, and of how many within the interval reaches beyond
    the goal (undecided).

    A group of which most could not be judged is not measurable, unless something judged misses its goal or may."""
    found = []
    for group in GROUPS:
        verdicts = [line["verdict"] for line in lines if line["group"] == group]
        if set(verdicts) - {"stated"}:
            counted = {name.replace(" ", "_"): verdicts.count(name) for name in (*reversed(ORDER), "not measurable")}
            counted["undecided"] = sum(line["group"] == group and undecided(line) for line in lines)
            found.append({"group": group, "verdict": together(verdicts)} | counted)
    return found


def absent(lines: list[dict], goals: dict[str, dict | None]) -> list[dict]:
    """key, group and verdict of what has a goal in the catalogue and no line, in groups that have lines: something
    that no module told is not measurable, as if it had been told without a number."""
    told, seen = ({line[name] for line in lines} for name in ("key", "group"))
    return [
        {"key": key, "group": entry["group"], "verdict": "not measurable", "decided": None}
        for key, entry in catalogue().items()
        if key not in told and entry["group"] in seen and goal_of(key, goals) is not None
    ]


def shortfalls(summary: dict) -> list[str]:
    """What the terminal is told: a line for each measure that misses its goal or may, and what could not be judged."""
    counted = {v: [m for m in summary["metrics"] if m["verdict"] == v] for v in (*ORDER, "not measurable")}
    told = [
        f"{sum(len(counted[v]) for v in ORDER)} measures judged: {len(counted['within'])} meet their goals, "
        f"{len(counted['unclear'])} are unclear, {len(counted['beyond'])} fall short"
    ]
    for verdict, words in (("beyond", "falls short"), ("unclear", "unclear")):
        told += [f"{words}: {line['metric']}: {_shown(line)}" for line in counted[verdict]]
    if blank := counted["not measurable"]:
        reasons = sorted({line["reason"] or "no number" for line in blank})
        told.append(f"not measurable: {len(blank)} ({'; '.join(reasons)})")
    if summary["absent"]:
        told.append(f"not measured in this run: {', '.join(summary['absent'])}")
    return told


def _shown(line: dict) -> str:
    """The judged number with its interval and goal."""
    of = line["criterion"]["of"]
    number = line["value"] - line["floor"] if of == "gap" else line[of]
    text = {"ratio": "R ", "z": "z ", "gap": "floor "}.get(of, "") + format(number, "+.3g" if of == "gap" else ".3g")
    if line["interval"] is not None and of in ("value", "ratio"):
        text += f" ({line['interval'][0]:.3g} to {line['interval'][1]:.3g})"
    return f"{text}, goal {line['goal']}"
