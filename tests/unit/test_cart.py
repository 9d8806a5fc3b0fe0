"""Sequential CART: its trees against scikit-learn's, leaves, donors never handed out, effects that come out."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import ndtr
from sklearn.tree import DecisionTreeRegressor

from pseudocohort import counter
from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.phenotype import cart
from pseudocohort.phenotype.common import fit_common
from pseudocohort.phenotype.models import sample_model, train_model
from pseudocohort.phenotype.quantiles import PEOPLE

N = 1500
DICTIONARY = Dictionary(
    (
        Item("age", "continuous", role="age", decimals=0),
        Item("a", "continuous", decimals=4),
        Item("step", "continuous", decimals=4),
        Item("grade", "ordinal", categories=("0", "1", "2")),
        Item("both", "binary", categories=("0", "1")),
    )
)


def cohort(n, seed):
    """`step` jumps by 2 where the score is above 0.5; `both` is 1 where exactly one of a > 0 and female holds."""
    random = np.random.default_rng(seed)
    scores = pd.DataFrame({"a": random.normal(size=n)})
    sex = random.integers(1, 3, n).astype(np.int8)
    a = 0.5 * scores["a"] + random.normal(size=n)
    both = ((a > 0) ^ (sex == 2)) ^ (random.random(n) < 0.05)
    table = pd.DataFrame(
        {
            "age": random.integers(30, 80, n).astype(float),
            "a": np.round(a, 4),
            "step": np.round(2 * (scores["a"] > 0.5) + 0.3 * random.normal(size=n), 4),
            "grade": np.digitize(a + random.normal(size=n), [-1, 1]).astype(str),
            "both": np.where(both, "1", "0"),
        }
    )
    table.loc[random.random(n) < stats.norm.cdf(a - 1.5), "step"] = np.nan
    people = pd.DataFrame({"sex": sex, "stratum": "all", "family": np.arange(n).astype(str)})
    return table, people, scores


@pytest.fixture(scope="module")
def trained():
    """(model, encoded training people, their columns [conditions, scores])."""
    tables = cohort(N, 1)
    _, data, c = fit_common(*tables, DICTIONARY)
    return train_model("cart", *tables, DICTIONARY, {}, 5), data, np.hstack([c, data.score])


@pytest.fixture(scope="module")
def pseudo(trained):
    """(new scores, plain, calibrated)."""
    _, people, scores = cohort(3000, 2)
    arguments = (trained[0], scores, people["sex"], people["stratum"], 7)
    return scores, sample_model(*arguments, calibrate=False), sample_model(*arguments)


def test_leaves_are_those_of_scikit_learn(trained):
    model, data, x = trained
    new = np.random.default_rng(3).normal(size=(4000, x.shape[1])).astype(np.float32)
    new[:2000, 2:] = np.round(new[:2000, 2:])  # values that fall on thresholds' sides alike
    deepest = 0
    for atom, tree in enumerate(model.trees):
        rows, width = np.flatnonzero(data.active[:, atom]), x.shape[1] - len(model.trees) + atom
        seed = counter.key(5, "tree", atom)[0]
        reference = DecisionTreeRegressor(min_samples_leaf=20, random_state=seed)
        reference.fit(x[rows, :width], data.score[rows, atom])
        deepest = max(deepest, reference.get_depth())
        for people in (new, x):
            np.testing.assert_array_equal(cart.leaves(tree, people), reference.apply(people[:, :width]))
    assert deepest > 4


def test_every_leaf_holds_twenty_people_and_all_people_stand_in_one(trained):
    model, data, _ = trained
    for atom, tree in enumerate(model.trees):
        leaf = tree.feature < 0
        assert tree.count[leaf].min() >= cart.LEAF
        assert (tree.count[~leaf] == 0).all()
        assert tree.count.sum() == len(tree.low) == data.active[:, atom].sum()


def test_a_tree_sees_earlier_atoms_only(trained):
    model, _, x = trained
    width = x.shape[1] - len(model.trees)
    for atom, tree in enumerate(model.trees):
        assert tree.feature.max() < width + atom


def test_latents_are_new_but_near_a_donor_of_the_leaf(trained):
    """Brute force over some people: the drawn share lies within a donor's interval, widened by half of PEOPLE."""
    model, data, x = trained
    names = [model.common.encoding.items[a.item].name for a in model.common.encoding.atoms]
    for name in ("a", "grade"):
        atom = names.index(name)
        tree = model.trees[atom]
        latent = cart.draw_leaf(tree, x, np.random.default_rng(4))
        rows = np.flatnonzero(data.active[:, atom])
        own, leaf = cart.leaves(tree, x[rows]), cart.leaves(tree, x)
        low, high = (ndtr(side[rows, atom].astype(float)) for side in (data.low, data.high))
        reach = np.where(data.dense[rows, atom], PEOPLE / 2 / len(rows), 0) + 1e-7
        share = ndtr(latent)
        for person in range(0, N, 50):
            mates = own == leaf[person]
            inside = (low - reach <= share[person]) & (share[person] <= high + reach)
            assert inside[mates].any()
        assert len(np.unique(latent)) == N
        assert not np.isin(np.float32(latent), data.low[rows, atom]).any()


