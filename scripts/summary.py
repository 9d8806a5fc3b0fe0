"""Judge all measures by the goals; print what falls short. A shortfall fails no run."""

from pathlib import Path

from pseudocohort.job import logged
from pseudocohort.report.summary import shortfalls, write_summary

with logged(snakemake.log[0]) as log:
    paths = {Path(path).relative_to("results").as_posix(): path for path in snakemake.input}
    summary = write_summary(snakemake.output[0], paths, snakemake.params.goals)
    for line in shortfalls(summary):
        print(line)
    log.info("%d measures", len(summary["metrics"]))
