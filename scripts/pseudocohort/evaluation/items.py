"""Items of the pseudo cohort against the real ones: distributions, correlations, links to scores, a classifier.

Distances are judged against the noise floor of two real halves (`metrics.against_floor`); the baseline, items
drawn independently from their marginals, stands beside them as what must be beaten.
"""

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.cohort.dictionary import Dictionary
from pseudocohort.evaluation import item_figures
from pseudocohort.evaluation.classifier import classifier_metrics
from pseudocohort.evaluation.copies import row_copies
from pseudocohort.evaluation.distributions import marginal_metrics, structure_metrics
from pseudocohort.evaluation.findings import finding_metrics
from pseudocohort.evaluation.links import score_metrics
from pseudocohort.evaluation.metrics import Comparison
from pseudocohort.evaluation.relations import correlation_metrics
from pseudocohort.evaluation.tables import Setting, Table, prepare
from pseudocohort.evaluation.transfer import transfer_metrics

log = logging.getLogger("pseudocohort")
GOALS = (
    "marginal",
    "worst_marginal",
    "missing_rate",
    "dispersion",
    "correlation",
    "correlation_slope",
    "partial_correlation",
    "score_link",
    "score_slope",
    "c2st",
    "transfer",
    "rules_broken",
    "nearer_train",
    "copies",
)


class Judgement(NamedTuple):
    """goals: {key of GOALS: line}; lines: further measures; arrays: matrices for the figures; shape: comparison of the
    distributions by item."""

    goals: dict[str, dict]
    lines: list[dict]
    arrays: dict
    shape: Comparison


def judge_items(
    setting: Setting,
    real: Table,
    pseudo: Table,
    *,
    naive: Table | None = None,
    link_parts: tuple[str, str] = ("train", "train"),
) -> dict[str, dict]:
    """One `line.measure` for every goal of a model of items: the keys are GOALS, all always there.

    setting, real, pseudo, naive: as `tables.prepare` gives them.  naive: baseline whose numbers stand beside.
    link_parts: real halves for the scores, see `links.score_metrics`: ("A", "B") where no weights were learnt from the
    train people.  A measure that cannot be computed has the value None.
    """
    return judge(setting, real, pseudo, naive, link_parts).goals


def judge(
    setting: Setting,
    real: Table,
    pseudo: Table,
    naive: Table | None = None,
    link_parts: tuple[str, str] = ("train", "train"),
) -> Judgement:
    """What `judge_items` and the report need, see there."""
    goals, lines, shape = marginal_metrics(setting, real, pseudo, naive)
    log.info("distributions of %d items compared", len(setting.items))
    related, more, arrays = correlation_metrics(setting, real, pseudo, naive)
    lines += more
    linked, more = score_metrics(setting, real, pseudo, link_parts)
    lines += more
    log.info("correlations compared")
    goals |= related | linked | classifier_metrics(setting, real, pseudo, naive)
    for found, more in (transfer_metrics(setting, real, pseudo), structure_metrics(setting.items, pseudo)):
        goals |= found
        lines += more
    goals |= row_copies(real.values, pseudo.values, setting.part, setting.rng, family=setting.family)
    return Judgement({key: goals[key] for key in GOALS}, lines, arrays, shape)


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
    setting, table, other, naive = prepare(people, real, real_scores, pseudo, pseudo_scores, dictionary, seed, baseline)
    result = judge(setting, table, other, naive)
    found, studied = finding_metrics(setting, table, other, naive)
    log.info("associations of scores and items compared")
    arrays = result.arrays | studied | item_figures.marginals(setting, table, other, naive, result.shape.by_part)
    arrays |= item_figures.scores(setting, table, other)
    return [*result.goals.values(), *found, *result.lines], arrays
