"""Odd and bad tables: each is trained on and sampled from, or refused with a sentence that says what to do."""

import numpy as np
import pandas as pd
import pytest

from latents import decode, normal_latents
from pseudocohort.cohort.dictionary import Dictionary, Item, broken_rules
from pseudocohort.cohort.phenotypes import import_phenotypes
from pseudocohort.cohort.tables import read_table
from pseudocohort.errors import InputError
from pseudocohort.phenotype.decoding import people_table
from pseudocohort.phenotype.encoding import encode, fit_encoding
from pseudocohort.phenotype.sampling import sample_people
from pseudocohort.phenotype.training import train_network

TINY = {"epochs": 2, "hidden": 8, "latent": 2, "batch": 64}
N = 300


def cohort(n=N, seed=1):
    """(items with age, people, scores): three plain items that the score moves, for the odd one to stand beside."""
    random = np.random.default_rng(seed)
    scores = pd.DataFrame({"x": random.normal(size=n)})
    table = pd.DataFrame(
        {
            "age": random.integers(30, 70, n).astype(float),
            "x": np.round(scores["x"] + random.normal(size=n), 2),
            "y": np.round(np.exp(random.normal(size=n)), 2),
            "ill": random.choice(["0", "1"], n, p=[0.8, 0.2]),
        }
    )
    people = pd.DataFrame(
        {
            "sex": np.resize([1, 2], n).astype(np.int8),
            "stratum": random.choice(["east", "west"], n),
            "family": np.arange(n).astype(str),
        }
    )
    return table, people, scores


PLAIN = (
    Item("age", "continuous", role="age"),
    Item("x", "continuous"),
    Item("y", "continuous"),
    Item("ill", "binary", categories=("0", "1")),
)


def made(values, *rows, n=N, change=None, settings=TINY):
    """Pseudo people, as many as real, of the plain items and those of `values`, described by `rows`."""
    table, people, scores = cohort(n)
    table = pd.concat(
        [table.drop(columns=list(table.columns.intersection(list(values)))), pd.DataFrame(values, index=table.index)],
        axis=1,
    )
    if change:
        table, people, scores = change(table, people, scores)
    dictionary = Dictionary((*PLAIN, *rows))
    model = train_network(table, people, scores, dictionary, settings, 3)
    pseudo = sample_people(model, scores, people["sex"], people["stratum"], 5)
    assert list(pseudo.columns[:3]) == ["sex", "age", "stratum"]
    assert set(dictionary.names) <= set(pseudo.columns)
    numeric = pseudo.select_dtypes("number").to_numpy()
    assert np.isfinite(numeric[~np.isnan(numeric)]).all()
    assert broken_rules(dictionary, pseudo).sum() == 0
    return table, pseudo


def draws(n=N, seed=2):
    return np.random.default_rng(seed)


THIRTY = tuple(f"c{i}" for i in range(30))


def odd_items():
    """(values, rows) of all odd items that can be trained on, in one table."""
    random = draws()
    share = 1 / np.arange(1, 31)
    kind = random.choice(THIRTY, N, p=share / share.sum())
    base = random.normal(10, 2, N).round(2)
    twin = random.choice(["0", "1", "2"], N)
    values = {
        "fixed": np.full(N, 7.5),
        "same": np.full(N, "b"),
        "holes": np.where(random.random(N) < 0.3, np.nan, 7.5),
        "wide": random.permutation(10_000_000)[:N].astype(float),
        "rare": np.where(np.arange(N) % 100 == 7, "1", "0"),
        "kind": kind,
        "grade": kind,
        "a": base,
        "b": (2 * base + 1).round(2),
        "c": (3 * base + 1).round(2),
        "twin": twin,
        "copy": twin,
        "figure": twin.astype(float),
        "far": np.exp(random.normal(size=N)).round(2) * np.where(np.arange(N) == 5, 10_000, 1),
        "births": np.where(np.resize([1, 2], N) == 2, random.poisson(1.5, N), np.nan),
        "lowest": np.where(random.random(N) < 0.4, np.nan, 0.3),
        "low": np.where(random.random(N) < 0.95, 0.3, 0.3 + random.exponential(size=N).round(2)),
    }
    rows = (
        Item("fixed", "continuous"),
        Item("same", "ordinal", categories=("a", "b")),
        Item("holes", "continuous"),
        Item("wide", "count"),
        Item("rare", "binary", categories=("0", "1")),
        Item("kind", "nominal", categories=THIRTY),
        Item("grade", "ordinal", categories=THIRTY),
        *(Item(name, "continuous") for name in "abc"),
        Item("twin", "ordinal", categories=("0", "1", "2")),
        Item("copy", "nominal", categories=("0", "1", "2")),
        Item("figure", "count"),
        Item("far", "continuous"),
        Item("births", "count"),
        Item("lowest", "continuous", detection_limit=0.3),
        Item("low", "continuous", detection_limit=0.3),
    )
    return values, rows


