"""Attacks on genomes: is this person among those whose haplotypes the pseudo cohort was made from?

The attacker holds the target's phased genome, the pseudo cohort and a reference panel of independent people of the
same population. `statistics` are of one chromosome, `add` puts chromosomes together, `scores` are what is judged.

What a panel of strangers explains is taken off: a score's slope on the same statistic of the reference panel, over all
targets alike and so without knowing who is a member. With panels of equal size and noise the slope is near one, which
is the plain difference; of a larger reference panel, or a statistic that strangers hardly move, it takes what helps.
"""

import numpy as np

from pseudocohort.disclosure import frequencies, hmm, learned, matching, nearest, pbwt, rare_alleles, windows
from pseudocohort.disclosure import packed as bits

NEAREST_SITES = 8000  # evenly spread, of a chromosome: of 70,000 in 20 cM they lose less than .01 of the AUC
ATTACKS = ("match", "windows", "hmm", "alleles", "nearest", "learned")
SUMS = ("longest", *(f"sum>{t:g}" for t in matching.LENGTHS), "mean log")
MATCHES = (*SUMS, *(f"covered>{t:g}" for t in matching.COVERED), "log over", *(f"stitched {name}" for name in SUMS))


def attack_scores(
    members: np.ndarray | bits.Packed,
    nonmembers: np.ndarray | bits.Packed,
    pseudo: np.ndarray | bits.Packed,
    reference: np.ndarray | bits.Packed,
    cm: np.ndarray,
    relatives: np.ndarray | bits.Packed | None = None,
    attacks: tuple[str, ...] = ATTACKS,
    member_family: np.ndarray | None = None,
    nonmember_family: np.ndarray | None = None,
) -> dict[str, tuple[np.ndarray, ...]]:
    """Scores of each attack on one chromosome, (members,), (non-members,) and, if given, (relatives,): the higher, the
    more like a member.

    members, nonmembers, pseudo, reference, relatives: alleles 0 or 1, (sites, 2 people), or bits.Packed; the sites are
    the same.  cm: (sites,) genetic map, ascending.  families: by which what is learned is cross-fitted.
    """
    groups = [bits.pack(x) for x in (members, nonmembers, relatives) if x is not None]
    targets = groups[0] if len(groups) == 1 else bits.join(*groups)
    total = statistics(targets, bits.pack(pseudo), bits.pack(reference), np.asarray(cm, dtype=float), attacks)
    sizes = [g.number // 2 for g in groups]
    found = scores(total)
    if "cells" in total:
        families = (member_family, nonmember_family)
        found["learned"] = learned.learned_score(total["cells"], (sizes[0], sizes[1]), *families)
    return {name: tuple(np.split(value, np.cumsum(sizes)[:-1])) for name, value in found.items()}


def statistics(
    targets: bits.Packed,
    pseudo: bits.Packed,
    reference: bits.Packed,
    cm: np.ndarray,
    attacks: tuple[str, ...] = ATTACKS,
) -> dict[str, np.ndarray]:
    """Statistics of one chromosome by name, float64 (targets,) each, `cells` (targets, cells); chromosomes add up by
    `add`."""
    return statistics_and_carriers(targets, pseudo, reference, cm, attacks)[0]


def statistics_and_carriers(
    targets: bits.Packed,
    pseudo: bits.Packed,
    reference: bits.Packed,
    cm: np.ndarray,
    attacks: tuple[str, ...] = ATTACKS,
) -> tuple[dict[str, np.ndarray], matching.Carriers | None]:
    """`statistics`, and the pseudo people of the longest matches (None without matching).

    Sites at which the pseudo cohort does not vary are not compared letter by letter, as they may not be released: they
    count for frequencies alone. Whole people are compared at NEAREST_SITES of the sites, as all pairs of them are.
    """
    _check(targets, pseudo, reference, cm)
    found, carriers = {}, None
    if "alleles" in attacks:
        found |= allele_sums(targets, pseudo, reference)
    count = bits.counts(pseudo)
    varies = (count > 0) & (count < pseudo.number)
    targets, pseudo, reference = (bits.select(p, varies) for p in (targets, pseudo, reference))
    cm = cm[varies]
    if not len(cm):
        raise ValueError("the pseudo cohort varies at no site")
    if "windows" in attacks:
        found |= windows.window_sums(targets, pseudo, reference, cm)
    if "learned" in attacks:
        found["cells"] = learned.cells(targets, pseudo, reference, cm)
    panels = {"pseudo": pseudo, "reference": reference}
    if {"match", "hmm"} & set(attacks):
        sums, carriers = _copying(targets, panels, cm, "hmm" in attacks)
        found |= sums
    if "nearest" in attacks:
        some = bits.spread(len(cm), NEAREST_SITES)
        thin = bits.select(targets, some)
        for label, panel in panels.items():
            found[f"{label} nearest"] = -nearest.nearest_distance(thin, bits.select(panel, some))
    return found, carriers


def _copying(
    targets: bits.Packed, panels: dict[str, bits.Packed], cm: np.ndarray, with_hmm: bool
) -> tuple[dict, matching.Carriers]:
    """Sums over matches with both panels and the log-likelihoods of having been copied from them; and the carriers."""
    own, found, over, carriers = bits.words(targets), {}, [], None
    for label, panel in panels.items():
        matches = pbwt.set_maximal_matches(panel, targets)
        if label == "pseudo":
            carriers = matching.longest_carriers(matches, cm, targets.number // 2)
        stitched = matching.stitched_lengths(matches, own, panel, cm)
        over.append(matching.longest_over(matches, cm[matches.last] - cm[matches.first], cm, targets.number))
        sums = matching.match_sums(matches, stitched, cm, targets.number // 2) | matching.covered_sums(over[-1])
        if with_hmm:
            sums["hmm"] = hmm.log_likelihood(matches, own, panel, cm).reshape(-1, 2).sum(axis=1)
        found |= {f"{label} {name}": value for name, value in sums.items()}
    return found | {"match excess": matching.excess(*over)}, carriers


def allele_sums(targets: bits.Packed, pseudo: bits.Packed, reference: bits.Packed) -> dict[str, np.ndarray]:
    """Likelihood ratio of allele frequencies, and sharing of rare alleles with either panel."""
    count, known = bits.counts(pseudo), bits.counts(reference)
    numbers = (pseudo.number, reference.number)
    ratio, constant = frequencies.likelihood_ratio(*map(frequencies.frequency, (count, known), numbers))
    shared, constants = rare_alleles.sharing_weights(count, known, numbers)
    sums = bits.products(targets, np.column_stack([ratio, shared])) + np.array([constant, *constants])
    sums = sums.reshape(-1, 2, 3).sum(axis=1)
    return {"frequencies": sums[:, 0], "rare alleles": sums[:, 1] - sums[:, 2]}


def add(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Statistics of several chromosomes together: the larger one of what is called longest, the sum of all else."""
    ways = {name: np.maximum if name.endswith("longest") else np.add for name in parts[0]}
    return {name: way.reduce([part[name] for part in parts]) for name, way in ways.items()}


def scores(total: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Scores of all attacks, (targets,) each, of statistics of all targets together."""
    found = {name: value for name, value in total.items() if not name.startswith(("pseudo ", "reference ", "cells"))}
    for name in [*MATCHES, "hmm", "nearest"]:
        if f"pseudo {name.replace('mean log', 'log')}" in total:
            made, known = (_statistic(total, panel, name) for panel in ("pseudo", "reference"))
            lead = "" if name in ("hmm", "nearest") else "match "
            found[f"{lead}{name}"] = without_reference(made, known)
            if name == "hmm":
                found["hmm difference"] = made - known
    return found


def without_reference(made: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The pseudo cohort's statistic less what the reference panel's explains of it, (targets,) each."""
    spread = known - known.mean()
    square = spread @ spread
    return made - (spread @ made / square * spread if square > 0 else 0)


def _statistic(total: dict, panel: str, name: str) -> np.ndarray:
    value = total[f"{panel} {name.replace('mean log', 'log')}"]
    if name.endswith("mean log"):
        return value / np.maximum(total[f"{panel} {name.replace('mean log', 'cover')}"], matching.SHORTEST)
    return np.log(value + matching.SHORTEST) if name.endswith("longest") else value


def _check(targets: bits.Packed, pseudo: bits.Packed, reference: bits.Packed, cm: np.ndarray) -> None:
    sites = {len(p.rows) for p in (targets, pseudo, reference)} | {len(cm)}
    if len(sites) != 1:
        raise ValueError(f"targets, pseudo cohort, reference panel and map differ in sites: {sorted(sites)}")
    if np.any(np.diff(cm) < 0):
        raise ValueError("the genetic map must ascend")
    if targets.number % 2 or pseudo.number % 2 or reference.number % 2:
        raise ValueError("people have two haplotypes each")
