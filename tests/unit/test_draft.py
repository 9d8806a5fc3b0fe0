"""The draft of a dictionary, judged on tables that nobody made for it and on made ones whose truth is known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from draft_tables import coded_survey, japanese_health_check
from pseudocohort.cohort.dictionary import (
    Dictionary,
    broken_rules,
    draft_dictionary,
    read_dictionary,
    write_dictionary,
)
from pseudocohort.cohort.draft_columns import column_of, group_of
from pseudocohort.cohort.phenotypes import import_phenotypes
from pseudocohort.cohort.tables import read_table

SHARED = Path(__file__).parents[2].parent / "shared/data"
TRUTH = read_table(Path(__file__).parents[1] / "data/draft_truth.tsv")
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the folder shared/data is not beside the project")


def made_table(n=1500, seed=3):
    rng = np.random.default_rng(seed)
    sex = rng.integers(1, 3, n)
    smoking = rng.choice(["Never", "Former", "Current"], n, p=[0.5, 0.3, 0.2])
    crp = np.exp(rng.normal(-2, 1, n)).round(2)
    table = pd.DataFrame(
        {
            "ID": [f"P{i:05d}" for i in range(n)],
            "Age": rng.integers(20, 90, n),
            "sex": sex,
            "crp": np.where(crp < 0.05, "<0.05", crp.astype(str)),
            "lead": np.maximum(np.exp(rng.normal(0, 0.5, n)), 0.5).round(3),
            "smoking": smoking,
            "per_day": np.where(smoking == "Never", "", rng.poisson(9, n).astype(str)),
            "psa": np.where(sex == 1, rng.gamma(2, 1, n).round(1).astype(str), "NA"),
            "dipstick": rng.choice(["-", "±", "1+", "2+"], n),
            "drinking": rng.choice(["時々", "ほとんどない", "毎日"], n),
            "band": rng.choice(["10-19", "<10", "20+"], n),
            "blood": rng.choice(["A", "B", "O", "AB"], n),
            "stroke": rng.choice(["No", "Yes"], n, p=[0.97, 0.03]),
            "coded": rng.integers(1, 3, n),
            "pain": rng.integers(1, 6, n),
            "siblings": rng.poisson(1.5, n),
            "constant": 1,
            "visit": "2019-04-01",
            "remark": [f"text {i}" for i in range(n)],
            "score": rng.normal(size=n),
            "not a name": rng.normal(size=n).round(1),
        }
    )
    table.loc[table.index[:5], "visit"] = "2020-05-06"
    return table


def test_draft_knows_the_kinds_of_items(tmp_path):
    d = draft_dictionary(made_table())
    write_dictionary(tmp_path / "d.tsv", d)
    assert read_dictionary(tmp_path / "d.tsv") == d
    rows = {r.name: r for r in d.rows}
    assert [r.name for r in d.rows if r.role == "ignore"] == ["ID", "sex", "constant", "remark"]
    assert d.age.name == "Age"
    kinds = {
        "crp": "continuous",
        "lead": "continuous",
        "smoking": "ordinal",
        "per_day": "count",
        "psa": "continuous",
        "dipstick": "ordinal",
        "drinking": "ordinal",
        "band": "ordinal",
        "blood": "nominal",
        "stroke": "binary",
        "coded": "binary",
        "pain": "ordinal",
        "siblings": "count",
        "score": "continuous",
        "not a name": "continuous",
        "visit": "date",
    }
    assert {name: rows[name].type for name in kinds} == kinds
    assert rows["crp"].detection_limit == 0.05
    assert rows["crp"].decimals == 2
    assert rows["lead"].detection_limit == 0.5
    assert "check" in rows["lead"].note
    assert rows["score"].detection_limit is None
    assert rows["score"].decimals is None
    assert rows["score"].minimum is None
    assert rows["smoking"].categories == ("Never", "Former", "Current")
    assert rows["dipstick"].categories == ("-", "±", "1+", "2+")
    assert rows["drinking"].categories == ("ほとんどない", "時々", "毎日")
    assert rows["band"].categories == ("<10", "10-19", "20+")
    assert rows["stroke"].categories == ("No", "Yes")
    assert rows["stroke"].note == ""
    assert "check: the second code, 2, is taken as yes" in rows["coded"].note
    assert not rows["not a name"].trait
    assert {r.name: r.asked_if for r in d.rows if r.asked_if} == {
        "per_day": (("smoking", ("Former", "Current")),),
        "psa": (("sex", ("male",)),),
    }


def test_draft_proposes_the_strongest_level_for_whatever_it_does_not_ignore():
    rows = draft_dictionary(made_table()).rows
    assert {row.role for row in rows} == {"", "age", "ignore"}
    assert {(row.role != "ignore", row.level_given) for row in rows} == {(True, True), (False, False)}
    assert {row.level for row in rows} == {"strong"}


def test_draft_holds_no_observed_extreme():
    """A maximum in a released dictionary would be a person's value; the minimum is only ever 0."""
    for item in draft_dictionary(made_table()).rows:
        assert item.maximum is None
        assert item.minimum in (None, 0)


