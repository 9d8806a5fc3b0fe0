"""Genomes: reproduction by an independent letter-by-letter oracle passes; planted faults are caught."""

import numpy as np
import pytest

from evaluation_cohort import make_people, reproduce, write_chromosome, write_genomes
from pseudocohort import counter
from pseudocohort.evaluation import genomes
from pseudocohort.evaluation.copies import row_copies
from pseudocohort.evaluation.genome_copies import genome_copies, hash_block, person_hash
from pseudocohort.evaluation.genomes import evaluate_genomes
from pseudocohort.evaluation.resampling import resampled
from pseudocohort.evaluation.sites import matching_blocks, sample_chromosome
from pseudocohort.evaluation.structure import density_figure
from pseudocohort.genome import drift
from pseudocohort.genome.founders import pseudo_people
from pseudocohort.genotypes import Genotypes, GenotypeWriter
from pseudocohort.measures.catalogue import judged

SITES, GENERATIONS = 700, 4


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    rng = np.random.default_rng(11)
    people = make_people(500, rng)
    folder = tmp_path_factory.mktemp("genomes")
    return folder, people, write_genomes(folder, people, 450, SITES, GENERATIONS, rng, ("21", "22", "X"))


def evaluate(cohort, chromosomes=("21", "22", "X"), pseudo=None):
    _, people, (real, made, maps, pedigree) = cohort
    real, maps = ({c: d[c] for c in chromosomes} for d in (real, maps))
    made = {c: (pseudo or {}).get(c, made[c]) for c in chromosomes}
    expected = drift.expectation(pedigree, counter.generator(1, "gene dropping"))
    lines, arrays = evaluate_genomes(real, made, maps, people, pseudo_people(pedigree), expected, GENERATIONS, 1)
    return {line["key"] + (line["subject"] or ""): line for line in judged(lines)}, arrays


@pytest.fixture(scope="module")
def honest(cohort):
    return evaluate(cohort)


def changed(cohort, name, change):
    """A pseudo triple of chromosome 21 with changed alleles."""
    folder, _, (_, made, _, pedigree) = cohort
    with Genotypes(made["21"]) as genotypes:
        alleles = change(genotypes.haplotypes(0, SITES))
    write_chromosome(folder / name, alleles, "21", np.zeros(SITES), pedigree.sex[-1])
    return {"21": folder / name}


def test_honest_reproduction_is_within_every_goal(honest):
    lines, arrays = honest
    # 450 people who mate at random drift: their linkage at 0.1 to 0.5 cM rises, and the report says so.
    assert {k for k, line in lines.items() if line["verdict"] == "beyond"} <= {"linkage_middle"}
    assert lines["linkage_middle"]["value"] > 1
    assert lines["drift"]["ratio"] == pytest.approx(1, abs=0.2)
    assert lines["singletons"]["ratio"] == pytest.approx(1, abs=0.2)
    assert lines["frequency"]["ratio"] < 1.25
    assert arrays["structure/pseudo"].shape == (450, 2)
    assert arrays["linkage/r2"][0, 2] > 2 * arrays["linkage/r2"][0, -1]


def test_swapped_alleles_are_seen(cohort):
    def swap(alleles):
        frequency = alleles.mean(axis=1)
        sites = np.flatnonzero((frequency > 0.1) & (frequency < 0.3))[:5]
        alleles[sites] = 1 - alleles[sites]
        return alleles

    lines, _ = evaluate(cohort, ("21",), changed(cohort, "swapped", swap))
    off = lines["far_off"]
    assert (off["value"], off["verdict"]) == (5, "beyond")


def test_lost_linkage_is_seen_and_allele_frequencies_stay(cohort):
    rng = np.random.default_rng(2)
    lines, _ = evaluate(cohort, ("21",), changed(cohort, "unlinked", lambda a: rng.permuted(a, axis=1)))
    near = lines["linkage_near"]
    assert near["verdict"] == "beyond"
    assert abs(near["value"]) < 0.1
    assert lines["frequency"]["verdict"] == "within"


def test_noisy_alleles_are_seen_and_are_no_copies(cohort):
    """Three tenths of the pseudo alleles are complemented: frequency, drift and spectrum turn red."""
    rng = np.random.default_rng(3)
    lines, _ = evaluate(
        cohort, ("21",), changed(cohort, "noise", lambda a: np.where(rng.random(a.shape) < 0.3, 1 - a, a))
    )
    for key in ("frequency", "spectrum", "drift"):
        assert lines[key]["verdict"] == "beyond"
    assert lines["copied_genomes"]["value"] == 0


