"""Lines about the number of hits, and about those that the founders have no sign of."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pseudocohort.evaluation.association_results import groups_of
from pseudocohort.evaluation.metrics import jackknifed
from pseudocohort.evaluation.replication import loci, over_loci
from pseudocohort.measures.line import measure

if TYPE_CHECKING:
    from pseudocohort.evaluation.associations import Trait

NO_HITS, NO_RESULTS = "too few hits", "no results of this cohort"
FEW = 5


def hit_lines(traits: list["Trait"]) -> list[dict]:
    """Number of hits, of founders and pseudo people at the smaller of their numbers, and the false ones among them.

    False ones beside the holdout's, and of as many pseudo people as the holdout has beside the same. A place near a
    real signal has no false hit: `near` tells the share of the sites that are.
    """
    near = [t.near for t in traits if np.isfinite(t.near)]
    return [_count(traits), _false("false_hits", "synthetic", traits, near=np.mean(near) if near else None),
            _false("false_hits_matched", "matched", traits)]  # fmt: skip


def _false(key: str, cohort: str, traits: list["Trait"], **told) -> dict:
    """False hits a trait; the interval is a jackknife over groups of blocks of the genome, left out of all traits."""
    both = [t for t in traits if cohort in t.false and "holdout" in t.false]
    if not both:
        return measure(key, None, reason=NO_RESULTS, **told)
    places = pd.concat([t.false[cohort] for t in both])
    group = groups_of(places["number"].to_numpy(dtype=np.int8), places["pos"].to_numpy(dtype=np.int64))
    used = np.any([t.used for t in both], axis=0)
    count, blocks = np.bincount(group, minlength=len(used))[used], used.sum()
    without = (count.sum() - count) * blocks / max(blocks - 1, 1) / len(both)
    value, floor = (sum(len(t.false[c]) for t in both) / len(both) for c in (cohort, "holdout"))
    return measure(key, value, floor=floor, interval=jackknifed(value, without), hits=len(places), **told)


def _count(traits: list["Trait"]) -> dict:
    known, made = (pd.concat([getattr(t, c) for t in traits]).assign(made=c == "made") for c in ("known", "made"))
    both, ratio, interval = pd.concat([made, known]), None, None
    if len(known) >= FEW:
        ratio, interval = over_loci(_odds, both, loci(both["number"], both["pos"]), _log, np.exp)
    reason = None if interval is not None and np.isfinite(interval).all() else NO_HITS
    return measure("hit_count", len(made), floor=len(known), ratio=ratio, interval=interval, reason=reason,
                   traits=len(traits))  # fmt: skip


def _odds(hits: dict[str, np.ndarray]) -> float:
    """Hits of pseudo people over those of the founders; half a hit where there is none."""
    made = hits["made"].sum()
    return max(made, 0.5) / max(len(hits["made"]) - made, 0.5)


def _log(x) -> np.ndarray:
    return np.log(np.asarray(x, dtype=float))
