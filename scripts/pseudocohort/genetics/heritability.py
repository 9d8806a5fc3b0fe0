"""Heritability and genetic correlation by Haseman-Elston regression of all traits at once, genotypes streamed.

Model: y = C b + g + e with cov(g_t, g_u) = s_tu K, cov(e_t, e_u) = e_tu I between two traits, K = XX'/m of common sites
with mean 0 and variance 1. With r_t the residuals of trait t on [1, C] over its own people (0 elsewhere) and S_t
those people, the moments (Haseman and Elston 1972; Pazokitoroudi 2020 for the two traits and the jackknife)

    E r_t'K r_u = s_tu tr(S_t K S_u K) + e_tu tr(S_t S_u K)      E r_t'r_u = s_tu tr(S_t S_u K) + e_tu tr(S_t S_u)

are solved for s_tu; K is off the covariates of everybody (exact where nobody lacks a trait, else but for terms of
order covariates/people). With few people traces are exact, with many tr(S_t K S_u K) = E (K S_t z)'(S_u K z) over
random signs z (Hutchinson). Standard errors are a jackknife over contiguous blocks of sites; LD beyond a block makes
them too small: in 1,500 people of a population of constant size 10,000 by 30 % with blocks of 0.5 Mb, by 12 % of 2 Mb.
Where causal sites have more LD than others the estimate is too large; it compares cohorts whose LD is alike.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from pseudocohort import counter
from pseudocohort.genetics.basis import orthonormal
from pseudocohort.genetics.ld import standardise
from pseudocohort.genetics.traits import Traits
from pseudocohort.genotypes import Genotypes

BLOCKS = 100
SHORTEST = 2_000_000  # bp of a block in the mean: the shorter, the more LD ties blocks, and the smaller errors seem
FEWEST_BLOCKS = 10  # no standard error with fewer
EXACT = 3000  # up to so many people K itself is made
PROBES = 50
COLUMNS = 5000  # of probes and patterns of missing values together; with more patterns there are fewer probes
FEWEST_PROBES = 5
EXPLAINED = 1e-9  # a trait with less of its variance than this left beside the covariates has no estimate
SITES = 1024  # of a matrix product
MOST_PEOPLE = 20_000  # more tell little: the error of h2 is then about .02 on a whole genome


class HasemanElston(NamedTuple):
    """Estimates of t traits.

    names: (t,).  n: (t,) people.  h2, h2_se: (t,), of the variance that the covariates leave; of binary traits on the
    observed scale 0/1, and liability, liability_se: (t,) on the liability scale (NaN of other traits).
    covariance, covariance_se: (t, t) of the genetic values of traits with variance 1.  correlation, correlation_se:
    (t, t), NaN where a heritability is not above 0 (for the error: in any part of the jackknife).
    sites, blocks: numbers.  deleted: (blocks, t, t) covariance without each block.  sizes: (blocks,) sites of each.
    reason: why standard errors or everything is NaN, or an empty text.
    """

    names: tuple[str, ...]
    n: np.ndarray
    h2: np.ndarray
    h2_se: np.ndarray
    liability: np.ndarray
    liability_se: np.ndarray
    covariance: np.ndarray
    covariance_se: np.ndarray
    correlation: np.ndarray
    correlation_se: np.ndarray
    sites: int
    blocks: int
    deleted: np.ndarray
    sizes: np.ndarray
    reason: str


class _People(NamedTuple):
    """residuals: (n, t), sum of squares = degrees of freedom.  basis: (n, c) of the covariates of everybody.
    masks: (n, p) float, patterns of who has a trait.  pattern: (t,) of each trait.  rank: (t,) of its covariates."""

    residuals: np.ndarray
    basis: np.ndarray
    masks: np.ndarray
    pattern: np.ndarray
    rank: np.ndarray


class _Sums(NamedTuple):
    """Of some sites, not yet over their number: cross (t, t) r'XX'r; diagonal (n,) of XX'; traces: what the way of
    taking traces keeps (XX', or XX' times probes); sites."""

    cross: np.ndarray
    diagonal: np.ndarray
    traces: np.ndarray
    sites: int

    def plus(self, other: "_Sums", sign: int = 1) -> "_Sums":
        return _Sums(*(a + sign * b for a, b in zip(self, other, strict=True)))


def haseman_elston(
    prefixes: Sequence[str | Path],
    people_rows: np.ndarray | None,
    traits: Traits,
    seed: int,
    minimum_frequency: float = 0.01,
    exact: int = EXACT,
    probes: int = PROBES,
    blocks: int = BLOCKS,
) -> HasemanElston:
    """Heritability of every trait and genetic correlation of all pairs.

    prefixes: genotypes of autosomes.  people_rows: (n,) increasing rows of the .psam, or None for all.  traits: of the
    same n people; binary ones are 0/1.  minimum_frequency: of the rarer allele.  exact: up to so many people without
    probes.  blocks: at most, of 2 Mb or more in the mean.
    Two passes over the genotypes; memory n^2, or n times probes times (patterns of missing values + 1).
    """
    t = len(traits.names)
    people = _residuals(traits)
    probes = min(probes, max(COLUMNS // (people.masks.shape[1] + 1), FEWEST_PROBES))
    z = None if len(traits.values) <= exact else _signs(seed, len(traits.values), probes)
    pieces = _pieces(prefixes, blocks)
    total = None
    for sums in _pass(pieces, people_rows, people, minimum_frequency, z):
        total = sums if total is None else total.plus(sums)
    if total is None or total.sites < 2 or t == 0:
        return _nothing(traits, 0 if total is None else total.sites, "no common sites" if t else "no traits")
    whole = _solve(total, people, z)
    deleted, sizes = [], []
    if len(pieces) >= FEWEST_BLOCKS:
        for sums in _pass(pieces, people_rows, people, minimum_frequency, z):
            if 0 < sums.sites < total.sites:
                deleted.append(_solve(total.plus(sums, -1), people, z))
                sizes.append(sums.sites)
    return _estimates(traits, whole, np.array(deleted).reshape(-1, t, t), np.array(sizes), total.sites)


def block_jackknife(whole: np.ndarray, deleted: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Standard error by the delete-m_j jackknife of unequal blocks (Busing 1999, Statistics and Computing 9:3).

    whole: estimate (...); deleted: (blocks, ...) without each block; sizes: (blocks,).  NaN where a part is NaN.
    """
    if len(deleted) < 2:
        return np.full(np.shape(whole), np.nan)
    h = (sizes.sum() / sizes).reshape(-1, *[1] * np.ndim(whole))
    pseudo = h * whole - (h - 1) * deleted
    mean = (pseudo / h).sum(axis=0)
    return np.sqrt(((pseudo - mean) ** 2 / (h - 1)).sum(axis=0) / len(deleted))


