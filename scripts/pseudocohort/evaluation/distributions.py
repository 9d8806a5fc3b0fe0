"""Single items, real against pseudo: distribution, missing values and their reasons, dispersion, categories, rules."""

import numpy as np

from pseudocohort.evaluation.metrics import (
    RESAMPLES,
    Comparison,
    compared,
    enough,
    family_weights,
    ks_distance,
    metric,
    ranged,
    shifted,
    tv_distance,
)
from pseudocohort.evaluation.tables import Setting, Table

CARRIERS = 20  # categories with fewer real people are not judged


def marginal_metrics(
    setting: Setting, real: Table, pseudo: Table, naive: Table | None
) -> tuple[dict[str, dict], list[dict], Comparison]:
    """({goal: line}, further lines, the comparison of distributions by item)."""
    numeric = setting.numeric

    def shapes(x, y):
        return np.array([(ks_distance if numeric[j] else tv_distance)(x[:, j], y[:, j]) for j in range(x.shape[1])])

    shape = setting.compare(shapes, real.values, pseudo.values)
    missing = setting.compare(state_distance, real.state, pseudo.state)
    base = None if naive is None else setting.aside().compare(shapes, real.values, naive.values, left_out=0).ratio
    goals = {
        "marginal": compared(
            "items",
            "distribution of single items (mean KS or total variation distance)",
            shape,
            1.05,
            reached=True,
            baseline=base,
            headline=True,
        ),
        "worst_marginal": _worst(setting, "distribution", shape),
        "missing_rate": compared(
            "items",
            "missing values and their reasons among those asked (mean total variation distance)",
            missing,
            1.1,
            reached=True,
            note="of an item without reasons: the difference of the missing rates",
        ),
    }
    dispersion, lines = _dispersion(setting, real, pseudo)
    return (
        goals | dispersion,
        [_worst(setting, "missing values", missing), *lines, *_categories(setting, real, pseudo)],
        shape,
    )


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
    parts = (
        ("values where the dictionary says `not asked`", forbidden),
        ("values that break a rule between items", broken),
        ("values outside the dictionary's range or categories", outside),
    )
    total = forbidden + broken + outside
    name = "values that the dictionary forbids (rules, skipped questions, range, categories)"
    return {
        "rules_broken": metric("items", name, total, goal="none", within=total == 0, headline=True),
    }, [metric("items", name, count, goal="none", within=count == 0) for name, count in parts]


def group_lines(setting: Setting, shape: Comparison) -> list[dict]:
    """The ratio of the distributions by group of items."""
    groups = np.array([item.group for item in setting.items])
    lines = []
    for group in dict.fromkeys(groups):
        values, floors = shape.parts[:, groups == group]
        seen = np.isfinite(values) & np.isfinite(floors)
        if seen.any() and floors[seen].sum() > 0:
            lines.append(
                metric(
                    "item groups",
                    f"{group}: distribution of single items",
                    values[seen].mean(),
                    floor=floors[seen].mean(),
                    ratio=values[seen].sum() / floors[seen].sum(),
                    note=f"{seen.sum()} items",
                )
            )
    return lines


def _mean(x: np.ndarray) -> np.ndarray:
    """Mean of every column, NaN left out; NaN for a column without values."""
    seen = ~np.isnan(x)
    return np.where(seen, x, 0).sum(axis=0) / np.where(seen.any(axis=0), seen.sum(axis=0), np.nan)


def _worst(setting: Setting, name: str, result: Comparison) -> dict:
    """The item with the largest ratio of its own."""
    if not np.isfinite(result.by_part).any():
        return metric("items", f"worst single item by {name}", np.nan)
    worst = int(np.nanargmax(result.by_part))
    ratio = result.by_part[worst]
    line = metric(
        "items",
        f"worst single item by {name}",
        ratio,
        ratio=ratio,
        interval=tuple(result.intervals[worst]) if len(result.intervals) else None,
        goal="R ≤ 3",
        within=bool(ratio <= 3),
        note=setting.items[worst].name,
    )
    return enough(line, setting.half)


def _dispersion(setting: Setting, real: Table, pseudo: Table) -> tuple[dict[str, dict], list[dict]]:
    """Ratio of standard deviations, values clipped to the real 1st and 99th percentile."""
    train = setting.train
    columns = [j for j in np.flatnonzero(setting.numeric) if np.isfinite(real.values[train, j]).sum() >= 20]
    name = "standard deviation, pseudo over real (mean of numeric items)"
    if not columns:
        return {"dispersion": metric("items", name, np.nan)}, []
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
        z = np.log(ratio) / np.hypot(error, error_made)
    z = np.nan_to_num(np.where((made == 0) & (s > 0), -np.inf, z), posinf=99, neginf=-99)
    excess = np.where((ratio >= 0.9) & (ratio <= 1.1), 0, np.abs(z))
    worst = int(excess.argmax()) if excess.any() else int(np.abs(z).argmax())
    mean = float(_mean(ratio[np.isfinite(ratio)]))
    weights = family_weights(setting.family[train], setting.rng, RESAMPLES)
    drawn = setting.rng.multinomial(len(pseudos), np.full(len(pseudos), 1 / len(pseudos)), RESAMPLES).astype(float)
    with np.errstate(all="ignore"):
        resampled = weighted_deviations(pseudos, drawn) / weighted_deviations(reals[train], weights)
    usable = np.isfinite(resampled).all(axis=0) & np.isfinite(ratio)
    interval = shifted(mean, resampled[:, usable].mean(axis=1)) if usable.any() else (np.nan, np.nan)
    usable = np.isfinite(floor)
    goal = ranged(
        "items",
        name,
        mean,
        interval,
        0.97,
        1.03,
        floor=float(floor[usable].mean()) if usable.any() else None,
        people=setting.half,
    )
    return {"dispersion": goal}, [
        compared("items", "standard deviation (mean |log ratio|)", result, 1.5),
        metric(
            "items",
            "worst single item by standard deviation (pseudo over real)",
            ratio[worst],
            floor=floor[worst],
            z=z[worst],
            goal="0.9 to 1.1, or |z| ≤ 4",
            within=bool(excess[worst] <= 4),
            note=setting.items[columns[worst]].name,
        ),
    ]


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
    """Shares of categories with at least 20 real carriers."""
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
    n = np.array([[np.isfinite(x[:, j]).sum() + 1 for j, _ in pairs] for x in (train, pseudo.values)])
    z = (other - share) / np.sqrt(share * (1 - share) * (1 / n).sum(axis=0))
    excess = np.where((other / share >= 0.8) & (other / share <= 1.25), 0, np.abs(z))
    worst = int(excess.argmax()) if excess.any() else int(np.abs(z).argmax())
    j, category = pairs[worst]
    return [
        compared("items", f"shares of categories with ≥ {CARRIERS} carriers (mean |log ratio|)", result, 1.25),
        metric(
            "items",
            "worst category share (pseudo over real)",
            other[worst] / share[worst],
            z=z[worst],
            goal="0.8 to 1.25, or |z| ≤ 4",
            within=bool(excess[worst] <= 4),
            note=f"{setting.items[j].name} = {setting.items[j].categories[category]}",
        ),
    ]
