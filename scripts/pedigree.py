"""Draw the one pedigree, name the pseudo people, and say what drift to expect."""

import json

import pandas as pd

from pseudocohort import counter
from pseudocohort.files import atomic, read_seed
from pseudocohort.genome.drift import expectation
from pseudocohort.genome.founders import founders_of, pseudo_people
from pseudocohort.genome.pedigree import make_pedigree, save_pedigree
from pseudocohort.job import logged

p = snakemake.params
with logged(snakemake.log[0]) as log:
    founders = founders_of(pd.read_parquet(snakemake.input.people), p.founders)
    count, seed = len(founders.rows), read_seed(snakemake.input.seed)
    pedigree = make_pedigree(
        founders, p.people or count, p.generations, p.mating, seed, p.population, p.avoid_kin, p.migration
    )
    log.info(
        "%d founders (%s) in %d strata, people by generation %s",
        count,
        p.founders,
        len(founders.strata),
        [len(s) for s in pedigree.sex],
    )
    save_pedigree(snakemake.output.pedigree, pedigree)
    with atomic(snakemake.output.people) as part:
        pseudo_people(pedigree).to_parquet(part, index=False)
    drift = expectation(pedigree, counter.generator(seed, "gene dropping"))
    with atomic(snakemake.output.drift) as part:
        part.write_text(json.dumps(drift._asdict()))
