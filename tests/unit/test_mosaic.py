"""Meiosis and mosaic: against distributions, brute force forwards in time, and msprime's fixed pedigree."""

import msprime
import numpy as np
import pytest
from scipy import stats

from pseudocohort.errors import InputError
from pseudocohort.genome import mosaic as module
from pseudocohort.genome.meiosis import LAST, NONE, crossover_thresholds, make_gametes, stream
from pseudocohort.genome.mosaic import founder_at, load_mosaic, save_mosaic, trace_mosaic
from pseudocohort.genome.pedigree import Pedigree, make_pedigree

MORGAN = 2.0


def pedigree_of(founders, people, generations, mating="random", seed=1):
    sex = np.arange(founders) % 2 + 1
    return make_pedigree(sex, np.zeros(founders), ("all",), people, generations, mating, seed)


def forwards(pedigree, x, length_morgan, chrom, seed, inheritance="autosome"):
    """Founder haplotype (sites, haplotypes) of the last generation, every site of every person walked forwards."""
    thresholds = crossover_thresholds(length_morgan)
    now = [[[2 * i + h] * len(x) for h in (0, 1)] for i in range(len(pedigree.sex[0]))]
    for g in range(1, pedigree.generations + 1):
        n = len(pedigree.sex[g])
        gametes = make_gametes(stream(seed, chrom, g), 2 * n, thresholds, np, inheritance == "X")
        following = []
        for child in range(n):
            pair = []
            for which, parent in enumerate((pedigree.father[g - 1][child], pedigree.mother[g - 1][child])):
                start, crossovers = gametes.start[2 * child + which], gametes.crossover[2 * child + which]
                strand = []
                for site, position in enumerate(x):
                    crossed = sum(1 for c in crossovers if c != NONE and c <= position)
                    strand.append(now[parent][(int(start) + crossed) % 2][site])
                pair.append(strand)
            if inheritance == "X" and pedigree.sex[g][child] == 1:
                pair[0] = pair[1]
            following.append(pair)
        now = following
    return np.array([strand for pair in now for strand in pair]).T


def test_crossover_numbers_are_poisson_and_start_is_fair():
    n = 200_000
    gametes = make_gametes((5, 6), n, crossover_thresholds(1.7))
    number = (gametes.crossover != NONE).sum(axis=1)
    observed = np.bincount(np.minimum(number, 8), minlength=9)
    expected = n * np.append(stats.poisson.pmf(range(8), 1.7), stats.poisson.sf(7, 1.7))
    assert stats.chisquare(observed, expected).pvalue > 1e-4
    assert stats.binomtest(int(gametes.start.sum()), n).pvalue > 1e-4
    table = np.array([np.bincount(number[gametes.start == s], minlength=15)[:6] for s in (0, 1)])
    assert stats.chi2_contingency(table).pvalue > 1e-4  # three tests, false alarm 3e-4


def test_crossover_positions_are_uniform_and_independent():
    gametes = make_gametes((9, 1), 60_000, crossover_thresholds(2.0))
    assert (np.diff(gametes.crossover.astype(np.int64), axis=1) >= 0).all()
    used = gametes.crossover != NONE
    assert stats.kstest(gametes.crossover[used] / 2**32, "uniform").pvalue > 1e-4
    two = gametes.crossover[used.sum(axis=1) == 2][:, :2] / 2**32  # order statistics: spacing is Beta(1, 2)
    assert stats.kstest(two[:, 1] - two[:, 0], stats.beta(1, 2).cdf).pvalue > 1e-4  # false alarm 2e-4


@pytest.mark.parametrize("length", [0.0, 1e-6, 0.01, 3.5, 60.0])
def test_thresholds_are_the_poisson_distribution(length):
    thresholds = crossover_thresholds(length)
    expected = np.rint(stats.poisson.cdf(np.arange(len(thresholds)), length) * 2**32)
    np.testing.assert_allclose(thresholds, expected, atol=1)
    assert stats.poisson.sf(len(thresholds), length) < 2**-31


def test_length_in_centimorgans_is_refused():
    with pytest.raises(ValueError, match="is it in centimorgans"):
        crossover_thresholds(120.0)


