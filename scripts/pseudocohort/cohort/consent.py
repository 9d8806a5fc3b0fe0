"""Consent item by item: a value is used only of people who said yes to its use."""

from pathlib import Path

import numpy as np
import pandas as pd

from pseudocohort.cohort.items import Dictionary
from pseudocohort.cohort.tables import blank, canonical, nearest
from pseudocohort.errors import InputError


def without_unconsented(table: pd.DataFrame, dictionary: Dictionary, path: str | Path) -> tuple[pd.DataFrame, dict]:
    """A copy of the text cells with those made empty whose person has not consented; counts by item.

    table: the phenotype table of the people of the cohort.  A cell that is empty, or holds none of the codes that the
    dictionary's column `consent` names, is no consent.
    InputError: a column of consents that is not in the table, or codes that nobody has.
    """
    table, counts = table.copy(), {}
    for item in dictionary.rows:
        if item.role == "ignore" or not item.consent or item.name not in table:
            continue
        given = np.ones(len(table), dtype=bool)
        for column, codes in item.consent:
            _check(column, item.name, table, path)
            agreed = canonical(table[column]).isin(codes).to_numpy(dtype=bool)
            if not agreed.any():
                raise InputError(
                    f"nobody consents to the use of item {item.name}",
                    where=f"{path}, column {column}; dictionary, item {item.name}, column consent",
                    expected=f"{' or '.join(codes)} for some people",
                    remedy="correct the codes, or set the item's role to ignore",
                )
            given &= agreed
        counts[item.name] = int((~given & ~blank(table[item.name])).sum())
        table[item.name] = table[item.name].mask(~given, "")
    return table, counts


def _check(column: str, item: str, table: pd.DataFrame, path: str | Path) -> None:
    if column not in table:
        close = nearest(column, table.columns)
        raise InputError(
            f"item {item}: there is no column {column!r} of consents" + (f"; did you mean {close!r}?" if close else ""),
            where=f"{path}; dictionary, item {item}, column consent",
            expected="a column of the phenotype table",
            remedy="correct the name",
        )
