"""Planted faults of the genomes turn the measure red that should see them; a second sample of the same law does not."""

import numpy as np
import pandas as pd
import pytest

from evaluation_cohort import founder_haplotypes, reproduce, write_chromosome
from pseudocohort import counter
from pseudocohort.evaluation.genomes import evaluate_genomes
from pseudocohort.genome import drift
from pseudocohort.genome.founders import pseudo_people
from pseudocohort.genome.pedigree import Founders, make_pedigree
from pseudocohort.measures.catalogue import judged

SITES, GENERATIONS = 640, 4
CM = np.linspace(0.01, 10, SITES)
TO_FLOOR = (
    *("frequency", "linkage_near", "linkage_distance", "linkage_region", "x_frequency", "x_linkage"),
    *("haplotype_heterozygosity", "haplotype_windows", "hardy_weinberg"),
    *("ancestry", "ancestry_nearest", "ancestry_between", "ancestry_within"),
)


class Cohort:
    """700 real people and 600 of a reproduction; a second sample of 600 by the law of the real ones."""

    def __init__(self, folder):
        rng = np.random.default_rng(21)
        self.folder = folder
        n = 1300
        everybody = pd.DataFrame({"stratum": np.where(rng.random(n) < 0.4, "west", "east")})
        everybody["sex"] = rng.integers(1, 3, n).astype(np.int8)
        self.people = everybody[:700].assign(family=[f"F{i}" for i in range(700)])
        self.people["part"] = np.repeat(["train", "A", "B"], [500, 100, 100])
        self.second_people = everybody[700:].reset_index(drop=True)
        self.alleles = {c: founder_haplotypes(everybody, CM / 5, rng) for c in ("21", "X")}  # pieces of 2.5 cM
        for site in range(7, SITES, 10):  # rare alleles of two to four founders, beside the singletons
            self.alleles["21"][site] = 0
            self.alleles["21"][site, rng.permutation(1000)[: 2 + site % 3]] = 1
        self.single(self.alleles["X"], everybody["sex"].to_numpy())
        train = everybody[:500]
        codes = (train["stratum"] == "west").to_numpy().astype(int)
        strangers = Founders.strangers(train["sex"].to_numpy(), codes, ("east", "west"))
        self.pedigree = make_pedigree(strangers, 600, GENERATIONS, "balanced", 1)
        self.expected = drift.expectation(self.pedigree, counter.generator(1, "gene dropping"))
        self.made_people = pseudo_people(self.pedigree)
        self.made = {c: reproduce(a[:, :1000], self.pedigree, CM, rng) for c, a in self.alleles.items()}
        self.single(self.made["X"], self.made_people["sex"].to_numpy())
        self.paths: dict = {}
        for chrom, alleles in self.alleles.items():
            self.write(f"real{chrom}", chrom, alleles[:, :1400], self.people)
            table = pd.DataFrame({"pos": 10_000 * (np.arange(SITES) + 1), "cM": CM - CM[0]})
            table.to_csv(folder / f"{chrom}.tsv", sep="\t", index=False)

    def single(self, alleles, sex):
        alleles[:, 1::2] = np.where(sex == 1, alleles[:, 0::2], alleles[:, 1::2])

    def write(self, name, chrom, alleles, people):
        write_chromosome(self.folder / name, alleles, chrom, CM, people["sex"].to_numpy())
        return self.folder / name

    def verdicts(self, chroms=("21",), people=None, **changed):
        """Lines by key. changed: alleles of a chromosome, c21 or cX, instead of the reproduction's."""
        people = self.made_people if people is None else people
        alleles = {c: changed.get(f"c{c}", self.made[c]) for c in chroms}
        made = {c: self.write(f"made{c}", c, a, people) for c, a in alleles.items()}
        real, maps = ({c: self.folder / name.format(c) for c in chroms} for name in ("real{}", "{}.tsv"))
        args = self.people, people, self.expected, GENERATIONS, 3
        lines, arrays = evaluate_genomes(real, made, maps, *args, par=((10_000, 300_000),))
        self.arrays = arrays
        return {line["key"] + (line["subject"] or ""): line for line in judged(lines)}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return Cohort(tmp_path_factory.mktemp("faults"))


