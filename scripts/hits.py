"""Index variants of every trait's association in one cohort, clumped as by plink1.9 --clump: hits, and weaker leads."""

import numpy as np
import pandas as pd

from pseudocohort.files import atomic
from pseudocohort.genetics.clumping import HITS, LEAD_P, LEADS, P1, hit_table
from pseudocohort.genetics.cohorts import rows_of
from pseudocohort.genetics.results import read_association, traits_in
from pseudocohort.job import logged

p, cohort = snakemake.params, snakemake.wildcards.cohort
with logged(snakemake.log[0]) as log:
    rows = rows_of(cohort, pd.read_parquet(snakemake.input.people))
    folder = "real" if cohort in ("real", "holdout") else "synthetic"
    prefixes = [f"results/{folder}/genotypes/chr{chrom}" for chrom in p.chromosomes]
    tables = [pd.DataFrame(columns=HITS)]
    for trait in traits_in(snakemake.input.association):
        found = hit_table(trait, read_association(snakemake.input.association, trait), prefixes, rows, p1=LEAD_P)
        tables += [found] if len(found) else []
        log.info("%s: %d leads", trait, len(found))
    table = pd.concat(tables[1:] or tables, ignore_index=True)
    # The strongest come first and take what they stand for, so the hits are those of clumping with p1 = 5e-8.
    hits = table[table["log10p"].astype(float) >= -np.log10(P1) * (1 - 1e-12)]
    for path, part in ((snakemake.output.hits, hits), (snakemake.output.leads, table[LEADS])):
        with atomic(path) as file:
            part.to_csv(file, sep="\t", index=False, na_rep="NA", float_format="%.6g")
