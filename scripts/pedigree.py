"""Draw the one pedigree, name the pseudo people, and say what drift to expect."""

import json

import pandas as pd

from pseudocohort import counter
from pseudocohort.files import atomic, read_seed
from pseudocohort.genome.drift import expectation
from pseudocohort.genome.founders import pedigree_of, pseudo_people
from pseudocohort.job import logged

with logged(snakemake.log[0]) as log:
    seed = read_seed(snakemake.input.seed)
    pedigree = pedigree_of(pd.read_parquet(snakemake.input.people), snakemake.params.recipe, seed)
    log.info("%d strata, people by generation %s", len(pedigree.strata), [len(s) for s in pedigree.sex])
    drift = expectation(pedigree, counter.generator(seed, "gene dropping"))
    with atomic(snakemake.output.people) as people, atomic(snakemake.output.drift) as part:
        pseudo_people(pedigree).to_parquet(people, index=False)
        part.write_text(json.dumps(drift._asdict()))
