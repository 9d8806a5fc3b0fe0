"""X with its pseudo-autosomal regions from the map to the genotypes, where maps stand still across their bounds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pseudocohort.cohort.builds import get_build
from pseudocohort.cohort.coverage import chromosome_map, cover
from pseudocohort.cohort.maps import GeneticMap, read_map, write_map
from pseudocohort.genome.meiosis import make_gametes, stream
from pseudocohort.genome.mosaic import founder_at, trace_mosaic
from pseudocohort.genome.pedigree import Pedigree, make_ids
from pseudocohort.genome.recombination import NONE, make_recombination, site_fractions
from pseudocohort.genome.transmission import transmit
from pseudocohort.genotypes import Genotypes, GenotypeWriter
from reproduction import random_pedigree

DATA = Path(__file__).parents[3] / "shared" / "data"
PAR = get_build("GRCh38").par
(A, B), (C, D) = PAR
END = get_build("GRCh38").length["X"]
STILL = 40_000  # bp on either side of a bound


def still_map(sexes: bool, scale: float = 1.0) -> GeneticMap:
    """A map that stands still for 40 kb on either side of both bounds of the PAR, and in all of PAR2 in women."""
    pos = np.array([A, B - STILL, B + STILL, C - STILL, D])
    female = np.array([0.0, 4, 4, 180, 180]) * scale
    male = np.array([0.0, 50, 50, 50, 50]) * scale
    return GeneticMap("X", pos, female, male if sexes else None, female if sexes else None)


def hapmap(names: tuple[str, ...]) -> GeneticMap:
    paths = [DATA / "maps_b37" / f"chr{name}.b37.gmap.gz" for name in names]
    return chromosome_map(paths, "X", "GRCh37", np.array([60_020, 155_260_550]))[0]


def ped_sim() -> GeneticMap:
    path = DATA / "maps_b38" / "sex_specific_thinned.b38.simmap"
    return chromosome_map([path], "X", "GRCh38", np.array([20_000, 156_000_000]))[0]


needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
MAPS = {
    "one sex": ("GRCh38", lambda: cover(still_map(False), A, D, END, PAR)[0]),
    "two sexes": ("GRCh38", lambda: cover(still_map(True), A, D, END, PAR)[0]),
    "a long one": ("GRCh38", lambda: cover(still_map(True, 24.0), A, D, END, PAR)[0]),
    "from within PAR1 to within PAR2": ("GRCh38", lambda: cover(still_map(True), B - 10, C + 10, END, PAR)[0]),
    "the bounds alone": ("GRCh38", lambda: cover(still_map(True), B, C, END, PAR)[0]),
    "HapMap": ("GRCh37", lambda: hapmap(("X", "X_par1", "X_par2"))),
    "HapMap without the PAR": ("GRCh37", lambda: hapmap(("X",))),
    "ped-sim": ("GRCh38", ped_sim),
}


@pytest.mark.parametrize("sex_specific", [True, False])
@pytest.mark.parametrize("name", [pytest.param(n, marks=needs_data) if n[0] in "Hp" else n for n in MAPS])
def test_every_base_pair_is_on_its_side_of_the_bounds(name, sex_specific, tmp_path):
    """All of the PAR and what is within 200 kb of it, base pair by base pair."""
    build, make = MAPS[name]
    par = get_build(build).par
    write_map(tmp_path / "map", make())
    genetic_map = read_map(tmp_path / "map", "X")
    low, high = make_recombination(genetic_map, "X", par, sex_specific=sex_specific).haploid
    (a, b), (c, d) = par
    first, last = genetic_map.pos[[0, -1]]
    positions = np.concatenate([np.arange(a, b + 200_000), np.arange(b, c, 10_000), np.arange(c - 200_000, d + 1)])
    positions = positions[(positions >= first) & (positions <= last)]
    x = site_fractions(genetic_map, positions)
    in_par = ((positions >= a) & (positions <= b)) | ((positions >= c) & (positions <= d))
    np.testing.assert_array_equal((x >= low) & (x < high), ~in_par)
    assert in_par.any()
    assert not in_par.all()


def one_copy(positions: np.ndarray) -> np.ndarray:
    return (positions > B) & (positions < C)


def forwards(pedigree: Pedigree, positions, genetic_map, recombination, seed: int) -> np.ndarray:
    """Founder haplotype (sites, haplotypes) of the last generation, walked forwards; who has one copy where, by bp."""
    x, single = site_fractions(genetic_map, positions).tolist(), one_copy(positions)
    now = np.tile(np.arange(2 * len(pedigree.sex[0])), (len(x), 1))
    for g in range(1, pedigree.generations + 1):
        n = len(pedigree.sex[g])
        gametes, _ = make_gametes(stream(seed, "X", g), 2 * n, recombination, pedigree.sex[g])
        following = np.empty((len(x), 2 * n), dtype=int)
        for h in range(2 * n):
            parent = (pedigree.father if h % 2 == 0 else pedigree.mother)[g - 1][h // 2]
            for i, position in enumerate(x):
                crossed = sum(1 for c in gametes.crossover[h] if c != NONE and c <= position)
                following[i, h] = now[i, 2 * parent + (int(gametes.start[h]) + crossed) % 2]
        now = following
    sons = np.flatnonzero(pedigree.sex[-1] == 1)
    now[np.ix_(single, 2 * sons)] = now[np.ix_(single, 2 * sons + 1)]
    return now


BESIDE = np.concatenate([np.arange(bound - 2, bound + 3) for bound in (B - STILL, B, B + STILL, C - STILL, C)])
WITHIN = np.concatenate([np.linspace(A, B, 12), np.linspace(B, C, 9), np.linspace(C, D, 8), [B - 20_000, B + 20_000]])
POSITIONS = np.unique(np.concatenate([BESIDE, WITHIN.astype(int)]))


@pytest.mark.parametrize("sexes", [False, True])
def test_men_have_a_copy_of_either_parent_in_the_par_where_the_map_stands_still(sexes):
    genetic_map, _ = cover(still_map(sexes), A, D, END, PAR)
    recombination, pedigree = make_recombination(genetic_map, "X", PAR), random_pedigree(24, 20, 3)
    mosaic = trace_mosaic(pedigree, recombination, "X", 5, "cpu")
    founder = founder_at(mosaic, site_fractions(genetic_map, POSITIONS))
    np.testing.assert_array_equal(founder, forwards(pedigree, POSITIONS, genetic_map, recombination, 5))
    sons = pedigree.sex[-1] == 1
    differ = founder[:, 0::2] != founder[:, 1::2]
    assert differ[~one_copy(POSITIONS)][:, sons].mean() > 0.8
    assert not differ[one_copy(POSITIONS)][:, sons].any()
    on_y = (founder % 2 == 0) & (pedigree.sex[0][founder // 2] == 1)
    assert not on_y[one_copy(POSITIONS)].any()
    assert on_y[~one_copy(POSITIONS)].any()


def par_cohort(prefix, people: int):
    """Founders' X with a site at each of POSITIONS: men are diploid in the PAR and a|a between: alleles, sex, sites."""
    rng, sex = np.random.default_rng(3), np.arange(people) % 2 + 1
    alleles = (rng.random((len(POSITIONS), 2 * people)) < 0.5).astype(np.int8)
    single = np.ix_(one_copy(POSITIONS), np.flatnonzero(sex == 1))
    alleles[:, 1::2][single] = alleles[:, 0::2][single]
    part = np.select([POSITIONS <= B, POSITIONS >= C], ["PAR1", "PAR2"], "X")
    ids = [f"X:{p}:A:G" for p in POSITIONS]
    sites = pd.DataFrame({"chrom": part, "pos": POSITIONS, "id": ids, "ref": "A", "alt": "G"})
    with GenotypeWriter(prefix, np.array([f"p{i}" for i in range(people)]), sex, len(sites)) as writer:
        writer.append(alleles, sites)
    return alleles, sex, sites


