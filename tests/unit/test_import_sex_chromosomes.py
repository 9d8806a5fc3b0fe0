"""Import of X with its pseudo-autosomal regions, of Y and of MT: ploidy, missing calls, every error."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genotype_files import PEOPLE, content, people_table, run, triple, vcf_text
from pseudocohort.cohort.import_genotypes import import_chromosome
from pseudocohort.cohort.importing import check_genotypes
from pseudocohort.cohort.variants import check_source
from pseudocohort.errors import InputError
from pseudocohort.genotypes import Genotypes

MALE = np.arange(len(PEOPLE)) % 3 == 0
SEX = np.where(MALE, 1, 2)
PAR1, PAR2 = (10_001, 2_781_479), (155_701_383, 156_030_895)  # of X in GRCh38
Y_PAR1, Y_PAR2 = (10_001, 2_781_479), (56_887_903, 57_217_415)  # of Y
HAPLOID = ["a", "a|a", "a/a", "a/.", ".|a", "./a"]


def people(sex=SEX, ids=PEOPLE) -> pd.DataFrame:
    return people_table(ids, np.asarray(sex).tolist())


def alleles_of(seed: int, sites: int, single: np.ndarray) -> np.ndarray:
    """Random alleles (sites, people, 2), twice the same in those who have one copy; every site varies in everyone."""
    rng = np.random.default_rng(seed)
    alleles = (rng.random((sites, len(PEOPLE), 2)) < 0.4).astype(int)
    alleles[:, single, 1] = alleles[:, single, 0]
    return alleles


def calls_of(alleles: np.ndarray, single: np.ndarray, codings: list[str], rng: np.random.Generator) -> list[str]:
    """A site's calls as text, of who has one copy in one of the codings."""
    return [
        rng.choice(codings).replace("a", str(a)) if one else f"{a}|{b}"
        for (a, b), one in zip(alleles, single, strict=True)
    ]


def x_sites(names: tuple[str, str, str], codings: list[str] = HAPLOID) -> tuple[list[tuple], np.ndarray]:
    """Rows of PAR1, the rest of X and PAR2 under these names, both bounds among them, and haplotypes expected."""
    rng = np.random.default_rng(8)
    places = [PAR1[0], 500_000, PAR1[1]], [PAR1[1] + 1, *range(5_000_000, 5_000_060), PAR2[0] - 1], [PAR2[0], PAR2[1]]
    rows, expected = [], []
    for i, (name, positions) in enumerate(zip(names, places, strict=True)):
        single = MALE & (i == 1)
        alleles = alleles_of(i, len(positions), single)
        rows += [
            (name, p, "A", "C", calls_of(a, single, codings, rng)) for p, a in zip(positions, alleles, strict=True)
        ]
        expected.append(alleles.reshape(len(positions), -1))
    return rows, np.concatenate(expected)


def write_source(path: Path, rows: list[tuple], index: bool = True, ids: list[str] = PEOPLE) -> Path:
    """A VCF, BCF or PGEN with the contigs in the order of the rows; returns its path."""
    plain = path.with_suffix(".txt")
    plain.write_text(vcf_text(rows, ids, contigs=tuple(dict.fromkeys(row[0] for row in rows))))
    if path.suffix == ".pgen":
        sex = path.with_suffix(".sex")
        sex.write_text("#IID\tSEX\n" + "".join(f"{p}\t{s}\n" for p, s in zip(PEOPLE, SEX, strict=True) if p in ids))
        run("plink2", "--vcf", plain, "--psam", sex, "--make-pgen", "--out", path.with_suffix(""))
    else:
        run("bcftools", "view", "-O", "b" if path.suffix == ".bcf" else "z", "-o", path, plain)
        if index:
            run("bcftools", "index", "-f", path)
    return path


def exported(prefix: Path) -> list[list[str]]:
    """Calls of every site as plink2 writes them to a VCF, once it has found the files valid."""
    run("plink2", "--pfile", prefix, "--validate", "--out", prefix)
    run("plink2", "--pfile", prefix, "--export", "vcf", "--out", prefix)
    lines = Path(f"{prefix}.vcf").read_text().splitlines()
    return [line.split("\t")[9:] for line in lines if not line.startswith("#")]


