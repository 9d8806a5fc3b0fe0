"""Windows of founder haplotypes that many families carry: what may be released, and what stands for the rest.

In a window the founder haplotypes fall into classes of identical alleles. A class is allowed where enough distinct
families carry it (k-anonymity, Sweeney 2002, Int J Uncertain Fuzz 10:557, of haplotypes in place of records); every
other one is replaced by the allowed class that differs at the fewest sites. At a share of k / families there are at
most 2 families / k allowed classes, so distances cost that many times the classes that are rare, not all pairs.
"""

from typing import NamedTuple

import numpy as np

from pseudocohort import counter

_ODD = np.uint64(0x9E3779B97F4A7C15)
ROWS = 2**21  # distances held together


class Classes(NamedTuple):
    """Distinct haplotypes of a window, in an order that follows from the founders alone.

    code: int64 (haplotypes,), class of each founder haplotype. words: uint32 (tiles, classes), their alleles, 32
    sites a word. families: int64 (classes,), distinct families that carry a class. carrier: int64 (classes,), the
    first founder haplotype of the class. name: uint32 (classes,), the same for the same alleles.
    """

    code: np.ndarray
    words: np.ndarray
    families: np.ndarray
    carrier: np.ndarray
    name: np.ndarray


def classify(words: np.ndarray, family: np.ndarray) -> Classes:
    """The classes of a window. words: uint32 (tiles, haplotypes); family: int64 (haplotypes,), from 0.

    Alleles are compared by 64-bit hashes: of 200,000 different haplotypes two have the same with probability 1e-9.
    """
    key = hashes(words)
    _, carrier, code = np.unique(key, return_index=True, return_inverse=True)
    name = (key[carrier] >> np.uint64(32)).astype(np.uint32)
    return Classes(code, words[:, carrier], distinct_families(code, family, len(carrier)), carrier, name)


def hashes(words: np.ndarray) -> np.ndarray:
    """uint64 (columns,), a hash of every column of uint32 (tiles, columns) (rounds of splitmix64's finaliser)."""
    key = np.full(words.shape[1], _ODD)
    for row in words:
        key ^= row
        key ^= key >> np.uint64(30)
        key *= np.uint64(0xBF58476D1CE4E5B9)
        key ^= key >> np.uint64(27)
        key *= np.uint64(0x94D049BB133111EB)
        key ^= key >> np.uint64(31)
    return key


def distinct_families(code: np.ndarray, family: np.ndarray, classes: int) -> np.ndarray:
    """Families with at least one haplotype in each class, int64 (classes,)."""
    families = int(family.max(initial=0)) + 1
    key = code * families + family
    key.sort()
    first = np.append(True, key[1:] != key[:-1])
    return np.bincount(key[first] // families, minlength=classes)


def allowed_classes(classes: Classes, least: int, most: int, stream: tuple[int, int], window: int) -> np.ndarray:
    """Classes that enough families carry: int64, ascending.

    least, most: every class's threshold is drawn uniformly from least..most, by its alleles and the window, so that
    one family more or less seldom decides what is released. least = most is plain k-anonymity.
    """
    draw, _ = counter.bits(stream, classes.name, np.uint32(window))
    spread = (draw.astype(np.uint64) * np.uint64(most - least + 1)) >> np.uint64(32)
    return np.flatnonzero(classes.families >= least + spread.astype(np.int64))


def replacements(
    classes: Classes, allowed: np.ndarray, wanted: np.ndarray, draw: np.ndarray, window: int, stream: tuple[int, int]
) -> np.ndarray:
    """The class that stands for each haplotype: int64 (haplotypes,).

    wanted: int64 (haplotypes,), its class; draw: uint32 (haplotypes,), which counter its draws have. An allowed class
    stays; else the one with the fewest differing sites is taken, and of several such one in proportion to the families
    that carry it, so that frequencies stay.
    """
    emitted = wanted.copy()
    place = np.full(len(classes.carrier), -1)
    place[allowed] = np.arange(len(allowed))
    rare = np.flatnonzero(place[wanted] < 0)
    if len(rare) == 0:
        return emitted
    kinds, kind = np.unique(wanted[rare], return_inverse=True)
    share, _ = counter.bits(stream, draw[rare], np.uint32(window))
    step = max(1, ROWS // len(allowed))
    for top in range(0, len(kinds), step):
        cumulative = _nearest_weights(classes, allowed, kinds[top : top + step])
        mine = np.flatnonzero((kind >= top) & (kind < top + step))
        for low in range(0, len(mine), step):
            rows = mine[low : low + step]
            table = cumulative[kind[rows] - top]
            aim = share[rows].astype(np.int64) * table[:, -1] >> 32
            emitted[rare[rows]] = allowed[(table <= aim[:, None]).sum(axis=1)]
    return emitted


def _nearest_weights(classes: Classes, allowed: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Cumulative families of the nearest allowed classes of some classes: int64 (kinds, allowed)."""
    apart = differences(classes.words[:, kinds], classes.words[:, allowed])
    nearest = apart == apart.min(axis=1, keepdims=True)
    return np.cumsum(np.where(nearest, classes.families[allowed], 0), axis=1)


def differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Sites at which haplotypes differ: int32 (a, b), from words (tiles, a) and (tiles, b)."""
    apart = np.zeros((first.shape[1], second.shape[1]), dtype=np.int32)
    for one, other in zip(first, second, strict=True):
        apart += np.bitwise_count(one[:, None] ^ other[None, :])
    return apart
