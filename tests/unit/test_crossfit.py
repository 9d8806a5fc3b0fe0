"""Predictions of left-out families against dense algebra and scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from pseudocohort.genetics.traits import Traits
from pseudocohort.genotypes import GenotypeWriter
from pseudocohort.weights import crossfit as module
from pseudocohort.weights.crossfit import crossfit, fold_weights, folds_of, score_r2
from pseudocohort.weights.kernel import Sites, make_kernel
from pseudocohort.weights.learning import DEFAULTS


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """300 people, 150 sites: kernel, prefix, dosages (m, n), traits polygenic, with a hit, binary, too few values."""
    with threadpool_limits(1):
        rng, n = np.random.default_rng(1), 300
        dosage = rng.binomial(2, rng.uniform(0.1, 0.5, size=(150, 1)), size=(150, n)).astype(np.int8)
        prefix = tmp_path_factory.mktemp("crossfit") / "chr1"
        sites = pd.DataFrame({"chrom": "1", "pos": np.arange(150) + 1, "id": np.arange(150).astype(str)})
        alleles = np.stack([dosage > 0, dosage > 1], axis=2).reshape(150, -1).astype(np.int8)
        with GenotypeWriter(prefix, np.arange(n).astype(str), np.ones(n, dtype=int), 150) as writer:
            writer.append(alleles, sites.assign(ref="A", alt="T"))
        covariates = rng.normal(size=(n, 1))
        x = (dosage - dosage.mean(axis=1, keepdims=True)) / dosage.std(axis=1, keepdims=True)
        y = x.T @ rng.normal(size=(150, 4)) / np.sqrt(150) + 0.6 * rng.normal(size=(n, 4)) + covariates
        y[:, 1] += x[20]
        y[:, 2] = y[:, 2] > 0.5
        y[rng.random(n) < 0.2, 0] = np.nan
        y[25:, 3] = np.nan
        traits = Traits(("poly", "hit", "ill", "few"), ("linear", "linear", "logistic", "linear"), y, covariates)
        kernel = make_kernel(Sites([prefix], None), np.column_stack([np.ones(n), covariates]))
        yield kernel, [prefix], dosage, traits, folds_of(np.arange(n) // 2, 1)


def test_families_are_whole_and_folds_alike():
    family = np.repeat([f"f{i}" for i in range(200)], 3)
    fold = folds_of(family, 1)
    assert (fold.reshape(-1, 3) == fold[::3, None]).all()
    assert np.bincount(fold).tolist() == [120] * 5
    assert (folds_of(family, 2) != fold).any()


def test_predictions_equal_refitting_without_the_fold(cohort):
    kernel, prefixes, _, traits, fold = cohort
    fit = crossfit(kernel, prefixes, None, traits, fold, DEFAULTS, "blup", {})
    k = kernel.multiply(np.eye(300))
    covariates = np.column_stack([np.ones(300), traits.covariates])
    y = traits.values[:, 0]
    h = module._shares(kernel, traits, np.zeros((300, 4, 5)), None)[0]
    assert 0.1 < h < 0.96
    errors, without = [], []
    for f in range(5):
        train, test = ~np.isnan(y) & (fold != f), fold == f
        v = h * k[np.ix_(train, train)] + (1 - h) * np.eye(train.sum())
        inverse = np.linalg.inv(v)
        c = covariates[train]
        b = np.linalg.solve(c.T @ inverse @ c, c.T @ inverse @ y[train])
        u = h * k[np.ix_(test, train)] @ inverse @ (y[train] - c @ b)
        np.testing.assert_allclose(fit.predicted[test, 0], u, atol=1e-4)
        errors.append((y[test] - covariates[test] @ b - u) ** 2)
        plain = np.linalg.lstsq(c, y[train], rcond=None)[0]
        without.append((y[test] - covariates[test] @ plain) ** 2)
    expected = 1 - np.nansum(np.concatenate(errors)) / np.nansum(np.concatenate(without))
    assert fit.report[0]["crossfit_r2"] == pytest.approx(expected, abs=1e-4)
    assert expected > 0.05
    assert np.isnan(fit.predicted[:, 3]).all()
    assert fit.report[3] == {"crossfit_r2": None}


def test_hits_are_selected_without_the_fold_and_scores_are_those_of_the_weights(cohort):
    kernel, prefixes, dosage, traits, fold = cohort
    fit = crossfit(kernel, prefixes, None, traits, fold, DEFAULTS, "crossfit", {})
    sites, mean_weights, scores = fold_weights(kernel, fit)
    assert sites.index.tolist() == list(range(150))
    x = dosage - dosage.mean(axis=1, keepdims=True)
    for f, (table, beta) in enumerate(fit.hits[1]):
        assert 20 in table.index
        train = fold != f
        design = np.column_stack([dosage[table.index][:, train].T, np.ones(train.sum()), traits.covariates[train]])
        expected = np.linalg.lstsq(design, traits.values[train, 1], rcond=None)[0][: len(beta)]
        np.testing.assert_allclose(beta, expected, rtol=1e-6)
        # what is beside the covariates of a fold's scores is what was predicted
        own = fold == f
        ridge = scores[own, 1] - x[table.index][:, own].T @ beta
        assert np.corrcoef(ridge, fit.predicted[own, 1] - x[table.index][:, own].T @ beta)[0, 1] > 0.95
    assert mean_weights.shape == (150, 4)
    whole = x.T @ mean_weights[:, 1]
    assert np.corrcoef(whole, scores[:, 1])[0, 1] > 0.5


def test_clumping_and_thresholding_predicts_by_marginal_effects(cohort):
    kernel, prefixes, dosage, traits, fold = cohort
    fit = crossfit(kernel, prefixes, None, traits, fold, DEFAULTS, "ct", {})
    table, beta = fit.hits[1][0]
    assert table.index[0] == 20
    train = fold != 0
    design = np.column_stack([dosage[20, train], np.ones(train.sum()), traits.covariates[train]])
    assert beta[0] == pytest.approx(np.linalg.lstsq(design, traits.values[train, 1], rcond=None)[0][0], rel=1e-4)
    assert fit.report[1]["crossfit_r2"] > 0.1
    assert not fit.right.any()


def test_binary_traits_have_an_auc_and_a_liability_r2(cohort):
    kernel, prefixes, _, traits, fold = cohort
    fit = crossfit(kernel, prefixes, None, traits, fold, DEFAULTS, "draw", {})
    y, out = traits.values[:, 2], fit.predicted[:, 2]
    centred = out - np.array([out[fold == f].mean() for f in range(5)])[fold]
    assert fit.report[2]["crossfit_auc"] == pytest.approx(roc_auc_score(y, centred))
    assert fit.report[2]["crossfit_auc"] > 0.52
    # p (1 - p) / phi^2 is pi/2 at p = 1/2 and above it elsewhere
    assert fit.report[2]["crossfit_r2_liability"] / fit.report[2]["crossfit_r2"] > np.pi / 2


def test_given_scores_are_judged_alone_and_used(cohort):
    kernel, prefixes, _, traits, fold = cohort
    rng = np.random.default_rng(3)
    y = traits.values[:, 1]
    good = np.column_stack([y + rng.normal(size=300), rng.normal(size=300)])
    covariates = np.column_stack([np.ones(300), traits.covariates])
    alone = score_r2(y, covariates, good, fold)
    assert 0.3 < alone < 0.9
    assert score_r2(y, covariates, rng.normal(size=(300, 1)), fold) < 0.03
    fit = crossfit(kernel, prefixes, None, traits, fold, DEFAULTS, "draw", {"hit": good})
    assert fit.report[1]["given_r2"] == pytest.approx(alone)
    assert fit.report[1]["crossfit_r2"] > alone - 0.05
    assert "given_r2" not in fit.report[0]
    assert score_r2(traits.values[:, 3], covariates, good, fold) is None
