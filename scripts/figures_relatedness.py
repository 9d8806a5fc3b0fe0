"""Draw the figures of kinship and runs of homozygosity."""

from pathlib import Path

from pseudocohort.job import logged
from pseudocohort.measures.arrays import load_arrays
from pseudocohort.report import words
from pseudocohort.report.figures_relatedness import draw_relatedness

with logged(snakemake.log[0]), words.language(snakemake.params.language):
    draw_relatedness(load_arrays(snakemake.input[0]), Path(snakemake.output[0]).parent)
