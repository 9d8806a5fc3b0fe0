"""What the dictionary's conditions and rules mean for the order of items, who is asked, and the values allowed.

Rules are `a <= b`, `a >= b` and `a = b + c`. An item is drawn after those its rules name, bound by the values they
already have; bounds follow chains (a <= b <= c bounds a by c where b is missing, too). A sum takes the sum of its
parts, so what bounds the sum is drawn after it where that can be. What cannot be met is settled in this order:
the item's sum, then its rules and its minimum and maximum; where they leave no value, it is missing.
"""

import heapq
from typing import NamedTuple

import numpy as np

from pseudocohort.errors import InputError

SEX = {"male": 1, "female": 2}
EXACT = 1e-9  # relative error that the arithmetic of floats is allowed, as in cohort.rules


class Limits(NamedTuple):
    """Numbers of the items drawn before an item that it must not fall below or exceed."""

    lower: tuple[int, ...]
    upper: tuple[int, ...]


def sampling_order(dictionary) -> list:
    """Items in dictionary order, but every item after those that its asked_if and its rules name.

    The side of a bound that is a sum comes first, for its value is decided by its parts. InputError on a circle.
    """
    items = {item.name: item for item in dictionary.items}
    gates = {name: {p for p, _ in item.asked_if if p != "sex"} for name, item in items.items()}
    parts = {name: {p for sign, ps in item.rules if sign == "=" for p in ps} for name, item in items.items()}
    named = {name: {p for _, ps in item.rules for p in ps} for name, item in items.items()}
    must = {name: gates[name] | parts[name] for name in items}
    _in_order(items, {name: gates[name] | named[name] for name in items}, must, strict=True)
    wish = {name: named[name] - parts[name] for name in items}
    for name in items:
        if parts[name]:
            for other in wish[name] & items.keys():
                wish[other] = wish[other] | {name}
            wish[name] = set()
    return _in_order(items, {name: must[name] | wish[name] for name in items}, must, strict=False)


def _in_order(items: dict, wanted: dict, must: dict, strict: bool) -> list:
    """Items after all that `wanted` names, or where a circle forbids it, and not strict, after those of `must`."""
    waiting, ordered, known = list(items), [], set()
    while waiting:
        ready = next((name for name in waiting if wanted[name] <= known), None)
        if ready is None and not strict:
            ready = next((name for name in waiting if must[name] <= known), None)
        if ready is None:
            raise InputError(
                "the conditions and rules of these items cannot be put in order: " + ", ".join(waiting[:5]),
                where="dictionary, columns asked_if and rule",
                expected="conditions on `sex` or on items, rules on items of the dictionary, without a circle",
                remedy="remove the circle: write a <= b or b >= a, not both, and no bound of a part by its own sum",
            )
        waiting.remove(ready)
        ordered.append(items[ready])
        known.add(ready)
    return ordered


def limits_of(items) -> dict[int, Limits]:
    """Number of an item -> the earlier items that bound it, for items (in sampling order) with any such.

    Bounds that follow from others are among them, so that a chain can be met whatever its order.
    """
    number = {item.name: i for i, item in enumerate(items)}
    above: dict[int, set[int]] = {}
    for i, item in enumerate(items):
        for sign, names in item.rules:
            for other in (number[name] for name in names if sign != "="):
                low, high = (i, other) if sign == "<=" else (other, i)
                above.setdefault(low, set()).add(high)
    limits: dict[int, tuple[set, set]] = {}
    for low in above:
        reached, ahead = set(), list(above[low])
        while ahead:
            high = ahead.pop()
            if high not in reached:
                reached.add(high)
                ahead += above.get(high, ())
        for high in reached - {low}:
            later, earlier = max(low, high), min(low, high)
            limits.setdefault(later, (set(), set()))[0 if earlier == low else 1].add(earlier)
    return {i: Limits(tuple(sorted(lower)), tuple(sorted(upper))) for i, (lower, upper) in limits.items()}


def asked_people(rules, allows, sex: np.ndarray) -> np.ndarray:
    """True (n,) unless a rule says "not asked", as cohort.rules.structurally_missing has it: a parent with another
    code, or not asked itself. A parent that is merely missing, or sex unknown, excludes nobody.

    rules: asked_if of an item; allows(parent, codes): (n,) who is asked the parent and has one of the codes or no
    value; sex: codes 0 unknown, 1 male, 2 female.
    """
    asked = np.ones(len(sex), dtype=bool)
    for parent, codes in rules:
        if parent == "sex":
            asked &= (sex == 0) | np.isin(sex, [SEX[code] for code in codes])
        else:
            asked &= allows(parent, codes)
    return asked


def asked_in_table(ordered, phenotypes, sex: np.ndarray) -> dict[str, np.ndarray]:
    """item name -> who is asked (n,), for items in sampling order. Items of equal conditions share one array."""
    done: dict[str, np.ndarray] = {}
    equal: dict[tuple, np.ndarray] = {}
    for item in ordered:
        if item.asked_if not in equal:

            def allows(parent, codes):
                return done[parent] & (phenotypes[parent].isna() | phenotypes[parent].isin(codes)).to_numpy(dtype=bool)

            equal[item.asked_if] = asked_people(item.asked_if, allows, sex)
        done[item.name] = equal[item.asked_if]
    return done


def into_bounds(quantile, share: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Cumulative shares (n,) of values outside low ... high, led into that part of the distribution.

    share: of the values drawn; low, high: -inf, inf for none. A value at the bound stays near it and the farthest
    goes to the far end, in proportion: u' = 1 - u (1 - F(low)) / F(low), from above u' = (1 - u) F(high) /
    (1 - F(high)). So where the value does not depend on its bound the result is the distribution given the bound.
    """
    below = np.where(np.isfinite(low), quantile.interval(low)[0], 0.0)
    upto = np.where(np.isfinite(high), quantile.interval(high)[1], 1.0)
    room = np.maximum(upto - below, 0.0)
    tiny = 1e-12
    up = upto - share / np.maximum(below, tiny) * room
    down = below + (1 - share) / np.maximum(1 - upto, tiny) * room
    return np.clip(np.where(share < below, up, np.where(share > upto, down, share)), 0.0, 1.0)


def within_bounds(values: np.ndarray, share: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The same values (n,) dealt out anew, so that people of larger share get larger values but nobody one beyond
    their bound; so the distribution stays as it was. NaN for people for whom none is left, if any.

    low, high: one of them infinite for everybody. From the largest value down (with upper bounds), each goes to the
    largest share among the people who may have it: if anybody can be left out, it is those with the tightest bounds.
    """
    if np.isfinite(low).any():
        return -within_bounds(-values, 1 - share, -high, -low)
    people, out, waiting, entered = np.argsort(-high, kind="stable"), np.full(len(values), np.nan), [], 0
    bound, rank = high[people], -share[people]
    for value in np.sort(values)[::-1].tolist():
        while entered < len(people) and bound[entered] >= value:
            heapq.heappush(waiting, (rank[entered], entered))
            entered += 1
        if waiting:
            out[people[heapq.heappop(waiting)[1]]] = value
    return out
