"""The import of phenotype tables: values of every kind by hand, and each error by its text."""

import logging

import numpy as np
import pandas as pd
import pytest

from pseudocohort.cohort import phenotype_checks
from pseudocohort.cohort.dictionary import Dictionary, Item, readable
from pseudocohort.cohort.phenotype_checks import FEWEST_VALUES, check_enough_values
from pseudocohort.cohort.phenotypes import import_phenotypes, read_items
from pseudocohort.errors import InputError
from pseudocohort.phenotype.conditions import FEWEST
from pseudocohort.phenotype.encoding import MINIMUM_VALUES

ITEMS = Dictionary(
    (
        Item("years", "continuous", role="age", minimum=0, maximum=120),
        Item("crp", "continuous", minimum=0.01, maximum=50, detection_limit=0.1),
        Item("beds", "count"),
        Item("ill", "binary", categories=("0", "1")),
        Item("grade", "ordinal", categories=("low", "mid", "NA")),
        Item("births", "count", asked_if=(("sex", ("female",)), ("ill", ("1",)))),
        Item("skipped", "nominal", role="ignore"),
    )
)
ROWS = {"years": "50", "crp": "1.5", "beds": "2", "ill": "1", "grade": "mid", "births": ""}


@pytest.fixture
def cohort(tmp_path):
    """Four people (p0 ... p3; men and women by turns) and a writer of their table, rows as changed."""
    people = pd.DataFrame({"person": ["p2", "p0", "p3", "p1"], "sex": np.array([1, 1, 2, 2], dtype=np.int8)})

    def load(changes=None, dictionary=ITEMS, extra=(), **kwargs):
        rows = [{"person": f"p{i}", **ROWS, **(changes or {}).get(i, {})} for i in range(4)]
        path = tmp_path / "phenotypes.csv"
        pd.DataFrame([*rows, *({"person": p, **ROWS} for p in extra)]).to_csv(path, index=False)
        return import_phenotypes(path, dictionary, people, **kwargs)

    return load


def test_phenotypes_of_all_kinds(cohort, caplog, monkeypatch):
    monkeypatch.setattr(phenotype_checks, "_NOT_ASKED", 1.0)  # of four people one is a quarter
    changes = {
        0: {"years": "NA", "crp": "<0.1", "ill": "1.0", "births": "3"},
        1: {"crp": "0.05", "ill": "0", "births": "1"},
        2: {"crp": "< 0.05", "beds": ".", "ill": "N/A"},
        3: {"beds": "3.0", "grade": "NA", "births": "2"},
    }
    with caplog.at_level(logging.WARNING, "pseudocohort"):
        frame, report = cohort(changes, extra=["gone"], withdrawn={"gone"})
    assert frame.columns.tolist() == ["person", "years", "crp", "beds", "ill", "grade", "births"]
    assert frame["person"].tolist() == ["p2", "p0", "p3", "p1"]
    np.testing.assert_array_equal(frame["years"], [50, np.nan, 50, 50])
    np.testing.assert_array_equal(frame["crp"], [0.1, 0.1, 1.5, 0.1])
    np.testing.assert_array_equal(frame["beds"], [np.nan, 2, 3, 2])
    assert frame["ill"].isna().tolist() == [True, False, False, False]
    assert frame["ill"].tolist()[1:] == ["1", "1", "0"]
    assert frame["grade"].tolist() == ["mid", "mid", "NA", "mid"]
    np.testing.assert_array_equal(frame["births"], [np.nan, np.nan, 2, np.nan])  # a man, and a woman who is not ill
    assert [str(frame[c].dtype) for c in ("crp", "beds", "ill", "grade")] == ["float64", "float64", "str", "str"]
    assert "item births has 2 values where its asked_if says not asked" in caplog.text
    assert report["removed_not_asked"] == {"births": 2}
    assert report["rows_of_withdrawn"] == 1
    assert report["rows"] == 5
    assert report["at_detection_limit"] == {"crp": 3}
    assert report["missing"]["beds"] == 1
    assert report["constant"] == ["years", "births"]


def test_phenotypes_from_parquet_with_the_id_elsewhere(tmp_path):
    people = pd.DataFrame({"person": ["7", "8"], "sex": np.int8(0)})
    pd.DataFrame({"n": [1, 2], "code": [8, 7], "v": [1.25, None], "k": [1.0, 0.0]}).to_parquet(tmp_path / "p.parquet")
    items = Dictionary((Item("v", "continuous"), Item("k", "binary", categories=("0", "1"))))
    frame, _ = import_phenotypes(tmp_path / "p.parquet", items, people, id_column="code")
    assert read_items(tmp_path / "p.parquet", "code").columns.tolist() == ["n", "v", "k"]
    np.testing.assert_array_equal(frame["v"], [np.nan, 1.25])
    assert frame["k"].tolist() == ["0", "1"]


