"""Items of any type as ordered atoms with a standard normal latent.

Every item becomes one or more atoms, each with a latent that is standard normal over the training people:
    missing            one atom per pattern of missingness beyond the structural rules (shared by items
                       that are missing together, such as a metabolome panel)
    reason             where it is missing: stick-breaking over the reasons, most frequent first
    binary, ordinal    one atom, its levels cut the latent at the normal scores of their cumulative shares
    nominal            stick-breaking: "is it the most frequent category?", if not "is it the next?" ...
    continuous, count, date    one atom through the smoothed quantile function of `quantiles`
A value is the interval (low, high] of its latent; its score, the input of later atoms, is E[latent | interval]
(0 where an atom is not active: item not asked, missing, or an earlier stick decided).
"""

import logging

import numpy as np
import pandas as pd

from pseudocohort.cohort.dictionary import NUMERIC, REASONS, reason_column
from pseudocohort.errors import InputError
from pseudocohort.phenotype.atoms import (
    Atom,
    Encoded,
    Encoding,
    ItemCode,
    columns,
)
from pseudocohort.phenotype.latent import level_latents, numeric_latents
from pseudocohort.phenotype.quantiles import fit_quantile
from pseudocohort.phenotype.rounding import Rounding, fit_rounding
from pseudocohort.phenotype.rules import asked_in_table, sampling_order

log = logging.getLogger("pseudocohort")
MINIMUM_VALUES = 20
UNKNOWN = "unknown"


def fit_encoding(phenotypes: pd.DataFrame, sex: np.ndarray, dictionary) -> Encoding:
    """Learn the coding of every item of `dictionary` from the training people.

    phenotypes: one column an item (n rows), and the columns of reasons where there are any; sex (n,) codes 0, 1, 2.
    Values where a condition says "not asked" are left out. Raises InputError for an item with fewer than 20 values
    (a distribution of so few people would hand out their own values) or an infinite value. Identifiers are refused
    when the table is imported (cohort.identifiers).
    """
    ordered = sampling_order(dictionary)
    everyone = asked_in_table(ordered, phenotypes, sex)
    items, atoms, patterns = [], [], {}
    for number, item in enumerate(ordered):
        asked, known = everyone[item.name], phenotypes[item.name].notna().to_numpy()
        absent = asked & ~known
        values = phenotypes[item.name].to_numpy()[asked & known]
        _log_unasked(item.name, int((~asked & known).sum()))
        _log_one_sex(item, asked, known, sex)
        if len(values) < MINIMUM_VALUES:
            raise InputError(
                f"item {item.name} has fewer than {MINIMUM_VALUES} values among the {len(phenotypes)} training people",
                where="phenotype table",
                remedy="give it the role `ignore` in the dictionary",
            )
        place, names, sticks = -1, (), ()
        if absent.any():
            key = (item.asked_if, absent.tobytes())
            if key not in patterns:
                share = absent.sum() / asked.sum()
                patterns[key] = len(atoms)
                atoms.append(Atom(number, "missing", 0, (0.0, 1 - share, 1.0)))
            place = patterns[key]
            if item.reasons:
                names, sticks = _code_reasons(
                    item, reasons_of(item, phenotypes)[absent], number, place, atoms, patterns
                )
        missing = {
            "missing_atom": place,
            "missing_share": float(absent.sum() / max(asked.sum(), 1)),
            "reasoned": bool(item.reasons),
            "reasons": names,
            "reason_atoms": sticks,
        }
        code, added = _code_item(item, values, number, missing, len(atoms))
        items.append(code)
        atoms.extend(added)
    return Encoding(tuple(items), tuple(atoms), tuple(dictionary.names))


def reasons_of(item, phenotypes: pd.DataFrame) -> np.ndarray:
    """Stated reasons (n,) of an item as text, `unknown` where none is stated; InputError for any other text."""
    name = reason_column(item.name)
    if name not in phenotypes:
        return np.full(len(phenotypes), UNKNOWN, dtype=object)
    stated = phenotypes[name].astype(object).where(phenotypes[name].notna(), UNKNOWN)
    if not stated.isin(REASONS).all():
        raise InputError(
            f"column {name} has {int((~stated.isin(REASONS)).sum())} cells that are no reason",
            where="phenotype table",
            expected=", ".join(REASONS),
            remedy="import the table again",
        )
    return stated.to_numpy()


