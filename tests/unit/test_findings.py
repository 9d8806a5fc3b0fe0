"""Studies of scores and items: regressions against statsmodels; findings that are kept, lost and made up."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import norm
from scipy.stats import t as t_distribution
from statsmodels.stats.multitest import multipletests

from evaluation_cohort import DICTIONARY, TRAITS, make_items, make_people, make_scores, pseudo_frame, shuffled
from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.evaluation.findings import _expected, finding_metrics, finding_table
from pseudocohort.evaluation.regressions import Fit, cells, discoveries, interactions, regress
from pseudocohort.evaluation.tables import prepare
from pseudocohort.measures.catalogue import judged
from pseudocohort.report import style, words
from pseudocohort.report.figures_findings import findings, score_item_heatmap


def columns(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (n, 3), y (n, 4) with missing values, covariates (n, 3); the last y is of one sex, the one before of 12."""
    age = rng.normal(size=n)
    z = np.column_stack([age, age**2, rng.choice([-1.0, 1.0], n)])
    x = rng.normal(size=(n, 3)) + 0.5 * z[:, :1]
    y = x @ rng.normal(size=(3, 4)) * 0.3 + z @ rng.normal(size=(3, 4)) + rng.normal(size=(n, 4))
    x[rng.random(x.shape) < 0.1] = np.nan
    y[rng.random(y.shape) < 0.2] = np.nan
    y[12:, 2] = np.nan
    y[z[:, 2] > 0, 3] = np.nan
    return x, y, z


def test_slopes_of_all_pairs_equal_statsmodels_with_and_without_each_group():
    rng = np.random.default_rng(1)
    x, y, z = columns(300, rng)
    group = rng.integers(0, 4, 300)
    fit = regress(x, y, z, group, 4)
    for g in range(-1, 4):
        for i in range(3):
            for j in (0, 1, 3):
                rows = ~np.isnan(x[:, i]) & ~np.isnan(y[:, j]) & (group != g)
                terms = z[rows, :2] if j == 3 else z[rows]  # one sex alone
                oracle = sm.OLS(y[rows, j], sm.add_constant(np.column_stack([terms, x[rows, i]]))).fit()
                found = [v[g + 1, i, j] for v in fit]
                expected = [oracle.params[-1], oracle.bse[-1], oracle.pvalues[-1], rows.sum()]
                np.testing.assert_allclose(found, expected, rtol=1e-7)
    assert np.isnan(fit.p[:, :, 2]).all()  # twelve people are too few


def test_many_columns_in_blocks_equal_one_by_one_and_a_covariate_is_no_study(monkeypatch):
    rng = np.random.default_rng(2)
    x, y, z = columns(200, rng)
    x[:, 1] = 3 * z[:, 0] - z[:, 2]
    whole = regress(x, y, z)
    monkeypatch.setattr("pseudocohort.evaluation.regressions.BLOCK", 1)
    for a, b in zip(whole, regress(x, y, z), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)
    assert np.isnan(whole.beta[0, 1]).all()
    assert np.isfinite(whole.beta[0, [0, 2]][:, [0, 1, 3]]).all()


def test_interactions_equal_statsmodels():
    rng = np.random.default_rng(3)
    score, (_, y, z) = rng.normal(size=(300, 3)), columns(300, rng)
    y[:, 0] += 0.5 * score[:, 1] * z[:, 2]
    fit = interactions(score, z[:, 2], y, z)
    for t in range(3):
        for j in (0, 1):
            rows = ~np.isnan(y[:, j])
            terms = np.column_stack([z[rows], score[rows, t], score[rows, t] * z[rows, 2]])
            oracle = sm.OLS(y[rows, j], sm.add_constant(terms)).fit()
            found = [v[t, j] for v in fit]
            np.testing.assert_allclose(found, [oracle.params[-1], oracle.bse[-1], oracle.pvalues[-1], rows.sum()])
    assert np.isnan(fit.p[:, 2:]).all()  # twelve people; one sex alone has no interaction with it
    assert fit.p[1, 0] < 1e-6


