"""Alleles and the phased VCF of a demo chromosome, with some indels and multi-allelic sites as sequencing finds."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pysam

from pseudocohort.cohort.builds import get_build
from pseudocohort.files import atomic

_INDEL_SHARE = 0.01
_MULTI_ALLELIC_SHARE = 0.002
_BASES = np.array(list("ACGT"))
_ROWS = 512  # lines formatted at a time


class Variants(NamedTuple):
    """Sites of a chromosome: pos int64 (sites,), ref and alt str (sites,; alt comma-separated where several),
    haplotypes uint8 (haplotypes, sites) with 0 REF, 1 first ALT, 2 second ALT."""

    pos: np.ndarray
    ref: np.ndarray
    alt: np.ndarray
    haplotypes: np.ndarray


def name_alleles(chrom: str, pos: np.ndarray, haplotypes: np.ndarray, rng: np.random.Generator) -> Variants:
    """Give 0/1 sites their bases: two transitions to one transversion, 1 % indels, a few multi-allelic.

    pos: int64 (sites,).  haplotypes: uint8 (haplotypes, sites), 0 ancestral, 1 derived.  A multi-allelic
    site joins two neighbours that no haplotype carries both of.
    """
    n = len(pos)
    code = rng.integers(4, size=n)
    shift = rng.choice([2, 1, 3], size=n, p=[2 / 3, 1 / 6, 1 / 6])  # A<->G and C<->T are two apart
    ref, alt = _BASES[code].astype(object), _BASES[(code + shift) % 4].astype(object)
    third = _BASES[(code + np.where(shift == 2, 1, 2)) % 4]
    for i in np.flatnonzero(rng.random(n) < _INDEL_SHARE):
        more = "".join(_BASES[rng.integers(4, size=rng.integers(1, 7))])
        ref[i], alt[i] = (ref[i], ref[i] + more) if rng.random() < 0.5 else (ref[i] + more, ref[i])
    snv = np.array([len(r) == len(a) == 1 for r, a in zip(ref, alt, strict=True)])
    carried_apart = ~(haplotypes[:, :-1] & haplotypes[:, 1:]).any(axis=0)
    candidates = np.flatnonzero(carried_apart & snv[:-1])[::2]  # every other one, so that no two overlap
    wanted = min(len(candidates), max(2, round(_MULTI_ALLELIC_SHARE * n)))
    joined = rng.choice(candidates, size=wanted, replace=False)
    haplotypes = haplotypes.copy()
    haplotypes[:, joined] |= haplotypes[:, joined + 1] << 1
    for i in joined:
        alt[i] = f"{alt[i]},{third[i]}"
    keep = np.ones(n, dtype=bool)
    keep[joined + 1] = False
    return Variants(pos[keep], ref[keep], alt[keep], haplotypes[:, keep])


def write_vcf(path: str | Path, chrom: str, people: pd.DataFrame, variants: Variants) -> None:
    """Write VCF 4.2, bgzipped, with a tabix index; both files appear whole or not at all.

    variants.haplotypes: uint8 (2 people, sites). Calls are phased, those of males on X and Y and of everybody
    on MT haploid; females are missing on Y.
    """
    male = (people["sex"] == "male").to_numpy()
    absent = ~male & (chrom == "Y")
    diploid = ~absent & ~(male & (chrom in ("X", "Y"))) & (chrom != "MT")
    cells = [".\t" if none else "0|0\t" if two else "0\t" for none, two in zip(absent, diploid, strict=True)]
    template = np.frombuffer(("".join(cells)[:-1] + "\n").encode(), dtype=np.uint8)
    width = np.array([len(cell) for cell in cells])
    place = np.cumsum(width) - width
    first, second = place[~absent], place[diploid] + 2
    with atomic(f"{path}.tbi") as index, atomic(path) as part:
        with pysam.BGZFile(str(part), "wb") as out:
            out.write(_header(people["person"]).encode())
            for begin in range(0, len(variants.pos), _ROWS):
                block = variants.haplotypes[:, begin : begin + _ROWS].T + np.uint8(ord("0"))
                lines = np.tile(template, (len(block), 1))
                lines[:, first] = block[:, 0::2][:, ~absent]
                lines[:, second] = block[:, 1::2][:, diploid]
                for i, line in enumerate(lines, start=begin):
                    pos, ref, alt = variants.pos[i], variants.ref[i], variants.alt[i]
                    out.write(f"chr{chrom}\t{pos}\t{chrom}:{pos}:{ref}:{alt}\t{ref}\t{alt}\t.\tPASS\t.\tGT\t".encode())
                    out.write(line.tobytes())
        pysam.tabix_index(str(part), preset="vcf", index=str(index), force=True)


def _header(person: pd.Series) -> str:
    lines = [
        "##fileformat=VCFv4.2",
        '##FILTER=<ID=PASS,Description="All filters passed">',
        "##source=pseudocohort demo (simulated, no real person)",
        "##reference=GRCh38",
    ]
    lines += [f"##contig=<ID=chr{chrom},length={length}>" for chrom, length in get_build("GRCh38").length.items()]
    lines += [
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Phased genotype">',
        "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *person]),
    ]
    return "\n".join(lines) + "\n"
