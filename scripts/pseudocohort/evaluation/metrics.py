"""One form for every number of the evaluation, and the noise floor that stands beside each distance.

A distance between pseudo and real people is judged against the same distance between two disjoint real
halves A and B of the holdout, at equal numbers of people:  R = D(pseudo, A) / D(B, A).
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from pseudocohort.files import atomic

SPLITS = 10
RESAMPLES = 100
FOLDS, JACKKNIFED = 20, 10  # groups of people that are left out in turn, and the splits in which they are
MOST_PARTS = 2000  # components with intervals of their own
REACHED = ", or its interval reaches it"
FEWEST_IN_HALF = 40  # people; of fewer, chance alone decides every verdict
TOO_FEW = "too few people"
MINIMUM_PEOPLE = 5  # no count, bin or mean of fewer real people is ever written for a figure


class Comparison(NamedTuple):
    """value, floor: mean distances over the splits; ratio = value / floor with its interval (low, high);
    by_part: the ratio of every component, as items (k,), with intervals (k, 2) of their numerators; parts: (2, k) the
    mean distances of the components, pseudo and floor; people: in a half."""

    value: float
    floor: float
    ratio: float
    interval: tuple[float, float]
    by_part: np.ndarray
    intervals: np.ndarray = np.empty((0, 2))
    parts: np.ndarray = np.empty((2, 0))
    people: int | None = None


class Draw(NamedTuple):
    """Rows of two disjoint real halves, and of as many pseudo people as the second has.

    fold: -1 for a split itself, else the group of families and of pseudo people that is left out."""

    fold: int
    first: np.ndarray
    second: np.ndarray
    drawn: np.ndarray


def metric(
    group: str,
    name: str,
    value: float,
    *,
    floor: float | None = None,
    ratio: float | None = None,
    z: float | None = None,
    interval: tuple[float, float] | None = None,
    goal: str = "",
    within: bool | None = None,
    baseline: float | None = None,
    headline: bool = False,
    note: str = "",
) -> dict:
    """One line of results/evaluation/*.json; every key is always there, None where it has no meaning.

    within: whether the written goal is met (verdict `within` or `beyond`); None for a number without a goal
    (verdict `stated`), and so is a number that could not be computed.  baseline: the value (or, where there is
    a ratio, the ratio) of the naive method.  headline: shown on the report's first screen.
    """
    computed = value is not None and np.isfinite(value)
    verdict = "stated" if within is None or not computed else "within" if within else "beyond"
    return {
        "group": group,
        "metric": name,
        "value": _number(value),
        "floor": _number(floor),
        "ratio": _number(ratio),
        "z": _number(z),
        "interval": None if interval is None else [_number(x) for x in interval],
        "goal": goal,
        "verdict": verdict,
        "baseline": _number(baseline),
        "headline": headline,
        "note": note,
    }


def compared(group: str, name: str, result: Comparison, limit: float, reached: bool = False, **more) -> dict:
    """The line of a Comparison whose goal is a ratio of at most `limit`; no verdict without a floor, see `enough`.

    reached: the goal is met where the interval reaches it, for limits so near to 1 that chance alone passes them.
    """
    ratio, low = result.ratio, result.interval[0]
    least = min(ratio, low) if reached and np.isfinite(low) else ratio
    line = metric(
        group,
        name,
        result.value,
        floor=result.floor,
        ratio=ratio,
        interval=result.interval,
        goal=f"R ≤ {limit:g}" + (REACHED if reached else ""),
        within=bool(least <= limit) if np.isfinite(ratio) else None,
        **more,
    )
    return enough(line, result.people)


def enough(line: dict, people: int | None) -> dict:
    """The line, without a verdict and with a note where a half has fewer than FEWEST_IN_HALF people (None: unknown)."""
    if people is None or people >= FEWEST_IN_HALF:
        return line
    note = line["note"] if TOO_FEW in line["note"] else "; ".join(x for x in (line["note"], TOO_FEW) if x)
    return line | {"verdict": "stated", "note": note}


def ranged(
    group: str,
    name: str,
    value: float,
    interval: tuple[float, float],
    low: float,
    high: float,
    people: int | None = None,
    **more,
) -> dict:
    """The line of a value that should lie between low and high (either may be infinite), or its interval reach them.

    people: in a half, see `enough`."""
    ends = [value, *[x for x in interval if np.isfinite(x)]]
    if np.isinf(low):
        goal = f"≤ {high:g}"
    else:
        goal = f"≥ {low:g}" if np.isinf(high) else f"{low:g} to {high:g}"
    within = bool(min(ends) <= high and max(ends) >= low)
    return enough(metric(group, name, value, interval=interval, goal=goal + REACHED, within=within, **more), people)


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


def judged(distances: Iterable[tuple[int, np.ndarray, np.ndarray]], total, people: int) -> Comparison:
    """The Comparison of (fold, D(pseudo, A) (k,), D(B, A) (k,)), one for every Draw.

    people: in a half.  The interval is a jackknife's on log R: a group of families and pseudo people is left out of
    all sides at once. (A bootstrap adds its own noise to small distances, and pulls their ratio towards 1.)
    """
    resolution = 0.5 / max(people, 1)  # a floor of nothing is no smaller than half a person
    values, floors, without = [], [], {}
    for fold, made, held in distances:
        if fold < 0:
            values.append(made)
            floors.append(held)
        else:
            parts = np.array([made, held]) if len(made) <= MOST_PARTS else np.empty((2, 0))
            sums = np.array([[_total(total, made)], [_total(total, held)]])
            without.setdefault(fold, []).append(np.hstack([sums, parts]))
    if not values:
        return Comparison(np.nan, np.nan, np.nan, (np.nan, np.nan), np.array([]), people=people)
    value = float(np.mean([_total(total, v) for v in values]))
    floor = float(np.mean([_total(total, v) for v in floors]))
    means = np.array([_mean_rows(values), _mean_rows(floors)])
    by_part, ratio = means[0] / np.maximum(means[1], resolution), _ratio(value, floor, resolution)
    left = [np.array([_mean_rows([x[side] for x in xs]) for side in (0, 1)]) for xs in without.values()]
    ratios = np.array([made / np.maximum(held, resolution) for made, held in left])
    intervals = np.array([jackknifed(r, q, np.log, np.exp) for r, q in zip([ratio, *by_part], ratios.T, strict=False)])
    interval = tuple(intervals[0]) if len(intervals) else (np.nan, np.nan)
    return Comparison(value, floor, ratio, interval, by_part, intervals[1:], means, people)


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
    return judged(pairs, total, len(halves[0][0]) if halves else 0)


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


def save_metrics(path: str | Path, metrics: list[dict]) -> None:
    """Write {"metrics": [...]} as JSON."""
    with atomic(path) as part:
        part.write_text(json.dumps({"metrics": metrics}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load_metrics(paths: list[str | Path]) -> list[dict]:
    """Lines of several files, in order."""
    return [line for path in paths for line in json.loads(Path(path).read_text(encoding="utf-8"))["metrics"]]


def save_arrays(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Write aggregates for figures as .npz; texts become fixed-width unicode, so that no pickle is needed."""
    plain = {
        k: np.array([str(x) for x in v])
        if isinstance(v, (list, tuple)) and v and isinstance(v[0], str)
        else np.asarray(v)
        for k, v in arrays.items()
    }
    with atomic(path) as part, open(part, "wb") as file:
        np.savez_compressed(file, **plain)


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """What `save_arrays` wrote."""
    with np.load(path) as file:
        return {key: file[key] for key in file.files}


def _number(value) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def _total(total: Callable[[np.ndarray], float], parts: np.ndarray) -> float:
    return float(total(parts)) if np.isfinite(parts).any() else np.nan


def _ratio(value: float, floor: float, resolution: float) -> float:
    """value / floor, with a floor of at least `resolution`; NaN without a floor."""
    return value / max(floor, resolution) if np.isfinite(floor) else np.nan


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
