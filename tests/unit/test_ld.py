"""LD scores and pruning against brute force, plink1.9 and plink2."""

import subprocess

import numpy as np
import pandas as pd
import pytest

from ld_cohort import linked_haplotypes, write_chromosome
from pseudocohort.cohort.maps import GeneticMap
from pseudocohort.genetics import ld
from pseudocohort.genotypes import Genotypes

N = 180


@pytest.fixture(scope="module")
def chromosome(tmp_path_factory):
    """1,500 linked sites at uneven distances, some without variation, some at one position."""
    rng = np.random.default_rng(4)
    pos = np.cumsum(rng.integers(0, 3000, 1500)) + 10_000
    alleles = linked_haplotypes(rng, 2 * N, 1500, 0.96)
    alleles[[3, 700]] = 0
    alleles[701] = 1
    return write_chromosome(tmp_path_factory.mktemp("ld"), "21", alleles, pos)


def brute_scores(dosages, place, window, minimum):
    n = dosages.shape[1]
    frequency = dosages.mean(axis=1) / 2
    kept = np.flatnonzero((np.minimum(frequency, 1 - frequency) >= minimum) & (dosages.std(axis=1) > 0))
    r2 = np.corrcoef(dosages[kept].astype(float)) ** 2
    adjusted = r2 - (1 - r2) / (n - 2)
    near = np.abs(place[kept][:, None] - place[kept]) <= window
    return kept, np.where(near, adjusted, 0).sum(axis=1)


@pytest.mark.parametrize(("block", "read"), [(512, 4096), (37, 100)])
def test_ld_scores_are_the_sums_of_a_brute_force_matrix(chromosome, monkeypatch, block, read):
    prefix, dosages = chromosome
    monkeypatch.setattr(ld, "BLOCK", block)
    monkeypatch.setattr(ld, "READ", read)
    pos = Genotypes(prefix).sites["pos"].to_numpy()
    knots = np.array([5_000, 500_000, 600_000, 3_000_000])
    genetic_map = GeneticMap("21", knots, np.array([0, 0.3, 1.9, 3.5]))
    for given, place, window, options in (
        (genetic_map, genetic_map.cm_at(pos), 0.2, {"window_cm": 0.2}),
        (None, pos, 60_000, {"window_bp": 60_000}),
    ):
        table = ld.ld_scores(prefix, None, given, minimum_frequency=0.05, **options)
        kept, expected = brute_scores(dosages, place, window, 0.05)
        assert table.index.tolist() == kept.tolist()
        np.testing.assert_allclose(table["l2"], expected, rtol=1e-5, atol=1e-4)
        assert expected.max() > 5
    assert {3, 700, 701}.isdisjoint(table.index)


def test_ld_scores_agree_with_the_r2_of_plink19(chromosome, tmp_path):
    prefix, _ = chromosome
    rows = np.arange(0, N, 2)
    person = Genotypes(prefix, rows).people["person"]
    (tmp_path / "keep").write_text("".join(f"0 {p}\n" for p in person))
    plink2 = ["plink2", "--pfile", prefix, "--keep", tmp_path / "keep", "--maf", ".05", "--make-bed"]
    subprocess.run([*plink2, "--out", tmp_path / "bed"], check=True, capture_output=True)
    options = ["--r2", "--ld-window-kb", "40", "--ld-window", "9999", "--ld-window-r2", "0"]
    subprocess.run(
        ["plink1.9", "--bfile", tmp_path / "bed", *options, "--out", tmp_path / "r2"], check=True, capture_output=True
    )
    pairs = pd.read_csv(tmp_path / "r2.ld", sep=r"\s+")
    pairs["adjusted"] = pairs["R2"] - (1 - pairs["R2"]) / (len(rows) - 2)
    table = ld.ld_scores(prefix, rows, window_bp=40_000, minimum_frequency=0.05).set_index("id")
    theirs = pairs.groupby("SNP_A")["adjusted"].sum().add(pairs.groupby("SNP_B")["adjusted"].sum(), fill_value=0)
    theirs = theirs.reindex(table.index).fillna(0) + 1
    np.testing.assert_allclose(table["l2"], theirs, rtol=1e-4, atol=1e-3)


def test_ld_score_has_the_mean_of_theory_without_ld(tmp_path):
    """r2 is 1/(n - 1) in the mean between independent sites; l is 1, whatever the number of sites in the window."""
    rng = np.random.default_rng(8)
    alleles = (rng.random((900, 2 * N)) < rng.uniform(0.1, 0.9, (900, 1))).astype(np.int8)
    prefix, _ = write_chromosome(tmp_path, "22", alleles, 1000 * np.arange(900))
    scores = ld.ld_scores(prefix, None, window_bp=10**9)["l2"]
    # the scores' mean is 1 + 2/900 times the sum over 404,550 nearly independent pairs, each of SD sqrt(2)/n; 4 SE
    assert abs(scores.mean() - 1) < 4 * 2 / 900 * np.sqrt(2 * 404_550) / N


@pytest.mark.parametrize("sizes", [(512, 4096), (50, 333)])
@pytest.mark.parametrize("limit", [0.2, 0.6])
def test_pruning_leaves_no_linked_pair_and_drops_no_free_site(chromosome, monkeypatch, sizes, limit):
    prefix, dosages = chromosome
    monkeypatch.setattr(ld, "BLOCK", sizes[0])
    monkeypatch.setattr(ld, "READ", sizes[1])
    pos, window = Genotypes(prefix).sites["pos"].to_numpy(), 50_000
    kept = ld.prune(prefix, None, 0.05, limit, window)
    frequency = dosages.mean(axis=1) / 2
    common = np.flatnonzero(np.minimum(frequency, 1 - frequency) >= 0.05)
    assert set(kept) < set(common)
    assert (np.diff(kept) > 0).all()
    with np.errstate(invalid="ignore", divide="ignore"):
        linked = np.corrcoef(dosages.astype(float)) ** 2 > limit
    linked &= np.abs(pos[:, None] - pos) <= window
    np.fill_diagonal(linked, False)
    assert not linked[np.ix_(kept, kept)].any()
    dropped = np.setdiff1d(common, kept)
    earlier = linked[np.ix_(dropped, kept)] & (kept < dropped[:, None])
    assert earlier.any(axis=1).all()
    assert len(dropped) > (300 if limit < 0.5 else 100)


def test_plink2_finds_nothing_to_prune_in_what_is_left(chromosome, tmp_path):
    prefix, _ = chromosome
    ours = Genotypes(prefix).sites["id"].iloc[ld.prune(prefix, None, 0.05, 0.2, 50_000)].tolist()
    (tmp_path / "ours").write_text("\n".join(ours))

    def left(*options):
        command = ["plink2", "--pfile", prefix, "--maf", ".05", "--indep-pairwise", "50kb", "0.2", *options]
        subprocess.run([*command, "--out", tmp_path / "p"], check=True, capture_output=True)
        return (tmp_path / "p.prune.in").read_text().split()

    assert left("--extract", tmp_path / "ours") == ours
    assert len(ours) > len(left()) > 50  # plink2 drops sites whose only linked one it then drops, too


def test_a_chromosome_without_common_sites(tmp_path):
    alleles = np.zeros((5, 40), dtype=np.int8)
    alleles[:, 0] = 1
    prefix, _ = write_chromosome(tmp_path, "21", alleles, np.arange(5))
    assert len(ld.prune(prefix, None, 0.05)) == 0
    assert len(ld.ld_scores(prefix, None, minimum_frequency=0.05)) == 0
