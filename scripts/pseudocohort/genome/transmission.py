"""Transmission: a mosaic and the founders' genotypes make the pseudo genotypes, streamed in stretches of sites.

Two paths make the same bytes. Dense: all founder haplotypes of a site are read and gathered. Sparse, where few
founders carry the minor allele: only carriers are read, looked up in an index of the mosaic's segments by founder
haplotype, and written as a list. The founders' file says which is cheaper at a site (`is_rare`).
"""

import logging
import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pseudocohort.errors import InputError
from pseudocohort.files import atomic
from pseudocohort.genome.mosaic import Mosaic
from pseudocohort.genome.records import (
    COMMON_ALT,
    COMMON_REF,
    PHASED,
    VBLOCK,
    Carriers,
    Index,
    RecordWriter,
    decode,
    encode,
    read_index,
)
from pseudocohort.genotypes import Genotypes, write_psam, write_pvar

log = logging.getLogger("pseudocohort")
BLOCK_BYTES = 2**21  # of the buffers of a block: small, for what is in a cache needs no second way to memory
TILE = 2**17  # alleles gathered at once with one assignment of founders
CHUNK = 2**17  # segments of the mosaic looked at together
STRETCH_ALLELES = 2**28  # alleles of a stretch of sites, at most
STRETCH_BYTES = 2**18  # of list records in a stretch, at most: about as many carriers
RARE = 1 / 64  # share of people in a list up to which the sparse path is cheaper (benchmarks/genome.py)
SITE_NS, CARRIER_NS, ALLELE_NS = 1500, 100, 1.5  # CPU: of a list, its entries, and an allele of the dense path
BYTES_PER_ENTRY = 1.6  # of a list of that share


class SiteMosaic(NamedTuple):
    """A mosaic in site numbers: who is copied at the first site, and where that changes.

    first: int64 (haplotypes,), founder haplotype at site 0. Changes, sorted by site: site (first site copied from
    the new founder haplotype), end (first site not), haplotype and founder, all int32.
    """

    first: np.ndarray
    site: np.ndarray
    end: np.ndarray
    haplotype: np.ndarray
    founder: np.ndarray


def site_fractions(genetic_map, positions: np.ndarray) -> np.ndarray:
    """Genetic positions of sites as the mosaic counts them: uint32 fractions of the map's length.

    positions: base pairs, ascending (sites,). Sites beyond an end of the map are at that end.
    """
    first, last = float(genetic_map.cm[0]), float(genetic_map.cm[-1])
    if last <= first:
        return np.zeros(len(positions), dtype=np.uint32)
    share = (np.asarray(genetic_map.cm_at(np.asarray(positions)), dtype=float) - first) / (last - first)
    return np.clip(np.rint(share * 2**32), 0, 2**32 - 1).astype(np.uint32)


def in_sites(mosaic: Mosaic, x: np.ndarray) -> SiteMosaic:
    """The mosaic at the sites with genetic positions x (uint32, ascending); segments without a site are dropped."""
    parts = np.searchsorted(x, np.arange(2**18 + 1, dtype=np.uint64) << 14).astype(np.int32)
    total, found, first = mosaic.offset[-1], [], []
    rows = np.searchsorted(mosaic.offset, np.append(np.arange(0, total, CHUNK), total))
    for low, high in pairwise(rows):
        offset = mosaic.offset[low : high + 1]
        site = _first_sites(x, parts, mosaic.start[offset[0] : offset[-1]])
        end = np.append(site[1:], np.int32(len(x)))
        end[offset[1:] - offset[0] - 1] = len(x)
        founder, haplotype = mosaic.founder[offset[0] : offset[-1]], np.arange(low, high, dtype=np.int32)
        first.append(founder[(end > site) & (site == 0)])
        changes = np.flatnonzero((end > site) & (site > 0))
        found.append((site[changes], end[changes], np.repeat(haplotype, np.diff(offset))[changes], founder[changes]))
    site, end, haplotype, founder = map(np.concatenate, zip(*found, strict=True))
    order = np.sort(site.astype(np.int64) << 32 | np.arange(len(site)))  # several times faster than a stable argsort
    site, order = (order >> 32).astype(np.int32), order & (2**32 - 1)
    return SiteMosaic(np.concatenate(first).astype(np.int64), site, end[order], haplotype[order], founder[order])


