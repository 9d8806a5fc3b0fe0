"""Write the resolved configuration and the versions; a seed drawn from entropy is not in it."""

import yaml

from pseudocohort.files import atomic
from pseudocohort.job import logged
from pseudocohort.provenance import versions

with logged(snakemake.log[0]), atomic(snakemake.output[0]) as part:
    text = yaml.safe_dump({"config": snakemake.params.config, "versions": versions()}, sort_keys=False)
    part.write_text(text, encoding="utf-8")
