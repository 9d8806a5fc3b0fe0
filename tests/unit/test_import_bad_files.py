"""Import of genotypes as strangers' files have them: every error by its text, and nothing is written."""

import gzip
import os
import shutil
import time
from pathlib import Path

import pytest

from genotype_files import PEOPLE, content, good, people_table, random_rows, run, spoilt, vcf_text
from pseudocohort.cohort.import_genotypes import import_chromosome
from pseudocohort.cohort.variants import check_source
from pseudocohort.errors import InputError


@pytest.mark.parametrize(
    ("rows", "option", "text"),
    [
        (
            spoilt("0/1"),
            "unphased",
            "2 sites of chromosome 22 have unphased heterozygous genotypes, the first at position 20000010",
        ),
        (spoilt("./."), "missing", "2 sites of chromosome 22 have missing genotypes, the first at position 20000010"),
        (spoilt("0|."), "missing", "2 sites of chromosome 22 have missing genotypes"),
        (spoilt("."), "missing", "2 sites of chromosome 22 have missing genotypes"),
        (
            spoilt("1"),
            None,
            "2 sites of chromosome 22 have haploid genotypes where two alleles are expected, the first",
        ),
        (spoilt("1", "X"), None, "2 sites of chromosome X have haploid genotypes where two alleles are expected"),
        (spoilt("0|1|0"), None, "22:20000010 has genotypes of more than two alleles"),
        ([*good(), ("22", 20_000_010, "G", "T", ["0|1"] * 41)], None, "not sorted: 20000010 comes after 20000020"),
        (
            [*good(), ("22", 50_818_469, "A", "C", ["0|1"] * 41)],
            None,
            "(?s)position 50818469 is not on chromosome 22 of GRCh38; the position fits GRCh37: do the builds disagree"
            ".*1 to 50818468",
        ),
        ([*good(), ("22", 90_000_000, "A", "C", ["0|1"] * 41)], None, "position 90000000 is not on chromosome 22"),
        (
            [("10", 5, "A", "C", ["0|1"] * 41), ("2", 5, "A", "C", ["0|1"] * 41)],
            None,
            "(?s)chromosome 22 is not in the file.*one of those in the file: 10, 2",
        ),
        ([], None, "(?s)chromosome 22 is not in the file.*holds no sites"),
        ([("22", 5, "A", "C", ["0|0"] * 41)], None, "(?s)no site of chromosome 22 is left of 1.*1 monomorphic"),
    ],
)
def test_bad_genotypes_are_refused_and_nothing_is_written(tmp_path, rows, option, text):
    path = tmp_path / "in.vcf"
    path.write_text(vcf_text(rows))
    chrom = "X" if rows and rows[0][0] == "X" else "22"
    with pytest.raises(InputError, match=text):
        import_chromosome(path, chrom, people_table(), tmp_path / "out" / "chr", "GRCh38", {})
    assert list((tmp_path / "out").iterdir()) == []
    if option:
        report = import_chromosome(path, chrom, people_table(), tmp_path / "out" / "chr", "GRCh38", {option: "drop"})
        assert report["dropped"] == {option: 2}
        assert [row[0] for row in content(tmp_path / "out" / "chr")] == [20_000_000]


@pytest.mark.parametrize(("chrom", "who"), [("Y", "every male"), ("MT", "everybody")])
def test_missing_calls_of_one_copy_are_not_for_phasing(tmp_path, chrom, who):
    position = {"Y": 10_000_000, "MT": 100}[chrom]
    rows = [(chrom, position + i, "A", "C", ["." if i == 1 else "0", *["0", "1"] * 20]) for i in range(3)]
    (tmp_path / "in.vcf").write_text(vcf_text(rows, contigs=(chrom,)))
    people = people_table(PEOPLE, [1] * len(PEOPLE))
    with pytest.raises(InputError) as error:
        import_chromosome(tmp_path / "in.vcf", chrom, people, tmp_path / "out", "GRCh38", {})
    assert f"1 sites of chromosome {chrom} have missing genotypes" in str(error.value)
    assert f"a call of {who} at every site" in str(error.value)
    assert "phasing does not fill in" in str(error.value)
    assert "phased" not in str(error.value)


