"""The dictionary: what each item is. A TSV with one row an item, in the order of the pseudo cohort's columns."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from pseudocohort.cohort.tables import canonical, nearest, read_table, require_columns
from pseudocohort.errors import InputError
from pseudocohort.files import atomic

TYPES = ("continuous", "count", "binary", "ordinal", "nominal")
NUMERIC = ("continuous", "count")
ROLES = ("", "age", "ignore")
COLUMNS = (
    "item",
    "type",
    "group",
    "role",
    "label",
    "label_ja",
    "unit",
    "minimum",
    "maximum",
    "detection_limit",
    "decimals",
    "categories",
    "asked_if",
    "trait",
    "note",
)
RESERVED = ("person", "sex", "age", "stratum")  # columns of the pseudo cohort's table that are no items
SEX_CODES = {"male": 1, "female": 2}
_FILE_NAME = re.compile(r"\w[\w.+-]*")  # a trait's name is also a file's


@dataclass(frozen=True)
class Item:
    """One item. name: column of the phenotype table. type: one of TYPES. role: one of ROLES.

    minimum, maximum, detection_limit: in the item's unit, None when there is none.  decimals: digits that
    are written, None for as many as there are.  categories: codes in order (binary: no, yes) with their
    labels.  asked_if: ((item or "sex", codes), ...), all of which must hold, else the item is structurally
    missing.  trait: does it get effect weights and an association study (default: every type but nominal).
    """

    name: str
    type: str
    group: str = "other"
    role: str = ""
    label: str = ""
    label_ja: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    detection_limit: float | None = None
    decimals: int | None = None
    categories: tuple[str, ...] = ()
    category_labels: tuple[str, ...] = ()
    asked_if: tuple[tuple[str, tuple[str, ...]], ...] = ()
    trait: bool | None = None
    note: str = ""

    def __post_init__(self):
        if self.trait is None:
            object.__setattr__(self, "trait", self.type != "nominal" and self.role == "")
        if not self.category_labels:
            object.__setattr__(self, "category_labels", self.categories)


@dataclass(frozen=True)
class Dictionary:
    """All rows of a dictionary in file order; `items` are those that the pseudo cohort will have."""

    rows: tuple[Item, ...]

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Rows without a role."""
        return tuple(row for row in self.rows if row.role == "")

    @cached_property
    def age(self) -> Item | None:
        """The row with the role age, a condition and no item."""
        return next((row for row in self.rows if row.role == "age"), None)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(item.name for item in self.items)

    @cached_property
    def traits(self) -> tuple[str, ...]:
        """Names of the items that get effect weights."""
        return tuple(item.name for item in self.items if item.trait)

    @cached_property
    def _by_name(self) -> dict[str, Item]:
        return {item.name: item for item in (*self.items, *([self.age] if self.age else []))}

    def __getitem__(self, name: str) -> Item:
        return self._by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name


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
    _check_together(rows, [f"{path}, line {line}" for line in table.index], path)
    return Dictionary(tuple(rows))


def write_dictionary(path: str | Path, dictionary: Dictionary) -> None:
    """Write the TSV that `read_dictionary` reads back to an equal dictionary."""
    with atomic(path) as part:
        table = pd.DataFrame([_cells(row) for row in dictionary.rows], columns=list(COLUMNS))
        table.to_csv(part, sep="\t", index=False)


def draft_dictionary(table: pd.DataFrame) -> Dictionary:
    """A first dictionary guessed from a phenotype table (text cells as read); see pseudocohort.cohort.draft."""
    from pseudocohort.cohort.draft import draft  # draft builds on this module

    return draft(table)


def structurally_missing(dictionary: Dictionary, frame: Mapping[str, np.ndarray], sex: np.ndarray) -> np.ndarray:
    """Where the rules say "not asked".

    frame: DataFrame or mapping, item name -> category codes (n,) as text with None or NaN missing (numeric items
    are not looked at).  sex: (n,) 0 unknown, 1 male, 2 female.
    Returns bool (n, items) in the dictionary's order. An item is not asked where a condition's item has another
    code or is itself not asked; where the condition's item is merely missing, or sex unknown, nothing is known
    and the answer is False.
    """
    sex = np.asarray(sex)
    done: dict[str, np.ndarray] = {}

    def not_asked(name: str) -> np.ndarray:
        if name not in done:
            result = np.zeros(len(sex), dtype=bool)
            for gate, codes in dictionary[name].asked_if:
                if gate == "sex":
                    result |= (sex != 0) & ~np.isin(sex, [SEX_CODES[code] for code in codes])
                else:
                    answer = pd.Series(np.asarray(frame[gate], dtype=object))
                    result |= not_asked(gate) | (answer.notna() & ~answer.isin(codes)).to_numpy(dtype=bool)
            done[name] = result
        return done[name]

    return (
        np.column_stack([not_asked(name) for name in dictionary.names])
        if dictionary.names
        else np.zeros((len(sex), 0), dtype=bool)
    )


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
    cells["type"], cells["role"] = cells["type"].lower(), cells["role"].lower()
    for column, known in (("type", TYPES), ("role", ROLES)):
        if cells[column] not in known:
            close = nearest(cells[column], [k for k in known if k])
            raise InputError(
                f"item {name}: unknown {column} {cells[column]!r}" + (f"; did you mean {close!r}?" if close else ""),
                where=f"{where}, column {column}",
                expected=", ".join(k or "empty" for k in known),
                remedy="write one of these",
            )
    numbers = {
        c: _number(cells[c], name, f"{where}, column {c}")
        for c in ("minimum", "maximum", "detection_limit", "decimals")
    }
    codes, labels = _categories(cells["categories"])
    trait = _trait(cells, where)
    item = Item(
        name=name,
        type=cells["type"],
        group=cells["group"] or "other",
        role=cells["role"],
        label=cells["label"],
        label_ja=cells["label_ja"],
        unit=cells["unit"],
        minimum=numbers["minimum"],
        maximum=numbers["maximum"],
        detection_limit=numbers["detection_limit"],
        decimals=None if numbers["decimals"] is None else int(numbers["decimals"]),
        categories=codes,
        category_labels=labels,
        asked_if=_asked_if(cells["asked_if"], name, where),
        trait=trait,
        note=cells["note"],
    )
    if numbers["decimals"] is not None and numbers["decimals"] not in range(16):
        raise InputError(
            f"item {name}: decimals is not a whole number from 0 to 15",
            where=f"{where}, column decimals",
            expected="a whole number of digits",
            remedy="correct the cell or leave it empty",
        )
    if item.role != "ignore":
        _check_item(item, where)
    return item


