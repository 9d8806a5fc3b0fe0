"""Transmission: against the mosaic site by site, Mendel at every generation, bytes, X, and bad input."""

import subprocess

import numpy as np
import pandas as pd
import pytest

from pseudocohort.cohort.maps import GeneticMap
from pseudocohort.errors import InputError
from pseudocohort.genome import transmission as module
from pseudocohort.genome.mosaic import founder_at, trace_mosaic
from pseudocohort.genome.pedigree import Pedigree, make_ids, make_pedigree
from pseudocohort.genome.transmission import in_sites, site_fractions, transmit
from pseudocohort.genotypes import Genotypes, GenotypeWriter

SITES = 700
MAP = GeneticMap("22", np.array([900, 300_000, 310_000, 2_000_000]), np.array([1.0, 20.0, 95.0, 151.0]))


def founders_file(prefix, people=50, chrom="22", seed=1):
    """Founders with sites from absent to fixed, two at one position, crowded in the map's hotspot."""
    rng = np.random.default_rng(seed)
    sex = np.arange(people) % 2 + 1
    frequency = rng.choice([0.0, 0.01, 0.03, 0.2, 0.5, 0.98, 1.0], SITES)
    alleles = (rng.random((SITES, 2 * people)) < frequency[:, None]).astype(np.int8)
    if chrom == "X":
        males = np.flatnonzero(sex == 1)
        alleles[:, 2 * males + 1] = alleles[:, 2 * males]
    pos = np.sort(np.concatenate([rng.integers(300_000, 310_000, 300), rng.integers(900, 2_000_000, SITES - 300)]))
    pos[11] = pos[10]
    sites = pd.DataFrame({"chrom": chrom, "pos": pos, "id": [f"s{i}" for i in range(SITES)], "ref": "A", "alt": "GT"})
    with GenotypeWriter(prefix, np.array([f"p{i}" for i in range(people)]), sex, SITES) as writer:
        writer.append(alleles, sites)
    return alleles, sex, sites


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("real") / "chr22"
    return prefix, *founders_file(prefix)


def read(prefix):
    with Genotypes(prefix) as file:
        return file.haplotypes(0, file.n_sites), file.sites, file.people


def read_everywhere(prefix, sites):
    """Alleles at all sites: those left out of the file are carried by nobody."""
    made, kept, people = read(prefix)
    everywhere = np.zeros((len(sites), 2 * len(people)), dtype=np.int8)
    everywhere[sites["id"].isin(kept["id"]).to_numpy()] = made
    return everywhere


def pedigree_of(sex, people=40, generations=5, mating="balanced"):
    return make_pedigree(sex, np.zeros(len(sex)), ("all",), people, generations, mating, seed=9)


def test_every_allele_is_the_founders_at_the_mosaic(real, tmp_path):
    prefix, alleles, sex, sites = real
    rows = np.setdiff1d(np.arange(50), [0, 7, 31, 32, 49])
    pedigree = pedigree_of(sex[rows])
    mosaic = trace_mosaic(pedigree, MAP.length_cm / 100, "22", 4, device="cpu")
    ids = make_ids(40)
    transmit(prefix, rows, mosaic, MAP, tmp_path / "out" / "chr22", ids, pedigree.sex[-1])
    made, made_sites, people = read(tmp_path / "out" / "chr22")
    columns = np.stack([2 * rows, 2 * rows + 1], axis=1).ravel()
    copied = founder_at(mosaic, site_fractions(MAP, sites["pos"]))
    expected = np.take_along_axis(alleles[:, columns], copied, axis=1)
    carried = expected.any(axis=1)
    np.testing.assert_array_equal(made, expected[carried])
    pd.testing.assert_frame_equal(made_sites, sites[carried].reset_index(drop=True), check_dtype=False)
    assert list(people["person"]) == list(ids)
    np.testing.assert_array_equal(people["sex"], pedigree.sex[-1])
    # The list of sites tells neither of founders' alleles lost by drift nor of what only other people carry.
    assert (~carried & alleles[:, columns].any(axis=1)).any()
    assert (~carried & ~alleles[:, columns].any(axis=1) & alleles.any(axis=1)).any()
    assert (np.diff(mosaic.offset) > 3).mean() > 0.9


def test_bytes_do_not_depend_on_blocks_or_tiles(real, tmp_path, monkeypatch):
    prefix, _, sex, _ = real
    pedigree = pedigree_of(sex)
    mosaic = trace_mosaic(pedigree, MAP.length_cm / 100, "22", 4, device="cpu")
    ids, seen = make_ids(40), set()
    for block, tile in ((None, 2**17), (1, 2**17), (13, 80 * 5), (699, 1), (10_000, 80 * 50)):
        monkeypatch.setattr(module, "TILE", tile)
        transmit(prefix, np.arange(50), mosaic, MAP, tmp_path / "out", ids, pedigree.sex[-1], block)
        seen.add(tuple((tmp_path / f"out.{suffix}").read_bytes() for suffix in ("pgen", "pvar", "psam")))
    assert len(seen) == 1
    subprocess.run(
        ["plink2", "--pfile", tmp_path / "out", "--validate", "--out", tmp_path / "v"], check=True, capture_output=True
    )


