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


def japanese_health_check(n: int = 2000, seed: int = 4) -> Made:
    """61 columns with Japanese names: ids, dates, measurements, blood, answers in words and in numbers, a K6 score."""
    rng = np.random.default_rng(seed)
    columns: dict[str, np.ndarray] = {}
    truth: dict[str, Truth] = {}

    def add(name, types, cells, codes=None, asked_if="", rule=""):
        columns[name] = np.asarray(cells).astype(object)
        truth[name] = Truth(types, codes or {}, asked_if, rule)

    def lose(cells, share=0.05, **codes):
        """Empty cells, and codes in a share of the others."""
        cells = np.asarray(cells).astype(str).astype(object)
        for code, part in codes.items():
            cells[rng.random(n) < part] = code
        cells[rng.random(n) < share] = ""
        return cells

    def words(*labels, p=None):
        return rng.choice(np.array(labels, dtype=object), n, p=p)

    def normal(mean, sd, digits):
        return np.array([f"{v:.{digits}f}" for v in rng.normal(mean, sd, n)])

    def skewed(median, spread, digits):
        return np.array([f"{v:.{digits}f}" for v in median * np.exp(rng.normal(0, spread, n))])

    man = rng.random(n) < 0.45
    add("受診者番号", "ignore", 100000 + rng.permutation(n))
    add("性別", "ignore", np.where(man, "男", "女"))
    add("年齢", "age", rng.integers(20, 80, n))
    visit = np.datetime64("2015-04-01") + rng.integers(0, 700, n)
    add("受診日", "date", visit.astype(str))
    add("採血日", "date", [str(d).replace("-", "/") for d in visit + rng.integers(0, 20, n)])
    add("身長(cm)", "continuous", lose(normal(163, 9, 1)))
    add("体重(kg)", "continuous", lose(normal(60, 11, 1)))
    add("BMI", "continuous", lose(normal(22.5, 3, 1)))
    add("腹囲", "continuous", lose(normal(82, 9, 1), 未測定=0.04), {"未測定": "not measured"})
    high = rng.normal(125, 16, n).round()
    low = np.minimum((high * 0.6 + rng.normal(0, 8, n)).round(), high - 5)
    add("収縮期血圧", "continuous", lose(high.astype(int)))
    add("拡張期血圧", "continuous", lose(low.astype(int)), rule="<= 収縮期血圧")
    add("脈拍", "continuous", lose(rng.normal(70, 9, n).round().astype(int)))
    add("握力_右", "continuous", lose(normal(30, 8, 1), 測定せず=0.03), {"測定せず": "not measured"})
    add("骨密度", "continuous", lose(normal(0.9, 0.12, 3), 0.3))
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
        add(name, "continuous", lose(skewed(median, spread, digits)), rule=rule)
    crp = np.exp(rng.normal(-3, 1.1, n)).round(2)
    add("CRP", "continuous", lose(np.where(crp < 0.05, "<0.05", crp.astype(str))))
    psa = np.exp(rng.normal(0, 0.7, n)).round(2)
    psa_cells = np.where(psa < 0.3, np.where(rng.random(n) < 0.3, "感度以下", "<0.3"), psa.astype(str))
    add("PSA", "continuous", np.where(man, psa_cells, ""), {"感度以下": "below limit"}, "sex=male")
    add("尿蛋白", "ordinal", lose(words("(-)", "(±)", "(1+)", "(2+)", p=[0.8, 0.1, 0.07, 0.03])))
    add("尿糖", "ordinal", lose(words("-", "±", "+", "2+", p=[0.9, 0.05, 0.03, 0.02])))
    smoke = words("吸わない", "以前吸っていた", "吸っている", p=[0.55, 0.25, 0.2])
    add("喫煙", "ordinal", lose(smoke, 0.0, 拒否=0.02), {"拒否": "refused"})
    smokes = columns["喫煙"] != "吸わない"
    add(
        "1日の喫煙本数",
        "count",
        np.where(smokes, rng.choice([5, 10, 15, 20, 30, 12], n).astype(str), ""),
        asked_if="喫煙=以前吸っていた|吸っている",
    )
    add("飲酒頻度", "ordinal", lose(words("飲まない", "月に1~3日", "週に1~2日", "週に3~5日", "毎日"), 0.03))
    add(
        "運動習慣",
        "ordinal",
        lose(words("ほとんどしない", "週に1回", "週に2~3回", "ほぼ毎日"), 不明=0.05),
        {"不明": "unknown"},
    )
    add("主観的健康感", "ordinal", lose(words("よい", "まあよい", "ふつう", "あまりよくない", "よくない")))
    add("食事の味付け", "ordinal", lose(words("薄味", "普通", "濃い味")))
    add("歩く速さ", "ordinal", lose(words("遅い", "ふつう", "速い")))
    add("職業", "nominal", lose(words("会社員", "公務員", "自営業", "農業", "主婦", "無職")))
    add("居住地区", "nominal", lose(rng.integers(1, 9, n)))
    add("婚姻状況", "nominal", lose(rng.integers(1, 5, n)))
    add("血液型", "nominal", lose(words("A", "B", "O", "AB", p=[0.38, 0.22, 0.3, 0.1])))
    add(
        "最終学歴",
        "ordinal",
        lose(words("中学校", "高校", "短大・専門学校", "大学・大学院"), 無回答=0.03),
        {"無回答": "unknown"},
    )
    for name in ("高血圧の既往", "糖尿病の既往", "脳卒中の既往"):
        add(name, "binary", lose(words("なし", "あり", p=[0.9, 0.1])))
    add("服薬中", "binary", lose(words("いいえ", "はい")))
    add("閉経", "binary", np.where(man, "", words("なし", "あり")), asked_if="sex=female")
    add("妊娠回数", "count", np.where(man, "", rng.poisson(2, n).astype(str)), asked_if="sex=female")
    add("睡眠時間", "continuous", lose(rng.choice([5, 5.5, 6, 6.5, 7, 7.5, 8], n)))
    add("子供の人数", "count", lose(rng.poisson(1.5, n)))
    add("同居人数", "count", lose(rng.poisson(1.9, n)))
    answers = rng.binomial(4, np.clip(rng.beta(1, 4, n), 0, 1)[:, None], (n, 6))
    complete = rng.random(n) < 0.95
    for j in range(6):
        add(f"K6_{j + 1}", "ordinal", np.where(complete | (rng.random(n) < 0.7), answers[:, j].astype(str), ""))
    add(
        "K6合計",
        "count|continuous",
        np.where(complete, answers.sum(axis=1).astype(str), ""),
        rule="= " + " + ".join(f"K6_{j + 1}" for j in range(6)),
    )
    add("生活満足度", "ordinal", lose(rng.binomial(10, 0.65, n), **{"99": 0.03}), {"99": "unknown"})
    add("自由記載", "ignore", [f"特になし{i}" if i % 3 else "" for i in range(n)])
    return Made(pd.DataFrame(columns, dtype="str"), truth)


