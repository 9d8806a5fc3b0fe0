"""Who has children with whom: the order of the children, the strata of their parents, the parents themselves.

Everything here can be cut: the first n children of a draw of more are those of a draw of n, as long as the
generation of the parents is the same. Every draw is a counter-based one, so none depends on another.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from pseudocohort import counter
from pseudocohort.errors import InputError


class Candidates(NamedTuple):
    """The people of a generation by cell, where the cell of stratum s and role r (0 father, 1 mother) is 2 s + r.

    rows: int32 (people,), sorted by cell.  start: int64 (cells + 1,), where each cell begins in `rows`.
    """

    rows: np.ndarray
    start: np.ndarray


def candidates_of(role: np.ndarray, stratum: np.ndarray, strata: int) -> Candidates:
    """role: int8 (people,), 1 father, 2 mother; stratum: int16 (people,) codes below `strata`."""
    cell = (2 * stratum.astype(np.int32) + role - 1).astype(np.int16 if strata < 1 << 14 else np.int32)
    start = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=2 * strata))])
    return Candidates(np.argsort(cell, kind="stable").astype(np.int32), start)


def apportion(shares: np.ndarray, total: int, at_least_one: bool) -> np.ndarray:
    """Integers in proportion to `shares` that sum to `total` (largest remainders), or above it where a cell
    that would be empty is kept at one."""
    exact = shares.ravel() * (total / shares.sum())
    cells = np.floor(exact + 1e-9).astype(np.int64)
    cells[np.argsort(cells - exact, kind="stable")[: total - cells.sum()]] += 1
    if at_least_one:
        cells = np.where(shares.ravel() > 0, np.maximum(cells, 1), 0)
    return cells.reshape(shares.shape)


def shuffled_children(cells: np.ndarray, stream: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Role int8 and stratum int16 of every child, exactly cells[stratum, role] of each, in an order that tells
    nothing."""
    order = _shuffles(stream, int(cells.sum()), 1)[0]
    return _role_and_stratum(np.repeat(np.arange(cells.size), cells.ravel())[order])


