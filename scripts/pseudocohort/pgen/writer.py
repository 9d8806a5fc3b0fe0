"""Records of a .pgen made from alleles or carriers, and the file written from them, without pgenlib.

Alleles of a site are a row of uint32 words: bit 2i is haplotype 0 of the word's person i, bit 2i + 1 haplotype 1. How a
site is stored follows from its alleles alone (`_plan`), so that the bytes depend on no block size: a list of the people
who differ from 0|0 or 1|1 where that is at most a RARE-th of all; else one bit a person and a list of those with the
rarest genotype where these are fewer than that; else two bits a person. Where pgenlib's writer chooses the same type,
the bytes are its own. It also writes differences to other sites (types 2 and 3), which save 3 to 7 % of a file where
linkage disequilibrium is strong, but make every site depend on the ones before.
"""

import shutil
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pseudocohort.pgen import bits, lists
from pseudocohort.pgen.bits import EVEN, LOW, people_words, words_of
from pseudocohort.pgen.header import (
    COMMON_ALT,
    COMMON_REF,
    ONE_BIT,
    PHASED,
    TWO_BIT,
    write_header,
)
from pseudocohort.pgen.lists import Lists, offsets
from pseudocohort.pgen.reader import windows

RARE = 16  # a 64th would make files 20 to 40 % larger, a 10th 1 to 2 % smaller with half as many entries more


class Carriers(NamedTuple):
    """Who carries the minor allele at each of `sites` sites.

    flipped: bool (sites,), the minor allele is REF. key: ascending int64 (carriers,), site * haplotypes + haplotype.
    """

    flipped: np.ndarray
    key: np.ndarray


class Records(NamedTuple):
    """Encoded sites. kind: types, uint8 (sites,); data: uint8; bounds: int64 (sites + 1,), of the records in data."""

    kind: np.ndarray
    data: np.ndarray
    bounds: np.ndarray


class _Plan(NamedTuple):
    """How sites are stored. main: record type without bit 16, uint8 (sites,); rarest: genotype in the list of a
    one-bit record; hets: int64 (sites,)."""

    main: np.ndarray
    rarest: np.ndarray
    hets: np.ndarray


def encode_words(words, people: int, xp=np, absent: np.ndarray | None = None) -> Records:
    """Records of sites, from their alleles uint32 (sites, words).

    absent: bool (people,), whose calls are written as missing; sites then take two bits a person.
    """
    if len(words) == 0:
        return _nothing()
    if words.shape[1] < words_of(people):
        words = xp.concatenate([words, xp.zeros((len(words), 1), dtype=words.dtype)], axis=1)
    missing = None
    if absent is not None and absent.any():
        missing = people_words(absent) * np.uint32(3)
        words = words & xp.asarray(~missing)
    plan = _plan(words, people, xp, missing is not None)
    alone, one_bit = (plan.main >= COMMON_REF).nonzero()[0], (plan.main == ONE_BIT).nonzero()[0]
    listed = np.concatenate([alone, one_bit])
    entries, alleles = _entries(_rows(np.asarray(words), listed), plan, listed, people)
    assembly = _Assembly(plan, people, listed, entries)
    assembly.put_list_phase(alone, entries, alleles)
    common = (plan.main < COMMON_REF).nonzero()[0]
    for part, coded in _each(_coded, words, common, xp):
        assembly.put_common(part, coded, missing)
    return assembly.records()


def _nothing() -> Records:
    return Records(np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.uint8), np.zeros(1, dtype=np.int64))


