"""Heritability of three cohorts side by side; hits and LD scores as they are written."""

import json

import numpy as np
import pandas as pd
import pytest

from ld_cohort import linked_haplotypes, write_chromosome
from pseudocohort.evaluation.heritability import Cohort, heritability_lines, save_heritability
from pseudocohort.genetics.clumping import HITS, clump, hit_table
from pseudocohort.genetics.heritability import HasemanElston, thinned
from pseudocohort.genetics.ld import ld_scores, read_ld_scores, write_ld_scores
from pseudocohort.genetics.ld_regression import genetic_correlation, ld_score_regression, regress_all
from pseudocohort.genetics.traits import Traits
from pseudocohort.genotypes import Genotypes
from pseudocohort.measures.catalogue import judged

NAMES = ("height", "weight", "ill", "pulse")


def estimate(h2, spread=0.02, names=NAMES, seed=0):
    """Estimates with heritabilities h2 (t,), genetic correlations of about .5, and a jackknife of 30 blocks."""
    rng, t = np.random.default_rng(seed), len(names)
    r = 0.5 + 0.1 * rng.normal(size=(t, t))
    r = (r + r.T) / 2
    np.fill_diagonal(r, 1)
    covariance = r * np.sqrt(np.outer(h2, h2))
    deleted = covariance + spread / np.sqrt(30) * rng.normal(size=(30, 1, 1))
    line = np.full(t, 0.01)
    return HasemanElston(
        names, np.full(t, 900), np.array(h2), line, line * np.nan, line * np.nan, covariance, covariance, r, r,
        5000, 30, deleted, np.full(30, 160), "",
    )  # fmt: skip


@pytest.fixture
def regressions():
    rng = np.random.default_rng(3)
    scores = pd.DataFrame(
        {"chrom": "21", "pos": np.arange(2000) * 20_000, "id": [f"s{i}" for i in range(2000)], "cm": np.nan}
    ).assign(l2=rng.uniform(1, 30, 2000))
    results = {}
    for name in ("height", "weight"):
        table = scores[["chrom", "pos", "id"]].assign(beta=rng.normal(size=2000) * np.sqrt(1 + scores["l2"] / 20))
        results[name] = table.assign(se=1.0, n=900).sample(frac=1, random_state=1)
    return scores, results


def test_every_trait_and_pair_is_regressed_on_its_own_sites(regressions):
    scores, results = regressions
    extra = results["height"].iloc[:3].assign(id="elsewhere")
    found = regress_all([("height", pd.concat([results["height"], extra])), ("weight", results["weight"])], scores)
    z = [results[name].set_index("id").loc[scores["id"], "beta"].to_numpy() for name in ("height", "weight")]
    expected = ld_score_regression(z[0].astype(np.float32), 900, scores["l2"], 2000, 39)  # 40 Mb less one site
    assert found.by_trait["height"] == expected
    pair = genetic_correlation(*(x.astype(np.float32) for x in z), (900, 900), scores["l2"], 2000, 39)
    assert found.correlation[0, 1] == found.correlation[1, 0] == pair.correlation
    assert found.correlation_se[0, 1] == pair.correlation_se
    assert np.isnan(found.correlation[0, 0])
    mapped = regress_all([("height", results["height"])], scores.assign(cm=np.linspace(0, 19.5, 2000)))
    assert "fewer than 20 blocks" in mapped.by_trait["height"].reason
    nothing = regress_all([("height", results["height"])], scores.iloc[:0])
    assert np.isnan(nothing.by_trait["height"].h2)


def verdicts(cohorts):
    return {line["key"]: line for line in judged(heritability_lines(cohorts))}


