"""Items of any type as ordered atoms with a standard normal latent, and back.

Every item becomes one or more atoms, each with a latent that is standard normal over the training people:
    missing            one atom per pattern of missingness beyond the structural rules (shared by items
                       that are missing together, such as a metabolome panel)
    binary, ordinal    one atom, its levels cut the latent at the normal scores of their cumulative shares
    nominal            stick-breaking: "is it the most frequent category?", if not "is it the next?" ...
    continuous, count  one atom through the smoothed quantile function of `quantiles`
A value is the interval (low, high] of its latent; its score, the input of later atoms, is E[latent | interval]
(0 where an atom is not active: item not asked, missing, or an earlier stick decided).
"""

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri

from pseudocohort.errors import InputError
from pseudocohort.phenotype.quantiles import Quantile, fit_quantile

log = logging.getLogger("pseudocohort")
NUMERIC = ("continuous", "count")
MINIMUM_VALUES = 20
FAR = 30.0  # stands for infinity on the normal scale
DENSE = 0.01  # values with less mass than this are treated as points of a density


class ItemCode(NamedTuple):
    """How one item is coded. codes, shares: levels in the order of the latent with their training shares
    (numeric items: empty, quantile instead). missing_atom: -1 if never missing when asked; missing_share:
    among the training people asked. atoms: its value atoms (none for an item with a single value)."""

    name: str
    type: str
    asked_if: tuple[tuple[str, tuple[str, ...]], ...]
    decimals: int
    minimum: float | None
    maximum: float | None
    codes: tuple[str, ...]
    shares: tuple[float, ...]
    quantile: Quantile | None
    missing_atom: int
    missing_share: float
    atoms: tuple[int, ...]


class Atom(NamedTuple):
    """item: index of its (first) item; kind: missing, levels, stick or numeric; stick: level it asks for."""

    item: int
    kind: str
    stick: int
    cumulative: tuple[float, ...]  # 0 ... 1 over its levels; empty for numeric


class Encoding(NamedTuple):
    """items in sampling order (parents of skip rules first), atoms in the network's order, names in the
    dictionary's order."""

    items: tuple[ItemCode, ...]
    atoms: tuple[Atom, ...]
    names: tuple[str, ...]

    @property
    def index(self) -> dict[str, int]:
        return {item.name: i for i, item in enumerate(self.items)}


class Encoded(NamedTuple):
    """Arrays (people, atoms): low, high float32 interval of the latent (equal for points); score float32;
    dense, active bool."""

    low: np.ndarray
    high: np.ndarray
    score: np.ndarray
    dense: np.ndarray
    active: np.ndarray


def fit_encoding(phenotypes: pd.DataFrame, sex: np.ndarray, dictionary) -> Encoding:
    """Learn the coding of every item of `dictionary` from the training people.

    phenotypes: one column an item (n rows); sex (n,) codes 0, 1, 2. Values where a skip rule says "not asked"
    are left out. Raises InputError for an item with fewer than 20 values (a distribution of so few people would hand
    out their own values), an identifier, or an infinite value.
    """
    ordered = sampling_order(dictionary)
    missing = pd.DataFrame({i.name: phenotypes[i.name].isna().to_numpy() for i in ordered})
    everyone = asked_in_table(ordered, phenotypes, sex)
    items, atoms, patterns = [], [], {}
    for number, item in enumerate(ordered):
        asked = everyone[item.name]
        absent = missing[item.name].to_numpy() & asked
        values = phenotypes[item.name].to_numpy()[asked & ~absent]
        _log_unasked(item.name, int((~asked & ~missing[item.name]).sum()))
        if len(values) < MINIMUM_VALUES:
            raise InputError(
                f"item {item.name} has fewer than {MINIMUM_VALUES} values among the {len(phenotypes)} training people",
                where="phenotype table",
                remedy="give it the role `ignore` in the dictionary",
            )
        place = -1
        if absent.any():
            key = (item.asked_if, absent.tobytes())
            if key not in patterns:
                share = absent.sum() / asked.sum()
                patterns[key] = len(atoms)
                atoms.append(Atom(number, "missing", 0, (0.0, 1 - share, 1.0)))
            place = patterns[key]
        code, added = _code_item(item, values, number, place, absent.sum() / max(asked.sum(), 1), len(atoms))
        items.append(code)
        atoms.extend(added)
    return Encoding(tuple(items), tuple(atoms), tuple(dictionary.names))


