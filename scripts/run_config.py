"""Write the resolved configuration and the versions, without seed and without paths of this machine."""

import yaml

from pseudocohort.files import atomic
from pseudocohort.job import logged
from pseudocohort.provenance import versions

with logged(snakemake.log[0]), atomic(snakemake.output[0]) as part:
    text = {"config": snakemake.params.config, "versions": versions()}
    part.write_text(yaml.safe_dump(text, sort_keys=False), encoding="utf-8")
