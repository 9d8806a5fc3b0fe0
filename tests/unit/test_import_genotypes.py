"""Import of genotypes: the same content from every format, oracles by brute force and bcftools, every error."""

import gzip
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pseudocohort.cohort.import_genotypes import import_chromosome
from pseudocohort.cohort.variants import check_source, genotype_people, read_blocks
from pseudocohort.cohort.vcf_files import index_counts, read_header
from pseudocohort.errors import InputError
from pseudocohort.genotypes import Genotypes, GenotypeWriter

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
PEOPLE = [f"p{i}" for i in range(41)]


def run(*command: object) -> str:
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout


def vcf_text(rows: list[tuple], people: list[str] = PEOPLE, contigs: tuple[str, ...] = ("10", "22", "X", "2")) -> str:
    """rows: (chrom, pos, ref, alt, genotypes as text)."""
    lines = [
        "##fileformat=VCFv4.2",
        *(f"##contig=<ID={c}>" for c in contigs),
        '##ALT=<ID=DEL,Description="deletion">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">',
        "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *people]),
    ]
    lines += ["\t".join([c, str(p), "rs1", ref, alt, ".", ".", ".", "GT", *calls]) for c, p, ref, alt, calls in rows]
    return "\n".join(lines) + "\n"


def random_rows(chrom: str, seed: int, first: int = 20_000_000, sites: int = 300) -> list[tuple]:
    """Phased sites of all kinds: SNVs, indels, several ALTs, `*`, <DEL>, no variation, repeated rows and positions."""
    rng, rows, pos = np.random.default_rng(seed), [], first
    kinds = ["A:C", "G:T", "AT:A", "C:CAG", "AC:GT", "A:C,G", "T:TA,G,C", "G:*,A", "G:<DEL>", "C:<DEL>,T", "A:.", "a:g"]
    for _ in range(sites):
        pos += int(rng.integers(0, 4)) * 100
        ref, alt = kinds[rng.integers(len(kinds))].split(":")
        frequency = rng.choice([0, 0.02, 0.3, 1], p=[0.1, 0.4, 0.4, 0.1])
        top = 0 if alt == "." else alt.count(",") + 1
        calls = (
            np.where(rng.random((len(PEOPLE), 2)) < frequency, rng.integers(1, top + 1, (len(PEOPLE), 2)), 0)
            if (top)
            else np.zeros((len(PEOPLE), 2), dtype=int)
        )
        rows.append((chrom, pos, ref, alt, [f"{a}|{b}" for a, b in calls]))
    return rows


def brute_force(rows: list[tuple], chrom: str, order: list[str], split: bool = True) -> list[tuple]:
    """Expected (pos, ref, alt, haplotypes) by plain loops over text."""
    expected, seen = [], set()
    for row_chrom, pos, ref, alts, calls in rows:
        if row_chrom.removeprefix("chr") != chrom or ("," in alts and not split):
            continue
        for k, alt in enumerate(alts.split(","), 1):
            key = (pos, ref.upper(), alt.upper())
            if set(alt.upper()) - set("ACGT") or key in seen:
                continue
            seen.add(key)
            by_person = dict(zip(PEOPLE, calls, strict=True))
            haplotypes = [int(allele == str(k)) for person in order for allele in by_person[person].split("|")]
            if 0 < sum(haplotypes) < len(haplotypes):
                expected.append((*key, haplotypes))
    return expected


def people_table(people: list[str] = PEOPLE, sex: int | list[int] = 2) -> pd.DataFrame:
    return pd.DataFrame({"person": people, "sex": sex})


def content(prefix: Path) -> list[tuple]:
    with Genotypes(prefix) as genotypes:
        haplotypes = genotypes.haplotypes(0, genotypes.n_sites)
        return [
            (site.pos, site.ref, site.alt, haplotypes[i].tolist())
            for i, site in enumerate(genotypes.sites.itertuples())
        ]


