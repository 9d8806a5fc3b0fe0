"""Made tables whose truth is known, for the draft of a dictionary: a Japanese health check, and a survey."""

from typing import NamedTuple

import numpy as np
import pandas as pd


class Truth(NamedTuple):
    """What a column is: the types that are right, the codes of missing, the condition and the rule (as written)."""

    types: str
    codes: dict[str, str]
    asked_if: str = ""
    rule: str = ""


class Made(NamedTuple):
    """A table of text cells and the truth by column."""

    table: pd.DataFrame
    truth: dict[str, Truth]


class Drawing:
    """A table that grows column by column from one generator, so the order of the columns decides what is drawn."""

    def __init__(self, n: int, seed: int):
        self.n, self.rng = n, np.random.default_rng(seed)
        self.columns: dict[str, np.ndarray] = {}
        self.truth: dict[str, Truth] = {}

    def add(self, name, types, cells, codes=None, asked_if="", rule=""):
        self.columns[name] = np.asarray(cells).astype(object)
        self.truth[name] = Truth(types, codes or {}, asked_if, rule)

    def ask(self, name, types, values, codes=None, asked_if="", rule="", share=0.03):
        """Add values, each of the codes in a share of those that are not empty."""
        cells = np.asarray(values).astype(str).astype(object)
        for code in codes or {}:
            cells[(self.rng.random(self.n) < share) & (cells != "")] = code
        self.add(name, types, cells, codes, asked_if, rule)

    def lose(self, cells, share=0.05, **codes):
        """Empty cells, and codes in a share of the others."""
        cells = np.asarray(cells).astype(str).astype(object)
        for code, part in codes.items():
            cells[self.rng.random(self.n) < part] = code
        cells[self.rng.random(self.n) < share] = ""
        return cells

    def words(self, *labels, p=None):
        return self.rng.choice(np.array(labels, dtype=object), self.n, p=p)

    def normal(self, mean, sd, digits):
        return np.array([f"{v:.{digits}f}" for v in self.rng.normal(mean, sd, self.n)])

    def skewed(self, median, spread, digits):
        return np.array([f"{v:.{digits}f}" for v in median * np.exp(self.rng.normal(0, spread, self.n))])

    def scale(self, low, high, tilt=0.0):
        weight = np.exp(tilt * np.arange(high - low + 1))
        return self.rng.choice(np.arange(low, high + 1), self.n, p=weight / weight.sum())

    def made(self) -> Made:
        return Made(pd.DataFrame(self.columns, dtype="str"), self.truth)


def _visits(d: Drawing) -> np.ndarray:
    """Ids, sex, age and dates. Returns who is a man."""
    man = d.rng.random(d.n) < 0.45
    d.add("受診者番号", "ignore", 100000 + d.rng.permutation(d.n))
    d.add("性別", "ignore", np.where(man, "男", "女"))
    d.add("年齢", "age", d.rng.integers(20, 80, d.n))
    visit = np.datetime64("2015-04-01") + d.rng.integers(0, 700, d.n)
    d.add("受診日", "date", visit.astype(str))
    d.add("採血日", "date", [str(day).replace("-", "/") for day in visit + d.rng.integers(0, 20, d.n)])
    return man


def _measurements(d: Drawing):
    """Body and circulation; of the two blood pressures the lower follows from the higher."""
    d.add("身長(cm)", "continuous", d.lose(d.normal(163, 9, 1)))
    d.add("体重(kg)", "continuous", d.lose(d.normal(60, 11, 1)))
    d.add("BMI", "continuous", d.lose(d.normal(22.5, 3, 1)))
    d.add("腹囲", "continuous", d.lose(d.normal(82, 9, 1), 未測定=0.04), {"未測定": "not measured"})
    high = d.rng.normal(125, 16, d.n).round()
    low = np.minimum((high * 0.6 + d.rng.normal(0, 8, d.n)).round(), high - 5)
    d.add("収縮期血圧", "continuous", d.lose(high.astype(int)))
    d.add("拡張期血圧", "continuous", d.lose(low.astype(int)), rule="<= 収縮期血圧")
    d.add("脈拍", "continuous", d.lose(d.rng.normal(70, 9, d.n).round().astype(int)))
    d.add("握力_右", "continuous", d.lose(d.normal(30, 8, 1), 測定せず=0.03), {"測定せず": "not measured"})
    d.add("骨密度", "continuous", d.lose(d.normal(0.9, 0.12, 3), 0.3))


