"""What every model of the items shares: how items are coded, what they are conditioned on, ages, and moments."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.errors import InputError
from pseudocohort.phenotype.atoms import Encoded, Encoding, encoding_from_json, encoding_to_json
from pseudocohort.phenotype.conditions import (
    Ages,
    Conditions,
    condition_matrix,
    conditions_from_json,
    conditions_to_json,
    fit_ages,
    fit_conditions,
    sex_codes,
)
from pseudocohort.phenotype.encoding import encode, fit_encoding
from pseudocohort.phenotype.moments import Moments, moments


class Common(NamedTuple):
    """Learnt once from the training people, whatever the model. ages: None where the dictionary names no age."""

    encoding: Encoding
    conditions: Conditions
    ages: Ages | None
    moments: Moments


def fit_common(
    phenotypes: pd.DataFrame, people: pd.DataFrame, scores: pd.DataFrame, dictionary
) -> tuple[Common, Encoded, np.ndarray]:
    """(Common, the training people's atoms, their condition matrix float32 (n, conditions)).

    phenotypes: items, and the age column that the dictionary names; people: sex, stratum; scores: one column a
    trait (`person` is ignored); the same people in the same row order in all three, else InputError.
    """
    check_same_rows(phenotypes, people, scores)
    sex, stratum = sex_codes(people["sex"]), people["stratum"].to_numpy()
    age = None if dictionary.age is None else phenotypes[dictionary.age.name].to_numpy(dtype=np.float64)
    encoding = fit_encoding(phenotypes, sex, dictionary)
    conditions = fit_conditions(scores, age, sex, stratum)
    ages = None
    if age is not None:
        item = dictionary.age
        ages = fit_ages(age, sex, stratum, item.decimals, (item.minimum, item.maximum))
    data = encode(encoding, phenotypes, sex)
    c = condition_matrix(conditions, scores, age, sex, stratum)
    return Common(encoding, conditions, ages, moments(data.score, c)), data, c


def check_same_rows(phenotypes: pd.DataFrame, people: pd.DataFrame, scores: pd.DataFrame) -> None:
    """Raise InputError unless all three tables list the same people in the same order."""
    for name, table in (("people", people), ("scores", scores)):
        if len(table) != len(phenotypes):
            raise InputError(
                f"{len(phenotypes)} rows of phenotypes but {len(table)} of {name}",
                where=name,
                expected="the same people in each table",
                remedy="make the tables again",
            )
        both = "person" in table and "person" in phenotypes
        if both and (table["person"].to_numpy() != phenotypes["person"].to_numpy()).any():
            raise InputError(
                f"phenotypes and {name} list the people in different orders",
                where=name,
                expected="the same order of people in each table",
                remedy="make the tables again",
            )


def common_to_json(common: Common) -> dict:
    """All but the moments in plain lists, for json.dump."""
    return {
        "encoding": encoding_to_json(common.encoding),
        **conditions_to_json(common.conditions, common.ages),
    }


def common_arrays(common: Common) -> dict[str, np.ndarray]:
    """The moments, for np.savez."""
    return {"moment_slope": common.moments.slope, "moment_covariance": common.moments.covariance}


def common_from(plain: dict, arrays: dict[str, np.ndarray]) -> Common:
    """Inverse of `common_to_json` and `common_arrays`."""
    conditions, ages = conditions_from_json(plain)
    return Common(
        encoding_from_json(plain["encoding"]),
        conditions,
        ages,
        Moments(arrays["moment_slope"], arrays["moment_covariance"]),
    )
