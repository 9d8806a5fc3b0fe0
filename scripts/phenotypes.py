"""Draw the pseudo phenotypes from the trained network, and the baseline of independent marginals."""

import pandas as pd

from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.files import atomic, read_seed, write_tsv_gz
from pseudocohort.job import logged
from pseudocohort.phenotype.marginal import sample_marginals
from pseudocohort.phenotype.sampling import sample_people
from pseudocohort.phenotype.training import load_model

with logged(snakemake.log[0]):
    seed = read_seed(snakemake.input.seed)
    pseudo = pd.read_parquet(snakemake.input.pseudo)
    scores = pd.read_parquet(snakemake.input.scores)
    table = sample_people(load_model(snakemake.input.model), scores, pseudo["sex"], pseudo["stratum"], seed)
    people = pd.read_parquet(snakemake.input.people)
    train = (people["part"] == "train").to_numpy()
    baseline = sample_marginals(
        pd.read_parquet(snakemake.input.real)[train].reset_index(drop=True),
        people[train].reset_index(drop=True),
        read_dictionary(snakemake.input.dictionary),
        pseudo["sex"],
        pseudo["stratum"],
        table.get("age"),
        seed,
    )
    for result, path in ((table, snakemake.output.parquet), (baseline, snakemake.output.baseline)):
        result.insert(0, "person", pseudo["person"].to_numpy())
        with atomic(path) as part:
            result.to_parquet(part, index=False)
    write_tsv_gz(snakemake.output.tsv, table)
