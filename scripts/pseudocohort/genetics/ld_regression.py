"""LD score regression of association results (Bulik-Sullivan 2015, Nat Genet 47:291 and 47:1236).

    E chi2_j = N h2 l_j / M + 1 + N a        E z1_j z2_j = sqrt(N1 N2) rho_g l_j / M + rho N_s / sqrt(N1 N2)

by weighted least squares with a free intercept. Weights are one over the variance of the left side times l_j, as
sites in LD repeat each other, with the parameters of the round before, two rounds; standard errors and those of ratios
by a jackknife over contiguous blocks of sites. As in ldsc, sites of chi2 > max(0.001 N, 80) are left out; unlike it,
there is no second step for the intercept on chi2 < 30 alone, and LD scores, their M and the sites of the regression are
all common sites of the cohort itself.
"""

from collections.abc import Iterable
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.genetics.heritability import block_jackknife
from pseudocohort.genetics.tails import lambda_gc

BLOCKS = 200
FEWEST_BLOCKS = 20  # with fewer nothing is estimated
LENGTH = 1.0  # cM of a block at least (1 Mb without a map): the window of LD scores
FEWEST_SITES = 500
CHI2 = 80.0
ROUNDS = 2
MOST_SITES = 1_000_000


class Regression(NamedTuple):
    """h2, intercept and ratio = (intercept - 1) / (mean chi2 - 1), each with its standard error; mean_chi2 and
    lambda_gc of all sites given; sites used; reason: why there is nothing, or an empty text."""

    h2: float
    h2_se: float
    intercept: float
    intercept_se: float
    ratio: float
    ratio_se: float
    mean_chi2: float
    lambda_gc: float
    sites: int
    reason: str


class Correlation(NamedTuple):
    """Genetic covariance and correlation of two traits with standard errors, and the intercept, which holds
    the correlation of the shared people's values; reason: why there is nothing, or an empty text."""

    covariance: float
    covariance_se: float
    correlation: float
    correlation_se: float
    intercept: float
    intercept_se: float
    reason: str


class _Fit(NamedTuple):
    """slope and intercept (2,); deleted: (blocks, 2); sizes: (blocks,)."""

    values: np.ndarray
    deleted: np.ndarray
    sizes: np.ndarray


