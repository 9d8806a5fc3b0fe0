"""Tables as people save them: every kind of file reads to the same text, every broken one says what is wrong."""

import gzip

import numpy as np
import pandas as pd
import pytest

from pseudocohort.cohort.tables import as_text, blank, canonical, enumerate_lines, nearest, read_table, require_columns
from pseudocohort.errors import InputError

TSV = "person\tvalue\tname\n001\t1.50\t山田, 太郎\n002\t\tb c\n"


def assert_refused(path, *texts, **kwargs):
    with pytest.raises(InputError) as caught:
        read_table(path, **kwargs)
    for text in texts:
        assert text in str(caught.value)


def write(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.tsv", TSV.encode()),
        ("a.txt", TSV.encode()),
        ("a.csv", TSV.encode()),  # tabs in spite of the suffix
        ("a.csv", TSV.replace("山田, 太郎", '"山田, 太郎"').replace("\t", ",").encode()),
        ("a.csv", TSV.replace("\t", ";").encode()),
        ("a.tsv", TSV.replace("\n", "\r\n").encode()),
        ("a.tsv", TSV.replace("\n", "\r").encode()),
        ("a.tsv", b"\xef\xbb\xbf" + TSV.encode()),
        ("a.tsv", TSV.rstrip("\n").encode()),
        ("a.tsv.gz", gzip.compress(TSV.encode(), mtime=0)),
        ("a.tsv", TSV.replace("\t", " \t ").encode()),
    ],
)
def test_every_way_of_saving_reads_the_same(tmp_path, name, data):
    table = read_table(write(tmp_path / name, data))
    assert table.columns.tolist() == ["person", "value", "name"]
    assert table.to_numpy().tolist() == [["001", "1.50", "山田, 太郎"], ["002", "", "b c"]]
    assert table.index.tolist() == [2, 3]
    assert table.index.name == "line"


def test_lines_are_those_of_the_file(tmp_path):
    table = read_table(write(tmp_path / "a.csv", 'id,note\n\n1,"two\nlines"\n\n,\n2,x\n'))
    assert table["id"].tolist() == ["1", "2"]
    assert table.index.tolist() == [3, 7]


def test_large_tables_join_their_chunks(tmp_path):
    n = 45_000
    expected = pd.DataFrame({"id": np.arange(n).astype(str), "v": (np.arange(n) % 7).astype(str)})
    expected.to_csv(tmp_path / "a.csv", index=False)
    table = read_table(tmp_path / "a.csv")
    assert (table.to_numpy() == expected.to_numpy()).all()
    assert table.index.tolist() == list(range(2, n + 2))


def test_thousand_genomes_panel_and_spaced_files(tmp_path):
    panel = read_table(write(tmp_path / "a.panel", "sample\tpop\tgender\t\t\nS1\tGBR\tmale\nS2\tJPT\tfemale\t\t\n"))
    assert panel.to_numpy().tolist() == [["S1", "GBR", "male"], ["S2", "JPT", "female"]]
    spaced = read_table(write(tmp_path / "a.psam", "#FID IID  SEX\n1 S1 1\n1 S2  2\n"))
    assert spaced.columns.tolist() == ["FID", "IID", "SEX"]
    assert spaced["SEX"].tolist() == ["1", "2"]


