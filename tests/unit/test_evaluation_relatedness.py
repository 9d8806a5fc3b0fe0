"""Kinship, identity by state and runs of homozygosity against plink2, plink 1.9, scikit-allel and brute force; an
honest reproduction is as theory expects, and planted relatives, twins and inbreeding are found."""

import itertools
import shutil
import subprocess

import allel
import numpy as np
import pandas as pd
import pytest

from evaluation_cohort import make_people, write_chromosome, write_genomes
from pseudocohort.cohort.kinship import LINEAGE
from pseudocohort.evaluation import relative_sample
from pseudocohort.evaluation.homozygosity import (
    by_length,
    class_names,
    jackknife_error,
    real_means,
    runs,
    shortest_run,
)
from pseudocohort.evaluation.pairs import DEGREES, histogram, pair_statistics, pair_sums, real_shares
from pseudocohort.evaluation.relatedness import evaluate_relatedness
from pseudocohort.evaluation.relative_sample import choose_people, common_sites, read_chromosome
from pseudocohort.genotypes import Genotypes, GenotypeWriter
from pseudocohort.measures.catalogue import judged
from pseudocohort.report import EMPTY, words
from pseudocohort.report.figures_relatedness import draw_relatedness

SITES, GENERATIONS, CHROMOSOMES = 900, 4, ("21", "22")


def family_haplotypes(rng, sites=600, families=12):
    """Haplotypes (sites, 2 people): couples of strangers, two children of each, and a copy of the first person."""
    p = rng.uniform(0.1, 0.9, (sites, 1))
    parents = (rng.random((sites, 4 * families)) < p).astype(np.int8).reshape(sites, families, 2, 2)
    people = [parents.reshape(sites, -1)]
    for _ in range(2):
        chosen = np.take_along_axis(parents, rng.integers(2, size=(sites, families, 2, 1)), axis=3)
        people.append(chosen.reshape(sites, -1))
    return np.concatenate([*people, people[0][:, :2]], axis=1)


@pytest.fixture(scope="module")
def family():
    return family_haplotypes(np.random.default_rng(4))


def dosages_of(haplotypes):
    return np.ascontiguousarray((haplotypes[:, 0::2] + haplotypes[:, 1::2]).T)


@pytest.mark.skipif(shutil.which("plink2") is None, reason="needs plink2")
def test_kinship_is_that_of_plink2(family, tmp_path):
    n = family.shape[1] // 2
    write_chromosome(tmp_path / "g", family, "21", np.zeros(len(family)), np.ones(n, dtype=np.int8))
    command = ["plink2", "--pfile", tmp_path / "g", "--make-king-table", "--threads", "1", "--out", tmp_path / "k"]
    subprocess.run(command, check=True, capture_output=True)
    table = pd.read_csv(tmp_path / "k.kin0", sep="\t")
    assert len(table) == n * (n - 1) // 2
    rows, columns = ([int(name[1:]) for name in table[column]] for column in ("#IID1", "IID2"))
    found = pair_statistics(dosages_of(family)).kinship[rows, columns]
    assert np.abs(found - table["KINSHIP"]).max() < 1e-5
    assert (found > 0.2).sum() > 30
    assert found.max() == 0.5


def test_pairs_are_those_of_brute_force_and_scikit_allel(family, monkeypatch):
    x = dosages_of(family).astype(int)
    monkeypatch.setattr("pseudocohort.evaluation.pairs.BLOCK", 37)
    found = pair_statistics(x.astype(np.int8))
    distance = allel.pairwise_distance(x.T, metric="cityblock")
    np.testing.assert_allclose(found.ibs[np.triu_indices(len(x), 1)], 1 - distance / (2 * x.shape[1]), atol=1e-6)
    for i, j in ((0, 1), (0, len(x) - 1), (3, 30), (25, 37)):
        both = ((x[i] == 1) & (x[j] == 1)).sum()
        opposite = (np.abs(x[i] - x[j]) == 2).sum()
        het = sorted([(x[i] == 1).sum(), (x[j] == 1).sum()])
        # Manichaikul 2010, equation 11, as it is written there.
        king = (both - 2 * opposite) / (2 * het[0]) + 0.5 - (het[0] + het[1]) / (4 * het[0])
        assert found.kinship[i, j] == pytest.approx(king, abs=1e-6)
        assert found.different[i, j] == ((x[i] - x[j]) ** 2).sum()
    assert found.different[0, len(x) - 1] == 0


