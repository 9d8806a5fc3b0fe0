"""Kernels of the mosaic: all segments one generation back, on the host and on a device, to the same result.

A segment of a person of generation g is cut at the crossovers of the gamete that brought it, and each piece belongs to
one haplotype of the parent in generation g - 1. A segment reaches to just before the next one's start; the last of a
haplotype is followed by a start of 0, which wraps to the chromosome's end. A segment between two equal crossovers is
empty and stays one piece, until the mosaic is merged.
"""

from dataclasses import fields
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from pseudocohort.genome.meiosis import DrawnGametes, Gametes, check_room, draw_gametes, make_gametes
from pseudocohort.genome.recombination import LAST, Process, Recombination

ALL = np.uint64(2**64 - 1)
WINDOW = np.uint32(26)  # a gamete is summed up in 64 windows of 2^26


class Trace(NamedTuple):
    """Segments of a chunk of pseudo haplotypes, at some generation, ordered by haplotype and start.

    gamete: int32 (segments,): 2 person + (0 from the father, 1 from the mother) in the current generation.
    start: uint32 (segments,). offset: int64 host array (haplotypes + 1,).
    On JAX the arrays of segments are padded with zeros to a power of two.
    """

    gamete: np.ndarray
    start: np.ndarray
    offset: np.ndarray


class Generation(NamedTuple):
    """A generation's gametes on the host, ready to be looked up.

    summary: uint64 (gametes, 4): bit i of word 0 says whether a crossover is in window i, of word 1 which haplotype is
    passed on where window i begins; word 2 is 2 x the parent's row, word 3 the number of the first crossover.
    """

    summary: np.ndarray
    gametes: DrawnGametes


