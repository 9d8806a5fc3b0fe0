"""Correlations of items, real against pseudo: as they are, and given age, sex and scores."""

from typing import NamedTuple

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from pseudocohort.evaluation.metrics import (
    FOLDS,
    Comparison,
    Draw,
    by_group,
    compared,
    draws,
    folds,
    judged,
    root_mean,
)
from pseudocohort.evaluation.slopes import Slope, estimated, instrumented, squares
from pseudocohort.evaluation.tables import Setting, Table, missingness
from pseudocohort.genetics.traits import inverse_normal
from pseudocohort.measures.line import measure

MOST_COLUMNS = 400  # of the correlation matrices; of more, so many are drawn at random
FEWEST_PAIRS = 3  # of a group of items
GOALS = ("correlation", "correlation_slope", "partial_correlation")
LEAST = 0.1  # correlations above it, in absolute value, make the slope


class Columns(NamedTuple):
    """Columns of the correlation matrices: item index, category (-1: the item itself, -2: its missingness), name."""

    item: np.ndarray
    category: np.ndarray
    names: tuple[str, ...]
    left_out: int = 0


def correlation_columns(items: tuple, train: np.ndarray, lost: np.ndarray, rng: np.random.Generator) -> Columns:
    """Columns to correlate: items, categories of nominal items (5 to 95 % of people), missingness (2 to 98 %).

    train: (n, k) values; lost: (n, k) `tables.missingness`.  Of more than MOST_COLUMNS as many are drawn at random.
    """
    columns, missing = [], []
    for j, item in enumerate(items):
        seen = train[~np.isnan(train[:, j]), j]
        if item.type == "nominal":
            columns += [
                (j, c, f"{item.name} = {code}")
                for c, code in enumerate(item.categories)
                if len(seen) and 0.05 <= (seen == c).mean() <= 0.95
            ]
        elif len(seen) >= 20 and seen.min() < seen.max():
            columns.append((j, -1, item.name))
        rate = lost[lost[:, j] >= 0, j]
        if len(rate) >= 20 and 0.02 <= rate.mean() <= 0.98:
            missing.append((j, -2, f"{item.name} missing"))
    chosen = columns + missing
    left_out = max(0, len(chosen) - MOST_COLUMNS)
    if left_out:
        chosen = [chosen[c] for c in np.sort(rng.permutation(len(chosen))[:MOST_COLUMNS])]
    return Columns(
        np.array([c[0] for c in chosen], dtype=int),
        np.array([c[1] for c in chosen], dtype=int),
        tuple(c[2] for c in chosen),
        left_out,
    )


def normal_scores(table: Table, columns: Columns) -> np.ndarray:
    """The columns as inverse normal ranks or 0/1 indicators: (n, columns).

    NaN where the item is missing, or for its missingness where it was not asked.
    """
    lost = missingness(table)
    scores = np.empty((len(lost), len(columns.item)))
    for c, (j, category) in enumerate(zip(columns.item, columns.category, strict=True)):
        column = table.values[:, j]
        if category == -2:
            scores[:, c] = lost[:, j]
        elif category >= 0:
            scores[:, c] = np.where(np.isnan(column), np.nan, column == category)
        else:
            scores[:, c] = inverse_normal(column)
    return scores


def correlations(x: np.ndarray) -> np.ndarray:
    """Pearson correlations over pairwise complete rows: (n, k) -> (k, k); NaN under 20 pairs or without variance."""
    seen = (~np.isnan(x)).astype(float)
    z = np.where(seen > 0, x, 0.0)
    n = seen.T @ seen
    with np.errstate(all="ignore"):
        mean = (z.T @ seen) / n  # of column i where column j is seen, too
        variance = ((z * z).T @ seen) / n - mean**2
        rho = ((z.T @ z) / n - mean * mean.T) / np.sqrt(variance * variance.T)
    return np.where((n >= 20) & (variance > 1e-9) & (variance.T > 1e-9), rho, np.nan)


