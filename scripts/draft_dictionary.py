"""Draft the dictionary from the phenotype table."""

from pseudocohort.cohort.dictionary import draft_dictionary, write_dictionary
from pseudocohort.cohort.people import read_withdrawals
from pseudocohort.cohort.phenotypes import read_items
from pseudocohort.job import logged

with logged(snakemake.log[0]) as log:
    withdrawn = snakemake.input.get("withdrawn")
    gone = read_withdrawals(withdrawn) if withdrawn else set()
    table = read_items(snakemake.params.phenotypes, snakemake.params.phenotype_id, gone)
    write_dictionary(snakemake.output[0], draft_dictionary(table))
    log.warning(
        "%s is written anew when the table changes: copy it to config/ (cp %s config/dictionary.tsv), check the rows "
        "whose note says `check` there, and name the copy in input.dictionary",
        snakemake.output[0],
        snakemake.output[0],
    )
