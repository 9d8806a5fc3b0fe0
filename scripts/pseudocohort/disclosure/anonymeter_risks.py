"""Singling out, linkability and inference (Giomi et al. 2023), by the authors' library Anonymeter, with its control.

The risk is the attacks' success on people trained on, beyond their success on people who were not (control).
"""

import logging
import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.cohort.dictionary import NUMERIC, Dictionary

MOST_ATTACKS = 500
SECRETS = 4  # items whose value is guessed from all others
NEIGHBOURS = 10
QUERIES = 2000  # that single somebody out: of 400 the risk of a full leak is .09 +- .02, of 2,000 .12 +- .01
MOST_GUESSES = 200_000  # at such queries: few columns may have none, and no end; what is not found counts as no success


class Risk(NamedTuple):
    """value: 0 to 1; interval: 95 %; attacks: how many were asked for."""

    value: float
    interval: tuple[float, float]
    attacks: int


def plain_table(table: pd.DataFrame, dictionary: Dictionary) -> pd.DataFrame:
    """Columns as the library wants them: numbers without gaps (the middle stands for missing), texts for categories."""
    columns = {}
    for name in table.columns:
        item = dictionary[name] if name in dictionary.names else None
        if name == "age" or (item is not None and item.type in NUMERIC):
            values = table[name]
            if pd.api.types.is_datetime64_any_dtype(values):
                values = (values - pd.Timestamp(0)) / pd.Timedelta(days=1)
            values = pd.to_numeric(values, errors="coerce").astype(float)
            columns[name] = values.fillna(values.median() if values.notna().any() else 0.0)
        elif item is not None or name in ("sex", "stratum"):
            columns[name] = table[name].astype(object).where(table[name].notna(), "missing").astype(str)
    return pd.DataFrame(columns).reset_index(drop=True)


def risks(members: pd.DataFrame, nonmembers: pd.DataFrame, pseudo: pd.DataFrame, secrets: list[str], seed: int) -> dict:
    """Risk by name: `singling out`, `linkability`, `inference of ITEM`; tables from `plain_table`, columns alike.

    Attacks are as many as there are members or non-members at most, and no more than MOST_ATTACKS; QUERIES of those who
    single out.
    """
    from anonymeter.evaluators import InferenceEvaluator, LinkabilityEvaluator, SinglingOutEvaluator

    logging.getLogger("anonymeter").setLevel(logging.ERROR)
    rng, size = np.random.default_rng(seed), min(len(members), len(nonmembers))
    # A row is the easier singled out the fewer rows there are, so the two tables must have the same number.
    members, nonmembers = (t.iloc[rng.permutation(len(t))[:size]].reset_index(drop=True) for t in (members, nonmembers))
    attacks = min(MOST_ATTACKS, size)
    given = {"ori": members, "syn": pseudo, "control": nonmembers, "n_attacks": attacks}
    names = list(members.columns)
    np.random.seed(seed % 2**32)  # noqa: NPY002  the library draws from numpy's global generator
    queries = given | {"n_attacks": QUERIES, "max_attempts": MOST_GUESSES, "seed": seed}
    found = {"singling out": _risk(SinglingOutEvaluator(**queries), QUERIES, mode="multivariate")}
    linked = LinkabilityEvaluator(**given, aux_cols=(names[::2], names[1::2]), n_neighbors=NEIGHBOURS)
    found["linkability"] = _risk(linked, attacks, n_jobs=1)
    for secret in secrets:
        others = [name for name in names if name != secret]
        numeric = members[secret].dtype.kind == "f"
        guess = InferenceEvaluator(**given, aux_cols=others, secret=secret, regression=numeric)
        found[f"inference of {secret}"] = _risk(guess, attacks, n_jobs=1)
    return found


def _risk(evaluator, attacks: int, **how) -> Risk:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of attacks that do no better than guessing: that is the hoped-for result
        evaluator.evaluate(**how)
        risk = evaluator.risk()
    return Risk(float(risk.value), (float(risk.ci[0]), float(risk.ci[1])), attacks)


def secrets_of(dictionary: Dictionary, columns: list[str]) -> list[str]:
    """Items whose disclosure would weigh most: of the highest level first, categories before numbers."""
    order = {"strong": 0, "standard": 1, "open": 2}
    items = [i for i in dictionary.items if i.name in columns]
    ranked = sorted(items, key=lambda i: (order[i.level], i.type in NUMERIC))
    return [i.name for i in ranked[:SECRETS]]
