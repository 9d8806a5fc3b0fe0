"""What the cohort is good for and what not, from the verdicts of the measures that each use rests on.

uses.texts.yaml holds for each use: its name, the sentence, and the keys of its measures; `never` marks what the
method does not keep, whatever is measured.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import yaml

from pseudocohort.measures.catalogue import catalogue
from pseudocohort.report import words
from pseudocohort.report.words import t

NEVER = "never kept"
ORDER = ("beyond", "unclear", "within")  # the verdict of several is the first of these among theirs


@cache
def texts() -> dict[str, dict]:
    """Use -> {en, ja: name; text: {en, ja}; measures: keys; never: true}, in the report's order."""
    return yaml.safe_load(Path(__file__).with_name("uses.texts.yaml").read_text(encoding="utf-8"))


def uses(lines: list[dict]) -> list[dict]:
    """{use, verdict, falls_short} of judged lines: verdict as of a group, or NEVER; falls_short: keys beyond goals.

    A use of whose measures most could not be judged is not measurable. Lines of a single subject (a category, a group
    of items) count as those of their measure.
    """
    found = []
    for use, entry in texts().items():
        about = [line for line in lines if line["key"] in entry.get("measures", ())]
        verdicts = [line["verdict"] for line in about if line["verdict"] != "stated"]
        verdict = NEVER if entry.get("never") else together(verdicts)
        if verdict == "within" and 2 * verdicts.count("within") < len(verdicts):
            verdict = "not measurable"
        short = dict.fromkeys(line["key"] for line in about if line["verdict"] == "beyond")
        found.append({"use": use, "verdict": verdict, "falls_short": list(short)})
    return found


def together(verdicts: Iterable[str]) -> str:
    """beyond if any is beyond, else unclear if any is, else within; not measurable if none could be judged."""
    found = set(verdicts)
    return next((verdict for verdict in ORDER if verdict in found), "not measurable")


def uses_in_words(summary: dict, language: str) -> list[dict[str, str]]:
    """name of every use of a summary, and word: its verdict in words with the names of what falls short."""
    names, found = texts(), []
    with words.language(language):
        spoken = verdict_words()
        for use in summary["uses"]:
            word, short = spoken[use["verdict"]], measure_names(use["falls_short"])
            word += t(" (falls short: {measures})").format(measures=t("; ").join(short)) if short else ""
            found.append({"name": names[use["use"]][language], "word": word})
    return found


def measure_names(keys: list[str]) -> list[str]:
    """What the measures are called in the current language."""
    return [catalogue()[key][words.current()].format(subject="…") for key in keys]


def verdict_words() -> dict[str, str]:
    """Verdict of several measures together -> what people read, in the current language."""
    return {
        "within": t("meets its goals"),
        "unclear": t("unclear"),
        "beyond": t("misses goals"),
        "not measurable": t("not measurable"),
        NEVER: t("never kept"),
    }
