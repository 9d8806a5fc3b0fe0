"""Latents to values under the dictionary's rules, for the network and for the baseline alike."""

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from pseudocohort import counter
from pseudocohort.phenotype.conditions import SEX_NAMES
from pseudocohort.phenotype.encoding import (
    Encoded,
    Encoding,
    asked_people,
    round_values,
    write_levels,
    write_numeric,
)

POLISH = 200  # fewest active people whose ranks stand for a distribution


class Decoder:
    """Turns latents into values, one atom after another, with the skip rules applied on the way.

    After all atoms are taken: `column(name)` gives an item's values, `encoded.score` and `encoded.active` the
    scores and activity (n, atoms).
    """

    def __init__(self, encoding: Encoding, sex: np.ndarray, uniform: np.ndarray):
        n, m = len(sex), len(encoding.atoms)
        self.encoding, self.sex, self.uniform = encoding, sex, uniform
        self.encoded = Encoded(
            *(np.zeros((n, m), np.float32) for _ in range(3)), np.zeros((n, m), bool), np.zeros((n, m), bool)
        )
        self._absent: dict[int, np.ndarray] = {}
        self._chosen: dict[int, np.ndarray] = {}  # level of a discrete item, -1 while the sticks decide
        self._numbers: dict[int, np.ndarray] = {}
        self._index = encoding.index
        self._owner = {atom: i for i, item in enumerate(encoding.items) for atom in item.atoms}

    def take(self, atom: int, latent: np.ndarray) -> np.ndarray:
        """Decode atom number `atom` (they come in order) from latents (n,); returns its scores float32 (n,)."""
        spec = self.encoding.atoms[atom]
        if spec.kind == "missing":
            active = self._asked(spec.item)
            self._absent[atom] = self._levels(atom, latent, active) == 1
            return self.encoded.score[:, atom]
        number = self._owner[atom]
        item, active = self.encoding.items[number], self._present(number)
        if spec.kind == "numeric":
            share = self._shares(atom, latent, active)
            values = round_values(item, item.quantile.value(share))
            write_numeric(self.encoded, item, atom, active, values)
            self._numbers[number] = values
        elif spec.kind == "levels":
            self._chosen[number] = self._levels(atom, latent, active)
        else:
            chosen = self._chosen.setdefault(number, np.full(len(latent), -1))
            hit = self._levels(atom, latent, active & (chosen < 0)) == 1
            self._chosen[number] = np.where((chosen < 0) & hit, spec.stick, chosen)
        return self.encoded.score[:, atom]

    def column(self, name: str) -> np.ndarray:
        """Values of an item: float64 with NaN, or object with codes and NaN."""
        number = self._index[name]
        item, present = self.encoding.items[number], self._present(number)
        if item.quantile is not None:
            fixed = round_values(item, item.quantile.value(np.full(len(present), 0.5)))
            return np.where(present, self._numbers.get(number, fixed), np.nan)
        default = 0 if not item.atoms else len(item.codes) - 1  # no stick chose: the last category
        level = self._chosen.get(number, np.zeros(len(present), int))
        values = np.array(item.codes, dtype=object)[np.where(level < 0, default, level)]
        return np.where(present, values, np.nan)

    def _asked(self, number: int) -> np.ndarray:
        return asked_people(
            self.encoding.items[number].asked_if, self.column, lambda parent: self._asked(self._index[parent]), self.sex
        )

    def _present(self, number: int) -> np.ndarray:
        asked, place = self._asked(number), self.encoding.items[number].missing_atom
        return asked & ~self._absent[place] if place >= 0 else asked

    def _levels(self, atom: int, latent: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Draw the level of a discrete atom; writes its scores."""
        spec = self.encoding.atoms[atom]
        level = np.searchsorted(spec.cumulative[1:-1], self._shares(atom, latent, active), side="right")
        write_levels(self.encoded, spec, atom, active, level)
        return level

    def _shares(self, atom: int, latent: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Cumulative shares (n,) in (0, 1): ranks among the active people, or Phi where they are few."""
        share = ndtr(latent)
        count = int(active.sum())
        if count >= POLISH:
            rank = rankdata(latent[active], method="ordinal") - 1
            share[active] = (rank + self.uniform[active, atom]) / count
        return share


def decode(encoding: Encoding, latent: np.ndarray, sex: np.ndarray, uniform: np.ndarray) -> Decoder:
    """Decode given latents (n, atoms); sex: codes (n,); uniform: (n, atoms) places within a rank's share."""
    decoder = Decoder(encoding, sex, uniform)
    for atom in range(latent.shape[1]):
        decoder.take(atom, latent[:, atom])
    return decoder


def people_table(decoder: Decoder, sex: np.ndarray, age: np.ndarray | None, stratum: np.ndarray) -> pd.DataFrame:
    """The table of `sample_people` from decoded items."""
    first = {"sex": SEX_NAMES[sex], "age": np.full(len(sex), np.nan) if age is None else age, "stratum": stratum}
    return pd.DataFrame(first | {name: decoder.column(name) for name in decoder.encoding.names})


def normal_latents(seed: int, purpose: str, n: int, atoms: int) -> np.ndarray:
    """Independent standard normal latents (n, atoms)."""
    return ndtri(np.clip(counter.generator(seed, purpose).random((n, atoms)), 1e-12, 1 - 1e-12))
