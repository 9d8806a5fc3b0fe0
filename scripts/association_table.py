"""The table of traits for the report."""

import json
from pathlib import Path

from pseudocohort.evaluation.association_table import trait_table, write_table
from pseudocohort.job import logged

with logged(snakemake.log[0]):
    found = {k: json.loads(Path(snakemake.input[k]).read_text()) for k in ("associations", "heritability", "prs")}
    table = trait_table(found["associations"]["traits"], found["heritability"]["cohorts"], found["prs"]["traits"])
    write_table(snakemake.output[0], table)
