"""Haseman-Elston regression against dense brute force and simulated truth."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from ld_cohort import copied_haplotypes, write_chromosome
from pseudocohort.genetics import heritability
from pseudocohort.genetics.heritability import block_jackknife, haseman_elston, liability_factor
from pseudocohort.genetics.traits import Traits

N = 240


def linear(values, covariates=None, kind=None):
    n, t = values.shape
    covariates = np.zeros((n, 0)) if covariates is None else covariates
    return Traits(tuple(f"t{k}" for k in range(t)), kind or ("linear",) * t, values, covariates)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Two chromosomes of 25 and 15 Mb; four traits, two complete, one of some people, one binary; covariates."""
    path, rng = tmp_path_factory.mktemp("heritability"), np.random.default_rng(9)
    prefixes, dosages = [], []
    for chrom, sites, span in (("1", 500, 25e6), ("2", 300, 15e6)):
        alleles = copied_haplotypes(rng, 2 * N, sites)
        prefix, g = write_chromosome(path, chrom, alleles, np.linspace(1, span + 2, sites).astype(int))
        prefixes.append(prefix)
        dosages.append(g)
    x = standard(np.concatenate(dosages), 0.01)
    covariates = rng.normal(size=(N, 2))
    values = x.T @ rng.normal(size=(len(x), 4)) / np.sqrt(len(x)) + rng.normal(size=(N, 4)) + covariates[:, [0]]
    values[rng.random(N) < 0.3, 2] = np.nan
    values[:, 3] = values[:, 3] > 0.8
    return prefixes, dosages, linear(values, covariates, ("linear",) * 3 + ("logistic",))


def standard(g, minimum):
    f = g.mean(axis=1) / 2
    g = g[(np.minimum(f, 1 - f) >= minimum) & (g.std(axis=1) > 0)].astype(float)
    return (g - g.mean(axis=1)[:, None]) / g.std(axis=1)[:, None]


def dense(x, traits):
    """The moment equations of every pair of traits with n x n matrices and each trait's own projection."""
    n, t = traits.values.shape
    k = x.T @ x / len(x)
    projections, residuals = [], []
    for j in range(t):
        have = ~np.isnan(traits.values[:, j])
        design = np.column_stack([np.ones(n), traits.covariates])[have]
        inside = np.eye(have.sum()) - design @ np.linalg.pinv(design)
        whole = np.zeros((n, n))
        whole[np.ix_(have, have)] = inside
        r = whole @ np.nan_to_num(traits.values[:, j])
        projections.append(whole)
        residuals.append(r / np.sqrt(r @ r / np.trace(whole)))
    found = np.empty((t, t))
    for i in range(t):
        for j in range(t):
            a, b = projections[i], projections[j]
            left = [[np.trace(a @ k @ b @ k), np.trace(a @ b @ k)], [np.trace(a @ k @ b), np.trace(a @ b)]]
            right = [residuals[i] @ k @ residuals[j], residuals[i] @ residuals[j]]
            scale = [np.trace(p @ k) / np.trace(p) for p in (a, b)]
            found[i, j] = np.linalg.solve(left, right)[0] * np.sqrt(scale[0] * scale[1])
    return found


def test_estimates_and_jackknife_are_those_of_dense_matrices(cohort, monkeypatch):
    prefixes, dosages, traits = cohort
    monkeypatch.setattr(heritability, "SITES", 7)
    found = haseman_elston(prefixes, None, traits, 1, minimum_frequency=0.05)
    pieces = [standard(g[a:b], 0.05) for g, k in zip(dosages, (12, 8), strict=True)
              for a, b in pairwise(np.linspace(0, len(g), k + 1).astype(int))]  # fmt: skip
    x = np.concatenate(pieces)
    assert (found.sites, found.blocks) == (len(x), 20)
    expected = dense(x, traits)
    whole = np.array([0, 1, 3])
    np.testing.assert_allclose(found.covariance[np.ix_(whole, whole)], expected[np.ix_(whole, whole)], rtol=1e-4)
    # with missing values K is off everybody's covariates, not those of the people with the trait
    np.testing.assert_allclose(found.covariance[2], expected[2], rtol=0.02, atol=0.01)
    np.testing.assert_allclose(found.h2, np.diag(found.covariance))
    left = [dense(np.delete(x, np.s_[a:b], axis=0), traits) for a, b in pairwise(np.cumsum([0, *map(len, pieces)]))]
    np.testing.assert_allclose(found.deleted[:, whole, whole], np.array(left)[:, whole, whole], rtol=1e-4, atol=1e-4)
    sizes = np.array([len(p) for p in pieces])
    se = block_jackknife(expected, np.array(left), sizes)
    np.testing.assert_allclose(found.covariance_se[np.ix_(whole, whole)], se[np.ix_(whole, whole)], rtol=1e-3)
    sd = np.sqrt(np.diag(found.covariance))
    np.testing.assert_allclose(found.correlation, found.covariance / np.outer(sd, sd))
    prevalence = traits.values[:, 3].mean()
    assert found.liability[3] == pytest.approx(found.h2[3] * liability_factor(prevalence))
    assert np.isnan(found.liability[:3]).all()


