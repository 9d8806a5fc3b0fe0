"""Compare real and pseudo items, beside the baseline of independent marginals."""

import pandas as pd

from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.cohort.digests import people_facts
from pseudocohort.evaluation.findings import finding_table
from pseudocohort.evaluation.items import evaluate_items
from pseudocohort.files import atomic, read_seed
from pseudocohort.job import logged
from pseudocohort.measures.arrays import save_arrays
from pseudocohort.measures.line import save_lines

with logged(snakemake.log[0]):
    tables = ("people", "real", "pseudo", "baseline", "real_scores", "pseudo_scores")
    people, *others = (pd.read_parquet(snakemake.input[name]) for name in tables)
    metrics, arrays = evaluate_items(
        people,
        *others,
        read_dictionary(snakemake.input.dictionary),
        read_seed(snakemake.input.seed),
    )
    save_lines(snakemake.output.metrics, metrics, people=people_facts(people))
    save_arrays(snakemake.output.arrays, arrays)
    for kind in ("score", "item"):
        with atomic(snakemake.output[kind]) as part:
            finding_table(arrays, kind).to_csv(part, sep="\t", index=False, float_format="%.4g")
