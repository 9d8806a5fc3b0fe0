"""Latents to values under the dictionary's conditions and rules, for all models alike."""

import logging

import numpy as np
import pandas as pd
from scipy.special import ndtr

from pseudocohort.cohort.dictionary import reason_column
from pseudocohort.phenotype.atoms import Encoding, Scored, columns
from pseudocohort.phenotype.conditions import SEX_NAMES
from pseudocohort.phenotype.rules import EXACT, asked_people, into_bounds, within_bounds

log = logging.getLogger("pseudocohort")
POLISH = 50  # fewest active people whose ranks stand for a distribution
LOW_BITS = 2.0**20  # the bits of a uniform below its first 20 are another uniform


class Decoder:
    """Turns latents into values, one atom after another, with conditions and rules applied on the way.

    After all atoms are taken: `column(name)` gives an item's values, `reasons(name)` why they are missing,
    `encoded.score` and `encoded.active` the scores and activity (n, atoms).
    uniform: (n, atoms) places within a rank's share, which also break ties and choose how a value is rounded. polish:
    latents count by their ranks among the active people, if these are POLISH or more; else, and without, by Phi.
    """

    def __init__(self, encoding: Encoding, sex: np.ndarray, uniform: np.ndarray, *, polish: bool = True):
        n, m = len(sex), len(encoding.atoms)
        self._fewest = POLISH if polish else n + 1  # people whose ranks stand for a distribution
        self.encoding, self.sex, self.uniform = encoding, np.asarray(sex), uniform
        self.encoded = Scored(columns(n, m, np.float32), columns(n, m, bool))
        self._absent: dict[int, np.ndarray] = {}  # of a missing atom
        self._chosen: dict[int, np.ndarray] = {}  # level by item, -1 while the sticks decide
        self._why: dict[tuple[int, ...], np.ndarray] = {}  # reason by the atoms of reasons, -1 while they decide
        self._numbers: dict[int, np.ndarray] = {}  # float64 by item, NaN where missing
        self._who: dict[tuple, np.ndarray] = {}  # who is asked, by conditions

    def take(self, atom: int, latent: np.ndarray) -> np.ndarray:
        """Decode atom number `atom` (they come in order) from latents (n,); returns its scores float32 (n,)."""
        spec = self.encoding.atoms[atom]
        if spec.kind == "missing":
            self._absent[atom] = self._levels(atom, latent, self._asked(spec.item)) == 1
            return self.encoded.score[:, atom]
        number = self.encoding.owner[atom]
        item = self.encoding.items[number]
        if spec.kind == "numeric":
            self._take_number(number, atom, latent)
        elif spec.kind == "levels":
            self._chosen[number] = self._levels(atom, latent, self._present(number))
        elif spec.kind == "stick":
            self._take_stick(self._chosen, number, atom, latent, self._present(number))
        else:
            absent = self._asked(number) & self._absent[item.missing_atom]
            self._take_stick(self._why, item.reason_atoms, atom, latent, absent)
        return self.encoded.score[:, atom]

    def active(self, atom: int) -> np.ndarray:
        """Who (n,) atom number `atom` is active for once all before it are taken; rules may still leave no value."""
        spec = self.encoding.atoms[atom]
        if spec.kind == "missing":
            return self._asked(spec.item)
        number = self.encoding.owner[atom]
        item = self.encoding.items[number]
        if spec.kind == "reason":
            asked = self._asked(number) & self._absent[item.missing_atom]
            return asked & (self._why[item.reason_atoms] < 0) if item.reason_atoms in self._why else asked
        present = self._present(number)
        return present & (self._chosen[number] < 0) if spec.kind == "stick" and number in self._chosen else present

    def preview(self, atom: int, latent: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The people `rows` of `active` in some order, and their scores if `take` were given these latents (n,), the
        rules aside."""
        spec = self.encoding.atoms[atom]
        if spec.kind == "numeric":
            number = self.encoding.owner[atom]
            rows, share, place = self._shares(atom, latent, rows)
            x = self._rounded(number, self.encoding.items[number].quantile.value(share), share, place * LOW_BITS % 1)
            return rows, self.encoding.score_tables[number](x)
        return rows, self.encoding.level_scores[atom][self._level_of(atom, latent, rows)]

    def column(self, name: str) -> np.ndarray:
        """Values of an item: float64 with NaN, or object with codes and NaN."""
        number = self.encoding.index[name]
        item = self.encoding.items[number]
        if item.quantile is not None:
            return self._values(number)
        values = np.array([*item.codes, np.nan], dtype=object)
        return values[np.where(self._present(number), self._level(number), len(item.codes))]

    def reasons(self, name: str) -> np.ndarray:
        """Why an item is missing, object (n,): `not asked`, a reason of the training people, or `unknown` where the
        rules leave no value; NaN where there is one."""
        number = self.encoding.index[name]
        item, asked = self.encoding.items[number], self._asked(number)
        names = np.array([*item.reasons, "unknown", "not asked", np.nan], dtype=object)
        last = len(item.reasons)
        code = np.full(len(asked), last)
        if item.missing_atom >= 0 and last:
            stick = self._why.get(item.reason_atoms, np.full(len(asked), -1))
            code = np.where(self._absent[item.missing_atom], np.where(stick < 0, last - 1, stick), code)
        known = self._present(number)
        if item.quantile is not None:
            known = known & ~np.isnan(self._values(number))
        return names[np.where(asked, np.where(known, last + 2, code), last + 1)]

    def unmet(self) -> dict[str, int]:
        """Item -> how many of its values are missing because its rules and bounds leave none."""
        lost = {}
        for number, item in enumerate(self.encoding.items):
            if item.quantile is not None:
                lost[item.name] = int((self._present(number) & np.isnan(self._values(number))).sum())
        return {name: count for name, count in lost.items() if count}

    def _take_number(self, number: int, atom: int, latent: np.ndarray) -> None:
        item = self.encoding.items[number]
        rows, share, place = self._shares(atom, latent, np.flatnonzero(self._present(number)))
        chance = place * LOW_BITS % 1
        x = self._rounded(number, item.quantile.value(share), share, chance)
        x = self._lawful(number, x, rows, share, chance)
        values = np.full(len(latent), np.nan)
        values[rows] = x
        self._numbers[number] = values
        rows, x = (rows, x) if not np.isnan(x).any() else (rows[~np.isnan(x)], x[~np.isnan(x)])
        self.encoded.active[rows, atom] = True
        self.encoded.score[rows, atom] = self.encoding.score_tables[number](x)

    def _take_stick(self, decided: dict, key, atom: int, latent: np.ndarray, active: np.ndarray) -> None:
        """Where nothing is decided yet, decide whether it is the level that the stick asks for."""
        chosen = decided.setdefault(key, np.full(len(latent), -1, dtype=np.int16))
        hit = self._levels(atom, latent, active & (chosen < 0)) == 1
        chosen[hit] = self.encoding.atoms[atom].stick

    def _rounded(self, number: int, x: np.ndarray, share: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """Rounded as the item's real values are, within its bounds, and not to 0 where all are positive."""
        item = self.encoding.items[number]
        rounded = item.rounding.apply(x, share, chance)
        if item.quantile.x[0] > 0:
            rounded = np.where(rounded == 0, 10.0**-item.decimals, rounded)
        return np.clip(rounded, *_bounds(item))

    def _lawful(
        self, number: int, x: np.ndarray, rows: np.ndarray, share: np.ndarray, chance: np.ndarray
    ) -> np.ndarray:
        """Values x of the people `rows` made to follow the item's rules; NaN where no value does."""
        item, limits = self.encoding.items[number], self.encoding.limits.get(number)
        sums = [names for sign, names in item.rules if sign == "="]
        if limits is None and not sums:
            return x
        low, high = self._limits(limits, rows)
        x = self._bounded(number, x, share, low, high, chance)
        # The bounds stand on their own decimals; an item's least and greatest value may lie between its decimals.
        bottom, top = _bounds(item)
        floor = np.maximum(item.rounding.inward(low, 1), bottom)
        ceiling = np.minimum(item.rounding.inward(high, -1), top)
        x = np.clip(x, floor, np.maximum(ceiling, floor))
        for names in sums[:1]:
            total, whole = self._sum(item, names, rows)
            x = np.where(whole, total, x)
        bad = (x < low) | (x > high) | (x < bottom) | (x > top)
        for names in sums:
            bad |= self._off(item, names, x, rows)
        return np.where(bad, np.nan, x)

    def _limits(self, limits, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bounds (rows,) by the values of the items that were drawn before, infinite where there are none."""
        low, high = np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
        for other in limits.lower if limits else ():
            low = np.fmax(low, self._values(other)[rows])
        for other in limits.upper if limits else ():
            high = np.fmin(high, self._values(other)[rows])
        return low, high

    def _bounded(self, number: int, x, share, low, high, chance) -> np.ndarray:
        """Values x (n,) led between low and high; where they were ranked and are bounded from one side, all keep
        their distribution."""
        out = np.flatnonzero((x < low) | (x > high))
        if not len(out):
            return x
        item, share, led = self.encoding.items[number], share.copy(), x.copy()
        share[out] = into_bounds(item.quantile, share[out], low[out], high[out])
        led[out] = self._rounded(number, item.quantile.value(share[out]), share[out], chance[out])
        if len(x) < self._fewest or (np.isfinite(low).any() and np.isfinite(high).any()):
            return led
        dealt = within_bounds(x, share, low, high)
        return np.where(np.isnan(dealt), led, dealt)

    def _sum(self, item, names: tuple[str, ...], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The sum of the parts with the item's decimals (where the dictionary gives none: of the finest part), and
        where all parts are present."""
        parts = [self._figures(self.encoding.index[name])[rows] for name in names]
        total = np.sum(parts, axis=0)
        finest = max(item.decimals, *(self.encoding.items[self.encoding.index[name]].decimals for name in names))
        places = item.decimals if item.slack or item.type != "continuous" else finest
        return np.round(total, places) + 0.0, ~np.isnan(total)

    def _off(self, item, names: tuple[str, ...], x: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Where x is not the sum of the parts by more than rounding explains, as cohort.rules.broken_rules has it."""
        codes = [self.encoding.items[self.encoding.index[name]] for name in names]
        parts = np.array([self._figures(self.encoding.index[name])[rows] for name in names])
        slack = EXACT * (np.abs(x) + np.abs(parts).sum(0)) + item.slack + sum(code.slack for code in codes)
        return np.abs(x - parts.sum(0)) > slack  # False where a part is missing

    def _values(self, number: int) -> np.ndarray:
        """Values of a numeric item, NaN where missing; those of an item with a single value are settled when asked."""
        if number not in self._numbers:
            item, rows = self.encoding.items[number], np.flatnonzero(self._present(number))
            half, values = np.full(len(rows), 0.5), np.full(len(self.sex), np.nan)
            x = self._rounded(number, item.quantile.value(half), half, half)
            values[rows] = self._lawful(number, x, rows, half, half)
            self._numbers[number] = values
        return self._numbers[number]

    def _figures(self, number: int) -> np.ndarray:
        """What an item adds to a sum: its values, or its codes, which are numbers in the parts of a sum."""
        item = self.encoding.items[number]
        if item.quantile is not None:
            return self._values(number)
        figures = np.array([float(code) for code in item.codes])
        return np.where(self._present(number), figures[self._level(number)], np.nan)

    def _level(self, number: int) -> np.ndarray:
        """Level of an item with categories: the last where no stick chose, the only one where there is one."""
        item = self.encoding.items[number]
        if not item.atoms:
            return np.zeros(len(self.sex), dtype=int)
        level = self._chosen[number]
        return np.where(level < 0, len(item.codes) - 1, level)

    def _asked(self, number: int) -> np.ndarray:
        rules = self.encoding.items[number].asked_if
        if rules not in self._who:
            self._who[rules] = asked_people(rules, self._allows, self.sex)
        return self._who[rules]

    def _allows(self, parent: str, codes: tuple[str, ...]) -> np.ndarray:
        number = self.encoding.index[parent]
        fits = np.array([code in codes for code in self.encoding.items[number].codes])
        return self._asked(number) & (~self._present(number) | fits[self._level(number)])

    def _present(self, number: int) -> np.ndarray:
        asked, place = self._asked(number), self.encoding.items[number].missing_atom
        return asked & ~self._absent[place] if place >= 0 else asked

    def _levels(self, atom: int, latent: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Level (n,) of a discrete atom, 0 where it is not active; writes its scores."""
        rows = np.flatnonzero(active)
        level = np.zeros(len(latent), dtype=np.int16)
        level[rows] = self._level_of(atom, latent, rows)
        self.encoded.active[rows, atom] = True
        self.encoded.score[rows, atom] = self.encoding.level_scores[atom][level[rows]]
        return level

    def _level_of(self, atom: int, latent: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Levels of the people `rows`."""
        cuts = np.array(self.encoding.atoms[atom].cumulative[1:-1])
        own = np.asarray(latent, dtype=np.float64)[rows]
        if len(rows) < self._fewest:
            return np.searchsorted(cuts, ndtr(own), side="right")
        return _cut(own, self.uniform[:, atom], rows, cuts)

    def _shares(self, atom: int, latent: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Active people, their cumulative shares in (0, 1) and their uniforms: by rank, in which order they come, or
        Phi where they are few."""
        own = np.asarray(latent, dtype=np.float64)[rows]
        uniform = self.uniform[rows, atom].astype(np.float64)
        if len(rows) < self._fewest:
            return rows, ndtr(own), uniform
        order = _ranked(own, uniform)
        uniform = uniform[order]
        return rows[order], (np.arange(len(rows)) + uniform) / len(rows), uniform


def _bounds(item) -> tuple[float, float]:
    """Least and greatest value of a numeric item, infinite for none."""
    return -np.inf if item.minimum is None else item.minimum, np.inf if item.maximum is None else item.maximum


def _ranked(latent: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Order (n,) of the latents; ties in the order of the uniforms, not of the people."""
    order = np.argsort(latent)
    ordered = latent[order]
    return np.lexsort((uniform, latent)) if (ordered[1:] == ordered[:-1]).any() else order


def _cut(latent: np.ndarray, uniform: np.ndarray, rows: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """How many of the cuts are at most (rank + uniform[row]) / n, for every latent (n,) of the people rows (n,).

    Only the people at the cuts are ranked, by partition; all are where latents are tied there.
    """
    n = len(latent)
    at = np.minimum((cuts * n).astype(int), n - 1)
    border = np.partition(latent, np.unique(at))[at]
    level = np.zeros(n, dtype=np.int16)
    for cut, rank, value in zip(cuts, at, border, strict=True):
        same = np.flatnonzero(latent == value)
        if len(same) > 1:
            share = np.empty(n)
            order = _ranked(latent, uniform[rows])
            share[order] = (np.arange(n) + uniform[rows[order]]) / n
            return np.searchsorted(cuts, share, side="right")
        level += latent > value
        level[same] += (rank + uniform[rows[same]]) / n >= cut
    return level


def people_table(decoder: Decoder, sex: np.ndarray, age: np.ndarray | None, stratum: np.ndarray) -> pd.DataFrame:
    """The table of `sample_people` from decoded items: sex, age, stratum, the items, then their reasons."""
    for name, count in decoder.unmet().items():
        log.warning("item %s: %d values are left missing, as the rules and bounds leave none", name, count)
    first = {"sex": SEX_NAMES[sex], "age": np.full(len(sex), np.nan) if age is None else age, "stratum": stratum}
    encoding = decoder.encoding
    reasoned = [name for name in encoding.names if encoding.items[encoding.index[name]].reasoned]
    values = {name: decoder.column(name) for name in encoding.names}
    return pd.DataFrame(first | values | {reason_column(name): decoder.reasons(name) for name in reasoned})
