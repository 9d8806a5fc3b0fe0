"""The genomic kernel, dense and streamed, against brute-force algebra, direct likelihoods and simulated truth."""

import itertools
import logging

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binom, multivariate_normal, norm
from threadpoolctl import threadpool_limits

from pseudocohort.errors import InputError
from pseudocohort.genotypes import GenotypeWriter
from pseudocohort.weights import common_sites, lanczos
from pseudocohort.weights.kernel import Sites, choose_alpha, make_kernel, minimum_count, standardised
from pseudocohort.weights.reml import maximise


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """On small systems threads only wait for each other."""
    with threadpool_limits(1):
        yield


def linked_alleles(rng, people, sites, low=0.02):
    """ALT alleles (sites, 2 people) int8 in runs of 10 correlated sites, frequencies low to 0.5."""
    alleles, latent = np.empty((sites, 2 * people), dtype=np.int8), None
    for s in range(sites):
        fresh = rng.normal(size=2 * people)
        latent = fresh if s % 10 == 0 else 0.85 * latent + np.sqrt(1 - 0.85**2) * fresh
        alleles[s] = latent < norm.ppf(rng.uniform(low, 0.5))
    return alleles


def write(prefix, alleles, chrom="1", absent=None):
    sites, people = len(alleles), alleles.shape[1] // 2 + (0 if absent is None else int(absent.sum()))
    table = {"chrom": chrom, "pos": 10 + np.arange(sites), "id": [f"s{i}" for i in range(sites)], "ref": "A"}
    person = np.array([f"p{i}" for i in range(people)])
    with GenotypeWriter(prefix, person, np.ones(people, dtype=int), sites, absent) as writer:
        writer.append(alleles, pd.DataFrame({**table, "alt": "T"}))
    return prefix


def brute_force(dosage, covariates, alpha=-1.0):
    """x (m, n), to_allele (m,), M (n, n), K (n, n) and its scale, from dosages (m, n) in float64."""
    p, sd = dosage.mean(axis=1) / 2, dosage.std(axis=1)
    to_allele = (2 * p * (1 - p)) ** ((1 + alpha) / 2) / sd
    x = (dosage - dosage.mean(axis=1, keepdims=True)) * to_allele[:, None]
    off = np.eye(x.shape[1]) - covariates @ np.linalg.pinv(covariates)
    k = off @ x.T @ x @ off
    scale = np.trace(k) / np.trace(off) / len(x)
    return x, to_allele, off, k / len(x) / scale, scale


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """200 people in two files, 150 of them taken; covariates; common dosages (m, 150) and prior effects (m, 3)."""
    folder, rng = tmp_path_factory.mktemp("kernel"), np.random.default_rng(1)
    first, second = linked_alleles(rng, 200, 60), linked_alleles(rng, 200, 35)
    first[7] = rng.random(400) < 0.003  # rare
    first[8] = np.tile([0, 1], 200)  # everybody heterozygous
    second[3] = 1 - second[3]  # REF is rare
    prefixes = [write(folder / "chr1", first, "1"), write(folder / "chr2", second, "2")]
    rows = np.sort(rng.choice(200, 150, replace=False))
    common = np.delete(np.arange(95), [7, 8])
    alleles = np.vstack([first, second])
    dosage = (alleles[:, 0::2] + alleles[:, 1::2])[np.ix_(common, rows)].astype(float)
    covariates = np.column_stack([np.ones(150), rng.normal(size=150), rng.choice([-1, 1], 150)])
    return prefixes, rows, covariates, dosage, common, rng.normal(size=(95, 3))


def build(cohort, kind, prior=True, **settings):
    prefixes, rows, covariates, _, _, b = cohort
    offset = {"1": 0, "2": 60}
    sites = Sites(prefixes, rows, **settings)
    device = "gpu" if kind.endswith("gpu") else "cpu"
    up_to = 1000 if kind.startswith("dense") else 0
    drawn = (lambda chrom, table: b[offset[chrom] + table.index]) if prior else None
    return make_kernel(sites, covariates, up_to, prior=drawn, device=device), drawn


def test_common_sites_are_standardised(cohort):
    prefixes, rows, covariates, dosage, common, _ = cohort
    for alpha, size in ((-1.0, 4096), (-0.3, 20)):
        parts = list(standardised(Sites(prefixes, rows, alpha=alpha, block_sites=size)))
        assert [c for c, *_ in parts] == sorted(c for c, *_ in parts)
        assert len(parts) == (2 if size == 4096 else 3 + 2)
        places = np.concatenate([t.index + (0 if c == "1" else 60) for c, t, *_ in parts])
        np.testing.assert_array_equal(places, common)
        x, to_allele, *_ = brute_force(dosage, covariates, alpha)
        got = np.concatenate([part[2] for part in parts])
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, x, atol=3e-6)
        np.testing.assert_allclose(np.concatenate([part[3] for part in parts]), to_allele, rtol=1e-6)


