"""Import the genotypes and the genetic map of one chromosome."""

import json
from pathlib import Path

import pandas as pd

from pseudocohort.cohort.coverage import chromosome_map
from pseudocohort.cohort.import_genotypes import import_chromosome
from pseudocohort.cohort.maps import write_map
from pseudocohort.files import atomic
from pseudocohort.genotypes import read_pvar
from pseudocohort.job import logged

p, chrom = snakemake.params, snakemake.wildcards.chrom
with logged(snakemake.log[0]):
    people = pd.read_parquet(snakemake.input.people)[["person", "sex"]]
    prefix = Path(snakemake.output.pgen).with_suffix("")
    report = import_chromosome(snakemake.input.genotypes, chrom, people, prefix, p.build, dict(p.options))
    positions = read_pvar(snakemake.output.pvar)["pos"].to_numpy()
    genetic_map, coverage = chromosome_map(snakemake.input.maps, chrom, p.build, positions)
    write_map(snakemake.output.map, genetic_map)
    with atomic(snakemake.output.report) as part:
        part.write_text(json.dumps(report | {"map": coverage}, indent=1), encoding="utf-8")
