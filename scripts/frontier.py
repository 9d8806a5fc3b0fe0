"""Compare generations and protections on one chromosome: what each costs in realism, and what it saves."""

from pathlib import Path

import pandas as pd

from pseudocohort.cohort.digests import people_facts
from pseudocohort.cohort.maps import read_map
from pseudocohort.disclosure.frontier import frontier, settings_of
from pseudocohort.files import read_seed
from pseudocohort.job import logged
from pseudocohort.measures.line import save_evidence

given, chrom = snakemake.params, snakemake.params.chrom
with logged(snakemake.log[0]):
    prefix = Path(snakemake.input.pgen).with_suffix("")
    people = pd.read_parquet(snakemake.input.people)
    found = frontier(
        prefix,
        people,
        read_map(snakemake.input.map, chrom),
        chrom,
        read_seed(snakemake.input.seed),
        settings_of(given.run, given.presets),
        given.pedigree,
        given.recombination,
        prefix.parents[1],  # results/real: what is temporary there never leaves either
    )
    save_evidence(snakemake.output[0], {"metrics": [], **found, "people": people_facts(people)})
