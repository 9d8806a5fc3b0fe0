"""Association of every trait with every site: all traits at once by matrix products, sites streamed in blocks.

Linear traits (methods: Frisch-Waugh-Lovell). With Q an orthonormal basis of the intercept and the
covariates C over the people who have the trait, and y~ = y - QQ'y:

    D = g'g - |Q'g|^2    beta = g'y~ / D    se = sqrt((y~'y~/D - beta^2) / df)    df = n - rank[1,C] - 1

and a two-sided p from Student's t. Binary traits: score test of the logistic model whose null holds the
covariates only (Rao 1948). With mu its fitted probabilities and W = mu(1 - mu):

    U = g'(y - mu)    V = g'Wg - g'WC (C'WC)^-1 C'Wg    beta = U/V (one Newton step)    se = 1/sqrt(V)

The effect allele is ALT. Males on X have dosage 0 or 2 (a hemizygous effect equals a homozygous one).
Every trait uses exactly the people who have it. Products are float32 of the minor allele's counts,
which limits cancellation; the rest is float64 on the host.
"""

import gzip
import logging
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pysam
from scipy.special import betainc, betaln, hyp2f1, log_ndtr, ndtri

from pseudocohort.files import atomic_directory
from pseudocohort.genetics.traits import Traits
from pseudocohort.genotypes import Genotypes

log = logging.getLogger("pseudocohort")

COLUMNS = ["chrom", "pos", "id", "ref", "alt", "effect_allele", "beta", "se", "log10p", "n", "af"]
# Below this information V (about the expected number of minor alleles among the rarer of cases and controls) the
# score of a binary trait is too far from normal for its p to be believed.
MINIMUM_INFORMATION = 4.0
COLLINEAR = 1e-4  # a site with less of its variance than this left beside the covariates has no beta


class Pattern(NamedTuple):
    """Linear traits that are missing in the same people.

    columns: positions among the traits.  rows, sign: people to sum over and whether their sums are the
    answer (+1: few have the trait) or are taken off the sums over everybody (-1: few lack it).
    half: (k, r) with |half' Q'g|^2 = |projection of g on the covariates|^2 among those who have the trait.
    """

    columns: np.ndarray
    rows: np.ndarray
    sign: int
    half: np.ndarray
    n: int


class Design(NamedTuple):
    """What is the same for every site. k basis columns, t traits.

    basis: (n, k) orthonormal, spans [1, C].  residuals: (n, t) y~ or y - mu, 0 where missing.
    squares: (t,) y~'y~.  df: (t,) degrees of freedom, inf for logistic traits.
    patterns: of the linear traits.  logistic: positions of the logistic traits.
    weights: (n, l) W of the logistic traits.  halves: (n, l k) W C (C'WC)^-1/2, k columns a trait.
    count: (t,) people with a value.
    """

    basis: np.ndarray
    residuals: np.ndarray
    squares: np.ndarray
    df: np.ndarray
    patterns: tuple[Pattern, ...]
    logistic: np.ndarray
    weights: np.ndarray
    halves: np.ndarray
    count: np.ndarray


class Block(NamedTuple):
    """Results of consecutive sites: sites (DataFrame chrom pos id ref alt, b rows, index = row of the .pvar)
    and (b, t) arrays of beta, se (trait units per ALT allele), log10p (-log10 of the two-sided p, so
    positive) and af (frequency of ALT among the people with the trait); n (t,) those people. A site that
    does not vary, or not beside the covariates, has NaN."""

    sites: pd.DataFrame
    beta: np.ndarray
    se: np.ndarray
    log10p: np.ndarray
    af: np.ndarray
    n: np.ndarray


def orthonormal(columns: np.ndarray, tolerance: float = 1e-8) -> np.ndarray:
    """Orthonormal basis (n, r) of the columns (n, q), collinear directions dropped."""
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, values > tolerance * values.max(initial=1e-300)]


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


