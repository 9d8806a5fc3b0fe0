"""The conditional VAE: an encoder, and a decoder with one head an atom (see `encoding`).

Head j is a mixture of three normals for the latent of atom j, given the condition c, the code z and the
scores s of the atoms before it:

    location_j = b + Wc c + Wz z + sum_{i<j} Wa_ij s_i + V_j . h,    h = tanh(Uc c + Uz z + Ua s)
    log scale_j and the mixture's logits also receive a share of h

Ua and V are masked by degrees (MADE, Germain et al. 2015), so h reaches head j from s_<j only. All weights that
feed the heads start at zero: the network starts as the independent marginals and the linear part learns first.
The likelihood of a value is the mixture's mass in its interval, or its density where the mass is small.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.scipy.special import log_ndtr

MIXTURE = 3
OUTPUTS = 2 + MIXTURE  # location, log scale, logits: what the hidden units add to a head
SPREAD = (-0.7, 0.0, 0.7)  # with log scale ln 0.82 a mixture of about unit variance


class Shape(NamedTuple):
    """Sizes that define a network; binary: per atom, True where it has two levels (a plain probit head)."""

    conditions: int
    binary: tuple[bool, ...]
    hidden: int
    latent: int


class Head(NamedTuple):
    """Parameters of the mixture: location (...,), offset, log_scale, log_weight (..., 3)."""

    location: jax.Array
    offset: jax.Array
    log_scale: jax.Array
    log_weight: jax.Array


class Network(nnx.Module):
    """Encoder q(z | s, c) and decoder p(s | z, c); shape: Shape; all arrays float32."""

    def __init__(self, shape: Shape, rngs: nnx.Rngs):
        atoms, hidden, latent = len(shape.binary), shape.hidden, shape.latent
        self.shape = shape
        zeros = nnx.initializers.zeros
        self.encode_in = nnx.Linear(atoms + shape.conditions, hidden, rngs=rngs)
        self.encode_out = nnx.Linear(hidden, 2 * latent, kernel_init=zeros, rngs=rngs)
        self.linear_condition = nnx.Linear(shape.conditions, atoms, kernel_init=zeros, rngs=rngs)
        self.linear_code = nnx.Linear(
            latent, atoms, use_bias=False, rngs=rngs, kernel_init=nnx.initializers.normal(0.05)
        )
        self.linear_score = nnx.Param(jnp.zeros((atoms, atoms)))
        self.hidden_condition = nnx.Linear(shape.conditions, hidden, rngs=rngs)
        self.hidden_code = nnx.Linear(latent, hidden, use_bias=False, rngs=rngs)
        scale = 1 / np.sqrt(max(atoms, 1))
        self.hidden_score = nnx.Param(scale * jax.random.normal(rngs.params(), (atoms, hidden)))
        self.hidden_out = nnx.Param(jnp.zeros((hidden, atoms, OUTPUTS)))
        self.offset = nnx.Param(jnp.tile(jnp.array(SPREAD), (atoms, 1)))
        self.log_scale = nnx.Param(jnp.full((atoms, MIXTURE), np.log(0.82)))
        self.log_weight = nnx.Param(jnp.zeros((atoms, MIXTURE)))

    def encode(self, score, condition):
        """Mean and log variance of q(z | s, c), each (n, latent)."""
        h = jnp.tanh(self.encode_in(jnp.concatenate([score, condition], axis=-1)))
        return jnp.split(self.encode_out(h), 2, axis=-1)

    def start(self, condition, code):
        """The part that no score enters: locations (n, atoms) and inputs of the hidden units (n, hidden)."""
        location = self.linear_condition(condition) + self.linear_code(code)
        return location, self.hidden_condition(condition) + self.hidden_code(code)

    def heads(self, score, condition, code) -> Head:
        """All heads at once, given all scores (n, atoms); head j sees only the scores before j."""
        before, reads, feeds = masks(self.shape)
        location, hidden = self.start(condition, code)
        location = location + score @ (self.linear_score[...] * before)
        h = jnp.tanh(hidden + score @ (self.hidden_score[...] * reads))
        out = jnp.einsum("nh,hao->nao", h, self.hidden_out[...] * feeds[:, :, None])
        return _head(
            location,
            out,
            self.offset[...],
            self.log_scale[...],
            self.log_weight[...],
            jnp.array(self.shape.binary)[:, None],
        )

    def one_head(self, location, hidden, atom) -> Head:
        """Head `atom` (an index, may be traced) from the state of `start` and `advance`."""
        _, _, feeds = masks(self.shape)
        out = jnp.tanh(hidden) @ (self.hidden_out[:, atom] * feeds[:, atom][:, None])
        return _head(
            location[:, atom],
            out,
            self.offset[atom],
            self.log_scale[atom],
            self.log_weight[atom],
            jnp.array(self.shape.binary)[atom],
        )

    def advance(self, location, hidden, atom, score):
        """Add the score (n,) of atom `atom` to the state."""
        before, reads, _ = masks(self.shape)
        location = location + score[:, None] * (self.linear_score[atom] * before[atom])
        return location, hidden + score[:, None] * (self.hidden_score[atom] * reads[atom])


@functools.cache
def _graph(shape: Shape) -> nnx.GraphDef:
    return nnx.split(nnx.eval_shape(lambda: Network(shape, nnx.Rngs(0))))[0]


def with_parameters(shape: Shape, parameters) -> Network:
    """The network of this shape with the given nnx.Param state; for use in compiled functions, where the shape is
    static: unlike a network's own graph it compares equal from one network to the next."""
    return nnx.merge(_graph(shape), parameters)


