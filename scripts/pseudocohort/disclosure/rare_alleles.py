"""Sharing of rare alleles: which a target carries and the pseudo cohort does, too, though few do."""

import numpy as np

from pseudocohort.disclosure.frequencies import frequency

RARE = 0.01  # of a panel's haplotypes
FEW = 5  # copies; the share RARE of a small panel would be none


def sharing_weights(pseudo: np.ndarray, reference: np.ndarray, haplotypes: tuple[int, int]) -> np.ndarray:
    """Weights of an allele 1 for sharing with the pseudo cohort and with the reference panel: (sites, 2), and (sites,)
    of the allele 0 where that is the rare one: returned as (sites, 2) weights and (2,) constants a haplotype.

    pseudo, reference: copies of the allele 1 (sites,).  An allele shared counts -log of its frequency in the other
    panel, as evidence grows with how rarely strangers carry it.
    """
    weights, constants = np.zeros((len(pseudo), 2)), np.zeros(2)
    counts = (pseudo, reference)
    for column, (count, number) in enumerate(zip(counts, haplotypes, strict=True)):
        other = frequency(counts[1 - column], haplotypes[1 - column])
        most = max(FEW, RARE * number)
        ones = np.where((count > 0) & (count <= most), -np.log(other), 0.0)
        zeros = np.where((count < number) & (count >= number - most), -np.log1p(-other), 0.0)
        weights[:, column] = ones - zeros
        constants[column] = zeros.sum()
    return weights, constants