def _blood_and_urine(d: Drawing, man: np.ndarray):
    """Blood chemistry, with limits of detection, and dipsticks."""
    for name, median, spread, digits in (
        ("総コレステロール", 200, 0.16, 0),
        ("HDLコレステロール", 60, 0.24, 0),
        ("LDLコレステロール", 120, 0.25, 0),
        ("中性脂肪", 95, 0.5, 0),
        ("空腹時血糖", 94, 0.12, 0),
        ("HbA1c", 5.5, 0.08, 1),
        ("AST(GOT)", 21, 0.3, 0),
        ("ALT(GPT)", 19, 0.45, 0),
        ("γ-GTP", 24, 0.7, 0),
        ("クレアチニン", 0.75, 0.2, 2),
        ("尿酸", 5.3, 0.22, 1),
        ("白血球数", 5600, 0.25, 0),
        ("ヘモグロビン", 13.9, 0.1, 1),
    ):
        rule = "<= 総コレステロール" * name.startswith("HDL")  # a part of it, which the names say
        d.add(name, "continuous", d.lose(d.skewed(median, spread, digits)), rule=rule)
    crp = np.exp(d.rng.normal(-3, 1.1, d.n)).round(2)
    d.add("CRP", "continuous", d.lose(np.where(crp < 0.05, "<0.05", crp.astype(str))))
    psa = np.exp(d.rng.normal(0, 0.7, d.n)).round(2)
    psa_cells = np.where(psa < 0.3, np.where(d.rng.random(d.n) < 0.3, "感度以下", "<0.3"), psa.astype(str))
    d.add("PSA", "continuous", np.where(man, psa_cells, ""), {"感度以下": "below limit"}, "sex=male")
    d.add("尿蛋白", "ordinal", d.lose(d.words("(-)", "(±)", "(1+)", "(2+)", p=[0.8, 0.1, 0.07, 0.03])))
    d.add("尿糖", "ordinal", d.lose(d.words("-", "±", "+", "2+", p=[0.9, 0.05, 0.03, 0.02])))


def _habits(d: Drawing):
    """Smoking, drinking, exercise, health as felt, meals."""
    smoke = d.words("吸わない", "以前吸っていた", "吸っている", p=[0.55, 0.25, 0.2])
    d.add("喫煙", "ordinal", d.lose(smoke, 0.0, 拒否=0.02), {"拒否": "refused"})
    smokes = d.columns["喫煙"] != "吸わない"
    d.add(
        "1日の喫煙本数",
        "count",
        np.where(smokes, d.rng.choice([5, 10, 15, 20, 30, 12], d.n).astype(str), ""),
        asked_if="喫煙=以前吸っていた|吸っている",
    )
    d.add("飲酒頻度", "ordinal", d.lose(d.words("飲まない", "月に1~3日", "週に1~2日", "週に3~5日", "毎日"), 0.03))
    d.add(
        "運動習慣",
        "ordinal",
        d.lose(d.words("ほとんどしない", "週に1回", "週に2~3回", "ほぼ毎日"), 不明=0.05),
        {"不明": "unknown"},
    )
    d.add("主観的健康感", "ordinal", d.lose(d.words("よい", "まあよい", "ふつう", "あまりよくない", "よくない")))
    d.add("食事の味付け", "ordinal", d.lose(d.words("薄味", "普通", "濃い味")))
    d.add("歩く速さ", "ordinal", d.lose(d.words("遅い", "ふつう", "速い")))


def _life(d: Drawing):
    """Occupation, district, marriage, blood group, education: some are numbers that stand for names."""
    d.add("職業", "nominal", d.lose(d.words("会社員", "公務員", "自営業", "農業", "主婦", "無職")))
    d.add("居住地区", "nominal", d.lose(d.rng.integers(1, 9, d.n)))
    d.add("婚姻状況", "nominal", d.lose(d.rng.integers(1, 5, d.n)))
    d.add("血液型", "nominal", d.lose(d.words("A", "B", "O", "AB", p=[0.38, 0.22, 0.3, 0.1])))
    d.add(
        "最終学歴",
        "ordinal",
        d.lose(d.words("中学校", "高校", "短大・専門学校", "大学・大学院"), 無回答=0.03),
        {"無回答": "unknown"},
    )


