"""Genotypes of common autosomal sites for relatedness: real holdout, pseudo people, and what their pedigree expects."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.maps import GeneticMap, read_map
from pseudocohort.genome.founders import founders_of
from pseudocohort.genome.pedigree import Pedigree
from pseudocohort.genome.relatives import SPACING_CM, drop_genes, grid_of, haldane
from pseudocohort.genotypes import Genotypes

COMMON = 0.05
CANDIDATES = 10  # sites looked at for each that is wanted: in whole genomes most are rare
DROPS = 4  # gene droppings that stand for theory
CELLS = 30_000_000  # real alleles in memory at once


class Rows(NamedTuple):
    """Who is looked at: row numbers, ascending, in the real .psam (holdout, and the founders in the pedigree's order)
    and in the pseudo one."""

    holdout: np.ndarray
    pseudo: np.ndarray
    founders: np.ndarray


class Chromosome(NamedTuple):
    """pos: int64 (sites,) bp.  dosages: int8 (people, sites) by group: holdout; pseudo; theory0, theory1 ...: the same
    pseudo people with genes dropped anew; unlinked: pseudo people with every site's column shuffled."""

    pos: np.ndarray
    dosages: dict[str, np.ndarray]


def choose_people(
    people: pd.DataFrame, pedigree: Pedigree, which: str, seed: int, persons: int, share: float | None = None
) -> Rows:
    """At most `persons` random people of the holdout (of A and B at most half of it) and of the pseudo people.

    people: of the real .psam, in its order, with `part` and what `founders_of` needs; which, share: whose haplotypes
    are transmitted.
    """
    rng = counter.generator(seed, "people for relatedness")
    held = [rng.permutation(np.flatnonzero(people["part"] == part))[: persons // 2] for part in ("A", "B")]
    drawn = np.sort(rng.permutation(pedigree.people)[:persons])
    return Rows(np.sort(np.concatenate(held)), drawn, founders_of(people, which, share, seed).rows)


def read_chromosome(
    chrom: str,
    prefixes: tuple[str, str],
    map_path: str,
    rows: Rows,
    pedigree: Pedigree,
    sites: int,
    seed: int,
    sex_specific: bool = True,
    spacing: float = SPACING_CM,
) -> Chromosome:
    """At most `sites` evenly spread common sites of a chromosome that both cohorts have.

    prefixes: of the real and the pseudo .pgen.  sex_specific: fathers recombine by the male, mothers by the female map.
    spacing: cM between the loci at which genes are dropped.
    """
    genetic_map = read_map(map_path, chrom)
    with Genotypes(prefixes[0]) as real, Genotypes(prefixes[1]) as pseudo:
        chosen = common_sites(real, pseudo, sites)
        pos = real.sites["pos"].to_numpy()[chosen[:, 0]]
        locus, dropped = _dropped(chrom, pos, rows, pedigree, (genetic_map, sex_specific, spacing), seed)
        groups = {name: [] for name in ("holdout", "pseudo", *(f"theory{k}" for k in range(DROPS)))}
        step = max(CELLS // max(2 * real.n_people, 1), 1)
        for start in range(0, len(pos), step):
            part = slice(start, start + step)
            alleles = np.concatenate([real.haplotypes(i, i + 1) for i in chosen[part, 0].tolist()])
            groups["holdout"].append(alleles[:, 2 * rows.holdout] + alleles[:, 2 * rows.holdout + 1])
            made = [pseudo.dosages(i, i + 1)[:, rows.pseudo] for i in chosen[part, 1].tolist()]
            groups["pseudo"].append(np.concatenate(made))
            for k, column in enumerate(dropped):
                taken = np.take_along_axis(alleles, column[locus[part]], axis=1)
                groups[f"theory{k}"].append(taken[:, 0::2] + taken[:, 1::2])
    sizes = {"holdout": len(rows.holdout)}
    none = {name: np.empty((0, sizes.get(name, len(rows.pseudo))), dtype=np.int8) for name in groups}
    joined = {name: np.ascontiguousarray(np.concatenate([none[name], *x]).T) for name, x in groups.items()}
    joined["unlinked"] = counter.generator(seed, "unlinked genomes", chrom).permuted(joined["pseudo"], axis=0)
    return Chromosome(pos, joined)


def common_sites(real: Genotypes, pseudo: Genotypes, sites: int) -> np.ndarray:
    """Rows of evenly spread sites with a real minor allele frequency of at least COMMON: int64 (sites, 2), ascending.

    Column 0 is the row in `real`, 1 the row in `pseudo`; sites that `pseudo` lacks are left out.
    """
    looked = np.unique(np.linspace(0, real.n_sites - 1, min(real.n_sites, CANDIDATES * sites)).round().astype(np.int64))
    counts = np.concatenate([real.counts(i, i + 1) for i in looked.tolist()]).astype(float)
    frequency = (counts[:, 1] + 2 * counts[:, 2]) / np.maximum(2 * counts[:, :3].sum(axis=1), 1)
    common = looked[np.minimum(frequency, 1 - frequency) >= COMMON]
    keys = ["pos", "ref", "alt"]
    mine = real.sites[keys].iloc[common].assign(real=common)
    both = mine.merge(pseudo.sites[keys].assign(pseudo=np.arange(pseudo.n_sites)), on=keys)[["real", "pseudo"]]
    both = both.sort_values("real").to_numpy(dtype=np.int64)
    taken = np.unique(np.linspace(0, len(both) - 1, min(len(both), sites)).round().astype(np.int64))
    return both[taken]


def _dropped(
    chrom: str,
    pos: np.ndarray,
    rows: Rows,
    pedigree: Pedigree,
    recombination: tuple[GeneticMap, bool, float],
    seed: int,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The locus of every site, and for each gene dropping the columns of the real haplotypes that the pseudo people
    have at the loci: int32 (loci, 2 people).  recombination: the map, by its sexes or not, cM between loci."""
    genetic_map, sex_specific, spacing = recombination
    loci, locus = grid_of(np.asarray(genetic_map.cm_at(pos), dtype=float), spacing)
    fractions = _fractions(genetic_map, loci, sex_specific)
    rng = counter.generator(seed, "genes dropped for relatedness", chrom)
    labels = [drop_genes(pedigree, rows.pseudo, fractions, rng) for _ in range(DROPS)]
    return locus, [(2 * rows.founders[x // 2] + x % 2).astype(np.int32) for x in labels]


def _fractions(genetic_map: GeneticMap, loci: np.ndarray, sex_specific: bool) -> tuple[np.ndarray, np.ndarray]:
    """Recombination fractions before each locus (loci,) of fathers and of mothers."""
    if not sex_specific or genetic_map.male_cm is None or genetic_map.female_cm is None:
        return haldane(loci), haldane(loci)
    at = genetic_map.bp_at(loci)
    maps = (genetic_map.male_cm, genetic_map.female_cm)
    return tuple(haldane(np.interp(at, genetic_map.pos, cm)) for cm in maps)
