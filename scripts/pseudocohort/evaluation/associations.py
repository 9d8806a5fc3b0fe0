"""Association results of the pseudo cohort against the real ones, trait by trait.

Hits are clumped (rule hits). Real hits are found in the founders (train); pseudo and holdout are then asked for the
same sites. The holdout is the noise floor: effects at hits shrink there too (winner's curse). It is smaller than the
pseudo cohort, so that distances are those of `matched`, as many pseudo people as it has, and statistics of all pseudo
people are brought to the founders' number where stated (hits of both to the smaller number).
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
    GENOME_WIDE,
    GROUPS,
    Results,
    as_arrays,
    at_fewer_people,
    beside,
    false_leads,
    inflation,
    near_signal,
    shared,
    used_groups,
)
from pseudocohort.evaluation.effects import effect_lines
from pseudocohort.evaluation.hits import hit_lines
from pseudocohort.evaluation.inflation import inflation_lines, permuted_lines
from pseudocohort.genetics.results import read_association, traits_in
from pseudocohort.measures.line import measure

log = logging.getLogger("pseudocohort")
SUGGESTIVE = 5.0  # used instead where fewer than FEW hits reach genome-wide significance
FEW = 5
OTHERS = ("holdout", "matched", "synthetic", "permuted")
COHORTS = ("real", *OTHERS)
BESIDE = ("holdout", "synthetic", "matched")


class Trait(NamedTuple):
    """Summary of one trait.

    n, inflation, hits: by cohort: people, (2, 1 + GROUPS) of `inflation` over all its sites, number of hits.
    shared: by cohort, (2, 2, 1 + GROUPS) the same of the sites that both have, real's first; of matched, the
    holdout's; of `growth`, matched and all pseudo people.  used: (GROUPS,) bool, groups that have sites.
    leads: in real, p < 1e-5, with the other cohorts' effects at the same sites.
    known, made: hits (number, pos) of founders and pseudo people, both at the smaller of their numbers of people.
    false: by cohort, hits (number, pos) without a real signal near; pseudo people's those of `made`.
    near: share of the founders' sites that have a signal near.  stray: hits (number, pos) of permuted people.
    sites: tested in the last cohort, the permuted one.  peak: largest -log10 p in real.
    """

    name: str
    n: dict[str, float]
    inflation: dict[str, np.ndarray]
    hits: dict[str, int]
    shared: dict[str, np.ndarray]
    used: np.ndarray
    leads: pd.DataFrame
    known: pd.DataFrame
    made: pd.DataFrame
    false: dict[str, pd.DataFrame]
    near: float
    stray: pd.DataFrame
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
    elsewhere has no line there.  One trait is held at a time, in three cohorts at most.
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
    """Summary of one trait, and its points for Manhattan and QQ plots; three cohorts are held at most."""
    real = as_arrays(read_association(files["real"], name))
    every = np.arange(len(real.key))
    n, whole, drawn = {"real": real.n}, {"real": inflation(real, every)}, points(real, "real", rng)
    together, false, held, sites = {}, {}, {}, 0
    hits = {c: table[table["log10p"] >= GENOME_WIDE] for c, table in leads.items()}
    count = {c: len(table) for c, table in hits.items()}
    strong = leads["real"][leads["real"]["log10p"] >= SUGGESTIVE]
    for cohort in OTHERS:
        other = as_arrays(read_association(files[cohort], name)) if cohort in files else None
        strong = beside(strong, other, cohort) if cohort in BESIDE else strong
        if other is None:
            continue
        n[cohort], whole[cohort], sites = other.n, inflation(other, np.arange(len(other.key))), len(other.key)
        together |= _pairs(cohort, real, other, held)
        if cohort == "synthetic":
            drawn |= points(other, cohort, rng)
            hits["synthetic"] = at_fewer_people(hits["synthetic"], real.n / other.n)
            hits["real"] = at_fewer_people(hits["real"], other.n / real.n)
        if cohort in BESIDE:
            false[cohort] = false_leads(hits[cohort], real)
        held = {cohort: other}
    known, made, stray = (hits.get(c, strong.iloc[:0])[["number", "pos"]] for c in ("real", "synthetic", "permuted"))
    near = near_signal(real.chrom, real.pos, real).mean() if len(real.key) else np.nan
    return Trait(
        name, n, whole, count, together, used_groups(real, every), strong.assign(trait=name), known, made, false,
        float(near), stray, sites, float(real.log10p.max(initial=0.0)),
    ), drawn  # fmt: skip


def _pairs(cohort: str, real: Results, other: Results, held: dict[str, Results]) -> dict[str, np.ndarray]:
    """`shared` of a Trait as far as a cohort and the one `held` before it give it."""
    if cohort == "matched":
        return {cohort: _pair(held["holdout"], other)} if "holdout" in held else {}
    growth = {"growth": _pair(held["matched"], other)} if cohort == "synthetic" and "matched" in held else {}
    return {cohort: _pair(real, other)} | growth


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
    """One row of the table of traits: n, lambda GC, mean chi-square and hits of every cohort, and what follows.

    Hits of real and synthetic are those at the smaller of their numbers of people, as in the line hit_count."""
    row = {"trait": trait.name}
    for cohort in COHORTS:
        lam, mean = trait.inflation[cohort][:, 0].tolist() if cohort in trait.n else (None, None)
        row |= {f"n_{cohort}": trait.n.get(cohort), f"lambda_gc_{cohort}": lam, f"mean_chi_square_{cohort}": mean}
        row[f"hits_{cohort}"] = trait.hits.get(cohort)
    row |= {f"{key}_all": row[key] for key in ("hits_real", "hits_synthetic")}
    row |= {"hits_real": len(trait.known), "hits_synthetic": len(trait.made)}
    row["false_hits_synthetic"] = len(trait.false["synthetic"])
    return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in row.items()}