def with_a_small_stratum(table, people, scores):
    return table, people.assign(stratum=np.where(np.arange(N) < 3, "isle", "main")), scores


@pytest.fixture(scope="module")
def odd():
    """(real table, pseudo table) of all odd items, with a stratum of three people; one training, for it is slow."""
    values, rows = odd_items()
    return made(values, *rows, change=with_a_small_stratum)


def test_a_constant_item_stays_constant(odd):
    _, pseudo = odd
    assert (pseudo["fixed"] == 7.5).all()
    assert (pseudo["same"] == "b").all()


def test_a_constant_item_with_missing_values_keeps_its_share_of_them(odd):
    table, pseudo = odd
    assert pseudo["holes"].isna().mean() == pytest.approx(table["holes"].isna().mean(), abs=0.01)
    assert set(pseudo["holes"].dropna()) == {7.5}


@pytest.mark.parametrize("held", [0, 1, 19])
def test_an_item_with_no_or_few_values_is_refused(held):
    values = np.where(np.arange(N) < held, 1.5 * np.arange(N), np.nan)
    with pytest.raises(InputError, match="item none has fewer than 20 values among the 300 training people") as caught:
        made({"none": values}, Item("none", "continuous"))
    assert "role `ignore`" in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        draws().permutation(N) + 100_000,
        np.cumsum(draws().integers(1, 1000, N)),
        [f"p{i}" for i in range(N)],
    ],
    ids=["row numbers", "rising numbers", "names"],
)
@pytest.mark.parametrize("kind", ["continuous", "count", "nominal", "ordinal"])
def test_an_identifier_is_refused_by_the_import(values, kind, tmp_path):
    if (kind in ("nominal", "ordinal")) != isinstance(values, list):
        return
    table = pd.DataFrame({"person": [f"x{i}" for i in range(N)], "code": values})
    table.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    rows = Item("code", kind, categories=tuple(values) if isinstance(values, list) else ())
    people = pd.DataFrame({"person": table["person"], "sex": 1})
    with pytest.raises(InputError, match="item code has another value for each of its 300 people, as an id has"):
        import_phenotypes(tmp_path / "t.tsv", Dictionary((rows,)), people)


def test_whole_numbers_of_a_wide_range_are_no_identifier(odd):
    """10 million possible values: that no two of 300 people have the same is no wonder."""
    table, pseudo = odd
    assert pseudo["wide"].std() == pytest.approx(table["wide"].std(), rel=0.05)


def test_one_case_in_a_hundred_keeps_its_prevalence(odd):
    assert (odd[1]["rare"] == "1").sum() == 3


def test_thirty_categories_keep_their_shares(odd):
    for name, allowed in (("kind", 0.06), ("grade", 0.01)):  # sticks of fewer than 200 people are not ranked
        real, mine = (t[name].value_counts(normalize=True).reindex(THIRTY, fill_value=0) for t in odd)
        assert (real - mine).abs().max() < allowed
    assert set(odd[1]["kind"]) <= set(THIRTY)


def test_collinear_and_identical_items_train(odd):
    table, pseudo = odd
    for name in ("a", "b", "c"):
        assert pseudo[name].std() == pytest.approx(table[name].std(), rel=0.03)
    assert (pseudo["figure"].astype(int).astype(str).value_counts() - table["twin"].value_counts()).abs().max() <= 2


def test_an_outlier_of_ten_thousandfold_stretches_nobody_else(odd):
    table, pseudo = odd
    assert pseudo["far"].median() == pytest.approx(table["far"].median(), rel=0.1)
    assert pseudo["far"].max() < 500  # neither the outlier nor its shadow on ten people
    assert (pseudo["far"] > 30).sum() <= 10


def test_text_in_numbers_is_refused_by_the_import_and_by_the_network(tmp_path):
    with pytest.raises(InputError, match="item bad is continuous but holds text"):
        made({"bad": ["high", *map(str, range(N - 1))]}, Item("bad", "continuous"))
    path = tmp_path / "phenotypes.tsv"
    path.write_text("person\tbad\np1\t1.5\np2\thigh\n", encoding="utf-8")
    people = pd.DataFrame({"person": ["p1", "p2"], "sex": [1, 2]})
    with pytest.raises(InputError, match="item bad: 1 cells that are not numbers") as caught:
        import_phenotypes(path, Dictionary((Item("bad", "continuous"),)), people)
    assert "line 3" in str(caught.value)
    assert "high" not in str(caught.value)


def test_a_table_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "phenotypes.tsv"
    path.write_bytes("person\t身長\np1\t160\n".encode("cp932"))
    with pytest.raises(InputError, match=r"(?i)utf-8"):
        read_table(path)


def test_more_items_than_people():
    random = draws()
    common = random.normal(size=200)
    values = {f"i{j}": (0.5 * common + random.normal(size=200)).round(2) for j in range(300)}
    table, pseudo = made(values, *(Item(name, "continuous") for name in values), n=200)
    assert pseudo[list(values)].notna().all(axis=None)
    ratio = pseudo[list(values)].std() / table[list(values)].std()
    assert ratio.between(0.9, 1.1).all()


