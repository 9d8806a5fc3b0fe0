"""People, families and holdout: properties of the holdout, a union-find oracle, each error by its text."""

import logging

import numpy as np
import pandas as pd
import pytest

from pseudocohort.cohort.kinship import LINEAGE
from pseudocohort.cohort.people import families, holdout_parts, make_people, read_sample_sheet, read_withdrawals
from pseudocohort.errors import InputError


def sheet_of(persons, **columns):
    empty = dict.fromkeys(("family", "father", "mother", "stratum"), "")
    frame = pd.DataFrame({"person": list(persons), **empty}, dtype="str")
    frame["sex"] = np.int8(0)
    for name, values in columns.items():
        frame[name] = pd.Series(list(values), dtype=frame[name].dtype)
    frame.index = pd.RangeIndex(2, len(frame) + 2, name="line")
    return frame


def random_cohort(seed, n=300, strata=("north", "south", "west")):
    """A sheet of trios, sibs with an absent father, labelled households and singletons over strata."""
    rng = np.random.default_rng(seed)
    sheet = sheet_of([f"p{i}" for i in rng.permutation(n)], sex=rng.integers(1, 3, n))
    sheet["stratum"] = rng.choice(strata, n)
    person, sex = sheet["person"].to_numpy(), sheet["sex"].to_numpy()
    for i in range(n // 3):  # parents come before their children in a hidden order
        older = rng.integers(n // 3, n, 2)
        for j in older:
            if rng.random() < 0.3:
                sheet.iloc[i, sheet.columns.get_loc("father" if sex[j] == 1 else "mother")] = person[j]
        if rng.random() < 0.1:
            sheet.iloc[i, sheet.columns.get_loc("father")] = f"absent{rng.integers(8)}"
    labels = rng.choice([f"h{i}" for i in range(40)], n)
    sheet["family"] = np.where(rng.random(n) < 0.2, labels, "")
    return sheet


def union_find(sheet):
    """The families by a plain loop: frozensets of persons."""
    root = {}

    def find(x):
        while root.setdefault(x, x) != x:
            x = root[x]
        return x

    for row in sheet.itertuples():
        find(("p", row.person))
        for other in (
            [("p", row.father)] * bool(row.father)
            + [("p", row.mother)] * bool(row.mother)
            + [("label", row.family)] * bool(row.family)
        ):
            root[find(("p", row.person))] = find(other)
    groups = {}
    for person in sheet["person"]:
        groups.setdefault(find(("p", person)), set()).add(person)
    return {frozenset(g) for g in groups.values()}


@pytest.mark.parametrize("seed", range(5))
def test_families_are_those_of_union_find(seed):
    sheet = random_cohort(seed)
    found = sheet.groupby(families(sheet))["person"].agg(frozenset)
    assert set(found) == union_find(sheet)
    assert len(found) < len(sheet) - 50


@pytest.mark.parametrize("seed", range(6))
def test_holdout_is_whole_families_of_equal_halves(seed):
    sheet = random_cohort(seed, n=400)
    people, report = make_people(list(sheet["person"]), sheet, set(), 0.2, seed)
    assert people["person"].tolist() == sheet["person"].tolist()
    assert (people.groupby("family")["part"].nunique() == 1).all()
    sizes, largest = people["part"].value_counts(), people["family"].value_counts().max()
    assert abs(sizes["A"] - sizes["B"]) <= largest
    assert 80 - largest <= sizes["A"] + sizes["B"] <= 80
    assert report["parts"] == {k: int(sizes[k]) for k in ("train", "A", "B")}
    for _, group in people.groupby("stratum"):  # families span strata here, so stratification is only near
        assert abs((group["part"] != "train").mean() - 0.2) < 0.12


def test_holdout_of_unrelated_people_is_exact_in_every_stratum():
    persons = [f"p{i}" for i in range(1000)]
    strata = ["a"] * 500 + ["b"] * 300 + ["c"] * 200
    people, _ = make_people(persons, sheet_of(persons, stratum=strata), set(), 0.2, 1)
    counts = pd.crosstab(people["stratum"], people["part"])
    assert counts[["A", "B", "train"]].to_numpy().tolist() == [[50, 50, 400], [30, 30, 240], [20, 20, 160]]


def test_holdout_depends_on_people_and_seed_and_not_on_rows():
    sheet = random_cohort(1)
    people, _ = make_people(list(sheet["person"]), sheet, set(), 0.2, 4)
    again, _ = make_people(list(sheet["person"]), sheet, set(), 0.2, 4)
    assert people.equals(again)
    mixed = sheet.sample(frac=1, random_state=2)
    other, _ = make_people(list(mixed["person"].sample(frac=1, random_state=3)), mixed, set(), 0.2, 4)
    both = people.merge(other, on="person", suffixes=("", "_other"))
    for column in ("family", "part", "father", "stratum", "unrelated"):
        assert (both[column] == both[f"{column}_other"]).all()
    moved, _ = make_people(list(sheet["person"]), sheet, set(), 0.2, 5)
    assert (moved["part"] != people["part"]).mean() > 0.1


def test_holdout_is_fair_over_seeds():
    """Each of 100 singletons is in A in about 10 % of 300 draws, and in B; 5 sigma: false-alarm rate about 1e-4."""
    people, _ = make_people([f"p{i}" for i in range(100)], None, set(), 0.2, 0)
    parts = np.array([holdout_parts(people, 0.2, seed) for seed in range(300)])
    for half in "AB":
        assert ((parts == half).sum(axis=1) == 10).all()
        assert np.abs((parts == half).sum(axis=0) - 30).max() < 5 * np.sqrt(300 * 0.1 * 0.9)


def test_people_table_and_withdrawals(caplog):
    persons = [f"p{i}" for i in range(60)]
    sheet = sheet_of(persons, sex=[1, 2] * 30)
    sheet.loc[sheet.index[4], ["father", "mother"]] = ["p0", "p1"]
    sheet.loc[sheet.index[5], ["father", "mother"]] = ["p0", "gone"]
    sheet.loc[sheet.index[7], "mother"] = "gone"
    with caplog.at_level(logging.WARNING, "pseudocohort"):
        people, report = make_people(persons[::-1], sheet, {"p0", "nobody"}, 0.2, 1)
    assert "1 of 2 withdrawn ids are neither in the genotypes nor in the sample sheet" in caplog.text
    assert "nobody" not in caplog.text
    named = ["person", "sex", "family", "father", "mother", "stratum", "part", "unrelated"]
    assert people.columns.tolist() == [*named, *LINEAGE]
    assert people["person"].tolist() == [p for p in persons[::-1] if p != "p0"]
    own = people.set_index("person")
    assert own.loc[["p4", "p5"], "father"].tolist() == ["", ""]
    assert own.loc["p4", "mother"] == "p1"
    assert own.loc["p5", "mother"] == ""
    assert own.loc[["p1", "p4", "p5", "p7"], "family"].nunique() == 1
    assert own["family"].nunique() == 59 - 3
    assert (own["family"] != "").all()
    assert set(own["stratum"]) == {"all"}
    assert people["sex"].dtype == np.int8
    assert report["withdrawn"] == 1
    assert report["withdrawn_unknown"] == 1
    assert report["parents_outside_the_cohort"] == 4
    assert report["largest_family"] == 4
    assert report["unrelated_founders"] == people["unrelated"].sum() > 40
    assert not (people == "p0").any().any()


def assert_refused(*texts, **changes):
    persons = [f"secret{i}" for i in range(60)]
    given = {"genotype_people": persons, "sheet": sheet_of(persons), "withdrawn": set(), "holdout": 0.2, "seed": 1}
    with pytest.raises(InputError) as caught:
        make_people(**(given | changes))
    for text in texts:
        assert text in str(caught.value)
    assert "secret" not in str(caught.value)


def test_people_that_do_not_match_are_refused_or_dropped():
    persons = [f"secret{i}" for i in range(60)]
    fewer = sheet_of(persons[5:])
    assert_refused(
        "5 of 60 people of the genotypes are not in the sample sheet",
        "samples 1, 2, 3 and 2 more",
        "unmatched: drop",
        sheet=fewer,
    )
    assert_refused(
        "2 of 62 people of the sample sheet are not in the genotypes",
        "sample sheet, lines 62 and 63",
        sheet=sheet_of([*persons, "secret-x", "secret-y"]),
    )
    assert_refused("name the column that holds the ids", sheet=sheet_of(f"other{p}" for p in persons), unmatched="drop")
    people, report = make_people(persons, sheet_of([*persons[5:], "secret-x"]), set(), 0.2, 1, unmatched="drop")
    assert people["person"].tolist() == persons[5:]
    assert (report["only_in_genotypes"], report["only_in_sample_sheet"]) == (5, 1)
    people, report = make_people(persons, fewer, set(persons[:5]), 0.2, 1)
    assert (len(people), report["only_in_genotypes"], report["withdrawn"]) == (55, 0, 5)


def test_impossible_people_are_refused():
    persons = [f"secret{i}" for i in range(60)]
    assert_refused(
        "2 person ids stand more than once",
        "the genotypes, samples 61 and 62",
        "every person once",
        genotype_people=[*persons, *persons[:2]],
    )
    assert_refused(
        "the cohort has 40 people", "at least 50", genotype_people=persons[:40], sheet=sheet_of(persons[:40])
    )
    assert_refused("the cohort has 45 people", withdrawn=set(persons[:15]))
    assert_refused(
        "no holdout of 20% can be drawn by family: 1 families, the largest with 60 of 60 people",
        sheet=sheet_of(persons, family=["one"] * 60),
    )


def test_a_stratum_needs_a_father_and_a_mother_outside_the_holdout():
    persons, sex, stratum = [f"secret{i}" for i in range(60)], [1, 2] * 30, ["north"] * 60
    for alone in ([1] * 8, [2], [0]):
        some = sex[: 60 - len(alone)] + alone
        sheet = sheet_of(persons, sex=some, stratum=stratum[: 60 - len(alone)] + ["island"] * len(alone))
        assert_refused(
            "stratum island has", "join small strata", "leave the column stratum out", sheet=sheet, holdout=0.1
        )
    assert_refused(
        "stratum monks has 27 males and 0 females outside the holdout, and 1 more strata lack",
        sheet=sheet_of(persons, sex=[1] * 30 + [2] * 30, stratum=["monks"] * 30 + ["nuns"] * 30),
        holdout=0.1,
    )
    for sex, word in ((1, "female"), (2, "male")):
        text = f"nobody of 54 people outside the holdout is {word}"
        for strata in (stratum, ["north", "south"] * 30, None):
            sheet = sheet_of(persons, sex=[sex] * 60, **({"stratum": strata} if strata else {}))
            assert_refused(
                text, "column sex", "if all are of one sex leave it out, with X and Y", sheet=sheet, holdout=0.1
            )
    make_people(persons, sheet_of(persons, sex=[0] * 60), set(), 0.1, 1)  # as that remedy has it
    some = [1, 2] * 25 + [1] * 5 + [0] * 5  # those whose sex is unknown can be mothers
    make_people(persons, sheet_of(persons, sex=some, stratum=stratum[:50] + ["island"] * 10), set(), 0.1, 1)


def test_impossible_parents_are_refused():
    persons = [f"secret{i}" for i in range(60)]

    def with_parents(*links):
        sheet = sheet_of(persons, sex=[1, 2] * 30)
        for child, parent, column in links:
            sheet.loc[sheet.index[child], column] = persons[parent]
        return sheet

    assert_refused("1 people have themselves as father", "sample sheet, line 6", sheet=with_parents((4, 4, "father")))
    assert_refused("1 people have a father whose sex is female", "line 6", sheet=with_parents((4, 5, "father")))
    assert_refused(
        "2 people have a mother whose sex is male",
        "lines 6 and 7",
        sheet=with_parents((4, 2, "mother"), (5, 2, "mother")),
    )
    assert_refused(
        "3 people have themselves as an ancestor",
        "lines 2, 4 and 6",
        sheet=with_parents((0, 2, "father"), (2, 4, "father"), (4, 0, "father"), (6, 4, "father")),
    )
    unknown = with_parents((4, 6, "father"), (4, 6, "mother"))
    unknown["sex"] = np.int8(0)
    assert_refused("1 people have one person as father and mother", sheet=unknown)


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        (
            "s.csv",
            "person,sex,family,father,mother,stratum,more\na,1,f,,,north,x\nb,F,f,,NA,north,x\nc,NA,,a,b,south,x\n",
            None,
        ),
        (
            "s.psam",
            "#FID\tIID\tPAT\tMAT\tSEX\tSTRATUM\nf\ta\t0\t0\t1\tnorth\nf\tb\t0\t0\t2\tnorth\n0\tc\ta\tb\t0\tsouth\n",
            None,
        ),
        (
            "s.panel",
            "sample\tpop\tfam\tdad\tmum\tgender\t\t\n"
            "a\tnorth\tf\t\t\tmale\nb\tnorth\tf\t\t\tFemale\nc\tsouth\t\ta\tb\t\n",
            {"stratum": "pop", "family": "fam", "father": "dad", "mother": "mum"},
        ),
    ],
)
def test_sample_sheets_of_all_kinds(tmp_path, name, text, columns):
    (tmp_path / name).write_text(text)
    sheet = read_sample_sheet(tmp_path / name, columns)
    assert sheet[["person", "sex", "family", "father", "mother", "stratum"]].to_numpy().tolist() == [
        ["a", 1, "f", "", "", "north"],
        ["b", 2, "f", "", "", "north"],
        ["c", 0, "", "a", "b", "south"],
    ]
    assert sheet.index.tolist() == [2, 3, 4]


