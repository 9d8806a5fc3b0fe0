"""Clumping against plink1.9 --clump, site by site; r2 against a likelihood maximised on a grid."""

import subprocess
from functools import partial

import numpy as np
import pandas as pd
import pytest

from ld_cohort import copied_haplotypes, linked_haplotypes, write_chromosome
from pseudocohort.genetics import clumping
from pseudocohort.genetics.clumping import clump, haplotype_r2
from pseudocohort.genotypes import Genotypes

N = 300
RADIUS = 40.5  # kb; plink1.9 b6.26 differs from later ones at exactly the distance, so no pair is at it


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Two autosomes and X with LD, and p values with ties that follow a linked signal."""
    path = tmp_path_factory.mktemp("clumping")
    rng = np.random.default_rng(11)
    sex = rng.choice([1, 2], N)
    slow = partial(linked_haplotypes, stay=0.97)
    prefixes, tables = [], []
    for chrom, haplotypes in (("20", copied_haplotypes), ("21", slow), ("X", slow)):
        pos = 1000 * np.cumsum(rng.integers(0, 3, 700)) + 1000
        alleles = haplotypes(rng, 2 * N, 700)
        prefix, dosages = write_chromosome(path, chrom, alleles, pos, sex)
        causal = rng.choice(700, 12, replace=False)
        y = rng.normal(size=N) + 0.35 * rng.normal(size=12) @ (dosages[causal] - dosages[causal].mean(axis=1)[:, None])
        g = dosages - dosages.mean(axis=1)[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            r = g @ (y - y.mean()) / np.sqrt((g**2).sum(axis=1) * ((y - y.mean()) ** 2).sum())
        sites = Genotypes(prefix).sites
        log10p = np.round(N * r**2, 0)  # rounded: many ties
        tables.append(sites.assign(log10p=log10p, beta=r))
        prefixes.append(prefix)
    return prefixes, pd.concat(tables, ignore_index=True)


def plink_clumps(prefixes, table, tmp_path, keep, p1, p2, r2, kb):
    """plink1.9's index variants with their members, by id, in its order."""
    for prefix in prefixes:
        command = ["plink2", "--pfile", prefix, "--make-bed", *keep, "--out", tmp_path / prefix.name]
        subprocess.run(command, check=True, capture_output=True)
    made = [tmp_path / prefix.name for prefix in prefixes]
    whole = b"".join(m.with_suffix(".bed").read_bytes()[3 * (k > 0) :] for k, m in enumerate(made))
    (tmp_path / "all.bed").write_bytes(whole)
    (tmp_path / "all.bim").write_text("".join(m.with_suffix(".bim").read_text() for m in made))
    (tmp_path / "all.fam").write_text(made[0].with_suffix(".fam").read_text())
    tested = table[np.isfinite(table["log10p"])]
    p = [f"{10.0**-x:.17g}" for x in tested["log10p"]]
    pd.DataFrame({"SNP": tested["id"], "P": p}).to_csv(tmp_path / "p.txt", sep="\t", index=False)
    options = ["--clump", tmp_path / "p.txt", "--clump-p1", p1, "--clump-p2", p2, "--clump-r2", r2, "--clump-kb", kb]
    command = ["plink1.9", "--bfile", tmp_path / "all", *options, "--out", tmp_path / "c"]
    subprocess.run([str(c) for c in command], check=True, capture_output=True)
    rows = pd.read_csv(tmp_path / "c.clumped", sep=r"\s+")
    members = [() if m == "NONE" else tuple(s.removesuffix("(1)") for s in m.split(",")) for m in rows["SP2"]]
    return list(zip(rows["SNP"], members, strict=True))


@pytest.mark.parametrize(
    ("p1", "p2", "r2", "people"),
    [(1e-4, 1e-2, 0.5, None), (1e-5, 1e-1, 0.1, None), (1e-3, 1e-3, 0.02, None), (1e-4, 1e-2, 0.2, np.arange(0, N, 2))],
)
def test_every_clump_is_that_of_plink19(cohort, tmp_path, p1, p2, r2, people):
    prefixes, table = cohort
    keep = []
    if people is not None:
        person = Genotypes(prefixes[0], people).people["person"]
        (tmp_path / "keep").write_text("".join(f"0 {p}\n" for p in person))
        keep = ["--keep", tmp_path / "keep"]
    theirs = plink_clumps(prefixes, table, tmp_path, keep, p1, p2, r2, RADIUS)
    ours = clump(table, prefixes, people, p1, p2, r2, RADIUS)
    name = table["id"]
    assert [(row.id, tuple(name[list(row.members)])) for row in ours.itertuples()] == theirs
    assert len(ours) > 15
    assert {"20", "21", "X"} <= set(ours["chrom"])
    assert len(set(ours["log10p"])) < len(ours)  # there were ties among index variants
    assert (ours["beta"] == table.loc[ours.index, "beta"]).all()


