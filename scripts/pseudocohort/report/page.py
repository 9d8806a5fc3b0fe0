"""The report: one self-contained HTML page of aggregates that opens without a network."""

import base64
import json
from pathlib import Path

import jinja2
import yaml

from pseudocohort.cohort.dictionary import Dictionary, read_dictionary
from pseudocohort.evaluation.metrics import MINIMUM_PEOPLE, load_metrics
from pseudocohort.files import atomic
from pseudocohort.report import EMPTY

TEMPLATE = Path(__file__).with_name("page.html.j2")
SYMBOLS = {"within": "✔", "beyond": "✘", "stated": "–"}
WORDS = {"within": "meets its goal", "beyond": "misses its goal", "stated": "stated"}
GROUPS = {
    "genomes": "Genomes",
    "items": "Items",
    "item groups": "Items by group",
    "scores": "Scores",
    "association": "Associations",
    "copies": "Copies",
}
MODELS = {
    "cvae": "conditional variational autoencoder",
    "cart": "sequential regression trees (CART)",
    "marginal": "items drawn one by one",
}
METHODS = {
    "cvae": "by a neural network from polygenic scores",
    "cart": "by regression trees from polygenic scores",
    "marginal": "drawn one by one, without the scores",
}
COMPARED = {  # columns of the comparison of models: key of evaluation.items.GOALS, heading
    "c2st": "C2ST (AUC)",
    "transfer": "TSTR/TRTR",
    "partial_correlation": "partial correlation R",
    "correlation": "correlation R",
    "correlation_slope": "correlation slope",
    "marginal": "marginal R",
    "score_link": "score link R",
    "score_slope": "score slope",
}
SETTINGS = {"hidden": "hidden units", "depth": "depth", "latent": "latent size", "learning_rate": "learning rate"}
WITHHELD = ("seed",)  # configuration keys that are not shown

# Name of the figure, section, title, alternative text. Captions are those of workflow/report/.
FIGURES = (
    ("af_scatter", "genomes", "Allele frequencies",
     "Two density plots of allele frequencies against the founders' frequencies, pseudo people and real holdout."),
    ("sfs", "genomes", "Site frequency spectrum",
     "Bar chart of the number of sites by copies of the rarer allele in founders, holdout and pseudo people."),
    ("ld_decay", "genomes", "Decay of linkage disequilibrium",
     "Line chart of mean r squared by genetic distance in founders, holdout and pseudo people."),
    ("pca", "genomes", "Ancestry",
     "Two plots of the first two principal axes: density of real people by stratum, and pseudo people as points."),
    ("score_distribution", "scores", "Polygenic scores",
     "Histograms of polygenic scores of founders, pseudo people and holdout, one panel a trait."),
    ("score_deciles", "scores", "Items by decile of their score",
     "Line charts of the mean of an item by decile of its polygenic score in founders, pseudo people and holdout."),
    ("marginals", "items", "Distributions of the items",
     "Histograms and bar charts of every item in founders, pseudo people and the independent baseline."),
    ("correlation_heatmaps", "items", "Correlations of the items",
     "Heat maps of the correlations of items in founders, pseudo people and baseline, and the difference."),
    ("correlation_pairs", "items", "Correlations, pair by pair",
     "Scatter plots of the correlation of every pair of items in founders against pseudo people, baseline, holdout."),
    ("learning_curve", "items", "Training of the phenotype network",
     "Line charts of the loss and of the latent information by epoch of training."),
    ("search", "items", "Search for the network's settings",
     "Scatter plots of the loss on held-out families of every trial against each setting, the chosen one marked."),
    ("manhattan", "association", "Associations along the genome",
     "Mirrored Manhattan plots of three traits, founders above, pseudo people below."),
    ("qq", "association", "Quantiles of the p-values",
     "Quantile-quantile plots of minus log p-values of six traits, founders and pseudo people, with a null band."),
    ("beta_beta", "association", "Effects at the real hits",
     "Scatter plots of effects at the founders' hits against effects in pseudo people and in the holdout."),
    ("lambda_gc", "association", "Inflation by trait",
     "Dot chart of the genomic control factor of every trait in founders and pseudo people."),
)  # fmt: skip


def write_page(output: str | Path, *, figures: str | Path, captions: str | Path, summary: str | Path,
               import_report: str | Path, weights: str | Path, dictionary: str | Path, run_config: str | Path,
               models: str | Path | None = None, model: str | Path | None = None) -> None:  # fmt: skip
    """Write the report from the results of a run; every argument is a path.

    figures: directory of the SVG files and of manhattan/ (one a trait).  captions: directory of the .rst files.
    summary, import_report, weights, models: JSON.  model: directory of the trained model, whose search.tsv tells how
    it was found, and whose privacy.json is there if it was trained with differential privacy.  run_config: YAML with
    `config` and `versions`.
    A figure whose file is not there is left out.
    """
    what = read_dictionary(dictionary)
    run = yaml.safe_load(Path(run_config).read_text(encoding="utf-8"))
    pictures, by_trait = _figures(Path(figures), Path(captions)), _by_trait(Path(figures) / "manhattan")
    given = {"compared": _compared({} if models is None else _json(models)), "trained": _trained(model),
             "privacy": _privacy(model)}  # fmt: skip
    page = render(load_metrics([summary]), pictures, by_trait, _json(import_report), _json(weights), what, run, **given)
    with atomic(output) as part:
        part.write_text(page, encoding="utf-8")


