"""What may be told of counts of real people: no number of fewer than MINIMUM_PEOPLE, nor one that follows."""

from collections.abc import Callable

import numpy as np

from pseudocohort.evaluation.metrics import MINIMUM_PEOPLE

STEP = 10  # numbers of people that differ by few between tables are told in whole tens


def hidden_cells(counts: np.ndarray, nobody: bool = False) -> np.ndarray:
    """Which cells of a table of real people are not told: bool (cells,).

    counts: (cells,), or (cells, kinds) where a cell tells of several numbers of people, as of those who have something
    and who have not.  Those of fewer than MINIMUM_PEOPLE, and as many of the next smallest as it takes until the
    hidden people of every kind are MINIMUM_PEOPLE: what is hidden follows from the total and the rest. Where all of
    them are too few, everything.  nobody: whether a cell of nobody is hidden as well.
    """
    counts = np.asarray(counts, dtype=float).reshape(len(counts), -1)
    few = ((counts < MINIMUM_PEOPLE) & ((counts > 0) | nobody)).any(axis=1)
    least = counts.min(axis=1, initial=np.inf)
    while few.any() and (counts[few].sum(axis=0) < MINIMUM_PEOPLE).any():
        others = np.where(few | (counts.sum(axis=1) == 0), np.inf, least)
        if not np.isfinite(others).any():
            return np.ones(len(counts), dtype=bool)
        few[np.argmin(others)] = True
    return few


def merged_counts(
    counts: np.ndarray, width: np.ndarray | None = None, enough: Callable[[int, int], bool] | None = None
) -> np.ndarray:
    """Counts of neighbouring bins, with those of few real people spread over as many bins as it takes.

    counts: (bins,) -> float64 (bins,) of the same sum. From left to right bins are put together until they hold enough,
    the last ones with those before; each bin gets the share of such a stretch that its width (bins,) is, by default
    all alike. Bins of nobody between stretches stay. Of too few people in all nothing is told.
    enough(start, end): whether bins start ... end - 1 may be told of, by default MINIMUM_PEOPLE of the counts.
    """
    counts = np.asarray(counts, dtype=float)
    width = np.ones(len(counts)) if width is None else width
    if enough is None:

        def enough(start: int, end: int) -> bool:
            return counts[start:end].sum() >= MINIMUM_PEOPLE

    stretches: list[tuple[int, int]] = []
    start = None
    for k in np.flatnonzero(counts):
        start = int(k) if start is None else start
        if enough(start, int(k) + 1):
            stretches.append((start, int(k) + 1))
            start = None
    if start is not None and stretches:  # too few are left
        stretches.append((stretches.pop()[0], int(np.flatnonzero(counts)[-1]) + 1))
    told = np.zeros(len(counts))
    for first, end in stretches:
        told[first:end] = counts[first:end].sum() * width[first:end] / width[first:end].sum()
    return told


def whole_tens(people: np.ndarray) -> np.ndarray:
    """Numbers of real people rounded down to whole tens, so that no difference of two tells of one or a few."""
    return np.asarray(people) // STEP * STEP


def few_or_number(count: int) -> str:
    """A number of real people in words: itself, or `< 5`."""
    return f"< {MINIMUM_PEOPLE}" if 0 < count < MINIMUM_PEOPLE else str(int(count))
