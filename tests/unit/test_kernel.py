"""The genomic kernel, dense and streamed, against brute-force algebra: sites, products, solutions, draws, alpha."""

import itertools
import logging

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from kernel_cohort import brute_force, build, linked_alleles, make_cohort, write
from pseudocohort.errors import InputError
from pseudocohort.weights import common_sites, lanczos
from pseudocohort.weights.kernel import Sites, choose_alpha, minimum_count, standardised


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """On small systems threads only wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return make_cohort(tmp_path_factory.mktemp("kernel"))


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


def test_no_common_site_is_told(cohort):
    for kind in ("dense", "streamed"):
        with pytest.raises(InputError, match=r"no site has an allele frequency of 0\.6 among(.|\n)*scoring files"):
            build(cohort, kind, minimum_frequency=0.6)


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


def test_trace_among_some_people_equals_brute_force(cohort):
    covariates, dosage = cohort[2:4]
    *_, k, _ = brute_force(dosage, covariates)
    kernel, _ = build(cohort, "streamed", prior=False)
    people = np.arange(150) % 5 == 0
    off = np.eye(30) - covariates[people] @ np.linalg.pinv(covariates[people])
    for mask, expected in ((None, 147.0), (people[:, None], np.trace(off @ k[np.ix_(people, people)] @ off))):
        assert kernel.products.trace(lanczos.Projector(kernel.basis, mask)) == pytest.approx(expected, rel=1e-5)


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