def test_draft_takes_no_chance_gap_for_a_rule():
    """200 half-missing items beside 5 random gates of 3 codes, 600 people: no condition is proposed."""
    rng = np.random.default_rng(8)
    table = pd.DataFrame(
        {f"g{i}": rng.choice(["a", "b", "c"], 600) for i in range(5)}
        | {f"x{i}": np.where(rng.random(600) < 0.5, np.nan, rng.normal(size=600)) for i in range(200)}
    )
    assert not any(row.asked_if for row in draft_dictionary(table).rows)


def told(row):
    """Type or role, conditions and rules of a row, as they are written."""
    return (
        row.role or row.type,
        ";".join(f"{gate}=" + "|".join(codes) for gate, codes in row.asked_if),
        "; ".join(f"{sign} " + " + ".join(names) for sign, names in row.rules),
    )


@needs_shared
@pytest.mark.parametrize("name", sorted(set(TRUTH["table"])))
def test_draft_of_real_tables_is_right_for_nearly_all_items(name, tmp_path):
    """Types given by reading the tables; where two are defensible (a score, a rating that counts) both stand."""
    truth = TRUTH[TRUTH["table"] == name].set_index("item")
    dictionary = draft_dictionary(read_table(SHARED / name))
    rows = {row.name: row for row in dictionary.rows}
    assert list(rows) == truth.index.tolist()
    wrong = [item for item, row in rows.items() if (row.role or row.type) not in truth.loc[item, "types"].split("|")]
    assert len(wrong) <= 0.05 * len(rows), wrong
    grouped = truth.index[truth["group"] != ""]
    assert np.mean([rows[item].group == truth.loc[item, "group"] for item in grouped]) >= 0.95
    for item, row in rows.items():
        if truth.loc[item, "asked_if"] or truth.loc[item, "rule"]:
            assert told(row)[1:] == (truth.loc[item, "asked_if"], truth.loc[item, "rule"])
        elif name != "metabolome/MTBLS92.xlsx":  # where what was missing goes by series
            assert told(row)[1:] == ("", "")
        assert not row.missing_codes  # none of these tables has any
    write_dictionary(tmp_path / "d.tsv", dictionary)
    assert read_dictionary(tmp_path / "d.tsv") == dictionary