def scheduled_children(shares: np.ndarray, count: int, stream: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Role and stratum of the first `count` children of an endless row in which every beginning has the shares."""
    return _role_and_stratum(schedule(shares.ravel(), count, stream))


def schedule(shares: np.ndarray, count: int, stream: tuple[int, int]) -> np.ndarray:
    """The first `count` of an endless row of cells in which every beginning has them in their shares.

    The k-th element of a cell of share s comes at time (k + u) / s, u uniform: at time t a cell has floor(t s)
    elements or one more, as in systematic sampling, and the place in the row tells little of the cell.
    shares: (cells,) nonnegative, of any sum.  Returns int64 (count,) cells.
    """
    cells = np.flatnonzero(shares > 0)
    share = shares[cells] / shares.sum()
    enough = np.ceil(share * (count + len(cells))).astype(np.int64)  # whatever comes before time count + cells
    cell = np.repeat(np.arange(len(cells)), enough)
    k = np.arange(len(cell)) - np.repeat(np.cumsum(enough) - enough, enough)
    time = (k + _fraction(_words(stream, k, cell))) / share[cell]
    return cells[cell[np.argsort(time, kind="stable")[:count]]]


def source_shares(migration: float | Mapping, sizes: np.ndarray, strata: tuple[str, ...]) -> np.ndarray:
    """Where parents come from: float64 (strata, strata), row the child's stratum, column the parent's, sums 1.

    migration: the share of parents from other strata, in proportion to their sizes (without effect where there is
    one stratum only), or {child's stratum: {other stratum: share}}; the rest are of the child's own stratum.
    sizes: (strata,) founders of each.  A number makes small strata send more parents than they receive, so that
    their founders' share of the genes grows, unless all strata are of one size.
    InputError: strata that do not exist, shares below 0 or that sum to more than 1.
    """
    shares = np.zeros((len(strata), len(strata)))
    if isinstance(migration, Mapping):
        for child, others in migration.items():
            row = _code(child, strata)
            if not isinstance(others, Mapping):
                raise _bad_migration(f"of children of {child} is no table of strata and shares", strata)
            for parent, share in others.items():
                column = _code(parent, strata)
                if column == row:
                    raise _bad_migration(f"of children of {child} names {child} itself", strata)
                shares[row, column] = _share(share, f"from {parent} to {child}", strata)
            if shares[row].sum() > 1 + 1e-9:
                raise _bad_migration(f"to {child} sums to {shares[row].sum():g}", strata)
    elif _share(migration, "", strata) and len(strata) > 1:
        others = sizes * (1 - np.eye(len(strata)))
        shares = migration * others / others.sum(axis=1, keepdims=True)
    np.fill_diagonal(shares, np.maximum(1 - shares.sum(axis=1), 0))
    return shares


def sources(child_stratum: np.ndarray, shares: np.ndarray, mating: str, place: tuple[int, int, int]) -> np.ndarray:
    """Stratum of one parent of every child: int16 (children,).

    shares: of `source_shares`.  Balanced: among the first children of each stratum the sources are in their
    shares, up to about one; random: each is drawn.  place: seed, generation, role.
    """
    if (shares.diagonal() == 1).all():
        return child_stratum
    source = np.empty_like(child_stratum)
    seed, *where = place
    chance = _fraction(_words(counter.key(seed, "source", *where), np.arange(len(source)), 0))
    for s, children in _by_stratum(child_stratum, len(shares)):
        row = shares[s]
        if mating == "balanced":
            source[children] = schedule(row, len(children), counter.key(seed, "source", *where, s))
        else:
            possible = np.flatnonzero(row)
            bounds = np.cumsum(row[possible])[:-1]
            source[children] = possible[np.searchsorted(bounds, chance[children], side="right")]
    return source


def balanced_parents(source: np.ndarray, role: int, candidates: Candidates, place: tuple[int, int]) -> np.ndarray:
    """A parent of role 1 or 2 for every child from the stratum `source`, each as often as the others up to one.

    The children of a source, in their order, take the candidates in turns: in every turn each candidate once, in
    an order of its own.  place: seed, generation.  Returns int32 (children,).
    """
    parent = np.empty(len(source), dtype=np.int32)
    for s, children in _by_stratum(source, len(candidates.start) // 2):
        first, last = candidates.start[2 * s + role - 1 : 2 * s + role + 1]
        stream = counter.key(place[0], "parent", place[1], s, role)
        slots = _shuffles(stream, last - first, -(-len(children) // (last - first))).ravel()[: len(children)]
        parent[children] = candidates.rows[first + slots]
    return parent


def turn_groups(source: np.ndarray, sizes: np.ndarray, longest: np.ndarray, people: int) -> tuple[np.ndarray, bool]:
    """Which children take their mothers in the same turn: int64 (children,), and whether children enough are given.

    The groups are those in which the first `people` children are, -1 elsewhere, so that more children do not change
    them; children enough are given when all these groups are whole.
    sizes: (strata,) mothers in each; longest: (strata,), a turn is cut after so many children (of all strata).
    """
    turn, index = np.empty(len(source), dtype=np.int64), np.arange(len(source))
    for s, children in _by_stratum(source, len(sizes)):
        turn[children] = np.arange(len(children)) // sizes[s]
    cut = index // longest[source]
    group = ((cut * (turn.max() + 1) + turn) * len(sizes)) + source
    needed, member = np.unique(group[:people], return_index=True)
    group[~np.isin(group, needed)] = -1
    count = np.bincount(np.searchsorted(needed, group[group >= 0]), minlength=len(needed))
    whole = (count == sizes[source[member]]) | (len(source) >= (cut[member] + 1) * longest[source[member]])
    return group, bool(whole.all())


def random_parents(
    source: np.ndarray, role: int, candidates: Candidates, place: tuple[int, int], child: np.ndarray, attempt: int = 0
) -> np.ndarray:
    """A parent for each of the children numbered `child`, uniform in the stratum `source` and independent: int32.

    The bias is below candidates / 2^32.  attempt: number of the draw, for children who draw again.
    """
    word, _ = counter.bits(counter.key(place[0], "parent", place[1], role), child, np.uint32(attempt))
    cell = 2 * source.astype(np.int64) + role - 1
    first, size = candidates.start[:-1][cell], np.diff(candidates.start)[cell]
    return candidates.rows[first + ((word.astype(np.uint64) * size.astype(np.uint64)) >> np.uint64(32)).astype(int)]


def _by_stratum(stratum: np.ndarray, strata: int) -> Iterator[tuple[int, np.ndarray]]:
    """Each stratum that somebody is in, and the numbers of those who are, ascending."""
    order = np.argsort(stratum, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(stratum, minlength=strata))])
    for s in range(strata):
        if start[s] < start[s + 1]:
            yield s, order[start[s] : start[s + 1]]


def _shuffles(stream: tuple[int, int], n: int, turns: int) -> np.ndarray:
    """Random orders of range(n), one a turn: int64 (turns, n).

    The index fills the low bits of the random words that are sorted, so no two are equal and any sort will do.
    """
    width = np.uint64(max(int(n - 1).bit_length(), 1))
    index = np.arange(n, dtype=np.uint64)[None]
    words = _words(stream, index, np.arange(turns)[:, None]) >> width << width | index
    words.sort(axis=1)
    return (words & ((np.uint64(1) << width) - np.uint64(1))).astype(np.int64)


def _words(stream: tuple[int, int], first, second) -> np.ndarray:
    """uint64 random words of the draws (first, second)."""
    high, low = counter.bits(stream, np.asarray(first, dtype=np.uint32), np.asarray(second, dtype=np.uint32))
    return high.astype(np.uint64) << np.uint64(32) | low


def _fraction(words: np.ndarray) -> np.ndarray:
    """float64 in [0, 1) of uint64 words."""
    return (words >> np.uint64(11)) * 2.0**-53


def _role_and_stratum(cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (cell % 2 + 1).astype(np.int8), (cell // 2).astype(np.int16)


def _code(name, strata: tuple[str, ...]) -> int:
    if str(name) not in strata:
        raise _bad_migration(f"names the stratum {name}, which does not exist", strata)
    return strata.index(str(name))


def _share(value, place: str, strata: tuple[str, ...]) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value <= 1:
        raise _bad_migration(f"{place} is {value!r}".strip(), strata)
    return float(value)


def _bad_migration(what: str, strata: tuple[str, ...]) -> InputError:
    return InputError(
        f"migration {what}",
        where="config key migration",
        expected="a share from 0 to 1, or {child's stratum: {other stratum: share}} whose rows sum to 1 at most; "
        "the strata are " + ", ".join(strata),
        remedy="correct the key migration",
    )
