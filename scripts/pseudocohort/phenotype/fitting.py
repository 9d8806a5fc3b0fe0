"""One training of one network: epochs of minibatches, held-out families, early stopping, the best epoch kept.

The data stay in numpy (18 bytes a person and atom); every epoch is cut into blocks of whole optimiser steps that are
gathered and handed to one compiled scan each, so the accelerator holds BLOCK_BYTES of data whatever the cohort's
size. All that changes from epoch to epoch (learning rates, KL weight, keys) is an argument: trainings of equal shape
share one compilation.
"""

import functools
import logging
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from flax import nnx

from pseudocohort import counter
from pseudocohort.errors import InputError
from pseudocohort.phenotype.atoms import Encoded
from pseudocohort.phenotype.moments import ROWS, moments
from pseudocohort.phenotype.network import Network, Shape, with_parameters
from pseudocohort.phenotype.objective import bound, penalty
from pseudocohort.phenotype.settings import Settings, plan_size

log = logging.getLogger("pseudocohort")
BLOCK_BYTES = 2**26  # of gathered data
JUDGED = 2**19  # people x atoms judged at a time


class Job(NamedTuple):
    """What a training works on. data: (n, atoms) in numpy; c: (n, conditions); train, test: rows of both (test may
    be empty: nothing is judged then); names: item of every atom; settings and shape: of this trial; epochs, batch,
    steps: epochs at most, people a step, optimiser steps an epoch; seed: the run's; label: for the log."""

    data: Encoded
    c: np.ndarray
    train: np.ndarray
    test: np.ndarray
    names: list[str]
    shape: Shape
    settings: Settings
    epochs: int
    batch: int
    steps: int
    seed: int
    label: str = "network"


class Progress(NamedTuple):
    """Where a training stands, all that a later process needs to go on with the same bits.

    epoch: epochs done; parameters: nnx.Param state; memory: the optimiser's; kept: parameters of the best epoch
    (host arrays); best: its validation loss; best_epoch: 0 is the start; rows: the learning curve; seconds: spent.
    """

    epoch: int
    parameters: nnx.State
    memory: optax.OptState
    kept: nnx.State
    best: float
    best_epoch: int
    rows: tuple[tuple, ...]
    seconds: float


