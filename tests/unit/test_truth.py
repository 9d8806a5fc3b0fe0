"""The truth: founder segments and ancestry in base pairs against the mosaic at every position, and tskit's view."""

import os
import stat

import numpy as np
import pandas as pd
import pytest
import tskit

from pseudocohort.cohort.builds import get_build
from pseudocohort.cohort.maps import GeneticMap
from pseudocohort.genome.mosaic import Mosaic, founder_at, trace_mosaic
from pseudocohort.genome.pedigree import Pedigree, make_ids
from pseudocohort.genome.recombination import make_recombination, site_fractions
from pseudocohort.genome.truth import first_positions, founder_segments, write_truth

BUILD = "GRCh38"
FOUNDERS, PEOPLE, GENERATIONS = 30, 25, 4
# Steep (many fractions a base pair), flat (many base pairs a fraction), even flat at both ends.
POS = np.array([101, 140, 141, 160, 1000, 1001, 4000, 4800, 5200])
CM = np.array([2.0, 2.0, 40.0, 40.0, 41.0, 60.0, 60.0, 61.0, 61.0])
MAP = GeneticMap("22", POS, CM)
SEXES = GeneticMap("22", POS, (CM + CM[::-1].max() - CM[::-1]) / 2, CM, CM[::-1].max() - CM[::-1])
LONG = GeneticMap("22", np.array([1, 200_000, 200_100, 1_500_000]), np.array([0.0, 1.0, 51.0, 60.0]))
# Stands still just between two fractions, which numpy rounds to the even one: the map's inverse is then at a loss.
TIE = GeneticMap("22", np.array([1, 100, 200, 300]), np.array([0, 3, 3, 2**33]) * 2.0**-27)
MAPS = {
    "tie": TIE,
    "steps": MAP,
    "two sexes": SEXES,
    "long": LONG,
    "no length": GeneticMap("Y", POS[[0, -1]], np.zeros(2)),
}
TRUTH = ("segments.parquet", "ancestry.parquet", "trees")


def random_mosaic(seed: int, haplotypes: int = 2 * PEOPLE, origins: int = 2 * FOUNDERS) -> Mosaic:
    """Segments of all lengths, some between neighbouring fractions, some at the borders of the coordinate."""
    rng = np.random.default_rng(seed)
    starts = []
    for _ in range(haplotypes):
        cut = np.unique(rng.integers(1, 2**32 - 1, rng.integers(0, 40)))
        near = rng.choice([1, 2, 5, 2**31, 2**31 + 1, 2**32 - 3, 2**32 - 2], rng.integers(0, 4))
        more = (cut[:3] + rng.integers(1, 300, 3)[: len(cut[:3])]) % (2**32 - 1)
        starts.append(np.unique(np.concatenate([[0], cut, near, more])).astype(np.uint32))
    offset = np.append(0, np.cumsum([len(s) for s in starts]))
    founder = np.cumsum(rng.integers(1, origins, offset[-1])) % origins  # never twice the same in a row
    return Mosaic(offset, np.concatenate(starts), founder.astype(np.int32))


def random_pedigree(seed: int = 3) -> Pedigree:
    rng = np.random.default_rng(seed)
    sizes = [FOUNDERS, *[40] * (GENERATIONS - 1), PEOPLE]
    sex = tuple(rng.permutation(np.arange(n) % 2 + 1).astype(np.int8) for n in sizes)
    stratum = tuple(rng.integers(0, 3, n).astype(np.int16) for n in sizes)
    parents = [
        [rng.choice(np.flatnonzero(sex[g] == s), sizes[g + 1]).astype(np.int32) for g in range(GENERATIONS)]
        for s in (1, 2)
    ]
    return Pedigree(tuple(parents[0]), tuple(parents[1]), sex, stratum, ("north", "south", "west"))


def write(folder, pedigree, mosaic, genetic_map, chrom="22"):
    paths = [folder / f"chr{chrom}.{end}" for end in TRUTH]
    write_truth(pedigree, mosaic, genetic_map, chrom, BUILD, make_ids(PEOPLE), *paths)
    return pd.read_parquet(paths[0]), pd.read_parquet(paths[1]), tskit.load(paths[2])


