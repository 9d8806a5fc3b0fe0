"""Phenotype table to traits: transformation, coding, missing values, covariates, what is left out."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import norm

from pseudocohort.cohort.dictionary import Dictionary, Item, read_dictionary
from pseudocohort.genetics.association import associate
from pseudocohort.genetics.cohorts import traits_of
from pseudocohort.genetics.traits import NORMAL_SCORES, inverse_normal, make_traits
from pseudocohort.genotypes import GenotypeWriter


class TinyDictionary(dict):
    """The two things that make_traits asks of a dictionary."""

    @property
    def traits(self):
        return tuple(self)


def dictionary(**types):
    categories = {"binary": ("no", "yes"), "ordinal": ("never", "often", "daily")}
    return TinyDictionary(
        {
            name: SimpleNamespace(type=kind, categories=categories.get(kind, ()), unit="mg/dL" if name == "tg" else "")
            for name, kind in types.items()
        }
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


def test_own_units_keep_values_and_say_what_they_are(table):
    frame, sex, age, stratum = table
    items = dictionary(tg="continuous", visits="count", smoke="ordinal", ill="binary")
    scores = make_traits(frame, sex, age, stratum, items)
    own = make_traits(frame, sex, age, stratum, items, rank_normalise=False)
    assert scores.units == (NORMAL_SCORES, NORMAL_SCORES, NORMAL_SCORES, "log odds")
    assert own.units == ("mg/dL", "counts", "categories", "log odds")
    np.testing.assert_array_equal(own.values[:, 0], frame["tg"])
    np.testing.assert_array_equal(own.values[:, 1], frame["visits"])
    np.testing.assert_array_equal(own.values[:, 2], frame["smoke"].map({"never": 0, "often": 1, "daily": 2}))
    np.testing.assert_array_equal(own.values[:, 3], scores.values[:, 3])
    assert own.kind == scores.kind
    plain = make_traits(frame.assign(x=frame["tg"]), sex, age, stratum, dictionary(x="continuous"), None, False)
    assert plain.units == ("units of the phenotype table",)


def test_people_without_a_stratum_are_one_of_their_own(table):
    frame, sex, age, stratum = table
    stratum = stratum.astype(object)
    stratum[:30] = None
    stratum[30:40] = np.nan
    traits = make_traits(frame, sex, age, stratum, dictionary(visits="count"))
    column = traits.covariates[:, traits.covariate_names.index("stratum unknown")]
    np.testing.assert_array_equal(column > 0, np.arange(200) < 40)
    assert np.isfinite(traits.values).all()


@pytest.fixture
def real(table):
    """People table (the last 50 are the holdout), items, dictionary, components in another order."""
    frame, sex, age, stratum = table
    person = np.array([f"p{i}" for i in range(200)])
    part = np.where(np.arange(200) < 150, "train", "A")
    people = pd.DataFrame({"person": person, "sex": sex, "stratum": stratum, "part": part})
    rows = [Item("years", "continuous", role="age"), Item("tg", "continuous"), Item("visits", "count")]
    scores = pd.DataFrame(np.random.default_rng(2).normal(3, 5, (200, 3)), columns=["PC1", "PC2", "PC3"])
    scores.loc[150:, "PC3"] = np.nan  # the holdout has fewer
    scores.insert(0, "person", person)
    return people, frame.assign(years=age), Dictionary(tuple(rows)), scores


def test_components_are_covariates_found_by_person(real):
    people, items, rules, scores = real
    shuffled = scores.sample(frac=1, random_state=1)
    train, rest = np.arange(150), np.arange(150, 200)
    traits = traits_of(items, people, train, rules, shuffled)
    assert traits.covariate_names[-3:] == ("PC1", "PC2", "PC3")
    for k in (1, 2, 3):
        column = scores[f"PC{k}"].to_numpy()[:150]
        np.testing.assert_allclose(traits.covariates[:, k - 4], (column - column.mean()) / column.std())
    holdout = traits_of(items, people, rest, rules, shuffled)
    assert holdout.covariate_names[-2:] == ("PC1", "PC2")
    assert np.isfinite(holdout.values).all()
    none = traits_of(items, people, train, rules, scores[["person"]])
    assert none.covariate_names == traits.covariate_names[:-3]
    pseudo = items.assign(sex="female", age=items["years"], stratum="all", person=people["person"])
    synthetic = traits_of(pseudo, people, None, rules, shuffled.assign(PC3=1.0), rank_normalise=False)
    assert synthetic.covariate_names == ("age", "age^2", "PC1", "PC2")  # a constant is no covariate
    np.testing.assert_array_equal(synthetic.values[:, 1], items["visits"])
    with pytest.raises(ValueError, match=r"^150 people have no row in the table of components$"):
        traits_of(items, people, train, rules, scores.iloc[150:])


@pytest.fixture
def genotypes(tmp_path):
    """Dosages (50, 200) and their .pgen."""
    haplotypes = (np.random.default_rng(3).random((50, 400)) < 0.4).astype(np.int8)
    person = np.array([f"p{i}" for i in range(200)])
    sites = pd.DataFrame({"chrom": "1", "pos": np.arange(1, 51), "id": ".", "ref": "A", "alt": "C"})
    with GenotypeWriter(tmp_path / "chr1", person, np.full(200, 2), 50) as writer:
        writer.append(haplotypes, sites)
    return tmp_path / "chr1", haplotypes.reshape(50, 200, 2).sum(axis=2)


def estimates(prefix, traits):
    blocks = list(associate([prefix], None, traits))
    return (np.concatenate([getattr(block, name) for block in blocks]) for name in ("beta", "se"))


def test_large_offsets_and_odd_scales_lose_no_precision(table, genotypes):
    frame, sex, age, stratum = table
    prefix, _ = genotypes
    values = np.random.default_rng(4).normal(size=200)
    frame = pd.DataFrame({"x": values, "far": values + 1e6, "tiny": 1e-9 * values + 1e-3, "huge": 1e9 * values})
    items = dictionary(x="continuous", far="continuous", tiny="continuous", huge="continuous")
    beta, se = estimates(prefix, make_traits(frame, sex, age, stratum, items, rank_normalise=False))
    for k, scale in enumerate((1, 1, 1e-9, 1e9)):
        np.testing.assert_allclose(beta[:, k] / scale, beta[:, 0], atol=1e-5 * se[0, 0])
        np.testing.assert_allclose(se[:, k] / scale, se[:, 0], rtol=1e-5)


def test_items_of_one_sex_and_components_that_repeat_strata(table, genotypes):
    """Against ordinary least squares without the columns that are constant or double among the women."""
    frame, sex, age, stratum = table
    prefix, dosages = genotypes
    rng = np.random.default_rng(5)
    women = sex == 2
    frame = pd.DataFrame({"menopause": np.where(women, rng.normal(50, 4, 200), np.nan)})
    frame["births"] = np.where(women, np.where(rng.random(200) < 0.4, "yes", "no"), None)
    items = dictionary(menopause="continuous", births="binary")
    repeated = np.column_stack([stratum == "north", stratum == "south", rng.normal(size=200)]).astype(float)
    repeated[:, 1] += 1e-9 * rng.normal(size=200)
    traits = make_traits(frame, sex, age, stratum, items, repeated, rank_normalise=False)
    assert {"sex", "PC1", "PC2", "PC3"} <= set(traits.covariate_names)
    beta, se = estimates(prefix, traits)
    others = np.column_stack([np.ones(200), age, age**2, stratum == "north", stratum == "south", repeated[:, 2]])[women]
    y = (frame["births"][women] == "yes").to_numpy(dtype=float)
    mu, q, compared = sm.Logit(y, others).fit(disp=0).predict(), np.linalg.qr(others)[0], 0
    w = mu * (1 - mu)
    for site, g in enumerate(dosages[:, women].astype(float)):
        fit = sm.OLS(frame["menopause"][women].to_numpy(), np.column_stack([g, others])).fit()
        assert beta[site, 0] == pytest.approx(fit.params[0], abs=1e-3 * se[site, 0])
        assert se[site, 0] == pytest.approx(fit.bse[0], rel=1e-4)
        left = g - q @ np.linalg.solve((q.T * w) @ q, (q.T * w) @ g)
        deviate = g @ (y - mu) / np.sqrt(left @ (w * left))
        if abs(deviate) < 1.9:  # beyond 2 it is adjusted
            compared += 1
            assert beta[site, 1] / se[site, 1] == pytest.approx(deviate, abs=2e-3)
    assert compared > 40
