"""Meiosis: where a gamete crosses over between its parent's two haplotypes.

All draws are counter-based and all arithmetic is on 32-bit integers, so the same bits come out of numpy and JAX on any
device, and a gamete's draws do not depend on how many gametes are drawn. On the host gametes are drawn in blocks and
only as many crossovers as they have (`draw_gametes`); on a device all columns are drawn (`make_gametes`).

Crossovers of Haldane's model (1919, J Genet 8:299) are Poisson in number and uniform on the sex's map. Chiasmata of the
models with interference are drawn one after the other, and the lowest bit of a distance's draw says whether the gamete
has it (it moves the distance by a probability of 2^-32). A gene conversion is two more crossovers, at its tract's ends.
"""

from typing import NamedTuple

import numpy as np

from pseudocohort import counter
from pseudocohort.genome.recombination import LAST, NONE, Process, Recombination, interpolate

# Second counters of a gamete's draws: 0 the number of crossovers and the start, from 1 their positions, two each
CHIASMATA, TRACTS = 2**12, 2**14
BLOCK = 2**15  # gametes drawn together on the host (memory only); even


class Gametes(NamedTuple):
    """Gametes of one generation; gamete 2i is the one person i got from the father, 2i + 1 from the mother.

    start: uint32 (gametes,), 0 or 1: the parental haplotype that the gamete begins with (0 the parent's paternal).
    crossover: uint32 (gametes, most crossovers), fractions of the coordinate, ascending, NONE where there are fewer. At
    and beyond a crossover's position the other parental haplotype is passed on.
    """

    start: np.ndarray
    crossover: np.ndarray


class DrawnGametes(NamedTuple):
    """The same without padding: gamete i has the crossovers offset[i]:offset[i + 1]; offset int64 (gametes + 1,)."""

    start: np.ndarray
    offset: np.ndarray
    crossover: np.ndarray


def stream(seed: int, chrom: str, generation: int) -> tuple[int, int]:
    """Key of the meioses that made a generation's gametes of a chromosome."""
    return counter.key(seed, "meiosis", chrom, generation)