def _first_sites(x: np.ndarray, parts: np.ndarray, start: np.ndarray) -> np.ndarray:
    """np.searchsorted(x, start) as int32; parts: the first site of each of 2^18 equal parts of the map."""
    part = start >> 14
    site = parts[part]
    unsure = np.flatnonzero(parts[part + 1] > site)
    site[unsure] = np.searchsorted(x, start[unsure], side="left")
    return site


def transmit(
    real_prefix: str | Path,
    founder_rows: np.ndarray,
    mosaic: Mosaic,
    genetic_map,
    out_prefix: str | Path,
    person: np.ndarray,
    sex: np.ndarray,
    block_sites: int | None = None,
) -> None:
    """Write the pseudo cohort's phased genotypes of one chromosome, at the sites whose ALT a pseudo person carries.

    All other sites are left out: the list of sites itself would tell of alleles that only holdout people or
    founders without descendants carry.

    real_prefix: founders' .pgen triple; founder_rows: ascending rows of its .psam, founder i of the mosaic being
    founder_rows[i]. genetic_map: its extent is what the mosaic's fractions refer to. person, sex: (people,) of the
    pseudo cohort. block_sites: sites held at once (default: as fit into some megabytes); the bytes written are the
    same for every value. Sites fixed for ALT stay; positions, ids and alleles are unchanged.
    Raises InputError when the sites are not sorted, or a call of a short list is missing or not phased.
    """
    founder_rows = np.asarray(founder_rows)
    if len(mosaic.offset) != 2 * len(person) + 1 or len(person) != len(sex):
        raise ValueError(f"mosaic of {len(mosaic.offset) - 1} haplotypes, {len(person)} ids, {len(sex)} sexes")
    if (np.diff(founder_rows) <= 0).any() or mosaic.founder.max(initial=-1) >= 2 * len(founder_rows):
        raise ValueError("founder_rows must ascend and cover every founder of the mosaic")
    with Genotypes(real_prefix, founder_rows) as real:
        if (real.sites["pos"].diff() < 0).any():
            raise InputError(
                f"sites of {real_prefix}.pvar are not sorted by position",
                where=f"{real_prefix}.pvar",
                expected="sites in ascending order",
                remedy="sort the file, for instance with plink2 --sort-vars",
            )
        changes = in_sites(mosaic, site_fractions(genetic_map, real.sites["pos"].to_numpy()))
        with atomic(f"{out_prefix}.pgen") as part:  # the three appear whole or not at all
            with RecordWriter(part, len(person)) as writer:
                carried = _stream(real, founder_rows, changes, writer, block_sites, Path(out_prefix).name)
            write_pvar(f"{out_prefix}.pvar", real.sites[carried])
            write_psam(f"{out_prefix}.psam", person, sex)


def is_rare(index: Index | None, sites: int, people: int, haplotypes: int) -> np.ndarray:
    """Sites of a founders' file of `people` for the sparse path to so many pseudo haplotypes: bool (sites,).

    Those are stored as a list of people who differ from the common homozygote, and the list is short: half as long
    ones cost W2 of benchmarks/genome.py 15 % more, longer ones would go through pgenlib's dense interface anyway.
    None where lists cost more than they save, which they do only at rare sites that no common one follows.
    """
    if index is None:
        return np.zeros(sites, dtype=bool)
    kinds = [COMMON_REF, COMMON_REF + PHASED, COMMON_ALT, COMMON_ALT + PHASED]
    size = np.diff(index.start)
    rare = np.isin(index.kind, kinds) & (size <= 4 + BYTES_PER_ENTRY * RARE * people)
    carriers = size[rare].sum() / BYTES_PER_ENTRY * haplotypes / (2 * people)
    saved = np.count_nonzero(rare[:-1] & rare[1:]) * haplotypes * ALLELE_NS
    return rare & (saved > np.count_nonzero(rare) * SITE_NS + carriers * CARRIER_NS)


