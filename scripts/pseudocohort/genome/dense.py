"""The dense path of transmission: all alleles of common sites, 32 sites of a haplotype with one lookup.

The founders' alleles of a tile are turned over, so that a word holds 32 sites of one haplotype, copied by the mosaic
and turned back. One array program for numpy and JAX, the same bytes from both.
"""

from functools import lru_cache, partial

import numpy as np

from pseudocohort.genome.tiles import TILE, Course, Courses, SiteMosaic, copy_tiles, tiles_in
from pseudocohort.genome.tracing import power_of_two
from pseudocohort.pgen import bits
from pseudocohort.pgen.bits import words_of
from pseudocohort.pgen.reader import Reader
from pseudocohort.pgen.writer import Records, encode_words

BLOCK_WORDS = {"numpy": 2**18, "jax": 2**22}  # of founders or pseudo people: as fit into a cache, or pay a kernel


class DensePath:
    """Records of the path's sites, block by block.

    sites: bool (all sites,), the path's; valid: uint32 (words,), the bits of people who have the chromosome; absent:
    bool (people,) or None, those who have not. block: sites in a block, rounded to tiles. next: the site at which
    the next block begins.
    """

    def __init__(self, reader: Reader, mosaic: SiteMosaic, sites, people: int, absent, xp=np, block: int | None = None):
        self.reader, self.people, self.absent, self.xp = reader, people, absent, xp
        self.founder_places = TILE * words_of(reader.people)
        self.courses = Courses(mosaic, sites, self.founder_places)
        fitting = BLOCK_WORDS["numpy" if xp is np else "jax"]
        self.tiles = tiles_in(block, fitting, max(self.founder_places, len(mosaic.first)))
        self.valid = valid_words(people, absent)

    @property
    def next(self) -> int:
        return self.courses.next

    def take(self) -> tuple[np.ndarray, Records]:
        """The next block: those of its sites that somebody carries, and their records."""
        sites = self.courses.ahead(self.tiles)
        words = self.reader.alleles(sites)
        if len(words) % TILE:  # at the path's end; nobody carries these
            words = np.concatenate([words, np.zeros((-len(words) % TILE, words.shape[1]), dtype=np.uint32)])
        course = self.courses.take(self.tiles)
        starts = self.courses.starts(course)
        if self.xp is np:
            made = transmit_words(words, starts, course, self.valid)
        else:
            starts = np.stack([start.astype(np.int32) for start in starts])
            made = _jitted(self.xp)(words, starts, _padded(course), self.valid)
        # Taking the rows of carried sites first would change the shape, and JAX compile again.
        carried, records = carried_records(made, self.people, self.absent, self.xp)
        return sites[carried[: len(sites)]], records


def carried_records(words, people: int, absent, xp=np) -> tuple[np.ndarray, Records]:
    """Which sites' ALT somebody carries, bool (sites,), and their records. words: uint32 (sites, words)."""
    carried, records = np.asarray((words != 0).any(axis=1)), encode_words(words, people, xp, absent)
    return carried, records if carried.all() else _only(records, carried)


def _only(records: Records, kept: np.ndarray) -> Records:
    """The records kept, bool (records,)."""
    size = np.diff(records.bounds)
    data = records.data[np.repeat(kept, size)]
    return Records(records.kind[kept], data, np.append(0, np.cumsum(size[kept])))


def transmit_words(words, starts, course: Course, valid, xp=np):
    """Alleles of the pseudo cohort at the sites of some tiles.

    words: uint32 (sites, words of the founders); starts, course: of `Courses`; valid: uint32 (words,), bits of pseudo
    haplotypes. Returns uint32 (sites, words).
    """
    tiles, columns = len(words) // TILE, len(valid)
    table = bits.transpose(words.reshape(tiles, TILE, words.shape[1]), xp).reshape(tiles, -1)
    made = copy_tiles(table, starts, course, xp).reshape(tiles, TILE, columns)
    return bits.transpose(made, xp).reshape(tiles * TILE, columns) & valid


def valid_words(people: int, absent) -> np.ndarray:
    """Bits of the haplotypes of people who are not absent: uint32 (words,)."""
    there = np.zeros(TILE * words_of(people), dtype=bool)
    there[: 2 * people] = True if absent is None else np.repeat(~absent, 2)
    return np.packbits(there, bitorder="little").view("<u4")


@lru_cache
def _jitted(xp):
    import jax

    return jax.jit(partial(transmit_words, xp=xp))


def _padded(course: Course) -> Course:
    """The course with a power of two of changes, the added ones of no bit."""
    size = power_of_two(len(course.where))
    where, new, mask, again = (np.pad(a, (0, size - len(a))) for a in course[1:])
    return Course([], where.astype(np.int32), new.astype(np.int32), mask, again)
