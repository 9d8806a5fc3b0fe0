"""What the evaluation costs: CPU and wall-clock seconds and peak memory by part, by people, sites and items.

    python benchmarks/evaluation.py [--quick] [--cores 1] [--keep FOLDER] [PEOPLExSITES ...]

Each size is a whole run of the workflow on a demo cohort of PEOPLE real and as many pseudo people, with SITES on each
of three autosomes and half as many on X, in a folder of its own. What comes before the evaluation is the cheap kind
(weights by clumping and thresholding, items drawn from their marginals): the evaluation's work does not depend on it.
A part is the processes of its rules; each is watched through /proc until it ends, so that start-up of Python is in and
Snakemake itself is out, CPU seconds are short by one look (LOOK) at most, and memory is the kernel's own high-water
mark. `analyses` are what evaluation needs made alike of every cohort: association, hits, LD scores.

reading: every genotype of both cohorts by pgenlib in blocks of 1,000 sites, the floor of anything that looks at all of
them; the genome parts look at a stated sample of sites and people, so they pass below it as sites grow.

The items are measured apart, on `phenotype_scale.generated` tables, because the demo has 40 of them.

Printed: tables, then a projection to 100,000 people x 10,000,000 sites x 1,000 items, which is no measurement. Seconds
and memory are fitted as sums of a constant, people, sites and people x sites (items: people x items, items^2, people x
items^2), none negative, and taken to 22 chromosomes of which a sample is looked at (SAMPLE sites each), or to all sites
and all traits where every result is read (PER_TRAIT: seconds go with traits; memory does not, one is read at a time).
What looks at CAPS people at most is projected to so many. It is an upper bound where the program looks at no more than
some number of people or columns (items, relatedness).
"""

import argparse
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "benchmarks")]

SIZES, QUICK = ("1000x10000", "4000x10000", "16000x10000", "4000x2500"), ("400x1000", "1600x1000", "400x4000")
ITEM_SIZES, QUICK_ITEMS = ("2000x60", "8000x60", "2000x240", "2000x480"), ("600x40", "1200x40", "600x80")
CONFIG = {
    "weights": "ct", "model": "marginal", "calibrate": False, "compare_models": [], "people": None, "generations": 10,
}  # fmt: skip
PARTS = {
    "genomes": ("evaluate_genomes",),
    "relatedness": ("evaluate_relatedness",),
    "items": ("evaluate_items",),
    "associations": ("evaluate_associations", "evaluate_prs", "association_table"),
    "heritability": ("heritability",),
    "summary, figures, page": ("summary", "report_page", "figures_[a-z_]+"),
    "analyses": ("association", "hits", "ld_scores"),
}
TABLES = ("people", "real", "pseudo", "baseline", "real_scores", "pseudo_scores")  # of the rule evaluate_items
EVALUATION = [part for part in PARTS if part != "analyses"]
SCRIPT = re.compile(r"\.snakemake/scripts/tmp[^/]*\.([a-z_]+)\.py")
TICK = os.sysconf("SC_CLK_TCK")
LOOK = 0.05  # seconds between two looks
TARGET = {"people": 100_000, "sites": 10_000_000, "items": 1000}
CHROMOSOMES = 22
FEWEST_SIZES = 3  # with fewer, what is constant and what grows cannot be told apart
CAPS = {"items": 20_000, "heritability": 20_000}  # people of a group that are looked at, however many there are
PER_TRAIT, DEMO_TRAITS = ("associations", "heritability"), 35
SAMPLE = 20_000  # sites of a chromosome that evaluate_genomes compares at most


def configuration(people: int, sites: int) -> dict:
    """The demo's configuration at a size."""
    given = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8")) | CONFIG
    return given | {"demo": given["demo"] | {"people": people, "sites": sites}}


def watched(command: list, folder: Path) -> dict[str, dict[str, float]]:
    """Run the command; {script: {cpu, wall, memory}} of all rules' scripts below it, sums over jobs, MiB at most."""
    with open(folder / "snakemake.log", "w") as log:
        process = subprocess.Popen([str(c) for c in command], stdout=log, stderr=log, cwd=ROOT, env=_environment())
        seen: dict[str, tuple[str, float, float, float, float]] = {}
        while process.poll() is None:
            for pid in _below(str(process.pid)):
                _look(pid, seen)
            time.sleep(LOOK)
    if process.returncode:
        raise RuntimeError((folder / "snakemake.log").read_text()[-4000:])
    found: dict[str, dict[str, float]] = {}
    for name, cpu, first, last, memory in seen.values():
        row = found.setdefault(name, {"cpu": 0.0, "wall": 0.0, "memory": 0.0})
        row["cpu"], row["wall"] = row["cpu"] + cpu, row["wall"] + last - first
        row["memory"] = max(row["memory"], memory)
    return found


