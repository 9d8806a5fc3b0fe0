"""Lines about genomic control, the number of hits, and the null of permuted items."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import chdtri

from pseudocohort.evaluation.metrics import jackknifed
from pseudocohort.evaluation.replication import loci, over_loci
from pseudocohort.measures.line import measure

if TYPE_CHECKING:
    from pseudocohort.evaluation.associations import Trait

STATISTICS = ("lambda_gc", "mean_chi_square")
NO_HITS, NO_RESULTS, SHORT = "too few hits", "no results of this cohort", "too few blocks"
FEW = 5
TESTED_P = 5e-8


def inflation_lines(traits: list["Trait"]) -> list[dict]:
    """Lambda GC and mean chi-square: all pseudo people over the founders, and matched over the holdout.

    The mean over traits of the ratios; its interval is a jackknife over groups of blocks of the genome, which are left
    out of all traits and both cohorts at once, so that traits may be correlated.
    """
    lines = []
    used = np.any([t.used for t in traits], axis=0)
    for k, name in enumerate(STATISTICS):
        value, interval = _mean_ratio([_scaled(t, "synthetic", k) for t in traits if "synthetic" in t.shared], used)
        floor, _ = _mean_ratio([_scaled(t, "holdout", k) for t in traits if "holdout" in t.shared], used)
        told = {"traits": len(traits), "reason": _too_short(interval)}
        lines.append(measure(name, value, floor=floor, interval=interval, **told))
    for k, name in enumerate(STATISTICS):
        equal = [t.shared["matched"][:, k] for t in traits if "matched" in t.shared]
        value, interval = _mean_ratio([made / held for held, made in equal], used)
        reason = _too_short(interval) if equal else NO_RESULTS
        lines.append(measure(f"{name}_matched", value, interval=interval, reason=reason, traits=len(equal)))
    return lines


def _scaled(trait: "Trait", cohort: str, k: int) -> np.ndarray:
    """Statistic k of a cohort, whose excess over 1 grows with n, scaled to the founders' number; over the founders'."""
    real, other = trait.shared[cohort][:, k]
    return (1 + (other - 1) * trait.n["real"] / trait.n[cohort]) / real


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


def hit_lines(traits: list["Trait"]) -> list[dict]:
    """Number of hits, scaled to the founders' number, and hits that the founders have no sign of."""
    real = sum(t.hits["real"] for t in traits)
    made = pd.concat([t.made.assign(cohort=1) for t in traits])
    known = [t.leads[t.leads["log10p"] >= -np.log10(TESTED_P)][["number", "pos"]].assign(cohort=0) for t in traits]
    both = pd.concat([made, *known])
    ratio, interval = (None, None)
    if real >= FEW:
        ratio, interval = over_loci(_odds, both, loci(both["number"], both["pos"]), _log, np.exp)
    reason = None if interval is not None and np.isfinite(interval).all() else NO_HITS
    count = measure("hit_count", len(made), floor=real, ratio=ratio, interval=interval, reason=reason,
                    traits=len(traits))  # fmt: skip
    false = np.array([t.false["synthetic"] for t in traits], dtype=float)
    held = [t.false["holdout"] for t in traits if "holdout" in t.false]
    value = false.mean()
    interval = jackknifed(value, (false.sum() - false) / max(len(false) - 1, 1))
    equal = [t.false["matched"] for t in traits if "matched" in t.false]
    more = {"matched": np.mean(equal) if equal else None}
    return [count, measure("false_hits", value, floor=np.mean(held) if held else None, interval=interval, **more,
                           reason=None if held else NO_RESULTS)]  # fmt: skip


def _odds(hits: dict[str, np.ndarray]) -> float:
    """Hits of pseudo people over those of the founders; half a hit where there is none."""
    made = hits["cohort"].sum()
    return max(made, 0.5) / max(len(hits["cohort"]) - made, 0.5)


def _log(x) -> np.ndarray:
    return np.log(np.asarray(x, dtype=float))


def permuted_lines(traits: list["Trait"]) -> list[dict]:
    """What must be nothing: inflation and hits where items belong to other people's genomes."""
    some = [t for t in traits if "permuted" in t.inflation]
    if not some:
        return [measure(key, None, reason=NO_RESULTS) for key in ("permuted_lambda_gc", "permuted_hits")]
    used = np.any([t.used for t in some], axis=0)
    value, interval = _mean_ratio([t.inflation["permuted"][0] for t in some], used)
    found = sum(t.hits["permuted"] for t in some)
    low, high = (chdtri(2 * found, 0.975) / 2 if found else 0.0), chdtri(2 * found + 2, 0.025) / 2  # exact Poisson
    expected = TESTED_P * sum(t.sites for t in some) / len(some)
    return [
        measure("permuted_lambda_gc", value, interval=interval, traits=len(some), reason=_too_short(interval)),
        measure("permuted_hits", found / len(some), interval=(low / len(some), high / len(some)), hits=found,
                most_expected=expected),
    ]  # fmt: skip
