"""A smoothed quantile function of one numeric item that hands out no value of fewer than k people.

Values held by at least k people (rounded or heaped values, a detection limit) keep their share exactly and
form steps. All others are read in groups of k neighbours: the function runs linearly through the groups'
means, and in the outermost group it falls off exponentially or as a heavier tail, its scale and shape taken from
the means of the three outermost groups (for an exponential tail the means of the largest k and of the next k people
differ by 2 ln 2 scales). So single extremes neither appear nor decide anything alone.
"""

from typing import NamedTuple

import numpy as np

PEOPLE = 10  # k of the text above; 5 where an item has fewer than 100 values
GROUPS = 500  # most groups of neighbours: larger tables get larger groups
TAIL = np.array([1.0, 0.85, 0.7, 0.55, 0.42, 0.32, 0.22, 0.15, 0.1, 0.06, 0.03])  # shares of the last group's people
GAP = 2 * np.log(2)
SHAPES = np.linspace(0.0, 0.95, 96)
_S = np.maximum(SHAPES, 1e-6)
# the gap of the last two groups' means over the gap before it, in tails of these shapes
RATIOS = (2 - 2 ** (1 - _S)) / (2 * 2 ** (1 - _S) - 1 - 3 ** (1 - _S))
HEAVIEST = 0.6
OUTLIER, LONE = 30, 6  # see `_without_outliers`; six medians are four scales of an exponential tail


