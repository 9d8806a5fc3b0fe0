"""Regressions of many columns on many others, one by one, with the same covariates and missing values anywhere.

    y_j = a + b_ij x_i + c' z + e     over the people who have both x_i and y_j

All pairs are done at once: sums of products over the people of each pair are matrix products, and the covariates are
swept out of them (Gauss-Jordan). Sums are taken by group of people, so that all pairs without each group, as a
jackknife needs them, cost no more than all pairs once.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtr

FEWEST = 20  # people with both columns
TOLERANCE = 1e-6  # of a column's sum of squares; with less left after the covariates it is one of them
BLOCK = 2_000_000  # numbers at once


class Fit(NamedTuple):
    """Slopes b with standard errors, two-sided p of the t distribution, and people: (groups + 1, a, b) each.

    First over all people, then without each group. NaN where a slope cannot be told."""

    beta: np.ndarray
    se: np.ndarray
    p: np.ndarray
    n: np.ndarray

    def whole(self) -> "Fit":
        """Over all people: (a, b) each."""
        return Fit(*(x[0] for x in self))


def regress(x: np.ndarray, y: np.ndarray, z: np.ndarray, group: np.ndarray | None = None, groups: int = 0) -> Fit:
    """Slopes of every column of y (n, b) on every one of x (n, a), given z (n, q) without intercept; NaN is missing.

    group: (n,) 0 to groups - 1; without it only all people are regressed.
    """
    group = np.zeros(len(x), dtype=int) if group is None else group
    terms = np.column_stack([np.ones(len(x)), z])
    size = max(1, BLOCK // ((terms.shape[1] + 2) ** 2 * (groups + 1) * max(y.shape[1], 1)))
    blocks = []
    for start in range(0, x.shape[1], size):
        part = x[:, start : start + size]
        found = [_sums(part[rows], y[rows], terms[rows]) for rows in _rows(group, groups)]
        total = np.sum(found, axis=0)
        sums = np.stack([total, *(total - one for one in found)] if groups else [total], axis=2)
        blocks.append(_solved(sums))
    return Fit(*(np.concatenate(parts, axis=1) for parts in zip(*blocks, strict=True)))


def cells(x: np.ndarray, y: np.ndarray, x_binary: np.ndarray, y_binary: np.ndarray) -> np.ndarray:
    """The fewest people that a slope stands for: (a, b) int.

    Of two indicators the smallest cell of their table, of one the smaller side, else the people with both columns.
    x_binary, y_binary: (a,), (b,) bool, columns with two values.
    """
    sides = [[(~np.isnan(t) & (~binary | high)).astype(float) for high in (t > _middle(t), t <= _middle(t))]
             for t, binary in ((x, x_binary), (y, y_binary))]  # fmt: skip
    return np.min([a.T @ b for a in sides[0] for b in sides[1]], axis=0).round().astype(int)


def _middle(t: np.ndarray) -> np.ndarray:
    low, high = (f(np.where(np.isnan(t), fill, t), axis=0) for f, fill in ((np.min, np.inf), (np.max, -np.inf)))
    return np.where(np.isfinite(low), (low + np.where(np.isfinite(high), high, 0)) / 2, 0.0)


def _rows(group: np.ndarray, groups: int) -> list:
    return [np.flatnonzero(group == g) for g in range(groups)] if groups else [slice(None)]


def _sums(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Sums of products of (z, x, y) over the people of each pair: (q + 2, q + 2, a, b)."""
    q, s, t = z.shape[1], (~np.isnan(x)).astype(float), (~np.isnan(y)).astype(float)
    x, y = np.where(s > 0, x, 0.0), np.where(t > 0, y, 0.0)
    sums = np.empty((q + 2, q + 2, x.shape[1], y.shape[1]))
    for a in range(q):
        sums[a, q] = (x * z[:, [a]]).T @ t
        sums[a, q + 1] = s.T @ (y * z[:, [a]])
        for b in range(a, q):
            sums[a, b] = (s * (z[:, a] * z[:, b])[:, None]).T @ t
    sums[q, q], sums[q, q + 1], sums[q + 1, q + 1] = (x * x).T @ t, x.T @ y, s.T @ (y * y)
    for a in range(q + 2):
        for b in range(a):
            sums[a, b] = sums[b, a]
    return sums