def triple(prefix: Path) -> tuple[bytes, ...]:
    return tuple(Path(f"{prefix}{suffix}").read_bytes() for suffix in (".pgen", ".pvar", ".psam"))


@pytest.fixture(scope="module")
def panel(tmp_path_factory) -> dict[str, Path]:
    """The same sites of 10, 22 and 2 (in that order, 22 with chr) in every format."""
    folder = tmp_path_factory.mktemp("panel")
    rows = random_rows("10", 1) + random_rows("chr22", 2) + random_rows("2", 3)
    plain = folder / "plain.vcf"
    plain.write_text(vcf_text(rows, contigs=("10", "chr22", "X", "2")))
    (folder / "gzip.vcf.gz").write_bytes(gzip.compress(plain.read_bytes()))
    run("bcftools", "view", "-Oz", "-o", folder / "tbi.vcf.gz", plain)
    shutil.copy(folder / "tbi.vcf.gz", folder / "scan.vcf.gz")
    shutil.copy(folder / "tbi.vcf.gz", folder / "csi.vcf.gz")
    run("bcftools", "index", "-t", folder / "tbi.vcf.gz")
    run("bcftools", "index", "-c", folder / "csi.vcf.gz")
    run("bcftools", "view", "-Ob", "-o", folder / "csi.bcf", plain)
    shutil.copy(folder / "csi.bcf", folder / "scan.bcf")
    run("bcftools", "view", "-Ou", "-o", folder / "raw.bcf", plain)
    run("bcftools", "index", folder / "csi.bcf")
    run("plink2", "--vcf", plain, "--make-pgen", "--sort-vars", "--out", folder / "plink")
    names = [
        "plain.vcf",
        "gzip.vcf.gz",
        "tbi.vcf.gz",
        "scan.vcf.gz",
        "csi.vcf.gz",
        "csi.bcf",
        "scan.bcf",
        "raw.bcf",
        "plink.pgen",
    ]
    return {"rows": rows} | {name: folder / name for name in names}


SOURCES = [
    "plain.vcf",
    "gzip.vcf.gz",
    "tbi.vcf.gz",
    "scan.vcf.gz",
    "csi.vcf.gz",
    "csi.bcf",
    "scan.bcf",
    "raw.bcf",
    "plink.pgen",
]


@pytest.mark.parametrize("chrom", ["10", "22", "2"])
@pytest.mark.parametrize("name", SOURCES)
def test_every_format_gives_what_brute_force_gives(panel, tmp_path, name, chrom):
    order = [PEOPLE[i] for i in np.random.default_rng(9).permutation(len(PEOPLE))[:30]]
    check_source(panel[name], chrom, "GRCh38")
    report = import_chromosome(panel[name], chrom, people_table(order), tmp_path / "out", "GRCh38", {})
    expected = brute_force(panel["rows"], chrom, order)
    found = content(tmp_path / "out")
    # The order of rows that share a position is the source's; plink2 sorts its own.
    assert sorted(found) == sorted(expected) if name == "plink.pgen" else found == expected
    with Genotypes(tmp_path / "out") as genotypes:
        sites = genotypes.sites
        assert genotypes.people["person"].tolist() == order
        assert (sites["chrom"] == chrom).all()
        assert sites["id"].is_unique
        assert (sites["id"] == [f"{chrom}:{p}:{r}:{a}" for p, r, a, _ in found]).all()
    assert (report["sites_kept"], report["sites_read"], report["people"]) == (len(expected), 300, 30)
    assert report["snvs"] == sum(len(r) == len(a) == 1 for _, r, a, _ in expected)
    assert report["indels"] == sum(len(r) != len(a) for _, r, a, _ in expected)
    assert report["source"] == name
    assert (report["first_site"], report["last_site"]) == (expected[0][0], expected[-1][0])


