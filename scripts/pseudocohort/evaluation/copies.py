"""Exact copies of rows of items, by comparison. None is expected.

That nothing is copied letter by letter proves no privacy; it only shows that the generator does not
hand out what it was given.
"""

import numpy as np

from pseudocohort.evaluation.metrics import HOLDOUT, MINIMUM_PEOPLE
from pseudocohort.evaluation.real_cells import few_or_number
from pseudocohort.measures.line import TOO_FEW, measure

SURE = 500  # real rows of which no two are equal; of fewer, chance may give what was not seen among them


def row_copies(
    real: np.ndarray,
    pseudo: np.ndarray,
    part: np.ndarray,
    rng: np.random.Generator,
    limit: int = 3000,
    family: np.ndarray | None = None,
) -> dict[str, dict]:
    """{copies, nearer_train}: lines of item rows equal to a real row, and nearer to the people trained on.

    real: (n, k), pseudo: (m, k) item values as numbers (categories as codes), NaN missing.  part: (n,) train, A
    or B; others are left out.  family: (n,), by default everyone's own.  At most `limit` rows a side are compared,
    drawn at random. Rows are equal when they are on every item that both have, which must be half of the items at
    least. The floor is the share of real rows that equal the row of another person of the train people: what chance
    does. Where of SURE real rows or more none does, no pseudo row is equal by chance, and one is a copy.
    """
    family = np.arange(len(real)) if family is None else family
    train, held = (rng.permutation(np.flatnonzero(rows))[:limit] for rows in (part == "train", np.isin(part, HOLDOUT)))
    drawn = rng.permutation(len(pseudo))[:limit]
    codes = _codes(np.vstack([pseudo[drawn], real[train], real[held]]))
    p, t, h = np.split(codes, [len(drawn), len(drawn) + len(train)])
    found, shared = _equal(p, t), _equal(np.vstack([t, h]), t, np.arange(len(t) + len(h)))
    number = int(shared.sum())
    least = np.arange(len(shared)) < (number if number == 0 else max(number, MINIMUM_PEOPLE))
    impossible = len(shared) >= SURE and not number
    line = measure(
        "copies",
        found.mean() if len(p) else None,
        floor=least.mean() if len(shared) else None,
        z=None if impossible else _excess(found, least),
        interval=_share_interval(int(found.sum()), len(p)),
        found=int(found.sum()),
        pseudo=len(p),
        shared=few_or_number(number),
        rows=len(shared),
    )
    return {"copies": line, "nearer_train": _nearest(real, pseudo[drawn], train, held, family)}


def _excess(found: np.ndarray, shared: np.ndarray) -> float | None:
    """By how many standard errors the share among the first is above that among the second (Fisher's exact test,
    one-sided, as a normal deviate; at most 37); None where it is not above or there are no rows."""
    from scipy.stats import fisher_exact, norm

    if not len(found) or not len(shared) or found.mean() <= shared.mean():
        return None
    table = [[found.sum(), (~found).sum()], [shared.sum(), (~shared).sum()]]
    p = fisher_exact(table, alternative="greater").pvalue
    return float(norm.isf(np.clip(p, 1e-300, 0.4999)))


def _share_interval(count: int, people: int) -> tuple[float, float]:
    """Clopper and Pearson's 95 % interval of a share."""
    from scipy.stats import binomtest

    if not people:
        return np.nan, np.nan
    interval = binomtest(count, people).proportion_ci()
    return float(interval.low), float(interval.high)


