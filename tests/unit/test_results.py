"""Association results written and read: metadata, nothing to write, interrupted, refused, damaged, memory."""

import gzip
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest
import yaml

from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.errors import InputError
from pseudocohort.genetics import bgzip, result_columns, result_text
from pseudocohort.genetics.association import Block
from pseudocohort.genetics.results import describe, read_association, traits_in, write_association
from pseudocohort.genetics.traits import NORMAL_SCORES, make_traits
from result_blocks import NAMES, make_blocks, write_real


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_real(tmp_path_factory.mktemp("results"))


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
