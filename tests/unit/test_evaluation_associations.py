"""Associations: one pass over several traits; equal effects are within, planted faults are caught."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, norm, poisson

from evaluation_cohort import ASSOCIATED, association_table, leads_of, write_associations, write_gwas_ssf
from pseudocohort.evaluation.association_results import (
    GROUPS,
    as_arrays,
    beside,
    false_leads,
    groups_of,
    inflation,
    near_signal,
    read_leads,
    scaled_log10p,
    shared,
)
from pseudocohort.evaluation.associations import evaluate_associations
from pseudocohort.genetics.association import Block
from pseudocohort.genetics.clumping import LEADS
from pseudocohort.genetics.results import write_association
from pseudocohort.measures.catalogue import judged

TRAITS, EFFECTS = 8, (-0.24, 0.2, 0.28)


def planted(seed, number=TRAITS):
    """Effects by trait: three hits that founders, holdout and pseudo people share."""
    rng = np.random.default_rng(seed)
    return [{int(r): float(e) for r, e in zip(rng.permutation(3000)[:3], rng.choice(EFFECTS, 3), strict=True)}
            for _ in range(number)]  # fmt: skip


def tables(rng, effects, change=lambda effects: effects, scale=1.0, null_scale=1.0):
    """Results of one trait in all cohorts; change: what becomes of the effects in pseudo people."""
    made = change(effects)
    return {
        cohort: association_table(
            {"synthetic": 1.05 * scale, "matched": 1.05 * scale, "permuted": null_scale}.get(cohort, 1.05),
            {} if cohort == "permuted" else made if cohort in ("synthetic", "matched") else effects,
            n,
            rng,
        )
        for cohort, n in ASSOCIATED.items()
    }


def write(folder, traits):
    for cohort in ASSOCIATED:
        (folder / cohort).mkdir(parents=True)
        for name, frames in traits.items():
            write_gwas_ssf(frames[cohort], folder / cohort, name)
    return {c: folder / c for c in ASSOCIATED}


def write_columns(folder, traits):
    """The same in one Parquet file a cohort, which is quicker."""
    for cohort in ASSOCIATED:
        columns = [frames[cohort] for frames in traits.values()]
        beta, se, af, n = (np.column_stack([table[c] for table in columns]) for c in ("beta", "se", "af", "n"))
        blocks = [Block(columns[0], beta, se, af, n[0], np.full(len(traits), np.inf))]
        write_association(folder / cohort, iter(blocks), tuple(traits), columnar_above=1)
    return {c: folder / c for c in ASSOCIATED}


def evaluated(directories):
    return evaluate_associations(directories, leads_of(directories), 1)


def verdicts(folder, seed, **law):
    rng = np.random.default_rng(seed)
    directories = write_columns(folder, {f"t{i}": tables(rng, e, **law) for i, e in enumerate(planted(seed))})
    lines = judged(evaluated(directories).lines)
    return {line["key"]: line for line in lines}


def beyond(lines):
    return {key for key, line in lines.items() if line["verdict"] == "beyond"}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_second_sample_of_the_same_law_is_beyond_nothing(tmp_path, seed):
    lines = verdicts(tmp_path, seed)
    assert not beyond(lines)
    assert lines["effect_slope"]["value"] == pytest.approx(1, abs=0.08)
    assert lines["effect_correlation"]["value"] > 0.95
    assert lines["hit_count"]["value"] == pytest.approx(24, abs=4)
    assert lines["replication_nominal"]["value"] > 0.95
    assert lines["hits_tested"]["value"] == lines["hits_tested"]["floor"] > 20
    assert lines["permuted_hits"]["value"] == 0


# What becomes of the pseudo results; the measures that must see it; numbers that follow from it, with their tolerance.
FAULTS = {
    "swapped alleles": (
        {"change": lambda effects: {r: -b for r, b in effects.items()}},
        {"effect_slope", "effect_error", "replication_nominal", "replication_genome_wide", "replication_matched"},
        {"effect_slope": (-1, 0.1), "replication_nominal": (0, 0)},
    ),
    "halved effects": (
        {"change": lambda effects: {r: b / 2 for r, b in effects.items()}},
        {"effect_slope", "effect_error", "replication_genome_wide", "hit_count"},
        {"effect_slope": (0.5, 0.07)},
    ),
    "no links": (
        {"change": lambda effects: {}},
        {"effect_slope", "effect_error", "replication_nominal", "replication_genome_wide", "replication_matched",
         "hit_count"},
        {"effect_slope": (0, 0.07), "hit_count": (0, 0)},
    ),
    "inflated statistics": (
        {"scale": 1.3},
        {"lambda_gc", "mean_chi_square", "lambda_gc_matched", "mean_chi_square_matched"},
        {"mean_chi_square_matched": (1.3, 0.06), "lambda_gc": (1.3, 0.06)},
    ),
    "false hits": (
        {"change": lambda effects: effects | {(row + 1100) % 3000: 0.4 for row in effects}},
        {"false_hits", "false_hits_matched", "hit_count"},
        {"false_hits": (3, 0.8), "false_hits_matched": (3, 0.8)},  # some traits have a real signal near by chance
    ),
    "structure in the null": (
        {"null_scale": 1.3},
        {"permuted_lambda_gc"},
        {"permuted_lambda_gc": (1.3, 0.06)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_every_planted_fault_turns_its_own_measures_beyond(tmp_path, fault):
    law, expected, numbers = FAULTS[fault]
    lines = verdicts(tmp_path, 5, **law)
    assert expected <= beyond(lines)
    clean = {"permuted_lambda_gc", "permuted_hits", "lambda_gc", "false_hits"} - expected
    assert not clean & beyond(lines)
    for key, (value, tolerance) in numbers.items():
        assert lines[key]["value"] == pytest.approx(value, abs=tolerance), key


def test_false_hits_of_all_traits_at_one_place_are_told_and_unclear(tmp_path):
    """Correlated traits share their hits: two places tell no more than two."""
    lines = verdicts(tmp_path, 5, change=lambda effects: effects | {1500: 0.4, 500: 0.4})
    assert lines["false_hits"]["value"] == pytest.approx(2, abs=0.6)
    assert lines["false_hits"]["verdict"] == "unclear"


def test_inflation_that_does_not_grow_with_people_leaves_the_floor_at_one(tmp_path):
    """Relatives inflate founders and holdout alike: a floor that multiplied the holdout's excess would be 1.6."""
    rng = np.random.default_rng(14)
    traits = {f"t{i}": tables(rng, {}) for i in range(6)}
    for frames in traits.values():
        for cohort in ("real", "holdout"):
            frames[cohort] = association_table(1.25, {}, ASSOCIATED[cohort], rng)
    lines = {line["key"]: line for line in evaluated(write_columns(tmp_path, traits)).lines}
    for key in ("lambda_gc", "mean_chi_square"):
        assert lines[key]["floor"] == pytest.approx(1, abs=0.06)
        assert lines[key]["value"] == pytest.approx(1.05 / 1.25, abs=0.05)
        assert lines[key]["details"]["floor_low"] < 1 < lines[key]["details"]["floor_high"]