def make_job(data, c, held, names, shape: Shape, settings: Settings, seed: int, label: str = "network") -> Job:
    """The job of one trial; held: bool (n,), the validation people."""
    train, test = np.flatnonzero(~held), np.flatnonzero(held)
    epochs, batch = plan_size(len(train), settings)
    if "typed_heads" in settings.without:  # every value is a point
        data = data._replace(low=data.score, high=data.score, dense=data.active)
    steps = max(len(train) // batch, 1)
    blocks = -(-steps // _steps_a_block(data, batch))
    steps = max(steps // blocks, 1) * blocks  # blocks of equal length share one compilation
    return Job(data, c, train, test, names, shape, settings, epochs, batch, steps, seed, label)


def begin(job: Job) -> Progress:
    """The start: independent marginals (every weight that feeds a head is zero)."""
    parameters = nnx.state(Network(job.shape, counter.generator(job.seed, "network")), nnx.Param)
    memory = optimizer().init(parameters)
    best = judge(job, parameters, 0) if len(job.test) else np.inf
    return Progress(0, parameters, memory, _host(parameters), best, 0, (), 0.0)


def fit(
    job: Job,
    progress: Progress | None = None,
    *,
    epoch_of: Callable | None = None,
    after: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Train from `progress` (None: from the start) to the last epoch or to early stopping.

    epoch_of(job, epoch, parameters, memory) -> (parameters, memory, loss, kl): one epoch, `run_epoch` unless
    given (differential privacy gives its own). after(progress): called after every epoch. Without validation
    people the last epoch is kept. Raises InputError naming the items whose loss is the first to be no number.
    """
    progress = begin(job) if progress is None else progress
    while not finished(job, progress):
        clock, number = time.monotonic(), progress.epoch
        parameters, memory, loss, kl = (epoch_of or run_epoch)(job, number, progress.parameters, progress.memory)
        validation = judge(job, parameters, number) if len(job.test) else np.nan
        kept, best, best_epoch = progress[3:6]
        if validation < best or not len(job.test):
            kept, best, best_epoch = _host(parameters), validation, number + 1
        rows = (*progress.rows, (number + 1, float(loss), float(validation), float(kl)))
        seconds = progress.seconds + time.monotonic() - clock
        progress = Progress(number + 1, parameters, memory, kept, float(best), best_epoch, rows, seconds)
        after(progress)
    if progress.epoch < job.epochs:
        log.info("early stopping: no gain on the held-out families for %d epochs", job.settings.patience)
    if len(job.test) and progress.best_epoch == 0:
        log.warning(
            "%s: no epoch was better on the held-out families than independent items, which are kept", job.label
        )
    return progress


def finished(job: Job, progress: Progress) -> bool:
    """All epochs done, or no gain for `patience` epochs."""
    idle = progress.epoch - max(progress.best_epoch, 1)
    return progress.epoch >= job.epochs or (len(job.test) > 0 and idle >= job.settings.patience)


def with_leaves(shape: Shape, leaves: list[np.ndarray]) -> Network:
    """The network of this shape with the leaves of a parameter state."""
    network = Network(shape)
    structure = jax.tree.structure(nnx.state(network, nnx.Param))
    nnx.update(network, jax.tree.unflatten(structure, [jnp.asarray(a) for a in leaves]))
    return network


def curve(rows) -> pd.DataFrame:
    """Learning curve from Progress.rows: epoch, train_loss, validation_loss, kl."""
    return pd.DataFrame(rows, columns=["epoch", "train_loss", "validation_loss", "kl"])


def rates(job: Job, epoch: int) -> tuple[np.ndarray, float]:
    """(learning rate of every step of the epoch float32, weight of the KL): one-cycle cosine and linear warm-up."""
    total, peak = max(job.epochs * job.steps, 2), job.settings.learning_rate
    points = [0, max(int(0.3 * total), 1), total], [peak / 25, peak, peak / 25e4]
    rate = one_cycle(np.arange(epoch * job.steps, (epoch + 1) * job.steps), *points)
    warm = 1.0 if "warmup" in job.settings.without else min(1.0, (epoch + 1) / (job.settings.warmup * job.epochs))
    return rate, warm


def one_cycle(step: np.ndarray, times, values) -> np.ndarray:
    """float32 half cosines between the values at these times (Smith and Topin 2019, super-convergence; as optax)."""
    part = np.clip(np.searchsorted(times, step, side="right") - 1, 0, len(times) - 2)
    begin, end = np.take(times, part), np.take(times, part + 1)
    low, high = np.take(values, part), np.take(values, part + 1)
    return (high + (low - high) * (1 + np.cos(np.pi * (step - begin) / (end - begin))) / 2).astype(np.float32)


def run_epoch(job: Job, epoch: int, parameters, memory):
    """`job.steps` optimiser steps over the training people in a new order: (parameters, memory, loss, kl)."""
    order = counter.order(counter.key(job.seed, "batches", epoch), len(job.train))[: job.steps * job.batch]
    order = job.train[order].reshape(job.steps, job.batch)
    rate, beta = rates(job, epoch)
    free = 0.0 if "free_bits" in job.settings.without else job.settings.free_bits
    noise = counter.generator(job.seed, "noise", epoch)
    size = job.steps // (-(-job.steps // _steps_a_block(job.data, job.batch)))
    losses, kls = [], []
    for first in range(0, job.steps, size):
        rows = _gather(job, order[first : first + size], noise)
        now = rate[first : first + size]
        parameters, memory, (loss, kl, finite) = _steps(
            job.shape, parameters, memory, rows, now, beta, free, 1 / len(job.train)
        )
        stop_at_nan(np.asarray(finite), job.names, epoch)
        losses.append(np.asarray(loss))
        kls.append(np.asarray(kl))
    return parameters, memory, np.concatenate(losses).mean(), np.concatenate(kls).mean()


def optimizer() -> optax.GradientTransformation:
    """Adam on clipped gradients; multiply by minus the learning rate."""
    # flattened: one update of one vector compiles in a fraction of the time of one a parameter array
    return optax.flatten(optax.chain(optax.clip_by_global_norm(10.0), optax.scale_by_adam()))


def apply_step(parameters, memory, slope, rate):
    """Parameters and optimiser memory after one step along `slope`, inside a compiled function."""
    change, memory = optimizer().update(slope, memory, parameters)
    return jax.tree.map(lambda p, d: p - rate * d, parameters, change), memory


@functools.partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
def _steps(shape: Shape, parameters, memory, rows, rate, beta, free, share):
    """One optimiser step a leading index of rows: the new state, and (loss, kl, finite (atoms,)) of every step."""

    def loss_of(parameters, rows):
        network = with_parameters(shape, parameters)
        likelihood, kl = bound(network, *rows)
        kept = jnp.maximum(kl.mean(0), free).sum()
        total = -likelihood.sum() / len(likelihood) + beta * kept + penalty(network) * share
        return total, (likelihood.sum(0), kl.sum(1).mean())

    def step(carry, taken):
        (parameters, memory), (rows, rate) = carry, taken
        (loss, (likelihood, kl)), slope = jax.value_and_grad(loss_of, has_aux=True)(parameters, rows)
        finite = jnp.isfinite(likelihood) & jnp.isfinite(slope["linear_condition"]["bias"][...])
        return apply_step(parameters, memory, slope, rate), (loss, kl, finite)

    (parameters, memory), out = jax.lax.scan(step, (parameters, memory), (rows, rate))
    return parameters, memory, out


def judge(job: Job, parameters, epoch: int) -> float:
    """Minus the evidence bound a validation person, at the same draws of z in every epoch.

    InputError naming the items whose likelihood is no number.
    """
    n = len(job.test)
    blocks = -(-n // max(JUDGED // max(len(job.names), 1), 1))
    size, total, finite = -(-n // blocks), 0.0, np.ones(len(job.names), bool)
    for block in range(blocks):
        rows = job.test[block * size : (block + 1) * size]
        weight = np.arange(size) < len(rows)  # the last block is filled up: equal blocks share one compilation
        taken = _gather(job, np.resize(rows, size), counter.generator(job.seed, "validation noise", block))
        loss, fine = _judge(job.shape, parameters, taken, weight)
        total, finite = total + float(loss), finite & np.asarray(fine)
    stop_at_nan(finite[None], job.names, epoch)
    return total / n


@functools.partial(jax.jit, static_argnums=0)
def _judge(shape: Shape, parameters, rows, weight):
    likelihood, kl = bound(with_parameters(shape, parameters), *rows)
    loss = jnp.where(weight, kl.sum(1) - likelihood.sum(1), 0.0)
    return loss.sum(), jnp.isfinite(likelihood).all(0)


def _gather(job: Job, rows: np.ndarray, random: np.random.Generator):
    """((Encoded, c), normal) of the people at rows (...,): arrays (..., atoms), (..., conditions), (..., latent)."""
    normal = random.standard_normal((*rows.shape, job.shape.latent), dtype=np.float32)
    return (Encoded(*(a[rows] for a in job.data)), job.c[rows]), normal


def _steps_a_block(data: Encoded, batch: int) -> int:
    return max(1, BLOCK_BYTES // max(batch * data.low.shape[1] * 18, 1))


def _host(parameters):
    """A copy that outlives the donated buffers."""
    return jax.tree.map(lambda a: np.array(a, copy=True), parameters)


def stop_at_nan(finite: np.ndarray, names: list[str], epoch: int) -> None:
    """finite: (steps, atoms). The first step that is not finite names the items."""
    if finite.all():
        return
    first = finite[np.flatnonzero(~finite.all(1))[0]]
    bad = list(dict.fromkeys(n for n, ok in zip(names, first, strict=True) if not ok))
    where = ", ".join(bad[:5]) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
    raise InputError(
        f"training stopped in epoch {epoch + 1}: the loss is no longer a number for item {where}",
        where="phenotype network",
        remedy="look at the item's values and dictionary row, or lower network.learning_rate",
    )


def aggregate_posterior(network: Network, data: Encoded, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(slope, covariance) of z over the training people: regression of the means on c, residual covariance plus
    the mean variance of q(z | s, c). N(0, I) where the shape goes without aggregate_posterior."""
    latent = network.shape.latent
    if "aggregate_posterior" in network.shape.without:
        return np.zeros((1 + c.shape[1], latent)), np.eye(latent)
    mean, variance = np.empty((len(c), latent)), np.zeros(latent)
    for first in range(0, len(c), ROWS):
        rows = slice(first, first + ROWS)
        centre, log_variance = network.encode(jnp.asarray(data.score[rows]), jnp.asarray(c[rows]))
        mean[rows] = centre
        variance += np.exp(np.asarray(log_variance, dtype=np.float64)).sum(0)
    fitted = moments(mean, c)
    return fitted.slope, fitted.covariance + np.diag(variance / len(c))