def draw_gametes(key, n: int, recombination: Recombination, sex: np.ndarray | None = None) -> DrawnGametes:
    """Draw all gametes of a generation on the host.

    key: two words from `stream`; n: number of gametes; sex: on X, int8 (n / 2,) of the children.
    Raises OverflowError where a gamete has more chiasmata than there is room for (probability below 2^-40).
    """
    blocks = []
    for low in range(0, n, BLOCK):
        high = min(low + BLOCK, n)
        start, position = np.empty(high - low, dtype=np.uint32), []
        for first, step, process in _shares(recombination):
            gamete = np.arange(low + first, high, step, dtype=np.uint32)
            begins, before, row, placed = _drawn(key, gamete, process, recombination.from_bp)
            if recombination.haploid is not None and first == 0:
                begins = _father_of(sex[low // 2 : (high + 1) // 2], np.bincount(before, minlength=len(gamete)), np)
            start[first::step] = begins
            position.append((row.astype(np.uint64) * step + first) << 32 | placed)
        keys = np.concatenate(position)
        keys.sort()
        blocks.append((start, np.bincount((keys >> 32).view(np.int64), minlength=high - low), keys.astype(np.uint32)))
    start, number, crossover = map(np.concatenate, zip(*blocks, strict=True))
    return DrawnGametes(start, np.append(0, np.cumsum(number)), crossover)


def make_gametes(key, n: int, recombination: Recombination, sex=None, xp=np) -> tuple[Gametes, bool]:
    """Draw all gametes of a generation, padded to one width, with the arrays of xp, numpy or jax.numpy.

    key: two words from `stream` (ints or traced scalars); n, even, sex as for `draw_gametes`. Returns the gametes and
    whether one of them has more chiasmata than there is room for, as it must not.
    """
    parts = []
    for first, step, process in _shares(recombination):
        gamete = xp.arange(first, n, step, dtype=xp.uint32)
        begins, before, placed, overflow = _columns(key, gamete, process, recombination.from_bp, xp)
        if recombination.haploid is not None and first == 0:
            begins = _father_of(sex, before, xp)
        parts.append((begins, placed, overflow))
    width = max(placed.shape[1] for _, placed, _ in parts)
    padded = [xp.pad(p, ((0, 0), (0, width - p.shape[1])), constant_values=xp.uint32(NONE)) for _, p, _ in parts]
    start = xp.stack([begins for begins, _, _ in parts], axis=1).reshape(n)
    crossover = xp.stack(padded, axis=1).reshape(n, width)
    return Gametes(start, crossover), xp.any(xp.stack([overflow for *_, overflow in parts]))


def _shares(recombination: Recombination) -> list[tuple[int, int, Process]]:
    """First, step and process of the gametes that recombine alike; X always tells fathers and mothers apart."""
    if recombination.mother is None:
        return [(0, 1, recombination.father)]
    return [(0, 2, recombination.father), (1, 2, recombination.mother)]


def _father_of(sex, before, xp):
    """What a father's X and Y begin with, so that a daughter has his X (1) outside the PAR and a son his Y (0).

    sex: of the children; before: crossovers in PAR1.
    """
    return ((xp.asarray(sex) == 2) ^ (before & 1 == 1)).astype(xp.uint32)


def place_crossovers(process: Process, x, xp):
    """Crossovers at fractions x of a sex's map on the coordinate, and before LAST."""
    placed = x if process.place is None else interpolate(process.place, x, xp)
    return xp.minimum(_in_par(process, x, placed, xp), xp.uint32(LAST))


def _in_par(process: Process, x, placed, xp):
    """On X a father's go to the PAR that x is in: a part of a table may reach from one to the other."""
    if process.par is None:
        return placed
    split, low, high = (process.par[i] for i in range(3))
    return xp.where(x < split, xp.minimum(placed, low), xp.maximum(placed, high))


def tract_ends(process: Process, from_bp, x, length, xp):
    """Ends on the coordinate of the tracts drawn at x; NONE where one runs beyond the chromosome's end."""
    begin = interpolate(process.to_bp, x, xp)
    end = begin + interpolate(process.tract, length, xp)
    ends = [interpolate(from_bp, begin, xp), xp.where(end < begin, xp.uint32(NONE), interpolate(from_bp, end, xp))]
    first, last = (_in_par(process, x, placed, xp) for placed in ends)
    return xp.minimum(first, xp.uint32(LAST)), last


def _drawn(key, gamete: np.ndarray, process: Process, from_bp):
    """Host: starts, which gamete each crossover in PAR1 is of, and of every crossover the gamete and the position."""
    first, second = counter.bits(key, gamete, np.uint32(0))
    number = np.searchsorted(process.number, first, side="right")
    rows, x = _independent(key, gamete, number)
    if process.room:
        chiasmata = _chiasmata(key, gamete, process)
        rows, x = (np.concatenate(pair) for pair in zip((rows, x), chiasmata, strict=True))
    before = rows[:0] if process.par is None else rows[x < process.par[0]]
    placed = place_crossovers(process, x, np)
    if process.tracts is not None:
        of, ends = _tracts(key, gamete, process, from_bp)
        rows, placed = np.concatenate([rows, of]), np.concatenate([placed, ends])
    return second & np.uint32(1), before, rows, placed


def _independent(key, gamete: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gamete (index) and fraction of the sex's map of so many crossovers each, not sorted."""
    row, x = [], []
    for j in range((int(number.max(initial=0)) + 1) // 2):
        one = np.flatnonzero(number > 2 * j)
        drawn = counter.bits(key, gamete[one], np.uint32(j + 1))
        both = number[one] > 2 * j + 1
        row += [one, one[both]]
        x += [drawn[0], drawn[1][both]]
    if not row:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint32)
    return np.concatenate(row), np.minimum(np.concatenate(x), np.uint32(LAST))


def _chiasmata(key, gamete: np.ndarray, process: Process) -> tuple[np.ndarray, np.ndarray]:
    """The same of the chiasmata that the gametes have."""
    rows, found = [], []
    row, x = np.arange(len(gamete)), np.zeros(len(gamete), dtype=np.uint32)
    for k in range(process.room):
        if k % 2 == 0:
            drawn = counter.bits(key, gamete[row], np.uint32(CHIASMATA + k // 2))
        distance = interpolate(process.spacing if k else process.first, drawn[k % 2])
        following = x + distance
        inside = np.flatnonzero((following >= x) & (following < np.uint32(NONE)))
        row, x = row[inside], following[inside]
        drawn = [words[inside] for words in drawn]
        passed = drawn[k % 2] & np.uint32(1) == 1
        rows.append(row[passed])
        found.append(x[passed])
    check_room(len(row) > 0)
    return np.concatenate(rows), np.concatenate(found)


def _tracts(key, gamete: np.ndarray, process: Process, from_bp) -> tuple[np.ndarray, np.ndarray]:
    """Gamete (index) and position of the ends of gene conversions."""
    drawn, _ = counter.bits(key, gamete, np.uint32(TRACTS))
    number = np.searchsorted(process.tracts, drawn, side="right")
    row = np.repeat(np.arange(len(gamete)), number)
    which = np.arange(len(row)) - np.repeat(np.cumsum(number) - number, number)
    x, length = counter.bits(key, gamete[row], (TRACTS + 1 + which).astype(np.uint32))
    first, last = tract_ends(process, from_bp, x, length, np)
    inside = last != NONE
    return np.concatenate([row, row[inside]]), np.concatenate([first, last[inside]])


def _columns(key, gamete, process: Process, from_bp, xp):
    """Device: starts, numbers of crossovers in PAR1, sorted crossovers (gametes, width), and overflow."""
    u = xp.uint32
    first, second = counter.bits(key, gamete, u(0), xp)
    overflow, width = xp.asarray(False), max(len(process.number), 1)
    number = xp.searchsorted(xp.asarray(process.number), first, side="right")
    drawn = xp.minimum(_words(key, gamete, 1, width, xp), u(LAST))
    x = xp.where(xp.arange(width) < number[:, None], drawn, u(NONE))
    if process.room:
        chiasmata, overflow = _chiasmata_columns(key, gamete, process, xp)
        x = xp.concatenate([x, chiasmata], axis=1)
    before = 0 if process.par is None else xp.sum(x < process.par[0], axis=1)
    placed = xp.where(x == u(NONE), u(NONE), place_crossovers(process, x, xp))
    if process.tracts is not None:
        width = max(len(process.tracts), 1)
        drawn, _ = counter.bits(key, gamete, u(TRACTS), xp)
        number = xp.searchsorted(xp.asarray(process.tracts), drawn, side="right")
        words = _words(key, gamete, TRACTS + 1, 2 * width, xp)
        used = xp.arange(width) < number[:, None]
        ends = tract_ends(process, from_bp, words[:, 0::2], words[:, 1::2], xp)
        placed = xp.concatenate([placed, *(xp.where(used, end, u(NONE)) for end in ends)], axis=1)
    return second & u(1), before, xp.sort(placed, axis=1), overflow


def _words(key, gamete, counter_from: int, width: int, xp):
    """The first `width` words of the gametes' draws from a second counter on: uint32 (gametes, width)."""
    pair = xp.arange((width + 1) // 2, dtype=xp.uint32) + xp.uint32(counter_from)
    return xp.stack(counter.bits(key, gamete[:, None], pair, xp), axis=2).reshape(len(gamete), -1)[:, :width]


def _chiasmata_columns(key, gamete, process: Process, xp):
    """Chiasmata that the gametes have (gametes, room), NONE elsewhere, and whether there are more."""
    none, words = xp.uint32(NONE), _words(key, gamete, CHIASMATA, process.room, xp)
    x, columns = xp.zeros(len(gamete), dtype=xp.uint32), []
    for k in range(process.room):
        following = x + interpolate(process.spacing if k else process.first, words[:, k], xp)
        x = xp.where((following < x) | (x == none), none, following)
        columns.append(xp.where(words[:, k] & 1 == 1, x, none))
    return xp.stack(columns, axis=1), xp.any(x != none)


def check_room(overflow: bool) -> None:
    if overflow:
        raise OverflowError("a gamete has more chiasmata than there is room for; this has a probability below 2^-40")
