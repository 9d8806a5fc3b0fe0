"""The one form of measures: numbers, verdicts at the edges of goals, names in both languages, the user's own goals."""

import json
import math

import numpy as np
import pytest

from pseudocohort.errors import InputError
from pseudocohort.measures import catalogue as book
from pseudocohort.measures.line import TOO_FEW, by_key, content_digest, load_lines, measure, save_lines


def goal(of="value", at_least=None, at_most=None):
    return {"of": of, "at_least": at_least, "at_most": at_most}


def verdict(criterion, *given, **more):
    return book.verdict(measure("x", *given, **more), criterion)


@pytest.mark.parametrize(
    ("value", "interval", "expected"),
    [
        (0.97, None, "within"),
        (1.03, (0.5, 2.0), "within"),
        (0.969, None, "beyond"),
        (0.969, (0.96, 0.9699), "beyond"),
        (0.969, (0.96, 0.97), "unclear"),
        (1.2, (1.03, 1.4), "unclear"),
        (1.2, (1.031, 1.4), "beyond"),
        (1.2, (math.nan, 1.4), "beyond"),
        (math.nan, (0.9, 1.1), "not measurable"),
        (None, None, "not measurable"),
    ],
)
def test_a_value_between_two_bounds(value, interval, expected):
    assert verdict(goal(at_least=0.97, at_most=1.03), value, interval=interval) == expected


def test_what_is_judged_is_the_ratio_the_z_or_the_gap_as_the_goal_says():
    assert verdict(goal("ratio", at_most=1.25), 9.0, floor=8.0, ratio=1.1) == "within"
    assert verdict(goal("ratio", at_most=1.25), 9.0, ratio=1.3, interval=(1.2, 1.4)) == "unclear"
    assert verdict(goal("ratio", at_most=1.25), 0.1) == "not measurable"
    assert verdict(goal("z", -4, 4), 0.5, z=-4.5, interval=(0, 1)) == "beyond"
    assert verdict(goal("gap", -0.07, 0.07), 0.93, floor=0.87) == "within"
    assert verdict(goal("gap", -0.07, 0.07), 0.97, floor=0.87) == "beyond"
    assert verdict(goal("gap", -0.07, 0.07), 0.97, floor=0.87, interval=(0.93, 1.0)) == "unclear"
    assert verdict(goal("gap", at_most=0.3), 0.5) == "not measurable"


def test_the_interval_of_a_gap_follows_from_z_which_knows_the_errors_of_both():
    narrow = {"floor": 0.0, "interval": (0.19, 0.21)}
    assert verdict(goal("gap", -0.07, 0.07), 0.2, **narrow) == "beyond"
    assert verdict(goal("gap", -0.07, 0.07), 0.2, z=2.0, **narrow) == "unclear"  # 0.2 - 1.96 x 0.1 = 0.004
    assert verdict(goal("gap", -0.07, 0.07), 0.2, z=4.0, **narrow) == "beyond"  # 0.2 - 1.96 x 0.05 = 0.102


def test_too_few_people_judge_nothing_and_no_goal_is_only_stated():
    few = measure("x", 5.0, ratio=5.0, people=39)
    assert (few["value"], few["reason"]) == (5.0, TOO_FEW)
    assert book.verdict(few, goal("ratio", at_most=1)) == "not measurable"
    assert verdict(goal("ratio", at_most=1), 5.0, ratio=5.0, people=40) == "beyond"
    assert verdict(None, 5.0) == "stated"


def test_a_line_is_plain_json_and_comes_back(tmp_path):
    line = measure("x", np.float32(0.5), floor=np.nan, interval=(np.float64(1), np.inf), n=np.int64(3), worst="bmi")
    assert line["floor"] is None
    assert line["interval"] is None
    assert line["details"] == {"n": 3, "worst": "bmi"}
    assert isinstance(line["details"]["n"], int)
    save_lines(tmp_path / "a.json", [line], cohorts={"real": 1})
    assert load_lines([tmp_path / "a.json"] * 2) == [line, line]
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["cohorts"] == {"real": 1}
    assert found["digest"] == content_digest(dict(reversed(found.items())))
    found["metrics"][0]["value"] = 0.4
    assert found["digest"] != content_digest(found)
    assert by_key([line, measure("x", 1, subject="part")]) == {"x": line}


