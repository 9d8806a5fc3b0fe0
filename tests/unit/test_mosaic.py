"""The mosaic: against brute force forwards in time, from numpy and JAX, for every inheritance."""

from functools import lru_cache

import numpy as np
import pytest

from pseudocohort.errors import InputError
from pseudocohort.genome import tracing
from pseudocohort.genome.meiosis import make_gametes, stream
from pseudocohort.genome.mosaic import array_module, founder_at, load_mosaic, save_mosaic, trace_mosaic
from pseudocohort.genome.pedigree import Pedigree
from pseudocohort.genome.recombination import NONE, make_recombination
from reproduction import PAR, line, line_map, random_pedigree, sexed_map, x_map

EVERYTHING = {"interference": 4.3, "escape": 0.1, "gene_conversion": 3e-8, "tract_length": 2000}
MODELS = {
    "Haldane": lambda: line(2.0),
    "interference": lambda: line(2.0, interference=4.3),
    "conversion": lambda: line(2.0, gene_conversion=1e-7, tract_length=10_000),
    "sexes with everything": lambda: make_recombination(sexed_map(), "1", **EVERYTHING),
    "X": lambda: make_recombination(x_map(), "X"),
    "X with PAR": lambda: make_recombination(x_map(), "X", PAR),
    "X with everything": lambda: make_recombination(x_map(), "X", PAR, **EVERYTHING),
    "Y": lambda: make_recombination(line_map(0.0), "Y"),
    "MT": lambda: make_recombination(line_map(0.0), "MT"),
}
MODEL = pytest.mark.parametrize("model", MODELS)


@lru_cache
def recombination_of(model):
    return MODELS[model]()


def forwards(pedigree, x, recombination, chrom, seed):
    """Founder haplotype (sites, haplotypes) of the last generation, every site of every person walked forwards.

    On X every person has what came from either parent, a son his father's Y outside the PAR too; only at the end, a
    male's pair there is his mother's gamete twice.
    """
    inheritance = recombination.inheritance
    now = [[[2 * i + h] * len(x) for h in (0, 1)] for i in range(len(pedigree.sex[0]))]
    for g in range(1, pedigree.generations + 1):
        n, following = len(pedigree.sex[g]), []
        gametes, _ = make_gametes(stream(seed, chrom, g), 2 * n, recombination, pedigree.sex[g])
        for child in range(n):
            pair = []
            for which, parent in enumerate((pedigree.father[g - 1][child], pedigree.mother[g - 1][child])):
                start, crossovers = gametes.start[2 * child + which], gametes.crossover[2 * child + which]
                strand = []
                for site, position in enumerate(x):
                    crossed = sum(1 for c in crossovers if c != NONE and c <= position)
                    strand.append(now[parent][(int(start) + crossed) % 2][site])
                pair.append(strand)
            if inheritance == "Y":
                pair = [now[pedigree.father[g - 1][child]][0]] * 2
            if inheritance == "MT":
                pair = [now[pedigree.mother[g - 1][child]][1]] * 2
            following.append(pair)
        now = following
    for pair, sex in zip(now, pedigree.sex[-1], strict=True):
        if inheritance == "X" and sex == 1:
            low, high = recombination.haploid
            high += high == NONE  # the end
            pair[0] = [pair[int(low <= position < high)][site] for site, position in enumerate(x)]
        if inheritance == "Y" and sex == 2:
            pair[:] = [[-1] * len(x)] * 2
    return np.array([strand for pair in now for strand in pair]).T


@MODEL
def test_equals_brute_force_forwards(model):
    recombination, pedigree = recombination_of(model), random_pedigree(14, 11, 5)
    crossovers = make_gametes(stream(7, "3", 5), 22, recombination, pedigree.sex[5])[0].crossover
    exactly = np.random.default_rng(2).permutation(crossovers[crossovers != NONE])[:25]  # on one and just before it
    bounds = np.array(recombination.haploid or [2**20, 2**30], dtype=np.uint32)
    x = np.random.default_rng(1).integers(0, 2**32, 60, dtype=np.uint32)
    ends = (np.arange(21) << 24).astype(np.uint32)  # PAR1, and PAR2
    x = np.concatenate([x, exactly, exactly - 1, bounds, bounds - 1, ends, ~ends, [0, NONE - 1]])
    x = np.unique(x).astype(np.uint32)
    oracle = forwards(pedigree, x, recombination, "3", 7)
    mosaic = trace_mosaic(pedigree, recombination, "3", 7, "cpu")
    assert_well_formed(mosaic)
    np.testing.assert_array_equal(founder_at(mosaic, x), oracle)
    assert len(np.unique(oracle)) >= {"Y": 2, "MT": 1}.get(model, 8)


