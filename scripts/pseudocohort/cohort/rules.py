"""What a dictionary's rules say about a frame of items: what was not asked, and which values break a rule."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pseudocohort.cohort.items import SEX_CODES, Dictionary, Item

_EXACT = 1e-9  # relative error that the arithmetic of floats is allowed


def structurally_missing(dictionary: Dictionary, frame: Mapping[str, np.ndarray], sex: np.ndarray) -> np.ndarray:
    """Where the rules say "not asked".

    frame: DataFrame or mapping, item name -> category codes (n,) as text with None or NaN missing (numeric items
    are not looked at).  sex: (n,) 0 unknown, 1 male, 2 female.
    Returns bool (n, items) in the dictionary's order. An item is not asked where a condition's item has another
    code or is itself not asked; where the condition's item is merely missing, or sex unknown, nothing is known
    and the answer is False.
    """
    sex = np.asarray(sex)
    done: dict[str, np.ndarray] = {}

    def not_asked(name: str) -> np.ndarray:
        if name not in done:
            result = np.zeros(len(sex), dtype=bool)
            for gate, codes in dictionary[name].asked_if:
                if gate == "sex":
                    result |= (sex != 0) & ~np.isin(sex, [SEX_CODES[code] for code in codes])
                else:
                    answer = pd.Series(np.asarray(frame[gate], dtype=object))
                    result |= not_asked(gate) | (answer.notna() & ~answer.isin(codes)).to_numpy(dtype=bool)
            done[name] = result
        return done[name]

    return (
        np.column_stack([not_asked(name) for name in dictionary.names])
        if dictionary.names
        else np.zeros((len(sex), 0), dtype=bool)
    )


def broken_rules(dictionary: Dictionary, frame: Mapping[str, np.ndarray]) -> np.ndarray:
    """Where a value breaks its item's `rule`.

    frame: DataFrame or mapping, item name -> values (n,): floats with NaN (dates in days), or codes as text, which in
    sums are numbers.
    Returns bool (n, items) in the dictionary's order. A rule is judged only where its item and all items that it
    names are present. A sum may be off by what rounding explains: half a unit of the last digit of every continuous
    item in it; counts are exact. A value at its detection limit stands for anything from the minimum (or 0) up to it.
    """
    broken = np.zeros((len(frame[dictionary.names[0]]) if dictionary.names else 0, len(dictionary.names)), dtype=bool)
    for i, item in enumerate(dictionary.items):
        value = as_numbers(frame[item.name]) if item.rules else None
        for sign, names in item.rules:
            parts = np.column_stack([as_numbers(frame[name]) for name in names])
            # A missing value makes a comparison with NaN, which is False: nothing is broken.
            over = value - parts.sum(axis=1)
            slack = _EXACT * (np.abs(value) + np.abs(parts).sum(axis=1))
            if sign == "=":
                slack = slack + sum(_rounding(part) for part in (item, *(dictionary[name] for name in names)))
            # What stands at its limit may be lower: the item, which then is less too high; a part, and the sum with it.
            lower = sum(_below(dictionary[name], parts[:, j]) for j, name in enumerate(names))
            too_high, too_low = over > slack + _below(item, value), -over > slack + lower
            broken[:, i] |= {"<=": too_high, ">=": too_low, "=": too_high | too_low}[sign]
    return broken


def as_numbers(values) -> np.ndarray:
    """Values of a numeric item, or codes that are numbers, as float64 (n,) with NaN missing."""
    return pd.to_numeric(pd.Series(values)).to_numpy(dtype=np.float64, na_value=np.nan)


def _below(item: Item, values: np.ndarray) -> np.ndarray:
    """How much lower than written the values can be: (n,), 0 but at a detection limit."""
    if item.detection_limit is None:
        return np.zeros(len(values))
    return np.where(values <= item.detection_limit, item.detection_limit - (item.minimum or 0.0), 0.0)


def _rounding(item: Item) -> float:
    """The most that writing an item with its decimals can change it."""
    return 0.5 * 10.0**-item.decimals if item.type == "continuous" and item.decimals is not None else 0.0
