"""What replication.py simulates: people with realistic LD, traits of known effects, and their pseudo genomes.

One coalescent simulation of a single population gives everybody; a random third each is trained on, is the second real
cohort, and is never seen. Sites are a random sample of those with a minor allele frequency of 1 % or more,
causal sites among them.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri

from pseudocohort.cohort.maps import GeneticMap
from pseudocohort.genetics.traits import Traits, inverse_normal, make_covariates
from pseudocohort.genome.mosaic import trace_mosaic
from pseudocohort.genome.pedigree import Founders, make_ids, make_pedigree
from pseudocohort.genome.recombination import make_recombination
from pseudocohort.genome.transmission import transmit
from pseudocohort.genotypes import Genotypes, GenotypeWriter

BASES, SITES = 5_000_000, 1481  # of a chromosome: 8 of them have 11,848 sites
RECOMBINATION, MUTATION = 1e-8, 6e-9  # a third of the mutations is enough for the sites
COMMON = 0.01
GENERATIONS = 10
GROUPS, EACH = 5, 4  # traits of a group share causal sites and environment
SHARE = 0.04  # of a trait's variance, for age and for sex


class Architecture(NamedTuple):
    """h2: of what covariates leave.  causal: sites a group.  tail: degrees of freedom of effect sizes (t distribution).
    alpha: variance of an allele's effect goes with (2pq)^alpha; 0 makes Haseman-Elston come out too high, as common
    sites have the most LD.  binary: liabilities cut at prevalences .1 to .3."""

    h2: float
    causal: int
    tail: float
    alpha: float = 0.0
    binary: bool = False


ARCHITECTURES = {
    "polygenic": Architecture(0.5, 3000, 3.0),
    "weak": Architecture(0.2, 3000, 3.0),
    "sparse": Architecture(0.5, 135, 30.0),
    "binary": Architecture(0.5, 3000, 3.0, binary=True),
}


class Cohort(NamedTuple):
    """People with genomes. prefixes: .pgen triples.  rows: of the .psam, None for all.  dosage: int8 (m, n) in the
    order of the simulated sites, 0 where the .pgen lacks a site.  sex, age: (n,).  index: {site id: row of dosage}."""

    prefixes: list
    rows: np.ndarray | None
    dosage: np.ndarray
    sex: np.ndarray
    age: np.ndarray
    index: dict


class Truth(NamedTuple):
    """effects: (m, t) per ALT allele, genetic values centred by `mean` (t,).  environment: (t, t) covariance.
    cuts: (t,) thresholds of liabilities, NaN for continuous traits."""

    effects: np.ndarray
    mean: np.ndarray
    environment: np.ndarray
    cuts: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"t{k}" for k in range(self.effects.shape[1]))


def simulate_people(folder: Path, people: int, chromosomes: int, seed: int = 1) -> list:
    """Prefixes of the .pgen triples of 3 x people; simulated where the folder does not have them yet."""
    import msprime

    prefixes = [folder / f"chr{c + 1}" for c in range(chromosomes)]
    if (folder / "done").exists():
        return prefixes
    folder.mkdir(parents=True, exist_ok=True)
    n = 3 * people
    person, sex = np.array([f"p{i}" for i in range(n)]), np.arange(n) % 2 + 1
    for c, prefix in enumerate(prefixes):
        rng = np.random.default_rng([seed, c])
        trees = msprime.sim_ancestry(
            n,
            demography=east_asian(msprime),
            sequence_length=BASES,
            recombination_rate=RECOMBINATION,
            random_seed=seed * 1000 + c + 1,
        )
        rate = MUTATION
        mutated = msprime.sim_mutations(
            trees, rate=rate, model=msprime.BinaryMutationModel(), random_seed=seed * 1000 + c + 1
        )
        alleles = mutated.genotype_matrix().astype(np.int8)
        frequency = alleles.mean(axis=1)
        kept = np.flatnonzero(np.minimum(frequency, 1 - frequency) >= COMMON)
        kept = np.sort(rng.choice(kept, SITES, replace=False))
        pos = mutated.tables.sites.position[kept].astype(int) + 1
        table = pd.DataFrame(
            {"chrom": str(c + 1), "pos": pos, "id": [f"{c + 1}:{p}" for p in pos], "ref": "A", "alt": "G"}
        )
        with GenotypeWriter(prefix, person, sex, len(kept)) as writer:
            writer.append(alleles[kept], table)
    (folder / "done").touch()
    return prefixes


def east_asian(msprime):
    """Sizes of the population that East Asians descend from (Gutenkunst 2009): two bottlenecks, then growth."""
    history = msprime.Demography.isolated_model([54_090], growth_rate=[0.0055])
    for generations, size in ((848, 2_100), (5_600, 12_300), (8_800, 7_300)):
        history.add_population_parameters_change(time=generations, initial_size=size, growth_rate=0)
    return history


def split_people(prefixes: list, people: int, seed: int) -> tuple[dict[str, Cohort], pd.DataFrame]:
    """Train, second and unseen cohorts, of one random split, and the table of all sites."""
    rng = np.random.default_rng([seed, 1])
    order = rng.permutation(3 * people)
    rows = [np.sort(part) for part in np.array_split(order, 3)]
    sites = pd.concat([read_sites(prefix) for prefix in prefixes], ignore_index=True)
    index = {name: row for row, name in enumerate(sites["id"])}
    names = ("train", "second", "unseen")
    return {name: read_cohort(prefixes, part, index, rng) for name, part in zip(names, rows, strict=True)}, sites


def read_sites(prefix) -> pd.DataFrame:
    with Genotypes(prefix) as genotypes:
        return genotypes.sites


def read_cohort(prefixes, rows, index: dict, rng) -> Cohort:
    """Genotypes of one cohort, and ages drawn for it."""
    dosage = None
    for prefix in prefixes:
        with Genotypes(prefix, rows) as genotypes:
            if dosage is None:
                dosage = np.zeros((len(index), genotypes.n_people), dtype=np.int8)
                sex = genotypes.people["sex"].to_numpy()
            dosage[[index[name] for name in genotypes.sites["id"]]] = genotypes.dosages(0, genotypes.n_sites)
    return Cohort(prefixes, rows, dosage, sex, rng.uniform(30, 80, dosage.shape[1]).round(1), index)


def pseudo_genomes(folder: Path, train: Cohort, seed: int) -> Cohort:
    """Pseudo genomes of as many people by the project's engine: 10 generations, balanced, growing to 4N."""
    n, rows = len(train.sex), train.rows
    chromosomes = [Path(prefix).name for prefix in train.prefixes]
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        pedigree = make_pedigree(Founders.strangers(train.sex), n, GENERATIONS, "balanced", seed)
        for name, prefix in zip(chromosomes, train.prefixes, strict=True):
            chrom = name.removeprefix("chr")
            genetic_map = GeneticMap(chrom, np.array([1, BASES + 1]), np.array([0.0, 1e-6 * BASES]))
            mosaic = trace_mosaic(pedigree, make_recombination(genetic_map, chrom), chrom, seed, device="cpu")
            transmit(prefix, rows, mosaic, genetic_map, folder / name, make_ids(n), pedigree.sex[-1], device="cpu")
        (folder / "done").touch()
    return read_cohort([folder / name for name in chromosomes], None, train.index, np.random.default_rng([seed, 2]))


