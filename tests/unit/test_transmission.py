"""Transmission: against the mosaic site by site, Mendel at every generation, bytes, X, Y, memory, and bad input."""

import logging
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pgenlib
import pytest

from pseudocohort.cohort.maps import GeneticMap
from pseudocohort.errors import InputError
from pseudocohort.genome import dense, sparse, tiles
from pseudocohort.genome import transmission as module
from pseudocohort.genome.mosaic import Mosaic, founder_at, save_mosaic, trace_mosaic
from pseudocohort.genome.pedigree import Founders, Pedigree, make_ids, make_pedigree
from pseudocohort.genome.recombination import make_recombination, site_fractions
from pseudocohort.genome.transmission import absent_people, is_rare, transmit
from pseudocohort.genotypes import Genotypes, GenotypeWriter
from pseudocohort.pgen.header import VBLOCK, read_index

SITES = 700
MAP = GeneticMap("22", np.array([900, 300_000, 310_000, 2_000_000]), np.array([1.0, 20.0, 95.0, 151.0]))
LINE = GeneticMap("1", np.array([1, 1_000_000]), np.array([0.0, 100.0]))
FORCED = (module.RARE, -1e9, 1e9)  # shares of people in a list: both paths, all dense, all lists sparse


def founders_file(prefix, people=50, chrom="22", seed=1):
    """Founders with sites from absent to fixed, two at one position, crowded in the map's hotspot."""
    rng = np.random.default_rng(seed)
    sex = np.arange(people) % 2 + 1
    frequency = rng.choice([0.0, 0.01, 0.03, 0.2, 0.5, 0.98, 1.0], SITES)
    alleles = (rng.random((SITES, 2 * people)) < frequency[:, None]).astype(np.int8)
    if chrom == "X":
        males = np.flatnonzero(sex == 1)
        alleles[:, 2 * males + 1] = alleles[:, 2 * males]
    if chrom == "Y":
        alleles[:, 1::2] = alleles[:, ::2]
    pos = np.sort(np.concatenate([rng.integers(300_000, 310_000, 300), rng.integers(900, 2_000_000, SITES - 300)]))
    pos[11] = pos[10]
    sites = pd.DataFrame({"chrom": chrom, "pos": pos, "id": [f"s{i}" for i in range(SITES)], "ref": "A", "alt": "GT"})
    absent = sex == 2 if chrom == "Y" else np.zeros(people, dtype=bool)
    with GenotypeWriter(prefix, np.array([f"p{i}" for i in range(people)]), sex, SITES, absent) as writer:
        writer.append(alleles[:, np.repeat(~absent, 2)], sites)
    alleles[:, np.repeat(absent, 2)] = -9
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
    unknown = np.full(len(sex), -1)
    founders = Founders(np.arange(len(sex)), np.int8(sex), np.zeros(len(sex), np.int16), ("all",), unknown, unknown)
    return make_pedigree(founders, people, generations, mating, seed=9)


def mosaic_of(pedigree, chrom="22"):
    return trace_mosaic(pedigree, make_recombination(MAP, chrom), chrom, 4, device="cpu")


def validate(prefix):
    command = ["plink2", "--pfile", prefix, "--validate", "--out", f"{prefix}.validated"]
    subprocess.run(command, check=True, capture_output=True)


def triple(prefix):
    return [Path(f"{prefix}.{suffix}").read_bytes() for suffix in ("pgen", "pvar", "psam")]


def test_every_allele_is_the_founders_at_the_mosaic(real, tmp_path):
    prefix, alleles, sex, sites = real
    rows = np.setdiff1d(np.arange(50), [0, 7, 31, 32, 49])
    pedigree = pedigree_of(sex[rows])
    mosaic = mosaic_of(pedigree)
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


@pytest.mark.parametrize("mating", ["random", "balanced"])
def test_no_mendelian_error_at_any_transmission(real, tmp_path, mating):
    """The pedigree cut off after g generations gives generation g, for the gametes' draws do not depend on what
    follows; every child's paternal allele is one of the father's, the maternal one of the mother's."""
    prefix, alleles, sex, sites = real
    whole = pedigree_of(sex, 30, 4, mating)
    before = alleles
    for g in range(1, 5):
        cut = Pedigree(whole.father[:g], whole.mother[:g], whole.sex[: g + 1], whole.stratum[: g + 1], whole.strata)
        transmit(prefix, np.arange(50), mosaic_of(cut), MAP, tmp_path / "g", make_ids(cut.people), cut.sex[-1])
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
    transmit(
        tmp_path / "chrX",
        np.arange(50),
        mosaic_of(pedigree, "X"),
        MAP,
        tmp_path / "out",
        make_ids(30),
        pedigree.sex[-1],
    )
    made = read_everywhere(tmp_path / "out", sites)
    male = pedigree.sex[-1] == 1
    np.testing.assert_array_equal(made[:, 0::2][:, male], made[:, 1::2][:, male])
    np.testing.assert_array_equal(made[:, 0::2][:, ~male], alleles[:, 2 * pedigree.father[0][~male]])
    mother = pedigree.mother[0]
    assert ((made[:, 1::2] == alleles[:, 2 * mother]) | (made[:, 1::2] == alleles[:, 2 * mother + 1])).all()


