"""Runs of homozygosity (ROH): who has how much of the genome twice from one ancestor."""

import itertools
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from pseudocohort.evaluation.metrics import FOLDS, MINIMUM_PEOPLE, against_floor, compared, ks_distance, root_mean
from pseudocohort.measures.line import measure

LEAST_SITES = 25  # in a run
SHORTEST = 1_000_000  # bp
CLASSES = (1, 2, 4, 8)  # times the shortest run; the last class is open


class Runs(NamedTuple):
    """person: int64 (runs,) row; length: int64 (runs,) bp."""

    person: np.ndarray
    length: np.ndarray


class Homozygous(NamedTuple):
    """mb: Mb in runs by class of length, float64 (people, classes), by group (holdout, pseudo, theory0 ..., unlinked).
    covered: Mb between the first and the last sites.  shortest: bp of the shortest run.  sites: their number."""

    mb: dict[str, np.ndarray]
    covered: float
    shortest: float
    sites: int


def runs(dosages: np.ndarray, pos: np.ndarray, shortest: float, least: int = LEAST_SITES) -> Runs:
    """Runs of consecutive sites without a heterozygote on one chromosome, ordered by person.

    dosages: (people, sites) 0, 1, 2; pos: (sites,) bp.  A run has at least `least` sites and reaches over at least
    `shortest` bp; its length is last - first + 1, as plink counts. (The method of consecutive runs: Marras 2015.)
    """
    people, sites = dosages.shape
    ends = np.ones((people, sites + 2), dtype=bool)  # a heterozygote before and behind every person's sites
    ends[:, 1:-1] = dosages == 1
    place = np.flatnonzero(ends)
    before, after = place[:-1], place[1:]
    some = after - before - 1 >= max(least, 1)  # between two persons' rows there is nothing
    before, after = before[some], after[some]
    person = before // (sites + 2)
    first, last = before - person * (sites + 2), after - person * (sites + 2) - 2
    length = np.asarray(pos)[last] - np.asarray(pos)[first] + 1
    long = length >= shortest
    return Runs(person[long], length[long])


def shortest_run(positions: list[np.ndarray]) -> float:
    """bp that a run must reach over: 1 Mb, or what LEAST_SITES sites reach over where they are sparser."""
    covered = sum(float(p[-1] - p[0]) for p in positions if len(p) > 1)
    gaps = sum(len(p) - 1 for p in positions if len(p) > 1)
    return max(SHORTEST, LEAST_SITES * covered / max(gaps, 1))


def by_length(found: list[Runs], people: int, shortest: float) -> np.ndarray:
    """Mb of a person's genome in runs of each class of length: float64 (people, classes).

    found: of every chromosome; runs shorter than `shortest` (bp) are left out.
    """
    total = np.zeros((people, len(CLASSES)))
    for person, length in found:
        kind = np.searchsorted(shortest * np.array(CLASSES), length, side="right") - 1
        np.add.at(total, (person[kind >= 0], kind[kind >= 0]), length[kind >= 0] / 1e6)
    return total


def class_names(shortest: float) -> list[str]:
    """`1–2 Mb`, ... `≥ 8 Mb`."""
    edges = [f"{shortest * k / 1e6:.3g}" for k in CLASSES]
    return [f"{a}–{b} Mb" for a, b in itertools.pairwise(edges)] + [f"≥ {edges[-1]} Mb"]


def homozygosity_lines(
    found: Homozygous, halves: list, family: np.ndarray, fold: np.ndarray, rng: np.random.Generator
) -> list[dict]:
    """Share of the genome in runs of homozygosity: its distribution, its mean, and its lengths.

    halves: of the holdout, whose families are in `family`.  fold: (pseudo people,) groups of the jackknife, which are
    left out of the pseudo people and of theory at once.
    """
    share = {name: table.sum(axis=1) / found.covered for name, table in found.mb.items()}

    def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.array([ks_distance(x, y)])

    result, naive = (
        against_floor(distance, share["holdout"], share[name], halves, family, rng, left_out=folds)
        for name, folds in (("pseudo", FOLDS), ("unlinked", 0))
    )
    enough = {"megabases": found.shortest / 1e6, "sites": found.sites}
    lines = [compared("roh_distribution", result, baseline=naive.ratio, **enough)]
    return [*lines, _total_line(found, share, fold), *_length_lines(found, fold)]


