"""Draw the one pedigree, and name the pseudo people."""

import pandas as pd

from pseudocohort.files import atomic, read_seed
from pseudocohort.genome.founders import founders_of, pseudo_people
from pseudocohort.genome.pedigree import make_pedigree, save_pedigree
from pseudocohort.job import logged

p = snakemake.params
with logged(snakemake.log[0]) as log:
    sex, stratum, strata = founders_of(pd.read_parquet(snakemake.input.people))
    pedigree = make_pedigree(
        sex, stratum, strata, p.people or len(sex), p.generations, p.mating, read_seed(snakemake.input.seed)
    )
    log.info("%d founders, people by generation %s", len(sex), [len(s) for s in pedigree.sex])
    save_pedigree(snakemake.output.pedigree, pedigree)
    with atomic(snakemake.output.people) as part:
        pseudo_people(pedigree).to_parquet(part, index=False)