@pytest.mark.parametrize("mating", ["random", "balanced"])
def test_no_mendelian_error_at_any_transmission(real, tmp_path, mating):
    """The pedigree cut off after g generations gives generation g, for the gametes' draws do not depend on what
    follows; every child's paternal allele is one of the father's, the maternal one of the mother's."""
    prefix, alleles, sex, sites = real
    whole = pedigree_of(sex, 30, 4, mating)
    before = alleles
    for g in range(1, 5):
        cut = Pedigree(whole.father[:g], whole.mother[:g], whole.sex[: g + 1], whole.stratum[: g + 1], whole.strata)
        mosaic = trace_mosaic(cut, MAP.length_cm / 100, "22", 4, device="cpu")
        transmit(prefix, np.arange(50), mosaic, MAP, tmp_path / "g", make_ids(cut.people), cut.sex[-1])
        now = read_everywhere(tmp_path / "g", sites)
        for which, parent in enumerate((cut.father[-1], cut.mother[-1])):
            child = now[:, which::2]
            first, second = before[:, 2 * parent], before[:, 2 * parent + 1]
            assert ((child == first) | (child == second)).all()
            assert (child != first).any()
            assert (child != second).any()
        before = now


def test_x_by_sex(tmp_path):
    alleles, sex, sites = founders_file(tmp_path / "chrX", chrom="X")
    pedigree = pedigree_of(sex, 30, 1)
    mosaic = trace_mosaic(pedigree, MAP.length_cm / 100, "X", 4, "X", "cpu")
    transmit(tmp_path / "chrX", np.arange(50), mosaic, MAP, tmp_path / "out", make_ids(30), pedigree.sex[-1])
    made = read_everywhere(tmp_path / "out", sites)
    male = pedigree.sex[-1] == 1
    np.testing.assert_array_equal(made[:, 0::2][:, male], made[:, 1::2][:, male])
    np.testing.assert_array_equal(made[:, 0::2][:, ~male], alleles[:, 2 * pedigree.father[0][~male]])
    mother = pedigree.mother[0]
    assert ((made[:, 1::2] == alleles[:, 2 * mother]) | (made[:, 1::2] == alleles[:, 2 * mother + 1])).all()


def test_site_fractions_cover_the_maps_extent():
    x = site_fractions(MAP, np.array([1, 900, 305_000, 2_000_000, 3_000_000]))
    np.testing.assert_array_equal(x, [0, 0, round((57.5 - 1) / 150 * 2**32), 2**32 - 1, 2**32 - 1])
    flat = GeneticMap("22", np.array([1, 100]), np.array([3.0, 3.0]))
    np.testing.assert_array_equal(site_fractions(flat, np.array([5, 50])), [0, 0])


def test_segments_in_sites(real):
    _, _, sex, sites = real
    mosaic = trace_mosaic(pedigree_of(sex), 1.5, "22", 4, device="cpu")
    x = site_fractions(MAP, sites["pos"])
    changes = in_sites(mosaic, x)
    rebuilt = np.tile(changes.first, (len(x), 1))
    for site, end, haplotype, founder in zip(*changes[1:], strict=True):
        rebuilt[site:end, haplotype] = founder
    np.testing.assert_array_equal(rebuilt, founder_at(mosaic, x))
    assert (np.diff(changes.site) >= 0).all()


def test_an_error_in_the_middle_leaves_nothing(real, tmp_path, monkeypatch):
    prefix, _, sex, _ = real
    pedigree = pedigree_of(sex)
    mosaic = trace_mosaic(pedigree, 1.5, "22", 4, device="cpu")
    calls = []

    def failing(*args):
        calls.append(args)
        if len(calls) == 3:
            raise RuntimeError("interrupted")
        return original(*args)

    original = module.gather
    monkeypatch.setattr(module, "gather", failing)
    with pytest.raises(RuntimeError, match="interrupted"):
        transmit(prefix, np.arange(50), mosaic, MAP, tmp_path / "out", make_ids(40), pedigree.sex[-1], 100)
    assert list(tmp_path.iterdir()) == []


def test_bad_input(real, tmp_path):
    prefix, _, sex, _ = real
    pedigree = pedigree_of(sex)
    mosaic = trace_mosaic(pedigree, 1.5, "22", 4, device="cpu")
    args = (MAP, tmp_path / "out", make_ids(40), pedigree.sex[-1])
    with pytest.raises(ValueError, match="must ascend and cover every founder"):
        transmit(prefix, np.arange(50)[::-1], mosaic, *args)
    with pytest.raises(ValueError, match="must ascend and cover every founder"):
        transmit(prefix, np.arange(20), mosaic, *args)
    with pytest.raises(ValueError, match="mosaic of 80 haplotypes, 39 ids"):
        transmit(prefix, np.arange(50), mosaic, MAP, tmp_path / "out", make_ids(39), pedigree.sex[-1])
    for suffix in ("pgen", "psam"):
        (tmp_path / f"bad.{suffix}").write_bytes(prefix.with_suffix(f".{suffix}").read_bytes())
    header, *lines = prefix.with_suffix(".pvar").read_text().splitlines()
    (tmp_path / "bad.pvar").write_text("\n".join([header, *lines[::-1]]) + "\n")
    with pytest.raises(InputError, match="not sorted by position"):
        transmit(tmp_path / "bad", np.arange(50), mosaic, *args)
