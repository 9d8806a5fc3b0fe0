"""Does what is learnt on pseudo people hold for real ones? Train on pseudo, test on real (TSTR), over train on real.

Skill of one target: R^2 of numeric and ordinal items in normal scores, 2 AUC - 1 of binary ones, on the holdout.
The measure is the ratio of the summed skills, which is stable where single skills are small.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from pseudocohort.evaluation.classifier import auc
from pseudocohort.evaluation.metrics import resample_families, shifted
from pseudocohort.evaluation.tables import Setting, Table
from pseudocohort.genetics.traits import inverse_normal
from pseudocohort.measures.line import measure

TARGETS = 12
FEWEST, CASES = 100, 50  # train people with a value; of the rarer class of a binary target
LEAST = 0.05  # share of an item's variance that the others must tell
PEOPLE = 4000  # trained on, and tested on, at most
RESAMPLES = 200


class Prediction(NamedTuple):
    """Of one target among the test people who have it: their rows, truth, and predictions after training on pseudo
    and on real people. binary: what skill means."""

    rows: np.ndarray
    truth: np.ndarray
    pseudo: np.ndarray
    real: np.ndarray
    binary: bool


def transfer_metrics(setting: Setting, real: Table, pseudo: Table) -> tuple[dict[str, dict], list[dict]]:
    """({transfer: line}, skill by target)."""
    train, held = np.flatnonzero(setting.train), np.flatnonzero(~setting.train)
    n = min(len(train), len(pseudo.values), PEOPLE)
    targets = choose_targets(setting.items, real.values[setting.train])
    if not targets or len(held) < FEWEST // 2:
        return {"transfer": measure("transfer", None, reason="too few people, or no item to predict")}, []
    test = setting.rng.permutation(held)[:PEOPLE]
    rows = setting.rng.permutation(train)[:n], setting.rng.permutation(len(pseudo.values))[:n]
    tables = [np.column_stack([t.values, t.conditions])[r] for t, r in zip((real, pseudo), rows, strict=True)]
    tested = np.column_stack([real.values, real.conditions])[test]
    predictions = {j: _predict(setting.items[j].type, j, *tables, tested) for j in targets}
    predictions = {j: p for j, p in predictions.items() if p is not None}
    skills = np.array([_skills(p) for p in predictions.values()]).reshape(-1, 2)
    made, own = skills.sum(axis=0)
    if not own > 0:
        return {"transfer": measure("transfer", None, reason="no item can be predicted")}, []
    # Targets are drawn, too: the chance in what each model has learnt differs from one target to the next.
    resampled = []
    for _ in range(RESAMPLES):
        sample = resample_families(np.arange(len(test)), setting.family[test], setting.rng)
        count = np.bincount(sample, minlength=len(test))
        chosen = np.bincount(setting.rng.integers(len(skills), size=len(skills)), minlength=len(skills))
        sums = chosen @ np.array([_skills(p, count) for p in predictions.values()])
        resampled.append(sums[0] / sums[1] if sums[1] > 0 else np.nan)
    names = [setting.items[j].name for j in predictions]
    goal = measure(
        "transfer",
        made / own,
        interval=shifted(made / own, np.array(resampled)),
        targets=len(names),
        trained=n,
        tested=len(test),
        skill=made / len(names),
        real_skill=own / len(names),
    )
    lines = [measure("skill", a, subject=name, floor=b) for name, (a, b) in zip(names, skills, strict=True)]
    return {"transfer": goal}, lines


def choose_targets(items: tuple, train: np.ndarray, most: int = TARGETS) -> list[int]:
    """Items to predict: those that the others tell best in a linear regression among the train people.

    Binary, ordinal and numeric items take turns, best first, until there are `most`; nominal items and dates are left
    out, and those of which the others tell less than LEAST more than permuted ones would.  train: (n, k) values.
    """
    usable = [j for j, item in enumerate(items) if _predictable(item, train[:, j])]
    if len(usable) < 2:
        return []
    filled = np.column_stack([np.nan_to_num(_scores(train[:, j])) for j in usable])
    rng = np.random.default_rng(0)  # a fixed rule: the same targets for every model and run
    explained = _explained(filled) - _explained(rng.permuted(filled, axis=0)).mean()
    ranked = [usable[i] for i in np.argsort(-explained, kind="stable") if explained[i] >= LEAST]
    turns = [
        [j for j in ranked if (items[j].type if items[j].type in ("binary", "ordinal") else "numeric") == kind]
        for kind in ("numeric", "binary", "ordinal")
    ]
    order = [turn[i] for i in range(max(map(len, turns))) for turn in turns if i < len(turn)]
    return sorted(order[:most])


def skill(truth: np.ndarray, predicted: np.ndarray, weights: np.ndarray, binary: bool) -> float:
    """R^2, or 2 AUC - 1, of predictions (n,) where person i counts weights[i] times; NaN of a constant truth."""
    kept = np.repeat(np.arange(len(truth)), weights)
    y, p = truth[kept], predicted[kept]
    if len(y) < 2 or y.min() == y.max():
        return np.nan
    if binary:
        return 2 * auc(p[y == 0], p[y == 1]) - 1
    return float(1 - ((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum())


def _skills(p: Prediction, count: np.ndarray | None = None) -> tuple[float, float]:
    """Skill after training on pseudo and on real people; count: (test people,) how often each is drawn."""
    weights = np.ones(len(p.rows), dtype=int) if count is None else count[p.rows]
    made, own = (skill(p.truth, x, weights, p.binary) for x in (p.pseudo, p.real))
    return (made, own) if np.isfinite(made + own) else (0.0, 0.0)


def _explained(x: np.ndarray) -> np.ndarray:
    """Share of the variance of each column of x (n, k) that the others explain: 1 - 1 / (C^-1)_jj.

    C: correlations with a ridge of k / n, which stands for their noise, scaled back to a unit diagonal.
    """
    ridge = 0.01 + x.shape[1] / len(x)
    c = (np.corrcoef(x.T) + ridge * np.eye(x.shape[1])) / (1 + ridge)
    return 1 - 1 / np.diag(np.linalg.inv(c))


def _predictable(item, column: np.ndarray) -> bool:
    seen = column[~np.isnan(column)]
    if len(seen) < FEWEST or seen.min() == seen.max() or item.type in ("nominal", "date"):
        return False
    return item.type != "binary" or min((seen == 0).sum(), (seen == 1).sum()) >= CASES


def _scores(column: np.ndarray) -> np.ndarray:
    scores = inverse_normal(column)
    return scores / np.nanstd(scores)


def _predict(kind: str, j: int, real: np.ndarray, pseudo: np.ndarray, test: np.ndarray) -> Prediction | None:
    """Column j from all others; None where pseudo or test people have too few values. NaN is a value to the trees."""
    rows = np.flatnonzero(~np.isnan(test[:, j]))
    known = [t[~np.isnan(t[:, j])] for t in (pseudo, real)]
    if len(rows) < FEWEST // 2 or (kind == "binary" and len(np.unique(test[rows, j])) < 2):
        return None
    reference = np.sort(known[1][:, j])

    def target(values: np.ndarray) -> np.ndarray:
        """Normal scores by the real train distribution, middle ranks for ties."""
        if kind == "binary":
            return (values > 0).astype(float)
        below = np.searchsorted(reference, values, "left") + np.searchsorted(reference, values, "right")
        return ndtri(np.clip((below / 2 + 0.5) / (len(reference) + 1), 1e-4, 1 - 1e-4))

    others = np.arange(test.shape[1]) != j
    predicted = [
        _boosted(np.delete(t, j, axis=1), target(t[:, j]), test[np.ix_(rows, others)], kind == "binary") for t in known
    ]
    return Prediction(rows, target(test[rows, j]), *predicted, kind == "binary")


def _boosted(x: np.ndarray, y: np.ndarray, test: np.ndarray, binary: bool) -> np.ndarray:
    """Predictions of gradient boosting; the mean where there is nothing to learn."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    if len(y) < 20 or y.min() == y.max():
        return np.full(len(test), y.mean() if len(y) else 0.0)
    usable = ~np.isnan(x).all(axis=0)
    settings = {"max_iter": 60, "max_leaf_nodes": 8, "learning_rate": 0.1, "early_stopping": False, "random_state": 0}
    with threadpool_limits(1):
        if binary:
            model = HistGradientBoostingClassifier(**settings).fit(x[:, usable], y)
            return model.predict_proba(test[:, usable])[:, 1]
        return HistGradientBoostingRegressor(**settings).fit(x[:, usable], y).predict(test[:, usable])
