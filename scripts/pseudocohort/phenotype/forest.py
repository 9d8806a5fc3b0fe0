"""Trees that tell the network what the earlier atoms say about each atom, sharply: derived items, nested missingness.

A network with shrunken weights blurs what is nearly determined: a class that follows from a group, panels that are
missing together. For every atom a regression tree of its score, given the conditions and the earlier scores, makes a
guess, and the head's location gets the guess times a weight (stacking; Wolpert 1992). The guess of a training person
comes from a tree that was grown without that person's family (FOLDS folds by family), so the network learns how far
a guess holds for others. A pseudo person is led by one fold's trees through all atoms.
"""

from typing import NamedTuple

import numpy as np

from pseudocohort import counter
from pseudocohort.phenotype.atoms import Encoded
from pseudocohort.phenotype.trees import LEAF, fit_tree, leaves, nodes, tree_arrays, trees_from

FOLDS = 5
COLUMNS = 30  # a tree sees so many conditions and scores at most: those that correlate most with the atom
PEOPLE = 20_000  # a tree is grown on so many people at most


class Guesser(NamedTuple):
    """A tree as arrays over its nodes: feature int32 (-1 in a leaf), threshold float64 (left where x <= threshold),
    left, right int32, value float32, the mean score."""

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray


Forest = tuple[tuple[Guesser, ...], ...]  # by fold, by atom
NOTHING = Guesser(*(np.full(1, value, t) for value, t in zip((-1, 0, -1, -1, 0), "idiif", strict=True)))


def grow_forest(data: Encoded, c: np.ndarray, family: np.ndarray, seed: int) -> tuple[Forest, np.ndarray]:
    """(trees, guesses float32 (n, atoms) by trees that have not seen the person's family; 0 where not active).

    data: (n, atoms); c: (n, conditions); family: (n,).
    """
    n, atoms = data.score.shape
    x = np.hstack([c, data.score]).astype(np.float32)
    _, code = np.unique(np.asarray(family).astype(str), return_inverse=True)
    fold = (counter.order(counter.key(seed, "forest"), code.max() + 1) % FOLDS)[code]
    mixed = counter.order(counter.key(seed, "forest people"), n)  # the table may stand in order of strata
    guess = np.zeros((n, atoms), dtype=np.float32)
    forest = []
    for number in range(FOLDS):
        own, trees = fold == number, []
        for atom in range(atoms):
            rows = np.sort(mixed[(data.active[:, atom] & ~own)[mixed]][:PEOPLE])
            tree = _grow(x, rows, c.shape[1] + atom, data.score[rows, atom])
            out = np.flatnonzero(data.active[:, atom] & own)
            guess[out, atom] = tree.value[leaves(tree, x[out])]
            trees.append(tree)
        forest.append(tuple(trees))
    return tuple(forest), guess


def _grow(x: np.ndarray, rows: np.ndarray, width: int, y: np.ndarray) -> Guesser:
    """The tree of scores y (rows,) on the most correlated of the first `width` columns of x."""
    if len(rows) < 2 * LEAF or not width:
        return NOTHING
    seen = x[rows, :width]
    seen = seen - seen.mean(0)
    strength = np.abs((y - y.mean()) @ seen) / np.maximum(np.sqrt((seen * seen).sum(0)), 1e-6)
    chosen = np.sort(np.argsort(-strength, kind="stable")[:COLUMNS])
    tree = fit_tree(x[np.ix_(rows, chosen)], y, 0).tree_
    return Guesser(*nodes(tree, chosen), tree.value[:, 0, 0].astype(np.float32))


class Guide:
    """The guesses for n pseudo people, atom by atom."""

    def __init__(self, forest: Forest, c: np.ndarray, atoms: int, seed: int):
        """forest: empty for no guesses (0); c: (n, conditions)."""
        self._forest, self._width = forest, c.shape[1]
        self._x = np.hstack([c, np.zeros((len(c), atoms if forest else 0), dtype=np.float32)])
        self._fold = counter.generator(seed, "forest of the pseudo people").integers(0, FOLDS, len(c))

    def guess(self, atom: int) -> np.ndarray:
        """float32 (n,)."""
        out = np.zeros(len(self._x), dtype=np.float32)
        for number, trees in enumerate(self._forest):
            rows = np.flatnonzero(self._fold == number)
            out[rows] = trees[atom].value[leaves(trees[atom], self._x[rows])]
        return out

    def note(self, atom: int, score: np.ndarray) -> None:
        """The scores (n,) that the atom got."""
        if self._forest:
            self._x[:, self._width + atom] = score


def forest_arrays(forest: Forest) -> dict[str, np.ndarray]:
    """All trees, fold after fold, for np.savez."""
    return tree_arrays("forest", [tree for fold in forest for tree in fold]) | {"forest_folds": np.array(len(forest))}


def forest_from(arrays: dict[str, np.ndarray]) -> Forest:
    """Inverse of `forest_arrays`; no forest where there is no tree."""
    trees = trees_from("forest", Guesser, arrays)
    if not trees:
        return ()
    atoms = len(trees) // int(arrays["forest_folds"])
    return tuple(tuple(trees[first : first + atoms]) for first in range(0, len(trees), atoms))
