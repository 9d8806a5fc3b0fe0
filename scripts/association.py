"""Test every trait at every frequent site in the people of a cohort (genetics.cohorts)."""

import pandas as pd

from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.files import read_seed
from pseudocohort.genetics.association import associate
from pseudocohort.genetics.cohorts import pseudo_sample, rows_of, traits_of
from pseudocohort.genetics.results import describe, write_association
from pseudocohort.job import logged

p, cohort = snakemake.params, snakemake.wildcards.cohort
with logged(snakemake.log[0]) as log:
    people, phenotypes = pd.read_parquet(snakemake.input.people), pd.read_parquet(snakemake.input.phenotypes)
    components = snakemake.input.get("components")
    components = pd.read_parquet(components) if components else None
    rows, dictionary = rows_of(cohort, people), read_dictionary(snakemake.input.dictionary)
    genotyped = rows
    if cohort in ("matched", "permuted"):
        held = pd.read_parquet(snakemake.input.held).iloc[rows_of("holdout", people)]
        seed = read_seed(snakemake.input.seed)
        genotyped, phenotypes = pseudo_sample(cohort, phenotypes, dictionary.traits, held, seed)
    traits = traits_of(phenotypes, people, rows, dictionary, components, p.rank_normalise)
    for name, reason in traits.left_out.items():
        log.info("%s is not tested: %s", name, reason)
    folder = "real" if cohort in ("real", "holdout") else "synthetic"
    prefixes = [f"results/{folder}/genotypes/chr{chrom}" for chrom in p.chromosomes]
    blocks = associate(prefixes, genotyped, traits, p.minimum_minor_allele_count)
    about = describe(traits, dictionary, p.build, p.minimum_minor_allele_count)
    sites = write_association(snakemake.output[0], blocks, traits.names, about, p.columnar_above)
    log.info("%d sites, %d traits", sites, len(traits.names))
