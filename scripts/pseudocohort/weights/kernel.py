"""The genomic kernel of a mixed model, orthogonal to the covariates: products, systems, REML, draws, effects.

With x (m, n) the standardised dosages of the common sites, Q (n, r) an orthonormal basis of the covariates and
M = I - QQ',

    K = M x'x M / (m scale)        trace K = n - r        M y ~ N(0, s (h K + (1 - h) M))

and everything acts on the space orthogonal to Q. Effects w on x give the values M x'w; unit normal effects
over sqrt(m scale) give values of covariance K. Up to `dense_up_to` people K is built and decomposed once; above,
every product is one pass over the genotypes and memory is people x columns.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.errors import InputError
from pseudocohort.genetics.basis import orthonormal
from pseudocohort.weights.common_sites import (
    Kept,
    Sites,
    centred,
    common_blocks,
    minimum_count,
    standardised,
)
from pseudocohort.weights.lanczos import Projector, Quadrature, conjugate_gradient, lanczos, log_determinants
from pseudocohort.weights.products import Products
from pseudocohort.weights.reml import HIGHEST, Fits, maximise
from pseudocohort.weights.symmetric import add_products, decompose, mirror, part_of, project_both

__all__ = [
    "DenseKernel",
    "Fits",
    "Sites",
    "StreamedKernel",
    "choose_alpha",
    "make_kernel",
    "minimum_count",
    "orthonormal",
    "standardised",
]

log = logging.getLogger("pseudocohort")

ALPHA_PEOPLE = 2000  # enough to tell two values of alpha apart; a decomposition costs their cube
SETTLED = 1e-3  # of h: a tenth of its standard error among 30,000 people


class _Kernel:
    """What both kinds share; see make_kernel."""

    def __init__(self, sites: Sites, basis: np.ndarray, m: int, scale: float, prior_values):
        self.sites, self.basis, self.m, self.scale, self.prior_values = sites, basis, m, scale, prior_values
        self.n = len(basis)
        self._project = Projector(basis)

    def project(self, v: np.ndarray) -> np.ndarray:
        """M v, (n, c)."""
        return self._project(v)

    def effects(self, right: np.ndarray, prior: Callable | None = None) -> Iterator:
        """Stream (chrom, table, w (b, c) effects on x, to_allele (b,)) in one pass.

        w = x M right / (m scale) [+ prior(chrom, table) / sqrt(m scale)], so that the values M x'w are
        K right [+ the values of unit prior effects, as in prior_values].  right: (n, c).
        """
        narrow, size = self.project(right).astype(np.float32), self.m * self.scale
        for block in common_blocks(self.sites, "effects"):
            # the projected columns sum to 0, so that dosages need no centring
            w = block.to_allele[:, None] * (block.dosage @ narrow) / size
            if prior is not None:
                w += prior(block.chrom, block.table) / np.sqrt(size)
            yield block.chrom, block.table, w, block.to_allele


class DenseKernel(_Kernel):
    """K by its eigen-decomposition vectors diag(values) vectors', values (n,) rising, vectors (n, n) float64."""

    def __init__(self, sites, basis, m, scale, prior_values, values, vectors):
        super().__init__(sites, basis, m, scale, prior_values)
        self.values, self.vectors = values, vectors
        self._parts: dict[bytes, tuple] = {}

    def _through(self, factor: np.ndarray, v: np.ndarray) -> np.ndarray:
        """vectors diag(factor) vectors' v; factor (n, 1) or (n, c)."""
        return self.project(self.vectors @ (factor * (self.vectors.T @ self.project(v))))

    def multiply(self, v: np.ndarray) -> np.ndarray:
        """K v, (n, c)."""
        return self._through(self.values[:, None], v)

    def solve(self, right: np.ndarray, ratio, mask: np.ndarray | None = None, tolerance: float = 1e-6) -> np.ndarray:
        """(K + ratio I)^-1 M right, (n, c); ratio (c,).

        mask: bool (n, c), people of each column. K and the projection off the covariates are then those among
        these people, and the solution is 0 for the others; by conjugate gradients to `tolerance` |M right|.
        """
        ratio = np.broadcast_to(np.asarray(ratio, dtype=float), right.shape[1:])
        lacking = np.zeros(right.shape[1], dtype=bool) if mask is None else ~mask.all(axis=0)
        if not lacking.any():
            return self._through(1 / (self.values[:, None] + ratio), right)
        out = np.empty(right.shape)
        out[:, ~lacking] = self.solve(right[:, ~lacking], ratio[~lacking])
        projector = Projector(self.basis, mask[:, lacking])
        out[:, lacking] = _masked(self.multiply, projector, right[:, lacking], ratio[lacking], tolerance)
        return out

    def reml(self, y: np.ndarray, people: np.ndarray | None = None) -> Fits:
        """REML estimates of y (n, c), complete; people: rows (or bool) to use, or None for all."""
        values, vectors, rows = self._among(people)
        squares = (vectors.T @ y[rows]) ** 2
        df = len(values)

        def spread(h):
            return h * values[:, None] + 1 - h

        return maximise(
            lambda h: (squares / spread(h)).sum(axis=0), lambda h: np.log(spread(h)).sum(axis=0)[None], df, y.shape[1]
        )

    def _among(self, people):
        """values (d,), vectors (k, d) of K on the space of dimension d orthogonal to the covariates, and the rows."""
        rows = _rows(people, self.n)
        r = self.basis.shape[1]
        if len(rows) == self.n:
            return self.values[r:], self.vectors[:, r:], rows
        name = rows.tobytes()
        if name not in self._parts:
            basis = orthonormal(self.basis[rows])
            values, vectors = decompose(project_both(part_of(self.values, self.vectors, rows), basis).T, basis)
            self._parts[name] = values[basis.shape[1] :], vectors[:, basis.shape[1] :], rows
        return self._parts[name]

    def draw_values(self, normal: np.ndarray) -> np.ndarray:
        """Draws from N(0, K), (n, c), from standard normals (n, c): K^(1/2) normal."""
        return self._through(np.sqrt(self.values)[:, None], normal)


