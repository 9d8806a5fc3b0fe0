"""The two ends of the sizes, by replication.py: 200 people work and 40 are refused; 100,000 are projected.

Projection: `learn_weights` as the rule calls it, cross-fitting included, the streamed kernel forced, every run a
process of its own. CPU is taken as n (a + b m) of n people and m sites, memory as c + d n: three runs give a, b, c, d.
The alpha of the kernel is chosen on at most 2,000 people with dense kernels, measured apart and taken as e n^2 m, an
upper bound as a part goes with n^3. People over effective number of sites, on which the number of iterations depends,
is about 2, as it is of 100,000 people and a whole genome.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from replication_cohort import (
    ARCHITECTURES,
    make_truth,
    read_cohort,
    read_sites,
    simulate_people,
    traits_of,
    true_phenotypes,
)

from pseudocohort.errors import InputError
from pseudocohort.genetics.traits import Traits
from pseudocohort.genotypes import Genotypes, GenotypeWriter
from pseudocohort.weights.kernel import ALPHA_PEOPLE, choose_alpha
from pseudocohort.weights.learning import learn_weights

PEOPLE, SITES, TRAITS = 100_000, 1_000_000, 50
MEASURED = 2100
MISSING = 0.05
RELATED = 20  # one in so many people has a relative in the cohort


def print_small(folder: Path, methods) -> None:
    """Every method with 200 people, and the refusal of 40."""
    prefixes = simulate_people(folder, 100, 2)
    index = {name: row for row, name in enumerate(name for prefix in prefixes for name in read_sites(prefix)["id"])}
    for people in (200, 40):
        print(f"\n### {people} people\n")
        for architecture in ("polygenic", "binary"):
            cohort = read_cohort(prefixes, np.arange(people), index, np.random.default_rng(1))
            truth = make_truth(ARCHITECTURES[architecture], [cohort], 1)
            traits = traits_of(cohort, true_phenotypes(cohort, truth, 1, 0), truth)
            for method in methods:
                print(f"- {architecture}, {method}: {_attempt(cohort, traits, method)}")


def _attempt(cohort, traits: Traits, method: str) -> str:
    """What the report says, or the refusal."""
    try:
        learnt = learn_weights(
            cohort.prefixes, cohort.rows, traits, 1, {"method": method}, np.arange(len(traits.values))
        )
    except InputError as refusal:
        return f"refused: {' '.join(str(refusal).split())}"
    finite = all(np.isfinite(w.values).all() for w in learnt.weights.values())

    def mean(name):
        values = [entry[name] for entry in learnt.report if entry.get(name) is not None]
        return f"{np.mean(values):.2f} ({len(values)} traits)" if values else "not estimated"

    notes = {entry["note"] for entry in learnt.report if entry.get("note")}
    return (
        f"weights {'finite' if finite else '**not finite**'}; h2 {mean('h2')}, se {mean('h2_se')}, "
        f"hits {mean('hits')}, out-of-sample R2 {mean('crossfit_r2')}; notes: {'; '.join(sorted(notes)) or 'none'}"
    )


def print_projection(folder: Path) -> None:
    prefixes = simulate_people(folder / "all", MEASURED // 3, 8)
    half = _thinned(prefixes, folder / "half")
    runs = [
        _measured(prefixes, MEASURED, "weights"),
        _measured(half, MEASURED, "weights"),
        _measured(prefixes, MEASURED // 2, "weights"),
        _measured(prefixes, MEASURED, "alpha"),
    ]
    print("| run | people | sites | CPU s | peak GB | candidates a trait |\n|---|---|---|---|---|---|")
    for run in runs:
        print(
            f"| {run['what']} | {run['people']} | {run['sites']} | {run['cpu']:.1f} | {run['peak']:.2f} "
            f"| {run['candidates']:.0f} |"
        )
    whole, thin, few, alpha = runs
    b = max(whole["cpu"] - thin["cpu"], 0) / (whole["sites"] - thin["sites"]) / MEASURED
    a = max(whole["cpu"] / MEASURED - b * whole["sites"], 0)
    d = max(whole["peak"] - few["peak"], 0) / (whole["people"] - few["people"])
    c = whole["peak"] - d * MEASURED
    of_alpha = alpha["cpu"] / MEASURED**2 / alpha["sites"] * ALPHA_PEOPLE**2 * SITES
    streamed = PEOPLE * (a + b * SITES)
    print(
        f"\n{1e9 * b:.0f} ns a person x site for {TRAITS} traits, {1e3 * a:.2f} ms a person beside. "
        f"{PEOPLE:,} people x {SITES:,} sites x {TRAITS} traits: {(streamed + of_alpha) / 3600:.0f} CPU hours, "
        f"at most {of_alpha / 3600:.1f} of them for alpha; very roughly {c + d * PEOPLE:.0f} GB"
    )


def _thinned(prefixes, folder: Path) -> list:
    """The same people with every second site."""
    folder.mkdir(parents=True, exist_ok=True)
    out = [folder / Path(prefix).name for prefix in prefixes]
    for prefix, to in zip(prefixes, out, strict=True):
        with Genotypes(prefix) as genotypes:
            kept = np.arange(0, genotypes.n_sites, 2)
            alleles, sites = genotypes.haplotypes(0, genotypes.n_sites)[kept], genotypes.sites.iloc[kept]
            people = genotypes.people
        with GenotypeWriter(to, people["person"].to_numpy(), people["sex"].to_numpy(), len(kept)) as writer:
            writer.append(alleles, sites)
    return out


def _measured(prefixes, people: int, what: str) -> dict:
    """One run in a process of its own."""
    task = json.dumps({"prefixes": [str(p) for p in prefixes], "people": people, "what": what})
    program = Path(__file__).with_name("replication.py")
    one_thread = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # waiting threads would count as CPU
    command = [sys.executable, str(program), "--task", task]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=one_thread)
    return json.loads(done.stdout)


def run_task(task: str) -> None:
    """The measured part: 50 traits, a fifth of them binary, 5 % missing, cross-fitted by family; prints JSON."""
    prefixes, people, what = json.loads(task).values()
    index = {name: row for row, name in enumerate(name for prefix in prefixes for name in read_sites(prefix)["id"])}
    cohort = read_cohort(prefixes, np.arange(people), index, np.random.default_rng(1))
    traits = _fifty(cohort)
    cohort = cohort._replace(dosage=cohort.dosage[:0])
    before, began = _peak(), time.process_time()
    told = {"what": what, "people": people, "sites": len(index), "candidates": 0.0}
    if what == "alpha":
        covariates = np.column_stack([np.ones(people), traits.covariates])
        choose_alpha(prefixes, cohort.rows, covariates, np.nan_to_num(traits.values))
    else:
        settings = {"method": "draw", "dense_up_to": 0, "alpha": -1.0}
        related = np.arange(people) % RELATED == RELATED - 1  # each of the family of the person before
        family = np.arange(people) - related
        learnt = learn_weights(prefixes, cohort.rows, traits, 1, settings, family, ~related)
        told["candidates"] = float(np.mean([entry["candidates"] for entry in learnt.report]))
    print(json.dumps(told | {"cpu": time.process_time() - began, "peak": _peak(), "before": before}))


def _fifty(cohort) -> Traits:
    parts = []
    for seed, name in ((1, "polygenic"), (2, "sparse"), (3, "binary")):
        truth = make_truth(ARCHITECTURES[name], [cohort], seed)
        parts.append(traits_of(cohort, true_phenotypes(cohort, truth, seed, 0), truth))
    values = np.column_stack([part.values for part in parts])[:, :TRAITS]
    values[np.random.default_rng(1).random(values.shape) < MISSING] = np.nan
    kind = sum((part.kind for part in parts), ())[:TRAITS]
    return Traits(tuple(f"t{k}" for k in range(TRAITS)), kind, values, parts[0].covariates, parts[0].covariate_names)


def _peak() -> float:
    """GB; ru_maxrss would count the parent's, too."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1e6
