"""Write the pedigree, where the configuration keeps it."""

import pandas as pd

from pseudocohort.files import read_seed
from pseudocohort.genome.founders import pedigree_of
from pseudocohort.genome.pedigree import save_pedigree
from pseudocohort.job import logged

with logged(snakemake.log[0]):
    people, seed = pd.read_parquet(snakemake.input.people), read_seed(snakemake.input.seed)
    save_pedigree(snakemake.output[0], pedigree_of(people, snakemake.params.recipe, seed))
