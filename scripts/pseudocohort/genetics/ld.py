"""Linkage disequilibrium of a chromosome: LD scores and pruning, streamed in blocks of sites.

r is Pearson's correlation of ALT dosages, as in LDSC and plink2's --indep-pairwise. What lies in memory are the sites
of one window and block, whatever the length of the chromosome. Males on X have dosages 0 and 2.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.files import write_tsv_gz
from pseudocohort.genotypes import Genotypes

BLOCK = 512  # sites of one matrix product
READ, CALLS = 4096, 20_000_000  # sites read together, at most, and their genotypes


class _Block(NamedTuple):
    """rows: (b,) rows of the .pvar.  x: float32 (b, n), mean 0 and mean square 1.  frequency: (b,) of ALT."""

    rows: np.ndarray
    x: np.ndarray
    frequency: np.ndarray


def standardise(dosages: np.ndarray, minimum_frequency: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Common sites of a block, each with mean 0 and mean square 1.

    dosages: int8 (b, n).  minimum_frequency: of the rarer allele; sites without variation are never common.
    Returns positions (k,) of the common sites in the block, x float32 (k, n) and frequency of ALT (k,).
    """
    n = dosages.shape[1]
    ones = dosages.sum(axis=1, dtype=np.int64)
    squares = np.einsum("ij,ij->i", dosages, dosages, dtype=np.int64, casting="unsafe")
    variance = squares / n - (ones / n) ** 2
    common = np.flatnonzero((np.minimum(ones, 2 * n - ones) >= 2 * n * minimum_frequency * (1 - 1e-9)) & (variance > 0))
    x = dosages[common].astype(np.float32)
    x -= (ones[common] / n).astype(np.float32)[:, None]
    x *= (1 / np.sqrt(variance[common])).astype(np.float32)[:, None]
    return common, x, ones[common] / (2 * n)


