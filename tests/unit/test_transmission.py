"""Transmission: against the mosaic site by site, Mendel at every generation, bytes, X, and bad input."""

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pgenlib
import pytest

from pseudocohort.cohort.maps import GeneticMap
from pseudocohort.errors import InputError
from pseudocohort.genome import transmission as module
from pseudocohort.genome.mosaic import Mosaic, founder_at, trace_mosaic
from pseudocohort.genome.pedigree import Pedigree, make_ids, make_pedigree
from pseudocohort.genome.records import VBLOCK, Carriers, decode, encode, read_index
from pseudocohort.genome.transmission import carried_only, in_sites, is_rare, site_fractions, stretch_end, transmit
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


def spectrum(rng, people, sites, chrom="1"):
    """Alleles of every frequency, singletons, none and all, REF-minor sites, neighbours alike (so that pgenlib stores
    differences); on X every second person is male, a|a."""
    frequency = rng.choice([0, 1, 2, 0.002 * 2 * people, 0.01 * people, people / 50, people / 10, people], sites)
    alleles = (rng.random((sites, 2 * people)) < frequency[:, None] / (2 * people)).astype(np.int8)
    single = np.flatnonzero(rng.random(sites) < 0.2)
    alleles[single] = 0
    alleles[single, rng.integers(0, 2 * people, len(single))] = 1
    for i in np.flatnonzero(rng.random(sites) < 0.3)[1:]:
        alleles[i] = alleles[i - 1]
        alleles[i, rng.integers(0, 2 * people, people // 200)] ^= 1
    alleles[rng.random(sites) < 0.25] ^= 1
    if chrom == "X":
        alleles[:, 1::4] = alleles[:, 0::4]
    return alleles


def write(prefix, alleles, sites):
    people = alleles.shape[1] // 2
    with GenotypeWriter(prefix, make_ids(people), np.arange(people) % 2 + 1, len(sites)) as writer:
        writer.append(alleles, sites)


def write_carried(prefix, alleles, sites):
    """What transmission has to write: one PgenWriter, told of the number of sites that somebody carries."""
    carried = alleles.any(axis=1)
    write(prefix, alleles[carried], sites[carried])
    return carried


def triple(prefix):
    return [Path(f"{prefix}.{suffix}").read_bytes() for suffix in ("pgen", "pvar", "psam")]


def site_table(rng, sites, chrom="1"):
    pos = np.sort(rng.integers(1, 1_000_000, sites))
    return pd.DataFrame({"chrom": chrom, "pos": pos, "id": [f"s{i}" for i in range(sites)], "ref": "A", "alt": "C"})


def random_mosaic(rng, haplotypes, founders, copied):
    """Segments of any length from `copied` founder haplotypes: many copies of one, and many of none."""
    pieces = rng.integers(1, 12, haplotypes)
    start = [np.append(0, np.sort(rng.integers(1, 2**32, n - 1))) for n in pieces]
    founder = rng.choice(rng.choice(founders, copied), pieces.sum()).astype(np.int32)
    return Mosaic(np.append(0, np.cumsum(pieces)), np.concatenate(start).astype(np.uint32), founder)


LINE = GeneticMap("1", np.array([1, 1_000_000]), np.array([0.0, 100.0]))


@pytest.mark.parametrize(
    ("founders", "people", "sites", "blocks", "chrom", "kept", "copied"),
    [
        (1000, 1000, 400, (None, 1, 64), "1", 1.0, 700),
        (1000, 1000, 300, (None, 10), "1", 0.9, 3),
        (700, 1300, 300, (7, 300), "X", 1.0, 400),
        (3000, 65, 300, (50, 1), "1", 0.5, 1000),
        (130, 5000, 60, (None, 5), "1", 0.9, 60),
        (2000, 5000, 150, (9, None), "1", 0.9, 1200),
        (255, 256, 300, (100, 3), "1", 1.0, 2),
        (3, 64, 50, (None, 1), "1", 1.0, 3),
        (200, 1, 200, (None, 1, 9), "1", 1.0, 2),
        (1, 1, 9, (None, 1), "1", 1.0, 2),
    ],
)
def test_both_paths_give_the_bytes_of_one_pgenwriter(
    tmp_path, monkeypatch, founders, people, sites, blocks, chrom, kept, copied
):
    monkeypatch.setattr(module, "ALLELE_NS", 1e9)  # or few sites would not pay
    rng = np.random.default_rng([founders, people, sites])
    alleles, table = spectrum(rng, founders, sites, chrom), site_table(rng, sites, chrom)
    alleles[-1] = 1  # at least one site to write
    write(tmp_path / "real", alleles, table)
    rows = np.sort(rng.choice(founders, max(1, int(kept * founders)), replace=False))
    mosaic = random_mosaic(rng, 2 * people, 2 * len(rows), copied)
    columns = np.stack([2 * rows, 2 * rows + 1], axis=1).ravel()
    made = np.take_along_axis(alleles[:, columns], founder_at(mosaic, site_fractions(LINE, table["pos"])), axis=1)
    assert not write_carried(tmp_path / "wanted", made, table).all()
    args = (tmp_path / "real", rows, mosaic, LINE, tmp_path / "out", make_ids(people), np.arange(people) % 2 + 1)
    for index in (read_index, lambda path: None):  # sparse where that pays, dense everywhere
        monkeypatch.setattr(module, "read_index", index)
        for block in blocks:
            transmit(*args, block)
            assert triple(tmp_path / "out") == triple(tmp_path / "wanted")


def test_carriers_of_carried_sites_alone():
    """Of five sites one has no carrier of ALT, and at one everybody carries the minor allele, which is REF."""
    flipped = np.array([False, False, True, True, False])
    key = np.array([1, 3, 8, 9, 10, 11, 17, 18])
    kept, carriers = carried_only(Carriers(flipped, key), 4)
    np.testing.assert_array_equal(kept, [True, False, False, True, True])
    np.testing.assert_array_equal(carriers.flipped, [False, True, False])
    np.testing.assert_array_equal(carriers.key, [1, 3, 9, 10])


def test_nobody_carries_anything(tmp_path):
    rng = np.random.default_rng(3)
    write(tmp_path / "real", np.eye(3, 8, 2, dtype=np.int8), site_table(rng, 3))
    mosaic = Mosaic(np.arange(3), np.zeros(2, dtype=np.uint32), np.zeros(2, dtype=np.int32))
    with pytest.raises(ValueError, match="0 sites written"):
        transmit(tmp_path / "real", np.arange(4), mosaic, LINE, tmp_path / "out", make_ids(1), np.ones(1))
    assert not list(tmp_path.glob("*out*"))


def test_the_sparse_path_is_taken_where_few_carry(tmp_path):
    rng = np.random.default_rng(5)
    alleles = spectrum(rng, 1000, 400)
    write(tmp_path / "real", alleles, site_table(rng, 400))
    index = read_index(tmp_path / "real.pgen")
    rare = is_rare(index, 400, 1000, 20_000)
    number = np.minimum(
        (alleles[:, ::2] + alleles[:, 1::2] > 0).sum(1), (alleles[:, ::2] + alleles[:, 1::2] < 2).sum(1)
    )
    assert rare[number <= 12].all()
    assert not rare[number > 25].any()
    assert 0.3 < rare.mean() < 0.9
    assert not is_rare(None, 400, 1000, 20_000).any()
    assert not is_rare(index, 400, 1000, 200).any()  # so few that lists do not pay
    listed_bytes = np.append(0, np.cumsum(rng.integers(0, 10_000, 400)))
    assert stretch_end(0, listed_bytes, 10) == 10
    assert stretch_end(395, listed_bytes, 10) == 400
    end = stretch_end(3, listed_bytes, 400)
    assert listed_bytes[end] - listed_bytes[3] <= module.STRETCH_BYTES < listed_bytes[end + 1] - listed_bytes[3]
    assert stretch_end(0, 10**6 * np.arange(5), 4) == 1


def test_a_file_of_several_vblocks(tmp_path, monkeypatch):
    """Difference records may not reach over the end of a vblock of the sites written; its first is in full."""
    monkeypatch.setattr(module, "ALLELE_NS", 1e9)
    rng = np.random.default_rng(6)
    sites, people = 2 * VBLOCK, 65
    alleles = np.zeros((sites, 2 * people), dtype=np.int8)
    alleles[np.arange(sites), rng.integers(0, 2 * people, sites)] = 1
    alleles[::97] = spectrum(rng, people, len(alleles[::97]))
    table = site_table(rng, sites)
    mosaic = random_mosaic(rng, 2 * people, 2 * people, 500)
    copied = founder_at(mosaic, site_fractions(LINE, table["pos"]))
    carried = np.take_along_axis(alleles, copied, axis=1).any(axis=1)
    border = int(np.flatnonzero(carried)[VBLOCK])
    alleles[border - 9 : border + 9] = rng.integers(0, 2, 2 * people)
    alleles[border - 3 : border + 9 : 2] = 0
    write(tmp_path / "real", alleles, table)
    carried = write_carried(tmp_path / "wanted", np.take_along_axis(alleles, copied, axis=1), table)
    assert VBLOCK + 1000 < np.count_nonzero(carried) < sites - 1000
    args = (tmp_path / "real", np.arange(people), mosaic, LINE, tmp_path / "out", make_ids(people))
    for block in (None, 5000):
        transmit(*args, np.arange(people) % 2 + 1, block)
        assert triple(tmp_path / "out") == triple(tmp_path / "wanted")


@pytest.mark.parametrize("people", [64, 255, 256, 65_535, 3_000_000])
def test_list_records_come_back(people):
    """Long gaps take varints of up to four bytes, more than 64 entries several groups."""
    rng = np.random.default_rng(people)
    flipped = rng.random(40) < 0.3
    number = rng.choice([0, 1, 2, 63, 64, 65, 129, 500], 40)
    keys = [np.sort(rng.choice(2 * people, min(n, people // 2), replace=False)) for n in number]
    both = [np.union1d(k, k[::3] ^ 1) + 2 * people * i for i, k in enumerate(keys)]
    carriers = Carriers(flipped, np.concatenate(both).astype(np.int64))
    records = encode(carriers, people)
    site, person, which = decode(records.data, records.bounds[:-1], records.bounds[1:], records.kind, people, str)
    np.testing.assert_array_equal((site * people + person) * 2 + which, carriers.key)


def test_unphased_and_missing_founders_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ALLELE_NS", 1e9)
    rng = np.random.default_rng(8)
    write(tmp_path / "real", spectrum(rng, 1000, 20), site_table(rng, 20))
    mosaic = random_mosaic(rng, 80, 2000, 700)
    args = (np.arange(1000), mosaic, LINE, tmp_path / "out", make_ids(40), np.arange(40) % 2 + 1)
    for phased, odd in ((False, 0), (True, -9)):
        writer = pgenlib.PgenWriter(
            str(tmp_path / "real.pgen").encode(), 1000, 20, nonref_flags=False, hardcall_phase_present=True
        )
        rows = np.zeros((20, 2000), dtype=np.int32)
        rows[7, 4] = 1
        rows[7, 10:12] = odd
        writer.append_alleles_batch(rows, all_phased=phased)
        writer.close()
        with pytest.raises(InputError, match="site s7 are missing or not phased"):
            transmit(tmp_path / "real", *args)
        assert not list(tmp_path.glob("*out*"))
