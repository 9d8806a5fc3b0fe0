"""Transmission: a mosaic and the founders' genotypes make the pseudo genotypes, streamed in blocks of sites."""

import logging
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pseudocohort.errors import InputError
from pseudocohort.genome.mosaic import Mosaic
from pseudocohort.genotypes import Genotypes, GenotypeWriter

log = logging.getLogger("pseudocohort")
BLOCK_BYTES = 2**23  # of the buffers of a block: small, for what is in a cache needs no second way to memory
TILE = 2**17  # alleles gathered at once with one assignment of founders


class SiteMosaic(NamedTuple):
    """A mosaic in site numbers: who is copied at the first site, and where that changes.

    first: int64 (haplotypes,), founder haplotype at site 0. Changes, sorted by site: site (first site copied from
    the new founder haplotype), end (first site not), int32; haplotype and founder, int64.
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
    site = np.searchsorted(x, mosaic.start, side="left").astype(np.int32)
    end = np.append(site[1:], np.int32(len(x)))
    end[mosaic.offset[1:] - 1] = len(x)
    haplotype = np.repeat(np.arange(len(mosaic.offset) - 1), np.diff(mosaic.offset))
    kept = end > site
    site, end, haplotype, founder = site[kept], end[kept], haplotype[kept], mosaic.founder[kept].astype(np.int64)
    changes = np.flatnonzero(site > 0)
    order = np.sort(site[changes].astype(np.int64) << 32 | changes)  # several times faster than a stable argsort
    changes = order & (2**32 - 1)
    return SiteMosaic(founder[site == 0], site[changes], end[changes], haplotype[changes], founder[changes])


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
    Raises InputError when the sites are not sorted.
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
        block_sites = block_sites or max(1, BLOCK_BYTES // (8 * (real.n_people + len(person))))
        with GenotypeWriter(out_prefix, person, sex, carried_only=True) as writer:
            _stream(real, changes, writer, block_sites)


def _stream(real: Genotypes, changes: SiteMosaic, writer: GenotypeWriter, block_sites: int) -> None:
    """Read, gather and write block by block."""
    source = np.empty((block_sites, 2 * real.n_people), dtype=np.int32)
    made = np.empty((block_sites, len(changes.first)), dtype=np.int32)
    current, began, told = changes.first.copy(), time.monotonic(), 0
    for start, stop in real.blocks(block_sites):
        n = stop - start
        real.haplotypes_into(start, stop, source[:n])
        gather(source[:n], changes, start, current, made[:n])
        writer.append(made[:n], real.sites.iloc[start:stop])
        percent = 100 * stop // real.n_sites
        if percent >= told + 10:
            told, passed = percent, time.monotonic() - began
            log.info(
                "%s: %d of %d sites transmitted (%d %%), about %.0f s left",
                writer.prefix.name,
                stop,
                real.n_sites,
                percent,
                passed * (real.n_sites - stop) / stop,
            )


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
