"""What haplotypes of windows and alleles of sites tell, weighed as a labelled sample of members and others says.

For a target's haplotype in a window, carried c' times in the pseudo cohort and c times in the reference panel, the
likelihood ratio of membership is some function of (c', c) that depends on how the pseudo cohort was made: on a cap, a
threshold, the drift. Counting a target's windows by classes of (c', c) makes its logarithm a sum of weights, which a
logistic regression learns from other families: an attacker who can rehearse the generator (or knows some members) does
the same.
"""

import numpy as np

from pseudocohort.disclosure.combined import cross_fitted
from pseudocohort.disclosure.packed import Packed, counts, products
from pseudocohort.disclosure.windows import carriers, hashes, window_bounds

WIDTHS = (0.05, 0.2)  # cM
RIDGE = 300.0  # on standardised cells, of which there are hundreds
CLASSES = 9  # 0, 1, 2 to 3, 4 to 7, ... carriers


def learned_score(
    cells: np.ndarray,
    sizes: tuple[int, int],
    member_family: np.ndarray | None = None,
    nonmember_family: np.ndarray | None = None,
) -> np.ndarray:
    """Log odds of membership learned from other families, (targets,): `combined.cross_fitted` of `cells`.

    cells: (targets, cells), members first, then non-members, then relatives.  sizes: numbers of the first two.
    """
    return cross_fitted(cells, sizes, member_family, nonmember_family, ridge=RIDGE)


def class_of(count: np.ndarray) -> np.ndarray:
    """0 of no carriers, else 1 + floor(log2 count), CLASSES - 1 at most."""
    return np.minimum(np.frexp(count.astype(float))[1], CLASSES - 1)


def cells(targets: Packed, pseudo: Packed, reference: Packed, cm: np.ndarray) -> np.ndarray:
    """Cells of windows of all WIDTHS and of alleles side by side, float64 (people, cells); chromosomes add up."""
    panels = (targets, pseudo, reference)
    return np.concatenate([*(window_cells(*panels, cm, w) for w in WIDTHS), allele_cells(*panels)], axis=1)


def window_cells(targets: Packed, pseudo: Packed, reference: Packed, cm: np.ndarray, width: float) -> np.ndarray:
    """A person's windows by classes of carriers in pseudo cohort and reference panel: float64 (people, cells)."""
    number = targets.number
    found = np.zeros((number, CLASSES**2))
    for first, last in window_bounds(cm, width):
        own, made, known = (hashes(p, first, last) for p in (targets, pseudo, reference))
        cell = class_of(carriers(own, made)) * CLASSES + class_of(carriers(own, known))
        found[np.arange(number), cell] += 1
    return found.reshape(-1, 2, CLASSES**2).sum(axis=1)


def allele_cells(targets: Packed, pseudo: Packed, reference: Packed) -> np.ndarray:
    """The minor alleles of both panels together that a person carries, by classes of their copies in either."""
    made, known = counts(pseudo), counts(reference)
    minor_is_zero = 2 * (made + known) > pseudo.number + reference.number
    made = np.where(minor_is_zero, pseudo.number - made, made)
    known = np.where(minor_is_zero, reference.number - known, known)
    cell = class_of(made) * CLASSES + class_of(known)
    cells = np.zeros((len(made), CLASSES**2), dtype=np.float32)
    cells[np.arange(len(made)), cell] = np.where(minor_is_zero, -1, 1)
    total = np.bincount(cell[minor_is_zero], minlength=CLASSES**2)
    return (products(targets, cells) + total).reshape(-1, 2, CLASSES**2).sum(axis=1)
