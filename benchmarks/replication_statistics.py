"""What a geneticist sees in a cohort, by replication.py, and how far two cohorts' views of the same traits are apart.

Heritability and genetic correlation by Haseman-Elston on the cohort's own common sites, with e the standardised
residuals of two traits beside the covariates:

    Vg_st = sum_{i != j} K_ij e_is e_jt / sum_{i != j} K_ij^2        rg = Vg_st / sqrt(Vg_ss Vg_tt)
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from replication_cohort import COMMON, Cohort

from pseudocohort.genetics.association import associate
from pseudocohort.genetics.tails import lambda_gc
from pseudocohort.genetics.traits import Traits

HIT, SUGGESTIVE = -np.log10(5e-8), 4.0
CLUMP, NEAR = 250_000, 500_000  # bases on either side: of a hit's window, of what makes a hit known
LEAST_HITS = 5  # fewer a trait: their number is no goal
LEAST_VARIANCE = 0.02  # genetic variance that a correlation is divided by at least


class View(NamedTuple):
    """One cohort's association of t traits at m sites. h2, inflation (lambda), chi2: (t,).  beta, se, log10p: (m, t),
    NaN where not tested.  hits: t arrays of site rows, clumped.  covariance: (t, t) genetic."""

    h2: np.ndarray
    inflation: np.ndarray
    chi2: np.ndarray
    beta: np.ndarray
    se: np.ndarray
    log10p: np.ndarray
    hits: list
    covariance: np.ndarray


class Kernel(NamedTuple):
    """K (n, n) of a cohort's common sites with its diagonal set to 0, and the sum of its squares."""

    beside: np.ndarray
    squares: float


def make_kernel(cohort: Cohort) -> Kernel:
    k, m = 0.0, 0
    for start in range(0, len(cohort.dosage), 2048):
        x = cohort.dosage[start : start + 2048].astype(np.float32)
        frequency = x.mean(axis=1) / 2
        x = x[np.minimum(frequency, 1 - frequency) >= COMMON]
        x -= x.mean(axis=1, keepdims=True)
        x /= x.std(axis=1, keepdims=True)
        k, m = k + x.T @ x, m + len(x)
    k /= m
    np.fill_diagonal(k, 0)
    return Kernel(k, float((k.astype(np.float64) ** 2).sum()))


def covariance(kernel: Kernel, traits: Traits) -> np.ndarray:
    """Genetic covariance (t, t) of residuals of variance 1, by Haseman-Elston."""
    basis = np.linalg.qr(np.column_stack([np.ones(len(traits.values)), traits.covariates]))[0]
    e = traits.values - basis @ (basis.T @ traits.values)
    e /= e.std(axis=0)
    return e.T @ (kernel.beside @ e.astype(np.float32)).astype(float) / kernel.squares


def to_liability(traits: Traits) -> np.ndarray:
    """Factor (t,) from the variance that is seen to that of the liability (Dempster & Lerner 1950); 1 if continuous."""
    from scipy.stats import norm

    share = traits.values.mean(axis=0)
    binary = np.array([kind == "logistic" for kind in traits.kind])
    p = np.where(binary, share, 0.5)
    return np.where(binary, p * (1 - p) / norm.pdf(norm.ppf(p)) ** 2, 1.0)


def look(cohort: Cohort, traits: Traits, kernel: Kernel, sites: pd.DataFrame) -> View:
    """Associate all traits with all common sites of the cohort."""
    shape = (len(cohort.dosage), len(traits.names))
    beta, se, log10p = (np.full(shape, np.nan) for _ in range(3))
    least = int(np.ceil(2 * COMMON * len(cohort.sex)))
    for block in associate(cohort.prefixes, cohort.rows, traits, least):
        rows = [cohort.index[name] for name in block.sites["id"]]
        beta[rows], se[rows], log10p[rows] = block.beta, block.se, block.log10p
    genetic = covariance(kernel, traits)
    return View(
        np.diag(genetic) * to_liability(traits),
        np.array([lambda_gc(column) for column in ((beta / se) ** 2).T]),
        np.nanmean((beta / se) ** 2, axis=0),
        beta,
        se,
        log10p,
        [clump(column, sites) for column in log10p.T],
        genetic,
    )


def clump(log10p: np.ndarray, sites: pd.DataFrame) -> np.ndarray:
    """Rows of hits, the strongest first: windows of 500 kb around each hold no other."""
    chrom, pos = sites["chrom"].to_numpy(), sites["pos"].to_numpy()
    left, kept = np.where(np.isnan(log10p), 0, log10p), []
    while left.max() > HIT:
        best = int(left.argmax())
        kept.append(best)
        left = np.where((chrom == chrom[best]) & (np.abs(pos - pos[best]) <= CLUMP), 0, left)
    return np.array(kept, dtype=int)


