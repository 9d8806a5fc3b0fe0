"""Score the people of one cohort with the weights of every trait."""

from pathlib import Path

import pandas as pd

from pseudocohort.files import atomic
from pseudocohort.genotypes import read_pvar
from pseudocohort.job import logged
from pseudocohort.scores.scoring import score, with_out_of_fold

with logged(snakemake.log[0]):
    folder = f"results/{snakemake.wildcards.cohort}/genotypes"
    weights = {
        path.name.removesuffix(".txt.gz"): path for path in sorted(Path(snakemake.input.weights).glob("*.txt.gz"))
    }
    chromosomes = snakemake.params.chromosomes
    known = [read_pvar(f"results/real/genotypes/chr{chrom}.pvar") for chrom in chromosomes]
    table = score([f"{folder}/chr{chrom}" for chrom in chromosomes], None, weights, known)
    for path in snakemake.input.out_of_fold:
        table = with_out_of_fold(table, pd.read_parquet(path))
    with atomic(snakemake.output[0]) as part:
        table.to_parquet(part, index=False)
