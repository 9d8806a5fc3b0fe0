"""Scores learnt on pseudo people, tested in the holdout: R2 against regression, planted worthless weights."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from ld_cohort import write_chromosome
from pseudocohort.evaluation.association_results import read_leads
from pseudocohort.evaluation.association_table import trait_table, write_table
from pseudocohort.evaluation.prs import Worth, partial_r2, per_trait, prs_lines, weights_of, worth
from pseudocohort.genetics.clumping import LEADS
from pseudocohort.genetics.traits import Traits
from pseudocohort.measures.catalogue import judged
from pseudocohort.scores.scoring import score_weights


def holdout(rng, n=600, t=12, h2=0.4):
    """(traits, genetic values (n, t), fold)."""
    covariates = rng.normal(size=(n, 2))
    genetic = rng.normal(size=(n, t))
    values = np.sqrt(h2) * genetic + np.sqrt(1 - h2) * rng.normal(size=(n, t)) + 0.5 * covariates[:, :1]
    values[rng.random((n, t)) < 0.05] = np.nan
    return (
        Traits(tuple(f"t{i}" for i in range(t)), ("linear",) * t, values, covariates),
        genetic,
        rng.integers(20, size=n),
    )


def test_r2_is_the_rise_of_the_share_explained_beside_the_covariates():
    rng = np.random.default_rng(1)
    traits, genetic, fold = holdout(rng)
    score = genetic[:, 0] + rng.normal(size=600) + traits.covariates[:, 0]
    have = np.isfinite(traits.values[:, 0])
    y, null = traits.values[have, 0], sm.add_constant(traits.covariates[have])
    ssr = [sm.OLS(y, x).fit().ssr for x in (null, np.column_stack([null, score[have]]))]
    found = partial_r2(traits, 0, score, fold)
    assert found[0] == pytest.approx(1 - ssr[1] / ssr[0])
    assert found[1:].std() > 0
    assert found[1:] == pytest.approx(found[0], abs=0.05)
    assert partial_r2(traits, 0, -score, fold)[0] == pytest.approx(-found[0])
    assert (partial_r2(traits, 0, np.full(600, 3.0), fold) == 0).all()


def verdict(rng, made):
    """Line prs_r2 where founders' scores have reliability .5; made: pseudo people's from (genetic, noise)."""
    traits, genetic, fold = holdout(rng)
    scores = {
        "real": genetic + rng.normal(size=genetic.shape),
        "synthetic": made(genetic, rng.normal(size=genetic.shape)),
    }
    sites = np.full((2, len(traits.names)), 9)
    return judged(prs_lines(worth(traits, scores, sites, fold)))[0]


def test_as_good_weights_have_a_ratio_of_one_and_worthless_ones_of_nothing():
    """It is stated, for no floor of real people is known; the interval tells worthless weights from good ones."""
    rng = np.random.default_rng(2)
    good = [verdict(rng, lambda g, e: g + e) for _ in range(20)]
    assert {line["verdict"] for line in good} == {"stated"}
    assert "no goal" in good[0]["note"]
    assert np.mean([line["ratio"] for line in good]) == pytest.approx(1, abs=0.05)
    covered = [line["interval"][0] < 1 < line["interval"][1] for line in good]
    assert sum(covered) >= 17
    for fault in (lambda g, e: e, lambda g, e: -(g + e), lambda g, e: g + 3 * e):
        assert verdict(rng, fault)["interval"][1] < 0.5


def test_where_founders_scores_explain_nothing_either_nothing_is_judged():
    rng = np.random.default_rng(4)
    traits, genetic, fold = holdout(rng, n=60, t=2)
    scores = {"real": rng.normal(size=genetic.shape), "synthetic": rng.normal(size=genetic.shape)}
    line = judged(prs_lines(worth(traits, scores, np.ones((2, 2), dtype=int), fold)))[0]
    assert line["reason"] == "weak scores"
    assert "founders' own scores" in line["note"]


def test_traits_without_founders_score_are_left_out():
    r2 = np.full((2, 2, 21), [[[0.1]], [[0.2]]])
    r2[:, 1] = 0
    found = Worth(("a", "b"), np.array([100, 90]), r2, np.array([0.5, np.nan]), np.array([[3, 0], [4, 0]]))
    line, correlation = judged(prs_lines(found))
    assert line["ratio"] == pytest.approx(0.5)
    assert correlation["value"] == 0.5
    none = prs_lines(found._replace(sites=np.zeros((2, 2), dtype=int)))
    assert {x["reason"] for x in none} == {"no scores"}
    assert per_trait(found)[0] == {"trait": "a", "prs_people": 100, "prs_r2_synthetic": 0.1, "prs_r2_real": 0.2,
                                   "prs_sites_synthetic": 3, "prs_sites_real": 4}  # fmt: skip


def test_scores_by_leads_are_sums_of_dosages_times_effects(tmp_path):
    rng = np.random.default_rng(3)
    alleles = (rng.random((40, 400)) < 0.3).astype(np.int8)
    prefix, dosage = write_chromosome(tmp_path, "21", alleles, 1000 * np.arange(40) + 1)
    sites = pd.read_csv(f"{prefix}.pvar", sep="\t", comment="#", header=None, usecols=range(5))
    sites.columns = ["chrom", "pos", "id", "other_allele", "effect_allele"]
    table = sites.iloc[[3, 17, 30]].assign(trait="a", beta=[0.2, -0.1, 0.4], se=0.1, log10p=5.0, n=200, af=0.3)
    table[LEADS].to_csv(tmp_path / "leads.tsv", sep="\t", index=False)
    leads = read_leads(tmp_path / "leads.tsv")
    scores = score_weights([prefix], None, [weights_of(leads, "a"), weights_of(leads, "b")])
    oracle = dosage[[3, 17, 30]].astype(float).T @ [0.2, -0.1, 0.4]
    assert scores[:, 0] - scores[0, 0] == pytest.approx(oracle - oracle[0], abs=1e-5)
    assert (scores[:, 1] == 0).all()


def test_the_table_of_traits_joins_what_is_known(tmp_path):
    a = {"trait": "a", "n_real": 1596.0, "lambda_gc_real": 1.1, "n_holdout": None, "n_matched": 399}
    b = {"trait": "b", "n_real": 9.0, "n_matched": 395, "n_synthetic": 1595}
    associations = [a | {"n_synthetic": 1596}, b]
    known = {"h2": 0.5, "h2_se": 0.1, "liability": None}
    heritability = {
        "real": {"traits": {"a": known | {"ld_score_regression": {"h2": 0.4, "intercept": 1.01}}, "c": known}}
    }
    table = trait_table(associations, heritability, [{"trait": "a", "prs_r2_real": 0.2, "prs_people": 397}])
    assert table["trait"].tolist() == ["a", "b"]
    assert list(table.columns[1:]) == [
        "n_real [people]", "n_matched [people]", "n_synthetic [people]", "lambda_gc_real [ratio]",
        "h2_real [share of variance]", "h2_se_real [share of variance]", "ldsc_h2_real [share of variance]",
        "ldsc_intercept_real [chi-square]", "prs_people [people]", "prs_r2_real [share of variance]",
    ]  # fmt: skip
    write_table(tmp_path / "t.tsv", table)
    told = table.set_index("trait")  # of real people no difference tells of a few
    assert told["n_real [people]"]["a"] == 1590
    assert told["n_matched [people]"].tolist() == [390, 390]
    assert told["prs_people [people]"]["a"] == 390
    assert told["n_synthetic [people]"].tolist() == [1596, 1595]
    assert "b\tNA\t390" in (tmp_path / "t.tsv").read_text()
    assert trait_table([], {}, []).empty
