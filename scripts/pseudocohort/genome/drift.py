"""What theory expects of allele frequencies: genes dropped through the very pedigree of the pseudo cohort."""

from typing import NamedTuple

import numpy as np

from pseudocohort.genome.pedigree import Pedigree

LOCI = 200
DRAWS = 1_000_000  # founder haplotypes followed over all loci: enough for half a percent
LABELS = 20_000_000  # founder labels held at once, at most


class Drift(NamedTuple):
    """What became of founder haplotypes at autosomal loci; plain numbers, as drift.json has them.

    variance: expected (p' - p)^2 / (p (1 - p)) from founders to pseudo people.  survival: chance that one
    founder haplotype has a copy among them at a locus, and so that a singleton survives.
    copies: (c,) share of founder haplotypes with 0, 1, 2 ... copies.
    strata: names.  identity: (strata, strata) chance that two haplotypes of pseudo people of two strata, or two
    different ones of one stratum, descend from the same founder haplotype.  own: (strata,) the same of the two
    haplotypes of one person.  origin: (strata, strata) share of a stratum's genes (row) by stratum of the founder.
    size: (strata,) pseudo people.
    """

    variance: float
    survival: float
    copies: list[float]
    strata: list[str]
    identity: list[list[float]]
    own: list[float]
    origin: list[list[float]]
    size: list[int]


def expectation(pedigree: Pedigree, rng: np.random.Generator) -> Drift:
    """Drop the 2N founder haplotypes of autosomal loci through the pedigree, independently (MacCluer 1986).

    With c_h the share of founder haplotype h at a locus and alleles exchangeable among founder haplotypes,
    Var(p') = p(1 - p) 2N / (2N - 1) (E sum_h c_h^2 - 1 / 2N).
    Growth, decline, unequal contributions and kin avoided are in the pedigree and so in c. Migration that changes
    the strata's shares of the genes is in c as well, but moves sites whose frequency differs between strata
    further than this.
    """
    founders = 2 * len(pedigree.sex[0])
    largest = 2 * max(len(s) for s in pedigree.sex)
    loci = int(np.clip(min(DRAWS // founders, LABELS // largest), 5, LOCI))
    labels = np.broadcast_to(np.arange(founders, dtype=np.int32).reshape(1, -1, 2), (loci, founders // 2, 2))
    for father, mother in zip(pedigree.father, pedigree.mother, strict=True):
        labels = np.stack([_transmitted(labels, parent, rng) for parent in (father, mother)], axis=2)
    counts = np.array([np.bincount(locus.ravel(), minlength=founders) for locus in labels])
    shares = (counts / counts.sum(axis=1, keepdims=True)) ** 2
    excess = shares.sum(axis=1).mean() - 1 / founders
    identity, own, origin = _within_strata(labels, pedigree)
    return Drift(
        float(founders / (founders - 1) * excess),
        float((counts > 0).mean()),
        (np.bincount(counts.ravel()) / counts.size).tolist(),
        list(pedigree.strata),
        identity.tolist(),
        own.tolist(),
        origin.tolist(),
        np.bincount(pedigree.stratum[-1], minlength=len(pedigree.strata)).tolist(),
    )


def _within_strata(labels: np.ndarray, pedigree: Pedigree) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """identity, own and origin of Drift, from the founder labels (loci, people, 2) of the pseudo people."""
    strata, founders = len(pedigree.strata), 2 * len(pedigree.sex[0])
    stratum, origin_of = pedigree.stratum[-1].astype(np.int64), np.repeat(pedigree.stratum[0], 2)
    pairs, origin = np.zeros((strata, strata)), np.zeros((strata, strata))
    for locus in labels:
        cell = (locus + founders * stratum[:, None]).ravel()
        counts = np.bincount(cell, minlength=strata * founders).reshape(strata, founders).astype(float)
        pairs += counts @ counts.T
        origin += np.array([np.bincount(origin_of, row, strata) for row in counts])
    size = 2 * np.bincount(stratum, minlength=strata)
    possible = np.outer(size, size) - np.diag(size)
    identity = (pairs / len(labels) - np.diag(size)) / np.maximum(possible, 1)
    same = (labels[:, :, 0] == labels[:, :, 1]).mean(axis=0)
    own = np.bincount(stratum, same, strata) / np.maximum(size / 2, 1)
    return identity, own, origin / (len(labels) * np.maximum(size[:, None], 1))


def _transmitted(labels: np.ndarray, parent: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(loci, people, 2) labels of the generation before, (children,) parents -> (loci, children)."""
    coin = rng.integers(2, size=(len(labels), len(parent)), dtype=np.int8).astype(bool)
    return np.where(coin, labels[:, parent, 1], labels[:, parent, 0])
