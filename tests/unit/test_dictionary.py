"""The dictionary: read, write, rules, and the draft judged on tables that nobody made for it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pseudocohort.cohort.dictionary import (
    Dictionary,
    Item,
    draft_dictionary,
    read_dictionary,
    structurally_missing,
    write_dictionary,
)
from pseudocohort.cohort.tables import read_table
from pseudocohort.errors import InputError

TABLES = Path(__file__).parents[2].parent / "shared/data/health_tables"
HEADER = "item\ttype\trole\tminimum\tmaximum\tdetection_limit\tdecimals\tcategories\tasked_if\ttrait"

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
        ),
        Item("cigarettes", "count", "questionnaire", minimum=0, asked_if=(("smoking", ("former", "now")),)),
        Item("pregnancies", "count", asked_if=(("sex", ("female",)), ("ever", ("1",))), trait=False),
        Item("ever", "binary", categories=("0", "1"), asked_if=(("sex", ("female",)),)),
        Item("blood group", "nominal", categories=("A", "B", "AB", "O")),
        Item("barcode", "nominal", role="ignore", note="check: an id"),
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


def test_write_and_read_are_inverse(tmp_path):
    write_dictionary(tmp_path / "d.tsv", FULL)
    again = read_dictionary(tmp_path / "d.tsv")
    assert again == FULL
    assert again.names == ("crp", "smoking", "cigarettes", "pregnancies", "ever", "blood group")
    assert again.traits == ("crp", "smoking", "cigarettes", "ever")
    assert again.age.name == "age"
    assert again["crp"].detection_limit == 0.02
    assert again["age"].label_ja == "年齢"
    assert "barcode" not in again
    with pytest.raises(KeyError):
        again["barcode"]


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
        ([row(categories="1|2")], ["a continuous item has no categories"]),
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
    found = structurally_missing(FULL, frame, sex)
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
    assert [r.name for r in d.rows if r.role == "ignore"] == ["ID", "sex", "constant", "visit", "remark"]
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


C, K, B, O, N, IGNORE, AGE = "continuous", "count", "binary", "ordinal", "nominal", "ignore", "age"  # noqa: E741
# Types given by reading the tables; where two are defensible (a score, a rating that counts) both stand.
TRUTH = {
    "nhanes_nh432.csv": {
        IGNORE: "SEQN SEX",
        AGE: "AGE",
        N: "RACEETH",
        O: "EDUC SROH WTGOAL DIETQUAL FOODSEC PHQ9_CAT DEPRDIFF SNORE DENTAL SUNSCR",
        B: "INSURNOW NOINSUR DR_LOSE DR_EXER NOW_LOSE NOW_EXER WORK_V REC_V MENTALH SLPTROUB HOSPITAL EVERALC CIG100 "
        "AWAYWORK AWAYREST AWAYBAR EVERPREG",
        K: "VIGWK_D VIGREC_D PHQ9 DRINKS SMOKE30 FLOSS PREGS",
        C: "WEIGHT HEIGHT WAIST SBP DBP PULSE1 PULSE2 WBC PLATELET HSCRP ESTHT ESTWT SEDATE SLPWKDAY SLPWKEND WTINTPRP "
        "WTMECPRP",
    },
    "framingham.csv": {
        IGNORE: "subj_id male",
        AGE: "age",
        O: "education",
        K: "cigsPerDay",
        B: "currentSmoker BPMeds prevalentStroke prevalentHyp diabetes TenYearCHD",
        C: "totChol sysBP diaBP BMI heartRate glucose",
    },
    "support_1000.csv": {
        IGNORE: "subject sex",
        AGE: "age",
        N: "race dzgroup dzclass",
        O: "income disable",
        B: "hospdead death",
        f"{K} {C}": "edu scoma slos dtime tiss",
        f"{K} {O}": "adl comor",
        C: "meanbp wblc hrt resp temp pafi alb bili crea sod ph glucose bun urine charges",
    },
    "hbp_3024.csv": {
        IGNORE: "record sex",
        AGE: "age",
        N: "practice provider race insurance",
        O: "tobacco",
        B: "eth_hisp depr_diag statin bp_med acearb betab",
        K: "visits_1 visits_2",
        C: "income hsgrad height weight ldl sbp dbp",
    },
}


@pytest.mark.skipif(not TABLES.is_dir(), reason="the folder shared/data is not beside the project")
def test_draft_of_real_tables_is_right_for_nearly_all_items():
    right, wrong = 0, []
    for name, truth in TRUTH.items():
        rows = draft_dictionary(read_table(TABLES / name)).rows
        known = {item: kinds.split() for kinds, items in truth.items() for item in items.split()}
        assert {row.name for row in rows} == set(known)
        for row in rows:
            good = (row.role or row.type) in known[row.name]
            right += good
            wrong += [] if good else [f"{name}: {row.name} as {row.role or row.type}"]
    assert right / (right + len(wrong)) >= 0.95, wrong


@pytest.mark.skipif(not TABLES.is_dir(), reason="the folder shared/data is not beside the project")
def test_draft_finds_the_questions_asked_of_women():
    rows = draft_dictionary(read_table(TABLES / "nhanes_nh432.csv")).rows
    assert {r.name: r.asked_if for r in rows if r.asked_if} == {
        "EVERPREG": (("sex", ("female",)),),
        "PREGS": (("sex", ("female",)),),
    }
