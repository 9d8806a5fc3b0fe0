"""Large symmetric matrices in place: sums of products, projections, eigen-decomposition, without a copy."""

import numpy as np
import scipy.linalg

PANEL = 1024  # rows of the matrix at a time
ROUNDING = 1e-5  # eigenvalues below are those of float32 products


def decompose(k: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """values (n,) rising, vectors (n, n) of a symmetric k that is 0 on basis (n, r), in k's place.

    The first r vectors are made to span the basis: K may have other directions of eigenvalue 0.
    """
    n, r = basis.shape
    for start in range(0, n, PANEL):  # the basis goes below every eigenvalue
        k[start : start + PANEL] -= basis[start : start + PANEL] @ basis.T
    values, vectors = scipy.linalg.eigh(k, driver="evd", overwrite_a=True, check_finite=False)
    values[:r] = 0
    return np.where(values < ROUNDING, 0, values), vectors


def part_of(values: np.ndarray, vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows and columns `rows` (k,) of vectors diag(values) vectors', (k, k)."""
    part, out = vectors[rows], np.empty((len(rows), len(rows)))
    for start in range(0, len(rows), PANEL):
        np.matmul(part[start : start + PANEL] * values, part.T, out=out[start : start + PANEL])
    return out


def project_both(k: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """M k M of a symmetric k (n, n), in its place."""
    z = k @ basis
    z -= basis @ (basis.T @ z) / 2
    for start in range(0, len(k), PANEL):
        rows = slice(start, start + PANEL)
        k[rows] -= z[rows] @ basis.T + basis[rows] @ z.T
    return k


def add_products(k: np.ndarray, x: np.ndarray, device: str = "cpu") -> None:
    """Lower half of k (n, n) float64 += x'x for x (b, n) float32."""
    if device == "gpu":
        import jax.numpy as jnp

        held = jnp.asarray(x)
        k += np.asarray(jnp.matmul(held.T, held, precision="highest"))
        return
    for start in range(0, len(k), PANEL):
        stop = min(start + PANEL, len(k))
        k[start:stop, :stop] += x[:, start:stop].T @ x[:, :stop]


def mirror(k: np.ndarray) -> None:
    """Upper half of k (n, n) from the lower."""
    for start in range(0, len(k), PANEL):
        stop = min(start + PANEL, len(k))
        k[start:stop, start:stop] = np.tril(k[start:stop, start:stop]) + np.tril(k[start:stop, start:stop], -1).T
        k[:start, start:stop] = k[start:stop, :start].T