def _stream(real: Genotypes, founder_rows, changes: SiteMosaic, writer: RecordWriter, block_sites, name: str):
    """Read, transmit and write stretch by stretch. Returns which sites are carried: bool (sites,)."""
    index = read_index(f"{real.prefix}.pgen")
    haplotypes, began, told, stop = len(changes.first), time.monotonic(), 0, 0
    rare, carried = is_rare(index, real.n_sites, real.n_in_file, haplotypes), np.zeros(real.n_sites, dtype=bool)
    listed_bytes = np.append(0, np.cumsum(rare * (0 if index is None else np.diff(index.start))))
    longest = min(block_sites or VBLOCK, max(1, STRETCH_ALLELES // haplotypes))
    dense = DensePath(real, changes, np.flatnonzero(~rare), block_sites)
    with SparsePath(real, founder_rows, changes, index) as sparse:
        while stop < real.n_sites:
            start, stop = stop, stretch_end(stop, listed_bytes, min(longest, writer.room))
            carried[start:stop] = _transmit_stretch(start, stop, rare[start:stop], sparse, dense, writer)
            percent = 100 * stop // real.n_sites
            if percent >= told + 10:
                told, left = percent, (time.monotonic() - began) * (real.n_sites - stop) / stop
                form = "%s: %d of %d sites transmitted (%d %%), about %.0f s left"
                log.info(form, name, stop, real.n_sites, percent, left)
    writer.close()
    return carried


def stretch_end(start: int, listed_bytes: np.ndarray, longest: int) -> int:
    """End of the stretch of sites that begins at `start`. listed_bytes: int64 (sites + 1,), of lists before a site."""
    enough = int(np.searchsorted(listed_bytes, listed_bytes[start] + STRETCH_BYTES, side="right")) - 1
    return max(start + 1, min(start + longest, enough))


def _transmit_stretch(start, stop, rare, sparse: "SparsePath", dense: "DensePath", writer: RecordWriter) -> np.ndarray:
    """One stretch: lists of carriers, then the sites that have to go through pgenlib. Returns which are carried."""
    listed, carriers = sparse.transmit(start, stop, np.flatnonzero(rare))
    dense.begin(start, stop)
    carried = ~rare
    carried[listed] = True  # or not rare: the writer tells
    sites = np.flatnonzero(carried)
    if len(sites) == 0:
        return carried
    rare = rare[sites]
    listed = np.flatnonzero(rare)
    direct = encode(carriers, writer.people)
    through = ~rare
    through[listed[direct.entries > writer.people // 64]] = True
    through[:-1] |= through[1:]  # pgenlib may write a site as its difference from the one before
    through[-1] = True
    fed = np.flatnonzero(through)
    rows = _rows(np.searchsorted(listed, fed), rare[fed], carriers, dense)
    carried[sites] = writer.append(direct, listed, fed, rows)
    return carried


def _rows(number, rare, carriers: Carriers, dense: "DensePath") -> Iterator[tuple[int, np.ndarray]]:
    """Alleles of those of some sites that are carried: (i, of site i and maybe its next ones).

    They are gathered where not rare, else set in an empty row and unset.
    number: of the rare ones among the sites of `carriers`.
    """
    bounds = np.searchsorted(carriers.key, np.stack([number, number + 1]) * dense.haplotypes)
    row = {flip: np.full((1, dense.haplotypes), flip, dtype=np.int32) for flip in (False, True)}
    opening = np.flatnonzero(np.diff(rare, prepend=~rare[:1]))
    for first, last in zip(opening, np.append(opening[1:], len(rare)), strict=True):
        if rare[first]:
            for i in range(first, last):
                flip = bool(carriers.flipped[number[i]])
                where = carriers.key[bounds[0, i] : bounds[1, i]] - number[i] * dense.haplotypes
                row[flip][0, where] = not flip
                yield i, row[flip]
                row[flip][0, where] = flip
        while first < last and not rare[first]:
            made, carried = dense.ahead(last - first)
            if carried:
                yield first, made
            first += len(made)


def carried_only(carriers: Carriers, haplotypes: int) -> tuple[np.ndarray, Carriers]:
    """Which sites' ALT somebody carries, and the carriers at these alone, numbered anew."""
    sites = np.arange(len(carriers.flipped))
    number = np.diff(np.searchsorted(carriers.key, np.append(sites, len(sites)) * haplotypes))
    kept = np.where(carriers.flipped, number < haplotypes, number > 0)
    key = carriers.key + np.repeat((np.cumsum(kept) - 1 - sites) * haplotypes, number)
    return kept, Carriers(carriers.flipped[kept], key[np.repeat(kept, number)])


class SparsePath:
    """Carriers of the minor allele, from the founders' file to the pseudo cohort."""

    def __init__(self, real: Genotypes, founder_rows: np.ndarray, changes: SiteMosaic, index: Index | None):
        self.real, self.changes, self.index = real, changes, index
        self.founder_of = np.full(real.n_in_file, -1)
        self.founder_of[founder_rows] = np.arange(len(founder_rows))
        self.founder = changes.first.copy()
        self.haplotype = np.arange(len(self.founder), dtype=np.int32)
        self.zero, self.end = np.zeros_like(self.haplotype), np.full_like(self.haplotype, real.n_sites)
        self.end[changes.haplotype[::-1]] = changes.site[::-1]  # of several the last assigned stays: the first change
        self.done = 0

    def __enter__(self) -> "SparsePath":
        self._file = os.open(f"{self.real.prefix}.pgen", os.O_RDONLY)
        return self

    def __exit__(self, *_) -> None:
        os.close(self._file)

    def transmit(self, start: int, stop: int, listed: np.ndarray) -> tuple[np.ndarray, Carriers]:
        """Those of the sites start + listed, all before `stop`, whose ALT is carried, and who carries what there."""
        if len(listed) == 0:
            return listed, Carriers(np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64))
        kind, bounds = self.index.kind[start + listed], self.index.start
        data = os.pread(self._file, bounds[stop] - bounds[start], bounds[start])
        first, last = (bounds[start + listed + i] - bounds[start] for i in (0, 1))
        names = self.real.sites["id"]
        site, person, which = decode(
            np.frombuffer(data, dtype=np.uint8),
            first,
            last,
            kind,
            self.real.n_in_file,
            lambda i: f"{self.real.prefix}.pvar, site {names.iloc[start + listed[i]]}",
        )
        founder = self.founder_of[person]
        if len(self.founder_of) > self.real.n_people:
            kept = founder >= 0
            site, founder, which = site[kept], founder[kept], which[kept]
        key = self._spread(start, stop, listed, site, 2 * founder + which)
        kept, carriers = carried_only(Carriers(kind & 7 == COMMON_ALT, key), len(self.founder))
        return listed[kept], carriers

    def _spread(self, start, stop, listed, site, founder) -> np.ndarray:
        """Keys, ascending, of the pseudo haplotypes that copy the founder haplotypes at those of the sites listed."""
        top, first, end, haplotype = self._segments(start, stop)
        place = (start + listed)[site]
        low = top[founder]
        number = top[founder + 1] - low
        segment = np.arange(number.sum()) + np.repeat(low - (np.cumsum(number) - number), number)
        place = np.repeat(place, number)
        copied = np.flatnonzero((first[segment] <= place) & (place < end[segment]))
        key = np.repeat(site * len(self.founder), number)[copied] + haplotype[segment[copied]]
        key.sort()
        return key

    def _segments(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Segments of the mosaic with a site in [start, stop), by founder haplotype: where each one's begin, then of
        every segment its first site or an earlier one, its end and its pseudo haplotype."""
        changes = self.changes
        inside, high = np.searchsorted(changes.site, np.array([start + 1, stop], dtype=np.int32), side="left")
        past = slice(self.done, inside)
        self.founder[changes.haplotype[past]] = changes.founder[past]
        self.end[changes.haplotype[past]] = changes.end[past]
        self.done = inside
        founder = np.concatenate([self.founder, changes.founder[inside:high]])
        order = np.sort(founder << 32 | np.arange(len(founder))) & (2**32 - 1)
        top = np.append(0, np.cumsum(np.bincount(founder, minlength=2 * self.real.n_people)))
        return (
            top,
            np.concatenate([self.zero, changes.site[inside:high]])[order],
            np.concatenate([self.end, changes.end[inside:high]])[order],
            np.concatenate([self.haplotype, changes.haplotype[inside:high]])[order],
        )


class DensePath:
    """All alleles of the sites given, in their order, stretch by stretch."""

    def __init__(self, real: Genotypes, changes: SiteMosaic, sites: np.ndarray, block: int | None):
        self.real, self.sites, self.whole = real, sites.astype(np.uint32), changes
        self.haplotypes, self.founder, self.past = len(changes.first), changes.first.copy(), 0
        self.block = block or max(1, BLOCK_BYTES // (4 * (2 * real.n_people + self.haplotypes)))
        self.block = min(self.block, real.n_sites)
        self.source = np.empty((self.block, 2 * real.n_people), dtype=np.int32)
        self.made = np.empty((self.block, self.haplotypes), dtype=np.int32)

    def begin(self, start: int, stop: int) -> None:
        """Go to the stretch of sites [start, stop): its mosaic, counted in those of the sites given that are in it."""
        low, high = np.searchsorted(self.whole.site, np.array([start, stop], dtype=np.int32))
        past = slice(self.past, low)  # with the changes that no site given shows
        self.founder[self.whole.haplotype[past]] = self.whole.founder[past]
        self.past, self.current = low, self.founder.copy()
        first, last = np.searchsorted(self.sites, [start, stop])
        self.inside = self.sites[first:last]
        number = np.searchsorted(self.inside, np.arange(start, stop + 1)).astype(np.int32)
        site = number[self.whole.site[low:high] - start]
        end = number[np.minimum(self.whole.end[low:high], stop) - start]
        kept = np.flatnonzero(end > site)
        self.changes = SiteMosaic(self.current, site[kept], end[kept], *(a[low:high][kept] for a in self.whole[3:]))
        self.done, self.given, self.ready = 0, 0, 0

    def ahead(self, n: int) -> tuple[np.ndarray, bool]:
        """Alleles at some of the next n sites, int32 (some, haplotypes), and whether they all or none are carried."""
        if self.given == self.ready:
            n_made = min(self.block, len(self.inside) - self.done)
            made = self.made[:n_made]
            self.real.haplotypes_at(self.inside[self.done : self.done + n_made], self.source[:n_made])
            gather(self.source[:n_made], self.changes, self.done, self.current, made)
            self.carried = made.max(axis=1) > 0
            self.alike = [n_made, *(np.flatnonzero(np.diff(self.carried)) + 1)[::-1].tolist()]
            self.done, self.ready, self.given = self.done + n_made, n_made, 0
        first, self.given = self.given, min(self.alike[-1], self.given + n)
        if self.given == self.alike[-1]:
            self.alike.pop()
        return self.made[first : self.given], self.carried[first]


def gather(source: np.ndarray, changes: SiteMosaic, start: int, current: np.ndarray, made: np.ndarray) -> None:
    """Alleles of the pseudo haplotypes at the sites start, start + 1 ...

    source: (sites, founder haplotypes); made: (sites, haplotypes), filled. current: founder haplotype of every
    pseudo haplotype just before `start`, brought up to the last site. Tiles of few sites are gathered with the
    founders at their first site, then what changes inside is copied again.
    """
    tile = max(1, TILE // len(current))
    for top in range(start, start + len(source), tile):
        bottom = min(top + tile, start + len(source))
        bounds = np.array([top, top + 1, bottom], dtype=np.int32)  # of the searched dtype, or numpy copies it all
        low, inside, high = np.searchsorted(changes.site, bounds, side="left")
        current[changes.haplotype[low:inside]] = changes.founder[low:inside]
        rows = slice(top - start, bottom - start)
        # mode "wrap" fills `out` without a buffered copy; indices are in range
        np.take(source[rows], current, axis=1, out=made[rows], mode="wrap")
        if inside < high:
            _patch(source[rows], changes, slice(inside, high), top, made[rows])
            current[changes.haplotype[inside:high]] = changes.founder[inside:high]


def _patch(source: np.ndarray, changes: SiteMosaic, which: slice, top: int, made: np.ndarray) -> None:
    """Copy the stretches of the changes `which` that begin inside a tile."""
    length = np.minimum(changes.end[which], top + len(source)) - changes.site[which]
    row = np.arange(length.sum()) + np.repeat(changes.site[which] - top - (np.cumsum(length) - length), length)
    made[row, np.repeat(changes.haplotype[which], length)] = source[row, np.repeat(changes.founder[which], length)]
