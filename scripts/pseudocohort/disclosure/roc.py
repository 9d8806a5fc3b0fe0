"""How well a score tells members from non-members: area under the ROC curve, true positives at few false ones.

AUC with its variance: DeLong, DeLong and Clarke-Pearson 1988; with people in clusters (families): Obuchowski 1997,
"Nonparametric analysis of clustered ROC curve data". Share of true positives: Clopper-Pearson 1934 at the threshold
found, widened by a bootstrap of clusters.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import beta, norm, rankdata

FALSE_POSITIVE_RATES = (0.01, 0.001)
CONFIDENCE = 0.95
REPLICATES = 1000


class Rate(NamedTuple):
    """Share of members above the lowest threshold that at most the share `at` of non-members is above.

    value and interval are NaN where there are fewer than 1 / at non-members; needed: how many would place the threshold
    (`needed_nonmembers`).
    """

    at: float
    value: float
    interval: tuple[float, float]
    nonmembers: int
    needed: int


class Judged(NamedTuple):
    """auc: chance that a member's score is above a non-member's, ties one half. error: its standard error where the
    score tells nothing. z: (auc - 1/2) / error. rates: one Rate for each of FALSE_POSITIVE_RATES."""

    auc: float
    interval: tuple[float, float]
    error: float
    z: float
    rates: tuple[Rate, ...]


def judged_scores(
    member: np.ndarray,
    nonmember: np.ndarray,
    member_family: np.ndarray | None = None,
    nonmember_family: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
    fitted: bool = False,
) -> Judged:
    """AUC, and true positives at FALSE_POSITIVE_RATES, with 95 % intervals.

    member (m,), nonmember (n,): scores, higher for those who seem to be members.  families: of the same lengths; people
    of one family count as one cluster. Without them everyone is independent.  fitted: the scores are of
    `combined.cross_fitted` on these very people. Where there is nothing to find, such an AUC has twice the variance:
    what two folds have in common by chance counts when the first judges the second, and again when the second judges
    the first. The interval and the error are both as wide as that.
    """
    member, nonmember = (np.asarray(x, dtype=float) for x in (member, nonmember))
    if not (np.isfinite(member).all() and np.isfinite(nonmember).all()):
        raise ValueError("scores must be finite")
    auc, spread = auc_with_error(member, nonmember, member_family, nonmember_family)
    wider = np.sqrt(2) if fitted else 1
    reach = norm.ppf((1 + CONFIDENCE) / 2) * spread * wider
    error = error_of_chance(member, nonmember, member_family, nonmember_family) * wider
    z = (auc - 0.5) / error if error > 0 else 0.0
    clustered = any(f is not None and len(np.unique(f)) < len(f) for f in (member_family, nonmember_family))
    rates = [_rate(member, nonmember, at) for at in FALSE_POSITIVE_RATES]
    if clustered:
        rng = np.random.default_rng(0) if rng is None else rng
        ends = _bootstrap(member, nonmember, member_family, nonmember_family, rng)
        rates = [r if np.isnan(r.value) else _widened(r, e) for r, e in zip(rates, ends, strict=True)]
    return Judged(auc, (max(0.0, auc - reach), min(1.0, auc + reach)), float(error), float(z), tuple(rates))


def auc_with_error(
    member: np.ndarray,
    nonmember: np.ndarray,
    member_family: np.ndarray | None = None,
    nonmember_family: np.ndarray | None = None,
) -> tuple[float, float]:
    """Mann-Whitney's U / (m n) and its standard error; O((m + n) log(m + n)).

    With X_i the share of non-members below member i (ties one half), Y_j that of members above non-member j:
    var = S_X / m + S_Y / n, S the sample variances (DeLong et al. 1988, eqs. 4-6). Over clusters, Obuchowski's eqs.
    3-5: sums of X - auc and Y - auc in a cluster in place of single ones, and their covariance where a cluster holds
    both members and non-members.
    """
    m, n = len(member), len(nonmember)
    ranks = rankdata(np.concatenate([member, nonmember]))
    x = (ranks[:m] - rankdata(member)) / n
    y = 1 - (ranks[m:] - rankdata(nonmember)) / m
    auc = float(x.mean())
    if member_family is None and nonmember_family is None:
        if min(m, n) < 2:
            return auc, 0.0
        return auc, float(np.sqrt(x.var(ddof=1) / m + y.var(ddof=1) / n))
    ours = np.array([f"m{i}" for i in range(m)]) if member_family is None else np.asarray(member_family).astype(str)
    theirs = (
        np.array([f"n{i}" for i in range(n)]) if nonmember_family is None else np.asarray(nonmember_family).astype(str)
    )
    clusters, code = np.unique(np.concatenate([ours, theirs]), return_inverse=True)
    k = len(clusters)
    sum_x, sum_y = np.bincount(code[:m], x - auc, k), np.bincount(code[m:], y - auc, k)
    with_x, with_y = len(np.unique(code[:m])), len(np.unique(code[m:]))
    if min(with_x, with_y) < 2:
        return auc, 0.0
    s_x = with_x / (with_x - 1) * (sum_x**2).sum() / m**2
    s_y = with_y / (with_y - 1) * (sum_y**2).sum() / n**2
    both = k / (k - 1) * (sum_x * sum_y).sum() / (m * n)
    return auc, float(np.sqrt(max(0.0, s_x + s_y + 2 * both)))


def error_of_chance(
    member: np.ndarray,
    nonmember: np.ndarray,
    member_family: np.ndarray | None = None,
    nonmember_family: np.ndarray | None = None,
) -> float:
    """Standard error of the AUC when families fall on either side by chance; 0 where all scores are equal.

    AUC - 1/2 is the members' sum of ranks r, less their mean (m + n + 1) / 2, over m n. With R_f the sum over family f
    of k families, drawn at random: var = k / (k - 1) sum R_f^2 / (m n (m + n)^2), of single people (m + n + 1) /
    (12 m n) (Mann and Whitney 1947). Unlike DeLong's it holds for few people and near an AUC of 0 or 1.
    """
    m, n = len(member), len(nonmember)
    rank = rankdata(np.concatenate([member, nonmember])) - (m + n + 1) / 2
    sides = (rank[:m], member_family), (rank[m:], nonmember_family)
    sums = np.array([part.sum() for side in sides for part in _rows_by_family(*side)])
    k = len(sums)
    return float(np.sqrt(k / (k - 1) * (sums**2).sum() / (m * n)) / (m + n))


def true_positive_rate(member: np.ndarray, nonmember: np.ndarray, at: float) -> float:
    """Share of members strictly above the (floor(at n) + 1)-th largest of n scores of non-members."""
    allowed = int(np.floor(at * len(nonmember) + 1e-9))
    threshold = np.partition(nonmember, len(nonmember) - 1 - allowed)[len(nonmember) - 1 - allowed]
    return float(np.mean(member > threshold))


def needed_nonmembers(at: float, factor: float = 2.0) -> int:
    """Fewest non-members by whose scores a threshold for a false-positive rate is placed well enough.

    Above the (k + 1)-th largest of n independent scores lies a share Beta(k + 1, n - k) of all non-members, k =
    floor(at n). Returned is the least n from which on this share is below factor x at with a probability of 95 %.
    """
    k = np.arange(1, 400)
    n = np.ceil(k / at - 1e-9)  # the least n with this k: the worst of those with the same k is the first of them
    good = beta.cdf(factor * at, k + 1, n - k) >= CONFIDENCE
    return int(n[np.flatnonzero(~good)[-1] + 1])


def _rate(member: np.ndarray, nonmember: np.ndarray, at: float) -> Rate:
    needed, n, m = needed_nonmembers(at), len(nonmember), len(member)
    if n * at < 1 - 1e-9:
        return Rate(at, float("nan"), (float("nan"), float("nan")), n, needed)
    value = true_positive_rate(member, nonmember, at)
    hits, tail = round(value * m), (1 - CONFIDENCE) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, m - hits + 1))
    high = 1.0 if hits == m else float(beta.ppf(1 - tail, hits + 1, m - hits))
    return Rate(at, value, (low, high), n, needed)


def _widened(rate: Rate, ends: tuple[float, float]) -> Rate:
    """The rate, its interval never narrower than that of as many independent people: of no hit a bootstrap draws no
    other number than 0."""
    (low, high), (first, last) = rate.interval, ends
    return rate._replace(interval=(min(low, first), max(high, last)))


def _bootstrap(member, nonmember, member_family, nonmember_family, rng) -> list[tuple[float, float]]:
    """Intervals of the rates: families of members and of non-members drawn anew, the threshold set anew each time."""
    ours, theirs = _rows_by_family(member, member_family), _rows_by_family(nonmember, nonmember_family)
    drawn = []
    for _ in range(REPLICATES):
        one, other = (np.concatenate([s[i] for i in rng.integers(len(s), size=len(s))]) for s in (ours, theirs))
        drawn.append([true_positive_rate(one, other, at) for at in FALSE_POSITIVE_RATES])
    tail = 50 * (1 - CONFIDENCE)
    return [tuple(map(float, np.percentile(column, [tail, 100 - tail]))) for column in np.array(drawn).T]


def _rows_by_family(score: np.ndarray, family: np.ndarray | None) -> list[np.ndarray]:
    if family is None:
        return list(score[:, None])
    _, code = np.unique(np.asarray(family).astype(str), return_inverse=True)
    order = np.argsort(code, kind="stable")
    return np.split(score[order], np.cumsum(np.bincount(code))[:-1])
