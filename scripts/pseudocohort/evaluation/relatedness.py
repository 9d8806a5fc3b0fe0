"""Who is related to whom: kinship and identity by state of pairs, runs of homozygosity; real, pseudo, theory.

Pseudo people stand beside the real holdout, and beside theory: the same pseudo people with genes dropped anew through
their pedigree (genome.relatives), and the kinship that the paths of the pedigree give.
"""

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.maps import read_map
from pseudocohort.evaluation import homozygosity
from pseudocohort.evaluation.homozygosity import jackknife_error, real_means, theory_of
from pseudocohort.evaluation.metrics import (
    FOLDS,
    MINIMUM_PEOPLE,
    against_floor,
    compared,
    jackknifed,
    real_halves,
)
from pseudocohort.evaluation.pairs import (
    DEGREES,
    Pairs,
    histogram,
    pair_statistics,
    pair_sums,
    real_shares,
    upper,
)
from pseudocohort.evaluation.real_cells import merged_counts
from pseudocohort.evaluation.relative_sample import choose_people, read_chromosome
from pseudocohort.genome.pedigree import Pedigree
from pseudocohort.genome.relatives import SPACING_CM, pedigree_kinship
from pseudocohort.measures.line import measure

log = logging.getLogger("pseudocohort")
SITES, PAIR_SITES, PEOPLE = 16_000, 3_000, 1000
LOCI = 4000  # of gene dropping, about so many
BINS = 1000  # of the distributions of pairs
NO_SITES, TOO_SHORT = "no common autosomal sites", "genome too short to tell twins"
KINSHIP_EDGES = np.linspace(-0.3, 0.5, 81)
PATHS = (0.01, 0.022, 0.044, 0.088, 0.177)  # bounds of classes of kinship by the pedigree


class Sample(NamedTuple):
    """pairs: by group (holdout, pseudo, theory0 ..., unlinked), from `sites` sites.  homozygous: from more sites."""

    pairs: dict[str, Pairs]
    homozygous: homozygosity.Homozygous
    sites: int


