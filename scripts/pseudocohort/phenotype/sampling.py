"""Pseudo people from a trained model: latents drawn atom by atom, decoded under the dictionary's rules as they come.

Every value is drawn, none is a mean or a most likely category. For every atom in order
 1. the model draws its latents given the conditions and the scores of all earlier atoms;
 2. calibration (`calibration`) shifts them until the scores' moments are the training ones;
 3. rank polish (`decoding`; 50 active people or more): by their ranks they get the uniform shares, so that values
    follow the smoothed training distribution and the training missing rate.
"""

import functools
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from flax import nnx

from pseudocohort import counter
from pseudocohort.phenotype.calibration import Calibration
from pseudocohort.phenotype.common import Common
from pseudocohort.phenotype.conditions import condition_matrix, draw_age, sex_codes
from pseudocohort.phenotype.decoding import Decoder, people_table
from pseudocohort.phenotype.forest import Guide
from pseudocohort.phenotype.model_files import PhenotypeModel
from pseudocohort.phenotype.network import draw, with_parameters


class Drawing(Protocol):
    """A model at work on n people: `draw` an atom's latents (n,), then be told the scores (n,) that came of them."""

    def draw(self, atom: int) -> np.ndarray: ...

    def advance(self, atom: int, score: np.ndarray) -> None: ...


def sample_people(
    common: Common,
    scores: pd.DataFrame,
    sex,
    stratum,
    seed: int,
    *,
    begin=None,
    calibrate: bool = True,
    polish: bool = True,
) -> pd.DataFrame:
    """Pseudo people with the given scores (n rows, the model's traits), sex (codes or names) and strata.

    common: what all models share, or the network's model, which has its fields; begin(c, seed) -> Drawing, c (n,
    conditions): that of the network's model unless given.
    calibrate, polish: steps 2 and 3 above; without moments there is no calibration. Returns columns sex ('male',
    'female' or None), age, stratum and the items in dictionary order, in the row order of the scores: float64 with
    NaN for numeric items, category codes with NaN for the others; then the reasons of missing values.
    """
    sex, stratum = sex_codes(sex), np.asarray(stratum).astype(str)
    age = None if common.ages is None else draw_age(common.ages, sex, stratum, seed)
    c = condition_matrix(common.conditions, scores, age, sex, stratum)
    atoms = len(common.encoding.atoms)
    uniform = counter.generator(seed, "phenotype ranks").random((len(c), atoms))
    decoder = Decoder(common.encoding, sex, uniform, polish=polish)
    drawing = (begin or functools.partial(NetworkDrawing, common))(c, seed)
    calibration = Calibration(common.moments, c) if calibrate and polish and common.moments is not None else None
    for atom in range(atoms):
        latent = drawing.draw(atom)
        if calibration is not None:
            latent = calibration.shift(atom, latent, decoder)
        score = decoder.take(atom, latent)
        if calibration is not None:
            calibration.note(atom, score)
        drawing.advance(atom, score)
    return people_table(decoder, sex, age, stratum)


class NetworkDrawing:
    """The network's: z from the aggregate posterior, then every atom's mixture given all earlier scores."""

    def __init__(self, model: PhenotypeModel, c: np.ndarray, seed: int):
        n = len(c)
        self._random = counter.generator(seed, "phenotype latents")
        z = np.column_stack([np.ones(n), c]) @ model.code_slope + self._random.multivariate_normal(
            np.zeros(len(model.code_covariance)), model.code_covariance, size=n, method="eigh"
        )
        self._shape, self._parameters = model.network.shape, nnx.state(model.network, nnx.Param)
        self._state = _start(self._shape, self._parameters, jnp.asarray(c), jnp.asarray(z, dtype=jnp.float32))
        self._guide, self._people = Guide(model.forest, c, len(model.encoding.atoms), seed), n

    def draw(self, atom: int) -> np.ndarray:
        u = self._random.random(self._people, dtype=np.float32)
        normal = self._random.standard_normal(self._people, dtype=np.float32)
        return np.asarray(
            _draw_atom(self._shape, self._parameters, *self._state, atom, self._guide.guess(atom), u, normal)
        )

    def advance(self, atom: int, score: np.ndarray) -> None:
        self._guide.note(atom, score)
        self._state = _advance(self._shape, self._parameters, *self._state, atom, score)


@functools.partial(jax.jit, static_argnums=0)
def _start(shape, parameters, c, z):
    return with_parameters(shape, parameters).start(c, z)


@functools.partial(jax.jit, static_argnums=0)
def _draw_atom(shape, parameters, location, hidden, atom, guess, u, normal):
    return draw(with_parameters(shape, parameters).one_head(location, hidden, atom, guess), u, normal)


@functools.partial(jax.jit, static_argnums=0)
def _advance(shape, parameters, location, hidden, atom, score):
    return with_parameters(shape, parameters).advance(location, hidden, atom, score)
