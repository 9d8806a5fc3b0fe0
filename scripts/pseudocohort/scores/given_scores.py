"""Given scoring files as effect weights: matched to the cohort's sites, alone, together, or under learnt weights."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.cohort.builds import plain_name
from pseudocohort.errors import InputError
from pseudocohort.genetics.traits import Traits
from pseudocohort.genotypes import Genotypes, read_pvar
from pseudocohort.scores.matching import (
    ABSENT,
    Match,
    alt_contributions,
    match,
    overlap_report,
    require_overlap,
)
from pseudocohort.scores.pgs_catalog import Score, TraitWeights, contributions, read_scoring_file
from pseudocohort.scores.score_checks import compare_frequencies, kept_header, overlap_of_variance, warnings_of
from pseudocohort.scores.scoring import score_weights

log = logging.getLogger("pseudocohort")

BLOCK_BYTES = 2**24  # of dosages read to count alleles
PEOPLE_A_SCORE = 20  # fewer people than this a score: no coefficients are estimated
LEAST_EIGENVALUE = 0.01  # of the scores' correlations; below it they cannot be told apart


class Given(NamedTuple):
    """weights: {trait: one TraitWeights a file}.  report: an entry a file, for users."""

    weights: dict[str, list[TraitWeights]]
    report: list[dict]


def load_given(
    files: Mapping[str, str | Path | Sequence], prefixes: list, people_rows, build: str, minimum_overlap: float = 0.5
) -> Given:
    """Weights from PGS Catalog scoring files, matched to the cohort's sites, and the match report of each.

    files: {trait: path or paths}.  prefixes: .pgen triples, one a chromosome.  people_rows: whose allele frequencies
    tell the strand of A/T and C/G sites, and are compared with the file's.
    Report: trait, file, score, rows, matched, overlap, overlap_of_variance, build, positions, reasons, chromosomes
    ({name: [effects, matched]}), weight_types, header, frequencies (see compare_frequencies) or None, warnings.
    Raises InputError for a file that cannot be read or has less than the minimum overlap.
    """
    paths = [(trait, path) for trait, some in files.items() for path in _as_list(some)]
    scores = [read_scoring_file(path, build) for _, path in paths]
    matches = [_nothing(len(score.table)) for score in scores]
    pieces = [[] for _ in scores]
    for prefix in prefixes if scores else ():
        with Genotypes(prefix, people_rows) as genotypes:
            frequency = _Frequencies(genotypes)
            for score, found, piece in zip(scores, matches, pieces, strict=True):
                piece.append(_on_chromosome(score, found, genotypes.sites, frequency))
    weights, report = {}, []
    for (trait, path), score, found, piece in zip(paths, scores, matches, pieces, strict=True):
        entry = {"trait": trait, "file": Path(path).name, "score": score.name, **overlap_report(score, found)}
        hint = _other_build(path, score, entry, prefixes, build)
        require_overlap(score, entry, minimum_overlap, hint)
        entry |= _details(score, found, build)
        entry["warnings"] += [hint] if hint else []
        report.append(entry)
        sites, values = zip(*piece, strict=True)
        weights.setdefault(trait, []).append(TraitWeights(pd.concat(sites), np.concatenate(values)))
    _compare_kinds(report)
    for entry in report:
        for sentence in entry["warnings"]:
            log.warning("scoring file %s: %s", entry["file"], sentence)
    return Given(weights, report)


def _as_list(some) -> list:
    return [some] if isinstance(some, str | Path) else list(some)


def _nothing(rows: int) -> Match:
    outcome = np.full(rows, ABSENT, dtype=np.int8)
    return Match(outcome, np.full(rows, -1), np.zeros(rows, dtype=bool), np.full(rows, np.nan, dtype=np.float32))


def _on_chromosome(score: Score, found: Match, sites: pd.DataFrame, frequency) -> tuple[pd.DataFrame, np.ndarray]:
    """Match one chromosome's effects, note in `found` how they fared, and return the sites with contributions."""
    chrom = plain_name(sites["chrom"].iloc[0]) if len(sites) else ""
    rows = np.flatnonzero((score.table["chrom"] == chrom).to_numpy())
    here = match(score, sites, frequency, rows)
    for whole, part in zip(found, here, strict=True):
        whole[rows] = part
    places, values = alt_contributions(score._replace(weights=score.weights[rows]), here)
    return sites.iloc[places], values


