"""One posterior draw of the genetic values of all traits together: a Gibbs sampler whose last state is kept.

Latent traits L (n, t): scores where they are seen, draws where they are missing, liabilities of binary traits.

    L = C B + X_C b + U + E    U ~ N(0, Vg x K)    E ~ N(0, Ve x I)    b spike-and-slab

A sweep: (a) b of every trait, U integrated out, then the shares of its candidates' values that genetically
correlated traits have, too; (b, c) correlations of Vg and Ve and the shares h; (d) U given
everything by Matheron's rule in canonical traits, T'VgT = diag(h), T'(Vg + Ve)T = I:

    u_k = sqrt(h) g0 + h K (h K + 1 - h)^-1 (f_k - sqrt(h) g0 - sqrt(1 - h) e0)    F = (L - X_C b) T

(e) latent values given the rest. Everything acts orthogonal to the covariates; their own coefficients have a flat
prior, so that given L the covariates' part of the fit is Q(Q'L + noise). A binary trait's liability has
variance 1 beside the covariates. The shares h and the correlations follow the candidates and the latent values in
the burn-in (stochastic EM, Celeux & Diebolt 1985); their mean over its later part is then fixed.
"""

import logging
import time
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from pseudocohort import counter
from pseudocohort.weights import canonical, liability, spike_slab
from pseudocohort.weights.canonical import HIGHEST, Observed, Pairs

log = logging.getLogger("pseudocohort")

SMALLEST = 1e-6  # h below this is this in systems of equations
SITE_SWEEPS = 400  # Gibbs sweeps over the candidates in all
ROUNDS, STREAMED_ROUNDS = 8, 2  # times that b and h are drawn in turn when all values are seen
AGAIN = 0.01  # change of h from which X'PX is computed anew
LEAST_RESIDUAL = 0.05  # share of a liability's variance that the candidates leave at least
MOST_LATENT = 0.95  # canonical h beside latent values: the nearer to 1, the slower the sampler
MOST_LIABILITY = 0.95  # of the liability's h, which is known no better
LEAST_CORRELATION, MOST_SOURCES = 0.1, 6  # of the traits whose candidates a trait shares
SMALL = 1e-10  # variance of a residual that is no residual


class Model(NamedTuple):
    """What no sweep changes.

    kernel: of the people.  values: (n, t), NaN where missing.  binary: (t,) bool.  eta: (n, t) linear predictors
    of the probit null models.  columns: a (n, c) matrix a trait of standardised candidates, given scores last.
    role: a (c,) array a trait, 1 candidate, 2 always in.  products: (k, t, t), see liability.series.
    pairs: see canonical.  people: bool (n,) of unrelated people, or None for all.
    """

    kernel: object
    values: np.ndarray
    binary: np.ndarray
    eta: np.ndarray
    columns: list
    role: list
    products: np.ndarray
    pairs: Pairs
    people: np.ndarray | None


class Shares(NamedTuple):
    """h (t,) of the residual after b, correlations (t, t) of genetic and of all effects, se (t,) of h."""

    h: np.ndarray
    genetic: np.ndarray
    whole: np.ndarray
    se: np.ndarray


class Draw(NamedTuple):
    """The last state.

    effects: a (c,) array a trait on its columns.  spread: (t, t), effects of trait i's candidates on trait j too, as
    a share of theirs on i.  right: (n, t) canonical right side of the last ridge, and
    mean_right (n, t) that of the posterior mean, back in traits, averaged over the later sweeps.
    rotation: Canonical.  shares, and h_spread (t,) of h over the later sweeps.  hits, rest: (t,) variances
    beside the covariates of X_C b and of what is left.
    """

    effects: list
    spread: np.ndarray
    right: np.ndarray
    mean_right: np.ndarray
    rotation: canonical.Canonical
    shares: Shares
    h_spread: np.ndarray
    hits: np.ndarray
    rest: np.ndarray


class Found(NamedTuple):
    """State of the candidates: slab, own (n, t) values of every trait's own candidates, spread (t, t) the shares of
    them that other traits have too, explained (n, t) values of all columns."""

    slab: spike_slab.Slab
    own: np.ndarray
    spread: np.ndarray
    explained: np.ndarray


