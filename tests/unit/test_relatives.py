"""Kinship by paths and genes dropped along chromosomes against pedigrees worked out by hand and by recursion."""

import numpy as np
import pytest

from evaluation_cohort import reproduce
from pseudocohort.genome.pedigree import Founders, Pedigree, make_pedigree
from pseudocohort.genome.relatives import drop_genes, grid_of, haldane, pedigree_kinship
from reproduction import exact_kinship


def pedigree_by_hand():
    """Founders 0..7 (even male); then 0 and 1 of the couple (0, 1), 2 and 3 of (2, 3), 4 of (4, 5), 5 of (0, 7).

    The last generation: 0, 1 full sibs of (0, 2); 2 of (1, 3), their double cousin; 3 of (0, 4), half sib of 0 and 1;
    4 of (5, 4), half sib of 3 and half cousin of 0.
    """
    father = (np.array([0, 0, 2, 2, 4, 0]), np.array([0, 0, 1, 0, 5]))
    mother = (np.array([1, 1, 3, 3, 5, 7]), np.array([2, 2, 3, 4, 4]))
    sizes = (8, 6, 5)
    sex = tuple(np.ones(n, dtype=np.int8) for n in sizes)
    return Pedigree(father, mother, sex, tuple(np.zeros(n, dtype=np.int16) for n in sizes), ("all",))


EXPECTED = {(0, 1): 1 / 4, (0, 2): 1 / 8, (1, 2): 1 / 8, (0, 3): 1 / 8, (2, 3): 1 / 16, (3, 4): 1 / 8 + 1 / 32,
            (0, 4): 1 / 32, (2, 4): 1 / 32}  # fmt: skip


def test_kinship_of_a_pedigree_by_hand():
    phi = pedigree_kinship(pedigree_by_hand(), np.arange(5))
    for pair, kinship in EXPECTED.items():
        assert phi[pair] == phi[pair[::-1]] == pytest.approx(kinship)
    assert np.diag(phi).tolist() == [0.5] * 5
    # One generation back there are only sibs and half sibs.
    near = pedigree_kinship(pedigree_by_hand(), np.arange(5), depth=1)
    assert (near[0, 1], near[0, 3], near[0, 2], near[3, 4]) == pytest.approx((0.25, 0.125, 0, 0.125))


@pytest.mark.parametrize("mating", ["balanced", "random"])
def test_kinship_is_that_of_the_recursion(mating):
    """Ancestors are taken not to be inbred: an error of their inbreeding, here 0 to 1/8 and 1 % in the mean."""
    pedigree = make_pedigree(Founders.strangers([1, 2] * 60), 90, 4, mating, 3, population=100)
    rows = np.arange(5, 85)
    exact, found = exact_kinship(pedigree)[np.ix_(rows, rows)], pedigree_kinship(pedigree, rows)
    pairs = np.triu_indices(len(rows), 1)
    assert exact[pairs].max() > 0.1
    np.testing.assert_allclose(found[pairs], exact[pairs], rtol=1 / 8, atol=0)
    assert found[pairs].mean() == pytest.approx(exact[pairs].mean(), rel=0.02)


def shared(labels):
    """Share of founder haplotypes that two people have in common: kinship at the loci, (people, people)."""
    pairs = labels.reshape(len(labels), -1, 2)
    same = pairs[:, :, None, :, None] == pairs[:, None, :, None, :]
    return same.mean(axis=(0, 3, 4))


def test_dropped_genes_are_shared_as_kin_share_them():
    """20,000 unlinked loci: the standard error is at most .002, five of them allowed."""
    fractions = (np.full(20_000, 0.5), np.full(20_000, 0.5))
    labels = drop_genes(pedigree_by_hand(), np.arange(5), fractions, np.random.default_rng(1))
    assert labels.shape == (20_000, 10)
    found = shared(labels)
    for pair, kinship in EXPECTED.items():
        assert found[pair] == pytest.approx(kinship, abs=0.01)
    # From the father's side come the founders 0 and 1 alone, from the mother's 2 and 3.
    assert sorted(np.unique(labels[:, 0])) == [0, 1, 2, 3]
    assert sorted(np.unique(labels[:, 1])) == [4, 5, 6, 7]


