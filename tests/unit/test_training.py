"""Training: recovered effects, held-out families, determinism, the model on disk, and clear errors."""

import dataclasses

import jax
import numpy as np
import optax
import pandas as pd
import pytest
from flax import nnx
from scipy import stats

from pseudocohort import counter
from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.errors import InputError
from pseudocohort.phenotype import fitting, training
from pseudocohort.phenotype.common import fit_common
from pseudocohort.phenotype.model_files import load_model, save_model
from pseudocohort.phenotype.moments import moments
from pseudocohort.phenotype.sampling import sample_people
from pseudocohort.phenotype.search import atom_names, make_shape
from pseudocohort.phenotype.settings import Settings, make_settings, plan_size

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


def small_job(settings=QUICK, n=400):
    """(job on the small cohort with the last tenth held out, Common)."""
    table, people, scores, dictionary = small_cohort(n)
    common, data, c = fit_common(table, people, scores, dictionary)
    chosen = make_settings(settings)
    shape = make_shape(common.encoding, c.shape[1], chosen)
    return fitting.make_job(data, c, np.arange(n) >= 0.9 * n, atom_names(common.encoding), shape, chosen, 1), common


def test_held_out_families_are_whole_and_enough():
    family = np.random.default_rng(1).integers(0, 150, 600).astype(str)
    held = training.held_out_families(family, 0.1, 4)
    assert not set(family[held]) & set(family[~held])
    assert 60 <= held.sum() < 75
    assert (held == training.held_out_families(family, 0.1, 4)).all()
    assert (held != training.held_out_families(family, 0.1, 5)).any()
    with pytest.raises(InputError, match="all training people are of one family"):
        training.held_out_families(np.repeat("f", 50), 0.1, 1)


def test_ordinary_families_are_held_out_in_random_order_up_to_the_share():
    family = np.random.default_rng(1).integers(0, 150, 600).astype(str)
    labels, sizes = np.unique(family, return_counts=True)
    for seed in range(20):
        order = counter.order(counter.key(seed, "validation families"), len(labels))
        first = order[: 1 + np.searchsorted(np.cumsum(sizes[order]), 60)]
        assert set(family[training.held_out_families(family, 0.1, seed)]) == set(labels[first])


@pytest.mark.parametrize(
    ("sizes", "least", "most"),
    [
        ([400, *[4] * 150], 0.1, 0.11),  # one of 40 %
        ([300, 300, 300, 60, 40], 0.1, 0.1),
        ([300, 300, 400], 0.3, 0.3),  # none fits: the smallest
        ([999, 1], 0.001, 0.001),
        ([500, 500], 0.5, 0.5),
        ([1, 500, 499], 0.001, 0.5),
        ([1, *[111] * 9], 0.11, 0.12),  # one person alone would judge nothing
        ([1, 1], 0.5, 0.5),
    ],
)
def test_large_families_are_not_held_out_while_smaller_ones_fit(sizes, least, most):
    family = np.repeat(np.arange(len(sizes)), sizes)
    for seed in range(30):
        held = training.held_out_families(family, 0.1, seed)
        assert least - 1e-9 <= held.mean() <= most + 1e-9
        assert not set(family[held]) & set(family[~held])
    assert 0 < training.held_out_families(family, 0.99, 1).sum() < len(family)


def test_training_watches_the_held_out_families_only(monkeypatch):
    seen = []

    def spy(job, *rest, **more):
        seen.append(job)
        return fit(job, *rest, **more)

    fit = fitting.fit
    monkeypatch.setattr(fitting, "fit", spy)
    table, people, scores, dictionary = small_cohort()
    training.train_network(table, people, scores, dictionary, QUICK, 3)
    family = people["family"].to_numpy()
    assert len(seen[0].test) >= 40
    assert not set(family[seen[0].test]) & set(family[seen[0].train])
    assert sorted([*seen[0].test, *seen[0].train]) == list(range(400))


def test_same_seed_same_network_and_the_saved_model_samples_the_same(tmp_path):
    cohort = small_cohort()
    first, second, other = (training.train_network(*cohort, QUICK, seed) for seed in (5, 5, 6))
    pd.testing.assert_frame_equal(first.curve, second.curve)
    assert not first.curve.equals(other.curve)
    save_model(tmp_path / "model", first)
    again = load_model(tmp_path / "model")
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
        load_model(tmp_path / "none")


