"""Systems, log determinants and quadratic forms of a kernel of which only products with vectors are known."""

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

log = logging.getLogger("pseudocohort")

EXHAUSTED = 1e-6  # a Lanczos vector this much shorter than its product is rounding: the space is complete


class Projector:
    """Takes (n, c) columns to the people of their masks and off the covariates among those people.

    basis: (n, r) spans the covariates.  mask: bool (n, c), (n, 1) for one set of people, or None for all.
    Attributes: df (c,) or (1,), dimension of the space that is left.
    With Q the basis and S the people: v - S Q (Q'S Q)^-1 Q'S v, v = 0 outside S.
    """

    def __init__(self, basis: np.ndarray, mask: np.ndarray | None = None):
        n, r = basis.shape
        self.basis, self.mask, self.inverse = basis, mask, None
        self.df = np.array([n - r])
        if mask is not None:
            patterns, self.pattern = np.unique(mask, axis=1, return_inverse=True)
            self.pattern = self.pattern.ravel()
            self.inverse, rank = np.empty((patterns.shape[1], r, r)), []
            for j, people in enumerate(patterns.T):
                level, turn = np.linalg.eigh(basis[people].T @ basis[people])
                keep = level > 1e-8  # covariates that do not vary among these people
                self.inverse[j] = (turn[:, keep] / level[keep]) @ turn[:, keep].T
                rank.append(keep.sum())
            self.df = mask.sum(axis=0) - np.array(rank)[self.pattern]

    def __call__(self, v: np.ndarray, columns=slice(None)) -> np.ndarray:
        """v (n, k) are columns number `columns` of the c."""
        if self.mask is None:
            return v - self.basis @ (self.basis.T @ v)
        one = self.mask.shape[1] == 1
        mask = self.mask if one else self.mask[:, columns]
        pattern = np.zeros(v.shape[1], dtype=int) if one else self.pattern[columns]
        v = np.where(mask, v, 0.0)
        fitted = np.einsum("krs,sk->rk", self.inverse[pattern], self.basis.T @ v)
        return v - np.where(mask, self.basis @ fitted, 0.0)

    def squares(self, g: np.ndarray) -> np.ndarray:
        """|P g_j|^2 (b,) of rows g (b, n) float32, for the one mask of this projector."""
        g = g if self.mask is None else g * self.mask[:, 0].astype(np.float32)
        on_basis = (g @ self.basis.astype(np.float32)).astype(float)
        inverse = np.eye(self.basis.shape[1]) if self.inverse is None else self.inverse[0]
        return np.einsum("ij,ij->i", g, g) - np.einsum("br,rs,bs->b", on_basis, inverse, on_basis, optimize=True)


def conjugate_gradient(
    multiply: Callable, right: np.ndarray, ratio: np.ndarray, tolerance: float = 1e-6, iterations: int = 1000
) -> np.ndarray:
    """Solve (K + ratio_c I) x_c = right_c for every column (Hestenes & Stiefel 1952), x (n, c).

    multiply: (v (n, k), columns (k,)) -> K v for columns number `columns`.  ratio: (c,) > 0.
    A column is done, and costs nothing more, when its residual is below tolerance |right_c|.
    """
    x, r = np.zeros_like(right), right.copy()
    goal = tolerance * np.linalg.norm(right, axis=0)
    square = (r * r).sum(axis=0)
    p, started, told = r.copy(), time.monotonic(), time.monotonic()
    active = np.flatnonzero(np.sqrt(square) > goal)
    first = np.sqrt(square).max(initial=0)
    for iteration in range(iterations):
        if not len(active):
            return x
        direction = p[:, active]
        product = multiply(direction, active) + ratio[active] * direction
        length = square[active] / (direction * product).sum(axis=0)
        x[:, active] += length * direction
        r[:, active] -= length * product
        fresh = (r[:, active] ** 2).sum(axis=0)
        p[:, active] = r[:, active] + fresh / square[active] * direction
        square[active] = fresh
        left = np.sqrt(fresh) > goal[active]
        if time.monotonic() - told > 10:
            told = time.monotonic()
            _tell(iteration + 1, len(goal) - left.sum(), goal, np.sqrt(square), told - started, first)
        active = active[left]
    if len(active):
        worst = (np.sqrt(square[active]) / goal[active]).max() * tolerance
        log.warning("solving: %d systems stop after %d steps at a residual of %.1e", len(active), iterations, worst)
    return x


