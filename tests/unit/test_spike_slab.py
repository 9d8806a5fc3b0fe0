"""Spike-and-slab Gibbs against the posterior by exact enumeration."""

from itertools import product

import numpy as np
import pytest
from scipy.integrate import quad_vec
from scipy.special import betaln
from scipy.stats import chi2

from pseudocohort.weights import spike_slab

SITES = 60.0


def posterior(a, r, always):
    """Inclusion probabilities (c,) and means (c,) of effects, summed over all subsets, v integrated numerically."""
    c = len(r)
    free = [j for j in range(c) if j not in always]

    def at(log_v):
        v = np.exp(log_v)
        total, included, mean = 0.0, np.zeros(c), np.zeros(c)
        for pattern in product([0, 1], repeat=len(free)):
            chosen = sorted([j for j, bit in zip(free, pattern, strict=True) if bit] + list(always))
            k = sum(pattern)
            prior = np.array([spike_slab.WIDE if j in always else v for j in chosen])
            density = betaln(spike_slab.BEFORE + k, SITES - k)
            if chosen:
                inverse = a[np.ix_(chosen, chosen)] + np.diag(1 / prior)
                b = np.linalg.solve(inverse, r[chosen])
                density += 0.5 * (r[chosen] @ b - np.linalg.slogdet(inverse)[1] - np.log(prior).sum())
            p = np.exp(density + 10)
            total += p
            for place, j in enumerate(chosen):
                included[j] += p
                mean[j] += p * b[place]
        # v = 4 * .005 / chi2(4)
        x = spike_slab.SLAB_DF * spike_slab.SLAB / v
        return np.concatenate([[total], included, mean]) * chi2.pdf(x, spike_slab.SLAB_DF) * x

    whole = quad_vec(at, np.log(1e-5), np.log(10), epsrel=1e-6)[0]
    return whole[1 : c + 1] / whole[0], whole[c + 1 :] / whole[0]


@pytest.fixture(scope="module")
def problems():
    """X'X and X'y of two traits on 6 linked candidates each, the last of the second trait always in."""
    rng = np.random.default_rng(5)
    a, r = np.zeros((2, 6, 6)), np.zeros((2, 6))
    for k in range(2):
        x = rng.normal(size=(300, 6))
        x[:, 1] = 0.7 * x[:, 0] + 0.7 * x[:, 1]
        x[:, 4] = 0.6 * x[:, 3] + 0.8 * x[:, 4]
        y = 0.4 * x[:, 0] - 0.25 * x[:, 3] + 0.1 * x[:, 5] + rng.normal(size=300)
        a[k], r[k] = x.T @ x, x.T @ y
    return a, r, np.array([[1] * 6, [1] * 5 + [2]])


def test_inclusion_and_effects_agree_with_enumeration(problems):
    a, r, role = problems
    rng = np.random.default_rng(6)
    state, kept = spike_slab.start(2, 6), []
    for sweep in range(9000):
        state = spike_slab.sample(rng, a, r, role, state, SITES, 1)
        if sweep >= 1000:
            kept.append(state.effects)
    kept = np.array(kept)
    batches = (kept != 0).reshape(40, 200, 2, 6).mean(axis=1)
    error = batches.std(axis=0, ddof=1) / np.sqrt(40)
    for k, always in enumerate([(), (5,)]):
        included, mean = posterior(a[k], r[k], always)
        assert (included > 0.9).any()
        assert (included < 0.3).any()
        # 12 comparisons by 4 Monte Carlo standard errors: false alarm 1e-3
        assert (np.abs(batches[:, k].mean(axis=0) - included) < 4 * error[k] + 0.005).all()
        np.testing.assert_allclose(kept[:, k].mean(axis=0), mean, atol=0.01)


def test_traits_do_not_touch_each_other_and_padding_has_no_effect(problems):
    a, r, role = problems
    padded_a, padded_r, padded_role = np.zeros((2, 8, 8)), np.zeros((2, 8)), np.zeros((2, 8), dtype=int)
    padded_a[:, :6, :6], padded_r[:, :6], padded_role[:, :6] = a, r, role
    state = spike_slab.sample(
        np.random.default_rng(1), padded_a, padded_r, padded_role, spike_slab.start(2, 8), SITES, 50
    )
    assert (state.effects[:, 6:] == 0).all()
    changed = r.copy()
    changed[1] *= 5
    one, two = (
        spike_slab.sample(np.random.default_rng(1), a, x, role, spike_slab.start(2, 6), SITES, 50, hyper=False)
        for x in (r, changed)
    )
    np.testing.assert_array_equal(one.effects[0], two.effects[0])
    assert (one.effects[1] != two.effects[1]).any()
    empty = spike_slab.start(2, 0)
    assert spike_slab.sample(np.random.default_rng(1), a[:, :0, :0], r[:, :0], role[:, :0], empty, SITES, 5) is empty
