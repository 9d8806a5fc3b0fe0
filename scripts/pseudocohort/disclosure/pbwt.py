"""Longest matches of target haplotypes with a panel, by the positional Burrows-Wheeler transform (PBWT).

Durbin 2014, "Efficient haplotype matching and storage using the positional Burrows-Wheeler transform", algorithms 1, 2
and 5, over panel and targets jointly. At every site the haplotypes are kept sorted by their reversed prefixes; d of a
haplotype is the first site from which it agrees with the one above it. A site parts the order into zeros and ones,
stably; d of a haplotype then is the largest d between it and the last one of its own allele, which is one
`maximum.reduceat` for each allele. A target's longest match that ends at a site is with the nearest panel haplotype
above or below it. No loop runs over haplotypes.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pseudocohort.disclosure.packed import Packed, joint_blocks

FEW = 8  # haplotypes that are moved one by one


class Matches(NamedTuple):
    """Set-maximal matches: agreement of a target with a panel haplotype that no panel haplotype extends to the left or
    the right. target, donor: haplotype numbers; first, last: sites, both included. int64 (matches,), ordered by last.
    """

    target: np.ndarray
    donor: np.ndarray
    first: np.ndarray
    last: np.ndarray


class Order(NamedTuple):
    """State of the transform after a site. place: int64 (haplotypes,), haplotypes sorted by their reversed prefixes.
    start: int32 (haplotypes,), first site from which the haplotype in this place agrees with the one above."""

    place: np.ndarray
    start: np.ndarray


def first_order(number: int) -> Order:
    """The order before any site."""
    return Order(np.arange(number), np.zeros(number, dtype=np.int32))


def advance(order: Order, alleles: np.ndarray, site: int) -> Order:
    """The order after a site; the one before it is used up. alleles: uint8 0 or 1 (haplotypes,). Durbin's algorithm 2.

    The rarer allele costs most, so both alleles are treated by how rare they are, not by what they are.
    """
    place, start = order
    ones = alleles.take(place, mode="clip").view(bool)
    number = int(np.count_nonzero(ones))
    swapped = 2 * number > len(ones)
    rare = (~ones if swapped else ones).nonzero()[0]
    if len(rare) == 0:
        start[0] = site + 1
        return order
    rare_start = np.maximum.reduceat(start[: rare[-1] + 1], _after(rare))
    if len(rare) <= FEW and not swapped:
        return _moved_down(order, rare, rare_start, site)
    common = (ones if swapped else ~ones).nonzero()[0]
    common_start = start.take(common, mode="clip")
    _carry_over(start, rare, common_start)
    at = len(ones) - number
    low, high = slice(0, at), slice(at, None)
    new = Order(np.empty_like(place), np.empty_like(start))
    for to, which, since in zip(
        (low, high) if swapped else (high, low), (rare, common), (rare_start, common_start), strict=True
    ):
        np.take(place, which, out=new.place[to], mode="clip")
        new.start[to] = since
    new.start[0] = new.start[at] = site + 1
    return new


def _after(at: np.ndarray) -> np.ndarray:
    """0, and the place after every one of `at` but the last."""
    first = np.empty_like(at)
    first[0] = 0
    np.add(at[:-1], 1, out=first[1:])
    return first


def _carry_over(start: np.ndarray, rare: np.ndarray, common_start: np.ndarray) -> None:
    """A common allele that follows a run of rare ones takes the largest start of that run, if it is larger."""
    opens = np.append(True, rare[1:] != rare[:-1] + 1)
    ends = np.append(opens[1:], True)
    first, last = rare[opens], rare[ends]
    follower = last - ends.nonzero()[0]
    within = follower < len(common_start)
    first, last, follower = first[within], last[within], follower[within]
    if len(first):
        pairs = np.stack([first, last + 1], axis=1).ravel()
        largest = np.maximum.reduceat(start, pairs)[::2]
        common_start[follower] = np.maximum(common_start[follower], largest)


def _moved_down(order: Order, rare: np.ndarray, rare_start: np.ndarray, site: int) -> Order:
    """The few haplotypes with a one go to the end; those between them move up in place."""
    place, start = order
    moved, number = place[rare], len(place)
    for i, (at, following) in enumerate(pairwise([*rare.tolist(), number])):
        if at + 1 < number:
            start[at + 1] = max(start[at + 1], start[at])
        place[at - i : following - i - 1] = place[at + 1 : following]
        start[at - i : following - i - 1] = start[at + 1 : following]
    place[number - len(rare) :] = moved
    start[number - len(rare) :] = rare_start
    start[0] = start[number - len(rare)] = site + 1
    return order


def nearest_in_panel(order: Order, at: np.ndarray, panel: int, site: int) -> tuple[np.ndarray, np.ndarray]:
    """Longest matches with the panel, up to and with `site`, of the haplotypes in the places `at`.

    at: int64 (k,), k > 0, ascending.  panel: haplotypes with numbers below are of the panel.  Returns their first sites
    (k,), site + 1 where nothing matches, and the donors (k,).
    """
    place, start = order
    start = np.append(start, np.int32(0))  # reduceat takes no index past the end
    of_panel = (place < panel).nonzero()[0]
    index = of_panel.searchsorted(at)
    above = of_panel.take(index - 1, mode="wrap")
    below = of_panel.take(index, mode="wrap")
    pairs = np.empty(2 * len(at), dtype=np.int64)
    pairs[0::2], pairs[1::2] = np.where(index > 0, above, at - 1) + 1, at + 1
    up = np.maximum.reduceat(start, pairs)[::2]
    none = index == len(of_panel)
    pairs[0::2], pairs[1::2] = np.where(none, at, at + 1), np.where(none, at, below) + 1
    down = np.maximum.reduceat(start, pairs)[::2]
    up[index == 0] = down[none] = site + 1
    return np.minimum(up, down), place.take(np.where(up <= down, above, below), mode="clip")


def set_maximal_matches(panel: Packed, targets: Packed) -> Matches:
    """Set-maximal matches of every target with the panel; O(sites x haplotypes) time.

    While the donor of a target's longest match agrees with it, it stays a donor of a longest match; so only targets
    whose donor ends are looked up in the order. Where nobody has a target's allele, its next match starts behind.
    """
    number, count = panel.number, targets.number
    order = first_order(number + count)
    first, donor = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    hit = np.zeros(number + count, dtype=bool)
    found, site = [], 0
    for block in joint_blocks(panel, targets):
        for alleles in block:
            order = advance(order, alleles, site)
            ends = alleles[number:] != alleles.take(donor, mode="clip")
            if ends.any():
                hit[number:] = ends
                at = hit.take(order.place, mode="clip").nonzero()[0]
                who = order.place[at] - number
                new_first, new_donor = nearest_in_panel(order, at, number, site)
                over = who[(new_first > first[who]) & (first[who] < site)]
                found.append(np.stack([over, donor[over], first[over], np.full(len(over), site - 1)]))
                first[who], donor[who] = new_first, new_donor
            site += 1
    over = (first < site).nonzero()[0]
    found.append(np.stack([over, donor[over], first[over], np.full(len(over), site - 1)]))
    return Matches(*np.concatenate(found, axis=1))