def test_inflation_that_grows_with_people_is_brought_to_the_founders_number(tmp_path):
    """Of polygenic traits S = 1 + n / 4000: 1.4 of the founders, 1.1 of the holdout, 1.5 of all pseudo people."""
    rng = np.random.default_rng(15)
    traits = {f"t{i}": {c: association_table(1 + (c != "permuted") * n / 4000, {}, n, rng)
                        for c, n in ASSOCIATED.items()} for i in range(8)}  # fmt: skip
    lines = {line["key"]: line for line in judged(evaluated(write_columns(tmp_path, traits)).lines)}
    assert lines["lambda_gc"]["value"] == pytest.approx(1, abs=0.04)
    assert lines["lambda_gc"]["floor"] == pytest.approx(1, abs=0.06)
    assert lines["mean_chi_square_matched"]["floor"] == pytest.approx(1, abs=0.04)
    assert not {k for k in beyond(lines) if "lambda" in k or "chi" in k}


def test_traits_whose_inflation_cancels_in_the_mean_are_beyond_by_trait(tmp_path):
    rng = np.random.default_rng(16)
    traits = {}
    for i in range(10):
        traits[f"t{i}"] = frames = tables(rng, {})
        for cohort in ("synthetic", "matched"):
            frames[cohort] = association_table(1.05 * (1.3 if i % 2 else 0.7), {}, ASSOCIATED[cohort], rng)
    lines = {line["key"]: line for line in judged(evaluated(write_columns(tmp_path, traits)).lines)}
    assert lines["lambda_gc"]["verdict"] == "within"
    assert lines["lambda_gc_by_trait"]["verdict"] == "beyond"


