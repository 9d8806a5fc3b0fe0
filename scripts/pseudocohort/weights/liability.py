"""Liabilities of binary traits: probit null model, draws of truncated normals, and scales (Albert & Chib 1993)."""

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri, ndtri_exp


def fit_probit(y: np.ndarray, basis: np.ndarray, iterations: int = 50) -> np.ndarray:
    """Linear predictor (n,) of the probit regression of y (0, 1) on basis (n, k), by Fisher scoring.

    A weak ridge and halved steps keep it finite where a covariate separates cases from controls.
    """
    ridge = 1e-3 * np.eye(basis.shape[1]) * (basis**2).sum(axis=0).mean() / len(y)
    sign = 2 * y - 1

    def loss(b):
        return -log_ndtr(sign * (basis @ b)).sum() + b @ ridge @ b / 2

    b = np.linalg.lstsq(basis, np.full(len(y), ndtri(y.mean())), rcond=None)[0]
    for _ in range(iterations):
        eta = basis @ b
        mills = sign * ratio(sign * eta)
        weight = ratio(eta) * ratio(-eta)
        step = np.linalg.solve((basis.T * weight) @ basis + ridge, basis.T @ mills - ridge @ b)
        while loss(b + step) > loss(b) + 1e-12 and np.abs(step).max() > 1e-12:
            step = step / 2
        b = b + step
        if np.abs(basis @ step).max() < 1e-9:
            break
    return basis @ b


def ratio(x: np.ndarray) -> np.ndarray:
    """phi(x)/Phi(x), right in both tails."""
    return np.exp(-(x**2) / 2 - np.log(2 * np.pi) / 2 - log_ndtr(x))


def expected(y: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """E[l | y] for l ~ N(eta, 1), y = [l > 0]."""
    return eta + np.where(y > 0, ratio(eta), -ratio(-eta))


def truncated(uniform: np.ndarray, mean: np.ndarray, sd, y: np.ndarray) -> np.ndarray:
    """Draws of l ~ N(mean, sd^2) given y = [l > 0], from uniforms in (0, 1); finite however unlikely y is.

    By the inverse of the distribution function in log space.
    """
    sign = np.where(y > 0, 1.0, -1.0)
    bound = sign * mean / sd  # of sign * (l - mean)/sd > -bound
    z = -ndtri_exp(np.log(uniform) + log_ndtr(bound))
    drawn = mean + sign * sd * z
    return np.where(drawn * sign > 0, drawn, sign * 1e-12)  # rounding at a bound far from the mean


def slope(eta: np.ndarray) -> np.ndarray:
    """phi/sqrt(p(1 - p)), p = Phi(eta): by how much the standard residual follows the liability."""
    return np.exp(-(eta**2) / 2 - np.log(2 * np.pi) / 2 - (log_ndtr(eta) + log_ndtr(-eta)) / 2)


def standard_residual(y: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """(y - p)/sqrt(p(1 - p)) with p = Phi(eta); p stays 1e-4 from 0 and 1, where one case would count as thousands."""
    p = np.clip(ndtr(eta), 1e-4, 1 - 1e-4)
    return (y - p) / np.sqrt(p * (1 - p))


def series(eta: np.ndarray, binary: np.ndarray, seen: np.ndarray, terms: int = 16) -> np.ndarray:
    """(terms, t, t) sums over people of what a correlation rho of liabilities does to products of residuals.

    The tetrachoric series (Pearson 1900), E r_i r_j = sum_k rho^k a_k(eta_i) a_k(eta_j) with
    a_k = phi(eta) He_(k-1)(eta)/sqrt(k! p(1 - p)); of a score a_1 = 1 and no other.
    eta: (n, t).  binary: (t,) bool.  seen: (n, t) bool.
    """
    before, now = np.zeros_like(eta), np.where(binary, slope(eta), 1.0) * seen
    products = []
    for k in range(1, terms + 1):
        products.append(now.T @ now)
        # He_k = eta He_(k-1) - (k - 1) He_(k-2), each over sqrt(k!)
        before, now = now, np.where(binary, (eta * now - np.sqrt((k - 1) ** 2 / k) * before) / np.sqrt(k + 1), 0.0)
    return np.array(products)
