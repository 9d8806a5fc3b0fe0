"""Text tables of results against gzip, pandas, tabix, plink2 and plink1.9; numbers against Python's own."""

import gzip
import shutil

import numpy as np
import pandas as pd
import pysam
import pytest
import yaml

from genotype_files import run
from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.genetics import bgzip, result_text
from pseudocohort.genetics.association import Block, associate
from pseudocohort.genetics.results import read_association, traits_in, write_association
from pseudocohort.genetics.traits import make_traits
from pseudocohort.genotypes import GenotypeWriter
from result_blocks import NAMES, make_blocks, same, whole, write_real

HEADER = result_text.COLUMNS
plink = pytest.mark.skipif(
    not (shutil.which("plink2") and shutil.which("plink1.9")), reason="needs plink2 and plink1.9"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_real(tmp_path_factory.mktemp("results"))


@pytest.mark.parametrize("size", [0, 1, 2, 39_999, 40_000])
def test_a_block_of_any_bytes_comes_back_from_gzip(size):
    text = np.random.default_rng(size).integers(0, 256, size).astype(np.uint8).tobytes() + bytes(range(256))
    text = text[:size]
    block = bgzip.block(text, bgzip.spread(text)[0].tobytes())
    assert gzip.decompress(block + bgzip.END) == text
    assert len(block) <= 65_536
    assert len(block) == int.from_bytes(block[16:18], "little") + 1


def numbers():
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.uniform(1, 10, 20_000) * 10.0 ** rng.integers(-12, 12, 20_000),
                        rng.uniform(1, 10, 2000) * 10.0 ** rng.integers(-300, 300, 2000),
                        10.0 ** np.arange(-307, 308), 9.999995 * 10.0 ** np.arange(-20, 20),
                        9.99999499 * 10.0 ** np.arange(-20, 20), 2.0 ** np.arange(-1074, 1023),
                        [0, 5e-324, 1e-310, np.finfo(float).max, np.finfo(float).tiny, 123456.5, 1e6]])  # fmt: skip
    return np.concatenate([x, -x])


def test_numbers_keep_six_significant_digits_whatever_their_size():
    x = numbers()
    records = result_text.Records(len(x), 4321)
    text, code = records.arrays(dict.fromkeys(("beta", "se", "af", "log10p"), x))
    rows = [row.decode().split("\t") for row in text.to_pylist()]
    assert {row[4] for row in rows} == {"4321"}
    for column in range(4):
        back = np.array([float(row[column]) for row in rows])
        with np.errstate(under="ignore"):  # a denormal number has fewer digits than six
            np.testing.assert_allclose(back, np.abs(x), rtol=5.0001e-6, atol=5e-324)
        exact = np.array([float(f"{abs(value):.5e}") for value in x])
        assert (back != exact).mean() < 1e-3  # ties, which Python decides by the digits beyond a double's
    assert {len(row[0]) for row, value in zip(rows, x, strict=True) if 1e-9 <= abs(value) < 9e9} == {10}
    assert [bgzip.spread(row)[0].tobytes() for row in text.to_pylist()] == code.to_pylist()


def test_text_tables_say_what_the_blocks_say(folder):
    expected = sorted(f"{name}.tsv.gz{end}" for name in NAMES for end in ("", ".tbi", "-meta.yaml"))
    assert sorted(path.name for path in folder.iterdir()) == expected
    for k, name in enumerate(NAMES):
        truth = whole(make_blocks(), k)
        theirs = pd.read_csv(folder / f"{name}.tsv.gz", sep="\t", dtype={"effect_allele": str, "other_allele": str})
        assert theirs.columns.tolist() == list(HEADER)
        assert theirs["chromosome"].tolist() == truth["chrom"].map({"2": 2, "X": 23}).tolist()
        assert theirs["effect_allele"].tolist() == truth["alt"].tolist()
        assert theirs["other_allele"].tolist() == truth["ref"].tolist()
        np.testing.assert_allclose(theirs["neg_log_10_p_value"], truth["log10p"], rtol=5.0001e-6)
        same(read_association(folder, name), truth, 5.0001e-6)
    assert len(theirs) == 2103 > len(read_association(folder, "height")) > 1800
    assert traits_in(folder) == sorted(NAMES)


