"""CPU seconds, memory and agreement of the association engine beside `plink2 --glm`, and of scores beside `--score`.

    python benchmarks/association.py [--people 5000] [--sites 50000] [--traits 20 200] [--missing 0 0.02] [--repeats 3]

Both read the same .pgen and test every site with every trait beside four covariates, with the same number of threads.
CPU seconds (user and system) are those of a whole process, medians of the repeats; "run" leaves out the start-up of
Python and its libraries. The first table's engine writes nothing (p is derived when asked for), plink2 its texts; the
second adds writing. Agreement is over all traits at all sites that both test: |d beta|/se and the difference of
log10 p over log10 p (over 0.1 where that is larger, for plink2 prints six digits). Measured, never asserted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

COVARIATES = 4
PLINK_SECONDS = 60.0  # plink2 is not run again once its runs took so long: minutes do not vary by chance
SIZE = {"people": 100_000, "sites": 10_000_000, "traits": 1000}  # what is projected


class Cost(NamedTuple):
    """Of a process: CPU and wall-clock seconds, peak memory (MiB), CPU seconds without start-up."""

    cpu: float
    wall: float
    memory: float
    run: float


def simulate(folder: Path, people: int, sites: int, traits: int, missing: list[float], seed: int) -> None:
    """Write chr1 and, in `small`, its first quarter, frequencies mostly low; traits of every missing rate; c.txt."""
    import pandas as pd

    from pseudocohort.genotypes import GenotypeWriter

    rng = np.random.default_rng(seed)
    person, sex = np.array([f"p{i}" for i in range(people)]), np.tile([1, 2], people)[:people]
    y, quarter = rng.normal(size=(people, traits)), sites // 4
    with (
        GenotypeWriter(folder / "chr1", person, sex, sites) as writer,
        GenotypeWriter(folder / "small" / "chr1", person, sex, quarter) as small,
    ):
        for start in range(0, sites, 2000):
            size = min(2000, sites - start)
            frequency = rng.beta(0.4, 1.2, size)[:, None]
            alleles = (rng.random((size, 2 * people), dtype=np.float32) < frequency).view(np.int8)
            place = np.arange(start, start + size)
            table = pd.DataFrame({"chrom": "1", "pos": 100 + 10 * place, "id": [f"s{i}" for i in place]})
            writer.append(alleles, table.assign(ref="A", alt="G"))
            kept = max(0, min(size, quarter - start))
            if kept:
                small.append(alleles[:kept], table.iloc[:kept].assign(ref="A", alt="G"))
            y += 0.2 * (alleles[0, 0::2] + alleles[0, 1::2])[:, None] * rng.normal(size=traits)
    covariates = rng.normal(size=(people, COVARIATES))
    y += covariates[:, :1]
    np.save(folder / "c.npy", covariates)
    pd.DataFrame(covariates, columns=list("abcd")).assign(IID=person)[["IID", *"abcd"]].to_csv(
        folder / "c.txt", sep="\t", index=False
    )
    names = [f"t{k}" for k in range(traits)]
    for share in missing:
        holed = np.where(rng.random(y.shape) < share, np.nan, y)
        np.save(folder / f"y{share}.npy", holed)
        pd.DataFrame(holed, columns=names).assign(IID=person)[["IID", *names]].to_csv(
            folder / f"y{share}.txt", sep="\t", index=False, na_rep="NA"
        )


def traits_of(folder: Path, missing: float, number: int):
    from pseudocohort.genetics.traits import Traits

    values, names = np.load(folder / f"y{missing}.npy")[:, :number], tuple(f"t{k}" for k in range(number))
    return Traits(names, ("linear",) * number, values, np.load(folder / "c.npy"))


def run_engine(folder: Path, missing: float, number: int, minimum: int, output: str) -> None:
    """What the timed process does; prints the CPU seconds of its start-up."""
    from pseudocohort.genetics.association import associate
    from pseudocohort.genetics.traits import Traits  # noqa: F401 - counted as start-up

    if output in ("text", "columnar"):
        from pseudocohort.genetics.results import write_association
    print(time.process_time())
    source = folder / "small" if output == "small" else folder
    traits = traits_of(folder, missing, number)
    blocks = associate([source / "chr1"], None, traits, minimum)
    if output in ("text", "columnar"):
        above = number if output == "text" else number - 1
        write_association(folder / output, blocks, traits.names, {}, columnar_above=above)
    else:
        for _ in blocks:
            pass


def run_scores(folder: Path, number: int) -> None:
    from pseudocohort.scores.scoring import score

    print(time.process_time())
    weights = {f"w{k}": folder / "weights" / f"w{k}.txt.gz" for k in range(number)}
    score([folder / "chr1"], None, weights).to_csv(folder / "scores.tsv", sep="\t", index=False)


def timed(command: list[str], threads: int) -> Cost:
    environment = dict(os.environ, OPENBLAS_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads))
    with tempfile.TemporaryFile() as told:
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=told, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        told.seek(0)
        text = told.read().decode()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{text}")
    cpu = usage.ru_utime + usage.ru_stime
    start = 0.0 if command[0] == "plink2" else float(text.split()[0])
    return Cost(cpu, wall, usage.ru_maxrss / 1024, cpu - start)


def aside(task, folder: Path, *rest):
    """Result of one of this script's functions in a process of its own: a child's peak memory, as Linux counts it,
    is at least that of the process that started it, so that one stays small."""
    command = [sys.executable, __file__, "--task", json.dumps([task.__name__, str(folder), *rest])]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def median(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))


def repeated(command: list[str], a, most: float = np.inf) -> Cost:
    """Median costs of the repeats, fewer when they take longer than `most` seconds together."""
    costs = []
    while len(costs) < a.repeats and sum(c.wall for c in costs) < most:
        costs.append(timed(command, a.threads))
    return median(costs)


def engine(folder: Path, a, missing: float, number: int, output: str) -> Cost:
    task = json.dumps([run_engine.__name__, str(folder), missing, number, a.minimum_count, output])
    return repeated([sys.executable, __file__, "--task", task], a)


def plink(folder: Path, a, missing: float, number: int) -> Cost:
    names = f"t0-t{number - 1}" if number > 1 else "t0"
    command = f"plink2 --threads {a.threads} --pfile {folder / 'chr1'} --pheno {folder / f'y{missing}.txt'}"
    command += f" --pheno-name {names} --covar {folder / 'c.txt'} --glm hide-covar omit-ref log10 cols=+beta"
    return repeated([*command.split(), "--mac", str(a.minimum_count), "--out", str(folder / "plink")], a, PLINK_SECONDS)


def agreement(folder: Path, missing: float, number: int, minimum: int) -> tuple[float, float, int]:
    """Largest |d beta|/se and relative difference of log10 p, over how many tests."""
    from pyarrow import csv

    from pseudocohort.genetics.association import associate

    worst, strange, tests = 0.0, 0.0, 0
    blocks = list(associate([folder / "chr1"], None, traits_of(folder, missing, number), minimum))
    rows = np.concatenate([b.sites.index for b in blocks])
    beta, log10p = (np.concatenate([getattr(b, f) for b in blocks]) for f in ("beta", "log10p"))
    options = csv.ConvertOptions(include_columns=["POS", "BETA", "SE", "LOG10_P"], null_values=["NA"])
    for k in range(number):
        table = csv.read_csv(
            folder / f"plink.t{k}.glm.linear", parse_options=csv.ParseOptions(delimiter="\t"), convert_options=options
        )
        place, theirs, error, strength = (table[c].to_numpy() for c in options.include_columns)
        here = np.searchsorted(rows, (place - 100) // 10)
        both = np.isfinite(theirs) & np.isfinite(beta[here, k])
        here, theirs, error, strength = here[both], theirs[both], error[both], strength[both]
        worst = max(worst, float((np.abs(beta[here, k] - theirs) / error).max()))
        strange = max(strange, float((np.abs(log10p[here, k] - strength) / np.maximum(strength, 0.1)).max()))
        tests += int(both.sum())
    return worst, strange, tests


def write_weights(folder: Path, sites: int, number: int, seed: int) -> None:
    """The same weights as PGS Catalog files and as plink2's table."""
    import pandas as pd

    values = np.random.default_rng(seed).normal(size=(sites, number))
    (folder / "weights").mkdir()
    names = [f"w{k}" for k in range(number)]
    place = 100 + 10 * np.arange(sites)
    for k, name in enumerate(names):
        table = pd.DataFrame({"chr_name": "1", "chr_position": place, "effect_allele": "G", "other_allele": "A"})
        table["effect_weight"] = values[:, k]
        head = f"###PGS CATALOG SCORING FILE\n#format_version=2.0\n#pgs_id={name}\n#genome_build=GRCh38\n"
        with pd.io.common.get_handle(folder / "weights" / f"{name}.txt.gz", "wt", compression="gzip") as handle:
            handle.handle.write(head)
            table.to_csv(handle.handle, sep="\t", index=False)
    pd.DataFrame(values, columns=names).assign(ID=[f"s{i}" for i in range(sites)], A1="G")[["ID", "A1", *names]].to_csv(
        folder / "w.txt", sep="\t", index=False
    )


