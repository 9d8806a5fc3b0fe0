"""All attack scores in one: a logistic regression fitted on other families than those it judges.

It knows which of the people it is fitted on are members, so it bounds from above (nearly: by the scores it is given)
what an attacker without that knowledge finds.

Each regression's log odds are told as standard deviations from their mean over everyone, since people judged by
different regressions are ranked together. An intercept is higher the more members are left to fit on, so the fewer of
them are judged by it: with it an AUC where there is nothing to find falls below 1/2, to .2 of 20 people in families of
three, .45 of 100.
"""

import numpy as np

RIDGE = 10.0
FURTHEST = 10.0  # standard deviations
FOLDS = 5


def combine(
    scores: dict[str, tuple[np.ndarray, np.ndarray]],
    member_family: np.ndarray | None = None,
    nonmember_family: np.ndarray | None = None,
    folds: int = FOLDS,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """`cross_fitted` scores by attack together: (members,) and (non-members,).

    Families (people of one family fall into one fold) default to everyone's own. Columns are standardised over all
    targets, without labels, and cut at FURTHEST; ridge RIDGE on the slopes.
    """
    m, n = (len(part) for part in next(iter(scores.values()))[:2])
    x = np.column_stack([np.concatenate(pair[:2]) for pair in scores.values()])
    score = cross_fitted(x, (m, n), member_family, nonmember_family, folds=folds, seed=seed)
    return score[:m], score[m:]


def cross_fitted(
    x: np.ndarray,
    sizes: tuple[int, int],
    member_family: np.ndarray | None = None,
    nonmember_family: np.ndarray | None = None,
    *,
    ridge: float = RIDGE,
    folds: int = FOLDS,
    seed: int = 0,
) -> np.ndarray:
    """Log odds of being a member (people,), each by a regression on the other folds, in standard deviations from that
    regression's mean; the same folds for the same families and seed.

    x: (people, columns).  sizes: how many of the people are members, who come first, and how many are non-members, who
    follow; the rest (relatives) are not fitted on. Relative i, child of member i and non-member i (counted around), is
    judged by a regression that has seen neither parent: one that has seen the non-member takes the child for none (an
    AUC of .47 where there is nothing to find). And by one alone: a mean over several has shorter tails than the scores
    of non-members that relatives are compared with.
    """
    members, others = sizes
    fold = folds_by_family(_names(member_family, members, "m"), _names(nonmember_family, others, "n"), folds, seed)
    x = np.column_stack([standardised(column) for column in x.T])
    y = np.repeat([1.0, 0.0], [members, others])
    score, known = np.zeros(len(x)), members + others
    child = np.arange(len(x) - known)
    parents = np.column_stack([fold[child % members], fold[members + child % others]])
    unseen = np.sort(np.concatenate([np.column_stack([fold, fold]), parents]), axis=1)
    for left_out in np.unique(unseen, axis=0):
        seen, judged = ~np.isin(fold, left_out), (unseen == left_out).all(axis=1)
        odds = x @ logistic(x[:known][seen], y[seen], ridge)[1:]
        score[judged] = ((odds - odds[:known].mean()) / (odds[:known].std() or 1.0))[judged]
    return score


def standardised(values: np.ndarray) -> np.ndarray:
    """(value - mean) / standard deviation, no further than FURTHEST from 0; zeros where all are equal."""
    spread = values - values.mean()
    deviation = spread.std()
    return np.clip(spread / deviation, -FURTHEST, FURTHEST) if deviation > 0 else np.zeros(len(values))


def logistic(x: np.ndarray, y: np.ndarray, ridge: float = RIDGE, steps: int = 50) -> np.ndarray:
    """Intercept and slopes (1 + columns,) that minimise sum log(1 + exp(-+ eta)) + ridge |slopes|^2 / 2 (Newton)."""
    design = np.column_stack([np.ones(len(x)), x])
    penalty = np.diag(np.append(0.0, np.full(x.shape[1], ridge)))
    slope = np.zeros(design.shape[1])
    for _ in range(steps):
        mean = 1 / (1 + np.exp(-np.clip(design @ slope, -30, 30)))
        weight = np.maximum(mean * (1 - mean), 1e-9)
        gradient = design.T @ (y - mean) - penalty @ slope
        step = np.linalg.solve(design.T * weight @ design + penalty + 1e-9 * np.eye(len(slope)), gradient)
        slope = slope + step / max(1.0, np.abs(step).max() / 3)
        if np.abs(step).max() < 1e-8:
            break
    return slope


def folds_by_family(member: np.ndarray, nonmember: np.ndarray, folds: int, seed: int = 0) -> np.ndarray:
    """Fold of everyone, int64 (members + non-members,): whole families, members and non-members dealt out evenly."""
    rng = np.random.default_rng([seed, 7])
    families, code = np.unique(np.concatenate([member, nonmember]), return_inverse=True)
    share = np.bincount(code[: len(member)], minlength=len(families)) / np.bincount(code)
    order = np.lexsort([rng.random(len(families)), share])
    of_family = np.empty(len(families), dtype=np.int64)
    of_family[order] = np.arange(len(families)) % folds
    return of_family[code]


def _names(family: np.ndarray | None, people: int, lead: str) -> np.ndarray:
    return np.array([f"{lead}{i}" for i in range(people)]) if family is None else np.asarray(family).astype(str)
