"""The evaluation end to end: an honest pseudo cohort passes, and each planted fault turns red what should see it.

Every case is judged as in the report (`catalogue.judged`). `turns` are the measures that must be beyond their goal,
`may` those on which such a fault has a say as well; all others must not be beyond.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from evaluation_cohort import (
    ASSOCIATED,
    DICTIONARY,
    TRAITS,
    association_table,
    leads_of,
    make_items,
    make_people,
    make_scores,
    pseudo_frame,
    shuffled,
    write_chromosome,
    write_gwas_ssf,
)
from linked_cohort import write_linked
from pseudocohort import counter
from pseudocohort.evaluation.associations import evaluate_associations
from pseudocohort.evaluation.genomes import evaluate_genomes
from pseudocohort.evaluation.items import evaluate_items
from pseudocohort.evaluation.relatedness import evaluate_relatedness
from pseudocohort.genome import drift
from pseudocohort.measures.catalogue import judged

N, GENERATIONS = 2000, 4
FRONT = ["person", "sex", "stratum"]


class Fault(NamedTuple):
    """plant: what is done to the honest pseudo people: a function, or what `judge_associations` is told.  turns, may:
    keys of measures, as said above."""

    plant: Callable | dict
    turns: str
    may: str = ""


def assert_caught(lines: list[dict], fault: Fault) -> None:
    """What must be beyond is, and nothing that has no part in the fault."""
    beyond = {line["key"] for line in lines if line["verdict"] == "beyond"}
    turns, known = set(fault.turns.split()), {line["key"] for line in lines}
    assert turns <= known, turns - known
    assert turns <= beyond, f"not seen by {turns - beyond}"
    assert beyond <= turns | set(fault.may.split()), f"red without cause: {beyond - turns - set(fault.may.split())}"


def assert_near_one(lines: list[dict], keys: str) -> None:
    """Ratios to the floor between .7 and 1.3, with an interval that holds 1."""
    ratios = {line["key"]: (line["ratio"], line["interval"]) for line in lines if line["subject"] is None}
    for key in keys.split():
        ratio, (low, high) = ratios[key]
        assert 0.7 < ratio < 1.3, key
        assert low < 1 < high, key


# Items ---------------------------------------------------------------------------------------------------------------


class Items(NamedTuple):
    people: pd.DataFrame
    real: pd.DataFrame
    scores: pd.DataFrame
    pseudo: pd.DataFrame
    pseudo_scores: pd.DataFrame
    baseline: pd.DataFrame


@pytest.fixture(scope="module")
def items() -> Items:
    rng = np.random.default_rng(3)
    people, scores = make_people(N, rng), make_scores(N, rng)
    real = make_items(people["sex"].to_numpy(), scores[list(TRAITS)].to_numpy(), rng)
    sex, pseudo_scores = rng.integers(1, 3, N), make_scores(N, rng)
    pseudo = pseudo_frame(sex, make_items(sex, pseudo_scores[list(TRAITS)].to_numpy(), rng), rng)
    return Items(people, real, scores, pseudo, pseudo_scores, pseudo_frame(sex, shuffled(real, rng), rng))


def judge_items(items: Items, plant: Callable = lambda items, rng: (items.pseudo, items.pseudo_scores)) -> list[dict]:
    pseudo, scores = plant(items, np.random.default_rng(4))
    tables = items.people, items.real, pseudo, items.baseline, items.scores, scores
    return judged(evaluate_items(*tables, DICTIONARY, 1)[0])


def shuffled_columns(items, rng):
    columns = shuffled(items.pseudo.drop(columns=FRONT), rng)
    return pd.concat([items.pseudo[FRONT], columns], axis=1), items.pseudo_scores


def halved_variance(items, rng):
    return items.pseudo.assign(bmi=23 + (items.pseudo["bmi"] - 23) / np.sqrt(2)), items.pseudo_scores


def dropped_category(items, rng):
    return items.pseudo.assign(diet=items.pseudo["diet"].replace("noodles", "rice")), items.pseudo_scores


def lost_values(items, rng):
    return items.pseudo.assign(height=items.pseudo["height"].mask(rng.random(N) < 0.25)), items.pseudo_scores


def copied_rows(items, rng):
    """An overfit model: every pseudo person is somebody that it was trained on."""
    rows = np.resize(np.flatnonzero(items.people["part"] == "train"), N)
    sex = np.where(items.people["sex"].to_numpy()[rows] == 1, "male", "female")
    front = items.pseudo[FRONT].assign(sex=sex, stratum=items.people["stratum"].to_numpy()[rows])
    copied = pd.concat([front, items.real.iloc[rows].reset_index(drop=True)], axis=1)
    return copied, items.scores.iloc[rows].reset_index(drop=True)


def lost_genetic_link(items, rng):
    return items.pseudo, items.pseudo_scores.iloc[rng.permutation(N)].reset_index(drop=True)


def value_out_of_range(items, rng):
    return items.pseudo.assign(glucose=items.pseudo["glucose"].mask(items.pseudo.index == 5, -1.0)), items.pseudo_scores


LINKS = "score_link score_slope all_score_links group_score_links"
RELATIONS = "correlation correlation_slope partial_correlation c2st transfer item_findings_kept"
ITEM_FAULTS = {
    # Shuffled, columns lie where the dictionary asks nothing, and are missing where it does.
    "shuffled columns": Fault(
        shuffled_columns,
        f"{RELATIONS} {LINKS} rules_broken values_not_asked missing_rate worst_missing",
        "group_missing group_correlation_within group_correlation_others group_partial_within group_partial_others "
        "score_findings_kept",
    ),
    "halved variance": Fault(halved_variance, "worst_deviation", "c2st worst_marginal deviation dispersion"),
    "dropped category": Fault(dropped_category, "worst_category categories", "worst_marginal c2st"),
    "lost values": Fault(lost_values, "worst_missing missing_rate group_missing", "c2st"),
    "copied rows": Fault(copied_rows, "copies nearer_train"),
    "lost genetic link": Fault(lost_genetic_link, LINKS, "score_findings_kept"),
    "a value out of range": Fault(value_out_of_range, "rules_broken values_out_of_range"),
}


def test_honest_items_are_within_every_goal_and_r_is_about_one(items):
    lines = judge_items(items)
    assert_caught(lines, Fault(judge_items, ""))
    assert_near_one(lines, "marginal missing_rate correlation partial_correlation score_link all_score_links")


@pytest.mark.parametrize("name", ITEM_FAULTS)
def test_a_fault_of_the_items_is_caught(items, name):
    assert_caught(judge_items(items, ITEM_FAULTS[name].plant), ITEM_FAULTS[name])


# Genomes and relatedness ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def linked(tmp_path_factory):
    return write_linked(tmp_path_factory.mktemp("linked"), 1000, 900, GENERATIONS, 5)


def honest_genomes(linked, rng):
    return linked.haplotypes[1], linked.pseudo


def written(linked, plant: Callable, folder):
    """({chrom: prefix}, people) of the pseudo genomes after `plant`."""
    alleles, people = plant(linked, np.random.default_rng(2))
    for chrom, table in alleles.items():
        write_chromosome(folder / chrom, table, chrom, np.zeros(len(table)), people["sex"].to_numpy())
    return {chrom: folder / chrom for chrom in alleles}, people


def judge_genomes(linked, plant: Callable, folder) -> list[dict]:
    made, pseudo = written(linked, plant, folder)
    expected = drift.expectation(linked.pedigree, counter.generator(1, "gene dropping"))
    args = linked.real, made, linked.maps, linked.people, pseudo, expected, GENERATIONS, 1
    return judged(evaluate_genomes(*args)[0])


def judge_relatedness(linked, plant: Callable, folder) -> list[dict]:
    made, _ = written(linked, plant, folder)
    autosome = ({"21": paths["21"]} for paths in (linked.real, made, linked.maps))
    return judged(evaluate_relatedness(*autosome, linked.people, linked.pedigree, "all", 1)[0])


def pairs_of(rows: np.ndarray) -> np.ndarray:
    """Columns of the haplotypes of people."""
    return np.column_stack([2 * rows, 2 * rows + 1]).ravel()


def changed(linked, chrom: str, alleles: np.ndarray):
    return linked.haplotypes[1] | {chrom: alleles}, linked.pseudo


def swapped_coding(linked, rng):
    """REF and ALT exchanged at five sites."""
    alleles = linked.haplotypes[1]["21"].copy()
    frequency = alleles.mean(axis=1)
    sites = np.flatnonzero((frequency > 0.1) & (frequency < 0.3))[:5]
    alleles[sites] = 1 - alleles[sites]
    return changed(linked, "21", alleles)


def lost_linkage(linked, rng):
    return changed(linked, "21", rng.permuted(linked.haplotypes[1]["21"], axis=1))


def copied_people(linked, rng):
    """Every pseudo person is a founder."""
    rows = np.resize(np.flatnonzero(linked.people["part"] == "train"), len(linked.pseudo))
    people = linked.people.iloc[rows][["person", "sex", "stratum"]].reset_index(drop=True)
    return {chrom: alleles[:, pairs_of(rows)] for chrom, alleles in linked.haplotypes[0].items()}, people


def doubled_haplotypes(linked, rng):
    """Both haplotypes of everybody are one."""
    return changed(linked, "21", np.repeat(linked.haplotypes[1]["21"][:, 0::2], 2, axis=1))


def heterozygous_men(linked, rng):
    alleles = linked.haplotypes[1]["X"].copy()
    alleles[:, 1::2] = alleles[:, 2 * rng.permutation(len(linked.pseudo))]
    return changed(linked, "X", alleles)


def lost_rare_alleles(linked, rng):
    founders = pairs_of(np.flatnonzero(linked.people["part"] == "train"))
    rare = linked.haplotypes[0]["21"][:, founders].sum(axis=1) <= 5
    return changed(linked, "21", np.where(rare[:, None], np.int8(0), linked.haplotypes[1]["21"]))


def twins(linked, rng):
    rows = np.arange(len(linked.pseudo)) // 2
    alleles = {chrom: alleles[:, pairs_of(rows)] for chrom, alleles in linked.haplotypes[1].items()}
    return alleles, linked.pseudo.iloc[rows].reset_index(drop=True)


def other_order(linked, rng):
    """Genomes are given to other pseudo people than the pedigree says."""
    rows = rng.permutation(len(linked.pseudo))
    alleles = {chrom: alleles[:, pairs_of(rows)] for chrom, alleles in linked.haplotypes[1].items()}
    return alleles, linked.pseudo.iloc[rows].reset_index(drop=True)


GENOME_FAULTS = {
    "swapped allele coding": Fault(swapped_coding, "far_off", "frequency drift"),
    "lost linkage": Fault(  # strata are lost with it, for alleles change people
        lost_linkage,
        "linkage_near linkage_middle linkage_far linkage_distance linkage_region haplotype_heterozygosity "
        "haplotype_windows ancestry_nearest ancestry_between",
        "ancestry ancestry_within inbreeding stratum_fst stratum_fst_theory",
    ),
    "copied people": Fault(copied_people, "copied_genomes drift singletons"),  # neither drift nor loss
    "doubled haplotypes": Fault(
        doubled_haplotypes,
        "inbreeding hardy_weinberg",
        "singletons rare_alleles drift ancestry_within ancestry_nearest",
    ),
    "heterozygous men": Fault(heterozygous_men, "x_men", "x_linkage"),
    "lost rare alleles": Fault(lost_rare_alleles, "singletons rare_alleles spectrum"),
}
KIN = "kin_third kin_second kin_first"
RELATEDNESS_FAULTS = {
    "lost linkage": Fault(
        lost_linkage, f"roh_total roh_distribution roh_length {KIN} kinship_by_pedigree ibs_distribution",
        "kinship_distribution kin_twins",
    ),
    "doubled haplotypes": Fault(
        doubled_haplotypes, "roh_total roh_distribution roh_length ibs_distribution kinship_distribution",
        f"{KIN} kin_twins kinship_by_pedigree",
    ),
    "twins": Fault(twins, "kin_twins", "kin_first kinship_by_pedigree roh_length roh_total"),
    "genomes in another order": Fault(other_order, "kinship_by_pedigree"),
}  # fmt: skip


def test_honest_genomes_are_within_every_goal_and_r_is_about_one(linked, tmp_path):
    lines = judge_genomes(linked, honest_genomes, tmp_path)
    assert_caught(lines, Fault(honest_genomes, ""))
    assert_near_one(
        lines, "frequency linkage_near linkage_distance linkage_region haplotype_windows x_frequency ancestry"
    )


@pytest.mark.parametrize("name", GENOME_FAULTS)
def test_a_fault_of_the_genomes_is_caught(linked, tmp_path, name):
    assert_caught(judge_genomes(linked, GENOME_FAULTS[name].plant, tmp_path), GENOME_FAULTS[name])


def test_honest_relatives_are_within_every_goal_and_r_is_about_one(linked, tmp_path):
    lines = judge_relatedness(linked, honest_genomes, tmp_path)
    assert_caught(lines, Fault(honest_genomes, ""))
    assert_near_one(lines, "kinship_distribution ibs_distribution roh_distribution roh_total")


@pytest.mark.parametrize("name", RELATEDNESS_FAULTS)
def test_a_fault_of_relatedness_is_caught(linked, tmp_path, name):
    assert_caught(judge_relatedness(linked, RELATEDNESS_FAULTS[name].plant, tmp_path), RELATEDNESS_FAULTS[name])


# Associations --------------------------------------------------------------------------------------------------------

PSEUDO = ("synthetic", "matched")


def write_cohort(
    folder, cohort: str, effect: Callable = dict, scale: float = 1.05, lost: float = 0.0, stray: tuple[int, ...] = ()
) -> None:
    """Results of six traits of three hits each.  effect: what becomes of a trait's {row: effect}.  scale: of the
    chi-square statistics.  lost: share of the hits' sites that are not tested.  stray: traits of permuted people with
    a hit."""
    hits, rng = np.random.default_rng(1), np.random.default_rng([2, sorted(ASSOCIATED).index(cohort)])
    (folder / cohort).mkdir()
    for trait in range(6):
        planted = dict(zip(hits.permutation(3000)[:3].tolist(), hits.permutation([-0.24, 0.2, 0.28]), strict=True))
        effects = ({300 + 400 * trait: 0.4} if trait in stray else {}) if cohort == "permuted" else effect(planted)
        table = association_table(scale, effects, ASSOCIATED[cohort], rng)
        table = table.drop(index=[row for row in planted if hits.random() < lost])
        write_gwas_ssf(table.reset_index(drop=True), folder / cohort, f"t{trait}")


@pytest.fixture(scope="module")
def honest_results(tmp_path_factory) -> tuple[dict, dict]:
    """Directories and leads of all cohorts."""
    folder = tmp_path_factory.mktemp("results")
    for cohort in ASSOCIATED:
        write_cohort(folder, cohort, scale=1.0 if cohort == "permuted" else 1.05)
    directories = {cohort: folder / cohort for cohort in ASSOCIATED}
    return directories, leads_of(directories)


def judge_associations(honest_results, folder=None, cohorts: tuple[str, ...] = (), **planted) -> list[dict]:
    """cohorts: whose results are written anew, as `write_cohort` is told."""
    for cohort in cohorts:
        write_cohort(folder, cohort, **planted)
    made = {cohort: folder / cohort for cohort in cohorts}
    directories, leads = honest_results[0] | made, honest_results[1] | leads_of(made)
    return judged(evaluate_associations(directories, leads, 1).lines)


INFLATION = "lambda_gc mean_chi_square"
LOST = "replication_genome_wide replication_nominal replication_matched hit_count"
ASSOCIATION_FAULTS = {
    "inflated": Fault(
        {"cohorts": PSEUDO, "scale": 1.4},
        INFLATION,
        "lambda_gc_matched mean_chi_square_matched lambda_gc_by_trait effect_error false_hits",
    ),
    "leaking permutation": Fault({"cohorts": ("permuted",), "scale": 1.4}, "permuted_lambda_gc"),
    "hits of a permutation": Fault({"cohorts": ("permuted",), "scale": 1.0, "stray": (1, 3)}, "permuted_hits"),
    "lost hit sites": Fault(
        {"cohorts": PSEUDO, "lost": 0.7},
        "hits_tested replication_nominal replication_genome_wide hit_count",
        "mean_chi_square",
    ),
    "halved effects": Fault(
        {"cohorts": PSEUDO, "effect": lambda e: {row: b / 2 for row, b in e.items()}},
        "effect_slope replication_genome_wide hit_count",
        f"effect_error {LOST} mean_chi_square mean_chi_square_matched",
    ),
    "lost genetic link": Fault(
        {"cohorts": PSEUDO, "effect": lambda e: {}},
        f"effect_slope effect_error {LOST}",
        "mean_chi_square mean_chi_square_matched",
    ),
    "swapped effect alleles": Fault(
        {"cohorts": PSEUDO, "effect": lambda e: {row: -b for row, b in e.items()}},
        "effect_slope effect_error replication_nominal replication_genome_wide replication_matched",
    ),
    "invented hits": Fault(
        {"cohorts": PSEUDO, "effect": lambda e: e | {(row + 1100) % 3000: 0.4 for row in e}},
        "false_hits false_hits_matched hit_count",
        "mean_chi_square mean_chi_square_matched",
    ),
}


def test_honest_associations_are_within_every_goal(honest_results):
    lines = judge_associations(honest_results)
    assert_caught(lines, Fault(judge_associations, ""))
    values = {line["key"]: line for line in lines}
    assert values["effect_slope"]["value"] == pytest.approx(1, abs=0.15)
    for key in ("effect_slope", "lambda_gc", "mean_chi_square"):
        low, high = values[key]["interval"]
        assert low < 1 < high


@pytest.mark.parametrize("name", ASSOCIATION_FAULTS)
def test_a_fault_of_the_associations_is_caught(honest_results, tmp_path, name):
    fault = ASSOCIATION_FAULTS[name]
    assert_caught(judge_associations(honest_results, tmp_path, **fault.plant), fault)
