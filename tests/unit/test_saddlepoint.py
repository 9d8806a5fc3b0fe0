"""Saddle-point p of score tests against exact enumeration, scipy's root finder, permutation and plink2's Firth."""

import itertools
import subprocess

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

from pseudocohort.genetics.association import associate, fit_null, make_design, orthonormal
from pseudocohort.genetics.saddlepoint import (
    Carriers,
    adjusted_deviates,
    cumulants,
    log_tail,
    make_tests,
    saddle_points,
    two_sided,
)
from pseudocohort.genetics.tails import minus_log10_p
from pseudocohort.genetics.traits import Traits
from pseudocohort.genotypes import GenotypeWriter


def brute_force(g, mu, rest, s):
    """log P(S >= s): K by its definition, derivatives by hand, the root by Brent's method."""
    k = lambda t: np.sum(np.logaddexp(np.log1p(-mu), np.log(mu) + t * g) - t * g * mu) + rest * t * t / 2  # noqa: E731
    tilted = lambda t: special.expit(special.logit(mu) + t * g)  # noqa: E731
    t = optimize.brentq(lambda t: np.sum(g * (tilted(t) - mu)) + rest * t - s, 1e-12, 1e4, xtol=1e-14)
    p = tilted(t)
    w, u = np.sqrt(2 * (t * s - k(t))), t * np.sqrt(np.sum(g * g * p * (1 - p)) + rest)
    return stats.norm.logsf(w + np.log(u / w) / w)


@pytest.fixture
def ragged():
    """Six tests of 3 to 200 carriers with probabilities from .001 to .9."""
    rng = np.random.default_rng(8)
    sizes = np.array([3, 10, 40, 200, 25, 60])
    mu = np.concatenate(
        [rng.beta(a, b, n) for n, (a, b) in zip(sizes, [(1, 9), (1, 99), (2, 98), (3, 3), (9, 1), (1, 4)], strict=True)]
    )
    g = rng.choice([1.0, 2.0], sizes.sum(), p=[0.9, 0.1]) + rng.normal(0, 0.05, sizes.sum())
    g[sizes[:4].sum() : sizes[:5].sum()] *= -1
    return Carriers(g, mu, np.concatenate([[0], np.cumsum(sizes)]), np.array([0.01, 0.02, 0.1, 0.5, 0.05, 0.3]))


def parts(tests):
    for i in range(len(tests.rest)):
        part = slice(tests.bounds[i], tests.bounds[i + 1])
        yield tests.g[part], tests.mu[part], tests.rest[i]


@pytest.mark.parametrize("deviation", [0.5, 2.1, 4.0, 9.0])
def test_tails_agree_with_brute_force(ragged, deviation):
    spread = np.array([np.sqrt(np.sum(g * g * m * (1 - m)) + r) for g, m, r in parts(ragged)])
    got = log_tail(ragged, deviation * spread)
    expected = [brute_force(g, m, r, deviation * s) for (g, m, r), s in zip(parts(ragged), spread, strict=True)]
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    mirrored = log_tail(ragged._replace(g=-ragged.g), deviation * spread)
    assert (np.abs(mirrored - got) > 0.01 * deviation).any()  # the tails differ, so the two are not one by luck
    log_p, effect = two_sided(ragged, -deviation * spread)
    np.testing.assert_allclose(log_p, np.logaddexp(got, mirrored))
    assert (effect < 0).all()


def test_cumulants_are_the_derivatives_of_their_function(ragged):
    t, step = np.linspace(-2, 2, 6), 1e-5
    value, slope, curve = cumulants(ragged, t)
    up, down = cumulants(ragged, t + step), cumulants(ragged, t - step)
    np.testing.assert_allclose(slope, (up[0] - down[0]) / (2 * step), rtol=1e-6)
    np.testing.assert_allclose(curve, (up[1] - down[1]) / (2 * step), rtol=1e-6)
    assert (value >= 0).all()