def render(metrics: list[dict], figures: dict[str, list[dict]], by_trait: list[dict], import_report: dict,
           weights: dict, dictionary: Dictionary, run: dict, compared: dict | None = None, trained: str = "",
           privacy: dict | None = None) -> str:  # fmt: skip
    """The page's HTML. figures: by section, dicts name, title, alt, caption, source; by_trait: name, source.

    compared: see `_compared`; trained: a sentence about the training; privacy: results/model/privacy.json.
    """
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True,
                                     undefined=jinja2.StrictUndefined)  # fmt: skip
    environment.filters |= {"number": number, "interval": interval}
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    config = run["config"]
    return template.render(
        metrics=metrics, headline=[m for m in metrics if m["headline"]], groups=_verdicts(metrics), names=GROUPS,
        symbols=SYMBOLS, words=WORDS, figures=figures, by_trait=by_trait,
        people=_flat(import_report.get("people", {}), few=True),
        items=_flat(_without_lists(import_report.get("items", {})), few=True),
        chromosomes=_chromosomes(import_report.get("chromosomes", [])),
        founders=import_report.get("people", {}).get("parts", {}).get("train"),
        weights=_weights(weights, dictionary), scoring_files=weights.get("scoring_files", []),
        left_out=weights.get("left_out", []), dictionary=dictionary,
        config=_flat({k: v for k, v in config.items() if k not in WITHHELD}), versions=run["versions"],
        chroms=[str(c) for c in config["chromosomes"]], example=_example(dictionary), run=config,
        covariates=_covariates(import_report.get("people", {}).get("sex", {}), dictionary),
        compared=compared, trained=trained, privacy=privacy,
        method=METHODS[config.get("model", "cvae")], by_group=_by_group(metrics),
    )  # fmt: skip


def number(value: float | int | str | None) -> str:
    """Three significant digits, whole numbers whole, a dash for nothing, texts as they are."""
    if value is None:
        return "–"
    if isinstance(value, str | bool):
        return str(value)
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".") if abs(value) >= 1e-4 else f"{value:.2g}"


def interval(values: list | None) -> str:
    """`low to high`, or nothing."""
    return f"{number(values[0])} to {number(values[1])}" if values and None not in values else ""


def _compared(report: dict) -> dict | None:
    """Table of the comparison of models: heads, rows (name, remarks, cells), note, calibration.

    A cell is value, interval, verdict; calibration: a sentence.
    """
    models = report.get("models", {})
    if len(models) < 2:
        return None
    keys = [key for key in COMPARED if any(key in goals for goals in models.values())]
    rows = []
    for name, goals in models.items():
        cells = [goals.get(key) for key in keys]
        remarks = ["configured"] * (name == report.get("chosen"))
        calibrated = report.get("calibrated", {}).get(name, False)
        if report.get("private", {}).get(name, False):
            remarks.append("differentially private, " + ("calibrated" if calibrated else "not calibrated"))
        rows.append({"name": MODELS.get(name, name), "remarks": remarks, "cells": [
            {"value": None} if c is None else {"value": c["value"] if c["ratio"] is None else c["ratio"],
             "interval": c["interval"], "verdict": c["verdict"]} for c in cells]})  # fmt: skip
    goals = next(iter(models.values()))
    heads = [{"name": COMPARED[key], "goal": goals.get(key, {}).get("goal", "").split(",")[0]} for key in keys]
    as_good = [MODELS.get(name, name) for name in report.get("as_good", [])]
    return {"heads": heads, "rows": rows, "note": report.get("note", ""), "as_good": as_good,
            "calibration": _calibration(report)}  # fmt: skip


def _calibration(report: dict) -> str:
    """One sentence on which models are calibrated to the moments of the people trained on."""
    flags = report.get("calibrated", {})
    done = [MODELS.get(name, name) for name, yes in flags.items() if yes]
    rest = [MODELS.get(name, name) for name, yes in flags.items() if not yes]
    if not done:
        return "No model is calibrated." if rest else ""
    told = f"Calibrated to the moments of the people trained on: {', '.join(done)}"
    return told + (f"; not calibrated: {', '.join(rest)}." if rest else ".")


def _by_group(metrics: list[dict]) -> list[dict]:
    """A row a group of items: name and ratios of distributions, correlations within, and with other groups."""
    rows: dict[str, dict] = {}
    for line in (m for m in metrics if m["group"] == "item groups"):
        name, what = line["metric"].rsplit(": ", 1)
        key = {"correlations within": "within", "correlations with other groups": "others"}.get(what, "distribution")
        rows.setdefault(name, {"name": name, "within": None, "others": None, "distribution": None})[key] = line["ratio"]
    return list(rows.values())