def test_sums_over_pairs_without_each_fold_are_those_of_a_loop():
    rng = np.random.default_rng(1)
    table = rng.normal(size=(23, 23))
    table, fold = table + table.T, rng.integers(0, 5, 23)
    sums = pair_sums(table, fold)
    assert sums[0] == pytest.approx(sum(table[i, j] for i, j in itertools.combinations(range(23), 2)))
    for k in range(5):
        people = np.flatnonzero(fold != k)
        assert sums[k + 1] == pytest.approx(sum(table[i, j] for i, j in itertools.combinations(people, 2)))


def test_the_jackknife_error_of_a_mean_is_its_standard_error():
    """Of a mean it is exactly s / sqrt(n) when each value is a group."""
    x = np.random.default_rng(2).normal(size=40)
    without = (x.sum() - x) / 39
    assert jackknife_error(without) == pytest.approx(x.std(ddof=1) / np.sqrt(40))


def homozygous_dosages(rng, people=30, sites=2000):
    """Random dosages with stretches without heterozygotes of all lengths."""
    x = rng.integers(0, 3, (people, sites)).astype(np.int8)
    for i in range(people):
        for _ in range(6):
            start, length = rng.integers(sites), rng.integers(20, 500)
            x[i, start : start + length] = 2 * rng.integers(0, 2, len(x[i, start : start + length]))
    return x


def test_runs_are_those_of_a_loop():
    rng = np.random.default_rng(3)
    x = homozygous_dosages(rng)
    x[0], x[1, :] = 0, 1  # all homozygous, and nowhere
    pos = np.cumsum(rng.integers(500, 20_000, x.shape[1]))
    expected = []
    for i, row in enumerate(x):
        for homozygous, group in itertools.groupby(range(len(pos)), key=lambda s, row=row: row[s] != 1):
            some = list(group)
            if homozygous and len(some) >= 25 and pos[some[-1]] - pos[some[0]] + 1 >= 1_000_000:
                expected.append((i, pos[some[-1]] - pos[some[0]] + 1))
    found = runs(x, pos, 1_000_000)
    assert list(zip(*found, strict=True)) == expected
    assert len(expected) > 50
    assert not len(runs(x[:, :24], pos[:24], 1).person)


@pytest.mark.skipif(shutil.which("plink1.9") is None or shutil.which("plink2") is None, reason="needs plink 1.9 and 2")
def test_runs_are_those_of_plink(tmp_path):
    rng = np.random.default_rng(5)
    x = homozygous_dosages(rng)
    haplotypes = np.stack([x > 0, x > 1], axis=2).transpose(1, 0, 2).reshape(x.shape[1], -1).astype(np.int8)
    write_chromosome(tmp_path / "g", haplotypes, "21", np.zeros(x.shape[1]), np.ones(len(x), dtype=np.int8))
    bed = ["plink2", "--pfile", tmp_path / "g", "--make-bed", "--out", tmp_path / "g"]
    subprocess.run(bed, check=True, capture_output=True)
    # Windows of one site, so that a run is what no heterozygote interrupts.
    options = {"snp": 25, "kb": 1000, "density": 1000, "gap": 1000, "het": 0}
    window = {"window-snp": 25, "window-het": 0, "window-missing": 0, "window-threshold": 0.001}
    flags = [str(text) for key, value in (options | window).items() for text in (f"--homozyg-{key}", value)]
    roh = ["plink1.9", "--bfile", tmp_path / "g", "--homozyg", *flags, "--out", tmp_path / "g"]
    subprocess.run(roh, check=True, capture_output=True)
    table = pd.read_csv(tmp_path / "g.hom", sep=r"\s+")
    found = runs(x, 10_000 * (np.arange(x.shape[1]) + 1), 1_000_000)
    assert sorted(zip(found.person, found.length, strict=True)) == sorted(
        (int(name[1:]), round(1000 * kb)) for name, kb in zip(table["IID"], table["KB"], strict=True)
    )
    assert len(table) > 50


