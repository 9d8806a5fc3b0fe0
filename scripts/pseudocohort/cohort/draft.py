"""A first dictionary guessed from a table, for a person to edit: types, order of categories, limits, skips.

What is doubtful carries a note "check: ...". Observed extremes are never written as limits, because the
dictionary is released and a cohort's tallest person is a person.
"""

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.cohort.dictionary import _FILE_NAME, RESERVED, Dictionary, Item
from pseudocohort.cohort.tables import as_text, blank, canonical

SPIKE = 0.03  # share of values exactly at the minimum that suggests a detection limit
MANY = 60  # a text item with more distinct values than this is no nominal item

# fmt: off
_AGE = re.compile(r"age|age[_ .]?(at[_ .].*|y|yrs?|years?|in[_ .]years|baseline)|年齢|年令", re.I)
_SEX = re.compile(r"sex|gender|male|female|sex[_ .]?(at[_ .]birth|code)|性別", re.I)
_ID = re.compile(r"(.*[_ .])?(id|iid|fid|seqn|record|subject|person|participant|sample)([_ .]?(id|no|number))?", re.I)
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}.*|\d{1,2}/\d{1,2}/\d{2,4}")
_BELOW = re.compile(r"<\s*=?\s*(\d+\.?\d*|\.\d+)")
_SEX_WORDS = {
    "1": "male",
    "m": "male",
    "male": "male",
    "男": "male",
    "男性": "male",
    "2": "female",
    "f": "female",
    "female": "female",
    "女": "female",
    "女性": "female",
}
_NO = (
    "no",
    "n",
    "false",
    "f",
    "absent",
    "negative",
    "neg",
    "control",
    "unaffected",
    "-",
    "(-)",
    "never",
    "なし",
    "無",
    "無し",
    "いいえ",
    "ない",
    "陰性",
)
_YES = (
    "yes",
    "y",
    "true",
    "t",
    "present",
    "positive",
    "pos",
    "case",
    "affected",
    "+",
    "(+)",
    "ever",
    "あり",
    "有",
    "有り",
    "はい",
    "ある",
    "陽性",
)
# Scales in increasing order; words of one rank are joined by |. An item is ordinal when one scale has all its words.
_SCALES = tuple(
    tuple(rank.split("|") for rank in scale.split(" < "))
    for scale in (
        "never|never smoker|non-smoker|nonsmoker|never drinker"
        " < former|past|ex|ex-smoker|former smoker|quit|former drinker"
        " < current|current smoker|smoker|present|current drinker",
        "never|none|not at all < almost never|very rarely < rarely|seldom < occasionally|sometimes|now and then"
        " < often|frequently < most of the time|usually|very often|mostly|almost always < always|every day|daily",
        "very poor|very bad|terrible < poor|bad < fair|average|neutral|ok < good < very good < excellent",
        "lowest < very low < low < marginal|medium|moderate|middle|normal|average|mid"
        " < high|full < very high < highest",
        "none|no|normal < minimal|trace|very mild < mild|slight < moderate < moderately severe < severe"
        " < very severe|extreme",
        "not at all < slightly|a little|a little bit|several days < somewhat|moderately"
        " < very|quite a bit|quite a lot|more than half the days < extremely|very much|nearly every day",
        "strongly disagree < disagree < neutral|neither|undecided < agree < strongly agree",
        "very dissatisfied < dissatisfied < neutral|neither < satisfied < very satisfied",
        "less|lower|decreased|worse < same|about the same|unchanged < more|higher|increased|better",
        "tiny < small < medium < large < very large",
        "i|ia|ib < ii|iia|iib < iii|iiia|iiib < iv|v",
        "--|- |-|(-)|negative|neg < ±|+-|+/-|(±)|trace < +|1+|(+)|(1+) < ++|2+|(2+) < +++|3+|(3+) < ++++|4+|(4+)",
        "none|no schooling < less than 9th grade|primary|elementary|elementary school"
        " < 9th - 11th grade|some high school|"
        "junior high school|middle school < high school|high school grad|high school graduate|hs|hs grad|ged|secondary"
        " < some college|some college / aa|associate|associate degree|vocational|junior college"
        " < college|college grad|college graduate|bachelor|university|tertiary"
        " < graduate school|master|postgraduate < phd|doctorate",
        "なし|吸わない|非喫煙|飲まない|吸ったことがない < 過去喫煙|以前吸っていた|やめた|過去に飲酒|以前飲んでいた"
        " < 現在喫煙|吸っている|現在飲酒|飲んでいる",
        "全くない|まったくない|ない < ほとんどない|めったにない < 時々|ときどき|たまに"
        " < よくある|しばしば|ほぼ毎日 < いつも|毎日|常に",
        "よくない|悪い < あまりよくない|やや悪い < ふつう|普通 < まあよい|やや良い < よい|良い < とてもよい|非常に良い",
        "低い|少ない < やや低い|やや少ない < ふつう|普通 < やや高い|やや多い < 高い|多い",
    )
)
# fmt: on


