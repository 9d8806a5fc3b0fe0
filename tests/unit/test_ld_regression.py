"""LD score regression: the step against statsmodels, estimates against simulated truth."""

import numpy as np
import pytest
import statsmodels.api as sm

from pseudocohort.genetics import ld_regression
from pseudocohort.genetics.ld_regression import blocks_of, genetic_correlation, ld_score_regression

M, PEOPLE, BLOCKS = 20_000, 20_000, 100
H2, RG, INTERCEPT = (0.4, 0.3), 0.5, 1.08
SHARED, PHENOTYPIC = 0.5, 0.3  # share of people who have both traits, and correlation of these


@pytest.fixture(scope="module")
def simulated():
    """LD of 200 blocks with correlations rho^|i-j| each of its own rho, so LD scores are known; 60 pairs of traits.

    z = sqrt(N / M) R b + R^(1/2) e has exactly the covariance that the regression takes for true, and normal.
    """
    rng = np.random.default_rng(21)
    size, replicates = M // 200, 60
    scores, z = [], []
    effects = np.array([[H2[0], RG * np.sqrt(H2[0] * H2[1])], [RG * np.sqrt(H2[0] * H2[1]), H2[1]]]) / M
    noise = np.array([[INTERCEPT, SHARED * PHENOTYPIC], [SHARED * PHENOTYPIC, INTERCEPT]])
    for _ in range(200):
        r = rng.uniform(0.1, 0.97) ** np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
        scores.append((r**2).sum(axis=1))
        b = np.linalg.cholesky(effects) @ rng.normal(size=(replicates, 2, size))
        e = np.linalg.cholesky(noise) @ rng.normal(size=(replicates, 2, size))
        z.append(np.sqrt(PEOPLE) * b @ r + e @ np.linalg.cholesky(r).T)
    return np.concatenate(scores), np.concatenate(z, axis=2)


def test_the_regression_and_every_deleted_block_are_those_of_statsmodels(simulated):
    scores, z = simulated
    y, rng = z[0, 0] ** 2, np.random.default_rng(1)
    weights = rng.uniform(0.2, 2, M)
    fit = ld_regression._jackknifed(y, scores, weights, 30)
    design = np.column_stack([scores, np.ones(M)])
    np.testing.assert_allclose(fit.values, sm.WLS(y, design, weights).fit().params, rtol=1e-8)
    edges = np.linspace(0, M, 31).astype(int)
    for b in (0, 7, 29):
        kept = np.r_[0 : edges[b], edges[b + 1] : M]
        expected = sm.WLS(y[kept], design[kept], weights[kept]).fit().params
        np.testing.assert_allclose(fit.deleted[b], expected, rtol=1e-8)
    assert fit.sizes.sum() == M


def test_estimates_have_the_mean_of_the_truth_and_errors_their_spread(simulated):
    """Means of 60 within 4 standard errors (a false alarm in 16,000); the jackknife's error within 25 % of the spread,
    which 60 replicates know to 9 %."""
    scores, z = simulated
    fits = [ld_score_regression(x[0], PEOPLE, scores, M, BLOCKS) for x in z]
    for value, error, truth in (("h2", "h2_se", H2[0]), ("intercept", "intercept_se", INTERCEPT)):
        found = np.array([getattr(f, value) for f in fits])
        assert abs(found.mean() - truth) < 4 * found.std() / np.sqrt(len(found))
        assert 0.75 < np.mean([getattr(f, error) for f in fits]) / found.std() < 1.25
        assert found.std() < 0.1
    pairs = [genetic_correlation(x[0], x[1], (PEOPLE, PEOPLE), scores, M, BLOCKS) for x in z]
    for value, error, truth in (
        ("covariance", "covariance_se", RG * np.sqrt(H2[0] * H2[1])),
        ("correlation", "correlation_se", RG),
        ("intercept", "intercept_se", SHARED * PHENOTYPIC),
    ):
        found = np.array([getattr(f, value) for f in pairs])
        assert abs(found.mean() - truth) < 4 * found.std() / np.sqrt(len(found))
        assert 0.75 < np.mean([getattr(f, error) for f in pairs]) / found.std() < 1.25


def test_weights_make_the_estimate_better_than_ordinary_least_squares(simulated):
    scores, z = simulated
    weighted = np.array([ld_score_regression(x[0], PEOPLE, scores, M, BLOCKS).h2 for x in z])
    design = np.column_stack([scores, np.ones(M)])
    plain = np.linalg.lstsq(design, (z[:, 0] ** 2).T, rcond=None)[0][0] * M / PEOPLE
    assert weighted.std() < 0.9 * plain.std()


def test_the_ratio_and_sites_that_are_left_out(simulated):
    scores, z = simulated
    x = z[0, 0].copy()
    x[5], x[6:10] = 30.0, np.nan
    fit = ld_score_regression(x, PEOPLE, scores, M, BLOCKS)
    assert fit.sites == M - 5
    kept = np.delete(x, [5, 6, 7, 8, 9])
    assert fit.ratio == pytest.approx((fit.intercept - 1) / ((kept**2).mean() - 1))
    assert fit.mean_chi2 == pytest.approx(np.nanmean(x**2))
    assert fit.lambda_gc == pytest.approx(np.nanmedian(x**2) / 0.4549, rel=1e-4)
    assert ld_score_regression(x, 10**6, scores, M, BLOCKS).sites == M - 4  # 900 is below 0.001 N


def test_what_cannot_be_estimated_is_told():
    rng = np.random.default_rng(0)
    z, scores = rng.normal(size=3000), rng.uniform(1, 50, 3000)
    assert blocks_of(12.5) == 12
    assert blocks_of(3500) == 200
    for fit, reason in (
        (ld_score_regression(z, 1000, scores, 3000, blocks_of(12.5)), "fewer than 20 blocks of 1 cM"),
        (ld_score_regression(z[:90], 1000, scores[:90], 3000, 20), "too few sites"),
        (ld_score_regression(z, 1000, np.ones(3000), 3000, 20), "LD scores do not vary"),
        (ld_score_regression(np.full(3000, np.nan), 1000, scores, 3000, 20), "too few sites"),
        (genetic_correlation(z, z, (9, 9), scores, 3000, 5), "fewer than 20 blocks"),
    ):
        assert reason in fit.reason
        assert np.isnan(fit[0])
        assert np.isnan(fit[1])
    low = ld_score_regression(0.9 * z, 1000, scores, 3000, 20)
    assert np.isfinite(low.h2)
    assert np.isnan(low.ratio)
    assert "no ratio" in low.reason
    falling = rng.normal(size=3000) * np.sqrt(np.linspace(2, 0.2, 3000))
    none = genetic_correlation(falling, falling, (1000, 1000), np.linspace(1, 50, 3000), 3000, 20)
    assert np.isnan(none.correlation)
    assert "not above 0" in none.reason
