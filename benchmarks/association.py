"""CPU seconds of the association engine beside `plink2 --glm` in the same run, and how well the two agree.

    python benchmarks/association.py [--people 5000] [--sites 50000] [--traits 20] [--missing 0 0.02]

Both read the same .pgen, test every site with every trait beside four covariates and write their tables;
CPU time is that of a whole process of its own, start-up and writing included. Measured, never asserted.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pseudocohort.genetics.association import associate, read_association, write_association
from pseudocohort.genetics.traits import Traits
from pseudocohort.genotypes import GenotypeWriter

COVARIATES = 4


def simulate(folder: Path, people: int, sites: int, traits: int, missing: float, seed: int) -> None:
    """Write chr1 and y.parquet (traits, covariates): some sites have effects, frequencies mostly low."""
    rng = np.random.default_rng(seed)
    person = np.array([f"p{i}" for i in range(people)])
    y = rng.normal(size=(people, traits))
    with GenotypeWriter(folder / "chr1", person, np.tile([1, 2], people)[:people], sites) as writer:
        for start in range(0, sites, 2000):
            size = min(2000, sites - start)
            frequency = rng.beta(0.4, 1.2, size)[:, None]
            alleles = (rng.random((size, 2 * people), dtype=np.float32) < frequency).view(np.int8)
            place = np.arange(start, start + size)
            writer.append(
                alleles,
                pd.DataFrame(
                    {"chrom": "1", "pos": 100 + 10 * place, "ref": "A", "alt": "G", "id": [f"s{i}" for i in place]}
                ),
            )
            y += 0.2 * (alleles[0, 0::2] + alleles[0, 1::2])[:, None] * rng.normal(size=traits)
    covariates = rng.normal(size=(people, COVARIATES))
    y += covariates[:, :1]
    y[rng.random(y.shape) < missing] = np.nan
    table = pd.DataFrame(np.column_stack([y, covariates]), columns=[f"t{k}" for k in range(traits)] + list("abcd"))
    table.to_parquet(folder / "y.parquet")
    table = table.assign(IID=person)
    table[["IID", *table.columns[:traits]]].to_csv(folder / "y.txt", sep="\t", index=False, na_rep="NA")
    table[["IID", *"abcd"]].to_csv(folder / "c.txt", sep="\t", index=False)


def run_engine(folder: Path, minimum: int) -> None:
    table = pd.read_parquet(folder / "y.parquet")
    names = tuple(table.columns[:-COVARIATES])
    traits = Traits(names, ("linear",) * len(names), table[list(names)].to_numpy(), table[list("abcd")].to_numpy())
    write_association(folder / "mine", associate([folder / "chr1"], None, traits, minimum), names)


def timed(command: list[str]) -> tuple[float, float]:
    """CPU and wall-clock seconds of a command."""
    before, started = os.times(), time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, time.monotonic() - started


def agreement(folder: Path, trait: str) -> tuple[float, float]:
    """Largest |d beta|/se, and largest relative difference of log10 p where p < 0.1, of one trait."""
    theirs = pd.read_csv(folder / f"plink.{trait}.glm.linear", sep="\t").set_index("ID")
    mine = read_association(folder / "mine" / f"{trait}.tsv.gz").set_index("id").reindex(theirs.index)
    log10p = -np.log10(theirs["P"])
    strong = log10p > 1
    return (
        float((np.abs(mine["beta"] - theirs["BETA"]) / theirs["SE"]).max()),
        float((np.abs(mine["log10p"] - log10p) / log10p)[strong].max()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=5000)
    parser.add_argument("--sites", type=int, default=50_000)
    parser.add_argument("--traits", type=int, default=20)
    parser.add_argument("--missing", type=float, nargs="+", default=[0.0, 0.02])
    parser.add_argument("--minimum-count", type=int, default=20)
    parser.add_argument("--engine", type=Path, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.engine:
        run_engine(a.engine, a.minimum_count)
        return
    print(f"{a.people} people x {a.sites} sites x {a.traits} traits, minor allele count >= {a.minimum_count}")
    print("| missing | engine CPU s | plink2 CPU s | ratio | engine wall | plink2 wall | d beta/se | log10 p rel. |")
    print("|---|---|---|---|---|---|---|---|")
    for missing in a.missing:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            simulate(folder, a.people, a.sites, a.traits, missing, seed=1)
            mine, wall = timed(
                [sys.executable, __file__, "--engine", str(folder), "--minimum-count", str(a.minimum_count)]
            )
            theirs, their_wall = timed(
                [
                    "plink2",
                    "--pfile",
                    str(folder / "chr1"),
                    "--pheno",
                    str(folder / "y.txt"),
                    "--covar",
                    str(folder / "c.txt"),
                    "--glm",
                    "hide-covar",
                    "omit-ref",
                    "cols=+beta",
                    "--mac",
                    str(a.minimum_count),
                    "--out",
                    str(folder / "plink"),
                ]
            )
            beta, log10p = agreement(folder, "t0")
        print(
            f"| {missing:.0%} | {mine:.1f} | {theirs:.1f} | {mine / theirs:.2f} | {wall:.1f} | {their_wall:.1f} "
            f"| {beta:.1e} | {log10p:.1e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
