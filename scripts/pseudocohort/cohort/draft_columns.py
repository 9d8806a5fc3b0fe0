"""A column as the draft of a dictionary sees it, with the codes that seem to stand for missing set apart."""

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.cohort.draft_words import BELOW_WORDS, GROUPS, MISSING_WORDS
from pseudocohort.cohort.tables import blank, canonical

FEW = 5  # what fewer people share is not written into the dictionary, or with a warning
NUMBERS = 0.9  # share of cells that are numbers in a numeric column
_BELOW = re.compile(r"<\s*=?\s*(\d+\.?\d*|\.\d+)")
# Negative codes, and digits that positive codes are made of: 7, 77, 777, 97; 99.9, 9.99.
_NEGATIVE = {-1: "not asked", -7: "not asked", -8: "not measured", -9: "refused", -77: "refused", -97: "refused"}
_NEGATIVE |= dict.fromkeys((*range(-6, -1), -88, -98, -99, -888, -998, -999, -8888, -9999, -99999), "unknown")
_POSITIVE = re.compile(r"(7+|8+|9+|9+[678])(\.0+|\.8+|\.9+)?")
_SMALL = 9  # a rating ends at most here, so that 66 and beyond are no answers


class Column(NamedTuple):
    """text: cells in one spelling.  missing: where there is no value, codes included.  counts: distinct values with
    counts, most frequent first.  values: float64, NaN where it is missing or no number.  limit: the largest x of the
    cells "<x", which are x in `values`.  share: share of `counts` that are numbers.  codes: ((code, reason), ...).
    doubts: what the user should look at.
    stray: cells of a numeric column with words of fewer than FEW people each; they are missing here, and no codes,
    for what a person wrote must not stand in a dictionary that is released."""

    name: str
    text: pd.Series
    missing: np.ndarray
    counts: pd.Series
    values: pd.Series
    limit: float | None
    share: float
    codes: tuple[tuple[str, str], ...]
    doubts: tuple[str, ...]
    stray: int = 0

    @property
    def n(self) -> int:
        return int(self.counts.sum())

    @property
    def numeric(self) -> bool:
        return self.n > 0 and self.share >= NUMBERS


def column_of(name: str, cells: pd.Series) -> Column:
    """The column of text cells; its codes of missing are guessed."""
    text, missing = canonical(cells), blank(cells)
    counts = text[~missing].value_counts(sort=True)
    codes, doubts, rare = _words(counts), [], []
    below = dict.fromkeys([word for word in counts.index if _plain(word) in BELOW_WORDS], "below limit")
    number, _, share = _numbers(counts.drop(list(codes | below)))
    if share >= NUMBERS:
        codes |= below
        words = [word for word in number.index[number.isna()] if not re.search(r"[\d|=]", word)]
        common = [word for word in words if counts[word] >= FEW]
        rare = [word for word in words if counts[word] < FEW]
        if 0 < len(common) <= 3:
            codes |= dict.fromkeys(common, "unknown")
        codes |= _sentinels(number.dropna(), counts, measured=bool(group_of(name)))
    else:
        codes |= _among_words(number.dropna())
    if len(counts) - len(codes) - len(rare) < 2:  # what is left would say nothing
        codes = {}
    if codes:
        doubts.append("check: " + ", ".join(codes) + (" stands" if len(codes) == 1 else " stand") + " for missing?")
    missing = missing | text.isin([*codes, *rare]).to_numpy(dtype=bool)
    stray = int(counts[rare].sum())
    counts = counts.drop([*codes, *rare])
    number, limit, share = _numbers(counts)
    values = text.where(~missing).map(number.to_dict()).astype("float64")
    return Column(name, text, missing, counts, values, limit, share, tuple(codes.items()), tuple(doubts), stray)


def group_of(name: str, whole: bool = False) -> str:
    """The group that a column's name suggests, or ""; whole: by all of the name only."""
    bare = re.sub(r"\s*[\[((](?!.*\d:\d).*", "", name.strip())  # a unit or a remark, not the chains of a lipid
    bare = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "_", bare)  # heartRate
    bare = re.sub(r"[ .\-]+", "_", bare)
    # Less and less of the name: its repetition, visit or unit may stand at the end, the kind of specimen at the front.
    tries = [bare, re.sub(r"_?\d+$", "", bare), bare.rpartition("_")[0], bare.partition("_")[2]]
    for text in filter(None, tries[:1] if whole else tries):
        for group, pattern in GROUPS:
            if pattern.match(text) and (pattern.fullmatch(text) or not text.isascii()):
                return group
    return ""


