"""Attacks on items: each finds what was planted for it and nothing where nothing is; statistics against brute force."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import gaussian_kde

from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.disclosure import anonymeter_risks, item_evidence, items, records, shadow
from pseudocohort.disclosure.evidence import needed_for_auc
from pseudocohort.disclosure.records import Records
from pseudocohort.disclosure.roc import judged_scores
from pseudocohort.measures.line import TOO_FEW

WHAT = Dictionary(
    (
        Item("years", "continuous", role="age"),
        Item("bmi", "continuous", level="open"),
        Item("crp", "continuous", level="strong"),
        Item("births", "count", level="open"),
        Item("grade", "ordinal", categories=("low", "mid", "high"), level="open"),
        Item("blood", "nominal", categories=("A", "B", "O"), level="standard"),
        Item("visit", "date", level="open"),
    )
)


def people_table(n: int, seed: int) -> pd.DataFrame:
    """Rows of one law, in the form of the pseudo cohort's table."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3))
    table = pd.DataFrame(
        {
            "sex": rng.integers(1, 3, n),
            "age": np.round(50 + 8 * z[:, 0]),
            "stratum": rng.choice(["north", "south"], n),
            "bmi": 22 + 2 * z[:, 1] + z[:, 0],
            "crp": np.exp(z[:, 2] + rng.normal(size=n)),
            "births": rng.poisson(1.5, n).astype(float),
            "grade": np.array(["low", "mid", "high"])[np.digitize(z[:, 1] + rng.normal(size=n), [-1, 1])],
            "blood": rng.choice(["A", "B", "O"], n),
            "visit": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D"),
        }
    )
    return table.mask(rng.random(table.shape) < 0.03)