def sampling_order(dictionary) -> list:
    """Items in dictionary order, but every item after those that its asked_if names. InputError on a circle."""
    waiting, ordered, known = list(dictionary.items), [], {"sex"}
    while waiting:
        ready = next((i for i in waiting if all(parent in known for parent, _ in i.asked_if)), None)
        if ready is None:
            raise InputError(
                "the asked_if rules of these items cannot be put in order: " + ", ".join(i.name for i in waiting[:5]),
                where="dictionary, column asked_if",
                expected="rules that name `sex` or items of the dictionary, without a circle",
                remedy="remove the circle from asked_if",
            )
        waiting.remove(ready)
        ordered.append(ready)
        known.add(ready.name)
    return ordered


def asked_people(rules, column, parent_asked, sex: np.ndarray) -> np.ndarray:
    """True (n,) unless a rule says "not asked", as cohort.dictionary.structurally_missing has it: a parent with
    another code, or not asked itself. A parent that is merely missing, or sex unknown, excludes nobody.

    rules: asked_if of an item; column, parent_asked: parent's name -> its values, its own answer (n,);
    sex: codes 0 unknown, 1 male, 2 female.
    """
    asked = np.ones(len(sex), dtype=bool)
    for parent, codes in rules:
        if parent == "sex":
            asked &= (sex == 0) | np.isin(sex, [{"male": 1, "female": 2}[c] for c in codes])
        else:
            values = pd.Series(column(parent), dtype=object)
            asked &= parent_asked(parent) & (values.isna() | values.isin(codes)).to_numpy(dtype=bool)
    return asked


def asked_in_table(ordered, phenotypes: pd.DataFrame, sex: np.ndarray) -> dict[str, np.ndarray]:
    """item name -> who is asked (n,), for items in sampling order."""
    done: dict[str, np.ndarray] = {}
    for item in ordered:
        done[item.name] = asked_people(item.asked_if, lambda name: phenotypes[name].to_numpy(), done.get, sex)
    return done


def encode(encoding: Encoding, phenotypes: pd.DataFrame, sex: np.ndarray) -> Encoded:
    """Intervals, scores and activity of all atoms for people with the given items."""
    n, m = len(phenotypes), len(encoding.atoms)
    out = Encoded(*(np.zeros((n, m), np.float32) for _ in range(3)), np.zeros((n, m), bool), np.zeros((n, m), bool))
    everyone = asked_in_table(encoding.items, phenotypes, sex)
    for item in encoding.items:
        values, asked = phenotypes[item.name].to_numpy(), everyone[item.name]
        present = asked & ~pd.isna(values)
        if item.missing_atom >= 0:
            absent = (asked & ~present).astype(int)
            write_levels(out, encoding.atoms[item.missing_atom], item.missing_atom, asked, absent)
        if item.quantile is not None:
            for atom in item.atoms:
                write_numeric(out, item, atom, present, values.astype(float))
            continue
        level = pd.Categorical(values, categories=item.codes).codes.astype(int)
        present = present & (level >= 0)
        for place, atom in enumerate(item.atoms):
            spec = encoding.atoms[atom]
            if spec.kind == "levels":
                write_levels(out, spec, atom, present, level)
            else:
                write_levels(out, spec, atom, present & (level >= place), (level == place).astype(int))
    return out


def write_levels(out: Encoded, spec: Atom, atom: int, active: np.ndarray, level: np.ndarray) -> None:
    """Fill column `atom` of a discrete atom for the active people with their level (n,)."""
    cumulative = np.array(spec.cumulative)
    low, high, score = _intervals(cumulative[:-1], cumulative[1:])
    out.active[:, atom] = active
    out.low[:, atom] = np.where(active, low[np.clip(level, 0, len(low) - 1)], 0)
    out.high[:, atom] = np.where(active, high[np.clip(level, 0, len(low) - 1)], 0)
    out.score[:, atom] = np.where(active, score[np.clip(level, 0, len(low) - 1)], 0)


def write_numeric(out: Encoded, item: ItemCode, atom: int, active: np.ndarray, values: np.ndarray) -> None:
    """Fill column `atom` of a numeric item for the active people with their values (n,)."""
    below, upto = item.quantile.interval(np.where(active, values, item.quantile.x[0]))
    dense = upto - below < DENSE
    edge = 1e-6
    point = ndtri(np.clip((below + upto) / 2, edge, 1 - edge))
    low, high, score = _intervals(below, np.maximum(upto, below + 1e-9))
    out.active[:, atom] = active
    out.dense[:, atom] = dense & active
    out.low[:, atom] = np.where(active, np.where(dense, point, low), 0)
    out.high[:, atom] = np.where(active, np.where(dense, point, high), 0)
    out.score[:, atom] = np.where(active, np.where(dense, point, score), 0)


