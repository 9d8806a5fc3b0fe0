"""Differential privacy: accounting against oracles, clipping, noise, sampling, and what a private model leaves out."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from jax.flatten_util import ravel_pytree
from scipy import stats

from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.errors import InputError
from pseudocohort.phenotype import privacy, training
from pseudocohort.phenotype.atoms import Encoded
from pseudocohort.phenotype.model_files import load_model, save_model
from pseudocohort.phenotype.network import Network, Shape
from pseudocohort.phenotype.objective import penalty
from pseudocohort.phenotype.sampling import sample_people
from pseudocohort.phenotype.settings import make_settings

ALARM = 1e-6  # false-alarm rate of every statistical test here; seeds are fixed, so a pass stays a pass
SHAPE = Shape(2, (False, True, False), 8, 2)
KNOBS = privacy.Knobs(1.0, 0.02, 0.7, 0.0, 1.0, 1.0)


summed = jax.jit(privacy.clipped_sum, static_argnums=0)
gradient = jax.jit(jax.grad(lambda v, row: privacy.person_loss(v, row, SHAPE, KNOBS)))


def people_rows(n, seed=1):
    """((Encoded, c), normals) of n random people with three atoms, the second of two levels."""
    random = np.random.default_rng(seed)
    score = random.normal(size=(n, 3)).astype(np.float32)
    low, high = score.copy(), score.copy()
    low[:, 1], high[:, 1] = np.where(score[:, 1] > 0, [[0], [30]], [[-30], [0]])
    dense = np.tile([True, False, True], (n, 1))
    data = Encoded(low, high, score, dense, random.random((n, 3)) < 0.9, np.zeros_like(score))
    normal = random.normal(size=(n, 2)).astype(np.float32)
    return (data, random.normal(size=(n, 2)).astype(np.float32)), normal


def parameters(seed=1):
    """A vector with every weight away from zero."""
    return jax.random.normal(jax.random.key(seed), (len(start()),)) * 0.3


def start():
    from flax import nnx

    return ravel_pytree(nnx.state(Network(SHAPE), nnx.Param))[0]


# --- accounting


@pytest.mark.parametrize(("epsilon", "delta"), [(0.5, 1e-5), (3.0, 1e-6)])
def test_one_step_of_everybody_is_the_analytic_gaussian_mechanism(epsilon, delta):
    def exact(sigma):  # Balle and Wang 2018, theorem 8
        a, b = 1 / (2 * sigma), epsilon * sigma
        return stats.norm.cdf(a - b) - math.exp(epsilon) * stats.norm.cdf(-a - b)

    sigma = privacy.noise_multiplier(epsilon, delta, 1.0, 1)
    assert exact(sigma) <= delta
    assert exact(0.995 * sigma) > delta


def test_composition_agrees_with_a_simulation_of_the_privacy_loss():
    """delta(epsilon) = E[(1 - exp(epsilon - L))+], L the summed log ratio of q N(1, s) + (1 - q) N(0, s) to N(0, s),
    under the first (a person removed) and, with the ratio turned round, under the second (a person added)."""
    q, sigma, steps, n, epsilon = 0.1, 1.5, 30, 200_000, 1.0
    random, found = np.random.default_rng(1), []
    for removed in (True, False):
        loss = np.zeros(n)
        for _ in range(steps):
            x = random.normal(size=n) * sigma + (random.random(n) < q) * removed
            ratio = np.log1p(q * np.expm1((2 * x - 1) / (2 * sigma**2)))
            loss += ratio if removed else -ratio
        excess = np.maximum(-np.expm1(epsilon - loss), 0)
        found.append((excess.mean(), excess.std() / n**0.5))
    delta, error = max(found)
    import dp_accounting.pld

    mechanism = privacy.Mechanism(sigma, q, steps, 1)
    counted = dp_accounting.pld.PLDAccountant().compose(privacy._event(mechanism)).get_delta(epsilon)
    assert counted == pytest.approx(delta, abs=stats.norm.isf(ALARM / 2) * error)
    assert delta > 20 * error  # the comparison can fail


@pytest.mark.parametrize(("sigma", "epochs", "published"), [(1.3, 20, 1.34), (0.7, 70, 8.68)])
def test_published_epsilon_of_a_looser_accountant_is_an_upper_bound(sigma, epochs, published):
    """Moments accountant for MNIST, batches of 256 of 60,000, delta 1e-5: Bu, Dong, Long, Su 2020, figure 4."""
    from dp_accounting import rdp

    mechanism = privacy.Mechanism(sigma, 256 / 60000, round(epochs * 60000 / 256), 60000)
    spent = privacy.spent_epsilon(mechanism, 1e-5)
    renyi = rdp.RdpAccountant().compose(privacy._event(mechanism)).get_epsilon(1e-5)
    assert 0.7 * published < spent < renyi <= published * 1.005


def test_noise_spends_the_budget_and_no_more():
    for epsilon, rate, steps in ((0.1, 0.5, 40), (8.0, 0.05, 100)):
        sigma = privacy.noise_multiplier(epsilon, 1e-6, rate, steps)
        assert 0.99 * epsilon < privacy.spent_epsilon(privacy.Mechanism(sigma, rate, steps, 1), 1e-6) <= epsilon


# --- one step


@pytest.mark.parametrize("bad", [0.0, 1.0, 1e3, 1e18, 1e30, np.inf, np.nan])
def test_one_row_moves_the_sum_by_at_most_the_clip(bad):
    random = np.random.default_rng(2)
    gradients = random.normal(size=(40, 500)).astype(np.float32)
    gradients[7] = np.where(random.random(500) < 0.5, bad, -bad) * random.random(500)
    gradients[8, 3] = bad
    full = privacy.clip_rows(jnp.array(gradients), 0.7, jnp.ones(40, bool))
    assert np.isfinite(full).all()
    for row in range(40):
        without = privacy.clip_rows(jnp.array(gradients), 0.7, jnp.arange(40) != row)
        assert np.linalg.norm(np.float64(full) - np.float64(without)) <= 0.7 * (1 + 1e-6)
    short = privacy.clip_rows(jnp.full((1, 4), 0.1), 0.7, jnp.ones(1, bool))
    np.testing.assert_allclose(short, 0.1, rtol=1e-6)  # shorter ones are left alone


def test_a_person_moves_the_networks_sum_by_at_most_the_clip():
    (data, c), normal = people_rows(64)
    vector = parameters()
    for value in (50.0, 1e6, 3e38, np.nan):
        wild = Encoded(*(a.copy() for a in data))
        for array in wild[:3]:
            array[31] = value
        strange = (wild, np.where(np.arange(64)[:, None] == 31, np.float32(value), c))
        with_them = summed(SHAPE, vector, (strange, normal), 32, KNOBS)
        without = summed(SHAPE, vector, (strange, normal), 31, KNOBS)
        assert np.linalg.norm(np.float64(with_them) - np.float64(without)) <= 0.7 * (1 + 1e-6)


@pytest.mark.parametrize("size", [0, 1, 32, 45])
def test_clipped_sum_is_the_loop_over_people(size):
    rows, vector = people_rows(64), parameters()
    expected, lengths = np.zeros(len(vector)), []
    for i in range(size):
        g = np.asarray(gradient(vector, jax.tree.map(lambda a, i=i: a[i], rows)), dtype=np.float64)
        lengths.append(np.linalg.norm(g))
        expected += g * min(1.0, KNOBS.clip / lengths[-1])
    garbage = jax.tree.map(lambda a: np.where(np.arange(64).reshape(-1, *[1] * (a.ndim - 1)) < size, a, 1), rows)
    for padded in (rows, garbage):
        got = summed(SHAPE, vector, padded, size, KNOBS)
        np.testing.assert_allclose(got, expected, atol=2e-5 * max(size, 1))
    assert size < 2 or max(lengths) > KNOBS.clip


def test_person_loss_sums_to_the_bound():
    from pseudocohort.phenotype.objective import bound

    rows, vector = people_rows(20), parameters()
    likelihood, kl = bound(privacy._network(SHAPE, vector), *rows)
    free = KNOBS._replace(free=0.0)
    each = jax.jit(jax.vmap(lambda row: privacy.person_loss(vector, row, SHAPE, free)))(rows)
    np.testing.assert_allclose(each, kl.sum(1) - likelihood.sum(1), rtol=1e-4)


def test_noise_has_the_standard_deviation_of_theory():
    noise = np.asarray(privacy.gaussian(jax.random.key(3), 40_000), dtype=np.float64)
    low, high = stats.chi2.ppf([ALARM / 2, 1 - ALARM / 2], len(noise))
    assert low < (noise**2).sum() < high
    assert stats.kstest(noise, "norm").pvalue > ALARM
    assert abs(stats.pearsonr(noise[1:], noise[:-1]).statistic) < stats.norm.isf(ALARM / 2) / len(noise) ** 0.5


def test_step_adds_sigma_clip_over_the_expected_batch():
    rows, vector = people_rows(64), parameters()
    knobs = privacy.Knobs(1.0, 0.02, 0.7, 2.5 * 0.7, 40.0, 300.0)
    prior = jax.grad(lambda v: penalty(privacy._network(SHAPE, v)))(vector) / 300
    step = jax.jit(lambda key, size: privacy.noised_gradient(SHAPE, vector, rows, size, knobs, key))
    draws = np.array([step(jax.random.key(i), 0) - prior for i in range(60)], dtype=np.float64)
    scaled = draws / (2.5 * 0.7 / 40)
    low, high = stats.chi2.ppf([ALARM / 2, 1 - ALARM / 2], scaled.size)
    assert low < (scaled**2).sum() < high
    signal = step(jax.random.key(1), 50) - step(jax.random.key(1), 0)
    np.testing.assert_allclose(signal, summed(SHAPE, vector, rows, 50, knobs) / 40, atol=1e-5)


def test_poisson_sampling_draws_each_person_independently():
    people, rate, steps = 300, 0.23, 500
    drawn = np.zeros((steps, people), bool)
    for step in range(steps):
        drawn[step, privacy.poisson_rows(9, step, people, rate)] = True
    assert stats.binomtest(int(drawn.sum()), drawn.size, rate).pvalue > ALARM
    for counts, n in ((drawn.sum(0), steps), (drawn.sum(1), people)):  # a fixed batch size fails the second
        square = ((counts - n * rate) ** 2).sum() / (n * rate * (1 - rate))
        low, high = stats.chi2.ppf([ALARM / 2, 1 - ALARM / 2], len(counts))
        assert low < square < high
    again = privacy.poisson_rows(9, 4, people, rate)
    assert (again == np.flatnonzero(drawn[4])).all()
    assert not np.array_equal(again, privacy.poisson_rows(10, 4, people, rate))
    assert (privacy.poisson_rows(9, 4, people, 1.0) == np.arange(people)).all()


def test_no_draw_is_cut_off(monkeypatch):
    assert privacy.room_for(0, 10_000, 0.01) >= stats.binom.isf(1e-10, 10_000, 0.01)
    assert privacy.room_for(999, 10_000, 0.01) >= 999
    assert privacy.room_for(0, 100, 1.0) >= 100
    tables = cohort(300)
    usual, _ = trained(*tables)
    monkeypatch.setattr(privacy, "ROOM", 0.999)  # most draws do not fit into the first size
    tight, _ = trained(*tables)
    np.testing.assert_allclose(weights(usual), weights(tight), atol=1e-6)


# --- training


def cohort(n=300, seed=1):
    """Encoded people with one correlated pair of atoms (0.6), c, held (the last tenth), settings."""
    (data, c), _ = people_rows(n, seed)
    score = data.score
    score[:, 2] = 0.6 * score[:, 0] + 0.8 * score[:, 2]
    data.low[:, 2] = data.high[:, 2] = score[:, 2]
    data.active[:] = True
    settings = make_settings({"hidden": 8, "latent": 2, "epochs": 3, "batch": 100})
    return data, c, np.arange(n) >= 0.9 * n, settings


def trained(data, c, held, settings, seed=4, **dp):
    """(network, statement) of a private training with epsilon 8 unless told otherwise."""
    budget = {"epsilon": 8.0, "delta": 1e-4, "public_seed": False} | dp
    budget = privacy.make_budget(budget, int((~held).sum()), 3)
    network, curve, noted = privacy.fit_private(data, c, held, list("abc"), SHAPE, settings, seed, budget)
    assert curve["train_loss"].isna().all()
    assert curve["kl"].isna().all()
    assert np.isfinite(curve["validation_loss"]).all()
    assert len(curve) == settings.epochs
    return network, noted


def weights(network):
    from flax import nnx

    return np.asarray(ravel_pytree(nnx.state(network, nnx.Param))[0])


def test_same_seed_same_weights_and_held_out_people_leave_no_trace():
    data, c, held, settings = cohort()
    first, noted = trained(data, c, held, settings)
    again, _ = trained(data, c, held, settings)
    other, _ = trained(data, c, held, settings, seed=5)
    np.testing.assert_array_equal(weights(first), weights(again))
    assert np.abs(weights(first) - weights(other)).max() > 1e-3
    assert noted["steps"] == 6
    assert noted["epsilon_spent"] <= 8.0
    assert noted["sampling_rate"] == pytest.approx(100 / 270)
    data.score[held] += 1
    without, _ = trained(data, c * np.where(held, 3, 1)[:, None].astype(np.float32), held, settings)
    np.testing.assert_array_equal(weights(first), weights(without))


@pytest.mark.parametrize("bad", [3, 299])  # a person trained on, a person held out
@pytest.mark.parametrize(("array", "value"), [("low", np.nan), ("score", np.inf), ("high", np.nan)])
def test_what_is_no_number_is_refused_before_training(bad, array, value, monkeypatch):
    data, c, held, settings = cohort()
    getattr(data, array)[bad, 1] = value
    monkeypatch.setattr(privacy, "_step", None)
    with pytest.raises(InputError, match="training stopped in epoch 1: the loss is no longer a number for item b\n"):
        trained(data, c, held, settings)
    data, c, held, settings = cohort()
    c[bad, 0] = value
    with pytest.raises(InputError, match="the loss is no longer a number for item a, b, c\n"):
        trained(data, c, held, settings)


def test_much_noise_hides_and_little_noise_shows_the_correlation():
    data, c, held, settings = cohort(3000)
    settings = make_settings({"hidden": 8, "latent": 2, "epochs": 12, "batch": 300, "learning_rate": 0.03})
    found = {}
    for epsilon in (0.002, 8.0):
        network, noted = trained(data, c, held, settings, epsilon=epsilon)
        found[epsilon] = float(network.linear_score[0, 2])
        assert any("hides correlations" in text for text in noted["warnings"]) == (epsilon < 1)
    assert found[8.0] > 0.35
    assert abs(found[0.002]) < 0.35


def tables(n=400, seed=1):
    random = np.random.default_rng(seed)
    scores = pd.DataFrame({"x": random.normal(size=n)})
    x = 0.5 * scores["x"] + random.normal(size=n)
    table = pd.DataFrame({"x": np.round(np.exp(x), 2), "y": np.where(x + random.normal(size=n) > 1, "1", "0")})
    people = pd.DataFrame({"sex": random.integers(1, 3, n), "stratum": "all", "family": [f"f{i}" for i in range(n)]})
    return table, people, scores, Dictionary((Item("x", "continuous"), Item("y", "binary", categories=("0", "1"))))


QUICK = {"epochs": 3, "hidden": 8, "batch": 128, "latent": 2}


def test_private_model_holds_no_moments_and_says_what_epsilon_means(tmp_path, caplog):
    with caplog.at_level("WARNING", logger="pseudocohort"):
        model = training.train_network(*tables(), QUICK, 3, dp={"epsilon": 12.0, "delta": 1e-4})
    assert "no guarantee holds" in caplog.text  # the seed is not said to be secret
    assert "bounds little" in caplog.text
    assert model.moments is None
    assert model.forest == ()  # trees would hold means of people without noise
    assert (model.code_slope == 0).all()
    np.testing.assert_array_equal(model.code_covariance, np.eye(2))
    save_model(tmp_path / "model", model)
    with np.load(tmp_path / "model" / "parameters.npz") as stored:
        assert not [name for name in stored if "moment" in name]
    noted = json.loads((tmp_path / "model" / "privacy.json").read_text())
    assert noted == model.privacy == load_model(tmp_path / "model").privacy
    assert noted["epsilon"] == 12.0
    assert noted["delta"] == 1e-4
    assert noted["seed_is_public"]
    assert not noted["valid"]
    assert len(noted["warnings"]) >= 2
    text = " ".join([*noted["covers"], *noted["does_not_cover"], noted["unit"], noted["accountant"]]).lower()
    for word in (
        "quantiles",
        "effect weights",
        "genotypes",
        "relatives",
        "held-out",
        "baselines",
        "public",
        "rounding",
        "given the coding",
        "standardisation, median age, spline knots",
        "taken as fixed",
    ):
        assert word in text
    for claim in ("safe", "anonym", "secure"):
        assert claim not in text


def test_private_model_is_sampled_without_calibration():
    model = training.train_network(*tables(), QUICK, 3, dp={"epsilon": 3.0, "delta": 1e-4, "public_seed": False})
    assert model.privacy["valid"]
    new = pd.DataFrame({"x": np.random.default_rng(1).normal(size=300)})
    pseudo = sample_people(model, new, np.tile([1, 2], 150), np.repeat("all", 300), 8)
    assert len(pseudo) == 300
    assert set(pseudo["y"].dropna()) <= {"0", "1"}


def test_batches_and_steps_follow_the_number_of_people():
    open_ended = make_settings({"epochs": None, "batch": None})
    for people, batch in ((100, 100), (1000, 256), (4000, 500), (100_000, 2048)):
        epochs, size = privacy.plan_size(people, open_ended)
        assert size == batch
        assert 200 <= epochs * (people // size) <= 260
    assert privacy.plan_size(1000, make_settings({"epochs": 7, "batch": 64})) == (7, 64)


@pytest.mark.parametrize(
    ("dp", "search", "text"),
    [
        ({"epsilon": 0.0}, 1, "epsilon is 0.0"),
        ({"epsilon": -1}, 1, "epsilon is -1"),
        ({"epsilon": math.inf}, 1, "epsilon is inf"),
        ({"epsilon": True}, 1, "epsilon is True"),
        ({"delta": 1e-6}, 1, "epsilon is missing"),
        ({"epsilon": 1, "delta": 0}, 1, "delta is 0"),
        ({"epsilon": 1, "delta": 0.01}, 1, "delta is 0.01, but there are 100 training people"),
        ({"epsilon": 1, "clip": 0}, 1, "clip is 0"),
        ({"epsilon": 1, "sigma": 2}, 1, "unknown key 'sigma'"),
        ({"epsilon": 1}, 4, "network.search is 4: the best of several networks is not private"),
    ],
)
def test_bad_budgets_are_refused(dp, search, text):
    with pytest.raises(InputError, match=text):
        privacy.make_budget(dp, 100, 20, search)


def test_open_budget_has_defaults_and_train_network_checks_it():
    budget = privacy.make_budget({"epsilon": 2, "delta": None, "clip": None}, 1000, 40)
    assert budget == (2, privacy.DELTA, pytest.approx(14.0), True)
    with pytest.raises(InputError, match=r"delta is 0.1, but there are 3\d\d training people"):
        training.train_network(*tables(), QUICK, 3, dp={"epsilon": 1.0, "delta": 0.1})


def test_default_clip_depends_on_the_dictionary_alone():
    """One person's first missing value adds an atom, and is not to change the noise of all."""
    table, people, scores, dictionary = tables()
    holes = table.copy()
    holes.loc[5, "x"] = np.nan
    budget = {"epsilon": 3.0, "delta": 1e-4, "public_seed": False}
    models = [training.train_network(t, people, scores, dictionary, QUICK, 3, dp=budget) for t in (table, holes)]
    assert len(models[0].encoding.atoms) < len(models[1].encoding.atoms)
    assert [m.privacy["clip"] for m in models] == [2 * privacy.CLIP] * 2
    assert abs(50 * privacy.CLIP - 88 * 0.2) < 0.2  # NHANES, where 0.2 an atom was tried


def test_an_epsilon_that_no_noise_reaches_is_refused(monkeypatch):
    import dp_accounting

    def never(*_, **__):
        raise ValueError("no bracket")

    monkeypatch.setattr(dp_accounting, "calibrate_dp_mechanism", never)
    with pytest.raises(InputError, match="no noise reaches epsilon 1 at delta 1e-06 in 10 steps"):
        privacy.noise_multiplier(1.0, 1e-6, 0.1, 10)
