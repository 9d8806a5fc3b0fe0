"""Ancestry: do pseudo people lie on principal axes as real people do, and where people of their stratum do?

Pseudo people descend from the founders, and lie further out than strangers on axes that were fitted on these. So the
axes are fitted on one half of the holdout, and pseudo people are compared with the other half: both are strangers.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.evaluation.divergence import ALIKE, ONE
from pseudocohort.evaluation.metrics import (
    FOLDS,
    HOLDOUT,
    Comparison,
    compared,
    draws,
    folds,
    judged,
    ks_distance,
    real_halves,
    resample_families,
    shifted,
)
from pseudocohort.evaluation.real_cells import hidden_cells
from pseudocohort.evaluation.sites import Sample
from pseudocohort.evaluation.structure import fitted
from pseudocohort.measures.line import measure

RESAMPLES = 200
FEWEST = 10  # people in a half, and of a stratum in a half


class Projected(NamedTuple):
    """Axes fitted on one half of the holdout: its people (n, axes), the other half's (m, axes), pseudo people's
    (p, axes), and those of unlinked genomes, the naive method: every site's column of the pseudo people shuffled over
    them; all in standard deviations of the first.  first, second: their row numbers in the table of people.
    sites: number used."""

    base: np.ndarray
    held: np.ndarray
    made: np.ndarray
    naive: np.ndarray
    first: np.ndarray
    second: np.ndarray
    sites: int


def ancestry_metrics(
    samples: Sequence[Sample], people: pd.DataFrame, pseudo_people: pd.DataFrame, rng: np.random.Generator
) -> tuple[list[dict], dict]:
    """Lines of the positions on the axes, by axis and by stratum, and shares of people by nearest stratum."""
    both = projections(samples, people, rng)
    if not both:
        return [], {}
    of = pseudo_people["stratum"].to_numpy(dtype=str)[samples[0].structure_rows[1]]
    lines, arrays = strata_metrics(both, people, of, rng)
    return position_metrics(both, people["family"].to_numpy(dtype=str), rng) + lines, arrays


def projections(samples: Sequence[Sample], people: pd.DataFrame, rng: np.random.Generator) -> list[Projected]:
    """On axes fitted on A, then on B; empty of fewer than FEWEST people in a half."""
    real, pseudo = (np.concatenate([getattr(s, f"structure_{k}") for s in samples]) for k in ("real", "pseudo"))
    rows = samples[0].structure_rows[0]
    part = people["part"].to_numpy(dtype=str)[rows]
    halves = [np.flatnonzero(part == half) for half in HOLDOUT]
    if min(map(len, halves)) < FEWEST:
        return []
    found, naive = [], rng.permuted(pseudo, axis=1)
    for first, second in (halves, halves[::-1]):
        project, _, sites = fitted(real[:, first], rng)
        places = [project(x) for x in (real[:, first], real[:, second], pseudo, naive)]
        found.append(Projected(*(x / places[0].std(axis=0) for x in places), rows[first], rows[second], sites))
    return found


def position_metrics(both: Sequence[Projected], family: np.ndarray, rng: np.random.Generator) -> list[dict]:
    """Mean Kolmogorov-Smirnov distance along the axes: of pseudo people, and of strangers, to other strangers."""

    def distances(p: Projected, points: np.ndarray, left_out: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        relatives = family[p.second]
        halves = real_halves(relatives, np.full(len(relatives), "A"), rng, parts=("A", "A"))
        for d in draws(halves, folds(relatives, len(points), rng), rng, left_out):
            yield d.fold, _along(points[d.drawn], p.held[d.first]), _along(p.held[d.second], p.held[d.first])

    def comparison(name: str, left_out: int) -> Comparison:
        pairs = (
            (a[0], np.concatenate([a[1], b[1]]), np.concatenate([a[2], b[2]]))
            for a, b in zip(*(distances(p, getattr(p, name), left_out) for p in both), strict=False)
        )
        return judged(pairs, np.nanmean, min(len(p.second) for p in both))

    more = {"axes": both[0].base.shape[1], "sites": min(p.sites for p in both)}
    return [compared("ancestry", comparison("made", FOLDS), baseline=comparison("naive", 0).ratio, **more)]


def _along(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.array([ks_distance(x[:, k], y[:, k]) for k in range(x.shape[1])])


def strata_metrics(
    both: Sequence[Projected], people: pd.DataFrame, of: np.ndarray, rng: np.random.Generator
) -> tuple[list[dict], dict]:
    """Nearest stratum, variance between strata, spread within them: mean over the axes fitted on A and on B.

    of: strata (p,) of the pseudo people.  Strata with fewer than FEWEST people in a half are left out. Intervals:
    families of the holdout and pseudo people drawn with replacement.
    """
    stratum, family = (people[c].to_numpy(dtype=str) for c in ("stratum", "family"))
    names = [n for n in np.unique(of) if min((stratum[p.second] == n).sum() for p in both) >= FEWEST]
    kept = np.flatnonzero(np.isin(of, names))
    if not names or len(kept) < FEWEST:
        return [], {}
    made_code = np.searchsorted(names, of[kept])
    again = rng.integers(len(kept), size=(RESAMPLES, len(kept)))
    found, naive, drawn, counts = [], [], [], np.zeros((2, len(names), len(names)))
    for p in both:
        first, second = (np.flatnonzero(np.isin(stratum[rows], names)) for rows in (p.first, p.second))
        code, held_code = (np.searchsorted(names, stratum[r]) for r in (p.first[first], p.second[second]))
        centres = _means(p.base[first], code, len(names))
        sides = ((p.held[second], held_code), (p.made[kept], made_code))
        some = [resample_families(np.arange(len(second)), family[p.second[second]], rng) for _ in range(RESAMPLES)]
        found.append([statistics(*side, centres) for side in sides])
        naive.append(statistics(p.naive[kept], made_code, centres))
        drawn.append(
            [[statistics(x[r], c[r], centres) for r in rows] for (x, c), rows in zip(sides, (some, again), strict=True)]
        )
        for table, (points, own) in zip(counts, sides, strict=True):
            np.add.at(table, (own, nearest(points, centres)), 1)
    means = (np.mean(x, axis=0) for x in (found, drawn, naive))
    lines = _lines(*means, len(names), min(len(p.second) for p in both))
    return lines, confusions(names, *counts) if len(names) > 1 else {}


def nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The nearest centre of every point: (n, axes), (strata, axes) -> (n,)."""
    return np.argmin(((points[:, None] - centres) ** 2).sum(axis=2), axis=1)


