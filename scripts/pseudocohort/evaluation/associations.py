"""Association results of the pseudo cohort against the real ones, trait by trait.

Hits are clumped (rule hits). Real hits are found in the founders (train); pseudo and holdout are then asked for the
same sites. The holdout is the noise floor: effects at hits shrink there too (winner's curse). It is smaller than the
pseudo cohort, so that distances are those of `matched`, as many pseudo people as it has, and statistics of all pseudo
people are scaled to the founders' number where stated.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.evaluation.association_figures import hit_arrays, keep_strongest, points, trait_arrays
from pseudocohort.evaluation.association_results import (
    GROUPS,
    Results,
    as_arrays,
    beside,
    false_leads,
    inflation,
    scaled_log10p,
    shared,
    used_groups,
)
from pseudocohort.evaluation.effects import effect_lines
from pseudocohort.evaluation.inflation import hit_lines, inflation_lines, permuted_lines
from pseudocohort.genetics.results import read_association, traits_in
from pseudocohort.measures.line import measure

log = logging.getLogger("pseudocohort")
GENOME_WIDE = float(-np.log10(5e-8))
SUGGESTIVE = 5.0  # used instead where fewer than FEW hits reach genome-wide significance
FEW = 5
OTHERS = ("holdout", "matched", "synthetic", "permuted")
COHORTS = ("real", *OTHERS)
BESIDE = ("holdout", "synthetic", "matched")


class Trait(NamedTuple):
    """Summary of one trait.

    n, inflation, hits: by cohort: people, (2, 1 + GROUPS) of `inflation` over all its sites, number of hits.
    shared: by cohort, (2, 2, 1 + GROUPS) the same of the sites that both have, real's first; of matched, the holdout's.
    used: (GROUPS,) bool, groups that have sites.
    leads: in real, p < 1e-5, with the other cohorts' effects at the same sites.
    made: pseudo hits scaled to the founders' number (number, pos).  false: by cohort, hits without a real signal near.
    sites: tested in the last cohort, the permuted one.  peak: largest -log10 p in real.
    """

    name: str
    n: dict[str, float]
    inflation: dict[str, np.ndarray]
    hits: dict[str, int]
    shared: dict[str, np.ndarray]
    used: np.ndarray
    leads: pd.DataFrame
    made: pd.DataFrame
    false: dict[str, int]
    sites: int
    peak: float


class Evaluated(NamedTuple):
    """lines: see `measure`.  arrays: aggregates for the figures.  table: a row a trait, see `per_trait`."""

    lines: list[dict]
    arrays: dict[str, np.ndarray]
    table: list[dict]


def evaluate_associations(
    directories: Mapping[str, str | Path], leads: Mapping[str, pd.DataFrame], seed: int
) -> Evaluated:
    """All lines of the associations, and aggregates for the figures.

    directories: of `write_association` for real and synthetic, and for holdout, matched and permuted where they are.
    leads: of the same, `read_leads`.  Traits missing in real or synthetic are left out and counted; a trait missing
    elsewhere has no line there.  One trait is held at a time.
    """
    names = {c: set(traits_in(d)) for c, d in directories.items()}
    both = sorted(names["real"] & names["synthetic"])
    rng = counter.generator(seed, "evaluate associations")
    traits, drawn = [], {}
    by_trait = {c: dict(list(table.groupby("trait"))) for c, table in leads.items()}
    for i, name in enumerate(both):
        files = {c: d for c, d in directories.items() if name in names[c]}
        some = {c: tables.get(name, leads[c].iloc[:0]) for c, tables in by_trait.items() if c in files}
        trait, drawn[name] = summarise(name, files, some, rng)
        traits.append(trait)
        keep_strongest(drawn, traits)
        log.info("trait %d of %d compared", i + 1, len(both))
    traits.sort(key=lambda t: -t.peak)
    threshold = SUGGESTIVE if sum(t.hits["real"] for t in traits) < FEW else GENOME_WIDE
    hits = stacked(traits, threshold)
    arrays = {"threshold": np.array(threshold)} | trait_arrays(traits) | hit_arrays(hits)
    shown = [t.name for t in traits if t.name in drawn]
    arrays["points/names"] = shown or ["-"]
    arrays |= {f"points/{i}/{k}": v for i, name in enumerate(shown) for k, v in drawn[name].items()}
    unmatched = len(names["real"] ^ names["synthetic"])
    return Evaluated(association_lines(traits, hits, threshold, unmatched), arrays, [per_trait(t) for t in traits])


def summarise(
    name: str, files: Mapping[str, str | Path], leads: Mapping[str, pd.DataFrame], rng: np.random.Generator
) -> tuple[Trait, dict[str, np.ndarray]]:
    """Summary of one trait, and its points for Manhattan and QQ plots; real and one other cohort are held at a time."""
    real = as_arrays(read_association(files["real"], name))
    every = np.arange(len(real.key))
    n, whole, drawn = {"real": real.n}, {"real": inflation(real, every)}, points(real, "real", rng)
    together, false, held = {}, {}, None
    beyond = {c: table[table["log10p"] >= GENOME_WIDE] for c, table in leads.items()}
    strong = leads["real"][leads["real"]["log10p"] >= SUGGESTIVE]
    made, sites = beyond["synthetic"], 0
    for cohort in OTHERS:
        other = as_arrays(read_association(files[cohort], name)) if cohort in files else None
        strong = beside(strong, other, cohort) if cohort in BESIDE else strong
        if other is None:
            continue
        n[cohort], whole[cohort] = other.n, inflation(other, np.arange(len(other.key)))
        if cohort != "matched" or held is not None:
            together[cohort] = _pair(held if cohort == "matched" else real, other)
        if cohort == "synthetic":
            drawn |= points(other, cohort, rng)
            ratio = min(real.n / other.n, 1.0)
            made = made[scaled_log10p(made["beta"], made["se"], ratio) >= GENOME_WIDE]
        if cohort in BESIDE:
            false[cohort] = false_leads(made if cohort == "synthetic" else beyond[cohort], real)
        held, sites = other if cohort == "holdout" else None, len(other.key)
    return Trait(
        name, n, whole, {c: len(t) for c, t in beyond.items()}, together, used_groups(real, every),
        strong.assign(trait=name), made[["number", "pos"]], false, sites, float(real.log10p.max(initial=0.0)),
    ), drawn  # fmt: skip


def _pair(one: Results, other: Results) -> np.ndarray:
    mine, theirs = shared(one, other)
    if not len(mine):
        return np.full((2, 2, 1 + GROUPS), np.nan)
    return np.array([inflation(one, mine), inflation(other, theirs)])


def association_lines(traits: list[Trait], hits: pd.DataFrame, threshold: float, unmatched: int) -> list[dict]:
    """Lines over all traits.  hits: of `stacked`, by threshold (-log10 p)."""
    count = measure("traits_compared", len(traits), unmatched=unmatched)
    if not traits:
        return [count]
    return [
        *inflation_lines(traits), *effect_lines(hits, threshold), *hit_lines(traits), *permuted_lines(traits), count,
    ]  # fmt: skip


def stacked(traits: list[Trait], threshold: float) -> pd.DataFrame:
    """The real leads of all traits that reach a threshold of -log10 p."""
    tables = [t.leads[t.leads["log10p"] >= threshold] for t in traits]
    filled = [t for t in tables if len(t)]
    return pd.concat(filled or tables[:1], ignore_index=True) if tables else pd.DataFrame()


def per_trait(trait: Trait) -> dict:
    """One row of the table of traits: n, lambda GC, mean chi-square and hits of every cohort, and what follows."""
    row = {"trait": trait.name}
    for cohort in COHORTS:
        lam, mean = trait.inflation[cohort][:, 0].tolist() if cohort in trait.n else (None, None)
        row |= {f"n_{cohort}": trait.n.get(cohort), f"lambda_gc_{cohort}": lam, f"mean_chi_square_{cohort}": mean}
        row[f"hits_{cohort}"] = trait.hits.get(cohort)
    row |= {"hits_synthetic_scaled": len(trait.made), "false_hits_synthetic": trait.false["synthetic"]}
    return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in row.items()}
