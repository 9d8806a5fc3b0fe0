"""Which people a cohort of an analysis has, and their traits: real (founders), holdout, synthetic (pseudo)."""

import numpy as np
import pandas as pd

from pseudocohort.cohort.dictionary import Dictionary
from pseudocohort.genetics.traits import Traits, make_traits


def rows_of(cohort: str, people: pd.DataFrame) -> np.ndarray | None:
    """Increasing rows of the people table (and .psam) of `real` or `holdout`; None, all rows, for `synthetic`."""
    if cohort == "synthetic":
        return None
    return np.flatnonzero((people["part"] == "train") == (cohort == "real"))


def traits_of(
    phenotypes: pd.DataFrame, people: pd.DataFrame, rows: np.ndarray | None, dictionary: Dictionary
) -> Traits:
    """Traits of real people (rows of the people table) or of all pseudo people, whose table has sex and stratum."""
    if rows is None:
        sex, stratum = phenotypes["sex"].map({"male": 1, "female": 2}).fillna(0).to_numpy(), phenotypes["stratum"]
        age = phenotypes.get("age")
    else:
        phenotypes, people = phenotypes.iloc[rows].reset_index(drop=True), people.iloc[rows]
        sex, stratum = people["sex"].to_numpy(), people["stratum"]
        age = phenotypes[dictionary.age.name] if dictionary.age else None
    age = None if age is None else age.to_numpy(dtype=float)
    return make_traits(phenotypes, sex, age, stratum.to_numpy(), dictionary)


def select(traits: Traits, names: list[str]) -> Traits:
    """The same traits without those that are not in `names`."""
    kept = [k for k, name in enumerate(traits.names) if name in names]
    return traits._replace(
        names=tuple(traits.names[k] for k in kept),
        kind=tuple(traits.kind[k] for k in kept),
        values=traits.values[:, kept],
    )
