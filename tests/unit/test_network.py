"""Heads against scipy, masks, and the atom-by-atom form against the whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import stats

from pseudocohort.phenotype.network import Head, Network, Shape, draw, log_likelihood, log_mass, masks

SHAPE = Shape(5, (True, False, False, True, False, False, True), 16, 3)


@pytest.fixture(scope="module")
def filled():
    """(network with random weights everywhere, scores, conditions, codes)."""
    network = Network(SHAPE, nnx.Rngs(4))
    random = np.random.default_rng(4)
    state = jax.tree.map(lambda a: jnp.asarray(random.normal(0, 0.5, a.shape), jnp.float32), nnx.state(network))
    nnx.update(network, state)
    arrays = [jnp.asarray(random.normal(size=(6, k)), jnp.float32) for k in (7, 5, 3)]
    return network, *arrays


def head(n=400, seed=1):
    random = np.random.default_rng(seed)
    weight = random.dirichlet([1, 1, 1], n)
    values = random.normal(size=n), random.normal(size=(n, 3)), random.normal(0, 0.5, (n, 3)), np.log(weight)
    return Head(*(jnp.asarray(v, jnp.float32) for v in values))


def test_likelihood_is_scipys_mixture():
    h, random = head(), np.random.default_rng(2)
    low = random.normal(size=400).astype(np.float32)
    high = low + random.exponential(size=400).astype(np.float32)
    low[:50], high[50:100] = -30.0, 30.0
    dense = np.arange(400) % 2 == 1
    centre, scale, weight = (
        np.asarray(v, np.float64) for v in (h.location[:, None] + h.offset, jnp.exp(h.log_scale), jnp.exp(h.log_weight))
    )
    inside = stats.norm.cdf(high[:, None], centre, scale) - stats.norm.cdf(low[:, None], centre, scale)
    mass = (weight * inside).sum(1)
    density = (weight * stats.norm.pdf(low[:, None], centre, scale)).sum(1)
    mine = np.asarray(log_likelihood(h, jnp.asarray(low), jnp.asarray(high), jnp.asarray(dense)))
    truth = np.where(dense, density, mass)
    np.testing.assert_allclose(mine[truth > 1e-30], np.log(truth[truth > 1e-30]), rtol=2e-4, atol=2e-4)


def test_log_mass_and_its_gradient_hold_in_both_tails():
    a = np.array([-40.0, -9.0, -0.1, 6.0, 9.0, 35.0])
    b = a + np.array([5.0, 1.0, 0.3, 2.0, 1.0, 500.0])
    c, d = np.where(a > 0, -b, a), np.where(a > 0, -a, b)
    truth = stats.norm.logcdf(d) + np.log1p(-np.exp(stats.norm.logcdf(c) - stats.norm.logcdf(d)))
    np.testing.assert_allclose(log_mass(jnp.asarray(a), jnp.asarray(b)), truth, rtol=1e-4)
    slopes = jax.grad(lambda a, b: log_mass(a, b).sum(), argnums=(0, 1))(jnp.asarray(a), jnp.asarray(b))
    assert all(np.isfinite(s).all() for s in slopes)


def test_a_head_sees_only_the_scores_before_it(filled):
    network, s, c, z = filled

    def flat(scores, j):
        h = network.heads(scores, c, z)
        return h.location[:, j].sum() + (h.log_scale[:, j] + h.log_weight[:, j] * jnp.arange(3)).sum()

    for j in range(7):
        slope = np.asarray(jax.grad(flat)(s, j))
        assert (slope[:, j:] == 0).all()
        assert (slope[:, :j] != 0).all() or j == 0


def test_masks_use_every_degree():
    before, reads, feeds = map(np.asarray, masks(SHAPE))
    assert before.sum() == 7 * 6 / 2
    assert ((reads @ feeds > 0) <= (before > 0)).all()
    assert (reads @ feeds > 0).sum() == before.sum()


def test_one_head_after_another_equals_all_at_once(filled):
    network, s, c, z = filled
    whole = network.heads(s, c, z)
    location, hidden = network.start(c, z)
    for j in range(7):
        one = network.one_head(location, hidden, j)
        for part, full in zip(one, whole, strict=True):
            rows = full[:, j] if full.ndim > 1 and full.shape[0] == 6 else full[j]
            np.testing.assert_allclose(np.broadcast_to(part, np.shape(rows)), rows, rtol=1e-4, atol=1e-5)
        location, hidden = network.advance(location, hidden, j, s[:, j])


def test_a_new_network_is_the_independent_marginals():
    network = Network(SHAPE, nnx.Rngs(0))
    random = np.random.default_rng(0)
    c, s = (jnp.asarray(random.normal(size=(500, k)), jnp.float32) for k in (5, 7))
    h = network.heads(s, c, jnp.zeros((500, 3)))
    np.testing.assert_allclose(h.location, 0)
    spread = (jnp.exp(h.log_weight) * (h.offset**2 + jnp.exp(2 * h.log_scale))).sum(-1)
    np.testing.assert_allclose(spread[:, 0], 1, atol=1e-6)  # a probit head: one unit normal
    np.testing.assert_allclose(spread[:, 1], 1, atol=0.01)


def test_draws_follow_a_hand_set_mixture():
    n, random = 40_000, np.random.default_rng(7)
    rows = ([-2.0, 0.5, 3.0], np.log([0.5, 1.0, 0.2]), np.log([0.2, 0.5, 0.3]))
    one = Head(jnp.zeros(n), *(jnp.tile(jnp.asarray(r, jnp.float32), (n, 1)) for r in rows))
    drawn = np.asarray(draw(one, jnp.asarray(random.random(n)), jnp.asarray(random.normal(size=n))))

    def cdf(x):
        return sum(w * stats.norm.cdf(x, m, s) for w, m, s in ((0.2, -2, 0.5), (0.5, 0.5, 1), (0.3, 3, 0.2)))

    assert stats.kstest(drawn, cdf).pvalue > 1e-4