def statistics(points: np.ndarray, code: np.ndarray, centres: np.ndarray) -> tuple[float, float, float]:
    """Share of people nearest to their own stratum's centre; share of the variance that is between strata, without
    what chance puts there (adjusted R^2); mean variance within strata.  points: (n, axes); code: (n,) number of the
    stratum."""
    n, k = len(points), len(centres)
    within = points - _means(points, code, k)[code]
    total = ((points - points.mean(axis=0)) ** 2).sum()
    own = (nearest(points, centres) == code).mean()
    between = 1 - ((within**2).sum() / max(n - k, 1)) / (total / (n - 1))
    return float(own), float(between), float((within**2).mean())


def confusions(names: list[str], real: np.ndarray, made: np.ndarray) -> dict:
    """Shares of each stratum's people by nearest stratum, from counts (strata, strata).

    NaN instead of fewer than MINIMUM_PEOPLE real people, and of as many others of the row as `hidden_cells` tells.
    """
    shares = [table / np.maximum(table.sum(axis=1, keepdims=True), 1) for table in (real, made)]
    few = np.array([hidden_cells(row) for row in real])
    return {
        "confusion/strata": list(names),
        "confusion/holdout": np.where(few, np.nan, shares[0]),
        "confusion/pseudo": shares[1],
    }


def _means(points: np.ndarray, code: np.ndarray, strata: int) -> np.ndarray:
    size = np.maximum(np.bincount(code, minlength=strata), 1)
    return np.column_stack([np.bincount(code, x, strata) for x in points.T]) / size[:, None]


def _lines(found: np.ndarray, draws: np.ndarray, naive: np.ndarray, strata: int, people: int) -> list[dict]:
    """found: (2, 3) statistics of holdout and pseudo people; draws: (2, RESAMPLES, 3); naive: (3,), of unlinked
    genomes.  Drawing people again moves the share between strata up: the interval is moved back, on the log scale."""
    (real, made), more = found, {"people": people, "strata": strata}
    one = ONE if strata == 1 else None
    error = np.sqrt(draws[:, :, 0].var(axis=1).sum())
    ends = np.quantile(draws[1, :, 0], [0.025, 0.975])
    numbers = {"floor": real[0], "z": (made[0] - real[0]) / error if error else None, "interval": ends}
    lines = [measure("ancestry_nearest", made[0], **numbers, baseline=naive[0], reason=one, **more)]
    for i, key in ((1, "ancestry_between"), (2, "ancestry_within")):
        reason = one if i == 1 else None
        if i == 1 and one is None and np.quantile(draws[0, :, 1], 0.025) <= 0:
            reason = ALIKE
        numbers = {"floor": real[i]}
        if reason is None:
            with np.errstate(all="ignore"):
                logs = np.log(draws[1, :, i] / draws[0, :, i])
            ends = np.exp(shifted(float(np.log(made[i] / real[i])), logs)) if made[i] > 0 < real[i] else None
            numbers |= {"ratio": made[i] / real[i], "interval": ends, "baseline": naive[i] / real[i]}
        lines.append(measure(key, made[i], **numbers, reason=reason, **more))
    return lines
