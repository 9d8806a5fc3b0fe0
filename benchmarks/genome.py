"""Time and memory of the genome engine, beside programs that only read and write the same data.

    python benchmarks/genome.py [--founders 1000 --people 1000 --sites 75000 --morgans 0.5 --generations 10]

Every step is a process of its own, so start-up and imports are counted; medians of the repeats. Founders are made
with numpy in a temporary directory: independent sites with frequencies of density 1/f above --lowest-frequency
(default: one copy). Defaults are workload W1. W2: --founders 10000 --people 10000 --sites 100000 --morgans 1
--lowest-frequency 0.00005. W3: --founders 100000 --people 100000 --sites 20000 --morgans 2.9 --repeats 1.
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

LIBRARY = Path(__file__).resolve().parent.parent / "scripts"
BASE_PAIRS_PER_MORGAN = 100_000_000


def main() -> None:
    options = arguments()
    if options.step:
        sys.path.insert(0, str(LIBRARY))
        STEPS[options.step](options, Path(options.directory))
        return
    with tempfile.TemporaryDirectory(prefix="genome-benchmark-") as directory:
        print_table(options, measure_all(options, directory))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--founders", type=int, default=1000)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--sites", type=int, default=75_000)
    parser.add_argument("--morgans", type=float, default=0.5)
    parser.add_argument("--generations", type=int, default=10)
    parser.add_argument("--mating", default="balanced")
    parser.add_argument("--lowest-frequency", type=float, default=0.0)
    parser.add_argument("--device", default="cpu", help="of the mosaic: cpu, gpu or auto")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--step", choices=sorted(STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--directory", help=argparse.SUPPRESS)
    return parser.parse_args()


def measure_all(options: argparse.Namespace, directory: str) -> list[tuple[str, float, float, float, int]]:
    """Rows (work, CPU seconds, wall seconds, MiB, alleles) of every program that is there."""

    def step(name):
        return [sys.executable, __file__, *sys.argv[1:], "--step", name, "--directory", directory]

    measure(step("founders"), 1)
    made, read = 2 * options.people * options.sites, 2 * options.founders * options.sites
    founders, copy = f"{directory}/founders", f"{directory}/copy"
    rows = [(name, *measure(step(name), options.repeats), made) for name in ("start-up", "mosaic", "transmission")]
    rows.insert(
        3,
        ("mosaic + transmission", rows[1][1] + rows[2][1], rows[1][2] + rows[2][2], max(rows[1][3], rows[2][3]), made),
    )
    if shutil.which("plink2"):
        plink = ["plink2", "--pfile", founders, "--threads", "1"]
        rows.append(("plink2 --make-pgen", *measure([*plink, "--make-pgen", "--out", copy], options.repeats), read))
        measure([*plink, "--export", "bcf", "--out", founders], 1)
    if shutil.which("bcftools") and Path(f"{founders}.bcf").exists():
        view = ["bcftools", "view", "-Ob", "-o", f"{copy}.bcf", f"{founders}.bcf"]
        rows.append(("bcftools view -Ob", *measure(view, options.repeats), read))
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


def print_table(options: argparse.Namespace, rows: list[tuple[str, float, float, float, int]]) -> None:
    print(
        f"{options.founders} founders to {options.people} people, {options.sites} sites, {options.morgans} Morgans, "
        f"{options.generations} generations, {options.mating}, mosaic on {options.device}; "
        f"medians of {options.repeats}"
    )
    print(f"{'work':<24}{'CPU s':>10}{'wall s':>10}{'ns/allele':>12}{'peak MiB':>10}")
    for name, cpu, wall, peak, alleles in rows:
        print(f"{name:<24}{cpu:>10.2f}{wall:>10.2f}{cpu / alleles * 1e9:>12.2f}{peak:>10.0f}")


def make_founders(options: argparse.Namespace, directory: Path) -> None:
    """Founders' .pgen triple, a block of sites at a time."""
    import numpy as np
    import pandas as pd

    from pseudocohort.genotypes import GenotypeWriter

    rng, n, sites = np.random.default_rng(1), options.founders, options.sites
    lowest = max(options.lowest_frequency, 1 / (2 * n))
    frequency = np.exp(rng.uniform(np.log(lowest), np.log(0.5), sites)).astype(np.float32)
    position = 1 + np.arange(sites) * int(options.morgans * BASE_PAIRS_PER_MORGAN) // sites
    table = pd.DataFrame({"chrom": "1", "pos": position, "id": [f"s{i}" for i in range(sites)], "ref": "A", "alt": "C"})
    block = max(1, 2_000_000 // n)
    with GenotypeWriter(
        directory / "founders", np.array([f"p{i}" for i in range(n)]), np.arange(n) % 2 + 1, sites
    ) as writer:
        for start in range(0, sites, block):
            chosen = frequency[start : start + block, None]
            writer.append(rng.random((len(chosen), 2 * n), dtype=np.float32) < chosen, table[start : start + block])


def start_up(options: argparse.Namespace, directory: Path) -> None:
    """Only the imports of the engine."""
    import pseudocohort.genome.transmission  # noqa: F401


def make_mosaic(options: argparse.Namespace, directory: Path) -> None:
    """Pedigree and mosaic, written."""
    import numpy as np

    from pseudocohort.genome.mosaic import save_mosaic, trace_mosaic
    from pseudocohort.genome.pedigree import make_pedigree, save_pedigree

    sex, strata = np.arange(options.founders) % 2 + 1, np.zeros(options.founders)
    pedigree = make_pedigree(sex, strata, ("all",), options.people, options.generations, options.mating, 1)
    save_pedigree(directory / "pedigree.npz", pedigree)
    save_mosaic(directory / "mosaic.npz", trace_mosaic(pedigree, options.morgans, "1", 1, device=options.device))


def run_transmission(options: argparse.Namespace, directory: Path) -> None:
    """.pgen in to .pgen out."""
    import numpy as np

    from pseudocohort.cohort.maps import GeneticMap
    from pseudocohort.genome.mosaic import load_mosaic
    from pseudocohort.genome.pedigree import load_pedigree, make_ids
    from pseudocohort.genome.transmission import transmit

    end = int(options.morgans * BASE_PAIRS_PER_MORGAN)
    genetic_map = GeneticMap("1", np.array([1, end + 1]), np.array([0.0, 100 * options.morgans]))
    transmit(
        directory / "founders",
        np.arange(options.founders),
        load_mosaic(directory / "mosaic.npz"),
        genetic_map,
        directory / "pseudo",
        make_ids(options.people),
        load_pedigree(directory / "pedigree.npz").sex[-1],
    )


STEPS = {"founders": make_founders, "start-up": start_up, "mosaic": make_mosaic, "transmission": run_transmission}

if __name__ == "__main__":
    main()
