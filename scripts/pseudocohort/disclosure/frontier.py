"""The frontier: what each protection costs in realism and what it saves, on one chromosome of the cohort itself.

For every setting a sample of the founders reproduces anew, with the same code as the whole run, and all attacks are
run on what comes out: members are some of these founders (transmitted or not), non-members the holdout's half A, the
attacker's reference panel its half B. Everybody's genomes lie in a temporary folder that only its owner reads.
One setting is a null control: founders without the families that are attacked, so nothing is to be found.
"""

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.disclosure import combined, genomes, packed, roc
from pseudocohort.disclosure.utility import Groups, utility
from pseudocohort.errors import InputError
from pseudocohort.genome.founders import drawn_families, founded_of, founders_of
from pseudocohort.genome.mosaic import trace_mosaic
from pseudocohort.genome.pedigree import make_pedigree
from pseudocohort.genome.protected import transmit_protected
from pseudocohort.genome.protection import Founded, make_protection
from pseudocohort.genome.recombination import make_recombination
from pseudocohort.genome.transmission import transmit
from pseudocohort.genotypes import Genotypes, GenotypeWriter

log = logging.getLogger("pseudocohort")
FOUNDERS, OTHERS, TARGETS, SITES = 1000, 400, 300, 12_000  # at most: people transmitted, of A and of B, attacked; sites
FEWEST = 20  # people of A, of B and attacked
GENERATIONS = (2, 5, 10, 20, 50)
BLOCK = 256


class Setting(NamedTuple):
    """kind: one of KINDS.  protection: what `make_protection` reads; founder_share: None for everybody."""

    kind: str
    generations: int
    founder_share: float | None = None
    protection: Mapping = MappingProxyType({})


NULL = "null"
KINDS = ("mendelian", "founder share", "rare sites dropped", "windows of 1 %", "windows of 2 %", "protected",
         "this run", NULL)  # fmt: skip


class Cohort(NamedTuple):
    """A sample of a chromosome. prefix: of its .pgen triple.  people: their table, in its order, part train, A or B.
    targets: rows of the members that are attacked.  sites: DataFrame pos, ref, alt.  cm: (sites,).
    alleles: packed.Packed (sites, 2 people)."""

    prefix: Path
    people: pd.DataFrame
    targets: np.ndarray
    sites: pd.DataFrame
    cm: np.ndarray
    alleles: packed.Packed


def settings_of(config: dict, presets: dict[str, dict]) -> list[Setting]:
    """What is compared: generations, protections at the run's number of them, and the run's own settings.

    config: generations, founder_share, protection (those that are on) of the run.
    """
    g, windows = config["generations"], {"most": 3, "window_cm": 0.05}
    found = [Setting("mendelian", n) for n in sorted({*GENERATIONS, g})]
    found.append(Setting("founder share", g, 0.5))
    found.append(Setting("rare sites dropped", g, None, {"minimum_allele_count": 5}))
    for share in (0.01, 0.02):
        both = {"minimum_allele_count": 5, "k_anonymous": {"share": share} | windows}
        found.append(Setting(f"windows of {share:.0%}".replace("%", " %"), g, None, both))
    found.append(Setting("protected", g, None, presets["protected"]))
    own = Setting("this run", g, config["founder_share"], config["protection"])
    if all(own[1:] != other[1:] for other in found):
        found.append(own)
    return [*found, Setting(NULL, g)]


