"""Exact copies of genomes, by hash. None is expected.

That nothing is copied letter by letter proves no privacy; it only shows that the generator does not
hand out what it was given.
"""

import numpy as np

from pseudocohort.evaluation.metrics import HOLDOUT, MINIMUM_PEOPLE
from pseudocohort.evaluation.real_cells import few_or_number
from pseudocohort.measures.line import measure

_PRIME = np.uint64(0x9E3779B97F4A7C15)


def hash_block(state: np.ndarray, alleles: np.ndarray) -> np.ndarray:
    """Fold a block of alleles into one 64-bit hash a haplotype.

    state: (haplotypes,) uint64, zeros at the start.  alleles: (sites, haplotypes) 0 or 1.  Returns the new state.
    Equal haplotypes get equal hashes; of n pairs of unequal ones about n / 2^64 do, too.
    """
    pad = -alleles.shape[0] % 64
    packed = np.packbits(np.pad(alleles.astype(np.uint8), ((0, pad), (0, 0))), axis=0)
    words = np.ascontiguousarray(packed.reshape(-1, 8, alleles.shape[1]).transpose(0, 2, 1)).view(np.uint64)[..., 0]
    for word in words:
        state = (state ^ word) * _PRIME
        state = state ^ (state >> np.uint64(29))
    return state


def person_hash(haplotypes: np.ndarray) -> np.ndarray:
    """Hash of each person's unordered pair of haplotypes: (2n,) uint64 -> (n,)."""
    pair = np.sort(haplotypes.reshape(-1, 2), axis=1)
    mixed = (pair[:, 0] * _PRIME) ^ (pair[:, 0] >> np.uint64(31))
    return (mixed + pair[:, 1]) * _PRIME


def genome_copies(real: dict[str, np.ndarray], pseudo: dict[str, np.ndarray], part: np.ndarray) -> list[dict]:
    """Metrics of exact copies of genomes, chromosomes and haplotypes.

    real, pseudo: hashes (2 people,) by chromosome.  part: (people,) train for the founders, A or B for the holdout,
    anything else for others; the floor is the same count among holdout people against founders, and details.shared says
    it in words: no number from 1 to 4 of real people is told, so that the floor of so few is 0, and of a share none.
    """
    train, holdout = part == "train", np.isin(part, HOLDOUT)
    autosomes = [c for c in real if c != "X"]
    names = {"whole genome": _genome(real), **{c: person_hash(real[c]) for c in autosomes}}
    others = {"whole genome": _genome(pseudo), **{c: person_hash(pseudo[c]) for c in autosomes}}
    found = np.isin(others["whole genome"], names["whole genome"])
    shared = np.isin(names["whole genome"][holdout], names["whole genome"][train])
    lines = [measure("copied_genomes", int(found.sum()), **_told(shared.sum(), shared.sum()))]
    if autosomes:
        copied = sum(np.isin(others[c], names[c]).sum() for c in autosomes)
        alike = np.array([np.isin(names[c][holdout], names[c][train]) for c in autosomes])
        lines.append(measure("copied_pairs", int(copied), **_told(alike.sum(), alike.any(axis=0).sum())))
        whole = np.mean([np.isin(pseudo[c], real[c]).mean() for c in autosomes])
        rows, held = np.repeat(train, 2), np.repeat(holdout, 2)
        alike = np.array([np.isin(real[c][held], real[c][rows]) for c in autosomes])
        people = int(alike.any(axis=0).reshape(-1, 2).any(axis=1).sum())
        floor = alike.mean() if held.any() and not 0 < people < MINIMUM_PEOPLE else None
        lines.append(measure("copied_haplotypes", whole, floor=floor))
    return lines


def _told(count: int, people: int) -> dict:
    """floor and details.shared of a count among so many real people."""
    few = 0 < people < MINIMUM_PEOPLE
    return {"floor": 0 if few else int(count), "shared": few_or_number(people if few else count)}


def _genome(hashes: dict[str, np.ndarray]) -> np.ndarray:
    total = np.uint64(0)
    for chromosome in sorted(hashes):
        total = (total ^ person_hash(hashes[chromosome])) * _PRIME
    return total
