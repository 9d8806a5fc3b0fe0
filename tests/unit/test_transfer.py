"""Train on pseudo, test on real: one for real people, less for what has lost the links between items."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score, roc_auc_score

from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.evaluation.tables import encode, prepare
from pseudocohort.evaluation.transfer import choose_targets, skill, transfer_metrics
from pseudocohort.measures.catalogue import judged

KINDS = ("continuous", "continuous", "binary", "ordinal", "nominal", "binary", "continuous", "count")
CODES = {"binary": ("0", "1"), "ordinal": ("0", "1", "2"), "nominal": ("0", "1", "2")}
ITEMS = tuple(Item(f"i{j}", kind, categories=CODES.get(kind, ())) for j, kind in enumerate(KINDS))


def draw(n: int, rng: np.random.Generator, link: float = 1.0) -> pd.DataFrame:
    """Items that share a factor with weight `link`; i5 is rare (2 %), i6 is noise."""
    factor, noise = rng.normal(size=n), rng.normal(size=(n, len(KINDS)))
    latent = (link * factor[:, None] + noise) / np.hypot(1, link)
    latent[:, 6] = noise[:, 6]
    cuts = {"binary": [0.0], "ordinal": [-0.5, 0.7], "nominal": [-0.5, 0.7]}
    table = {}
    for j, kind in enumerate(KINDS):
        if kind in cuts:
            codes = np.digitize(latent[:, j], [2.05] if j == 5 else cuts[kind])
            table[f"i{j}"] = np.array(CODES[kind])[codes]
        else:
            table[f"i{j}"] = np.exp(latent[:, j])
    return pd.DataFrame(table)


def judge(real: pd.DataFrame, pseudo: pd.DataFrame) -> tuple[dict, list[dict]]:
    n = len(real)
    part = np.array(["A", "B", "train", "train"])[np.arange(n) % 4]
    people = pd.DataFrame({"sex": 1, "family": (np.arange(n) // 8).astype(str), "stratum": "x", "part": part})
    made = pseudo.assign(sex=1, stratum="x")
    nobody = pd.DataFrame(index=range(n))
    setting, *tables, _ = prepare(people, real, nobody, made, nobody, Dictionary(ITEMS), 1)
    goals, lines = transfer_metrics(setting, *tables)
    return judged([goals["transfer"]])[0], lines


def test_skill_equals_scikit_learn_with_weights_as_repeats():
    rng = np.random.default_rng(1)
    y, weights = rng.normal(size=80), rng.integers(0, 3, 80)
    p = y + rng.normal(size=80)
    assert skill(y, p, weights, False) == pytest.approx(r2_score(y, p, sample_weight=weights))
    label = (y > 0.3).astype(float)
    assert skill(label, p, weights, True) == pytest.approx(2 * roc_auc_score(label, p, sample_weight=weights) - 1)
    assert np.isnan(skill(np.ones(5), np.arange(5.0), np.ones(5, dtype=int), False))


def test_targets_are_of_mixed_types_and_neither_rare_nor_noise_nor_nominal():
    rng = np.random.default_rng(2)
    values = encode(draw(1000, rng), ITEMS)
    assert choose_targets(ITEMS, values) == [0, 1, 2, 3, 7]
    assert choose_targets(ITEMS, values, 3) in ([0, 2, 3], [1, 2, 3], [2, 3, 7])
    assert choose_targets(ITEMS, rng.permuted(values, axis=0)) == []


def test_a_second_sample_teaches_as_much_and_independent_items_nothing():
    rng = np.random.default_rng(3)
    real = draw(3000, rng)
    fair, lines = judge(real, draw(1500, rng))
    assert fair["value"] == pytest.approx(1, abs=0.06)
    assert fair["verdict"] == "within"
    assert fair["interval"][0] < 1 < fair["interval"][1]
    assert len(lines) == 5
    assert all(line["floor"] > 0.1 for line in lines)
    lost, _ = judge(real, draw(1500, rng, 0.0))
    assert lost["value"] < 0.5
    assert lost["verdict"] == "beyond"


def test_a_model_with_the_wrong_direction_is_worse_than_none():
    rng = np.random.default_rng(4)
    real = draw(2000, rng)
    turned = draw(1500, rng)
    turned["i0"] = turned["i0"].max() - turned["i0"]
    line, lines = judge(real, turned)
    assert line["verdict"] == "beyond"
    assert min(line["value"] for line in lines) < 0


def test_pseudo_people_without_an_item_teach_nothing_about_it_and_too_few_people_are_no_verdict():
    rng = np.random.default_rng(5)
    real = draw(2000, rng)
    line, lines = judge(real, draw(1000, rng).assign(i0=np.nan))
    assert next(x["value"] for x in lines if x["subject"] == "i0") <= 0
    assert np.isfinite(line["value"])
    few, lines = judge(real[:120], draw(100, rng))
    assert (few["value"], few["verdict"], lines) == (None, "not measurable", [])
    assert few["note"] == "too few people, or no item to predict"