def _intervals(below: np.ndarray, upto: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds on the normal scale and the mean of a standard normal between them."""
    low, high = np.clip(ndtri(below), -FAR, FAR), np.clip(ndtri(upto), -FAR, FAR)
    mass = np.maximum(upto - below, 1e-12)
    return low, high, (np.exp(-(low**2) / 2) - np.exp(-(high**2) / 2)) / np.sqrt(2 * np.pi) / mass


def round_values(item: ItemCode, x: np.ndarray) -> np.ndarray:
    """Rounded as the item's real values are, within its bounds."""
    low = -np.inf if item.minimum is None else item.minimum
    high = np.inf if item.maximum is None else item.maximum
    return np.clip(np.round(x, item.decimals) + 0.0, low, high)


def digits(values: np.ndarray) -> int:
    """The fewest decimals (at most 6) that hold all but 0.5 % of the values."""
    for places in range(6):
        if np.mean(np.abs(values - np.round(values, places)) < 10.0 ** -(places + 3)) >= 0.995:
            return places
    return 6


def _code_item(item, values: np.ndarray, number: int, missing_atom: int, missing_share: float, start: int):
    """(ItemCode, its value atoms), the atoms numbered from `start`."""
    shared = {
        "name": item.name,
        "type": item.type,
        "asked_if": item.asked_if,
        "minimum": item.minimum,
        "maximum": item.maximum,
        "missing_atom": missing_atom,
        "missing_share": float(missing_share),
    }
    if item.type in NUMERIC:
        numbers = _numbers(item, values)
        limit = () if item.detection_limit is None else (item.detection_limit,)
        decimals = 0 if item.type == "count" else digits(numbers) if item.decimals is None else item.decimals
        bottom = 0.0 if item.minimum is None and item.type == "count" and numbers.min() >= 0 else item.minimum
        bottom = item.detection_limit if limit and np.any(numbers == limit[0]) else bottom
        quantile = fit_quantile(numbers, public=limit, lower=bottom, upper=item.maximum)
        varies = quantile.x[-1] > quantile.x[0]
        _log_constant(item.name, varies)
        atoms = (Atom(number, "numeric", 0, ()),) if varies else ()
        return ItemCode(
            **shared,
            decimals=int(decimals),
            codes=(),
            shares=(),
            quantile=quantile,
            atoms=tuple(range(start, start + len(atoms))),
        ), atoms
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
        if len(codes) > 20 and len(codes) > len(values) / 2:
            raise InputError(
                f"item {item.name} has {len(codes)} categories for {len(values)} people: an identifier?",
                where="dictionary",
                remedy="give it the role `ignore`, or a numeric type",
            )
        codes.sort(key=lambda c: -counts[c])
    shares = (counts[codes] / counts.sum()).to_numpy()
    _log_constant(item.name, len(codes) > 1)
    atoms = _level_atoms(item.type, shares, number)
    return ItemCode(
        **shared,
        decimals=0,
        codes=tuple(codes),
        shares=tuple(map(float, shares)),
        quantile=None,
        atoms=tuple(range(start, start + len(atoms))),
    ), atoms


def _level_atoms(kind: str, shares: np.ndarray, number: int) -> tuple[Atom, ...]:
    if len(shares) < 2:
        return ()
    if kind != "nominal":
        return (Atom(number, "levels", 0, (0.0, *map(float, np.cumsum(shares)[:-1]), 1.0)),)
    rest = 1 - np.concatenate([[0.0], np.cumsum(shares)[:-1]])
    return tuple(Atom(number, "stick", s, (0.0, float(1 - shares[s] / rest[s]), 1.0)) for s in range(len(shares) - 1))


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


def encoding_to_json(encoding: Encoding) -> dict:
    """Everything in plain lists, for json.dump."""
    items = [
        item._replace(quantile=item.quantile and [a.tolist() for a in item.quantile])._asdict()
        for item in encoding.items
    ]
    return {"items": items, "atoms": [a._asdict() for a in encoding.atoms], "names": list(encoding.names)}


def encoding_from_json(plain: dict) -> Encoding:
    """Inverse of `encoding_to_json`."""
    items = []
    for item in plain["items"]:
        q = item["quantile"]
        quantile = q and Quantile(np.array(q[0]), np.array(q[1]), np.array(q[2]).reshape(-1, 3))
        rules = tuple((parent, tuple(codes)) for parent, codes in item["asked_if"])
        items.append(
            ItemCode(
                **{
                    **item,
                    "asked_if": rules,
                    "codes": tuple(item["codes"]),
                    "shares": tuple(item["shares"]),
                    "quantile": quantile,
                    "atoms": tuple(item["atoms"]),
                }
            )
        )
    atoms = tuple(Atom(**{**a, "cumulative": tuple(a["cumulative"])}) for a in plain["atoms"])
    return Encoding(tuple(items), atoms, tuple(plain["names"]))
