"""Draw the figures of the items and of the network's training."""

from pathlib import Path

from pseudocohort.job import logged
from pseudocohort.measures.arrays import load_arrays
from pseudocohort.report import words
from pseudocohort.report.figures_items import draw_items

with logged(snakemake.log[0]), words.language(snakemake.params.language):
    draw_items(load_arrays(snakemake.input.arrays), snakemake.input.model, Path(snakemake.output[0]).parent)