def test_drop_keeps_people_without_a_row(cohort):
    with pytest.raises(InputError, match=r"2 of 6 people of the phenotype table are not in the cohort"):
        cohort(extra=["x", "y"])
    people_without = {1: {"person": "x"}}
    with pytest.raises(InputError, match=r"1 of 4 people of the cohort are not in the phenotype table"):
        cohort(people_without)
    frame, report = cohort(people_without | {0: {"births": "", "beds": "5"}, 3: {"births": "1"}}, unmatched="drop")
    assert frame.loc[3, ["years", "crp", "beds", "ill", "grade", "births"]].isna().all()
    assert frame.loc[1, "beds"] == 5
    assert (report["rows_outside_the_cohort"], report["people_without_row"]) == (1, 1)


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        (
            {1: {"crp": "secret"}, 3: {"crp": "1,5"}},
            ["item crp: 2 cells that are not numbers", "lines 3 and 5, column crp"],
        ),
        ({1: {"crp": "inf"}}, ["item crp: 1 cells that are not numbers", "line 3"]),
        ({2: {"crp": "<0.2"}}, ["item crp: 1 cells below a limit (<) above the detection_limit", "< 0.1", "line 4"]),
        ({2: {"beds": "<3"}}, ["item beds: 1 cells below a limit (<)", "give the item a detection_limit"]),
        ({2: {"crp": "0.001"}}, ["item crp: 1 values below the minimum", "at least 0.01"]),
        ({2: {"crp": "51.51"}}, ["item crp: 1 values above the maximum", "at most 50", "line 4"]),
        ({2: {"years": "149"}}, ["item years: 1 values above the maximum"]),
        ({2: {"beds": "1.5"}, 3: {"beds": "-1"}}, ["item beds: 2 values that are no counts", "lines 4 and 5"]),
        ({0: {"grade": "secret"}}, ["item grade: 1 values outside its categories", "line 2", "expected: low, mid, NA"]),
        ({i: {"grade": ""} for i in range(4)} | {0: {"ill": "2"}}, ["item ill: 1 values outside its categories"]),
        ({i: {"beds": "NA"} for i in range(4)}, ["item beds has no value", "set its role to ignore"]),
        ({1: {"person": "p0"}}, ["1 person ids stand more than once", "line 3, column person"]),
        ({1: {"person": ""}}, ["1 rows have no person id", "line 3"]),
    ],
)
def test_bad_phenotypes_are_refused(cohort, changes, messages):
    changes = {3: {"births": "1"}} | changes
    with pytest.raises(InputError) as caught:
        cohort(changes)
    for message in messages:
        assert message in str(caught.value)
    for value in ("secret", "1,5", "51.51", "149"):
        assert value not in str(caught.value)


def test_items_must_be_columns(cohort):
    items = Dictionary((Item("bedss", "count"),))
    with pytest.raises(InputError, match=r"item bedss is not in the phenotype table; the nearest column is 'beds'"):
        cohort(dictionary=items)
    with pytest.raises(InputError, match=r"no column 'prson'; the nearest is 'person'"):
        cohort(id_column="prson")


def test_wrong_id_column_is_told(cohort):
    with pytest.raises(InputError, match="name the column that holds the ids"):
        cohort({i: {"beds": str(i)} for i in range(4)}, id_column="beds")


def test_a_withdrawn_person_among_the_people_is_a_fault(cohort):
    with pytest.raises(ValueError, match="withdrawn"):
        cohort({3: {"births": "1"}}, withdrawn={"p0"})


WOMEN, BELOW = (("sex", ("female",)),), (("<=", ("high",)),)
REASONED = Dictionary(
    (
        Item("years", "continuous", role="age", missing_codes=(("-1", "refused"),)),
        Item(
            "low", "continuous", rules=(("<=", ("high",)),), missing_codes=(("-9", "refused"), ("-8", "not measured"))
        ),
        Item("high", "continuous", minimum=0, detection_limit=1, missing_codes=(("ND", "below limit"),)),
        Item("answer", "ordinal", categories=("1", "2", "3"), missing_codes=(("77", "refused"), ("99", "unknown"))),
        Item(
            "births",
            "count",
            asked_if=(("sex", ("female",)),),
            missing_codes=(("-7", "not asked"), ("拒否", "refused")),
        ),
        Item("visit", "date", minimum=0, missing_codes=(("9999-12-31", "unknown"),)),
        Item("total", "count", rules=(("=", ("answer", "part")),)),
        Item("part", "count"),
    )
)


