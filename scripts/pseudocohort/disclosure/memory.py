"""A network that remembers people: the planted leak that the attack by the network's likelihood must find."""

import functools

import jax
import numpy as np
import optax
import pandas as pd
from flax import nnx

from pseudocohort import counter
from pseudocohort.phenotype.bounds import coded
from pseudocohort.phenotype.model_files import PhenotypeModel
from pseudocohort.phenotype.network import Shape, with_parameters
from pseudocohort.phenotype.objective import bound

STEPS, RATE = 100, 0.01  # of Adam


def overfitted(
    model: PhenotypeModel,
    phenotypes: pd.DataFrame,
    people: pd.DataFrame,
    scores: pd.DataFrame,
    age: str | None,
    seed: int,
) -> PhenotypeModel:
    """The network trained on with few people alone, without prior, early stopping or trees, until it knows them by
    heart.

    phenotypes, people (sex, stratum), scores: rows of these people; age: its column.
    """
    rows = coded(model, phenotypes, people, scores, age)
    shape = model.network.shape
    size = STEPS, len(people), shape.latent
    normals = counter.generator(seed, "overfitted").standard_normal(size, dtype=np.float32)
    parameters = _train(shape, nnx.state(model.network, nnx.Param), rows, normals)
    return model._replace(network=with_parameters(shape, parameters), forest=())


@functools.partial(jax.jit, static_argnums=0)
def _train(shape: Shape, parameters, rows, normals):
    optimiser = optax.adam(RATE)

    def loss(parameters, normal):
        likelihood, kl = bound(with_parameters(shape, parameters), rows, normal)
        return kl.sum(1).mean() - likelihood.sum(1).mean()

    def step(state, normal):
        parameters, memory = state
        change, memory = optimiser.update(jax.grad(loss)(parameters, normal), memory, parameters)
        return (optax.apply_updates(parameters, change), memory), None

    return jax.lax.scan(step, (parameters, optimiser.init(parameters)), normals)[0][0]
