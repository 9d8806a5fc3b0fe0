"""Training of the conditional VAE with early stopping on held-out families; the model on disk."""

import dataclasses
import difflib
import functools
import json
import logging
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from flax import nnx

from pseudocohort import counter
from pseudocohort.errors import InputError
from pseudocohort.files import atomic_directory
from pseudocohort.phenotype.conditions import (
    Ages,
    Conditions,
    condition_matrix,
    conditions_from_json,
    conditions_to_json,
    fit_ages,
    fit_conditions,
    sex_codes,
)
from pseudocohort.phenotype.encoding import (
    Encoded,
    Encoding,
    digits,
    encode,
    encoding_from_json,
    encoding_to_json,
    fit_encoding,
)
from pseudocohort.phenotype.network import Network, Shape, log_likelihood, with_parameters

log = logging.getLogger("pseudocohort")
SHRINK = 0.02  # scale of the Cauchy prior on the weights between atoms
FEED, CODE = 0.015, 0.1  # standard deviations of the normal priors on hidden -> head and z -> head weights
SPACE = {"hidden": (32, 64, 128), "latent": (2, 4, 8), "learning_rate": (0.003, 0.03)}


@dataclasses.dataclass(frozen=True)
class Settings:
    """hidden units, latent size; epochs at most, people a batch, peak learning rate, share of the training
    spent on KL warm-up, free bits (nats a latent dimension), share of families held out, epochs without
    gain before stopping, trials of the random search (the first has these very values)."""

    hidden: int = 64
    latent: int = 4
    epochs: int = 50
    batch: int = 64
    learning_rate: float = 0.01
    warmup: float = 0.3
    free_bits: float = 0.02
    validation: float = 0.1
    patience: int = 15
    search: int = 1


class Moments(NamedTuple):
    """Of the training scores given the conditions: slope (1 + conditions, atoms), covariance (atoms, atoms)."""

    slope: np.ndarray
    covariance: np.ndarray


class PhenotypeModel(NamedTuple):
    """A trained network with all that sampling needs. code_slope (1 + conditions, latent) and code_covariance
    (latent, latent): the aggregate posterior z ~ N([1, c] slope, covariance). curve: epoch, train_loss,
    validation_loss, kl. search: one row a trial."""

    network: Network
    encoding: Encoding
    conditions: Conditions
    ages: Ages | None
    moments: Moments
    code_slope: np.ndarray
    code_covariance: np.ndarray
    settings: Settings
    curve: pd.DataFrame
    search: pd.DataFrame


def make_settings(values: dict) -> Settings:
    """Settings from the config's mapping; InputError for an unknown key or a value out of range."""
    known = {f.name: f.type for f in dataclasses.fields(Settings)}
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            raise InputError(
                f"unknown network setting {key!r}",
                where="config, network",
                expected=f"did you mean {near[0]!r}?" if near else ", ".join(known),
                remedy="correct the key network",
            )
        whole = known[key] is int
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or value <= 0:
            raise InputError(
                f"network setting {key} is {value!r}",
                where="config, network",
                expected="a positive whole number" if whole else "a positive number",
                remedy="correct the key network",
            )
        if key in ("warmup", "validation") and value >= 1:
            raise InputError(
                f"network setting {key} is {value!r}",
                where="config, network",
                expected="a share between 0 and 1",
                remedy="correct the key network",
            )
    return Settings(**values)


def train_network(
    phenotypes: pd.DataFrame, people: pd.DataFrame, scores: pd.DataFrame, dictionary, settings: dict, seed: int
) -> PhenotypeModel:
    """Train on the given people, all of them training people, in the same row order in all three tables.

    phenotypes: items, and the age column that the dictionary names; people: sex, stratum, family; scores: one
    column a trait (`person` is ignored); settings: see Settings; seed: the run's. Reproducible on CPU.
    """
    chosen = make_settings(settings)
    _same_rows(phenotypes, people, scores)
    sex, stratum = sex_codes(people["sex"]), people["stratum"].to_numpy()
    age = None if dictionary.age is None else phenotypes[dictionary.age.name].to_numpy(dtype=np.float64)
    encoding = fit_encoding(phenotypes, sex, dictionary)
    conditions = fit_conditions(scores, age, sex, stratum)
    ages = None
    if age is not None:
        item = dictionary.age
        places = digits(age[np.isfinite(age)]) if item.decimals is None else item.decimals
        ages = fit_ages(age, sex, stratum, places, (item.minimum, item.maximum))
    data = encode(encoding, phenotypes, sex)
    c = condition_matrix(conditions, scores, age, sex, stratum)
    held = held_out_families(people["family"].to_numpy(), chosen.validation, seed)
    names = [encoding.items[a.item].name for a in encoding.atoms]
    network, best, curve, table = _search(data, c, held, encoding, names, chosen, seed)
    slope, covariance = aggregate_posterior(network, data, c)
    return PhenotypeModel(
        network, encoding, conditions, ages, moments(data.score, c), slope, covariance, best, curve, table
    )