class Loci:
    """X'PX and X'Pl of every trait's candidates, kept while h stays.

    Exact where the kernel is decomposed; else x'Px is about gamma(h) x'Mx (GRAMMAR-gamma, Svishcheva 2012),
    with gamma from random genetic values.
    """

    def __init__(self, kernel, columns, role, seed: int):
        self.kernel, self.dense = kernel, hasattr(kernel, "vectors")
        width = max(map(len, role), default=0)
        self.role = np.array([np.pad(r, (0, width - len(r))) for r in role], dtype=int).reshape(len(role), width)
        self.projected = [kernel.project(x).astype(np.float32) if x.shape[1] else x for x in columns]
        self.turned = [(kernel.vectors.T @ x).astype(np.float32) for x in self.projected] if self.dense else None
        self.h = np.full(len(columns), np.inf)
        self.a = [np.zeros((x.shape[1],) * 2) for x in columns]
        if not self.dense and any(x.shape[1] for x in columns):
            self.moments = [x.T @ x for x in self.projected]
            self.gamma = self._gamma(seed)

    def _gamma(self, seed: int, each: int = 6):
        """(h, gamma) on a grid: g'(h K + 1 - h)^-1 g over g'g for draws g from N(0, K)."""
        grid = np.array([0.02, 0.1, 0.25, 0.5, 0.75, 0.95])
        rng = counter.generator(seed, "gamma")
        g = self.kernel.draw_values(rng.normal(size=(self.kernel.n, each)))
        h = np.repeat(grid, each)
        many = np.tile(g, len(grid))
        solved = self.kernel.solve(many, (1 - h) / h) / h
        gamma = (many * solved).sum(axis=0) / (many * many).sum(axis=0)
        return np.append(0, grid), np.append(1, gamma.reshape(len(grid), each).mean(axis=1))

    def update(self, h: np.ndarray, latent: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A (t, c, c) and r (t, c), padded with zeros, at shares h (t,) and variances scale (t,)."""
        h = np.clip(h, SMALLEST, HIGHEST)
        solved = self.kernel.solve(latent, (1 - h) / h) / h
        t, width = self.role.shape
        a, r = np.zeros((t, width, width)), np.zeros((t, width))
        for k, x in enumerate(self.projected):
            c = x.shape[1]
            if c and abs(h[k] - self.h[k]) > AGAIN:
                self.h[k], self.a[k] = h[k], self._information(k, h[k])
            a[k, :c, :c], r[k, :c] = self.a[k] / scale[k], x.T @ solved[:, k].astype(np.float32) / scale[k]
        return a, r

    def values(self, effects: np.ndarray, role: int) -> np.ndarray:
        """Values (n, t) of the columns of that role; effects (t, c)."""
        chosen = (effects * (self.role == role)).astype(np.float32)
        return np.array([x @ b[: x.shape[1]] for x, b in zip(self.projected, chosen, strict=True)], dtype=float).T

    def sample(self, rng, before: Found, shares: Shares, latent, scale, sites: float, sweeps: int) -> Found:
        """Effects b of every trait given latent (n, t), shares and what other traits' candidates do, then the latter.

        scale: (t,) variances of what the candidates leave.  sites, sweeps: see spike_slab.sample.
        """
        a, r = self.update(shares.h, latent - before.own @ before.spread, scale)
        slab = spike_slab.sample(rng, a, r, self.role, before.slab, sites, sweeps)
        own, always = self.values(slab.effects, 1), self.values(slab.effects, 2)
        spread = self.spread(rng, shares, latent - own - always, own, scale)
        return Found(slab, own, spread, own + always + own @ spread)

    def spread(self, rng, shares: Shares, left: np.ndarray, own: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Drawn shares (t, t) of the values own (n, t) of trait i's candidates that trait j has, too.

        Hits are drawn trait by trait; without this, traits would lose at them what genetic correlation they have.
        left (n, t) = own spread[:, j] + rest; a normal prior of variance 1, U integrated out.  For every j the few
        traits i of the strongest genetic correlation.
        """
        t, out = own.shape[1], np.zeros((own.shape[1],) * 2)
        size = np.abs(shares.genetic) * (own.var(axis=0) > SMALL)[:, None] * ~np.eye(t, dtype=bool)
        sources = [
            [i for i in np.argsort(-size[:, j], kind="stable")[:MOST_SOURCES] if size[i, j] >= LEAST_CORRELATION]
            for j in range(t)
        ]
        target = np.repeat(np.arange(t), [len(s) for s in sources])
        if not len(target):
            return out
        h = np.clip(shares.h, SMALLEST, HIGHEST)
        x = own[:, np.concatenate([s for s in sources if s])]
        if self.dense:
            solved = self.kernel.solve(x, ((1 - h) / h)[target]) / h[target]
        else:
            solved = x * np.array([np.interp(h[j], *self.gamma) for j in target])
        for j in np.unique(target):
            here = target == j
            weighted = solved[:, here] / scale[j]
            root = np.linalg.cholesky(x[:, here].T @ weighted + np.eye(here.sum()))
            mean = np.linalg.solve(root.T, np.linalg.solve(root, weighted.T @ left[:, j]))
            out[sources[j], j] = mean + np.linalg.solve(root.T, rng.normal(size=here.sum()))
        return out

    def _information(self, k: int, h: float) -> np.ndarray:
        if not self.dense:
            return np.interp(h, *self.gamma) * self.moments[k]
        z = self.turned[k]
        return (z.T @ (z / (h * self.kernel.values + 1 - h)[:, None].astype(np.float32))).astype(float)


def observe(model: Model, explained: np.ndarray) -> Observed:
    """Residuals of what is seen beside the covariates and explained (n, t), orthogonal to the covariates."""
    seen = ~np.isnan(model.values)
    slope = np.where(model.binary, liability.slope(model.eta), 1.0) * seen
    standard = liability.standard_residual(np.nan_to_num(model.values), model.eta) - slope * explained
    residual = np.where(model.binary, standard, np.nan_to_num(model.values) - explained) * seen
    q = model.kernel.basis
    for k in np.flatnonzero(~model.binary):
        here, y = seen[:, k], residual[:, k]
        if here.all():
            y = y - q @ (q.T @ y)
        else:
            y = np.where(here, y - q @ np.linalg.lstsq(q[here], y[here], rcond=None)[0], 0.0)
        size = (y**2).sum() / max(here.sum(), 1)
        residual[:, k] = y / np.sqrt(size) if size > SMALL else 0.0
    return Observed(residual, slope)


def estimate(model: Model, e: np.ndarray, explained: np.ndarray, rest: np.ndarray) -> Shares:
    """Shares and correlations beside explained values (n, t), rest (t,) the variance that these leave.

    h of a score by REML of its completed residuals e (n, t); of a binary trait by REML of what is seen, on the
    liability scale by Dempster & Lerner (1950): latent values would tell little but what was believed of them.
    An h of less than half a standard error is taken as 0, of one and a half or more as it is.
    """
    observed = observe(model, explained)
    y = model.kernel.project(np.where(model.binary, observed.residual, e))
    size = y.var(axis=0)
    real = size > SMALL
    noise = counter.generator(0, "no residual").normal(size=y.shape)
    fits = model.kernel.reml(np.where(real, y / np.sqrt(np.maximum(size, SMALL)), noise), model.people)
    slope = observed.slope[slice(None) if model.people is None else model.people].mean(axis=0)
    scale = np.where(model.binary, size / np.maximum(slope**2 * rest, SMALL), 1.0)
    h = np.clip(np.where(real, fits.h * scale, 0.0), 0, np.where(model.binary, MOST_LIABILITY, HIGHEST))
    # REML cannot go below 0: an h of noise alone would be some of its standard error, in every null trait
    sure = np.clip(h / np.where(np.isfinite(fits.se), np.maximum(fits.se * scale, SMALL), SMALL) - 0.5, 0, 1)
    h = h * sure
    whole = canonical.phenotypic(observed, model.products)
    genetic = canonical.genetic(model.kernel, observed, h, whole, model.pairs)
    return Shares(h, genetic, whole, np.where(real, fits.se * scale, np.nan))


def first_latent(model: Model, seed: int) -> np.ndarray:
    """Scores, 0 where missing; of binary traits a draw given the covariates alone."""
    latent = np.nan_to_num(model.values)
    for k in np.flatnonzero(model.binary):
        uniform = _uniform(counter.generator(seed, "first liability", k), model.kernel.n)
        y, eta = model.values[:, k], model.eta[:, k]
        drawn = liability.truncated(uniform, eta, 1.0, np.where(np.isnan(y), uniform > 0.5, y))
        latent[:, k] = np.where(np.isnan(y), eta, drawn)
    return latent


def run(model: Model, seed: int, sites: float, sweeps: int, unit_values: np.ndarray) -> Draw:
    """Run the sampler and return its last state.

    sites: effective number of independent sites.  sweeps: with any latent value; otherwise b and h take turns
    a few times and U is drawn once.  unit_values: (n, t) prior genetic values, of covariance K, of the last sweep.
    """
    n, t = model.values.shape
    open_ = bool(model.binary.any() or np.isnan(model.values).any())
    loci = Loci(model.kernel, model.columns, model.role, seed)
    rounds = _rounds(model, loci, sweeps, open_)
    settled, burnt = rounds // 4, max((rounds * 2) // 3, 1) if open_ else rounds
    latent, nothing = first_latent(model, seed), np.zeros((n, t))
    rest = _scale(model, latent, np.zeros(t))
    shares = estimate(model, latent, nothing, rest)
    found = Found(spike_slab.start(t, loci.role.shape[1]), nothing, np.zeros((t, t)), nothing)
    history, rights, started = [], [], time.monotonic()
    for sweep in range(rounds):
        rng, last = counter.generator(seed, "sweep", sweep), sweep == rounds - 1
        found = loci.sample(rng, found, shares, latent, np.maximum(rest, SMALL), sites, -(-SITE_SWEEPS // rounds))
        e, hits = latent - found.explained, found.explained.var(axis=0)
        rest = _scale(model, e, hits)
        if sweep < burnt:
            shares = estimate(model, e, found.explained, rest)
            history.append(shares)
        elif sweep == burnt:
            shares = _mean(history[settled:])
        if open_ or last:
            g0 = unit_values if last else model.kernel.draw_values(rng.normal(size=(n, t)))
            highest = MOST_LATENT if open_ else HIGHEST
            turn = canonical.rotation(shares.genetic, shares.whole, shares.h, np.maximum(rest, SMALL), highest)
            z, u, mean_right = _polygenic(model, rng, e, turn, g0)
            rights += [mean_right] if sweep >= burnt or last else []
            if not last:
                latent = _latents(model, rng, latent, found.explained + u, turn)
        left = (time.monotonic() - started) * (rounds / (sweep + 1) - 1)
        log.info("weights: sweep %d of %d, about %.0f s left", sweep + 1, rounds, left)
    h_spread = np.array([s.h for s in history[settled:]]).std(axis=0)
    effects = [b[: x.shape[1]] for b, x in zip(found.slab.effects, model.columns, strict=True)]
    return Draw(effects, found.spread, z, np.mean(rights, axis=0), turn, shares, h_spread, hits, rest)


def _rounds(model: Model, loci: Loci, sweeps: int, open_: bool) -> int:
    """Sweeps that are needed: with all values seen only as many as b and h take turns."""
    if open_:
        return max(sweeps, 1)
    return (ROUNDS if loci.dense else STREAMED_ROUNDS) if any(len(r) for r in model.role) else 1


def _scale(model: Model, e: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Variance (t,) of what the candidates leave; that of a liability is 1 with them."""
    return np.where(model.binary, np.maximum(1 - hits, LEAST_RESIDUAL), model.kernel.project(e).var(axis=0))


def _mean(history: list[Shares]) -> Shares:
    h, genetic, whole = (np.mean([s[i] for s in history], axis=0) for i in range(3))
    se = np.array([s.se for s in history])
    known = np.isfinite(se)
    se = np.where(known.any(axis=0), np.where(known, se, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1), np.nan)
    return Shares(h, genetic, whole, se)


def _polygenic(model: Model, rng, e, turn: canonical.Canonical, g0):
    """Canonical right side z (n, t) of the draw, the drawn values u (n, t) and the right side of the mean, in traits.

    h K (h K + 1 - h)^-1 f = K z with z = (K + (1 - h)/h)^-1 f.
    """
    h = np.clip(turn.h, SMALLEST, HIGHEST)
    f = e @ turn.turn
    noise = rng.normal(size=f.shape)
    ratio = (1 - h) / h
    start = np.sqrt(turn.h) * g0
    both = model.kernel.solve(np.hstack([f - start - np.sqrt(1 - h) * noise, f]), np.tile(ratio, 2))
    z, mean = both[:, : len(h)], both[:, len(h) :]
    z, mean = z * (turn.h > SMALLEST), mean * (turn.h > SMALLEST)
    u = (model.kernel.project(start) + model.kernel.multiply(z)) @ turn.back
    return z, u, mean @ turn.back


def _latents(model: Model, rng, latent, genetic, turn: canonical.Canonical) -> np.ndarray:
    """New latent values (n, t) given genetic values orthogonal to the covariates (n, t) and all that is seen."""
    q = model.kernel.basis
    residual_cov = (turn.back.T * (1 - turn.h)) @ turn.back
    root = turn.back.T * np.sqrt(1 - turn.h)
    coefficients = q.T @ latent + rng.normal(size=(q.shape[1], latent.shape[1])) @ root.T
    fitted = q @ coefficients + genetic
    e, precision = latent - fitted, np.linalg.inv(residual_cov)
    for k in range(latent.shape[1]):
        y = model.values[:, k]
        open_ = np.isnan(y)
        uniform = _uniform(rng, len(y))
        if not (model.binary[k] or open_.any()):
            continue
        sd = 1 / np.sqrt(precision[k, k])
        mean = e[:, k] - e @ precision[:, k] / precision[k, k]
        drawn = mean + sd * ndtri(uniform)
        if model.binary[k]:
            case = np.where(open_, 0.0, y)
            drawn = np.where(open_, drawn, liability.truncated(uniform, fitted[:, k] + mean, sd, case) - fitted[:, k])
            e[:, k] = drawn
        else:
            e[:, k] = np.where(open_, drawn, e[:, k])
    return np.where(np.isnan(model.values) | model.binary, fitted + e, latent)


def _uniform(rng, n: int) -> np.ndarray:
    """Uniform draws (n,), never 0 or 1, whose normal quantiles are infinite."""
    return np.clip(rng.random(n), 2.0**-53, 1 - 2.0**-53)
