"""Heads against scipy, masks by the Jacobian, the atom-by-atom form against the whole, and parts left out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import stats

from pseudocohort.phenotype.network import Head, Network, Shape, draw, log_likelihood, log_mass, log_tail, masks

SHAPE = Shape(5, (True, False, False, True, False, False, True), 16, 3)
SCORES, CONDITIONS, CODES = (jnp.asarray(np.random.default_rng(4).normal(size=(6, k)), jnp.float32) for k in (7, 5, 3))
GUESSES = jnp.asarray(np.random.default_rng(5).normal(size=(6, 7)), jnp.float32)


def filled(shape=SHAPE):
    """A network with random weights everywhere."""
    network, random = Network(shape), np.random.default_rng(4)
    state = jax.tree.map(lambda a: jnp.asarray(random.normal(0, 0.5, a.shape), jnp.float32), nnx.state(network))
    nnx.update(network, state)
    return network


def slopes(network, part):
    """Largest |d part_j / d score_i| over people, (7, 7): part(head) has shape (people, ..., 7)."""
    jacobian = jax.jacobian(lambda s: part(network.heads(s, CONDITIONS, CODES, GUESSES)))(SCORES)
    inputs = np.abs(np.asarray(jacobian)).reshape(6, -1, 7, 6, 7)
    return inputs.max(axis=(0, 1, 3))


def head(n=400, seed=1):
    random = np.random.default_rng(seed)
    weight = random.dirichlet([1, 1, 1], n).T
    values = (
        random.normal(size=(1, n)),
        random.normal(size=(3, n)),
        random.normal(0, 0.5, (1, 3, n)),
        np.log(weight)[None],
    )
    return Head(*(jnp.asarray(v, jnp.float32) for v in values))


def test_likelihood_is_scipys_mixture():
    h, random = head(), np.random.default_rng(2)
    low = random.normal(size=400).astype(np.float32)
    high = low + random.exponential(size=400).astype(np.float32)
    low[:50], high[50:100] = -30.0, 30.0
    dense = np.arange(400) % 2 == 1
    centre, scale, weight = (
        np.asarray(v, np.float64)[0]
        for v in (h.location[:, None] + h.offset, jnp.exp(h.log_scale), jnp.exp(h.log_weight))
    )
    inside = stats.norm.cdf(high, centre, scale) - stats.norm.cdf(low, centre, scale)
    mass = (weight * inside).sum(0)
    density = (weight * stats.norm.pdf(low, centre, scale)).sum(0)
    mine = np.asarray(log_likelihood(h, *(jnp.asarray(v)[None] for v in (low, high, dense))))[0]
    truth = np.where(dense, density, mass)
    np.testing.assert_allclose(mine[truth > 1e-30], np.log(truth[truth > 1e-30]), rtol=2e-4, atol=2e-4)


def test_log_mass_and_its_gradient_hold_in_both_tails():
    a = np.array([-40.0, -9.0, -0.1, 6.0, 9.0, 35.0])
    b = a + np.array([5.0, 1.0, 0.3, 2.0, 1.0, 500.0])
    c, d = np.where(a > 0, -b, a), np.where(a > 0, -a, b)
    truth = stats.norm.logcdf(d) + np.log1p(-np.exp(stats.norm.logcdf(c) - stats.norm.logcdf(d)))
    np.testing.assert_allclose(log_mass(jnp.asarray(a), jnp.asarray(b)), truth, rtol=1e-4)
    mine = jax.grad(lambda a, b: log_mass(a, b).sum(), argnums=(0, 1))(jnp.asarray(a), jnp.asarray(b))
    for slope, bound, sign in zip(mine, (a, b), (-1, 1), strict=True):
        np.testing.assert_allclose(slope, sign * np.exp(stats.norm.logpdf(bound) - truth), rtol=2e-3, atol=1e-30)


def test_log_tail_is_the_normal_distribution_function():
    x = np.concatenate([np.linspace(0, 12, 4001), [30.0, 100.0]]).astype(np.float32)
    truth = stats.norm.logcdf(-x.astype(np.float64))
    np.testing.assert_allclose(log_tail(jnp.asarray(x)), truth, rtol=5e-7, atol=5e-7)
    np.testing.assert_array_equal(log_tail(jnp.asarray(x)), log_tail(jnp.asarray(-x)))


def test_narrow_and_wide_intervals_have_their_mass():
    random = np.random.default_rng(5)
    a = random.normal(size=5000)
    b = a + np.exp(random.uniform(np.log(1e-3), np.log(60), 5000))
    truth = np.log(stats.norm.cdf(b) - stats.norm.cdf(a))
    np.testing.assert_allclose(log_mass(jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32)), truth, atol=2e-3)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_head_sees_only_the_scores_before_it(depth):
    network = filled(SHAPE._replace(depth=depth))
    assert len(network.hidden_deep) == len(network.encode_deep) == depth - 1
    before = np.triu(np.ones((7, 7)), 1).T > 0
    for part in (lambda h: h.location[:, None], lambda h: h.log_scale, lambda h: h.log_weight):
        assert (slopes(network, part)[~before] == 0).all()
    assert (slopes(network, lambda h: h.location[:, None])[before] != 0).all()
    numeric = ~np.array(SHAPE.binary)
    seen = slopes(network, lambda h: h.log_scale)
    assert (seen[numeric][before[numeric]] != 0).all()  # through the hidden units alone: all degrees are in use
    assert (seen[~numeric] == 0).all()


def test_masks_use_every_degree():
    before, reads, feeds, between = map(np.asarray, masks(SHAPE))
    assert before.sum() == 7 * 6 / 2
    for path in (reads @ feeds, reads @ between @ feeds, reads @ between @ between @ feeds):
        assert ((path > 0) == (before > 0)).all()
    for atoms, hidden in ((1, 4), (3, 1), (500, 8), (0, 2)):
        m = masks(Shape(2, (False,) * atoms, hidden, 2))
        path = np.asarray(m.reads @ m.between @ m.feeds) > 0
        assert (path <= (np.asarray(m.before) > 0)).all()


@pytest.mark.parametrize("shape", [SHAPE, SHAPE._replace(depth=3), SHAPE._replace(without=("autoregression",))])
def test_one_head_after_another_equals_all_at_once(shape):
    network = filled(shape)
    whole = network.heads(SCORES, CONDITIONS, CODES, GUESSES)
    location, hidden = network.start(CONDITIONS, CODES)
    for j in range(7):
        one = network.one_head(location, hidden, j, GUESSES[:, j])
        for part, full in zip(one, whole, strict=True):
            np.testing.assert_allclose(part[..., 0], full[..., j], rtol=1e-4, atol=1e-5)
        location, hidden = network.advance(location, hidden, j, SCORES[:, j])


@pytest.mark.parametrize("without", [(), ("autoregression", "linear_skip", "latent", "learned_variances")])
def test_a_guess_moves_the_location_of_its_own_head_by_its_trust(without):
    network = filled(SHAPE._replace(without=without))
    plain, led = (network.heads(SCORES, CONDITIONS, CODES, guess) for guess in (0 * GUESSES, GUESSES))
    moved = led.location - plain.location
    np.testing.assert_allclose(moved, GUESSES * network.trust[...], rtol=1e-4, atol=1e-5)
    for a, b in zip(plain[1:], led[1:], strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_new_network_is_the_independent_marginals():
    network = Network(SHAPE, np.random.default_rng(1))
    h = network.heads(SCORES, CONDITIONS, 0 * CODES, GUESSES)
    np.testing.assert_allclose(h.location, 0)
    spread = (jnp.exp(h.log_weight) * (h.offset**2 + jnp.exp(2 * h.log_scale))).sum(1)
    np.testing.assert_allclose(spread[:, 0], 1, atol=1e-6)  # a probit head: one unit normal
    np.testing.assert_allclose(spread[:, 1], 1, atol=0.01)


def test_starting_weights_keep_the_variance_and_deep_layers_start_small():
    network = Network(Shape(20, (False,) * 300, 64, 4, 3), np.random.default_rng(1))
    assert float(network.encode_in.kernel[...].var()) == pytest.approx(1 / 320, rel=0.1)
    assert float(network.hidden_score[...].var()) == pytest.approx(1 / 300, rel=0.1)
    assert float(network.encode_deep[1].kernel[...].var()) == pytest.approx(0.01 / 64, rel=0.1)


def test_without_autoregression_no_score_reaches_any_head():
    network = filled(SHAPE._replace(without=("autoregression",), depth=2))
    for part in (lambda h: h.location[:, None], lambda h: h.log_scale, lambda h: h.log_weight):
        assert (slopes(network, part) == 0).all()
    seen = np.asarray(jax.jacobian(lambda c: network.heads(SCORES, c, CODES, GUESSES).log_scale[0, 0])(CONDITIONS))[
        :, 0
    ]
    assert (np.abs(seen[~np.array(SHAPE.binary)]).sum(1) > 0).all()  # every head is fed by hidden units


def test_without_linear_skip_conditions_reach_heads_through_hidden_units_alone():
    full, network = filled(), filled(SHAPE._replace(without=("linear_skip",)))

    def location(net, c, code=CODES, scores=SCORES):
        return net.heads(scores, c, code, GUESSES).location

    for net in (full, network):
        net.hidden_out[...] = 0 * net.hidden_out[...]
    other = CONDITIONS + 1
    assert (location(full, CONDITIONS) != location(full, other)).any()
    assert (location(network, CONDITIONS) == location(network, other)).all()
    assert (location(network, other) != location(network, other, CODES + 1)).any()  # the code's linear map stays
    assert (location(network, other) != location(network, other, CODES, SCORES + 1)).any()  # and the scores'
    through = filled(SHAPE._replace(without=("linear_skip",)))
    assert (location(through, CONDITIONS) != location(through, other)).any()


def test_without_learned_variances_every_head_is_one_unit_normal():
    h = filled(SHAPE._replace(without=("learned_variances",))).heads(SCORES, CONDITIONS, CODES, GUESSES)
    assert (h.offset == 0).all()
    assert (h.log_scale == 0).all()
    low, high = jnp.asarray(SCORES) - 0.5, jnp.asarray(SCORES) + 0.3
    at, low64, high64 = (np.asarray(v, np.float64) for v in (h.location, low, high))
    truth = np.log(stats.norm.cdf(high64 - at) - stats.norm.cdf(low64 - at))
    mine = log_likelihood(h, low, high, jnp.zeros(low.shape, bool))
    np.testing.assert_allclose(mine, truth, rtol=1e-3, atol=1e-3)


def test_without_latent_the_code_changes_nothing():
    network = filled(SHAPE._replace(without=("latent",)))
    one, two = (network.heads(SCORES, CONDITIONS, code, GUESSES) for code in (CODES, CODES + 3))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


def test_draws_follow_a_hand_set_mixture():
    n, random = 40_000, np.random.default_rng(7)
    rows = ([-2.0, 0.5, 3.0], np.log([0.5, 1.0, 0.2]), np.log([0.2, 0.5, 0.3]))
    one = Head(jnp.zeros((n, 1)), *(jnp.tile(jnp.asarray(r, jnp.float32)[:, None], (n, 1, 1)) for r in rows))
    drawn = np.asarray(draw(one, jnp.asarray(random.random(n)), jnp.asarray(random.normal(size=n))))

    def cdf(x):
        return sum(w * stats.norm.cdf(x, m, s) for w, m, s in ((0.2, -2, 0.5), (0.5, 0.5, 1), (0.3, 3, 0.2)))

    assert stats.kstest(drawn, cdf).pvalue > 1e-4
