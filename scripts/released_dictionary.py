"""Write the dictionary of the pseudo cohort: the rows of its items, for those who will use them."""

from pseudocohort.cohort.dictionary import for_release, read_dictionary, write_dictionary
from pseudocohort.job import logged

with logged(snakemake.log[0]):
    write_dictionary(snakemake.output[0], for_release(read_dictionary(snakemake.input[0])))
