"""The sampler of all traits: against dense algebra, and calibrated over many simulated cohorts."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from pseudocohort.genotypes import GenotypeWriter
from pseudocohort.weights import canonical, draw, liability
from pseudocohort.weights.kernel import Sites, make_kernel


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """On small systems threads only wait for each other."""
    with threadpool_limits(1):
        yield


def gametes(rng, m, count, linked=5):
    """ALT alleles (m, count) int8 in runs of `linked` correlated sites, frequencies .1 to .5."""
    alleles, latent = np.empty((m, count), dtype=np.int8), np.zeros(count)
    for s in range(m):
        fresh = rng.normal(size=count)
        latent = fresh if s % linked == 0 else 0.8 * latent + 0.6 * fresh
        alleles[s] = latent < norm.ppf(rng.uniform(0.1, 0.5))
    return alleles


def kernel_of(folder, alleles, covariates):
    m, n = len(alleles), alleles.shape[1] // 2
    sites = pd.DataFrame(
        {"chrom": "1", "pos": 10 + np.arange(m), "id": [f"s{i}" for i in range(m)], "ref": "A", "alt": "T"}
    )
    with GenotypeWriter(folder / "chr1", np.array([f"p{i}" for i in range(n)]), np.ones(n, dtype=int), m) as writer:
        writer.append(alleles, sites)
    dosage = (alleles[:, ::2] + alleles[:, 1::2]).astype(float)
    x = (dosage - dosage.mean(axis=1, keepdims=True)) / dosage.std(axis=1, keepdims=True)
    return make_kernel(Sites([folder / "chr1"], None), covariates), x


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """400 people with 200 sites, age: kernel, standardised sites (m, n), covariates with intercept."""
    rng = np.random.default_rng(1)
    covariates = np.column_stack([np.ones(400), rng.normal(size=400)])
    return *kernel_of(tmp_path_factory.mktemp("draw"), gametes(rng, 200, 800), covariates), covariates


def sampler(kernel, values, binary, covariates, people=None, columns=None):
    """Model of values (n, t) without candidates, or with a matrix of them for every trait."""
    n, t = values.shape
    eta = np.zeros((n, t))
    for k in np.flatnonzero(binary):
        seen = ~np.isnan(values[:, k])
        fitted = liability.fit_probit(values[seen, k], covariates[seen])
        eta[:, k] = covariates @ np.linalg.lstsq(covariates[seen], fitted, rcond=None)[0]
    columns = columns or [np.empty((n, 0))] * t
    role = [np.ones(c.shape[1], dtype=int) for c in columns]
    pairs = canonical.pairs_of(kernel, np.ones(n, dtype=bool) if people is None else people, 1)
    products = liability.series(eta, binary, ~np.isnan(values))
    return draw.Model(kernel, values, binary, eta, columns, role, products, pairs, people)


def one_draw(model, seed, sweeps=40):
    """The last state and its genetic values (n, t)."""
    kernel, shape = model.kernel, model.values.shape
    prior = kernel.draw_values(np.random.default_rng(seed).normal(size=shape))
    state = draw.run(model, seed, model.pairs.sites, sweeps, prior)
    turn = state.rotation
    return state, (kernel.multiply(state.right) + np.sqrt(turn.h) * kernel.project(prior)) @ turn.back


def test_genetic_values_are_drawn_from_the_posterior(cohort):
    """Two correlated traits: mean and covariance over 200 draws against the posterior by dense algebra."""
    kernel, x, covariates = cohort
    rng = np.random.default_rng(2)
    g = x.T @ rng.normal(size=(200, 2)) @ [[1, 0.6], [0, 0.8]] * np.sqrt(0.5 / 200)
    y = g + covariates + rng.normal(size=(400, 2)) * 0.7
    model = sampler(kernel, y, np.zeros(2, dtype=bool), covariates)
    state, _ = one_draw(model, 1)
    turn = state.rotation
    drawn = np.array([one_draw(model, seed)[1][:20].ravel() for seed in range(200)])
    v_g, v_e = (turn.back.T * turn.h) @ turn.back, (turn.back.T * (1 - turn.h)) @ turn.back
    k = kernel.multiply(np.eye(400))
    m = np.eye(400) - kernel.basis @ kernel.basis.T
    v = np.kron(k, v_g) + np.kron(m, v_e)
    cross = np.kron(k[:20], v_g)
    inverse = np.linalg.pinv(v, hermitian=True, rcond=1e-9)
    mean = cross @ inverse @ (m @ y).ravel()
    covariance = np.kron(k[:20, :20], v_g) - cross @ inverse @ cross.T
    sd = np.sqrt(np.diag(covariance))
    # 40 means and 40 SDs of 200 draws by 4.5 standard errors: false alarm 5e-4
    assert (np.abs(drawn.mean(axis=0) - mean) < 4.5 * sd / np.sqrt(200)).all()
    assert (np.abs(drawn.std(axis=0) / sd - 1) < 4.5 / np.sqrt(400)).all()
    # 780 correlations
    assert np.abs(np.corrcoef(drawn.T) - covariance / np.outer(sd, sd)).max() < 5 / np.sqrt(200)
    assert mean.std() > sd.mean() / 3


def simulate(rng, x, covariates, correlation, h, prevalence=()):
    """Values (n, t): genetic correlation as given, residual ones 0, age; liabilities cut for the last traits.

    Returns values and the genetic ones."""
    t = len(h)
    root = np.linalg.cholesky(np.full((t, t), correlation) + (1 - correlation) * np.eye(t))
    g = x.T @ rng.normal(size=(len(x), t)) @ root.T / np.sqrt(len(x))
    g *= np.sqrt(h)
    values = g + np.sqrt(1 - np.array(h)) * rng.normal(size=g.shape) + 0.7 * covariates[:, 1:]
    first = t - len(prevalence)
    for k, share in enumerate(prevalence):
        values[:, first + k] = values[:, first + k] > np.sqrt(1 + 0.7**2) * norm.ppf(1 - share)
    return values, g


def slope(kernel, y, u):
    return covariance(kernel, y, u) / covariance(kernel, u, u)


def covariance(kernel, y, u):
    return (kernel.project(y) * kernel.project(u)).mean(axis=0)


def test_draws_stand_for_genetic_values(cohort):
    """As the true genetic values have it: slope of the trait 1, variance h2, genetic correlation .5; 30 % missing.

    Means over 40 cohorts. Standard errors over the cohorts: slope .02 to .04, variance .015, correlation .04.
    """
    kernel, x, covariates = cohort
    rng = np.random.default_rng(3)
    slopes, variances, correlations = [], [], []
    for seed in range(40):
        complete, _ = simulate(rng, x, covariates, 0.5, [0.5, 0.5, 0.5])
        y = complete.copy()
        y[rng.random(400) < 0.3, 2] = np.nan
        _, u = one_draw(sampler(kernel, y, np.zeros(3, dtype=bool), covariates), seed, 20)
        lost = np.isnan(y[:, 2])
        slopes.append([*slope(kernel, complete, u)[:2], *slope_among(complete[:, 2], u[:, 2], covariates, ~lost)])
        variances.append(u.var(axis=0) / kernel.project(complete).var(axis=0))
        correlations.append(np.corrcoef(u.T)[np.triu_indices(3, 1)])
    for values, truth, floor in ((slopes, 1, 0.1), (variances, 0.5, 0.05), (correlations, 0.5, 0.12)):
        np.testing.assert_allclose(np.mean(values, axis=0), truth, atol=floor)


def slope_among(y, u, covariates, who):
    design = np.column_stack([u, covariates])[who]
    return np.linalg.lstsq(design, y[who], rcond=None)[0][:1]


def test_liabilities_heritability_is_found(cohort):
    """Planted .5 at prevalences .2 and .05 beside strong age; means of 40 traits of each, 20 a run."""
    kernel, x, covariates = cohort
    rng = np.random.default_rng(4)
    found, variance, slopes, true_slopes = [], [], [], []
    for seed in range(4):
        y, g = simulate(rng, x, covariates, 0.0, [0.5] * 20, [0.2] * 10 + [0.05] * 10)
        state, u = one_draw(sampler(kernel, y, np.ones(20, dtype=bool), covariates), seed)
        found.append(state.shares.h)
        variance.append(u.var(axis=0))
        slopes.append(covariance(kernel, y, u))
        true_slopes.append(covariance(kernel, y, g))
    # standard error of a trait .15 and, with 20 cases, .35: many such h are drawn towards 0
    for values in (found, variance):
        mean = np.mean(values, axis=0)
        assert abs(mean[:10].mean() - 0.5) < 0.1
        assert 0.25 < mean[10:].mean() < 0.65
    ratio = np.mean(slopes, axis=0) / np.mean(true_slopes, axis=0)
    assert abs(ratio[:10].mean() - 1) < 0.15
    assert abs(ratio[10:].mean() - 1) < 0.4


def test_latent_values_agree_with_what_is_seen(cohort):
    kernel, x, covariates = cohort
    rng = np.random.default_rng(5)
    y, _ = simulate(rng, x, covariates, 0.5, [0.4, 0.4], [0.3])
    y[:50, 0], y[30:80, 1] = np.nan, np.nan
    model = sampler(kernel, y, np.array([False, True]), covariates)
    turn = canonical.rotation(np.eye(2), np.eye(2) * 0.5 + 0.5, np.array([0.4, 0.4]), np.ones(2))
    latent = draw.first_latent(model, 1)
    for sweep in range(5):
        latent = draw._latents(model, np.random.default_rng(sweep), latent, np.zeros((400, 2)), turn)
        np.testing.assert_array_equal(latent[50:, 0], y[50:, 0])
        case = y[:, 1] == 1
        assert (latent[case, 1] > 0).all()
        assert (latent[y[:, 1] == 0, 1] < 0).all()
        assert np.isfinite(latent).all()
    # a missing value follows the other trait's residual, correlation .5
    assert np.corrcoef(latent[:30].T)[0, 1] > 0.1


def test_what_households_share_is_not_taken_for_heritability(tmp_path):
    """300 pairs of sibs with h2 .3 and a shared environment of .4; mean of 30 traits."""
    rng = np.random.default_rng(6)
    parents = gametes(rng, 250, 1200).reshape(250, 300, 2, 2)  # family, parent, haplotype
    sibs = np.empty((250, 600, 2), dtype=np.int8)
    block = np.arange(250) // 5  # runs of linked sites are passed on whole
    for sib in range(2):
        pick = rng.integers(0, 2, size=(50, 300, 2))[block]
        sibs[:, sib::2] = np.take_along_axis(parents, pick[..., None], axis=3)[..., 0]
    covariates = np.ones((600, 1))
    kernel, x = kernel_of(tmp_path, sibs.reshape(250, 1200), covariates)
    home = np.repeat(rng.normal(size=(300, 30)), 2, axis=0)
    y = x.T @ rng.normal(size=(250, 30)) * np.sqrt(0.3 / 250) + np.sqrt(0.4) * home
    y += np.sqrt(0.3) * rng.normal(size=(600, 30))
    unrelated = np.arange(600) % 2 == 0
    h = {}
    for name, people in (("unrelated", unrelated), ("all", None)):
        model = sampler(kernel, y, np.zeros(30, dtype=bool), covariates, people)
        h[name] = one_draw(model, 1)[0].shares.h.mean()
    # standard error of a mean of 30 is .03; a bound at 0 pushes up
    assert abs(h["unrelated"] - 0.3) < 0.1
    assert h["all"] > h["unrelated"] + 0.1


def test_candidates_take_what_is_theirs(cohort):
    kernel, x, covariates = cohort
    rng = np.random.default_rng(7)
    y = 0.6 * x[10] - 0.4 * x[60] + 0.7 * covariates[:, 1] + rng.normal(size=400)
    columns = x[[10, 30, 60, 90, 120]].T
    state, _ = one_draw(sampler(kernel, y[:, None], np.zeros(1, dtype=bool), covariates, columns=[columns]), 3)
    assert (state.effects[0][[0, 2]] != 0).all()
    np.testing.assert_allclose(state.effects[0], [0.6, 0, -0.4, 0, 0], atol=0.25)
    assert state.hits[0] == pytest.approx((kernel.project(columns) @ state.effects[0]).var(), rel=1e-5)
    left = kernel.project(y[:, None] - columns @ state.effects[0][:, None])
    assert state.rest[0] == pytest.approx(left.var(), rel=1e-5)


def test_correlated_traits_share_what_candidates_do(cohort):
    """A site of the first trait has half its effect on the second, which has not got it as a candidate."""
    kernel, x, covariates = cohort
    rng = np.random.default_rng(7)
    root = np.linalg.cholesky([[1, 0.7], [0.7, 1]])
    shares = []
    for seed in range(15):
        g = x.T @ rng.normal(size=(200, 2)) @ root.T * np.sqrt(0.4 / 200)
        y = g + x[[10]].T * [0.8, 0.4] + rng.normal(size=(400, 2)) * 0.6
        model = sampler(kernel, y, np.zeros(2, dtype=bool), covariates, columns=[x[[10]].T, np.empty((400, 0))])
        state, _ = one_draw(model, seed)
        assert state.effects[0][0] != 0
        assert (np.diag(state.spread) == 0).all()
        assert state.spread[1, 0] == 0
        shares.append(state.spread[0, 1])
    # 15 draws of standard error .1; where the genetic correlation is seen, the share is not 0
    assert np.mean(shares) == pytest.approx(0.5, abs=0.15)


def test_odd_traits_work(cohort):
    """Noise, a copy, one that covariates explain, nothing but genetics, one of all; 60 traits of 200 people."""
    kernel, x, covariates = cohort
    rng = np.random.default_rng(8)
    g = x.T @ rng.normal(size=(200, 1)) / np.sqrt(200)
    noise = rng.normal(size=(400, 1))
    y = np.hstack([noise, noise, covariates[:, 1:], g])
    for columns in (y, y[:, :1], y[:, 2:3]):
        model = sampler(kernel, columns, np.zeros(columns.shape[1], dtype=bool), covariates)
        state, u = one_draw(model, 1)
        assert np.isfinite(u).all()
        again = one_draw(model, 1)[1]
        np.testing.assert_array_equal(u, again)
    state, u = one_draw(sampler(kernel, y, np.zeros(4, dtype=bool), covariates), 1)
    assert np.abs(u[:, 2]).max() < 1e-3
    assert state.shares.h[3] > 0.95
    assert np.corrcoef(u[:, 3], g[:, 0])[0, 1] > 0.95
    # equal traits differ by what makes their correlation .999
    assert np.abs(u[:, 0] - u[:, 1]).std() < 0.1


def test_many_traits_of_few_people_work(tmp_path):
    rng = np.random.default_rng(9)
    covariates = np.ones((200, 1))
    kernel, x = kernel_of(tmp_path, gametes(rng, 300, 400), covariates)
    y = np.sqrt(0.3) * x.T @ rng.normal(size=(300, 60)) / np.sqrt(200) + np.sqrt(0.7) * rng.normal(size=(200, 60))
    y[:, 30:] = y[:, 30:] > 0.8
    y[rng.random(y.shape) < 0.1] = np.nan
    _, u = one_draw(sampler(kernel, y, np.arange(60) >= 30, covariates), 1, 12)
    assert np.isfinite(u).all()
    assert 0.1 < u.var(axis=0)[:30].mean() < 0.6
