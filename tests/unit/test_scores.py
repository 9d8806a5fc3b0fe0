"""Scores against plink2 and against a plain sum; X with males; weights without a site."""

import gzip
import subprocess

import numpy as np
import pandas as pd
import pytest

from pseudocohort.errors import InputError
from pseudocohort.genotypes import GenotypeWriter, read_pvar
from pseudocohort.scores import scoring as scores
from pseudocohort.scores.pgs_catalog import TraitWeights, write_scoring_file

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
        np.testing.assert_allclose(table[trait], expected, rtol=0, atol=2e-6 * expected.std())
    rows = np.array([3, 50, 299])
    for sites, people, together in ((64, 2, 130), (1, 7, 3)):
        monkeypatch.setattr(scores, "BLOCK_SITES", sites)
        monkeypatch.setattr(scores, "BLOCK_PEOPLE", people)
        monkeypatch.setattr(scores, "TABLE_SITES", together)
        part = scores.score(prefixes, rows, files)
        pd.testing.assert_frame_equal(part, table.iloc[rows].reset_index(drop=True), rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def pseudo(cohort, tmp_path_factory):
    """People of whom nobody carries ALT at a third of the sites, which their files therefore lack: prefixes, known."""
    prefixes, _, _, _ = cohort
    path, rng = tmp_path_factory.mktemp("pseudo"), np.random.default_rng(9)
    known = [read_pvar(f"{prefix}.pvar") for prefix in prefixes]
    for sites, prefix in zip(known, prefixes, strict=True):
        kept = rng.random(M) < 2 / 3
        sex = rng.choice([1, 2], N)
        alleles = (rng.random((kept.sum(), 2 * N)) < rng.beta(0.5, 1, kept.sum())[:, None]).astype(np.int8)
        if prefix.name == "chrX":
            alleles[:, 1::2][:, sex == 1] = alleles[:, 0::2][:, sex == 1]
        with GenotypeWriter(path / prefix.name, np.array([f"q{i}" for i in range(N)]), sex, kept.sum()) as writer:
            writer.append(alleles, sites[kept])
    return [path / prefix.name for prefix in prefixes], known


def plink2_scores(prefixes, weights, folder):
    """Sum over chromosomes of what plink2 says by the command of the README, and its rounding error."""
    text = gzip.decompress(weights.read_bytes()).decode()
    (folder / "weights.tsv").write_text("".join(line for line in text.splitlines(True) if line[0] != "#"))
    total, rounding = 0, 0
    for prefix in prefixes:
        command = ["plink2", "--pfile", prefix, "--score", folder / "weights.tsv", "1", "4", "6", "header"]
        command += ["no-mean-imputation", "cols=+scoresums", "--out", folder / prefix.name]
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
        part = pd.read_csv(folder / f"{prefix.name}.sscore", sep="\t").filter(like="SUM").iloc[:, -1].to_numpy()
        total, rounding = total + part, rounding + 5e-6 * np.abs(part)
    return total, rounding


@pytest.mark.parametrize("trait", ["dense", "sparse"])
def test_scores_equal_plink2(cohort, tmp_path, trait):
    prefixes, _, _, files = cohort
    theirs, rounding = plink2_scores(prefixes, files[trait], tmp_path)
    mine = scores.score(prefixes, None, {trait: files[trait]})[trait]
    assert (np.abs(mine - theirs) < 1e-5 * mine.std() + rounding).all()


@pytest.mark.parametrize("trait", ["dense", "sparse"])
def test_scores_of_pseudo_people_equal_plink2(cohort, pseudo, tmp_path, trait):
    """Effects of REF at sites that the pseudo people lack are a constant, which plink2 cannot know."""
    _, _, effects, files = cohort
    prefixes, known = pseudo
    theirs, rounding = plink2_scores(prefixes, files[trait], tmp_path)
    mine = scores.score(prefixes, None, {trait: files[trait]}, known)[trait]
    there = np.concatenate(
        [sites["id"].isin(read_pvar(f"{prefix}.pvar")["id"]) for sites, prefix in zip(known, prefixes, strict=True)]
    )
    constant = effects[trait][~there, 0].sum()
    assert (constant != 0) == (trait == "sparse")
    assert (np.abs(mine - constant - theirs) < 1e-5 * mine.std() + rounding).all()


def test_rounding_does_not_add_up(tmp_path):
    """Equal weights at 6,000 sites, most of them nearly fixed for ALT: exact sums are whole numbers."""
    rng, sites, people = np.random.default_rng(2), 6000, 150
    alleles = (rng.random((sites, 2 * people)) < rng.beta(5, 0.4, sites)[:, None]).astype(np.int8)
    table = pd.DataFrame({"chrom": "1", "pos": np.arange(sites) + 1, "id": "s", "ref": "A", "alt": "G"})
    table["id"] = [f"s{k}" for k in range(sites)]
    with GenotypeWriter(tmp_path / "chr1", np.arange(people).astype(str), np.full(people, 2), sites) as writer:
        writer.append(alleles, table)
    for weight in (1.0, 0.1, 3e-7):
        mine = scores.score_weights([tmp_path / "chr1"], None, [TraitWeights(table, np.full(sites, weight))])[:, 0]
        exact = weight * (alleles[:, ::2] + alleles[:, 1::2]).sum(axis=0, dtype=float)
        assert np.abs(mine - exact).max() < 1e-5 * exact.std()


def test_founders_get_what_other_families_predict():
    table = pd.DataFrame({"person": ["a", "b", "c", "d"], "bmi": [1.0, 2, 3, 4], "wbc": [5.0, 6, 7, 8]})
    predictions = pd.DataFrame({"person": ["d", "b", "a"], "bmi": [0.5, np.nan, -0.5], "other": [9.0, 9, 9]})
    mine = scores.with_out_of_fold(table, predictions)
    assert mine["bmi"].tolist() == [2.0, 2.0, 3.0, 3.0]  # a and d around their mean 2.5, b and c as they were
    assert mine["wbc"].tolist() == table["wbc"].tolist()
    assert table["bmi"].tolist() == [1.0, 2, 3, 4]


def test_a_weight_without_its_site_is_an_error(cohort, tmp_path):
    prefixes, _, _, files = cohort
    with pytest.raises(InputError, match=r"400 of the 800 weights of dense(.|\n)*score the chromosomes and sites"):
        scores.score(prefixes[:1], None, {"dense": files["dense"]})
    wrong = pd.DataFrame({"chrom": ["22"], "pos": [100], "id": ["a"], "ref": ["N"], "alt": ["A"]})
    write_scoring_file(tmp_path / "w.txt.gz", wrong.assign(ref="AA"), np.array([1.0]), "w")
    with pytest.raises(InputError, match="0 of the 1 weights of w"):
        scores.score(prefixes, None, {"w": tmp_path / "w.txt.gz"})
