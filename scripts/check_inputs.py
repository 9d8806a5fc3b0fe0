"""Look at the genotypes and maps of all chromosomes, and draw the pedigree on trial, before anything is computed."""

import pandas as pd

from pseudocohort.cohort.importing import check_genotypes, check_maps
from pseudocohort.cohort.sexes import check_sex
from pseudocohort.files import atomic, read_seed
from pseudocohort.genome.founders import pedigree_of
from pseudocohort.job import logged

p = snakemake.params
with logged(snakemake.log[0]):
    ids = check_genotypes(p.source, p.chromosomes, p.build)
    check_maps(p.maps)
    people = pd.read_parquet(snakemake.input.people)
    for chrom in p.chromosomes:
        check_sex(people["sex"], chrom)
    pedigree_of(people, p.recipe, read_seed(snakemake.input.seed))
    with atomic(snakemake.output[0]) as part:
        part.write_text(f"{len(ids)} people, chromosomes {' '.join(p.chromosomes)}\n", encoding="utf-8")
