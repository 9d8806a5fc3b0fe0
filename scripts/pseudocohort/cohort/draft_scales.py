"""Is a column of whole numbers a count, a rating or a code? And in which order do words stand?"""

import re

import numpy as np
import pandas as pd

from pseudocohort.cohort.draft_columns import Column
from pseudocohort.cohort.draft_words import COUNTED, NO, RATED, SCALES, UNORDERED, YES
from pseudocohort.cohort.items import Item

_FAMILY = 3  # columns with the same answers are questions of one kind
_RARE = 0.01  # share of the highest value below which it is the end of a tail
_DAYS = 7  # 0 to 7 are days of the week
_NEVER = re.compile(r"never|none|not at all|no|0|なし|(全く|まったく)?(し|飲ま|食べ|吸わ)?ない", re.I)
_HARDLY = re.compile(r"hardly( ever)?|rarely|seldom|almost never|(ほとんど|めったに|あまり).*ない|まれ.*", re.I)
_PERIODS = (
    (52.0, r"week|wk|週"),  # before the day: "2 days a week"
    (12.0, r"month|mo\b|月"),
    (1.0, r"year|yr|年"),
    (365.0, r"day|daily|日"),
)


def is_count(name: str, seen: pd.Series, distinct: np.ndarray) -> bool:
    """Whole numbers from about 0 to at most 30; further, when most are at the low end or the name counts something."""
    if COUNTED.fullmatch(name) and distinct[0] >= 0 and distinct[-1] <= 100:
        return True
    if not (0 <= distinct[0] <= 3 and distinct[-1] <= 366):
        return False
    return distinct[-1] <= 30 or seen.mode().iloc[0] <= seen.quantile(0.25)


def is_rating(name: str, column: Column, distinct: np.ndarray, alike: int) -> bool:
    """Consecutive whole numbers that are a rating rather than a count.

    Up to 5 (1 to 7 answers at most, or 0 to 3) they are unless the name counts something; from 0, or longer, where
    the name rates something, other columns have the same answers, or the highest is no end of a tail.
    """
    low, high = int(distinct[0]), int(distinct[-1])
    if low == -high and high <= 3 and len(distinct) == 2 * high + 1:
        return True  # worse, same, better
    if len(distinct) != high - low + 1 or low not in (0, 1) or high > 10 or len(distinct) < 3:
        return False
    if COUNTED.fullmatch(name) and not RATED.fullmatch(name):
        return False
    top = float(column.counts.get(str(high), 0)) / column.n
    if (low == 1 and high <= 5) or (low == 0 and high <= 3):
        return True
    if RATED.fullmatch(name):
        return True
    if low == 0 and high == _DAYS:
        return False
    if alike >= _FAMILY and top >= 0.002:
        return True
    share = column.values.dropna().value_counts(normalize=True).sort_index().to_numpy()
    tail = top < _RARE or ((np.diff(share[len(share) // 3 :]) < 0).all() and top < 0.05)
    if low == 1 and high <= 7:
        return not tail
    return not tail and (high <= 6 or high == 10)


def numbers_without_order(name: str, column: Column, distinct: np.ndarray) -> bool:
    """Codes whose name says that they have no order, or a few with gaps between, each of many people."""
    if not 3 <= len(distinct) <= 30 or distinct[0] < 0:
        return False
    if UNORDERED.fullmatch(name):
        return True
    gaps = int(distinct[-1] - distinct[0] + 1) - len(distinct)
    common = np.gcd.reduce(distinct.astype(np.int64)) == 1
    often = column.counts.min() >= max(5, 0.005 * column.n)
    named = COUNTED.fullmatch(name) or RATED.fullmatch(name)
    return bool(distinct[0] >= 1 and 0 < gaps <= 30 and len(distinct) <= 8 and common and often and not named)


def categorical(column: Column) -> Item:
    """Binary, ordinal or nominal text."""
    values = list(column.counts.index)
    folded = {value.casefold(): value for value in values}
    if len(folded) < len(values):
        note = "check: some categories differ in case only"
        return Item(column.name, "nominal", categories=tuple(sorted(values)), note=note)
    if len(values) == 2:
        return _two(column.name, folded, values)
    ordered = None if UNORDERED.fullmatch(column.name) else order_of(list(folded))
    if ordered:
        note = "" if ordered[1] else "check: order of the categories"
        return Item(column.name, "ordinal", categories=tuple(folded[v] for v in ordered[0]), note=note)
    rare = int((column.counts < 20).sum())
    doubts = [f"{rare} categories with fewer than 20 people"] if rare else []
    doubts += [f"{len(values)} categories"] if len(values) > 12 else []
    note = "check: " + ", ".join(doubts) if doubts else ""
    return Item(column.name, "nominal", categories=tuple(sorted(values)), note=note)


def _two(name: str, folded: dict[str, str], values: list[str]) -> Item:
    no, yes = [v for v in folded if _bare(v) in NO], [v for v in folded if _bare(v) in YES]
    if len(no) == len(yes) == 1:
        return Item(name, "binary", categories=(folded[no[0]], folded[yes[0]]))
    note = f"check: the rarer category, {values[1]}, is taken as yes"
    return Item(name, "binary", categories=tuple(values), note=note)


def _bare(word: str) -> str:
    """Without the number that a label may begin with: "2: often", "(2) often", "2．often"."""
    return re.sub(r"^[((]?\d+[))]?\s*[:.．:、\-]?\s*(?=[^\d\s])", "", word).strip() or word


def order_of(words: list[str]) -> tuple[list[str], bool] | None:
    """Words (casefolded) in the order of a known scale, of how often they say, or of the first numbers in all of them;
    and whether that is sure."""
    bare = [_bare(word) for word in words]
    for scale in SCALES:
        rank = {word.strip(): i for i, synonyms in enumerate(scale) for word in synonyms}
        for form in (words, bare):
            if all(word in rank for word in form):
                ranks = [rank[word] for word in form]
                return _sorted(words, ranks), len(set(ranks)) == len(ranks)
    rates = [_rate(word) for word in bare]
    if None not in rates and len(set(rates)) == len(rates) and sum(rate > 0 for rate in rates) >= 2:
        return _sorted(words, rates), False
    numbers = [re.search(r"\d+(\.\d+)?", word) for word in words]
    if all(numbers) and all(re.match(r"[\d<>≤≥((]|under|less|below|over|more|at least|up to", w) for w in words):
        start = [
            float(m.group()) - 0.5 * bool(re.match("<|≤|under|less|below|up to", w) or re.search("未満|以下", w))
            for m, w in zip(numbers, words, strict=True)
        ]
        if len(set(start)) == len(start):
            return _sorted(words, start), False
    return None


def _sorted(words: list[str], ranks: list) -> list[str]:
    return [word for _, word in sorted(zip(ranks, words, strict=True))]


def _rate(word: str) -> float | None:
    """Times a year in words: "1-2 times a week", "週に1~2回", "less than once a month"; None if there are none."""
    if _NEVER.fullmatch(word):
        return 0.0
    if _HARDLY.fullmatch(word):
        return 0.5
    period = next((rate for rate, pattern in _PERIODS if re.search(pattern, word)), None)
    if period is None:
        return None
    number = re.search(r"\d+(\.\d+)?", word)
    times = float(number.group()) if number else (2.0 if re.search("twice", word) else 1.0)
    less, more = re.search(r"less|under|<|未満|以下", word), re.search(r"more|or more|over|>|以上|at least", word)
    return period * times * (0.5 if less else 1.2 if more else 1.0)