def test_all_formats_give_identical_files(panel, tmp_path):
    reports, files = [], set()
    for i, name in enumerate(SOURCES[:-1]):
        reports.append(import_chromosome(panel[name], "22", people_table(), tmp_path / str(i), "GRCh38", {}))
        files.add(triple(tmp_path / str(i)))
    assert len(files) == 1
    assert all(report["dropped"] == reports[0]["dropped"] for report in reports)
    # The same through plink2: what was imported, as VCF, becomes PGEN, and is imported once more.
    run("plink2", "--pfile", tmp_path / "0", "--export", "vcf", "--out", tmp_path / "back")
    run("plink2", "--vcf", tmp_path / "back.vcf", "--make-pgen", "--out", tmp_path / "again")
    import_chromosome(tmp_path / "again.pgen", "22", people_table(), tmp_path / "pgen", "GRCh38", {})
    assert triple(tmp_path / "pgen") in files


def test_splitting_agrees_with_bcftools_norm(panel, tmp_path):
    split = run("bcftools", "norm", "-m-any", panel["plain.vcf"])
    expected = {}
    for line in split.upper().splitlines():
        fields = line.split("\t")
        if fields[0] == "CHR22" and not set(fields[4]) - set("ACGT"):
            alleles = [int(a) for call in fields[9:] for a in call.split("|")]
            expected.setdefault((int(fields[1]), fields[3], fields[4]), alleles)  # of repeated alleles the first
    report = import_chromosome(panel["plain.vcf"], "22", people_table(), tmp_path / "out", "GRCh38", {})
    assert {row[:3]: row[3] for row in content(tmp_path / "out")} == {
        site: alleles for site, alleles in expected.items() if 0 < sum(alleles) < len(alleles)
    }
    assert report["multiallelic_sites_split"] > 20
    dropped = import_chromosome(
        panel["plain.vcf"], "22", people_table(), tmp_path / "drop", "GRCh38", {"multiallelic": "drop"}
    )
    assert content(tmp_path / "drop") == brute_force(panel["rows"], "22", PEOPLE, split=False)
    assert dropped["dropped"]["multiallelic"] == sum(c == "chr22" and "," in alt for c, _, _, alt, _ in panel["rows"])


def test_the_counts_of_what_was_dropped_add_up(panel, tmp_path):
    report = import_chromosome(panel["csi.bcf"], "10", people_table(), tmp_path / "out", "GRCh38", {})
    alleles = sum(max(alt.count(",") + 1, 1) for chrom, _, _, alt, _ in panel["rows"] if chrom == "10")
    assert sum(report["dropped"].values()) + report["sites_kept"] == alleles
    assert set(report["dropped"]) == {"symbolic", "duplicate", "monomorphic"}
    kept = import_chromosome(
        panel["csi.bcf"], "10", people_table(), tmp_path / "all", "GRCh38", {"monomorphic": "keep"}
    )
    assert kept["sites_kept"] > report["sites_kept"]


def test_plink2_and_validation_accept_the_result(panel, tmp_path):
    import_chromosome(panel["tbi.vcf.gz"], "22", people_table(), tmp_path / "out", "GRCh38", {})
    run("plink2", "--pfile", tmp_path / "out", "--validate", "--out", tmp_path / "log")
    run("plink2", "--pfile", tmp_path / "out", "--freq", "--out", tmp_path / "log")
    frequency = pd.read_csv(tmp_path / "log.afreq", sep="\t")["ALT_FREQS"].to_numpy()
    expected = [np.mean(h) for _, _, _, h in brute_force(panel["rows"], "22", PEOPLE)]
    np.testing.assert_allclose(frequency, expected, atol=1e-5)


