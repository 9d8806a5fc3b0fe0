"""Pseudo people matched to the holdout, and permuted ones: who is drawn, and that the null is one."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from ld_cohort import write_chromosome
from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.genetics.association import associate
from pseudocohort.genetics.cohorts import pseudo_sample, traits_of
from pseudocohort.genetics.tails import lambda_gc

NAMES = ("bmi", "ill")
DICTIONARY = Dictionary((
    Item("age", "continuous", role="age"), Item("bmi", "continuous"), Item("ill", "binary", categories=("0", "1")),
))  # fmt: skip


def pseudo_table(n, rng):
    table = pd.DataFrame({"person": [f"P{i}" for i in range(n)], "sex": rng.choice(["male", "female"], n),
                          "age": rng.uniform(20, 80, n), "stratum": rng.choice(["a", "b"], n),
                          "bmi": rng.normal(25, 3, n), "ill": rng.choice(["0", "1"], n)})  # fmt: skip
    table.loc[rng.random(n) < 0.2, "bmi"] = np.nan
    return table


def test_matched_people_have_each_item_as_often_as_the_holdout():
    rng = np.random.default_rng(1)
    table = pseudo_table(500, rng)
    held = pd.DataFrame({"bmi": [1.0] * 90 + [np.nan] * 30, "ill": ["0"] * 120})
    rows, found = pseudo_sample("matched", table, NAMES, held, 7)
    assert (np.diff(rows) > 0).all()
    assert found["bmi"].notna().sum() == 90
    assert found["ill"].notna().sum() == 120
    assert len(rows) == 120
    assert found["person"].tolist() == table["person"].iloc[rows].tolist()
    there = found["bmi"].notna()
    assert (found["bmi"][there] == table["bmi"].iloc[rows].reset_index(drop=True)[there]).all()
    again, _ = pseudo_sample("matched", table, NAMES, held, 7)
    other, _ = pseudo_sample("matched", table, NAMES, held, 8)
    assert again.tolist() == rows.tolist() != other.tolist()
    every, all_found = pseudo_sample("matched", table, NAMES, pd.DataFrame({"bmi": np.ones(1000)}), 7)
    assert len(every) == table["bmi"].notna().sum()
    assert all_found["ill"].isna().all()


def test_permuted_rows_are_whole_rows_of_other_people():
    table = pseudo_table(300, np.random.default_rng(2))
    rows, found = pseudo_sample("permuted", table, NAMES, table, 7)
    assert rows is None
    assert (found["person"] != table["person"]).mean() > 0.95
    back = found.set_index("person").loc[table["person"]].reset_index()
    pd.testing.assert_frame_equal(back, table)


@pytest.fixture(scope="module")
def structured(tmp_path_factory):
    """800 people of two strata whose alleles and whose item differ; 400 sites."""
    rng, n = np.random.default_rng(3), 800
    west = rng.random(n) < 0.5
    frequency = np.clip(0.4 + 0.12 * rng.normal(size=(400, 1)) * (2 * np.repeat(west, 2) - 1), 0.1, 0.9)
    alleles = (rng.random((400, 2 * n)) < frequency).astype(np.int8)
    prefix, _ = write_chromosome(tmp_path_factory.mktemp("s"), "21", alleles, 1000 * np.arange(400) + 1)
    table = pseudo_table(n, rng).assign(stratum="all", bmi=25 + west + rng.normal(size=n))
    return prefix, table, west


def inflation_of(prefix, table):
    traits = traits_of(table, table, None, DICTIONARY)
    block = [b for b in associate([prefix], None, traits, 10)]
    column = traits.names.index("bmi")
    return np.concatenate([(b.beta[:, column] / b.se[:, column]) ** 2 for b in block])


def test_population_structure_inflates_the_real_thing_but_not_the_permuted_null(structured):
    """Permuting within strata keeps structure, and is the fault that the measure must see."""
    prefix, table, west = structured
    assert lambda_gc(inflation_of(prefix, table)) > 3
    _, permuted = pseudo_sample("permuted", table, NAMES, table, 5)
    null = inflation_of(prefix, permuted)
    assert lambda_gc(null) == pytest.approx(1, abs=0.25)  # a median of 400 has an error of .11
    assert null.max() < chi2.isf(5e-8, 1)
    rng, within = np.random.default_rng(6), np.arange(len(table))
    for stratum in (True, False):
        within[west == stratum] = rng.permutation(within[west == stratum])
    assert lambda_gc(inflation_of(prefix, table.iloc[within].reset_index(drop=True))) > 3
