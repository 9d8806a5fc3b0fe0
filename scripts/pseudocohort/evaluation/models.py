"""The chosen model of the items beside the other models, all judged by the same code."""

import json
import logging
import math
from pathlib import Path

import pandas as pd

from pseudocohort.evaluation.items import judge_items
from pseudocohort.evaluation.tables import prepare
from pseudocohort.files import atomic
from pseudocohort.measures import catalogue

log = logging.getLogger("pseudocohort")
LABELS = {
    "cvae": "the network (cvae)",
    "cart": "sequential CART (cart)",
    "marginal": "the model of independent marginals (marginal)",
}
SIMPLICITY = ("marginal", "cart", "cvae")
# No model is fitted to these judges, as the calibration is to correlations. True: more is better.
JUDGES = {"c2st": ("classifier", False), "transfer": ("TSTR/TRTR", True), "partial_correlation": ("partial R", False)}


def compare_models(
    people: pd.DataFrame,
    real: pd.DataFrame,
    real_scores: pd.DataFrame,
    tables: dict[str, pd.DataFrame],
    pseudo_scores: pd.DataFrame,
    dictionary,
    seed: int,
    *,
    calibrated: tuple[str, ...] = (),
    private: tuple[str, ...] = (),
    limits: dict[str, dict | None] | None = None,
) -> dict:
    """What results/evaluation/models.json holds: chosen, calibrated, private, models, as_good, note.

    people, real, real_scores: real people, their items and scores, same rows; tables: model -> its pseudo people
    (rows of pseudo_scores), the chosen model first; calibrated, private: models whose draws are calibrated, and that
    were trained with differential privacy (in the result: model -> bool).
    limits: the configuration's `goals`.
    models: model -> {goal of `judge_items`: line of `catalogue.judged`}; every model meets the same splits of the
    real people.
    as_good: models that `falls_short` finds nothing against.
    """
    judged = {}
    for name, table in tables.items():
        setting, ours, theirs, _ = prepare(people, real, real_scores, table, pseudo_scores, dictionary, seed)
        lines = judge_items(setting, ours, theirs)
        judged[name] = dict(zip(lines, catalogue.judged(list(lines.values()), limits), strict=True))
        log.info("%s judged", LABELS[name])
    chosen, *others = judged
    short = {name: falls_short(judged[name], judged[chosen]) for name in others}
    surpassed = {name: falls_short(judged[chosen], judged[name]) for name in others}
    return {
        "chosen": chosen,
        "calibrated": {name: name in calibrated for name in judged},
        "private": {name: name in private for name in judged},
        "models": judged,
        "as_good": [name for name in others if short[name] == []],
        "note": " ".join(
            [
                *(explain(chosen, name, short[name], surpassed[name]) for name in others if short[name] is not None),
                *(undecided(chosen, name, judged) for name in others if short[name] is None),
                *simpler_meets(chosen, [n for n in others if surpassed[n] is None or not surpassed[n]], judged),
            ]
        ),
    }


def falls_short(goals: dict[str, dict], chosen: dict[str, dict]) -> list[str] | None:
    """Judges whose number is beyond the worse end of the chosen model's 95 % interval, in words with both numbers.

    goals, chosen: metrics by goal. A ratio to the noise floor is compared where there is one, else the value. None
    where a judge has no number for either model: then nothing can be said.
    """
    found = []
    for key, (label, more) in JUDGES.items():
        theirs, ours = _number(goals[key]), _number(chosen[key])
        if theirs is None or ours is None:
            return None
        limit = (chosen[key]["interval"] or [None, None])[0 if more else 1]
        limit = ours if limit is None or not math.isfinite(limit) else limit
        if theirs < limit if more else theirs > limit:
            found.append(f"{label} {theirs:.3g} for {ours:.3g}")
    return found


def undecided(chosen: str, name: str, judged: dict[str, dict]) -> str:
    """The sentence on a model that too few people leave undecided: which judges have numbers, and these."""
    known = [key for key in JUDGES if None not in (_number(judged[name][key]), _number(judged[chosen][key]))]
    lost = " and ".join(JUDGES[key][0] for key in JUDGES if key not in known)
    told = ", ".join(f"{JUDGES[k][0]} {_told(judged[name][k])} for {_told(judged[chosen][k])}" for k in known)
    end = f"There is: {told}." if known else "There is no other judge."
    return f"{_first_upper(LABELS[name])} against {LABELS[chosen]}: too few people for {lost}. {end}"


def simpler_meets(chosen: str, others: list[str], judged: dict[str, dict]) -> list[str]:
    """Sentences on goals that the chosen model misses, interval and all, and a simpler one meets.

    This needs no comparison of the two intervals, which few people make wide.
    """
    sentences = []
    for name in others:
        if SIMPLICITY.index(name) > SIMPLICITY.index(chosen):
            continue
        met = [
            f"{label} ({_told(judged[name][key])}; {LABELS[chosen]} has {_told(judged[chosen][key])})"
            for key, (label, _) in JUDGES.items()
            if judged[chosen][key]["verdict"] == "beyond" and judged[name][key]["verdict"] == "within"
        ]
        if met:
            sentences.append(
                f"{_first_upper(LABELS[name])}, a simpler model, meets a goal that {LABELS[chosen]} misses: "
                f"{', '.join(met)}: consider `model: {name}`."
            )
    return sentences


def explain(chosen: str, name: str, short: list[str], surpassed: list[str]) -> str:
    """One plain sentence on another model. short: in what it falls short of the chosen one, see `falls_short`;
    surpassed: in what the chosen one falls short of it."""
    other, ours = _first_upper(LABELS[name]), LABELS[chosen]
    if short:
        return f"{other} falls short of {ours}: {', '.join(short)}."
    if surpassed:
        return f"{other} is better than {ours}, which has {', '.join(surpassed)}: `model: {name}` is the better choice."
    if SIMPLICITY.index(name) < SIMPLICITY.index(chosen):
        return (
            f"{other}, a simpler model, is as good as {ours} by classifier, TSTR/TRTR and partial correlations: "
            f"`model: {name}` would do."
        )
    return f"{other} is no better than {ours}, which is simpler."


def save_comparison(path: str | Path, comparison: dict) -> None:
    """Write models.json."""
    with atomic(path) as part:
        part.write_text(json.dumps(comparison, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _number(line: dict) -> float | None:
    return line["value"] if line["ratio"] is None else line["ratio"]


def _told(line: dict) -> str:
    """A judge's number with its interval."""
    ends = line["interval"] or [None, None]
    return f"{_number(line):.3g}" + ("" if None in ends else f" ({ends[0]:.3g} to {ends[1]:.3g})")


def _first_upper(text: str) -> str:
    return text[0].upper() + text[1:]
