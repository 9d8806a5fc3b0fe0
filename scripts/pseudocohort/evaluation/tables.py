"""Phenotype tables as numbers, and what every comparison of items shares."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.cohort.dictionary import structurally_missing
from pseudocohort.evaluation.metrics import Comparison, against_floor

NUMERIC = ("continuous", "count")
SEX_CODES = {"male": 1, "female": 2}


class Table(NamedTuple):
    """A phenotype table as numbers.

    values: (n, k) float64, codes 0, 1, ... for discrete items (unknown categories: the number of categories),
    NaN missing.  conditions: (n, 3) float64: sex (1, 2, 0 unknown), stratum code, age (NaN where unknown).
    scores: (n, t) float64.  asked: (n, k) bool, False where the dictionary's rules say "not asked".
    """

    values: np.ndarray
    conditions: np.ndarray
    scores: np.ndarray
    asked: np.ndarray


class Setting(NamedTuple):
    """items of the dictionary (k,); family, part of the real people (n,); halves: splits of the holdout;
    score_names: (t,); rng: the one generator of this evaluation."""

    items: tuple
    family: np.ndarray
    part: np.ndarray
    halves: list
    score_names: tuple[str, ...]
    rng: np.random.Generator

    @property
    def train(self) -> np.ndarray:
        return self.part == "train"

    @property
    def numeric(self) -> np.ndarray:
        return np.array([item.type in NUMERIC for item in self.items], dtype=bool)

    def compare(self, distance, real: np.ndarray, pseudo: np.ndarray, **more) -> Comparison:
        """`against_floor` with this setting's halves and families."""
        return against_floor(distance, real, pseudo, self.halves, self.family, self.rng, **more)


def encode(frame: pd.DataFrame, items: tuple) -> np.ndarray:
    """Item values as numbers, see Table: (n, k) float64; an item that is no column is missing throughout."""
    values = np.full((len(frame), len(items)), np.nan)
    for j, item in enumerate(items):
        if item.name not in frame.columns:
            continue
        column = frame[item.name]
        if item.type in NUMERIC:
            values[:, j] = column.to_numpy(dtype=float)
        else:
            codes = _codes(column, item.categories)
            unknown = np.where(column.isna().to_numpy(), np.nan, len(item.categories))
            values[:, j] = np.where(codes < 0, unknown, codes)
    return values


def _codes(column: pd.Series, categories: tuple[str, ...]) -> np.ndarray:
    """Positions in `categories`, float64; -1 for everything else."""
    return pd.Index(categories, dtype=object).get_indexer(column.astype(object)).astype(float)


def make_table(
    people: pd.DataFrame,
    frame: pd.DataFrame,
    scores: pd.DataFrame | None,
    dictionary,
    score_names: tuple[str, ...],
    strata: tuple[str, ...],
) -> Table:
    """people: columns sex and stratum; frame: items and the age (`age` or the dictionary's name); rows alike.
    scores: None for a table without (zeros).  strata: names in the order of their codes."""
    sex = people["sex"]
    sex = sex if pd.api.types.is_numeric_dtype(sex) else sex.map(SEX_CODES).fillna(0)
    names = people["stratum"] if "stratum" in people else pd.Series([""] * len(people))
    stratum = _codes(names.astype(str), strata)
    name = dictionary.age.name if dictionary.age is not None else "age"
    name = name if name in frame else "age"
    age = frame[name].to_numpy(dtype=float) if name in frame else np.full(len(frame), np.nan)
    values = (
        np.zeros((len(frame), len(score_names))) if scores is None else scores[list(score_names)].to_numpy(dtype=float)
    )
    sex = sex.to_numpy(dtype=np.int8)
    return Table(
        encode(frame, dictionary.items),
        np.column_stack([sex, stratum, age]),
        values,
        ~structurally_missing(dictionary, frame, sex),
    )


def missingness(table: Table) -> np.ndarray:
    """1 missing, 0 given, NaN not asked: (n, k) float64."""
    return np.where(table.asked, np.isnan(table.values), np.nan)
