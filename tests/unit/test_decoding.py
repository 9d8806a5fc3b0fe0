"""Rules, reasons of missing values, rounding and ties in the decoder, for any latents."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from latents import decode, normal_latents
from pseudocohort.cohort.dictionary import Dictionary, Item, broken_rules, structurally_missing
from pseudocohort.errors import InputError
from pseudocohort.phenotype.atoms import encoding_from_json, encoding_to_json
from pseudocohort.phenotype.decoding import people_table
from pseudocohort.phenotype.encoding import encode, fit_encoding
from pseudocohort.phenotype.quantiles import fit_quantile
from pseudocohort.phenotype.rules import into_bounds, sampling_order, within_bounds

NOT_NEVER = (("smoke", ("past", "now")),)


def pseudo_people(table, dictionary, n=2000, seed=1, sex=None, latent=None):
    """(encoding, decoder, pseudo table) with independent latents, or those given."""
    real_sex = np.resize([1, 2], len(table)).astype(np.int8)
    encoding = fit_encoding(table, real_sex, dictionary)
    latent = normal_latents(seed, "test", n, len(encoding.atoms)) if latent is None else latent(encoding)
    sex = np.resize([1, 2], n).astype(np.int8) if sex is None else sex
    uniform = np.random.default_rng(seed).random(latent.shape)
    decoder = decode(encoding, latent, sex, uniform)
    return encoding, decoder, people_table(decoder, sex, None, np.repeat("all", n))


def number(name, kind="continuous", rules=(), **more):
    return Item(name, kind, rules=tuple((sign, tuple(names)) for sign, names in rules), **more)


def loose_table(random, names, n=400):
    """Values that know nothing of any rule, with missing ones; the first half of the names have no decimals."""
    columns = {}
    for place, name in enumerate(names):
        x = np.round(random.normal(50 + 5 * place, 25, n), 0 if place < len(names) / 2 else 2)
        if place % 2:
            x[random.random(n) < 0.2] = np.nan
        columns[name] = x
    return pd.DataFrame(columns)


CHAINS = {
    "one bound": {"a": [("<=", ["b"])]},
    "chain": {"a": [("<=", ["b"])], "b": [("<=", ["c"])]},
    "chain whose middle comes last": {"b": [(">=", ["a"]), ("<=", ["c"])]},
    "diamond": {"a": [("<=", ["b"]), ("<=", ["c"])], "b": [("<=", ["d"])], "c": [("<=", ["d"])]},
    "equal by two bounds": {"a": [("<=", ["b"]), (">=", ["b"])]},
    "sum": {"d": [("=", ["a", "b"])]},
    "sum under a bound": {"c": [("=", ["a", "b"]), ("<=", ["d"])]},
    "sum above its part and under a bound": {"c": [("=", ["a", "b"]), (">=", ["a"]), ("<=", ["d"])]},
    "sum of a sum": {"c": [("=", ["a", "b"])], "e": [("=", ["c", "d"])], "a": [("<=", ["b"])]},
    "sum under a sum": {"c": [("=", ["a", "b"]), ("<=", ["f"])], "f": [("=", ["d", "e"])]},
    "two sums at once": {"e": [("=", ["a", "b"]), ("=", ["c", "d"])]},
}


@pytest.mark.parametrize("rules", CHAINS.values(), ids=CHAINS)
@pytest.mark.parametrize("bounded", [False, True])
def test_no_rule_is_broken_whatever_the_latents(rules, bounded):
    random = np.random.default_rng(len(str(rules)))
    names = list("abcdef")
    table = loose_table(random, names)
    for decimals in (None, 1):
        limits = {"minimum": 0.5, "maximum": 90.2} if bounded else {}
        table = table.clip(0.5, 90.2) if bounded else table
        items = [number(name, rules=rules.get(name, ()), decimals=decimals, **limits) for name in names]
        dictionary = Dictionary(tuple(items))
        for n in (2000, 40):  # ranked, and not
            shape = 0.3 + 3 * random.random()

            def latent(encoding, n=n, shape=shape):
                return random.standard_t(shape, size=(n, len(encoding.atoms)))

            _, decoder, pseudo = pseudo_people(table, dictionary, n=n, latent=latent)
            assert broken_rules(dictionary, pseudo).sum() == 0
            if bounded:
                assert pseudo[names].min().min() >= 0.5
                assert pseudo[names].max().max() <= 90.2
            elif "=" not in str(rules):
                assert decoder.unmet() == {}  # bounds alone can always be met
            again = decoder.encoded
            assert np.isfinite(again.score).all()
            assert (again.score[~again.active] == 0).all()


def test_rules_in_random_dictionaries():
    """Rules drawn at random without a circle: an item names earlier ones only."""
    random = np.random.default_rng(8)
    for trial in range(25):
        names = [f"x{j}" for j in range(8)]
        items = []
        for place in random.permutation(8):
            rules = []
            for _ in range(random.integers(0, 3) if place else 0):
                sign = random.choice(["<=", ">=", "="])
                count = random.integers(1, min(place, 3) + 1) if sign == "=" else 1
                rules.append((sign, tuple(random.choice(names[:place], count, replace=False))))
            kind = random.choice(["count", "continuous", "date"])
            items.append(number(names[place], kind, rules))
        table = loose_table(random, names).round(0).clip(lower=0)
        dictionary = Dictionary(tuple(items))
        _, _, pseudo = pseudo_people(table, dictionary, seed=trial)
        assert broken_rules(dictionary, pseudo).sum() == 0


def test_a_bound_that_is_kept_leaves_no_value_missing_and_distributions_as_they_are():
    random = np.random.default_rng(3)
    n = 3000
    high = np.round(random.normal(130, 18, n))
    low = np.minimum(np.round(0.4 * high + random.normal(28, 9, n)), high)
    dictionary = Dictionary((number("low", rules=[("<=", ["high"])]), number("high")))
    table = pd.DataFrame({"low": low, "high": high})
    _, decoder, pseudo = pseudo_people(table, dictionary, n=n)
    assert decoder.unmet() == {}
    assert pseudo.notna()[["low", "high"]].all(axis=None)
    for name in ("low", "high"):
        assert stats.ks_2samp(pseudo[name], table[name], method="asymp").statistic < 0.02
    assert (pseudo["low"] % 1 == 0).all()


def test_values_outside_a_bound_follow_the_distribution_given_the_bound():
    """Independent uniform shares u > F: 1 - u (1 - F) / F and its mirror image make them uniform within the bound."""
    random = np.random.default_rng(4)
    quantile = fit_quantile(random.random(5000))
    u, bound, free = random.random(40_000), random.uniform(0.1, 0.9, 40_000), np.full(40_000, np.inf)
    x = quantile.value(into_bounds(quantile, u, -free, bound))
    assert (x <= bound + 1e-9).all()
    assert stats.kstest(x / bound, "uniform").pvalue > 1e-6
    x = quantile.value(into_bounds(quantile, u, bound, free))
    assert stats.kstest((1 - x) / (1 - bound), "uniform").pvalue > 1e-6
    x = quantile.value(into_bounds(quantile, u, bound / 2, bound))
    assert ((x >= bound / 2 - 1e-9) & (x <= bound + 1e-9)).all()
    near = into_bounds(quantile, quantile.interval(bound + 1e-4)[1], -free, bound)
    np.testing.assert_allclose(quantile.value(near), bound, atol=0.003)  # what is nearly right moves little


@pytest.mark.parametrize("sign", [1, -1])
def test_bounds_keep_the_distribution_of_the_bounded(sign):
    """a <= b with independent latents, where a third of the draws break the rule."""
    random = np.random.default_rng(5)
    b = sign * random.gamma(4, 3, 4000)
    table = pd.DataFrame({"a": (b * random.beta(3, 1, 4000)).round(2), "b": b.round(2)})
    rule = "<=" if sign > 0 else ">="
    dictionary = Dictionary((number("a", rules=[(rule, ["b"])]), number("b")))
    encoding, decoder, pseudo = pseudo_people(table, dictionary, n=4000)
    assert broken_rules(dictionary, pseudo).sum() == 0
    for name in ("a", "b"):
        assert stats.ks_2samp(pseudo[name], table[name], method="asymp").statistic < 0.01
    np.testing.assert_array_equal(encode(encoding, pseudo, np.ones(4000)).active, decoder.encoded.active)


def test_dealing_out_is_a_matching_by_brute_force():
    random = np.random.default_rng(6)
    for _ in range(200):
        n = 6
        high = random.integers(1, 8, n).astype(float)
        values = np.minimum(random.permutation(high), random.integers(0, 8, n))  # one way to deal them out exists
        share = random.random(n)
        dealt = within_bounds(values, share, np.full(n, -np.inf), high)
        assert (dealt <= high).all()
        np.testing.assert_array_equal(np.sort(dealt), np.sort(values))
        top = np.flatnonzero(high >= values.max())
        assert dealt[top[np.argmax(share[top])]] == values.max()
        np.testing.assert_array_equal(-within_bounds(-values, 1 - share, -high, np.full(n, np.inf)), dealt)


def test_sums_are_exact_and_scored_as_they_stand():
    random = np.random.default_rng(5)
    parts = pd.DataFrame({"a": random.poisson(6, 1500) * 1.0, "b": random.normal(9, 2, 1500).round(1)})
    table = parts.assign(total=(parts["a"] + parts["b"]).round(1))
    table.loc[random.random(1500) < 0.1, "b"] = np.nan
    dictionary = Dictionary(
        (number("total", rules=[("=", ["a", "b"])], decimals=1), number("a", "count"), number("b", decimals=1))
    )
    encoding, decoder, pseudo = pseudo_people(table, dictionary)
    assert [i.name for i in encoding.items] == ["a", "b", "total"]
    whole = pseudo["b"].notna()
    np.testing.assert_array_equal(pseudo["total"][whole], (pseudo["a"] + pseudo["b"])[whole].round(1))
    assert pseudo["total"].notna().all()  # drawn where a part is missing
    assert decoder.unmet() == {}
    data = encode(encoding, pseudo, np.resize([1, 2], len(pseudo)).astype(np.int8))
    np.testing.assert_array_equal(data.active, decoder.encoded.active)
    np.testing.assert_allclose(data.score, decoder.encoded.score, atol=1e-5)


def test_a_sum_of_answers_adds_their_codes():
    random = np.random.default_rng(6)
    names = ["q1", "q2", "q3"]
    table = pd.DataFrame({name: random.choice(list("0123"), 800) for name in names})
    table["total"] = table[names].astype(float).sum(axis=1)
    table.loc[random.random(800) < 0.1, "q2"] = np.nan
    rows = [Item(name, "ordinal", categories=("0", "1", "2", "3")) for name in names]
    dictionary = Dictionary((number("total", "count", [("=", names)]), *rows))
    _, decoder, pseudo = pseudo_people(table, dictionary)
    whole = pseudo["q2"].notna()
    assert decoder.unmet() == {}
    np.testing.assert_array_equal(pseudo.loc[whole, "total"], pseudo.loc[whole, names].astype(float).sum(axis=1))
    assert broken_rules(dictionary, pseudo).sum() == 0


def test_what_cannot_be_met_is_missing_and_said(caplog):
    """The parts' sum always exceeds the maximum of the total: the total is missing."""
    random = np.random.default_rng(6)
    table = pd.DataFrame({name: random.integers(40, 60, 300) * 1.0 for name in ("a", "b", "t")})
    dictionary = Dictionary(
        (number("a", "count"), number("b", "count"), number("t", "count", [("=", ["a", "b"])], maximum=60))
    )
    with caplog.at_level("WARNING", logger="pseudocohort"):
        _, decoder, pseudo = pseudo_people(table, dictionary)
    assert pseudo["t"].isna().all()
    assert decoder.unmet() == {"t": 2000}
    assert "item t: 2000 values are left missing, as the rules and bounds leave none" in caplog.text
    assert not decoder.encoded.active[:, 2].any()


