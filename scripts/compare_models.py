"""Judge the chosen model of the items and the compared ones by the same code."""

import pandas as pd

from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.evaluation.models import compare_models, save_comparison
from pseudocohort.files import read_seed
from pseudocohort.job import logged

s, p = snakemake.input, snakemake.params
with logged(snakemake.log[0]):
    people, real, real_scores, pseudo_scores = (
        pd.read_parquet(path) for path in (s.people, s.real, s.real_scores, s.pseudo_scores)
    )
    paths = zip(p.models, [s.pseudo, *s.get("compared", [])], strict=True)
    tables = {name: pd.read_parquet(path) for name, path in paths}
    comparison = compare_models(
        people,
        real,
        real_scores,
        tables,
        pseudo_scores,
        read_dictionary(s.dictionary),
        read_seed(s.seed),
        calibrated=tuple(p.calibrated),
        private=tuple(p.private),
        limits=p.goals,
    )
    save_comparison(snakemake.output[0], comparison)
