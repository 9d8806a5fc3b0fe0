"""Import of genotypes: checked, biallelic, complete and phased .pgen from whatever the source holds."""

import logging
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from pseudocohort.cohort.builds import chromosome_length, get_build, plain_name
from pseudocohort.cohort.sexes import check_sex
from pseudocohort.cohort.variants import ABSENT, MISSING, RawBlock, genotype_people, read_blocks, source_format
from pseudocohort.errors import InputError
from pseudocohort.genotypes import SITE_COLUMNS, GenotypeWriter

OPTIONS = {
    "multiallelic": ("split", "drop"),
    "unphased": ("error", "drop"),
    "missing": ("error", "drop"),
    "haploid_heterozygous": ("error", "drop"),
    "pseudo_autosomal": ("keep", "drop"),
    "monomorphic": ("drop", "keep"),
}
_LETTERS = re.compile("[ACGT]+")
_CALLS_AT_ONCE = 1 << 23  # sites x people of a block: about 100 MB with what is derived from it
_EVERY = 10.0  # seconds between messages of progress
_PROBLEMS = {
    "missing": ("have missing genotypes", "fill them in (phasing does), or set `missing: drop`"),
    "unphased": (
        "have unphased heterozygous genotypes",
        "phase them (SHAPEIT5, Eagle, Beagle), or set `unphased: drop`",
    ),
    "haploid": ("have haploid genotypes where two alleles are expected", "check the calls"),
}
_MISSING_OF_ONE_COPY = (
    "have missing genotypes",
    "complete the calls before (phasing does not fill in where there is one copy), or set `missing: drop`, which "
    "leaves these sites out",
)
_PROBLEMS_OF = {  # what stands instead in those of a chromosome
    "X": {
        "haploid_heterozygous": (
            "have a heterozygous male outside the pseudo-autosomal regions",
            "check sex and `build`, or set `haploid_heterozygous: drop`",
        ),
        "haploid": (
            "have haploid genotypes where two alleles are expected",
            "check sex and `build`; males have two alleles in the pseudo-autosomal regions (`pseudo_autosomal: drop` "
            "leaves these out)",
        ),
    },
    "Y": {
        "missing": _MISSING_OF_ONE_COPY,
        "haploid_heterozygous": (
            "have a heterozygous male",
            "check sex and the calls, or set `haploid_heterozygous: drop`",
        ),
    },
    "MT": {
        "missing": _MISSING_OF_ONE_COPY,
        "haploid_heterozygous": (
            "have a heterozygous call (heteroplasmy) on the mitochondrion",
            "call it with one copy, or set `haploid_heterozygous: drop`",
        ),
    },
}


@dataclass
class Tally:
    """What was seen so far. problems: [number of sites, first position] by kind.

    haploid: bool (people with the chromosome,), written with one allele somewhere.
    """

    haploid: np.ndarray
    read: int = 0
    kept: int = 0
    snvs: int = 0
    indels: int = 0
    split: int = 0
    unphased_homozygous: int = 0
    pseudo_autosomal: int = 0
    female_calls: int = 0
    first: int = 0
    last: int = 0
    dropped: Counter = field(default_factory=Counter)
    problems: dict[str, list[int]] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)
    seen_at: int = 0