def make_truth(architecture: Architecture, cohorts: list, seed: int) -> Truth:
    """Effects of 20 traits in five groups, scaled to h2 in all real people together.

    b_j = size_j (l_t u_j + sqrt(1 - l_t^2) v_jt): size heavy-tailed and shared by a group, loadings l .6 to .9, the
    last trait of a group with the opposite sign, so that genetic correlations are about l l'. Environment: a factor
    of the group (loading .5) and one of all traits (.3).
    """
    rng = np.random.default_rng([seed, 3])
    dosage = np.hstack([c.dosage for c in cohorts])
    frequency = dosage.mean(axis=1, dtype=float) / 2
    m, t = len(dosage), GROUPS * EACH
    effects, loading = np.zeros((m, t)), np.tile(np.linspace(0.6, 0.9, EACH), GROUPS)
    loading[EACH - 1 :: EACH] *= -1
    for group in range(GROUPS):
        causal = rng.choice(m, min(architecture.causal, m), replace=False)
        size = np.sqrt(architecture.tail / rng.chisquare(architecture.tail, len(causal)))
        size *= (2 * frequency * (1 - frequency))[causal] ** (architecture.alpha / 2)
        shared, own = rng.normal(size=(len(causal), 1)), rng.normal(size=(len(causal), EACH))
        k = slice(group * EACH, (group + 1) * EACH)
        effects[causal, k] = size[:, None] * (loading[k] * shared + np.sqrt(1 - loading[k] ** 2) * own)
    value = product(dosage, effects)
    effects *= np.sqrt(architecture.h2) / value.std(axis=0)
    sign, of_group = np.sign(loading), np.repeat(np.arange(GROUPS), EACH)
    together = 0.25 * (of_group[:, None] == of_group) * np.outer(sign, sign) + 0.09
    environment = together + np.diag(1 - np.diag(together))
    cuts = np.full(t, np.nan)
    if architecture.binary:
        cuts = -ndtri(np.tile(np.linspace(0.1, 0.3, EACH), GROUPS)) * np.sqrt(1 + 2 * SHARE)
    return Truth(effects, product(dosage, effects).mean(axis=0), (1 - architecture.h2) * environment, cuts)


