"""Clumping of association results as plink1.9 --clump does it (Purcell 2007): index variants and what they stand for.

From the smallest p on, a site of p <= p1 that is in no clump yet becomes an index variant, and takes to itself all
sites within the distance that are in no clump and have r2 > the limit with it. Ties of p go by the order of the files.
r2 is that of the maximum-likelihood haplotype frequencies of unphased genotypes (Hill 1974; Gaunt 2007 for the cubic),
as in plink, although these genotypes are phased: so both tools agree site by site. A man counts as one haplotype on X;
PAR1, X and PAR2 are apart. Where plink reads p < 1e-308 as 0 and breaks ties by order, -log10 p here still tells.
plink also counts the sites of p >= p2 that it clumps (its columns TOTAL, NSIG); they are not looked at here.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pseudocohort.genotypes import Genotypes

P1, P2, R2, KB = 5e-8, 1e-2, 0.1, 250.0  # plink's own defaults are 1e-4, 1e-2, .5 and 250
LEAD_P = 1e-4  # of the weaker index variants that are kept too, for clumping and thresholding
TOGETHER = 128  # sites compared with an index variant at a time
SITE = ["pos", "ref", "alt"]
HITS = [
    *["trait", "chrom", "pos", "id", "effect_allele", "other_allele", "beta", "se", "log10p", "n", "af"],
    *["clumped", "clumped_sites"],
]
LEADS = HITS[:-2]


def clump(
    table: pd.DataFrame,
    prefixes: Sequence[str | Path],
    people_rows: np.ndarray | None,
    p1: float = P1,
    p2: float = P2,
    r2: float = R2,
    kb: float = KB,
) -> pd.DataFrame:
    """Index variants of one trait's association results, smallest p first.

    table: a row a site with chrom, pos, ref, alt, log10p (-log10 p, NaN where not tested) and any other columns; sites
    that are in no file are left out.  prefixes: genotypes, one chromosome each.  people_rows: rows of the .psam, or
    None for all.  p1: index variants have p <= p1; p2: members p < p2; kb: greatest distance, itself
    included (plink 1.90b6.26 leaves it out above the index), in 1000 bp.
    Returns the index variants' rows and `members`: tuples of the index labels in `table` of what they stand for.
    Only the dosages of sites of p < p2 or <= p1 within the distance of an index variant are read, a few at a time.
    """
    # a p that is a threshold, as 1e-3, is told apart from one below it
    strong, member = -np.log10(p1) * (1 - 1e-12), -np.log10(p2) * (1 + 1e-12)
    candidates = table[(table["log10p"] >= min(strong, member)).to_numpy()]
    found, order = [], 0
    for prefix in prefixes if (candidates["log10p"] >= strong).any() else ():
        here = _of_file(candidates, prefix)
        if (here["log10p"] >= strong).any():
            found += _clump_chromosome(here, prefix, people_rows, (strong, member, r2), round(kb * 1000), order)
        order += len(here)
    found.sort(key=lambda one: one[:2])
    labels = [label for _, _, label, _ in found]
    return table.loc[labels].assign(members=pd.Series([m for *_, m in found], index=labels, dtype=object))


def _of_file(candidates: pd.DataFrame, prefix: str | Path) -> pd.DataFrame:
    """Candidates that a file holds, in its order: label, log10p, row (of the .pvar), part (PAR1, X ...), pos."""
    sites = pd.read_csv(
        f"{prefix}.pvar", sep="\t", comment="#", header=None, usecols=[0, 1, 3, 4],
        names=["part", *SITE], dtype={"part": str, "pos": np.int64, "ref": str, "alt": str}, keep_default_na=False,
    )  # fmt: skip
    if sites.empty:
        return pd.DataFrame({"label": [], "log10p": [], "row": [], "part": [], "pos": []})
    chrom = {"PAR1": "X", "PAR2": "X"}.get(sites["part"].iloc[0], sites["part"].iloc[0])
    mine = candidates.loc[(candidates["chrom"] == chrom).to_numpy(), [*SITE, "log10p"]]
    mine = mine.assign(label=mine.index)
    sites = sites.assign(row=np.arange(len(sites)))
    return sites[sites["pos"].isin(mine["pos"])].merge(mine, on=SITE).sort_values("row", ignore_index=True)


def _clump_chromosome(here, prefix, people_rows, thresholds, radius: int, order: int) -> list[tuple]:
    """(-log10p, place in the files, label, members) of every index variant of a file."""
    strong, member, r2 = thresholds
    strength, pos, row = (here[c].to_numpy() for c in ("log10p", "pos", "row"))
    label, part = here["label"].to_numpy(), here["part"].to_numpy()
    ranked = np.argsort(-strength, kind="stable")
    free, found = np.ones(len(here), dtype=bool), []
    with Genotypes(prefix, people_rows) as genotypes:
        male = (genotypes.people["sex"] == 1).to_numpy()
        for i in ranked[strength[ranked] >= strong]:
            if not free[i]:
                continue
            free[i] = False
            near = np.flatnonzero(free & (np.abs(pos - pos[i]) <= radius) & (part == part[i]))
            if len(near):
                one_copy = male if part[i] == "X" else None
                index = genotypes.dosages(row[i], row[i] + 1)[0]
                some = [near[k : k + TOGETHER] for k in range(0, len(near), TOGETHER)]
                squares = [haplotype_r2(index, genotypes.dosages_at(row[few]), one_copy) for few in some]
                near = near[np.concatenate(squares) > r2]
            free[near] = False
            members = near[strength[near] > member]
            found.append((-strength[i], order + i, label[i], tuple(label[members])))
    return found


def haplotype_r2(index: np.ndarray, others: np.ndarray, one_copy: np.ndarray | None = None) -> np.ndarray:
    """r2 of a site with others from maximum-likelihood haplotype frequencies of unphased genotypes.

    index: (n,) and others: (k, n) dosages 0, 1, 2.  one_copy: bool (n,), people whose dosage 2 is one allele, or None.
    With x the share of haplotypes that double heterozygotes add to 00 and 11 each, of h in all, and f the frequencies
    of the certain ones, the likelihood is stationary where

        (f00 + x)(f11 + x)(h - x) = (f01 + h - x)(f10 + h - x) x,

    a cubic; of its roots in [0, h] and the ends the most likely one counts.  NaN where a site does not vary.
    """
    counts = _pairs(index, others)
    known = np.stack(
        [
            2 * counts[:, 2 * a, 2 * b] + counts[:, 2 * a, 1] + counts[:, 1, 2 * b]
            for a in (0, 1)
            for b in (0, 1)
        ],
        axis=1,
    )  # fmt: skip
    if one_copy is not None and one_copy.any():
        single = _pairs(index[one_copy], others[:, one_copy])
        known = known - single[:, [0, 0, 2, 2], [0, 2, 0, 2]]
    both = counts[:, 1, 1]
    total = known.sum(axis=1) + 2 * both
    f, h = known / total[:, None], both / total
    x = _most_likely(f, h)
    f = f + np.column_stack([x, h - x, h - x, x])
    first, second = f[:, 2] + f[:, 3], f[:, 1] + f[:, 3]
    scale = first * (1 - first) * second * (1 - second)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale > 1e-15, (f[:, 3] - first * second) ** 2 / scale, np.nan)


def _pairs(index: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Tables (k, 3, 3) of how many people have dosage a of the index and b of another site."""
    of_index = np.column_stack([index == a for a in range(3)]).astype(np.float32)
    return np.stack([(others == b).astype(np.float32) @ of_index for b in range(3)], axis=2).astype(float)


