"""Slopes of pseudo on real estimates: right in expectation on data of known truth, where a plain regression is not."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as t_distribution

from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.evaluation.links import (
    Side,
    _kept_links,
    expected_ratio,
    grouped_slopes,
    link_estimates,
    rescaled,
    score_metrics,
)
from pseudocohort.evaluation.metrics import (
    FOLDS,
    draws,
    family_weights,
    folds,
    jackknifed,
    real_halves,
    resample_families,
)
from pseudocohort.evaluation.relations import correlations
from pseudocohort.evaluation.slopes import Estimates, estimated, instrumented, squares, through_origin
from pseudocohort.evaluation.tables import Setting, capped, prepare
from pseudocohort.measures.catalogue import judged

K, HALF, TRAIN = 16, 200, 800
UPPER = np.triu_indices(K, 1)


def correlated(shrunk: float = 1.0) -> np.ndarray:
    """A correlation matrix of three factors, off-diagonal entries times `shrunk`."""
    loading = np.random.default_rng(1).normal(size=(K, 3)) * 0.35
    rho = shrunk * loading @ loading.T
    np.fill_diagonal(rho, 1)
    return rho


def sample(n: int, rng: np.random.Generator, shrunk: float = 1.0) -> np.ndarray:
    return rng.normal(size=(n, K)) @ np.linalg.cholesky(correlated(shrunk)).T


def upper(rows: np.ndarray) -> np.ndarray:
    return correlations(rows)[UPPER]


def compare(real, pseudo, rng, left_out=0):
    part = np.repeat(["A", "B", "train"], [HALF, HALF, TRAIN])
    family = np.arange(len(real)).astype(str)
    halves = real_halves(family, part, rng)
    return estimated(upper, real, pseudo, part == "train", halves, family, rng, left_out=left_out)


@pytest.fixture(scope="module")
def slopes():
    """Slopes (repeats, 5): new sample, train as floor, train as pseudo, a model that shrinks, the plain regression."""
    rng, rows = np.random.default_rng(2), []
    for _ in range(60):
        real = sample(2 * HALF + TRAIN, rng)
        new, shrunk = sample(TRAIN, rng), sample(TRAIN, rng, 0.9)
        fair, copied, weak = (instrumented(compare(real, x, rng), 0.1) for x in (new, real[2 * HALF :], shrunk))
        held, made = upper(real[: 2 * HALF]), upper(new)
        large = np.abs(held) > 0.1
        rows.append((fair.value, fair.floor, copied.value, weak.value, through_origin(held[large], made[large])))
    return np.array(rows)


def test_slope_is_one_for_a_new_sample_for_train_itself_and_what_a_model_shrinks_by(slopes):
    error = slopes.std(axis=0) / np.sqrt(len(slopes))
    assert error.max() < 0.008
    assert np.abs(slopes.mean(axis=0)[:4] - [1, 1, 1, 0.9]).max() < 0.02


def test_a_plain_regression_on_real_correlations_is_below_one_for_a_perfect_copy(slopes):
    assert slopes[:, 4].mean() < 0.96


def test_interval_of_the_slope_holds_the_truth_of_new_samples_and_not_a_tenth_less():
    rng, held, width, wrong = np.random.default_rng(3), [], [], []
    for _ in range(25):
        real = sample(2 * HALF + TRAIN, rng)
        low, high = instrumented(compare(real, sample(TRAIN, rng), rng, FOLDS), 0.1).interval
        held.append(low <= 1 <= high)
        width.append(high - low)
        bad = instrumented(compare(real, sample(TRAIN, rng, 0.6), rng, FOLDS), 0.1).interval
        wrong.append(bad[1] >= 1)
    assert np.mean(held) >= 0.8  # 95 % but for the chance of 25 repeats
    assert np.mean(width) < 0.25
    assert sum(wrong) == 0


def test_slope_of_few_entries_equals_the_formula():
    a, b, p, t = np.array([[0.5, 0.05, -0.3, 0.2], [0.4, 0.2, -0.2, np.nan], [0.3, 0.1, -0.4, 0.1], [0.6, 0, -0.1, 0]])
    result = instrumented([Estimates(-1, a, b, p, p, t)], 0.1)
    # with A: entries 0, 2; with B: entries 0, 1, 2
    below = (0.4 * 0.5 + 0.2 * 0.3) + (0.5 * 0.4 + 0.05 * 0.2 + 0.3 * 0.2)
    above = (0.3 * 0.5 + 0.4 * 0.3) + (0.3 * 0.4 + 0.1 * 0.2 + 0.4 * 0.2)
    assert result.value == pytest.approx(above / below)
    assert result.floor == pytest.approx(((0.6 * 0.5 + 0.1 * 0.3) + (0.6 * 0.4 + 0.1 * 0.2)) / below)
    assert np.isnan(instrumented([Estimates(-1, a, b, p, p, t)], 0.9).value)


def test_ratio_of_a_second_sample_is_one_and_of_half_the_correlations_is_more():
    rng = np.random.default_rng(5)
    real = sample(2 * HALF + TRAIN, rng)
    fair, weak = (squares(compare(real, sample(TRAIN, rng, s), rng, FOLDS), HALF) for s in (1.0, 0.3))
    assert 0.85 < fair.ratio < 1.15
    assert weak.interval[0] > fair.ratio


def test_score_slopes_equal_regressions_over_those_who_have_the_item():
    rng = np.random.default_rng(6)
    score, y = rng.normal(1, 2, (300, 2)), rng.normal(size=(300, 3))
    y += score @ rng.normal(size=(2, 3))
    y[:70, 1] = np.nan
    y[30:, 2] = np.nan
    pairs = np.array([[0, 0, 1, 1, 2], [0, 1, 0, 1, 0]])
    group, members = rng.integers(0, FOLDS, 300), np.ones((2, 300), dtype=np.int8)
    members[1, :150] = 0
    found = grouped_slopes(Side(y.T, score.T), pairs, members, group)
    for use, slopes in zip(members, found, strict=True):
        for f in (-1, 0, 7):
            for k, (j, t) in enumerate(pairs.T[:4]):
                rows = (use == 1) & (group != f) & ~np.isnan(y[:, j])
                assert slopes[f + 1, k] == pytest.approx(np.polyfit(score[rows, t], y[rows, j], 1)[0], rel=1e-5)
    assert np.isnan(found[:, :, 4]).all()  # thirty people are too few


def linked(n: int, effect: float, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    names = [f"i{j}" for j in range(8)]
    scores = rng.normal(size=(n, 8))
    return pd.DataFrame(effect * scores + rng.normal(size=(n, 8)), columns=names), pd.DataFrame(scores, columns=names)


def judge_links(effect: float, parts: tuple[str, str], rng: np.random.Generator, n: int = 3000) -> dict[str, dict]:
    dictionary = Dictionary(tuple(Item(f"i{j}", "continuous") for j in range(8)))
    real, scores = linked(n, 0.3, rng)
    pseudo, new = linked(n, effect, rng)
    part = np.array(["A", "B", "train"])[np.arange(n) % 3]
    people = pd.DataFrame({"sex": 1, "family": np.arange(n).astype(str), "stratum": "x", "part": part})
    front = pd.DataFrame({"sex": np.ones(n, dtype=int), "stratum": "x"})
    setting, *tables, _ = prepare(people, real, scores, pd.concat([front, pseudo], axis=1), new, dictionary, 1)
    goals = score_metrics(setting, *tables, parts)[0]
    return dict(zip(goals, judged(list(goals.values())), strict=True))


@pytest.mark.parametrize("parts", [("A", "B"), ("train", "train")])
def test_links_to_scores_of_a_fair_and_of_a_weak_model(parts):
    rng = np.random.default_rng(8)
    fair, weak = (judge_links(effect, parts, rng) for effect in (0.3, 0.15))
    assert fair["score_slope"]["value"] == pytest.approx(1, abs=0.08)
    assert {line["verdict"] for line in fair.values()} <= {"within", "unclear"}
    ratio = (0.15 / np.hypot(1, 0.15)) / (0.3 / np.hypot(1, 0.3))  # normal scores have variance 1
    assert weak["score_slope"]["value"] == pytest.approx(ratio, abs=0.07)
    assert {line["verdict"] for line in weak.values()} == {"beyond"}


def test_links_are_those_of_the_general_code():
    rng, n = np.random.default_rng(11), 600
    part = np.array(["A", "B", "train"])[np.arange(n) % 3]
    setting = Setting((), np.arange(n).astype(str), part, [], (), rng)
    halves = real_halves(setting.family, part, rng)
    rows = [rng.normal(size=(n, 5)) for _ in range(2)]
    pairs = np.array([[0, 2, 1], [1, 0, 0]])
    group = np.zeros(n, dtype=int)

    def plain(x):
        member = np.ones((1, len(x)), dtype=np.int8)
        return grouped_slopes(Side(x[:, :3].T, x[:, 3:].T), pairs, member, group[: len(x)])[0, 0]

    sides = [Side(x[:, :3].T, x[:, 3:].T) for x in rows]
    seeded = setting._replace(rng=np.random.default_rng(12))
    found, held = link_estimates(*sides, pairs, seeded, halves, True)
    wanted = estimated(plain, *rows, part == "train", halves, setting.family, np.random.default_rng(12))
    assert [e.fold for e in found] == [e.fold for e in wanted]
    for a, b in zip(found, wanted, strict=True):
        for x, y in zip(a[1:], b[1:], strict=True):
            np.testing.assert_allclose(x, y, atol=1e-5)
    np.testing.assert_allclose(held, plain(rows[0][part != "train"]), atol=1e-5)


def test_a_model_that_hands_on_the_train_peoples_errors_has_a_score_link_of_one():
    """Simulated: pseudo effects are the train people's own estimates, errors included."""
    rng, n, k = np.random.default_rng(13), 800, 12
    pairs = np.array(np.divmod(np.arange(k * k), k))
    found = {}
    for most in (5000, 120):
        ratios = []
        for _ in range(6):
            score, noise = rng.normal(size=(2, n, k))
            y = 0.1 * score + noise
            effects = np.linalg.lstsq(score, y, rcond=None)[0]
            new = rng.normal(size=(n, k))
            made = new @ effects + rng.normal(size=(n, k)) * (y - score @ effects).std(axis=0)
            setting = Setting((), np.arange(n).astype(str), np.array(["train"] * n), [], (), rng)
            halves = capped(real_halves(setting.family, setting.part, rng, parts=("train", "train")), rng, most)
            people = len(halves[0][0])
            estimates, _ = link_estimates(Side(y.T, score.T), Side(made.T, new.T), pairs, setting, halves, False)
            plain = squares(estimates, people)
            scaled = rescaled(plain, expected_ratio(people, people, n))
            assert scaled.ratio == pytest.approx(scaled.value / scaled.floor)
            ratios.append((plain.ratio, scaled.ratio))
        found[most] = np.mean(ratios, axis=0)
    assert found[5000] == pytest.approx([np.sqrt(0.75), 1], abs=0.03)
    assert found[120][1] == pytest.approx(1, abs=0.03)
    assert expected_ratio(400, 400, 800) == pytest.approx(np.sqrt(0.75))


