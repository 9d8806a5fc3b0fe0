"""Genotypes with linkage disequilibrium for the tests of LD, clumping and heritability."""

import numpy as np
import pandas as pd

from pseudocohort.genotypes import GenotypeWriter


def copied_haplotypes(
    rng: np.random.Generator, haplotypes: int, sites: int, founders: int = 60, switch: float = 0.02
) -> np.ndarray:
    """int8 (sites, haplotypes): each copies one of `founders` founder haplotypes, another after a switch.

    Founders' alleles are independent between sites, so two sites d apart have r about (1 - switch)^d in founders
    that are many, and the rest of r^2 is that of the founders' sampling.
    """
    frequency = rng.beta(0.8, 0.8, sites)
    panel = rng.random((sites, founders)) < frequency[:, None]
    source = rng.integers(founders, size=haplotypes)
    alleles = np.empty((sites, haplotypes), dtype=np.int8)
    for s in range(sites):
        moved = rng.random(haplotypes) < switch
        source = np.where(moved, rng.integers(founders, size=haplotypes), source)
        alleles[s] = panel[s, source]
    return alleles


def linked_haplotypes(rng: np.random.Generator, haplotypes: int, sites: int, stay: float = 0.9) -> np.ndarray:
    """int8 (sites, haplotypes): thresholds of a latent autoregressive normal along the sites, all frequencies."""
    latent = rng.normal(size=haplotypes)
    alleles = np.empty((sites, haplotypes), dtype=np.int8)
    for s in range(sites):
        latent = stay * latent + np.sqrt(1 - stay**2) * rng.normal(size=haplotypes)
        alleles[s] = latent < rng.normal(-0.6, 0.8)
    return alleles


def write_chromosome(path, chrom: str, alleles: np.ndarray, pos: np.ndarray, sex: np.ndarray | None = None):
    """Write alleles (sites, 2 n) as path/chr{chrom}; on X men become homozygous. Returns the prefix and dosages."""
    n = alleles.shape[1] // 2
    sex = np.tile([1, 2], n)[:n] if sex is None else sex
    if chrom == "X":
        alleles = alleles.copy()
        alleles[:, 1::2][:, sex == 1] = alleles[:, 0::2][:, sex == 1]
    ids = [f"{chrom}:{p}:{i}" for i, p in enumerate(pos)]
    again = pd.Series(pos).groupby(pos).cumcount()  # sites of one position differ in ALT
    alt = ["G" + k * "T" for k in again]
    table = pd.DataFrame({"chrom": chrom, "pos": pos, "id": ids, "ref": "A", "alt": alt})
    with GenotypeWriter(path / f"chr{chrom}", np.array([f"p{i}" for i in range(n)]), sex, len(pos)) as writer:
        writer.append(alleles, table)
    return path / f"chr{chrom}", alleles[:, 0::2] + alleles[:, 1::2]
