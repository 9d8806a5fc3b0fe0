"""Effect weights learnt on the training people: joint hits, then one posterior draw of everything else.

For a trait y and standardised common sites X (m sites), with K = X X'/m:

    S    = forward conditional selection of sites at p < 5e-8          b_S jointly, by least squares
    E    = y - X_S b_S                                                 h, s by REML of E on K
    w    = b0 + (h/m) X'P (E - X b0 - e0)    b0 ~ N(0, s h/m), e0 ~ N(0, s(1 - h))    (Matheron's rule)

w is a draw from p(effects | genomes, trait) under the infinitesimal prior with flat covariate effects, so
that (X w, y) is distributed as (genetic value, y): slope 1, variance h2. A posterior mean would deflate
or inflate the pseudo cohort's association. Binary traits are treated on their 0/1 scale: their h and
weights are on the observed, not the liability, scale. Males on X count 0 or 2 in the standardisation too.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri
from threadpoolctl import threadpool_limits

from pseudocohort import counter
from pseudocohort.errors import InputError
from pseudocohort.files import atomic_directory
from pseudocohort.genetics import mixed_model
from pseudocohort.genetics.hits import Hits, find_hits, minimum_count
from pseudocohort.genetics.pgs_catalog import match_score, read_scoring_file, write_scoring_file
from pseudocohort.genetics.traits import Traits
from pseudocohort.genotypes import Genotypes

log = logging.getLogger("pseudocohort")

DEFAULTS = {
    "method": "draw",
    "minimum_allele_frequency": 0.01,
    "hit_p": 5e-8,
    "maximum_people": 20_000,
    "block_sites": 4096,
}
FOLDS = 5


class TraitWeights(NamedTuple):
    """Weights of one trait: sites (k rows; chrom pos id ref alt) and values, (k,) per ALT allele or (k, 3)
    contributions of 0, 1, 2 ALT alleles."""

    sites: pd.DataFrame
    values: np.ndarray


def learn_weights(
    prefixes: list, people_rows, traits: Traits, seed: int, settings: Mapping | None = None, family=None
) -> tuple[dict[str, TraitWeights], list[dict]]:
    """Weights of every trait from the training people, and a report entry a trait.

    prefixes: .pgen triples, one a chromosome.  people_rows: increasing rows of the training people in the
    .psam, whose traits these are.  settings: see DEFAULTS; only method `draw` is known here.  family: (n,)
    labels; given, the report tells the out-of-sample R^2 of a ridge prediction with whole families left out.
    Report: trait, kind, method, n, hits, h2 (of the trait after covariates: hits and polygenic), h2_hits,
    h2_polygenic, h2_se, sites, crossfit_r2.
    Raises InputError for more people than one (n, n) system allows.
    """
    settings = {**DEFAULTS, **(settings or {})}
    if settings["method"] not in METHODS:
        raise ValueError(f"unknown method {settings['method']}")
    n = len(traits.values)
    if not traits.names:
        return {}, []
    if n > settings["maximum_people"]:
        raise InputError(
            f"learning weights from {n} people would need about {4 * 8 * n * n / 1e9:.0f} GB of memory",
            where="config key weights",
            expected=f"at most {settings['maximum_people']} training people",
            remedy="give PGS Catalog scoring files (weights: pgs) or a part of the cohort",
        )
    return METHODS[settings["method"]](prefixes, people_rows, traits, seed, settings, family)


def _draw(prefixes, people_rows, traits, seed, settings, family):
    """Joint hits and one posterior draw; see the module's text."""
    t, maf, size = len(traits.names), settings["minimum_allele_frequency"], settings["block_sites"]
    covariates = np.column_stack([np.ones(len(traits.values)), traits.covariates])
    hits = find_hits(prefixes, people_rows, traits, covariates, settings)
    kernel_matrix, prior, m = _accumulate(prefixes, people_rows, traits.names, seed, maf, size)
    scale = np.trace(kernel_matrix) / len(kernel_matrix)
    kernel_matrix /= scale
    log.info("weights: decomposing the kernel of %d people on %d common sites", len(kernel_matrix), m)
    kernel = mixed_model.decompose(kernel_matrix)
    folds = None if family is None else _folds(np.asarray(family), seed)
    fits, right, report = [], np.zeros((len(kernel_matrix), t)), []
    models = {}  # traits that the same people lack share one
    # threads cost more than they give on the small systems of one trait
    with threadpool_limits(1 if len(kernel_matrix) < 4000 else None):
        for k, name in enumerate(traits.names):
            y = traits.values[:, k]
            seen = ~np.isnan(y)
            if seen.tobytes() not in models:
                models[seen.tobytes()] = mixed_model.make_model(kernel_matrix, kernel, covariates, seen)
            model = models[seen.tobytes()]
            explained = hits[k].dosage.T @ hits[k].beta
            fit = mixed_model.reml(model, y - explained)
            noise = _normals(seed, "polygenic noise", name, "", np.arange(len(y)))
            start = np.sqrt(fit.scale * fit.h / (m * scale)) * prior[:, k] + np.sqrt(fit.scale * (1 - fit.h)) * noise
            right[:, k] = mixed_model.project(model, fit.h, y - explained - start)
            fits.append(fit)
            report.append(
                _entry(traits, k, explained, covariates, fit, len(hits[k].beta), m)
                | {"crossfit_r2": _crossfit_r2(model, y, folds)}
            )
            log.info("weights: %s, %d hits, h2 %.2f", name, len(hits[k].beta), report[-1]["h2"])
    h = np.array([fit.h for fit in fits])
    spread = np.sqrt([fit.scale * fit.h / (m * scale) for fit in fits])
    sites, values = _effects(prefixes, people_rows, traits.names, seed, maf, size, spread, h / (m * scale) * right)
    weights = {name: _with_hits(sites, values[:, k], hits[k]) for k, name in enumerate(traits.names)}
    return weights, report