class Quantile(NamedTuple):
    """u, x: float64 (knots,), both non-decreasing, u from 0 to 1: linear between knots.

    steps: float64 (steps, 3), rows (value, u below, u at or below) of the values that carry mass.
    """

    u: np.ndarray
    x: np.ndarray
    steps: np.ndarray

    def value(self, u: np.ndarray) -> np.ndarray:
        """The value at the cumulative shares u (n,)."""
        return np.interp(u, self.u, self.x)

    def interval(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cumulative shares (below x, at or below x), each (n,); equal where x carries no mass."""
        inverse = np.interp(x, self.x, self.u)
        low, high = inverse.copy(), inverse.copy()
        if len(self.steps):
            at = np.clip(np.searchsorted(self.steps[:, 0], x), 0, len(self.steps) - 1)
            at = np.where((at > 0) & (np.abs(self.steps[at - 1, 0] - x) < np.abs(self.steps[at, 0] - x)), at - 1, at)
            hit = np.isclose(self.steps[at, 0], x, rtol=1e-9, atol=1e-12)
            low[hit], high[hit] = self.steps[at[hit], 1], self.steps[at[hit], 2]
        return low, high


def fit_quantile(values: np.ndarray, *, public: tuple[float, ...] = (), lower=None, upper=None) -> Quantile:
    """The smoothed quantile function of values (n,), n >= 1, finite.

    public: values that tell nothing about a person however few hold them (a detection limit).
    lower, upper: bounds of the item; positive values stay positive, and none falls below 0 where none does.
    """
    values = np.sort(np.asarray(values, dtype=np.float64))
    n = len(values)
    k = PEOPLE if n >= 100 else 5
    distinct, first, counts = np.unique(values, return_index=True, return_counts=True)
    step = (counts >= k) | np.isin(distinct, public)
    step = _absorb_sparse_ends(step, counts, k)
    if not step.any() and len(distinct) < 2 * k:
        return _coarse(values, lower, upper)
    knots_u, knots_x, steps = [], [], []
    position = 0
    while position < len(distinct):
        start = first[position]
        if step[position]:
            stop = start + counts[position]
            steps.append((distinct[position], start / n, stop / n))
            u, x = np.array([start, stop]) / n, np.repeat(distinct[position], 2)
            position += 1
        else:
            after = position
            while after < len(distinct) and not step[after]:
                after += 1
            stop = first[after] if after < len(distinct) else n
            left = distinct[position - 1] if position else None
            right = distinct[after] if after < len(distinct) else None
            u, x = _between(values[start:stop], start, n, k, left, right)
            position = after
        knots_u.append(u)
        knots_x.append(x)
    lower = 0.0 if lower is None and values[0] >= 0 else lower
    x = np.maximum.accumulate(np.concatenate(knots_x))
    x = np.clip(x, -np.inf if lower is None else lower, np.inf if upper is None else upper)
    return Quantile(np.clip(np.concatenate(knots_u), 0.0, 1.0), x, np.array(steps).reshape(-1, 3))


def _absorb_sparse_ends(step: np.ndarray, counts: np.ndarray, k: int) -> np.ndarray:
    """Let fewer than k people beyond the outermost step share that step's smoothing, unless it is a large one."""
    step = step.copy()
    for order in (np.arange(len(step)), np.arange(len(step))[::-1]):
        held = np.flatnonzero(step[order])
        if len(held) and 0 < counts[order[: held[0]]].sum() < k and counts[order[held[0]]] < 3 * k:
            step[order[held[0]]] = False
    return step


def _coarse(values: np.ndarray, lower, upper) -> Quantile:
    """Too few values for groups: their middle half drawn out to a straight line about the median."""
    middle, low, high = np.median(values), *np.quantile(values, [0.25, 0.75])
    least = low - (middle - low)
    if values[0] > 0:
        least = max(least, low * low / middle)  # positive values stay positive
    x = np.array([least, low, high, high + (high - middle)])
    x = np.clip(np.sort(x), -np.inf if lower is None else lower, np.inf if upper is None else upper)
    return Quantile(np.array([0.0, 0.25, 0.75, 1.0]), x, np.empty((0, 3)))


def _between(values: np.ndarray, start: int, n: int, k: int, left, right) -> tuple[np.ndarray, np.ndarray]:
    """Knots (u, x) of a run of sorted values without steps, between the steps left and right (None: an end)."""
    count = len(values)
    if count < k:
        if left is None or right is None:  # too few people beyond the outermost step: they take its value
            x = np.repeat(right if left is None else left, 2)
        else:
            x = np.array([left, right])
        return np.array([start, start + count]) / n, x
    size = max(k, -(-n // GROUPS))
    groups = np.array_split(values, max(count // size, 1))
    if right is None:
        groups[-1] = _without_outliers(groups, left)
    if left is None:
        groups[0] = _without_low_outliers(groups, right)
    sizes = np.array([len(g) for g in groups])
    means = np.array([g.mean() for g in groups])
    ends = np.cumsum(sizes)
    u = [start + ends - sizes / 2]
    x = [means]
    if right is None:
        tail_u, tail_x = _tail(sizes, means, left)
        u, x = [u[0][:-1], start + count - tail_u], [x[0][:-1], tail_x]
    else:
        u, x = [*u, [start + count]], [*x, [min(right, _beyond(means, right))]]
    if left is None:
        tail_u, tail_x = _tail(sizes[::-1], -means[::-1], None if right is None else -right)
        if groups[0][0] > 0 and tail_x[-1] >= 0:  # positive values: a tail that never reaches 0
            step, logs = None if right is None else np.log(right), [np.log(g) for g in groups]
            logs[0] = _without_low_outliers(logs, step)
            centres = np.array([g.mean() for g in logs])
            tail_x = -np.exp(-_tail(sizes[::-1], -centres[::-1], None if right is None else -step)[1])
        u, x = [(start + tail_u)[::-1], u[0][1:], *u[1:]], [-tail_x[::-1], x[0][1:], *x[1:]]
    else:
        first = max(left, -_beyond(-means[::-1], -left))
        u, x = [[start], *u], [[first], *x]
    u, x = np.concatenate(u), np.concatenate(x)
    order = np.argsort(u, kind="stable")
    return u[order] / n, np.maximum.accumulate(x[order])


def _without_outliers(groups: list[np.ndarray], step: float | None) -> np.ndarray:
    """The last group's values, none farther from the mean of the group before it than OUTLIER times their median is
    (or a tenth of the way from the middle group): an error of a decimal point in one cell is not to stretch the tail
    of k people. A lone group has the step before it and its own median alone to go by: none is farther from the step
    than LONE times the median is."""
    if len(groups) < 2:
        return groups[-1] if step is None else np.minimum(groups[-1], step + LONE * (np.median(groups[-1]) - step))
    before, middle = groups[-2].mean(), groups[len(groups) // 2].mean()
    return np.minimum(groups[-1], before + OUTLIER * max(np.median(groups[-1]) - before, (before - middle) / 10))


def _without_low_outliers(groups: list[np.ndarray], step: float | None) -> np.ndarray:
    """The same at the other end: the first group's values; step: the one after it."""
    turned = [-g[::-1] for g in groups[::-1]]
    return -_without_outliers(turned, None if step is None else -step)[::-1]


def _beyond(means: np.ndarray, step: float) -> float:
    """Half a group's distance beyond the last group's mean, or the next step where there is one group only."""
    return means[-1] + (means[-1] - means[-2]) / 2 if len(means) > 1 else step


def _tail(sizes: np.ndarray, means: np.ndarray, before) -> tuple[np.ndarray, np.ndarray]:
    """Knots of the last group's tail: people from the end (decreasing), values (increasing), their mean the group's.

    before: the step below a lone group, or None. With the share p from the end, the values run as -log p, or, where
    three groups show that the tail is heavier, as (p^-shape - 1) / shape.
    """
    shape = _tail_shape(means)
    if shape > 0:
        form, gap = (TAIL**-shape - 1) / shape, (2 - 2 ** (1 - shape)) / shape / (1 - shape)
        form = form - (np.trapezoid(form[::-1], TAIL[::-1]) + TAIL[-1] * form[-1])  # flat beyond the last knot
    else:
        form, gap = -np.log(TAIL) - 1, GAP
    below = means[-1] if before is None else before
    scale = (means[-1] - means[-2]) / gap if len(means) > 1 else means[-1] - below
    return sizes[-1] * TAIL, means[-1] + scale * form


def _tail_shape(means: np.ndarray) -> float:
    """Half the shape of a generalised Pareto tail whose means of the last three groups of equal size are these, 0 for
    an exponential or a lighter one. Half: so few groups tell it badly, and their last mean is the noisiest."""
    if len(means) < 3 or means[-2] <= means[-3]:
        return 0.0
    seen = (means[-1] - means[-2]) / (means[-2] - means[-3])
    return float(min(np.interp(seen, RATIOS, SHAPES) / 2, HEAVIEST))
