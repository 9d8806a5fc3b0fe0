"""Switching of founder segments to locally identical haplotypes, by a positional Burrows-Wheeler transform of windows.

Durbin 2014, Bioinformatics 30:1266, with classes of haplotypes in windows in the place of alleles at sites: `advance`
keeps the founder haplotypes sorted by what they carry to the left, and since when neighbours have been identical.
"""

from typing import NamedTuple

import numpy as np

NEVER = np.iinfo(np.int32).max


class Order(NamedTuple):
    """Founder haplotypes after some windows, sorted by group, then by their classes read from right to left.

    haplotype: int64 (haplotypes,). since: int32 (haplotypes,), the first window from which on the one at this place is
    identical to the one before; the number of windows so far where it is not even in the last; NEVER for the first of a
    group.
    """

    haplotype: np.ndarray
    since: np.ndarray


def start_order(group: np.ndarray) -> Order:
    """Before the first window: all are alike. group: int (haplotypes,), strata within which matches are sought."""
    haplotype = np.argsort(group, kind="stable")
    since = np.zeros(len(group), dtype=np.int32)
    ordered = group[haplotype]
    since[np.append(True, ordered[1:] != ordered[:-1])] = NEVER
    return Order(haplotype, since)


def advance(order: Order, code: np.ndarray, group: np.ndarray, window: int) -> Order:
    """The order after a window. code: int64 (haplotypes,), classes in window number `window`."""
    classes = int(code.max()) + 1
    key = group[order.haplotype].astype(np.int64) * classes + code[order.haplotype]
    if key.max() < 2**16 - 1:
        key = key.astype(np.uint16)  # which numpy sorts in linear time
    place = np.argsort(key, kind="stable")
    sorted_key = key[place]
    since = np.full(len(code), window + 1, dtype=np.int32)
    same = np.flatnonzero(sorted_key[1:] == sorted_key[:-1]) + 1
    since[same] = range_maxima(order.since, place[same - 1] + 1, place[same] + 1)
    ordered = sorted_key // classes
    since[np.append(True, ordered[1:] != ordered[:-1])] = NEVER
    return Order(order.haplotype[place], since)


def range_maxima(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """max(values[low:high]) of many ranges, none of them empty, by maxima over powers of two."""
    level = np.frexp((high - low).astype(np.float64))[1] - 1
    result = np.empty(len(low), dtype=values.dtype)
    table, width = values, 1
    for power in range(int(level.max(initial=-1)) + 1):
        if power:
            table, width = np.maximum(table[:-width], table[width:]), 2 * width
        mine = np.flatnonzero(level == power)
        result[mine] = np.maximum(table[low[mine]], table[high[mine] - width])
    return result


def longest_matches(order: Order, haplotype: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The `number` other haplotypes of the group that are identical for longest to the left, by length.

    haplotype: int64 (n,). Returns them, int64 (n, number), -1 where the group has no more, and the windows from which
    on they are identical, int32 (n, number). Of equally long ones those nearest in the order come first.
    """
    place = np.empty(len(order.haplotype), dtype=np.int64)
    place[order.haplotype] = np.arange(len(place))
    middle, last = place[haplotype], len(place) - 1
    step = np.arange(number)
    above = order.since[np.clip(middle[:, None] - step, 0, last)]
    below = order.since[np.clip(middle[:, None] + step + 1, 0, last)]
    below = np.where(middle[:, None] + step + 1 > last, NEVER, below)
    above, below = (np.maximum.accumulate(side, axis=1) for side in (above, below))
    since = np.stack([above, below], axis=2).reshape(len(haplotype), -1)
    where = np.stack([middle[:, None] - step - 1, middle[:, None] + step + 1], axis=2).reshape(len(haplotype), -1)
    first = np.argsort(since, axis=1, kind="stable")[:, :number]
    since, where = (np.take_along_axis(a, first, axis=1) for a in (since, where))
    return np.where(since == NEVER, -1, order.haplotype[np.clip(where, 0, last)]), since