def test_a_gamete_does_not_depend_on_how_many_are_drawn():
    thresholds = crossover_thresholds(1.0)
    few, many = make_gametes((3, 4), 50, thresholds), make_gametes((3, 4), 500, thresholds)
    width = few.crossover.shape[1]
    np.testing.assert_array_equal(few.crossover, many.crossover[:50, :width])
    np.testing.assert_array_equal(few.start, many.start[:50])


@pytest.mark.parametrize("whole_from_father", [False, True])
def test_gametes_in_jax_are_the_same(whole_from_father):
    import jax.numpy as jnp

    thresholds = crossover_thresholds(1.3)
    host = make_gametes((3, 4), 3000, thresholds, np, whole_from_father)
    device = make_gametes((3, 4), 3000, thresholds, jnp, whole_from_father)
    width = host.crossover.shape[1]
    np.testing.assert_array_equal(host.start, np.asarray(device.start))
    np.testing.assert_array_equal(host.crossover, np.asarray(device.crossover)[:, :width])
    assert (np.asarray(device.crossover)[:, width:] == NONE).all()


@pytest.mark.parametrize("inheritance", ["autosome", "X"])
@pytest.mark.parametrize("mating", ["random", "balanced"])
def test_equals_brute_force_forwards(inheritance, mating):
    pedigree = pedigree_of(14, 11, 5, mating)
    rng = np.random.default_rng(1)
    x = np.sort(rng.integers(0, 2**32, 80, dtype=np.uint32))
    crossovers = make_gametes(stream(7, "3", 5), 22, crossover_thresholds(MORGAN)).crossover
    exactly = crossovers[crossovers != NONE][:15]  # sites on a crossover and just before it
    x = np.sort(np.concatenate([x, exactly, exactly - 1, [0, NONE]])).astype(np.uint32)
    oracle = forwards(pedigree, x, MORGAN, "3", 7, inheritance)
    mosaic = trace_mosaic(pedigree, MORGAN, "3", 7, inheritance, "cpu")
    np.testing.assert_array_equal(founder_at(mosaic, x), oracle)
    assert len(np.unique(oracle)) >= 8


def test_equal_crossovers_of_a_gamete_cancel(monkeypatch):
    """Draws on a grid of 16 positions make equal crossovers and crossovers on segment starts common."""
    real = module.make_gametes

    def coarse(*args):
        gametes = real(*args)
        on_grid = np.where(gametes.crossover == NONE, NONE, gametes.crossover & np.uint32(0xF0000000))
        return gametes._replace(crossover=on_grid.astype(np.uint32))

    monkeypatch.setattr(module, "make_gametes", coarse)
    monkeypatch.setitem(forwards.__globals__, "make_gametes", coarse)
    pedigree, x = pedigree_of(14, 11, 4), (np.arange(32, dtype=np.uint32) << np.uint32(27))
    mosaic = trace_mosaic(pedigree, 5.0, "1", 2, device="cpu")
    np.testing.assert_array_equal(founder_at(mosaic, x), forwards(pedigree, x, 5.0, "1", 2))
    assert_well_formed(mosaic)


def assert_well_formed(mosaic):
    """Starts at 0, ascends strictly, and neighbours differ, in every haplotype."""
    assert mosaic.offset[0] == 0
    assert mosaic.offset[-1] == len(mosaic.start) == len(mosaic.founder)
    assert (np.diff(mosaic.offset) >= 1).all()
    assert (mosaic.start[mosaic.offset[:-1]] == 0).all()
    inner = np.ones(len(mosaic.start), dtype=bool)
    inner[mosaic.offset[:-1]] = False
    inner = np.flatnonzero(inner)
    assert (mosaic.start[inner] > mosaic.start[inner - 1]).all()
    assert (mosaic.founder[inner] != mosaic.founder[inner - 1]).all()


def assert_same(a, b):
    for name in a._fields:
        left, right = getattr(a, name), getattr(b, name)
        assert left.dtype == right.dtype
        assert left.tobytes() == right.tobytes()


