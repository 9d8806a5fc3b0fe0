"""Matching the effects of a scoring file to a cohort's sites, and a report of how each of them fared.

An effect fits a site of its position by its alleles as ref/alt, else alt/ref, else either on the other strand. At
A/T and C/G sites the strand is told by the effect allele's frequency where the file gives one and both it and the
cohort's are more than 0.1 from one half; else the effect is dropped.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.errors import InputError
from pseudocohort.scores.pgs_catalog import Score, standard_chrom

CLEAR = 0.1  # an allele frequency this far from one half tells the strand of an A/T or C/G site
WAYS = ("matched ref/alt", "matched alt/ref", "matched ref/alt, other strand", "matched alt/ref, other strand")
OUTCOMES = (
    "not in the cohort",
    "alleles differ from the cohort's",
    "several sites fit (multi-allelic)",
    "another effect on the same site",
    "strand not known (A/T or C/G)",
    "strand told by frequency (A/T or C/G)",
    *WAYS,
)
ABSENT, DIFFERENT, SEVERAL, REPEATED, UNKNOWN_STRAND, TOLD, AS_IS = range(7)


class Match(NamedTuple):
    """Every effect of a score's table among the sites, (rows,) each.

    outcome: int8, place in OUTCOMES.  site: int64 row of the sites, -1 where there is none.  swapped: the effect
    allele is REF.  here: float32 frequency of the effect allele in the cohort, NaN unknown.
    """

    outcome: np.ndarray
    site: np.ndarray
    swapped: np.ndarray
    here: np.ndarray

    @property
    def matched(self) -> np.ndarray:
        return self.outcome >= TOLD


def reverse_complement(allele: str) -> str:
    return allele.translate(str.maketrans("ACGT", "TGCA"))[::-1]


class Alleles:
    """Codes of alleles that are the same for several tables. complement: int64 (codes,), -1 where it is no code."""

    def __init__(self, *columns):
        self._texts = [self._texts_and_codes(column) for column in columns]
        self.names = pd.Index(pd.unique(np.concatenate([np.asarray(t, dtype=object) for t, _ in self._texts])))
        self.complement = self.names.get_indexer([reverse_complement(name) for name in self.names])
        self.codes = [self.names.get_indexer(texts)[codes] for texts, codes in self._texts]
        self.unknown = self.names.get_indexer([""])[0]

    @staticmethod
    def _texts_and_codes(column):
        if isinstance(column.dtype, pd.CategoricalDtype):
            return list(column.cat.categories), column.cat.codes.to_numpy()
        codes, texts = pd.factorize(column)
        return [text.upper() for text in texts], codes


def pairs_by_position(table: pd.DataFrame, sites: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of a row of the table and a row of the sites with equal chromosome and position.

    Both have chrom and pos; the table's chromosomes are standard. Ordered by row of the table, then of the sites.
    """
    names, here = pd.factorize(standard_chrom(sites["chrom"]))[::-1]
    there = pd.Index(names).get_indexer(table["chrom"].cat.categories.astype(object))[table["chrom"].cat.codes]
    keys = here.astype(np.int64) << 40 | sites["pos"].to_numpy()
    order = None if (keys[1:] >= keys[:-1]).all() else np.argsort(keys, kind="stable")
    keys = keys if order is None else keys[order]
    wanted = there.astype(np.int64) << 40 | table["pos"].to_numpy()
    first = np.searchsorted(keys, wanted)
    number = np.searchsorted(keys, wanted, side="right") - first
    row = np.repeat(np.arange(len(table)), number)
    within = np.arange(len(row)) - np.repeat(np.cumsum(number) - number, number)
    site = np.repeat(first, number) + within
    return row, site if order is None else order[site]


def match(
    score: Score, sites: pd.DataFrame, frequency: Callable | None = None, rows: np.ndarray | None = None
) -> Match:
    """Find the effects of a score, or those of the rows of its table (k,), among sites (chrom pos ref alt).

    frequency: tells the ALT frequencies (k,) in the cohort at rows of the sites (k,), which are increasing.
    """
    table = score.table if rows is None else score.table.iloc[rows]
    row, site = pairs_by_position(table, sites)
    columns = [table["effect"].iloc[row], table["other"].iloc[row], sites["ref"].iloc[site], sites["alt"].iloc[site]]
    codes = Alleles(*columns)
    effect, other, ref, alt = codes.codes
    known, turned = other != codes.unknown, codes.complement
    ways = [
        (effect == alt) & (~known | (other == ref)),
        (effect == ref) & (~known | (other == alt)),
        known & (turned[effect] == alt) & (turned[other] == ref),
        known & (turned[effect] == ref) & (turned[other] == alt),
    ]
    way = np.select(ways, range(4), 4).astype(np.int8)
    outcome = np.full(len(table), ABSENT, dtype=np.int8)
    outcome[row] = DIFFERENT
    best = np.full(len(table), 4, dtype=np.int8)
    np.minimum.at(best, row, way)
    fits = np.flatnonzero((way < 4) & (way == best[row]))
    row, site, way, ambiguous = row[fits], site[fits], way[fits], (turned[ref] == alt)[fits]
    several = np.bincount(row, minlength=len(table))[row] > 1
    outcome[row[several]] = SEVERAL
    row, site, way, ambiguous = (a[~several] for a in (row, site, way, ambiguous))
    order = np.lexsort([row, way, site])
    row, site, way, ambiguous = (a[order] for a in (row, site, way, ambiguous))
    repeated = np.diff(site, prepend=-1) == 0
    outcome[row[repeated]] = REPEATED
    row, site, way, ambiguous = (a[~repeated] for a in (row, site, way, ambiguous))
    return _strands(score, rows, frequency, Places(row, site, way, ambiguous), outcome)


