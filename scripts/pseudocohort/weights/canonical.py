"""Genetic and residual covariance of many traits, and the rotation to canonical traits that diagonalises both.

Cross-moments after Haseman & Elston (1972): with residuals r (n, t) and a kernel K of mean diagonal 1,

    Vg = (r'Kr - r'r) / (c c' sum_{i != j} K_ij^2)      c = 1, of binary traits the mean of phi/sqrt(p(1 - p))

over unrelated people (for liabilities Golan, Lander & Rosset 2014). Only correlations are taken from here, the
variances Vg_tt come from REML; and only from what is seen: latent values would repeat what was believed of them.
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg

from pseudocohort import counter

HIGHEST = 0.999  # of a canonical heritability
NOTHING = 1e-9  # canonical heritabilities of rounding are 0
DUPLICATE = 1e-3  # by how much correlations are drawn towards 0, so that equal traits have an inverse
ROOM = 0.1  # least variance of a combination of liabilities of variance 1
PROBES = 32
SPREAD = 1.0  # squared spread of eigenvalues by noise from which correlations are drawn in fully


class Pairs(NamedTuple):
    """Pairs of unrelated people, rows (n,) bool: off = sum_{i != j} K_ij^2 among them, third and fourth the traces of
    (K - I)^3 and (K - I)^4, sites = n'^2/off the effective number of independent sites."""

    rows: np.ndarray
    off: float
    third: float
    fourth: float
    sites: float


class Canonical(NamedTuple):
    """T (t, t) with T'(Vg + Ve)T = I and T'VgT = diag(h), its inverse, and h (t,) in [0, 0.999]."""

    turn: np.ndarray
    back: np.ndarray
    h: np.ndarray


def pairs_of(kernel, rows: np.ndarray, seed: int) -> Pairs:
    """Moments of the kernel among people rows (n,) bool, from random signs v (Hutchinson): E v'Av = tr A."""
    rng = counter.generator(seed, "probes of the kernel")
    v = np.where(rows[:, None], rng.choice([-1.0, 1.0], size=(len(rows), PROBES)), 0.0)
    once = np.where(rows[:, None], kernel.multiply(v) - v, 0.0)
    twice = np.where(rows[:, None], kernel.multiply(once) - once, 0.0)
    n = int(rows.sum())
    off = max(float((once**2).sum() / PROBES), 1e-3 * n)
    return Pairs(rows, off, float((once * twice).sum() / PROBES), float((twice**2).sum() / PROBES), n * n / off)


def correlation(v: np.ndarray) -> np.ndarray:
    """Correlation matrix of a covariance (t, t); rows of no variance have 0 beside the diagonal."""
    sd = np.sqrt(np.maximum(np.diag(v), 0))
    scaled = np.divide(v, np.outer(sd, sd), out=np.zeros_like(v), where=np.outer(sd, sd) > 1e-12)
    np.fill_diagonal(scaled, 1)
    return np.clip(scaled, -1, 1)


def nearest_correlation(r: np.ndarray) -> np.ndarray:
    """Negative eigenvalues set to 0, diagonal back to 1."""
    value, vector = np.linalg.eigh(r)
    return correlation((vector * np.maximum(value, 1e-9)) @ vector.T)


