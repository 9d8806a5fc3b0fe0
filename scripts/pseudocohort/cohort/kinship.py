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
    Kin are an ancestor and a descendant, and people with a common ancestor, known by name at least; and, where
    nobody of a family label has a known parent, all people with this label.
    In every round those people are taken who have the fewest kin left (of equals, the first id) among all their
    kin, and their kin fall out: the greedy independent set of least degree, whatever the order of rows.
    """
    _, rank = np.unique(person.to_numpy(dtype=str), return_inverse=True)
    marks = _marks(sheet, person)
    taken, left = np.zeros(len(person), dtype=bool), np.arange(len(person))
    while len(left):
        among = marks[left]
        kin = np.concatenate([np.diff(pairs.indptr) for _, pairs in _related(among)])
        turn = np.empty(len(left), dtype=np.int64)
        turn[np.lexsort((rank[left], kin))] = np.arange(len(left))
        first = np.concatenate([np.minimum.reduceat(turn[p.indices], p.indptr[:-1]) for _, p in _related(among)])
        chosen = first == turn
        taken[left[chosen]] = True
        shared = among[chosen].sum(axis=0) > 0
        left = left[among @ shared.astype(np.int32) == 0]
    return taken


def _marks(sheet: pd.DataFrame, person: pd.Series) -> csr_array:
    """int32 (people, marks): 1 where a person has a mark; two people are kin where they have one in common.

    Marks are the ancestors, oneself included, and the family labels that stand for kin.
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
    has_parent = (sheet["father"] != "") | (sheet["mother"] != "")
    label = sheet["family"].mask(has_parent.groupby(sheet["family"]).transform("any"), "")
    label.index = sheet["person"].to_numpy(dtype=object)
    label = label[person.to_numpy(dtype=object)].to_numpy(dtype=object)
    labelled = np.flatnonzero(label != "")
    rows.append(labelled)
    marks.append(len(number) + pd.factorize(label[labelled])[0])
    rows, marks = np.concatenate(rows), np.concatenate(marks)
    _, columns = np.unique(marks, return_inverse=True)
    shape = (len(own), columns.max() + 1)
    table = csr_array((np.ones(len(rows), dtype=np.int32), (rows, columns)), shape=shape)
    table.data[:] = 1
    return table


def _related(marks: csr_array) -> Iterator[tuple[slice, csr_array]]:
    """Which people have a mark in common, themselves included, for some rows at a time: (rows, people) sparse."""
    bound = np.concatenate([[0], np.cumsum(marks @ marks.sum(axis=0))])
    other, first = marks.T.tocsr(), 0
    while first < marks.shape[0]:
        last = max(first + 1, int(np.searchsorted(bound, bound[first] + _PAIRS, side="right")) - 1)
        yield slice(first, last), marks[first:last] @ other
        first = last