def _common_blocks(genotypes: Genotypes, minimum_frequency: float, size: int) -> Iterator[_Block]:
    """Common sites of a chromosome in blocks of `size`, in order."""
    rows, x, frequency = np.zeros(0, dtype=int), np.zeros((0, genotypes.n_people), dtype=np.float32), np.zeros(0)
    for start, stop in genotypes.blocks(max(min(READ, CALLS // max(genotypes.n_people, 1)), 1)):
        common, new, new_frequency = standardise(genotypes.dosages(start, stop), minimum_frequency)
        rows, x = np.append(rows, start + common), np.concatenate([x, new])
        frequency = np.append(frequency, new_frequency)
        whole = len(rows) - len(rows) % size
        for low in range(0, whole, size):
            yield _Block(*(part[low : low + size] for part in (rows, x, frequency)))
        rows, x, frequency = rows[whole:], x[whole:], frequency[whole:]
    if len(rows):
        yield _Block(rows, x, frequency)


def ld_scores(
    prefix: str | Path,
    people_rows: np.ndarray | None,
    genetic_map=None,
    window_cm: float = 1.0,
    window_bp: int = 1_000_000,
    minimum_frequency: float = 0.01,
) -> pd.DataFrame:
    """LD score of every common site: l_j = sum_k r2_jk - (1 - r2_jk) / (n - 2), its own term 1 (Bulik-Sullivan 2015).

    k runs over the common sites at most `window_cm` away by the genetic map (a `GeneticMap`), or `window_bp` where
    there is none.  people_rows: (n,) rows of the .psam, or None for all; minimum_frequency: of the rarer allele.
    Returns a row a common site: chrom, pos, id, cm (NaN without a map), maf, l2; index: row of the .pvar.
    The cost is n times the number of pairs in windows; memory n times the sites of one window, float32.
    """
    with Genotypes(prefix, people_rows) as genotypes:
        n, sites = genotypes.n_people, genotypes.sites
        bp = sites["pos"].to_numpy()
        cm = np.full(len(bp), np.nan) if genetic_map is None else genetic_map.cm_at(bp)
        place, window = (bp, window_bp) if genetic_map is None else (cm, window_cm)
        total, frequency = np.zeros(len(bp)), np.full(len(bp), np.nan)
        near: deque[_Block] = deque()
        for block in _common_blocks(genotypes, minimum_frequency, BLOCK):
            frequency[block.rows] = block.frequency
            while near and place[near[0].rows[-1]] < place[block.rows[0]] - window:
                near.popleft()
            for other in near:
                squares = _squares_within(other, block, place, window)
                total[other.rows] += squares.sum(axis=1)
                total[block.rows] += squares.sum(axis=0)
            total[block.rows] += _squares_within(block, block, place, window).sum(axis=1)
            near.append(block)
    kept = np.flatnonzero(np.isfinite(frequency))
    where = place[kept]
    count = np.searchsorted(where, where + window, "right") - np.searchsorted(where, where - window, "left") - 1
    others = total[kept] - 1  # without the site's own term
    scores = 1 + others - (count - others) / (n - 2)
    maf = np.minimum(frequency[kept], 1 - frequency[kept])
    return sites.iloc[kept][["chrom", "pos", "id"]].assign(cm=cm[kept], maf=maf, l2=scores)


def _squares_within(first: _Block, second: _Block, place: np.ndarray, window: float) -> np.ndarray:
    """r2 (a, b) of two blocks' sites, 0 beyond the window."""
    r = first.x @ second.x.T
    r *= np.float32(1 / first.x.shape[1])
    here, there = place[first.rows], place[second.rows]
    inside = (here[:, None] >= there - window) & (here[:, None] <= there + window)
    return np.where(inside, np.minimum(r * r, 1), np.float32(0)).astype(np.float64)


def prune(
    prefix: str | Path,
    people_rows: np.ndarray | None,
    minimum_frequency: float = 0.01,
    r2: float = 0.2,
    window: int = 1_000_000,
) -> np.ndarray:
    """Common sites no two of which within `window` bp have a squared correlation above r2, in one pass.

    From left to right a site is kept unless a kept one before it, at most `window` bp away, has r2 above the limit.
    So no such pair is left, and no site that was dropped could be added. plink2 --indep-pairwise drops the rarer site
    of a pair instead, and keeps fewer: it also drops sites that are linked with nothing it keeps.
    people_rows: (n,) rows of the .psam, or None for all.  Returns increasing rows of the .pvar (k,).
    """
    with Genotypes(prefix, people_rows) as genotypes:
        pos, n = genotypes.sites["pos"].to_numpy(), genotypes.n_people
        limit = np.float32(np.sqrt(r2) * n)
        kept: list[np.ndarray] = []
        near_rows, near = np.zeros(0, dtype=int), np.zeros((0, n), dtype=np.float32)
        for block in _common_blocks(genotypes, minimum_frequency, BLOCK // 2):
            inside = pos[near_rows] >= pos[block.rows[0]] - window
            near_rows, near = near_rows[inside], near[inside]
            linked = np.abs(near @ block.x.T) > limit
            linked &= pos[near_rows][:, None] >= pos[block.rows] - window
            free = np.flatnonzero(~linked.any(axis=0))
            chosen = free[_first_come(np.abs(block.x[free] @ block.x[free].T) > limit, pos[block.rows[free]], window)]
            kept.append(block.rows[chosen])
            near_rows, near = np.append(near_rows, block.rows[chosen]), np.concatenate([near, block.x[chosen]])
    return np.concatenate(kept) if kept else np.zeros(0, dtype=int)


def _first_come(linked: np.ndarray, pos: np.ndarray, window: float) -> list[int]:
    """Positions kept, from left to right, when a site kept excludes those linked (k, k) with it in the window."""
    free, kept = np.ones(len(linked), dtype=bool), []
    for i in range(len(linked)):
        if free[i]:
            kept.append(i)
            free &= ~(linked[i] & (pos <= pos[i] + window))
    return kept


def write_ld_scores(folder: str | Path, chrom: str, table: pd.DataFrame) -> None:
    """Write {chrom}.l2.ldscore.gz, .l2.M and .l2.M_5_50 as ldsc reads them (--ref-ld-chr folder/)."""
    columns = {"chrom": "CHR", "id": "SNP", "pos": "BP", "cm": "CM", "maf": "MAF", "l2": "L2"}
    write_tsv_gz(Path(folder) / f"{chrom}.l2.ldscore.gz", table[list(columns)].rename(columns=columns))
    for name, count in (("M", len(table)), ("M_5_50", int((table["maf"] > 0.05).sum()))):
        (Path(folder) / f"{chrom}.l2.{name}").write_text(f"{count}\n")


def read_ld_scores(folder: str | Path, chromosomes: Iterable[str]) -> pd.DataFrame:
    """chrom, id, pos, cm, maf, l2 of the chromosomes in order, one below the other."""
    columns = {"CHR": "chrom", "SNP": "id", "BP": "pos", "CM": "cm", "MAF": "maf", "L2": "l2"}
    tables = [
        pd.read_csv(
            Path(folder) / f"{chrom}.l2.ldscore.gz", sep="\t", dtype={"CHR": str, "SNP": str},
            keep_default_na=False, na_values={"CM": [""]},
        )
        for chrom in chromosomes
    ]  # fmt: skip
    empty = pd.DataFrame(columns=list(columns))
    return pd.concat(tables or [empty], ignore_index=True).rename(columns=columns)
