"""Heritability and genetic correlation of founders, holdout and pseudo people side by side."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from pseudocohort.evaluation.metrics import jackknifed, root_mean
from pseudocohort.evaluation.trait_errors import error_by_trait
from pseudocohort.genetics.heritability import HasemanElston, block_jackknife
from pseudocohort.genetics.ld_regression import Regressions
from pseudocohort.measures.line import measure, save_lines

FEWEST_PAIRS = 3
COMPARED = ("real", "holdout", "synthetic")


class Cohort(NamedTuple):
    """Both estimates of one cohort; regressions may lack traits that have no association results."""

    haseman_elston: HasemanElston
    regressions: Regressions


def heritability_lines(cohorts: dict[str, Cohort]) -> list[dict]:
    """Lines for real, holdout, synthetic and, for correlations, matched: as many pseudo people as the holdout has.

    Heritabilities are compared over the traits that real, holdout and synthetic have.
    """
    he = {name: cohort.haseman_elston for name, cohort in cohorts.items()}
    shared = [t for t in he["real"].names if all(_known(he[c], t) for c in COMPARED)]
    if not shared:
        reason = "no heritability"
        keys = ("h2_difference", "h2_by_trait", "genetic_correlation")
        return [measure(key, None, reason=reason) for key in keys] + _regressed(cohorts)
    mean = {name: _mean(he[name], shared) for name in COMPARED}
    value, floor = (mean[name][0] - mean["real"][0] for name in ("synthetic", "holdout"))
    error = float(np.hypot(mean["synthetic"][1], mean["real"][1]))
    interval = (value - 1.96 * error, value + 1.96 * error) if error > 0 else None
    told = {"traits": len(shared), "real": mean["real"][0], "reason": None if error > 0 else "too few blocks"}
    line = measure(
        "h2_difference", value, floor=floor, z=value / error if error > 0 else None, interval=interval, **told
    )
    return [line, _by_trait(he, shared), _correlation_line(he, shared), *_regressed(cohorts)]


def _by_trait(he: dict[str, HasemanElston], names: list[str]) -> dict:
    """Error of single heritabilities in standard errors, RMS over traits, beside the holdout's."""
    key, made, errors = "h2_by_trait", [], []
    if len({len(he[c].deleted) for c in COMPARED}) > 1:
        return measure(key, None, reason="too few blocks", traits=len(names))
    rows = {c: [he[c].names.index(name) for name in names] for c in COMPARED}
    whole = {c: np.vstack([he[c].h2, np.diagonal(he[c].deleted, axis1=1, axis2=2)])[:, rows[c]].T for c in COMPARED}
    for cohort in ("synthetic", "holdout"):
        made.append(whole[cohort] - whole["real"])
        errors.append(np.hypot(he[cohort].h2_se[rows[cohort]], he["real"].h2_se[rows["real"]]))
    known = np.isfinite(errors).all(axis=0) & (np.min(errors, axis=0) > 0)
    return error_by_trait(key, *(x[known] for x in made), [e[known] for e in errors])


def _known(estimate: HasemanElston, name: str) -> bool:
    return name in estimate.names and bool(np.isfinite(estimate.h2[estimate.names.index(name)]))


def _mean(estimate: HasemanElston, names: list[str]) -> tuple[float, float]:
    """Mean heritability of some traits and its jackknife error."""
    rows = [estimate.names.index(name) for name in names]
    left = np.diagonal(estimate.deleted, axis1=1, axis2=2)[:, rows].mean(axis=1)
    whole = estimate.h2[rows].mean()
    return float(whole), float(block_jackknife(whole, left, estimate.sizes))


