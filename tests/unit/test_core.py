"""Counter-based bits, atomic files and the .pgen reader and writer."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pseudocohort import counter
from pseudocohort.files import atomic, atomic_directory
from pseudocohort.genotypes import Genotypes, GenotypeWriter


def test_bits_are_threefry_in_numpy_and_in_jax():
    import jax.numpy as jnp
    from jax.extend.random import threefry_2x32

    stream = counter.key(7, "meiosis", "chr22", 3)
    first, second = np.arange(1000, dtype=np.uint32), np.arange(1000, dtype=np.uint32)[::-1] * np.uint32(77)
    x0, x1 = counter.bits(stream, first, second)
    oracle = np.asarray(threefry_2x32(jnp.array(stream, dtype=jnp.uint32), jnp.concatenate([first, second])))
    np.testing.assert_array_equal(np.concatenate([x0, x1]), oracle)
    for mine, theirs in zip((x0, x1), counter.bits(stream, first, second, xp=jnp), strict=True):
        np.testing.assert_array_equal(mine, np.asarray(theirs))


def test_streams_differ_by_every_part_of_the_key():
    keys = {counter.key(*k) for k in [(1, "a"), (2, "a"), (1, "b"), (1, "a", 1), (1, "a", 2), (1, "a", 1, 2)]}
    assert len(keys) == 6


def test_order_is_a_permutation_and_uniform():
    orders = np.array([counter.order(counter.key(s, "order"), 5) for s in range(4000)])
    assert (np.sort(orders, axis=1) == np.arange(5)).all()
    counts = np.array([np.bincount(orders[:, j], minlength=5) for j in range(5)])
    assert np.abs(counts - 800).max() < 5 * np.sqrt(800)  # 25 cells, false alarm about 1e-5


def test_atomic_leaves_nothing_behind_on_error(tmp_path):
    (tmp_path / "a.txt").write_text("old")

    def half_a_file():
        with atomic(tmp_path / "a.txt") as part:
            part.write_text("half")
            raise RuntimeError

    def half_a_directory():
        with atomic_directory(tmp_path / "d") as part:
            (part / "x").write_text("half")
            raise RuntimeError

    for half in (half_a_file, half_a_directory):
        with pytest.raises(RuntimeError):
            half()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


KILLED = """
import os, sys
from pseudocohort.files import atomic, atomic_directory
with atomic(sys.argv[1]) as file, atomic_directory(sys.argv[2]) as folder:
    file.write_text("half")
    (folder / "x").write_text("half")
    os._exit(9)
"""


def test_what_a_killed_process_left_is_removed_and_secrets_are_never_open(tmp_path):
    file, folder, other = tmp_path / "a.txt", tmp_path / "d", tmp_path / ".partial-1-b-a.txt"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", KILLED, file, folder], env=environment)
    assert done.returncode == 9
    other.write_text("of another file, at work")
    assert len(list(tmp_path.iterdir())) == 3
    with atomic(file, mode=0o600) as part:
        assert part.stat().st_mode & 0o777 == 0o600
        part.write_text("whole")
    with atomic_directory(folder) as part:
        (part / "x").write_text("whole")
    assert set(tmp_path.iterdir()) == {file, folder, other}


@pytest.fixture
def triple(tmp_path):
    rng = np.random.default_rng(1)
    alleles = (rng.random((50, 40)) < 0.3).astype(np.int8)
    sites = pd.DataFrame(
        {"chrom": "22", "pos": np.arange(50) * 10 + 5, "id": [f"s{i}" for i in range(50)], "ref": "A", "alt": "G"}
    )
    person, sex = np.array([f"p{i}" for i in range(20)]), np.array([1, 2] * 10)
    with GenotypeWriter(tmp_path / "x", person, sex, 50) as writer:
        writer.append(alleles[:30], sites[:30])
        writer.append(alleles[30:], sites[30:])
    return tmp_path / "x", alleles


def test_genotypes_come_back_phased(triple):
    prefix, alleles = triple
    with Genotypes(prefix) as genotypes:
        np.testing.assert_array_equal(genotypes.haplotypes(0, 50), alleles)
        np.testing.assert_array_equal(genotypes.dosages(10, 20), alleles[10:20, ::2] + alleles[10:20, 1::2])
        assert list(genotypes.blocks(20)) == [(0, 20), (20, 40), (40, 50)]
        assert genotypes.people["sex"].tolist() == [1, 2] * 10
    with Genotypes(prefix, people=np.array([5, 3])) as subset:
        np.testing.assert_array_equal(subset.haplotypes(0, 50), alleles[:, [6, 7, 10, 11]])


def test_plink2_reads_what_is_written(triple):
    prefix, alleles = triple
    subprocess.run(
        ["plink2", "--pfile", prefix, "--validate", "--freq", "--out", prefix], check=True, capture_output=True
    )
    freq = pd.read_csv(f"{prefix}.afreq", sep="\t")["ALT_FREQS"]
    np.testing.assert_allclose(freq, alleles.mean(axis=1), atol=1e-6)


def test_a_failed_writer_leaves_no_file(tmp_path):
    def stop_early():
        with GenotypeWriter(tmp_path / "y", np.array(["a"]), np.array([1]), 5):
            pass

    with pytest.raises(ValueError, match="0 sites written, 5 announced"):
        stop_early()
    assert list(tmp_path.iterdir()) == []


def test_normals_are_normal_and_numbered():
    stream = counter.key(5, "normals")
    draws = counter.normals(stream, np.arange(300)[:, None], np.arange(100))
    assert stats.kstest(draws.ravel(), "norm").pvalue > 0.01
    assert abs(np.corrcoef(draws[:, :2].T)[0, 1]) < 0.2
    assert counter.normals(stream, np.array([17]), 4) == draws[17, 4]
