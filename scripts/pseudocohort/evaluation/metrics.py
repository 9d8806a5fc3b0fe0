"""The noise floor that stands beside each distance.

A distance between pseudo and real people is judged against the same distance between two disjoint real
halves A and B of the holdout, at equal numbers of people:  R = D(pseudo, A) / D(B, A).
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from pseudocohort.measures.line import measure

HOLDOUT = ("A", "B")  # parts; people whose part is neither of these nor train are of neither group
SPLITS = 10
RESAMPLES = 100
FOLDS, JACKKNIFED = 20, 10  # groups of people that are left out in turn, and the splits in which they are
MOST_PARTS = 2000  # components with intervals of their own
MINIMUM_PEOPLE = 5  # no count, bin or mean of fewer real people is ever written for a figure


class Comparison(NamedTuple):
    """value, floor: mean distances over the splits; ratio = value / floor with its interval (low, high);
    by_part: the ratio of every component, as items (k,), with intervals (k, 2); parts: (2, k) the mean distances of
    the components, pseudo and floor; people: in a half; sets: the same of sets of components, by name; size: how many
    components have both distances."""

    value: float
    floor: float
    ratio: float
    interval: tuple[float, float]
    by_part: np.ndarray
    intervals: np.ndarray = np.empty((0, 2))
    parts: np.ndarray = np.empty((2, 0))
    people: int | None = None
    sets: Mapping[str, "Comparison"] = MappingProxyType({})
    size: int = 0


class Draw(NamedTuple):
    """Rows of two disjoint real halves, and of as many pseudo people as the second has.

    fold: -1 for a split itself, else the group of families and of pseudo people that is left out."""

    fold: int
    first: np.ndarray
    second: np.ndarray
    drawn: np.ndarray


def compared(key: str, result: Comparison, **more) -> dict:
    """The `measure` of a Comparison."""
    numbers = {"floor": result.floor, "ratio": result.ratio, "interval": result.interval, "people": result.people}
    return measure(key, result.value, **numbers, **more)


def by_group(key: str, result: Comparison) -> list[dict]:
    """A line for every set, as groups of items, that the Comparison was made with, see `judged`."""
    return [compared(key, part, subject=name, n=part.size) for name, part in result.sets.items() if part.size]


def real_halves(
    family: np.ndarray,
    part: np.ndarray,
    rng: np.random.Generator,
    draws: int = SPLITS,
    parts: tuple[str, str] = ("A", "B"),
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Row numbers of two disjoint real halves: first the given ones, then random splits of both by family.

    family, part: (n,).  A split never parts a family.  parts: labels of the halves, or twice the same label
    to split the people of one part (then all splits are random).
    """
    family, part = np.asarray(family), np.asarray(part)
    pool = np.flatnonzero(np.isin(part, parts))
    names, codes = np.unique(family[pool], return_inverse=True)
    given = parts[0] != parts[1] and (part == parts[0]).any() and (part == parts[1]).any()
    halves = [(np.flatnonzero(part == parts[0]), np.flatnonzero(part == parts[1]))] if given else []
    while len(halves) < draws and len(names) > 1:
        order = rng.permutation(len(names))
        sizes = np.cumsum(np.bincount(codes)[order])
        first = np.isin(codes, order[sizes <= max(len(pool) / 2, sizes[0])])
        halves.append((pool[first], pool[~first]))
    return halves