def _same_rows(phenotypes: pd.DataFrame, people: pd.DataFrame, scores: pd.DataFrame) -> None:
    for name, table in (("people", people), ("scores", scores)):
        if len(table) != len(phenotypes):
            raise InputError(
                f"{len(phenotypes)} rows of phenotypes but {len(table)} of {name}",
                where=name,
                expected="the same people in each table",
                remedy="make the tables again",
            )
        both = "person" in table and "person" in phenotypes
        if both and (table["person"].to_numpy() != phenotypes["person"].to_numpy()).any():
            raise InputError(
                f"phenotypes and {name} list the people in different orders",
                where=name,
                expected="the same order of people in each table",
                remedy="make the tables again",
            )


def held_out_families(family: np.ndarray, share: float, seed: int) -> np.ndarray:
    """True (n,) for people of randomly chosen whole families, together at least `share` of the people."""
    labels, code, sizes = np.unique(family.astype(str), return_inverse=True, return_counts=True)
    if len(labels) < 2:
        raise InputError(
            "all training people are of one family: none can be held out",
            where="people, column family",
            expected="people of two families or more",
            remedy="check the families of the sample sheet",
        )
    order = counter.order(counter.key(seed, "validation families"), len(labels))
    take = order[: 1 + int(np.searchsorted(np.cumsum(sizes[order]), share * len(family)))][: len(labels) - 1]
    return np.isin(code, take)


def _search(
    data: Encoded, c: np.ndarray, held: np.ndarray, encoding: Encoding, names: list[str], settings: Settings, seed: int
):
    """The trial with the lowest validation loss: (network, its settings, learning curve, table of all trials)."""
    rows, best = [], None
    binary = tuple(len(a.cumulative) == 3 for a in encoding.atoms)
    for trial in range(settings.search):
        tried = settings if trial == 0 else _random_settings(settings, counter.generator(seed, "search", trial))
        shape = Shape(c.shape[1], binary, tried.hidden, tried.latent)
        start = time.monotonic()
        network, curve = fit_network(data, c, held, names, shape, tried, seed)
        loss = curve["validation_loss"].min()
        rows.append(
            {
                "trial": trial,
                **{k: getattr(tried, k) for k in SPACE},
                "epochs": len(curve),
                "validation_loss": loss,
                "seconds": round(time.monotonic() - start, 1),
            }
        )
        if best is None or loss < best[0]:
            best = (loss, network, tried, curve)
    return *best[1:], pd.DataFrame(rows)


def _random_settings(settings: Settings, random: np.random.Generator) -> Settings:
    low, high = np.log(SPACE["learning_rate"])
    return dataclasses.replace(
        settings,
        hidden=int(random.choice(SPACE["hidden"])),
        latent=int(random.choice(SPACE["latent"])),
        learning_rate=float(np.exp(random.uniform(low, high))),
    )


