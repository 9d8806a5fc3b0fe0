"""Links from scores to items, real against pseudo."""

from typing import NamedTuple

import numpy as np

from pseudocohort.evaluation.metrics import (
    FOLDS,
    JACKKNIFED,
    Comparison,
    by_group,
    compared,
    draws,
    folds,
    jackknifed,
    real_halves,
)
from pseudocohort.evaluation.slopes import Estimates, Slope, instrumented, squares, through_origin
from pseudocohort.evaluation.tables import Setting, Table, capped
from pseudocohort.genetics.traits import inverse_normal
from pseudocohort.measures.line import measure

FEWEST = 40  # people with a value of the item
MOST_LINKS = 40_000  # between scores and items
FIELDS = ("first", "second", "matched", "pseudo", "third")
BLOCK = 1000  # links at once
GOALS = ("score_link", "score_slope")


class Side(NamedTuple):
    """One table's items (k, n), NaN missing, and scores (t, n): a row an item or score, for quick access."""

    item: np.ndarray
    score: np.ndarray


def score_metrics(
    setting: Setting, real: Table, pseudo: Table, link_parts: tuple[str, str] = ("train", "train")
) -> tuple[dict[str, dict], list[dict]]:
    """({goal: line}, further lines): slopes of ordered items on their own scores, and of all on all.

    Items are in normal scores, scores in real standard deviations.  link_parts ("train", "train"): the real halves
    are halves of the train people, whose scores, as those the model learns from, come from weights that have seen
    them; in the holdout the same scores explain less.  Such a model's people are nearer to a half than the other half
    is, so R is divided by what a faithful model has (`expected_ratio`).  ("A", "B"): halves of the holdout, for
    scores that were not learnt from these people.
    """
    items = [j for j, item in enumerate(setting.items) if item.type != "nominal"]
    items = [j for j in items if np.isfinite(real.values[setting.train, j]).sum() >= FEWEST]
    spread = real.scores[setting.train].std(axis=0)
    scores = np.flatnonzero(spread > 0)
    if not items or not len(scores):
        return _unknown(), []
    learnt = link_parts[0] == link_parts[1]
    halves = setting.halves
    if learnt:
        halves = capped(real_halves(setting.family, setting.part, setting.rng, parts=link_parts), setting.rng)
    named = [setting.score_names[t] for t in scores]
    own = np.array([[setting.items[j].name == name for name in named] for j in items]).ravel()
    kept = _kept_links(own, setting.rng)
    pairs = np.array(np.divmod(kept, len(scores)))
    sides = [
        Side(np.array([inverse_normal(t.values[:, j]) for j in items]), (t.scores[:, scores] / spread[scores]).T)
        for t in (real, pseudo)
    ]
    estimates, held = link_estimates(*sides, pairs, setting, halves, inherited=not learnt)
    own = own[kept]
    people = min(map(len, halves[0])) if halves else 0
    faithful, more = 1.0, {}
    if learnt:
        faithful = expected_ratio(people, min(people, len(pseudo.values)), int(setting.train.sum()))
        more = {"faithful": faithful}
    group = np.array([setting.items[j].group for j in items])[pairs[0]]
    sets = {str(name): np.flatnonzero(group == name) for name in dict.fromkeys(group)}
    whole = rescaled(squares(estimates, people, sets), faithful)
    lines = [compared("all_score_links", whole, slopes=len(kept)), *by_group("group_score_links", whole)]
    if not own.any() or not estimates:
        return _unknown(), lines
    own_estimates = [e._replace(**{f: getattr(e, f)[own] for f in FIELDS}) for e in estimates]
    slope = _on_train(estimates, own) if learnt else instrumented(estimates, 0.0, own)
    goals = {
        "score_link": compared("score_link", rescaled(squares(own_estimates, people), faithful), **more),
        "score_slope": measure(
            "score_slope", slope.value, interval=slope.interval, floor=slope.floor, people=people, slopes=int(own.sum())
        ),
    }
    told = through_origin(estimates[0].third[own], held[own])
    return goals, [*lines, measure("holdout_score_slope", told)]


def _unknown() -> dict[str, dict]:
    """The goals where there is nothing to measure."""
    return {key: measure(key, None) for key in GOALS}


def expected_ratio(half: int, drawn: int, train: int) -> float:
    """R of a faithful model where the halves are of the train people: sqrt(.75) for halves of all of them.

    The model hands on the estimate T of all `train` people, errors included, and `drawn` pseudo people add their own.
    With unit error variance of one person, D(pseudo, A)^2 = 1/drawn + (1/half - 1/train), the latter as A is part of
    T; D(B, A)^2 = 2/half.
    """
    if min(half, drawn, train) < 1:
        return 1.0
    return float(np.sqrt((1 / drawn + 1 / half - 1 / train) * half / 2))


def rescaled(result: Comparison, faithful: float) -> Comparison:
    """The Comparison with a floor of `faithful` times the given one, so that a faithful model has R = 1."""
    ratio, low, high = (x / faithful for x in (result.ratio, *result.interval))
    sets = {name: rescaled(part, faithful) for name, part in result.sets.items()}
    return result._replace(floor=result.floor * faithful, ratio=ratio, interval=(low, high), sets=sets)


