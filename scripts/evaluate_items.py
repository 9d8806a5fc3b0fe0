"""Compare real and pseudo items, beside the baseline of independent marginals."""

import pandas as pd

from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.cohort.digests import people_facts
from pseudocohort.evaluation.findings import finding_table
from pseudocohort.evaluation.items import evaluate_items
from pseudocohort.evaluation.tables import sampled
from pseudocohort.files import atomic, number_of_rows, read_rows, read_seed
from pseudocohort.job import logged
from pseudocohort.measures.arrays import save_arrays
from pseudocohort.measures.line import save_lines

with logged(snakemake.log[0]):
    source, seed = snakemake.input, read_seed(snakemake.input.seed)
    people = pd.read_parquet(source.people)
    real, pseudo = sampled(people["part"].to_numpy(dtype=str), number_of_rows(source.pseudo), seed)
    rows = {"people": real, "real": real, "pseudo": pseudo, "baseline": pseudo, "real_scores": real,
            "pseudo_scores": pseudo}  # fmt: skip
    tables = [read_rows(source[name], some) for name, some in rows.items()]
    metrics, arrays = evaluate_items(*tables, read_dictionary(source.dictionary), seed)
    sample = {"people": len(real), "pseudo": len(pseudo)}
    save_lines(snakemake.output.metrics, metrics, people=people_facts(people), sample=sample)
    save_arrays(snakemake.output.arrays, arrays)
    for kind in ("score", "item"):
        with atomic(snakemake.output[kind]) as part:
            finding_table(arrays, kind).to_csv(part, sep="\t", index=False, float_format="%.4g")
