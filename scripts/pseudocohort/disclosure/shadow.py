"""Shadow models for the most unusual people: does it show in what a model draws whether they were trained on?

Models are trained again and again on a random half of the families; for every target some have seen it and some have
not, so that each target is compared with itself (after Stadler, Oprisanu and Troncoso 2022, and Carlini et al. 2022).
"""

from collections.abc import Callable

import numpy as np

from pseudocohort.disclosure.items import density_ratio, distances, nearest
from pseudocohort.disclosure.records import Records

NEIGHBOUR = 5


def most_unusual(records: np.ndarray, count: int) -> np.ndarray:
    """Rows that are farthest from their NEIGHBOUR-th nearest other row: int64 (count,), the most unusual first."""
    far = distances(records, records, NEIGHBOUR + 1)[:, NEIGHBOUR]
    return np.argsort(-far, kind="stable")[:count]


def shadow_scores(
    draw: Callable[[np.ndarray, int], Records],
    targets: Records,
    target_family: np.ndarray,
    family: np.ndarray,
    reference: Records,
    rounds: int,
    seed: int,
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """By statistic: (scores in, scores out, target of each in, target of each out), each target's own mean taken off.

    draw(families, round): pseudo rows of a model trained on the people of these families.  targets: rows of people
    trained on; target_family: (targets,); family: (n,) of all people trained on; reference: rows of others.
    """
    rng = np.random.default_rng(seed)
    names = np.unique(family)
    inside, told = [], []
    for number in range(rounds):
        chosen = names[rng.permutation(len(names))[: len(names) // 2]]
        pseudo = draw(chosen, number).x
        inside.append(np.isin(target_family, chosen))
        told.append(
            {
                "nearest record": nearest(targets.x, pseudo, reference.x),
                "density ratio": density_ratio(targets.x, pseudo, reference.x),
            }
        )
    seen = np.array(inside)
    both = seen.any(axis=0) & ~seen.all(axis=0)
    number = np.broadcast_to(np.arange(len(target_family)), seen.shape)
    found = {}
    for name in told[0]:
        score = np.array([t[name] for t in told])
        centre = (np.where(seen, score, 0).sum(0) / np.maximum(seen.sum(0), 1)
                  + np.where(seen, 0, score).sum(0) / np.maximum((~seen).sum(0), 1)) / 2  # fmt: skip
        score = score - centre
        taken, left = seen & both, ~seen & both
        found[name] = score[taken], score[left], number[taken], number[left]
    return found
