"""Genetic maps: formats, interpolation, errors, covering of the sites; facts of the builds."""

import gzip
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from pseudocohort.cohort import builds
from pseudocohort.cohort.maps import GeneticMap, cover, read_map, write_map
from pseudocohort.errors import InputError

DATA = Path(__file__).parents[3] / "shared" / "data"
POS = [1000, 50_000, 50_500, 900_000, 2_000_000]
CM = [0.0, 0.25, 1.75, 1.75, 3.5]

FORMATS = {
    "shapeit5": ["pos\tchr\tcM", *(f"{p}\t22\t{c}" for p, c in zip(POS, CM, strict=True))],
    "hapmap": [
        "Chromosome\tPosition(bp)\tRate(cM/Mb)\tMap(cM)",
        *(f"chr22\t{p}\t1.5\t{c}" for p, c in zip(POS, CM, strict=True)),
    ],
    "shapeit": [
        "position COMBINED_rate(cM/Mb) Genetic_Map(cM)",
        *(f"{p} 1.5 {c}" for p, c in zip(POS, CM, strict=True)),
    ],
    "eagle": [
        "chr position COMBINED_rate(cM/Mb) Genetic_Map(cM)",
        *(f"{c} {p} 1.5 {m}" for c in (21, 22) for p, m in zip(POS, CM, strict=True)),
    ],
    "plink": [f"22 . {c} {p}" for p, c in zip(POS, CM, strict=True)],
    "ped-sim": [
        "#chr pos male_cM female_cM",
        "21 5 0 0",
        "21 50 1 1",
        *(f"22 {p} {c * 0.5} {c * 1.5}" for p, c in zip(POS, CM, strict=True)),
    ],
    "own": ["pos\tcM", *(f"{p}\t{c}" for p, c in zip(POS, CM, strict=True))],
    "repeated": ["pos\tcM", "1000\t0.0", *(f"{p}\t{c}" for p, c in zip(POS, CM, strict=True)), ""],
}


def write(path: Path, lines: list[str], zipped: bool = False) -> Path:
    text = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(text) if zipped else text)
    return path


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_all_formats_give_the_same_map(tmp_path, name, zipped):
    for chrom in ("22", "chr22"):
        found = read_map(write(tmp_path / "map", FORMATS[name], zipped), chrom)
        assert found.chrom == "22"
        assert found.pos.dtype == np.int64
        assert found.pos.tolist() == POS
        np.testing.assert_allclose(found.cm, CM, rtol=1e-12)
    assert (found.male_cm is None) == (name != "ped-sim")


def test_the_x_of_ped_sim_has_the_female_map(tmp_path):
    path = write(tmp_path / "x.simmap", ["#chr\tpos\tmale_cM\tfemale_cM", "X\t5\tNA\t1", "X\t105\tNA\t3"])
    found = read_map(path, "chrX")
    assert found.male_cm is None
    assert found.cm.tolist() == found.female_cm.tolist() == [1, 3]


def test_positions_and_centimorgans_are_inverse():
    rng = np.random.default_rng(5)
    pos = np.sort(rng.choice(10_000_000, 400, replace=False)).astype(np.int64)
    cm = np.cumsum(rng.exponential(0.02, 400))
    found = GeneticMap("1", pos, cm)
    bp = rng.uniform(-1e6, 12e6, 5000)
    np.testing.assert_allclose(found.bp_at(found.cm_at(bp)), bp, atol=1e-5)
    inside = (bp >= pos[0]) & (bp <= pos[-1])
    left = np.searchsorted(pos, bp[inside], side="right") - 1  # brute force between the two points
    share = (bp[inside] - pos[left]) / (pos[left + 1] - pos[left])
    np.testing.assert_allclose(found.cm_at(bp[inside]), cm[left] + share * (cm[left + 1] - cm[left]), atol=1e-10)
    assert found.length_cm == cm[-1] - cm[0]
    rate = found.length_cm / (pos[-1] - pos[0])
    np.testing.assert_allclose(found.cm_at([pos[-1] + 1000, pos[0] - 10]), [cm[-1] + 1000 * rate, cm[0] - 10 * rate])


