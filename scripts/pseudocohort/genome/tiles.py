"""Tiles of 32 sites: one uint32 a haplotype holds its alleles at all of them, so that one lookup copies 32 sites.

A path of transmission has its own sites (common ones or rare ones, ascending) and counts tiles in these. Bit j of a
word is the allele at site j of its tile. Haplotype h stands at place (h % 32) * columns + h // 32 of a tile, where the
transposition of packed alleles (bits.transpose) leaves it.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pseudocohort.genome.mosaic import Mosaic
from pseudocohort.pgen.bits import words_of

TILE = 32
CHUNK = 2**16  # segments of the mosaic looked at together: as fit into a cache


class SiteMosaic(NamedTuple):
    """A mosaic in site numbers and places: who is copied at the first site, and where that changes.

    first: int64 (places,), place of the founder haplotype at site 0 (0 at places of no haplotype). change: uint64
    (changes,), ascending: site << (places_bits + founder_bits) | place << founder_bits | place of the founder
    haplotype that is copied from this site on. At most one change a haplotype and site.
    """

    first: np.ndarray
    change: np.ndarray
    place_bits: int
    founder_bits: int


class Course(NamedTuple):
    """Where the founders of some tiles change: ascending by flat place, tile * places + place, then by site.

    bounds: list (tiles + 1,), the changes of every tile. where: int64 (changes,), flat places; new: int64, flat place
    of the founder haplotype from then on, tile * founder places + place; mask: uint32, the bits of the sites from the
    change on; again: bool, no first change of the haplotype in the tile.
    """

    bounds: list
    where: np.ndarray
    new: np.ndarray
    mask: np.ndarray
    again: np.ndarray


def places_of(haplotype: np.ndarray, columns: int) -> np.ndarray:
    """Places in a tile of haplotypes."""
    return (haplotype % TILE) * columns + haplotype // TILE


def tiles_in(block_sites: int | None, words: int, places: int) -> int:
    """Tiles of a block: of so many sites where that is told, else of so many words; flat places fit into 31 bits."""
    return max(1, min(block_sites // TILE if block_sites else words // places, (2**31 - 1) // places))


def in_sites(mosaic: Mosaic, x: np.ndarray, founder_place: np.ndarray) -> SiteMosaic:
    """The mosaic at the sites with genetic positions x (uint32, ascending); segments without a site are dropped.

    founder_place: int (founder haplotypes,). Of -1 (no chromosome) it is any place.
    """
    haplotypes, total = len(mosaic.offset) - 1, int(mosaic.offset[-1])
    columns = words_of(haplotypes // 2)
    place_bits, founder_bits = (TILE * columns).bit_length(), (int(founder_place.max(initial=0)) + 1).bit_length()
    if place_bits + founder_bits + len(x).bit_length() > 64:
        raise ValueError(f"{len(x)} sites of {haplotypes} haplotypes: a change of founder exceeds 64 bits")
    parts = np.searchsorted(x, np.arange(2**18 + 1, dtype=np.uint64) << np.uint64(14)).astype(np.int32)
    place = places_of(np.arange(haplotypes), columns)
    first, change, n = np.zeros(TILE * columns, dtype=np.int64), np.empty(total, dtype=np.uint64), 0
    for low, high in pairwise(np.unique(np.searchsorted(mosaic.offset, np.append(np.arange(0, total, CHUNK), total)))):
        offset = mosaic.offset[low : high + 1]
        site = _first_sites(x, parts, mosaic.start[offset[0] : offset[-1]])
        end = np.append(site[1:], np.int32(len(x)))
        end[offset[1:] - offset[0] - 1] = len(x)
        founder = founder_place[mosaic.founder[offset[0] : offset[-1]]]
        which = np.flatnonzero((end > site) & (site == 0))
        first[place[low:high]] = founder[which]
        which = np.flatnonzero((end > site) & (site > 0))
        key = site[which].astype(np.uint64) << np.uint64(place_bits)
        key = (key | np.repeat(place[low:high], np.diff(offset))[which].astype(np.uint64)) << np.uint64(founder_bits)
        change[n : n + len(which)] = key | founder[which].astype(np.uint64)
        n += len(which)
    change = change[:n]
    change.sort()
    return SiteMosaic(first, change, place_bits, founder_bits)


def _first_sites(x: np.ndarray, parts: np.ndarray, start: np.ndarray) -> np.ndarray:
    """np.searchsorted(x, start) as int32; parts: the first site of each of 2^18 equal parts of the map."""
    part = start >> np.uint32(14)
    site = parts[part]
    unsure = np.flatnonzero(parts[1:][part] > site)
    site[unsure] = np.searchsorted(x, start[unsure], side="left")
    return site


class Courses:
    """The mosaic along the tiles of a path, handed out in their order.

    sites: bool (all sites,), the path's; founder_places: places of founder haplotypes in a tile.
    """

    def __init__(self, mosaic: SiteMosaic, sites: np.ndarray, founder_places: int):
        self.mosaic, self.founder_places, self.n_sites = mosaic, founder_places, len(sites)
        self.sites = np.flatnonzero(sites)
        self.number = np.append(np.int32(0), np.cumsum(sites, dtype=np.int32))  # sites of the path before a site
        self.current, self.read, self.given = mosaic.first.copy(), 0, 0

    @property
    def next(self) -> int:
        """The next tile's first site; the number of all sites after the last one."""
        return int(self.sites[self.given * TILE]) if self.given * TILE < len(self.sites) else self.n_sites

    def ahead(self, tiles: int) -> np.ndarray:
        """Sites of the next tiles."""
        return self.sites[self.given * TILE : (self.given + tiles) * TILE]

    def take(self, tiles: int) -> Course:
        """The next tiles, or as many as there are."""
        change, place_bits, founder_bits = self.mosaic[1:]
        sites, places = self.ahead(tiles), len(self.current)
        tiles, top = -(-len(sites) // TILE), self.given * TILE
        bound = np.uint64((int(sites[-1]) + 1) << (place_bits + founder_bits))
        read = slice(self.read, self.read + int(np.searchsorted(change[self.read :], bound)))
        change, self.read, self.given = change[read], read.stop, self.given + tiles
        new = (change & np.uint64((1 << founder_bits) - 1)).view(np.int64)
        change = change >> np.uint64(founder_bits)
        where = (change & np.uint64((1 << place_bits) - 1)).view(np.int64)
        site = self.number[(change >> np.uint64(place_bits)).view(np.int64)] - np.int32(top)
        tile = (site >> 5).astype(np.int64)
        order = np.sort((tile * places + where) << 32 | np.arange(len(where)))
        where, order = order >> 32, order & (2**32 - 1)
        mask = np.uint32(2**32 - 1) << (site & 31).astype(np.uint32)[order]
        again = np.append(False, where[1:] == where[:-1])[: len(where)]
        bounds = np.searchsorted(where, np.arange(tiles + 1) * places).tolist()
        return Course(bounds, where, (tile * self.founder_places + new)[order], mask, again)

    def starts(self, course: Course) -> Iterator[np.ndarray]:
        """Founder places copied at the start of every tile: int64 (places,), until the next one is asked for."""
        tile = np.repeat(np.arange(len(course.bounds) - 1), np.diff(course.bounds))
        where, new = course.where - tile * len(self.current), course.new - tile * self.founder_places
        for low, high in pairwise(course.bounds):
            yield self.current
            self.current[where[low:high]] = new[low:high]  # of several of a haplotype the last one assigned stays


def copy_tiles(table, starts, course: Course, xp=np):
    """Words of the pseudo haplotypes.

    table: uint32 (tiles, founder places); starts: as `Courses.starts` hands them out, for JAX int32 (tiles, places).
    Returns uint32 (tiles, places). A change adds the new founder's alleles under its mask and takes away the one's
    before; the sum, modulo 2^32, does not depend on the order.
    """
    if xp is np:
        made = None
        for tile, start in enumerate(starts):
            made = np.empty((len(table), len(start)), dtype=np.uint32) if made is None else made
            # mode "wrap" fills `out` without a buffered copy; indices are in range
            np.take(table[tile], start, out=made[tile], mode="wrap")
    else:
        made = xp.take_along_axis(table, starts, axis=1)
    shape, made = made.shape, made.reshape(-1)
    fresh = xp.take(table.reshape(-1), course.new)
    stale = xp.where(course.again, xp.roll(fresh, 1), xp.take(made, course.where))
    delta = (fresh & course.mask) - (stale & course.mask)
    if xp is np:
        np.add.at(made, course.where, delta)
        return made.reshape(shape)
    return made.at[course.where].add(delta).reshape(shape)