def import_chromosome(
    source: str | Path, chrom: str, people: pd.DataFrame, out_prefix: str | Path, build: str, options: dict[str, str]
) -> dict:
    """Import one chromosome of the people as phased, biallelic .pgen, .pvar and .psam, and report on it.

    source: .vcf, .vcf.gz, .bcf or .pgen with this chromosome, among others or alone.  chrom: 1 to 22, X, Y or MT,
    with or without chr.  people: columns person and sex (1 male, 2 female; 0 unknown, not for X and Y); their order
    is that of the result; nobody else of the source is read.  build: GRCh37 or GRCh38.
    options: choices of OPTIONS, the first of each when not given.

    Kept are SNVs, indels and other sequence alleles that vary among the people; each ALT of a multi-allelic site
    becomes a row of its own in which the other ALTs count as REF. Ids are chrom:pos:ref:alt. Symbolic alleles, `*`,
    repeated alleles and sites without variation are dropped and counted, as are the pseudo-autosomal regions of Y,
    and those of X where `pseudo_autosomal` says so; CHROM of those kept is PAR1 or PAR2. Males on X outside of them
    and on Y, and everybody on MT, may be written 0, 0|0, 0/0 or 0/. and are stored as a|a. Females are missing on Y
    whatever their calls are, and may be absent from its file. A heterozygous call without phase is refused, a
    homozygous one accepted.

    Returns a dictionary: chromosome, source (name without folder), format, people, sites_read, sites_kept,
    pseudo_autosomal_sites (of those kept), snvs, indels, other_variants, multiallelic_sites_split, dropped (number by
    reason; for `symbolic`, `duplicate` and `monomorphic` of alleles, else of sites), haploid_people (written with one
    allele), female_calls_on_y (made missing), unphased_homozygous (genotypes), first_site, last_site.
    Raises InputError as `read_blocks`, and for missing or unphased genotypes, heterozygous calls where there is one
    copy and haploid ones where there are two, unknown sex with X and Y, Y without males and no site left; then
    nothing is written.
    """
    chosen = _choices(options)
    chrom = plain_name(chrom)
    check_sex(people["sex"], chrom)
    absent = (people["sex"] != 1).to_numpy() & (chrom == "Y")
    read = _people_in(source, people, absent)
    tally = Tally(haploid=np.zeros((~absent).sum(), dtype=bool))
    progress = _Progress(chrom, chromosome_length(build, chrom))
    block_sites = int(np.clip(_CALLS_AT_ONCE // max(len(read), 1), 16, 4096))
    with GenotypeWriter(out_prefix, people["person"].to_numpy(), people["sex"].to_numpy(), None, absent) as writer:
        for block in read_blocks(source, chrom, read["person"].tolist(), build, block_sites):
            for part, rows in _parts(block.pos, chrom, build, chosen, tally):
                haplotypes, sites = _biallelic(block, part, rows, read["sex"].to_numpy(dtype=np.int8), chosen, tally)
                if len(sites) and not tally.problems:
                    writer.append(haplotypes, sites)
            progress.tell(tally.read, int(block.pos[-1]))
        _raise_problems(tally, chrom, source)
        if tally.kept == 0:
            raise InputError(
                f"no site of chromosome {chrom} is left of {tally.read}",
                where=str(source),
                expected="at least one site that varies among the people",
                remedy="; ".join(f"{n} {reason}" for reason, n in tally.dropped.items()),
            )
    report = _report(tally, chrom, source, len(people))
    logging.getLogger("pseudocohort").info("chr%s: %d sites kept of %d", chrom, tally.kept, tally.read)
    return report


def _people_in(source: str | Path, people: pd.DataFrame, absent: np.ndarray) -> pd.DataFrame:
    """The people who are in the source: everybody, but some of those without the chromosome."""
    there = people["person"].isin(genotype_people(source)).to_numpy()
    lost = int((~there & ~absent).sum())
    if lost:
        raise InputError(
            f"{lost} of {len(people)} people are not in the genotype file"
            + ", though they are male" * bool(absent.any()),
            where=str(source),
            expected="everybody who has the chromosome",
            remedy="correct the ids or the sample sheet, or subset all genotype files to the same people "
            "(bcftools view -S)",
        )
    return people[there]


def _choices(options: dict[str, str]) -> dict[str, str]:
    chosen = {key: values[0] for key, values in OPTIONS.items()} | options
    for key, value in chosen.items():
        if value not in OPTIONS.get(key, ()):
            raise InputError(
                f"unknown option of the import {key}: {value}",
                where=key,
                expected=" or ".join(OPTIONS[key]) if key in OPTIONS else f"one of {', '.join(OPTIONS)}",
                remedy="correct the configuration",
            )
    return chosen


def _parts(
    pos: np.ndarray, chrom: str, build: str, chosen: dict[str, str], tally: Tally
) -> list[tuple[str, np.ndarray]]:
    """CHROM and row numbers of the sites that have the same numbers of copies; what is to be dropped is counted."""
    tally.read += len(pos)
    if chrom not in ("X", "Y"):
        return [(chrom, np.arange(len(pos)))]
    facts = get_build(build)
    (_, first_end), (second_start, _) = facts.par if chrom == "X" else facts.par_on_y
    bounds = [0, *np.searchsorted(pos, [first_end + 1, second_start]).tolist(), len(pos)]
    parts = [(name, np.arange(*bounds[i : i + 2])) for i, name in enumerate(("PAR1", chrom, "PAR2"))]
    if chrom == "Y" or chosen["pseudo_autosomal"] == "drop":
        tally.dropped["pseudo_autosomal"] += len(parts[0][1]) + len(parts[2][1])
        parts = parts[1:2]
    return [(name, rows) for name, rows in parts if len(rows)]


def _biallelic(
    block: RawBlock, part: str, rows: np.ndarray, sex: np.ndarray, chosen: dict[str, str], tally: Tally
) -> tuple[np.ndarray, pd.DataFrame]:
    """Checked rows of a part of a block, and their sites; counts go to the tally.

    Returns bool (rows, 2 people), True for ALT, of the males alone on Y.
    """
    site, alt = _rows(block, rows, chosen, tally)
    used, row_of = np.unique(site, return_inverse=True)
    alleles, phased = (x if len(used) == len(x) else x[used] for x in (block.alleles, block.phased))
    male = sex == 1
    if part == "Y":
        tally.female_calls += int((alleles[:, ~male] >= 0).any(axis=2).sum())
        alleles, phased, male = alleles[:, male], phased[:, male], male[male]
    one = male if part in ("X", "Y") else np.full(len(sex), part == "MT")
    alleles, fine = _check_calls(alleles, phased, block.pos[used], one, chosen, tally)
    keep = fine[row_of]
    site, alt, row_of = site[keep], alt[keep], row_of[keep]
    haplotypes = alleles.reshape(len(used), 2 * len(one))
    haplotypes = (haplotypes if len(row_of) == len(used) else haplotypes[row_of]) == alt[:, None]
    if chosen["monomorphic"] == "drop":
        carriers = np.count_nonzero(haplotypes, axis=1)
        varies = (carriers > 0) & (carriers < 2 * len(one))
        tally.dropped["monomorphic"] += int((~varies).sum())
        if not varies.all():
            haplotypes, site, alt = haplotypes[varies], site[varies], alt[varies]
    return haplotypes, _sites(block, site, alt, part, tally)


def _rows(block: RawBlock, sites: np.ndarray, chosen: dict[str, str], tally: Tally) -> tuple[np.ndarray, np.ndarray]:
    """Site and number of the ALT (1, 2, ...) of each row to write: intp (rows,) and int16 (rows,)."""
    rows: list[tuple[int, int]] = []
    for i in sites.tolist():
        alts, ref, before = block.alt[i], block.ref[i], len(rows)
        if not alts:
            tally.dropped["monomorphic"] += 1
        if len(alts) > 1 and chosen["multiallelic"] == "drop":
            tally.dropped["multiallelic"] += 1
            continue
        if block.pos[i] != tally.seen_at:
            tally.seen, tally.seen_at = set(), int(block.pos[i])
        for k, alt in enumerate(alts, 1):
            if not (_LETTERS.fullmatch(alt) and _LETTERS.fullmatch(ref)):
                tally.dropped["symbolic"] += 1
            elif (ref, alt) in tally.seen:
                tally.dropped["duplicate"] += 1
            else:
                tally.seen.add((ref, alt))
                rows.append((i, k))
        tally.split += len(alts) > 1 and len(rows) > before
    pairs = np.array(rows, dtype=np.intp).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1].astype(np.int16)


def _check_calls(
    alleles: np.ndarray, phased: np.ndarray, pos: np.ndarray, one: np.ndarray, chosen: dict[str, str], tally: Tally
) -> tuple[np.ndarray, np.ndarray]:
    """Alleles (sites, people, 2) with a|a of who has one copy, and bool (sites,): nothing wrong with the site."""
    found = {}
    if one.any():
        alleles, phased, found["haploid_heterozygous"] = _single(alleles, phased, one, tally)
    first, second = alleles[..., 0], alleles[..., 1]
    low = alleles.min(axis=(1, 2), initial=0) < 0  # few sites need the closer look
    found["missing"], found["haploid"] = np.zeros((2, len(pos)), dtype=bool)
    if low.any():
        haploid = (second[low] == ABSENT) & (first[low] >= 0)
        found["haploid"][low] = haploid.any(axis=1)
        found["missing"][low] = ((alleles[low] < 0).any(axis=2) & ~haploid).any(axis=1)
    found["unphased"] = np.zeros(len(pos), dtype=bool)
    loose = ~phased.all(axis=1)
    if loose.any():
        called = ~phased[loose] & (first[loose] >= 0) & (second[loose] >= 0)
        same = first[loose] == second[loose]
        tally.unphased_homozygous += int((called & same).sum())
        found["unphased"][loose] = (called & ~same).any(axis=1)
    fine = np.ones(len(pos), dtype=bool)
    for kind, bad in found.items():
        bad = bad & fine
        if bad.any() and chosen.get(kind) == "drop":
            tally.dropped[kind] += int(bad.sum())
        elif bad.any():
            count, start = tally.problems.get(kind, [0, int(pos[bad][0])])
            tally.problems[kind] = [count + int(bad.sum()), start]
        fine &= ~bad
    return alleles, fine


def _single(
    alleles: np.ndarray, phased: np.ndarray, one: np.ndarray, tally: Tally
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Calls of who has one copy as a|a (copies of both arrays), and bool (sites,): some are heterozygous there.

    one: bool (people,).
    """
    first, second = alleles[:, one, 0], alleles[:, one, 1]
    haploid = (first < 0) != (second < 0)
    tally.haploid[np.flatnonzero(one)[haploid.any(axis=0)]] = True
    heterozygous = (first != second) & (first >= 0) & (second >= 0)
    alleles, phased = alleles.copy(), phased.copy()
    alleles[:, one] = np.where(first < 0, np.maximum(second, MISSING), first)[..., None]
    phased[:, one] = True
    return alleles, phased, heterozygous.any(axis=1)


def _sites(block: RawBlock, site: np.ndarray, alt: np.ndarray, part: str, tally: Tally) -> pd.DataFrame:
    """Rows chrom (the part of X), pos, id, ref, alt; counts them."""
    refs, alts = [block.ref[i] for i in site], [block.alt[i][k - 1] for i, k in zip(site, alt, strict=True)]
    pos = block.pos[site]
    for ref, other in zip(refs, alts, strict=True):
        tally.snvs += len(ref) == len(other) == 1
        tally.indels += len(ref) != len(other)
    if len(pos):
        tally.first, tally.last = tally.first or int(pos[0]), int(pos[-1])
    tally.kept += len(pos)
    chrom = plain_name(part)
    tally.pseudo_autosomal += len(pos) * (part != chrom)
    ids = [f"{chrom}:{p}:{r}:{a}" for p, r, a in zip(pos, refs, alts, strict=True)]
    return pd.DataFrame({"chrom": part, "pos": pos, "id": ids, "ref": refs, "alt": alts}, columns=SITE_COLUMNS)


def _raise_problems(tally: Tally, chrom: str, source: str | Path) -> None:
    if not tally.problems:
        return
    texts = _PROBLEMS | _PROBLEMS_OF.get(chrom, {})
    told = {kind: tally.problems[kind] for kind in texts if kind in tally.problems}
    raise InputError(
        "; ".join(
            f"{count} sites of chromosome {chrom} {texts[kind][0]}, the first at position {first}"
            for kind, (count, first) in told.items()
        ),
        where=str(source),
        expected={"Y": "a call of every male at every site", "MT": "a call of everybody at every site"}.get(
            chrom, "phased genotypes of everybody at every site"
        ),
        remedy="; ".join(texts[kind][1] for kind in told),
    )


def _report(tally: Tally, chrom: str, source: str | Path, people: int) -> dict:
    return {
        "chromosome": chrom,
        "source": Path(source).name,
        "format": source_format(source),
        "people": people,
        "sites_read": tally.read,
        "sites_kept": tally.kept,
        "snvs": tally.snvs,
        "indels": tally.indels,
        "other_variants": tally.kept - tally.snvs - tally.indels,
        "multiallelic_sites_split": tally.split,
        "dropped": {reason: n for reason, n in sorted(tally.dropped.items()) if n},
        "pseudo_autosomal_sites": tally.pseudo_autosomal,
        "haploid_people": int(tally.haploid.sum()),
        "female_calls_on_y": tally.female_calls,
        "unphased_homozygous": tally.unphased_homozygous,
        "first_site": tally.first,
        "last_site": tally.last,
    }


class _Progress:
    """A message every few seconds: sites read, part of the chromosome, time left."""

    def __init__(self, chrom: str, length: int):
        self.chrom, self.length = chrom, length
        self.start = self.told = time.monotonic()

    def tell(self, read: int, position: int) -> None:
        now = time.monotonic()
        if now - self.told < _EVERY:
            return
        self.told, share = now, position / self.length
        logging.getLogger("pseudocohort").info(
            "chr%s: %d sites read, %.0f %% of the chromosome, about %.0f s left",
            self.chrom,
            read,
            100 * share,
            (now - self.start) * (1 - share) / share,
        )
