"""Tables of the page, as rows that the template writes."""

import math
import re
from pathlib import Path

from markupsafe import Markup, escape

from pseudocohort.cohort.dictionary import Dictionary
from pseudocohort.evaluation.metrics import MINIMUM_PEOPLE
from pseudocohort.measures.catalogue import catalogue, goal_of, goal_text, interval_of, judged
from pseudocohort.report.words import current, t, told

SETTINGS = {"hidden": "hidden units", "depth": "depth", "latent": "latent size", "learning_rate": "learning rate"}
COMPARED = {  # columns of the comparison of models: key of the measure, heading
    "c2st": "C2ST (AUC)",
    "transfer": "TSTR/TRTR",
    "partial_correlation": "partial correlation R",
    "correlation": "correlation R",
    "correlation_slope": "correlation slope",
    "marginal": "marginal R",
    "score_link": "score link R",
    "score_slope": "score slope",
}


def model_name(kind: str) -> str:
    """A model of the items in words."""
    names = {
        "cvae": t("conditional variational autoencoder"),
        "cart": t("sequential regression trees (CART)"),
        "marginal": t("items drawn one by one"),
    }
    return names.get(kind, kind)


def number(value: float | int | str | None) -> str:
    """Three significant digits, whole numbers whole, a dash for nothing, texts as they are."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, str | bool):
        return str(value)
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".") if abs(value) >= 1e-4 else f"{value:.2g}"


def rounded(value: float | int | str | None) -> str:
    """As `number`, but what is next to nothing is told by three decimals: shares, ratios, distances."""
    if isinstance(value, float) and value != 0 and abs(value) < 5e-4:
        return f"{abs(value):.3f}"
    return number(value)


def coded(text: str) -> Markup:
    """A text with `what stands in backticks` as code."""
    parts = re.split(r"`([^`]+)`", text)
    return Markup("").join(Markup("<code>{}</code>").format(x) if i % 2 else escape(x) for i, x in enumerate(parts))


def interval(values: list | None) -> str:
    """`low to high`, or nothing."""
    if not values or None in values:
        return ""
    return t("{low} to {high}").format(low=rounded(values[0]), high=rounded(values[1]))


def flat(
    tree: dict, prefix: str = "", few: bool = False, dictionary: Dictionary | None = None
) -> list[tuple[str, object]]:
    """Rows (key, value) of nested dictionaries; lists as text.

    few: the report of the import: keys in words, items by their labels in the dictionary, and counts of 1 to 4 told as
    "< 5", so that no row stands for a single person. Otherwise keys as the configuration has them, joined by points.
    """
    rows: list[tuple[str, object]] = []
    for key, value in tree.items():
        name = prefix + (named(key, dictionary) if few else key)
        if isinstance(value, dict):
            rows += flat(value, name + (t(": ") if few else "."), few, dictionary)
        elif few and isinstance(value, int) and not isinstance(value, bool) and 0 < value < MINIMUM_PEOPLE:
            rows.append((name, f"< {MINIMUM_PEOPLE}"))
        else:
            rows.append((name, ", ".join(map(str, value)) or t("none") if isinstance(value, list) else value))
    return rows


def named(key: str, dictionary: Dictionary | None) -> str:
    """An item's label, or a key in words."""
    known = dictionary is not None and key in dictionary
    return label(key, dictionary) if known else t(key.replace("_", " "))


def without_lists(report: dict) -> dict:
    """Counts that are told for the table as a whole; those by item stand in the figures."""
    return {k: v for k, v in report.items() if not isinstance(v, dict) or len(v) <= 6}


def chromosomes(reports: list[dict]) -> list[dict]:
    """A row a chromosome of the import."""
    return [
        {"chromosome": r.get("chromosome"), "read": r.get("sites_read"), "kept": r.get("sites_kept"),
         "snvs": r.get("snvs"), "indels": r.get("indels"), "split": r.get("multiallelic_sites_split"),
         "dropped": ", ".join(f"{t(k.replace('_', ' '))} {v:,}" for k, v in r.get("dropped", {}).items()) or t("none"),
         "cm": r.get("map", {}).get("length_cm")}
        for r in reports
    ]  # fmt: skip


def weights(report: dict, dictionary: Dictionary) -> list[dict]:
    """A row a trait; what a method does not report is None."""
    shown = ("trait", "method", "n", "cases", "hits", "h2", "h2_se", "crossfit_r2", "crossfit_auc")
    rows = []
    for entry in report.get("traits", []):
        name = entry["trait"]
        files = [f["score"] for f in report.get("scoring_files", []) if f["trait"] == name]
        notes = [told(entry[key]) for key in ("scale", "note") if entry.get(key)]
        more = {"label": label(name, dictionary), "files": ", ".join(files), "notes": notes}
        rows.append({k: entry.get(k) for k in shown} | more)
    return rows


def label(name: str, dictionary: Dictionary) -> str:
    """What people read for an item, in the current language where the dictionary has it."""
    if name not in dictionary:
        return name
    item = dictionary[name]
    return (item.label_ja if current() == "ja" else "") or item.label or name


def labelled(details: dict, dictionary: Dictionary) -> dict:
    """Details of a line with items and categories by what people read for them."""
    told = {k: label(v, dictionary) if isinstance(v, str) else v for k, v in details.items()}
    if isinstance(item := details.get("item"), str) and isinstance(category := details.get("category"), str):
        told["category"] = category_label(item, category, dictionary)
    return told


