"""The chosen model of the items beside the other models, all judged by the same code."""

import json
import logging
import math
from pathlib import Path

import pandas as pd

from pseudocohort.evaluation.items import judge_items
from pseudocohort.evaluation.tables import prepare
from pseudocohort.files import atomic

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
    calibrated: bool = True,
) -> dict:
    """What results/evaluation/models.json holds: chosen, calibrated, models, as_good, note.

    people, real, real_scores: real people, their items and scores, same rows; tables: model -> its pseudo people
    (rows of pseudo_scores), the chosen model first. models: model -> {goal of `judge_items`: metric}; every model
    meets the same splits of the real people. as_good: models that `falls_short` finds nothing against.
    """
    judged = {}
    for name, table in tables.items():
        setting, ours, theirs, _ = prepare(people, real, real_scores, table, pseudo_scores, dictionary, seed)
        judged[name] = judge_items(setting, ours, theirs)
        log.info("%s judged", LABELS[name])
    chosen, *others = judged
    short = {name: falls_short(judged[name], judged[chosen]) for name in others}
    surpassed = {name: falls_short(judged[chosen], judged[name]) for name in others}
    return {
        "chosen": chosen,
        "calibrated": calibrated,
        "models": judged,
        "as_good": [name for name in others if short[name] == []],
        "note": " ".join(explain(chosen, name, short[name], surpassed[name]) for name in others),
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


def explain(chosen: str, name: str, short: list[str] | None, surpassed: list[str] | None) -> str:
    """One plain sentence on another model. short: in what it falls short of the chosen one, see `falls_short`;
    surpassed: in what the chosen one falls short of it."""
    other, ours = _first_upper(LABELS[name]), LABELS[chosen]
    if short is None or surpassed is None:
        return f"Whether {LABELS[name]} is as good as {ours} cannot be said: too few people."
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


def _first_upper(text: str) -> str:
    return text[0].upper() + text[1:]
