"""The table of associations by trait: what of results/evaluation/associations.tsv the page shows."""

import csv
from pathlib import Path

from pseudocohort.cohort.dictionary import Dictionary
from pseudocohort.report.tables import label
from pseudocohort.report.words import t

FILE = "results/evaluation/associations.tsv"


def by_trait(path: str | Path | None, dictionary: Dictionary) -> dict:
    """spans (heading, columns under it), heads and rows (name, label, cells: numbers or None) of the columns shown;
    empty without the file.

    The file: `trait`, then columns `NAME [unit]`; NA for no number.
    """
    if path is None or not Path(path).exists():
        return {"spans": [], "heads": [], "rows": [], "file": FILE}
    with Path(path).open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    columns = {name.split(" [")[0]: name for name in rows[0]} if rows else {}
    spans, shown = [], []
    for quantity, kinds in _heads().items():
        there = [(head, next((c for c in names if c in columns), None)) for head, names in kinds]
        there = [(head, column) for head, column in there if column is not None]
        spans += [(quantity, len(there))] if there else []
        shown += there
    return {
        "spans": spans,
        "heads": [head for head, _ in shown],
        "file": FILE,
        "rows": [
            {"name": row["trait"], "label": label(row["trait"], dictionary),
             "cells": [_number(row[columns[key]]) for _, key in shown]}
            for row in rows
        ],
    }  # fmt: skip


def _heads() -> dict[str, list[tuple[str, list[str]]]]:
    """Quantity -> (cohort, columns of which the first that is there is shown), in the page's order."""
    cohorts = (("real", t("real")), ("synthetic", t("pseudo")), ("holdout", t("holdout")))
    found = {}
    for column, quantity in {"n": t("people"), "lambda_gc": t("λ GC"), "h2": t("h² (Haseman-Elston)")}.items():
        found[quantity] = [(head, [f"{column}_{cohort}"]) for cohort, head in cohorts]
    hits = [(head, [f"hits_{cohort}"]) for cohort, head in cohorts]
    hits[1] = (t("pseudo"), ["hits_synthetic_scaled", "hits_synthetic"])
    found[t("hits")] = [*hits, (t("false"), ["false_hits_synthetic"])]
    found[t("PRS R²")] = [(t("real"), ["prs_r2_real"]), (t("pseudo"), ["prs_r2_synthetic"])]
    return found


def _number(text: str) -> float | int | None:
    if text in ("", "NA"):
        return None
    value = float(text)
    return int(value) if value.is_integer() else value
