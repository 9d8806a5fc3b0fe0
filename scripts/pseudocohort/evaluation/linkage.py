"""Linkage disequilibrium of pairs of sites: its decay with genetic distance, and signed r as a distance of cohorts.

Unlinked genomes, the naive baseline, have the pseudo people's alleles with every site's column shuffled.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pseudocohort.evaluation.resampling import (
    BLOCK_CM,
    Split,
    codes,
    gaps_measure,
    interval,
    resampled,
    split_gaps,
)
from pseudocohort.measures.line import measure

BINS = np.array([0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20])  # cM
ANCHORS = 400  # sites of a chromosome that are paired with others
PARTNERS = 8  # pairs an anchor has in every bin of distance
GROUPS = ("train", "holdout", "pseudo", "unlinked")
FEWEST_PAIRS = 30  # in a bin
RANGES = (("linkage_near", 0.0, 0.1), ("linkage_middle", 0.1, 0.5), ("linkage_far", 1.0, 5.0))  # cM


class Pairs(NamedTuple):
    """Pairs of sites of a chromosome. at, distance: (pairs,) cM of the left site, and between the two.
    r2: (pairs, 4) in GROUPS.  gaps: (pairs, 3) as split_gaps gives them, of signed r.  haplotypes: of a group.
    people: in a half of the holdout."""

    at: np.ndarray
    distance: np.ndarray
    r2: np.ndarray
    gaps: np.ndarray
    haplotypes: int
    people: int


def linkage_pairs(
    cm: np.ndarray, alleles: dict[str, np.ndarray], splits: list[Split], people: int, rng: np.random.Generator
) -> Pairs:
    """r of pairs of sites spread over bins of genetic distance.

    cm: (sites,) increasing.  alleles: (sites, haplotypes) 0/1 by group of GROUPS, equal numbers of haplotypes.
    Pairs with a site that is fixed in a group are left out.
    """
    haplotypes = alleles["train"].shape[1] if len(cm) else 0
    if len(cm) < 2:
        return Pairs(np.empty(0), np.empty(0), np.empty((0, 4)), np.empty((0, 3)), haplotypes, people)
    left, right = spread_pairs(cm, rng)
    packed = {k: bits(a) for k, a in alleles.items()}
    r2 = np.column_stack([correlation(packed[k], all_of(alleles[k].shape[1]), left, right) ** 2 for k in GROUPS])

    def statistic(group: str, columns: np.ndarray) -> np.ndarray:
        return correlation(packed[group], mask_of(columns, alleles[group].shape[1]), left, right)

    gaps = split_gaps(statistic, splits, len(left))
    seen = np.isfinite(r2).all(axis=1)
    return Pairs(cm[left][seen], (cm[right] - cm[left])[seen], r2[seen], gaps[seen], haplotypes, people)


def spread_pairs(cm: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Left and right sites of pairs: up to PARTNERS of each of ANCHORS sites in every bin of BINS."""
    anchors = np.unique(np.linspace(0, len(cm) - 2, ANCHORS).round().astype(int))
    chosen = []
    for low, high in itertools.pairwise(BINS):
        first = np.maximum(np.searchsorted(cm, cm[anchors] + low), anchors + 1)
        last = np.searchsorted(cm, cm[anchors] + high)
        partner = first[:, None] + (rng.random((len(anchors), PARTNERS)) * (last - first)[:, None]).astype(int)
        valid = (partner < last[:, None]) & (last > first)[:, None]
        pairs = np.column_stack([np.repeat(anchors, PARTNERS)[valid.ravel()], partner[valid]])
        chosen.append(np.unique(pairs, axis=0))
    table = np.concatenate(chosen)
    return table[:, 0], table[:, 1]


def bits(alleles: np.ndarray) -> np.ndarray:
    """(sites, haplotypes) 0/1 -> (sites, words) uint64, 64 haplotypes a word, the last filled up with zeros."""
    pad = -alleles.shape[1] % 64
    return np.ascontiguousarray(np.packbits(np.pad(alleles, ((0, 0), (0, pad))), axis=1)).view(np.uint64)


def mask_of(columns: np.ndarray, haplotypes: int) -> np.ndarray:
    """(words,) uint64 with the bits of these columns set; as `bits`."""
    chosen = np.zeros((1, haplotypes), dtype=np.uint8)
    chosen[0, columns] = 1
    return bits(chosen)[0]


def all_of(haplotypes: int) -> np.ndarray:
    """The mask of all columns."""
    return mask_of(np.arange(haplotypes), haplotypes)


