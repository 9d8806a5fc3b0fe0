"""Training of the conditional VAE with early stopping on held-out families.

`train_network` is the way in; the parts are `settings`, `fitting` (one training), `search` (many), `checkpoint`,
`model_files` (the trained model on disk) and `privacy`.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.errors import InputError
from pseudocohort.phenotype.atoms import Encoded
from pseudocohort.phenotype.common import Common, fit_common
from pseudocohort.phenotype.fitting import aggregate_posterior
from pseudocohort.phenotype.forest import grow_forest
from pseudocohort.phenotype.model_files import PhenotypeModel
from pseudocohort.phenotype.search import atom_names, make_shape, search
from pseudocohort.phenotype.settings import Settings, make_settings

VALIDATED = 5000  # people held out at most, about


def train_network(
    phenotypes: pd.DataFrame,
    people: pd.DataFrame,
    scores: pd.DataFrame,
    dictionary,
    settings: dict,
    seed: int,
    *,
    checkpoint: Path | None = None,
    dp: dict | None = None,
) -> PhenotypeModel:
    """Train on the given people, all of them training people, in the same row order in all three tables.

    phenotypes: items, and the age column that the dictionary names; people: sex, stratum, family; scores: one
    column a trait (`person` is ignored); settings: see Settings; seed: the run's. checkpoint: private folder for the
    file that a killed training goes on from, to the same bits; the caller removes it. dp: budget of differential
    privacy (see `privacy`), with neither search nor early stopping. Reproducible on CPU.
    """
    chosen = make_settings(settings)
    common, data, c = fit_common(phenotypes, people, scores, dictionary)
    share = min(chosen.validation, VALIDATED / len(c))
    held = held_out_families(people["family"].to_numpy(), share, seed)
    if dp is not None:
        return _train_private(common, data, c, held, chosen, seed, dp)
    forest = ()
    if not {"forest", "autoregression", "linear_skip"} & set(chosen.without):  # guesses hold scores and conditions
        forest, guess = grow_forest(data, c, people["family"].to_numpy(), seed)
        data = data._replace(guess=guess)
    found = search(data, c, held, common.encoding, chosen, seed, checkpoint)
    code = aggregate_posterior(found.network, data, c)
    return PhenotypeModel(found.network, *common, *code, found.settings, found.curve, found.table, forest=forest)


def _train_private(
    common: Common, data: Encoded, c: np.ndarray, held: np.ndarray, chosen: Settings, seed: int, dp: dict
) -> PhenotypeModel:
    """Differentially private: no search, no aggregate posterior, no moments, for each would look at the people."""
    from pseudocohort.phenotype import privacy  # its accountant takes a second to import

    epochs, batch = privacy.plan_size(int((~held).sum()), chosen)
    chosen = dataclasses.replace(chosen, epochs=epochs, batch=batch)
    shape = make_shape(common.encoding, c.shape[1], chosen)
    budget = privacy.make_budget(dp, int((~held).sum()), len(common.encoding.items), chosen.search)
    names = atom_names(common.encoding)
    network, curve, noted = privacy.fit_private(data, c, held, names, shape, chosen, seed, budget)
    row = {"trial": 0, "epochs": len(curve), "validation_loss": curve["validation_loss"].iloc[-1], "chosen": 1}
    code = np.zeros((1 + c.shape[1], shape.latent)), np.eye(shape.latent)
    curve = curve.assign(trial=0, round=0, chosen=1)
    return PhenotypeModel(
        network, *common._replace(moments=None), *code, chosen, curve, pd.DataFrame([row]), privacy=noted
    )


def held_out_families(family: np.ndarray, share: float, seed: int) -> np.ndarray:
    """True (n,) for people of randomly chosen whole families, together about `share` of the people.

    Families come in random order until the share is reached. One that overshoots it by more than half of it, or would
    make more than half of the people, is passed over; where less than half of the share fits, the smallest of
    those joins. So at least one family is held out and one trained on.
    """
    labels, code, sizes = np.unique(family.astype(str), return_inverse=True, return_counts=True)
    if len(labels) < 2:
        raise InputError(
            "all training people are of one family: none can be held out",
            where="people, column family",
            expected="people of two families or more",
            remedy="check the families of the sample sheet",
        )
    order = counter.order(counter.key(seed, "validation families"), len(labels))
    wanted, half = share * len(family), len(family) / 2
    limit = min(1.5 * wanted, max(wanted, half), len(family) - 1)
    take, passed, total = [], [], 0
    for number in order:
        if total >= wanted:
            break
        fits = total + sizes[number] <= limit
        (take if fits else passed).append(number)
        total += sizes[number] if fits else 0
    if total < wanted / 2:
        smallest = min(passed, key=lambda number: sizes[number])  # of equal ones the first in random order
        if not take or total + sizes[smallest] <= half:
            take.append(smallest)
    return np.isin(code, take)
