"""List every artefact with its checksum and the digest of the people it was made from."""

import pandas as pd

from pseudocohort.cohort.people import read_withdrawals
from pseudocohort.job import logged
from pseudocohort.release.audit import write_audit

with logged(snakemake.log[0]) as log:
    withdrawn = snakemake.input.get("withdrawn")
    found = write_audit(
        snakemake.output[0],
        "results",
        pd.read_parquet(snakemake.input.people),
        len(read_withdrawals(withdrawn)) if withdrawn else 0,
    )
    log.info("%d artefacts of people %s", len(found["artefacts"]), found["people"]["digest"][:8])
    for secret in found["secret"]:
        log.info("secret, mode %s: %s", secret["mode"], secret["path"])
    if found["others"]:
        log.warning(
            "%d files under results/ that the workflow has not made: see results/audit.json", len(found["others"])
        )