def product(dosage: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Scores (n, t) of dosages (m, n) int8 and weights (m, t)."""
    total = np.zeros((dosage.shape[1], weights.shape[1]))
    for start in range(0, len(dosage), 2048):
        total += dosage[start : start + 2048].T.astype(np.float64) @ weights[start : start + 2048]
    return total


def covariate_part(cohort: Cohort) -> np.ndarray:
    """What age and sex add to every trait, (n, 1)."""
    age, sex = (cohort.age - 55) / (50 / np.sqrt(12)), 2.0 * cohort.sex - 3
    return (np.sqrt(SHARE) * (age + sex))[:, None]


def true_phenotypes(cohort: Cohort, truth: Truth, seed: int, stream: int) -> np.ndarray:
    """Items (n, t): numbers, or 0 and 1, by the true effects."""
    rng = np.random.default_rng([seed, 4, stream])
    value = product(cohort.dosage, truth.effects) - truth.mean
    noise = rng.multivariate_normal(np.zeros(len(truth.cuts)), truth.environment, size=len(value), method="eigh")
    total = value + covariate_part(cohort) + noise
    return np.where(np.isnan(truth.cuts), total, total > truth.cuts)


def traits_of(cohort: Cohort, items: np.ndarray, truth: Truth) -> Traits:
    """Items (n, t) as the workflow's traits: normal scores or 0/1; covariates age, age^2 and sex."""
    covariates, names = make_covariates(cohort.sex, cohort.age, None)
    binary = ~np.isnan(truth.cuts)
    values = np.column_stack([y if b else inverse_normal(y) for y, b in zip(items.T, binary, strict=True)])
    kind = tuple("logistic" if b else "linear" for b in binary)
    return Traits(truth.names, kind, values.astype(float), covariates, names)


def describe(folder: Path, about: dict) -> None:
    """Refuse a cache of another simulation."""
    path, text = folder / "about.json", json.dumps(about)
    if path.exists() and path.read_text() != text:
        raise SystemExit(f"{folder} holds another simulation: {path.read_text()}")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
