"""Effect weights learnt on the training people: candidates by spike-and-slab, one posterior draw of everything else.

`draw` (see draw.py) keeps one state of a Gibbs sampler, so that (X w, y) is distributed as (genetic value, y):
slope 1, variance h2. A posterior mean would deflate or inflate the pseudo cohort's association. To compare with:
`blup`, the in-sample posterior mean without hits; `ct`, clumped sites of p < 5e-8 with marginal effects;
`crossfit`, the mean of five posterior means, each from other families.

Scale: an effect is in SD of the rank score of a continuous, count or ordinal item; in SD of the liability
(beside the covariates) of a binary one, but `ct` in log odds and `crossfit` in units of 0/1. Males on X count 0 or 2.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from pseudocohort import counter
from pseudocohort.errors import InputError
from pseudocohort.files import atomic_directory
from pseudocohort.genetics.traits import Traits
from pseudocohort.scores.pgs_catalog import TraitWeights, write_scoring_file
from pseudocohort.weights import canonical, draw, liability
from pseudocohort.weights.crossfit import FOLDS, CrossFit, crossfit, fold_weights, folds_of, given_effects
from pseudocohort.weights.hits import Candidates, find_candidates
from pseudocohort.weights.kernel import Sites, choose_alpha, make_kernel

log = logging.getLogger("pseudocohort")

METHODS = ("draw", "blup", "ct", "crossfit")
DEFAULTS = {
    "method": "draw",
    "minimum_allele_frequency": 0.01,
    "alpha": None,  # of the kernel; None: the likelier of -1 and -.3
    "hit_p": 5e-8,
    "lead_p": 1e-3,
    "lead_r2": 0.6,
    "most_leads": 300,  # of a trait; fewer where the candidates of all would not fit in memory
    "ct_r2": 0.1,
    "sweeps": None,  # None: 40, where memory does not hold the kernel 8
    "dense_up_to": 20_000,
    "block_sites": 4096,
    "device": "cpu",  # of the kernel's products
}
MINIMUM_PEOPLE = 50
CANDIDATE_BYTES = 2 * 2**30
FEW_PEOPLE = 500  # below: the report warns
MINIMUM_COUNT = 10  # of cases, below which their number is not told


class Learnt(NamedTuple):
    """weights: of every trait.  report: an entry a trait.  out_of_fold: a row a training person, a column a trait:
    the value predicted from other families, NaN where that is not possible (no families given, too few people)."""

    weights: dict[str, TraitWeights]
    report: list[dict]
    out_of_fold: pd.DataFrame


def learn_weights(
    prefixes: list,
    people_rows,
    traits: Traits,
    seed: int,
    settings: Mapping | None = None,
    family=None,
    unrelated=None,
    given: Mapping | None = None,
) -> Learnt:
    """Weights of every trait from the training people.

    prefixes: .pgen triples, one a chromosome.  people_rows: increasing rows of the training people in the .psam,
    whose traits these are.  settings: see DEFAULTS.  family: (n,) labels; given, predictions are cross-fitted.
    unrelated: (n,) bool; heritability is learnt from these, so that what households share is not taken for it.
    given: {trait: (n, k) scores of the training people by given scoring files}, the prior mean of that trait.

    Report: trait, kind, scale, method, n, cases (if 10 or more), candidates, hits, h2 (of the variance beside the
    covariates; of binary traits the liability's), h2_hits, h2_polygenic, h2_se, alpha, sites, crossfit_r2
    (and, binary, crossfit_r2_liability, crossfit_auc), given_coefficients, given_r2, note.
    Raises InputError for fewer than 50 people, or when no site is common.
    """
    settings = _settings(settings, traits.values.size)
    n = len(traits.values)
    if not traits.names:
        return Learnt({}, [], pd.DataFrame(index=range(n)))
    if n < MINIMUM_PEOPLE:
        raise InputError(
            f"effect weights of {n} people would be noise",
            where="the training people (part train of the people table)",
            expected=f"at least {MINIMUM_PEOPLE}, and thousands for weights that predict",
            remedy="add people, or give PGS Catalog scoring files (weights: pgs)",
        )
    # threads cost more than they give on small systems
    with threadpool_limits(1 if n < 2000 else None):
        return _learn(prefixes, people_rows, traits, seed, settings, family, unrelated, dict(given or {}))


def _settings(settings: Mapping | None, size: int) -> dict:
    settings = {**DEFAULTS, **(settings or {})}
    if settings["method"] not in METHODS:
        raise ValueError(f"unknown method {settings['method']}")
    settings["most_leads"] = max(min(settings["most_leads"], CANDIDATE_BYTES // (4 * max(size, 1))), 20)
    return settings


class _Work(NamedTuple):
    """What the methods share."""

    prefixes: list
    people_rows: np.ndarray | None
    traits: Traits
    seed: int
    settings: dict
    covariates: np.ndarray
    binary: np.ndarray
    eta: np.ndarray
    given: dict
    kernel: object
    people: np.ndarray | None


def _learn(prefixes, people_rows, traits, seed, settings, family, unrelated, given) -> Learnt:
    n = len(traits.values)
    covariates = np.column_stack([np.ones(n), traits.covariates])
    binary = np.array([kind == "logistic" for kind in traits.kind])
    eta = np.zeros(traits.values.shape)
    for k in np.flatnonzero(binary):
        eta[:, k] = _probit(traits.values[:, k], covariates)
    response = np.where(binary, liability.expected(traits.values, eta), traits.values)
    alpha = settings["alpha"]
    if alpha is None and settings["method"] == "ct":
        alpha = -1.0  # no kernel counts
    if alpha is None:
        left = np.nan_to_num(response - eta)
        left = left[:, left.std(axis=0) > 1e-8]
        alpha = choose_alpha(
            prefixes, people_rows, covariates, left, minimum_frequency=settings["minimum_allele_frequency"]
        )
    sites = Sites(prefixes, people_rows, settings["minimum_allele_frequency"], alpha, settings["block_sites"])
    prior = _prior(seed, len(traits.names))
    kernel = make_kernel(sites, covariates, settings["dense_up_to"], prior, settings["device"])
    people = None if unrelated is None or np.all(unrelated) else np.asarray(unrelated, dtype=bool)
    few_unrelated = people is not None and people.sum() < MINIMUM_PEOPLE
    people = None if few_unrelated else people
    work = _Work(prefixes, people_rows, traits, seed, settings, covariates, binary, eta, given, kernel, people)
    fit = None
    if family is not None or settings["method"] == "crossfit":
        fold = folds_of(range(n) if family is None else family, seed)
        fit = crossfit(kernel, prefixes, people_rows, traits, fold, settings, settings["method"], given, people)
    weights, entries, out = _METHODS[settings["method"]](work, response, fit)
    honest = [{"crossfit_r2": None}] * len(entries) if fit is None else fit.report
    every = {"alpha": alpha, "sites": kernel.m}
    report = [_entry(work, k) | every | entry | honest[k] for k, entry in enumerate(entries)]
    if few_unrelated:
        told = "too few unrelated people: what households share counts as heritability"
        report = [entry | {"note": "; ".join([*filter(None, [entry.get("note")]), told])} for entry in report]
    return Learnt(weights, report, pd.DataFrame(out, columns=list(traits.names)))


def _predicted(work: "_Work", fit: CrossFit | None) -> np.ndarray:
    return np.full(work.traits.values.shape, np.nan) if fit is None else fit.predicted


def _probit(y, covariates) -> np.ndarray:
    """Linear predictor (n,) of everybody from those seen."""
    seen = ~np.isnan(y)
    fitted = liability.fit_probit(y[seen], covariates[seen])
    b = np.linalg.lstsq(covariates[seen], fitted, rcond=None)[0]
    return covariates @ b


def _prior(seed: int, columns: int):
    """Unit prior effects (b, columns) of sites, numbered by chromosome and row of the .pvar."""

    def effects(chrom, table):
        index = np.asarray(table.index, dtype=np.uint32)[:, None]
        return counter.normals(counter.key(seed, "polygenic prior", chrom), index, np.arange(columns, dtype=np.uint32))

    return effects


def _draw(work: _Work, response, fit, mean: bool = False):
    """The last state of the sampler; mean: without hits, and posterior means instead of draws."""
    kernel, traits, settings = work.kernel, work.traits, work.settings
    rows = np.ones(kernel.n, dtype=bool) if work.people is None else work.people
    pairs = canonical.pairs_of(kernel, rows, work.seed)
    if mean:
        found = [_none(kernel.n)] * len(traits.names)
    else:
        found = find_candidates(work.prefixes, work.people_rows, traits, response, work.covariates, settings)
    columns, role, sizes = [], [], []
    for name, candidates in zip(traits.names, found, strict=True):
        x, size = _standard_columns(candidates, work.given.get(name))
        columns.append(x)
        sizes.append(size)
        role.append(np.repeat([1, 2], [len(candidates.sites), len(size) - len(candidates.sites)]))
    products = liability.series(work.eta, work.binary, ~np.isnan(traits.values))
    model = draw.Model(kernel, traits.values, work.binary, work.eta, columns, role, products, pairs, work.people)
    sweeps = settings["sweeps"] or (40 if hasattr(kernel, "vectors") else 8)
    state = draw.run(model, work.seed, pairs.sites, sweeps, kernel.prior_values)
    turn = state.rotation
    if mean:
        table, values = _polygenic(kernel, state.mean_right, None)
    else:
        spread, prior = np.sqrt(turn.h)[:, None] * turn.back, _prior(work.seed, len(traits.names))
        table, values = _polygenic(kernel, state.right @ turn.back, lambda c, s: prior(c, s) @ spread)
    alone = [
        (c.sites, state.effects[k][: len(c.sites)] / sizes[k][: len(c.sites)]) for k, c in enumerate(found)
    ]  # per ALT allele
    share = state.spread + np.eye(len(found))
    weights, entries = {}, []
    for k, name in enumerate(traits.names):
        hits = [(sites[b != 0], b[b != 0] * share[i, k]) for i, (sites, b) in enumerate(alone) if share[i, k] != 0]
        weights[name] = _with_hits(table, values[:, k], hits)
        c = len(found[k].sites)
        given = {"given_coefficients": (state.effects[k][c:] / sizes[k][c:]).tolist()} if name in work.given else {}
        entries.append(_draw_entry(state, k, c) | given)
    return weights, entries, _predicted(work, fit)


def _blup(work, response, fit):
    return _draw(work, response, fit, mean=True)


def _ct(work: _Work, response, fit):
    settings = {**work.settings, "lead_p": work.settings["hit_p"], "lead_r2": work.settings["ct_r2"]}
    traits, response, coefficients = work.traits, response.copy(), {}
    for name, scores in work.given.items():  # sites are tested on what the given scores leave
        k, seen = traits.names.index(name), ~np.isnan(traits.values[:, traits.names.index(name)])
        coefficients[name] = given_effects(traits.values[:, k], work.covariates, scores, seen)
        response[:, k] = traits.values[:, k] - scores @ coefficients[name]
        kind = (*traits.kind[:k], "linear", *traits.kind[k + 1 :])
        traits = traits._replace(kind=kind, values=np.where(np.arange(len(kind)) == k, response, traits.values))
    found = find_candidates(work.prefixes, work.people_rows, traits, response, work.covariates, settings, joint=False)
    weights, entries = {}, []
    for k, (name, candidates) in enumerate(zip(traits.names, found, strict=True)):
        weights[name] = TraitWeights(candidates.sites, candidates.marginal)
        units = {"linear": "0/1", "logistic": "log odds"}[traits.kind[k]]
        entries.append({"scale": units if work.binary[k] else "SD of the rank score", "hits": len(candidates.sites)})
        entries[-1] |= {"given_coefficients": coefficients[name].tolist()} if name in coefficients else {}
    return weights, entries, _predicted(work, fit)


def _crossfit(work: _Work, response, fit: CrossFit):
    """Means of the folds' weights; the training people have the scores of the fold that left them out."""
    table, values, scores = fold_weights(work.kernel, fit)
    weights, entries = {}, []
    for k, name in enumerate(work.traits.names):
        hits = [(sites, beta / FOLDS) for sites, beta in fit.hits[k] if len(beta)]
        weights[name] = _with_hits(table, values[:, k], hits)
        scale = "0/1" if work.binary[k] else "SD of the rank score"
        entries.append({"scale": scale, "hits": sum(len(beta) for _, beta in hits) / FOLDS})
        entries[-1] |= {"given_coefficients": fit.given[name].tolist()} if name in fit.given else {}
    return weights, entries, np.where(np.isnan(fit.predicted), np.nan, scores)


_METHODS = {"draw": _draw, "blup": _blup, "ct": _ct, "crossfit": _crossfit}


def _none(n: int) -> Candidates:
    sites = pd.DataFrame(columns=["chrom", "pos", "id", "ref", "alt"])
    return Candidates(sites, np.empty((0, n), dtype=np.int8), np.empty(0, dtype=bool), np.empty(0), np.empty(0))


def _standard_columns(candidates: Candidates, given) -> tuple[np.ndarray, np.ndarray]:
    """Standardised candidates, then given scores, (n, c) float32, and their standard deviations (c,)."""
    n = candidates.dosage.shape[1]
    parts, sizes = [], []
    for whole in (candidates.dosage.T, np.empty((n, 0)) if given is None else np.asarray(given, dtype=float)):
        size = whole.std(axis=0)
        size = np.where(size > 1e-12 * (1 + np.abs(whole).max(axis=0, initial=0)), size, 1.0)
        parts.append(((whole - whole.mean(axis=0)) / size).astype(np.float32))
        sizes.append(size)
    return np.hstack(parts), np.concatenate(sizes)


def _polygenic(kernel, right, prior) -> tuple[pd.DataFrame, np.ndarray]:
    """Sites and weights (m, t) per ALT allele, in one pass."""
    tables, values = [], []
    for _, table, w, to_allele in kernel.effects(right, prior):
        tables.append(table)
        values.append(w * to_allele[:, None])
    return pd.concat(tables), np.concatenate(values)


def _with_hits(sites: pd.DataFrame, values: np.ndarray, hits: list) -> TraitWeights:
    """Weights with effects added at their sites. hits: pairs of sites and effects; a site may come several times."""
    values = values.copy()
    place = pd.MultiIndex.from_arrays([sites["chrom"], sites.index])
    for table, effects in hits:
        if len(effects):
            rows = place.get_indexer(pd.MultiIndex.from_arrays([table["chrom"], table.index]))
            if (rows < 0).any():
                raise ValueError("a hit is not among the common sites")
            np.add.at(values, rows, effects)
    return TraitWeights(sites, values)


def _entry(work: _Work, k: int) -> dict:
    """What is told of every trait whatever the method."""
    y = work.traits.values[:, k]
    n, cases = int((~np.isnan(y)).sum()), int((y == 1).sum())
    entry = {
        "trait": work.traits.names[k],
        "kind": work.traits.kind[k],
        "scale": "SD of the liability" if work.binary[k] else "SD of the rank score",
        "method": work.settings["method"],
        "n": n,
    }
    if work.binary[k] and cases >= MINIMUM_COUNT and n - cases >= MINIMUM_COUNT:
        entry["cases"] = cases
    # a case beside many controls tells what four people tell (Yang et al. 2010)
    effective = 4 * cases * (n - cases) / max(n, 1) if work.binary[k] else n
    if effective < FEW_PEOPLE:
        who = "the cases" if work.binary[k] and n >= FEW_PEOPLE else f"{n} people"
        entry["note"] = f"{who} tell little of heritability and next to nothing of single sites"
    return entry


def _draw_entry(state: draw.Draw, k: int, sites: int) -> dict:
    """Shares are of the trait's variance beside the covariates; h2_se does not tell what the candidates add."""
    # what the sampler keeps after clipping to what is possible with all traits together
    genetic = float((state.rotation.back[:, k] ** 2 * state.rotation.h).sum())
    whole = float(max(state.hits[k] + state.rest[k], 1e-12))
    se, spread = state.shares.se[k], state.h_spread[k]
    known = np.isfinite(se)
    return {
        "candidates": sites,
        "hits": int((state.effects[k][:sites] != 0).sum()),
        "h2": float(state.hits[k] + genetic) / whole,
        "h2_hits": float(state.hits[k]) / whole,
        "h2_polygenic": genetic / whole,
        "h2_se": float(np.hypot(se, spread) * state.rest[k] / whole) if known else None,
    }


def write_weights(out_dir: str | Path, weights: Mapping[str, TraitWeights], build: str = "") -> None:
    """Write `{trait}.txt.gz` in PGS Catalog format for every trait; the directory appears whole or not at all."""
    with atomic_directory(out_dir) as part:
        for trait, w in weights.items():
            write_scoring_file(part / f"{trait}.txt.gz", w.sites, w.values, trait, build)
