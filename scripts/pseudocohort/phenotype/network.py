"""The conditional VAE: an encoder, and a decoder with one head an atom (see `encoding`).

Head j is a mixture of three normals for the latent of atom j, given the condition c, the code z and the
scores s of the atoms before it:

    location_j = b + Wc c + Wz z + sum_{i<j} Wa_ij s_i + w_j g_j + V_j . h
    h_1 = tanh(Uc c + Uz z + Ua s),  h_{l+1} = h_l + tanh(U_l h_l + u_l),  h = h_depth
    log scale_j and the mixture's logits also receive a share of h; g_j is what trees guess (`forest`)

Ua, U_l and V are masked by degrees (MADE, Germain et al. 2015), so h reaches head j from s_<j only. All weights
that feed the heads start at zero: the network starts as the independent marginals and the linear part learns first.
Deeper layers add to the layer before and start small, so a deep network starts as a shallow one.
The likelihood of a value is the mixture's mass in its interval, or its density where the mass is small.
Parts named in Shape.without are left out (ablation): linear_skip takes Wc away, autoregression Wa and Ua,
learned_variances the mixture (one unit normal is left), latent Wz and Uz.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

MIXTURE = 3
OUTPUTS = 2 + MIXTURE  # location, log scale, logits: what the hidden units add to a head
SPREAD = (-0.7, 0.0, 0.7)  # with log scale ln 0.82 a mixture of about unit variance
_ROOT = np.log(2 * np.pi) / 2


class Shape(NamedTuple):
    """Sizes that define a network; binary: per atom, True where it has two levels (a plain probit head)."""

    conditions: int
    binary: tuple[bool, ...]
    hidden: int
    latent: int
    depth: int = 1
    without: tuple[str, ...] = ()


class Head(NamedTuple):
    """Parameters of the mixtures of `atoms` heads: location (n, atoms), offset (3, atoms), log_scale and log_weight
    (n, 3, atoms). The components stand before the atoms: loops over the last axis are long then, and vectorised."""

    location: jax.Array
    offset: jax.Array
    log_scale: jax.Array
    log_weight: jax.Array


class Linear(nnx.Module):
    """x @ kernel (+ bias); kernel (into, out) normal with standard deviation `spread`, bias zero."""

    def __init__(self, into: int, out: int, random, spread: float = 0.0, *, bias: bool = True):
        self.kernel = nnx.Param(_normal(random, (into, out), spread))
        self.bias = nnx.Param(jnp.zeros(out)) if bias else None

    def __call__(self, x):
        y = x @ self.kernel[...]
        return y if self.bias is None else y + self.bias[...]


def _normal(random: np.random.Generator | None, size: tuple[int, ...], spread: float) -> jax.Array:
    """Drawn in numpy, which needs no compilation; zeros without a generator."""
    if random is None or spread == 0:
        return jnp.zeros(size)
    return jnp.asarray(random.normal(0, spread, size), jnp.float32)


class Network(nnx.Module):
    """Encoder q(z | s, c) and decoder p(s | z, c); all arrays float32.

    shape: Shape; random: numpy generator of the starting weights (None: zeros, to be replaced).
    """

    def __init__(self, shape: Shape, random: np.random.Generator | None = None):
        atoms, conditions, hidden, latent = len(shape.binary), shape.conditions, shape.hidden, shape.latent
        deep, self.shape = range(shape.depth - 1), shape
        self.encode_in = Linear(atoms + conditions, hidden, random, (atoms + conditions) ** -0.5)
        self.encode_deep = nnx.List(Linear(hidden, hidden, random, 0.1 * hidden**-0.5) for _ in deep)
        self.encode_out = Linear(hidden, 2 * latent, random)
        self.linear_condition = Linear(conditions, atoms, random)
        self.linear_code = Linear(latent, atoms, random, 0.05, bias=False)
        self.linear_score = nnx.Param(jnp.zeros((atoms, atoms)))
        self.trust = nnx.Param(jnp.zeros((atoms,)))
        self.hidden_condition = Linear(conditions, hidden, random, max(conditions, 1) ** -0.5)
        self.hidden_code = Linear(latent, hidden, random, latent**-0.5, bias=False)
        self.hidden_score = nnx.Param(_normal(random, (atoms, hidden), max(atoms, 1) ** -0.5))
        self.hidden_deep = nnx.List(Linear(hidden, hidden, random, 0.1 * hidden**-0.5) for _ in deep)
        self.hidden_out = nnx.Param(jnp.zeros((hidden, OUTPUTS, atoms)))
        self.offset = nnx.Param(jnp.tile(jnp.array(SPREAD)[:, None], (1, atoms)))
        self.log_scale = nnx.Param(jnp.full((MIXTURE, atoms), np.log(0.82)))
        self.log_weight = nnx.Param(jnp.zeros((MIXTURE, atoms)))

    def encode(self, score, condition):
        """Mean and log variance of q(z | s, c), each (n, latent)."""
        h = jnp.tanh(self.encode_in(jnp.concatenate([score, condition], axis=-1)))
        for layer in self.encode_deep:
            h = h + jnp.tanh(layer(h))
        return jnp.split(self.encode_out(h), 2, axis=-1)

    def start(self, condition, code):
        """The part that no score enters: locations (n, atoms) and inputs of the first hidden layer (n, hidden)."""
        without, hidden = self.shape.without, self.hidden_condition(condition)
        if "linear_skip" in without:
            location = jnp.broadcast_to(self.linear_condition.bias[...], (len(condition), len(self.shape.binary)))
        else:
            location = self.linear_condition(condition)
        if "latent" in without:
            return location, hidden
        return location + self.linear_code(code), hidden + self.hidden_code(code)

    def heads(self, score, condition, code, guess) -> Head:
        """All heads at once, given all scores and guesses (n, atoms); head j sees only the scores before j."""
        location, hidden = self.start(condition, code)
        location = location + guess * self.trust[...]
        if "autoregression" not in self.shape.without:
            before, reads, _, _ = masks(self.shape)
            location = location + score @ (self.linear_score[...] * before)
            hidden = hidden + score @ (self.hidden_score[...] * reads)
        feeds, atoms = masks(self.shape).feeds, len(self.shape.binary)
        weights = (self.hidden_out[...] * feeds[:, None, :]).reshape(self.shape.hidden, OUTPUTS * atoms)
        out = (self._last(hidden) @ weights).reshape(len(hidden), OUTPUTS, atoms)
        return _head(location, out, self.offset[...], self.log_scale[...], self.log_weight[...], _plain(self.shape))

    def one_head(self, location, hidden, atom, guess) -> Head:
        """Head `atom` (an index, may be traced) alone, from the state of `start` and `advance` and the guess (n,)."""
        location = location[:, atom] + guess * self.trust[atom]
        out = self._last(hidden) @ (self.hidden_out[:, :, atom] * masks(self.shape).feeds[:, atom][:, None])
        own = (a[:, atom][:, None] for a in (self.offset, self.log_scale, self.log_weight))
        return _head(location[:, None], out[:, :, None], *own, _plain(self.shape)[atom])

    def advance(self, location, hidden, atom, score):
        """Add the score (n,) of atom `atom` to the state."""
        if "autoregression" in self.shape.without:
            return location, hidden
        before, reads, _, _ = masks(self.shape)
        location = location + score[:, None] * (self.linear_score[atom] * before[atom])
        return location, hidden + score[:, None] * (self.hidden_score[atom] * reads[atom])

    def _last(self, hidden):
        """Last hidden layer (n, hidden) from the first one's inputs."""
        h = jnp.tanh(hidden)
        for layer in self.hidden_deep:
            h = h + jnp.tanh(h @ (layer.kernel[...] * masks(self.shape).between) + layer.bias[...])
        return h


