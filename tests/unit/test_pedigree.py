"""The pedigree: sizes, shares, parents by sex and stratum, equal contributions, more people later, bad input."""

import itertools

import numpy as np
import pytest
from scipy import stats

from pseudocohort.errors import InputError
from pseudocohort.genome.parents import schedule, turn_groups
from pseudocohort.genome.pedigree import (
    Founders,
    generation_sizes,
    load_pedigree,
    make_ids,
    make_pedigree,
    save_pedigree,
)

STRATA = ("north", "south", "west")
MATRIX = {"north": {"south": 0.1, "west": 0.05}, "west": {"north": 0.3}}
SHARES = np.array([[0.85, 0.1, 0.05], [0, 1, 0], [0.3, 0, 0.7]])  # what the matrix says, by hand


@pytest.fixture(scope="module")
def founders():
    sex = np.array([1, 2, 2, 1, 2] * 40)
    return Founders.strangers(sex, [0, 0, 0, 1, 1, 2, 0, 2, 1, 0] * 20, STRATA)


@pytest.fixture(scope="module", params=["balanced", "random"])
def mated(request, founders):
    return request.param, make_pedigree(founders, 150, 6, request.param, seed=11)


def steps(pedigree):
    """For every generation from 1: number, (parents, role) of fathers and mothers, (sex, stratum) before, stratum."""
    for g in range(1, pedigree.generations + 1):
        before = pedigree.sex[g - 1], pedigree.stratum[g - 1]
        yield g, ((pedigree.father[g - 1], 1), (pedigree.mother[g - 1], 2)), before, pedigree.stratum[g]


def assert_equal(a, b, people=None):
    """Two pedigrees are the same, but for the people after the first of the last generation."""
    for name in ("father", "mother", "sex", "stratum"):
        *first, last = zip(getattr(a, name), getattr(b, name), strict=True)
        for one, other in first:
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
        np.testing.assert_array_equal(last[0][:people], last[1][:people])


def test_parents_have_their_sex_and_the_childs_stratum(mated):
    for _, sides, (sex, stratum), of_child in steps(mated[1]):
        for parents, role in sides:
            assert parents.dtype == np.int32
            assert (sex[parents] == role).all()
            np.testing.assert_array_equal(stratum[parents], of_child)


def test_sizes_sex_ratio_and_shares_of_strata(mated, founders):
    mating, pedigree = mated
    sizes = [len(s) for s in pedigree.sex]
    assert sizes == generation_sizes(200, 150, 6, mating)
    assert sizes[-1] == pedigree.people == 150
    assert sizes[-2] == {"balanced": 800, "random": 200}[mating]
    of_founders = np.bincount(2 * founders.stratum + founders.sex - 1, minlength=6) / 200
    for g, (sex, stratum) in enumerate(zip(pedigree.sex, pedigree.stratum, strict=True)):
        cells = np.bincount(2 * stratum + sex - 1, minlength=6)
        assert (abs(cells - of_founders * len(sex)) <= (1 if g < 6 else 2)).all()


def test_sizes_go_from_the_founders_to_the_population():
    assert generation_sizes(100, 50, 4, "balanced") == [100, 159, 252, 400, 50]
    assert generation_sizes(100, 500, 3, "balanced", 2500) == [100, 500, 2500, 500]
    assert generation_sizes(1000, 100, 4, "balanced", 125) == [1000, 500, 250, 125, 100]
    assert generation_sizes(100, 300, 5, "random") == [100, 150, 200, 250, 300, 300]
    assert generation_sizes(100, 30, 3, "random") == [100, 100, 100, 30]
    assert generation_sizes(100, 30, 3, "random", 20) == [100, 60, 20, 30]
    assert generation_sizes(100, 70, 2, "random", 900) == [100, 900, 70]
    for mating in ("balanced", "random"):
        assert generation_sizes(100, 80, 1, mating, 900) == [100, 80]


@pytest.mark.parametrize("mating", ["balanced", "random"])
@pytest.mark.parametrize("population", [40, 900])
def test_decline_and_growth_happen(mating, population, founders):
    pedigree = make_pedigree(founders, 60, 5, mating, seed=2, population=population)
    assert [len(s) for s in pedigree.sex] == generation_sizes(200, 60, 5, mating, population)
    assert len(pedigree.sex[4]) == population


