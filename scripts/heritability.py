"""Heritability and genetic correlation in founders, holdout and pseudo people, and how they compare."""

import pandas as pd

from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.evaluation.heritability import Cohort, heritability_metrics, save_heritability
from pseudocohort.files import read_seed
from pseudocohort.genetics.cohorts import rows_of, traits_of
from pseudocohort.genetics.heritability import haseman_elston, thinned
from pseudocohort.genetics.ld import read_ld_scores
from pseudocohort.genetics.ld_regression import regress_all
from pseudocohort.genetics.results import read_association, traits_in
from pseudocohort.job import logged

source, chromosomes = snakemake.input, snakemake.params.chromosomes
with logged(snakemake.log[0]) as log:
    people, seed = pd.read_parquet(source.people), read_seed(source.seed)
    dictionary, cohorts = read_dictionary(source.dictionary), {}
    for cohort in ("real", "holdout", "synthetic"):
        folder, rows = "synthetic" if cohort == "synthetic" else "real", rows_of(cohort, people)
        phenotypes, components = (
            pd.read_parquet(f"results/{folder}/{x}.parquet") for x in ("phenotypes", "components")
        )
        rows, traits = thinned(rows, traits_of(phenotypes, people, rows, dictionary, components))
        prefixes = [f"results/{folder}/genotypes/chr{chrom}" for chrom in chromosomes]
        estimate = haseman_elston(prefixes, rows, traits, seed)
        log.info("%s: %d people, %d sites, %d blocks", cohort, len(traits.values), estimate.sites, estimate.blocks)
        association = getattr(source, cohort)
        results = ((trait, read_association(association, trait)) for trait in traits_in(association))
        cohorts[cohort] = Cohort(estimate, regress_all(results, read_ld_scores(source[f"ld_{folder}"], chromosomes)))
    save_heritability(snakemake.output[0], heritability_metrics(cohorts), cohorts)
