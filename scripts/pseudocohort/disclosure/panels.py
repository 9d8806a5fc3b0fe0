"""Who is attacked and with what: members, relatives of theirs, non-members, a reference panel, and planted leaks.

Members are founders, drawn at random. Non-members are part A of the holdout, the reference panel is part B: both less
those who are kin of a founder by their genotypes, who would be half members. Relatives are children of a member and a
non-member, made here. The planted leak is half of the non-members, copied into the pseudo cohort with a few errors.
All pseudo people are read, and all founders for the copies of them; they lie in nameless files, not in memory.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.maps import GeneticMap
from pseudocohort.disclosure import packed as bits
from pseudocohort.errors import InputError
from pseudocohort.genotypes import Genotypes, read_pvar

MOST_PEOPLE = 10_000  # of the non-members and of the reference panel
MOST_SITES = 200_000  # of a chromosome
MOST_RELATIVES = 500
PLANTED = 0.1  # share of the pseudo people in the panel who are replaced by copies
ERROR = 0.001  # share of the letters that a copy has wrong
KEYS = ["pos", "ref", "alt"]


class Panel(NamedTuple):
    """Row numbers in the real files: members, nonmembers, reference, ascending.

    planted: bool (nonmembers,), the half that is copied into the pseudo cohort as a control; no family is parted.
    """

    members: np.ndarray
    nonmembers: np.ndarray
    reference: np.ndarray
    planted: np.ndarray

    @property
    def relatives(self) -> int:
        """Child i has member i and non-member i as parents."""
        return min(len(self.members), len(self.nonmembers), MOST_RELATIVES)


class Panels(NamedTuple):
    """Alleles of one chromosome at the sites of `cm` (sites,): see `genomes.statistics`. founders: all of them; leaky:
    the pseudo cohort with the planted leak; these and the pseudo cohort lie in files (`packed.Filed`). sites: of the
    chromosome, in all; shared: of those looked at that the pseudo cohort has."""

    founders: bits.Packed
    members: bits.Packed
    relatives: bits.Packed
    nonmembers: bits.Packed
    reference: bits.Packed
    pseudo: bits.Packed
    leaky: bits.Packed
    cm: np.ndarray
    sites: int
    shared: int


def draw_panel(people: pd.DataFrame, founders: np.ndarray, kin: np.ndarray, targets: int, seed: int) -> Panel:
    """people: the people table (part, family, stratum).  founders: rows whose haplotypes are transmitted.
    kin: bool (people,), of the holdout, kin of a founder.  targets: members at most."""
    rng = counter.generator(seed, "attacks on genomes")
    part = people["part"].to_numpy(dtype=str)

    def drawn(rows: np.ndarray, most: int) -> np.ndarray:
        return np.sort(rng.permutation(rows)[:most])

    nonmembers = drawn(np.flatnonzero((part == "A") & ~kin), MOST_PEOPLE)
    reference = drawn(np.flatnonzero((part == "B") & ~kin), MOST_PEOPLE)
    half = even_half(people.iloc[nonmembers], rng)
    return Panel(drawn(founders, targets), nonmembers, reference, half)


def even_half(people: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Half of the families, bool (people,): of two families of one stratum and alike in size one, at random."""
    families = people.groupby(people["family"].astype(str).to_numpy())["stratum"].agg(["first", "size"])
    order = np.lexsort([rng.random(len(families)), families["size"], families["first"].astype(str)])
    first = rng.integers(2, size=-(-len(order) // 2)).repeat(2)[: len(order)]
    chosen = np.empty(len(order), dtype=bool)
    chosen[order] = (np.arange(len(order)) + first) % 2 == 0
    return chosen[families.index.get_indexer(people["family"].astype(str))]


def read_panels(
    real_prefix: str,
    pseudo_prefix: str,
    genetic_map: GeneticMap,
    chrom: str,
    panel: Panel,
    founders: np.ndarray,
    seed: int,
    folder: str | Path | None = None,
) -> Panels:
    """The panels of one chromosome, its sites MOST_SITES at most and evenly spread, as bits; memory: those who are
    attacked and the reference panel.

    founders: rows, the panel's members among them.  folder: of the nameless files that hold founders, pseudo and leaky.
    Sites that the pseudo cohort lacks are taken as sites at which nobody of it has ALT.
    Raises InputError where the two files share no site, or there are no people to compare.
    """
    rows = np.unique(np.concatenate([founders, panel.nonmembers, panel.reference]))
    with Genotypes(real_prefix, rows) as real, Genotypes(pseudo_prefix) as made:
        _check(panel, made.n_people)
        place = _places(real.sites, made.sites, (real_prefix, pseudo_prefix))
        taken = bits.spread(real.n_sites, MOST_SITES)
        cm = np.asarray(genetic_map.cm_at(real.sites["pos"].to_numpy()[taken]), dtype=float)
        groups = (founders, panel.members, panel.nonmembers, panel.reference)
        everybody, *columns = (_columns(rows, some) for some in groups)
        children = _Children(panel.relatives, cm, counter.generator(seed, "children of members", chrom))
        leak = _Leak(panel, made.n_people, counter.generator(seed, "planted leak", chrom))
        numbers = [2 * len(founders), *[2 * made.n_people] * 2]
        filed = [bits.Packed(bits.Filed(folder, len(taken), number), number) for number in numbers]
        parts: list[list[bits.Packed]] = []
        for low, sites in _blocks(taken, bits.sites_at_once(2 * max(len(rows), made.n_people))):
            alleles = _alleles(real, sites)
            members, nonmembers, reference = (alleles[:, c] for c in columns)
            pseudo = _pseudo_alleles(made, place[sites])
            born = children.block(members, nonmembers, low)
            parts.append([bits.pack(x) for x in (members, born, nonmembers, reference)])
            for panel_file, group in zip(
                filed, (alleles[:, everybody], pseudo, leak.block(pseudo, nonmembers)), strict=True
            ):
                panel_file.rows.write(low, bits.pack(group).rows)
    joined = [
        bits.Packed(np.concatenate([p.rows for p in group]), group[0].number) for group in zip(*parts, strict=True)
    ]
    return Panels(filed[0], *joined, *filed[1:], cm, len(place), int((place[taken] >= 0).sum()))


def _check(panel: Panel, pseudo: int) -> None:
    for number, name, what in (
        (len(panel.members), "founders", "founders"),
        (len(panel.nonmembers), "non-members", "people in part A of the holdout who are no kin of a founder"),
        (len(panel.reference), "reference people", "people in part B of the holdout who are no kin of a founder"),
        (pseudo, "pseudo people", "pseudo people"),
    ):
        if number < 2:
            raise InputError(
                f"the attacks on genomes have no {name}",
                where="results/real/people.parquet",
                expected=f"two {what} at least; 40 for a verdict",
                remedy="enlarge the cohort or its holdout (config key holdout)",
            )


def released_sites(real_prefix: str, pseudo_prefix: str) -> np.ndarray:
    """Rows, ascending, of the real sites that the pseudo cohort has."""
    sites = [read_pvar(f"{prefix}.pvar") for prefix in (real_prefix, pseudo_prefix)]
    return np.flatnonzero(_places(*sites, (real_prefix, pseudo_prefix)) >= 0)


def _places(real: pd.DataFrame, made: pd.DataFrame, names: tuple[str, str]) -> np.ndarray:
    """Row of each real site in the pseudo file, -1 where it is not there: int64 (sites,)."""
    both = real[KEYS].assign(a=np.arange(len(real))).merge(made[KEYS].assign(b=np.arange(len(made))), on=KEYS)
    if not len(both):
        raise InputError(
            f"{names[0]}.pvar and {names[1]}.pvar share no site",
            where=f"{names[1]}.pvar",
            expected="pseudo genotypes that were made from these real ones: the same POS, REF and ALT",
            remedy="remove the pseudo genotypes and run the workflow again",
        )
    place = np.full(len(real), -1)
    place[both["a"]] = both["b"]
    return place


def _blocks(taken: np.ndarray, size: int) -> Iterator[tuple[int, np.ndarray]]:
    for low in range(0, len(taken), size):
        yield low, taken[low : low + size]


def _columns(rows: np.ndarray, some: np.ndarray) -> np.ndarray:
    """Columns of the haplotypes of `some` among those of `rows`."""
    at = np.searchsorted(rows, some)
    return np.stack([2 * at, 2 * at + 1], axis=1).ravel()


def _pseudo_alleles(made: Genotypes, place: np.ndarray) -> np.ndarray:
    """Alleles int8 (sites, 2 people) of the rows `place`, 0 where it is -1."""
    alleles, there = np.zeros((len(place), 2 * made.n_people), dtype=np.int8), place >= 0
    if there.any():
        alleles[there] = _alleles(made, place[there])
    return alleles


def _alleles(file: Genotypes, sites: np.ndarray) -> np.ndarray:
    """Alleles int8 (sites, 2 people); sites far apart are read one by one, as those between them would fill memory."""
    low, high = int(sites.min()), int(sites.max()) + 1
    if high - low < 2 * len(sites):
        return file.haplotypes(low, high)[sites - low]
    return np.concatenate([file.haplotypes(site, site + 1) for site in sites.tolist()])


class _Children:
    """A gamete of member i and one of non-member i for each child i, block by block; crossovers without interference
    along the map (Haldane)."""

    def __init__(self, number: int, cm: np.ndarray, rng: np.random.Generator):
        self.number, gametes = number, 2 * number
        self.phase = rng.integers(2, size=gametes, dtype=np.int8)
        times = rng.poisson((cm[-1] - cm[0]) / 100, gametes)
        self.gamete = np.repeat(np.arange(gametes), times)
        self.site = np.searchsorted(cm, rng.uniform(cm[0], cm[-1], len(self.gamete)))

    def block(self, members: np.ndarray, nonmembers: np.ndarray, low: int) -> np.ndarray:
        """Alleles (sites, 2 children) at the sites from `low` on of those of their parents."""
        turns = np.zeros((len(members), 2 * self.number), dtype=np.int8)
        here = (self.site >= low) & (self.site < low + len(members))
        np.bitwise_xor.at(turns, (self.site[here] - low, self.gamete[here]), 1)
        phase = np.bitwise_xor.accumulate(turns, axis=0) ^ self.phase
        self.phase = phase[-1]
        born = np.empty((len(members), 2 * self.number), dtype=np.int8)
        for side, parent in enumerate((members, nonmembers)):
            first, second = (parent[:, k : 2 * self.number : 2] for k in (0, 1))
            born[:, side::2] = np.where(phase[:, side::2] == 0, first, second)
        return born


class _Leak:
    """The pseudo panel with the haplotypes of the planted half of the non-members in some of its places."""

    def __init__(self, panel: Panel, people: int, rng: np.random.Generator):
        planted = np.flatnonzero(panel.planted)
        count = min(max(len(planted), int(PLANTED * people)), people)
        person = np.resize(planted, count)
        place = np.sort(rng.permutation(people)[:count])
        self.source, self.place = (np.stack([2 * x, 2 * x + 1], axis=1).ravel() for x in (person, place))
        self.rng = rng

    def block(self, pseudo: np.ndarray, nonmembers: np.ndarray) -> np.ndarray:
        leaky = pseudo.copy()
        wrong = self.rng.random((len(pseudo), len(self.place)), dtype=np.float32) < ERROR
        leaky[:, self.place] = nonmembers[:, self.source] ^ wrong
        return leaky
