"""Tiles of 32 sites and lists of carriers, the parts of the transmission, against loops."""

import jax.numpy as jnp
import numpy as np
import pytest

from pseudocohort.genome import dense, tiles
from pseudocohort.genome.mosaic import Mosaic, founder_at
from pseudocohort.genome.sparse import carried_only
from pseudocohort.genome.tiles import Courses, in_sites, places_of
from pseudocohort.pgen.bits import pack, unpack, words_of
from pseudocohort.pgen.writer import Carriers


@pytest.mark.parametrize("haplotypes", [6, 64, 70, 130])
@pytest.mark.parametrize("step", [1, 3, 50])
def test_courses_copy_what_the_mosaic_says(haplotypes, step):
    """Many changes of a haplotype in a tile, at one site and between sites; half of the sites are the path's."""
    rng = np.random.default_rng([haplotypes, step])
    founders, sites = 40, 500
    alleles = rng.integers(0, 2, (sites, founders))
    pieces = rng.integers(1, 90, haplotypes)
    start = [np.append(0, np.sort(rng.integers(0, 2**32, n - 1))) for n in pieces]
    founder = rng.integers(0, founders, pieces.sum()).astype(np.int32)
    mosaic = Mosaic(np.append(0, np.cumsum(pieces)), np.concatenate(start).astype(np.uint32), founder)
    x = np.sort(rng.integers(0, 2**32, sites)).astype(np.uint32)
    x[200:230] = x[200]
    columns = words_of(founders // 2)
    changes = in_sites(mosaic, x, places_of(np.arange(founders), columns))
    assert (np.diff(changes.change.astype(object)) > 0).all()
    path = rng.random(sites) < 0.5
    wanted = np.take_along_axis(alleles, founder_at(mosaic, x), axis=1)[path]
    words = pack(alleles)
    for xp in (np, jnp):
        courses, made = Courses(changes, path, tiles.TILE * columns), []
        while courses.next < sites:
            number = courses.ahead(step)
            block = np.zeros((-(-len(number) // 32) * 32, words.shape[1]), dtype=np.uint32)
            block[: len(number)] = words[number]
            course, valid = courses.take(step), dense.valid_words(haplotypes // 2, None)
            starts = courses.starts(course)
            if xp is np:
                block = dense.transmit_words(block, starts, course, valid)
            else:
                starts = np.stack([start.astype(np.int32) for start in starts])
                block = np.asarray(dense._jitted(xp)(block, starts, dense._padded(course), valid))
            made.append(block[: len(number)])
        np.testing.assert_array_equal(unpack(np.concatenate(made), haplotypes // 2), wanted)


def test_too_many_sites_and_people_for_64_bits():
    mosaic = Mosaic(np.arange(3), np.zeros(2, dtype=np.uint32), np.zeros(2, dtype=np.int32))
    with pytest.raises(ValueError, match="exceeds 64 bits"):
        in_sites(mosaic, np.zeros(4, dtype=np.uint32), np.array([2**56]))


def test_carriers_of_carried_sites_alone():
    """Of five sites one has no carrier of ALT, and at one everybody carries the minor allele, which is REF."""
    flipped = np.array([False, False, True, True, False])
    key = np.array([1, 3, 8, 9, 10, 11, 17, 18])
    kept, carriers = carried_only(Carriers(flipped, key), 4)
    np.testing.assert_array_equal(kept, [True, False, False, True, True])
    np.testing.assert_array_equal(carriers.flipped, [False, True, False])
    np.testing.assert_array_equal(carriers.key, [1, 3, 9, 10])
