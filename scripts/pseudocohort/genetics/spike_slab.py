"""Spike-and-slab effects of a few candidate sites by Gibbs sampling, everything polygenic integrated out.

For one trait with precision P of its residual (covariates flat, background V = s(h K + (1 - h) I)) and
standardised candidates X, only A = X'PX and r = X'Pl count:

    p(l | b) ~ exp(r'b - b'Ab/2)    b_j ~ pi N(0, v) + (1 - pi) delta_0
    pi ~ Beta(1 + k, M - k)         v ~ (4 * .005 + sum b^2) / chi2(4 + k)      k effects in, M independent sites

(George & McCulloch 1993; the slab as in BayesC-pi, Habier 2011, with the sites that are no candidates counted
as excluded). Columns that are always in (given scores) have the wide prior N(0, 100).
"""

from typing import NamedTuple

import numpy as np

SLAB, SLAB_DF = 0.005, 4  # prior scale of v, per trait of variance 1, and its degrees of freedom
START = 10  # effects expected beforehand: pi starts at 10/M
WIDE = 100.0  # prior variance of a column that is always in


class Slab(NamedTuple):
    """State of t traits: effects (t, c) on standardised sites, inclusion pi (t,), slab variance v (t,)."""

    effects: np.ndarray
    inclusion: np.ndarray
    variance: np.ndarray


def start(traits: int, columns: int, sites: float) -> Slab:
    """No effect in; pi = 10/M, v at its prior scale."""
    return Slab(
        np.zeros((traits, columns)), np.full(traits, min(START / sites, 0.5)), np.full(traits, SLAB * START / 2)
    )


def sample(rng, a, r, role, state: Slab, sites: float, sweeps: int, hyper: bool = True) -> Slab:
    """The state after `sweeps` sweeps over all columns.

    a: (t, c, c) X'PX.  r: (t, c) X'Pl.  role: (t, c) 0 no column (padding), 1 candidate, 2 always in.
    sites: M > k.  hyper: draw pi and v too.  Traits are independent; one loop serves all.
    """
    effects, pi, variance = (np.array(part, dtype=float) for part in state)
    t, c = r.shape
    if c == 0:
        return state
    own = np.maximum(np.einsum("tcc->tc", a), 1e-12)
    free = r - np.einsum("tij,tj->ti", a, effects)
    across = np.ascontiguousarray(np.swapaxes(a, 0, 1))  # (c, t, c): a column's row of every trait lies together
    for _ in range(sweeps):
        normal, uniform = rng.normal(size=(c, t)), rng.random((c, t))
        odds = np.log(pi) - np.log1p(-pi)
        for j in range(c):
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
        if hyper:
            chosen = (role == 1) & (effects != 0)
            k = chosen.sum(axis=1)
            pi = np.clip(rng.beta(1 + k, np.maximum(sites - k, 1.0)), 1e-12, 1 - 1e-9)
            variance = (SLAB_DF * SLAB + (effects**2 * chosen).sum(axis=1)) / rng.chisquare(SLAB_DF + k)
    return Slab(effects, pi, variance)