def test_parquet_becomes_the_same_text(tmp_path):
    frame = pd.DataFrame(
        {
            "person": ["a", "b", "c"],
            "x": [1.0, np.nan, 0.1 + 0.2],
            "n": pd.array([1, None, 3], "Int64"),
            "k": pd.Categorical(["u", None, "v"]),
            "b": [True, False, True],
            "i": [7, 8, 9],
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    assert table["x"].tolist() == ["1.0", "", "0.30000000000000004"]
    assert table["n"].tolist() == ["1", "", "3"]
    assert table["k"].tolist() == ["u", "", "v"]
    assert table["b"].tolist() == ["True", "False", "True"]
    assert table["i"].tolist() == ["7", "8", "9"]
    assert table.index.tolist() == [1, 2, 3]
    frame.set_index("person").to_parquet(tmp_path / "b.parquet")
    assert read_table(tmp_path / "b.parquet")["person"].tolist() == ["a", "b", "c"]
    assert as_text(frame).equals(table.reset_index(drop=True))


def test_broken_files_are_refused(tmp_path):
    assert_refused(tmp_path / "none.csv", "file not found: none.csv")
    assert_refused(tmp_path / "none.parquet", "file not found: none.parquet")
    assert_refused(write(tmp_path / "a.csv", ""), "a.csv is empty")
    assert_refused(write(tmp_path / "b.csv", b"\xef\xbb\xbf \r\n\r\n"), "b.csv is empty")
    assert_refused(write(tmp_path / "c.parquet", b"PAR1 nothing"), "c.parquet cannot be read as Parquet")
    assert_refused(write(tmp_path / "d.tsv.gz", gzip.compress(TSV.encode() * 100)[:-20]), "truncated or damaged gzip")


def test_other_encodings_name_the_line_and_the_cure(tmp_path):
    assert_refused(write(tmp_path / "a.csv", "id,名\n1,x\n".encode("cp932")), "not UTF-8", "line 1", "iconv -f CP932")
    assert_refused(write(tmp_path / "b.csv", b"id,v\r\n1,x\r\n2,\xe9\r\n"), "not UTF-8", "line 3")
    assert_refused(write(tmp_path / "c.csv", "id,v\n1,x\n".encode("utf-16")), "not UTF-8", "iconv -f UTF-16")
    assert_refused(write(tmp_path / "d.csv", b"id,v\n1,\0x\n"), "not UTF-8", "line 2")


def test_wrong_shapes_are_refused_without_values(tmp_path):
    assert_refused(write(tmp_path / "a.csv", "id,v,v\n1,2,3\n"), "a column name more than once", "columns 2 and 3")
    assert_refused(write(tmp_path / "b.csv", ",v\n1,2\n"), "a column without a name", "column 1")
    path = write(tmp_path / "c.csv", "id,v\n1,secret\n2\n3,4,5\n4,x\n5,6,7\n6\n7\n")
    assert_refused(path, "5 rows of c.csv", "lines 3, 4, 6 and 2 more", "2 cells a row")
    assert_refused(write(tmp_path / "d.csv", 'id,v\n1,"open\n2,x\n'), "quotation mark", "line 2")
    with pytest.raises(InputError) as caught:
        read_table(path)
    assert "secret" not in str(caught.value)


def test_required_columns_name_the_nearest(tmp_path):
    path = write(tmp_path / "a.csv", "Persn,secret-id\n1,2\n")
    with pytest.raises(InputError, match=r"no column 'person'; the nearest is 'Persn'") as caught:
        require_columns(read_table(path), ["person"], path, "id_column")
    assert "id_column" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert nearest("hieght", ["weight", "height"]) == "height"
    assert nearest("xyz", ["weight"]) == ""


def test_missing_codes_and_spellings_of_codes():
    cells = pd.Series(["", "NA", "nan", "N/A", "NULL", ".", "0", "-9", "none"], dtype="str")
    assert blank(cells).tolist() == [True] * 6 + [False] * 3
    codes = pd.Series(["1.0", "1.", "-2.00", "1.5", "v1.0", "01"], dtype="str")
    assert canonical(codes).tolist() == ["1", "1", "-2", "1.5", "v1.0", "01"]


def test_places_are_told_shortly():
    assert enumerate_lines([5]) == "line 5"
    assert enumerate_lines([5, 9]) == "lines 5 and 9"
    assert enumerate_lines([5, 9, 12]) == "lines 5, 9 and 12"
    assert enumerate_lines(range(10), "row") == "rows 0, 1, 2 and 7 more"
