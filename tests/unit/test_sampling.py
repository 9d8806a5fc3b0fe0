"""Pseudo people of a trained network against what was planted, and against the independent marginals."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pseudocohort.cohort.dictionary import Dictionary, Item, structurally_missing
from pseudocohort.phenotype.calibration import calibrate
from pseudocohort.phenotype.marginal import sample_marginals
from pseudocohort.phenotype.sampling import draw_latents, sample_people
from pseudocohort.phenotype.training import moments, train_network


def cohort(n, seed):
    """Two scores with slopes 0.6 and 0.3, four correlated markers, an illness, a grade, a type, skips, missingness."""
    random = np.random.default_rng(seed)
    scores = pd.DataFrame({"m0": random.normal(size=n), "m3": random.normal(size=n)})
    age, sex = random.integers(30, 80, n).astype(float), random.integers(1, 3, n).astype(np.int8)
    common = random.normal(size=n)
    raw = 0.7 * common[:, None] + 0.6 * random.normal(size=(n, 4))
    raw[:, 0] += 0.6 * scores["m0"]
    raw[:, 3] += 0.3 * scores["m3"] + 0.02 * (age - 55)
    ill = raw[:, 1] + 0.03 * (age - 55) + random.normal(size=n) > 1.2
    table = pd.DataFrame(np.round(np.exp(raw / 2), 3), columns=[f"m{j}" for j in range(4)])
    table["m2"] = np.maximum(table["m2"], 0.6)
    table["ill"] = np.where(ill, "1", "0")
    table["years"] = np.where(ill, random.poisson(6, n), np.nan)
    table["grade"] = np.digitize(common + random.normal(size=n), [-1, 0, 1.5]).astype(str)
    table["kind"] = np.where(random.random(n) < 0.2, "c", np.where(common + random.normal(size=n) > 0, "b", "a"))
    table["births"] = np.where(sex == 2, random.poisson(1.5 + (age > 50)), np.nan)
    table.loc[random.random(n) < stats.norm.cdf(common - 1.3), ["m1", "grade"]] = np.nan
    table["age"] = age
    people = pd.DataFrame(
        {"sex": sex, "stratum": random.choice(["east", "west"], n), "family": np.arange(n).astype(str)}
    )
    return table, people, scores


DICTIONARY = Dictionary(
    (
        Item("age", "continuous", role="age", decimals=0),
        Item("years", "count", asked_if=(("ill", ("1",)),)),
        *(Item(f"m{j}", "continuous", decimals=3, detection_limit=0.6 if j == 2 else None) for j in range(4)),
        Item("ill", "binary", categories=("0", "1")),
        Item("grade", "ordinal", categories=("0", "1", "2", "3")),
        Item("kind", "nominal", categories=("a", "b", "c")),
        Item("births", "count", asked_if=(("sex", ("female",)),)),
    )
)
N = 1500


@pytest.fixture(scope="module")
def world():
    """(real table, people, scores, model, new scores, pseudo table, independent marginals)."""
    table, people, scores = cohort(N, 1)
    model = train_network(table, people, scores, DICTIONARY, {"epochs": 30, "hidden": 32}, 11)
    _, new_people, new_scores = cohort(3000, 2)
    pseudo = sample_people(model, new_scores, new_people["sex"], new_people["stratum"], 21)
    naive = sample_marginals(table, people, DICTIONARY, new_people["sex"], new_people["stratum"], pseudo["age"], 21)
    return table, people, scores, model, new_scores, pseudo, naive


def slope(table, item, score):
    known = table[item].notna().to_numpy()
    return stats.linregress(np.asarray(score)[known], np.log(table[item][known]) * 2).slope


def test_format(world):
    table, *_, pseudo, _ = world
    assert list(pseudo.columns) == ["sex", "age", "stratum", *DICTIONARY.names]
    assert set(pseudo["sex"]) == {"male", "female"}
    assert pseudo["m0"].dtype == np.float64
    assert set(pseudo["grade"].dropna()) == {"0", "1", "2", "3"}
    assert (pseudo["m0"].round(3) == pseudo["m0"]).all()
    assert pseudo["m2"].min() == 0.6
    assert (pseudo["m2"] == 0.6).mean() == pytest.approx((table["m2"] == 0.6).mean(), abs=0.01)


def test_score_slopes_come_out(world):
    *_, new_scores, pseudo, naive = world
    assert slope(pseudo, "m0", new_scores["m0"]) == pytest.approx(0.6, abs=0.1)
    assert slope(pseudo, "m3", new_scores["m3"]) == pytest.approx(0.3, abs=0.1)
    assert abs(slope(pseudo, "m2", new_scores["m0"])) < 0.1
    assert abs(slope(naive, "m0", new_scores["m0"])) < 0.1


def test_correlations_come_out_and_the_marginals_have_none(world):
    table, *_, pseudo, naive = world
    columns = ["m0", "m1", "m2", "m3", "grade", "births", "age", "years"]
    real, mine, theirs = (
        t[columns].astype(float).corr("spearman").to_numpy()[np.triu_indices(8, 1)] for t in (table, pseudo, naive)
    )
    assert np.sqrt(np.nanmean((mine - real) ** 2)) < 0.05
    assert np.sqrt(np.nanmean((theirs - real) ** 2)) > 0.15
    kinds = [t.groupby("kind")["m3"].median() for t in (table, pseudo)]
    assert (kinds[0] - kinds[1]).abs().max() < 0.12


def test_marginals_prevalence_and_missingness_are_kept(world):
    table, *_, pseudo, _ = world
    for name in ("m0", "m1", "m2", "m3"):
        assert stats.ks_2samp(table[name].dropna(), pseudo[name].dropna(), method="asymp").statistic < 0.03
    for name in ("ill", "grade", "kind"):
        shares = [t[name].value_counts(normalize=True) for t in (table, pseudo)]
        assert (shares[0] - shares[1]).abs().max() < 0.02
    assert pseudo["m1"].isna().mean() == pytest.approx(table["m1"].isna().mean(), abs=0.01)
    assert (pseudo["m1"].isna() == pseudo["grade"].isna()).all()  # missing together, as in the real table
    high = [t.loc[t["m1"].isna(), "m0"].median() for t in (table, pseudo)]
    assert high[0] == pytest.approx(high[1], abs=0.15)


def test_rules_hold_and_no_row_is_copied(world):
    table, *_, pseudo, naive = world
    names = list(DICTIONARY.names)
    for made in (pseudo, naive):
        sex = made["sex"].map({"male": 1, "female": 2}).to_numpy()
        broken = structurally_missing(DICTIONARY, made, sex) & made[names].notna().to_numpy()
        assert broken.sum() == 0
        assert made[names].merge(table[names], on=names).empty  # missing equals missing
    assert pseudo.loc[pseudo["ill"] == "1", "years"].notna().all()
    assert pseudo.loc[pseudo["sex"] == "female", "births"].notna().all()


def test_values_are_drawn_not_the_likeliest(world):
    *_, model, _, _, _ = world
    alike = pd.DataFrame({"m0": np.ones(300), "m3": np.zeros(300)})
    pseudo = sample_people(model, alike, np.ones(300, int), np.repeat("east", 300), 3)
    assert pseudo["m0"].nunique() > 100
    assert set(pseudo["grade"].dropna()) == {"0", "1", "2", "3"}
    assert len(sample_people(model, alike.iloc[:1], [2], ["west"], 3)) == 1


def test_frequencies_of_few_people_follow_the_hand_set_heads(world):
    """Below 200 people nothing is ranked: P(ill = 1) is Phi of the head's location, here set by hand."""
    *_, model, _, _, _ = world
    network = model.network
    kept = network.linear_condition.bias[...], network.linear_condition.kernel[...], network.hidden_out[...]
    kept_score, kept_code = network.linear_score[...], network.linear_code.kernel[...]
    item = model.encoding.items[model.encoding.index["ill"]]
    atom, c = item.atoms[0], np.zeros((150, len(model.conditions.mean)), np.float32)
    try:
        for part, value in (
            (network.hidden_out, kept[2]),
            (network.linear_score, kept_score),
            (network.linear_code.kernel, kept_code),
            (network.linear_condition.kernel, kept[1]),
        ):
            part[...] = value * 0
        network.linear_condition.bias[...] = kept[0] * 0 + 0.4
        drawn = [draw_latents(model, c, np.ones(150, np.int8), np.full((150, 99), 0.5), s)[0] for s in range(20)]
        ill = [np.mean(d.column("ill") == "1") for d in drawn]
    finally:
        network.linear_condition.bias[...], network.linear_condition.kernel[...] = kept[:2]
        network.hidden_out[...], network.linear_score[...] = kept[2], kept_score
        network.linear_code.kernel[...] = kept_code
    assert model.encoding.atoms[atom].kind == "levels"
    expected = stats.norm.sf(stats.norm.ppf(item.shares[0]) - 0.4)
    assert np.mean(ill) == pytest.approx(expected, abs=4.5 * np.sqrt(0.25 / 3000))  # false alarm 1e-5


def test_calibration_reaches_the_target_moments():
    random = np.random.default_rng(5)
    c = random.normal(size=(4000, 2))
    truth = c @ np.array([[0.5, 0.0, 0.3], [0.0, 0.4, 0.0]]) + random.multivariate_normal(
        np.zeros(3), [[0.6, 0.3, 0.1], [0.3, 0.7, -0.2], [0.1, -0.2, 0.5]], 4000
    )

    class Plain:
        def __init__(self, latent):
            self.encoded = self
            self.score = np.tanh(latent)

    target = moments(np.tanh(truth), c)
    start = random.normal(size=(4000, 3))
    done = calibrate(start, c, target, Plain, Plain(start))
    reached = moments(done.score, c)
    assert np.abs(reached.slope - target.slope).max() < 0.01
    assert np.abs(reached.covariance - target.covariance).max() < 0.02
