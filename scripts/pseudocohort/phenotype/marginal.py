"""The naive model, to be beaten: every item drawn from its own training distribution, blind to everything else."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.phenotype.common import Common, fit_common


class MarginalModel(NamedTuple):
    """The items' coding is all it learns."""

    common: Common


def train_marginal(
    phenotypes: pd.DataFrame, people: pd.DataFrame, scores: pd.DataFrame, dictionary, seed: int = 0
) -> MarginalModel:
    """The model of the training people; tables as for `common.fit_common`."""
    return MarginalModel(fit_common(phenotypes, people, scores, dictionary)[0])


class MarginalDrawing:
    """Independent standard normals (see `sampling.Drawing`); skip rules look at the drawn parents."""

    def __init__(self, c: np.ndarray, seed: int):
        self._people, self._random = len(c), counter.generator(seed, "marginal latents")

    def draw(self, atom: int) -> np.ndarray:
        return self._random.standard_normal(self._people)

    def advance(self, atom: int, score: np.ndarray) -> None:
        """Nothing depends on it."""
