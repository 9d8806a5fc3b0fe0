"""Scores against plink2 and against a plain sum; X with males; weights without a site."""

import gzip
import subprocess

import numpy as np
import pandas as pd
import pytest

from pseudocohort.errors import InputError
from pseudocohort.genetics import scores
from pseudocohort.genetics.pgs_catalog import write_scoring_file
from pseudocohort.genotypes import GenotypeWriter

N, M = 300, 400


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """An autosome and X (males homozygous), three traits: dense, sparse (some effects on REF), dominant."""
    path = tmp_path_factory.mktemp("scores")
    rng = np.random.default_rng(3)
    sex = rng.choice([1, 2], N)
    sites, dosage = [], []
    for chrom in ("22", "X"):
        alleles = (rng.random((M, 2 * N)) < rng.beta(0.5, 1, M)[:, None]).astype(np.int8)
        if chrom == "X":
            alleles[:, 1::2][:, sex == 1] = alleles[:, 0::2][:, sex == 1]
        ref = rng.choice(list("ACGT"), M)
        alt = [{"A": "T", "C": "G", "G": "A", "T": "C"}[r] for r in ref]
        sites.append(
            pd.DataFrame(
                {
                    "chrom": chrom,
                    "pos": 100 + 3 * np.arange(M),
                    "ref": ref,
                    "id": [f"{chrom}_{i}" for i in range(M)],
                    "alt": alt,
                }
            )
        )
        with GenotypeWriter(path / f"chr{chrom}", np.array([f"p{i}" for i in range(N)]), sex, M) as writer:
            writer.append(alleles, sites[-1])
        dosage.append(alleles[:, 0::2] + alleles[:, 1::2])
    table, dosage = pd.concat(sites, ignore_index=True), np.vstack(dosage)
    dense = rng.normal(size=2 * M)[:, None] * [0, 1, 2.0]
    sparse = np.zeros((2 * M, 3))
    sparse[::37] = rng.normal(size=len(sparse[::37]))[:, None] * [0, 1, 2.0]
    sparse[::74] = sparse[::74, ::-1]
    curved = np.zeros((2 * M, 3))
    curved[5:50, 1:] = rng.normal(size=45)[:, None]
    effects = {"dense": dense, "sparse": sparse, "curved": curved, "none": np.zeros((2 * M, 3))}
    files = {trait: path / f"{trait}.txt.gz" for trait in effects}
    for trait, values in effects.items():
        write_scoring_file(files[trait], table, values, trait)
    return [path / "chr22", path / "chrX"], dosage, effects, files


def test_scores_are_the_plain_sums(cohort, monkeypatch):
    prefixes, dosage, effects, files = cohort
    table = scores.score(prefixes, None, files)
    assert table.columns.tolist() == ["person", "dense", "sparse", "curved", "none"]
    assert table["person"].tolist() == [f"p{i}" for i in range(N)]
    for trait, values in effects.items():
        expected = np.take_along_axis(values[:, None, :].repeat(N, axis=1), dosage[..., None], axis=2).sum(axis=(0, 2))
        np.testing.assert_allclose(table[trait], expected, atol=1e-6)
    monkeypatch.setattr(scores, "BLOCK_BYTES", 8 * N * 64)
    rows = np.array([3, 50, 299])
    part = scores.score(prefixes, rows, files)
    pd.testing.assert_frame_equal(part, table.iloc[rows].reset_index(drop=True))


@pytest.mark.parametrize("trait", ["dense", "sparse"])
def test_scores_equal_plink2(cohort, tmp_path, trait):
    prefixes, _, _, files = cohort
    text = gzip.decompress(files[trait].read_bytes()).decode()
    (tmp_path / "w.txt").write_text("".join(x for x in text.splitlines(True) if not x.startswith("#")))
    theirs = 0
    for prefix in prefixes:
        subprocess.run(
            [
                "plink2",
                "--pfile",
                prefix,
                "--score",
                tmp_path / "w.txt",
                "1",
                "4",
                "6",
                "header",
                "no-mean-imputation",
                "cols=+scoresums",
                "--xchr-model",
                "2",
                "--out",
                tmp_path / prefix.name,
            ],
            check=True,
            capture_output=True,
        )
        theirs = theirs + pd.read_csv(tmp_path / f"{prefix.name}.sscore", sep="\t").filter(like="SUM").iloc[:, -1]
    mine = scores.score(prefixes, None, {trait: files[trait]})[trait]
    assert np.abs(mine - theirs).max() < 1e-5 * mine.std()


def test_a_weight_without_its_site_is_an_error(cohort, tmp_path):
    prefixes, _, _, files = cohort
    with pytest.raises(InputError, match=r"400 of the 800 weights of dense(.|\n)*score the chromosomes and sites"):
        scores.score(prefixes[:1], None, {"dense": files["dense"]})
    wrong = pd.DataFrame({"chrom": ["22"], "pos": [100], "id": ["a"], "ref": ["N"], "alt": ["A"]})
    write_scoring_file(tmp_path / "w.txt.gz", wrong.assign(ref="AA"), np.array([1.0]), "w")
    with pytest.raises(InputError, match="0 of the 1 weights of w"):
        scores.score(prefixes, None, {"w": tmp_path / "w.txt.gz"})
