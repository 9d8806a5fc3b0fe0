"""Meiosis: where a gamete crosses over between its parent's two haplotypes.

Genetic positions are uint32 fractions of the chromosome's map length, x = cM / length * 2^32, so that all
arithmetic is on integers and the same bits come out of numpy and JAX on any device. Crossovers follow
Haldane's model: their number is Poisson with the map length in Morgans as mean, their positions are
uniform in genetic distance (Haldane 1919, J Genet 8:299).
"""

import math
from typing import NamedTuple

import numpy as np

from pseudocohort import counter

NONE = 2**32 - 1  # no crossover; above every crossover's position
LAST = 2**32 - 2  # the greatest position of a crossover


class Gametes(NamedTuple):
    """Gametes of one generation; gamete 2i is the one person i got from the father, 2i + 1 from the mother.

    start: uint32 (gametes,), 0 or 1: the parental haplotype that the gamete begins with (0 the parent's paternal).
    crossover: uint32 (gametes, most crossovers), ascending, NONE where there are fewer. At and beyond a
    crossover's position the other parental haplotype is passed on.
    """

    start: np.ndarray
    crossover: np.ndarray


def stream(seed: int, chrom: str, generation: int) -> tuple[int, int]:
    """Key of the meioses that made a generation's gametes of a chromosome."""
    return counter.key(seed, "meiosis", chrom, generation)


def crossover_thresholds(length_morgan: float) -> np.ndarray:
    """Poisson distribution function of the crossover number as uint32: a draw u gives #{k: T_k <= u}.

    T_k = round(2^32 P(number <= k)). Its length is the greatest number that can occur; what lies beyond has a
    probability below 2^-32.
    """
    if not 0 <= length_morgan < 100:
        raise ValueError(f"map length of {length_morgan} Morgans; is it in centimorgans?")
    probability = cumulative = math.exp(-length_morgan)
    thresholds, k = [], 0
    while round(cumulative * 2**32) < 2**32:
        thresholds.append(round(cumulative * 2**32))
        k += 1
        probability *= length_morgan / k
        cumulative += probability
    return np.array(thresholds, dtype=np.uint32)


def make_gametes(key, n: int, thresholds: np.ndarray, xp=np, whole_from_father: bool = False) -> Gametes:
    """Draw all gametes of a generation.

    key: two words from `stream` (ints or traced scalars); n: number of gametes; thresholds: from
    `crossover_thresholds`; xp: numpy or jax.numpy. whole_from_father: as on X, the father passes on the one
    haplotype that he has from his mother, without a crossover.
    Every gamete has its own counters, so its draws do not depend on n.
    """
    gamete = xp.arange(n, dtype=xp.uint32)
    first, second = counter.bits(key, gamete, xp.uint32(0), xp)
    number = xp.searchsorted(xp.asarray(thresholds), first, side="right").astype(xp.uint32)
    start = second & xp.uint32(1)
    if whole_from_father:
        paternal = (gamete & xp.uint32(1)) == 0
        number, start = xp.where(paternal, xp.uint32(0), number), xp.where(paternal, xp.uint32(1), start)
    width = len(thresholds) if xp is not np else int(number.max(initial=0))
    positions = _positions_numpy if xp is np else _positions
    return Gametes(start, positions(key, number, max(width, 1), xp))


def _positions(key, number, width: int, xp):
    """Sorted crossovers (gametes, width), all counters drawn and those beyond `number` set to NONE."""
    pair = xp.arange((width + 1) // 2, dtype=xp.uint32)
    gamete = xp.arange(len(number), dtype=xp.uint32)
    drawn = xp.stack(counter.bits(key, gamete[:, None], pair + xp.uint32(1), xp), axis=2)
    drawn = drawn.reshape(len(number), -1)[:, :width]
    used = xp.arange(width, dtype=xp.uint32) < number[:, None]
    return xp.sort(xp.where(used, xp.minimum(drawn, xp.uint32(LAST)), xp.uint32(NONE)), axis=1)


def _positions_numpy(key, number: np.ndarray, width: int, xp) -> np.ndarray:
    """The same, drawing only the counters in use: on a CPU half of them and more are not."""
    crossover = np.full((len(number), width + width % 2), NONE, dtype=np.uint32)
    for j in range((width + 1) // 2):
        gamete = np.flatnonzero(number > 2 * j)
        first, second = counter.bits(key, gamete.astype(np.uint32), np.uint32(j + 1))
        crossover[gamete, 2 * j] = np.minimum(first, np.uint32(LAST))
        both = number[gamete] > 2 * j + 1
        crossover[gamete[both], 2 * j + 1] = np.minimum(second[both], np.uint32(LAST))
    crossover.sort(axis=1)
    return crossover
