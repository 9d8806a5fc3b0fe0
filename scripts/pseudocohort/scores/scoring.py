"""Polygenic scores of people from weight files: one function for real and pseudo genomes.

A contribution f of g = 0, 1, 2 ALT alleles is f(0) + g (f(2) - f(0))/2 + [g = 1] (f(1) - (f(0) + f(2))/2): a constant,
a slope and a bump, which only effects that are not additive have. Products of slopes and dosages are taken in float32
over few sites, dosages less their rounded mean, and summed up in float64: errors stay near 1e-6 SD of the score.
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.errors import InputError
from pseudocohort.genotypes import Genotypes
from pseudocohort.scores.matching import Alleles, pairs_by_position
from pseudocohort.scores.pgs_catalog import TraitWeights, contributions, read_scoring_files, standard_chrom

log = logging.getLogger("pseudocohort")

BLOCK_SITES, BLOCK_PEOPLE = 128, 8192  # in float32 they fit into a cache
TABLE_SITES = 4096
SAMPLED = 64  # people who tell the mean dosage well enough


class Effects(NamedTuple):
    """Effects of traits that have the same sites and effect alleles.

    table: rows of chrom (standard), pos, effect, other; texts are categorical.  weights: of every trait, (rows,) per
    effect allele or (rows, 3) contributions.  traits: (t,) places of these traits.
    """

    table: pd.DataFrame
    weights: list[np.ndarray]
    traits: list[int]


class Slopes(NamedTuple):
    """One trait on one chromosome: sites (k,), increasing, their slopes (k,) and bumps (k,) or None."""

    trait: int
    sites: np.ndarray
    slope: np.ndarray
    bump: np.ndarray | None


def find_sites(table: pd.DataFrame, sites: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of effects (chrom pos effect other) on sites, by exactly their alleles on the same strand.

    Returns rows of sites (k,), increasing, rows of the table (k,), and whether the effect allele is REF (k,).
    """
    row, site = pairs_by_position(table, sites)
    columns = [table["effect"].iloc[row], table["other"].iloc[row], sites["ref"].iloc[site], sites["alt"].iloc[site]]
    effect, other, ref, alt = Alleles(*columns).codes
    on_ref = (effect == ref) & (other == alt)
    fits = np.flatnonzero(on_ref | ((effect == alt) & (other == ref)))
    fits = fits[np.argsort(site[fits], kind="stable")]
    return site[fits], row[fits], on_ref[fits]


def score(
    prefixes: list, people_rows, weights: Mapping[str, str | Path], known: list[pd.DataFrame] | None = None
) -> pd.DataFrame:
    """Scores of people: sum over sites of the contribution of their ALT dosage.

    prefixes: .pgen triples, one a chromosome, the same people in each.  people_rows: rows of the .psam, or
    None for all.  weights: {trait: file in PGS Catalog format whose alleles are the cohort's}.
    known: sites of the cohort that the weights were made for, one table a prefix; given, a known site that
    is not in the genotypes is one whose ALT nobody there carries.
    Males on X count 0 or 2. Memory is flat in sites.
    Returns a row a person in the order of the .psam: person, then one float64 column a trait.
    Raises InputError when an effect has no site: a score must not silently be another score.
    """
    groups = _grouped((s.table, s.weights) for s in read_scoring_files(weights.values()))
    person, total, found = _score(prefixes, people_rows, groups, len(weights), known)
    for group in groups:
        for k in group.traits:
            if found[k] != len(group.table):
                trait = list(weights)[k]
                raise InputError(
                    f"{found[k]} of the {len(group.table)} weights of {trait} have a site in the genotypes",
                    where=str(weights[trait]),
                    expected="every weight at one site, with the same alleles",
                    remedy="score the chromosomes and sites that the weights were made for",
                )
    return pd.DataFrame({"person": person, **dict(zip(weights, total, strict=True))})


def score_weights(prefixes: list, people_rows, weights: list[TraitWeights]) -> np.ndarray:
    """Scores (people, t) float64 by weights in memory, whose sites are among the prefixes'; see `score`."""
    tables = {id(w.sites): w.sites for w in weights}  # learnt weights often share theirs
    tables = {key: _as_effects(sites) for key, sites in tables.items()}
    groups = _grouped((tables[id(w.sites)], w.values) for w in weights)
    return _score(prefixes, people_rows, groups, len(weights))[1].T


def _as_effects(sites: pd.DataFrame) -> pd.DataFrame:
    """The table of effects of ALT at sites."""
    columns = {
        "chrom": standard_chrom(sites["chrom"]).astype("category"),
        "pos": sites["pos"],
        "effect": sites["alt"].astype("category"),
        "other": sites["ref"].astype("category"),
    }
    return pd.DataFrame(columns).reset_index(drop=True)


def _grouped(tables: Iterable[tuple[pd.DataFrame, np.ndarray]]) -> list[Effects]:
    """Traits in groups of the same sites: their table is kept and looked up once."""
    groups = []
    for k, (table, weights) in enumerate(tables):
        group = next((g for g in groups if _same(g.table, table)), None)
        if group is None:
            groups.append(group := Effects(table, [], []))
        group.weights.append(weights)
        group.traits.append(k)
    return groups


