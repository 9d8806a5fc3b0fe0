"""Draw the figures of the attacks on genomes."""

from pathlib import Path

from pseudocohort.job import logged
from pseudocohort.measures.arrays import load_arrays
from pseudocohort.report import words
from pseudocohort.report.figures_disclosure import draw_disclosure

with logged(snakemake.log[0]), words.language(snakemake.params.language):
    draw_disclosure(load_arrays(snakemake.input[0]), Path(snakemake.output[0]).parent)