def test_r2_is_that_of_the_most_likely_haplotypes():
    rng = np.random.default_rng(3)
    n = 60
    for trial in range(40):
        frequency = rng.dirichlet(np.ones(4) * (0.3 if trial % 2 else 2))
        pairs = rng.choice(4, p=frequency, size=(n, 2))
        a, b = (pairs // 2).sum(axis=1), (pairs % 2).sum(axis=1)
        if min(a.std(), b.std()) == 0:
            continue
        table = np.array([[((a == i) & (b == j)).sum() for j in range(3)] for i in range(3)])
        p, q = a.mean() / 2, b.mean() / 2
        f11 = np.linspace(max(0, p + q - 1), min(p, q), 200_001)[1:-1]
        f10, f01 = p - f11, q - f11
        f00 = 1 - f11 - f10 - f01
        likelihood = table[1, 1] * np.log(2 * f00 * f11 + 2 * f01 * f10)
        for (i, j), f in (((0, 0), f00), ((0, 2), f01), ((2, 0), f10), ((2, 2), f11)):
            likelihood = likelihood + 2 * table[i, j] * np.log(f)
        for (i, j), (f, g) in (((0, 1), (f00, f01)), ((1, 0), (f00, f10)), ((1, 2), (f01, f11)), ((2, 1), (f10, f11))):
            likelihood = likelihood + table[i, j] * (np.log(f) + np.log(g))
        best = f11[np.argmax(likelihood)]
        expected = (best - p * q) ** 2 / (p * (1 - p) * q * (1 - q))
        assert haplotype_r2(a, b[None])[0] == pytest.approx(expected, abs=1e-4)


def test_results_without_index_variants_and_sites_that_are_not_there(cohort):
    prefixes, table = cohort
    none = clump(table, prefixes, None, 1e-200)
    assert none.empty
    assert "members" in none
    whole = clump(table, prefixes, None, 1e-4, 1e-2, 0.5, RADIUS)
    alien = table.iloc[:3].assign(ref="C", log10p=50.0)
    with_alien = clump(pd.concat([table, alien], ignore_index=True), prefixes, None, 1e-4, 1e-2, 0.5, RADIUS)
    assert with_alien["id"].tolist() == whole["id"].tolist()
    untested = table.assign(log10p=table["log10p"].mask(table.index == whole.index[0]))
    assert clump(untested, prefixes, None, 1e-4, 1e-2, 0.5, RADIUS)["id"].tolist() != whole["id"].tolist()


def test_a_p_beyond_floats_is_still_ranked(cohort):
    prefixes, table = cohort
    first, second = table.index[:2]
    strong = table.assign(log10p=table["log10p"].where(table.index > 1, [400.0, 500.0, *[0.0] * (len(table) - 2)]))
    found = clump(strong, prefixes, None, 1e-4, 1e-2, 0.5, RADIUS)
    assert found.index[0] == second
    assert found.index[1] == first or first in found["members"].iloc[0]


def test_the_distance_is_inclusive_on_both_sides_and_parts_of_x_are_apart(tmp_path):
    rng = np.random.default_rng(2)
    alleles = np.repeat((rng.random((1, 2 * N)) < 0.4).astype(np.int8), 5, axis=0)
    prefix, _ = write_chromosome(tmp_path, "X", alleles, np.array([999, 1000, 2000, 3000, 3001]))
    table = Genotypes(prefix).sites.assign(log10p=[4.0, 5.0, 20.0, 5.0, 4.0])
    found = clump(table, [prefix], None, 1e-6, 1e-2, 0.5, 1)
    assert found["members"].tolist() == [(1, 3)]
    text = (tmp_path / "chrX.pvar").read_text().splitlines()
    text[2] = text[2].replace("X", "PAR1", 1)
    (tmp_path / "chrX.pvar").write_text("\n".join(text) + "\n")
    assert clump(table, [prefix], None, 1e-6, 1e-2, 0.5, 1)["members"].tolist() == [(3,)]


def test_sites_are_compared_a_few_at_a_time(cohort, monkeypatch):
    prefixes, table = cohort
    expected = clump(table, prefixes, None, 1e-4, 1e-2, 0.2, RADIUS)
    assert expected["members"].map(len).max() > 3
    monkeypatch.setattr(clumping, "TOGETHER", 2)
    pd.testing.assert_frame_equal(clump(table, prefixes, None, 1e-4, 1e-2, 0.2, RADIUS), expected)


def test_files_are_not_read_where_nothing_is_significant(cohort, tmp_path):
    assert len(clump(cohort[1].assign(log10p=5.0), [tmp_path / "missing"], None)) == 0
