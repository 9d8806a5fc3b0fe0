"""The catalogue of measures: what each is called, and the written goal by which it is judged.

catalogue.GROUP.yaml holds the measures of a part of the report, in the report's order:

    KEY:
      group: genomes            # heading it stands under, one of GROUPS
      en: allele frequency ...  # its name; {subject} stands for the line's subject
      ja: アレル頻度 ...
      goal: {of: ratio, at_most: 1.25}            # of: value, ratio, z, or gap (value less floor); none: only stated
      headline: true            # shown on the first screen
      theory: true              # judged by what reproduction alone would give: see without_theory
      note: {en: "theory {theory:.3f}", ja: "理論値 {theory:.3f}"}     # fields are the line's details

The configuration's `goals` may set other bounds. What is judged by `theory` is told to meet theory, which says nothing
of the real cohort.
"""

import difflib
import math
from functools import cache
from pathlib import Path
from string import Formatter

import yaml

from pseudocohort.errors import InputError

HERE = Path(__file__).parent
PROTECTED = "protected genomes"
GROUPS = ("genomes", "scores", "items", "item groups", "association", "copies", "disclosure")
LANGUAGES = ("en", "ja")
# Whether the goal is met: by the value; not by the value, but its 95 % interval reaches the goal; neither;
# no number, or one that chance alone would decide; no goal.
VERDICTS = ("within", "unclear", "beyond", "not measurable", "stated")
OF = ("value", "ratio", "z", "gap")


@cache
def catalogue() -> dict[str, dict]:
    """All measures by key, in the report's order."""
    return _read("genomes", "relatedness", "items", "association", "disclosure")


@cache
def reasons() -> dict[str, dict[str, str]]:
    """Why something has no number or no verdict: reason -> language -> sentence."""
    return _read("reasons")


