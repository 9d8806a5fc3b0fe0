"""No couples of kin: brute force over sets of ancestors, kinship by recursion, who can be paired at all, errors."""

import logging
import re

import numpy as np
import pytest

from pseudocohort.errors import InputError
from pseudocohort.genome import kin
from pseudocohort.genome.pedigree import Founders, make_pedigree
from reproduction import exact_kinship

DEPTH = {"sibs": 1, "cousins": 2}
MIGRATION = {"a": {"b": 0.2}}


def family_founders(n, seed=3):
    """Founders of three generations in two strata, with half sibs, absent parents and grandparents: Founders and
    a dictionary of the parents of every code, founders and absent people alike."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(3 * n, n, replace=False))  # some people of the table are no founders
    sex, order, parents = rng.integers(1, 3, n), rng.permutation(n), {}
    absent = 3 * n + np.arange(n)
    for place, i in enumerate(order):
        older = order[: place // 2]
        links = []
        for role in (1, 2):
            known = older[sex[older] == role]
            draw = rng.random()
            if draw < 0.3 and len(known):
                links.append(rows[known[rng.integers(len(known[:30]))]])
            else:
                links.append(rng.choice(absent[role - 1 : n // 2 : 2]) if draw < 0.6 else -1)
        parents[rows[i]] = tuple(int(x) for x in links)
    for i, code in enumerate(absent[: n // 2]):  # absent parents have absent parents in turn
        parents[code] = tuple(int(x) for x in (rng.choice(absent[n // 2 + k :: 2]) for k in (0, 1))) if i % 3 else ()
    father, mother = (np.array([parents[r][k] for r in rows]) for k in (0, 1))
    unknown = (-1, -1)
    grand = [[x for k in (0, 1) for x in parents.get(parents[r][k]) or unknown] for r in rows]
    stratum = (np.arange(n) % 3 == 0).astype(np.int16)
    founders = Founders(rows, sex.astype(np.int8), stratum, ("a", "b"), father, mother, np.array(grand))
    return founders, parents


def ancestors(parents, person, depth):
    """A person and the known ancestors up to `depth` generations back, by plain recursion."""
    found = {person}
    if depth:
        for parent in parents.get(person, ()):
            if parent != -1:
                found |= ancestors(parents, parent, depth - 1)
    return found


def couples(pedigree, founders, parents):
    """(generation, father, mother, all known parents by person) of every child; people are pairs (generation, row)
    from generation 1, founders their codes."""
    names = [dict(enumerate(founders.rows.tolist()))]
    known = dict(parents)
    for g, (father, mother) in enumerate(zip(pedigree.father, pedigree.mother, strict=True), 1):
        names.append({i: (g, i) for i in range(len(father))})
        for i, (f, m) in enumerate(zip(father.tolist(), mother.tolist(), strict=True)):
            known[(g, i)] = (names[g - 1][f], names[g - 1][m])
            yield g, *known[(g, i)], known


def related_couples(pedigree, founders, parents, depth):
    count = [0] * (pedigree.generations + 1)
    for g, father, mother, known in couples(pedigree, founders, parents):
        count[g] += bool(ancestors(known, father, depth) & ancestors(known, mother, depth))
    return count


@pytest.mark.parametrize("mating", ["balanced", "random"])
@pytest.mark.parametrize("avoid", ["sibs", "cousins"])
@pytest.mark.parametrize("migration", [0, MIGRATION])
def test_no_couple_has_a_near_ancestor_in_common(mating, avoid, migration, caplog):
    founders, parents = family_founders(400)
    free = make_pedigree(founders, 300, 4, mating, 7, 600, "none", migration)
    before = related_couples(free, founders, parents, DEPTH[avoid])
    assert before[1] > 0
    assert sum(before[2:]) > 2
    with caplog.at_level(logging.INFO, "pseudocohort"):
        pedigree = make_pedigree(founders, 300, 4, mating, 7, 600, avoid, migration)
    assert related_couples(pedigree, founders, parents, DEPTH[avoid]) == [0] * 5
    assert f"couples drawn were {avoid} or nearer kin; all were drawn anew" in caplog.text
    assert not caplog.text.startswith("0 ")
    assert [len(s) for s in pedigree.sex] == [len(s) for s in free.sex]


def test_the_parents_of_founders_count_without_their_grandparents():
    """Grandparents follow from the founders' own parents where they are not given."""
    founders, parents = family_founders(300)
    own = {code: parents[code] for code in founders.rows.tolist()}
    pedigree = make_pedigree(founders._replace(grandparents=None), 200, 2, "balanced", 1, 600, "cousins")
    assert related_couples(pedigree, founders, own, 2) == [0, 0, 0]
    lineage = kin.founder_lineage(founders.rows, founders.father, founders.mother, None, 2)
    for i, row in enumerate(founders.rows.tolist()):
        assert set(lineage[:, i].tolist()) - {-1} == ancestors(own, row, 2)


