"""Hardy-Weinberg proportions: the exact test at every site, and the inbreeding coefficient of a cohort."""

import numpy as np
from scipy.special import gammaln

from pseudocohort.evaluation.resampling import interval, resampled
from pseudocohort.measures.line import measure

SIGNIFICANT = 1e-3
THEORY_ERROR = 5e-4  # of F: founders are kin, and drift is followed at some hundred loci only


def exact_test(heterozygotes: np.ndarray, copies: np.ndarray, people: int) -> np.ndarray:
    """Two-sided p of the exact test of Hardy-Weinberg proportions (Wigginton, Cutler and Abecasis 2005).

    heterozygotes, copies of an allele: (sites,) among so many people.  P(h | n, m) is proportional to
    2^h / (((m - h) / 2)! h! (n - (m + h) / 2)!), m copies of the rarer allele; p sums what is no likelier than h.
    """
    rarer = np.minimum(copies, 2 * people - copies)
    p = np.ones(len(rarer))
    for m in np.unique(rarer):
        h = np.arange(m % 2, m + 1, 2)
        log = h * np.log(2) - gammaln((m - h) / 2 + 1) - gammaln(h + 1) - gammaln(people - (m + h) / 2 + 1)
        chance = np.exp(log - log.max())
        chance /= chance.sum()
        order = np.argsort(chance, kind="stable")
        tail = np.cumsum(chance[order])
        table = tail[np.searchsorted(chance[order], chance * (1 + 1e-9), side="right") - 1]
        at = rarer == m
        p[at] = table[(heterozygotes[at] - m % 2) // 2]
    return np.minimum(p, 1.0)


def exact_test_metrics(
    genotypes: dict[str, np.ndarray], people: int, block: np.ndarray, rng: np.random.Generator
) -> list[dict]:
    """Share of common sites that depart from Hardy-Weinberg proportions, in equal numbers of people.

    genotypes: (sites, 2) heterozygotes and copies of ALT by group (train, holdout, pseudo).  block: (sites,).
    """
    if not len(block):
        return []
    off = {k: exact_test(*g.T, people) < SIGNIFICANT for k, g in genotypes.items()}
    draws = resampled(block, np.column_stack([off["pseudo"]]).astype(float), rng)
    share = {k: float(v.mean()) for k, v in off.items()}
    return [
        measure(
            "hardy_weinberg",
            share["pseudo"],
            floor=share["holdout"],
            interval=interval(draws[:, 0]),
            founders=share["train"],
            sites=len(block),
            people_a_group=people,
        )
    ]


def inbreeding_metrics(
    table: np.ndarray, block: np.ndarray, theory: float | None, rng: np.random.Generator
) -> list[dict]:
    """F = 1 - observed / expected heterozygosity over common autosomal sites (0 under Hardy-Weinberg), and its z to
    what the pedigree and the strata's differences make of it.

    table: (sites, 6) observed and expected heterozygosity of train, holdout and pseudo.  theory: expected F, None where
    it is not known.
    """
    draws = resampled(block, table, rng)
    f, spread = (1 - t[..., 0::2] / t[..., 1::2] for t in (table.mean(axis=0), draws))
    error = np.hypot(spread[:, 2].std(), THEORY_ERROR)
    return [
        measure(
            "inbreeding",
            f[2],
            floor=f[0],
            z=None if theory is None else (f[2] - theory) / error,
            interval=interval(spread[:, 2]),
            theory=np.nan if theory is None else theory,
            holdout=f[1],
            sites=len(table),
        )
    ]