def counts_by_stratum(pedigree):
    for _, sides, (sex, stratum), _ in steps(pedigree):
        for parents, role in sides:
            children = np.bincount(parents, minlength=len(sex))
            for s in range(len(pedigree.strata)):
                yield children[(sex == role) & (stratum == s)]


@pytest.mark.parametrize("avoid", ["none", "sibs", "cousins"])
@pytest.mark.parametrize("migration", [0, 0.2, MATRIX])
@pytest.mark.parametrize(("people", "population"), [(150, None), (90, 130), (2000, 300)])
def test_balanced_contributions_are_equal_up_to_one(founders, avoid, migration, people, population):
    pedigree = make_pedigree(founders, people, 4, "balanced", 3, population, avoid, migration)
    counts = list(counts_by_stratum(pedigree))
    assert len(counts) == 4 * 2 * 3
    assert max(np.ptp(c) for c in counts) <= 1
    assert people < 2000 or min(counts[-1]) > 5


def test_a_single_generation_is_of_the_founders_children(founders):
    pedigree = make_pedigree(founders, 200, 1, "balanced", seed=1)
    np.testing.assert_array_equal(np.bincount(pedigree.mother[0]) > 0, founders.sex == 2)


def test_hardly_any_full_sibs_are_among_the_sampled_people(founders):
    pedigree = make_pedigree(founders, 150, 6, "balanced", seed=5)
    assert np.bincount(pedigree.mother[-1]).max() == 1


def test_random_parents_are_uniform():
    pedigree = make_pedigree(Founders.strangers([1] * 20 + [2] * 30), 30_000, 1, "random", seed=8)
    assert stats.chisquare(np.bincount(pedigree.father[0], minlength=50)[:20]).pvalue > 1e-4
    assert stats.chisquare(np.bincount(pedigree.mother[0], minlength=50)[20:]).pvalue > 1e-4
    joint = np.bincount(pedigree.father[0] * 30 + pedigree.mother[0] - 20, minlength=600)
    assert stats.chisquare(joint).pvalue > 1e-4  # three tests, false alarm 3e-4


@pytest.mark.parametrize("avoid", ["none", "cousins"])
def test_numbers_of_children_are_binomial_in_random_mating(avoid):
    """Chi-square of 3 x 2 x 3,000 parents' numbers of children, who are nearly independent: false alarm 1e-4."""
    pedigree = make_pedigree(Founders.strangers([1, 2] * 3000), 6000, 3, "random", 5, avoid_kin=avoid)
    chance = stats.binom.pmf(np.arange(6), 6000, 1 / 3000)
    for children in counts_by_stratum(pedigree):
        seen = np.bincount(np.minimum(children, 6), minlength=7)
        assert stats.chisquare(seen, 3000 * np.append(chance, 1 - chance.sum())).pvalue > 1e-4 / 6


