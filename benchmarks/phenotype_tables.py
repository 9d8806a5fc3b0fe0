"""The tables that phenotype.py measures on: real health tables from ../shared/data, the demo's items, generated ones.

`load(name)` gives a table with its dictionary. The dictionaries are what the project drafts, with the few corrections
that a user would make by hand (CHANGES); the values pass the project's own import. Generated tables have a known
truth (`_simulated`) or stand for tables that nobody may publish (`_wide`, `_questionnaire`).
"""

import dataclasses
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr

from pseudocohort.cohort.demo_design import DEMO_ITEMS, FACTORS, demo_dictionary
from pseudocohort.cohort.demo_items import make_values
from pseudocohort.cohort.demo_people import make_demo_people
from pseudocohort.cohort.dictionary import Dictionary, Item, draft_dictionary, reason_column
from pseudocohort.cohort.phenotypes import import_phenotypes, read_items

SHARED = Path(__file__).resolve().parents[2] / "shared/data"
SEED = 5  # of the generated tables: a split changes who is trained on, not the table
NOT_ITEMS = {"role": "ignore", "asked_if": (), "categories": ()}
WOMEN = (("sex", ("female",)),)
# Corrections of the draft: survey weights, a second coding of the same answer, a doctor's number are no items
CHANGES = {
    "nhanes": {
        "WTINTPRP": NOT_ITEMS,
        "WTMECPRP": NOT_ITEMS,
        "EVERPREG": {"asked_if": WOMEN},
        "PREGS": {"asked_if": WOMEN},
    },
    "hbp": {"provider": NOT_ITEMS},
    "metabolome": {"Class": NOT_ITEMS, "Chemotherapy response": {"asked_if": (("Timepoint", ("BL",)),)}},
}
FILES = {  # file, column of ids, column of the sex (None: all women)
    "nhanes": ("health_tables/nhanes_nh432.csv", "SEQN", "SEX"),
    "framingham": ("health_tables/framingham.csv", "subj_id", "male"),
    "support": ("health_tables/support_1000.csv", "subject", "sex"),
    "hbp": ("health_tables/hbp_3024.csv", "record", "sex"),
    "metabolome": ("metabolome/MTBLS92.xlsx", "SampleID", None),
}
MALE = {"Male": 1, "Female": 2, "male": 1, "female": 2, "M": 1, "F": 2, "1": 1, "0": 2}


class Data(NamedTuple):
    """frame: items, the age where there is one, and columns of reasons; dictionary; sex (n,) 1 male, 2 female;
    family, stratum (n,) text; scores (n, t) of the traits, None where they are to be planted."""

    frame: pd.DataFrame
    dictionary: Dictionary
    sex: np.ndarray
    family: np.ndarray
    stratum: np.ndarray
    scores: pd.DataFrame | None = None


def load(name: str) -> Data | None:
    """The table `name` of NAMES; None for a real one whose file is not there."""
    if name not in FILES:
        return MADE[name]()
    file, person, sex = FILES[name]
    path = SHARED / file
    return _imported(name, path, person, sex) if path.exists() else None


def small(data: Data, people: int = 900) -> Data:
    """The first people alone, for a quick look."""
    rows = slice(0, people)
    scores = None if data.scores is None else data.scores[rows]
    return data._replace(
        frame=data.frame[rows],
        sex=data.sex[rows],
        family=data.family[rows],
        stratum=data.stratum[rows],
        scores=scores,
    )


def _imported(name: str, path: Path, person: str, sex: str | None) -> Data:
    """A real table by the project's draft, corrected, and its import."""
    with tempfile.TemporaryDirectory() as folder:
        if path.suffix == ".xlsx":
            sheet, path = pd.read_excel(path, sheet_name="Data", dtype=str), Path(folder) / "table.tsv"
            sheet[person] = sheet[person].str.strip()
            sheet.drop(columns="Idx").to_csv(path, sep="\t", index=False)
        cells = read_items(path, person)
        ids = pd.read_csv(path, sep=None, engine="python", dtype=str, usecols=[person])[person]
        people = pd.DataFrame({"person": ids, "sex": 2 if sex is None else cells[sex].map(MALE).to_numpy()})
        dictionary = corrected(draft_dictionary(cells), CHANGES.get(name, {}))
        frame = import_phenotypes(path, dictionary, people, person)[0]
    frame = frame.drop(columns="person").reset_index(drop=True)
    return _data(frame, dictionary, people["sex"].to_numpy(np.int8))


