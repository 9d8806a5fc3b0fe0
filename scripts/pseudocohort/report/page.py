"""The report: one self-contained HTML page of aggregates that opens without a network."""

import base64
import json
from pathlib import Path

import jinja2
import yaml

from pseudocohort.cohort.dictionary import Dictionary, read_dictionary
from pseudocohort.evaluation.metrics import MINIMUM_PEOPLE, load_metrics
from pseudocohort.files import atomic

TEMPLATE = Path(__file__).with_name("page.html.j2")
SYMBOLS = {"within": "✔", "beyond": "✘", "stated": "–"}
WORDS = {"within": "meets its goal", "beyond": "misses its goal", "stated": "stated"}
GROUPS = {"genomes": "Genomes", "items": "Items", "scores": "Scores", "association": "Associations", "copies": "Copies"}
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
               import_report: str | Path, weights: str | Path, dictionary: str | Path,
               run_config: str | Path) -> None:  # fmt: skip
    """Write the report from the results of a run; every argument is a path.

    figures: directory of the SVG files and of manhattan/ (one a trait).  captions: directory of the .rst files.
    summary, import_report, weights: JSON.  run_config: YAML with `config` and `versions`.
    A figure whose file is not there is left out.
    """
    what = read_dictionary(dictionary)
    run = yaml.safe_load(Path(run_config).read_text(encoding="utf-8"))
    pictures, by_trait = _figures(Path(figures), Path(captions)), _by_trait(Path(figures) / "manhattan")
    page = render(load_metrics([summary]), pictures, by_trait, _json(import_report), _json(weights), what, run)
    with atomic(output) as part:
        part.write_text(page, encoding="utf-8")


def render(metrics: list[dict], figures: dict[str, list[dict]], by_trait: list[dict], import_report: dict,
           weights: dict, dictionary: Dictionary, run: dict) -> str:  # fmt: skip
    """The page's HTML. figures: by section, dicts name, title, alt, caption, source; by_trait: name, source."""
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
        if path.exists():
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
