"""Columns that tell who a person is rather than something about the person: the one place that judges it."""

import re

import numpy as np
import pandas as pd

ENOUGH = 20  # fewer people than this may well all differ
# Whole numbers all differ although chance would have made this many pairs alike: they were numbered through.
_COINCIDENCES = 10.0
_DIGITS = 6  # whole numbers of as many digits or more may be ids drawn from all numbers of that length
_SPREAD = 1.36  # Kolmogorov's 5 % point: n ** 0.5 times the largest distance from a uniform distribution
_ROWS = 100  # fewer people than this may well be sorted, or spread evenly
_NAME = re.compile(
    r"(.*[_ .\-])?(id|iid|fid|seqn|no|record|subject|person|participant|patient|sample|barcode|chart|card|insurance|"
    r"insurer|insured|mrn|passport|licen[cs]e|registration|account)([_ .\-]?(id|nos?|nr|num|number|code))?[.]?|"
    r"(?-i:.*[a-z])(?-i:ID|Id|No|Number)[.]?|"
    r".*(番号|記号|カルテ|保険|保険証|証|ＩＤ|(?-i:[^A-Z]ID))([_ ・の]*(id|no|番号|記号|コード))?[.]?",
    re.I,
)


def named_like_an_id(name: str) -> bool:
    """Is a column of this name an id as a rule?"""
    return _NAME.fullmatch(name.strip()) is not None


def has_leading_zeros(cells: pd.Series) -> bool:
    """Are the text cells (n,) whole numbers with zeros before them, as 00123 is, and no quantity?

    A zero before one number may be a slip; of ids many have one, or all have the same length.
    """
    if len(cells) == 0 or not cells.str.fullmatch(r"\d+").all():
        return False
    led = cells.str.fullmatch(r"0\d+").mean()
    return bool(led >= 0.05 or (led > 0 and cells.str.len().nunique() == 1))


def looks_like_an_id(name: str, kind: str, values: pd.Series) -> bool:
    """Does everybody have another value, and is it no measurement?

    kind: the item's type.  values: (n,) those present, in the order of the table; numbers of numeric items.
    Of 20 people or more these are ids: counts that all differ, categories of which there are more than half as many
    as people, and whole numbers of a continuous item that all differ if its name says so, or if their digits do:
    they lie so close (within R of each other) that of n people n^2 / 2R > 10 pairs would be alike by chance; of
    100 people or more, they rise from row to row, or have one length of 6 digits or more and are spread evenly over
    all numbers of it. Intensities, which are whole numbers far apart, are measurements. Dates are not judged.
    """
    n = len(values)
    if n < ENOUGH or kind == "date":
        return False
    if kind not in ("continuous", "count"):
        return values.nunique() > max(ENOUGH, n / 2) or values.nunique() == n
    if values.nunique() < n:
        return False
    if kind == "count":
        return True
    return bool((values % 1 == 0).all()) and (named_like_an_id(name) or _numbered(values.to_numpy(dtype="float64")))


def _numbered(values: np.ndarray) -> bool:
    """Do the digits of whole numbers (n,) that all differ look like those of ids?"""
    n = len(values)
    if n**2 / (2 * (float(np.ptp(values)) + 1)) > _COINCIDENCES:
        return True
    if n < _ROWS:
        return False
    if (np.diff(values) > 0).all():
        return True
    low = 10.0 ** np.floor(np.log10(max(float(values.min()), 1.0)))
    if low < 10.0 ** (_DIGITS - 1) or values.max() >= 10 * low:
        return False
    share = (np.sort(values) - low) / (9 * low)
    away = np.maximum(np.arange(1, n + 1) / n - share, share - np.arange(n) / n).max()
    return bool(away * np.sqrt(n) < _SPREAD)
