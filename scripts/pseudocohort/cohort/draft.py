"""A first dictionary guessed from a table, for a person to edit: types, codes of missing, limits, skips, rules.

What is doubtful carries a note "check: ...", and every item gets the strongest level, which a person may lower.
Observed extremes are never written as limits, because the dictionary is released and a cohort's tallest person is a
person.
"""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd

from pseudocohort.cohort.dates import DATE, dates_otherwise, days_of
from pseudocohort.cohort.dictionary import FILE_NAME, LEVELS, RESERVED, Dictionary, Item
from pseudocohort.cohort.draft_columns import FEW, Column, column_of, group_of
from pseudocohort.cohort.draft_rules import orders, series_of, sex_labels, skips, sound, sums
from pseudocohort.cohort.draft_scales import categorical, is_count, is_rating, numbers_without_order
from pseudocohort.cohort.draft_words import AGE, BIRTH, PRIVATE, UNIT
from pseudocohort.cohort.identifiers import ENOUGH, has_leading_zeros, looks_like_an_id, named_like_an_id
from pseudocohort.cohort.tables import as_text

SPIKE = 0.03  # share of values exactly at the minimum that suggests a detection limit
LEADING_ZEROS = "check: whole numbers with leading zeros, as ids have"
MANY = 60  # a text item with more distinct values than this is no nominal item
_OTHER_DATES = re.compile(r"\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}.*|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}.*")
_TIME = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")


def draft(table: pd.DataFrame) -> Dictionary:
    """Guess a dictionary from a phenotype table.

    table: one row a person, cells as text (as `tables.read_table` gives them) or typed.
    Returns one row for every column, in their order; ids, sex, constants and free text get the role ignore.
    """
    text = as_text(table.reset_index(drop=True))
    columns = [column_of(name, text[name]) for name in text.columns]
    alike = Counter(_answers(column) for column in columns)
    rows: list[Item] = []
    for column in columns:
        row = _guess(column, alike[_answers(column)])
        if row.role == "age" and any(r.role == "age" for r in rows):
            row = _numeric(column, alike[_answers(column)])
        rows.append(_with_codes(_acceptable(row), column))
    rows = [_strong(row) for row in _with_rules(columns, _metabolome(_one_kind(columns, rows)))]
    return Dictionary(tuple(_with_rare(row, column) for row, column in zip(rows, columns, strict=True)))


def _strong(row: Item) -> Item:
    return row if row.role == "ignore" else replace(row, level=LEVELS[-1], level_given=True)


def _with_rare(row: Item, column: Column) -> Item:
    """The row with a warning of categories that single people can be told by; the import needs their codes."""
    rare = int((column.counts < FEW).sum()) if row.categories else 0
    if not rare:
        return row
    return _noted(row, f"check: {rare} categories of fewer than {FEW} people; merge or remove them before release")


def _answers(column: Column) -> frozenset[str]:
    """The distinct values of a column that could be answers to a question; nothing else has as few."""
    return frozenset(column.counts.index) if len(column.counts) <= 12 else frozenset([column.name])


def _noted(row: Item, *notes: str) -> Item:
    return replace(row, note="; ".join(filter(None, [row.note, *notes])))


def _ignored(column: Column, why: str) -> Item:
    return Item(column.name, "nominal", role="ignore", note=why)


def _acceptable(row: Item) -> Item:
    """A row that `read_dictionary` accepts, whatever the column is called."""
    if row.role == "" and row.name in RESERVED:
        note = "check: this name has its own meaning; rename the column of an item"
        return Item(row.name, "nominal", role="ignore", note=note)
    if row.role == "" and row.trait and not FILE_NAME.fullmatch(row.name):
        note = "check: to study its genetics rename the column to letters, digits, _ . + - and set trait to yes"
        return _noted(replace(row, trait=False), note)
    return row


def _with_codes(row: Item, column: Column) -> Item:
    """The row with the column's codes of missing; `below limit` only where a limit is known."""
    if row.role == "ignore" or not column.codes:
        return row
    codes, notes = column.codes, list(column.doubts)
    if row.detection_limit is None and any(reason == "below limit" for _, reason in codes):
        codes = tuple((code, "not measured" if reason == "below limit" else reason) for code, reason in codes)
        notes.append("check: fill in detection_limit and write below limit for the codes that mean it")
    return _noted(replace(row, missing_codes=codes), *notes)


