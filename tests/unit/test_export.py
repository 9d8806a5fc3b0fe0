"""Export: VCF and BCF against pgenlib, bcftools, plink2, tabix and cyvcf2; blocks, indices, and bad input."""

import gzip
import os
import subprocess

import cyvcf2
import numpy as np
import pandas as pd
import pysam
import pytest

from pseudocohort.cohort.builds import get_build
from pseudocohort.errors import InputError
from pseudocohort.genome import export as module
from pseudocohort.genome.export import export
from pseudocohort.genotypes import Genotypes, GenotypeWriter

PEOPLE = 137  # no multiple of 4, 16 or 32
SITES = 2600  # with 137 people some 20 BGZF members
FORMATS = ("vcf.gz", "bcf")
PAR1, PAR2 = get_build("GRCh38").par
BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")  # SAM specification 4.1.2
SEX = np.random.default_rng(0).integers(1, 3, PEOPLE)
MALE = SEX == 1


def run(*command) -> str:
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, check=True).stdout


def positions(chrom: str, rng) -> np.ndarray:
    """Ascending, crowded and spread, from the first base on; several at one position, some next to a bin's border."""
    if chrom == "MT":
        return np.sort(rng.integers(1, 16_569, SITES))
    if chrom == "Y":
        return np.sort(rng.integers(2_800_000, 26_000_000, SITES))
    if chrom == "X":
        parts = [rng.integers(*region, SITES // 4) for region in (PAR1, (PAR1[1] + 1, PAR2[0]), PAR2)]
        inside = [*PAR1, *PAR2, PAR1[1] + 1, PAR2[0] - 1]
        more = rng.integers(PAR1[1] + 1, PAR2[0], SITES - 3 * (SITES // 4) - len(inside))
        return np.sort(np.concatenate([*parts, inside, more]))
    borders = np.array([1, 1, 1, 2**14, 2**14, 2**14 + 1, 2**17 - 1, 2**17, 2**20 + 1, 2**23, 50_818_468])
    return np.sort(np.concatenate([borders, rng.integers(1, 10_000, 900), rng.integers(1, 2**25, SITES - 911)]))


def make(prefix, chrom: str) -> None:
    """Sites from absent to fixed; SNVs, indels and long alleles, with ids and without."""
    rng = np.random.default_rng(7)
    pos = positions(chrom, rng)
    frequency = rng.choice([0.002, 0.05, 0.4, 0.99, 1.0], SITES)
    alleles = (rng.random((SITES, 2 * PEOPLE)) < frequency[:, None]).astype(np.int8)
    ref = rng.choice(np.array(["A", "G", "TC", "A" * 14, "C" * 15, "G" * 300], dtype=object), SITES)
    alt = rng.choice(np.array(["T", "CA", "T" * 127, "T" * 128], dtype=object), SITES)
    long = {} if chrom != "22" else {20: 40_000, 1200: 200_000, 1201: 5}  # across bins of several levels
    for row, size in long.items():
        ref[row] = "A" * size
    name = np.array([f"{chrom}:{p}:{i}" if i % 5 else "." for i, p in enumerate(pos)], dtype=object)
    region = np.full(SITES, chrom, dtype=object)
    absent = None
    single = {"X": MALE, "Y": MALE, "MT": np.ones(PEOPLE, dtype=bool)}.get(chrom, np.zeros(PEOPLE, dtype=bool))
    where = np.ones(SITES, dtype=bool)
    if chrom == "X":
        region[pos <= PAR1[1]], region[pos >= PAR2[0]] = "PAR1", "PAR2"
        where = region == "X"
    people = np.flatnonzero(single)
    alleles[np.ix_(where, 2 * people + 1)] = alleles[np.ix_(where, 2 * people)]
    if chrom == "Y":
        absent, alleles = ~MALE, alleles[:, np.repeat(MALE, 2)]
    sites = pd.DataFrame({"chrom": region, "pos": pos, "id": name, "ref": ref, "alt": alt})
    ids = np.array([f"PC{i:06d}" for i in range(1, PEOPLE + 1)])
    with GenotypeWriter(prefix, ids, SEX, SITES, absent) as writer:
        writer.append(alleles, sites)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """For each chromosome the folder with its .pgen triple and both exports."""
    folder = tmp_path_factory.mktemp("export")
    for chrom in ("22", "X", "Y", "MT"):
        make(folder / f"chr{chrom}", chrom)
        for suffix in FORMATS:
            export(folder / f"chr{chrom}", folder / f"chr{chrom}.{suffix}", chrom, "GRCh38")
    return folder


def regions(prefix) -> list[str]:
    """The column CHROM of a .pvar."""
    with open(f"{prefix}.pvar") as file:
        return [line.split("\t")[0] for line in file if not line.startswith("#")]


def expected_genotypes(prefix, chrom: str) -> list[list[str]]:
    """Genotypes as text, person by person, from what pgenlib reads."""
    with Genotypes(prefix) as file:
        alleles = file.haplotypes(0, file.n_sites)
    rows = []
    for part, row in zip(regions(prefix), alleles, strict=True):
        calls = []
        for i, (a, b) in enumerate(row.reshape(-1, 2).tolist()):
            haploid = chrom in ("Y", "MT") or (part == "X" and MALE[i])
            assert a == b or not haploid
            assert (a == -9) == (chrom == "Y" and not MALE[i])
            calls.append("." if a == -9 else str(a) if haploid else f"{a}|{b}")
        rows.append(calls)
    return rows


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("chrom", ["22", "X", "Y", "MT"])
def test_bcftools_reads_the_genotypes_of_the_pgen(made, chrom, suffix):
    prefix = made / f"chr{chrom}"
    text = run(
        "bcftools",
        "query",
        "-f",
        r"%CHROM\t%POS\t%ID\t%REF\t%ALT\t%QUAL\t%FILTER\t%INFO[\t%GT]\n",
        f"{prefix}.{suffix}",
    )
    found = [line.split("\t") for line in text.splitlines()]
    sites = pd.read_csv(f"{prefix}.pvar", sep="\t", dtype=str, keep_default_na=False).to_numpy().tolist()
    assert [line[1:5] for line in found] == [site[1:] for site in sites]
    assert all(line[0] == chrom and line[5:8] == [".", "PASS", "."] for line in found)
    assert [line[8:] for line in found] == expected_genotypes(prefix, chrom)


@pytest.mark.parametrize("chrom", ["22", "X", "Y", "MT"])
def test_both_formats_are_the_same_text(made, chrom):
    text = run("bcftools", "view", "--no-version", made / f"chr{chrom}.vcf.gz")
    assert run("bcftools", "view", "--no-version", made / f"chr{chrom}.bcf") == text
    with gzip.open(made / f"chr{chrom}.vcf.gz", "rt") as file:  # bcftools has put nothing right
        assert file.read() == text
    head = text.splitlines()[:7]
    length = get_build("GRCh38").length[chrom]
    assert head[0] == "##fileformat=VCFv4.3"
    assert head[4] == f"##contig=<ID={chrom},length={length},assembly=GRCh38>"
    assert head[6].split("\t")[8:11] == ["FORMAT", "PC000001", "PC000002"]
    stats = run("bcftools", "stats", made / f"chr{chrom}.bcf")
    assert f"number of records:\t{SITES}\n" in stats
    assert f"number of samples:\t{PEOPLE}\n" in stats


@pytest.mark.parametrize("chrom", ["22", "X", "Y", "MT"])
def test_plink2_would_have_written_the_same_genotypes(made, chrom, tmp_path):
    run("plink2", "--pfile", made / f"chr{chrom}", "--export", "vcf", "--out", tmp_path / "plink")
    form = r"%POS\t%ID\t%REF\t%ALT[\t%GT]\n"
    plink = run("bcftools", "query", "-f", form, tmp_path / "plink.vcf")
    assert run("bcftools", "query", "-f", form, made / f"chr{chrom}.bcf") == plink


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("chrom", ["22", "X", "Y", "MT"])
def test_plink2_imports_the_same_alleles(made, chrom, suffix, tmp_path):
    sexes = tmp_path / "sexes.psam"
    sexes.write_text("#IID\tSEX\n" + "".join(f"PC{i + 1:06d}\t{s}\n" for i, s in enumerate(SEX)))
    kind = "--vcf" if suffix == "vcf.gz" else "--bcf"
    split = ["--split-par", "b38"] if chrom == "X" else []
    out = tmp_path / "back"
    run("plink2", kind, made / f"chr{chrom}.{suffix}", "--psam", sexes, *split, "--make-pgen", "--out", out)
    with Genotypes(made / f"chr{chrom}") as ours, Genotypes(out) as back:
        np.testing.assert_array_equal(back.haplotypes(0, SITES), ours.haplotypes(0, SITES))
        pd.testing.assert_frame_equal(back.sites, ours.sites)
    assert regions(made / f"chr{chrom}") == regions(out)  # PAR1, X and PAR2 as they were


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("chrom", ["22", "X"])
def test_regions_are_found_by_the_index(made, chrom, suffix):
    """Against all records looked at, for regions of all sizes; also with records that span bins of several levels."""
    path, rng = made / f"chr{chrom}.{suffix}", np.random.default_rng(3)
    sites = pd.read_csv(made / f"chr{chrom}.pvar", sep="\t", dtype=str, keep_default_na=False)
    first = sites["POS"].astype(int).to_numpy()
    last = first + sites["REF"].str.len().to_numpy() - 1
    long = np.argsort(first - last, kind="stable")[:2]
    inside = [*((first[long] + last[long]) // 2), *last[long], *(last[long] + 1)]
    starts = np.concatenate([rng.choice(first, 60), rng.choice(last, 60), rng.integers(1, 2**26, 60), inside, [1]])
    found = 0
    with pysam.VariantFile(path) as file:
        for start in starts.tolist():
            stop = start + int(rng.choice([0, 10, 20_000, 5_000_000]))
            wanted = np.flatnonzero((first <= stop) & (last >= start))
            got = [(r.pos, r.ref, r.alts[0]) for r in file.fetch(chrom, start - 1, stop)]
            assert got == [(first[i], sites["REF"][i], sites["ALT"][i]) for i in wanted]
            found += len(wanted)
    assert found > 5000
    region = f"{chrom}:{first[900]}-{first[1500]}"
    wanted = np.flatnonzero((first <= first[1500]) & (last >= first[900]))
    lines = [run("bcftools", "view", "-H", "-r", region, path)]
    if suffix == "vcf.gz":
        lines.append(run("tabix", path, region))
        assert run("tabix", "-l", path) == f"{chrom}\n"
    for text in lines:
        assert [line.split("\t")[1:5] for line in text.splitlines()] == sites.to_numpy()[wanted, 1:].tolist()
    assert run("bcftools", "index", "-n", path) == f"{SITES}\n"
    reader = cyvcf2.VCF(str(path))
    assert [v.POS for v in reader(region)] == first[wanted].tolist()


def test_cyvcf2_reads_phased_alleles(made):
    with Genotypes(made / "chr22") as file:
        alleles = file.haplotypes(0, SITES)
    for suffix in FORMATS:
        rows = [v.genotype.array() for v in cyvcf2.VCF(str(made / f"chr22.{suffix}"))]
        calls = np.array(rows)
        np.testing.assert_array_equal(calls[:, :, :2].reshape(SITES, -1), alleles)
        assert (calls[:, :, 2] == 1).all()


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("chrom", ["22", "X", "Y"])
def test_the_bytes_do_not_depend_on_blocks(made, chrom, suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "READ_BYTES", 3 * (PEOPLE // 4 + 1))
    monkeypatch.setattr(module, "WRITE_BYTES", 1)
    export(made / f"chr{chrom}", tmp_path / f"x.{suffix}", chrom, "GRCh38")
    for end in ("", ".tbi" if suffix == "vcf.gz" else ".csi"):
        assert (tmp_path / f"x.{suffix}{end}").read_bytes() == (made / f"chr{chrom}.{suffix}{end}").read_bytes()


def test_the_file_is_bgzf_and_its_index_is_not_older(made):
    for suffix, end in (("vcf.gz", "tbi"), ("bcf", "csi")):
        path = made / f"chr22.{suffix}"
        assert (
            run("htsfile", path)
            .split(":")[1]
            .startswith("\tVCF version 4.3 BGZF" if end == "tbi" else "\tBCF version 2.2 compressed")
        )
        assert os.stat(f"{path}.{end}").st_mtime_ns >= os.stat(path).st_mtime_ns
        assert path.read_bytes().endswith(BGZF_END)


def test_files_stay_close_to_bcftools_in_size(made, tmp_path):
    """Within a third, on genotypes as they are: sites in linkage disequilibrium would be more alike."""
    for suffix, kind in (("vcf.gz", "z"), ("bcf", "b")):
        run("bcftools", "view", f"-O{kind}", "-o", tmp_path / "bcftools", made / f"chr22.{suffix}")
        ours, theirs = (os.path.getsize(p) for p in (made / f"chr22.{suffix}", tmp_path / "bcftools"))
        assert ours < 4 / 3 * theirs


def test_nothing_is_left_of_a_failed_export(made, tmp_path):
    """A .pvar that is too short; a missing call in the middle."""
    for suffix in ("pgen", "psam"):
        (tmp_path / f"short.{suffix}").write_bytes((made / f"chr22.{suffix}").read_bytes())
    lines = (made / "chr22.pvar").read_text().splitlines(keepends=True)
    (tmp_path / "short.pvar").write_text("".join(lines[:-1]))
    out = tmp_path / "out"
    with pytest.raises(InputError, match=f"short.pgen holds {SITES} sites and its .pvar {SITES - 1}"):
        export(tmp_path / "short", out / "chr22.vcf.gz", "22", "GRCh38")
    with pytest.raises(InputError, match="missing"):  # women's calls of Y, read as if of chromosome 22
        export(made / "chrY", out / "chr22.vcf.gz", "22", "GRCh38")
    assert list(out.iterdir()) == []


def test_an_unknown_chromosome_is_named(made, tmp_path):
    with pytest.raises(InputError, match="unknown chromosome 23q"):
        export(made / "chr22", tmp_path / "x.bcf", "23q", "GRCh38")