def correlation(packed: np.ndarray, mask: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Signed r of the site pairs (left, right) over the haplotypes of the mask: (pairs,); NaN where a site is fixed.

    packed: (sites, words) as `bits` gives them.  r = D / sqrt(p(1 - p) q(1 - q)) (Hill and Robertson 1968).
    """
    n = int(np.bitwise_count(mask).sum())
    masked = packed & mask
    p = np.bitwise_count(masked).sum(axis=1) / n
    both = np.empty(len(left))
    for start in range(0, len(left), 8192):
        part = slice(start, start + 8192)
        both[part] = np.bitwise_count(masked[left[part]] & masked[right[part]]).sum(axis=1) / n
    spread = np.sqrt(p * (1 - p))
    with np.errstate(all="ignore"):
        r = (both - p[left] * p[right]) / (spread[left] * spread[right])
    return np.where(np.isfinite(r), r, np.nan)


def expected_r2(r2: np.ndarray, distance: np.ndarray, generations: int, drift: float) -> np.ndarray:
    """r^2 after G generations of recombination and drift, from the founders' (pairs,), both without chance.

    Q' = (1 - c)^2 (e + (1 - e) Q) a generation (Sved 1971), c by Haldane's map function from the distance in cM,
    drift = 1 - (1 - e)^G being the pedigree's loss of heterozygosity, taken to be even over the generations.
    """
    c = 0.5 * (1 - np.exp(-2 * distance / 100))
    e = 1 - (1 - drift) ** (1 / generations)
    for _ in range(generations):
        r2 = (1 - c) ** 2 * (e + (1 - e) * r2)
    return r2


def linkage_metrics(
    found: Sequence[Pairs], generations: int, drift: float | None, rng: np.random.Generator
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Lines of LD by distance, R of signed r over all pairs, and the curves of the figure.

    found: one a chromosome.  drift: the pedigree's, None where there is no theory (X).
    """
    at, distance, r2, gaps = (np.concatenate([p[i] for p in found]) for i in range(4))
    if not len(at):
        return [], {"linkage/edges": BINS}
    chrom = np.concatenate([np.full(len(p.at), i) for i, p in enumerate(found)])
    block = codes(chrom, np.floor(at / BLOCK_CM))
    size, people = min(p.haplotypes for p in found), min(p.people for p in found)
    chance = float(np.mean([1 / p.haplotypes for p in found]))
    known = {} if drift is None else {"theory": expected_r2(r2[:, 0] - chance, distance, generations, drift)}
    arrays = _curves(distance, r2, block, chance, known, rng)
    lines = []
    for key, low, high in RANGES:
        inside = (distance >= low) & (distance < high)
        train, held, made, unlinked = r2[inside].mean(axis=0) - chance if inside.any() else np.full(4, np.nan)
        if inside.sum() < 100 or train <= 0:  # too few people to tell linkage from chance
            continue
        draws = resampled(block[inside], r2[inside] - chance, rng)
        theory = known["theory"][inside].mean() / train if known else np.nan
        against = key == "linkage_far"  # judged by its ratio to theory
        lines.append(
            measure(
                key,
                made / train,
                floor=held / train,
                ratio=made / train / theory,
                interval=interval(draws[:, 2] / draws[:, 0] / (theory if against else 1)),
                baseline=unlinked / train,
                theory=theory,
                pairs=int(inside.sum()),
                haplotypes=size,
            )
        )
    near = distance < 1
    numbers = {"pairs": int(near.sum()), "haplotypes": size}
    return [*lines, gaps_measure("linkage_distance", gaps[near], block[near], people, rng, **numbers)], arrays


def _curves(distance, r2, block, chance: float, known: dict, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Mean r^2 by bin of distance in every group, with intervals, and what theory expects."""
    bins = np.digitize(distance, BINS) - 1
    inside = [bins == b for b in range(len(BINS) - 1)]
    sizes = np.array([i.sum() for i in inside])
    width = r2.shape[1]
    means, ends, theory = np.full((width, len(sizes)), np.nan), np.full((width, len(sizes), 2), np.nan), sizes * np.nan
    for b, rows in enumerate(inside):
        if sizes[b] < FEWEST_PAIRS:
            continue
        means[:, b] = r2[rows].mean(axis=0)
        draws = resampled(block[rows], r2[rows], rng)
        ends[:, b] = [interval(draws[:, k]) for k in range(width)]
        theory[b] = known["theory"][rows].mean() + chance if known else np.nan
    named = {"edges": BINS, "r2": means, "pairs": sizes, "chance": np.array(chance), "intervals": ends}
    return {f"linkage/{k}": v for k, v in (named | {"theory": theory}).items()}
