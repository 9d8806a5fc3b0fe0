"""Maps fitted to the sites: cut, extended, refused; both sexes' maps of X; Y and MT."""

from pathlib import Path

import numpy as np
import pytest

from pseudocohort.cohort.builds import get_build
from pseudocohort.cohort.coverage import chromosome_map, cover
from pseudocohort.cohort.maps import GeneticMap, read_map, write_map
from pseudocohort.errors import InputError

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
POS = [1000, 50_000, 50_500, 900_000, 2_000_000]
CM = [0.0, 0.25, 1.75, 1.75, 3.5]


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


PAR = get_build("GRCh38").par
(A, B), (C, D) = PAR
END = 156_040_895
BOUNDS = 2.1e-5  # what the female map may rise more over both bounds of the PAR, cM


def lengths(covered: GeneticMap, name: str) -> list[float]:
    """cM of PAR1, the rest of X and PAR2 in one of the maps."""
    return np.diff(np.interp([A, B, C, D], covered.pos, getattr(covered, name))).tolist()


def test_x_without_sites_in_the_par_has_no_male_map():
    told = GeneticMap("X", np.array([A, B, C, D]), np.array([0.0, 3, 180, 181]), np.array([0.0, 50, 50, 52]))
    covered, report = cover(told, 3_000_000, 155_000_000, END)
    assert covered.male_cm is None
    assert set(report) == {"points", "length_cm", "extrapolated_bp", "extrapolated_cm"}


