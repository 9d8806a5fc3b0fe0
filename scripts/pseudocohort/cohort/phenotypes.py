"""The phenotype table, checked against the dictionary and brought into the order of the people."""

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.cohort.consent import without_unconsented
from pseudocohort.cohort.dates import days_of, iso
from pseudocohort.cohort.dictionary import (
    NUMERIC,
    Dictionary,
    Item,
    broken_rules,
    reason_column,
    structurally_missing,
)
from pseudocohort.cohort.people import match_people
from pseudocohort.cohort.phenotype_checks import (
    check_columns,
    columns_without_dictionary,
    refuse_ids,
    refuse_many_not_asked,
)
from pseudocohort.cohort.tables import blank, canonical, lines, read_table, require_columns
from pseudocohort.errors import InputError

log = logging.getLogger("pseudocohort")

_WIDE = "[０-９．，－＋]"
_ID_COLUMNS = ("person", "iid", "sample", "sample_id", "id")


class _Source(NamedTuple):
    """Text cells of the people who stay; the index holds lines of the file."""

    path: Path
    table: pd.DataFrame


def import_phenotypes(
    path: str | Path,
    dictionary: Dictionary,
    people: pd.DataFrame,
    id_column: str | None = None,
    unmatched: str = "error",
    withdrawn: set[str] | frozenset[str] = frozenset(),
) -> tuple[pd.DataFrame, dict]:
    """Values of all items for all people, and a report of counts.

    path: CSV, TSV, Excel or Parquet.  people: the people table (person, sex), whose order the result has.
    id_column: the column of the ids (default person, IID, sample or id, else the first).  unmatched: `error`, or
    `drop`: rows of people outside the cohort are dropped, people without a row have no values.
    withdrawn: ids whose rows are dropped and counted.

    Returns person, the age if the dictionary has one, then the items in the dictionary's order: continuous and
    count float64 with NaN, dates float64 days since 1970-01-01, the others str category codes with NaN; last, for
    each item with reasons, its column of reasons (str, NaN where there is a value). Values below a detection limit,
    cells such as <0.1 and codes of `below limit` become the limit. A value where asked_if says that it was not
    asked is removed and counted.
    InputError, with item, lines and counts but no value: an item that is no column, text in a numeric item, no
    date in a date, a value outside limits or categories, an item without any value or with another value for
    everybody (an id), values that break a rule, ids doubled or unmatched.
    """
    path = Path(path)
    table = read_table(path)
    column = _id_column(table, id_column, path)
    table, report = _rows_of(table, column, people, unmatched, set(withdrawn), path)
    check_columns(table, dictionary, path)
    report["columns_without_dictionary"] = columns_without_dictionary(table, dictionary, column, path)
    table, report["values_without_consent"] = without_unconsented(table, dictionary, path)
    source = _Source(path, table)
    wanted = ([dictionary.age] if dictionary.age else []) + list(dictionary.items)
    own = pd.Index(table[column]).get_indexer(people["person"])
    frame, stated = {}, {}
    for item in wanted:
        values, reasons = _values(item, source)
        frame[item.name] = _aligned(values, own, "float64" if item.type in NUMERIC else "str")
        stated[item.name] = _aligned(reasons, own, "str")
    frame = pd.DataFrame(frame)
    removed, not_asked = _remove_not_asked(frame, dictionary, people["sex"].to_numpy(), path)
    for item in wanted:
        if frame[item.name].notna().sum() == 0:
            raise InputError(
                f"item {item.name} has no value",
                where=f"{path}, column {item.name}",
                expected="a value for some people of the cohort",
                remedy="set its role to ignore",
            )
        refuse_ids(item, frame[item.name], path)
    _refuse_broken(frame, dictionary, source, own)
    frame = pd.concat([frame, _reasons(frame, stated, not_asked, dictionary)], axis=1)
    frame.insert(0, "person", people["person"].to_numpy())
    if frame["person"].isin(withdrawn).any():
        raise ValueError("the people table holds withdrawn people")
    return frame, report | _item_report(frame, wanted, removed, dictionary)


def read_items(
    path: str | Path, id_column: str | None = None, withdrawn: set[str] | frozenset[str] = frozenset()
) -> pd.DataFrame:
    """The text cells of a phenotype table without its column of ids and withdrawn people, for drafting a dictionary."""
    table = read_table(path)
    column = _id_column(table, id_column, Path(path))
    return table[~table[column].isin(withdrawn)].drop(columns=column)


def _id_column(table: pd.DataFrame, id_column: str | None, path: Path) -> str:
    if id_column:
        require_columns(table, [id_column], path, "id column of the phenotypes")
        return id_column
    folded = {name.casefold(): name for name in reversed(table.columns)}
    return next((folded[name] for name in _ID_COLUMNS if name in folded), table.columns[0])