@pytest.mark.parametrize("mating", ["balanced", "random"])
def test_couples_are_less_related_where_kin_are_avoided(mating):
    """Mean kinship of the couples of ten pedigrees. Over 20 such sets of seeds the ratios to that without avoidance
    were .83 and .64 (balanced), .78 and .59, standard deviation .04: false alarm 1e-4."""
    founders, means = Founders.strangers([1, 2] * 30), {}
    for avoid in ("none", "sibs", "cousins"):
        pedigrees = [make_pedigree(founders, 60, 6, mating, seed, 60, avoid) for seed in range(10)]
        means[avoid] = np.mean([exact_kinship(p, -1)[p.father[-1], p.mother[-1]] for p in pedigrees])
    assert means["sibs"] < means["none"]
    assert means["cousins"] < 0.8 * means["none"]


def brother_and_sister_pairs(n):
    """n sibships of a brother and a sister, their parents unknown to the cohort."""
    sex, family = np.tile([1, 2], n), np.repeat(np.arange(n), 2)
    strangers = Founders.strangers(sex)
    return strangers._replace(father=2 * n + family, mother=3 * n + family)


@pytest.mark.parametrize("mating", ["balanced", "random"])
@pytest.mark.parametrize("sibships", [2, 3, 10])
def test_sibs_are_kept_apart_even_in_the_smallest_strata(mating, sibships):
    pedigree = make_pedigree(brother_and_sister_pairs(sibships), 500, 1, mating, 4, None, "sibs")
    assert (pedigree.father[0] // 2 != pedigree.mother[0] // 2).all()


@pytest.mark.parametrize("mating", ["balanced", "random"])
def test_kin_that_cannot_be_avoided_are_told(mating):
    text = (
        r"50 of 50 couples of generation 1 remain sibs or nearer kin, 50 of them in stratum all of 2 founders\n"
        r".*config key avoid_kin\n.*\n +remedy: +set avoid_kin: none$"
    )
    with pytest.raises(InputError, match=text):
        make_pedigree(brother_and_sister_pairs(1), 50, 1, mating, 4, None, "sibs")
    text = (
        r"40 of 40 couples of generation 3 remain cousins or nearer kin, 40 of them in stratum all of 4 founders\n"
        r".*\n.*\n +remedy: +set avoid_kin: sibs, or set avoid_kin: none$"
    )
    with pytest.raises(InputError, match=text):
        make_pedigree(Founders.strangers([1, 2] * 2), 10, 4, mating, 4, 40, "cousins")


@pytest.mark.parametrize("mating", ["balanced", "random"])
def test_the_stratum_of_kin_that_cannot_be_avoided_is_named(mating):
    """Two islands of a couple each beside a mainland: their people are sibs after a generation, however many."""
    sex, stratum = [1, 2] * 102, [1, 1] + [0] * 200 + [2, 2]
    founders = Founders.strangers(sex, stratum, ("main", "isle", "rock"))
    text = (
        r"(\d+) of \d+ couples of generation 2 remain sibs or nearer kin, (\d+) of them in stratum (isle|rock) of 2 "
        r"founders, others in 1 more strata\n"
        r".*\n.*\n +remedy: +join small strata in the sample sheet, or set avoid_kin: none$"
    )
    with pytest.raises(InputError, match=text) as error:
        make_pedigree(founders, 200, 3, mating, 4, 1000, "sibs")
    both, one = map(int, re.match(text, str(error.value)).groups()[:2])
    assert both / 2 <= one < both


def test_more_people_are_a_remedy_where_the_founders_are_many():
    """30 founders come down to a couple in the generation whose children have children."""
    text = r"in stratum all of 30 founders\n.*\n.*\n +remedy: +set a larger population, or set avoid_kin: none$"
    with pytest.raises(InputError, match=text):
        make_pedigree(Founders.strangers([1, 2] * 15), 30, 12, "balanced", 4, 4, "sibs")


def test_parents_are_exchanged_exactly_where_chance_does_not_find_the_only_way(monkeypatch):
    """Man i has an ancestor in common with every woman but i + 1, so that one way of pairing is left."""
    n = 16
    lineage = np.full((n - 1, 2 * n), -1)
    for i in range(n):
        lineage[:, i] = [100 * i + j for j in range(n) if j != (i + 1) % n]
        lineage[:, n + i] = [100 * j + i for j in range(n) if (j + 1) % n != i]
    father, mother, groups = np.arange(n), np.arange(n, 2 * n), (np.zeros(n, int), np.zeros(n, int))
    monkeypatch.setattr(kin, "ROUNDS", 4)
    fathers, mothers, before, left = kin.exchange(lineage, father, mother, groups, (1, 1))
    assert (before, left) == (n, 0)
    np.testing.assert_array_equal((fathers + 1) % n + n, mothers)
    np.testing.assert_array_equal(np.sort(mothers), mother)


def test_exchange_keeps_groups_and_counts_what_is_left():
    """Two groups; in the second, two brothers meet their sisters only."""
    lineage = np.array([np.arange(8), [9, 8, 7, 7, 9, 8, 7, 7]])
    father, mother, group = np.arange(4), np.arange(4, 8), np.array([0, 0, 1, 1])
    fathers, mothers, before, left = kin.exchange(lineage, father, mother, (group, group), (1, 1))
    assert (before, left) == (4, 2)
    pairs = sorted(zip(fathers.tolist(), mothers.tolist(), strict=True))
    assert pairs[:2] == [(0, 5), (1, 4)]
    assert {x for pair in pairs[2:] for x in pair} == {2, 3, 6, 7}
    np.testing.assert_array_equal(father, np.arange(4))
    alone = kin.exchange(lineage, father, mother, (None, np.array([0, 0, -1, -1])), (1, 1))
    assert alone[2:] == (2, 0)
    np.testing.assert_array_equal(alone[:2], [father, [5, 4, 6, 7]])


def test_fathers_are_exchanged_where_mothers_cannot():
    """Man 0 is kin to both women of the first group of mothers; fathers are one group."""
    lineage = np.array([np.arange(8), [9, -1, -1, -1, 9, 9, -1, -1]])
    father, mother = np.arange(4), np.arange(4, 8)
    groups = np.zeros(4, int), np.array([0, 0, 1, 1])
    fathers, mothers, before, left = kin.exchange(lineage, father, mother, groups, (1, 1))
    assert (before, left) == (1, 0)
    assert mothers[fathers == 0] > 5
    np.testing.assert_array_equal(np.sort(fathers), father)
    assert set(mothers[:2]) == {4, 5}


def test_lineages_are_codes_of_the_ancestors():
    """One code a person over three generations, founders and absent people included."""
    founders, parents = family_founders(100)
    pedigree = make_pedigree(founders, 100, 3, "random", 1)
    lineage = kin.founder_lineage(founders.rows, founders.father, founders.mother, founders.grandparents, 2)
    code, *_, known = int(lineage.max()) + 1, *list(couples(pedigree, founders, parents))[-1]
    people = {c: c for c in parents}
    for g, (father, mother) in enumerate(zip(pedigree.father, pedigree.mother, strict=True), 1):
        lineage, code = kin.child_lineage(lineage, father, mother, code), code + len(father)
        names = [(g, i) for i in range(len(father))]
        people.update(zip(names, lineage[0].tolist(), strict=True))
        for i, name in enumerate(names):
            codes = {people.get(x, x) for x in ancestors(known, name, 2)}
            assert set(lineage[:, i].tolist()) - {-1} == codes
    assert len(set(people.values())) == len(people)


def test_unknown_ancestors_are_nobodys_kin():
    lineage = np.array([[0, 1, 2], [-1, -1, 5], [-1, 5, -1]])
    np.testing.assert_array_equal(kin.are_kin(lineage, np.arange(3)[:, None], np.arange(3)[None]), np.array(
        [[True, False, False], [False, True, True], [False, True, True]]))  # fmt: skip
