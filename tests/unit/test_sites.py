"""The text files beside a .pgen: against pandas and plain Python, and what is not ours is refused."""

import numpy as np
import pandas as pd
import pytest

from pseudocohort import sites as module
from pseudocohort.errors import InputError
from pseudocohort.sites import SiteLines, count_people, write_psam


def lines_of(rng, n):
    pos = np.sort(rng.integers(1, 10 ** rng.integers(1, 10, n)))
    return [f"X\t{p}\tX:{p}:A:{'C' * (i % 7 + 1)}\tA\t{'C' * (i % 7 + 1)}\n" for i, p in enumerate(pos)]


HEADER = "#CHROM\tPOS\tID\tREF\tALT\n"


@pytest.mark.parametrize("chunk", [64, 1000, 2**22])
@pytest.mark.parametrize("block", [7, 2**16])
def test_lines_are_picked_as_they_are(tmp_path, monkeypatch, chunk, block):
    monkeypatch.setattr(module, "CHUNK_BYTES", chunk)
    monkeypatch.setattr(module, "LINES", block)
    rng = np.random.default_rng(4)
    lines = lines_of(rng, 200)
    path = tmp_path / "in.pvar"
    path.write_text("##fileformat=VCFv4.2\n##contig=<ID=X>\n" + HEADER + "".join(lines))
    read = SiteLines(path)
    table = pd.read_csv(path, sep="\t", skiprows=2)
    assert len(read) == 200
    np.testing.assert_array_equal(read.positions, table["POS"])
    assert read.name(41) == f"{path}, site {table['ID'][41]}"
    for kept in (rng.random(200) < 0.6, np.ones(200, dtype=bool), np.arange(200) == 199, np.zeros(200, dtype=bool)):
        read.write(tmp_path / "out.pvar", kept)
        picked = [line for line, keep in zip(lines, kept, strict=True) if keep]
        assert (tmp_path / "out.pvar").read_text() == HEADER + "".join(picked)


def test_a_file_without_sites(tmp_path):
    (tmp_path / "in.pvar").write_text(HEADER)
    assert len(SiteLines(tmp_path / "in.pvar")) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#CHROM\tPOS\tID\tREF\tALT\tINFO\n1\t5\ta\tA\tC\tx\n", "another header"),
        ("", "another header"),
        (HEADER + "1\t5\ta\tA\n1\t6\tb\tA\tC\tD\n", "other than five columns near line 1 of its sites"),
        (HEADER + "1\t5\ta\tA\tC\n1\t6\tb\tA\tC\tD\n", "other than five columns"),
        (HEADER + "1\t5\ta\tA\tC\n1\t6\tb", "in the middle of a line"),
        (HEADER + "1\t5\ta\tA\tC\n1\t6x\tb\tA\tC\n", "position that is not a number"),
        (HEADER + "1\t-5\ta\tA\tC\n", "position that is not a number"),
        (HEADER + "1\t\ta\tA\tC\n", "position that is not a number"),
        (HEADER + "1\t" + 30 * "9" + "\ta\tA\tC\n", "position that is not a number"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    (tmp_path / "in.pvar").write_text(text)
    with pytest.raises(InputError, match=message):
        SiteLines(tmp_path / "in.pvar")


def test_people(tmp_path):
    write_psam(tmp_path / "out.psam", np.array(["a", "b", "長"]), np.array([0, 1, 2]))
    assert (tmp_path / "out.psam").read_bytes() == "#IID\tSEX\na\tNA\nb\t1\n長\t2\n".encode()
    assert count_people(tmp_path / "out.psam") == 3