METHODS = {"draw": _draw}


def _standardised(prefixes, people_rows, maf: float, size: int) -> Iterator:
    """Common sites in blocks: (chrom, sites, X (b, n) float32 of mean 0 and variance 1, sd (b,))."""
    started, done = time.monotonic(), 0
    opened = [Genotypes(prefix, people_rows) for prefix in prefixes]
    total = sum(genotypes.n_sites for genotypes in opened)
    for genotypes in opened:
        with genotypes:
            for start, stop in genotypes.blocks(size):
                dosage = genotypes.dosages(start, stop)
                n = genotypes.n_people
                count = dosage.sum(axis=1, dtype=np.int64)
                kept = np.flatnonzero(np.minimum(count, 2 * n - count) >= minimum_count(n, maf))
                x, mean = dosage[kept].astype(np.float32), count[kept] / n
                variance = (x * x).mean(axis=1, dtype=float) - mean**2
                varies = variance > 1e-9  # everybody heterozygous: frequent, yet constant
                x, mean, sd, kept = x[varies], mean[varies], np.sqrt(variance[varies]), kept[varies]
                x -= mean[:, None].astype(np.float32)
                x /= sd[:, None].astype(np.float32)
                if len(kept):
                    yield genotypes.sites["chrom"].iloc[0], genotypes.sites.iloc[start + kept], x, sd
                done += stop - start
        spent = time.monotonic() - started
        log.info("weights: %d %% of sites, about %.0f s left", 100 * done / total, spent * (total / done - 1))


def _normals(seed, purpose, trait, chrom, index) -> np.ndarray:
    """Standard normal draws numbered by index (k,): the same whatever is drawn beside them."""
    high, low = counter.bits(counter.key(seed, purpose, trait, chrom), np.asarray(index, dtype=np.uint32), np.uint32(0))
    return ndtri(((high.astype(np.uint64) << np.uint64(20) | low.astype(np.uint64) >> np.uint64(12)) + 0.5) / 2.0**52)


def _prior(seed, names, chrom, sites) -> np.ndarray:
    """Unit prior effects (b, t) of sites, numbered by their rows in the .pvar."""
    return np.column_stack([_normals(seed, "polygenic prior", name, chrom, sites.index) for name in names])


def _accumulate(prefixes, people_rows, names, seed, maf, size):
    """First pass: K = X'X/m (n, n), prior genetic values X'b (n, t) of unit prior effects, number of sites m."""
    kernel, prior, m = 0.0, 0.0, 0
    for chrom, sites, x, _ in _standardised(prefixes, people_rows, maf, size):
        kernel = kernel + (x.T @ x).astype(float)
        prior = prior + x.T @ _prior(seed, names, chrom, sites).astype(np.float32)
        m += len(sites)
    if m == 0:
        raise InputError(
            f"no site has an allele frequency of {maf} among the training people",
            where="genotypes of the training people",
            expected="common sites, from which effect weights are learnt",
            remedy="add chromosomes or common sites, or give scoring files (weights: pgs)",
        )
    return kernel / m, prior, m