def make_design(traits: Traits) -> Design:
    """Everything about the traits that no site changes."""
    values = np.asarray(traits.values, dtype=float)
    n, t = values.shape
    basis = orthonormal(np.column_stack([np.ones(n), traits.covariates]))
    seen = ~np.isnan(values)
    residuals, squares, df = np.zeros((n, t)), np.full(t, np.nan), np.full(t, np.inf)
    linear = np.array([k for k in range(t) if traits.kind[k] == "linear"], dtype=int)
    logistic = np.array([k for k in range(t) if traits.kind[k] == "logistic"], dtype=int)
    patterns = []
    _, group = np.unique(seen[:, linear], axis=1, return_inverse=True)
    for g in range(group.max(initial=-1) + 1):
        columns = linear[group == g]
        have = seen[:, columns[0]]
        level, turn = np.linalg.eigh(basis[have].T @ basis[have])
        keep = level > 1e-8
        half = turn[:, keep] / np.sqrt(level[keep])
        q = basis[have] @ half
        y = values[have][:, columns]
        y = y - q @ (q.T @ y)
        residuals[np.ix_(have, columns)] = y
        squares[columns], df[columns] = (y * y).sum(axis=0), have.sum() - keep.sum() - 1
        few = have.sum() < n / 2
        patterns.append(Pattern(columns, np.flatnonzero(have if few else ~have), 1 if few else -1, half, have.sum()))
    weights, halves = np.zeros((n, len(logistic))), np.zeros((n, len(logistic), basis.shape[1]))
    for j, k in enumerate(logistic):
        have = seen[:, k]
        q = orthonormal(basis[have])
        mu = fit_null(values[have, k], q)
        w = mu * (1 - mu)
        level, turn = np.linalg.eigh((q.T * w) @ q)
        keep = level > 1e-10 * level.max()
        residuals[have, k], weights[have, j] = values[have, k] - mu, w
        halves[have, j, : keep.sum()] = (w[:, None] * q) @ (turn[:, keep] / np.sqrt(level[keep]))
    return Design(
        basis, residuals, squares, df, tuple(patterns), logistic, weights, halves.reshape(n, -1), seen.sum(axis=0)
    )


@partial(jax.jit, static_argnames="precision")
def _products(dosage, columns, weights, precision="highest"):
    """dosage (n, b) int8, columns (c, n), weights (l, n) -> columns @ g (c, b), weights @ g^2 (l, b), sum g^2 (b,)."""
    g = dosage.astype(jnp.float32)
    return (
        jnp.matmul(columns, g, precision=precision),
        jnp.matmul(weights, g * g, precision=precision),
        (g * g).sum(axis=0),
    )


@jax.jit
def _partial(dosage, rows, columns):
    """Sums over some people: rows (m,), columns (c, m), the last 1 or, for padding, 0 -> (c, b), sum g^2 (b,)."""
    g = dosage[rows].astype(jnp.float32)
    return jnp.matmul(columns, g, precision="highest"), jnp.matmul(columns[-1], g * g, precision="highest")


def _device_tables(design: Design):
    """The design as float32 arrays for the products; a pattern's people are padded to a power of two."""
    columns = jnp.asarray(np.column_stack([design.basis, design.residuals, design.halves]).T, dtype=jnp.float32)
    weights = jnp.asarray(design.weights.T, dtype=jnp.float32)
    parts = []
    for pattern in design.patterns:
        m = len(pattern.rows)
        size = 1 << max(m - 1, 0).bit_length() if m else 0
        rows, table = np.zeros(size, dtype=np.int32), np.zeros((design.basis.shape[1] + 1, size), dtype=np.float32)
        rows[:m], table[:-1, :m], table[-1, :m] = pattern.rows, design.basis[pattern.rows].T, 1
        parts.append((jnp.asarray(rows), jnp.asarray(table)))
    return columns, weights, parts


def _one_block(minor: np.ndarray, design: Design, tables) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Regressions on minor allele counts (n, b) int8: g'y~ (b, t), D or V (b, t), sum g (b, t)."""
    columns, weights, parts = tables
    k, t = design.basis.shape[1], len(design.df)
    dosage = jnp.asarray(minor)
    product, weighted, squares = (np.asarray(a, dtype=float) for a in _products(dosage, columns, weights))
    on_basis, cross, halves = product[:k], product[k : k + t], product[k + t :]
    total = minor.sum(axis=0, dtype=np.int64).astype(float)
    denominator, count = np.empty((minor.shape[1], t)), np.empty((minor.shape[1], t))
    for pattern, (rows, table) in zip(design.patterns, parts, strict=True):
        projected, square, alleles = on_basis, squares, total
        if len(pattern.rows):
            part, part_square = (np.asarray(a, dtype=float) for a in _partial(dosage, rows, table))
            base = 0.0 if pattern.sign > 0 else 1.0
            projected = base * on_basis + pattern.sign * part[:-1]
            square, alleles = base * squares + pattern.sign * part_square, base * total + pattern.sign * part[-1]
        left = square - ((pattern.half.T @ projected) ** 2).sum(axis=0)
        left[left < COLLINEAR * (square - alleles**2 / pattern.n) + 1e-9] = np.nan
        denominator[:, pattern.columns], count[:, pattern.columns] = left[:, None], alleles[:, None]
    for j, trait in enumerate(design.logistic):
        left = weighted[j] - (halves[j * k : (j + 1) * k] ** 2).sum(axis=0)
        left[left < np.maximum(COLLINEAR * weighted[j], MINIMUM_INFORMATION)] = np.nan
        denominator[:, trait] = left
        lacking = np.flatnonzero(design.weights[:, j] == 0)
        count[:, trait] = total - minor[lacking].sum(axis=0, dtype=np.int64)
    return cross.T, denominator, count