def compare_scores(folder: Path, number: int) -> float:
    """Largest difference of a score from plink2's, in standard deviations; scores have no natural origin."""
    import pandas as pd

    expected = pd.read_csv(folder / "score.sscore", sep="\t")[[f"w{k}_SUM" for k in range(number)]].to_numpy()
    got = pd.read_csv(folder / "scores.tsv", sep="\t")[[f"w{k}" for k in range(number)]].to_numpy()
    error = np.abs((got - got.mean(axis=0)) - (expected - expected.mean(axis=0))).max(axis=0) / expected.std(axis=0)
    return float(error.max())


def score_row(folder: Path, a) -> None:
    number = 20
    aside(write_weights, folder, a.sites, number, 7)
    task = json.dumps([run_scores.__name__, str(folder), number])
    mine = repeated([sys.executable, __file__, "--task", task], a)
    command = f"plink2 --threads {a.threads} --pfile {folder / 'chr1'} --out {folder / 'score'} --score"
    command += f" {folder / 'w.txt'} 1 2 header-read cols=+scoresums --score-col-nums 3-{number + 2}"
    theirs = repeated(command.split(), a)
    error = aside(compare_scores, folder, number)
    print(f"\n{number} scores of {a.people} people x {a.sites} sites, their files read")
    print(
        "| engine CPU s | run | plink2 CPU s | ratio | run ratio | engine MiB | plink2 MiB | largest difference, SD |"
    )
    print("|---|---|---|---|---|---|---|---|")
    print(
        f"| {mine.cpu:.2f} | {mine.run:.2f} | {theirs.cpu:.2f} | {mine.cpu / theirs.cpu:.2f} "
        f"| {mine.run / theirs.cpu:.2f} | {mine.memory:.0f} | {theirs.memory:.0f} | {error:.0e} |",
        flush=True,
    )