def frequencies(prefix: Path) -> tuple[np.ndarray, np.ndarray]:
    """Frequency and number of alleles by site as plink2 counts them."""
    run("plink2", "--pfile", prefix, "--freq", "cols=+pos", "--out", prefix)
    table = pd.read_csv(f"{prefix}.afreq", sep="\t")
    return table["ALT_FREQS"].to_numpy(), table["OBS_CT"].to_numpy()


def pvar(prefix: Path) -> pd.DataFrame:
    return pd.read_csv(f"{prefix}.pvar", sep="\t", dtype=str)


def assert_refused(
    text: str, rows: list[tuple], chrom: str, folder: Path, *, sex=SEX, build="GRCh38", **options
) -> None:
    """The import of these rows ends with an error of this text and writes nothing."""
    (folder / "in.vcf").write_text(vcf_text(rows))
    with pytest.raises(InputError, match=text):
        import_chromosome(folder / "in.vcf", chrom, people(sex), folder / "none" / "chr", build, options)
    assert not (folder / "none").exists() or list((folder / "none").iterdir()) == []


@pytest.mark.parametrize("codings", [["a"], ["a|a", "a/a"], ["a/."], [".|a"], HAPLOID])
@pytest.mark.parametrize("suffix", [".vcf.gz", ".bcf"])
def test_x_has_one_copy_in_males_outside_the_par_and_two_inside(tmp_path, codings, suffix):
    rows, expected = x_sites(("chrX",) * 3, codings)
    source = write_source(tmp_path / f"in{suffix}", rows)
    check_source(source, "X", "GRCh38")
    report = import_chromosome(source, "X", people(), tmp_path / "out", "GRCh38", {})
    with Genotypes(tmp_path / "out") as found:
        assert np.array_equal(found.haplotypes(0, found.n_sites), expected)
        assert (found.sites["chrom"] == "X").all()
        assert found.sites["pos"].is_monotonic_increasing
    table = pvar(tmp_path / "out")
    assert table["#CHROM"].tolist() == ["PAR1"] * 3 + ["X"] * 62 + ["PAR2"] * 2
    assert (table["ID"] == "X:" + table["POS"] + ":A:C").all()
    assert (report["sites_kept"], report["pseudo_autosomal_sites"], report["dropped"]) == (67, 5, {})
    assert report["haploid_people"] == (0 if codings[0] == "a|a" else MALE.sum())
    # plink2 takes the ploidy from the names of the parts.
    inside = (table["#CHROM"] != "X").to_numpy()
    for calls, par, site in zip(exported(tmp_path / "out"), inside, expected, strict=True):
        a, b = site[0::2], site[1::2]
        assert calls == [str(x) if one and not par else f"{x}|{y}" for x, y, one in zip(a, b, MALE, strict=True)]
    counted = np.repeat(True, expected.shape[1])
    counted[1::2] = ~MALE
    frequency, number = frequencies(tmp_path / "out")
    np.testing.assert_allclose(frequency[~inside], expected[~inside][:, counted].mean(axis=1), atol=1e-5)
    np.testing.assert_allclose(frequency[inside], expected[inside].mean(axis=1), atol=1e-5)
    assert set(number[~inside]) == {counted.sum()}
    assert set(number[inside]) == {2 * len(PEOPLE)}
    # What was imported is imported from its own files, and from the VCF made of them, to the same bytes.
    run("plink2", "--pfile", tmp_path / "out", "--export", "bcf", "--out", tmp_path / "back")
    for i, again in enumerate((tmp_path / "out.pgen", tmp_path / "back.bcf")):
        import_chromosome(again, "X", people(), tmp_path / str(i), "GRCh38", {})
        assert triple(tmp_path / str(i)) == triple(tmp_path / "out")


ORDERS = [(0, 1, 2), (1, 0, 2), (1, 2, 0), (2, 1, 0)]


