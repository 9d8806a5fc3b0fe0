"""The evidence on genomes: every attack on founders and on their relatives with its controls, and what is exposed."""

import logging

import numpy as np

from pseudocohort.disclosure import combined, genomes, learned
from pseudocohort.disclosure.evidence import both_passed, curve, membership_lines
from pseudocohort.disclosure.exposure import SMALLEST, grouped
from pseudocohort.disclosure.genome_attacks import FAMILIES
from pseudocohort.disclosure.items import Attacked
from pseudocohort.disclosure.panels import Panel
from pseudocohort.disclosure.roc import judged_scores
from pseudocohort.measures.line import measure

log = logging.getLogger("pseudocohort")
# Attack -> beginnings of the names of its scores; several scores become one by `combined`.
ATTACKS = {
    "haplotype matching": ("match ",),
    "window haplotypes": ("windows ",),
    "copying model": ("hmm",),
    "allele frequencies": ("frequencies",),
    "rare alleles": ("rare alleles",),
    "nearest neighbour": ("nearest",),
    "learned classes": ("learned",),
}
PLAIN = ("allele frequencies", "rare alleles", "nearest neighbour")  # one score each, and no weights fitted
ALL = "all combined"
NO_AUTOSOME = "no autosome"
WORST = 0.05  # share of people with the longest segments


def genome_evidence(chromosomes: list[dict], panel: Panel, family: np.ndarray) -> tuple[list[dict], dict, dict]:
    """(lines, controls by attack, arrays for figures) of the attacks on genomes.

    chromosomes: of `genome_attacks.attack_chromosome`.  family: (people,) labels of the rows of the people table.
    """
    if not chromosomes:
        return [measure("genome_membership", None, subject=ALL, reason=NO_AUTOSOME)], {}, {}
    found, planted = (_added(chromosomes, lead) for lead in ("found/", "planted/"))
    m, n = len(panel.members), len(panel.nonmembers)
    ours, theirs = family[panel.members], family[panel.nonmembers]
    one, other = np.flatnonzero(panel.planted), np.flatnonzero(~panel.planted)
    families = theirs[one], theirs[other]
    halves = np.concatenate([one, other])
    real = attack_scores(found, m, ours, theirs)
    leak = attack_scores({k: v[halves] for k, v in planted.items()}, len(one), *families)
    null = attack_scores({k: v[m + halves] for k, v in found.items()}, len(one), *families)
    lines, controls, arrays = [], {}, {}
    for name, score in real.items():
        member, nonmember, relative = score[:m], score[m : m + n], score[m + n :]
        fitted = name not in PLAIN
        sides = [
            judged_scores(x[: len(one)], x[len(one) :], *families, fitted=fitted) for x in (leak[name], null[name])
        ]
        found_out = Attacked(judged_scores(member, nonmember, ours, theirs, fitted=fitted), *sides)
        controls[name] = found_out.controls
        passed = both_passed(controls[name])
        lines += membership_lines("genome", name, found_out.judged, passed, m)
        kin = judged_scores(relative, nonmember, ours[: len(relative)], theirs)
        lines += membership_lines("relative", name, kin, passed, len(relative))
        arrays |= _curves(name, member, nonmember, relative)
    log.info("%d founders and %d others attacked by their genomes", m, n)
    return [*lines, *match_lines(found, m, n)], controls, arrays | match_arrays(found, m, n)


def _added(chromosomes: list[dict], lead: str) -> dict[str, np.ndarray]:
    """Statistics of all chromosomes together."""
    return genomes.add([{k.removeprefix(lead): v for k, v in c.items() if k.startswith(lead)} for c in chromosomes])


def attack_scores(total: dict, members: int, member_family: np.ndarray, nonmember_family: np.ndarray) -> dict:
    """Scores by attack of ATTACKS, and ALL, (targets,) each: members, non-members, and anyone else behind them.

    ALL is a little above 1/2 where there is nothing to find (by .02 of 100 people, by a fifth of its standard error):
    the learned scores that it is fitted on come from regressions that have seen those whom it judges.
    """
    sizes, families = (members, len(nonmember_family)), (member_family, nonmember_family)
    single = genomes.scores(total) | {"learned": learned.learned_score(total["cells"], sizes, *families)}

    def together(names: list[str]) -> np.ndarray:
        return combined.cross_fitted(np.column_stack([single[name] for name in names]), sizes, *families)

    made = {}
    for attack, starts in ATTACKS.items():
        names = [name for name in single if name.startswith(starts)]
        made[attack] = single[names[0]] if len(names) == 1 else together(names)
    return made | {ALL: together(list(single))}