def test_halves_are_capped_at_random_and_small_ones_left_alone():
    halves = [(np.arange(100), np.arange(100, 130))]
    ((first, second),) = capped(halves, np.random.default_rng(1), 40)
    assert len(set(first)) == 40
    assert 30 < first.mean() < 70
    assert second.tolist() == halves[0][1].tolist()


def test_of_very_many_links_those_to_own_scores_are_kept():
    own = np.zeros(90_000, dtype=bool)
    own[::300] = True
    kept = _kept_links(own, np.random.default_rng(1))
    assert len(kept) == len(set(kept)) == 40_000
    assert own[kept].sum() == own.sum()
    assert len(_kept_links(own[:100], np.random.default_rng(1))) == 100


def test_jackknife_of_a_mean_is_its_standard_error():
    x = np.random.default_rng(9).normal(size=400)
    group = np.arange(400) % 20
    without = np.array([x[group != g].mean() for g in range(20)])
    low, high = jackknifed(x.mean(), without)
    means = np.array([x[group == g].mean() for g in range(20)])
    reach = t_distribution.ppf(0.975, 19) * means.std(ddof=1) / np.sqrt(20)
    assert (low, high) == (pytest.approx(x.mean() - reach), pytest.approx(x.mean() + reach))
    low, high = jackknifed(2.0, np.exp(without), np.log, np.exp)
    assert np.sqrt(low * high) == pytest.approx(2)
    assert np.log(high / low) == pytest.approx(2 * reach)
    assert np.isnan(jackknifed(1.0, np.array([1.0, np.nan, 1, 1, 1, 1]))).all()


