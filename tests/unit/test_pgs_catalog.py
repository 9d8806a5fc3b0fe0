"""PGS Catalog scoring files: every kind of file, matching by reason, builds, writing."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pseudocohort.errors import InputError
from pseudocohort.scores.matching import match_score
from pseudocohort.scores.pgs_catalog import read_scoring_file, read_scoring_files, standard_build, write_scoring_file

REAL = Path(__file__).parents[3] / "shared" / "data" / "pgs_scores"
needs_real = pytest.mark.skipif(not REAL.exists(), reason="the real scoring files are not beside this checkout")


def scoring_file(path, rows, columns="rsID chr_name chr_position effect_allele other_allele effect_weight", **header):
    lines = ["###PGS CATALOG SCORING FILE", *[f"#{k}={v}" for k, v in header.items()], "\t".join(columns.split())]
    path.write_text("\n".join([*lines, *("\t".join("" if c == "." else c for c in r.split()) for r in rows)]) + "\n")
    return path


def sites_of(*rows):
    return (
        pd.DataFrame([r.split() for r in rows], columns=["chrom", "pos", "ref", "alt"])
        .astype({"pos": int})
        .assign(id=[f"s{i}" for i in range(len(rows))])
    )


def test_matching_by_priority_and_reason(tmp_path):
    sites = sites_of(
        "1 100 A G",
        "1 200 A G",
        "1 300 A G",
        "1 400 A G",
        "1 500 A T",
        "chr2 600 C T",
        "2 600 C A",
        "2 700 AT A",
        "X 800 G C",
        "2 900 T C",
        "2 950 T C",
    )
    score = read_scoring_file(
        scoring_file(
            tmp_path / "PGS9.txt",
            [
                "a 1 100 G A 0.1",
                "b 1 200 A G 0.2",
                "c 1 300 C T 0.3",
                "d 1 400 T C 0.4",
                "e 1 500 A T 0.5",
                "f chr2 600 A C 0.6",
                "g 2 700 A AT 0.7",
                "h 23 800 G C 0.8",
                "i 2 900 G A 0.9",
                "j 2 950 T A 1.0",
                "k 3 1 A C 1.1",
                "l 1 100 A G 1.2",
                "m 2 600 C . 1.3",
            ],
            genome_build="hg19",
            pgs_id="PGS000999",
        ),
        "GRCh37",
    )
    assert (score.name, score.build, score.rows) == ("PGS000999", "GRCh37", 13)
    rows, values, report = match_score(score, sites)
    assert rows.tolist() == [0, 1, 2, 3, 6, 7, 9]
    np.testing.assert_allclose(
        values,
        [[0, 0.1, 0.2], [0.4, 0.2, 0], [0, 0.3, 0.6], [0.8, 0.4, 0], [0, 0.6, 1.2], [0, 0.7, 1.4], [0, 0.9, 1.8]],
    )
    assert report["reasons"] == {
        "not in the cohort": 1,
        "alleles differ from the cohort's": 1,
        "several sites fit (multi-allelic)": 1,
        "another effect on the same site": 1,
        "strand not known (A/T or C/G)": 2,
        "matched ref/alt": 3,
        "matched alt/ref": 1,
        "matched ref/alt, other strand": 2,
        "matched alt/ref, other strand": 1,
    }
    assert (report["rows"], report["matched"]) == (13, 7)
    assert sum(report["reasons"].values()) == 13


def test_frequencies_decide_the_strand_when_both_are_clear(tmp_path):
    sites = sites_of("1 1 A T", "1 2 A T", "1 3 C G", "1 4 C G", "1 5 A G")
    rows = ["r 1 1 T A 1 0.2", "r 1 2 T A 2 0.8", "r 1 3 C G 3 0.9", "r 1 4 G C 4 0.45", "r 1 5 G A 5 0.9"]
    columns = "rsID chr_name chr_position effect_allele other_allele effect_weight allelefrequency_effect"
    score = read_scoring_file(scoring_file(tmp_path / "s.txt", rows, columns))
    found, values, report = match_score(score, sites, np.array([0.25, 0.25, 0.1, 0.2, 0.2]))
    assert found.tolist() == [0, 1, 2, 4]
    np.testing.assert_allclose(values, [[0, 1, 2], [4, 2, 0], [6, 3, 0], [0, 5, 10]])
    assert report["reasons"]["strand told by frequency (A/T or C/G)"] == 3
    assert report["reasons"]["strand not known (A/T or C/G)"] == 1
    assert len(match_score(score, sites, minimum_overlap=0.2)[0]) == 1


def test_dominant_recessive_dosage_and_complex_effects(tmp_path):
    path = scoring_file(
        tmp_path / "s.txt",
        [
            "1 1 G A 1.5 True False False",
            "1 2 G A 2.5 False True False",
            "1 3 G A 3.5 False False False",
            "1 4 G A 4.5 False False True",
            "1 5 HLA-A*01:01 . 5.5 False False False",
        ],
        "chr_name chr_position effect_allele other_allele effect_weight is_dominant is_recessive is_haplotype",
    )
    score = read_scoring_file(path)
    np.testing.assert_allclose(score.values, [[0, 1.5, 1.5], [0, 0, 2.5], [0, 3.5, 7]])
    assert score.refused == {"haplotype, diplotype or interaction": 1, "alleles that are not bases": 1}
    columns = "chr_name chr_position effect_allele other_allele dosage_0_weight dosage_1_weight dosage_2_weight"
    path = scoring_file(tmp_path / "d.txt", ["1 1 G A -0.1 0.2 0.9"], columns)
    found, values, _ = match_score(read_scoring_file(path), sites_of("1 1 G A"))
    np.testing.assert_allclose(values, [[0.9, 0.2, -0.1]])
    assert found.tolist() == [0]


HARMONISED = (
    "rsID chr_name chr_position effect_allele effect_weight hm_source hm_rsID hm_chr hm_pos hm_inferOtherAllele"
)


def test_harmonised_positions_follow_the_cohorts_build(tmp_path):
    rows = [
        "a 1 10 G 1 ENSEMBL a 1 110 A",
        "b 1 20 G 2 Unknown b . . .",
        "c 1 30 G 3 liftover c 1 130 A/T",
        "d 1 40 G 4 Unknown d 1 140 A",
    ]
    path = scoring_file(tmp_path / "s.txt", rows, HARMONISED, genome_build="GRCh37", HmPOS_build="GRCh38")
    score = read_scoring_file(path, "GRCh38")
    assert score.build == "GRCh38"
    assert score.table["pos"].tolist() == [110, 130]
    assert score.table["other"].tolist() == ["A", ""]
    assert score.refused == {"no position on this build": 2}
    assert read_scoring_file(path, "GRCh37").table["pos"].tolist() == [10, 20, 30, 40]
    with pytest.raises(InputError, match=r"positions on GRCh38, the cohort's are on GRCh37"):
        read_scoring_file(
            scoring_file(tmp_path / "t.txt", rows, HARMONISED, genome_build="NR", HmPOS_build="GRCh38"), "GRCh37"
        )
    with pytest.raises(InputError, match=r"positions on GRCh37, the cohort's are on GRCh38"):
        read_scoring_file(scoring_file(tmp_path / "u.txt", ["a 1 1 A G 1"], genome_build="hg19"), "GRCh38")
    assert read_scoring_file(scoring_file(tmp_path / "v.txt", ["a 1 1 A G 1"]), "GRCh38").build == ""


FOUR = "chr_name chr_position effect_allele effect_weight"


@pytest.mark.parametrize(
    ("columns", "row", "message"),
    [
        ("rsID effect_allele effect_weight", "a G 1", "has no positions(.|\n)*download the harmonised file"),
        ("chr_name chr_position effect_weight", "1 1 1", "has no column effect_allele"),
        ("chr_name chr_position effect_allele", "1 1 G", "has no weights"),
        (FOUR, "1 1 G abc", r"no numbers(.|\n)*line 3"),
        (FOUR, "1 1 G .", r"1 effects have no weight(.|\n)*line 3"),
        (
            "chr_name chr_position effect_allele effect_weight",
            "1 1 G inf",
            r"1 values of column effect_weight(.|\n)*line 3",
        ),
        (
            "chr_name chr_position effect_allele effect_weight",
            "1 1 G",
            r"has a line of 3 columns(.|\n)*line 3(.|\n)*4 col",
        ),
        (
            "chr_name chr_position effect_allele effect_weight effect_weight",
            "1 1 G 1 1",
            "effect_weight more than once",
        ),
        ("chr_name,chr_position,effect_allele,effect_weight", "1,1,G,1", "is not separated by tabs"),
    ],
)
def test_bad_files_are_told(tmp_path, columns, row, message):
    with pytest.raises(InputError, match=message):
        read_scoring_file(scoring_file(tmp_path / "s.txt", [row], columns))


COLUMNS = "chr_name chr_position effect_allele other_allele effect_weight"


def test_every_spelling_of_a_table_is_read_alike(tmp_path):
    """Windows' and old Macs' line ends, a byte order mark, gzip in several members, a header line with #."""
    rows = ["chr1 10 g A 0.5", "23 20 T . -1e-3", "XY 30 C A NA", "X 40 C A 2", "22 50.0 C A 3"]
    text = scoring_file(tmp_path / "s.txt", [r for r in rows if "NA" not in r], COLUMNS, pgs_id="PGS1").read_bytes()
    expected = read_scoring_file(tmp_path / "s.txt")
    assert expected.table["chrom"].tolist() == ["1", "X", "X", "22"]
    assert expected.table["pos"].tolist() == [10, 20, 40, 50]
    assert expected.table["effect"].tolist() == ["G", "T", "C", "C"]
    assert expected.table["other"].tolist() == ["A", "", "A", "A"]
    assert expected.weights.tolist() == [0.5, -1e-3, 2, 3]
    for other in (
        text.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + text,
        gzip.compress(text[:150]) + gzip.compress(text[150:]),
        text.replace(b"\nchr_name", b"\n#chr_name"),
        text + b"\n\n",
    ):
        (tmp_path / "other").write_bytes(other)
        score = read_scoring_file(tmp_path / "other")
        pd.testing.assert_frame_equal(score.table.astype(object), expected.table.astype(object))
        np.testing.assert_array_equal(score.weights, expected.weights)
        assert (score.name, score.rows) == ("PGS1", 4)
    scoring_file(tmp_path / "s.txt", rows, COLUMNS)
    with pytest.raises(InputError, match=r"1 effects have no weight(.|\n)*line 5"):
        read_scoring_file(tmp_path / "s.txt")