@pytest.mark.parametrize("suffix", [".vcf.gz", ".bcf"])
def test_an_indexed_file_without_sites_says_so(tmp_path, suffix):
    path = tmp_path / f"in{suffix}"
    (tmp_path / "in.txt").write_text(vcf_text([], contigs=("Y",)))
    run("bcftools", "view", "-O", "b" if suffix == ".bcf" else "z", "-o", path, tmp_path / "in.txt")
    run("bcftools", "index", path)
    people = people_table(PEOPLE, [1] * len(PEOPLE))
    for call in (
        lambda: check_source(path, "Y", "GRCh38"),
        lambda: import_chromosome(path, "Y", people, tmp_path / "out", "GRCh38", {}),
    ):
        with pytest.raises(InputError, match=r"(?s)chromosome Y is not in the file.*: none, it holds no sites"):
            call()


def test_several_kinds_of_bad_genotypes_are_told_at_once(tmp_path):
    rows = [*spoilt("0/1"), ("22", 20_000_100, "A", "C", ["./."] * 41)]
    (tmp_path / "in.vcf").write_text(vcf_text(rows))
    with pytest.raises(InputError, match=r"(?s)1 sites .*missing.*20000100; 2 sites .*unphased.*`missing: drop`"):
        import_chromosome(tmp_path / "in.vcf", "22", people_table(), tmp_path / "out", "GRCh38", {})


def test_unphased_homozygous_calls_are_harmless(tmp_path):
    rows = good()
    rows[0][4][3:6] = ["1/1", "0/0", "0/0"]
    (tmp_path / "in.vcf").write_text(vcf_text(rows))
    report = import_chromosome(tmp_path / "in.vcf", "22", people_table(), tmp_path / "out", "GRCh38", {})
    assert report["unphased_homozygous"] == 3
    assert content(tmp_path / "out")[0][3] == [0, 1, 0, 0, 0, 0, 1, 1, *[0] * 74]


def test_unphased_or_incomplete_pgen_is_refused(tmp_path):
    for call, text in (("0/1", "2 sites .* unphased heterozygous .* 20000010"), ("./.", "2 sites .* missing")):
        (tmp_path / "in.vcf").write_text(vcf_text(spoilt(call)))
        run("plink2", "--vcf", tmp_path / "in.vcf", "--make-pgen", "--out", tmp_path / "in")
        with pytest.raises(InputError, match=text):
            import_chromosome(tmp_path / "in.pgen", "22", people_table(), tmp_path / "out" / "chr", "GRCh38", {})
        assert list((tmp_path / "out").iterdir()) == []


def test_unknown_people_and_options(tmp_path):
    (tmp_path / "in.vcf").write_text(vcf_text(good()))
    people = people_table([*PEOPLE, "q1", "q2"])
    with pytest.raises(InputError, match="2 of 43 people are not in the genotype file") as caught:
        import_chromosome(tmp_path / "in.vcf", "22", people, tmp_path / "out", "GRCh38", {})
    assert "q1" not in str(caught.value)
    with pytest.raises(InputError, match=r"(?s)unknown option of the import missing: keep.*error or drop"):
        import_chromosome(tmp_path / "in.vcf", "22", people_table(), tmp_path / "out", "GRCh38", {"missing": "keep"})


def test_the_header_of_the_other_build_is_refused(tmp_path):
    text = vcf_text(good()).replace("<ID=22>", "<ID=22,length=51304566>")
    (tmp_path / "in.vcf").write_text(text)
    check_source(tmp_path / "in.vcf", "22", "GRCh37")
    with pytest.raises(InputError, match="the length it has in GRCh37, not in GRCh38: do the builds disagree"):
        check_source(tmp_path / "in.vcf", "22", "GRCh38")


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """A BGZF file of several blocks, with an index."""
    path = tmp_path_factory.mktemp("large") / "in.vcf"
    path.write_text(vcf_text(random_rows("22", 5, sites=3000)))
    run("bcftools", "view", "-Oz", "-o", f"{path}.gz", path)
    run("bcftools", "index", "-t", f"{path}.gz")
    run("bcftools", "view", "-Ob", "-o", path.with_suffix(".bcf"), path)
    run("plink2", "--vcf", path, "--make-pgen", "--sort-vars", "--out", path.with_suffix(""))
    return path


