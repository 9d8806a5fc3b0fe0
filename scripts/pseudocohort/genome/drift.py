"""What theory expects of allele frequencies: genes dropped through the very pedigree of the pseudo cohort."""

from typing import NamedTuple

import numpy as np

from pseudocohort.genome.pedigree import Pedigree

LOCI = 200
DRAWS = 1_000_000  # founder haplotypes followed over all loci: enough for half a percent
LABELS = 20_000_000  # founder labels held at once, at most


class Drift(NamedTuple):
    """variance: expected (p' - p)^2 / (p (1 - p)) from founders to pseudo people.  survival: chance that one
    founder haplotype has a copy among them at a locus, and so that a singleton survives."""

    variance: float
    survival: float


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
    return Drift(float(founders / (founders - 1) * excess), float((counts > 0).mean()))


def _transmitted(labels: np.ndarray, parent: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(loci, people, 2) labels of the generation before, (children,) parents -> (loci, children)."""
    coin = rng.integers(2, size=(len(labels), len(parent)), dtype=np.int8).astype(bool)
    return np.where(coin, labels[:, parent, 1], labels[:, parent, 0])
