"""Gametes: against distributions, processes simulated in floating point, and their own other implementation."""

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from pseudocohort.cohort.maps import GeneticMap
from pseudocohort.genome.meiosis import BLOCK, draw_gametes, make_gametes, place_crossovers, tract_ends
from pseudocohort.genome.recombination import LAST, NONE, coordinate, interpolate, make_recombination, site_fractions
from pseudocohort.genome.tracing import device_gametes
from reproduction import PAR, line, line_map, sexed_map, x_map

INTERFERENCE = {"interference": 4.3, "escape": 0.1}
EVERYTHING = {**INTERFERENCE, "gene_conversion": 3e-8}
MODELS = {
    "Haldane": lambda: line(1.3),
    "no crossover": lambda: line(0.0),
    "interference": lambda: line(1.3, **INTERFERENCE),
    "conversion": lambda: line(1.3, gene_conversion=3e-8),
    "sexes": lambda: make_recombination(sexed_map(), "1"),
    "everything": lambda: make_recombination(sexed_map(), "1", **EVERYTHING),
    "X": lambda: make_recombination(x_map(), "X"),
    "X with PAR": lambda: make_recombination(x_map(), "X", PAR),
    "X with everything": lambda: make_recombination(x_map(), "X", PAR, **EVERYTHING),
}
MODEL = pytest.mark.parametrize("model", MODELS)


@lru_cache
def recombination_of(model):
    return MODELS[model]()