def fit_network(
    data: Encoded, c: np.ndarray, held: np.ndarray, names: list[str], shape: Shape, settings: Settings, seed: int
) -> tuple[Network, pd.DataFrame]:
    """Train one network; the parameters of the epoch with the lowest validation loss are kept.

    data: (n, atoms); c: (n, conditions); held: (n,) bool, the validation people; names: item of every atom.
    Raises InputError naming the items whose loss or gradient is the first to be no number.
    """
    network = Network(shape, nnx.Rngs(jax.random.key(counter.key(seed, "network")[0])))
    parameters = nnx.state(network, nnx.Param)
    train, test = (_device(data, c, rows) for rows in (~held, held))
    n = int((~held).sum())
    batch, steps = min(settings.batch, n), max(n // settings.batch, 1)
    plan = Plan(shape, settings.epochs * steps, settings.learning_rate, settings.free_bits)
    state = (parameters, _optimizer(plan).init(parameters))
    noise = _key(seed, "noise")
    rows, best, best_epoch, kept, begin = [], np.inf, 0, parameters, time.monotonic()
    for epoch in range(settings.epochs):
        order = counter.order(counter.key(seed, "batches", epoch), n)[: steps * batch].reshape(steps, batch)
        beta = min(1.0, (epoch + 1) / (settings.warmup * settings.epochs))
        state, (loss, kl, finite) = _run_epoch(plan, state, train, order, beta, n, jax.random.fold_in(noise, epoch))
        _stop_at_nan(np.asarray(finite), names, epoch)
        validation, finite = _judge(plan, state[0], test, jax.random.fold_in(noise, settings.epochs))
        _stop_at_nan(np.asarray(finite)[None], names, epoch)
        rows.append((epoch + 1, float(loss.mean()), float(validation), float(kl.mean())))
        if validation < best:
            best, kept, best_epoch = float(validation), state[0], epoch
        _log_progress(rows[-1], settings.epochs, begin)
        if epoch - best_epoch >= settings.patience:
            log.info("early stopping: no gain on the held-out families for %d epochs", settings.patience)
            break
    nnx.update(network, kept)
    return network, pd.DataFrame(rows, columns=["epoch", "train_loss", "validation_loss", "kl"])


class Plan(NamedTuple):
    """What the compiled functions depend on: equal plans share one compilation."""

    shape: Shape
    steps: int
    learning_rate: float
    free_bits: float


def _optimizer(plan: Plan) -> optax.GradientTransformation:
    schedule = optax.cosine_onecycle_schedule(plan.steps, plan.learning_rate, pct_start=0.3)
    # flattened: one update of one vector compiles in a fraction of the time of one a parameter array
    return optax.flatten(optax.chain(optax.clip_by_global_norm(10.0), optax.adam(schedule)))


@functools.partial(jax.jit, static_argnums=0)
def _run_epoch(plan: Plan, state, data, order, beta, people, key):
    """One optimiser step a row of order (steps, batch): state, and (loss, kl, finite (atoms,)) of every step."""

    def loss_of(parameters, rows, now):
        network = with_parameters(plan.shape, parameters)
        fit, kl = elbo(network, rows, now)
        kept = jnp.maximum(kl.mean(0), plan.free_bits).sum()
        total = -fit.sum() / len(fit) + beta * kept + penalty(network) / people
        return total, (fit.sum(0), kl.sum(1).mean())

    def step(carry, taken):
        (parameters, memory), key = carry
        key, now = jax.random.split(key)
        rows = jax.tree.map(lambda a: a[taken], data)
        (loss, (fit, kl)), slope = jax.value_and_grad(loss_of, has_aux=True)(parameters, rows, now)
        finite = jnp.isfinite(fit) & jnp.isfinite(slope["linear_condition"]["bias"][...])
        change, memory = _optimizer(plan).update(slope, memory, parameters)
        return ((optax.apply_updates(parameters, change), memory), key), (loss, kl, finite)

    (state, _), out = jax.lax.scan(step, (state, key), order)
    return state, out


@functools.partial(jax.jit, static_argnums=0)
def _judge(plan: Plan, parameters, data, key):
    """Minus the evidence bound a person, and which atoms' likelihoods are finite."""
    fit, kl = elbo(with_parameters(plan.shape, parameters), data, key)
    return kl.sum(1).mean() - fit.sum(1).mean(), jnp.isfinite(fit.sum(0))


def elbo(network: Network, rows, key) -> tuple[jax.Array, jax.Array]:
    """log likelihood (n, atoms; 0 where not active) at one draw of z, and KL(q(z|s,c) || N(0,I)) (n, latent)."""
    data, c = rows
    mean, log_variance = network.encode(data.score, c)
    z = mean + jnp.exp(log_variance / 2) * jax.random.normal(key, mean.shape)
    fit = log_likelihood(network.heads(data.score, c, z), data.low, data.high, data.dense)
    kl = (mean**2 + jnp.exp(log_variance) - 1 - log_variance) / 2
    return jnp.where(data.active, fit, 0.0), kl


def penalty(network: Network) -> jax.Array:
    """Minus log prior: Cauchy on the weights between atoms, normal on those from hidden units and z, none on those
    from the condition, whose effects must come out unshrunk."""
    between = jnp.log1p((network.linear_score[...] / SHRINK) ** 2).sum()
    feed, code = (network.hidden_out[...] / FEED) ** 2, (network.linear_code.kernel[...] / CODE) ** 2
    return between + (feed.sum() + code.sum()) / 2


def aggregate_posterior(network: Network, data: Encoded, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(slope, covariance) of z over the training people: regression of the means on c, residual covariance plus
    the mean variance of q(z | s, c)."""
    mean, log_variance = map(np.asarray, network.encode(jnp.asarray(data.score), jnp.asarray(c)))
    fitted = moments(mean, c)
    return fitted.slope, fitted.covariance + np.diag(np.exp(log_variance).mean(0))


def moments(values: np.ndarray, c: np.ndarray) -> Moments:
    """Least squares of values (n, m) on [1, c] (a trace of ridge for constant columns) and residual covariance."""
    design = np.column_stack([np.ones(len(c)), c]).astype(np.float64)
    ridge = np.diag([0.0] + [1e-3 * len(c) ** 0.5] * c.shape[1])
    slope = np.linalg.solve(design.T @ design + ridge, design.T @ values)
    rest = values - design @ slope
    return Moments(slope, rest.T @ rest / len(c))


def _device(data: Encoded, c: np.ndarray, rows: np.ndarray):
    return jax.tree.map(lambda a: jnp.asarray(a[rows]), (data, c))


def _key(seed: int, purpose: str) -> jax.Array:
    return jax.random.wrap_key_data(jnp.array(counter.key(seed, purpose), dtype=jnp.uint32))


def _stop_at_nan(finite: np.ndarray, names: list[str], epoch: int) -> None:
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


def _log_progress(row: tuple, epochs: int, begin: float) -> None:
    epoch, train_loss, validation_loss, kl = row
    if epoch % max(epochs // 10, 1) == 0 or epoch == epochs:
        left = (time.monotonic() - begin) / epoch * (epochs - epoch)
        log.info(
            "network: epoch %d of %d (%d %%), train loss %.3f, validation loss %.3f, KL %.3f, %.0f s left",
            epoch,
            epochs,
            100 * epoch // epochs,
            train_loss,
            validation_loss,
            kl,
            left,
        )


def save_model(directory: str | Path, model: PhenotypeModel) -> None:
    """Write model.json, parameters.npz, learning_curve.tsv and search.tsv; whole or not at all."""
    flat = {
        "parameter/" + "/".join(map(str, path)): np.asarray(v[...])
        for path, v in nnx.to_flat_state(nnx.state(model.network, nnx.Param))
    }
    arrays = {
        **flat,
        "code_slope": model.code_slope,
        "code_covariance": model.code_covariance,
        "moment_slope": model.moments.slope,
        "moment_covariance": model.moments.covariance,
    }
    plain = {
        "encoding": encoding_to_json(model.encoding),
        **conditions_to_json(model.conditions, model.ages),
        "shape": model.network.shape._asdict(),
        "settings": dataclasses.asdict(model.settings),
    }
    with atomic_directory(directory) as target:
        np.savez(target / "parameters.npz", **arrays)
        (target / "model.json").write_text(json.dumps(plain, allow_nan=False), encoding="utf-8")
        model.curve.to_csv(target / "learning_curve.tsv", sep="\t", index=False)
        model.search.to_csv(target / "search.tsv", sep="\t", index=False)


def load_model(directory: str | Path) -> PhenotypeModel:
    """Inverse of `save_model`."""
    directory = Path(directory)
    if not (directory / "model.json").exists():
        raise InputError("no trained network here", where=directory, remedy="run the rule that trains it")
    plain = json.loads((directory / "model.json").read_text(encoding="utf-8"))
    with np.load(directory / "parameters.npz") as stored:
        arrays = dict(stored)
    s = plain["shape"]
    network = Network(Shape(s["conditions"], tuple(s["binary"]), s["hidden"], s["latent"]), nnx.Rngs(0))
    state = nnx.state(network, nnx.Param)
    for path, variable in nnx.to_flat_state(state):
        variable[...] = jnp.asarray(arrays["parameter/" + "/".join(map(str, path))])
    nnx.update(network, state)
    conditions, ages = conditions_from_json(plain)
    return PhenotypeModel(
        network,
        encoding_from_json(plain["encoding"]),
        conditions,
        ages,
        Moments(arrays["moment_slope"], arrays["moment_covariance"]),
        arrays["code_slope"],
        arrays["code_covariance"],
        Settings(**plain["settings"]),
        pd.read_csv(directory / "learning_curve.tsv", sep="\t"),
        pd.read_csv(directory / "search.tsv", sep="\t"),
    )
