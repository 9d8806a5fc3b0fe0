"""Differentially private training of the phenotype network (DP-SGD), as an option.

Abadi et al. 2016, "Deep learning with differential privacy", algorithm 1. In every step each training person enters
with probability q on their own (Poisson sampling); with g_i the gradient of person i's own loss

    step = (sum_i g_i min(1, C / |g_i|) + sigma C N(0, I)) / (q n) + grad(penalty) / n

goes to Adam, which is post-processing; the penalty knows no data. sigma is found by dp-accounting's privacy loss
distributions (Koskela et al. 2020; Doroshenko et al. 2022), with neighbours that differ by one added or removed person.
No batch is ever cut off: its padded size grows where a draw needs more, so the sampling is the accounted one.
What the epsilon says nothing about is listed by `statement` and stands beside every model.
"""

import functools
import logging
import math
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.flatten_util import ravel_pytree

from pseudocohort import counter
from pseudocohort.errors import InputError
from pseudocohort.phenotype import fitting
from pseudocohort.phenotype.network import Network, Shape, with_parameters
from pseudocohort.phenotype.objective import bound, penalty

log = logging.getLogger("pseudocohort")
DELTA = 1e-6  # where the config names none
# Default clip, times the number of items in the dictionary, with which the gradients' lengths grow; not times that of
# atoms, which one person's missing value can change. NHANES has 50 items and 88 atoms.
CLIP = 0.35
STEPS = 240  # optimiser steps where the config leaves them open
WEAK = 10.0  # epsilon from which on a warning is due
NOISY = 0.1  # correlation that the noise hides (see `hidden_correlation`) from which on a warning is due
MICRO = 32  # people whose gradients are in memory at a time
ROOM = 1e-12  # chance that a step's batch is larger than the first padded size
SLACK = 1e-5  # share by which gradients are clipped below C, against rounding in float32 sums


class Budget(NamedTuple):
    """epsilon, delta; clip: longest gradient of a person; public_seed: others may know the seed."""

    epsilon: float
    delta: float
    clip: float
    public_seed: bool


class Mechanism(NamedTuple):
    """noise_multiplier: sigma, in clips; sampling_rate: q; steps in all; people: n. All of it is public."""

    noise_multiplier: float
    sampling_rate: float
    steps: int
    people: int


