"""Gather all measures; print what falls short of its goal."""

from pseudocohort.evaluation.metrics import load_metrics, save_metrics
from pseudocohort.job import logged

with logged(snakemake.log[0]) as log:
    metrics = load_metrics(list(snakemake.input))
    save_metrics(snakemake.output[0], metrics)
    for line in (m for m in metrics if m["verdict"] == "beyond"):
        shown = line["value"] if line["ratio"] is None else line["ratio"]
        print(f"beyond its goal: {line['metric']}: {shown:.3g} (goal {line['goal']})")
    log.info("%d measures", len(metrics))
