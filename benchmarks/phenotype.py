"""How near the network and the independent marginals come to a second real sample, on one table.

    python benchmarks/phenotype.py [--table FILE.csv --dictionary FILE.tsv --sex COLUMN] [--splits 2] [key=value ...]

key=value are network settings. Without --table: NHANES from ../shared/data with the dictionary drafted here,
or, where that is absent, a simulated table. The table is split at random in three: training, A and B. Every
distance is D(pseudo, A) / D(B, A), so 1 is the noise floor and the goal. C2ST: gradient boosting, A against
pseudo, 5-fold area under the curve. A score is planted: a standard normal that shifts numeric items.
"""

import argparse
import logging
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp, norm, rankdata
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_predict
from sklearn.preprocessing import OrdinalEncoder

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from pseudocohort.cohort.dictionary import Dictionary, Item, draft_dictionary, read_dictionary, structurally_missing
from pseudocohort.phenotype.decoding import exact_copies
from pseudocohort.phenotype.marginal import sample_marginals
from pseudocohort.phenotype.sampling import sample_people
from pseudocohort.phenotype.training import train_network

NHANES = Path(__file__).resolve().parents[2] / "shared/data/health_tables/nhanes_nh432.csv"
DROPPED = ("SEQN", "SEX", "WTINTPRP", "WTMECPRP")
SKIPS = {name: (("sex", ("female",)),) for name in ("EVERPREG", "PREGS")}


def nhanes() -> tuple[pd.DataFrame, Dictionary, np.ndarray]:
    """(items and AGE, dictionary, sex codes); binary and text items as category codes."""
    raw = pd.read_csv(NHANES)
    order = {
        "SROH": ["Poor", "Fair", "Good", "Very Good", "Excellent"],
        "FOODSEC": ["Very Low", "Low", "Marginal", "Full"],
        "PHQ9_CAT": ["minimal", "mild", "moderate", "moderately severe", "severe"],
        "DEPRDIFF": ["Not at all", "Somewhat", "Very", "Extremely"],
        "SNORE": ["Never", "Rarely", "Occasionally", "Frequently"],
        "WTGOAL": ["Less", "Same", "More"],
        "SUNSCR": ["Never", "Rarely", "Sometimes", "Most of the time", "Always"],
        "EDUC": ["Less than 9th Grade", "9th - 11th Grade", "High School Grad", "Some College / AA", "College Grad"],
    }
    order["DIETQUAL"] = order["SROH"]
    rows, table = [], {}
    for name in raw.columns.drop(list(DROPPED)):
        values = raw[name]
        numeric = pd.api.types.is_numeric_dtype(values)
        if name == "AGE":
            rows.append(Item(name=name, type="continuous", role="age", decimals=0))
        elif numeric and values.nunique() > 2:
            whole = (values.dropna() % 1 == 0).all()
            rows.append(Item(name=name, type="count" if whole else "continuous", asked_if=SKIPS.get(name, ())))
        else:
            values = values.map({0.0: "0", 1.0: "1"}) if numeric else values
            codes = tuple(order.get(name, sorted(values.dropna().unique())))
            kind = "binary" if len(codes) == 2 else "ordinal" if name in order else "nominal"
            rows.append(Item(name=name, type=kind, categories=codes, asked_if=SKIPS.get(name, ())))
        table[name] = values
    sex = raw["SEX"].map({"Male": 1, "Female": 2}).to_numpy(dtype=np.int8)
    return pd.DataFrame(table), Dictionary(tuple(rows)), sex


def simulated(n: int = 3900, seed: int = 1) -> tuple[pd.DataFrame, Dictionary, np.ndarray]:
    """Twelve skewed numeric, six binary, six ordinal items of four shared factors; 5 % missing."""
    random = np.random.default_rng(seed)
    latent = random.normal(size=(n, 4)) @ random.normal(size=(4, 24)) / 2 + random.normal(size=(n, 24)) * 0.7
    table, rows = {"age": np.round(random.uniform(30, 79, n))}, [Item(name="age", type="continuous", role="age")]
    for j, values in enumerate(latent.T):
        name, kind = f"item{j}", ("continuous", "binary", "ordinal")[(j >= 12) + (j >= 18)]
        if kind == "continuous":
            column = pd.Series(np.round(np.exp(values / 2), 2))
        else:
            cuts = [0.8] if kind == "binary" else [-0.8, 0.3, 1.2]
            column = pd.Series(np.digitize(values, cuts).astype(str))
        table[name] = column.mask(random.random(n) < 0.05)
        codes = () if kind == "continuous" else ("0", "1") if kind == "binary" else ("0", "1", "2", "3")
        rows.append(Item(name=name, type=kind, categories=codes))
    return pd.DataFrame(table), Dictionary(tuple(rows)), random.integers(1, 3, n).astype(np.int8)


