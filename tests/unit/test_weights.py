"""Effect weights end to end: from .pgen files to weight files, scores and the report."""

import json
import logging

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from pseudocohort.errors import InputError
from pseudocohort.genetics.traits import Traits
from pseudocohort.genotypes import Genotypes, GenotypeWriter
from pseudocohort.scores.scoring import score
from pseudocohort.weights.learning import learn_weights, write_weights


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
def cohort(tmp_path_factory):
    """1,000 people, 800 of them training; 6 traits: polygenic .5 twice, .2, null, sparse .3, binary .5."""
    path = tmp_path_factory.mktemp("weights")
    rng = np.random.default_rng(12)
    n = 1000
    parts = [genotypes(rng, n, 300) for _ in range(2)]
    parts[0][100] = rng.random(2 * n) < 0.002  # rare
    prefixes = [write_triple(path / f"chr{c}", a, c) for c, a in zip(("1", "2"), parts, strict=True)]
    dosage, x = standard(np.vstack(parts))
    covariates = rng.normal(size=(n, 2))
    g = x.T @ rng.normal(size=(600, 6))
    sparse = np.zeros(600)
    sparse[[55, 333, 577]] = [1, -1, 1]
    g[:, 4] = x.T @ sparse
    g = g / g.std(axis=0) * np.sqrt([0.5, 0.5, 0.2, 0, 0.3, 0.5])
    y = g + covariates @ [[0.3], [-0.2]] + rng.normal(size=(n, 6)) * np.sqrt(1 - g.var(axis=0))
    y[:, 5] = y[:, 5] > 0.8
    y[rng.random(n) < 0.05, 1] = np.nan
    y[rng.random(n) < 0.4, 2] = np.nan
    train = np.sort(rng.choice(n, 800, replace=False))
    names = ("poly", "holes", "half", "null", "sparse", "ill")
    traits = Traits(names, ("linear",) * 5 + ("logistic",), y[train], covariates[train])
    learnt = learn_weights(prefixes, train, traits, 3, family=train // 2)
    return prefixes, train, traits, learnt, dosage


def pick(traits, *names):
    place = [traits.names.index(name) for name in names]
    return traits._replace(names=names, kind=tuple(traits.kind[k] for k in place), values=traits.values[:, place])


def test_drawn_scores_behave_like_genetic_values(cohort, tmp_path):
    prefixes, train, traits, (weights, report, _), dosage = cohort
    report = pd.DataFrame(report).set_index("trait")
    write_weights(tmp_path / "weights", weights, "GRCh38")
    table = score(prefixes, train, {t: tmp_path / "weights" / f"{t}.txt.gz" for t in traits.names})
    common = np.minimum(dosage[:, train].mean(axis=1), 2 - dosage[:, train].mean(axis=1)) >= 0.02
    assert not common[100]
    assert (report["sites"] == common.sum()).all()
    for name in ("poly", "holes", "sparse"):
        assert len(weights[name].values) == common.sum()
        s, y = table[name].to_numpy(), traits.values[:, traits.names.index(name)]
        seen = ~np.isnan(y)
        fit = sm.OLS(y[seen], np.column_stack([s, np.ones(800), traits.covariates])[seen]).fit()
        # measured spread of the slope at this size is about 0.06
        assert abs(fit.params[0] - 1) < 0.25
        residual = sm.OLS(y[seen], np.column_stack([np.ones(800), traits.covariates])[seen]).fit().resid.var()
        assert s.var() / residual == pytest.approx(report["h2"][name], abs=0.1)
    assert np.corrcoef(table["ill"], traits.values[:, 5])[0, 1] > 0.1


def test_report_tells_heritabilities_hits_and_honest_prediction(cohort):
    _, _, traits, (_, entries, out_of_fold), _ = cohort
    report = pd.DataFrame(entries).set_index("trait")
    assert list(report["n"]) == list((~np.isnan(traits.values)).sum(axis=0))
    # standard errors are about 0.06, of half .1 and of ill .15
    for name, truth in {"poly": 0.5, "holes": 0.5, "half": 0.2, "null": 0.0, "sparse": 0.3, "ill": 0.5}.items():
        assert abs(report["h2"][name] - truth) < (0.4 if name == "ill" else 0.25 if name == "half" else 0.18), name
    assert report["hits"]["null"] <= 1
    assert 3 <= report["hits"]["sparse"] <= 5
    assert report["h2_hits"]["sparse"] > 0.2
    assert report["h2"]["sparse"] == pytest.approx(report["h2_hits"]["sparse"] + report["h2_polygenic"]["sparse"])
    assert report["crossfit_r2"]["poly"] > 0.05
    assert abs(report["crossfit_r2"]["null"]) < 0.03
    assert (report["crossfit_r2"] < report["h2"] + 0.02).all()
    assert report["crossfit_auc"]["ill"] > 0.55
    assert report["cases"]["ill"] == np.nansum(traits.values[:, 5])
    assert report["scale"]["ill"] == "SD of the liability"
    assert report["alpha"].isin([-1.0, -0.3]).all()
    assert list(out_of_fold.columns) == list(traits.names)
    seen = ~np.isnan(traits.values[:, 2])
    for name in ("poly", "sparse"):
        y = traits.values[:, traits.names.index(name)]
        assert np.corrcoef(out_of_fold[name], y)[0, 1] > 0.2
    assert len(out_of_fold) == 800
    assert out_of_fold["half"].notna().all()
    assert seen.sum() < 600


def test_weights_do_not_depend_on_blocks(cohort):
    prefixes, train, traits, *_ = cohort
    pair = pick(traits, "holes", "sparse")
    settings = {"alpha": -1.0, "sweeps": 6}
    one, report = learn_weights(prefixes, train, pair, 3, settings)[:2]
    two = learn_weights(prefixes, train, pair, 3, {**settings, "block_sites": 100}).weights
    other = learn_weights(prefixes, train, pair, 4, settings).weights
    for name in pair.names:
        assert np.corrcoef(one[name].values, two[name].values)[0, 1] > 0.9999
    assert report[0]["crossfit_r2"] is None
    assert np.corrcoef(one["holes"].values, other["holes"].values)[0, 1] < 0.9


def test_people_outside_the_training_rows_reach_no_weight(cohort, tmp_path):
    prefixes, train, traits, *_ = cohort
    one, changed = pick(traits, "sparse"), []
    for prefix in prefixes:
        with Genotypes(prefix) as file:
            alleles, chrom = file.haplotypes(0, file.n_sites), file.sites["chrom"].iloc[0]
        others = np.setdiff1d(np.arange(1000), train)
        alleles[:, 2 * others] = 1
        changed.append(write_triple(tmp_path / prefix.name, alleles, chrom))
    mine, theirs = (learn_weights(p, train, one, 3).weights["sparse"] for p in (prefixes, changed))
    np.testing.assert_array_equal(mine.values, theirs.values)


def test_other_methods_share_code_and_report(cohort, tmp_path):
    """What methods.md says of them: posterior means have too little variance where they were learnt."""
    prefixes, train, traits, (drawn, _, _), dosage = cohort
    three = pick(traits, "poly", "sparse", "ill")
    x, found = dosage[:, train], {}
    for method in ("blup", "ct", "crossfit"):
        settings = {"method": method, "alpha": -1.0, "sweeps": 12}
        weights, report, out_of_fold = learn_weights(prefixes, train, three, 3, settings, family=train // 2)
        rows = {k: w.sites.index + 300 * (w.sites["chrom"] == "2").to_numpy() for k, w in weights.items()}
        found[method] = {k: w.values @ x[rows[k]] for k, w in weights.items()}
        assert {entry["method"] for entry in report} == {method}
        assert report[0]["crossfit_r2"] == pytest.approx(0 if method == "ct" else 0.15, abs=0.15)
        write_weights(tmp_path / method, weights)
        assert len(list((tmp_path / method).iterdir())) == 3
        if method == "ct":
            assert report[1]["hits"] == len(weights["sparse"].values) >= 2
            assert report[2]["scale"] == "log odds"
        if method == "crossfit":
            assert np.corrcoef(out_of_fold["poly"], found[method]["poly"])[0, 1] > 0.5
            assert np.abs(out_of_fold["poly"].mean()) < 0.1
    y = traits.values[:, 0]
    mine = drawn["poly"]
    variance = (mine.values @ x[mine.sites.index + 300 * (mine.sites["chrom"] == "2").to_numpy()]).var()
    assert found["blup"]["poly"].var() < 0.9 * variance
    assert np.corrcoef(found["blup"]["poly"], y)[0, 1] > 0.6
    assert found["crossfit"]["sparse"].var() > 0.15


def test_given_scores_are_the_prior_mean(cohort):
    prefixes, train, traits, _, dosage = cohort
    one = pick(traits, "poly", "sparse")
    given = np.column_stack([dosage[333, train] * 40.0 + 1000, np.random.default_rng(1).normal(size=800)])
    weights, report, _ = learn_weights(prefixes, train, one, 3, {"alpha": -1.0}, given={"sparse": given})
    assert "given_coefficients" not in report[0]
    effect, nothing = report[1]["given_coefficients"]
    y = traits.values[:, 4]
    fit = sm.OLS(y, np.column_stack([dosage[333, train], np.ones(800), traits.covariates])).fit()
    assert effect * 40 == pytest.approx(fit.params[0], abs=5 * fit.bse[0])
    assert abs(nothing) < 0.15
    place = (weights["sparse"].sites["chrom"] == "2") & (weights["sparse"].sites.index == 33)
    assert abs(weights["sparse"].values[place.to_numpy()][0]) < abs(fit.params[0]) / 3  # the file's score has it


@pytest.mark.parametrize("method", ["ct", "crossfit"])
def test_given_scores_count_with_every_method(cohort, method):
    prefixes, train, traits, _, dosage = cohort
    given, family = dosage[333, train][:, None] * 40.0, np.arange(800)
    settings = {"alpha": -1.0, "method": method}
    weights, report, _ = learn_weights(
        prefixes, train, pick(traits, "poly", "sparse"), 3, settings, family, given={"sparse": given}
    )
    fit = sm.OLS(traits.values[:, 4], np.column_stack([dosage[333, train], np.ones(800), traits.covariates])).fit()
    assert "given_coefficients" not in report[0]
    assert report[1]["given_coefficients"][0] * 40 == pytest.approx(fit.params[0], abs=0.2 * fit.bse[0])
    place = (weights["sparse"].sites["chrom"] == "2") & (weights["sparse"].sites.index == 33)
    assert np.abs(weights["sparse"].values[place.to_numpy()]).sum() < abs(fit.params[0]) / 3  # the given score has it


def test_bad_requests_are_told(cohort):
    prefixes, train, traits, *_ = cohort
    few = traits._replace(values=traits.values[:40], covariates=traits.covariates[:40])
    with pytest.raises(InputError, match=r"weights of 40 people(.|\n)*at least 50(.|\n)*PGS Catalog"):
        learn_weights(prefixes, train[:40], few, 3)
    nothing = learn_weights(prefixes, train, traits._replace(names=(), values=traits.values[:, :0]), 3)
    assert (nothing.weights, nothing.report) == ({}, [])
    assert len(nothing.out_of_fold) == 800
    with pytest.raises(ValueError, match="unknown method magic"):
        learn_weights(prefixes, train, traits, 3, {"method": "magic"})
    with pytest.raises(InputError, match=r"no site has an allele frequency of 0\.6"):
        learn_weights(prefixes, train, traits, 3, {"minimum_allele_frequency": 0.6})


def test_two_hundred_people_and_sixty_traits_work(cohort, caplog):
    prefixes, train, traits, *_ = cohort
    rng = np.random.default_rng(5)
    values = rng.normal(size=(200, 60))
    values[:, 10:20] = values[:, 10:20] > 0.9
    values[rng.random(values.shape) < 0.1] = np.nan
    values[:, 30] = values[:, 31]
    kind = tuple("logistic" if 10 <= k < 20 else "linear" for k in range(60))
    many = Traits(tuple(f"t{k}" for k in range(60)), kind, values, traits.covariates[:200])
    with caplog.at_level(logging.INFO, logger="pseudocohort"):
        weights, report, _ = learn_weights(prefixes, train[:200], many, 1, {"sweeps": 4}, family=np.arange(200))
    assert all(np.isfinite(w.values).all() for w in weights.values())
    assert report[0]["note"].endswith("people tell little of heritability and next to nothing of single sites")
    assert json.loads(json.dumps(report)) == report
    assert all(np.isfinite(entry["h2"]) for entry in report)
    assert any("s left" in message for message in caplog.messages)


def test_people_above_the_limit_are_streamed(cohort):
    """The streamed kernel gives draws of the same kind: heritability, and the slope of the trait on the score."""
    prefixes, train, traits, *_, dosage = cohort
    pair = pick(traits, "poly", "sparse")
    weights, report, _ = learn_weights(prefixes, train, pair, 3, {"dense_up_to": 100, "alpha": -1.0})
    for name in pair.names:
        w = weights[name]
        s = w.values @ dosage[w.sites.index + 300 * (w.sites["chrom"] == "2").to_numpy()][:, train]
        y = traits.values[:, traits.names.index(name)]
        fit = sm.OLS(y, np.column_stack([s, np.ones(800), traits.covariates])).fit()
        assert abs(fit.params[0] - 1) < 0.25
    assert [abs(e["h2"] - h) < 0.18 for e, h in zip(report, (0.5, 0.3), strict=True)] == [True, True]
    assert report[1]["hits"] >= 3


def test_streamed_draws_take_missing_values_binary_traits_and_relatives(cohort):
    prefixes, train, traits, *_ = cohort
    three = pick(traits, "holes", "half", "ill")
    settings = {"dense_up_to": 100, "alpha": -1.0}
    unrelated = np.arange(800) % 8 > 0
    _, report, out = learn_weights(prefixes, train, three, 3, settings, np.arange(800) // 2, unrelated)
    got = np.array([e["h2"] for e in report])
    # 0.5, 0.2 and 0.5 of the liability, with standard errors of about 0.06, 0.1 and 0.15: false alarm 1e-3
    assert (np.abs(got - [0.5, 0.2, 0.5]) < [0.2, 0.33, 0.5]).all()
    assert report[0]["crossfit_r2"] > 0.1
    assert report[2]["crossfit_auc"] > 0.5
    assert np.isfinite(out.to_numpy()).any(axis=0).all()
