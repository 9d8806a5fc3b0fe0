"""Reading and writing a dictionary's TSV: one row an item, every cell checked; errors name line and column."""

import logging
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from pseudocohort.cohort.dates import days_of, iso
from pseudocohort.cohort.dictionary_checks import check_item, check_together
from pseudocohort.cohort.items import COLUMNS, LEVELS, REASONS, ROLES, TYPES, Dictionary, Item
from pseudocohort.cohort.tables import canonical, nearest, read_table, require_columns
from pseudocohort.errors import InputError
from pseudocohort.files import atomic

log = logging.getLogger("pseudocohort")

_LIMITS = ("minimum", "maximum", "detection_limit")
_NAMED = 5  # items that a message names; of more it tells the number


def read_dictionary(path: str | Path) -> Dictionary:
    """Read and check a dictionary. Only the columns item and type must be there; `note` is for the editor.

    InputError names the line and the column of what is wrong.
    """
    table = read_table(path)
    require_columns(table, ("item", "type"), path)
    for column in table.columns:
        if column not in COLUMNS:
            close = nearest(column, COLUMNS)
            raise InputError(
                f"unknown dictionary column {column!r}" + (f"; did you mean {close!r}?" if close else ""),
                where=path,
                expected=", ".join(COLUMNS),
                remedy="rename or delete the column",
            )
    rows = []
    for line, cells in zip(table.index, table.to_dict("records"), strict=True):
        rows.append(_item({c: cells.get(c, "") for c in COLUMNS}, f"{path}, line {line}"))
    check_together(rows, [f"{path}, line {line}" for line in table.index], path)
    return Dictionary(tuple(rows))


def at_level(dictionary: Dictionary, level: str, path: str | Path) -> tuple[Dictionary, int]:
    """The dictionary with items above a level ignored, and how many they are.

    level: one of items.LEVELS.  path: the dictionary's file, for errors.  A row without a level counts as of the last
    of LEVELS, with a warning.  InputError where no item stays, or where one that stays cannot do without one that is
    left out: its condition or its rule names it, or it is the age.
    """
    above = {row.name for row in dictionary.rows if row.is_above(level) and row.role != "ignore"}
    if lacking := without_level(dictionary):
        log.warning(
            "%d rows of the dictionary have no level and count as %s%s: %s; fill in the column level",
            len(lacking),
            LEVELS[-1],
            ", above the release's, so that they are left out" if above & set(lacking) else "",
            some_of(lacking),
        )
    if above.issuperset(dictionary.names):
        raise InputError(
            f"no item is left: all are above the level of the release ({level}), {len(above & set(lacking))} of them "
            f"because they have no level and so count as {LEVELS[-1]}",
            where=f"{path}, column level",
            expected=f"items of the level {level} or below",
            remedy="fill in the column level (open, standard or strong), or set the config key release.level higher",
        )
    for row in dictionary.rows:
        if row.name in above and row.role != "age":
            continue
        named = {gate for gate, _ in row.asked_if} | {name for _, names in row.rules for name in names}
        named |= {row.name} & above
        if row.role != "ignore" and (lost := sorted(named & above)):
            raise InputError(
                f"item {row.name} cannot do without {lost[0]}, which is above the level of the release ({level})"
                if lost[0] != row.name
                else f"the age is above the level of the release ({level}), and every pseudo person has one",
                where=f"{path}, column level",
                expected="items whose conditions and rules name items of the same level or below",
                remedy=f"raise the level of {row.name}, or take {lost[0]} out of its asked_if and rule"
                if lost[0] != row.name
                else "give it a level, set release.level higher, or its role to ignore",
            )
    # What is left out has its level written, so that the gate knows it from columns that were never wanted.
    rows = tuple(replace(row, role="ignore", level_given=True) if row.name in above else row for row in dictionary.rows)
    return Dictionary(rows), len(above)


def without_level(dictionary: Dictionary) -> list[str]:
    """Names of the items, and of the age, that the dictionary gives no level."""
    return [row.name for row in dictionary.rows if row.role != "ignore" and not row.level_given]


