"""Write the seed: the configured one, or one from the system's entropy. Readable by its owner alone."""

import secrets

from pseudocohort.files import atomic
from pseudocohort.job import logged

with logged(snakemake.log[0]):
    seed = snakemake.config["seed"]
    with atomic(snakemake.output[0], mode=0o600) as part:
        part.write_text(f"{secrets.randbits(128) if seed is None else seed}\n")
