"""The items of the built-in demo cohort: what each is (the dictionary) and how its values arise.

The numbers are chosen to look like a Japanese health check; none is estimated from anybody's data.
"""

from dataclasses import dataclass, field, replace

from pseudocohort.cohort.dictionary import Dictionary, Item

# Genetic factors shared by several items, and environmental factors of the same names, independent of them.
FACTORS = ("lipid", "glycaemia", "urate", "pressure", "stature", "amino_acid", "energy", "habit")

METABOLOME_MEASURED = 0.7  # share of people whose metabolome was measured
QUESTIONNAIRE_RETURNED = 0.97


@dataclass(frozen=True)
class DemoItem:
    """One item and its model. Liability l = g + e with var(g) = h2, var(g) + var(e) = 1 among all people.

    g = polygenic part (sum of genetic loading x factor + own part) + one common site that explains `locus`;
    e likewise from environmental factors and an own part.  z = l + age (age - 50)/10 + male
    (1/2 for men, -1/2 for women) + inland (1 inland).
    continuous, count: centre + spread z, or with log centre exp(spread z + tail max(z, 0)^2).
    binary, ordinal: z cut at the quantiles among the people asked that give `shares` (all categories but the last).
    h2 None: no liability (nominal, date).  x: the own part has sites on X.  missing: share missing at random.
    """

    item: Item
    h2: float | None = 0.0
    genetic: dict[str, float] = field(default_factory=dict)
    environment: dict[str, float] = field(default_factory=dict)
    locus: float = 0.0
    x: bool = False
    age: float = 0.0
    male: float = 0.0
    inland: float = 0.0
    centre: float = 0.0
    spread: float = 1.0
    tail: float = 0.0
    log: bool = False
    shares: tuple[float, ...] = ()
    missing: float = 0.02

    @property
    def name(self) -> str:
        return self.item.name


def _number(
    name: str, group: str, labels: tuple[str, str], unit: str, limits: tuple[float, float], decimals: int, **model
) -> DemoItem:
    rules = {key: model.pop(key) for key in ("detection_limit", "asked_if", "missing_codes", "rules") if key in model}
    kind = model.pop("type", "continuous")
    item = Item(name, kind, group, "", *labels, unit, *limits, decimals=decimals, **rules)
    return DemoItem(item, **model)


def _category(
    name: str,
    kind: str,
    group: str,
    labels: tuple[str, str],
    categories: dict[str, str],
    asked_if: tuple = (),
    missing_codes: tuple = (),
    **model,
) -> DemoItem:
    item = Item(
        name,
        kind,
        group,
        "",
        *labels,
        categories=tuple(categories),
        category_labels=tuple(categories.values()),
        asked_if=asked_if,
        missing_codes=missing_codes,
    )
    return DemoItem(item, **model)


def _metabolite(name: str, labels: tuple[str, str], median: float, spread: float, h2: float, **model) -> DemoItem:
    limits = (round(median / 10, 1), median * 12)
    return _number(
        name,
        "metabolome",
        labels,
        "µmol/L",
        limits,
        1,
        h2=h2,
        centre=median,
        spread=spread,
        log=True,
        missing=0.01,
        **model,
    )


_BLOOD, _BODY, _ASKED, _DISEASE = "blood chemistry", "physiology", "questionnaire", "disease"
_NO_YES = {"no": "No", "yes": "Yes"}
_MEN, _WOMEN = (("sex", ("male",)),), (("sex", ("female",)),)

# One item a row.
# fmt: off
_BLOOD_CHEMISTRY = (
    _number("triglyceride", _BLOOD, ("Triglyceride", "中性脂肪"), "mg/dL", (20, 2000), 0, h2=0.3,
            genetic={"lipid": 0.8}, environment={"lipid": 0.6}, age=0.05, male=0.5, centre=95, spread=0.5, log=True,
            missing=0.02),
    _number("hdl_cholesterol", _BLOOD, ("HDL cholesterol", "HDLコレステロール"), "mg/dL", (15, 180), 0, h2=0.4,
            genetic={"lipid": -0.7}, environment={"lipid": -0.5}, locus=0.04, male=-0.8, centre=60, spread=0.22,
            log=True, missing=0.02),
    _number("c_reactive_protein", _BLOOD, ("C-reactive protein", "C反応性蛋白(CRP)"), "mg/dL", (0.02, 30), 2,
            detection_limit=0.02, missing_codes=(("ND", "below limit"),), h2=0.2, genetic={"lipid": 0.3},
            environment={"lipid": 0.35}, age=0.1, centre=0.04, spread=1.15, log=True, missing=0.06),
    _number("fasting_glucose", _BLOOD, ("Fasting glucose", "空腹時血糖"), "mg/dL", (40, 500), 0, h2=0.3,
            genetic={"glycaemia": 0.9, "lipid": 0.2}, environment={"glycaemia": 0.8, "lipid": 0.2}, age=0.2, male=0.3,
            centre=92, spread=0.08, tail=0.025, log=True, missing=0.05),
    _number("creatinine", _BLOOD, ("Creatinine", "クレアチニン"), "mg/dL", (0.2, 15), 2, h2=0.3,
            genetic={"pressure": 0.3, "urate": 0.3}, environment={"urate": 0.4}, age=0.15, male=1.6, centre=0.72,
            spread=0.16, log=True, missing=0.02),
    _number("uric_acid", _BLOOD, ("Uric acid", "尿酸"), "mg/dL", (0.5, 15), 1, h2=0.6,
            genetic={"urate": 0.8, "lipid": 0.25}, environment={"urate": 0.7, "lipid": 0.3}, locus=0.06, x=True,
            male=1.3, centre=5.2, spread=1.1, missing=0.03),
)