def some_of(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def for_release(dictionary: Dictionary) -> Dictionary:
    """The rows that describe the pseudo cohort, without the editor's notes and the columns of consents."""
    return Dictionary(tuple(replace(row, note="", consent=()) for row in dictionary.rows if row.role != "ignore"))


def write_dictionary(path: str | Path, dictionary: Dictionary) -> None:
    """Write the TSV that `read_dictionary` reads back to an equal dictionary."""
    with atomic(path) as part:
        table = pd.DataFrame([_cells(row) for row in dictionary.rows], columns=list(COLUMNS))
        table.to_csv(part, sep="\t", index=False)


def _item(cells: dict[str, str], where: str) -> Item:
    """One checked row."""
    name = cells["item"]
    if not name:
        raise InputError(
            "dictionary row without an item name",
            where=f"{where}, column item",
            expected="an item name in every row",
            remedy="fill in the name or delete the row",
        )
    cells |= {column: cells[column].lower() for column in ("type", "role", "level")}
    for column, known in (("type", TYPES), ("role", ROLES), ("level", ("", *LEVELS))):
        if cells[column] not in known:
            close = nearest(cells[column], [k for k in known if k])
            raise InputError(
                f"item {name}: unknown {column} {cells[column]!r}" + (f"; did you mean {close!r}?" if close else ""),
                where=f"{where}, column {column}",
                expected=", ".join(k or "empty" for k in known),
                remedy="write one of these",
            )
    number = _day if cells["type"] == "date" else _number
    numbers = {c: number(cells[c], name, f"{where}, column {c}") for c in _LIMITS}
    codes, labels = _categories(cells["categories"])
    item = Item(
        name=name,
        type=cells["type"],
        group=cells["group"] or "other",
        role=cells["role"],
        label=cells["label"],
        label_ja=cells["label_ja"],
        unit=cells["unit"],
        **numbers,
        decimals=_decimals(cells["decimals"], name, f"{where}, column decimals"),
        categories=codes,
        category_labels=labels,
        asked_if=_conditions(cells, "asked_if", "sex=male, sex=female or item=code|code", where),
        trait=_trait(cells, where),
        note=cells["note"],
        missing_codes=_missing_codes(cells["missing_codes"], name, f"{where}, column missing_codes"),
        rules=_rules(cells["rule"], name, f"{where}, column rule"),
        level=cells["level"],
        consent=_conditions(cells, "consent", "column=code|code, a column of the phenotype table", where),
    )
    if item.role != "ignore":
        check_item(item, where)
    return item


def _number(cell: str, name: str, where: str) -> float | None:
    if cell == "":
        return None
    try:
        value = float(cell)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise InputError(
            f"item {name}: not a number",
            where=where,
            expected="a number or an empty cell",
            remedy="correct the cell or leave it empty",
        )
    return value


def _day(cell: str, name: str, where: str) -> float | None:
    """The limit of a date."""
    if cell == "":
        return None
    value = float(days_of(pd.Series([cell], dtype="str"))[0])
    if np.isnan(value):
        raise InputError(
            f"item {name}: not a date",
            where=where,
            expected="a day as YYYY-MM-DD or an empty cell",
            remedy="correct the cell or leave it empty",
        )
    return value


def _decimals(cell: str, name: str, where: str) -> int | None:
    digits = _number(cell, name, where)
    if digits is not None and digits not in range(16):
        raise InputError(
            f"item {name}: decimals is not a whole number from 0 to 15",
            where=where,
            expected="a whole number of digits",
            remedy="correct the cell or leave it empty",
        )
    return None if digits is None else int(digits)


def _trait(cells: dict[str, str], where: str) -> bool | None:
    known = {"": None, "yes": True, "no": False}
    if cells["trait"].lower() not in known:
        raise InputError(
            f"item {cells['item']}: trait is {cells['trait']!r}",
            where=f"{where}, column trait",
            expected="yes, no or an empty cell",
            remedy="write yes or no, or leave the cell empty",
        )
    return known[cells["trait"].lower()]


def _categories(cell: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    pairs = [part.partition("=") for part in cell.split("|")] if cell else []
    codes = canonical(pd.Series([code.strip() for code, _, _ in pairs], dtype="str"))
    return tuple(codes), tuple(label.strip() or code for (_, _, label), code in zip(pairs, codes, strict=True))


def _conditions(
    cells: dict[str, str], column: str, expected: str, where: str
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """((name, codes), ...) of a cell `name=code|code; ...`."""
    conditions = []
    for part in filter(None, (p.strip() for p in cells[column].split(";"))):
        gate, sign, codes = part.partition("=")
        listed = tuple(canonical(pd.Series([c.strip() for c in codes.split("|")], dtype="str")))
        if not sign or "" in listed or not gate.strip():
            raise InputError(
                f"item {cells['item']}: {column} cannot be read",
                where=f"{where}, column {column}",
                expected=f"{expected}, several joined by ;",
                remedy="write it as in the examples",
            )
        conditions.append((gate.strip(), listed))
    return tuple(conditions)


def _missing_codes(cell: str, name: str, where: str) -> tuple[tuple[str, str], ...]:
    pairs = [part.partition("=") for part in cell.split("|")] if cell else []
    codes = canonical(pd.Series([code.strip() for code, _, _ in pairs], dtype="str"))
    reasons = [reason.strip().lower() for _, _, reason in pairs]
    for code, reason in zip(codes, reasons, strict=True):
        if not code or not reason:
            raise InputError(
                f"item {name}: missing_codes cannot be read",
                where=where,
                expected="code=reason|code=reason, the reason one of " + ", ".join(REASONS),
                remedy="write it as in -9=refused|-8=not measured",
            )
        if reason not in REASONS:
            close = nearest(reason, REASONS)
            raise InputError(
                f"item {name}: unknown reason {reason!r}" + (f"; did you mean {close!r}?" if close else ""),
                where=where,
                expected=", ".join(REASONS),
                remedy="write one of these after the code",
            )
    return tuple(zip(codes, reasons, strict=True))


def _rules(cell: str, name: str, where: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    rules = []
    for part in filter(None, (p.strip() for p in cell.split(";"))):
        sign, names = re.fullmatch(r"(<=|>=|=)?(.*)", part).groups()
        named = tuple(n.strip() for n in re.split(r"\s\+(?:\s|$)", names)) if sign == "=" else (names.strip(),)
        if not sign or any(name == "" or name[0] == "+" for name in named):
            raise InputError(
                f"item {name}: rule cannot be read",
                where=where,
                expected="<= item, >= item or = item + item + item (with spaces around +), several joined by ;",
                remedy="write it as in the examples",
            )
        rules.append((sign, named))
    return tuple(rules)


def _cells(row: Item) -> dict[str, str]:
    tell = iso if row.type == "date" else lambda number: f"{number:.15g}"
    numbers = {c: "" if getattr(row, c) is None else tell(getattr(row, c)) for c in _LIMITS}
    same = zip(row.categories, row.category_labels, strict=True)
    return {
        "item": row.name,
        "type": row.type,
        "group": row.group,
        "role": row.role,
        "label": row.label,
        "label_ja": row.label_ja,
        "unit": row.unit,
        **numbers,
        "decimals": "" if row.decimals is None or row.type == "date" else str(row.decimals),
        "categories": "|".join(f"{code}={label}" for code, label in same),
        "missing_codes": "|".join(f"{code}={reason}" for code, reason in row.missing_codes),
        "asked_if": ";".join(f"{gate}=" + "|".join(codes) for gate, codes in row.asked_if),
        "level": row.level if row.level_given else "",
        "consent": ";".join(f"{column}=" + "|".join(codes) for column, codes in row.consent),
        "rule": "; ".join(f"{sign} " + " + ".join(names) for sign, names in row.rules),
        "trait": "" if row.role else ("yes" if row.trait else "no"),
        "note": row.note,
    }