@pytest.mark.parametrize("xp", [np, jnp])
def test_y_by_sex(tmp_path, monkeypatch, xp):
    """Males have their fathers' fathers' Y, females none, and only founders are transmitted, not the holdout."""
    monkeypatch.setattr(module, "array_module", lambda device: xp)
    alleles, sex, sites = founders_file(tmp_path / "chrY", chrom="Y")
    rows = np.setdiff1d(np.arange(50), [2, 3, 30])
    pedigree = pedigree_of(sex[rows], 37, 3)
    args = (tmp_path / "chrY", rows, mosaic_of(pedigree, "Y"), MAP, tmp_path / "out", make_ids(37))
    transmit(*args, pedigree.sex[-1])
    made, kept, _ = read(tmp_path / "out")
    line = np.arange(37)
    for father in pedigree.father[::-1]:
        line = father[line]
    male = np.repeat(pedigree.sex[-1] == 1, 2)
    expected = np.where(male, np.repeat(alleles[:, 2 * rows[line]], 2, axis=1), -9)
    carried = (expected > 0).any(axis=1)
    assert 0.2 < carried.mean() < 0.9
    np.testing.assert_array_equal(made, expected[carried])
    assert list(kept["id"]) == list(sites["id"][carried])
    validate(tmp_path / "out")


def test_who_is_absent():
    offset, start = np.arange(7), np.zeros(6, dtype=np.uint32)
    assert absent_people(Mosaic(offset, start, np.arange(6))) is None
    absent = absent_people(Mosaic(offset, start, np.array([4, 4, -1, -1, 0, 1])))
    np.testing.assert_array_equal(absent, [False, True, False])
    with pytest.raises(ValueError, match="people as a whole"):
        absent_people(Mosaic(offset, start, np.array([4, 4, -1, 3, 0, 1])))
    with pytest.raises(ValueError, match="people as a whole"):
        absent_people(Mosaic(np.array([0, 1, 3]), np.array([0, 0, 9], dtype=np.uint32), np.array([-1, -1, 3])))


def test_an_error_in_the_middle_leaves_nothing(real, tmp_path, monkeypatch):
    prefix, _, sex, _ = real
    pedigree = pedigree_of(sex)
    mosaic = mosaic_of(pedigree)
    original = module.interleave
    for error in (RuntimeError, KeyboardInterrupt):
        calls = []

        def failing(*args, calls=calls, error=error):
            calls.append(args)
            if len(calls) == 3:
                raise error("interrupted")
            return original(*args)

        monkeypatch.setattr(module, "interleave", failing)
        with pytest.raises(error, match="interrupted"):
            transmit(prefix, np.arange(50), mosaic, MAP, tmp_path / "out", make_ids(40), pedigree.sex[-1], 32)
        assert list(tmp_path.iterdir()) == []


def test_progress_is_told_in_tenths(real, tmp_path, caplog):
    prefix, _, sex, _ = real
    pedigree = pedigree_of(sex)
    with caplog.at_level(logging.INFO, "pseudocohort"):
        transmit(prefix, np.arange(50), mosaic_of(pedigree), MAP, tmp_path / "out", make_ids(40), pedigree.sex[-1], 32)
    lines = [record.getMessage() for record in caplog.records if "transmitted" in record.getMessage()]
    assert 5 <= len(lines) <= 10
    assert lines[-1] == "out: 700 of 700 sites transmitted (100 %), about 0 s left"


def test_bad_input(real, tmp_path):
    prefix, _, sex, _ = real
    pedigree = pedigree_of(sex)
    mosaic = mosaic_of(pedigree)
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
    (tmp_path / "bad.pvar").write_text("\n".join([header, *lines[1:]]) + "\n")
    with pytest.raises(InputError, match=r"bad.pgen holds 700 sites and its .pvar 699"):
        transmit(tmp_path / "bad", np.arange(50), mosaic, *args)
    assert not list(tmp_path.glob("*out*"))


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


def site_table(rng, sites, chrom="1"):
    pos = np.sort(rng.integers(1, 1_000_000, sites))
    return pd.DataFrame({"chrom": chrom, "pos": pos, "id": [f"s{i}" for i in range(sites)], "ref": "A", "alt": "C"})


