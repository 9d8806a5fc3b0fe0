"""Compare real and pseudo genomes."""

import json
from pathlib import Path

import pandas as pd

from pseudocohort.cohort.builds import get_build
from pseudocohort.cohort.digests import people_facts
from pseudocohort.evaluation.genomes import evaluate_genomes
from pseudocohort.files import read_seed
from pseudocohort.genome.drift import Drift
from pseudocohort.genome.founders import founders_of
from pseudocohort.job import logged
from pseudocohort.measures.arrays import save_arrays
from pseudocohort.measures.catalogue import without_theory
from pseudocohort.measures.line import save_lines

with logged(snakemake.log[0]):
    chromosomes = snakemake.params.chromosomes
    people = pd.read_parquet(snakemake.input.people)
    facts = people_facts(people)
    which, share, seed = snakemake.params.founders, snakemake.params.founder_share, read_seed(snakemake.input.seed)
    founder = people.index.isin(founders_of(people, which, share, seed).rows)
    people["part"] = people["part"].mask((people["part"] == "train") & ~founder, "not transmitted")
    metrics, arrays = evaluate_genomes(
        {chrom: f"results/real/genotypes/chr{chrom}" for chrom in chromosomes},
        {chrom: f"results/synthetic/genotypes/chr{chrom}" for chrom in chromosomes},
        {chrom: f"results/real/maps/chr{chrom}.tsv" for chrom in chromosomes},
        people,
        pd.read_parquet(snakemake.input.pseudo_people),
        Drift(**json.loads(Path(snakemake.input.expected).read_text())),
        snakemake.params.generations,
        seed,
        par=get_build(snakemake.params.build).par,
    )
    metrics = without_theory(metrics) if snakemake.params.protected else metrics
    save_lines(snakemake.output.metrics, metrics, people=facts)
    save_arrays(snakemake.output.arrays, arrays)
