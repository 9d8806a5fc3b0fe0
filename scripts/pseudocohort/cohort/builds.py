"""Facts of the genome builds: lengths of chromosomes, the pseudo-autosomal regions (PAR) of X, names of contigs."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pseudocohort.errors import InputError

TABLE = Path(__file__).resolve().parents[3] / "resources" / "chromosome_lengths.tsv"
CHROMOSOMES = (*map(str, range(1, 23)), "X")


class Build(NamedTuple):
    """name: GRCh37 or GRCh38.  length: bp by chromosome.  par: first and last position of PAR1 and PAR2 on X."""

    name: str
    length: dict[str, int]
    par: tuple[tuple[int, int], ...]


@lru_cache
def read_builds(path: str | Path = TABLE) -> dict[str, Build]:
    """All builds of the table (columns build, region, chrom, start, end), by name."""
    table = pd.read_csv(path, sep="\t", dtype={"chrom": str})
    builds = {}
    for name, rows in table.groupby("build", sort=False):
        whole = rows[rows["region"] == "chromosome"]
        par = rows[rows["region"] != "chromosome"]
        builds[name] = Build(
            name,
            dict(zip(whole["chrom"], whole["end"].tolist(), strict=True)),
            tuple(zip(par["start"].tolist(), par["end"].tolist(), strict=True)),
        )
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
            expected="1 to 22 or X",
            remedy="correct the key chromosomes",
        )
    return length[plain]


def builds_that_fit(chrom: str, position: int) -> list[str]:
    """Names of the builds whose chromosome is long enough to hold the position."""
    return [b.name for b in read_builds().values() if 1 <= position <= b.length[plain_name(chrom)]]


def disagreement(build: str, chrom: str, position: int, where: str) -> InputError:
    """The error to raise for a position outside the chromosome: names the other build where that one fits."""
    others = [name for name in builds_that_fit(chrom, position) if name != build]
    hint = f"; the position fits {' and '.join(others)}: do the builds disagree?" if others else ""
    return InputError(
        f"position {position} is not on chromosome {plain_name(chrom)} of {build}{hint}",
        where=where,
        expected=f"positions from 1 to {chromosome_length(build, chrom)}",
        remedy="set `build` to the build of the file, or give a file of that build",
    )


def plain_name(contig: str) -> str:
    """`22` for 22, chr22 or Chr22; `X` for X, chrX, 23 or chr23; other names only lose the prefix."""
    name = contig[3:] if contig[:3].lower() == "chr" else contig
    return "X" if name in ("23", "x") else name