def test_discoveries_equal_statsmodels():
    p = np.concatenate([np.random.default_rng(4).random(80) ** 4, [np.nan, np.nan]])
    for found, method in zip(discoveries(p), ("bonferroni", "fdr_bh"), strict=True):
        oracle = multipletests(p[:80], 0.05, method)[0]
        assert found.tolist() == [*oracle, False, False]
        assert 0 < found.sum() < 80
    assert not np.any(discoveries(np.array([0.9, 0.8])))


def test_cells_equal_a_loop_over_pairs():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(60, 2)), rng.normal(size=(60, 2))
    x[:, 0], y[:, 1] = 3.0 * (x[:, 0] > 0.8), -2.0 * (y[:, 1] > 1)
    x[rng.random(x.shape) < 0.2] = np.nan
    found = cells(x, y, np.array([True, False]), np.array([False, True]))
    both = ~np.isnan(x[:, :, None]) & ~np.isnan(y[:, None])
    assert found[1, 0] == both[:, 1, 0].sum()
    assert found[0, 0] == min((both[:, 0, 0] & (x[:, 0] == v)).sum() for v in (0, 3))
    assert found[1, 1] == min((both[:, 1, 1] & (y[:, 1] == v)).sum() for v in (0, -2))
    table = pd.crosstab(x[both[:, 0, 1], 0], y[both[:, 0, 1], 1])
    assert found[0, 1] == table.to_numpy().min()


@pytest.fixture(scope="module")
def world():
    """Real people, their items and scores, and pseudo people of the same law."""
    rng, n = np.random.default_rng(6), 3000
    people, scores, new = make_people(n, rng), make_scores(n, rng), make_scores(n, rng)
    real = make_items(people["sex"].to_numpy(), scores[list(TRAITS)].to_numpy(), rng)
    sex = rng.integers(1, 3, n)
    pseudo = pseudo_frame(sex, make_items(sex, new[list(TRAITS)].to_numpy(), rng), rng)
    return people, real, scores, pseudo, new


SIMPLE = Dictionary(tuple(Item(f"i{j}", "continuous") for j in range(12)))


def simple(n: int, rng: np.random.Generator, effect: float = 0.3, factor: float = 0.4):
    """(items, scores): each item follows from its own score and from one factor."""
    scores = rng.normal(size=(n, 12))
    items = effect * scores + factor * rng.normal(size=(n, 1)) + rng.normal(size=(n, 12))
    return pd.DataFrame(items, columns=SIMPLE.names), pd.DataFrame(scores, columns=SIMPLE.names)


def study_simple(seed: int, change=lambda items, scores, rng: items, **law) -> tuple[dict, dict]:
    rng, n = np.random.default_rng(seed), 2000
    people = make_people(n, rng)
    real, scores = simple(n, rng)
    items, new = simple(n, rng, **law)
    made = pd.concat([people[["sex", "stratum"]], change(items, new, rng)], axis=1)
    lines, arrays = finding_metrics(*prepare(people, real, scores, made, new, SIMPLE, 1))
    return {line["key"]: line for line in judged(lines)}, arrays


def study(world, pseudo=None, baseline=None):
    people, real, scores, own, new = world
    tables = prepare(people, real, scores, own if pseudo is None else pseudo, new, DICTIONARY, 1, baseline)
    lines, arrays = finding_metrics(*tables)
    return {line["key"]: line for line in judged(lines)}, arrays


KEYS = ("score_findings_kept", "item_findings_kept", "score_findings_true", "item_findings_true")


def test_findings_of_the_same_law_are_kept_and_true_and_intervals_as_wide_as_the_ratios_spread():
    rows = [study_simple(seed)[0] for seed in range(24)]
    verdicts = [lines[key]["verdict"] for lines in rows for key in KEYS]
    assert verdicts.count("within") + verdicts.count("unclear") == len(verdicts)
    assert sum(lines["item_findings_true"]["details"]["false"] for lines in rows) <= 4
    for key in KEYS:
        gap = np.array([lines[key]["value"] - lines[key]["floor"] for lines in rows])
        assert abs(gap.mean()) < 3 * gap.std() / np.sqrt(len(gap)) + 1e-9
    for key in ("item_findings_kept", "item_findings_true"):
        ratios = np.log([lines[key]["ratio"] for lines in rows])
        widths = [np.log(lines[key]["interval"][1] / lines[key]["interval"][0]) for lines in rows]
        reach = 2 * t_distribution.ppf(0.975, 19)
        assert 0.6 * ratios.std() < np.mean(widths) / reach < 1.7 * ratios.std()


