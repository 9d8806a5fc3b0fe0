"""The gate: is the evidence complete, and does it meet the goals that the owner of the data has set?

It answers `evidence complete` or `evidence incomplete`; whether the data may be shown is for people to decide.
"""

import datetime
import json
import math
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.cohort.digests import people_digest
from pseudocohort.measures.catalogue import catalogue, goal_of, goal_text, judged
from pseudocohort.measures.line import content_digest, measure
from pseudocohort.release import scan
from pseudocohort.release.files import is_plain, sha256
from pseudocohort.release.levels import above_level

EVALUATED = ("genomes", "relatedness", "items", "associations", "prs", "heritability")
DISCLOSED = ("genomes", "items", "joint")
SUMMARY = "evaluation/summary.json"
EVIDENCE = (SUMMARY, *(f"evaluation/{n}.json" for n in EVALUATED), *(f"disclosure/{n}.json" for n in DISCLOSED))
JUDGED = ("disclosure", "copies")  # groups whose goals the gate asks for; the others tell what the data are good for
# What the evidence must tell, by file of disclosure, and each attack named there with its controls.
REQUIRED = {
    "genomes": (
        "genome_membership",
        "genome_true_positives_1",
        "relative_membership",
        "relative_true_positives_1",
    ),
    "items": ("item_membership", "item_true_positives_1", "anonymeter_risk"),
    "joint": ("haplotype_attribute",),
}
# Attacks that need controls where they are made: there is no network of every model, shadow models are made on request.
OPTIONAL = {"items": ("model_membership", "shadow_membership")}
# What disclosure/genomes.json must tell besides, of no single attack.
COPIED = ("copied_windows", "near_copies", "few_families")
# Of these the whole 95 % interval must meet the goal, not the value alone. Not of the others: Anonymeter's risk is sure
# to within 1.96 sqrt(2 s / (1 - s) / attacks), s the success on people not trained on, so that a common answer (s = .8)
# would ask for 12,000 people in the holdout; copies are counts, or if all is well as many as among real people.
SURE = (
    "item_membership",
    "item_true_positives_1",
    "genome_membership",
    "genome_true_positives_1",
    "relative_membership",
    "relative_true_positives_1",
    "shadow_membership",
)
# Measures whose goal the configuration may loosen, but not take away or set of another quantity.
BOUND = tuple(dict.fromkeys((*(key for keys in REQUIRED.values() for key in keys), *COPIED, *SURE)))
ATTACKED = (".pgen", "phenotypes.parquet")  # files of a release that the attacks must have read
LINE = frozenset(measure("", None))  # keys of a line
DATASHEET = ("purpose", "population", "terms", "contact", "responsible", "expires")


class Check(NamedTuple):
    """key: of checks.yaml; short: what is missing or falls short, one text each, and nothing of a single person."""

    key: str
    short: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.short


class Evidence(NamedTuple):
    """found: content by path under results, of those that are there and are JSON; missing, broken: paths."""

    found: dict[str, dict]
    missing: tuple[str, ...]
    broken: tuple[str, ...]


def read_evidence(results: str | Path) -> Evidence:
    """All of EVIDENCE; a link instead of a file counts as missing."""
    found, missing, broken = {}, [], []
    for name in EVIDENCE:
        path = Path(results) / name
        if not is_plain(path, Path(results)):
            missing.append(name)
            continue
        content = _read(path)
        if content is not None and _is_formed(content):
            found[name] = content
        else:
            broken.append(name)
    return Evidence(found, tuple(missing), tuple(broken))