def category_label(item: str, category: str, dictionary: Dictionary) -> str:
    """What people read for a category of an item."""
    found = {}
    if item in dictionary:
        found = dict(zip(dictionary[item].categories, dictionary[item].category_labels, strict=False))
    return t(found.get(category) or category)


def compared(report: dict, goals: dict) -> dict | None:
    """Table of the comparison of models: heads, rows (name, remarks, cells), note, calibration.

    report: results/evaluation/models.json.  A cell is value, interval, verdict; calibration: a sentence.
    """
    models = report.get("models", {})
    if len(models) < 2:
        return None
    keys = [key for key in COMPARED if any(key in lines for lines in models.values())]
    rows = []
    for name, lines in models.items():
        remarks = [t("configured")] * (name == report.get("chosen"))
        if report.get("private", {}).get(name, False):
            calibrated = report.get("calibrated", {}).get(name, False)
            remarks.append(t("differentially private, calibrated") if calibrated
                           else t("differentially private, not calibrated"))  # fmt: skip
        cells = [_cell(lines[key], goals) if key in lines else {"value": None} for key in keys]
        rows.append({"name": model_name(name), "remarks": remarks, "cells": cells})
    heads = [{"name": t(COMPARED[key]), "goal": goal_text(goal_of(key, goals), current())} for key in keys]
    return {"heads": heads, "rows": rows, "note": _note(report), "calibration": _calibration(report),
            "as_good": [model_name(name) for name in report.get("as_good", [])]}  # fmt: skip


def _note(report: dict) -> str:
    """The sentences on other models, each in the current language."""
    sentences = [told(sentence) for sentence in re.split(r"(?<=\.) (?=[A-Z])", report.get("note", ""))]
    return re.sub(r" ?[(（](cvae|cart|marginal)[)）]", "", t(" ").join(sentences))


def _cell(line: dict, goals: dict) -> dict:
    """value, interval and verdict of one measure of one model."""
    line = judged([line], goals)[0]
    return {
        "value": line["ratio" if interval_of(line["key"]) == "ratio" else "value"],
        "interval": line["interval"],
        "verdict": line["verdict"],
    }


def _calibration(report: dict) -> str:
    """One sentence on which models are calibrated to the moments of the people trained on."""
    flags = report.get("calibrated", {})
    done, rest = (t(", ").join(model_name(name) for name in flags if flags[name] == want) for want in (True, False))
    if not done:
        return t("No model is calibrated.") if rest else ""
    if not rest:
        return t("Calibrated to the moments of the people trained on: {done}.").format(done=done)
    text = t("Calibrated to the moments of the people trained on: {done}; not calibrated: {rest}.")
    return text.format(done=done, rest=rest)


def by_group(lines: list[dict]) -> dict:
    """Groups of items in rows, the measures of single groups in columns: heads, rows (name, cells: numbers)."""
    about = [line for line in lines if line["group"] == "item groups" and line["subject"]]
    keys = list(dict.fromkeys(line["key"] for line in about))
    names, found = dict.fromkeys(line["subject"] for line in about), {}
    for line in about:
        found[line["subject"], line["key"]] = line["value"] if line["ratio"] is None else line["ratio"]
    heads = [catalogue()[key][current()].format(subject="").strip(" :：、,の") for key in keys]
    return {"heads": heads, "rows": [{"name": n, "cells": [found.get((n, key)) for key in keys]} for n in names]}


def trained(model: str | Path | None) -> str:
    """One sentence on the search, from search.tsv of the trained model's directory."""
    path = None if model is None else Path(model) / "search.tsv"
    if path is None or not path.exists():
        return ""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    trials = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    best = next((trial for trial in trials if trial.get("chosen") == "1"), trials[0] if len(trials) == 1 else {})
    shown = [f"{t(name)} {float(best[key]):g}" for key, name in SETTINGS.items() if key in best]
    told = [t("1 trial of settings.") if len(trials) == 1 else t("{n} trials of settings.").format(n=len(trials))]
    if shown:
        told.append(t("Chosen: {settings}.").format(settings=t(", ").join(shown)))
    if best.get("best_epoch") == "0":
        told.append(t("No epoch of training was better on the families left out than the start, which was kept."))
    return t(" ").join(told)


def privacy(statement: dict | None) -> dict | None:
    """results/model/privacy.json with its sentences in the current language."""
    if statement is None:
        return None
    lists = {key: [told(line) for line in statement[key]] for key in ("covers", "does_not_cover", "warnings")}
    return statement | lists | {key: told(statement[key]) for key in ("unit", "accountant")}


def example(dictionary: Dictionary) -> str:
    """A trait for the commands that show how to begin."""
    return next((i.name for i in dictionary.items if i.trait and i.type == "continuous"),
                dictionary.traits[0] if dictionary.traits else "")  # fmt: skip


def covariates(sex: dict[str, int], dictionary: Dictionary) -> list[str]:
    """Which of age and sex the pseudo people have: sex, numbers of real people by sex."""
    known = {"age": dictionary.age is not None, "sex": min(sex.get("male", 0), sex.get("female", 0)) > 0}
    return [name for name, there in known.items() if there]
