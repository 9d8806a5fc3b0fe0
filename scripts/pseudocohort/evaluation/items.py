"""Items of the pseudo cohort against the real ones: distributions, correlations, links to scores, a classifier.

Distances are judged against the noise floor of two real halves (`metrics.against_floor`); the baseline, items
drawn independently from their marginals, stands beside them as what must be beaten.
"""

import logging

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.dictionary import Dictionary
from pseudocohort.evaluation import item_figures
from pseudocohort.evaluation.classifier import classifier_metrics
from pseudocohort.evaluation.copies import row_copies
from pseudocohort.evaluation.metrics import compared, ks_distance, metric, real_halves, tv_distance
from pseudocohort.evaluation.relations import correlation_metrics, score_metrics
from pseudocohort.evaluation.tables import Setting, Table, make_table, missingness

log = logging.getLogger("pseudocohort")
CARRIERS = 20  # categories with fewer real people are not judged


def evaluate_items(
    people: pd.DataFrame,
    real: pd.DataFrame,
    pseudo: pd.DataFrame,
    baseline: pd.DataFrame,
    real_scores: pd.DataFrame,
    pseudo_scores: pd.DataFrame,
    dictionary: Dictionary,
    seed: int,
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """All metrics of the items, and aggregates for the figures.

    people: real people (person, sex, family, stratum, part); real: their items, same rows; pseudo, baseline:
    person, sex, age, stratum, items; scores: person and one column a trait, rows as in the tables.
    """
    rng = counter.generator(seed, "evaluate items")
    part, family = people["part"].to_numpy(dtype=str), people["family"].to_numpy(dtype=str)
    names = tuple(t for t in real_scores.columns if t != "person" and t in pseudo_scores.columns)
    strata = tuple(sorted({str(s) for s in people["stratum"]}))
    setting = Setting(dictionary.items, family, part, real_halves(family, part, rng), names, rng)
    table = make_table(people, real, real_scores, dictionary, names, strata)
    other = make_table(pseudo, pseudo, pseudo_scores, dictionary, names, strata)
    naive = make_table(baseline, baseline, None, dictionary, names, strata)
    lines = marginal_metrics(setting, table, other, naive)
    log.info("distributions of %d items compared", len(dictionary.items))
    more, arrays = correlation_metrics(setting, table, other, naive)
    lines += more + score_metrics(setting, table, other)
    log.info("correlations compared")
    lines += classifier_metrics(setting, table, other, naive)
    lines += structure_metrics(dictionary.items, other)
    lines += row_copies(table.values, other.values, part, rng)
    arrays |= item_figures.marginals(setting, table, other, naive)
    arrays |= item_figures.scores(setting, table, other)
    return lines, arrays


def marginal_metrics(setting: Setting, real: Table, pseudo: Table, naive: Table) -> list[dict]:
    """Distances of single items: distribution, missing rate, dispersion, shares of categories."""
    numeric = setting.numeric

    def shapes(x, y):
        return np.array([(ks_distance if numeric[j] else tv_distance)(x[:, j], y[:, j]) for j in range(x.shape[1])])

    def gaps(x, y):
        return np.abs(_mean(x) - _mean(y))

    shape = setting.compare(shapes, real.values, pseudo.values)
    missing = setting.compare(gaps, missingness(real), missingness(pseudo))
    naive_ratio = setting.compare(shapes, real.values, naive.values, resamples=0).ratio
    lines = [
        compared(
            "items",
            "distribution of single items (mean KS or total variation distance)",
            shape,
            1.25,
            baseline=naive_ratio,
            headline=True,
        ),
        compared("items", "missing rate among those asked (mean absolute difference)", missing, 1.25),
    ]
    for name, result in (("distribution", shape), ("missing rate", missing)):
        if np.isfinite(result.by_part).any():
            worst = int(np.nanargmax(result.by_part))
            lines.append(
                metric(
                    "items",
                    f"worst single item by {name}",
                    result.by_part[worst],
                    ratio=result.by_part[worst],
                    goal="R ≤ 3",
                    within=bool(result.by_part[worst] <= 3),
                    note=setting.items[worst].name,
                )
            )
    return lines + _dispersion(setting, real, pseudo) + _categories(setting, real, pseudo)


def structure_metrics(items: tuple, pseudo: Table) -> list[dict]:
    """Violations of the dictionary's rules in the pseudo table."""
    forbidden = int((~pseudo.asked & ~np.isnan(pseudo.values)).sum())
    outside = 0
    for j, item in enumerate(items):
        low, high = (0, len(item.categories) - 1) if item.categories else (item.minimum, item.maximum)
        outside += int((pseudo.values[:, j] < low).sum()) if low is not None else 0
        outside += int((pseudo.values[:, j] > high).sum()) if high is not None else 0
    return [
        metric(
            "items",
            "values where the dictionary says `not asked`",
            forbidden,
            goal="none",
            within=forbidden == 0,
            headline=True,
        ),
        metric(
            "items", "values outside the dictionary's range or categories", outside, goal="none", within=outside == 0
        ),
    ]


def _mean(x: np.ndarray) -> np.ndarray:
    """Mean of every column, NaN left out; NaN for a column without values."""
    seen = ~np.isnan(x)
    return np.where(seen, x, 0).sum(axis=0) / np.where(seen.any(axis=0), seen.sum(axis=0), np.nan)


def _dispersion(setting: Setting, real: Table, pseudo: Table) -> list[dict]:
    """Ratio of standard deviations, values clipped to the real 1st and 99th percentile."""
    train = setting.train
    columns = [j for j in np.flatnonzero(setting.numeric) if np.isfinite(real.values[train, j]).sum() >= 20]
    if not columns:
        return []
    bounds = np.nanquantile(real.values[train][:, columns], [0.01, 0.99], axis=0)
    reals, pseudos = (np.clip(t.values[:, columns], *bounds) for t in (real, pseudo))

    def distance(x, y):
        with np.errstate(all="ignore"):
            logs = np.abs(np.log(_deviation(x)[0] / _deviation(y)[0]))
        return np.where(np.isfinite(logs), logs, np.nan)

    result = setting.compare(distance, reals, pseudos)
    (s, error), (made, error_made), (held, _) = (_deviation(x) for x in (reals[train], pseudos, reals[~train]))
    with np.errstate(all="ignore"):
        ratio, floor = made / s, held / s
        z = np.log(ratio) / np.hypot(error, error_made)
    z = np.nan_to_num(np.where((made == 0) & (s > 0), -np.inf, z), posinf=99, neginf=-99)
    excess = np.where((ratio >= 0.9) & (ratio <= 1.1), 0, np.abs(z))
    worst = int(excess.argmax()) if excess.any() else int(np.abs(z).argmax())
    mean = float(np.nanmean(ratio)) if np.isfinite(ratio).any() else np.nan
    return [
        metric(
            "items",
            "standard deviation, pseudo over real (mean of numeric items)",
            mean,
            floor=float(np.nanmean(floor)) if np.isfinite(floor).any() else None,
            goal="0.97 to 1.03",
            within=bool(0.97 <= mean <= 1.03),
        ),
        compared("items", "standard deviation (mean |log ratio|)", result, 1.5),
        metric(
            "items",
            "worst single item by standard deviation (pseudo over real)",
            ratio[worst],
            floor=floor[worst],
            z=z[worst],
            goal="0.9 to 1.1, or |z| ≤ 4",
            within=bool(excess[worst] <= 4),
            note=setting.items[columns[worst]].name,
        ),
    ]


def _deviation(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviation s of every column, NaN left out, and the standard error of log s.

    Var(log s) = (kurtosis - 1) / 4n to first order.
    """
    seen = ~np.isnan(x)
    count = np.maximum(seen.sum(axis=0), 1)
    centred = np.where(seen, x - np.where(seen, x, 0).sum(axis=0) / count, 0)
    second, fourth = (centred**2).sum(axis=0) / count, (centred**4).sum(axis=0) / count
    with np.errstate(all="ignore"):
        error = np.sqrt(np.maximum(fourth / second**2 - 1, 0.1) / (4 * count))
    return np.sqrt(second), np.where(np.isfinite(error), error, 0.1)


def _categories(setting: Setting, real: Table, pseudo: Table) -> list[dict]:
    """Shares of categories with at least 20 real carriers."""
    train = real.values[setting.train]
    pairs = [
        (j, c)
        for j in np.flatnonzero(~setting.numeric)
        for c in range(len(setting.items[j].categories))
        if CARRIERS <= (train[:, j] == c).sum() < np.isfinite(train[:, j]).sum()
    ]
    if not pairs:
        return []

    def shares(x):
        return np.array([((x[:, j] == c).sum() + 0.5) / (np.isfinite(x[:, j]).sum() + 1) for j, c in pairs])

    result = setting.compare(lambda x, y: np.abs(np.log(shares(x) / shares(y))), real.values, pseudo.values)
    share, other = shares(train), shares(pseudo.values)
    n = np.array([[np.isfinite(x[:, j]).sum() + 1 for j, _ in pairs] for x in (train, pseudo.values)])
    z = (other - share) / np.sqrt(share * (1 - share) * (1 / n).sum(axis=0))
    excess = np.where((other / share >= 0.8) & (other / share <= 1.25), 0, np.abs(z))
    worst = int(excess.argmax()) if excess.any() else int(np.abs(z).argmax())
    j, category = pairs[worst]
    return [
        compared("items", f"shares of categories with ≥ {CARRIERS} carriers (mean |log ratio|)", result, 1.25),
        metric(
            "items",
            "worst category share (pseudo over real)",
            other[worst] / share[worst],
            z=z[worst],
            goal="0.8 to 1.25, or |z| ≤ 4",
            within=bool(excess[worst] <= 4),
            note=f"{setting.items[j].name} = {setting.items[j].categories[category]}",
        ),
    ]
