"""Write the pseudo genotypes of one chromosome."""

from pathlib import Path

import pandas as pd

from pseudocohort.cohort.maps import read_map
from pseudocohort.files import read_seed
from pseudocohort.genome.founders import founded_of, founders_of
from pseudocohort.genome.mosaic import load_mosaic
from pseudocohort.genome.protected import transmit_protected
from pseudocohort.genome.protection import Founded, make_protection
from pseudocohort.genome.transmission import transmit
from pseudocohort.job import logged

given, chrom = snakemake.params, snakemake.wildcards.chrom
with logged(snakemake.log[0]):
    pseudo, people = (pd.read_parquet(snakemake.input[name]) for name in ("pseudo", "people"))
    seed = read_seed(snakemake.input.seed)
    founders = founders_of(people, given.founders, given.founder_share, seed)
    block_sites = snakemake.config["block_sites"]  # no param, as the device: these two never change the result
    arguments = (
        Path(snakemake.input.pgen).with_suffix(""),
        founders.rows,
        load_mosaic(snakemake.input.mosaic),
        read_map(snakemake.input.map, chrom),
        Path(snakemake.output.pgen).with_suffix(""),
        pseudo["person"].to_numpy(),
        pseudo["sex"].to_numpy(),
    )
    if given.protection:
        founded = Founded(*founded_of(people, founders))
        protection = make_protection(given.protection, int(founded.family.max()) + 1)
        transmit_protected(*arguments, protection, founded, chrom, seed, block_sites)
    else:
        transmit(*arguments, block_sites, snakemake.config["device"])
