"""Write the pseudo genotypes of one chromosome."""

from pathlib import Path

import numpy as np
import pandas as pd

from pseudocohort.cohort.maps import read_map
from pseudocohort.genome.mosaic import load_mosaic
from pseudocohort.genome.transmission import transmit
from pseudocohort.job import logged

with logged(snakemake.log[0]):
    real = pd.read_parquet(snakemake.input.people)
    pseudo = pd.read_parquet(snakemake.input.pseudo)
    transmit(
        Path(snakemake.input.pgen).with_suffix(""),
        np.flatnonzero(real["part"] == "train"),
        load_mosaic(snakemake.input.mosaic),
        read_map(snakemake.input.map, snakemake.wildcards.chrom),
        Path(snakemake.output.pgen).with_suffix(""),
        pseudo["person"].to_numpy(),
        pseudo["sex"].to_numpy(),
        snakemake.config["block_sites"],  # not a param: it never changes the result,
    )
