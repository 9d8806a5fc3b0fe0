"""Does a GWAS of the pseudo cohort look like that of a second real cohort? Simulated truth with LD.

    python benchmarks/replication.py [--architectures polygenic weak sparse binary] [--methods draw blup ct crossfit]
        [--seeds 2] [--people 3000] [--no-network] [--quick] [--cache DIR]
    python benchmarks/replication.py --small | --projection

9,000 people with the LD of an East Asian history are split in training, second real cohort and unseen; 20 traits of
each architecture have known effects. Pseudo genomes are the project's own, 10 generations from the training people.
Every method's weights score both; a linear stand-in for the network (or the network itself) learns items from
scores and draws those of the pseudo people. A first table shows what a geneticist would see in every cohort, a second
how far that is from the second real cohort, the unseen one, and both; goals missed in bold. Draws and the real
cohorts are run with every seed (split, effects, pseudo genomes), the other methods with the first only, and judged
beside the real cohorts of the same seeds. Measured, never asserted.
--quick: 1,000 people, 2 chromosomes, two architectures, no network; shows that it runs, as on so little genome drift
alone misses goals. --small: 200 people work, 40 are refused.
--projection: from measured runs of the streamed kernel to 100,000 people x 1 million sites x 50 traits.
"""

import argparse
import functools
import logging
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from replication_cohort import (
    ARCHITECTURES,
    describe,
    make_truth,
    pseudo_genomes,
    simulate_people,
    split_people,
    traits_of,
    true_phenotypes,
)
from replication_phenotypes import sample_linear, sample_network, scores_of, weight_matrix
from replication_scale import print_projection, print_small, run_task
from replication_statistics import compare, look, make_kernel, summarise_rows
from replication_tables import print_goals, print_views

from pseudocohort.weights.learning import learn_weights

log = logging.getLogger("replication")
REAL = ("train", "second", "unseen")
METHODS = ("draw", "blup", "ct", "crossfit")
QUICK = ("polygenic", "binary")


class World:
    """The people of one seed: cohorts, their kernels, sites."""

    def __init__(self, folder: Path, people: int, chromosomes: int, seed: int):
        prefixes = simulate_people(folder / "founders", people, chromosomes)
        self.cohorts, self.sites = split_people(prefixes, people, seed)
        self.cohorts["pseudo"] = pseudo_genomes(folder / f"pseudo{seed}", self.cohorts["train"], seed)
        self.kernels = {name: make_kernel(cohort) for name, cohort in self.cohorts.items()}
        self.seed = seed

    def view(self, name: str, items: np.ndarray, truth, cohort=None):
        cohort = cohort or self.cohorts[name]
        return look(cohort, traits_of(cohort, items, truth), self.kernels[name], self.sites)


