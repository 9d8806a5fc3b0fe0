"""Effect weights of every trait: learnt on the founders, or from given scoring files."""

import json

import pandas as pd

from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.files import atomic, read_seed
from pseudocohort.genetics.cohorts import rows_of, select, traits_of
from pseudocohort.genetics.weights import catalog_weights, learn_weights, write_weights
from pseudocohort.job import logged

p = snakemake.params
with logged(snakemake.log[0]):
    people = pd.read_parquet(snakemake.input.people)
    rows = rows_of("real", people)
    traits = traits_of(
        pd.read_parquet(snakemake.input.phenotypes), people, rows, read_dictionary(snakemake.input.dictionary)
    )
    prefixes = [f"results/real/genotypes/chr{chrom}" for chrom in p.chromosomes]
    weights, report = catalog_weights(p.scoring_files, prefixes, rows, p.build, p.minimum_overlap)
    if p.method == "draw":
        rest = select(traits, [name for name in traits.names if name not in weights])
        family = people["family"].to_numpy()[rows]
        seed = read_seed(snakemake.input.seed)
        learnt, entries = learn_weights(prefixes, rows, rest, seed, {"method": p.method}, family)
        weights, report = weights | learnt, report + entries
    write_weights(snakemake.output.weights, weights, p.build)
    left_out = [{"trait": name, "reason": reason} for name, reason in traits.left_out.items()]
    with atomic(snakemake.output.report) as part:
        part.write_text(json.dumps({"traits": report, "left_out": left_out}, indent=1), encoding="utf-8")
