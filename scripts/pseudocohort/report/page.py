"""The report: one self-contained HTML page of aggregates that opens without a network."""

import json
import re
from pathlib import Path

import jinja2
import yaml
from markupsafe import Markup

from pseudocohort.cohort.dictionary import Dictionary, read_dictionary
from pseudocohort.files import atomic
from pseudocohort.measures.catalogue import goal_text, interval_of, is_theory, name_of, note_of
from pseudocohort.report import disclosures, pictures, provenance, tables, uses, words
from pseudocohort.report.associations import by_trait
from pseudocohort.report.words import t

HERE = Path(__file__).parent
SYMBOLS = {"within": "✔", "unclear": "?", "beyond": "✘", "not measurable": "∅", "stated": "–", "never kept": "✘",
           "undecided": "?"}  # fmt: skip
JOINED = {"item groups": "items"}  # groups that the first screen tells as one
MOST = 3  # measures named on a light
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


def verdict_word(line: dict) -> str:
    """The verdict of a judged line as people read it: against what, and whether the interval is with it."""
    against_theory = {"within": t("meets theory"), "unclear": t("unclear (interval reaches theory)"),
                      "beyond": t("off theory")}  # fmt: skip
    word = (verdict_words() | (against_theory if is_theory(line["key"]) else {}))[line["verdict"]]
    return word + (t(" (interval reaches beyond)") if uses.undecided(line) else "")


def group_names() -> dict[str, str]:
    """Group of measures -> heading, in the page's order."""
    return {
        "genomes": t("Genomes"),
        "scores": t("Scores"),
        "items": t("Items"),
        "item groups": t("Items by group"),
        "association": t("Associations"),
        "copies": t("No copies of real people"),
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
    environment.filters |= {name: getattr(tables, name) for name in ("number", "rounded", "interval", "coded")}
    environment.globals |= {"t": t, "h": lambda text: Markup(t(text)), "told": words.told, "lang": words.current()}
    config, people = run["config"], import_report.get("people", {})
    lines = _told(summary["metrics"], dictionary)
    by_key = {line["key"]: line for line in lines if line["subject"] is None}
    found |= {"disclosure": disclosures.section(found["disclosure"])}
    found |= {"trait_names": _labels(found["pictures_by_trait"], dictionary)}
    return environment.get_template("page.html.j2").render(
        metrics=lines, headline=[m for m in lines if m["headline"]], lights=_lights(summary["groups"], lines),
        names=group_names(), by_key=by_key, uses=_uses(summary["uses"], by_key), symbols=SYMBOLS, words=verdict_words(),
        together=uses.verdict_words(),
        people=tables.flat(people, few=True, dictionary=dictionary),
        items=tables.flat(tables.without_lists(import_report.get("items", {})), few=True, dictionary=dictionary),
        chromosomes=tables.chromosomes(import_report.get("chromosomes", [])),
        founders=people.get("parts", {}).get("train"), weights=tables.weights(weights, dictionary),
        scoring_files=_labelled(weights, "scoring_files", dictionary),
        left_out=_labelled(weights, "left_out", dictionary), dictionary=dictionary,
        config=tables.flat({k: v for k, v in config.items() if k not in WITHHELD}), versions=run["versions"],
        chroms=[str(c) for c in config["chromosomes"]], example=tables.example(dictionary), run=config,
        covariates=tables.covariates(people.get("sex", {}), dictionary), by_group=tables.by_group(lines),
        model=config.get("model", "cvae"), **found,
    )  # fmt: skip


def _told(lines: list[dict], dictionary: Dictionary) -> list[dict]:
    """Judged lines with subject, name, note, goal and verdict (`word`) in the current language."""
    lang, told = words.current(), []
    for line in lines:
        subject = None if line["subject"] is None else _subject(line["subject"], dictionary)
        line = line | {"details": tables.labelled(line["details"], dictionary), "subject": subject}
        names = {"metric": name_of(line, lang), "note": note_of(line, lang), "goal": goal_text(line["criterion"], lang)}
        told.append(line | names | {"of": interval_of(line["key"]), "word": verdict_word(line)})
    return told


def _lights(groups: list[dict], lines: list[dict]) -> list[dict]:
    """What the first screen tells of the groups, some of them as one: verdict, counts, and the names of what misses
    its goal or may (`beyond`, `unclear`), at most MOST of each."""
    found = {}
    for group in groups:
        name = JOINED.get(group["group"], group["group"])
        found.setdefault(name, []).append(group)
    told = []
    for name, parts in found.items():
        counts = {key: sum(part[key] for part in parts) for key in parts[0] if key not in ("group", "verdict")}
        verdict = uses.together(part["verdict"] for part in parts)
        about = [line for line in lines if line["group"] in [part["group"] for part in parts]]
        named = {
            f"{v}_names": _some([m["metric"] for m in about if m["verdict"] == v], 1) for v in ("beyond", "unclear")
        }
        told.append({"group": name, "verdict": verdict} | counts | named)
    return told


def _some(names: list[str], most: int = MOST) -> str:
    """The first `most` of some names, without what stands in brackets, and how many more there are."""
    plain = [re.sub(r" *[(（][^()（）]*[)）]", "", name) for name in names]
    told = t("; ").join(plain[:most])
    return told + t(" and {n} more").format(n=len(names) - most) if len(names) > most else told


def _subject(name: str, dictionary: Dictionary) -> str:
    """What people read for an item, a group of items or anything else that a line is about."""
    return tables.label(name, dictionary) if name in dictionary else words.told(name)


def _uses(found: list[dict], by_key: dict[str, dict]) -> list[dict]:
    """Uses with name, sentence, and names of the measures that fall short or are open, in the current language."""
    lang, told = words.current(), []
    for use in found:
        entry = uses.texts()[use["use"]]
        text, count = entry["text"][lang], entry.get("count", {})
        details = by_key.get(count.get("of"), {}).get("details", {})
        if count and all(details.get(field) is not None for field in count["fields"]):
            text += t(" ") + count[lang].format(**details)
        names = {"short": "falls_short", "unclear_names": "unclear", "undecided_names": "undecided"}
        more = {name: _some(uses.measure_names(use[keys])) for name, keys in names.items()}
        told.append(use | more | {"name": entry[lang], "text": text})
    return told


def _labelled(report: dict, part: str, dictionary: Dictionary) -> list[dict]:
    """Entries of a part of the report of the weights, with the trait as people read it."""
    return [entry | {"trait": tables.label(entry["trait"], dictionary)} for entry in report.get(part, [])]


def _labels(by_trait: list[dict], dictionary: Dictionary) -> dict[str, str]:
    """Name of the trait -> what people read, of the traits that have a figure."""
    return {trait["name"]: tables.label(trait["name"], dictionary) for trait in by_trait}


def _json(path: str | Path) -> dict:
    return json.loads(Path(path).read_text(encoding="utf-8"))
