"""What is told of real people: no number of fewer than five, nor one that follows from the others."""

import itertools
from collections import Counter

import numpy as np
import pytest

from pseudocohort.cohort.dictionary import Item
from pseudocohort.evaluation.item_figures import _by_decile, density, marginals, missing_rates
from pseudocohort.evaluation.metrics import real_halves
from pseudocohort.evaluation.real_cells import few_or_number, hidden_cells, merged_counts, whole_tens
from pseudocohort.evaluation.tables import Setting, Table
from pseudocohort.report import style
from pseudocohort.report.figures_items import deciles
from pseudocohort.report.figures_items import marginals as draw


def test_hidden_cells_are_never_few_people_in_all_small_tables():
    for counts in itertools.product((0, 1, 3, 4, 5, 8, 40), repeat=4):
        counts = np.array(counts)
        for nobody in (False, True):
            hidden = hidden_cells(counts, nobody)
            shown = counts[~hidden]
            assert not ((shown > 0) & (shown < 5)).any()
            assert not nobody or not (shown == 0).any()
            assert not hidden.any() or hidden.all() or counts[hidden].sum() >= 5
            few = (counts < 5) & ((counts > 0) | nobody)
            if not few.any() or counts[few].sum() >= 5:
                np.testing.assert_array_equal(hidden, few)  # no more than it takes


def test_cells_of_two_numbers_hide_both():
    cases = np.array([[2, 98], [30, 70], [9, 91], [50, 50]])
    assert hidden_cells(cases).tolist() == [True, False, True, False]
    assert hidden_cells(np.array([[0, 60], [30, 30], [20, 40]]), nobody=True).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ([376, 19, 2, 1, 1], [376, *[23 / 4] * 4]),
        ([376, 19, 2, 0, 3, 0], [376, 19, 5 / 3, 5 / 3, 5 / 3, 0]),
        ([0, 3, 0, 2, 9], [0, 5 / 3, 5 / 3, 5 / 3, 9]),
        ([1, 2, 0], [0, 0, 0]),
        ([6, 7, 0, 8], [6, 7, 0, 8]),
    ],
)
def test_few_people_are_spread_over_a_stretch_with_their_neighbours(counts, told):
    found = merged_counts(np.array(counts))
    np.testing.assert_allclose(found, told)
    assert found.sum() in (0, pytest.approx(sum(counts)))


def test_stretches_of_unequal_bins_have_one_density_and_random_ones_hold_five():
    width = np.array([1.0, 1.0, 3.0])
    assert (merged_counts(np.array([10, 2, 4]), width) / width).tolist() == [10, 1.5, 1.5]
    rng = np.random.default_rng(1)
    for _ in range(200):
        counts = rng.poisson(rng.choice([0.3, 2, 8]), 30)
        found = merged_counts(counts)
        assert found.sum() == pytest.approx(counts.sum() if counts.sum() >= 5 else 0)
        runs = np.split(found, np.flatnonzero(np.diff(found)) + 1)
        assert not [run for run in runs if 0 < run.sum() < 5 - 1e-9]


def test_few_values_beyond_the_edges_do_not_follow_from_the_density():
    values = np.concatenate([np.repeat([0.5, 1.5, 2.5], 30), [-4.0, 9.0, 9.5]])
    edges = np.arange(4.0)
    assert (density(values, edges) * 93).tolist() == [30, 30, 30]
    assert density(values, edges, real=True) * 93 == pytest.approx([31, 30, 32])
    many = np.concatenate([values, [9.0] * 5])
    assert density(many, edges, real=True) * 98 == pytest.approx([30, 30, 30])


def test_numbers_in_tens_and_in_words():
    assert whole_tens(np.array([1596, 1595, 9])).tolist() == [1590, 1590, 0]
    assert [few_or_number(k) for k in (0, 1, 4, 5, 12)] == ["0", "< 5", "< 5", "5", "12"]