def _tell(iteration, done, goal, residual, seconds, first) -> None:
    """How far the solver is; the time left as if the residuals kept falling at their mean rate."""
    worst = int(np.argmax(residual / np.maximum(goal, 1e-300)))
    fallen = np.log(first / max(residual[worst], 1e-300))
    needed = max(np.log(max(residual[worst], 1e-300) / max(goal[worst], 1e-300)), 0)
    left = seconds * needed / fallen if fallen > 0 else float("nan")
    form = "solving: step %d, %d of %d systems done, residual %.1e of the goal, about %.0f s left"
    log.info(form, iteration, done, len(goal), residual[worst] / goal[worst], left)


class Quadrature(NamedTuple):
    """v'f(K)v of c vectors as |v|^2 sum_i weights_i f(nodes_i): nodes and weights (k, c), squares (c,) = |v|^2."""

    nodes: np.ndarray
    weights: np.ndarray
    squares: np.ndarray


def lanczos(
    multiply: Callable, start: np.ndarray, steps: int, enough: Callable[[Quadrature], bool] | None = None
) -> Quadrature:
    """Gauss quadratures of start'f(K)start by at most `steps` products with K (Golub & Meurant 2010, chapter 7).

    multiply: (v (n, c), columns) -> K v.  start: (n, c).  enough: asked every 5 steps from the 10th on, and at
    the last, whether the quadrature will do.  The basis is not orthogonalised again: the copies of
    eigenvalues that this lets in share their weights, so that quadratures stay right.
    """
    c = start.shape[1]
    squares = (start**2).sum(axis=0)
    v, before = start / np.sqrt(np.maximum(squares, 1e-300)), np.zeros_like(start)
    diagonal, beside = np.zeros((steps, c)), np.zeros((steps, c))
    begun = told = time.monotonic()
    for k in range(steps):
        product = multiply(v, np.arange(c))
        product -= before * (beside[k - 1] if k else 0)
        diagonal[k] = (v * product).sum(axis=0)
        product -= v * diagonal[k]
        length = np.linalg.norm(product, axis=0)
        going = length > EXHAUSTED * np.maximum(np.abs(diagonal[: k + 1]).max(axis=0), 1e-300)
        beside[k] = np.where(going, length, 0)
        before, v = v, np.where(going, product / np.where(going, length, 1), 0)
        if time.monotonic() - told > 10:
            told = time.monotonic()
            form = "variance components: pass %d of at most %d, at most %.0f s left"
            log.info(form, k + 1, steps, (told - begun) * (steps / (k + 1) - 1))
        if (
            enough
            and ((k >= 9 and k % 5 == 4) or k + 1 == steps)
            and enough(_quadrature(diagonal[: k + 1], beside[:k], squares))
        ):
            return _quadrature(diagonal[: k + 1], beside[:k], squares)
    return _quadrature(diagonal, beside[:-1], squares)


def _quadrature(diagonal: np.ndarray, beside: np.ndarray, squares: np.ndarray) -> Quadrature:
    """From the tridiagonal matrices of c columns: diagonal (k, c), beside (k - 1, c)."""
    k, c = diagonal.shape
    t, rows = np.zeros((c, k, k)), np.arange(k)
    t[:, rows, rows] = diagonal.T
    t[:, rows[1:], rows[:-1]] = t[:, rows[:-1], rows[1:]] = beside.T
    nodes, vectors = np.linalg.eigh(t)
    return Quadrature(np.maximum(nodes, 0).T, (vectors[:, 0, :] ** 2).T, squares)


def log_determinants(probes: Quadrature, df: int, trace: float, h: np.ndarray) -> np.ndarray:
    """Estimates (p, c) of log |h K + (1 - h) I| on a space of dimension df, one from each of p probes; h (c,).

    df x the mean of log d over a probe's quadrature, less a multiple of (its mean of d - the true mean), which is
    known from trace = trace(K): a control variate, its coefficient by regression of log d on d over all nodes.
    """
    d = h[:, None, None] * probes.nodes + 1 - h[:, None, None]  # (c, k, p)
    value, weight = np.log(d), probes.weights
    truth = h * trace / df + 1 - h
    mean_d, mean_value = (weight * d).sum(axis=1), (weight * value).sum(axis=1)  # (c, p)
    over = weight.sum()
    centre_d = d - (mean_d.sum(axis=1) / over)[:, None, None]
    spread = (weight * centre_d**2).sum(axis=(1, 2))
    slope = (weight * centre_d * value).sum(axis=(1, 2)) / np.maximum(spread, 1e-300)
    return (df * (mean_value - slope[:, None] * (mean_d - truth[:, None]))).T
