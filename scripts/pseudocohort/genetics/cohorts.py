"""Which people a cohort of an analysis has, and their traits.

real: the founders.  holdout.  synthetic: all pseudo people.  matched: of every item as many pseudo people, drawn at
random, as the holdout has.  permuted: pseudo people whose items and covariates are, together, those of other people.
"""

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.dictionary import Dictionary
from pseudocohort.genetics.traits import Traits, make_traits


def rows_of(cohort: str, people: pd.DataFrame) -> np.ndarray | None:
    """Increasing rows of the people table (and .psam) of `real` or `holdout`; None, all rows, for pseudo people."""
    if cohort not in ("real", "holdout"):
        return None
    return np.flatnonzero((people["part"] == "train") == (cohort == "real"))


def pseudo_sample(
    cohort: str, pseudo: pd.DataFrame, names: tuple[str, ...], real: pd.DataFrame, seed: int
) -> tuple[np.ndarray | None, pd.DataFrame]:
    """Rows of the .psam, None for all, and table of items of `matched` or `permuted` pseudo people.

    pseudo: table of all pseudo people.  names: of the traits.  real: the same of the holdout's people.
    matched: the first of a random order who have a value, so that the items share their people; the values of the
    others are missing.  permuted: all rows of the table in a random order.
    """
    order = counter.order(counter.key(seed, "association", cohort), len(pseudo))
    if cohort == "permuted":
        return None, pseudo.iloc[order].reset_index(drop=True)
    table, used = pseudo.copy(), np.zeros(len(pseudo), dtype=bool)
    for name in pseudo.columns.intersection(names):
        ranked = order[pseudo[name].notna().to_numpy()[order]]
        count = int(real[name].notna().sum()) if name in real.columns else 0
        used[ranked[:count]] = True
        lost = np.ones(len(pseudo), dtype=bool)
        lost[ranked[:count]] = False
        table[name] = table[name].mask(lost)
    rows = np.flatnonzero(used)
    return rows, table.iloc[rows].reset_index(drop=True)


def traits_of(
    phenotypes: pd.DataFrame,
    people: pd.DataFrame,
    rows: np.ndarray | None,
    dictionary: Dictionary,
    components: pd.DataFrame | None = None,
    rank_normalise: bool = True,
) -> Traits:
    """Traits of real people (rows of the people table) or of all pseudo people, whose table has sex and stratum.

    components: person, PC1, PC2 ... of these people and perhaps others, to be covariates.  rank_normalise: see
    `make_traits`. ValueError where somebody is not in `components`.
    """
    if rows is None:
        sex, stratum = phenotypes["sex"].map({"male": 1, "female": 2}).fillna(0).to_numpy(), phenotypes["stratum"]
        age, person = phenotypes.get("age"), phenotypes.get("person")
    else:
        phenotypes, people = phenotypes.iloc[rows].reset_index(drop=True), people.iloc[rows]
        sex, stratum, person = people["sex"].to_numpy(), people["stratum"], people.get("person")
        age = phenotypes[dictionary.age.name] if dictionary.age else None
    age = None if age is None else age.to_numpy(dtype=float)
    scores = None if components is None else _in_order(components, person)
    return make_traits(phenotypes, sex, age, stratum.to_numpy(), dictionary, scores, rank_normalise)


def _in_order(components: pd.DataFrame, person: pd.Series) -> np.ndarray:
    """Components (n, k) of the people `person`; columns that none of them has are left out."""
    place = pd.Index(components["person"]).get_indexer(person)
    if (place < 0).any():
        raise ValueError(f"{(place < 0).sum()} people have no row in the table of components")
    scores = components.drop(columns="person").to_numpy(dtype=float)[place]
    return scores[:, np.isfinite(scores).any(axis=0)]
