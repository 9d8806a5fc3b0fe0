"""The pedigree: who descends from whom, drawn once and shared by all chromosomes.

Generation 0 are the founders, generation G is the pseudo cohort, sampled as children of a population that grows or
declines from the founders until generation G - 1. Every draw is a counter-based one, so the pedigree depends on
the seed and the arguments alone, and the first people of a larger pseudo cohort are those of a smaller one.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pseudocohort import counter
from pseudocohort.errors import InputError
from pseudocohort.files import atomic
from pseudocohort.genome import kin, parents

log = logging.getLogger("pseudocohort")

SMALL = 20  # founders of a stratum: in so few nearly all are soon kin, however many children they have
GROWTH = {"balanced": 4, "random": 1}  # the population over founders or people, whichever are more
LONGEST_TURN = 8  # children over the generation before them, until all mothers of a stratum have had one


class Founders(NamedTuple):
    """The people whose haplotypes are transmitted.

    rows: int64 (founders,), the founders' rows in the people table, and their codes.
    sex: int8 (founders,), 0 unknown, 1 male, 2 female.  stratum: int16 (founders,), index into `strata` (names).
    father, mother: int64 (founders,), codes of known parents, be they founders or not, -1 unknown.
    grandparents: int64 (founders, 4), codes of the father's and the mother's father and mother, -1 unknown; None
    takes those that follow from the founders' own parents.
    """

    rows: np.ndarray
    sex: np.ndarray
    stratum: np.ndarray
    strata: tuple[str, ...]
    father: np.ndarray
    mother: np.ndarray
    grandparents: np.ndarray | None = None

    @classmethod
    def strangers(cls, sex, stratum=None, strata: tuple[str, ...] = ("all",)) -> "Founders":
        """Founders without known parents, in the rows of a table that has nobody else."""
        sex = np.asarray(sex, dtype=np.int8)
        stratum = np.zeros(len(sex), dtype=np.int16) if stratum is None else np.asarray(stratum, dtype=np.int16)
        unknown = np.full(len(sex), -1, dtype=np.int64)
        return cls(np.arange(len(sex)), sex, stratum, tuple(strata), unknown, unknown)


class Pedigree(NamedTuple):
    """Parents, sex and stratum of every generation.

    father, mother: per generation 1..G an int32 array (people of that generation,), rows of the generation before.
    sex: per generation 0..G an int8 array, 0 unknown, 1 male, 2 female.
    stratum: per generation 0..G an int16 array, index into `strata` (names).
    """

    father: tuple[np.ndarray, ...]
    mother: tuple[np.ndarray, ...]
    sex: tuple[np.ndarray, ...]
    stratum: tuple[np.ndarray, ...]
    strata: tuple[str, ...]

    @property
    def generations(self) -> int:
        return len(self.father)

    @property
    def people(self) -> int:
        """People of the last generation, the pseudo cohort."""
        return len(self.sex[-1])


class _Rules(NamedTuple):
    """How parents are drawn.  shares: (strata, strata), row the child's stratum, column the parent's; degree: of
    kin that are no couple, 0 for all may be; strata: their names; founders: (strata,), how many each has."""

    mating: str
    seed: int
    shares: np.ndarray
    degree: int
    strata: tuple[str, ...]
    founders: np.ndarray


def make_pedigree(
    founders: Founders,
    people: int,
    generations: int,
    mating: str,
    seed: int,
    population: int | None = None,
    avoid_kin: str = "none",
    migration: float | Mapping = 0.0,
) -> Pedigree:
    """Draw the pedigree from the founders to `people` pseudo people.

    mating "random": every child draws a father and a mother uniformly from their strata.
    mating "balanced": in every generation all fathers of a stratum have equal numbers of children up to one, and
    so have all mothers; the pairs are random.
    population: size of generation G - 1, reached geometrically (random: linearly); None is GROWTH times the
    founders or the people, whichever are more. The last generation, of `people`, is sampled from its children: of
    a balanced population of 4 x people nearly no full sibs, as in a cohort drawn from a population.
    avoid_kin "sibs": no couple has a parent in common, nor is one the other's child; "cousins": nor a grandparent.
    migration: where parents come from (`parents.source_shares`), drawn apart for father and mother.

    Sex ratio within strata and the shares of strata are the founders' in every generation, up to rounding, and so
    they are (up to about two) in the first n people for every n. With the same seed and population, these are the
    same for any `people`. People whose sex is unknown mate in a role drawn at random; when nobody's is known, the
    children's is unknown too.
    Raises InputError when a stratum lacks a male or a female founder, kin cannot be avoided, or an argument is out
    of range.
    """
    _check(people, generations, mating, population, avoid_kin)
    sex, stratum = np.asarray(founders.sex, dtype=np.int8), np.asarray(founders.stratum, dtype=np.int16)
    role = _roles(sex, stratum, seed)
    cells = _founder_cells(role, stratum, founders.strata)
    shares = parents.source_shares(migration, cells.sum(axis=1), founders.strata)
    rules = _Rules(mating, seed, shares, kin.DEGREES[avoid_kin], tuple(founders.strata), cells.sum(axis=1))
    sizes, avoided = generation_sizes(len(sex), people, generations, mating, population), 0
    lineage, code = _founder_lineage(founders, rules.degree, sizes)
    fathers, mothers, sexes, stratums = [], [], [sex], [stratum]
    for g in range(1, generations + 1):
        candidates = parents.candidates_of(role, stratum, len(cells))
        if g < generations:
            child_role, child_stratum, turns = *_children(cells, sizes[g], rules, g), None
        else:
            child_role, child_stratum, turns = _last_children(cells, people, candidates, rules, g)
        father, mother, before = _couples(child_stratum, candidates, lineage, turns, rules, g)
        avoided += before
        if rules.degree and g < generations:
            lineage, code = kin.child_lineage(lineage, father, mother, code), code + len(father)
        size = people if g == generations else len(father)
        role, stratum = child_role[:size], child_stratum[:size]
        fathers.append(father[:size])
        mothers.append(mother[:size])
        sexes.append(role if (sex != 0).any() else np.zeros_like(role))
        stratums.append(stratum)
    if rules.degree:
        log.info("%d couples drawn were %s or nearer kin; all were drawn anew", avoided, avoid_kin)
    return Pedigree(tuple(fathers), tuple(mothers), tuple(sexes), tuple(stratums), tuple(founders.strata))


def generation_sizes(
    founders: int, people: int, generations: int, mating: str, population: int | None = None
) -> list[int]:
    """Wanted sizes of the generations 0..G (strata too small for a pair are raised to one pair later)."""
    steps = max(generations - 1, 1)
    population = population or GROWTH[mating] * max(founders, people)
    if mating == "random":
        sizes = [round(founders + (population - founders) * g / steps) for g in range(generations)]
    else:
        sizes = [round(founders * (population / founders) ** (g / steps)) for g in range(generations)]
    return [*sizes, people]


def make_ids(n: int) -> np.ndarray:
    """Ids PC000001 ... of the pseudo people; their order is random with respect to the pedigree."""
    width = max(6, len(str(n)))
    return np.array([f"PC{i:0{width}d}" for i in range(1, n + 1)], dtype=object)


def save_pedigree(path: str | Path, pedigree: Pedigree) -> None:
    """Write the pedigree as .npz, readable by its owner only."""
    arrays = {f"{name}_{g}": array for name in Pedigree._fields[:4] for g, array in enumerate(getattr(pedigree, name))}
    with atomic(path, mode=0o600) as part, open(part, "wb") as file:
        np.savez(file, strata=np.array(pedigree.strata, dtype=str), **arrays)


def load_pedigree(path: str | Path) -> Pedigree:
    """Read what `save_pedigree` wrote."""
    with np.load(path) as file:
        columns = {}
        for name in Pedigree._fields[:4]:
            count = sum(key.rsplit("_", 1)[0] == name for key in file.files)
            columns[name] = tuple(file[f"{name}_{g}"] for g in range(count))
        return Pedigree(**columns, strata=tuple(str(s) for s in file["strata"]))


def _check(people: int, generations: int, mating: str, population: int | None, avoid_kin: str) -> None:
    for name, value, known in (("mating", mating, tuple(GROWTH)), ("avoid_kin", avoid_kin, tuple(kin.DEGREES))):
        if value not in known:
            raise InputError(
                f"{name} {value!r} is not known",
                where=f"config key {name}",
                expected=" or ".join(known),
                remedy=f"set the key {name} to one of these",
            )
    for name, value, least in (("people", people, 1), ("generations", generations, 1), ("population", population, 4)):
        if value is not None and value < least:
            where = f"config key {name}"
            raise InputError(f"{name} is {value}", where=where, expected=f"at least {least}", remedy="raise it")


def _roles(sex: np.ndarray, stratum: np.ndarray, seed: int) -> np.ndarray:
    """Mating roles (1 father, 2 mother): the sex, or for unknown sex a random half of the stratum each."""
    roles = sex.copy()
    for s in np.unique(stratum[sex == 0]):
        rows = np.flatnonzero((sex == 0) & (stratum == s))
        rows = rows[counter.order(counter.key(seed, "role", 0, int(s)), len(rows))]
        missing_fathers = not ((sex == 1) & (stratum == s)).any()
        roles[rows] = np.arange(len(rows)) % 2 + 1 if missing_fathers else 2 - np.arange(len(rows)) % 2
    return roles


def _founder_cells(roles: np.ndarray, stratum: np.ndarray, strata: tuple[str, ...]) -> np.ndarray:
    """Numbers of founders by stratum and role: int64 (strata, 2)."""
    if len(roles) == 0 or stratum.min() < 0 or stratum.max() >= len(strata):
        raise ValueError("founders need stratum codes within the names of the strata")
    cells = np.bincount(2 * stratum.astype(np.int64) + roles - 1, minlength=2 * len(strata)).reshape(-1, 2)
    for name, (males, females) in zip(strata, cells, strict=True):
        if min(males, females) < 1:
            raise InputError(
                f"stratum {name} has {males} male and {females} female founders",
                where="sample sheet, columns stratum and sex",
                expected="at least one of each in every stratum, for parents are taken within it",
                remedy="join small strata in the sample sheet, or set founders: all",
            )
    return cells


def _founder_lineage(founders: Founders, degree: int, sizes: list[int]) -> tuple[np.ndarray | None, int]:
    """The founders' lineage, in integers wide enough for the codes of all, and the first code that nobody has."""
    if degree == 0:
        return None, 0
    lineage = kin.founder_lineage(founders.rows, founders.father, founders.mother, founders.grandparents, degree)
    code = int(lineage.max()) + 1
    return lineage.astype(np.int32 if code + 2 * sum(sizes) < 1 << 31 else np.int64), code