def corrected(dictionary: Dictionary, changes: dict[str, dict]) -> Dictionary:
    """The dictionary with the given fields of some rows changed."""
    rows = [dataclasses.replace(row, **changes.get(row.name, {})) for row in dictionary.rows]
    return Dictionary(tuple(dataclasses.replace(r, trait=False) if r.role == "ignore" else r for r in rows))


def _data(frame: pd.DataFrame, dictionary: Dictionary, sex: np.ndarray) -> Data:
    """Unrelated people of one stratum."""
    n = len(frame)
    return Data(frame, dictionary, sex, np.array([f"F{i}" for i in range(n)]), np.full(n, "all"))


def demo(people: int = 3000) -> Data:
    """The items of the built-in demo, its families and strata; scores: genetic values with as much noise again."""
    sheet = make_demo_people({"people": people}, SEED)
    designs = [design for design in DEMO_ITEMS if design.h2 is not None]
    random = np.random.default_rng([SEED, 1])
    shared = random.normal(size=(people, len(FACTORS)))
    genetic = np.empty((people, len(designs)))
    for j, design in enumerate(designs):
        loading = np.array([design.genetic.get(factor, 0.0) for factor in FACTORS])
        own = np.sqrt(max(1 - (loading**2).sum(), 0)) * random.normal(size=people)
        value = shared @ loading + own
        genetic[:, j] = (value - value.mean()) / value.std() * np.sqrt(design.h2)
    frame = make_values(sheet, designs, genetic, SEED).drop(columns="person")
    scores = {
        design.name: genetic[:, j] + random.normal(size=people) * np.sqrt(design.h2)
        for j, design in enumerate(designs)
        if design.h2 and design.item.trait
    }
    single = sheet["family"] == ""
    family = np.where(single, sheet["person"], sheet["family"]).astype(str)
    sex = sheet["sex"].map({"male": 1, "female": 2}).to_numpy(np.int8)
    return Data(frame, demo_dictionary(), sex, family, sheet["stratum"].to_numpy(str), pd.DataFrame(scores))


class Maker:
    """Items from latent values: every method adds one column and one row of the dictionary."""

    def __init__(self, people: int, seed: int, low: int = 30, high: int = 80):
        self.random = np.random.default_rng([SEED, seed])
        self.n = people
        self.sex = self.random.integers(1, 3, people).astype(np.int8)
        age = np.floor(self.random.triangular(low, (low + 2 * high) / 3, high, people))
        self.age = (age - age.mean()) / age.std()
        self.columns: dict[str, np.ndarray] = {"age": age}
        self.reasons: dict[str, np.ndarray] = {}  # item -> why its values would be missing
        self.rows = [Item("age", "continuous", role="age", decimals=0)]

    def latent(self, factors: np.ndarray, sparse: float = 1.0) -> np.ndarray:
        """Standard normal (n,): a random mix of factors (n, f), some of the age and the sex, and noise."""
        weight = self.random.normal(size=factors.shape[1]) * (self.random.random(factors.shape[1]) < sparse)
        value = factors @ weight * 0.7 + 0.3 * self.random.normal() * self.age + self.random.normal(size=self.n)
        value += 0.3 * self.random.normal() * (self.sex - 1.5)
        return (value - value.mean()) / value.std()

    def add(self, name: str, kind: str, values, missing=0.0, **fields) -> None:
        """missing: share, or mask (n,), of values that are lost; NaN or None values are missing anyway."""
        lost = self.random.random(self.n) < missing if np.isscalar(missing) else missing
        self.columns[name] = pd.Series(values).mask(lost).to_numpy()
        self.rows.append(Item(name, kind, **fields))

    def number(self, name: str, value: np.ndarray, missing=0.0, limit: float = 0.0, **fields) -> None:
        """A skewed measurement with two or three digits; a share `limit` of values is at the detection limit."""
        values = np.round(self.random.uniform(1, 100) * np.exp(value * self.random.uniform(0.1, 0.7)), 2)
        least = float(np.quantile(values, limit, method="lower")) if limit else None
        values = values if least is None else np.maximum(values, least)
        self.add(name, "continuous", values, missing, minimum=0.0, decimals=2, detection_limit=least, **fields)

    def count(self, name: str, value: np.ndarray, missing=0.0, asked=None, **fields) -> None:
        values = self.random.poisson(np.exp(0.6 * value + 0.7)).astype(float)
        values = values if asked is None else np.where(asked, values, np.nan)
        self.add(name, "count", values, missing, minimum=0.0, decimals=0, **fields)

    def levels(self, name: str, kind: str, value: np.ndarray, cuts, missing=0.0, asked=None, **fields) -> None:
        """An ordinal or binary item, the latent value cut at normal quantiles."""
        codes = tuple(str(i) for i in range(len(cuts) + 1))
        values = np.array(codes, dtype=object)[np.digitize(value, cuts)]
        values = values if asked is None else np.where(asked, values, None)
        self.add(name, kind, values, missing, categories=codes, **fields)

    def nominal(self, name: str, factors: np.ndarray, size: int, missing=0.0, **fields) -> None:
        """Random utility, as in a multinomial logit; some categories are rare."""
        utility = factors @ self.random.normal(size=(factors.shape[1], size)) * 0.6
        utility += np.linspace(0, -2.5, size) + self.random.gumbel(size=utility.shape)
        codes = tuple("abcdefghijklmnopqrstuvwxyz"[:size])
        values = np.array(codes, dtype=object)[utility.argmax(axis=1)]
        self.add(name, "nominal", values, missing, categories=codes, **fields)

    def data(self) -> Data:
        why = {
            reason_column(name): pd.Series(reason, dtype=object).where(pd.isna(self.columns[name]))
            for name, reason in self.reasons.items()
        }
        return _data(pd.DataFrame(self.columns | why), Dictionary(tuple(self.rows)), self.sex)