def test_lines_compare_the_means_and_correlations(regressions):
    found = regress_all(regressions[1].items(), regressions[0])
    h2, more = np.array([0.5, 0.4, 0.3, 0.2]), np.array([0.03, 0.02, 0.02, 0.01])
    cohorts = {
        "real": Cohort(estimate(h2), found),
        "holdout": Cohort(estimate(h2 + 0.01, seed=1), found),
        "synthetic": Cohort(estimate(h2 + more, seed=2, names=(*NAMES[:3], "new")), found),
    }
    lines = verdicts(cohorts)
    assert lines["h2_difference"]["value"] == pytest.approx(np.mean([0.03, 0.02, 0.02]))
    assert lines["h2_difference"]["floor"] == pytest.approx(0.01)
    assert lines["h2_difference"]["verdict"] == "within"
    pairs = ([0, 0, 1], [1, 2, 2])
    r = {name: cohort.haseman_elston.correlation[pairs] for name, cohort in cohorts.items()}
    correlation = lines["genetic_correlation"]
    assert correlation["value"] == pytest.approx(np.sqrt(np.mean((r["synthetic"] - r["real"]) ** 2)))
    assert correlation["ratio"] == pytest.approx(
        correlation["value"] / np.sqrt(np.mean((r["holdout"] - r["real"]) ** 2))
    )
    matched = verdicts(cohorts | {"matched": cohorts["real"]})["genetic_correlation"]
    assert matched["value"] == 0
    assert matched["verdict"] == "within"
    weak = estimate(h2, seed=1)
    weak = weak._replace(h2_se=np.array([0.3, 0.01, 0.01, 0.01]))
    few = verdicts(cohorts | {"holdout": Cohort(weak, found)})["genetic_correlation"]
    assert few["value"] is None
    assert few["reason"] == "too few traits"
    by_trait = found.by_trait.values()
    assert lines["ldsc_intercept"]["value"] == pytest.approx(np.mean([f.intercept for f in by_trait]))
    assert lines["ldsc_intercept"]["z"] == 0
    assert lines["ldsc_h2_difference"]["value"] == 0
    assert lines["ldsc_h2_difference"]["details"]["real"] == pytest.approx(np.mean([f.h2 for f in by_trait]))


def test_wrong_heritability_is_beyond_unless_its_error_reaches_the_goal(regressions):
    found = regress_all(regressions[1].items(), regressions[0])
    h2 = np.array([0.5, 0.4, 0.3, 0.2])
    cohorts = {name: Cohort(estimate(h2, seed=k), found) for k, name in enumerate(("real", "holdout", "synthetic"))}
    assert verdicts(cohorts)["h2_difference"]["verdict"] == "within"
    far = verdicts(cohorts | {"synthetic": Cohort(estimate(h2 + 0.2, seed=2), found)})
    assert far["h2_difference"]["verdict"] == "beyond"
    noisy = verdicts(cohorts | {"synthetic": Cohort(estimate(h2 + 0.2, spread=3.0, seed=2), found)})
    assert noisy["h2_difference"]["verdict"] == "unclear"
    few_blocks = estimate(h2 + 0.2, seed=2)
    few_blocks = few_blocks._replace(deleted=few_blocks.deleted[:0], sizes=few_blocks.sizes[:0])
    assert verdicts(cohorts | {"synthetic": Cohort(few_blocks, found)})["h2_difference"]["reason"] == "too few blocks"
    nobody = verdicts(cohorts | {"holdout": Cohort(estimate(h2 * np.nan), found)})
    assert nobody["h2_difference"]["reason"] == "no heritability"
    short = regress_all(regressions[1].items(), regressions[0].iloc[:0])
    assert verdicts(cohorts | {"synthetic": Cohort(estimate(h2), short)})["ldsc_intercept"]["reason"] == "no intercept"


def shaken(h2, sd, seed, blocks=30):
    """Estimates whose blocks scatter, each trait by its own, so that their means have standard errors `sd`."""
    base, rng = estimate(h2, names=tuple(f"t{i}" for i in range(len(h2)))), np.random.default_rng(seed)
    part = h2 + sd * np.sqrt(blocks) * rng.normal(size=(blocks, len(h2)))
    left = (part.sum(axis=0) - part) / (blocks - 1)
    deleted = left[:, :, None] * np.eye(len(h2))
    return base._replace(h2=part.mean(axis=0), h2_se=part.std(axis=0, ddof=1) / np.sqrt(blocks), deleted=deleted)


def by_trait(cohorts, regressions):
    found = regress_all(regressions[1].items(), regressions[0].iloc[:0])
    return verdicts({c: Cohort(e, found) for c, e in cohorts.items()})


def test_heritabilities_that_cancel_in_the_mean_are_beyond_by_trait(regressions):
    """Of 40 second cohorts at most 2 are beyond; of 10 with half of the traits higher and half lower, all."""
    h2, false, seen = np.linspace(0.2, 0.5, 20), 0, 0
    for k in range(40):
        cohorts = {c: shaken(h2, 0.02, 3 * k + i) for i, c in enumerate(("real", "holdout", "synthetic"))}
        false += by_trait(cohorts, regressions)["h2_by_trait"]["verdict"] == "beyond"
        if k < 10:
            wrong = cohorts | {"synthetic": shaken(h2 + 0.1 * (-1.0) ** np.arange(20), 0.02, 999 + k)}
            lines = by_trait(wrong, regressions)
            assert lines["h2_difference"]["verdict"] != "beyond"
            seen += lines["h2_by_trait"]["verdict"] == "beyond"
    assert false <= 2
    assert seen == 10
    few = {c: shaken(h2[:3], 0.02, i) for i, c in enumerate(("real", "holdout", "synthetic"))}
    assert by_trait(few, regressions)["h2_by_trait"]["reason"] == "too few compared traits"