@pytest.mark.parametrize(
    ("suffix", "names", "order"),
    [
        *((suffix, ("PAR1", "X", "PAR2"), order) for suffix in (".pgen", ".vcf.gz") for order in ORDERS),
        *((".vcf.gz", ("chrX_par1", "chrX_nonPAR", "chrX_par2"), order) for order in ORDERS),
        (".pgen", ("25", "23", "25"), (1, 0, 2)),
        (".vcf.gz", ("25", "23", "25"), (1, 0, 2)),
    ],
)
def test_x_in_parts_of_any_name_and_order(tmp_path, suffix, names, order):
    rows, expected = x_sites(names, ["a", "a|a"])  # plink2 takes no half calls
    parts = rows[:3], rows[3:65], rows[65:]
    rows = [row for part in order for row in parts[part]]
    source = write_source(tmp_path / f"in{suffix}", rows)
    if suffix == ".vcf.gz" and names[0] == "25":
        with pytest.raises(InputError, match=r"(?s)not sorted.*bcftools annotate --rename-chrs"):
            import_chromosome(source, "X", people(), tmp_path / "out", "GRCh38", {})
        return
    check_source(source, "X", "GRCh38")
    report = import_chromosome(source, "X", people(), tmp_path / "out", "GRCh38", {})
    with Genotypes(tmp_path / "out") as found:
        assert np.array_equal(found.haplotypes(0, found.n_sites), expected)
    assert report["pseudo_autosomal_sites"] == 5
    assert pvar(tmp_path / "out")["#CHROM"].drop_duplicates().tolist() == ["PAR1", "X", "PAR2"]


def test_parts_of_x_out_of_order_without_an_index(tmp_path):
    rows, _ = x_sites(("PAR1", "X", "PAR2"))
    source = write_source(tmp_path / "in.vcf.gz", rows[3:] + rows[:3], index=False)
    with pytest.raises(InputError, match=r"(?s)not sorted: 10001 comes after 156030895.*--rename-chrs"):
        import_chromosome(source, "X", people(), tmp_path / "out", "GRCh38", {})


def test_the_par_of_x_is_dropped_on_request(tmp_path):
    rows, expected = x_sites(("chrX",) * 3)
    rows[1] = (*rows[1][:4], ["."] * len(PEOPLE))  # whatever is wrong there
    source = write_source(tmp_path / "in.vcf.gz", rows)
    report = import_chromosome(source, "X", people(), tmp_path / "out", "GRCh38", {"pseudo_autosomal": "drop"})
    assert report["dropped"] == {"pseudo_autosomal": 5}
    assert report["pseudo_autosomal_sites"] == 0
    assert [row[3] for row in content(tmp_path / "out")] == expected[3:65].tolist()
    assert set(pvar(tmp_path / "out")["#CHROM"]) == {"X"}


def test_the_bounds_of_the_par_are_those_of_the_build(tmp_path):
    """Between the ends of PAR1 in GRCh37 (2,699,520) and in GRCh38 (2,781,479)."""
    single = ["0" if one else "0|1" for one in MALE]
    double = ["1|0"] * len(PEOPLE)
    rows = [("X", 2_699_521, "A", "C", single)]
    (tmp_path / "in.vcf").write_text(vcf_text(rows))
    assert import_chromosome(tmp_path / "in.vcf", "X", people(), tmp_path / "out", "GRCh37", {})["sites_kept"] == 1
    assert_refused(
        r"(?s)1 sites of chromosome X have haploid genotypes .* position 2699521.*`build`; males have two alleles in "
        "the pseudo-autosomal regions",
        rows,
        "X",
        tmp_path,
    )
    rows = [("X", 2_781_479, "A", "C", double)]
    assert_refused(
        r"(?s)1 sites .* a heterozygous male outside.*check sex and `build`", rows, "X", tmp_path, build="GRCh37"
    )
    assert_refused("position 156040896 is not on chromosome X", [("X", 156_040_896, "A", "C", double)], "X", tmp_path)


def test_half_missing_males_at_sites_with_several_alternatives(tmp_path):
    calls = ["2/.", "1/.", "0/.", *(["0|2", "1|0"] * 19)]
    (tmp_path / "in.vcf").write_text(vcf_text([("X", 5_000_000, "A", "C,T", calls)]))
    sexes = people([1, 1, 1, *([2] * 38)])
    import_chromosome(tmp_path / "in.vcf", "X", sexes, tmp_path / "out", "GRCh37", {})
    found = content(tmp_path / "out")
    assert [row[2] for row in found] == ["C", "T"]
    assert found[0][3][:10] == [0, 0, 1, 1, 0, 0, 0, 0, 1, 0]
    assert found[1][3][:10] == [1, 1, 0, 0, 0, 0, 0, 1, 0, 0]


