"""Draw the frontier of protections."""

import json
from pathlib import Path

from pseudocohort.job import logged
from pseudocohort.report import style, words
from pseudocohort.report.figure_frontier import frontier

with logged(snakemake.log[0]), words.language(snakemake.params.language):
    style.drawn(frontier, json.loads(Path(snakemake.input[0]).read_text(encoding="utf-8")), snakemake.output[0])
