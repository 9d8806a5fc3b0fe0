"""Variance components, dense and streamed: direct likelihoods, simulated truth, standard errors, bounds."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binom, multivariate_normal
from threadpoolctl import threadpool_limits

from kernel_cohort import brute_force, build, linked_alleles, make_cohort, random_kernel, write
from pseudocohort.weights import lanczos
from pseudocohort.weights.kernel import Sites, make_kernel
from pseudocohort.weights.reml import maximise


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """On small systems threads only wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return make_cohort(tmp_path_factory.mktemp("kernel"))


def direct_reml(k, covariates, y):
    """(h, scale, se, log likelihood) of one trait from the density of its error contrasts."""
    rank = np.linalg.matrix_rank(covariates)
    contrasts = np.linalg.svd(covariates)[0][:, rank:]
    z, inner = contrasts.T @ y, contrasts.T @ k @ contrasts

    def profile(h):
        v = h * inner + (1 - h) * np.eye(len(z))
        return v, z @ np.linalg.solve(v, z) / len(z)

    def loss(h):
        v, scale = profile(h)
        return 0.5 * (np.linalg.slogdet(2 * np.pi * scale * v)[1] + len(z))

    best = min(
        (
            minimize_scalar(loss, bounds=(a, a + 0.1), method="bounded", options={"xatol": 1e-7})
            for a in np.append(np.arange(0, 0.9, 0.1), 0.899)
        ),
        key=lambda found: found.fun,
    ).x
    curve = (loss(best + 0.01) - 2 * loss(best) + loss(best - 0.01)) / 0.01**2 if 0.01 < best < 0.98 else np.nan
    v, scale = profile(best)
    return best, scale, 1 / np.sqrt(curve), multivariate_normal.logpdf(z, cov=scale * v)


def some_traits(cohort, kernel):
    rng, off = np.random.default_rng(5), np.array([[3.0], [0.5], [-1]])
    share = np.sqrt([0.2, 0.5, 0.8])
    return 2 * (share * kernel.prior_values + np.sqrt(1 - share**2) * rng.normal(size=(150, 3))) + cohort[2] @ off


def test_dense_reml_is_the_maximum_of_the_direct_likelihood(cohort):
    covariates, dosage = cohort[2:4]
    *_, k, _ = brute_force(dosage, covariates)
    kernel, _ = build(cohort, "dense")
    y = some_traits(cohort, kernel)
    people = np.flatnonzero(covariates[:, 2] == 1)  # a covariate is constant among them
    for rows in (None, people, np.isin(np.arange(150), people)):
        fits = kernel.reml(y, rows)
        among = np.arange(150) if rows is None else people
        for c in range(3):
            h, scale, se, likelihood = direct_reml(k[np.ix_(among, among)], covariates[among], y[among, c])
            assert fits.h[c] == pytest.approx(h, abs=1e-4)
            assert fits.scale[c] == pytest.approx(scale, rel=1e-3)
            assert fits.log_likelihood[c] == pytest.approx(likelihood, abs=1e-4)
            assert fits.se[c] == pytest.approx(se, rel=0.05, nan_ok=True)
    assert len(kernel._parts) == 1  # the same people are decomposed once


def test_streamed_reml_comes_near_the_dense(cohort):
    dense, streamed = build(cohort, "dense")[0], build(cohort, "streamed")[0]
    y = some_traits(cohort, dense)
    spread = np.argsort(np.diag(brute_force(*cohort[3:1:-1])[3]))[-75:]  # their kernel has another mean diagonal
    for rows in (None, spread):  # at 10 passes the third trait would be at the upper bound
        exact, near = dense.reml(y, rows), streamed.reml(y, rows, probes=300)
        np.testing.assert_allclose(near.h, exact.h, atol=0.01)
        np.testing.assert_allclose(near.scale, exact.scale, rtol=0.02)
        np.testing.assert_allclose(near.se, exact.se, rtol=0.05)
        np.testing.assert_allclose(near.log_likelihood, exact.log_likelihood, atol=0.5)


def test_too_few_passes_do_not_end_at_the_upper_bound(tmp_path):
    rng = np.random.default_rng(21)
    prefix = write(tmp_path / "chr1", linked_alleles(rng, 400, 150))
    b = rng.normal(size=(150, 1))
    dense, streamed = (
        make_kernel(Sites([prefix], None), np.ones((400, 1)), up_to, lambda chrom, table: b[table.index])
        for up_to in (1000, 0)
    )
    y = np.sqrt(0.95) * dense.prior_values + np.sqrt(0.05) * rng.normal(size=(400, 1))
    np.testing.assert_allclose([streamed.reml(y, steps=k).h[0] for k in (10, 15)], 0.999, atol=1e-4)
    np.testing.assert_allclose(streamed.reml(y).h, dense.reml(y).h, atol=0.01)