def test_the_writer_gives_the_same_file_with_and_without_the_number_of_sites(tmp_path):
    rng = np.random.default_rng(4)
    haplotypes = rng.random((700, 26)) < rng.beta(0.2, 1, (700, 1))
    sites = pd.DataFrame({"chrom": "1", "pos": np.arange(1, 701), "id": "i", "ref": "A", "alt": "C"})
    for name, n_sites in (("known", 700), ("unknown", None)):
        with GenotypeWriter(tmp_path / name, np.array(PEOPLE[:13]), np.full(13, 2), n_sites) as writer:
            for start in range(0, 700, 300):
                writer.append(haplotypes[start : start + 300], sites[start : start + 300])
    assert triple(tmp_path / "known") == triple(tmp_path / "unknown")
    assert len(list(tmp_path.iterdir())) == 6


def x_rows(seed: int, male: np.ndarray, codings: list[str]) -> tuple[list[tuple], np.ndarray]:
    """Non-PAR sites of X with males in the given codings, and the haplotypes expected."""
    rng = np.random.default_rng(seed)
    alleles = (rng.random((60, len(PEOPLE), 2)) < 0.3).astype(int)
    alleles[:, male, 1] = alleles[:, male, 0]
    rows = []
    for i in range(60):
        calls = [
            codings[rng.integers(len(codings))].replace("a", str(a)) if m else f"{a}|{b}"
            for (a, b), m in zip(alleles[i], male, strict=True)
        ]
        rows.append(("chrX", 5_000_000 + i, "A", "C", calls))
    return rows, alleles.reshape(60, -1)


@pytest.mark.parametrize("codings", [["a"], ["a|a", "a/a"], ["a/."], [".|a"], ["a", "a|a", "a/.", ".|a", "./a"]])
@pytest.mark.parametrize("suffix", [".vcf", ".bcf"])
def test_haploid_males_are_stored_twice(tmp_path, codings, suffix):
    male = np.arange(len(PEOPLE)) % 3 == 0
    rows, expected = x_rows(7, male, codings)
    par = [("chrX", p, "A", "C", ["0|1"] * len(PEOPLE)) for p in (10_001, 2_781_479)]
    edge = ("chrX", 2_781_480, "A", "C", ["0|0" if m else "0|1" for m in male])
    end = [("chrX", 155_701_383, "A", "C", ["0|1"] * len(PEOPLE))]
    (tmp_path / "in.vcf").write_text(vcf_text([*par, edge, *rows, *end], contigs=("chrX",)))
    run("bcftools", "view", "-Ob", "-o", tmp_path / "in.bcf", tmp_path / "in.vcf")
    people = people_table(sex=np.where(male, 1, 2).tolist())
    report = import_chromosome(tmp_path / f"in{suffix}", "X", people, tmp_path / "out", "GRCh38", {})
    found = content(tmp_path / "out")
    assert [row[0] for row in found] == [2_781_480, *(5_000_000 + i for i in range(60))]
    assert np.array_equal([row[3] for row in found[1:]], expected)
    assert report["dropped"] == {"pseudo_autosomal": 3}
    assert report["haploid_males"] == (0 if codings[0] == "a|a" else male.sum())
    run("plink2", "--pfile", tmp_path / "out", "--validate", "--out", tmp_path / "log")
    # plink2 writes the haploid males back as haploid, and the import reads them from its own PGEN, too.
    shown = run("plink2", "--pfile", tmp_path / "out", "--export", "vcf", "--out", tmp_path / "back")
    assert "Error" not in shown
    last = (tmp_path / "back.vcf").read_text().splitlines()[-1].split("\t")[9:]
    assert all(len(call) == (1 if m else 3) for call, m in zip(last, male, strict=True))
    import_chromosome(tmp_path / "out.pgen", "X", people, tmp_path / "again", "GRCh38", {})
    assert triple(tmp_path / "again") == triple(tmp_path / "out")


