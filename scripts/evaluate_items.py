"""Compare real and pseudo items, beside the baseline of independent marginals."""

import pandas as pd

from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.evaluation.items import evaluate_items
from pseudocohort.evaluation.metrics import save_arrays, save_metrics
from pseudocohort.files import read_seed
from pseudocohort.job import logged

with logged(snakemake.log[0]):
    tables = ("people", "real", "pseudo", "baseline", "real_scores", "pseudo_scores")
    metrics, arrays = evaluate_items(
        *(pd.read_parquet(snakemake.input[name]) for name in tables),
        read_dictionary(snakemake.input.dictionary),
        read_seed(snakemake.input.seed),
    )
    save_metrics(snakemake.output.metrics, metrics)
    save_arrays(snakemake.output.arrays, arrays)
