"""Time and memory of the genome engine, beside programs that only read and write the same data.

    python benchmarks/genome.py [W1 W2 W3] [--sites 20000] [--runs 3]

W1: 1,000 founders to 1,000 people, 75,000 sites, rich in common ones, 50 Mb. W2: 10,000 to 10,000, 100,000 sites as
sequencing finds them. W3: 100,000 to 100,000 on 2.9 Morgans, 20,000 sites. Ten generations, balanced mating.
Every step is a process of its own, so start-up and imports are counted, and stated apart. CPU seconds (user and
system), ns of them per allele (of all people at all of the founders' sites, though those that nobody carries are not
written), wall seconds: medians of the runs; memory: the greatest peak.

Founders are made with numpy in a temporary directory. The haplotypes stand in an order in which a 50th of them
change places every 32 sites; who carries a site's minor allele are neighbours in it, at 8 places at most for a given
number of carriers, so that close sites share haplotypes as in linkage disequilibrium. The number of carriers has
density 1/x, from 1 to 1 % for rare sites and from 1 % to 50 % for the share of sites that are common. A 30th of the
sites have REF as the minor allele.
Needs bcftools and plink2 on the PATH for their rows. This process imports nothing large: a child's peak memory
would otherwise be its parent's.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

LIBRARY = Path(__file__).resolve().parent.parent / "scripts"
BASE_PAIRS_PER_MORGAN = 100_000_000


class Workload(NamedTuple):
    founders: int
    people: int
    sites: int
    morgans: float
    common: float  # share of sites with a minor allele frequency above 1 %


WORKLOADS = {
    "W1": Workload(1_000, 1_000, 75_000, 0.5, 0.57),
    "W2": Workload(10_000, 10_000, 100_000, 1.0, 0.14),
    "W3": Workload(100_000, 100_000, 20_000, 2.9, 0.07),
}


def main() -> None:
    options = arguments()
    if options.step:
        sys.path.insert(0, str(LIBRARY))
        STEPS[options.step](options, workload(options, options.workloads[0]), Path(options.directory))
        return
    print(f"medians of {options.runs}, {options.generations} generations, mating {options.mating}, mosaic on", end=" ")
    print(f"{options.device}\n{'':4}{'work':<24}{'CPU s':>10}{'ns/allele':>12}{'wall s':>10}{'peak MiB':>10}")
    for name in options.workloads:
        with tempfile.TemporaryDirectory(prefix="genome-benchmark-") as directory:
            print_rows(name, workload(options, name), measure_all(options, name, directory))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", metavar="W1 W2 W3", default=list(WORKLOADS))
    parser.add_argument("--sites", type=int, help="at most so many a workload")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--generations", type=int, default=10)
    parser.add_argument("--mating", default="balanced")
    parser.add_argument("--device", default="cpu", help="of the mosaic: cpu, gpu or auto")
    parser.add_argument("--step", choices=sorted(STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--directory", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.workloads) - set(WORKLOADS):
        parser.error(f"no workload {sorted(unknown)}; there are {list(WORKLOADS)}")
    return options


def workload(options: argparse.Namespace, name: str) -> Workload:
    work = WORKLOADS[name]
    return work._replace(sites=min(work.sites, options.sites or work.sites))


def measure_all(options: argparse.Namespace, name: str, directory: str) -> list[tuple[str, float, float, float, int]]:
    """Rows (work, CPU seconds, wall seconds, MiB, alleles) of every program that is there."""
    work = workload(options, name)
    settings = [f"--{key}={getattr(options, key)}" for key in ("generations", "mating", "device")]
    settings += [f"--sites={work.sites}", "--directory", directory]

    def step(which):
        return [sys.executable, __file__, name, *settings, "--step", which]

    measure(step("founders"), 1)
    made, read = 2 * work.people * work.sites, 2 * work.founders * work.sites
    founders, copy = f"{directory}/founders", f"{directory}/copy"
    start, mosaic, transmission = (measure(step(s), options.runs) for s in ("start-up", "mosaic", "transmission"))
    bare = (transmission[0] - start[0], transmission[1] - start[1], transmission[2])
    rows = [
        ("start-up", *start, made),
        ("pedigree + mosaic", *mosaic, made),
        ("transmission", *transmission, made),
        ("... without start-up", *bare, made),
    ]
    if shutil.which("plink2"):
        plink = ["plink2", "--pfile", founders, "--threads", "1"]
        rows.append(("plink2 --make-pgen", *measure([*plink, "--make-pgen", "--out", copy], options.runs), read))
        measure([*plink, "--export", "bcf", "--out", founders], 1)
    if shutil.which("bcftools") and Path(f"{founders}.bcf").exists():
        view = ["bcftools", "view", "-Ob", "-o", f"{copy}.bcf", f"{founders}.bcf"]
        rows.append(("bcftools view -Ob", *measure(view, options.runs), read))
    return rows


def measure(command: list[str], repeats: int) -> tuple[float, float, float]:
    """Median CPU seconds (user and system), median wall seconds and greatest peak memory (MiB) of a command."""
    import time

    cpu, wall, peak = [], [], 0.0
    for _ in range(repeats):
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command[0]} failed with status {process.returncode}")
        cpu.append(usage.ru_utime + usage.ru_stime)
        wall.append(time.monotonic() - began)
        peak = max(peak, usage.ru_maxrss / 1024)
    return statistics.median(cpu), statistics.median(wall), peak


def print_rows(name: str, work: Workload, rows: list[tuple[str, float, float, float, int]]) -> None:
    print(
        f"{name:<4}{work.founders} founders to {work.people} people, {work.sites} sites, "
        f"{100 * work.common:.0f} % of them common, {work.morgans} Morgans"
    )
    for what, cpu, wall, peak, alleles in rows:
        print(f"{'':4}{what:<24}{cpu:>10.2f}{cpu / alleles * 1e9:>12.2f}{wall:>10.2f}{peak:>10.0f}", flush=True)


def make_founders(options: argparse.Namespace, work: Workload, directory: Path) -> None:
    """Founders' .pgen triple, a block of sites at a time."""
    import numpy as np
    import pandas as pd

    from pseudocohort.genotypes import GenotypeWriter

    rng, n, sites = np.random.default_rng(1), work.founders, work.sites
    low = np.where(rng.random(sites) < work.common, 0.02 * n, 1.0)
    carriers = np.exp(rng.uniform(np.log(low), np.log(np.where(low > 1, n, max(0.02 * n, 2))))).astype(int)
    flipped = rng.random(sites) < 1 / 30
    position = 1 + np.arange(sites) * int(work.morgans * BASE_PAIRS_PER_MORGAN) // sites
    table = pd.DataFrame({"chrom": "1", "pos": position, "id": [f"s{i}" for i in range(sites)], "ref": "A", "alt": "C"})
    order, people = rng.permutation(2 * n), np.array([f"p{i}" for i in range(n)])
    with GenotypeWriter(directory / "founders", people, np.arange(n) % 2 + 1, sites) as writer:
        for start in range(0, sites, 32):
            moved = rng.choice(2 * n, n // 25, replace=False)
            order[moved] = order[rng.permutation(moved)]
            block = np.zeros((min(32, sites - start), 2 * n), dtype=np.int32)
            for row, number in zip(block, carriers[start : start + 32], strict=True):
                first = rng.integers(8) * (2 * n - number) // 8
                row[order[first : first + number]] = 1
            block[flipped[start : start + 32]] ^= 1
            writer.append(block, table[start : start + 32])


def start_up(options: argparse.Namespace, work: Workload, directory: Path) -> None:
    """Only the imports of the engine."""
    import pseudocohort.genome.transmission  # noqa: F401


def make_mosaic(options: argparse.Namespace, work: Workload, directory: Path) -> None:
    """Pedigree and mosaic, written."""
    import numpy as np

    from pseudocohort.genome.mosaic import save_mosaic, trace_mosaic
    from pseudocohort.genome.pedigree import make_pedigree, save_pedigree

    sex, strata = np.arange(work.founders) % 2 + 1, np.zeros(work.founders)
    pedigree = make_pedigree(sex, strata, ("all",), work.people, options.generations, options.mating, 1)
    save_pedigree(directory / "pedigree.npz", pedigree)
    save_mosaic(directory / "mosaic.npz", trace_mosaic(pedigree, work.morgans, "1", 1, device=options.device))


def run_transmission(options: argparse.Namespace, work: Workload, directory: Path) -> None:
    """.pgen in to .pgen out."""
    import numpy as np

    from pseudocohort.cohort.maps import GeneticMap
    from pseudocohort.genome.mosaic import load_mosaic
    from pseudocohort.genome.pedigree import load_pedigree, make_ids
    from pseudocohort.genome.transmission import transmit

    end = int(work.morgans * BASE_PAIRS_PER_MORGAN)
    genetic_map = GeneticMap("1", np.array([1, end + 1]), np.array([0.0, 100 * work.morgans]))
    transmit(
        directory / "founders",
        np.arange(work.founders),
        load_mosaic(directory / "mosaic.npz"),
        genetic_map,
        directory / "pseudo",
        make_ids(work.people),
        load_pedigree(directory / "pedigree.npz").sex[-1],
    )


STEPS = {"founders": make_founders, "start-up": start_up, "mosaic": make_mosaic, "transmission": run_transmission}

if __name__ == "__main__":
    main()
