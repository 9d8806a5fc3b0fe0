"""Write the truth about one chromosome of the pseudo people: founder segments, local ancestry, tree sequence."""

import pandas as pd

from pseudocohort.cohort.maps import read_map
from pseudocohort.files import read_seed
from pseudocohort.genome.founders import pedigree_of
from pseudocohort.genome.mosaic import load_mosaic
from pseudocohort.genome.truth import write_truth
from pseudocohort.job import logged

with logged(snakemake.log[0]):
    write_truth(
        pedigree_of(pd.read_parquet(snakemake.input.people), snakemake.params.recipe, read_seed(snakemake.input.seed)),
        load_mosaic(snakemake.input.mosaic),
        read_map(snakemake.input.map, snakemake.wildcards.chrom),
        snakemake.wildcards.chrom,
        snakemake.params.build,
        pd.read_parquet(snakemake.input.pseudo)["person"].to_numpy(),
        snakemake.output.segments,
        snakemake.output.ancestry,
        snakemake.output.trees,
    )