def test_lost_links_and_halved_effects_are_seen():
    lost = study_simple(50, lambda items, scores, rng: items.apply(lambda c: rng.permutation(c)))[0]
    assert lost["item_findings_kept"]["verdict"] == lost["score_findings_kept"]["verdict"] == "beyond"
    assert lost["item_findings_true"]["reason"] == "fewer than ten significant associations"
    unlinked = study_simple(51, effect=0.0)[0]
    assert unlinked["score_findings_kept"]["verdict"] == "beyond"
    assert unlinked["item_findings_kept"]["verdict"] in ("within", "unclear")
    weak = study_simple(52, factor=0.15)[0]
    assert weak["item_findings_kept"]["verdict"] == "beyond"

    def reverse(items, scores, rng):
        return items.assign(**{f"i{j}": -items[f"i{j}"] for j in range(4)})

    turned = study_simple(53, reverse)[0]
    assert turned["item_findings_kept"]["verdict"] == turned["item_findings_true"]["verdict"] == "beyond"


def test_halved_effects_of_scores_are_seen_though_the_weights_have_seen_the_founders():
    """In the holdout the scores explain less than among the founders; that must not excuse pseudo people."""
    rng, n = np.random.default_rng(54), 2000
    people = make_people(n, rng)
    real, scores = simple(n, rng, effect=0.26)
    held = (people["part"] != "train").to_numpy()
    weak, their = simple(int(held.sum()), rng, effect=0.07)
    real.loc[held], scores.loc[held] = weak.to_numpy(), their.to_numpy()
    found = {}
    for effect in (0.26, 0.13):
        items, new = simple(n, rng, effect=effect)
        made = pd.concat([people[["sex", "stratum"]], items], axis=1)
        lines, _ = finding_metrics(*prepare(people, real, scores, made, new, SIMPLE, 1))
        found[effect] = next(line for line in judged(lines) if line["key"] == "score_findings_kept")
    assert found[0.26]["verdict"] == "within"
    assert found[0.13]["verdict"] == "beyond"
    assert found[0.13]["value"] > 0.9 * found[0.13]["details"]["holdout"]  # with the holdout as floor it would pass


def test_expected_share_of_findings_is_what_simulated_second_studies_find():
    rng = np.random.default_rng(55)
    truth, se, other, c = rng.exponential(0.06, 40_000), 0.025, 0.05, 3.5
    beta = truth + se * rng.normal(size=truth.size)
    fits = [Fit(b[None, None], np.full((1, 1, truth.size), s), np.zeros((1, 1, truth.size)), None)
            for b, s in ((beta, se), (truth + other * rng.normal(size=truth.size), other))]  # fmt: skip
    chosen = (np.abs(beta) > c * se)[None]
    tested = np.ones((1, round(0.05 / 2 / norm.sf(c))), bool)
    again = ((fits[1].beta[0] / other > 1.96) & chosen)[chosen].mean()
    assert 1 < again / _expected(fits[0], fits[1], chosen, tested)[0] < 1.2  # a cautious expectation
    naive = norm.cdf(beta[chosen[0]] / other - 1.96).mean()
    assert again < naive


def test_mixed_items_with_missing_values_are_studied_beside_the_baseline(world):
    _, real, _, pseudo, _ = world
    mixed = pseudo_frame(pseudo["sex"].map({"male": 1, "female": 2}).to_numpy(),
                         shuffled(real, np.random.default_rng(7)), np.random.default_rng(8))  # fmt: skip
    lines, arrays = study(world, baseline=mixed)
    line = lines["item_findings_kept"]
    assert line["verdict"] in ("within", "unclear")
    assert line["baseline"] < 0.2 < 0.8 < line["ratio"]
    assert line["details"]["tests"] == len(arrays["findings/item/row"])
    assert lines["score_findings_kept"]["reason"] == "fewer than ten significant associations"
    assert lines["score_findings_kept"]["details"]["findings"] >= 4
    assert lines["interaction_chi2"]["value"] == pytest.approx(1, abs=0.35)


