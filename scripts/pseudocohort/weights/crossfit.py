"""Out-of-sample prediction of every trait, whole families left out: what the weights honestly predict.

In each of five folds hits are selected anew among the others, and the rest is predicted by the ridge posterior
mean with the heritability h of everybody; binary traits on their 0/1 scale.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import norm, rankdata

from pseudocohort import counter
from pseudocohort.genetics.traits import Traits
from pseudocohort.weights.hits import Candidates, find_candidates
from pseudocohort.weights.kernel import standardised

FOLDS = 5
LEAST = 30  # people, and a third as many cases and controls, that the other folds must have


class CrossFit(NamedTuple):
    """t traits, 5 folds: fold (n,), hits: sites and effects of every (trait, fold), given: {trait: (k,)} mean
    coefficients of its given scores, explained (n, t) by both as the other folds have them, right (n, 5 t) right
    sides of the ridge, predicted (n, t) out of fold, the ridge beside the covariates, NaN where not possible;
    report: an entry a trait."""

    fold: np.ndarray
    hits: list
    given: dict[str, np.ndarray]
    explained: np.ndarray
    right: np.ndarray
    predicted: np.ndarray
    report: list[dict]


def folds_of(family, seed: int) -> np.ndarray:
    """Fold (n,) of every person, 0 to 4; families stay whole.  family: (n,) labels."""
    names, member = np.unique(np.asarray(family).astype(str), return_inverse=True)
    return (counter.order(counter.key(seed, "crossfit folds"), len(names)) % FOLDS)[member]


def crossfit(
    kernel, prefixes, people_rows, traits: Traits, fold, settings: Mapping, method: str, given: Mapping, people=None
) -> CrossFit:
    """Predict every fold from the others.

    fold: (n,).  method: `ct` (marginal effects of clumped hits alone), `blup` (ridge alone), others: joint hits and
    ridge.  given: {trait: (n, k) given scores}, whose coefficients are fitted first.  people: see kernel.reml.
    """
    n, t = traits.values.shape
    covariates = np.column_stack([np.ones(n), traits.covariates])
    masks = np.stack([~np.isnan(traits.values) & (fold != f)[:, None] for f in range(FOLDS)], axis=2)  # (n, t, 5)
    usable = np.array([[_enough(traits.values[masks[:, k, f], k], traits.kind[k]) for f in range(FOLDS)]
                       for k in range(t)]).reshape(t, FOLDS)  # fmt: skip
    offset, coefficients = _given_values(traits, covariates, masks, usable, given)
    response = np.where(masks & usable[None], traits.values[:, :, None] - offset, np.nan)
    hits, explained = _hits(prefixes, people_rows, traits, response, usable, covariates, settings, method)
    target = np.where(np.isnan(response), 0, response - explained).reshape(n, -1)
    right = np.zeros((n, t * FOLDS))
    if method != "ct":
        h = np.repeat(_shares(kernel, traits, offset + explained, people), FOLDS)
        active = np.flatnonzero((h > 1e-4) & usable.ravel())
        if len(active):
            mask = ~np.isnan(response).reshape(n, -1)[:, active]
            right[:, active] = kernel.solve(target[:, active], (1 - h[active]) / h[active], mask)
    values = (kernel.multiply(right) if right.any() else right).reshape(n, t, FOLDS)
    report, predicted = [], np.full((n, t), np.nan)
    own = np.take_along_axis(offset + explained, fold[:, None, None], axis=2)[:, :, 0]
    for k in range(t):
        score = offset[:, k] + explained[:, k] + values[:, k]
        entry, out = _judge(traits.values[:, k], traits.kind[k], score, covariates, fold, masks[:, k], usable[k])
        predicted[:, k] = out
        if traits.names[k] in given:
            scores = given[traits.names[k]]
            entry["given_r2"] = score_r2(traits.values[:, k], covariates, scores, fold)
        report.append(entry)
    return CrossFit(fold, hits, coefficients, own, right, predicted, report)


def _given_values(traits: Traits, covariates, masks, usable, given: Mapping) -> tuple[np.ndarray, dict]:
    """Values (n, t, 5) of given scores by coefficients of the other folds, and the mean coefficients of each trait."""
    values, coefficients = np.zeros(masks.shape), {}
    for k, name in enumerate(traits.names):
        if name in given:
            fitted = np.zeros((FOLDS, given[name].shape[1]))
            for f in np.flatnonzero(usable[k]):
                fitted[f] = given_effects(traits.values[:, k], covariates, given[name], masks[:, k, f])
                values[:, k, f] = given[name] @ fitted[f]
            coefficients[name] = fitted.mean(axis=0)
    return values, coefficients


def given_effects(y: np.ndarray, covariates: np.ndarray, scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Least-squares coefficients (k,) of scores (n, k) beside covariates (n, q) among the people `rows`, bool (n,)."""
    design = np.column_stack([covariates, scores])[rows]
    return np.linalg.lstsq(design, y[rows], rcond=None)[0][covariates.shape[1] :]