def test_hits_are_compared_at_the_smaller_number_of_people(tmp_path):
    """A third of the founders' number finds fewer hits, which is no fault; the table of traits has the same numbers."""
    counts = []
    for seed in range(4):
        rng = np.random.default_rng(20 + seed)
        few = {f"t{i}": tables(rng, e) | {"synthetic": association_table(1.05, e, 500, rng)}
               for i, e in enumerate(planted(seed))}  # fmt: skip
        found = evaluated(write_columns(tmp_path / str(seed), few))
        line = {line["key"]: line for line in judged(found.lines)}["hit_count"]
        assert line["verdict"] != "beyond"
        assert line["value"] < 0.6 * sum(row["hits_real_all"] for row in found.table)
        for key, column in (("floor", "hits_real"), ("value", "hits_synthetic")):
            assert line[key] == sum(row[column] for row in found.table)
        counts.append((line["value"], line["floor"]))
    made, known = np.sum(counts, axis=0)
    assert made / known == pytest.approx(1, abs=0.4)


@pytest.mark.parametrize(("places", "verdict"), [((), "within"), ((400,), "beyond"), ((400, 1700), "beyond"),
                                                 ((400, 1700, 2500), "beyond")])  # fmt: skip
def test_hits_of_permuted_people_are_judged_by_the_chance_of_so_many_loci(tmp_path, places, verdict):
    """About .001 are expected of eight traits of 3,000 sites; hits of all traits at one locus are one."""
    rng = np.random.default_rng(17)
    traits = {}
    for i in range(8):
        traits[f"t{i}"] = tables(rng, {})
        effects = dict.fromkeys(places, 0.4) if i < 3 else {}
        traits[f"t{i}"]["permuted"] = association_table(1.0, effects, ASSOCIATED["permuted"], rng)
    line = {line["key"]: line for line in judged(evaluated(write_columns(tmp_path, traits)).lines)}["permuted_hits"]
    expected = 5e-8 * 8 * 3000
    chance = 1 - poisson.cdf(len(places), expected) + 0.5 * poisson.pmf(len(places), expected)
    assert line["z"] == pytest.approx(norm.isf(chance), rel=1e-6)
    assert line["value"] == 3 * len(places) / 8
    assert line["verdict"] == verdict


