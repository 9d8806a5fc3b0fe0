"""Time and memory of the phenotype network by people and items, on generated data, and the projection to a biobank.

    python benchmarks/phenotype_scale.py [--quick] [--no-sample] [PEOPLExITEMS ...]

Each size runs in a process of its own: encode, grow the forest, train for two epochs (the second is measured; every
epoch costs the same, so the whole training is epochs x that), sample with calibration. Data: a factor model of mixed
items (half continuous, a quarter binary, the rest ordinal, nominal and counts) in panels of 25 missing together.
Seconds are CPU seconds. Printed: a markdown table, then a projection to 100,000 x 1,000:
  CPU     floating-point operations of the training counted from the shapes (`operations`), at the rate measured here
          at the largest size; encoding by people x items, the forest by people (PEOPLE at most) x atoms x columns that
          are compared, sampling with calibration by people x atoms^2;
  GPU     the operations at ASSUMED_FLOPS and the bytes (`traffic`) at ASSUMED_BYTES, which were not measured;
  memory  18 bytes a person and atom in numpy (low, high, score, guess float32, dense, active bool) beside the table
          itself; on the device six arrays of the parameters, blocks of data and a batch's activations.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from pseudocohort.cohort.dictionary import Dictionary, Item

SIZES, QUICK = ("2000x1000", "4000x1000", "8000x250"), ("500x60", "1000x60")
PANEL, FACTORS, SCORES = 25, 12, 20
ASSUMED_FLOPS, ASSUMED_BYTES = 20e12, 1.5e12  # sustained float32 of an 80 GB data-centre GPU; its memory traffic
HIDDEN, LATENT = 64, 4


def generated(n: int, items: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, Dictionary]:
    """(items and age, people, scores, dictionary) of a factor model; panels of 25 items are missing for up to 40 %."""
    random = np.random.default_rng(seed)
    scores = pd.DataFrame(random.normal(size=(n, SCORES)), columns=[f"i{j}" for j in range(SCORES)])
    age, sex = random.integers(30, 80, n).astype(float), random.integers(1, 3, n)
    factors = np.column_stack([random.normal(size=(n, FACTORS)), (age - 55) / 15, sex - 1.5])
    loading = random.normal(size=(FACTORS + 2, items)) * random.choice([0.0, 0.35], (FACTORS + 2, items))
    table, rows = {"age": age}, [Item("age", "continuous", role="age", decimals=0)]
    for j in range(items):
        value = factors @ loading[:, j] + random.normal(size=n) * 0.7 + (0.3 * scores[f"i{j}"] if j < SCORES else 0)
        if j % PANEL == 0:
            absent = factors[:, 0] + random.normal(size=n) > random.uniform(0.5, 3)
        column, item = _item(f"i{j}", j, np.asarray(value), random)
        table[item.name] = column.mask(absent)
        rows.append(item)
    people = pd.DataFrame({"sex": sex, "stratum": "all", "family": (np.arange(n) // 2).astype(str)})
    return pd.DataFrame(table), people, scores, Dictionary(tuple(rows))


def _item(name: str, j: int, value: np.ndarray, random) -> tuple[pd.Series, Item]:
    kind = ("continuous", "binary", "continuous", "ordinal", "continuous", "binary", "continuous", "count")[j % 8]
    kind = "nominal" if j % 16 == 11 else kind
    if kind == "continuous":
        return pd.Series(np.round(np.exp(value / 2), 2)), Item(name, kind)
    if kind == "count":
        return pd.Series(np.floor(np.exp(value)).clip(0, 60)), Item(name, kind)
    cuts = {"binary": [0.8], "ordinal": [-1.0, 0.2, 1.2], "nominal": [-0.3, 0.9]}[kind]
    codes = tuple("0123"[: len(cuts) + 1])
    return pd.Series(np.array(codes)[np.digitize(value, cuts)], dtype=object), Item(name, kind, categories=codes)


def measure(size: str, sample: bool) -> dict:
    """The row of one size; CPU seconds, MiB."""
    n, items = map(int, size.split("x"))
    from pseudocohort.phenotype import fitting, forest, search
    from pseudocohort.phenotype.common import fit_common
    from pseudocohort.phenotype.model_files import PhenotypeModel
    from pseudocohort.phenotype.sampling import sample_people
    from pseudocohort.phenotype.settings import Settings, plan_size

    table, people, scores, dictionary = generated(n, items, 1)
    clock = [time.process_time()]
    common, data, c = fit_common(table, people, scores, dictionary)
    clock.append(time.process_time())
    trees, guess = forest.grow_forest(data, c, people["family"].to_numpy(), 1)
    data = data._replace(guess=guess)
    clock.append(time.process_time())
    settings, held = Settings(epochs=2, batch=plan_size(n, Settings())[1]), np.arange(n) < n // 10
    shape = search.make_shape(common.encoding, c.shape[1], settings)
    job = fitting.make_job(data, c, held, search.atom_names(common.encoding), shape, settings, 1)
    end = fitting.fit(job, after=lambda progress: clock.append(time.process_time()))
    network = fitting.with_leaves(shape, _leaves(end.kept))
    code = fitting.aggregate_posterior(network, data, c)
    model = PhenotypeModel(network, *common, *code, settings, fitting.curve(end.rows), pd.DataFrame(), forest=trees)
    clock.append(time.process_time())
    if sample:
        sample_people(model, scores, people["sex"], people["stratum"], 1)
    encode, grown, first, epoch, _, sampled = np.diff([*clock, time.process_time()])
    return {
        "people": n, "items": items, "atoms": len(job.names), "conditions": c.shape[1], "batch": job.batch,
        "epochs": plan_size(n - n // 10, Settings())[0], "encode s": encode, "forest s": grown,
        "compile s": first - epoch, "epoch s": epoch,
        "sample s": sampled if sample else None, "GFLOP/s": operations(job) / epoch / 1e9,
        "peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }  # fmt: skip


def _leaves(tree) -> list:
    import jax

    return jax.tree.leaves(tree)


def weights(atoms: int, conditions: int) -> int:
    """Weights that a person passes through, encoder and heads (one hidden layer)."""
    between = atoms * (atoms + 2 * HIDDEN + 5 * HIDDEN + conditions + LATENT)
    return between + HIDDEN * (2 * conditions + 3 * LATENT)


def operations(job) -> float:
    """Floating-point operations of one epoch: 6 a weight and person (2 forward, 4 backward), 300 a cell of the
    likelihood, 40 a weight and step for prior and Adam; and 2 a weight for the people judged."""
    used, n, steps = weights(len(job.names), job.c.shape[1]), job.batch * job.steps, job.steps
    return n * (6 * used + 300 * len(job.names)) + 40 * used * steps + len(job.test) * 2 * used


def traffic(atoms: int, conditions: int, people: int, steps: int) -> float:
    """Bytes moved on the device in `steps` steps over `people`: 20 float32 passes over the weights a step, and 250
    bytes a cell (inputs once, activations and their slopes written and read)."""
    return steps * weights(atoms, conditions) * 4 * 20 + people * atoms * 250


def project(rows: pd.DataFrame, people: int = 100_000, items: int = 1_000) -> str:
    """The projection from the largest measured size, as lines of text."""
    from pseudocohort.phenotype.settings import Settings, plan_size

    last = rows.iloc[(rows["people"] * rows["items"]).argmax()]
    atoms, n, c = round(last["atoms"] / last["items"] * items), int(0.95 * people), int(last["conditions"])
    epochs, batch = plan_size(n, Settings())
    steps = epochs * (n // batch)
    work = steps * batch * (6 * weights(atoms, c) + 300 * atoms) + 40 * weights(atoms, c) * steps
    moved, cells = traffic(atoms, c, steps * batch, steps), people * items / (last["people"] * last["items"])
    sampled = (last["sample s"] or np.nan) * cells * atoms / last["atoms"]
    grown = last["forest s"] * min(people, 20_000) / min(last["people"], 20_000) * (atoms / last["atoms"]) ** 2
    device = 6 * weights(atoms, c) * 4 + 2**26 + batch * atoms * 250
    lines = [
        f"{people:,} x {items:,} ({atoms:,} atoms): {epochs} epochs of batches of {batch}, {steps:,} steps",
        f"encoding {last['encode s'] * cells / 3600:.2f} CPU h; sampling {sampled / 3600:.2f} CPU h",
        f"forest {grown / 3600:.2f} CPU h (trees of 20,000 people at most)",
        f"training {work:.2g} operations: {work / last['GFLOP/s'] / 3.6e12:.2f} CPU h at {last['GFLOP/s']:.0f} GFLOP/s",
        f"on a GPU {work / ASSUMED_FLOPS:.1f} s of arithmetic at {ASSUMED_FLOPS:.0e}/s,",
        f"{moved / ASSUMED_BYTES:.1f} s of traffic ({moved:.1e} bytes) at {ASSUMED_BYTES:.1e}/s (both assumed)",
        f"memory: {18 * people * atoms / 2**30:.1f} GiB encoded, {8 * people * items / 2**30:.1f} GiB table or more; "
        f"device {device / 2**30:.2f} GiB",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", help="as 2000x1000")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-sample", action="store_true")
    parser.add_argument("--one", action="store_true", help="measure in this process and print JSON")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.sizes[0], not options.no_sample)))
        return
    rows = []
    for size in options.sizes or (QUICK if options.quick else SIZES):
        command = [sys.executable, __file__, "--one", size, *(["--no-sample"] if options.no_sample else [])]
        rows.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))
    table = pd.DataFrame(rows)
    print("| " + " | ".join(table) + " |\n|" + "---|" * table.shape[1])
    for row in rows:
        print(
            "| "
            + " | ".join("-" if v is None else f"{v:.3g}" if isinstance(v, float) else f"{v:,}" for v in row.values())
            + " |"
        )
    print("\n" + project(table))


if __name__ == "__main__":
    main()