def _read(path: Path) -> dict | None:
    """A mapping of JSON; None where the file holds none, or holds NaN or infinity, which are no JSON."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _no_number(name: str):
    raise ValueError(name)


def _is_formed(content: dict) -> bool:
    """Has a file of evidence, as far as it tells anything, the form that the checks read?"""
    controls, lines = content.get("controls", {}), content.get("metrics", [])
    return (
        all(isinstance(content.get(key, {}), dict) for key in ("people", "parts", "files", "controls"))
        and all(isinstance(told, dict) for control in controls.values() for told in (control, *_inner(control)))
        and all(isinstance(total, str) for total in content.get("files", {}).values())
        and isinstance(lines, list)
        and all(_is_line(line) for line in lines)
    )


def _inner(control) -> Iterable:
    return control.values() if isinstance(control, dict) else ()


def _is_line(line) -> bool:
    """Is it a measure's line, as `measures.line.measure` makes it?"""
    if not isinstance(line, dict) or not LINE.issubset(line):
        return False
    interval, numbers = line["interval"], [line[key] for key in ("value", "floor", "ratio", "z", "baseline")]
    if interval is not None:
        if not (isinstance(interval, list) and len(interval) == 2 and None not in interval):
            return False
        numbers += interval
    texts = all(line[key] is None or isinstance(line[key], str) for key in ("subject", "reason"))
    if (
        not texts
        or not all(isinstance(n, int | float | None) for n in numbers)
        or not isinstance(line["details"], dict)
    ):
        return False
    try:
        judged([line])
    except (KeyError, ValueError, TypeError):  # a key of no measure, or details that its note cannot tell
        return False
    return True


def check_evidence(evidence: Evidence, people: pd.DataFrame, goals: dict) -> list[Check]:
    """Is it there, unchanged, of these people, with working controls, within the goals? goals: the configuration's."""
    found = evidence.found
    changed = [name for name, content in found.items() if content.get("digest") != content_digest(content)]
    parts = found.get(SUMMARY, {}).get("parts", {})
    torn = [n for n, c in found.items() if n != SUMMARY and parts.get(n) != c.get("digest")]
    now = people_digest(people)
    stale = [name for name, content in found.items() if content.get("people", {}).get("digest") != now]
    return [
        Check("evidence_there", evidence.missing),
        Check("evidence_intact", tuple(dict.fromkeys([*evidence.broken, *changed, *torn]))),
        Check("evidence_current", tuple(f"{name}: other people" for name in stale)),
        Check("controls", tuple(_controls(found))),
        Check("goals", tuple(_goals(found, goals))),
    ]


def _controls(found: dict[str, dict]) -> Iterable[str]:
    """Attacks that are missing, or whose controls did not both pass, by file."""
    for part, keys in REQUIRED.items():
        name = f"disclosure/{part}.json"
        lines, controls = found.get(name, {}).get("metrics") or [], found.get(name, {}).get("controls") or {}
        for key in (*keys, *OPTIONAL.get(part, ())):
            told = [line["subject"] for line in lines if line["key"] == key]
            if not told and key in keys:
                yield f"{name}: nothing is told of {key}"
            yield from (f"{name}: {attack}: no controls" for attack in told if attack not in controls)
        for attack, control in controls.items():
            for kind in ("planted", "null"):
                told = control.get(kind, {})
                if told.get("passed", False) is None:
                    needed = told.get("needed")
                    more = "" if needed is None else f"; {needed} are needed"
                    yield f"{name}: {attack}: too few to judge the {kind} control{more}"
                elif told.get("passed") is not True:
                    yield f"{name}: {attack}: {kind} control"
        if not controls:
            yield f"{name}: no controls"
    if "disclosure/genomes.json" in found:
        told = {line["key"] for line in found["disclosure/genomes.json"].get("metrics") or []}
        yield from (f"disclosure/genomes.json: nothing is told of {key}" for key in COPIED if key not in told)


def _goals(found: dict[str, dict], goals: dict) -> Iterable[str]:
    """Judged measures that do not meet their goal: the value must, and of SURE the whole interval.

    What is BOUND must have a goal: the configuration may loosen one, and the papers tell, but not remove it, leave it
    without an upper bound, or set it of something else than the catalogue does.
    """
    for key in BOUND:
        goal = goal_of(key, goals)
        if goal is None:
            yield f"{key}: its goal was removed"
        elif goal["at_most"] is None or not math.isfinite(goal["at_most"]):
            yield f"{key}: its goal has no upper bound (at_most)"
        elif goal["of"] != (of := goal_of(key)["of"]):
            yield f"{key}: its goal is one of {goal['of']}, not of {of}"
    for name, content in found.items():
        if name == SUMMARY:
            continue
        for line in judged(content.get("metrics") or [], goals):
            short = line["verdict"] if line["verdict"] not in ("stated", "within") else _unsure(line)
            if line["group"] in JUDGED and short:
                number = line["value"] if line["ratio"] is None else line["ratio"]
                told = "no number" if number is None else f"{number:.3g}"
                yield f"{line['metric']}: {told} ({short}; goal {line['goal']})"


