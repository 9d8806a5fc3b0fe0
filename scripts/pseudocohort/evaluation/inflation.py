"""Lines about genomic control: of all pseudo people, at equal numbers, by trait, and of permuted items.

Statistics of cohorts of different size are compared at one number of people. What grows with it (many small effects)
and what does not (relatives, structure) is told apart by the pseudo people, who are measured at two numbers: the slope
b = (S(all) - S(matched)) / (n(all) - n(matched)) brings S(pseudo) to the founders' number, and the founders' S to the
holdout's. The holdout's own excess is never multiplied, so that its families and its noise are not, either.

False alarms: of 47 simulated second cohorts of eight traits (test_evaluation_associations.py) none of these lines
was `beyond`.
"""

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri
from scipy.stats import chi2, poisson

from pseudocohort.evaluation.metrics import jackknifed
from pseudocohort.evaluation.replication import loci
from pseudocohort.evaluation.trait_errors import error_by_trait
from pseudocohort.measures.line import measure

if TYPE_CHECKING:
    from pseudocohort.evaluation.associations import Trait

STATISTICS = ("lambda_gc", "mean_chi_square")
NO_RESULTS, SHORT = "no results of this cohort", "too few blocks"
TESTED_P = 5e-8


def growth(trait: "Trait", k: int) -> np.ndarray:
    """Rise of statistic k a person, (1 + GROUPS,); all of the excess over 1 where there are no two numbers of people
    that are far apart."""
    most = trait.n["synthetic"]
    if "growth" in trait.shared and most >= 2 * trait.n["matched"]:
        few, many = trait.shared["growth"][:, k]
        return (many - few) / (most - trait.n["matched"])
    return (trait.shared["synthetic"][1, k] - 1) / most


def grown(trait: "Trait", k: int) -> np.ndarray:
    """Statistic k of the pseudo people at the founders' number, (1 + GROUPS,)."""
    return trait.shared["synthetic"][1, k] + growth(trait, k) * (trait.n["real"] - trait.n["synthetic"])


def _shrunk(trait: "Trait", k: int) -> np.ndarray:
    """Statistic k of the founders at the holdout's number, (1 + GROUPS,)."""
    return trait.shared["holdout"][0, k] + growth(trait, k) * (trait.n["holdout"] - trait.n["real"])


def inflation_lines(traits: list["Trait"]) -> list[dict]:
    """Lambda GC and mean chi-square: pseudo over founders, and at the holdout's number; and lambda of single traits.

    Means over traits of ratios; intervals are jackknives over groups of blocks of the genome, which are left out of
    all traits and cohorts at once, so that traits may be correlated.
    """
    used = np.any([t.used for t in traits], axis=0)
    held = [t for t in traits if "holdout" in t.shared]
    equal = [t for t in held if "matched" in t.shared]
    first, second = [], []
    for k, name in enumerate(STATISTICS):
        value, interval = _mean_ratio([grown(t, k) / t.shared["synthetic"][0, k] for t in traits], used)
        floor, ends = _mean_ratio([t.shared["holdout"][1, k] / _shrunk(t, k) for t in held], used)
        low, high = ends or (None, None)
        first.append(measure(name, value, floor=floor, interval=interval, traits=len(traits), floor_low=low,
                             floor_high=high, reason=_too_short(interval)))  # fmt: skip
        second.append(_at_equal_numbers(f"{name}_matched", equal, k, used))
    return [*first, *second, _by_trait(held, used)]


def _at_equal_numbers(key: str, traits: list["Trait"], k: int, used: np.ndarray) -> dict:
    """Pseudo people over the holdout beside the founders at the holdout's number over it; z of the difference."""
    if not traits:
        return measure(key, None, reason=NO_RESULTS)
    sides = [[t.shared["matched"][1, k] / t.shared["matched"][0, k], _shrunk(t, k) / t.shared["holdout"][1, k]]
             for t in traits]  # fmt: skip
    value, interval = _mean_ratio([made for made, _ in sides], used)
    floor, _ = _mean_ratio([real for _, real in sides], used)
    gap, ends = _mean_ratio([made - real for made, real in sides], used)
    known = ends is not None and np.isfinite(ends).all() and ends[1] > ends[0]
    z = gap / ((ends[1] - ends[0]) / (2 * 1.96)) if known else None
    return measure(key, value, floor=floor, z=z, interval=interval, traits=len(traits), reason=_too_short(interval))


def _by_trait(traits: list["Trait"], used: np.ndarray) -> dict:
    """Error of lambda by trait, RMS in standard errors: what traits that cancel hide in a mean; R to the holdout's."""
    key = "lambda_gc_by_trait"
    if not traits:
        return measure(key, None, reason=NO_RESULTS)
    made = np.array([np.log(grown(t, 0) / t.shared["synthetic"][0, 0]) for t in traits])
    held = np.array([np.log(t.shared["holdout"][1, 0] / _shrunk(t, 0)) for t in traits])
    cut = [x[:, np.append(True, used)] for x in (made, held)]
    known = np.isfinite(cut).all(axis=(0, 2))
    return error_by_trait(key, *(x[known] for x in cut))


def _mean_ratio(ratios: list[np.ndarray], used: np.ndarray) -> tuple[float | None, tuple[float, float] | None]:
    """Mean over traits of (1 + GROUPS,) ratios, and its interval."""
    known = [r for r in ratios if np.isfinite(r[0])]
    if not known:
        return None, None
    mean = np.mean(known, axis=0)
    return float(mean[0]), jackknifed(mean[0], mean[1:][used])


def _too_short(interval: tuple[float, float] | None) -> str | None:
    """Why nothing is judged where the genome has too few blocks for an interval: chance alone would decide."""
    return None if interval is None or np.isfinite(interval).all() else SHORT


def permuted_lines(traits: list["Trait"]) -> list[dict]:
    """What must be nothing: inflation and hits where items belong to other people's genomes.

    Hits: z is the normal deviate of the exact Poisson probability (mid-p) of as many loci with hits, or more, where
    one site in 1 / TESTED_P is one by chance and none is linked to another: more are never expected. Hits of several
    traits at a locus count once, for traits are correlated. z > 3 has a probability of .3 % at most.
    """
    some = [t for t in traits if "permuted" in t.inflation]
    if not some:
        return [measure(key, None, reason=NO_RESULTS) for key in ("permuted_lambda_gc", "permuted_hits")]
    used = np.any([t.used for t in some], axis=0)
    value, interval = _mean_ratio([t.inflation["permuted"][0] for t in some], used)
    number, pos = (np.concatenate([t.stray[c] for t in some]) for c in ("number", "pos"))
    hits, places = len(number), len(np.unique(loci(number, pos)))
    low, high = (chi2.ppf(0.025, 2 * hits) / 2 if hits else 0.0), chi2.ppf(0.975, 2 * hits + 2) / 2  # exact Poisson
    expected = TESTED_P * sum(t.sites for t in some)
    chance = poisson.sf(places, expected) + poisson.pmf(places, expected) / 2
    return [
        measure("permuted_lambda_gc", value, interval=interval, traits=len(some), reason=_too_short(interval)),
        measure("permuted_hits", hits / len(some), interval=(low / len(some), high / len(some)), hits=hits,
                z=-ndtri(max(chance, 1e-300)), loci=places, most_expected=expected),
    ]  # fmt: skip
