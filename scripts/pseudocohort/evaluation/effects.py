"""Effects at the founders' hits in other cohorts: slope, correlation, error, replication; as lines.

False alarms: of 150 simulated second cohorts of each of three laws of effects, none was `beyond` in any line with 60
hits; with 15 hits the slope was in up to 3 %.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import beta as beta_law

from pseudocohort.evaluation.replication import FEWEST_LOCI, NOMINAL, deviate, loci, over_loci, power, replicated
from pseudocohort.measures.line import measure

FEW = 5  # hits that must be expected again, for their number to be judged
NO_HITS = "too few hits"


def effect_lines(hits: pd.DataFrame, threshold: float) -> list[dict]:
    """Lines about all traits' hits.

    hits: the founders' independent hits with trait, number (chromosome), pos, beta, se and beta_C, se_C of the cohorts
    C holdout, synthetic and matched, NaN where not tested.  threshold: -log10 p by which they were found.
    """
    told = {"hits": len(hits), "p": f"{10.0**-threshold:.0e}".replace("e-0", "e-")}
    tested = np.isfinite(hits["beta_synthetic"])
    lines = [_tested(int(tested.sum()), told)]
    both = hits[np.isfinite(hits[["beta_synthetic", "beta_holdout"]]).all(axis=1)]
    equal = hits[np.isfinite(hits[["beta_matched", "beta_holdout"]]).all(axis=1)]
    for made, table in ((_slope, both), (_correlation, both), (_error, equal), (_at_equal_numbers, equal)):
        lines.append(made(table, told, _too_few(table)))
    ratio = np.median((hits["se_synthetic"] / hits["se"])[tested]) if tested.any() else 1.0
    filled = hits.assign(se_synthetic=hits["se_synthetic"].fillna(hits["se"] * ratio))
    held = hits[np.isfinite(hits["beta_holdout"])]
    for key, wanted in (("replication_nominal", NOMINAL), ("replication_genome_wide", deviate(-np.log10(5e-8)))):
        lines.append(_replication(key, filled, held, deviate(threshold), wanted, told))
    return lines


def _tested(count: int, told: dict) -> dict:
    """Share of the founders' hits whose site is tested in pseudo people, with the exact interval (Clopper-Pearson)."""
    hits = told["hits"]
    if not hits:
        return measure("hits_tested", 0, floor=0, reason=NO_HITS, **told)
    low = beta_law.ppf(0.025, count, hits - count + 1) if count else 0.0
    high = beta_law.ppf(0.975, count + 1, hits - count) if count < hits else 1.0
    few = NO_HITS if hits < FEWEST_LOCI else None
    return measure("hits_tested", count, floor=hits, ratio=count / hits, interval=(low, high), reason=few, **told)


def _too_few(hits: pd.DataFrame) -> str | None:
    """Why nothing is judged where hits are of so few loci that there is no interval."""
    return NO_HITS if len(np.unique(loci(hits["number"], hits["pos"]))) < FEWEST_LOCI else None


def weighted_slope(x: np.ndarray, y: np.ndarray, se: np.ndarray) -> float:
    """Slope through the origin of y on x, weights 1 / se^2; se: of y - x, so that what either measures badly weighs
    little."""
    weight = 1 / np.asarray(se, dtype=float) ** 2
    return float((weight * x * y).sum() / (weight * x * x).sum())


def _slope_of(h: Mapping[str, np.ndarray], cohort: str) -> float:
    return weighted_slope(h["beta"], h[f"beta_{cohort}"], np.hypot(h["se"], h[f"se_{cohort}"]))


def _error_of(h: Mapping[str, np.ndarray], cohort: str) -> float:
    """RMS difference from the founders' effects in standard errors."""
    return float(np.sqrt(np.mean((h[f"beta_{cohort}"] - h["beta"]) ** 2 / (h["se"] ** 2 + h[f"se_{cohort}"] ** 2))))


