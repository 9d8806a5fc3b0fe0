"""Import of genotypes: the same content from every format, with oracles by brute force and bcftools."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genotype_files import PEOPLE, brute_force, content, people_table, random_rows, run, triple, vcf_text
from pseudocohort.cohort.import_genotypes import import_chromosome
from pseudocohort.cohort.variants import check_source, genotype_people, read_blocks
from pseudocohort.cohort.vcf_files import index_counts, read_header
from pseudocohort.errors import InputError
from pseudocohort.genotypes import Genotypes, GenotypeWriter

DATA = Path(__file__).parents[3] / "shared" / "data"

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")


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


@pytest.mark.parametrize("absent", [None, np.arange(13) % 3 == 1])
def test_the_writer_gives_the_same_file_with_and_without_the_number_of_sites(tmp_path, absent):
    rng = np.random.default_rng(4)
    there = np.ones(13, dtype=bool) if absent is None else ~absent
    haplotypes = rng.random((700, 2 * there.sum())) < rng.beta(0.2, 1, (700, 1))
    sites = pd.DataFrame({"chrom": "1", "pos": np.arange(1, 701), "id": "i", "ref": "A", "alt": "C"})
    for name, n_sites in (("known", 700), ("unknown", None)):
        with GenotypeWriter(tmp_path / name, np.array(PEOPLE[:13]), np.full(13, 2), n_sites, absent) as writer:
            for start in range(0, 700, 300):
                writer.append(haplotypes[start : start + 300], sites[start : start + 300])
    assert triple(tmp_path / "known") == triple(tmp_path / "unknown")
    assert len(list(tmp_path.iterdir())) == 6
    with Genotypes(tmp_path / "known") as genotypes:
        found = genotypes.haplotypes(0, 700)
    assert np.array_equal(found[:, np.repeat(there, 2)], haplotypes)
    assert (found[:, np.repeat(~there, 2)] == -9).all()


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
    assert report["haploid_people"] == (sex == 1).sum()
    assert report["multiallelic_sites_split"] > 0
    # Alleles of all people against bcftools, sites with one ALT, inside and outside the pseudo-autosomal regions.
    lines = run("bcftools", "query", "-i", "N_ALT=1", "-f", "%POS %ALT[ %GT]\n", source.format("X")).splitlines()
    expected = {}
    for pos, alt, *calls in map(str.split, lines):
        expected[int(pos), alt] = [int(a) for c in calls for a in (c[0], c[0] if c[2] == "." else c[2])]
    with Genotypes(tmp_path / "X") as genotypes:
        haplotypes, sites = genotypes.haplotypes(0, genotypes.n_sites), genotypes.sites
    compared = [
        np.array_equal(haplotypes[i], expected[key])
        for i, key in enumerate(zip(sites["pos"], sites["alt"], strict=True))
        if key in expected
    ]
    par = (sites["pos"] <= 2_699_520) | (sites["pos"] >= 154_931_044)
    assert report["pseudo_autosomal_sites"] == par.sum() > 10
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
    assert report["haploid_people"] == (table["sex"] == 1).sum()
    with pytest.raises(InputError, match="chromosome Y is not in the file"):
        import_chromosome(source, "Y", table, tmp_path / "Y", "GRCh38", {})
