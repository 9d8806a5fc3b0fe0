"""Draw the figures of the associations."""

import json
from pathlib import Path

from pseudocohort.evaluation.metrics import load_arrays
from pseudocohort.job import logged
from pseudocohort.report import words
from pseudocohort.report.figures_association import draw_associations

source, drawn = snakemake.input, snakemake.output
with logged(snakemake.log[0]), words.language(snakemake.params.language):
    heritability = json.loads(Path(source.heritability).read_text(encoding="utf-8"))["cohorts"]
    draw_associations(load_arrays(source.arrays), Path(drawn[0]).parent, drawn.by_trait, heritability)
