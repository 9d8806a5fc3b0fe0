"""One-component linear mixed model y = C g + u + e, u ~ N(0, s h K), e ~ N(0, s (1 - h) I), by one eigen-decomposition.

With K = V diag(l) V', rotated V'y has independent rows of variance s d_i, d = h l + 1 - h. A person
without the trait is given a covariate of their own (1 for them, 0 for all others): this takes them out
of the restricted likelihood and of every prediction exactly, so that all traits share one decomposition.
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg
from scipy.optimize import minimize_scalar

HIGHEST = 0.999  # of h, so that d stays positive where K is singular


class Kernel(NamedTuple):
    """K (n, n) = vectors diag(values) vectors'; values (n,) >= 0, vectors (n, n) float64."""

    values: np.ndarray
    vectors: np.ndarray


class Model(NamedTuple):
    """What the traits of one missing pattern share.

    people: (n',) rows of the training people that the kernel covers.  kernel: over those.
    fixed: (n', r) rotated covariates, the dummies of people without the trait among them.
    seen: (n',) bool.  df: people with the trait less covariates.
    """

    people: np.ndarray
    kernel: Kernel
    fixed: np.ndarray
    seen: np.ndarray
    df: int


class Fit(NamedTuple):
    """REML estimate: h share of the kernel, scale s, standard error of h (NaN at a bound)."""

    h: float
    scale: float
    se: float


def decompose(k: np.ndarray) -> Kernel:
    """Eigen-decomposition of a symmetric (n, n) kernel; rounding below 0 is set to 0."""
    values, vectors = scipy.linalg.eigh(k, driver="evd", check_finite=False)
    return Kernel(np.maximum(values, 0), vectors)


def make_model(k: np.ndarray, kernel: Kernel, covariates: np.ndarray, seen: np.ndarray) -> Model:
    """Model of the traits that the people `seen` (n,) have.

    k: (n, n), kernel: its decomposition.  covariates: (n, q) with the intercept.  With more than a quarter
    of people missing, decomposing K among the others is cheaper than that many dummies.
    """
    few = (~seen).sum() > len(seen) / 4
    people = np.flatnonzero(seen) if few else np.arange(len(seen))
    kernel = decompose(k[np.ix_(people, people)]) if few else kernel
    here = seen[people]
    left, size, _ = np.linalg.svd(covariates[people][here], full_matrices=False)
    basis = np.zeros((len(people), (size > 1e-8 * size.max()).sum()))
    basis[here] = left[:, size > 1e-8 * size.max()]
    fixed = np.column_stack([kernel.vectors.T @ basis, kernel.vectors[~here].T])
    return Model(people, kernel, fixed, here, int(here.sum()) - basis.shape[1])


def rotate(model: Model, y: np.ndarray) -> np.ndarray:
    """V'y for y (n, ...) over the training people; values of people without the trait do not matter."""
    part = np.where(model.seen.reshape(-1, *[1] * (y.ndim - 1)), np.nan_to_num(y[model.people]), 0)
    return model.kernel.vectors.T @ part


def _spread(model: Model, h: float) -> np.ndarray:
    return h * model.kernel.values + 1 - h


def reml(model: Model, y: np.ndarray) -> Fit:
    """Restricted maximum likelihood of h in [0, 0.999] for one trait y (n,) (Patterson & Thompson 1971).

    -2 log L(h) = df log(y'Py) + sum log d + log det X'D^-1 X, with the scale profiled out.
    """
    rotated = rotate(model, y)

    def parts(h):
        d = _spread(model, h)
        weighted = model.fixed / d[:, None]
        factor = scipy.linalg.cho_factor(model.fixed.T @ weighted, lower=True)
        right = weighted.T @ rotated
        rss = (rotated**2 / d).sum() - right @ scipy.linalg.cho_solve(factor, right)
        return rss, np.log(d).sum() + 2 * np.log(np.diag(factor[0])).sum()

    def loss(h):
        rss, determinant = parts(h)
        return model.df * np.log(rss) + determinant

    best = minimize_scalar(loss, bounds=(0, HIGHEST), method="bounded", options={"xatol": 1e-4}).x
    h = min((0.0, float(best), HIGHEST), key=loss)
    step = 0.02
    inside = step < h < HIGHEST - step
    curve = (loss(h + step) - 2 * loss(h) + loss(h - step)) / (2 * step**2) if inside else 0
    return Fit(h, parts(h)[0] / model.df, float(1 / np.sqrt(curve)) if curve > 0 else float("nan"))


def project(model: Model, h: float, y: np.ndarray) -> np.ndarray:
    """P y over the training people (n, ...) at unit scale, 0 for people without the trait.

    P = W - W X (X'W X)^-1 X'W with W = (h K + (1 - h) I)^-1: generalised residuals, covariates out.
    """
    rotated, d = rotate(model, y), _spread(model, h)
    d = d.reshape(-1, *[1] * (y.ndim - 1))
    weighted = model.fixed / _spread(model, h)[:, None]
    solved = scipy.linalg.solve(model.fixed.T @ weighted, weighted.T @ rotated, assume_a="pos")
    out = np.zeros(y.shape)
    out[model.people] = model.kernel.vectors @ (rotated / d - weighted @ solved)
    out[model.people[~model.seen]] = 0
    return out


def left_out_errors(model: Model, h: float, y: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Errors (n,) of predicting every fold from the other folds at a given h; NaN for people without the trait.

    folds: (n,) int.  e_F = (P_FF)^-1 (P y)_F is exactly y_F minus its best linear prediction from the
    others, covariate effects estimated on the others included (the leave-one-out identity, by groups).
    """
    errors = np.full(len(y), np.nan)
    residual = project(model, h, y)
    d = _spread(model, h)
    weighted = model.fixed / d[:, None]
    inner = scipy.linalg.cho_factor(model.fixed.T @ weighted, lower=True)
    for fold in np.unique(folds):
        place = np.flatnonzero(model.seen & (folds[model.people] == fold))
        rows = model.kernel.vectors[place]
        beside = rows @ weighted
        block = (rows / d) @ rows.T - beside @ scipy.linalg.cho_solve(inner, beside.T)
        block[np.diag_indices_from(block)] += 1e-9  # a covariate that only this fold has leaves P_FF singular
        errors[model.people[place]] = scipy.linalg.solve(block, residual[model.people[place]], assume_a="pos")
    return errors
