"""Records of a .pgen read and written without pgenlib: sites whose minor allele few people carry.

Such a site is a list of the people who differ from the common homozygote (record types 4, common 0|0, and 6, common
1|1), in the .pgen specification: varint number of entries; of every group of 64 the first person (as many bytes as
the number of people needs), then of every group but the last the bytes its differences take, less 63; genotypes,
two bits each; differences to the person before, varints. Phase follows where the type has bit 16: one bit 0, then
a bit for every heterozygote, set for 1|0. All records of a batch are decoded and encoded together; pgenlib's dense
interface costs more than the whole site. Common sites go through pgenlib, and the two are put together so that the
file has the bytes of one PgenWriter: pgenlib may write a site as its difference from the last site written in full
(types 2 and 3), so that every such site meets the same predecessors here as there.
"""

import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pgenlib

from pseudocohort.errors import InputError

VBLOCK = 2**16  # sites of a .pgen between two of its seek points; no record depends on one of another vblock
GROUP = 64
PHASED = 16
COMMON_REF, COMMON_ALT = 4, 6


class Index(NamedTuple):
    """The header of a .pgen. kind: record types, uint8 (sites,); start: int64 (sites + 1,), bytes from the top."""

    kind: np.ndarray
    start: np.ndarray


class Carriers(NamedTuple):
    """Who carries the minor allele at each of `sites` sites.

    flipped: bool (sites,), the minor allele is REF. key: ascending int64 (carriers,), site * haplotypes + haplotype.
    """

    flipped: np.ndarray
    key: np.ndarray


class Records(NamedTuple):
    """Encoded sites: type uint8 (sites,), data uint8, bounds int64 (sites + 1,), entries int64 (sites,)."""

    kind: np.ndarray
    data: np.ndarray
    bounds: np.ndarray
    entries: np.ndarray


