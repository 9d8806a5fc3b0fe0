"""Regression trees as arrays: taken from scikit-learn, walked down by many people at once, stored without pickle."""

from collections.abc import Sequence

import numpy as np

LEAF = 20  # fewest training people in a leaf


def fit_tree(x: np.ndarray, y: np.ndarray, seed: int):
    """A scikit-learn DecisionTreeRegressor of y (n,) on x (n, columns) with at least LEAF people in a leaf."""
    from sklearn.tree import DecisionTreeRegressor

    return DecisionTreeRegressor(min_samples_leaf=LEAF, random_state=seed).fit(x, y)


def nodes(tree, columns: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(feature int32, -1 in a leaf; threshold float64, left where x <= threshold; left, right int32 nodes) of a
    scikit-learn `tree_`. columns: what its features are columns of, where they are a choice."""
    feature = tree.feature if columns is None else columns[np.maximum(tree.feature, 0)]
    return (
        np.where(tree.children_left < 0, -1, feature).astype(np.int32),
        tree.threshold.astype(np.float64),
        tree.children_left.astype(np.int32),
        tree.children_right.astype(np.int32),
    )


def leaves(tree, x: np.ndarray) -> np.ndarray:
    """Leaf (n,) that each row of x (n, columns) float32 falls into; one step a level for everybody at once.

    tree: has the arrays of `nodes` as feature, threshold, left, right.
    """
    node = np.zeros(len(x), dtype=np.int32)
    rows = np.arange(len(x)) if tree.feature[0] >= 0 else np.empty(0, dtype=int)
    while len(rows):
        at = node[rows]
        below = x[rows, tree.feature[at]] <= tree.threshold[at]
        node[rows] = np.where(below, tree.left[at], tree.right[at])
        rows = rows[tree.feature[node[rows]] >= 0]
    return node


def tree_arrays(name: str, trees: Sequence) -> dict[str, np.ndarray]:
    """Trees (NamedTuples of one kind) end to end, for np.savez: name_FIELD, and name_sizes (trees, fields)."""
    if not trees:
        return {}
    joined = {f"{name}_{field}": np.concatenate([getattr(t, field) for t in trees]) for field in trees[0]._fields}
    return {f"{name}_sizes": np.array([[len(field) for field in tree] for tree in trees]), **joined}


def trees_from(name: str, kind: type, arrays: dict[str, np.ndarray]) -> list:
    """Inverse of `tree_arrays` for trees of `kind`; none where none are stored."""
    if f"{name}_sizes" not in arrays:
        return []
    cuts = np.cumsum(arrays[f"{name}_sizes"], axis=0)[:-1].T
    fields = [np.split(arrays[f"{name}_{field}"], own) for field, own in zip(kind._fields, cuts, strict=True)]
    return [kind(*tree) for tree in zip(*fields, strict=True)]