def plant(table: pd.DataFrame, dictionary: Dictionary, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(table with shifted items, scores): every fifth continuous item moves by 0.4 SD (in rank) with a score each."""
    random = np.random.default_rng(seed)
    table, scores = table.copy(), {}
    for name in [i.name for i in dictionary.items if i.type == "continuous"][::3]:
        scores[name] = random.normal(size=len(table))
        known = table[name].notna().to_numpy()
        values = table.loc[known, name].to_numpy()
        moved = norm.ppf((rankdata(values) - 0.5) / len(values)) + 0.4 * scores[name][known]
        table.loc[known, name] = np.sort(values)[rankdata(moved, method="ordinal").astype(int) - 1]
    return table, pd.DataFrame(scores)


def normal_scores(table: pd.DataFrame, dictionary: Dictionary) -> pd.DataFrame:
    """Rank-based normal scores of ordered items and 0/1 columns of nominal categories and missing values."""
    columns = {}
    for item in dictionary.items:
        values = table[item.name]
        if item.type == "nominal":
            for code in item.categories[1:]:
                columns[f"{item.name}={code}"] = (values == code).astype(float).where(values.notna())
        else:
            numbers = values if not item.categories else values.map({c: i for i, c in enumerate(item.categories)})
            numbers = numbers.astype(float)
            columns[item.name] = norm.ppf((numbers.rank() - 0.5) / numbers.notna().sum())
        if 0.01 < values.isna().mean() < 0.99:
            columns[f"{item.name} missing"] = values.isna().astype(float)
    return pd.DataFrame({k: pd.Series(np.asarray(v)) for k, v in columns.items()})


def marginal_distances(a: pd.DataFrame, b: pd.DataFrame, dictionary: Dictionary) -> np.ndarray:
    """Per item: KS distance or total variation, plus the difference of the missing rate."""
    out = []
    for item in dictionary.items:
        x, y = a[item.name], b[item.name]
        if item.categories:
            p, q = (v.value_counts(normalize=True).reindex(list(item.categories), fill_value=0) for v in (x, y))
            distance = np.abs(p - q).sum() / 2
        else:
            distance = ks_2samp(x.dropna(), y.dropna(), method="asymp").statistic
        out.append(distance + abs(x.isna().mean() - y.isna().mean()))
    return np.array(out)


def c2st(a: pd.DataFrame, b: pd.DataFrame, seed: int) -> float:
    """Area under the curve of gradient boosting that tells a from b (5-fold), 0.5 where it cannot."""
    both = pd.concat([a, b], ignore_index=True)
    text = [c for c in both if not pd.api.types.is_numeric_dtype(both[c])]
    plain = both[text].astype(object).where(both[text].notna(), np.nan)
    both[text] = OrdinalEncoder(encoded_missing_value=-1).fit_transform(plain)
    label = np.repeat([0, 1], [len(a), len(b)])
    p = cross_val_predict(
        HistGradientBoostingClassifier(max_iter=60, random_state=seed),
        both.to_numpy(float),
        label,
        cv=5,
        method="predict_proba",
    )[:, 1]
    rank = rankdata(p)
    return (rank[label == 1].mean() - (len(b) + 1) / 2) / len(a)


def links(table: pd.DataFrame, scores: pd.DataFrame, dictionary: Dictionary) -> np.ndarray:
    """Slopes of every ordered item's normal scores on every score."""
    values = normal_scores(table, dictionary)[[i.name for i in dictionary.items if i.type != "nominal"]]
    s = (scores - scores.mean()) / scores.std()
    return np.array([[np.nanmean(values[v].to_numpy() * s[k].to_numpy()) for v in values] for k in s])


def judge(pseudo, pseudo_scores, real: dict, scores: dict, dictionary: Dictionary, sex, seed: int) -> dict:
    """The line of the table for one model; real, scores: train, A, B."""
    a, b, names = real["A"], real["B"], list(dictionary.names)
    floor, reached = marginal_distances(b, a, dictionary), marginal_distances(pseudo, a, dictionary)
    correlation = {}
    for key, table in (("A", a), ("B", b), ("pseudo", pseudo)):
        correlation[key] = normal_scores(table, dictionary).corr(min_periods=50)
    shared = sorted(set.intersection(*(set(c.columns) for c in correlation.values())))
    upper = np.triu_indices(len(shared), 1)
    r = {k: c.loc[shared, shared].to_numpy()[upper] for k, c in correlation.items()}
    fine = np.isfinite(r["A"]) & np.isfinite(r["B"]) & np.isfinite(r["pseudo"])
    truth = (r["A"] + r["B"]) / 2
    large = fine & (np.abs(truth) > 0.1)
    link = {
        "A": links(a, scores["A"], dictionary),
        "B": links(b, scores["B"], dictionary),
        "pseudo": links(pseudo, pseudo_scores, dictionary),
    }
    true_link = (link["A"] + link["B"]) / 2
    strong = np.abs(true_link) > 0.15
    rule = structurally_missing(dictionary, pseudo, sex) & pseudo[names].notna().to_numpy()

    def rms(x, y, where):
        return np.sqrt(np.mean((x - y)[where] ** 2))

    return {
        "marginal R": reached.mean() / floor.mean(),
        "worst item R": (reached / np.maximum(floor, floor.mean())).max(),
        "correlation R": rms(r["pseudo"], r["A"], fine) / rms(r["B"], r["A"], fine),
        "slope": (r["pseudo"] * truth)[large].sum() / (truth**2)[large].sum(),
        "link R": rms(link["pseudo"], link["A"], ...) / rms(link["B"], link["A"], ...),
        "link slope": (link["pseudo"] * true_link)[strong].sum() / (true_link**2)[strong].sum(),
        "C2ST": c2st(a[names], pseudo[names], seed),
        "C2ST floor": c2st(a[names], b[names], seed),
        "rules broken": int(rule.sum()),
        "copies": exact_copies(pseudo[names], real["train"][names]),
    }


def one_split(table, dictionary, sex, settings: dict, seed: int) -> pd.DataFrame:
    """Network (raw and calibrated) and marginals on one random split in three."""
    table, scores = plant(table, dictionary, seed)
    part = np.array_split(np.random.default_rng(seed).permutation(len(table) // 3 * 3), 3)
    parts = dict(zip(("train", "A", "B"), part, strict=True))
    real = {k: table.iloc[v].reset_index(drop=True) for k, v in parts.items()}
    score = {k: scores.iloc[v].reset_index(drop=True) for k, v in parts.items()}
    people = pd.DataFrame({"sex": sex[parts["train"]], "stratum": "all", "family": parts["train"].astype(str)})
    random = np.random.default_rng([seed, 1])  # pseudo people: new scores, sexes shuffled
    new = pd.DataFrame({k: random.normal(size=len(people)) for k in scores})
    new_sex = random.permutation(people["sex"].to_numpy())
    begin = time.monotonic()
    model = train_network(real["train"], people, score["train"], dictionary, settings, seed)
    trained = time.monotonic() - begin
    rows = {}
    for name, calibrate in (("network, no calibration", False), ("network", True)):
        begin = time.monotonic()
        pseudo = sample_people(model, new, new_sex, people["stratum"], seed, calibrate=calibrate)
        taken = {"train s": trained, "sample s": time.monotonic() - begin}
        rows[name] = judge(pseudo, new, real, score, dictionary, new_sex, seed) | taken
    begin = time.monotonic()
    pseudo = sample_marginals(real["train"], people, dictionary, new_sex, people["stratum"], None, seed)
    taken = {"train s": 0.0, "sample s": time.monotonic() - begin}
    rows["marginals"] = judge(pseudo, new, real, score, dictionary, new_sex, seed) | taken
    return pd.DataFrame(rows).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table")
    parser.add_argument("--dictionary")
    parser.add_argument("--sex", help="column with 1/2 or male/female")
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--splits", type=int, default=2)
    parser.add_argument("settings", nargs="*")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = {k: float(v) if "." in v else int(v) for k, v in (s.split("=") for s in options.settings)}
    if options.table:
        raw = pd.read_csv(options.table)
        dictionary = read_dictionary(options.dictionary) if options.dictionary else draft_dictionary(raw.astype(str))
        sex = raw[options.sex].replace({"male": 1, "female": 2}).to_numpy(dtype=np.int8)
        table = raw
        for item in dictionary.items:
            if item.categories:
                table[item.name] = raw[item.name].map(
                    lambda v: v if isinstance(v, str) else f"{v:g}", na_action="ignore"
                )
    elif NHANES.exists() and not options.simulated:
        table, dictionary, sex = nhanes()
    else:
        table, dictionary, sex = simulated()
    tables = [one_split(table, dictionary, sex, settings, seed) for seed in range(1, options.splits + 1)]
    print(f"\n{len(table)} people, {len(dictionary.items)} items, mean of {options.splits} splits; floor: R = 1")
    print((sum(tables) / len(tables)).round(3).to_string())


if __name__ == "__main__":
    main()