def test_aggregates_of_the_figures_are_coarse(cohort, honest):
    """From exact r^2 of few people alleles can be solved for; a seventh digit of a diversity tells of one of them."""
    for kind, step in (("region/train", 0.05), ("haplotypes/diversity", 0.01)):
        steps = cohort.first_arrays[kind].astype(float) / step
        np.testing.assert_allclose(steps, np.round(steps), atol=0.02)
        assert len(np.unique(np.round(steps))) > 5
    assert cohort.first_arrays["region/train"].shape == (100, 100)
    assert not [k for k in cohort.first_arrays if "real" in k]


@pytest.fixture(scope="module")
def honest(cohort):
    lines = cohort.verdicts(("21", "X"))
    cohort.first_arrays = cohort.arrays
    return lines


def beyond(lines):
    return {k for k, line in lines.items() if line["verdict"] == "beyond"}


def test_an_honest_reproduction_is_beyond_nothing(honest):
    assert not beyond(honest)
    assert honest["linkage_distance"]["ratio"] == pytest.approx(1, abs=0.15)
    assert honest["haplotype_heterozygosity"]["ratio"] == pytest.approx(1, abs=0.01)
    assert {k for k in TO_FLOOR if honest[k]["value"] is None} == set()


def test_the_naive_method_stands_beside_it(honest):
    """Unlinked genomes: no linkage, far too many haplotypes."""
    assert abs(honest["linkage_near"]["baseline"]) < 0.05
    for key in ("linkage_distance", "linkage_region", "haplotype_windows", "x_linkage"):
        assert honest[key]["baseline"] > 1.3 > honest[key]["ratio"]
    assert honest["haplotype_heterozygosity"]["baseline"] > 1.01  # these haplotypes are nearly all different anyway


def test_a_second_sample_of_the_same_law_is_within_every_goal_that_knows_no_pedigree(cohort):
    second = {f"c{c}": a[:, 1400:] for c, a in cohort.alleles.items()}
    lines = cohort.verdicts(("21", "X"), cohort.second_people, **second)
    assert {k: lines[k]["verdict"] for k in TO_FLOOR if lines[k]["verdict"] not in ("within", "unclear")} == {}
    assert lines["x_men"]["verdict"] == "within"
    assert lines["copied_genomes"]["value"] == 0


def test_shuffled_columns_lose_linkage_and_keep_frequencies(cohort):
    lines = cohort.verdicts(c21=np.random.default_rng(1).permuted(cohort.made["21"], axis=1))
    lost = {"linkage_near", "linkage_distance", "linkage_region", "haplotype_windows"}
    assert lost <= beyond(lines)
    assert lines["drift"]["verdict"] == "within"
    assert lines["frequency"]["verdict"] != "beyond"


def test_a_shuffled_x_is_seen_on_x_alone(cohort):
    women = np.random.default_rng(2).permuted(cohort.made["X"], axis=1)
    cohort.single(women, cohort.made_people["sex"].to_numpy())
    assert beyond(cohort.verdicts(("21", "X"), cX=women)) == {"x_linkage"}


def test_half_of_the_haplotypes_kinds_lost(cohort):
    """Everybody's haplotypes are copies of a dozen: diversity, frequencies, rare alleles."""
    rng = np.random.default_rng(3)
    lines = cohort.verdicts(c21=cohort.made["21"][:, rng.integers(0, 12, 1200)])
    lost = {"haplotype_heterozygosity", "haplotype_windows", "frequency", "drift", "singletons", "rare_alleles2–5"}
    assert lost <= beyond(lines)


