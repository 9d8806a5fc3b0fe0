"""The evidence on items: every attack on rows, Anonymeter's risks, what the model remembers, shadow models."""

import logging
from collections.abc import Callable

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.dictionary import SEX_CODES, Dictionary
from pseudocohort.disclosure import anonymeter_risks
from pseudocohort.disclosure.evidence import FAILED, FEW, both_passed, membership_lines
from pseudocohort.disclosure.items import CHANCE, FOUND, Attacked, Sides, attack_records, halves
from pseudocohort.disclosure.records import Records, attackers_tables, common_scale
from pseudocohort.disclosure.roc import judged_scores
from pseudocohort.disclosure.shadow import judged_shadow, most_unusual, shadow_scores, swapped
from pseudocohort.measures.line import measure

log = logging.getLogger("pseudocohort")
RISK = 0.05  # Anonymeter's risk that a null may have, and a planted leak must exceed
COPIED = 200  # people at least, where there are so many, whose rows are the planted leak
NEEDED = 200  # people a side: copies of 200 were singled out in every simulation, of 100 in 34 of 40
REMEMBERED = 100  # people whom the planted leak of the likelihood has learnt by heart, at most
LIKELIHOOD = "the network's likelihood"
ROUNDS = 16  # shadow models for a clear answer


def item_evidence(
    people: pd.DataFrame,
    items: pd.DataFrame,
    pseudo: pd.DataFrame,
    dictionary: Dictionary,
    seed: int,
    *,
    targets: int = 1000,
    likelihood: Callable | None = None,
    shadows: tuple[Callable, int, int] | None = None,
) -> tuple[list[dict], dict]:
    """(lines, controls by attack) for results/disclosure/items.json.

    people: real people (sex, stratum, family, part: train, A, B); items: their items, same rows; pseudo: the pseudo
    cohort's table.  Members are at most `targets` of train, non-members those of A, the reference those of B.
    likelihood: see `_likelihood_line`.  shadows: (draw, people, rounds), see `_shadow_lines`.
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
        lines += membership_lines("item", name, attack.judged, both_passed(attack.controls), len(members.x))
    log.info("%d members and %d others attacked by their rows", len(members.x), len(nonmembers.x))
    more, found = _risk_lines(real[part == "train"], real[part != "train"], made, dictionary, seed)
    lines, controls = lines + more, controls | found
    if likelihood is not None:
        line, found = _likelihood_line(likelihood, part, family, seed)
        lines, controls = [*lines, line], controls | found
    if shadows is not None:
        more, found = _shadow_lines(shadows, real, made, part, family, dictionary, seed)
        lines, controls = lines + more, controls | found
    return lines, controls


def as_attacked(pseudo: pd.DataFrame) -> pd.DataFrame:
    """The pseudo cohort's table with sex as a code and stratum as a text."""
    sex = pseudo["sex"]
    codes = sex if pd.api.types.is_numeric_dtype(sex) else sex.map(SEX_CODES).fillna(0).astype(int)
    return pseudo.assign(sex=codes, stratum=pseudo["stratum"].astype(str)).drop(columns="person", errors="ignore")


def reason_of(controls: dict) -> str | None:
    """Why an attack with these controls is no evidence; None if both passed."""
    return {True: None, False: FAILED, None: FEW}[both_passed(controls)]


