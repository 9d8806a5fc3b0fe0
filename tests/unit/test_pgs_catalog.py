"""PGS Catalog scoring files: every kind of file, matching by reason, builds, writing."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pseudocohort.errors import InputError
from pseudocohort.genetics.pgs_catalog import match_score, read_scoring_file, write_scoring_file

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
    assert score.refused == {"no position (harmonisation failed)": 2}
    assert read_scoring_file(path, "GRCh37").table["pos"].tolist() == [10, 20, 30, 40]
    with pytest.raises(InputError, match=r"positions on GRCh38, the cohort's are on GRCh37"):
        read_scoring_file(
            scoring_file(tmp_path / "t.txt", rows, HARMONISED, genome_build="NR", HmPOS_build="GRCh38"), "GRCh37"
        )
    with pytest.raises(InputError, match=r"positions on GRCh37, the cohort's are on GRCh38"):
        read_scoring_file(scoring_file(tmp_path / "u.txt", ["a 1 1 A G 1"], genome_build="hg19"), "GRCh38")
    assert read_scoring_file(scoring_file(tmp_path / "v.txt", ["a 1 1 A G 1"]), "GRCh38").build == ""


@pytest.mark.parametrize(
    ("columns", "row", "message"),
    [
        ("rsID effect_allele effect_weight", "a G 1", "has no positions(.|\n)*download the harmonised file"),
        ("chr_name chr_position effect_weight", "1 1 1", "has no column effect_allele"),
        ("chr_name chr_position effect_allele", "1 1 G", "has no weights"),
        ("chr_name chr_position effect_allele effect_weight", "1 1 G abc", r"no numbers(.|\n)*line 3"),
        ("chr_name chr_position effect_allele effect_weight", "1 1 G .", r"1 effects have no weight(.|\n)*line 3"),
    ],
)
def test_bad_files_are_told(tmp_path, columns, row, message):
    with pytest.raises(InputError, match=message):
        read_scoring_file(scoring_file(tmp_path / "s.txt", [row], columns))


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