def test_rare_alleles_lost(cohort):
    made = cohort.made["21"].copy()
    copies = cohort.alleles["21"][:, :1000].sum(axis=1)
    made[copies <= 20] = 0
    assert {"singletons", "rare_alleles2–5"} <= beyond(cohort.verdicts(c21=made))


def test_swapped_alleles_are_seen_site_by_site(cohort):
    made = cohort.made["21"].copy()
    q = cohort.alleles["21"][:, :1000].mean(axis=1)
    sites = np.flatnonzero((q > 0.1) & (q < 0.3))[:4]
    made[sites] = 1 - made[sites]
    lines = cohort.verdicts(c21=made)
    assert (lines["far_off"]["value"], lines["far_off"]["verdict"]) == (4, "beyond")


def test_inbred_people_are_off_hardy_weinberg(cohort):
    made = cohort.made["21"].copy()
    made[:, 1::2][:, ::2] = made[:, ::2][:, ::2]  # every other person has one haplotype twice
    assert {"inbreeding", "hardy_weinberg"} <= beyond(cohort.verdicts(c21=made))


def test_men_with_two_alleles_on_x_are_counted_outside_its_pars_alone(cohort):
    men = np.flatnonzero(cohort.made_people["sex"] == 1)[:3]
    made = cohort.made["X"].copy()
    made[:30, 2 * men] = [[1], [0]] * 15
    made[:30, 2 * men + 1] = 1 - made[:30, 2 * men]  # within the first 300 kb: PAR1
    line = cohort.verdicts(("X",), cX=made)["x_men"]
    assert (line["value"], line["verdict"]) == (0, "within")
    made[400, 2 * men[:2]] = 1 - made[400, 2 * men[:2] + 1]
    line = cohort.verdicts(("X",), cX=made)["x_men"]
    assert (line["value"], line["verdict"]) == (2, "beyond")
    assert line["details"]["men"] == (cohort.made_people["sex"] == 1).sum()


def test_a_copied_person_is_seen(cohort):
    made = cohort.made["21"].copy()
    made[:, 6:8] = cohort.alleles["21"][:, [41, 40]]  # the same pair, the other way round
    lines = cohort.verdicts(c21=made)
    assert lines["copied_genomes"]["value"] == cohort.verdicts()["copied_genomes"]["value"] + 1
    assert lines["copied_genomes"]["verdict"] == "beyond"


def test_strata_that_are_mixed_up(cohort):
    people = cohort.made_people.assign(stratum=np.random.default_rng(4).permutation(cohort.made_people["stratum"]))
    lines = cohort.verdicts(people=people)
    assert {"ancestry_nearest", "stratum_fst", "stratum_fst_theory"} <= beyond(lines)
    assert lines["ancestry_between"]["verdict"] != "within"


def test_people_of_one_stratum_alone_cannot_be_told_apart(cohort):
    west = np.flatnonzero(cohort.made_people["stratum"] == "west")
    rows = np.resize(west, 600)
    columns = np.column_stack([2 * rows, 2 * rows + 1]).ravel()
    people = cohort.made_people.iloc[rows].reset_index(drop=True)
    lines = cohort.verdicts(people=people, c21=cohort.made["21"][:, columns])
    assert lines["ancestry_nearest"]["verdict"] == "not measurable"
    assert "one stratum" in lines["ancestry_nearest"]["note"]


def test_less_variance_within_strata(cohort):
    """Everybody's second haplotype is that of one person of the stratum."""
    made = cohort.made["21"].copy()
    for name in ("east", "west"):
        rows = np.flatnonzero(cohort.made_people["stratum"] == name)
        made[:, 2 * rows + 1] = made[:, 2 * rows[:1] + 1]
    lines = cohort.verdicts(c21=made)
    assert {"ancestry_within", "ancestry_between", "stratum_fst", "stratum_fst_theory"} <= beyond(lines)
    assert lines["ancestry"]["verdict"] != "within"