def _below(pid: str) -> list[str]:
    """Processes that descend from one."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found += Path(f"/proc/{pid}/task/{task}/children").read_text().split()
    except OSError:  # it has ended
        pass
    return found + [further for child in found for further in _below(child)]


def _look(pid: str, seen: dict) -> None:
    """Note name, CPU seconds, first and last time, and high-water mark of a process if it is a rule's script."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        name = next((m[1] for w in words[1:] if (m := SCRIPT.search(w))), None)
        if name is None or words[0].endswith("sh"):  # the shell that starts it
            return
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:  # it has ended
        return
    if peak is None:
        return
    now, key = time.monotonic(), f"{pid} {fields[19]}"  # with the start time: numbers of processes come again
    first = seen[key][2] if key in seen else now
    seen[key] = (name, sum(map(int, fields[11:15])) / TICK, first, now, int(peak[1]) / 1024)


def _environment() -> dict:
    return os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": ""}


def measure(size: str, folder: Path, cores: int) -> list[dict]:
    """Rows of all parts at a size: part, people, sites, CPU s, wall s, peak MiB, ratio to reading."""
    people, sites = map(int, size.split("x"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration(people, sites)))
    command = [sys.executable, "-m", "snakemake", "--cores", cores, "--directory", folder, "--snakefile"]
    command += [ROOT / "workflow/Snakefile", "--configfile", folder / "config.yaml"]
    kept = folder / "costs.json"
    costs = (json.loads(kept.read_text()) if kept.exists() else {}) | watched(command, folder)
    kept.write_text(json.dumps(costs))
    read, total = reading(folder)
    rows = [{"part": "reading", "people": people, "sites": total} | read]
    for part, rules in PARTS.items():
        mine = [cost for name, cost in costs.items() if any(re.fullmatch(rule, name) for rule in rules)]
        if mine:
            sums = {k: sum(cost[k] for cost in mine) for k in ("cpu", "wall")}
            rows.append({"part": part, "people": people, "sites": total} | sums)
            rows[-1]["memory"] = max(cost["memory"] for cost in mine)
    return [row | {"ratio": row["cpu"] / read["cpu"]} for row in rows]


def reading(folder: Path) -> tuple[dict[str, float], int]:
    """Cost of reading every genotype in a process of its own, start-up left out; and the number of real sites."""
    told = subprocess.run([sys.executable, __file__, "--read", folder], check=True, capture_output=True, text=True)
    found = json.loads(told.stdout)
    return {k: found[k] for k in ("cpu", "wall", "memory")}, found["sites"]


def read_all(folder: Path) -> dict:
    """Read all genotypes of the real and the pseudo people as dosages of one byte."""
    import resource

    import pgenlib

    started, clock, sites = time.process_time(), time.monotonic(), 0
    for cohort in ("real", "synthetic"):
        for path in sorted((folder / f"results/{cohort}/genotypes").glob("*.pgen")):
            with open(path.with_suffix(".psam")) as psam:
                people = sum(1 for line in psam if not line.startswith("#"))
            with pgenlib.PgenReader(os.fsencode(path), raw_sample_ct=people) as file:
                count = file.get_variant_ct()
                for start in range(0, count, 1000):
                    block = np.empty((min(1000, count - start), people), dtype=np.int8)
                    file.read_range(start, start + len(block), block)
            sites += count if cohort == "real" else 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cost = {"cpu": time.process_time() - started, "wall": time.monotonic() - clock, "memory": peak}
    return cost | {"sites": sites}


def measure_items(size: str) -> dict:
    """The row of evaluate_items on made tables, read as the rule's script reads them, in this process."""
    import resource

    from phenotype_scale import generated

    from pseudocohort.evaluation.items import evaluate_items
    from pseudocohort.evaluation.tables import sampled
    from pseudocohort.files import number_of_rows, read_rows

    n, items = map(int, size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        made = multiprocessing.get_context("spawn").Process(target=make_tables, args=(n, items, folder))
        made.start()  # in a process of its own, whose memory does not count
        made.join()
        dictionary = generated(20, items, 1)[3]
        started, clock = time.process_time(), time.monotonic()
        paths = [f"{folder}/{name}.parquet" for name in TABLES]
        part = pd.read_parquet(paths[0], columns=["part"])["part"].to_numpy(dtype=str)
        real, pseudo = sampled(part, number_of_rows(paths[2]), 1)
        rows = (real, real, pseudo, pseudo, real, pseudo)
        tables = [read_rows(path, some) for path, some in zip(paths, rows, strict=True)]
        evaluate_items(*tables, dictionary, 1)
    cost = {"cpu": time.process_time() - started, "wall": time.monotonic() - clock}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"part": "items", "people": n, "items": items} | cost | {"memory": peak}