def load_reasoned(tmp_path, text, people=None, dictionary=REASONED):
    (tmp_path / "t.csv").write_text("person,years,low,high,answer,births,visit,total,part\n" + text, encoding="utf-8")
    if people is None:
        people = pd.DataFrame({"person": ["p1", "p0", "p3", "p2"], "sex": np.array([2, 1, 1, 2], dtype=np.int8)})
    return import_phenotypes(tmp_path / "t.csv", dictionary, people, unmatched="drop")


def test_codes_of_missing_become_reasons(tmp_path):
    frame, report = load_reasoned(
        tmp_path,
        "p0,50,-9,ND,77,-7,2020/2/29,,1\n"
        "p1,-1.0,-8.00,1.5,99.0,拒否,9999-12-31,5,2\n"
        "p2,60,0.5,<0.5,2,3,1970-01-02,3,1\n",
    )
    assert frame.columns.tolist() == [
        *["person", "years", "low", "high", "answer", "births", "visit", "total", "part"],
        *["low_missing", "answer_missing", "births_missing", "visit_missing"],
    ]
    np.testing.assert_array_equal(frame["years"], [np.nan, 50, np.nan, 60])
    np.testing.assert_array_equal(frame["low"], [np.nan, np.nan, np.nan, 0.5])
    np.testing.assert_array_equal(frame["high"], [1.5, 1, np.nan, 1])
    np.testing.assert_array_equal(frame["visit"], [np.nan, 18321, np.nan, 1])
    assert frame["answer"].isna().tolist() == [True, True, True, False]
    told = frame.filter(like="_missing").astype(object).where(frame.filter(like="_missing").notna(), None)
    assert told["low_missing"].tolist() == ["not measured", "refused", "unknown", None]  # p3 has no row
    assert told["answer_missing"].tolist() == ["unknown", "refused", "unknown", None]
    assert told["births_missing"].tolist() == ["refused", "not asked", "not asked", None]
    assert told["visit_missing"].tolist() == ["unknown", None, "unknown", None]
    assert (frame.filter(like="_missing").dtypes == "str").all()
    assert report["missing_by_reason"]["low"] == {"not measured": 1, "refused": 1, "unknown": 1}
    assert report["at_detection_limit"] == {"high": 2}
    again = readable(frame, REASONED)
    assert again["visit"].dtype == "datetime64[s]"
    assert again.to_csv(columns=["visit"], index=False).split() == ["visit", '""', "2020-02-29", '""', "1970-01-02"]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (
            "p0,50,3,2,1,,,3,1\np1,50,1,2,1,,,3,2\np3,50,9,8.25,1,,,2,1\n",
            ["item low: 2 values that break its rule", "lines 2 and 4, column low", "low <= high"],
        ),
        ("p0,50,1,2,1,,,3,1\n", ["item total: 1 values that break its rule", "line 2", "total = answer + part"]),
        ("p0,50,1,2,1,,2020-13-01,2,1\n", ["item visit: 1 cells that are not dates", "YYYY-MM-DD", "line 2"]),
        ("p0,50,1,2,1,,1.2.2020,2,1\n", ["item visit: 1 cells that are not dates"]),
        ("p0,50,1,2,1,,1969-12-31,2,1\n", ["item visit: 1 values below the minimum", "at least 1970-01-01"]),
        ("p0,50,1,2,-9,,2020-01-01,2,1\n", ["item answer: 1 values outside its categories"]),
        ("p0,50,1,-9,1,,2020-01-01,2,1\n", ["item high: 1 values below the minimum"]),
        ("p0,50,1,nd,1,,2020-01-01,2,1\n", ["item high: 1 cells that are not numbers", "in missing_codes"]),
    ],
)
def test_broken_rules_and_dates_are_refused(tmp_path, text, messages):
    with pytest.raises(InputError) as caught:
        load_reasoned(tmp_path, text + "p2,60,0.5,1,2,3,1970-01-02,3,1\n")
    for message in messages:
        assert message in str(caught.value)
    assert "8.25" not in str(caught.value)


