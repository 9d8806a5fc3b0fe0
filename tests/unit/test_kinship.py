"""Known kin of the sample sheet: kinship by the usual recursion, largest sets by trying all, founders and codes."""

import itertools

import numpy as np
import pandas as pd
import pytest

from pseudocohort.cohort.kinship import LINEAGE, _related, unrelated
from pseudocohort.cohort.people import make_people
from pseudocohort.errors import InputError
from pseudocohort.genome.founders import founders_of
from pseudocohort.genome.pedigree import make_pedigree


def sheet_of(**links):
    """A sheet of name="father mother family"; `-` is unknown."""
    rows = [[name, *(w.replace("-", "") for w in (f"{text} - - -").split()[:3])] for name, text in links.items()]
    sheet = pd.DataFrame(rows, columns=["person", "father", "mother", "family"], dtype="str")
    return sheet.assign(sex=np.int8(0), stratum="")


def random_sheet(seed, n=60):
    """Families over several generations with half sibs, absent parents, inbreeding and labels."""
    rng = np.random.default_rng(seed)
    links = {}
    for i in range(n):
        older = [f"p{k}" for k in range(max(i - 25, 0), i)]
        father, mother = (
            rng.choice([k for k in older if int(k[1:]) % 2 == odd] or ["-"]) if rng.random() < 0.35 else "-"
            for odd in (0, 1)
        )
        if rng.random() < 0.15:
            father = f"absent{rng.integers(6)}"
        links[f"p{i}"] = f"{father} {mother} {rng.choice(['-'] * 12 + [f'f{k}' for k in range(14)])}"
    return sheet_of(**links).sample(frac=1, random_state=seed)


def kinship(sheet):
    """Kinship of everybody named in the sheet, by the usual recursion over (person, person)."""
    parents = {r.person: (r.father, r.mother) for r in sheet.itertuples()}
    depth, memory = {}, {}

    def age(x):
        if x not in depth:
            depth[x] = 1 + max((age(p) for p in parents.get(x, ()) if p), default=0)
        return depth[x]

    def phi(x, y):
        if not x or not y:
            return 0.0
        if (x, y) not in memory:
            if age(x) < age(y):
                memory[x, y] = phi(y, x)
            else:
                father, mother = parents.get(x, ("", ""))
                memory[x, y] = 0.5 * (1 + phi(father, mother)) if x == y else 0.5 * (phi(father, y) + phi(mother, y))
        return memory[x, y]

    return phi


def relations(sheet, person):
    """Who is kin to whom by kinship or label: bool (people, people), by loops."""
    phi, label = kinship(sheet), dict(zip(sheet["person"], sheet["family"], strict=True))
    named = {p for r in sheet.itertuples() for p in (r.father, r.mother)}
    nowhere = {r.person for r in sheet.itertuples() if not (r.father or r.mother or r.person in named) and r.family}
    return np.array(
        [[phi(a, b) > 0 or (label[a] == label[b] and bool({a, b} & nowhere)) for b in person] for a in person]
    )


@pytest.mark.parametrize("seed", range(12))
def test_no_two_are_kin_and_nobody_can_be_added(seed):
    sheet = random_sheet(seed)
    person = sheet["person"].sample(frac=0.8, random_state=seed)
    kin, taken = relations(sheet, person), unrelated(sheet, person)
    assert 60 < kin.sum() - len(kin) < 2000
    assert taken.dtype == bool
    assert not (kin[np.ix_(taken, taken)] & ~np.eye(taken.sum(), dtype=bool)).any()
    assert kin[:, taken].any(axis=1).all()
    mixed = np.random.default_rng(seed).permutation(len(person))
    again = unrelated(sheet.sample(frac=1, random_state=9), person.iloc[mixed])
    np.testing.assert_array_equal(again, taken[mixed])


def test_the_set_is_nearly_the_largest():
    """Against the largest set, by trying all: 95 % over 30 small sheets at least, and one short at most."""
    every = np.array(list(itertools.product((False, True), repeat=12)))
    sizes = []
    for seed in range(30):
        sheet = random_sheet(100 + seed, n=12)
        kin = relations(sheet, sheet["person"]) & ~np.eye(12, dtype=bool)
        free = ~((every @ kin) & every).any(axis=1)
        sizes.append((unrelated(sheet, sheet["person"]).sum(), every[free].sum(axis=1).max()))
    ours, best = np.array(sizes).T
    assert (ours <= best).all()
    assert (best - ours).max() <= 1
    assert ours.sum() >= 0.95 * best.sum()
    assert best.sum() < 0.9 * 30 * 12