def read_index(path: str | Path) -> Index | None:
    """Types and places of a .pgen's records, or None where the file is of another make than plink2's usual one."""
    with open(path, "rb") as file:
        head = np.frombuffer(file.read(12), dtype=np.uint8)
        if len(head) < 12 or tuple(head[:3]) != (0x6C, 0x1B, 0x10) or head[11] & 15 not in range(8) or head[11] & 48:
            return None
        sites, width = int(head[3:7].view("<u4")[0]), int(head[11] & 3) + 1
        packed, flags = not head[11] & 4, head[11] >> 6 == 3
        first = np.frombuffer(file.read(8 * -(-sites // VBLOCK)), dtype="<u8")
        kinds, starts = [], []
        for block, top in enumerate(first):
            n = min(VBLOCK, sites - block * VBLOCK)
            kind = np.frombuffer(file.read((n + 1) // 2 if packed else n), dtype=np.uint8)
            kinds.append(np.stack([kind & 15, kind >> 4], axis=1).ravel()[:n] if packed else kind)
            length = np.zeros((n, 4), dtype=np.uint8)
            length[:, :width] = np.frombuffer(file.read(n * width), dtype=np.uint8).reshape(n, width)
            starts.append(int(top) + np.cumsum(length.view("<u4")[:, 0], dtype=np.int64))
            file.seek((n + 7) // 8 if flags else 0, 1)
    start = np.concatenate([first[:1].astype(np.int64), *starts])
    # a vblock begins where the one before ends; a file that says otherwise is left to pgenlib
    return Index(np.concatenate(kinds), start) if (start[:-1][::VBLOCK] == first.astype(np.int64)).all() else None


def decode(data: np.ndarray, start: np.ndarray, stop: np.ndarray, kind: np.ndarray, people: int, first_site):
    """Carriers at the sites of list records, `start` to `stop` in data (uint8): site, person, which (int64).

    kind: their types; people: of the file. which: 0 or 1, the haplotype of the person. Sorted by site, not by
    haplotype. Raises InputError at a missing or unphased genotype; first_site(i) names site i.
    """
    top, number = _varint_at(data, start)
    site = np.repeat(np.arange(len(start)), number)
    inside = np.arange(len(site)) - np.repeat(np.cumsum(number) - number, number)
    groups, width = -(-number // GROUP), _id_bytes(people)
    genotypes = top + groups * (width + 1) - (number > 0)
    genotype = data[np.repeat(genotypes, number) + (inside >> 2)] >> ((inside & 3) << 1).astype(np.uint8) & 3
    het = genotype == 1
    hets = np.bincount(site[het], minlength=len(start))
    phase = stop - np.where(hets > 0, hets // 8 + 1, 0)
    bad = (hets > 0) & ((kind & PHASED == 0) | (data[np.minimum(phase, len(data) - 1)] & 1 == 1))
    bad[site[genotype == 3]] = True
    if bad.any():
        _refuse(first_site(int(np.flatnonzero(bad)[0])))
    step = _differences(data, genotypes + (number + 3) // 4, phase, inside)
    opening = np.flatnonzero(inside & (GROUP - 1) == 0)
    person = _first_people(data, top, groups, width)
    total = np.cumsum(step)
    person = total + np.repeat(person - total[opening], np.diff(np.append(opening, len(step))))
    het = np.flatnonzero(het)
    bit = np.arange(len(het)) - np.repeat(np.cumsum(hets) - hets, hets) + 1
    alt_first = data[np.repeat(phase, hets) + (bit >> 3)] >> (bit & 7).astype(np.uint8) & 1
    which = np.zeros(len(site), dtype=np.int64)
    which[het] = alt_first ^ (kind[site[het]] & 7 == COMMON_REF)
    both = np.ones(len(site), dtype=np.int64)
    both[np.flatnonzero(genotype != 1)] = 2
    if len(het) == len(site):
        return site, person, which
    second = np.cumsum(both) - 1
    site, person, which = (np.repeat(a, both) for a in (site, person, which))
    which[second[both == 2]] = 1
    return site, person, which


def _refuse(name: str) -> None:
    raise InputError(
        f"founders' genotypes at {name} are missing or not phased",
        where=name,
        expected="every call present and phased",
        remedy="phase and impute the founders first",
    )


def _id_bytes(people: int) -> int:
    """Bytes of a person's number."""
    return (people.bit_length() + 7) // 8


def _varint_at(data: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the varints at `place` end, and their values."""
    value, shift = np.zeros(len(place), dtype=np.int64), 0
    place, more = place.copy(), np.arange(len(place))
    while len(more):
        byte = data[place[more]]
        value[more] |= (byte & 127).astype(np.int64) << shift
        place[more] += 1
        more, shift = more[byte > 127], shift + 7
    return place, value


def _differences(data: np.ndarray, start: np.ndarray, stop: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Difference of every entry to the person before, 0 for the first of a group."""
    size = stop - start
    stream = data[np.arange(size.sum()) + np.repeat(start - (np.cumsum(size) - size), size)]
    last = np.flatnonzero(stream < 128)
    value = stream[last].astype(np.int64)
    taken, back = np.flatnonzero(np.diff(last, prepend=-1) > 1), 1
    while len(taken):
        value[taken] = value[taken] << 7 | stream[last[taken] - back] & 127
        back += 1
        taken = taken[last[taken] - np.where(taken > 0, last[taken - 1], -1) > back]
    step = np.zeros(len(inside), dtype=np.int64)
    step[inside & (GROUP - 1) != 0] = value
    return step


def _first_people(data: np.ndarray, place: np.ndarray, groups: np.ndarray, width: int) -> np.ndarray:
    """The first person of every group."""
    group = np.arange(groups.sum()) - np.repeat(np.cumsum(groups) - groups, groups)
    at = np.repeat(place, groups) + width * group
    person = np.zeros(len(at), dtype=np.int64)
    for byte in range(width):
        person |= data[at + byte].astype(np.int64) << (8 * byte)
    return person


def encode(carriers: Carriers, people: int) -> Records:
    """List records of the sites, as PgenWriter makes them where at most a 64th of the people are listed."""
    entry = carriers.key >> 1
    opening = np.flatnonzero(np.diff(entry, prepend=-1) != 0)
    het = np.diff(np.append(opening, len(entry))) == 1
    second = (carriers.key[opening] & 1).astype(bool)
    sites, entry = len(carriers.flipped), entry[opening]
    bounds = np.searchsorted(entry, np.arange(sites + 1) * people)
    number = np.diff(bounds)
    site = np.repeat(np.arange(sites), number)
    person, flipped = entry - site * people, carriers.flipped[site]
    inside = np.arange(len(entry)) - bounds[site]
    hets = np.bincount(site[het], minlength=sites)
    leads = inside & (GROUP - 1) == 0
    step = np.diff(person, prepend=0)
    size = np.where(leads, 0, 1 + (step >= 2**7) + (step >= 2**14) + (step >= 2**21)).astype(np.int64)
    spent = np.append(0, np.cumsum(size))
    groups, width = -(-number // GROUP), _id_bytes(people)
    head = 1 + (number >= 2**7) + (number >= 2**14) + (number >= 2**21)
    listed = head + groups * (width + 1) - (number > 0)
    parts = np.stack(
        [listed, (number + 3) // 4, spent[bounds[1:]] - spent[bounds[:-1]], np.where(hets > 0, hets // 8 + 1, 0)]
    )
    ends = np.append(0, np.cumsum(parts.sum(axis=0)))
    data = np.zeros(ends[-1], dtype=np.uint8)
    genotypes, steps, phase = ends[:-1] + np.cumsum(parts[:3], axis=0)
    _put_varints(data, ends[:-1], number, head)
    _put_groups(
        data, ends[:-1] + head, groups, width, person[leads], spent[np.append(np.flatnonzero(leads), len(size))]
    )
    code = np.where(het, 1, np.where(flipped, 0, 2)).astype(np.uint8)
    _put_bits(data, genotypes[site], inside, code, 2)
    _put_varints(data, (steps - spent[bounds[:-1]])[site] + spent[:-1], step, size)
    order = np.arange(hets.sum()) - np.repeat(np.cumsum(hets) - hets, hets) + 1
    _put_bits(data, np.repeat(phase, hets), order, (second == flipped)[het].astype(np.uint8), 1)
    kind = np.where(carriers.flipped, COMMON_ALT, COMMON_REF) + PHASED * (hets > 0)
    return Records(kind.astype(np.uint8), data, ends, number)


def _put_varints(data: np.ndarray, place: np.ndarray, value: np.ndarray, size: np.ndarray) -> None:
    """Write values as varints of `size` bytes; none where it is 0."""
    for byte in range(int(size.max(initial=0))):
        which = np.flatnonzero(size > byte)
        more = (size[which] > byte + 1).astype(np.uint8) << 7
        data[place[which] + byte] = (value[which] >> (7 * byte) & 127).astype(np.uint8) | more


def _put_groups(data, place, groups, width, person, spent) -> None:
    """Write the first person of every group and, but for a site's last, the bytes of its differences less 63."""
    group = np.arange(len(person)) - np.repeat(np.cumsum(groups) - groups, groups)
    at = np.repeat(place, groups)
    for byte in range(width):
        data[at + width * group + byte] = person >> (8 * byte) & 255
    closed = group + 1 < np.repeat(groups, groups)
    sizes = np.repeat(place + width * groups, groups) + group
    data[sizes[closed]] = np.diff(spent)[closed] - (GROUP - 1)


def _put_bits(data: np.ndarray, place: np.ndarray, order: np.ndarray, code: np.ndarray, bits: int) -> None:
    """Write codes of some bits: the one of number `order` behind `place`."""
    if len(code) == 0:
        return
    each = 8 // bits
    at = place + order // each
    opening = np.flatnonzero(np.diff(at, prepend=-1) != 0)
    data[at[opening]] = np.bitwise_or.reduceat(code << (order % each * bits).astype(np.uint8), opening)


class RecordWriter:
    """A .pgen written stretch after stretch of sites, without the sites whose ALT nobody carries.

    List records come as they are, the other sites' alleles go through pgenlib. The header stands first and needs the
    number of sites, so the records wait in a nameless temporary file beside the target until `close`.
    path: of the .pgen; until then it holds what pgenlib made of a stretch.
    """

    def __init__(self, path: str | Path, people: int):
        self.path, self.people, self.written = Path(path), people, 0
        self._kinds, self._sizes, self._base = [], [], None
        self._spool = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115

    def __enter__(self) -> "RecordWriter":
        return self

    def __exit__(self, *_) -> None:
        self._spool.close()

    @property
    def room(self) -> int:
        """Sites left in the vblock: no stretch may have more."""
        return VBLOCK - self.written % VBLOCK

    def append(self, direct: Records, listed: np.ndarray, fed: np.ndarray, rows) -> np.ndarray:
        """Append a stretch of consecutive sites; which of them the file has got: bool (sites,).

        direct: records of the sites `listed`, all carried; fed: sites, ascending, to go through pgenlib in place of
        any record, among them the last one and the one before every site that is not listed or has too many entries.
        rows: iterable of (i, alleles), int32 (some, 2 people) of fed[i], fed[i + 1] ...; the others nobody carries.
        """
        index, data, carried = self._through_pgenlib(rows, len(fed))
        number = int(fed[-1]) + 1
        kept, source = np.zeros((2, number), dtype=bool)
        kept[listed], kept[fed] = True, carried
        if not kept.any():
            return kept
        fed = fed[carried]
        source[fed] = True
        kind, (place, size) = np.zeros(number, dtype=np.uint8), np.zeros((2, number), dtype=np.int64)
        kind[listed], place[listed], size[listed] = direct.kind, direct.bounds[:-1], np.diff(direct.bounds)
        kind[fed], place[fed], size[fed] = index.kind, index.start[:-1], np.diff(index.start)
        kind, source, place, size = (a[kept] for a in (kind, source, place, size))
        opening = np.flatnonzero(np.append(True, (source[1:] != source[:-1]) | (place[1:] != place[:-1] + size[:-1])))
        ends = np.append(opening[1:], len(kind)) - 1
        runs = source[opening], place[opening], place[ends] + size[ends]
        pieces = memoryview(direct.data), memoryview(data)
        self._spool.writelines(pieces[which][a:b] for which, a, b in zip(*(r.tolist() for r in runs), strict=True))
        self._kinds.append(kind)
        self._sizes.append(size)
        self.written += len(kind)
        return kept

    def _through_pgenlib(self, rows, number: int) -> tuple[Index, np.ndarray, np.ndarray]:
        """Records that pgenlib makes of the carried ones of `number` sites, behind the last one written in full.

        Returns their index, the file's bytes and which sites are carried.
        """
        if self.room == VBLOCK:
            self._base = None
        extra = self._base is not None
        writer = pgenlib.PgenWriter(
            str(self.path).encode(), self.people, number + extra, nonref_flags=False, hardcall_phase_present=True
        )
        if extra:
            writer.append_alleles_batch(self._base[None], all_phased=True)
        carried = np.zeros(number, dtype=bool)
        for first, block in rows:
            carried[first : first + len(block)] = True
            writer.append_alleles_batch(block, all_phased=True)
        written, nobody = np.count_nonzero(carried), np.zeros((1, 2 * self.people), dtype=np.int32)
        for _ in range(number - written):  # pgenlib wants as many sites as it was told of: these come last
            writer.append_alleles_batch(nobody, all_phased=True)
        writer.close()
        index, data = read_index(self.path), np.fromfile(self.path, dtype=np.uint8)
        sites = slice(int(extra), extra + written)
        self._remember(np.flatnonzero(index.kind[sites] & 6 != 2) + extra)
        return Index(index.kind[sites], index.start[extra : extra + written + 1]), data, carried

    def _remember(self, full: np.ndarray) -> None:
        """Keep the alleles of the last of the sites that pgenlib has just written in full."""
        if len(full):
            self._base = np.empty(2 * self.people, dtype=np.int32)
            with pgenlib.PgenReader(str(self.path).encode(), self.people) as reader:
                reader.read_alleles(full[-1], self._base)

    def close(self) -> None:
        """Write the file: header, then the records."""
        if not self.written:
            raise ValueError("0 sites written: nobody carries an ALT")
        control = self.path.read_bytes()[11]  # pgenlib's, of the last stretch
        kinds, sizes = np.concatenate(self._kinds), np.concatenate(self._sizes)
        width, blocks = (control & 3) + 1, -(-self.written // VBLOCK)
        tops = np.append(0, np.cumsum(sizes))[:-1:VBLOCK] + 12 + 8 * blocks + (1 + width) * self.written
        sizes = sizes.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :width]
        numbers = np.array([self.written, self.people], dtype="<u4")
        self._spool.seek(0)
        with open(self.path, "wb") as file:
            file.write(b"\x6c\x1b\x10" + numbers.tobytes() + bytes([control]) + tops.astype("<u8").tobytes())
            for top in range(0, self.written, VBLOCK):
                file.write(kinds[top : top + VBLOCK].tobytes() + sizes[top : top + VBLOCK].tobytes())
            shutil.copyfileobj(self._spool, file, 2**20)