def test_people_of_a_subset_alone(cohort):
    prefixes, dosages, traits = cohort
    rows = np.arange(0, N, 2)
    part = traits._replace(values=traits.values[rows], covariates=traits.covariates[rows])
    found = haseman_elston(prefixes, rows, part, 1, minimum_frequency=0.05)
    expected = dense(standard(np.concatenate(dosages)[:, rows], 0.05), part)
    np.testing.assert_allclose(found.h2[[0, 1, 3]], np.diag(expected)[[0, 1, 3]], rtol=1e-4)
    assert found.n.tolist() == [120, 120, int((~np.isnan(part.values[:, 2])).sum()), 120]


def test_probes_have_the_exact_traces_in_the_mean(cohort):
    """10 seeds: mean within 5 standard errors of the exact estimate, and every one near it."""
    prefixes, _, traits = cohort
    exact = haseman_elston(prefixes, None, traits, 1)
    draws = [haseman_elston(prefixes, None, traits, seed, exact=0, probes=150) for seed in range(10)]
    inverse = np.array([1 / d.covariance for d in draws])  # the trace is in the denominator
    error = inverse.std(axis=0, ddof=1) / np.sqrt(len(draws))
    assert (np.abs(inverse.mean(axis=0) - 1 / exact.covariance) < 5 * error).all()
    np.testing.assert_allclose([d.h2 for d in draws], np.tile(exact.h2, (10, 1)), rtol=0.3)
    np.testing.assert_allclose(draws[0].h2_se, exact.h2_se, rtol=0.3)
    again = haseman_elston(prefixes, None, traits, 0, exact=0, probes=150)
    assert (again.covariance == draws[0].covariance).all()


def test_truth_is_in_the_mean_and_the_jackknife_tells_the_spread(tmp_path):
    """Six cohorts with LD, 40 pairs of traits each with h2 .6 and .4 and genetic correlation .5, binary ones of 20 %.

    Means of cohorts' means within 4 standard errors over cohorts (t with 5 df: a false alarm in 100) or .03;
    jackknife errors within 25 % of the spread of 40 traits of a cohort, over the cohorts.
    """
    means, ratios = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        (tmp_path / str(seed)).mkdir()
        alleles = copied_haplotypes(rng, 2000, 1500, founders=400, switch=0.05)
        pos = np.linspace(1, 3e8, 1500).astype(int)
        prefix, g = write_chromosome(tmp_path / str(seed), "1", alleles, pos)
        x = standard(g, 0.01)
        effects = np.linalg.cholesky([[1, 0.5], [0.5, 1]]) @ rng.normal(size=(40, 2, len(x))) / np.sqrt(len(x))
        g, e = effects @ x, rng.normal(size=(40, 2, 1000))
        y = np.concatenate([np.sqrt(h) * g[:, k] + np.sqrt(1 - h) * e[:, k] for k, h in ((0, 0.6), (1, 0.4))]).T
        ill = (y[:, :40] > stats.norm.ppf(0.8)).astype(float)
        traits = linear(np.column_stack([y, ill]), None, ("linear",) * 80 + ("logistic",) * 40)
        found = haseman_elston([prefix], None, traits, seed)
        pair = (np.arange(40), np.arange(40, 80))
        means.append(
            [found.h2[:40].mean(), found.h2[40:80].mean(), found.covariance[pair].mean(), found.liability[80:].mean()]
        )
        ratios.append(
            [
                found.h2_se[:40].mean() / found.h2[:40].std(),
                found.h2_se[40:80].mean() / found.h2[40:80].std(),
                found.covariance_se[pair].mean() / found.covariance[pair].std(),
                np.nanmean(found.correlation_se[pair]) / np.nanstd(found.correlation[pair]),
                found.liability_se[80:].mean() / found.liability[80:].std(),
            ]
        )
    error = np.std(means, axis=0, ddof=1) / np.sqrt(6)
    truth = np.array([0.6, 0.4, 0.5 * np.sqrt(0.24), 0.6])
    assert (np.abs(np.mean(means, axis=0) - truth) < np.maximum(4 * error, 0.03)).all()
    assert (np.abs(np.mean(ratios, axis=0) - 1) < 0.25).all()