def test_three_generations():
    family = {"gf1": "", "gm1": "", "gf2": "", "gm2": "", "f": "gf1 gm1", "m": "gf2 gm2", "c1": "f m", "c2": "f m"}
    sheet = sheet_of(**{k: " ".join((v or "- -", "F1")[:2]) for k, v in family.items()})
    np.testing.assert_array_equal(unrelated(sheet, sheet["person"]), [True] * 4 + [False] * 4)
    couple = sheet["person"].isin(["f", "m"])
    np.testing.assert_array_equal(unrelated(sheet, sheet["person"][couple]), [True, True])
    children = sheet["person"].isin(["c1", "c2"])
    np.testing.assert_array_equal(unrelated(sheet, sheet["person"][children]), [True, False])
    assert unrelated(sheet, sheet["person"][sheet["person"].isin(["gf1", "c1", "m"])]).sum() == 2


def test_absent_parents_and_labels():
    """Half sibs of an absent father; who neither names a parent nor is one is kin of all with the label."""
    sheet = sheet_of(
        a="gone -", b="gone -", c="- - H", d="- - H", e="- - K", g="- - K", h="x - K", i="- - K", x="", y="- z", w="- z"
    )
    taken = dict(zip(sheet["person"], unrelated(sheet, sheet["person"]), strict=True))
    assert taken == dict(a=True, b=False, c=True, d=False, e=True, g=False, h=False, i=False, x=True, w=True, y=False)


def test_whose_place_in_the_family_is_known_is_judged_by_it():
    """A couple, their son, and his wife, who is a parent too; a brother-in-law `u` of unknown place is kin of all."""
    family = dict(f="- - F", m="- - F", s="f m F", v="- - F", c="s v F", u="- - F")
    sheet = sheet_of(**family)
    kin = dict(zip(sheet["person"], relations(sheet, sheet["person"]).tolist(), strict=True))
    assert [p for p, of_u in zip(family, kin["u"], strict=True) if of_u] == list(family)
    assert [p for p, of_v in zip(family, kin["v"], strict=True) if of_v] == ["v", "c", "u"]
    taken = [p for p, chosen in zip(family, unrelated(sheet, sheet["person"]), strict=True) if chosen]
    assert taken == ["f", "m", "v"]
    some = sheet["person"][sheet["person"].isin(["s", "u"])]  # also where the others are not in the cohort
    assert unrelated(sheet, some).sum() == 1
    some = sheet["person"][sheet["person"].isin(["s", "v"])]
    assert unrelated(sheet, some).all()
    outside = sheet_of(a="", b="a -", u="- - F", w="- - G")  # kin by name, not by a label, is no kin of the label's
    assert unrelated(outside, outside["person"]).tolist() == [True, False, True, True]


def test_a_huge_label_takes_few_marks():
    """Of 20,000 with one label half have a known place: two marks a person for that, not one a pair."""
    from pseudocohort.cohort import kinship as module

    n = np.arange(20_000)
    sheet = pd.DataFrame({"person": n.astype(str), "father": np.where(n % 2, [f"x{i}" for i in n], ""), "mother": "",
                          "family": "F"}, dtype="str")  # fmt: skip
    has, seeks = module._marks(sheet, sheet["person"])
    assert has.nnz == 20_000 + 10_000 + 20_000
    assert seeks.nnz == has.nnz + 10_000


def test_related_pairs_come_whole_in_pieces(monkeypatch):
    from pseudocohort.cohort import kinship as module

    sheet = random_sheet(3)
    whole = unrelated(sheet, sheet["person"])
    monkeypatch.setattr(module, "_PAIRS", 7)
    pieces = list(_related(*module._marks(sheet, sheet["person"])))
    assert len(pieces) > 10
    assert [p[0].start for p in pieces[1:]] == [p[0].stop for p in pieces[:-1]]
    np.testing.assert_array_equal(np.vstack([p[1].toarray() for p in pieces]) > 0, relations(sheet, sheet["person"]))
    np.testing.assert_array_equal(unrelated(sheet, sheet["person"]), whole)


