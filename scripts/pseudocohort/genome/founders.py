"""Between the people tables and the pedigree: founders in, pseudo people out."""

import numpy as np
import pandas as pd

from pseudocohort.genome.pedigree import Pedigree, make_ids


def founders_of(people: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Sex codes int8 and stratum codes of the founders (part train of the people table), and the strata's names."""
    founders = people[people["part"] == "train"]
    strata = tuple(sorted(founders["stratum"].unique()))
    codes = founders["stratum"].map({name: code for code, name in enumerate(strata)})
    return founders["sex"].to_numpy(dtype=np.int8), codes.to_numpy(dtype=np.int16), strata


def pseudo_people(pedigree: Pedigree) -> pd.DataFrame:
    """The last generation with new ids: columns person, sex (codes), stratum (names)."""
    strata = np.asarray(pedigree.strata, dtype=object)
    return pd.DataFrame(
        {"person": make_ids(pedigree.people), "sex": pedigree.sex[-1], "stratum": strata[pedigree.stratum[-1]]}
    )