def _correlation_of(h: Mapping[str, np.ndarray], cohort: str) -> float:
    x, y = h["beta"], h[f"beta_{cohort}"]
    return float(np.corrcoef(x, y)[0, 1]) if len(x) > 2 and np.ptp(x) > 0 and np.ptp(y) > 0 else np.nan


def _slope(hits: pd.DataFrame, told: dict, reason: str | None) -> dict:
    """Slope in pseudo people beside the holdout's; z of the difference by a jackknife over loci of both at once."""
    if not len(hits):
        return measure("effect_slope", None, reason=reason, **told)
    group = loci(hits["number"], hits["pos"])
    made, interval = over_loci(lambda h: _slope_of(h, "synthetic"), hits, group)
    held = _slope_of(hits, "holdout")
    gap, ends = over_loci(lambda h: _slope_of(h, "synthetic") - _slope_of(h, "holdout"), hits, group)
    error = (ends[1] - ends[0]) / (2 * 1.96)
    z = gap / error if error > 0 else None
    return measure("effect_slope", made, floor=held, z=z, interval=interval, reason=reason, **told)


def _correlation(hits: pd.DataFrame, told: dict, reason: str | None) -> dict:
    values = [_correlation_of(hits, c) if len(hits) else None for c in ("synthetic", "holdout")]
    return measure("effect_correlation", values[0], floor=values[1], reason=reason, **told)


def _error(hits: pd.DataFrame, told: dict, reason: str | None) -> dict:
    """Error of as many pseudo people as the holdout has, over the holdout's."""
    if not len(hits):
        return measure("effect_error", None, reason=reason, **told)
    group = loci(hits["number"], hits["pos"])
    value, floor = (_error_of(hits, c) for c in ("matched", "holdout"))
    ratio, interval = over_loci(
        lambda h: _error_of(h, "matched") / _error_of(h, "holdout"), hits, group, np.log, np.exp
    )
    return measure("effect_error", value, floor=floor, ratio=ratio, interval=interval, reason=reason, **told)


def _at_equal_numbers(hits: pd.DataFrame, told: dict, reason: str | None) -> dict:
    """Share of hits found again at p < .05 by as many pseudo people as the holdout has, less the holdout's."""
    if not len(hits):
        return measure("replication_matched", None, reason=reason, **told)
    group = loci(hits["number"], hits["pos"])

    def share(h, cohort):
        return float(np.mean(replicated(h, cohort, NOMINAL)))

    value, floor = share(hits, "matched"), share(hits, "holdout")
    gap, ends = over_loci(lambda h: share(h, "matched") - share(h, "holdout"), hits, group)
    error = (ends[1] - ends[0]) / (2 * 1.96)
    z = gap / error if error > 0 else None
    return measure("replication_matched", value, floor=floor, z=z, reason=reason, **told)


def _replication(key: str, hits: pd.DataFrame, both: pd.DataFrame, threshold: float, wanted: float, told: dict) -> dict:
    """Share of hits that the pseudo cohort finds again; ratio: over that expected; floor: the holdout's share.

    A hit whose site the pseudo cohort has lost (beta NaN) is expected as any other, and not found again."""
    if not len(hits):
        return measure(key, None, reason=NO_HITS, **told)
    rates = {}
    for cohort, table in (("synthetic", hits), ("holdout", both)):
        chance = power(table["beta"] / table["se"], threshold, table["se"], table[f"se_{cohort}"], wanted)
        rates[cohort] = table.assign(chance=chance, again=replicated(table, cohort, wanted))
    made, held = rates["synthetic"], rates["holdout"]

    def ratio(h):
        return float(h["again"].sum() / max(h["chance"].sum(), 1e-9))

    found, interval = over_loci(ratio, made, loci(made["number"], made["pos"]))
    told = told | {"expected": made["chance"].mean(), "expected_holdout": held["chance"].mean() if len(held) else None}
    few = NO_HITS if made["chance"].sum() < FEW else _too_few(hits)
    held_share = held["again"].mean() if len(held) else None
    return measure(key, made["again"].mean(), floor=held_share, ratio=found, interval=interval, reason=few, **told)