def many(tmp_path, kind, values, name="x", **item):
    """Import one item of 40 people."""
    table = pd.DataFrame({"person": [f"p{i}" for i in range(len(values))], name: values, "y": "1"})
    table.to_csv(tmp_path / "t.csv", index=False)
    people = pd.DataFrame({"person": table["person"], "sex": np.int8(0)})
    dictionary = Dictionary((Item(name, kind, **item), Item("y", "continuous")))
    return import_phenotypes(tmp_path / "t.csv", dictionary, people)[0]


def test_one_value_a_person_is_an_id(tmp_path):
    rng = np.random.default_rng(3)
    refused = "item {} has another value for each of its 40 people, as an id has"
    numbers = rng.permutation(40) + 1001
    for kind, name in (("count", "x"), ("continuous", "x"), ("continuous", "patient_no")):
        with pytest.raises(InputError, match=refused.format(name)) as caught:
            many(tmp_path, kind, numbers * (1 if name == "x" else 977), name)
        assert "set its role to ignore" in str(caught.value)
    codes = tuple(f"A{i}" for i in range(40))
    for kind in ("nominal", "ordinal"):
        with pytest.raises(InputError, match=refused.format("x")):
            many(tmp_path, kind, rng.permutation(codes), categories=codes)
    area = np.exp(rng.normal(12, 1, 40))
    assert many(tmp_path, "continuous", area)["x"].nunique() == 40  # a metabolite
    assert many(tmp_path, "continuous", area.round().astype(int))["x"].nunique() == 40  # intensities
    assert many(tmp_path, "date", (np.datetime64("1950-01-01") + numbers).astype(str))["x"].nunique() == 40
    assert many(tmp_path, "count", np.append(numbers[:-1], numbers[0]))["x"].nunique() == 39
    assert many(tmp_path, "count", numbers[:15])["x"].nunique() == 15  # so few may well differ


def test_ids_by_their_name_and_by_their_digits(tmp_path):
    rng = np.random.default_rng(5)
    far = rng.choice(10**9, 40, replace=False) + 17
    for name in ("カルテ番号", "保険証", "chart_no", "insurance_card", "ChartNo", "No."):
        with pytest.raises(InputError, match="as an id has"):
            many(tmp_path, "continuous", far, name)
    assert many(tmp_path, "continuous", far, "insurance_cost")["insurance_cost"].nunique() == 40
    even = rng.choice(9 * 10**7, 300, replace=False) + 10**7
    for numbers in (even, np.cumsum(rng.integers(1, 9000, 300))):
        with pytest.raises(InputError, match="as an id has"):
            many(tmp_path, "continuous", numbers)
    area = np.exp(rng.normal(16, 0.5, 300)).astype(int)
    assert many(tmp_path, "continuous", area)["x"].nunique() > 290
    days = np.sort(rng.choice(4000, 300, replace=False)) + np.datetime64("2010-01-01")
    assert many(tmp_path, "date", days.astype(str))["x"].nunique() == 300  # in the order of recruitment
    names = tuple(f"A{i % 170}" for i in range(300))
    with pytest.raises(InputError, match="170 different values for its 300 people"):
        many(tmp_path, "nominal", names, categories=tuple(dict.fromkeys(names)))


def women_only(tmp_path, men):
    """40 of 80 people are women and have a value; so have `men` of the others."""
    table = pd.DataFrame(
        {"person": [f"p{i}" for i in range(80)], "births": [i % 3 if i < 40 + men else "" for i in range(80)]}
    )
    table.to_csv(tmp_path / "t.csv", index=False)
    people = pd.DataFrame({"person": table["person"], "sex": np.repeat([2, 1], 40).astype(np.int8)})
    dictionary = Dictionary((Item("births", "count", asked_if=WOMEN),))
    return import_phenotypes(tmp_path / "t.csv", dictionary, people)[1]


def test_a_condition_that_takes_away_many_values_is_refused(tmp_path):
    assert women_only(tmp_path, 2)["removed_not_asked"] == {"births": 2}
    with pytest.raises(InputError, match="3 of its 43 values are of people whom its condition leaves out") as caught:
        women_only(tmp_path, 3)
    assert "asked_if: sex=female" in str(caught.value)
    assert "correct asked_if" in caught.value.remedy


