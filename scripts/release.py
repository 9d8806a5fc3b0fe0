"""Build the release folder, behind an open gate."""

import pandas as pd

from pseudocohort.job import logged
from pseudocohort.release import gate, scan
from pseudocohort.release.bundle import build, require_open
from pseudocohort.release.contents import released_files
from pseudocohort.release.facts import gather
from pseudocohort.release.sought import real_ids

with logged(snakemake.log[0]) as log:
    given, source = snakemake.params, snakemake.input
    people = pd.read_parquet(source.people)
    answer = require_open(source.answer, source.page)
    files = released_files("results", given.chromosomes, gate.EVIDENCE)
    number = build(
        snakemake.output[0],
        source.answer,
        files,
        gather("results", answer, given.goals, given.release, people),
        scan.words_of({*people["person"].astype(str), *real_ids(**given.inputs)}),
        scan.this_machine(inputs=given.paths),
    )
    log.info("%d files", number)
    print(f"evidence complete: {snakemake.output[0]} has {number} files")