def test_least_count_of_a_common_site():
    assert [minimum_count(n, f) for n, f in ((1000, 0.01), (150, 0.01), (10, 0.001), (333, 0.1))] == [20, 3, 1, 67]


def test_sites_with_missing_calls_are_left_out(tmp_path):
    rng = np.random.default_rng(2)
    absent = np.arange(40) < 5
    prefixes = [
        write(tmp_path / "a", linked_alleles(rng, 40, 20, 0.2)),
        write(tmp_path / "y", linked_alleles(rng, 35, 20, 0.2), "Y", absent),
    ]
    assert {c for c, *_ in standardised(Sites(prefixes, None))} == {"1"}
    men = np.flatnonzero(~absent)
    assert {c for c, *_ in standardised(Sites(prefixes, men))} == {"1", "Y"}


@pytest.mark.parametrize("kind", ["dense", "streamed", "dense gpu", "gpu"])
@pytest.mark.parametrize("alpha", [-1.0, -0.3])
def test_products_values_and_effects_equal_brute_force(cohort, kind, alpha):
    covariates, dosage, common, b = *cohort[2:5], cohort[5]
    x, to_allele, off, k, scale = brute_force(dosage, covariates, alpha)
    kernel, drawn = build(cohort, kind, alpha=alpha)
    assert (kernel.n, kernel.m, kernel.basis.shape) == (150, 93, (150, 3))
    assert kernel.scale == pytest.approx(scale, rel=1e-5)
    v = np.random.default_rng(3).normal(size=(150, 4)) + 1
    np.testing.assert_allclose(kernel.multiply(v), k @ v, atol=1e-5)
    np.testing.assert_allclose(kernel.prior_values, off @ x.T @ b[common] / np.sqrt(93 * scale), atol=1e-5)
    right, whole = v[:, :3], 93 * scale
    parts = list(kernel.effects(right, prior=lambda chrom, table: 2 * drawn(chrom, table)))
    w = np.concatenate([part[2] for part in parts])
    np.testing.assert_allclose(w, x @ off @ right / whole + 2 * b[common] / np.sqrt(whole), atol=1e-6)
    np.testing.assert_allclose(np.concatenate([part[3] for part in parts]), to_allele, rtol=1e-6)
    # what the effects predict is what the kernel says (Matheron's rule needs both sides alike)
    np.testing.assert_allclose(off @ x.T @ w, kernel.multiply(right) + 2 * kernel.prior_values, atol=1e-5)
    assert [part[0] for part in kernel.effects(right)] == ["1", "2"]


@pytest.mark.parametrize("kind", ["dense", "streamed", "gpu"])
def test_solutions_equal_generalised_least_squares_of_those_in_the_mask(cohort, kind):
    covariates, dosage = cohort[2:4]
    *_, k, _ = brute_force(dosage, covariates)
    kernel, _ = build(cohort, kind, prior=False)
    rng = np.random.default_rng(4)
    y, ratio = rng.normal(size=(150, 5)) + covariates @ [[5], [1], [1]], np.array([0.05, 0.5, 2.0, 0.5, 30])
    mask = rng.random((150, 5)) < 0.8
    mask[:, 3] = True
    mask[:, 2] &= covariates[:, 2] == 1  # a covariate is constant among them
    expected = np.zeros((2, 150, 5))
    for i, c in itertools.product((0, 1), range(5)):
        people = mask[:, c] | (i == 0)
        inverse = np.linalg.inv(k[np.ix_(people, people)] + ratio[c] * np.eye(people.sum()))
        z = covariates[people][:, : 2 if i and c == 2 else 3]
        fitted = z @ np.linalg.solve(z.T @ inverse @ z, z.T @ inverse @ y[people, c])
        expected[i, people, c] = inverse @ (y[people, c] - fitted)
    tolerance = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(kernel.solve(y, ratio), expected[0], atol=tolerance)
    got = kernel.solve(y, ratio, mask)
    np.testing.assert_allclose(got, expected[1], atol=tolerance)
    assert (got[~mask] == 0).all()
    np.testing.assert_allclose(kernel.solve(y[:, :1], 0.05), expected[0][:, :1], atol=tolerance)


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


def test_trace_among_some_people_equals_brute_force(cohort):
    covariates, dosage = cohort[2:4]
    *_, k, _ = brute_force(dosage, covariates)
    kernel, _ = build(cohort, "streamed", prior=False)
    people = np.arange(150) % 5 == 0
    off = np.eye(30) - covariates[people] @ np.linalg.pinv(covariates[people])
    for mask, expected in ((None, 147.0), (people[:, None], np.trace(off @ k[np.ix_(people, people)] @ off))):
        assert kernel.products.trace(lanczos.Projector(kernel.basis, mask)) == pytest.approx(expected, rel=1e-5)