def _kept_links(own: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Positions of the links that are compared: all, or of more than MOST_LINKS those to own scores and others drawn
    at random. own: (links,) bool."""
    if len(own) <= MOST_LINKS:
        return np.arange(len(own))
    others = rng.permutation(np.flatnonzero(~own))[: max(0, MOST_LINKS - int(own.sum()))]
    return np.sort(np.concatenate([np.flatnonzero(own), others]))


def link_estimates(
    real: Side, pseudo: Side, pairs: np.ndarray, setting: Setting, halves: list, inherited: bool
) -> tuple[list[Estimates], np.ndarray]:
    """(what `slopes.estimated` gives, for the slopes of pairs (2, p) alone; those among the holdout (p,)).

    Sums over people are taken once by group of the jackknife and added up, as slopes of millions of links over
    hundreds of draws would take hours: time grows with people x pairs.
    """
    groups = folds(setting.family, pseudo.score.shape[1], setting.rng)
    exact = draws(halves, groups, setting.rng, 0)
    members = [_members(rows, len(group)) for rows, group in (
        ([*(d.first for d in exact), *(d.second for d in exact), setting.train, ~setting.train], groups[0]),
        ([*(d.drawn for d in exact), slice(None)], groups[1]))]  # fmt: skip
    tables = [grouped_slopes(side, pairs, member, group)
              for side, member, group in zip((real, pseudo), members, groups, strict=True)]  # fmt: skip
    (*halved, third, held), (*drawn, whole) = tables
    n, left = len(exact), whole + (third - third[:1] if inherited else 0)
    wanted = [(-1, d) for d in range(n)] + [(f, d) for f in range(FOLDS) for d in range(min(n, JACKKNIFED))]
    estimates = [
        Estimates(f, halved[d][f + 1], halved[n + d][f + 1], drawn[d][f + 1], left[f + 1], third[0]) for f, d in wanted
    ]
    return estimates, held[0]


def grouped_slopes(side: Side, pairs: np.ndarray, members: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Slopes of items on scores, one by one, among sets of people, and among each without every group.

    pairs: (2, p) positions of item and score; members: (g, n) 0 or 1, the sets; group: (n,) 0 to FOLDS - 1.
    Returns (g, FOLDS + 1, p) float32, first of the whole set; NaN where fewer than FEWEST people have the item.
    """
    centred = side.score - side.score.mean(axis=1, keepdims=True)  # else squares lose digits
    parts = []
    for f in range(FOLDS):
        rows = np.flatnonzero(group == f)
        seen = ~np.isnan(side.item[:, rows])
        y, weights = np.where(seen, side.item[:, rows], 0.0), members[:, rows].T.astype(float)
        parts.append((y, seen.astype(float), centred[:, rows], weights, seen @ weights, y @ weights))
    slopes = np.empty((len(members), FOLDS + 1, pairs.shape[1]), dtype=np.float32)
    for start in range(0, pairs.shape[1], BLOCK):
        j, t = pairs[:, start : start + BLOCK]
        sums = np.array([_block_sums(j, t, *part) for part in parts])  # (FOLDS, 5, block, g)
        total = sums.sum(axis=0)
        slopes[:, 0, start : start + BLOCK] = _slopes(total).T
        slopes[:, 1:, start : start + BLOCK] = _slopes(np.moveaxis(total - sums, 1, 0)).transpose(2, 0, 1)
    return slopes


def _block_sums(j, t, y, seen, score, weights, count, total) -> np.ndarray:
    """Count, sum of y, of s, of s^2 and of s y, by pair (j, t) and set of people: (5, block, g)."""
    masked = score[t] * seen[j]
    return np.array([count[j], total[j], masked @ weights, (masked * score[t]) @ weights, (y[j] * score[t]) @ weights])


def _slopes(sums: np.ndarray) -> np.ndarray:
    count, y, s, squared, product = sums
    with np.errstate(all="ignore"):
        slopes = (product - y * s / count) / (squared - s * s / count)
    return np.where((count >= FEWEST) & np.isfinite(slopes), slopes, np.nan)


def _members(sets: list, n: int) -> np.ndarray:
    """Sets of rows as a table of 0 and 1: (sets, n)."""
    members = np.zeros((len(sets), n), dtype=np.int8)
    for member, rows in zip(members, sets, strict=True):
        member[rows] = 1
    return members


def _on_train(estimates: list[Estimates], own: np.ndarray) -> Slope:
    """Slope of pseudo effects on those of the very people that the model learnt them from.

    The halves are not independent of the pseudo people here, so neither can be an instrument; and none is needed:
    the model's aim are the train people's estimates, as they are. There is no floor.
    """
    target = estimates[0].third[own].astype(float)
    value = through_origin(target, estimates[0].pseudo[own].astype(float))
    without = {e.fold: through_origin(target, e.pseudo[own].astype(float)) for e in estimates if e.fold >= 0}
    return Slope(value, jackknifed(value, np.array(list(without.values()))), np.nan)
