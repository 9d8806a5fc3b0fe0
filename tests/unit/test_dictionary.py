"""The dictionary: read and write, and every mistake in it by its text."""

import numpy as np
import pandas as pd
import pytest

from pseudocohort.cohort.demo_design import demo_dictionary
from pseudocohort.cohort.dictionary import (
    Dictionary,
    Item,
    at_level,
    for_release,
    read_dictionary,
    structurally_missing,
    without_level,
    write_dictionary,
)
from pseudocohort.errors import InputError

HEADER = (
    "item\ttype\trole\tminimum\tmaximum\tdetection_limit\tdecimals\tcategories\tmissing_codes\tasked_if\trule\ttrait"
)

FULL = Dictionary(
    (
        Item("age", "continuous", "other", "age", "Age", "年齢", "years", 20, 90, decimals=0),
        Item("crp", "continuous", "blood chemistry", "", "CRP", "C反応性蛋白", "mg/dL", 0.02, 30.5, 0.02, 2),
        Item(
            "smoking",
            "ordinal",
            "questionnaire",
            categories=("never", "former", "now"),
            category_labels=("No", "Ex", "Yes"),
            level="open",
        ),
        Item("cigarettes", "count", "questionnaire", minimum=0, asked_if=(("smoking", ("former", "now")),)),
        Item("pregnancies", "count", asked_if=(("sex", ("female",)), ("ever", ("1",))), trait=False),
        Item("ever", "binary", categories=("0", "1"), asked_if=(("sex", ("female",)),)),
        Item("blood group", "nominal", categories=("A", "B", "AB", "O")),
        Item("barcode", "nominal", role="ignore", note="check: an id"),
        Item(
            "low", "continuous", missing_codes=(("-9", "refused"), ("-8", "not measured")), rules=(("<=", ("high",)),)
        ),
        Item("high", "continuous", detection_limit=1, missing_codes=(("ND", "below limit"), ("拒否", "refused"))),
        Item("total", "count", rules=(("=", ("part one", "part two")), (">=", ("part one",)))),
        Item("part one", "count", trait=False),
        Item("part two", "ordinal", categories=("0", "1", "2"), trait=False),
        Item("birth", "date", minimum=-3653, maximum=20000),
        Item("income", "count", level="strong", consent=(("use of income", ("yes", "1")), ("use", ("1",)))),
        Item("visit", "date", rules=((">=", ("birth",)),), missing_codes=(("9999-12-31", "unknown"),)),
    )
)


def read(tmp_path, text):
    path = tmp_path / "dictionary.tsv"
    path.write_text(text, encoding="utf-8")
    return read_dictionary(path)


def row(item="x", type="continuous", **cells):
    return "\t".join([item, type] + [str(cells.get(c, "")) for c in HEADER.split("\t")[2:]])


def assert_refused(tmp_path, rows, *texts, header=HEADER):
    with pytest.raises(InputError) as caught:
        read(tmp_path, "\n".join([header, *rows]) + "\n")
    for text in texts:
        assert text in str(caught.value)
    assert caught.value.remedy


def test_write_and_read_are_inverse(tmp_path):
    write_dictionary(tmp_path / "d.tsv", FULL)
    again = read_dictionary(tmp_path / "d.tsv")
    assert again == FULL
    assert again.names[:6] == ("crp", "smoking", "cigarettes", "pregnancies", "ever", "blood group")
    assert again.traits == ("crp", "smoking", "cigarettes", "ever", "low", "high", "total", "income")
    assert {row.level for row in again.rows} == {"open", "strong"}
    assert [row.name for row in again.rows if row.level_given] == ["smoking", "income"]
    assert again["low"].reasons == ("refused", "not measured")
    assert again["high"].reasons == ("refused",)
    assert again["crp"].reasons == ()
    assert again.reason_columns == ("low_missing", "high_missing", "visit_missing")
    assert again["birth"].decimals == 0
    assert again.age.name == "age"
    assert again["crp"].detection_limit == 0.02
    assert again["age"].label_ja == "年齢"
    assert "barcode" not in again
    with pytest.raises(KeyError):
        again["barcode"]