def sides(seed: int, n: int = 400, leak: bool = False) -> items.Sides:
    tables = [people_table(n, 10 * seed + k) for k in range(4)]
    if leak:
        tables[2].iloc[: n // 2] = tables[0].iloc[: n // 2]
    members, nonmembers, pseudo, reference = records.common_scale(tables, [2, 3], WHAT)
    names = np.array([f"f{i // 2}" for i in range(n)])
    return items.Sides(members, nonmembers, pseudo, reference, names, np.char.add("o", names))


def test_records_are_normal_scores_places_and_indicators():
    known, other = people_table(2000, 1), people_table(50, 2)
    one, two = records.common_scale([known, other], [0], WHAT)
    assert one.x.shape[1] == two.x.shape[1] == len(one.numeric)
    scores = one.x[:, one.numeric]
    assert scores.shape[1] == 6  # age, bmi, crp, births, grade, visit
    assert np.abs(scores.mean(axis=0)).max() < 0.05
    order = other["crp"].rank()
    column = one.x[:, np.flatnonzero(one.numeric)[2]], two.x[:, np.flatnonzero(two.numeric)[2]]
    seen = other["crp"].notna().to_numpy()
    assert (np.argsort(column[1][seen], kind="stable") == np.argsort(order[seen].to_numpy(), kind="stable")).all()
    missing = known["bmi"].isna().to_numpy()
    place = np.flatnonzero(one.numeric)[1]
    assert (one.x[missing, place] == 0).all()
    assert (one.x[:, place + 1] == missing).all()


def test_the_scale_does_not_look_at_the_targets():
    known, target = people_table(300, 1), people_table(50, 2)
    alone = records.common_scale([known, target], [0], WHAT)[1].x
    with_others = records.common_scale([known, pd.concat([target, people_table(50, 3)], ignore_index=True)], [0], WHAT)
    np.testing.assert_array_equal(with_others[1].x[:50], alone)


def test_every_attack_passes_its_controls_and_finds_a_leak_alone():
    """Six attacks, two controls: a null beyond 3.29 errors once in 1,000; no AUC of independent people beyond 4."""
    rng = np.random.default_rng(1)
    fair, leaky = items.attack_records(sides(1), rng), items.attack_records(sides(2, leak=True), rng)
    assert set(fair) == {"nearest record", "nearest record alone", "density ratio", "forest", "all"}
    for name, attack in fair.items():
        assert attack.controls["planted"]["passed"], name
        assert attack.controls["null"]["passed"], name
        assert abs(attack.judged.z) < 4, name
        assert leaky[name].judged.interval[0] > 0.5, name


def test_attacks_combined_are_known_to_have_fitted_weights(monkeypatch):
    """The error of all together, and of no other, is that of scores fitted on those whom they judge."""
    given = []

    def judged(*scores, **how):
        given.append(how.get("fitted", False))
        return judged_scores(*scores, **how)

    monkeypatch.setattr(items, "judged_scores", judged)
    found = items.attack_records(sides(4, n=60), np.random.default_rng(1))
    assert given == [name == "all" for name in found for _ in range(3)]


def test_of_few_non_members_nothing_is_judged_and_the_line_says_how_many_are_needed(monkeypatch):
    monkeypatch.setattr(item_evidence, "_risk_lines", lambda *_: ([], {}))
    made = people_table(200, 7)
    for few, enough in ((30, False), (60, True)):
        real = people_table(200 + few + 60, 6)
        people = real[["sex", "stratum"]].fillna({"sex": 0, "stratum": "north"})
        people = people.assign(family=range(len(real)), part=np.repeat(["train", "A", "B"], [200, few, 60]))
        held = real.drop(columns=["sex", "stratum"]).rename(columns={"age": "years"})
        lines, _ = item_evidence.item_evidence(people, held, made, WHAT, 1, targets=100)
        found = [line for line in lines if line["key"] == "item_membership"]
        assert len(found) == 5
        for line in found:
            assert line["details"] == {"nonmembers": few, "needed": needed_for_auc(100)}
            assert (line["reason"] == TOO_FEW) <= (not enough)
            assert enough or line["reason"] is not None
        assert enough or TOO_FEW in [line["reason"] for line in found]


def test_a_leak_that_the_null_control_should_not_have_is_seen():
    given = sides(3)
    half = np.arange(200)
    spoilt = given.pseudo.x.copy()
    spoilt[:200] = given.nonmembers.x[half]
    found = items.attack_records(given._replace(pseudo=given.pseudo._replace(x=spoilt)), np.random.default_rng(1))
    assert found["nearest record"].judged.auc < 0.5  # non-members were copied, not members


def test_distances_and_nearest_against_loops():
    rng = np.random.default_rng(1)
    x, panel, other = rng.normal(size=(30, 4)), rng.normal(size=(50, 4)), rng.normal(size=(40, 4))
    slow = np.array([np.sort([np.sqrt(((a - b) ** 2).sum()) for b in panel])[:3] for a in x])
    np.testing.assert_allclose(items.distances(x, panel, 3), slow)
    ratio = [
        np.log(np.linalg.norm(other - a, axis=1).min()) - np.log(np.linalg.norm(panel - a, axis=1).min()) for a in x
    ]
    np.testing.assert_allclose(items.nearest(x, panel, other), ratio, atol=1e-6)


def test_density_ratio_against_scipy():
    """In two dimensions that are white already, scipy's kernels with the same bandwidth say the same."""
    rng = np.random.default_rng(1)
    known = rng.normal(size=(300, 2))
    known = (known - known.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(known.T, bias=True))).T
    pseudo, reference, x = known[:200], known[200:], rng.normal(size=(20, 2))

    def log_density(panel):
        width = len(panel) ** (-1 / 6)
        kernel = gaussian_kde(panel.T, bw_method=width)
        kernel.covariance = np.eye(2) * width**2
        parts = [np.mean(np.exp(-0.5 * ((panel - p) ** 2).sum(axis=1) / width**2)) / (2 * np.pi * width**2) for p in x]
        return np.log(parts)

    np.testing.assert_allclose(items.density_ratio(x, pseudo, reference), log_density(pseudo) - log_density(reference),
                               rtol=1e-6)  # fmt: skip


@pytest.mark.parametrize("leak", [False, True])
def test_anonymeter_finds_copies_and_nothing_in_a_sample_of_the_law(leak):
    tables = [people_table(300, 40 + k) for k in range(3)]
    if leak:
        tables[2].iloc[:200] = tables[0].iloc[:200]
    plain = [anonymeter_risks.plain_table(t, WHAT) for t in tables]
    found = anonymeter_risks.risks(plain[0], plain[1], plain[2], ["blood", "crp"], 1)
    assert set(found) == {"singling out", "linkability", "inference of blood", "inference of crp"}
    for name, risk in found.items():
        assert risk.attacks == (anonymeter_risks.QUERIES if name == "singling out" else 300)
        if leak:
            assert risk.interval[0] > 0.05, name
        if not leak:
            assert risk.interval[0] < 0.05, name


def test_secrets_are_those_of_the_highest_level():
    assert anonymeter_risks.secrets_of(WHAT, list(people_table(2, 1).columns)) == ["crp", "blood", "grade", "bmi"]


