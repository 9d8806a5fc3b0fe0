"""Restricted maximum likelihood of the share h of a kernel in y ~ N(0, s (h K + (1 - h) I)), all traits at once.

With df the dimension of the space orthogonal to the covariates, on which K acts (Patterson & Thompson 1971),

    -2 log L(h) = df log(2 pi rss(h)/df) + logdet(h) + df
    rss(h) = y'(h K + (1 - h) I)^-1 y        logdet(h) = log |h K + (1 - h) I|

with the scale s = rss/df profiled out. Both are sums over eigenvalues of K, or over the nodes of a quadrature.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

HIGHEST = 0.999  # of h, so that h K + (1 - h) I stays positive where K is singular
GRID = np.append(np.arange(0, 0.99, 0.025), HIGHEST)
GOLDEN = (np.sqrt(5) - 1) / 2
STEP = 0.005  # of h, for derivatives


class Fits(NamedTuple):
    """Estimates of c traits: h, scale, standard error of h (NaN at a bound), log_likelihood; (c,) each."""

    h: np.ndarray
    scale: np.ndarray
    se: np.ndarray
    log_likelihood: np.ndarray


def maximise(rss: Callable, logdets: Callable, df: int, columns: int) -> Fits:
    """REML estimates by a grid over [0, 0.999] and golden sections around its best point.

    rss: h (c,) -> (c,).  logdets: h (c,) -> (p, c), exact (p = 1) or p unbiased estimates, whose spread is
    added to the standard error.
    """

    def loss(h):
        return df * np.log(rss(h)) + logdets(h).mean(axis=0)

    on_grid = np.array([loss(np.full(columns, h)) for h in GRID])
    best = on_grid.argmin(axis=0)
    low, high = GRID[np.maximum(best - 1, 0)], GRID[np.minimum(best + 1, len(GRID) - 1)]
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = loss(left), loss(right)
    while (high - low).max(initial=0) > 1e-6:
        down = at_left < at_right
        low, high = np.where(down, low, left), np.where(down, right, high)
        fresh = np.where(down, high - GOLDEN * (high - low), low + GOLDEN * (high - low))
        value = loss(fresh)
        left, right = np.where(down, fresh, right), np.where(down, left, fresh)
        at_left, at_right = np.where(down, value, at_right), np.where(down, at_left, value)
    choices = np.array([(low + high) / 2, np.zeros(columns), np.full(columns, HIGHEST)])
    h = np.take_along_axis(choices, np.array([loss(c) for c in choices]).argmin(axis=0)[None], axis=0)[0]
    scale = rss(h) / df
    likelihood = -0.5 * (df * np.log(2 * np.pi * scale) + logdets(h).mean(axis=0) + df)
    return Fits(h, scale, _standard_error(loss, logdets, h), likelihood)


def _standard_error(loss, logdets, h) -> np.ndarray:
    """From the curvature of the likelihood and, where log determinants are estimated, from their spread."""
    inside = (h > STEP) & (h < HIGHEST - STEP)
    middle = np.where(inside, h, 0.5)
    up, down = middle + STEP, middle - STEP
    curve = (loss(up) - 2 * loss(middle) + loss(down)) / STEP**2
    with np.errstate(invalid="ignore", divide="ignore"):
        slopes = (logdets(up) - logdets(down)) / (2 * STEP)
        p = len(slopes)
        noise = slopes.var(axis=0, ddof=1) / p / curve**2 if p > 1 else 0.0
        return np.where(inside & (curve > 0), np.sqrt(2 / curve + noise), np.nan)