def test_dates_and_rules_read_as_people_write_them(tmp_path):
    text = (
        "item\ttype\tminimum\tmissing_codes\trule\n"
        "a\tDate\t1970/1/3\t 9.0 = Refused |  77=unknown\t>=b;<=c\n"
        "b\tdate\t\t\t\nc\tdate\t\t\t\n"
        "x\tcontinuous\t\t\t=  y + z-1+2 \ny\tcount\t\t\t\nz-1+2\tcontinuous\t\t\t\n"
    )
    d = read(tmp_path, text)
    assert d["a"].minimum == 2
    assert d["a"].missing_codes == (("9", "refused"), ("77", "unknown"))
    assert d["a"].rules == ((">=", ("b",)), ("<=", ("c",)))
    assert d["x"].rules == (("=", ("y", "z-1+2")),)
    assert not d["a"].trait


def test_short_dictionary_has_defaults(tmp_path):
    text = "item,type,categories,note\nx,Continuous,,\nk,nominal,1.0=a|2.0|3=c=d,anything\n"
    d = read(tmp_path, text.replace(",", "\t"))
    assert d["x"] == Item("x", "continuous")
    assert d["x"].trait
    assert d["k"].categories == ("1", "2", "3")
    assert d["k"].category_labels == ("a", "2", "c=d")
    assert not d["k"].trait
    assert d.age is None


@pytest.mark.parametrize(
    ("rows", "texts"),
    [
        ([row("")], ["without an item name", "line 2"]),
        (
            [row(), row(type="continous")],
            ["unknown type 'continous'; did you mean 'continuous'?", "line 3, column type"],
        ),
        ([row(role="ignored")], ["unknown role 'ignored'; did you mean 'ignore'?"]),
        ([row(), row()], ["item x is in the dictionary more than once", "line 3"]),
        ([row("a", role="age"), row("b", role="age"), row()], ["more than one item has the role age", "line 3"]),
        ([row("a", "count", role="age"), row()], ["the age has the type count"]),
        ([row("a", role="age")], ["the dictionary has no item"]),
        ([row("sex", "binary", categories="1|2")], ["a column of the pseudo cohort that is no item"]),
        ([row("a/b")], ["item a/b: the name of a trait is also a file's name", "set trait to no"]),
        ([row(minimum="low")], ["not a number", "line 2, column minimum"]),
        ([row(maximum="inf")], ["not a number", "column maximum"]),
        ([row(decimals="1.5")], ["decimals is not a whole number"]),
        ([row(minimum="5", maximum="1")], ["the limits are not in order"]),
        ([row(minimum="1", detection_limit="0.1")], ["minimum <= detection_limit <= maximum"]),
        ([row(categories="1|2")], ["an item of type continuous has no categories"]),
        ([row(type="binary", categories="1|2|3")], ["a binary item with 3 categories"]),
        ([row(type="ordinal")], ["needs its categories"]),
        ([row(type="ordinal", categories="1|1.0|2")], ["not distinct"]),
        ([row(type="ordinal", categories="1||2")], ["empty or not distinct"]),
        (
            [row(type="ordinal", categories="1|2", minimum="0")],
            ["no minimum, maximum, detection_limit", "column minimum"],
        ),
        ([row(type="nominal", categories="1|2", trait="yes")], ["a nominal item cannot be a trait"]),
        ([row(trait="maybe")], ["trait is 'maybe'", "yes, no or an empty cell"]),
        ([row(asked_if="sex")], ["asked_if cannot be read", "column asked_if"]),
        ([row(asked_if="sex=woman")], ["asks for sex=woman", "male, female"]),
        (
            [row(asked_if="smok=1"), row("smoke", "binary", categories="0|1")],
            ["names 'smok', which is no item with categories; the nearest is 'smoke'"],
        ),
        ([row(asked_if="y=1"), row("y")], ["names 'y', which is no item with categories"]),
        ([row(asked_if="y=3"), row("y", "binary", categories="0|1")], ["asks for y=3", "y is one of 0, 1"]),
        (
            [
                row("x", "binary", categories="0|1", asked_if="z=1"),
                row("y", "binary", categories="0|1", asked_if="x=1"),
                row("z", "binary", categories="0|1", asked_if="sex=male;y=1"),
            ],
            ["its condition depends on itself", "line 2"],
        ),
        ([row(missing_codes="-9")], ["missing_codes cannot be read", "-9=refused|-8=not measured", "line 2"]),
        ([row(missing_codes="=refused")], ["missing_codes cannot be read"]),
        (
            [row(missing_codes="-9=refusd")],
            ["unknown reason 'refusd'; did you mean 'refused'?", "column missing_codes"],
        ),
        ([row(missing_codes="-9=refused|-9.0=unknown")], ["a missing code stands more than once"]),
        (
            [row(type="ordinal", categories="1|2|9", missing_codes="9=unknown")],
            ["the missing code 9 is also a category", "delete it here or from the categories"],
        ),
        ([row(missing_codes="ND=below limit")], ["means below limit, but there is no limit", "a detection_limit"]),
        ([row(type="nominal", categories="1|2", missing_codes="x=below limit")], ["there is no limit"]),
        (
            [row(missing_codes="-9=refused"), row("x_missing")],
            ["item x_missing: a column of this name will tell why x is missing", "line 2"],
        ),
        ([row(rule="< y"), row("y")], ["rule cannot be read", "<= item, >= item or = item + item"]),
        ([row(rule="= y + + z"), row("y")], ["rule cannot be read"]),
        ([row(rule="<= yy"), row("yyy")], ["its rule names 'yy', which is no numeric item; the nearest is 'yyy'"]),
        ([row(rule="<= y"), row("y", "binary", categories="0|1")], ["names 'y', which is no numeric item"]),
        ([row(rule="= y + z"), row("y"), row("z", "ordinal", categories="0|1|many")], ["names 'z'"]),
        ([row(rule="= y+z"), row("y"), row("z")], ["names 'y+z'", "with spaces around +"]),
        (
            [row(type="binary", categories="0|1", rule="<= y"), row("y")],
            ["only items of type continuous, count or date"],
        ),
        ([row("a", role="age", rule="<= y"), row("y")], ["only items of type continuous, count or date have rules"]),
        ([row(rule="= x + y"), row("y")], ["its rule names the item itself"]),
        ([row(rule="= y"), row("y")], ["its sum is not of two items or more, each once"]),
        ([row(rule="= y + y"), row("y")], ["each once"]),
        ([row(rule="<= y"), row("y", "date")], ["compares a date with a number", "dates on both sides"]),
        ([row(rule="= y + z"), row("y", "date"), row("z")], ["its sum holds a date"]),
        (
            [row("w"), row("x", rule="<= y"), row("y", rule="= w + z"), row("z", rule=">= x")],
            ["item x: its rule depends on itself", "line 3, column rule", "without circles"],
        ),
        ([row(type="date", minimum="2020-02-30")], ["not a date", "a day as YYYY-MM-DD", "column minimum"]),
        ([row(type="date", minimum="2020-02-03", maximum="2019-01-01")], ["the limits are not in order"]),
        ([row(type="date", detection_limit="2020-02-03")], ["a date has no detection_limit"]),
        ([row(type="date", decimals="1")], ["a date has no decimals"]),
        ([row(type="date", trait="yes")], ["a date cannot be a trait"]),
        ([row(type="date", categories="1|2")], ["an item of type date has no categories"]),
    ],
)
def test_bad_rows_are_refused(tmp_path, rows, texts):
    assert_refused(tmp_path, rows, *texts)