def encode(encoding: Encoding, phenotypes: pd.DataFrame, sex: np.ndarray) -> Encoded:
    """Intervals, scores and activity of all atoms for people with the given items."""
    n, m = len(phenotypes), len(encoding.atoms)
    kinds = (np.float32, np.float32, np.float32, bool, bool)
    out = Encoded(*(columns(n, m, t) for t in kinds), np.broadcast_to(np.float32(0), (n, m)))
    everyone, written = asked_in_table(encoding.items, phenotypes, sex), set()
    for item in encoding.items:
        asked = everyone[item.name]
        present = asked & phenotypes[item.name].notna().to_numpy()
        absent = asked & ~present
        if item.missing_atom >= 0 and item.missing_atom not in written:
            _write_levels(out, encoding, item.missing_atom, np.flatnonzero(asked), absent[asked].astype(int))
            written.add(item.missing_atom)
        if item.reason_atoms and item.reason_atoms[0] not in written:
            why = pd.Index(item.reasons).get_indexer(reasons_of(item, phenotypes))
            _write_sticks(out, encoding, item.reason_atoms, absent & (why >= 0), why)
            written.add(item.reason_atoms[0])
        if not item.atoms:
            continue
        if item.quantile is not None:
            rows = np.flatnonzero(present)
            _write_numeric(out, item, rows, phenotypes[item.name].to_numpy()[rows].astype(float))
            continue
        level = pd.Categorical(phenotypes[item.name], categories=item.codes).codes.astype(int)
        present &= level >= 0
        if encoding.atoms[item.atoms[0]].kind == "levels":
            _write_levels(out, encoding, item.atoms[0], np.flatnonzero(present), level[present])
        else:
            _write_sticks(out, encoding, item.atoms, present, level)
    return out


def _write_sticks(out: Encoded, encoding: Encoding, atoms: tuple[int, ...], active: np.ndarray, level: np.ndarray):
    """Fill the columns of sticks: each is active (n,) where the level (n,) is its own or a later one."""
    for place, atom in enumerate(atoms):
        rows = np.flatnonzero(active & (level >= place))
        _write_levels(out, encoding, atom, rows, (level[rows] == place).astype(int))


def _write_levels(out: Encoded, encoding: Encoding, atom: int, rows: np.ndarray, level: np.ndarray) -> None:
    """Fill column `atom` of a discrete atom for the active people, rows with their levels."""
    low, high, score = level_latents(encoding.atoms[atom].cumulative)
    out.active[rows, atom] = True
    out.low[rows, atom], out.high[rows, atom], out.score[rows, atom] = low[level], high[level], score[level]


def _write_numeric(out: Encoded, item: ItemCode, rows: np.ndarray, values: np.ndarray) -> None:
    """Fill the column of a numeric item for the active people, rows with their values."""
    atom = item.atoms[0]
    low, high, score, dense = numeric_latents(item.quantile, values)
    out.active[rows, atom], out.dense[rows, atom] = True, dense
    out.low[rows, atom], out.high[rows, atom], out.score[rows, atom] = low, high, score


def _code_reasons(item, why: np.ndarray, number: int, place: int, atoms: list, patterns: dict):
    """(reasons seen, most frequent first; their atoms), the atoms appended. why: reasons of the people missing.

    Items missing together for the same reasons share these atoms too.
    """
    order = {reason: i for i, reason in enumerate(REASONS)}
    counts = pd.Series(why).value_counts()
    names = sorted(counts.index, key=lambda r: (-counts[r], order[r]))
    key = (place, tuple(names), pd.Categorical(why, categories=names).codes.tobytes())
    if key not in patterns:
        sticks = _sticks(counts[names].to_numpy() / len(why), number, "reason")
        patterns[key] = tuple(range(len(atoms), len(atoms) + len(sticks)))
        atoms.extend(sticks)
    return tuple(names), patterns[key]


def _code_item(item, values: np.ndarray, number: int, missing: dict, start: int):
    """(ItemCode, its value atoms), the atoms numbered from `start`."""
    limits = {"minimum": item.minimum, "maximum": item.maximum}
    shared = {"name": item.name, "type": item.type, "asked_if": item.asked_if, "rules": item.rules, **missing}
    if item.type in NUMERIC:
        own, varies = _code_numbers(item, _numbers(item, values))
        atoms = (Atom(number, "numeric", 0, ()),) if varies else ()
    else:
        codes, shares = _code_categories(item, values)
        own = {"codes": codes, "shares": tuple(map(float, shares)), "quantile": None, "rounding": None, "slack": 0.0}
        varies = len(codes) > 1
        atoms = _level_atoms(item.type, shares, number)
    _log_constant(item.name, varies)
    places = tuple(range(start, start + len(atoms)))
    return ItemCode(**shared, **limits, **own, atoms=places), atoms


