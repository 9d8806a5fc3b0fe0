"""Linear recolouring of the latents until the scores' moments agree with the training people's."""

from collections.abc import Callable

import numpy as np

from pseudocohort.phenotype.training import Moments, moments

ROUNDS = 10
STEP = 0.7


def calibrate(latent: np.ndarray, c: np.ndarray, target: Moments, decode: Callable, decoder):
    """The decoded people whose score moments are nearest to the target among the first and ROUNDS recoloured.

    latent (n, atoms), c (n, conditions); decode: latents -> Decoder (with encoded.score); decoder: the first.
    In each round the wanted slope B and covariance C of the latents move by STEP of what the scores still
    lack; the residuals are mapped by the optimal transport between centred normals of the two covariances,
    T = S^-1/2 (S^1/2 C S^1/2)^1/2 S^-1/2 (Olkin and Pukelsheim 1982), the smallest change that does it.
    """
    latent = (latent - latent.mean(0)) / np.maximum(latent.std(0), 1e-9)
    first = moments(latent, c)
    design = np.column_stack([np.ones(len(c)), c]).astype(np.float64)
    rest = latent - design @ first.slope
    slope, covariance = first.slope, first.covariance
    root, inverse = _roots(first.covariance)
    best, best_gap = decoder, np.inf
    for _ in range(ROUNDS + 1):
        reached = moments(decoder.encoded.score.astype(np.float64), c)
        lack = Moments(target.slope - reached.slope, target.covariance - reached.covariance)
        gap = np.sqrt(np.mean(lack.slope**2)) + np.sqrt(np.mean(lack.covariance**2))
        if gap < best_gap:
            best, best_gap = decoder, gap
        slope, covariance = slope + STEP * lack.slope, _positive(covariance + STEP * lack.covariance)
        transport = inverse @ _roots(root @ covariance @ root)[0] @ inverse
        decoder = decode(design @ slope + rest @ transport)
    return best


def _roots(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric square root and its inverse."""
    value, vector = np.linalg.eigh((matrix + matrix.T) / 2)
    root = np.sqrt(np.maximum(value, 1e-8))
    return (vector * root) @ vector.T, (vector / root) @ vector.T


def _positive(matrix: np.ndarray) -> np.ndarray:
    """Nearest symmetric matrix with eigenvalues of at least 1e-4."""
    value, vector = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vector * np.maximum(value, 1e-4)) @ vector.T
