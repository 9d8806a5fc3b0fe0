"""Write the pseudo genotypes of one chromosome."""

from pathlib import Path

import pandas as pd

from pseudocohort.cohort.maps import read_map
from pseudocohort.genome.founders import founders_of
from pseudocohort.genome.mosaic import load_mosaic
from pseudocohort.genome.transmission import transmit
from pseudocohort.job import logged

with logged(snakemake.log[0]):
    pseudo = pd.read_parquet(snakemake.input.pseudo)
    transmit(
        Path(snakemake.input.pgen).with_suffix(""),
        founders_of(pd.read_parquet(snakemake.input.people), snakemake.params.founders).rows,
        load_mosaic(snakemake.input.mosaic),
        read_map(snakemake.input.map, snakemake.wildcards.chrom),
        Path(snakemake.output.pgen).with_suffix(""),
        pseudo["person"].to_numpy(),
        pseudo["sex"].to_numpy(),
        snakemake.config["block_sites"],  # no params: these two never change the result
        snakemake.config["device"],
    )
