"""Mixed model, joint hits and the posterior draw of effect weights, against dense algebra and simulated truth."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from pseudocohort.errors import InputError
from pseudocohort.genetics import mixed_model
from pseudocohort.genetics.hits import select_jointly
from pseudocohort.genetics.scores import score
from pseudocohort.genetics.traits import Traits
from pseudocohort.genetics.weights import catalog_weights, learn_weights, write_weights
from pseudocohort.genotypes import Genotypes, GenotypeWriter


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """On small systems threads only wait for each other."""
    with threadpool_limits(1):
        yield


def genotypes(rng, n, m, linked=10):
    """ALT alleles (m, 2n) int8 in runs of `linked` correlated sites, frequencies 0.02 to 0.5."""
    alleles, latent = np.empty((m, 2 * n), dtype=np.int8), np.zeros(2 * n)
    for s in range(m):
        fresh = rng.normal(size=2 * n)
        latent = fresh if s % linked == 0 else 0.85 * latent + np.sqrt(1 - 0.85**2) * fresh
        alleles[s] = latent < norm.ppf(rng.uniform(0.02, 0.5))
    return alleles


def write_triple(prefix, alleles, chrom):
    m, n = alleles.shape[0], alleles.shape[1] // 2
    sites = pd.DataFrame(
        {"chrom": chrom, "pos": 10 + 5 * np.arange(m), "id": [f"{chrom}_{i}" for i in range(m)], "ref": "A", "alt": "T"}
    )
    with GenotypeWriter(prefix, np.array([f"p{i}" for i in range(n)]), np.ones(n, dtype=int), m) as writer:
        writer.append(alleles, sites)
    return prefix


def standard(alleles):
    dosage = (alleles[:, 0::2] + alleles[:, 1::2]).astype(float)
    return dosage, (dosage - dosage.mean(axis=1, keepdims=True)) / dosage.std(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def small():
    """Kernel, covariates with intercept and a trait of 150 people, and two sets of people who have it."""
    rng = np.random.default_rng(8)
    _, x = standard(genotypes(rng, 150, 400))
    covariates = np.column_stack([np.ones(150), rng.normal(size=150), rng.choice([-1, 1], 150)])
    y = covariates @ [1, 0.5, -0.4] + x.T @ rng.normal(size=400) * np.sqrt(0.5 / 400) + rng.normal(size=150) * 0.7
    few_lack = rng.random(150) > 0.1
    women = (covariates[:, 2] == 1) & (rng.random(150) > 0.05)  # sex is constant among them
    return x.T @ x / 400, covariates, y, few_lack, women


@pytest.mark.parametrize("which", [0, 1])
def test_mixed_model_equals_dense_algebra_of_those_who_have_the_trait(small, which):
    k, covariates, y, *patterns = small
    seen = patterns[which]
    model = mixed_model.make_model(k, mixed_model.decompose(k), covariates, seen)
    assert len(model.people) == (150 if which == 0 else seen.sum())
    q = np.linalg.qr(covariates[seen][:, : 3 - which], mode="complete")[0][:, 3 - which :]  # error contrasts
    contrast = q.T @ y[seen]

    def loss(h):
        v = h * k[np.ix_(seen, seen)] + (1 - h) * np.eye(seen.sum())
        w = q.T @ v @ q
        return len(w) * np.log(contrast @ np.linalg.solve(w, contrast)) + np.linalg.slogdet(w)[1], w, v

    fit = mixed_model.reml(model, np.where(seen, y, np.nan))
    grid = np.union1d(np.arange(0, 1, 0.02), fit.h + np.arange(-0.02, 0.02, 0.001))
    assert abs(fit.h - grid[np.argmin([loss(h)[0] for h in grid])]) < 2e-3
    value, w, _ = loss(fit.h)
    assert fit.scale == pytest.approx(contrast @ np.linalg.solve(w, contrast) / len(w), rel=1e-6)
    curve = (loss(fit.h + 0.01)[0] - 2 * value + loss(fit.h - 0.01)[0]) / 0.01**2 / 2
    assert fit.se == pytest.approx(1 / np.sqrt(curve), rel=0.02)
    expected = np.zeros(150)
    expected[seen] = q @ np.linalg.solve(loss(0.4)[1], contrast)
    np.testing.assert_allclose(mixed_model.project(model, 0.4, np.where(seen, y, np.nan)), expected, atol=1e-8)


def test_left_out_errors_equal_refitting_without_the_fold(small):
    k, covariates, y, seen, _ = small
    model = mixed_model.make_model(k, mixed_model.decompose(k), covariates, seen)
    folds = np.arange(150) // 2 % 5
    errors = mixed_model.left_out_errors(model, 0.4, np.where(seen, y, np.nan), folds)
    np.testing.assert_array_equal(np.isnan(errors), ~seen)
    v = 0.4 * k + 0.6 * np.eye(150)
    for fold in range(5):
        train, test = seen & (folds != fold), seen & (folds == fold)
        inverse = np.linalg.inv(v[np.ix_(train, train)])
        c = covariates[train]
        b = np.linalg.solve(c.T @ inverse @ c, c.T @ inverse @ y[train])
        predicted = covariates[test] @ b + v[np.ix_(test, train)] @ inverse @ (y[train] - c @ b)
        np.testing.assert_allclose(errors[test], y[test] - predicted, atol=1e-5)


def test_reml_finds_the_simulated_heritability():
    rng = np.random.default_rng(9)
    n, m, repeats = 600, 300, 40
    _, x = standard(genotypes(rng, n, m))
    k = x.T @ x / m
    kernel = mixed_model.decompose(k)
    model = mixed_model.make_model(k, kernel, np.ones((n, 1)), np.ones(n, dtype=bool))
    for truth in (0.0, 0.2, 0.5):
        g = x.T @ rng.normal(size=(m, repeats)) / np.sqrt(m)
        y = np.sqrt(truth) * g + np.sqrt(1 - truth) * rng.normal(size=(n, repeats))
        h = np.array([mixed_model.reml(model, y[:, j]).h for j in range(repeats)])
        # the mean of 40 within 0.03: about 4 standard errors; at 0 the bound pushes it up
        assert abs(h.mean() - truth) < 0.03
        assert h.std() < 0.08


def test_forward_selection_takes_causal_sites_and_not_their_proxies():
    rng = np.random.default_rng(10)
    n = 1500
    dosage, _ = standard(genotypes(rng, n, 60, linked=20))
    covariates = np.column_stack([np.ones(n), rng.normal(size=n)])
    common = np.flatnonzero(np.abs(dosage.mean(axis=1) - 1) < 0.6)
    causal = [common[0], common[4], common[-3]]
    y = 0.5 * covariates[:, 1] + dosage[causal].T @ [0.6, 0.4, -0.5] + rng.normal(size=n)
    y[::50] = np.nan
    chosen, beta = select_jointly(y, covariates, dosage, 7.3)
    assert sorted(chosen) == causal
    seen = ~np.isnan(y)
    joint = sm.OLS(y[seen], np.column_stack([dosage[chosen][:, seen].T, covariates[seen]])).fit()
    np.testing.assert_allclose(beta, joint.params[:3], rtol=1e-8)
    copies = np.vstack([dosage, dosage[causal]])
    assert len(select_jointly(y, covariates, copies, 7.3)[0]) == 3  # a copy adds nothing
    assert select_jointly(rng.normal(size=n), covariates, dosage, 7.3)[0] == []
    assert select_jointly(y, covariates, np.empty((0, n)), 7.3)[0] == []


def test_the_draw_is_from_the_posterior(tmp_path):
    """Mean and covariance over 400 draws against dense algebra, with missing values and a covariate."""
    rng = np.random.default_rng(11)
    n, m, draws = 120, 12, 400
    alleles = genotypes(rng, n, m, linked=4)
    dosage, x = standard(alleles)
    prefix = write_triple(tmp_path / "chr1", alleles, "1")
    covariates = rng.normal(size=(n, 1))
    y = x.T @ rng.normal(size=m) * 0.25 + covariates[:, 0] + rng.normal(size=n)
    y[:9] = np.nan
    names = tuple(f"copy {i}" for i in range(draws))  # a trait under many names has many draws
    traits = Traits(names, ("linear",) * draws, np.repeat(y[:, None], draws, axis=1), covariates)
    settings = {"hit_p": 1e-200, "minimum_allele_frequency": 0.001}
    weights, report = learn_weights([prefix], None, traits, 1, settings)
    drawn = np.array([weights[name].values * dosage.std(axis=1) for name in names])
    seen = ~np.isnan(y)
    k = x.T @ x / m
    model = mixed_model.make_model(k, mixed_model.decompose(k), np.column_stack([np.ones(n), covariates]), seen)
    fit = mixed_model.reml(model, y)
    assert 0.05 < fit.h < 0.95
    assert report[0]["h2_polygenic"] == pytest.approx(fit.h, abs=1e-3)
    c = np.column_stack([np.ones(n), covariates])[seen]
    p = np.eye(seen.sum()) - c @ np.linalg.solve(c.T @ c, c.T)
    noise, prior = fit.scale * (1 - fit.h), fit.scale * fit.h / m
    covariance = np.linalg.inv(x[:, seen] @ p @ x[:, seen].T / noise + np.eye(m) / prior)
    mean = covariance @ x[:, seen] @ p @ y[seen] / noise
    sd = np.sqrt(np.diag(covariance))
    # 12 means and 12 SDs of 400 draws: 4 standard errors each, false alarm about 1e-3
    assert (np.abs(drawn.mean(axis=0) - mean) < 4 * sd / np.sqrt(draws)).all()
    assert (np.abs(drawn.std(axis=0) / sd - 1) < 4 / np.sqrt(2 * draws)).all()
    correlation = covariance / np.outer(sd, sd)
    assert np.abs(np.corrcoef(drawn.T) - correlation).max() < 5 / np.sqrt(draws)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """1,200 people, 1,000 of them training; 6 traits: polygenic .5 twice, .2, null, sparse .3, binary."""
    path = tmp_path_factory.mktemp("weights")
    rng = np.random.default_rng(12)
    n = 1200
    parts = [genotypes(rng, n, 450) for _ in range(2)]
    parts[0][100] = rng.random(2 * n) < 0.002  # rare
    prefixes = [write_triple(path / f"chr{c}", a, c) for c, a in zip(("1", "2"), parts, strict=True)]
    dosage, x = standard(np.vstack(parts))
    covariates = rng.normal(size=(n, 2))
    g = x.T @ rng.normal(size=(900, 6))
    sparse = np.zeros(900)
    sparse[[55, 333, 777]] = [1, -1, 1]
    g[:, 4] = x.T @ sparse
    g = g / g.std(axis=0) * np.sqrt([0.5, 0.5, 0.2, 0, 0.3, 0.5])
    y = g + covariates @ [[0.3], [-0.2]] + rng.normal(size=(n, 6)) * np.sqrt(1 - g.var(axis=0))
    y[:, 5] = y[:, 5] > 0.8
    y[rng.random(n) < 0.05, 1] = np.nan
    y[rng.random(n) < 0.4, 2] = np.nan
    train = np.sort(rng.choice(n, 1000, replace=False))
    names = ("poly", "holes", "half", "null", "sparse", "ill")
    traits = Traits(names, ("linear",) * 5 + ("logistic",), y[train], covariates[train])
    weights, report = learn_weights(prefixes, train, traits, 3, family=train // 2)
    return prefixes, train, traits, weights, pd.DataFrame(report).set_index("trait"), dosage, g


def test_drawn_scores_behave_like_genetic_values(cohort, tmp_path):
    prefixes, train, traits, weights, report, dosage, _ = cohort
    write_weights(tmp_path / "weights", weights, "GRCh38")
    table = score(prefixes, train, {t: tmp_path / "weights" / f"{t}.txt.gz" for t in traits.names})
    common = np.minimum(dosage[:, train].mean(axis=1), 2 - dosage[:, train].mean(axis=1)) >= 0.02
    assert not common[100]
    assert (report["sites"] == common.sum()).all()
    for k, name in enumerate(traits.names):
        assert len(weights[name].values) == common.sum()
        s, y = table[name].to_numpy(), traits.values[:, k]
        seen = ~np.isnan(y)
        assert report["n"][name] == seen.sum()
        if report["h2"][name] < 0.02:
            continue
        fit = sm.OLS(y[seen], np.column_stack([s, np.ones(1000), traits.covariates])[seen]).fit()
        # measured spread of the slope at this size is about 0.06
        assert abs(fit.params[0] - 1) < 0.25
        residual = sm.OLS(y[seen], np.column_stack([np.ones(1000), traits.covariates])[seen]).fit().resid.var()
        assert s.var() / residual == pytest.approx(report["h2"][name], abs=0.08)


def test_report_finds_heritabilities_and_hits(cohort):
    *_, report, _, _ = cohort
    # standard errors are about 0.06; the binary trait is on the observed scale
    for name, truth in {"poly": 0.5, "holes": 0.5, "half": 0.2, "null": 0.0, "sparse": 0.3}.items():
        assert abs(report["h2"][name] - truth) < (0.25 if name == "half" else 0.18), name
    assert report["hits"]["null"] == 0
    assert 3 <= report["hits"]["sparse"] <= 4
    assert report["h2_hits"]["sparse"] > 0.2
    assert report["kind"]["ill"] == "logistic"
    assert 0.1 < report["h2"]["ill"] < 0.5
    assert report["crossfit_r2"]["poly"] > 0.05
    assert abs(report["crossfit_r2"]["null"]) < 0.03
    assert (report["crossfit_r2"] < report["h2"] + 0.02).all()


def test_weights_do_not_depend_on_blocks_or_other_traits(cohort):
    prefixes, train, traits, weights, *_ = cohort
    pair = traits._replace(names=("holes", "sparse"), kind=("linear",) * 2, values=traits.values[:, [1, 4]])
    again, report = learn_weights(prefixes, train, pair, 3, {"block_sites": 100})
    for name in pair.names:
        assert np.corrcoef(again[name].values, weights[name].values)[0, 1] > 0.99999
    assert report[0]["crossfit_r2"] is None
    other, _ = learn_weights(prefixes, train, pair, 4, {"block_sites": 100})
    assert np.corrcoef(other["holes"].values, weights["holes"].values)[0, 1] < 0.9


def test_people_outside_the_training_rows_reach_no_weight(cohort, tmp_path):
    prefixes, train, traits, *_ = cohort
    one = traits._replace(names=("sparse",), kind=("linear",), values=traits.values[:, [4]])
    changed = []
    for prefix in prefixes:
        with Genotypes(prefix) as file:
            alleles, chrom = file.haplotypes(0, file.n_sites), file.sites["chrom"].iloc[0]
        others = np.setdiff1d(np.arange(1200), train)
        alleles[:, 2 * others] = 1
        changed.append(write_triple(tmp_path / prefix.name, alleles, chrom))
    mine, _ = learn_weights(prefixes, train, one, 3)
    theirs, _ = learn_weights(changed, train, one, 3)
    np.testing.assert_array_equal(mine["sparse"].values, theirs["sparse"].values)


def test_bad_requests_are_told(cohort):
    prefixes, train, traits, *_ = cohort
    with pytest.raises(InputError, match=r"from 1000 people would need about(.|\n)*at most 500(.|\n)*PGS Catalog"):
        learn_weights(prefixes, train, traits, 3, {"maximum_people": 500})
    assert learn_weights(prefixes, train, traits._replace(names=()), 3) == ({}, [])
    with pytest.raises(ValueError, match="unknown method magic"):
        learn_weights(prefixes, train, traits, 3, {"method": "magic"})
    with pytest.raises(InputError, match=r"no site has an allele frequency of 0\.6"):
        learn_weights(prefixes, train, traits, 3, {"minimum_allele_frequency": 0.6})


def test_catalog_files_become_weights(cohort, tmp_path):
    prefixes, train, *_, dosage, _ = cohort
    header = "rsID\tchr_name\tchr_position\teffect_allele\tother_allele\teffect_weight\tallelefrequency_effect\n"
    f = dosage[:, train].mean(axis=1) / 2
    rows = [5, 40, 460]
    lines = [
        f"r\t{'1' if i < 450 else '2'}\t{10 + 5 * (i % 450)}\tA\tT\t{w}\t{1 - f[i]}\n"
        for i, w in zip(rows, (1.0, 2.0, -3.0), strict=True)
    ]
    elsewhere = "r\t9\t1\tA\tC\t1\t0.5\n"
    (tmp_path / "s.txt").write_text("#pgs_id=PGS1\n#genome_build=GRCh38\n" + header + "".join(lines) + elsewhere)
    clear = [i for i in rows if abs(f[i] - 0.5) > 0.1]
    assert len(clear) >= 2
    weights, report = catalog_weights({"bmi": tmp_path / "s.txt"}, prefixes, train, "GRCh38", 0.3)
    assert (report[0]["rows"], report[0]["matched"], report[0]["method"]) == (4, len(clear), "pgs")
    write_weights(tmp_path / "weights", weights, "GRCh38")
    table = score(prefixes, None, {"bmi": tmp_path / "weights" / "bmi.txt.gz"})
    expected = sum(w * (2 - dosage[i]) for i, w in zip(rows, (1.0, 2.0, -3.0), strict=True) if i in clear)
    np.testing.assert_allclose(table["bmi"], expected, atol=1e-6)
