"""Test every trait at every frequent site: in the founders (real), the holdout or the pseudo people (synthetic)."""

import pandas as pd

from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.genetics.association import associate, write_association
from pseudocohort.genetics.cohorts import rows_of, traits_of
from pseudocohort.job import logged

p, cohort = snakemake.params, snakemake.wildcards.cohort
with logged(snakemake.log[0]) as log:
    people = pd.read_parquet(snakemake.input.people)
    rows = rows_of(cohort, people)
    traits = traits_of(
        pd.read_parquet(snakemake.input.phenotypes), people, rows, read_dictionary(snakemake.input.dictionary)
    )
    for name, reason in traits.left_out.items():
        log.info("%s is not tested: %s", name, reason)
    folder = "synthetic" if cohort == "synthetic" else "real"
    prefixes = [f"results/{folder}/genotypes/chr{chrom}" for chrom in p.chromosomes]
    blocks = associate(prefixes, rows, traits, p.minimum_minor_allele_count)
    sites = write_association(snakemake.output[0], blocks, traits.names)
    log.info("%d sites, %d traits", sites, len(traits.names))
