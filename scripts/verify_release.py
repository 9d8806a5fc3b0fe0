"""Compare a release folder with its checksums; refuse links and files that do not belong to it."""

from pseudocohort.job import logged
from pseudocohort.release.files import verify

with logged(snakemake.log[0]):
    print(f"{snakemake.params.folder}: {verify(snakemake.params.folder)} files as released")
