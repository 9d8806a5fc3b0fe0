"""Sources of genotypes (VCF, BCF, PGEN) read as blocks of sites of one chromosome and the wanted people."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cyvcf2
import numpy as np
import pandas as pd
import pgenlib

from pseudocohort.cohort.builds import (
    UCSC_MT_LENGTH,
    chromosome_length,
    disagreement,
    get_build,
    other_mitochondrion,
    plain_name,
    read_builds,
)
from pseudocohort.cohort.vcf_files import (
    Header,
    check_complete,
    header_contigs,
    index_counts,
    open_binary,
    read_header,
)
from pseudocohort.errors import InputError
from pseudocohort.genotypes import read_psam

MISSING, ABSENT = -1, -2  # of an allele: not called; not there because the call is haploid
_AGAIN = "copy or download the file again"


class RawBlock(NamedTuple):
    """Sites as the source gives them.

    pos: int64 (sites,).  ref: REF of each site.  alt: tuple of the ALTs of each site, empty for none.
    alleles: int16 (sites, people, 2), index of the allele (0 REF), MISSING or ABSENT.
    phased: bool (sites, people); of no meaning where the call is haploid.
    """

    pos: np.ndarray
    ref: list[str]
    alt: list[tuple[str, ...]]
    alleles: np.ndarray
    phased: np.ndarray


def source_format(path: str | Path) -> str:
    """VCF, BCF or PGEN, by the name of the file."""
    name = Path(path).name
    for format_, suffixes in {"VCF": (".vcf", ".vcf.gz", ".vcf.bgz"), "BCF": (".bcf",), "PGEN": (".pgen",)}.items():
        if name.endswith(suffixes):
            return format_
    raise InputError(
        "unknown kind of genotype file",
        where=str(path),
        expected=".vcf.gz, .vcf, .bcf or .pgen",
        remedy="convert the file with bcftools or plink2",
    )


def genotype_people(source: str | Path) -> list[str]:
    """Ids of the people of a VCF, BCF or PGEN (its .psam), in the file's order; an InputError if any is there twice."""
    _check_exists(source)
    if source_format(source) == "PGEN":
        people = read_psam(Path(source).with_suffix(".psam"))["person"].tolist()
    else:
        people = read_header(source).samples
    repeated = len(people) - len(set(people))
    if repeated:
        raise InputError(
            f"{repeated} of {len(people)} sample ids are there more than once",
            where=str(source),
            expected="each person once",
            remedy="rename or remove the repeated samples",
        )
    return people


def check_source(path: str | Path, chrom: str, build: str) -> None:
    """What can be told of a source before any computing.

    Raises InputError where a file is missing, empty or truncated, holds no people or one twice, has a header of the
    other build, or where its index or header has no such chromosome.
    """
    people, chrom = len(genotype_people(path)), plain_name(chrom)
    if source_format(path) == "PGEN":
        with _open_pgen(path, people, sites := _pgen_sites(path, chrom)):
            return _check_lengths(sites.contigs, chrom, build, path)
    check_complete(path)
    header = read_header(path)
    counts = index_counts(path, header)
    present = list(header.contigs) if counts is None else [name for name, count in counts.items() if count]
    if (present or counts is not None) and chrom not in map(plain_name, present):
        raise _no_chromosome(chrom, present, path)
    _check_lengths(header.contigs, chrom, build, path)


def _check_lengths(contigs: dict[str, int | None], chrom: str, build: str, path: str | Path) -> None:
    """Raise InputError if a header gives the chromosome the length that it has elsewhere, not in the build."""
    lengths = {size for name, size in contigs.items() if plain_name(name) == chrom}
    if chrom == "MT" and UCSC_MT_LENGTH in lengths:
        raise other_mitochondrion(f"the header's length of MT, {UCSC_MT_LENGTH}, is that", str(path))
    others = [b.name for b in read_builds().values() if b.length.get(chrom) in lengths]
    if others and get_build(build).name not in others:
        raise InputError(
            f"the header gives chromosome {chrom} the length it has in {others[0]}, not in {build}: do "
            "the builds disagree?",
            where=str(path),
            remedy="set `build` to the build of the file",
        )


