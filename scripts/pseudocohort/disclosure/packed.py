"""Haplotypes as bits: by site for what sweeps along a chromosome, by haplotype for what compares two of them.

A panel of any number of people lies in a file (`Filed`): what sweeps reads a block of sites of all of them, what
compares reads all sites of a batch of them. Memory is then that of one block or batch, and both give what they would
give of a panel in memory, as nothing is merged.
"""

import copy
import os
import tempfile
import weakref
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

SITES_AT_ONCE = 256
ALLELES_AT_ONCE = 2**23
BATCH = 1000  # bytes of a row, 4,000 people


class Filed:
    """Rows of `Packed` in a nameless file of a folder, which goes when nobody holds it; batch after batch of people, so
    that some sites of all people and all sites of a batch each are a few long reads."""

    def __init__(self, folder: str | Path | None, sites: int, number: int):
        """number: of haplotypes."""
        with tempfile.TemporaryFile(dir=folder) as file:
            self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)
        width = -(-number // 8)
        self._edges = [*range(0, width, BATCH), width]
        self._in_file, self._sites = sites, np.arange(sites)

    def __len__(self) -> int:
        return len(self._sites)

    def write(self, low: int, rows: np.ndarray) -> None:
        """Rows of all people, uint8 (some sites, bytes), from site `low` on."""
        for first, last in pairwise(self._edges):
            _write(self._file, np.ascontiguousarray(rows[:, first:last]), self._place(first, last, low))

    def __getitem__(self, sites: slice) -> np.ndarray:
        """Rows of all people at some sites, uint8 (sites, bytes)."""
        return np.concatenate([self._read(*ends, self._sites[sites]) for ends in pairwise(self._edges)], axis=1)

    def batches(self) -> Iterator[tuple[int, np.ndarray]]:
        """First byte of a batch of people, and its rows, uint8 (sites, bytes of the batch)."""
        for first, last in pairwise(self._edges):
            yield first, self._read(first, last, self._sites)

    def select(self, sites: np.ndarray) -> "Filed":
        """Some sites only, of the same file."""
        some = copy.copy(self)
        some._sites = self._sites[sites]
        some._whole = self  # whose end closes the file
        return some

    def _place(self, first: int, last: int, site: int) -> int:
        return self._in_file * first + site * (last - first)

    def _read(self, first: int, last: int, sites: np.ndarray) -> np.ndarray:
        if not len(sites):
            return np.empty((0, last - first), dtype=np.uint8)
        rows = np.empty((sites[-1] + 1 - sites[0], last - first), dtype=np.uint8)
        _fill(self._file, rows, self._place(first, last, int(sites[0])))
        return rows if len(rows) == len(sites) else rows[sites - sites[0]]


def _write(file: int, rows: np.ndarray, place: int) -> None:
    data = memoryview(rows).cast("B")
    while len(data):  # the system may take less than it is given
        done = os.pwrite(file, data, place)
        data, place = data[done:], place + done


def _fill(file: int, rows: np.ndarray, place: int) -> None:
    data = memoryview(rows).cast("B")
    while len(data):
        done = os.preadv(file, [data], place)
        if not done:
            raise OSError("the file of packed haplotypes is shorter than what was written")
        data, place = data[done:], place + done


class Packed(NamedTuple):
    """Alleles of one chromosome. rows: uint8 (sites, bytes), bit h % 8 of byte h // 8 that of haplotype h. number:
    of haplotypes."""

    rows: np.ndarray | Filed
    number: int

    def blocks(self, size: int = SITES_AT_ONCE) -> Iterator[np.ndarray]:
        """Alleles, uint8 (sites of a block, haplotypes), block after block."""
        for low in range(0, len(self.rows), size):
            yield np.unpackbits(self.rows[low : low + size], axis=1, count=self.number, bitorder="little")

    def batches(self) -> Iterator[tuple[int, "Packed"]]:
        """Number of the first haplotype, and the haplotypes, in memory, of batches of people at all sites."""
        if isinstance(self.rows, Filed):
            for first, rows in self.rows.batches():
                yield 8 * first, Packed(rows, min(8 * rows.shape[1], self.number - 8 * first))
        else:
            yield 0, self


def spread(number: int, most: int) -> np.ndarray:
    """At most `most` of 0 ... number - 1, evenly spread: int64, ascending."""
    return np.unique(np.linspace(0, number - 1, min(number, most)).round().astype(np.int64))


def sites_at_once(number: int) -> int:
    """Sites of a block of so many haplotypes, for its memory to be bounded."""
    return max(8, min(SITES_AT_ONCE, ALLELES_AT_ONCE // max(1, number)))


def pack(alleles: np.ndarray | Packed) -> Packed:
    """Packed haplotypes of alleles (sites, haplotypes), 0 or anything else; what is packed is returned as it is."""
    if isinstance(alleles, Packed):
        return alleles
    rows = np.empty((len(alleles), -(-alleles.shape[1] // 8)), dtype=np.uint8)
    for low in range(0, len(alleles), SITES_AT_ONCE):
        rows[low : low + SITES_AT_ONCE] = np.packbits(alleles[low : low + SITES_AT_ONCE], axis=1, bitorder="little")
    return Packed(rows, alleles.shape[1])


def joint_blocks(first: Packed, second: Packed) -> Iterator[np.ndarray]:
    """Alleles of the haplotypes of both, uint8 (sites of a block, haplotypes of the first and then of the second)."""
    size = sites_at_once(first.number + second.number)
    for one, other in zip(first.blocks(size), second.blocks(size), strict=True):
        yield np.concatenate([one, other], axis=1)


def words(packed: Packed) -> np.ndarray:
    """Alleles in words of 64 sites, uint64 (words, haplotypes): bit k % 64 of word k // 64 is that of site k."""
    made = np.zeros((-(-len(packed.rows) // 64), packed.number), dtype=np.uint64)
    for place, row in enumerate(word_rows(packed)):
        made[place] = row
    return made


def word_rows(packed: Packed) -> Iterator[np.ndarray]:
    """The rows of `words`, one after the other: uint64 (haplotypes,)."""
    for block in packed.blocks(64):
        bytes_ = np.zeros((8, packed.number), dtype=np.uint8)
        short = np.packbits(block, axis=0, bitorder="little")
        bytes_[: len(short)] = short
        yield np.ascontiguousarray(bytes_.T).view("<u8")[:, 0]


def select(packed: Packed, sites: np.ndarray) -> Packed:
    """Some sites only. sites: bool (sites,) or numbers; all of them costs nothing."""
    if sites.dtype == bool and sites.all():
        return packed
    rows = packed.rows.select(sites) if isinstance(packed.rows, Filed) else packed.rows[sites]
    return Packed(rows, packed.number)


def in_memory(packed: Packed) -> Packed:
    """The same haplotypes, in memory."""
    if not isinstance(packed.rows, Filed):
        return packed
    return Packed(np.concatenate([rows for _, rows in packed.rows.batches()], axis=1), packed.number)


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
    found = np.empty(len(packed.rows), dtype=np.int64)
    for low in range(0, len(found), SITES_AT_ONCE):
        at = slice(low, low + SITES_AT_ONCE)
        found[at] = np.bitwise_count(packed.rows[at]).sum(axis=1, dtype=np.int64)
    return found


def products(packed: Packed, weights: np.ndarray) -> np.ndarray:
    """Sum over sites of allele times weight: weights (sites, columns) -> float64 (haplotypes, columns)."""
    total = np.zeros((packed.number, weights.shape[1]))
    for place, block in enumerate(packed.blocks()):
        part = weights[place * SITES_AT_ONCE : place * SITES_AT_ONCE + len(block)].astype(np.float32)
        total += block.T.astype(np.float32) @ part
    return total
