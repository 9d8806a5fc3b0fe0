"""Association results as plain arrays: sites by number, genomic control by block of the genome, hits beside each other.

A trait of ten million sites is 300 MB so; only two cohorts of one trait are held at a time.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import chi2

from pseudocohort.genetics.clumping import LEADS
from pseudocohort.genetics.tails import NULL_MEDIAN, lambda_gc

BLOCK = 5_000_000  # bp that are left out together: LD beyond is weak
GROUPS = 100  # of blocks at most
CHROMOSOME = 64  # blocks that a chromosome may have
BINS, WIDEST = 1000, 2.5  # of |z| in which medians are looked for; that of no inflation is 0.67
SIGNAL = 4.0  # -log10 p; a hit with no real p below this nearby is a false one
WINDOW = 500_000  # bp
GENOME_WIDE = float(-np.log10(5e-8))


class Results(NamedTuple):
    """One trait in one cohort, k sites: key (k,) uint64 of chromosome, position and alleles; chrom (k,) int8, X 23;
    pos, beta, se, log10p (k,); n people."""

    key: np.ndarray
    chrom: np.ndarray
    pos: np.ndarray
    beta: np.ndarray
    se: np.ndarray
    log10p: np.ndarray
    n: float

    @property
    def chi_square(self) -> np.ndarray:
        return (self.beta / self.se) ** 2


def as_arrays(table: pd.DataFrame) -> Results:
    """From the table of `read_association`."""
    chrom, pos = chromosome_numbers(table["chrom"]), table["pos"].to_numpy(dtype=np.int64)
    n = float(table["n"].median()) if len(table) else np.nan
    key = site_keys(chrom, pos, table["ref"], table["alt"])
    return Results(key, chrom, pos, *(table[c].to_numpy(dtype=float) for c in ("beta", "se", "log10p")), n)


def chromosome_numbers(chrom: pd.Series) -> np.ndarray:
    """1 to 22, and 23 for what has no number, int8."""
    codes, names = pd.factorize(chrom)
    return np.array([int(c) if str(c).isdigit() else 23 for c in names], dtype=np.int8)[codes]


def site_keys(chrom: np.ndarray, pos: np.ndarray, ref: pd.Series, alt: pd.Series) -> np.ndarray:
    """One number a site, uint64: 5 bits of chromosome, 28 of position, 31 hashed from the alleles."""
    alleles = [pd.util.hash_array(np.asarray(x, dtype=object)) for x in (ref, alt)]
    mixed = (alleles[0] * np.uint64(3) + alleles[1]) >> np.uint64(33)
    return (chrom.astype(np.uint64) << np.uint64(59)) | (pos.astype(np.uint64) << np.uint64(31)) | mixed


def shared(one: Results, other: Results) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the sites that both have."""
    if np.array_equal(one.key, other.key):
        return (np.arange(len(one.key)),) * 2
    return np.intersect1d(one.key, other.key, return_indices=True)[1:]