def y_sites(codings: list[str], female: list[str]) -> tuple[list[tuple], np.ndarray]:
    """Rows of Y, females' calls drawn from `female`, and the alleles expected of males (sites, males)."""
    rng = np.random.default_rng(3)
    alleles = alleles_of(5, 40, MALE)
    rows = []
    for i, site in enumerate(alleles):
        calls = calls_of(site, MALE, codings, rng)
        calls = [call if one else str(rng.choice(female)) for call, one in zip(calls, MALE, strict=True)]
        rows.append(("chrY", 3_000_000 + 100 * i, "A", "C", calls))
    return rows, alleles[:, MALE, 0]


@pytest.mark.parametrize(
    ("suffix", "codings", "female"),
    [
        (".vcf.gz", HAPLOID, ["./.", ".|.", "."]),
        (".bcf", ["a"], ["."]),
        (".vcf.gz", ["a|a"], ["0|0", "0/1", "./.", "1", "0/."]),
        (".pgen", ["a"], ["."]),
    ],
)
def test_y_has_one_copy_in_males_and_none_in_females(tmp_path, suffix, codings, female):
    rows, expected = y_sites(codings, female)
    par = [("chrY", p, "A", "C", ["0|1"] * len(PEOPLE)) for p in (*Y_PAR1, *Y_PAR2)]
    same = [("chrY", 20_000_000, "G", "T", ["1" if one else rows[0][4][i] for i, one in enumerate(MALE)])]
    source = write_source(tmp_path / f"in{suffix}", [*par[:2], *rows, *same, *par[2:]] if suffix != ".pgen" else rows)
    check_source(source, "Y", "GRCh38")
    report = import_chromosome(source, "chrY", people(), tmp_path / "out", "GRCh38", {})
    with Genotypes(tmp_path / "out") as found:
        haplotypes, dosages = found.haplotypes(0, found.n_sites), found.dosages(0, found.n_sites)
        assert found.sites["id"].tolist() == [f"Y:{row[1]}:A:C" for row in rows]
    assert (haplotypes[:, np.repeat(~MALE, 2)] == -9).all()
    assert np.array_equal(haplotypes[:, np.repeat(MALE, 2)], np.repeat(expected, 2, axis=1))
    assert np.array_equal(dosages[:, MALE], 2 * expected)
    called = sum(call.strip("./|") != "" for row in rows + same for call in np.array(row[4])[~MALE])
    if suffix != ".pgen":
        assert report["dropped"] == {"pseudo_autosomal": 4, "monomorphic": 1}
        assert report["female_calls_on_y"] == called
        assert (called > 0) == ("0/1" in female)
        assert report["haploid_people"] == MALE.sum()  # all of them at the site without variation
    assert report["people"] == len(PEOPLE)
    for calls, site in zip(exported(tmp_path / "out"), expected, strict=True):
        assert [call for call, one in zip(calls, MALE, strict=True) if one] == list(map(str, site))
        assert {call for call, one in zip(calls, MALE, strict=True) if not one} == {"."}
    frequency, number = frequencies(tmp_path / "out")
    np.testing.assert_allclose(frequency, expected.mean(axis=1), atol=1e-5)
    assert set(number) == {MALE.sum()}
    import_chromosome(tmp_path / "out.pgen", "Y", people(), tmp_path / "again", "GRCh38", {})
    assert triple(tmp_path / "again") == triple(tmp_path / "out")


def test_y_of_males_alone(tmp_path):
    rows, expected = y_sites(["a"], ["."])
    ids = [p for p, one in zip(PEOPLE, MALE, strict=True) if one]
    males = [(*row[:4], np.array(row[4])[MALE].tolist()) for row in rows]
    write_source(tmp_path / "chrY.vcf.gz", males, ids=ids)
    write_source(tmp_path / "chr22.vcf.gz", [("22", 20_000_000, "A", "C", ["0|1"] * len(PEOPLE))])
    assert check_genotypes(f"{tmp_path}/chr{{chrom}}.vcf.gz", ["Y", "22"], "GRCh38") == PEOPLE
    import_chromosome(tmp_path / "chrY.vcf.gz", "Y", people(), tmp_path / "out", "GRCh38", {})
    with Genotypes(tmp_path / "out") as found:
        assert found.people["person"].tolist() == PEOPLE
        assert np.array_equal(found.haplotypes(0, 40)[:, np.repeat(MALE, 2)], np.repeat(expected, 2, axis=1))
    fewer = [(*row[:4], row[4][2:]) for row in males]
    write_source(tmp_path / "chrY.vcf.gz", fewer, ids=ids[2:])
    with pytest.raises(InputError, match="2 of 41 people are not in the genotype file, though they are male"):
        import_chromosome(tmp_path / "chrY.vcf.gz", "Y", people(), tmp_path / "none", "GRCh38", {})
    write_source(tmp_path / "chrY.vcf.gz", fewer, ids=["q1", *ids[3:]])
    with pytest.raises(InputError, match=r"(?s)1 people are in one of the genotype files.*chrY.*against chr22"):
        check_genotypes(f"{tmp_path}/chr{{chrom}}.vcf.gz", ["Y", "22"], "GRCh38")