def test_the_other_side_of_a_sum_comes_after_it():
    rules = {"t": [("=", ["a", "b"]), ("<=", ["d"])]}
    items = [number(name, rules=rules.get(name, ())) for name in ("d", "t", "a", "b")]
    assert [i.name for i in sampling_order(Dictionary(tuple(items)))] == ["a", "b", "t", "d"]
    part = [number("a", rules=[("<=", ["t"])]), number("b"), number("t", rules=[("=", ["a", "b"])])]
    with pytest.raises(InputError, match="conditions and rules of these items cannot be put in order: a, t"):
        sampling_order(Dictionary(tuple(part)))
    both = [number("a", rules=[("<=", ["b"])]), number("b", rules=[(">=", ["a"])])]
    with pytest.raises(InputError, match="cannot be put in order: a, b"):
        sampling_order(Dictionary(tuple(both)))


def reasoned_table(n=3000, seed=2):
    """A panel of two items missing together for one of three reasons, an item of one reason, and a skipped one."""
    random = np.random.default_rng(seed)
    smoke = random.choice(["never", "past", "now"], n, p=[0.5, 0.3, 0.2])
    why = random.choice(["refused", "not measured", None], n, p=[0.6, 0.3, 0.1])
    gone = random.random(n) < 0.3
    table = pd.DataFrame({"m1": random.normal(size=n).round(2), "m2": random.normal(size=n).round(2), "smoke": smoke})
    table.loc[gone, ["m1", "m2"]] = np.nan
    table["packs"] = np.where(smoke == "never", np.nan, random.poisson(12, n))
    lost = random.random(n) < 0.1
    table.loc[lost, "packs"] = np.nan
    table["m1_missing"] = table["m2_missing"] = np.where(gone, why, None)
    table["packs_missing"] = np.where(smoke == "never", "not asked", np.where(lost, "not measured", None))
    codes = (("-9", "refused"), ("-8", "not measured"))
    rows = (
        Item("packs", "count", asked_if=NOT_NEVER, missing_codes=(("-7", "not asked"), ("-8", "not measured"))),
        Item("m1", "continuous", missing_codes=codes),
        Item("m2", "continuous", missing_codes=codes),
        Item("smoke", "nominal", categories=("never", "past", "now")),
    )
    return table, Dictionary(rows)