def test_half_missing_males_at_sites_with_several_alternatives(tmp_path):
    calls = ["2/.", "1/.", "0/.", *(["0|2", "1|0"] * 19)]
    (tmp_path / "in.vcf").write_text(vcf_text([("X", 5_000_000, "A", "C,T", calls)]))
    people = people_table(sex=[1, 1, 1, *([2] * 38)])
    import_chromosome(tmp_path / "in.vcf", "X", people, tmp_path / "out", "GRCh37", {})
    found = content(tmp_path / "out")
    assert [row[2] for row in found] == ["C", "T"]
    assert found[0][3][:10] == [0, 0, 1, 1, 0, 0, 0, 0, 1, 0]
    assert found[1][3][:10] == [1, 1, 0, 0, 0, 0, 0, 1, 0, 0]


def good(n: int = 3) -> list[tuple]:
    return [("22", 20_000_000 + 10 * i, "A", "C", ["0|1", *["0|0"] * 40]) for i in range(n)]


def spoilt(call: str, chrom: str = "22") -> list[tuple]:
    """Three sites, the second and third with one odd call."""
    return [(chrom, p, r, a, c if i == 0 else [*c[:5], call, *c[6:]]) for i, (_, p, r, a, c) in enumerate(good())]


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


def test_heterozygous_males(tmp_path):
    (tmp_path / "in.vcf").write_text(vcf_text(spoilt("0|1", "X")))
    sex = [2] * 41
    sex[5] = 1
    with pytest.raises(InputError, match=r"2 sites .* heterozygous male outside .*, the first at position 20000010"):
        import_chromosome(tmp_path / "in.vcf", "X", people_table(sex=sex), tmp_path / "out", "GRCh38", {})
    report = import_chromosome(
        tmp_path / "in.vcf", "X", people_table(sex=sex), tmp_path / "out", "GRCh38", {"male_x_heterozygous": "drop"}
    )
    assert report["dropped"] == {"male_x_heterozygous": 2}
    with pytest.raises(InputError, match="the sex of 3 people is unknown, and chromosome X"):
        import_chromosome(
            tmp_path / "in.vcf", "X", people_table(sex=[0] * 3 + [2] * 38), tmp_path / "out", "GRCh38", {}
        )


def test_unknown_people_and_options(tmp_path):
    (tmp_path / "in.vcf").write_text(vcf_text(good()))
    people = people_table([*PEOPLE, "q1", "q2"])
    with pytest.raises(InputError, match="2 of 43 people are not in the genotype file") as caught:
        import_chromosome(tmp_path / "in.vcf", "22", people, tmp_path / "out", "GRCh38", {})
    assert "q1" not in str(caught.value)
    with pytest.raises(InputError, match=r"(?s)unknown option of the import missing: keep.*error or drop"):
        import_chromosome(tmp_path / "in.vcf", "22", people_table(), tmp_path / "out", "GRCh38", {"missing": "keep"})


def test_genotype_people(panel, tmp_path):
    assert all(genotype_people(panel[name]) == PEOPLE for name in SOURCES)
    (tmp_path / "twice.vcf").write_text(vcf_text([], people=["a", "b", "a", "b", "c"]))
    with pytest.raises(InputError, match="2 of 5 sample ids are there more than once"):
        genotype_people(tmp_path / "twice.vcf")
    (tmp_path / "none.vcf").write_text(vcf_text([], people=[]).replace("\tFORMAT\t", "\tFORMAT"))
    with pytest.raises(InputError, match="holds no samples"):
        genotype_people(tmp_path / "none.vcf")
    with pytest.raises(InputError, match=r"(?s)unknown kind.*\.pgen"):
        genotype_people(tmp_path / "x.bed")


def test_index_counts_agree_with_bcftools(panel):
    for name in ("tbi.vcf.gz", "csi.vcf.gz", "csi.bcf"):
        stats = (line.split("\t") for line in run("bcftools", "index", "-s", panel[name]).splitlines())
        counts = index_counts(panel[name], read_header(panel[name]))
        assert {name: n for name, n in counts.items() if n} == {fields[0]: int(fields[2]) for fields in stats}


