"""The pedigree: sizes, shares, parents by sex and stratum, equal contributions, determinism, bad input."""

import numpy as np
import pytest
from scipy import stats

from pseudocohort.errors import InputError
from pseudocohort.genome.pedigree import generation_sizes, load_pedigree, make_ids, make_pedigree, save_pedigree

STRATA = ("north", "south", "west")


@pytest.fixture(scope="module")
def founders():
    sex = np.array([1, 2, 2, 1, 2] * 40, dtype=np.int8)
    return sex, np.array([0, 0, 0, 1, 1, 2, 0, 2, 1, 0] * 20, dtype=np.int16)


@pytest.fixture(scope="module", params=["balanced", "random"])
def mated(request, founders):
    return request.param, make_pedigree(*founders, STRATA, 150, 6, request.param, seed=11)


def test_parents_have_their_sex_and_the_childs_stratum(mated):
    _, pedigree = mated
    for g in range(1, pedigree.generations + 1):
        for parents, sex in ((pedigree.father[g - 1], 1), (pedigree.mother[g - 1], 2)):
            assert parents.dtype == np.int32
            assert (pedigree.sex[g - 1][parents] == sex).all()
            np.testing.assert_array_equal(pedigree.stratum[g - 1][parents], pedigree.stratum[g])


def test_sizes_sex_ratio_and_shares_of_strata(mated, founders):
    mating, pedigree = mated
    sizes = [len(s) for s in pedigree.sex]
    assert sizes == generation_sizes(200, 150, 6, mating)
    assert sizes[-1] == pedigree.people == 150
    if mating == "balanced":
        assert sizes[5] == 600
        assert sizes[:6] == sorted(set(sizes[:6]))
    of_founders = np.bincount(2 * founders[1] + founders[0] - 1, minlength=6) / 200
    for sex, stratum in zip(pedigree.sex, pedigree.stratum, strict=True):
        assert (abs(np.bincount(2 * stratum + sex - 1, minlength=6) - of_founders * len(sex)) <= 1).all()


def test_balanced_contributions_are_equal_up_to_one(founders):
    pedigree = make_pedigree(*founders, STRATA, 150, 6, "balanced", seed=3)
    for g in range(1, 7):
        for s in range(3):
            for parents, sex in ((pedigree.father[g - 1], 1), (pedigree.mother[g - 1], 2)):
                candidates = (pedigree.sex[g - 1] == sex) & (pedigree.stratum[g - 1] == s)
                children = np.bincount(parents, minlength=len(candidates))[candidates]
                assert np.ptp(children) <= 1


def test_balanced_does_not_shrink_before_the_last_step_and_works_in_one_step(founders):
    assert generation_sizes(1000, 100, 4, "balanced") == [1000, 1000, 1000, 1000, 100]
    assert generation_sizes(100, 100, 1, "balanced") == [100, 100]
    pedigree = make_pedigree(*founders, STRATA, 200, 1, "balanced", seed=1)
    np.testing.assert_array_equal(np.bincount(pedigree.mother[0])[founders[0] == 2] > 0, True)


def test_hardly_any_full_sibs_are_among_the_sampled_people(founders):
    pedigree = make_pedigree(*founders, STRATA, 150, 6, "balanced", seed=5)
    assert np.bincount(pedigree.mother[-1]).max() == 1


def test_random_parents_are_uniform():
    sex = np.array([1] * 20 + [2] * 30)
    pedigree = make_pedigree(sex, np.zeros(50), ("all",), 30_000, 1, "random", seed=8)
    assert stats.chisquare(np.bincount(pedigree.father[0], minlength=50)[:20]).pvalue > 1e-4
    assert stats.chisquare(np.bincount(pedigree.mother[0], minlength=50)[20:]).pvalue > 1e-4
    joint = np.bincount(pedigree.father[0] * 30 + pedigree.mother[0] - 20, minlength=600)
    assert stats.chisquare(joint).pvalue > 1e-4  # three tests, false alarm 3e-4


@pytest.mark.parametrize("mating", ["balanced", "random"])
def test_order_of_people_tells_nothing_of_their_parents(mating):
    pedigree = make_pedigree(np.array([1, 2] * 500), np.arange(1000) // 500, ("a", "b"), 2000, 3, mating, seed=2)
    rank = np.arange(2000)
    for column in (pedigree.father[-1], pedigree.mother[-1], pedigree.sex[-1], pedigree.stratum[-1]):
        assert stats.spearmanr(rank, column).pvalue > 1e-4  # false alarm 4e-4


@pytest.mark.parametrize("generations", [1, 2, 10])
@pytest.mark.parametrize("mating", ["balanced", "random"])
def test_few_founders_in_small_strata(generations, mating):
    sex, strata = np.array([1, 2] * 20), np.repeat(np.arange(4), 10)
    pedigree = make_pedigree(sex, strata, ("a", "b", "c", "d"), 25, generations, mating, seed=4)
    assert pedigree.people == 25
    tiny = make_pedigree(
        np.array([1, 2] + [1, 2] * 30), np.array([0, 0] + [1] * 60), ("a", "b"), 5, generations, mating, seed=4
    )
    assert tiny.people == 5


def test_unknown_sex_takes_a_random_role_and_stays_unknown():
    pedigree = make_pedigree(np.zeros(30), np.zeros(30), ("all",), 40, 3, "balanced", seed=4)
    for g in range(1, 4):
        assert (pedigree.father[g - 1] != pedigree.mother[g - 1]).all()
        assert (pedigree.sex[g] == 0).all()
    mixed = make_pedigree(np.array([1, 2, 0] * 10), np.zeros(30), ("all",), 40, 2, "random", seed=4)
    assert set(mixed.sex[-1]) == {1, 2}
    assert (mixed.sex[0] == np.array([1, 2, 0] * 10)).all()


def test_the_seed_decides_everything(founders):
    first, again, other = (make_pedigree(*founders, STRATA, 150, 4, "random", seed=s) for s in (1, 1, 2))
    for a, b, c in zip(first.father, again.father, other.father, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()


def test_saved_pedigree_comes_back_and_is_secret(tmp_path, founders):
    pedigree = make_pedigree(*founders, STRATA, 150, 12, "balanced", seed=3)
    save_pedigree(tmp_path / "pedigree.npz", pedigree)
    assert (tmp_path / "pedigree.npz").stat().st_mode & 0o777 == 0o600
    loaded = load_pedigree(tmp_path / "pedigree.npz")
    assert loaded.strata == STRATA
    for name in ("father", "mother", "sex", "stratum"):
        for a, b in zip(getattr(pedigree, name), getattr(loaded, name), strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype


def test_ids_are_new_and_distinct():
    assert list(make_ids(3)) == ["PC000001", "PC000002", "PC000003"]
    assert make_ids(1_000_000)[-1] == "PC1000000"
    assert len(set(make_ids(1000))) == 1000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sex": np.ones(10)}, "stratum north has 5 male and 0 female founders"),
        ({"sex": np.array([1, 2, 1, 2, 1] + [2] * 5)}, "stratum south has 0 male and 5 female founders"),
        ({"mating": "sib"}, "mating 'sib' is not known"),
        ({"people": 0}, "people is 0"),
        ({"generations": 0}, "generations is 0"),
    ],
)
def test_bad_input(change, message):
    good = {
        "sex": np.array([1, 2] * 5),
        "stratum_codes": np.repeat([0, 1], 5),
        "strata": ("north", "south"),
        "people": 10,
        "generations": 2,
        "mating": "balanced",
        "seed": 1,
    }
    with pytest.raises(InputError, match=message):
        make_pedigree(**{**good, **change})