def _read(*parts: str) -> dict:
    found: dict[str, dict] = {}
    for part in parts:
        path = HERE / f"catalogue.{part}.yaml"
        found |= (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.exists() else {}
    return found


def check_goals(goals: dict[str, dict | None]) -> None:
    """Raise InputError for a goal of the configuration that no measure has, or that no number could meet."""
    for key, goal in goals.items():
        place = f"config key goals.{key}"
        if key not in catalogue():
            near = difflib.get_close_matches(key, catalogue(), n=1, cutoff=0.4)
            raise InputError(
                f"no measure is called `{key}`",
                where=place,
                expected="a key of results/evaluation/summary.json",
                remedy=f"did you mean `{near[0]}`?" if near else "config/README.md lists them",
            )
        if goal is not None:
            _check_bounds(goal, (goal_of(key, goals) or {}).get("of"), place)


def _check_bounds(goal: dict, of: str | None, place: str) -> None:
    low, high = goal.get("at_least", -math.inf), goal.get("at_most", math.inf)
    if low > high:
        raise InputError(
            f"at_least {low:g} is above at_most {high:g}",
            where=place,
            expected="at_least no greater than at_most",
            remedy="correct the bounds",
        )
    if math.isnan(low) or math.isnan(high) or low == math.inf or high == -math.inf or (of == "ratio" and high < 0):
        raise InputError(
            f"no {of} could meet at_least {low:g}, at_most {high:g}",
            where=place,
            expected="bounds that a number can meet; a ratio is never below 0",
            remedy="correct the bounds",
        )


def goal_of(key: str, goals: dict[str, dict | None] | None = None) -> dict | None:
    """{of, at_least, at_most} of a measure, bounds None where open, None for no goal. goals: the configuration's."""
    written, given = catalogue()[key].get("goal"), (goals or {}).get(key, {})
    if given is None or (written is None and not given):
        return None
    goal = {"of": "value"} | (written or {})
    if given:
        goal = {"of": given.get("of", goal["of"])} | given
    return {"of": goal["of"], "at_least": goal.get("at_least"), "at_most": goal.get("at_most")}


def without_theory(lines: list[dict]) -> list[dict]:
    """The lines of protected genomes: what is judged by the theory of reproduction alone has a reason not to be."""
    of_theory = {key for key, entry in catalogue().items() if entry.get("theory", False)}
    return [line | {"reason": line["reason"] or PROTECTED} if line["key"] in of_theory else line for line in lines]


def judged(lines: list[dict], goals: dict[str, dict | None] | None = None) -> list[dict]:
    """The lines with group, metric (name), goal, criterion, verdict, headline and note (English), as in summary.json.

    goals: the configuration's `goals`.
    """
    return [_judged(line, goal_of(line["key"], goals)) for line in lines]


def _judged(line: dict, criterion: dict | None) -> dict:
    entry, subject = catalogue()[line["key"]], line["subject"]
    return {
        "key": line["key"],
        "subject": subject,
        "group": entry["group"],
        "metric": name_of(line, "en"),
        **{k: line[k] for k in ("value", "floor", "ratio", "z", "interval", "baseline")},
        "goal": goal_text(criterion, "en"),
        "criterion": criterion,
        "verdict": verdict(line, criterion),
        "decided": decided(line, criterion),
        "headline": bool(entry.get("headline", False)) and subject is None,
        "reason": line["reason"],
        "note": note_of(line, "en"),
        "details": line["details"],
    }


def verdict(line: dict, criterion: dict | None) -> str:
    """One of VERDICTS for a line and {of, at_least, at_most}."""
    if criterion is None:
        return "stated"
    found, interval = _quantity(line, criterion["of"])
    if found is None or line["reason"] is not None:
        return "not measurable"
    low, high = _bounds(criterion)
    if low <= found <= high:
        return "within"
    return "unclear" if interval is not None and interval[0] <= high and interval[1] >= low else "beyond"


def decided(line: dict, criterion: dict | None) -> bool | None:
    """Whether people enough were there to tell: the whole 95 % interval is on the verdict's side of the goal. What has
    no interval (counts, z) is decided; None for what has no verdict."""
    told = verdict(line, criterion)
    if told not in ("within", "unclear", "beyond"):
        return None
    interval = _quantity(line, criterion["of"])[1]
    if told != "within" or interval is None:
        return told != "unclear"
    low, high = _bounds(criterion)
    return low <= interval[0] and interval[1] <= high


def _bounds(criterion: dict) -> tuple[float, float]:
    low, high = criterion["at_least"], criterion["at_most"]
    return -math.inf if low is None else low, math.inf if high is None else high


def _quantity(line: dict, of: str) -> tuple[float | None, list[float] | None]:
    """What is judged, with its 95 % interval or None: a line's interval is that of what the catalogue judges, so that
    another `of` in the configuration has none."""
    own = interval_of(line["key"]) if line["key"] in catalogue() else None
    fitting = line["interval"] if own in (None, "ratio" if of == "ratio" else "value") else None
    if of != "gap":
        return line[of], None if of == "z" else fitting
    if line["value"] is None or line["floor"] is None:
        return None, None
    gap = line["value"] - line["floor"]
    if line["z"] and (own is None or _written_of(line["key"]) in ("gap", "value")):
        reach = abs(1.96 * gap / line["z"])
        return gap, [gap - reach, gap + reach]
    return gap, None if fitting is None else [x - line["floor"] for x in fitting]


def interval_of(key: str) -> str:
    """Whose interval a line of this measure has: `ratio` or `value`."""
    return "ratio" if _written_of(key) == "ratio" else "value"


def _written_of(key: str) -> str:
    return (catalogue()[key].get("goal") or {}).get("of", "value")


def name_of(line: dict, language: str) -> str:
    """The measure's name."""
    return catalogue()[line["key"]][language].format(subject=line["subject"])


def is_theory(key: str) -> bool:
    """Whether the measure is judged by what theory expects, not by real people."""
    return bool(catalogue()[key].get("theory", False))


def note_of(line: dict, language: str) -> str:
    """What is to be said beside the numbers: the reason why nothing is judged, then the note; fields without a number
    are told as a dash."""
    told = [] if line["reason"] is None else [reasons().get(line["reason"], {}).get(language, line["reason"])]
    template = catalogue()[line["key"]].get("note", {}).get(language, "")
    details = line["details"]
    fields = [field for _, field, _, _ in Formatter().parse(template) if field]
    if template and all(field in details for field in fields):
        told.append(_Dash().vformat(template, (), details))
    return "; ".join(told)


class _Dash(Formatter):
    """A dash for what has no number, whatever its format."""

    def format_field(self, value, spec):
        return "–" if value is None else super().format_field(value, spec)


def goal_text(criterion: dict | None, language: str) -> str:
    """A goal in words: `R ≤ 1.25`, `0.95 to 1.05`, `≤ floor + 0.05`."""
    if criterion is None:
        return ""
    low, high, of = criterion["at_least"], criterion["at_most"], criterion["of"]
    to, floor = (" to ", "floor") if language == "en" else (" ～ ", "ノイズフロア")
    lead = {"value": "", "ratio": "R ", "z": "z ", "gap": ""}[of]
    if of == "gap":
        if low is not None and high is not None and low == -high:
            return f"{floor} ± {high:g}"
        sign, bound = ("≤", high) if low is None else ("≥", low)
        return f"{sign} {floor} {bound:+g}" if bound else f"{sign} {floor}"
    if low is not None and low == high:
        return f"{lead}{low:g}"
    if low is None:
        return f"{lead}≤ {high:g}"
    return f"{lead}≥ {low:g}" if high is None else f"{lead}{low:g}{to}{high:g}"


def key_table() -> str:
    """The Markdown table of all measures and goals in config/README.md."""
    rows = ["| key | measure | goal |", "|---|---|---|"]
    for key, entry in catalogue().items():
        rows.append(f"| `{key}` | {entry['en'].format(subject='…')} | {goal_text(goal_of(key), 'en') or '–'} |")
    return "\n".join(rows) + "\n"
