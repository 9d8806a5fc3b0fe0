"""Smoothed quantiles, atoms, rules and the condition matrix."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from latents import decode, normal_latents
from pseudocohort.cohort.dictionary import Dictionary, Item, structurally_missing
from pseudocohort.errors import InputError
from pseudocohort.phenotype.atoms import encoding_from_json, encoding_to_json
from pseudocohort.phenotype.conditions import (
    condition_matrix,
    conditions_from_json,
    conditions_to_json,
    draw_age,
    fit_ages,
    fit_conditions,
    natural_spline,
    sex_codes,
)
from pseudocohort.phenotype.decoding import people_table
from pseudocohort.phenotype.encoding import encode, fit_encoding
from pseudocohort.phenotype.quantiles import PEOPLE, fit_quantile
from pseudocohort.phenotype.rounding import digits
from pseudocohort.phenotype.rules import asked_in_table, sampling_order

MALE, FEMALE = (("sex", ("male",)),), (("sex", ("female",)),)


def mixed_table(n=1500, seed=3):
    """(phenotypes, dictionary, sex) with every type, a skip chain, a panel missing together, a detection limit."""
    random = np.random.default_rng(seed)
    sex = random.integers(1, 3, n).astype(np.int8)
    crp = np.maximum(np.round(np.exp(random.normal(-1, 1, n)), 2), 0.3)
    smoke = random.choice(["never", "past", "now"], n, p=[0.5, 0.3, 0.2])
    packs = np.where(smoke == "never", np.nan, random.poisson(12, n))
    births = np.where(sex == 2, random.poisson(1.6, n), np.nan)
    panel = random.normal(size=(n, 2)).round(3)
    panel[random.random(n) < 0.1] = np.nan
    table = pd.DataFrame(
        {
            "packs": packs,
            "crp": crp,
            "smoke": smoke,
            "births": births,
            "m1": panel[:, 0],
            "m2": panel[:, 1],
            "blood": random.choice(["A", "B", "O", "AB"], n, p=[0.4, 0.2, 0.3, 0.1]),
            "pain": random.choice(["0", "1", "2", "3"], n, p=[0.4, 0.3, 0.2, 0.1]),
            "ill": random.choice(["0", "1"], n, p=[0.97, 0.03]),
        }
    )
    table.loc[random.random(n) < 0.07, "pain"] = np.nan
    rows = (
        Item("packs", "count", asked_if=(("smoke", ("past", "now")),)),
        Item("crp", "continuous", detection_limit=0.3, decimals=2),
        Item("smoke", "nominal", categories=("never", "past", "now")),
        Item("births", "count", asked_if=FEMALE),
        Item("m1", "continuous", decimals=3),
        Item("m2", "continuous", decimals=3),
        Item("blood", "nominal", categories=("A", "AB", "B", "O")),
        Item("pain", "ordinal", categories=("0", "1", "2", "3")),
        Item("ill", "binary", categories=("0", "1")),
    )
    return table, Dictionary(rows), sex


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(1).lognormal(size=2000),
        np.random.default_rng(2).poisson(3, 1500).astype(float),
        np.maximum(np.random.default_rng(3).normal(size=900), 0),
        np.random.default_rng(4).integers(0, 9, 300) * 5.0,
        np.random.default_rng(5).standard_t(2, 1200),
        np.random.default_rng(6).normal(size=60),
    ],
)
def test_quantile_is_monotone_inverts_and_keeps_the_distribution(values):
    q = fit_quantile(values)
    assert (np.diff(q.u) >= 0).all()
    assert (np.diff(q.x) >= 0).all()
    u = (np.arange(20_000) + 0.5) / 20_000
    x = q.value(u)
    # the smoothing moves no more than a group of k neighbours (k = 5 below 100 values, where it is coarser)
    allowed = PEOPLE / len(values) if len(values) >= 100 else 0.1
    assert stats.ks_2samp(x, values, method="asymp").statistic < allowed
    assert abs(np.median(x) - np.median(values)) < 0.1 * values.std()
    inner = slice(1000, 19_000)  # a single extreme may carry any share of the whole variance
    assert 0.95 < x[inner].std() / np.quantile(values, u[inner]).std() < 1.05
    below, upto = q.interval(x)
    inside = slice(400, 19_600)  # beyond the last knots the function is flat
    assert (below[inside] <= u[inside] + 1e-6).all()
    assert (u[inside] <= upto[inside] + 1e-6).all()


def test_quantile_hands_out_no_extreme_and_no_rare_value():
    values = np.random.default_rng(8).normal(100, 10, 1000)
    values[:3] = [400.0, 390.0, -200.0]
    drawn = fit_quantile(values).value(np.linspace(0.0005, 0.9995, 1000))
    assert not np.isin(drawn, values).any()
    moved = values.copy()
    moved[0] = 410.0  # one person's extreme moves the tail by a k-th of itself only
    assert np.abs(fit_quantile(moved).value(0.9995) - fit_quantile(values).value(0.9995)) < 10 / PEOPLE * 6


def test_quantile_steps_carry_exactly_their_shares_and_a_limit_is_always_one():
    values = np.concatenate([np.repeat(0.5, 3), np.repeat(2.0, 40), np.random.default_rng(1).uniform(2.1, 9, 157)])
    q = fit_quantile(values, public=(0.5,))
    np.testing.assert_allclose(q.steps, [[0.5, 0, 0.015], [2.0, 0.015, 0.215]])
    np.testing.assert_allclose(q.interval(np.array([0.5, 2.0])), [[0, 0.015], [0.015, 0.215]])
    assert fit_quantile(values, upper=8.0).value(1.0) == 8.0
    assert fit_quantile(np.random.default_rng(1).exponential(size=500)).value(0.0) >= 0


def test_tails_are_as_heavy_as_the_groups_show():
    """Mean ratio of the SD of the quantile function to that of its 300 samples of 450; exponential tails alone give
    0.976 for the log-normal and 0.979 for t with 3 degrees of freedom."""
    random = np.random.default_rng(1)
    u = (np.arange(20_000) + 0.5) / 20_000
    for draw, low, high in (
        (lambda: np.exp(random.normal(size=450)), 0.975, 1.005),
        (lambda: random.standard_t(3, 450), 0.975, 1.005),
        (lambda: random.normal(size=450), 0.995, 1.005),
        (lambda: random.exponential(size=450), 0.995, 1.008),
    ):
        ratios = [fit_quantile(v).value(u).std() / v.std() for v in (draw() for _ in range(300))]
        assert low < np.mean(ratios) < high


def test_positive_values_stay_positive_and_an_outlier_stretches_nothing():
    values = np.exp(np.random.default_rng(2).normal(0, 1.5, 1000))
    u = (np.arange(20_000) + 0.5) / 20_000
    x = fit_quantile(values).value(u)
    assert values.min() / 4 < x.min() < 4 * values.min()
    assert fit_quantile(values, lower=0.0).value(0.0) > 0
    assert np.log(x).std() == pytest.approx(np.log(values).std(), rel=0.02)
    spoilt = values.copy()
    spoilt[7] *= 1e6
    assert fit_quantile(spoilt).value(u).max() < 30 * np.sort(values)[-5]
    mirrored = fit_quantile(-spoilt).value(u)
    np.testing.assert_allclose(-mirrored[::-1][300:], fit_quantile(spoilt).value(u)[300:], rtol=1e-6)


@pytest.mark.parametrize("flip", [1, -1])
@pytest.mark.parametrize(("offset", "wild"), [(0, 250_000.0), (1000, 250_000.0), (0, 1e12)])
def test_an_outlier_beyond_the_last_step_decides_nothing(flip, offset, wild):
    """Ten to nineteen people beyond the outermost step are a lone group, without a group before it to compare with."""
    u = np.array([0.99, 0.993, 0.997, 1.0])
    u = u if flip > 0 else 1 - u
    heaped, beyond = np.repeat(np.arange(10.0), 100), np.arange(11.0, 22.0)

    def tail(last):
        return flip * fit_quantile(flip * np.concatenate([heaped, beyond, [last]]) + offset).value(u) - flip * offset

    clean, spoilt = tail(22.0), tail(wild)
    assert clean[0] == pytest.approx(10.3, abs=0.1)
    assert (spoilt - 9 < 1.5 * (clean - 9)).all()
    np.testing.assert_allclose(tail(100 * wild), spoilt)


def test_a_value_near_zero_below_the_first_step_decides_nothing():
    """Tails of positive values run over logarithms, where a tiny value is far out."""
    heaped, below = np.repeat(np.arange(50.0, 60.0), 100), np.linspace(5.0, 20.0, 11)
    u = np.linspace(0, 0.012, 7)
    clean, spoilt = (fit_quantile(np.concatenate([heaped, below, [least]])).value(u) for least in (4.0, 1e-30))
    assert (clean > 0).all()
    np.testing.assert_allclose(np.log(spoilt), np.log(clean), atol=2.0)


def test_encode_then_decode_gives_back_every_value_that_is_not_smoothed():
    table, dictionary, sex = mixed_table()
    encoding = fit_encoding(table, sex, dictionary)
    data = encode(encoding, table, sex)
    assert [i.name for i in encoding.items][:3] == ["crp", "smoke", "packs"]
    middle = np.where(data.dense, data.low, np.where(data.active, data.score, 0.0))
    decoder = decode(encoding, middle.astype(float), sex, np.full(middle.shape, 0.5))
    back = pd.DataFrame({name: decoder.column(name) for name in encoding.names})
    for name in ("smoke", "blood", "pain", "ill", "births", "packs"):
        same = (back[name] == table[name]) | (back[name].isna() & table[name].isna())
        assert same.mean() > 0.98, name  # rare counts in the tail are smoothed
    for name in ("crp", "m1"):
        known = table[name].notna()
        assert (back[name].notna() == known).all()
        assert stats.spearmanr(back.loc[known, name], table.loc[known, name])[0] > 0.98
        assert digits(back[name].dropna().to_numpy()) <= dictionary[name].decimals
    assert (back["crp"] == 0.3).mean() == pytest.approx((table["crp"] == 0.3).mean(), abs=0.005)


def test_scores_are_conditional_means_of_a_standard_normal():
    table, dictionary, sex = mixed_table()
    encoding = fit_encoding(table, sex, dictionary)
    data = encode(encoding, table, sex)
    atom = encoding.items[encoding.index["pain"]].atoms[0]
    on = data.active[:, atom]
    for low, high, score in np.unique(np.column_stack([a[on, atom] for a in data[:3]]), axis=0):
        assert score == pytest.approx(stats.truncnorm.mean(low, high), abs=2e-3)
    assert abs(data.score[on, atom].mean()) < 1e-3
    assert (data.score[~data.active] == 0).all()


def test_items_missing_together_share_one_atom():
    table, dictionary, sex = mixed_table()
    encoding = fit_encoding(table, sex, dictionary)
    item = {i.name: i for i in encoding.items}
    assert item["m1"].missing_atom == item["m2"].missing_atom >= 0
    assert item["pain"].missing_atom not in (-1, item["m1"].missing_atom)
    assert item["births"].missing_atom == -1
    assert sum(a.kind == "missing" for a in encoding.atoms) == 2


def test_rules_agree_with_the_dictionary_module():
    table, dictionary, sex = mixed_table()
    table.loc[:40, "smoke"] = np.nan
    sex[30:60] = 0
    asked = asked_in_table(sampling_order(dictionary), table, sex)
    theirs = structurally_missing(dictionary, table, sex)
    np.testing.assert_array_equal(np.column_stack([~asked[n] for n in dictionary.names]), theirs)


def test_encoding_survives_json():
    table, dictionary, sex = mixed_table(400)
    encoding = fit_encoding(table, sex, dictionary)
    again = encoding_from_json(json.loads(json.dumps(encoding_to_json(encoding))))
    for mine, other in zip(encode(encoding, table, sex), encode(again, table, sex), strict=True):
        np.testing.assert_array_equal(mine, other)
    assert again.atoms == encoding.atoms


def independent_people(table, dictionary, sex, new_sex, seed):
    """The table of people whose latents are independent."""
    encoding = fit_encoding(table, sex, dictionary)
    latent = normal_latents(seed, "test latents", len(new_sex), len(encoding.atoms))
    uniform = np.random.default_rng(seed).random(latent.shape)
    decoder = decode(encoding, latent, new_sex, uniform)
    return people_table(decoder, new_sex, np.full(len(new_sex), 50.0), np.repeat("all", len(new_sex)))


def test_marginals_have_the_distributions_and_no_correlation_and_break_no_rule():
    table, dictionary, sex = mixed_table()
    table["m2"] = table["m1"] * 0.9
    new_sex = np.tile([1, 2], 2000).astype(np.int8)
    pseudo = independent_people(table, dictionary, sex, new_sex, 5)
    assert list(pseudo.columns) == ["sex", "age", "stratum", *dictionary.names]
    present = pseudo[list(dictionary.names)].notna().to_numpy()
    assert not (structurally_missing(dictionary, pseudo, new_sex) & present).any()
    assert abs(pseudo["m1"].corr(pseudo["m2"])) < 0.08  # 5 standard errors of a correlation of 0
    for name in ("crp", "m1", "packs"):
        assert stats.ks_2samp(pseudo[name].dropna(), table[name].dropna(), method="asymp").statistic < 0.02
    for name in ("blood", "smoke", "ill", "pain"):
        shares = [t[name].value_counts(normalize=True) for t in (pseudo, table)]
        assert (shares[0] - shares[1]).abs().max() < 0.01
    assert pseudo["pain"].isna().mean() == pytest.approx(table["pain"].isna().mean(), abs=0.005)
    assert pseudo["packs"].dropna().mod(1).eq(0).all()
    again = independent_people(table, dictionary, sex, new_sex, 5)
    pd.testing.assert_frame_equal(pseudo, again)
    other = independent_people(table, dictionary, sex, new_sex, 6)
    assert not pseudo.equals(other)


def test_constant_item_is_reproduced_and_said(caplog):
    table, dictionary, sex = mixed_table(300)
    table["crp"], table["ill"] = 0.3, "0"
    with caplog.at_level("WARNING", logger="pseudocohort"):
        encoding = fit_encoding(table, sex, dictionary)
    assert "item crp has a single value" in caplog.text
    assert "item ill has a single value" in caplog.text
    decoder = decode(encoding, normal_latents(1, "t", 300, len(encoding.atoms)), sex, np.full((300, 99), 0.5))
    assert (decoder.column("crp") == 0.3).all()
    assert (decoder.column("ill") == "0").all()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda t: t.assign(crp=np.nan), "item crp has fewer than 20 values among the 300 training people"),
        (lambda t: t.assign(crp=np.inf), "item crp has 300 infinite values"),
        (lambda t: t.assign(crp="low"), "item crp is continuous but holds text"),
        (lambda t: t.assign(pain="7"), "item pain has 1 values outside its categories"),
    ],
)
def test_bad_items_are_refused(change, text):
    table, dictionary, sex = mixed_table(300)
    with pytest.raises(InputError, match=text):
        fit_encoding(change(table), sex, dictionary)


def test_dates_in_the_order_of_recruitment_are_no_identifier():
    days = np.sort(np.random.default_rng(3).choice(3000, 400, replace=False)).astype(float)
    encoding = fit_encoding(
        pd.DataFrame({"visit": days}), np.ones(400, dtype=np.int8), Dictionary((Item("visit", "date"),))
    )
    assert encoding.items[0].name == "visit"


def test_rules_in_a_circle_are_refused():
    rows = (
        Item("a", "binary", categories=("0", "1"), asked_if=(("b", ("1",)),)),
        Item("b", "binary", categories=("0", "1"), asked_if=(("a", ("1",)),)),
    )
    with pytest.raises(InputError, match="cannot be put in order: a, b"):
        sampling_order(Dictionary(rows))


def test_natural_spline_is_linear_outside_and_spans_scipys():
    from scipy.interpolate import CubicSpline

    knots = np.array([30.0, 42.0, 55.0, 75.0])
    x = np.linspace(30, 75, 200)
    wanted = CubicSpline(knots, [1.0, -2.0, 0.5, 3.0], bc_type="natural")(x)
    design = np.column_stack([np.ones(200), x, natural_spline(x, knots)])
    np.testing.assert_allclose(design @ np.linalg.lstsq(design, wanted, rcond=None)[0], wanted, atol=1e-8)
    outside = natural_spline(np.array([80.0, 90.0, 100.0]), knots)
    np.testing.assert_allclose(outside[2] - outside[1], outside[1] - outside[0])


def test_condition_matrix_standardises_and_reports():
    random = np.random.default_rng(1)
    scores = pd.DataFrame({"person": range(500), "bmi": random.normal(3, 2, 500), "flat": 1.0})
    age, sex = random.integers(20, 80, 500).astype(float), random.integers(1, 3, 500)
    stratum = random.choice(["east", "west"], 500)
    age[:5] = np.nan
    spec = fit_conditions(scores, age, sex, stratum)
    c = condition_matrix(spec, scores, age, sex, stratum)
    assert c.shape == (500, 2 + 1 + 1 + 2 + 2)
    np.testing.assert_allclose(c.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(c.std(0), [1, 0, 1, 1, 1, 1, 1, 1], atol=1e-5)
    again, _ = conditions_from_json(json.loads(json.dumps(conditions_to_json(spec, None))))
    np.testing.assert_array_equal(c, condition_matrix(again, scores, age, sex, stratum))
    with pytest.raises(InputError, match="scores lack 1 of the traits the network was trained with: bmi"):
        condition_matrix(spec, scores.drop(columns="bmi"), age, sex, stratum)
    with pytest.raises(InputError, match="score bmi is missing for 2 people"):
        condition_matrix(spec, scores.assign(bmi=scores["bmi"].where(scores.index > 1)), age, sex, stratum)
    with pytest.raises(InputError, match="1 strata are unknown"):
        condition_matrix(spec, scores, age, sex, np.repeat("north", 500))
    with pytest.raises(InputError, match="unknown sex code"):
        sex_codes([1, 3])
    assert list(sex_codes(["male", "female", ""])) == [1, 2, 0]


def real_ages(n=4000, seed=2):
    """(age, sex, stratum): three strata of which one is small, women older in one, every third age a multiple of 5."""
    random = np.random.default_rng(seed)
    sex, stratum = random.integers(1, 3, n), random.choice(["a", "b", "isle"], n, p=[0.6, 0.39, 0.01])
    age = np.round(random.normal(50, 8, n) + 10 * (stratum == "b") + 6 * (sex == 2) * (stratum == "b"))
    return np.where(random.random(n) < 0.33, np.round(age / 5) * 5, age), sex, stratum


def test_ages_follow_stratum_and_sex():
    """The KS statistic of real and drawn ages of a group is below that of a second sample of the real people, which
    exceeds 1.95 sqrt(2 / n) in one of a thousand groups, in every group of four."""
    age, sex, stratum = real_ages()
    ages = fit_ages(age, sex, stratum, None)
    drawn = draw_age(ages, sex, stratum, 9)
    for label in "ab":
        for code in (1, 2):
            rows = (sex == code) & (stratum == label)
            distance = stats.ks_2samp(drawn[rows], age[rows], method="asymp").statistic
            assert distance < 1.95 * np.sqrt(2 / rows.sum()) / 2  # far closer: the draws are stratified
            heaped = [np.mean(v[rows] % 5 == 0) for v in (age, drawn)]
            assert heaped[0] == pytest.approx(heaped[1], abs=0.03)
    assert (drawn == np.round(drawn)).all()
    np.testing.assert_array_equal(drawn, draw_age(ages, sex, stratum, 9))
    assert (drawn != draw_age(ages, sex, stratum, 10)).mean() > 0.5
    again = conditions_from_json(json.loads(json.dumps(conditions_to_json(condition_spec(age), ages))))[1]
    np.testing.assert_array_equal(drawn, draw_age(again, sex, stratum, 9))


def condition_spec(age):
    scores = pd.DataFrame({"bmi": np.arange(len(age)) / len(age)})
    return fit_conditions(scores, age, np.ones(len(age)), np.repeat("a", len(age)))


def test_ages_of_small_groups_are_those_of_their_sex():
    age, sex, stratum = real_ages()
    ages = fit_ages(age, sex, stratum, None)
    assert ("isle", 1) not in ages.groups
    many = draw_age(ages, np.repeat([1, 2], 3000), np.repeat("isle", 6000), 4)
    for code, rows in ((1, slice(0, 3000)), (2, slice(3000, None))):
        own = age[sex == code]
        # false alarm 1e-3: the limit of the statistic of two samples of these sizes
        assert stats.ks_2samp(many[rows], own, method="asymp").statistic < 1.95 * np.sqrt(1 / 3000 + 1 / len(own))
    few = fit_ages(age[:60], sex[:60], np.repeat("a", 60), 0)  # groups under 50 fall back on everyone's
    assert set(few.groups) == {("", -1)}
    assert np.isfinite(draw_age(few, sex, stratum, 1)).all()
    unknown = draw_age(ages, np.zeros(500, int), np.repeat("a", 500), 1)
    assert abs(np.median(unknown) - np.median(age)) < 2


def test_ages_are_no_copies():
    """An age does not follow that of the training person in the same row, and single extremes do not appear."""
    age, sex, stratum = real_ages()
    age[0] = 104.0
    drawn = draw_age(fit_ages(age, sex, stratum, 0), sex, stratum, 9)
    rows = (sex == 1) & (stratum == "a")
    assert abs(np.corrcoef(drawn[rows], age[rows])[0, 1]) < 4.4 / np.sqrt(rows.sum())  # false alarm 1e-5
    assert drawn.max() < 104
    with pytest.raises(InputError, match="the age is known of 19 of 4000 training people"):
        fit_ages(np.where(np.arange(4000) < 19, age, np.nan), sex, stratum, 0)
