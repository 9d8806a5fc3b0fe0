"""Diversity of haplotypes in short windows of common sites."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pseudocohort.evaluation.linkage import GROUPS
from pseudocohort.evaluation.resampling import Split, blocks, gaps_measure, interval, resampled, split_gaps
from pseudocohort.measures.line import measure

SITES = 8  # of a window, so that a haplotype is one byte
LONGEST = 0.5  # cM; windows that are longer lie across a gap of the sample
DRAWN = 2000  # windows of the figure, at most


class Windows(NamedTuple):
    """at: (windows,) cM.  diversity: (windows, 4) haplotype heterozygosity in GROUPS.  gaps: (windows, 3) as
    split_gaps gives them.  people: in a half of the holdout."""

    at: np.ndarray
    diversity: np.ndarray
    gaps: np.ndarray
    people: int


def haplotype_windows(cm: np.ndarray, alleles: dict[str, np.ndarray], splits: list[Split], people: int) -> Windows:
    """Haplotype heterozygosity in windows of SITES consecutive sites.

    cm: (sites,) increasing.  alleles: (sites, haplotypes) 0/1 by group of GROUPS.
    """
    start = SITES * np.arange(len(cm) // SITES)
    start = start[cm[start + SITES - 1] - cm[start] <= LONGEST]
    if not len(start):
        return Windows(np.empty(0), np.empty((0, 4)), np.empty((0, 3)), people)
    rows = start[:, None] + np.arange(SITES)
    kinds = {k: np.packbits(alleles[k][rows], axis=1)[:, 0] for k in GROUPS}

    def statistic(group: str, columns: np.ndarray) -> np.ndarray:
        return diversity(kinds[group][:, columns])

    table = np.column_stack([diversity(kinds[k]) for k in GROUPS])
    return Windows(cm[start], table, split_gaps(statistic, splits, len(start)), people)


def diversity(kinds: np.ndarray) -> np.ndarray:
    """Haplotype heterozygosity n / (n - 1) (1 - sum of squared frequencies) (Nei and Tajima 1981).

    kinds: (windows, haplotypes) uint8, equal for equal haplotypes.  Returns (windows,).
    """
    windows, n = kinds.shape
    counts = np.bincount((kinds + 256 * np.arange(windows)[:, None]).ravel(), minlength=256 * windows)
    return n / (n - 1) * (1 - (counts.reshape(windows, 256) ** 2).sum(axis=1) / n**2)


def diversity_metrics(
    found: Sequence[Windows], drift: float, rng: np.random.Generator
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Mean haplotype heterozygosity against theory, and R of its differences window by window.

    Drift takes the share `drift` of the founders' heterozygosity, whatever the number of alleles; crossovers within
    windows give a little back.
    """
    at = [w.at for w in found]
    if not sum(map(len, at)):
        return [], {}
    table, gaps = (np.concatenate([w[i] for w in found]) for i in (1, 2))
    block, people = blocks(at), min(w.people for w in found)
    train, held, made, unlinked = table.mean(axis=0)
    theory = train * (1 - drift)
    draws = resampled(block, table, rng)
    lines = [
        measure(
            "haplotype_heterozygosity",
            made,
            floor=held,
            ratio=made / theory,
            interval=interval(draws[:, 2] / (draws[:, 0] * (1 - drift))),
            baseline=unlinked / theory,
            theory=theory,
            windows=len(table),
        ),
        gaps_measure("haplotype_windows", gaps, block, people, rng, windows=len(table)),
    ]
    shown = np.sort(rng.permutation(len(table))[:DRAWN])
    return lines, {"haplotypes/diversity": np.round(table[shown], 2).astype(np.float32)}