@pytest.mark.parametrize("made", [japanese_health_check, coded_survey])
def test_draft_of_made_tables(made, tmp_path):
    table, truth = made()
    dictionary = draft_dictionary(table)
    rows = {row.name: row for row in dictionary.rows}
    wrong = [name for name, row in rows.items() if (row.role or row.type) not in truth[name].types.split("|")]
    assert len(wrong) <= 0.05 * len(rows), wrong
    coded = {name: set(dict(row.missing_codes)) for name, row in rows.items() if row.missing_codes}
    assert coded == {name: set(t.codes) for name, t in truth.items() if t.codes}
    reasons = [
        (name, code, dict(rows[name].missing_codes)[code], reason)
        for name, t in truth.items()
        for code, reason in t.codes.items()
        if reason != "*"
    ]
    assert all(found == reason for _, _, found, reason in reasons), reasons
    assert {n: told(row)[2] for n, row in rows.items() if row.rules} == {n: t.rule for n, t in truth.items() if t.rule}
    assert {n: told(row)[1] for n, row in rows.items() if row.asked_if} == {
        n: t.asked_if for n, t in truth.items() if t.asked_if
    }
    for row in rows.values():
        if row.missing_codes or row.rules:
            assert "check: " in row.note
    write_dictionary(tmp_path / "d.tsv", dictionary)
    assert read_dictionary(tmp_path / "d.tsv") == dictionary


@pytest.mark.parametrize("made", [japanese_health_check, coded_survey])
def test_what_is_drafted_can_be_imported(made, tmp_path):
    table, _ = made()
    dictionary = draft_dictionary(table)
    sex_column = "sex" if "sex" in table else "性別"
    people = pd.DataFrame(
        {
            "person": [f"p{i}" for i in range(len(table))],
            "sex": table[sex_column].map({"1": 1, "2": 2, "男": 1, "女": 2}).astype("int8"),
        }
    )
    table.insert(0, "person", people["person"])
    table.to_csv(tmp_path / "t.csv", index=False)
    frame, report = import_phenotypes(tmp_path / "t.csv", dictionary, people)
    assert not broken_rules(dictionary, frame).any()
    assert frame.columns.tolist()[-len(dictionary.reason_columns) :] == list(dictionary.reason_columns)
    assert sum(report["missing_by_reason"].get("cigs_per_day", {"not asked": 2000}).values()) > 1900


def test_draft_takes_rare_answers_and_tails_for_what_they_are():
    rng = np.random.default_rng(9)
    n = 2000
    table = pd.DataFrame(
        {
            "children": np.append(rng.poisson(1.2, n - 1), 9).astype(str),  # one large family, no code
            "bp_top": np.append(rng.normal(120, 10, n - 1).round(), 999),  # one 999 may be an error: left to the user
            "intensity": np.exp(rng.normal(12, 1, n)).round(),
            "change": rng.integers(-3, 4, n),
            "loss": -rng.integers(1, 9, n),
            "item_1": rng.choice([1, 2, 3, 4, 5], n),
            "item_2": rng.choice([1, 2, 3, 4, 5], n),
            "item_3": rng.choice([1, 2, 3, 4, 5], n),
            "item_4": rng.choice([1, 2, 4, 5], n),
            "done": rng.choice(["done", "not done"], n),
            "age_at_menarche": rng.integers(9, 17, n),
            "agreement": rng.choice(["x;y", "z"], n),
            "mixed": np.where(rng.random(n) < 0.3, "ND", rng.normal(5, 1, n).round(2).astype(str)),
            "remark": np.where(rng.random(n) < 0.03, "broken tube", rng.normal(5, 1, n).round(2).astype(str)),
        }
    )
    rows = {row.name: row for row in draft_dictionary(table).rows}
    kinds = {
        "children": "count",
        "bp_top": "continuous",
        "intensity": "continuous",
        "change": "ordinal",
        "loss": "continuous",
        "item_4": "ordinal",
        "done": "binary",
        "age_at_menarche": "continuous|count",
        "mixed": "continuous",
        "remark": "continuous",
    }
    assert {n: rows[n].type for n, kind in kinds.items() if rows[n].type not in kind.split("|")} == {}
    assert rows["mixed"].missing_codes == (("ND", "not measured"),)
    assert "fill in detection_limit" in rows["mixed"].note
    assert rows["remark"].missing_codes == (("broken tube", "unknown"),)
    assert all(not rows[name].missing_codes for name in kinds if name not in ("mixed", "remark"))
    assert rows["agreement"].role == "ignore"


