"""Items of the phenotype table as traits for association and effect weights, with their covariates."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri

MINIMUM_VALUES = 30  # fewer people with a value than this: the trait is left out
MINIMUM_CASES = 10  # fewer cases or fewer controls than this: the trait is left out
NORMAL_SCORES = "SD of rank-based inverse normal scores"
OWN_UNITS = {"count": "counts", "ordinal": "categories"}


class Traits(NamedTuple):
    """Traits of n people, ready for regression on dosages.

    names: (t,).  kind: (t,) `linear` or `logistic`.  values: (n, t) float64, NaN where missing; linear
    traits are rank-based inverse normal scores or in their own units, logistic ones 0 or 1.
    covariates: (n, q) float64 without intercept, mean 0 and variance 1, constant columns dropped.
    covariate_names: (q,).  left_out: {trait: why it has no column here}.  units: (t,), of an effect.
    """

    names: tuple[str, ...]
    kind: tuple[str, ...]
    values: np.ndarray
    covariates: np.ndarray
    covariate_names: tuple[str, ...] = ()
    left_out: dict[str, str] = {}  # noqa: RUF012 - never changed
    units: tuple[str, ...] = ()


def inverse_normal(values: np.ndarray) -> np.ndarray:
    """Rank-based inverse normal scores, NaN kept.

    values: (n,).  Ties get their average rank r; score = Phi^-1((r - 3/8) / (n + 1/4)) (Blom 1958).
    """
    values = np.asarray(values, dtype=float)
    seen = ~np.isnan(values)
    scores = np.full(values.shape, np.nan)
    ranks = pd.Series(values[seen]).rank(method="average").to_numpy()
    scores[seen] = ndtri((ranks - 0.375) / (seen.sum() + 0.25))
    return scores


def codes_of(column: pd.Series, categories: tuple[str, ...]) -> np.ndarray:
    """Positions of a column's category codes in `categories`, float64, NaN where missing.

    Raises ValueError when the column holds a code that the dictionary does not list.
    """
    codes = column.map({code: float(k) for k, code in enumerate(categories)}).to_numpy(dtype=float)
    unknown = int((np.isnan(codes) & column.notna().to_numpy()).sum())
    if unknown:
        raise ValueError(f"{unknown} values of item {column.name} are no category of it")
    return codes


def make_covariates(sex, age, stratum, components=None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Standardised covariates age, age^2, sex, one column for every stratum but the largest, and components.

    sex: (n,) codes 0 unknown, 1 male, 2 female; unknown stands midway.  age: (n,) years or None.
    stratum: (n,) str or None; people without one are a stratum of their own.  components: (n, k) or None.
    Returns ((n, q), names); rows without an age are NaN in the age columns, those without a component in its column.
    """
    sex = np.asarray(sex)
    columns = {}
    if age is not None:
        years = np.asarray(age, dtype=float)
        centred = years - np.nanmean(years) if np.isfinite(years).any() else years
        columns |= {"age": centred, "age^2": centred**2}
    columns["sex"] = np.select([sex == 1, sex == 2], [-1.0, 1.0], 0.0)
    if stratum is not None:
        stratum = pd.Series(np.asarray(stratum, dtype=object)).fillna("unknown").to_numpy(dtype=object)
        sizes = pd.Series(stratum).value_counts()
        smaller = sorted(set(sizes.index) - {max(sizes.index, key=lambda s: (sizes[s], s))})
        columns |= {f"stratum {s}": (stratum == s).astype(float) for s in smaller}
    if components is not None:
        columns |= {f"PC{j + 1}": column for j, column in enumerate(np.asarray(components, dtype=float).T)}
    kept = {}
    for name, column in columns.items():
        seen = column[np.isfinite(column)]
        if len(seen) > 1 and seen.std() > 0:
            kept[name] = (column - seen.mean()) / seen.std()
    return np.column_stack([*kept.values()]) if kept else np.empty((len(sex), 0)), tuple(kept)


def make_traits(
    phenotypes: pd.DataFrame, people_sex, age, stratum, dictionary, components=None, rank_normalise: bool = True
) -> Traits:
    """Traits of the dictionary's trait items, in its order.

    phenotypes: a row a person, a column an item (continuous, count: numbers; binary, ordinal: category
    codes); a value that the dictionary's rules forbid is missing here as there.
    people_sex: (n,) 0, 1 or 2.  age: (n,) or None; people without an age are missing in every trait.
    stratum: (n,) or None.  components: (n, k) principal components or None.  rank_normalise: continuous, count
    and ordinal items as rank-based inverse normal scores; otherwise values as they are, categories numbered from 0.
    A trait with fewer than 30 values, without variance, or with fewer than
    10 cases or controls is left out and named, with the reason, in `left_out`.
    """
    covariates, covariate_names = make_covariates(people_sex, age, stratum, components)
    unusable = ~np.isfinite(covariates).all(axis=1)
    covariates = np.where(np.isfinite(covariates), covariates, 0.0)
    columns, kinds, units, left_out = {}, [], [], {}
    for name in dictionary.traits:
        item = dictionary[name]
        if name not in phenotypes.columns:
            left_out[name] = "not in the table"
            continue
        column = phenotypes[name]
        numeric = item.type in ("continuous", "count")
        values = column.to_numpy(dtype=float) if numeric else codes_of(column, item.categories)
        values = np.where(unusable, np.nan, values)
        binary = item.type == "binary"
        reason = _why_not(values, binary)
        if reason:
            left_out[name] = reason
            continue
        scores = rank_normalise and not binary
        columns[name] = inverse_normal(values) if scores else values
        kinds.append("logistic" if binary else "linear")
        own = "log odds" if binary else item.unit or OWN_UNITS.get(item.type, "units of the phenotype table")
        units.append(NORMAL_SCORES if scores else own)
    values = np.column_stack([*columns.values()]) if columns else np.empty((len(phenotypes), 0))
    return Traits(tuple(columns), tuple(kinds), values, covariates, covariate_names, left_out, tuple(units))


def _why_not(values: np.ndarray, binary: bool) -> str:
    """Why a trait cannot be analysed, or an empty text. Numbers below 10 are not told: they could single out."""
    seen = values[~np.isnan(values)]
    if len(seen) < MINIMUM_VALUES:
        return f"fewer than {MINIMUM_VALUES} people have a value"
    if seen.min() == seen.max():
        return "all values are equal"
    if binary and min((seen == 0).sum(), (seen == 1).sum()) < MINIMUM_CASES:
        return f"fewer than {MINIMUM_CASES} cases or controls"
    return ""
