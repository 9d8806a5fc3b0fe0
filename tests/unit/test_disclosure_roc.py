"""ROC: against counting pairs, other programs' distributions, and resampling; the combination against scikit-learn."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from pseudocohort.disclosure import combined, roc


def pairs(member, nonmember):
    return np.mean([(a > b) + 0.5 * (a == b) for a in member for b in nonmember])


def test_auc_is_the_share_of_pairs_with_ties_one_half():
    rng = np.random.default_rng(1)
    member, nonmember = rng.integers(2, 9, 70), rng.integers(0, 7, 50)
    auc, _ = roc.auc_with_error(member, nonmember)
    assert auc == pytest.approx(pairs(member, nonmember), abs=1e-12)
    assert auc == pytest.approx(roc_auc_score(np.repeat([1, 0], [70, 50]), np.concatenate([member, nonmember])))


def test_delong_variance_is_that_of_the_placements_and_of_resampling():
    rng = np.random.default_rng(2)
    member, nonmember = rng.normal(0.8, 1.5, 150), rng.normal(size=200)
    auc, error = roc.auc_with_error(member, nonmember)
    above = member[:, None] > nonmember
    slow = np.sqrt(above.mean(axis=1).var(ddof=1) / 150 + above.mean(axis=0).var(ddof=1) / 200)
    assert error == pytest.approx(slow, rel=1e-12)
    again = [roc.auc_with_error(rng.choice(member, 150), rng.choice(nonmember, 200))[0] for _ in range(1500)]
    assert error == pytest.approx(np.std(again), rel=0.08)
    assert auc == pytest.approx(np.mean(again), abs=0.005)


def test_families_widen_the_interval_as_resampling_them_does():
    """Families of four with one score each, near enough; families that are of both sides; and singletons, which change
    nothing but k / (k - 1)."""
    rng = np.random.default_rng(3)
    shared = rng.normal(size=80)
    family = np.repeat(np.arange(80), 4)
    score = shared[family] + 0.3 * rng.normal(size=320)
    is_member = np.tile([True, True, False, False], 80)
    is_member[:160] = True
    is_member[160:200] = False
    member, nonmember = score[is_member] + 0.7, score[~is_member]
    ours, theirs = family[is_member], family[~is_member]
    _, error = roc.auc_with_error(member, nonmember, ours, theirs)
    drawn = []
    for _ in range(1500):
        chosen = rng.integers(80, size=80)
        one = np.concatenate([member[ours == f] for f in chosen])
        other = np.concatenate([nonmember[theirs == f] for f in chosen])
        drawn.append(roc.auc_with_error(one, other)[0])
    assert error == pytest.approx(np.std(drawn), rel=0.1)
    plain = roc.auc_with_error(member, nonmember)[1]
    assert error > 1.15 * plain
    alone = roc.auc_with_error(member, nonmember, np.arange(len(member)), np.arange(1000, 1000 + len(nonmember)))[1]
    assert alone == pytest.approx(plain, rel=1e-9)


def test_rate_is_counted_above_the_threshold_and_its_interval_is_exact():
    member, nonmember = np.arange(1000) + 300.5, np.arange(1000)
    judged = roc.judged_scores(member, nonmember)
    at_one, at_tenth = judged.rates
    # Ten of a thousand non-members may be above: the threshold is the eleventh largest, 989.
    assert at_one.value == pytest.approx(np.mean(member > 989))
    assert at_tenth.value == pytest.approx(np.mean(member > 998))
    exact = binomtest(round(1000 * at_one.value), 1000).proportion_ci(method="exact")
    assert at_one.interval == pytest.approx((exact.low, exact.high))
    assert judged.auc == pytest.approx(np.mean(member[:, None] > nonmember))


def test_ties_at_the_threshold_are_no_true_positives():
    assert roc.true_positive_rate(np.ones(10), np.ones(100), 0.01) == 0
    assert roc.true_positive_rate(np.full(10, 2.0), np.ones(100), 0.01) == 1


def test_rate_with_too_few_nonmembers_has_no_value_but_says_how_many_are_needed():
    judged = roc.judged_scores(np.arange(50.0), np.arange(99.0))
    assert np.isnan(judged.rates[0].value)
    assert np.isnan(judged.rates[1].interval).all()
    assert judged.rates[0].needed == roc.needed_nonmembers(0.01)
    assert roc.judged_scores(np.arange(50.0), np.arange(100.0)).rates[0].value >= 0


@pytest.mark.parametrize("at", [0.05, 0.01])
def test_needed_nonmembers_place_the_threshold(at):
    """Simulated: with that many the true false-positive rate is below twice the wanted one in 95 %; with few, not."""
    rng = np.random.default_rng(4)

    def kept(n):
        allowed = int(at * n + 1e-9)
        cut = np.sort(rng.random((4000, n)), axis=1)[:, n - 1 - allowed]
        return np.mean(1 - cut < 2 * at)

    n = roc.needed_nonmembers(at)
    assert kept(n) > 0.94
    assert kept(int(2 / at)) < 0.85


def test_rates_of_families_come_from_resampling_families():
    rng = np.random.default_rng(5)
    family = np.repeat(np.arange(50), 8)
    member = rng.normal(size=50)[family] + 2
    nonmember = rng.normal(size=400)
    wide = roc.judged_scores(member, nonmember, family, None).rates[0].interval
    narrow = roc.judged_scores(member, nonmember).rates[0].interval
    assert wide[1] - wide[0] > 1.5 * (narrow[1] - narrow[0])


def test_no_hit_among_families_is_not_told_to_be_surely_none():
    """Nobody is above the threshold, so no family drawn anew is; the interval is the exact one."""
    family, nonmember = np.repeat(np.arange(30), 2), np.arange(200.0)
    nothing = roc.judged_scores(np.zeros(60), nonmember, family, None).rates[0]
    all_of_them = roc.judged_scores(np.full(60, 300.0), nonmember, family, None).rates[0]
    for rate, hits in ((nothing, 0), (all_of_them, 60)):
        exact = binomtest(hits, 60).proportion_ci(method="exact")
        assert rate.value == hits / 60
        assert rate.interval == pytest.approx((exact.low, exact.high))


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="scores must be finite"):
        roc.judged_scores(np.array([1.0, np.nan]), np.arange(3.0))


def test_logistic_is_that_of_scikit_learn():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(300, 4)) * [1, 2, 0.5, 1]
    y = (rng.random(300) < 1 / (1 + np.exp(0.5 - x @ [1, -0.5, 0, 2]))).astype(float)
    peer = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(x, y)
    assert combined.logistic(x, y, ridge=1.0) == pytest.approx(np.append(peer.intercept_, peer.coef_[0]), abs=1e-5)


def test_combination_finds_what_single_scores_do_not_and_nothing_in_noise():
    rng = np.random.default_rng(7)
    common = rng.normal(size=1200)
    first, second = common + 0.3 * rng.normal(size=1200), common + 0.3 * rng.normal(size=1200)
    first[:600] += 0.5
    scores = {"a": (first[:600], first[600:]), "b": (second[:600], second[600:])}
    both = roc.auc_with_error(*combined.combine(scores))[0]
    assert both > roc.auc_with_error(*scores["a"])[0] + 0.1
    noise = {str(k): tuple(rng.normal(size=(2, 600))) for k in range(30)}
    assert abs(roc.auc_with_error(*combined.combine(noise))[0] - 0.5) < 3 * 0.0167


def test_combination_judges_no_family_by_itself():
    """Scores that name the family, and membership that follows it: found only if folds split families."""
    rng = np.random.default_rng(8)
    code = rng.normal(size=(60, 40))
    families = np.repeat(np.arange(60), 8)
    columns = code[families]
    member = families < 30
    scores = {str(k): (columns[member, k], columns[~member, k]) for k in range(40)}
    by_family = roc.auc_with_error(*combined.combine(scores, families[member], families[~member]))[0]
    alone = roc.auc_with_error(*combined.combine(scores))[0]
    assert alone > 0.9
    assert by_family < 0.75
    fold = combined.folds_by_family(families[member], families[~member], 5)
    assert all(len(set(fold[families == f])) == 1 for f in range(60))


def test_a_relative_is_judged_by_one_regression_that_has_seen_neither_parent():
    """Copies of everyone, appended, counted around: against regressions fitted one by one."""
    rng = np.random.default_rng(9)
    x = rng.normal(size=(180, 3))
    x[:100] += [1.0, 0, 0]
    with_others = combined.cross_fitted(np.concatenate([x, x]), (100, 80))
    assert with_others[:180] == pytest.approx(combined.cross_fitted(x, (100, 80)), abs=1e-6)
    fold = combined.folds_by_family(np.array([f"m{i}" for i in range(100)]), np.array([f"n{i}" for i in range(80)]), 5)
    scaled, y = (x - x.mean(axis=0)) / x.std(axis=0), np.repeat([1.0, 0.0], [100, 80])
    for i in (*range(0, 90, 7), 100, 170):
        seen = (fold != fold[i % 100]) & (fold != fold[100 + i % 80])
        odds = scaled @ combined.logistic(scaled[seen], y[seen])[1:]
        assert with_others[180 + i] == pytest.approx((odds[i] - odds.mean()) / odds.std(), abs=1e-9)
    scores = {str(k): (x[:100, k], x[100:, k]) for k in range(3)}
    assert np.concatenate(combined.combine(scores)) == pytest.approx(with_others[:180], abs=1e-6)