def test_tails_are_near_the_exact_distribution():
    """Every outcome of 12 carriers enumerated, and the part of the others, which is normal, convolved exactly."""
    rng = np.random.default_rng(2)
    g, mu, rest = 1 + rng.normal(0, 0.1, 12), rng.beta(2, 10, 12), 0.15
    outcomes = np.array(list(itertools.product([0, 1], repeat=12)))
    weight = np.prod(np.where(outcomes == 1, mu, 1 - mu), axis=1)
    score = (outcomes - mu) @ g
    tests = Carriers(np.tile(g, 4), np.tile(mu, 4), 12 * np.arange(5), np.full(4, rest))
    s = np.array([2, 3, 4, 5]) * np.sqrt(np.sum(g * g * mu * (1 - mu)) + rest)
    for sign in (1, -1):
        exact = np.array([weight @ stats.norm.sf((x - sign * score) / np.sqrt(rest)) for x in s])
        got = np.exp(log_tail(tests._replace(g=sign * tests.g), s))
        np.testing.assert_allclose(got, exact, rtol=0.1)
        normal = stats.norm.sf(s / np.sqrt(np.sum(g * g * mu * (1 - mu)) + rest))
        assert (np.abs(np.log(got / exact)) < 0.1 * np.abs(np.log(normal / exact)))[1:].all()


def test_impossible_and_huge_scores():
    """Without a normal part scores are bounded: no root beyond, no warning, NaN. With it, any score has its p."""
    g, mu = np.ones(20), np.full(20, 0.01)
    bare, smooth = (Carriers(g, mu, np.array([0, 20]), np.array([r])) for r in (0.0, 0.1))
    assert np.isnan(log_tail(bare, np.array([25.0]))).all()
    assert np.isfinite(saddle_points(bare, np.array([10.0]))).all()
    assert log_tail(smooth, np.array([25.0]))[0] == pytest.approx(brute_force(g, mu, 0.1, 25.0), rel=1e-6)
    assert log_tail(smooth, np.array([60.0]))[0] < -2000  # far below 1e-300


def null_cohort(prevalence, n=5000, seed=4):
    rng = np.random.default_rng(seed)
    covariates = np.column_stack([rng.normal(size=n), rng.choice([-1.0, 1.0], n)])
    shift = covariates @ [0.8, 0.3]
    level = optimize.brentq(lambda c: (1 / (1 + np.exp(-c - shift))).mean() - prevalence, -30, 30)
    y = (rng.random(n) < 1 / (1 + np.exp(-level - shift))).astype(float)
    return rng, y, covariates


def score_tests(y, covariates, g):
    """z of the score tests of dosages g (s, n) by the weighted regression itself, and z after the saddle point."""
    basis = orthonormal(np.column_stack([np.ones(len(y)), covariates]))
    mu = fit_null(y, basis)
    w = mu * (1 - mu)
    coefficients = np.linalg.solve((basis.T * w) @ basis, (basis.T * w) @ g.T).T
    score, variance = g @ (y - mu), (g**2) @ w - np.einsum("sk,sk->s", coefficients, g @ (basis * w[:, None]))
    return score, variance, adjusted_deviates(score, variance, g, coefficients, basis, mu)[0]


def test_p_values_of_rare_cases_and_alleles_are_those_of_chance():
    """1 % prevalence, 20 to 40 minor alleles, 40,000 sites without effect.

    The share of p < 1e-3 and 1e-4 must not exceed the upper 1 in 1,000 limit of its binomial (false alarm .002 in all);
    alleles are counted in whole cases, so it may fall short, but not by more than half of 1e-2. The plain score test
    must exceed the limits, or the test would show nothing.
    """
    rng, y, covariates = null_cohort(0.01)
    plain, mended = [], []
    for _ in range(20):
        g = np.zeros((2000, 5000))
        count = rng.integers(20, 41, 2000)
        np.add.at(g, (np.arange(2000).repeat(count), rng.integers(0, 5000, count.sum())), 1)
        score, variance, z = score_tests(y, covariates, g)
        raw = np.abs(score) / np.sqrt(variance)
        plain.append(raw)
        mended.append(np.where(raw > 2, z, raw))
    plain, mended = (2 * stats.norm.sf(np.concatenate(z)) for z in (plain, mended))
    for level in (1e-3, 1e-4):
        limit = stats.binom.isf(0.001, len(plain), level)
        assert (mended < level).sum() <= limit
        assert (plain < level).sum() > 5 * limit
    assert 0.5e-2 < (mended < 1e-2).mean() < 1.5e-2