def correlations(view: View) -> np.ndarray:
    """Genetic correlations of all pairs of traits, (t (t - 1) / 2,)."""
    size = np.sqrt(np.maximum(np.diag(view.covariance), LEAST_VARIANCE))
    upper = np.triu_indices(len(size), 1)
    return np.clip((view.covariance / np.outer(size, size))[upper], -1.5, 1.5)


class Comparison(NamedTuple):
    """A cohort beside the training cohort; one seed. a trait: h2, inflation, chi2, hits, false (t,).  Sums over the
    training hits: slope (above, below), times (p < .05, p < 5e-8, all).  rg, own_rg: (pairs,), errors: {statistic:
    (t,) differences from the training cohort}."""

    h2: np.ndarray
    inflation: np.ndarray
    chi2: np.ndarray
    hits: np.ndarray
    false: np.ndarray
    slope: np.ndarray
    times: np.ndarray
    rg: np.ndarray
    own_rg: np.ndarray
    errors: dict


def compare(view: View, train: View, sites: pd.DataFrame) -> Comparison:
    """How a cohort's view differs from the training cohort's."""
    slope, times, false = np.zeros(2), np.zeros(3), []
    chrom, pos = sites["chrom"].to_numpy(), sites["pos"].to_numpy()
    for k, own in enumerate(train.hits):
        own = own[np.isfinite(view.beta[own, k])]
        x, y, weight = train.beta[own, k], view.beta[own, k], 1 / view.se[own, k] ** 2
        slope += (weight * x * y).sum(), (weight * x * x).sum()
        same = np.sign(x) == np.sign(y)
        strength = view.log10p[own, k] * same
        times += (strength > -np.log10(0.05)).sum(), (strength > HIT).sum(), len(own)
        known = train.log10p[:, k] > SUGGESTIVE
        near = [known[(chrom == chrom[hit]) & (np.abs(pos - pos[hit]) <= NEAR)].any() for hit in view.hits[k]]
        false.append(len(near) - sum(near))
    hits, own_hits = (np.array([len(h) for h in v.hits], dtype=float) for v in (view, train))
    errors = {
        "h2": view.h2 - train.h2,
        "lambda": view.inflation - train.inflation,
        "chi2": view.chi2 - train.chi2,
        "hits": hits - own_hits,
    }
    false = np.array(false, dtype=float)
    rg = correlations(view), correlations(train)
    return Comparison(view.h2, view.inflation, view.chi2, hits, false, slope, times, *rg, errors)


class Summary(NamedTuple):
    """Means over traits and seeds; errors: {statistic: RMS difference from the training cohort}, `rg` among them.
    own_hits: of the training cohort, in all, on which slope and replication rest."""

    h2: float
    inflation: float
    chi2: float
    hits: float
    slope: float
    replicated: float
    confirmed: float
    false: float
    related: float
    errors: dict
    own_hits: int


def summarise(parts: list[Comparison]) -> Summary:
    """Over seeds: hits are pooled for slope and replication, pairs of traits for genetic correlation."""

    def all_of(name):
        return np.concatenate([np.atleast_1d(getattr(p, name)) for p in parts])

    slope, times = sum(p.slope for p in parts), sum(p.times for p in parts)
    errors = {name: rms(np.concatenate([p.errors[name] for p in parts])) for name in parts[0].errors}
    errors["rg"] = rms(all_of("rg") - all_of("own_rg"))
    with np.errstate(invalid="ignore"):
        return Summary(
            *(float(all_of(name).mean()) for name in ("h2", "inflation", "chi2", "hits")),
            float(slope[0] / slope[1]) if slope[1] else np.nan,
            *(times[:2] / times[2] if times[2] else (np.nan, np.nan)),
            float(all_of("false").mean()),
            related(all_of("rg"), all_of("own_rg")),
            errors,
            int(times[2]),
        )


class Row(NamedTuple):
    """A cohort, and the real cohorts of the same seeds: {second, unseen, both: Summary}."""

    seen: Summary
    references: dict


def summarise_rows(seeds: list[dict]) -> dict[str, Row]:
    """{cohort: Row} from {cohort: Comparison} of every seed; a cohort may be missing from some."""
    rows = {}
    for label in seeds[0]:
        have = [one for one in seeds if label in one]
        references = {name: [one[name] for one in have] for name in ("second", "unseen")}
        references["both"] = references["second"] + references["unseen"]
        found = summarise([one[label] for one in have])
        rows[label] = Row(found, {name: summarise(parts) for name, parts in references.items()})
    return rows


def related(rg: np.ndarray, own: np.ndarray) -> float:
    """Slope of genetic correlations on the training cohort's: 1 if kept, 0 if lost."""
    return float((rg * own).sum() / (own * own).sum())


def rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))
