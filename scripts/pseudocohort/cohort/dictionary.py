"""The dictionary: what each item is. A TSV with one row an item, in the order of the pseudo cohort's columns.

This module is what the rest of the library imports: the model (`items`), its file (`dictionary_file`), what rules say
about a frame of items (`rules`), and how such a frame is told to people.
"""

import pandas as pd

from pseudocohort.cohort.dates import as_dates
from pseudocohort.cohort.dictionary_file import (
    at_level,
    for_release,
    read_dictionary,
    some_of,
    without_level,
    write_dictionary,
)
from pseudocohort.cohort.items import (
    COLUMNS,
    FILE_NAME,
    LEVELS,
    NUMERIC,
    REASONS,
    RESERVED,
    ROLES,
    SEX_CODES,
    TYPES,
    Dictionary,
    Item,
    reason_column,
)
from pseudocohort.cohort.rules import broken_rules, structurally_missing

__all__ = [
    "COLUMNS",
    "FILE_NAME",
    "LEVELS",
    "NUMERIC",
    "REASONS",
    "RESERVED",
    "ROLES",
    "SEX_CODES",
    "TYPES",
    "Dictionary",
    "Item",
    "at_level",
    "broken_rules",
    "draft_dictionary",
    "for_release",
    "read_dictionary",
    "readable",
    "reason_column",
    "some_of",
    "structurally_missing",
    "without_level",
    "write_dictionary",
]


def draft_dictionary(table: pd.DataFrame) -> Dictionary:
    """A first dictionary guessed from a phenotype table (text cells as read); see pseudocohort.cohort.draft."""
    from pseudocohort.cohort.draft import draft  # only the drafting needs it

    return draft(table)


def readable(table: pd.DataFrame, dictionary: Dictionary) -> pd.DataFrame:
    """A copy of a frame of items as people read it: dates as datetime64[s], which `to_csv` writes as 2019-04-01.

    table: any columns; those of items of type date hold days since 1970-01-01 with NaN missing (datetimes stay).
    """
    table = table.copy()
    for item in dictionary.items:
        if item.type == "date" and item.name in table and table[item.name].dtype.kind != "M":
            table[item.name] = as_dates(table[item.name])
    return table
