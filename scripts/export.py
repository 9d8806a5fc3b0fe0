"""Write the pseudo genotypes of one chromosome as VCF or BCF, with its index."""

from pathlib import Path

from pseudocohort.genome.export import export
from pseudocohort.job import logged

with logged(snakemake.log[0]):
    export(
        Path(snakemake.input.pgen).with_suffix(""),
        snakemake.output.data,
        snakemake.wildcards.chrom,
        snakemake.params.build,
    )