def groups_of(chrom: np.ndarray, pos: np.ndarray, length: int = BLOCK) -> np.ndarray:
    """Group of blocks of the genome that a site belongs to, 0 to GROUPS - 1; the same in every trait."""
    return (chrom.astype(np.int64) * CHROMOSOME + pos // length) % GROUPS


def inflation(results: Results, rows: np.ndarray) -> np.ndarray:
    """Lambda GC and mean chi-square of the sites `rows`: (2, 1 + GROUPS), whole and without each group of blocks.

    Medians without a group come from a histogram of |z|, within whose bins they are interpolated.
    """
    statistic = results.chi_square[rows]
    group = groups_of(results.chrom[rows], results.pos[rows])
    count, total = (np.bincount(group, w, GROUPS) for w in (None, statistic))
    place = np.minimum((np.sqrt(statistic) * (BINS / WIDEST)).astype(np.int64), BINS - 1)
    table = np.bincount(group * BINS + place, minlength=GROUPS * BINS).reshape(GROUPS, BINS)
    below = np.cumsum(table.sum(axis=0) - table, axis=1)
    left = len(statistic) - count
    middle = np.array([np.searchsorted(row, n / 2) for row, n in zip(below, left, strict=True)])
    middle = np.minimum(middle, BINS - 1)
    upper = np.take_along_axis(below, middle[:, None], 1)[:, 0]
    lower = np.where(middle > 0, np.take_along_axis(below, np.maximum(middle - 1, 0)[:, None], 1)[:, 0], 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (middle + (left / 2 - lower) / (upper - lower)) * (WIDEST / BINS)
        means = (total.sum() - total) / left
    mean = statistic.mean() if len(statistic) else np.nan
    return np.array([[lambda_gc(statistic), *(z**2 / NULL_MEDIAN)], [mean, *means]])


def used_groups(results: Results, rows: np.ndarray) -> np.ndarray:
    """Which groups have sites, (GROUPS,) bool."""
    return np.bincount(groups_of(results.chrom[rows], results.pos[rows]), minlength=GROUPS) > 0


def read_leads(path: str | Path) -> pd.DataFrame:
    """Index variants of p < 1e-4 of all traits of a cohort (rule hits), with `key` and chromosome numbers."""
    texts = dict.fromkeys(("trait", "chrom", "id", "effect_allele", "other_allele"), str)
    table = pd.read_csv(path, sep="\t", usecols=LEADS, dtype=texts, keep_default_na=False)
    numbers = chromosome_numbers(table["chrom"]) if len(table) else np.zeros(0, dtype=np.int8)
    pos = table["pos"].to_numpy(dtype=np.int64)
    key = site_keys(numbers, pos, table["other_allele"], table["effect_allele"])
    return table.astype(dict.fromkeys(("beta", "se", "log10p", "n", "af"), float)).assign(number=numbers, key=key)


def beside(leads: pd.DataFrame, results: Results | None, name: str) -> pd.DataFrame:
    """Leads with beta_NAME, se_NAME and log10p_NAME at the same site and alleles, NaN where not tested."""
    columns = ("beta", "se", "log10p")
    if results is None:
        return leads.assign(**{f"{c}_{name}": np.nan for c in columns})
    near = np.flatnonzero(np.isin(results.pos, leads["pos"].to_numpy()))
    place = pd.Index(results.key[near]).get_indexer(leads["key"])
    found = {f"{c}_{name}": np.where(place >= 0, np.append(getattr(results, c)[near], np.nan)[place], np.nan)
             for c in columns}  # fmt: skip
    return leads.assign(**found)


def near_signal(
    chrom: np.ndarray, pos: np.ndarray, real: Results, signal: float = SIGNAL, window: int = WINDOW
) -> np.ndarray:
    """Which places (k,) have a site of -log10 p >= signal within `window` bp in the real results, (k,) bool."""
    strong, near = real.log10p >= signal, np.zeros(len(pos), dtype=bool)
    for c in np.unique(chrom):
        here = chrom == c
        known = np.append(np.sort(real.pos[strong & (real.chrom == c)]), np.iinfo(np.int64).max)
        near[here] = known[np.searchsorted(known, pos[here] - window)] <= pos[here] + window
    return near


def false_leads(leads: pd.DataFrame, real: Results) -> pd.DataFrame:
    """number, pos of the leads (chromosome `number`, pos) with no real signal nearby."""
    near = near_signal(leads["number"].to_numpy(), leads["pos"].to_numpy(dtype=np.int64), real)
    return leads.loc[~near, ["number", "pos"]]


def at_fewer_people(leads: pd.DataFrame, ratio: float) -> pd.DataFrame:
    """The leads that are expected to be hits again of `ratio` times as many people; all of them from ratio 1 on."""
    return leads if ratio >= 1 else leads[scaled_log10p(leads["beta"], leads["se"], ratio) >= GENOME_WIDE]


def scaled_log10p(beta: np.ndarray, se: np.ndarray, ratio: float) -> np.ndarray:
    """-log10 p of statistics as they are expected of `ratio` times as many people."""
    return -chi2.logsf((beta / se) ** 2 * ratio, 1) / np.log(10)
