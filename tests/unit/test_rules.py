"""Rules between items against a loop over people, and dates against the calendar."""

import datetime

import numpy as np
import pandas as pd

from pseudocohort.cohort.dates import as_dates, days_of, iso
from pseudocohort.cohort.dictionary import Dictionary, Item, broken_rules

RULED = Dictionary(
    (
        Item("low", "continuous", rules=(("<=", ("high",)), (">=", ("floor",)))),
        Item("floor", "continuous"),
        Item("high", "continuous", rules=(("<=", ("top",)),)),
        Item("top", "continuous"),
        Item("total", "count", rules=(("=", ("one", "two", "three")),)),
        Item("one", "count"),
        Item("two", "ordinal", categories=("0", "1", "2")),
        Item("three", "binary", categories=("0", "1")),
        Item("mass", "continuous", decimals=1, rules=(("=", ("fat", "lean")),)),
        Item("fat", "continuous", decimals=1),
        Item("lean", "continuous", decimals=0),
        Item("first", "date", rules=(("<=", ("last",)),)),
        Item("last", "date"),
    )
)


def frame(n=500, seed=1):
    rng = np.random.default_rng(seed)
    two, three = rng.choice(["0", "1", "2", None], n), rng.choice(["0", "1"], n)
    table = pd.DataFrame({name: rng.normal(size=n).round(1) for name in ("low", "floor", "high", "top")})
    table["one"] = rng.integers(0, 4, n).astype(float)
    table["two"], table["three"] = pd.array(two, dtype="str"), pd.array(three, dtype="str")
    table["total"] = table["one"] + pd.to_numeric(table["two"]) + pd.to_numeric(table["three"]) + (rng.random(n) < 0.3)
    table["fat"], table["lean"] = rng.normal(20, 3, n).round(1), rng.normal(40, 3, n).round()
    table["mass"] = table["fat"] + table["lean"] + rng.choice([0, 0.3, 0.6, 0.7, -0.6, -0.7], n)
    table["first"], table["last"] = rng.integers(0, 50, n) * 1.0, rng.integers(0, 50, n) * 1.0
    return table.mask(rng.random(table.shape) < 0.1)


def test_broken_rules_against_a_loop():
    table = frame()
    found = broken_rules(RULED, table)
    assert found.shape == (500, 13)
    column = {name: found[:, i] for i, name in enumerate(RULED.names)}
    for i, row in enumerate(table.to_dict("records")):
        value = {name: float(v) if not pd.isna(v) else np.nan for name, v in row.items()}
        assert column["low"][i] == (value["low"] > value["high"] or value["low"] < value["floor"])
        assert column["high"][i] == (value["high"] > value["top"])
        gap = value["total"] - value["one"] - value["two"] - value["three"]
        assert column["total"][i] == (not np.isnan(gap) and gap != 0)
        # 0.05 for the sum, 0.05 and 0.5 for its parts, which are written with one and no decimals
        gap = value["mass"] - value["fat"] - value["lean"]
        assert column["mass"][i] == (not np.isnan(gap) and abs(gap) > 0.6 + 1e-6)
        assert column["first"][i] == (value["first"] > value["last"])
    for name in ("low", "high", "total", "mass", "first"):
        assert 0.05 < column[name].mean() < 0.8
    assert not found[:, [RULED.names.index(n) for n in ("floor", "top", "one", "two", "three", "fat", "last")]].any()


def test_values_at_a_detection_limit_may_be_lower():
    limited = Dictionary(
        (
            Item("sum", "continuous", decimals=2, rules=(("=", ("a", "b")),)),
            Item("a", "continuous", decimals=2, detection_limit=0.5),
            Item("b", "continuous", decimals=2),
            Item("low", "continuous", detection_limit=1, minimum=0.2, rules=(("<=", ("b",)),)),
        )
    )
    table = pd.DataFrame({"sum": [1.2, 1.0, 0.9, 1.6], "a": [0.5, 0.5, 0.5, 0.6], "b": 1.0, "low": [1, 1, 1, 1.1]})
    assert broken_rules(limited, table)[:, 0].tolist() == [False, False, True, False]
    table["b"] = [1.0, 0.3, 0.1, 1.2]
    assert broken_rules(limited, table)[:, 3].tolist() == [False, False, True, False]


def test_no_rule_and_no_item_break_nothing():
    plain = Dictionary((Item("x", "continuous"),))
    assert broken_rules(plain, {"x": np.zeros(3)}).tolist() == [[False]] * 3


def test_dates_are_days_of_the_calendar():
    cells = [
        "2020-02-29",
        "2019-02-29",
        "1969/12/31",
        "1970/1/2",
        "0600-01-01",
        "20200101",
        "2020-01-01 10:00",
        "",
        "x",
    ]
    days = days_of(pd.Series(cells, dtype="str"))
    epoch = datetime.date(1970, 1, 1)
    expected = [datetime.date(2020, 2, 29), None, datetime.date(1969, 12, 31), datetime.date(1970, 1, 2),
                datetime.date(600, 1, 1)]  # fmt: skip
    np.testing.assert_array_equal(days[:5], [np.nan if d is None else (d - epoch).days for d in expected])
    assert days[5:].isna().all()
    dates = as_dates(pd.Series([0.0, np.nan, 18321.4], index=[5, 6, 7]))
    assert dates.dtype == "datetime64[s]"
    assert dates.index.tolist() == [5, 6, 7]
    assert dates.astype("str").fillna("").tolist() == ["1970-01-01", "", "2020-02-29"]
    assert iso(-1.0) == "1969-12-31"
    assert days_of(pd.Series([], dtype="str")).dtype == "float64"
