"""What must not leave: ids of real people and traces of the machine, wherever they stand."""

import base64
import gzip
import html
import json
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pseudocohort.release import scan
from pseudocohort.release.sought import real_ids
from release_run import (
    asked,
    audit,
    cohort,
    short,
)

PLACES = {
    "report.html": lambda p, word: p.write_text(f"<td>{word}</td>"),
    "association_hits/synthetic.tsv": lambda p, word: p.write_text(f"trait\n{word}_bmi\n"),
    "association/synthetic/bmi.tsv.gz": lambda p, word: p.write_bytes(gzip.compress(f"a\t{word}".encode())),
    "synthetic/vcf/chr22.vcf.gz": lambda p, word: p.write_bytes(gzip.compress(f"##source=x {word};y\n".encode())),
    "run_config.yaml": lambda p, word: p.write_text(f"config: {{path: /data/{word}.vcf}}\n"),
    "synthetic/genotypes/chr22.pvar": lambda p, word: p.write_text(f"##x={word}\n#CHROM\tPOS\tID\tREF\tALT\n"),
}


@pytest.mark.parametrize("name", PLACES)
def test_an_id_of_a_real_person_is_found_wherever_it_stands(results, name):
    PLACES[name](results / name, "JP-00017-X")
    audit(results, cohort())
    traces = short(asked(results))["traces"]
    assert traces[0].endswith("an id of a real person")
    assert "JP-00017-X" not in json.dumps(traces)


def found(path, *ids: str) -> list[str]:
    """What is found of these ids in a file, on a machine without names."""
    return scan.traces(path, scan.words_of(ids), scan.Machine((), "", ""))


def test_plain_numbers_are_ids_where_ids_stand_only(results):
    """12345 is a person's id and a position of the .pvar; 4711 stands in a column of ids."""
    (results / "association_hits/synthetic.tsv").write_text("trait\tn\n4711\t2\n")
    audit(results, cohort())
    assert short(asked(results)) == {"traces": ["association_hits.tsv: an id of a real person in a column of ids"]}


@pytest.mark.parametrize(
    ("name", "text", "there"),
    [
        ("a.tsv", "item\tn\tFather\nheight\t4711\t17\n", False),
        ("a.tsv", "item\tn\tFather\nheight\t17\t4711\n", True),
        ("a.tsv", "item\tn\tFather\nheight\t17\n", False),
        ("a.tsv", "\nperson\tn\nx\t4711\n4711\t5\n", True),
        ("a.psam", "#FID\tIID\tSEX\nx\t4711\t1\n", True),
        ("a.psam", "#FID\tIID\tSEX\nx\ty\t4711\n", False),
        ("a.psam", "##made\n#IID\tPAT\tMAT\ny\t0\t4711\n", True),
        ("a.pvar", "#CHROM\tPOS\tID\n4711\t4711\t4711\n", False),  # 22 may be a person, and is a chromosome
        ("a.vcf", "##x\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tP1\t4711\n", True),
        ("a.vcf", "##x\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tP1\tP2\n1\t4711\n", False),
        ("a.md", "people\n4711\tof\n", False),
        ("a.json", '{"people": 4711, "n": 4711.5}', False),
    ],
)
def test_numbers_in_columns_of_ids(tmp_path, name, text, there):
    (tmp_path / name).write_text(text)
    assert bool(found(tmp_path / name, "4711")) == there
    with gzip.open(tmp_path / f"{name}.gz", "wt") as file:
        file.write(text)
    assert bool(found(tmp_path / f"{name}.gz", "4711")) == there


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{{"x": "{}"}}'),
        ("a.json", '{{"x": ["y", "{}", "z"]}}'),
        ("a.html", "<td>{}</td>"),
        ("a.html", "<td>\n  {}\n</td>"),
        ("a.html", "<b>of &#39;{}&#39;</b>"),
        ("a.html", "<b>of &quot;{}&quot;</b>"),
        ("a.yaml", "people:\n- '{}'\n"),
        ("a.vcf", "##SAMPLE=<ID={}>\n##x\n"),
        ("a.vcf", "##SAMPLE=<ID={},Sex=F>\n##x\n"),
        ("a.tsv", "item\tcode\nx\t'{}.0'\n"),
    ],
)
def test_numbers_of_five_digits_and_more_between_marks(tmp_path, name, text):
    for word in ("1234567", "12345"):
        (tmp_path / name).write_text(text.format(word))
        assert found(tmp_path / name, word) == ["an id of a real person"]
        assert found(tmp_path / name, "1234568", "123456", "2345") == []


