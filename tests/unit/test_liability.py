"""Liabilities against scipy and statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import kstest, multivariate_normal, norm, truncnorm

from pseudocohort.weights import liability


def test_truncated_draws_have_the_truncated_normal_distribution():
    rng = np.random.default_rng(1)
    for mean, sd, y in [(0.3, 1.0, 1), (-2.5, 0.7, 1), (3.0, 1.5, 0), (-8.0, 1.0, 1), (0.0, 0.1, 0)]:
        drawn = liability.truncated(rng.random(4000), np.full(4000, mean), sd, np.full(4000, y))
        bounds = (-mean / sd, np.inf) if y else (-np.inf, -mean / sd)
        assert kstest(drawn, truncnorm(*bounds, loc=mean, scale=sd).cdf).pvalue > 1e-4  # five tests


def test_draws_are_finite_and_on_their_side_however_unlikely():
    mean = np.repeat([-300.0, -40.0, -1e-300, 0.0, 40.0, 300.0], 4)
    uniform = np.tile([2.0**-53, 1e-5, 0.5, 1 - 2.0**-53], 6)
    for y in (0.0, 1.0):
        for sd in (1e-3, 1.0):
            drawn = liability.truncated(uniform, mean, sd, np.full(24, y))
            assert np.isfinite(drawn).all()
            assert ((drawn > 0) == (y == 1)).all()


def test_probit_agrees_with_statsmodels_and_survives_separation():
    rng = np.random.default_rng(2)
    x = np.column_stack([np.ones(500), rng.normal(size=(500, 2))])
    y = (x @ [-1.2, 0.8, -0.3] + rng.normal(size=500) > 0).astype(float)
    np.testing.assert_allclose(liability.fit_probit(y, x), x @ sm.Probit(y, x).fit(disp=0).params, atol=0.02)
    separated = liability.fit_probit((x[:, 1] > 1).astype(float), x)
    assert np.isfinite(separated).all()
    assert (liability.ratio(separated) >= 0).all()


def test_expectations_and_slopes_agree_with_normal_integrals():
    eta = np.array([-3.0, -0.5, 0.0, 1.2])
    for y, bounds in ((1.0, lambda e: (-e, np.inf)), (0.0, lambda e: (-np.inf, -e))):
        expected = [truncnorm(*bounds(e), loc=e).mean() for e in eta]
        np.testing.assert_allclose(liability.expected(np.full(4, y), eta), expected, rtol=1e-9)
    p = norm.cdf(eta)
    np.testing.assert_allclose(liability.slope(eta), norm.pdf(eta) / np.sqrt(p * (1 - p)), rtol=1e-12)
    np.testing.assert_allclose(liability.slope(np.array([-38.0]))[0] ** 2, 38.0**2 * norm.pdf(38) / 38, rtol=2e-3)


def test_series_gives_the_correlation_of_products():
    """Sum over people of E r_i r_j by the bivariate normal distribution, two binary traits and a score."""
    eta = np.array([[-1.0, 0.4, 0.0], [0.2, -0.8, 0.0], [-1.6, -0.1, 0.0]])
    seen = np.array([[True, True, True], [True, True, False], [True, True, True]])
    products = liability.series(eta, np.array([True, True, False]), seen, terms=40)
    p = norm.cdf(eta)
    for rho in (-0.6, 0.3, 0.7):
        total = (products * rho ** np.arange(1, 41)[:, None, None]).sum(axis=0)
        both = [multivariate_normal.cdf(e[:2], cov=[[1, rho], [rho, 1]]) for e in eta]
        scale = np.sqrt(p[:, 0] * (1 - p[:, 0]) * p[:, 1] * (1 - p[:, 1]))
        assert total[0, 1] == pytest.approx(((both - p[:, 0] * p[:, 1]) / scale).sum(), abs=1e-4)
        # E (y - p) l = rho phi, of the people who have both
        slope = norm.pdf(eta[:, 0]) / np.sqrt(p[:, 0] * (1 - p[:, 0]))
        assert total[0, 2] == pytest.approx(rho * slope[[0, 2]].sum())
        assert total[2, 2] == pytest.approx(rho * 2)