def random_mosaic(rng, haplotypes, founders, copied):
    """Segments of any length from `copied` founder haplotypes: many copies of one, and many of none."""
    pieces = rng.integers(1, 12, haplotypes)
    start = [np.append(0, np.sort(rng.integers(1, 2**32, n - 1))) for n in pieces]
    founder = rng.choice(rng.choice(founders, copied), pieces.sum()).astype(np.int32)
    return Mosaic(np.append(0, np.cumsum(pieces)), np.concatenate(start).astype(np.uint32), founder)


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
        (200, 1, 200, (None, 1, 90), "1", 1.0, 2),
        (1, 1, 9, (None, 1), "1", 1.0, 2),
    ],
)
def test_all_paths_blocks_and_devices_give_the_same_bytes(
    tmp_path, monkeypatch, founders, people, sites, blocks, chrom, kept, copied
):
    """And these hold the alleles that the mosaic says."""
    rng = np.random.default_rng([founders, people, sites])
    alleles, table = spectrum(rng, founders, sites, chrom), site_table(rng, sites, chrom)
    alleles[-1] = 1  # at least one site to write
    write(tmp_path / "real", alleles, table)
    rows = np.sort(rng.choice(founders, max(1, int(kept * founders)), replace=False))
    mosaic = random_mosaic(rng, 2 * people, 2 * len(rows), copied)
    columns = np.stack([2 * rows, 2 * rows + 1], axis=1).ravel()
    wanted = np.take_along_axis(alleles[:, columns], founder_at(mosaic, site_fractions(LINE, table["pos"])), axis=1)
    carried = wanted.any(axis=1)
    assert not carried.all()
    args = (tmp_path / "real", rows, mosaic, LINE, tmp_path / "out", make_ids(people), np.arange(people) % 2 + 1)
    seen = set()
    for rare in FORCED:
        monkeypatch.setattr(module, "RARE", rare)
        for xp in (np, jnp):
            monkeypatch.setattr(module, "array_module", lambda device, xp=xp: xp)
            for block in blocks if xp is np else blocks[:1]:
                transmit(*args, block)
                seen.add(tuple(triple(tmp_path / "out")))
    made, made_sites, _ = read(tmp_path / "out")
    np.testing.assert_array_equal(made, wanted[carried])
    assert list(made_sites["id"]) == list(table["id"][carried])
    assert len(seen) == 1
    validate(tmp_path / "out")


def test_bytes_do_not_depend_on_the_sizes_of_buffers(real, tmp_path, monkeypatch):
    prefix, _, sex, _ = real
    pedigree = pedigree_of(sex)
    mosaic = mosaic_of(pedigree)
    monkeypatch.setattr(module, "RARE", 0.2)
    seen = set()
    for words, few, size, most in ((1, 1, 1, 64), (2**12, 2**9, 2**8, 3), (2**16, 2**16, 2**17, 64)):
        monkeypatch.setattr(dense, "BLOCK_WORDS", {"numpy": words})
        monkeypatch.setattr(sparse, "BLOCK_WORDS", few)
        monkeypatch.setattr(sparse, "BLOCK_BYTES", size)
        monkeypatch.setattr(sparse, "BLOCK_TILES", most)
        monkeypatch.setattr(tiles, "CHUNK", words)
        transmit(prefix, np.arange(50), mosaic, MAP, tmp_path / "out", make_ids(40), pedigree.sex[-1])
        seen.add(tuple(triple(tmp_path / "out")))
    assert len(seen) == 1


@pytest.mark.parametrize("rare", [-1e9, 1e9])
def test_nobody_carries_anything(tmp_path, monkeypatch, rare):
    monkeypatch.setattr(module, "RARE", rare)
    rng = np.random.default_rng(3)
    write(tmp_path / "real", np.eye(3, 8, 2, dtype=np.int8), site_table(rng, 3))
    mosaic = Mosaic(np.arange(3), np.zeros(2, dtype=np.uint32), np.zeros(2, dtype=np.int32))
    text = r"no pseudo person carries an ALT of any of the 3 sites\n +where: +out\n.*\n.*`chromosomes`, or ask for more"
    with pytest.raises(InputError, match=text):
        transmit(tmp_path / "real", np.arange(4), mosaic, LINE, tmp_path / "out", make_ids(1), np.ones(1))
    assert not list(tmp_path.glob("*out*"))