def _most_likely(f: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Most likely x (k,) in [0, h] for frequencies f (k, 4) of 00, 01, 10, 11 known and h of both heterozygous."""
    f00, f01, f10, f11 = f.T
    companion = np.zeros((len(h), 3, 3))
    companion[:, 1, 0] = companion[:, 2, 1] = 1
    companion[:, 0, 2] = 0.5 * h * f00 * f11
    companion[:, 1, 2] = -0.5 * (f00 * f11 + f01 * f10 + h * (f01 + f10 - f00 - f11 + h))
    companion[:, 2, 2] = -0.5 * (f00 + f11 - f01 - f10 - 3 * h)
    roots = np.linalg.eigvals(companion)
    real = np.where(np.abs(roots.imag) < 1e-6, roots.real, 0)
    tries = np.clip(np.column_stack([0 * h, np.sort(real, axis=1), h]), 0, h[:, None])
    like, unlike = tries, h[:, None] - tries
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [
            np.where(weight[:, None] > 0, weight[:, None] * np.log(share), 0)
            for weight, share in (
                (f00, f00[:, None] + like),
                (f01, f01[:, None] + unlike),
                (f10, f10[:, None] + unlike),
                (f11, f11[:, None] + like),
                (h, (f00[:, None] + like) * (f11[:, None] + like) + (f01[:, None] + unlike) * (f10[:, None] + unlike)),
            )
        ]
    return np.take_along_axis(tries, np.argmax(sum(parts), axis=1)[:, None], axis=1)[:, 0]


def hit_table(trait: str, table: pd.DataFrame, prefixes, people_rows: np.ndarray | None, **limits) -> pd.DataFrame:
    """Index variants of a trait as they are written: a row each, smallest p first.

    table: as `clump` wants it, with id, beta, se, n, af (of ALT, which is the effect allele).  limits: p1, p2, r2, kb.
    Columns HITS; clumped: how many other sites of p < p2 it stands for, clumped_sites: their ids, commas between.
    """
    found = clump(table, prefixes, people_rows, **limits)
    names = [table.loc[list(members), "id"].tolist() for members in found["members"]]
    return found.assign(
        trait=trait,
        effect_allele=found["alt"],
        other_allele=found["ref"],
        clumped=np.array([len(ids) for ids in names], dtype=int),
        clumped_sites=[",".join(ids) for ids in names],
    )[HITS]
