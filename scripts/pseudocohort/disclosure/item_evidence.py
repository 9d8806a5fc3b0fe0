"""The evidence on items: every attack on rows, Anonymeter's risks, what the model remembers, shadow models."""

import logging
from collections.abc import Callable

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.dictionary import SEX_CODES, Dictionary
from pseudocohort.disclosure import anonymeter_risks
from pseudocohort.disclosure.evidence import FAILED, membership_lines
from pseudocohort.disclosure.items import Sides, attack_records
from pseudocohort.disclosure.records import Records, attackers_tables, common_scale
from pseudocohort.disclosure.roc import judged_scores
from pseudocohort.disclosure.shadow import most_unusual, shadow_scores
from pseudocohort.measures.line import measure

log = logging.getLogger("pseudocohort")
RISK = 0.05  # Anonymeter's risk that a null may have, and a planted leak must


def item_evidence(
    people: pd.DataFrame,
    items: pd.DataFrame,
    pseudo: pd.DataFrame,
    dictionary: Dictionary,
    seed: int,
    *,
    targets: int = 1000,
    bounds: np.ndarray | None = None,
    shadows: tuple[Callable, int, int] | None = None,
) -> tuple[list[dict], dict]:
    """(lines, controls by attack) for results/disclosure/items.json.

    people: real people (sex, stratum, family, part: train, A, B); items: their items, same rows; pseudo: the pseudo
    cohort's table.  Members are at most `targets` of train, non-members those of A, the reference those of B.
    bounds: (people,) `phenotype.bounds.log_bounds` of a network.  shadows: (draw, people, rounds), see `_shadow_lines`.
    """
    rng = counter.generator(seed, "attacks on items")
    part, family = people["part"].to_numpy(dtype=str), people["family"].astype(str).to_numpy()
    real = attackers_tables(people, items, dictionary)
    made = as_attacked(pseudo)
    train = np.flatnonzero(part == "train")
    rows = {"member": np.sort(rng.permutation(train)[:targets]), "A": part == "A", "B": part == "B"}
    tables = [real.iloc[rows["member"]], real[rows["A"]], made, real[rows["B"]]]
    members, nonmembers, drawn, reference = common_scale(tables, [2, 3], dictionary)
    sides = Sides(members, nonmembers, drawn, reference, family[rows["member"]], family[rows["A"]])
    lines, controls = [], {}
    for name, attack in attack_records(sides, rng).items():
        controls[name] = attack.controls
        lines += membership_lines("item", name, attack.judged, _passed(attack.controls))
    log.info("%d members and %d others attacked by their rows", len(members.x), len(nonmembers.x))
    more, found = _risk_lines(real[part == "train"], real[part != "train"], made, dictionary, seed)
    lines, controls = lines + more, controls | found
    if bounds is not None:
        inside, outside = bounds[part == "train"], bounds[part != "train"]
        judged = judged_scores(inside, outside, family[part == "train"], family[part != "train"])
        lines.append(measure("model_membership", judged.auc, z=judged.z, interval=judged.interval,
                             gap=float(inside.mean() - outside.mean())))  # fmt: skip
    if shadows is not None:
        lines += _shadow_lines(shadows, real, made, part, family, dictionary, seed)
    return lines, controls


def as_attacked(pseudo: pd.DataFrame) -> pd.DataFrame:
    """The pseudo cohort's table with sex as a code and stratum as a text."""
    sex = pseudo["sex"]
    codes = sex if pd.api.types.is_numeric_dtype(sex) else sex.map(SEX_CODES).fillna(0).astype(int)
    return pseudo.assign(sex=codes, stratum=pseudo["stratum"].astype(str)).drop(columns="person", errors="ignore")


def _passed(controls: dict) -> bool:
    return controls["planted"]["passed"] and controls["null"]["passed"]


def _risk_lines(
    members: pd.DataFrame, others: pd.DataFrame, made: pd.DataFrame, dictionary: Dictionary, seed: int
) -> tuple[list[dict], dict]:
    """Anonymeter's risks, with rows copied as the planted leak and two halves of non-members as the null."""
    columns = [c for c in members.columns if c in made.columns]
    train, held, pseudo = (anonymeter_risks.plain_table(t[columns], dictionary) for t in (members, others, made))
    secrets = anonymeter_risks.secrets_of(dictionary, columns)
    rng = counter.generator(seed, "anonymeter")
    order, size = rng.permutation(len(held)), len(held) // 2
    leaky, copied = pseudo.copy(), rng.permutation(len(train))[: max(min(len(train), len(pseudo)) // 4, 1)]
    leaky.iloc[: len(copied)] = train.iloc[copied].to_numpy()
    leaky = leaky.astype(pseudo.dtypes)
    real = anonymeter_risks.risks(train, held, pseudo, secrets, seed)
    found = anonymeter_risks.risks(train.iloc[copied], held, leaky, secrets, seed)
    null = anonymeter_risks.risks(held.iloc[order[:size]], held.iloc[order[size:]], pseudo, secrets, seed)
    lines, controls = [], {}
    for name, risk in real.items():
        controls[name] = {
            "planted": {"risk": found[name].value, "passed": bool(found[name].value > RISK)},
            "null": {"risk": null[name].value, "passed": bool(null[name].interval[0] <= RISK)},
        }
        reason = None if _passed(controls[name]) else FAILED
        lines.append(measure("anonymeter_risk", risk.value, subject=name, interval=risk.interval, reason=reason,
                             attacks=risk.attacks))  # fmt: skip
    log.info("Anonymeter: %d attacks of %d kinds", next(iter(real.values())).attacks, len(real))
    return lines, controls


def _shadow_lines(shadows, real, made, part, family, dictionary, seed) -> list[dict]:
    """shadows: draw(rows, round) -> pseudo table of a model trained on these rows of the real people; number of most
    unusual people; rounds."""
    draw, count, rounds = shadows
    train = np.flatnonzero(part == "train")
    tables = [real.iloc[train], made, real[part != "train"]]
    rows, _, reference = common_scale(tables, [1, 2], dictionary)
    unusual = most_unusual(rows.x, count)

    def drawn(families: np.ndarray, number: int) -> Records:
        table = draw(train[np.isin(family[train], families)], number)
        return common_scale([as_attacked(table), made, real[part != "train"]], [1, 2], dictionary)[0]

    own = family[train]
    found = shadow_scores(drawn, rows.take(unusual), own[unusual], own, reference, rounds, seed)
    lines = []
    for name, (inside, outside, ours, theirs) in found.items():
        judged = judged_scores(inside, outside, own[unusual][ours], own[unusual][theirs])
        lines.append(measure("shadow_membership", judged.auc, subject=name, z=judged.z, interval=judged.interval,
                             people=None, targets=count, rounds=rounds))  # fmt: skip
    return lines
