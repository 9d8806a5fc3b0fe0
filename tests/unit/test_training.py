"""Training: recovered effects, held-out families, determinism, the model on disk, and clear errors."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.errors import InputError
from pseudocohort.phenotype import training
from pseudocohort.phenotype.network import Shape
from pseudocohort.phenotype.sampling import sample_people

QUICK = {"epochs": 6, "hidden": 16, "batch": 128}


def small_cohort(n=400, seed=1):
    random = np.random.default_rng(seed)
    scores = pd.DataFrame({"x": random.normal(size=n), "y": random.normal(size=n)})
    x = 0.5 * scores["x"] + random.normal(size=n)
    table = pd.DataFrame(
        {
            "x": np.round(np.exp(x), 2),
            "y": np.where(x + random.normal(size=n) > 1, "1", "0"),
            "age": random.integers(30, 70, n).astype(float),
        }
    )
    people = pd.DataFrame(
        {"sex": random.integers(1, 3, n), "stratum": "all", "family": [f"f{i // 4}" for i in range(n)]}
    )
    rows = (Item("age", "continuous", role="age"), Item("x", "continuous"), Item("y", "binary", categories=("0", "1")))
    return table, people, scores, Dictionary(rows)


def test_held_out_families_are_whole_and_enough():
    family = np.random.default_rng(1).integers(0, 150, 600).astype(str)
    held = training.held_out_families(family, 0.1, 4)
    assert not set(family[held]) & set(family[~held])
    assert 60 <= held.sum() < 75
    assert (held == training.held_out_families(family, 0.1, 4)).all()
    assert (held != training.held_out_families(family, 0.1, 5)).any()
    with pytest.raises(InputError, match="all training people are of one family"):
        training.held_out_families(np.repeat("f", 50), 0.1, 1)


def test_training_watches_the_held_out_families_only(monkeypatch):
    seen = {}

    def spy(data, c, held, *rest):
        seen["held"] = held
        return fit(data, c, held, *rest)

    fit = training.fit_network
    monkeypatch.setattr(training, "fit_network", spy)
    table, people, scores, dictionary = small_cohort()
    training.train_network(table, people, scores, dictionary, QUICK, 3)
    family = people["family"].to_numpy()
    assert seen["held"].any()
    assert not set(family[seen["held"]]) & set(family[~seen["held"]])


def test_same_seed_same_network_and_the_saved_model_samples_the_same(tmp_path):
    cohort = small_cohort()
    first, second, other = (training.train_network(*cohort, QUICK, seed) for seed in (5, 5, 6))
    pd.testing.assert_frame_equal(first.curve, second.curve)
    assert not first.curve.equals(other.curve)
    training.save_model(tmp_path / "model", first)
    again = training.load_model(tmp_path / "model")
    new = pd.DataFrame({"x": np.linspace(-2, 2, 250), "y": 0.0})
    arguments = (new, np.tile([1, 2], 125), np.repeat("all", 250))
    pseudo = sample_people(first, *arguments, 8)
    pd.testing.assert_frame_equal(pseudo, sample_people(again, *arguments, 8))
    assert not pseudo.equals(sample_people(again, *arguments, 9))
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "learning_curve.tsv",
        "model.json",
        "parameters.npz",
        "search.tsv",
    ]
    assert again.settings == first.settings
    with pytest.raises(InputError, match="no trained network here"):
        training.load_model(tmp_path / "none")


def test_early_stopping_keeps_the_best_epoch(caplog):
    table, people, scores, dictionary = small_cohort(200)
    settings = {"epochs": 30, "hidden": 16, "batch": 32, "learning_rate": 0.05, "patience": 2}
    with caplog.at_level("INFO", logger="pseudocohort"):
        model = training.train_network(table, people, scores, dictionary, settings, 2)
    assert len(model.curve) < 30
    assert len(model.curve) == model.curve["validation_loss"].idxmin() + 3
    assert "early stopping" in caplog.text
    assert "s left" in caplog.text


def test_search_keeps_its_table_and_the_best_trial(monkeypatch):
    tried = []

    def fake(data, c, held, names, shape, settings, seed):
        tried.append(settings)
        return shape, pd.DataFrame({"epoch": [1, 2], "validation_loss": [9.0, abs(settings.hidden - 64) + 1.0]})

    monkeypatch.setattr(training, "fit_network", fake)
    table, _, _, dictionary = small_cohort(100)
    encoding = training.fit_encoding(table, np.ones(100, np.int8), dictionary)
    start = training.make_settings({"hidden": 100, "search": 12})
    shape, best, _, rows = training._search(None, np.zeros((100, 3)), None, encoding, [], start, 5)
    assert tried[0] == start
    assert len(rows) == len(tried) == 12
    assert best.hidden == shape.hidden == 64
    assert rows["validation_loss"].min() == 1
    assert {t.hidden for t in tried[1:]} == {32, 64, 128}
    assert all(0.003 <= t.learning_rate <= 0.03 for t in tried)


@pytest.mark.parametrize("bad", [3, 390])  # a person trained on, a person held out
def test_nan_stops_with_the_item_named(bad):
    table, people, _, dictionary = small_cohort()
    encoding = training.fit_encoding(table, people["sex"].to_numpy(), dictionary)
    data = training.encode(encoding, table, people["sex"].to_numpy())
    data.low[bad, encoding.items[encoding.index["x"]].atoms[0]] = np.nan
    held = np.arange(400) >= 360
    names = [encoding.items[a.item].name for a in encoding.atoms]
    settings = training.make_settings(QUICK)
    with pytest.raises(InputError, match=r"training stopped in epoch \d: the loss is no longer a number for item x\n"):
        training.fit_network(
            data, np.zeros((400, 7), np.float32), held, names, Shape(7, (False, True), 16, 4), settings, 1
        )


def test_aggregate_moments_are_least_squares():
    random = np.random.default_rng(3)
    c = random.normal(size=(2000, 3))
    values = c @ random.normal(size=(3, 2)) + 0.7 + random.normal(size=(2000, 2)) * [1, 2]
    fitted = training.moments(values, c)
    for j in range(2):
        design = np.column_stack([np.ones(2000), c])
        np.testing.assert_allclose(fitted.slope[:, j], np.linalg.lstsq(design, values[:, j], rcond=None)[0], atol=1e-3)
    assert fitted.covariance[1, 1] == pytest.approx(4, rel=0.2)
    assert abs(stats.pearsonr(*values.T)[0]) < 1


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"hiden": 64}, "unknown network setting 'hiden'\n.*\n.*did you mean 'hidden'"),
        ({"hidden": 0}, "network setting hidden is 0\n.*\n.*positive whole number"),
        ({"epochs": 2.5}, "network setting epochs is 2.5"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'"),
        ({"validation": 1.5}, "validation is 1.5\n.*\n.*between 0 and 1"),
        ({"latent": True}, "latent is True"),
    ],
)
def test_bad_settings_are_refused(values, text):
    with pytest.raises(InputError, match=text):
        training.make_settings(values)


def test_settings_are_the_config_keys():
    chosen = training.make_settings({"hidden": 32, "learning_rate": 0.005})
    assert dataclasses.asdict(chosen)["hidden"] == 32
    assert chosen.epochs == training.Settings().epochs


def test_tables_in_different_orders_are_refused():
    table, people, scores, dictionary = small_cohort(100)
    table["person"] = people["person"] = scores["person"] = [f"p{i}" for i in range(100)]
    with pytest.raises(InputError, match="phenotypes and scores list the people in different orders"):
        training.train_network(table, people, scores.iloc[::-1], dictionary, QUICK, 1)
    with pytest.raises(InputError, match="100 rows of phenotypes but 99 of people"):
        training.train_network(table, people.iloc[:99], scores, dictionary, QUICK, 1)
