"""Sequential CART, the strongest simple model: one tree an atom, given the conditions and all earlier atoms.

After synthpop (Nowok, Raab, Dibben 2016): the atoms are drawn in order, each by dropping the pseudo people down a
regression tree and drawing one of the training people of the leaf. A tree splits by variance of the score, which for
an atom of two levels is the Gini index, so numbers, ordered levels and yes-no atoms need no trees of different kinds.
No value is handed out as it is: within the donor's interval, or among the PEOPLE nearest to it on the scale of shares
where it has none, the latent is drawn anew, and then goes through the smoothed quantiles as every model's does.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from pseudocohort import counter
from pseudocohort.phenotype.atoms import Encoded
from pseudocohort.phenotype.common import Common, fit_common
from pseudocohort.phenotype.quantiles import PEOPLE
from pseudocohort.phenotype.trees import LEAF, fit_tree, leaves, nodes

log = logging.getLogger("pseudocohort")
EDGE = 1e-9


class Tree(NamedTuple):
    """A tree as arrays over its nodes, and the training people in its leaves.

    feature, threshold, left, right: see `trees.nodes`, columns of [conditions, scores]; first, count: int32, where the
    node's people stand in low and high and how many. low, high: float64 (active people,), cumulative shares that the
    person's latent lies between, leaf by leaf.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    first: np.ndarray
    count: np.ndarray
    low: np.ndarray
    high: np.ndarray


class CartModel(NamedTuple):
    """trees: one an atom, in the atoms' order."""

    common: Common
    trees: tuple[Tree, ...]


def train_cart(
    phenotypes: pd.DataFrame, people: pd.DataFrame, scores: pd.DataFrame, dictionary, seed: int, *, threads: int = 1
) -> CartModel:
    """Grow all trees; tables as for `common.fit_common`. The trees do not depend on threads.

    Given the training people's scores no tree waits for another; scikit-learn grows them outside Python's lock.
    """
    common, data, c = fit_common(phenotypes, people, scores, dictionary)
    x = np.hstack([c, data.score])
    with ThreadPoolExecutor(threads) as pool:
        trees = pool.map(lambda atom: grow(x, c.shape[1] + atom, data, atom, seed), range(data.score.shape[1]))
        model = CartModel(common, tuple(trees))
    log.info("%d trees, %d people in a leaf at least", len(model.trees), LEAF)
    return model


def grow(x: np.ndarray, width: int, data: Encoded, atom: int, seed: int) -> Tree:
    """The tree of one atom from the people for whom it is active; it sees the first `width` columns of x."""
    rows = np.flatnonzero(data.active[:, atom])
    seen = np.ascontiguousarray(x[rows, :width])
    model = fit_tree(seen, data.score[rows, atom], counter.key(seed, "tree", atom)[0])
    leaf = model.apply(seen)
    order = np.argsort(leaf, kind="stable")
    count = np.bincount(leaf, minlength=model.tree_.node_count)
    low, high = (ndtr(side[rows, atom].astype(np.float64))[order] for side in (data.low, data.high))
    half = np.where(data.dense[rows, atom][order], PEOPLE / 2 / len(rows), 0.0)
    first = np.cumsum(count) - count
    return Tree(*nodes(model.tree_), first.astype(np.int32), count.astype(np.int32), low - half, high + half)


def draw_leaf(tree: Tree, x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Latents (n,) of people with columns x (n, columns): a donor of the leaf, then a place in the donor's interval."""
    leaf = leaves(tree, x)
    donor = tree.first[leaf] + (random.random(len(x)) * tree.count[leaf]).astype(int)
    share = tree.low[donor] + random.random(len(x)) * (tree.high[donor] - tree.low[donor])
    share = 1 - np.abs(1 - np.abs(share))  # beyond an end: back by as much
    return ndtri(np.clip(share, EDGE, 1 - EDGE))


class CartDrawing:
    """The trees' (see `sampling.Drawing`)."""

    def __init__(self, model: CartModel, c: np.ndarray, seed: int):
        self._trees, self._width = model.trees, c.shape[1]
        self._x = np.hstack([c, np.zeros((len(c), len(model.trees)), dtype=np.float32)])
        self._random = counter.generator(seed, "cart latents")

    def draw(self, atom: int) -> np.ndarray:
        return draw_leaf(self._trees[atom], self._x, self._random)

    def advance(self, atom: int, score: np.ndarray) -> None:
        self._x[:, self._width + atom] = score