def _rows_of(
    table: pd.DataFrame, column: str, people: pd.DataFrame, unmatched: str, withdrawn: set[str], path: Path
) -> tuple[pd.DataFrame, dict]:
    """Rows of the people of the cohort, and counts of the others."""
    ids = table[column]
    doubled, empty = ids.duplicated().to_numpy(), blank(ids)
    if empty.any():
        raise InputError(
            f"{int(empty.sum())} rows have no person id",
            where=f"{path}, {lines(table, empty)}, column {column}",
            expected="an id in every row",
            remedy="fill in the ids or delete the rows",
        )
    if doubled.any():
        raise InputError(
            f"{int(doubled.sum())} person ids stand more than once",
            where=f"{path}, {lines(table, doubled)}, column {column}",
            expected="one row a person",
            remedy="keep one row a person, for instance the latest visit",
        )
    only = match_people(people["person"], ids, withdrawn, "phenotype table", unmatched, "cohort")
    gone = ids.isin(withdrawn).to_numpy()
    report = {
        "rows": len(table),
        "rows_of_withdrawn": int(gone.sum()),
        "rows_outside_the_cohort": only["only_in_table"],
        "people_without_row": only["only_in_cohort"],
    }
    return table[ids.isin(people["person"]).to_numpy() & ~gone], report


def _values(item: Item, source: _Source) -> tuple[pd.Series, pd.Series]:
    """The values of an item, and the reasons that its missing codes state (str, NaN where there is none)."""
    cells = source.table[item.name]
    reasons = canonical(cells).map(dict(item.missing_codes)).astype("str")
    below = (reasons == "below limit").to_numpy(dtype=bool, na_value=False)
    coded = reasons.notna().to_numpy()
    if not coded.any():
        return _read(item, cells, source), reasons
    values = _read(item, cells.mask(coded, ""), source)
    if below.any():
        values = values.mask(below, item.detection_limit)
    return values, reasons.mask(below)


def _read(item: Item, cells: pd.Series, source: _Source) -> pd.Series:
    if item.type == "date":
        return _dates(item, cells, source)
    return _numeric(item, cells, source) if item.type in NUMERIC else _coded(item, cells, source)


def _dates(item: Item, cells: pd.Series, source: _Source) -> pd.Series:
    """Days since 1970-01-01, float64 with NaN, checked."""
    days, known = days_of(cells), ~blank(cells)
    _refuse(
        known & days.isna().to_numpy(),
        item,
        "cells that are not dates",
        "days of the calendar as YYYY-MM-DD or YYYY/MM/DD",
        source,
        "write the dates so, or correct the item's type",
    )
    _refuse_outside(item, days, known, source, iso)
    return days


def _numeric(item: Item, cells: pd.Series, source: _Source) -> pd.Series:
    """float64 with NaN, checked; at the detection limit where below it."""
    known = ~blank(cells)
    below = known & cells.str.startswith("<").to_numpy(dtype=bool)
    digits = cells.str.replace(r"^<\s*=?\s*", "", regex=True)
    values = pd.to_numeric(digits.where(known), errors="coerce").astype("float64")
    text = known & ~np.isfinite(values.to_numpy())
    expected = "numbers with a decimal point, or empty, NA, NaN, N/A, null or . for missing"
    remedy = "correct the cells or the item's type, or give such codes in missing_codes"
    _refuse(text, item, "cells that are not numbers", expected, source, remedy)
    limit = item.detection_limit
    if limit is None:
        _refuse(below, item, "cells below a limit (<)", expected, source, "give the item a detection_limit")
    else:
        _refuse(
            below & (values > limit).to_numpy(),
            item,
            "cells below a limit (<) above the detection_limit",
            f"< {limit:g}",
            source,
            "raise the detection_limit to the largest limit of the table",
        )
    plain = known & ~below
    _refuse_outside(item, values, plain, source, "{:g}".format)
    if item.type == "count":
        _refuse(
            plain & ((values < 0) | (values % 1 != 0)).to_numpy(),
            item,
            "values that are no counts",
            "whole numbers from 0",
            source,
            "correct the cells, or set the type to continuous",
        )
    return values if limit is None else values.mask(pd.Series(below, cells.index) | (values < limit), limit)


def _refuse_outside(item: Item, values: pd.Series, plain: np.ndarray, source: _Source, tell) -> None:
    if item.minimum is not None:
        wrong = plain & (values < item.minimum).to_numpy()
        _refuse(wrong, item, "values below the minimum", f"at least {tell(item.minimum)}", source)
    if item.maximum is not None:
        wrong = plain & (values > item.maximum).to_numpy()
        _refuse(wrong, item, "values above the maximum", f"at most {tell(item.maximum)}", source)