class _Frequencies:
    """ALT frequencies of one chromosome's sites, counted when they are first asked for."""

    def __init__(self, genotypes: Genotypes):
        self._genotypes, self._known = genotypes, np.full(genotypes.n_sites, np.nan)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        new = np.unique(rows[np.isnan(self._known[rows])])
        size = max(16, BLOCK_BYTES // self._genotypes.n_people)
        for start in range(0, len(new), size):
            some = new[start : start + size]
            self._known[some] = self._genotypes.dosages_at(some).mean(axis=1, dtype=np.float32) / 2
        return self._known[rows]


def _details(score: Score, found: Match, build: str) -> dict:
    codes = score.table["chrom"].cat.codes.to_numpy()
    names = score.table["chrom"].cat.categories
    every, matched = (np.bincount(c, minlength=len(names)) for c in (codes, codes[found.matched]))
    frequencies, variance = compare_frequencies(score, found), overlap_of_variance(score, found)
    return {
        "overlap_of_variance": variance,
        "chromosomes": {name: [int(a), int(b)] for name, a, b in zip(names, every, matched, strict=True) if a},
        "weight_types": list(score.weight_types),
        "header": kept_header(score),
        "frequencies": frequencies,
        "warnings": warnings_of(score, found, build, frequencies, variance),
    }


def _other_build(path, score: Score, entry: Mapping, prefixes: list, build: str) -> str:
    """A sentence if few effects are found and many more would be by the positions of the file's other build."""
    if entry["overlap"] >= 0.5:
        return ""
    other = {"GRCh37": "GRCh38", "GRCh38": "GRCh37"}.get(build)
    try:
        there = read_scoring_file(path, other)
    except InputError:
        return ""
    if there.build != other or there.positions == score.positions:
        return ""
    number = 0
    for prefix in prefixes:
        _, found = _on_sites(there, read_pvar(f"{prefix}.pvar"))
        number += found
    if number <= 2 * entry["matched"]:
        return ""
    return f"{number} effects fit by its {other} positions, {entry['matched']} by those on {build}: a build is wrong"


def _on_sites(score: Score, sites: pd.DataFrame) -> tuple[int, int]:
    """Effects on the chromosome of these sites, and how many fit one (A/T and C/G effects do not)."""
    chrom = plain_name(sites["chrom"].iloc[0]) if len(sites) else ""
    rows = np.flatnonzero((score.table["chrom"] == chrom).to_numpy())
    return len(rows), int(match(score, sites, None, rows).matched.sum())


def _compare_kinds(report: list[dict]) -> None:
    """Warn where the files of one trait have weights of different kinds."""
    for trait in dict.fromkeys(entry["trait"] for entry in report):
        entries = [entry for entry in report if entry["trait"] == trait]
        kinds = sorted({kind for entry in entries for kind in entry["weight_types"]})
        if len(entries) > 1 and len(kinds) > 1:
            for entry in entries:
                entry["warnings"].append(f"the scoring files of {trait} have weights of different kinds: {kinds}")


def combine(some: Sequence[TraitWeights], coefficients: Sequence[float]) -> TraitWeights:
    """Weights times their coefficients, summed by site; the sites in the order of first mention.

    Effects in proportion to the dosage become effects of ALT, so that scores move by a constant. Values are (k,) if
    all are of this kind, else (k, 3).
    """
    sites = pd.concat([w.sites for w in some])
    group = sites.groupby(["chrom", "pos", "ref", "alt"], sort=False, observed=True).ngroup().to_numpy()
    first = np.unique(group, return_index=True)[1]
    parts = [np.asarray(w.values, dtype=float) * c for w, c in zip(some, coefficients, strict=True)]
    if all(part.ndim == 1 for part in parts):
        return TraitWeights(sites.iloc[first], np.bincount(group, np.concatenate(parts), len(first)))
    stacked = np.concatenate([contributions(part) for part in parts])
    values = np.column_stack([np.bincount(group, column, len(first)) for column in stacked.T])
    values -= values[:, :1]
    straight = np.isclose(values[:, 2], 2 * values[:, 1], rtol=1e-9, atol=1e-12 * np.abs(values).max(initial=0))
    values[straight, 1] = values[straight, 2] / 2
    return TraitWeights(sites.iloc[first], values[:, 2] / 2 if straight.all() else values)


def training_scores(given: Given, prefixes: list, people_rows) -> dict[str, np.ndarray]:
    """{trait: (n, k) float64} scores of the training people by the k files of each trait, in one pass."""
    every = [w for some in given.weights.values() for w in some]
    if not every:
        return {}
    scores = score_weights(prefixes, people_rows, every)
    ends = np.cumsum([len(some) for some in given.weights.values()])
    return dict(zip(given.weights, np.split(scores, ends[:-1], axis=1), strict=True))


def add_given(learnt: Mapping[str, TraitWeights], report: Sequence[Mapping], given: Given) -> dict[str, TraitWeights]:
    """Learnt weights plus the given scores times the entries' given_coefficients, where an entry has them."""
    weights = dict(learnt)
    for entry in report:
        trait = entry["trait"]
        if entry.get("given_coefficients") is not None and trait in given.weights and trait in weights:
            parts = [weights[trait], *given.weights[trait]]
            weights[trait] = combine(parts, [1.0, *entry["given_coefficients"]])
    return weights


def weights_alone(
    given: Given, prefixes: list, people_rows, traits: Traits
) -> tuple[dict[str, TraitWeights], list[dict]]:
    """Weights of every trait from its scoring files alone, and a report entry a trait.

    One file is taken as it is. Several are combined by the least squares of the training people's trait on their
    scores, both after covariates; where too few people have the trait, or the scores cannot be told apart, by the mean
    of the standardised scores.
    Report: trait, kind, method, score, n, combined (how), given_coefficients, training_r2 (of the trait after
    covariates; None where no coefficient was asked of the people or they lack the trait), sites.
    """
    weights, report = {}, []
    for trait, scores in training_scores(given, prefixes, people_rows).items():
        k = traits.names.index(trait) if trait in traits.names else None
        y = np.full(len(scores), np.nan) if k is None else traits.values[:, k]
        coefficients, how, r = _coefficients(scores, y, traits.covariates)
        entries = [entry for entry in given.report if entry["trait"] == trait]
        for entry, correlation in zip(entries, r, strict=True):
            if correlation < -3 / np.sqrt(max(1, np.isfinite(y).sum())):
                entry["warnings"].append(
                    f"the score falls as {trait} rises (correlation {correlation:.2f}): are effect alleles swapped?"
                )
                log.warning("scoring file %s: %s", entry["file"], entry["warnings"][-1])
        some = given.weights[trait]
        weights[trait] = some[0] if len(some) == 1 else combine(some, coefficients)
        report.append(
            {
                "trait": trait,
                "kind": None if k is None else traits.kind[k],
                "method": "pgs",
                "score": " + ".join(entry["score"] for entry in entries),
                "n": int(np.isfinite(y).sum()),
                "combined": how,
                "given_coefficients": [float(c) for c in coefficients],
                "training_r2": _r2(scores @ coefficients, y, traits.covariates),
                "sites": len(weights[trait].sites),
            }
        )
    return weights, report


def _residuals(values: np.ndarray, covariates: np.ndarray) -> np.ndarray:
    """values (n, k) less their least-squares fit by covariates and intercept."""
    design = np.column_stack([np.ones(len(values)), covariates])
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]


