"""Aggregates that the figures of the associations are drawn from."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pseudocohort.evaluation.association_results import Results
from pseudocohort.evaluation.inflation import grown

if TYPE_CHECKING:
    from pseudocohort.evaluation.associations import Trait

POINTS = 2.0  # -log10 p above which every site is drawn
MOST_POINTS = 3000  # of the others
STRONGEST = 20_000
PICTURES = 12  # traits with a Manhattan plot of their own
QQ_POINTS = 300
COLUMNS = (
    *["lambda real", "lambda holdout", "lambda pseudo", "lambda pseudo scaled"],
    *["n real", "n holdout", "n pseudo", "hits real", "hits pseudo", "false hits"],
    *["lambda matched", "lambda permuted"],
)


def points(results: Results, cohort: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Sites for Manhattan and QQ plots: those with -log10 p above 2 (the strongest 20,000), and a fifth of the others
    (at most 3,000)."""
    values = results.log10p
    low, high = np.flatnonzero(values < POINTS), np.flatnonzero(values >= POINTS)
    if len(high) > STRONGEST:
        high = high[np.argpartition(-values[high], STRONGEST)[:STRONGEST]]
    kept = np.sort(np.concatenate([high, rng.permutation(low)[: min(len(low) // 5, MOST_POINTS)]]))
    ranked = np.sort(values)[::-1]
    rank = np.unique(np.geomspace(1, max(len(ranked), 1), QQ_POINTS).astype(int)) if len(ranked) else np.array([], int)
    return {
        f"{cohort}/chrom": results.chrom[kept],
        f"{cohort}/pos": results.pos[kept],
        f"{cohort}/log10p": values[kept].astype(np.float32),
        f"{cohort}/qq_rank": rank,
        f"{cohort}/qq": ranked[rank - 1].astype(np.float32),
        f"{cohort}/sites": np.array(len(ranked)),
    }


def keep_strongest(drawn: dict, traits: list["Trait"]) -> None:
    """Hold the points of no more traits than are drawn."""
    if len(drawn) > PICTURES:
        del drawn[min((t for t in traits if t.name in drawn), key=lambda t: t.peak).name]


def hit_arrays(hits: pd.DataFrame) -> dict[str, np.ndarray]:
    """Effects at the real hits: of all traits, in no order."""
    if not len(hits.columns):
        return {}
    numbers = [f"{c}{s}" for c in ("beta", "se", "log10p") for s in ("", "_holdout", "_synthetic", "_matched")]
    arrays = {f"hits/{c}": hits[c].to_numpy(dtype=float) for c in [*numbers, "number", "pos"]}
    place = [f"{c}:{p / 1e6:.1f} Mb" for c, p in zip(hits["chrom"], hits["pos"], strict=True)]
    return arrays | {"hits/trait": hits["trait"].tolist() or ["-"], "hits/place": place or ["-"]}


def trait_arrays(traits: list["Trait"]) -> dict[str, np.ndarray]:
    """Numbers by trait, strongest first: COLUMNS."""

    def lam(trait, cohort):
        return trait.inflation[cohort][0, 0] if cohort in trait.inflation else np.nan

    rows = [
        [
            *(lam(t, c) for c in ("real", "holdout", "synthetic")),
            grown(t, 0)[0],
            *(t.n.get(c, np.nan) for c in ("real", "holdout", "synthetic")),
            *(len(t.known), len(t.made), len(t.false["synthetic"])),
            *(lam(t, c) for c in ("matched", "permuted")),
        ]
        for t in traits
    ]
    return {
        "traits/names": [t.name for t in traits] or ["-"],
        "traits/table": np.array(rows, dtype=float).reshape(-1, len(COLUMNS)),
        "traits/columns": list(COLUMNS),
    }
