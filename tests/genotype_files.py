"""Small genotype files for the tests of the import, and what should come out of them."""

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd

from pseudocohort.genotypes import Genotypes

PEOPLE = [f"p{i}" for i in range(41)]


def run(*command: object) -> str:
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout


def vcf_text(rows: list[tuple], people: list[str] = PEOPLE, contigs: tuple[str, ...] = ("10", "22", "X", "2")) -> str:
    """rows: (chrom, pos, ref, alt, genotypes as text)."""
    lines = [
        "##fileformat=VCFv4.2",
        *(f"##contig=<ID={c}>" for c in contigs),
        '##ALT=<ID=DEL,Description="deletion">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">',
        "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *people]),
    ]
    lines += ["\t".join([c, str(p), "rs1", ref, alt, ".", ".", ".", "GT", *calls]) for c, p, ref, alt, calls in rows]
    return "\n".join(lines) + "\n"


def random_rows(chrom: str, seed: int, first: int = 20_000_000, sites: int = 300) -> list[tuple]:
    """Phased sites of all kinds: SNVs, indels, several ALTs, `*`, <DEL>, no variation, repeated rows and positions."""
    rng, rows, pos = np.random.default_rng(seed), [], first
    kinds = ["A:C", "G:T", "AT:A", "C:CAG", "AC:GT", "A:C,G", "T:TA,G,C", "G:*,A", "G:<DEL>", "C:<DEL>,T", "A:.", "a:g"]
    for _ in range(sites):
        pos += int(rng.integers(0, 4)) * 100
        ref, alt = kinds[rng.integers(len(kinds))].split(":")
        frequency = rng.choice([0, 0.02, 0.3, 1], p=[0.1, 0.4, 0.4, 0.1])
        top = 0 if alt == "." else alt.count(",") + 1
        calls = (
            np.where(rng.random((len(PEOPLE), 2)) < frequency, rng.integers(1, top + 1, (len(PEOPLE), 2)), 0)
            if (top)
            else np.zeros((len(PEOPLE), 2), dtype=int)
        )
        rows.append((chrom, pos, ref, alt, [f"{a}|{b}" for a, b in calls]))
    return rows


def brute_force(rows: list[tuple], chrom: str, order: list[str], split: bool = True) -> list[tuple]:
    """Expected (pos, ref, alt, haplotypes) by plain loops over text."""
    expected, seen = [], set()
    for row_chrom, pos, ref, alts, calls in rows:
        if row_chrom.removeprefix("chr") != chrom or ("," in alts and not split):
            continue
        for k, alt in enumerate(alts.split(","), 1):
            key = (pos, ref.upper(), alt.upper())
            if set(alt.upper()) - set("ACGT") or key in seen:
                continue
            seen.add(key)
            by_person = dict(zip(PEOPLE, calls, strict=True))
            haplotypes = [int(allele == str(k)) for person in order for allele in by_person[person].split("|")]
            if 0 < sum(haplotypes) < len(haplotypes):
                expected.append((*key, haplotypes))
    return expected


def people_table(people: list[str] = PEOPLE, sex: int | list[int] = 2) -> pd.DataFrame:
    return pd.DataFrame({"person": people, "sex": sex})


def content(prefix: Path) -> list[tuple]:
    with Genotypes(prefix) as genotypes:
        haplotypes = genotypes.haplotypes(0, genotypes.n_sites)
        return [
            (site.pos, site.ref, site.alt, haplotypes[i].tolist())
            for i, site in enumerate(genotypes.sites.itertuples())
        ]


def triple(prefix: Path) -> tuple[bytes, ...]:
    return tuple(Path(f"{prefix}{suffix}").read_bytes() for suffix in (".pgen", ".pvar", ".psam"))


def good(n: int = 3) -> list[tuple]:
    return [("22", 20_000_000 + 10 * i, "A", "C", ["0|1", *["0|0"] * 40]) for i in range(n)]


def spoilt(call: str, chrom: str = "22") -> list[tuple]:
    """Three sites, the second and third with one odd call."""
    return [(chrom, p, r, a, c if i == 0 else [*c[:5], call, *c[6:]]) for i, (_, p, r, a, c) in enumerate(good())]
