"""Parts of the comparison of items against oracles: brute-force loops, statsmodels, scikit-learn, pandas."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import binomtest, fisher_exact, norm

from evaluation_cohort import DICTIONARY, TRAITS, make_items, make_people, make_scores, pseudo_frame
from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.evaluation.copies import _codes, _equal, row_copies
from pseudocohort.evaluation.distributions import (
    _categories,
    beyond,
    ratio_intervals,
    state_distance,
    structure_metrics,
    weighted_deviations,
)
from pseudocohort.evaluation.item_figures import shown_items
from pseudocohort.evaluation.items import GOALS, judge_items
from pseudocohort.evaluation.metrics import Comparison, compared, real_halves
from pseudocohort.evaluation.relations import correlation_columns, correlations, given
from pseudocohort.evaluation.tables import Setting, Table, make_table, prepare
from pseudocohort.measures.catalogue import judged
from pseudocohort.measures.line import measure

RULED = Dictionary(
    (
        Item("born", "date"),
        Item("seen", "date", rules=((">=", ("born",)),)),
        Item("sbp", "continuous", decimals=0, missing_codes=(("-9", "refused"), ("-8", "not measured"))),
        Item("smoker", "binary", categories=("0", "1")),
        Item("packs", "count", asked_if=(("smoker", ("1",)),), missing_codes=(("-9", "refused"),)),
    )
)


def ruled_table(n: int, rng: np.random.Generator, refused: float = 0.1) -> pd.DataFrame:
    """A frame of RULED with dates as datetimes and the columns of reasons."""
    born = pd.Series(pd.Timestamp("1950-01-01") + pd.to_timedelta(rng.integers(0, 9000, n), "D"))
    drawn = rng.random(n)
    table = pd.DataFrame({"born": born, "seen": born + pd.to_timedelta(rng.integers(1, 9000, n), "D")})
    table["sbp"] = np.where(drawn < 0.2, np.nan, rng.normal(120, 15, n).round())
    table["smoker"] = rng.integers(0, 2, n).astype(str)
    table["packs"] = np.where(table["smoker"] == "1", rng.poisson(5, n), np.nan)
    table["sbp_missing"] = np.where(drawn < refused, "refused", np.where(drawn < 0.2, "not measured", None))
    table["packs_missing"] = np.where(table["smoker"] == "0", "not asked", None)
    return table


def verdict(line: dict) -> str:
    return judged([line])[0]["verdict"]


def ruled(table: pd.DataFrame):
    people = pd.DataFrame({"sex": np.ones(len(table), dtype=int), "stratum": "x"})
    return make_table(people, table, None, RULED, (), ("x",))


def test_reasons_of_missing_values_count_and_what_is_not_asked_does_not():
    rng = np.random.default_rng(1)
    first, second = ruled(ruled_table(400, rng)), ruled(ruled_table(300, rng, refused=0.02))
    found = state_distance(first.state, second.state)
    for j, item in enumerate(RULED.items):
        x, y = (t.state[:, j][~np.isnan(t.state[:, j])] for t in (first, second))
        codes = range(len(item.reasons) + 2)
        assert found[j] == pytest.approx(sum(abs((x == c).mean() - (y == c).mean()) for c in codes) / 2)
    assert found[2] > 0.05  # as many values are missing, for other reasons
    assert found[4] == 0
    assert np.isnan(first.state[:, 4]).any()
    assert set(np.unique(first.state[:, 2])) == {0, 1, 2}


def test_dates_are_days_and_broken_rules_are_counted():
    table = ruled_table(50, np.random.default_rng(2))
    good = ruled(table)
    assert good.values[0, 0] == (table["born"][0] - pd.Timestamp("1970-01-01")).days
    goals, parts = structure_metrics(RULED.items, good)
    assert (goals["rules_broken"]["value"], verdict(goals["rules_broken"])) == (0, "within")
    table.loc[3, "seen"] = pd.Timestamp("1940-01-01")
    table.loc[7, "smoker"], table.loc[7, "packs"] = "0", 4.0
    table.loc[9, "smoker"] = "perhaps"
    goals, parts = structure_metrics(RULED.items, ruled(table))
    assert verdict(goals["rules_broken"]) == "beyond"
    assert [line["value"] for line in parts[1:]] == [1, 1]
    # A smoker of an unknown kind is asked no packs, so that value may count, too.
    assert parts[0]["value"] == 1 + int(not np.isnan(table["packs"][9]))
    assert goals["rules_broken"]["value"] == sum(line["value"] for line in parts)


def test_deviations_under_weights_equal_those_of_repeated_rows():
    rng = np.random.default_rng(3)
    x = 1e4 + rng.normal(size=(60, 3)) * [1, 5, 0.1]
    x[rng.random(x.shape) < 0.2] = np.nan
    weights = rng.integers(0, 4, (5, 60))
    oracle = [np.nanstd(np.repeat(x, w, axis=0), axis=0) for w in weights]
    np.testing.assert_allclose(weighted_deviations(x, weights.astype(float)), oracle, rtol=1e-8)


def conditions(n: int, rng: np.random.Generator) -> np.ndarray:
    return np.column_stack([rng.integers(1, 3, n), rng.integers(0, 3, n), rng.uniform(20, 80, n)]).astype(float)


def test_partial_correlations_equal_those_of_the_inverse_covariance():
    rng = np.random.default_rng(4)
    c, scores = conditions(500, rng), rng.normal(size=(500, 2))
    x = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 3)) + c[:, [2]] * [0.1, -0.05, 0.02] + scores @ np.ones((2, 3))
    dummies = np.column_stack([c[:, 1] == 1, c[:, 1] == 2])
    others = np.column_stack([c[:, 2], c[:, 2] ** 2, c[:, 0], dummies, scores])
    precision = np.linalg.inv(np.cov(np.column_stack([x, others]).T))
    scale = np.sqrt(np.diag(precision))
    oracle = -(precision / np.outer(scale, scale))[:3, :3]
    found = correlations(given(x, c, scores))
    # The inverse also holds the third item fixed; two items at a time have none.
    for i, j in ((0, 1), (0, 2), (1, 2)):
        pair = np.linalg.inv(np.cov(np.column_stack([x[:, [i, j]], others]).T))
        assert found[i, j] == pytest.approx(-pair[0, 1] / np.sqrt(pair[0, 0] * pair[1, 1]), abs=1e-9)
    assert not np.allclose(found[0, 1], oracle[0, 1])


def test_partial_correlations_with_missing_values_equal_statsmodels_and_pandas():
    rng = np.random.default_rng(5)
    c, scores = conditions(400, rng), rng.normal(size=(400, 2))
    x = rng.normal(size=(400, 4)) @ rng.normal(size=(4, 4)) + 0.05 * c[:, [2]] + scores[:, [0]]
    x[rng.random(x.shape) < [0.0, 0.3, 0.1, 0.95]] = np.nan
    terms = [c[:, 2], c[:, 2] ** 2, c[:, 0], c[:, 1] == 1, c[:, 1] == 2, scores]
    design = sm.add_constant(np.column_stack(terms).astype(float))
    design = (design - np.r_[0, design[:, 1:].mean(axis=0)]) / np.r_[1, design[:, 1:].std(axis=0)]
    residuals = {}
    for j in range(3):
        seen = ~np.isnan(x[:, j])
        residuals[j] = pd.Series(sm.OLS(x[seen, j], design[seen]).fit().resid, index=np.flatnonzero(seen))
    found = given(x, c, scores)
    np.testing.assert_allclose(correlations(found)[:3, :3], pd.DataFrame(residuals).corr(), atol=1e-9)
    assert (np.isnan(found[:, :3]) == np.isnan(x[:, :3])).all()


def test_equal_rows_equal_a_loop_over_all_pairs():
    rng = np.random.default_rng(6)
    table = rng.integers(0, 3, (160, 6)).astype(float)
    table[rng.random(table.shape) < 0.25] = np.nan
    codes = _codes(table)
    rows, others = codes[:60], codes[60:]

    def same(a, b):
        both = (a >= 0) & (b >= 0)
        return both.sum() >= 3 and (a[both] == b[both]).all()

    oracle = [any(same(a, b) for b in others) for a in rows]
    assert _equal(rows, others).tolist() == oracle
    assert 0 < sum(oracle) < 60


def test_share_nearer_to_train_is_half_by_chance_and_its_interval_finds_a_memory():
    rng = np.random.default_rng(7)
    part = np.repeat(["train", "A", "B"], [800, 200, 200])
    values, held = [], []
    for _ in range(8):
        real = rng.normal(size=(1200, 6))
        line = row_copies(real, rng.normal(size=(800, 6)), part, rng)["nearer_train"]
        values.append(line["value"])
        held.append(line["interval"][0] <= 0.5 <= line["interval"][1])
    assert np.mean(values) == pytest.approx(0.5, abs=0.02)
    assert sum(held) >= 6
    brute = np.linalg.norm(real[None] - (made := rng.normal(size=(800, 6)))[:, None], axis=2).argmin(axis=1) < 800
    odds = brute.mean() / (1 - brute.mean()) / 2  # two trained on for each who is not
    line = row_copies(real, made, part, rng)["nearer_train"]
    assert line["value"] == pytest.approx(odds / (1 + odds), abs=0.01)  # scaled by spread, which is 1 but for chance
    near = real[:800] + 0.6 * rng.normal(size=(800, 6))
    line = row_copies(real, near, part, rng)["nearer_train"]
    assert verdict(line) == "beyond"
    assert line["interval"][0] > 0.52


def test_chance_copies_are_within_and_more_of_them_are_not():
    rng = np.random.default_rng(8)
    part = np.repeat(["train", "A", "B"], [300, 100, 100])
    real, pseudo = (rng.integers(0, 3, (500, 5)).astype(float) for _ in range(2))
    line = row_copies(real, pseudo, part, rng)["copies"]
    assert line["floor"] > 0.5
    assert verdict(line) in ("within", "unclear")
    assert line["interval"][0] < line["value"] < line["interval"][1]
    oracle = [(np.delete(real[:300], i, 0) == row).all(axis=1).any() for i, row in enumerate(real[:300])]
    oracle += [(real[:300] == row).all(axis=1).any() for row in real[300:]]
    assert line["floor"] == np.mean(oracle)
    wide, new = rng.normal(size=(420, 5)), rng.normal(size=(200, 5))
    new[:10] = wide[:10]
    line = row_copies(wide, new, part[:420], rng)["copies"]
    assert (line["value"], verdict(line)) == (0.05, "beyond")
    assert line["z"] == pytest.approx(norm.isf(fisher_exact([[10, 190], [0, 420]], alternative="greater").pvalue))
    new[1:10] += 1  # one row of 200 may be chance's where no more than 420 real rows are known
    assert verdict(row_copies(wide, new, part[:420], rng)["copies"]) == "unclear"


def test_a_single_copied_row_is_beyond_where_no_two_real_rows_are_equal():
    rng = np.random.default_rng(18)
    part = np.repeat(["train", "A", "B"], [1600, 200, 199])
    real, pseudo = rng.normal(size=(1999, 6)), rng.normal(size=(1596, 6))
    line = row_copies(real, pseudo, part, rng)["copies"]
    assert (line["value"], line["floor"], verdict(line)) == (0, 0, "within")
    pseudo[7] = real[3]
    line = row_copies(real, pseudo, part, rng)["copies"]
    assert (line["details"]["found"], line["details"]["shared"], verdict(line)) == (1, "0", "beyond")
    real[11] = real[12]  # two twins: chance equality is known, and of so few no number is told
    line = row_copies(real, pseudo, part, rng)["copies"]
    assert line["details"]["shared"] == "< 5"
    assert line["floor"] == 5 / 1999
    assert verdict(line) == "within"
    pseudo[:60] = real[:60]
    assert verdict(row_copies(real, pseudo, part, rng)["copies"]) == "beyond"


def test_intervals_of_category_ratios_are_exact_and_tell_a_total_loss():
    counts, n = np.array([[20, 40, 480], [0, 40, 300]]), np.array([[1596, 1000, 1596], [1596, 2000, 1596]])
    low, high = ratio_intervals(counts, n)
    for k in range(3):
        exact = binomtest(int(counts[1, k]), int(counts[:, k].sum())).proportion_ci(1 - 0.05 / 3)
        scale = n[0, k] / n[1, k]
        assert low[k] == pytest.approx(scale * exact.low / (1 - exact.low), rel=1e-6)
        assert high[k] == pytest.approx(scale * exact.high / (1 - exact.high), rel=1e-6)
    assert high[0] < 0.8  # nobody where twenty were expected, as one of three categories ...
    assert ratio_intervals(np.repeat(counts[:, :1], 500, axis=1), n[:, :1])[1].max() < 0.8  # ... and of five hundred
    assert low[1] < 0.5 < high[1]


@pytest.mark.parametrize(("carriers", "made", "expected"), [(22, 0, "beyond"), (22, 21, "within"), (22, 13, "unclear")])
def test_a_lost_rare_category_is_beyond_and_a_rarer_one_is_unclear(carriers, made, expected):
    """A category of 22 founders: beside it a common one, which is well met."""
    items = (Item("rare", "binary", categories=("no", "yes")), Item("common", "binary", categories=("no", "yes")))
    tables = []
    for count in (carriers, made):
        values = np.zeros((2000, 2))
        values[:count, 0], values[::4, 1] = 1, 1
        tables.append(Table(*[values] * 6))
    part = np.repeat(["train", "A", "B"], [1600, 200, 200])
    tables[1] = tables[1]._replace(values=tables[1].values[:1600])
    rng = np.random.default_rng(1)
    setting = Setting(items, np.arange(2000), part, real_halves(np.arange(2000), part, rng), (), rng)
    line = next(one for one in _categories(setting, *tables) if one["key"] == "worst_category")
    assert verdict(line) == expected
    assert expected == "within" or (line["details"]["item"], line["details"]["category"]) == ("rare", "yes")


def test_verdict_is_unclear_where_the_interval_alone_reaches_the_goal():
    result = Comparison(1.0, 0.9, 1.11, (1.04, 1.2), np.array([]))
    assert verdict(compared("marginal", result)) == "unclear"
    assert verdict(compared("marginal", result._replace(ratio=1.04))) == "within"
    assert verdict(compared("marginal", result._replace(interval=(1.06, 1.2)))) == "beyond"
    assert verdict(compared("marginal", result._replace(interval=(np.nan, np.nan)))) == "beyond"
    assert verdict(measure("correlation_slope", 0.95, interval=(0.93, 0.98))) == "unclear"
    assert verdict(measure("correlation_slope", 0.95, interval=(0.93, 0.96))) == "beyond"
    assert verdict(measure("transfer", 1.2, interval=(1.1, 1.3))) == "within"
    assert verdict(measure("c2st", 0.6, interval=(0.56, 0.7))) == "beyond"


def test_standard_errors_outside_of_what_is_tolerated():
    z = beyond(np.log([0.8, 0.95, 1.3, 1e-300]), np.array([0.1, 0.1, 0.05, 0.1]), np.log((0.9, 1.1)))
    assert z[:3] == pytest.approx([np.log(0.8 / 0.9) / 0.1, 0, np.log(1.3 / 1.1) / 0.05])
    assert z[3] == -99
    assert beyond(np.array([-np.inf]), np.array([0.1]), np.log((0.9, 1.1))).tolist() == [-99]


def test_of_very_many_items_every_group_shows_its_share_of_those_farthest_from_the_real_ones():
    groups = ["a"] * 30 + ["b"] * 3 + ["c"] * 60
    ratio, drawable = np.arange(93.0), np.arange(93) != 92
    shown = shown_items(groups, drawable, ratio, 31)
    assert [groups[s[0]] for s in shown] == ["a", "b", "c"]
    assert [len(s) for s in shown] == [10, 1, 19]
    assert shown[0].tolist() == list(range(20, 30))
    assert shown[2].tolist() == list(range(73, 92))
    assert [len(s) for s in shown_items(groups, drawable, ratio, 92)] == [30, 3, 59]
    assert len(shown_items([str(g) for g in range(93)], drawable, ratio, 31)) == 31


def test_correlation_columns_are_capped_at_random():
    items = tuple(Item(f"i{j}", "continuous") for j in range(450))
    train = np.random.default_rng(9).normal(size=(60, 450))
    columns = correlation_columns(items, train, np.zeros_like(train), np.random.default_rng(10))
    assert (len(columns.item), columns.left_out) == (400, 50)
    assert (np.diff(columns.item) > 0).all()


@pytest.mark.parametrize("kind", ["train", "no scores"])
def test_every_goal_is_judged_for_the_train_people_as_pseudo_and_without_scores(kind):
    rng = np.random.default_rng(11)
    people, scores = make_people(700, rng), make_scores(700, rng)
    real = make_items(people["sex"].to_numpy(), scores[list(TRAITS)].to_numpy(), rng)
    train = (people["part"] == "train").to_numpy()
    if kind == "train":
        made, new = real[train], scores[train]
    else:
        made = make_items(people["sex"].to_numpy(), scores[list(TRAITS)].to_numpy()[:, [1, 0, 3, 2]], rng)[train]
        new = scores[train][["person"]]
    sex = people["sex"].to_numpy()[train]
    pseudo = pseudo_frame(sex, made.reset_index(drop=True), rng)
    setting, *tables, _ = prepare(people, real, scores, pseudo, new.reset_index(drop=True), DICTIONARY, 1)
    goals = judge_items(setting, *tables, link_parts=("A", "B"))
    assert tuple(goals) == GOALS
    if kind == "train":
        assert all(line["value"] is not None for line in goals.values())
        assert goals["copies"]["value"] == goals["nearer_train"]["value"] == 1
        assert verdict(goals["copies"]) == verdict(goals["nearer_train"]) == "beyond"
        assert goals["transfer"]["value"] == pytest.approx(1, abs=0.05)
        assert goals["dispersion"]["value"] == pytest.approx(1)
    else:
        assert verdict(goals["score_link"]) == verdict(goals["score_slope"]) == "not measurable"
        assert goals["copies"]["value"] == 0


def test_a_baseline_beside_changes_no_other_number():
    rng = np.random.default_rng(12)
    people, scores, new = make_people(500, rng), make_scores(500, rng), make_scores(300, rng)
    real = make_items(people["sex"].to_numpy(), scores[list(TRAITS)].to_numpy(), rng)
    sex = rng.integers(1, 3, 300)
    pseudo = pseudo_frame(sex, make_items(sex, new[list(TRAITS)].to_numpy(), rng), rng)
    found = []
    for baseline in (None, pseudo.sample(frac=1, random_state=1).reset_index(drop=True)):
        setting, *tables, naive = prepare(people, real, scores, pseudo, new, DICTIONARY, 1, baseline)
        found.append(judge_items(setting, *tables, naive=naive))
    alone, beside = found
    assert [line["baseline"] for line in alone.values()] == [None] * len(GOALS)
    assert sum(line["baseline"] is not None for line in beside.values()) == 4
    assert alone == {key: line | {"baseline": None} for key, line in beside.items()}