def read_blocks(path: str | Path, chrom: str, people: list[str], build: str, block_sites: int) -> Iterator[RawBlock]:
    """Blocks of at most `block_sites` sites of the chromosome, people in the order given, positions increasing.

    The chromosome is found with or without the prefix chr. A file with an index is read at its place, any other
    from its start to its end. X may lie in parts (PAR1, X, PAR2): in a .pgen in any order, in a VCF or BCF in this.
    Raises InputError for people who are not in the file, a chromosome that is not, positions that are not sorted or
    lie beyond the chromosome's end in `build`, records without genotypes, and files that cannot be read to the end.
    """
    known = {person: i for i, person in enumerate(genotype_people(path))}
    absent = sum(person not in known for person in people)
    if absent:
        raise InputError(
            f"{absent} of {len(people)} people are not in the genotype file",
            where=str(path),
            remedy="set `unmatched: drop` to leave them out, or correct the ids",
        )
    chrom, last = plain_name(chrom), 0
    length = chromosome_length(build, chrom)
    read = _pgen_blocks if source_format(path) == "PGEN" else _vcf_blocks
    for block in read(Path(path), chrom, np.array([known[p] for p in people]), block_sites):
        before = np.concatenate([[last], block.pos[:-1]])
        if (block.pos < before).any():
            i = int(np.flatnonzero(block.pos < before)[0])
            raise InputError(
                f"positions of chromosome {chrom} are not sorted: {block.pos[i]} comes after {before[i]}",
                where=str(path),
                remedy="sort the file: bcftools sort"
                + " (after bcftools annotate --rename-chrs, where parts of X have names of their own)" * (chrom == "X"),
            )
        outside = np.flatnonzero((block.pos < 1) | (block.pos > length))
        if outside.size:
            raise disagreement(build, chrom, int(block.pos[outside[0]]), str(path))
        last = int(block.pos[-1])
        yield block


def _check_exists(source: str | Path) -> None:
    source = Path(source)
    suffixes = (".pgen", ".pvar", ".psam") if source_format(source) == "PGEN" else (source.suffix,)
    for part in map(source.with_suffix, suffixes):
        if not part.is_file():
            packed = part.with_name(part.name + ".zst").is_file()
            raise InputError(
                "the file does not exist",
                where=str(part),
                remedy="unpack it: zstd -d" if packed else "correct input.genotypes",
            )
        if part.stat().st_size == 0:
            raise InputError("the file is empty", where=str(part), remedy=_AGAIN)


def _no_chromosome(chrom: str, present: list[str], path: str | Path) -> InputError:
    return InputError(
        f"chromosome {chrom} is not in the file",
        where=str(path),
        expected=f"one of those in the file: {', '.join(present) or 'none, it holds no sites'}",
        remedy="correct `chromosomes` or input.genotypes",
    )


def _vcf_blocks(path: Path, chrom: str, order: np.ndarray, block_sites: int) -> Iterator[RawBlock]:
    header = read_header(path)
    check_complete(path)
    reader = _open_vcf(path)
    wanted = np.unique(order)
    if len(wanted) < len(header.samples):
        reader.set_samples([header.samples[i] for i in wanted])
    columns = np.searchsorted(wanted, order)
    columns = None if (columns == np.arange(len(wanted))).all() else columns
    alleles = np.empty((block_sites, len(order), 2), dtype=np.int16)
    phased = np.empty((block_sites, len(order)), dtype=bool)
    pos, ref, alt = [], [], []
    for record in _records(reader, path, chrom, header):
        call = _call(record, path)
        call = call if columns is None else call[columns]
        alleles[len(pos)], phased[len(pos)] = call[:, :2] if call.shape[1] == 3 else _haploid(call), call[:, -1]
        pos.append(record.POS)
        ref.append(record.REF.upper())
        alt.append(tuple(a.upper() for a in record.ALT))
        if len(pos) == block_sites:
            yield RawBlock(np.array(pos, dtype=np.int64), ref, alt, alleles, phased)
            pos, ref, alt = [], [], []
    if pos:
        yield RawBlock(np.array(pos, dtype=np.int64), ref, alt, alleles[: len(pos)], phased[: len(pos)])