def frontier(
    real_prefix: str | Path,
    people: pd.DataFrame,
    genetic_map,
    chrom: str,
    seed: int,
    settings: list[Setting],
    pedigree: dict,
    recombination: dict,
    folder: str | Path,
) -> dict:
    """Points of the frontier and what they were made from, as frontier.json has them: aggregates alone.

    people: the real people's table.  pedigree: mating, avoid_kin, migration and founders (all or unrelated);
    recombination: of the configuration.  folder: where a private temporary folder is made.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix="frontier.") as name:
        cohort = sample_cohort(real_prefix, people, genetic_map, seed, pedigree["founders"], Path(name))
        points, left_out = [], []
        for setting in settings:
            try:
                made = reproduce(cohort, setting, genetic_map, chrom, seed, pedigree, recombination)
            except InputError:  # as of too few families for it, or founders of one sex: the others can be compared
                log.warning("%s, %d generations: too few founders", setting.kind, setting.generations)
                left_out.append(describe(setting))
                continue
            points.append(describe(setting) | attacked(cohort, made, seed) | {"utility": useful(cohort, made, seed)})
            log.info("%s, %d generations: AUC %.3f", setting.kind, setting.generations, points[-1]["combined"]["auc"])
    part = cohort.people["part"]
    sample = {"founders": int((part == "train").sum()), "members": len(cohort.targets), "sites": len(cohort.sites)}
    sample |= {"nonmembers": int((part == "A").sum()), "reference": int((part == "B").sum()), "chromosome": chrom}
    sample["cm"] = round(float(np.ptp(cohort.cm)), 3)
    return {"sample": sample, "points": points, "left_out": left_out}


def sample_cohort(real_prefix, people: pd.DataFrame, genetic_map, seed: int, which: str, folder: Path) -> Cohort:
    """Draw people by family, and sites evenly; write them to `folder`. Raises InputError for too small a holdout."""
    rows = []
    transmitted = np.zeros(len(people), dtype=bool)
    transmitted[founders_of(people, which).rows] = True
    for part, most in (("train", FOUNDERS), ("A", OTHERS), ("B", OTHERS)):
        there = transmitted if part == "train" else (people["part"] == part).to_numpy()
        if there.sum() < FEWEST:
            raise InputError(
                f"{'founders' if part == 'train' else 'part ' + part + ' of the holdout'}: {there.sum()} people",
                where="config key disclosure.frontier",
                expected=f"at least {FEWEST} to attack, to compare with, and to tell what strangers have in common",
                remedy="raise the holdout, or set disclosure.frontier: null",
            )
        share = min(1.0, most / there.sum())
        drawn = drawn_families(people["family"].where(there), share, int(counter.key(seed, "frontier")[0]))
        rows.append(np.flatnonzero(drawn))
    rows = np.sort(np.concatenate(rows))
    table = people.iloc[rows].reset_index(drop=True)
    member = table["family"].where(table["part"] == "train")
    share = min(0.5, TARGETS / member.notna().sum())  # the others are founders of the null control
    targets = np.flatnonzero(drawn_families(member, share, int(counter.key(seed, "frontier members")[0])))
    with Genotypes(real_prefix, rows) as real:
        sites = packed.spread(real.n_sites, SITES)
        blocks, prefix = [], folder / "founders"
        with GenotypeWriter(prefix, np.arange(len(rows)), table["sex"].to_numpy(), len(sites)) as writer:
            for low in range(0, len(sites), BLOCK):
                at = sites[low : low + BLOCK]
                alleles = np.concatenate([real.haplotypes(i, i + 1) for i in at.tolist()])
                writer.append(alleles, real.sites.iloc[at])
                blocks.append(packed.pack(alleles).rows)
        chosen = real.sites[["pos", "ref", "alt"]].iloc[sites].reset_index(drop=True)
    cm = np.asarray(genetic_map.cm_at(chosen["pos"].to_numpy()), dtype=float)
    return Cohort(prefix, table, targets, chosen, cm, packed.Packed(np.concatenate(blocks), 2 * len(rows)))


def reproduce(
    cohort: Cohort, setting: Setting, genetic_map, chrom: str, seed: int, pedigree: dict, recombination: dict
) -> np.ndarray:
    """Alleles of as many pseudo people as there are founders at the sample's sites: int8 (sites, 2 people).

    Sites that are not written are 0 for everybody: the attacker sees that they are not there.
    """
    rest = {k: v for k, v in pedigree.items() if k != "founders"}
    people, family = cohort.people, cohort.people["family"]
    number = int((people["part"] == "train").sum())
    if setting.kind == NULL:
        people = people.assign(part=people["part"].mask(family.isin(family.iloc[cohort.targets]), "left out"))
    founders = founders_of(people, "all", setting.founder_share, seed)
    family_tree = make_pedigree(founders, number, setting.generations, seed=seed, **rest)
    tables = make_recombination(genetic_map, chrom, **recombination)
    mosaic = trace_mosaic(family_tree, tables, chrom, seed, device="cpu")
    out, sex = cohort.prefix.with_name("pseudo"), family_tree.sex[-1]
    files = (cohort.prefix, founders.rows, mosaic, genetic_map, out, np.arange(number), sex)
    if setting.protection:
        founded = Founded(*founded_of(people, founders))
        protection = make_protection(setting.protection, int(founded.family.max()) + 1)
        transmit_protected(*files, protection, founded, chrom, seed)
    else:
        transmit(*files, device="cpu")
    made = np.zeros((len(cohort.sites), 2 * number), dtype=np.int8)
    keys = ["pos", "ref", "alt"]
    with Genotypes(out) as pseudo:
        places = cohort.sites.assign(row=range(len(cohort.sites)))
        there = pseudo.sites[keys].merge(places, on=keys, how="left", validate="one_to_one")["row"].to_numpy()
        for low, high in pseudo.blocks(BLOCK):
            made[there[low:high]] = pseudo.haplotypes(low, high)
    return made


def attacked(cohort: Cohort, made: np.ndarray, seed: int) -> dict:
    """Best single attack and all attacks combined: AUC with its 95 % interval, and true positives at 1 % false ones.

    The best is chosen among many after the fact, so it is a little too high; what is combined is cross-fitted.
    """
    part, family = cohort.people["part"].to_numpy(dtype=str), cohort.people["family"].to_numpy(dtype=str)
    others, known = np.flatnonzero(part == "A"), np.flatnonzero(part == "B")
    families = {"member_family": family[cohort.targets], "nonmember_family": family[others]}
    panels = [_panel(cohort.alleles, rows) for rows in (cohort.targets, others)]
    scores = genomes.attack_scores(*panels, made, _panel(cohort.alleles, known), cohort.cm, **families)
    scores = {name: pair for name, pair in scores.items() if np.ptp(np.concatenate(pair)) > 0}
    single = {name: roc.auc_with_error(*pair, *families.values()) for name, pair in scores.items()}
    best = max(single, key=lambda name: single[name][0])
    auc, error = single[best]
    rng = counter.generator(seed, "frontier intervals")
    judged = roc.judged_scores(*combined.combine(scores, **families), *families.values(), rng, fitted=True)
    rate = judged.rates[0]
    return {
        "best": {"attack": best, **_auc(auc, (auc - 1.96 * error, auc + 1.96 * error))},
        "combined": _auc(judged.auc, judged.interval)
        | {"true_positives_1": None if np.isnan(rate.value) else round(rate.value, 4)},
    }


def useful(cohort: Cohort, made: np.ndarray, seed: int) -> dict:
    """`utility` with as many haplotypes of every group as there are in the holdout; None where there is no number."""
    rng = counter.generator(seed, "frontier utility")
    part = cohort.people["part"].to_numpy(dtype=str)
    held = np.flatnonzero(np.isin(part, ("A", "B")))
    chosen = np.sort(rng.permutation(made.shape[1] // 2)[: len(held)])
    columns = (2 * chosen[:, None] + [0, 1]).ravel()
    founders = _panel(cohort.alleles, np.flatnonzero(part == "train"))
    groups = Groups(founders, _panel(cohort.alleles, held), made[:, columns])
    found = utility(groups, cohort.cm, rng)
    kept = made.any(axis=1).mean()
    return {k: round(v, 4) if np.isfinite(v) else None for k, v in (found | {"sites_kept": float(kept)}).items()}


def describe(setting: Setting) -> dict:
    """A setting as frontier.json has it."""
    return setting._asdict() | {"protection": dict(setting.protection)}


def _panel(alleles: packed.Packed, rows: np.ndarray) -> np.ndarray:
    """Alleles of some people, uint8 (sites, 2 rows)."""
    columns = (2 * rows[:, None] + [0, 1]).ravel()
    return np.concatenate([block[:, columns] for block in alleles.blocks()])


def _auc(auc: float, ends: tuple[float, float]) -> dict:
    return {"auc": round(float(auc), 4), "interval": [round(float(np.clip(x, 0, 1)), 4) for x in ends]}
