"""Scores learnt by clumping and thresholding on pseudo people and on founders, tested in the real holdout."""

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.cohort.digests import people_facts
from pseudocohort.evaluation.association_results import read_leads
from pseudocohort.evaluation.metrics import folds
from pseudocohort.evaluation.prs import LEARNT, per_trait, prs_lines, weights_of, worth
from pseudocohort.files import read_seed
from pseudocohort.genetics.cohorts import rows_of, traits_of
from pseudocohort.job import logged
from pseudocohort.measures.line import save_lines
from pseudocohort.scores.scoring import score_weights

source = snakemake.input
with logged(snakemake.log[0]):
    people = pd.read_parquet(source.people)
    rows, dictionary = rows_of("holdout", people), read_dictionary(source.dictionary)
    components = pd.read_parquet(source.components)
    traits = traits_of(pd.read_parquet(source.phenotypes), people, rows, dictionary, components)
    prefixes = [f"results/real/genotypes/chr{chrom}" for chrom in snakemake.params.chromosomes]
    scores, sites = {}, np.zeros((2, len(traits.names)), dtype=int)
    for i, cohort in enumerate(LEARNT):
        leads = read_leads(source[cohort])
        weights = [weights_of(leads, name) for name in traits.names]
        sites[i] = [len(w.values) for w in weights]
        scores[cohort] = score_weights(prefixes, rows, weights)
    rng = counter.generator(read_seed(source.seed), "evaluate scores")
    found = worth(traits, scores, sites, folds(people["family"].to_numpy()[rows], 0, rng)[0])
    save_lines(snakemake.output[0], prs_lines(found), traits=per_trait(found), people=people_facts(people))