@pytest.mark.parametrize("inheritance", ["autosome", "X"])
def test_same_bytes_in_jax_and_for_every_chunk(inheritance):
    import jax.numpy as jnp

    pedigree = pedigree_of(300, 260, 3)
    host = trace_mosaic(pedigree, MORGAN, "1", 3, inheritance, "cpu")
    assert_well_formed(host)
    assert (host.offset.dtype, host.start.dtype, host.founder.dtype) == (np.int64, np.uint32, np.int32)
    for options in ({"chunk": 1000}, {"chunk": 37}, {"xp": jnp}, {"xp": jnp, "chunk": 300}):
        if inheritance == "X" and options == {"xp": jnp, "chunk": 300}:
            continue  # compiling costs seconds
        assert_same(host, trace_mosaic(pedigree, MORGAN, "1", 3, inheritance, "cpu", **options))
    if inheritance == "autosome":
        # more than 1,024 segments a chunk: the padded capacity grew on the way, nothing was cut off
        assert len(host.start) > 2048


def test_seed_and_chromosome_make_other_mosaics_of_one_pedigree():
    pedigree = pedigree_of(40, 40, 3)
    first = trace_mosaic(pedigree, MORGAN, "1", 3, device="cpu")
    for chrom, seed in (("2", 3), ("1", 4)):
        assert (
            len(first.start) != len(other := trace_mosaic(pedigree, MORGAN, chrom, seed, device="cpu").start)
            or (first.start != other).any()
        )


def test_a_map_without_length_has_no_crossover():
    mosaic = trace_mosaic(pedigree_of(20, 20, 4), 0.0, "1", 3, device="cpu")
    np.testing.assert_array_equal(mosaic.offset, np.arange(41))


