"""Compare the associations of founders, holdout and pseudo people."""

import pandas as pd

from pseudocohort.cohort.digests import people_facts
from pseudocohort.evaluation.association_results import read_leads
from pseudocohort.evaluation.associations import COHORTS, evaluate_associations
from pseudocohort.files import read_seed
from pseudocohort.job import logged
from pseudocohort.measures.arrays import save_arrays
from pseudocohort.measures.line import save_lines

source = snakemake.input
with logged(snakemake.log[0]):
    people = pd.read_parquet(source.people)
    directories = {cohort: source[cohort] for cohort in COHORTS}
    leads = {cohort: read_leads(source[f"leads_{cohort}"]) for cohort in COHORTS}
    found = evaluate_associations(directories, leads, read_seed(source.seed))
    save_lines(snakemake.output.metrics, found.lines, traits=found.table, people=people_facts(people))
    save_arrays(snakemake.output.arrays, found.arrays)