def test_p_is_that_of_permutation():
    """Without covariates permuting the cases is exact: hypergeometric carriers among the cases."""
    n, cases, carriers = 4000, 60, 50
    y = (np.arange(n) < cases).astype(float)
    for taken in (4, 5, 6):
        g = np.zeros((1, n), dtype=np.int8)
        g[0, n - carriers + taken :] = 1
        g[0, :taken] = 1
        score, variance, z = score_tests(y, np.empty((n, 0)), g)
        chance = stats.hypergeom(n, cases, carriers)
        middle = chance.sf(taken - 1) - chance.pmf(taken) / 2  # a smooth tail passes through the middle of a step
        p = 2 * stats.norm.sf(z[0])
        assert p == pytest.approx(middle, rel=0.35)
        assert 2 * stats.norm.sf(abs(score[0]) / np.sqrt(variance[0])) < middle / 10


def test_rest_of_the_variance_is_that_of_everybody_else():
    rng, y, covariates = null_cohort(0.05, 800)
    g = (rng.random((5, 800)) < 0.03).astype(np.int8)
    basis = orthonormal(np.column_stack([np.ones(800), covariates]))
    mu = fit_null(y, basis)
    w = mu * (1 - mu)
    coefficients = np.linalg.solve((basis.T * w) @ basis, (basis.T * w) @ g.T).T
    left = g - coefficients @ basis.T
    tests = make_tests(g, coefficients, basis, mu, (left**2) @ w)
    np.testing.assert_allclose(tests.rest, [(row[h == 0] ** 2) @ w[h == 0] for row, h in zip(left, g, strict=True)])
    assert (np.diff(tests.bounds) == (g > 0).sum(axis=1)).all()


def test_size_and_direction_follow_firth_of_plink2(tmp_path):
    """Effects at 1 % prevalence: log10 p within a quarter of Firth's, a Wald test, where it exceeds 2."""
    rng, _, covariates = null_cohort(0.01, 3000)
    n, sites = 3000, 80
    person, sex = np.array([f"p{i}" for i in range(n)]), np.tile([1, 2], n // 2)
    alleles = (rng.random((sites, 2 * n)) < rng.uniform(0.01, 0.2, sites)[:, None]).astype(np.int8)
    dosage = alleles[:, ::2] + alleles[:, 1::2]
    risk = -5 + 0.8 * covariates[:, 0] + 1.0 * (dosage[:8] - dosage[:8].mean(axis=1, keepdims=True)).sum(axis=0)
    y = (rng.random(n) < 1 / (1 + np.exp(-risk))).astype(float)
    table = pd.DataFrame({"chrom": "1", "pos": 10 + np.arange(sites), "id": [f"s{i}" for i in range(sites)]})
    with GenotypeWriter(tmp_path / "chr1", person, sex, sites) as writer:
        writer.append(alleles, table.assign(ref="A", alt="G"))
    pd.DataFrame({"IID": person, "y": y.astype(int) + 1}).to_csv(tmp_path / "y.txt", sep="\t", index=False)
    pd.DataFrame({"IID": person, "a": covariates[:, 0], "b": covariates[:, 1]}).to_csv(
        tmp_path / "c.txt", sep="\t", index=False
    )
    command = "plink2 --pfile chr1 --pheno y.txt --covar c.txt --glm firth hide-covar omit-ref cols=+beta --out p"
    subprocess.run(command, shell=True, cwd=tmp_path, check=True, capture_output=True)
    theirs = pd.read_csv(tmp_path / "p.y.glm.firth", sep="\t")
    block = next(associate([tmp_path / "chr1"], None, Traits(("y",), ("logistic",), y[:, None], covariates)))
    beta, log10p, firth = block.beta[:, 0], block.log10p[:, 0], -np.log10(theirs["P"].to_numpy())
    assert len(theirs) == sites
    strong = firth > 2
    assert strong.sum() >= 5
    assert (np.sign(beta) == np.sign(theirs["BETA"]))[firth > 0.5].all()
    np.testing.assert_allclose(log10p[strong], firth[strong], rtol=0.25)
    # the saddle point is the estimate with the covariates' effects held: near Firth's, where one Newton step is not
    np.testing.assert_allclose(beta[strong], theirs["BETA"][strong], rtol=0.15)
    np.testing.assert_allclose(block.se[:, 0], np.abs(beta) / stats.norm.isf(10.0**-log10p / 2), rtol=1e-6)
    assert make_design(Traits(("y",), ("logistic",), y[:, None], covariates)).df[0] == np.inf
    np.testing.assert_allclose(minus_log10_p(beta / block.se[:, 0], np.inf), log10p)
