"""Draw the figures of the associations."""

from pathlib import Path

from pseudocohort.evaluation.metrics import load_arrays
from pseudocohort.job import logged
from pseudocohort.report.figures_association import draw_associations

with logged(snakemake.log[0]):
    draw_associations(load_arrays(snakemake.input[0]), Path(snakemake.output[0]).parent, snakemake.output.by_trait)
