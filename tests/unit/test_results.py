"""Association result files against gzip, pandas, tabix, plink2 and plink1.9; numbers against Python's own."""

import gzip
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pysam
import pytest
import yaml

from genotype_files import run
from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.errors import InputError
from pseudocohort.genetics import bgzip, result_columns, result_text
from pseudocohort.genetics.association import Block, associate
from pseudocohort.genetics.results import describe, read_association, traits_in, write_association
from pseudocohort.genetics.tails import minus_log10_p
from pseudocohort.genetics.traits import NORMAL_SCORES, make_traits
from pseudocohort.genotypes import GenotypeWriter

NAMES = ("height", "asthma", "血圧", "a.b")
HEADER = result_text.COLUMNS
plink = pytest.mark.skipif(
    not (shutil.which("plink2") and shutil.which("plink1.9")), reason="needs plink2 and plink1.9"
)


def make_blocks(sizes=(700, 900, 3, 500), seed=1, traits=4):
    """Blocks of a chromosome 2 and then X: positions repeat and jump, alleles of all lengths, some without estimate."""
    rng, place, blocks = np.random.default_rng(seed), 0, []
    m = sum(sizes)
    chrom = np.where(np.arange(m) < 0.6 * m, "2", "X")
    pos = np.sort(np.concatenate([rng.integers(1, 10**5, m // 2), rng.integers(1, 2 * 10**8, m - m // 2)]))
    for c in ("2", "X"):
        pos[chrom == c] = np.sort(rng.permutation(pos)[: (chrom == c).sum()])
    n, df = np.array([900, 1200, 1200, 50])[:traits], np.array([890.0, np.inf, 1190, 40])[:traits]
    for size in sizes:
        rows = slice(place, place + size)
        alt = ["".join(rng.choice(list("ACGT"), rng.choice([1, 1, 1, 2, 30]))) for _ in range(size)]
        names = [f"rs{i}" for i in range(place, place + size)]
        ref = rng.choice(list("ACGT"), size)
        sites = pd.DataFrame({"chrom": chrom[rows], "pos": pos[rows], "id": names, "ref": ref, "alt": alt})
        sites = pd.concat([sites[:1], sites[1:]]).set_axis(
            range(10, 10 + size)
        )  # texts in pieces, an index of any start
        af = np.repeat(rng.uniform(0.01, 0.99, size)[:, None], traits, axis=1)
        af[:, 0] += 1e-3
        se = rng.uniform(0.01, 0.2, (size, traits))
        beta = rng.normal(size=(size, traits)) * se
        gone = rng.random(size) < 0.1
        beta[gone, 0], se[gone, 0], af[gone, 0] = np.nan, np.nan, np.nan
        blocks.append(Block(sites, beta, se, af, n, df))
        place += size
    return blocks


def whole(blocks, k):
    """What a table of trait k should say, row by row."""
    sites = pd.concat([block.sites for block in blocks], ignore_index=True)
    beta, se, af = (np.concatenate([getattr(block, c)[:, k] for block in blocks]) for c in ("beta", "se", "af"))
    log10p = minus_log10_p(beta / se, blocks[0].df[k])
    table = sites.assign(effect_allele=sites["alt"], beta=beta, se=se, log10p=log10p, n=blocks[0].n[k], af=af)
    return table[np.isfinite(beta) & np.isfinite(se) & (se > 0)].reset_index(drop=True)


def same(mine, expected, rtol):
    texts = ["chrom", "pos", "id", "ref", "alt", "effect_allele", "n"]
    assert mine.columns.tolist() == [*texts[:-1], "beta", "se", "log10p", "n", "af"]
    for column in texts:
        assert mine[column].tolist() == expected[column].tolist(), column
    for column in ("beta", "se", "log10p", "af"):
        np.testing.assert_allclose(mine[column], expected[column], rtol=rtol, err_msg=column)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "real"
    assert write_association(path, iter(make_blocks()), NAMES, {"genome_assembly": "GRCh38"}) == 2103
    return path


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


def test_the_columnar_store_says_the_same(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(result_columns, "GROUP_VALUES", 8 * 900)
    assert write_association(tmp_path / "store", iter(make_blocks()), NAMES, {}, columnar_above=3) == 2103
    (store,) = (tmp_path / "store").iterdir()
    assert pq.ParquetFile(store).num_row_groups == 2  # 700 and 900 rows, then 503 and the end
    assert traits_in(tmp_path / "store") == list(NAMES)
    for k, name in enumerate(NAMES):
        same(
            read_association(tmp_path / "store", name).assign(af=whole(make_blocks(), k)["af"]),
            whole(make_blocks(), k),
            3e-7,
        )
    af = read_association(tmp_path / "store", "height")["af"]
    np.testing.assert_allclose(af, whole(make_blocks(), 0)["af"] - 1e-3, rtol=1e-6)  # of the trait with most people
    part = pd.read_parquet(store, columns=["chromosome", "beta:a.b", "se:血圧"])
    assert part.columns.tolist() == ["chromosome", "beta:a.b", "se:血圧"]
    assert (
        part["chromosome"].tolist()
        == pd.concat([b.sites for b in make_blocks()])["chrom"].map({"2": 2, "X": 23}).tolist()
    )
    np.testing.assert_array_equal(part["se:血圧"], np.concatenate([b.se[:, 2] for b in make_blocks()]).astype("f4"))
    np.testing.assert_array_equal(pd.read_parquet(store)["beta:height"].isna(),
                                  np.isnan(np.concatenate([b.beta[:, 0] for b in make_blocks()])))  # fmt: skip


def test_the_frequency_among_all_is_that_of_the_trait_with_most_people():
    af = np.array([[0.1, 0.2, 0.3], [0.1, np.nan, 0.3], [np.nan, np.nan, 0.3], [np.nan] * 3])
    np.testing.assert_array_equal(result_columns.overall_frequency(af, np.array([5, 9, 1])), [0.2, 0.1, 0.3, np.nan])


def test_metadata_name_unit_model_and_covariates(tmp_path):
    rng = np.random.default_rng(5)
    people = 400
    bmi = Item("bmi", "continuous", label="Body mass index", unit="kg/m2")
    cyst = Item("cyst", "binary", categories=("no", "yes"), asked_if=(("sex", ("female",)),))
    dictionary = Dictionary((bmi, cyst))
    sex = np.tile([1, 2], people // 2)
    table = pd.DataFrame(
        {"bmi": rng.normal(size=people), "cyst": np.where(sex == 2, rng.choice(["no", "yes"], people), None)}
    )
    for normal, unit in ((True, NORMAL_SCORES), (False, "kg/m2")):
        traits = make_traits(
            table, sex, rng.uniform(20, 80, people), None, dictionary, rng.normal(size=(people, 3)), normal
        )
        about = describe(traits, dictionary, "GRCh38", 20)
        block = make_blocks((20,), traits=2)[0]
        block = Block(block.sites, block.beta, block.se, block.af, np.array([400, 200]), block.df)
        write_association(tmp_path / unit.replace("/", ""), [block], traits.names, about)
        bmi, cyst = (
            yaml.safe_load((tmp_path / unit.replace("/", "") / f"{name}.tsv.gz-meta.yaml").read_text(encoding="utf-8"))
            for name in ("bmi", "cyst")
        )
        assert bmi["unit_of_beta"] == unit
        assert bmi["trait_description"] == ["Body mass index"]
        assert bmi["samples"][0]["sample_size"] == 400
        assert bmi["adjusted_covariates"] == ["age", "age^2", "sex", "PC1", "PC2", "PC3"]
        assert (bmi["principal_components"], bmi["minimum_minor_allele_count"], bmi["sex"]) == (3, 20, "combined")
        assert (bmi["is_sorted"], bmi["genome_assembly"], bmi["coordinate_system"]) == (True, "GRCh38", "1-based")
        assert "0 or 2" in bmi["coding_of_x"]
        assert cyst["model"] == "logistic score test with saddle-point approximation"
        assert cyst["unit_of_beta"] == "log odds"
        assert cyst["sex"] == "F"
        cases = int((table["cyst"] == "yes").sum())
        assert cyst["samples"][0]["case_control_study"]
        assert (cyst["samples"][0]["case_count"], cyst["samples"][0]["control_count"]) == (cases, 200 - cases)
        assert not [key for key in bmi if "date" in key]
    write_association(tmp_path / "store", [block], traits.names, about, columnar_above=0)
    told = result_columns.read_about(tmp_path / "store" / result_columns.NAME)
    of_file = ("data_file_name", "file_type")
    assert told["cyst"] == {k: v for k, v in cyst.items() if k not in of_file} | {"n": 200, "df": None}
    assert told["bmi"]["df"] == 890


def test_without_sites_traits_or_estimates(tmp_path):
    for above in (0, 200):
        assert write_association(tmp_path / f"empty{above}", iter([]), NAMES, {}, above) == 0
        assert sorted(traits_in(tmp_path / f"empty{above}")) == sorted(NAMES)
        assert len(read_association(tmp_path / f"empty{above}", "a.b")) == 0
        block = make_blocks((50,))[0]
        block.se[:, 1] = 0
        write_association(tmp_path / f"one{above}", [block], NAMES, {}, above)
        assert len(read_association(tmp_path / f"one{above}", "asthma")) == 0
        assert len(read_association(tmp_path / f"one{above}", "a.b")) == 50
        none = Block(block.sites, *[np.empty((50, 0))] * 3, *[np.empty(0)] * 2)
        assert write_association(tmp_path / f"none{above}", [none], (), {}, above) == 50
        assert traits_in(tmp_path / f"none{above}") == []
    with pysam.TabixFile(str(tmp_path / "one200" / "asthma.tsv.gz")) as file:
        assert file.contigs == []


@pytest.mark.parametrize("above", [0, 200])
def test_interrupted_writing_leaves_nothing(tmp_path, above):
    def broken():
        yield from make_blocks()[:2]
        raise KeyboardInterrupt

    write_association(tmp_path / "real", [make_blocks((9,))[0]], NAMES, {}, above)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            write_association(tmp_path / "real", broken(), NAMES, {}, above)
    assert [path.name for path in tmp_path.iterdir()] == ["real"]
    assert len(read_association(tmp_path / "real", "asthma")) == 9


def test_sites_out_of_order_are_refused(tmp_path):
    first, second = make_blocks((300, 300))
    for blocks in ([second, first], [first, first]):
        with pytest.raises(ValueError, match="sites must be sorted"):
            write_association(tmp_path / "x", blocks, NAMES)
    first.sites["chrom"] = "scaffold_7"
    with pytest.raises(ValueError, match="1 to 22, X, Y and MT"):
        write_association(tmp_path / "x", [first], NAMES)
    assert not list(tmp_path.iterdir())


def test_a_run_that_begins_with_x_is_indexed_but_not_sorted(tmp_path):
    two, x = (block for block in make_blocks((600, 400)))
    parts = [(x, slice(None)), (two, slice(0, 300))]
    x_first = [Block(b.sites[rows], b.beta[rows], b.se[rows], b.af[rows], b.n, b.df) for b, rows in parts]
    write_association(tmp_path / "r", x_first, NAMES)
    assert yaml.safe_load((tmp_path / "r" / "a.b.tsv.gz-meta.yaml").read_text())["is_sorted"] is False
    with pysam.TabixFile(str(tmp_path / "r" / "a.b.tsv.gz")) as file:
        assert file.contigs == ["23", "2"]
        assert len(list(file.fetch("2"))) == 300


@pytest.mark.parametrize("name", ["a/b", "two words", "..", "", "あ" * 70])
def test_names_that_no_file_can_have_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="cannot be names of files") as error:
        write_association(tmp_path / "x", make_blocks((9,)), ("good", name))
    assert "rename these columns" in error.value.remedy
    assert not list(tmp_path.iterdir())


def test_a_name_may_not_come_twice(tmp_path):
    with pytest.raises(InputError, match="1 names of traits"):
        write_association(tmp_path / "x", make_blocks((9,)), ("a", "b", "a", "c"))


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    sizes, place = [], 0
    while place < len(data) and how == "blocks":
        sizes.append(int.from_bytes(data[place + 16 : place + 18], "little") + 1)
        place += sizes[-1]
    text = gzip.decompress(data).decode()
    changed = {"cut": data[:-200], "blocks": data[: sum(sizes[:-2])], "bits": data[:3000] + b"\0\0\0\0" + data[3004:],
               "text": text.encode(), "columns": gzip.compress(text.replace("beta", "odds_ratio", 1).encode()),
               "letters": gzip.compress(text.replace("e-", "x", 1).encode()),
               "chromosome": gzip.compress(text.replace("\n2\t", "\n77\t", 1).encode()), "empty": b""}  # fmt: skip
    path.write_bytes(changed[how])


@pytest.mark.parametrize("how", ["cut", "blocks", "bits", "text", "columns", "letters", "chromosome", "empty"])
def test_damaged_and_foreign_tables_are_told(folder, tmp_path, how):
    shutil.copytree(folder, tmp_path / "real")
    damage(tmp_path / "real" / "asthma.tsv.gz", how)
    with pytest.raises(InputError, match="damaged or of another kind") as error:
        read_association(tmp_path / "real", "asthma")
    assert error.value.where.endswith("asthma.tsv.gz")
    assert "base_pair_location" in error.value.expected
    assert "snakemake --force" in error.value.remedy
    assert len(read_association(tmp_path / "real", "a.b")) == 2103


def test_damaged_and_foreign_stores_are_told(tmp_path):
    folder = tmp_path / "real"
    write_association(folder, make_blocks(), NAMES, {}, 0)
    store = folder / result_columns.NAME
    whole_store = store.read_bytes()
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    for content in (whole_store[:-50], b"", (tmp_path / "other.parquet").read_bytes()):
        store.write_bytes(content)
        with pytest.raises(InputError, match="damaged or of another kind"):
            read_association(folder, "asthma")
    store.write_bytes(whole_store[:500] + bytes(2000) + whole_store[2500:])
    assert traits_in(folder) == list(NAMES)
    with pytest.raises(InputError, match="damaged or of another kind"):
        read_association(folder, "height")


def test_a_trait_without_results_is_told(folder, tmp_path):
    write_association(tmp_path / "store", make_blocks(), NAMES, {}, 0)
    for place in (folder, tmp_path / "store", tmp_path / "nowhere"):
        with pytest.raises(InputError, match="no association results of weight"):
            read_association(place, "weight")
    assert traits_in(tmp_path / "nowhere") == []


@pytest.mark.parametrize("above", [0, 200])
def test_memory_does_not_grow_with_the_number_of_sites(tmp_path, monkeypatch, above):
    monkeypatch.setattr(result_text, "WAITING", 50)
    monkeypatch.setattr(result_columns, "GROUP_VALUES", 8 * 1000)
    block = make_blocks((1000,))[0]
    block.sites["chrom"] = "1"

    def many(number):
        for k in range(number):
            place = block.sites.assign(pos=np.arange(1000) * 20_000 % 10**6 + 10**6 * k + 1).sort_values("pos")
            yield Block(place, block.beta, block.se, block.af, block.n, block.df)

    peaks, numbers = [], (5, 5, 40)  # the first fills caches
    for number in numbers:
        tracemalloc.start()
        assert write_association(tmp_path / "x", many(number), NAMES, {}, above) == 1000 * number
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 3 * 35_000  # bytes: a row of four traits would be 100, what the index takes is less


def test_results_are_read_whatever_the_missing_values(tmp_path):
    table = pd.DataFrame({"chromosome": [1, 2, 3, 23, 4], "base_pair_location": 5, "effect_allele": "NA",
                          "other_allele": "T", "beta": [0.5, np.nan, 0.5, 0.5, 0.5], "rsid": "x", "variant_id": "v",
                          "standard_error": [0.1, 0.1, 0.0, 0.1, np.inf], "effect_allele_frequency": 0.2,
                          "neg_log_10_p_value": 3.5, "n": 9})  # fmt: skip
    for missing in ("NA", "#NA", ""):
        table.to_csv(tmp_path / "t.tsv.gz", sep="\t", index=False, na_rep=missing)
        read = read_association(tmp_path, "t")
        assert read["chrom"].tolist() == ["1", "X"]
        assert read["alt"].tolist() == ["NA", "NA"]


def test_starting_costs_no_jax_pysam_or_parquet():
    code = "import sys, pseudocohort.genetics.results; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True,
                            cwd=Path(bgzip.__file__).parents[2]).stdout.split()  # fmt: skip
    assert "pseudocohort.genetics.results" in loaded
    assert not {"jax", "pysam", "pyarrow.parquet", "scipy.stats", "yaml"} & set(loaded)


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
