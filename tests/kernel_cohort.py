"""Linked genotypes, a cohort and brute-force algebra for the tests of the genomic kernel."""

import numpy as np
import pandas as pd
from scipy.stats import norm

from pseudocohort.genotypes import GenotypeWriter
from pseudocohort.weights.kernel import Sites, make_kernel


def linked_alleles(rng, people, sites, low=0.02):
    """ALT alleles (sites, 2 people) int8 in runs of 10 correlated sites, frequencies low to 0.5."""
    alleles, latent = np.empty((sites, 2 * people), dtype=np.int8), None
    for s in range(sites):
        fresh = rng.normal(size=2 * people)
        latent = fresh if s % 10 == 0 else 0.85 * latent + np.sqrt(1 - 0.85**2) * fresh
        alleles[s] = latent < norm.ppf(rng.uniform(low, 0.5))
    return alleles


def write(prefix, alleles, chrom="1", absent=None):
    sites, people = len(alleles), alleles.shape[1] // 2 + (0 if absent is None else int(absent.sum()))
    table = {"chrom": chrom, "pos": 10 + np.arange(sites), "id": [f"s{i}" for i in range(sites)], "ref": "A"}
    person = np.array([f"p{i}" for i in range(people)])
    with GenotypeWriter(prefix, person, np.ones(people, dtype=int), sites, absent) as writer:
        writer.append(alleles, pd.DataFrame({**table, "alt": "T"}))
    return prefix


def brute_force(dosage, covariates, alpha=-1.0):
    """x (m, n), to_allele (m,), M (n, n), K (n, n) and its scale, from dosages (m, n) in float64."""
    p, sd = dosage.mean(axis=1) / 2, dosage.std(axis=1)
    to_allele = (2 * p * (1 - p)) ** ((1 + alpha) / 2) / sd
    x = (dosage - dosage.mean(axis=1, keepdims=True)) * to_allele[:, None]
    off = np.eye(x.shape[1]) - covariates @ np.linalg.pinv(covariates)
    k = off @ x.T @ x @ off
    scale = np.trace(k) / np.trace(off) / len(x)
    return x, to_allele, off, k / len(x) / scale, scale


def make_cohort(folder):
    """200 people in two files, 150 of them taken; covariates; common dosages (m, 150) and prior effects (m, 3)."""
    rng = np.random.default_rng(1)
    first, second = linked_alleles(rng, 200, 60), linked_alleles(rng, 200, 35)
    first[7] = rng.random(400) < 0.003  # rare
    first[8] = np.tile([0, 1], 200)  # everybody heterozygous
    second[3] = 1 - second[3]  # REF is rare
    prefixes = [write(folder / "chr1", first, "1"), write(folder / "chr2", second, "2")]
    rows = np.sort(rng.choice(200, 150, replace=False))
    common = np.delete(np.arange(95), [7, 8])
    alleles = np.vstack([first, second])
    dosage = (alleles[:, 0::2] + alleles[:, 1::2])[np.ix_(common, rows)].astype(float)
    covariates = np.column_stack([np.ones(150), rng.normal(size=150), rng.choice([-1, 1], 150)])
    return prefixes, rows, covariates, dosage, common, rng.normal(size=(95, 3))


def build(cohort, kind, prior=True, **settings):
    prefixes, rows, covariates, _, _, b = cohort
    offset = {"1": 0, "2": 60}
    sites = Sites(prefixes, rows, **settings)
    device = "gpu" if kind.endswith("gpu") else "cpu"
    up_to = 1000 if kind.startswith("dense") else 0
    drawn = (lambda chrom, table: b[offset[chrom] + table.index]) if prior else None
    return make_kernel(sites, covariates, up_to, prior=drawn, device=device), drawn


def random_kernel(rng, n=300, m=500):
    """Symmetric (n, n) of mean eigenvalue 1 on the space orthogonal to the intercept, basis (n, 1)."""
    x = rng.normal(size=(m, n)) * rng.gamma(0.5, 1, size=(m, 1))
    x -= x.mean(axis=1, keepdims=True)
    k = x.T @ x
    return k / np.trace(k) * (n - 1), np.full((n, 1), 1 / np.sqrt(n))
