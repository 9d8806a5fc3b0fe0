"""Classifier two-sample test: can gradient boosting tell pseudo rows from real ones?"""

import numpy as np

from pseudocohort.evaluation.metrics import resample_families
from pseudocohort.evaluation.tables import Setting, Table
from pseudocohort.measures.line import measure

PEOPLE = 2000  # a side at most
FEWEST = 40


def classifier_metrics(setting: Setting, real: Table, pseudo: Table, naive: Table | None) -> dict[str, dict]:
    """{c2st: line}: AUC of pseudo rows against the holdout, beside train rows against the holdout and the baseline."""
    held, train = np.flatnonzero(~setting.train), np.flatnonzero(setting.train)
    n = min(len(held), len(train), len(pseudo.values), PEOPLE)
    if n < FEWEST:
        return {"c2st": measure("c2st", None, reason="fewer than 40 rows a side")}
    chosen = setting.rng.permutation(held)[:n]

    def features(table: Table, rows: np.ndarray) -> np.ndarray:
        return np.column_stack([table.values, table.conditions])[rows]

    def against(table: Table, rows: np.ndarray, rng: np.random.Generator) -> tuple[float, tuple[float, float]]:
        drawn = rng.permutation(rows)[:n]
        return two_sample_auc(features(real, chosen), features(table, drawn), rng, setting.family[chosen])

    result = against(pseudo, np.arange(len(pseudo.values)), setting.rng)
    floor = against(real, train, setting.rng)
    base = None if naive is None else against(naive, np.arange(len(naive.values)), setting.aside().rng)[0]
    return {"c2st": measure("c2st", result[0], interval=result[1], floor=floor[0], baseline=base, n=n)}


def two_sample_auc(
    x: np.ndarray, y: np.ndarray, rng: np.random.Generator, family: np.ndarray | None = None
) -> tuple[float, tuple[float, float]]:
    """Cross-validated AUC of finding the rows y (m, k) among x (n, k), NaN allowed, and its bootstrap interval.

    family: (n,) of the rows x, which are resampled by family.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from threadpoolctl import threadpool_limits

    features, label = np.vstack([x, y]), np.repeat([0, 1], [len(x), len(y)])
    features = features[:, ~np.isnan(features).all(axis=0)]
    model = HistGradientBoostingClassifier(
        max_iter=40, max_leaf_nodes=8, learning_rate=0.15, early_stopping=False, random_state=0
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=int(rng.integers(2**31)))
    with threadpool_limits(1):  # so small a job is slower on many threads, far slower on a busy machine
        chance = cross_val_predict(model, features, label, cv=folds, method="predict_proba")[:, 1]
    a, b = chance[: len(x)], chance[len(x) :]
    family, rows = np.arange(len(a)) if family is None else family, np.arange(len(a))
    resampled = [auc(a[resample_families(rows, family, rng)], b[rng.integers(len(b), size=len(b))]) for _ in range(200)]
    low, high = np.quantile(resampled, [0.025, 0.975])
    return auc(a, b), (float(low), float(high))


def auc(negative: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a random positive is above a random negative, ties counted half (Mann-Whitney)."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")
    return float(below.mean() / (2 * len(negative)))
