"""The evidence on genomes and items together: does who carries a founder's haplotype have the founder's items?"""

import logging

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import rankdata

from pseudocohort import counter
from pseudocohort.cohort.dictionary import NUMERIC, Dictionary
from pseudocohort.disclosure.evidence import FAILED, both_passed
from pseudocohort.disclosure.item_evidence import as_attacked
from pseudocohort.disclosure.items import CHANCE
from pseudocohort.disclosure.joint import attribute_by_haplotype, known_items, one_of_each_family, residuals
from pseudocohort.disclosure.panels import Panel
from pseudocohort.disclosure.records import attackers_tables, numbers
from pseudocohort.measures.line import measure

log = logging.getLogger("pseudocohort")
ALL, BEST = "mean over items", "the item that tells most"
NONE = "no carriers"
FOUND = 3.0  # z that the planted leaks must be found by: the goal's
NEEDED = 100  # targets with a carrier: by 60, a planted item was found in 293 of 300 simulations, by 30 in 285


def carriers(chromosomes: list[dict], panel: Panel) -> np.ndarray:
    """Row of the pseudo person with the longest match on any chromosome, of members, then of non-members: int64, -1
    without any.

    chromosomes: `carrier/length` and `carrier/donor` of `genome_attacks.attack_chromosome`.
    """
    people = len(panel.members) + len(panel.nonmembers)
    if not chromosomes:
        return np.full(people, -1)
    length, donor = (np.array([c[f"carrier/{name}"] for c in chromosomes]) for name in ("length", "donor"))
    return donor[length.argmax(axis=0), np.arange(people)]


def joint_evidence(
    tables: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
    pseudo: tuple[pd.DataFrame, pd.DataFrame],
    dictionary: Dictionary,
    panel: Panel,
    carrier: np.ndarray,
    seed: int,
) -> tuple[list[dict], dict]:
    """(lines, controls) for results/disclosure/joint.json.

    tables: people (family among others), items and scores of the real people, same rows.  pseudo: table of the pseudo
    cohort and its scores, same rows.  carrier: of `carriers`.  Targets are one of each family.  Controls: carriers who
    have their founders' items, all or a single one, and carriers at random.
    """
    people, items, scores = tables
    made, made_scores = pseudo
    real, fake = attackers_tables(people, items, dictionary), as_attacked(made)
    values, names = _numbers(real, fake, dictionary)
    left = residuals(values, *_known(real, scores, fake, made_scores))
    ours, theirs = left[: len(real)], left[len(real) :]
    family, m = people["family"].astype(str).to_numpy(), len(panel.members)
    sides = []
    for rows, own in ((panel.members, carrier[:m]), (panel.nonmembers, carrier[m:])):
        first = one_of_each_family(family[rows], own)
        sides.append((ours[rows[first]], own[first]))
    (members, carried), (others, other_carried) = sides
    draw = int(counter.key(seed, "attribute by haplotype")[0])
    found = attribute_by_haplotype(members, theirs, carried, draw)
    floor = attribute_by_haplotype(others, theirs, other_carried, draw)
    chance = counter.generator(seed, "carriers at random").permutation(carried)
    null = attribute_by_haplotype(members, theirs, chance, draw)
    known = known_items(members, theirs, carried)
    one = known[len(known) // 2 :][:1]  # neither the best known item nor the least
    told = [attribute_by_haplotype(members, _told(theirs, members, carried, items), carried, draw)
            for items in (known, one)]  # fmt: skip
    controls = {
        ALL: _controls(told[0].mean, told[0].mean_z, null.mean, null.mean_z, found.targets),
        BEST: _controls(told[1].best, told[1].best_z, null.best, null.best_z, found.targets),
    }
    reasons = {subject: {True: None, False: FAILED, None: NONE}[both_passed(c)] for subject, c in controls.items()}
    log.info("%d founders and their carriers compared by %d items", found.targets, len(known))
    about = {"targets": found.targets, "items": len(known)}
    lines = [
        measure("haplotype_attribute", found.mean, subject=ALL, floor=floor.mean, z=found.mean_z,
                interval=found.interval, reason=reasons[ALL], **about),
        measure("haplotype_attribute", found.best, subject=BEST, floor=floor.best, z=found.best_z,
                reason=reasons[BEST], **about, item=names[found.item] if len(known) else ""),
    ]  # fmt: skip
    return lines, controls


def _controls(planted: float, planted_z: float, null: float, null_z: float, targets: int) -> dict:
    """A planted leak that too few targets hide is not judged: `passed` None, with how many are needed."""
    few = {} if planted_z > FOUND or targets >= NEEDED else {"needed": NEEDED}
    return {
        "planted": {"correlation": _finite(planted), "z": _finite(planted_z),
                    "passed": None if few else bool(planted_z > FOUND), **few},
        "null": {"correlation": _finite(null), "z": _finite(null_z),
                 "passed": bool(abs(null_z) <= CHANCE) if np.isfinite(null_z) else None},
    }  # fmt: skip


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _told(pseudo: np.ndarray, members: np.ndarray, carrier: np.ndarray, items: np.ndarray) -> np.ndarray:
    """The pseudo people's residuals with those of the members whose haplotypes they carry, in some columns."""
    leaky = pseudo.copy()
    leaky[np.ix_(carrier, items)] = members[:, items]
    return leaky


def _numbers(real: pd.DataFrame, made: pd.DataFrame, dictionary: Dictionary) -> tuple[np.ndarray, list[str]]:
    """Items as normal scores of their ranks, real people first, (people, items) with NaN, those with an order alone;
    and their names."""
    columns, names = [], []
    for item in dictionary.items:
        if item.type in (*NUMERIC, "ordinal", "binary") and item.name in real and item.name in made:
            value = np.concatenate([numbers(t[item.name], item) for t in (real, made)])
            seen = np.isfinite(value)
            value[seen] = ndtri((rankdata(value[seen]) - 0.5) / max(seen.sum(), 1))
            columns.append(value)
            names.append(item.name)
    return np.column_stack(columns) if columns else np.empty((len(real) + len(made), 0)), names


def _known(real, scores, made, made_scores) -> tuple[np.ndarray, np.ndarray]:
    """What explains items without any leak, (people, columns): scores, sex, age, strata; and who is pseudo."""
    names = [c for c in scores.columns if c in made_scores.columns and pd.api.types.is_numeric_dtype(scores[c])]
    both = pd.concat([real, made], ignore_index=True)
    told = [pd.concat([scores[names], made_scores[names]]).to_numpy(dtype=float)]
    told += [pd.get_dummies(both[name].astype(str), dtype=float).to_numpy()[:, 1:] for name in ("sex", "stratum")]
    if "age" in real and "age" in made and both["age"].notna().any():
        age = both["age"].to_numpy(dtype=float)
        age = np.where(np.isnan(age), np.nanmean(age), age)
        told.append(np.column_stack([age, age**2 / 100]))
    x = np.column_stack(told)
    spread = x.std(axis=0)
    return (x[:, spread > 0] - x.mean(axis=0)[spread > 0]) / spread[spread > 0], np.arange(len(both)) >= len(real)
