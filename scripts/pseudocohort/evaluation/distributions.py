"""Single items, real against pseudo: distribution, missing values and their reasons, dispersion, categories, rules."""

import numpy as np
from scipy.special import betaincinv

from pseudocohort.evaluation.metrics import (
    RESAMPLES,
    Comparison,
    by_group,
    compared,
    family_weights,
    ks_distance,
    shifted,
    tv_distance,
)
from pseudocohort.evaluation.tables import Setting, Table
from pseudocohort.measures.line import measure

CARRIERS = 20  # categories with fewer real people are not judged
# A single item's standard deviation, and a single category's share, over the real ones: what lies between is no fault,
# whatever its significance in many people; what lies outside is one where it does beyond doubt.
TOLERATED = {"deviation": (0.9, 1.1), "category": (0.8, 1.25)}


def marginal_metrics(
    setting: Setting, real: Table, pseudo: Table, naive: Table | None
) -> tuple[dict[str, dict], list[dict], Comparison]:
    """({goal: line}, further lines, the comparison of distributions by item)."""
    numeric = setting.numeric

    def shapes(x, y):
        return np.array([(ks_distance if numeric[j] else tv_distance)(x[:, j], y[:, j]) for j in range(x.shape[1])])

    groups = setting.groups
    shape = setting.compare(shapes, real.values, pseudo.values, sets=groups)
    missing = setting.compare(state_distance, real.state, pseudo.state, sets=groups)
    base = None if naive is None else setting.aside().compare(shapes, real.values, naive.values, left_out=0).ratio
    goals = {
        "marginal": compared("marginal", shape, baseline=base),
        "worst_marginal": _worst(setting, "worst_marginal", shape),
        "missing_rate": compared("missing_rate", missing),
    }
    dispersion, lines = _dispersion(setting, real, pseudo)
    lines = [_worst(setting, "worst_missing", missing), *lines, *_categories(setting, real, pseudo)]
    return goals | dispersion, [*lines, *by_group("group_marginal", shape), *by_group("group_missing", missing)], shape


def state_distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Total variation distance of `Table.state` by item: half the sum of differences of the shares, (k,).

    x, y: (n, k) codes, NaN not asked.
    """
    total = np.zeros(x.shape[1])
    codes = 1 + int(max(table.max(initial=0, where=~np.isnan(table)) for table in (x, y)))
    for code in range(codes):
        total += np.abs(_mean(np.where(np.isnan(x), x, x == code)) - _mean(np.where(np.isnan(y), y, y == code)))
    return total / 2


def structure_metrics(items: tuple, pseudo: Table) -> tuple[dict[str, dict], list[dict]]:
    """Violations of the dictionary in the pseudo table: ({rules_broken}, its parts)."""
    forbidden = int((~pseudo.asked & ~np.isnan(pseudo.values)).sum())
    broken, outside = int(pseudo.broken.sum()), 0
    for j, item in enumerate(items):
        low, high = (0, len(item.categories) - 1) if item.categories else (item.minimum, item.maximum)
        outside += int((pseudo.values[:, j] < low).sum()) if low is not None else 0
        outside += int((pseudo.values[:, j] > high).sum()) if high is not None else 0
    parts = {"values_not_asked": forbidden, "values_against_rules": broken, "values_out_of_range": outside}
    return (
        {"rules_broken": measure("rules_broken", sum(parts.values()))},
        [measure(key, count) for key, count in parts.items()],
    )


def _mean(x: np.ndarray) -> np.ndarray:
    """Mean of every column, NaN left out; NaN for a column without values."""
    seen = ~np.isnan(x)
    return np.where(seen, x, 0).sum(axis=0) / np.where(seen.any(axis=0), seen.sum(axis=0), np.nan)


def _worst(setting: Setting, key: str, result: Comparison) -> dict:
    """The item with the largest ratio of its own."""
    if not np.isfinite(result.by_part).any():
        return measure(key, None)
    worst = int(np.nanargmax(result.by_part))
    return measure(
        key,
        result.parts[0, worst],
        floor=result.parts[1, worst],
        ratio=result.by_part[worst],
        interval=tuple(result.intervals[worst]) if len(result.intervals) else None,
        people=setting.half,
        item=setting.items[worst].name,
    )


def _dispersion(setting: Setting, real: Table, pseudo: Table) -> tuple[dict[str, dict], list[dict]]:
    """Ratio of standard deviations, values clipped to the real 1st and 99th percentile."""
    train = setting.train
    columns = [j for j in np.flatnonzero(setting.numeric) if np.isfinite(real.values[train, j]).sum() >= 20]
    if not columns:
        return {"dispersion": measure("dispersion", None)}, []
    bounds = np.nanquantile(real.values[train][:, columns], [0.01, 0.99], axis=0)
    reals, pseudos = (np.clip(t.values[:, columns], *bounds) for t in (real, pseudo))

    def distance(x, y):
        with np.errstate(all="ignore"):
            logs = np.abs(np.log(_deviation(x)[0] / _deviation(y)[0]))
        return np.where(np.isfinite(logs), logs, np.nan)

    result = setting.compare(distance, reals, pseudos)
    (s, error), (made, error_made), (held, _) = (_deviation(x) for x in (reals[train], pseudos, reals[~train]))
    with np.errstate(all="ignore"):
        ratio, floor = made / s, held / s
        z = beyond(np.log(ratio), np.hypot(error, error_made), np.log(TOLERATED["deviation"]))
    worst = _farthest(z, ratio)
    mean = float(_mean(ratio[np.isfinite(ratio)]))
    weights = family_weights(setting.family[train], setting.rng, RESAMPLES)
    drawn = setting.rng.multinomial(len(pseudos), np.full(len(pseudos), 1 / len(pseudos)), RESAMPLES).astype(float)
    with np.errstate(all="ignore"):
        resampled = weighted_deviations(pseudos, drawn) / weighted_deviations(reals[train], weights)
    usable = np.isfinite(resampled).all(axis=0) & np.isfinite(ratio)
    interval = shifted(mean, resampled[:, usable].mean(axis=1)) if usable.any() else (np.nan, np.nan)
    usable = np.isfinite(floor)
    held_mean = float(floor[usable].mean()) if usable.any() else None
    name = setting.items[columns[worst]].name
    return {"dispersion": measure("dispersion", mean, interval=interval, floor=held_mean, people=setting.half)}, [
        compared("deviation", result),
        measure("worst_deviation", ratio[worst], floor=floor[worst], z=z[worst], item=name),
    ]


def beyond(value: np.ndarray, error: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """By how many standard errors values (k,) lie below (< 0) or above (> 0) the bounds; 0 between them, at most 99."""
    with np.errstate(all="ignore"):
        z = (value - np.clip(value, *bounds)) / error
    return np.clip(np.nan_to_num(np.where(np.isneginf(value), -np.inf, z), posinf=99, neginf=-99), -99, 99)


def _farthest(z: np.ndarray, ratio: np.ndarray) -> int:
    """The entry farthest outside its tolerance; where none is outside, the one with the ratio farthest from 1."""
    with np.errstate(all="ignore"):
        logs = np.abs(np.log(ratio))
    return int(np.abs(z).argmax()) if z.any() else int(np.where(np.isfinite(logs), logs, -1).argmax())


def weighted_deviations(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Standard deviations of the columns of x (n, k), NaN left out, under each row of weights (r, n): (r, k)."""
    seen = ~np.isnan(x)
    centre = np.where(seen, x, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)  # else squares lose digits
    z = np.where(seen, x - centre, 0)
    with np.errstate(all="ignore"):
        total = weights @ seen
        return np.sqrt(np.maximum(weights @ z**2 / total - (weights @ z / total) ** 2, 0))