@pytest.mark.parametrize("name", ["in.vcf", "in.vcf.gz", "in.bcf", "gzip.vcf.gz"])
def test_truncated_files_are_refused(large, tmp_path, name):
    data = gzip.compress(large.read_bytes()) if name == "gzip.vcf.gz" else large.with_name(name).read_bytes()
    for part in (len(data) - 28 if name in ("in.vcf.gz", "in.bcf") else len(data) - 5, len(data) // 2 + 1, 40):
        (tmp_path / name).write_bytes(data[:part])
        for call in (
            lambda: check_source(tmp_path / name, "22", "GRCh38"),
            lambda: import_chromosome(tmp_path / name, "22", people_table(), tmp_path / "out" / "chr", "GRCh38", {}),
        ):
            with pytest.raises(InputError, match="truncated"):
                call()
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match="the file is empty"):
        check_source(tmp_path / name, "22", "GRCh38")


def test_files_damaged_in_the_middle_are_refused(large, tmp_path):
    path = tmp_path / "in.vcf.gz"
    data = bytearray(large.with_name("in.vcf.gz").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 50] = bytes(50)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"cannot be read beyond position 2\d+ of 22: truncated or corrupt"):
        import_chromosome(path, "22", people_table(), tmp_path / "out" / "chr", "GRCh38", {})
    shutil.copy(large.with_name("in.vcf.gz.tbi"), tmp_path)
    os.utime(tmp_path / "in.vcf.gz.tbi", (time.time() + 5,) * 2)
    with pytest.raises(InputError, match=r"the index announces 3000 records of 22, \d+ could be read"):
        import_chromosome(path, "22", people_table(), tmp_path / "out" / "chr", "GRCh38", {})
    assert list((tmp_path / "out").iterdir()) == []


def test_an_old_index_is_not_used_and_a_bad_one_refused(large, tmp_path, caplog):
    path = shutil.copy(large.with_name("in.vcf.gz"), tmp_path / "in.vcf.gz")
    index = tmp_path / "in.vcf.gz.tbi"
    index.write_bytes(b"no index")
    os.utime(index, (1, 1))
    caplog.set_level("WARNING", "pseudocohort")
    import_chromosome(path, "22", people_table(), tmp_path / "out", "GRCh38", {})
    assert "in.vcf.gz.tbi is older than in.vcf.gz" in caplog.text
    os.utime(index, (time.time() + 5,) * 2)
    with pytest.raises(InputError, match="the index cannot be read"):
        check_source(path, "22", "GRCh38")


def test_truncated_pgen_is_refused(large, tmp_path):
    for suffix in (".pgen", ".pvar", ".psam"):
        shutil.copy(large.with_suffix(suffix), tmp_path / f"in{suffix}")
    path = tmp_path / "in.pgen"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="truncated"):
        import_chromosome(path, "22", people_table(), tmp_path / "out" / "chr", "GRCh38", {})
    (tmp_path / "in.pvar").write_text("\n".join((tmp_path / "in.pvar").read_text().splitlines()[:-3]) + "\n")
    with pytest.raises(InputError, match=r"cannot be opened with its \.pvar and \.psam"):
        check_source(path, "22", "GRCh38")
    (tmp_path / "in.psam").unlink()
    with pytest.raises(InputError, match=r"(?s)does not exist.*in\.psam"):
        check_source(path, "22", "GRCh38")


def test_records_without_genotypes_and_other_files(tmp_path):
    (tmp_path / "in.vcf").write_text(vcf_text(good()).replace("\tGT\t", "\tDS\t"))
    with pytest.raises(InputError, match=r"22:20000000 has no genotypes"):
        import_chromosome(tmp_path / "in.vcf", "22", people_table(), tmp_path / "out", "GRCh38", {})
    (tmp_path / "text.vcf").write_text("hello\n")
    with pytest.raises(InputError, match="no VCF or BCF"):
        check_source(tmp_path / "text.vcf", "22", "GRCh38")
