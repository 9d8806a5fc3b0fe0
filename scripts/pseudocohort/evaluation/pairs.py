"""Kinship and identity by state of all pairs of some people, and what may be told of real pairs."""

from typing import NamedTuple

import numpy as np

from pseudocohort.evaluation.metrics import MINIMUM_PEOPLE
from pseudocohort.evaluation.real_cells import merged_counts

# Least kinship of relatives of the third, second and first degree, and of twins (Manichaikul 2010).
DEGREES = (("kin_third", 2**-4.5), ("kin_second", 2**-3.5), ("kin_first", 2**-2.5), ("kin_twins", 2**-1.5))
BLOCK = 1024  # sites in a matrix product


class Pairs(NamedTuple):
    """kinship: float32 (people, people), KING-robust; ibs: float32 (people, people), share of alleles alike;
    different: int64 (people, people), sum of squared differences of dosages."""

    kinship: np.ndarray
    ibs: np.ndarray
    different: np.ndarray


def pair_statistics(dosages: np.ndarray) -> Pairs:
    """Kinship and identity by state of all pairs from dosages 0, 1, 2 (people, sites), in blocks of sites.

    KING-robust (Manichaikul 2010, equation 11): phi_ij = 1/2 - sum (x_i - x_j)^2 / (4 min(het_i, het_j)); identity by
    state: 1 - sum |x_i - x_j| / (2 sites), where |d| = d^2 - 2 [|d| = 2].
    """
    people, sites = dosages.shape
    product, opposite = np.zeros((2, people, people))
    for start in range(0, sites, BLOCK):
        x = dosages[:, start : start + BLOCK].astype(np.float32)
        product += x @ x.T
        opposite += (x == 0).astype(np.float32) @ (x == 2).astype(np.float32).T
    square, het = np.diag(product), (dosages == 1).sum(axis=1)
    different = square[:, None] + square[None] - 2 * product
    least = np.maximum(np.minimum(het[:, None], het[None]), 1)
    absolute = different - 2 * (opposite + opposite.T)
    kinship, ibs = 0.5 - different / (4 * least), 1 - absolute / (2 * max(sites, 1))
    return Pairs(kinship.astype(np.float32), ibs.astype(np.float32), different.round().astype(np.int64))


def pair_sums(matrix: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Sum over pairs, each counted once, of a symmetric (people, people): (1 + folds,), first all, then without the
    people of each fold."""
    member = (fold[:, None] == np.arange(fold.max(initial=0) + 1)).astype(float)
    plain = np.asarray(matrix, dtype=float)
    between = member.T @ plain @ member - np.diag(member.T @ np.diag(plain))
    without = between.sum() - 2 * between.sum(axis=1) + np.diag(between)
    return np.concatenate([[between.sum()], without]) / 2


def real_shares(kinship: np.ndarray) -> list[float | None]:
    """Pairs in 10,000 of real people who are kin to each of DEGREES or nearer: from kinship (people, people).

    None where the pairs between this threshold and the next that is told would be of fewer than MINIMUM_PEOPLE people,
    or fewer pairs: neither a number nor a difference of two may tell of so few. (That there is nobody is told.)
    """
    if len(kinship) < MINIMUM_PEOPLE:
        return [None] * len(DEGREES)
    told: list[float | None] = []
    pairs, upper = max(len(kinship) * (len(kinship) - 1), 1), np.inf
    stranger = ~np.eye(len(kinship), dtype=bool)
    for _, threshold in reversed(DEGREES):
        if enough_real((kinship > threshold) & (kinship <= upper) & stranger):
            told.insert(0, 1e4 * float((stranger & (kinship > threshold)).sum()) / pairs)
            upper = threshold
        else:
            told.insert(0, None)
    return told


def enough_real(near: np.ndarray) -> bool:
    """Are there no pairs in a symmetric bool (people, people), or MINIMUM_PEOPLE of both pairs and people?"""
    pairs, people = int(near.sum()) // 2, int(near.any(axis=1).sum())
    return pairs == 0 or min(pairs, people) >= MINIMUM_PEOPLE


def histogram(table: np.ndarray, edges: np.ndarray, real: bool = False) -> np.ndarray:
    """Share of the pairs of a symmetric (people, people) in each bin, those beyond the edges in the last of them.

    real: bins of fewer than MINIMUM_PEOPLE pairs or people are put together with their neighbours (`merged_counts`).
    """
    one, other = np.triu_indices(len(table), 1)
    code = np.clip(np.searchsorted(edges, table[one, other], side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(code, minlength=len(edges) - 1).astype(float)

    def enough(start: int, end: int) -> bool:
        pairs = counts[start:end].sum()
        if not MINIMUM_PEOPLE <= pairs < MINIMUM_PEOPLE**2:  # so many pairs are of more people
            return pairs >= MINIMUM_PEOPLE
        inside = (code >= start) & (code < end)
        return len(np.unique([one[inside], other[inside]])) >= MINIMUM_PEOPLE

    return (merged_counts(counts, enough=enough) if real else counts) / max(len(one), 1)


def upper(matrix: np.ndarray) -> np.ndarray:
    """Each pair once: (pairs,)."""
    return matrix[np.triu_indices(len(matrix), 1)]
