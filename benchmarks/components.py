"""CPU seconds and memory of principal components beside `plink2 --indep-pairwise` and `--pca` in the same run.

    python benchmarks/components.py [--people 1600] [--sites 40000] [--number 4]

People of two strata (Fst 0.01), a tenth of them children of two others and projected; sites 1.5 kb apart with common
alleles, neighbours in linkage disequilibrium by twos. CPU time is that of a process of its own, start-up included.
plink2 is given the unrelated people only; from 5,000 people on it iterates, too (`approx`). Measured, never asserted.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pseudocohort.genetics.components import principal_components
from pseudocohort.genotypes import GenotypeWriter


def simulate(folder: Path, people: int, sites: int, seed: int = 1) -> None:
    """Write chr1, and unrelated.npy, unrelated.txt, family.npy, stratum.npy."""
    rng = np.random.default_rng(seed)
    makers = people * 9 // 10
    stratum = rng.choice(2, makers)
    order = [rng.permutation(np.flatnonzero(stratum == s)) for s in (0, 1)]
    couples = np.concatenate([part[: len(part) // 2 * 2].reshape(-1, 2) for part in order])
    couples = couples[rng.permutation(len(couples))[: people - makers]]
    person = np.array([f"p{i}" for i in range(people)])
    with GenotypeWriter(folder / "chr1", person, np.tile([1, 2], people)[:people], sites) as writer:
        for start in range(0, sites, 500):
            size = min(500, sites - start)
            p = rng.uniform(0.05, 0.5, size // 2 + 1)[:, None]
            p = rng.beta(p * 99, (1 - p) * 99, (len(p), 2)).astype(np.float32)
            alleles = (rng.random((len(p), 2 * makers), dtype=np.float32) < p[:, np.repeat(stratum, 2)]).view(np.int8)
            children = np.stack(
                [np.take(alleles, 2 * couples[:, k] + rng.integers(0, 2, len(couples)), axis=1) for k in (0, 1)], axis=2
            )
            alleles = np.hstack([alleles, children.reshape(len(p), -1)])
            alleles = np.repeat(alleles, 2, axis=0)[:size]
            alleles[1::2] ^= rng.random(alleles[1::2].shape, dtype=np.float32) < 0.1
            place = np.arange(start, start + size)
            table = {"chrom": "1", "pos": 1000 + 1500 * place, "ref": "A", "alt": "G", "id": [f"s{i}" for i in place]}
            writer.append(alleles, pd.DataFrame(table))
    made = np.arange(people) < makers
    np.save(folder / "unrelated.npy", made)
    family = np.arange(people)
    family[couples[:, 1]] = family[couples[:, 0]]
    family[makers:] = family[couples[:, 0]]
    np.save(folder / "family.npy", family)
    np.save(folder / "stratum.npy", np.concatenate([stratum, stratum[couples[:, 0]]]))
    (folder / "unrelated.txt").write_text("#IID\n" + "\n".join(person[made]) + "\n")


def run(folder: Path, number: int) -> None:
    """The components of the cohort in `folder`; what the process took goes to standard output."""
    made, family = np.load(folder / "unrelated.npy"), np.load(folder / "family.npy")
    found = principal_components([folder / "chr1"], None, number, 1, made, family)
    np.save(folder / "scores.npy", found.scores)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{found.sites} sites, eigenvalues {np.round(found.eigenvalues, 2)}, edge {found.edge:.2f}, {peak:.0f} MB")


def timed(command: list) -> tuple[float, float, str]:
    """CPU and wall-clock seconds of a command, and what it printed."""
    before, started = os.times(), time.monotonic()
    done = subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, time.monotonic() - started, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--people", type=int, default=1600)
    parser.add_argument("--sites", type=int, default=40_000)
    parser.add_argument("--number", type=int, default=4)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        run(given.run, given.number)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(folder, given.people, given.sites)
        cpu, wall, text = timed([sys.executable, __file__, "--number", given.number, "--run", folder])
        print(f"{given.people} people x {given.sites} sites, {given.number} components")
        print(f"ours    {cpu:8.1f} CPU s {wall:8.1f} s   {text.strip()}")
        plink = ["plink2", "--pfile", folder / "chr1", "--threads", 2, "--out", folder / "x"]
        plink += ["--keep", folder / "unrelated.txt", "--maf", 0.05]
        first, wall, _ = timed([*plink, "--indep-pairwise", "1000kb", 1, 0.2])
        approx = ["approx"] if given.people >= 5000 else []
        pca = ["--extract", folder / "x.prune.in", "--pca", given.number, *approx]
        second, wall_pca, _ = timed([*plink, *pca])
        kept = len((folder / "x.prune.in").read_text().split())
        print(f"plink2  {first + second:8.1f} CPU s {wall + wall_pca:8.1f} s   {kept} sites, pruning {first:.1f} CPU s")
        scores, made = np.load(folder / "scores.npy"), np.load(folder / "unrelated.npy")
        theirs = pd.read_csv(folder / "x.eigenvec", sep="\t")["PC1"].to_numpy()
        r = abs(np.corrcoef(theirs, scores[made, 0])[0, 1])
        stratum = np.load(folder / "stratum.npy")
        apart = [scores[w & (stratum == 1), 0].mean() - scores[w & (stratum == 0), 0].mean() for w in (~made, made)]
        print(f"PC1: correlation {r:.5f}; distance of strata, projected over others {apart[0] / apart[1]:.3f}")


if __name__ == "__main__":
    main()
