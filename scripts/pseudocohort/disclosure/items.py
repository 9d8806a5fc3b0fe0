"""Attacks on items: was this person's row of items among those that the model was trained on?

The attacker holds the target's row, the pseudo cohort, and a reference of other real people. Scores are higher for who
seems a member. Beside each attack stand its controls: rows copied into the pseudo cohort, which it must find, and
targets none of whom is a member, among whom it must find nothing.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from scipy.stats import norm

from pseudocohort.disclosure.combined import combine
from pseudocohort.disclosure.records import Records, with_copies
from pseudocohort.disclosure.roc import CONFIDENCE, Judged, judged_scores

COMPONENTS = 8  # of the density ratio: a kernel density needs few dimensions
MOST_ROWS = 4000  # of a panel that distances are taken to
COPIED = 0.25  # share of the pseudo rows that the planted leak replaces
FOUND = 0.6  # least AUC of a planted leak
CHANCE = 3.29  # a null beyond so many standard errors happens once in 1,000
BLOCK = 1000
TREES = 200
ALL = "all"  # attacks combined, the one with fitted weights


class Sides(NamedTuple):
    """members, nonmembers: targets; pseudo; reference: real people who are neither targets nor trained on.
    member_family, nonmember_family: (targets,) labels."""

    members: Records
    nonmembers: Records
    pseudo: Records
    reference: Records
    member_family: np.ndarray
    nonmember_family: np.ndarray


class Attacked(NamedTuple):
    """judged: what an attack finds; planted, null: the same for its controls, null of two halves of the non-members."""

    judged: Judged
    planted: Judged
    null: Judged

    @property
    def controls(self) -> dict:
        """As in results/disclosure/*.json: AUC and whether the control passed.

        The planted leak must be found: by an AUC of FOUND that chance alone reaches in 1 of 40 at most. Where it is
        not, it has failed if people are enough to tell FOUND from chance, or if the AUC is so low as that of such a
        leak is in 1 of 40. Else nothing can be said: `passed` is None, and `needed` are the non-members it would take.
        A null below chance is no leak, but has failed as one above has: what scores biased against members do not find
        is no evidence.
        """
        planted, reach = self.planted, norm.ppf((1 + CONFIDENCE) / 2) * self.planted.error
        found = bool(planted.auc >= FOUND and planted.auc - 0.5 > reach)
        short = (2 * reach / (FOUND - 0.5)) ** 2  # how many times the people it would take
        control = {"auc": planted.auc, "passed": found}
        if not found and short > 1 and FOUND - planted.auc <= reach:
            people = 2 * self.null.rates[0].nonmembers
            control |= {"passed": None, "needed": int(np.ceil(short * people))}
        return {"planted": control, "null": {"auc": self.null.auc, "passed": bool(abs(self.null.z) <= CHANCE)}}


def attack_records(sides: Sides, rng: np.random.Generator) -> dict[str, Attacked]:
    """Every attack on rows, and all of them combined by a cross-fitted logistic regression."""
    real = _with_combined(_scores(sides, rng), sides.member_family, sides.nonmember_family)
    leaky, copied = with_copies(sides.pseudo, sides.members, COPIED, rng)
    planted = _scores(sides._replace(pseudo=leaky, members=sides.members.take(copied)), rng)
    planted = _with_combined(planted, sides.member_family[copied], sides.nonmember_family)
    one, other = halves(sides.nonmember_family, rng)
    null = _scores(sides._replace(members=sides.nonmembers.take(one), nonmembers=sides.nonmembers.take(other)), rng)
    null = _with_combined(null, sides.nonmember_family[one], sides.nonmember_family[other])
    families = sides.member_family, sides.nonmember_family
    return {
        name: Attacked(
            judged_scores(*real[name], *families, fitted=name == ALL),
            judged_scores(*planted[name], sides.member_family[copied], families[1], fitted=name == ALL),
            judged_scores(*null[name], families[1][one], families[1][other], fitted=name == ALL),
        )
        for name in real
    }


def _with_combined(scores: dict, ours: np.ndarray, theirs: np.ndarray) -> dict:
    return scores | {ALL: combine(scores, ours, theirs)}


def halves(family: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two halves that part no family."""
    names, code = np.unique(family, return_inverse=True)
    first = rng.permutation(len(names)) < len(names) / 2
    return np.flatnonzero(first[code]), np.flatnonzero(~first[code])


def _scores(sides: Sides, rng: np.random.Generator) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Scores of members and non-members by attack."""
    pseudo, reference = (_some(r, rng) for r in (sides.pseudo, sides.reference))
    targets = np.vstack([sides.members.x, sides.nonmembers.x])
    found = {
        "nearest record": nearest(targets, pseudo.x, reference.x),
        "nearest record alone": -distances(targets, pseudo.x)[:, 0],
        "density ratio": density_ratio(targets, pseudo.x, reference.x),
        "forest": forest(targets, pseudo.x, reference.x, int(rng.integers(2**31))),
    }
    cut = len(sides.members.x)
    return {name: (score[:cut], score[cut:]) for name, score in found.items()}


def _some(records: Records, rng: np.random.Generator) -> Records:
    rows = len(records.x)
    return records if rows <= MOST_ROWS else records.take(np.sort(rng.permutation(rows)[:MOST_ROWS]))


def nearest(targets: np.ndarray, pseudo: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """log distance to the nearest reference row less that to the nearest pseudo row: (targets,)."""
    return np.log(distances(targets, reference)[:, 0] + 1e-9) - np.log(distances(targets, pseudo)[:, 0] + 1e-9)


def distances(targets: np.ndarray, panel: np.ndarray, count: int = 1) -> np.ndarray:
    """Euclidean distances to the `count` nearest rows of a panel, ascending: (targets, count)."""
    found = [np.sort(np.partition(cdist(targets[i : i + BLOCK], panel), count - 1)[:, :count])
             for i in range(0, len(targets), BLOCK)]  # fmt: skip
    return np.concatenate(found)


def density_ratio(targets: np.ndarray, pseudo: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """log p(x | pseudo) - log p(x | reference), kernel densities on the first whitened principal components.

    DOMIAS (van Breugel et al. 2023, eq. 2) with Gaussian kernels of Scott's bandwidth n^(-1 / (d + 4)).
    """
    known = np.vstack([pseudo, reference])
    centre = known.mean(axis=0)
    _, size, axes = np.linalg.svd((known - centre) / np.sqrt(len(known)), full_matrices=False)
    kept = min(COMPONENTS, int((size > 1e-9).sum()))
    turn = axes[:kept].T / size[:kept]
    x = (targets - centre) @ turn
    return _log_density(x, (pseudo - centre) @ turn) - _log_density(x, (reference - centre) @ turn)


def _log_density(x: np.ndarray, panel: np.ndarray) -> np.ndarray:
    n, d = panel.shape
    width = n ** (-1 / (d + 4))
    parts = [logsumexp(-0.5 * cdist(x[i : i + BLOCK], panel, "sqeuclidean") / width**2, axis=1)
             for i in range(0, len(x), BLOCK)]  # fmt: skip
    return np.concatenate(parts) - np.log(n) - d * np.log(width)


def forest(targets: np.ndarray, pseudo: np.ndarray, reference: np.ndarray, seed: int) -> np.ndarray:
    """Share of fully grown trees that take a row for a pseudo rather than a reference row: (targets,).

    Trees grown to single rows remember them, so that a row that was copied falls to the copy.
    """
    from sklearn.ensemble import ExtraTreesClassifier

    model = ExtraTreesClassifier(TREES, max_features=0.5, class_weight="balanced", random_state=seed)
    model.fit(np.vstack([pseudo, reference]), np.repeat([1, 0], [len(pseudo), len(reference)]))
    return model.predict_proba(targets)[:, 1]
