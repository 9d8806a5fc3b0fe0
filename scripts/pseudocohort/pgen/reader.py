"""Reading of .pgen records: alleles of sites as words, carriers of rare alleles as lists."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from pseudocohort.errors import InputError
from pseudocohort.pgen import bits, lists
from pseudocohort.pgen.bits import EVEN, LOW, people_words, unpack, words_of
from pseudocohort.pgen.header import (
    COMMON_ALT,
    COMMON_MISSING,
    COMMON_REF,
    INVERTED,
    ONE_BIT,
    PHASED,
    SAME,
    TWO_BIT,
    foreign,
    read_index,
)
from pseudocohort.pgen.lists import Lists, offsets

MARGIN = 8  # bytes in front of the records read


class _Batch(NamedTuple):
    """Records read together. data: uint8, with margins; site: int64 (sites,), ascending; kind: uint8 (sites,); start,
    stop: int64 (sites,), of the records in data; phase: int64 (sites,), where their phase begins."""

    data: np.ndarray
    site: np.ndarray
    kind: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    phase: np.ndarray


class Reader:
    """Alleles and carriers of a phased, biallelic .pgen of `people` people.

    needed: bool (people,), whose calls must be present and phased (default: everybody's); others' may come out as
    anything. absent: bool (people,), whose calls may be missing, and then are REF. name: of a site, given its number in
    the file, for errors. All methods raise InputError where a call that is needed is missing or not phased, or the
    file is damaged.
    """

    def __init__(
        self,
        path: str | Path,
        people: int,
        needed: np.ndarray | None = None,
        absent: np.ndarray | None = None,
        name: Callable[[int], str] | None = None,
    ):
        self.path, self.people, self.index = path, people, read_index(path)
        self.name = name or (lambda site: f"{path}, site {site}")
        self._checked = np.ones(people, dtype=bool) if needed is None else np.array(needed, dtype=bool)
        self._present = np.ones(people, dtype=bool) if absent is None else ~np.asarray(absent, dtype=bool)
        self._checked &= self._present
        self._all, self._checked_words = people_words(np.ones(people, dtype=bool)), people_words(self._checked)
        self._file = os.open(path, os.O_RDONLY)
        written = int.from_bytes(os.pread(self._file, 4, 7), "little")
        if written != people:
            self.close()
            raise foreign(path, f"holds {written} people, not {people}")

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._file)

    def carriers(self, sites: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Carriers of the minor allele at sites, int64 ascending, whose records are lists (types 4 and 6).

        Returns site (number within `sites`), person and which (0 or 1, the haplotype), int64, in ascending order.
        """
        sites = np.asarray(sites, dtype=np.int64)
        if len(sites) == 0:
            return (np.zeros(0, dtype=np.int64),) * 3
        batch = self._load(sites)
        read = self._lists(batch, np.arange(len(sites)), True)
        number = read.bounds[1:] - read.bounds[:-1]
        flip = -(batch.kind >> 1 & 1)  # 255 where the minor allele is REF
        alleles = self._listed_alleles(batch, np.arange(len(sites)), read) ^ (flip & 3).repeat(number)
        site, person = np.arange(len(sites)).repeat(number), read.person.astype(np.int64)
        which = alleles >> 1
        both = np.array([0, 1, 1, 2])[alleles]  # none where the call is missing
        if (both == 1).all():
            return site, person, which.astype(np.int64)
        second = (np.cumsum(both) - 1)[both == 2]
        site, person, which = (a.repeat(both) for a in (site, person, which.astype(np.int64)))
        which[second - 1], which[second] = 0, 1
        return site, person, which

    def alleles(self, sites: np.ndarray) -> np.ndarray:
        """Alleles at sites, int64 ascending: uint32 (sites, words). From 2^17 words on its many small steps pay."""
        sites = np.asarray(sites, dtype=np.int64)
        if len(sites) == 0:
            return np.zeros((0, words_of(self.people)), dtype=np.uint32)
        different = sites[self.index.kind[sites] & 6 == SAME]
        base = self._bases(different) if len(different) else different
        other = base[sites.take(sites.searchsorted(base), mode="clip") != base]
        other = other[np.diff(other, prepend=-1) > 0]
        loaded = np.sort(np.concatenate([sites, other])) if len(other) else sites
        batch = self._load(loaded)
        out = np.empty((len(loaded), words_of(self.people)), dtype=np.uint32)
        main = batch.kind & 7
        alone, others = (main >= COMMON_REF).nonzero()[0], (main < COMMON_REF).nonzero()[0]
        if len(alone):
            self._list_records(batch, alone, out)
        if len(others):
            self._genotypes(batch, main, loaded.searchsorted(base), out)
            step = max(1, bits.CHUNK // out.shape[1])
            for top in range(0, len(others), step):
                self._phase(batch, others[top : top + step], out)
        return out if loaded is sites else out[loaded.searchsorted(sites)]

    def _bases(self, different: np.ndarray) -> np.ndarray:
        """The sites that the records of sites are differences to."""
        kind, low, reach = self.index.kind, int(different[0]) - 1, 64
        while (kind[low : different[0]] & 6 == SAME).all():
            low, reach = max(0, low - reach), 2 * reach
        whole = low + (kind[low : different[-1]] & 6 != SAME).nonzero()[0]
        return whole[whole.searchsorted(different) - 1]

    def _load(self, sites: np.ndarray) -> _Batch:
        """Read the records of sites."""
        kind, start, stop = self.index.kind[sites], self.index.start[sites], self.index.start[sites + 1]
        top, size = int(start[0]), int(stop[-1] - start[0])
        data = np.empty(MARGIN + -(-size // 4) * 4 + lists.MARGIN, dtype=np.uint8)
        data[:MARGIN], data[MARGIN + size :] = 0, 0
        done = 0
        while done < size:  # Linux reads less than 2 GiB at once
            got = os.preadv(self._file, [memoryview(data)[MARGIN + done : MARGIN + size]], top + done)
            if got == 0:
                raise foreign(self.path, "is cut off")
            done += got
        start, stop, main = start - (top - MARGIN), stop - (top - MARGIN), kind & 7
        whole = np.zeros(8, dtype=np.int64)
        whole[[TWO_BIT, ONE_BIT]] = -(-self.people // 4), 1 + -(-self.people // 8)
        phase = start + whole[main]
        if (phase > stop).any():
            raise foreign(self.path, "holds a record that is too short")
        return _Batch(data, sites, kind, start, stop, phase)

    def _lists(self, batch: _Batch, rows: np.ndarray, alone: bool) -> Lists:
        """The lists of some records of a batch; where their phase begins is put into it. alone: nothing else there."""
        phased = batch.kind[rows] & PHASED != 0 if alone else None
        try:
            read, batch.phase[rows] = lists.read(batch.data, batch.phase[rows], batch.stop[rows], self.people, phased)
        except (ValueError, IndexError) as error:
            raise foreign(self.path, f"holds a record that is damaged ({error})") from error
        return read

    def _refuse(self, site: int) -> None:
        name = self.name(int(site))
        raise InputError(
            f"founders' genotypes at {name} are missing or not phased",
            where=name,
            expected="every call present and phased",
            remedy="phase and impute the founders first",
        )

    def _listed_alleles(self, batch: _Batch, rows: np.ndarray, read: Lists) -> np.ndarray:
        """Alleles of the people in list records: uint8 (entries,), 1 ALT on haplotype 0, 2 on 1, 3 on both."""
        genotype, number = read.genotype, read.bounds[1:] - read.bounds[:-1]
        if genotype.max(initial=0) == 3:
            missing = (genotype == 3).nonzero()[0]
            bad = missing[self._checked[read.person[missing]]]
            if len(bad):
                self._refuse(batch.site[rows[read.bounds.searchsorted(bad[0], side="right") - 1]])
            genotype[missing] = 0
        het = genotype & 1
        rank = offsets(het)
        hets = rank[read.bounds]
        place = rank[:-1]
        place += (8 * batch.phase[rows] + 1 - hets[:-1]).repeat(number)
        hets = hets[1:] - hets[:-1]
        first = place.astype(np.uint8)
        first &= 7
        place >>= 3
        first = batch.data.take(place, mode="wrap") >> first
        first &= het
        for row in (~_plain(batch, rows, hets) & (hets > 0)).nonzero()[0]:
            entries = read.bounds[row] + het[read.bounds[row] : read.bounds[row + 1]].nonzero()[0]
            first[entries] = self._odd_phase(batch, rows[row], read.person[entries])
        genotype = genotype + (genotype >> 1)
        het ^= first
        genotype += het
        return genotype

    def _odd_phase(self, batch: _Batch, row: int, people: np.ndarray) -> np.ndarray:
        """Which of the heterozygotes `people` of a record, not all of them phased, have ALT on haplotype 0, bool."""
        first = np.zeros(len(people), dtype=bool)
        known = np.zeros(len(people), dtype=bool)
        if batch.kind[row] & PHASED:
            top, stop = batch.phase[row], batch.stop[row]
            flags = np.unpackbits(batch.data[top:stop], bitorder="little").astype(bool)
            size = 1 + len(people) // 8
            known[: max(0, len(flags) - 1)] = flags[1 : len(people) + 1]
            number = np.count_nonzero(known)
            if not flags[:1].any() or stop - top != size + -(-number // 8):
                raise foreign(self.path, "holds a record that is damaged (its phase)")
            first[known] = flags[8 * size : 8 * size + number]
        if self._checked[people[~known]].any():
            self._refuse(batch.site[row])
        return first

    def _list_records(self, batch: _Batch, rows: np.ndarray, out: np.ndarray) -> None:
        """Alleles of list records, put into their rows of out."""
        read, main = self._lists(batch, rows, True), batch.kind[rows] & 7
        number = read.bounds[1:] - read.bounds[:-1]
        for row in (main == COMMON_MISSING).nonzero()[0]:
            told = np.count_nonzero(self._checked[read.person[read.bounds[row] : read.bounds[row + 1]]])
            if told < np.count_nonzero(self._checked):
                self._refuse(batch.site[rows[row]])
        common = np.where(main == COMMON_ALT, np.uint32(3), np.uint32(0))
        out[rows] = common[:, None] * self._all
        alleles = self._listed_alleles(batch, rows, read) - common.repeat(number)  # modulo 2^32
        _add(out, rows, number, read.person, alleles)

    def _genotypes(self, batch: _Batch, main: np.ndarray, base: np.ndarray, out: np.ndarray) -> None:
        """Genotypes of the records that are no lists, two bits each as words, put into their rows of out.

        main: the records' types without bit 16; base: rows of those that differences are to, in the latter's order.
        """
        rows, size = (main == TWO_BIT).nonzero()[0], -(-self.people // 4)
        out.view(np.uint8)[rows, :size] = windows(batch.data, size)[batch.start[rows]]
        out.view(np.uint8)[rows, size:] = 0
        rows, different = (main == ONE_BIT).nonzero()[0], (main & 6 == SAME).nonzero()[0]
        listed = np.concatenate([rows, different])
        if len(listed) == 0:
            return
        read = self._lists(batch, listed, False)
        if len(rows):
            out[rows] = self._one_bit(batch, rows)
            _patch(out, rows, read, 0)
        if len(different):
            out[different] = out[base]
            of_list = main[base] >= COMMON_REF
            first, second = bits.planes(out[base[of_list]])
            out[different[of_list]] = bits.join_planes(first ^ second, first & second)
            _patch(out, different, read, len(rows))
            inverted = different[main[different] == INVERTED]
            out[inverted] ^= (~out[inverted] & self._all) << np.uint32(1)

    def _one_bit(self, batch: _Batch, rows: np.ndarray) -> np.ndarray:
        """Genotypes of records with one bit a person, as words, without their lists."""
        size = -(-self.people // 8)
        flags = np.zeros((len(rows), 2 * len(self._all)), dtype=np.uint8)
        flags[:, :size] = windows(batch.data, size)[batch.start[rows] + 1]
        flags = bits.rezip(flags.view("<u4"))
        codes = bits.join_planes(flags, np.zeros_like(flags))
        common = batch.data[batch.start[rows]].astype(np.uint32)
        if (common != 1).any():  # not 0|0 and heterozygotes
            codes *= (common & np.uint32(3))[:, None]
            codes += (common >> np.uint32(2))[:, None] * EVEN
        codes &= self._all * np.uint32(3)
        return codes

    def _phase(self, batch: _Batch, rows: np.ndarray, out: np.ndarray) -> None:
        """Genotypes in some rows of out, padding 0, to alleles."""
        het, hom = bits.planes(out[rows])
        missing = het & hom
        if missing.max(initial=0):
            bad = (bits.join_planes(missing, np.zeros_like(missing)) & self._checked_words).any(axis=1)
            if bad.any():
                self._refuse(batch.site[rows[bad.nonzero()[0][0]]])
            het ^= missing
            hom ^= missing
        first = self._first(batch, rows, het)
        het ^= first
        het |= hom
        first |= hom
        out[rows] = bits.join_planes(first, het)

    def _first(self, batch: _Batch, rows: np.ndarray, het: np.ndarray) -> np.ndarray:
        """The heterozygotes with ALT on haplotype 0, as a plane."""
        place = offsets(np.bitwise_count(het).ravel())
        ends, place = place[:: het.shape[1]], place[:-1]
        hets, phase, data = ends[1:] - ends[:-1], batch.phase[rows], batch.data
        plain = _plain(batch, rows, hets)
        if not (plain | (hets == 0)).all():
            return self._first_with_gaps(batch, rows, het, (~plain & (hets > 0)).nonzero()[0])
        grid = place.reshape(het.shape)
        grid += (8 * phase + 1 - ends[:-1])[:, None]
        shift = place.astype(np.uint32)
        shift &= np.uint32(31)
        place >>= 5
        stream = data[: len(data) // 4 * 4].view("<u4")
        window = stream.take(place, mode="wrap")
        window >>= shift
        np.subtract(np.uint32(32), shift, out=shift)
        place += 1
        window |= stream.take(place, mode="wrap") << shift
        upper = window >> np.bitwise_count(het & EVEN).ravel().astype(np.uint32)
        upper <<= np.uint32(16)
        window &= LOW
        window |= upper
        return bits.expand(bits.rezip(window.reshape(het.shape)), het, stride=2)

    def _first_with_gaps(self, batch: _Batch, rows: np.ndarray, het: np.ndarray, odd: np.ndarray) -> np.ndarray:
        """As _first, where not all heterozygotes of the rows `odd` are phased: their phase is written anew."""
        data, end = [batch.data], len(batch.data)
        kind, stop, phase = batch.kind.copy(), batch.stop.copy(), batch.phase.copy()
        for row in odd:
            words = bits.join_planes(het[row], np.zeros_like(het[row]))
            first = self._odd_phase(batch, rows[row], unpack(words[None], self.people)[0, ::2].nonzero()[0])
            data.append(np.packbits(np.append(False, first), bitorder="little"))
            kind[rows[row]] |= PHASED
            phase[rows[row]], end = end, end + len(data[-1])
            stop[rows[row]] = end
        data = np.concatenate([*data, np.zeros(lists.MARGIN, dtype=np.uint8)])
        return self._first(batch._replace(data=data, kind=kind, stop=stop, phase=phase), rows, het)


def _plain(batch: _Batch, rows: np.ndarray, hets: np.ndarray) -> np.ndarray:
    """Which records hold the phase of all of so many heterozygotes: bool (rows,)."""
    phase = batch.phase[rows]
    whole = batch.stop[rows] - phase == 1 + (hets >> 3)
    return whole & (batch.kind[rows] & PHASED != 0) & (batch.data[phase] & 1 == 0)


def windows(data: np.ndarray, size: int) -> np.ndarray:
    """View of data (uint8): row i is data[i : i + size]."""
    return as_strided(data, (max(0, len(data) - size + 1), size), (1, 1))


def _patch(words: np.ndarray, rows: np.ndarray, read: Lists, top: int) -> None:
    """Put the genotypes of the lists top, top + 1 ... into rows of words."""
    bounds = read.bounds[top : top + len(rows) + 1]
    person, number = read.person[bounds[0] : bounds[-1]], bounds[1:] - bounds[:-1]
    place = (rows * words.shape[1]).repeat(number)
    place += person >> np.uint32(4)
    old = words.reshape(-1).take(place, mode="wrap")
    old >>= (person & np.uint32(15)) << np.uint32(1)
    old &= np.uint32(3)
    _add(words, rows, number, person, read.genotype[bounds[0] : bounds[-1]] - old)


def _add(words: np.ndarray, rows: np.ndarray, number: np.ndarray, person: np.ndarray, change: np.ndarray) -> None:
    """Add to people's two bits. person: uint32, `number` of them in each of the rows; change: uint32, modulo 2^32."""
    place = (rows * words.shape[1]).repeat(number)
    place += person >> np.uint32(4)
    np.add.at(words.reshape(-1), place, change << ((person & np.uint32(15)) << np.uint32(1)))
