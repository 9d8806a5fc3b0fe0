"""Pseudo genotypes as VCF text or BCF, bgzipped and indexed, for programs that read no .pgen.

Formats: VCFv4.3 and BCF 2.2, samtools.github.io/hts-specs. A site has GT alone, phased, and FILTER PASS. The genotypes
of four people are one byte of the alleles read and one look-up in a table of bytes to write, so that compression is
nearly all of the work.
"""

import logging
import struct
import time
from collections.abc import Iterator
from itertools import chain, groupby, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pysam

import pseudocohort
from pseudocohort.cohort.builds import chromosome_length
from pseudocohort.errors import InputError
from pseudocohort.files import atomic
from pseudocohort.genotypes import read_psam
from pseudocohort.pgen.reader import Reader
from pseudocohort.sites import SiteLines

log = logging.getLogger("pseudocohort")
READ_BYTES, WRITE_BYTES = 2**20, 2**20  # of alleles read and of genotypes formed together
COMPRESSION = "w4"  # zlib's level: files a fifth to a quarter larger than at 6, bcftools', in a third of the time
MALE = 1
BCF_SITE = struct.Struct("<2I3i3I")
MISSING_FLOAT = 0x7F800001
END_OF_VECTOR = 0x81  # of int8 in BCF


class Layout(NamedTuple):
    """How the genotypes of a site are written.

    table: (256,), each item the bytes of four people, by the byte of their alleles. width: bytes a person of those.
    keep, fill: uint8 (people width,) or None; bytes to be and-ed and or-ed where a person's differ from the table's.
    columns: int64 (bytes that stay,) or None for all.
    """

    table: np.ndarray
    width: int
    keep: np.ndarray | None = None
    fill: np.ndarray | None = None
    columns: np.ndarray | None = None


def export(prefix: str | Path, path: str | Path, chrom: str, build: str) -> None:
    """Write a .pgen triple of one chromosome as .vcf.gz with index .tbi, or as .bcf with .csi, by the suffix of `path`.

    chrom: name without prefix, which the contig gets, also where the .pvar says PAR1 or PAR2. build: names the
    contig's length. Who has one copy (males on X outside the PAR and on Y, everybody on MT) is written haploid, females
    on Y as missing. Both files appear whole or not at all. Memory: megabytes, whatever the number of sites.
    Raises InputError when .pvar and .pgen do not fit, or a call is missing.
    """
    text = not str(path).endswith(".bcf")
    people = read_psam(f"{prefix}.psam")
    head = header(chrom, build, people["person"]).encode()
    head = head if text else b"BCF\2\2" + struct.pack("<I", len(head) + 1) + head + b"\0"
    with atomic(path) as part, atomic(f"{path}.tbi" if text else f"{path}.csi") as index:
        with pysam.BGZFile(str(part), COMPRESSION) as file:
            file.write(head)
            _tell(_write_sites(prefix, file, chrom, people["sex"].to_numpy(), text), Path(path).name)
        form = {"preset": "vcf"} if text else {"preset": "bcf", "csi": True}
        pysam.tabix_index(str(part), index=str(index), force=True, keep_original=True, **form)


def header(chrom: str, build: str, person) -> str:
    """The header of one chromosome's VCF, ending with the line of columns; nothing of the input's header is in it."""
    lines = [
        "##fileformat=VCFv4.3",
        '##FILTER=<ID=PASS,Description="All filters passed">',
        f"##source=pseudocohort {pseudocohort.__version__}",
        f"##reference={build}",
        f"##contig=<ID={chrom},length={chromosome_length(build, chrom)},assembly={build}>",
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
    ]
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *person]
    return "\n".join([*lines, "\t".join(columns)]) + "\n"


def copies(region: str, sex: np.ndarray) -> np.ndarray:
    """Copies that each person has of a chromosome or region (1 to 22, X, PAR1, PAR2, Y, MT): int8 (people,).

    sex: codes (people,), 1 male, 2 female; who is of unknown sex has two X and no Y, as in plink2.
    """
    of_males, of_others = {"X": (1, 2), "Y": (1, 0), "MT": (1, 1)}.get(region, (2, 2))
    return np.where(np.asarray(sex) == MALE, of_males, of_others).astype(np.int8)


def layout(number: np.ndarray, text: bool) -> Layout:
    """The layout of VCF text or of BCF for people with so many copies, int8 (people,).

    Where nobody has two, one value a person is written.
    """
    alleles = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").reshape(256, 4, 2)
    first, second = alleles[..., 0], alleles[..., 1]
    paired = bool((number == 2).any())
    if text:
        cells = [first + ord("0")] + paired * [np.full_like(first, ord("|")), second + ord("0")]
        cells.append(np.full_like(first, ord("\t")))
    else:
        cells = [first + 1 << 1] + paired * [second + 1 << 1 | 1]
    width = len(cells)
    item = {4: np.uint32, 8: np.uint64, 16: np.complex128}[4 * width]  # any of that size
    table = np.stack(cells, axis=2).astype(np.uint8).reshape(256, 4 * width).view(item)[:, 0]
    if number.min() == number.max() > 0:
        return Layout(table, width)
    keep, fill = np.full((len(number), width), 255, dtype=np.uint8), np.zeros((len(number), width), dtype=np.uint8)
    keep[number == 0, 0], fill[number == 0, 0] = 0, ord(".") if text else 0
    if paired and text:  # 0|1 to 0 where there is one copy
        shown = np.ones((len(number), width), dtype=bool)
        shown[number < 2, 1:3] = False
        return Layout(table, width, columns=np.flatnonzero(shown))
    if paired:
        keep[number < 2, 1], fill[number < 2, 1] = 0, END_OF_VECTOR
    return Layout(table, width, keep.ravel(), fill.ravel())


