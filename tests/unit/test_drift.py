"""Drift by gene dropping against exact kinship, allele-by-allele simulation and the theory of random mating."""

import numpy as np
import pytest

from pseudocohort.genome.drift import expectation
from pseudocohort.genome.pedigree import Founders, make_pedigree
from reproduction import exact_kinship

MIXED = {"population": 90, "migration": {"a": {"b": 0.4}}}


def small(mating, people=70, seed=5, **changes):
    founders = Founders.strangers([1, 2, 2] * 20, np.repeat(np.arange(20) % 3 == 0, 3), ("a", "b"))
    return make_pedigree(founders, people, 5, mating, seed, **changes)


def mean_kinship(pedigree):
    """Chance that two gene copies drawn with replacement from the pseudo people come from one founder haplotype."""
    return exact_kinship(pedigree).mean()


@pytest.mark.parametrize("mating", ["balanced", "random"])
@pytest.mark.parametrize("changes", [{}, {"population": 40}, MIXED, {"avoid_kin": "sibs", "people": 200}])
def test_variance_is_that_of_the_kinship_of_the_very_pedigree(mating, changes):
    """Gene dropping of 200 loci against the exact value: its standard error is 1.4 %, so that 7 % has a false-alarm
    rate of 1e-5 in all."""
    pedigree = small(mating, **changes)
    founders = 2 * len(pedigree.sex[0])
    exact = founders / (founders - 1) * (mean_kinship(pedigree) - 1 / founders)
    assert expectation(pedigree, np.random.default_rng(1)).variance == pytest.approx(exact, rel=0.07)


@pytest.mark.parametrize("changes", [{}, MIXED])
def test_drift_and_survival_are_those_of_alleles_handed_down(changes):
    """4,000 loci, a third of the founder haplotypes with an allele, letter by letter: relative error of the mean
    square about sqrt(2 / 4000) = 2.2 %, of the gene dropping 1.4 %; of survival sqrt(.25 / 4000) = .008 at most.
    False alarm 2e-4 each."""
    pedigree, rng, loci = small("random", **changes), np.random.default_rng(2), 4000
    expected, n = expectation(pedigree, np.random.default_rng(1)), 2 * len(pedigree.sex[0])

    def handed_down(carriers):
        alleles = rng.permuted(np.tile(np.arange(n) < carriers, (loci, 1)), axis=1).reshape(loci, -1, 2)
        for couple in zip(pedigree.father, pedigree.mother, strict=True):
            coins = rng.integers(2, size=(2, loci, len(couple[0])))
            pairs = [np.where(coin, alleles[:, p, 1], alleles[:, p, 0]) for coin, p in zip(coins, couple, strict=True)]
            alleles = np.stack(pairs, axis=2)
        return alleles.mean(axis=(1, 2))

    square = (handed_down(n // 3) - 1 / 3) ** 2
    assert square.mean() / (2 / 9) == pytest.approx(expected.variance, rel=0.1)
    assert (handed_down(1) > 0).mean() == pytest.approx(expected.survival, abs=0.03)


def test_drift_from_very_few_founders():
    """One generation from a couple: 2N / (2N - 1) counts. A child of four haplotypes has the allele of one founder
    haplotype in p' = k / 4 copies, so that by hand E (p' - 1/4)^2 = 1/32 for two children, 1/6 of p (1 - p).
    Mean of 100 gene droppings of 200 loci: standard error below 1 %, false alarm below 1e-5."""
    pedigree = make_pedigree(Founders.strangers([1, 2]), 2, 1, "balanced", 1)
    drops = [expectation(pedigree, np.random.default_rng(k)).variance for k in range(100)]
    assert np.mean(drops) == pytest.approx(1 / 6, rel=0.05)


def test_founder_haplotypes_kept_after_ten_generations():
    """Random mating of constant size: a haplotype has Poisson(1) copies, of which 316 of 2,000 leave any after ten
    generations, and 1 - (1 - 1 / 2N)^10 of the heterozygosity is lost; balanced, half of that (Wright's effective
    size is 2N without variance of family size). Over 15 pedigrees standard deviations were 1 % of all figures."""
    founders = Founders.strangers([1, 2] * 500)
    random, balanced, steady = (
        expectation(make_pedigree(founders, 1000, 10, mating, 4, population), np.random.default_rng(1))
        for mating, population in (("random", 1000), ("balanced", None), ("balanced", 1000))
    )
    kept = 1.0
    for _ in range(10):
        kept = 1 - np.exp(-kept)
    assert random.survival == pytest.approx(kept, rel=0.05)
    assert random.variance == pytest.approx(1 - (1 - 1 / 2000) ** 10, rel=0.1)
    assert steady.variance == pytest.approx(1 - (1 - 1 / 4000) ** 10, rel=0.05)
    assert steady.survival > 1.5 * random.survival
    assert balanced.survival > 2 * random.survival
    assert balanced.variance < 0.7 * steady.variance
