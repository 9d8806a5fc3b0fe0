"""What the network is conditioned on: scores, age, sex, stratum; and the ages of pseudo people."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.errors import InputError
from pseudocohort.phenotype.quantiles import Quantile, fit_quantile
from pseudocohort.phenotype.rounding import Rounding, fit_rounding, rounding_from_json, rounding_to_json

FEWEST = 20  # people of known age without whom there is no distribution of ages
GROUP = 50  # people a stratum x sex group needs for an age distribution of its own
SEX_CODES = {"male": 1, "female": 2, "": 0}
SEX_NAMES = np.array([None, "male", "female"], dtype=object)


class Conditions(NamedTuple):
    """How the condition matrix is made. scores: names; strata: known labels; knots: ages (4,) or empty
    (no age); mean, sd: of every raw column in the training people, whose median age stands for a missing one."""

    scores: tuple[str, ...]
    strata: tuple[str, ...]
    knots: np.ndarray
    median_age: float
    mean: np.ndarray
    sd: np.ndarray


class Ages(NamedTuple):
    """Smoothed age distributions and their rounding by (stratum, sex), with ("", sex) and ("", -1) for groups that
    are too small."""

    groups: dict[tuple[str, int], tuple[Quantile, Rounding]]


def sex_codes(sex) -> np.ndarray:
    """int8 codes 0 unknown, 1 male, 2 female from codes or from 'male' and 'female'."""
    sex = np.asarray(sex)
    if not np.issubdtype(sex.dtype, np.number):
        sex = pd.Series(sex, dtype=object).fillna("").map(SEX_CODES).to_numpy()
    if not np.isin(sex, (0, 1, 2)).all():
        raise InputError(
            "unknown sex code",
            expected="0 or empty, 1 or male, 2 or female",
            where="the column of sex",
            remedy="correct the codes",
        )
    return sex.astype(np.int8)


def score_matrix(scores: pd.DataFrame, names: tuple[str, ...]) -> np.ndarray:
    """float64 (n, scores) in the order of names; InputError for a missing column or a missing value."""
    absent = [name for name in names if name not in scores.columns]
    if absent:
        raise InputError(
            f"scores lack {len(absent)} of the traits the network was trained with: {absent[0]} ...",
            where="scores",
            remedy="score these people with the weights of the same run",
        )
    matrix = scores[list(names)].to_numpy(dtype=np.float64)
    for name, column in zip(names, matrix.T, strict=True):
        if not np.isfinite(column).all():
            raise InputError(
                f"score {name} is missing for {int((~np.isfinite(column)).sum())} people",
                where="scores",
                expected="a score for everybody",
                remedy="score everybody with the same weights",
            )
    return matrix


def fit_conditions(scores: pd.DataFrame, age: np.ndarray | None, sex: np.ndarray, stratum: np.ndarray) -> Conditions:
    """Learn the standardisation from the training people (n rows in all arguments; age None: not a condition)."""
    names = tuple(c for c in scores.columns if c != "person")
    known = np.empty(0) if age is None else age[np.isfinite(age)]
    knots = np.quantile(known, [0.05, 0.35, 0.65, 0.95]) if len(np.unique(known)) > 10 else np.unique(known)[:0]
    median = float(np.median(known)) if len(known) else 0.0
    spec = Conditions(names, tuple(sorted(set(map(str, stratum)))), knots, median, np.zeros(1), np.ones(1))
    raw = _raw(spec, scores, age, sex, stratum)
    sd = raw.std(0)
    return spec._replace(mean=raw.mean(0), sd=np.where(sd > 1e-12, sd, np.inf))


def condition_matrix(spec: Conditions, scores: pd.DataFrame, age, sex: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """float32 (n, conditions), every column standardised as in training; constant columns are 0."""
    return ((_raw(spec, scores, age, sex, stratum) - spec.mean) / spec.sd).astype(np.float32)


def _raw(spec: Conditions, scores: pd.DataFrame, age, sex: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    unknown = set(map(str, stratum)) - set(spec.strata)
    if unknown:
        raise InputError(
            f"{len(unknown)} strata are unknown to the network",
            where="stratum",
            expected=", ".join(spec.strata),
            remedy="sample for the strata the network was trained on, or train again",
        )
    matrix = score_matrix(scores, spec.scores)
    signed = np.select([sex == 1, sex == 2], [-1.0, 1.0], 0.0)
    columns = [signed, *(np.asarray(stratum).astype(str) == s for s in spec.strata[1:])]
    if age is not None:
        years = np.where(np.isfinite(age), age, spec.median_age)
        columns += [years, years * signed, *natural_spline(years, spec.knots).T]
    return np.column_stack([matrix, *columns]) if columns else matrix


def natural_spline(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """The curved part of a natural cubic spline, (n, knots - 2); linear beyond the outer knots.

    Hastie, Tibshirani, Friedman, Elements of Statistical Learning, eq. 5.4-5.5 (scaled by the knots' range).
    """
    if len(knots) < 3 or knots[-1] <= knots[0]:
        return np.empty((len(x), 0))
    x, knots = (x - knots[0]) / (knots[-1] - knots[0]), (knots - knots[0]) / (knots[-1] - knots[0])

    def d(k):
        return (np.maximum(x - knots[k], 0) ** 3 - np.maximum(x - knots[-1], 0) ** 3) / max(knots[-1] - knots[k], 1e-9)

    return np.column_stack([d(k) - d(len(knots) - 2) for k in range(len(knots) - 2)])


def fit_ages(age: np.ndarray, sex: np.ndarray, stratum: np.ndarray, decimals: int | None, bounds=(None, None)) -> Ages:
    """Smoothed age distributions of the training people; groups under 50 people use their sex's, then everyone's.

    age (n,) in years, NaN unknown; decimals: None for as many as the ages have; bounds: least and greatest age.
    """
    known, labels = np.isfinite(age), np.asarray(stratum).astype(str)
    if known.sum() < FEWEST:
        raise InputError(
            f"the age is known of {int(known.sum())} of {len(age)} training people",
            where="phenotype table, the item with the role age",
            expected=f"the ages of at least {FEWEST}",
            remedy="give the item of the role age the role ignore, or correct the table",
        )
    groups = {("", -1): known}
    for code in np.unique(sex):
        groups["", int(code)] = known & (sex == code)
        for label in np.unique(labels):
            groups[str(label), int(code)] = groups["", int(code)] & (labels == label)
    made = {}
    for key, rows in groups.items():
        if rows.sum() >= GROUP or key == ("", -1):
            quantile = fit_quantile(age[rows], lower=bounds[0], upper=bounds[1])
            made[key] = quantile, fit_rounding(age[rows], quantile.steps, decimals)
    return Ages(made)


def draw_age(ages: Ages, sex: np.ndarray, stratum: np.ndarray, seed: int) -> np.ndarray:
    """Ages (n,) from the smoothed distribution of stratum x sex, rounded; independent of everything else.

    Each group's cumulative shares are stratified (one draw in each of its equal parts), so that its age
    distribution is the training one as closely as its size allows.
    """
    age = np.empty(len(sex))
    labels = np.asarray(stratum).astype(str)
    for label in np.unique(labels):
        for code in np.unique(sex):
            rows = np.flatnonzero((labels == label) & (sex == code))
            keys = ((str(label), int(code)), ("", int(code)), ("", -1))
            quantile, rounding = next(ages.groups[k] for k in keys if k in ages.groups)
            random = counter.generator(seed, "age", label, int(code))
            share = (random.permutation(len(rows)) + random.random(len(rows))) / max(len(rows), 1)
            age[rows] = rounding.apply(quantile.value(share), share, random.random(len(rows)))
    return age


def conditions_to_json(spec: Conditions, ages: Ages | None) -> dict:
    """Both in plain lists, for json.dump."""
    plain = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in spec._asdict().items()}
    plain["sd"] = [None if np.isinf(v) else v for v in plain["sd"]]
    groups = ages and [
        [*key, *(a.tolist() for a in quantile), rounding_to_json(rounding)]
        for key, (quantile, rounding) in ages.groups.items()
    ]
    return {"conditions": plain, "ages": groups}


def conditions_from_json(plain: dict) -> tuple[Conditions, Ages | None]:
    """Inverse of `conditions_to_json`."""
    c, a = plain["conditions"], plain["ages"]
    spec = Conditions(
        tuple(c["scores"]),
        tuple(c["strata"]),
        np.array(c["knots"]),
        c["median_age"],
        np.array(c["mean"]),
        np.array([np.inf if v is None else v for v in c["sd"]]),
    )
    ages = a and Ages(
        {
            (g[0], g[1]): (
                Quantile(np.array(g[2]), np.array(g[3]), np.array(g[4]).reshape(-1, 3)),
                rounding_from_json(g[5]),
            )
            for g in a
        }
    )
    return spec, ages