def make_budget(dp: dict, people: int, items: int, search: int = 1) -> Budget:
    """The checked budget of the config's mapping `dp` (epsilon, delta, clip, public_seed) for n training people.

    delta and clip may be left out or None: DELTA, and CLIP times the number of items. InputError for values out
    of range, a delta of 1 / people or more, or a random search (its choice by validation loss would be a second,
    unaccounted look at people).
    """
    unknown = sorted(set(dp) - set(Budget._fields))
    if unknown or dp.get("epsilon") is None:
        raise InputError(
            f"unknown key {unknown[0]!r}" if unknown else "epsilon is missing",
            where="config, dp",
            expected="epsilon, delta, clip",
            remedy="correct the key dp",
        )
    given = {"delta": DELTA, "clip": CLIP * max(items, 1), "public_seed": True}
    budget = Budget(**given | {key: value for key, value in dp.items() if value is not None})
    for key in ("epsilon", "delta", "clip"):
        value = getattr(budget, key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise InputError(
                f"{key} is {value!r}", where=f"config, dp.{key}", expected="a positive number", remedy=f"correct {key}"
            )
    if budget.delta >= 1 / people:
        raise InputError(
            f"delta is {budget.delta:g}, but there are {people} training people: a model that hands out one of them "
            "whole would pass",
            where="config, dp.delta",
            expected=f"less than 1 / {people} = {1 / people:.2g}, better less than a tenth of it",
            remedy=f"set dp.delta to {0.1 / people:.1g} or less",
        )
    if search > 1:
        raise InputError(
            f"dp is set and network.search is {search}: the best of several networks is not private",
            where="config, network.search",
            expected="1",
            remedy="set network.search to 1, or dp to null",
        )
    return budget


@functools.cache
def spent_epsilon(mechanism: Mechanism, delta: float) -> float:
    """Upper bound of epsilon at delta, by privacy loss distributions (pessimistic rounding)."""
    from dp_accounting import pld  # a second of import that only dp pays

    return pld.PLDAccountant().compose(_event(mechanism)).get_epsilon(delta)


@functools.cache  # seconds each
def noise_multiplier(epsilon: float, delta: float, sampling_rate: float, steps: int) -> float:
    """Smallest sigma (to 0.1 %, rounded to the private side) whose steps together spend at most epsilon at delta."""
    import dp_accounting
    from dp_accounting import pld

    def event(sigma: float):
        return _event(Mechanism(sigma, sampling_rate, steps, 0))

    # The central limit of subsampled Gaussians (Bu et al. 2020) gives a first guess; only the search starts from it.
    whole = 1 / dp_accounting.get_sigma_gaussian(epsilon, delta)
    guess = 1 / math.sqrt(math.log1p((whole / sampling_rate) ** 2 / steps))
    for wide in (1.25, 4.0, 100.0):
        bracket = dp_accounting.ExplicitBracketInterval(guess / wide, guess * wide)
        try:
            return float(
                dp_accounting.calibrate_dp_mechanism(
                    pld.PLDAccountant, event, epsilon, delta, bracket, tol=1e-3 * guess
                )
            )
        except ValueError:  # no change of sign in the bracket
            continue
    raise InputError(
        f"no noise reaches epsilon {epsilon:g} at delta {delta:g} in {steps} steps",
        where="config, dp",
        expected="an epsilon and delta that some noise reaches",
        remedy="raise dp.epsilon or dp.delta, or lower network.epochs",
    )


def _event(mechanism: Mechanism):
    import dp_accounting

    step = dp_accounting.PoissonSampledDpEvent(
        mechanism.sampling_rate, dp_accounting.GaussianDpEvent(mechanism.noise_multiplier)
    )
    return dp_accounting.SelfComposedDpEvent(step, mechanism.steps)


def poisson_rows(seed: int, step: int, people: int, rate: float) -> np.ndarray:
    """Who enters a step: indices of those of `people` who are drawn, each on their own with probability `rate`."""
    stream = counter.key(seed, "dp sampling", step)
    high, low = counter.bits(stream, np.arange(people, dtype=np.uint32), np.uint32(0))
    uniform = (high.astype(np.float64) * 2.0**21 + (low >> np.uint32(11))) * 2.0**-53
    return np.flatnonzero(uniform < rate)


def room_for(drawn: int, people: int, rate: float) -> int:
    """Padded size of a batch: whole micro-batches, more than a draw needs but with probability ROOM, and never
    less than the `drawn` people: a larger draw costs a compilation, it is not cut off."""
    from scipy.stats import binom

    usual = people if rate >= 1 else int(binom.isf(ROOM, people, rate))
    return -(-max(usual, drawn, 1) // MICRO) * MICRO


def clip_rows(gradients: jax.Array, clip, use: jax.Array) -> jax.Array:
    """Sum (d,) of gradients (m, d), each shortened to length `clip`; rows that are not used, or whose length is no
    finite number, count 0. One row more or less moves the sum by at most `clip`."""
    length = jnp.sqrt((gradients**2).sum(-1))
    known = use & jnp.isfinite(length)
    scale = jnp.where(known, jnp.minimum(1.0, clip * (1 - SLACK) / jnp.maximum(length, 1e-30)), 0.0)
    return scale @ jnp.where(known[:, None], gradients, 0.0)


def gaussian(key: jax.Array, size: int) -> jax.Array:
    """Standard normals float32 (size,), each the sum of four over 2, so that the rounding of one does not
    show through and the tails go on to 10 standard deviations (Holohan and Braghin 2021)."""
    return jax.random.normal(key, (4, size)).sum(0) / 2


class Knobs(NamedTuple):
    """Numbers of a step. beta: weight of the KL; free: free bits; clip: C; noise: sigma C; expected: q n; people: n."""

    beta: float
    free: float
    clip: float
    noise: float
    expected: float
    people: float


@functools.cache
def _unravel(shape: Shape):
    """Vector of all parameters -> nnx.Param state."""
    return ravel_pytree(nnx.state(Network(shape), nnx.Param))[1]


def _network(shape: Shape, vector: jax.Array) -> Network:
    return with_parameters(shape, _unravel(shape)(vector))


def person_loss(vector: jax.Array, row, shape: Shape, knobs: Knobs) -> jax.Array:
    """Minus the evidence bound of one person: vector: parameters (d,); row: ((Encoded of (atoms,), c (conditions,)),
    normals (latent,)). Free bits are a person's own: their mean over a batch would tie people's gradients together."""
    likelihood, kl = bound(_network(shape, vector), *jax.tree.map(lambda a: a[None], row))
    return knobs.beta * jnp.maximum(kl[0], knobs.free).sum() - likelihood.sum()


def clipped_sum(shape: Shape, vector: jax.Array, rows, size, knobs: Knobs) -> jax.Array:
    """Sum (d,) of the clipped gradients of the first `size` rows; leaves of rows have `room_for` leading entries.
    MICRO gradients are in memory at a time."""
    gradient = jax.vmap(jax.grad(functools.partial(person_loss, shape=shape, knobs=knobs)), in_axes=(None, 0))

    def add(i, total):
        some = jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, i * MICRO, MICRO), rows)
        return total + clip_rows(gradient(vector, some), knobs.clip, i * MICRO + jnp.arange(MICRO) < size)

    return jax.lax.fori_loop(0, (size + MICRO - 1) // MICRO, add, jnp.zeros_like(vector))


def _optimizer() -> optax.GradientTransformation:
    return optax.scale_by_adam()


def noised_gradient(shape: Shape, vector: jax.Array, rows, size, knobs: Knobs, key) -> jax.Array:
    """All that a step sees of the people, (d,): see the equation on top."""
    noised = clipped_sum(shape, vector, rows, size, knobs) + knobs.noise * gaussian(key, len(vector))
    return noised / knobs.expected + jax.grad(lambda v: penalty(_network(shape, v)))(vector) / knobs.people


@functools.partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
def _step(shape: Shape, vector: jax.Array, memory, rows, size, knobs: Knobs, rate, key):
    """Parameters (d,) and optimiser memory after one private step of learning rate `rate`."""
    change, memory = _optimizer().update(noised_gradient(shape, vector, rows, size, knobs, key), memory)
    return vector - rate * change, memory


def fit_private(
    data, c: np.ndarray, held: np.ndarray, names: list[str], shape: Shape, settings, seed: int, budget: Budget
):
    """Train a network with differential privacy: (network of the last epoch, learning curve, statement).

    data: Encoded (n, atoms); c: (n, conditions); held: (n,) bool, people of whom only the validation loss is made,
    on which nothing of the training depends; names: item of every atom; settings: with
    whole epochs and batch (see `plan_size`); budget: of `make_budget`.
    The curve has no loss of the training people: it would be a sum over them without noise.
    """
    _check_numbers(data, c, names)
    job = fitting.make_job(data, c, held, names, shape, settings, seed, "private network")
    people, steps = len(job.train), max(len(job.train) // job.batch, 1)
    job = job._replace(steps=steps)
    rate = job.batch / people
    sigma = noise_multiplier(budget.epsilon, budget.delta, rate, job.epochs * steps)
    noted = statement(budget, Mechanism(sigma, rate, job.epochs * steps, people), len(names))
    _log_start(noted)
    vector = ravel_pytree(nnx.state(Network(shape, counter.generator(seed, "network")), nnx.Param))[0]
    memory, curve, begin = _optimizer().init(vector), [], time.monotonic()
    free = 0.0 if "free_bits" in settings.without else settings.free_bits
    for epoch in range(job.epochs):
        speed, beta = fitting.rates(job, epoch)
        knobs = Knobs(beta, free, budget.clip, sigma * budget.clip, rate * people, people)
        for step in range(epoch * steps, (epoch + 1) * steps):
            rows, size = _batch(job, step, rate)
            key = jax.random.wrap_key_data(jnp.array(counter.key(seed, "dp noise", step), dtype=jnp.uint32))
            vector, memory = _step(shape, vector, memory, rows, size, knobs, speed[step - epoch * steps], key)
        if not bool(jnp.isfinite(vector).all()):
            raise InputError(
                f"private training stopped in epoch {epoch + 1}: the weights are no longer numbers",
                where="phenotype network",
                remedy="lower network.learning_rate, or raise dp.epsilon",
            )
        loss = fitting.judge(job, _unravel(shape)(vector), epoch) if len(job.test) else math.nan
        curve.append((epoch + 1, math.nan, loss, math.nan))
        _log_epoch(epoch + 1, job.epochs, loss, time.monotonic() - begin)
    network = Network(shape)
    nnx.update(network, _unravel(shape)(vector))
    return network, fitting.curve(curve), noted


def _check_numbers(data, c: np.ndarray, names: list[str]) -> None:
    """InputError naming the items whose coding (all items, for a condition) is no finite number: `clip_rows` would
    count such people's gradients as 0 without a word."""
    fine = np.all([np.isfinite(a).all(0) for a in (data.low, data.high, data.score, data.guess)], axis=0)
    fitting.stop_at_nan((fine & np.isfinite(c).all())[None], names, 0)


def _batch(job, step: int, rate: float):
    """(padded rows, how many are drawn) of a step."""
    drawn = job.train[poisson_rows(job.seed, step, len(job.train), rate)]
    rows = np.zeros(room_for(len(drawn), len(job.train), rate), dtype=np.int64)
    rows[: len(drawn)] = drawn
    random = counter.generator(job.seed, "dp codes", step)
    normal = random.standard_normal((len(rows), job.shape.latent), dtype=np.float32)
    return ((jax.tree.map(lambda a: a[rows], job.data), job.c[rows]), normal), len(drawn)


def plan_size(people: int, settings) -> tuple[int, int]:
    """(epochs, batch) of private training where the settings leave them open: batches of an eighth of the people
    (256 to 2,048), for the noise costs less the more people share it, and epochs that make STEPS steps."""
    batch = min(settings.batch or int(np.clip(people // 8, 256, 2048)), people)
    return settings.epochs or max(round(STEPS / max(people // batch, 1)), 1), batch


def hidden_correlation(mechanism: Mechanism, atoms: int) -> float:
    """Roughly the correlation between two atoms that the noise of all steps hides: sigma / (q n sqrt(steps)) is the
    noise of the mean clipped gradient, and lengths of unclipped ones are about half the number of atoms."""
    sigma, rate, steps, people = mechanism
    return sigma / (rate * people * math.sqrt(steps)) * atoms / 2


def warnings_of(budget: Budget, mechanism: Mechanism, atoms: int) -> list[str]:
    """What a reader of the epsilon must know first: a public seed, an epsilon that bounds or teaches little."""
    out, hidden = [], hidden_correlation(mechanism, atoms)
    if budget.public_seed:
        out.append(
            "The seed stands in the configuration or is not known to be secret: whoever knows it can take the noise "
            "off again, so no guarantee holds. Set seed to null and train again."
        )
    if budget.epsilon > WEAK:
        factor = f"e^{budget.epsilon:g}"
        out.append(f"An epsilon of {budget.epsilon:g} bounds little: a person may change probabilities {factor}-fold.")
    if hidden > NOISY:
        out.append(
            f"The noise hides correlations below about {min(hidden, 1):.1g}: with so few people for so many items the "
            "network learns little beyond the marginal distributions."
        )
    return out


def _log_start(noted: dict) -> None:
    log.info(
        "differential privacy: epsilon %g, delta %g, clip %.3g, noise multiplier %.3f, sampling rate %.4f, %d steps",
        *(noted[k] for k in ("epsilon", "delta", "clip", "noise_multiplier", "sampling_rate", "steps")),
    )
    for text in noted["warnings"]:
        log.warning("differential privacy: %s", text)


def _log_epoch(done: int, epochs: int, loss: float, seconds: float) -> None:
    if done % max(epochs // 10, 1) == 0 or done == epochs:
        text = "private network: epoch %d of %d, validation loss %.3f, %.0f s left"
        log.info(text, done, epochs, loss, seconds / done * (epochs - done))


COVERS = (
    "The weights of the phenotype network: how items depend on each other, on scores, age, sex and stratum, as far "
    "as the network learned it. What is drawn from the weights alone is covered too (post-processing).",
    "The bound holds given the coding of the items, the conditions (standardisation, median age, spline knots) and the "
    "number of atoms of the coding: they come from the same people without noise, and are taken as fixed when one "
    "person is added or removed.",
)
DOES_NOT_COVER = (
    "The coding of the items: smoothed quantiles, shares of categories and missing values, patterns of missing "
    "values. All marginal distributions of the pseudo people follow them without noise.",
    "The conditions: means and standard deviations of scores, median and spline knots of age, and the age "
    "distribution by stratum and sex.",
    "What the coding and the conditions tell about a person through the weights trained on them: one person can move "
    "a quantile, a mean or a knot, or add an atom (a first missing value), and so the input of everybody's training.",
    "The effect weights and the scores made with them, fitted to the same people's genotypes and traits.",
    "The pseudo genotypes, which carry real haplotypes.",
    "The evaluation, the disclosure tests, the learning curve (validation loss of held-out people) and the baselines "
    "in the report: aggregates of real people without noise.",
    "The dictionary, the settings of the network, and the choice to run or to publish this run: whatever somebody "
    "chose after a look at the data. Each further run on the same people spends its own epsilon on top.",
    "Relatives: what a person's family members in the training data tell about the person. For k people together "
    "epsilon grows to k epsilon.",
    "The number of training people, and who is trained on, held out or validated on: both are taken as public.",
    "Rounding: the bound assumes real numbers; the computer adds noise of 32 bits from a counter-based generator.",
)


def statement(budget: Budget, mechanism: Mechanism, atoms: int) -> dict:
    """What is promised and what is not, for results/model/privacy.json and the report: plain values only."""
    return {
        "epsilon": budget.epsilon,
        "delta": budget.delta,
        "clip": budget.clip,
        "noise_multiplier": mechanism.noise_multiplier,
        "sampling_rate": mechanism.sampling_rate,
        "expected_batch": mechanism.sampling_rate * mechanism.people,
        "steps": mechanism.steps,
        "people": mechanism.people,
        "epsilon_spent": spent_epsilon(mechanism, budget.delta),
        "unit": "one training person's row (items, scores, age, sex, stratum), added or removed",
        "accountant": "privacy loss distributions of the Poisson-subsampled Gaussian mechanism (dp-accounting)",
        "seed_is_public": budget.public_seed,
        "valid": not budget.public_seed,
        "covers": list(COVERS),
        "does_not_cover": list(DOES_NOT_COVER),
        "warnings": warnings_of(budget, mechanism, atoms),
    }