class _Column(NamedTuple):
    """A column as the guesses see it: text, where it is missing, distinct values with counts (most frequent first)."""

    name: str
    text: pd.Series
    missing: np.ndarray
    counts: pd.Series

    @property
    def n(self) -> int:
        return int(self.counts.sum())


def draft(table: pd.DataFrame) -> Dictionary:
    """Guess a dictionary from a phenotype table.

    table: one row a person, cells as text (as `tables.read_table` gives them) or typed.
    Returns one row for every column, in their order; ids, sex, constants, dates and free text get the role ignore.
    """
    text = as_text(table.reset_index(drop=True))
    columns = [_column(name, text[name]) for name in text.columns]
    rows: list[Item] = []
    for column in columns:
        row = _guess(column)
        if row.role == "age" and any(r.role == "age" for r in rows):
            row = _numeric(column, *_numbers(column))
        rows.append(_acceptable(row))
    conditions = _skips(columns, rows)
    return Dictionary(
        tuple(_replace(row, asked_if=conditions[row.name]) if row.name in conditions else row for row in rows)
    )


def _column(name: str, text: pd.Series) -> _Column:
    missing = blank(text)
    text = canonical(text)
    return _Column(name, text, missing, text[~missing].value_counts(sort=True))


def _replace(row: Item, **changes) -> Item:
    return Item(**{**row.__dict__, **changes})


def _ignored(column: _Column, why: str) -> Item:
    return Item(column.name, "nominal", role="ignore", note=why)


def _acceptable(row: Item) -> Item:
    """A row that `read_dictionary` accepts, whatever the column is called."""
    if row.role == "" and row.name in RESERVED:
        return _replace(row, role="ignore", note="check: this name has its own meaning; rename the column of an item")
    if row.role == "" and row.trait and not _FILE_NAME.fullmatch(row.name):
        note = "check: to study its genetics rename the column to letters, digits, _ . + - and set trait to yes"
        return _replace(row, trait=False, note=note)
    return row


def _guess(column: _Column) -> Item:
    """The row of one column."""
    distinct = len(column.counts)
    if column.n == 0:
        return _ignored(column, "no value")
    if _sex_labels(column) is not None:
        return _ignored(column, "sex comes from the sample sheet")
    if distinct == 1:
        return _ignored(column, "constant")
    values, limit, share = _numbers(column)
    if share >= 0.9:
        whole = bool((values.dropna() % 1 == 0).all())
        if column.n >= 20 and (
            (whole and distinct == column.n) or (_ID.fullmatch(column.name) and distinct > 0.9 * column.n)
        ):
            return _ignored(column, "an id: one value a person")
        return _numeric(column, values, limit, share)
    if column.n >= 20 and _ID.fullmatch(column.name) and distinct > 0.9 * column.n:
        return _ignored(column, "an id: one value a person")
    if all(_DATE.fullmatch(v) for v in column.counts.index):
        return _ignored(column, "check: dates are no items; give a number such as years instead")
    if distinct > MANY or distinct > 0.5 * column.n > 5:
        return _ignored(column, f"check: free text or ids ({distinct} distinct values)")
    if any(mark in value for value in column.counts.index for mark in "|=;"):
        return _ignored(column, "check: codes hold | = or ; and must be written otherwise")
    return _categorical(column)


def _numbers(column: _Column) -> tuple[pd.Series, float | None, float]:
    """Values (n,) with NaN, the largest x of cells "<x" (they become x), and the share of cells that are numbers."""
    distinct = column.counts.index.to_series()
    below = distinct.str.extract(f"^{_BELOW.pattern}$")[0].astype("float64")
    number = pd.to_numeric(distinct, errors="coerce").astype("float64")
    number = number.where(np.isfinite(number)).fillna(below)
    share = float(column.counts[number.notna().to_numpy()].sum() / max(column.n, 1))
    limit = float(below.max()) if below.notna().any() else None
    return column.text.where(~column.missing).map(number.to_dict()).astype("float64"), limit, share