def cluster(matrix: np.ndarray) -> np.ndarray:
    """Order of the columns by average-linkage clustering of 1 - |rho|: (k,) int."""
    if len(matrix) < 3:
        return np.arange(len(matrix))
    distance = 1 - np.abs(np.nan_to_num(matrix))
    np.fill_diagonal(distance, 0)
    return leaves_list(linkage(squareform(np.clip(distance, 0, 1), checks=False), "average", optimal_ordering=True))


def correlation_metrics(
    setting: Setting, real: Table, pseudo: Table, naive: Table | None
) -> tuple[dict[str, dict], list[dict], dict]:
    """({goal: line}, further lines, matrices of at least 20 people for the figures)."""
    lost = missingness(real)[setting.train]
    columns = correlation_columns(setting.items, real.values[setting.train], lost, setting.rng)
    reals, pseudos = normal_scores(real, columns), normal_scores(pseudo, columns)
    parts = {"train": reals[setting.train], "holdout": reals[~setting.train], "pseudo": pseudos}
    if naive is not None:
        parts["baseline"] = normal_scores(naive, columns)
    matrices = {name: correlations(rows) for name, rows in parts.items()}
    arrays = {f"correlation/{name}": matrix.astype(np.float32) for name, matrix in matrices.items()}
    arrays |= {"correlation/names": list(columns.names), **_shown_order(setting.items, columns, matrices["train"])}
    if len(columns.item) < 2:
        return {key: measure(key, None) for key in GOALS}, [], arrays
    upper = np.triu_indices(len(columns.item), 1)

    def compare(x, y):
        return estimated(
            lambda rows: correlations(rows)[upper], x, y, setting.train, setting.halves, setting.family, setting.rng
        )

    estimates = compare(reals, pseudos)
    pairs = _group_pairs(setting.items, columns, upper)
    result, slope = squares(estimates, setting.half, pairs), instrumented(estimates, LEAST)
    base, base_slope = (
        (None, None)
        if naive is None
        else _baseline(setting.aside(), estimates, parts["baseline"], matrices["baseline"], upper)
    )
    many = {} if columns.left_out == 0 else {"columns": len(columns.item), "left_out": columns.left_out}
    partial = _partial(setting, real, pseudo, reals, pseudos, pairs)
    goals = {
        "correlation": compared("correlation", result, baseline=base, **many),
        "correlation_slope": _sloped("correlation_slope", slope, setting.half, baseline=base_slope, least=LEAST),
        "partial_correlation": compared("partial_correlation", partial),
    }
    alone = instrumented(estimates, LEAST, (columns.category != -2)[np.array(upper)].all(axis=0))
    more = [_sloped("correlation_slope_of_values", alone, setting.half)]
    for kind, found in (("correlation", result), ("partial", partial)):
        for where in ("within", "others"):
            part = {name: c for (name, place), c in found.sets.items() if place == where}
            more += by_group(f"group_{kind}_{where}", found._replace(sets=part))
    return goals, more, arrays


def _sloped(key: str, slope: Slope, half: int, **more) -> dict:
    """The line of a Slope; half: people of a real half."""
    return measure(key, slope.value, interval=slope.interval, floor=slope.floor, people=half, **more)


def _baseline(setting: Setting, estimates: list, rows: np.ndarray, matrix: np.ndarray, upper) -> tuple[float, float]:
    """Ratio and slope of the naive method, from the exact splits' estimates."""
    exact = [e for e in estimates if e.fold < 0]
    size = min(setting.half, len(rows))
    drawn = correlations(rows[setting.rng.permutation(len(rows))[:size]])[upper]
    replaced = [e._replace(matched=drawn, pseudo=matrix[upper]) for e in exact]
    return squares(replaced, setting.half).ratio, instrumented(replaced, LEAST).value


