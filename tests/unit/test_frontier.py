"""The frontier of protections, founder_share, and what evaluation says of protected genomes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from linked_cohort import write_linked
from pseudocohort import config
from pseudocohort.cohort.maps import read_map
from pseudocohort.disclosure import frontier as front
from pseudocohort.disclosure.frontier import Setting, frontier, settings_of
from pseudocohort.disclosure.utility import Groups, correlation, diversity, effects_slope, site_pairs, utility
from pseudocohort.errors import InputError
from pseudocohort.genome.founders import founded_of, founders_of, pedigree_of
from pseudocohort.measures.catalogue import PROTECTED, judged, without_theory
from pseudocohort.measures.line import TOO_FEW, measure
from pseudocohort.report import style, words
from pseudocohort.report.figure_frontier import LABELS
from pseudocohort.report.figure_frontier import frontier as draw

PEDIGREE = {"founders": "all", "mating": "balanced", "avoid_kin": "none", "migration": 0}
WINDOWS = {"minimum_allele_count": 3, "k_anonymous": {"share": 0.02, "most": 3, "window_cm": 0.5}}
SETTINGS = [Setting("mendelian", 2), Setting("founder share", 2, 0.5), Setting("this run", 2, None, WINDOWS),
            Setting("null", 2)]  # fmt: skip


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return write_linked(tmp_path_factory.mktemp("linked"), 700, 20, 2, 4)


@pytest.fixture(scope="module")
def found(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("private")
    return run(cohort, SETTINGS, folder), folder


def run(cohort, settings, folder, seed=3):
    line = read_map(cohort.maps["21"], "21")
    return frontier(cohort.real["21"], cohort.people, line, "21", seed, settings, PEDIGREE, {}, folder)


def test_reproduction_is_found_and_the_null_control_finds_nothing(found):
    mendelian, halved, windows, null = found[0]["points"]
    assert mendelian["combined"]["auc"] > 0.8
    assert mendelian["best"]["auc"] > 0.8
    assert 0.55 < halved["combined"]["auc"] < mendelian["combined"]["auc"]
    assert windows["combined"]["auc"] < mendelian["combined"]["auc"]
    low, high = null["combined"]["interval"]
    assert low < 0.55
    assert high > 0.45
    assert null["best"]["auc"] < 0.68


def test_the_interval_of_the_combined_is_that_of_fitted_scores(cohort, tmp_path, monkeypatch):
    given, judged = [], front.roc.judged_scores
    monkeypatch.setattr(front.roc, "judged_scores", lambda *x, **how: given.append(how) or judged(*x, **how))
    run(cohort, SETTINGS[:1], tmp_path)
    assert given == [{"fitted": True}]


def test_what_protection_costs_is_seen(found):
    mendelian, _, windows, null = (point["utility"] for point in found[0]["points"])
    assert mendelian["ld"] < 1
    assert 0.9 < mendelian["slope"] < 1.1
    assert windows["ld"] > mendelian["ld"]
    assert windows["sites_kept"] < mendelian["sites_kept"]
    assert null["frequency"] > mendelian["frequency"]


def test_nothing_of_single_people_is_told_or_left(found, cohort):
    content, folder = found
    assert not list(folder.iterdir())
    text = json.dumps(content)
    assert not [person for person in cohort.people["person"] if f'"{person}"' in text]
    part = cohort.people["part"].value_counts()
    assert content["left_out"] == []
    assert 0.9 * part["train"] / 2 < content["sample"].pop("members") < 1.1 * part["train"] / 2
    assert content["sample"] == {"founders": part["train"], "nonmembers": part["A"],
                                 "reference": part["B"], "sites": content["sample"]["sites"], "chromosome": "21",
                                 "cm": content["sample"]["cm"]}  # fmt: skip


def test_a_setting_that_the_founders_do_not_allow_is_left_out(cohort, tmp_path, caplog):
    strict = Setting("this run", 2, None, {"k_anonymous": {"k": 5000, "most": 1, "window_cm": 0.5}})
    content = run(cohort, [strict], tmp_path)
    assert content["points"] == []
    assert [s["kind"] for s in content["left_out"]] == ["this run"]
    assert "this run, 2 generations: too few founders" in caplog.text
    assert draw(content) is None


def test_the_same_seed_gives_the_same_numbers(found, cohort, tmp_path):
    again = run(cohort, SETTINGS[2:3], tmp_path)
    assert again["points"] == found[0]["points"][2:3]


def test_too_small_a_holdout_is_told(cohort, tmp_path):
    people = cohort.people.assign(part=cohort.people["part"].replace("B", "train"))
    people.loc[people.index[:6], "part"] = "B"
    small = cohort._replace(people=people)
    with pytest.raises(InputError, match=r"part B of the holdout: 6 people\n.*disclosure\.frontier\n.*at least 20"):
        run(small, SETTINGS, tmp_path)
    assert not list(tmp_path.iterdir())


def test_settings_are_compared_once():
    own = {"generations": 10, "founder_share": None, "protection": {}}
    presets = config.load_presets()
    found = settings_of(own, presets)
    assert [s.generations for s in found if s.kind == "mendelian"] == [2, 5, 10, 20, 50]
    assert [s.kind for s in found if s.kind in ("this run", "null")] == ["null"]
    assert "this run" not in [s.kind for s in settings_of(own | {"protection": presets["protected"]}, presets)]
    other = settings_of(own | {"generations": 7, "founder_share": 0.8}, presets)
    assert other[-2] == Setting("this run", 7, 0.8, {})
    assert {s.kind for s in other} <= set(front.KINDS) == set(LABELS)


@pytest.fixture
def groups():
    rng = np.random.default_rng(1)
    latent = rng.normal(size=(1, 400)) * 0.7 + np.cumsum(rng.normal(size=(200, 400)), axis=0) * 0.2
    alleles = (latent > rng.normal(1.0, 0.5, size=(200, 1))).astype(np.int8)
    return Groups(alleles[:, :200], alleles[:, 200:300], alleles[:, 300:])


def test_correlation_is_that_of_numpy(groups):
    left, right = np.array([0, 5, 9]), np.array([3, 60, 10])
    expected = [np.corrcoef(groups.founders[i], groups.founders[j])[0, 1] for i, j in zip(left, right, strict=True)]
    np.testing.assert_allclose(correlation(groups.founders, left, right), expected, atol=1e-5)
    fixed = np.vstack([np.ones(10, np.int8), np.arange(10) % 2])
    assert correlation(fixed, np.array([0]), np.array([1])) == [0]


def test_diversity_is_that_of_counting(groups):
    alleles, n = groups.founders, groups.founders.shape[1]
    kinds = [list(map(tuple, alleles[w : w + 8].T)) for w in range(0, 200, 8)]
    expected = [n / (n - 1) * (1 - sum((k.count(x) / n) ** 2 for x in set(k))) for k in kinds]
    assert diversity(alleles) == pytest.approx(np.mean(expected))
    assert np.isnan(diversity(alleles[:7]))


def test_pairs_of_sites_are_so_far_apart():
    cm = np.sort(np.random.default_rng(2).uniform(0, 3, 300))
    sites = np.arange(0, 300, 2)
    left, right = site_pairs(cm, sites, (0.1, 0.5), 500, np.random.default_rng(0))
    assert len(left) == 500
    assert set(left) | set(right) <= set(sites)
    assert ((cm[right] - cm[left] >= 0.1) & (cm[right] - cm[left] < 0.5)).all()
    assert len(site_pairs(cm, sites, (5.0, 6.0), 500, np.random.default_rng(0))[0]) == 0


def test_slope_is_one_of_the_founders_themselves_and_none_of_unlinked_genomes(groups):
    cm, rng = np.linspace(0, 4, 200), np.random.default_rng
    same = Groups(groups.founders, groups.founders, groups.founders)
    assert effects_slope(same, cm, np.arange(200), rng(0)) == pytest.approx((1, 1))
    unlinked = groups._replace(pseudo=rng(5).permuted(groups.pseudo, axis=1))
    slope, floor = effects_slope(unlinked, cm, np.arange(200), rng(0))
    assert abs(slope) < 0.2
    assert 0.8 < floor < 1.2
    found = utility(unlinked, cm, rng(0))
    assert abs(found["ld_near"]) < 0.2
    assert found["ld"] > 2
    assert found["diversity"] > 1.05


def people_of(families: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    family = np.repeat(np.arange(families), rng.integers(1, 5, families))
    lineage = ("father_code", "mother_code", "father_father_code", "father_mother_code", "mother_father_code",
               "mother_mother_code")  # fmt: skip
    part = np.where(family % 5 == 0, "A", "train")
    return pd.DataFrame({"person": [f"p{i}" for i in range(len(family))], "family": [f"f{f}" for f in family],
                         "sex": rng.integers(1, 3, len(family)).astype(np.int8), "stratum": "all", "part": part,
                         "unrelated": ~pd.Series(family).duplicated()} | dict.fromkeys(lineage, -1))  # fmt: skip


def test_founder_share_takes_whole_families_by_the_seed():
    people = people_of(300)
    everyone, half = founders_of(people), founders_of(people, "all", 0.5, 7)
    chosen = people.iloc[half.rows]
    assert set(half.rows) < set(everyone.rows)
    assert len(everyone.rows) / 2 <= len(half.rows) < len(everyone.rows) / 2 + 4
    trained = people[people["part"] == "train"]
    assert len(chosen) == trained["family"].isin(chosen["family"]).sum()
    assert founders_of(people, "all", 0.5, 7).rows.tolist() == half.rows.tolist()
    assert founders_of(people, "all", 0.5, 8).rows.tolist() != half.rows.tolist()
    assert founders_of(people, "all", 1.0, 7).rows.tolist() == everyone.rows.tolist()
    unrelated = founders_of(people, "unrelated", 0.5, 7).rows
    assert people["unrelated"][unrelated].all()


def test_a_withdrawn_family_changes_few_of_the_founders():
    people = people_of(300)
    before = set(people["family"].iloc[founders_of(people, "all", 0.5, 7).rows])
    gone = sorted(before)[3]
    rest = people[people["family"] != gone].reset_index(drop=True)
    after = set(rest["family"].iloc[founders_of(rest, "all", 0.5, 7).rows])
    assert before - after == {gone}
    assert len(after - before) <= 4


def test_the_pedigree_and_the_families_are_those_of_the_share():
    people = people_of(300)
    recipe = {"founders": "all", "founder_share": 0.5, "people": 80, "generations": 2, "mating": "balanced",
              "population": None, "avoid_kin": "none", "migration": 0}  # fmt: skip
    founders = founders_of(people, "all", 0.5, 7)
    assert len(pedigree_of(people, recipe, 7).sex[0]) == len(founders.rows)
    family, stratum = founded_of(people, founders)
    assert len(family) == len(stratum) == 2 * len(founders.rows)
    names = people["family"].iloc[founders.rows].to_numpy()
    for i, j in ((0, 1), (0, 5), (3, 40)):
        assert (family[2 * i] == family[2 * j + 1]) == (names[i] == names[j])
    assert family.max() + 1 == len(set(names))


def test_protected_genomes_are_not_judged_by_the_theory_of_reproduction():
    lines = [measure("drift", 0.4, ratio=4.0), measure("frequency", 0.1, ratio=2.0), measure("kin_third", 3.0, z=9.0),
             measure("roh_total", 0.1, ratio=2.0, reason=TOO_FEW)]  # fmt: skip
    assert [line["reason"] for line in without_theory(lines)] == [PROTECTED, None, PROTECTED, TOO_FEW]
    verdicts = [line["verdict"] for line in judged(without_theory(lines))]
    assert verdicts == ["not measurable", "beyond", "not measurable", "not measurable"]
    assert "reproduction alone" in judged(without_theory(lines))[0]["note"]


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_figure_in_both_languages(found, tmp_path, language):
    with words.language(language):
        style.drawn(draw, found[0], tmp_path / "frontier.svg")
    text = (tmp_path / "frontier.svg").read_text(encoding="utf-8")
    assert ("陰性対照" in text) == (language == "ja")
    assert ("null control" in text) == (language == "en")
    english = [t for t in words.translations("ja") if len(t) > 12 and f">{t}<" in text]
    assert language == "en" or english == []
    caption = Path(style.__file__).parents[3] / "workflow/report" / ("ja" if language == "ja" else ".") / "frontier.rst"
    assert caption.exists()
