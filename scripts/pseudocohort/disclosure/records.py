"""Rows of items as an attacker reads them: numbers on a common scale, without having seen who took part."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri

from pseudocohort.cohort.dictionary import NUMERIC, Dictionary

KNOWN = ("sex", "age", "stratum")  # what the pseudo cohort's table tells besides the items
JITTER = 0.01  # standard deviations that a planted copy is off


class Records(NamedTuple):
    """x: (n, columns) float64.  numeric: (columns,) bool, True for normal scores, False for codes and indicators."""

    x: np.ndarray
    numeric: np.ndarray

    def take(self, rows: np.ndarray) -> "Records":
        return self._replace(x=self.x[rows])


def attackers_tables(people: pd.DataFrame, items: pd.DataFrame, dictionary: Dictionary) -> pd.DataFrame:
    """Sex (1, 2, 0 unknown), age, stratum and the items of real people, as columns of the pseudo cohort's table."""
    table = pd.DataFrame({"sex": people["sex"].to_numpy(), "stratum": people["stratum"].astype(str).to_numpy()})
    age = dictionary.age
    if age is not None and age.name in items:
        table["age"] = items[age.name].to_numpy(dtype=float)
    for item in dictionary.items:
        table[item.name] = items[item.name].to_numpy()
    return table


def common_scale(tables: list[pd.DataFrame], known: list[int], dictionary: Dictionary) -> list[Records]:
    """The tables as numbers. Scales are those of the tables `known` (positions), which the attacker holds: the pseudo
    cohort and a reference of other people.

    Numbers become normal scores of their rank among the known values; ordered categories their standardised place;
    others an indicator a category, divided by sqrt 2; missing values the middle, beside an indicator of missing.
    """
    columns = [c for c in (*KNOWN, *dictionary.names) if all(c in t for t in tables)]
    parts: list[list[np.ndarray]] = [[] for _ in tables]
    numeric: list[bool] = []
    for name in columns:
        item = dictionary[name] if name in dictionary.names else None
        ordered = name == "age" or (item is not None and item.type in (*NUMERIC, "ordinal", "binary"))
        values = [numbers(t[name], item) if ordered else t[name].astype(object) for t in tables]
        if ordered:
            blocks = _ordered(values, known)
            numeric += [True] + [False] * (blocks[0].shape[1] - 1)
        else:
            blocks = _indicators(values, known)
            numeric += [False] * blocks[0].shape[1]
        for part, block in zip(parts, blocks, strict=True):
            part.append(block)
    return [Records(np.hstack(part), np.array(numeric, dtype=bool)) for part in parts]


def numbers(column: pd.Series, item) -> np.ndarray:
    """A column as numbers, float64 with NaN: places of categories, days of dates. item: of the dictionary, or None."""
    if item is not None and item.type in ("ordinal", "binary"):
        codes = pd.Index(item.categories, dtype=object).get_indexer(column.astype(object)).astype(float)
        return np.where(codes < 0, np.nan, codes)
    if pd.api.types.is_datetime64_any_dtype(column):
        return ((column - pd.Timestamp(0)) / pd.Timedelta(days=1)).to_numpy(dtype=float)
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)


def _ordered(values: list[np.ndarray], known: list[int]) -> list[np.ndarray]:
    """(n, 1 or 2): normal scores of mid-ranks among the known values; an indicator of missing where there are any."""
    base = np.sort(np.concatenate([values[k][~np.isnan(values[k])] for k in known]))
    missing = any(np.isnan(values[k]).any() for k in known)
    blocks = []
    for v in values:
        seen = ~np.isnan(v)
        score = np.zeros(len(v))
        if len(base):
            below, upto = (np.searchsorted(base, v[seen], side) for side in ("left", "right"))
            score[seen] = ndtri((below + upto + 1) / 2 / (len(base) + 1))
        blocks.append(np.column_stack([score, ~seen]) if missing else score[:, None])
    return blocks


def _indicators(values: list[pd.Series], known: list[int]) -> list[np.ndarray]:
    """(n, categories) / sqrt 2, missing values all 0."""
    names = sorted({str(x) for k in known for x in values[k].dropna().unique()})
    return [
        np.column_stack([(v.astype(str) == name).to_numpy() for name in names]) / np.sqrt(2)
        if names
        else np.empty((len(v), 0))
        for v in values
    ]


def with_copies(
    pseudo: Records, members: Records, share: float, rng: np.random.Generator
) -> tuple[Records, np.ndarray]:
    """The planted leak: a share of the pseudo rows replaced by rows of members, a little off; and of which members."""
    count = min(max(int(share * len(pseudo.x)), 1), len(members.x), len(pseudo.x))
    copied = np.sort(rng.permutation(len(members.x))[:count])
    x = pseudo.x.copy()
    noise = JITTER * rng.standard_normal((count, x.shape[1])) * pseudo.numeric
    x[rng.permutation(len(x))[:count]] = members.x[copied] + noise
    return pseudo._replace(x=x), copied