def _coded(item: Item, cells: pd.Series, source: _Source) -> pd.Series:
    """Category codes as str with NaN. A declared code that reads like missing, such as NA, is a code."""
    codes = canonical(cells)
    member = codes.isin(item.categories).to_numpy(dtype=bool)
    _refuse(
        ~member & ~blank(cells),
        item,
        "values outside its categories",
        ", ".join(item.categories),
        source,
        "correct the cells, or add the category to the dictionary",
    )
    return codes.where(member)


def _refuse(
    wrong: np.ndarray,
    item: Item,
    what: str,
    expected: str,
    source: _Source,
    remedy: str = "correct the cells or the dictionary",
) -> None:
    """InputError for the rows `wrong` (a mask, or positions), where there are any; it knows of full-width digits."""
    count = int(wrong.sum()) if wrong.dtype == bool else len(wrong)
    if count:
        if source.table.loc[source.table.index[wrong], item.name].str.contains(_WIDE).any():
            remedy = "write full-width digits and signs (１２．５) as 12.5; else " + remedy
        raise InputError(
            f"item {item.name}: {count} {what}",
            where=f"{source.path}, {lines(source.table, wrong)}, column {item.name}",
            expected=expected,
            remedy=remedy,
        )


def _refuse_broken(frame: pd.DataFrame, dictionary: Dictionary, source: _Source, own: np.ndarray) -> None:
    """InputError where values break the rule of an item; own: row of the table of each person, -1 for none."""
    broken = broken_rules(dictionary, frame)
    for i, item in enumerate(dictionary.items):
        if broken[:, i].any():
            rule = "; ".join(f"{sign} " + " + ".join(names) for sign, names in item.rules)
            _refuse(
                np.sort(own[broken[:, i]]),
                item,
                "values that break its rule",
                f"{item.name} {rule}, where all of them are present",
                source,
                "correct the cells, or delete the rule where it does not always hold",
            )


def _reasons(
    frame: pd.DataFrame, stated: dict[str, pd.Series], not_asked: np.ndarray, dictionary: Dictionary
) -> pd.DataFrame:
    """The columns of reasons: what asked_if says, else what the cell said, else unknown; NaN where there is a value."""
    columns = {}
    for item in dictionary.reasoned:
        reason = stated[item.name].fillna("unknown").mask(not_asked[:, dictionary.names.index(item.name)], "not asked")
        columns[reason_column(item.name)] = reason.where(frame[item.name].isna()).astype("str")
    return pd.DataFrame(columns, index=frame.index)


def _aligned(values: pd.Series, own: np.ndarray, dtype: str) -> pd.Series:
    """Values in the order of the people; own: row of each person, -1 where there is none."""
    if len(values) == 0:
        return pd.Series(np.full(len(own), np.nan), dtype="float64").astype(dtype)
    return values.reset_index(drop=True).iloc[own].reset_index(drop=True).mask(own < 0).astype(dtype)


def _remove_not_asked(
    frame: pd.DataFrame, dictionary: Dictionary, sex: np.ndarray, path: Path
) -> tuple[dict[str, int], np.ndarray]:
    """Set values to missing, in place, where the rules say that the item was not asked.

    Returns counts by item, and where nothing was asked: bool (people, items).
    """
    not_asked = structurally_missing(dictionary, frame, sex)
    wrong = not_asked & frame[list(dictionary.names)].notna().to_numpy()
    counts = {name: int(n) for name, n in zip(dictionary.names, wrong.sum(axis=0), strict=True) if n}
    for i, name in enumerate(dictionary.names):
        if name in counts:
            refuse_many_not_asked(dictionary.items[i], counts[name], int(frame[name].notna().sum()), path)
            frame[name] = frame[name].mask(wrong[:, i])
            log.warning(
                "%s: item %s has %d values where its asked_if says not asked; they are taken as missing",
                path.name,
                name,
                counts[name],
            )
    return counts, not_asked


def _item_report(frame: pd.DataFrame, wanted: list[Item], removed: dict[str, int], dictionary: Dictionary) -> dict:
    """Counts by item; an item with one value only is named, because nothing can be learnt from it."""
    constant = [item.name for item in wanted if frame[item.name].nunique() == 1]
    if constant:
        log.warning("items with one value only: %s", ", ".join(constant))
    return {
        "missing": {item.name: int(frame[item.name].isna().sum()) for item in wanted},
        "missing_by_reason": {
            item.name: {k: int(n) for k, n in frame[reason_column(item.name)].value_counts().sort_index().items()}
            for item in dictionary.reasoned
        },
        "at_detection_limit": {
            item.name: int((frame[item.name] == item.detection_limit).sum())
            for item in wanted
            if item.detection_limit is not None
        },
        "removed_not_asked": removed,
        "constant": constant,
    }