def test_lengths_fall_into_their_classes():
    found = [
        runs(np.zeros((2, 1000), dtype=np.int8), 5000 * np.arange(1000), 1),
        runs(np.ones((2, 9)), np.arange(9), 1),
    ]
    table = by_length(found, 3, 2e6)  # classes 2-4, 4-8, 8-16 and 16 Mb or longer
    np.testing.assert_allclose(table, [[0, 4.995001, 0, 0], [0, 4.995001, 0, 0], [0] * 4])
    assert not by_length(found, 3, 5e6).any()
    assert class_names(1.5e6) == ["1.5–3 Mb", "3–6 Mb", "6–12 Mb", "≥ 12 Mb"]
    assert shortest_run([np.arange(0, 1001) * 1000]) == 1_000_000
    assert shortest_run([np.arange(0, 101) * 100_000] * 2) == 2_500_000


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    rng = np.random.default_rng(12)
    people = make_people(900, rng)
    unknown = np.full(len(people), -1, dtype=np.int64)
    people = people.assign(unrelated=True, **dict.fromkeys(LINEAGE, unknown))
    folder = tmp_path_factory.mktemp("relatedness")
    return folder, people, write_genomes(folder, people, 400, SITES, GENERATIONS, rng, CHROMOSOMES)


def evaluate(cohort, change=None):
    """Lines by key (of runs by length those of the longest class), arrays; change(haplotypes, rng) -> haplotypes."""
    folder, people, (real, made, maps, pedigree) = cohort
    if change is not None:
        rng, path = np.random.default_rng(6), {}
        for chrom in CHROMOSOMES:
            with Genotypes(made[chrom]) as genotypes:
                alleles = change(genotypes.haplotypes(0, SITES), rng)
            path[chrom] = folder / f"{change.__name__}{chrom}"
            write_chromosome(path[chrom], alleles, chrom, np.zeros(SITES), pedigree.sex[-1])
        made = path
    lines, arrays = evaluate_relatedness(real, made, maps, people, pedigree, "all", 1)
    return {line["key"]: line for line in judged(lines)}, arrays


@pytest.fixture(scope="module")
def honest(cohort):
    return evaluate(cohort)


def test_honest_reproduction_is_within_every_goal(honest):
    lines, _ = honest
    assert not {key: line for key, line in lines.items() if line["verdict"] == "beyond"}
    assert [lines[key]["verdict"] for key in ("kinship_distribution", "identical_people", "kin_third")] == [
        "within"
    ] * 3
    # Sibs there are few, half sibs and cousins are many, and theory tells how many.
    assert lines["kin_second"]["details"]["theory"] > 5
    assert lines["kinship_by_pedigree"]["interval"][0] < 1 < lines["kinship_by_pedigree"]["interval"][1]
    assert lines["kinship_by_pedigree"]["details"]["theory"] == pytest.approx(1, abs=0.25)


def test_the_naive_method_has_neither_relatives_nor_runs(honest):
    lines, _ = honest
    assert lines["ibs_distribution"]["baseline"] > 1.2 * lines["ibs_distribution"]["ratio"]
    assert lines["kin_second"]["baseline"] < 0.1 * lines["kin_second"]["value"]
    assert abs(lines["kinship_by_pedigree"]["baseline"]) < 0.2
    assert lines["roh_total"]["baseline"] < 0.1


def twins(haplotypes, rng):
    """The first 30 people again as the next 30."""
    haplotypes[:, 60:120] = haplotypes[:, :60]
    return haplotypes


def test_twins_are_found(cohort, honest):
    lines, _ = evaluate(cohort, twins)
    assert lines["identical_people"]["value"] == 30
    assert {lines[key]["verdict"] for key in ("identical_people", "kin_twins", "kin_first")} == {"beyond"}
    assert honest[0]["identical_people"]["value"] == 0


def many_sibs(haplotypes, rng):
    """120 people become the children of 20 couples of the others, without crossovers."""
    couples = haplotypes[:, 240:320].reshape(len(haplotypes), 20, 2, 2)
    chosen = np.take_along_axis(couples[:, np.repeat(np.arange(20), 6)], rng.integers(2, size=(1, 120, 2, 1)), axis=3)
    haplotypes[:, :240] = chosen.reshape(len(haplotypes), 240)
    return haplotypes


def test_excess_sibs_are_found(cohort):
    lines, _ = evaluate(cohort, many_sibs)
    assert {lines[key]["verdict"] for key in ("kin_first", "kin_second")} == {"beyond"}
    assert lines["kin_first"]["value"] > 10 * lines["kin_first"]["details"]["theory"]


def inbred(haplotypes, rng):
    """A quarter of the people have half of the chromosome twice."""
    half = len(haplotypes) // 2
    haplotypes[:half, 1:200:2] = haplotypes[:half, 0:200:2]
    return haplotypes