def _nearest(real: np.ndarray, pseudo: np.ndarray, train: np.ndarray, held: np.ndarray, family: np.ndarray) -> dict:
    """Are pseudo rows nearer to the people trained on than to others? Half of them by chance.

    Of n_t people trained on and n_h others the nearest is trained on with chance c = n_t / (n_t + n_h). The share s of
    pseudo rows for which it is is told for equal numbers, where chance is one half: odds s / (1 - s) over c / (1 - c).
    Its error is that of s were it chance which families are trained on, given how many pseudo rows are nearest to
    each: Var s = c (1 - c) sum_f (sum of (k_i - mean k) over family f)^2 / m^2, k_i the pseudo rows nearest to i.
    """
    from sklearn.neighbors import NearestNeighbors

    if min(len(train), len(held)) < 20 or not len(pseudo):
        return measure("nearer_train", None, reason=TOO_FEW)
    scaled, rows = _standardised(real, pseudo), np.concatenate([train, held])
    chance = len(train) / len(rows)
    (near, first), (other, second) = (
        (x[:, 0] for x in NearestNeighbors(n_neighbors=1).fit(scaled[part]).kneighbors(scaled[len(real) :]))
        for part in (train, held)
    )
    win = np.where(near == other, chance, near < other)
    nearest = np.bincount(first, win, len(rows)) + np.bincount(len(train) + second, 1 - win, len(rows))
    excess = np.bincount(np.unique(family[rows], return_inverse=True)[1], nearest - nearest.mean())
    s, deviation = win.mean(), np.sqrt(chance * (1 - chance) * (excess**2).sum()) / len(pseudo)
    share = _balanced(s, chance)
    error = float(deviation * chance * (1 - chance) / (s * (1 - chance) + (1 - s) * chance) ** 2)
    return measure(
        "nearer_train",
        share,
        interval=(share - 1.96 * error, share + 1.96 * error),
        floor=0.5,
        z=(share - 0.5) / error if error > 0 else None,
        people=min(len(train), len(held)),
        train=len(train),
        held=len(held),
    )


def _balanced(share: float, chance: float) -> float:
    """The share that would be, were both groups of equal size: odds of `share` over odds of `chance`."""
    weighted = share * (1 - chance)
    return float(weighted / (weighted + (1 - share) * chance))


def _codes(values: np.ndarray) -> np.ndarray:
    """Columns as int32 codes, -1 missing, so that equality is one comparison of integers."""
    codes = np.empty(values.shape, dtype=np.int32)
    for j, column in enumerate(values.T):
        codes[:, j] = np.unique(column, return_inverse=True)[1]
        codes[np.isnan(column), j] = -1
    return codes


def _equal(rows: np.ndarray, others: np.ndarray, own: np.ndarray | None = None) -> np.ndarray:
    """Which rows equal at least one of the others on all items that both have (at least half of all): (n,) bool.

    own: (n,) position among the others that is the row itself, which is left out.
    Items with many values first, so that few candidates are left for the rest.
    """
    found = np.zeros(len(rows), dtype=bool)
    if min(len(rows), len(others)) == 0:
        return found
    order = np.argsort([-len(np.unique(column)) + 2 * (column < 0).sum() for column in others.T], kind="stable")
    rows, others = rows[:, order], np.ascontiguousarray(others[:, order])
    columns, everyone = np.ascontiguousarray(others.T), np.arange(len(others))
    for i, row in enumerate(rows):
        left = everyone if own is None else everyone[everyone != own[i]]
        for j in np.flatnonzero(row >= 0):
            values = columns[j, left]
            left = left[(values == row[j]) | (values < 0)]
            if not len(left):
                break
        both = ((others[left] >= 0) & (row >= 0)).sum(axis=1)
        found[i] = (both >= (len(row) + 1) // 2).any()
    return found


def _standardised(real: np.ndarray, pseudo: np.ndarray) -> np.ndarray:
    """Both tables in units of the real standard deviation, missing values at the real mean."""
    seen = ~np.isnan(real)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, real, 0).sum(axis=0) / count
    spread = np.sqrt(np.where(seen, (real - mean) ** 2, 0).sum(axis=0) / count)
    table = (np.vstack([real, pseudo]) - mean) / np.where(spread > 0, spread, 1.0)
    return np.where(np.isnan(table), 0.0, table)