def liability_factor(prevalence: np.ndarray) -> np.ndarray:
    """Heritability of the liability over that of 0/1: K (1 - K) / phi^2 (Dempster and Lerner 1950).

    prevalence: K, (...) in the population, which the cohort is taken to be.
    """
    density = np.exp(-(ndtri(prevalence) ** 2) / 2) / np.sqrt(2 * np.pi)
    return prevalence * (1 - prevalence) / density**2


def _residuals(traits: Traits) -> _People:
    values = np.asarray(traits.values, dtype=float)
    n, t = values.shape
    design = np.column_stack([np.ones(n), traits.covariates])
    seen = ~np.isnan(values)
    masks, pattern = np.unique(seen, axis=1, return_inverse=True)
    residuals, rank = np.zeros((n, t)), np.zeros(t, dtype=int)
    for g in range(masks.shape[1] if t else 0):
        have, columns = masks[:, g], np.flatnonzero(pattern.ravel() == g)
        basis = orthonormal(design[have])
        left = values[np.ix_(have, columns)]
        whole = ((left - left.mean(axis=0)) ** 2).sum(axis=0)
        left = left - basis @ (basis.T @ left)
        freedom, size = have.sum() - basis.shape[1], (left**2).sum(axis=0)
        size[size <= EXPLAINED * whole] = np.nan
        residuals[np.ix_(have, columns)] = left * np.sqrt(freedom / size)
        rank[columns] = basis.shape[1]
    return _People(residuals, orthonormal(design), masks.astype(float), pattern.ravel(), rank)


def _signs(seed: int, n: int, probes: int) -> np.ndarray:
    """Random signs (n, probes), float32."""
    person, probe = np.arange(n, dtype=np.uint32)[:, None], np.arange(probes, dtype=np.uint32)
    word, _ = counter.bits(counter.key(seed, "heritability probes"), person, probe)
    return np.where(word >> np.uint32(31), np.float32(1), np.float32(-1))