def test_long_runs_are_found(cohort, honest):
    lines, _ = evaluate(cohort, inbred)
    assert {lines[key]["verdict"] for key in ("roh_total", "roh_distribution")} == {"beyond"}
    assert lines["roh_total"]["ratio"] > 4 * honest[0]["roh_total"]["ratio"]


def strangers(haplotypes, rng):
    """Every site's alleles are shuffled over people."""
    return rng.permuted(haplotypes, axis=1)


def test_lost_kinship_is_found(cohort, honest):
    lines, _ = evaluate(cohort, strangers)
    found = {key for key, line in lines.items() if line["verdict"] == "beyond"}
    assert found >= {"kinship_by_pedigree", "kin_second"}  # of first-degree pairs the pedigree expects a handful
    assert lines["roh_total"]["ratio"] < 0.1  # of so few runs in 14 Mb chance alone could leave none: no verdict
    for key in ("kinship_distribution", "ibs_distribution"):
        assert lines[key]["ratio"] > 1.5 * honest[0][key]["ratio"]


def test_theory_is_the_same_whatever_the_block(cohort, monkeypatch):
    _, people, (real, made, maps, pedigree) = cohort
    rows = choose_people(people, pedigree, "all", 1, 50)
    assert len(rows.holdout) == 50
    assert set(people["part"].iloc[rows.holdout]) == {"A", "B"}

    def read():
        return read_chromosome("21", (real["21"], made["21"]), maps["21"], rows, pedigree, 200, 1)

    whole = read()
    monkeypatch.setattr(relative_sample, "CELLS", 7000)
    parts = read()
    assert whole.dosages.keys() == {"holdout", "pseudo", "unlinked", "theory0", "theory1", "theory2", "theory3"}
    for name, dosages in whole.dosages.items():
        np.testing.assert_array_equal(dosages, parts.dosages[name])
    frequency = {name: x.mean(axis=0) / 2 for name, x in whole.dosages.items()}
    assert np.corrcoef(frequency["theory0"], frequency["pseudo"])[0, 1] > 0.9
    np.testing.assert_allclose(frequency["unlinked"], frequency["pseudo"])


def test_common_sites_are_common_and_matched(cohort, tmp_path):
    real, made, _, pedigree = cohort[2]
    with Genotypes(real["22"]) as a, Genotypes(made["22"]) as b:
        alleles, frequency = b.haplotypes(0, SITES), a.haplotypes(0, SITES).mean(axis=1)
    kept = np.flatnonzero(np.arange(SITES) % 3 != 1)
    sites = pd.DataFrame({"chrom": "22", "pos": 10_000 * (kept + 1), "id": ".", "ref": "A", "alt": "G"})
    with GenotypeWriter(tmp_path / "some", np.arange(400).astype(str), pedigree.sex[-1], len(kept)) as writer:
        writer.append(alleles[kept], sites)
    with Genotypes(real["22"]) as a, Genotypes(tmp_path / "some") as b:
        all_sites, few = common_sites(a, b, SITES), common_sites(a, b, 20)
        assert (a.sites["pos"].to_numpy()[all_sites[:, 0]] == b.sites["pos"].to_numpy()[all_sites[:, 1]]).all()
    common = np.minimum(frequency, 1 - frequency) >= 0.05
    np.testing.assert_array_equal(all_sites[:, 0], np.flatnonzero(common & (np.arange(SITES) % 3 != 1)))
    assert len(few) == 20
    assert set(few[:, 0]) <= set(all_sites[:, 0])


def test_no_autosomes_is_said(cohort):
    _, people, (*_, pedigree) = cohort
    lines, arrays = evaluate_relatedness({}, {}, {}, people, pedigree, "all", 1)
    assert {line["verdict"] for line in judged(lines)} == {"not measurable"}
    assert arrays == {}


@pytest.mark.parametrize(("people", "pseudo", "sites", "holdout"), [(60, 30, 40, True), (60, 12, 8, False)])
def test_too_few_people_are_no_error(tmp_path, people, pseudo, sites, holdout):
    rng = np.random.default_rng(12)
    table = make_people(people, rng)
    table = table.assign(unrelated=True, **dict.fromkeys(LINEAGE, np.full(people, -1)))
    table = table if holdout else table.assign(part="train")
    real, made, maps, pedigree = write_genomes(tmp_path, table, pseudo, sites, 2, rng, CHROMOSOMES)
    lines, arrays = evaluate_relatedness(real, made, maps, table, pedigree, "all", 1)
    verdicts = {line["key"]: line["verdict"] for line in judged(lines)}
    assert verdicts["kinship_distribution"] == verdicts["kinship_by_pedigree"] == "not measurable"
    assert len(draw_relatedness(arrays, tmp_path)) == 2


