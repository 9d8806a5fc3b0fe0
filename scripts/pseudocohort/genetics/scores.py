"""Polygenic scores of people from weight files: one function for real and pseudo genomes."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from pseudocohort.errors import InputError
from pseudocohort.genetics.pgs_catalog import Score, read_scoring_file, standard_chrom
from pseudocohort.genotypes import Genotypes

log = logging.getLogger("pseudocohort")

BLOCK_BYTES = 2**27  # of a block of dosages in float64


def find_sites(score: Score, sites: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of a cohort's own weights on one chromosome's sites.

    Returns rows of sites (k,), increasing, contributions of 0, 1, 2 ALT alleles (k, 3), and which rows of
    the score's table they are (k,). Alleles must be exactly the site's, on the same strand.
    """
    table = score.table.assign(row=np.arange(len(score.table)))
    here = pd.DataFrame(
        {
            "site": np.arange(len(sites)),
            "chrom": standard_chrom(sites["chrom"]).to_numpy(),
            **{column: sites[column].to_numpy() for column in ("pos", "ref", "alt")},
        }
    )
    pairs = table.merge(here, on=["chrom", "pos"])
    on_alt = ((pairs["effect"] == pairs["alt"]) & (pairs["other"] == pairs["ref"])).to_numpy(dtype=bool)
    on_ref = ((pairs["effect"] == pairs["ref"]) & (pairs["other"] == pairs["alt"])).to_numpy(dtype=bool)
    values = score.values[pairs["row"]]
    values = np.where(on_ref[:, None], values[:, ::-1], values)
    fits = np.flatnonzero(on_alt | on_ref)
    fits = fits[np.argsort(pairs["site"].to_numpy()[fits], kind="stable")]
    return pairs["site"].to_numpy()[fits], values[fits], pairs["row"].to_numpy()[fits]


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
    scores = {trait: read_scoring_file(path) for trait, path in weights.items()}
    found = {trait: 0 for trait in scores}
    total, person = None, None
    for prefix, sites in zip(prefixes, known or [None] * len(prefixes), strict=True):
        with Genotypes(prefix, people_rows) as genotypes:
            if total is None:
                person = genotypes.people["person"]
                total = np.zeros((len(scores), genotypes.n_people))
            places = [find_sites(s, genotypes.sites) for s in scores.values()]
            for k, (trait, (_, _, rows)) in enumerate(zip(scores, places, strict=True)):
                found[trait] += len(rows)
                if sites is not None:
                    _, values, expected = find_sites(scores[trait], sites)
                    absent = ~np.isin(expected, rows)
                    found[trait] += int(absent.sum())
                    total[k] += values[absent, 0].sum()
            _add(genotypes, places, total)
            log.info("scores: %s, %d people, %d traits", Path(prefix).name, genotypes.n_people, len(scores))
    for trait, s in scores.items():
        if found[trait] != len(s.table):
            raise InputError(
                f"{found[trait]} of the {len(s.table)} weights of {trait} have a site in the genotypes",
                where=str(weights[trait]),
                expected="every weight at one site, with the same alleles",
                remedy="score the chromosomes and sites that the weights were made for",
            )
    return pd.DataFrame({"person": person, **dict(zip(scores, total, strict=True))})


def _add(genotypes: Genotypes, places: list, total: np.ndarray) -> None:
    """Add one chromosome's contributions to total (t, people).

    A contribution f(g) is f(0) + g (f(2) - f(0))/2 + [g = 1] (f(1) - (f(0) + f(2))/2).
    """
    if not any(len(site) for site, _, _ in places):
        return
    curved = any((2 * v[:, 1] != v[:, 0] + v[:, 2]).any() for _, v, _ in places)
    size = max(16, min(4096, BLOCK_BYTES // (8 * genotypes.n_people)))
    for start, stop in genotypes.blocks(size):
        bounds = [np.searchsorted(site, [start, stop]) for site, _, _ in places]
        if not any(b > a for a, b in bounds):
            continue
        table = np.zeros((3, len(places), stop - start))
        for k, ((site, values, _), (a, b)) in enumerate(zip(places, bounds, strict=True)):
            np.add.at(table[:, k], (slice(None), site[a:b] - start), values[a:b].T)
        used = table.any(axis=(0, 1))
        table, dosage = table[:, :, used], genotypes.dosages(start, stop)[used]
        total += table[0].sum(axis=1)[:, None] + (table[2] - table[0]) / 2 @ dosage.astype(float)
        if curved:
            total += (table[1] - (table[0] + table[2]) / 2) @ (dosage == 1).astype(float)
