"""The pedigree: who descends from whom, drawn once and shared by all chromosomes.

Generation 0 are the founders, generation G is the pseudo cohort. Parents come from the generation
before and from the child's own stratum. Every draw is a counter-based one, so the pedigree depends on
the seed and the arguments alone.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from pseudocohort import counter
from pseudocohort.errors import InputError
from pseudocohort.files import atomic

GROWTH = 4  # balanced mating grows to this many times the wanted people before sampling them
MATINGS = ("balanced", "random")


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


def make_pedigree(
    sex: np.ndarray,
    stratum_codes: np.ndarray,
    strata: tuple[str, ...],
    people: int,
    generations: int,
    mating: str,
    seed: int,
) -> Pedigree:
    """Draw the pedigree from the founders to `people` pseudo people.

    sex, stratum_codes: (founders,) codes of the founders; strata: names of the strata.
    mating "random": the size goes linearly from the founders' to `people`; every child draws a father and a
    mother uniformly from its stratum.
    mating "balanced": the size grows geometrically to 4 x people one generation before the last (and never
    shrinks before it); in every step all fathers of a stratum have equal numbers of children up to one, and so
    have all mothers, and the pairs are random. The last step keeps one child of a quarter of the parents and so
    is the sampling of `people`: nearly no full sibs are among them, as in a cohort drawn from a population.
    Sex ratio within strata and the shares of strata are the founders' in every generation, up to rounding.
    People whose sex is unknown mate in a role drawn at random; when nobody's is known, the children's is
    unknown too.
    Raises InputError when a stratum lacks a male or a female founder, or an argument is out of range.
    """
    sex, stratum_codes = np.asarray(sex, dtype=np.int8), np.asarray(stratum_codes, dtype=np.int16)
    _check(people, generations, mating)
    roles = _roles(sex, stratum_codes, seed, 0)
    shares = _founder_cells(roles, stratum_codes, strata)
    sizes = generation_sizes(len(sex), people, generations, mating)
    fathers, mothers, sexes, stratums = [], [], [sex], [stratum_codes]
    for g in range(1, generations + 1):
        cells = _apportion(shares, sizes[g], at_least_one=g < generations)
        child_role, child_stratum = _children(cells, seed, g)
        father, mother = (_parents(role, roles, stratums[-1], child_stratum, mating, seed, g) for role in (1, 2))
        fathers.append(father)
        mothers.append(mother)
        sexes.append(child_role if (sex != 0).any() else np.zeros_like(child_role))
        stratums.append(child_stratum)
        roles = child_role
    return Pedigree(tuple(fathers), tuple(mothers), tuple(sexes), tuple(stratums), tuple(strata))


def generation_sizes(founders: int, people: int, generations: int, mating: str) -> list[int]:
    """Wanted sizes of the generations 0..G (strata too small for a pair are raised to one pair later)."""
    if mating == "random":
        return [round(founders + (people - founders) * g / generations) for g in range(generations + 1)]
    steps = max(generations - 1, 1)
    ratio = max(GROWTH * people / founders, 1.0)
    return [round(founders * ratio ** (g / steps)) for g in range(generations)] + [people]


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


def _check(people: int, generations: int, mating: str) -> None:
    if mating not in MATINGS:
        raise InputError(
            f"mating {mating!r} is not known",
            where="mating",
            expected=" or ".join(MATINGS),
            remedy="set the key mating to one of these",
        )
    for name, value in (("people", people), ("generations", generations)):
        if value < 1:
            raise InputError(f"{name} is {value}", where=name, expected="at least 1", remedy="raise it")


def _roles(sex: np.ndarray, stratum: np.ndarray, seed: int, generation: int) -> np.ndarray:
    """Mating roles (1 father, 2 mother): the sex, or for unknown sex a random half of the stratum each."""
    roles = sex.copy()
    for s in np.unique(stratum[sex == 0]):
        rows = np.flatnonzero((sex == 0) & (stratum == s))
        rows = rows[counter.order(counter.key(seed, "role", generation, int(s)), len(rows))]
        missing_fathers = not ((sex == 1) & (stratum == s)).any()
        roles[rows] = np.arange(len(rows)) % 2 + 1 if missing_fathers else 2 - np.arange(len(rows)) % 2
    return roles


def _founder_cells(roles: np.ndarray, stratum: np.ndarray, strata: tuple[str, ...]) -> np.ndarray:
    """Numbers of founders by stratum and role: int64 (strata, 2)."""
    if len(roles) == 0 or stratum.min() < 0 or stratum.max() >= len(strata):
        raise ValueError("founders need stratum codes within the names of the strata")
    cells = np.bincount(2 * stratum.astype(np.int64) + roles - 1, minlength=2 * len(strata)).reshape(-1, 2)
    for name, (males, females) in zip(strata, cells, strict=True):
        if males + females > 0 and min(males, females) < 1:
            raise InputError(
                f"stratum {name} has {males} male and {females} female founders",
                where="stratum",
                expected="at least one of each in every stratum, for parents are taken within it",
                remedy="join small strata in the sample sheet",
            )
    return cells


def _apportion(shares: np.ndarray, total: int, at_least_one: bool) -> np.ndarray:
    """Integers in proportion to `shares` that sum to `total` (largest remainders), or above it where a cell
    that would be empty is kept at one."""
    exact = shares.ravel() * (total / shares.sum())
    cells = np.floor(exact + 1e-9).astype(np.int64)
    cells[np.argsort(cells - exact, kind="stable")[: total - cells.sum()]] += 1
    if at_least_one:
        cells = np.where(shares.ravel() > 0, np.maximum(cells, 1), 0)
    return cells.reshape(shares.shape)


def _children(cells: np.ndarray, seed: int, generation: int) -> tuple[np.ndarray, np.ndarray]:
    """Role (int8) and stratum (int16) of every child, in an order that tells nothing."""
    strata, roles = np.indices(cells.shape)
    order = counter.order(counter.key(seed, "children", generation), int(cells.sum()))
    role = np.repeat(roles.ravel() + 1, cells.ravel()).astype(np.int8)
    return role[order], np.repeat(strata.ravel(), cells.ravel()).astype(np.int16)[order]


def _parents(
    role: int,
    roles: np.ndarray,
    stratum: np.ndarray,
    child_stratum: np.ndarray,
    mating: str,
    seed: int,
    generation: int,
) -> np.ndarray:
    """One parent of the given role for every child, from the child's stratum: int32 (children,)."""
    parent = np.empty(len(child_stratum), dtype=np.int32)
    for s in np.unique(child_stratum):
        candidates = np.flatnonzero((roles == role) & (stratum == s))
        children = np.flatnonzero(child_stratum == s)
        draw = _balanced if mating == "balanced" else _uniform
        parent[children] = candidates[draw(len(candidates), len(children), (seed, "parent", generation, int(s), role))]
    return parent


def _balanced(candidates: int, children: int, place: tuple) -> np.ndarray:
    """Index of a parent for each child; every parent floor or ceil(children / candidates) times."""
    seed, purpose, *rest = place
    parents = counter.order(counter.key(seed, purpose, *rest, "extra"), candidates)
    slots = np.resize(parents, children)
    return slots[counter.order(counter.key(seed, purpose, *rest, "pair"), children)]


def _uniform(candidates: int, children: int, place: tuple) -> np.ndarray:
    """Index of a parent for each child, uniform and independent (bias below candidates / 2^32)."""
    draw, _ = counter.bits(counter.key(*place), np.arange(children, dtype=np.uint32), np.uint32(0))
    return (draw.astype(np.uint64) * np.uint64(candidates)) >> np.uint64(32)