def _one_kind(columns: list[Column], rows: list[Item]) -> list[Item]:
    """Questions of one numbered series are rated alike: where most are, so are those in which an answer is rare."""
    rows = list(rows)
    for members in series_of([row.name for row in rows]):
        rated = [i for i in members if rows[i].type == "ordinal" and all(c.isdigit() for c in rows[i].categories)]
        if len(rated) < max(3, 0.6 * len(members)):
            continue
        known = {code for i in rated for code in rows[i].categories}
        for i in members:
            codes = set(columns[i].counts.index)
            if (
                rows[i].type in ("nominal", "count", "continuous")
                and not rows[i].role
                and codes <= known
                and len(codes) > 2
            ):
                rows[i] = replace(
                    rows[rated[0]],
                    name=rows[i].name,
                    categories=tuple(sorted(codes, key=float)),
                    category_labels=(),
                    trait=rows[i].trait,
                    missing_codes=rows[i].missing_codes,
                )
    return rows


def _metabolome(rows: list[Item]) -> list[Item]:
    """Twenty measurements or more that differ in their number only (M1, M2, ...) are a panel."""
    stems = [re.sub(r"\d+$", "", row.name) if re.search(r"\d+$", row.name) else "" for row in rows]
    plain = [row.type == "continuous" and row.group == "other" and not row.role for row in rows]
    size = Counter(stem for stem, good in zip(stems, plain, strict=True) if good and stem)
    return [
        replace(row, group="metabolome") if good and stem and size[stem] >= 20 else row
        for row, stem, good in zip(rows, stems, plain, strict=True)
    ]


def _with_rules(columns: list[Column], rows: list[Item]) -> list[Item]:
    """The rows with the conditions and rules that the whole table shows."""
    conditions, totals, upper = skips(columns, rows), sums(columns, rows), orders(columns, rows)
    by_name, kinds = {column.name: column for column in columns}, {row.name: row.type for row in rows}
    result = []
    for row in rows:
        if row.name in conditions:
            row = replace(row, asked_if=conditions[row.name])
            row = _not_asked(row, by_name[row.name], by_name)
        if row.name in totals:
            if all(kinds[name] != "continuous" for name in totals[row.name]) and by_name[row.name].values.min() >= 0:
                row = replace(row, type="count", categories=(), category_labels=(), minimum=0.0, decimals=0)
            row = replace(row, rules=(("=", totals[row.name]),))
            row = _noted(row, "check: it is the sum in every complete row")
        elif row.name in upper and row.name not in totals.get(upper[row.name], ()):
            row = replace(row, rules=(("<=", (upper[row.name],)),))
            row = _noted(row, f"check: it is never above {upper[row.name]}")
        result.append(row)
    return sound(columns, result)


def _not_asked(row: Item, column: Column, by_name: dict[str, Column]) -> Item:
    """Codes of missing that stand only where the condition says so mean that the item was not asked."""
    gate, asked = row.asked_if[0]
    if gate == "sex" or not row.missing_codes:
        return row
    out = ~(by_name[gate].text.isin(asked) | by_name[gate].missing)
    codes = tuple(
        (code, "not asked" if (here := column.text == code).sum() >= 20 and out[here].all() else reason)
        for code, reason in row.missing_codes
    )
    return replace(row, missing_codes=codes)


def _guess(column: Column, alike: int) -> Item:
    """The row of one column; alike: how many columns have the same distinct values."""
    distinct = len(column.counts)
    if column.n == 0:
        return _ignored(column, "no value")
    if sex_labels(column) is not None:
        return _ignored(column, "sex comes from the sample sheet")
    if distinct == 1:
        return _ignored(column, "constant")
    if PRIVATE.fullmatch(column.name):
        return _ignored(column, "check: the name says that it tells who somebody is")
    known = column.text[~column.missing]
    if BIRTH.fullmatch(column.name):
        return _ignored(column, "check: a date of birth tells who somebody is; give ages")
    if dates_otherwise(known):
        return _ignored(column, "check: dates in numbers or in eras; write YYYY-MM-DD to keep them")
    if named_like_an_id(column.name) and has_leading_zeros(known):
        return _ignored(column, LEADING_ZEROS)
    if (looks_like_an_id(column.name, "continuous", column.values.dropna()) and column.share == 1) or (
        column.n >= ENOUGH
        and named_like_an_id(column.name)
        and distinct > 0.9 * column.n
        and not (column.numeric and (column.values.dropna() % 1 != 0).any())  # nitric oxide is called NO
    ):
        return _ignored(
            column, "check: an id, by its name or its digits, for everybody has another; a measurement? then continuous"
        )
    if column.numeric:
        return _numeric(column, alike)
    if all(DATE.fullmatch(value) for value in column.counts.index):
        if days_of(known).notna().all():
            return _date(column)
        return _ignored(column, "check: some cells are no days of the calendar")
    if all(_OTHER_DATES.fullmatch(value) for value in column.counts.index):
        return _ignored(column, "check: dates must be written YYYY-MM-DD, without a time of day")
    if all(_TIME.fullmatch(value) for value in column.counts.index):
        return _ignored(column, "check: times of day; give them as hours")
    if distinct > MANY or distinct > 0.5 * column.n > 5:
        return _ignored(column, f"check: free text or ids ({distinct} distinct values)")
    if any(mark in value for value in column.counts.index for mark in "|=;"):
        return _ignored(column, "check: codes hold | = or ; and must be written otherwise")
    return replace(categorical(column), group=group_of(column.name, whole=True) or "questionnaire")


