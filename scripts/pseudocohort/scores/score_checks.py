"""What a user should know of a scoring file before trusting it: allele frequencies, strands, builds, kinds of weight.

Nothing here changes a score. Every doubt is one sentence; a file may deserve several, or none.
"""

import re

import numpy as np

from pseudocohort.cohort.builds import get_build
from pseudocohort.scores.matching import ABSENT, AS_IS, DIFFERENT, REPEATED, Match
from pseudocohort.scores.pgs_catalog import Score

FEWEST = 20  # effects that a share is told of
FAR = 0.2  # allele frequencies of one ancestry hardly ever differ by more
HEADER = ("pgs_id", "pgs_name", "omicspred_id", "trait_reported", "trait_mapped", "trait_efo", "weight_type")
HEADER += ("genome_build", "HmPOS_build", "HmPOS_date", "variants_number", "pgp_id", "citation", "license")


def kept_header(score: Score) -> dict[str, str]:
    """The header lines that say what the score is, whose it is, and what may be done with it."""
    return {key: text for key, text in score.header.items() if key in HEADER or _tells_ancestry(key)}


def _tells_ancestry(key: str) -> bool:
    return bool(re.search("ancestr|population", key.lower()))


def overlap_of_variance(score: Score, found: Match) -> float | None:
    """Share of the sum of squared weights times 2p(1-p) that the matched effects have; None when nothing can be told.

    p is the cohort's frequency, for effects without a site the file's, and where it has none, 2p(1-p) is the mean of
    the matched effects'. Refused rows have no part in it.
    """
    squared = per_allele(score) ** 2
    p = np.where(found.matched, found.here, np.nan).astype(float)
    if score.frequency is not None:
        p = np.where(np.isnan(p), score.frequency, p)
    spread = 2 * p * (1 - p)
    if np.isnan(spread[found.matched]).all():
        return None
    spread = np.where(np.isnan(spread), np.nanmean(spread[found.matched]), spread)
    whole = float(squared @ spread)
    return float(squared[found.matched] @ spread[found.matched]) / whole if whole > 0 else None


def per_allele(score: Score) -> np.ndarray:
    """(rows,) mean effect of one effect allele."""
    return score.weights if score.weights.ndim == 1 else (score.weights[:, 2] - score.weights[:, 0]) / 2


def compare_frequencies(score: Score, found: Match) -> dict | None:
    """The file's frequencies of the effect allele beside the cohort's; None if there are fewer than 20 of both.

    sites, correlation, mean_difference (absolute), different (by more than 0.2), swapped (those of them within 0.1 of
    one minus the cohort's).
    """
    if score.frequency is None:
        return None
    both = found.matched & np.isfinite(found.here) & np.isfinite(score.frequency)
    if both.sum() < FEWEST:
        return None
    theirs, here = score.frequency[both], found.here[both].astype(float)
    far = np.abs(theirs - here) > FAR
    varies = theirs.std() > 0 and here.std() > 0
    return {
        "sites": int(both.sum()),
        "correlation": float(np.corrcoef(theirs, here)[0, 1]) if varies else None,
        "mean_difference": float(np.abs(theirs - here).mean()),
        "different": int(far.sum()),
        "swapped": int((far & (np.abs(theirs - (1 - here)) < 0.1)).sum()),
    }


def warnings_of(score: Score, found: Match, build: str, frequencies: dict | None, variance: float | None) -> list[str]:
    """Every doubt about a file, a sentence each."""
    said = [*_about_build(score, found, build), *_about_strands(found), *_about_weights(score)]
    said += _about_frequencies(score, frequencies)
    if variance is not None and variance < 0.5:
        said.append(f"the matched effects have only {variance:.0%} of the score's variance")
    return said


def _about_build(score: Score, found: Match, build: str):
    if not score.build:
        yield f"the file does not state its build; its positions are taken to be on {build}"
    length, table = get_build(build).length, score.table
    last = np.array([length.get(name, 2**40) for name in table["chrom"].cat.categories], dtype=np.int64)
    beyond = int((table["pos"].to_numpy() > last[table["chrom"].cat.codes]).sum()) if len(last) else 0
    if beyond:
        yield f"{beyond} positions are beyond the ends of the chromosomes of {build}: the build may be another"
    near = int((found.outcome != ABSENT).sum())
    wrong = int((found.outcome == DIFFERENT).sum())
    if near >= FEWEST and wrong > near / 2:
        yield f"at {wrong} of {near} positions the alleles are not the cohort's: the build may be another"


def _about_strands(found: Match):
    count = np.bincount(found.outcome, minlength=AS_IS + 4)
    same, other = count[AS_IS : AS_IS + 2].sum(), count[AS_IS + 2 : AS_IS + 4].sum()
    if same + other >= FEWEST and other > 0.1 * (same + other):
        yield (
            f"{other} of {same + other} effects are on the other strand: the file mixes strands or is not on the "
            "reference's, and its A/T and C/G effects are uncertain"
        )
    if count[REPEATED]:
        yield f"{count[REPEATED]} effects were left out because another effect of the file is on the same site"


def _about_weights(score: Score):
    weights = per_allele(score)
    if len(weights) == 0 or not weights.any():
        yield "all weights are 0"
        return
    ratio = any(re.fullmatch("or|hr|odds ratio|hazard ratio", t.strip().lower()) for t in score.weight_types)
    if ratio or (weights.min() > 0.2 and 0.5 < np.median(weights) < 2 and len(weights) >= FEWEST):
        yield "the weights look like odds or hazard ratios, where a score needs their logarithms"
    elif (weights >= 0).all() and len(weights) >= FEWEST:
        yield "no weight is negative: right only if every effect allele is the one that raises the trait or risk"
    if len(score.weight_types) > 1:
        yield f"the weights are of several kinds: {', '.join(score.weight_types)}"


def _about_frequencies(score: Score, frequencies: dict | None):
    if frequencies is None:
        if not any(_tells_ancestry(key) for key in score.header):
            page = f": see https://www.pgscatalog.org/score/{score.name}/" if score.name.startswith("PGS") else ""
            yield f"the file tells neither ancestry nor enough allele frequencies to compare it by{page}"
        return
    sites, different, swapped = (frequencies[key] for key in ("sites", "different", "swapped"))
    r = frequencies["correlation"]
    if r is not None and r < 0:
        yield f"allele frequencies run against the cohort's (correlation {r:.2f}): effect and other allele are swapped"
    elif swapped > 0.02 * sites:
        yield f"{swapped} of {sites} allele frequencies are one minus the cohort's: effect alleles are swapped there"
    if different - swapped > 0.05 * sites:
        yield (
            f"{different} of {sites} allele frequencies differ from the cohort's by more than {FAR}: the score may be "
            "of another ancestry and predict less here"
        )
