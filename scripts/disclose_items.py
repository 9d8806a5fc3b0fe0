"""Attack the pseudo cohort's items; write the evidence."""

import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.cohort.digests import file_sums, people_facts
from pseudocohort.disclosure.item_evidence import item_evidence
from pseudocohort.disclosure.memory import overfitted
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

    tables = items, people, scores

    def of_rows(rows):
        return [table.iloc[rows].reset_index(drop=True) for table in tables]

    def likelihood(rows=None):
        """Bounds of all real people by the network, or by one that has learnt people of some rows by heart."""
        network = model if rows is None else overfitted(model, *of_rows(rows), age, seed)
        return log_bounds(network, *tables, age, seed)

    def draw(rows, number):
        """Pseudo people of a shadow model that was trained on some rows of the real people."""
        kind, settings, dp = (given.training[name] for name in ("kind", "network", "dp"))
        own = int(counter.key(seed, "shadow", number)[0])
        shadow = train_model(kind, *of_rows(rows), dictionary, settings, own, dp=dp)
        return sample_model(shadow, pseudo_scores, made["sex"], made["stratum"], seed, calibrate=given.calibrate)

    shadows = (draw, given.unusual, given.shadow_models) if given.shadow_models else None
    lines, controls = item_evidence(
        people,
        items,
        made,
        dictionary,
        seed,
        targets=given.targets,
        shadows=shadows,
        likelihood=likelihood if isinstance(model, PhenotypeModel) else None,
    )
    save_lines(
        snakemake.output[0], lines, controls=controls, people=people_facts(people), files=file_sums([source.pseudo])
    )
