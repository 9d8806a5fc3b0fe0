"""CPU and wall seconds and peak memory of the attacks on genomes, by attack and size, beside one pass over the panels.

    python benchmarks/attacks.py [--quick] [--growth] [TARGETSxPSEUDOxSITES ...]

Targets, pseudo people and a reference panel as large as the pseudo cohort are mosaics (segments of 1 cM in the mean) of
simulated people (disclosure_cohort.py), so that matches are as long as those of a cohort of any size; sites are thinned
evenly over 20 cM, rare ones with the others. Every attack runs in a process of its own: what it needs beyond the packed
haplotypes is its own. The floor is one unpacking of every allele of both panels and one gather, as any program must do
that reads haplotypes in some order. Measured, never asserted.

--growth: all attacks, and copies of as many founders as there are pseudo people, with the panels in files and read in
batches as the workflow does it, beside the same with the panels in memory at once; a reference panel of 1,000 people.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from disclosure_cohort import OUT, load_panels

from pseudocohort.disclosure import genome_attacks, genomes, hmm, learned, matching, nearest, packed, pbwt, windows
from pseudocohort.disclosure.panels import Panels

SIZES, QUICK = ("500x1000x10000", "2000x10000x10000"), ("200x500x2000",)
GROWTH = tuple(f"500x{people}x2000" for people in (5000, 10_000, 20_000, 40_000)) + tuple(
    f"500x{people}x20000" for people in (5000, 10_000, 20_000, 40_000)
)
GROWN = ("attacks", "copies")
FEW = 2000  # haplotypes of the reference panel where others grow
PARTS = ("floor", "matches", "stitching", "hmm", "windows", "alleles", "nearest", "learned", "all")


def mosaics(pool: np.ndarray, cm: np.ndarray, people: int, rng: np.random.Generator) -> packed.Packed:
    """Haplotypes copied from the pool's, another one after 1 cM in the mean; in blocks of sites."""
    number, spacing = 2 * people, np.diff(cm, prepend=cm[0])
    copied = rng.integers(pool.shape[1], size=number)
    rows = np.empty((len(cm), -(-number // 8)), dtype=np.uint8)
    for site in range(len(cm)):
        change = rng.random(number) < -np.expm1(-spacing[site])
        copied[change] = rng.integers(pool.shape[1], size=change.sum())
        rows[site] = np.packbits(pool[site].take(copied), bitorder="little")
    return packed.Packed(rows, number)


def prepare(size: str) -> Path:
    """Packed targets, pseudo cohort, reference panel and map of a size, made once."""
    path = OUT / f"attacks_{size}.npz"
    if not path.exists():
        targets, pseudo, sites = map(int, size.split("x"))
        panels, rng = load_panels(500, minimum=1), np.random.default_rng(1)
        at = np.linspace(0, len(panels.cm) - 1, sites).astype(int)
        cm = panels.cm[at]
        pools = {"targets": panels.members, "pseudo": panels.members, "reference": panels.reference}
        made = {
            name: mosaics(pool[at], cm, targets if name == "targets" else pseudo, rng) for name, pool in pools.items()
        }
        np.savez(path, cm=cm, **{name: p.rows for name, p in made.items()})
    return path


def load(size: str) -> tuple[packed.Packed, packed.Packed, packed.Packed, np.ndarray]:
    targets, pseudo, _ = map(int, size.split("x"))
    with np.load(prepare(size)) as file:
        people = {"targets": targets, "pseudo": pseudo, "reference": pseudo}
        panels = [packed.Packed(file[name], 2 * number) for name, number in people.items()]
        return *panels, file["cm"]


def grown(part: str, size: str, filed: bool) -> None:
    """All attacks, or the copies, of panels in files or in memory; targets and reference panel are in memory."""
    targets, pseudo, sites = map(int, size.split("x"))
    with np.load(prepare(size)) as file:
        cm, members, reference = file["cm"], packed.Packed(file["targets"], 2 * targets), file["reference"]
        known = packed.Packed(np.ascontiguousarray(reference[:, : FEW // 8]), FEW)
        made, founders = (packed.Packed(rows, 2 * pseudo) for rows in (file["pseudo"], reference))
    if filed:
        made, founders = in_file(made), in_file(founders)
    del reference
    reset_peak()
    clock = (time.process_time(), time.perf_counter())
    if part == "attacks":
        genomes.statistics(members, made, known, cm)
    else:
        panels = Panels(founders, *[members] * 3, known, made, made, cm, sites, sites)
        genome_attacks.copies(panels)
    cpu, wall = time.process_time() - clock[0], time.perf_counter() - clock[1]
    print(json.dumps({"cpu": cpu, "wall": wall, "peak": peak_memory()}))


def in_file(panel: packed.Packed) -> packed.Packed:
    rows = packed.Filed(None, len(panel.rows), panel.number)
    for low in range(0, len(panel.rows), packed.SITES_AT_ONCE):
        rows.write(low, panel.rows[low : low + packed.SITES_AT_ONCE])
    return packed.Packed(rows, panel.number)


def reset_peak() -> None:
    """The peak is counted from here on: without what was held while the panels were made."""
    Path("/proc/self/clear_refs").write_text("5")


def growth(sizes: list[str]) -> None:
    heads = ("CPU s", "of one batch", "peak MB", "of one batch")
    print(f"| targets x pseudo people x sites | part | {' | '.join(heads)} |")
    print("|---|---|---|---|---|---|")
    for size in sizes:
        prepare(size)
        for part in GROWN:
            filed, whole = (measured(size, "--part", part, *more) for more in (["--filed"], []))
            row = [f"{filed['cpu']:.0f}", f"{filed['cpu'] / whole['cpu']:.2f}"]
            row += [f"{filed['peak']:.0f}", f"{filed['peak'] / whole['peak']:.2f}"]
            print(f"| {size} | {part} | {' | '.join(row)} |", flush=True)


def measured(*arguments: str) -> dict:
    run = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def work(part: str, targets, pseudo, reference, cm) -> None:
    """One attack over both panels; `before` is what it builds on and is not counted."""
    panels = (pseudo, reference)
    if part in ("stitching", "hmm"):
        own = packed.words(targets)
        before = [(pbwt.set_maximal_matches(p, targets), own, p) for p in panels]
    clock = (time.process_time(), time.perf_counter())
    if part == "floor":
        order = np.random.default_rng(1).permutation(pseudo.number)
        for panel in panels:
            for block in panel.blocks():
                for alleles in block:
                    alleles.take(order, mode="clip")
    elif part == "matches":
        for panel in panels:
            pbwt.set_maximal_matches(panel, targets)
    elif part == "stitching":
        for matches, own, panel in before:
            matching.stitched_lengths(matches, own, panel, cm)
            matching.longest_over(matches, cm[matches.last] - cm[matches.first], cm, targets.number)
    elif part == "hmm":
        for matches, own, panel in before:
            hmm.log_likelihood(matches, own, panel, cm)
    elif part == "windows":
        windows.window_sums(targets, pseudo, reference, cm)
    elif part == "alleles":
        genomes.allele_sums(targets, pseudo, reference)
    elif part == "nearest":
        for panel in panels:
            nearest.nearest_distance(targets, panel)
    elif part == "learned":
        learned.cells(targets, pseudo, reference, cm)
    else:
        genomes.statistics(targets, pseudo, reference, cm)
    cpu, wall = time.process_time() - clock[0], time.perf_counter() - clock[1]
    print(json.dumps({"cpu": cpu, "wall": wall, "peak": peak_memory()}))


def peak_memory() -> float:
    """MB; ru_maxrss would count the parent's, too."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--growth", action="store_true", help="cost by the number of pseudo people")
    parser.add_argument("--part", choices=(*PARTS, *GROWN), help=argparse.SUPPRESS)
    parser.add_argument("--filed", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    sizes = given.sizes or (QUICK if given.quick else GROWTH if given.growth else SIZES)
    if given.part in GROWN:
        grown(given.part, sizes[0], given.filed)
        return
    if given.part:
        work(given.part, *load(sizes[0]))
        return
    if given.growth:
        growth(sizes)
        return
    print("| targets x pseudo people x sites | part | CPU s | wall s | peak MB | to the floor |")
    print("|---|---|---|---|---|---|")
    for size in sizes:
        prepare(size)
        floor = None
        for part in PARTS:
            found = measured(size, "--part", part)
            floor = floor or found["cpu"]
            row = f"{found['cpu']:.1f} | {found['wall']:.1f} | {found['peak']:.0f} | {found['cpu'] / floor:.1f}"
            print(f"| {size} | {part} | {row} |", flush=True)


if __name__ == "__main__":
    main()
