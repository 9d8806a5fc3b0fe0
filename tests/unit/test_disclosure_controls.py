"""Controls of attacks: how often each outcome comes about, simulated at sizes of small and of middling cohorts."""

import numpy as np
import pytest

from pseudocohort.disclosure import combined, evidence, roc
from pseudocohort.disclosure.items import CHANCE, Attacked

SIZES = [(10, 3), (25, 1), (50, 3), (100, 1)]  # people a side, people of a family


def people(rng, side, per_family, columns, shift=0.0):
    """Two sides' correlated columns, in which families are alike, and their families; members are higher by shift."""
    family = np.arange(2 * side) % side // per_family + np.repeat([0, side], side)
    alike = rng.normal(size=(2 * side, columns + 1))[family]
    own = (alike + rng.normal(size=alike.shape)) / np.sqrt(2) if per_family > 1 else alike
    x = 0.6 * own[:, :columns] + 0.8 * own[:, [columns]]
    x[:side] += shift
    return x, family[:side], family[side:]


def fitted(rng, side, per_family, columns):
    """AUC, and z as of `roc.judged_scores` but without its resampling, of scores fitted where there is nothing."""
    x, ours, theirs = people(rng, side, per_family, columns)
    score = combined.cross_fitted(x, (side, side), ours, theirs)
    sides = score[:side], score[side:], ours, theirs
    auc = roc.auc_with_error(*sides)[0]
    return auc, (auc - 0.5) / (np.sqrt(2) * roc.error_of_chance(*sides))


@pytest.mark.parametrize("columns", [1, 12])
@pytest.mark.parametrize(("side", "per_family"), SIZES)
def test_fitted_scores_find_nothing_where_nothing_is_and_their_error_says_how_surely(side, per_family, columns):
    """Mean AUC 1/2 and z of variance 1; each assertion fails by chance in fewer than 1 of 1,000 seeds."""
    rng, rounds = np.random.default_rng([side, columns]), 150
    auc, z = np.array([fitted(rng, side, per_family, columns) for _ in range(rounds)]).T
    assert abs(auc.mean() - 0.5) < 3.3 * auc.std() / np.sqrt(rounds) + 0.005
    assert z.std() == pytest.approx(1, abs=0.2)
    assert np.abs(z).max() < 4


@pytest.mark.parametrize("side", [20, 100])
def test_fitted_scores_lose_nothing_of_what_one_column_tells(side):
    rng = np.random.default_rng(side)
    found, plain = [], []
    for _ in range(40):
        x, ours, theirs = people(rng, side, 1, 1, 1.5)
        score = combined.cross_fitted(x, (side, side), ours, theirs)
        found.append(roc.auc_with_error(score[:side], score[side:])[0])
        plain.append(roc.auc_with_error(x[:side, 0], x[side:, 0])[0])
    assert np.mean(found) > np.mean(plain) - 0.01


def test_error_of_chance_is_that_of_families_dealt_out_anew():
    rng = np.random.default_rng(3)
    family = np.repeat(np.arange(40), rng.integers(1, 6, 40))
    score = np.round(rng.normal(size=40)[family] + rng.normal(size=len(family)), 1)
    aucs, errors = [], []
    for _ in range(2000):
        member = (rng.permutation(40) < 20)[family]
        sides = score[member], score[~member], family[member], family[~member]
        aucs.append(roc.auc_with_error(*sides)[0])
        errors.append(roc.error_of_chance(*sides))
    assert np.mean(errors) == pytest.approx(np.std(aucs), rel=0.06)
    m, n = 30, 50
    exact = np.sqrt((m + n + 1) / (12 * m * n))
    assert roc.error_of_chance(np.arange(30.0), np.arange(30, 80.0)) == pytest.approx(exact)
    assert roc.error_of_chance(np.ones(4), np.ones(5)) == 0


def test_scores_fitted_on_the_judged_have_twice_the_variance():
    rng = np.random.default_rng(4)
    some = rng.normal(size=30) + 1, rng.normal(size=40)
    plain, twice = roc.judged_scores(*some), roc.judged_scores(*some, fitted=True)
    assert twice.error == pytest.approx(np.sqrt(2) * plain.error)
    assert twice.z == pytest.approx((plain.auc - 0.5) / twice.error)
    _, spread = roc.auc_with_error(*some)
    for judged, wider in ((plain, 1), (twice, np.sqrt(2))):
        reach = 1.959964 * spread * wider
        assert judged.interval == pytest.approx((judged.auc - reach, min(1, judged.auc + reach)), abs=1e-6)
    assert plain.auc == twice.auc