def _open_vcf(path: Path) -> cyvcf2.VCF:
    try:
        return cyvcf2.VCF(str(path), gts012=False)
    except Exception as error:  # cyvcf2 raises bare exceptions
        raise InputError("the file cannot be opened as VCF or BCF", where=str(path), remedy=_AGAIN) from error


def _records(reader: cyvcf2.VCF, path: Path, chrom: str, header: Header) -> Iterator[cyvcf2.Variant]:
    """Records of one chromosome: by index where there is one, else all of the file that are of the chromosome."""
    counts = index_counts(path, header)
    if counts is not None:
        names = [name for name, count in counts.items() if count and plain_name(name) == chrom]
        if not names:
            raise _no_chromosome(chrom, [name for name, count in counts.items() if count], path)
        for name in sorted(names, key=lambda n: n.upper().endswith("PAR2") - n.upper().endswith("PAR1")):
            yield from _indexed(reader, path, name, counts[name])
        return
    found, position = {}, 0
    while True:
        try:
            record = next(reader)
        except StopIteration:
            break
        except Exception as error:
            raise InputError(
                f"the file cannot be read beyond position {position} of {(list(found) or ['none'])[-1]}: "
                "truncated or corrupt",
                where=str(path),
                remedy=_AGAIN,
            ) from error
        found[record.CHROM] = None
        position = record.POS
        if plain_name(record.CHROM) == chrom:
            yield record
    if chrom not in map(plain_name, found):
        raise _no_chromosome(chrom, list(found), path)


def _indexed(reader: cyvcf2.VCF, path: Path, contig: str, announced: int) -> Iterator[cyvcf2.Variant]:
    """Records of a contig by the index; htslib ends silently at damaged blocks, so they are counted."""
    read = 0
    for record in reader(contig):
        read += 1
        yield record
    if read != announced:
        raise InputError(
            f"the index announces {announced} records of {contig}, {read} could be read: the file is "
            "truncated or corrupt, or the index is of another file",
            where=str(path),
            remedy="make the index again (bcftools index -f FILE); if that fails copy the file again",
        )


def _call(record: cyvcf2.Variant, path: Path) -> np.ndarray:
    """int16 (people, ploidy + 1): alleles and a flag for phased."""
    try:
        call = record.genotype.array()
    except Exception as error:
        raise InputError(
            f"the record at {record.CHROM}:{record.POS} has no genotypes (GT)",
            where=str(path),
            expected="a GT field in every record",
            remedy="remove the record, for instance with bcftools view -i 'GT!=\"\"'",
        ) from error
    if call.shape[1] > 3:
        raise InputError(
            f"the record at {record.CHROM}:{record.POS} has genotypes of more than two alleles",
            where=str(path),
            expected="haploid or diploid genotypes",
            remedy="split it, for instance with bcftools norm, or remove the record",
        )
    return call


def _haploid(call: np.ndarray) -> np.ndarray:
    return np.stack([call[:, 0], np.full(len(call), ABSENT, dtype=np.int16)], axis=1)


class _PgenSites(NamedTuple):
    """Sites of one chromosome in a .pvar: row in the file, pos, ref, alt; and for the whole file the number of sites,
    where the alleles of each begin (None if all have two), and the contigs of the header with their lengths."""

    row: np.ndarray
    pos: np.ndarray
    ref: list[str]
    alt: list[tuple[str, ...]]
    total: int
    offsets: np.ndarray | None
    contigs: dict[str, int | None]


