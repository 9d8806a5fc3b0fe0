"""Statistics of the genomes against independent oracles: scikit-allel, numpy, exact enumeration, simulation."""

from fractions import Fraction
from math import comb

import allel
import numpy as np
import pytest

from evaluation_cohort import reproduce
from pseudocohort import counter
from pseudocohort.evaluation.ancestry import confusions, nearest, statistics
from pseudocohort.evaluation.haplotypes import haplotype_windows
from pseudocohort.evaluation.hardy_weinberg import exact_test
from pseudocohort.evaluation.ld_region import densest, signed_r
from pseudocohort.evaluation.linkage import BINS, all_of, bits, correlation, expected_r2, linkage_pairs, mask_of
from pseudocohort.evaluation.resampling import gaps_measure, split_gaps, splits_of
from pseudocohort.genome import drift
from pseudocohort.genome.pedigree import Founders, make_pedigree


def linked(sites: int, haplotypes: int, rng: np.random.Generator) -> np.ndarray:
    base = rng.random((1, haplotypes)) < 0.4
    return (base ^ (rng.random((sites, haplotypes)) < rng.uniform(0.05, 0.95, (sites, 1)))).astype(np.int8)


@pytest.mark.parametrize("haplotypes", [64, 300])
def test_signed_r_equals_scikit_allel_on_all_haplotypes_and_on_some(haplotypes):
    rng = np.random.default_rng(5)
    alleles = linked(12, haplotypes, rng)
    left, right = np.triu_indices(12, 1)
    some = np.sort(rng.permutation(haplotypes)[:50])
    for mask, columns in ((all_of(haplotypes), slice(None)), (mask_of(some, haplotypes), some)):
        oracle = allel.rogers_huff_r(alleles[:, columns])  # of rows with values 0 and 1: Pearson's r over haplotypes
        np.testing.assert_allclose(correlation(bits(alleles), mask, left, right), oracle, rtol=1e-4, atol=1e-6)
    assert oracle.min() < -0.1
    assert oracle.max() > 0.1


def test_signed_r_of_a_fixed_site_is_nan():
    alleles = np.array([[0, 1, 0, 1], [1, 1, 1, 1], [0, 1, 1, 1]], dtype=np.int8)
    r = correlation(bits(alleles), all_of(4), np.array([0, 0]), np.array([1, 2]))
    assert np.isnan(r[0])
    assert r[1] == pytest.approx(np.corrcoef(alleles[0], alleles[2])[0, 1])


def test_matrix_of_a_region_equals_numpy():
    rng = np.random.default_rng(6)
    people = linked(9, 80, rng).reshape(9, 40, 2).transpose(1, 0, 2)
    people[:, 4] = 1
    with np.errstate(invalid="ignore"):
        oracle = np.nan_to_num(np.corrcoef(people.transpose(0, 2, 1).reshape(80, 9).T))
    np.testing.assert_allclose(signed_r(people), oracle, atol=1e-6)


def test_the_densest_stretch_is_the_shortest():
    rng = np.random.default_rng(7)
    position = np.sort(rng.uniform(0, 100, 60))
    lengths = [position[i + 9] - position[i] for i in range(51)]
    assert densest(position, 10) == int(np.argmin(lengths)) > 0
    assert densest(position, 60) == densest(position[:5], 10) == 0