def test_files_read_together_are_the_files_read_alone(tmp_path):
    """Two of the same effects, of more than one of Arrow's blocks and of other lengths, then others."""
    rng, m = np.random.default_rng(3), 60_000
    sites = pd.DataFrame(
        {"chrom": np.repeat(["9", "10", "X"], m // 3), "pos": np.arange(m) + 1, "ref": "A", "alt": "G"}
    )
    sites["id"] = [f"{chrom}:{pos}:A:G" for chrom, pos in zip(sites["chrom"], sites["pos"], strict=True)]
    swapped = sites.assign(ref="G", alt="A")
    weights = [rng.normal(size=m), rng.integers(1, 9, m), rng.normal(size=m), rng.normal(size=m)]
    weights.append(rng.normal(size=(m, 3)))
    paths = [tmp_path / f"{k}.txt.gz" for k in range(5)]
    for path, table, w in zip(paths, [sites, sites, swapped, sites.iloc[:-1], sites], weights, strict=True):
        write_scoring_file(path, table, w[: len(table)], path.name[0])
    together = list(read_scoring_files(paths))
    assert together[0].table is together[1].table
    for path, one in zip(paths, together, strict=True):
        alone = read_scoring_file(path)
        pd.testing.assert_frame_equal(one.table.astype(object), alone.table.astype(object))
        np.testing.assert_array_equal(one.weights, alone.weights)
        assert one._replace(table=0, weights=0) == alone._replace(table=0, weights=0)
    text = gzip.decompress(paths[1].read_bytes()).decode()
    paths[1].write_text(text.replace("\tG\tA\t8\n", "\tG\tA\tinf\n", 1))
    with pytest.raises(InputError, match="no numbers"):
        list(read_scoring_files(paths))


def test_what_is_no_text_is_told(tmp_path):
    text = scoring_file(tmp_path / "s.txt", ["1 1 G A 1", "1 2 G A 2"], COLUMNS, citation="M?ller").read_bytes()
    path = tmp_path / "t.txt"
    path.write_bytes(text.replace(b"?", b"\xfc"))
    with pytest.raises(InputError, match="is not UTF-8 text in line 2"):
        read_scoring_file(path)
    path.write_bytes(text.replace(b"\tG\t", b"\t\xfc\t"))
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read_scoring_file(path)
    path.write_bytes(gzip.compress(text)[:-6] + b"123456")
    with pytest.raises(InputError, match=r"cannot be read(.|\n)*download the file again"):
        read_scoring_file(path)
    path.write_bytes(text[: text.index(b"chr_name")])
    with pytest.raises(InputError, match="ends after its header"):
        read_scoring_file(path)


@pytest.mark.parametrize("stated", ["hg18", "NCBI36"])
def test_a_build_that_nobody_else_has_is_refused(tmp_path, stated):
    path = scoring_file(tmp_path / "s.txt", ["1 1 G A 1"], COLUMNS, genome_build=stated)
    with pytest.raises(InputError, match=f"positions on {stated}, the cohort's are on GRCh38"):
        read_scoring_file(path, "GRCh38")


def test_names_of_builds():
    for build, names in {
        "GRCh37": ("GRCh37", "hg19", "grch37.p13", "NCBI37", "b37", "build 37", "hg19 (GRCh37)", "37"),
        "GRCh38": ("GRCh38", "hg38", "B38", "GRCh38/hg38"),
        "": ("", "NR", "NA"),
        "hg18": ("hg18",),
    }.items():
        assert {standard_build(name) for name in names} == {build}


def test_kinds_of_effect(tmp_path):
    columns = f"{COLUMNS} effect_type dosage_0_weight dosage_1_weight dosage_2_weight weight_type"
    rows = [
        "1 1 G A 1 additive . . . beta",
        "1 2 G A 2 dominant . . . beta",
        "1 3 G A 3 recessive . . . log(OR)",
        "1 4 G A . nonadditive 1 5 7 beta",
        "1 5 G A 9 epistatic . . . beta",
        "1 6 G A 4 . . . . .",
    ]
    score = read_scoring_file(scoring_file(tmp_path / "s.txt", rows, columns))
    np.testing.assert_array_equal(score.values, [[0, 1, 2], [0, 2, 2], [0, 0, 3], [1, 5, 7], [0, 4, 8]])
    assert score.refused == {"effect type that is not known": 1}
    assert score.weight_types == ("beta", "log(OR)")


def test_matching_is_the_brute_force(tmp_path):
    """Random effects and sites, several a position, on both strands, of unknown other allele, out of order."""
    rng = np.random.default_rng(5)
    alleles = np.array(["A", "C", "G", "T", "AC", "GT"])
    sites = pd.DataFrame(
        {
            "chrom": np.repeat(["2", "chr10", "X"], 150),
            "pos": np.concatenate([np.sort(rng.integers(1, 80, 150)) for _ in range(3)]),
            "ref": rng.choice(alleles, 450),
            "alt": rng.choice(alleles, 450),
        }
    )
    sites = sites[sites["ref"] != sites["alt"]].drop_duplicates().reset_index(drop=True)
    rows = [
        f"{rng.choice(['2', '10', '23', '7'])} {rng.integers(1, 80)} {rng.choice(alleles)} "
        f"{rng.choice([*alleles, '.'])} {k + 1} {rng.random():.3f}"
        for k in range(600)
    ]
    columns = f"{COLUMNS} allelefrequency_effect"
    score = read_scoring_file(scoring_file(tmp_path / "s.txt", rows, columns))
    frequency, records = rng.random(len(sites)), sites.to_dict("records")
    found, values, report = match_score(score, sites, frequency, 0)

    def turned(allele):
        return "".join({"A": "T", "C": "G", "G": "C", "T": "A"}[b] for b in reversed(allele))

    best = {}
    for k, row in enumerate(rows):
        chrom, pos, effect, other, weight, f = row.split()
        chrom, ways = {"23": "X", "10": "chr10"}.get(chrom, chrom), {}
        for s, site in enumerate(records):
            if (site["chrom"], site["pos"]) == (chrom, int(pos)):
                pairs = [(effect, other), (turned(effect), "." if other == "." else turned(other))]
                for flip, (e, o) in enumerate(pairs if other != "." else pairs[:1]):
                    for swapped, (want, rest) in enumerate(((site["alt"], site["ref"]), (site["ref"], site["alt"]))):
                        if e == want and o in (".", rest):
                            ways.setdefault(2 * flip + swapped, set()).add(s)
        if ways and len(ways[min(ways)]) == 1:
            (s,) = ways[min(ways)]
            best.setdefault(s, []).append((min(ways), k, float(weight), float(f)))
    expected = {}
    for s, candidates in best.items():
        way, _, weight, f = min(candidates)
        on_ref, site = way % 2, records[s]
        if turned(site["ref"]) == site["alt"]:
            here = 1 - frequency[s] if on_ref else frequency[s]
            if min(abs(f - 0.5), abs(here - 0.5)) <= 0.1:
                continue
            on_ref ^= (f > 0.5) != (here > 0.5)
        expected[s] = [2 * weight, weight, 0] if on_ref else [0, weight, 2 * weight]
    assert len(expected) > 50
    assert found.tolist() == sorted(expected)
    np.testing.assert_array_equal(values, [expected[s] for s in sorted(expected)])
    assert sum(report["reasons"].values()) == 600


def test_nine_digits_are_written(tmp_path):
    weights = np.random.default_rng(0).normal(size=1000) * 10.0 ** np.random.default_rng(1).integers(-12, 7, 1000)
    sites = sites_of(*[f"1 {k + 1} A G" for k in range(1000)])
    write_scoring_file(tmp_path / "w.txt.gz", sites, weights, "t")
    np.testing.assert_allclose(read_scoring_file(tmp_path / "w.txt.gz").weights, weights, rtol=5.1e-9)
    text = gzip.decompress((tmp_path / "w.txt.gz").read_bytes()).decode()
    digits = [
        line.split("\t")[5].split("e")[0].strip("-").replace(".", "").strip("0") for line in text.splitlines()[7:]
    ]
    assert max(map(len, digits)) == 9


def test_missing_truncated_and_poorly_matching_files_are_told(tmp_path):
    with pytest.raises(InputError, match="there is no scoring file"):
        read_scoring_file(tmp_path / "none.txt")
    whole = gzip.compress(scoring_file(tmp_path / "s.txt", ["a 1 1 G A 1", "a 1 2 G A 1", "a 1 3 G A 1"]).read_bytes())
    (tmp_path / "s.txt.gz").write_bytes(whole[:-20])
    with pytest.raises(InputError, match=r"cannot be read(.|\n)*download the file again"):
        read_scoring_file(tmp_path / "s.txt.gz")
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(InputError, match="holds no effects"):
        read_scoring_file(tmp_path / "empty.txt")
    with pytest.raises(InputError, match=r"only 1 of 3 effects of s are(.|\n)*not in the cohort: 2(.|\n)*at least 50%"):
        match_score(read_scoring_file(tmp_path / "s.txt"), sites_of("1 2 A G"))


@pytest.mark.parametrize("kept", [[0], [2], [0, 2], []])
def test_sites_of_several_tables_are_written_once(tmp_path, kept):
    """Chromosomes without a chosen site leave empty pieces in the columns; the file has the rows and nothing else."""
    sites = sites_of("1 100 A G", "1 200 A G", "2 300 A C").astype({"id": "str", "chrom": "str"})
    pieces = pd.concat([sites.iloc[[i]] if i in kept else sites.iloc[:0] for i in range(3)], ignore_index=True)
    write_scoring_file(tmp_path / "one.txt.gz", pieces, np.ones(len(kept)), "height")
    rows = [line for line in gzip.decompress((tmp_path / "one.txt.gz").read_bytes()).splitlines() if line[:1] != b"#"]
    assert [row.split(b"\t")[0].decode() for row in rows] == ["rsID", *sites["id"].iloc[kept]]


def test_written_files_come_back(tmp_path):
    sites = sites_of("1 1 A G", "1 2 A T", "1 3 C CTT", "X 4 C G", "2 5 A G")
    weights = np.array([0.123456789, 0.0, -2e-7, 3.0, 0.0])
    assert write_scoring_file(tmp_path / "t.txt.gz", sites, weights, "ldl", "GRCh37", {"pgs_id": "ldl"}) == 3
    once = (tmp_path / "t.txt.gz").read_bytes()
    write_scoring_file(tmp_path / "t.txt.gz", sites, weights, "ldl", "GRCh37", {"pgs_id": "ldl"})
    assert (tmp_path / "t.txt.gz").read_bytes() == once
    text = gzip.decompress(once).decode()
    assert "#format_version=2.0\n" in text
    assert "\nrsID\tchr_name\tchr_position\teffect_allele\tother_allele\teffect_weight\ns0\t1\t1\tG\tA\t" in text
    score = read_scoring_file(tmp_path / "t.txt.gz", "GRCh37")
    assert (score.name, score.build) == ("ldl", "GRCh37")
    assert score.table["effect"].tolist() == ["G", "CTT", "G"]
    np.testing.assert_allclose(score.values[:, 1], weights[[0, 2, 3]], rtol=1e-8)
    mixed = np.array([[0, 1, 2], [0, 0, 0], [4, 2, 0], [0, 3, 3], [0, 0, 0.0]])
    write_scoring_file(tmp_path / "m.txt.gz", sites, mixed, "bmi")
    back = read_scoring_file(tmp_path / "m.txt.gz")
    assert back.table["effect"].tolist() == ["G", "C", "G"]
    np.testing.assert_allclose(back.values, [[0, 1, 2], [0, 2, 4], [0, 3, 3]])
    assert write_scoring_file(tmp_path / "n.txt.gz", sites, np.zeros(5), "null") == 0
    assert len(read_scoring_file(tmp_path / "n.txt.gz").table) == 0


@needs_real
@pytest.mark.parametrize(
    ("name", "build", "rows", "kept"),
    [
        ("PGS000001_hmPOS_GRCh37.txt.gz", "GRCh37", 77, 77),
        ("PGS000002_hmPOS_GRCh38.txt.gz", "GRCh38", 77, 77),
        ("OPGS017309_hmPOS_GRCh38.txt.gz", "GRCh38", 697, None),
        ("OPGS017309.txt", "GRCh37", 697, 697),
        ("PGS000802_hmPOS_GRCh37.txt", "GRCh37", 19, 19),
        ("PGS004255_hmPOS_GRCh38.txt.gz", "GRCh38", None, None),
        ("PGS001229_22.txt", "GRCh37", None, None),
        ("PGS001229_hmPOS_GRCh38.txt.gz", "GRCh38", 51209, None),
    ],
)
def test_real_files_are_read(name, build, rows, kept):
    score = read_scoring_file(REAL / name, build)
    assert rows is None or score.rows == rows
    assert kept is None or len(score.table) == kept
    assert len(score.table) + sum(score.refused.values()) == score.rows > 10
    assert (score.table["pos"] > 0).all()
    assert np.isfinite(score.values).all()
    if name.startswith("PGS000802"):
        assert (score.values[:, 1] == 0).any()  # recessive
        assert (score.values[:, 1] == score.values[:, 2]).any()  # dominant


@needs_real
def test_real_complex_effects_are_refused_and_counted():
    score = read_scoring_file(REAL / "complex_variants_PGS004239.txt", "GRCh37")
    assert sum(score.refused.values()) > 5
    with pytest.raises(InputError, match="has no positions"):
        read_scoring_file(REAL / "complex_variants_PGS000021.txt", "GRCh37")
    with pytest.raises(InputError, match="positions on GRCh38, the cohort's are on GRCh37"):
        read_scoring_file(REAL / "PGS000001_hmPOS_GRCh38.txt.gz", "GRCh37")
