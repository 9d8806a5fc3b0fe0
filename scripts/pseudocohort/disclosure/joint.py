"""Attribute by haplotype: does the pseudo person who shares a long haplotype with a target tell the target's items?

It must not: pseudo people get their items from their own scores, and not from the people whose haplotypes they carry.
"""

from typing import NamedTuple

import numpy as np

PERMUTATIONS = 1000
FEWEST = 20  # targets with a carrier, and people who have both items


class Told(NamedTuple):
    """value: mean correlation over items of the targets' residuals with their carriers'. z: against carriers given to
    the targets at random; interval: value -+ 1.96 standard deviations of that; targets: with a carrier."""

    value: float
    z: float
    interval: tuple[float, float]
    targets: int


def best_carriers(target: np.ndarray, donor: np.ndarray, length: np.ndarray, people: int) -> np.ndarray:
    """Pseudo person with the longest single match of each target person, -1 without any: int64 (people,).

    target, donor: haplotype numbers of matches (matches,), two a person; length: in cM, over all chromosomes.
    """
    best = np.full(people, -1)
    order = np.argsort(length, kind="stable")
    best[target[order] // 2] = donor[order] // 2  # of several writes to one place the last one, the longest, stays
    return best


def residuals(items: np.ndarray, known: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """What regression on what is known leaves of each item: (n, items), NaN kept, in standard deviations.

    items: (n, items) with NaN; known: (n, k): scores, age, sex, strata; fitted: bool (n,), the rows that the slopes
    are learnt from (pseudo people).
    """
    x = np.column_stack([np.ones(len(known)), known])
    left = np.full(items.shape, np.nan)
    for j in range(items.shape[1]):
        rows = fitted & np.isfinite(items[:, j])
        if rows.sum() < x.shape[1] + FEWEST:
            continue
        slope = np.linalg.lstsq(x[rows], items[rows, j], rcond=None)[0]
        rest = items[:, j] - x @ slope
        spread = np.nanstd(rest[rows])
        if spread > 0:
            left[:, j] = rest / spread
    return left


def attribute_by_haplotype(targets: np.ndarray, pseudo: np.ndarray, carrier: np.ndarray, seed: int) -> Told:
    """Correlation of targets' residuals with those of their carriers.

    targets: (n, items), pseudo: (m, items), from `residuals`; carrier: (n,) row of pseudo, -1 for none.
    """
    rows = np.flatnonzero(carrier >= 0)
    if len(rows) < FEWEST:
        return Told(np.nan, np.nan, (np.nan, np.nan), len(rows))
    ours, theirs = targets[rows], carrier[rows]
    value = _correlation(ours, pseudo[theirs])
    rng = np.random.default_rng(seed)
    chance = np.array([_correlation(ours, pseudo[rng.permutation(theirs)]) for _ in range(PERMUTATIONS)])
    spread = float(chance.std())
    z = float((value - chance.mean()) / spread) if spread > 0 else np.nan
    return Told(value, z, (value - 1.96 * spread, value + 1.96 * spread), len(rows))


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Mean over columns of the correlation over the rows that have both."""
    both = np.isfinite(x) & np.isfinite(y)
    n = both.sum(axis=0)
    x, y = np.where(both, x, 0.0), np.where(both, y, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mx, my = x.sum(axis=0) / n, y.sum(axis=0) / n
        covariance = (x * y).sum(axis=0) / n - mx * my
        spread = np.sqrt(((x * x).sum(axis=0) / n - mx**2) * ((y * y).sum(axis=0) / n - my**2))
        r = covariance / spread
    r = r[(n >= FEWEST) & np.isfinite(r)]
    return float(r.mean()) if len(r) else np.nan
