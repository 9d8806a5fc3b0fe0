"""Transmission: a mosaic and the founders' genotypes make the pseudo genotypes, streamed in blocks of sites.

Two paths make the same bytes. Dense: all alleles of a site, on any device. Sparse, where few founders carry the minor
allele: carriers alone, on the host. The founders' file says which is cheaper at a site (`is_rare`); each path goes
through its own sites, and the records of both are written in the order of sites.
"""

import logging
import time
from pathlib import Path

import numpy as np

from pseudocohort.errors import InputError
from pseudocohort.files import atomic
from pseudocohort.genome.dense import DensePath
from pseudocohort.genome.mosaic import Mosaic, array_module
from pseudocohort.genome.recombination import site_fractions
from pseudocohort.genome.sparse import SparsePath
from pseudocohort.genome.tiles import in_sites, places_of
from pseudocohort.pgen.bits import words_of
from pseudocohort.pgen.header import Index
from pseudocohort.pgen.reader import Reader
from pseudocohort.pgen.writer import Records, RecordWriter, interleave
from pseudocohort.sites import SiteLines, count_people, write_psam

log = logging.getLogger("pseudocohort")
LISTS = (4, 6, 20, 22)  # record types: people who differ from the common homozygote, unphased and phased
RARE = 1 / 32  # share of people in a list up to which the sparse path is cheaper (benchmarks/genome.py)
BYTES_PER_ENTRY = 1.6  # of a list of that share


def transmit(
    real_prefix: str | Path,
    founder_rows: np.ndarray,
    mosaic: Mosaic,
    genetic_map,
    out_prefix: str | Path,
    person: np.ndarray,
    sex: np.ndarray,
    block_sites: int | None = None,
    device: str = "auto",
) -> None:
    """Write the pseudo cohort's phased genotypes of one chromosome, at the sites whose ALT a pseudo person carries.

    All other sites are left out: the list of sites itself would tell of alleles that only holdout people or
    founders without descendants carry.

    real_prefix: founders' .pgen triple; founder_rows: ascending rows of its .psam, founder i of the mosaic being
    founder_rows[i]. genetic_map: its extent is what the mosaic's fractions refer to. person, sex: (people,) of the
    pseudo cohort; whose two haplotypes have founder -1 lacks the chromosome, the calls are missing. block_sites:
    sites held at once (default: as fit into a cache); device: of the dense path, "cpu" (numpy), "gpu" (JAX) or "auto"
    (JAX where there is a GPU). The bytes written are the same for every value. Sites fixed for ALT stay; positions,
    ids and alleles are unchanged.
    Memory: the blocks, 60 bytes a site, 8 bytes a segment and the mosaic.
    Raises InputError when the sites are not sorted, a call of a founder that is copied is missing or not phased, or no
    pseudo person carries any ALT; then nothing is written.
    """
    founder_rows, xp = np.asarray(founder_rows), array_module(device)
    if len(mosaic.offset) != 2 * len(person) + 1 or len(person) != len(sex):
        raise ValueError(f"mosaic of {len(mosaic.offset) - 1} haplotypes, {len(person)} ids, {len(sex)} sexes")
    if (np.diff(founder_rows) <= 0).any() or mosaic.founder.max(initial=-1) >= 2 * len(founder_rows):
        raise ValueError("founder_rows must ascend and cover every founder of the mosaic")
    absent = absent_people(mosaic)
    lines, reader = open_founders(real_prefix, founder_rows, mosaic)
    with reader, atomic(f"{out_prefix}.pgen") as part:  # the three files appear whole or not at all
        haplotypes = (2 * founder_rows[:, None] + [0, 1]).ravel()
        places = places_of(haplotypes, words_of(reader.people))
        changes = in_sites(mosaic, site_fractions(genetic_map, lines.positions), places)
        rare = is_rare(reader.index, reader.people) & (absent is None)
        dense = DensePath(reader, changes, ~rare, len(person), absent, xp, block_sites)
        sparse = SparsePath(reader, changes, rare, len(person), block_sites)
        with RecordWriter(part, len(person)) as writer:
            carried = _stream(dense, sparse, writer, Path(out_prefix).name)
        lines.write(f"{out_prefix}.pvar", carried)
        write_psam(f"{out_prefix}.psam", person, sex)


