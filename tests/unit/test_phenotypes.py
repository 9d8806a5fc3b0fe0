"""The import of phenotype tables: values of every kind by hand, and each error by its text."""

import logging

import numpy as np
import pandas as pd
import pytest

from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.cohort.phenotypes import import_phenotypes, read_items
from pseudocohort.errors import InputError

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


def test_phenotypes_of_all_kinds(cohort, caplog):
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