def _correlation_line(he: dict[str, HasemanElston], names: list[str]) -> dict:
    """RMS difference of genetic correlations from the founders', over traits with h2 > 2 errors in all cohorts.

    Of as many pseudo people as the holdout has, where they are.  Correlations of other traits have no bounds; those
    that are beyond -1 or 1 count as these.  The interval is a jackknife over blocks of the genome, left out everywhere.
    """
    made = he.get("matched", he["synthetic"])
    names = [n for n in names if all(_known(e, n) and _is_clear(e, n) for e in he.values())]
    three = [he["real"], made, he["holdout"]]
    real, mine, held = (_correlations(e.covariance, e.names, names) for e in three)
    known = np.isfinite([real, mine, held]).all(axis=0)
    if known.sum() < FEWEST_PAIRS:
        return measure("genetic_correlation", None, reason="too few traits", pairs=known.sum())
    value, floor = (root_mean((x - real)[known] ** 2) for x in (mine, held))
    interval = None
    if len({len(e.deleted) for e in three}) == 1 and floor > 0:
        left = [_correlations(e.deleted, e.names, names)[:, known] for e in three]
        errors = [_root_mean_rows((x - left[0]) ** 2) for x in left[1:]]
        interval = jackknifed(value / floor, errors[0] / errors[1], np.log, np.exp)
    told = {"pairs": known.sum(), "ratio": value / floor if floor else None}
    return measure("genetic_correlation", value, floor=floor, interval=interval, **told)


def _root_mean_rows(squares: np.ndarray) -> np.ndarray:
    """Square roots of the means (rows,) of what is known of squares (rows, k); NaN where nothing is."""
    known = np.isfinite(squares)
    with np.errstate(invalid="ignore"):
        return np.sqrt(np.where(known, squares, 0).sum(axis=1) / known.sum(axis=1))


def _correlations(covariance: np.ndarray, have: tuple[str, ...], names: list[str]) -> np.ndarray:
    """Genetic correlations (..., pairs) of some traits from covariances (..., t, t), within -1 and 1; NaN where a
    variance is not above 0."""
    rows = [have.index(name) for name in names]
    part = covariance[..., rows, :][..., rows]
    variance = np.diagonal(part, axis1=-2, axis2=-1)
    sd = np.sqrt(np.where(variance > 0, variance, np.nan))
    first, second = np.triu_indices(len(names), 1)
    return np.clip(part[..., first, second] / (sd[..., first] * sd[..., second]), -1, 1)


def _is_clear(estimate: HasemanElston, name: str) -> bool:
    k = estimate.names.index(name)
    return bool(estimate.h2[k] > 2 * estimate.h2_se[k])


def _regressed(cohorts: dict[str, Cohort]) -> list[dict]:
    """Intercept and heritability of LD score regression, mean over the traits that founders and pseudo people have.

    Errors are those of one trait, as if all traits were one: traits of the same people tell little more.
    """
    by_trait = {c: cohorts[c].regressions.by_trait for c in COMPARED}
    both = [t for t in by_trait["real"] if all(np.isfinite(by_trait[c][t].h2) if t in by_trait[c] else False
                                               for c in ("real", "synthetic"))]  # fmt: skip
    if not both:
        return [measure(key, None, reason="no intercept") for key in ("ldsc_intercept", "ldsc_h2_difference")]

    def mean(cohort, field):
        found = [getattr(by_trait[cohort][t], field) for t in both if t in by_trait[cohort]]
        return float(np.nanmean(found)) if np.isfinite(found).any() else np.nan

    lines = []
    for key, field in (("ldsc_intercept", "intercept"), ("ldsc_h2_difference", "h2")):
        made, real = mean("synthetic", field), mean("real", field)
        error = np.hypot(mean("synthetic", f"{field}_se"), mean("real", f"{field}_se"))
        value, floor = (made, real) if field == "intercept" else (made - real, mean("holdout", field) - real)
        interval = (value - 1.96 * error, value + 1.96 * error)
        z = (made - real) / error if error > 0 else None
        lines.append(measure(key, value, floor=floor, z=z, interval=interval, traits=len(both), real=real))
    return lines


def save_heritability(path: str | Path, metrics: list[dict], cohorts: dict[str, Cohort], **more) -> None:
    """Write {"metrics": [...], "cohorts": {name: {people, traits {name: {...}}, genetic_correlation}}, **more}."""
    save_lines(path, metrics, cohorts={name: _plain(cohort) for name, cohort in cohorts.items()}, **more)


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
