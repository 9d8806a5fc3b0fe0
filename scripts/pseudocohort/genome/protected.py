"""Transmission under protections: a mosaic and the founders' genotypes make pseudo genotypes, window by window.

As in `transmission` 32 sites of a haplotype are one word. All haplotypes may change what they copy at every window, so
a window is one lookup, and a table of segments (70,000 a haplotype at .05 cM) is never made.
"""

import logging
from itertools import pairwise
from pathlib import Path

import numpy as np

from pseudocohort.errors import InputError
from pseudocohort.files import atomic
from pseudocohort.genome.dense import carried_records, valid_words
from pseudocohort.genome.mosaic import Mosaic
from pseudocohort.genome.protection import (
    Copying,
    Founded,
    Protection,
    protected_words,
    streams_of,
    window_bounds,
)
from pseudocohort.genome.recombination import coordinate, site_fractions
from pseudocohort.genome.tiles import TILE, places_of
from pseudocohort.genome.transmission import absent_people, open_founders
from pseudocohort.genotypes import read_psam
from pseudocohort.pgen import bits
from pseudocohort.pgen.bits import unpack, words_of
from pseudocohort.pgen.reader import Reader
from pseudocohort.pgen.writer import RecordWriter
from pseudocohort.sites import write_psam

log = logging.getLogger("pseudocohort")
LONG = 2  # times window_cm, on average, of windows joined for want of sites
HALVED = 0.1  # share of windows that few haplotypes of are allowed, from which on it is told
BLOCK_WORDS = 2**22  # of founders read together


