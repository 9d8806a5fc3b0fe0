"""Trace one chromosome of the pseudo people back to founder haplotypes."""

from pseudocohort.cohort.maps import read_map
from pseudocohort.files import read_seed
from pseudocohort.genome.mosaic import save_mosaic, trace_mosaic
from pseudocohort.genome.pedigree import load_pedigree
from pseudocohort.job import logged

with logged(snakemake.log[0]) as log:
    chrom = snakemake.wildcards.chrom
    length = read_map(snakemake.input.map, chrom).length_cm / 100
    mosaic = trace_mosaic(
        load_pedigree(snakemake.input.pedigree),
        length,
        chrom,
        read_seed(snakemake.input.seed),
        inheritance="X" if chrom == "X" else "autosome",
        device=snakemake.params.device,
    )
    log.info("%.3f Morgans, %d segments", length, len(mosaic.start))
    save_mosaic(snakemake.output[0], mosaic)
