"""Candidate sites of a trait: joint hits by forward selection (after COJO, Yang 2012) and weaker, independent leads.

A file is looked at locus by locus, where a gap of more than a quarter million bases without a site of small p parts
two loci. However many sites a locus has, their dosages are read a few at a time, so that none is left out and
memory stays below some 100 MB.
"""

import logging
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular

from pseudocohort.genetics.association import COLLINEAR, associate
from pseudocohort.genetics.tails import minus_log10_p
from pseudocohort.genetics.traits import Traits
from pseudocohort.genotypes import SITE_COLUMNS, Genotypes
from pseudocohort.weights.kernel import minimum_count, orthonormal

log = logging.getLogger("pseudocohort")

JOINT_P = 1e-4  # only sites that reach it alone are tried as further hits of a locus
INDEPENDENT = 0.1  # share of a site's variance that the hits before it must leave
GAP = 250_000  # bases without a site of small p that part two loci
CELLS = 1 << 22  # sites x people that are computed with at a time: 17 MB as float32
HELD_BYTES = 1 << 25  # dosages of a larger locus are read again for every hit


class Candidates(NamedTuple):
    """Sites of one trait: sites (k rows chrom pos id ref alt, index = row of the .pvar), dosage (k, n) int8,
    joint (k,) bool: those of the forward selection, marginal (k,) effects per ALT allele alone, log10p (k,)."""

    sites: pd.DataFrame
    dosage: np.ndarray
    joint: np.ndarray
    marginal: np.ndarray
    log10p: np.ndarray


def find_candidates(
    prefixes, people_rows, traits: Traits, response, covariates, settings: Mapping, joint: bool = True
) -> list[Candidates]:
    """Candidates of every trait: joint hits, then leads of p < lead_p, both in order of p.

    Leads have r2 < lead_r2 with all hits and stronger leads of their locus.  Where a trait has more than most_leads,
    the weakest leads are left out, never a hit, and the log tells of how many traits.

    prefixes: .pgen triples, one a chromosome.  people_rows: increasing rows of the .psam, or None for all.
    response: (n, t) what is linear in the sites (scores, expected liabilities), NaN where missing.
    covariates: (n, q) with the intercept.
    settings: hit_p of joint hits, lead_p and lead_r2 of the others, most_leads, minimum_allele_frequency, block_sites.
    joint: look for joint hits; otherwise there are leads only.
    """
    found: list[list[pd.DataFrame]] = [[] for _ in traits.names]
    for file, prefix in enumerate(prefixes):
        tables = _sites_of_small_p(prefix, people_rows, traits, settings, joint)
        with Genotypes(prefix, people_rows) as genotypes:
            for k, table in enumerate(tables):
                y = response[:, k]
                hits = _joint_hits(genotypes, table, y, covariates, settings["hit_p"]) if joint else table.iloc[:0]
                leads = _leads(genotypes, table, hits, ~np.isnan(y), settings)
                joints = np.repeat([True, False], [len(hits), len(leads)])
                found[k].append(pd.concat([hits, leads]).assign(joint=joints, file=np.full(len(joints), file)))
    most, many, tables = settings["most_leads"], 0, []
    for parts in found:
        table = pd.concat(parts, ignore_index=True)
        table = table.sort_values(["joint", "log10p", "file", "row"], ascending=[False, False, True, True])
        tables.append(table.head(int(table["joint"].sum()) + most).reset_index(drop=True))
        many += len(tables[-1]) < len(table)
    if many:
        log.info("candidates: %d of %d traits have more than %d leads, the weakest left out", many, len(found), most)
    return _read_candidates(prefixes, people_rows, tables, len(response))


def _sites_of_small_p(prefix, people_rows, traits: Traits, settings: Mapping, joint: bool) -> list[pd.DataFrame]:
    """Sites of a file that may be a hit or a lead of each trait, strongest first: row, pos, beta, log10p."""
    n, t = traits.values.shape
    least = minimum_count(n, settings["minimum_allele_frequency"])
    loosest = max(settings["lead_p"] if settings["most_leads"] else 0, JOINT_P if joint else 0)
    parts = [(np.empty(0, dtype=int),) * 3 + (np.empty(0),) * 2]
    for block in associate([prefix], people_rows, traits, least, settings["block_sites"]) if loosest else ():
        strength = np.nan_to_num(block.log10p)
        rows, columns = np.nonzero(strength > -np.log10(loosest))
        places = block.sites.index.to_numpy()[rows], block.sites["pos"].to_numpy()[rows]
        parts.append((columns, *places, block.beta[rows, columns], strength[rows, columns]))
    column, *values = (np.concatenate(part) for part in zip(*parts, strict=True))
    table = pd.DataFrame(dict(zip(("row", "pos", "beta", "log10p"), values, strict=True)))
    order = np.lexsort((table["row"], -table["log10p"], column))
    bounds = np.searchsorted(column[order], np.arange(t + 1))
    table = table.iloc[order].reset_index(drop=True)
    return [table.iloc[start:stop] for start, stop in pairwise(bounds)]


