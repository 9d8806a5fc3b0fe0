"""Attack the pseudo cohort's items; write the evidence."""

import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.cohort.digests import file_sums, people_facts
from pseudocohort.disclosure.item_evidence import item_evidence
from pseudocohort.files import read_seed
from pseudocohort.job import logged
from pseudocohort.measures.line import save_lines
from pseudocohort.phenotype.bounds import log_bounds
from pseudocohort.phenotype.model_files import PhenotypeModel
from pseudocohort.phenotype.models import load_model, sample_model, train_model

given, source = snakemake.params, snakemake.input
with logged(snakemake.log[0]):
    people, items, scores, pseudo_scores, made = (
        pd.read_parquet(source[name]) for name in ("people", "real", "scores", "pseudo_scores", "pseudo")
    )
    dictionary, seed, model = read_dictionary(source.dictionary), read_seed(source.seed), load_model(source.model)
    age = None if dictionary.age is None else dictionary.age.name
    network = isinstance(model, PhenotypeModel)
    bounds = log_bounds(model, items, people, scores, age, seed) if network else None

    def draw(rows, number):
        """Pseudo people of a shadow model that was trained on some rows of the real people."""
        tables = [t.iloc[rows].reset_index(drop=True) for t in (items, people, scores)]
        shadow = train_model(given.kind, *tables, dictionary, given.network, int(counter.key(seed, "shadow", number)))
        return sample_model(shadow, pseudo_scores, made["sex"], made["stratum"], seed, calibrate=given.calibrate)

    shadows = (draw, given.unusual, given.shadow_models) if given.shadow_models else None
    lines, controls = item_evidence(
        people, items, made, dictionary, seed, targets=given.targets, bounds=bounds, shadows=shadows
    )
    save_lines(
        snakemake.output[0], lines, controls=controls, people=people_facts(people), files=file_sums([source.pseudo])
    )
