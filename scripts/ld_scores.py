"""LD scores of the founders (real) or the pseudo people (synthetic), in ldsc's format."""

import numpy as np
import pandas as pd

from pseudocohort.cohort.maps import read_map
from pseudocohort.files import atomic_directory
from pseudocohort.genetics.cohorts import rows_of
from pseudocohort.genetics.ld import ld_scores, write_ld_scores
from pseudocohort.genotypes import read_psam
from pseudocohort.job import logged

MOST_PEOPLE = 5000  # ldsc's own scores are of 489

p, cohort = snakemake.params, snakemake.wildcards.cohort
with logged(snakemake.log[0]) as log, atomic_directory(snakemake.output[0]) as part:
    folder = f"results/{cohort}/genotypes"
    chosen = rows_of(cohort, pd.read_parquet(snakemake.input.people))
    for chrom, path in zip(p.chromosomes, snakemake.input.maps, strict=True):
        rows = np.arange(len(read_psam(f"{folder}/chr{chrom}.psam"))) if chosen is None else chosen
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST_PEOPLE)).astype(int))]
        table = ld_scores(f"{folder}/chr{chrom}", rows, read_map(path, chrom))
        write_ld_scores(part, chrom, table)
        log.info("chromosome %s: %d common sites, %d people", chrom, len(table), len(rows))