@pytest.mark.parametrize(
    "text",
    ['{"person": 4711}', "person: 4711\n", '{"iid": [4711.0]}', "##SAMPLE=<ID=4711>\n", '{"eid": "4711", "n": 1}'],
)
def test_short_numbers_behind_keys_of_people(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    assert found(tmp_path / "a.json", "4711")
    assert not found(tmp_path / "a.json", "471", "711")


@pytest.mark.parametrize(
    ("name", "text", "there"),
    [
        *((f"a.{end}", f"n{mark}{column}{mark}x\n1{mark}4711{mark}2\n", True)
          for column in ("eid", "subject_id", "patient_id", "participant", "subject", "ID")
          for end, mark in (("tsv", "\t"), ("csv", ","), ("csv", ";"), ("txt", ","))),
        ("a.tsv", 'n\t"person"\n1\t"4711"\n', True),
        ("a.tsv", "n\tperson\n1\t4711.0\n", True),
        ("a.tsv", "n\tperson\n1\t4711.01\n", False),
        ("a.csv", 'n,person\n"1,2",4711\n', True),
        ("a.csv", 'n,person\n"1,4711",3\n"1,4711,4",\n', True),  # cannot be told from a mark too many
        ("a.csv", "name,n\n4711,1\n", True),
        ("a.csv", "name,n\n1,4711\n", False),
        ("a.fam", "F1 4711 0 0 1 -9\n", True),
        ("a.fam", "F1 I1 0 4711 1 -9\n", True),
        ("a.fam", "F1 I1 0 0 1 4711\n", False),
        ("a.txt", "FID IID n\nF 4711 1\n", True),
        ("a.txt", "FID IID n\nF x 4711\n", False),
        ("a.md", "Of people, and more\n4711, or 4711\n", False),
        ("a.tsv", "trait\tchrom\tpos\tid\nbmi\t4711\t4711\t4711\n", False),  # a variant's
    ],
)  # fmt: skip
def test_tables_of_other_forms(tmp_path, name, text, there):
    (tmp_path / name).write_text(text)
    assert bool(found(tmp_path / name, "4711")) == there


def test_numbers_of_variants_and_of_reports_are_no_ids(tmp_path):
    """Positions, lengths, counts and coordinates that are the numbers of people too."""
    (tmp_path / "a.pvar").write_text(
        "##contig=<ID=22,length=50818468>\n#CHROM\tPOS\tID\tREF\tALT\n22\t1234567\t22:1234567:A:C\tA\tC\n"
    )
    (tmp_path / "a.json").write_text('{"sites": 1234567, "subject": "22", "k": [1234567, 50818468]}')
    (tmp_path / "a.html").write_text("<td>1,234,567</td> 1234567 people <path d='M 1234567 1234567'/>")
    for name in ("a.pvar", "a.json", "a.html"):
        assert found(tmp_path / name, "1234567", "50818468", "22") == []


def test_the_time_for_marks_is_linear(tmp_path):
    for text in (
        '"' + " " * 1_000_000,
        '" ' * 500_000,
        ">" + "1" * 1_000_000,
        "=1" * 500_000,
        '"person":' + " " * 1_000_000,
    ):
        (tmp_path / "a.txt").write_text(text)
        start = time.process_time()
        assert found(tmp_path / "a.txt", "1234567") == []
        assert time.process_time() - start < 5


KINDS = {
    "text": pa.array(["x", "1234567"]),
    "large text": pa.array(["x", "1234567"], pa.large_string()),
    "text view": pa.array(["x", "1234567"], pa.string_view()),
    "bytes": pa.array([b"x", b"1234567"], pa.large_binary()),
    "fixed bytes": pa.array([b"7654321", b"1234567"], pa.binary(7)),
    "dictionary": pa.array(["x", "1234567"]).dictionary_encode(),
    "list": pa.array([["x"], ["y", "1234567"]]),
    "list of numbers": pa.array([[1], [1234567]]),
    "structure": pa.array([{"a": {"b": "1234567"}}]),
    "mapping": pa.array([[("1234567", 1)]], pa.map_(pa.string(), pa.int64())),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_column_is_looked_through(tmp_path, kind):
    number = len(KINDS[kind])
    pq.write_table(
        pa.table({"item": ["x"] * number, "n": [1234567] * number, "notes": KINDS[kind]}), tmp_path / "a.parquet"
    )
    assert found(tmp_path / "a.parquet", "1234567") == ["an id of a real person in column notes"]
    assert found(tmp_path / "a.parquet", "1234568", "234567") == []


@pytest.mark.parametrize("name", ["person", "mother", "eid"])
@pytest.mark.parametrize("kind", [pa.int32(), pa.float64(), pa.float32(), pa.decimal128(12, 2)])
def test_columns_of_ids_of_any_number(tmp_path, name, kind):
    column = pa.array([None, 4711], pa.int32()).cast(kind)
    pq.write_table(pa.table({"item": ["x", "y"], "n": column, name: column}), tmp_path / "a.parquet")
    assert found(tmp_path / "a.parquet", "4711") == [f"an id of a real person in column {name}"]
    assert found(tmp_path / "a.parquet", "471", "47110") == []


def test_numbers_in_columns_of_ids_of_parquet(tmp_path):
    table = pd.DataFrame({"person": ["PC1", "PC2"], "code": ["4711", "b"], "n": [4711, 2], "mother": [1, 4712]})
    table.to_parquet(tmp_path / "a.parquet")
    assert found(tmp_path / "a.parquet", "4711") == []
    assert found(tmp_path / "a.parquet", "4712") == ["an id of a real person in column mother"]
    table.assign(note="of JP-7_X, seen").to_parquet(tmp_path / "a.parquet")
    assert found(tmp_path / "a.parquet", "JP-7_X") == ["an id of a real person in column note"]


ODD = [
    "FAM1:ID2",
    "a b",
    "JP|7/x",
    "x=1;y",
    "K&Co, 7",
    "O'Hara 7",
    "<b>7",
    "(JP7)",
    "7-山田-7",
    "JP-7_X.2",
    "1234567890",
    "NA12878",
]


@pytest.mark.parametrize("word", ODD)
@pytest.mark.parametrize("around", ["{}", "see {}, please", "x={};", "<td>{}</td>", '"{}"', "z_{}_bmi.tsv", "は{}が"])
def test_ids_of_any_form_are_found(tmp_path, word, around):
    others = [f"FAM{i}:ID{i + 5}" for i in range(50)]  # of the same form as some, and not there
    for text in (word, html.escape(word), html.escape(word).replace("&#x27;", "&#39;"), json.dumps(word)[1:-1]):
        (tmp_path / "a.txt").write_text("x: y\n" * 9 + around.format(text))
        assert found(tmp_path / "a.txt", word, *others) == ["an id of a real person"]
    (tmp_path / "a.txt").write_text(around.format(word.replace("7", "8").replace("2", "3").replace("b", "c")))
    assert word == "x=1;y" or not found(tmp_path / "a.txt", word, *others)


def test_parts_of_words_and_of_numbers_are_no_ids(tmp_path):
    text = "FAM1:ID22 XFAM1:ID2 0.1234567890 1234567890.5 11234567890 NA128789 FAM1-ID2 FAM1:ID FAM1 a  b aa bb 1:2"
    (tmp_path / "a.txt").write_text(text)
    assert found(tmp_path / "a.txt", "FAM1:ID2", "1234567890", "NA12878", "a b", "1:2", "b") == []


def test_ids_in_pictures_of_a_page(tmp_path):
    picture = base64.b64encode(b"<svg><text>JP-00017-X</text></svg>").decode()
    (tmp_path / "a.html").write_text(f'<img src="data:image/svg+xml;base64,{picture}">;base64,A')
    assert found(tmp_path / "a.html", "JP-00017-X") == ["an id of a real person"]
    assert found(tmp_path / "a.html", "JP-00017-Y") == []


VCF = "##x\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tP1\tP2\n22\t7\trs1\tA\tC\t.\tPASS\t.\tGT\t{}\n"


@pytest.mark.parametrize(
    "calls", ["JPX|0", "0|0\tJPX", "0|0\t0|0\tJPX", "0|0\t0|0;JPX", "0|0\t0|0\nJPX", "0|0\t0|0\r\nJPX", "JPX"]
)
def test_no_id_hides_among_genotypes(tmp_path, calls):
    with gzip.open(tmp_path / "a.vcf.gz", "wt", newline="") as file:
        file.write(VCF.format("0|1\t1|1") + VCF.format(calls))
    assert found(tmp_path / "a.vcf.gz", "JPX") == ["an id of a real person"]
    assert found(tmp_path / "a.vcf.gz", "JPY") == []


def test_genotypes_alone_are_left_out_of_what_is_looked_through():
    line = VCF.format("0|1\t1|0").splitlines(keepends=True)[-1].encode()
    assert scan._without_calls(line) == line[: line.index(b"GT") + 2] + b"\n"
    for call in ("0/1", "0|2", "0|1:5", ".|.", "0|15", "01|"):
        other = line.replace(b"1|0", call.encode())
        assert scan._without_calls(other) == other


def test_ids_of_parents_families_and_the_dropped_are_sought(tmp_path):
    (tmp_path / "s.tsv").write_text("sample\tkin\tPAT\tmother\nJP1\tOakes\tDad-1\t0\nJP2\t\t\tMum-1\n")
    (tmp_path / "p.csv").write_text("height,IID\n170,JP1\n160,JP9\n")
    (tmp_path / "w.txt").write_text("GONE-1\n")
    (tmp_path / "g.psam").write_text("#IID\tSEX\nJP1\t1\nJP5\t2\n")
    for end in ("pgen", "pvar"):
        (tmp_path / f"g.{end}").write_text("not read")
    ids = real_ids([tmp_path / "g.pgen"], str(tmp_path / "s.tsv"), {"family": "kin"}, str(tmp_path / "p.csv"), None,
                   tmp_path / "w.txt")  # fmt: skip
    assert ids == {"JP1", "JP2", "JP5", "JP9", "Oakes", "Dad-1", "Mum-1", "GONE-1"}
    assert real_ids([], None, {}, str(tmp_path / "p.csv"), "height", None) == {"170", "160"}


def test_folders_of_the_inputs(tmp_path, monkeypatch):
    (tmp_path / "far/genomes").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/data").symlink_to(tmp_path / "far/genomes")
    monkeypatch.chdir(tmp_path / "run")
    machine = scan.this_machine(inputs=["data/chr{chrom}.vcf.gz", "/bank/a.tsv", "/bank/maps/chr1.map"])
    assert {str(tmp_path / "run"), str(tmp_path / "far/genomes"), "/bank/", "/bank/maps"} <= set(machine.folders)
    assert "data" not in machine.folders
    (tmp_path / "a.md").write_text("from /bank/a.tsv")
    assert scan.traces(tmp_path / "a.md", scan.words_of([]), machine) == ["a folder of this machine"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("made in /srv/bank/run7/results", ["a folder of this machine"]),
        ("see /home/sato/x and sato san", ["the name of the user"]),
        ("by sato alone", []),
        ("on node-0815 at night", ["the name of the host"]),
        ("mail sato@node-0815", ["the name of the user", "the name of the host"]),
        ("node-08150 and anode-0815", []),
    ],
)
def test_traces_of_the_machine(tmp_path, text, expected):
    (tmp_path / "a.md").write_text(text)
    machine = scan.Machine(("/srv/bank/run7",), "sato", "node-0815")
    assert scan.traces(tmp_path / "a.md", scan.words_of([]), machine) == expected


def test_words_across_the_borders_of_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(scan, "CHUNK", 64)
    rng = np.random.default_rng(1)
    for place in range(0, 200, 7):
        text = "".join(rng.choice(list("abc \t\n"), place)) + " JP-00017-X " + "".join(rng.choice(list("abc\n "), 90))
        (tmp_path / "a.txt").write_text(text)
        assert found(tmp_path / "a.txt", "JP-00017-X")
        (tmp_path / "a.txt").write_text(text.replace("JP-00017-X", "JP-00017-Y"))
        assert not found(tmp_path / "a.txt", "JP-00017-X")
