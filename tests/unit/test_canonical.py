"""Covariances of many traits and canonical traits, against dense algebra and planted values."""

import numpy as np
import pytest

from pseudocohort.weights import canonical, liability


class Plain:
    """A kernel that is a matrix."""

    def __init__(self, k):
        self.k = k

    def multiply(self, v):
        return self.k @ v


@pytest.fixture(scope="module")
def kernel():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(250, 900))
    x[1::3] = 0.7 * x[::3][: len(x[1::3])] + 0.7 * x[1::3]
    return Plain(x.T @ x / 250)


def test_rotation_makes_both_covariances_diagonal():
    rng = np.random.default_rng(2)
    t = 6
    r_g, r_p = (canonical.correlation(v @ v.T) for v in rng.normal(size=(2, t, 8 * t)))
    h, scale = rng.uniform(0.05, 0.3, t), rng.uniform(0.5, 2, t)
    turn = canonical.rotation(r_g, r_p, h, scale)
    sd = np.sqrt(scale)
    v_g, v_p = r_g * np.outer(np.sqrt(h) * sd, np.sqrt(h) * sd), r_p * np.outer(sd, sd)
    assert turn.h.max() < canonical.HIGHEST
    np.testing.assert_allclose(turn.turn.T @ v_p @ turn.turn, np.eye(t), atol=1e-10)
    np.testing.assert_allclose(turn.turn.T @ v_g @ turn.turn, np.diag(turn.h), atol=1e-10)
    np.testing.assert_allclose(turn.turn @ turn.back, np.eye(t), atol=1e-10)
    np.testing.assert_allclose((turn.back.T * turn.h) @ turn.back, v_g, atol=1e-10)


def test_moments_of_the_kernel_agree_with_traces(kernel):
    rows = np.arange(900) % 3 > 0
    pairs = canonical.pairs_of(kernel, rows, 1)
    k = kernel.k[np.ix_(rows, rows)] - np.eye(600)
    # 32 probes: about 1, 3 and 5 % of standard error
    assert pairs.off == pytest.approx((k**2).sum(), rel=0.05)
    assert pairs.third == pytest.approx(np.trace(k @ k @ k), rel=0.15)
    assert pairs.fourth == pytest.approx((k @ k * (k @ k)).sum(), rel=0.2)
    assert pairs.sites == pytest.approx(600**2 / pairs.off)


@pytest.fixture(scope="module")
def root(kernel):
    values, vectors = np.linalg.eigh(kernel.k)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def simulate(root, rng, r_g, r_e, h, age):
    """Scores of genetic and residual correlation r_g and r_e, and liabilities' linear predictors age (n, t)."""
    n, t = age.shape
    g = root @ rng.normal(size=(n, t)) @ np.linalg.cholesky(r_g).T
    e = rng.normal(size=(n, t)) @ np.linalg.cholesky(r_e).T
    return np.sqrt(h) * g + np.sqrt(1 - h) * e + age


def test_correlations_of_scores_and_liabilities_are_found(kernel, root):
    """Planted genetic .8 and residual -.3, so .25 in all, between scores, liabilities and both; mean of 25."""
    rng = np.random.default_rng(3)
    n, t, h = 900, 4, 0.5
    binary, rows = np.array([False, False, True, True]), np.ones(n, dtype=bool)
    r_g, r_e = (np.full((t, t), r) + (1 - r) * np.eye(t) for r in (0.8, -0.3))
    eta = np.where(binary, -0.8 + 0.5 * rng.normal(size=(n, 1)), 0.0)
    seen = rng.random((n, t)) > 0.15
    products = liability.series(eta, binary, seen)
    pairs = canonical.pairs_of(kernel, rows, 1)
    genetic, whole = [], []
    for _ in range(25):
        value = simulate(root, rng, r_g, r_e, h, eta)
        residual = np.where(binary, liability.standard_residual(value > 0, eta), value / value.std(axis=0)) * seen
        observed = canonical.Observed(residual, np.where(binary, liability.slope(eta), 1.0) * seen)
        whole.append(canonical.phenotypic(observed, products))
        genetic.append(canonical.genetic(kernel, observed, np.full(t, h), whole[-1], pairs))
    beside = np.triu_indices(t, 1)
    # standard errors of the means are about .01 and .03; correlations are drawn in a little
    np.testing.assert_allclose(np.mean(whole, axis=0)[beside], 0.25, atol=0.05)
    np.testing.assert_allclose(np.mean(genetic, axis=0)[beside], 0.75, atol=0.12)


def test_many_traits_of_few_people_are_drawn_to_their_targets(kernel):
    rng = np.random.default_rng(4)
    few = Plain(kernel.k[:200, :200])
    noise = rng.normal(size=(200, 60))
    observed = canonical.Observed(noise / noise.std(axis=0), np.ones((200, 60)))
    pairs = canonical.pairs_of(few, np.ones(200, dtype=bool), 1)
    whole = canonical.phenotypic(observed, 200 * np.concatenate([np.ones((1, 60, 60)), np.zeros((3, 60, 60))]))
    genetic = canonical.genetic(few, observed, np.full(60, 0.3), whole, pairs)
    beside = ~np.eye(60, dtype=bool)
    raw = np.corrcoef(noise.T)[beside].std()
    assert raw > 0.06
    assert whole[beside].std() < raw / 2
    assert genetic[beside].std() < 0.15
    for matrix in (whole, genetic):
        np.testing.assert_allclose(np.diag(matrix), 1)
        assert np.linalg.eigvalsh(matrix).min() > -1e-9


def test_equal_traits_have_canonical_traits(kernel, root):
    rng = np.random.default_rng(5)
    one = simulate(root, rng, np.eye(1), np.eye(1), 0.4, np.zeros((900, 1)))
    observed = canonical.Observed(np.repeat(one / one.std(), 3, axis=1), np.ones((900, 3)))
    pairs = canonical.pairs_of(kernel, np.ones(900, dtype=bool), 1)
    whole = canonical.phenotypic(observed, 900 * np.ones((1, 3, 3)))
    genetic = canonical.genetic(kernel, observed, np.full(3, 0.4), whole, pairs)
    turn = canonical.rotation(genetic, whole, np.full(3, 0.4), np.ones(3))
    assert np.isfinite(turn.turn).all()
    assert genetic.min() > 0.98
    np.testing.assert_allclose(turn.turn @ turn.back, np.eye(3), atol=1e-6)