def test_what_tells_who_somebody_is_is_left_out():
    rng = np.random.default_rng(12)
    n = 60
    far = rng.choice(10**9, n, replace=False) + 11
    day = np.datetime64("1950-01-01") + rng.integers(0, 9000, n)
    compact = [str(d).replace("-", "") for d in day]
    ignored = {
        "カルテ": far,
        "保険証番号": far,
        "chart_no": far,
        "card": far,
        "code_a": [f"{v:010d}" for v in far // 100],
        "記号": [f"{v:04d}" for v in rng.integers(1, 3000, n)],
        "生年月日": day,
        "DOB": day,
        "birth": compact,
        "visit": compact,
        "受診": [f"平成{y}年{m}月3日" for y, m in rng.integers(1, 12, (n, 2))],
        "採血": [f"H{y}.{m}.3" for y, m in rng.integers(1, 12, (n, 2))],
    }
    kept = {
        "area": far,
        "month": [f"{v:02d}" for v in rng.integers(1, 6, n)],
        "births": rng.poisson(1, n),
        "birth_weight": rng.normal(3000, 400, n).round(-1),
        "exhaled_no": rng.gamma(4, 5, n).round(3),
        "受診日": day,
    }
    rows = {row.name: row for row in draft_dictionary(pd.DataFrame(ignored | kept).astype(str)).rows}
    assert [name for name, row in rows.items() if row.role == "ignore"] == list(ignored)
    assert all("check: " in rows[name].note for name in ignored)
    assert "write YYYY-MM-DD" in rows["visit"].note
    assert "write YYYY-MM-DD" in rows["受診"].note
    assert "another whole number; an id?" in rows["area"].note
    assert rows["area"].type == "continuous"


def test_the_draft_holds_no_cell_of_single_people(tmp_path):
    rng = np.random.default_rng(13)
    n = 400
    weight = rng.normal(60, 9, n).round(1).astype(str)
    weight[:3] = ["see Tanaka", "broke scale", "broke scale"]
    score = rng.integers(1, 6, n).astype(str)
    score[5] = "asked his wife"
    lead = rng.normal(5, 1, n).round(2).astype(str)
    lead[:9] = "clotted"
    city = rng.choice(["Osaka", "Kobe"], n)
    city[:4] = ["Nara", "Nara", "Nara", "Uji"]
    rows = draft_dictionary(pd.DataFrame({"weight": weight, "score": score, "lead": lead, "city": city})).rows
    rows = {row.name: row for row in rows}
    assert rows["weight"].missing_codes == rows["score"].missing_codes == ()
    assert (rows["weight"].type, rows["score"].type) == ("continuous", "ordinal")
    assert "check: 3 cells are not numbers" in rows["weight"].note
    assert "check: 1 cells are not numbers" in rows["score"].note
    assert rows["lead"].missing_codes == (("clotted", "unknown"),)
    assert set(rows["city"].categories) == {"Osaka", "Kobe", "Nara", "Uji"}
    assert "check: 2 categories of fewer than 5 people; merge or remove them before release" in rows["city"].note
    write_dictionary(tmp_path / "d.tsv", Dictionary(tuple(rows.values())))
    text = (tmp_path / "d.tsv").read_text(encoding="utf-8")
    assert not any(word in text for word in ("Tanaka", "broke", "wife"))


def test_draft_finds_sums_and_orders_and_invents_none():
    rng = np.random.default_rng(10)
    n = 400
    a, b, c = rng.normal(10, 2, (3, n)).round(1)
    start = np.datetime64("2020-01-01") + rng.integers(0, 300, n)
    few = np.where(np.arange(n) < 30, 1.0, np.nan)
    table = pd.DataFrame(
        {
            "fat": a,
            "lean": b,
            "bone": c,
            "mass": (a + b + c).round(1),
            "nearly": (a + b + 0.5 * (rng.random(n) < 0.02)).round(1),
            "u": few,
            "v": few * np.arange(n),
            "w": few + few * np.arange(n),
            "temp_min": a,
            "temp_max": (a + np.abs(rng.normal(0, 1, n))).round(1),
            "flow_min": a - 100,
            "flow_max": a,
            "start_date": start.astype(str),
            "end_date": (start + rng.integers(0, 50, n)).astype(str),
        }
    )
    rows = draft_dictionary(table).rows
    assert {row.name: told(row)[2] for row in rows if row.rules} == {
        "mass": "= fat + lean + bone",
        "temp_min": "<= temp_max",
        "start_date": "<= end_date",
    }


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ("1 2 3 4 5 8 9", "8 9"),
        ("1 2 3 4 5 6 7", ""),
        ("1 2 3 4 5 6 7 77 99", "77 99"),
        ("0 1 2 3 4 5 6 7 8 9", ""),
        ("1 2 7 9", "7 9"),
        ("1 9", ""),
        ("-1 0 1", ""),
        ("-9 -8 -7 0 1 2", "-9 -8 -7"),
        ("-3 -2 -1 0 1 2 3", ""),
        ("1 2 3 888", "888"),
        ("0.5 1.5 2.5 3.1 99.9", "99.9"),
        ("80 90 97 98 99", ""),
        ("1 2 3 Refused", "Refused"),
        ("1 2 3 不明 測定せず", "不明 測定せず"),
        ("yes no Refused", "Refused"),
        ("A B O AB unknown", "unknown"),
        ("never often daily -9 99", "-9 99"),
        ("low high 3", ""),
    ],
)
def test_codes_of_missing(values, codes):
    cells = pd.Series(values.split() * 30, dtype="str")
    assert {code for code, _ in column_of("q", cells).codes} == set(codes.split())