def _numeric(column: _Column, values: pd.Series, limit: float | None, share: float) -> Item:
    """Binary, ordinal, count, age or continuous."""
    seen = values.dropna()
    distinct = np.unique(seen)
    whole = bool((seen % 1 == 0).all())
    notes = [] if share == 1 else [f"check: {round((1 - share) * column.n)} cells are not numbers"]
    name, minimum = column.name, 0.0 if seen.min() >= 0 else None
    if _AGE.fullmatch(name) and seen.min() >= 0 and seen.max() <= 120 and len(distinct) > 5:
        return Item(name, "continuous", role="age", minimum=0.0, decimals=_decimals(column), unit="years")
    if limit is None and len(distinct) == 2 and share == 1:
        codes = tuple(sorted(column.counts.index, key=float))
        sure = codes == ("0", "1")
        return Item(
            name,
            "binary",
            "questionnaire",
            categories=codes,
            note="" if sure else f"check: the second code, {codes[1]}, is taken as yes",
        )
    if limit is None and whole and share == 1 and _is_scale(distinct):
        return Item(
            name,
            "ordinal",
            "questionnaire",
            categories=tuple(sorted(column.counts.index, key=float)),
            note="check: ordinal, or nominal if the codes have no order, or a count",
        )
    if whole and limit is None and _is_count(seen, distinct):
        return Item(name, "count", minimum=0.0, decimals=0, note="; ".join(notes))
    if limit is None:
        limit = _spike(seen, distinct)
        notes += [f"check: {(seen == limit).mean():.0%} of values are exactly {limit:g}"] if limit is not None else []
    return Item(
        name, "continuous", minimum=minimum, detection_limit=limit, decimals=_decimals(column), note="; ".join(notes)
    )


def _is_scale(distinct: np.ndarray) -> bool:
    """Consecutive integers from 1 to at most 7, or from 0 to at most 3: a rating rather than a count."""
    low, high = distinct[0], distinct[-1]
    return len(distinct) == high - low + 1 and ((low == 1 and high <= 7) or (low == 0 and high <= 3))


def _is_count(seen: pd.Series, distinct: np.ndarray) -> bool:
    """Whole numbers from about 0 to at most 30, or further when most are at the low end."""
    if not (0 <= distinct[0] <= 3 and distinct[-1] <= 366):
        return False
    return distinct[-1] <= 30 or seen.mode().iloc[0] <= seen.quantile(0.25)


def _spike(seen: pd.Series, distinct: np.ndarray) -> float | None:
    """A positive minimum that holds a share of SPIKE, and much more than its neighbours: a detection limit."""
    if len(distinct) < 20 or distinct[0] <= 0:
        return None
    shares = [(seen == value).mean() for value in distinct[:6]]
    return float(distinct[0]) if shares[0] >= SPIKE and shares[0] >= 2 * np.mean(shares[1:]) else None


def _decimals(column: _Column) -> int | None:
    """Digits after the point that 99 % of cells stay within; None beyond 6 (computed, not read off)."""
    digits = column.counts.index.to_series().str.extract(r"\.(\d+)$")[0].str.len().fillna(0).to_numpy(dtype=float)
    order = np.argsort(digits)
    within = np.cumsum(column.counts.to_numpy()[order]) / column.n
    most = int(digits[order][np.searchsorted(within, 0.99)])
    return most if most <= 6 else None