def test_early_stopping_keeps_the_best_epoch(caplog):
    table, people, scores, dictionary = small_cohort(200)
    settings = {"epochs": 30, "hidden": 16, "batch": 32, "learning_rate": 0.05, "patience": 2}
    with caplog.at_level("INFO", logger="pseudocohort"):
        model = training.train_network(table, people, scores, dictionary, settings, 2)
    assert len(model.curve) < 30
    assert len(model.curve) == model.curve["validation_loss"].idxmin() + 3
    assert "early stopping" in caplog.text
    assert "s left" in caplog.text


@pytest.mark.parametrize("bad", [3, 390])  # a person trained on, a person held out
def test_nan_stops_with_the_item_named(bad):
    job, common = small_job()
    job.data.low[bad, common.encoding.items[common.encoding.index["x"]].atoms[0]] = np.nan
    with pytest.raises(InputError, match=r"training stopped in epoch \d: the loss is no longer a number for item x\n"):
        fitting.fit(job)


def test_aggregate_moments_are_least_squares():
    random = np.random.default_rng(3)
    c = random.normal(size=(2000, 3))
    values = c @ random.normal(size=(3, 2)) + 0.7 + random.normal(size=(2000, 2)) * [1, 2]
    fitted = moments(values, c)
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
        ({"depth": 4}, "depth is 4\n.*\n.*1, 2 or 3 hidden layers"),
        ({"batch": 0}, "batch is 0\n.*\n.*positive whole number"),
        ({"warmup": float("nan")}, "warmup is nan"),
        ({"without": ["hats"]}, "without names 'hats'\n.*\n.*typed_heads, autoregression"),
        ({"without": "latent"}, "without names 'latent'\n.*\n.*a list out of"),
    ],
)
def test_bad_settings_are_refused(values, text):
    with pytest.raises(InputError, match=text):
        make_settings(values)


def test_settings_are_the_config_keys():
    chosen = make_settings({"hidden": 32, "learning_rate": 0.005})
    assert dataclasses.asdict(chosen)["hidden"] == 32
    assert chosen.epochs is None
    assert make_settings({"without": ["latent"], "epochs": None}) == Settings(without=("latent",))


def test_size_of_a_training_follows_the_people():
    assert plan_size(1200, Settings()) == (56, 64)
    assert plan_size(1200, Settings(epochs=7, batch=100)) == (7, 100)
    assert plan_size(30, Settings()) == (80, 30)
    sizes = [plan_size(n, Settings()) for n in (4_000, 20_000, 100_000, 1_000_000)]
    batches = [batch for _, batch in sizes]
    assert batches == sorted(batches)
    assert batches[0] == 116
    assert batches[-1] == 512
    steps = [
        epochs * (n // batch) for (epochs, batch), n in zip(sizes, (4_000, 20_000, 100_000, 1_000_000), strict=True)
    ]
    assert all(1000 < s < 20_000 for s in steps)


def test_the_size_of_a_block_changes_nothing(monkeypatch):
    """Data handed over in blocks of steps give the bits of one block (n = 360, 5 steps of 72 -> 6 of 60)."""
    settings = {**QUICK, "batch": 60, "epochs": 3}
    whole, _ = small_job(settings)
    assert whole.steps == 6
    monkeypatch.setattr(fitting, "BLOCK_BYTES", 2 * 60 * len(whole.names) * 18)
    job, _ = small_job(settings)
    monkeypatch.setattr(fitting, "_steps", counted := Counted(fitting._steps))
    split = fitting.fit(job)
    assert counted.calls == 3 * 3
    monkeypatch.undo()
    same(fitting.fit(whole).kept, split.kept)


class Counted:
    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, *arguments):
        self.calls += 1
        return self.function(*arguments)


def same(a, b):
    """Two trees of arrays are equal bit by bit."""
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def test_people_judged_in_blocks_have_the_loss_of_all(monkeypatch):
    job, _ = small_job({**QUICK, "without": ["latent"]})
    parameters = fitting.begin(job).parameters
    whole = fitting.judge(job, parameters, 0)
    monkeypatch.setattr(fitting, "JUDGED", 13 * len(job.names))  # 40 people: 4 blocks of 10
    assert fitting.judge(job, parameters, 0) == pytest.approx(whole, rel=1e-6)
    monkeypatch.setattr(fitting, "JUDGED", 15 * len(job.names))  # 3 blocks of 14, the last filled up
    assert fitting.judge(job, parameters, 0) == pytest.approx(whole, rel=1e-6)


