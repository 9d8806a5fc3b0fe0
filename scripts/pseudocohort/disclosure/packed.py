"""Haplotypes as bits: by site for what sweeps along a chromosome, by haplotype for what compares two of them."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

SITES_AT_ONCE = 256


class Packed(NamedTuple):
    """Alleles of one chromosome. rows: uint8 (sites, bytes), bit h % 8 of byte h // 8 that of haplotype h. number:
    of haplotypes."""

    rows: np.ndarray
    number: int

    def blocks(self, size: int = SITES_AT_ONCE) -> Iterator[np.ndarray]:
        """Alleles, uint8 (sites of a block, haplotypes), block after block."""
        for low in range(0, len(self.rows), size):
            yield np.unpackbits(self.rows[low : low + size], axis=1, count=self.number, bitorder="little")


def pack(alleles: np.ndarray | Packed) -> Packed:
    """Packed haplotypes of alleles (sites, haplotypes), 0 or anything else; what is packed is returned as it is."""
    if isinstance(alleles, Packed):
        return alleles
    rows = np.empty((len(alleles), -(-alleles.shape[1] // 8)), dtype=np.uint8)
    for low in range(0, len(alleles), SITES_AT_ONCE):
        rows[low : low + SITES_AT_ONCE] = np.packbits(alleles[low : low + SITES_AT_ONCE], axis=1, bitorder="little")
    return Packed(rows, alleles.shape[1])


def joint_blocks(first: Packed, second: Packed, size: int = SITES_AT_ONCE) -> Iterator[np.ndarray]:
    """Alleles of the haplotypes of both, uint8 (sites of a block, haplotypes of the first and then of the second)."""
    for one, other in zip(first.blocks(size), second.blocks(size), strict=True):
        yield np.concatenate([one, other], axis=1)


def words(packed: Packed) -> np.ndarray:
    """Alleles in words of 64 sites, uint64 (words, haplotypes): bit k % 64 of word k // 64 is that of site k."""
    made = np.zeros((-(-len(packed.rows) // 64), packed.number), dtype=np.uint64)
    for place, block in enumerate(packed.blocks(64)):
        bytes_ = np.zeros((8, packed.number), dtype=np.uint8)
        short = np.packbits(block, axis=0, bitorder="little")
        bytes_[: len(short)] = short
        made[place] = np.ascontiguousarray(bytes_.T).view("<u8")[:, 0]
    return made


def select(packed: Packed, sites: np.ndarray) -> Packed:
    """Some sites only. sites: bool (sites,) or numbers; all of them costs nothing."""
    if sites.dtype == bool and sites.all():
        return packed
    return Packed(packed.rows[sites], packed.number)


def join(*parts: Packed) -> Packed:
    """The haplotypes of all, one after the other."""
    made = np.empty((len(parts[0].rows), -(-sum(p.number for p in parts) // 8)), dtype=np.uint8)
    for low in range(0, len(made), SITES_AT_ONCE):
        at = slice(low, low + SITES_AT_ONCE)
        blocks = [np.unpackbits(p.rows[at], axis=1, count=p.number, bitorder="little") for p in parts]
        made[at] = np.packbits(np.concatenate(blocks, axis=1), axis=1, bitorder="little")
    return Packed(made, sum(p.number for p in parts))


def counts(packed: Packed) -> np.ndarray:
    """Haplotypes with the allele 1 at each site, int64 (sites,)."""
    return np.bitwise_count(packed.rows).sum(axis=1, dtype=np.int64)


def products(packed: Packed, weights: np.ndarray) -> np.ndarray:
    """Sum over sites of allele times weight: weights (sites, columns) -> float64 (haplotypes, columns)."""
    total = np.zeros((packed.number, weights.shape[1]))
    for place, block in enumerate(packed.blocks()):
        part = weights[place * SITES_AT_ONCE : place * SITES_AT_ONCE + len(block)].astype(np.float32)
        total += block.T.astype(np.float32) @ part
    return total
