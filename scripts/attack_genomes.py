"""Attack the pseudo genomes of one chromosome; write what is found of every target to a secret file."""

from pathlib import Path

import numpy as np
import pandas as pd

from pseudocohort.cohort.maps import read_map
from pseudocohort.disclosure.genome_attacks import attack_chromosome, carrying_families, load_panel
from pseudocohort.disclosure.panels import read_panels, released_sites
from pseudocohort.files import read_seed
from pseudocohort.genome.founders import founders_of
from pseudocohort.job import logged
from pseudocohort.measures.arrays import save_arrays

given, source, chrom = snakemake.params, snakemake.input, snakemake.wildcards.chrom
with logged(snakemake.log[0]) as log:
    people, seed = pd.read_parquet(source.people), read_seed(source.seed)
    real, pseudo = (f"results/{cohort}/genotypes/chr{chrom}" for cohort in ("real", "synthetic"))
    founders = founders_of(people, given.founders, given.founder_share, seed).rows
    panel, folder = load_panel(source.panel)[0], Path(snakemake.output[0]).parent
    panels = read_panels(real, pseudo, read_map(source.map, chrom), chrom, panel, founders, seed, folder)
    log.info("%d of %d sites, %d of them released", len(panels.cm), panels.sites, panels.shared)
    family = people["family"].to_numpy(dtype=str)[founders]
    carried = carrying_families(real, released_sites(real, pseudo), founders, family)
    save_arrays(snakemake.output[0], attack_chromosome(panels) | {"carried": np.array(carried)}, mode=0o600)
