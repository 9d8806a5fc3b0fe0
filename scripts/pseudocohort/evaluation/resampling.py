"""Intervals of statistics of sites: neighbouring sites are resampled together."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pseudocohort.evaluation.metrics import real_halves
from pseudocohort.measures.line import measure

BLOCK_CM = 2.0  # sites within this many cM are resampled together
RESAMPLES = 200
SPLITS = 5  # of the holdout, for statistics of sites


class Split(NamedTuple):
    """Columns of two disjoint halves of the holdout's haplotypes, and as many of the pseudo people's as the second."""

    first: np.ndarray
    second: np.ndarray
    drawn: np.ndarray


def splits_of(person: np.ndarray, part: np.ndarray, pseudo: int, rng: np.random.Generator) -> list[Split]:
    """The holdout's parts A and B, then random halves; nobody's two haplotypes are parted.

    person, part: (haplotypes,) of the holdout.  pseudo: number of pseudo haplotypes.
    """
    halves = [(a, b) for a, b in real_halves(person, part, rng, SPLITS) if min(len(a), len(b)) > 1]
    return [Split(a, b[:pseudo], np.sort(rng.permutation(pseudo)[: len(b)])) for a, b in halves]


def split_gaps(statistic: Callable[[str, np.ndarray], np.ndarray], splits: list[Split], size: int) -> np.ndarray:
    """Mean over the splits of squared differences to A: of pseudo, of B, and of unlinked genomes: (size, 3).

    statistic(group, columns) -> (size,), group holdout, pseudo or unlinked.
    """
    total = np.full((size, 3), np.nan if not splits else 0.0)
    for split in splits:
        first = statistic("holdout", split.first)
        others = (("pseudo", split.drawn), ("holdout", split.second), ("unlinked", split.drawn))
        total += np.column_stack([(statistic(*other) - first) ** 2 for other in others])
    return total / max(len(splits), 1)


def gaps_measure(
    key: str, gaps: np.ndarray, block: np.ndarray, people: int, rng: np.random.Generator, **details
) -> dict:
    """Line of R, the root of the mean of squared gaps: pseudo over floor, beside unlinked genomes where there are any.

    gaps: (k, 2 or 3) of pseudo people, of the holdout's half B, of unlinked genomes, all to A.  block: (k,) which are
    resampled together.  people: in a half of the holdout.
    """
    seen = np.isfinite(gaps).all(axis=1)
    if not seen.any():
        return measure(key, None, people=people, reason="too few people", **details)
    means = np.sqrt(gaps[seen].mean(axis=0))
    draws = resampled(block[seen], gaps[seen], rng)
    with np.errstate(all="ignore"):
        ratios, ends = means / means[1], interval(np.sqrt(draws[:, 0] / draws[:, 1]))
    numbers = {"floor": means[1], "ratio": ratios[0], "interval": ends, "people": people}
    return measure(key, means[0], **numbers, baseline=ratios[2] if len(ratios) > 2 else None, **details)


def codes(chrom: np.ndarray, window: np.ndarray) -> np.ndarray:
    """One number for every pair of chromosome and window, both (rows,) whole numbers."""
    window = (window - window.min()).astype(np.int64) if len(window) else window.astype(np.int64)
    return np.unique(chrom * (window.max(initial=0) + 1) + window, return_inverse=True)[1]


def blocks(positions: list[np.ndarray]) -> np.ndarray:
    """Number of the block of BLOCK_CM of every site; positions: cM, an array a chromosome."""
    chrom = np.concatenate([np.full(len(cm), i) for i, cm in enumerate(positions)])
    return codes(chrom, np.floor(np.concatenate(positions) / BLOCK_CM))


def resampled(block: np.ndarray, columns: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Means of the columns over blocks drawn with replacement: (RESAMPLES, columns).

    block: (rows,) numbers of blocks; a number without rows, as where only some rows are judged, is no block.
    """
    block = np.unique(block, return_inverse=True)[1]
    sizes = np.bincount(block)
    sums = np.column_stack([np.bincount(block, c) for c in columns.T])
    drawn = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=RESAMPLES)
    return (drawn @ sums) / (drawn @ sizes)[:, None]


def interval(draws: np.ndarray) -> tuple[float, float]:
    """Percentile interval, 95 %, of the finite draws; NaN of 20 or fewer."""
    draws = draws[np.isfinite(draws)]
    return tuple(np.quantile(draws, [0.025, 0.975]).tolist()) if len(draws) > 20 else (np.nan, np.nan)
