"""Couples of kin: who shares an ancestor, and how parents are dealt again so that no couple does.

A lineage holds, as codes, each person and the person's parents (degree 1), and grandparents too (degree 2). Two
people are kin where anybody stands in both their lineages: sibs, half sibs, parent and child at degree 1; cousins,
uncle and niece, grandparent and grandchild too at degree 2. Codes of unknown people are -1.
"""

from collections.abc import Callable

import numpy as np

from pseudocohort import counter

DEGREES = {"none": 0, "sibs": 1, "cousins": 2}
ROUNDS = 128  # of exchanges between random pairs of children
ATTEMPTS = 512  # of a child who draws its parents again
MATCHED = 1024  # couples that are matched exactly at once, at most


def founder_lineage(rows, father, mother, grandparents, degree: int) -> np.ndarray:
    """Lineage of the founders, int64 (3 or 7, founders): themselves, father, mother, and their fathers and mothers.

    rows, father, mother: (founders,) codes; a founder's own code is the row.
    grandparents: (founders, 4) codes, or None to take those who are the parents of founders.
    """
    lineage = [rows, father, mother]
    if degree > 1 and grandparents is not None:
        lineage += list(np.asarray(grandparents).T)
    elif degree > 1:
        order = np.argsort(rows)
        for parent in (father, mother):
            place = order[np.minimum(np.searchsorted(rows, parent, sorter=order), len(rows) - 1)]
            known = rows[place] == parent
            lineage += [np.where(known, theirs[place], -1) for theirs in (father, mother)]
    return np.array(lineage, dtype=np.int64)


def child_lineage(parents: np.ndarray, father: np.ndarray, mother: np.ndarray, code: int) -> np.ndarray:
    """Lineage of the children: (3 or 7, children); their own codes count from `code`.

    parents: lineage of the generation before; father, mother: (children,) its columns.
    """
    own = np.arange(code, code + len(father), dtype=parents.dtype)
    lineage = [own, parents[0][father], parents[0][mother]]
    if len(parents) > 3:
        lineage += [parents[k][row] for row in (father, mother) for k in (1, 2)]
    return np.array(lineage)


def are_kin(lineage: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Are the people of the columns `one` and `other` kin: bool, of their broadcast shape."""
    kin = np.zeros(np.broadcast_shapes(np.shape(one), np.shape(other)), dtype=bool)
    theirs = [codes[other] for codes in lineage]
    for codes in lineage:
        mine = codes[one]
        mine = np.where(mine < 0, -2, mine)  # unknown is nobody's equal
        for code in theirs:
            kin |= mine == code
    return kin


def exchange(
    lineage: np.ndarray,
    father: np.ndarray,
    mother: np.ndarray,
    groups: tuple[np.ndarray | None, np.ndarray],
    place: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Exchange parents between children until no couple is kin.

    father, mother: int32 (children,).  groups: int (children,) for fathers, or None where these stay, and for
    mothers; only children of one group exchange that parent, so that everybody keeps the number of children within
    each group. Children of the mothers' group -1 are left as they are.  place: seed, generation.
    In every round each child whose parents are kin draws another of its group, and the two exchange mothers (in
    odd rounds fathers) if neither couple is kin afterwards. What that leaves is matched exactly, group by group.
    Returns fathers, mothers, and how many couples were kin before and are still.
    """
    parents = [father.copy(), mother.copy()]
    kin = np.flatnonzero(are_kin(lineage, father, mother) & (groups[1] >= 0))
    before, orders = len(kin), {}
    sides = [side for side in (1, 0) if groups[side] is not None]
    for attempt in range(ROUNDS):
        if len(kin) == 0:
            break
        side = sides[attempt % len(sides)]
        if side not in orders:
            orders[side] = np.argsort(groups[side], kind="stable")
        word, _ = counter.bits(counter.key(place[0], "exchange", place[1]), kin, np.uint32(attempt))
        partner = _partners(kin, groups[side], orders[side], word)
        _swap(lineage, parents, side, kin, partner)
        kin = kin[are_kin(lineage, parents[0][kin], parents[1][kin])]
    for side in sides:
        for children in _members(groups[side], kin):
            _match(lineage, parents, side, children)
        kin = kin[are_kin(lineage, parents[0][kin], parents[1][kin])]
    return *parents, before, len(kin)


def redraw(
    lineage: np.ndarray, father: np.ndarray, mother: np.ndarray, draw: Callable
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Draw both parents of a child again until they are not kin; returns what `exchange` returns.

    draw(role, children, attempt): parents of these children, int32, independent for every attempt.
    """
    father, mother = father.copy(), mother.copy()
    kin = np.flatnonzero(are_kin(lineage, father, mother))
    before = len(kin)
    for attempt in range(1, ATTEMPTS + 1):
        if len(kin) == 0:
            break
        father[kin], mother[kin] = draw(1, kin, attempt), draw(2, kin, attempt)
        kin = kin[are_kin(lineage, father[kin], mother[kin])]
    return father, mother, before, len(kin)


def _members(group: np.ndarray, kin: np.ndarray) -> list[np.ndarray]:
    """The children of each group that has one of the children `kin`."""
    order = np.argsort(group, kind="stable") if len(kin) else kin
    codes = np.unique(group[kin])
    bounds = zip(*(np.searchsorted(group[order], codes, side=side) for side in ("left", "right")), strict=True)
    return [order[first:last] for first, last in bounds]


def _partners(kin: np.ndarray, group: np.ndarray, order: np.ndarray, word: np.ndarray) -> np.ndarray:
    """For each of the children `kin` one of its group, by a random word; order: the children sorted by group."""
    ordered = group[order]
    first, last = (np.searchsorted(ordered, group[kin], side=side) for side in ("left", "right"))
    return order[first + ((word.astype(np.uint64) * (last - first).astype(np.uint64)) >> np.uint64(32)).astype(int)]


def _swap(lineage, parents: list[np.ndarray], side: int, one: np.ndarray, other: np.ndarray) -> None:
    """Exchange the parents of `side` between one[i] and other[i] where both couples are then no kin, in place.

    A child that stands in several pairs takes part in the first of them.
    """
    kept, moved = parents[1 - side], parents[side]
    fits = ~are_kin(lineage, kept[one], moved[other]) & ~are_kin(lineage, kept[other], moved[one])
    one, other = one[fits], other[fits]
    pair = np.tile(np.arange(len(one)), 2)
    _, child = np.unique(np.concatenate([one, other]), return_inverse=True)
    first = np.full(len(pair), len(pair))
    np.minimum.at(first, child, pair)
    wins = (first[child] == pair).reshape(2, -1).all(axis=0)
    one, other = one[wins], other[wins]
    moved[one], moved[other] = moved[other], moved[one]


def _match(lineage: np.ndarray, parents: list[np.ndarray], side: int, children: np.ndarray) -> None:
    """Deal the parents of `side` anew among the children of one group, as few couples of kin as there can be.

    In a group larger than MATCHED the children whose parents are kin and the first others are dealt anew.
    """
    from scipy.sparse import csr_array  # its import takes longer than most pedigrees
    from scipy.sparse.csgraph import maximum_bipartite_matching

    kept, moved = parents[1 - side], parents[side]
    kin = are_kin(lineage, kept[children], moved[children])
    children = children[np.argsort(~kin, kind="stable")][:MATCHED]
    allowed = ~are_kin(lineage, kept[children][:, None], moved[children][None])
    match = maximum_bipartite_matching(csr_array(allowed), perm_type="column")
    left = np.setdiff1d(np.arange(len(children)), match)
    match[match < 0] = left
    moved[children] = moved[children][match]