def test_reasons_of_missing_values_have_their_shares():
    table, dictionary = reasoned_table()
    encoding, _, pseudo = pseudo_people(table, dictionary, n=4000)
    assert [a.kind for a in encoding.atoms].count("reason") == 2  # shared by the panel; packs has one reason only
    assert list(pseudo.columns[-3:]) == ["packs_missing", "m1_missing", "m2_missing"]
    assert (pseudo["m1_missing"].notna() == pseudo["m1"].isna()).all()
    assert (pseudo["m1_missing"].fillna("") == pseudo["m2_missing"].fillna("")).all()
    real = table.loc[table["m1"].isna(), "m1_missing"].fillna("unknown").value_counts(normalize=True)
    mine = pseudo["m1_missing"].value_counts(normalize=True)
    assert (mine - real).abs().max() < 2 / pseudo["m1"].isna().sum()  # by rank polish
    assert set(pseudo["packs_missing"].dropna()) == {"not asked", "not measured"}
    assert (pseudo.loc[pseudo["smoke"] == "never", "packs_missing"] == "not asked").all()
    asked = ~structurally_missing(dictionary, pseudo, np.resize([1, 2], 4000))[:, 0]
    assert (pseudo.loc[asked & pseudo["packs"].isna(), "packs_missing"] == "not measured").all()


