"""Heritability and genetic correlation of founders, holdout and pseudo people side by side."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pseudocohort.evaluation.metrics import metric, root_mean
from pseudocohort.files import atomic
from pseudocohort.genetics.heritability import HasemanElston, block_jackknife
from pseudocohort.genetics.ld_regression import Regressions

GROUP = "association"
TOLERANCE = 0.03
LIMIT = 1.2  # ratio of the errors of genetic correlations to the floor
FEWEST_PAIRS = 3


class Cohort(NamedTuple):
    """Both estimates of one cohort; regressions may lack traits that have no association results."""

    haseman_elston: HasemanElston
    regressions: Regressions


def heritability_metrics(cohorts: dict[str, Cohort]) -> list[dict]:
    """Lines for real, holdout and synthetic. Heritabilities are compared over the traits that all three have."""
    he = {name: cohort.haseman_elston for name, cohort in cohorts.items()}
    shared = [
        t for t in he["real"].names if all(t in e.names and np.isfinite(e.h2[e.names.index(t)]) for e in he.values())
    ]
    if not shared:
        return [metric(GROUP, "traits whose heritability is compared", 0)]
    mean = {name: _mean(e, shared) for name, e in he.items()}
    value, floor = (mean[name][0] - mean["real"][0] for name in ("synthetic", "holdout"))
    error = float(np.hypot(mean["synthetic"][1], mean["real"][1]))
    z = value / error if error > 0 else np.nan
    return [
        metric(
            GROUP, "heritability (Haseman-Elston), pseudo less real, mean of traits", value, floor=floor, z=z,
            interval=(value - 1.96 * error, value + 1.96 * error) if error > 0 else None,
            goal=f"within {TOLERANCE:g} of 0, or |z| ≤ 2", within=bool(abs(value) <= TOLERANCE or abs(z) <= 2),
            note=f"{len(shared)} traits; founders {mean['real'][0]:.3f}; floor: holdout less founders"
            + (f"; {he['real'].reason}" if he["real"].reason else ""),
        ),
        _correlation_metric(he, shared),
        *_intercepts(cohorts),
    ]  # fmt: skip


def _mean(estimate: HasemanElston, names: list[str]) -> tuple[float, float]:
    """Mean heritability of some traits and its jackknife error."""
    rows = [estimate.names.index(name) for name in names]
    left = np.diagonal(estimate.deleted, axis1=1, axis2=2)[:, rows].mean(axis=1)
    whole = estimate.h2[rows].mean()
    return float(whole), float(block_jackknife(whole, left, estimate.sizes))


def _correlation_metric(he: dict[str, HasemanElston], names: list[str]) -> dict:
    """RMS difference of genetic correlations from the founders', over traits with h2 > 2 errors in all cohorts.

    Correlations of other traits have no bounds; those that are beyond -1 or 1 count as these.
    """
    names = [name for name in names if all(_is_clear(e, name) for e in he.values())]
    pairs = np.triu_indices(len(names), 1)
    values = {}
    for cohort, e in he.items():
        rows = [e.names.index(name) for name in names]
        values[cohort] = np.clip(e.correlation[np.ix_(rows, rows)][pairs], -1, 1)
    known = np.isfinite(list(values.values())).all(axis=0)
    name = "genetic correlation, RMS difference from the founders'"
    if known.sum() < FEWEST_PAIRS:
        return metric(GROUP, name, np.nan, note=f"fewer than {FEWEST_PAIRS} pairs of traits have h2 > 2 errors")
    value, floor = (root_mean((values[c] - values["real"])[known] ** 2) for c in ("synthetic", "holdout"))
    return metric(
        GROUP, name, value, floor=floor, ratio=value / floor if floor else None, goal=f"R ≤ {LIMIT:g}",
        within=bool(value <= LIMIT * floor) if floor else None,
        note=f"{known.sum()} pairs of traits with h2 > 2 errors; floor: holdout, which has fewer people",
    )  # fmt: skip


def _is_clear(estimate: HasemanElston, name: str) -> bool:
    k = estimate.names.index(name)
    return bool(estimate.h2[k] > 2 * estimate.h2_se[k])


def _intercepts(cohorts: dict[str, Cohort]) -> list[dict]:
    """Mean intercept of LD score regression of pseudo and real."""
    means = {}
    for name in ("synthetic", "real"):
        found = np.array([r.intercept for r in cohorts[name].regressions.by_trait.values()])
        means[name] = float(found[np.isfinite(found)].mean()) if np.isfinite(found).any() else np.nan
    reasons = {r.reason for r in cohorts["synthetic"].regressions.by_trait.values() if not np.isfinite(r.intercept)}
    return [
        metric(
            GROUP, "intercept of LD score regression in the pseudo cohort, mean of traits", means["synthetic"],
            floor=means["real"], note="floor: the founders'" + "".join(f"; {r}" for r in sorted(reasons)),
        )
    ]  # fmt: skip


def save_heritability(path: str | Path, metrics: list[dict], cohorts: dict[str, Cohort]) -> None:
    """Write {"metrics": [...], "cohorts": {name: {people, traits {name: {...}}, genetic_correlation}}} as JSON."""
    content = {"metrics": metrics, "cohorts": {name: _plain(cohort) for name, cohort in cohorts.items()}}
    with atomic(path) as part:
        part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _plain(cohort: Cohort) -> dict:
    he, regressions = cohort
    traits = {}
    for k, name in enumerate(he.names):
        regression = regressions.by_trait.get(name)
        traits[name] = {"n": int(he.n[k])} | {
            key: _number(getattr(he, key)[k]) for key in ("h2", "h2_se", "liability", "liability_se")
        }
        if regression is not None:
            traits[name]["ld_score_regression"] = {
                key: value if isinstance(value, (str, int)) else _number(value)
                for key, value in regression._asdict().items()
            }
    return {
        "sites": he.sites,
        "blocks": he.blocks,
        "reason": he.reason,
        "traits": traits,
        "genetic_correlation": {
            "haseman_elston": {
                "traits": list(he.names),
                "value": _square(he.correlation),
                "se": _square(he.correlation_se),
            },
            "ld_score_regression": {
                "traits": list(regressions.by_trait),
                "value": _square(regressions.correlation),
                "se": _square(regressions.correlation_se),
            },
        },
    }


def _square(matrix: np.ndarray) -> list[list[float | None]]:
    return [[_number(x) for x in row] for row in matrix]


def _number(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
