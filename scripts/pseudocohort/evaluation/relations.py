"""Correlations of items, and their links to the scores, real against pseudo."""

from typing import NamedTuple

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from pseudocohort.evaluation.metrics import against_floor, compared, metric, real_halves, root_mean
from pseudocohort.evaluation.tables import Setting, Table, missingness
from pseudocohort.genetics.traits import inverse_normal


class Columns(NamedTuple):
    """Columns of the correlation matrices: item index, category (-1: the item itself, -2: its missingness), name."""

    item: np.ndarray
    category: np.ndarray
    names: tuple[str, ...]


def correlation_columns(items: tuple, train: np.ndarray, lost: np.ndarray) -> Columns:
    """Columns to correlate: items, categories of nominal items (5 to 95 % of people), missingness (2 to 98 %).

    train: (n, k) values; lost: (n, k) `tables.missingness`.
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
    return Columns(
        np.array([c[0] for c in chosen], dtype=int),
        np.array([c[1] for c in chosen], dtype=int),
        tuple(c[2] for c in chosen),
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


def _shown_order(columns: Columns, matrix: np.ndarray) -> np.ndarray:
    """Columns of the heat maps in clustered order; missingness is left out, to keep the maps readable."""
    shown = np.flatnonzero(columns.category != -2)
    return shown[cluster(matrix[np.ix_(shown, shown)])]


def slope_through_origin(reference: np.ndarray, values: np.ndarray, least: float = 0.1) -> float:
    """Slope of values on reference, without intercept, over the pairs with |reference| > least."""
    use = np.isfinite(reference) & np.isfinite(values) & (np.abs(reference) > least)
    return float((reference[use] @ values[use]) / (reference[use] @ reference[use])) if use.any() else np.nan


def correlation_metrics(setting: Setting, real: Table, pseudo: Table, naive: Table) -> tuple[list[dict], dict]:
    """Metrics of the correlation matrices, and the matrices (aggregates of at least 20 people)."""
    lost = missingness(real)[setting.train]
    columns = correlation_columns(setting.items, real.values[setting.train], lost)
    reals, pseudos, naives = (normal_scores(t, columns) for t in (real, pseudo, naive))
    sets = {
        "train": correlations(reals[setting.train]),
        "holdout": correlations(reals[~setting.train]),
        "pseudo": correlations(pseudos),
        "baseline": correlations(naives),
    }
    arrays = {f"correlation/{name}": matrix for name, matrix in sets.items()}
    arrays |= {"correlation/names": list(columns.names), "correlation/order": _shown_order(columns, sets["train"])}
    if len(columns.item) < 2:
        return [], arrays
    upper = np.triu_indices(len(columns.item), 1)

    def distance(x, y):
        return (correlations(x)[upper] - correlations(y)[upper]) ** 2

    result = setting.compare(distance, reals, pseudos, total=root_mean)
    naive_ratio = setting.compare(distance, reals, naives, total=root_mean, resamples=0).ratio
    slope, floor, naive_slope = (
        slope_through_origin(sets["train"][upper], sets[k][upper]) for k in ("pseudo", "holdout", "baseline")
    )
    partial = setting.compare(distance, _given(reals, real, ~setting.train), _given(pseudos, pseudo), total=root_mean)
    return [
        compared("items", "correlations of items (RMS difference)", result, 1.5, baseline=naive_ratio, headline=True),
        _slope_metric("items", "slope of pseudo on real correlations where |ρ| > 0.1", slope, floor, naive_slope),
        compared("items", "correlations given age, sex and scores (RMS difference)", partial, 2.0),
    ], arrays


def score_metrics(setting: Setting, real: Table, pseudo: Table) -> list[dict]:
    """Slopes of items on their own scores, in normal scores by real standard deviation of the score.

    The real halves are halves of the train people: their scores, as those the model learns from, come from
    weights that have seen them; in the holdout the same scores explain less.
    """
    index, train = {item.name: j for j, item in enumerate(setting.items)}, setting.train
    pairs = [
        (index[name], t)
        for t, name in enumerate(setting.score_names)
        if name in index
        and real.scores[train, t].std() > 0
        and np.isfinite(real.values[train, index[name]]).sum() >= 40
    ]
    if not pairs:
        return []
    rows = []
    for table in (real, pseudo):
        y = np.column_stack([inverse_normal(table.values[:, j]) for j, _ in pairs])
        score = np.column_stack([table.scores[:, t] / real.scores[train, t].std() for _, t in pairs])
        rows.append(np.hstack([y, score]))
    x, y = rows
    halves = real_halves(setting.family, setting.part, setting.rng, parts=("train", "train"))
    result = against_floor(
        lambda a, b: (own_slopes(a) - own_slopes(b)) ** 2, x, y, halves, setting.family, setting.rng, total=root_mean
    )
    own, new, held = own_slopes(x[train]), own_slopes(y), own_slopes(x[~train])
    floor = [slope_through_origin(own_slopes(x[a]), own_slopes(x[b]), 0.0) for a, b in halves]
    return [
        compared(
            "scores",
            "slopes of items on their own scores (RMS difference)",
            result,
            1.2,
            headline=True,
            note="floor: two halves of the train people",
        ),
        _slope_metric(
            "scores",
            "slope of pseudo on real score effects",
            slope_through_origin(own, new, 0.0),
            float(np.mean(floor)) if floor else np.nan,
        ),
        metric(
            "scores",
            "slope of holdout on train score effects",
            slope_through_origin(own, held, 0.0),
            note="below 1 because the weights have seen the train people: in others the scores explain less",
        ),
    ]


def own_slopes(rows: np.ndarray) -> np.ndarray:
    """Slope of each item on its own score: rows (n, 2t), first t items (NaN missing), then their t scores -> (t,)."""
    traits = rows.shape[1] // 2
    y, score = rows[:, :traits], rows[:, traits:]
    seen = ~np.isnan(y)
    centre = np.where(seen, score, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    centred = np.where(seen, score - centre, 0)
    with np.errstate(all="ignore"):
        return (np.where(seen, y, 0) * centred).sum(axis=0) / (centred * centred).sum(axis=0)


def _slope_metric(group: str, name: str, slope: float, floor: float, baseline: float | None = None) -> dict:
    near = abs(floor - 1) if np.isfinite(floor) else 0.0
    return metric(
        group,
        name,
        slope,
        floor=floor,
        baseline=baseline,
        headline=True,
        goal="0.95 to 1.05, or as near to 1 as the floor",
        within=bool(0.95 <= slope <= 1.05 or abs(slope - 1) <= near),
    )


def _given(x: np.ndarray, table: Table, rows: np.ndarray | None = None) -> np.ndarray:
    """Residuals of the columns after regression on age, age squared, sex, stratum and all scores, NaN kept.

    rows: (n,) bool, who is regressed and gets residuals: the real halves, not the people that the scores have seen.
    """
    sex, stratum, age = table.conditions.T
    age = np.where(np.isnan(age), np.nanmean(age) if np.isfinite(age).any() else 0.0, age)
    design = np.column_stack(
        [
            np.ones(len(x)),
            age,
            (age - age.mean()) ** 2,
            sex,
            *[stratum == s for s in np.unique(stratum)[1:]],
            table.scores,
        ]
    )
    scale = design.std(axis=0)
    design = design / np.where(scale > 0, scale, 1.0)
    residual = np.full_like(x, np.nan)
    for c in range(x.shape[1]):
        seen = ~np.isnan(x[:, c]) if rows is None else ~np.isnan(x[:, c]) & rows
        if seen.sum() > 2 * design.shape[1]:
            fit = np.linalg.lstsq(design[seen], x[seen, c], rcond=None)[0]
            residual[seen, c] = x[seen, c] - design[seen] @ fit
    return residual