def test_reasons_follow_what_goes_with_them():
    """Where the latent of a reason is given, it decides; encoded reasons come back from their scores."""
    table, dictionary = reasoned_table()
    sex = np.resize([1, 2], len(table)).astype(np.int8)
    encoding = fit_encoding(table, sex, dictionary)
    encoding = encoding_from_json(json.loads(json.dumps(encoding_to_json(encoding))))
    data = encode(encoding, table, sex)
    decoder = decode(encoding, data.score.astype(float), sex, np.random.default_rng(1).random(data.score.shape))
    back = people_table(decoder, sex, None, np.repeat("all", len(table)))
    for name in ("m1_missing", "packs_missing"):
        wanted = table[name].where(table[name].notna() | table[name[:-8]].notna(), "unknown")
        assert (back[name].fillna("") == wanted.fillna("")).mean() > 0.998


def test_without_a_column_of_reasons_all_are_unknown_and_other_text_is_refused():
    table, dictionary = reasoned_table()
    bare = table.drop(columns=["m1_missing", "m2_missing", "packs_missing"])
    _, _, pseudo = pseudo_people(bare, dictionary)
    assert set(pseudo["m1_missing"].dropna()) == {"unknown"}
    table.loc[:2, "m1_missing"] = "lost"
    with pytest.raises(InputError, match="column m1_missing has 3 cells that are no reason"):
        pseudo_people(table, dictionary)
    whole = bare.assign(m1=1.5 * np.arange(len(bare)) % 7)
    _, _, pseudo = pseudo_people(whole, dictionary)
    assert pseudo["m1_missing"].isna().all()  # the column is there though nobody is missing