def test_every_measure_has_both_names_a_known_group_and_a_goal_that_can_be_met():
    assert book.catalogue()
    for key, entry in book.catalogue().items():
        assert set(entry) <= {"group", "en", "ja", "goal", "headline", "theory", "note"}, key
        assert entry["group"] in book.GROUPS, key
        assert all(entry[language].strip() for language in book.LANGUAGES), key
        assert any(ord(letter) > 0x3000 for letter in entry["ja"]), f"{key}: not Japanese"
        assert set(entry.get("note", dict.fromkeys(book.LANGUAGES))) == set(book.LANGUAGES), key
        if "goal" in entry:
            found = book.goal_of(key)
            assert found["of"] in book.OF, key
            assert set(entry["goal"]) <= {"of", "at_least", "at_most"}, key
            assert found["at_least"] is not None or found["at_most"] is not None, key
            assert book.goal_text(found, "en"), key
    for reason, texts in book.reasons().items():
        assert set(texts) == set(book.LANGUAGES), reason


def test_notes_of_both_languages_tell_the_same_details():
    from string import Formatter

    for key, entry in book.catalogue().items():
        fields = [{f for _, f, _, _ in Formatter().parse(text) if f} for text in entry.get("note", {}).values()]
        assert all(found == fields[0] for found in fields), key


def example(monkeypatch, **entry):
    known = {"a": {"group": "items", "en": "measure {subject}", "ja": "指標 {subject}"} | entry}
    monkeypatch.setattr(book, "catalogue", lambda: known)


def test_goals_of_the_configuration_replace_the_written_ones(monkeypatch):
    example(monkeypatch, goal={"of": "ratio", "at_most": 1.25}, headline=True)
    line = measure("a", 1.0, ratio=1.3)
    assert [book.judged([line], goals)[0]["verdict"] for goals in (None, {"a": {"at_most": 1.4}}, {"a": None})] == [
        "beyond",
        "within",
        "stated",
    ]
    stricter = book.judged([measure("a", 1.0, ratio=0.5)], {"a": {"at_least": 0.9}})[0]
    assert (stricter["verdict"], stricter["goal"]) == ("beyond", "R ≥ 0.9")


def test_a_wrong_goal_of_the_configuration_is_an_error_that_names_the_nearest_key(monkeypatch):
    example(monkeypatch)
    with pytest.raises(InputError, match=r"no measure is called `b`(?s:.*)goals\.b"):
        book.check_goals({"b": None})
    with pytest.raises(InputError, match="at_least 2 is above at_most 1"):
        book.check_goals({"a": {"at_least": 2, "at_most": 1}})
    book.check_goals({"a": {"at_most": 1}})


def test_names_and_notes(monkeypatch):
    note = {"en": "theory {theory:.2f}, worst {worst}", "ja": "理論値 {theory:.2f}、最悪 {worst}"}
    example(monkeypatch, note=note, headline=True)
    whole = measure("a", 1.0, subject="blood", theory=0.1234, worst="bmi")
    assert book.name_of(whole, "ja") == "指標 blood"
    assert book.note_of(whole, "en") == "theory 0.12, worst bmi"
    assert book.note_of(measure("a", 1.0, theory=np.nan, worst="bmi"), "en") == "theory –, worst bmi"
    assert book.note_of(measure("a", 1.0), "en") == ""
    assert book.note_of(measure("a", 1.0, people=3, theory=1, worst="x"), "ja").endswith("; 理論値 1.00、最悪 x")
    assert book.judged([whole])[0]["headline"] is False
    assert book.judged([measure("a", 1.0)])[0]["headline"] is True


@pytest.mark.parametrize(
    ("criterion", "text"),
    [
        (goal("ratio", at_most=1.25), "R ≤ 1.25"),
        (goal(at_least=0.95, at_most=1.05), "0.95 to 1.05"),
        (goal(at_least=0, at_most=0), "0"),
        (goal("gap", at_most=0.3), "≤ floor +0.3"),
        (goal("gap", -0.07, 0.07), "floor ± 0.07"),
        (goal("z", at_least=-4), "z ≥ -4"),
        (None, ""),
    ],
)
def test_goals_in_words(criterion, text):
    assert book.goal_text(criterion, "en") == text