def related(pairs, n=30):
    """Kinship (n, n) of strangers but for some pairs (i, j): value."""
    kinship = np.zeros((n, n))
    for (i, j), value in pairs.items():
        kinship[i, j] = kinship[j, i] = value
    return kinship


def test_few_real_relatives_are_not_told_of():
    """435 pairs. Neither a share nor a difference of two shares may be of fewer than five pairs or people."""
    sibs = {(2 * k, 2 * k + 1): 0.25 for k in range(6)}
    assert real_shares(related({})) == [0, 0, 0, 0]
    assert real_shares(related(sibs)) == pytest.approx([60000 / 435] * 3 + [0])
    assert real_shares(related({(0, 1): 0.25})) == [None, None, None, 0]
    assert real_shares(related(sibs | {(20, 21): 0.1, (20, 22): 0.1})) == [None, None, pytest.approx(60000 / 435), 0]
    assert real_shares(related(sibs | {(20, 21): 0.5})) == pytest.approx([70000 / 435] * 3 + [None], nan_ok=True)
    clique = {pair: 0.25 for pair in itertools.combinations(range(4), 2)}  # six pairs of four people
    assert real_shares(related(clique)) == [None, None, None, 0]
    assert real_shares(related({}, 4)) == [None] * len(DEGREES)


def test_few_real_runs_are_not_told_of():
    table = np.zeros((50, 4))
    assert real_means(table) == ([0, 0, 0, 0], 0)
    table[:10, 0], table[:3, 1] = 2, 8
    # Three people alone have the longer runs: nor may the sum less the shorter ones tell of them.
    assert real_means(table) == ([None, None, 0, 0], pytest.approx(0.88))
    table[20:23, 2] = 5
    assert real_means(table) == ([pytest.approx(0.4), None, None, 0], pytest.approx(1.18))
    assert real_means(table[20:25]) == ([0, 0, None, 0], None)
    assert real_means(table[20:24]) == ([None] * 4, None)


def test_cells_of_few_real_pairs_are_put_together_and_nobody_is_missing():
    table = related({(i, j): 0.25 for i, j in itertools.combinations(range(4), 2)} | {(10, 11): 0.45})
    edges = np.linspace(-0.05, 0.55, 7)
    plain, told = histogram(table, edges), histogram(table, edges, real=True)
    np.testing.assert_allclose(435 * plain, [428, 0, 0, 6, 1, 0] if plain[3] else [428, 0, 6, 0, 1, 0], atol=1e-9)
    cells = [(428, 1), (7, 2), (0, 0)] if plain[3] else [(428, 1), (7, 3)]
    assert told.sum() == pytest.approx(1)
    end = int(np.flatnonzero(told)[-1]) + 1
    assert (435 * told)[end - cells[1][1] : end] == pytest.approx([7 / cells[1][1]] * cells[1][1])
    lonely = histogram(related({(10, 11): 0.45}), edges, real=True)  # one pair goes to the strangers, however far
    assert 435 * lonely == pytest.approx([87] * 5 + [0])


def test_arrays_of_real_people_tell_of_no_hidden_few(honest, cohort):
    """What is told adds up to everybody: else the rest, which could be one person, would follow."""
    _, arrays = honest
    people = cohort[1]
    n = int(np.isin(people["part"], ("A", "B")).sum())
    for kind in ("kinship", "ibs", "froh"):
        assert arrays[f"{kind}/holdout"].sum() == pytest.approx(1)
    counts = arrays["froh/holdout"] * n
    for value in np.unique(counts[counts > 0].round(9)):  # a stretch of bins that have the same mean
        assert value * np.isclose(counts, value).sum() > 4.999


def test_figures_are_drawn_in_both_languages(honest, tmp_path):
    _, arrays = honest
    for language, expected in (("en", "Runs of homozygosity by person"), ("ja", "個体ごとのホモ接合連続領域")):
        with words.language(language):
            assert draw_relatedness(arrays, tmp_path) == ["kinship", "homozygosity"]
        assert expected in (tmp_path / "homozygosity.svg").read_text(encoding="utf-8")
    draw_relatedness({}, tmp_path)
    assert EMPTY in (tmp_path / "kinship.svg").read_text(encoding="utf-8")
