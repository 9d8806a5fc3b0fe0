"""CPU seconds and memory of the genomic kernel, beside bare matrix products of the same shapes in the same run.

    python benchmarks/kernel.py [--dense 3000 12000] [--streamed 20000 20000] [--traits 20] [--columns 66]

Dense: building K, its eigen-decomposition, REML of all traits, a masked solve. Streamed: one pass of products, as
nanoseconds a person x site x column, from which a cohort of any size can be projected. Measured, never asserted.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from pseudocohort.genotypes import GenotypeWriter
from pseudocohort.weights import kernel as kernels


def simulate(prefix: Path, people: int, sites: int, seed: int = 1) -> None:
    """Write sites in runs of 10 that share half of their alleles, frequencies 0.05 to 0.5."""
    rng = np.random.default_rng(seed)
    with GenotypeWriter(prefix, np.array([f"p{i}" for i in range(people)]), np.ones(people, dtype=int), sites) as file:
        for start in range(0, sites, 1000):
            size = min(1000, sites - start)
            frequency = rng.uniform(0.05, 0.5, size // 10 + 1).repeat(10)[:size, None]
            shared = rng.random((size // 10 + 1, 2 * people), dtype=np.float32).repeat(10, axis=0)[:size]
            fresh = rng.random((size, 2 * people), dtype=np.float32)
            alleles = (np.where(rng.random(fresh.shape, dtype=np.float32) < 0.5, shared, fresh) < frequency).view(
                np.int8
            )
            table = {"chrom": "1", "pos": 100 + np.arange(start, start + size), "id": ".", "ref": "A", "alt": "G"}
            file.append(alleles, pd.DataFrame(table))


def peak_memory() -> float:
    """GB; ru_maxrss would count the parent's, too."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1e6


class Clock:
    """Collects CPU and wall seconds by name."""

    def __init__(self):
        self.rows = []

    def __call__(self, name, work, cells=None):
        cpu, wall = time.process_time(), time.perf_counter()
        result = work()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        peak = peak_memory()
        rate = "" if cells is None else f"{cpu / cells * 1e9:10.4f} ns"
        print(f"{name:58s} {cpu:9.2f} {wall:9.2f} {peak:8.2f} {rate}", flush=True)
        self.rows.append({"name": name, "cpu": cpu, "wall": wall, "peak": peak})
        return result


def traits_of(n: int, traits: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return np.column_stack([np.ones(n), rng.normal(size=(n, 5))]), rng.normal(size=(n, traits))


def dense(prefix: Path, people: int, sites: int, traits: int) -> None:
    clock, (covariates, y) = Clock(), traits_of(people, traits)
    what = kernels.Sites([prefix], None)
    basis = kernels.orthonormal(covariates)
    rng = np.random.default_rng(3)

    def floor():
        x = np.ones((min(4096, sites), people), dtype=np.float32)
        for _ in range(0, sites, len(x)):
            x.T @ x

    gathered, m, _ = clock("building x'x", lambda: kernels._gather(what, [-1.0], people, None))
    scale, values, vectors = clock("projection and eigen-decomposition", lambda: kernels._dense(gathered[0], basis, m))
    k = kernels.DenseKernel(what, basis, m, scale, None, values, vectors)
    y = y + k.draw_values(rng.normal(size=y.shape))
    fits = clock(f"REML of {traits} traits", lambda: k.reml(y))
    ratio = (1 - fits.h) / np.maximum(fits.h, 0.01)
    clock("solve", lambda: k.solve(y, ratio))
    clock("solve, 5 % of people missing", lambda: k.solve(y, ratio, rng.random(y.shape) < 0.95))
    clock("floor: x'x by sgemm, whole", floor)
    a = rng.normal(size=(people, people)).astype(np.float32)
    clock("floor: sgemm of (n, n) by (n, n)", lambda: a @ a)


def streamed(prefix: Path, people: int, sites: int, traits: int, columns: int) -> None:
    clock, (covariates, y) = Clock(), traits_of(people, traits)
    cells = people * sites
    k = clock("first pass", lambda: kernels.make_kernel(kernels.Sites([prefix], None), covariates, 0), cells)
    rng = np.random.default_rng(3)
    for c in (1, 16, columns):
        v = rng.normal(size=(people, c))
        clock(f"a pass, {c} columns: per cell", lambda v=v: k.multiply(v), cells)
        print(f"{'':58s} {clock.rows[-1]['cpu'] / cells / c * 1e9:.4f} ns a person x site x column")
    clock("reading alone: per cell", lambda: [None for _ in k.products.blocks()], cells)
    g, narrow = np.ones((k.products.rows, people), dtype=np.float32), v.astype(np.float32)

    def floor():
        for _ in range(0, sites, len(g)):
            g.T @ (g @ narrow)

    clock(f"floor: sgemm of the same shapes, {columns} columns: per cell", floor, len(g) * people * -(-sites // len(g)))
    y = y + k.draw_values(rng.normal(size=y.shape))
    clock(f"REML of {traits} traits and 16 probes: per cell", lambda: k.reml(y), cells)
    clock(f"solve {traits} traits, ratio 1: per cell", lambda: k.solve(y, np.ones(traits)), cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dense", type=int, nargs=2, default=(3000, 12000), metavar=("PEOPLE", "SITES"))
    parser.add_argument("--streamed", type=int, nargs=2, default=(20000, 5000), metavar=("PEOPLE", "SITES"))
    parser.add_argument("--traits", type=int, default=20)
    parser.add_argument("--columns", type=int, default=66)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:  # a process of its own, so that its peak memory is its own
        settings = json.loads(options.inside)
        (dense if settings.pop("kind") == "dense" else streamed)(**settings)
        return
    with tempfile.TemporaryDirectory() as folder:
        for kind, (people, sites) in (("dense", options.dense), ("streamed", options.streamed)):
            prefix = str(Path(folder) / kind)
            simulate(Path(prefix), people, sites)
            print(
                f"{kind}: {people} people, {sites} sites\n{'':58s} {'CPU s':>9s} {'wall s':>9s} {'peak GB':>8s}",
                flush=True,
            )
            settings = {"kind": kind, "prefix": prefix, "people": people, "sites": sites, "traits": options.traits}
            settings |= {"columns": options.columns} if kind == "streamed" else {}
            subprocess.run([sys.executable, __file__, "--inside", json.dumps(settings)], check=True)


if __name__ == "__main__":
    main()
