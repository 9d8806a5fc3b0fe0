"""How near every model of the items comes to a second real sample, table by table, judged by the workflow's own code.

    python benchmarks/phenotype.py [--data nhanes,simulated,...] [--models cvae,cvae-plain,cart,cart-plain,marginal]
                                   [--splits 2] [--seed 1] [--ablation] [--peers FOLDER] [--small] [key=value ...]

Data sets: see phenotype_tables.py; a real one whose file is absent is skipped. key=value are network settings.
A table is split at random, by family, into train, A and B of equal size. Scores are planted: standard normals that
each shift an item by 0.4 SD. Every model is trained on train and draws as many people with new scores. Distances are
R = D(pseudo, A) / D(B, A): 1 is the noise floor. The row `real train` is the control: the train people themselves,
judged as if they were pseudo; it must be at the floor everywhere, and shows what copying looks like in the last two.
-plain: without calibration. --ablation: the network with each of its parts left out in turn. --peers: other programs,
from an environment of their own (phenotype_peers.py), their tables kept in FOLDER. Times are CPU seconds (all
threads) and, after a slash, wall seconds; compilation is in them.
"""

import argparse
import logging
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
import phenotype_peers
from phenotype_tables import NAMES, Data, load, small

from pseudocohort.cohort.dictionary import Dictionary
from pseudocohort.errors import InputError
from pseudocohort.evaluation.items import judge_items
from pseudocohort.evaluation.tables import prepare
from pseudocohort.phenotype.models import sample_model, train_model
from pseudocohort.phenotype.settings import PARTS

MODELS = ("cvae", "cvae-plain", "cart", "cart-plain", "marginal")
SHIFT = 0.4  # SD (of normal scores) that a planted score moves its item by
CONTROL = "real train"


class Measure(NamedTuple):
    """title of the column, goal: (least, most), and the direction that is better: -1 less, +1 more, 0 near 1."""

    title: str
    goal: tuple[float, float]
    better: int


# The goals are those of the project's issue of the phenotype network
MEASURES = {
    "marginal": Measure("marginal R", (0, 1.05), -1),
    "worst_marginal": Measure("worst item R", (0, 3), -1),
    "missing_rate": Measure("missing R", (0, 1.1), -1),
    "dispersion": Measure("dispersion", (0.97, 1.03), 0),
    "correlation": Measure("correlation R", (0, 1.1), -1),
    "correlation_slope": Measure("slope", (0.97, 1.03), 0),
    "partial_correlation": Measure("partial R", (0, 1.3), -1),
    "score_link": Measure("score link R", (0, 1.1), -1),
    "score_slope": Measure("link slope", (0.97, 1.03), 0),
    "c2st": Measure("C2ST", (0, 0.55), -1),
    "transfer": Measure("TSTR/TRTR", (0.97, np.inf), 1),
    "rules_broken": Measure("rules broken", (0, 0), -1),
    "nearer_train": Measure("nearer train", (0, 0.52), -1),
    "copies": Measure("copies", (0, 0), -1),
}
JUDGES = ("c2st", "transfer", "partial_correlation")  # not what calibration fits


class Split(NamedTuple):
    """One split. frames, scores, people (sex, stratum, family): of train, A, B; new: the pseudo people's scores and
    new_people (sex, stratum); seed."""

    frames: dict[str, pd.DataFrame]
    scores: dict[str, pd.DataFrame]
    people: dict[str, pd.DataFrame]
    new: pd.DataFrame
    new_people: pd.DataFrame
    seed: int


class Drawn(NamedTuple):
    """A model's people, their scores, and (CPU, wall) seconds of training and of sampling."""

    name: str
    table: pd.DataFrame
    scores: pd.DataFrame
    train: tuple[float, float] = (np.nan, np.nan)
    sample: tuple[float, float] = (np.nan, np.nan)


class Failed(NamedTuple):
    """A model that gave no people, and why."""

    name: str
    why: str


