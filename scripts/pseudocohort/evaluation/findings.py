"""Do studies of pseudo people find what studies of real people find? Scores with items, and items with each other.

Every pair is one study: a linear regression given age and sex (`regressions.regress`), items in normal scores,
categories as indicators, all in founders' standard deviations. What founders find significant is looked for in as many
pseudo people as the holdout has, and in the holdout itself, which is what a second real study finds (floor). And what
pseudo people find significant, as many as there are founders, is looked for in the holdout, as what founders find is.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from pseudocohort.evaluation.metrics import FOLDS, folds, jackknifed
from pseudocohort.evaluation.real_cells import whole_tens
from pseudocohort.evaluation.regressions import Fit, cells, discoveries, interactions, regress
from pseudocohort.evaluation.relations import Columns, correlation_columns, normal_scores
from pseudocohort.evaluation.replication import NOMINAL, without_curse
from pseudocohort.evaluation.tables import Setting, Table, missingness
from pseudocohort.measures.line import measure

MOST_PEOPLE = 5000  # of a study
DRAWS = 5  # of pseudo people as many as the holdout has
FEWEST_CELL = 20  # real people that any slope stands for
FEWEST_FINDINGS = 10
LEVEL = 0.05
SMOOTH = 0.45  # standard errors
KINDS = ("score", "item")


class Study(NamedTuple):
    """A cohort's columns: x (n, a), y (n, b), covariates (n, q), group of the jackknife (n,)."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    group: np.ndarray

    def fit(self, groups: int = FOLDS) -> Fit:
        return regress(self.x, self.y, self.z, self.group, groups)


class Cohorts(NamedTuple):
    """Rows of the same size to discover in (founders, pseudo), and to look for it in (holdout, draws of pseudo)."""

    founders: np.ndarray
    pseudo: np.ndarray
    holdout: np.ndarray
    draws: list[np.ndarray]


def finding_metrics(setting: Setting, real: Table, pseudo: Table, naive: Table | None) -> tuple[list[dict], dict]:
    """(lines, arrays for the tables and figures): findings of founders and of pseudo people, see this module.

    naive: baseline, its people with the scores of the pseudo people where they are as many.
    """
    columns = _columns(setting, real)
    if not len(columns.item):
        return _unknown(), {}
    cohorts = _cohorts(setting, len(pseudo.values))
    group = folds(setting.family, len(pseudo.values), setting.rng)
    tables = [real, pseudo]
    if naive is not None:
        same = naive.scores.shape == pseudo.scores.shape
        tables.append(naive._replace(scores=pseudo.scores if same else naive.scores))
    binary = np.array([kind >= 0 or setting.items[j].type == "binary"
                       for j, kind in zip(columns.item, columns.category, strict=True)])  # fmt: skip
    ys = _scaled([normal_scores(t, columns) for t in tables], setting.train)
    scores = _scaled([t.scores for t in tables], setting.train)
    zs = _covariates(tables, setting.train)
    lines, arrays = [], {}
    kept = np.flatnonzero(np.isfinite(scores[0][setting.train]).all(axis=0) & (scores[0][setting.train].std(0) > 0))
    names = {"score": tuple(setting.score_names[t] for t in kept), "item": columns.names}
    for kind in KINDS:
        xs, x_binary = ([s[:, kept] for s in scores], np.zeros(len(kept), bool)) if kind == "score" else (ys, binary)
        if not xs[0].shape[1]:
            lines += [line for line in _unknown() if line["key"].startswith(kind)]
            continue
        groups = (*group, group[1]) if len(tables) == 3 else group
        studies = [Study(*parts) for parts in zip(xs, ys, zs, groups, strict=False)]
        lawful = np.ones((xs[0].shape[1], len(binary)), bool)
        if kind == "item":
            lawful = np.triu(lawful, 1) & (columns.item[:, None] != columns.item[None])
        found, more = _compared(kind, studies, cohorts, lawful, (x_binary, binary))
        lines += found
        arrays |= {f"findings/{kind}/{key}": value for key, value in more.items()}
        arrays |= {f"findings/{kind}/x": list(names[kind]) or ["-"], f"findings/{kind}/y": list(columns.names)}
    return lines + _interaction_lines([s[:, kept] for s in scores], ys, zs, cohorts), arrays


def _unknown() -> list[dict]:
    return [measure(f"{kind}_findings_{what}", None) for kind in KINDS for what in ("kept", "true")]