def simulated(people: int = 4500) -> Data:
    """40 mixed items of five factors; two products and a U of factors, which linear models cannot see; 5 % missing."""
    m = Maker(people, 2)
    f = m.random.normal(size=(people, 5))
    for j in range(16):
        value = m.latent(f)
        if j % 5 == 4:
            value = value * 0.7 + (f[:, 0] * f[:, 1] if j % 2 else f[:, 2] ** 2 - 1) * 0.6
        m.number(f"measure{j}", value, 0.05, limit=0.15 if j % 6 == 5 else 0.0)
    for j in range(3):
        m.count(f"count{j}", m.latent(f), 0.05)
    for j in range(7):
        m.levels(f"scale{j}", "ordinal", m.latent(f), (-1.0, -0.2, 0.5, 1.4), 0.05)
    for j in range(8):
        m.levels(f"disease{j}", "binary", m.latent(f), ((0.4, 0.9, 1.3, 1.9)[j % 4],), 0.03)
    for j in range(3):
        m.nominal(f"class{j}", f, 3 + 2 * j, 0.05)
    m.levels("smoking", "binary", m.latent(f), (0.3,), 0.02)
    smokes = m.columns["smoking"] == "1"
    m.count("cigarettes", m.latent(f), 0.04, smokes, asked_if=(("smoking", ("1",)),))
    m.levels("menopause", "binary", m.latent(f) + m.age, (0.0,), 0.02, m.sex == 2, asked_if=WOMEN)
    return m.data()


def wide(people: int = 20_000) -> Data:
    """79 mixed items in eight panels that are missing together, 42 % of values; gates of questions that are skipped.

    Whether a panel was measured depends on the age, the sex and a factor: those who are ill are examined more. Two
    panels say why a value is missing; one has two measurements of which one is never larger, one two dates in order.
    """
    m = Maker(people, 3, 20, 90)
    f = m.random.normal(size=(people, 8))
    for p, share in enumerate((0.0, 0.12, 0.3, 0.45, 0.55, 0.7, 0.75, 0.45)):
        need = 0.5 * m.age + 0.6 * f[:, p] + 0.4 * (m.sex - 1.5) + m.random.logistic(size=people)
        _panel(m, f, p, need < np.quantile(need, share))
    for j in range(3):
        m.levels(f"gate{j}", "binary", m.latent(f), (0.2 + 0.3 * j,), 0.05)
        yes = m.columns[f"gate{j}"] == "1"
        m.count(f"gate{j}_years", m.latent(f), 0.06, yes, asked_if=((f"gate{j}", ("1",)),))
    m.levels("pregnant", "binary", m.latent(f), (-0.5,), 0.04, m.sex == 2, asked_if=WOMEN)
    return m.data()


