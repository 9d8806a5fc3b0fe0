"""Phenotype tables as numbers, and what every comparison of items shares."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.dictionary import (
    NUMERIC,
    SEX_CODES,
    Dictionary,
    broken_rules,
    reason_column,
    structurally_missing,
)
from pseudocohort.evaluation.metrics import Comparison, against_floor, real_halves

MOST_PEOPLE = 20_000  # trained on, of the holdout, and pseudo: what is compared stays in memory
MOST_IN_HALF = 5000  # people: more would cost time and show differences that no study of this size can see


class Table(NamedTuple):
    """A phenotype table as numbers.

    values: (n, k) float64, codes 0, 1, ... for discrete items (unknown categories: the number of categories),
    NaN missing.  conditions: (n, 3) float64: sex (1, 2, 0 unknown), stratum code, age (NaN where unknown).
    scores: (n, t) float64.  asked: (n, k) bool, False where the dictionary's rules say "not asked".
    state: (n, k) float64, why a value is missing: 0 it is given, 1, 2, ... the item's reasons in the dictionary's
    order, then one more for any other reason; NaN where not asked.  broken: (n, k) bool, values against a `rule`.
    """

    values: np.ndarray
    conditions: np.ndarray
    scores: np.ndarray
    asked: np.ndarray
    state: np.ndarray
    broken: np.ndarray


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

    @property
    def groups(self) -> dict[str, np.ndarray]:
        """Positions of the items of every group, in the dictionary's order of the groups."""
        names = np.array([item.group for item in self.items])
        return {str(name): np.flatnonzero(names == name) for name in dict.fromkeys(names)}

    @property
    def half(self) -> int:
        """People in a half of the holdout."""
        return min(map(len, self.halves[0])) if self.halves else 0

    def aside(self) -> "Setting":
        """The same with a generator of its own, so that what is drawn for a baseline changes no other number."""
        return self._replace(rng=self.rng.spawn(1)[0])

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
        if pd.api.types.is_datetime64_any_dtype(column):
            values[:, j] = (column - pd.Timestamp(0)) / pd.Timedelta(days=1)
        elif item.type in NUMERIC:
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
    items = encode(frame, dictionary.items)
    asked = ~structurally_missing(dictionary, frame, sex)
    return Table(
        items,
        np.column_stack([sex, stratum, age]),
        values,
        asked,
        _states(frame, dictionary.items, items, asked),
        broken_rules(dictionary, dict(zip(dictionary.names, items.T, strict=True))),
    )


def _states(frame: pd.DataFrame, items: tuple, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """See Table.state."""
    states = np.isnan(values).astype(float)
    for j, item in enumerate(items):
        column = reason_column(item.name)
        if item.reasons:
            known = frame[column] if column in frame else pd.Series([None] * len(frame))
            code = _codes(known, item.reasons)
            states[:, j] *= np.where(code < 0, len(item.reasons), code) + 1
    return np.where(asked, states, np.nan)


def missingness(table: Table) -> np.ndarray:
    """1 missing, 0 given, NaN not asked: (n, k) float64."""
    return np.where(table.asked, np.isnan(table.values), np.nan)


def capped(halves: list, rng: np.random.Generator, most: int = MOST_IN_HALF) -> list[tuple[np.ndarray, np.ndarray]]:
    """The halves with at most so many people each, drawn at random: the order of a table's rows may mean something."""
    return [tuple(h if len(h) <= most else np.sort(rng.permutation(h)[:most]) for h in pair) for pair in halves]


def sampled(part: np.ndarray, pseudo: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the real and of the pseudo people who are compared: all, or MOST_PEOPLE drawn at random of those trained
    on, of the holdout, and of the pseudo people; ascending.

    part: (n,) train, A or B.  pseudo: number of pseudo people.
    """
    rng = counter.generator(seed, "people whose items are compared")
    groups = np.flatnonzero(part == "train"), np.flatnonzero(part != "train"), np.arange(pseudo)
    train, held, made = (g if len(g) <= MOST_PEOPLE else np.sort(rng.permutation(g)[:MOST_PEOPLE]) for g in groups)
    return np.sort(np.concatenate([train, held])), made


def prepare(
    people: pd.DataFrame,
    real: pd.DataFrame,
    real_scores: pd.DataFrame,
    pseudo: pd.DataFrame,
    pseudo_scores: pd.DataFrame,
    dictionary: Dictionary,
    seed: int,
    baseline: pd.DataFrame | None = None,
) -> tuple[Setting, Table, Table, Table | None]:
    """(setting, real, pseudo, baseline) for `items.judge_items`, from frames.

    people: real people (sex, family, stratum, part: train, A or B); real, real_scores: same rows.  pseudo, baseline:
    sex, stratum, age, items; pseudo_scores: rows of pseudo.  The same seed gives the same splits for every model.
    """
    rng = counter.generator(seed, "evaluate items")
    part, family = people["part"].to_numpy(dtype=str), people["family"].to_numpy(dtype=str)
    names = tuple(t for t in real_scores.columns if t != "person" and t in pseudo_scores.columns)
    strata = tuple(sorted({str(s) for s in people["stratum"]}))
    halves = capped(real_halves(family, part, rng), rng)
    setting = Setting(dictionary.items, family, part, halves, names, rng)
    tables = [make_table(people, real, real_scores, dictionary, names, strata)]
    tables.append(make_table(pseudo, pseudo, pseudo_scores, dictionary, names, strata))
    naive = None if baseline is None else make_table(baseline, baseline, None, dictionary, names, strata)
    return setting, *tables, naive
