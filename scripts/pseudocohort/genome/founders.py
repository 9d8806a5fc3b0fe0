"""Between the people tables and the pedigree: founders in, pseudo people out."""

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.kinship import LINEAGE
from pseudocohort.errors import InputError
from pseudocohort.genome.pedigree import Founders, Pedigree, make_ids, make_pedigree

WHICH = ("all", "unrelated")


def founders_of(
    people: pd.DataFrame, which: str = "all", share: float | None = None, seed: int | None = None
) -> Founders:
    """The founders: part train of the people table, of which `unrelated` takes those whose column says so.

    share: of these, as many whole families, drawn by the seed; the others train and are not transmitted.
    """
    if which not in WHICH:
        raise InputError(
            f"founders {which!r} is not known",
            where="config key founders",
            expected=" or ".join(WHICH),
            remedy="set the key founders to one of these",
        )
    chosen = people["part"] == "train"
    if which == "unrelated":
        chosen &= people["unrelated"]
    if share is not None:
        chosen &= drawn_families(people["family"].where(chosen), share, seed)
    rows = np.flatnonzero(chosen)
    founders = people.iloc[rows]
    strata = tuple(sorted(founders["stratum"].unique()))
    codes = founders["stratum"].map({name: code for code, name in enumerate(strata)})
    father, mother, *grandparents = (founders[name].to_numpy(dtype=np.int64) for name in LINEAGE)
    return Founders(
        rows,
        founders["sex"].to_numpy(dtype=np.int8),
        codes.to_numpy(dtype=np.int16),
        strata,
        father,
        mother,
        np.column_stack(grandparents),
    )


def drawn_families(family: pd.Series, share: float, seed: int) -> np.ndarray:
    """Who is in the drawn families: bool (people,), families joining in a random order until the share is reached.

    family: names, NaN for people who are not to be drawn. A family's place in the order depends on its name and the
    seed alone, so that one person more or less changes few others.
    """
    sizes = family.value_counts()
    order = np.lexsort(np.array([counter.key(seed, "founder share", name) for name in sizes.index]).T)
    reached = np.cumsum(sizes.to_numpy()[order])
    wanted = int(np.searchsorted(reached, share * sizes.sum() - 1e-9)) + 1
    return family.isin(sizes.index[order[:wanted]]).to_numpy()


def founded_of(people: pd.DataFrame, founders: Founders) -> tuple[np.ndarray, np.ndarray]:
    """Family, int64 from 0, and stratum, int64, of every founder haplotype, (2 founders,) each."""
    _, family = np.unique(people["family"].to_numpy(dtype=str)[founders.rows], return_inverse=True)
    return np.repeat(family, 2), np.repeat(founders.stratum.astype(np.int64), 2)


def pedigree_of(people: pd.DataFrame, recipe: dict, seed: int) -> Pedigree:
    """The one pedigree of a people table: the same wherever it is drawn.

    recipe: the keys founders, people (None for as many as there are founders), generations, mating, population,
    avoid_kin and migration of the configuration, and founder_share of its `protection`.
    """
    rest = dict(recipe)
    founders = founders_of(people, rest.pop("founders"), rest.pop("founder_share", None), seed)
    return make_pedigree(founders, rest.pop("people") or len(founders.rows), seed=seed, **rest)


def pseudo_people(pedigree: Pedigree) -> pd.DataFrame:
    """The last generation with new ids: columns person, sex (codes), stratum (names)."""
    strata = np.asarray(pedigree.strata, dtype=object)
    return pd.DataFrame(
        {"person": make_ids(pedigree.people), "sex": pedigree.sex[-1], "stratum": strata[pedigree.stratum[-1]]}
    )