def test_one_small_trait_a_trait_of_one_cohort_only_and_an_empty_table(tmp_path):
    rng = np.random.default_rng(6)
    traits = {"null": tables(rng, {}), "empty": {c: t.iloc[:0] for c, t in tables(rng, {}).items()}}
    directories = write(tmp_path, traits)
    (directories["synthetic"] / "empty.tsv.gz").unlink()
    (directories["holdout"] / "null.tsv.gz").unlink()
    found = evaluated(directories)
    lines = {line["key"]: line for line in judged(found.lines)}
    assert found.arrays["threshold"] == 5
    assert lines["traits_compared"]["value"] == 1
    assert "1 traits" in lines["traits_compared"]["note"]
    for key in ("effect_slope", "replication_nominal", "hit_count"):
        assert lines[key]["verdict"] == "not measurable"
        assert "fewer than 5 hits" in lines[key]["note"]
    for key in ("lambda_gc_matched", "false_hits"):
        assert "no association results" in lines[key]["note"]
    (row,) = found.table
    assert row["n_holdout"] is None
    assert row["n_real"] == 1600


def test_a_short_genome_is_not_judged_by_chance(tmp_path):
    """Of one chromosome of 10 Mb there is no interval: inflation is told, and not judged."""
    rng = np.random.default_rng(12)
    frames = tables(rng, {}, scale=1.5, null_scale=1.5)
    short = {c: table[table["chrom"] == "21"].reset_index(drop=True) for c, table in frames.items()}
    lines = {line["key"]: line for line in judged(evaluated(write_columns(tmp_path, {"t": short})).lines)}
    for key in ("lambda_gc", "mean_chi_square_matched", "permuted_lambda_gc"):
        assert lines[key]["verdict"] == "not measurable"
        assert lines[key]["value"] > 1.1
        assert "too short" in lines[key]["note"]


def test_a_trait_without_a_single_site_and_no_trait_at_all(tmp_path):
    rng = np.random.default_rng(7)
    empty = {"empty": {c: t.iloc[:0] for c, t in tables(rng, {}).items()}}
    lines = judged(evaluated(write(tmp_path / "a", empty)).lines)
    assert {line["verdict"] for line in lines if line["key"] in ("lambda_gc", "effect_slope")} == {"not measurable"}
    found = evaluated(write(tmp_path / "b", {}))
    assert [line["value"] for line in found.lines] == [0]
    assert found.arrays["points/names"] == ["-"]


@pytest.fixture(scope="module")
def results():
    return as_arrays(association_table(1.4, {5: 0.3}, 900, np.random.default_rng(8)))


def test_inflation_with_and_without_each_block_is_that_of_the_other_sites(results):
    rows = np.flatnonzero(np.random.default_rng(9).random(3000) < 0.9)
    lam, mean = inflation(results, rows)
    group, statistic = groups_of(results.chrom, results.pos)[rows], (results.beta / results.se)[rows] ** 2
    assert lam[0] == pytest.approx(np.median(statistic) / chi2.ppf(0.5, 1))
    assert len(np.unique(group)) == 9  # 10 Mb on three chromosomes, and their last sites
    for g in np.unique(group):
        others = statistic[group != g]
        assert lam[1 + g] == pytest.approx(np.median(others) / chi2.ppf(0.5, 1), rel=4e-3)
        assert mean[1 + g] == pytest.approx(others.mean())
    assert len(lam) == 1 + GROUPS
    assert np.isnan(inflation(results, rows[:0])).all()


def test_sites_meet_by_place_and_alleles(results):
    table = association_table(1, {}, 900, np.random.default_rng(1))
    other = table.iloc[::-1].assign(alt=np.where(np.arange(3000) % 3 == 0, "T", "G")).iloc[:2000]
    mine, theirs = shared(results, as_arrays(other))
    keys = ["chrom", "pos", "ref", "alt"]
    oracle = table.assign(row=np.arange(3000))[[*keys, "row"]].merge(
        other.assign(place=np.arange(2000))[[*keys, "place"]], on=keys
    )
    assert sorted(zip(mine, theirs, strict=True)) == sorted(zip(oracle["row"], oracle["place"], strict=True))
    assert 1200 < len(mine) < 1500
    every = shared(results, as_arrays(table))
    assert (every[0] == np.arange(3000)).all()
    assert len(np.unique(results.key)) == 3000


