"""Nearest neighbours among whole genotypes, and adversarial accuracy (Yale et al. 2020).

Distances are squared Euclidean over dosages: |x|^2 + |y|^2 - 2 x y, one matrix product.
"""

from typing import NamedTuple

import numpy as np

from pseudocohort.disclosure.packed import Packed

PEOPLE_AT_ONCE = 2000
SITES_AT_ONCE = 512


class Accuracy(NamedTuple):
    """Share of targets whose nearest pseudo person is further than their nearest target, and share of pseudo people
    whose nearest target is further than their nearest pseudo person: the halves of AATS.

    1/2 each if nobody can tell them apart. Copying draws the first down, outliers push the second up: their mean, AATS
    itself, can be 1/2 with both, and so is not told.
    """

    targets: float
    pseudo: float


def nearest_distance(targets: Packed, panel: Packed, *, same: bool = False) -> np.ndarray:
    """Distance of each target to the nearest person of the panel, float64 (people,).

    same: targets and panel are the same people in memory, nobody is their own neighbour.  Exact while below 2^24;
    memory PEOPLE_AT_ONCE x PEOPLE_AT_ONCE, and the targets and a batch of the panel.
    """
    people = targets.number // 2
    best = np.full(people, np.inf)
    for _, batch in panel.batches():
        for low in range(0, people, PEOPLE_AT_ONCE):
            for left in range(0, batch.number // 2, PEOPLE_AT_ONCE):
                part = _distances(targets, batch, low, left)
                if same and low == left:
                    np.fill_diagonal(part, np.inf)
                best[low : low + len(part)] = np.minimum(best[low : low + len(part)], part.min(axis=1))
    return best


def _distances(targets: Packed, panel: Packed, low: int, left: int) -> np.ndarray:
    """Of PEOPLE_AT_ONCE people from `low` and from `left` on, float32."""
    total = None
    for site in range(0, len(targets.rows), SITES_AT_ONCE):
        x, y = (_dosages(p, first, site) for p, first in ((targets, low), (panel, left)))
        part = x.T @ y
        part *= -2
        part += (x**2).sum(axis=0)[:, None]
        part += (y**2).sum(axis=0)
        total = part if total is None else np.add(total, part, out=total)
    return total


def _dosages(packed: Packed, first: int, site: int) -> np.ndarray:
    """float32 (sites, people) of SITES_AT_ONCE sites and PEOPLE_AT_ONCE people."""
    last = min(first + PEOPLE_AT_ONCE, packed.number // 2)
    rows = packed.rows[site : site + SITES_AT_ONCE, first // 4 : -(-last // 4)]
    alleles = np.unpackbits(rows, axis=1, count=2 * (last - first), bitorder="little")
    return (alleles[:, 0::2] + alleles[:, 1::2]).astype(np.float32)


def adversarial_accuracy(targets: Packed, pseudo: Packed, most: int) -> Accuracy:
    """Adversarial accuracy of equal numbers of people, in memory: the first ones, of `most` haplotypes at most."""
    people = min(targets.number, pseudo.number, most) // 8 * 8
    one, other = (Packed(p.rows[:, : people // 8], people) for p in (targets, pseudo))
    across, back = nearest_distance(one, other), nearest_distance(other, one)
    first = float(np.mean(across > nearest_distance(one, one, same=True)))
    second = float(np.mean(back > nearest_distance(other, other, same=True)))
    return Accuracy(first, second)