def _check_item(item: Item, where: str) -> None:
    def fail(what: str, column: str, expected: str = "", remedy: str = ""):
        raise InputError(
            f"item {item.name}: {what}", where=f"{where}, column {column}", expected=expected, remedy=remedy
        )

    if item.role == "age" and item.type != "continuous":
        fail(f"the age has the type {item.type}", "type", "continuous")
    if item.role == "" and item.name in RESERVED:
        fail(
            "this name is a column of the pseudo cohort that is no item",
            "item",
            remedy="rename the column of the phenotype table, or give the row the role age or ignore",
        )
    if item.trait and not _FILE_NAME.fullmatch(item.name):
        fail(
            "the name of a trait is also a file's name and cannot hold such characters",
            "item",
            "letters, digits, _ . + -",
            "rename the column in the phenotype table, or set trait to no",
        )
    if item.type in NUMERIC:
        if item.categories:
            fail(f"a {item.type} item has no categories", "categories", "an empty cell")
        bounds = [b for b in (item.minimum, item.detection_limit, item.maximum) if b is not None]
        if bounds != sorted(bounds):
            fail("the limits are not in order", "minimum", "minimum <= detection_limit <= maximum")
        return
    if any(v is not None for v in (item.minimum, item.maximum, item.detection_limit, item.decimals)):
        fail(f"a {item.type} item has no minimum, maximum, detection_limit or decimals", "minimum", "empty cells")
    if item.type == "binary" and len(item.categories) != 2:
        fail(f"a binary item with {len(item.categories)} categories", "categories", "two: no=label|yes=label")
    if len(item.categories) < 2:
        fail(f"an item of type {item.type} needs its categories", "categories", "code=label|code=label")
    if len(set(item.categories)) < len(item.categories) or "" in item.categories:
        fail("category codes are empty or not distinct", "categories", "code=label|code=label, each code once")
    if item.type == "nominal" and item.trait:
        fail("a nominal item cannot be a trait", "trait", "no, or the type binary or ordinal")


def _check_together(rows: list[Item], places: list[str], path: str | Path) -> None:
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
    for row, place in zip(rows, places, strict=True):
        trail, ahead = set(), [row.name]
        while ahead:
            current = known[ahead.pop()]
            gates = [gate for gate, _ in current.asked_if if gate != "sex"] if current.role == "" else []
            if row.name in gates:
                raise InputError(
                    f"item {row.name}: its condition depends on itself",
                    where=f"{place}, column asked_if",
                    expected="conditions on other items, without circles",
                    remedy="correct asked_if",
                )
            ahead += [gate for gate in gates if gate not in trail]
            trail.update(gates)


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


def _asked_if(cell: str, name: str, where: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    conditions = []
    for part in filter(None, (p.strip() for p in cell.split(";"))):
        gate, sign, codes = part.partition("=")
        listed = tuple(canonical(pd.Series([c.strip() for c in codes.split("|")], dtype="str")))
        if not sign or "" in listed:
            raise InputError(
                f"item {name}: asked_if cannot be read",
                where=f"{where}, column asked_if",
                expected="sex=male, sex=female or item=code|code, several joined by ;",
                remedy="write it as in the examples",
            )
        conditions.append((gate.strip(), listed))
    return tuple(conditions)


def _cells(row: Item) -> dict[str, str]:
    numbers = {
        c: "" if getattr(row, c) is None else f"{getattr(row, c):.15g}"
        for c in ("minimum", "maximum", "detection_limit", "decimals")
    }
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
        "categories": "|".join(f"{code}={label}" for code, label in same),
        "asked_if": ";".join(f"{gate}=" + "|".join(codes) for gate, codes in row.asked_if),
        "trait": "" if row.role else ("yes" if row.trait else "no"),
        "note": row.note,
    }