def _enough(y: np.ndarray, kind: str) -> bool:
    if len(y) < LEAST or y.min() == y.max():
        return False
    return kind == "linear" or min((y == 0).sum(), (y == 1).sum()) >= LEAST // 3


def _hits(prefixes, people_rows, traits, response, usable, covariates, settings, method):
    """Sites and effects of every (trait, fold), and their values (n, t, 5)."""
    t = response.shape[1]
    none = (None, np.empty(0))
    hits, explained = [[none] * FOLDS for _ in range(t)], np.zeros(response.shape)
    if method == "blup" or not usable.any():
        return hits, explained
    places = list(zip(*np.nonzero(usable), strict=True))
    columns = np.column_stack([response[:, k, f] for k, f in places])
    linear = np.column_stack([np.where(np.isnan(response[:, k, f]), np.nan, traits.values[:, k]) for k, f in places])
    many = traits._replace(
        names=tuple(f"{k} {f}" for k, f in places),
        kind=tuple(traits.kind[k] for k, _ in places),
        values=linear if method == "ct" else columns,
    )
    if method != "ct":  # offsets leave no 0 and 1
        many = many._replace(kind=tuple(
            "logistic" if kind == "logistic" and set(np.unique(y[~np.isnan(y)])) <= {0, 1} else "linear"
            for kind, y in zip(many.kind, columns.T, strict=True)))  # fmt: skip
    only = {**settings, "lead_p": settings["hit_p"], "most_leads": settings["most_leads"] if method == "ct" else 0}
    only["lead_r2"] = settings["ct_r2"] if method == "ct" else settings["lead_r2"]
    found = find_candidates(prefixes, people_rows, many, columns, covariates, only, joint=method != "ct")
    for (k, f), candidates, y in zip(places, found, columns.T, strict=True):
        beta = candidates.marginal if method == "ct" else joint_effects(y, covariates, candidates)
        hits[k][f] = (candidates.sites, beta)
        explained[:, k, f] = beta @ (candidates.dosage - candidates.dosage.mean(axis=1, keepdims=True))
    return hits, explained


def joint_effects(y, covariates, candidates: Candidates) -> np.ndarray:
    """Least-squares effects (k,) per ALT allele of all candidates together, y (n,) with NaN."""
    seen = ~np.isnan(y)
    design = np.column_stack([candidates.dosage[:, seen].T, covariates[seen]]).astype(float)
    return np.linalg.lstsq(design, y[seen], rcond=None)[0][: len(candidates.dosage)]


