"""Compare a release folder with its checksums and with the people of today; refuse links and what is not its own."""

from pathlib import Path

from pseudocohort.errors import InputError
from pseudocohort.job import logged
from pseudocohort.release.current import outdated
from pseudocohort.release.files import verify

with logged(snakemake.log[0]) as log:
    given = snakemake.params
    number = verify(given.folder)
    if not Path(given.people).exists():
        log.warning("no %s here: not compared with the people and their withdrawals", given.people)
    elif why := outdated(given.folder, given.people, given.withdrawn):
        raise InputError(
            f"{given.folder} is out of date: {why}",
            where=given.folder,
            expected="a release of the people who are in the cohort today",
            remedy=f"make it anew (snakemake --cores all {given.folder}) or delete it, and tell those who have a copy",
        )
    print(f"{given.folder}: {number} files as released")