def make_tables(n: int, items: int, folder: str) -> None:
    """Write people, items and scores of so many real people, pseudo people and their baseline."""
    from phenotype_scale import generated

    table, people, scores, _ = generated(2 * n, items, 1)
    people["part"] = np.array(["A", "B", *["train"] * 8])[np.unique(people["family"], return_inverse=True)[1] % 10]
    people["person"] = scores["person"] = [f"P{i}" for i in range(2 * n)]
    real, pseudo = table.iloc[:n].reset_index(drop=True), table.iloc[n:].reset_index(drop=True)
    front = people.iloc[n:].reset_index(drop=True)
    front["sex"] = np.where(front["sex"] == 1, "male", "female")
    rng = np.random.default_rng(2)
    base = pd.DataFrame({name: pseudo[name].to_numpy()[rng.permutation(n)] for name in pseudo})
    halves = (scores.iloc[:n].reset_index(drop=True), scores.iloc[n:].reset_index(drop=True))
    tables = (people.iloc[:n], real.assign(person=people["person"][:n]), *_framed(front, pseudo, base), *halves)
    for name, frame in zip(TABLES, tables, strict=True):
        frame.to_parquet(f"{folder}/{name}.parquet", index=False)


def _framed(front: pd.DataFrame, *tables: pd.DataFrame) -> list[pd.DataFrame]:
    return [pd.concat([front[["person", "sex", "stratum"]], table], axis=1) for table in tables]


def markdown(rows: list[dict]) -> str:
    """A markdown table."""
    names = {"cpu": "CPU s", "wall": "wall s", "memory": "peak MiB", "ratio": "CPU / reading"}
    forms = {"cpu": ".2f", "wall": ".2f", "memory": ".0f", "ratio": ".1f", "people": ",", "sites": ",", "items": ","}
    lines = ["| " + " | ".join(names.get(k, k) for k in rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(format(v, forms.get(k, "")) for k, v in row.items()) + " |" for row in rows]
    return "\n".join(lines)


def fitted(rows: list[dict], of: str, terms, target: np.ndarray) -> float:
    """Cost at the target: least squares on the terms (sizes, terms), none of which takes anything away."""
    from scipy.optimize import nnls

    design = np.array([terms(row) for row in rows], dtype=float)
    scale = design.max(axis=0)
    weights = 1 / np.array([row[of] for row in rows])  # relative errors
    found = nnls(design / scale * weights[:, None], np.ones(len(rows)))[0]
    return float(target / scale @ found)


def by_sites(row: dict) -> np.ndarray:
    people, sites = row["people"], row["sites"]
    return np.array([1, people, sites, people * sites])


def by_items(row: dict) -> np.ndarray:
    people, items = row["people"], row["items"]
    return np.array([1, people * items, items**2, people * items**2])


def project(rows: list[dict], item_rows: list[dict]) -> str:
    """The projection as lines of text."""
    lines = ["\nProjected (not measured) to {people:,} people x {sites:,} sites x {items:,} items".format(**TARGET)]
    lines += ["| part | CPU h | GiB |", "|---|---|---|"]
    for part in EVALUATION:
        mine = item_rows if part == "items" else [row for row in rows if row["part"] == part]
        if len(mine) < FEWEST_SIZES:
            lines.append(f"| {part} | too few sizes | |")
            continue
        sites = TARGET["sites"] if part in PER_TRAIT else SAMPLE * CHROMOSOMES
        target = TARGET | {"sites": sites, "people": min(TARGET["people"], CAPS.get(part, TARGET["people"]))}
        terms = by_items if part == "items" else by_sites
        cpu, memory = (fitted(mine, of, terms, terms(target)) for of in ("cpu", "memory"))
        times = TARGET["items"] / DEMO_TRAITS if part in PER_TRAIT else 1
        lines.append(f"| {part} | {cpu * times / 3600:.2f} | {memory / 1024:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", help="as 4000x10000")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for the runs, kept; what is finished there is not run again")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--items", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read or options.items:
        print(json.dumps(read_all(options.read) if options.read else measure_items(options.items)))
        return
    work, rows = options.keep or Path(tempfile.mkdtemp()), []
    for size in options.sizes or (QUICK if options.quick else SIZES):
        rows += measure(size, work.resolve() / size, options.cores)
        print(markdown([row for row in rows if row["part"] != "reading"][-len(PARTS) :]), flush=True)
        if not options.keep:
            shutil.rmtree(work / size)
    item_rows = []
    for size in QUICK_ITEMS if options.quick else ITEM_SIZES:
        command = [sys.executable, __file__, "--items", size]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=_environment())
        item_rows.append(json.loads(done.stdout.splitlines()[-1]))
    print("\nAll sizes, by part\n" + markdown(sorted(rows, key=lambda row: [*PARTS, "reading"].index(row["part"]))))
    print("\nItems apart\n" + markdown(item_rows))
    print(project(rows, item_rows))


if __name__ == "__main__":
    main()