def generation_back(key, parent: np.ndarray, recombination: Recombination, sex, xp):
    """The function that takes a trace one generation back.

    key: of the generation's meioses; parent: int32 (gametes,), row of the parent of each gamete; sex: on X, int8 of
    the children, else None; xp: numpy or jax.numpy.
    """
    if xp is np:
        gametes = draw_gametes(key, len(parent), recombination, sex)
        return partial(_cut, generation=Generation(_summary(gametes, parent), gametes))
    unused = power_of_two(len(parent)) - len(parent)
    sex = None if sex is None else np.pad(sex, (0, unused // 2))
    gametes = device_gametes(key, len(parent) + unused, recombination, sex, xp)
    return partial(_cut_padded, gametes=gametes, parent=xp.asarray(np.pad(parent, (0, unused))), xp=xp)


def _summary(gametes: DrawnGametes, parent: np.ndarray) -> np.ndarray:
    offset, one = gametes.offset, np.uint64(1)
    summary = np.zeros((len(parent), 4), dtype=np.uint64)
    some = np.flatnonzero(offset[1:] > offset[:-1])
    window = (gametes.crossover >> WINDOW).astype(np.uint64)
    summary[:, 1] = np.where(gametes.start == 1, ALL, np.uint64(0))
    if len(some):
        summary[some, 0] = np.bitwise_or.reduceat(one << window, offset[some])
        summary[some, 1] ^= np.bitwise_xor.reduceat((ALL - one) << window, offset[some])
    summary[:, 2] = 2 * parent.astype(np.uint64)
    summary[:, 3] = offset[:-1]
    return summary


def _cut(trace: Trace, generation: Generation) -> Trace:
    """Host: segments in whose windows no crossover is are looked up, the others cut one by one."""
    rows, start = generation.summary.take(trace.gamete, axis=0), trace.start
    end = np.append(start[1:], np.uint32(0)) - np.uint32(1)
    first, last = ((x >> WINDOW).astype(np.uint64) for x in (start, end))
    near = np.flatnonzero((rows[:, 0] >> first) << (first + np.uint64(63) - last))
    gamete = ((rows[:, 1] >> first & np.uint64(1)) | rows[:, 2]).astype(np.int32)
    haplotype, within, crossover = _cut_near(
        rows[near], first[near], last[near], start[near], end[near], trace.gamete[near], generation.gametes
    )
    gamete[near] = rows[near, 2].astype(np.int32) + haplotype
    pieces = np.ones(len(gamete), dtype=np.int64)
    pieces[near] += within
    bounds = np.append(0, np.cumsum(pieces))
    rank = np.arange(1, len(crossover) + 1) - np.repeat(np.cumsum(within) - within, within)
    at = np.repeat(bounds[near], within) + rank
    gamete, start = np.repeat(gamete, pieces), np.repeat(start, pieces)
    start[at] = crossover
    gamete[at] ^= (rank & 1).astype(np.int32)
    return Trace(gamete, start, bounds[trace.offset])


def _cut_near(rows, first, last, start, end, gamete, gametes: DrawnGametes):
    """Haplotype at the start, number of crossovers within, and these, of segments with crossovers in their windows.

    Windows with a crossover, counted before and beyond the segment, leave out crossovers that cannot be within: no
    fewer than are in other windows.
    """
    below = np.bitwise_count(rows[:, 0] & ((np.uint64(1) << first) - np.uint64(1))).astype(np.int64)
    beyond = np.bitwise_count(rows[:, 0] >> last >> np.uint64(1))
    low = rows[:, 3].astype(np.int64) + below
    number = gametes.offset[gamete + 1] - beyond - low
    total = np.cumsum(number)
    crossover = gametes.crossover[np.arange(number.sum()) + np.repeat(low - total + number, number)]
    passed = crossover <= np.repeat(start, number)
    inside = (crossover <= np.repeat(end, number)) & ~passed
    if len(number) == 0:
        return number.astype(np.int32), number, crossover
    before, within = (np.add.reduceat(a, total - number, dtype=np.int64) for a in (passed, inside))
    haplotype = (gametes.start[gamete] + below + before) & 1
    return haplotype.astype(np.int32), within, crossover[inside]


def _pieces(gamete, start, crossover, xp):
    """Device: crossovers of its gamete at or before each segment's start, and pieces that it is cut into."""
    rows = xp.take(crossover, gamete, axis=0)
    following = xp.concatenate([start[1:], xp.zeros(1, dtype=xp.uint32)])
    end = xp.minimum(following - xp.uint32(1), xp.uint32(LAST))
    before = xp.sum(rows <= start[:, None], axis=1, dtype=xp.int32)
    within = xp.sum(rows <= end[:, None], axis=1, dtype=xp.int32) - before
    return before, xp.maximum(within, 0) + 1


def _expand(gamete, start, before, first, segment, gametes: Gametes, parent, xp):
    """Gametes (of the generation before) and starts of the pieces; segment: the segment that each is cut from."""
    piece = xp.arange(len(segment), dtype=xp.int32) - xp.take(first, segment)
    brought = xp.take(gamete, segment)
    crossed = xp.take(before, segment) + piece
    cut_at = gametes.crossover[brought, xp.maximum(crossed - 1, 0)]
    haplotype = (xp.take(gametes.start, brought).astype(xp.int32) + crossed) & 1
    return 2 * xp.take(parent, brought) + haplotype, xp.where(piece == 0, xp.take(start, segment), cut_at)


def device_gametes(key, n: int, recombination: Recombination, sex, xp) -> Gametes:
    """`make_gametes` on the device; raises OverflowError where a gamete has more chiasmata than there is room for."""
    children = None if sex is None else xp.asarray(sex)
    gametes, overflow = _jitted()["gametes"](xp.asarray(key, dtype=xp.uint32), n, recombination, children)
    check_room(bool(overflow))
    return gametes


def _cut_padded(trace: Trace, gametes: Gametes, parent, xp) -> Trace:
    """Device: a first pass counts the pieces exactly, so that none can be lost."""
    valid = int(trace.offset[-1])
    gamete, start = (_padded(a, power_of_two(valid), xp) for a in (trace.gamete, trace.start))
    before, bounds = _jitted()["pieces"](gamete, start, gametes.crossover, valid)
    host = np.asarray(bounds).astype(np.int64)
    total = int(host[valid])
    gamete, start = _jitted()["expand"](gamete, start, before, bounds, gametes, parent, power_of_two(total))
    return Trace(gamete, start, host[trace.offset])


@lru_cache
def _jitted() -> dict:
    """JAX's versions of the kernels; compiled once for each padded size."""
    import jax
    import jax.numpy as jnp

    for kind, static in ((Process, ("room",)), (Recombination, ("inheritance", "haploid"))):
        names = [field.name for field in fields(kind)]
        jax.tree_util.register_dataclass(kind, [name for name in names if name not in static], static)

    @partial(jax.jit, static_argnums=1)
    def gametes(key, n, recombination, sex):
        return make_gametes((key[0], key[1]), n, recombination, sex, jnp)

    @jax.jit
    def pieces(gamete, start, crossover, valid):
        before, number = _pieces(gamete, start, crossover, jnp)
        number = jnp.where(jnp.arange(len(number)) < valid, number, 0)
        return before, jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(number, dtype=jnp.int32)])

    @partial(jax.jit, static_argnums=6)
    def expand(gamete, start, before, bounds, gametes, parent, capacity):
        segment = jnp.repeat(jnp.arange(len(gamete)), jnp.diff(bounds), total_repeat_length=capacity)
        made = _expand(gamete, start, before, bounds[:-1], segment, gametes, parent, jnp)
        used = jnp.arange(capacity) < bounds[-1]
        return tuple(jnp.where(used, a, jnp.zeros((), a.dtype)) for a in made)

    return {"gametes": gametes, "pieces": pieces, "expand": expand}


def power_of_two(n: int) -> int:
    """Padded size for n elements, at least 1024, so that few sizes are compiled."""
    size = max(1024, 1 << max(n - 1, 0).bit_length())
    if size >= 2**31:
        raise ValueError(f"{n} segments in one chunk exceed 32-bit indices; use a smaller chunk")
    return size


def _padded(array, size: int, xp):
    """The array with zeros up to `size`, on the device."""
    array = xp.asarray(array)
    return array if len(array) == size else xp.pad(array, (0, size - len(array)))
