"""Aggregates of items for the figures. No bin, share or mean stands for fewer than five real people."""

import numpy as np

from pseudocohort.evaluation.metrics import HOLDOUT, MINIMUM_PEOPLE
from pseudocohort.evaluation.real_cells import hidden_cells, merged_counts
from pseudocohort.evaluation.tables import Setting, Table

BINS = 28
FEWEST_VALUES = 50  # items with fewer real values get no panel
MOST_ITEMS = 72  # panels of the figure of distributions


def histogram_edges(values: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Edges of bins that hold at least five values each, but for what lies beyond the outermost edges.

    values: (n,) real values without NaN.  The bins span from about the 1st to the 99th percentile; the two ends
    are means of five neighbouring values, so that no edge is one person's value.
    """
    ordered = np.sort(values)
    tail = len(values) // 100
    low = ordered[tail : tail + MINIMUM_PEOPLE].mean()
    high = ordered[::-1][tail : tail + MINIMUM_PEOPLE].mean()
    if not low < high:
        return np.array([low - 0.5, low + 0.5])
    distinct = np.unique(values)
    if len(distinct) <= bins and (np.diff(distinct) >= 1).all():
        edges = np.append(distinct - 0.5, distinct[-1] + 0.5)
        edges = edges[(edges > low - 1) & (edges < high + 1)]
    else:
        # Bins of whole steps of rounded values; else a bin would have one value more than its neighbour.
        step = np.diff(distinct).min() if len(distinct) <= len(values) / 3 else 0.0
        width = np.ceil((high - low) / bins / step) * step if step > 0 else (high - low) / bins
        start = distinct[np.searchsorted(distinct, low)] - step / 2 if step > 0 else low
        edges = start + width * np.arange(round((high - start) / width) + 1)
    return _merged(values, edges)


def _merged(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Edges without those that would leave a bin with fewer than five values."""
    kept = [edges[0]]
    for edge in edges[1:]:
        if _inside(values, kept[-1], edge) >= MINIMUM_PEOPLE:
            kept.append(edge)
    if len(kept) > 1 and kept[-1] < edges[-1]:
        kept[-1] = edges[-1]
    return np.array(kept if len(kept) > 1 else [edges[0], edges[-1]])


def _inside(values: np.ndarray, low: float, high: float) -> int:
    return int(((values >= low) & (values < high)).sum())


def density(values: np.ndarray, edges: np.ndarray, real: bool = False) -> np.ndarray:
    """Share of all values by unit in each bin; values beyond the edges are in no bin.

    real: but for fewer than five of them, which count in the outermost bins; and bins of fewer are put together.
    """
    beyond = int((values < edges[0]).sum() + (values > edges[-1]).sum())
    if not real:
        return np.histogram(values, edges)[0] / max(len(values), 1) / np.diff(edges)
    inside = np.clip(values, edges[0], edges[-1]) if beyond < MINIMUM_PEOPLE else values
    return merged_counts(np.histogram(inside, edges)[0], np.diff(edges)) / max(len(values), 1) / np.diff(edges)


def category_shares(values: np.ndarray, categories: int) -> np.ndarray:
    """Shares of codes 0 ... categories - 1 among the values without NaN."""
    seen = values[~np.isnan(values)].astype(int)
    return np.bincount(seen, minlength=categories)[:categories] / max(len(seen), 1)


def shown_items(groups: list[str], drawable: np.ndarray, ratio: np.ndarray, most: int = MOST_ITEMS) -> list[np.ndarray]:
    """Which items get a panel: a list with the items of every group, in the dictionary's order of the groups.

    groups: (k,) group of every item; drawable: (k,) bool; ratio: (k,) distance from the real items over its floor.
    All where they are at most `most`. Else every group gets its share of the places, at least one, and fills it with
    the items that are farthest from the real ones, so that what is not shown is nearer than what is.
    """
    members = [np.flatnonzero(drawable & (np.array(groups) == g)) for g in dict.fromkeys(groups)]
    members = [m for m in members if len(m)]
    total = sum(map(len, members))
    if total <= most:
        return members
    members = sorted(members, key=len, reverse=True)[:most]  # more groups than places: the largest
    places = [max(1, int(most * len(m) / total)) for m in members]
    while sum(places) > most:
        places[int(np.argmax(places))] -= 1
    rank = np.nan_to_num(ratio, nan=-1.0)
    chosen = [np.sort(m[np.argsort(-rank[m], kind="stable")[:p]]) for m, p in zip(members, places, strict=True)]
    return sorted(chosen, key=lambda m: list(dict.fromkeys(groups)).index(groups[m[0]]))


def marginals(
    setting: Setting, real: Table, pseudo: Table, naive: Table | None, ratio: np.ndarray
) -> dict[str, np.ndarray]:
    """Densities or shares of the shown items and their missing rates, as arrays marginal/{j}/...

    density, shares: (founders, pseudo, baseline; bins or categories); holdout: (bins or categories,), NaN where too few
    real people stand for it. A category that may not be told of founders is left out, an item without any is not shown.
    ratio: (k,) distance of every item over its floor, see `shown_items`.
    """
    train, held = real.values[setting.train], real.values[np.isin(setting.part, HOLDOUT)]
    tables = {"real": train, "pseudo": pseudo.values} | ({} if naive is None else {"baseline": naive.values})
    groups = [item.group for item in setting.items]
    kept = {j: _told(train[:, j], len(setting.items[j].categories)) for j in np.flatnonzero(~setting.numeric)}
    drawable = (~np.isnan(train)).sum(axis=0) >= FEWEST_VALUES
    drawable[[j for j, told in kept.items() if not told.any()]] = False
    shown = shown_items(groups, drawable, ratio)
    arrays: dict = {
        "items/names": [item.name for item in setting.items],
        "items/labels": [item.label or item.name for item in setting.items],
        "items/labels_ja": [item.label_ja or item.label or item.name for item in setting.items],
        "items/units": [item.unit or "-" for item in setting.items],
        "items/types": [item.type for item in setting.items],
        "items/groups": groups,
        "items/missing": np.array([missing_rates(t, real=name == "real") for name, t in tables.items()]),
        "marginal/shown": np.concatenate(shown) if shown else np.array([], dtype=int),
    }
    for j in arrays["marginal/shown"]:
        item, seen = setting.items[j], {name: t[~np.isnan(t[:, j]), j] for name, t in tables.items()}
        other = held[~np.isnan(held[:, j]), j]
        if setting.numeric[j]:
            edges = histogram_edges(seen["real"])
            arrays[f"marginal/{j}/edges"] = edges
            arrays[f"marginal/{j}/density"] = np.array([density(v, edges, n == "real") for n, v in seen.items()])
            shares = density(other, edges, real=True)
        else:
            size, told = len(item.categories), kept[j]
            arrays[f"marginal/{j}/categories"] = [item.category_labels[c] for c in np.flatnonzero(told)]
            arrays[f"marginal/{j}/shares"] = np.array([category_shares(v, size)[told] for v in seen.values()])
            shares = np.where(_told(other, size), category_shares(other, size), np.nan)[told]
        arrays[f"marginal/{j}/holdout"] = shares if len(other) >= FEWEST_VALUES else np.full(len(shares), np.nan)
    return arrays


def _told(values: np.ndarray, categories: int) -> np.ndarray:
    """Categories whose share among real people may be told: (categories,) bool. Of a binary item both or neither."""
    seen = values[~np.isnan(values)].astype(int)
    return ~hidden_cells(np.bincount(seen[seen < categories], minlength=categories), nobody=True)


def missing_rates(values: np.ndarray, real: bool) -> np.ndarray:
    """Share of missing values of every column: (n, k) -> (k,). real: NaN where fewer than five people, but not nobody,
    have no value, or have one."""
    missing = np.isnan(values).sum(axis=0)
    few = [(number > 0) & (number < MINIMUM_PEOPLE) for number in (missing, len(values) - missing)]
    return np.where(real & (few[0] | few[1]), np.nan, missing / max(len(values), 1))


def scores(setting: Setting, real: Table, pseudo: Table) -> dict[str, np.ndarray]:
    """Score distributions and the mean of the item by decile of its score, strongest link first."""
    index, train = {item.name: j for j, item in enumerate(setting.items)}, setting.train
    links = {}
    for t, name in enumerate(setting.score_names):
        seen = np.flatnonzero(train)[~np.isnan(real.values[train, index[name]])] if name in index else []
        if len(seen) >= FEWEST_VALUES and min(real.scores[seen, t].std(), real.values[seen, index[name]].std()) > 0:
            links[t] = abs(np.corrcoef(real.scores[seen, t], real.values[seen, index[name]])[0, 1])
    arrays: dict = {"score/count": np.array(len(links))}
    for k, t in enumerate(sorted(links, key=links.get, reverse=True)):
        item, j = setting.items[index[setting.score_names[t]]], index[setting.score_names[t]]
        score = real.scores[:, t]
        centre, scale = score[train].mean(), score[train].std()
        sets = [(s - centre) / scale for s in (score[train], pseudo.scores[:, t], score[~train])]
        columns = [real.values[train, j], pseudo.values[:, j], real.values[~train, j]]
        cuts, edges = np.quantile(sets[0], np.linspace(0.1, 0.9, 9)), _merged(sets[2], histogram_edges(sets[0]))
        arrays[f"score/{k}/edges"] = edges
        arrays[f"score/{k}/density"] = np.array([density(s, edges, real=i != 1) for i, s in enumerate(sets)])
        means = [_by_decile(s, y, cuts, item.type == "binary") for s, y in zip(sets, columns, strict=True)]
        arrays[f"score/{k}/deciles"] = np.array(means)
        arrays[f"score/{k}/text"] = [item.name, item.unit or "-", item.type, item.group]
    return arrays


def _by_decile(score: np.ndarray, values: np.ndarray, cuts: np.ndarray, binary: bool = False) -> np.ndarray:
    """Mean of values and its standard error by decile of the score: (2, 10).

    NaN under five people; and where fewer than five, or nobody, have one of a binary item's two values, which would
    tell of them, and in as many other deciles as it takes that those left out do not follow from the whole.
    """
    decile, out = np.searchsorted(cuts, score), np.full((2, 10), np.nan)
    groups = [values[(decile == d) & ~np.isnan(values)] for d in range(10)]
    distinct = np.unique(values[~np.isnan(values)])
    if binary or len(distinct) <= 2:
        codes = (0.0, 1.0) if binary else distinct
        hidden = hidden_cells(np.array([[(seen == c).sum() for c in codes] for seen in groups]), nobody=True)
    else:
        hidden = np.array([_few_of_two(seen) for seen in groups])
    for d, seen in enumerate(groups):
        if len(seen) >= MINIMUM_PEOPLE and not hidden[d]:
            out[:, d] = seen.mean(), seen.std() / np.sqrt(len(seen))
    return out


def _few_of_two(values: np.ndarray) -> bool:
    """Do the values take at most two, one of them fewer than five times?"""
    number = np.unique(values, return_counts=True)[1]
    return len(number) <= 2 and bool(number.min(initial=MINIMUM_PEOPLE) < MINIMUM_PEOPLE)