def test_an_exact_copy_of_a_person_is_seen(cohort):
    real = cohort[2][0]
    with Genotypes(real["21"]) as genotypes:
        alleles = genotypes.haplotypes(0, SITES)

    def copy(made):
        made[:, 6:8] = alleles[:, [41, 40]]  # the same pair, the other way round
        return made

    lines, _ = evaluate(cohort, ("21",), changed(cohort, "copied", copy))
    before, _ = evaluate(cohort, ("21",))  # four generations leave a 20 cM chromosome whole now and then
    copies = lines["copied_genomes"]
    assert copies["value"] == before["copied_genomes"]["value"] + 1
    assert copies["verdict"] == "beyond"


def test_x_alone(cohort):
    lines, arrays = evaluate(cohort, ("X",))
    assert "structure/pseudo" not in arrays
    assert lines["copied_genomes"]["value"] is not None


def test_a_site_left_out_of_the_pseudo_file_is_one_that_nobody_carries(cohort, tmp_path):
    _, made, _, pedigree = cohort[2]
    with Genotypes(made["22"]) as genotypes:
        alleles = genotypes.haplotypes(0, SITES)
        sites = genotypes.sites
    alleles[::2] = 0  # some in every block, so that no resampling of blocks hides them
    write_chromosome(tmp_path / "all", alleles, "22", np.zeros(SITES), pedigree.sex[-1])
    carried = alleles.any(axis=1)
    with GenotypeWriter(tmp_path / "fewer", genotypes.people["person"], pedigree.sex[-1], carried.sum()) as writer:
        writer.append(alleles[carried], sites[carried])
    both = [evaluate(cohort, ("22",), {"22": tmp_path / name})[0] for name in ("all", "fewer")]
    assert both[0] == both[1]
    assert both[1]["drift"]["verdict"] == "beyond"


def test_figures_show_strata_as_density_and_no_single_real_person(honest):
    _, arrays = honest
    assert len([k for k in arrays if k.startswith("structure/density")]) == 2
    assert not [k for k in arrays if "real" in k]
    rng = np.random.default_rng(4)
    people, pseudo = rng.normal(size=(201, 2)), rng.normal(size=(300, 2))
    people[200] = pseudo[:10] = (8.0, 8.0)
    figure = density_figure(people, np.full(201, "all"), pseudo, np.full(300, "all"), np.array([0.1, 0.1]))
    density, (x, _) = figure["structure/density/0"], figure["structure/bounds"]
    near = int((8 - x[0]) / np.ptp(x) * len(density))
    assert 40 < near < 80
    assert density.max() > 10
    assert not density[near - 8 : near + 8, near - 8 : near + 8].any()


