"""Values as intervals of a standard normal latent, and the score of an interval: E[latent | interval]."""

import numpy as np
from scipy.special import ndtri

from pseudocohort.phenotype.quantiles import Quantile

FAR = 30.0  # stands for infinity on the normal scale
DENSE = 0.01  # values with less mass than this are treated as points of a density
EDGE = 1e-6  # nearest that a point comes to the cumulative shares 0 and 1
GRID = 20_000  # values on a grid of at most so many points are scored by looking them up


def intervals(below: np.ndarray, upto: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds on the normal scale and the mean of a standard normal between them, from cumulative shares (n,)."""
    low, high = np.clip(ndtri(below), -FAR, FAR), np.clip(ndtri(upto), -FAR, FAR)
    mass = np.maximum(upto - below, 1e-12)
    return low, high, (np.exp(-(low**2) / 2) - np.exp(-(high**2) / 2)) / np.sqrt(2 * np.pi) / mass


def level_latents(cumulative: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(low, high, score), each (levels,), of the levels that cut the latent at these cumulative shares 0 ... 1."""
    cuts = np.array(cumulative)
    return intervals(cuts[:-1], cuts[1:])


def numeric_latents(quantile: Quantile, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(low, high, score, dense) of numeric values (n,): a value of little mass is a point, low = high = score.

    A value beyond the support counts as its end: the tails are smoothed, so real extremes lie outside.
    """
    below, upto = quantile.interval(np.clip(x, quantile.x[0], quantile.x[-1]))
    dense = upto - below < DENSE
    low = ndtri(np.clip((below + upto) / 2, EDGE, 1 - EDGE))
    high, score = low.copy(), low.copy()
    mass = np.flatnonzero(~dense)
    if len(mass):
        low[mass], high[mass], score[mass] = intervals(below[mass], upto[mass])
    return low, high, score, dense


class ScoreTable:
    """Scores of one numeric item's values; looked up where all its values lie on a small grid of decimals."""

    def __init__(self, quantile: Quantile, decimals: int):
        self._quantile, self._unit = quantile, 10.0**decimals
        self._first = np.rint(quantile.x[0] * self._unit)
        size = np.rint(quantile.x[-1] * self._unit) - self._first + 1
        self._table = None
        if size <= GRID:
            self._table = self._exact((self._first + np.arange(int(size))) / self._unit)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """float32 scores (n,) of values rounded to the decimals."""
        if self._table is None:
            return self._exact(x)
        place = np.rint(x * self._unit) - self._first
        return self._table[np.clip(place, 0, len(self._table) - 1).astype(np.intp)]

    def _exact(self, x: np.ndarray) -> np.ndarray:
        return numeric_latents(self._quantile, x)[2].astype(np.float32)