@pytest.fixture(scope="module")
def cohort():
    """A sheet of 900 with many families in two strata; every fifth person has no genotypes: people, report, sheet."""
    sheet = pd.concat([random_sheet(s).map(lambda x, s=s: f"{s}{x}" if isinstance(x, str) and x else x)
                       for s in range(1, 16)], ignore_index=True)  # fmt: skip
    number = sheet["person"].str.extract(r"p(\d+)$")[0].astype(int)
    sheet["sex"] = (number % 2 + 1).astype(np.int8)
    sheet["stratum"] = np.where(np.arange(len(sheet)) % 3, "north", "south")
    genotyped = sheet["person"][np.arange(len(sheet)) % 5 > 0]
    withdrawn = set(genotyped.iloc[:3])
    return *make_people(genotyped.tolist(), sheet, withdrawn, 0.2, 1, unmatched="drop"), sheet


def test_the_people_table_tells_unrelated_founders(cohort):
    people, report, sheet = cohort
    train = (people["part"] == "train").to_numpy()
    assert people["unrelated"].dtype == bool
    assert not people["unrelated"][~train].any()
    chosen = people["person"][people["unrelated"]]
    kin = relations(sheet, chosen)
    assert kin.sum() == len(kin) == report["unrelated_founders"]
    assert relations(sheet, people["person"])[np.ix_(train, people["unrelated"])].any(axis=1).all()
    assert 0.3 * train.sum() < len(chosen) < train.sum()


def test_codes_are_the_known_parents_in_the_cohort_or_not(cohort):
    people, _, sheet = cohort
    parents = {r.person: (r.father, r.mother) for r in sheet.itertuples()}
    rows = {p: i for i, p in enumerate(people["person"])}
    codes, names = people[list(LINEAGE)].to_numpy(), {}
    outside = set()
    for i, person in enumerate(people["person"]):
        near = parents[person]
        far = [x for p in near for x in parents.get(p, ("", ""))]
        for code, name in zip(codes[i], (*near, *far), strict=True):
            if not name:
                assert code == -1
                continue
            assert names.setdefault(code, name) == name
            if name in rows:
                assert code == rows[name]
            else:
                assert code >= len(people)
                outside.add(name)
    assert len(set(names.values())) == len(names)
    assert len(outside) > 30
    assert not set(people[["person", "father", "mother"]].to_numpy().ravel()) & outside


@pytest.mark.parametrize("which", ["all", "unrelated"])
def test_founders_of(cohort, which):
    people, _, sheet = cohort
    founders = founders_of(people, which)
    chosen = people["part"] == "train"
    if which == "unrelated":
        chosen &= people["unrelated"]
    np.testing.assert_array_equal(founders.rows, np.flatnonzero(chosen))
    assert founders.rows.dtype == founders.father.dtype == founders.mother.dtype == np.int64
    assert founders.strata == ("north", "south")
    assert [founders.strata[s] for s in founders.stratum] == people["stratum"][chosen].tolist()
    np.testing.assert_array_equal(founders.sex, people["sex"][chosen])
    assert founders.grandparents.shape == (chosen.sum(), 4)
    pedigree = make_pedigree(founders, 100, 2, "balanced", 1, avoid_kin="cousins")
    person = people["person"].to_numpy()[founders.rows]
    parents = {r.person: [p for p in (r.father, r.mother) if p] for r in sheet.itertuples()}

    def lineage(x, depth):
        return {x}.union(*(lineage(p, depth - 1) for p in parents.get(x, []) if depth))

    for father, mother in zip(person[pedigree.father[0]], person[pedigree.mother[0]], strict=True):
        assert not lineage(father, 2) & lineage(mother, 2)


def test_unknown_choice_of_founders_is_told(cohort):
    with pytest.raises(InputError, match=r"founders 'some' is not known\n.*founders\n.*all or unrelated"):
        founders_of(cohort[0], "some")


def test_a_stratum_whose_unrelated_people_are_of_one_sex_is_told():
    persons = [f"p{i}" for i in range(100)]
    sheet = pd.DataFrame({"person": persons, "father": "", "mother": "", "family": ""}, dtype="str")
    sheet["sex"], sheet["stratum"] = np.array([1, 2] * 50, dtype=np.int8), ["isle"] * 20 + ["main"] * 80
    sheet.loc[1:19:2, "father"] = [f"p{i}" for i in range(0, 20, 2)]  # every woman of isle is a man's daughter
    people, _ = make_people(persons, sheet, set(), 0.2, 1)
    make_pedigree(founders_of(people), 50, 2, "balanced", 1)
    with pytest.raises(InputError, match=r"stratum isle has \d male and \d female founders\n(.*\n)*.*founders: all"):
        make_pedigree(founders_of(people, "unrelated"), 50, 2, "balanced", 1)