def _pgen_sites(path: str | Path, chrom: str) -> _PgenSites:
    pvar = Path(path).with_suffix(".pvar")
    with open_binary(pvar) as file:
        header = []
        while (line := file.readline()).startswith(b"##"):
            header.append(line.decode(errors="replace"))
    if not line.startswith(b"#CHROM\t"):
        raise InputError("the .pvar has no header line #CHROM", where=str(pvar), remedy="write it with plink2")
    kept, alleles, total, found = [], [], 0, {}
    for chunk in pd.read_csv(
        pvar,
        sep="\t",
        skiprows=len(header),
        usecols=["#CHROM", "POS", "REF", "ALT"],
        dtype=str,
        keep_default_na=False,
        quoting=csv.QUOTE_NONE,
        chunksize=1_000_000,
    ):
        names = {name: plain_name(name) for name in chunk["#CHROM"].unique()}
        found |= names
        alleles.append(chunk["ALT"].str.count(",").to_numpy(dtype=np.uint8, na_value=0))
        part = chunk[chunk["#CHROM"].map(names) == chrom]
        kept.append(part.assign(row=part.index.to_numpy()))
        total += len(chunk)
    if chrom not in found.values():
        raise _no_chromosome(chrom, list(found), path)
    table, extra = pd.concat(kept), np.concatenate(alleles)
    table["POS"] = pd.to_numeric(table["POS"], errors="coerce").fillna(-1).astype(np.int64)
    if table["#CHROM"].nunique() > 1:  # X in parts: each is sorted, together they need not be
        table = table.sort_values("POS", kind="stable")
    offsets = np.concatenate([[0], np.cumsum(extra.astype(np.uintp) + np.uintp(2))]).astype(np.uintp)
    alt = [() if text == "." else tuple(text.upper().split(",")) for text in table["ALT"]]
    return _PgenSites(
        table["row"].to_numpy(dtype=np.uint32),
        table["POS"].to_numpy(),
        table["REF"].str.upper().tolist(),
        alt,
        total,
        offsets if extra.any() else None,
        header_contigs(header),
    )


def _open_pgen(
    path: str | Path, people: int, sites: _PgenSites, wanted: np.ndarray | None = None
) -> pgenlib.PgenReader:
    try:
        return pgenlib.PgenReader(str(path).encode(), people, sites.total, wanted, sites.offsets)
    except (RuntimeError, ValueError, OSError) as error:
        raise InputError(
            "the .pgen cannot be opened with its .pvar and .psam: truncated, or not made together",
            where=str(path),
            expected=f"{sites.total} sites of {people} people",
            remedy="check the three files: plink2 --pfile PREFIX --validate",
        ) from error


def _pgen_blocks(path: Path, chrom: str, order: np.ndarray, block_sites: int) -> Iterator[RawBlock]:
    sites = _pgen_sites(path, chrom)
    wanted = np.unique(order).astype(np.uint32)
    columns = np.searchsorted(wanted, order)
    with _open_pgen(path, len(genotype_people(path)), sites, wanted) as reader:
        for start in range(0, len(sites.pos), block_sites):
            part = slice(start, start + block_sites)
            rows = sites.row[part]
            alleles = np.empty((len(rows), 2 * len(wanted)), dtype=np.int32)
            phased = np.empty((len(rows), len(wanted)), dtype=np.uint8)
            try:
                reader.read_alleles_and_phasepresent_list(rows, alleles, phased)
            except RuntimeError as error:
                raise InputError(
                    "the .pgen cannot be read to its end: truncated or corrupt",
                    where=str(path),
                    remedy="check it: plink2 --pfile PREFIX --validate",
                ) from error
            calls = np.maximum(alleles, MISSING).astype(np.int16).reshape(len(rows), len(wanted), 2)[:, columns]
            harmless = calls[:, :, 0] == calls[:, :, 1]  # .pgen tells phase of heterozygous calls alone
            yield RawBlock(
                sites.pos[part], sites.ref[part], sites.alt[part], calls, phased.astype(bool)[:, columns] | harmless
            )