@pytest.mark.parametrize("name", MAPS)
def test_first_position_is_found_by_trying_all(name):
    genetic_map = MAPS[name]
    fractions = site_fractions(genetic_map, np.arange(genetic_map.pos[0], genetic_map.pos[-1] + 1))
    x = np.random.default_rng(1).integers(0, int(fractions[-1]) + 1, 3000)
    near = np.concatenate([fractions.astype(np.int64)[:: max(1, len(fractions) // 20_000)] + i for i in (-1, 0, 1)])
    x = np.concatenate([x, near[(near >= 0) & (near <= fractions[-1])]]).astype(np.uint32)
    expected = genetic_map.pos[0] + np.searchsorted(fractions, x, side="left")
    np.testing.assert_array_equal(first_positions(genetic_map, x), expected)


@pytest.mark.parametrize("name", [name for name in MAPS if name != "no length"])
def test_every_base_pair_has_the_founder_of_the_mosaic(name):
    """At all positions of the map: what transmission would copy to a site there."""
    genetic_map, mosaic = MAPS[name], random_mosaic(5, haplotypes=24)
    positions = np.arange(genetic_map.pos[0], genetic_map.pos[-1] + 1)
    sex = np.zeros(12, dtype=np.int8)
    (found,) = founder_segments(mosaic, genetic_map, "22", BUILD, sex)
    for haplotype in range(24):
        rows = found.haplotype == haplotype
        start, end, origin = found.start[rows], found.end[rows], found.origin[rows]
        assert start[0] == positions[0]
        assert end[-1] == positions[-1] + 1
        np.testing.assert_array_equal(start[1:], end[:-1])
        assert (end > start).all()
        assert (origin[1:] != origin[:-1]).all()
        alone = Mosaic(
            mosaic.offset[haplotype : haplotype + 2] - mosaic.offset[haplotype],
            *(a[mosaic.offset[haplotype] : mosaic.offset[haplotype + 1]] for a in mosaic[1:]),
        )
        copied = founder_at(alone, site_fractions(genetic_map, positions))[:, 0]
        np.testing.assert_array_equal(np.repeat(origin, end - start), copied)


def test_segments_do_not_depend_on_the_chunk():
    mosaic, sex = random_mosaic(8), np.ones(PEOPLE, dtype=np.int8)
    (whole,) = founder_segments(mosaic, MAP, "22", BUILD, sex)
    for chunk in (1, 7, 100):
        parts = list(founder_segments(mosaic, MAP, "22", BUILD, sex, chunk))
        assert len(parts) > 3
        for a, b in zip(whole, map(np.concatenate, zip(*parts, strict=True)), strict=True):
            np.testing.assert_array_equal(a, b)


def test_tables_of_segments_and_ancestry(tmp_path):
    """Segments against a loop over haplotypes; ancestry against the founders' strata at every position."""
    pedigree, mosaic = random_pedigree(), random_mosaic(2)
    segments, ancestry, _ = write(tmp_path, pedigree, mosaic, MAP)
    positions = np.arange(POS[0], POS[-1] + 1)
    copied = founder_at(mosaic, site_fractions(MAP, positions))
    ids, strata = make_ids(PEOPLE), np.array(pedigree.strata)
    where = [(ids[h // 2], h % 2) for h in range(2 * PEOPLE)]
    for table in (segments, ancestry):
        assert list(dict.fromkeys(zip(table["person"], table["haplotype"], strict=True))) == where
        np.testing.assert_allclose(table["start_cm"], np.interp(table["start_bp"], POS, CM))
        np.testing.assert_allclose(table["end_cm"], np.interp(table["end_bp"], POS, CM))
    for h, (person, haplotype) in enumerate(where):
        for table in (segments, ancestry):
            rows = table[(table["person"] == person) & (table["haplotype"] == haplotype)]
            length = rows["end_bp"] - rows["start_bp"]
            assert rows["start_bp"].iloc[0] == POS[0]
            if table is segments:
                origin = 2 * rows["founder"] + rows["founder_haplotype"]
                np.testing.assert_array_equal(np.repeat(origin, length), copied[:, h])
            else:
                expected = strata[pedigree.stratum[0][copied[:, h] // 2]]
                assert list(np.repeat(rows["stratum"], length)) == list(expected)
                assert (rows["stratum"].to_numpy()[1:] != rows["stratum"].to_numpy()[:-1]).all()
    assert 3 * PEOPLE < len(ancestry) < len(segments) < len(mosaic.start)


def test_the_files_are_their_owners_alone_and_name_no_founder(tmp_path):
    _, _, trees = write(tmp_path, random_pedigree(), random_mosaic(2), MAP)
    for end in TRUTH:
        assert stat.S_IMODE(os.stat(tmp_path / f"chr22.{end}").st_mode) == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(f"chr22.{end}" for end in TRUTH)
    individuals = list(trees.individuals())
    assert [i.metadata for i in individuals[:FOUNDERS]] == [{}] * FOUNDERS
    assert [i.metadata["id"] for i in individuals[FOUNDERS:]] == list(make_ids(PEOPLE))


def origins_by_genotypes(trees: tskit.TreeSequence, positions: np.ndarray) -> np.ndarray:
    """Founder haplotype of every sample by tskit's own genotypes, -1 where it says missing: int (positions, samples).

    A site at each position, where every founder haplotype carries a mutation to its number.
    """
    tables = trees.dump_tables()
    founders = np.flatnonzero(trees.nodes_time > 0)
    for position in positions:
        site = tables.sites.add_row(float(position), "none")
        for node in founders:
            tables.mutations.add_row(site, node, str(node))
    tables.sort()
    variants = tables.tree_sequence().variants()
    return np.array([[-1 if g < 0 else int(v.alleles[g]) for g in v.genotypes] for v in variants])


def test_trees_give_the_founder_of_the_mosaic(tmp_path):
    pedigree, mosaic = random_pedigree(), random_mosaic(11)
    _, _, trees = write(tmp_path, pedigree, mosaic, MAP)
    rng = np.random.default_rng(4)
    positions = np.unique(np.concatenate([rng.integers(POS[0], POS[-1] + 1, 60), POS, POS[1:] - 1]))
    copied = founder_at(mosaic, site_fractions(MAP, positions))
    np.testing.assert_array_equal(origins_by_genotypes(trees, positions), copied)
    assert trees.sequence_length == get_build(BUILD).length["22"] + 1
    assert trees.time_units == "generations"
    assert set(trees.nodes_time) == {0.0, float(GENERATIONS)}
    assert [p.metadata["name"] for p in trees.populations()] == list(pedigree.strata)
    nodes = trees.samples()
    np.testing.assert_array_equal(trees.nodes_individual[nodes], FOUNDERS + np.arange(2 * PEOPLE) // 2)
    np.testing.assert_array_equal(trees.nodes_population[nodes], np.repeat(pedigree.stratum[-1], 2))
    np.testing.assert_array_equal(trees.nodes_population[: 2 * FOUNDERS], np.repeat(pedigree.stratum[0], 2))
    outside = origins_by_genotypes(trees, np.array([POS[0] - 1, POS[-1] + 1]))
    assert (outside == -1).all()


def test_trees_simplify_to_some_people(tmp_path):
    mosaic = random_mosaic(11)
    _, _, trees = write(tmp_path, random_pedigree(), mosaic, MAP)
    chosen = np.array([3, 17, 18, 40])
    few, node_map = trees.simplify(trees.samples()[chosen], keep_unary=True, map_nodes=True)
    positions = np.arange(POS[0], POS[-1], 211)
    copied = founder_at(mosaic, site_fractions(MAP, positions))[:, chosen]
    np.testing.assert_array_equal(origins_by_genotypes(few, positions), node_map[copied])
    joint = trees.simplify(trees.samples()[chosen])
    for tree in joint.trees(sample_lists=True):
        inside = int(tree.interval.left)
        if POS[0] <= inside <= POS[-1]:
            origin = founder_at(mosaic, site_fractions(MAP, np.array([inside])))[0, chosen]
            for i in range(4):
                for j in range(i):
                    related = tree.mrca(i, j) != tskit.NULL
                    assert related == (origin[i] == origin[j])


def test_indices_are_those_of_tskit(tmp_path):
    _, _, trees = write(tmp_path, random_pedigree(), random_mosaic(11), MAP)
    tables = trees.dump_tables()
    ours = tables.indexes
    tables.drop_index()
    tables.build_index()
    for name in ("edge_insertion_order", "edge_removal_order"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(tables.indexes, name))


def sex_map(chrom: str) -> GeneticMap:
    length = get_build(BUILD).length[chrom]
    if chrom != "X":
        return GeneticMap(chrom, np.array([100, length]), np.zeros(2))
    (_, end), (begin, _) = get_build(BUILD).par
    return GeneticMap("X", np.array([20_000, end, begin, length - 20_000]), np.array([0.0, 60.0, 200.0, 260.0]))


@pytest.mark.parametrize("chrom", ["X", "Y", "MT"])
def test_everybody_has_the_haplotypes_that_they_have_copies_of(chrom, tmp_path):
    """A real mosaic; at positions in and around the PAR, against founder_at where there is a copy."""
    pedigree, genetic_map = random_pedigree(), sex_map(chrom)
    par = get_build(BUILD).par if chrom == "X" else ()
    mosaic = trace_mosaic(pedigree, make_recombination(genetic_map, chrom, par), chrom, 9, device="cpu")
    segments, _, trees = write(tmp_path, pedigree, mosaic, genetic_map, chrom)
    positions = np.linspace(genetic_map.pos[0], genetic_map.pos[-1], 50).astype(int)
    positions = np.unique([*positions, *[p + i for region in par for p in region for i in (-1, 0, 1)]])
    positions = positions[(positions >= genetic_map.pos[0]) & (positions <= genetic_map.pos[-1])]
    in_par = np.array([any(a <= p <= b for a, b in par) for p in positions])[:, None]
    male, father = np.repeat(pedigree.sex[-1] == 1, 2), np.arange(2 * PEOPLE) % 2 == 0
    copies = {"X": ~(male & father) | in_par, "Y": male & father, "MT": ~father}
    there = np.broadcast_to(copies[chrom], (len(positions), 2 * PEOPLE))
    expected = np.where(there, founder_at(mosaic, site_fractions(genetic_map, positions)), -1)
    present = there.any(axis=0)
    np.testing.assert_array_equal(origins_by_genotypes(trees, positions), expected[:, present])
    names = np.repeat(make_ids(PEOPLE), 2)
    found = np.full(expected.shape, -1)
    for row in segments.itertuples():
        column = np.flatnonzero(names == row.person)[row.haplotype]
        inside = (row.start_bp <= positions) & (positions < row.end_bp)
        found[inside, column] = 2 * row.founder + row.founder_haplotype
    np.testing.assert_array_equal(found, expected)
    if chrom != "X":
        assert len(segments) == present.sum()
    if chrom == "Y":
        assert set(pedigree.sex[0][segments["founder"]]) == {1}