def _curves(name: str, member: np.ndarray, nonmember: np.ndarray, relative: np.ndarray) -> dict[str, np.ndarray]:
    """ROC curves of founders and of relatives, where there are people enough for a point."""
    sides = {"founders": member, "relatives": relative}
    enough = min(len(member), len(nonmember), len(relative)) >= 4 * SMALLEST
    return {f"roc/{side}/{name}": curve(x, nonmember) for side, x in sides.items()} if enough else {}


def match_lines(total: dict, members: int, nonmembers: int) -> list[dict]:
    """The longest segments that stand letter by letter in the pseudo cohort: of founders, beside those of others."""
    longest = total["pseudo longest"]
    sides = longest[:members], longest[members : members + nonmembers]
    lines = []
    for subject, mean in (("all people", np.mean), (f"the {100 * WORST:.0f} % with the longest", _mean_of_top)):
        value, floor = (float(mean(x)) if len(x) >= SMALLEST else None for x in sides)
        lines.append(measure("longest_match", value, subject=subject, floor=floor))
    return lines


def _mean_of_top(values: np.ndarray) -> float:
    count = max(SMALLEST, int(np.ceil(WORST * len(values))))
    return float(np.sort(values)[-count:].mean())


def match_arrays(total: dict, members: int, nonmembers: int) -> dict[str, np.ndarray]:
    """Longest segments by rank, means of groups of five people at least."""
    longest = total["pseudo longest"]
    sides = {"founders": longest[:members], "holdout": longest[members : members + nonmembers]}
    return {f"longest/{name}": np.array(grouped(x)) for name, x in sides.items()}


def exposure_lines(chromosomes: list[dict], descents: list[dict], kin: int) -> list[dict]:
    """What is exposed whoever attacks: copies, alleles of few families, how many founders stand behind a place.

    chromosomes: of `genome_attacks.attack_chromosome`, and `carried`, int64 (2, classes), of `carrying_families`.
    descents: of `genome.descent`.  kin: people of the holdout who are kin of founders.
    """
    if not chromosomes:
        return []
    lines = []
    for subject in ("1 cM", "5 cM", "whole chromosome"):
        value, floor = np.mean([c[f"copies/{subject}"] for c in chromosomes], axis=0)
        lines.append(measure("copied_windows", value, subject=subject, floor=floor))
    value, floor = np.mean([c["copies/near"] for c in chromosomes], axis=0)
    lines.append(measure("near_copies", value, floor=floor))
    for subject, name in (("founders", "own founders"), ("pseudo people", "own pseudo")):
        value, floor = np.mean([c[f"copies/{name}"] for c in chromosomes], axis=0)
        lines.append(measure("adversarial_accuracy", value, subject=subject, floor=floor))
    few = np.array(FAMILIES) < SMALLEST
    alleles, rare = sum(c["carried"] for c in chromosomes)
    lines.append(measure("few_families", _share(alleles[few].sum(), alleles.sum()), alleles=int(alleles.sum()),
                         one=_share(alleles[0], alleles.sum()), rare=_share(rare[few].sum(), rare.sum())))  # fmt: skip
    weight = np.array([d["length_cm"] for d in descents]) + 1e-9

    def mean(name: str) -> float | None:
        values = [d[name] for d in descents]
        return None if None in values else float(np.average(values, weights=weight))

    founders = 2 * descents[0]["founders"]
    lines.append(measure("effective_founders", mean("effective"), haplotypes=founders))
    lines.append(measure("founders_lost", mean("lost"), everywhere=mean("lost_everywhere"), haplotypes=founders))
    lines.append(measure("segment_length", mean("mean_cm"), covering=mean("covering_cm"), middle=mean("quantile_50"),
                         long=mean("quantile_99")))  # fmt: skip
    lines.append(measure("kin_moved", kin if kin == 0 or kin >= SMALLEST else None))
    return lines


def exposure_arrays(chromosomes: list[dict]) -> dict[str, np.ndarray]:
    """Released alleles by the number of founders' families that carry them, for a figure."""
    if not chromosomes:
        return {}
    alleles, rare = sum(c["carried"] for c in chromosomes)
    return {"families/classes": np.array(FAMILIES), "families/all": alleles, "families/rare": rare}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
