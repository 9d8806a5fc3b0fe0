"""Spike-and-slab effects of a few candidate sites by Gibbs sampling, everything polygenic integrated out.

For one trait with precision P of its residual (covariates flat, background V = s(h K + (1 - h) I)) and
standardised candidates X, only A = X'PX and r = X'Pl count:

    p(l | b) ~ exp(r'b - b'Ab/2)    b_j ~ pi N(0, v) + (1 - pi) delta_0
    pi ~ Beta(.02, M)               v ~ (4 * .005 + sum b^2) / chi2(4 + k)      k effects in, M independent sites

(George & McCulloch 1993; the slab as in BayesC-pi, Habier 2011, with the sites that are no candidates counted
as excluded). pi is integrated out: a site is in beforehand with odds (.02 + k) / (M - k - 1), k others in.
Columns that are always in (given scores) have the wide prior N(0, 100).
"""

from typing import NamedTuple

import numpy as np

SLAB, SLAB_DF = 0.005, 4  # prior scale of v, per trait of variance 1, and its degrees of freedom
# Effects expected beforehand. With 1, a trait without any effect took in 1 to 3 of its strongest sites, at the
# effects of chance, and the pseudo cohort showed them as hits.
BEFORE = 0.02
WIDE = 100.0  # prior variance of a column that is always in


class Slab(NamedTuple):
    """State of t traits: effects (t, c) on standardised sites, slab variance v (t,)."""

    effects: np.ndarray
    variance: np.ndarray


def start(traits: int, columns: int) -> Slab:
    """No effect in; v at its prior mean."""
    return Slab(np.zeros((traits, columns)), np.full(traits, SLAB_DF * SLAB / (SLAB_DF - 2)))


def sample(rng, a, r, role, state: Slab, sites: float, sweeps: int, hyper: bool = True) -> Slab:
    """The state after `sweeps` sweeps over all columns.

    a: (t, c, c) X'PX.  r: (t, c) X'Pl.  role: (t, c) 0 no column (padding), 1 candidate, 2 always in.
    sites: M.  hyper: draw v too.  Traits are independent; one loop serves all.
    """
    effects, variance = (np.array(part, dtype=float) for part in state)
    t, c = r.shape
    if c == 0:
        return state
    own = np.maximum(np.einsum("tcc->tc", a), 1e-12)
    free = r - np.einsum("tij,tj->ti", a, effects)
    across = np.ascontiguousarray(np.swapaxes(a, 0, 1))  # (c, t, c): a column's row of every trait lies together
    for _ in range(sweeps):
        normal, uniform = rng.normal(size=(c, t)), rng.random((c, t))
        k = ((role == 1) & (effects != 0)).sum(axis=1)
        for j in range(c):
            k = k - ((role[:, j] == 1) & (effects[:, j] != 0))
            odds = np.log(BEFORE + k) - np.log(np.maximum(sites - k - 1, 1.0))
            prior = np.where(role[:, j] == 2, WIDE, variance)
            pull = free[:, j] + own[:, j] * effects[:, j]
            spread = prior / (1 + prior * own[:, j])
            favour = odds - 0.5 * np.log1p(prior * own[:, j]) + 0.5 * pull**2 * spread
            kept = (role[:, j] == 2) | (
                (role[:, j] == 1) & (uniform[j] < 1 / (1 + np.exp(-np.clip(favour, -700, 700))))
            )
            new = np.where(kept, pull * spread + np.sqrt(spread) * normal[j], 0.0)
            free -= across[j] * (new - effects[:, j])[:, None]
            effects[:, j] = new
            k = k + ((role[:, j] == 1) & kept)
        if hyper:
            chosen = (role == 1) & (effects != 0)
            variance = (SLAB_DF * SLAB + (effects**2 * chosen).sum(axis=1)) / rng.chisquare(
                SLAB_DF + chosen.sum(axis=1)
            )
    return Slab(effects, variance)
