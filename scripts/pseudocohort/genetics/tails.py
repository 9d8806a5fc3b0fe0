"""Tail probabilities on the log scale, right far below the smallest float, and genomic control."""

import numpy as np
from scipy.special import betainc, betaln, hyp2f1, log_ndtr, ndtri, ndtri_exp

NULL_MEDIAN = float(ndtri(0.25) ** 2)  # of chi-square with one degree of freedom


def minus_log10_p(t: np.ndarray, df) -> np.ndarray:
    """-log10 of the two-sided p of Student's t, right however small p is; NaN where t is.

    t, df: broadcastable; df = inf is the normal distribution.  From df 100 on by Hill's normal deviate
    (1970, Algorithm 395), which is quick; with fewer, or where t^2 > df/4, by the incomplete beta.
    """
    t, df = np.broadcast_arrays(np.abs(np.asarray(t, dtype=float)), np.asarray(df, dtype=float))
    large = (df >= 100) & ~(t * t > df / 4)
    out = np.empty(t.shape)
    out[large] = log_ndtr(-_normal_deviate(t[large], df[large]))
    out[~large] = _log_tail(t[~large], df[~large])
    return -(out + np.log(2)) / np.log(10)


def _normal_deviate(t, df):
    """z with Phi(-z) = P(T > t): Hill's expansion in 1/df; t itself where df is infinite."""
    with np.errstate(invalid="ignore"):
        a = df - 0.5
        b = 48 * a * a
        y = a * np.log1p(t * t / df)
        z = np.sqrt(y) * (1 + (y + 3 - (((0.4 * y + 3.3) * y + 24) * y + 85.5) / (0.8 * y * y + 100 + b)) / b)
    return np.where(np.isinf(df), t, z)


def _log_tail(t, df):
    """log P(T > t) for small df: half the incomplete beta I_x(a, 1/2), a = df/2, x = df/(df + t^2).

    Where that underflows: x^a (1-x)^(1/2) 2F1(a + 1/2, 1; a + 1; x) / (a B(a, 1/2)).
    """
    a = df / 2
    x = df / (df + t * t)
    tail = betainc(a, 0.5, x)
    near = np.log(np.where(tail < 1e-290, 1, tail) / 2)
    x = np.where(tail < 1e-290, x, 0.5)
    far = -a * np.log1p(t * t / df) + 0.5 * np.log1p(-x) - np.log(2 * a) - betaln(a, 0.5)
    far = far + np.log(hyp2f1(a + 0.5, 1, a + 1, x))
    return np.where(tail < 1e-290, far, near)


def lambda_gc(chi_square: np.ndarray) -> float:
    """Genomic control: median chi-square of the tests over that of the null, 0.4549 (Devlin & Roeder 1999).

    chi_square: (m,) (beta / se)^2, NaN ignored.  NaN when there is none.
    """
    chi_square = np.asarray(chi_square, dtype=float)
    return float(np.nanmedian(chi_square) / NULL_MEDIAN) if np.isfinite(chi_square).any() else float("nan")


def normal_deviate(log_p: np.ndarray) -> np.ndarray:
    """The |z| whose two-sided normal p has the natural logarithm log_p: infinite for p = 0, 0 for p = 1."""
    return -ndtri_exp(np.minimum(log_p, 0.0) - np.log(2))