def plant(table: pd.DataFrame, dictionary: Dictionary, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(table with shifted items, scores): every third continuous item without rules moves by SHIFT with a score.

    The item keeps its values, so its distribution is that of the table; only who has which value changes.
    """
    random, scores, table = np.random.default_rng([seed, 0]), {}, table.copy()
    tied = {name for item in dictionary.items for _, names in item.rules for name in (item.name, *names)}
    free = [i.name for i in dictionary.items if i.type in ("continuous", "count") and i.name not in tied]
    free = [i for i in free if dictionary[i].type == "continuous"] or free
    for name in free[::3]:
        scores[name] = random.normal(size=len(table))
        known = table[name].notna().to_numpy()
        values = table.loc[known, name].to_numpy(dtype=float)
        moved = norm.ppf((rankdata(values) - 0.5) / len(values)) + SHIFT * scores[name][known]
        table.loc[known, name] = np.sort(values)[rankdata(moved, method="ordinal").astype(int) - 1]
    return table, pd.DataFrame(scores)


def split(data: Data, seed: int) -> Split:
    """Train, A and B by family, of equal size as far as families allow; scores planted where there are none."""
    frame, scores = (data.frame, data.scores) if data.scores is not None else plant(data.frame, data.dictionary, seed)
    random = np.random.default_rng([seed, 1])
    code = np.unique(data.family, return_inverse=True)[1]
    place = random.permutation(code.max() + 1)
    rows = random.permutation(len(code))
    rows = rows[np.argsort(place[code[rows]], kind="stable")]  # families in random order, their members together
    start = np.flatnonzero(np.r_[True, np.diff(code[rows]) != 0, True])
    cuts = [start[np.searchsorted(start, k * len(rows) / 3)] for k in (1, 2)]
    parts = dict(zip(("train", "A", "B"), np.split(rows, cuts), strict=True))
    people = pd.DataFrame({"sex": data.sex, "stratum": data.stratum, "family": data.family})
    frames, own, who = (
        {k: t.iloc[v].reset_index(drop=True) for k, v in parts.items()} for t in (frame, scores, people)
    )
    return Split(frames, own, who, *_new_people(own["train"], who["train"], random), seed)


def _new_people(scores: pd.DataFrame, people: pd.DataFrame, random) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As many pseudo people: scores from a normal distribution of the train scores' moments, sex and stratum drawn."""
    value, vector = np.linalg.eigh(np.atleast_2d(np.cov(scores.to_numpy().T)))
    root = vector * np.sqrt(np.maximum(value, 0))
    new = scores.mean().to_numpy() + random.normal(size=scores.shape) @ root.T
    drawn = people.loc[random.permutation(len(people)), ["sex", "stratum"]].reset_index(drop=True)
    return pd.DataFrame(new, columns=scores.columns), drawn


def drawn_by_models(cut: Split, dictionary: Dictionary, models: list[str], settings: dict) -> Iterator[Drawn | Failed]:
    """Every model trained once; its people calibrated, -plain not."""
    for kind in dict.fromkeys(model.removesuffix("-plain") for model in models):
        try:
            model, cost = _train(kind, cut, dictionary, settings)
        except InputError as error:
            yield Failed(kind, str(error).splitlines()[0])
            continue
        for name in models:
            if name.removesuffix("-plain") == kind:
                yield _sample(name, model, cost, cut, calibrate=name == kind)


def ablated(cut: Split, dictionary: Dictionary, settings: dict) -> Iterator[Drawn | Failed]:
    """The network, whole and without each of its parts; every one with and without the calibration."""
    for part in ("", *PARTS):
        name = f"without {part}" if part else "full"
        try:
            model, cost = _train("cvae", cut, dictionary, settings | {"without": [part]} if part else settings)
        except InputError as error:
            yield Failed(name, str(error).splitlines()[0])
            continue
        yield _sample(name, model, cost, cut)
        yield _sample(f"{name}{', ' if part else ', without '}calibration", model, cost, cut, calibrate=False)
        if not part:  # the calibration is part of the polish
            yield _sample("without polish, calibration", model, cost, cut, calibrate=False, polish=False)


def _train(kind: str, cut: Split, dictionary: Dictionary, settings: dict):
    begin = _clock()
    model = train_model(
        kind, cut.frames["train"], cut.people["train"], cut.scores["train"], dictionary, settings, cut.seed
    )
    return model, _clock() - begin


def _sample(name: str, model, cost: np.ndarray, cut: Split, **switches) -> Drawn:
    begin = _clock()
    table = sample_model(model, cut.new, cut.new_people["sex"], cut.new_people["stratum"], cut.seed, **switches)
    return Drawn(name, table, cut.new, tuple(cost), tuple(_clock() - begin))


def _clock() -> np.ndarray:
    """(CPU, wall) seconds."""
    return np.array([time.process_time(), time.monotonic()])


def drawn_by_peers(cut: Split, dictionary: Dictionary, folder: Path) -> Iterator[Drawn | Failed]:
    """Other programs' people; the scores are columns of their tables like any other."""
    train = cut.frames["train"].drop(columns=[c for c in dictionary.reason_columns if c in cut.frames["train"]])
    people = cut.people["train"][["sex", "stratum"]]
    for result in phenotype_peers.results(train, people, cut.scores["train"], folder):
        if result.table is None:
            yield Failed(result.name, result.why)
            continue
        table = result.table
        scores = pd.DataFrame({k: table.pop(phenotype_peers.SCORE + k).to_numpy(float) for k in cut.scores["train"]})
        yield Drawn(result.name, table, scores, *result.cost)


def judge(drawn: Drawn, cut: Split, dictionary: Dictionary) -> dict[str, tuple[float, float, float]]:
    """Measure -> (value, low, high), by the evaluation's own code."""
    people, real, scores = (
        pd.concat(list(t.values()), ignore_index=True) for t in (cut.people, cut.frames, cut.scores)
    )
    people["part"] = np.repeat(list(cut.people), [len(p) for p in cut.people.values()])
    tables = prepare(people, real, scores, drawn.table, drawn.scores, dictionary, cut.seed)[:3]
    lines = judge_items(*tables, link_parts=("A", "B"))
    return {key: _shown(lines[key]) for key in MEASURES if key in lines}


def _shown(line: dict) -> tuple[float, float, float]:
    value = line["value"] if line["ratio"] is None else line["ratio"]
    numbers = (value, *(line["interval"] or (None, None)))
    return tuple(np.nan if x is None else float(x) for x in numbers)


def control(cut: Split) -> Drawn:
    """The train people as if they were pseudo."""
    table, people = cut.frames["train"], cut.people["train"]
    return Drawn(CONTROL, table.assign(sex=people["sex"], stratum=people["stratum"]), cut.scores["train"])


def measure(data: Data, options, settings: dict) -> tuple[pd.DataFrame, dict[str, str]]:
    """All splits: one row a (model, split) with measure -> (value, low, high), and costs; and why models failed."""
    rows, failed = [], {}
    for seed in range(options.seed, options.seed + options.splits):
        cut = split(data, seed)
        sources = [iter([control(cut)])]
        if options.ablation:
            sources.append(ablated(cut, data.dictionary, settings))
        else:
            sources.append(drawn_by_models(cut, data.dictionary, options.models, settings))
        if options.peers:
            sources.append(drawn_by_peers(cut, data.dictionary, Path(options.peers) / options.name / str(seed)))
        for drawn in (d for source in sources for d in source):
            if isinstance(drawn, Failed):
                failed[drawn.name] = drawn.why
                continue
            begin = _clock()
            measures = judge(drawn, cut, data.dictionary)
            judged = tuple(_clock() - begin)
            rows.append(
                {"model": drawn.name, **measures, "train": drawn.train, "sample": drawn.sample, "judge": judged}
            )
            logging.getLogger("pseudocohort").info("%s, split %d: %s judged", options.name, seed, drawn.name)
    return pd.DataFrame(rows), failed


def mean_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over splits, of every number of the tuples."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=RuntimeWarning)  # what no split could compute stays NaN
        return rows.groupby("model", sort=False).agg(lambda cells: tuple(np.nanmean(np.array(list(cells)), axis=0)))


def markdown(table: pd.DataFrame, failed: dict[str, str]) -> str:
    """Rows models, columns measures as value [interval], then seconds as CPU / wall."""
    keys = [key for key in MEASURES if key in table]
    head = ["model", *(MEASURES[k].title for k in keys), "train s", "sample s", "judge s"]
    lines = [head, ["goal", *(_goal(MEASURES[k].goal) for k in keys), "", "", ""]]
    for name, row in table.iterrows():
        cells = [_cell(k, row[k]) for k in keys]
        lines.append([name, *cells, *("{:.1f} / {:.1f}".format(*row[k]) for k in ("train", "sample", "judge"))])
    text = ["| " + " | ".join(line) + " |" for line in lines]
    text.insert(1, "|" + "---|" * len(head))
    return "\n".join(text + [f"{name}: {why}" for name, why in failed.items()]).replace("nan / nan", "–")


def _goal(goal: tuple[float, float]) -> str:
    low, high = goal
    return (
        f"≥ {low:g}"
        if high == np.inf
        else f"≤ {high:g}"
        if low == 0 < high
        else f"{low:g} to {high:g}"
        if high
        else "0"
    )


def _cell(key: str, numbers: tuple[float, float, float]) -> str:
    value, low, high = numbers
    if not np.isfinite(value):
        return "–"
    if key in ("rules_broken", "copies"):
        return f"{value:.4g}"
    digits = 2 if MEASURES[key].title.endswith(" R") else 3
    interval = f" [{low:.{digits}f}, {high:.{digits}f}]" if np.isfinite(low) else ""
    return f"{value:.{digits}f}{interval}"


def verdicts(table: pd.DataFrame) -> str:
    """Goals met and missed by every model, and on which of JUDGES another model is better than the network.

    A goal that the control misses as well, by chance of the split, is marked with *.
    """
    lines = []
    for name, row in table.iterrows():
        known = {k: row[k][0] for k in MEASURES if k in table and np.isfinite(row[k][0])}
        missed = {k: v for k, v in known.items() if not _met(k, v)}
        text = ", ".join(f"{MEASURES[k].title} {v:.4g}{_star(k, table)}" for k, v in missed.items())
        lines.append(f"- {name}: {len(known) - len(missed)} of {len(known)} goals met; missed: {text or 'none'}")
    for key in (k for k in JUDGES if k in table and "cvae" in table.index):
        lines.append(f"- {MEASURES[key].title}: {_beaten(key, table[key].drop(CONTROL))}")
    return "\n".join(lines)


def _met(key: str, value: float) -> bool:
    low, high = MEASURES[key].goal
    return low <= value <= high


def _star(key: str, table: pd.DataFrame) -> str:
    return "" if key in ("nearer_train", "copies") or _met(key, table.loc[CONTROL, key][0]) else "*"


def _beaten(key: str, cells: pd.Series) -> str:
    """Which models are better than the network on a measure, and whether their intervals part."""
    sign, own = MEASURES[key].better, cells["cvae"]
    if not np.isfinite(own[0]):
        return "not computed"
    better = {n: v for n, v in cells.items() if sign * (v[0] - own[0]) > 0}
    apart = {n: v[1] > own[2] or v[2] < own[1] for n, v in better.items()}
    text = ", ".join(f"{n} {v[0]:.3f}" + (" (intervals part)" if apart[n] else "") for n, v in better.items())
    return f"better than the cvae's {own[0]:.3f}: {text}" if text else f"cvae {own[0]:.3f}, no other model is better"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="nhanes,simulated", help=f"of {', '.join(NAMES)}, or all")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--splits", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1, help="of the first split; the network was tuned on 1 to 3")
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--peers", metavar="FOLDER")
    parser.add_argument("--small", action="store_true", help="900 people a table and a short training")
    parser.add_argument("settings", nargs="*", metavar="key=value")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    warnings.simplefilter("ignore", category=FutureWarning)
    settings = {"epochs": 8} if options.small else {}
    settings |= {k: float(v) if "." in v else int(v) for k, v in (s.split("=") for s in options.settings)}
    options.models = [m for m in options.models.split(",") if m]
    for name in NAMES if options.data == "all" else options.data.split(","):
        data, options.name = load(name), name
        if data is None:
            print(f"\n## {name}: skipped, its file is not in ../shared/data")
            continue
        data = small(data) if options.small else data
        rows, failed = measure(data, options, settings)
        table = mean_rows(rows)
        title = (
            f"{len(data.frame) // 3} people a part, {len(data.dictionary.items)} items, mean of {options.splits} splits"
        )
        print(f"\n## {name}: {title}\n\n{markdown(table, failed)}\n\n{verdicts(table)}", flush=True)


if __name__ == "__main__":
    main()