def _history(d: Drawing, man: np.ndarray):
    """Diseases and medicines; what only women are asked."""
    for name in ("高血圧の既往", "糖尿病の既往", "脳卒中の既往"):
        d.add(name, "binary", d.lose(d.words("なし", "あり", p=[0.9, 0.1])))
    d.add("服薬中", "binary", d.lose(d.words("いいえ", "はい")))
    d.add("閉経", "binary", np.where(man, "", d.words("なし", "あり")), asked_if="sex=female")
    d.add("妊娠回数", "count", np.where(man, "", d.rng.poisson(2, d.n).astype(str)), asked_if="sex=female")


def _questionnaire(d: Drawing):
    """Sleep, household, the six questions of K6 with their sum, contentment, free text."""
    d.add("睡眠時間", "continuous", d.lose(d.rng.choice([5, 5.5, 6, 6.5, 7, 7.5, 8], d.n)))
    d.add("子供の人数", "count", d.lose(d.rng.poisson(1.5, d.n)))
    d.add("同居人数", "count", d.lose(d.rng.poisson(1.9, d.n)))
    answers = d.rng.binomial(4, np.clip(d.rng.beta(1, 4, d.n), 0, 1)[:, None], (d.n, 6))
    complete = d.rng.random(d.n) < 0.95
    for j in range(6):
        d.add(f"K6_{j + 1}", "ordinal", np.where(complete | (d.rng.random(d.n) < 0.7), answers[:, j].astype(str), ""))
    d.add(
        "K6合計",
        "count|continuous",
        np.where(complete, answers.sum(axis=1).astype(str), ""),
        rule="= " + " + ".join(f"K6_{j + 1}" for j in range(6)),
    )
    d.add("生活満足度", "ordinal", d.lose(d.rng.binomial(10, 0.65, d.n), **{"99": 0.03}), {"99": "unknown"})
    d.add("自由記載", "ignore", [f"特になし{i}" if i % 3 else "" for i in range(d.n)])


def japanese_health_check(n: int = 2000, seed: int = 4) -> Made:
    """61 columns with Japanese names: ids, dates, measurements, blood, answers in words and in numbers, a K6 score."""
    d = Drawing(n, seed)
    man = _visits(d)
    _measurements(d)
    _blood_and_urine(d, man)
    _habits(d)
    _life(d)
    _history(d, man)
    _questionnaire(d)
    return d.made()


def _respondents(d: Drawing):
    """Who they are, their household and their body."""
    d.ask("respondent_id", "ignore", d.rng.permutation(d.n) + 1)
    d.ask("sex", "ignore", d.rng.integers(1, 3, d.n))
    d.ask("age", "age", d.rng.integers(18, 90, d.n))
    d.ask("region", "nominal", d.scale(1, 9))
    d.ask("marital_status", "nominal", d.scale(1, 6, -0.3), {"99": "unknown"})
    d.ask("education_level", "ordinal", d.scale(1, 6), {"77": "refused", "99": "unknown"})
    d.ask("household_size", "count", np.minimum(1 + d.rng.poisson(1.6, d.n), 9))
    d.ask("n_children", "count", d.rng.poisson(1.3, d.n))
    d.ask(
        "income", "continuous", np.exp(d.rng.normal(10.5, 0.6, d.n)).round(-2).astype(int), {"-9": "refused", "-8": "*"}
    )
    d.ask("height_cm", "continuous", d.rng.normal(168, 9, d.n).round().astype(int), {"999": "not measured"})
    d.ask("weight_kg", "continuous", d.rng.normal(74, 14, d.n).round(1), {"999": "not measured"})