def evaluate_relatedness(
    real: dict[str, str],
    pseudo: dict[str, str],
    maps: dict[str, str],
    people: pd.DataFrame,
    pedigree: Pedigree,
    founders: str,
    seed: int,
    sex_specific: bool = True,
    persons: int = PEOPLE,
    founder_share: float | None = None,
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """All measures of relatedness, and aggregates for the figures.

    real, pseudo: genotype prefix by autosome; maps: table (pos, cM) by autosome.  people: real people in the order of
    the .psam, with person, family, part (train, A, B) and what `founders_of` needs.  pedigree: of the pseudo people, in
    their order.  founders: all or unrelated, founder_share: how many of them.
    sex_specific: by male and female maps.  persons: of a group, at most.
    Real people are the holdout's; of them only distributions are told, in cells of MINIMUM_PEOPLE and more.
    """
    rows = choose_people(people, pedigree, founders, seed, persons, founder_share)
    sample = _sample(real, pseudo, maps, rows, pedigree, seed, sex_specific)
    log.info("%d holdout and %d pseudo people, %d sites", len(rows.holdout), len(rows.pseudo), sample.homozygous.sites)
    if not sample.sites:
        return [measure(key, None, reason=NO_SITES) for key in ("kinship_distribution", "roh_total")], {}
    family = people["family"].to_numpy(dtype=str)[rows.holdout]
    part = people["part"].to_numpy(dtype=str)[rows.holdout]
    rng = counter.generator(seed, "evaluate relatedness")
    halves = real_halves(family, part, rng)
    stratum = pedigree.stratum[-1][rows.pseudo]
    expected = pedigree_kinship(pedigree, rows.pseudo)
    fold = rng.permutation(len(rows.pseudo)) % FOLDS
    lines = pair_lines(sample, halves, family, rng)
    lines += [*degree_lines(sample, fold), path_line(sample, expected, stratum, fold), twins_line(sample)]
    lines += homozygosity.homozygosity_lines(sample.homozygous, halves, family, fold, rng)
    return lines, figure_arrays(sample, expected, stratum)


def _sample(real, pseudo, maps, rows, pedigree, seed, sex_specific) -> Sample:
    """Read chromosome by chromosome; sites are shared out by length."""
    spans = {chrom: read_map(maps[chrom], chrom) for chrom in real}
    length = {chrom: float(m.pos[-1] - m.pos[0]) for chrom, m in spans.items()}
    spacing = max(SPACING_CM, sum(m.length_cm for m in spans.values()) / LOCI)
    genotypes, found, positions = {}, {}, []
    for chrom in real:
        wanted = max(round(SITES * length[chrom] / sum(length.values())), 2)
        paths = (real[chrom], pseudo[chrom])
        one = read_chromosome(chrom, paths, maps[chrom], rows, pedigree, wanted, seed, sex_specific, spacing)
        positions.append(one.pos)
        thin = np.unique(np.linspace(0, len(one.pos) - 1, round(wanted * PAIR_SITES / SITES) + 1).round().astype(int))
        for name, dosages in one.dosages.items() if len(one.pos) else ():
            genotypes.setdefault(name, []).append(dosages[:, thin])
            found.setdefault(name, []).append(homozygosity.runs(dosages, one.pos, homozygosity.SHORTEST))
    joined = {name: np.concatenate(parts, axis=1) for name, parts in genotypes.items()}
    pairs = {name: pair_statistics(x) for name, x in joined.items()}
    shortest = homozygosity.shortest_run(positions)
    mb = {name: homozygosity.by_length(found[name], len(x), shortest) for name, x in joined.items()}
    covered = sum(float(p[-1] - p[0]) for p in positions if len(p)) / 1e6
    homozygous = homozygosity.Homozygous(mb, max(covered, 1e-9), shortest, sum(map(len, positions)))
    return Sample(pairs, homozygous, sum(parts.shape[1] for parts in genotypes.get("pseudo", ())))


def pair_lines(sample: Sample, halves: list, family: np.ndarray, rng: np.random.Generator) -> list[dict]:
    """Distributions of kinship and identity by state over pairs, pseudo against a half of the holdout."""
    lines = []
    for key, field in (("kinship_distribution", "kinship"), ("ibs_distribution", "ibs")):
        tables = {name: getattr(pairs, field) for name, pairs in sample.pairs.items()}
        low, high = (f([f(tables[k]) for k in ("holdout", "pseudo") if tables[k].size]) for f in (np.min, np.max))
        edges = np.linspace(low, high, BINS + 1)[1:-1]
        codes = {k: np.searchsorted(edges, tables[k]).astype(np.int16) for k in ("holdout", "pseudo", "unlinked")}
        result, naive = (
            against_floor(*_pair_distance(codes["holdout"], codes[name]), halves, family, rng, left_out=folds)
            for name, folds in (("pseudo", FOLDS), ("unlinked", 0))
        )
        lines.append(compared(key, result, baseline=naive.ratio, sites=sample.sites))
    return lines


def _pair_distance(real: np.ndarray, pseudo: np.ndarray):
    """distance, real rows and pseudo rows for `against_floor`, from codes of bins (people, people) of both cohorts.

    A row is a person's number, of the pseudo people behind the real ones; the distance is the greatest gap of the
    distribution functions over the pairs within the rows (Kolmogorov and Smirnov's, in bins).
    """
    n = len(real)

    def distribution(rows: np.ndarray) -> np.ndarray:
        table, rows = (real, rows) if rows[0] < n else (pseudo, rows - n)
        within = np.bincount(table[np.ix_(rows, rows)].ravel(), minlength=BINS)
        return np.cumsum(within - np.bincount(table[rows, rows], minlength=BINS)) / max(len(rows) * (len(rows) - 1), 1)

    def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.array([np.abs(distribution(x) - distribution(y)).max()])

    return distance, np.arange(n), np.arange(n, n + len(pseudo))


def degree_lines(sample: Sample, fold: np.ndarray) -> list[dict]:
    """Pairs in 10,000 that are kin to a degree or nearer; z to the same people with genes dropped anew.

    fold: (pseudo people,) groups of the jackknife.  The error is what theory itself has: its jackknife, for what is
    found and for the mean of its dropped copies, and that of a Poisson count of at least one pair. The spread of what
    is found would grow with a fault and hide it.
    """
    lines = []
    for (key, threshold), real in zip(DEGREES, real_shares(sample.pairs["holdout"].kinship), strict=True):
        near = {name: some.kinship > threshold for name, some in sample.pairs.items()}
        pairs = pair_sums(np.ones(near["pseudo"].shape), fold)
        theory = np.mean([near[name] for name in theory_of(sample.pairs)], axis=0)
        found, expected = (1e4 * pair_sums(x, fold) / np.maximum(pairs, 1) for x in (near["pseudo"], theory))
        counted = 1e4 * np.sqrt(max(pair_sums(theory, fold)[0], 1.0)) / max(pairs[0], 1)
        error = np.hypot(np.sqrt(1 + 1 / len(theory_of(sample.pairs))) * jackknife_error(expected[1:]), counted)
        unlinked = 1e4 * pair_sums(near["unlinked"], fold)[0] / max(pairs[0], 1)
        lines.append(
            measure(
                key,
                found[0],
                floor=real,
                z=(found[0] - expected[0]) / error,
                baseline=unlinked,
                theory=expected[0],
                found=int(pair_sums(near["pseudo"], fold)[0]),
                threshold=threshold,
            )
        )
    return lines


def path_line(sample: Sample, expected: np.ndarray, stratum: np.ndarray, fold: np.ndarray) -> dict:
    """Slope of measured kinship on that of the pedigree's paths, over pairs of pseudo people of one stratum.

    KING-robust is kinship above the mean of those whose genes were drawn from the same pool, so the slope is 1 but
    for the mean kinship of the pseudo people; strangers' kinship is spread about 0 by chance and by older kin.
    """
    same = (stratum[:, None] == stratum[None]).astype(float)

    def slope(kinship: np.ndarray) -> np.ndarray:
        x, y = expected, kinship.astype(float)
        n, sx, sy, sxy, sxx = (pair_sums(same * m, fold) for m in (np.ones_like(x), x, y, x * y, x * x))
        with np.errstate(all="ignore"):
            return (sxy - sx * sy / n) / (sxx - sx**2 / n)

    found = slope(sample.pairs["pseudo"].kinship)
    theory = np.mean([slope(sample.pairs[name].kinship)[0] for name in theory_of(sample.pairs)])
    interval = jackknifed(found[0], found[1:]) if np.isfinite(found).all() else None
    counts = [int(np.triu(expected >= least, 1).sum()) for least in (0.25, 0.125, 0.0625)]
    return measure(
        "kinship_by_pedigree",
        found[0],
        interval=interval,
        people=len(fold),
        baseline=slope(sample.pairs["unlinked"].kinship)[0],
        theory=theory,
        sibs=counts[0],
        half_sibs=counts[1],
        cousins=counts[2],
    )


def twins_line(sample: Sample) -> dict:
    """Pairs of pseudo people who are alike at all sites; not judged where theory has such pairs as well."""
    alike = {
        name: int((upper(pairs.different) == 0).sum()) for name, pairs in sample.pairs.items() if name != "holdout"
    }
    theory = float(np.mean([alike[name] for name in theory_of(sample.pairs)]))
    reason = TOO_SHORT if theory > 0 else None
    return measure("identical_people", alike["pseudo"], reason=reason, theory=theory, sites=sample.sites)


def figure_arrays(sample: Sample, expected: np.ndarray, stratum: np.ndarray) -> dict[str, np.ndarray]:
    """What report.figures_relatedness draws: shares of pairs and of people, real ones in cells of MINIMUM_PEOPLE people
    and more."""
    found = sample.homozygous
    droppings = theory_of(found.mb)
    theory = np.concatenate([found.mb[name] for name in droppings])
    groups = {k: v for k, v in found.mb.items() if k not in droppings} | {"theory": theory}
    share = {name: mb.sum(axis=1) / found.covered for name, mb in groups.items()}
    top = max(float(x.max()) for name, x in share.items() if name != "holdout")
    edges = np.linspace(0, max(top, 1e-6), 26)
    arrays = _pair_arrays(sample) | _path_arrays(sample, expected, stratum)
    arrays |= {"froh/edges": edges, "roh/classes": homozygosity.class_names(found.shortest)}
    for name, mb in groups.items():
        real = name == "holdout"
        arrays[f"roh/{name}"] = _numbers(real_means(mb)[0] if real else mb.mean(axis=0))
        counts = np.histogram(np.minimum(share[name], edges[-1]), edges)[0]
        arrays[f"froh/{name}"] = (merged_counts(counts) if real else counts) / max(len(mb), 1)
    return arrays


def _pair_arrays(sample: Sample) -> dict[str, np.ndarray]:
    """Histograms of kinship and identity by state, and pairs by degree."""
    droppings = theory_of(sample.pairs)
    arrays = {"degree/thresholds": np.array([t for _, t in DEGREES]), "kinship/edges": KINSHIP_EDGES}
    lowest = np.floor(100 * min(sample.pairs[name].ibs.min() for name in ("pseudo", "unlinked")))
    arrays["ibs/edges"] = np.linspace(lowest / 100, 1, 2 * int(100 - lowest) + 1)
    for name, pairs in sample.pairs.items():
        for field in ("kinship", "ibs"):
            table, edges = getattr(pairs, field), arrays[f"{field}/edges"]
            arrays[f"{field}/{name}"] = histogram(table, edges, real=name == "holdout")
        near = [1e4 * upper(pairs.kinship > t).mean() for _, t in DEGREES] if name != "holdout" else None
        arrays[f"degree/{name}"] = _numbers(near or real_shares(pairs.kinship))
    for kind in ("kinship", "ibs", "degree"):
        arrays[f"{kind}/theory"] = np.mean([arrays.pop(f"{kind}/{name}") for name in droppings], axis=0)
    return arrays


def _path_arrays(sample: Sample, expected: np.ndarray, stratum: np.ndarray) -> dict[str, np.ndarray]:
    """Measured kinship (mean, SD) of pseudo pairs of one stratum by class of kinship by the pedigree: of at least five
    pairs, for the pedigree is secret."""
    kind = np.where(np.triu(stratum[:, None] == stratum[None], 1), np.digitize(expected, PATHS), -1)

    def by_class(table: np.ndarray) -> np.ndarray:
        of = [table[kind == k] for k in range(len(PATHS) + 1)]
        return np.array([[x.mean(), x.std()] if len(x) >= MINIMUM_PEOPLE else [np.nan] * 2 for x in of])

    made = {name: by_class(sample.pairs[name].kinship) for name in ("pseudo", "theory0")}
    return {"path/kinship": by_class(expected)[:, 0], "path/pseudo": made["pseudo"], "path/theory": made["theory0"]}


def _numbers(values) -> np.ndarray:
    return np.array([np.nan if x is None else float(x) for x in values])
