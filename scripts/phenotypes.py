"""Draw the pseudo phenotypes from a trained model."""

import pandas as pd

from pseudocohort.cohort.dictionary import read_dictionary, readable
from pseudocohort.files import atomic, read_seed, write_tsv_gz
from pseudocohort.job import logged
from pseudocohort.phenotype.models import load_model, sample_model

with logged(snakemake.log[0]):
    pseudo = pd.read_parquet(snakemake.input.pseudo)
    table = sample_model(
        load_model(snakemake.input.model),
        pd.read_parquet(snakemake.input.scores),
        pseudo["sex"],
        pseudo["stratum"],
        read_seed(snakemake.input.seed),
        calibrate=snakemake.params.calibrate,
    )
    table.insert(0, "person", pseudo["person"].to_numpy())
    table = readable(table, read_dictionary(snakemake.input.dictionary))
    with atomic(snakemake.output.parquet) as part:
        table.to_parquet(part, index=False)
    if snakemake.output.get("tsv"):  # a compared model has none
        write_tsv_gz(snakemake.output.tsv, table)
