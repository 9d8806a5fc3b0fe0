"""People placed on axes of structure that others made: relatives, who must not take part in making them.

Scores of those who made the axes hold what is theirs alone, too, so that plain projections x'v of others fall short,
the more the fewer people there are beside the sites. For strangers this is made good by adding each to the others:
[X; x] is decomposed within the axes found and turned back onto the old scores (online augmentation, Zhang, Dey and Lee
2020). A relative, however, shares in what is its kin's alone: the plain projection of a child of two people who
made the axes is right as it is. So the step from plain projection to augmentation is taken by 1 - a, where a is the
relatedness with all kin who made the axes together, at most 1. These are no kin of each other, so that a is the part
of the genome shared with any.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.genotypes import Genotypes

RELATEDNESS_SITES = 10_000  # from which relatedness is taken
RELATED = 0.1  # cousins have 0.125
MOST_PAIRS = 10_000  # of one family


class Axes(NamedTuple):
    """vectors (n, k) orthonormal, eigenvalues (k,) falling, edge; of one choice of sites."""

    vectors: np.ndarray
    values: np.ndarray
    edge: float


class _Others(NamedTuple):
    """People who did not make the axes, with x their standardised dosages over sqrt(m): plain (r, k) projections,
    squares (r,) |x|^2, kin: pairs of one of them and a family member who made the axes, related (pairs,) their x'x."""

    plain: np.ndarray
    squares: np.ndarray
    kin: "_Kin"
    related: np.ndarray


class _Kin(NamedTuple):
    """other, maker: (pairs,) positions among those who did not make the axes and among those who did.
    large: bool (r,), whose family is so large that its pairs are not listed."""

    other: np.ndarray
    maker: np.ndarray
    large: np.ndarray