def spread_estimate(r, error, seed, blocks=30):
    """Genetic correlations r (t, t), whose parts of the jackknife scatter by `error`."""
    rng, names = np.random.default_rng(seed), tuple(f"t{i}" for i in range(len(r)))
    h2 = np.full(len(r), 0.5)
    noise = error / np.sqrt(blocks) * rng.normal(size=(blocks, *r.shape)) * 0.5
    whole = estimate(h2, names=names)._replace(covariance=0.5 * r, correlation=r)
    return whole._replace(deleted=0.5 * r + (noise + noise.swapaxes(1, 2)) / 2)


def test_genetic_correlations_that_pseudo_people_lost_are_beyond(regressions):
    found, rng, t = regress_all(regressions[1].items(), regressions[0]), np.random.default_rng(4), 8
    factor = rng.choice([-0.8, 0.8], t)
    r = np.outer(factor, factor)

    def cohort(base, seed):
        noise = 0.1 * np.random.default_rng(seed).normal(size=(t, t))
        shaken = np.clip(base + (noise + noise.T) / 2, -1, 1)
        np.fill_diagonal(shaken, 1)
        return Cohort(spread_estimate(shaken, 0.1, seed), found)

    same = {name: cohort(r, k) for k, name in enumerate(("real", "holdout", "synthetic", "matched"))}
    assert verdicts(same)["genetic_correlation"]["verdict"] != "beyond"
    lost = verdicts(same | {"matched": cohort(0 * r, 9)})["genetic_correlation"]
    assert lost["verdict"] == "beyond"
    assert lost["value"] == pytest.approx(0.64, abs=0.06)


def test_the_file_holds_metrics_and_estimates_without_nan(regressions, tmp_path):
    found = regress_all(regressions[1].items(), regressions[0])
    cohorts = dict.fromkeys(("real", "holdout", "synthetic"), Cohort(estimate(np.full(4, 0.3)), found))
    save_heritability(tmp_path / "h.json", heritability_lines(cohorts), cohorts)
    text = (tmp_path / "h.json").read_text()
    assert "NaN" not in text
    content = json.loads(text)
    real = content["cohorts"]["real"]
    assert len(content["metrics"]) == 5
    assert real["traits"]["ill"]["h2"] == 0.3
    assert real["traits"]["ill"]["liability"] is None
    assert real["traits"]["height"]["ld_score_regression"]["intercept"] == pytest.approx(
        found.by_trait["height"].intercept, abs=1e-6
    )
    assert np.shape(real["genetic_correlation"]["haseman_elston"]["value"]) == (4, 4)


def test_ld_scores_and_hits_as_they_are_written(tmp_path):
    rng = np.random.default_rng(6)
    prefix, _ = write_chromosome(tmp_path, "21", linked_haplotypes(rng, 400, 300), 1000 * np.arange(300))
    table = ld_scores(prefix, None)
    write_ld_scores(tmp_path, "21", table)
    again = read_ld_scores(tmp_path, ["21"])
    pd.testing.assert_frame_equal(
        again[["chrom", "pos", "id", "cm", "maf", "l2"]], table.reset_index(drop=True), check_dtype=False, rtol=1e-9
    )
    assert int((tmp_path / "21.l2.M").read_text()) == len(table)
    assert int((tmp_path / "21.l2.M_5_50").read_text()) == (table["maf"] > 0.05).sum()
    assert read_ld_scores(tmp_path, []).empty
    sites = Genotypes(prefix).sites
    results = sites.assign(beta=0.1, se=0.01, n=200, af=0.3, log10p=rng.exponential(2, 300))
    found = hit_table("height", results, [prefix], None, p1=1e-5, r2=0.5)
    expected = clump(results, [prefix], None, p1=1e-5, r2=0.5)
    assert list(found.columns) == HITS
    assert found["id"].tolist() == expected["id"].tolist()
    assert found["clumped"].tolist() == [len(m) for m in expected["members"]]
    most = found.iloc[found["clumped"].argmax()]
    assert most["clumped_sites"].split(",") == sites["id"][list(expected["members"].loc[most.name])].tolist()
    assert (found["effect_allele"] == "G").all()
    assert hit_table("height", results, [prefix], None, p1=1e-100).empty


def test_people_are_thinned_evenly():
    traits = Traits(("a",), ("linear",), np.arange(100.0)[:, None], np.arange(100.0)[:, None])
    rows, few = thinned(np.arange(0, 200, 2), traits, 10)
    assert rows.tolist() == (2 * few.values[:, 0]).tolist()
    assert len(rows) == 10
    assert (few.covariates == few.values).all()
    assert thinned(None, traits, 10)[0].tolist() == few.values[:, 0].tolist()
    assert thinned(None, traits, 100)[0] is None