def _risk_lines(
    members: pd.DataFrame, others: pd.DataFrame, made: pd.DataFrame, dictionary: Dictionary, seed: int
) -> tuple[list[dict], dict]:
    """Anonymeter's risks, with rows copied as the planted leak and two halves of non-members as the null."""
    columns = [c for c in members.columns if c in made.columns]
    train, held, pseudo = (anonymeter_risks.plain_table(t[columns], dictionary) for t in (members, others, made))
    secrets = anonymeter_risks.secrets_of(dictionary, columns)
    rng = counter.generator(seed, "anonymeter")
    order, size = rng.permutation(len(held)), len(held) // 2
    most = min(len(train), len(pseudo))
    leaky, copied = pseudo.copy(), rng.permutation(len(train))[: max(most // 4, min(most, COPIED))]
    leaky.iloc[: len(copied)] = train.iloc[copied].to_numpy()
    leaky = leaky.astype(pseudo.dtypes)
    real = anonymeter_risks.risks(train, held, pseudo, secrets, seed)
    found = anonymeter_risks.risks(train.iloc[copied], held, leaky, secrets, seed)
    null = anonymeter_risks.risks(held.iloc[order[:size]], held.iloc[order[size:]], pseudo, secrets, seed)
    lines, controls = [], {}
    for name, risk in real.items():
        seen = found[name].value > RISK
        few = {"needed": NEEDED} if not seen and min(len(copied), len(held)) < NEEDED else {}
        controls[name] = {
            "planted": {"risk": found[name].value, "passed": None if few else bool(seen), **few},
            "null": {"risk": null[name].value, "passed": bool(null[name].interval[0] <= RISK)},
        }
        lines.append(measure("anonymeter_risk", risk.value, subject=name, interval=risk.interval,
                             reason=reason_of(controls[name]),
                             attacks=risk.attacks))  # fmt: skip
    log.info("Anonymeter: %d attacks of %d kinds", next(iter(real.values())).attacks, len(real))
    return lines, controls


def _likelihood_line(likelihood: Callable, part: np.ndarray, family: np.ndarray, seed: int) -> tuple[dict, dict]:
    """likelihood(): (people,) `phenotype.bounds.log_bounds` by the network; likelihood(rows): by one that has learnt
    these people by heart, the planted leak. The null: two halves of the non-members."""
    rng, train, others = counter.generator(seed, "likelihood"), part == "train", part != "train"
    learnt = np.sort(rng.permutation(np.flatnonzero(train))[:REMEMBERED])
    bounds, leaky = likelihood(), likelihood(learnt)
    outside, theirs = bounds[others], family[others]
    one, other = halves(theirs, rng)
    attacked = Attacked(
        judged_scores(bounds[train], outside, family[train], theirs),
        judged_scores(leaky[learnt], leaky[others], family[learnt], theirs),
        judged_scores(outside[one], outside[other], theirs[one], theirs[other]),
    )
    judged, controls = attacked.judged, {LIKELIHOOD: attacked.controls}
    gap = float(bounds[train].mean() - outside.mean())
    line = measure("model_membership", judged.auc, subject=LIKELIHOOD, z=judged.z, interval=judged.interval,
                   reason=reason_of(controls[LIKELIHOOD]), gap=gap)  # fmt: skip
    return line, controls


def _shadow_lines(shadows, real, made, part, family, dictionary, seed) -> tuple[list[dict], dict]:
    """shadows: draw(rows, round) -> pseudo table of a model trained on these rows of the real people; number of most
    unusual people; rounds. The null: families that swap the models that have seen them."""
    draw, count, rounds = shadows
    train = np.flatnonzero(part == "train")
    tables = [real.iloc[train], made, real[part != "train"]]
    rows, _, reference = common_scale(tables, [1, 2], dictionary)
    unusual, own = most_unusual(rows.x, count), family[train]

    def drawn(families: np.ndarray, number: int) -> Records:
        table = draw(train[np.isin(own, families)], number)
        return common_scale([as_attacked(table), made, real[part != "train"]], [1, 2], dictionary)[0]

    theirs, rng = own[unusual], counter.generator(seed, "shadow models")
    seen, found, planted = shadow_scores(drawn, rows.take(unusual), theirs, own, reference, rounds, seed)
    unseen = swapped(seen, theirs, rng)
    lines, controls = [], {}
    for name, score in found.items():
        told = judged_shadow(score, seen, theirs, rng)
        leak, null = judged_shadow(planted[name], seen, theirs, rng), judged_shadow(score, unseen, theirs, rng)
        subject = f"{name} by shadow models"
        controls[subject] = {
            "planted": {"auc": leak.auc, "passed": bool(leak.auc >= FOUND and leak.interval[0] > 0.5)},
            "null": {"auc": null.auc, "passed": bool(abs(null.z) <= CHANCE)},
        } if np.isfinite(told.auc) else {
            kind: {"auc": None, "passed": None, "needed": ROUNDS} for kind in ("planted", "null")
        }  # fmt: skip
        reason = reason_of(controls[subject]) if np.isfinite(told.auc) else "too few shadow models"
        lines.append(measure("shadow_membership", told.auc, subject=subject, z=told.z, interval=told.interval,
                             reason=reason, targets=len(unusual), rounds=rounds))  # fmt: skip
    return lines, controls
