"""Gather the reports of the import: people, sites, what was dropped and why."""

import json
from pathlib import Path

from pseudocohort.files import atomic
from pseudocohort.job import logged

with logged(snakemake.log[0]) as log:
    tables = json.loads(Path(snakemake.input.tables).read_text(encoding="utf-8"))
    chromosomes = [json.loads(Path(path).read_text(encoding="utf-8")) for path in snakemake.input.chromosomes]
    with atomic(snakemake.output[0]) as part:
        part.write_text(json.dumps(tables | {"chromosomes": chromosomes}, indent=1), encoding="utf-8")
    log.info("%d chromosomes, %d sites kept", len(chromosomes), sum(c["sites_kept"] for c in chromosomes))