_PHYSIOLOGY = (
    _number("height", _BODY, ("Height", "身長"), "cm", (120, 210), 1, h2=0.6, genetic={"stature": 0.8},
            environment={"stature": 0.5}, x=True, age=-0.2, male=2.2, inland=0.1, centre=163, spread=5.7, missing=0.01),
    _number("weight", _BODY, ("Weight", "体重"), "kg", (28, 180), 1, h2=0.4, genetic={"stature": 0.5, "lipid": 0.5},
            environment={"stature": 0.3, "lipid": 0.6}, age=-0.05, male=1.5, centre=58, spread=0.15, tail=0.01,
            log=True, missing=0.01),
    _number("systolic_blood_pressure", _BODY, ("Systolic blood pressure", "収縮期血圧"), "mmHg", (70, 260), 0, h2=0.3,
            genetic={"pressure": 0.9}, environment={"pressure": 0.85, "lipid": 0.2}, age=0.35, male=0.3, inland=0.25,
            centre=123, spread=0.11, log=True, missing=0.02),
    _number("diastolic_blood_pressure", _BODY, ("Diastolic blood pressure", "拡張期血圧"), "mmHg", (35, 150), 0,
            rules=(("<=", ("systolic_blood_pressure",)),), h2=0.3, genetic={"pressure": 0.8},
            environment={"pressure": 0.75, "lipid": 0.2}, age=0.1, male=0.4, inland=0.1, centre=75, spread=0.13,
            log=True, missing=0.02),
    _number("grip_strength", _BODY, ("Grip strength", "握力"), "kg", (3, 80), 1,
            missing_codes=(("-8", "not measured"),), h2=0.35, genetic={"stature": 0.4}, environment={"stature": 0.4},
            age=-0.35, male=2.4, centre=30, spread=5.3, missing=0.04),
    _number("bone_density", _BODY, ("Bone mineral density", "骨密度"), "g/cm²", (0.2, 2), 3, h2=0.5,
            genetic={"stature": 0.3}, environment={"stature": 0.3}, age=-0.3, male=0.7, centre=0.92, spread=0.12,
            missing=0.08),
)

_VISIT = DemoItem(
    Item("visit_date", "date", _BODY, "", "Date of the visit", "受診日", minimum=17987, maximum=18717), h2=None,
    missing=0.01,
)  # from April 2019 to March 2021

_METABOLOME = (
    _metabolite("valine", ("Valine", "バリン"), 220, 0.18, 0.25, male=0.6,
                genetic={"amino_acid": 0.85, "glycaemia": 0.3}, environment={"amino_acid": 0.85, "glycaemia": 0.2}),
    _metabolite("leucine", ("Leucine", "ロイシン"), 120, 0.20, 0.25, male=0.7,
                genetic={"amino_acid": 0.85, "glycaemia": 0.3}, environment={"amino_acid": 0.88, "glycaemia": 0.2}),
    _metabolite("isoleucine", ("Isoleucine", "イソロイシン"), 62, 0.24, 0.2, male=0.7,
                genetic={"amino_acid": 0.8, "lipid": 0.3}, environment={"amino_acid": 0.85, "lipid": 0.25}),
    _metabolite("alanine", ("Alanine", "アラニン"), 350, 0.22, 0.15, genetic={"energy": 0.5, "glycaemia": 0.3},
                environment={"energy": 0.6, "amino_acid": 0.4}),
    _metabolite("glutamine", ("Glutamine", "グルタミン"), 580, 0.14, 0.3, genetic={"amino_acid": -0.3},
                environment={"amino_acid": 0.25, "lipid": -0.3}),
    _metabolite("glycine", ("Glycine", "グリシン"), 240, 0.25, 0.5, locus=0.05, male=-0.6,
                genetic={"glycaemia": -0.2}, environment={"amino_acid": 0.2, "lipid": -0.3}),
    _metabolite("tyrosine", ("Tyrosine", "チロシン"), 65, 0.21, 0.2, age=0.05, genetic={"amino_acid": 0.6},
                environment={"amino_acid": 0.65}),
    _metabolite("phenylalanine", ("Phenylalanine", "フェニルアラニン"), 60, 0.16, 0.15, age=0.1,
                genetic={"amino_acid": 0.55}, environment={"amino_acid": 0.7}),
    _metabolite("lactate", ("Lactate", "乳酸"), 1300, 0.35, 0.05, genetic={"energy": 0.6},
                environment={"energy": 0.8}),
    _metabolite("citrate", ("Citrate", "クエン酸"), 110, 0.22, 0.3, age=0.2, genetic={"energy": -0.4},
                environment={"energy": -0.3}),
    _metabolite("hydroxybutyrate_3", ("3-Hydroxybutyrate", "3-ヒドロキシ酪酸"), 50, 0.75, 0.15,
                genetic={"energy": -0.5}, environment={"energy": -0.5, "amino_acid": 0.2}),
    _metabolite("acetate", ("Acetate", "酢酸"), 35, 0.35, 0.0, environment={"energy": 0.3}),
)