def _date(column: Column) -> Item:
    return Item(column.name, "date", note="check: dates can tell who somebody is; give years or ages where they do")


def _numeric(column: Column, alike: int) -> Item:
    """Binary, ordinal, nominal, count, age or continuous."""
    seen = column.values.dropna()
    distinct = np.unique(seen)
    whole = bool((seen % 1 == 0).all())
    other = round((1 - column.share) * column.n)
    strange = other + column.stray
    alone = whole and column.n >= ENOUGH and len(distinct) == column.n
    notes = [f"check: {strange} cells are not numbers"] if strange else []
    notes += ["check: everybody has another whole number; an id? then give it the role ignore"] if alone else []
    name, minimum = column.name, 0.0 if seen.min() >= 0 else None
    group = group_of(name)
    if AGE.fullmatch(name) and seen.min() >= 0 and seen.max() <= 120 and len(distinct) > 5:
        return Item(name, "continuous", role="age", minimum=0.0, decimals=_decimals(column), unit="years")
    if column.limit is None and whole and not other:
        kind = _coded(column, distinct, alike)
        if kind is not None:
            return _noted(kind, *notes)
    if has_leading_zeros(column.text[~column.missing]):
        return _ignored(column, LEADING_ZEROS)
    unit = UNIT.search(name)
    told = {"unit": unit[1] if unit else "", "note": "; ".join(notes)}
    if whole and not alone and column.limit is None and not group and is_count(name, seen, distinct):
        return Item(name, "count", "questionnaire", minimum=0.0, decimals=0, **told)
    limit = column.limit
    if limit is None:
        limit = _spike(seen, distinct)
        if limit is not None:
            notes.append(f"check: {(seen == limit).mean():.0%} of values are exactly {limit:g}")
            told["note"] = "; ".join(notes)
    return Item(
        name,
        "continuous",
        group or "other",
        minimum=minimum,
        detection_limit=limit,
        decimals=_decimals(column),
        **told,
    )


def _coded(column: Column, distinct: np.ndarray, alike: int) -> Item | None:
    """A binary, ordinal or nominal item of whole-number codes; None if they are rather numbers."""
    codes = tuple(sorted(column.counts.index, key=float))
    name = column.name
    if len(distinct) == 2:
        sure = codes == ("0", "1")
        note = "" if sure else f"check: the second code, {codes[1]}, is taken as yes"
        return Item(name, "binary", "questionnaire", categories=codes, note=note)
    if numbers_without_order(name, column, distinct):
        note = "check: nominal, or ordinal if the codes have an order"
        return Item(name, "nominal", "questionnaire", categories=codes, note=note)
    if is_rating(name, column, distinct, alike):
        note = "check: ordinal, or nominal if the codes have no order, or a count"
        return Item(name, "ordinal", "questionnaire", categories=codes, note=note)
    return None


def _spike(seen: pd.Series, distinct: np.ndarray) -> float | None:
    """A positive minimum that holds a share of SPIKE, and much more than its neighbours: a detection limit."""
    if len(distinct) < 20 or distinct[0] <= 0:
        return None
    shares = [(seen == value).mean() for value in distinct[:6]]
    return float(distinct[0]) if shares[0] >= SPIKE and shares[0] >= 2 * np.mean(shares[1:]) else None


def _decimals(column: Column) -> int | None:
    """Digits after the point that 99 % of cells stay within; None beyond 6 (computed, not read off)."""
    digits = column.counts.index.to_series().str.extract(r"\.(\d+)$")[0].str.len().fillna(0).to_numpy(dtype=float)
    order = np.argsort(digits)
    within = np.cumsum(column.counts.to_numpy()[order]) / column.n
    most = int(digits[order][np.searchsorted(within, 0.99)])
    return most if most <= 6 else None