def shrink(r: np.ndarray, noise: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Correlations r (t, t) drawn towards `target` by their noise variances (t, t), by empirical Bayes.

    True differences are 0 or, a share pi of them, N(0, tau^2), both found by EM over the pairs (as Stephens 2017):
    with many traits and few people little is left, and a few true differences among many pairs stay. Noise spreads
    the eigenvalues by about sqrt(t noise); where that is little, less is taken away, too.
    """
    t = len(r)
    if t == 1:
        return np.ones((1, 1))
    beside = ~np.eye(t, dtype=bool)
    gap, own = (r - target)[beside], np.clip(noise[beside], 1e-12, 1e6)
    pi, tau = 0.5, max(float(np.mean(gap**2 - own)), float(np.max(gap**2 - own)), 1e-6)
    for _ in range(100):
        log_odds = np.log(pi / (1 - pi)) - 0.5 * np.log1p(tau / own) + 0.5 * gap**2 * tau / own / (tau + own)
        slab = 1 / (1 + np.exp(-np.clip(log_odds, -500, 500)))
        keep = tau / (tau + own)
        tau = max(float((slab * ((keep * gap) ** 2 + keep * own)).sum() / max(slab.sum(), 1e-9)), 1e-9)
        pi = float(np.clip(slab.mean(), 1e-6, 1 - 1e-6))
    harm = min(t * float(own.mean()) / SPREAD, 1.0)
    share = np.ones((t, t))
    share[beside] = (1 - harm * (1 - slab)) * tau / (tau + harm * own)
    return np.where(beside, target + share * (r - target), 1.0)


class Observed(NamedTuple):
    """What of t traits is seen beside covariates and candidates.

    residual: (n, t) of scores, of variance 1; of binary traits (y - p)/sqrt(p(1 - p)); 0 where missing.
    slope: (n, t) by which a residual follows its liability: 1, phi/sqrt(p(1 - p)), 0 where missing.
    """

    residual: np.ndarray
    slope: np.ndarray


def phenotypic(observed: Observed, products: np.ndarray) -> np.ndarray:
    """Correlation (t, t) of scores and liabilities.

    products: (k, t, t) of liability.series: sum over people of r_i r_j is expected to be sum_k rho^k products[k].
    Drawn towards 0 by its noise, and by a thousandth, so that equal traits have an inverse.
    """
    sums, t = observed.residual.T @ observed.residual, observed.residual.shape[1]
    low, high = np.full((t, t), -0.999), np.full((t, t), 0.999)
    for _ in range(30):
        middle = (low + high) / 2
        expected = np.zeros((t, t))
        for term in products[::-1]:
            expected = middle * (expected + term)
        low, high = np.where(expected < sums, middle, low), np.where(expected < sums, high, middle)
    both = (observed.slope != 0).astype(float)
    scores = (products[1:] == 0).all(axis=0)  # no liability: an estimate near 1 is sure
    noise = np.where(scores, (1 - middle**2) ** 2, 1) * (both.T @ both) / np.maximum(products[0], 1e-9) ** 2
    r = nearest_correlation(shrink(np.where(products[0] > 0, middle, 0), noise, np.zeros((t, t))))
    return with_room(r, ~np.diag(scores))


def with_room(r: np.ndarray, binary: np.ndarray) -> np.ndarray:
    """Correlations r (t, t) that leave every combination of liabilities a variance, at least ROOM, beside the scores.

    Without it the sampler would be caught between the signs that are seen and a combination that must be 0.
    """
    r = (1 - DUPLICATE) * r + DUPLICATE * np.eye(len(r))
    if not binary.any():
        return r
    inverse = np.linalg.inv(r)[np.ix_(binary, binary)]
    least = 1 / np.linalg.eigvalsh(inverse)[-1]  # of the covariance of the liabilities given the scores
    share = np.where(binary, max(ROOM - least, 0) / max(1 - least, 1 - ROOM), 0.0)
    keep = np.sqrt(1 - share)
    return r * np.outer(keep, keep) + np.diag(share)


def genetic(kernel, observed: Observed, h: np.ndarray, whole: np.ndarray, pairs: Pairs) -> np.ndarray:
    """Genetic correlation (t, t) of scores and liabilities whose heritabilities h (t,) REML gave.

    Drawn towards the phenotypic correlation `whole` (t, t) by its noise.
    """
    t = len(h)
    if t == 1:
        return np.ones((1, 1))
    r = np.where(pairs.rows[:, None], observed.residual, 0.0)
    slope = observed.slope[pairs.rows].mean(axis=0)
    square = r.T @ r
    moments = r.T @ kernel.multiply(r) - square
    unit = np.maximum(np.outer(slope, slope), 1e-6) * pairs.off
    moments, square = (moments + moments.T) / 2 / unit, square / pairs.rows.sum()
    size = np.sqrt(np.maximum(np.maximum(np.diag(moments), h / 2), 1e-3))
    # var r_i'(K - I)r_j = tr (K - I)V_i(K - I)V_j + the same of V_ij, V = I + h (K - I) on the scale of what is seen
    seen_h = h * slope**2
    spread = pairs.off + np.add.outer(seen_h, seen_h) * pairs.third + np.outer(seen_h, seen_h) * max(pairs.fourth, 0.0)
    noise = (np.outer(np.diag(square), np.diag(square)) + square**2) * np.maximum(spread, pairs.off)
    r = np.clip(moments / np.outer(size, size), -1, 1)
    return nearest_correlation(shrink(r, noise / unit**2 / np.outer(size, size) ** 2, whole))


def rotation(genetic_r, whole_r, h, scale, highest: float = HIGHEST) -> Canonical:
    """Canonical traits of Vg = sqrt(h s) R_g sqrt(h s), Vg + Ve = sqrt(s) R_p sqrt(s).

    h: (t,) heritabilities, scale: (t,) variances s > 0.  highest: of a canonical h.
    """
    sd, root = np.sqrt(scale), np.sqrt(h)
    values, turn = scipy.linalg.eigh(genetic_r * np.outer(root, root), whole_r)
    return Canonical(
        turn / sd[:, None], (turn.T @ whole_r) * sd, np.clip(np.where(values > NOTHING, values, 0), 0, highest)
    )
