"""Kin of founders in the holdout by genotype: who is no founder but a founder's brother is no non-member."""

import numpy as np

from pseudocohort.disclosure.packed import spread
from pseudocohort.genotypes import Genotypes

DEGREE = 2**-3.5  # least kinship of relatives of the second degree (Manichaikul 2010)
CHANCE = 6.0  # standard deviations of strangers' kinship that it must be above, too: short genomes tell little
COMMON = 0.05
SITES = 1000  # of a chromosome
LOOKED = 10  # sites looked at for each that is wanted
FOUNDERS = 2000  # at once


def thinned_dosages(prefix: str, sites: int = SITES) -> np.ndarray:
    """Dosages of evenly spread common sites of a chromosome, int8 (sites, people)."""
    with Genotypes(prefix) as genotypes:
        looked = spread(genotypes.n_sites, LOOKED * sites)
        counts = np.concatenate([genotypes.counts(i, i + 1) for i in looked.tolist()]).astype(float)
        frequency = (counts[:, 1] + 2 * counts[:, 2]) / np.maximum(2 * counts[:, :3].sum(axis=1), 1)
        common = looked[np.minimum(frequency, 1 - frequency) >= COMMON]
        return genotypes.dosages_at(common[spread(len(common), sites)])


def kin_of_founders(dosages: np.ndarray, holdout: np.ndarray, founders: np.ndarray) -> np.ndarray:
    """Who of the holdout is kin to the second degree of a founder, bool (holdout,).

    dosages: int8 (sites, people).  holdout, founders: columns.  By KING-robust, phi_ij = 1/2 - sum (x_i - x_j)^2 /
    (4 min(het_i, het_j)) (Manichaikul 2010, equation 11), above DEGREE and above the median of all pairs by CHANCE
    times its distance to their 84 % quantile. Memory: the holdout times FOUNDERS.
    """
    highest, middle = np.full(len(holdout), -np.inf), []
    if not len(dosages) or not len(holdout):
        return np.zeros(len(holdout), dtype=bool)
    for low in range(0, len(founders), FOUNDERS):
        found = kinship(dosages, holdout, founders[low : low + FOUNDERS])
        highest = np.maximum(highest, found.max(axis=1))
        middle.append(np.quantile(found, [0.5, 0.8413]))
    median, upper = np.mean(middle, axis=0)
    return highest > max(DEGREE, median + CHANCE * (upper - median))


def kinship(dosages: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """KING-robust kinship of the columns `one` with the columns `other`, float32 (one, other)."""
    product, squares, het = np.zeros((len(one), len(other)), dtype=np.float32), [0.0, 0.0], [0, 0]
    for start in range(0, len(dosages), 512):
        x, y = (dosages[start : start + 512, rows].astype(np.float32) for rows in (one, other))
        product += x.T @ y
        for k, z in enumerate((x, y)):
            squares[k] = squares[k] + (z**2).sum(axis=0)
            het[k] = het[k] + (z == 1).sum(axis=0)
    different = squares[0][:, None] + squares[1] - 2 * product
    return 0.5 - different / (4 * np.maximum(np.minimum(het[0][:, None], het[1]), 1)).astype(np.float32)