def test_traits_that_are_all_kernel_or_none_of_it_reach_the_bounds(cohort):
    for kind in ("dense", "streamed"):
        kernel, _ = build(cohort, kind)
        only_noise = kernel.project(np.random.default_rng(6).normal(size=(150, 1)))
        *_, vectors = np.linalg.svd(cohort[3] - cohort[3].mean(axis=1, keepdims=True))
        outside = kernel.project(vectors[93:].T @ (vectors[93:] @ only_noise))
        fits = kernel.reml(np.column_stack([kernel.prior_values[:, 0], outside]))
        np.testing.assert_allclose(fits.h, [0.999, 0], atol=1e-5)
        assert np.isnan(fits.se).all()


def random_kernel(rng, n=300, m=500):
    """Symmetric (n, n) of mean eigenvalue 1 on the space orthogonal to the intercept, basis (n, 1)."""
    x = rng.normal(size=(m, n)) * rng.gamma(0.5, 1, size=(m, 1))
    x -= x.mean(axis=1, keepdims=True)
    k = x.T @ x
    return k / np.trace(k) * (n - 1), np.full((n, 1), 1 / np.sqrt(n))


def test_quadratures_equal_exact_quadratic_forms_and_log_determinants():
    rng = np.random.default_rng(7)
    k, basis = random_kernel(rng)
    k *= 1.5  # as among some of the people
    projector = lanczos.Projector(basis)
    start = projector(np.column_stack([rng.normal(size=(300, 2)), rng.choice([-1.0, 1.0], (300, 400))]))
    q = lanczos.lanczos(lambda v, columns: projector(k @ v), start, 40)
    h = np.array([0.0, 0.1, 0.5, 0.9])
    probes = lanczos.Quadrature(q.nodes[:, 2:], q.weights[:, 2:], q.squares[2:])
    estimates = lanczos.log_determinants(probes, 299, np.trace(k), h)
    assert estimates.shape == (400, 4)
    for j, share in enumerate(h):
        v = share * k + (1 - share) * np.eye(300)
        for c in (0, 1):
            exact = start[:, c] @ np.linalg.solve(v, start[:, c])
            near = q.squares[c] * (q.weights[:, c] / (share * q.nodes[:, c] + 1 - share)).sum()
            assert near == pytest.approx(exact, rel=1e-6)
        exact = np.linalg.slogdet(v)[1] - (np.log(1 - share) if share else 0)  # the intercept's direction
        error = estimates[:, j].std() / 20
        # four standard errors of 400 probes: false alarm 6e-5 each
        assert abs(estimates[:, j].mean() - exact) < 4 * error + 1e-9
        plain = (q.squares[2:] * (probes.weights * np.log(share * probes.nodes + 1 - share)).sum(axis=0)).std()
        assert estimates[:, j].std() < 0.7 * plain + 1e-9  # what the control variate is for


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


def test_lanczos_ends_where_the_space_is_complete():
    rng = np.random.default_rng(8)
    k = np.diag([0.5, 0.5, 2.0, 7.0])
    start = np.column_stack([rng.normal(size=4), [1.0, 1, 0, 0], np.zeros(4)])
    q = lanczos.lanczos(lambda v, columns: k @ v, start, 12)
    got = (q.squares * (q.weights / (q.nodes + 1)).sum(axis=0))[:2]
    np.testing.assert_allclose(got, np.diag(start.T @ np.linalg.solve(k + np.eye(4), start))[:2], rtol=1e-9)


def test_conjugate_gradient_says_when_it_stops_early(caplog):
    k, basis = random_kernel(np.random.default_rng(9))
    right = lanczos.Projector(basis)(np.random.default_rng(10).normal(size=(300, 2)))
    asked = []

    def multiply(v, columns):
        asked.append(len(columns))
        return k @ v

    x = lanczos.conjugate_gradient(multiply, right, np.array([10.0, 0.1]), 1e-8)
    for c, ratio in enumerate((10.0, 0.1)):
        np.testing.assert_allclose(x[:, c], np.linalg.solve(k + ratio * np.eye(300), right[:, c]), atol=1e-6)
    assert asked[0] == 2  # both,
    assert asked[-1] == 1  # and at the end only the harder one
    assert not caplog.records
    with caplog.at_level(logging.INFO, "pseudocohort"):
        lanczos.conjugate_gradient(multiply, right, np.array([10.0, 0.1]), 1e-8, iterations=12)
    assert "1 systems stop after 12 steps at a residual of" in caplog.text