def _partial(
    setting: Setting, real: Table, pseudo: Table, reals: np.ndarray, pseudos: np.ndarray, pairs: dict
) -> Comparison:
    """The Comparison of the correlations given the conditions; pairs: sets of them, see `metrics.judged`."""
    upper = np.triu_indices(reals.shape[1], 1)
    held = np.flatnonzero(~setting.train)
    x, y = np.full_like(reals, np.nan), np.full_like(pseudos, np.nan)
    x[held] = given(reals[held], real.conditions[held], real.scores[held])
    # Regressions on as many people as the holdout has, so that both sides lose as much to them.
    for rows in np.array_split(setting.rng.permutation(len(y)), max(1, round(len(y) / max(len(held), 1)))):
        y[rows] = given(pseudos[rows], pseudo.conditions[rows], pseudo.scores[rows])

    def matched(d: Draw):
        a, b, p = (correlations(t[rows])[upper] for t, rows in ((x, d.first), (x, d.second), (y, d.drawn)))
        return d.fold, (p - a) ** 2, (b - a) ** 2

    all_draws = draws(setting.halves, folds(setting.family, len(y), setting.rng), setting.rng, FOLDS)
    return judged(map(matched, all_draws), root_mean, setting.half, pairs)


def given(x: np.ndarray, conditions: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Residuals of the columns of x (n, k) after regression on age, age squared, sex, stratum and all scores.

    conditions: (n, 3) sex, stratum, age, as in Table; NaN ages stand at the mean.  scores: (n, t).  A column is
    regressed over the people who have it; its residuals are NaN where it is, or where these are fewer than twice
    the terms.
    """
    sex, stratum, age = conditions.T
    age = np.where(np.isnan(age), np.nanmean(age) if np.isfinite(age).any() else 0.0, age)
    strata = [stratum == s for s in np.unique(stratum)[1:]]
    design = np.column_stack([np.ones(len(x)), age, (age - age.mean()) ** 2, sex, *strata, scores])
    scale = design.std(axis=0)
    design = design / np.where(scale > 0, scale, 1.0)
    residual = np.full_like(x, np.nan)
    seen = ~np.isnan(x)
    complete = seen.all(axis=0)
    if complete.any() and len(x) > 2 * design.shape[1]:
        residual[:, complete] = x[:, complete] - design @ np.linalg.lstsq(design, x[:, complete], rcond=None)[0]
    for c in np.flatnonzero(~complete):
        rows = seen[:, c]
        if rows.sum() > 2 * design.shape[1]:
            residual[rows, c] = x[rows, c] - design[rows] @ np.linalg.lstsq(design[rows], x[rows, c], rcond=None)[0]
    return residual


def _shown_order(items: tuple, columns: Columns, matrix: np.ndarray) -> dict:
    """Columns of the heat maps: by group in the dictionary's order, clustered within. Missingness is left out, to
    keep the maps readable."""
    groups = [item.group for item in items]
    order, names, sizes = [], [], []
    for group in dict.fromkeys(groups):
        inside = [c for c, (j, kind) in enumerate(zip(columns.item, columns.category, strict=True))
                  if groups[j] == group and kind != -2]  # fmt: skip
        if inside:
            order += list(np.array(inside)[cluster(matrix[np.ix_(inside, inside)])])
            names.append(group)
            sizes.append(len(inside))
    return {
        "correlation/order": np.array(order, dtype=int),
        "correlation/groups": names,
        "correlation/group_sizes": np.array(sizes, dtype=int),
    }


def _group_pairs(items: tuple, columns: Columns, upper: tuple) -> dict[tuple[str, str], np.ndarray]:
    """(group of items, "within" or "others") -> its pairs of columns within the group, or with other groups."""
    group = np.array([items[j].group for j in columns.item])
    first, second = (group[side] for side in upper)
    pairs = {}
    for name in dict.fromkeys(item.group for item in items):
        inside = (first == name) & (second == name)
        pairs[name, "within"] = np.flatnonzero(inside)
        pairs[name, "others"] = np.flatnonzero(((first == name) | (second == name)) & ~inside)
    return {key: found for key, found in pairs.items() if len(found) >= FEWEST_PAIRS}
