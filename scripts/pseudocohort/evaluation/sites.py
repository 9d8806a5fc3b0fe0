"""One pass over a chromosome's real and pseudo genotypes: everything the evaluation of genomes needs of them."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.maps import read_map
from pseudocohort.evaluation.divergence import NO_STRATA, Strata
from pseudocohort.evaluation.genome_copies import hash_block
from pseudocohort.evaluation.haplotypes import Windows, haplotype_windows
from pseudocohort.evaluation.linkage import Pairs, linkage_pairs
from pseudocohort.evaluation.metrics import HOLDOUT
from pseudocohort.evaluation.resampling import splits_of
from pseudocohort.genotypes import Genotypes

BLOCK = 256
COMMON = 0.05


class Sample(NamedTuple):
    """Statistics of a chromosome's sampled sites.

    cm: (sites,) genetic position.  frequency: ALT frequency by group (train, holdout, A, B, pseudo, matched:
    as many pseudo people as B has); males count once on X, in its PARs too.  totals: ALT copies in all of train,
    holdout, pseudo (folded: the rarer allele among the founders).  counts: ALT copies in `haplotypes` haplotypes a
    group.  heterozygous: share of heterozygous people by group.  people: number of people by group.
    genotypes: (sites, 2) heterozygous people and ALT copies among `tested` people of train, holdout, pseudo each.
    by_stratum, common_cm: ALT frequencies (common sites, strata) by group of divergence.Strata, and their cM.
    pairs, windows: linkage and haplotypes at common sites.  men: pseudo men, and how many of them are heterozygous
    somewhere on X outside its PARs.
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
    genotypes: dict[str, np.ndarray]
    tested: int
    by_stratum: dict[str, np.ndarray]
    common_cm: np.ndarray
    pairs: Pairs
    windows: Windows
    men: tuple[int, int]
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
    par: tuple[tuple[int, int], ...] = (),
    strata: Strata = NO_STRATA,
) -> Sample:
    """Read at most `sites` sites of a chromosome in both cohorts; see Sample.

    part: (people,) train, A or B, in the order of the real .psam; others, as founders who are not transmitted, are
    in no group.  alone: (people,) True for one person a family in the groups: relatives share long haplotypes, so
    linkage and spectrum look at unrelated real people.  persons: people a group
    for LD, spectrum and structure, at most.  spacing: least distance in cM of the sites for principal components.
    par: first and last position of the pseudo-autosomal regions of X.  strata: whose frequencies are told one by one.
    """
    genetic_map = read_map(map_path, chrom)
    with Genotypes(real_prefix) as real, Genotypes(pseudo_prefix) as pseudo:
        sex, pseudo_sex = (g.people["sex"].to_numpy() for g in (real, pseudo))
        columns = _groups(chrom, part, sex, pseudo_sex, seed)
        unrelated = columns | {k: columns[k][alone[columns[k] // 2]] for k in ("train", "holdout")}
        drawn = _equal_columns(unrelated, persons, counter.generator(seed, "evaluated haplotypes", chrom))
        rows = _structure_rows(part, pseudo.n_people, persons, seed)
        tested = unrelated_people(part, alone, pseudo.n_people, persons, seed)
        state = _State(
            strata, columns, drawn, rows, tested, np.flatnonzero(pseudo_sex == 1), len(part), pseudo.n_people
        )
        for start, stop, match in matching_blocks(real.sites, pseudo.sites, sites):
            others = np.zeros((stop - start, 2 * pseudo.n_people), dtype=np.int8)  # sites left out: nobody has ALT
            if len(match):
                low, high = int(match[0, 1]), int(match[-1, 1]) + 1
                others[match[:, 0] - start] = pseudo.haplotypes(low, high)[match[:, 1] - low]
            position = real.sites["pos"].to_numpy()[start:stop]
            cm = np.asarray(genetic_map.cm_at(position), dtype=float)
            state.add(real.haplotypes(start, stop), others, cm, spacing if chrom != "X" else np.inf)
            if chrom == "X":
                inside = [(position >= first) & (position <= last) for first, last in par]
                state.add_men(others[~np.logical_or.reduce(inside, axis=0)] if inside else others)
    return state.sample(chrom, part, counter.generator(seed, "pairs of sites", chrom))


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


class _State:
    """What is gathered block by block."""

    def __init__(
        self, strata: Strata, columns: dict, drawn: dict, rows: tuple, tested: dict, men, real: int, pseudo: int
    ):
        self.strata = {k: [np.add.outer(2 * r, [0, 1]).ravel() for r in rows] for k, rows in strata.rows.items()}
        self.columns, self.drawn, self.rows, self.tested, self.men = columns, drawn, rows, tested, men
        self.parts: dict[str, list[np.ndarray]] = {}
        self.hashes = [np.zeros(2 * n, dtype=np.uint64) for n in (real, pseudo)]
        self.mixed = np.zeros(len(men), dtype=bool)
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
                first, second = (side[:, 2 * self.tested[k] + i] for i in (0, 1))
                copies = first.sum(axis=1, dtype=np.int64) + second.sum(axis=1, dtype=np.int64)
                self._keep(f"genotypes_{k}", np.column_stack([(first != second).sum(axis=1), copies]))
        q = self.parts["frequency_train"][-1]
        common = np.flatnonzero(np.minimum(q, 1 - q) >= COMMON)
        self._keep("linked_cm", cm[common])
        chosen = {"real": real[common], "pseudo": pseudo[common]}
        for k, several in self.strata.items():
            side = chosen["pseudo" if k == "pseudo" else "real"]
            means = [side[:, c].sum(axis=1, dtype=np.int64) / max(len(c), 1) for c in several]
            self._keep(f"strata_{k}", np.array(means).reshape(len(several), len(common)).T)
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

    def add_men(self, pseudo: np.ndarray) -> None:
        """Alleles of pseudo people on X outside its PARs, where a man has one copy, written twice."""
        self.mixed |= (pseudo[:, 2 * self.men] != pseudo[:, 2 * self.men + 1]).any(axis=0)

    def joined(self, name: str) -> np.ndarray:
        return np.concatenate(self.parts[name]) if name in self.parts else np.empty(0)

    def sample(self, chrom: str, part: np.ndarray, rng: np.random.Generator) -> Sample:
        named = {
            kind: {k: self.joined(f"{kind}_{k}") for k in self.columns if f"{kind}_{k}" in self.parts}
            for kind in ("frequency", "totals", "counts", "heterozygous", "genotypes")
        }
        cm = self.joined("linked_cm")
        alleles = {k: self.joined(f"linked_{k}") for k in self.drawn}
        alleles["unlinked"] = rng.permuted(alleles["pseudo"], axis=1)
        holders = self.drawn["holdout"] // 2
        splits = splits_of(holders, part[holders], len(self.drawn["pseudo"]), rng)
        half = min((len(np.unique(holders[s.first])) for s in splits), default=0)
        return Sample(
            chrom,
            self.joined("cm"),
            named["frequency"],
            named["totals"],
            named["counts"],
            len(self.drawn["train"]),
            named["heterozygous"],
            self.people,
            named["genotypes"],
            len(self.tested["train"]),
            {k: self.joined(f"strata_{k}") for k in self.strata},
            cm,
            linkage_pairs(cm, alleles, splits, half, rng),
            haplotype_windows(cm, alleles, splits, half),
            (len(self.men), int(self.mixed.sum())),
            self.joined("structure_real"),
            self.joined("structure_pseudo"),
            self.rows,
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


def _equal_columns(columns: dict[str, np.ndarray], persons: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Equal numbers of random haplotypes of train, holdout and pseudo."""
    size = min(2 * persons, *(len(columns[k]) for k in ("train", "holdout", "pseudo")))
    return {k: np.sort(rng.permutation(columns[k])[:size]) for k in ("train", "holdout", "pseudo")}


def unrelated_people(
    part: np.ndarray, alone: np.ndarray, n_pseudo: int, persons: int, seed: int
) -> dict[str, np.ndarray]:
    """Row numbers of equally many people of train, holdout and pseudo, the same on every chromosome."""
    rng = counter.generator(seed, "evaluated people")
    rows = {"train": (part == "train") & alone, "holdout": np.isin(part, HOLDOUT) & alone, "pseudo": [True] * n_pseudo}
    found = {k: rng.permutation(np.flatnonzero(r))[:persons] for k, r in rows.items()}
    return {k: np.sort(r[: min(map(len, found.values()))]) for k, r in found.items()}


def _structure_rows(part: np.ndarray, n_pseudo: int, persons: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Real and pseudo people for principal components, the same on every chromosome: holdout first, then train."""
    rng = counter.generator(seed, "people for principal components")
    held, train = (rng.permutation(np.flatnonzero(m))[:persons] for m in (np.isin(part, HOLDOUT), part == "train"))
    return np.sort(np.concatenate([held, train])), np.sort(rng.permutation(n_pseudo)[:persons])
