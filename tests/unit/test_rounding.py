"""Rounding learnt from real values: decimals, significant digits, heaping."""

import json

import numpy as np
import pytest

from pseudocohort.phenotype.quantiles import fit_quantile
from pseudocohort.phenotype.rounding import (
    digits,
    fit_rounding,
    round_significant,
    rounding_from_json,
    rounding_to_json,
)


def drawn(values, decimals=None, n=20_000, seed=3):
    """(rounding, values drawn by quantile and rounding alone)."""
    quantile = fit_quantile(values)
    rounding = fit_rounding(values, quantile.steps, decimals)
    rounding = rounding_from_json(json.loads(json.dumps(rounding_to_json(rounding))))
    share = (np.arange(n) + 0.5) / n
    return rounding, rounding.apply(quantile.value(share), share, np.random.default_rng(seed).random(n))


def multiples(values, unit):
    return np.mean(np.abs(values / unit - np.rint(values / unit)) < 1e-6)


@pytest.mark.parametrize(
    ("values", "places"),
    [
        ([1234567.0, 7654321.0], 0),
        ([0.000012, 0.000345], 6),
        ([1e-9, 2.5e-8], 9),
        ([-3.5, 2.25], 2),
        ([5.0, 7.0], 0),
        ([], 0),
        (np.float32([5.1, 7.2, 1000.3]).astype(float), 1),
        ([0.1 + 0.2, 0.7], 1),
    ],
)
def test_digits(values, places):
    assert digits(np.array(values, dtype=float)) == places


@pytest.mark.parametrize("n", [150, 3000])
def test_a_scale_read_to_the_half_gives_halves_only(n):
    values = np.round(np.random.default_rng(1).normal(65, 12, n) * 2) / 2
    rounding, pseudo = drawn(values)
    assert (rounding.decimals, rounding.grains) == (1, (5,))
    assert multiples(pseudo, 0.5) == 1
    assert multiples(pseudo, 1) == pytest.approx(multiples(values, 1), abs=0.03)


@pytest.mark.parametrize("n", [300, 3000])
def test_heaping_comes_out_as_it_is(n):
    """Nine in ten weights are whole, the others have a decimal."""
    random = np.random.default_rng(2)
    exact = random.normal(65, 12, n)
    values = np.where(random.random(n) < 0.9, np.round(exact), np.round(exact, 1))
    _, pseudo = drawn(values)
    assert multiples(pseudo, 1) == pytest.approx(multiples(values, 1), abs=0.02)
    assert multiples(pseudo, 0.1) == 1
    assert digits(pseudo) == 1
    ends = [np.mean(v[multiples_of_five(v)] > 80) for v in (values, pseudo)]
    assert ends[0] == pytest.approx(ends[1], abs=0.05)


def multiples_of_five(values):
    return np.abs(values / 5 - np.rint(values / 5)) < 1e-6


def test_preferred_end_digits_of_few_people():
    """Every other blood pressure is read to the ten, the others to the unit; hardly any value is held by ten people."""
    random = np.random.default_rng(3)
    exact = random.normal(500, 120, 900)
    values = np.where(random.random(900) < 0.5, np.round(exact, -1), np.round(exact))
    rounding, pseudo = drawn(values)
    assert {10, 1} <= set(rounding.grains)
    assert multiples(pseudo, 10) == pytest.approx(multiples(values, 10), abs=0.04)


def test_plain_values_have_one_grain():
    """No mixture where rounding is plain: 200 samples, each with a false alarm below 1 %."""
    seen = []
    for seed in range(200):
        random = np.random.default_rng(seed)
        values = random.normal(100, 15, 800).round(random.integers(0, 3))
        seen.append(fit_rounding(values, fit_quantile(values).steps).grains)
    assert sum(grains != (1,) for grains in seen) <= 8  # P(more) < 1e-3 at 1 %


@pytest.mark.parametrize(("scale", "limit"), [(-11, 3), (0, 4), (12, 4)])
def test_significant_digits_where_the_size_varies(scale, limit):
    values = np.exp(np.random.default_rng(4).normal(scale, 2, 1500))
    values = np.array([float(f"{v:.{limit}g}") for v in values])
    rounding, pseudo = drawn(values)
    assert rounding.significant == limit
    assert all(float(f"{v:.{limit}g}") == v for v in pseudo)
    np.testing.assert_array_equal(round_significant(values, limit), values)
    assert (pseudo > 0).all()


def test_large_round_numbers_and_negative_ones():
    random = np.random.default_rng(5)
    income = np.round(random.normal(40_000, 12_000, 1500), -3)
    rounding, pseudo = drawn(income)
    assert rounding.grains == (1000,)
    assert multiples(pseudo, 1000) == 1
    below = random.normal(-3, 2, 1500).round(2)
    rounding, pseudo = drawn(below)
    assert rounding.decimals == 2
    assert pseudo.min() < -7
    assert not np.signbit(pseudo[pseudo == 0]).any()


def test_decimals_of_the_dictionary_rule():
    values = np.random.default_rng(6).normal(10, 2, 800)
    rounding, pseudo = drawn(values, decimals=1)
    assert rounding.decimals == 1
    assert digits(pseudo) == 1
    assert pseudo.std() == pytest.approx(values.std(), rel=0.03)


def test_inward_is_on_the_right_side():
    values = np.random.default_rng(7).normal(10, 2, 800).round(1)
    rounding, _ = drawn(values)
    bound = np.array([1.23, -1.23, 4.5, np.inf, -np.inf, 0.1 + 0.2])
    up, down = rounding.inward(bound, 1), rounding.inward(bound, -1)
    np.testing.assert_array_equal(up[:5], [1.3, -1.2, 4.5, np.inf, -np.inf])
    np.testing.assert_array_equal(down[:5], [1.2, -1.3, 4.5, np.inf, -np.inf])
    assert (up >= bound).all()
    assert (down <= bound).all()
