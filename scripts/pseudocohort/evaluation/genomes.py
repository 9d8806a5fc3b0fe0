"""Pseudo genomes against real ones: allele frequency, site frequency spectrum, LD, structure, heterozygosity.

Everything is computed on a stated sample of sites (blocks of neighbouring sites, evenly spread) and of people,
beside the same statistic between real people, and beside what theory expects of reproduction.
"""

import logging

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.maps import read_map
from pseudocohort.evaluation.ancestry import ancestry_metrics
from pseudocohort.evaluation.divergence import NO_STRATA, Strata, divergence_metrics, strata_of
from pseudocohort.evaluation.genome_copies import genome_copies
from pseudocohort.evaluation.haplotypes import diversity_metrics
from pseudocohort.evaluation.hardy_weinberg import exact_test_metrics, inbreeding_metrics
from pseudocohort.evaluation.ld_region import read_region, region_metrics
from pseudocohort.evaluation.linkage import linkage_metrics
from pseudocohort.evaluation.metrics import HOLDOUT
from pseudocohort.evaluation.resampling import blocks, gaps_measure, interval, resampled
from pseudocohort.evaluation.sites import COMMON, Sample, sample_chromosome, unrelated_people
from pseudocohort.evaluation.spectrum import class_metrics, singleton_metrics, spectrum_metrics
from pseudocohort.evaluation.structure import structure_figure
from pseudocohort.genome.drift import Drift
from pseudocohort.measures.line import measure

log = logging.getLogger("pseudocohort")
FAR_OFF = 6.0  # standard deviations of drift
STRUCTURE_SITES = 4000  # for principal components, about so many on all autosomes together
STRUCTURE_CM = 0.02  # and no nearer to each other than this


