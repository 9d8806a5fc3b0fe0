"""Associations: lambda GC and clumping against direct computations; equal and unequal effects."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from evaluation_cohort import association_table, write_associations, write_gwas_ssf
from pseudocohort.evaluation.associations import (
    clump,
    evaluate_associations,
    false_leads,
    lambda_gc,
    summarise,
    weighted_slope,
)
from pseudocohort.genetics.association import Block
from pseudocohort.genetics.results import write_association


def find(lines, text):
    (line,) = [line for line in lines if text in line["metric"]]
    return line


def tables(rng, effects, pseudo_effects=None, scale=1.0):
    return {
        "real": association_table(1.05, effects, 1600, rng),
        "holdout": association_table(1.05, effects, 400, rng),
        "synthetic": association_table(1.05 * scale, effects if pseudo_effects is None else pseudo_effects, 2000, rng),
    }


def write(folder, traits):
    for cohort in ("real", "holdout", "synthetic"):
        (folder / cohort).mkdir()
        for name, frames in traits.items():
            write_gwas_ssf(frames[cohort], folder / cohort, name)
    return {c: folder / c for c in ("real", "holdout", "synthetic")}


@pytest.fixture(scope="module")
def effects():
    rng = np.random.default_rng(1)
    return [{int(r): float(e) for r, e in zip(rng.integers(0, 3000, 3), rng.choice([-0.3, 0.25, 0.35], 3), strict=True)}
            for _ in range(6)]  # fmt: skip


def test_equal_effects_are_within_every_goal(tmp_path, effects):
    rng = np.random.default_rng(2)
    lines, arrays = evaluate_associations(write(tmp_path, {f"t{i}": tables(rng, e) for i, e in enumerate(effects)}), 1)
    assert not [line["metric"] for line in lines if line["verdict"] == "beyond"]
    assert find(lines, "slope of pseudo")["value"] == pytest.approx(1, abs=0.06)
    assert find(lines, "correlation of effects")["value"] > 0.95
    assert find(lines, "hits (p < 5e-8, 500 kb apart)")["value"] == pytest.approx(18, abs=3)
    assert len(arrays["hits/beta"]) == find(lines, "is tested in the pseudo cohort")["floor"]


def test_halved_effects_lost_hits_and_invented_ones_are_seen(tmp_path, effects):
    rng = np.random.default_rng(3)
    lines, _ = evaluate_associations(
        write(tmp_path, {f"t{i}": tables(rng, e, {**{r: b / 2 for r, b in e.items()}, 1500: 0.4, 500: 0.4})
                         for i, e in enumerate(effects)}), 1)  # fmt: skip
    assert find(lines, "slope of pseudo")["value"] == pytest.approx(0.5, abs=0.06)
    for text in ("slope of pseudo", "error of effects", "false hits a trait"):
        assert find(lines, text)["verdict"] == "beyond"
    assert find(lines, "false hits a trait")["value"] > 1


def test_swapped_effect_alleles_turn_the_slope_over(tmp_path, effects):
    rng = np.random.default_rng(4)
    lines, _ = evaluate_associations(
        write(tmp_path, {f"t{i}": tables(rng, e, {r: -b for r, b in e.items()}) for i, e in enumerate(effects)}), 1
    )
    assert find(lines, "slope of pseudo")["value"] < -0.9
    assert find(lines, "slope of pseudo")["verdict"] == "beyond"
    assert find(lines, "same sign")["value"] == 0


def test_inflation_is_seen(tmp_path, effects):
    rng = np.random.default_rng(5)
    lines, _ = evaluate_associations(write(tmp_path, {"t": tables(rng, effects[0], scale=1.3)}), 1)
    assert find(lines, "lambda GC")["verdict"] == "beyond"
    assert find(lines, "mean chi-square")["verdict"] == "beyond"


def test_no_hits_a_trait_of_one_cohort_only_and_an_empty_table(tmp_path):
    rng = np.random.default_rng(6)
    traits = {"null": tables(rng, {}), "empty": {c: t.iloc[:0] for c, t in tables(rng, {}).items()}}
    directories = write(tmp_path, traits)
    (directories["synthetic"] / "empty.tsv.gz").unlink()
    (directories["holdout"] / "null.tsv.gz").unlink()
    lines, arrays = evaluate_associations(directories, 1)
    assert arrays["threshold"] == 5
    assert find(lines, "both cohorts")["value"] == 1
    assert "1 traits" in find(lines, "both cohorts")["note"]
    assert not [line for line in lines if line["verdict"] == "beyond" and "over real" not in line["metric"]]


def test_no_trait_at_all(tmp_path):
    lines, arrays = evaluate_associations(write(tmp_path, {}), 1)
    assert lines[0]["value"] == 0
    assert arrays["points/names"] == ["-"]


def test_lambda_gc_is_the_ratio_of_medians():
    statistics = chi2.rvs(1, size=5001, random_state=1) * 1.3
    oracle = np.sort(statistics)[2500] / 0.454936423119572
    assert lambda_gc(statistics) == pytest.approx(oracle)
    assert lambda_gc(np.array([0.454936423119572])) == pytest.approx(1)


def test_clumping_equals_a_brute_force_search():
    rng = np.random.default_rng(7)
    table = pd.DataFrame({"chrom": rng.choice(["1", "2"], 300), "pos": rng.integers(0, 10**7, 300),
                          "log10p": rng.exponential(4, 300)})  # fmt: skip
    left, oracle = table[table["log10p"] >= 6].copy(), []
    while len(left):
        lead = left.loc[left["log10p"].idxmax()]
        oracle.append(lead.name)
        left = left[(left["chrom"] != lead["chrom"]) | ((left["pos"] - lead["pos"]).abs() > 500_000)]
    assert clump(table, 6.0).index.tolist() == oracle
    assert len(oracle) > 5


def test_false_leads_have_no_real_signal_nearby():
    leads = pd.DataFrame({"chrom": ["1", "1", "2"], "pos": [100, 9_000_000, 100]})
    real = pd.DataFrame({"chrom": ["1", "2"], "pos": [400_000, 100], "log10p": [4.5, 3.0]})
    assert false_leads(leads, real) == 2


def test_weighted_slope_is_least_squares_through_the_origin():
    rng = np.random.default_rng(8)
    x, se = rng.normal(size=40), rng.uniform(0.1, 1, 40)
    y = 0.8 * x + se * rng.normal(size=40)
    slope, (low, high) = weighted_slope(x, y, se, rng)
    oracle = np.linalg.lstsq((x / se)[:, None], y / se, rcond=None)[0][0]
    assert slope == pytest.approx(oracle)
    assert low < slope < high


def test_hits_are_scaled_to_the_founders_number(effects):
    rng = np.random.default_rng(9)
    frames = tables(rng, {100: 0.15})  # chi-square 36 at n = 1600, 45 at 2000
    frames["synthetic"].loc[100, ["beta", "log10p"]] = [0.13, 8.0]
    assert summarise("t", frames).pseudo_hits == 0  # 2000 x 0.13^2 = 33.8 (p 6e-9), but 27 (p 2e-7) at 1600


def test_results_in_one_parquet_file_give_the_same_metrics(tmp_path, effects):
    rng = np.random.default_rng(10)
    traits = {f"t{i}": tables(rng, effect) for i, effect in enumerate(effects)}
    texts = evaluate_associations(write(tmp_path, traits), 1)[0]
    for cohort in ("real", "holdout", "synthetic"):
        columns = [frames[cohort] for frames in traits.values()]
        beta, se, af, n = (np.column_stack([table[c] for table in columns]) for c in ("beta", "se", "af", "n"))
        blocks = [Block(columns[0], beta, se, af, n[0], np.full(len(traits), np.inf))]
        write_association(tmp_path / "columns" / cohort, iter(blocks), tuple(traits), columnar_above=1)
    store = evaluate_associations({c: tmp_path / "columns" / c for c in ("real", "holdout", "synthetic")}, 1)[0]
    assert [line["metric"] for line in store] == [line["metric"] for line in texts]
    for mine, theirs in zip(store, texts, strict=True):
        for key in ("value", "floor"):
            assert (mine[key] is None) == (theirs[key] is None)
            assert mine[key] is None or mine[key] == pytest.approx(theirs[key], rel=1e-5)


def test_figures_hold_at_most_twelve_traits(tmp_path):
    rng = np.random.default_rng(11)
    directories = write_associations(tmp_path, rng, traits=[f"t{i}" for i in range(14)])
    _, arrays = evaluate_associations(directories, 1)
    assert len(arrays["points/names"]) == 12
    assert len(arrays["traits/names"]) == 14