def genotypes(words: np.ndarray, form: Layout, people: int) -> np.ndarray:
    """Genotypes of some sites as they are written: uint8 (sites, bytes). words: of `pgen.reader.Reader`, uint32."""
    block = form.table[words.view(np.uint8)].view(np.uint8)[:, : people * form.width]
    if form.keep is not None:
        block &= form.keep
        block |= form.fill
    return block if form.columns is None else np.take(block, form.columns, axis=1)


def _write_sites(
    prefix: str | Path, file: pysam.BGZFile, chrom: str, sex: np.ndarray, text: bool
) -> Iterator[tuple[int, int]]:
    """Write all sites; tells how many of how many are done."""
    lines, done = SiteLines(f"{prefix}.pvar"), 0
    with Reader(f"{prefix}.pgen", len(sex), absent=copies(chrom, sex) == 0, name=lines.name) as reader:
        if len(lines) != len(reader.index.kind):
            raise InputError(
                f"{prefix}.pgen holds {len(reader.index.kind)} sites and its .pvar {len(lines)}",
                where=str(prefix),
                remedy="make the genotypes again: delete the three files and run snakemake",
            )
        for region, sites in _sites(lines, max(1, READ_BYTES // (len(sex) // 4 + 1))):
            words = reader.alleles(np.arange(done, done + len(sites)))
            form = layout(copies(region, sex), text)
            rows = max(1, WRITE_BYTES // (len(sex) * form.width))
            for top in range(0, len(sites), rows):
                some, block = sites[top : top + rows], genotypes(words[top : top + rows], form, len(sex))
                leads = _vcf_leads(some, block, chrom) if text else _bcf_leads(some, block, len(sex))
                file.write(b"".join(chain.from_iterable(zip(leads, block, strict=True))))
            done += len(sites)
            yield done, len(lines)


def _tell(progress: Iterator[tuple[int, int]], name: str) -> None:
    """Go through it, and log every tenth."""
    began, told = time.monotonic(), 0
    for done, total in progress:
        if done * 10 // total > told:
            told, left = done * 10 // total, (time.monotonic() - began) * (total - done) / done
            form = "%s: %d of %d sites written (%d %%), about %.0f s left"
            log.info(form, name, done, total, 100 * done // total, left)


def _sites(lines: SiteLines, most: int) -> Iterator[tuple[str, list[list[bytes]]]]:
    """The sites, at most so many together and of one CHROM: this, and fields POS ID REF ALT of each."""
    with open(lines.path, "rb") as file:
        file.seek(int(lines.start[0]))
        while some := list(islice(file, most)):
            fields = (line.rstrip(b"\n").split(b"\t") for line in some)
            for region, same in groupby(fields, key=lambda site: site[0]):
                yield region.decode(), [site[1:] for site in same]


def _vcf_leads(sites: list[list[bytes]], block: np.ndarray, chrom: str) -> list[bytes]:
    """What stands before the genotypes on each line; ends the lines."""
    block[:, -1] = ord("\n")
    head, tail = chrom.encode() + b"\t", b"\t.\tPASS\t.\tGT\t"
    return [head + b"\t".join(site) + tail for site in sites]


def _bcf_leads(sites: list[list[bytes]], block: np.ndarray, people: int) -> list[bytes]:
    """What stands before the genotypes in each record. Contig 0 is the chromosome; of the strings, 0 is PASS, 1 GT."""
    size, leads = block.shape[1], []
    genotype = b"\x11\0" + b"\x11\x01" + bytes([size // people << 4 | 1])  # filter; key, so many int8 a person
    counts = 2 << 16, 1 << 24 | people  # alleles, INFO; FORMAT, people
    for pos, name, ref, alt in sites:
        strings = _typed(b"" if name == b"." else name) + _typed(ref) + _typed(alt)
        lengths = BCF_SITE.size - 8 + len(strings) + 2, 3 + size
        leads.append(BCF_SITE.pack(*lengths, 0, int(pos) - 1, len(ref), MISSING_FLOAT, *counts) + strings + genotype)
    return leads


def _typed(string: bytes) -> bytes:
    """A typed string of BCF."""
    size = len(string)
    if size < 15:
        return bytes([size << 4 | 7]) + string
    kind, form = (1, "<B") if size < 2**7 else (2, "<H") if size < 2**15 else (3, "<I")
    return bytes([0xF7, 0x10 | kind]) + struct.pack(form, size) + string
