"""Draft the dictionary from the phenotype table."""

from pseudocohort.cohort.dictionary import draft_dictionary, write_dictionary
from pseudocohort.cohort.phenotypes import read_items
from pseudocohort.job import logged

with logged(snakemake.log[0]):
    table = read_items(snakemake.input.phenotypes, snakemake.params.phenotype_id)
    write_dictionary(snakemake.output[0], draft_dictionary(table))
