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
UNDECIDED = "undecided"
ENOUGH = 2 / 3  # of the measures judged; so many must be decided for a use that the cohort is good for
ORDER = ("beyond", "unclear", "within")  # the verdict of several is the first of these among theirs


@cache
def texts() -> dict[str, dict]:
    """Use -> {en, ja: name; text: {en, ja}; measures: keys; never: true}, in the report's order."""
    return yaml.safe_load(Path(__file__).with_name("uses.texts.yaml").read_text(encoding="utf-8"))


def uses(lines: list[dict]) -> list[dict]:
    """{use, verdict, falls_short, unclear, undecided} of judged lines: verdict as of a group, NEVER or UNDECIDED.

    falls_short, unclear: keys of that verdict; undecided: keys within whose interval reaches beyond the goal.
    UNDECIDED: all goals are met, but fewer than ENOUGH of them by the whole interval: too few people to tell.
    Lines of a single subject (a category, a group of items) count as those of their measure.
    """
    found = []
    for use, entry in texts().items():
        about = [line for line in lines if line["key"] in entry.get("measures", ()) and line["verdict"] != "stated"]
        verdict = NEVER if entry.get("never") else together(line["verdict"] for line in about)
        decided = [line["decided"] for line in about if line["decided"] is not None]
        if verdict == "within" and sum(decided) < ENOUGH * len(decided):
            verdict = UNDECIDED
        keys = {"falls_short": _keys(about, "beyond"), "unclear": _keys(about, "unclear")}
        keys["undecided"] = _keys(filter(undecided, about), "within")
        found.append({"use": use, "verdict": verdict} | keys)
    return found


def undecided(line: dict) -> bool:
    """Whether a judged line meets its goal, but not with its whole interval."""
    return line["verdict"] == "within" and line.get("decided") is False


def _keys(lines: Iterable[dict], verdict: str) -> list[str]:
    return list(dict.fromkeys(line["key"] for line in lines if line["verdict"] == verdict))


def together(verdicts: Iterable[str]) -> str:
    """beyond if any is beyond, else unclear if any is, else within; not measurable if most of them could not be."""
    found = [verdict for verdict in verdicts if verdict != "stated"]
    told = next((verdict for verdict in ORDER if verdict in found), "not measurable")
    return "not measurable" if told == "within" and 2 * found.count("within") < len(found) else told


def uses_in_words(summary: dict, language: str) -> list[dict[str, str]]:
    """name of every use of a summary, and word: its verdict in words with the names of what falls short or is open."""
    names, found = texts(), []
    with words.language(language):
        spoken = verdict_words()
        for use in summary["uses"]:
            word = spoken[use["verdict"]]
            if short := measure_names(use["falls_short"]):
                word += t(" (falls short: {measures})").format(measures=t("; ").join(short))
            elif use["verdict"] != NEVER and (unclear := measure_names(use["unclear"])):
                word += t(" ({measures})").format(measures=t("; ").join(unclear))
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
        UNDECIDED: t("too few people to tell"),
    }
