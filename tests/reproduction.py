"""Maps and pedigrees for the tests of the genome engine, made without it."""

import numpy as np

from pseudocohort.cohort.maps import GeneticMap
from pseudocohort.genome.pedigree import Pedigree
from pseudocohort.genome.recombination import Recombination, make_recombination

PAR = ((10_001, 2_781_479), (155_701_383, 156_030_895))


def line_map(morgans: float, bp: int = 100_000_000) -> GeneticMap:
    """The same rate everywhere, in both sexes."""
    return GeneticMap("1", np.array([1, bp + 1]), np.array([0.0, 100 * morgans]))


def line(morgans: float, **models) -> Recombination:
    return make_recombination(line_map(morgans), "1", **models)


def sexed_map(male: float = 1.1, female: float = 1.9, bp: int = 100_000_000, points: int = 400) -> GeneticMap:
    """Hot and cold stretches, other ones in men and women; the fourth tenth has no crossover in men."""
    rng = np.random.default_rng(1)
    step = bp // points
    pos = np.append(1, np.append(np.arange(1, points - 1) * step + rng.integers(step, size=points - 2), bp))
    rises = rng.gamma(0.3, size=(2, points - 1))
    rises[0, 3 * points // 10 : 4 * points // 10] = 0
    male_cm, female_cm = (
        np.append(0, np.cumsum(r) / r.sum()) * 100 * m for r, m in zip(rises, (male, female), strict=True)
    )
    return GeneticMap("1", pos, (male_cm + female_cm) / 2, male_cm, female_cm)


def x_map(male: bool = True) -> GeneticMap:
    """X of GRCh38 with .5 Morgans in PAR1 and .01 in PAR2 of men, 1.8 Morgans in women."""
    pos = np.array([10_001, 1_500_000, 2_781_479, 100_000_000, 155_701_383, 156_030_895])
    male_cm, female_cm = np.array([0.0, 30, 50, 50, 50, 51]), np.array([0.0, 2, 4, 120, 178, 180])
    return GeneticMap("X", pos, female_cm, male_cm if male else None, female_cm)


def random_pedigree(founders: int, people: int, generations: int, seed: int = 1, sexes: bool = True) -> Pedigree:
    """Every child draws a father and a mother; sizes go linearly from the founders to the people, sexes are even."""
    rng, fathers, mothers = np.random.default_rng(seed), [], []
    sizes = np.rint(np.linspace(founders, people, generations + 1)).astype(int)
    roles = [rng.permutation(np.arange(n) % 2 + 1).astype(np.int8) for n in sizes]
    for before, n in zip(roles, sizes[1:], strict=False):
        fathers.append(rng.choice(np.flatnonzero(before == 1), n).astype(np.int32))
        mothers.append(rng.choice(np.flatnonzero(before == 2), n).astype(np.int32))
    stratum = tuple(np.zeros(n, dtype=np.int16) for n in sizes)
    sex = tuple(role if sexes else np.zeros_like(role) for role in roles)
    return Pedigree(tuple(fathers), tuple(mothers), sex, stratum, ("all",))


def exact_kinship(pedigree: Pedigree, generations: int | None = None) -> np.ndarray:
    """Kinship after all or the first generations, (people, people), one by one from unrelated founders."""
    phi, parents = np.eye(len(pedigree.sex[0])) / 2, zip(pedigree.father, pedigree.mother, strict=True)
    for father, mother in list(parents)[:generations]:
        between = (phi[father] + phi[mother]) / 2
        own = 0.5 + 0.5 * phi[father, mother]
        phi = (between[:, father] + between[:, mother]) / 2
        np.fill_diagonal(phi, own)
    return phi