def test_a_leaf_gives_the_shares_of_its_people(trained):
    """Ten thousand alike people: the levels of an ordinal item come with the frequencies in their leaf."""
    model, data, x = trained
    common = model.common
    atom = next(i for i, a in enumerate(common.encoding.atoms) if common.encoding.items[a.item].name == "grade")
    tree, cuts = model.trees[atom], np.array(common.encoding.atoms[atom].cumulative[1:-1])
    latent = cart.draw_leaf(tree, np.repeat(x[:1], 10_000, axis=0), np.random.default_rng(6))
    drawn = np.bincount(np.searchsorted(cuts, ndtr(latent)), minlength=3) / 10_000
    rows = np.flatnonzero(data.active[:, atom])
    mates = rows[cart.leaves(tree, x[rows]) == cart.leaves(tree, x[:1])]
    middle = ndtr((np.clip(data.low, -9, 9) + np.clip(data.high, -9, 9)) / 2)[mates, atom]
    truth = np.bincount(np.searchsorted(cuts, middle), minlength=3) / len(mates)
    np.testing.assert_allclose(drawn, truth, atol=0.02)


def test_jumps_and_interactions_come_out(pseudo):
    scores, plain, calibrated = pseudo
    for made in (plain, calibrated):
        high = scores["a"].to_numpy() > 0.5
        assert made.loc[high, "step"].median() == pytest.approx(2, abs=0.3)
        assert made.loc[~high, "step"].median() == pytest.approx(0, abs=0.1)
        one = (made["a"] > 0) ^ (made["sex"] == "female")
        assert ((made["both"] == "1") == one).mean() > 0.85


def test_calibration_mends_what_small_leaves_blur(pseudo):
    """The slope on the score is blurred by leaves of 20 people; the calibrated one is the training people's."""
    table, _, own = cohort(N, 1)
    truth = stats.linregress(own["a"], table["a"]).slope
    scores, plain, calibrated = pseudo
    slopes = [stats.linregress(scores["a"], t["a"]).slope for t in (plain, calibrated)]
    assert slopes[1] == pytest.approx(truth, abs=0.06)
    assert truth == pytest.approx(0.5, abs=0.08)
    assert slopes[0] == pytest.approx(truth, abs=0.12)


def test_threads_change_nothing_and_the_seed_does():
    tables = cohort(400, 3)
    one, two, other = (cart.train_cart(*tables, DICTIONARY, seed, threads=t) for seed, t in ((1, 1), (1, 3), (2, 1)))
    for a, b in zip(one.trees, two.trees, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)
    _, people, scores = cohort(300, 4)
    drawn = [sample_model(m, scores, people["sex"], people["stratum"], 9) for m in (one, other)]
    assert not drawn[0].equals(sample_model(one, scores, people["sex"], people["stratum"], 10))
    pd.testing.assert_frame_equal(drawn[0], sample_model(two, scores, people["sex"], people["stratum"], 9))