def _same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two tables of effects are equal (or hold the same categories in another order, when: no)."""
    if one is other:
        return True
    if len(one) != len(other) or not np.array_equal(one["pos"], other["pos"]):
        return False
    return all(
        one[c].cat.categories.equals(other[c].cat.categories) and np.array_equal(one[c].cat.codes, other[c].cat.codes)
        for c in ("chrom", "effect", "other")
    )


def _score(prefixes, people_rows, groups, t, known=None):
    """Person ids, scores (t, people), and how many effects of every trait have a site."""
    found, total, person = np.zeros(t, dtype=int), None, None
    for prefix, sites in zip(prefixes, known or [None] * len(prefixes), strict=True):
        with Genotypes(prefix, people_rows) as genotypes:
            if total is None:
                person, total = genotypes.people["person"], np.zeros((t, genotypes.n_people))
            places = []
            for group in groups:
                site, row, on_ref = find_sites(group.table, genotypes.sites)
                absent, absent_on_ref = np.zeros(0, dtype=int), np.zeros(0, dtype=bool)
                if sites is not None:
                    _, absent, absent_on_ref = find_sites(group.table, sites)
                    new = ~np.isin(absent, row)
                    absent, absent_on_ref = absent[new], absent_on_ref[new]
                for k, weights in zip(group.traits, group.weights, strict=True):
                    found[k] += len(row) + len(absent)
                    total[k] += _parts(weights[absent], absent_on_ref)[0]
                    constant, slope, bump = _parts(weights[row], on_ref)
                    total[k] += constant
                    places.append(Slopes(k, site, slope, bump))
            _add(genotypes, places, total)
            log.info("scores: %s, %d people, %d traits", Path(prefix).name, genotypes.n_people, t)
    return person, total, found


def _parts(weights: np.ndarray, on_ref: np.ndarray) -> tuple[float, np.ndarray, np.ndarray | None]:
    """Sum of the constants, slopes (k,) and bumps (k,) or None, of effects whose allele is REF or ALT."""
    if weights.ndim == 1:
        return 2 * float(weights[on_ref].sum()), np.where(on_ref, -weights, weights), None
    v = contributions(weights)
    v = np.where(on_ref[:, None], v[:, ::-1], v)
    bump = v[:, 1] - (v[:, 0] + v[:, 2]) / 2
    return float(v[:, 0].sum()), (v[:, 2] - v[:, 0]) / 2, bump if bump.any() else None


def _add(genotypes: Genotypes, places: list[Slopes], total: np.ndarray) -> None:
    """Add slopes and bumps of one chromosome to total (t, people); only sites that some trait uses are read."""
    different = {id(p.sites): p.sites for p in places}.values()
    used = next(iter(different), np.zeros(0, dtype=int))
    if len(different) > 1 or (np.diff(used) == 0).any():
        used = np.unique(np.concatenate([*different]))
    for first in range(0, len(used), TABLE_SITES):
        rows = used[first : first + TABLE_SITES]
        slope, bump = _tables(places, rows, len(total))
        for start in range(0, len(rows), BLOCK_SITES):
            block = slice(start, start + BLOCK_SITES)
            dosage = genotypes.dosages_at(rows[block])
            for low in range(0, genotypes.n_people, BLOCK_PEOPLE):
                part, people = dosage[:, low : low + BLOCK_PEOPLE], slice(low, low + BLOCK_PEOPLE)
                if bump is not None:
                    total[:, people] += bump[:, block] @ (part == 1).astype(float)
                total[:, people] += _product(slope[:, block], part)


def _product(slope: np.ndarray, dosage: np.ndarray) -> np.ndarray:
    """slope @ dosage (t, people), the greater part of it in float32."""
    centre = dosage[:, :: -(-dosage.shape[1] // SAMPLED)].mean(axis=1, dtype=np.float32).round()
    centred = dosage.astype(np.float32)
    centred -= centre[:, None]
    return slope.astype(np.float32) @ centred + (slope @ centre)[:, None]


def _tables(places: list[Slopes], rows: np.ndarray, t: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Slopes (t, rows) of all traits at some sites, and bumps (t, rows) or None."""
    slopes, bumps = np.zeros((t, len(rows))), None
    for trait, sites, slope, bump in places:
        low, high = np.searchsorted(sites, [rows[0], rows[-1] + 1])
        at = np.searchsorted(rows, sites[low:high])
        np.add.at(slopes[trait], at, slope[low:high])  # a file may name a site twice
        if bump is not None:
            bumps = np.zeros_like(slopes) if bumps is None else bumps
            np.add.at(bumps[trait], at, bump[low:high])
    return slopes, bumps


def with_out_of_fold(scores: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Scores with the out-of-fold predictions of those people and traits that have one, for weights `crossfit`.

    Both have a column person and one a trait. A prediction's origin is arbitrary: its mean over people is moved to
    that of their scores, so that people scored by the weights are comparable.
    """
    scores = scores.copy()
    place = pd.Index(predictions["person"]).get_indexer(scores["person"])
    for trait in predictions.columns.drop("person").intersection(scores.columns):
        other = np.where(place >= 0, predictions[trait].to_numpy(dtype=float)[place], np.nan)
        there = np.isfinite(other)
        if there.any():
            shift = scores.loc[there, trait].mean() - other[there].mean()
            scores[trait] = np.where(there, other + shift, scores[trait])
    return scores
