"""One pass over a chromosome's real and pseudo genotypes: everything the evaluation of genomes needs of them."""

import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.maps import read_map
from pseudocohort.evaluation.copies import HOLDOUT, hash_block
from pseudocohort.genotypes import Genotypes

BLOCK = 256
COMMON = 0.05
PAIR_BINS = np.array([0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20])  # cM
ANCHORS = 400  # sites of a chromosome that are paired with others
PARTNERS = 8  # pairs an anchor has in every bin of distance


class Sample(NamedTuple):
    """Statistics of a chromosome's sampled sites.

    cm: (sites,) genetic position.  frequency: ALT frequency by group (train, holdout, A, B, pseudo, matched:
    as many pseudo people as B has); males count once on X, in its PARs too.  totals: ALT copies in all of train,
    holdout, pseudo (folded: the rarer allele among the founders).  counts: ALT copies in `haplotypes` haplotypes a
    group.  heterozygous: share of heterozygous people by group.  people: number of people by group.
    pairs: (pairs, 5) position of the anchor (cM), distance (cM), r^2 in train, holdout, pseudo.
    structure_real, structure_pseudo: dosages (sites, people) of spaced common sites (people of `structure_rows`).
    hash_real, hash_pseudo: (2 people,) hashes over the sampled sites.
    """

    chrom: str
    cm: np.ndarray
    frequency: dict[str, np.ndarray]
    totals: dict[str, np.ndarray]
    counts: dict[str, np.ndarray]
    haplotypes: int
    heterozygous: dict[str, np.ndarray]
    people: dict[str, int]
    pairs: np.ndarray
    structure_real: np.ndarray
    structure_pseudo: np.ndarray
    structure_rows: tuple[np.ndarray, np.ndarray]
    hash_real: np.ndarray
    hash_pseudo: np.ndarray


