"""Pseudo people from a trained network: latents drawn atom by atom, then decoded under the dictionary's rules.

Every value is drawn, none is a mean or a most likely category. Three steps, in this order:
 1. latents: z from the aggregate posterior, then for every atom its mixture given all earlier scores;
 2. rank polish (200 people or more): the latents of the people for whom an atom is active are replaced by
    their ranks' uniform shares, so its values follow the smoothed training distribution and the training
    missing rate (fewer people: Phi of the latent);
 3. calibration (`calibration`): the latents are recoloured linearly a few times until the scores' regression on
    the conditions and their residual covariance agree with the training moments; each time step 2 follows.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from flax import nnx

from pseudocohort import counter
from pseudocohort.phenotype import calibration
from pseudocohort.phenotype.conditions import condition_matrix, draw_age, sex_codes
from pseudocohort.phenotype.decoding import POLISH, Decoder, decode, people_table
from pseudocohort.phenotype.network import draw, with_parameters
from pseudocohort.phenotype.training import PhenotypeModel


def sample_people(
    model: PhenotypeModel, scores: pd.DataFrame, sex, stratum, seed: int, *, calibrate: bool = True
) -> pd.DataFrame:
    """Pseudo people with the given scores (n rows, the model's traits), sex (codes or names) and strata.

    Returns columns sex ('male', 'female' or None), age, stratum and the items in dictionary order, in the row
    order of the scores: float64 with NaN for numeric items, category codes with NaN for the others.
    """
    sex, stratum = sex_codes(sex), np.asarray(stratum).astype(str)
    age = None if model.ages is None else draw_age(model.ages, sex, stratum, seed)
    c = condition_matrix(model.conditions, scores, age, sex, stratum)
    uniform = _uniforms(seed, len(c), len(model.encoding.atoms))
    decoder, latent = draw_latents(model, c, sex, uniform, seed)
    if calibrate and len(c) >= max(POLISH, 2 * (c.shape[1] + latent.shape[1])):
        decoder = calibration.calibrate(
            latent, c, model.moments, lambda adjusted: decode(model.encoding, adjusted, sex, uniform), decoder
        )
    return people_table(decoder, sex, age, stratum)


def draw_latents(
    model: PhenotypeModel, c: np.ndarray, sex: np.ndarray, uniform: np.ndarray, seed: int
) -> tuple[Decoder, np.ndarray]:
    """Atom by atom: (decoded people, latents float64 (n, atoms), those of atoms that are not active included)."""
    n, atoms = len(c), len(model.encoding.atoms)
    random = counter.generator(seed, "phenotype latents")
    z = np.column_stack([np.ones(n), c]) @ model.code_slope + random.multivariate_normal(
        np.zeros(len(model.code_covariance)), model.code_covariance, size=n, method="eigh"
    )
    decoder, latent = Decoder(model.encoding, sex, uniform), np.empty((n, atoms))
    if not atoms:
        return decoder, latent
    shape, parameters = model.network.shape, nnx.state(model.network, nnx.Param)
    at, hidden = _start(shape, parameters, jnp.asarray(c), jnp.asarray(z, dtype=jnp.float32))
    for atom in range(atoms):
        u, normal = random.random(n, dtype=np.float32), random.standard_normal(n, dtype=np.float32)
        latent[:, atom] = np.asarray(_draw_atom(shape, parameters, at, hidden, atom, u, normal))
        at, hidden = _advance(shape, parameters, at, hidden, atom, decoder.take(atom, latent[:, atom]))
    return decoder, latent


@functools.partial(jax.jit, static_argnums=0)
def _start(shape, parameters, c, z):
    return with_parameters(shape, parameters).start(c, z)


@functools.partial(jax.jit, static_argnums=0)
def _draw_atom(shape, parameters, location, hidden, atom, u, normal):
    return draw(with_parameters(shape, parameters).one_head(location, hidden, atom), u, normal)


@functools.partial(jax.jit, static_argnums=0)
def _advance(shape, parameters, location, hidden, atom, score):
    return with_parameters(shape, parameters).advance(location, hidden, atom, score)


def _uniforms(seed: int, n: int, atoms: int) -> np.ndarray:
    return counter.generator(seed, "phenotype ranks").random((n, atoms))
