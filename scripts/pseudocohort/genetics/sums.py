"""Sums over people that the association of a block of sites needs, on the host (BLAS) or on a GPU (JAX).

Of h = dosage - shift (n people, b sites), with shift 2 where REF is the rarer allele and 0 elsewhere: a shift changes
no regression with an intercept, and an h of mostly zeros is what keeps float32 sums exact enough.
"""

from typing import NamedTuple

import numpy as np


class Tables(NamedTuple):
    """What people are multiplied by. n people, c columns, l logistic traits, p patterns, k basis columns.

    columns: (c, n) float32.  weights: (l, n) float32, for h^2.
    rows: p arrays of people; parts: p float32 tables (k + 1, people), the last row ones.  depth: k.
    """

    columns: np.ndarray
    weights: np.ndarray
    rows: tuple[np.ndarray, ...]
    parts: tuple[np.ndarray, ...]
    depth: int


class Sums(NamedTuple):
    """product: (c, b) columns @ h.  weighted: (l, b) weights @ h^2.

    parts: (p, k + 2, b): over the pattern's people, its table @ h, and last the sum of h^2; float32, as all.
    """

    product: np.ndarray
    weighted: np.ndarray
    parts: np.ndarray


class HostSums:
    """The sums by BLAS, with buffers that are used again for every block.

    width: the most sites of a block.  Call with h (n, b) int8.
    """

    def __init__(self, tables: Tables, width: int):
        self.tables, n = tables, tables.columns.shape[1]
        self._h = np.empty(n * width, dtype=np.float32)
        self._squares = np.empty(n * width if len(tables.weights) else 0, dtype=np.float32)
        self._few = np.empty(max(map(len, tables.rows), default=0) * width, dtype=np.float32)

    def __call__(self, shifted: np.ndarray) -> Sums:
        n, b = shifted.shape
        h = self._h[: n * b].reshape(n, b)
        np.copyto(h, shifted)
        weighted = np.zeros((0, b), dtype=np.float32)
        if len(self.tables.weights):
            weighted = self.tables.weights @ np.multiply(h, h, out=self._squares[: n * b].reshape(n, b))
        return Sums(self.tables.columns @ h, weighted, self._parts(h))

    def _parts(self, h: np.ndarray) -> np.ndarray:
        """Sums over the people of every pattern, gathered in chunks that stay in the cache."""
        tables, b = self.tables, h.shape[1]
        out = np.zeros((len(tables.rows), tables.depth + 2, b), dtype=np.float32)
        for rows, table, sums in zip(tables.rows, tables.parts, out, strict=True):
            if len(rows):
                few = self._few[: len(rows) * b].reshape(-1, b)
                np.take(h, rows, axis=0, out=few, mode="clip")
                np.matmul(table, few, out=sums[:-1])
                np.multiply(few, few, out=few)
                np.matmul(table[-1], few, out=sums[-1])
        return out


class DeviceSums:
    """The same sums by JAX on its default device; blocks are padded to `width` sites, so that it compiles once.

    Patterns of about equal size (to a power of two) are summed one after another inside one compiled loop.
    """

    def __init__(self, tables: Tables, width: int):
        import jax
        import jax.numpy as jnp

        self.width, self.patterns = width, len(tables.rows)
        self.depth = tables.depth + 2
        columns, weights = jnp.asarray(tables.columns), jnp.asarray(tables.weights)
        sizes = np.array([1 << max(len(r) - 1, 0).bit_length() if len(r) else 0 for r in tables.rows], dtype=int)
        self.order = [np.flatnonzero(sizes == size) for size in np.unique(sizes[sizes > 0])]
        groups = [_padded(tables, members, sizes[members[0]]) for members in self.order]
        groups = [tuple(map(jnp.asarray, group)) for group in groups]

        def product(a, x):
            return jnp.matmul(a, x, precision="highest")

        @jax.jit
        def sums(shifted, columns, weights, groups):
            h = shifted.astype(jnp.float32)

            def part(pattern):
                few = h[pattern[0]]
                return jnp.concatenate([product(pattern[1], few), product(pattern[1][-1:], few * few)])

            return product(columns, h), product(weights, h * h), [jax.lax.map(part, group) for group in groups]

        self._sums = lambda shifted: sums(shifted, columns, weights, groups)

    def __call__(self, shifted: np.ndarray) -> Sums:
        b = shifted.shape[1]
        if b < self.width:
            shifted = np.pad(shifted, ((0, 0), (0, self.width - b)))
        product, weighted, groups = self._sums(shifted)
        parts = np.zeros((self.patterns, self.depth, b), dtype=np.float32)
        for members, group in zip(self.order, groups, strict=True):
            parts[members] = np.asarray(group)[..., :b]
        return Sums(np.asarray(product)[:, :b], np.asarray(weighted)[:, :b], parts)


def _padded(tables: Tables, members: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (q, size) int32 and tables (q, k + 1, size) of some patterns; the tables are 0 where there is nobody."""
    rows = np.zeros((len(members), size), dtype=np.int32)
    parts = np.zeros((len(members), tables.depth + 1, size), dtype=np.float32)
    for i, member in enumerate(members):
        rows[i, : len(tables.rows[member])] = tables.rows[member]
        parts[i, :, : len(tables.rows[member])] = tables.parts[member]
    return rows, parts
