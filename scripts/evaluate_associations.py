"""Compare the associations of founders, holdout and pseudo people."""

from pseudocohort.evaluation.associations import evaluate_associations
from pseudocohort.evaluation.metrics import save_arrays, save_metrics
from pseudocohort.files import read_seed
from pseudocohort.job import logged

with logged(snakemake.log[0]):
    directories = {name: snakemake.input[name] for name in ("real", "holdout", "synthetic")}
    metrics, arrays = evaluate_associations(directories, read_seed(snakemake.input.seed))
    save_metrics(snakemake.output.metrics, metrics)
    save_arrays(snakemake.output.arrays, arrays)