def loci(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Parts of a table with pos between which more than a quarter million bases are empty; order stays within."""
    pos = np.sort(table["pos"].to_numpy())
    starts = pos[1:][np.diff(pos) > GAP]
    locus = np.searchsorted(starts, table["pos"].to_numpy(), side="right")
    for places in pd.Series(np.arange(len(table))).groupby(locus).indices.values():
        yield table.iloc[places]


def _joint_hits(genotypes: Genotypes, table: pd.DataFrame, y, covariates, hit_p: float) -> pd.DataFrame:
    """Hits of every locus that has a site of p < hit_p, then those of them that are hits beside one another."""
    threshold, taken = -np.log10(hit_p), []
    for locus in loci(table[table["log10p"] > -np.log10(JOINT_P)]):
        if locus["log10p"].iloc[0] > threshold:
            dosage = _dosages(genotypes, locus["row"].to_numpy())
            taken.append(locus.iloc[select_jointly(y, covariates, dosage, threshold)[0]])
    if not taken:
        return table.iloc[:0]
    hits = pd.concat(taken).sort_values(["log10p", "row"], ascending=[False, True])
    if len(taken) > 1:
        dosage = _dosages(genotypes, hits["row"].to_numpy())
        hits = hits.iloc[np.sort(select_jointly(y, covariates, dosage, threshold)[0])]
    return hits


def _leads(genotypes: Genotypes, table: pd.DataFrame, hits: pd.DataFrame, seen, settings: Mapping) -> pd.DataFrame:
    """Leads of every locus beside the hits: at most one more than may be kept, so that it is known of those left."""
    if not settings["most_leads"]:
        return table.iloc[:0]
    is_hit = table.index.isin(hits.index)
    table, kept = table[is_hit | (table["log10p"] > -np.log10(settings["lead_p"])).to_numpy()], [table.iloc[:0]]
    for locus in loci(table):
        first = np.flatnonzero(locus.index.isin(hits.index))
        if len(locus) > 1:
            dosage = _Stored(genotypes, locus["row"].to_numpy())
            rows = independent_sites(dosage, seen, first, settings["lead_r2"], settings["most_leads"] + 1)
            kept.append(locus.iloc[rows[len(first) :]])
        elif not len(first):
            kept.append(locus)
    return pd.concat(kept)


def _read_candidates(prefixes, people_rows, tables: list[pd.DataFrame], n: int) -> list[Candidates]:
    """Candidates of every trait from its table of file, row, joint, beta, log10p."""
    dosages = [np.empty((len(table), n), dtype=np.int8) for table in tables]
    sites: list[list[pd.DataFrame]] = [[] for _ in tables]
    for file, prefix in enumerate(prefixes):
        with Genotypes(prefix, people_rows) as genotypes:
            for table, dosage, parts in zip(tables, dosages, sites, strict=True):
                places = np.flatnonzero(table["file"] == file)
                places = places[np.argsort(table["row"].to_numpy()[places])]
                rows = table["row"].to_numpy()[places]
                if len(rows):
                    dosage[places] = genotypes.dosages_at(rows)
                if len(rows) or not file:
                    parts.append(genotypes.sites.iloc[rows][SITE_COLUMNS].rename_axis("row").assign(place=places))
    return [
        Candidates(
            pd.concat(parts).sort_values("place").drop(columns="place"),
            dosage,
            table["joint"].to_numpy(dtype=bool),
            table["beta"].to_numpy(),
            table["log10p"].to_numpy(),
        )
        for table, dosage, parts in zip(tables, dosages, sites, strict=True)
    ]


class _Stored:
    """Dosages of some rows of a file, in any order, read when they are asked for: stored[places] is (k, n) int8."""

    def __init__(self, genotypes: Genotypes, rows: np.ndarray):
        self.genotypes, self.rows = genotypes, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places) -> np.ndarray:
        rows = self.rows[places]
        order = np.argsort(rows)
        return self.genotypes.dosages_at(rows[order])[np.argsort(order)]


def _dosages(genotypes: Genotypes, rows: np.ndarray):
    """Dosages of rows as an array if they are few."""
    stored = _Stored(genotypes, rows)
    return stored[np.arange(len(rows))] if len(rows) * genotypes.n_people <= HELD_BYTES else stored


def _slices(rows: np.ndarray, n: int) -> Iterator[np.ndarray]:
    step = max(CELLS // max(n, 1), 1)
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def _centred(dosage: np.ndarray) -> np.ndarray:
    x = dosage.astype(np.float32)
    x -= dosage.mean(axis=1, keepdims=True).astype(np.float32)
    return x


def _unit(dosage: np.ndarray) -> np.ndarray:
    """Rows of dosages (k, n), centred and of length 1, float32."""
    x = _centred(dosage)
    x /= np.maximum(np.sqrt([row @ row for row in x]), 1e-6).astype(np.float32)[:, None]
    return x


def independent_sites(dosage, seen: np.ndarray, first: np.ndarray, r2: float, most: int) -> np.ndarray:
    """Rows kept: `first`, then each whose squared correlation with all kept before is below r2, in the given order.

    dosage: (k, n) int8, or what gives (len(rows), n) for an array of rows.  seen: (n,) bool, people to correlate.
    first: rows that are kept anyway.  At most `most` further rows.
    """
    n, kept = int(seen.sum()), [int(row) for row in first]
    blocks = [dosage[rows][:, seen] for rows in _slices(np.asarray(first, dtype=int), n)]
    for rows in _slices(np.setdiff1d(np.arange(len(dosage)), first), n):
        if len(kept) == most + len(first):
            break
        block = dosage[rows][:, seen]
        x = _unit(block)
        free = np.ones(len(rows), dtype=bool)
        for other in blocks:
            free &= ((x @ _unit(other).T) ** 2 < r2).all(axis=1)
        near, new = (x @ x.T) ** 2 >= r2, []
        for i in np.flatnonzero(free):
            if free[i] and len(kept) < most + len(first):
                kept.append(int(rows[i]))
                new.append(i)
                free &= ~near[i]
        if new:
            blocks = _append(blocks, block[new])
    return np.array(kept, dtype=int)


def _append(blocks: list[np.ndarray], block: np.ndarray) -> list[np.ndarray]:
    """Blocks (k, n) with one more; small ones are put together, as products with many rows are quicker."""
    if blocks and (len(blocks[-1]) + len(block)) * block.shape[1] <= CELLS:
        return [*blocks[:-1], np.concatenate([blocks[-1], block])]
    return [*blocks, block]


def _products(dosage, rows: np.ndarray, seen: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Products (k, c) of the centred dosages of rows with columns (people seen, c), and their squares (k,)."""
    columns = columns.astype(np.float32)
    products, squares = np.empty((len(rows), columns.shape[1])), np.empty(len(rows))
    for places in _slices(np.arange(len(rows)), len(columns)):
        x = _centred(dosage[rows[places]][:, seen])
        products[places], squares[places] = x @ columns, [row @ row for row in x]
    return products, squares


def select_jointly(y, covariates, dosage, threshold: float) -> tuple[list[int], np.ndarray]:
    """Forward selection: take the site with the smallest p given those taken, while p is small enough.

    With u the part of the site just taken that the covariates and hits leave, of length 1, r what they leave of y and
    d the squares of what they leave of a site g,

        d <- d - (g'u)^2    r <- r - u u'r    beta = g'r / d    t^2 = beta^2 d df / (r'r - beta^2 d)

    so that one pass over the dosages serves a hit.  y: (n,) with NaN.  covariates: (n, q) with the intercept.
    dosage: (c, n), or what gives (len(rows), n) for an array of rows.  threshold: of -log10 p.  A site of which the
    covariates and hits leave less than a tenth of the variance is not tried, and none without degrees of freedom.
    Returns positions among the c and their joint effects (k,).
    """
    seen = ~np.isnan(y)
    n, basis = int(seen.sum()), orthonormal(covariates[seen])
    q, left = basis.shape[1], y[seen] - basis @ (basis.T @ y[seen])
    if n < 20 or n - q < 2:
        return [], np.empty(0)
    alive, units, chosen, triangle = np.arange(len(dosage)), [], [], []
    products, squares = _products(dosage, alive, seen, np.column_stack([basis, left]))
    original = squares - (products[:, :q] ** 2).sum(axis=1)
    remaining = np.where(original > COLLINEAR * squares, original, 0)
    while len(chosen) < n // 20 and (df := n - q - len(chosen) - 1) > 0:
        usable = remaining > INDEPENDENT * np.maximum(original, 1e-9)
        alive, original, remaining = alive[usable], original[usable], remaining[usable]
        if not len(alive):
            break
        beta, whole = products[usable, -1] / remaining, left @ left
        rss = np.maximum(whole - beta**2 * remaining, 1e-12 * whole)
        strength = minus_log10_p(beta * np.sqrt(remaining * df / np.maximum(rss, 1e-300)), df)
        best = int(np.argmax(strength))
        if strength[best] <= threshold:
            break
        chosen.append(int(alive[best]))
        unit, parts = _beside(dosage[alive[[best]]][0, seen].astype(float), basis, units)
        units.append(unit)
        triangle.append(parts)
        left = left - unit * (unit @ left)
        products, _ = _products(dosage, alive, seen, np.column_stack([unit, left]))
        remaining = remaining - products[:, 0] ** 2
        remaining[best] = 0
    r = np.array([np.pad(parts, (0, len(chosen) - len(parts))) for parts in triangle]).T
    return chosen, solve_triangular(r, [unit @ y[seen] for unit in units]) if chosen else np.empty(0)


def _beside(x: np.ndarray, basis: np.ndarray, units: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The part of x (n,) orthogonal to basis (n, q) and units, of length 1; its products with units and itself."""
    x, parts = x - x.mean(), []
    for _ in range(2):  # twice is enough (Kahan)
        x = x - basis @ (basis.T @ x)
    for unit in units:
        parts.append(unit @ x)
        x = x - unit * parts[-1]
    parts.append(np.sqrt(x @ x))
    return x / parts[-1], np.array(parts)