def test_bad_headers_are_refused(tmp_path):
    assert_refused(tmp_path, ["x\tcontinuous"], "no column 'type'; the nearest is 'typ'", header="item\ttyp")
    assert_refused(
        tmp_path,
        ["x\tcount\t1"],
        "unknown dictionary column 'minimun'; did you mean 'minimum'?",
        header="item\ttype\tminimun",
    )


def test_structurally_missing_against_a_loop():
    rng = np.random.default_rng(5)
    n = 400
    pick = lambda *codes: rng.choice(np.array([*codes, None], dtype=object), n)  # noqa: E731
    frame = pd.DataFrame(
        {
            "smoking": pick("never", "former", "now"),
            "ever": pick("0", "1"),
            "crp": rng.normal(size=n),
            "cigarettes": 1.0,
            "pregnancies": 2.0,
            "blood group": pick("A", "O"),
        }
    )
    sex = rng.integers(0, 3, n)
    expected = np.zeros((n, 6), dtype=bool)
    for i in range(n):
        smoking, ever = frame["smoking"][i], frame["ever"][i]
        not_ever = sex[i] == 1
        expected[i] = [False, False, smoking == "never", sex[i] == 1 or not_ever or ever == "0", not_ever, False]
    found = structurally_missing(Dictionary(FULL.rows[:8]), frame, sex)
    assert found.dtype == bool
    assert (found == expected).all()
    assert 0.1 < found.mean() < 0.5