def masks(shape: Shape):
    """before (atoms, atoms), reads (atoms, hidden), feeds (hidden, atoms) as float32 0 and 1.

    A hidden unit of degree d reads the scores i < d and feeds the heads j >= d.
    """
    atoms = len(shape.binary)
    degree = np.floor(np.linspace(0, max(atoms - 1, 0), shape.hidden)).astype(int)
    number = np.arange(atoms)
    before = number[:, None] < number[None, :]
    return (
        jnp.array(before, jnp.float32),
        jnp.array(number[:, None] < degree[None, :], jnp.float32),
        jnp.array(degree[:, None] <= number[None, :], jnp.float32),
    )


def _head(location, out, offset, log_scale, log_weight, binary) -> Head:
    """Put a head together; a two-level atom keeps one unit normal, for its other parameters are not identified."""
    log_scale = jnp.clip(log_scale + jnp.tanh(out[..., 1:2]), -5.0, 3.0)
    log_weight = jax.nn.log_softmax(log_weight + out[..., 2:], axis=-1)
    return Head(location + out[..., 0], jnp.where(binary, 0.0, offset), jnp.where(binary, 0.0, log_scale), log_weight)


def log_likelihood(head: Head, low, high, dense):
    """log p of values: the mass in (low, high], or the density at low where dense; shape (...,)."""
    centre, scale = head.location[..., None] + head.offset, jnp.exp(head.log_scale)
    a, b = (low[..., None] - centre) / scale, (high[..., None] - centre) / scale
    density = -0.5 * a**2 - head.log_scale - 0.5 * np.log(2 * np.pi)
    mass = jnp.where(dense[..., None], 0.0, log_mass(a, jnp.where(dense[..., None], a + 1.0, b)))
    return jax.nn.logsumexp(head.log_weight + jnp.where(dense[..., None], density, mass), axis=-1)


def log_mass(a, b):
    """log(Phi(b) - Phi(a)), a < b, exact in both tails (the upper one is mirrored into the lower)."""
    flip = a + b > 0
    a, b = jnp.where(flip, -b, a), jnp.where(flip, -a, b)
    upper, lower = log_ndtr(jnp.stack([b, a]))  # one call: it is most of the compilation
    gap = jnp.maximum(upper - lower, 1e-6)
    return upper + jnp.log(-jnp.expm1(-gap))


def draw(head: Head, component_u, normal):
    """Latents (n,) from the mixtures: component_u uniform (n,) chooses the component, normal (n,) the value."""
    upto = jnp.cumsum(jnp.exp(head.log_weight), axis=-1)[..., :-1]
    which = (component_u[..., None] > upto).sum(-1)[..., None]
    take = [
        jnp.take_along_axis(jnp.broadcast_to(v, head.log_weight.shape), which, -1)[..., 0]
        for v in (head.offset, head.log_scale)
    ]
    return head.location + take[0] + jnp.exp(take[1]) * normal