def _deviation(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviation s of every column, NaN left out, and the standard error of log s.

    Var(log s) = (kurtosis - 1) / 4n to first order.
    """
    seen = ~np.isnan(x)
    count = np.maximum(seen.sum(axis=0), 1)
    centred = np.where(seen, x - np.where(seen, x, 0).sum(axis=0) / count, 0)
    second, fourth = (centred**2).sum(axis=0) / count, (centred**4).sum(axis=0) / count
    with np.errstate(all="ignore"):
        error = np.sqrt(np.maximum(fourth / second**2 - 1, 0.1) / (4 * count))
    return np.sqrt(second), np.where(np.isfinite(error), error, 0.1)


def _categories(setting: Setting, real: Table, pseudo: Table) -> list[dict]:
    """Shares of categories with at least 20 real carriers.

    The worst is the one whose interval lies farthest outside of what is tolerated; where none does, the one most
    standard errors outside.
    """
    train = real.values[setting.train]
    pairs = [
        (j, c)
        for j in np.flatnonzero(~setting.numeric)
        for c in range(len(setting.items[j].categories))
        if CARRIERS <= (train[:, j] == c).sum() < np.isfinite(train[:, j]).sum()
    ]
    if not pairs:
        return []

    def shares(x):
        return np.array([((x[:, j] == c).sum() + 0.5) / (np.isfinite(x[:, j]).sum() + 1) for j, c in pairs])

    result = setting.compare(lambda x, y: np.abs(np.log(shares(x) / shares(y))), real.values, pseudo.values)
    share, other = shares(train), shares(pseudo.values)
    n = np.array([[np.isfinite(x[:, j]).sum() for j, _ in pairs] for x in (train, pseudo.values)])
    counts = np.array([[(x[:, j] == c).sum() for j, c in pairs] for x in (train, pseudo.values)])
    low, high = ratio_intervals(counts, n)
    z = beyond(other, np.sqrt(share * (1 - share) * (1 / (n + 1)).sum(axis=0)),
               np.multiply.outer(TOLERATED["category"], share))  # fmt: skip
    with np.errstate(divide="ignore"):
        surely = np.maximum(np.log(low / TOLERATED["category"][1]), np.log(TOLERATED["category"][0] / high))
    worst = int(surely.argmax()) if surely.max() > 0 else _farthest(z, other / share)
    j, category = pairs[worst]
    item, code = setting.items[j].name, setting.items[j].categories[category]
    interval = (float(low[worst]), float(high[worst]))
    return [
        compared("categories", result, carriers=CARRIERS),
        measure("worst_category", other[worst] / share[worst], interval=interval, item=item, category=code,
                categories=len(pairs), carriers=CARRIERS),
    ]  # fmt: skip


def ratio_intervals(counts: np.ndarray, n: np.ndarray, level: float = 0.05) -> np.ndarray:
    """Intervals of k ratios of shares, second over first, that all hold at once with 95 %: (2, k) low, high.

    counts: (2, k) carriers of n (2, k) people.  Given the sum of two Poisson counts the second is binomial with
    probability q, q / (1 - q) = ratio n_2 / n_1 (Przyborowski and Wilenski 1940); of q Clopper and Pearson's interval,
    at level / k (Bonferroni).
    """
    first, second = counts
    tail = level / 2 / max(first.size, 1)
    low = np.where(second > 0, betaincinv(np.maximum(second, 1), first + 1, tail), 0.0)
    high = np.where(first > 0, betaincinv(second + 1, np.maximum(first, 1), 1 - tail), 1.0)
    with np.errstate(divide="ignore"):
        return np.array([low / (1 - low), high / (1 - high)]) * n[0] / np.maximum(n[1], 1)