def test_traits_that_are_all_kernel_or_none_of_it_reach_the_bounds(cohort):
    for kind in ("dense", "streamed"):
        kernel, _ = build(cohort, kind)
        only_noise = kernel.project(np.random.default_rng(6).normal(size=(150, 1)))
        *_, vectors = np.linalg.svd(cohort[3] - cohort[3].mean(axis=1, keepdims=True))
        outside = kernel.project(vectors[93:].T @ (vectors[93:] @ only_noise))
        fits = kernel.reml(np.column_stack([kernel.prior_values[:, 0], outside]))
        np.testing.assert_allclose(fits.h, [0.999, 0], atol=1e-5)
        assert np.isnan(fits.se).all()


def test_errors_include_what_the_probes_add():
    """The spread of h over 50 sets of 8 probes, for one trait, is the part that the standard error has on top."""
    rng = np.random.default_rng(20)
    k, basis = random_kernel(rng)
    values, vectors = np.linalg.eigh(k)
    y = vectors @ (np.sqrt(0.5 * np.maximum(values, 0) + 0.5) * rng.normal(size=300))
    projector = lanczos.Projector(basis)
    start = projector(np.column_stack([y, rng.choice([-1.0, 1.0], (300, 400))]))
    q = lanczos.lanczos(lambda v, columns: projector(k @ v), start, 60)

    def fit(probes):
        def rss(h):
            return q.squares[0] * (q.weights[:, :1] / (h * q.nodes[:, :1] + 1 - h)).sum(axis=0)

        some = lanczos.Quadrature(q.nodes[:, probes], q.weights[:, probes], q.squares[probes])
        return maximise(rss, lambda h: lanczos.log_determinants(some, 299, 299.0, h), 299, 1)

    sets = [fit(slice(1 + 8 * i, 9 + 8 * i)) for i in range(50)]
    whole = fit(slice(1, None))
    added = np.sqrt(np.mean([f.se[0] ** 2 for f in sets]) - whole.se[0] ** 2)
    spread = np.std([f.h[0] for f in sets])
    # the standard deviation of 50 has an error of 10 %; "added" leaves 1/50 of it in the whole
    assert 0.6 < added / spread < 1.5
    assert spread > 0.1 * whole.se[0]  # there is something to add


def sibs(rng, families, sites):
    """ALT alleles (sites, 4 families): two full sibs a family, unlinked sites."""
    parents = rng.random((sites, families, 4)) < rng.uniform(0.05, 0.5, sites)[:, None, None]
    chosen = rng.integers(0, 2, (sites, families, 4)) + np.array([0, 2, 0, 2])
    return np.take_along_axis(parents, chosen, axis=2).reshape(sites, -1).astype(np.int8)


def test_estimates_are_unbiased_and_their_errors_true(tmp_path):
    """300 pairs of sibs, 120 traits at each h; the mean within 4 standard errors of the mean (false alarm 1e-4)."""
    rng, repeats = np.random.default_rng(12), 120
    prefix = write(tmp_path / "chr1", sibs(rng, 300, 500))
    truth = np.repeat([0.0, 0.1, 0.5, 0.9], repeats)
    b = rng.normal(size=(500, len(truth)))
    sites = Sites([prefix], None)
    covariates = np.column_stack([np.ones(600), rng.normal(size=600)])
    kernels = [make_kernel(sites, covariates, up_to, lambda chrom, table: b[table.index]) for up_to in (1000, 0)]
    y = np.sqrt(truth) * kernels[0].prior_values + np.sqrt(1 - truth) * rng.normal(size=(600, len(truth)))
    for kernel, settings in zip(kernels, ({}, {"probes": 16}), strict=True):
        fits = kernel.reml(y, **settings)
        for share in (0.1, 0.5, 0.9):
            h, se = fits.h[truth == share], fits.se[truth == share]
            z = (h - share) / se
            # one set of 16 probes shifts all traits alike, by about a quarter of a standard error
            shared = 0 if not settings else 0.25 * np.nanmean(se)
            if share == 0.1:  # 0 cuts off the lower tail: (h - truth) within what this can add
                assert -4 * h.std() / np.sqrt(repeats) < h.mean() - share < 0.25 * np.nanmean(se)
                continue
            assert abs(h.mean() - share) < 4 * np.hypot(h.std() / np.sqrt(repeats), shared)
            assert 0.7 < np.nanstd(z) < 1.3
        # at no heritability half of the estimates are 0 (Self & Liang 1987); K's spectrum is skewed, so a few more
        zero = (fits.h[truth == 0] < 1e-6).sum()
        if not settings:
            assert binom.ppf(1e-5, repeats, 0.5) <= zero <= binom.ppf(1 - 1e-5, repeats, 0.6)


def test_maximum_is_found_beside_a_lower_one():
    """Two humps: golden sections alone would end at either."""

    def loss(h):
        return np.minimum((h - 0.2) ** 2, (h - 0.7) ** 2 - 0.01)

    fits = maximise(lambda h: np.exp(loss(h)), lambda h: np.zeros((1, len(h))), 1, 2)
    np.testing.assert_allclose(fits.h, 0.7, atol=1e-5)