def _children(cells: np.ndarray, wanted: int, rules: _Rules, generation: int) -> tuple[np.ndarray, np.ndarray]:
    """Role and stratum of every child of a generation before the last."""
    stream = counter.key(rules.seed, "children", generation)
    return parents.shuffled_children(parents.apportion(cells, wanted, at_least_one=True), stream)


def _last_children(
    cells: np.ndarray, people: int, candidates: parents.Candidates, rules: _Rules, generation: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Role and stratum of the children of the last generation, and the turns in which their mothers may be exchanged.

    Where mothers are exchanged, so many more children than `people` are drawn that every turn is whole: then the
    exchange is the same however many are kept. Mothers whose turns would be very long, as hardly any child has a
    parent from their stratum, are exchanged within parts of a turn.
    """
    stream = counter.key(rules.seed, "children", generation)
    if rules.degree == 0 or rules.mating != "balanced":
        return *parents.scheduled_children(cells, people, stream), None
    mothers = np.diff(candidates.start)[1::2]
    rate = cells.sum(axis=1) / cells.sum() @ rules.shares  # of children with a mother from the stratum
    limit = LONGEST_TURN * len(candidates.rows)
    longest = np.where(mothers > limit * rate, limit, 1 << 40)
    whole_turns = np.ceil(people * rate / mothers) * mothers / np.maximum(rate, 1e-12)
    ends = np.where(longest == limit, -(-people // limit) * limit, np.ceil(whole_turns))
    drawn = int(ends[rate > 0].max())
    while True:
        role, stratum = parents.scheduled_children(cells, drawn, stream)
        source = parents.sources(stratum, rules.shares, rules.mating, (rules.seed, generation, 2))
        groups, whole = parents.turn_groups(source, mothers, longest, people)
        if whole:
            return role, stratum, groups
        drawn += drawn // 8 + 8


def _couples(
    child_stratum: np.ndarray,
    candidates: parents.Candidates,
    lineage: np.ndarray | None,
    turns: np.ndarray | None,
    rules: _Rules,
    generation: int,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Father and mother of every child, int32 (children,), and the number of couples drawn who were kin.

    turns: groups within which alone mothers are exchanged; None for exchanging within strata, fathers too.
    """
    place = (rules.seed, generation)
    source = [parents.sources(child_stratum, rules.shares, rules.mating, (*place, role)) for role in (1, 2)]

    def draw(role: int, children: np.ndarray, attempt: int) -> np.ndarray:
        return parents.random_parents(source[role - 1][children], role, candidates, place, children, attempt)

    if rules.mating == "random":
        everybody = np.arange(len(child_stratum))
        father, mother = (draw(role, everybody, 0) for role in (1, 2))
    else:
        father, mother = (parents.balanced_parents(source[role - 1], role, candidates, place) for role in (1, 2))
    if rules.degree == 0:
        return father, mother, 0
    if rules.mating == "random":
        father, mother, before, left = kin.redraw(lineage, father, mother, draw)
    else:
        groups = source if turns is None else (None, turns)
        father, mother, before, left = kin.exchange(lineage, father, mother, groups, place)
    if left:
        remaining = kin.are_kin(lineage, father, mother)
        if turns is not None:
            remaining &= turns >= 0  # the others are not kept
        raise _unavoidable(child_stratum[remaining], len(father), generation, rules)
    return father, mother, before


def _unavoidable(stratum: np.ndarray, children: int, generation: int, rules: _Rules) -> InputError:
    """The error of couples who remain kin; stratum: their children's, int16 (couples,)."""
    word = {1: "sibs", 2: "cousins"}[rules.degree]
    codes, number = np.unique(stratum, return_counts=True)
    worst = codes[np.argmax(number)]
    name, founders = rules.strata[worst], rules.founders[worst]
    more = f", others in {len(codes) - 1} more strata" if len(codes) > 1 else ""
    # More people are no remedy where all descend from few, nor where the founders themselves are kin.
    larger = bool(generation > 1 and founders >= SMALL)
    several = len(rules.strata) > 1
    remedies = ["set a larger population"] * larger + ["join small strata in the sample sheet"] * several
    remedies += ["set avoid_kin: sibs"] * (rules.degree > 1) + ["set avoid_kin: none"]
    return InputError(
        f"{len(stratum)} of {children} couples of generation {generation} remain {word} or nearer kin, {number.max()} "
        f"of them in stratum {name} of {founders} founders{more}",
        where="config key avoid_kin",
        expected="couples enough who are not, in every stratum",
        remedy=", or ".join(remedies),
    )