def folds(family: np.ndarray, pseudo: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Groups of the jackknife, 0 to FOLDS - 1: of the real people (n,), whole families, and of the pseudo people."""
    names, code = np.unique(family, return_inverse=True)
    return (rng.permutation(len(names)) % FOLDS)[code], rng.permutation(pseudo) % FOLDS


def draws(halves: list, groups: tuple[np.ndarray, np.ndarray], rng: np.random.Generator, left_out: int) -> list[Draw]:
    """The splits with matched numbers of pseudo people; then the first of them without each of `left_out` groups.

    groups: as `folds` gives them.
    """
    real, pseudo = groups
    halves = [(a, b) for a, b in halves if min(len(a), len(b), len(pseudo)) > 1]
    exact = [Draw(-1, first, *_matched(second, len(pseudo), rng)) for first, second in halves]
    some = [
        Draw(f, d.first[real[d.first] != f], d.second[real[d.second] != f], d.drawn[pseudo[d.drawn] != f])
        for f in range(left_out)
        for d in exact[:JACKKNIFED]
    ]
    return exact + [d for d in some if min(map(len, d[1:])) > 1]


def judged(
    distances: Iterable[tuple[int, np.ndarray, np.ndarray]],
    total,
    people: int,
    sets: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> Comparison:
    """The Comparison of (fold, D(pseudo, A) (k,), D(B, A) (k,)), one for every Draw.

    people: in a half.  sets: name -> components, which get a Comparison of their own.  The interval is a jackknife's
    on log R: a group of families and pseudo people is left out of all sides at once. (A bootstrap adds its own noise
    to small distances, and pulls their ratio towards 1.)
    """
    resolution = 0.5 / max(people, 1)  # a floor of nothing is no smaller than half a person
    chosen = [slice(None), *sets.values()]
    first, count = len(chosen), 0  # rows of sums: all components, the sets, then the components one by one
    without: dict[int, list[np.ndarray]] = {}
    for fold, made, held in distances:
        count = len(made)
        parts = [made, held] if fold < 0 or count <= MOST_PARTS else np.empty((2, 0))
        sums = [[_total(total, side[use]) for use in chosen] for side in (made, held)]
        without.setdefault(fold, []).append(np.hstack([sums, parts]))
    if -1 not in without:
        return Comparison(np.nan, np.nan, np.nan, (np.nan, np.nan), np.array([]), people=people)
    means = _mean_sides(without.pop(-1))
    ratios = np.array([_ratios(_mean_sides(sides), resolution) for sides in without.values()])
    ratio = _ratios(means, resolution)
    intervals = np.array([jackknifed(r, q, np.log, np.exp) for r, q in zip(ratio, ratios.T, strict=False)])
    intervals = intervals.reshape(-1, 2)
    parts, seen = means[:, first:], np.isfinite(means[:, first:]).all(axis=0)
    found = [
        Comparison(
            *(float(x) for x in (*means[:, i], ratio[i])),
            tuple(float(x) for x in intervals[i]) if len(intervals) else (np.nan, np.nan),
            np.array([]),
            people=people,
            size=int(seen[use].sum()),
        )
        for i, use in enumerate(chosen)
    ]
    return found[0]._replace(
        by_part=ratio[first:],
        intervals=intervals[first:],
        parts=parts,
        sets=dict(zip(sets, found[1:], strict=True)),
    )


def jackknifed(value: float, without: np.ndarray, to=np.asarray, back=np.asarray) -> tuple[float, float]:
    """95 % interval of a value from the same without each of g groups (g,): t of g - 1 degrees of freedom times
    sqrt((g - 1) / g sum of squares). to, back: the scale on which it is symmetric, and its inverse."""
    with np.errstate(all="ignore"):
        scaled, centre = to(np.asarray(without, dtype=float)), to(value)
    g = len(scaled)
    if g < 5 or not np.isfinite(scaled).all() or not np.isfinite(centre):
        return np.nan, np.nan
    reach = stdtrit(g - 1, 0.975) * np.sqrt((g - 1) * np.mean((scaled - scaled.mean()) ** 2))
    return float(back(centre - reach)), float(back(centre + reach))


def against_floor(
    distance: Callable[[np.ndarray, np.ndarray], np.ndarray],
    real: np.ndarray,
    pseudo: np.ndarray,
    halves: list[tuple[np.ndarray, np.ndarray]],
    family: np.ndarray,
    rng: np.random.Generator,
    total: Callable[[np.ndarray], float] = np.nanmean,
    left_out: int = FOLDS,
    sets: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> Comparison:
    """D(pseudo, A) beside D(B, A), averaged over splits of the holdout, with an interval of R.

    real: (n, ...), pseudo: (m, ...) rows of people; distance(x, y) -> (k,) components from row subsets;
    total: (k,) -> one number.  From pseudo as many rows are drawn as B has.
    The interval is a jackknife's over groups of families and of pseudo people (`judged`), none for left_out 0.
    """
    pairs = (
        (d.fold, distance(pseudo[d.drawn], real[d.first]), distance(real[d.second], real[d.first]))
        for d in draws(halves, folds(family, len(pseudo), rng), rng, left_out)
    )
    return judged(pairs, total, len(halves[0][0]) if halves else 0, sets)


def ks_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Largest difference of two empirical distribution functions (Kolmogorov-Smirnov); NaN values are left out."""
    x, y = np.sort(x[~np.isnan(x)]), np.sort(y[~np.isnan(y)])
    if min(len(x), len(y)) == 0:
        return np.nan
    points = np.concatenate([x, y])
    gap = np.searchsorted(x, points, "right") / len(x) - np.searchsorted(y, points, "right") / len(y)
    return float(np.abs(gap).max())


def tv_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Total variation distance of codes 0, 1, ...: half the sum of differences of shares; NaN values are left out."""
    x, y = x[~np.isnan(x)].astype(int), y[~np.isnan(y)].astype(int)
    if min(len(x), len(y)) == 0:
        return np.nan
    size = int(max(x.max(), y.max())) + 1
    return float(0.5 * np.abs(np.bincount(x, minlength=size) / len(x) - np.bincount(y, minlength=size) / len(y)).sum())


def root_mean(squares: np.ndarray) -> float:
    """Square root of the mean of squared differences, NaN left out."""
    return float(np.sqrt(np.nanmean(squares)))


def _total(total: Callable[[np.ndarray], float], parts: np.ndarray) -> float:
    return float(total(parts)) if np.isfinite(parts).any() else np.nan


def _ratios(sides: np.ndarray, resolution: float) -> np.ndarray:
    """value / floor of (2, k), with a floor of at least `resolution`; NaN without a floor."""
    return sides[0] / np.maximum(sides[1], resolution)


def _mean_sides(sides: list[np.ndarray]) -> np.ndarray:
    """Mean over draws of (2, k), NaN left out."""
    return np.array([_mean_rows([x[side] for x in sides]) for side in (0, 1)])


def _mean_rows(rows: list[np.ndarray]) -> np.ndarray:
    """Mean over rows (r, k) -> (k,), NaN left out and kept where all are."""
    table = np.array(rows, dtype=float)
    seen = np.isfinite(table)
    with np.errstate(invalid="ignore"):
        return np.where(seen, table, 0).sum(axis=0) / np.where(seen.any(axis=0), seen.sum(axis=0), np.nan)


def _matched(rows: np.ndarray, available: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Equal numbers of rows and of pseudo people, without replacement."""
    size = min(len(rows), available)
    return rng.permutation(rows)[:size], rng.permutation(available)[:size]


def resample_families(
    rows: np.ndarray, family: np.ndarray, rng: np.random.Generator, count: int | None = None
) -> np.ndarray:
    """Rows of `count` families drawn with replacement, by default as many as there are."""
    codes = np.unique(np.asarray(family)[rows], return_inverse=True)[1]
    order = rows[np.argsort(codes, kind="stable")]
    sizes = np.bincount(codes)
    start = np.concatenate([[0], np.cumsum(sizes)])
    drawn = rng.integers(len(sizes), size=len(sizes) if count is None else count)
    offset = np.arange(sizes[drawn].sum()) - np.repeat(np.cumsum(sizes[drawn]) - sizes[drawn], sizes[drawn])
    return order[np.repeat(start[drawn], sizes[drawn]) + offset]


def family_weights(family: np.ndarray, rng: np.random.Generator, resamples: int) -> np.ndarray:
    """How often each person is drawn when families are drawn with replacement: (resamples, n) float64."""
    codes = np.unique(family, return_inverse=True)[1]
    count = int(codes.max()) + 1
    return rng.multinomial(count, np.full(count, 1 / count), size=resamples)[:, codes].astype(float)


def shifted(value: float, resampled: np.ndarray) -> tuple[float, float]:
    """Interval of a value whose resampled copies (r,) may be off centre: value + q - median(q)."""
    resampled = np.asarray(resampled)[np.isfinite(resampled)]
    if len(resampled) < 20 or not np.isfinite(value):
        return np.nan, np.nan
    low, middle, high = np.quantile(resampled, [0.025, 0.5, 0.975])
    return float(value + low - middle), float(value + high - middle)