def test_a_map_that_stands_still_has_finite_positions():
    found = GeneticMap("1", np.array([0, 10, 20, 30]), np.array([0.0, 1, 1, 2]))
    assert found.bp_at([0, 0.5, 1, 1.5, 2]).tolist() == [0, 5, 20, 25, 30]
    flat = GeneticMap("1", np.array([5, 10]), np.array([1.0, 1.0]))
    assert np.isfinite(flat.bp_at([0, 1, 2])).all()


def test_written_maps_are_read_back_exactly(tmp_path):
    rng = np.random.default_rng(6)
    pos = np.sort(rng.choice(10_000_000, 100, replace=False)).astype(np.int64)
    found = GeneticMap("7", pos, np.cumsum(rng.exponential(size=100)))
    write_map(tmp_path / "maps" / "chr7.tsv", found)
    again = read_map(tmp_path / "maps" / "chr7.tsv", "7")
    assert np.array_equal(again.pos, found.pos)
    assert np.array_equal(again.cm, found.cm)
    assert (tmp_path / "maps" / "chr7.tsv").read_text().startswith("pos\tcM\n")


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([], "is empty"),
        (["rs1 0.1"], "columns are not those of a genetic map"),
        (["a b c d", "1 2 3 4"], "columns are not those of a genetic map"),
        (["pos\tcM", "10\t0", "20\tx"], r"(?s)`x` is no number.*line 3, cm"),
        (["pos\tcM", "10\t0", "20"], "(?s)1 columns instead of 2.*line 3"),
        (["pos\tcM", "10\t0", "", "20\t1\t7"], "(?s)3 columns instead of 2.*line 4"),
        (["pos\tcM", "10\t0", "20\t1\t7\t8"], "more than 2 columns"),
        (["pos\tcM"], r"only 0 point\(s\)"),
        (["pos\tcM", "10\t0", "20.5\t1"], "(?s)no whole number.*line 3"),
        (["pos\tcM", "10\t0", "20\tnan"], "(?s)no number.*line 3"),
        (["pos\tcM", "10\t0", "20\t2", "30\t1.5"], "(?s)decreases from 2 to 1.5 cM.*line 4"),
        (["pos\tcM", "10\t0", "30\t2", "20\t3"], "(?s)not sorted.*line 4"),
        (["pos\tcM", "10\t0", "20\t2", "20\t3"], "(?s)position 20 stands twice.*line 4"),
        (["pos\tcM", "10\t0"], r"only 1 point\(s\)"),
        (["pos\tchr\tcM", "10\t1\t0", "20\t2\t1"], "(?s)has no chromosome 22.*: 1, 2"),
    ],
)
def test_bad_maps(tmp_path, lines, text):
    path = tmp_path / "bad.map"
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=text):
        read_map(path, "22")


