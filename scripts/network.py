"""Train the phenotype network on the founders' scores and items."""

import pandas as pd

from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.files import read_seed
from pseudocohort.job import logged
from pseudocohort.phenotype.training import save_model, train_network

with logged(snakemake.log[0]):
    people = pd.read_parquet(snakemake.input.people)
    train = (people["part"] == "train").to_numpy()
    phenotypes, scores = (
        pd.read_parquet(path)[train].reset_index(drop=True)
        for path in (snakemake.input.phenotypes, snakemake.input.scores)
    )
    model = train_network(
        phenotypes,
        people[train].reset_index(drop=True),
        scores,
        read_dictionary(snakemake.input.dictionary),
        snakemake.params.network,
        read_seed(snakemake.input.seed),
    )
    save_model(snakemake.output[0], model)
