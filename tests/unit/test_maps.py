"""Genetic maps: formats, interpolation, errors, parts of X."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from pseudocohort import config
from pseudocohort.cohort import builds
from pseudocohort.cohort.coverage import cover
from pseudocohort.cohort.importing import check_maps
from pseudocohort.cohort.maps import GeneticMap, read_map, write_map
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


@pytest.mark.parametrize(("chrom", "sexes"), [("7", ""), ("7", "mf"), ("X", "mf"), ("X", "f"), ("Y", "")])
def test_written_maps_are_read_back_exactly(tmp_path, chrom, sexes):
    rng = np.random.default_rng(6)
    pos = np.sort(rng.choice(10_000_000, 100, replace=False)).astype(np.int64)
    cm, male, female = np.cumsum(rng.exponential(size=(3, 100)) * (chrom != "Y"), axis=1)
    male[20:] = male[20]
    found = GeneticMap(chrom, pos, cm, male if "m" in sexes else None, female if "f" in sexes else None)
    write_map(tmp_path / "maps" / "chr.tsv", found)
    again = read_map(tmp_path / "maps" / "chr.tsv", chrom)
    for name in ("pos", "cm", "male_cm", "female_cm"):
        assert np.array_equal(getattr(again, name), getattr(found, name)), name
    names = "pos\tcM" + "\tmale_cM" * ("m" in sexes) + "\tfemale_cM" * ("f" in sexes)
    assert (tmp_path / "maps" / "chr.tsv").read_text().split("\n")[1] == names


def test_males_on_x_have_a_map_where_they_cross_over(tmp_path):
    rows = ["5 0 0", "10 30 1", "20 50 2", "30 NA 3", "90 NA 4", "95 50 5", "99 52 6"]
    lines = ["#chr pos male_cM female_cM", *(f"X {row}" for row in rows)]
    found = read_map(write(tmp_path / "x", lines), "X")
    assert found.male_cm.tolist() == [0, 30, 50, 50, 50, 50, 52]
    assert found.female_cm.tolist() == found.cm.tolist() == [0, 1, 2, 3, 4, 5, 6]
    restarted = [*lines[:-2], "X 95 0 5", "X 99 2 6"]  # PAR2 counted from 0 on
    assert read_map(write(tmp_path / "x", restarted), "X").male_cm.tolist() == [0, 30, 50, 50, 50, 50, 52]
    with pytest.raises(InputError, match=r"(?s)`NA` is no number.*line 5, male"):
        read_map(write(tmp_path / "x", [line.replace("X", "7") for line in lines]), "7")
    lines[3] = "X 20 20 2"
    with pytest.raises(InputError, match=r"(?s)decreases from 30 to 20 cM.*line 4"):
        read_map(write(tmp_path / "x", lines), "X")


PARTS = {"X_par1": [(10, 0.0), (20, 1.0), (30, 3.5)], "X": [(35, 0.0), (80, 7.0)], "X_par2": [(90, 0.25), (99, 0.75)]}
JOINED = [(10, 0.0), (20, 1.0), (30, 3.5), (35, 3.5), (80, 10.5), (90, 10.5), (99, 11.0)]


@pytest.mark.parametrize("names", [list(PARTS), ["PAR1", "chrX", "PAR2"], ["chrX_PAR1", "X_nonPAR", "chrX_PAR2"]])
def test_x_in_parts_in_one_file(tmp_path, names):
    rows = [f"{p}\t{name}\t{c}" for name, part in zip(names, PARTS.values(), strict=True) for p, c in part]
    for order in (rows, rows[3:5] + rows[:3] + rows[5:], rows[3:] + rows[:3]):
        path = write(tmp_path / "map", ["pos\tchr\tcM", *order, "5\t22\t1", "6\t22\t2"])
        found = read_map(path, "X")
        assert list(zip(found.pos.tolist(), found.cm.tolist(), strict=True)) == JOINED
        assert len(read_map(path, "22").pos) == 2


def test_x_in_parts_in_several_files(tmp_path):
    paths = [
        write(tmp_path / f"chr{name}.gz", ["pos\tchr\tcM", *(f"{p}\tX\t{c}" for p, c in part)], zipped=True)
        for name, part in PARTS.items()
    ]
    for order in ([0, 1, 2], [1, 0, 2], [2, 1, 0]):
        found = read_map([paths[i] for i in order], "X")
        assert list(zip(found.pos.tolist(), found.cm.tolist(), strict=True)) == JOINED
    assert read_map(paths[:2], "X").pos.tolist() == [10, 20, 30, 35, 80]
    with pytest.raises(InputError, match=r"(?s)the parts of the genetic map of chromosome X overlap"):
        read_map([paths[0], write(tmp_path / "other", ["pos\tcM", "30\t0", "80\t1"])], "X")
    both = write(tmp_path / "both", ["pos\tmale_cM\tfemale_cM", "50\tNA\t0", "80\tNA\t1"])
    with pytest.raises(InputError, match=r"(?s)only some parts of the genetic map of chromosome X have female_cm"):
        read_map([paths[0], both], "X")


def test_the_files_of_the_parts_of_x_are_found(tmp_path):
    pattern = f"{tmp_path}/chr{{chrom}}.b37.gmap.gz"
    settings = {"input": {"maps": pattern}}
    assert config.map_files(settings, "X") == [f"{tmp_path}/chrX.b37.gmap.gz"]
    for name in ("X_par1", "X_par2", "X"):
        (tmp_path / f"chr{name}.b37.gmap.gz").touch()
    found = [Path(path).name.split(".")[0] for path in config.map_files(settings, "X")]
    assert found == ["chrX", "chrX_par1", "chrX_par2"]
    assert config.map_files(settings, "22") == [f"{tmp_path}/chr22.b37.gmap.gz"]
    assert config.map_files(settings, "Y") == config.map_files(settings, "MT") == []
    assert config.map_files({"input": {"maps": "one.map"}}, "X") == ["one.map"]


def test_no_map_of_y_and_mt_is_demanded(tmp_path):
    settings = yaml.safe_load((Path(__file__).parents[2] / "config" / "config.yaml").read_text())
    settings["chromosomes"] = ["Y", "22", "MT"]
    settings["input"]["maps"] = f"{tmp_path}/chr{{chrom}}.map"
    (tmp_path / "chr22.map").touch()
    config.check_files(config.resolve(settings))
    settings["input"]["genotypes"] = f"{tmp_path}/chr{{chrom}}.map"
    with pytest.raises(InputError, match=r"(?s)chrY\.map.*input\.genotypes"):
        config.check_files(config.resolve(settings))
    settings["chromosomes"].append("X")
    settings["input"]["genotypes"] = "results/demo/chr{chrom}.vcf.gz"
    with pytest.raises(InputError, match=r"(?s)chrX\.map.*input\.maps"):
        config.check_files(config.resolve(settings))


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


@pytest.mark.parametrize(
    ("chrom", "megabases", "cm", "rate"),
    [
        ("22", 50, 0.6, "0.012 cM/Mb"),  # Morgans
        ("X", 150, 1.8, "0.012 cM/Mb"),
        ("22", 1, 0.0499, "0.0499 cM/Mb"),
        ("22", 1, 50.1, "50.1 cM/Mb"),
        ("22", 50, 50e6, "1e+06 cM/Mb"),  # bp
        ("22", 0.9, 5000, "5.56e+03 cM/Mb in the mean, 5000 cM in all"),
        ("1", 240, 5000, "20.8 cM/Mb"),
    ],
)
def test_maps_that_are_not_in_centimorgans(tmp_path, chrom, megabases, cm, rate):
    path = write(tmp_path / "map", ["pos\tcM", "1000000\t0", f"{round(1e6 + megabases * 1e6)}\t{cm}"])
    text = rf"(?s)chromosome {chrom} has {re.escape(rate)}.*{path}.*about 1 cM/Mb.*in cM, not in Morgans .* or bp"
    with pytest.raises(InputError, match=text):
        read_map(path, chrom)
    with pytest.raises(InputError, match=text):
        check_maps({chrom: [str(path)]})
    found = GeneticMap(chrom, np.array([1_000_000, 1_000_000 + round(megabases * 1e6)]), np.array([0.0, cm]))
    with pytest.raises(InputError, match=rf"(?s)chromosome {chrom} has {re.escape(rate)}"):
        cover(found, 1_200_000, 1_700_000, 248_956_422)


def test_the_longest_sex_counts_and_so_does_what_a_map_is_extended_by():
    pos, cm = np.array([1_000_000, 201_000_000]), np.array([0.0, 4000.0])
    with pytest.raises(InputError, match=r"20 cM/Mb in the mean, 6000 cM in all"):
        cover(GeneticMap("1", pos, cm, cm * 0.5, cm * 1.5), 1_000_000, 200_000_000, 248_956_422)
    with pytest.raises(InputError, match=r"in the mean, 9900\d* cM in all"):
        cover(GeneticMap("1", np.array([1000, 2000]), np.array([0.0, 100.0])), 1000, 100_000, 248_956_422)


@pytest.mark.parametrize(("chrom", "bp", "cm"), [("22", 1_000_000, 0.05), ("22", 1_000_000, 50), ("22", 999_999, 0.01),
                                                 ("Y", 50_000_000, 0), ("MT", 16_000, 0)])  # fmt: skip
def test_rates_that_may_be(tmp_path, chrom, bp, cm):
    path = write(tmp_path / "map", ["pos\tcM", "1\t0", f"{1 + bp}\t{cm}"])
    assert read_map(path, chrom).length_cm == cm


def test_a_fitted_map_of_a_cold_region_is_read_back(tmp_path):
    """The source has 1 cM/Mb, the part where the sites are none: that is no matter of units."""
    source = GeneticMap("22", np.array([1, 10_000_000, 13_000_000, 50_000_000]), np.array([0.0, 10, 10, 50]))
    covered, _ = cover(source, 10_500_000, 12_500_000, 50_818_468)
    write_map(tmp_path / "map", covered)
    assert read_map(tmp_path / "map", "22").length_cm == 0


def test_missing_and_truncated_maps(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_map(tmp_path / "none.gz", "22")
    path = write(tmp_path / "map.gz", FORMATS["own"], zipped=True)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(InputError, match="truncated"):
        read_map(path, "22")


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