@pytest.mark.parametrize("mating", ["balanced", "random"])
@pytest.mark.parametrize(("avoid", "migration"), [("none", 0), ("sibs", 0.1)])
def test_order_of_people_tells_nothing_of_their_parents(mating, avoid, migration):
    strangers = Founders.strangers([1, 2] * 500, np.arange(1000) // 500, ("a", "b"))
    pedigree = make_pedigree(strangers, 2000, 3, mating, 2, None, avoid, migration)
    rank = np.arange(2000)
    parents = pedigree.father[-1], pedigree.mother[-1]
    for column in (*parents, pedigree.sex[-1], pedigree.stratum[-1]):
        assert stats.spearmanr(rank, column).pvalue > 1e-4  # false alarm 4e-4
    for column, lag in itertools.product(parents, (1, 2, 3)):  # neighbours; false alarm 6e-4
        assert stats.spearmanr(column[lag:], column[:-lag]).pvalue > 1e-4


def test_pairs_are_random_in_every_turn():
    """2,000 children of 100 x 100 parents: of 10,000 couples 1,813 have a child, standard deviation about 12."""
    pedigree = make_pedigree(Founders.strangers([1, 2] * 100), 2000, 1, "balanced", seed=5)
    couples = len(set(zip(pedigree.father[0].tolist(), pedigree.mother[0].tolist(), strict=True)))
    assert couples == pytest.approx(1813, abs=50)


@pytest.mark.parametrize("mating", ["balanced", "random"])
@pytest.mark.parametrize("avoid", ["none", "sibs", "cousins"])
@pytest.mark.parametrize("migration", [0, 0.1, MATRIX])
@pytest.mark.parametrize("generations", [1, 4])
def test_more_people_keep_the_first(founders, mating, avoid, migration, generations):
    few, more, many = (
        make_pedigree(founders, people, generations, mating, 6, 240, avoid, migration) for people in (50, 80, 500)
    )
    assert_equal(few, more, 50)
    assert_equal(more, many, 80)
    assert [p.people for p in (few, more, many)] == [50, 80, 500]


@pytest.mark.parametrize("seed", range(20))
def test_more_people_keep_the_first_among_many_kin(seed):
    """Every generation has 40 people, so that many couples are dealt anew, over turns of several lengths."""
    founders = Founders.strangers([1, 2, 2, 1] * 10, np.arange(40) // 2 % 4 == 0, ("a", "b"))
    few, many = (
        make_pedigree(founders, people, 5, "balanced", seed, 40, "sibs", {"a": {"b": 0.3}}) for people in (30, 100)
    )
    assert_equal(few, many, 30)


def test_more_people_keep_the_first_where_hardly_any_child_has_a_parent_from_a_stratum():
    """25 women of a have 1.5 % of the children: their turn lasts for 17 times the 100 people before, and is cut."""
    founders = Founders.strangers([1, 2] * 50, np.arange(100) // 2 % 2, ("a", "b"))
    arguments = 4, "balanced", 3, 100, "sibs", {"a": {"b": 0.97}}
    few, more, many = (make_pedigree(founders, people, *arguments) for people in (90, 1000, 2500))
    assert_equal(few, more, 90)
    assert_equal(more, many, 1000)
    assert all(np.ptp(children) <= 1 for children in counts_by_stratum(many))


@pytest.mark.parametrize(
    ("count", "sizes", "longest", "people", "groups", "whole"),
    [
        (6, [2, 1], [99, 99], 3, "aba   ", True),
        (6, [2, 1], [99, 99], 4, "abac c", True),
        (5, [2, 1], [99, 99], 4, "abac ", False),  # the second turn of the first stratum lacks a child
        (6, [2, 3], [99, 99], 3, "aba b ", False),
        (6, [2, 3], [99, 4], 3, "aba   ", True),  # cut after four children, and so whole
        (3, [2, 3], [99, 4], 3, "aba", False),
    ],
)
def test_groups_of_children_whose_mothers_have_one_turn(count, sizes, longest, people, groups, whole):
    """Children of sources 0 1 0 0 1 0; by hand: equal letters are one group, blanks are in none."""
    source = np.array([0, 1, 0, 0, 1, 0], dtype=np.int16)[:count]
    codes, enough = turn_groups(source, np.array(sizes), np.array(longest), people)
    assert enough == whole
    assert [c < 0 for c in codes] == [g == " " for g in groups]
    for (a, x), (b, y) in itertools.combinations(zip(codes, groups, strict=True), 2):
        assert x == " " or y == " " or (a == b) == (x == y)


def test_default_population_stays_while_people_are_no_more_than_founders(founders):
    assert_equal(*(make_pedigree(founders, people, 3, "balanced", 6) for people in (120, 200)), 120)


@pytest.mark.parametrize("shares", [[1], [0.5, 0.5], [3, 1, 0, 6], [0.9, 0.05, 0.05], np.arange(1, 41)])
def test_every_beginning_of_a_schedule_has_the_shares(shares):
    """Up to rounding by less than two at every length; neighbours are neither alternating nor independent."""
    shares = np.array(shares, dtype=float)
    row = schedule(shares, 3000, (1, 2))
    np.testing.assert_array_equal(row[:700], schedule(shares, 700, (1, 2)))
    counts = np.cumsum(row[:, None] == np.arange(len(shares)), axis=0)
    expected = np.arange(1, 3001)[:, None] * shares / shares.sum()
    assert abs(counts - expected).max() < 2
    if len(shares) == 2:
        assert 0.2 < (row[1:] == row[:-1]).mean() < 0.45


@pytest.mark.parametrize("generations", [1, 2, 10])
@pytest.mark.parametrize("mating", ["balanced", "random"])
def test_few_founders_in_small_strata(generations, mating):
    small = Founders.strangers([1, 2] * 20, np.repeat(np.arange(4), 10), ("a", "b", "c", "d"))
    assert make_pedigree(small, 25, generations, mating, seed=4).people == 25
    tiny = Founders.strangers([1, 2] + [1, 2] * 30, [0, 0] + [1] * 60, ("a", "b"))
    assert make_pedigree(tiny, 5, generations, mating, 4, migration=0.3).people == 5


def test_unknown_sex_takes_a_random_role_and_stays_unknown():
    pedigree = make_pedigree(Founders.strangers([0] * 30), 40, 3, "balanced", 4, avoid_kin="sibs")
    for g in range(1, 4):
        assert (pedigree.father[g - 1] != pedigree.mother[g - 1]).all()
        assert not set(pedigree.father[g - 1]) & set(pedigree.mother[g - 1])
        assert (pedigree.sex[g] == 0).all()
    mixed = make_pedigree(Founders.strangers([1, 2, 0] * 10), 40, 2, "random", seed=4)
    assert set(mixed.sex[-1]) == {1, 2}
    assert (mixed.sex[0] == np.array([1, 2, 0] * 10)).all()


@pytest.mark.parametrize("mating", ["balanced", "random"])
def test_parents_come_from_the_strata_of_the_matrix(founders, mating):
    """2 x 4 x 9 counts of sources are exact up to two if balanced, binomial if random: false alarm 1e-3."""
    pedigree = make_pedigree(founders, 3000, 4, mating, 5, 2000, migration=MATRIX)
    both = np.zeros((3, 3))
    for _, sides, (_, stratum), of_child in steps(pedigree):
        children = np.bincount(of_child, minlength=3)
        for parents, _ in sides:
            seen = np.bincount(3 * of_child + stratum[parents], minlength=9).reshape(3, 3)
            expected = SHARES * children[:, None]
            if mating == "balanced":
                assert abs(seen - expected).max() < 2
            else:
                for (s, t), n in np.ndenumerate(seen):
                    assert stats.binomtest(n, children[s], SHARES[s, t]).pvalue > 1e-3 / 72
        (father, _), (mother, _) = sides
        north = of_child == 0
        both += stats.contingency.crosstab(
            stratum[father[north]], stratum[mother[north]], levels=(range(3), range(3))
        ).count
    assert stats.chi2_contingency(both).pvalue > 1e-4  # father and mother independently


def test_a_number_sends_parents_in_proportion_to_the_other_strata(founders):
    """0.6 and 0.4 of those who come to north are from south and west, and so on; binomial, false alarm 1e-3."""
    assert np.bincount(founders.stratum).tolist() == [100, 60, 40]
    pedigree = make_pedigree(founders, 20_000, 1, "random", 5, migration=0.2)
    expected = 0.2 * np.array([[4, 0.6, 0.4], [100 / 140, 4, 40 / 140], [100 / 160, 60 / 160, 4]])
    for parents in (pedigree.father[0], pedigree.mother[0]):
        seen = np.bincount(3 * pedigree.stratum[1] + founders.stratum[parents], minlength=9).reshape(3, 3)
        for (s, t), n in np.ndenumerate(seen):
            assert stats.binomtest(int(n), int(seen[s].sum()), expected[s, t]).pvalue > 1e-3 / 18
    alone = Founders.strangers([1, 2] * 20)
    assert_equal(*(make_pedigree(alone, 40, 2, "balanced", 1, migration=m) for m in (0, 0.5)))


@pytest.mark.parametrize("mating", ["balanced", "random"])
def test_ancestry_of_strata_follows_the_powers_of_the_matrix(founders, mating):
    """Every child has the mean of its parents' shares of founder strata: by theory SHARES^6 after six generations.

    The mean of a stratum had a standard deviation of .021 at most over 60 seeds: false alarm 1e-4.
    """
    pedigree = make_pedigree(founders, 2000, 6, mating, 9, 2000, migration=MATRIX)
    share = np.eye(3)[pedigree.stratum[0]]
    for father, mother in zip(pedigree.father, pedigree.mother, strict=True):
        share = (share[father] + share[mother]) / 2
    seen = np.array([share[pedigree.stratum[-1] == s].mean(axis=0) for s in range(3)])
    expected = np.linalg.matrix_power(SHARES, 6)
    assert abs(seen - expected).max() < 0.09
    assert expected[0, 1] > 0.3


def test_the_seed_decides_everything(founders):
    first, again, other = (make_pedigree(founders, 150, 4, "random", s, None, "sibs", 0.1) for s in (1, 1, 2))
    assert_equal(first, again)
    for a, b in itertools.chain(
        zip(first.father, other.father, strict=True), zip(first.mother, other.mother, strict=True)
    ):
        assert (a != b).mean() > 0.9


def test_saved_pedigree_comes_back_and_is_secret(tmp_path, founders):
    pedigree = make_pedigree(founders, 150, 12, "balanced", seed=3)
    save_pedigree(tmp_path / "pedigree.npz", pedigree)
    assert (tmp_path / "pedigree.npz").stat().st_mode & 0o777 == 0o600
    loaded = load_pedigree(tmp_path / "pedigree.npz")
    assert loaded.strata == STRATA
    assert_equal(pedigree, loaded)


def test_ids_are_new_and_distinct():
    assert list(make_ids(3)) == ["PC000001", "PC000002", "PC000003"]
    assert make_ids(1_000_000)[-1] == "PC1000000"
    assert len(set(make_ids(1000))) == 1000


NORTH_SOUTH = {"sex": [1, 2] * 5, "stratum": np.repeat([0, 1], 5), "strata": ("north", "south")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sex": np.ones(10)}, "stratum north has 5 male and 0 female founders"),
        ({"sex": [1, 2, 1, 2, 1] + [2] * 5}, "stratum south has 0 male and 5 female founders"),
        ({"mating": "sib"}, "mating 'sib' is not known"),
        ({"avoid_kin": "aunts"}, "avoid_kin 'aunts' is not known\n.*config key avoid_kin\n.*none or sibs or cousins"),
        ({"people": 0}, "people is 0"),
        ({"generations": 0}, "generations is 0"),
        ({"population": 3}, "population is 3\n.*config key population\n.*at least 4"),
        ({"migration": 1.5}, "migration is 1.5\n.*config key migration\n.*the strata are north, south\n.*the key "
         "migration"),
        ({"migration": -0.1}, "migration is -0.1\n"),
        ({"migration": "much"}, "migration is 'much'\n"),
        ({"migration": True}, "migration is True\n"),
        ({"migration": {"nrth": {"south": 0.1}}}, "migration names the stratum nrth, which does not exist\n(.*\n)*.*"
         "the strata are north, south"),
        ({"migration": {"north": {"sth": 0.1}}}, "migration names the stratum sth, which does not exist"),
        ({"migration": {"north": {"south": 1.1}}}, "migration from south to north is 1.1"),
        ({"migration": {"north": {"south": None}}}, "migration from south to north is None"),
        ({"migration": {"north": {"north": 0.9}}}, "migration of children of north names north itself"),
        ({"migration": {"north": 0.1}}, "migration of children of north is no table of strata and shares"),
    ],
)  # fmt: skip
def test_bad_input(change, message):
    good = {"people": 10, "generations": 2, "mating": "balanced", "seed": 1}
    of_founders = {k: change.get(k, v) for k, v in NORTH_SOUTH.items()}
    with pytest.raises(InputError, match=message):
        make_pedigree(
            Founders.strangers(**of_founders), **good | {k: v for k, v in change.items() if k not in of_founders}
        )


def test_a_row_of_the_matrix_sums_to_one_at_most(founders):
    with pytest.raises(InputError, match=r"migration to west sums to 1\.1\n.*\n.*the strata are north, south, west"):
        make_pedigree(founders, 10, 2, "random", 1, migration={"west": {"north": 0.6, "south": 0.5}})
    make_pedigree(founders, 10, 2, "random", 1, migration={"west": {"north": 0.6, "south": 0.4}})