def blocks_of(sites: dict, people: np.ndarray, size: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Dosages (b, n) float32 of the chosen sites with their places among them, in their order."""
    done = 0
    for prefix, rows in sites.items():
        with Genotypes(prefix, people) as genotypes:
            for start in range(0, len(rows), size):
                some = rows[start : start + size]
                yield slice(done, done + len(some)), _read(genotypes, some)
                done += len(some)


def _read(genotypes: Genotypes, rows: np.ndarray) -> np.ndarray:
    """Dosages (b, n) float32 of increasing rows: together where they lie close, else each run of neighbours."""
    first, last = rows[0], rows[-1] + 1
    if last - first <= 2 * len(rows):
        return genotypes.dosages(first, last)[rows - first].astype(np.float32)
    out = np.empty((len(rows), genotypes.n_people), dtype=np.float32)
    starts = np.flatnonzero(np.diff(rows, prepend=-2) > 1)
    for a, b in zip(starts, [*starts[1:], len(rows)], strict=True):
        out[a:b] = genotypes.dosages(rows[a], rows[b - 1] + 1)
    return out


def project(sites: dict, rows: np.ndarray, made: np.ndarray, family, axes: Axes, size: int):
    """Loadings (m, k) of the sites, and what `place` is to know of the people who did not make the axes, in one pass.

    sites: {prefix: rows of the .pvar}.  rows: (n,) rows of the .psam.  made: bool (n,), who made the axes.  family:
    labels (n,) or None.  size: sites in memory at once. Frequencies are those of the people who made the axes.
    """
    m, k, r = sum(map(len, sites.values())), axes.vectors.shape[1], (~made).sum()
    kin = _kin(made, family)
    loadings, others = np.empty((m, k)), _Others(np.zeros((r, k)), np.zeros(r), kin, np.zeros(len(kin.other)))
    scaled = axes.vectors / np.sqrt(axes.values)
    step, mine = -(-m // RELATEDNESS_SITES), np.flatnonzero(made) if r else slice(None)
    for now, g in blocks_of(sites, rows, size):
        own = g[:, mine]
        mean = own.mean(axis=1, dtype=float)[:, None]
        scale = np.sqrt(mean * (1 - mean / 2) * m)
        loadings[now] = (own @ scaled.astype(np.float32) - mean * scaled.sum(axis=0)) / scale
        if r:
            x = ((g[:, ~made] - mean) / scale).astype(np.float32)
            others.plain[:] += x.T @ loadings[now].astype(np.float32)
            others.squares[:] += (x * x).sum(axis=0)
        if len(kin.other):
            some = slice(-now.start % step, None, step)
            makers = ((own[some] - mean[some]) / scale[some]).astype(np.float32)
            others.related[:] += np.einsum("bp,bp->p", x[some][:, kin.other], makers[:, kin.maker])
    return loadings, others._replace(related=others.related * (m / len(range(0, m, step))))


def _kin(made: np.ndarray, family) -> _Kin:
    """Pairs of people of one family of whom one made the axes and the other did not."""
    if family is None:
        return _Kin(np.empty(0, dtype=int), np.empty(0, dtype=int), np.zeros((~made).sum(), dtype=bool))
    codes = pd.factorize(np.asarray(family))[0]
    others, makers = (pd.DataFrame({"family": codes[who], "row": np.arange(who.sum())}) for who in (~made, made))
    size = others["family"].map(others["family"].value_counts() * makers["family"].value_counts()).fillna(0)
    large = (size > MOST_PAIRS).to_numpy()
    pairs = others[~large].merge(makers, on="family")
    return _Kin(pairs["row_x"].to_numpy(), pairs["row_y"].to_numpy(), large)


def place(others: _Others, axes: Axes) -> np.ndarray:
    """Scores (r, k): plain projections, moved towards the augmented ones as far as they share nothing with kin.

    Relatedness is that of the genomes off the axes. In a family too large to look at, projections stay plain.
    """
    other, maker, large = others.kin
    off = np.maximum(others.squares - (others.plain**2).sum(axis=1), 1e-12)
    scores = axes.vectors * np.sqrt(axes.values)
    related = (others.related - (others.plain[other] * scores[maker]).sum(axis=1)) / off[other]
    shared = np.bincount(other, np.where(related > RELATED, related, 0), len(off))
    alone = np.where(large, 0, 1 - np.minimum(shared, 1))[:, None]
    return others.plain + alone * (_augmented(others.plain, others.squares, axes) - others.plain)


def _augmented(others: np.ndarray, squares: np.ndarray, axes: Axes, chunk: int = 10_000) -> np.ndarray:
    """Scores (r, k) of people who did not make the axes.

    others: (r, k) their plain projections p; squares: (r,) |x|^2/m.  With d = sqrt(eigenvalues) and g^2 = |x|^2/m -
    |p|^2, the singular value decomposition A S B' of [[diag d, 0], [p, g]] gives new scores A S of the axes' people
    (in their old coordinates, first k rows) and of this one (last row); the rotation and the scale that bring the
    former nearest to diag d (Procrustes) bring the latter onto the old axes.
    """
    k, d = len(axes.values), np.sqrt(axes.values)
    out = np.empty(others.shape)
    for start in range(0, len(others), chunk):
        p = others[start : start + chunk]
        table = np.zeros((len(p), k + 1, k + 1))
        table[:, range(k), range(k)] = d
        table[:, k, :k] = p
        table[:, k, k] = np.sqrt(np.maximum(squares[start : start + chunk] - (p**2).sum(axis=1), 0))
        left, size, _ = np.linalg.svd(table)
        scores = left[:, :, :k] * size[:, None, :k]
        old, new = scores[:, :k], scores[:, k]
        u, s, vt = np.linalg.svd(np.swapaxes(old, 1, 2) * d)
        scale = s.sum(axis=1) / (old**2).sum(axis=(1, 2))
        out[start : start + chunk] = scale[:, None] * np.einsum("ri,rij->rj", new, u @ vt)
    return out