def test_dates_are_whole_days_and_may_lie_before_1970():
    random = np.random.default_rng(7)
    birth = np.floor(random.uniform(-9000, 9000, 2000))
    visit = birth + np.floor(random.uniform(0, 20_000, 2000))
    dictionary = Dictionary((number("birth", "date"), number("visit", "date", [(">=", ["birth"])])))
    _, _, pseudo = pseudo_people(pd.DataFrame({"birth": birth, "visit": visit}), dictionary)
    assert (pseudo[["birth", "visit"]] % 1 == 0).all(axis=None)
    assert pseudo["birth"].min() < -8900
    assert broken_rules(dictionary, pseudo).sum() == 0
    late = pd.DataFrame({"birth": np.abs(birth) // 40 + 1, "visit": visit + 20_000})
    _, _, pseudo = pseudo_people(late, dictionary)
    assert pseudo["birth"].min() > -30


def test_positive_items_are_never_zero_and_others_never_below():
    random = np.random.default_rng(8)
    table = pd.DataFrame(
        {"crp": np.exp(random.normal(-2, 2, 1500)).round(2).clip(0.01), "left": random.poisson(20, 1500)}
    )
    table["left"] = np.where(np.arange(1500) < 3, 0.0, table["left"] + random.normal(size=1500).round(1).clip(0))
    dictionary = Dictionary((number("crp"), number("left")))
    _, _, pseudo = pseudo_people(table, dictionary, n=5000)
    assert pseudo["crp"].min() == 0.01
    assert pseudo["left"].min() >= 0


def test_tied_latents_are_ranked_by_chance_and_not_by_row():
    random = np.random.default_rng(9)
    table = pd.DataFrame({"ill": random.choice(["0", "1"], 1000), "x": random.normal(size=1000)})
    dictionary = Dictionary((Item("ill", "binary", categories=("0", "1")), number("x")))
    _, _, pseudo = pseudo_people(table, dictionary, latent=lambda e: np.zeros((2000, len(e.atoms))))
    share = table["ill"].eq("1").mean()
    halves = [pseudo["ill"][part].eq("1").mean() for part in (slice(0, 1000), slice(1000, 2000))]
    assert np.mean(halves) == pytest.approx(share, abs=0.001)
    assert halves[0] == pytest.approx(halves[1], abs=0.1)
    assert abs(pseudo["x"][:1000].mean() - pseudo["x"][1000:].mean()) < 0.2
    assert stats.ks_2samp(pseudo["x"], table["x"], method="asymp").statistic < 0.02


def test_levels_by_partition_are_those_by_ranks():
    random = np.random.default_rng(10)
    table = pd.DataFrame({"o": random.choice(list("abcde"), 1500, p=[0.01, 0.5, 0.2, 0.28, 0.01])})
    dictionary = Dictionary((Item("o", "ordinal", categories=tuple("abcde")),))
    sex = np.ones(777, dtype=np.int8)
    encoding = fit_encoding(table, np.ones(1500, dtype=np.int8), dictionary)
    for seed in range(20):
        latent, uniform = (
            np.random.default_rng(seed).normal(size=(777, 1)),
            np.random.default_rng(-seed % 99).random((777, 1)),
        )
        level = decode(encoding, latent, sex, uniform).column("o")
        share = (stats.rankdata(latent[:, 0], method="ordinal") - 1 + uniform[:, 0]) / 777
        wanted = np.array(list("abcde"))[np.searchsorted(encoding.atoms[0].cumulative[1:-1], share, side="right")]
        np.testing.assert_array_equal(level, wanted)