def evaluate_genomes(
    real: dict[str, str],
    pseudo: dict[str, str],
    maps: dict[str, str],
    people: pd.DataFrame,
    pseudo_people: pd.DataFrame,
    expected: Drift,
    generations: int,
    seed: int,
    sites: int = 20_000,
    persons: int = 1000,
    par: tuple[tuple[int, int], ...] = (),
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """All metrics of the genomes, and aggregates for the figures.

    real, pseudo: genotype prefix by chromosome.  maps: table (pos, cM) by chromosome.  people: real people in
    the order of the .psam (person, sex, family, stratum, part: train for the founders, A and B for the holdout, and
    anything else for those who are of neither group, as people not transmitted).  pseudo_people: person, sex,
    stratum.  expected: what the pedigree makes of allele frequencies; generations: how many it has.
    sites: at most so many of a chromosome; persons: at most so many of each group for LD, haplotypes, spectrum
    and PCA.  par: first and last position of the pseudo-autosomal regions of X.
    """
    part = people["part"].to_numpy(dtype=str)
    grouped = np.isin(part, ("train", *HOLDOUT))
    alone = grouped & ~people["family"].where(grouped).duplicated().to_numpy()
    lengths = [read_map(maps[chrom], chrom).length_cm for chrom in real if chrom != "X"]
    spacing = max(STRUCTURE_CM, sum(lengths) / STRUCTURE_SITES)
    samples, strata = [], strata_of(people, part, alone, pseudo_people)
    for chrom in real:
        paths = chrom, real[chrom], pseudo[chrom], maps[chrom]
        compared = NO_STRATA if chrom == "X" else strata
        samples.append(sample_chromosome(*paths, part, alone, seed, sites, persons, spacing, par, compared))
        log.info("chromosome %s: %d sites compared", chrom, len(samples[-1].cm))
    rng = counter.generator(seed, "evaluate genomes")
    autosomes = [s for s in samples if s.chrom != "X"]
    lines, arrays = _autosomal(autosomes, strata, expected, generations, rng) if autosomes else ([], {})
    for chrom in [s.chrom for s in autosomes[:1]]:
        drawn = unrelated_people(part, alone, len(pseudo_people), persons, seed)
        region = read_region(chrom, real[chrom], pseudo[chrom], read_map(maps[chrom], chrom).cm_at, drawn)
        more, extra = region_metrics(region, people["family"].to_numpy(dtype=str), part, rng) if region else ([], {})
        lines, arrays = lines + more, arrays | extra
    lines += [line for s in samples if s.chrom == "X" for line in x_metrics(s, generations, rng)]
    if sum(len(s.structure_real) for s in autosomes) >= 20:
        more, extra = ancestry_metrics(autosomes, people, pseudo_people, rng)
        lines += more
        arrays |= structure_figure(autosomes, people, pseudo_people, rng) | extra
    lines += genome_copies({s.chrom: s.hash_real for s in samples}, {s.chrom: s.hash_pseudo for s in samples}, part)
    counts = {"sites": sum(len(s.cm) for s in samples), "chromosomes": len(samples), "people": persons}
    return lines, arrays | {f"sample/{k}": np.array(v) for k, v in counts.items()}


def _autosomal(
    samples: list[Sample], strata: Strata, expected: Drift, generations: int, rng: np.random.Generator
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Everything that is a mean over sites of the autosomes."""
    q = np.concatenate([s.frequency["train"] for s in samples])
    use = np.minimum(q, 1 - q) >= COMMON
    block = blocks([s.cm for s in samples])
    parts = [
        frequency_metrics(samples, use, block, expected, rng),
        spectrum_metrics(samples, expected, block, rng),
        (singleton_metrics(samples, expected, block, rng), {}),
        class_metrics(samples, expected, block, rng),
        linkage_metrics([s.pairs for s in samples], generations, expected.variance, rng),
        diversity_metrics([s.windows for s in samples], expected.variance, rng),
    ]
    divergence, inbreeding = divergence_metrics(samples, strata, expected, rng)
    parts.append((divergence, {}))
    if use.any():
        parts.append((inbreeding_metrics(_heterozygosity(samples)[use], block[use], inbreeding, rng), {}))
        counted = {k: np.concatenate([s.genotypes[k] for s in samples])[use] for k in samples[0].genotypes}
        parts.append((exact_test_metrics(counted, samples[0].tested, block[use], rng), {}))
    return [line for lines, _ in parts for line in lines], {k: v for _, more in parts for k, v in more.items()}


def frequency_metrics(
    samples: list[Sample], use: np.ndarray, block: np.ndarray, expected: Drift, rng: np.random.Generator
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Allele frequencies. Distances are RMS of (p - q) / sqrt(q(1 - q)), q the founders' frequency, at common sites.

    Under exchangeable alleles the drift of a pedigree gives E (p - q)^2 = q(1 - q) x Drift.variance.
    use, block: (sites,), of the common sites, and which are resampled together.
    """
    f = {k: np.concatenate([s.frequency[k] for s in samples]) for k in samples[0].frequency}
    arrays = {f"frequency/{k}": _grid(f["train"], f[k]) for k in ("pseudo", "holdout")}
    if not use.any():
        return [], arrays
    gaps = frequency_gaps(f, use, samples[0].people["B"], rng)
    made, held = (_standardised(f, k, "train", use) for k in ("pseudo", "holdout"))
    drift, theory, sites = np.sqrt(made.mean()), np.sqrt(expected.variance), int(use.sum())
    draws = np.sqrt(resampled(block[use], made[:, None], rng)[:, 0])
    lines = [
        gaps_measure("frequency", gaps, block[use], samples[0].people["B"], rng, sites=sites),
        measure(
            "drift",
            drift,
            floor=np.sqrt(held.mean()),
            ratio=drift / theory,
            interval=interval(draws / theory),
            theory=theory,
            sites=sites,
        ),
        measure("far_off", int((np.sqrt(made) > FAR_OFF * theory).sum()), sites=sites),
    ]
    return lines, arrays


def frequency_gaps(f: dict[str, np.ndarray], use: np.ndarray, people: int, rng: np.random.Generator) -> np.ndarray:
    """Squared standardised differences of frequency to A (sites, 3): of as many pseudo people as B has, of B, and of so
    many people whose alleles are drawn site by site with the founders' frequencies, the naive method.

    f: frequencies by group."""
    naive = rng.binomial(2 * max(people, 1), f["train"]) / (2 * max(people, 1))
    return np.column_stack([_standardised(f | {"naive": naive}, k, "A", use) for k in ("matched", "B", "naive")])


def _standardised(f: dict[str, np.ndarray], one: str, other: str, use: np.ndarray) -> np.ndarray:
    q = f["train"][use]
    return (f[one] - f[other])[use] ** 2 / (q * (1 - q))


def _heterozygosity(samples: list[Sample]) -> np.ndarray:
    """(sites, 6) observed and expected heterozygosity of train, holdout and pseudo."""
    columns = []
    for name in ("train", "holdout", "pseudo"):
        p = np.concatenate([s.frequency[name] for s in samples])
        n = 2 * samples[0].people[name]
        columns += [np.concatenate([s.heterozygous[name] for s in samples]), 2 * p * (1 - p) * n / (n - 1)]
    return np.column_stack(columns)


def x_metrics(sample: Sample, generations: int, rng: np.random.Generator) -> list[dict]:
    """X: allele frequency and signed r as distances, and men that have two alleles outside the PARs."""
    q = sample.frequency["train"]
    use = np.minimum(q, 1 - q) >= COMMON
    men, mixed = sample.men
    lines = [measure("x_men", mixed, men=men, sites=len(q))] if men else []
    if use.any():
        block = blocks([sample.cm])[use]
        gaps = frequency_gaps(sample.frequency, use, sample.people["B"], rng)[:, :2]  # men have one copy
        lines.append(gaps_measure("x_frequency", gaps, block, sample.people["B"], rng, sites=int(use.sum())))
    linked, _ = linkage_metrics([sample.pairs], generations, None, rng)
    return lines + [line | {"key": "x_linkage"} for line in linked if line["key"] == "linkage_distance"]


def _grid(x: np.ndarray, y: np.ndarray, bins: int = 60) -> np.ndarray:
    """Numbers of sites on a grid of two allele frequencies: (bins, bins)."""
    return np.histogram2d(x, y, bins=bins, range=[[0, 1], [0, 1]])[0]
