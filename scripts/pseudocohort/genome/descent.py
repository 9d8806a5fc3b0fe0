"""How many founders stand behind a place of the pseudo genomes, and how long their segments are: aggregates alone.

They outlive the mosaic, which is secret and deleted.
"""

import json
from pathlib import Path

import numpy as np

from pseudocohort.files import atomic
from pseudocohort.genome.mosaic import Mosaic, founder_at

PLACES, TOGETHER = 200, 20  # places looked at in all, and at once
QUANTILES = (0.5, 0.9, 0.99)
LEAST = 500  # segments of whose lengths quantiles are told: five lie above the last of them


def descent(mosaic: Mosaic, founders: int, length_cm: float, places: int = PLACES) -> dict[str, float | None]:
    """Aggregates of a chromosome's mosaic.

    founders: people.  length_cm: of the coordinate, 0 for chromosomes that come whole.
    effective: effective number of founder haplotypes at a place, 1 / sum of their squared shares, mean over `places`
    evenly spread places; lost: share of the founder haplotypes that nobody carries at a place, mean; lost_everywhere:
    anywhere; segments: number; mean_cm: length of the segments, each counted once; covering_cm: of the segment over a
    random place; quantile_50, _90, _99: of lengths, cM, None of fewer than LEAST segments.
    """
    carried = mosaic.founder[mosaic.founder >= 0]
    effective, lost = [], []
    for some in np.array_split(np.linspace(0, 2**32, places, endpoint=False).astype(np.uint32), -(-places // TOGETHER)):
        for at in founder_at(mosaic, some):
            count = np.bincount(at[at >= 0])
            effective.append(count.sum() ** 2 / max((count.astype(float) ** 2).sum(), 1))
            lost.append(1 - np.count_nonzero(count) / (2 * founders))
    size = lengths(mosaic)[mosaic.founder >= 0] * length_cm
    told = {"effective": float(np.mean(effective)), "lost": float(np.mean(lost)), "segments": len(size)}
    told["lost_everywhere"] = float(1 - len(np.unique(carried)) / (2 * founders))
    told["mean_cm"] = float(size.mean()) if len(size) else None
    told["covering_cm"] = float((size**2).sum() / size.sum()) if size.sum() > 0 else None
    told |= {f"quantile_{100 * q:.0f}": float(np.quantile(size, q)) if len(size) >= LEAST else None for q in QUANTILES}
    return told | {"founders": founders, "length_cm": float(length_cm)}


def lengths(mosaic: Mosaic) -> np.ndarray:
    """Length of every segment as a share of the coordinate, float64 (segments,)."""
    ends = np.append(mosaic.start[1:].astype(float), 2.0**32)
    ends[mosaic.offset[1:] - 1] = 2.0**32
    return (ends - mosaic.start) / 2.0**32


def save_descent(path: str | Path, told: dict) -> None:
    """Write `descent` as JSON."""
    with atomic(path) as part:
        part.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
