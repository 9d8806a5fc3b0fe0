"""The page's section on disclosure: attacks with their controls, what is exposed, and what was not looked at."""

import json
from pathlib import Path

from pseudocohort.measures.catalogue import catalogue, judged, name_of, note_of
from pseudocohort.report.uses import undecided
from pseudocohort.report.words import current, t, told

# Tables of attacks: heading, columns (heading, key of the measure; the first is judged), what controls are told by.
TABLES = {
    "genomes": ("Attacks on genomes", {"founders: AUC": "genome_membership", "at 1 % false": "genome_true_positives_1",
                "children: AUC": "relative_membership"}, "auc"),
    "items": ("Attacks on items", {"AUC": "item_membership", "at 1 % false": "item_true_positives_1"}, "auc"),
    "risks": ("Singling out, linking and guessing items (Anonymeter)", {"risk": "anonymeter_risk"}, "risk"),
    "unusual": ("The most unusual people, by shadow models", {"AUC": "shadow_membership"}, "auc"),
}  # fmt: skip
# Told in the table of all measures alone.
BELOW = tuple(f"{kind}_true_positives_{rate}" for kind in ("genome", "relative", "item") for rate in ("1", "01"))
GAPS = (  # what is not covered, in words.ja.yaml, too
    "Attacks other than these, and attackers who know more: other relatives of a target, the pedigree, the seed.",
    "Sex chromosomes and mitochondrial DNA: the attacks read the autosomes.",
    "More than 10,000 others and 200,000 sites a chromosome: beyond these a part is read.",
    "People unlike the holdout: the non-members and the reference panel are of the same cohort as the founders.",
    "What scores tell of items, and what is learnt of a group as a whole: that is what the data are made for.",
)


def disclosed(folder: str | Path, goals: dict) -> dict:
    """What results/disclosure/*.json hold: files (names); lines, judged, of measures that the catalogue knows; and
    controls by attack."""
    files = sorted(Path(folder).glob("*.json"))
    contents = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    lines = [line for content in contents for line in content.get("metrics", []) if line.get("key") in catalogue()]
    controls = {k: v for content in contents for k, v in content.get("controls", {}).items()}
    return {"files": [path.name for path in files], "lines": judged(lines, goals), "controls": controls}


def section(found: dict) -> dict:
    """What the page shows of `disclosed`, in the current language: attacks (tables of heading, heads and rows), exposed
    (lines), gaps (sentences)."""
    tables = [_table(found, *TABLES[name]) for name in TABLES]
    keys = {key for _, columns, _ in TABLES.values() for key in columns.values()} | set(BELOW)
    lang = current()
    exposed = [
        line | {"metric": name_of(_spoken(line), lang), "note": note_of(line, lang)}
        for line in found["lines"]
        if line["key"] not in keys
    ]
    gaps = [t(gap) for gap in GAPS] if found["lines"] else []
    return {"files": found["files"], "attacks": [x for x in tables if x["rows"]], "exposed": exposed, "gaps": gaps}


def _spoken(line: dict) -> dict:
    return line | {"subject": None if line["subject"] is None else told(line["subject"])}


def _table(found: dict, heading: str, columns: dict[str, str], what: str) -> dict:
    first, *_ = columns.values()
    by_key = {(line["key"], line["subject"]): line for line in found["lines"]}
    rows = []
    for line in (x for x in found["lines"] if x["key"] == first):
        cells = [by_key.get((key, line["subject"]), {}) for key in columns.values()]
        control = found["controls"].get(line["subject"], {})
        rows.append(
            {
                "name": told(line["subject"] or ""),
                "cells": [{"value": c.get("value"), "interval": c.get("interval")} for c in cells],
                "controls": [
                    {"value": control.get(kind, {}).get(what), "passed": control.get(kind, {}).get("passed")}
                    for kind in ("planted", "null")
                ],
                "verdict": line["verdict"],
                "undecided": undecided(line),
                "note": note_of(line, current()) if line["reason"] else "",
            }
        )
    return {"name": t(heading), "heads": [t(head) for head in columns], "rows": rows}