def test_expected_drift_is_that_of_a_letter_by_letter_simulation(cohort):
    pedigree = cohort[2][3]
    expected = drift.expectation(pedigree, counter.generator(1, "test"))
    rng = np.random.default_rng(7)
    founders, sites = 2 * len(pedigree.sex[0]), 400
    alleles = rng.permuted(np.repeat((np.arange(founders) < founders // 4)[None], sites, 0), axis=1).astype(np.int8)
    p = reproduce(alleles, pedigree, np.arange(sites) * 1000.0, rng).mean(axis=1)
    q = alleles.mean()
    # The mean of 400 squares with a chi-square's spread has a standard error of 7 %: false alarm about 1e-4.
    assert np.mean((p - q) ** 2) / (q * (1 - q)) == pytest.approx(expected.variance, rel=0.28)
    once = rng.permuted(np.repeat((np.arange(founders) < 1)[None], sites, 0), axis=1).astype(np.int8)
    kept = (reproduce(once, pedigree, np.arange(sites) * 1000.0, rng).sum(axis=1) > 0).mean()
    assert kept == pytest.approx(expected.survival, abs=4 * 0.5 / np.sqrt(sites))


def test_hash_is_equal_for_equal_haplotypes_only():
    rng = np.random.default_rng(8)
    alleles = rng.integers(0, 2, (130, 20)).astype(np.int8)
    alleles[:, 7] = alleles[:, 3]
    alleles[:, 9] = alleles[:, 3]
    alleles[129, 9] ^= 1
    state = np.zeros(20, dtype=np.uint64)
    for start in (0, 100):
        state = hash_block(state, alleles[start : start + 100])
    assert state[3] == state[7]
    assert len(np.unique(state)) == 19
    swapped = state.reshape(-1, 2)[:, ::-1].ravel()
    np.testing.assert_array_equal(person_hash(state), person_hash(swapped))


@pytest.mark.parametrize("alike", [1, 4, 5, 7])
def test_founders_and_holdout_people_alike_raise_the_floor_but_few_are_not_counted(alike):
    hashes = np.arange(40, dtype=np.uint64)
    hashes[20 : 20 + 2 * alike] = hashes[: 2 * alike]
    part = np.repeat(["train", "B"], 10)
    other = np.arange(100, 140, dtype=np.uint64)
    lines = genome_copies({"1": hashes, "2": hashes + 1000}, {"1": other, "2": other + 1000}, part)
    few = alike < 5
    assert [line["floor"] for line in lines] == ([0, 0, None] if few else [alike, 2 * alike, alike / 10])
    assert [line["details"].get("shared") for line in lines] == [
        *(["< 5"] * 2 if few else [str(alike), str(2 * alike)]),
        None,
    ]
    assert lines[0]["value"] == 0


def test_people_not_transmitted_are_in_no_group():
    """Two of them are founders' doubles: that raises no floor, for only the holdout tells what strangers share."""
    hashes = np.arange(16, dtype=np.uint64)
    hashes[10:14] = hashes[:4]
    part = np.array(["train"] * 5 + ["not transmitted"] * 2 + ["A"])
    lines = genome_copies({"1": hashes}, {"1": hashes[:4]}, part)
    assert [line["value"] for line in lines] == [2, 2, 1]
    assert [line["floor"] for line in lines] == [0, 0, 0]
    rng = np.random.default_rng(1)
    real = np.concatenate([items := rng.integers(0, 99, (40, 6)).astype(float), items[:30], 100.0 + items[:25]])
    part = np.repeat(["train", "not transmitted", "A", "B"], [40, 30, 13, 12])
    lines = row_copies(real, items[:10] + 0.5, part, rng)
    assert lines["copies"]["floor"] == 0
    assert lines["nearer_train"]["value"] == 1


@pytest.mark.parametrize("chrom", ["21", "X"])
def test_founders_unrelated_leaves_the_holdout_as_it_is(cohort, chrom):
    """Who is not transmitted is as if not in the file, were it not that a pseudo person may not be their copy."""
    _, people, (real, made, maps, _) = cohort
    family_first = ~people["family"].duplicated() & (people["part"] == "train")
    first = family_first & (np.arange(len(people)) % 3 == 0)  # the first of a family, so that another stands for it
    part = people["part"].mask(first, "not transmitted").to_numpy(dtype=str)
    args = chrom, real[chrom], made[chrom], maps[chrom]
    alone = np.ones(len(people), dtype=bool)
    sample = sample_chromosome(*args, part, alone, 1, 10_000, 1000, 0.1)
    with Genotypes(real[chrom]) as genotypes:
        alleles, sex = genotypes.haplotypes(0, SITES), genotypes.people["sex"].to_numpy()
    held = np.repeat(np.isin(part, ["A", "B"]), 2)
    held[1::2] &= (chrom != "X") | (sex != 1)
    np.testing.assert_allclose(sample.frequency["holdout"], alleles[:, held].mean(axis=1))
    assert sample.people["holdout"] == sample.people["A"] + sample.people["B"] == np.isin(part, ["A", "B"]).sum()
    assert sample.people["train"] == (part == "train").sum() < (people["part"] == "train").sum()
    assert set(part[sample.structure_rows[0]]) == {"train", "A", "B"}


def test_a_family_whose_first_is_not_transmitted_has_another_one(cohort, monkeypatch):
    _, people, (real, made, maps, pedigree) = cohort
    gone = ~people["family"].duplicated() & (people["part"] == "train")
    changed_people = people.assign(part=people["part"].mask(gone, "not transmitted"))
    seen = []

    def spy(*args):
        seen.append(args[5])
        return sample_chromosome(*args)

    monkeypatch.setattr(genomes, "sample_chromosome", spy)
    expected = drift.expectation(pedigree, counter.generator(1, "gene dropping"))
    one = ({"21": table["21"]} for table in (real, made, maps))
    evaluate_genomes(*one, changed_people, pseudo_people(pedigree), expected, GENERATIONS, 1)
    left = changed_people[~gone]
    alone = set(left.index[~left["family"].duplicated()])
    assert set(np.flatnonzero(seen[0])) == alone
    assert any(changed_people["part"][i] == "train" for i in alone)


def test_blocks_are_spread_over_a_long_chromosome():
    import pandas as pd

    sites = pd.DataFrame({"pos": np.arange(10_000), "ref": "A", "alt": "G"})
    blocks = list(matching_blocks(sites, sites.iloc[::2].reset_index(drop=True), 1000))
    assert sum(stop - start for start, stop, _ in blocks) < 1100
    assert blocks[0][0] == 0
    assert blocks[-1][1] == 10_000
    for start, stop, match in blocks:
        assert ((match[:, 0] >= start) & (match[:, 0] < stop)).all()
        np.testing.assert_array_equal(match[:, 0], 2 * match[:, 1])


def test_resampling_takes_only_blocks_that_have_sites():
    block = np.array([3, 3, 90])
    draws = resampled(block, np.array([[1.0], [1.0], [4.0]]), np.random.default_rng(1))
    assert set(np.unique(draws)) == {1.0, 2.0, 4.0}
