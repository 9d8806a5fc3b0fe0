"""Trees' guesses: out of family, against scikit-learn, sharp where an item is determined, led through the drawing."""

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeRegressor

from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.phenotype import forest
from pseudocohort.phenotype.common import fit_common
from pseudocohort.phenotype.forest import FOLDS, NOTHING, Guesser, Guide, forest_arrays, forest_from, grow_forest
from pseudocohort.phenotype.models import load_model, sample_model, save_model, train_model
from pseudocohort.phenotype.trees import LEAF

N, SEED = 1500, 3
GROUPS = tuple("abcdefgh")
CLASS = dict(zip(GROUPS, "xyzxyzxx", strict=True))
DICTIONARY = Dictionary(
    (
        Item("group", "ordinal", categories=GROUPS),
        Item("class", "nominal", categories=("x", "y", "z")),
        Item("rare", "binary", categories=("0", "1"), asked_if=(("group", ("h",)),)),
        Item("noise", "continuous", decimals=3),
        Item("first", "continuous", decimals=2),
        Item("second", "continuous", decimals=2),
        Item("third", "continuous", decimals=2),
    )
)
QUICK = {"epochs": 30, "hidden": 16, "latent": 2}


def cohort(n=N, seed=1):
    """`class` follows from `group`, up and down again; `second` is missing wherever `first` is and `third`
    wherever `second` is; `rare` is asked of 2 % only; families of three with the same group."""
    random = np.random.default_rng(seed)
    scores = pd.DataFrame({"t": random.normal(size=n)})
    family = np.arange(n) // 3
    share = np.array([0.2, 0.2, 0.15, 0.15, 0.1, 0.1, 0.08, 0.02])
    group = random.choice(GROUPS, n // 3 + 1, p=share)[family]
    table = pd.DataFrame({"group": group, "class": [CLASS[g] for g in group]})
    table["rare"] = np.where(group == "h", random.choice(["0", "1"], n), None)
    for name in ("noise", "first", "second", "third"):
        table[name] = random.normal(size=n).round(3 if name == "noise" else 2)
    lost = random.random(n)
    for name, limit in (("first", 0.2), ("second", 0.3), ("third", 0.4)):
        table.loc[lost < limit, name] = np.nan
    people = pd.DataFrame({"sex": random.integers(1, 3, n), "stratum": "all", "family": family.astype(str)})
    return table, people, scores


@pytest.fixture(scope="module")
def grown():
    """(encoding, data, conditions, family, forest, guesses)."""
    table, people, scores = cohort()
    common, data, c = fit_common(table, people, scores, DICTIONARY)
    family = people["family"].to_numpy()
    return common.encoding, data, c, family, *grow_forest(data, c, family, SEED)


def atoms_of(encoding, item, kind=None):
    """Numbers of an item's atoms of value, or its missing atom."""
    own = encoding.items[encoding.index[item]]
    return [own.missing_atom] if kind == "missing" else list(own.atoms)


def walk(tree, row):
    """One person down one tree, node by node."""
    node = 0
    while tree.feature[node] >= 0:
        below = np.float32(row[tree.feature[node]]) <= tree.threshold[node]
        node = tree.left[node] if below else tree.right[node]
    return tree.value[node]


def led_by(trees, x, guess, active):
    """bool (folds, people): where a fold's trees give the person's guesses at all active atoms, by `walk`."""
    found = np.zeros((len(trees), len(x)), dtype=bool)
    for number, fold in enumerate(trees):
        for person, row in enumerate(x):
            found[number, person] = all(guess[person, a] == walk(fold[a], row) for a in np.flatnonzero(active[person]))
    return found


def test_a_familys_own_values_do_not_enter_its_guesses(grown):
    """Other values of one family: its guesses stay as they were at the atom changed, as do one fold's trees only."""
    encoding, data, c, family, trees, guess = grown
    atom = atoms_of(encoding, "third")[0]
    for label in ("7", "100"):
        own = family == label
        score = data.score.copy()
        score[own, atom] = 40.0 * np.arange(1, own.sum() + 1)
        active = data.active.copy()
        active[own, atom] = True
        seen = grow_forest(data._replace(active=active), c, family, SEED)
        changed = grow_forest(data._replace(score=score, active=active), c, family, SEED)
        np.testing.assert_array_equal(changed[1][own], seen[1][own])
        assert (changed[1][~own, atom] != seen[1][~own, atom]).any()
        same = [all(map(np.array_equal, a[atom], b[atom])) for a, b in zip(changed[0], seen[0], strict=True)]
        assert sum(same) == 1
        alike = led_by([trees[same.index(True)]], np.hstack([c, data.score])[own], guess[own], data.active[own])
        assert alike.all()


def test_guesses_are_those_of_trees_grown_on_other_families(grown):
    """Whole families share a fold, folds are alike in size, and scikit-learn, given the others, guesses the same."""
    encoding, data, c, family, trees, guess = grown
    x = np.hstack([c, data.score])
    found = led_by(trees, x, guess, data.active)
    assert (found.sum(0) == 1).all()  # only one fold's trees give all the guesses of a person
    fold = found.argmax(0)
    assert pd.Series(fold).groupby(family).nunique().max() == 1
    sizes = np.bincount(fold)
    assert len(sizes) == FOLDS
    assert sizes.max() - sizes.min() <= 3  # one family
    for atom in (2, atoms_of(encoding, "class")[0], atoms_of(encoding, "third")[0]):
        width = c.shape[1] + atom
        assert width <= forest.COLUMNS  # so all columns are seen
        for number in range(FOLDS):
            others = np.flatnonzero(data.active[:, atom] & (fold != number))
            own = np.flatnonzero(data.active[:, atom] & (fold == number))
            reference = DecisionTreeRegressor(min_samples_leaf=LEAF, random_state=0)
            reference.fit(x[others, :width], data.score[others, atom])
            np.testing.assert_allclose(guess[own, atom], reference.predict(x[own, :width]), rtol=1e-6, atol=1e-6)


def test_guesses_are_zero_where_an_atom_is_not_active(grown):
    _, data, _, _, _, guess = grown
    assert guess.shape == data.score.shape
    assert guess.dtype == np.float32
    assert (guess[~data.active] == 0).all()
    assert (~data.active).any()


def test_what_is_determined_is_guessed_and_noise_is_not(grown):
    encoding, data, _, _, _, guess = grown

    def explained(atom):
        rows = data.active[:, atom]
        truth = data.score[rows, atom]
        return 1 - ((truth - guess[rows, atom]) ** 2).mean() / truth.var()

    for atom in atoms_of(encoding, "class"):
        assert explained(atom) > 0.95
    for item in ("noise", "first", "third"):
        (atom,) = atoms_of(encoding, item)
        rows = data.active[:, atom]
        # 4.5 standard errors of a correlation of nothing
        assert abs(np.corrcoef(guess[rows, atom], data.score[rows, atom])[0, 1]) < 4.5 * rows.sum() ** -0.5
    # second is missing wherever first is; elsewhere one in eight are lost by chance
    first, second = (atoms_of(encoding, name, "missing")[0] for name in ("first", "second"))
    assert first < second
    gone = data.score[:, first] > 0
    assert guess[gone, second].min() == pytest.approx(data.score[gone, second].min(), abs=1e-5)
    assert guess[~gone, second].max() < guess[gone, second].min()


def test_an_atom_of_few_people_gets_no_tree(grown):
    encoding, data, c, family, trees, guess = grown
    (rare,) = atoms_of(encoding, "rare")
    count = data.active[:, rare].sum()
    assert 0 < count < 2 * LEAF
    assert all(len(fold[rare].feature) == 1 for fold in trees)
    assert (guess[:, rare] == 0).all()
    atom = atoms_of(encoding, "noise")[0]
    for left, grows in ((2 * LEAF - 1, False), (4 * LEAF, True)):
        active = data.active.copy()
        active[:, atom] = np.arange(N) < left
        fewer, guesses = grow_forest(data._replace(active=active), c, family, SEED)
        assert any(len(fold[atom].feature) > 1 for fold in fewer) == grows
        assert (guesses[:, atom] != 0).any() == grows


def test_without_conditions_the_first_atom_has_nothing_to_go_by(grown):
    _, data, c, family, _, _ = grown
    trees, guess = grow_forest(data, c[:, :0], family, SEED)
    assert all(fold[0].value.tolist() == [0] for fold in trees)
    assert (guess[:, 0] == 0).all()
    assert (guess[:, 1:] != 0).any()


def test_only_the_columns_that_correlate_most_are_seen():
    random = np.random.default_rng(9)
    x = random.normal(size=(600, 50)).astype(np.float32)
    x[:, 7] = 0  # a constant column has no correlation, and is no error
    y = (x[:, 40] + x[:, 3] + 0.1 * random.normal(size=600)).astype(np.float32)
    tree = forest._grow(x, np.arange(600), 45, y)
    others = [j for j in range(45) if j != 7]
    strength = np.zeros(45)
    strength[others] = np.abs([np.corrcoef(x[:, j], y)[0, 1] for j in others])
    chosen = set(np.argsort(-strength)[: forest.COLUMNS])
    used = set(tree.feature[tree.feature >= 0])
    assert {3, 40} <= used <= chosen
    assert tree.feature[0] in (3, 40)


def test_a_tree_sees_earlier_atoms_only(grown):
    _, _, c, _, trees, _ = grown
    for fold in trees:
        for atom, tree in enumerate(fold):
            assert tree.feature.max() < c.shape[1] + atom


def test_of_many_people_a_random_part_is_looked_at(grown, monkeypatch):
    """Not the first ones: a table may stand in order of strata."""
    _, data, c, family, _, _ = grown
    late = np.arange(N) >= N // 2
    data = data._replace(score=data.score.copy())
    data.score[:, 3] = np.where(late, 1.0, -1.0)
    c = c.copy()
    c[:, 0] = np.where(late, 1.0, -1.0)
    monkeypatch.setattr(forest, "PEOPLE", 300)
    active = data.active.copy()
    active[:, 3] = True
    trees, guess = grow_forest(data._replace(active=active), c, family, SEED)
    np.testing.assert_allclose(guess[:, 3], data.score[:, 3])
    assert all(len(fold[3].feature) >= 3 for fold in trees)


def test_the_seed_decides(grown):
    _, data, c, family, trees, guess = grown
    again, same = grow_forest(data, c, family, SEED)
    np.testing.assert_array_equal(guess, same)
    assert_forests_equal(trees, again)
    _, other = grow_forest(data, c, family, SEED + 1)
    assert (other != guess).any()


def assert_forests_equal(a, b):
    assert [len(fold) for fold in a] == [len(fold) for fold in b]
    for one, two in zip((t for f in a for t in f), (t for f in b for t in f), strict=True):
        for x, y in zip(one, two, strict=True):
            np.testing.assert_array_equal(x, y)
            assert x.dtype == y.dtype


def test_trees_come_back_from_their_arrays(grown, tmp_path):
    trees = grown[4]
    np.savez(tmp_path / "trees.npz", **forest_arrays(trees))
    with np.load(tmp_path / "trees.npz") as stored:
        assert_forests_equal(forest_from(dict(stored)), trees)
    assert_forests_equal(forest_from(forest_arrays(((NOTHING,), (NOTHING,)))), ((NOTHING,), (NOTHING,)))
    assert forest_from(forest_arrays(())) == ()
    assert forest_from(forest_arrays(((), ()))) == ()  # no atoms
    assert forest_from({}) == ()  # a model stored before there were trees
    dtypes = dict(zip(Guesser._fields, ("int32", "float64", "int32", "int32", "float32"), strict=True))
    for fold in trees:
        for tree in fold:
            assert {k: getattr(tree, k).dtype.name for k in dtypes} == dtypes


def test_a_guide_leads_each_person_by_one_folds_trees(grown):
    """Brute force, with scores that come as they are drawn."""
    _, data, c, _, trees, _ = grown
    n, atoms = 300, data.score.shape[1]
    c, random = c[:n], np.random.default_rng(6)
    guide, x = Guide(trees, c, atoms, 17), np.hstack([c, np.zeros((n, atoms), np.float32)])
    guess = np.zeros((n, atoms), dtype=np.float32)
    for atom in range(atoms):
        guess[:, atom] = guide.guess(atom)
        score = random.permutation(data.score[:, atom])[:n]
        guide.note(atom, score)
        x[:, c.shape[1] + atom] = score
    found = led_by(trees, x, guess, np.ones((n, atoms), dtype=bool))
    assert (found.sum(0) == 1).all()
    share = found.sum(1)
    assert (np.abs(share - n / FOLDS) < 4.5 * np.sqrt(n / FOLDS)).all()
    twin, other = Guide(trees, c, atoms, 17), Guide(trees, c, atoms, 18)
    np.testing.assert_array_equal(twin.guess(atoms - 1), Guide(trees, c, atoms, 17).guess(atoms - 1))
    assert (twin.guess(atoms - 1) != other.guess(atoms - 1)).any()


def test_without_trees_a_guide_says_nothing():
    guide = Guide((), np.ones((5, 2), np.float32), 3, 1)
    guide.note(0, np.ones(5))
    assert guide.guess(1).tolist() == [0] * 5
    assert guide.guess(1).dtype == np.float32


@pytest.fixture(scope="module")
def models():
    """The network with and without the forest."""
    tables = cohort()
    return [
        train_model("cvae", *tables, DICTIONARY, settings, SEED)
        for settings in (QUICK, {**QUICK, "without": ["forest"]})
    ]


def sampled(model, **more):
    _, people, scores = cohort(2000, 2)
    return sample_model(model, scores, people["sex"], people["stratum"], 8, **more)


def impossible(pseudo):
    """Shares of people whose class is not that of their group, and whose missing items are not nested."""
    wrong = pseudo["class"].ne(pseudo["group"].map(CLASS))
    first, second, third = (pseudo[name].isna() for name in ("first", "second", "third"))
    return wrong.mean(), ((first & ~second) | (second & ~third)).mean()


def test_with_trees_what_cannot_be_is_rare(models):
    """Classes: measured 14 % with trees, 62 % without (by chance 67 %). Panels, whose nesting is nearly linear: 0.6 %
    and 1.3 %."""
    assert impossible(cohort()[0]) == (0, 0)
    (led, led_panels), (plain, plain_panels) = (impossible(sampled(model)) for model in models)
    assert led < 0.2
    assert plain > 0.5
    assert led_panels < 0.012
    assert led_panels < plain_panels
    bare, bare_panels = impossible(sampled(models[0], calibrate=False))  # it is not the calibration that does it
    plain, plain_panels = impossible(sampled(models[1], calibrate=False))
    assert bare < 0.2
    assert plain > 0.5
    assert bare_panels < 0.75 * plain_panels


def test_a_loaded_model_draws_the_same_people(models, tmp_path):
    for number, model in enumerate(models):
        save_model(tmp_path / str(number), model)
        again = load_model(tmp_path / str(number))
        assert len(again.forest) == (0 if number else FOLDS)
        assert_forests_equal(again.forest, model.forest)
        pd.testing.assert_frame_equal(sampled(again), sampled(model))


def test_trust_is_learnt_where_trees_know_and_stays_zero_without(models):
    led, plain = models
    trust = np.asarray(led.network.trust[...])
    names = [led.encoding.items[atom.item].name for atom in led.encoding.atoms]
    determined, noise = (
        [abs(t) for t, n in zip(trust, names, strict=True) if n == name] for name in ("class", "noise")
    )
    assert min(determined) > 5 * max(noise)
    assert (np.asarray(plain.network.trust[...]) == 0).all()
    assert plain.forest == ()
