"""Columns that tell who a person is rather than something about the person."""

import re

import numpy as np
import pandas as pd

ENOUGH = 20  # fewer people than this may well all differ
# Whole numbers all differ although chance would have made this many pairs alike: they were numbered through.
_COINCIDENCES = 10.0
_NAME = re.compile(
    r"(.*[_ .])?(id|iid|fid|seqn|record|subject|person|participant|patient|sample|barcode)"
    r"([_ .]?(id|no|num|number|code))?|.*(番号|ＩＤ|(?-i:[^A-Z]ID))",
    re.I,
)


def named_like_an_id(name: str) -> bool:
    """Is a column of this name an id as a rule?"""
    return _NAME.fullmatch(name) is not None


def looks_like_an_id(name: str, kind: str, values: pd.Series) -> bool:
    """Does everybody have another value, and is it no measurement?

    kind: the item's type.  values: (n,) those present, numbers of numeric items.
    Text codes and counts of 20 people or more that all differ are ids. So are whole numbers of a continuous item if
    its name says so, or if they lie so close (within R of each other) that of n people n^2 / 2R > 10 pairs would be
    alike by chance; intensities, which are whole numbers far apart, are measurements. Dates are not judged.
    """
    n = len(values)
    if n < ENOUGH or kind == "date" or values.nunique() < n:
        return False
    if kind != "continuous":
        return True
    if (values % 1 != 0).any():
        return False
    spread = float(np.ptp(values)) + 1
    return named_like_an_id(name) or n**2 / (2 * spread) > _COINCIDENCES