def _code_numbers(item, numbers: np.ndarray) -> tuple[dict, bool]:
    """(fields of ItemCode, does it vary) of a numeric item with these values."""
    limit = () if item.detection_limit is None else (item.detection_limit,)
    bottom = item.minimum
    if bottom is None and item.type == "count" and numbers.min() >= 0:
        bottom = 0.0
    if bottom is None and item.type == "date":
        bottom = -np.inf  # day 0 is no border
    bottom = item.detection_limit if limit and np.any(numbers == limit[0]) else bottom
    quantile = fit_quantile(numbers, public=limit, lower=bottom, upper=item.maximum)
    places = 0 if item.type in ("count", "date") else item.decimals
    own = {
        "codes": (),
        "shares": (),
        "quantile": quantile,
        "rounding": Rounding(0) if item.type == "date" else fit_rounding(numbers, quantile.steps, places),
        "slack": 0.5 * 10.0**-places if item.type == "continuous" and places is not None else 0.0,
    }
    return own, bool(quantile.x[-1] > quantile.x[0])


def _code_categories(item, values: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """(codes in the order of the latent, their shares) of an item with categories."""
    counts = pd.Series(values).astype(str).value_counts()
    unknown = set(counts.index) - set(item.categories)
    if unknown:
        raise InputError(
            f"item {item.name} has {len(unknown)} values outside its categories",
            where="phenotype table",
            expected="codes " + ", ".join(item.categories[:10]),
            remedy="add the categories to the dictionary, or correct the table",
        )
    codes = [c for c in item.categories if c in counts.index]
    if item.type == "nominal":
        codes.sort(key=lambda c: -counts[c])
    return tuple(codes), (counts[codes] / counts.sum()).to_numpy()


def _level_atoms(kind: str, shares: np.ndarray, number: int) -> tuple[Atom, ...]:
    if len(shares) < 2:
        return ()
    if kind != "nominal":
        return (Atom(number, "levels", 0, (0.0, *map(float, np.cumsum(shares)[:-1]), 1.0)),)
    return _sticks(shares, number, "stick")


def _sticks(shares: np.ndarray, number: int, kind: str) -> tuple[Atom, ...]:
    """One atom less than there are shares: each asks whether it is the next level, given none before."""
    rest = 1 - np.concatenate([[0.0], np.cumsum(shares)[:-1]])
    return tuple(Atom(number, kind, s, (0.0, float(1 - shares[s] / rest[s]), 1.0)) for s in range(len(shares) - 1))


def _numbers(item, values: np.ndarray) -> np.ndarray:
    try:
        numbers = values.astype(float)
    except (TypeError, ValueError):
        raise InputError(
            f"item {item.name} is {item.type} but holds text",
            where="phenotype table",
            expected="numbers",
            remedy="correct the table or the type in the dictionary",
        ) from None
    if not np.isfinite(numbers).all():
        raise InputError(
            f"item {item.name} has {int((~np.isfinite(numbers)).sum())} infinite values",
            where="phenotype table",
            expected="finite numbers, or empty where missing",
            remedy="correct the table",
        )
    return numbers


def _log_constant(name: str, varies: bool) -> None:
    if not varies:
        log.warning("item %s has a single value in the training people: the pseudo people get the same", name)


def _log_unasked(name: str, count: int) -> None:
    if count:
        log.warning("item %s: %d values of people whom its asked_if rule excludes are left out", name, count)


def _log_one_sex(item, asked: np.ndarray, known: np.ndarray, sex: np.ndarray) -> None:
    """Say that a condition seems to be lacking: an item asked of both sexes, with values of one."""
    for code, name in ((1, "female"), (2, "male")):
        rows = asked & (sex == code)
        if rows.sum() >= MINIMUM_VALUES and not known[rows].any() and (sex == 3 - code).any():
            log.warning("item %s has values of one sex only: should its asked_if be sex=%s?", item.name, name)
