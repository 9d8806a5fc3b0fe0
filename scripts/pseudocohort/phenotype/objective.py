"""What the training minimises: minus the evidence lower bound and minus the log prior of the weights."""

import jax
import jax.numpy as jnp

from pseudocohort.phenotype.network import Network, log_likelihood

SHRINK = 0.02  # scale of the Cauchy prior on the weights between atoms
FEED, CODE = 0.015, 0.1  # standard deviations of the normal priors on hidden -> head and z -> head weights
DEEP = 0.02  # the same for the weights between hidden layers, which overfit first
CONDITION = 0.05  # scale of the Cauchy prior on the weights from the conditions


def bound(network: Network, rows, normal) -> tuple[jax.Array, jax.Array]:
    """log likelihood (n, atoms; 0 where not active) at one draw of z, and KL(q(z|s,c) || N(0,I)) (n, latent).

    rows: (Encoded of n people, c (n, conditions)); normal: standard normals (n, latent).
    """
    data, c = rows
    mean, log_variance = network.encode(data.score, c)
    z = mean + jnp.exp(log_variance / 2) * normal
    fit = log_likelihood(network.heads(data.score, c, z, data.guess), data.low, data.high, data.dense)
    kl = (mean**2 + jnp.exp(log_variance) - 1 - log_variance) / 2
    return jnp.where(data.active, fit, 0.0), kl


def penalty(network: Network) -> jax.Array:
    """Minus log prior: Cauchy on the weights between atoms and from the conditions, normal on those between and from
    hidden units and from z.

    The conditions' prior is wide: it takes the noise of a few hundred people's regression on scores that do
    nothing (held-out loss 341 to 333 at 180 people x 300 items x 25 conditions) and leaves 97 % of effects of 0.3 at
    1,300 people, 99 % at 4,000; the calibration of the samples brings back the rest.
    """
    between = jnp.log1p((network.linear_score[...] / SHRINK) ** 2).sum()
    between += jnp.log1p((network.linear_condition.kernel[...] / CONDITION) ** 2).sum()
    feed, code = (network.hidden_out[...] / FEED) ** 2, (network.linear_code.kernel[...] / CODE) ** 2
    deep = sum((((layer.kernel[...] / DEEP) ** 2).sum() for layer in network.hidden_deep), start=0.0)
    return between + (feed.sum() + code.sum() + deep) / 2
