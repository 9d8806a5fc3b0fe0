"""Links from scores to items, real against pseudo."""

import numpy as np

from pseudocohort.evaluation.metrics import compared, jackknifed, metric, ranged, real_halves
from pseudocohort.evaluation.slopes import Estimates, Slope, estimated, instrumented, squares, through_origin
from pseudocohort.evaluation.tables import Setting, Table
from pseudocohort.genetics.traits import inverse_normal

FEWEST = 40  # people with a value of the item
MOST_LINKS = 40_000  # between scores and items
FIELDS = ("first", "second", "matched", "pseudo", "third")
SLOPE = (0.97, 1.03)


def score_metrics(
    setting: Setting, real: Table, pseudo: Table, link_parts: tuple[str, str] = ("train", "train")
) -> tuple[dict[str, dict], list[dict]]:
    """({goal: line}, further lines): slopes of ordered items on their own scores, and of all on all.

    Items are in normal scores, scores in real standard deviations.  link_parts ("train", "train"): the real halves
    are halves of the train people, whose scores, as those the model learns from, come from weights that have seen
    them; in the holdout the same scores explain less.  ("A", "B"): halves of the holdout, for scores that were not
    learnt from these people.
    """
    names = {
        "score_link": "slopes of items on their own scores (RMS difference)",
        "score_slope": "slope of pseudo on real effects of scores on their own items",
    }
    items = [j for j, item in enumerate(setting.items) if item.type != "nominal"]
    items = [j for j in items if np.isfinite(real.values[setting.train, j]).sum() >= FEWEST]
    spread = real.scores[setting.train].std(axis=0)
    scores = np.flatnonzero(spread > 0)
    if not items or not len(scores):
        return {key: metric("scores", name, np.nan) for key, name in names.items()}, []
    rows = [
        np.column_stack([*(inverse_normal(t.values[:, j]) for j in items), t.scores[:, scores] / spread[scores]])
        for t in (real, pseudo)
    ]
    learnt = link_parts[0] == link_parts[1]
    halves = real_halves(setting.family, setting.part, setting.rng, parts=link_parts) if learnt else setting.halves
    named = [setting.score_names[t] for t in scores]
    own = np.array([[setting.items[j].name == name for name in named] for j in items]).ravel()
    kept = _kept_links(own, setting.rng)
    estimates = estimated(
        lambda x: score_slopes(x, len(items))[kept],
        *rows,
        setting.train,
        halves,
        setting.family,
        setting.rng,
        inherited=not learnt,
    )
    own = own[kept]
    people = min(map(len, halves[0])) if halves else 0
    floor = "two halves of the train people" if learnt else "two halves of the holdout"
    lines = [
        compared("scores", "slopes of all items on all scores (RMS difference)", squares(estimates, people), 1.25)
        | {"note": f"floor: {floor}; {len(kept)} slopes"}
    ]
    if not own.any():
        return {key: metric("scores", name, np.nan) for key, name in names.items()}, lines
    result = squares([e._replace(**{f: getattr(e, f)[own] for f in FIELDS}) for e in estimates], people)
    slope = _on_train(estimates, own) if learnt else instrumented(estimates, 0.0, own)
    goals = {
        "score_link": compared(
            "scores", names["score_link"], result, 1.1, reached=True, headline=True, note=f"floor: {floor}"
        ),
        "score_slope": ranged(
            "scores", names["score_slope"], slope.value, slope.interval, *SLOPE, floor=slope.floor, headline=True
        ),
    }
    held = through_origin(estimates[0].third[own], score_slopes(rows[0][~setting.train], len(items))[kept][own])
    note = "below 1 where the weights have seen the train people: in others the scores explain less" if learnt else ""
    return goals, [*lines, metric("scores", "slope of holdout on train score effects", held, note=note)]


def _kept_links(own: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Positions of the links that are compared: all, or of more than MOST_LINKS those to own scores and others drawn
    at random. own: (links,) bool."""
    if len(own) <= MOST_LINKS:
        return np.arange(len(own))
    others = rng.permutation(np.flatnonzero(~own))[: max(0, MOST_LINKS - int(own.sum()))]
    return np.sort(np.concatenate([np.flatnonzero(own), others]))


def score_slopes(rows: np.ndarray, items: int) -> np.ndarray:
    """Slope of each item on each score alone: rows (n, items + t), items first, NaN missing -> (items * t,).

    NaN where fewer than FEWEST people have the item.
    """
    y, score = rows[:, :items], rows[:, items:]
    seen = (~np.isnan(y)).astype(float)
    z, count = np.where(seen > 0, y, 0.0), seen.sum(axis=0)[:, None]
    with np.errstate(all="ignore"):
        mean = seen.T @ score / count
        cross = z.T @ score - z.sum(axis=0)[:, None] * mean
        slopes = cross / (seen.T @ score**2 - count * mean**2)
    return np.where((count >= FEWEST) & np.isfinite(slopes), slopes, np.nan).ravel()


def _on_train(estimates: list[Estimates], own: np.ndarray) -> Slope:
    """Slope of pseudo effects on those of the very people that the model learnt them from.

    The halves are not independent of the pseudo people here, so neither can be an instrument; and none is needed:
    the model's aim are the train people's estimates, as they are. There is no floor.
    """
    target = estimates[0].third[own].astype(float)
    value = through_origin(target, estimates[0].pseudo[own].astype(float))
    without = {e.fold: through_origin(target, e.pseudo[own].astype(float)) for e in estimates if e.fold >= 0}
    return Slope(value, jackknifed(value, np.array(list(without.values()))), np.nan)