def _statistics(cross, denominator, design: Design):
    """beta, se and -log10 p, each (b, t), from g'y~ and D or V."""
    with np.errstate(invalid="ignore", divide="ignore"):
        beta = cross / denominator
        se = np.sqrt(np.maximum(design.squares / denominator - beta**2, 0) / design.df)
        se[:, design.logistic] = 1 / np.sqrt(denominator[:, design.logistic])
        se[:, design.df < 1] = np.nan
        return beta, se, minus_log10_p(beta / se, design.df)


def associate(
    prefixes: list, people_rows, traits: Traits, minimum_minor_allele_count: int = 1, block_sites: int = 4096
) -> Iterator[Block]:
    """Stream the association of every trait with every site whose minor allele is frequent enough.

    prefixes: .pgen triples, one a chromosome, the same people in each.  people_rows: increasing rows of
    the .psam whose traits these are, or None for all.  minimum_minor_allele_count: alleles of the rarer
    kind among those people (males on X count twice); sites below are left out, and a trait has no estimate at
    sites where the people who have it fall below, nor a binary one where V < 4.
    Raises ValueError when rows and traits do not fit.
    """
    n = len(traits.values)
    if people_rows is not None and (len(people_rows) != n or (np.diff(people_rows) <= 0).any()):
        raise ValueError("people_rows must increase and have one row a person of traits")
    design = make_design(traits)
    tables = _device_tables(design)
    for prefix in prefixes:
        with Genotypes(prefix, people_rows) as genotypes:
            if genotypes.n_people != n:
                raise ValueError(f"{genotypes.n_people} people in {prefix}, {n} in traits")
            started = time.monotonic()
            for start, stop in genotypes.blocks(block_sites):
                dosage = genotypes.dosages(start, stop)
                alleles = dosage.sum(axis=1, dtype=np.int64)
                kept = np.flatnonzero(np.minimum(alleles, 2 * n - alleles) >= max(minimum_minor_allele_count, 1))
                if len(kept):
                    yield _block(
                        dosage[kept],
                        alleles[kept] > n,
                        genotypes.sites.iloc[start:stop].iloc[kept],
                        design,
                        tables,
                        block_sites,
                        minimum_minor_allele_count,
                    )
            log.info(
                "association: %s, %d sites, %d traits, %.1f s",
                Path(prefix).name,
                genotypes.n_sites,
                len(traits.names),
                time.monotonic() - started,
            )


def _block(dosage, flip, sites, design: Design, tables, width: int, minimum: int) -> Block:
    """Block of sites from ALT dosages (b, n); flip (b,): where REF is the rarer allele and is counted."""
    minor = np.zeros((dosage.shape[1], width), dtype=np.int8)  # one width, so that JAX compiles once
    minor[:, : len(dosage)] = np.where(flip[:, None], 2 - dosage, dosage).T
    cross, denominator, count = (a[: len(dosage)] for a in _one_block(minor, design, tables))
    rare = np.minimum(count, 2 * design.count - count) < minimum
    denominator[rare], count[rare] = np.nan, np.nan  # nor a frequency: it would count single carriers
    beta, se, log10p = _statistics(cross, denominator, design)
    frequency = count / (2 * design.count)
    beta[flip] = -beta[flip]
    frequency[flip] = 1 - frequency[flip]
    return Block(sites, beta, se, log10p, frequency, design.count)


def minus_log10_p(t: np.ndarray, df) -> np.ndarray:
    """-log10 of the two-sided p of Student's t, right however small p is; NaN where t is.

    t, df: broadcastable; df = inf is the normal distribution.  From df 100 on by Hill's normal deviate
    (1970, Algorithm 395), which is quick; with fewer, or where t^2 > df/4, by the incomplete beta.
    """
    t, df = np.broadcast_arrays(np.abs(np.asarray(t, dtype=float)), np.asarray(df, dtype=float))
    large = (df >= 100) & ~(t * t > df / 4)
    out = np.empty(t.shape)
    out[large] = log_ndtr(-_normal_deviate(t[large], df[large]))
    out[~large] = _log_tail(t[~large], df[~large])
    return -(out + np.log(2)) / np.log(10)