def _unsure(line: dict) -> str:
    """Of a line of SURE that meets its goal: what is wrong with its interval, and how many non-members would do."""
    if line["verdict"] != "within" or line["key"] not in SURE or (line["decided"] and line["interval"]):
        return ""
    if line["interval"] is None:
        return "within, but without an interval"
    (low, high), most, now = line["interval"], line["criterion"]["at_most"], line["details"].get("nonmembers")
    told = f"within, but its 95 % interval, {low:.3g} to {high:.3g}, reaches beyond"
    if now is None or most is None or line["value"] >= most:
        return told
    needed = round(now * ((high - line["value"]) / (most - line["value"])) ** 2)  # its width falls as 1 / sqrt(n)
    near = needed > 100 * now  # so near the goal that no number of people tells
    return told if near else f"{told}: {now} non-members, about {needed} would do if the value stays"


def _has_bound(goal: dict | None) -> bool:
    """Does a goal of the configuration ask for anything, or leave the written one as it is (an empty one)?"""
    return goal is not None and (not goal or any(goal.get(bound) is not None for bound in ("at_least", "at_most")))


def changed_goals(goals: dict) -> list[str]:
    """Goals of disclosure and copies that the configuration has set otherwise, in words."""
    told = []
    for key in goals:
        if catalogue()[key]["group"] in JUDGED:
            written, chosen = (goal_text(goal_of(key, given), "en") or "none" for given in ({}, goals))
            told.append(f"{key}: {chosen} (written: {written})")
    return told


def _about(found: dict[str, dict], sums: dict[str, str]) -> Iterable[str]:
    """Files of a release that no attack is about, or of which the attacks have seen other bytes.

    sums: SHA-256 by path under results of the genotypes and items.
    """
    seen: dict[str, set[str]] = {}
    for name in (f"disclosure/{part}.json" for part in DISCLOSED):
        for path, total in (found.get(name, {}).get("files") or {}).items():
            seen.setdefault(path, set()).add(total)
    for path, total in sums.items():
        if path not in seen:
            yield f"{path}: no attack is about it"
        elif seen[path] != {total}:
            yield f"{path}: the attacks have seen another"


def check_people(
    people: pd.DataFrame, withdrawn: set[str], pseudo: Iterable[list[str]], seed_is_known: bool
) -> list[Check]:
    """pseudo: ids of the pseudo people, file by file.  seed_is_known: the configuration names it."""
    real = set(people["person"].astype(str))
    short = []
    if kept := len(real & withdrawn):
        short.append(f"{'fewer than 5' if kept < 5 else kept} withdrawn people are in the cohort")
    columns = [list(map(str, ids)) for ids in pseudo]
    if any(not real.isdisjoint(ids) for ids in columns):
        short.append("ids of real people among the pseudo people")
    if any(len(set(ids)) < len(ids) for ids in columns):
        short.append("doubled ids of pseudo people")
    if any(ids != columns[0] for ids in columns):
        short.append("files of the pseudo people name other people, or in another order")
    known = ("the configuration names the seed",) if seed_is_known else ()
    return [Check("people", tuple(short)), Check("seed", known)]


def check_datasheet(release: dict) -> Check:
    """release: the configuration's `release`."""
    short = [f"release.{key}" for key in DATASHEET if not str(release.get(key) or "").strip()]
    try:
        if datetime.date.fromisoformat(str(release.get("expires") or "")) <= datetime.date.today():
            short.append("release.expires: the day is past")
    except ValueError:
        short.append("release.expires: a day as YYYY-MM-DD")
    return Check("datasheet", tuple(short))


def check_files(
    files: dict[str, Path], results: str | Path, made: dict[str, str], words: scan.Words, machine: scan.Machine
) -> tuple[list[Check], dict[str, str]]:
    """Checks of the files of a release (name -> path), and their SHA-256 by name.

    made: SHA-256 by path under results, as the audit has them: what was made and then changed is stale.
    """
    root = Path(results)
    missing = [name for name, path in files.items() if not is_plain(path, root)]
    there = {name: path for name, path in files.items() if name not in missing}
    sums = {name: sha256(path) for name, path in there.items()}
    known = {name: made.get(path.relative_to(root).as_posix()) for name, path in there.items()}
    changed = [name for name, total in sums.items() if known[name] != total]
    found = [f"{name}: {what}" for name, path in there.items() for what in _traces(path, words, machine)]
    checks = [
        Check("files", tuple(missing)),
        Check("evidence_current", tuple(f"{name}: changed since it was made" for name in changed)),
        Check("traces", tuple(found)),
    ]
    return checks, sums


