"""Real and pseudo genomes with the linkage disequilibrium of a coalescent, for planted faults."""

from pathlib import Path
from typing import NamedTuple

import msprime
import numpy as np
import pandas as pd

from evaluation_cohort import make_people, reproduce, write_chromosome
from pseudocohort.cohort.kinship import LINEAGE
from pseudocohort.genome.founders import founders_of, pseudo_people
from pseudocohort.genome.pedigree import Pedigree, make_pedigree

LENGTH, CM = 4_000_000, 20.0
SIZE, SPLIT = 2000, 100  # people of a stratum, generations since they parted
STEP = 10_000  # base pairs between sites, as write_chromosome has them


class Linked(NamedTuple):
    """people, pseudo: tables; real, made: prefix by chromosome; maps: path by chromosome; haplotypes: of the real and
    of the pseudo people by chromosome, (sites, 2 people); pedigree: of the pseudo people."""

    people: pd.DataFrame
    pseudo: pd.DataFrame
    real: dict[str, Path]
    made: dict[str, Path]
    maps: dict[str, Path]
    haplotypes: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
    pedigree: Pedigree


def coalescent(west: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Alleles (sites, 2 people) int8 of two strata that parted SPLIT generations ago, and cM (sites,).

    west: (people,) bool.  Mutations are dense enough for common neighbours of r^2 about 0.2."""
    demography = msprime.Demography.isolated_model([SIZE, SIZE])
    demography.add_population(name="before", initial_size=SIZE)
    demography.add_population_split(time=SPLIT, derived=["pop_0", "pop_1"], ancestral="before")
    trees = msprime.sim_ancestry(
        {"pop_0": int((~west).sum()), "pop_1": int(west.sum())},
        demography=demography,
        sequence_length=LENGTH,
        recombination_rate=CM / 100 / LENGTH,
        random_seed=seed,
    )
    trees = msprime.sim_mutations(trees, rate=8e-9, random_seed=seed, model=msprime.BinaryMutationModel())
    alleles = trees.genotype_matrix()
    once = (alleles.max(axis=1) == 1) & (alleles.min(axis=1) == 0)
    order = np.argsort(np.argsort(west, kind="stable"), kind="stable")
    columns = np.column_stack([2 * order, 2 * order + 1]).ravel()
    return alleles[once][:, columns].astype(np.int8), trees.sites_position[once] * CM / LENGTH


def write_linked(folder: Path, n_real: int, n_pseudo: int, generations: int, seed: int) -> Linked:
    """A cohort of chromosomes 21 and X and its honest pseudo cohort, transmitted letter by letter."""
    rng = np.random.default_rng(seed)
    people = make_people(n_real, rng).assign(unrelated=True, **dict.fromkeys(LINEAGE, -1))
    founders, sex = founders_of(people), people["sex"].to_numpy()
    west = (people["stratum"] == "west").to_numpy()
    pedigree = make_pedigree(founders, n_pseudo, generations, "balanced", seed)
    real, made, maps, both = {}, {}, {}, ({}, {})
    for number, chrom in enumerate(("21", "X")):
        alleles, cm = coalescent(west, seed + number)
        if chrom == "X":
            alleles[:, 1::2] = np.where(sex == 1, alleles[:, 0::2], alleles[:, 1::2])
        pairs = alleles.reshape(len(cm), -1, 2)[:, founders.rows].reshape(len(cm), -1)
        pseudo = reproduce(pairs, pedigree, cm, rng)
        if chrom == "X":
            pseudo[:, 1::2] = np.where(pedigree.sex[-1] == 1, pseudo[:, 0::2], pseudo[:, 1::2])
        real[chrom], made[chrom], maps[chrom] = (folder / f"{name}{chrom}" for name in ("real", "made", "map"))
        both[0][chrom], both[1][chrom] = alleles, pseudo
        write_chromosome(real[chrom], alleles, chrom, cm, sex)
        write_chromosome(made[chrom], pseudo, chrom, cm, pedigree.sex[-1])
        table = pd.DataFrame({"pos": STEP * (np.arange(len(cm)) + 1), "cM": cm - cm[0]})
        table.to_csv(maps[chrom], sep="\t", index=False)
    return Linked(people, pseudo_people(pedigree), real, made, maps, both, pedigree)
