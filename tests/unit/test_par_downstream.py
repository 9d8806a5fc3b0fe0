"""Sites of the pseudo-autosomal regions, which lie in X's file, in scores, association and evaluation."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from pseudocohort.cohort.maps import GeneticMap, write_map
from pseudocohort.evaluation.sites import sample_chromosome
from pseudocohort.genetics.association import associate
from pseudocohort.genetics.traits import Traits
from pseudocohort.genotypes import GenotypeWriter, read_pvar
from pseudocohort.scores import scoring as scores
from pseudocohort.scores.pgs_catalog import read_scoring_file, write_scoring_file

N = 240
PARTS = np.repeat(["PAR1", "X", "PAR2"], [20, 30, 10])
POS = np.concatenate([60_000 + 100_000 * np.arange(20), 5_000_000 * np.arange(1, 31), 155_702_000 + np.arange(10)])


@pytest.fixture(scope="module")
def x(tmp_path_factory) -> tuple[Path, pd.DataFrame, np.ndarray, np.ndarray]:
    """X with both PARs, men diploid there -> prefix, its .pvar as read, haplotypes (sites, 2 people), sex."""
    rng, prefix = np.random.default_rng(1), tmp_path_factory.mktemp("par") / "chrX"
    sex = rng.choice([1, 2], N)
    alleles = (rng.random((len(POS), 2 * N)) < rng.uniform(0.2, 0.8, (len(POS), 1))).astype(np.int8)
    single = np.ix_(PARTS == "X", np.flatnonzero(sex == 1))
    alleles[:, 1::2][single] = alleles[:, 0::2][single]
    sites = pd.DataFrame({"chrom": PARTS, "pos": POS, "id": [f"X:{p}:A:G" for p in POS], "ref": "A", "alt": "G"})
    with GenotypeWriter(prefix, np.array([f"p{i}" for i in range(N)]), sex, len(POS)) as writer:
        writer.append(alleles, sites)
    table = read_pvar(f"{prefix}.pvar")
    assert (table["chrom"] == "X").all()
    return prefix, table, alleles, sex


def test_men_have_dosages_of_three_values_in_scores(x, tmp_path):
    prefix, table, alleles, _ = x
    weights = np.random.default_rng(2).normal(size=len(POS))[:, None] * [0, 1, 2]
    dosage = alleles[:, 0::2] + alleles[:, 1::2]
    expected = (weights[:, 1:2] * dosage).sum(axis=0)
    write_scoring_file(tmp_path / "t.txt.gz", table, weights, "t")
    np.testing.assert_allclose(scores.score([prefix], None, {"t": tmp_path / "t.txt.gz"})["t"], expected, atol=1e-5)
    # A scoring file may name the regions as plink does.
    names = np.select([PARTS == "PAR1", PARTS == "PAR2"], ["XY", "PAR2"], "23")
    lines = [f"{c}\t{p}\tG\tA\t{w}" for c, p, w in zip(names, POS, weights[:, 1], strict=True)]
    path = tmp_path / "plink.txt"
    path.write_text("\n".join(["chr_name\tchr_position\teffect_allele\tother_allele\teffect_weight", *lines]) + "\n")
    assert set(read_scoring_file(path).table["chrom"]) == {"X"}
    np.testing.assert_allclose(scores.score([prefix], None, {"t": path})["t"], expected, atol=1e-5)


def test_association_is_the_regression_on_the_dosage(x):
    prefix, _, alleles, sex = x
    rng = np.random.default_rng(3)
    dosage = alleles[:, 0::2] + alleles[:, 1::2]
    covariates = np.column_stack([rng.normal(size=N), np.where(sex == 1, -1.0, 1.0)])
    values = rng.normal(size=(N, 1)) + 0.5 * dosage[3, :, None]
    blocks = list(associate([prefix], None, Traits(("t",), ("linear",), values, covariates), 5))
    found = pd.concat([b.sites for b in blocks])
    beta = np.concatenate([b.beta for b in blocks])[:, 0]
    assert found["id"].tolist() == [f"X:{p}:A:G" for p in POS]
    for site in (0, 3, 19, 25, 55):
        fit = sm.OLS(values[:, 0], np.column_stack([dosage[site], np.ones(N), covariates])).fit()
        assert beta[site] == pytest.approx(fit.params[0], rel=1e-3)


def test_evaluation_takes_one_haplotype_of_men(x, tmp_path):
    """Everywhere on X, so that every site has equally many; two of women."""
    prefix, _, alleles, sex = x
    write_map(tmp_path / "map", GeneticMap("X", np.array([60_000, 155_800_000]), np.array([0.0, 180.0])))
    part = np.array(["train", "train", "train", "A", "B"])[np.arange(N) % 5]
    sample = sample_chromosome(
        "X", str(prefix), str(prefix), tmp_path / "map", part, np.ones(N, bool), 1, 10_000, 100, 0.1
    )
    taken = np.repeat(True, 2 * N)
    taken[1::2] = sex == 2
    for group, people in (("train", part == "train"), ("pseudo", np.ones(N, bool))):
        columns = taken & np.repeat(people, 2)
        np.testing.assert_allclose(sample.frequency[group], alleles[:, columns].mean(axis=1))