def test_groups_and_units_come_from_names():
    names = {
        "blood chemistry": "HbA1c glucose LDL 総コレステロール hsCRP AST(GOT) Fasting_glucose serum_creatinine 尿酸 TG",
        "physiology": "SBP BMI height 身長 身長(cm) 収縮期血圧 grip_strength weight_kg heartRate 握力_右 FEV1",
        "metabolome": "valine Leucine Cer(d18:1/17:0) LysoPC(14:0) PC-aa-C34:1 アラニン acetylcarnitine",
        "": "diabetes income smoking agree1 trust3 q12 income_total children 職業",
    }
    found = {name: group_of(name) for listed in names.values() for name in listed.split()}
    assert found == {name: group for group, listed in names.items() for name in listed.split()}
    rng = np.random.default_rng(1)
    units = {"weight_kg": "kg", "身長(cm)": "cm", "HbA1c [%]": "%", "ldl": "", "SBP (mmHg)": "mmHg"}
    rows = draft_dictionary(pd.DataFrame({name: rng.normal(100, 9, 300).round(1) for name in units})).rows
    assert {row.name: row.unit for row in rows} == units


def test_draft_of_a_large_questionnaire_is_quick_and_of_empty_columns_is_whole():
    """7,400 x 177 as asked for, and every column empty or constant but one."""
    rng = np.random.default_rng(2)
    table = pd.DataFrame({f"q{i}": rng.integers(1, 6, 7400) for i in range(177)}).astype(str)
    table[rng.random(table.shape) < 0.1] = ""
    assert {row.type for row in draft_dictionary(table).rows} == {"ordinal"}
    table = pd.DataFrame({"a": [""] * 5, "b": ["1"] * 5, "c": ["1", "2", "", "1", "1"]})
    assert [row.role for row in draft_dictionary(table).rows] == ["ignore", "ignore", ""]
