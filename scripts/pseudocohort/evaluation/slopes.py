"""How strongly pseudo people have what real people have: one slope of many estimates on their true values.

The true values are not known, only estimates in real samples, and a plain regression on these is below 1 even for a
perfect copy: pairs chosen because their estimate is large are overestimated (winner's curse), and errors in the
regressor weaken a slope. With two real halves A and B and pseudo estimates p made without either, A is an instrument:

    slope = sum(p A) / sum(B A)  over the entries with |A| > least,

whose numerator and denominator share A and its noise, which is independent of p and of B. Expectation 1 for every
table whose estimates have the expectation of real ones, whatever its own noise, and f for one that shrinks all by f.
Both halves are the instrument in turn, and the sums go over all splits before they are divided.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from pseudocohort.evaluation.metrics import FOLDS, Comparison, draws, folds, jackknifed, judged, root_mean


class Estimates(NamedTuple):
    """Estimates (k,) of the same k numbers, NaN where there is none: in real halves A and B, in as many pseudo
    people as B has (matched), in all pseudo people, and in real people of neither half (third). fold: see Draw."""

    fold: int
    first: np.ndarray
    second: np.ndarray
    matched: np.ndarray
    pseudo: np.ndarray
    third: np.ndarray


def estimated(
    statistic: Callable[[np.ndarray], np.ndarray],
    real: np.ndarray,
    pseudo: np.ndarray,
    train: np.ndarray,
    halves: list,
    family: np.ndarray,
    rng: np.random.Generator,
    inherited: bool = True,
    left_out: int = FOLDS,
) -> list[Estimates]:
    """Estimates of every Draw. statistic: rows -> (k,); real (n, ...), pseudo (m, ...); train: (n,) bool, the third.

    Where a group is left out, it is of the pseudo people, too, and if inherited, their estimate moves as that of the
    train people without the group: any faithful model hands on the errors of those it has learnt from.
    """
    groups = folds(family, len(pseudo), rng)
    whole, third = statistic(pseudo), statistic(real[train])
    left = {}
    for f in range(left_out):
        left[f] = statistic(pseudo[groups[1] != f])
        if inherited:
            left[f] = left[f] + statistic(real[train & (groups[0] != f)]) - third
    out = []
    for d in draws(halves, groups, rng, left_out):
        a, b, p = statistic(real[d.first]), statistic(real[d.second]), statistic(pseudo[d.drawn])
        out.append(Estimates(d.fold, *(x.astype(np.float32) for x in (a, b, p, left.get(d.fold, whole), third))))
    return out


def squares(estimates: list[Estimates], people: int, sets: Mapping[str, np.ndarray] | None = None) -> Comparison:
    """R of the root mean squared difference of matched pseudo and half A; people: in a half; sets: see `judged`."""
    pairs = ((e.fold, (e.matched - e.first) ** 2, (e.second - e.first) ** 2) for e in estimates)
    return judged(pairs, root_mean, people, sets or {})


class Slope(NamedTuple):
    """Slope of the pseudo estimates with its interval, and of real people of neither half (the floor)."""

    value: float
    interval: tuple[float, float]
    floor: float


def instrumented(estimates: Iterable[Estimates], least: float, use: np.ndarray | slice = slice(None)) -> Slope:
    """The slope of this module's formula over the entries `use`; NaN where no entry passes.

    The interval is a jackknife's over the groups of people that are left out.
    """
    totals: dict[int, np.ndarray] = {}
    for e in estimates:
        a, b, p, t = (np.asarray(x, dtype=float)[use] for x in (e.first, e.second, e.pseudo, e.third))
        known = np.isfinite(a) & np.isfinite(b) & np.isfinite(p) & np.isfinite(t)
        for instrument, other in ((a, b), (b, a)):
            seen = known & (np.abs(instrument) > least)
            z = instrument[seen]
            totals[e.fold] = totals.get(e.fold, 0.0) + np.array([z @ p[seen], z @ other[seen], z @ t[seen]])
    exact = totals.pop(-1, np.zeros(3))
    if not exact[1] > 0:
        return Slope(np.nan, (np.nan, np.nan), np.nan)
    value, floor = exact[[0, 2]] / exact[1]
    without = np.array([made / held if held > 0 else np.nan for made, held, _ in totals.values()])
    return Slope(float(value), jackknifed(value, without), float(floor))


def through_origin(reference: np.ndarray, values: np.ndarray) -> float:
    """Slope of values on reference without intercept, for values that were made from this very reference."""
    use = np.isfinite(reference) & np.isfinite(values)
    square = reference[use] @ reference[use]
    return float((reference[use] @ values[use]) / square) if square > 0 else np.nan
