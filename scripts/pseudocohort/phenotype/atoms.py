"""The coding of the items: what `encoding` learns and what `encoding` and `decoding` work with; and as JSON."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from pseudocohort.phenotype.latent import ScoreTable, level_latents
from pseudocohort.phenotype.quantiles import Quantile
from pseudocohort.phenotype.rounding import Rounding, rounding_from_json, rounding_to_json
from pseudocohort.phenotype.rules import Limits, limits_of


class ItemCode(NamedTuple):
    """How one item is coded. codes, shares: levels in the order of the latent with their training shares
    (numeric items: empty, quantile and rounding instead). slack: by how much a sum may be off that this item is in.
    missing_atom: -1 if never missing when asked; missing_share: among the training people asked. reasoned: has it a
    column of reasons; reasons: those seen, most frequent first, with their atoms (none for a single reason).
    atoms: its value atoms (none for an item with a single value)."""

    name: str
    type: str
    asked_if: tuple[tuple[str, tuple[str, ...]], ...]
    rules: tuple[tuple[str, tuple[str, ...]], ...]
    minimum: float | None
    maximum: float | None
    slack: float
    codes: tuple[str, ...]
    shares: tuple[float, ...]
    quantile: Quantile | None
    rounding: Rounding | None
    missing_atom: int
    missing_share: float
    reasoned: bool
    reasons: tuple[str, ...]
    reason_atoms: tuple[int, ...]
    atoms: tuple[int, ...]

    @property
    def decimals(self) -> int:
        return 0 if self.rounding is None else self.rounding.decimals


class Atom(NamedTuple):
    """item: index of its (first) item; kind: missing, reason, levels, stick or numeric; stick: the level, or the
    reason, that it asks for."""

    item: int
    kind: str
    stick: int
    cumulative: tuple[float, ...]  # 0 ... 1 over its levels; empty for numeric


@dataclass(frozen=True, eq=False)
class Encoding:
    """items in sampling order (those that conditions and rules name first), atoms in the network's order, names in
    the dictionary's order. What follows from these is worked out once, for all decoders."""

    items: tuple[ItemCode, ...]
    atoms: tuple[Atom, ...]
    names: tuple[str, ...]

    @cached_property
    def index(self) -> dict[str, int]:
        """Name of an item -> its number."""
        return {item.name: i for i, item in enumerate(self.items)}

    @cached_property
    def owner(self) -> dict[int, int]:
        """Number of a value or reason atom -> number of its (first) item."""
        pairs = [(a, i) for i, item in enumerate(self.items) for a in (*item.atoms, *item.reason_atoms)]
        return dict(reversed(pairs))

    @cached_property
    def limits(self) -> dict[int, Limits]:
        """Number of an item -> the earlier items that bound it."""
        return limits_of(self.items)

    @cached_property
    def level_scores(self) -> tuple[np.ndarray, ...]:
        """Per atom the float32 scores of its levels (none for numeric ones)."""
        return tuple(level_latents(a.cumulative)[2].astype(np.float32) if a.cumulative else None for a in self.atoms)

    @cached_property
    def score_tables(self) -> dict[int, ScoreTable]:
        """Number of a numeric item -> the scores of its values."""
        return {i: ScoreTable(m.quantile, m.decimals) for i, m in enumerate(self.items) if m.quantile is not None}


class Encoded(NamedTuple):
    """Arrays (people, atoms), a column contiguous: low, high float32 interval of the latent (equal for points);
    score float32; dense, active bool; guess float32, see `forest`, zeros without one."""

    low: np.ndarray
    high: np.ndarray
    score: np.ndarray
    dense: np.ndarray
    active: np.ndarray
    guess: np.ndarray


class Scored(NamedTuple):
    """What sampling needs of `Encoded`: score float32, active bool, each (people, atoms), a column contiguous."""

    score: np.ndarray
    active: np.ndarray


def columns(n: int, atoms: int, dtype) -> np.ndarray:
    """Zeros (n, atoms) whose columns are contiguous, for they are written one after another."""
    return np.zeros((atoms, n), dtype).T


def encoding_to_json(encoding: Encoding) -> dict:
    """Everything in plain lists, for json.dump."""
    items = []
    for item in encoding.items:
        quantile = item.quantile and [a.tolist() for a in item.quantile]
        rounding = item.rounding and rounding_to_json(item.rounding)
        items.append(item._replace(quantile=quantile, rounding=rounding)._asdict())
    return {"items": items, "atoms": [a._asdict() for a in encoding.atoms], "names": list(encoding.names)}


def encoding_from_json(plain: dict) -> Encoding:
    """Inverse of `encoding_to_json`."""
    items = []
    for item in plain["items"]:
        q, r = item["quantile"], item["rounding"]
        pairs = {key: tuple((name, tuple(rest)) for name, rest in item[key]) for key in ("asked_if", "rules")}
        lists = {key: tuple(item[key]) for key in ("codes", "shares", "reasons", "reason_atoms", "atoms")}
        quantile = q and Quantile(np.array(q[0]), np.array(q[1]), np.array(q[2]).reshape(-1, 3))
        rounding = r and rounding_from_json(r)
        items.append(ItemCode(**{**item, **pairs, **lists, "quantile": quantile, "rounding": rounding}))
    atoms = tuple(Atom(**{**a, "cumulative": tuple(a["cumulative"])}) for a in plain["atoms"])
    return Encoding(tuple(items), atoms, tuple(plain["names"]))
