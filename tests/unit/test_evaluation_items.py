"""Items: identical laws give R near 1, and every planted fault is seen by the metric that should see it."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from evaluation_cohort import DICTIONARY, TRAITS, make_items, make_people, make_scores, pseudo_frame, shuffled
from pseudocohort.evaluation import tables
from pseudocohort.evaluation.classifier import auc
from pseudocohort.evaluation.copies import row_copies
from pseudocohort.evaluation.item_figures import histogram_edges
from pseudocohort.evaluation.items import evaluate_items
from pseudocohort.evaluation.metrics import against_floor, compared, ks_distance, real_halves, tv_distance
from pseudocohort.evaluation.relations import correlations
from pseudocohort.evaluation.tables import encode
from pseudocohort.files import number_of_rows, read_rows
from pseudocohort.measures.catalogue import judged
from pseudocohort.measures.line import measure

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
    return by_key(lines), arrays


def by_key(lines):
    """Judged lines by key, or by (key, subject) where there is one."""
    return {line["key"] if line["subject"] is None else (line["key"], line["subject"]): line for line in judged(lines)}


def verdicts(lines, *keys):
    return {key: lines[key]["verdict"] for key in keys}


def all_beyond(*keys):
    return dict.fromkeys(keys, "beyond")


@pytest.fixture(scope="module")
def honest(cohort):
    return evaluate(cohort)


def test_a_second_sample_of_the_same_law_is_within_every_goal(honest):
    lines, _ = honest
    assert not [n for n, line in lines.items() if line["verdict"] == "beyond"]
    for key in ("marginal", "missing_rate", "correlation", "score_link", "item_findings_kept"):
        assert 0.7 < lines[key]["ratio"] < 1.3
    low, high = lines["correlation"]["interval"]
    assert low < 1 < high
    assert lines["c2st"]["value"] < 0.56
    assert lines["copies"]["value"] == 0
    assert sum(line["verdict"] == "unclear" for line in lines.values()) <= len(lines) / 8


def test_every_group_of_items_is_judged_with_an_interval(honest):
    lines, _ = honest
    for group in ("blood chemistry", "physiology", "questionnaire"):
        for key in ("group_marginal", "group_correlation_others", "group_partial_others", "group_score_links"):
            line = lines[key, group]
            assert line["verdict"] in ("within", "unclear")
            assert line["interval"][0] < line["ratio"] < line["interval"][1]
    assert lines["group_marginal", "physiology"]["note"] == "2 items"


def test_the_baseline_stands_beside_and_loses_the_correlations(honest):
    lines, _ = honest
    assert lines["correlation"]["baseline"] > 1.5
    assert abs(lines["correlation_slope"]["baseline"]) < 0.3
    assert lines["marginal"]["baseline"] < 1.2
    assert lines["c2st"]["baseline"] > 0.6
    assert lines["item_findings_kept"]["baseline"] < 0.3
    assert lines["score_findings_kept"]["reason"] == "fewer than ten significant associations"


def test_shuffled_columns_are_seen_in_correlations_slopes_and_classifier(cohort):
    def change(pseudo, rng):
        return pd.concat(
            [pseudo[["person", "sex", "stratum"]], shuffled(pseudo.drop(columns=["person", "sex", "stratum"]), rng)],
            axis=1,
        )

    lines, _ = evaluate(cohort, change)
    seen = ("correlation", "correlation_slope", "partial_correlation", "score_link", "score_slope", "c2st", "transfer",
            "values_not_asked", "rules_broken", "item_findings_kept")  # fmt: skip
    assert verdicts(lines, *seen) == all_beyond(*seen)
    assert lines["marginal"]["verdict"] in ("within", "unclear")


def test_halved_variance_is_seen_in_the_standard_deviation(cohort):
    lines, _ = evaluate(cohort, lambda p, _: p.assign(bmi=23 + (p["bmi"] - 23) / np.sqrt(2)))
    worst = lines["worst_deviation"]
    assert (worst["verdict"], worst["details"]["item"]) == ("beyond", "bmi")
    assert worst["note"].startswith("bmi; z: standard errors outside")
    assert worst["value"] == pytest.approx(1 / np.sqrt(2), abs=0.06)


def test_a_dropped_category_and_extra_missing_values_are_seen(cohort):
    def change(pseudo, rng):
        lost = rng.random(len(pseudo)) < 0.25
        return pseudo.assign(diet=pseudo["diet"].replace("noodles", "rice"), height=pseudo["height"].mask(lost))

    lines, _ = evaluate(cohort, change)
    worst, missing = lines["worst_category"], lines["worst_missing"]
    assert (worst["verdict"], worst["details"]["item"], worst["details"]["category"]) == ("beyond", "diet", "noodles")
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
    copies = lines["copies"]
    assert copies["verdict"] == "beyond"
    assert copies["value"] == pytest.approx(300 / N, abs=0.01)


def test_rows_that_are_all_copies_are_nearer_to_the_people_trained_on(cohort):
    people, real = cohort[:2]
    part, values = people["part"].to_numpy(dtype=str), encode(real, DICTIONARY.items)
    leak = values[part == "train"] + 0.001
    lines = row_copies(values, leak, part, np.random.default_rng(1))
    assert judged([lines["nearer_train"]])[0]["verdict"] == "beyond"


def test_copies_with_tiny_noise_are_nearer_to_the_people_trained_on(cohort):
    """An overfit model: rows of the train people, every number a little moved."""
    people, real = cohort[:2]
    rows = np.random.default_rng(6).permutation(np.flatnonzero(people["part"] == "train"))
    rows = np.resize(rows, N)

    def change(pseudo, rng):
        copied = real.iloc[rows].reset_index(drop=True)
        for name in ("glucose", "crp", "bmi", "height"):
            copied[name] += rng.normal(0, 0.01 * copied[name].std(), N)
        front = pseudo[["person", "stratum"]].assign(
            sex=np.where(people["sex"].to_numpy()[rows] == 1, "male", "female")
        )
        return pd.concat([front, copied], axis=1)

    lines, _ = evaluate(cohort, change)
    assert lines["nearer_train"]["verdict"] == "beyond"
    assert lines["copies"]["value"] == 0
    assert "beyond" not in verdicts(lines, "marginal", "correlation", "correlation_slope").values()


def test_a_lost_genetic_link_is_seen_in_the_scores_alone(cohort):
    people, real, scores, pseudo, pseudo_scores = cohort
    mixed = pseudo_scores.sample(frac=1, random_state=1).reset_index(drop=True)
    lines, _ = evaluate((people, real, scores, pseudo, mixed))
    seen = ("score_link", "score_slope", "all_score_links")
    assert verdicts(lines, *seen) == all_beyond(*seen)
    assert (
        "beyond" not in verdicts(lines, "marginal", "correlation", "correlation_slope", "item_findings_kept").values()
    )


def test_the_reversed_coding_of_an_ordinal_item_is_seen(cohort):
    turned = {"never": "current", "former": "former", "current": "never"}
    lines, _ = evaluate(cohort, lambda p, _: p.assign(smoking=p["smoking"].map(turned)))
    assert lines["worst_marginal"]["details"]["item"] == "smoking"
    seen = ("worst_marginal", "worst_category", "values_not_asked")
    assert verdicts(lines, *seen) == all_beyond(*seen)


def test_a_value_outside_the_dictionary_is_counted(cohort):
    lines, _ = evaluate(
        cohort,
        lambda p, _: p.assign(visits=p["visits"].where(p.index != 3, -1), diet=p["diet"].where(p.index != 5, "soup")),
    )
    assert lines["values_out_of_range"]["value"] == 2


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
    found = by_key(lines)
    assert {found[k]["verdict"] for k in ("score_link", "score_findings_kept", "score_findings_true")} == {
        "not measurable"
    }


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
    (line,) = judged([measure("marginal", np.nan, ratio=np.nan)])
    assert (line["verdict"], line["value"]) == ("not measurable", None)


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
    assert judged([compared("marginal", result)])[0]["verdict"] == "beyond"
    empty = against_floor(gap, real * np.nan, pseudo, halves, family, np.random.default_rng(8))
    (line,) = judged([compared("marginal", empty._replace(value=1.0))])
    assert (line["ratio"], line["verdict"]) == (None, "not measurable")


def test_halves_of_fewer_than_forty_people_get_no_verdict():
    real, pseudo, family = np.zeros((78, 1)), np.ones((60, 1)), np.arange(78).astype(str)
    halves = real_halves(family, np.repeat(["A", "B"], 39), np.random.default_rng(7))
    result = against_floor(lambda x, y: np.abs(x.mean(0) - y.mean(0)), real, pseudo, halves, family,
                           np.random.default_rng(8))  # fmt: skip
    (line,) = judged([compared("worst_missing", result, item="x")])
    assert (line["verdict"], line["ratio"]) == ("not measurable", 78)
    assert line["note"] == "too few people in a half of the holdout; x"
    few, enough = judged([measure("dispersion", 0.5, interval=(0.4, 0.6), people=n) for n in (39, 40)])
    assert (few["verdict"], enough["verdict"]) == ("not measurable", "beyond")


def test_a_set_of_components_is_compared_as_if_it_were_alone():
    rng = np.random.default_rng(9)
    real, pseudo, family = rng.normal(size=(200, 5)), rng.normal(0.2, 1, (150, 5)), np.arange(200).astype(str)
    halves = real_halves(family, np.repeat(["A", "B"], 100), np.random.default_rng(7))

    def gap(x, y):
        return np.abs(x.mean(axis=0) - y.mean(axis=0))

    sets = {"first": np.array([0, 2]), "all": np.arange(5)}
    whole = against_floor(gap, real, pseudo, halves, family, np.random.default_rng(8), sets=sets)
    alone = against_floor(gap, real[:, [0, 2]], pseudo[:, [0, 2]], halves, family, np.random.default_rng(8))
    part = whole.sets["first"]
    assert part[:3] == pytest.approx(alone[:3])
    assert part.interval == pytest.approx(alone.interval)
    assert whole.sets["all"].interval == pytest.approx(whole.interval)
    assert (part.size, whole.size, part.people) == (2, 5, 100)


def test_a_tiny_holdout_has_no_verdict_but_on_facts():
    rng, n = np.random.default_rng(14), 400
    people, scores = make_people(n, rng), make_scores(n, rng)
    people["part"] = np.where(np.arange(n) < 30, "A", np.where(np.arange(n) < 60, "B", "train"))
    people["family"] = np.arange(n).astype(str)
    real = make_items(people["sex"].to_numpy(), scores[list(TRAITS)].to_numpy(), rng)
    pseudo = pseudo_frame(people["sex"].to_numpy(), shuffled(real, rng), rng)
    lines, _ = evaluate_items(people, real, pseudo, pseudo, scores, scores, DICTIONARY, 1)
    for key in ("marginal", "correlation", "correlation_slope", "worst_marginal", "missing_rate", "dispersion"):
        line = by_key(lines)[key]
        assert line["verdict"] == "not measurable"
        assert "too few people" in line["note"]


def test_of_many_people_some_are_drawn_from_every_group(tmp_path, monkeypatch):
    """All people where they are few; else as many of a group as are looked at, the same for the same seed."""
    part = np.repeat(["train", "A", "B"], [50, 20, 20])
    monkeypatch.setattr(tables, "MOST_PEOPLE", 30)
    real, pseudo = tables.sampled(part, 29, 1)
    assert np.bincount(np.searchsorted([50], real, side="right")).tolist() == [30, 30]
    assert np.array_equal(pseudo, np.arange(29))
    assert {"A", "B"} <= set(part[real])
    assert (np.diff(real) > 0).all()
    assert np.array_equal(tables.sampled(part, 29, 1)[0], real)
    assert not np.array_equal(tables.sampled(part, 29, 2)[0], real)


def test_rows_of_a_table_on_disk_are_those_of_the_table(tmp_path):
    frame = pd.DataFrame({"person": [f"P{i}" for i in range(200_000)], "x": np.arange(200_000.0)})
    frame["when"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(frame["x"], unit="D")
    frame["kind"] = pd.Categorical(np.where(frame["x"] % 3 == 0, "a", "b"))
    frame.loc[::7, ["person", "x"]] = None
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    whole = pd.read_parquet(tmp_path / "t.parquet")
    assert number_of_rows(tmp_path / "t.parquet") == len(frame)
    for rows in (np.arange(len(frame)), np.array([0, 65_535, 65_536, 199_999]), np.array([], dtype=int)):
        pd.testing.assert_frame_equal(read_rows(tmp_path / "t.parquet", rows), whole.iloc[rows].reset_index(drop=True))