def _trained(model: str | Path | None) -> str:
    """One sentence on the search, from search.tsv."""
    path = None if model is None else Path(model) / "search.tsv"
    if path is None or not path.exists():
        return ""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    trials = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    best = next((t for t in trials if t.get("chosen") == "1"), trials[0] if len(trials) == 1 else {})
    shown = [f"{name} {float(best[key]):g}" for key, name in SETTINGS.items() if key in best]
    sentence = f"{len(trials)} trial{'s' if len(trials) != 1 else ''} of settings."
    if shown:
        sentence += f" Chosen: {', '.join(shown)}."
    if best.get("best_epoch") == "0":
        sentence += " No epoch of training was better on the families left out than the start, which was kept."
    return sentence


def _privacy(model: str | Path | None) -> dict | None:
    """What privacy.json of the trained model says; None without."""
    path = None if model is None else Path(model) / "privacy.json"
    return _json(path) if path is not None and path.exists() else None


def _verdicts(metrics: list[dict]) -> list[dict]:
    """Per group: goals met and goals set."""
    lines = []
    for group, name in GROUPS.items():
        verdicts = [m["verdict"] for m in metrics if m["group"] == group]
        met, missed = verdicts.count("within"), verdicts.count("beyond")
        if met + missed:
            lines.append({"name": name, "key": group, "met": met, "set": met + missed,
                          "verdict": "beyond" if missed else "within"})  # fmt: skip
    return lines


def _figures(folder: Path, captions: Path) -> dict[str, list[dict]]:
    sections: dict[str, list[dict]] = {}
    for name, section, title, alt in FIGURES:
        path, caption = folder / f"{name}.svg", captions / f"{name}.rst"
        if path.exists() and f"<dc:title>{EMPTY}<" not in path.read_text(encoding="utf-8"):
            text = " ".join(caption.read_text(encoding="utf-8").split()) if caption.exists() else ""
            sections.setdefault(section, []).append(
                {"name": name, "title": title, "alt": alt, "caption": text, "source": _embedded(path)})  # fmt: skip
    return sections


def _by_trait(folder: Path) -> list[dict]:
    return [{"name": path.stem.split("-", 1)[-1], "source": _embedded(path)} for path in sorted(folder.glob("*.svg"))]


def _embedded(path: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()


def _json(path: str | Path) -> dict:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _flat(tree: dict, prefix: str = "", few: bool = False) -> list[tuple[str, object]]:
    """Rows (key, value) of nested dictionaries; lists as text.

    few: counts of 1 to 4 are told as "< 5", so that no row stands for a single person.
    """
    rows: list[tuple[str, object]] = []
    for key, value in tree.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, dict):
            rows += _flat(value, f"{name}: ", few)
        elif few and isinstance(value, int) and not isinstance(value, bool) and 0 < value < MINIMUM_PEOPLE:
            rows.append((name, f"< {MINIMUM_PEOPLE}"))
        else:
            rows.append((name, ", ".join(map(str, value)) or "none" if isinstance(value, list) else value))
    return rows


def _without_lists(report: dict) -> dict:
    """Counts that are told for the table as a whole; those by item stand in the figures."""
    return {k: v for k, v in report.items() if not isinstance(v, dict) or len(v) <= 6}


def _chromosomes(reports: list[dict]) -> list[dict]:
    return [
        {"chromosome": r.get("chromosome"), "read": r.get("sites_read"), "kept": r.get("sites_kept"),
         "snvs": r.get("snvs"), "indels": r.get("indels"), "split": r.get("multiallelic_sites_split"),
         "dropped": ", ".join(f"{k.replace('_', ' ')} {v:,}" for k, v in r.get("dropped", {}).items()) or "none",
         "cm": r.get("map", {}).get("length_cm")}
        for r in reports
    ]  # fmt: skip


def _weights(report: dict, dictionary: Dictionary) -> list[dict]:
    """A row a trait; what a method does not report is None."""
    shown = ("trait", "method", "scale", "n", "cases", "hits", "h2", "h2_se", "crossfit_r2", "crossfit_auc", "note")
    rows = []
    for entry in report.get("traits", []):
        name = entry["trait"]
        label = (dictionary[name].label or name) if name in dictionary else name
        files = [f["score"] for f in report.get("scoring_files", []) if f["trait"] == name]
        rows.append({k: entry.get(k) for k in shown} | {"label": label, "files": ", ".join(files)})
    return rows


def _example(dictionary: Dictionary) -> str:
    """A trait for the commands that show how to begin."""
    return next((i.name for i in dictionary.items if i.trait and i.type == "continuous"),
                dictionary.traits[0] if dictionary.traits else "")  # fmt: skip


def _covariates(sex: dict[str, int], dictionary: Dictionary) -> list[str]:
    """Which of age and sex the pseudo people have: sex, numbers of real people by sex."""
    known = {"age": dictionary.age is not None, "sex": min(sex.get("male", 0), sex.get("female", 0)) > 0}
    return [name for name, there in known.items() if there]