def _opinions(d: Drawing):
    """Health as felt; batteries of scales of 5, 7 and 11 steps, and of yes and no."""
    d.ask("general_health", "ordinal", d.scale(1, 5, -0.3), {"7": "refused", "9": "unknown"})
    for i in range(1, 21):
        d.ask(f"att{i:02d}", "ordinal", d.scale(1, 5, d.rng.normal(0, 0.3)), {"8": "unknown", "9": "unknown"})
    for i in range(1, 11):
        d.ask(f"agree{i}", "ordinal", d.scale(1, 7, d.rng.normal(0, 0.2)), {"77": "refused", "99": "unknown"})
    for i in range(1, 13):
        d.ask(
            f"trust{i}",
            "ordinal",
            d.scale(0, 10, d.rng.normal(0, 0.2)),
            {"77": "refused", "88": "unknown", "99": "unknown"},
        )
    for i in range(1, 16):
        d.ask(f"ever_{i}", "binary", d.rng.integers(1, 3, d.n), {"7": "refused", "9": "unknown"})


def _scores(d: Drawing):
    """PHQ-9 and GAD-7 with their sums."""
    phq = np.minimum(d.rng.poisson(d.rng.gamma(1, 0.6, d.n)[:, None], (d.n, 9)), 3)
    for j in range(9):
        d.ask(f"phq{j + 1}", "ordinal", phq[:, j])
    d.ask("phq_total", "count|continuous", phq.sum(axis=1), rule="= " + " + ".join(f"phq{j + 1}" for j in range(9)))
    gad = np.minimum(d.rng.poisson(d.rng.gamma(1, 0.7, d.n)[:, None], (d.n, 7)), 3)
    for j in range(7):
        d.ask(f"gad_{j + 1}", "ordinal", gad[:, j], {"-9": "refused"}, share=0.02)
    whole = (np.column_stack([d.columns[f"gad_{j + 1}"] for j in range(7)]) != "-9").all(axis=1)
    d.ask("gad_score", "count|continuous", np.where(whole, gad.sum(axis=1).astype(str), ""),
        rule="= " + " + ".join(f"gad_{j + 1}" for j in range(7)))  # fmt: skip


def _days_and_hours(d: Drawing):
    """Smoking behind a gate; days, hours and minutes of habits."""
    smoker = d.rng.random(d.n) < 0.3
    d.ask("smoke_now", "binary", smoker.astype(int))
    d.ask("cigs_per_day", "count", np.where(smoker, d.rng.choice([5, 10, 15, 20, 8, 3], d.n).astype(str), "-7"),
        {"-7": "not asked", "888": "unknown"}, "smoke_now=1", share=0.0)  # fmt: skip
    d.columns["cigs_per_day"][smoker & (d.rng.random(d.n) < 0.05)] = "888"
    d.ask("alcohol_days", "count", d.rng.integers(0, 31, d.n), {"77": "refused", "99": "unknown"})
    d.ask("exercise_days", "count", d.scale(0, 7, -0.2))
    d.ask(
        "sleep_hours", "continuous|count", d.rng.normal(7, 1.2, d.n).round().astype(int).clip(3, 12), {"99": "unknown"}
    )
    d.ask("tv_minutes", "continuous|count", d.rng.choice(np.arange(0, 301, 30), d.n), {"888": "unknown"})


def _food_to_interview(d: Drawing):
    """Meals, symptoms, blood with limits of detection, month and date."""
    for i in range(1, 13):
        d.ask(f"freq_food{i}", "ordinal", d.scale(1, 6, d.rng.normal(0, 0.2)), {"9": "unknown"})
    for i in range(1, 9):
        d.ask(f"symptom{i}", "ordinal", d.scale(0, 4, -0.5), {"9": "unknown"})
    d.ask("blood_lead", "continuous", np.exp(d.rng.normal(0.3, 0.6, d.n)).round(2))
    d.ask(
        "cotinine",
        "continuous",
        np.where(d.rng.random(d.n) < 0.4, "<0.015", np.exp(d.rng.normal(0, 1.5, d.n)).round(3).astype(str)),
    )
    d.ask("birth_month", "nominal|ordinal|count", d.scale(1, 12))
    d.ask("interview_date", "date", (np.datetime64("2019-01-01") + d.rng.integers(0, 200, d.n)).astype(str))


def coded_survey(n: int = 3000, seed: int = 6) -> Made:
    """117 columns of a survey in numbers: codes 7/9, 77/99, -9, 888 for missing, scales, counts, batteries, gates."""
    d = Drawing(n, seed)
    _respondents(d)
    _opinions(d)
    _scores(d)
    _days_and_hours(d)
    _food_to_interview(d)
    return d.made()
