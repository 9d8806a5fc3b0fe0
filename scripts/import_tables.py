"""Write the people, their items, the dictionary and the report of counts."""

import json

from pseudocohort.cohort.dictionary import write_dictionary
from pseudocohort.cohort.importing import import_tables
from pseudocohort.cohort.variants import genotype_people
from pseudocohort.files import atomic, read_seed
from pseudocohort.job import logged

p = snakemake.params
with logged(snakemake.log[0]):
    people, phenotypes, dictionary, report = import_tables(
        genotype_people(snakemake.input.genotypes),
        p.samples,
        p.sample_columns,
        p.phenotypes,
        p.phenotype_id,
        p.dictionary,
        snakemake.input.get("withdrawn"),
        unmatched=p.unmatched,
        holdout=p.holdout,
        seed=read_seed(snakemake.input.seed),
        level=p.level,
    )
    for table, path in ((people, snakemake.output.people), (phenotypes, snakemake.output.phenotypes)):
        with atomic(path) as part:
            table.to_parquet(part, index=False)
    write_dictionary(snakemake.output.dictionary, dictionary)
    with atomic(snakemake.output.report) as part:
        part.write_text(json.dumps(report, indent=1), encoding="utf-8")