def test_missing_and_truncated_maps(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_map(tmp_path / "none.gz", "22")
    path = write(tmp_path / "map.gz", FORMATS["own"], zipped=True)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(InputError, match="truncated"):
        read_map(path, "22")


def test_cover_cuts_a_longer_map():
    found = GeneticMap("22", np.array(POS), np.array(CM), male_cm=np.array(CM) * 0.5, female_cm=np.array(CM) * 1.5)
    covered, report = cover(found, 25_500, 1_450_000, 50_818_468)
    assert covered.pos.tolist() == [25_500, 50_000, 50_500, 900_000, 1_450_000]
    np.testing.assert_allclose(covered.cm, [0, 0.125, 1.625, 1.625, 2.5])
    np.testing.assert_allclose(covered.male_cm + covered.female_cm, 2 * covered.cm)
    assert report == {"points": 5, "length_cm": 2.5, "extrapolated_bp": 0, "extrapolated_cm": 0.0}


def test_cover_extends_a_shorter_map_at_its_mean_rate():
    found = GeneticMap("22", np.array([2_000_000, 10_000_000, 12_000_000]), np.array([1.0, 9.0, 21.0]))  # 2 cM/Mb
    covered, report = cover(found, 1_500_000, 12_700_000, 50_818_468)
    assert covered.pos.tolist() == [1_500_000, 2_000_000, 10_000_000, 12_000_000, 12_700_000]
    np.testing.assert_allclose(covered.cm, [0, 1, 9, 21, 22.4])
    assert report["extrapolated_bp"] == 1_200_000
    assert report["extrapolated_cm"] == pytest.approx(2.4)


def test_cover_of_one_site_has_a_length():
    found = GeneticMap("22", np.array([1_000, 2_000]), np.array([0.0, 1.0]))
    for site in (1_500, 2_000):
        covered, _ = cover(found, site, site, 2_000)
        assert covered.pos[0] <= site <= covered.pos[-1]
        assert covered.length_cm > 0


@pytest.mark.parametrize(
    ("pos", "cm", "text"),
    [
        (
            [20_000_000, 30_000_000],
            [0, 1],
            "does not cover the sites: it runs from 20000000 to 30000000, the sites from 16000000 to 50000000",
        ),
        ([100, 200], [0, 1], "does not cover"),
        ([16_000_000, 51_200_000], [0, 1], "beyond the end of the chromosome: do the builds disagree"),
        ([16_000_000, 50_000_000], [1, 1], "no recombination"),
    ],
)
def test_cover_refuses(pos, cm, text):
    with pytest.raises(InputError, match=text):
        cover(GeneticMap("22", np.array(pos), np.array(cm, dtype=float)), 16_000_000, 50_000_000, 50_818_468)


def test_facts_of_the_builds():
    assert builds.chromosome_length("GRCh37", "chr22") == 51_304_566
    assert builds.chromosome_length("GRCh38", "X") == 156_040_895
    assert builds.get_build("GRCh37").par == ((60_001, 2_699_520), (154_931_044, 155_260_560))
    for build in ("GRCh37", "GRCh38"):
        assert tuple(builds.get_build(build).length) == builds.CHROMOSOMES
    # Known totals of chromosomes 1 to 22 and X (without Y) of the two assemblies.
    assert sum(builds.get_build("GRCh37").length.values()) == 3_095_677_412 - 59_373_566
    assert sum(builds.get_build("GRCh38").length.values()) == 3_088_269_832 - 57_227_415
    # PAR1 and PAR2 have one length each on X and on Y (10001-2649520 and 59034050-59363566 of GRCh37's Y).
    assert [b - a for a, b in builds.get_build("GRCh37").par] == [2_649_520 - 10_001, 59_363_566 - 59_034_050]
    assert builds.builds_that_fit("22", 51_000_000) == ["GRCh37"]
    assert [builds.plain_name(n) for n in ("chr1", "22", "Chr23", "chrX", "x", "chrUn_1")] == [
        "1",
        "22",
        "X",
        "X",
        "X",
        "Un_1",
    ]
    with pytest.raises(InputError, match=r"(?s)unknown build hg19.*GRCh37 or GRCh38"):
        builds.get_build("hg19")
    with pytest.raises(InputError, match="unknown chromosome Y"):
        builds.chromosome_length("GRCh38", "Y")


def test_the_checksum_of_the_table_is_the_one_written_down():
    text = (builds.TABLE.parent / "README.md").read_text()
    section = text[text.index("## chromosome_lengths.tsv") :]
    assert re.search(r"SHA-256: `([0-9a-f]{64})`", section)[1] == hashlib.sha256(builds.TABLE.read_bytes()).hexdigest()


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
def test_published_maps():
    published = {"1": 286.279234, "21": 62.786478, "22": 74.109562, "X": 180.837755}
    for chrom, length in published.items():
        assert read_map(DATA / "maps_b37" / f"chr{chrom}.b37.gmap.gz", chrom).length_cm == pytest.approx(length)
    for chrom in ("20", "21", "22", "X"):
        found = read_map(DATA / "maps_b38" / f"chr{chrom}.b38.gmap.gz", chrom)
        assert found.pos[-1] < builds.chromosome_length("GRCh38", chrom)
        with pytest.raises(InputError, match="has no chromosome 1"):
            read_map(DATA / "maps_b38" / f"chr{chrom}.b38.gmap.gz", "1")


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
def test_published_sex_specific_map():
    path = DATA / "maps_b38" / "sex_specific_thinned.b38.simmap"
    first, x = read_map(path, "chr1"), read_map(path, "X")
    assert first.female_cm[-1] > first.male_cm[-1] > 150
    np.testing.assert_allclose(first.cm, (first.male_cm + first.female_cm) / 2)
    assert x.male_cm is None
    assert x.length_cm == pytest.approx(175.88, abs=0.01)
    covered, report = cover(x, 2_800_000, 155_000_000, builds.chromosome_length("GRCh38", "X"))
    assert 160 < covered.length_cm < 176
    assert report["extrapolated_bp"] == 0
