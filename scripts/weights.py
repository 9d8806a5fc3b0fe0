"""Effect weights of every trait: learnt on the founders, from given scoring files, or both."""

import json

import pandas as pd

from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.files import atomic, read_seed
from pseudocohort.genetics.cohorts import rows_of, traits_of
from pseudocohort.job import logged
from pseudocohort.scores.given_scores import add_given, load_given, training_scores, weights_alone
from pseudocohort.weights.learning import learn_weights, write_weights

s, p = snakemake.input, snakemake.params
with logged(snakemake.log[0]):
    people = pd.read_parquet(s.people)
    rows = rows_of("real", people)
    dictionary, components = read_dictionary(s.dictionary), pd.read_parquet(s.components)
    traits = traits_of(pd.read_parquet(s.phenotypes), people, rows, dictionary, components)
    people = people.iloc[rows].reset_index(drop=True)
    prefixes = [f"results/real/genotypes/chr{chrom}" for chrom in p.chromosomes]
    given = load_given(p.scoring_files, prefixes, rows, p.build, p.minimum_overlap)
    weights, report, out_of_fold = {}, [], pd.DataFrame(index=people.index)
    if p.method != "pgs":
        scores = training_scores(given, prefixes, rows)
        family, unrelated = people["family"].to_numpy(), people["unrelated"].to_numpy()
        settings, seed = {"method": p.method}, read_seed(s.seed)
        weights, report, out_of_fold = learn_weights(prefixes, rows, traits, seed, settings, family, unrelated, scores)
        weights = add_given(weights, report, given)
    rest = given._replace(weights={trait: some for trait, some in given.weights.items() if trait not in weights})
    alone, entries = weights_alone(rest, prefixes, rows, traits)
    write_weights(snakemake.output.weights, weights | alone, p.build)
    with atomic(snakemake.output.out_of_fold, mode=0o600) as part:
        out_of_fold.assign(person=people["person"]).to_parquet(part, index=False)
    left_out = [{"trait": name, "reason": reason} for name, reason in traits.left_out.items()]
    told = {"traits": report + entries, "left_out": left_out, "scoring_files": given.report}
    with atomic(snakemake.output.report) as part:
        part.write_text(json.dumps(told, indent=1), encoding="utf-8")