def test_tabix_finds_what_a_search_through_all_rows_finds(folder, tmp_path):
    rng = np.random.default_rng(3)
    for name in ("height", "a.b"):
        lines = gzip.decompress((folder / f"{name}.tsv.gz").read_bytes()).decode().splitlines()[1:]
        place = [(row.split("\t")[0], int(row.split("\t")[1])) for row in lines]
        shutil.copy(folder / f"{name}.tsv.gz", tmp_path / "theirs.tsv.gz")
        pysam.tabix_index(str(tmp_path / "theirs.tsv.gz"), force=True, seq_col=0, start_col=1, end_col=1, line_skip=1)
        with (
            pysam.TabixFile(str(folder / f"{name}.tsv.gz")) as mine,
            pysam.TabixFile(str(tmp_path / "theirs.tsv.gz")) as theirs,
        ):
            assert mine.contigs == ["2", "23"]
            found = 0
            for width in (1, 100, 40_000, 10**6, 10**8) * 12:
                chrom = str(rng.choice(["2", "23"]))
                start = int(rng.choice([p for c, p in place if c == chrom])) - 1 - int(rng.integers(0, width))
                region = (chrom, max(start, 0), start + width + 1)
                expected = [
                    row for row, (c, p) in zip(lines, place, strict=True) if c == chrom and region[1] < p <= region[2]
                ]
                assert list(mine.fetch(*region)) == expected == list(theirs.fetch(*region))
                found += len(expected)
            assert found > 1000
            assert list(mine.fetch("23")) == [row for row in lines if row.startswith("23\t")]
            assert list(mine.fetch("2", 199_999_999, 200_000_100)) == []


def test_a_row_longer_than_a_block_is_split(tmp_path):
    block = make_blocks((40,))[0]
    sites = block.sites.assign(alt=["A" * (100_000 if i == 20 else 1) for i in range(40)])
    write_association(
        tmp_path / "long", [Block(sites, *(getattr(block, c) for c in ("beta", "se", "af", "n", "df")))], NAMES
    )
    table = read_association(tmp_path / "long", "asthma")
    assert table["alt"].str.len().tolist() == [100_000 if i == 20 else 1 for i in range(40)]
    with pysam.TabixFile(str(tmp_path / "long" / "asthma.tsv.gz")) as file:
        assert [row.split("\t")[-1] for row in file.fetch("2")] == table["id"][table["chrom"] == "2"].tolist()
        last = table.iloc[-1]
        assert len(list(file.fetch("23", last["pos"] - 1, last["pos"]))) >= 1


def test_a_run_that_begins_with_x_is_indexed_but_not_sorted(tmp_path):
    two, x = (block for block in make_blocks((600, 400)))
    parts = [(x, slice(None)), (two, slice(0, 300))]
    x_first = [Block(b.sites[rows], b.beta[rows], b.se[rows], b.af[rows], b.n, b.df) for b, rows in parts]
    write_association(tmp_path / "r", x_first, NAMES)
    assert yaml.safe_load((tmp_path / "r" / "a.b.tsv.gz-meta.yaml").read_text())["is_sorted"] is False
    with pysam.TabixFile(str(tmp_path / "r" / "a.b.tsv.gz")) as file:
        assert file.contigs == ["23", "2"]
        assert len(list(file.fetch("2"))) == 300


