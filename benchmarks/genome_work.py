"""What genome.py measures: workloads, their founders, the engine's steps, and a process's time and memory.

The few calls of the engine are here (`make_mosaic`, `run_transmission`). Every step runs in a process of its own,
`genome.py --step`, and prints what it has to tell as JSON; large modules are imported inside the steps, because
a child's peak memory is at least what its parent held when it was started.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

BENCHMARK = Path(__file__).resolve().parent / "genome.py"
BASE_PAIRS_PER_MORGAN = 100_000_000


class Workload(NamedTuple):
    founders: int
    people: int
    sites: int
    morgans: float
    common: float  # share of sites with a minor allele frequency above 1 %


class Case(NamedTuple):
    """A workload in a directory, and the settings that a step needs."""

    directory: str
    work: Workload
    generations: int
    mating: str
    device: str = "cpu"
    out: str = "pseudo"

    @property
    def alleles(self) -> int:
        """Alleles of all people at all of the founders' sites."""
        return 2 * self.work.people * self.work.sites

    @property
    def end(self) -> int:
        """Base pairs."""
        return int(self.work.morgans * BASE_PAIRS_PER_MORGAN)

    @staticmethod
    def read(text: str) -> "Case":
        directory, work, *settings = json.loads(text)
        return Case(directory, Workload(*work), *settings)


class Measured(NamedTuple):
    """Median CPU seconds (user and system), median wall seconds, greatest peak (MiB), and what the step told: medians
    of numbers, else the last run's."""

    cpu: float = 0.0
    wall: float = 0.0
    peak: float = 0.0
    told: dict = {}  # noqa: RUF012
    failure: str = ""


def measure_step(name: str, case: Case, repeats: int = 1) -> Measured:
    """Time and memory of a step; it ends the benchmark when it fails."""
    result = measure(step_command(name, case), repeats)
    if result.failure:
        raise SystemExit(f"step {name} failed: {result.failure}")
    return result


def tell(result: dict | None) -> None:
    """What a step found out, to the process that measures it."""
    print(json.dumps(result or {}))


def step_command(name: str, case: Case) -> list[str]:
    return [sys.executable, str(BENCHMARK), "--step", name, "--case", json.dumps(case)]


def measure_together(name: str, cases: list[Case]) -> float:
    """Mean CPU seconds of a step of several cases that run at once."""
    started = [subprocess.Popen(step_command(name, case), stdout=subprocess.DEVNULL) for case in cases]
    seconds = []
    for process in started:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds.append(usage.ru_utime + usage.ru_stime)
    if any(process.returncode for process in started):
        raise SystemExit(f"step {name} failed when {len(cases)} ran at once")
    return statistics.mean(seconds)


def measure(command: list[str], repeats: int, seconds: float | None = None) -> Measured:
    """Time and memory of a command by wait4; stopped, and said so in `failure`, after so many seconds."""
    cpu, wall, peak, told = [], [], 0.0, []
    for _ in range(repeats):
        began = time.monotonic()
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(command, stdout=output, stderr=errors)
            timer = threading.Timer(seconds, process.kill) if seconds else None
            if timer:
                timer.start()
            _, status, usage = os.wait4(process.pid, 0)
            if timer:
                timer.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
            wall.append(time.monotonic() - began)
            cpu.append(usage.ru_utime + usage.ru_stime)
            peak = max(peak, usage.ru_maxrss / 1024)
            if process.returncode:
                errors.seek(0)
                last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
                late = f"stopped after {seconds:.0f} s" if seconds and wall[-1] >= seconds else ""
                failure = late or f"status {process.returncode}: {''.join(last)}"
                return Measured(statistics.median(cpu), statistics.median(wall), peak, failure=failure)
            output.seek(0)
            text = output.read()
            told.append(json.loads(text) if text.startswith(b"{") else {})
    return Measured(statistics.median(cpu), statistics.median(wall), peak, middle(told))


def middle(told: list[dict]) -> dict:
    """Medians of what is a number in all of them, else the last."""
    numbers = {name for name, value in told[-1].items() if isinstance(value, float)}
    return told[-1] | {name: statistics.median(one[name] for one in told) for name in numbers}