@pytest.mark.parametrize("name", ["chrM", "MT", "26", "chrMT", "M"])
@pytest.mark.parametrize(("suffix", "codings"), [(".vcf.gz", HAPLOID), (".bcf", ["a"]), (".pgen", ["a"])])
def test_mt_has_one_copy_in_everybody(tmp_path, name, suffix, codings):
    rng, everybody = np.random.default_rng(2), np.ones(len(PEOPLE), dtype=bool)
    alleles = alleles_of(6, 50, everybody)
    positions = [1, *range(300, 348), 16_569]
    rows = [(name, p, "A", "G", calls_of(a, everybody, codings, rng)) for p, a in zip(positions, alleles, strict=True)]
    source = write_source(tmp_path / f"in{suffix}", rows)
    check_source(source, "MT", "GRCh37")
    unknown = people([0] * len(PEOPLE))  # the sex is of no matter
    report = import_chromosome(source, "MT", unknown, tmp_path / "out", "GRCh37", {})
    with Genotypes(tmp_path / "out") as found:
        assert np.array_equal(found.haplotypes(0, 50), alleles.reshape(50, -1))
        assert found.sites["id"].tolist() == [f"MT:{p}:A:G" for p in positions]
    assert exported(tmp_path / "out") == alleles[..., 0].astype(str).tolist()
    frequency, number = frequencies(tmp_path / "out")
    np.testing.assert_allclose(frequency, alleles[..., 0].mean(axis=1), atol=1e-5)
    assert set(number) == {len(PEOPLE)}
    assert (report["chromosome"], report["haploid_people"]) == ("MT", 0 if suffix == ".pgen" else len(PEOPLE))
    import_chromosome(tmp_path / "out.pgen", "MT", unknown, tmp_path / "again", "GRCh37", {})
    assert triple(tmp_path / "again") == triple(tmp_path / "out")


def spoilt(chrom: str, first: int, call: str, place: int) -> list[tuple]:
    """Three sites of everybody homozygous, the second and third with one odd call."""
    fine = ["1|1" if i in (0, 1) else "0|0" for i in range(len(PEOPLE))]
    odd = [call if i == place else c for i, c in enumerate(fine)]
    return [(chrom, first + 10 * i, "A", "C", odd if i else fine) for i in range(3)]


@pytest.mark.parametrize(
    ("rows", "text", "option"),
    [
        (
            spoilt("X", 5_000_000, "0|1", 6),
            r"2 sites .* have a heterozygous male outside .*, the first at position 5000010",
            "haploid_heterozygous",
        ),
        (
            spoilt("Y", 5_000_000, "0/1", 6),
            "2 sites of chromosome Y have a heterozygous male, the first at position 50000",
            "haploid_heterozygous",
        ),
        (spoilt("Y", 5_000_000, "./.", 6), "2 sites of chromosome Y have missing genotypes, the first", "missing"),
        (spoilt("Y", 5_000_000, ".", 6), "2 sites of chromosome Y have missing genotypes, the first", "missing"),
        (
            spoilt("MT", 500, "0/1", 7),
            r"(?s)2 sites of chromosome MT have a heterozygous call \(heteroplasmy\) .* first at position 510"
            r".*`haploid_heterozygous: drop`",
            "haploid_heterozygous",
        ),
        (spoilt("MT", 500, "./.", 7), "2 sites of chromosome MT have missing genotypes, the first", "missing"),
        (spoilt("X", 500_000, "1", 6), r"(?s)2 sites .* have haploid .*`pseudo_autosomal: drop`", None),
        (spoilt("X", 5_000_000, "1", 7), r"2 sites of chromosome X have haploid genotypes where two alleles", None),
        (spoilt("X", 500_000, "0/1", 6), "2 sites of chromosome X have unphased heterozygous genotypes", "unphased"),
    ],
)
def test_odd_calls_are_refused_or_dropped(tmp_path, rows, text, option):
    chrom = rows[0][0]
    assert_refused(text, rows, chrom, tmp_path)
    if option:
        report = import_chromosome(tmp_path / "in.vcf", chrom, people(), tmp_path / "out", "GRCh38", {option: "drop"})
        assert report["dropped"] == {option: 2}
        assert [row[0] for row in content(tmp_path / "out")] == [rows[0][1]]


