"""Tables of recombination: against exact arithmetic, scipy's distributions and points of Poisson processes."""

import logging
from fractions import Fraction

import numpy as np
import pytest
from scipy import integrate, stats

from pseudocohort.cohort.maps import GeneticMap
from pseudocohort.errors import InputError
from pseudocohort.genome.recombination import (
    LAST,
    NONE,
    coordinate,
    interpolate,
    make_recombination,
    poisson_thresholds,
    site_fractions,
    spacings,
)
from reproduction import PAR, line_map, sexed_map, x_map

PARTS = 2**18


@pytest.mark.parametrize("parts", [2**18, 2**20])
def test_interpolation_is_exact_and_the_same_in_jax(parts):
    import jax.numpy as jnp

    rng = np.random.default_rng(1)
    table = np.sort(rng.integers(0, 2**32, parts + 1, dtype=np.uint32))
    table[:1000], table[2000:3000], table[-1000:] = 0, table[2000], NONE  # flat stretches
    table[1000:1500] = table[1500] = table[1501]  # a rise of much at once
    x = np.concatenate([rng.integers(0, 2**32, 20_000), [0, 1, NONE, LAST, 2**31], np.arange(4000) << 14])
    x = (x % 2**32).astype(np.uint32)
    size = 2**32 // parts
    expected = [
        int(table[p]) + (int(table[p + 1]) - int(table[p])) * w // size
        for p, w in zip((x // size).tolist(), (x % size).tolist(), strict=True)
    ]
    found = interpolate(table, x)
    assert found.dtype == np.uint32
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found, np.asarray(interpolate(jnp.asarray(table), jnp.asarray(x), jnp)))


def test_interpolation_survives_the_greatest_rise():
    table = np.zeros(PARTS + 1, dtype=np.uint32)
    table[6:] = NONE
    x = ((5 << 14) + np.arange(2**14)).astype(np.uint32)
    np.testing.assert_array_equal(interpolate(table, x), [NONE * w // 2**14 for w in range(2**14)])


def test_the_coordinate_is_the_sexes_average():
    sexed = sexed_map()
    pos, fraction = coordinate(sexed)
    np.testing.assert_array_equal(pos, sexed.pos)
    np.testing.assert_allclose(fraction * 150, (sexed.male_cm + sexed.female_cm) / 2, atol=1e-9)
    lonely = GeneticMap("1", sexed.pos, sexed.female_cm, None, sexed.female_cm)
    np.testing.assert_allclose(coordinate(lonely)[1] * 190, sexed.female_cm, atol=1e-9)


def test_site_fractions_cover_the_coordinate():
    found = GeneticMap("1", np.array([1000, 2000, 4000]), np.array([5.0, 6.0, 9.0]))
    positions = [1, 999, 1000, 1001, 2000, 3999, 4000, 9999]
    exact = [0, 0, 0, Fraction(1, 4000), Fraction(1, 4), 1 - Fraction(3, 8000), 1, 1]
    np.testing.assert_array_equal(
        site_fractions(found, np.array(positions)), [min(round(share * 2**32), NONE) for share in exact]
    )
    flat = GeneticMap("1", np.array([1, 10]), np.array([3.0, 3.0]))
    np.testing.assert_array_equal(site_fractions(flat, np.array([5, 50])), [0, 0])


@pytest.mark.parametrize("length", [0.0, 1e-6, 0.01, 3.5, 60.0])
def test_thresholds_are_the_poisson_distribution(length):
    thresholds = poisson_thresholds(length)
    expected = np.rint(stats.poisson.cdf(np.arange(len(thresholds)), length) * 2**32)
    np.testing.assert_allclose(thresholds, expected, atol=1)
    assert stats.poisson.sf(len(thresholds), length) < 2**-31


def test_length_in_centimorgans_is_refused():
    for models in ({}, {"interference": 4.3}):
        with pytest.raises(ValueError, match="is it in centimorgans"):
            make_recombination(line_map(120.0), "1", **models)


@pytest.mark.parametrize(("shape", "chiasmata"), [(1.3, 5.8), (4.3, 5.8), (4.3, 0.05), (40.0, 3.0)])
def test_spacings_are_gamma_and_the_first_is_stationary(shape, chiasmata):
    first, spacing, _ = spacings(shape, chiasmata)
    law = stats.gamma(shape, scale=1 / (shape * chiasmata))
    at = np.unique(np.linspace(1, PARTS - 1, 4000).astype(int))
    at = at[spacing[at] < NONE]
    np.testing.assert_allclose(law.cdf(spacing[at] / 2**32), at / PARTS, atol=2e-7)
    assert abs(np.mean(spacing == NONE) - law.sf(1)) < 2 / PARTS
    at = at[::200][first[at[::200]] < NONE]
    for i in at:  # the distribution function of a stationary process's first point is the integral of the survival
        share, _ = integrate.quad(law.sf, 0, first[i] / 2**32, epsabs=1e-10)
        assert abs(share * chiasmata - i / PARTS) < 2e-7
    assert (np.diff(first.astype(np.int64)) >= 0).all()
    assert (np.diff(spacing.astype(np.int64)) >= 0).all()
    assert len(at) >= 1


@pytest.mark.parametrize(("shape", "chiasmata"), [(1, 0.01), (1, 6.0), (3, 6.0), (5, 0.7), (12, 4.0)])
def test_room_for_chiasmata(shape, chiasmata):
    """Gamma distances of a whole shape are every so-many-th point of a Poisson process, counted from a random one."""
    room = spacings(shape, chiasmata)[2]

    def probability(number):
        return np.mean([stats.poisson.sf((number - 1) * shape + j, shape * chiasmata) for j in range(shape)])

    assert probability(room) < 2**-40
    assert room == 2 or probability(room - 2) > 2**-40  # and not much more than that


def test_no_table_where_a_sexs_map_is_the_coordinate():
    single = make_recombination(line_map(2.0), "1")
    assert single.mother is single.averaged is single.father.place is None
    sexed = make_recombination(sexed_map(), "1", sex_specific=False)
    assert sexed.mother is sexed.father.place is None
    alike = sexed_map(1.0, 1.0)
    alike = GeneticMap("1", alike.pos, alike.cm, alike.cm, alike.cm)
    assert make_recombination(alike, "1").mother.place is None
    both = make_recombination(sexed_map(), "1")
    assert both.averaged.place is None
    assert len(both.father.place) == len(both.mother.place) == PARTS + 1


def test_a_sexs_map_to_the_coordinate():
    """At its parts' ends the table is exact; inside a part it is wrong by no more than the part is long."""
    sexed = sexed_map()
    recombination = make_recombination(sexed, "1")
    _, fraction = coordinate(sexed)
    for process, cm in ((recombination.father, sexed.male_cm), (recombination.mother, sexed.female_cm)):
        share = np.random.default_rng(2).random(20_000)
        found = interpolate(process.place, (share * 2**32).astype(np.uint32)) / 2**32
        ends = [np.interp(np.floor(share * PARTS + i) / PARTS, cm / cm[-1], fraction) for i in (0, 1)]
        assert (found >= ends[0] - 2**-31).all()
        assert (found <= ends[1] + 2**-31).all()
        middle = np.median(np.abs(found - np.interp(share, cm / cm[-1], fraction)))
        assert middle < 2**-30


def test_base_pairs_go_to_the_coordinate_and_back():
    sexed = sexed_map(bp=2_000_000)  # parts of 2 bp
    recombination = make_recombination(sexed, "1", gene_conversion=1e-6)
    share = np.random.default_rng(3).random(20_000)
    x = interpolate(recombination.from_bp, (share * 2**32).astype(np.uint32)) / 2**32
    exact = np.interp(1 + share * (sexed.pos[-1] - 1), *coordinate(sexed))
    assert np.abs(x - exact).max() < 2 * np.diff(coordinate(sexed)[1]).max()
    assert np.median(np.abs(x - exact)) < 1e-9
    begin = interpolate(recombination.mother.to_bp, (share * 2**32).astype(np.uint32)) / 2**32
    back = np.interp(begin * (sexed.pos[-1] - 1) + 1, sexed.pos, sexed.female_cm / sexed.female_cm[-1])
    assert np.abs(back - share).max() < 2 / PARTS


def test_tract_lengths_are_exponential():
    recombination = make_recombination(line_map(1.0, 10**8), "1", gene_conversion=1e-8, tract_length=300)
    length = recombination.father.tract / 2**32 * 1e8
    law = stats.expon(scale=300)
    at = np.arange(1, PARTS)
    np.testing.assert_allclose(law.cdf(length[at]), at / PARTS, atol=1e-4)  # a unit of length is .023 bp
    assert abs((length[1:] + length[:-1]).mean() / 2 - 300) < 0.1


def test_a_tract_is_no_longer_than_the_chromosome():
    tract = make_recombination(line_map(0.01, 2000), "1", gene_conversion=1e-5, tract_length=3000).father.tract
    assert tract[-1] == NONE
    assert abs(np.searchsorted(tract, NONE) / PARTS - stats.expon(scale=3000).cdf(2000)) < 1e-4


def test_nothing_to_draw_where_a_map_has_no_length():
    flat = GeneticMap("22", np.array([1, 1000]), np.array([0.0, 0.0]))
    process = make_recombination(flat, "22", interference=4, gene_conversion=1e-4).father
    assert len(process.number) == process.room == 0
    assert process.tracts is None
    men = GeneticMap("1", np.array([1, 1000]), np.array([0.0, 1]), np.array([0.0, 0]), np.array([0.0, 2]))
    sexed = make_recombination(men, "1")
    assert len(sexed.father.number) == 0 < len(sexed.mother.number)
    for chrom in ("Y", "MT"):
        assert len(make_recombination(line_map(1.0), chrom).father.number) == 0


def test_one_copy_of_x_is_exactly_the_sites_outside_the_par():
    sites = np.array([10_001, 2_000_000, 2_781_479, 2_781_480, 2_900_000, 155_701_382, 155_701_383, 156_030_895])
    x, (low, high) = site_fractions(x_map(), sites), make_recombination(x_map(), "X", PAR).haploid
    np.testing.assert_array_equal((x >= low) & (x < high), [0, 0, 0, 1, 1, 1, 0, 0])
    assert make_recombination(x_map(), "X").haploid == (0, NONE)


@pytest.mark.parametrize(
    ("first", "last", "inside"),
    [
        (3_000_000, 155_000_000, (True, True)),
        (20_000, 2_000_000, (False, False)),
        (155_800_000, 156_000_000, (False, False)),
        (20_000, 3_000_000, (False, True)),
        (155_000_000, 156_000_000, (True, False)),
    ],
)
def test_a_map_of_a_part_of_x(first, last, inside):
    pos = np.array([first, (first + last) // 2, last])
    part = GeneticMap("X", pos, np.array([0.0, 1, 2]), np.array([0.0, 3, 4]), np.array([0.0, 1, 2]))
    low, high = make_recombination(part, "X", PAR).haploid
    x = site_fractions(part, pos[[0, -1]])
    assert tuple((x >= low) & ((x < high) | (low < high == NONE))) == inside


def test_fathers_cross_over_in_the_par_by_the_map_there_is(caplog):
    with caplog.at_level(logging.WARNING, logger="pseudocohort"):
        process = make_recombination(x_map(male=False), "X", PAR).father
    assert "has no male map" in caplog.text
    np.testing.assert_array_equal(process.number, poisson_thresholds(0.06))  # 4 cM of PAR1 and 2 of PAR2
    caplog.clear()
    known = make_recombination(x_map(), "X", PAR)
    np.testing.assert_allclose(known.father.number, poisson_thresholds(0.51).astype(float), atol=1)
    assert caplog.text == ""
    average = make_recombination(x_map(), "X", PAR, sex_specific=False)
    np.testing.assert_allclose(average.father.number, poisson_thresholds((0.51 + 0.06) / 2).astype(float), atol=1)
    np.testing.assert_allclose(average.mother.number, poisson_thresholds(1.74 + 0.57 / 2).astype(float), atol=1)


def test_bad_arguments():
    with pytest.raises(InputError, match="gene conversions a gamete on one chromosome") as error:
        make_recombination(line_map(1.0), "1", gene_conversion=1e-5)
    assert "less than 1e-06 per bp where a chromosome has 100000000" in str(error.value)
    for wrong in ({"interference": 0.5}, {"escape": 1.5}, {"gene_conversion": -1}, {"tract_length": 0}):
        with pytest.raises(ValueError, match="interference"):
            make_recombination(line_map(1.0), "1", **wrong)
    with pytest.raises(ValueError, match="1 pseudo-autosomal regions of X"):
        make_recombination(x_map(), "X", PAR[:1])