def test_columns_without_a_row_of_the_dictionary_are_told(cohort, caplog):
    extra = {3: {"births": "1"}} | {i: {"diary": "x", "skipped": "y"} for i in range(3)}
    with caplog.at_level(logging.WARNING, "pseudocohort"):
        report = cohort(extra)[1]
    assert report["columns_without_dictionary"] == ["diary"]
    assert "1 columns have no row in the dictionary and are left out: diary" in caplog.text
    assert cohort({3: {"births": "1"}})[1]["columns_without_dictionary"] == []


def test_full_width_digits_are_named_in_the_remedy(cohort):
    for item in ("crp", "beds", "ill"):
        with pytest.raises(InputError) as caught:
            cohort({1: {item: "１"}, 3: {"births": "1"}})
        assert "full-width" in caught.value.remedy
    with pytest.raises(InputError) as caught:
        cohort({1: {"crp": "secret"}})
    assert "full-width" not in caught.value.remedy


def test_too_few_values_among_the_training_people_are_refused():
    assert FEWEST_VALUES == MINIMUM_VALUES == FEWEST
    people = pd.DataFrame({"part": ["train"] * 25 + ["A"] * 25})
    dictionary = Dictionary((Item("years", "continuous", role="age"), Item("x", "continuous")))
    frame = pd.DataFrame({"years": 50.0, "x": np.where(np.arange(50) < 5, np.nan, 1.0)})
    check_enough_values(frame, people, dictionary, "t.csv")
    for name in ("years", "x"):
        few = frame.assign(**{name: frame[name].mask(np.arange(50) < 6)})
        with pytest.raises(InputError, match=f"item {name} has 19 values among the 25 training people"):
            check_enough_values(few, people, dictionary, "t.csv")


def test_few_people_with_many_items_are_imported(tmp_path):
    rng = np.random.default_rng(4)
    n, k = 200, 300
    values = rng.normal(size=(n, k))
    values[:, 7] = 3.0  # constant
    values[:, 8] = 2 * values[:, 9]  # collinear
    values[5, 10] = 1e4 * values[:, 10].std()
    table = pd.DataFrame(values.round(6), columns=[f"x{j}" for j in range(k)])
    table.insert(0, "person", [f"p{i}" for i in range(n)])
    table.to_csv(tmp_path / "t.csv", index=False)
    people = pd.DataFrame({"person": table["person"], "sex": np.int8(1)})
    dictionary = Dictionary(tuple(Item(f"x{j}", "continuous") for j in range(k)))
    frame, report = import_phenotypes(tmp_path / "t.csv", dictionary, people)
    np.testing.assert_array_equal(frame[list(dictionary.names)], table[list(dictionary.names)])
    assert report["constant"] == ["x7"]


def test_a_table_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes("person,身長\np0,160\n".encode("cp932"))
    with pytest.raises(InputError, match="not UTF-8"):
        import_phenotypes(tmp_path / "t.csv", ITEMS, pd.DataFrame({"person": ["p0"], "sex": np.int8(0)}))


def test_values_are_used_of_those_alone_who_consent(cohort):
    """p1 said no, p2 nothing, p3 yes to one of two questions: of four values two or one are left."""
    said = {0: ("yes", "1"), 1: ("no", "1"), 2: ("", "1"), 3: ("yes", "0")}
    changes = {i: {"use": use, "blood": blood, "crp": f"{i + 1}"} for i, (use, blood) in said.items()}
    asking = [("crp", (("use", ("yes", "always")), ("blood", ("1",)))), ("beds", (("use", ("yes",)),))]
    items = Dictionary(tuple(Item(name, "continuous" if name == "crp" else "count", consent=c) for name, c in asking))
    frame, report = cohort(changes, items)
    values = dict(zip(frame["person"], frame["crp"], strict=True))
    assert {p: v for p, v in values.items() if not np.isnan(v)} == {"p0": 1.0}
    assert frame.set_index("person")["beds"].notna().to_dict() == {"p0": True, "p1": False, "p2": False, "p3": True}
    assert report["values_without_consent"] == {"crp": 3, "beds": 2}


@pytest.mark.parametrize(
    ("consent", "message"),
    [((("usee", ("yes",)),), "no column 'usee' of consents; did you mean 'use'"),
     ((("use", ("maybe",)),), r"nobody consents to the use of item beds(?s:.*)maybe for some people")],
)  # fmt: skip
def test_consents_that_cannot_be_read_are_refused(cohort, consent, message):
    with pytest.raises(InputError, match=message):
        cohort({i: {"use": "yes"} for i in range(4)}, Dictionary((Item("beds", "count", consent=consent),)))