@pytest.mark.parametrize("mark", [" ", "\t"])
def test_fam_file_and_sheet_of_ids_only(tmp_path, mark):
    (tmp_path / "s.fam").write_text("f a 0 0 1 -9\nf c a 0 2 1\n".replace(" ", mark))
    sheet = read_sample_sheet(tmp_path / "s.fam")
    assert sheet[["person", "sex", "family", "father"]].to_numpy().tolist() == [["a", 1, "f", ""], ["c", 2, "f", "a"]]
    (tmp_path / "s.tsv").write_text("person\nx\ny\n")
    sheet = read_sample_sheet(tmp_path / "s.tsv")
    assert sheet["person"].tolist() == ["x", "y"]
    assert sheet["sex"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("text", "columns", "messages"),
    [
        ("person,sex\nsecret,1\nb,1\nsecret,2\n", None, ["1 person ids stand more than once", "line 4"]),
        (
            "person,sex\nsecret,1\nb,secret\nc,3\n",
            None,
            ["2 rows of s.csv have a sex that is not known", "lines 3 and 4", "male"],
        ),
        ("person,sex\nsecret,1\n,2\n", None, ["1 rows of s.csv have no person id", "line 3"]),
        ("persn,sex\nsecret,1\n", None, ["no column 'person'; the nearest is 'persn'"]),
        (
            "person,sexx\nsecret,1\n",
            {"sex": "sex"},
            ["no column 'sex'; the nearest is 'sexx'", "columns of the sample sheet"],
        ),
        ("person\nsecret\n", {"strata": "pop"}, ["unknown sample sheet column 'strata'; did you mean 'stratum'?"]),
    ],
)
def test_bad_sample_sheets_are_refused(tmp_path, text, columns, messages):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        read_sample_sheet(tmp_path / "s.csv", columns)
    for message in messages:
        assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_withdrawals(tmp_path):
    path = tmp_path / "w.txt"
    path.write_bytes(b'\xef\xbb\xbfperson,date\r\n# by letter\r\na,2020\r\n"b c"\r\n\r\nd # by phone\r\n')
    assert read_withdrawals(path) == {"a", "b c", "d"}
    path.write_text("# nobody\n")
    assert read_withdrawals(path) == set()
    path.write_text("person1\nperson\n")
    assert read_withdrawals(path) == {"person1", "person"}
    with pytest.raises(InputError, match="file not found"):
        read_withdrawals(tmp_path / "none.txt")
