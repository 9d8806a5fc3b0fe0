"""Moments of the training scores given the conditions, which the calibration restores in the pseudo people."""

from typing import NamedTuple

import numpy as np

ROWS = 8192  # people at a time: nothing of the size people x atoms is made in float64


class Moments(NamedTuple):
    """Of the training scores given the conditions: slope (1 + conditions, atoms), covariance (atoms, atoms)."""

    slope: np.ndarray
    covariance: np.ndarray


def moments(values: np.ndarray, c: np.ndarray) -> Moments:
    """Least squares of values V (n, m) on D = [1, c] (a trace of ridge for constant columns) with slope S, and the
    residual covariance (V'V - S'D'V - V'D S + S'D'D S) / n, from sums over blocks of people in float64."""
    width = 1 + c.shape[1]
    total = np.zeros((width + values.shape[1],) * 2)
    for first in range(0, len(c), ROWS):
        rows = slice(first, first + ROWS)
        both = np.column_stack([np.ones(len(c[rows])), c[rows], values[rows]]).astype(np.float64)
        total += both.T @ both
    dd, dv, vv = total[:width, :width], total[:width, width:], total[width:, width:]
    ridge = np.diag([0.0] + [1e-3 * len(c) ** 0.5] * c.shape[1])
    slope = np.linalg.solve(dd + ridge, dv)
    explained = slope.T @ dv
    rest = vv - explained - explained.T + slope.T @ dd @ slope
    return Moments(slope, (rest + rest.T) / 2 / len(c))
