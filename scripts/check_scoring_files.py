"""Read every given scoring file for its errors, before anything is computed."""

from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.cohort.importing import check_score
from pseudocohort.job import logged
from pseudocohort.scores.pgs_catalog import read_scoring_file

p = snakemake.params
with logged(snakemake.log[0]):
    dictionary = read_dictionary(snakemake.input.dictionary)
    for item, paths in p.scoring_files.items():
        check_score(item, dictionary)
        for path in paths:
            read_scoring_file(path, p.build)
