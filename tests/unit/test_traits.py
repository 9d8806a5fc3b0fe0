"""Phenotype table to traits: transformation, coding, missing values, covariates, what is left out."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from pseudocohort.cohort.dictionary import read_dictionary
from pseudocohort.genetics.traits import inverse_normal, make_traits


class TinyDictionary(dict):
    """The two things that make_traits asks of a dictionary."""

    @property
    def traits(self):
        return tuple(self)


def dictionary(**types):
    categories = {"binary": ("no", "yes"), "ordinal": ("never", "often", "daily")}
    return TinyDictionary(
        {name: SimpleNamespace(type=kind, categories=categories.get(kind, ())) for name, kind in types.items()}
    )


@pytest.fixture
def table():
    rng = np.random.default_rng(1)
    n = 200
    frame = pd.DataFrame(
        {
            "tg": np.maximum(rng.lognormal(4, 1, n), 30),
            "visits": rng.poisson(1.5, n).astype(float),
            "smoke": rng.choice(["never", "often", "daily"], n),
            "ill": np.where(rng.random(n) < 0.2, "yes", "no"),
            "rare": np.where(np.arange(n) < 9, "yes", "no"),
            "few": np.where(np.arange(n) < 29, 1.0 * np.arange(n), np.nan),
            "flat": 3.0,
        }
    )
    frame.loc[:19, "tg"] = np.nan
    frame.loc[10:29, "smoke"] = None
    frame.loc[40:49, "ill"] = None
    return frame, rng.choice([1, 2], n), rng.uniform(20, 80, n), rng.choice(["north", "south", "isle"], n)


def test_a_dictionary_file_gives_the_same_traits(table, tmp_path):
    frame, sex, age, stratum = table
    (tmp_path / "d.tsv").write_text(
        "item\ttype\trole\tcategories\ttrait\nage\tcontinuous\tage\t\t\ntg\tcontinuous\t\t\t\n"
        "smoke\tordinal\t\tnever=never|often=often|daily=daily\t\nill\tbinary\t\tno=no|yes=yes\t\n"
        "visits\tcount\t\t\tno\n"
    )
    mine = make_traits(frame, sex, age, stratum, read_dictionary(tmp_path / "d.tsv"))
    theirs = make_traits(frame, sex, age, stratum, dictionary(tg="continuous", smoke="ordinal", ill="binary"))
    assert mine.names == theirs.names == ("tg", "smoke", "ill")
    np.testing.assert_array_equal(mine.values, theirs.values)


def test_inverse_normal_is_bloms_score_with_average_ranks_of_ties():
    values = np.array([5.0, 1.0, np.nan, 5.0, 7.0, 1.0, 1.0])
    ranks = np.array([4.5, 2, np.nan, 4.5, 6, 2, 2])
    np.testing.assert_allclose(inverse_normal(values), norm.ppf((ranks - 0.375) / 6.25))


def test_types_missing_values_and_traits_left_out(table):
    frame, sex, age, stratum = table
    traits = make_traits(
        frame,
        sex,
        age,
        stratum,
        dictionary(
            tg="continuous",
            visits="count",
            smoke="ordinal",
            ill="binary",
            rare="binary",
            few="continuous",
            flat="continuous",
            gone="count",
        ),
    )
    assert traits.names == ("tg", "visits", "smoke", "ill")
    assert traits.kind == ("linear", "linear", "linear", "logistic")
    assert traits.left_out == {
        "rare": "fewer than 10 cases or controls",
        "few": "fewer than 30 people have a value",
        "flat": "all values are equal",
        "gone": "not in the table",
    }
    np.testing.assert_array_equal(np.isnan(traits.values), frame[list(traits.names)].isna())
    at_limit = frame["tg"] == 30
    assert at_limit.sum() > 20
    assert len(np.unique(traits.values[at_limit, 0])) == 1
    seen = frame["smoke"].notna()
    order = frame["smoke"][seen].map({"never": 0, "often": 1, "daily": 2})
    assert (pd.Series(traits.values[seen, 2]).groupby(order.to_numpy()).mean().diff().dropna() > 0).all()
    np.testing.assert_array_equal(traits.values[~np.isnan(traits.values[:, 3]), 3] == 1, frame["ill"].dropna() == "yes")


def test_covariates_are_standardised_and_constant_ones_dropped(table):
    frame, sex, age, stratum = table
    items = dictionary(tg="continuous")
    traits = make_traits(frame, sex, age, stratum, items)
    largest = pd.Series(stratum).value_counts().index[0]
    assert set(traits.covariate_names) == {"age", "age^2", "sex"} | {
        f"stratum {s}" for s in ("north", "south", "isle") if s != largest
    }
    np.testing.assert_allclose(traits.covariates.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(traits.covariates.std(axis=0), 1)
    assert np.linalg.matrix_rank(traits.covariates) == 5
    alone = make_traits(frame, np.zeros(200, int), None, np.full(200, "all"), items)
    assert alone.covariates.shape == (200, 0)


def test_people_without_age_are_missing_in_every_trait(table):
    frame, sex, age, stratum = table
    age[100:105] = np.nan
    traits = make_traits(frame, sex, age, stratum, dictionary(visits="count"))
    assert np.isnan(traits.values[100:105]).all()
    assert np.isfinite(traits.covariates).all()
    assert np.isfinite(np.delete(traits.values, slice(100, 105), axis=0)).all()


def test_a_code_outside_the_categories_is_an_error_that_does_not_tell_it(table):
    frame, sex, age, stratum = table
    frame.loc[0, "ill"] = "secret"
    with pytest.raises(ValueError, match=r"^1 values of item ill are no category of it$"):
        make_traits(frame, sex, age, stratum, dictionary(ill="binary"))
