"""Pseudo people of a trained network against what was planted, and against the independent marginals."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pseudocohort.cohort.dictionary import Dictionary, Item, structurally_missing
from pseudocohort.phenotype.models import sample_model, train_model
from pseudocohort.phenotype.sampling import sample_people
from pseudocohort.phenotype.training import train_network


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
    marginal = train_model("marginal", table, people, scores, DICTIONARY, {}, 11)
    naive = sample_model(marginal, new_scores, new_people["sex"], new_people["stratum"], 21)
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
    """Below 50 people nothing is ranked: P(ill = 1) is Phi of the head's location, here set by hand."""
    *_, model, _, _, _ = world
    network = model.network
    weights = (
        network.hidden_out,
        network.linear_score,
        network.linear_code.kernel,
        network.linear_condition.kernel,
        network.trust,
        network.linear_condition.bias,
    )
    kept = [part[...] for part in weights]
    item = model.encoding.items[model.encoding.index["ill"]]
    people = pd.DataFrame({"m0": np.zeros(40), "m3": np.zeros(40)}), np.ones(40, np.int8), np.repeat("east", 40)
    try:
        for part in weights:
            part[...] = part[...] * 0
        network.linear_condition.bias[...] = kept[-1] * 0 + 0.4
        ill = [np.mean(sample_people(model, *people, seed)["ill"] == "1") for seed in range(75)]
    finally:
        for part, value in zip(weights, kept, strict=True):
            part[...] = value
    assert model.encoding.atoms[item.atoms[0]].kind == "levels"
    expected = stats.norm.sf(stats.norm.ppf(item.shares[0]) - 0.4)
    assert np.mean(ill) == pytest.approx(expected, abs=4.5 * np.sqrt(0.25 / 3000))  # false alarm 1e-5


class Loop:
    """A Drawing that keeps what it is told: every draw must have seen the scores of all atoms before."""

    def __init__(self, c, seed):
        self.seen, self._random = [], np.random.default_rng(seed)

    def draw(self, atom):
        assert len(self.seen) == atom
        return self._random.normal(size=300)

    def advance(self, atom, score):
        assert len(self.seen) == atom
        self.seen.append(score.copy())


def test_a_drawing_is_told_the_scores_of_the_values_that_come_out(world):
    *_, model, new_scores, _, _ = world
    kept = []

    def begin(c, seed):
        assert c.shape == (300, len(model.conditions.mean))
        kept.append(Loop(c, seed))
        return kept[0]

    arguments = (new_scores[:300], np.ones(300, int), np.repeat("west", 300), 4)
    pseudo = sample_people(model, *arguments, begin=begin)
    (drawing,) = kept
    assert len(drawing.seen) == len(model.encoding.atoms)
    for name in ("m0", "ill"):
        (atom,) = model.encoding.items[model.encoding.index[name]].atoms
        value = pseudo[name].astype(float)
        assert drawing.seen[atom].dtype == np.float32
        assert (np.diff(drawing.seen[atom][np.argsort(value, kind="stable")]) >= 0).all()


def test_the_seed_decides_and_calibration_and_polish_can_be_left_out(world):
    *_, model, new_scores, _, _ = world
    arguments = (model, new_scores[:400], np.ones(400, int), np.repeat("west", 400))
    one = sample_people(*arguments, 4)
    pd.testing.assert_frame_equal(one, sample_people(*arguments, 4))
    others = [
        sample_people(*arguments, 5),
        sample_people(*arguments, 4, calibrate=False),
        sample_people(*arguments, 4, polish=False),
    ]
    for other in others:
        assert (other["m0"] != one["m0"]).mean() > 0.5


def test_calibration_brings_the_moments_nearer():
    """A network trained for an epoch knows next to nothing; calibrated, its people have the slopes and correlations
    of the training people all the same (see test_calibration)."""
    table, people, scores = cohort(N, 1)
    model = train_network(table, people, scores, DICTIONARY, {"epochs": 1, "hidden": 8, "without": ["forest"]}, 11)
    _, new_people, new_scores = cohort(3000, 2)
    arguments = (model, new_scores, new_people["sex"], new_people["stratum"], 21)
    plain, done = sample_people(*arguments, calibrate=False), sample_people(*arguments)
    columns = ["m0", "m1", "m2", "m3", "grade"]
    real, before, after = (t[columns].astype(float).corr("spearman").to_numpy() for t in (table, plain, done))
    assert np.sqrt(((after - real) ** 2).mean()) < 0.25 * np.sqrt(((before - real) ** 2).mean())
    assert slope(done, "m0", new_scores["m0"]) == pytest.approx(slope(table, "m0", scores["m0"]), abs=0.06)
    assert slope(plain, "m0", new_scores["m0"]) < slope(done, "m0", new_scores["m0"]) - 0.06