def sample_chromosome(
    chrom: str,
    real_prefix: str,
    pseudo_prefix: str,
    map_path: str,
    part: np.ndarray,
    alone: np.ndarray,
    seed: int,
    sites: int,
    persons: int,
    spacing: float,
) -> Sample:
    """Read at most `sites` sites of a chromosome in both cohorts; see Sample.

    part: (people,) train, A or B, in the order of the real .psam; others, as founders who are not transmitted, are
    in no group.  alone: (people,) True for one person a family in the groups: relatives share long haplotypes, so
    linkage and spectrum look at unrelated real people.  persons: people a group
    for LD, spectrum and structure, at most.  spacing: least distance in cM of the sites for principal components.
    """
    genetic_map = read_map(map_path, chrom)
    with Genotypes(real_prefix) as real, Genotypes(pseudo_prefix) as pseudo:
        columns = _groups(chrom, part, real.people["sex"].to_numpy(), pseudo.people["sex"].to_numpy(), seed)
        unrelated = columns | {k: columns[k][alone[columns[k] // 2]] for k in ("train", "holdout")}
        drawn, haplotypes = _equal_columns(unrelated, persons, counter.generator(seed, "evaluated haplotypes", chrom))
        rows = _structure_rows(part, pseudo.n_people, persons, seed)
        state = _State(columns, drawn, rows, len(part), pseudo.n_people)
        for start, stop, match in matching_blocks(real.sites, pseudo.sites, sites):
            others = np.zeros((stop - start, 2 * pseudo.n_people), dtype=np.int8)  # sites left out: nobody has ALT
            if len(match):
                low, high = int(match[0, 1]), int(match[-1, 1]) + 1
                others[match[:, 0] - start] = pseudo.haplotypes(low, high)[match[:, 1] - low]
            cm = np.asarray(genetic_map.cm_at(real.sites["pos"].to_numpy()[start:stop]), dtype=float)
            state.add(real.haplotypes(start, stop), others, cm, spacing if chrom != "X" else np.inf)
    pairs = linkage_pairs(
        state.joined("linked_cm"),
        {k: state.joined(f"linked_{k}") for k in drawn},
        counter.generator(seed, "pairs of sites", chrom),
    )
    return state.sample(chrom, haplotypes, pairs, rows)


def matching_blocks(real: pd.DataFrame, pseudo: pd.DataFrame, limit: int):
    """Blocks of real sites, evenly spread and at most `limit` in all, and where the pseudo cohort has them.

    Yields (start, stop, match), match (sites in both, 2) row numbers in the two tables, both increasing.
    """
    keys = ["pos", "ref", "alt"]
    both = pd.merge(real[keys].assign(a=np.arange(len(real))), pseudo[keys].assign(b=np.arange(len(pseudo))), on=keys)[
        ["a", "b"]
    ].to_numpy()
    both = both[np.argsort(both[:, 0], kind="stable")]
    starts = np.arange(0, len(real), BLOCK)
    wanted = max(limit // BLOCK, 1)
    if len(starts) > wanted:
        starts = starts[np.unique(np.linspace(0, len(starts) - 1, wanted).round().astype(int))]
    for start in starts.tolist():
        stop = min(start + BLOCK, len(real))
        yield start, stop, both[np.searchsorted(both[:, 0], start) : np.searchsorted(both[:, 0], stop)]


def linkage_pairs(cm: np.ndarray, alleles: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """r^2 of pairs of sites spread over bins of genetic distance.

    cm: (sites,) increasing.  alleles: (sites, haplotypes) 0/1 by group, equal numbers of haplotypes.
    Returns (pairs, 2 + groups): position of the left site, distance, r^2 by group; pairs with a site that is
    fixed in a group are left out. r = cov / sqrt(var var) over haplotypes (Hill and Robertson 1968).
    """
    if len(cm) < 2:
        return np.empty((0, 2 + len(alleles)))
    anchors = np.unique(np.linspace(0, len(cm) - 2, ANCHORS).round().astype(int))
    left, right = [], []
    for low, high in itertools.pairwise(PAIR_BINS):
        first = np.maximum(np.searchsorted(cm, cm[anchors] + low), anchors + 1)
        last = np.searchsorted(cm, cm[anchors] + high)
        partner = first[:, None] + (rng.random((len(anchors), PARTNERS)) * (last - first)[:, None]).astype(int)
        valid = (partner < last[:, None]) & (last > first)[:, None]
        chosen = np.unique(np.column_stack([np.repeat(anchors, PARTNERS)[valid.ravel()], partner[valid]]), axis=0)
        left.append(chosen[:, 0])
        right.append(chosen[:, 1])
    left, right = np.concatenate(left), np.concatenate(right)
    r2 = np.column_stack([squared_correlation(a, left, right) for a in alleles.values()])
    table = np.column_stack([cm[left], cm[right] - cm[left], r2])
    return table[np.isfinite(r2).all(axis=1)]


def squared_correlation(alleles: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """r^2 of the site pairs (left, right) over haplotypes: (sites, haplotypes) int8 -> (pairs,); NaN where fixed."""
    p = alleles.mean(axis=1, dtype=float)
    both = np.empty(len(left))
    for start in range(0, len(left), 4096):
        part = slice(start, start + 4096)
        both[part] = (alleles[left[part]] & alleles[right[part]]).mean(axis=1, dtype=float)
    with np.errstate(all="ignore"):
        r2 = (both - p[left] * p[right]) ** 2 / (p[left] * (1 - p[left]) * p[right] * (1 - p[right]))
    return np.where(np.isfinite(r2), r2, np.nan)


class _State:
    """What is gathered block by block."""

    def __init__(self, columns: dict, drawn: dict, rows: tuple, n_real: int, n_pseudo: int):
        self.columns, self.drawn, self.rows = columns, drawn, rows
        self.parts: dict[str, list[np.ndarray]] = {}
        self.hashes = [np.zeros(2 * n, dtype=np.uint64) for n in (n_real, n_pseudo)]
        self.last_cm = -np.inf
        self.people = {k: len(np.unique(c // 2)) for k, c in columns.items()}
        self.diploid = {k: columns[k][np.isin(columns[k] ^ 1, columns[k])] for k in drawn}

    def add(self, real: np.ndarray, pseudo: np.ndarray, cm: np.ndarray, spacing: float) -> None:
        """One block of alleles (sites, 2 people) of both cohorts."""
        sides = {k: pseudo if k in ("pseudo", "matched") else real for k in self.columns}
        self._keep("cm", cm)
        for k, side in sides.items():
            taken = side[:, self.columns[k]]
            sums = taken.sum(axis=1, dtype=np.int64)
            self._keep(f"frequency_{k}", sums / max(taken.shape[1], 1))
            self._keep(f"totals_{k}", np.minimum(sums, taken.shape[1] - sums))
            if k in self.drawn:
                pairs = side[:, self.diploid[k]]
                self._keep(f"heterozygous_{k}", (pairs[:, 0::2] != pairs[:, 1::2]).mean(axis=1))
                self._keep(f"counts_{k}", side[:, self.drawn[k]].sum(axis=1, dtype=np.int64))
        q = self.parts["frequency_train"][-1]
        common = np.flatnonzero(np.minimum(q, 1 - q) >= COMMON)
        self._keep("linked_cm", cm[common])
        for k in self.drawn:
            self._keep(f"linked_{k}", sides[k][np.ix_(common, self.drawn[k])])
        spaced = []
        for site in common:
            if cm[site] >= self.last_cm + spacing:
                spaced.append(site)
                self.last_cm = cm[site]
        for k, side, rows in (("real", real, self.rows[0]), ("pseudo", pseudo, self.rows[1])):
            taken = side[spaced]
            self._keep(f"structure_{k}", (taken[:, 0::2] + taken[:, 1::2])[:, rows])
        self.hashes = [hash_block(h, side) for h, side in zip(self.hashes, (real, pseudo), strict=True)]

    def joined(self, name: str) -> np.ndarray:
        return np.concatenate(self.parts[name]) if name in self.parts else np.empty(0)

    def sample(self, chrom: str, haplotypes: int, pairs: np.ndarray, rows: tuple) -> Sample:
        named = {
            kind: {k: self.joined(f"{kind}_{k}") for k in self.columns if f"{kind}_{k}" in self.parts}
            for kind in ("frequency", "totals", "counts", "heterozygous")
        }
        return Sample(
            chrom,
            self.joined("cm"),
            named["frequency"],
            named["totals"],
            named["counts"],
            haplotypes,
            named["heterozygous"],
            self.people,
            pairs,
            self.joined("structure_real"),
            self.joined("structure_pseudo"),
            rows,
            *self.hashes,
        )

    def _keep(self, name: str, values: np.ndarray) -> None:
        self.parts.setdefault(name, []).append(values)


def _groups(chrom: str, part: np.ndarray, sex: np.ndarray, pseudo_sex: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Haplotype columns of every group; of males one on X, whose PARs are too short for a rule of their own."""

    def columns(rows: np.ndarray, sexes: np.ndarray) -> np.ndarray:
        pairs = np.column_stack([2 * rows, 2 * rows + 1])
        single = (sexes[rows] == 1) & (chrom == "X")
        return pairs[np.column_stack([np.ones(len(rows), bool), ~single])]

    rng = counter.generator(seed, "matched people")  # the same people on every chromosome
    drawn = np.sort(rng.permutation(len(pseudo_sex))[: max(int((part == "B").sum()), 1)])
    rows = {"train": part == "train", "holdout": np.isin(part, HOLDOUT), "A": part == "A", "B": part == "B"}
    groups = {k: columns(np.flatnonzero(r), sex) for k, r in rows.items()}
    return groups | {"pseudo": columns(np.arange(len(pseudo_sex)), pseudo_sex), "matched": columns(drawn, pseudo_sex)}


def _equal_columns(columns: dict[str, np.ndarray], persons: int, rng: np.random.Generator) -> tuple[dict, int]:
    """Equal numbers of random haplotypes of train, holdout and pseudo."""
    size = min(2 * persons, *(len(columns[k]) for k in ("train", "holdout", "pseudo")))
    return {k: np.sort(rng.permutation(columns[k])[:size]) for k in ("train", "holdout", "pseudo")}, size


def _structure_rows(part: np.ndarray, n_pseudo: int, persons: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Real and pseudo people for principal components, the same on every chromosome: holdout first, then train."""
    rng = counter.generator(seed, "people for principal components")
    held, train = (rng.permutation(np.flatnonzero(m))[:persons] for m in (np.isin(part, HOLDOUT), part == "train"))
    return np.sort(np.concatenate([held, train])), np.sort(rng.permutation(n_pseudo)[:persons])