def make_founders(case: Case) -> None:
    """Founders' .pgen triple, a block of sites at a time.

    The haplotypes stand in an order in which a 50th of them change places every 32 sites; who carries a site's
    minor allele are neighbours in it, at 8 places at most for a given number of carriers, so that close sites share
    haplotypes as in linkage disequilibrium. The number of carriers has density 1/x, from 1 to 1 % for rare sites
    and from 1 % to 50 % for the share of sites that are common. A 30th of the sites have REF as the minor allele.
    """
    import numpy as np
    import pandas as pd

    from pseudocohort.genotypes import GenotypeWriter

    work = case.work
    rng, n, sites = np.random.default_rng(1), work.founders, work.sites
    low = np.where(rng.random(sites) < work.common, 0.02 * n, 1.0)
    carriers = np.exp(rng.uniform(np.log(low), np.log(np.where(low > 1, n, max(0.02 * n, 2))))).astype(int)
    flipped = rng.random(sites) < 1 / 30
    position = 1 + np.arange(sites) * case.end // sites
    table = pd.DataFrame({"chrom": "1", "pos": position, "id": [f"s{i}" for i in range(sites)], "ref": "A", "alt": "C"})
    order, people = rng.permutation(2 * n), np.array([f"p{i}" for i in range(n)])
    with GenotypeWriter(Path(case.directory) / "founders", people, np.arange(n) % 2 + 1, sites) as writer:
        for start in range(0, sites, 32):
            moved = rng.choice(2 * n, n // 25, replace=False)
            order[moved] = order[rng.permutation(moved)]
            block = np.zeros((min(32, sites - start), 2 * n), dtype=np.int32)
            for row, number in zip(block, carriers[start : start + 32], strict=True):
                first = rng.integers(8) * (2 * n - number) // 8
                row[order[first : first + number]] = 1
            block[flipped[start : start + 32]] ^= 1
            writer.append(block, table[start : start + 32])


def start_up(case: Case) -> None:
    """Only the imports of a transmission."""
    transmission_call(case)


def genetic_map(case: Case):
    """One rate from the first to the last base pair."""
    import numpy as np

    from pseudocohort.cohort.maps import GeneticMap

    return GeneticMap("1", np.array([1, case.end + 1]), np.array([0.0, 100 * case.work.morgans]))


def make_mosaic(case: Case) -> dict:
    """Pedigree and mosaic, written; tells the CPU seconds of each, without start-up, and the segments."""
    import numpy as np

    from pseudocohort.genome.founders import Founders
    from pseudocohort.genome.mosaic import save_mosaic, trace_mosaic
    from pseudocohort.genome.pedigree import make_pedigree, save_pedigree
    from pseudocohort.genome.recombination import make_recombination

    directory, n = Path(case.directory), case.work.founders
    began = cpu_seconds()
    rows, unknown = np.arange(n), np.full(n, -1)
    founders = Founders(rows, (rows % 2 + 1).astype(np.int8), np.zeros(n, dtype=np.int16), ("all",), unknown, unknown)
    pedigree = make_pedigree(founders, case.work.people, case.generations, case.mating, 1)
    save_pedigree(directory / "pedigree.npz", pedigree)
    drawn = cpu_seconds()
    recombination = make_recombination(genetic_map(case), "1")
    mosaic = trace_mosaic(pedigree, recombination, "1", 1, device=case.device)
    save_mosaic(directory / "mosaic.npz", mosaic)
    traced = cpu_seconds()
    return {"pedigree": drawn - began, "mosaic": traced - drawn, "segments": len(mosaic.start)}


def run_transmission(case: Case) -> dict:
    """.pgen in to .pgen out; tells the CPU and wall seconds without start-up."""
    call = transmission_call(case)
    began = time.monotonic(), cpu_seconds()
    call()
    return {"wall": time.monotonic() - began[0], "cpu": cpu_seconds() - began[1]}


def cpu_seconds() -> float:
    """User and system time of this process and of children that have ended."""
    usage = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in usage)


def transmission_call(case: Case):
    """The transmission as a function without arguments, everything imported."""
    import numpy as np

    from pseudocohort.genome.mosaic import load_mosaic
    from pseudocohort.genome.transmission import transmit

    directory, work, chromosome = Path(case.directory), case.work, genetic_map(case)

    def call() -> None:
        transmit(
            directory / "founders",
            np.arange(work.founders),
            load_mosaic(directory / "mosaic.npz"),
            chromosome,
            directory / case.out,
            np.array([f"PC{i:06d}" for i in range(work.people)], dtype=object),
            np.arange(work.people) % 2 + 1,
            device=case.device,
        )

    return call


def size(directory: str, *names: str) -> int:
    """Bytes of files of a directory."""
    return sum((Path(directory) / name).stat().st_size for name in names)


STEPS = {"founders": make_founders, "start-up": start_up, "mosaic": make_mosaic, "transmission": run_transmission}