def test_structurally_missing_passes_down_chains_whose_gate_is_empty():
    chain = Dictionary(
        (
            Item("c", "count", asked_if=(("b", ("1",)),)),
            Item("b", "binary", categories=("0", "1"), asked_if=(("a", ("1",)),)),
            Item("a", "binary", categories=("0", "1")),
        )
    )
    frame = {"a": ["0", "1", "1", None], "b": [None, None, "0", None], "c": [np.nan] * 4}
    assert structurally_missing(chain, frame, np.ones(4)).tolist() == [
        [True, True, False],
        [False, False, False],
        [True, False, False],
        [False, False, False],
    ]


def test_items_above_the_level_are_ignored_and_those_that_need_them_are_named():
    rows = (
        Item("age", "continuous", role="age", level="open"),
        Item("smoking", "binary", categories=("0", "1"), level="standard"),
        Item("cigarettes", "count", asked_if=(("smoking", ("1",)),), level="standard"),
        Item("income", "count", level="strong"),
        Item("height", "continuous", level="open"),
    )
    whole = Dictionary(rows)
    assert at_level(whole, "strong", "d.tsv") == (whole, 0)
    left, above = at_level(whole, "open", "d.tsv")
    assert (left.names, above) == (("height",), 3)
    assert at_level(whole, "standard", "d.tsv")[0].names == ("smoking", "cigarettes", "height")
    torn = Dictionary((*rows, Item("brand", "nominal", asked_if=(("smoking", ("1",)),), level="open")))
    with pytest.raises(InputError, match=r"brand cannot do without smoking(?s:.*)d\.tsv, column level"):
        at_level(torn, "open", "d.tsv")
    ruled = Dictionary((*rows, Item("sum", "count", rules=(("=", ("income", "income")),), level="open")))
    with pytest.raises(InputError, match="sum cannot do without income"):
        at_level(ruled, "standard", "d.tsv")
    for level in ("strong", ""):  # without a level it is kept most closely
        kept = Dictionary((Item("age", "continuous", role="age", level=level), rows[-1]))
        with pytest.raises(InputError, match="the age is above the level of the release"):
            at_level(kept, "open", "d.tsv")


def test_an_item_without_a_level_is_kept_most_closely_and_named(tmp_path, caplog):
    names = [f"x{i}" for i in range(8)]
    text = "item\ttype\trole\tlevel\nheight\tcontinuous\t\topen\nbarcode\tnominal\tignore\t\n"
    some = read(tmp_path, text + "".join(f"{name}\tcount\t\t\n" for name in names))
    assert {some[name].level for name in names} == {"strong"}
    assert without_level(some) == names
    left, above = at_level(some, "standard", "d.tsv")
    assert (left.names, above) == (("height",), 8)
    assert "8 rows of the dictionary have no level" in caplog.text
    assert "left out: x0, x1, x2, x3, x4 and 3 more; fill in the column level" in caplog.text
    write_dictionary(tmp_path / "left.tsv", left)
    again = {row.name: row.level for row in read_dictionary(tmp_path / "left.tsv").rows if row.level_given}
    assert again == {"height": "open"} | dict.fromkeys(names, "strong")
    caplog.clear()
    assert at_level(some, "strong", "d.tsv") == (some, 0)
    assert "have no level" in caplog.text
    assert "left out" not in caplog.text


def test_a_dictionary_of_which_no_item_stays_is_refused():
    bare = Dictionary((Item("height", "continuous"), Item("weight", "continuous")))
    assert at_level(bare, "strong", "d.tsv")[0].names == ("height", "weight")
    with pytest.raises(InputError, match=r"no item is left: .*, 2 of them because they have no level") as caught:
        at_level(bare, "standard", "d.tsv")
    assert "fill in the column level" in caught.value.remedy
    closed = Dictionary((Item("height", "continuous", level="strong"),))
    with pytest.raises(InputError, match="no item is left"):
        at_level(closed, "open", "d.tsv")


def test_the_demo_gives_all_its_items_a_level():
    whole = demo_dictionary()
    assert without_level(whole) == []
    assert at_level(whole, "standard", "d.tsv") == (whole, 0)


def test_a_dictionary_for_others_has_neither_ignored_rows_nor_notes():
    rows = (
        Item("height", "continuous", note="check: cm?", consent=(("use", ("yes",)),)),
        Item("barcode", "nominal", role="ignore"),
    )
    assert for_release(Dictionary(rows)).rows == (Item("height", "continuous"),)
