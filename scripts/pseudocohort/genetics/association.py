"""Association of every trait with every site: all traits at once by matrix products, sites streamed in blocks.

Linear traits (methods: Frisch-Waugh-Lovell). With Q an orthonormal basis of the intercept and the
covariates C over the people who have the trait, and y~ = y - QQ'y:

    D = g'g - |Q'g|^2    beta = g'y~ / D    se = sqrt((y~'y~/D - beta^2) / df)    df = n - rank[1,C] - 1

and a two-sided p from Student's t. Binary traits: score test of the logistic model whose null holds the
covariates only (Rao 1948). With mu its fitted probabilities and W = mu(1 - mu):

    U = g'(y - mu)    V = g'Wg - g'WC (C'WC)^-1 C'Wg    beta = U/V (one Newton step)    se = 1/sqrt(V)

and where |U| > 2 sqrt(V) the saddle-point approximation of U's distribution (`saddlepoint`) in place of the normal:
beta is then the maximum likelihood estimate with the null's linear predictor as offset (one Newton step overshoots
where cases are rare), found from the saddle point, and se that with which beta/se has the corrected p.

The effect allele is ALT. Males on X have dosage 0 or 2: a hemizygous effect equals a homozygous one (full dosage
compensation), as plink2 has it by default (--xchr-model 2).
Every trait uses exactly the people who have it: sums over the few who lack it are taken off the sums over all.
Products are float32 of the minor allele's counts, which limits cancellation; counts are exact and the rest float64.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pseudocohort.genetics.basis import orthonormal
from pseudocohort.genetics.sums import DeviceSums, HostSums, Sums, Tables
from pseudocohort.genotypes import Genotypes

if TYPE_CHECKING:
    import pandas as pd

    from pseudocohort.genetics.traits import Traits

log = logging.getLogger("pseudocohort")

COLLINEAR = 1e-4  # a site with less of its variance than this left beside the covariates has no beta
# Least V of a score test (about the minor alleles among the rarer of cases and controls). Below, one case whom the
# covariates all but rule out decides. It guards against wrong models, and only in part: with 2 flipped labels among
# 5,000 that age decides, p < 1e-5 came 26 times too often at sites of any V and twice at V >= 0.1; with ten flipped
# labels 6 times at V >= 0.1. With a right model no such limit is needed.
MINIMUM_INFORMATION = 0.1
EXPLAINED = 1e-9  # a linear trait with less of its variance than this left beside the covariates has no se
HOST_BYTES = 8 << 20  # of a slice of sites in float32: larger ones leave the cache, smaller ones cost calls
DEVICE_BYTES = 256 << 20
SLICE = 128  # least sites of a slice, so that the table of the traits is not read anew for too few


class Design(NamedTuple):
    """What is the same for every site. n people, t traits, k basis columns, p patterns of missing values, l logistic.

    basis: (n, k) orthonormal, spans [1, C].  tables: for the sums over people; its columns are the basis, y~ or
    y - mu of the traits (0 where missing) and, k a logistic trait, W C (C'WC)^-1/2.
    squares: (t,) y~'y~.  df: (t,) degrees of freedom, inf for logistic traits.  count: (t,) people with a value.
    pattern: (t,) each trait's.  first: (p,) a trait of each.
    base, sign: (p,) sums over a pattern's people are base x those over all + sign x its part.
    halves: (p, k, k) with |half' Q'g|^2 = |projection of g on the covariates|^2 among those who have the trait.
    linear, logistic: positions of the traits.  mu: (l, n) fitted probabilities, 0 where missing.
    loads: (l, k, k) with covariate part of g in people = basis @ load @ (their columns' products with g).
    """

    basis: np.ndarray
    tables: Tables
    squares: np.ndarray
    df: np.ndarray
    count: np.ndarray
    pattern: np.ndarray
    first: np.ndarray
    base: np.ndarray
    sign: np.ndarray
    halves: np.ndarray
    linear: np.ndarray
    logistic: np.ndarray
    mu: np.ndarray
    loads: np.ndarray


@dataclass(frozen=True, eq=False)
class Block:
    """Results of consecutive sites.

    sites: DataFrame chrom pos id ref alt, b rows, index = row of the .pvar.  beta, se: (b, t), trait units per ALT
    allele; a site that does not vary, or not beside the covariates, has NaN, and so has the se of a trait that the
    covariates explain.  af: (b, t), frequency of ALT among the
    people with the trait, NaN where they carry too few minor alleles.  n, df: (t,), those people and the degrees of
    freedom (inf: normal).  log10p: (b, t), -log10 of the two-sided p, so positive; computed when first asked for.
    """

    sites: "pd.DataFrame"
    beta: np.ndarray
    se: np.ndarray
    af: np.ndarray
    n: np.ndarray
    df: np.ndarray

    @cached_property
    def log10p(self) -> np.ndarray:
        from pseudocohort.genetics.tails import minus_log10_p

        with np.errstate(invalid="ignore", divide="ignore"):
            return minus_log10_p(self.beta / self.se, self.df)


def fit_null(y: np.ndarray, basis: np.ndarray, iterations: int = 50) -> np.ndarray:
    """Probabilities (n,) of the logistic regression of y (0, 1) on basis (n, k), by Newton's method (IRLS).

    Steps are halved until the likelihood rises, so that separation ends at fitted 0s and 1s, not in NaN.
    """

    def loss(b):
        return np.logaddexp(0, basis @ b).sum() - y @ (basis @ b)

    b = np.linalg.lstsq(basis, np.full(len(y), np.log(y.mean() / (1 - y.mean()))), rcond=None)[0]
    for _ in range(iterations):
        mu = 1 / (1 + np.exp(-np.clip(basis @ b, -30, 30)))
        step = np.linalg.lstsq((basis.T * (mu * (1 - mu))) @ basis, basis.T @ (y - mu), rcond=None)[0]
        while loss(b + step) > loss(b) + 1e-12 and np.abs(step).max() > 1e-12:
            step = step / 2
        b = b + step
        if np.abs(basis @ step).max() < 1e-10:
            break
    return 1 / (1 + np.exp(-np.clip(basis @ b, -30, 30)))


def _inverse_root(matrix: np.ndarray, tolerance: float) -> tuple[np.ndarray, int]:
    """R (k, k) with RR' the pseudo-inverse of a positive matrix (k, k), and its rank; columns beyond that are 0."""
    level, turn = np.linalg.eigh(matrix)
    keep = level > tolerance
    return turn * np.where(keep, 1 / np.sqrt(np.where(keep, level, 1)), 0), int(keep.sum())


def make_design(traits: "Traits") -> Design:
    """Everything about the traits that no site changes."""
    values = np.asarray(traits.values, dtype=float)
    n, t = values.shape
    basis = orthonormal(np.column_stack([np.ones(n), traits.covariates]))
    k = basis.shape[1]
    linear = np.array([j for j in range(t) if traits.kind[j] == "linear"], dtype=int)
    logistic = np.array([j for j in range(t) if traits.kind[j] == "logistic"], dtype=int)
    seen = ~np.isnan(values)
    first, pattern = _patterns(seen)
    columns = np.zeros((k + t + k * len(logistic), n), dtype=np.float32)
    columns[:k] = basis.T
    squares, df = np.full(t, np.nan), np.full(t, np.inf)
    base, sign = np.zeros(len(first)), np.ones(len(first))
    halves, rows, parts = np.zeros((len(first), k, k)), [], []
    for p, example in enumerate(first):
        have = seen[:, example]
        few = have.sum() < n / 2  # sums over those who have it, else over those who lack it
        if not few:
            base[p], sign[p] = 1.0, -1.0
        rows.append(np.flatnonzero(have if few else ~have))
        parts.append(np.vstack([basis[rows[-1]].T, np.ones(len(rows[-1]))]).astype(np.float32))
        halves[p], rank = _inverse_root(basis[have].T @ basis[have], 1e-8)
        members = linear[pattern[linear] == p]
        y, q = values[np.ix_(have, members)], basis[have] @ halves[p]
        whole = ((y - y.mean(axis=0)) ** 2).sum(axis=0)
        y = y - q @ (q.T @ y)
        columns[np.ix_(k + members, have)] = y.T
        squares[members], df[members] = (y * y).sum(axis=0), have.sum() - rank - 1
        squares[members[squares[members] < EXPLAINED * whole]] = np.nan
    mu, weights, loads = _null_models(values, seen, basis, logistic, columns)
    tables = Tables(columns, weights, tuple(rows), tuple(parts), k)
    count = seen.sum(axis=0)
    return Design(basis, tables, squares, df, count, pattern, first, base, sign, halves, linear, logistic, mu, loads)


def _null_models(values, seen, basis, logistic, columns) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """mu (l, n), W (l, n) float32 and loads of the logistic traits, whose columns are put into their rows."""
    n, k, t = *basis.shape, values.shape[1]
    mu, weights = np.zeros((len(logistic), n)), np.zeros((len(logistic), n), dtype=np.float32)
    loads = np.zeros((len(logistic), k, k))
    for j, trait in enumerate(logistic):
        have = seen[:, trait]
        mu[j, have] = fit_null(values[have, trait], orthonormal(basis[have]))
        w = mu[j] * (1 - mu[j])
        information = (basis.T * w) @ basis
        loads[j] = _inverse_root(information, 1e-10 * np.linalg.eigvalsh(information)[-1])[0]
        columns[k + trait, have], weights[j] = values[have, trait] - mu[j, have], w
        columns[k + t + j * k : k + t + (j + 1) * k] = (w[:, None] * (basis @ loads[j])).T
    return mu, weights, loads


def _patterns(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Traits (n, t) that are missing in the same people: one trait of each pattern (p,), and each trait's pattern."""
    keys: dict[bytes, int] = {}
    packed = np.packbits(seen, axis=0).T
    pattern = np.array([keys.setdefault(row.tobytes(), len(keys)) for row in packed], dtype=int)
    return np.unique(pattern, return_index=True)[1], pattern


class _Slice(NamedTuple):
    """Statistics of b sites: beta, se, af (t, b); failed: score tests without a saddle point."""

    beta: np.ndarray
    se: np.ndarray
    af: np.ndarray
    failed: int


def _regress(design: Design, sums: Sums, counts: np.ndarray, shift: np.ndarray, minimum: int, dosage) -> _Slice:
    """The regressions of b sites from their sums, genotype counts (b, 4) and shift (b,).

    dosage: int8 (n, b), ALT counts less the shift.
    """
    k, t = design.basis.shape[1], len(design.df)
    n0, n1, n2 = counts[:, :3].T.astype(float)
    total = n1 + 2 * n2 - shift * float(len(design.basis))
    square = n1 + 4 * np.where(shift == 0, n2, n0)
    product = sums.product[: k + t].astype(float)
    parts = sums.parts.astype(float)
    base, sign = design.base[:, None], design.sign[:, None]
    projected = base[..., None] * product[:k] + sign[..., None] * parts[:, :k]
    alleles, squares = base * total + sign * parts[:, k], base * square + sign * parts[:, k + 1]
    people = design.count[design.first][:, None]
    explained = np.matmul(design.halves.transpose(0, 2, 1), projected)
    left = squares - np.einsum("pkb,pkb->pb", explained, explained)
    with np.errstate(invalid="ignore", divide="ignore"):
        left[left < COLLINEAR * (squares - alleles**2 / people) + 1e-9] = np.nan
        carried = np.abs(alleles)
        rare = np.minimum(carried, 2 * people - carried) < minimum
        af = (alleles / people + shift) / 2
        left[rare], af[rare] = np.nan, np.nan  # no frequency either: it would count single carriers
        denominator, cross = left[design.pattern], product[k:]
        beta = cross / denominator
        se = np.sqrt(np.maximum(design.squares[:, None] / denominator - beta * beta, 0) / design.df[:, None])
    se[design.df < 1] = np.nan
    failed = 0
    if len(design.logistic):
        halves = sums.product[k + t :].astype(float).reshape(-1, k, len(shift))
        information = sums.weighted - (halves**2).sum(axis=1)
        few = information < np.maximum(COLLINEAR * sums.weighted, MINIMUM_INFORMATION)
        information[few | rare[design.pattern[design.logistic]]] = np.nan
        failed = _score_tests(design, cross, information, halves, dosage, beta, se)
    return _Slice(beta, se, af[design.pattern], failed)


def _score_tests(design: Design, cross, information, halves, dosage, beta, se) -> int:
    """Put beta and se of the logistic traits into their rows; returns how many saddle points were not found.

    cross: (t, b) scores U.  information: (l, b) V, NaN where there is no test.  halves: (l, k, b).
    """
    failed = 0
    for j, trait in enumerate(design.logistic):
        score, variance = cross[trait], information[j]
        beta[trait], se[trait] = score / variance, 1 / np.sqrt(variance)
        strong = np.flatnonzero(score**2 > 4 * variance)
        if len(strong):
            from pseudocohort.genetics.saddlepoint import adjusted_deviates

            z, beta[trait, strong] = adjusted_deviates(
                score[strong],
                variance[strong],
                dosage[:, strong].T,
                (design.loads[j] @ halves[j][:, strong]).T,
                design.basis,
                design.mu[j],
            )
            se[trait, strong] = np.abs(beta[trait, strong]) / z  # the p of the saddle point, so no other se has it
            beta[trait, strong[np.isnan(z)]] = np.nan
            failed += int(np.isnan(z).sum())
    return failed


def associate(
    prefixes: list,
    people_rows,
    traits: "Traits",
    minimum_minor_allele_count: int = 1,
    block_sites: int = 4096,
    device: str = "cpu",
) -> Iterator[Block]:
    """Stream the association of every trait with every site whose minor allele is frequent enough.

    prefixes: .pgen triples, one a chromosome, the same people in each.  people_rows: increasing rows of
    the .psam whose traits these are, or None for all.  minimum_minor_allele_count: alleles of the rarer
    kind among those people (males on X count twice); sites below are left out, and a trait has no estimate at
    sites where the people who have it fall below, nor a binary one where V < 0.1.  Sites with
    missing calls are left out and counted in the log.
    block_sites: of the file, a block; how many are multiplied at once follows from the number of people.
    device: "cpu", "gpu" (JAX) or "auto"; the results differ by float32 rounding at most.
    Raises ValueError when rows and traits do not fit.
    """
    n = len(traits.values)
    if people_rows is not None and (len(people_rows) != n or (np.diff(people_rows) <= 0).any()):
        raise ValueError("people_rows must increase and have one row a person of traits")
    design = make_design(traits)
    on_host = _on_host(device)
    width = int(np.clip((HOST_BYTES if on_host else DEVICE_BYTES) // (4 * max(n, 1)), SLICE, max(block_sites, SLICE)))
    engine = (HostSums if on_host else DeviceSums)(design.tables, width)
    for prefix in prefixes:
        with Genotypes(prefix, people_rows) as genotypes:
            if genotypes.n_people != n:
                raise ValueError(f"{genotypes.n_people} people in {prefix}, {n} in traits")
            started, missing, failed = time.monotonic(), 0, 0
            for start, stop in genotypes.blocks(block_sites):
                counts = genotypes.counts(start, stop)
                whole, minor = counts[:, 3] == 0, np.minimum(*(counts[:, 1:2] + 2 * counts[:, [0, 2]]).T)
                missing += int((~whole).sum())
                kept = np.flatnonzero(whole & (minor >= max(minimum_minor_allele_count, 1)))
                if len(kept):
                    block, lost = _block(
                        genotypes, start, kept, counts[kept], design, engine, width, minimum_minor_allele_count
                    )
                    failed += lost
                    yield block
            _report(genotypes, len(traits.names), time.monotonic() - started, missing, failed)


def _report(genotypes: Genotypes, traits: int, seconds: float, missing: int, failed: int) -> None:
    name = genotypes.prefix.name
    log.info("association: %s, %d sites, %d traits, %.1f s", name, genotypes.n_sites, traits, seconds)
    if missing:
        log.warning("association: %s: %d sites with missing calls are not tested", name, missing)
    if failed:
        log.warning("association: %s: %d score tests have no saddle point and no result", name, failed)


def _on_host(device: str) -> bool:
    """Whether the sums are made by numpy: the genome engine's rule for the key `device`."""
    if device == "cpu":
        return True
    from pseudocohort.genome.mosaic import array_module

    return array_module(device) is np


def _block(genotypes, start, kept, counts, design: Design, engine, width: int, minimum: int) -> tuple[Block, int]:
    """Block of the sites start + kept with genotype counts (b, 4), and the number of saddle points not found."""
    t, n = len(design.df), len(design.basis)
    beta, se, af = (np.empty((t, len(kept))) for _ in range(3))
    shift = np.where(counts[:, 1] + 2 * counts[:, 2] > n, 2, 0).astype(np.int8)
    failed = 0
    for top in range(0, len(kept), width):
        part = slice(top, min(top + width, len(kept)))
        dosage = genotypes.dosages_by_person(start + kept[part])
        if shift[part].any():
            dosage -= shift[part]
        sums = engine(dosage)
        beta[:, part], se[:, part], af[:, part], lost = _regress(
            design, sums, counts[part], shift[part], minimum, dosage
        )
        failed += lost
    sites = genotypes.sites.iloc[start + kept]
    return Block(sites, beta.T, se.T, af.T, design.count, design.df), failed