@pytest.mark.parametrize(("side", "columns"), [(50, 6), (100, 12)])
def test_the_interval_of_fitted_scores_covers_one_half_where_nothing_is(side, columns):
    """In 95 %: of 400 rounds fewer than 366 or more than 392 would be seen in 1 of 1,000 seeds."""
    rng, covered = np.random.default_rng([side, 8]), 0
    for _ in range(400):
        x, *families = people(rng, side, 1, columns)
        score = combined.cross_fitted(x, (side, side), *families)
        low, high = roc.judged_scores(score[:side], score[side:], fitted=True).interval
        covered += low <= 0.5 <= high
    assert 366 <= covered <= 392


def test_relatives_are_found_as_often_as_they_should_be():
    """Where there is nothing to find, relatives drawn as members are beyond the threshold as often as members, and
    children of those whom the regressions are fitted on have an AUC of 1/2. By chance each fails in 1 of 1,000 seeds.
    """
    rng, side, more, auc = np.random.default_rng(11), 100, [], []
    for _ in range(200):
        member, nonmember, new, rest = rng.normal(size=(4, side, 12))
        born = (member + nonmember) / 2 + rest / np.sqrt(2)
        score = combined.cross_fitted(np.concatenate([member, nonmember, new]), (side, side))
        sides = score[2 * side :], score[:side]
        more.append(np.subtract(*(roc.true_positive_rate(s, score[side : 2 * side], 0.02) for s in sides)))
        score = combined.cross_fitted(np.concatenate([member, nonmember, born]), (side, side))
        auc.append(roc.auc_with_error(score[2 * side :], score[side : 2 * side])[0] - 0.5)
    for found in (more, auc):
        assert abs(np.mean(found)) < 3.3 * np.std(found) / np.sqrt(len(found))


def controls(planted, null):
    return Attacked(planted, planted, null).controls


def sides(rng, side, shift):
    return roc.judged_scores(rng.normal(size=side) + shift, rng.normal(size=side))


@pytest.mark.parametrize(("side", "shift", "often", "seldom"), [
    (12, 0.0, None, True), (12, 3.0, True, False), (50, 0.36, None, False), (400, 0.0, False, True),
    (400, 0.6, True, False),
])  # fmt: skip
def test_a_planted_leak_is_found_or_missed_or_there_are_too_few_to_say(side, shift, often, seldom):
    """An AUC of .6 is a shift of .36, .66 one of .6. What is said `seldom` is so in 1 of 40 at most."""
    rng = np.random.default_rng([side, int(100 * shift)])
    null = sides(rng, side, 0)
    found = [controls(sides(rng, side, shift), null)["planted"] for _ in range(200)]
    said = [control["passed"] for control in found]
    assert said.count(often) > 100
    assert said.count(seldom) <= 12  # of 200: 5 expected
    assert all((control["passed"] is None) == ("needed" in control) for control in found)


def test_as_many_people_as_are_needed_decide():
    rng = np.random.default_rng(7)
    undecided = controls(sides(rng, 50, 0)._replace(auc=0.55), sides(rng, 50, 0))["planted"]
    assert undecided["passed"] is None
    side = undecided["needed"] // 2 + 1
    for shift in (0.2, 0.36, 0.5):
        assert controls(sides(rng, side, shift), sides(rng, side, 0))["planted"]["passed"] is not None


def test_a_null_fails_above_chance_and_below():
    rng = np.random.default_rng(8)
    leak = sides(rng, 100, 3)
    for shift, passed in ((0, True), (1.5, False), (-1.5, False)):
        null = sides(rng, 100, shift)
        assert controls(leak, null)["null"] == {"auc": null.auc, "passed": passed}
        assert (abs(null.z) <= CHANCE) == passed


@pytest.mark.parametrize(("planted", "null", "passed", "reason"), [
    (True, True, True, None), (False, True, False, evidence.FAILED), (None, True, None, evidence.FEW),
    (None, False, False, evidence.FAILED),
])  # fmt: skip
def test_a_line_says_why_it_is_no_evidence(planted, null, passed, reason):
    told = {"planted": {"passed": planted}, "null": {"passed": null}}
    assert evidence.both_passed(told) is passed
    found = sides(np.random.default_rng(9), 200, 1)
    lines = evidence.membership_lines("genome", "some", found, passed, 200)
    assert [line["reason"] for line in lines[:2]] == [reason, reason]
