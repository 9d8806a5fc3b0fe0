"""Heritability and genetic correlation in founders, holdout and pseudo people, and how they compare."""

import pandas as pd

from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.cohort.digests import people_facts
from pseudocohort.evaluation.heritability import Cohort, heritability_lines, save_heritability
from pseudocohort.files import read_seed
from pseudocohort.genetics.cohorts import pseudo_sample, rows_of, traits_of
from pseudocohort.genetics.heritability import haseman_elston, thinned
from pseudocohort.genetics.ld import read_ld_scores
from pseudocohort.genetics.ld_regression import regress_all
from pseudocohort.genetics.results import read_association, traits_in
from pseudocohort.job import logged

source, chromosomes = snakemake.input, snakemake.params.chromosomes
with logged(snakemake.log[0]) as log:
    people, seed = pd.read_parquet(source.people), read_seed(source.seed)
    dictionary, cohorts = read_dictionary(source.dictionary), {}
    for cohort in ("real", "holdout", "synthetic", "matched"):
        folder, rows = "real" if cohort in ("real", "holdout") else "synthetic", rows_of(cohort, people)
        phenotypes, components = (
            pd.read_parquet(f"results/{folder}/{x}.parquet") for x in ("phenotypes", "components")
        )
        genotyped = rows
        if cohort == "matched":
            held = pd.read_parquet("results/real/phenotypes.parquet").iloc[rows_of("holdout", people)]
            genotyped, phenotypes = pseudo_sample(cohort, phenotypes, dictionary.traits, held, seed)
        rows, traits = thinned(genotyped, traits_of(phenotypes, people, rows, dictionary, components))
        prefixes = [f"results/{folder}/genotypes/chr{chrom}" for chrom in chromosomes]
        estimate = haseman_elston(prefixes, rows, traits, seed)
        log.info("%s: %d people, %d sites, %d blocks", cohort, len(traits.values), estimate.sites, estimate.blocks)
        association = source.get(cohort)  # matched people have no LD score regression
        names = [] if association is None else traits_in(association)
        results = ((trait, read_association(association, trait)) for trait in names)
        cohorts[cohort] = Cohort(estimate, regress_all(results, read_ld_scores(source[f"ld_{folder}"], chromosomes)))
    save_heritability(snakemake.output[0], heritability_lines(cohorts), cohorts, people=people_facts(people))
