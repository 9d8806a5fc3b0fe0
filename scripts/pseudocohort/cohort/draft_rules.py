"""Rules that a table betrays: who is not asked, what is a sum, what is never above another item."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from pseudocohort.cohort.dates import days_of
from pseudocohort.cohort.dictionary_checks import in_a_circle
from pseudocohort.cohort.draft_columns import Column
from pseudocohort.cohort.draft_words import DIRECTIONS, SEX, SEX_WORDS
from pseudocohort.cohort.items import Dictionary, Item
from pseudocohort.cohort.rules import broken_rules

ROWS = 50  # complete rows that a rule must hold in
_LONGEST = 40  # parts of a sum that stand side by side
_LOOK = 300  # rows of the first look at a sum


def sex_labels(column: Column) -> dict[str, str] | None:
    """Value -> male, female of a column that is the sex; None of any other."""
    name = column.name.casefold()
    if not SEX.fullmatch(name) or len(column.counts) > 3:
        return None
    if name in ("male", "female"):
        other = "female" if name == "male" else "male"
        words = {"1": name, "0": other, "yes": name, "no": other, "true": name, "false": other}
    else:
        words = SEX_WORDS
    known = {v: words[v.casefold()] for v in column.counts.index if v.casefold() in words}
    return known if known else None


def skips(columns: Sequence[Column], rows: Sequence[Item]) -> dict[str, tuple[tuple[str, tuple[str, ...]], ...]]:
    """Conditions asked_if that missing values betray, by item.

    A gate (sex, or an item with categories) explains an item when the item is missing for everyone with some
    of its codes (20 people or more, 10 more than chance would leave) and these are half of all its missing.
    """
    asks = [i for i, row in enumerate(rows) if row.role == "" and columns[i].missing.sum() >= 20]
    if not asks:
        return {}
    missing = np.column_stack([columns[i].missing for i in asks]).astype(np.float32)
    total, found = missing.sum(axis=0), {}
    best = np.full(len(asks), 0.5)
    for gate, codes, member in _gates(columns, rows):
        size, gone = member.sum(axis=1)[:, None], member @ missing
        never = (gone == size) & (size > 0)
        people = (never * size).sum(axis=0)
        explained = people / total
        for k in np.flatnonzero((people >= 20) & (people * (1 - total / len(missing)) >= 10) & (explained >= best)):
            name = columns[asks[k]].name
            asked = tuple(code for code, out in zip(codes, never[:, k], strict=True) if not out)
            if name == gate or not asked or _depends(found, gate, name):
                continue
            if explained[k] > best[k] or name not in found:
                found[name], best[k] = ((gate, asked),), explained[k]
    return found


def _gates(columns: Sequence[Column], rows: Sequence[Item]) -> Iterator[tuple[str, list[str], np.ndarray]]:
    """Name, codes, and who has which code (codes, people) as float32, of sex and of items with 2 to 12 categories."""
    for column, row in zip(columns, rows, strict=True):
        labels = sex_labels(column)
        if labels is None and (row.role or not 2 <= len(row.categories) <= 12 or re.search("[=;|]", row.name)):
            continue  # no gate, or one that could not be written
        gate, names = ("sex", labels) if labels else (row.name, {code: code for code in row.categories})
        codes = list(dict.fromkeys(names.values()))
        numbers = column.text.map({value: codes.index(code) for value, code in names.items()}).to_numpy(dtype=float)
        yield gate, codes, (numbers == np.arange(len(codes))[:, None]).astype(np.float32)


def _depends(found: dict[str, tuple], item: str, on: str) -> bool:
    """Does `item` hang, by the conditions found so far, on the item `on`?"""
    while item in found:
        if item == on:
            return True
        item = found[item][0][0]
    return item == on


def sums(columns: Sequence[Column], rows: Sequence[Item]) -> dict[str, tuple[str, ...]]:
    """Items that are, in every complete row (50 or more), the sum of items side by side or of one numbered series.

    Parts are numeric items, or ordinal and binary ones whose codes are numbers. No item is a part of its own part.
    """
    use = [
        i
        for i, (column, row) in enumerate(zip(columns, rows, strict=True))
        if row.role == "" and column.share == 1 and row.type in ("continuous", "count", "ordinal", "binary")
    ]
    if len(use) < 3:
        return {}
    values = np.column_stack([columns[i].values.to_numpy() for i in use])
    unit = np.array([_unit(column) for column in values.T])
    series = series_of([columns[i].name for i in use])
    found: dict[str, tuple[str, ...]] = {}
    for t, i in enumerate(use):
        if rows[i].type == "binary" or len(columns[i].counts) < 5:
            continue
        look = np.flatnonzero(~np.isnan(values[:, t]))[:_LOOK]
        for parts in (*_runs(t, use), *series):
            parts = [p for p in parts if p != t]
            for length in _fitting(t, parts, values[look], unit, every=parts not in series):
                names = tuple(columns[use[p]].name for p in sorted(parts[:length]))
                inside = any(rows[i].name in found.get(name, ()) for name in names)
                if not inside and _is_sum(t, parts[:length], values, unit):
                    found[rows[i].name] = names
                    break
            if rows[i].name in found:
                break
    return found


def _unit(values: np.ndarray) -> float:
    """The unit of the last digit of rounded numbers (n,), 0.1 ... 1e-6; 0 of whole numbers, and of computed ones."""
    known = values[~np.isnan(values)][:1000]
    for digits in range(7):
        if np.allclose(known, np.round(known, digits), rtol=0, atol=1e-9):
            return 10.0**-digits if digits else 0.0
    return 0.0


def series_of(names: list[str]) -> list[list[int]]:
    """Positions of names that differ in their last number only: PHQ1 ... PHQ9, q01a ... q12a."""
    stems: dict[tuple[str, str], list[int]] = {}
    for i, name in enumerate(names):
        found = re.fullmatch(r"(.*?)[_ .\-]?(\d+)(\D{0,3})", name)
        if found:
            stems.setdefault((found[1].casefold(), found[3].casefold()), []).append(i)
    return [members for members in stems.values() if 2 <= len(members) <= 100]


def _runs(t: int, use: list[int]) -> Iterator[list[int]]:
    """The columns that stand without a gap before the column at position t of `use`, and those after; nearest first."""
    for step in (-1, 1):
        run = []
        while len(run) < _LONGEST and 0 <= (k := t + step * (len(run) + 1)) < len(use):
            if use[k] - use[t] != step * (len(run) + 1):
                break
            run.append(k)
        yield run


def _fitting(t: int, parts: list[int], values: np.ndarray, unit: np.ndarray, every: bool) -> list[int]:
    """Numbers of parts (2 or more; every: the first ones, else all) whose sum fits the column t in some rows."""
    if len(parts) < 2:
        return []
    total = values[:, t]
    gap = np.abs(total[:, None] - np.cumsum(values[:, parts], axis=1))
    slack = (np.cumsum(unit[parts]) + unit[t]) / 2 + 1e-9 * np.abs(total).max()
    fits = ~(gap > slack).any(axis=0) & ~np.isnan(gap).all(axis=0)
    return [k + 1 for k in (range(1, len(parts)) if every else [len(parts) - 1]) if fits[k]]


def _is_sum(t: int, parts: list[int], values: np.ndarray, unit: np.ndarray) -> bool:
    """Is the column t the sum of the parts wherever all are present, and could it be otherwise?"""
    gap = values[:, t] - values[:, parts].sum(axis=1)
    complete = ~np.isnan(gap)
    if complete.sum() < ROWS:
        return False
    total, chosen = values[complete, t], values[complete][:, parts]
    rounding = (unit[parts].sum() + unit[t]) / 2
    if 10 * rounding > total.std() or total.std() == 0 or (np.ptp(chosen, axis=0) == 0).any():
        return False
    return bool((np.abs(gap[complete]) <= rounding + 1e-9 * np.abs(total).max()).all())


def sound(columns: Sequence[Column], rows: Sequence[Item]) -> list[Item]:
    """The rows without the rules that could not be written, lead in a circle, or that the import would find broken."""
    rows = [
        replace(row, rules=()) if any(re.search(r";|\s\+", name) for _, names in row.rules for name in names) else row
        for row in rows
    ]
    while (name := in_a_circle({row.name: [n for _, names in row.rules for n in names] for row in rows})) is not None:
        rows = [replace(row, rules=()) if row.name == name else row for row in rows]
    known = {
        column.name: _ordered(column, row).to_numpy()
        for column, row in zip(columns, rows, strict=True)
        if row.role == "" and (row.rules or column.share == 1 or row.type == "date")
    }
    dictionary = Dictionary(tuple(row for row in rows if row.name in known))
    broken = dict(zip(dictionary.names, broken_rules(dictionary, known).any(axis=0), strict=True))
    return [replace(row, rules=()) if broken.get(row.name) else row for row in rows]


def orders(columns: Sequence[Column], rows: Sequence[Item]) -> dict[str, str]:
    """Items that are never above another one, which their names say is its upper half, by the lower item.

    Both present in 50 rows or more, never violated, and (but for dates) the ranges overlap: else there is nothing to
    keep.
    """
    usable = {
        row.name.casefold(): (column, row)
        for column, row in zip(columns, rows, strict=True)
        if row.role == "" and row.type in ("continuous", "count", "date") and column.limit is None
    }
    found: dict[str, str] = {}
    for name, (column, row) in usable.items():
        for other in _upper_names(name):
            if other not in usable or other == name or found.get(usable[other][1].name) == row.name:
                continue
            above, upper = usable[other]
            both = ~column.missing & ~above.missing
            if (upper.type == "date") != (row.type == "date") or both.sum() < ROWS:
                continue
            low, high = _ordered(column, row)[both], _ordered(above, upper)[both]
            if (low <= high).all() and (row.type == "date" or low.max() > high.min()):
                found[row.name] = upper.name
                break
    return found


def _ordered(column: Column, row: Item) -> pd.Series:
    return days_of(column.text) if row.type == "date" else column.values


def _upper_names(name: str) -> Iterator[str]:
    """Names of the item that could bound this one from above: one word exchanged for its counterpart."""
    for low, high in DIRECTIONS:
        pattern = re.escape(low) if not low.isascii() else rf"(?<![a-z]){low}(?![a-z])|^{low}|{low}$"
        yield from dict.fromkeys(
            name[: match.start()] + high + name[match.end() :] for match in re.finditer(pattern, name)
        )