def test_long_passes_tell_the_time_left(cohort, caplog, monkeypatch):
    seconds = itertools.count(0, 11)
    for module in (common_sites, lanczos):
        monkeypatch.setattr(module.time, "monotonic", lambda: float(next(seconds)))
    with caplog.at_level(logging.INFO, "pseudocohort"):
        kernel, _ = build(cohort, "streamed", prior=False, block_sites=20)
        y = np.random.default_rng(11).normal(size=(150, 2))
        kernel.solve(y, np.ones(2))
        kernel.reml(y, steps=5)
    text = caplog.text
    assert "kernel: 100 % of the genotypes, about 0 s left" in text
    assert "solving: step 2, 0 of 2 systems done" in text
    assert "variance components: pass 4 of at most 5, at most" in text
    assert "kernel: 2" in text  # and before the end


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


@pytest.mark.parametrize("kind", ["dense", "streamed"])
def test_draws_have_the_covariance_of_the_kernel(cohort, kind):
    kernel, _ = build(cohort, kind, prior=False)
    rng, number = np.random.default_rng(13), 3000
    z = rng.normal(size=(150, number))
    drawn = kernel.draw_values(z)
    *_, k, _ = brute_force(*cohort[3:1:-1])
    direction = rng.normal(size=(150, 20))
    expected = np.diag(direction.T @ k @ direction)
    got = ((direction.T @ drawn) ** 2).mean(axis=1)
    # 20 variances of 3,000 draws: 4.5 standard errors each, false alarm about 1e-4
    assert (np.abs(got / expected - 1) < 4.5 * np.sqrt(2 / number)).all()
    assert np.abs(cohort[2].T @ drawn).max() < 1e-5 * np.abs(drawn).sum(axis=0).max()
    np.testing.assert_allclose(kernel.draw_values(z[:, 5:7]), drawn[:, 5:7], atol=1e-5)
    others = np.corrcoef(drawn[:, :-1].ravel(), drawn[:, 1:].ravel())[0, 1]
    assert abs(others) < 4.5 / np.sqrt(number * 30)  # neighbours are independent; 30: K's effective rank at least


@pytest.mark.parametrize("kind", ["dense", "streamed"])
def test_results_do_not_depend_on_the_blocks(cohort, kind):
    rng = np.random.default_rng(14)
    y, mask = rng.normal(size=(150, 3)), rng.random((150, 3)) < 0.9
    results = []
    for size in (4096, 16):
        kernel, drawn = build(cohort, kind, block_sites=size)
        effects = np.concatenate([part[2] for part in kernel.effects(y, drawn)])
        results.append(
            [kernel.multiply(y), kernel.solve(y, np.ones(3), mask), kernel.prior_values, kernel.draw_values(y), effects]
        )
        results[-1].append(kernel.reml(y + 2 * kernel.prior_values).h / 30)  # Lanczos steps magnify rounding
    for whole, parts in zip(*results, strict=True):
        np.testing.assert_allclose(parts, whole, atol=2e-5)


def test_the_likelier_alpha_is_chosen(tmp_path):
    rng, n = np.random.default_rng(15), 500
    alleles = linked_alleles(rng, n, 600, low=0.01)
    prefix = write(tmp_path / "chr1", alleles)
    dosage = (alleles[:, 0::2] + alleles[:, 1::2]).astype(float)
    dosage = dosage[minimum_count(n, 0.01) <= np.minimum(dosage.sum(axis=1), 2 * n - dosage.sum(axis=1))]
    covariates = np.ones((n, 1))
    rows = np.sort(rng.choice(n, 450, replace=False))
    for alpha in (-1.0, -0.3):
        x, *_ = brute_force(dosage, covariates, alpha)
        g = x.T @ rng.normal(size=(len(x), 40))
        y = g / g.std(axis=0) * np.sqrt(0.8) + rng.normal(size=(n, 40)) * np.sqrt(0.2)
        assert choose_alpha([prefix], None, covariates, y) == alpha
        assert choose_alpha([prefix], rows, covariates[rows], y[rows], choices=(-0.3, -1.0)) == alpha


def test_no_common_site_is_told(cohort):
    for kind in ("dense", "streamed"):
        with pytest.raises(InputError, match=r"no site has an allele frequency of 0\.6 among(.|\n)*scoring files"):
            build(cohort, kind, minimum_frequency=0.6)


def test_maximum_is_found_beside_a_lower_one():
    """Two humps: golden sections alone would end at either."""

    def loss(h):
        return np.minimum((h - 0.2) ** 2, (h - 0.7) ** 2 - 0.01)

    fits = maximise(lambda h: np.exp(loss(h)), lambda h: np.zeros((1, len(h))), 1, 2)
    np.testing.assert_allclose(fits.h, 0.7, atol=1e-5)