def sex_of(n):
    return (np.arange(n // 2) // 3 % 2 + 1).astype(np.int8)


def drawn(recombination, n, key=(5, 6)):
    """Starts (n,), number of crossovers (n,), and a padded array of them as shares (n, most)."""
    gametes = draw_gametes(key, n, recombination, sex_of(n))
    number = np.diff(gametes.offset)
    crossover = np.full((n, number.max(initial=1)), np.nan)
    crossover[np.arange(crossover.shape[1]) < number[:, None]] = gametes.crossover / 2**32
    return gametes.start, number, crossover


def assert_counts(found, expected_law, most):
    """Chi-square of the numbers found, those from `most` on together; false alarm 1e-4."""
    observed = np.bincount(np.minimum(found, most), minlength=most + 1)
    expected = len(found) * np.append(expected_law.pmf(range(most)), expected_law.sf(most - 1))
    assert stats.chisquare(observed, expected).pvalue > 1e-4


def test_crossover_numbers_are_poisson_and_start_is_fair():
    n = 200_000
    start, number, _ = drawn(line(1.7), n)
    assert_counts(number, stats.poisson(1.7), 8)
    assert stats.binomtest(int(start.sum()), n).pvalue > 1e-4
    table = np.array([np.bincount(number[start == s], minlength=15)[:6] for s in (0, 1)])
    assert stats.chi2_contingency(table).pvalue > 1e-4  # three tests, false alarm 3e-4


def test_crossover_positions_are_uniform_and_independent():
    _, number, crossover = drawn(line(2.0), 60_000, (9, 1))
    assert stats.kstest(crossover[~np.isnan(crossover)], "uniform").pvalue > 1e-4
    two = crossover[number == 2]  # order statistics: spacing is Beta(1, 2)
    assert stats.kstest(two[:, 1] - two[:, 0], stats.beta(1, 2).cdf).pvalue > 1e-4  # false alarm 2e-4


@MODEL
def test_a_gamete_does_not_depend_on_how_many_are_drawn(model):
    recombination = recombination_of(model)
    sex = sex_of(BLOCK + 500)
    many = draw_gametes((3, 4), BLOCK + 500, recombination, sex)  # a full block and a part of one
    for n in (2, 50, BLOCK):
        few = draw_gametes((3, 4), n, recombination, sex[: n // 2])
        np.testing.assert_array_equal(few.start, many.start[:n])
        np.testing.assert_array_equal(few.offset, many.offset[: n + 1])
        np.testing.assert_array_equal(few.crossover, many.crossover[: many.offset[n]])


@MODEL
def test_host_and_device_draw_the_same_gametes(model):
    """Without padding, padded in numpy, and padded by JAX."""
    import jax.numpy as jnp

    n, recombination = 1024, recombination_of(model)
    host = draw_gametes((3, 4), n, recombination, sex_of(n))
    padded, overflow = make_gametes((3, 4), n, recombination, sex_of(n))
    device = device_gametes((3, 4), n, recombination, sex_of(n), jnp)
    assert not overflow
    for name in ("start", "crossover"):
        array = np.asarray(getattr(device, name))
        assert array.dtype == getattr(host, name).dtype == np.uint32
        np.testing.assert_array_equal(array, getattr(padded, name))
    np.testing.assert_array_equal(host.start, padded.start)
    used = padded.crossover != NONE
    assert (np.diff(used.astype(int), axis=1) <= 0).all()
    assert (np.diff(padded.crossover.astype(np.int64), axis=1) >= 0).all()
    np.testing.assert_array_equal(np.diff(host.offset), used.sum(axis=1))
    np.testing.assert_array_equal(host.crossover, padded.crossover[used])


@MODEL
def test_crossovers_stay_below_the_mark_of_none(model):
    assert LAST < NONE
    crossover = draw_gametes((1, 2), 4000, recombination_of(model), sex_of(4000)).crossover
    assert crossover.max(initial=0) <= LAST
    if model != "no crossover":
        assert crossover.max() > 0.9 * 2**32


def bundles(shape, escape, morgans, n, seed):
    """Crossovers of n gametes, floating point: gamma distances begun far before the chromosome, thinned by half."""
    rng = np.random.default_rng(seed)
    rate = 2 * (1 - escape)
    before = 40 / rate
    number = int((before + morgans) * rate * 1.5 + 60)
    found = []
    for _ in range(n):
        at = rng.gamma(shape, 1 / (shape * rate), number).cumsum() - before + rng.uniform(0, 5)
        at = at[(at > 0) & (at < morgans)]
        escaped = rng.uniform(0, morgans, rng.poisson(escape * morgans))
        found.append(np.sort(np.append(at[rng.random(len(at)) < 0.5], escaped)) / morgans)
    return found


@pytest.mark.parametrize(("shape", "escape", "morgans"), [(4.3, 0.0, 2.0), (4.3, 0.1, 2.9), (11.0, 0.3, 0.8)])
def test_interference_equals_a_simulated_bundle(shape, escape, morgans):
    """Five two-sample tests and the map's length, false alarm 6e-4 a case."""
    n = 30_000
    theirs = bundles(shape, escape, morgans, n, 1)
    _, number, crossover = drawn(line(morgans, interference=shape, escape=escape), 4 * n)
    counts = np.array([len(found) for found in theirs])
    table = np.array([np.bincount(np.minimum(c, 6), minlength=7) for c in (counts, number)])
    assert stats.chi2_contingency(table[:, table.sum(axis=0) > 10]).pvalue > 1e-4
    assert abs(number.mean() - morgans) < 4 * number.std() / np.sqrt(4 * n)
    assert number.var() < 0.8 * morgans  # and not Poisson
    several = [found for found in theirs if len(found) > 1]
    assert stats.ks_2samp([f[0] for f in theirs if len(f)], crossover[number > 0, 0]).pvalue > 1e-4
    apart = crossover[number > 1]
    assert stats.ks_2samp([f[1] - f[0] for f in several], apart[:, 1] - apart[:, 0]).pvalue > 1e-4
    last = [c[k - 1] - c[k - 2] for c, k in zip(apart, number[number > 1], strict=True)]
    assert stats.ks_2samp([f[-1] - f[-2] for f in several], last).pvalue > 1e-4
    # the process is stationary: crossovers are uniform on the map, gamete by gamete (one of each is taken)
    weight = number[number > 0]
    chosen = crossover[number > 0][np.arange(len(weight)), np.random.default_rng(2).integers(weight)]
    bins = np.bincount((chosen * 10).astype(int), weights=weight, minlength=10)
    spread = np.sqrt(np.bincount((chosen * 10).astype(int), weights=weight**2, minlength=10))
    assert (np.abs(bins - weight.sum() / 10) < 4.5 * spread).all()


@pytest.mark.parametrize(("shape", "escape"), [(4.3, 0.0), (4.3, 0.15), (2.0, 0.4)])
def test_coincidence_of_two_crossovers(shape, escape):
    """C(d) = 1 - (1 - p)^2 (1 - h(d) / r), h the renewal density of gamma distances, r = 2 (1 - p) the density of
    chiasmata (Housworth and Stahl 2003): pairs of crossovers at distance d, over those without interference."""
    n, morgans, rate = 150_000, 2.0, 2 * (1 - escape)
    edges = np.linspace(0, 1.2, 13)

    def coincidence(d):
        density = sum(stats.gamma.pdf(d, k * shape, scale=1 / (shape * rate)) for k in range(1, 60))
        return 1 - (1 - escape) ** 2 * (1 - density / rate)

    expected = [integrate.quad(lambda d: coincidence(d) * (morgans - d), a, b)[0] for a, b in pairwise(edges)]
    _, number, crossover = drawn(line(morgans, interference=shape, escape=escape), n, (7, 7))
    pairs = np.zeros((n, 12))
    for i in range(crossover.shape[1]):
        for j in range(i + 1, crossover.shape[1]):
            rows = np.flatnonzero(number > j)
            bin_of = ((crossover[rows, j] - crossover[rows, i]) * morgans / 0.1).astype(int)
            np.add.at(pairs, (rows[bin_of < 12], bin_of[bin_of < 12]), 1)
    z = (pairs.mean(axis=0) - expected) / (pairs.std(axis=0) / np.sqrt(n))
    assert np.abs(z).max() < 4.5  # 12 distances, false alarm 8e-5
    assert coincidence(0.02) < 0.8 < coincidence(0.5)


def test_without_interference_whatever_escapes_is_haldanes_model():
    plain = draw_gametes((1, 2), 3000, line(1.5))
    for models in ({"escape": 0.4}, {"interference": 4.3, "escape": 1.0}):
        for a, b in zip(plain, draw_gametes((1, 2), 3000, line(1.5, **models)), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("models", [{}, INTERFERENCE])
def test_every_sex_crosses_over_by_its_own_map(models):
    """Numbers by their means, places by KS; men have no crossover in the fourth tenth. False alarm 3e-4."""
    n, sexed = 80_000, sexed_map()
    _, number, crossover = drawn(make_recombination(sexed, "1", **models), n)
    fraction = coordinate(sexed)[1]
    for which, cm in ((0, sexed.male_cm), (1, sexed.female_cm)):
        found = number[which::2]
        assert abs(found.mean() - cm[-1] / 100) < 4 * found.std() / np.sqrt(n / 2)
        places = crossover[which::2]
        places = places[~np.isnan(places)]
        # several crossovers of a gamete are no independent draws, but under interference more even than these
        assert stats.kstest(np.interp(places, fraction, cm / cm[-1]), "uniform").pvalue > 1e-4
    men = crossover[0::2]
    low, high = fraction[120], fraction[160]
    assert ((men > low) & (men < high)).mean() < 1e-5
    assert ((crossover[1::2] > low) & (crossover[1::2] < high)).sum() > 1000


def test_sexes_alike_where_asked():
    plain = draw_gametes((1, 2), 3000, make_recombination(sexed_map(), "1", sex_specific=False))
    for a, b in zip(plain, draw_gametes((1, 2), 3000, line(1.5)), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("models", [{}, INTERFERENCE, {"gene_conversion": 3e-7}])
def test_fathers_cross_over_on_x_inside_the_par_alone(models):
    n, recombination = 60_000, make_recombination(x_map(), "X", PAR, **models)
    low, high = (bound / 2**32 for bound in recombination.haploid)
    start, _, crossover = drawn(recombination, n)
    fathers, mothers = crossover[0::2], crossover[1::2]
    assert not ((fathers > low) & (fathers < high)).any()
    # a daughter has her father's X (1) and a son his Y (0) between the regions
    between = start[0::2] + (fathers <= low).sum(axis=1)
    np.testing.assert_array_equal(between % 2, sex_of(n) == 2)
    assert stats.binomtest(int(start[1::2].sum()), n // 2).pvalue > 1e-4
    if "gene_conversion" in models:
        assert ((mothers > low) & (mothers < high)).sum(axis=1).mean() > 80  # two ends a tract, 45 tracts
        assert abs((fathers <= low).sum(axis=1).mean() - 0.5 - 2 * 0.91) < 0.05  # .91 tracts
        return
    inside = (fathers <= low).sum(axis=1)
    assert abs(inside.mean() - 0.5) < 4.5 * inside.std() / np.sqrt(n / 2)
    assert abs((fathers >= high).sum(axis=1).mean() - 0.01) < 4.5 * np.sqrt(0.01 / (n / 2))
    found = x_map()
    place = np.interp(fathers[fathers <= low], coordinate(found)[1], found.male_cm)
    assert stats.kstest(place, stats.uniform(0, 50).cdf).pvalue > 1e-4
    assert abs((mothers >= 0).sum(axis=1).mean() - 1.8) < 4.5 * np.sqrt(1.8 / (n / 2))
    # recombinants between the ends of PAR1: Mather's formula, half of the bundles with a chiasma there
    if models:
        rate = 2 * (1 - models["escape"])
        law = stats.gamma(models["interference"], scale=1 / (models["interference"] * rate))
        none = (1 - rate * integrate.quad(law.sf, 0, 0.5)[0]) * np.exp(-2 * models["escape"] * 0.5)
    else:
        none = np.exp(-2 * 0.5)
    assert stats.binomtest(int((inside % 2).sum()), n // 2, (1 - none) / 2).pvalue > 1e-4


def test_no_crossover_between_the_par_where_a_table_leads_across():
    """The part of a father's table that the end of PAR1 is in reaches into PAR2: all of its crossovers, and tracts."""
    recombination = make_recombination(x_map(), "X", PAR, gene_conversion=1e-8, tract_length=10**6)
    father, (low, high) = recombination.father, recombination.haploid
    x = ((int(father.par[0]) >> 14 << 14) + np.arange(-(2**13), 3 * 2**13)).astype(np.uint32)
    length = np.random.default_rng(1).integers(0, 2**32, len(x), dtype=np.uint32)
    ends = tract_ends(father, recombination.from_bp, x, length, np)
    for placed in (place_crossovers(father, x, np), *ends):
        assert (placed[x < father.par[0]] <= low).all()
        assert (placed[x >= father.par[0]] >= high).all()
    across = interpolate(father.place, x)
    assert ((across > low) & (across < high)).sum() > 1000
    assert (ends[0] == low).any()


def test_fathers_pass_x_whole_without_a_par():
    gametes = draw_gametes((1, 2), 2000, make_recombination(x_map(), "X"), sex_of(2000))
    assert (np.diff(gametes.offset)[0::2] == 0).all()
    np.testing.assert_array_equal(gametes.start[0::2], sex_of(2000) == 2)


def test_gene_conversions_in_number_place_and_length():
    """A chromosome of 1 Mb with hardly a crossover, 99 % of the map in a tenth of it; false alarm 4e-4."""
    n, models = 80_000, {"gene_conversion": 3e-6, "tract_length": 500}
    genetic_map = GeneticMap("1", np.array([1, 400_001, 500_001, 1_000_001]), np.array([0, 0.0005, 0.0995, 0.1]))
    recombination = make_recombination(genetic_map, "1", **models)
    start, number, crossover = drawn(recombination, n)
    assert stats.binomtest(int(start.sum()), n).pvalue > 1e-4
    assert_counts(number // 2, stats.poisson(3), 8)  # odd numbers (a crossover, a tract cut off) are a few of 10,000
    one = crossover[number == 2]
    assert stats.kstest(one[:, 0], "uniform").pvalue > 1e-4  # the map's coordinate
    begin, end = (np.interp(x, coordinate(genetic_map)[1], genetic_map.pos) for x in one[:, :2].T)
    assert 0.98 < ((begin > 400_000) & (begin < 500_000)).mean() < 1
    assert stats.kstest(end - begin, stats.expon(scale=500).cdf).pvalue > 1e-4


def test_gene_conversion_of_a_site():
    """A site is converted with probability rate x length x its rate of crossovers over the mean, 5e-4 = 1e-6 x 500."""
    n, bp = 200_000, 10_000_000
    recombination = make_recombination(line_map(1e-4, bp), "1", gene_conversion=1e-6, tract_length=500)
    sites = site_fractions(line_map(1e-4, bp), np.linspace(bp / 10, bp * 0.9, 30).astype(int)) / 2**32
    start, _, crossover = drawn(recombination, n)
    state = np.array([((crossover <= site).sum(axis=1)) % 2 for site in sites])
    crossed = state.sum(axis=0) > 4  # by one of the 20 crossovers that are expected
    assert crossed.sum() < 80
    converted = state[:, ~crossed].sum()
    assert abs(converted / (30 * n) - 5e-4) < 4.5 * np.sqrt(5e-4 / (30 * n))  # false alarm 1e-5
    assert start.mean() == pytest.approx(0.5, abs=0.01)


def test_conversions_change_no_crossover():
    """Gametes without a conversion are as they were; the others have two more crossovers for each."""
    plain, more = line(1.0), line(1.0, gene_conversion=5e-9)
    start, number, crossover = drawn(plain, 20_000)
    start_more, number_more, crossover_more = drawn(more, 20_000)
    np.testing.assert_array_equal(start, start_more)
    same = number == number_more
    assert 0.5 < same.mean() < 0.7  # exp(-.5) = .61
    width = crossover.shape[1]
    np.testing.assert_array_equal(crossover[same], crossover_more[same][:, :width])
    for a, b in zip(crossover[~same][:500], crossover_more[~same][:500], strict=True):
        assert np.isin(a[~np.isnan(a)], b).all()


def test_more_chiasmata_than_there_is_room_for_are_an_error():
    import jax.numpy as jnp

    full = line(3.0, interference=4.3)
    small = replace(full, father=replace(full.father, room=6))
    with pytest.raises(OverflowError, match="more chiasmata than there is room for"):
        draw_gametes((1, 2), 3000, small)
    assert make_gametes((1, 2), 3000, small)[1]
    with pytest.raises(OverflowError, match="more chiasmata than there is room for"):
        device_gametes((1, 2), 3000, small, None, jnp)
    assert not make_gametes((1, 2), 3000, full)[1]
