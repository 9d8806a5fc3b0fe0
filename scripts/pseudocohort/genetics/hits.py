"""Candidate sites of a trait: joint hits by forward selection (after COJO, Yang 2012) and weaker, clumped leads."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.genetics.association import associate
from pseudocohort.genetics.kernel import minimum_count, orthonormal
from pseudocohort.genetics.tails import minus_log10_p
from pseudocohort.genetics.traits import Traits
from pseudocohort.genotypes import Genotypes

JOINT_P = 1e-4  # only sites that reach it alone are tried as further hits of a locus
INDEPENDENT = 0.1  # share of a site's variance that the hits before it must leave
WINDOW, A_WINDOW = 250_000, 50  # bases; a trait's sites of a window that are looked at, so that one locus is not all
MOST_SITES, MOST_BYTES = 4000, 2**30  # of one trait, before clumping


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
    """Candidates of every trait: joint hits, then clumped leads in order of p.

    response: (n, t) what is linear in the sites (scores, expected liabilities), NaN where missing.
    covariates: (n, q) with the intercept.
    settings: hit_p of joint hits, lead_p and lead_r2 of the others, most_leads, minimum_allele_frequency.
    joint: look for joint hits; otherwise there are clumped leads only.
    """
    tables = strongest(prefixes, people_rows, traits, settings)
    threshold, n = -np.log10(settings["hit_p"]), len(response)
    found = []
    for k, table in enumerate(tables):
        dosage = read_dosages(prefixes, people_rows, table, n)
        tried = np.flatnonzero(table["log10p"].to_numpy() > -np.log10(JOINT_P))
        taken = np.empty(0, dtype=int)
        if joint and len(tried) and table["log10p"].max() > threshold:
            taken = tried[select_jointly(response[:, k], covariates, dosage[tried].astype(float), threshold)[0]]
        rows = clump(dosage, ~np.isnan(response[:, k]), taken, settings["lead_r2"], settings["most_leads"])
        rows = rows[(table["log10p"].to_numpy()[rows] > -np.log10(settings["lead_p"])) | np.isin(rows, taken)]
        part = table.iloc[rows].set_index("row")
        found.append(
            Candidates(
                part[["chrom", "pos", "id", "ref", "alt"]],
                dosage[rows],
                np.isin(rows, taken),
                part["beta"].to_numpy(),
                part["log10p"].to_numpy(),
            )
        )
    return found


def strongest(prefixes, people_rows, traits: Traits, settings: Mapping) -> list[pd.DataFrame]:
    """Sites of every trait with p < max(lead_p, 1e-4), strongest first: site columns, row, file, beta, log10p.

    At most 50 of a quarter million bases and 4,000 (fewer with many people) of a trait.
    """
    n, t = traits.values.shape
    least, loosest = minimum_count(n, settings["minimum_allele_frequency"]), max(settings["lead_p"], JOINT_P)
    parts: list[list[pd.DataFrame]] = [[] for _ in range(t)]
    for file, prefix in enumerate(prefixes):
        for block in associate([prefix], people_rows, traits, least, settings["block_sites"]):
            strength = np.nan_to_num(block.log10p)
            rows, columns = np.nonzero(strength > -np.log10(loosest))
            for k in np.unique(columns):
                here = rows[columns == k]
                parts[k].append(
                    block.sites.iloc[here]
                    .rename_axis("row")
                    .reset_index()
                    .assign(file=file, beta=block.beta[here, k], log10p=strength[here, k])
                )
    empty = pd.DataFrame(columns=["row", "chrom", "pos", "id", "ref", "alt", "file", "beta", "log10p"])
    empty = empty.astype({"row": int, "file": int, "pos": int, "beta": float, "log10p": float})
    tables = []
    for part in parts:
        table = pd.concat(part, ignore_index=True) if part else empty
        table = table.sort_values(["log10p", "file", "row"], ascending=[False, True, True], ignore_index=True)
        table = table[table.groupby(["file", table["pos"] // WINDOW]).cumcount() < A_WINDOW]
        tables.append(table.head(max(min(MOST_SITES, MOST_BYTES // (8 * n)), 100)).reset_index(drop=True))
    return tables


def read_dosages(prefixes, people_rows, table: pd.DataFrame, n: int) -> np.ndarray:
    """Dosages (k, n) int8 of the sites file, row of a table of k rows."""
    dosage = np.empty((len(table), n), dtype=np.int8)
    for file in table["file"].unique():
        places = np.flatnonzero(table["file"] == file)
        places = places[np.argsort(table["row"].to_numpy()[places])]
        with Genotypes(prefixes[file], people_rows) as genotypes:
            dosage[places] = genotypes.dosages_at(table["row"].to_numpy()[places])
    return dosage


def clump(dosage: np.ndarray, seen: np.ndarray, first: np.ndarray, r2: float, most: int) -> np.ndarray:
    """Rows kept: `first`, then each whose squared correlation with all kept before is below r2, in the given order.

    dosage: (k, n).  seen: (n,) bool, people to correlate.  first: rows that are kept anyway.  At most `most`
    further rows.
    """
    x = dosage[:, seen].astype(np.float32)
    x -= x.mean(axis=1, keepdims=True)
    x /= np.maximum(np.sqrt((x * x).sum(axis=1, keepdims=True)), 1e-6)
    free = np.ones(len(x), dtype=bool)
    free[first] = False
    for row in first:
        free &= (x @ x[row]) ** 2 < r2
    kept = list(first)
    for row in range(len(x)):
        if free[row] and len(kept) < most + len(first):
            kept.append(row)
            free &= (x @ x[row]) ** 2 < r2
    return np.array(kept, dtype=int)


def select_jointly(y, covariates, dosage, threshold: float) -> tuple[list[int], np.ndarray]:
    """Forward selection: take the site with the smallest p given those taken, while p is small enough.

    y: (n,) with NaN.  covariates: (n, q).  dosage: (c, n).  threshold: of -log10 p.  A site of which the
    covariates and hits leave less than a tenth of the variance is not tried.
    Returns positions among the c and their joint effects (k,).
    """
    seen = ~np.isnan(y)
    basis = orthonormal(covariates[seen])
    left, g = y[seen] - basis @ (basis.T @ y[seen]), dosage[:, seen]
    g = g - (g @ basis) @ basis.T
    original, whole = (g**2).sum(axis=1), g.copy()
    chosen: list[int] = []
    while len(g) and len(chosen) < seen.sum() // 20:
        df = seen.sum() - basis.shape[1] - len(chosen) - 1
        remaining = (g**2).sum(axis=1)
        usable = remaining > INDEPENDENT * np.maximum(original, 1e-9)
        beta = np.where(usable, g @ left, 0) / np.where(usable, remaining, 1)
        rss = np.maximum((left**2).sum() - beta**2 * remaining, 1e-12 * (left**2).sum())
        strength = minus_log10_p(beta * np.sqrt(remaining * df / rss), df)
        best = int(np.argmax(np.where(usable, strength, 0)))
        if not usable[best] or strength[best] <= threshold:
            break
        chosen.append(best)
        unit = g[best] / np.sqrt(remaining[best])
        left, g = left - unit * (unit @ left), g - np.outer(g @ unit, unit)
    beta = np.linalg.lstsq(whole[chosen].T, y[seen], rcond=None)[0] if chosen else np.empty(0)
    return chosen, beta
