"""Attribute by haplotype: does the pseudo person who shares a long haplotype with a target tell the target's items?

It must not: pseudo people get their items from their own scores, and not from the people whose haplotypes they carry.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

PERMUTATIONS = 10_000  # at least; a z of 3 is reached by 1 in 741
FEWEST = 20  # targets with a carrier, and people who have both items
RARE = 0.999  # quantile of chance that the items are brought to the same height at


class Told(NamedTuple):
    """What carriers tell, against carriers given to the targets at random; all NaN without FEWEST targets, or an item.

    mean, mean_z, interval: correlation of the targets' residuals with their carriers', its mean over items; in
    standard deviations of chance; and -+ 1.96 of these.  best, best_z, item: the same of the item that stands out
    most, as a normal deviate of the share of chance in which any item stands out as much; its column, -1 for none.
    targets: with a carrier.
    """

    mean: float
    mean_z: float
    interval: tuple[float, float]
    best: float
    best_z: float
    item: int
    targets: int


def one_of_each_family(family: np.ndarray, carrier: np.ndarray) -> np.ndarray:
    """The first target of each family who has a carrier, ascending: int64.

    Kin share residuals and carriers: more than one of a family would tell the same thing again, and chance, that gives
    carriers to targets one by one, would not.  family: (n,) labels; carrier: (n,), -1 for none.
    """
    there = np.flatnonzero(carrier >= 0)
    return there[np.sort(np.unique(family[there], return_index=True)[1])]


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
    """Correlations of targets' residuals with those of their carriers, over all items and of the one that tells most.

    targets: (n, items), pseudo: (m, items), from `residuals`; carrier: (n,) row of pseudo, -1 for none.  Targets are no
    kin (`one_of_each_family`). What is missing counts as the mean. The maximum over items is taken of correlations
    divided by their own quantile RARE of chance, lest items of few cases, whose chance has long tails, hide the others
    (maxT of Westfall and Young 1993).
    """
    rows = np.flatnonzero(carrier >= 0)
    ours, theirs = targets[rows], pseudo[carrier[rows]]
    used = known_items(targets, pseudo, carrier)
    if not len(used):
        return Told(*[np.nan] * 2, (np.nan, np.nan), *[np.nan] * 2, -1, len(rows))
    x, y = _unit(ours[:, used]), _unit(theirs[:, used])
    found = np.einsum("ij,ij->j", x, y)
    chance = _chance(x, y, np.random.default_rng(seed))
    value, means = float(found.mean()), chance.mean(axis=1)
    spread = float(means.std())
    height = np.quantile(np.vstack([found, chance]), RARE, axis=0)
    place = int((found / height).argmax())
    as_high = ((chance / height).max(axis=1) >= found[place] / height[place]).sum()
    return Told(
        value, (value - float(means.mean())) / spread, (value - 1.96 * spread, value + 1.96 * spread),
        float(found[place]), -float(ndtri((1 + as_high) / (2 + len(chance)))), int(used[place]), len(rows),
    )  # fmt: skip


def _chance(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sums over rows of x * y, (n, items), with the rows of y in another order: (PERMUTATIONS or more, items).

    All n rotations of two random orders at once: the circular correlation of their Fourier transforms.
    """
    n, found = len(x), []
    for _ in range(-(-PERMUTATIONS // n)):
        one, other = (np.fft.rfft(z[rng.permutation(n)], axis=0) for z in (x, y))
        found.append(np.fft.irfft(one.conj() * other, n, axis=0))
    return np.concatenate(found)


def known_items(targets: np.ndarray, pseudo: np.ndarray, carrier: np.ndarray) -> np.ndarray:
    """Columns that vary and are known of FEWEST targets and their carriers at least: int64, the best known first.

    Arguments: as of `attribute_by_haplotype`.
    """
    rows = np.flatnonzero(carrier >= 0)
    ours, theirs = targets[rows], pseudo[carrier[rows]]
    pairs = (np.isfinite(ours) & np.isfinite(theirs)).sum(axis=0)
    vary = (_unit(ours).any(axis=0)) & (_unit(theirs).any(axis=0))
    order = np.argsort(-pairs, kind="stable")
    return order[(pairs[order] >= FEWEST) & vary[order]]


def _unit(x: np.ndarray) -> np.ndarray:
    """Columns less their means, in units of their norm; 0 for missing values, and throughout for what does not vary."""
    seen = np.isfinite(x)
    mean = np.where(seen, x, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    x = np.where(seen, x - mean, 0)
    norm = np.linalg.norm(x, axis=0)
    return x / np.where(norm > 1e-9, norm, np.inf)