def _r2(score: np.ndarray, y: np.ndarray, covariates: np.ndarray) -> float | None:
    seen = np.isfinite(y)
    if seen.sum() < PEOPLE_A_SCORE + covariates.shape[1]:
        return None
    s, rest = _residuals(np.column_stack([score, y])[seen], covariates[seen]).T
    return float((s @ rest) ** 2 / max(s @ s * (rest @ rest), 1e-300))


def _coefficients(scores: np.ndarray, y: np.ndarray, covariates: np.ndarray) -> tuple[np.ndarray, str, np.ndarray]:
    """Coefficients (k,) of scores (n, k), how they were found, and correlations (k,) with y after covariates."""
    k = scores.shape[1]
    spread, seen = scores.std(axis=0), np.isfinite(y)
    varies = spread > 1e-12 * (1e-300 + np.abs(scores).max(axis=0, initial=0))
    equal = np.where(varies, 1 / np.where(varies, spread, 1), 0) / max(1, varies.sum())
    if seen.sum() < PEOPLE_A_SCORE * k + covariates.shape[1]:
        why = f"equal weights of standardised scores: too few people for {k} coefficients"
        return (np.ones(1), "as given", np.zeros(1)) if k == 1 else (equal, why, np.zeros(k))
    rest = _residuals(np.column_stack([scores, y])[seen], covariates[seen])
    x, rest = rest[:, :k] * np.where(varies, equal, 0), rest[:, k]
    size = np.sqrt((x * x).sum(axis=0)) * np.sqrt(rest @ rest)
    r = np.where(size > 0, x.T @ rest / np.where(size > 0, size, 1), 0)
    if k == 1:
        return np.ones(1), "as given", r
    x = x[:, varies]
    if varies.sum() > 1 and np.linalg.eigvalsh(np.corrcoef(x, rowvar=False))[0] < LEAST_EIGENVALUE:
        return equal, "equal weights of standardised scores: they cannot be told apart", r
    coefficients = np.zeros(k)
    coefficients[varies] = np.linalg.lstsq(x, rest, rcond=None)[0] * equal[varies]
    return coefficients, "least squares", r