def coded_survey(n: int = 3000, seed: int = 6) -> Made:
    """117 columns of a survey in numbers: codes 7/9, 77/99, -9, 888 for missing, scales, counts, batteries, gates."""
    rng = np.random.default_rng(seed)
    columns: dict[str, np.ndarray] = {}
    truth: dict[str, Truth] = {}

    def add(name, types, values, codes=None, asked_if="", rule="", share=0.03):
        cells = np.asarray(values).astype(str).astype(object)
        for code in codes or {}:
            cells[(rng.random(n) < share) & (cells != "")] = code
        columns[name] = cells
        truth[name] = Truth(types, codes or {}, asked_if, rule)

    def scale(low, high, tilt=0.0):
        weight = np.exp(tilt * np.arange(high - low + 1))
        return rng.choice(np.arange(low, high + 1), n, p=weight / weight.sum())

    add("respondent_id", "ignore", rng.permutation(n) + 1)
    add("sex", "ignore", rng.integers(1, 3, n))
    add("age", "age", rng.integers(18, 90, n))
    add("region", "nominal", scale(1, 9))
    add("marital_status", "nominal", scale(1, 6, -0.3), {"99": "unknown"})
    add("education_level", "ordinal", scale(1, 6), {"77": "refused", "99": "unknown"})
    add("household_size", "count", np.minimum(1 + rng.poisson(1.6, n), 9))
    add("n_children", "count", rng.poisson(1.3, n))
    add("income", "continuous", np.exp(rng.normal(10.5, 0.6, n)).round(-2).astype(int), {"-9": "refused", "-8": "*"})
    add("height_cm", "continuous", rng.normal(168, 9, n).round().astype(int), {"999": "not measured"})
    add("weight_kg", "continuous", rng.normal(74, 14, n).round(1), {"999": "not measured"})
    add("general_health", "ordinal", scale(1, 5, -0.3), {"7": "refused", "9": "unknown"})
    for i in range(1, 21):
        add(f"att{i:02d}", "ordinal", scale(1, 5, rng.normal(0, 0.3)), {"8": "unknown", "9": "unknown"})
    for i in range(1, 11):
        add(f"agree{i}", "ordinal", scale(1, 7, rng.normal(0, 0.2)), {"77": "refused", "99": "unknown"})
    for i in range(1, 13):
        add(
            f"trust{i}",
            "ordinal",
            scale(0, 10, rng.normal(0, 0.2)),
            {"77": "refused", "88": "unknown", "99": "unknown"},
        )
    for i in range(1, 16):
        add(f"ever_{i}", "binary", rng.integers(1, 3, n), {"7": "refused", "9": "unknown"})
    phq = np.minimum(rng.poisson(rng.gamma(1, 0.6, n)[:, None], (n, 9)), 3)
    for j in range(9):
        add(f"phq{j + 1}", "ordinal", phq[:, j])
    add("phq_total", "count|continuous", phq.sum(axis=1), rule="= " + " + ".join(f"phq{j + 1}" for j in range(9)))
    gad = np.minimum(rng.poisson(rng.gamma(1, 0.7, n)[:, None], (n, 7)), 3)
    for j in range(7):
        add(f"gad_{j + 1}", "ordinal", gad[:, j], {"-9": "refused"}, share=0.02)
    whole = (np.column_stack([columns[f"gad_{j + 1}"] for j in range(7)]) != "-9").all(axis=1)
    add("gad_score", "count|continuous", np.where(whole, gad.sum(axis=1).astype(str), ""),
        rule="= " + " + ".join(f"gad_{j + 1}" for j in range(7)))  # fmt: skip
    smoker = rng.random(n) < 0.3
    add("smoke_now", "binary", smoker.astype(int))
    add("cigs_per_day", "count", np.where(smoker, rng.choice([5, 10, 15, 20, 8, 3], n).astype(str), "-7"),
        {"-7": "not asked", "888": "unknown"}, "smoke_now=1", share=0.0)  # fmt: skip
    columns["cigs_per_day"][smoker & (rng.random(n) < 0.05)] = "888"
    add("alcohol_days", "count", rng.integers(0, 31, n), {"77": "refused", "99": "unknown"})
    add("exercise_days", "count", scale(0, 7, -0.2))
    add("sleep_hours", "continuous|count", rng.normal(7, 1.2, n).round().astype(int).clip(3, 12), {"99": "unknown"})
    add("tv_minutes", "continuous|count", rng.choice(np.arange(0, 301, 30), n), {"888": "unknown"})
    for i in range(1, 13):
        add(f"freq_food{i}", "ordinal", scale(1, 6, rng.normal(0, 0.2)), {"9": "unknown"})
    for i in range(1, 9):
        add(f"symptom{i}", "ordinal", scale(0, 4, -0.5), {"9": "unknown"})
    add("blood_lead", "continuous", np.exp(rng.normal(0.3, 0.6, n)).round(2))
    add(
        "cotinine",
        "continuous",
        np.where(rng.random(n) < 0.4, "<0.015", np.exp(rng.normal(0, 1.5, n)).round(3).astype(str)),
    )
    add("birth_month", "nominal|ordinal|count", scale(1, 12))
    add("interview_date", "date", (np.datetime64("2019-01-01") + rng.integers(0, 200, n)).astype(str))
    return Made(pd.DataFrame(columns, dtype="str"), truth)
