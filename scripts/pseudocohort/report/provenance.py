"""Where the numbers come from: what each rule took."""

import csv
from pathlib import Path


def timings(folder: str | Path) -> list[dict]:
    """Per rule, slowest first, from the benchmark files under `folder` (RULE.tsv or RULE/*.tsv):
    rule, jobs, cpu and wall in seconds summed over its jobs, peak in MB of the largest.

    They are read as they lie there: jobs of earlier runs whose results still hold are among them.
    """
    rows: dict[str, dict] = {}
    for path in sorted(Path(folder).rglob("*.tsv")):
        with path.open(encoding="utf-8", newline="") as lines:
            found = list(csv.DictReader(lines, delimiter="\t"))
        rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
        row = rows.setdefault(rule, {"rule": rule, "jobs": 0, "cpu": 0.0, "wall": 0.0, "peak": None})
        for job in found:
            row["jobs"] += 1
            row["wall"] += _number(job.get("s")) or 0.0
            row["cpu"] += _number(job.get("cpu_time")) or 0.0
            peaks = [x for x in (row["peak"], _number(job.get("max_rss"))) if x is not None]
            row["peak"] = max(peaks, default=None)
    return sorted(rows.values(), key=lambda row: (-row["wall"], row["rule"]))


def _number(text: str | None) -> float | None:
    """A cell of a benchmark file; a job that is too short has none."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
