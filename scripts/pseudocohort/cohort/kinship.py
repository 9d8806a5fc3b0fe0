"""Known kin: whose ancestors are whose in the sample sheet, and the people of whom no two are related."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

# Codes of a person's known ancestors: the row of the people table, or a number beyond it for those who are not in it.
LINEAGE = (
    "father_code",
    "mother_code",
    "father_father_code",
    "father_mother_code",
    "mother_father_code",
    "mother_mother_code",
)
_PAIRS = 10_000_000  # related pairs held at once, about


def number_people(sheet: pd.DataFrame) -> tuple[pd.Series, np.ndarray, np.ndarray]:
    """Number everybody who is named in a sample sheet, as a person or as a parent.

    Returns the numbers by id, and the numbers of everybody's father and mother, int64 (numbers + 1,): -1 unknown;
    the last entry is -1 too, so that the parents of unknown people are unknown.
    """
    known = pd.concat([sheet["person"], sheet["father"], sheet["mother"]])
    ids = pd.unique(known[known != ""].to_numpy(dtype=object))
    number = pd.Series(np.arange(len(ids)), index=ids)
    own, links = number[sheet["person"].to_numpy(dtype=object)].to_numpy(), []
    for parent in ("father", "mother"):
        links.append(np.full(len(ids) + 1, -1, dtype=np.int64))
        has = (sheet[parent] != "").to_numpy()
        links[-1][own[has]] = number[sheet[parent].to_numpy(dtype=object)[has]]
    return number, *links


def lineage_codes(sheet: pd.DataFrame, person: pd.Series) -> pd.DataFrame:
    """The columns LINEAGE, int64, -1 unknown, for the rows `person` of the people table."""
    number, father, mother = number_people(sheet)
    own = number[person.to_numpy(dtype=object)].to_numpy()
    code = np.append(len(own) + np.arange(len(number)), -1)
    code[own] = np.arange(len(own))
    parents = [father[own], mother[own]]
    ancestors = parents + [line[parent] for parent in parents for line in (father, mother)]
    return pd.DataFrame({name: code[ancestor] for name, ancestor in zip(LINEAGE, ancestors, strict=True)})


def unrelated(sheet: pd.DataFrame, person: pd.Series) -> np.ndarray:
    """A large set of the people `person` of whom no two are known kin: bool (people,).

    sheet: person, family, father, mother ("" unknown) of these people and of any others.
    Kin are an ancestor and a descendant, and people with a common ancestor, known by name at least. A person who has
    a family label but neither names a parent nor is named as one, whose place in the family is unknown, is also kin
    of everybody with this label; where all of a label are such people, they all are kin.
    In every round those people are taken who have the fewest kin left (of equals, the first id) among all their
    kin, and their kin fall out: the greedy independent set of least degree, whatever the order of rows.
    """
    _, rank = np.unique(person.to_numpy(dtype=str), return_inverse=True)
    marks, theirs = _marks(sheet, person)
    taken, left = np.zeros(len(person), dtype=bool), np.arange(len(person))
    while len(left):
        among = marks[left], theirs[left]
        kin = np.concatenate([np.diff(pairs.indptr) for _, pairs in _related(*among)])
        turn = np.empty(len(left), dtype=np.int64)
        turn[np.lexsort((rank[left], kin))] = np.arange(len(left))
        first = np.concatenate([np.minimum.reduceat(turn[p.indices], p.indptr[:-1]) for _, p in _related(*among)])
        chosen = first == turn
        taken[left[chosen]] = True
        shared = among[1][chosen].sum(axis=0) > 0
        left = left[among[0] @ shared.astype(np.int32) == 0]
    return taken


def _marks(sheet: pd.DataFrame, person: pd.Series) -> tuple[csr_array, csr_array]:
    """Marks and sought marks, int32 (people, marks) of 0 and 1: people are kin where one has a mark the other seeks.

    Marks are the ancestors, oneself included, which everybody seeks, and two a family label: one of the people whose
    place is unknown, which everybody with the label seeks, and one of the others, which those seek. So there are few
    marks however many people have a label; and who is kin of whom is mutual.
    """
    number, father, mother = number_people(sheet)
    own = number[person.to_numpy(dtype=object)].to_numpy()
    rows, marks = [], []
    row, ancestor = np.arange(len(own)), own
    while len(row):
        rows.append(row)
        marks.append(ancestor)
        parents = np.concatenate([father[ancestor], mother[ancestor]])
        row = np.tile(row, 2)[parents >= 0]
        row, ancestor = np.divmod(np.unique(row * len(number) + parents[parents >= 0]), len(number))
    labelled, label, unknown = _labels(sheet, person)
    mark = len(number) + 2 * label
    has = [*rows, labelled], [*marks, mark + ~unknown]
    seeks = [*rows, labelled, labelled[unknown]], [*marks, mark, mark[unknown] + 1]
    shape = (len(own), len(number) + 2 * len(sheet))
    return tuple(_table(*map(np.concatenate, pair), shape) for pair in (has, seeks))


def _labels(sheet: pd.DataFrame, person: pd.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Who of `person` has a family label, its number, and whether the place in the family is unknown."""
    parents = sheet[["father", "mother"]]
    alone = (parents == "").all(axis=1) & ~sheet["person"].isin(np.unique(parents.to_numpy(dtype=str)))
    place = pd.DataFrame({"family": sheet["family"].to_numpy(dtype=object), "alone": alone.to_numpy()})
    place = place.set_index(sheet["person"].to_numpy(dtype=object)).loc[person.to_numpy(dtype=object)]
    labelled = np.flatnonzero(place["family"] != "")
    return labelled, pd.factorize(place["family"].iloc[labelled])[0], place["alone"].to_numpy()[labelled]


def _table(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> csr_array:
    table = csr_array((np.ones(len(rows), dtype=np.int32), (rows, columns)), shape=shape)
    table.data[:] = 1
    return table


def _related(marks: csr_array, theirs: csr_array) -> Iterator[tuple[slice, csr_array]]:
    """Who has a mark that whom seeks, themselves included, for some rows at a time: (rows, people) sparse."""
    bound = np.concatenate([[0], np.cumsum(marks @ theirs.sum(axis=0))])
    other, first = theirs.T.tocsr(), 0
    while first < marks.shape[0]:
        last = max(first + 1, int(np.searchsorted(bound, bound[first] + _PAIRS, side="right")) - 1)
        yield slice(first, last), marks[first:last] @ other
        first = last