def test_odd_calls_of_females_on_y_are_none_of_its_business(tmp_path):
    rows = spoilt("Y", 5_000_000, "0/1", 7)
    (tmp_path / "in.vcf").write_text(vcf_text(rows))
    report = import_chromosome(tmp_path / "in.vcf", "Y", people(), tmp_path / "out", "GRCh38", {})
    assert (report["sites_kept"], report["dropped"]) == (3, {})
    assert report["female_calls_on_y"] == 3 * (~MALE).sum()


def test_unknown_or_no_sex_and_empty_chromosomes(tmp_path):
    some = [0] * 3 + [2] * 38
    for chrom in ("X", "Y"):
        assert_refused(
            f"the sex of 3 people is unknown, and chromosome {chrom}",
            spoilt(chrom, 5_000_000, "0|0", 1),
            chrom,
            tmp_path,
            sex=some,
        )
    assert_refused("nobody is male, and chromosome Y", spoilt("Y", 5_000_000, "0|0", 1), "Y", tmp_path, sex=[2] * 41)
    par = [("Y", Y_PAR1[1], "A", "C", ["0|1"] * 41), ("Y", 5_000_000, "A", "C", ["0"] * 41)]
    assert_refused("(?s)no site of chromosome Y is left of 2.*1 pseudo_autosomal; 1 monomorphic", par, "Y", tmp_path)
    assert_refused("(?s)chromosome Y is not in the file.*: X", spoilt("X", 5_000_000, "0|0", 1), "Y", tmp_path)
    assert_refused(
        "position 57227416 is not on chromosome Y of GRCh38; the position fits GRCh37",
        [("Y", 57_227_416, "A", "C", ["0"] * 41)],
        "Y",
        tmp_path,
    )


def test_the_mitochondrion_of_ucsc_is_refused(tmp_path):
    rows = spoilt("chrM", 500, "0|0", 7)
    text = vcf_text(rows, contigs=("chrM",)).replace("<ID=chrM>", "<ID=chrM,length=16571>")
    (tmp_path / "in.vcf").write_text(text)
    run("plink2", "--vcf", tmp_path / "in.vcf", "--make-pgen", "--out", tmp_path / "in")
    for name in ("in.vcf", "in.pgen"):
        with pytest.raises(InputError, match=r"(?s)length of MT, 16571, is that of UCSC's hg19 chrM.*rCRS \(NC_012920"):
            check_source(tmp_path / name, "MT", "GRCh37")
    rows.append(("chrM", 16_570, "A", "C", ["0|1"] * 41))
    assert_refused("(?s)position 16570 is of UCSC's hg19 chrM.*take MT out", rows, "MT", tmp_path, build="GRCh37")
    rows[-1] = ("chrM", 16_572, "A", "C", ["0|1"] * 41)
    assert_refused("position 16572 is not on chromosome MT of GRCh38", rows, "MT", tmp_path)


def test_the_length_of_a_part_of_x_says_nothing(tmp_path):
    rows, _ = x_sites(("PAR1", "X", "PAR2"))
    text = vcf_text(rows, contigs=("PAR1", "X", "PAR2")).replace("<ID=PAR1>", "<ID=PAR1,length=2781479>")
    (tmp_path / "in.vcf").write_text(text.replace("<ID=X>", "<ID=X,length=156040895>"))
    check_source(tmp_path / "in.vcf", "X", "GRCh38")
    with pytest.raises(InputError, match="the length it has in GRCh38, not in GRCh37"):
        check_source(tmp_path / "in.vcf", "X", "GRCh37")
