"""Train a model of the items on the founders' scores and items."""

import shutil
from pathlib import Path

import pandas as pd

from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.files import read_seed
from pseudocohort.job import logged
from pseudocohort.phenotype.models import save_model, train_model

with logged(snakemake.log[0]):
    people = pd.read_parquet(snakemake.input.people)
    train = (people["part"] == "train").to_numpy()
    phenotypes, scores = (
        pd.read_parquet(path)[train].reset_index(drop=True)
        for path in (snakemake.input.phenotypes, snakemake.input.scores)
    )
    checkpoint = Path(snakemake.params.checkpoint)
    model = train_model(
        snakemake.params.training["kind"],
        phenotypes,
        people[train].reset_index(drop=True),
        scores,
        read_dictionary(snakemake.input.dictionary),
        snakemake.params.training["network"],
        read_seed(snakemake.input.seed),
        checkpoint=checkpoint,
        dp=snakemake.params.training["dp"],
        threads=snakemake.threads,
    )
    save_model(snakemake.output[0], model)
    if snakemake.params.training["kind"] == "cvae":
        shutil.rmtree(checkpoint, ignore_errors=True)  # what a killed training left is of no use any more
