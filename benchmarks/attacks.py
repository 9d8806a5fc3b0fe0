"""CPU and wall seconds and peak memory of the attacks on genomes, by attack and size, beside one pass over the panels.

    python benchmarks/attacks.py [--quick] [TARGETSxPSEUDOxSITES ...]

Targets, pseudo people and a reference panel as large as the pseudo cohort are mosaics (segments of 1 cM in the mean) of
simulated people (disclosure_cohort.py), so that matches are as long as those of a cohort of any size; sites are thinned
evenly over 20 cM, rare ones with the others. Every attack runs in a process of its own: what it needs beyond the packed
haplotypes is its own. The floor is one unpacking of every allele of both panels and one gather, as any program must do
that reads haplotypes in some order. Measured, never asserted.
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

from pseudocohort.disclosure import genomes, hmm, learned, matching, nearest, packed, pbwt, windows

SIZES, QUICK = ("500x1000x10000", "2000x10000x10000"), ("200x500x2000",)
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


def work(part: str, targets, pseudo, reference, cm) -> None:
    """One attack over both panels; `before` is what it builds on and is not counted."""
    panels = (pseudo, reference)
    if part in ("stitching", "hmm"):
        own = packed.words(targets)
        before = [(pbwt.set_maximal_matches(p, targets), own, packed.words(p)) for p in panels]
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
        for matches, own, words in before:
            matching.stitched_lengths(matches, own, words, cm)
            matching.longest_over(matches, cm[matches.last] - cm[matches.first], cm, targets.number)
    elif part == "hmm":
        for matches, own, words in before:
            hmm.log_likelihood(matches, own, words, cm)
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
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    sizes = given.sizes or (QUICK if given.quick else SIZES)
    if given.part:
        work(given.part, *load(sizes[0]))
        return
    print("| targets x pseudo people x sites | part | CPU s | wall s | peak MB | to the floor |")
    print("|---|---|---|---|---|---|")
    for size in sizes:
        prepare(size)
        floor = None
        for part in PARTS:
            run = subprocess.run(
                [sys.executable, __file__, size, "--part", part], capture_output=True, text=True, check=True
            )
            found = json.loads(run.stdout)
            floor = floor or found["cpu"]
            row = f"{found['cpu']:.1f} | {found['wall']:.1f} | {found['peak']:.0f} | {found['cpu'] / floor:.1f}"
            print(f"| {size} | {part} | {row} |", flush=True)


if __name__ == "__main__":
    main()
