"""The sparse path of transmission: sites whose minor allele few founders carry, from carriers to carriers.

As in the dense path a word holds 32 sites of a haplotype, but the founders' words are put together from the carriers
alone, and those of the pseudo cohort, most of them 0, are taken apart into carriers.
"""

from itertools import islice

import numpy as np

from pseudocohort.genome.tiles import TILE, Course, Courses, SiteMosaic, copy_tiles, places_of, tiles_in
from pseudocohort.pgen.bits import words_of
from pseudocohort.pgen.header import COMMON_ALT
from pseudocohort.pgen.reader import Reader
from pseudocohort.pgen.writer import Carriers, Records, encode

BLOCK_WORDS = 2**16  # of founders or pseudo people held together: as fit into a cache
BLOCK_BYTES = 2**18  # of list records read together, at most: about as many carriers
BLOCK_TILES = 2**8


class SparsePath:
    """Records of the path's sites, block by block.

    sites: bool (all sites,), the path's, all of them lists in the founders' file; block: sites in a block at most,
    rounded to tiles. next: the site at which the next block begins.
    """

    def __init__(self, reader: Reader, mosaic: SiteMosaic, sites, people: int, block: int | None = None):
        self.reader, self.haplotypes, self.places = reader, 2 * people, len(mosaic.first)
        columns = words_of(reader.people)
        self.founder_place, self.founder_places = places_of(np.arange(2 * reader.people), columns), TILE * columns
        self.courses = Courses(mosaic, sites, self.founder_places)
        self.haplotype_at = np.arange(self.places).reshape(-1, TILE).T.ravel()
        self.nobody = np.flatnonzero(self.haplotype_at >= self.haplotypes)
        larger = max(self.founder_places, self.places)
        self.step, self.most = tiles_in(None, BLOCK_WORDS, larger), tiles_in(block, BLOCK_TILES * larger, larger)
        self.table = np.empty((self.step, self.founder_places), dtype=np.uint32)
        size = np.diff(reader.index.start)[self.courses.sites]
        self.listed_bytes = np.append(0, np.cumsum(size))[::TILE]

    @property
    def next(self) -> int:
        return self.courses.next

    def take(self) -> tuple[np.ndarray, Records]:
        """The next block: those of its sites that somebody carries, and their records."""
        given = self.courses.given
        enough = np.searchsorted(self.listed_bytes, self.listed_bytes[given] + BLOCK_BYTES, side="right") - 1 - given
        tiles = max(1, min(self.most, int(enough)))
        sites = self.courses.ahead(tiles)
        site, person, which = self.reader.carriers(sites)
        key = self._copied(site, self.founder_place[2 * person + which], self.courses.take(tiles))
        carriers = Carriers(self.reader.index.kind[sites] & 7 == COMMON_ALT, key)
        kept, carriers = carried_only(carriers, self.haplotypes)
        return sites[kept], encode(carriers, self.haplotypes // 2)

    def _copied(self, site: np.ndarray, place: np.ndarray, course: Course) -> np.ndarray:
        """site * haplotypes + haplotype, ascending, of all who copy the founders at these places at these sites."""
        bit, flat = np.uint32(1) << (site & 31).astype(np.uint32), (site >> 5) * self.founder_places + place
        starts, tiles, wheres, words = self.courses.starts(course), len(course.bounds) - 1, [], []
        for low in range(0, tiles, self.step):
            high = min(low + self.step, tiles)
            entries = slice(*np.searchsorted(site, [low * TILE, high * TILE]))
            table = self.table[: high - low]
            table[:] = 0
            np.add.at(table.reshape(-1), flat[entries] - low * self.founder_places, bit[entries])
            made = copy_tiles(table, islice(starts, high - low), self._part(course, low, high))
            made[:, self.nobody] = 0
            where = np.flatnonzero(made != 0)
            words.append(made.reshape(-1)[where])
            wheres.append(where + low * self.places)
        next(starts, None)  # the changes in the last tile
        return self._keys(np.concatenate(wheres), np.concatenate(words))

    def _part(self, course: Course, low: int, high: int) -> Course:
        """The tiles from `low` to `high`."""
        which = slice(course.bounds[low], course.bounds[high])
        bounds, where, new, mask, again = course
        where, new = where[which] - low * self.places, new[which] - low * self.founder_places
        return Course(bounds[low : high + 1], where, new, mask[which], again[which])

    def _keys(self, where: np.ndarray, word: np.ndarray) -> np.ndarray:
        """site * haplotypes + haplotype of every bit set, ascending; where: flat places of the words."""
        tile = where // self.places
        key = self.haplotype_at[where - tile * self.places] + tile * (TILE * self.haplotypes)
        keys = [np.zeros(0, dtype=np.int64)]
        while len(word):
            left = word & word - np.uint32(1)
            keys.append(key + np.bitwise_count((word ^ left) - np.uint32(1)) * np.int64(self.haplotypes))
            more = np.flatnonzero(left)
            word, key = left[more], key[more]
        key = np.concatenate(keys)
        key.sort()
        return key


def carried_only(carriers: Carriers, haplotypes: int) -> tuple[np.ndarray, Carriers]:
    """Which sites' ALT somebody carries, and the carriers at these alone, numbered anew."""
    sites = np.arange(len(carriers.flipped))
    number = np.diff(np.searchsorted(carriers.key, np.append(sites, len(sites)) * haplotypes))
    kept = np.where(carriers.flipped, number < haplotypes, number > 0)
    if kept.all():
        return kept, carriers
    key = carriers.key + np.repeat((np.cumsum(kept) - 1 - sites) * haplotypes, number)
    return kept, Carriers(carriers.flipped[kept], key[np.repeat(kept, number)])