def test_groups_that_are_left_out_are_whole_families():
    family = np.repeat(np.arange(60), 3).astype(str)
    real, pseudo = folds(family, 90, np.random.default_rng(1))
    assert (real.reshape(60, 3) == real.reshape(60, 3)[:, :1]).all()
    assert (np.bincount(real) == 9).all()
    halves = [(np.arange(30), np.arange(30, 60))]
    exact, *some = draws(halves, (real, pseudo), np.random.default_rng(2), FOLDS)
    assert len(some) == FOLDS
    assert len(exact.drawn) == 30
    for d in some:
        assert set(d.first) == set(exact.first[real[exact.first] != d.fold])
        assert set(d.second) == set(exact.second[real[exact.second] != d.fold])
        assert set(d.drawn) == set(exact.drawn[pseudo[exact.drawn] != d.fold])


def test_interval_of_the_ratio_is_as_wide_as_the_ratios_of_many_cohorts_are_spread():
    rng, ratios, widths = np.random.default_rng(10), [], []
    for _ in range(30):
        real = sample(2 * HALF + TRAIN, rng)
        result = squares(compare(real, sample(TRAIN, rng), rng, FOLDS), HALF)
        ratios.append(result.ratio)
        widths.append((result.interval[1] - result.interval[0]) / (2 * t_distribution.ppf(0.975, FOLDS - 1)))
    assert 0.7 * np.std(ratios) < np.mean(widths) < 1.6 * np.std(ratios)


def test_families_are_resampled_whole():
    family, rng = np.array(["a", "a", "b", "c", "c", "c"]), np.random.default_rng(4)
    weights = family_weights(family, rng, 500)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()
    assert weights.mean() == pytest.approx(1, abs=0.1)
    rows = resample_families(np.arange(6), family, rng, 200)
    count = np.bincount(rows, minlength=6)
    assert count[0] == count[1]
    assert count[3] == count[4] == count[5]
    assert count[0] + count[2] + count[3] == 200
