"""The models of the items under one interface: train, sample, save, load.

cvae       the conditional VAE (`network`, `training`)
cart       sequential CART (`cart`)
marginal   every item on its own (`marginal`)
All share what `common.Common` holds and the decoder, so that skip rules, rounding, the dictionary's rules, rank
polish and calibration are the same code; they differ in how they draw the latents.
"""

import functools
import json
from pathlib import Path

import numpy as np
import pandas as pd

from pseudocohort.errors import InputError
from pseudocohort.files import atomic_directory
from pseudocohort.phenotype import model_files, sampling, training
from pseudocohort.phenotype.cart import CartDrawing, CartModel, Tree, train_cart
from pseudocohort.phenotype.common import common_arrays, common_from, common_to_json
from pseudocohort.phenotype.marginal import MarginalDrawing, MarginalModel, train_marginal
from pseudocohort.phenotype.trees import tree_arrays, trees_from

MODELS = ("cvae", "cart", "marginal")
Model = model_files.PhenotypeModel | CartModel | MarginalModel


def train_model(
    kind: str,
    phenotypes: pd.DataFrame,
    people: pd.DataFrame,
    scores: pd.DataFrame,
    dictionary,
    settings: dict,
    seed: int,
    *,
    checkpoint: Path | None = None,
    dp: dict | None = None,
    threads: int = 1,
) -> Model:
    """Train a model of one of MODELS on the training people, in the same row order in all three tables.

    phenotypes: items, and the age column that the dictionary names; people: sex, stratum, family; scores: one
    column a trait; settings, checkpoint, dp: of the cvae alone (`training.train_network`).
    """
    tables = (phenotypes, people, scores, dictionary)
    if dp is not None and kind != "cvae":
        raise InputError(
            f"dp is asked for, but model {kind} has no differential privacy",
            where="config keys model and dp",
            expected="model: cvae with dp",
            remedy="set model: cvae, or dp: null",
        )
    if kind == "cvae":
        return training.train_network(*tables, settings, seed, checkpoint=checkpoint, dp=dp)
    if kind == "cart":
        return train_cart(*tables, seed, threads=threads)
    if kind == "marginal":
        return train_marginal(*tables)
    raise InputError(
        f"unknown model {kind!r}", where="config key model", expected=" or ".join(MODELS), remedy="correct the key"
    )


def sample_model(
    model: Model, scores: pd.DataFrame, sex, stratum, seed: int, *, calibrate: bool = True, polish: bool = True
) -> pd.DataFrame:
    """Pseudo people as `sampling.sample_people` gives them: sex, age, stratum, items in the order of the scores' rows.

    scores: (n rows) the model's traits; sex: codes or names; stratum: labels of the training people's.
    calibrate: shift the latents until their moments are the training people's. The marginal model is never
    calibrated: that would give it the correlations which it is there to lack.
    """
    arguments, common = (scores, sex, stratum, seed), getattr(model, "common", model)
    if isinstance(model, MarginalModel):
        return sampling.sample_people(common, *arguments, begin=MarginalDrawing, calibrate=False, polish=polish)
    drawing = CartDrawing if isinstance(model, CartModel) else sampling.NetworkDrawing
    begin = functools.partial(drawing, model)
    return sampling.sample_people(common, *arguments, begin=begin, calibrate=calibrate, polish=polish)


def save_model(directory: str | Path, model: Model) -> None:
    """Write the model's folder, whole or not at all. It holds values of training people: it never leaves."""
    if isinstance(model, model_files.PhenotypeModel):
        return model_files.save_model(directory, model)
    kind = "cart" if isinstance(model, CartModel) else "marginal"
    arrays = common_arrays(model.common) | (tree_arrays("tree", model.trees) if kind == "cart" else {})
    with atomic_directory(directory) as target:
        np.savez(target / "parameters.npz", **arrays)
        plain = {"kind": kind, **common_to_json(model.common)}
        (target / "model.json").write_text(json.dumps(plain, allow_nan=False), encoding="utf-8")


def load_model(directory: str | Path) -> Model:
    """Inverse of `save_model`, for any kind."""
    file = Path(directory) / "model.json"
    if not file.exists():
        raise InputError("no trained model here", where=directory, remedy="run the rule that trains it")
    plain = json.loads(file.read_text(encoding="utf-8"))
    if "kind" not in plain:
        return model_files.load_model(directory)
    with np.load(Path(directory) / "parameters.npz") as stored:
        arrays = dict(stored)
    common = common_from(plain, arrays)
    if plain["kind"] == "marginal":
        return MarginalModel(common)
    return CartModel(common, tuple(trees_from("tree", Tree, arrays)))