def blocks_of(length: float, blocks: int = BLOCKS, shortest: float = LENGTH) -> int:
    """How many blocks a genome of `length` has whose blocks are at least `shortest` long (both in cM, or Mb)."""
    return int(min(blocks, length // shortest))


def ld_score_regression(z: np.ndarray, n: float, scores: np.ndarray, m: int, blocks: int) -> Regression:
    """Heritability of a trait from its association results.

    z: (k,) beta/se in the order of the genome, NaN where not tested.  n: people.  scores: (k,) LD scores.  m: sites
    that these sum over, whose heritability it is.  blocks: of the jackknife (`blocks_of`).
    """
    z, scores = np.asarray(z, dtype=float), np.asarray(scores, dtype=float)
    chi2 = z**2
    seen = np.isfinite(chi2) & np.isfinite(scores)
    mean = float(chi2[seen].mean()) if seen.any() else np.nan
    inflation = lambda_gc(chi2[seen])
    used = seen & (chi2 <= max(0.001 * n, CHI2))
    reason = _why_not(scores[used], blocks)
    if reason:
        return Regression(*[np.nan] * 6, mean, inflation, int(used.sum()), reason)
    fit, _ = _heritability(chi2[used], n, scores[used], m, blocks)
    slope_se, intercept_se = block_jackknife(fit.values, fit.deleted, fit.sizes)
    used_mean = chi2[used].mean()
    ratio = (fit.values[1] - 1) / (used_mean - 1) if used_mean > 1.02 else np.nan
    return Regression(
        float(fit.values[0] * m / n), float(slope_se * m / n), float(fit.values[1]), float(intercept_se), float(ratio),
        float(intercept_se / (used_mean - 1)) if used_mean > 1.02 else np.nan, mean, inflation, int(used.sum()),
        "" if used_mean > 1.02 else "mean chi-square is not above 1.02: no ratio",
    )  # fmt: skip


def genetic_correlation(
    first: np.ndarray, second: np.ndarray, n: tuple[float, float], scores: np.ndarray, m: int, blocks: int
) -> Correlation:
    """Genetic correlation of two traits from their association results, sample overlap allowed.

    first, second: (k,) beta/se for the same alleles, NaN where not tested.  n: people of each.  Others as in
    `ld_score_regression`.
    """
    first, second, scores = (np.asarray(v, dtype=float) for v in (first, second, scores))
    top = np.maximum(0.001 * np.array(n), CHI2)
    used = np.isfinite(scores) & (first**2 <= top[0]) & (second**2 <= top[1])
    reason = _why_not(scores[used], blocks)
    if reason:
        return Correlation(*[np.nan] * 6, reason)
    score, size = scores[used], np.sqrt(n[0] * n[1])
    fit1, var1 = _heritability(first[used] ** 2, n[0], score, m, blocks)
    fit2, var2 = _heritability(second[used] ** 2, n[1], score, m, blocks)
    product, floored = first[used] * second[used], np.maximum(score, 1)
    slope, intercept = product.mean() / score.mean(), 0.0
    for _ in range(ROUNDS + 1):
        expected = np.clip(slope, -size / m, size / m) * floored + intercept
        weights = 1 / (floored * (var1 * var2 + expected**2))
        slope, intercept = _weighted(product, score, weights)
    fit = _jackknifed(product, score, weights, blocks)
    slope_se, intercept_se = block_jackknife(fit.values, fit.deleted, fit.sizes)
    variance = fit1.values[0] * fit2.values[0]
    rg = fit.values[0] / np.sqrt(variance) if min(fit1.values[0], fit2.values[0]) > 0 else np.nan
    slopes = np.stack([fit1.deleted[:, 0], fit2.deleted[:, 0]])
    both = np.where(slopes.min(axis=0) > 0, slopes.prod(axis=0), np.nan)
    rg_se = block_jackknife(np.array(rg), fit.deleted[:, 0] / np.sqrt(both), fit.sizes)
    return Correlation(
        float(fit.values[0] * m / size), float(slope_se * m / size), float(rg), float(rg_se), float(fit.values[1]),
        float(intercept_se), "" if np.isfinite(rg) else "a heritability is not above 0: no correlation",
    )  # fmt: skip


def _why_not(scores: np.ndarray, blocks: int) -> str:
    if blocks < FEWEST_BLOCKS:
        return f"the genome has fewer than {FEWEST_BLOCKS} blocks of {LENGTH:g} cM"
    if len(scores) < max(FEWEST_SITES, 2 * blocks):
        return "too few sites"
    if np.ptp(scores) < 0.1:
        return "LD scores do not vary"
    return ""


def _heritability(chi2, n: float, scores, m: int, blocks: int) -> tuple[_Fit, np.ndarray]:
    """Fit of chi2 on LD scores, and its expectation (k,) with h2 within 0 and 1, which is what weights are made of."""
    floored = np.maximum(scores, 1)  # in weights alone, as in ldsc
    slope, intercept = (chi2.mean() - 1) / scores.mean(), 1.0
    for _ in range(ROUNDS):
        expected = np.clip(slope, 0, n / m) * floored + max(intercept, 0.1)
        slope, intercept = _weighted(chi2, scores, 1 / (floored * 2 * expected**2))
    expected = np.clip(slope, 0, n / m) * floored + max(intercept, 0.1)
    return _jackknifed(chi2, scores, 1 / (floored * 2 * expected**2), blocks), expected


def _weighted(y: np.ndarray, x: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of weighted least squares."""
    centre, middle = np.average(x, weights=weights), np.average(y, weights=weights)
    slope = (weights * (x - centre) * (y - middle)).sum() / (weights * (x - centre) ** 2).sum()
    return float(slope), float(middle - slope * centre)


def _jackknifed(y: np.ndarray, x: np.ndarray, weights: np.ndarray, blocks: int) -> _Fit:
    """Weighted least squares with and without every contiguous block."""
    edges = np.linspace(0, len(y), blocks + 1).astype(int)
    terms = np.stack([weights, weights * x, weights * x * x, weights * y, weights * x * y])
    parts = np.add.reduceat(terms, edges[:-1], axis=1)
    whole = parts.sum(axis=1, keepdims=True)
    solved = _line(np.concatenate([whole, whole - parts], axis=1))
    return _Fit(solved[0], solved[1:], np.diff(edges))


def _line(sums: np.ndarray) -> np.ndarray:
    """Slopes and intercepts (k, 2) from the sums (5, k) of w, wx, wxx, wy, wxy."""
    w, wx, wxx, wy, wxy = sums
    slope = (w * wxy - wx * wy) / (w * wxx - wx**2)
    return np.column_stack([slope, (wy - slope * wx) / w])


class Regressions(NamedTuple):
    """Of a cohort: by_trait {name: Regression}; correlation, correlation_se: (t, t) in the order of by_trait."""

    by_trait: dict[str, Regression]
    correlation: np.ndarray
    correlation_se: np.ndarray


def regress_all(results: Iterable[tuple[str, pd.DataFrame]], scores: pd.DataFrame) -> Regressions:
    """LD score regression of every trait and pair of traits.

    results: (name, table with chrom, pos, id, beta, se, n) of each.  scores: chrom, pos, id, cm, l2 of the common sites
    of all chromosomes (cm NaN: 1 Mb for 1 cM), in order. Of more than a million sites, so many evenly from all.
    """
    m, blocks = len(scores), blocks_of(_length(scores))
    kept = scores.iloc[np.unique(np.linspace(0, m - 1, min(m, MOST_SITES)).astype(int))] if m else scores
    key = pd.MultiIndex.from_frame(kept[["chrom", "pos", "id"]].astype({"chrom": str, "id": str}))
    z, n, found = {}, {}, {}
    for name, table in results:
        place = key.get_indexer(pd.MultiIndex.from_frame(table[["chrom", "pos", "id"]]))
        z[name] = np.full(len(kept), np.nan, dtype=np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            z[name][place[place >= 0]] = (table["beta"] / table["se"]).to_numpy()[place >= 0]
        n[name] = float(table["n"].median()) if len(table) else np.nan
        found[name] = ld_score_regression(z[name], n[name], kept["l2"].to_numpy(), m, blocks)
    rg, rg_se = np.full((2, len(z), len(z)), np.nan)
    for (i, a), (j, b) in combinations(enumerate(z), 2):
        pair = genetic_correlation(z[a], z[b], (n[a], n[b]), kept["l2"].to_numpy(), m, blocks)
        rg[i, j] = rg[j, i] = pair.correlation
        rg_se[i, j] = rg_se[j, i] = pair.correlation_se
    return Regressions(found, rg, rg_se)


def _length(scores: pd.DataFrame) -> float:
    """Length of the genome in cM, or Mb where a chromosome has no map."""
    total = 0.0
    for _, part in scores.groupby("chrom", sort=False):
        total += np.ptp(part["cm"]) if part["cm"].notna().all() else np.ptp(part["pos"]) / 1e6
    return float(total)