def test_mendel_on_either_side_of_every_man_of_a_cohort_with_par(tmp_path):
    """Generation after generation, from the map file to the .pgen: a son's first allele is one of his father's and the
    second one of his mother's in the PAR, both are one of hers elsewhere; and the founders of the mosaic had them."""
    alleles, sex, sites = par_cohort(tmp_path / "chrX", 64)
    rows = np.setdiff1d(np.arange(64), [4, 5, 30, 63])
    write_map(tmp_path / "map", cover(still_map(False), A, D, END, PAR)[0])
    genetic_map, single = read_map(tmp_path / "map", "X"), one_copy(POSITIONS)
    recombination, whole = make_recombination(genetic_map, "X", PAR), random_pedigree(60, 50, 3)
    whole = whole._replace(sex=(sex[rows].astype(np.int8), *whole.sex[1:]))
    for g, roles in enumerate(whole.sex[:-1]):  # parents of their sex, as the founders' is given
        for side, role in ((whole.father, 1), (whole.mother, 2)):
            side[g][:] = np.random.default_rng(g).choice(np.flatnonzero(roles == role), len(side[g]))
    before = alleles[:, np.stack([2 * rows, 2 * rows + 1], axis=1).ravel()]
    founders = before
    for g in range(1, 4):
        cut = Pedigree(whole.father[:g], whole.mother[:g], whole.sex[: g + 1], whole.stratum[: g + 1], whole.strata)
        mosaic = trace_mosaic(cut, recombination, "X", 8, "cpu")
        transmit(tmp_path / "chrX", rows, mosaic, genetic_map, tmp_path / "out", make_ids(cut.people), cut.sex[-1])
        with Genotypes(tmp_path / "out") as file:
            now = np.zeros((len(sites), 2 * cut.people), dtype=np.int8)
            now[sites["id"].isin(file.sites["id"]).to_numpy()] = file.haplotypes(0, file.n_sites)
        copied = founder_at(mosaic, site_fractions(genetic_map, POSITIONS))
        np.testing.assert_array_equal(now, np.take_along_axis(founders, copied, axis=1))
        for child in np.flatnonzero(cut.sex[-1] == 1):
            father, mother = (before[:, 2 * p : 2 * p + 2] for p in (cut.father[-1][child], cut.mother[-1][child]))
            first, second = now[:, 2 * child], now[:, 2 * child + 1]
            assert (second[:, None] == mother).any(axis=1).all()
            assert (first[:, None] == father)[~single].any(axis=1).all()
            np.testing.assert_array_equal(first[single], second[single])
        men = cut.sex[-1] == 1
        assert 0.3 < (now[:, 0::2] != now[:, 1::2])[~single][:, men].mean() < 0.7
        before = now