def _total_line(found: Homozygous, share: dict[str, np.ndarray], fold: np.ndarray) -> dict:
    """Mean share in runs over theory's. Where few people have runs, they tell too little of how much chance does, so
    the error is at least that of one gene dropping; theory's own is added."""
    droppings = theory_of(share)
    null = root_mean(np.square([jackknife_error(_means(share[name], fold)[1:]) for name in droppings]))
    own = jackknife_error(_means(share["pseudo"], fold)[1:])
    theory = np.mean([share[name].mean() for name in droppings])
    with np.errstate(all="ignore"):
        ratio, unlinked = (share[name].mean() / theory for name in ("pseudo", "unlinked"))
        reach = stdtrit(FOLDS - 1, 0.975) * np.hypot(max(own, null), null / np.sqrt(len(droppings))) / theory
    floor = real_means(found.mb["holdout"])[1]
    return measure(
        "roh_total",
        share["pseudo"].mean(),
        floor=None if floor is None else floor / found.covered,
        ratio=ratio,
        interval=(max(ratio - reach, 0), ratio + reach),
        baseline=unlinked,
        theory=theory,
    )


def _length_lines(found: Homozygous, fold: np.ndarray) -> list[dict]:
    """Mb per person in runs of each class of length; a run more or less in all is always within the error."""
    mb, lines = found.mb, []
    floors, _ = real_means(mb["holdout"])
    for k, name in enumerate(class_names(found.shortest)):
        made, expected = mb["pseudo"][:, k], np.mean([mb[t][:, k] for t in theory_of(mb)], axis=0)
        least = found.shortest * CLASSES[k] / 1e6 / len(made)
        error = np.hypot(jackknife_error(_means(made - expected, fold)[1:]), least)
        z = (made.mean() - expected.mean()) / error
        more = {"baseline": mb["unlinked"][:, k].mean(), "theory": expected.mean()}
        lines.append(measure("roh_length", made.mean(), subject=name, floor=floors[k], z=z, **more))
    return lines


def theory_of(tables: dict) -> list[str]:
    """The groups that are gene droppings."""
    return [name for name in tables if name.startswith("theory")]


def real_means(table: np.ndarray) -> tuple[list[float | None], float | None]:
    """Means of the columns of (people, classes), and of the rows' sums, of real people; None for what may not be told.

    A mean to which fewer than MINIMUM_PEOPLE people contribute is not told, nor the next larger
    one, where the difference to the sum would tell of so few.
    """
    if len(table) < MINIMUM_PEOPLE:
        return [None] * table.shape[1], None
    has = table > 0
    number = has.sum(axis=0)
    hidden = (number > 0) & (number < MINIMUM_PEOPLE)

    def few(people: np.ndarray) -> bool:
        return 0 < int(people.any(axis=1).sum()) < MINIMUM_PEOPLE

    while few(has[:, hidden]) and (~hidden & (number > 0)).any():
        hidden[np.argmin(np.where(~hidden & (number > 0), number, len(table) + 1))] = True
    means = [None if h else float(m) for m, h in zip(table.mean(axis=0), hidden, strict=True)]
    return means, None if few(has) else float(table.sum(axis=1).mean())


def _means(values: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """(1 + folds,): the mean, then the means without the people of each fold."""
    sums, sizes = np.bincount(fold, values, minlength=FOLDS), np.bincount(fold, minlength=FOLDS)
    return np.concatenate([[values.mean()], (sums.sum() - sums) / np.maximum(sizes.sum() - sizes, 1)])


def jackknife_error(without: np.ndarray) -> float:
    """Standard error of a value by the jackknife from the same without each group (g,)."""
    return float(np.sqrt((len(without) - 1) * np.mean((without - without.mean()) ** 2)))