def _effects(prefixes, people_rows, names, seed, maf, size, spread, right):
    """Second pass: sites and weights (m, t) per ALT allele, spread b + X right, back from standardised dosage."""
    tables, values = [], []
    for chrom, sites, x, sd in _standardised(prefixes, people_rows, maf, size):
        drawn = spread * _prior(seed, names, chrom, sites) + x @ right.astype(np.float32)
        tables.append(sites)
        values.append(drawn / sd[:, None])
    return pd.concat(tables), np.concatenate(values)


def _with_hits(sites: pd.DataFrame, values: np.ndarray, hits: Hits) -> TraitWeights:
    """Add the hits' joint effects to the drawn weights of the same sites."""
    values = values.copy()
    if len(hits.beta):
        place, of_hits = (pd.MultiIndex.from_arrays([s["chrom"], s.index]) for s in (sites, hits.sites))
        values[place.get_indexer(of_hits)] += hits.beta
    return TraitWeights(sites, values)


def _folds(family: np.ndarray, seed: int) -> np.ndarray:
    """Fold (n,) of every person; families stay whole."""
    names, member = np.unique(family.astype(str), return_inverse=True)
    return (counter.order(counter.key(seed, "crossfit folds"), len(names)) % FOLDS)[member]


def _crossfit_r2(model, y, folds) -> float | None:
    """1 - (squared errors of ridge prediction)/(of covariates alone), whole families left out; h is fitted on all."""
    if folds is None:
        return None
    fit = mixed_model.reml(model, y)
    errors = mixed_model.left_out_errors(model, fit.h, y, folds)
    without = mixed_model.left_out_errors(model, 0.0, y, folds)
    return float(1 - np.nansum(errors**2) / np.nansum(without**2))


def _entry(traits, k, explained, covariates, fit, hits, m) -> dict:
    """Report of one trait; shares are of the trait's variance after covariates."""
    y = traits.values[:, k]
    seen = ~np.isnan(y)

    def variance(v):
        fitted = covariates[seen] @ np.linalg.lstsq(covariates[seen], v[seen], rcond=None)[0]
        return float((v[seen] - fitted).var())

    of_hits, of_rest = variance(explained), variance(y - explained)
    whole = variance(y)
    return {
        "trait": traits.names[k],
        "kind": traits.kind[k],
        "method": "draw",
        "n": int(seen.sum()),
        "hits": hits,
        "h2": (of_hits + fit.h * of_rest) / whole,
        "h2_hits": of_hits / whole,
        "h2_polygenic": fit.h * of_rest / whole,
        "h2_se": fit.se if np.isfinite(fit.se) else None,
        "sites": m,
    }


def catalog_weights(
    files: Mapping[str, str | Path], prefixes: list, people_rows, build: str, minimum_overlap: float = 0.5
) -> tuple[dict[str, TraitWeights], list[dict]]:
    """Weights from given PGS Catalog scoring files, matched to the cohort's sites, and the match report of each.

    files: {trait: path}.  people_rows: whose allele frequencies tell the strand of A/T and C/G sites where
    a file gives frequencies.
    """
    scores = {trait: read_scoring_file(path, build) for trait, path in files.items()}
    tables, counts = [], []
    wanted = any(np.isfinite(s.table["frequency"]).any() for s in scores.values())
    for prefix in prefixes:
        with Genotypes(prefix, people_rows) as genotypes:
            tables.append(genotypes.sites)
            if wanted:
                counts += [genotypes.dosages(*b).mean(axis=1, dtype=float) / 2 for b in genotypes.blocks()]
    sites = pd.concat(tables, ignore_index=True)
    frequency = np.concatenate(counts) if wanted else None
    weights, report = {}, []
    for trait, score in scores.items():
        rows, values, matched = match_score(score, sites, frequency, minimum_overlap)
        weights[trait] = TraitWeights(sites.iloc[rows].reset_index(drop=True), values)
        report.append({"trait": trait, "method": "pgs", "score": score.name, **matched})
    return weights, report


def write_weights(out_dir: str | Path, weights: Mapping[str, TraitWeights], build: str = "") -> None:
    """Write `{trait}.txt.gz` in PGS Catalog format for every trait; the directory appears whole or not at all."""
    with atomic_directory(out_dir) as part:
        for trait, w in weights.items():
            write_scoring_file(part / f"{trait}.txt.gz", w.sites, w.values, trait, build)