def test_infinite_values_are_refused():
    y = draws().normal(size=N)
    y[3] = np.inf
    with pytest.raises(InputError, match="item bad has 1 infinite values"):
        made({"bad": y}, Item("bad", "continuous"))


def test_scores_with_missing_values_are_refused():
    def change(table, people, scores):
        return table, people, scores.assign(x=scores["x"].where(scores.index > 4))

    with pytest.raises(InputError, match="score x is missing for 5 people"):
        made({}, change=change)


def test_training_that_gives_no_number_names_the_item():
    with pytest.raises(InputError, match=r"training stopped in epoch \d+: the loss is no longer a number for item "):
        made({}, settings={**TINY, "learning_rate": 1e30})


@pytest.mark.parametrize("n", [1, 2, 19])
def test_very_few_people_are_refused(n):
    with pytest.raises(
        InputError, match=f"item x has fewer than 20 values among the {n} training people|age is known of {n} of {n}"
    ):
        made({}, n=n)


def test_a_stratum_of_three_people(odd):
    _, pseudo = odd
    assert (pseudo["stratum"] == "isle").sum() == 3
    assert pseudo.loc[pseudo["stratum"] == "isle", ["age", "x", "y"]].notna().all(axis=None)


def test_an_item_of_one_sex_without_a_condition(odd):
    table, pseudo = odd
    assert pseudo["births"].isna().mean() == pytest.approx(table["births"].isna().mean(), abs=0.01)


def test_values_at_the_detection_limit_alone_or_nearly(odd):
    table, pseudo = odd
    assert set(pseudo["lowest"].dropna()) == {0.3}
    assert pseudo["low"].min() == 0.3
    assert (pseudo["low"] == 0.3).mean() == pytest.approx((table["low"] == 0.3).mean(), abs=0.03)


def test_what_is_odd_is_said(caplog):
    values, rows = odd_items()
    table, people, _ = cohort()
    with caplog.at_level("WARNING", logger="pseudocohort"):
        fit_encoding(table.assign(**values), people["sex"].to_numpy(), Dictionary(rows))
    assert "item fixed has a single value in the training people" in caplog.text
    assert "item births has values of one sex only: should its asked_if be sex=female?" in caplog.text


def test_nobodys_sex_is_known():
    births = draws().poisson(1.5, N).astype(float)

    def change(table, people, scores):
        return table, people.assign(sex=np.zeros(N, dtype=np.int8)), scores

    rows = Item("births", "count", asked_if=(("sex", ("female",)),))
    _, pseudo = made({"births": births}, rows, change=change)
    assert pseudo["sex"].isna().all()
    assert pseudo["births"].notna().all()
    assert pseudo["age"].between(20, 80).all()


def test_nobodys_age_is_known():
    with pytest.raises(InputError, match="the age is known of 0 of 300 training people"):
        made({"age": np.nan})


def test_a_condition_that_nobody_meets_is_refused():
    rows = Item("packs", "count", asked_if=(("smoke", ("yes",)),)), Item("smoke", "binary", categories=("no", "yes"))
    with pytest.raises(InputError, match="item packs has fewer than 20 values"):
        made({"packs": draws().poisson(3, N) * 1.0, "smoke": "no"}, *rows)


def test_values_outside_the_categories_are_refused():
    with pytest.raises(InputError, match="item smoke has 1 values outside its categories"):
        made({"smoke": draws().choice(["never", "yes"], N)}, Item("smoke", "binary", categories=("no", "yes")))


def test_every_type_at_once_with_latents_of_any_size():
    """Extreme latents reach the ends of every distribution and stay finite."""
    random = draws()
    table = pd.DataFrame(
        {
            "y": np.exp(random.normal(size=N)).round(2),
            "day": np.floor(random.uniform(0, 9000, N)),
            "o": random.choice(["a", "b", "c"], N),
        }
    )
    dictionary = Dictionary(
        (Item("y", "continuous"), Item("day", "date"), Item("o", "ordinal", categories=("a", "b", "c")))
    )
    sex = np.ones(100, dtype=np.int8)
    encoding = fit_encoding(table, np.ones(N, dtype=np.int8), dictionary)
    for latent in (np.full((100, 3), 1e9), np.full((100, 3), -1e9), 50 * normal_latents(1, "t", 100, 3)):
        decoder = decode(encoding, latent, sex, np.full((100, 3), 0.5))
        pseudo = people_table(decoder, sex, None, np.repeat("all", 100))
        assert pseudo[["y", "day", "o"]].notna().all(axis=None)
        assert (pseudo["y"] > 0).all()
        again = encode(encoding, pseudo, sex)
        np.testing.assert_allclose(again.score, decoder.encoded.score, atol=1e-5)