def _plain(word: str) -> str:
    """Without case, and without a number before or after it as in "77: Refused" and "Refused (77)"."""
    return re.sub(r"^[+-]?\d+\s*[:=.\-)]\s*|\s*[((]?[+-]?\d+[))]?$", "", word.casefold()).strip(" []【】") or word


def _words(counts: pd.Series) -> dict[str, str]:
    words = [word for word in counts.index if not re.search(r"[|=]", word)]
    return {word: MISSING_WORDS[_plain(word)] for word in words if _plain(word) in MISSING_WORDS}


def _among_words(number: pd.Series) -> dict[str, str]:
    """The only numbers of a column of words, where all of them are codes."""
    reasons = {word: _NEGATIVE.get(value) or _far(value) for word, value in number.items()}
    return reasons if all(reasons.values()) else {}


def _far(value: float) -> str:
    return _reason(value) if value > _SMALL and _POSITIVE.fullmatch(f"{value:.10g}") else ""


def _numbers(counts: pd.Series) -> tuple[pd.Series, float | None, float]:
    """Distinct cells -> numbers ("<x" is x), the largest limit x, and the share of cells that are numbers."""
    distinct = counts.index.to_series().astype("str")
    below = distinct.str.extract(f"^{_BELOW.pattern}$")[0].astype("float64")
    number = pd.to_numeric(distinct, errors="coerce").astype("float64")
    number = number.where(np.isfinite(number)).fillna(below)
    share = float(counts[number.notna().to_numpy()].sum() / max(counts.sum(), 1))
    return number, float(below.max()) if below.notna().any() else None, share


def _sentinels(number: pd.Series, counts: pd.Series, measured: bool) -> dict[str, str]:
    """Cells whose number lies far from all others and is one that people use as a code.  measured: no questionnaire."""
    seen = counts[number.index].groupby(number.to_numpy()).sum().sort_index()
    if not len(seen):
        return {}
    found = _negative(seen)
    found |= _positive(seen.drop(list(found)))
    words = number.index.to_series()[number.isin(list(found)).to_numpy()]
    reasons = {word: found[number[word]] for word in words}
    return dict.fromkeys(reasons, "not measured") if measured else reasons


def _negative(seen: pd.Series) -> dict[float, str]:
    """Below a table of numbers from 0 or more: the only negative ones are codes."""
    low = seen.index[seen.index < 0]
    rest = seen.index[seen.index >= 0]
    if not len(low) or not len(rest) or len(low) > 8 or not set(low) <= set(_NEGATIVE):
        return {}
    run = list(low) == list(range(int(low[0]), 0)) and rest[0] == 0
    if run and low[0] > -7 and (len(low) > 1 or rest[-1] <= 2):
        return {}  # as it may be with changes and balances
    return {value: _NEGATIVE[int(value)] for value in low}


def _positive(seen: pd.Series) -> dict[float, str]:
    """The largest numbers, where they are codes and lie beyond the others."""
    tops = []
    for value in reversed(seen.index):
        if not _POSITIVE.fullmatch(f"{value:.10g}") or len(tops) == len(seen) - 1:
            break
        tops.append(value)
    while tops:
        code = tops[-1]
        rest = seen[seen.index < code]
        if _beyond(code, seen[code], rest):
            return {value: _reason(value) for value in tops}
        tops.pop()
    return {}


def _beyond(code: float, count: int, rest: pd.Series) -> bool:
    """Does the code lie beyond the other values, and is it no last value of a thin tail?"""
    low, high = rest.index[0], rest.index[-1]
    gap, spread = code - high, high - low
    whole = bool((rest.index.to_numpy() % 1 == 0).all())
    thin = rest.iloc[-1] < 0.01 * rest.sum() and count < 2 * rest.iloc[-1]
    if code < 10:
        return whole and code % 1 == 0 and high <= 6 and low >= 0 and gap >= 2 and not thin and len(rest) > 1
    if whole and high <= _SMALL and code >= 66:
        return count >= 2 or not thin
    if gap > max(spread, 3):
        return count >= 2
    typical = rest.iloc[-10:].mean()
    return len(rest) > 10 and gap > 0.1 * spread and count >= max(5, 5 * typical)


def _reason(code: float) -> str:
    return "refused" if f"{code:.10g}".partition(".")[0].endswith("7") else "unknown"
