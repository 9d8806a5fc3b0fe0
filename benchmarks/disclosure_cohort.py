"""What the benchmarks of disclosure simulate: participants, people like them who took no part, a reference panel.

One coalescent simulation (msprime, Hudson's model) of two regions that parted 200 generations ago and exchange one
person in 2,000 a generation (Fst .003), with sizes like those of a human population: one chromosome of 20 Mb and 20 cM
at a sequence's density of sites. Half of every panel comes from either region. Kept under benchmarks/out/.
"""

import argparse
import math
from pathlib import Path
from typing import NamedTuple

import msprime
import numpy as np

OUT = Path(__file__).parent / "out"
BASES, RECOMBINATION, MUTATION = 20_000_000, 1e-8, 1.25e-8
PANELS = ("members", "nonmembers", "reference", "partners")
SITES_AT_ONCE = 4096


class Panels(NamedTuple):
    """Alleles of one chromosome, int8 (sites, 2 people), haplotypes 2 i and 2 i + 1 of person i, 1 derived.

    members, nonmembers, reference: n people each, independent draws of one population. partners: n // 4 more, with whom
    members have children (`children`). cm, positions: (sites,), float64 and int64 bp. stratum: dict of int8 (people,),
    by the panel's name.
    """

    members: np.ndarray
    nonmembers: np.ndarray
    reference: np.ndarray
    partners: np.ndarray
    cm: np.ndarray
    positions: np.ndarray
    stratum: dict


def load_panels(n: int = 1000, seed: int = 1, minimum: int = 1, bases: int = BASES) -> Panels:
    """The panels of n people each, simulated once. bases: of the chromosome.

    minimum: copies of the minor allele that a site has among members and non-members together, which treats both
    alike: of sites chosen by the members' own alleles they would carry more. 0 keeps all that anybody varies at.
    Memory: 3.25 n * 2 bytes a site that is kept.
    """
    path = OUT / f"panels_{n}_{seed}_{bases}.npz"
    if not path.exists():
        _simulate(path, n, seed, bases)
    with np.load(path) as file:
        packed, positions, people, strata = (file[name] for name in ("alleles", "positions", "people", "stratum"))
    count = np.zeros(len(packed), dtype=np.int64)
    for low in range(0, len(packed), SITES_AT_ONCE):
        part = np.unpackbits(packed[low : low + SITES_AT_ONCE], axis=1, count=4 * n)
        count[low : low + SITES_AT_ONCE] = part.sum(axis=1, dtype=np.int64)
    kept = np.flatnonzero(np.minimum(count, 4 * n - count) >= minimum)
    bounds = np.append(0, np.cumsum(2 * people))
    panels = [np.empty((len(kept), 2 * number), dtype=np.int8) for number in people]
    for low in range(0, len(kept), SITES_AT_ONCE):
        part = np.unpackbits(packed[kept[low : low + SITES_AT_ONCE]], axis=1)
        for panel, first, last in zip(panels, bounds[:-1], bounds[1:], strict=True):
            panel[low : low + SITES_AT_ONCE] = part[:, first:last]
    parts = np.split(strata, np.cumsum(people)[:-1])
    positions = positions[kept]
    return Panels(*panels, positions * RECOMBINATION * 100, positions, dict(zip(PANELS, parts, strict=True)))


def children(panels: Panels, seed: int = 1) -> np.ndarray:
    """First-degree relatives: the child of member i and partner i, int8 (sites, 2 partners); its haplotype 2 i is the
    member's gamete, with crossovers at a rate of 1 a Morgan."""
    rng = np.random.default_rng([seed, 4])
    made = np.empty_like(panels.partners)
    rate = np.diff(panels.cm, prepend=panels.cm[:1]) / 100
    odd = (1 - np.exp(-2 * rate)) / 2  # Haldane's chance of an odd number of crossovers between sites
    for child in range(made.shape[1] // 2):
        for side, parent in enumerate((panels.members, panels.partners)):
            passed = (rng.integers(2) + np.cumsum(rng.random(len(odd)) < odd)) % 2
            made[:, 2 * child + side] = parent[np.arange(len(odd)), 2 * child + passed]
    return made


def demography() -> msprime.Demography:
    """12,000 people; from 1,000 generations ago 4,000 growing to 20,000; from 200 on two regions of 10,000, each
    growing to 200,000 in the last 50."""
    model = msprime.Demography()
    for name in ("north", "south"):
        model.add_population(name=name, initial_size=2e5, growth_rate=math.log(20) / 50)
        model.add_population_parameters_change(time=50, population=name, initial_size=1e4, growth_rate=0)
    model.add_population(name="ancestral", initial_size=2e4, growth_rate=math.log(5) / 800)
    model.set_symmetric_migration_rate(["north", "south"], 5e-4)
    model.add_population_split(time=200, derived=["north", "south"], ancestral="ancestral")
    model.add_population_parameters_change(time=1000, population="ancestral", initial_size=12_000, growth_rate=0)
    model.sort_events()
    return model


def _simulate(path: Path, n: int, seed: int, bases: int) -> None:
    """Write the packed alleles of all panels, (sites, bytes), people of a panel next to each other."""
    sizes = [n, n, n, n // 4]
    samples = [msprime.SampleSet(half, population=region) for size in sizes for half, region in _halves(size)]
    trees = msprime.sim_ancestry(
        samples, demography=demography(), sequence_length=bases, recombination_rate=RECOMBINATION, random_seed=seed
    )
    trees = msprime.sim_mutations(trees, rate=MUTATION, model="binary", random_seed=seed)
    packed, positions = [], []
    for variant in trees.variants():
        if len(variant.site.mutations) == 1:
            packed.append(np.packbits(variant.genotypes))
            positions.append(int(variant.site.position))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    stratum = np.concatenate([np.repeat(np.int8([0, 1]), [half for half, _ in _halves(size)]) for size in sizes])
    np.savez(part, alleles=np.stack(packed), positions=np.array(positions), people=np.array(sizes), stratum=stratum)
    part.rename(path)


def _halves(size: int) -> list[tuple[int, str]]:
    return [(size // 2, "north"), (size - size // 2, "south")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bases", type=int, default=BASES)
    given = parser.parse_args()
    panels = load_panels(given.people, given.seed, bases=given.bases)
    count = panels.members.sum(axis=1, dtype=np.int64)
    minor = np.minimum(count, 2 * given.people - count)
    print(
        f"{len(count)} sites, {np.mean(minor == 1):.2f} singletons, {np.mean(minor >= given.people / 50):.2f} MAF > 1 %"
    )
