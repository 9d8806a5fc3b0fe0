"""Allele frequencies: the likelihood ratio of Sankararaman, Obozinski, Jordan and Halperin 2009.

"Genomic privacy and limits of individual detection in a pool": for a target's alleles x at sites j, with p' the
frequency in the pool and p that of the population, sum_j x_j log(p'_j / p_j) + (1 - x_j) log((1 - p'_j) / (1 - p_j)).
"""

import numpy as np


def frequency(count: np.ndarray, haplotypes: int) -> np.ndarray:
    """(count + 1/2) / (haplotypes + 1): never 0 or 1."""
    return (count + 0.5) / (haplotypes + 1)


def likelihood_ratio(pool: np.ndarray, population: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights of a haplotype's alleles (sites,) and the constant a haplotype: LR = alleles @ weights + constant.

    pool, population: frequencies strictly between 0 and 1, (sites,).
    """
    ones, zeros = np.log(pool / population), np.log((1 - pool) / (1 - population))
    return ones - zeros, float(zeros.sum())