def _panel(m: Maker, f: np.ndarray, p: int, gone: np.ndarray) -> None:
    """Nine items, missing where `gone` and for 4 % more."""
    reason = {"missing_codes": (("-8", "not measured"),)} if p in (1, 2) else {}
    for j in range(9):
        lost = gone | (m.random.random(m.n) < 0.04)
        value, name = m.latent(f, 0.5), f"panel{p}_{j}"
        if p == 7 and j >= 7:
            days = 14_000 + np.floor(900 * ndtr(value)) if j == 7 else m.columns["panel7_7"] + np.floor(value**2 * 90)
            rule = ((">=", ("panel7_7",)),) if j == 8 else ()
            m.add(name, "date", days, lost, decimals=0, rules=rule)
        elif p == 0 and j == 1:
            whole = m.columns["panel0_0"] * (0.4 + 0.5 * ndtr(value))
            m.add(name, "continuous", np.round(whole, 2), lost, decimals=2, rules=(("<=", ("panel0_0",)),))
        elif p in (3, 5) or j < 4:
            m.number(name, value, lost, limit=0.2 if p in (3, 5) and j % 4 == 3 else 0.0, **reason)
        elif j < 6:
            m.levels(name, "ordinal", value, (-0.8, 0.3, 1.1), lost, **reason)
        elif j == 6:
            m.levels(name, "binary", value, (1.2,), lost, **reason)
        else:
            m.nominal(name, f, 4, lost, **reason) if j == 7 else m.count(name, value, lost, **reason)
        if reason:
            m.reasons[name] = np.where(gone, "not measured", "unknown")


def questionnaire(people: int = 7400) -> Data:
    """177 items: 130 answers from 1 to 5 of ten factors, 12 nominal, 15 gates with a question each, five sums of five.

    A sum is missing where one of its answers is; answers are missing at random, and for 4 % a whole page is. The
    parts of the first two sums are counts, and the dictionary says that they sum up; of the others it says nothing.
    """
    m = Maker(people, 4, 18, 75)
    f = m.random.normal(size=(people, 10))
    page = m.random.random((people, 5)) < 0.04
    for j in range(130):
        own = 0.9 * f[:, j // 13] * m.random.choice([-1, 1]) + m.latent(f, 0.3) * 0.8
        cuts = np.sort(m.random.normal(0, 1.1, 4)) + np.array([-0.3, -0.1, 0.1, 0.3])
        answer, lost = np.digitize(own, cuts) + 1, page[:, j // 26] | (m.random.random(people) < 0.02)
        if j < 26 and j % 13 < 5:
            m.add(f"q{j + 1}", "count", answer.astype(float), lost, minimum=1.0, maximum=5.0, decimals=0)
        else:
            m.add(f"q{j + 1}", "ordinal", answer.astype(str).astype(object), lost, categories=tuple("12345"))
    for j in range(12):
        m.nominal(f"choice{j + 1}", f, 3 + j % 6, 0.03)
    for j in range(15):
        m.levels(f"ever{j + 1}", "binary", m.latent(f), (0.1 * j - 0.2,), 0.02)
        yes, gate = m.columns[f"ever{j + 1}"] == "1", ((f"ever{j + 1}", ("1",)),)
        m.count(f"times{j + 1}", m.latent(f), 0.03, yes, asked_if=gate)
    for j in range(5):
        parts = tuple(f"q{j * 13 + i + 1}" for i in range(5))
        total = sum(pd.Series(m.columns[part]).astype(float) for part in parts)
        rule = (("=", parts),) if j < 2 else ()
        m.add(f"score{j + 1}", "count", total, minimum=5.0, maximum=25.0, decimals=0, rules=rule)
    return m.data()


MADE = {"demo": demo, "simulated": simulated, "wide": wide, "questionnaire": questionnaire}
NAMES = (*FILES, *MADE)