def _categorical(column: _Column) -> Item:
    """Binary, ordinal or nominal text."""
    values = list(column.counts.index)
    folded = {value.casefold(): value for value in values}
    if len(folded) < len(values):
        return Item(
            column.name,
            "nominal",
            "questionnaire",
            categories=tuple(sorted(values)),
            note="check: some categories differ in case only",
        )
    if len(values) == 2:
        no = [v for v in folded if v in _NO]
        yes = [v for v in folded if v in _YES]
        if len(no) == len(yes) == 1:
            return Item(column.name, "binary", "questionnaire", categories=(folded[no[0]], folded[yes[0]]))
        return Item(
            column.name,
            "binary",
            "questionnaire",
            categories=tuple(values),
            note=f"check: the rarer category, {values[1]}, is taken as yes",
        )
    ordered = _scale(list(folded))
    if ordered:
        return Item(
            column.name,
            "ordinal",
            "questionnaire",
            categories=tuple(folded[v] for v in ordered[0]),
            note="" if ordered[1] else "check: order of the categories",
        )
    rare = int((column.counts < 20).sum())
    doubts = [f"{rare} categories with fewer than 20 people"] if rare else []
    doubts += [f"{len(values)} categories"] if len(values) > 12 else []
    return Item(
        column.name,
        "nominal",
        "questionnaire",
        categories=tuple(sorted(values)),
        note="check: " + ", ".join(doubts) if doubts else "",
    )


def _scale(words: list[str]) -> tuple[list[str], bool] | None:
    """Words in the order of a known scale, or of the first numbers in all of them; and whether that is sure."""
    for scale in _SCALES:
        rank = {word.strip(): i for i, synonyms in enumerate(scale) for word in synonyms}
        if all(word in rank for word in words):
            ranks = [rank[word] for word in words]
            return [w for _, w in sorted(zip(ranks, words, strict=True))], len(set(ranks)) == len(ranks)
    numbers = [re.search(r"\d+(\.\d+)?", word) for word in words]
    if all(numbers) and all(re.match(r"[\d<>≤≥]|under|less|below|over|more|at least|up to", w) for w in words):
        start = [
            float(m.group()) - 0.5 * bool(re.match("<|≤|under|less|below|up to", w))
            for m, w in zip(numbers, words, strict=True)
        ]
        if len(set(start)) == len(start):
            return [w for _, w in sorted(zip(start, words, strict=True))], False
    return None


def _sex_labels(column: _Column) -> dict[str, str] | None:
    """Value -> male, female of a column that is the sex; None of any other."""
    name = column.name.casefold()
    if not _SEX.fullmatch(name) or len(column.counts) > 3:
        return None
    if name in ("male", "female"):
        other = "female" if name == "male" else "male"
        words = {"1": name, "0": other, "yes": name, "no": other, "true": name, "false": other}
    else:
        words = _SEX_WORDS
    known = {v: words[v.casefold()] for v in column.counts.index if v.casefold() in words}
    return known if known else None


def _skips(columns: list[_Column], rows: list[Item]) -> dict[str, tuple[tuple[str, tuple[str, ...]], ...]]:
    """Conditions asked_if that missing values betray, by item.

    A gate (sex, or an item with categories) explains an item when the item is missing for everyone with some
    of its codes (20 people or more, 10 more than chance would leave) and these are half of all its missing.
    """
    missing = np.column_stack([c.missing for c in columns]).astype(np.float64)
    rate = missing.mean(axis=0)
    found: dict[str, tuple] = {}
    best = np.full(len(columns), 0.5)
    taken = {row.name: i for i, row in enumerate(rows) if row.role == ""}
    for g, (column, row) in enumerate(zip(columns, rows, strict=True)):
        labels = _sex_labels(column)
        if labels is None and (row.role or not 2 <= len(row.categories) <= 12):
            continue
        gate, names = ("sex", labels) if labels else (row.name, {c: c for c in row.categories})
        codes = list(dict.fromkeys(names.values()))
        member = np.column_stack(
            [column.text.map(names).eq(code).to_numpy(dtype=bool, na_value=False) for code in codes]
        ).astype(np.float64)
        size, gone = member.sum(axis=0)[:, None], member.T @ missing
        never = (gone == size) & (size > 0)
        people = (never * size).sum(axis=0)
        explained = people / np.maximum(missing.sum(axis=0), 1)
        for i in np.flatnonzero((people >= 20) & (people * (1 - rate) >= 10) & (explained >= best)):
            asked = tuple(code for code, out in zip(codes, never[:, i], strict=True) if not out)
            if columns[i].name not in taken or i == g or not asked or _depends(found, gate, columns[i].name):
                continue
            if explained[i] > best[i] or columns[i].name not in found:
                found[columns[i].name], best[i] = ((gate, asked),), explained[i]
    return found


def _depends(found: dict[str, tuple], item: str, on: str) -> bool:
    """Does `item` hang, by the conditions found so far, on the item `on`?"""
    while item in found:
        if item == on:
            return True
        item = found[item][0][0]
    return item == on
