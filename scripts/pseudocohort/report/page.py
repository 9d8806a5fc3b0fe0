"""The report: one self-contained HTML page of aggregates that opens without a network."""

import json
from pathlib import Path

import jinja2
import yaml
from markupsafe import Markup

from pseudocohort.cohort.dictionary import Dictionary, read_dictionary
from pseudocohort.files import atomic
from pseudocohort.measures.catalogue import goal_text, name_of, note_of
from pseudocohort.report import disclosures, pictures, provenance, tables, uses, words
from pseudocohort.report.associations import by_trait
from pseudocohort.report.tables import interval_of
from pseudocohort.report.words import t

HERE = Path(__file__).parent
SYMBOLS = {"within": "✔", "unclear": "?", "beyond": "✘", "not measurable": "∅", "stated": "–", "never kept": "✘"}
WITHHELD = ("seed",)  # configuration keys that are not shown


def verdict_words() -> dict[str, str]:
    """Verdict -> what people read."""
    return {
        "within": t("meets its goal"),
        "unclear": t("unclear (interval reaches the goal)"),
        "beyond": t("misses its goal"),
        "not measurable": t("not measurable"),
        "stated": t("stated"),
        "never kept": t("never kept"),
    }


def group_names() -> dict[str, str]:
    """Group of measures -> heading, in the page's order."""
    return {
        "genomes": t("Genomes"),
        "scores": t("Scores"),
        "items": t("Items"),
        "item groups": t("Items by group"),
        "association": t("Associations"),
        "copies": t("Copies"),
        "disclosure": t("Disclosure"),
    }


def write_page(output: str | Path, *, figures: str | Path, captions: str | Path, summary: str | Path,
               import_report: str | Path, weights: str | Path, dictionary: str | Path, run_config: str | Path,
               models: str | Path | None = None, model: str | Path | None = None,
               associations: str | Path | None = None, benchmarks: str | Path = "logs/benchmarks",
               evidence: str | Path = "results/disclosure", language: str = "en") -> None:  # fmt: skip
    """Write the report from the results of a run; every argument but the language is a path.

    figures: directory of the SVG files and of manhattan/ (one a trait).  captions: directory of the .rst files.
    summary, import_report, weights, models: JSON.  model: directory of the trained model, whose search.tsv tells how
    it was found, and whose privacy.json is there if it was trained with differential privacy.  run_config: YAML with
    `config` and `versions`.  associations: table by trait.  benchmarks, evidence: directories of what rules took and
    of the results of attacks, told as they lie there at this moment.
    A figure whose file is not there is left out.
    """
    run = yaml.safe_load(Path(run_config).read_text(encoding="utf-8"))
    goals = run["config"].get("goals", {})
    private = None if model is None else Path(model) / "privacy.json"
    what = read_dictionary(dictionary)
    with words.language(language):
        found = {
            "figures": pictures.by_section(Path(figures), Path(captions)),
            "pictures_by_trait": pictures.by_trait(Path(figures) / "manhattan"),
            "traits": by_trait(associations, what),
            "compared": tables.compared({} if models is None else _json(models), goals),
            "trained": tables.trained(model),
            "privacy": tables.privacy(_json(private) if private is not None and private.exists() else None),
            "timings": provenance.timings(benchmarks),
            "disclosure": disclosures.disclosed(evidence, goals),
        }
        page = render(_json(summary), _json(import_report), _json(weights), what, run, **found)
    with atomic(output) as part:
        part.write_text(page, encoding="utf-8")


def render(summary: dict, import_report: dict, weights: dict, dictionary: Dictionary, run: dict, **found) -> str:
    """The page's HTML in the current language. found: what `write_page` names."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)  # fmt: skip
    environment.filters |= {"number": tables.number, "interval": tables.interval}
    environment.globals |= {"t": t, "h": lambda text: Markup(t(text)), "told": words.told, "lang": words.current()}
    config, people = run["config"], import_report.get("people", {})
    lines = _told(summary["metrics"], dictionary)
    found |= {"disclosure": disclosures.section(found["disclosure"])}
    found |= {"trait_names": _labels(found["pictures_by_trait"], dictionary)}
    return environment.get_template("page.html.j2").render(
        metrics=lines, headline=[m for m in lines if m["headline"]], groups=summary["groups"], names=group_names(),
        uses=_uses(summary["uses"]), symbols=SYMBOLS, words=verdict_words(), lights=uses.verdict_words(),
        people=tables.flat(people, few=True),
        items=tables.flat(tables.without_lists(import_report.get("items", {})), few=True),
        chromosomes=tables.chromosomes(import_report.get("chromosomes", [])),
        founders=people.get("parts", {}).get("train"), weights=tables.weights(weights, dictionary),
        scoring_files=weights.get("scoring_files", []), left_out=weights.get("left_out", []), dictionary=dictionary,
        config=tables.flat({k: v for k, v in config.items() if k not in WITHHELD}), versions=run["versions"],
        chroms=[str(c) for c in config["chromosomes"]], example=tables.example(dictionary), run=config,
        covariates=tables.covariates(people.get("sex", {}), dictionary), by_group=tables.by_group(lines),
        model=config.get("model", "cvae"), **found,
    )  # fmt: skip


def _told(lines: list[dict], dictionary: Dictionary) -> list[dict]:
    """Judged lines with subject, name, note and goal in the current language."""
    lang, told = words.current(), []
    for line in lines:
        line = line | {"subject": None if line["subject"] is None else _subject(line["subject"], dictionary)}
        names = {"metric": name_of(line, lang), "note": note_of(line, lang), "goal": goal_text(line["criterion"], lang)}
        told.append(line | names | {"of": interval_of(line["key"])})
    return told


def _subject(name: str, dictionary: Dictionary) -> str:
    """What people read for an item, a group of items or anything else that a line is about."""
    return tables.label(name, dictionary) if name in dictionary else words.told(name)


def _uses(found: list[dict]) -> list[dict]:
    """Uses with name, sentence, and names of the measures that fall short, in the current language."""
    lang, told = words.current(), uses.texts()
    return [
        use | {"name": told[use["use"]][lang], "text": told[use["use"]]["text"][lang],
               "short": uses.measure_names(use["falls_short"])}
        for use in found
    ]  # fmt: skip


def _labels(by_trait: list[dict], dictionary: Dictionary) -> dict[str, str]:
    """Name of the trait -> what people read, of the traits that have a figure."""
    return {trait["name"]: tables.label(trait["name"], dictionary) for trait in by_trait}


def _json(path: str | Path) -> dict:
    return json.loads(Path(path).read_text(encoding="utf-8"))
