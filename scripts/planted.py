"""Give strangers' health records to the genomes at random, and plant the configured genetic effects."""

import pandas as pd

from pseudocohort.cohort import planted
from pseudocohort.cohort.importing import of_chromosome
from pseudocohort.cohort.people import read_sample_sheet
from pseudocohort.cohort.variants import genotype_people
from pseudocohort.files import atomic
from pseudocohort.job import logged
from pseudocohort.scores.matching import match_score
from pseudocohort.scores.pgs_catalog import read_scoring_file

p, settings = snakemake.params, snakemake.params.planted
with logged(snakemake.log[0]) as log:
    sources = sorted({of_chromosome(p.source, chrom) for chrom in p.chromosomes})
    sheet = read_sample_sheet(snakemake.input.samples, p.sample_columns).set_index("person")
    people = [person for person in genotype_people(sources[0]) if person in sheet.index]
    table = pd.read_csv(snakemake.input.table)
    rows = planted.assign_rows(table, settings["sex_item"], sheet.loc[people, "sex"].to_numpy(), settings["seed"])
    result = table.iloc[rows].reset_index(drop=True)
    common = planted.read_common_sites(sources, people)
    log.info("%d people, %d common sites", len(people), len(common.sites))
    truth = []
    for item, effect in settings["effects"].items():
        if "score" in effect:
            score = read_scoring_file(effect["score"], p.build)
            chosen, values, _ = match_score(score, common.sites.assign(id=""), minimum_overlap=0.0)
        else:
            chosen, values = planted.choose_effects(common, effect["sites"], settings["seed"], item)
        genetic = planted.genetic_values(values, common.dosage[chosen])
        decimals = planted.decimals_of(result[item])
        result[item] = planted.plant(result[item].to_numpy(dtype=float), genetic, effect["h2"]).round(decimals)
        truth.append(planted.effects_table(item, common.sites.iloc[chosen], values, genetic.std()))
    result.insert(0, "person", people)
    for frame, path in ((result, snakemake.output.phenotypes), (pd.concat(truth), snakemake.output.effects)):
        with atomic(path) as part:
            frame.to_csv(part, sep="\t", index=False)
