"""Is a dictionary sound? Each row by itself, then all rows together."""

import re
from pathlib import Path

from pseudocohort.cohort.items import FILE_NAME, NUMERIC, RESERVED, SEX_CODES, Item, reason_column
from pseudocohort.cohort.tables import nearest
from pseudocohort.errors import InputError


def check_item(item: Item, where: str) -> None:
    """InputError for what is wrong in one row; where: file and line."""

    def fail(what: str, column: str, expected: str = "", remedy: str = ""):
        raise InputError(
            f"item {item.name}: {what}",
            where=f"{where}, column {column}",
            expected=expected,
            remedy=remedy or f"correct {column}, or the item's type",
        )

    if item.role == "age" and item.type != "continuous":
        fail(f"the age has the type {item.type}", "type", "continuous")
    if item.role == "" and item.name in RESERVED:
        fail(
            "this name is a column of the pseudo cohort that is no item",
            "item",
            remedy="rename the column of the phenotype table, or give the row the role age or ignore",
        )
    if item.trait and not FILE_NAME.fullmatch(item.name):
        fail(
            "the name of a trait is also a file's name and cannot hold such characters",
            "item",
            "letters, digits, _ . + -",
            "rename the column in the phenotype table, or set trait to no",
        )
    _check_missing_codes(item, fail)
    if item.rules and (item.type not in NUMERIC or item.role):
        fail("only items of type continuous, count or date have rules", "rule", "an empty cell")
    if item.type == "date":
        _check_date(item, fail)
    if item.type in NUMERIC:
        if item.categories:
            fail(f"an item of type {item.type} has no categories", "categories", "an empty cell")
        bounds = [b for b in (item.minimum, item.detection_limit, item.maximum) if b is not None]
        if bounds != sorted(bounds):
            fail("the limits are not in order", "minimum", "minimum <= detection_limit <= maximum")
        return
    if any(v is not None for v in (item.minimum, item.maximum, item.detection_limit, item.decimals)):
        fail(
            f"an item of type {item.type} has no minimum, maximum, detection_limit or decimals",
            "minimum",
            "empty cells",
        )
    if item.type == "binary" and len(item.categories) != 2:
        fail(f"a binary item with {len(item.categories)} categories", "categories", "two: no=label|yes=label")
    if len(item.categories) < 2:
        fail(f"an item of type {item.type} needs its categories", "categories", "code=label|code=label")
    if len(set(item.categories)) < len(item.categories) or "" in item.categories:
        fail("category codes are empty or not distinct", "categories", "code=label|code=label, each code once")
    if item.type == "nominal" and item.trait:
        fail("a nominal item cannot be a trait", "trait", "no, or the type binary or ordinal")


def _check_missing_codes(item: Item, fail) -> None:
    codes = [code for code, _ in item.missing_codes]
    if len(set(codes)) < len(codes):
        fail("a missing code stands more than once", "missing_codes", "code=reason|code=reason, each code once")
    both = [code for code in codes if code in item.categories]
    if both:
        fail(
            f"the missing code {both[0]} is also a category",
            "missing_codes",
            "codes that stand for missing, and no category",
            "delete it here or from the categories",
        )
    if item.detection_limit is None and any(reason == "below limit" for _, reason in item.missing_codes):
        fail(
            "a code means below limit, but there is no limit",
            "missing_codes",
            "a detection_limit, which such cells become",
            "fill in detection_limit, or give another reason",
        )


def _check_date(item: Item, fail) -> None:
    if item.detection_limit is not None:
        fail("a date has no detection_limit", "detection_limit", "an empty cell")
    if item.decimals:
        fail("a date has no decimals", "decimals", "an empty cell")
    if item.trait:
        fail("a date cannot be a trait", "trait", "no, or an empty cell")


