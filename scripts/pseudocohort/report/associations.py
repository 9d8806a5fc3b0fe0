"""The table of associations by trait: what of results/evaluation/associations.tsv the page shows."""

import csv
from pathlib import Path

from pseudocohort.cohort.dictionary import Dictionary
from pseudocohort.report.tables import label
from pseudocohort.report.words import t

FILE = "results/evaluation/associations.tsv"


def by_trait(path: str | Path | None, dictionary: Dictionary) -> dict:
    """heads and rows (name, label, cells: numbers or None) of the columns shown; empty without the file.

    The file: `trait`, then columns `NAME [unit]`; NA for no number.
    """
    if path is None or not Path(path).exists():
        return {"heads": [], "rows": [], "file": FILE}
    with Path(path).open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    columns = {name.split(" [")[0]: name for name in rows[0]} if rows else {}
    shown = {key: head for key, head in _heads().items() if key in columns}
    return {
        "heads": list(shown.values()),
        "file": FILE,
        "rows": [
            {"name": row["trait"], "label": label(row["trait"], dictionary),
             "cells": [_number(row[columns[key]]) for key in shown]}
            for row in rows
        ],
    }  # fmt: skip


def _heads() -> dict[str, str]:
    """Column -> heading, in the page's order."""
    found, quantities = (
        {},
        {"n": t("people"), "lambda_gc": t("λ GC"), "hits": t("hits"), "h2": t("h² (Haseman-Elston)")},
    )
    for column, quantity in quantities.items():
        found[f"{column}_real"] = t("{quantity}, real").format(quantity=quantity)
        found[f"{column}_synthetic"] = t("{quantity}, pseudo").format(quantity=quantity)
        found[f"{column}_holdout"] = t("{quantity}, holdout").format(quantity=quantity)
    found["false_hits_synthetic"] = t("false hits")
    found["prs_r2_real"] = t("{quantity}, real").format(quantity=t("PRS R²"))
    found["prs_r2_synthetic"] = t("{quantity}, pseudo").format(quantity=t("PRS R²"))
    return found


def _number(text: str) -> float | int | None:
    if text in ("", "NA"):
        return None
    value = float(text)
    return int(value) if value.is_integer() else value