@pytest.mark.parametrize("model", ["X with PAR", "X with everything"])
def test_no_y_comes_where_there_is_one_copy(model):
    """Haplotype 0 of a male founder is on his Y: sons' sons may have it in the PAR, nobody between PAR1 and PAR2."""
    recombination, pedigree = recombination_of(model), random_pedigree(60, 60, 4)
    low, high = recombination.haploid
    x = np.linspace(0, NONE, 5000).astype(np.uint32)
    x = np.unique(np.concatenate([x, np.linspace(0, low, 300), np.linspace(high, NONE, 300)]).astype(np.uint32))
    between = (x >= low) & (x < high)
    founder = founder_at(trace_mosaic(pedigree, recombination, "X", 3, "cpu"), x)
    on_y = (founder % 2 == 0) & (pedigree.sex[0][founder // 2] == 1)
    assert not on_y[between].any()
    share = on_y[~between].reshape(-1, 60, 2).mean(axis=0)  # of the PAR, by person and gamete
    # .5 Morgans do not free the PAR of its Y: sons' first haplotypes have more of it than daughters' (.25 of all)
    sons = pedigree.sex[-1] == 1
    assert share[sons, 0].mean() > 2 * share[~sons, 0].mean() > 0
    pairs = founder.reshape(len(x), 60, 2)[:, sons]
    np.testing.assert_array_equal(pairs[between, :, 0], pairs[between, :, 1])
    assert (pairs[~between, :, 0] != pairs[~between, :, 1]).mean() > 0.5


@pytest.mark.parametrize("chrom", ["Y", "MT"])
def test_y_and_mt_follow_their_line(chrom):
    pedigree = random_pedigree(30, 40, 4)
    mosaic = trace_mosaic(pedigree, recombination_of(chrom), chrom, 3, "cpu")
    assert_well_formed(mosaic)
    np.testing.assert_array_equal(mosaic.offset, np.arange(81))
    parents = pedigree.father if chrom == "Y" else pedigree.mother
    for person in range(40):
        ancestor = person
        for g in (3, 2, 1, 0):
            ancestor = parents[g][ancestor]
        expected = 2 * ancestor if chrom == "Y" else 2 * ancestor + 1
        if chrom == "Y" and pedigree.sex[-1][person] == 2:
            expected = -1
        assert mosaic.founder[2 * person : 2 * person + 2].tolist() == [expected, expected]
    assert (mosaic.founder == -1).any() == (chrom == "Y")


def test_equal_crossovers_of_a_gamete_cancel(monkeypatch):
    """Draws on a grid of 16 positions make equal crossovers and crossovers on segment starts common."""
    real, real_rows = tracing.draw_gametes, make_gametes

    def coarse(*args):
        gametes = real(*args)
        return gametes._replace(crossover=gametes.crossover & np.uint32(0xF0000000))

    def coarse_rows(*args):
        gametes, overflow = real_rows(*args)
        on_grid = np.where(gametes.crossover == NONE, NONE, gametes.crossover & np.uint32(0xF0000000))
        return gametes._replace(crossover=on_grid.astype(np.uint32)), overflow

    monkeypatch.setattr(tracing, "draw_gametes", coarse)
    monkeypatch.setitem(forwards.__globals__, "make_gametes", coarse_rows)
    pedigree, x = random_pedigree(14, 11, 4), (np.arange(32, dtype=np.uint32) << np.uint32(27))
    mosaic = trace_mosaic(pedigree, line(5.0), "1", 2, device="cpu")
    monkeypatch.setattr(tracing, "draw_gametes", real)
    np.testing.assert_array_equal(founder_at(mosaic, x), forwards(pedigree, x, line(5.0), "1", 2))
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


@MODEL
def test_same_bytes_in_jax_and_for_every_chunk(model):
    import jax.numpy as jnp

    recombination = recombination_of(model)
    pedigree = random_pedigree(300, 260, 3)
    host = trace_mosaic(pedigree, recombination, "1", 3, "cpu")
    assert_well_formed(host)
    assert (host.offset.dtype, host.start.dtype, host.founder.dtype) == (np.int64, np.uint32, np.int32)
    for options in ({"chunk": 1000}, {"chunk": 37}, {"xp": jnp}, {"xp": jnp, "chunk": 300}):
        if "xp" in options and (
            model in ("interference", "conversion", "X") or ("chunk" in options and model != "Haldane")
        ):
            continue  # compiling costs seconds; "everything" has these
        assert_same(host, trace_mosaic(pedigree, recombination, "1", 3, "cpu", **options))
    if model == "Haldane":
        # more than 1,024 segments a chunk: the padded capacity grew on the way, nothing was cut off
        assert len(host.start) > 2048


@pytest.mark.parametrize("models", [{}, EVERYTHING])
def test_all_recombine_alike_where_no_sex_is_known(models):
    known, unknown = random_pedigree(40, 40, 3), random_pedigree(40, 40, 3, sexes=False)
    sexed, average = (make_recombination(sexed_map(), "1", sex_specific=s, **models) for s in (True, False))
    assert_same(trace_mosaic(unknown, sexed, "1", 3, "cpu"), trace_mosaic(known, average, "1", 3, "cpu"))
    assert len(trace_mosaic(known, sexed, "1", 3, "cpu").start) != len(trace_mosaic(known, average, "1", 3).start)


def test_seed_and_chromosome_make_other_mosaics_of_one_pedigree():
    pedigree = random_pedigree(40, 40, 3)
    first = trace_mosaic(pedigree, line(2.0), "1", 3, device="cpu")
    for chrom, seed in (("2", 3), ("1", 4)):
        assert (
            len(first.start) != len(other := trace_mosaic(pedigree, line(2.0), chrom, seed, device="cpu").start)
            or (first.start != other).any()
        )


def test_a_map_without_length_has_no_crossover():
    mosaic = trace_mosaic(random_pedigree(20, 20, 4), line(0.0), "1", 3, device="cpu")
    np.testing.assert_array_equal(mosaic.offset, np.arange(41))


def test_x_goes_whole_from_father_to_daughter_and_mothers_to_sons():
    pedigree = random_pedigree(60, 80, 1)
    mosaic = trace_mosaic(pedigree, recombination_of("X"), "X", 3, "cpu")
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


def test_saved_mosaic_comes_back_and_is_secret(tmp_path):
    mosaic = trace_mosaic(random_pedigree(20, 20, 4), line(1.0), "1", 3, device="cpu")
    save_mosaic(tmp_path / "m" / "chr1.npz", mosaic)
    assert (tmp_path / "m" / "chr1.npz").stat().st_mode & 0o777 == 0o600
    assert_same(mosaic, load_mosaic(tmp_path / "m" / "chr1.npz"))


def test_bad_input():
    pedigree = random_pedigree(20, 20, 2)
    with pytest.raises(InputError, match=r"device 'tpu' is not known\n.*config key device"):
        trace_mosaic(pedigree, line(1.0), "1", 1, device="tpu")
    unknown = Pedigree(
        pedigree.father, pedigree.mother, (np.zeros(20, np.int8), *pedigree.sex[1:]), pedigree.stratum, pedigree.strata
    )
    for chrom in ("X", "Y"):
        with pytest.raises(InputError, match=f"{chrom} chromosome needs the sex of every founder"):
            trace_mosaic(unknown, recombination_of(chrom), chrom, 1, "cpu")
    with pytest.raises(ValueError, match="use a smaller chunk"):
        tracing.power_of_two(2**31)
    import jax

    if not any(d.platform == "gpu" for d in jax.devices()):
        with pytest.raises(InputError, match=r"(?s)no GPU is visible to JAX\n.*config key device.*'jax\[cuda13\]'"):
            trace_mosaic(pedigree, line(1.0), "1", 1, device="gpu")
        assert array_module("auto") is np