@functools.cache
def _graph(shape: Shape) -> nnx.GraphDef:
    return nnx.split(nnx.eval_shape(lambda: Network(shape)))[0]


def with_parameters(shape: Shape, parameters) -> Network:
    """The network of this shape with the given nnx.Param state; for use in compiled functions, where the shape is
    static: unlike a network's own graph it compares equal from one network to the next."""
    return nnx.merge(_graph(shape), parameters)


class Masks(NamedTuple):
    """0 and 1: before (atoms, atoms), reads (atoms, hidden), feeds (hidden, atoms), between (hidden, hidden)."""

    before: jax.Array
    reads: jax.Array
    feeds: jax.Array
    between: jax.Array


def masks(shape: Shape) -> Masks:
    """A hidden unit of degree d reads the scores i < d, the units below it of degrees <= d, and feeds the heads j >= d.

    Made of counters, not stored: in a compiled function they cost no memory.
    """
    atoms = len(shape.binary)
    number = jnp.arange(atoms)
    # floor(unit (atoms - 1) / (hidden - 1)) in whole numbers
    degree = jnp.arange(shape.hidden) * max(atoms - 1, 0) // max(shape.hidden - 1, 1)
    if "autoregression" in shape.without:
        degree = 0 * degree  # no score comes in: every unit may feed every head
    return Masks(
        (number[:, None] < number[None, :]).astype(jnp.float32),
        (number[:, None] < degree[None, :]).astype(jnp.float32),
        (degree[:, None] <= number[None, :]).astype(jnp.float32),
        (degree[:, None] <= degree[None, :]).astype(jnp.float32),
    )


