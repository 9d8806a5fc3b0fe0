"""What must not leave: ids of real people and traces of the machine, wherever they stand."""

import gzip
import json

import numpy as np
import pytest

from pseudocohort.release import scan
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
    found = short(asked(results))["traces"]
    assert found[0].endswith("an id of a real person")
    assert "JP-00017-X" not in json.dumps(found)


def test_plain_numbers_are_ids_where_ids_stand_only(results):
    """12345 is a person's id and a position of the .pvar; 4711 stands in a column of ids."""
    (results / "association_hits/synthetic.tsv").write_text("trait\tn\n4711\t2\n")
    audit(results, cohort())
    assert short(asked(results)) == {"traces": ["association_hits.tsv: an id of a real person in the first column"]}


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
        assert scan.traces(tmp_path / "a.txt", scan.words_of(["JP-00017-X"]), scan.Machine((), "", ""))
        (tmp_path / "a.txt").write_text(text.replace("JP-00017-X", "JP-00017-Y"))
        assert not scan.traces(tmp_path / "a.txt", scan.words_of(["JP-00017-X"]), scan.Machine((), "", ""))
