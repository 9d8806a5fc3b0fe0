"""Orthonormal bases of covariates."""

import numpy as np


def orthonormal(columns: np.ndarray, tolerance: float = 1e-8) -> np.ndarray:
    """Orthonormal basis (n, r) of the columns (n, q), collinear directions dropped."""
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, values > tolerance * values.max(initial=1e-300)]
