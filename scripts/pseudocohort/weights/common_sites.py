"""Common sites of the .pgen triples, streamed in blocks as standardised dosages."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pgenlib

from pseudocohort.genotypes import Genotypes

log = logging.getLogger("pseudocohort")

BLOCK_CELLS = 1 << 26  # sites x people of one block at most: 0.27 GB as float32


class Sites(NamedTuple):
    """Which sites of which people make a kernel, and how they are scaled.

    prefixes: .pgen triples, one a chromosome.  people_rows: increasing rows of the .psam, or None for all.
    minimum_frequency: of the minor allele among those people.  alpha: variance of a site's effect per allele
    is proportional to (2pq)^alpha; -1: every site explains the same variance.  block_sites: read at once.
    """

    prefixes: list
    people_rows: np.ndarray | None
    minimum_frequency: float = 0.01
    alpha: float = -1.0
    block_sites: int = 4096


class Block(NamedTuple):
    """Common sites of one file: prefix, chrom, table (b rows chrom pos id ref alt, index = row of the .pvar),
    dosage (b, n) float32 counts of ALT, mean (b,), to_allele (b,): x = (dosage - mean) * to_allele."""

    prefix: str | Path
    chrom: str
    table: pd.DataFrame
    dosage: np.ndarray
    mean: np.ndarray
    to_allele: np.ndarray


def minimum_count(n: int, frequency: float) -> int:
    """Least number of minor alleles of a common site among n people."""
    return max(int(np.ceil(round(2 * n * frequency, 6))), 1)


class Progress:
    """Logs how far a pass over the .pgen files is, by their size, at most every `every` seconds."""

    def __init__(self, what: str, prefixes: list, every: float = 10.0):
        self.what, self.every = what, every
        self.sizes = [Path(f"{prefix}.pgen").stat().st_size for prefix in prefixes]
        self.started = self.told = time.monotonic()

    def at(self, file: int, share: float) -> None:
        """The share of file number `file` is done, and everything before it."""
        now = time.monotonic()
        if now - self.told > self.every:
            done = (sum(self.sizes[:file]) + share * self.sizes[file]) / sum(self.sizes)
            left = (now - self.started) * (1 / max(done, 1e-9) - 1)
            log.info("%s: %d %% of the genotypes, about %.0f s left", self.what, 100 * done, left)
            self.told = now


def block_rows(n: int, block_sites: int) -> int:
    """Sites to hold at once, so that memory stays flat however many people there are."""
    return max(min(block_sites, BLOCK_CELLS // max(n, 1)), 16)


def common_blocks(sites: Sites, what: str = "weights") -> Iterator[Block]:
    """Stream the sites that are common and vary among the people; those with missing calls (Y) are left out."""
    progress = Progress(what, sites.prefixes)
    for number, prefix in enumerate(sites.prefixes):
        with Genotypes(prefix, sites.people_rows) as genotypes:
            n = genotypes.n_people
            least = minimum_count(n, sites.minimum_frequency)
            for start, stop in genotypes.blocks(block_rows(n, sites.block_sites)):
                _, one, two, missing = genotypes.counts(start, stop).astype(float).T
                count = one + 2 * two
                variance = (count + 2 * two) / n - (count / n) ** 2
                # where everybody is heterozygous, a frequent site is constant
                common = (np.minimum(count, 2 * n - count) >= least) & (variance > 1e-9) & (missing == 0)
                kept = np.flatnonzero(common)
                if len(kept):
                    mean = count[kept] / n
                    to_allele = (mean * (1 - mean / 2)) ** ((1 + sites.alpha) / 2) / np.sqrt(variance[kept])
                    g = genotypes.dosages_at(start + kept).astype(np.float32)
                    table = genotypes.sites.iloc[start + kept]
                    yield Block(prefix, table["chrom"].iloc[0], table, g, mean, to_allele)
                progress.at(number, stop / genotypes.n_sites)


def standardised(sites: Sites) -> Iterator[tuple[str, pd.DataFrame, np.ndarray, np.ndarray]]:
    """Stream (chrom, table, x (b, n) float32, to_allele (b,)) of the common sites.

    x = (dosage - mean) * to_allele, to_allele = f^(1/2) / sd with f = (2pq)^(1 + alpha): an effect w on x is
    w * to_allele per ALT allele.  Males on X have dosage 0 or 2 here, too.
    """
    for block in common_blocks(sites):
        yield block.chrom, block.table, centred(block), block.to_allele


def centred(block: Block) -> np.ndarray:
    """x (b, n) float32 of a block, in the place of its dosages."""
    x = block.dosage
    x -= block.mean[:, None].astype(np.float32)
    x *= block.to_allele[:, None].astype(np.float32)
    return x


class Kept(NamedTuple):
    """Common sites of one .pgen, found before: rows (k,) in it, and mean and to_allele (k,) as in Block."""

    prefix: str | Path
    chrom: str
    rows: np.ndarray
    mean: np.ndarray
    to_allele: np.ndarray


def reread(
    kept: list[Kept], people_rows, n: int, block_sites: int, what: str = ""
) -> Iterator[tuple[Kept, np.ndarray]]:
    """Stream the kept sites of n people again: a block's part of Kept and dosages (b, n) int8, reused by the next.

    Reads nothing but these sites, and no .pvar.
    """
    size = block_rows(n, block_sites)
    raw, progress = np.empty((size, n), dtype=np.int8), Progress(what, [k.prefix for k in kept]) if what else None
    for number, file in enumerate(kept):
        name = f"{file.prefix}.pgen".encode()
        with pgenlib.PgenReader(name) as reader:
            whole = people_rows is None or reader.get_raw_sample_ct() == n
            if not whole:  # a subset of everybody is read more slowly
                reader.change_sample_subset(np.asarray(people_rows, dtype=np.uint32))
            for start in range(0, len(file.rows), size):
                part = Kept(*file[:2], *(column[start : start + size] for column in file[2:]))
                reader.read_list(part.rows, raw[: len(part.rows)])
                yield part, raw[: len(part.rows)]
                if progress:
                    progress.at(number, min(1.0, (start + size) / len(file.rows)))
