"""Ask whether the evidence is complete; write the answer, and a page that says what is missing or falls short."""

import pandas as pd

from pseudocohort.cohort.people import read_withdrawals
from pseudocohort.files import atomic
from pseudocohort.job import logged
from pseudocohort.measures.line import save_evidence
from pseudocohort.release.contents import released_files
from pseudocohort.release.documents import gate_text, page
from pseudocohort.release.gate import EVIDENCE, ask
from pseudocohort.release.sought import real_ids

with logged(snakemake.log[0]) as log:
    given, withdrawn = snakemake.params, snakemake.input.get("withdrawn")
    answer = ask(
        "results",
        released_files("results", given.chromosomes, EVIDENCE),
        pd.read_parquet(snakemake.input.people),
        read_withdrawals(withdrawn) if withdrawn else set(),
        real_ids(**given.inputs),
        {key: given[key] for key in ("goals", "release", "seed_is_known", "paths")},
    )
    save_evidence(snakemake.output.answer, answer)
    with atomic(snakemake.output.page) as part:
        part.write_text(page(gate_text(answer, given.language), "Gate", given.language), encoding="utf-8")
    log.info("evidence %s", "complete" if answer["complete"] else "incomplete")