def test_one_cycle_is_that_of_optax():
    job, _ = small_job({**QUICK, "epochs": 10, "batch": 60})
    mine = np.concatenate([fitting.rates(job, epoch)[0] for epoch in range(10)])
    truth = jax.vmap(optax.cosine_onecycle_schedule(60, 0.01, pct_start=0.3))(jax.numpy.arange(60))
    np.testing.assert_allclose(mine, truth, rtol=1e-4, atol=1e-8)
    assert [fitting.rates(job, epoch)[1] for epoch in (0, 1, 2, 9)] == pytest.approx([1 / 3, 2 / 3, 1, 1])


def test_where_nothing_is_learnt_the_start_is_kept(monkeypatch, caplog):
    job, _ = small_job({**QUICK, "patience": 4})
    losses = iter(range(100))
    monkeypatch.setattr(fitting, "judge", lambda *_: float(next(losses)))
    end = fitting.fit(job)
    assert (end.best_epoch, end.best, end.epoch) == (0, 0.0, 5)
    assert "no epoch was better on the held-out families than independent items" in caplog.text
    same(end.kept, fitting.begin(job).parameters)


def gradient_steps(monkeypatch, settings):
    """Arguments (rate, beta, free bits, share) of every compiled call of a training."""
    seen, steps = [], fitting._steps

    def spy(shape, parameters, memory, rows, *rest):
        seen.append(rest)
        return steps(shape, parameters, memory, rows, *rest)

    monkeypatch.setattr(fitting, "_steps", spy)
    fitting.fit(small_job(settings)[0])
    monkeypatch.undo()
    return seen


def test_without_warmup_and_free_bits_the_bound_is_plain_from_the_start(monkeypatch):
    usual = gradient_steps(monkeypatch, QUICK)
    assert [beta for _, beta, _, _ in usual][:2] == pytest.approx([1 / 1.8, 1])
    assert {free for _, _, free, _ in usual} == {Settings().free_bits}
    plain = gradient_steps(monkeypatch, {**QUICK, "without": ["warmup", "free_bits"]})
    assert {(beta, free) for _, beta, free, _ in plain} == {(1.0, 0.0)}


def test_without_typed_heads_every_value_is_a_point_of_a_density():
    usual, _ = small_job()
    job, _ = small_job({**QUICK, "without": ["typed_heads"]})
    assert usual.shape.binary == (False, True)
    assert job.shape.binary == (False, False)
    np.testing.assert_array_equal(job.data.dense, usual.data.active)
    for bound in (job.data.low, job.data.high):
        np.testing.assert_array_equal(bound, usual.data.score)
    assert np.isfinite(fitting.fit(job).best)


def test_without_aggregate_posterior_or_latent_the_code_is_standard_normal():
    cohort = small_cohort()
    plain = {"without": ["aggregate_posterior"]}
    models = [training.train_network(*cohort, {**QUICK, **more}, 5) for more in ({}, plain, {"without": ["latent"]})]
    usual, ablated, blind = ((model.code_slope, model.code_covariance) for model in models)
    assert np.abs(usual[0]).max() > 0.01
    for slope, covariance in (ablated, blind):
        np.testing.assert_allclose(slope, np.zeros_like(usual[0]), atol=1e-6)
        np.testing.assert_allclose(covariance, np.eye(4), atol=1e-6)
    assert models[2].curve["kl"].abs().max() < 1e-6
    same(nnx.state(models[0].network, nnx.Param), nnx.state(models[1].network, nnx.Param))


def test_training_goes_on_from_any_epoch_to_the_same_bits():
    job, _ = small_job({**QUICK, "depth": 2})
    states = []

    def after(progress):  # copies: the next epoch reuses the memory of these buffers
        states.append(jax.tree.map(lambda a: a.copy() if hasattr(a, "copy") else a, progress))

    end = fitting.fit(job, after=after)
    again = fitting.fit(job, states[2])
    same(end.kept, again.kept)
    same(end.parameters, again.parameters)
    assert end.rows == again.rows


def test_tables_in_different_orders_are_refused():
    table, people, scores, dictionary = small_cohort(100)
    table["person"] = people["person"] = scores["person"] = [f"p{i}" for i in range(100)]
    with pytest.raises(InputError, match="phenotypes and scores list the people in different orders"):
        training.train_network(table, people, scores.iloc[::-1], dictionary, QUICK, 1)
    with pytest.raises(InputError, match="100 rows of phenotypes but 99 of people"):
        training.train_network(table, people.iloc[:99], scores, dictionary, QUICK, 1)
