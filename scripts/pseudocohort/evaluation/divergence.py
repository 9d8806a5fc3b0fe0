"""How far strata differ in allele frequency (F_ST) and how far people are from random mating (F), beside theory.

Theory: genes dropped through the pedigree (genome.drift) tell how often haplotypes of two strata, or of one, descend
from the same founder haplotype; those that do are alike, and the others differ as different founder haplotypes do.
The pseudo people's strata descend from a sample, the founders, and drift on their own: both add to F_ST.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.evaluation.metrics import HOLDOUT
from pseudocohort.evaluation.resampling import blocks, interval, resampled
from pseudocohort.genome.drift import Drift
from pseudocohort.measures.line import measure

FEWEST = 10  # people of a stratum in a group
GROUPS = ("train", "founders", "holdout", "pseudo")
ONE, ALIKE = "one stratum", "strata that do not differ"


class Strata(NamedTuple):
    """names: (k,) strata that are compared.  rows: row numbers of their people by group: train, all whose haplotypes
    are transmitted; founders and holdout, one a family; pseudo."""

    names: tuple[str, ...]
    rows: dict[str, list[np.ndarray]]


NO_STRATA = Strata((), {})


def strata_of(people: pd.DataFrame, part: np.ndarray, alone: np.ndarray, pseudo_people: pd.DataFrame) -> Strata:
    """Strata with FEWEST people in every group but the holdout.  part, alone: as sites.sample_chromosome has them."""
    stratum, made = (table["stratum"].to_numpy(dtype=str) for table in (people, pseudo_people))
    train = part == "train"
    groups = {"train": (stratum, train), "founders": (stratum, train & alone)}
    groups |= {"holdout": (stratum, np.isin(part, HOLDOUT) & alone), "pseudo": (made, np.ones(len(made), dtype=bool))}
    sizes = {n: min(((of == n) & use).sum() for k, (of, use) in groups.items() if k != "holdout") for n in set(made)}
    names = tuple(sorted(n for n, size in sizes.items() if size >= FEWEST))
    return Strata(names, {k: [np.flatnonzero((of == n) & use) for n in names] for k, (of, use) in groups.items()})


def heterozygosities(frequency: np.ndarray, haplotypes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Chance that two haplotypes differ, of one stratum and of two, means over strata and their pairs: (sites,) each.

    frequency: (sites, k) of samples of so many haplotypes (k,).  Hudson's F_ST is 1 - within / between (Hudson,
    Slatkin and Maddison 1992; as a ratio of means over sites, Bhatia et al. 2013). Of one stratum, between is NaN.
    """
    p, k = frequency, frequency.shape[1]
    within = (2 * p * (1 - p) * haplotypes / np.maximum(haplotypes - 1, 1)).mean(axis=1)
    total, squares = p.sum(axis=1), (p**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = 2 * ((k - 1) * total - (total**2 - squares)) / np.array(k * (k - 1), dtype=float)
    return within, between


def differing(frequency: np.ndarray, haplotypes: np.ndarray) -> np.ndarray:
    """Mean over sites of the chance that two different founder haplotypes of two strata differ: (k, k)."""
    p = frequency
    mean = p.mean(axis=0)
    table = mean[:, None] + mean - 2 * p.T @ p / len(p)
    return table + np.diag(np.diag(table) / np.maximum(haplotypes - 1, 1))


def expected_differing(founders: np.ndarray, expected: Drift, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The same of haplotypes of pseudo people of two strata (k, k), and of the two of one person (k,), by theory.

    founders: as `differing` gives it.  With migration the strata that two different founder haplotypes come
    from are taken to be independent.
    """
    chosen = [list(expected.strata).index(name) for name in names]
    origin = np.array(expected.origin)[np.ix_(chosen, chosen)]
    origin = origin / np.maximum(origin.sum(axis=1, keepdims=True), 1e-12)
    mixed = origin @ founders @ origin.T
    identity, own = np.array(expected.identity)[np.ix_(chosen, chosen)], np.array(expected.own)[chosen]
    return (1 - identity) * mixed, (1 - own) * np.diag(mixed)


def expected_inbreeding(founders: np.ndarray, expected: Drift, names: Sequence[str]) -> float:
    """F = 1 - observed / expected heterozygosity of all pseudo people together, by theory: above 0 where strata differ
    (Wahlund 1928), below where kin are no couples.  founders: as `differing` gives it."""
    pairs, own = expected_differing(founders, expected, names)
    n = 2.0 * np.array(expected.size)[[list(expected.strata).index(name) for name in names]]
    weight = np.outer(n, n) - np.diag(n)
    return float(1 - (n @ own / n.sum()) / ((weight * pairs).sum() / weight.sum()))


def divergence_metrics(
    samples: Sequence, strata: Strata, expected: Drift, rng: np.random.Generator
) -> tuple[list[dict], float | None]:
    """Lines of F_ST between strata, pseudo over founders and over theory; and the F that theory expects, or None.

    samples: of the autosomes, each with `by_stratum` (common sites, k) frequencies by group and their `common_cm`.
    Intervals: blocks of 2 cM drawn with replacement.
    """
    names, keys = strata.names, ("stratum_fst", "stratum_fst_theory")
    if not names or not sum(len(s.common_cm) for s in samples):
        return [measure(key, None, reason=ONE) for key in keys], None
    frequency = {k: np.concatenate([s.by_stratum[k] for s in samples]) for k in GROUPS}
    size = {k: np.array([2 * len(r) for r in strata.rows[k]]) for k in GROUPS}
    founders = differing(frequency["train"], size["train"])
    inbreeding = expected_inbreeding(founders, expected, names)
    if len(names) == 1:
        return [measure(key, None, reason=ONE) for key in keys], inbreeding
    naive = rng.binomial(size["pseudo"], (frequency["train"] @ size["train"] / size["train"].sum())[:, None])
    frequency["naive"], size["naive"] = naive / size["pseudo"], size["pseudo"]
    columns = np.column_stack([np.column_stack(heterozygosities(p, size[k])) for k, p in frequency.items()])
    place = {k: i for i, k in enumerate(frequency)}
    draws = resampled(blocks([s.common_cm for s in samples]), columns, rng)

    def fst(table: np.ndarray, group: str, factor: float = 1.0) -> np.ndarray:
        i = place[group]
        return 1 - factor * table[..., 2 * i] / table[..., 2 * i + 1]

    pairs, _ = expected_differing(founders, expected, names)
    factor = _within_over_between(pairs) / _within_over_between(founders)  # of what founders have
    mean = columns.mean(axis=0)
    made, real, theory = (float(fst(mean, *x)) for x in (("pseudo",), ("founders",), ("train", factor)))
    spreads = fst(draws, "founders"), fst(draws, "train", factor)
    differ, known = (np.quantile(spread, 0.025) > 0 for spread in spreads)
    held = float(fst(mean, "holdout")) if min(size["holdout"]) >= 2 * FEWEST else None
    more = {"strata": len(names), "sites": len(columns), "theory": theory, "founders": real}
    to_real = {"ratio": made / real, "baseline": float(fst(mean, "naive")) / real} if differ else {"reason": ALIKE}
    to_theory = {"ratio": made / theory} if known else {"reason": ALIKE}
    ends = [interval(fst(draws, "pseudo") / spread) for spread in spreads]
    return [
        measure(keys[0], made, floor=held, interval=ends[0] if differ else None, **to_real, **more),
        measure(keys[1], made, floor=held, interval=ends[1] if known else None, **to_theory, **more),
    ], inbreeding


def _within_over_between(pairs: np.ndarray) -> float:
    k = len(pairs)
    return float(np.trace(pairs) / k / ((pairs.sum() - np.trace(pairs)) / (k * (k - 1))))