def test_missing_rates_of_one_to_four_people_are_not_told():
    values = np.ones((100, 6))
    for j, missing in enumerate((0, 3, 5, 97, 95, 100)):
        values[:missing, j] = np.nan
    np.testing.assert_allclose(missing_rates(values, real=True), [0, np.nan, 0.05, np.nan, 0.95, 1])
    np.testing.assert_allclose(missing_rates(values, real=False), [0, 0.03, 0.05, 0.97, 0.95, 1])


def setting_of(values: np.ndarray, items: tuple) -> tuple[Setting, Table]:
    part = np.repeat(["train", "A", "B"], [1600, 200, 200])
    rng, everyone = np.random.default_rng(1), np.arange(2000)
    return Setting(items, everyone, part, real_halves(everyone, part, rng), (), rng), Table(*[values] * 6)


def test_rare_categories_are_not_told_by_what_the_others_lack(tmp_path):
    """Of 1,600 founders 3 have the disease and 2 eat otherwise; 25 have the other disease, 4 of them in the holdout."""
    items = (Item("rare", "binary", categories=("no", "yes")), Item("known", "binary", categories=("no", "yes")),
             Item("diet", "nominal", categories=("a", "b", "c", "d")), Item("x", "continuous"))  # fmt: skip
    rng = np.random.default_rng(2)
    values = np.zeros((2000, 4))
    values[:3, 0] = values[:25, 1] = values[1600:1604, 1] = 1
    values[:, 2] = rng.integers(0, 2, 2000)
    values[:2, 2], values[2:40, 2] = 3, 2
    values[:, 3] = rng.normal(size=2000)
    values[5:8, 3] = np.nan
    setting, table = setting_of(values, items)
    arrays = marginals(setting, table, table, None, np.ones(4))
    assert arrays["marginal/shown"].tolist() == [1, 2, 3]
    assert arrays["marginal/1/shares"][0] == pytest.approx([1575 / 1600, 25 / 1600])
    assert np.isnan(arrays["marginal/1/holdout"]).all()
    assert arrays["marginal/2/categories"] == ["a", "b"]
    assert 1600 * (1 - arrays["marginal/2/shares"][0].sum()) == pytest.approx(40)
    assert np.isnan(arrays["items/missing"][0, 3])
    assert arrays["items/missing"][1, 3] == 3 / 2000
    edges, held = arrays["marginal/3/edges"], arrays["marginal/3/holdout"]
    told = 400 * (held * np.diff(edges)).sum()
    beyond = ((values[1600:, 3] < edges[0]) | (values[1600:, 3] > edges[-1])).sum()
    assert told == pytest.approx(400 if beyond < 5 else 400 - beyond)
    style.drawn(draw, arrays, tmp_path / "m.svg")
    text = (tmp_path / "m.svg").read_text(encoding="utf-8")
    assert "missing: real – %, pseudo 0 %" in text
    assert "real holdout (noise floor)" in text


def test_deciles_of_a_rare_disease_tell_neither_a_few_nor_nobody():
    """Zero of a decile would tell of all its members; and one hidden decile would follow from the whole."""
    score = np.repeat(np.arange(10.0), 100)
    cuts = np.arange(0.5, 9)
    for cases, shown in (([0, *[10] * 9], 8), ([3, *[10] * 9], 8), ([0, 4, 4, *[10] * 7], 7), ([50] * 10, 10),
                         ([0] * 10, 0), ([100, *[10] * 9], 8)):  # fmt: skip
        values = np.concatenate([np.repeat([1.0, 0.0], [c, 100 - c]) for c in cases])
        seen = np.isfinite(_by_decile(score, values, cuts, binary=True)[0])
        assert seen.sum() == shown
        hidden = np.array(cases)[~seen]
        assert shown in (0, 10) or min(hidden.sum(), (100 - hidden).sum()) >= 5
        assert _by_decile(score, values, cuts, True)[0][seen].tolist() == (np.array(cases)[seen] / 100).tolist()
    levels = np.random.default_rng(3).integers(0, 4, 1000).astype(float)
    assert np.isfinite(_by_decile(score, levels, cuts)).all()
    assert Counter(np.isnan(_by_decile(score, np.ones(1000), cuts, binary=True)).ravel()) == {True: 20}
    assert deciles({}) is None