def _traces(path: Path, words: scan.Words, machine: scan.Machine) -> list[str]:
    try:
        return scan.traces(path, words, machine)
    except (OSError, EOFError, ValueError, TypeError, KeyError, RuntimeError, zlib.error) as error:
        return [f"cannot be looked through ({type(error).__name__})"]


def merged(checks: list[Check]) -> list[Check]:
    """One check a key, in the order of first appearance."""
    found: dict[str, tuple[str, ...]] = {}
    for check in checks:
        found[check.key] = (*found.get(check.key, ()), *check.short)
    return [Check(key, short) for key, short in found.items()]


def answer(checks: list[Check], sums: dict[str, str], release: dict) -> dict:
    """What gate.json holds: `complete`, checks, files with their checksums, and the words of the configuration."""
    return {
        "schema_version": 1,
        "complete": all(check.passed for check in checks),
        "checks": [{"check": c.key, "passed": c.passed, "short": list(c.short)} for c in checks],
        "files": sums,
        "release": {key: str(release.get(key) or "") for key in ("title", "level", "genotypes_level", *DATASHEET)},
    }


def ask(
    results: str | Path,
    files: dict[str, Path],
    people: pd.DataFrame,
    withdrawn: set[str],
    named: set[str],
    config: dict,
) -> dict:
    """The gate's answer on a run's results: see `answer`.

    files: path in the release -> file.  named: ids of everybody whom the inputs name, see `sought.real_ids`.  config:
    goals, release, whether the seed is known (seed_is_known), and the `paths` of the inputs.
    """
    root = Path(results)
    made = _read(root / "audit.json") or {}
    artefacts, audited = made.get("artefacts"), made.get("people")
    checks, sums = check_files(
        files,
        root,
        {n: e.get("sha256") for n, e in artefacts.items() if isinstance(e, dict)}
        if isinstance(artefacts, dict)
        else {},
        scan.words_of({*people["person"].astype(str), *withdrawn, *named}),
        scan.this_machine(inputs=config["paths"]),
    )
    evidence = read_evidence(root)
    read = {
        path.relative_to(root).as_posix(): sums[n] for n, path in files.items() if n.endswith(ATTACKED) and n in sums
    }
    checks.append(Check("evidence_current", tuple(_about(evidence.found, read))))
    digest = audited.get("digest") if isinstance(audited, dict) else None
    if made.get("digest") != content_digest(made) or digest != people_digest(people):
        checks.append(Check("evidence_current", ("audit.json: other people, or changed since it was written",)))
    dictionary = read_dictionary(root / "real/dictionary.tsv")
    goals = {key: goal if _has_bound(goal) else None for key, goal in config["goals"].items()}
    pseudo, unread = _pseudo_ids({name: files[name] for name in sums})
    found = [
        *check_evidence(evidence, people, goals),
        *check_people(people, withdrawn, pseudo, config["seed_is_known"]),
        Check("people", tuple(f"{name}: the ids of its people cannot be read" for name in unread)),
        Check("levels", tuple(above_level(dictionary, {name: files[name] for name in sums}, config["release"]))),
        check_datasheet(config["release"]),
        *checks,
    ]
    return answer(merged(found), sums, config["release"]) | {"changed_goals": changed_goals(goals)}


def _pseudo_ids(files: dict[str, Path]) -> tuple[list[list[str]], list[str]]:
    """Ids of the pseudo people in every table and .psam of those files, and the names of those that have none."""
    found, unread = [], []
    for name, path in files.items():
        try:
            if name in ("phenotypes.parquet", "scores.parquet"):
                column = pd.read_parquet(path, columns=["person"])["person"]
            elif name.endswith(".psam"):
                column = pd.read_csv(path, sep="\t", dtype=str)["#IID"]
            else:
                continue
            found.append(column.astype(str).tolist())
        except (OSError, ValueError, KeyError):
            unread.append(name)
    return found, unread