def test_pairs_fall_into_their_bins_and_fixed_sites_are_left_out():
    rng = np.random.default_rng(6)
    cm = np.sort(rng.uniform(0, 30, 400))
    alleles = (rng.random((400, 100)) < 0.3).astype(np.int8)
    alleles[50] = 0
    groups = {"train": alleles, "holdout": alleles}
    groups |= {k: (rng.random((400, 100)) < 0.3).astype(np.int8) for k in ("pseudo", "unlinked")}
    pairs = linkage_pairs(cm, groups, splits_of(np.arange(100) // 2, np.repeat(["A", "B"], 50), 100, rng), 25, rng)
    assert pairs.distance.min() >= 0
    assert pairs.distance.max() < BINS[-1]
    assert not np.isin(cm[50], pairs.at)
    np.testing.assert_array_equal(pairs.r2[:, 0], pairs.r2[:, 1])
    assert (pairs.r2[:, 0] != pairs.r2[:, 2]).mean() > 0.9
    assert np.isfinite(pairs.r2).all()
    assert pairs.r2[:, 0].mean() == pytest.approx(1 / 99, rel=0.1)  # unlinked: E r^2 = 1 / (n - 1)
    # Two samples of 50 haplotypes differ by twice the variance of one: E (r - r')^2 = 2 / 49.
    np.testing.assert_allclose(np.nanmean(pairs.gaps, axis=0), 2 / 49, rtol=0.12)


def test_a_person_is_in_one_half_and_all_groups_have_equal_numbers():
    rng = np.random.default_rng(8)
    person = np.repeat(np.arange(30), 2)
    for split in splits_of(person, np.repeat(["A", "B"], 30), 60, rng):
        assert not np.intersect1d(person[split.first], person[split.second]).size
        assert len(split.drawn) == len(split.second)
        assert len(np.unique(split.drawn)) == len(split.drawn)


def test_gaps_of_equal_laws_have_a_ratio_of_one_and_others_have_not():
    rng = np.random.default_rng(9)
    values = {"holdout": rng.normal(size=(400, 80)), "pseudo": rng.normal(size=(400, 80))}
    values["unlinked"] = values["pseudo"] + 1.0
    splits = splits_of(np.arange(80), np.repeat(["A", "B"], 40), 80, rng)
    gaps = split_gaps(lambda group, columns: values[group][:, columns].mean(axis=1), splits, 400)
    line = gaps_measure("linkage_distance", gaps, np.arange(400) // 4, 40, rng)
    assert line["ratio"] == pytest.approx(1, abs=0.1)
    assert line["interval"][0] < line["ratio"] < line["interval"][1]
    assert line["value"] == pytest.approx(np.sqrt(2 / 40), rel=0.1)
    assert line["baseline"] == pytest.approx(np.sqrt(1 + 2 / 40) / np.sqrt(2 / 40), rel=0.1)


def test_haplotype_heterozygosity_equals_scikit_allel():
    rng = np.random.default_rng(10)
    alleles = {k: linked(45, 60, rng) for k in ("train", "holdout", "pseudo", "unlinked")}
    cm = np.linspace(0, 1, 45)
    cm[16:] += 3  # the sample has a gap: no window lies across it, here between the second and the third
    found = haplotype_windows(cm, alleles, [], 15)
    assert len(found.at) == 5
    for k, group in enumerate(("train", "holdout", "pseudo", "unlinked")):
        oracle = [allel.haplotype_diversity(alleles[group][8 * w : 8 * w + 8]) for w in range(5)]
        np.testing.assert_allclose(found.diversity[:, k], oracle, rtol=1e-12)
    assert np.ptp(found.diversity) > 0.01
    cm[12:] += 3
    assert len(haplotype_windows(cm, alleles, [], 15).at) == 4


def exact_p(heterozygotes: int, copies: int, people: int) -> float:
    """By the number of ways in which copies fall on people, as fractions: a definition, not a formula."""
    ways = {}
    for h in range(copies % 2, min(copies, 2 * people - copies) + 1, 2):
        both = (copies - h) // 2
        ways[h] = comb(people, h) * comb(people - h, both) * 2**h
    assert sum(ways.values()) == comb(2 * people, copies)
    return float(Fraction(sum(w for w in ways.values() if w <= ways[heterozygotes]), sum(ways.values())))


def test_exact_test_equals_counting():
    rng = np.random.default_rng(11)
    people = 60
    dosages = rng.binomial(2, rng.uniform(0.02, 0.98, (200, 1)), (200, people))
    dosages[:50] = 2 * (dosages[:50] > 0)  # homozygous
    heterozygotes, copies = (dosages == 1).sum(axis=1), dosages.sum(axis=1)
    ours = exact_test(heterozygotes, copies, people)
    np.testing.assert_allclose(
        ours, [exact_p(h, c, people) for h, c in zip(heterozygotes.tolist(), copies.tolist(), strict=True)], rtol=1e-9
    )
    assert ours.min() < 1e-10
    assert (ours == 1).any()


def test_expected_linkage_is_that_of_a_letter_by_letter_simulation():
    """Linkage of chance alone, and of one haplotype in eight: recombination breaks, drift makes."""
    rng = np.random.default_rng(12)
    generations, pairs = 6, 700
    sex = np.resize([1, 2], 120).astype(np.int8)
    pedigree = make_pedigree(Founders.strangers(sex, np.zeros(120, int), ("all",)), 120, generations, "random", 3)
    expected = drift.expectation(pedigree, counter.generator(1, "test"))
    n = 240
    for distance in (0.5, 5.0):
        first = rng.permuted(np.repeat((np.arange(n) < n // 3)[None], pairs, 0), axis=1)
        second = np.where(rng.random((pairs, n)) < 0.2, rng.random((pairs, n)) < 0.5, first)
        alleles = np.stack([first, second], axis=1).reshape(-1, n).astype(np.int8)
        cm = (np.arange(pairs)[:, None] * 1000.0 + [0, distance]).ravel()
        made = reproduce(alleles, pedigree, cm, rng)
        left = np.arange(0, 2 * pairs, 2)
        before, after = (correlation(bits(a), all_of(n), left, left + 1) ** 2 for a in (alleles, made))
        theory = expected_r2(before, np.full(pairs, distance), generations, expected.variance)
        assert after.mean() == pytest.approx(theory.mean(), rel=0.06)
    assert theory.mean() < 0.75 * before.mean()  # at 5 cM


def test_expected_linkage_of_unlinked_sites_is_drift():
    r2 = expected_r2(np.zeros(2), np.array([0.0, 500.0]), 10, 0.02)
    np.testing.assert_allclose(r2, [0.02, 0.25 * 0.00202], rtol=0.35)
    assert expected_r2(np.array([0.4]), np.array([2.0]), 10, 0.0) == pytest.approx(0.4 * (1 - 0.0196) ** 20, rel=1e-3)


def test_statistics_of_strata_equal_a_loop():
    rng = np.random.default_rng(13)
    code = rng.integers(0, 3, 90)
    centres = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    points = centres[code] + rng.normal(size=(90, 2))
    closest = [min(range(3), key=lambda k, x=x: np.linalg.norm(x - centres[k])) for x in points]
    np.testing.assert_array_equal(nearest(points, centres), closest)
    own, between, within = statistics(points, code, centres)
    assert own == np.mean([a == b for a, b in zip(closest, code, strict=True)]) > 0.8
    spread = [((points[code == k] - points[code == k].mean(axis=0)) ** 2).sum() for k in range(3)]
    assert within == pytest.approx(sum(spread) / 180)
    total = ((points - points.mean(axis=0)) ** 2).sum()
    assert between == pytest.approx(1 - (sum(spread) / (90 - 3)) / (total / (90 - 1)))
    chance = [statistics(rng.normal(size=(30, 2)), np.arange(30) % 3, centres)[1] for _ in range(500)]
    assert np.mean(chance) == pytest.approx(0, abs=0.01)  # without the adjustment 2 / 29


def test_no_count_of_fewer_than_five_real_people_is_shown_nor_follows_from_others():
    real = np.array([[40.0, 3, 7], [0, 30, 20], [6, 0, 9]])
    shown = confusions(["a", "b", "c"], real, real)
    np.testing.assert_array_equal(np.isnan(shown["confusion/holdout"]), [[0, 1, 1], [0, 0, 0], [0, 0, 0]])
    assert shown["confusion/holdout"][1, 1] == 0.6
    assert shown["confusion/pseudo"][0, 1] == 0.06
    for row in ([100.0, 3, 0], [100.0, 2, 1], [6.0, 1, 3], [4.0, 0, 0], [9.0, 5, 0]):
        shown = confusions(["a", "b", "c"], np.array([row] * 3), real)["confusion/holdout"][0]
        hidden = np.array(row)[np.isnan(shown)]
        assert hidden.sum() >= 5 or hidden.size == 3 or not hidden.size
    assert not np.isnan(shown).any()