def _normal_deviate(t, df):
    """z with Phi(-z) = P(T > t): Hill's expansion in 1/df; t itself where df is infinite."""
    with np.errstate(invalid="ignore"):
        a = df - 0.5
        b = 48 * a * a
        y = a * np.log1p(t * t / df)
        z = np.sqrt(y) * (1 + (y + 3 - (((0.4 * y + 3.3) * y + 24) * y + 85.5) / (0.8 * y * y + 100 + b)) / b)
    return np.where(np.isinf(df), t, z)


def _log_tail(t, df):
    """log P(T > t) for small df: half the incomplete beta I_x(a, 1/2), a = df/2, x = df/(df + t^2).

    Where that underflows: x^a (1-x)^(1/2) 2F1(a + 1/2, 1; a + 1; x) / (a B(a, 1/2)).
    """
    a = df / 2
    x = df / (df + t * t)
    tail = betainc(a, 0.5, x)
    near = np.log(np.where(tail < 1e-290, 1, tail) / 2)
    x = np.where(tail < 1e-290, x, 0.5)
    far = -a * np.log1p(t * t / df) + 0.5 * np.log1p(-x) - np.log(2 * a) - betaln(a, 0.5)
    far = far + np.log(hyp2f1(a + 0.5, 1, a + 1, x))
    return np.where(tail < 1e-290, far, near)


def lambda_gc(log10p: np.ndarray) -> float:
    """Genomic control: median chi-square of the tests over that of the null (Devlin & Roeder 1999).

    log10p: (m,) -log10 p, NaN ignored.  NaN when there is none.
    """
    log10p = np.asarray(log10p, dtype=float)
    if not np.isfinite(log10p).any():
        return float("nan")
    return float((ndtri(10.0 ** -np.nanmedian(log10p) / 2) / ndtri(0.25)) ** 2)


def _texts(values: np.ndarray) -> pa.Array:
    """Numbers (b,) as text with 6 significant digits, `NA` for NaN."""
    values = np.asarray(values, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        digits = 5 - np.floor(np.log10(np.abs(values)))
        up, down = 10.0 ** np.clip(digits, 0, 300), 10.0 ** np.clip(-digits, 0, 300)
        rounded = np.where(np.isfinite(digits), np.round(values * up / down) / up * down, values)
    return pc.fill_null(pc.cast(pa.array(rounded, mask=np.isnan(values)), pa.string()), "NA")


def write_association(out_dir: str | Path, blocks: Iterator[Block], names: tuple[str, ...]) -> int:
    """Write `{trait}.tsv.gz` (bgzip) and its .tbi for every trait; the directory appears whole or not at all.

    Columns chrom pos id ref alt effect_allele beta se log10p n af; log10p is -log10 p; NA where there is
    no estimate. Returns the number of sites.
    """
    n_sites = 0
    with atomic_directory(out_dir) as part:
        paths = [part / f"{name}.tsv.gz" for name in names]
        files = [pysam.BGZFile(str(path), "wb") for path in paths]
        for file in files:
            file.write(("\t".join(COLUMNS) + "\n").encode())
        for block in blocks:
            sites = block.sites
            columns = [
                pa.array(sites[c].astype(str).to_numpy(dtype=object), pa.string())
                for c in ["chrom", "pos", "id", "ref", "alt", "alt"]
            ]
            place = pc.binary_join_element_wise(*columns, "\t")
            for k, file in enumerate(files):
                lines = pc.binary_join_element_wise(
                    place,
                    _texts(block.beta[:, k]),
                    _texts(block.se[:, k]),
                    _texts(block.log10p[:, k]),
                    str(block.n[k]),
                    pc.binary_join_element_wise(_texts(block.af[:, k]), "\n", ""),
                    "\t",
                )
                length = pc.sum(pc.binary_length(lines)).as_py()
                file.write(lines.buffers()[2].to_pybytes()[:length])  # the rows lie end to end in Arrow's buffer
            n_sites += len(sites)
        for file, path in zip(files, paths, strict=True):
            file.close()
            pysam.tabix_index(str(path), force=True, seq_col=0, start_col=1, end_col=1, line_skip=1)
    return n_sites


def read_association(path: str | Path) -> pd.DataFrame:
    """A file of `write_association`: a row a site, columns as there (beta, se, log10p, af float64, NaN for NA)."""
    with gzip.open(path, "rb") as file:
        return pd.read_csv(
            file,
            sep="\t",
            dtype=dict.fromkeys(["chrom", "id", "ref", "alt", "effect_allele"], str),
            keep_default_na=False,
            na_values={c: ["NA"] for c in ("beta", "se", "log10p", "af")},
        )
