"""Workbooks read as the same text that a TSV would give; broken ones say what is wrong."""

import datetime
import logging
import zipfile

import openpyxl
import pandas as pd
import pytest

from pseudocohort.cohort.excel import split_sheet
from pseudocohort.cohort.tables import read_table, require_columns
from pseudocohort.config import check_files
from pseudocohort.errors import InputError

ROWS = [
    ["person", "値", "date", "flag", "", None],
    ["001", 1.5, datetime.datetime(2020, 2, 29), True],
    [None],
    ["002", 54, datetime.date(1999, 1, 2), None],
    ["003", 0.1 + 0.2, datetime.datetime(2020, 2, 29, 10, 30), "  x "],
    [4, "#N/A", None, "#DIV/0!"],
]


@pytest.fixture
def workbook(tmp_path):
    """A writer of workbooks: sheets as rows of cells."""

    def write(name="t.xlsx", **sheets):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for title, rows in (sheets or {"Data": ROWS}).items():
            page = book.create_sheet(title)
            for row in rows:
                page.append(row)
        book.save(tmp_path / name)
        return tmp_path / name

    return write


def assert_refused(path, *texts):
    with pytest.raises(InputError) as caught:
        read_table(path)
    for text in texts:
        assert text in str(caught.value)


def test_cells_become_text(workbook, caplog):
    with caplog.at_level(logging.WARNING, "pseudocohort"):
        table = read_table(workbook())
    assert table.columns.tolist() == ["person", "値", "date", "flag"]
    assert table.to_numpy().tolist() == [
        ["001", "1.5", "2020-02-29", "True"],
        ["002", "54", "1999-01-02", ""],
        ["003", "0.3", "2020-02-29 10:30:00", "x"],
        ["4", "", "", ""],
    ]
    assert table.index.tolist() == [2, 4, 5, 6]
    assert table.index.name == "line"
    assert "2 cells with an error such as #N/A are taken as missing" in caplog.text


def test_a_sheet_is_named_after_a_hash(workbook):
    path = workbook(Notes=[["a"], ["b"]], Data=ROWS)
    assert read_table(path).columns.tolist() == ["a"]
    assert len(read_table(f"{path}#Data")) == 4
    assert_refused(f"{path}#Dta", "t.xlsx has no sheet 'Dta'", "one of the sheets Notes, Data", "after #")
    assert split_sheet("a/b.XLSX#x.xlsx#y")[1] == "y"
    assert split_sheet("a#b.csv")[1] == ""
    assert split_sheet(path) == (path, "")


def test_broken_workbooks_are_refused(workbook, tmp_path):
    assert_refused(tmp_path / "none.xlsx", "file not found: none.xlsx")
    (tmp_path / "bad.xlsx").write_bytes(b"no workbook")
    assert_refused(tmp_path / "bad.xlsx", "cannot be read as an Excel workbook", "without a password")
    with zipfile.ZipFile(tmp_path / "zip.xlsx", "w") as archive:
        archive.writestr("a", "b")
    assert_refused(tmp_path / "zip.xlsx", "cannot be read as an Excel workbook")
    assert_refused(f"{workbook(Empty=[], Blank=[[None], ['']])}", "t.xlsx is empty", "a header line and rows")
    assert_refused(f"{workbook(Empty=[], Blank=[[None], ['']])}#Blank", "is empty in its sheet Blank")
    assert_refused(workbook(Data=[["a", "a"], [1, 2]]), "a column name more than once")
    assert_refused(workbook(Data=[["a", "b"], [1, 2, 3]]), "rows of t.xlsx do not have as many cells as the header")
    formulas = workbook(Data=[["a", "b"], [1, "=A2+1"], [2, "=A3+1"]])
    assert_refused(formulas, "2 formulas whose results are not in the file", "first in row 2", "Excel or LibreOffice")


def test_a_column_of_another_sheet_is_found_by_the_message(workbook):
    path = workbook(Cover=[["about", "us"], ["x", "y"]], Data=[["person", "b"], [1, 2]])
    with pytest.raises(InputError, match="has no column 'person'") as caught:
        require_columns(read_table(path), ["person"], path)
    assert f"{path.name}#Data (it has Cover, Data)" in caught.value.remedy
    with pytest.raises(InputError, match="has no column 'c'") as caught:
        require_columns(read_table(f"{path}#Data"), ["c"], f"{path}#Data")
    assert "another sheet than Data, as in t.xlsx#Cover" in caught.value.remedy


def test_a_workbook_is_an_input_that_exists(workbook):
    path = workbook()
    config = {
        "chromosomes": ["1"],
        "scoring_files": {},
        "planted": {"effects": {}},
        "input": {"phenotypes": f"{path}#Data"},
    }
    check_files(config)
    with pytest.raises(InputError, match="input file not found"):
        check_files(config | {"input": {"phenotypes": f"{path}x#Data"}})


def test_days_of_parquet_are_iso_text(tmp_path):
    days = pd.to_datetime(pd.Series(["2020-02-29", None]))
    pd.DataFrame({"day": days, "time": days + pd.Timedelta(hours=1)}).to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert table["day"].tolist() == ["2020-02-29", ""]
    assert table["time"].tolist() == ["2020-02-29 01:00:00", ""]
