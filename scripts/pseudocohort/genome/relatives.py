"""What theory expects of relatives: kinship by the paths of the pedigree, and genes dropped along chromosomes.

The crossovers are drawn anew, on a grid of loci and by recombination fractions instead of breakpoints, so that what is
made here is a second reproduction on the same pedigree, by other means than the mosaic's.
"""

import numpy as np
from scipy.sparse import csr_array

from pseudocohort.genome.pedigree import Pedigree

DEPTH = 5  # generations of ancestors that may be shared: what is further off is much the same for all pairs
SPACING_CM = 0.2  # of the grid of loci


def pedigree_kinship(pedigree: Pedigree, rows: np.ndarray, depth: int = DEPTH) -> np.ndarray:
    """Kinship of pseudo people through ancestors at most `depth` generations back: float64 (people, people).

    rows: (people,) of the last generation.  Off the diagonal
        phi_ij = sum_g sum_a W_g[i, a] W_g[j, a] D_g,
    W_g[i, a] the expected share of i's genes that are a's of g generations back, D_g = 1/4 for Mendel's sampling in
    a person of non-inbred parents, and 1/2 where the tracing ends (Wright 1922; Henderson 1976). Ancestors are taken
    not to be inbred, which is right to a relative error of their inbreeding. The diagonal is 1/2.
    """
    generations = pedigree.generations
    share = csr_array((np.ones(len(rows)), (np.arange(len(rows)), rows)), shape=(len(rows), pedigree.people))
    phi = np.zeros((len(rows), len(rows)))
    for g in range(generations, max(generations - depth, 0), -1):
        children = len(pedigree.father[g - 1])
        row = np.tile(np.arange(children), 2)
        parent = np.concatenate([pedigree.father[g - 1], pedigree.mother[g - 1]])
        share = share @ csr_array(
            (np.full(2 * children, 0.5), (row, parent)), shape=(children, len(pedigree.sex[g - 1]))
        )
        ends = g - 1 == max(generations - depth, 0)
        phi += (0.5 if ends else 0.25) * (share @ share.T).toarray()
    np.fill_diagonal(phi, 0.5)
    return phi


def grid_of(cm: np.ndarray, spacing: float = SPACING_CM) -> np.ndarray:
    """Loci for gene dropping, and the locus of every site: float64 (loci,) cM and int64 (sites,).

    cm: (sites,) genetic positions, not decreasing.
    """
    low, high = (float(cm[0]), float(cm[-1])) if len(cm) else (0.0, 0.0)
    loci = low + spacing * (0.5 + np.arange(max(int(np.ceil((high - low) / spacing)), 1)))
    return loci, np.clip(((cm - low) / spacing).astype(np.int64), 0, len(loci) - 1)


def drop_genes(
    pedigree: Pedigree, rows: np.ndarray, fractions: tuple[np.ndarray, np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Founder haplotypes of pseudo people along one chromosome: int32 (loci, 2 people), 2 founder + haplotype.

    rows: (people,) of the last generation; columns 2 i and 2 i + 1 are what i has from father and mother.
    fractions: recombination fraction between each locus and the one before, (loci,) in fathers and in mothers; the
    first is not looked at. A gamete that several people descend from is drawn once, for all of them.
    """
    loci = len(fractions[0])
    gamete = np.broadcast_to((2 * np.asarray(rows)[:, None] + np.arange(2)).ravel(), (loci, 2 * len(rows)))
    for father, mother in zip(reversed(pedigree.father), reversed(pedigree.mother), strict=True):
        used = np.zeros(2 * len(father), dtype=bool)
        used[gamete] = True
        drawn = np.flatnonzero(used)
        index = np.cumsum(used) - 1
        start = rng.integers(2, size=(1, len(drawn)), dtype=np.int8)
        recombined = rng.random((loci - 1, len(drawn)), dtype=np.float32) < _fraction(fractions, drawn)
        passed = np.vstack([start, recombined]).cumsum(axis=0, dtype=np.int32) & 1  # which haplotype of the parent
        parent = np.where(drawn % 2 == 0, father[drawn // 2], mother[drawn // 2])
        gamete = (2 * parent + passed)[np.arange(loci)[:, None], index[gamete]]
    return gamete.astype(np.int32)


def haldane(cm: np.ndarray) -> np.ndarray:
    """Recombination fraction between each locus and the one before by Haldane's map function; the first is 1/2.

    cm: float64 (loci,), not decreasing.
    """
    return np.concatenate([[0.5], 0.5 * (1 - np.exp(-2 * np.maximum(np.diff(cm), 0) / 100))])


def _fraction(fractions: tuple[np.ndarray, np.ndarray], gamete: np.ndarray) -> np.ndarray:
    """(loci - 1, gametes): a father's for even gametes, a mother's for odd."""
    return np.column_stack(fractions)[1:].astype(np.float32)[:, gamete % 2]
