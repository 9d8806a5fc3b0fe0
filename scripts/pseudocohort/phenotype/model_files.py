"""The trained phenotype network and its folder on disk."""

import dataclasses
import json
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd
from flax import nnx

from pseudocohort.errors import InputError
from pseudocohort.files import atomic_directory
from pseudocohort.phenotype.atoms import Encoding
from pseudocohort.phenotype.common import Common, common_arrays, common_from, common_to_json
from pseudocohort.phenotype.conditions import Ages, Conditions
from pseudocohort.phenotype.forest import Forest, forest_arrays, forest_from
from pseudocohort.phenotype.moments import Moments
from pseudocohort.phenotype.network import Network, Shape
from pseudocohort.phenotype.settings import Settings


class PhenotypeModel(NamedTuple):
    """A trained network with all that sampling needs. code_slope (1 + conditions, latent) and code_covariance
    (latent, latent): the aggregate posterior z ~ N([1, c] slope, covariance). curve: epoch, train_loss,
    validation_loss, kl, trial, round, chosen. search: one row a trial, see `search`. privacy: what `privacy` has
    to say where the training was differentially private; there are no moments then.
    forest: trees by fold and atom, () without."""

    network: Network
    encoding: Encoding
    conditions: Conditions
    ages: Ages | None
    moments: Moments | None
    code_slope: np.ndarray
    code_covariance: np.ndarray
    settings: Settings
    curve: pd.DataFrame
    search: pd.DataFrame
    privacy: dict | None = None
    forest: Forest = ()


def save_model(directory: str | Path, model: PhenotypeModel) -> None:
    """Write model.json, parameters.npz, learning_curve.tsv and search.tsv; whole or not at all."""
    flat = {
        "parameter/" + "/".join(map(str, path)): np.asarray(v[...])
        for path, v in nnx.to_flat_state(nnx.state(model.network, nnx.Param))
    }
    common = Common(model.encoding, model.conditions, model.ages, model.moments)
    arrays = {
        **flat,
        "code_slope": model.code_slope,
        "code_covariance": model.code_covariance,
        **forest_arrays(model.forest),
        **({} if model.moments is None else common_arrays(common)),
    }
    plain = {
        **common_to_json(common),
        "shape": model.network.shape._asdict(),
        "settings": dataclasses.asdict(model.settings),
    }
    with atomic_directory(directory) as target:
        np.savez(target / "parameters.npz", **arrays)
        (target / "model.json").write_text(json.dumps(plain, allow_nan=False), encoding="utf-8")
        model.curve.to_csv(target / "learning_curve.tsv", sep="\t", index=False)
        model.search.to_csv(target / "search.tsv", sep="\t", index=False)
        if model.privacy is not None:
            (target / "privacy.json").write_text(json.dumps(model.privacy, indent=1), encoding="utf-8")


def load_model(directory: str | Path) -> PhenotypeModel:
    """Inverse of `save_model`."""
    directory = Path(directory)
    if not (directory / "model.json").exists():
        raise InputError("no trained network here", where=directory, remedy="run the rule that trains it")
    plain = json.loads((directory / "model.json").read_text(encoding="utf-8"))
    with np.load(directory / "parameters.npz") as stored:
        arrays = dict(stored)
    shape = {key: tuple(value) if isinstance(value, list) else value for key, value in plain["shape"].items()}
    network = Network(Shape(**shape))
    state = nnx.state(network, nnx.Param)
    for path, variable in nnx.to_flat_state(state):
        variable[...] = jnp.asarray(arrays["parameter/" + "/".join(map(str, path))])
    nnx.update(network, state)
    private = directory / "privacy.json"
    absent = {"moment_slope": np.empty(0), "moment_covariance": np.empty(0)}
    common = common_from(plain, absent | arrays)
    return PhenotypeModel(
        network,
        *common._replace(moments=common.moments if "moment_slope" in arrays else None),
        arrays["code_slope"],
        arrays["code_covariance"],
        Settings(**{**plain["settings"], "without": tuple(plain["settings"]["without"])}),
        pd.read_csv(directory / "learning_curve.tsv", sep="\t"),
        pd.read_csv(directory / "search.tsv", sep="\t"),
        json.loads(private.read_text(encoding="utf-8")) if private.exists() else None,
        forest_from(arrays),
    )