def test_the_same_results_are_the_same_bytes_and_cuts_do_not_matter(folder, tmp_path):
    write_association(tmp_path / "again", iter(make_blocks()), NAMES, {"genome_assembly": "GRCh38"})
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    cut = []
    for block in make_blocks():
        for rows in (slice(0, 1), slice(1, None)):
            cut.append(Block(block.sites[rows], block.beta[rows], block.se[rows], block.af[rows], block.n, block.df))
    write_association(tmp_path / "cut", cut, NAMES)
    for name in NAMES:
        texts = [gzip.decompress((f / f"{name}.tsv.gz").read_bytes()) for f in (folder, tmp_path / "cut")]
        assert texts[0] == texts[1]


def test_programs_of_htslib_read_them(folder):
    for name in NAMES:
        run("bgzip", "--test", folder / f"{name}.tsv.gz")
        run("gzip", "-t", folder / f"{name}.tsv.gz")
    rows = run("tabix", folder / "血圧.tsv.gz", "23").splitlines()
    assert len(rows) == (read_association(folder, "血圧")["chrom"] == "X").sum()


@plink
def test_plink_reads_them(tmp_path):
    rng = np.random.default_rng(9)
    people, m = 300, 400
    alleles = (rng.random((m, 2 * people)) < rng.uniform(0.1, 0.5, (m, 1))).astype(np.int8)
    for i in range(1, m, 2):  # pairs in strong disequilibrium
        alleles[i] = np.where(rng.random(2 * people) < 0.02, alleles[i], alleles[i - 1])
    sites = pd.DataFrame({"chrom": "22", "pos": 1000 + 5000 * np.arange(m), "ref": "A", "alt": "G",
                          "id": [f"22:{1000 + 5000 * i}:A:G" for i in range(m)]})  # fmt: skip
    with GenotypeWriter(
        tmp_path / "g", np.array([f"p{i}" for i in range(people)]), np.tile([1, 2], people // 2), m
    ) as writer:
        writer.append(alleles, sites)
    dosage = alleles[:, 0::2].astype(float) + alleles[:, 1::2]
    y = dosage[[10, 200, 350]].T @ np.array([0.5, -0.7, 0.9]) + rng.normal(size=people)
    dictionary = Dictionary((Item("t", "continuous"),))
    traits = make_traits(pd.DataFrame({"t": y}), np.tile([1, 2], people // 2), None, None, dictionary)
    write_association(tmp_path / "r", associate([tmp_path / "g"], None, traits), traits.names)
    file, table = tmp_path / "r" / "t.tsv.gz", read_association(tmp_path / "r", "t")
    # --score by the numbers of the columns variant_id, effect_allele and beta
    run("plink2", "--pfile", tmp_path / "g", "--score", file, "10", "3", "5", "header", "no-mean-imputation",
        "cols=scoresums", "--out", tmp_path / "s")  # fmt: skip
    sums = pd.read_csv(tmp_path / "s.sscore", sep="\t")["SCORE1_SUM"]
    np.testing.assert_allclose(sums, table["beta"] @ dosage, rtol=1e-4, atol=1e-4)
    # plink1.9 knows no -log10 p: as README.md has it
    run("plink2", "--pfile", tmp_path / "g", "--make-bed", "--out", tmp_path / "bed")
    text = pd.read_csv(file, sep="\t")
    text.assign(P=10 ** -text["neg_log_10_p_value"]).to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    run("plink1.9", "--bfile", tmp_path / "bed", "--clump", tmp_path / "t.tsv", "--clump-snp-field", "variant_id",
        "--clump-p1", "1e-6", "--clump-r2", "0.1", "--out", tmp_path / "c")  # fmt: skip
    clumps = pd.read_csv(tmp_path / "c.clumped", sep=r"\s+")
    assert clumps["SNP"][0] == table["id"][table["log10p"].idxmax()]
    near = [min(abs(int(name.split(":")[1]) - (1000 + 5000 * i)) for i in (10, 200, 350)) for name in clumps["SNP"]]
    assert len(clumps) == 3
    assert max(near) <= 5000