_QUESTIONNAIRE = (
    _category("smoking", "ordinal", _ASKED, ("Smoking", "喫煙状況"),
              {"never": "Never", "former": "Former", "current": "Current"}, h2=0.2, genetic={"habit": 0.8},
              environment={"habit": 0.6}, male=1.5, inland=0.1, shares=(0.58, 0.24), missing=0.02),
    _number("cigarettes_per_day", _ASKED, ("Cigarettes per day", "1日の喫煙本数"), "cigarettes/day", (1, 100), 0,
            type="count", asked_if=(("smoking", ("former", "current")),), h2=0.15, genetic={"habit": 0.5},
            environment={"habit": 0.3}, male=0.5, centre=14, spread=0.55, log=True, missing=0.04),
    _category("alcohol", "ordinal", _ASKED, ("Alcohol drinking", "飲酒頻度"),
              {"never": "Never or hardly ever", "monthly": "1 to 3 days a month", "weekly": "1 or 2 days a week",
               "often": "3 to 5 days a week", "daily": "6 or 7 days a week"}, (), (("-9", "refused"),), h2=0.25,
              genetic={"habit": 0.4}, environment={"habit": 0.5}, locus=0.05, male=1.0, inland=0.15,
              shares=(0.42, 0.14, 0.12, 0.12), missing=0.03),
    _category("exercise", "ordinal", _ASKED, ("Exercise", "運動習慣"),
              {"none": "None", "monthly": "1 to 3 days a month", "weekly": "1 to 3 days a week",
               "daily": "4 days a week or more"}, h2=0.1, genetic={"habit": -0.3, "lipid": -0.3},
              environment={"habit": -0.3, "lipid": -0.3}, age=0.15, shares=(0.4, 0.18, 0.25), missing=0.03),
    _category("occupation", "nominal", _ASKED, ("Occupation", "職業"),
              {"office": "Office work", "service": "Sales and service", "manual": "Production and transport",
               "farming": "Farming and fishing", "none": "Not working"}, h2=None, missing=0.07),
    _number("sleep_hours", _ASKED, ("Hours of sleep", "睡眠時間"), "h/day", (2, 14), 1, h2=0.0, age=0.1, centre=6.6,
            spread=1.0, missing=0.04),
    _category("menopause", "binary", _ASKED, ("Menopause", "閉経"), _NO_YES, _WOMEN, h2=0.4, age=4.0,
              shares=(0.45,), missing=0.03),
    _number("pregnancies", _ASKED, ("Number of pregnancies", "妊娠回数"), "times", (0, 15), 0, type="count",
            asked_if=_WOMEN, h2=0.05, age=0.3, centre=1.8, spread=1.2, missing=0.04),
    _number("prostate_symptom_score", _ASKED, ("International Prostate Symptom Score", "国際前立腺症状スコア"),
            "points", (0, 35), 0, type="count", asked_if=_MEN, h2=0.2, age=0.3, centre=4.0, spread=0.8, log=True,
            missing=0.05),
)

_DISEASES = (
    _category("hypertension", "binary", _DISEASE, ("Hypertension", "高血圧"), _NO_YES, h2=0.35,
              genetic={"pressure": 0.9}, environment={"pressure": 0.85, "lipid": 0.25}, age=0.35, male=0.3, inland=0.15,
              shares=(0.72,), missing=0.01),
    _category("diabetes", "binary", _DISEASE, ("Diabetes", "糖尿病"), _NO_YES, h2=0.4,
              genetic={"glycaemia": 0.9, "lipid": 0.25}, environment={"glycaemia": 0.85, "lipid": 0.25}, age=0.25,
              male=0.4, shares=(0.91,), missing=0.01),
    _category("gout", "binary", _DISEASE, ("Gout", "痛風"), _NO_YES, h2=0.5, genetic={"urate": 0.9},
              environment={"urate": 0.8, "lipid": 0.2}, age=0.1, male=1.5, shares=(0.975,), missing=0.01),
)

# fmt: on
DEMO_ITEMS: tuple[DemoItem, ...] = (*_BLOOD_CHEMISTRY, *_PHYSIOLOGY, _VISIT, *_METABOLOME, *_QUESTIONNAIRE, *_DISEASES)


def demo_dictionary() -> Dictionary:
    """The demo's dictionary: the age and 37 items, all of the level standard."""
    age = Item("age", "continuous", "other", "age", "Age", "年齢", "years", 20, 90, decimals=0)
    rows = (age, *(design.item for design in DEMO_ITEMS))
    return Dictionary(tuple(replace(row, level="standard", level_given=True) for row in rows))
