"""How likely the trained network holds each person's items to be: what a model that remembers would give away."""

import functools

import jax
import numpy as np
import pandas as pd
from flax import nnx

from pseudocohort import counter
from pseudocohort.phenotype.atoms import Encoded
from pseudocohort.phenotype.conditions import condition_matrix, sex_codes
from pseudocohort.phenotype.encoding import encode
from pseudocohort.phenotype.forest import Guide
from pseudocohort.phenotype.model_files import PhenotypeModel
from pseudocohort.phenotype.network import Shape, with_parameters
from pseudocohort.phenotype.objective import bound

ROWS = 2000


def coded(
    model: PhenotypeModel, phenotypes: pd.DataFrame, people: pd.DataFrame, scores: pd.DataFrame, age: str | None
) -> tuple[Encoded, np.ndarray]:
    """Items and conditions, float32 (n, conditions), of people as the network takes them; arguments of `log_bounds`."""
    sex, stratum = sex_codes(people["sex"]), people["stratum"].to_numpy().astype(str)
    years = None if age is None else phenotypes[age].to_numpy(dtype=np.float64)
    c = condition_matrix(model.conditions, scores, years, sex, stratum)
    return encode(model.encoding, phenotypes, sex), c


def log_bounds(
    model: PhenotypeModel,
    phenotypes: pd.DataFrame,
    people: pd.DataFrame,
    scores: pd.DataFrame,
    age: str | None,
    seed: int,
    draws: int = 8,
) -> np.ndarray:
    """Evidence lower bound log p(items | scores, age, sex) >= of every person, float64 (n,), mean over draws of z.

    phenotypes, people (sex, stratum), scores: rows of the same people, trained on or not; age: its column.  Everyone
    is led by a random fold's trees, as pseudo people are: whose family a tree has seen is not known here.
    """
    data, c = coded(model, phenotypes, people, scores, age)
    guide, guesses = Guide(model.forest, c, data.score.shape[1], seed), []
    for atom in range(data.score.shape[1]):
        guesses.append(guide.guess(atom))
        guide.note(atom, data.score[:, atom])
    data = data._replace(guess=np.where(data.active, np.column_stack(guesses), np.float32(0)))
    parameters, shape = nnx.state(model.network, nnx.Param), model.network.shape
    total = np.zeros(len(c))
    for draw in range(draws):
        normal = counter.generator(seed, "bounds", draw).standard_normal((len(c), shape.latent), dtype=np.float32)
        for first in range(0, len(c), ROWS):
            rows = slice(first, first + ROWS)
            block = Encoded(*(a[rows] for a in data)), c[rows]
            total[rows] += np.asarray(_bounds(shape, parameters, block, normal[rows]), dtype=np.float64)
    return total / draws


@functools.partial(jax.jit, static_argnums=0)
def _bounds(shape: Shape, parameters, rows, normal) -> jax.Array:
    likelihood, kl = bound(with_parameters(shape, parameters), rows, normal)
    return likelihood.sum(1) - kl.sum(1)
