"""Time and memory of the genome engine beside programs on the same data, where its time goes, and what that projects.

    python benchmarks/genome.py [W1 W2 W3] [--parts engine,peers] [--quick] [--profile] [--runs 3]
    make benchmark          the same with haptools, in an environment of its own

W1: 1,000 founders to 1,000 people, 75,000 sites, rich in common ones, 50 Mb. W2: 10,000 to 10,000, 100,000 sites as
sequencing finds them. W3: 100,000 to 100,000 on 2.9 Morgans, 20,000 sites. Ten generations, balanced mating
(population 4 x people). Parts:

engine      start-up (imports), pedigree + mosaic, transmission from .pgen to .pgen; goals met or not.
peers       plink2 and bcftools (read and write only), numpy + pgenlib, haptools, msprime (genome_peers.py). RESHAPE
            (15.3 ns, 11 MiB) and ped-sim (102 ns) are quoted from a run on data like W1, not measured.
profile     where the time of each transmission goes, and the floor beside it (genome_profile.py).
gpu         mosaic and transmission by JAX where it sees a GPU.
memory      peaks of W2 and of many sites of few people, at all and at a quarter of the sites.
projection  to 100,000 people x 22 chromosomes (genome_projection.py).

Every step is a process of its own, measured by wait4, so start-up and imports are counted, and stated apart. CPU
seconds (user and system), ns of them per allele (of all people at all of the founders' sites, though those that
nobody carries are not written; of the founders for plink2 and bcftools), wall seconds: medians of the runs; memory:
the greatest peak. Founders are made with numpy (`genome_work.make_founders`) in a temporary directory (TMPDIR).
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator

import genome_gpu
import genome_peers
import genome_profile
import genome_projection
import genome_work
from genome_peers import Row
from genome_work import BENCHMARK, Case, Measured, Workload, measure_step

PARTS = ("engine", "peers", "profile", "gpu", "memory", "projection")
WORKLOADS = {
    "W1": Workload(1_000, 1_000, 75_000, 0.5, 0.57),
    "W2": Workload(10_000, 10_000, 100_000, 1.0, 0.14),
    "W3": Workload(100_000, 100_000, 20_000, 2.9, 0.07),
}
QUICK = {
    "W1": Workload(1_000, 1_000, 7_500, 0.5, 0.57),
    "W2": Workload(2_000, 2_000, 10_000, 1.0, 0.14),
    "W3": Workload(10_000, 10_000, 4_000, 2.9, 0.07),
}
# Goals of the full sizes: at most so many ns per allele, CPU seconds, MiB
GOALS: dict[tuple[str, str], dict[str, float]] = {
    ("W1", "... without start-up"): {"ns": 2.5},
    ("W2", "transmission"): {"ns": 1.0, "MiB": 1024},
    ("W2", "pedigree + mosaic"): {"MiB": 1024},
    ("W3", "transmission"): {"ns": 0.8, "MiB": 2048},
    ("W3", "pedigree + mosaic"): {"CPU s": 10, "MiB": 2048},
}
STEPS = genome_work.STEPS | genome_peers.STEPS | genome_profile.STEPS | genome_gpu.STEPS


def main() -> None:
    options = arguments()
    if options.step:
        sys.path.insert(0, str(BENCHMARK.parent.parent / "scripts"))
        genome_work.tell(STEPS[options.step](Case.read(options.case)))
        return
    settings = f"{options.generations} generations, mating {options.mating}, medians of {options.runs}"
    print(f"{settings}; {os.cpu_count()} cores, {genome_peers.available():.0f} GiB\n{genome_peers.versions()}")
    print(f"{'':4}{'':<38}{'CPU s':>10}{'ns/allele':>11}{'wall s':>9}{'peak MiB':>10}  goal or remark", flush=True)
    sizes = QUICK if options.quick else WORKLOADS
    template, slope = Case("", sizes["W2"], options.generations, options.mating), {"200 people": 0.0}
    options.gpu = measure_step("gpu", template).told["gpu"] if "gpu" in options.parts else ""
    of_workloads = {"engine", "peers", "profile"} | ({"gpu"} if options.gpu else set())
    for name in options.workloads if of_workloads & set(options.parts) else ():
        with tempfile.TemporaryDirectory(prefix="genome-benchmark-") as directory:
            work = sizes[name]._replace(sites=min(sizes[name].sites, options.sites or sizes[name].sites))
            case = Case(directory, work, options.generations, options.mating)
            print_title(name, work)
            print_rows(workload_rows(options, name, case), name, work == WORKLOADS[name])
    if "gpu" in options.parts and not options.gpu:
        print(f"gpu\n{'':4}{genome_gpu.NONE}")
    if "memory" in options.parts:
        print("memory")
        print_rows(genome_projection.memory_rows(template, sizes["W2"], options.runs, slope))
    if "projection" in options.parts:
        people = sizes["W3"].people
        print(f"projection to {people} people x 22 chromosomes")
        print_rows(genome_projection.projection_rows(template, people, options.runs, slope["200 people"]))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", metavar="W1 W2 W3", default=list(WORKLOADS))
    parser.add_argument("--parts", default=",".join(PARTS), help="of the table, with commas; default: %(default)s")
    parser.add_argument("--profile", action="store_true", help="the same as --parts engine,profile")
    parser.add_argument("--quick", action="store_true", help="reduced sizes, one run")
    parser.add_argument("--sites", type=int, help="at most so many a workload")
    parser.add_argument("--runs", type=int, default=None, help="of every process; default 3")
    parser.add_argument("--generations", type=int, default=10)
    parser.add_argument("--mating", default="balanced")
    parser.add_argument("--step", choices=sorted(STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.workloads) - set(WORKLOADS):
        parser.error(f"no workload {sorted(unknown)}; there are {list(WORKLOADS)}")
    options.runs = options.runs or (1 if options.quick else 3)
    options.parts = ["engine", "profile"] if options.profile else options.parts.split(",")
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {sorted(unknown)}; there are {','.join(PARTS)}")
    return options


def workload_rows(options: argparse.Namespace, name: str, case: Case) -> Iterator[Row]:
    """All parts that work on the files of one workload."""
    measure_step("founders", case)
    repeats = options.runs if "engine" in options.parts else 1
    names = ("start-up", "mosaic", "transmission")
    start, mosaic, transmission = (measure_step(step, case, repeats) for step in names)
    if "engine" in options.parts:
        yield from engine_rows(case, start, mosaic, transmission)
    if "profile" in options.parts:
        yield from profile_rows(case, transmission, repeats)
    if "peers" in options.parts:
        yield from genome_peers.peer_rows(name, case, options.runs)
    if options.gpu:
        yield from genome_gpu.gpu_rows(case, options.runs, options.gpu)


def engine_rows(case: Case, start: Measured, mosaic: Measured, transmission: Measured) -> Iterator[Row]:
    yield Row("start-up", start, case.alleles)
    remark = f"{mosaic.told['segments']} segments, pedigree alone {mosaic.told['pedigree']:.2f} CPU s"
    yield Row("pedigree + mosaic", mosaic, case.alleles, remark)
    yield Row("transmission", transmission, case.alleles)
    bare = transmission._replace(cpu=transmission.told["cpu"], wall=transmission.told["wall"])
    yield Row("... without start-up", bare, case.alleles)


def profile_rows(case: Case, transmission: Measured, repeats: int) -> Iterator[Row]:
    """The steps of a transmission by cProfile, scaled to the CPU seconds measured without it, and the floor."""
    found = measure_step("profile", case).told
    told = found["steps"]
    bare, seen = transmission.told["cpu"], sum(told.values())
    start = transmission.cpu - bare
    told = {step: seconds for step, seconds in told.items() if seconds > seen / 200}
    told["the rest"] = seen - sum(told.values())
    yield Row("... in start-up", Measured(cpu=start), case.alleles, f"{start / transmission.cpu:.0%}")
    for step, seconds in told.items():
        part = bare * seconds / seen
        yield Row(f"... in {step}", Measured(cpu=part), case.alleles, f"{part / transmission.cpu:.0%}")
    yield Row("... profile's own cost", None, remark=f"{found['own']:.2f} CPU s, taken off")
    floor = measure_step("floor", case, repeats).told
    counted = f"{floor['moved'] / 1e6:.0f} MB in and out"
    yield Row("floor: bytes", Measured(cpu=floor["bytes"]), case.alleles, counted)
    counted = f"{floor['dense']} common sites / 32 x haplotypes, {floor['entries']} entries of lists"
    yield Row("floor: lookups", Measured(cpu=floor["lookups"]), case.alleles, counted)
    ratio = bare / (floor["bytes"] + floor["lookups"])
    yield Row("... transmission / floor", None, remark=f"{ratio:.1f}, start-up on neither side")


def print_title(name: str, work: Workload) -> None:
    print(
        f"{name:<4}{work.founders} founders to {work.people} people, {work.sites} sites, "
        f"{100 * work.common:.0f} % of them common, {work.morgans} Morgans",
        flush=True,
    )


def print_rows(rows: Iterator[Row], workload: str = "", full: bool = False) -> None:
    """Lines of the table, each when it is measured."""
    for row in rows:
        remark, found = row.remark, row.measured
        if found is None:
            print(f"{'':4}{row.name:<38}{'':40}  {remark}".rstrip(), flush=True)
            continue
        if found.failure:
            print(f"{'':4}{row.name:<38}{'':40}  {found.failure}", flush=True)
            continue
        ns = found.cpu / row.alleles * 1e9 if row.alleles else None
        goal = verdict(GOALS.get((workload, row.name), {}), found, ns, full)
        cells = (found.cpu or None, 10, 2), (ns if found.cpu else None, 11, 2), (found.wall or None, 9, 2)
        cells = *cells, (found.peak or None, 10, 0)
        line = "".join(" " * width if x is None else f"{x:>{width}.{digits}f}" for x, width, digits in cells)
        print(f"{'':4}{row.name:<38}{line}  {'; '.join(filter(None, (goal, remark)))}".rstrip(), flush=True)


def verdict(goal: dict[str, float], found: Measured, ns: float | None, full: bool) -> str:
    """Each goal of a row with "met" or "NOT met"; other sizes than the full ones are not judged."""
    if not full:
        return ""
    values = {"ns": ns, "CPU s": found.cpu, "MiB": found.peak}
    told = ((f"{most:g} {unit}", values[unit] <= most) for unit, most in goal.items())
    return ", ".join(f"goal {text}: {'met' if met else 'NOT met'}" for text, met in told)


if __name__ == "__main__":
    main()