def _shares(kernel, traits, explained, people) -> np.ndarray:
    """h (t,) beside what is explained (n, t, 5), by REML over everybody; a missing 0 takes its share of the pairs."""
    seen = ~np.isnan(traits.values)
    y = np.where(seen, traits.values - explained.mean(axis=2), np.nan)
    y = np.where(seen, y - np.nanmean(y, axis=0), 0.0)
    y = kernel.project(y)
    flat = y.var(axis=0) < 1e-10
    fits = kernel.reml(np.where(flat, counter.generator(0, "flat").normal(size=y.shape), y), people)
    return np.where(flat, 0.0, np.clip(fits.h / np.maximum(seen.mean(axis=0), 0.1), 0, 0.95))


def _judge(y, kind, score, covariates, fold, masks, usable) -> tuple[dict, np.ndarray]:
    """Report entry and predictions (n,) from scores (n, 5) of one trait."""
    out, with_score, without = np.full(len(y), np.nan), np.full(len(y), np.nan), np.full(len(y), np.nan)
    for f in np.flatnonzero(usable):
        test, train = fold == f, masks[:, f]
        out[test] = score[test, f]
        for errors, s in ((with_score, score[:, f]), (without, np.zeros(len(y)))):
            b = np.linalg.lstsq(covariates[train], (y - s)[train], rcond=None)[0]
            errors[test] = (y - s - covariates @ b)[test]
    seen = ~np.isnan(without)
    if not seen.any():
        return {"crossfit_r2": None}, out
    r2 = float(1 - (with_score[seen] ** 2).sum() / (without[seen] ** 2).sum())
    entry = {"crossfit_r2": r2}
    if kind == "logistic":
        share = y[seen].mean()
        # Lee et al. (2012): from the 0/1 to the liability scale
        entry["crossfit_r2_liability"] = float(r2 * share * (1 - share) / norm.pdf(ndtri(share)) ** 2)
        entry["crossfit_auc"] = _auc(y[seen], (out - _fold_means(out, fold))[seen])
    return entry, out


def _fold_means(values, fold) -> np.ndarray:
    means = pd.Series(values).groupby(fold).transform("mean")
    return means.to_numpy()


def _auc(y: np.ndarray, score: np.ndarray) -> float:
    """Share of case-control pairs that the score puts right (Mann & Whitney 1947)."""
    cases = y == 1
    ranks = rankdata(score)
    return float((ranks[cases].sum() - cases.sum() * (cases.sum() + 1) / 2) / (cases.sum() * (~cases).sum()))


def score_r2(y, covariates, scores, fold) -> float | None:
    """Out-of-fold R^2 of scores (n, k) that were made elsewhere, beside covariates (n, q); y (n,) with NaN."""
    design, errors, without = np.column_stack([covariates, scores]), [], []
    for f in np.unique(fold):
        train, test = ~np.isnan(y) & (fold != f), ~np.isnan(y) & (fold == f)
        if train.sum() < LEAST or not test.any():
            continue
        for columns, left in ((design, errors), (covariates, without)):
            b = np.linalg.lstsq(columns[train], y[train], rcond=None)[0]
            left.append(y[test] - columns[test] @ b)
    if not errors:
        return None
    return float(1 - (np.concatenate(errors) ** 2).sum() / (np.concatenate(without) ** 2).sum())


def fold_weights(kernel, fit: CrossFit) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Mean of the folds' ridge weights: sites, (m, t) per ALT allele, and scores (n, t) of each fold's own people.

    One pass; the scores are of centred dosages, not orthogonal to the covariates, as scores of others are.
    """
    t = fit.predicted.shape[1]
    right, scale = kernel.project(fit.right).astype(np.float32), kernel.m * kernel.scale
    tables, values, scores = [], [], fit.explained.copy()
    rows = [np.flatnonzero(fit.fold == f) for f in range(FOLDS)]
    for _, table, x, to_allele in standardised(kernel.sites):
        w = (x @ right / np.float32(scale)).reshape(len(x), t, FOLDS)
        for f, own in enumerate(rows):
            scores[own] += x[:, own].T @ w[:, :, f]
        tables.append(table)
        values.append(w.mean(axis=2) * to_allele[:, None])
    return pd.concat(tables), np.concatenate(values).astype(float), scores