def test_x_goes_whole_from_father_to_daughter_and_mothers_to_sons():
    pedigree = pedigree_of(60, 80, 1)
    mosaic = trace_mosaic(pedigree, 1.8, "X", 3, "X", "cpu")
    parts = [
        (mosaic.start[a:b], mosaic.founder[a:b]) for a, b in zip(mosaic.offset[:-1], mosaic.offset[1:], strict=True)
    ]
    recombined = 0
    for child, sex in enumerate(pedigree.sex[1]):
        paternal, maternal = parts[2 * child], parts[2 * child + 1]
        assert set(maternal[1] // 2) == {pedigree.mother[0][child]}
        recombined += len(maternal[0]) > 1
        if sex == 2:
            np.testing.assert_array_equal(paternal[1], [2 * pedigree.father[0][child] + 1])
        else:
            np.testing.assert_array_equal(paternal[0], maternal[0])
            np.testing.assert_array_equal(paternal[1], maternal[1])
    assert recombined > 40


def test_segment_lengths_are_exponential():
    """First segments after G generations: exponential with rate G per Morgan, cut off at the chromosome's end."""
    generations, length = 8, 1.0
    mosaic = trace_mosaic(pedigree_of(6000, 3000, generations), length, "1", 5, device="cpu")
    several = np.flatnonzero(np.diff(mosaic.offset) > 1)
    first = mosaic.start[mosaic.offset[several] + 1] / 2**32 * length
    whole = 1 - len(several) / 6000
    assert abs(whole - np.exp(-generations * length)) < 2e-3  # expected 3e-4 of 6,000; false alarm < 1e-6
    law = stats.truncexpon(b=generations * length, scale=1 / generations)
    assert stats.kstest(first[::4], law.cdf).pvalue > 1e-4  # thinned, for relatives share crossovers
    assert abs(np.diff(mosaic.offset).mean() - 1 - generations * length) < 0.15  # 4 SE; merged pairs below 1 %


def test_founder_shares_follow_the_pedigree():
    pedigree, chromosomes = pedigree_of(12, 10, 4), 250
    expected = np.eye(12)
    for father, mother in zip(pedigree.father, pedigree.mother, strict=True):
        expected = (expected[father] + expected[mother]) / 2
    share = np.array([_shares(trace_mosaic(pedigree, 0.5, str(c), 1, device="cpu"), 12) for c in range(chromosomes)])
    z = (share.mean(axis=0) - expected.mean(axis=0)) / (share.std(axis=0) / np.sqrt(chromosomes) + 1e-12)
    assert np.abs(z).max() < 4.5  # 12 founders, false alarm 1e-4
    assert share.std(axis=0).max() > 0.01


def _shares(mosaic, founders):
    length = np.append(mosaic.start[1:], 0).astype(np.uint32) - mosaic.start
    length = np.where(length == 0, 2.0**32, length)  # whole chromosomes
    return np.bincount(mosaic.founder // 2, weights=length, minlength=founders) / length.sum()


def _fixed_pedigree(pedigree, sequence_length):
    builder = msprime.PedigreeBuilder()
    rows = [builder.add_individual(time=pedigree.generations) for _ in pedigree.sex[0]]
    founders = np.array(rows)
    for g, (father, mother) in enumerate(zip(pedigree.father, pedigree.mother, strict=True), 1):
        rows = [
            builder.add_individual(
                time=pedigree.generations - g, parents=[rows[f], rows[m]], is_sample=g == pedigree.generations
            )
            for f, m in zip(father, mother, strict=True)
        ]
    return builder.finalise(sequence_length=sequence_length), founders, np.array(rows)


def test_agrees_with_msprimes_fixed_pedigree():
    """Segments a haplotype, and the share of a person's genome where both haplotypes are of one founder haplotype."""
    pedigree, replicates, length = pedigree_of(14, 12, 6), 120, 1.0
    tables, founders, children = _fixed_pedigree(pedigree, 100.0)
    theirs = np.array(
        [
            _msprime_numbers(ts, founders, children)
            for ts in msprime.sim_ancestry(
                initial_state=tables,
                model="fixed_pedigree",
                recombination_rate=length / 100,
                discrete_genome=False,
                num_replicates=replicates,
                random_seed=3,
            )
        ]
    )
    ours = np.array([_our_numbers(trace_mosaic(pedigree, length, str(c), 1, device="cpu")) for c in range(replicates)])
    z = (ours.mean(axis=0) - theirs.mean(axis=0)) / np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / replicates)
    assert np.abs(z).max() < 4.5  # two statistics, false alarm 2e-5
    assert ours.mean(axis=0)[1] > 0.02
    assert stats.ks_2samp(ours[:, 0], theirs[:, 0]).pvalue > 1e-4


def _msprime_numbers(ts, founders, children):
    """Mean segments a haplotype and mean autozygosity of the last generation of a msprime tree sequence."""
    founder_of = np.full(ts.num_nodes, -1)
    for i, individual in enumerate(founders):
        founder_of[ts.individual(individual).nodes] = [2 * i, 2 * i + 1]
    haplotypes = np.array([ts.individual(i).nodes for i in children])
    segments, autozygous, before = np.zeros(haplotypes.shape), 0.0, None
    for tree in ts.trees():
        now = np.empty(haplotypes.shape, dtype=int)
        for place, node in np.ndenumerate(haplotypes):
            while founder_of[node] < 0:
                node = tree.parent(node)
            now[place] = founder_of[node]
        segments += 1 if before is None else now != before
        autozygous += (now[:, 0] == now[:, 1]).mean() * tree.span / ts.sequence_length
        before = now
    return segments.mean(), autozygous


def _our_numbers(mosaic):
    starts = np.unique(mosaic.start)
    spans = np.diff(np.append(starts.astype(np.int64), 2**32)) / 2**32
    pairs = founder_at(mosaic, starts).reshape(len(starts), -1, 2)
    return np.diff(mosaic.offset).mean(), ((pairs[..., 0] == pairs[..., 1]).mean(axis=1) * spans).sum()


@pytest.fixture(scope="module")
def loci():
    """Founder haplotypes after 10 generations of random mating at constant N = 200: (replicate, locus, haplotype).

    Loci come in pairs 5 cM apart, every 50 cM on 8 chromosomes of 12 Morgans; 14 pedigrees.
    """
    first = (np.arange(24) + 0.5) / 24
    x = (np.sort(np.concatenate([first, first + 0.05 / 12])) * 2**32).astype(np.uint32)
    replicates = []
    for s in range(14):
        pedigree = pedigree_of(200, 200, 10, seed=s)
        replicates.append(
            np.concatenate([founder_at(trace_mosaic(pedigree, 12.0, str(c), s, device="cpu"), x) for c in range(8)])
        )
    return np.array(replicates)


def test_drift_variance(loci):
    """Var(p') = p(1-p)(1-(1-1/2N)^G); equal numbers of each sex, so Ne = N (+ 1/2)."""
    rng = np.random.default_rng(1)
    before, after = [], []
    for replicate in loci:
        allele = rng.random((len(replicate), 400)) < 0.3
        before.append(allele.mean(axis=1))
        after.append(np.take_along_axis(allele, replicate, axis=1).mean(axis=1))
    before, after = np.array(before), np.array(after)
    expected = (before * (1 - before)).mean() * (1 - (1 - 1 / 400) ** 10)
    # 2,688 pairs of loci in 14 pedigrees: SE of a variance about 3 %, so 12 % is 4 SE
    assert abs(((after - before) ** 2).mean() / expected - 1) < 0.12


def test_linkage_disequilibrium_decays(loci):
    """D' = D (1-c)^G (1-1/2N)^G with Haldane's c = (1 - exp(-2d)) / 2."""
    rng = np.random.default_rng(2)
    decay = []
    for replicate in loci:
        allele = rng.random((192, 400)) < 0.5  # the same at both loci of a pair, so D = p(1-p)
        a = np.take_along_axis(allele, replicate[0::2], axis=1)
        b = np.take_along_axis(allele, replicate[1::2], axis=1)
        d = (a & b).mean(axis=1) - a.mean(axis=1) * b.mean(axis=1)
        decay.append((d / (allele.mean(axis=1) * (1 - allele.mean(axis=1)))).mean())
    c = (1 - np.exp(-0.1)) / 2
    expected = ((1 - c) * (1 - 1 / 400)) ** 10
    assert abs(np.mean(decay) / expected - 1) < 0.03  # SE by the spread of replicates about 0.6 %


def test_singletons_survive_as_theory_says(loci):
    """A founder haplotype's lineage is a branching process with Poisson(1) offspring: about 2 / (G + 2)."""
    alive = np.mean([[len(np.unique(locus)) / 400 for locus in replicate[::2]] for replicate in loci])
    q = 0.0
    for _ in range(10):
        q = np.exp(q - 1)
    assert abs(alive - (1 - q)) < 0.01
    assert abs(alive - 2 / 12) < 0.015


def test_balanced_mating_keeps_more_founder_haplotypes():
    x = np.arange(100, dtype=np.uint32) << np.uint32(25)
    alive = {}
    for mating in ("random", "balanced"):
        mosaic = trace_mosaic(pedigree_of(200, 200, 10, mating), 10.0, "1", 1, device="cpu")
        alive[mating] = np.mean([len(np.unique(locus)) for locus in founder_at(mosaic, x)])
    assert alive["balanced"] > 1.4 * alive["random"]


def test_saved_mosaic_comes_back_and_is_secret(tmp_path):
    mosaic = trace_mosaic(pedigree_of(20, 20, 4), 1.0, "1", 3, device="cpu")
    save_mosaic(tmp_path / "m" / "chr1.npz", mosaic)
    assert (tmp_path / "m" / "chr1.npz").stat().st_mode & 0o777 == 0o600
    assert_same(mosaic, load_mosaic(tmp_path / "m" / "chr1.npz"))


def test_bad_input(monkeypatch):
    pedigree = pedigree_of(20, 20, 2)
    with pytest.raises(InputError, match="device 'tpu' is not known"):
        trace_mosaic(pedigree, 1.0, "1", 1, device="tpu")
    with pytest.raises(ValueError, match="inheritance 'Y'"):
        trace_mosaic(pedigree, 1.0, "Y", 1, "Y", "cpu")
    unknown = Pedigree(
        pedigree.father, pedigree.mother, (np.zeros(20, np.int8), *pedigree.sex[1:]), pedigree.stratum, pedigree.strata
    )
    with pytest.raises(InputError, match="X chromosome needs the sex of every founder"):
        trace_mosaic(unknown, 1.0, "X", 1, "X", "cpu")
    with pytest.raises(ValueError, match="use a smaller chunk"):
        module._power_of_two(2**31)
    import jax

    if not any(d.platform == "gpu" for d in jax.devices()):
        with pytest.raises(InputError, match="no GPU is visible to JAX"):
            trace_mosaic(pedigree, 1.0, "1", 1, device="gpu")
        assert module._array_module("auto") is np


def test_crossovers_stay_below_the_mark_of_none():
    assert LAST < NONE
    gametes = make_gametes((1, 2), 1000, crossover_thresholds(3.0))
    assert gametes.crossover[gametes.crossover != NONE].max() <= LAST