def test_genes_recombine_as_often_as_the_map_says_and_by_sex():
    """One generation, 4,000 children: a haplotype changes between neighbours with the parent's recombination fraction;
    the standard error of a share r is sqrt(r / 4000), five allowed."""
    founders = Founders.strangers([1, 2] * 50)
    pedigree = make_pedigree(founders, 4000, 1, "balanced", 2)
    father, mother = haldane(np.array([0, 1, 6, 26.0])), haldane(np.array([0, 4, 4, 104.0]))
    labels = drop_genes(pedigree, np.arange(4000), (father, mother), np.random.default_rng(3))
    assert (labels[0] % 2).mean() == pytest.approx(0.5, abs=0.03)
    for side, fraction, parent in ((0, father, pedigree.father[0]), (1, mother, pedigree.mother[0])):
        mine = labels[:, side::2]
        np.testing.assert_array_equal(mine // 2, np.broadcast_to(parent, mine.shape))
        changed = (mine[1:] != mine[:-1]).mean(axis=1)
        assert np.abs(changed - fraction[1:]).max() < 5 * np.sqrt(0.4 / 4000)
        assert changed[1] == pytest.approx(fraction[2], abs=5 * np.sqrt(0.05 / 4000))
    assert (labels[1, 1::2] == labels[2, 1::2]).all()  # the female map stands still


def test_a_gamete_is_drawn_once_for_all_its_descendants():
    """Two children of one person with one haplotype to give: grandchildren differ only by that person's meioses."""
    sizes = (2, 1, 40)
    father = (np.zeros(1, dtype=int), np.zeros(40, dtype=int))
    mother = (np.ones(1, dtype=int), np.zeros(40, dtype=int))
    columns = tuple(np.ones(n, dtype=np.int8) for n in sizes)
    pedigree = Pedigree(father, mother, columns, columns, ("all",))
    cm = np.arange(0, 100, 0.5)
    labels = drop_genes(pedigree, np.arange(40), (haldane(cm), haldane(cm)), np.random.default_rng(4))
    # At each locus the one person in between has one haplotype of either founder.
    assert {len(np.unique(row)) for row in labels} == {2}
    assert all(row.min() < 2 <= row.max() for row in labels)


def test_segments_and_inbreeding_are_those_of_letters_handed_down():
    """Founder haplotypes' numbers as letters, handed down by the tests' oracle: how often neighbours differ, and how
    often both haplotypes of a person are one founder's. Standard errors over 60 draws, five allowed."""
    pedigree, cm = (
        make_pedigree(Founders.strangers([1, 2] * 8), 30, 5, "random", 3, population=16),
        np.arange(0, 90, 3.0),
    )
    letters, rng = np.tile(np.arange(32), (len(cm), 1)), np.random.default_rng(5)

    def statistics(labels):
        both = labels[:, 0::2] == labels[:, 1::2]
        return [(labels[1:] != labels[:-1]).mean(), both.mean(), (both[1:] & both[:-1]).mean()]

    fractions = (haldane(cm), haldane(cm))
    found = np.array([statistics(drop_genes(pedigree, np.arange(30), fractions, rng)) for _ in range(60)])
    oracle = np.array([statistics(reproduce(letters, pedigree, cm, rng)) for _ in range(60)])
    error = np.sqrt((found.var(axis=0) + oracle.var(axis=0)) / 60)
    assert (np.abs(found.mean(axis=0) - oracle.mean(axis=0)) < 5 * error).all()
    assert (error < 0.06 * oracle.mean(axis=0)).all()
    assert oracle.mean(axis=0).min() > 0.02


def test_the_grid_covers_the_sites():
    cm = np.array([3.0, 3.05, 3.25, 4.0])
    loci, locus = grid_of(cm)
    np.testing.assert_allclose(loci, [3.1, 3.3, 3.5, 3.7, 3.9])
    assert locus.tolist() == [0, 0, 1, 4]
    assert np.abs(loci[locus] - cm).max() <= 0.1 + 1e-9
    assert len(grid_of(np.array([7.0]))[0]) == 1
    np.testing.assert_allclose(haldane(np.array([0.0, 10.0, 1e6])), [0.5, 0.5 * (1 - np.exp(-0.2)), 0.5])
