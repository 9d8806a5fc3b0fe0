"""Trace one chromosome of the pseudo people back to founder haplotypes."""

import pandas as pd

from pseudocohort.cohort.builds import get_build
from pseudocohort.cohort.maps import read_map
from pseudocohort.files import read_seed
from pseudocohort.genome.descent import descent, save_descent
from pseudocohort.genome.founders import pedigree_of
from pseudocohort.genome.mosaic import save_mosaic, trace_mosaic
from pseudocohort.genome.recombination import make_recombination
from pseudocohort.job import logged

with logged(snakemake.log[0]) as log:
    chrom, seed = snakemake.wildcards.chrom, read_seed(snakemake.input.seed)
    genetic_map = read_map(snakemake.input.map, chrom)
    par = get_build(snakemake.params.build).par if chrom == "X" else ()
    pedigree = pedigree_of(pd.read_parquet(snakemake.input.people), snakemake.params.recipe, seed)
    mosaic = trace_mosaic(
        pedigree,
        make_recombination(genetic_map, chrom, par, **snakemake.params.recombination),
        chrom,
        seed,
        device=snakemake.config["device"],  # not a param: it never changes the result
    )
    log.info("%.3f Morgans, %d segments", genetic_map.length_cm / 100, len(mosaic.start))
    save_descent(snakemake.output.descent, descent(mosaic, len(pedigree.sex[0]), genetic_map.length_cm))
    save_mosaic(snakemake.output.mosaic, mosaic)