@pytest.mark.parametrize("remembers", [False, True])
def test_shadow_models_tell_who_was_trained_on_only_if_the_model_remembers(remembers):
    rng = np.random.default_rng(1)
    n = 120
    rows, family = rng.normal(size=(n, 6)), np.repeat(np.arange(n // 2), 2)
    unusual = shadow.most_unusual(rows, 20)
    spread = np.array([np.sort(np.linalg.norm(rows - r, axis=1))[5] for r in rows])
    assert set(unusual) == set(np.argsort(-spread)[:20])

    def draw(chosen, number):
        made = np.random.default_rng(100 + number).normal(size=(200, 6))
        seen = rows[np.isin(family, chosen)]
        if remembers:
            made[: len(seen)] = seen + 0.01
        return Records(made, np.ones(6, dtype=bool))

    reference = Records(rng.normal(size=(100, 6)), np.ones(6, dtype=bool))
    targets = Records(rows[unusual], np.ones(6, dtype=bool))
    theirs, draws = family[unusual], np.random.default_rng(3)
    seen, found, planted = shadow.shadow_scores(draw, targets, theirs, family, reference, 12, 1)
    assert set(found) == set(planted) == {"nearest record", "density ratio"}
    for name, score in found.items():
        told = shadow.judged_shadow(score, seen, theirs, draws)
        assert (told.auc > 0.9 and told.z > 5) if remembers else abs(told.z) < 3.5, name
        leak = shadow.judged_shadow(planted[name], seen, theirs, draws)
        assert leak.auc > 0.7, name
        assert leak.interval[0] > 0.5, name


def test_rounds_that_are_alike_for_all_targets_are_no_leak(monkeypatch):
    """z is a standard normal deviate though all scores of a round move together, and families' scores do, too."""
    monkeypatch.setattr(shadow, "PERMUTATIONS", 100)
    rng, z = np.random.default_rng(5), []
    family = np.repeat(np.arange(10), 2)
    for _ in range(150):
        seen = (rng.random((4, 10)) < 0.5)[:, family]
        score = 3 * rng.normal(size=(4, 1)) + rng.normal(size=(4, 10))[:, family] + rng.normal(size=(4, 20))
        z.append(shadow.judged_shadow(score, seen, family, rng).z)
    z = np.array(z)[np.isfinite(z)]
    assert 0.8 < z.std() < 1.2
    assert abs(z.mean()) < 0.3
    none = shadow.judged_shadow(score, np.ones((4, 20), dtype=bool), family, rng)
    assert np.isnan(none.auc)


def test_more_unusual_people_than_there_are_are_all_of_them():
    rows = np.array([[0.0], [1.0], [10.0]])
    assert sorted(shadow.most_unusual(rows, 20)) == [0, 1, 2]


@pytest.mark.parametrize("remembers", [False, True])
def test_the_likelihood_has_its_controls(remembers):
    rng, n = np.random.default_rng(1), 400
    part, family = np.repeat(["train", "A", "B"], [200, 100, 100]), np.arange(n).astype(str)
    asked = []

    def likelihood(rows=None):
        asked.append(rows)
        known = np.isin(np.arange(n), rows) if rows is not None else (part == "train") & remembers
        return rng.normal(size=n) + 3 * known

    line, controls = item_evidence._likelihood_line(likelihood, part, family, 1)
    assert line["subject"] in controls
    assert line["reason"] is None
    assert line["value"] > 0.9 if remembers else abs(line["z"]) < 3.5
    assert len(asked[1]) == item_evidence.REMEMBERED
    assert (part[asked[1]] == "train").all()
    dull, controls = item_evidence._likelihood_line(lambda rows=None: rng.normal(size=n), part, family, 1)
    assert controls[line["subject"]]["planted"]["passed"] is False
    assert dull["reason"] == "control failed"


@pytest.mark.parametrize(
    ("people", "passed", "reason"), [(40, None, "too few non-members"), (300, False, "control failed")]
)
def test_a_planted_leak_that_is_not_found_is_not_judged_of_few_people(people, passed, reason, monkeypatch):
    nothing = {"singling out": anonymeter_risks.Risk(0.0, (0.0, 0.1), people)}
    monkeypatch.setattr(anonymeter_risks, "risks", lambda *_: nothing)
    lines, controls = item_evidence._risk_lines(*(people_table(people, k) for k in range(3)), WHAT, 1)
    planted = controls["singling out"]["planted"]
    assert (planted["passed"], planted.get("needed")) == (passed, item_evidence.NEEDED if passed is None else None)
    assert lines[0]["reason"] == reason


def test_the_search_for_queries_ends_where_columns_are_few():
    tables = [people_table(30, k)[["sex", "stratum", "blood"]] for k in range(3)]
    found = anonymeter_risks.risks(*(anonymeter_risks.plain_table(t, WHAT) for t in tables), [], 1)
    assert found["singling out"].value < 0.05