def _columns(setting: Setting, real: Table) -> Columns:
    """The columns of the correlations but for the indicators of missing values, and the age, which is a covariate."""
    lost = missingness(real)[setting.train]
    columns = correlation_columns(setting.items, real.values[setting.train], lost, setting.rng)
    use = [k for k, (j, kind) in enumerate(zip(columns.item, columns.category, strict=True))
           if kind != -2 and setting.items[j].role != "age"]  # fmt: skip
    return Columns(columns.item[use], columns.category[use], tuple(columns.names[k] for k in use), columns.left_out)


def _cohorts(setting: Setting, people: int) -> Cohorts:
    """Rows of the studies, drawn at random; the draws of pseudo people share nobody."""
    train, held = (setting.rng.permutation(np.flatnonzero(rows)) for rows in (setting.train, ~setting.train))
    order = setting.rng.permutation(people)
    many, few = min(len(train), people, MOST_PEOPLE), min(len(held), people, MOST_PEOPLE)
    draws = [order[d * few : (d + 1) * few] for d in range(min(DRAWS, people // max(few, 1)))]
    return Cohorts(train[:many], order[::-1][:many], held[:few], draws)


def _scaled(tables: list[np.ndarray], train: np.ndarray) -> list[np.ndarray]:
    """Columns less the founders' mean, in founders' standard deviations; tables: the real one (n, k) first."""
    own = tables[0][train]
    seen = ~np.isnan(own)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, own, 0).sum(axis=0) / count
    spread = np.sqrt(np.where(seen, (own - mean) ** 2, 0).sum(axis=0) / count)
    return [(t - mean) / np.where(spread > 0, spread, 1.0) for t in tables]


def _covariates(tables: list[Table], train: np.ndarray) -> list[np.ndarray]:
    """Age, its square and sex of each table, (n, 3); unknown ages stand at the founders' mean, unknown sex midway."""
    age = tables[0].conditions[train, 2]
    mean, spread = (np.nanmean(age), np.nanstd(age)) if np.isfinite(age).any() else (0.0, 1.0)
    found = []
    for table in tables:
        sex, _, years = table.conditions.T
        years = np.nan_to_num((years - mean) / (spread or 1.0))
        found.append(np.column_stack([years, years**2, np.select([sex == 1, sex == 2], [-1.0, 1.0], 0.0)]))
    return found


def _compared(kind: str, studies: list[Study], cohorts: Cohorts, lawful, binary) -> tuple[list[dict], dict]:
    """Lines and aggregates of one kind. lawful: (a, b) pairs that are studies; binary: of columns x and y."""
    real, pseudo = studies[:2]
    founders = _rows(real, cohorts.founders).fit(0)
    made, held = _rows(pseudo, cohorts.pseudo).fit(), _rows(real, cohorts.holdout).fit()
    drawn = [_rows(pseudo, rows).fit() for rows in cohorts.draws]
    few = cells(real.x[cohorts.founders], real.y[cohorts.founders], *binary)
    tested = lawful & (few >= FEWEST_CELL) & np.isfinite(founders.p[0])
    sure, likely = (_spread(found, tested) for found in discoveries(founders.p[0][tested], LEVEL))
    sign = np.sign(founders.beta[0])
    again, held_share = np.mean([_shares(fit, sign, sure) for fit in drawn], axis=0), _shares(held, sign, sure)
    floor = held_share
    if kind == "score":  # their weights have seen the founders, so that the holdout has weaker effects than it should
        floor = np.mean([_expected(founders, fit, sure, tested) for fit in drawn], axis=0)
    counts = {"tests": int(tested.sum()), "discovery": len(cohorts.founders)}
    lines = [
        _line(f"{kind}_findings_kept", again, floor, int(sure.sum()), len(cohorts.holdout),
              baseline=_baseline(studies, cohorts, sign, sure, floor[0]), **counts, findings=int(sure.sum()),
              fdr=int(likely.sum()),
              fdr_share=np.mean([_shares(fit, sign, likely)[0] for fit in drawn]) if drawn else np.nan,
              fdr_floor=_shares(held, sign, likely)[0], holdout=held_share[0])
    ]  # fmt: skip
    own = _spread(discoveries(made.p[0][tested], LEVEL)[0], tested)
    shown = _confirmed(made, held, own, tested)
    false = own & ~_agrees(founders, np.sign(made.beta[0]))[0]
    lines.append(
        _line(f"{kind}_findings_true", shown, held_share, min(int(own.sum()), int(sure.sum())), len(cohorts.holdout),
              **counts, findings=int(own.sum()), false=int(false.sum()), real_findings=int(sure.sum()))
    )  # fmt: skip
    enough = cells(real.x[cohorts.holdout], real.y[cohorts.holdout], *binary) >= FEWEST_CELL
    return lines, _aggregates(founders.whole(), made.whole(), held.whole(), tested, enough, (sure, likely, own))


def _rows(study: Study, rows: np.ndarray) -> Study:
    return Study(*(part[rows] for part in study))


def _spread(found: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """Findings among the tested pairs as a table of all: (a, b) bool."""
    table = np.zeros(tested.shape, bool)
    table[tested] = found
    return table


def _agrees(fit: Fit, sign: np.ndarray) -> np.ndarray:
    """Where a study finds the same: p < .05 and the same sign; a pair that it cannot study is not found."""
    return (fit.p < LEVEL) & (np.sign(fit.beta) == sign)


def _shares(fit: Fit, sign: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Share of the chosen pairs that a study finds again, then without each group, smoothed: (groups + 1,)."""
    if not chosen.any():
        return np.full(len(fit.p), np.nan)
    found = _nearly(fit, sign)[:, chosen].mean(axis=1)
    found[0] = _agrees(fit, sign)[0][chosen].mean()
    return found


def _expected(founders: Fit, fit: Fit, chosen: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """Share of the founders' findings (chosen) that a study with the standard errors of `fit` should find again, were
    their effects the founders' without the winner's curse (`replication.power`): of all people, then without each
    group."""
    if not chosen.any():
        return np.full(len(fit.p), np.nan)
    z, se = (founders.beta[0] / founders.se[0])[chosen], founders.se[0][chosen]
    mean = without_curse(z, -ndtri(LEVEL / tested.sum() / 2))
    with np.errstate(all="ignore"):
        chance = ndtr(np.abs(mean) * se / fit.se[:, chosen] - NOMINAL)
    return np.where(np.isfinite(chance), chance, 0.0).mean(axis=1)


def _nearly(fit: Fit, sign: np.ndarray, least: float = 1.96) -> np.ndarray:
    """`_agrees` as a smooth step of the statistic, SMOOTH wide, for the jackknife: counts of what passes a threshold
    jump when a group is left out, and their jackknife is several times too wide. Of this width its variance is that of
    the count where the chance of passing is one half."""
    with np.errstate(all="ignore"):
        step = ndtr((fit.beta / fit.se * sign - least) / SMOOTH)
    return np.where(np.isfinite(fit.p), step, 0.0)


def _confirmed(made: Fit, held: Fit, own: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """Share of the findings (own) of one study that another shows; then without each group, both smoothed."""
    if not own.any():
        return np.full(len(made.p), np.nan)
    sign = np.sign(made.beta)
    weight = np.where(tested, _nearly(made, sign, -ndtri(LEVEL / tested.sum() / 2)), 0.0)
    shares = (weight * _nearly(held, sign)).sum(axis=(1, 2)) / weight.sum(axis=(1, 2))
    shares[0] = _agrees(held, sign)[0][own].mean()
    return shares


def _baseline(studies: list[Study], cohorts: Cohorts, sign, sure, floor: float) -> float | None:
    """The ratio of independent marginals, in as many people as the holdout has."""
    if len(studies) < 3 or not floor > 0:
        return None
    rows = np.arange(min(len(cohorts.holdout), len(studies[2].x)))
    return _shares(_rows(studies[2], rows).fit(0), sign, sure)[0] / floor


def _line(key: str, share: np.ndarray, floor: np.ndarray, number: int, half: int, baseline=None, **told) -> dict:
    """share, floor: first of all people, then without each group; number: of findings;
    half: people of the holdout."""
    reason = None if number >= FEWEST_FINDINGS else "fewer than ten significant associations"
    if not np.ndim(share) or not floor[0] > 0:
        return measure(key, None, reason=reason, half=half, **told)
    with np.errstate(all="ignore"):
        ratio, without = share[0] / floor[0], share[1:] / floor[1:]
    return measure(key, share[0], floor=floor[0], ratio=ratio, interval=jackknifed(ratio, without, np.log, np.exp),
                   baseline=baseline, people=half, reason=reason, half=half, **told)  # fmt: skip


def _interaction_lines(scores: list, ys: list, zs: list, cohorts: Cohorts) -> list[dict]:
    """Interactions of scores with age and with sex, which nothing in the model is made to keep."""
    parts = ((0, cohorts.founders), (1, cohorts.pseudo), (0, cohorts.holdout))
    fits = [
        Fit(*(np.stack(v) for v in zip(*(interactions(scores[side][rows], zs[side][rows, m], ys[side][rows],
                                                      zs[side][rows]) for m in (0, 2)), strict=True)))
        for side, rows in parts
    ]  # fmt: skip
    real, made, held = fits
    tested = np.isfinite(real.p) & np.isfinite(made.p)
    if not tested.any():
        return [measure("interactions_kept", None), measure("interaction_chi2", None)]
    found, own = (_spread(discoveries(fit.p[tested], LEVEL)[1], tested) for fit in (real, made))
    kept, floor = (_agrees(fit, np.sign(real.beta))[found].mean() if found.any() else None for fit in (made, held))
    counts = {"findings": int(found.sum()), "pseudo_findings": int(own.sum()), "tests": int(tested.sum())}
    chi2 = [float(((fit.beta[tested] / fit.se[tested]) ** 2).mean()) for fit in (made, real)]
    return [
        measure("interactions_kept", kept, floor=floor, reason=None if found.any() else "no significant interaction",
                discovery=len(cohorts.founders), **counts),
        measure("interaction_chi2", chi2[0], floor=chi2[1]),
    ]  # fmt: skip


def _aggregates(real: Fit, made: Fit, held: Fit, tested: np.ndarray, enough: np.ndarray, found: tuple) -> dict:
    """The tested pairs, a row each: positions of x and y, slopes and p values, and what was found.

    Those of the holdout only where enough people stand for them (enough).
    """
    x, y = np.nonzero(tested)
    arrays = {"row": x, "column": y}
    for name, fit, shown in (("real", real, tested), ("holdout", held, enough), ("pseudo", made, tested)):
        told = fit if name == "pseudo" else _without_people(fit)
        for key, values in zip(Fit._fields, told, strict=True):
            arrays[f"{key}_{name}"] = np.where(shown, values, np.nan if key != "n" else 0)[tested]
    sure, likely, own = (table[tested] for table in found)
    same = np.sign(made.beta) == np.sign(real.beta)
    arrays |= {"again": ((made.p < LEVEL) & same)[tested], "agreed": ((real.p < LEVEL) & same)[tested]}
    return arrays | {"found_real": likely.astype(int) + sure, "found_pseudo": own.astype(int)}


def _without_people(fit: Fit) -> Fit:
    """Results of real people that do not tell how many they are to the last one: numbers in whole tens, and three
    digits of the rest, from which the degrees of freedom would follow."""
    return Fit(*(_digits(x) for x in (fit.beta, fit.se, fit.p)), whole_tens(fit.n))


def _digits(values: np.ndarray, digits: int = 3) -> np.ndarray:
    """Numbers (...) of so many significant digits."""
    return np.array([float(f"{x:.{digits - 1}e}") for x in values.ravel()]).reshape(values.shape)


def finding_table(arrays: dict, kind: str) -> pd.DataFrame:
    """The studies of a kind as results/evaluation/{kind}_item_findings.tsv holds them, the founders' smallest p first.

    beta: founders' standard deviations of the second column by one of the first.  Of real people beta, se and p have
    three digits, and n is in whole tens: differences between rows would tell of one or a few people.
    in_real: bonferroni or fdr where the founders' result is significant, in_pseudo: bonferroni where that of pseudo
    people is.  verdict: kept, lost (founders' findings that as many pseudo people do not show with p < .05 and the same
    sign), false (pseudo people's that the founders do not show), else nothing.
    """
    first = "score" if kind == "score" else "item_1"
    second = "item" if kind == "score" else "item_2"
    if f"findings/{kind}/row" not in arrays:
        return pd.DataFrame(columns=[first, second, "verdict"])
    at = {key.rsplit("/", 1)[1]: value for key, value in arrays.items() if key.startswith(f"findings/{kind}/")}
    table = {first: np.array(at["x"], dtype=str)[at["row"]], second: np.array(at["y"], dtype=str)[at["column"]]}
    for name in ("real", "holdout", "pseudo"):
        table |= {f"{key}_{name}": at[f"{key}_{name}"] for key in Fit._fields}
    real, made, again = at["found_real"], at["found_pseudo"] > 0, at["again"]
    verdict = np.select([(real > 0) & again, real > 0, made & ~at["agreed"]], ["kept", "lost", "false"], "")
    table |= {
        "in_real": np.array(["", "fdr", "bonferroni"])[real],
        "in_pseudo": np.where(made, "bonferroni", ""),
        "verdict": verdict,
    }
    return pd.DataFrame(table).sort_values("p_real", kind="stable", ignore_index=True)
