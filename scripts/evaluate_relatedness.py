"""Compare who is related to whom, and runs of homozygosity, in real and pseudo people."""

import pandas as pd

from pseudocohort.cohort.digests import people_facts
from pseudocohort.evaluation.relatedness import evaluate_relatedness
from pseudocohort.files import read_seed
from pseudocohort.genome.founders import pedigree_of
from pseudocohort.job import logged
from pseudocohort.measures.arrays import save_arrays
from pseudocohort.measures.catalogue import without_theory
from pseudocohort.measures.line import save_lines

with logged(snakemake.log[0]):
    autosomes, recipe = snakemake.params.autosomes, snakemake.params.recipe
    seed = read_seed(snakemake.input.seed)
    people = pd.read_parquet(snakemake.input.people)
    lines, arrays = evaluate_relatedness(
        {chrom: f"results/real/genotypes/chr{chrom}" for chrom in autosomes},
        {chrom: f"results/synthetic/genotypes/chr{chrom}" for chrom in autosomes},
        {chrom: f"results/real/maps/chr{chrom}.tsv" for chrom in autosomes},
        people,
        pedigree_of(people, recipe, seed),
        recipe["founders"],
        seed,
        snakemake.params.sex_specific,
        founder_share=recipe["founder_share"],
    )
    lines = without_theory(lines) if snakemake.params.protected else lines
    save_lines(snakemake.output.metrics, lines, people=people_facts(people))
    save_arrays(snakemake.output.arrays, arrays)
