"""One form for every number of the evaluation, and the noise floor that stands beside each distance.

A distance between pseudo and real people is judged against the same distance between two disjoint real
halves A and B of the holdout, at equal numbers of people:  R = D(pseudo, A) / D(B, A).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pseudocohort.files import atomic

SPLITS = 10
RESAMPLES = 100
MINIMUM_PEOPLE = 5  # no count, bin or mean of fewer real people is ever written for a figure


class Comparison(NamedTuple):
    """value, floor: mean distances over the splits; ratio = value / floor with its interval (low, high);
    by_part: the ratio of every component, as items (k,)."""

    value: float
    floor: float
    ratio: float
    interval: tuple[float, float]
    by_part: np.ndarray


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


def compared(group: str, name: str, result: Comparison, limit: float, **more) -> dict:
    """The line of a Comparison whose goal is a ratio of at most `limit`; without a floor there is no verdict."""
    return metric(
        group,
        name,
        result.value,
        floor=result.floor,
        ratio=result.ratio,
        interval=result.interval,
        goal=f"R ≤ {limit:g}",
        within=bool(result.ratio <= limit) if np.isfinite(result.ratio) else None,
        **more,
    )


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


def against_floor(
    distance: Callable[[np.ndarray, np.ndarray], np.ndarray],
    real: np.ndarray,
    pseudo: np.ndarray,
    halves: list[tuple[np.ndarray, np.ndarray]],
    family: np.ndarray,
    rng: np.random.Generator,
    total: Callable[[np.ndarray], float] = np.nanmean,
    resamples: int = RESAMPLES,
) -> Comparison:
    """D(pseudo, A) beside D(B, A), averaged over splits of the holdout, with a bootstrap interval of R.

    real: (n, ...), pseudo: (m, ...) rows of people; distance(x, y) -> (k,) components from row subsets;
    total: (k,) -> one number.  From pseudo as many rows are drawn as B has.
    The interval resamples families of A and B and pseudo people with replacement. Resampled distances are
    inflated on both sides alike, which pulls their ratio towards 1, so only the ratio's spread is taken:
    R q / median(q), q the resampled ratios.
    """
    values, floors, ratios = [], [], []
    halves = [(a, b) for a, b in halves if min(len(a), len(b), len(pseudo)) > 1]
    if not halves:
        return Comparison(np.nan, np.nan, np.nan, (np.nan, np.nan), np.array([]))
    resolution = 0.5 / len(halves[0][0])  # a floor of nothing is no smaller than half a person
    for first, second in halves:
        second, drawn = _matched(second, len(pseudo), rng)
        values.append(distance(pseudo[drawn], real[first]))
        floors.append(distance(real[second], real[first]))
    for r in range(resamples):
        first, second = halves[r % len(halves)]
        first, second = (_resample_families(rows, family, rng) for rows in (first, second))
        drawn = rng.integers(len(pseudo), size=min(len(second), len(pseudo)))
        made, held = (_total(total, distance(x, real[first])) for x in (pseudo[drawn], real[second]))
        ratios.append(_ratio(made, held, resolution))
    value = float(np.mean([_total(total, v) for v in values]))
    floor = float(np.mean([_total(total, v) for v in floors]))
    by_part = _mean_rows(values) / np.maximum(_mean_rows(floors), resolution)
    ratio = _ratio(value, floor, resolution)
    return Comparison(value, floor, ratio, _spread(ratio, np.array(ratios)), by_part)


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


def _resample_families(rows: np.ndarray, family: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of families drawn with replacement, as many families as there are."""
    codes = np.unique(np.asarray(family)[rows], return_inverse=True)[1]
    order = rows[np.argsort(codes, kind="stable")]
    sizes = np.bincount(codes)
    start = np.concatenate([[0], np.cumsum(sizes)])
    drawn = rng.integers(len(sizes), size=len(sizes))
    offset = np.arange(sizes[drawn].sum()) - np.repeat(np.cumsum(sizes[drawn]) - sizes[drawn], sizes[drawn])
    return order[np.repeat(start[drawn], sizes[drawn]) + offset]


def _spread(ratio: float, resampled: np.ndarray) -> tuple[float, float]:
    resampled = resampled[np.isfinite(resampled)]
    if len(resampled) < 20 or not np.isfinite(ratio) or np.median(resampled) <= 0:
        return np.nan, np.nan
    low, middle, high = np.quantile(resampled, [0.025, 0.5, 0.975])
    return float(ratio * low / middle), float(ratio * high / middle)