def _plain(shape: Shape):
    """bool (atoms,): heads of one unit normal."""
    return jnp.array(shape.binary, bool) | ("learned_variances" in shape.without)


def _head(location, out, offset, log_scale, log_weight, plain) -> Head:
    """Put a head together; a two-level atom keeps one unit normal, for its other parameters are not identified.

    location (n, atoms), out (n, OUTPUTS, atoms), the others (3, atoms), plain (atoms,).
    """
    log_scale = jnp.clip(log_scale + jnp.tanh(out[:, 1:2]), -5.0, 3.0)
    log_weight = log_weight + out[:, 2:]
    log_weight = log_weight - _log_sum(log_weight)[:, None]
    return Head(location + out[:, 0], jnp.where(plain, 0.0, offset), jnp.where(plain, 0.0, log_scale), log_weight)


def _log_sum(x):
    """log of the sum of exp over the components, (n, 3, atoms) to (n, atoms); three terms, no reduction."""
    parts = [x[:, k] for k in range(MIXTURE)]
    top = jax.lax.stop_gradient(functools.reduce(jnp.maximum, parts))
    return top + jnp.log(sum(jnp.exp(part - top) for part in parts))


def log_likelihood(head: Head, low, high, dense):
    """log p of values: the mass in (low, high], or the density at low where dense; all (n, atoms)."""
    centre, scale = head.location[:, None] + head.offset, jnp.exp(-head.log_scale)
    a, b = (low[:, None] - centre) * scale, (high[:, None] - centre) * scale
    density = -0.5 * a**2 - head.log_scale - _ROOT
    mass = log_mass(a, jnp.where(dense[:, None], a + 1.0, b))
    return _log_sum(head.log_weight + jnp.where(dense[:, None], density, mass))


@jax.custom_jvp
def log_mass(a, b):
    """log(Phi(b) - Phi(a)), a < b, in both tails (the upper one is mirrored into the lower, so that a < 0)."""
    flip = a + b > 0
    a, b = jnp.where(flip, -b, a), jnp.where(flip, -a, b)
    tail_a, tail_b = log_tail(a), log_tail(b)
    # below zero Phi(b) (1 - Phi(a) / Phi(b)), else 1 - Phi(-b) - Phi(a)
    top = jnp.where(b > 0, 0.0, tail_b)
    rest = 1.0 - jnp.exp(tail_a - top) - jnp.where(b > 0, jnp.exp(tail_b), 0.0)
    return top + jnp.log(jnp.maximum(rest, 1e-6))


@log_mass.defjvp
def _log_mass_slope(values, changes):
    """d log mass = (phi(b) db - phi(a) da) / mass: nothing of the series is differentiated, which compiles faster."""
    (a, b), (da, db) = values, changes
    mass = log_mass(a, b)
    return mass, jnp.exp(-0.5 * b**2 - _ROOT - mass) * db - jnp.exp(-0.5 * a**2 - _ROOT - mass) * da


def log_tail(x):
    """log Phi(-|x|) in float32, error below 1e-6: erfc(z) = t exp(-z^2 + P(t)), t = 1 / (1 + z / 2).

    Press et al., Numerical Recipes in C (2nd ed.), section 6.2, erfcc. One logarithm and a polynomial: the series and
    branches of jax.scipy's log_ndtr took most of the time and of the compilation.
    """
    z = jnp.abs(x) * np.float32(np.sqrt(0.5))
    t = 1.0 / (1.0 + 0.5 * z)
    terms = (0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196)
    series = terms[0]
    for term in (*terms[1:], 1.00002368, -1.26551223):
        series = series * t + term
    return jnp.log(0.5 * t) + series - z * z


def draw(head: Head, component_u, normal):
    """Latents (n,) of a single head: component_u uniform (n,) chooses the component, normal (n,) the value."""
    upto = jnp.cumsum(jnp.exp(head.log_weight), axis=1)[:, :-1]
    which = (component_u[:, None, None] > upto).sum(1, keepdims=True)
    offset, log_scale = (
        jnp.take_along_axis(jnp.broadcast_to(v, head.log_weight.shape), which, 1)[:, 0, 0]
        for v in (head.offset, head.log_scale)
    )
    return head.location[:, 0] + offset + jnp.exp(log_scale) * normal