class Run:
    """One architecture in one world: what every method makes of it."""

    def __init__(self, world: World, architecture: str, log_cpu: dict):
        self.world, self.seed, self.cpu = world, world.seed, log_cpu
        self.alpha = None  # the first method chooses it, for all: it costs as much as the rest
        cohorts = world.cohorts
        self.truth = make_truth(ARCHITECTURES[architecture], [cohorts[name] for name in REAL], world.seed)
        self.items = {
            name: true_phenotypes(cohort, self.truth, world.seed, k) for k, (name, cohort) in enumerate(cohorts.items())
        }
        self.views = {
            label: world.view(name, self.items[name], self.truth)
            for label, name in zip((*REAL, "true effects"), cohorts, strict=True)
        }

    def learn(self, method: str, items: np.ndarray, label: str):
        """Scores of training and pseudo people by the weights of a method."""
        train, pseudo = self.world.cohorts["train"], self.world.cohorts["pseudo"]
        traits = traits_of(train, items, self.truth)
        began = time.process_time()
        learnt = learn_weights(
            train.prefixes,
            train.rows,
            traits,
            self.seed,
            {"method": method, "alpha": self.alpha},
            np.arange(len(train.sex)) if method == "crossfit" else None,
        )
        self.cpu.setdefault(label, []).append(time.process_time() - began)
        self.alpha = learnt.report[0]["alpha"]
        effects = weight_matrix(learnt.weights, traits.names, train.index)
        own = learnt.out_of_fold.to_numpy(dtype=float) if method == "crossfit" else scores_of(train, effects)
        return own, scores_of(pseudo, effects)

    def pseudo_view(self, items: np.ndarray, scores: tuple):
        own, other = scores
        train, pseudo = self.world.cohorts["train"], self.world.cohorts["pseudo"]
        drawn = sample_linear(train, items, own, pseudo, other, self.truth, self.seed)
        return self.world.view("pseudo", drawn, self.truth)

    def add_method(self, method: str, network: bool) -> None:
        items = self.items["train"]
        scores = self.learn(method, items, method)
        self.views[method] = self.pseudo_view(items, scores)
        if method == "draw" and network:
            own, other = scores
            train, pseudo = self.world.cohorts["train"], self.world.cohorts["pseudo"]
            began = time.process_time()
            pseudo, drawn = sample_network(train, items, own, pseudo, other, self.truth, self.seed)
            self.cpu.setdefault("network", []).append(time.process_time() - began)
            self.views["draw + network"] = self.world.view("pseudo", drawn, self.truth, pseudo)

    def permuted(self):
        """Mean lambda and hits a trait where the items of the training people are shuffled, and of the draw's pseudo
        cohort."""
        order = np.random.default_rng([self.seed, 6]).permutation(len(self.items["train"]))
        items = self.items["train"][order]
        pseudo = self.pseudo_view(items, self.learn("draw", items, "draw, permuted"))
        return [
            (view.inflation.mean(), float(np.mean([len(hits) for hits in view.hits])))
            for view in (self.world.view("train", items, self.truth), pseudo)
        ]

    def comparisons(self) -> dict:
        return {name: compare(view, self.views["train"], self.world.sites) for name, view in self.views.items()}


def run_architecture(name: str, worlds, options) -> None:
    """All seeds of an architecture, printed; the methods to compare with are run once."""
    cpu, seeds, nulls = {}, [], []
    for seed in range(1, options.seeds + 1):
        run = Run(worlds(seed), name, cpu)
        for method in options.methods:
            if method == "draw" or seed == 1:
                log.info("%s, seed %d: %s", name, seed, method)
                run.add_method(method, options.network)
        if "draw" in options.methods and name in options.null:
            nulls.append(run.permuted())
        seeds.append(run.comparisons())
    rows = summarise_rows(seeds)
    print_views(name, ARCHITECTURES[name], rows, cpu)
    print_goals(rows, np.array(nulls))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architectures", nargs="+", choices=ARCHITECTURES, default=list(ARCHITECTURES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--people", type=int, default=3000)
    parser.add_argument("--chromosomes", type=int, default=8)
    parser.add_argument("--network", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--permuted", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--quick", action="store_true", help="a minute: small, two architectures, one seed, no network")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--projection", action="store_true")
    parser.add_argument("--cache", type=Path, help="keeps the simulation and the pseudo genomes between runs")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        run_task(options.task)
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    for name in ("pseudocohort", "msprime"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if options.quick:
        options.people, options.chromosomes, options.seeds, options.network = 1000, 2, 1, False
        options.architectures = [name for name in options.architectures if name in QUICK]
    binary = [name for name in options.architectures if ARCHITECTURES[name].binary]
    linear = [name for name in options.architectures if name not in binary]
    options.null = (linear[:1] + binary[:1]) if options.permuted else []
    with tempfile.TemporaryDirectory() as temporary:
        if options.small:
            print_small(Path(temporary), options.methods)
            return
        if options.projection:
            print_projection(Path(temporary))
            return
        folder = (options.cache or Path(temporary)) / f"{options.people}x{options.chromosomes}"
        describe(folder, {"people": options.people, "chromosomes": options.chromosomes})
        worlds = functools.cache(lambda seed: World(folder, options.people, options.chromosomes, seed))
        print(f"{options.people} people a cohort, {options.chromosomes} x 5 Mb, {options.seeds} seeds\n")
        for name in options.architectures:
            run_architecture(name, worlds, options)
    print(f"{time.process_time() / 60:.1f} CPU minutes")


if __name__ == "__main__":
    main()
