"""Facts of the genome builds: lengths of chromosomes, the pseudo-autosomal regions (PAR), names of contigs."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pseudocohort.errors import InputError

TABLE = Path(__file__).resolve().parents[3] / "resources" / "chromosome_lengths.tsv"
CHROMOSOMES = (*map(str, range(1, 23)), "X", "Y", "MT")
UCSC_MT_LENGTH = 16_571  # of UCSC's hg19 chrM (NC_001807), which is not the rCRS and has other positions

# plink's numbers, UCSC's M, and the names under which parts of X go: XY is plink 1's for both PARs.
_NAMES = {
    **dict.fromkeys(("X", "23", "XY", "25", "PAR1", "PAR2", "X_PAR1", "X_PAR2", "X_NONPAR"), "X"),
    **dict.fromkeys(("Y", "24"), "Y"),
    **dict.fromkeys(("MT", "M", "26"), "MT"),
}


class Build(NamedTuple):
    """name: GRCh37 or GRCh38.  length: bp by chromosome.  par: first and last position of PAR1 and PAR2 on X.
    par_on_y: the same on Y."""

    name: str
    length: dict[str, int]
    par: tuple[tuple[int, int], ...]
    par_on_y: tuple[tuple[int, int], ...]


@lru_cache
def read_builds(path: str | Path = TABLE) -> dict[str, Build]:
    """All builds of the table (columns build, region, chrom, start, end), by name."""
    table = pd.read_csv(path, sep="\t", dtype={"chrom": str})
    builds = {}
    for name, rows in table.groupby("build", sort=False):
        whole = rows[rows["region"] == "chromosome"]
        par = rows[rows["region"] != "chromosome"]
        regions = {c: tuple(zip(p["start"].tolist(), p["end"].tolist(), strict=True)) for c, p in par.groupby("chrom")}
        length = dict(zip(whole["chrom"], whole["end"].tolist(), strict=True))
        builds[name] = Build(name, length, regions["X"], regions["Y"])
    return builds


def get_build(name: str) -> Build:
    """The build of that name; an InputError names the known ones."""
    builds = read_builds()
    if name not in builds:
        raise InputError(
            f"unknown build {name}",
            where="config key build",
            expected=" or ".join(builds),
            remedy="set the key build to one of these",
        )
    return builds[name]


def chromosome_length(build: str, chrom: str) -> int:
    """Length in bp of a chromosome, named with or without the prefix chr."""
    length, plain = get_build(build).length, plain_name(chrom)
    if plain not in length:
        raise InputError(
            f"unknown chromosome {chrom}",
            where="config key chromosomes",
            expected="1 to 22, X, Y or MT",
            remedy="correct the key chromosomes",
        )
    return length[plain]


def builds_that_fit(chrom: str, position: int) -> list[str]:
    """Names of the builds whose chromosome is long enough to hold the position."""
    return [b.name for b in read_builds().values() if 1 <= position <= b.length[plain_name(chrom)]]


def disagreement(build: str, chrom: str, position: int, where: str) -> InputError:
    """The error to raise for a position outside the chromosome: names the other build where that one fits."""
    length = chromosome_length(build, chrom)
    if plain_name(chrom) == "MT" and length < position <= UCSC_MT_LENGTH:
        return other_mitochondrion(f"position {position} is", where)
    others = [name for name in builds_that_fit(chrom, position) if name != build]
    hint = f"; the position fits {' and '.join(others)}: do the builds disagree?" if others else ""
    return InputError(
        f"position {position} is not on chromosome {plain_name(chrom)} of {build}{hint}",
        where=where,
        expected=f"positions from 1 to {length}",
        remedy="set `build` to the build of the file, or give a file of that build",
    )


def other_mitochondrion(what: str, where: str) -> InputError:
    """The error to raise for a mitochondrion that is UCSC's hg19 chrM; what: the sign of it, with its verb."""
    return InputError(
        f"{what} of UCSC's hg19 chrM (NC_001807, {UCSC_MT_LENGTH} bp): another sequence than the rCRS, with other "
        "positions",
        where=where,
        expected="the rCRS (NC_012920, 16569 bp), the MT of GRCh37 and GRCh38",
        remedy="call the mitochondrion again on the rCRS, or take MT out of `chromosomes`",
    )


def plain_name(contig: str) -> str:
    """The chromosome that a contig is of, or is part of: `22` for 22, chr22 or Chr22.

    `X` for X, 23, and its parts PAR1, PAR2, X_par1, X_par2, X_nonPAR, XY and 25; `Y` for Y and 24; `MT` for MT, M
    and 26; all with or without chr. Other names only lose the prefix.
    """
    name = contig[3:] if contig[:3].lower() == "chr" else contig
    return _NAMES.get(name.upper(), name)