class Places(NamedTuple):
    """Effects that fit one site: row of the table, site (increasing), way (0..3), ambiguous (A/T or C/G)."""

    row: np.ndarray
    site: np.ndarray
    way: np.ndarray
    ambiguous: np.ndarray


def _strands(score, rows, frequency, places, outcome) -> Match:
    """Settle A/T and C/G sites and make the match; rows: of the score's table, or None."""
    row, site, way, ambiguous = places
    swapped = (way & 1).astype(bool)
    here = np.full(len(row), np.nan) if frequency is None else np.asarray(frequency(site), dtype=float)
    here = np.where(swapped, 1 - here, here)
    theirs = np.full(len(row), np.nan)
    if score.frequency is not None:
        theirs = score.frequency[row if rows is None else rows[row]]
    clear = (np.abs(theirs - 0.5) > CLEAR) & (np.abs(here - 0.5) > CLEAR)
    turned = ambiguous & clear & ((theirs > 0.5) != (here > 0.5))
    outcome[row] = np.where(ambiguous, np.where(clear, TOLD, UNKNOWN_STRAND), AS_IS + way)
    where, whether = np.full(len(outcome), -1), np.zeros(len(outcome), dtype=bool)
    f = np.full(len(outcome), np.nan, dtype=np.float32)
    where[row], whether[row], f[row] = site, swapped ^ turned, np.where(turned, 1 - here, here)
    return Match(outcome, where, whether, f)


def alt_contributions(score: Score, found: Match) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the sites (k,), increasing, and the contributions (k, 3) of 0, 1, 2 ALT alleles there."""
    rows = np.flatnonzero(found.matched)
    rows = rows[np.argsort(found.site[rows], kind="stable")]
    values = score._replace(weights=score.weights[rows]).values
    return found.site[rows], np.where(found.swapped[rows][:, None], values[:, ::-1], values)


def overlap_report(score: Score, found: Match) -> dict:
    """Counts of a file's effects: rows, matched, overlap, build, positions, reasons ({text: count}, all rows)."""
    reasons = dict(score.refused)
    counts = np.bincount(found.outcome, minlength=len(OUTCOMES))
    reasons |= {text: int(count) for text, count in zip(OUTCOMES, counts, strict=True) if count}
    matched = int(found.matched.sum())
    return {
        "rows": score.rows,
        "matched": matched,
        "overlap": matched / max(score.rows, 1),
        "build": score.build or "not stated",
        "positions": score.positions,
        "reasons": reasons,
    }


def require_overlap(score: Score, report: Mapping, minimum: float, hint: str = "") -> None:
    """Raise InputError when no row of a file is matched, or less than the minimum share."""
    if report["overlap"] < minimum or not report["matched"]:
        told = "; ".join(f"{text}: {count}" for text, count in report["reasons"].items())
        raise InputError(
            f"only {report['matched']} of {report['rows']} effects of {score.name} are at the cohort's sites ({told})"
            + (f"; {hint}" if hint else ""),
            where=score.name,
            expected=f"at least {minimum:.0%}" if minimum else "at least one",
            remedy="check the build, or lower minimum_overlap in the config",
        )


def match_score(
    score: Score, sites: pd.DataFrame, frequency: np.ndarray | None = None, minimum_overlap: float = 0.5
) -> tuple[np.ndarray, np.ndarray, dict]:
    """Find a score's effects among a cohort's sites.

    sites: all chromosomes, columns chrom pos ref alt.  frequency: of ALT in the cohort, (sites,) or None.
    Returns rows of `sites` (k,) increasing, contributions of 0, 1, 2 ALT alleles (k, 3), and the report
    (see overlap_report). Raises InputError when matched/rows < minimum_overlap.
    """
    found = match(score, sites, None if frequency is None else np.asarray(frequency).__getitem__)
    report = overlap_report(score, found)
    require_overlap(score, report, minimum_overlap)
    return *alt_contributions(score, found), report