class StreamedKernel(_Kernel):
    """K by products only, each one pass over the genotypes; nothing is larger than people x columns.

    products: x'x v / (m scale), see there.
    """

    def __init__(self, sites, basis, m, scale, prior_values, products: Products):
        super().__init__(sites, basis, m, scale, prior_values)
        self.products = products

    def multiply(self, v: np.ndarray) -> np.ndarray:
        """K v, (n, c), in one pass."""
        return self.project(self.products(self.project(v)))

    def solve(self, right: np.ndarray, ratio, mask: np.ndarray | None = None, tolerance: float = 1e-5) -> np.ndarray:
        """(K + ratio I)^-1 M right as DenseKernel.solve, by conjugate gradients: one pass a step for all columns."""
        ratio = np.broadcast_to(np.asarray(ratio, dtype=float), right.shape[1:])
        return _masked(self.products, Projector(self.basis, mask), right, ratio, tolerance)

    def reml(self, y: np.ndarray, people: np.ndarray | None = None, steps: int = 60, probes: int = 16) -> Fits:
        """REML estimates as DenseKernel.reml, by stochastic Lanczos quadrature (Ubaru, Chen & Saad 2017).

        At most `steps` passes, fewer once no h moves by 0.001, serve all traits and `probes` random vectors,
        from which log determinants are estimated; standard errors include what these add.
        """
        rows = _rows(people, self.n)
        mask = None if len(rows) == self.n else np.isin(np.arange(self.n), rows)[:, None]
        projector = Projector(self.basis, mask)
        df, c = int(projector.df[0]), y.shape[1]
        trace = float(df) if mask is None else self.products.trace(projector)
        start = np.column_stack([y, *(_signs(self.n, j) for j in range(probes))])
        fits: list[Fits] = []

        def enough(q: Quadrature) -> bool:
            fits.append(_fit(q, c, df, trace))
            near = len(fits) > 1 and np.abs(fits[-1].h - fits[-2].h).max(initial=0) < SETTLED
            return near and bool((fits[-1].h < HIGHEST).all())  # too few steps may end at this bound

        lanczos(lambda v, columns: projector(self.products(v)), projector(start), steps, enough)
        return fits[-1]

    def draw_values(self, normal: np.ndarray) -> np.ndarray:
        """Draws from N(0, K), (n, c): values of unit effects drawn afresh, in one pass.

        normal: (n, c) standard normals; every bit of a column counts as the seed of its effects.
        """
        seeds = [hashlib.blake2b(np.ascontiguousarray(z, dtype=float).tobytes(), digest_size=8) for z in normal.T]

        def effects(part: Kept) -> np.ndarray:
            streams = [counter.key(int.from_bytes(s.digest(), "little"), "kernel draw", part.chrom) for s in seeds]
            return np.column_stack([counter.normals(stream, part.rows, 0) for stream in streams])

        return self.project(self.products.values(effects)) / np.sqrt(self.m * self.scale)