def check_together(rows: list[Item], places: list[str], path: str | Path) -> None:
    """What only the whole dictionary shows: doubles, two ages, conditions that lead nowhere or in circles."""
    known: dict[str, Item] = {}
    for row, place in zip(rows, places, strict=True):
        if row.name in known:
            raise InputError(
                f"item {row.name} is in the dictionary more than once",
                where=place,
                expected="one row an item",
                remedy="delete the row that is not wanted",
            )
        known[row.name] = row
    if sum(row.role == "age" for row in rows) > 1:
        place = [p for row, p in zip(rows, places, strict=True) if row.role == "age"][1]
        raise InputError(
            "more than one item has the role age",
            where=f"{place}, column role",
            expected="one item with the role age",
            remedy="clear the role of the others",
        )
    if not any(row.role == "" for row in rows):
        raise InputError(
            "the dictionary has no item",
            where=path,
            expected="one row an item",
            remedy="give at least one row an empty role",
        )
    for row, place in zip(rows, places, strict=True):
        if row.role == "ignore":
            continue
        for gate, codes in row.asked_if:
            _check_condition(row, gate, codes, known, f"{place}, column asked_if")
        for sign, names in row.rules:
            _check_rule(row, sign, names, known, f"{place}, column rule")
        clash = known.get(reason_column(row.name)) if row.role == "" and row.reasons else None
        if clash is not None and clash.role != "ignore":
            raise InputError(
                f"item {clash.name}: a column of this name will tell why {row.name} is missing",
                where=place,
                expected="another name for the item",
                remedy="rename it here and in the phenotype table",
            )
    gates = {row.name: [g for g, _ in row.asked_if if g != "sex"] for row in rows if row.role == ""}
    ruled = {row.name: [n for _, names in row.rules for n in names] for row in rows if row.role == ""}
    for graph, what, column in ((gates, "condition", "asked_if"), (ruled, "rule", "rule")):
        circle = in_a_circle(graph)
        if circle is not None:
            raise InputError(
                f"item {circle}: its {what} depends on itself",
                where=f"{places[[row.name for row in rows].index(circle)]}, column {column}",
                expected=f"{what}s on other items, without circles",
                remedy=f"correct {column}" + (", or say the same once only" if column == "rule" else ""),
            )


def in_a_circle(graph: dict[str, list[str]]) -> str | None:
    """The first name that can be reached from itself."""
    for start in graph:
        trail, ahead = set(), [start]
        while ahead:
            after = graph.get(ahead.pop(), [])
            if start in after:
                return start
            ahead += [name for name in after if name not in trail]
            trail.update(after)
    return None


def _check_condition(row: Item, gate: str, codes: tuple[str, ...], known: dict[str, Item], where: str) -> None:
    gates = {n: i for n, i in known.items() if i.role == "" and i.type not in NUMERIC}
    if gate != "sex" and gate not in gates:
        close = nearest(gate, [*gates, "sex"])
        raise InputError(
            f"item {row.name}: its condition names {gate!r}, which is no item with categories"
            + (f"; the nearest is {close!r}" if close else ""),
            where=where,
            expected="sex=male, sex=female or item=code|code",
            remedy="correct the name in asked_if, or give that item its categories",
        )
    valid = tuple(SEX_CODES) if gate == "sex" else gates[gate].categories
    for code in codes:
        if code not in valid:
            raise InputError(
                f"item {row.name}: its condition asks for {gate}={code}",
                where=where,
                expected=f"{gate} is one of " + ", ".join(valid),
                remedy="ask for one of its codes",
            )


def _scored(item: Item) -> bool:
    """Are the categories scores that can be summed?"""
    return item.type in ("ordinal", "binary") and all(re.fullmatch(r"[+-]?\d+(\.\d+)?", c) for c in item.categories)


def _check_rule(row: Item, sign: str, names: tuple[str, ...], known: dict[str, Item], where: str) -> None:
    numeric = {n: i for n, i in known.items() if i.role == "" and (i.type in NUMERIC or (sign == "=" and _scored(i)))}
    for name in names:
        if name not in numeric:
            close = nearest(name, numeric)
            raise InputError(
                f"item {row.name}: its rule names {name!r}, which is no numeric item"
                + (f"; the nearest is {close!r}" if close else ""),
                where=where,
                expected="items of type continuous, count or date (in sums also ordinal or binary ones whose codes are "
                "numbers), as in `<= item` or `= item + item`",
                remedy="correct the name (with spaces around +), or that item's type",
            )
    dates = {numeric[name].type == "date" for name in (row.name, *names)}
    if row.name in names:
        problem, expected = "its rule names the item itself", "a rule on other items"
    elif sign == "=" and (len(names) < 2 or len(set(names)) < len(names)):
        problem, expected = "its sum is not of two items or more, each once", "= item + item"
    elif sign == "=" and True in dates:
        problem, expected = "its sum holds a date", "a sum of continuous items and counts"
    elif len(dates) > 1:
        problem, expected = "its rule compares a date with a number", "dates on both sides, or on none"
    else:
        return
    raise InputError(f"item {row.name}: {problem}", where=where, expected=expected, remedy="correct the rule")
