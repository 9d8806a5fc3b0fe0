"""What the terminal is told at the end of a run: warnings of its jobs, and where the results are."""

import re
import sys
from pathlib import Path

MOST = 10  # warnings told
_WARNING = re.compile(r"^\s*[\d.]+s WARNING (.*)$")  # as `job.logged` writes them
CLOCKS = 2.0  # seconds by which the clock of a file system may be behind


def warnings_since(folder: str | Path, since: float) -> list[tuple[str, str]]:
    """(log's name, warning), each once, from the logs under `folder` that were written since (seconds of the epoch).

    A job writes its log anew, so that a log holds one run. Warnings hold nothing of single people.
    """
    logs = [path for path in Path(folder).rglob("*.log") if path.stat().st_mtime >= since - CLOCKS]
    found = {}
    for path in sorted(logs):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if match := _WARNING.match(line):
                found[path.relative_to(folder).as_posix(), match[1]] = None
    return list(found)


def tell_warnings(folder: str | Path, since: float) -> None:
    """Print the warnings of this run's jobs to standard error: at most MOST, then how many more there are."""
    found = warnings_since(folder, since)
    if not found:
        return
    print("\nWarnings of this run:", file=sys.stderr)
    for name, text in found[:MOST]:
        print(f"  {name}: {text}", file=sys.stderr)
    if len(found) > MOST:
        print(f"  and {len(found) - MOST} more in {folder}/", file=sys.stderr)


def tell_results(report: str | Path, chromosomes: list[str], since: float) -> None:
    """Name the results of a complete run; nothing where the report is not of this run, but older."""
    path = Path(report)
    if not path.exists() or path.stat().st_mtime < since - CLOCKS:
        return
    print(
        f"\nThe report:        {report}\n"
        "The pseudo cohort: results/synthetic/genotypes/chr{" + ",".join(chromosomes) + "}.pgen (.pvar, .psam)\n"
        "                   results/synthetic/phenotypes.tsv.gz (and .parquet)\n"
        "                   results/synthetic/scores.parquet"
    )