def _fit(q: Quadrature, c: int, df: int, trace: float) -> Fits:
    """REML estimates from the quadratures of c traits and, behind them, the probes."""
    nodes, weights, squares = q.nodes[:, :c], q.weights[:, :c], q.squares[:c]
    probes = Quadrature(q.nodes[:, c:], q.weights[:, c:], q.squares[c:])
    return maximise(
        lambda h: squares * (weights / (h * nodes + 1 - h)).sum(axis=0),
        lambda h: log_determinants(probes, df, trace, h),
        df,
        c,
    )


def _signs(n: int, number: int) -> np.ndarray:
    """Random vector number `number` of n signs (Rademacher)."""
    bits, _ = counter.bits(counter.key(0, "log determinant", number), np.arange(n, dtype=np.uint32), np.uint32(0))
    return (bits & np.uint32(1)) * 2.0 - 1


def _masked(multiply, projector, right, ratio, tolerance):
    return conjugate_gradient(
        lambda v, columns: projector(multiply(v), columns), projector(right), np.asarray(ratio), tolerance
    )


def _rows(people, n: int) -> np.ndarray:
    """Increasing rows of people given as rows, as bool (n,), or as None for all."""
    chosen = np.zeros(n, dtype=bool)
    chosen[slice(None) if people is None else people] = True
    return np.flatnonzero(chosen)


def make_kernel(
    sites: Sites,
    covariates: np.ndarray,
    dense_up_to: int = 20_000,
    prior: Callable[[str, pd.DataFrame], np.ndarray] | None = None,
    device: str = "cpu",
) -> DenseKernel | StreamedKernel:
    """The kernel of the sites' people beside covariates (n, q), which hold the intercept, in one pass.

    dense_up_to: people up to whom K is built.  prior: (chrom, table) -> (b, c) unit normal effects; their values
    M x'b / sqrt(m scale), of covariance K, become `prior_values` (n, c).  device: `gpu` leaves products to JAX.
    Attributes of the result: n, m (sites), scale, basis (n, r), prior_values.
    Raises InputError where no site is common.
    """
    basis = orthonormal(np.asarray(covariates, dtype=float))
    if len(basis) > dense_up_to:
        return _streamed(sites, basis, prior, device)
    kernels, m, values = _gather(sites, [sites.alpha], len(basis), prior, device)
    scale, eigenvalues, vectors = _dense(kernels[0], basis, m)
    return DenseKernel(sites, basis, m, scale, _prior_values(values, basis, m * scale), eigenvalues, vectors)


