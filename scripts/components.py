"""Principal components of the real cohort's parts, founders and holdout each by itself, or of the pseudo people."""

import json

import pandas as pd

from pseudocohort.files import atomic, read_seed
from pseudocohort.genetics.components import components_table
from pseudocohort.job import logged

p, cohort = snakemake.params, snakemake.wildcards.cohort
with logged(snakemake.log[0]):
    prefixes = [f"results/{cohort}/genotypes/chr{chrom}" for chrom in p.chromosomes]
    people, seed = pd.read_parquet(snakemake.input.people), read_seed(snakemake.input.seed)
    table, report = components_table(cohort, people, prefixes, p.number, seed)
    with atomic(snakemake.output.components) as part:
        table.to_parquet(part, index=False)
    with atomic(snakemake.output.report) as part:
        part.write_text(json.dumps(report, indent=1), encoding="utf-8")
