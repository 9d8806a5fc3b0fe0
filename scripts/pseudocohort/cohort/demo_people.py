"""The people of the built-in demo cohort: families of three generations among single people of two strata."""

from pathlib import Path

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.errors import InputError
from pseudocohort.files import atomic

STRATA = ("coast", "inland")
X_SHARE = 0.5  # the demo's X is half as long as an autosome and holds half as many sites
DEFAULTS = {"people": 2000, "megabases": 20.0, "sites": 10_000}

_COAST_SHARE = 0.6
_FAMILY_SHARE = 0.4
_MINIMUM_PEOPLE = 50


def setting(settings: dict, key: str):
    """The demo setting `key` (people, megabases or sites), or its default."""
    return settings.get(key, DEFAULTS[key])


def make_demo_people(settings: dict, seed: int) -> pd.DataFrame:
    """The demo's sample sheet.

    settings: `people` (default 2000).  About 40 % of the people live in families, three quarters of
    these with grandparents; every named parent is in the cohort, a family has one stratum, 60 % are of the coast.
    Returns columns person (DEMO0001 ... in an order that tells nothing of families), sex (male, female),
    family, father, mother (empty for single people and founders), stratum (coast, inland).
    Raises InputError under 50 people.
    """
    people = int(setting(settings, "people"))
    if people < _MINIMUM_PEOPLE:
        raise InputError(
            f"a demo cohort of {people} people is too small",
            where="demo: people",
            expected=f"{_MINIMUM_PEOPLE} or more",
            remedy="raise demo: people",
        )
    rng = counter.generator(seed, "demo people")
    rows = _families(people, rng)
    coast = round(_COAST_SHARE * people) - sum(row["stratum"] == "coast" for row in rows)
    rows += [_row(-1, "coast" if i < coast else "inland", rng.random() < 0.5) for i in range(people - len(rows))]
    order = rng.permutation(people)
    names = np.empty(people, dtype=object)
    width = max(4, len(str(people)))
    names[order] = [f"DEMO{i + 1:0{width}d}" for i in range(people)]
    numbers = rng.permutation(max(row["family"] for row in rows) + 1) + 1
    table = pd.DataFrame(
        {
            "person": names,
            "sex": ["male" if row["male"] else "female" for row in rows],
            "family": [f"FAM{numbers[row['family']]:04d}" if row["family"] >= 0 else "" for row in rows],
            "father": [names[row["father"]] if row["father"] >= 0 else "" for row in rows],
            "mother": [names[row["mother"]] if row["mother"] >= 0 else "" for row in rows],
            "stratum": [row["stratum"] for row in rows],
        }
    )
    return table.iloc[order].reset_index(drop=True)


def _row(family: int, stratum: str, male: bool, father: int = -1, mother: int = -1) -> dict:
    return {"family": family, "stratum": stratum, "male": bool(male), "father": father, "mother": mother}


def _families(people: int, rng: np.random.Generator) -> list[dict]:
    """Rows of whole families, parents as row numbers, until the families' share of the cohort is full."""
    rows: list[dict] = []
    family = 0
    while True:
        stratum = "coast" if rng.random() < _COAST_SHARE else "inland"
        make = _three_generations if family % 4 < 3 else _nuclear_family
        members = make(len(rows), family, stratum, rng)
        if family > 0 and len(rows) + len(members) > _FAMILY_SHARE * people:
            return rows
        rows += members
        family += 1


def _nuclear_family(first: int, family: int, stratum: str, rng: np.random.Generator) -> list[dict]:
    couple = [_row(family, stratum, True), _row(family, stratum, False)]
    return couple + [_row(family, stratum, rng.random() < 0.5, first, first + 1) for _ in range(rng.integers(1, 4))]


def _three_generations(first: int, family: int, stratum: str, rng: np.random.Generator) -> list[dict]:
    """Grandparents, a parent (sometimes with a brother or sister), the spouse (sometimes with parents), children."""
    male = rng.random() < 0.5
    rows = [_row(family, stratum, True), _row(family, stratum, False), _row(family, stratum, male, first, first + 1)]
    parent = first + 2
    if rng.random() < 0.3:
        rows.append(_row(family, stratum, rng.random() < 0.5, first, first + 1))
    if rng.random() < 0.25:
        in_laws = first + len(rows)
        rows += [_row(family, stratum, True), _row(family, stratum, False)]
        rows.append(_row(family, stratum, not male, in_laws, in_laws + 1))
    else:
        rows.append(_row(family, stratum, not male))
    spouse = first + len(rows) - 1
    father, mother = (parent, spouse) if male else (spouse, parent)
    return rows + [_row(family, stratum, rng.random() < 0.5, father, mother) for _ in range(rng.integers(1, 4))]


def parent_rows(people: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of fathers and of mothers, int64 (people,), -1 where none is named."""
    row = pd.Series(np.arange(len(people)), index=people["person"])
    return tuple(people[c].map(row).fillna(-1).to_numpy(dtype=np.int64) for c in ("father", "mother"))


def generations(father: np.ndarray, mother: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Generations above and below every person within the cohort, two int64 arrays (people,).

    above: 0 for founders, else 1 + that of the deeper parent.  below: 0 for people without children.
    """
    above, below = np.zeros(len(father), dtype=np.int64), np.zeros(len(father), dtype=np.int64)
    children = np.flatnonzero(father >= 0)
    for _ in range(len(father)):
        previous = above.copy(), below.copy()
        above[children] = 1 + np.maximum(above[father[children]], above[mother[children]])
        for parent in (father, mother):
            np.maximum.at(below, parent[children], 1 + below[children])
        if (above == previous[0]).all() and (below == previous[1]).all():
            return above, below
    raise ValueError("a person descends from himself")


def make_ages(people: pd.DataFrame, seed: int) -> np.ndarray:
    """Ages in whole years, 20 to 90, int64 (people,): a parent is 20 years or more older than every child."""
    rng = counter.generator(seed, "demo ages")
    father, mother = parent_rows(people)
    above, below = generations(father, mother)
    n = len(people)
    age = np.clip(np.rint(20 + 70 * rng.beta(2.2, 2.0, n)), 20, 90).astype(np.int64)
    child = father >= 0
    leaf = child & (below == 0)
    # Brothers and sisters are at most 8 years apart, grandchildren young, an uncle or aunt of the parents' age.
    uncle = leaf & (np.where(child, below[father], 0) == 2)
    youngest = rng.integers(20, 38, n)[father[leaf]]
    age[leaf] = np.where(above[leaf] == 2, 20, youngest) + rng.integers(0, 9, leaf.sum())
    age[uncle] = rng.integers(42, 57, uncle.sum())
    gap = rng.integers(20, 28, n)
    for level in (1, 2):
        oldest = np.zeros(n, dtype=np.int64)
        for parent in (father, mother):
            np.maximum.at(oldest, parent[child], age[child])
        age = np.where(below == level, oldest + gap, age)
    return age


def write_demo_people(path: str | Path, people: pd.DataFrame) -> None:
    """Write the sample sheet as TSV, whole or not at all."""
    with atomic(path) as part:
        people.to_csv(part, sep="\t", index=False)


def read_demo_people(path: str | Path) -> pd.DataFrame:
    """Read what `write_demo_people` wrote: text columns, empty where nothing is named."""
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