def test_a_link_that_real_people_lack_is_false(world):
    _, _, _, pseudo, new = world
    noise = np.random.default_rng(9).normal(size=(len(pseudo), 4))
    made_up = pseudo.assign(
        **{name: pseudo[name] + scale * (new["bmi"] + noise[:, k])
           for k, (name, scale) in enumerate((("glucose", 10), ("height", 4), ("crp", 1), ("cigarettes", 3)))}
    )  # fmt: skip
    lines, arrays = study(world, made_up)
    table = finding_table(arrays, "score")
    false = table[table["verdict"] == "false"]
    assert {("bmi", "glucose"), ("bmi", "height"), ("bmi", "crp")} <= set(
        zip(false["score"], false["item"], strict=True)
    )
    assert lines["score_findings_true"]["details"]["false"] >= 3


def test_an_interaction_with_sex_that_pseudo_people_lack_is_told(world):
    people, real, scores, pseudo, new = world
    turned = real.assign(bmi=real["bmi"] + 2.5 * scores["height"] * (people["sex"] == 2))
    lines, _ = study((people, turned, scores, pseudo, new))
    line = lines["interactions_kept"]
    assert line["details"]["findings"] >= 1
    assert line["value"] <= 0.5 <= line["floor"]
    assert lines["interaction_chi2"]["floor"] > lines["interaction_chi2"]["value"] + 1


def test_the_tables_hold_no_slope_of_few_real_people_and_sort_by_the_founders(world):
    _, arrays = study(world)
    for kind, names in (("score", ["score", "item"]), ("item", ["item_1", "item_2"])):
        table = finding_table(arrays, kind)
        assert list(table.columns[:2]) == names
        assert table["p_real"].is_monotonic_increasing
        assert table["n_real"].min() >= 20
        assert not (table[["n_real", "n_holdout"]] % 10).any().any()
        for column in ("beta_real", "se_real", "p_real", "p_holdout"):  # from more digits n would follow
            seen = table[column].dropna()
            assert (seen == seen.map(lambda x: float(f"{x:.2e}"))).all()
        assert set(table.loc[table["n_holdout"] < 20, "beta_holdout"].isna()) <= {True}
        assert set(table["verdict"]) <= {"kept", "lost", "false", ""}
        assert not (table["verdict"] == "kept")[table["in_real"] == ""].any()
    assert len(finding_table({}, "item")) == 0
    pairs = finding_table(arrays, "item")
    assert not (pairs["item_1"].str.startswith("diet") & pairs["item_2"].str.startswith("diet")).any()
    assert "age" not in set(pairs["item_1"]) | set(pairs["item_2"])


def test_findings_are_drawn_in_both_languages(world, tmp_path):
    _, arrays = study(world)
    names = [item.name for item in DICTIONARY.items]
    arrays |= {"items/names": names, "items/labels": names, "items/labels_ja": [f"項目{k}" for k in range(len(names))]}
    for language, known in (("en", ("Pseudo − real", "diet = rice")), ("ja", ("疑似 − 実", "項目8 = rice"))):
        with words.language(language):
            for name, draw in (("findings", findings), ("heatmap", score_item_heatmap)):
                style.drawn(draw, arrays, tmp_path / f"{name}.{language}.svg")
        text = (tmp_path / f"heatmap.{language}.svg").read_text(encoding="utf-8")
        assert all(word in text for word in known)
    found = arrays["findings/item/found_real"] == 2
    told = f"{(found & arrays['findings/item/again']).sum()} of {found.sum()} found again"
    assert told in (tmp_path / "findings.en.svg").read_text(encoding="utf-8")
    assert findings({}) is score_item_heatmap({}) is None