def glm_table(folder: Path, a) -> dict[tuple[int, float], Cost]:
    """Print the engine beside plink2; returns the engine's costs by traits and missing rate."""
    print(f"{a.people} people x {a.sites} sites, minor allele count >= {a.minimum_count}, {a.threads} threads")
    print(
        "| traits | missing | engine CPU s | run | plink2 CPU s | ratio | run ratio | wall | plink2 wall | MiB "
        "| plink2 MiB | d beta/se | log10 p rel. | tests |"
    )
    print("|" + "---|" * 14)
    costs = {}
    for number in a.traits:
        for missing in a.missing:
            mine = costs[number, missing] = engine(folder, a, missing, number, "none")
            theirs = plink(folder, a, missing, number)
            beta, log10p, tests = aside(agreement, folder, missing, number, a.minimum_count)
            print(
                f"| {number} | {missing:.0%} | {mine.cpu:.2f} | {mine.run:.2f} | {theirs.cpu:.2f} "
                f"| {mine.cpu / theirs.cpu:.2f} | {mine.run / theirs.cpu:.2f} | {mine.wall:.1f} | {theirs.wall:.1f} "
                f"| {mine.memory:.0f} | {theirs.memory:.0f} | {beta:.0e} | {log10p:.0e} | {tests} |",
                flush=True,
            )
    return costs


def writing_table(folder: Path, a) -> None:
    number, once = max(a.traits), argparse.Namespace(**{**vars(a), "repeats": 1})  # it takes long and varies little
    print(f"\nWriting included, {number} traits (text: bgzipped and indexed, p computed; columnar: p derived later)")
    print("| missing | text CPU s | wall | MiB | MB written | columnar CPU s | wall | MiB | MB written |")
    print("|" + "---|" * 9)
    for missing in a.missing:
        cells = []
        for output in ("text", "columnar"):
            cost = engine(folder, once, missing, number, output)
            size = sum(p.stat().st_size for p in (folder / output).rglob("*") if p.is_file()) / 1e6
            cells.append(f"{cost.cpu:.1f} | {cost.wall:.1f} | {cost.memory:.0f} | {size:.0f}")
        print(f"| {missing:.0%} | {' | '.join(cells)} |", flush=True)


def projection(a, costs: dict[tuple[int, float], Cost]) -> None:
    """CPU hours and bytes at the design size, from costs a site and person and a site, person and trait."""
    few, many = min(a.traits), max(a.traits)
    pairs = float(a.people) * a.sites
    people, sites, traits = SIZE.values()
    print(f"\nProjected to {people} people x {sites} sites x {traits} traits")
    print("| missing | ns a site and person | ns a site, person and trait | CPU hours |")
    print("|---|---|---|---|")
    for missing in a.missing:
        slope = (costs[many, missing].run - costs[few, missing].run) / (pairs * (many - few))
        level = max(costs[few, missing].run / pairs - slope * few, 0)
        hours = people * sites * (level + slope * traits) / 3600
        print(f"| {missing:.0%} | {level * 1e9:.2f} | {slope * 1e9:.4f} | {hours:.1f} |")
    print(f"results: {sites * traits * 8 / 1e9:.0f} GB before compression (beta and se in float32)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=5000)
    parser.add_argument("--sites", type=int, default=50_000)
    parser.add_argument("--traits", type=int, nargs="+", default=[20, 200])
    parser.add_argument("--missing", type=float, nargs="+", default=[0.0, 0.02])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of both programs; waiting threads of BLAS burn CPU")
    parser.add_argument("--minimum-count", type=int, default=20)
    parser.add_argument("--task", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.task:
        task, folder, *rest = json.loads(a.task)
        print(json.dumps(globals()[task](Path(folder), *rest)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        aside(simulate, folder, a.people, a.sites, max(a.traits), a.missing, 1)
        costs = glm_table(folder, a)
        writing_table(folder, a)
        score_row(folder, a)
        few = min(a.traits)
        small, whole = (engine(folder, a, a.missing[0], few, output).memory for output in ("small", "none"))
        print(f"\nPeak memory with {few} traits: {small:.0f} MiB at {a.sites // 4} sites, {whole:.0f} at {a.sites}")
        projection(a, costs)


if __name__ == "__main__":
    main()