def test_jackknife_of_a_mean_is_its_standard_error():
    rng = np.random.default_rng(5)
    y = rng.normal(size=1000)
    deleted = np.array([np.delete(y, i).mean() for i in range(1000)])
    se = block_jackknife(np.array(y.mean()), deleted, np.ones(1000))
    assert se == pytest.approx(y.std(ddof=1) / np.sqrt(1000))
    assert np.isnan(block_jackknife(np.array(1.0), deleted[:1], np.ones(1)))


def test_liability_factor_of_dempster_and_lerner():
    k = np.array([0.01, 0.2, 0.5, 0.9])
    np.testing.assert_allclose(liability_factor(k), k * (1 - k) / stats.norm.pdf(stats.norm.ppf(k)) ** 2)


def test_what_cannot_be_estimated_is_told(cohort, tmp_path):
    prefixes, _, traits = cohort
    none = haseman_elston(prefixes, None, linear(np.empty((N, 0))), 1)
    assert none.h2.shape == (0,)
    assert none.reason == "no traits"
    alleles = np.zeros((40, 2 * N), dtype=np.int8)
    alleles[:, 0] = 1
    rare, _ = write_chromosome(tmp_path, "3", alleles, np.arange(40))
    nothing = haseman_elston([rare], None, traits, 1, minimum_frequency=0.05)
    assert np.isnan(nothing.h2).all()
    assert nothing.reason == "no common sites"
    short, _ = write_chromosome(tmp_path, "4", copied_haplotypes(np.random.default_rng(1), 2 * N, 60), np.arange(60))
    found = haseman_elston([short], None, traits, 1)
    assert np.isfinite(found.h2).all()
    assert np.isnan(found.h2_se).all()
    assert "fewer than 10 blocks of 2 Mb" in found.reason
    apart = np.full((N, 2), np.nan)
    apart[:120, 0], apart[120:, 1] = np.random.default_rng(2).normal(size=(2, 120))
    assert np.isfinite(haseman_elston(prefixes, None, linear(apart), 1).covariance).all()  # nobody has both


def test_a_trait_that_the_covariates_explain_has_no_estimate(cohort):
    prefixes, _, traits = cohort
    values = np.column_stack([traits.values[:, 0], traits.covariates @ [1.0, -2.0]])
    found = haseman_elston(prefixes, None, linear(values, traits.covariates), 1)
    alone = haseman_elston(prefixes, None, linear(values[:, :1], traits.covariates), 1)
    assert np.isnan(found.h2[1])
    assert found.h2[0] == pytest.approx(alone.h2[0], rel=1e-6)


@pytest.mark.parametrize("exact", [0, 3000])
def test_memory_does_not_grow_with_the_sites_of_a_block(cohort, monkeypatch, exact):
    prefixes, _, traits = cohort
    peaks = []
    for sites in (64, 4):  # a block of 40 sites is one part, or ten
        monkeypatch.setattr(heritability, "SITES", sites)
        tracemalloc.start()
        haseman_elston(prefixes, None, traits, 1, exact=exact, probes=150)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.8 * peaks[0]  # three of them at a time: so far, the next, and their sum


def test_many_patterns_of_missing_values_have_fewer_probes(cohort, monkeypatch):
    prefixes, _, traits = cohort
    used, signs = [], heritability._signs
    monkeypatch.setattr(heritability, "_signs", lambda *a: used.append(a[2]) or signs(*a))
    for columns in (5000, 90, 6):  # two patterns
        monkeypatch.setattr(heritability, "COLUMNS", columns)
        assert np.isfinite(haseman_elston(prefixes, None, traits, 1, exact=0).h2).all()
    assert used == [50, 30, 5]