def _dense(k: np.ndarray, basis: np.ndarray, m: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale and decomposition of K from x'x (n, n), which is overwritten."""
    k = project_both(k, basis)
    scale = float(np.trace(k)) / (m * (len(k) - basis.shape[1]))
    k /= m * scale
    log.info("kernel: decomposing that of %d people on %d common sites", len(k), m)
    return scale, *decompose(k.T, basis)


def _prior_values(values, basis, size: float):
    return None if values is None else (values - basis @ (basis.T @ values)) / np.sqrt(size)


def _streamed(sites: Sites, basis: np.ndarray, prior, device: str) -> StreamedKernel:
    """First pass: which sites are common, their means and scales, the trace and the prior's values."""
    values, trace, projector, found = 0.0, 0.0, Projector(basis), {}
    for block in common_blocks(sites, "kernel"):
        trace += block.to_allele**2 @ projector.squares(block.dosage)
        found.setdefault(block.prefix, []).append(
            (block.chrom, block.table.index.to_numpy(np.uint32), block.mean, block.to_allele)
        )
        if prior is not None:
            b = block.to_allele[:, None] * prior(block.chrom, block.table)
            values = values + (block.dosage.T @ b.astype(np.float32)).astype(float)
    if not found:
        raise no_sites(sites)
    kept = [
        Kept(prefix, parts[0][0], *(np.concatenate(column) for column in list(zip(*parts, strict=True))[1:]))
        for prefix, parts in found.items()
    ]
    m, (n, r) = sum(len(k.rows) for k in kept), basis.shape
    scale = float(trace) / (m * (n - r))
    values = None if prior is None else _prior_values(values, basis, m * scale)
    products = Products(kept, sites.people_rows, n, sites.block_sites, m * scale, device)
    return StreamedKernel(sites, basis, m, scale, values, products)


def _gather(sites: Sites, alphas, n: int, prior, device: str = "cpu"):
    """x'x (n, n) for every alpha, the number of sites, and x'b (n, c) of the prior's effects for the first."""
    kernels, values, m = [np.zeros((n, n)) for _ in alphas], 0.0, 0
    for block in common_blocks(sites._replace(alpha=alphas[0]), "kernel"):
        heterozygosity = block.mean * (1 - block.mean / 2)
        x = centred(block)
        if prior is not None:
            values = values + (x.T @ prior(block.chrom, block.table).astype(np.float32)).astype(float)
        add_products(kernels[0], x, device)
        for alpha, k in zip(alphas[1:], kernels[1:], strict=True):
            add_products(k, x * (heterozygosity[:, None] ** ((alpha - alphas[0]) / 2)).astype(np.float32), device)
        m += len(x)
    if m == 0:
        raise no_sites(sites)
    for k in kernels:
        mirror(k)
    return kernels, m, None if prior is None else values


def no_sites(sites: Sites) -> InputError:
    return InputError(
        f"no site has an allele frequency of {sites.minimum_frequency} among the training people",
        where="genotypes of the training people",
        expected="common sites, from which effect weights are learnt",
        remedy="add chromosomes or common sites, or give scoring files (weights: pgs)",
    )


def choose_alpha(
    prefixes: list,
    people_rows,
    covariates: np.ndarray,
    y: np.ndarray,
    choices=(-1.0, -0.3),
    minimum_frequency: float = 0.01,
    block_sites: int = 4096,
) -> float:
    """The alpha (see Sites) under which the traits y (n, c), complete, are likeliest: summed REML log likelihoods.

    At most 2,000 people are looked at, drawn by counter; the kernels of all choices come from one pass.
    """
    n = len(y)
    chosen = np.sort(counter.order(counter.key(0, "people for alpha"), n)[:ALPHA_PEOPLE])
    rows = chosen if people_rows is None else np.asarray(people_rows)[chosen]
    basis = orthonormal(np.asarray(covariates, dtype=float)[chosen])
    sites = Sites(prefixes, rows, minimum_frequency, choices[0], block_sites)
    kernels, m, _ = _gather(sites, choices, len(chosen), None)
    likelihood = []
    for alpha in choices:
        scale, values, vectors = _dense(kernels.pop(0), basis, m)
        fits = DenseKernel(sites._replace(alpha=alpha), basis, m, scale, None, values, vectors).reml(y[chosen])
        likelihood.append(fits.log_likelihood.sum())
        log.info("alpha %.1f: summed log likelihood %.1f", alpha, likelihood[-1])
    return choices[int(np.argmax(likelihood))]