def test_the_sparse_path_is_taken_where_few_carry(tmp_path):
    rng = np.random.default_rng(5)
    alleles = spectrum(rng, 1000, 400)
    write(tmp_path / "real", alleles, site_table(rng, 400))
    index = read_index(tmp_path / "real.pgen")
    rare, lists = is_rare(index, 1000), np.isin(index.kind, module.LISTS)
    number = np.minimum(
        (alleles[:, ::2] + alleles[:, 1::2] > 0).sum(1), (alleles[:, ::2] + alleles[:, 1::2] < 2).sum(1)
    )
    assert rare[lists & (number <= 25)].all()
    assert not rare[~lists].any()
    assert not rare[number > 50].any()
    assert 0.3 < rare.mean() < 0.9


def test_a_file_of_several_vblocks(tmp_path):
    rng = np.random.default_rng(6)
    sites, people = 2 * VBLOCK, 65
    alleles = np.zeros((sites, 2 * people), dtype=np.int8)
    alleles[np.arange(sites), rng.integers(0, 2 * people, sites)] = 1
    alleles[::97] = spectrum(rng, people, len(alleles[::97]))
    table = site_table(rng, sites)
    mosaic = random_mosaic(rng, 2 * people, 2 * people, 500)
    write(tmp_path / "real", alleles, table)
    wanted = np.take_along_axis(alleles, founder_at(mosaic, site_fractions(LINE, table["pos"])), axis=1)
    carried = wanted.any(axis=1)
    assert VBLOCK + 1000 < np.count_nonzero(carried) < sites - 1000
    args = (tmp_path / "real", np.arange(people), mosaic, LINE, tmp_path / "out", make_ids(people))
    seen = set()
    for block in (None, 5000):
        transmit(*args, np.arange(people) % 2 + 1, block)
        seen.add(tuple(triple(tmp_path / "out")))
    assert len(seen) == 1
    made, made_sites, _ = read(tmp_path / "out")
    np.testing.assert_array_equal(made, wanted[carried])
    assert list(made_sites["id"]) == list(table["id"][carried])
    validate(tmp_path / "out")


def test_unphased_and_missing_founders_are_refused(tmp_path, monkeypatch):
    """On both paths; but not of people of the file who are no founders."""
    rng = np.random.default_rng(8)
    write(tmp_path / "real", spectrum(rng, 1000, 20), site_table(rng, 20))
    mosaic = random_mosaic(rng, 80, 1998, 700)
    for rare in (-1e9, 1e9):
        monkeypatch.setattr(module, "RARE", rare)
        for person in (int(mosaic.founder[0]) // 2, 999):
            writer = pgenlib.PgenWriter(
                str(tmp_path / "real.pgen").encode(), 1000, 20, nonref_flags=False, hardcall_phase_present=True
            )
            rows = np.zeros((20, 2000), dtype=np.int32)
            rows[7, [1, 77]] = 1
            rows[3] = 1
            rows[7, 2 * person : 2 * person + 2] = -9
            writer.append_alleles_batch(rows, all_phased=True)
            writer.close()
            args = (np.arange(999), mosaic, LINE, tmp_path / "out", make_ids(40), np.arange(40) % 2 + 1)
            if person < 999:
                with pytest.raises(InputError, match="site s7 are missing or not phased"):
                    transmit(tmp_path / "real", *args)
                assert not list(tmp_path.glob("*out*"))
            else:
                transmit(tmp_path / "real", *args)
            for one in tmp_path.glob("out*"):
                one.unlink()


PEAK = """
import sys
import numpy as np
from pseudocohort.cohort.maps import GeneticMap
from pseudocohort.genome.mosaic import load_mosaic
from pseudocohort.genome.transmission import transmit

prefix, mosaic, people = sys.argv[1], load_mosaic(sys.argv[2]), int(sys.argv[3])
line = GeneticMap("1", np.array([1, 1_000_000]), np.array([0.0, 100.0]))
ids = np.array([f"p{i}" for i in range(people)])
transmit(prefix, np.arange(people), mosaic, line, prefix + "-out", ids, np.ones(people), device="cpu")
# getrusage would tell the parent's peak where that is greater
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def test_memory_does_not_grow_with_sites(tmp_path):
    """Peak of a process of its own: 40,000 more sites of 600 people, 48 MB as bytes, cost less than 8 MiB."""
    rng = np.random.default_rng(2)
    people, peaks = 600, []
    save_mosaic(tmp_path / "mosaic.npz", random_mosaic(rng, 2 * people, 2 * people, 900))
    for sites in (20_000, 60_000):
        alleles = np.concatenate([spectrum(rng, people, 1_000)] * (sites // 1_000))
        write(tmp_path / f"real{sites}", alleles, site_table(rng, sites))
        command = [sys.executable, "-c", PEAK, tmp_path / f"real{sites}", tmp_path / "mosaic.npz", str(people)]
        environment = {"PYTHONPATH": str(Path(module.__file__).parents[2]), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] - peaks[0] < 8