def _pieces(prefixes, blocks: int) -> list[tuple[str | Path, int, int]]:
    """(prefix, start, stop) of contiguous blocks of sites, about equal in number, none across chromosomes."""
    extent = []
    for prefix in prefixes:
        with Genotypes(prefix) as genotypes:
            pos = genotypes.sites["pos"].to_numpy()
        if len(pos):
            extent.append((prefix, len(pos), int(pos[-1] - pos[0])))
    count = min(blocks, sum(length for *_, length in extent) // SHORTEST)
    sites = sum(number for _, number, _ in extent)
    pieces = []
    for prefix, number, _ in extent:
        edges = np.linspace(0, number, max(round(count * number / sites), 1) + 1).astype(int)
        pieces += [(prefix, a, b) for a, b in pairwise(edges.tolist()) if b > a]
    return pieces


def _pass(pieces, people_rows, people: _People, minimum_frequency: float, z) -> Iterator[_Sums]:
    """Sums over the sites of every block, in order."""
    basis, residuals = people.basis.astype(np.float32), people.residuals.astype(np.float32)
    probes = None if z is None else _probe_columns(people, z)
    opened, genotypes = None, None
    for prefix, start, stop in pieces:
        if prefix != opened:
            if genotypes is not None:
                genotypes.close()
            opened, genotypes = prefix, Genotypes(prefix, people_rows)
        sums = None  # added up as they come: a block has as many parts as it has thousands of sites
        for low in range(start, stop, SITES):
            x = standardise(genotypes.dosages(low, min(low + SITES, stop)), minimum_frequency)[1]
            x -= (x @ basis) @ basis.T
            xr = (x @ residuals).astype(float)
            traces = x.T @ x if probes is None else x.T @ (x @ probes)
            part = _Sums(xr.T @ xr, np.einsum("ij,ij->j", x, x).astype(float), traces, len(x))
            sums = part if sums is None else sums.plus(part)
        yield sums
    if genotypes is not None:
        genotypes.close()


def _probe_columns(people: _People, z: np.ndarray) -> np.ndarray:
    """(n, (p + 1) probes): the signs of everybody, then of the people of each pattern."""
    masks = people.masks.astype(np.float32)
    return np.concatenate([z, *(masks[:, [g]] * z for g in range(masks.shape[1]))], axis=1)


def _solve(sums: _Sums, people: _People, z) -> np.ndarray:
    """Genetic covariance (t, t) of traits of variance 1 from the sums over some sites."""
    masks, pattern, m = people.masks, people.pattern, sums.sites
    if z is None:
        square = np.square(sums.traces.astype(float))
        squares = masks.T @ (square @ masks)
    else:
        shaped = sums.traces.reshape(len(z), -1, z.shape[1])  # n, 1 + p, probes
        squares = np.einsum("ipk,ik->ip", shaped[:, 1:], shaped[:, 0], dtype=float).T @ masks / z.shape[1]
        squares = (squares + squares.T) / 2
    squares = squares[np.ix_(pattern, pattern)] / m**2
    once = (masks.T @ (sums.diagonal[:, None] * masks))[np.ix_(pattern, pattern)] / m
    shared = (masks.T @ masks)[np.ix_(pattern, pattern)]
    n = np.diag(shared)
    shared = shared * (1 - np.maximum.outer(people.rank, people.rank) / np.minimum.outer(n, n))
    products = people.residuals.T @ people.residuals
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(shared > 0, once / shared, 0)
        covariance = (sums.cross / m - ratio * products) / (squares - ratio * once)
    return covariance * np.sqrt(np.outer(np.diag(ratio), np.diag(ratio)))


def _correlation(covariance: np.ndarray) -> np.ndarray:
    """Correlations (..., t, t), NaN where a variance is not above 0."""
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    sd = np.sqrt(np.where(variance > 0, variance, np.nan))
    return covariance / (sd[..., :, None] * sd[..., None, :])


def _estimates(traits: Traits, whole, deleted, sizes, sites: int) -> HasemanElston:
    reason = ""
    if len(deleted) < FEWEST_BLOCKS:
        deleted, sizes = deleted[:0], sizes[:0]
        reason = f"the genome has fewer than {FEWEST_BLOCKS} blocks of {SHORTEST / 1e6:g} Mb: no standard errors"
    covariance_se = block_jackknife(whole, deleted, sizes)
    binary = np.array([kind == "logistic" for kind in traits.kind], dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(binary, liability_factor(np.where(binary, np.nanmean(traits.values, axis=0), 0.5)), np.nan)
    h2, h2_se = np.diag(whole), np.diag(covariance_se)
    return HasemanElston(
        traits.names, (~np.isnan(traits.values)).sum(axis=0), h2, h2_se, h2 * factor, h2_se * factor,
        whole, covariance_se, _correlation(whole),
        block_jackknife(_correlation(whole), _correlation(deleted), sizes), sites, len(deleted), deleted, sizes, reason,
    )  # fmt: skip


def _nothing(traits: Traits, sites: int, reason: str) -> HasemanElston:
    t = len(traits.names)
    line, square = np.full(t, np.nan), np.full((t, t), np.nan)
    n = (~np.isnan(traits.values)).sum(axis=0)
    return HasemanElston(
        traits.names, n, line, line, line, line, square, square, square, square,
        sites, 0, np.zeros((0, t, t)), np.zeros(0, dtype=int), reason,
    )  # fmt: skip


def thinned(
    people_rows: np.ndarray | None, traits: Traits, most: int = MOST_PEOPLE
) -> tuple[np.ndarray | None, Traits]:
    """At most `most` people, evenly from all: rows (None where all stay) and their traits."""
    n = len(traits.values)
    if n <= most:
        return people_rows, traits
    picked = np.linspace(0, n - 1, most).astype(int)
    rows = picked if people_rows is None else np.asarray(people_rows)[picked]
    return rows, traits._replace(values=traits.values[picked], covariates=traits.covariates[picked])
