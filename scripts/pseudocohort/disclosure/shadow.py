"""Shadow models for the most unusual people: does it show in what a model draws whether they were trained on?

Models are trained again and again on a random half of the families; for every target some have seen it and some have
not, so that each target is compared with itself (after Stadler, Oprisanu and Troncoso 2022, and Carlini et al. 2022).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pseudocohort.disclosure.items import density_ratio, distances, nearest
from pseudocohort.disclosure.records import Records, with_copies
from pseudocohort.disclosure.roc import auc_with_error

NEIGHBOUR = 5
PERMUTATIONS = 1000


class Shadow(NamedTuple):
    """auc: chance that a score of a target by a model that has seen it is above one by a model that has not, each
    target's and each model's mean taken off; z and 95 % interval by what is known of chance: families that swap the
    models that have seen them. NaN where no target was seen by some models and not by others."""

    auc: float
    interval: tuple[float, float]
    z: float


def most_unusual(records: np.ndarray, count: int) -> np.ndarray:
    """Rows that are farthest from their NEIGHBOUR-th nearest other row: int64 (count, or all rows if they are fewer),
    the most unusual first."""
    order = min(NEIGHBOUR, len(records) - 1)
    far = distances(records, records, order + 1)[:, order]
    return np.argsort(-far, kind="stable")[:count]


def shadow_scores(
    draw: Callable[[np.ndarray, int], Records],
    targets: Records,
    target_family: np.ndarray,
    family: np.ndarray,
    reference: Records,
    rounds: int,
    seed: int,
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Who was seen by each round's model, (rounds, targets) bool; scores by statistic, (rounds, targets); and the
    scores if the models drew copies of the targets that they have seen, the planted leak.

    draw(families, round): pseudo rows of a model trained on the people of these families.  targets: rows of people
    trained on; target_family: (targets,); family: (n,) of all people trained on; reference: rows of others.
    """
    rng = np.random.default_rng(seed)
    names = np.unique(family)
    seen, found, planted = [], [], []
    for number in range(rounds):
        chosen = names[rng.permutation(len(names))[: len(names) // 2]]
        inside = np.isin(target_family, chosen)
        pseudo = draw(chosen, number)
        leaky = with_copies(pseudo, targets.take(inside), 1.0, rng)[0] if inside.any() else pseudo
        seen.append(inside)
        found.append(_statistics(targets.x, pseudo.x, reference.x))
        planted.append(_statistics(targets.x, leaky.x, reference.x))
    return np.array(seen), *({name: np.array([t[name] for t in told]) for name in told[0]} for told in (found, planted))


def _statistics(targets: np.ndarray, pseudo: np.ndarray, reference: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "nearest record": nearest(targets, pseudo, reference),
        "density ratio": density_ratio(targets, pseudo, reference),
    }


def judged_shadow(score: np.ndarray, seen: np.ndarray, family: np.ndarray, rng: np.random.Generator) -> Shadow:
    """score, seen: (rounds, targets); family: (targets,).

    A model's draws are nearer to all targets, or farther from all, so that scores of one round are not independent:
    only labels drawn anew tell what chance does.
    """
    value = _auc(score, seen)
    chance = np.array([_auc(score, swapped(seen, family, rng)) for _ in range(PERMUTATIONS)])
    spread = float(np.nanstd(chance)) if np.isfinite(chance).any() else np.nan
    if not np.isfinite(value) or not spread > 0:
        return Shadow(np.nan, (np.nan, np.nan), np.nan)
    ends = max(0.0, value - 1.96 * spread), min(1.0, value + 1.96 * spread)
    return Shadow(value, ends, (value - float(np.nanmean(chance))) / spread)


def swapped(seen: np.ndarray, family: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The columns of `seen` (rounds, targets), alike within a family, given to other families at random."""
    _, first, code = np.unique(family, return_index=True, return_inverse=True)
    return seen[:, rng.permutation(first)[code]]


def _auc(score: np.ndarray, seen: np.ndarray) -> float:
    both = seen.any(axis=0) & ~seen.all(axis=0)
    if not both.any():
        return np.nan
    score, seen = (score - score.mean(axis=1, keepdims=True))[:, both], seen[:, both]
    inside, outside = (np.where(s, score, 0).sum(axis=0) / s.sum(axis=0) for s in (seen, ~seen))
    score = score - (inside + outside) / 2
    return auc_with_error(score[seen], score[~seen])[0]
