"""How near pseudo haplotypes of one chromosome come to real ones, beside other real people: for the frontier.

Every group has equally many haplotypes, so a distance divided by that of the holdout is one where pseudo people differ
from the founders by chance alone.
"""

from typing import NamedTuple

import numpy as np

COMMON, LOW = 0.05, 0.01  # minor allele frequency from which on a site is common, and of low frequency
PAIRS = 6000  # of sites, in each class
REACH = {"near": (0.02, 0.1), "middle": (0.1, 0.5), "far": (0.5, 1.0)}  # cM
SITES = 8  # of a window of haplotype diversity
PLANTED, MARKER_CM = 100, 0.25  # sites with an effect, and how far away their best marker is looked for


class Groups(NamedTuple):
    """Alleles int8 (sites, haplotypes): of the founders, and equally many of the holdout and of pseudo people."""

    founders: np.ndarray
    holdout: np.ndarray
    pseudo: np.ndarray


def utility(groups: Groups, cm: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Measures by name, NaN where there are too few sites; 1 is as good as real people for all of them.

    ld, ld_low: RMS difference of signed r to the founders', over that of the holdout, of pairs of common sites and of
    sites of low frequency. ld_near, ld_middle, ld_far, ld_low_ratio: mean r^2 less chance over the founders'; those of
    `floor_` are the holdout's. frequency: RMS difference of standardised frequencies over the holdout's. diversity:
    haplotype heterozygosity over the founders'. slope: of effects at the best markers of planted effects on the
    founders' (`effects_slope`).
    """
    p = [g.mean(axis=1) for g in groups]
    minor = np.minimum(p[0], 1 - p[0])
    common, low = np.flatnonzero(minor >= COMMON), np.flatnonzero((minor >= LOW) & (minor < COMMON))
    found = {}
    pairs = {k: site_pairs(cm, common, ends, PAIRS, rng) for k, ends in REACH.items()}
    pairs["low"] = site_pairs(cm, low, (0.0, 0.5), PAIRS, rng)
    r = {k: [correlation(g, *both) for g in groups] for k, both in pairs.items()}
    found["ld"] = _against([np.concatenate([r[k][i] for k in REACH]) for i in range(3)])
    found["ld_low"] = _against(r["low"])
    for name, k in (("ld_near", "near"), ("ld_middle", "middle"), ("ld_far", "far"), ("ld_low_ratio", "low")):
        strength = [np.mean(x**2) - 1 / g.shape[1] if len(x) else np.nan for x, g in zip(r[k], groups, strict=True)]
        found[name] = strength[2] / strength[0]
        found[f"floor_{name}"] = strength[1] / strength[0]
    spread = np.sqrt(p[0] * (1 - p[0]))[common]
    found["frequency"] = _against([x[common] / spread for x in p])
    kinds = [diversity(g[common]) for g in groups]
    found |= {"diversity": kinds[2] / kinds[0], "floor_diversity": kinds[1] / kinds[0]}
    found["slope"], found["floor_slope"] = effects_slope(groups, cm, np.flatnonzero(minor >= LOW), rng)
    return {name: float(value) for name, value in found.items()}


def site_pairs(cm, sites, ends: tuple[float, float], number: int, rng: np.random.Generator) -> tuple:
    """Left and right sites, int64 (pairs,), at most `number`, of those that are so many cM apart."""
    first, last = (np.searchsorted(cm[sites], cm[sites] + end) for end in ends)
    first = np.maximum(first, np.arange(len(sites)) + 1)
    left = np.flatnonzero(last > first)
    if not len(left):
        return sites[:0], sites[:0]
    left = rng.choice(left, number)
    right = first[left] + (rng.random(number) * (last - first)[left]).astype(np.int64)
    return sites[left], sites[right]


def correlation(alleles: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Signed r of pairs of sites over all haplotypes (Hill and Robertson 1968); 0 where a site is fixed."""
    found, step = np.zeros(len(left)), 512
    for low in range(0, len(left), step):
        x, y = (alleles[side[low : low + step]].astype(np.float32) for side in (left, right))
        p, q = x.mean(axis=1), y.mean(axis=1)
        both = np.einsum("ij,ij->i", x, y) / x.shape[1]
        spread = np.sqrt(p * (1 - p) * q * (1 - q))
        np.divide(both - p * q, spread, out=found[low : low + step], where=spread > 0)
    return found


def diversity(alleles: np.ndarray) -> float:
    """Mean haplotype heterozygosity (Nei and Tajima 1981) in windows of SITES neighbouring sites."""
    windows, n = len(alleles) // SITES, alleles.shape[1]
    if not windows:
        return np.nan
    kind = np.packbits(alleles[: windows * SITES].reshape(windows, SITES, n), axis=1)[:, 0].astype(np.int64)
    counts = np.bincount((kind + 256 * np.arange(windows)[:, None]).ravel(), minlength=256 * windows)
    return float(n / (n - 1) * (1 - (counts.reshape(windows, 256) ** 2).sum(axis=1) / n**2).mean())


def effects_slope(groups: Groups, cm: np.ndarray, sites: np.ndarray, rng) -> tuple[float, float]:
    """Slope through 0 of what a GWAS finds at markers, in pseudo people and in the holdout, on the founders'.

    At PLANTED of these sites there is an effect of one on the phenotype. The site itself is not measured: its marker is
    the one within MARKER_CM that is correlated most with it in the founders, and what is found there, in endless
    phenotypes, is cov(marker, site) / var(marker); nothing where a protection has left no variation.
    """
    found = []
    for site in np.sort(rng.permutation(sites)[:PLANTED]):
        near = sites[np.abs(cm[sites] - cm[site]) <= MARKER_CM]
        near = near[near != site]
        if len(near) == 0:
            continue
        r = correlation(groups.founders, np.full(len(near), site), near)
        found.append((site, near[np.abs(r).argmax()]))
    if not found:
        return np.nan, np.nan
    site, marker = np.array(found).T
    effects = []
    for g in groups:
        p, q = (g[x].mean(axis=1) for x in (site, marker))
        r = correlation(g, site, marker)
        scale = np.sqrt(p * (1 - p))
        effects.append(np.divide(r * scale, np.sqrt(q * (1 - q)), out=np.zeros(len(site)), where=q * (1 - q) > 0))
    square = effects[0] @ effects[0]
    return effects[2] @ effects[0] / square, effects[1] @ effects[0] / square


def _against(values: list[np.ndarray]) -> float:
    """RMS difference of pseudo people to the founders over that of the holdout: (founders, holdout, pseudo)."""
    founders, holdout, pseudo = values
    if not len(founders):
        return np.nan
    floor = np.sqrt(np.mean((holdout - founders) ** 2))
    return np.sqrt(np.mean((pseudo - founders) ** 2)) / floor if floor > 0 else np.nan