def _solved(sums: np.ndarray) -> Fit:
    """Slopes from sums (q + 2, q + 2, groups + 1, a, b); covariates that others tell are left out."""
    q = len(sums) - 2
    count, scale = sums[0, 0].copy(), np.array([sums[c, c] for c in range(q + 2)])
    rank = np.zeros(count.shape, dtype=int)
    with np.errstate(all="ignore"):
        for c in range(q):
            use = sums[c, c] > TOLERANCE * scale[c]
            sums = sums - sums[:, c][:, None] * np.where(use, sums[c] / sums[c, c], 0.0)[None]
            rank += use
        xx, xy, yy = sums[q, q], sums[q, q + 1], sums[q + 1, q + 1]
        free = count - rank - 1
        beta = xy / xx
        se = np.sqrt(np.maximum(yy - beta * xy, 1e-12 * yy) / free / xx)
        known = (count >= FEWEST) & (free > 0) & (xx > TOLERANCE * scale[q]) & (yy > TOLERANCE * scale[q + 1])
        p = 2 * stdtr(np.where(known, free, 1), -np.abs(np.where(known, beta / se, 0.0)))
    beta, se, p = (np.where(known, v, np.nan) for v in (beta, se, p))
    return Fit(beta, se, p, count.round().astype(int))


def interactions(score: np.ndarray, modifier: np.ndarray, y: np.ndarray, z: np.ndarray) -> Fit:
    """Slopes of columns y (n, b) on score times modifier, given the score, z (n, q) with the modifier in it: (t, b).

    score: (n, t) and modifier: (n,) without missing values.
    """
    t, b = score.shape[1], y.shape[1]
    beta, se, p = np.full((3, t, b), np.nan)
    people = np.zeros((t, b), dtype=int)
    terms = np.column_stack([np.ones(len(score)), z])
    for j in range(b):
        rows = ~np.isnan(y[:, j])
        n = people[:, j] = int(rows.sum())
        if n < max(FEWEST, 2 * terms.shape[1] + 4):
            continue
        basis = _basis(terms[rows])
        s, m, v = (c - basis @ (basis.T @ c) for c in (score[rows], score[rows] * modifier[rows, None], y[rows, j]))
        with np.errstate(all="ignore"):
            own = (s * s).sum(axis=0)
            before = (m * m).sum(axis=0)
            m = m - s * ((s * m).sum(axis=0) / own)
            left = (v[:, None] - s * (s.T @ v / own)).astype(float)
            squared = (m * m).sum(axis=0)
            slope = (m * left).sum(axis=0) / squared
            free = n - basis.shape[1] - 2
            error = np.sqrt(np.maximum((left**2).sum(axis=0) - slope**2 * squared, 0) / free / squared)
            known = (own > TOLERANCE * n) & (squared > TOLERANCE * before) & (error > 0)
            beta[:, j], se[:, j] = np.where(known, slope, np.nan), np.where(known, error, np.nan)
            p[:, j] = np.where(known, 2 * stdtr(free, -np.abs(np.where(known, slope / error, 0.0))), np.nan)
    return Fit(beta, se, p, people)


def _basis(terms: np.ndarray) -> np.ndarray:
    """Orthonormal columns that span the terms (n, q)."""
    scale = np.sqrt((terms**2).sum(axis=0))
    u, s, _ = np.linalg.svd(terms / np.where(scale > 0, scale, 1.0), full_matrices=False)
    return u[:, s > TOLERANCE * s.max()]


def discoveries(p: np.ndarray, level: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Which of the p values (m,), NaN not tested, are significant: by Bonferroni, and by a false discovery rate.

    Benjamini and Hochberg 1995: the largest k with p_(k) <= level k / m, and all below.
    """
    tested = np.isfinite(p)
    m = max(int(tested.sum()), 1)
    values = np.where(tested, p, np.inf)
    ordered = np.sort(values)
    passed = np.flatnonzero(ordered <= level * np.arange(1, len(p) + 1) / m)
    cut = ordered[passed[-1]] if len(passed) else -1.0
    return values <= level / m, values <= cut
