"""Items: identical laws give R near 1, and every planted fault is seen by the metric that should see it."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from evaluation_cohort import DICTIONARY, TRAITS, make_items, make_people, make_scores, pseudo_frame, shuffled
from pseudocohort.evaluation.classifier import auc
from pseudocohort.evaluation.copies import row_copies
from pseudocohort.evaluation.item_figures import histogram_edges
from pseudocohort.evaluation.items import evaluate_items
from pseudocohort.evaluation.metrics import (
    against_floor,
    compared,
    ks_distance,
    metric,
    ranged,
    real_halves,
    tv_distance,
)
from pseudocohort.evaluation.relations import correlations
from pseudocohort.evaluation.tables import encode

N = 2400


@pytest.fixture(scope="module")
def cohort():
    rng = np.random.default_rng(3)
    people, scores = make_people(N, rng), make_scores(N, rng)
    real = make_items(people["sex"].to_numpy(), scores[list(TRAITS)].to_numpy(), rng)
    sex, pseudo_scores = rng.integers(1, 3, N), make_scores(N, rng)
    pseudo = make_items(sex, pseudo_scores[list(TRAITS)].to_numpy(), rng)
    return people, real, scores, pseudo_frame(sex, pseudo, rng), pseudo_scores


def evaluate(cohort, change=None):
    people, real, scores, pseudo, pseudo_scores = cohort
    rng = np.random.default_rng(4)
    pseudo = pseudo.copy() if change is None else change(pseudo.copy(), rng)
    items = real.drop(columns="age")
    baseline = pseudo_frame(np.arange(N) % 2 + 1, shuffled(real, rng), rng)
    lines, arrays = evaluate_items(
        people, items.assign(age=real["age"]), pseudo, baseline, scores, pseudo_scores, DICTIONARY, 1
    )
    return {line["metric"]: line for line in lines}, arrays


def find(lines, text):
    (name,) = [n for n in lines if text in n]
    return lines[name]


@pytest.fixture(scope="module")
def honest(cohort):
    return evaluate(cohort)


def test_a_second_sample_of_the_same_law_is_within_every_goal(honest):
    lines, _ = honest
    assert not [n for n, line in lines.items() if line["verdict"] == "beyond"]
    near_one = "distribution of single items (", "missing values and their", "correlations of items", "on their own sc"
    for text in near_one:
        assert 0.7 < find(lines, text)["ratio"] < 1.3
    low, high = find(lines, "correlations of items")["interval"]
    assert low < 1 < high
    assert find(lines, "AUC")["value"] < 0.56
    assert find(lines, "rows of items equal")["value"] == 0


def test_the_baseline_stands_beside_and_loses_the_correlations(honest):
    lines, _ = honest
    assert find(lines, "correlations of items (")["baseline"] > 1.5
    assert abs(find(lines, "slope of pseudo on real correlations")["baseline"]) < 0.3
    assert find(lines, "distribution of single items (")["baseline"] < 1.2
    assert find(lines, "AUC")["baseline"] > 0.6


def test_shuffled_columns_are_seen_in_correlations_slopes_and_classifier(cohort):
    def change(pseudo, rng):
        return pd.concat(
            [pseudo[["person", "sex", "stratum"]], shuffled(pseudo.drop(columns=["person", "sex", "stratum"]), rng)],
            axis=1,
        )

    lines, _ = evaluate(cohort, change)
    for text in ("correlations of items", "slope of pseudo on real correlations", "on their own scores", "AUC",
                 "slope of pseudo on real effects of scores", "`not asked`", "dictionary forbids",
                 "what is learnt on pseudo people"):  # fmt: skip
        assert find(lines, text)["verdict"] == "beyond"
    assert find(lines, "distribution of single items (")["verdict"] == "within"


def test_halved_variance_is_seen_in_the_standard_deviation(cohort):
    lines, _ = evaluate(cohort, lambda p, _: p.assign(bmi=23 + (p["bmi"] - 23) / np.sqrt(2)))
    worst = find(lines, "worst single item by standard deviation")
    assert (worst["verdict"], worst["note"]) == ("beyond", "bmi")
    assert worst["value"] == pytest.approx(1 / np.sqrt(2), abs=0.06)


def test_a_dropped_category_and_extra_missing_values_are_seen(cohort):
    def change(pseudo, rng):
        lost = rng.random(len(pseudo)) < 0.25
        return pseudo.assign(diet=pseudo["diet"].replace("noodles", "rice"), height=pseudo["height"].mask(lost))

    lines, _ = evaluate(cohort, change)
    worst = find(lines, "worst category share")
    assert (worst["verdict"], worst["note"]) == ("beyond", "diet = noodles")
    missing = find(lines, "worst single item by missing values")
    assert (missing["verdict"], missing["note"]) == ("beyond", "height")


def test_copied_rows_are_counted_and_near_the_train_people(cohort):
    people, real = cohort[:2]
    train = np.flatnonzero(people["part"] == "train")[:300]

    def change(pseudo, rng):
        sex = np.where(people["sex"].to_numpy()[train] == 1, "male", "female")
        front = pseudo.iloc[:300][["person", "stratum"]].assign(sex=sex)
        copied = pd.concat([front, real.iloc[train].reset_index(drop=True)], axis=1)
        return pd.concat([copied, pseudo.iloc[300:]], ignore_index=True)

    lines, _ = evaluate(cohort, change)
    copies = find(lines, "rows of items equal")
    assert copies["verdict"] == "beyond"
    assert copies["value"] == pytest.approx(300 / N, abs=0.01)


def test_rows_that_are_all_copies_are_nearer_to_the_people_trained_on(cohort):
    people, real = cohort[:2]
    part, values = people["part"].to_numpy(dtype=str), encode(real, DICTIONARY.items)
    leak = values[part == "train"] + 0.001
    lines = row_copies(values, leak, part, np.random.default_rng(1))
    assert lines["nearer_train"]["verdict"] == "beyond"


def test_a_value_outside_the_dictionary_is_counted(cohort):
    lines, _ = evaluate(
        cohort,
        lambda p, _: p.assign(visits=p["visits"].where(p.index != 3, -1), diet=p["diet"].where(p.index != 5, "soup")),
    )
    assert find(lines, "range or categories")["value"] == 2


def test_figures_hold_no_bin_of_fewer_than_five_real_people(cohort, honest):
    people, real = cohort[:2]
    arrays = honest[1]
    train = real[(people["part"] == "train").to_numpy()]
    bins = 0
    for j, item in enumerate(DICTIONARY.items):
        if f"marginal/{j}/edges" in arrays:
            edges = arrays[f"marginal/{j}/edges"]
            values = train[item.name].dropna().to_numpy()
            assert np.histogram(values, edges)[0].min() >= 5
            assert not np.isin(edges[[0, -1]], values).all()
            bins += 1
    assert bins == 6


def test_few_traits_no_scores_and_one_stratum_do_no_harm(cohort):
    people, real, scores, pseudo, pseudo_scores = cohort
    people = people.assign(stratum="all")
    real = real.assign(crp=np.nan, diet=None)
    lines, arrays = evaluate_items(people, real, pseudo.assign(stratum="all", crp=np.nan), pseudo, scores[["person"]],
                                   pseudo_scores[["person"]], DICTIONARY, 1)  # fmt: skip
    assert arrays["score/count"] == 0
    assert {line["verdict"] for line in lines} <= {"within", "beyond", "stated"}


def test_distances_equal_their_oracles():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=80).round(1), rng.normal(0.3, 1.2, size=120).round(1)
    assert ks_distance(x, y) == pytest.approx(ks_2samp(x, y).statistic)
    assert tv_distance(np.array([0, 0, 1, 2.0]), np.array([0, 1, 1, 1.0, np.nan])) == pytest.approx(0.5)
    negative, positive = rng.normal(size=50).round(1), rng.normal(0.5, 1, 60).round(1)
    pairs = (positive[:, None] > negative).mean() + 0.5 * (positive[:, None] == negative).mean()
    assert auc(negative, positive) == pytest.approx(pairs)


def test_correlations_equal_pandas_pairwise():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 4))
    x[rng.random(x.shape) < 0.2] = np.nan
    np.testing.assert_allclose(correlations(x), pd.DataFrame(x).corr().to_numpy(), atol=1e-10)


def test_halves_are_disjoint_and_never_part_a_family():
    people = make_people(300, np.random.default_rng(5))
    family, part = people["family"].to_numpy(), people["part"].to_numpy()
    halves = real_halves(family, part, np.random.default_rng(6))
    assert len(halves) == 10
    for first, second in halves:
        assert not set(family[first]) & set(family[second])
        assert sorted([*first, *second]) == np.flatnonzero(part != "train").tolist()


def test_a_number_that_cannot_be_computed_is_no_verdict():
    assert metric("items", "x", np.nan, within=False)["verdict"] == "stated"
    assert metric("items", "x", np.nan, within=False)["value"] is None


def test_histogram_edges_of_whole_numbers_and_of_a_constant():
    values = np.repeat([0, 1, 2, 3, 9], [50, 40, 20, 6, 2]).astype(float)
    edges = histogram_edges(values)
    assert np.histogram(values, edges)[0].min() >= 5
    assert histogram_edges(np.full(60, 3.0)).tolist() == [2.5, 3.5]


def test_halves_that_do_not_differ_or_have_no_value_are_no_division_by_zero():
    real, pseudo, family = np.zeros((80, 1)), np.ones((60, 1)), np.arange(80).astype(str)
    halves = real_halves(family, np.repeat(["A", "B"], 40), np.random.default_rng(7))

    def gap(x, y):
        return np.abs(x.mean(axis=0) - y.mean(axis=0))

    result = against_floor(gap, real, pseudo, halves, family, np.random.default_rng(8))
    assert result[:3] == (1, 0, 80)  # the least floor is half a person of forty
    assert result.interval == pytest.approx((80, 80))
    assert compared("items", "a distance", result, 1.25)["verdict"] == "beyond"
    empty = against_floor(gap, real * np.nan, pseudo, halves, family, np.random.default_rng(8))
    line = compared("items", "a distance", empty._replace(value=1.0), 1.25)
    assert (line["ratio"], line["verdict"]) == (None, "stated")


def test_halves_of_fewer_than_forty_people_get_no_verdict():
    real, pseudo, family = np.zeros((78, 1)), np.ones((60, 1)), np.arange(78).astype(str)
    halves = real_halves(family, np.repeat(["A", "B"], 39), np.random.default_rng(7))
    result = against_floor(lambda x, y: np.abs(x.mean(0) - y.mean(0)), real, pseudo, halves, family,
                           np.random.default_rng(8))  # fmt: skip
    line = compared("items", "a distance", result, 1.25, note="a note")
    assert (line["verdict"], line["note"], line["ratio"]) == ("stated", "a note; too few people", 78)
    line = ranged("items", "a slope", 0.5, (0.4, 0.6), 0.97, 1.03, people=39)
    assert (line["verdict"], line["note"]) == ("stated", "too few people")
    assert ranged("items", "a slope", 0.5, (0.4, 0.6), 0.97, 1.03, people=40)["verdict"] == "beyond"


def test_a_tiny_holdout_has_no_verdict_but_on_facts():
    rng, n = np.random.default_rng(14), 400
    people, scores = make_people(n, rng), make_scores(n, rng)
    people["part"] = np.where(np.arange(n) < 30, "A", np.where(np.arange(n) < 60, "B", "train"))
    people["family"] = np.arange(n).astype(str)
    real = make_items(people["sex"].to_numpy(), scores[list(TRAITS)].to_numpy(), rng)
    pseudo = pseudo_frame(people["sex"].to_numpy(), shuffled(real, rng), rng)
    lines, _ = evaluate_items(people, real, pseudo, pseudo, scores, scores, DICTIONARY, 1)
    for text in ("distribution of single items (", "correlations of items (", "slope of pseudo on real correlations",
                 "single item by distribution", "missing values and their", "pseudo over real (mean"):  # fmt: skip
        line = find({line["metric"]: line for line in lines}, text)
        assert line["verdict"] == "stated"
        assert "too few people" in line["note"]