def test_males_cross_over_in_the_par_where_the_map_does_not_reach_it():
    plain = GeneticMap("X", np.array([2_800_000, 80_000_000, 155_600_000]), np.array([5.0, 50.0, 157.8]))
    rate = 152.8 / 152_800_000  # of the female map, also where it does not reach: 1 cM/Mb
    covered, report = cover(plain, A, D, END, PAR)
    np.testing.assert_allclose(lengths(covered, "male_cm"), [50, 0, 2], atol=1e-9)
    np.testing.assert_allclose(lengths(covered, "female_cm"), rate * np.diff([A, B, C, D]), atol=BOUNDS)
    expected = [(50 + rate * (B - A)) / 2, rate * (C - B), (2 + rate * (D - C)) / 2]
    np.testing.assert_allclose(lengths(covered, "cm"), expected, atol=BOUNDS)
    # Even within a region: half way through PAR1 lies half of it.
    assert np.interp((A + B) / 2, covered.pos, covered.male_cm) == pytest.approx(25)
    assert report["male_cm"] == pytest.approx(52)
    assert report["extrapolated_bp"] == (2_800_000 - A) + (D - 155_600_000)
    # Of a part of the PAR there is the part of the map, and the same elsewhere.
    less, _ = cover(plain, (A + B) // 2, 155_000_000, END, PAR)
    assert less.male_cm[-1] == pytest.approx(25, abs=1e-4)
    assert less.cm[0] == less.male_cm[0] == less.female_cm[0] == 0


def test_a_map_of_the_par_of_both_sexes_gives_the_places():
    pos = np.array([A, 1_000_000, B, C, D])
    both = GeneticMap("X", pos, np.array([0.0, 15, 20, 20 + 1e-6 * (C - B), 21 + 1e-6 * (C - B)]))
    covered, _ = cover(both, A, D, END, PAR)
    np.testing.assert_allclose(lengths(covered, "male_cm"), [50, 0, 2], atol=1e-9)
    np.testing.assert_allclose(lengths(covered, "female_cm"), 1e-6 * np.diff([A, B, C, D]), atol=BOUNDS)
    for cm in (covered.male_cm, covered.female_cm, covered.cm):
        share = np.interp(1_000_000, covered.pos, cm) / np.interp(B, covered.pos, cm)
        assert share == pytest.approx(15 / 20)


def test_a_female_map_stays_and_a_male_one_too():
    pos, female = np.array([A, B, C, D]), np.array([0.0, 4, 180, 180.5])
    covered, _ = cover(GeneticMap("X", pos, female, None, female), A, D, END, PAR)
    assert covered.pos.tolist() == [A, B, B + 1, C - 1, C, D]
    np.testing.assert_allclose(covered.female_cm[[0, 1, 4, 5]], female, atol=BOUNDS)
    np.testing.assert_allclose(covered.male_cm, [0, 50, 50, 50, 50, 52])
    np.testing.assert_allclose(covered.cm[[0, 1, 4, 5]], [0, 27, 203, 204.25], atol=BOUNDS)
    told, _ = cover(GeneticMap("X", pos, female, np.array([0.0, 45, 45, 45]), female), A, D, END, PAR)
    assert told.male_cm.tolist() == [0, 45, 45, 45, 45, 45]
    np.testing.assert_allclose(told.cm[[0, 1, 4, 5]], [0, 24.5, 200.5, 200.75], atol=BOUNDS)
    # Points beside a bound: what rises there is left out; more than that is a mistake.
    beside = GeneticMap("X", np.array([A, B + 1000, C, D]), female, np.array([0.0, 45, 45, 46]), female)
    near, _ = cover(beside, A, D, END, PAR)
    assert lengths(near, "male_cm")[1] == 0
    assert near.male_cm[-1] == pytest.approx(46, abs=0.1)
    wrong = GeneticMap("X", pos, female, np.array([0.0, 45, 60, 60]), female)
    with pytest.raises(InputError, match=r"(?s)the male map has 15.0 cM outside the pseudo-autosomal.*NA, or the same"):
        cover(wrong, A, D, END, PAR)


def test_y_and_mt_have_two_points_of_nothing(tmp_path):
    for chrom, positions in (("Y", [2_900_000, 3_000_000, 20_000_000]), ("MT", [73, 16_569]), ("MT", [16_569])):
        found, report = chromosome_map([], chrom, "GRCh38", np.array(positions))
        assert report == {"points": 2, "length_cm": 0.0, "extrapolated_bp": 0, "extrapolated_cm": 0.0}
        write_map(tmp_path / "map", found)
        again = read_map(tmp_path / "map", chrom)
        assert again.cm.tolist() == [0, 0]
        assert again.pos[0] <= positions[0] <= positions[-1] <= again.pos[-1] <= 20_000_000
        assert again.pos[0] < again.pos[1]


@needs_data
def test_published_maps_of_x_and_its_par(tmp_path):
    """HapMap's: 20.84 cM in PAR1, 180.84 outside, 0.35 in PAR2 (last lines of the three files)."""
    paths = [DATA / "maps_b37" / f"chr{name}.b37.gmap.gz" for name in ("X", "X_par1", "X_par2")]
    joined = read_map(paths, "X")
    assert joined.length_cm == pytest.approx(20.837792 + 180.837755 + 0.347344)
    par = get_build("GRCh37").par
    covered, report = chromosome_map(paths, "X", "GRCh37", np.array([60_020, 155_260_550]))
    inside = np.interp(np.ravel(par), covered.pos, covered.male_cm)
    np.testing.assert_allclose(np.diff(inside), [50, 0, 2], atol=0.05)
    assert report["female_cm"] == pytest.approx(180.84 * 155.2 / 152.2, abs=0.3)
    assert report["length_cm"] == pytest.approx(180.84 + 1.187 * 3 / 2 + 26, abs=0.3)
    write_map(tmp_path / "map", covered)
    again = read_map(tmp_path / "map", "X")
    assert all(np.array_equal(getattr(again, n), getattr(covered, n)) for n in ("pos", "cm", "male_cm", "female_cm"))
    alone, _ = chromosome_map(paths[:1], "X", "GRCh37", np.array([2_700_000, 154_900_000]))
    assert alone.male_cm is None


@needs_data
def test_a_published_sex_specific_map_of_x_with_par():
    path = DATA / "maps_b38" / "sex_specific_thinned.b38.simmap"
    covered, report = chromosome_map([path], "X", "GRCh38", np.array([20_000, 156_000_000]))
    assert report["male_cm"] == pytest.approx(50 * (B - 20_000) / (B - A) + 2, abs=0.2)
    assert report["female_cm"] == pytest.approx(175.88, abs=0.1)
    assert (np.diff(covered.male_cm) >= 0).all()
