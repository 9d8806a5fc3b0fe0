"""Does the phenotype table fit its dictionary? Columns, ids, conditions, and enough values to learn from."""

import logging
from pathlib import Path

import pandas as pd

from pseudocohort.cohort.excel import other_sheets
from pseudocohort.cohort.identifiers import looks_like_an_id
from pseudocohort.cohort.items import Dictionary, Item
from pseudocohort.cohort.tables import nearest
from pseudocohort.errors import InputError

log = logging.getLogger("pseudocohort")

FEWEST_VALUES = 20  # as in training: a distribution of fewer people would hand out their own values
_NOT_ASKED = 0.05  # share of an item's values beyond which it is not the people who are wrong but the condition
_TOLD = 20  # names in one line of the log


def check_columns(table: pd.DataFrame, dictionary: Dictionary, path: Path) -> None:
    for name in (*([dictionary.age.name] if dictionary.age else []), *dictionary.names):
        if name not in table.columns:
            close = nearest(name, table.columns)
            raise InputError(
                f"dictionary item {name} is not in the phenotype table"
                + (f"; the nearest column is {close!r}" if close else ""),
                where=path,
                expected="a column for every item",
                remedy="correct the name, or set the item's role to ignore" + other_sheets(path),
            )


def columns_without_dictionary(table: pd.DataFrame, dictionary: Dictionary, column: str, path: Path) -> list[str]:
    """The columns, but that of the ids, that no row of the dictionary names; the log says that they are left out."""
    known = {column, *(row.name for row in dictionary.rows)}
    left = [name for name in table.columns if name not in known]
    if left:
        log.warning(
            "%s: %d columns have no row in the dictionary and are left out: %s (a row with the role ignore says that "
            "this is meant)",
            path.name,
            len(left),
            ", ".join(left[:_TOLD]) + (f" and {len(left) - _TOLD} more" if len(left) > _TOLD else ""),
        )
    return left


def check_enough_values(frame: pd.DataFrame, people: pd.DataFrame, dictionary: Dictionary, path: str | Path) -> None:
    """InputError for an item, or the age, with fewer than 20 values among the training people.

    frame: what `import_phenotypes` returns, in the order of people (person, part). The training would refuse them
    too, but hours later.
    """
    train = frame[(people["part"] == "train").to_numpy()]
    for item in ([dictionary.age] if dictionary.age else []) + list(dictionary.items):
        known = int(train[item.name].notna().sum())
        if known < FEWEST_VALUES:
            raise InputError(
                f"item {item.name} has {known} values among the {len(train)} training people",
                where=f"{path}, column {item.name}",
                expected=f"at least {FEWEST_VALUES}; the people of the holdout are not counted",
                remedy="set its role to ignore in the dictionary, or correct the table",
            )


def refuse_ids(item: Item, values: pd.Series, path: Path) -> None:
    """InputError where nearly everybody has another value, as in an id: it tells nothing but who it is."""
    if not looks_like_an_id(item.name, item.type, values.dropna()):
        return
    people, different = int(values.notna().sum()), values.nunique()
    measurement = {
        "count": "; set the type of a measurement to continuous",
        "continuous": "; if it is a measurement, rename the column or give it in another unit, with decimals",
    }
    raise InputError(
        f"item {item.name} has "
        + (
            f"another value for each of its {people}"
            if different == people
            else f"{different} different values for its {people}"
        )
        + " people, as an id has",
        where=f"{path}, column {item.name}",
        expected="an item whose values people share, or a measurement (of type continuous)",
        remedy="set its role to ignore" + measurement.get(item.type, ", or merge its categories"),
    )


def refuse_many_not_asked(item: Item, count: int, known: int, path: Path) -> None:
    """InputError where a condition would take away more than 5 % of the values (known) of an item."""
    if count <= _NOT_ASKED * known:
        return
    condition = ";".join(f"{gate}=" + "|".join(codes) for gate, codes in item.asked_if)
    raise InputError(
        f"item {item.name}: {count} of its {known} values are of people whom its condition leaves out",
        where=f"{path}, column {item.name}; dictionary, column asked_if: {condition}",
        expected=f"at most {_NOT_ASKED:.0%} of the values, which are then taken as missing",
        remedy="correct asked_if (it tells who IS asked) and the codes in it, or leave it empty; or correct the cells",
    )
