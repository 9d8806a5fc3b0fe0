"""Between the people tables and the pedigree: founders in, pseudo people out."""

import numpy as np
import pandas as pd

from pseudocohort.cohort.kinship import LINEAGE
from pseudocohort.errors import InputError
from pseudocohort.genome.pedigree import Founders, Pedigree, make_ids, make_pedigree

WHICH = ("all", "unrelated")


def founders_of(people: pd.DataFrame, which: str = "all") -> Founders:
    """The founders: part train of the people table, of which `unrelated` takes those whose column says so."""
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


def pedigree_of(people: pd.DataFrame, recipe: dict, seed: int) -> Pedigree:
    """The one pedigree of a people table: the same wherever it is drawn.

    recipe: the keys founders, people (None for as many as there are founders), generations, mating, population,
    avoid_kin and migration of the configuration.
    """
    rest = dict(recipe)
    founders = founders_of(people, rest.pop("founders"))
    return make_pedigree(founders, rest.pop("people") or len(founders.rows), seed=seed, **rest)


def pseudo_people(pedigree: Pedigree) -> pd.DataFrame:
    """The last generation with new ids: columns person, sex (codes), stratum (names)."""
    strata = np.asarray(pedigree.strata, dtype=object)
    return pd.DataFrame(
        {"person": make_ids(pedigree.people), "sex": pedigree.sex[-1], "stratum": strata[pedigree.stratum[-1]]}
    )
