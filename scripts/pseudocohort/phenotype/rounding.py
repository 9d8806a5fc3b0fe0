"""How the real values of a numeric item are rounded, learnt and applied.

Decimals alone do not describe it: scales are read to the half kilogram, some clinics round to tens, and a
spectrometer writes four significant digits. So an item has decimals, or significant digits, or a mixture of
grains (multiples of the last decimal, coarse to fine), one for each stretch between the values that carry mass.
"""

from typing import NamedTuple

import numpy as np

PLACES = 15  # most decimals, and most significant digits, that a float holds
HOLDS = 0.995  # share of the values that decimals or digits must hold
SEEN = 20  # values that must show a number of significant digits
ZONE = 50  # values a stretch needs for a mixture of its own
SURE = 3.0  # standard errors by which a grain must exceed what finer rounding gives by chance
LEAST = 0.01  # a grain of a smaller share is left out


class Rounding(NamedTuple):
    """decimals: of all values.  significant: digits of every value, 0 for no such limit.  grains: whole multiples
    of the last decimal, coarse to fine.  zones: float64 (zones, 1 + grains), rows (cumulative share at which the
    zone starts, the grains' cumulative weights); empty with one grain."""

    decimals: int
    significant: int = 0
    grains: tuple[int, ...] = (1,)
    zones: np.ndarray = np.empty((0, 2))

    def apply(self, x: np.ndarray, share: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """x (n,) rounded; share: its cumulative shares; chance: uniform (n,), which chooses the grain."""
        if self.significant:
            return np.round(round_significant(x, self.significant), self.decimals)
        if len(self.grains) == 1:
            return _to_grain(x, self.grains[0], self.decimals)
        weights = self.zones[np.searchsorted(self.zones[:, 0], share, side="right") - 1, 1:]
        which = (chance[:, None] > weights[:, :-1]).sum(1)
        out = np.empty_like(x)
        for number, grain in enumerate(self.grains):
            out[which == number] = _to_grain(x[which == number], grain, self.decimals)
        return out

    def finest(self, x: np.ndarray) -> np.ndarray:
        """x (n,) with the item's decimals."""
        return np.round(x, self.decimals) + 0.0

    def inward(self, bound: np.ndarray, sign: int) -> np.ndarray:
        """The nearest value with the item's decimals that is no smaller (sign 1) or no larger (-1) than bound (n,)."""
        near = np.round(bound, self.decimals)
        next_one = np.round(near + sign * 10.0**-self.decimals, self.decimals)
        wrong = np.less if sign > 0 else np.greater
        moved = np.where(wrong(near, bound), next_one, near)
        return np.where(wrong(moved, bound), bound, moved)  # a unit finer than a float's own changes nothing


def fit_rounding(values: np.ndarray, steps: np.ndarray, decimals: int | None = None) -> Rounding:
    """Learn the rounding of values (n,).

    steps: float64 (steps, 3) of their quantile function: values that keep their exact share and are not rounded
    again.  decimals: those of the dictionary; None for as many as the values have.
    """
    places = digits(values) if decimals is None else int(decimals)
    whole = np.rint(values * 10.0**places)
    exact = np.abs(whole).max() < 2.0**52 and _holds(values, places)
    common = _common_grain(whole) if exact else 1
    if common > 1:
        return Rounding(places, 0, (common,))
    limit = significant_digits(values, places)
    if limit or not exact:
        return Rounding(places, limit)
    order = np.sort(values)
    edges = np.concatenate([[0.0], steps[:, 1:].ravel(), [1.0]])  # stretches and steps in turn
    held = np.rint(edges * len(values)).astype(int)
    rest = [np.rint(order[a:b] * 10.0**places) for a, b in zip(held[:-1:2], held[1::2], strict=True)]
    own = [_mixture(run) if len(run) >= ZONE else None for run in rest]
    few = [run for run, known in zip(rest, own, strict=True) if known is None]
    shared = _mixture(np.concatenate(few)) if few and sum(map(len, few)) >= ZONE else {1: 1.0}
    mixtures = [shared if known is None else known for known in own]
    grains = tuple(sorted({g for m in mixtures for g in m} | {1}, reverse=True))
    if grains == (1,):
        return Rounding(places)
    rows = []
    for number, mixture in enumerate(mixtures):
        rows.append([edges[2 * number], *np.cumsum([mixture.get(g, 0.0) for g in grains])])
        rows.append([edges[2 * number + 1], *(float(g == 1) for g in grains)])
    return Rounding(places, 0, grains, np.array(rows))


def digits(values: np.ndarray) -> int:
    """The fewest decimals (at most 15) that hold all but 0.5 % of the values."""
    return next((places for places in range(PLACES) if _holds(values, places)), PLACES)


def significant_digits(values: np.ndarray, places: int) -> int:
    """The fewest significant digits that hold all but 0.5 % of the values to which decimals would give more digits,
    20 values or more; 0 where there is no such number up to 8."""
    size = np.abs(values[values != 0])
    given = np.floor(np.log10(size)) + 1 + places
    for limit in range(2, 9):
        longer = size[given > limit]
        if len(longer) < SEEN:
            return 0
        if np.mean(np.abs(longer - round_significant(longer, limit)) < 1e-9 * longer) >= HOLDS:
            return limit
    return 0


def round_significant(x: np.ndarray, limit: int) -> np.ndarray:
    """x (n,) rounded to `limit` significant digits."""
    out = np.zeros_like(x)
    some = x != 0
    places = np.zeros(len(x), dtype=int)
    places[some] = limit - 1 - np.floor(np.log10(np.abs(x[some]))).astype(int)
    for place in np.unique(places[some]):
        rows = some & (places == place)
        out[rows] = np.round(x[rows], int(place))
    return out


def rounding_to_json(rounding: Rounding) -> dict:
    """In plain lists, for json.dump."""
    return {**rounding._asdict(), "zones": rounding.zones.tolist()}


def rounding_from_json(plain: dict) -> Rounding:
    """Inverse of `rounding_to_json`."""
    grains = tuple(plain["grains"])
    return Rounding(
        plain["decimals"], plain["significant"], grains, np.array(plain["zones"]).reshape(-1, 1 + len(grains))
    )


def _to_grain(x: np.ndarray, grain: int, decimals: int) -> np.ndarray:
    if grain == 1:
        return np.round(x, decimals) + 0.0
    return np.round(np.rint(x * 10.0**decimals / grain) * grain / 10.0**decimals, decimals) + 0.0


def _holds(values: np.ndarray, places: int) -> bool:
    # an error of floats, single precision included, that is small beside the last decimal
    slack = np.clip(10.0 ** -(places + 3), 4 * np.finfo(float).eps * np.abs(values), 1e-6 * np.abs(values))
    return not len(values) or bool(np.mean(np.abs(values - np.round(values, places)) <= slack) >= HOLDS)


def _ladder(span: float) -> list[int]:
    """1, 2, 5, 10, 20 ... up to a quarter of the span ."""
    return [m * 10**e for e in range(16) for m in (1, 2, 5) if m * 10**e <= max(span / 4, 1)]


def _common_grain(whole: np.ndarray) -> int:
    """The largest of 1, 2, 5, 10 ... that all values (whole numbers) are multiples of."""
    grains = [g for g in _ladder(np.ptp(whole)) if (whole % g == 0).all()]
    return max(grains, default=1)


def _mixture(whole: np.ndarray) -> dict[int, float]:
    """grain -> share of the values (whole numbers) that were rounded to it.

    A value rounded to grain g is by chance a multiple of a coarser G with probability g / G, so with nested grains
    the shares of multiples M solve M_i = sum_{j coarser or same} w_j + sum_{j finer} w_j g_j / g_i.
    """
    n, chain = len(whole), [1]
    reach = max(np.ptp(np.quantile(whole, [0.05, 0.95])) / 4, 1)
    multiples = {g: float(np.mean(whole % g == 0)) for g in _ladder(40 * reach)}

    def beyond(grain: int, chance: float) -> float:
        """Standard errors by which there are more multiples than chance gives."""
        return (multiples[grain] - chance - LEAST) / max(np.sqrt(chance * (1 - chance) / n), 1e-9)

    for ten in (10**e for e in range(1, 16) if 10**e <= 10 * reach):
        base, tens = multiples[ten // 10], multiples[ten]
        # of 2 and 5 the one of which more is seen than the tens explain
        excess = {
            g: beyond(g, tens + (base - tens) * by_chance) for g, by_chance in ((ten // 5, 4 / 9), (ten // 2, 1 / 9))
        }
        best = max(excess, key=excess.get)
        if excess[best] > SURE and best <= reach:
            chain.append(best)
        if ten <= reach and beyond(ten, multiples[chain[-1]] * chain[-1] / ten) > SURE:
            chain.append(ten)
    chain = chain[::-1]
    while True:
        seen = np.array([multiples[g] for g in chain])
        design = np.array(
            [[1.0 if j <= i else chain[j] / chain[i] for j in range(len(chain))] for i in range(len(chain))]
        )
        weight = np.linalg.solve(design, seen)
        weak = [i for i in range(len(chain) - 1) if weight[i] < LEAST]
        if not weak:
            break
        chain.pop(weak[0])
    weight = np.maximum(weight, 0.0)
    return dict(zip(chain, (weight / weight.sum()).tolist(), strict=True))