def test_check_source_names_what_is_there(panel):
    for name in SOURCES:
        with pytest.raises(InputError, match=r"(?s)chromosome 21 is not in the file.*one of those in the file: "):
            check_source(panel[name], "chr21", "GRCh38")
    with pytest.raises(InputError, match="chromosome X is not in the file"):  # in the header, but without records
        check_source(panel["csi.bcf"], "X", "GRCh38")
    with pytest.raises(InputError, match=r"does not exist"):
        check_source(panel["plain.vcf"].with_name("other.vcf"), "22", "GRCh38")


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


def test_blocks_do_not_depend_on_their_size(panel):
    whole = list(read_blocks(panel["csi.bcf"], "22", PEOPLE, "GRCh38", 1000))
    parts = list(read_blocks(panel["csi.bcf"], "22", PEOPLE, "GRCh38", 300))
    assert len(whole) == len(parts) == 1
    positions = [block.pos.copy() for block in read_blocks(panel["csi.bcf"], "22", PEOPLE, "GRCh38", 7)]
    assert [len(p) for p in positions] == [7] * 42 + [6]
    assert np.array_equal(np.concatenate(positions), whole[0].pos)


@needs_data
def test_real_chromosomes_of_1000_genomes_phase_3(tmp_path):
    panel = pd.read_csv(DATA / "1kg_hg19" / "samples.panel", sep="\t", usecols=[0, 3], index_col=0)["gender"]
    source = str(DATA / "1kg_hg19" / "1KG_phase3_subset_chr{}.vcf.gz")
    people = genotype_people(source.format(22))
    sex = panel.loc[people].map({"male": 1, "female": 2}).to_numpy()
    for chrom in ("22", "X"):
        check_source(source.format(chrom), chrom, "GRCh37")
        report = import_chromosome(
            source.format(chrom), chrom, people_table(people, sex), tmp_path / chrom, "GRCh37", {}
        )
        assert report["sites_kept"] > 500
        run("plink2", "--pfile", tmp_path / chrom, "--validate", "--out", tmp_path / "log")
    assert report["haploid_males"] == (sex == 1).sum()
    assert report["multiallelic_sites_split"] > 0
    # Alleles of all people against bcftools, sites with one ALT outside the pseudo-autosomal regions.
    lines = run("bcftools", "query", "-i", "N_ALT=1", "-f", "%POS %ALT[ %GT]\n", source.format("X")).splitlines()
    expected = {}
    for pos, alt, *calls in map(str.split, lines):
        if 2_699_520 < int(pos) < 154_931_044:
            expected[int(pos), alt] = [int(a) for c in calls for a in (c[0], c[0] if c[2] == "." else c[2])]
    with Genotypes(tmp_path / "X") as genotypes:
        haplotypes, sites = genotypes.haplotypes(0, genotypes.n_sites), genotypes.sites
    compared = [
        np.array_equal(haplotypes[i], expected[key])
        for i, key in enumerate(zip(sites["pos"], sites["alt"], strict=True))
        if key in expected
    ]
    assert len(compared) > 400
    assert all(compared)


@needs_data
def test_one_real_file_for_all_chromosomes(tmp_path):
    source = DATA / "1kg_pgs_b38" / "tiny1000G.vcf.gz"
    psam = pd.read_csv(source.with_name("samples.psam"), sep="\t", index_col=0)
    people = genotype_people(source)
    table = people_table(people, psam.loc[people, "SEX"].to_numpy())
    expected = {"10": 43, "22": 13, "X": 36}
    for chrom, sites in expected.items():
        check_source(source, chrom, "GRCh38")
        report = import_chromosome(source, chrom, table, tmp_path / chrom, "GRCh38", {})
        assert report["sites_read"] == sites
        assert report["sites_kept"] + sum(report["dropped"].values()) == sites
    assert report["haploid_males"] == (table["sex"] == 1).sum()
    with pytest.raises(InputError, match="unknown chromosome Y"):
        import_chromosome(source, "Y", table, tmp_path / "Y", "GRCh38", {})