def _rows(words: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return words if len(rows) == len(words) and (rows[1:] > rows[:-1]).all() else words[rows]


@lru_cache
def _jitted(kernel, xp):
    import jax

    return jax.jit(lambda words, rows: kernel(words[rows], xp))


def _each(kernel, words, rows: np.ndarray, xp):
    """The kernel's results for rows of words: (rows, results), as many as fit into a cache, or all on a device."""
    if xp is np:
        step = max(1, bits.CHUNK // words.shape[1])
        for top in range(0, len(rows), step):
            part = rows[top : top + step]
            yield part, kernel(_rows(words, part))
    elif len(rows):
        padded = np.zeros(1 << (len(rows) - 1).bit_length(), dtype=np.int32)  # so that few sizes are compiled
        padded[: len(rows)] = rows
        yield rows, tuple(np.asarray(a)[: len(rows)] for a in _jitted(kernel, xp)(words, padded))


def _counts(words, xp=np):
    """Heterozygotes and ALT homozygotes of sites, int32 (2, sites)."""
    first, second = bits.planes(words, xp)
    planes = first ^ second, first & second
    return tuple(xp.einsum("ij->i", xp.bitwise_count(plane).astype(xp.int32)) for plane in planes)


def _plan(words, people: int, xp, two_bit: bool) -> _Plan:
    counts = [results for _, results in _each(_counts, words, np.arange(len(words)), xp)]
    hets, homs = (np.concatenate(part).astype(np.int64) for part in zip(*counts, strict=True))
    number = np.stack([homs, people - hets - homs, hets])
    few, main = people // RARE, np.full(len(hets), TWO_BIT, dtype=np.uint8)
    if not two_bit:
        if people >= 4 * RARE:
            main[number.min(axis=0) < few] = ONE_BIT  # plink2 takes no more beside one bit a person
        main[homs >= people - few] = COMMON_ALT
        main[hets + homs <= few] = COMMON_REF
    return _Plan(main, np.array([2, 0, 1], dtype=np.uint8)[number.argmin(axis=0)], hets)


def _entries(words: np.ndarray, plan: _Plan, listed: np.ndarray, people: int) -> tuple[Lists, np.ndarray]:
    """The lists of the sites `listed`, whose words are given, and the alleles of those in them, uint8: 1 ALT on
    haplotype 0, 2 on 1, 3 on both."""
    main, rarest = plan.main[listed], plan.rarest[listed]
    one_bit = main == ONE_BIT
    use_het = (main == COMMON_REF) | one_bit & (rarest != 2)
    use_hom = ~one_bit | (rarest != 1)
    inverted = (main == COMMON_ALT) | one_bit & (rarest == 0)
    use_het, use_hom, inverted = (-flag.astype(np.uint32)[:, None] for flag in (use_het, use_hom, inverted))
    valid = bits.planes(people_words(np.ones(people, dtype=bool)))[0]
    step, places, numbers = max(1, bits.CHUNK // words.shape[1]), [], [np.zeros(0, dtype=np.int64)]
    for top in range(0, len(words), step):
        rows = slice(top, top + step)
        first, second = bits.planes(words[rows])
        chosen = first ^ second
        chosen &= use_het[rows]
        first &= second
        first &= use_hom[rows]
        chosen ^= first
        chosen ^= inverted[rows] & valid
        numbers.append(np.einsum("ij->i", np.bitwise_count(chosen).astype(np.int64)))
        places.append(bits.positions(bits.unzip(chosen).ravel()))
        places[-1] += top * 16 * words.shape[1]
    number = np.concatenate(numbers)
    place = np.concatenate(places) if places else number
    alleles = words.ravel().take(place >> 4, mode="wrap")
    alleles >>= (place.astype(np.uint32) & np.uint32(15)) << np.uint32(1)
    alleles &= np.uint32(3)
    alleles = alleles.astype(np.uint8)
    place -= (np.arange(len(words)) * (16 * words.shape[1])).repeat(number)
    return Lists(offsets(number), place.astype(np.uint32), (alleles & 1) + (alleles >> 1)), alleles


class _Assembly:
    """The bytes of records. entries: the lists of the sites `listed`, put in at once."""

    def __init__(self, plan: _Plan, people: int, listed: np.ndarray, entries: Lists):
        self.plan, self.people = plan, people
        whole, layout = np.zeros(8, dtype=np.int64), lists.lay_out(entries, people)
        whole[[TWO_BIT, ONE_BIT]] = -(-people // 4), 1 + -(-people // 8)
        whole = whole[plan.main]
        phase = ((plan.hets >> 3) + 1) * (plan.hets > 0)
        size = whole + phase
        size[listed] += layout.size
        self.bounds = offsets(size)
        self.phase = self.bounds[1:] - phase
        self.data = np.zeros((int(self.bounds[-1]) // 4 + 3) * 4, dtype=np.uint8)
        lists.write(self.data, (self.bounds[:-1] + whole)[listed], entries, layout, people)

    def records(self) -> Records:
        kind = self.plan.main | (self.plan.hets > 0).view(np.uint8) * np.uint8(PHASED)
        return Records(kind, self.data[: self.bounds[-1]], self.bounds)

    def put_list_phase(self, sites: np.ndarray, entries: Lists, alleles: np.ndarray) -> None:
        """Phase of the sites that are nothing but lists. entries, alleles: of these sites, and maybe others' behind."""
        bounds = entries.bounds[: len(sites) + 1]
        het = entries.genotype[: bounds[-1]] & 1
        rank = offsets(het)
        place = rank[:-1]
        place += (8 * self.phase[sites] + 1 - rank[bounds[:-1]]).repeat(bounds[1:] - bounds[:-1])
        shift = place.astype(np.uint8)
        shift &= 7
        place >>= 3
        het &= alleles[: len(het)]
        np.add.at(self.data, place, het << shift)

    def put_common(self, sites: np.ndarray, coded: tuple, missing: np.ndarray | None) -> None:
        """Sites of one or two bits a person. coded: of _coded; missing: uint32 (words,), genotypes 3, or None."""
        het, hom = coded[:2]
        one_bit = self.plan.main[sites] == ONE_BIT
        which = (~one_bit).nonzero()[0]
        if len(which):
            codes, size = bits.join_planes(_rows(het, which), _rows(hom, which)), -(-self.people // 4)
            if missing is not None:
                codes |= missing
            windows(self.data, size)[self.bounds[sites[which]]] = codes.view(np.uint8)[:, :size]
        which = one_bit.nonzero()[0]
        if len(which):
            self._put_one_bit(sites[which], _rows(het, which), _rows(hom, which))
        self._put_phase(sites, *coded[2:])

    def _put_one_bit(self, sites: np.ndarray, het: np.ndarray, hom: np.ndarray) -> None:
        rarest, size = self.plan.rarest[sites], -(-self.people // 8)
        self.data[self.bounds[sites]] = np.array([5, 2, 1])[rarest]
        flags = bits.unzip(het if (rarest == 2).all() else np.where((rarest == 2)[:, None], het, hom))
        windows(self.data, size)[self.bounds[sites] + 1] = flags.view(np.uint8)[:, :size]

    def _put_phase(self, sites: np.ndarray, piece: np.ndarray, number: np.ndarray) -> None:
        """Phase bits: `number` of them in every word of `piece`."""
        place = offsets(number.ravel())
        grid = place[:-1].reshape(number.shape)
        grid += (8 * self.phase[sites] + 1 - grid[:, 0])[:, None]
        place = place[:-1]
        shift, piece, stream = place.astype(np.uint32), piece.ravel(), self.data.view("<u4")
        shift &= np.uint32(31)
        place >>= 5
        np.add.at(stream, place, piece << shift)
        np.subtract(np.uint32(32), shift, out=shift)
        place += 1
        np.add.at(stream, place, piece >> shift)


def _coded(words, xp=np):
    """Planes of heterozygotes and ALT homozygotes, and the phase of the former: per pair of words as many bits, set
    for ALT on haplotype 0, at the lower end of a word, and their number. All but the last uint32 (sites, words / 2)."""
    first, second = bits.planes(words, xp)
    het = first ^ second
    piece = bits.unzip(bits.compress(first, het, xp, stride=2), xp)
    upper = piece >> np.uint32(16)
    upper <<= xp.bitwise_count(het & EVEN).astype(xp.uint32)
    piece &= LOW
    piece |= upper
    return het, first & second, piece, xp.bitwise_count(het)


def encode(carriers: Carriers, people: int, absent: np.ndarray | None = None) -> Records:
    """Records of sites whose minor allele's carriers are given: the same bytes as encode_words of the alleles."""
    flipped, key = carriers
    if len(flipped) == 0:
        return _nothing()
    sites, entry = np.arange(len(flipped)), key >> 1
    alone = np.ones(len(key) + 1, dtype=bool)  # not the person of the key before, or behind
    np.not_equal(entry[1:], entry[:-1], out=alone[1:-1])
    opening = alone[:-1].nonzero()[0]
    het = alone[1:].take(opening, mode="wrap")
    entry = entry.take(opening, mode="wrap")
    bounds = entry.searchsorted(np.append(sites, len(sites)) * people)
    number = bounds[1:] - bounds[:-1]
    short = number <= people // RARE if absent is None or not absent.any() else np.zeros(len(sites), dtype=bool)
    if not short.all():
        return _encode_some(carriers, people, absent, short)
    entry -= (sites * people).repeat(number)
    alleles = (key.take(opening, mode="wrap").astype(np.uint8) & 1) + np.uint8(1)
    alleles[~het] = 3
    alleles ^= (-flipped.astype(np.uint8) & np.uint8(3)).repeat(number)
    entries = Lists(bounds, entry.astype(np.uint32), (alleles & 1) + (alleles >> 1))
    hets = offsets(het)[bounds]
    main = np.where(flipped, np.uint8(COMMON_ALT), np.uint8(COMMON_REF))
    assembly = _Assembly(_Plan(main, main, hets[1:] - hets[:-1]), people, sites, entries)
    assembly.put_list_phase(sites, entries, alleles)
    return assembly.records()


def _encode_some(carriers: Carriers, people: int, absent, short: np.ndarray) -> Records:
    """As encode: the sites `short` as lists, the others as words."""
    haplotypes = 2 * people
    site = carriers.key // haplotypes
    parts, numbers = [], []
    for few in (True, False):
        which = np.flatnonzero(short == few)
        key = carriers.key[short[site] == few]
        key += (np.searchsorted(which, key // haplotypes) - key // haplotypes) * haplotypes
        part = Carriers(carriers.flipped[which], key)
        parts.append(encode(part, people) if few else encode_words(_words(part, people), people, absent=absent))
        numbers.append(which)
    return interleave(parts, numbers)


def _words(carriers: Carriers, people: int) -> np.ndarray:
    """Alleles as words."""
    site, haplotype = np.divmod(carriers.key, 2 * people)
    words = np.zeros((len(carriers.flipped), words_of(people)), dtype=np.uint32)
    bit = np.uint32(1) << (haplotype & 31).astype(np.uint32)
    np.add.at(words.reshape(-1), site * words.shape[1] + (haplotype >> 5), bit)
    words[carriers.flipped] ^= people_words(np.ones(people, dtype=bool)) * np.uint32(3)
    return words


def interleave(parts: Sequence[Records], sites: Sequence[np.ndarray]) -> Records:
    """The records of several parts in the order of their sites. sites: ascending int64, one array a part."""
    parts = [(part, numbers) for part, numbers in zip(parts, sites, strict=True) if len(numbers)]
    if not parts:
        return _nothing()
    if len(parts) == 1:
        return parts[0][0]
    order = np.argsort(np.concatenate([numbers for _, numbers in parts]), kind="stable")
    source = np.repeat(np.arange(len(parts)), [len(numbers) for _, numbers in parts])[order]
    opening = np.flatnonzero(np.diff(source, prepend=-1))
    first = np.concatenate([part.bounds[:-1] for part, _ in parts])[order]
    last = np.concatenate([part.bounds[1:] for part, _ in parts])[order]
    runs = (source[opening], first[opening], last[np.append(opening[1:], len(order)) - 1])
    views = [memoryview(np.ascontiguousarray(part.data)) for part, _ in parts]
    data = b"".join([views[which][a:b] for which, a, b in zip(*(run.tolist() for run in runs), strict=True)])
    bounds = np.append(0, np.cumsum(last - first))
    return Records(np.concatenate([part.kind for part, _ in parts])[order], np.frombuffer(data, np.uint8), bounds)


class RecordWriter:
    """A .pgen written piece after piece.

    The header stands first and needs the number of sites, so the records wait in a nameless temporary file beside the
    target until `close`.
    """

    def __init__(self, path: str | Path, people: int):
        self.path, self.people, self.written = Path(path), people, 0
        self._kinds, self._sizes = [], []
        self._spool = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115

    def __enter__(self) -> "RecordWriter":
        return self

    def __exit__(self, *_) -> None:
        self._spool.close()

    def append(self, records: Records) -> None:
        """Append the records of the next sites."""
        self._spool.write(memoryview(np.ascontiguousarray(records.data)))
        self._kinds.append(records.kind)
        self._sizes.append(np.diff(records.bounds).astype(np.uint32))
        self.written += len(records.kind)

    def close(self) -> None:
        """Write the file: header, then the records."""
        if not self.written:
            raise ValueError("0 sites written: nobody carries an ALT")
        self._spool.seek(0)
        with open(self.path, "wb") as file:
            write_header(file, self.people, np.concatenate(self._kinds), np.concatenate(self._sizes))
            shutil.copyfileobj(self._spool, file, 2**20)