def test_leads_are_read_and_set_beside_other_cohorts(tmp_path, results):
    table = association_table(1, {}, 900, np.random.default_rng(8)).rename(columns={"ref": "other_allele"})
    few = table.iloc[[5, 700, 2900]].assign(trait="NA")
    few.loc[700, "effect_allele"] = "T"
    few[LEADS].to_csv(tmp_path / "x.tsv", sep="\t", index=False)
    leads = beside(read_leads(tmp_path / "x.tsv"), results, "other")
    assert leads["trait"].tolist() == ["NA"] * 3
    assert leads["number"].tolist() == [21, 21, 23]
    assert leads["beta_other"].tolist()[::2] == results.beta[[5, 2900]].tolist()
    assert np.isnan(leads["beta_other"][1])
    assert beside(leads, None, "none")["se_none"].isna().all()
    few.iloc[:0][LEADS].to_csv(tmp_path / "none.tsv", sep="\t", index=False)
    assert read_leads(tmp_path / "none.tsv").empty


def test_false_leads_have_no_real_signal_nearby():
    rng = np.random.default_rng(3)
    leads = pd.DataFrame({"number": [1, 1, 2], "pos": [100, 9_000_000, 100]})
    real = pd.DataFrame({"chrom": ["1", "2"], "pos": [400_000, 100], "log10p": [4.5, 3.0]})
    real = as_arrays(real.assign(ref="A", alt="G", beta=0.1, se=0.1, n=10))
    assert false_leads(leads, real).to_numpy().tolist() == [[1, 9_000_000], [2, 100]]
    many = pd.DataFrame({"chrom": rng.integers(1, 4, 300).astype(str), "pos": rng.integers(1, 10**8, 300)})
    many = as_arrays(many.assign(ref="A", alt="G", beta=0.1, se=0.1, n=10, log10p=rng.uniform(3, 5, 300)))
    chrom, pos = rng.integers(1, 5, 200).astype(np.int8), rng.integers(1, 10**8, 200)
    brute = [((many.chrom == c) & (many.log10p >= 4) & (np.abs(many.pos - p) <= 500_000)).any()
             for c, p in zip(chrom, pos, strict=True)]  # fmt: skip
    assert near_signal(chrom, pos, many).tolist() == brute
    assert 5 < sum(brute) < 195


def test_hits_are_scaled_to_the_founders_number():
    scaled = scaled_log10p(np.array([0.13]), np.array([1 / np.sqrt(2000)]), 0.8)
    assert scaled == pytest.approx(-np.log10(chi2.sf(0.13**2 * 1600, 1)))
    assert scaled < -np.log10(5e-8) < scaled_log10p(np.array([0.13]), np.array([1 / np.sqrt(2000)]), 1.0)


def test_results_in_one_parquet_file_give_the_same_lines(tmp_path):
    rng = np.random.default_rng(10)
    traits = {f"t{i}": tables(rng, effect) for i, effect in enumerate(planted(10, 4))}
    directories = write(tmp_path, traits)
    leads = leads_of(directories)
    texts = evaluate_associations(directories, leads, 1).lines
    store = evaluate_associations(write_columns(tmp_path / "columns", traits), leads, 1).lines
    assert [line["key"] for line in store] == [line["key"] for line in texts]
    for mine, theirs in zip(store, texts, strict=True):
        for key in ("value", "floor"):
            assert (mine[key] is None) == (theirs[key] is None)
            assert mine[key] is None or mine[key] == pytest.approx(theirs[key], rel=1e-5)


def test_figures_hold_at_most_twelve_traits(tmp_path):
    directories = write_associations(tmp_path, np.random.default_rng(11), traits=[f"t{i}" for i in range(14)])
    found = evaluated(directories)
    assert len(found.arrays["points/names"]) == 12
    assert len(found.arrays["traits/names"]) == len(found.table) == 14
    assert len(found.arrays["hits/place"]) == len(found.arrays["hits/beta_matched"])
