"""Index variants of every trait's association in one cohort, clumped as by plink1.9 --clump."""

import pandas as pd

from pseudocohort.files import atomic
from pseudocohort.genetics.clumping import HITS, hit_table
from pseudocohort.genetics.cohorts import rows_of
from pseudocohort.genetics.results import read_association, traits_in
from pseudocohort.job import logged

p, cohort = snakemake.params, snakemake.wildcards.cohort
with logged(snakemake.log[0]) as log:
    rows = rows_of(cohort, pd.read_parquet(snakemake.input.people))
    folder = "synthetic" if cohort == "synthetic" else "real"
    prefixes = [f"results/{folder}/genotypes/chr{chrom}" for chrom in p.chromosomes]
    tables = [pd.DataFrame(columns=HITS)]
    for trait in traits_in(snakemake.input.association):
        found = hit_table(trait, read_association(snakemake.input.association, trait), prefixes, rows)
        tables += [found] if len(found) else []
        log.info("%s: %d hits", trait, len(found))
    table = pd.concat(tables[1:] or tables, ignore_index=True)
    with atomic(snakemake.output[0]) as part:
        table.to_csv(part, sep="\t", index=False, na_rep="NA", float_format="%.6g")
