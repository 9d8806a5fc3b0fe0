"""Joint hits of a trait: forward selection of sites, each tested beside those already taken (after COJO, Yang 2012)."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.genetics.association import associate, minus_log10_p, orthonormal
from pseudocohort.genetics.traits import Traits
from pseudocohort.genotypes import Genotypes

CANDIDATE_P = 1e-4  # only sites that reach it alone are tried as further hits of a locus
INDEPENDENT = 0.1  # share of a site's variance that the hits before it must leave


def minimum_count(n: int, frequency: float) -> int:
    """Least number of minor alleles of a common site among n people."""
    return max(int(np.ceil(round(2 * n * frequency, 6))), 1)


class Hits(NamedTuple):
    """Joint hits of a trait: sites (k rows, index = row of the .pvar), dosage (k, n), beta (k,) per ALT allele."""

    sites: pd.DataFrame
    dosage: np.ndarray
    beta: np.ndarray


def find_hits(prefixes, people_rows, traits: Traits, covariates, settings: Mapping) -> list[Hits]:
    """Joint hits of every trait, all as linear traits.

    Sites that reach p < 1e-4 alone are candidates, in traits where one reaches hit_p.
    """
    n, threshold = len(traits.values), -np.log10(settings["hit_p"])
    linear = traits._replace(kind=("linear",) * len(traits.names))
    least = minimum_count(n, settings["minimum_allele_frequency"])
    found = []
    for prefix in prefixes:
        for block in associate([prefix], people_rows, linear, least, settings["block_sites"]):
            strong = np.nan_to_num(block.log10p)
            rows = np.flatnonzero((strong > -np.log10(CANDIDATE_P)).any(axis=1))
            found += [(prefix, block.sites.iloc[[i]], strong[i]) for i in rows]
    strength = np.array([s for *_, s in found]).reshape(-1, len(traits.names))
    needed = [
        np.flatnonzero((strength[:, k] > -np.log10(CANDIDATE_P)) & (strength[:, k].max(initial=0) > threshold))
        for k in range(len(traits.names))
    ]
    dosage = _candidate_dosages(
        [found[i][:2] for i in sorted(set(np.concatenate(needed)))] if found else [], people_rows
    )
    hits = []
    for k, candidates in enumerate(needed):
        order = [(found[i][0], found[i][1].index[0]) for i in candidates]
        g = np.array([dosage[key] for key in order], dtype=float).reshape(-1, n)
        chosen, beta = select_jointly(traits.values[:, k], covariates, g, threshold)
        sites = [found[candidates[i]][1] for i in chosen]
        empty = pd.DataFrame(columns=["chrom", "pos", "id", "ref", "alt"])
        hits.append(Hits(pd.concat(sites) if sites else empty, g[chosen], beta))
    return hits


def _candidate_dosages(places, people_rows) -> dict:
    """{(prefix, row): dosages (n,) int8} of single sites."""
    dosage = {}
    for prefix in dict.fromkeys(p for p, _ in places):
        with Genotypes(prefix, people_rows) as genotypes:
            for row in [site.index[0] for p, site in places if p == prefix]:
                dosage[prefix, row] = genotypes.dosages(row, row + 1)[0]
    return dosage


def select_jointly(y, covariates, dosage, threshold: float) -> tuple[list[int], np.ndarray]:
    """Forward selection: take the site with the smallest p given those taken, while p is small enough.

    y: (n,) with NaN.  covariates: (n, q).  dosage: (c, n).  threshold: of -log10 p.  A site of which the
    covariates and hits leave less than a tenth of the variance is not tried.
    Returns positions among the c and their joint effects (k,).
    """
    seen = ~np.isnan(y)
    basis = orthonormal(covariates[seen])
    left, g = y[seen] - basis @ (basis.T @ y[seen]), dosage[:, seen]
    g = g - (g @ basis) @ basis.T
    original, whole = (g**2).sum(axis=1), g.copy()
    chosen: list[int] = []
    while len(g) and len(chosen) < seen.sum() // 20:
        df = seen.sum() - basis.shape[1] - len(chosen) - 1
        remaining = (g**2).sum(axis=1)
        usable = remaining > INDEPENDENT * np.maximum(original, 1e-9)
        beta = np.where(usable, g @ left, 0) / np.where(usable, remaining, 1)
        rss = np.maximum((left**2).sum() - beta**2 * remaining, 1e-12 * (left**2).sum())
        strength = minus_log10_p(beta * np.sqrt(remaining * df / rss), df)
        best = int(np.argmax(np.where(usable, strength, 0)))
        if not usable[best] or strength[best] <= threshold:
            break
        chosen.append(best)
        unit = g[best] / np.sqrt(remaining[best])
        left, g = left - unit * (unit @ left), g - np.outer(g @ unit, unit)
    beta = np.linalg.lstsq(whole[chosen].T, y[seen], rcond=None)[0] if chosen else np.empty(0)
    return chosen, beta
