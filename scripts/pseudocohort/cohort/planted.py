"""Health records of strangers given to genomes at random, with a planted, written-down genetic effect.

Nobody has published paired human genomes and health records. These stand in for them: the items and their
correlations are real, the genomes are real, and the genetic truth is known because it was put there.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import cyvcf2
import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.builds import plain_name
from pseudocohort.errors import InputError

MINIMUM_FREQUENCY = 0.05


class CommonSites(NamedTuple):
    """Common biallelic sites of the autosomes: `sites` (chrom pos ref alt) and ALT counts int8 (sites, people)."""

    sites: pd.DataFrame
    dosage: np.ndarray


def read_common_sites(sources: Iterable[str | Path], people: list[str]) -> CommonSites:
    """Sites of VCF or BCF files with a minor allele frequency of 5 % or more, without missing calls."""
    rows, dosages = [], []
    for source in sources:
        reader = cyvcf2.VCF(str(source), gts012=True, strict_gt=True)
        order = pd.Index(reader.samples).get_indexer(people)
        for variant in reader:
            if len(variant.ALT) != 1 or plain_name(variant.CHROM) in ("X", "Y", "MT"):
                continue
            dosage = variant.gt_types[order]
            frequency = dosage.mean() / 2
            if dosage.max() <= 2 and min(frequency, 1 - frequency) >= MINIMUM_FREQUENCY:
                rows.append((plain_name(variant.CHROM), variant.POS, variant.REF, variant.ALT[0]))
                dosages.append(dosage.astype(np.int8))
        reader.close()
    return CommonSites(pd.DataFrame(rows, columns=["chrom", "pos", "ref", "alt"]), np.array(dosages, dtype=np.int8))


def assign_rows(table: pd.DataFrame, sex_item: str, sex: np.ndarray, seed: int) -> np.ndarray:
    """Row of the table for every person, at random without replacement among the rows of the person's sex.

    sex: (people,) 1 male, 2 female; other codes may get any row that is left.
    """
    random = counter.generator(seed, "planted rows")
    codes = table[sex_item].astype(str).str.upper().str[0].map({"M": 1, "1": 1, "F": 2, "2": 2}).to_numpy()
    rows = np.full(len(sex), -1)
    for code in (1, 2):
        people, pool = np.flatnonzero(sex == code), np.flatnonzero(codes == code)
        if len(people) > len(pool):
            raise InputError(
                f"{len(people)} people of one sex, but only {len(pool)} rows of it",
                where="config key planted.table",
                expected="a table with at least as many rows of each sex as there are people",
                remedy="give a larger table",
            )
        rows[people] = random.permutation(pool)[: len(people)]
    rest = np.flatnonzero(rows < 0)
    rows[rest] = random.permutation(np.setdiff1d(np.arange(len(table)), rows))[: len(rest)]
    return rows


def plant(values: np.ndarray, genetic: np.ndarray, h2: float) -> np.ndarray:
    """Give `values` (n,) a genetic share h2 of their variance, keeping mean and SD; NaN stay NaN.

    genetic: (n,) genetic values, on any scale.  The few results beyond the range of `values` get its bound.
    """
    mean, sd = np.nanmean(values), np.nanstd(values)
    standard = (genetic - genetic.mean()) / genetic.std()
    planted = mean + np.sqrt(1 - h2) * (values - mean) + np.sqrt(h2) * sd * standard
    return np.clip(planted, np.nanmin(values), np.nanmax(values))


def choose_effects(common: CommonSites, sites: int, seed: int, item: str) -> tuple[np.ndarray, np.ndarray]:
    """Random causal sites (rows of `common`) and the contributions (sites, 3) of 0, 1 and 2 ALT alleles.

    The effects per SD of the dosage are standard normal.
    """
    random = counter.generator(seed, "planted effects", item)
    if sites > len(common.sites):
        raise InputError(
            f"{sites} causal sites wanted, {len(common.sites)} common sites found",
            where=f"config key planted.effects.{item}.sites",
            remedy="ask for fewer",
        )
    rows = np.sort(random.choice(len(common.sites), sites, replace=False))
    weight = random.standard_normal(sites) / common.dosage[rows].std(axis=1)
    return rows, weight[:, None] * np.arange(3)


def genetic_values(contributions: np.ndarray, dosage: np.ndarray) -> np.ndarray:
    """Sum over sites of the contribution (sites, 3) of everybody's ALT count (sites, people): (people,)."""
    return np.take_along_axis(contributions, dosage.astype(np.intp), axis=1).sum(axis=0)


def decimals_of(values: pd.Series) -> int:
    """Digits after the point that the values are written with (at most 3)."""
    seen = values.dropna().to_numpy(dtype=float)
    return next((d for d in range(3) if np.allclose(seen, np.round(seen, d))), 3)


def effects_table(item: str, sites: pd.DataFrame, contributions: np.ndarray, sd: float) -> pd.DataFrame:
    """Truth of one item: chrom pos ref alt effect_allele, and the mean effect of an ALT allele in genetic SDs."""
    effect = (contributions[:, 2] - contributions[:, 0]) / 2 / sd
    table = sites.assign(item=item, effect_allele=sites["alt"], effect=effect)
    return table[["item", "chrom", "pos", "ref", "alt", "effect_allele", "effect"]]