def transmit_protected(
    real_prefix: str | Path,
    founder_rows: np.ndarray,
    mosaic: Mosaic,
    genetic_map,
    out_prefix: str | Path,
    person: np.ndarray,
    sex: np.ndarray,
    protection: Protection,
    founded: Founded,
    chrom: str,
    seed: int,
    block_sites: int | None = None,
) -> dict[str, int]:
    """Write the pseudo cohort's genotypes under protections; arguments as of `transmit`, and who founders belong to.

    founded: of the founder haplotypes, 2 i and 2 i + 1 of founder_rows[i]; those of who has no chromosome are not
    counted among them. chrom, seed: name the draws. block_sites: sites read at once, at least a window; the bytes do
    not depend on it. Returns numbers of sites: "sites" of the founders, "common" after minimum_allele_count,
    "written". Memory: a block, 100 bytes a founder and pseudo haplotype and the mosaic.
    """
    founder_rows = np.asarray(founder_rows)
    lines, reader = open_founders(real_prefix, founder_rows, mosaic)
    with reader, atomic(f"{out_prefix}.pgen") as part:
        there = _present(real_prefix, founder_rows, chrom)
        haplotypes = (2 * founder_rows[:, None] + [0, 1]).ravel()[there]
        founded, mosaic = Founded(founded.family[there], founded.stratum[there]), _renumbered(mosaic, there)
        common = common_sites(reader, haplotypes, founded.family, protection.minimum_allele_count)
        sites = np.flatnonzero(common)
        fraction, length = site_fractions(genetic_map, lines.positions), genetic_map.length_cm
        cm = np.interp(lines.positions, *coordinate(genetic_map)) * length
        bounds = window_bounds(cm[sites], protection)
        x = np.append(fraction[sites[bounds[:-1]]].astype(np.int64), 2**32)
        streams = streams_of(seed, chrom)
        copying = Copying(mosaic, protection, founded, x, length, streams.switch)
        absent = absent_people(mosaic)
        table = _Table(reader, haplotypes, len(person), absent)
        carried = np.zeros(len(lines), dtype=bool)
        with RecordWriter(part, len(person)) as writer:
            for block in _blocks(bounds, block_sites or max(1, BLOCK_WORDS // words_of(reader.people))):
                rows = sites[block[0] : block[-1]]
                founders = reader.alleles(rows)
                made = [
                    table.rows(protected_words(words, high - low, copying, protection, founded, streams), high - low)
                    for low, high, words in table.windows(founders, block - block[0])
                ]
                kept, records = carried_records(np.concatenate(made), len(person), absent)
                carried[rows[kept]] = True
                writer.append(records)
            if not carried.any():
                raise InputError(
                    "no site is left to write under the protections",
                    where="config key protection",
                    expected="at least one site that enough families vary at",
                    remedy="lower minimum_allele_count or k_anonymous",
                )
            writer.close()
        lines.write(f"{out_prefix}.pvar", carried)
        write_psam(f"{out_prefix}.psam", person, sex)
    counts = {"sites": len(lines), "common": len(sites), "written": int(carried.sum())}
    log.info("chromosome %s: of %d sites %d are common enough, %d are written", chrom, *counts.values())
    if protection.least:
        _tell_windows(chrom, np.ptp(cm[sites]) / max(len(bounds) - 1, 1), protection.window_cm, copying.pieces)
    return counts


def _tell_windows(chrom: str, length: float, wanted: float, pieces: list[int]) -> None:
    """Log, and warn of, windows that were joined or halved. length, wanted: cM, of a window on average and by the
    configuration; pieces: of each window, 1 or as many as it was cut into."""
    if length > LONG * wanted:
        log.warning(
            "chromosome %s: windows of %g cM have so few sites that they are joined to %.2g cM on average: this "
            "protects less and costs more linkage disequilibrium than in sequences; look at the frontier (config "
            "key disclosure.frontier)",
            chrom, wanted, length,
        )  # fmt: skip
    cut = [number for number in pieces if number > 1]
    told = (chrom, len(cut), len(pieces), sum(pieces))
    log.info("chromosome %s: %d windows of %d are halved, which makes %d pieces", *told)
    if len(cut) > HALVED * len(pieces):
        log.warning(
            "chromosome %s: %.0f %% of the windows have so many haplotypes that they are halved, to %.1f pieces on "
            "average: k families carry each piece, and all of such a window together k or none",
            chrom, 100 * len(cut) / len(pieces), sum(cut) / len(cut),
        )  # fmt: skip


def _present(real_prefix: str | Path, founder_rows: np.ndarray, chrom: str) -> np.ndarray:
    """Founder haplotypes that there are: bool (2 founders,), all but those of females on Y."""
    there = np.ones(2 * len(founder_rows), dtype=bool)
    if chrom == "Y":
        there &= np.repeat(read_psam(f"{real_prefix}.psam")["sex"].to_numpy()[founder_rows] == 1, 2)
    return there


def _renumbered(mosaic: Mosaic, there: np.ndarray) -> Mosaic:
    """The mosaic with founders numbered among those that are there, bool (founder haplotypes,)."""
    number = np.append(np.cumsum(there) - 1, -1).astype(np.int32)  # the last for founder -1
    return mosaic._replace(founder=number[mosaic.founder])


def common_sites(reader: Reader, haplotypes: np.ndarray, family: np.ndarray, minimum: int) -> np.ndarray:
    """Sites whose minor allele (of the founders) at least `minimum` distinct families carry: bool (sites,).

    haplotypes: int64 (n,), places of the founder haplotypes in the file; family: int64 (n,).
    """
    n_sites = len(reader.index.kind)
    if minimum == 0:
        return np.ones(n_sites, dtype=bool)
    chosen = np.zeros(2 * reader.people, dtype=bool)
    chosen[haplotypes] = True
    mask, most = bits.pack(chosen[None])[0], int(np.bincount(family).max())
    kept, step = np.zeros(n_sites, dtype=bool), max(1, BLOCK_WORDS // len(mask))
    for low in range(0, n_sites, step):
        words = reader.alleles(np.arange(low, min(low + step, n_sites))) & mask
        copies = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
        flipped = 2 * copies > len(haplotypes)
        copies = np.minimum(copies, len(haplotypes) - copies)
        kept[low : low + len(words)] = copies >= minimum * most
        for row in np.flatnonzero((copies >= minimum) & (copies < minimum * most)):
            alleles = unpack(words[row : row + 1], reader.people)[0, haplotypes] != flipped[row]
            kept[low + row] = len(np.unique(family[alleles])) >= minimum
    return kept


def _blocks(bounds: np.ndarray, block_sites: int):
    """Bounds of the windows of each block of at most so many sites, or one window."""
    first = 0
    while first < len(bounds) - 1:
        last = int(np.searchsorted(bounds, bounds[first] + block_sites, side="right")) - 1
        last = max(last, first + 1)
        yield bounds[first : last + 1]
        first = last


class _Table:
    """Alleles from rows of sites to words of 32 sites a haplotype, and back."""

    def __init__(self, reader: Reader, haplotypes: np.ndarray, people: int, absent):
        self.founder_place = places_of(haplotypes, words_of(reader.people))
        self.columns = words_of(people)
        self.place = places_of(np.arange(2 * people), self.columns)
        self.valid = valid_words(people, absent)

    def windows(self, founders: np.ndarray, bounds: np.ndarray):
        """First site, end and words, uint32 (tiles, founder haplotypes), of each window of a block."""
        for low, high in pairwise(bounds.tolist()):
            tiles = -(-(high - low) // TILE)
            padded = np.zeros((tiles * TILE, founders.shape[1]), dtype=np.uint32)
            padded[: high - low] = founders[low:high]
            turned = bits.transpose(padded.reshape(tiles, TILE, -1)).reshape(tiles, -1)
            yield low, high, turned[:, self.founder_place]

    def rows(self, made: np.ndarray, sites: int) -> np.ndarray:
        """Rows of sites, uint32 (sites, words), of the pseudo haplotypes' words (tiles, haplotypes)."""
        placed = np.zeros((len(made), TILE * self.columns), dtype=np.uint32)
        placed[:, self.place] = made
        turned = bits.transpose(placed.reshape(len(made), TILE, self.columns))
        return turned.reshape(-1, self.columns)[:sites] & self.valid
