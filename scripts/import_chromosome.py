"""Import the genotypes and the genetic map of one chromosome."""

import json
from pathlib import Path

import pandas as pd

from pseudocohort.cohort.builds import chromosome_length
from pseudocohort.cohort.import_genotypes import import_chromosome
from pseudocohort.cohort.maps import cover, read_map, write_map
from pseudocohort.files import atomic
from pseudocohort.genotypes import read_pvar
from pseudocohort.job import logged

p, chrom = snakemake.params, snakemake.wildcards.chrom
with logged(snakemake.log[0]):
    people = pd.read_parquet(snakemake.input.people)[["person", "sex"]]
    prefix = Path(snakemake.output.pgen).with_suffix("")
    options = {key: p[key] for key in ("unphased", "missing", "multiallelic", "male_x_heterozygous")}
    report = import_chromosome(snakemake.input.genotypes, chrom, people, prefix, p.build, options)
    pos = read_pvar(snakemake.output.pvar)["pos"]
    genetic_map, coverage = cover(
        read_map(snakemake.input.map, chrom), int(pos.iloc[0]), int(pos.iloc[-1]), chromosome_length(p.build, chrom)
    )
    write_map(snakemake.output.map, genetic_map)
    with atomic(snakemake.output.report) as part:
        part.write_text(json.dumps(report | {"map": coverage}, indent=1), encoding="utf-8")