def open_founders(prefix: str | Path, founder_rows: np.ndarray, mosaic: Mosaic) -> tuple[SiteLines, Reader]:
    """Check that the files belong together and are sorted, and open the .pgen."""
    lines, people = SiteLines(f"{prefix}.pvar"), count_people(f"{prefix}.psam")
    if (np.diff(lines.positions) < 0).any():
        raise InputError(
            f"sites of {prefix}.pvar are not sorted by position",
            where=f"{prefix}.pvar",
            expected="sites in ascending order",
            remedy="sort the file, for instance with plink2 --sort-vars",
        )
    copied = np.zeros(len(founder_rows) + 1, dtype=bool)  # the last for founder -1
    copied[mosaic.founder >> 1] = True
    needed = np.zeros(people, dtype=bool)
    needed[founder_rows[copied[:-1]]] = True
    reader = Reader(f"{prefix}.pgen", people, needed=needed, name=lines.name)
    if len(reader.index.kind) == len(lines):
        return lines, reader
    reader.close()
    raise InputError(
        f"{prefix}.pgen holds {len(reader.index.kind)} sites and its .pvar {len(lines)}",
        where=str(prefix),
        remedy="make the three files again with one plink2 call",
    )


def absent_people(mosaic: Mosaic) -> np.ndarray | None:
    """Pseudo people without the chromosome (females on Y): bool (people,), or None where there are none."""
    there = mosaic.founder >= 0
    if there.all():
        return None
    first = there[mosaic.offset[:-1]]
    if (there != np.repeat(first, np.diff(mosaic.offset))).any() or (first[0::2] != first[1::2]).any():
        raise ValueError("only people as a whole can lack a chromosome")
    return ~first[0::2]


def is_rare(index: Index, people: int) -> np.ndarray:
    """Sites of a founders' file of `people` for the sparse path: bool (sites,). They are stored as a short list."""
    return np.isin(index.kind, LISTS) & (np.diff(index.start) <= 4 + BYTES_PER_ENTRY * RARE * people)


def _stream(dense: DensePath, sparse: SparsePath, writer: RecordWriter, name: str) -> np.ndarray:
    """Write the records of both paths in the order of sites. Returns which sites are carried: bool (sites,).

    The path that is behind makes its next block; what lies before the next sites of both is written.
    """
    n_sites, began, told, done = len(dense.courses.number) - 1, time.monotonic(), 0, 0
    carried, waiting = np.zeros(n_sites, dtype=bool), []
    while done < n_sites:
        waiting.append(min(dense, sparse, key=lambda path: path.next).take())
        done = min(dense.next, sparse.next)
        ready, waiting = _split(waiting, done)
        for sites, _ in ready:
            carried[sites] = True
        if ready:
            writer.append(interleave([records for _, records in ready], [sites for sites, _ in ready]))
        percent = 100 * done // n_sites
        if percent // 10 > told // 10:
            told, left = percent, (time.monotonic() - began) * (n_sites - done) / done
            form = "%s: %d of %d sites transmitted (%d %%), about %.0f s left"
            log.info(form, name, done, n_sites, percent, left)
    if not carried.any():
        raise InputError(
            f"no pseudo person carries an ALT of any of the {n_sites} sites",
            where=name,
            expected="at least one site to write",
            remedy="take the chromosome out of `chromosomes`, or ask for more `people`",
        )
    writer.close()
    return carried


def _split(blocks: list[tuple[np.ndarray, Records]], site: int) -> tuple[list, list]:
    """The parts of blocks of records before a site, and those from it on."""
    before, after = [], []
    for sites, records in blocks:
        n = int(np.searchsorted(sites, site))
        cut = records.bounds[n]
        if n:
            before.append((sites[:n], Records(records.kind[:n], records.data[:cut], records.bounds[: n + 1])))
        if n < len(sites):
            after.append((sites[n:], Records(records.kind[n:], records.data[cut:], records.bounds[n:] - cut)))
    return before, after
