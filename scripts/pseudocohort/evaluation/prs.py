"""What a polygenic score is worth that somebody learns on the pseudo cohort: tested in the real holdout.

Clumping and thresholding (C+T; International Schizophrenia Consortium 2009): the index variants of p below a
threshold, each with its marginal effect, once from the associations of the pseudo people and once from those of the
founders. Both scores meet the same people, the real holdout, whom neither has seen.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.evaluation.metrics import FOLDS, jackknifed
from pseudocohort.genetics.basis import orthonormal
from pseudocohort.genetics.clumping import LEAD_P
from pseudocohort.genetics.traits import Traits
from pseudocohort.measures.line import measure
from pseudocohort.scores.pgs_catalog import TraitWeights

LEARNT = ("synthetic", "real")


class Worth(NamedTuple):
    """Of t traits: names; people (t,) tested; r2 (2, t, 1 + FOLDS) of scores learnt on pseudo people and founders,
    whole and without each group of families; correlation (t,) of both, NaN where either is constant; sites (2, t)."""

    names: tuple[str, ...]
    people: np.ndarray
    r2: np.ndarray
    correlation: np.ndarray
    sites: np.ndarray


def weights_of(leads: pd.DataFrame, trait: str) -> TraitWeights:
    """C+T weights of a trait from the leads of rule hits."""
    mine = leads[leads["trait"] == trait].drop_duplicates("key")
    sites = mine.rename(columns={"other_allele": "ref", "effect_allele": "alt"})[["chrom", "pos", "id", "ref", "alt"]]
    return TraitWeights(sites.reset_index(drop=True), mine["beta"].to_numpy(dtype=float))


def worth(traits: Traits, scores: dict[str, np.ndarray], sites: np.ndarray, fold: np.ndarray) -> Worth:
    """How well both kinds of scores predict.

    traits: of the n people of the holdout.  scores: by LEARNT (n, t).  sites: (2, t) of each score.
    fold: (n,) group of families, 0 to FOLDS - 1.
    """
    r2 = np.array([[partial_r2(traits, k, scores[c][:, k], fold) for k in range(len(traits.names))] for c in LEARNT])
    pairs = zip(*(scores[c].T for c in LEARNT), strict=True)
    correlation = [np.corrcoef(a, b)[0, 1] if np.ptp(a) > 0 and np.ptp(b) > 0 else np.nan for a, b in pairs]
    people = np.isfinite(traits.values).sum(axis=0)
    return Worth(traits.names, people, r2.reshape(2, -1, 1 + FOLDS), np.array(correlation), sites)


def partial_r2(traits: Traits, k: int, score: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Share of what the covariates leave of a trait that a score (n,) explains; with the sign of its effect.

    (1 + FOLDS,), whole and without each fold, the covariates fitted once. Binary traits on the observed scale.
    A score that predicts the wrong way round explains less than nothing: its share counts as negative.
    """
    have = np.isfinite(traits.values[:, k])
    basis = orthonormal(np.column_stack([np.ones(have.sum()), traits.covariates[have]]))
    y, x = (v[have] - basis @ (basis.T @ v[have]) for v in (traits.values[:, k], score))
    sums = [np.bincount(fold[have], product, FOLDS) for product in (x * y, x * x, y * y)]
    xy, xx, yy = (np.array([s.sum(), *(s.sum() - s)]) for s in sums)
    constant = xx[0] <= 1e-9 * max((score[have] ** 2).sum(), 1e-300)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.sign(xy) * xy**2 / (xx * yy)
    return np.zeros(1 + FOLDS) if constant or yy[0] <= 0 else share


def prs_lines(found: Worth) -> list[dict]:
    """Mean R2 over the traits for which the founders give a score, and the correlation of the two scores.

    Only stated: what a second real cohort's scores would be worth beside the founders' is not known of a run, as it
    takes two real cohorts as large as the founders and people of neither.

    Not judged where the 95 % interval of the R2 of the founders' own scores reaches 0.
    """
    told = found.sites[1] > 0
    if not told.any():
        return [measure(key, None, reason="no scores") for key in ("prs_r2", "prs_correlation")]
    made, real = found.r2[:, told].mean(axis=1)
    ratio = made / real if real[0] > 0 else np.full(len(made), np.nan)
    interval = jackknifed(ratio[0], ratio[1:])
    reason = None if jackknifed(real[0], real[1:])[0] > 0 else "weak scores"
    both = found.correlation[told]
    r = float(np.nanmean(both)) if np.isfinite(both).any() else None
    people = int(np.median(found.people[told]))
    return [
        measure("prs_r2", made[0], floor=real[0], ratio=ratio[0], interval=interval, traits=told.sum(), reason=reason,
                p=f"{LEAD_P:.0e}".replace("e-0", "e-"), tested=people),
        measure("prs_correlation", r, traits=int(np.isfinite(both).sum())),
    ]  # fmt: skip


def per_trait(found: Worth) -> list[dict]:
    """A row a trait: trait, prs_people, prs_r2 and prs_sites by where they were learnt."""
    return [
        {"trait": name, "prs_people": int(found.people[k])}
        | {f"prs_r2_{c}": float(found.r2[i, k, 0]) for i, c in enumerate(LEARNT)}
        | {f"prs_sites_{c}": int(found.sites[i, k]) for i, c in enumerate(LEARNT)}
        for k, name in enumerate(found.names)
    ]
