"""Products of standardised genotypes with vectors, each in one pass over the .pgen files."""

import functools
from collections.abc import Callable

import numpy as np

from pseudocohort.weights.common_sites import Kept, block_rows, reread
from pseudocohort.weights.lanczos import Projector


class Products:
    """x'x v / size for x (m, n) of the kept sites; nothing is larger than people x columns or one block.

    kept: the common sites of every file.  people_rows: as in Sites, n of them.  device: `cpu`, or `gpu` to leave
    the products to JAX.  Products are float32, sums over blocks float64.
    """

    def __init__(self, kept: list[Kept], people_rows, n: int, block_sites: int, size: float, device: str = "cpu"):
        self.kept, self.people_rows, self.n, self.block_sites = kept, people_rows, n, block_sites
        self.size, self.device = size, device
        self.rows = block_rows(n, block_sites)
        self._buffer = np.empty((self.rows, n), dtype=np.float32)

    def blocks(self, what: str = ""):
        """The blocks of one pass, as reread."""
        return reread(self.kept, self.people_rows, self.n, self.block_sites, what)

    def _converted(self, raw: np.ndarray) -> np.ndarray:
        g = self._buffer[: len(raw)]
        np.copyto(g, raw)
        return g

    def __call__(self, v: np.ndarray) -> np.ndarray:
        """x'x v / size, but for a constant a column, of v (n, c) orthogonal to the intercept.

        As the sum of v is 0, dosages need no centring.
        """
        out, narrow = np.zeros(v.shape), v.astype(np.float32)
        step = _gpu_step(narrow, self.rows) if self.device == "gpu" else None
        for part, raw in self.blocks():
            weight = (part.to_allele**2 / self.size).astype(np.float32)
            if step:
                out += step(raw, weight)
            else:
                g = self._converted(raw)
                out += g.T @ (weight[:, None] * (g @ narrow))
        return out

    def trace(self, projector: Projector) -> float:
        """Trace of x'x / size among the people of a projector with one mask, off its covariates."""
        total = 0.0
        for part, raw in self.blocks():
            total += part.to_allele**2 @ projector.squares(self._converted(raw))
        return float(total) / self.size

    def values(self, effects: Callable[[Kept], np.ndarray]) -> np.ndarray:
        """x'b (n, c), but for a constant a column, of effects b (b, c) given for each block's part of Kept."""
        out = 0.0
        for part, raw in self.blocks("values"):
            b = (part.to_allele[:, None] * effects(part)).astype(np.float32)
            out = out + (self._converted(raw).T @ b).astype(float)
        return out


@functools.cache
def _gpu_product() -> Callable:
    """(raw (b, n) int8, weight (b,), v (n, c)) -> g' diag(weight) g v by JAX, compiled once a shape."""
    import jax
    import jax.numpy as jnp

    @jax.jit
    def product(raw, weight, v):
        g = raw.astype(jnp.float32)
        inner = weight[:, None] * jnp.matmul(g, v, precision="highest")
        return jnp.matmul(g.T, inner, precision="highest")

    return product


def _gpu_step(v: np.ndarray, rows: int) -> Callable:
    """(raw (b, n) int8, weight (b,)) -> g' diag(weight) g v, (n, c) float32, for b <= rows.

    Sites and columns are padded, so that JAX compiles few shapes.
    """
    import jax.numpy as jnp

    product, c = _gpu_product(), v.shape[1]
    v = jnp.asarray(np.pad(v, ((0, 0), (0, -c % 16))))

    def step(raw, weight):
        lacking = rows - len(raw)
        return np.asarray(product(np.pad(raw, ((0, lacking), (0, 0))), np.pad(weight, (0, lacking)), v))[:, :c]

    return step
