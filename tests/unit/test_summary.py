"""summary.json: its schema, verdicts of groups and uses, what the terminal is told, goals of the configuration."""

import json
from pathlib import Path

import jsonschema
import pytest

import made_page
from pseudocohort.measures import catalogue
from pseudocohort.measures.line import content_digest, measure
from pseudocohort.report import uses
from pseudocohort.report.summary import groups, shortfalls, summarised, write_summary

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "workflow" / "schemas" / "summary.schema.json").read_text(encoding="utf-8")
)


def summary_of(lines, goals=None):
    return summarised({"made up": {"metrics": lines}}, goals or {})


def test_summary_fits_its_schema_and_its_digest(tmp_path):
    paths = made_page.write_run(tmp_path)
    summary = json.loads(paths["summary"].read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(summary, SCHEMA)
    assert summary["digest"] == content_digest(summary)
    assert summary["parts"] == {"measures": json.loads((tmp_path / "measures.json").read_text())["digest"]}
    assert {line["verdict"] for line in summary["metrics"]} == set(catalogue.VERDICTS)
    for broken in ({"verdict": "red"}, {"interval": [1]}, {"extra": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(summary | {"metrics": [summary["metrics"][0] | broken]}, SCHEMA)


def test_schema_names_the_catalogues_groups_and_verdicts():
    assert SCHEMA["$defs"]["group"]["enum"] == list(catalogue.GROUPS)
    assert SCHEMA["$defs"]["metric"]["properties"]["verdict"]["enum"] == list(catalogue.VERDICTS)
    assert set(SCHEMA["$defs"]["metric"]["required"]) == set(summary_of(made_page.lines())["metrics"][0])


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [(["within", "stated"], "within"), (["within", "unclear"], "unclear"), (["unclear", "beyond", "within"], "beyond"),
     (["not measurable", "within"], "within"), (["not measurable", "stated"], "not measurable"),
     (["not measurable", "not measurable", "within"], "not measurable"),
     (["not measurable", "not measurable", "beyond"], "beyond")],
)  # fmt: skip
def test_a_group_is_as_good_as_its_worst_measure(verdicts, whole):
    found = groups([{"group": "items", "verdict": verdict} for verdict in verdicts])
    names = ("within", "unclear", "beyond", "not_measurable")
    counts = {name: verdicts.count(name.replace("_", " ")) for name in names}
    assert found == [{"group": "items", "verdict": whole, "undecided": 0} | counts]


def test_a_group_without_goals_has_no_verdict():
    assert groups([{"group": "items", "verdict": "stated"}]) == []


def test_what_no_module_told_is_not_measurable_where_its_group_is_measured():
    summary = summary_of([line for line in made_page.lines() if line["key"] not in ("c2st", "transfer", "skill")])
    assert summary["absent"] == ["c2st", "transfer"]
    by_group, by_use = ({one[kind]: one for one in summary[f"{kind}s"]} for kind in ("group", "use"))
    assert (by_group["items"]["verdict"], by_group["items"]["not_measurable"]) == ("within", 2)
    assert by_use["machine_learning"]["verdict"] == "not measurable"
    assert shortfalls(summary)[-1] == "not measured in this run: c2st, transfer"
    alone = summary_of([made_page.line_of("c2st", "within")])
    assert alone["groups"][0]["verdict"] == "not measurable"  # one of all measures of the items
    assert {catalogue.catalogue()[key]["group"] for key in alone["absent"]} == {"items"}
    assert summary_of(made_page.lines())["absent"] == []


def test_a_use_is_good_only_where_two_thirds_of_its_measures_are_decided():
    def use_of(open_ones):
        lines = [line | {"interval": [-9.0, 9.0]} if line["key"] in open_ones else line for line in made_page.lines()]
        return next(use for use in summary_of(lines)["uses"] if use["use"] == "missing")

    assert uses.texts()["missing"]["measures"] == ["missing_rate", "worst_missing", "values_not_asked"]
    assert use_of(["missing_rate"])["verdict"] == "within"
    assert use_of(["missing_rate"])["undecided"] == ["missing_rate"]
    assert use_of(["missing_rate", "worst_missing"])["verdict"] == "undecided"
    lines = [line | {"interval": [-9.0, 9.0]} if line["key"] == "missing_rate" else line for line in made_page.lines()]
    found = {group["group"]: group["undecided"] for group in summary_of(lines)["groups"]}
    assert found["items"] == 1
    words = {use["name"]: use["word"] for use in uses.uses_in_words(
        {"uses": [use_of(["missing_rate", "worst_missing"])]}, "en")}  # fmt: skip
    assert words == {"handling of missing values": "too few people to tell"}


def test_measures_stand_in_the_reports_order():
    lines = made_page.lines()
    order = [line["key"] for line in summary_of(lines[::-1])["metrics"]]
    place = list(catalogue.catalogue())
    group = {key: catalogue.GROUPS.index(catalogue.catalogue()[key]["group"]) for key in place}
    assert order == sorted(order, key=lambda key: (group[key], place.index(key)))


def test_the_terminal_is_told_what_falls_short_with_number_interval_and_goal():
    ratio = measure("marginal", 0.2, ratio=1.5, interval=(1.3, 1.8))
    unclear = measure("dispersion", 1.04, interval=(1.0, 1.08))
    gap = measure("copies", 0.003, floor=0.001)
    lines = [ratio, unclear, gap, measure("rules_broken", 0), measure("skill", 0.5, subject="height"),
             measure("transfer", None, reason="too few people"), measure("c2st", None)]  # fmt: skip
    told = shortfalls(summary_of(lines))
    name = catalogue.catalogue()
    assert told[0] == "4 measures judged: 1 meet their goals, 1 are unclear, 2 fall short"
    assert told[1] == f"falls short: {name['marginal']['en']}: R 1.5 (1.3 to 1.8), goal R ≤ 1.05"
    assert told[2].endswith("floor +0.002, goal ≤ floor")
    assert told[3] == f"unclear: {name['dispersion']['en']}: 1.04 (1 to 1.08), goal 0.97 to 1.03"
    assert told[4] == "not measurable: 2 (no number; too few people)"
    assert told[5].startswith("not measured in this run: ")
    assert len(told) == 6


def test_goals_of_the_configuration_change_verdicts_and_nothing_else(tmp_path):
    line = measure("marginal", 0.2, ratio=1.5, interval=(1.3, 1.8))
    strict, mild, none = (
        summary_of([line], goals)["metrics"][0] for goals in ({}, {"marginal": {"at_most": 2}}, {"marginal": None})
    )
    assert [s["verdict"] for s in (strict, mild, none)] == ["beyond", "within", "stated"]
    assert mild["goal"] == "R ≤ 2"
    judged = {"verdict", "goal", "criterion"}
    assert {k: v for k, v in strict.items() if k not in judged} == {k: v for k, v in mild.items() if k not in judged}


def test_summary_counts_every_line_of_every_part(tmp_path):
    paths = made_page.write_run(tmp_path)
    parts = {"one": tmp_path / "measures.json", "two": tmp_path / "measures.json"}
    once, twice = json.loads(paths["summary"].read_text()), write_summary(tmp_path / "twice.json", parts, {})
    assert len(twice["metrics"]) == 2 * len(once["metrics"])


def test_uses_rest_on_measures_with_goals_in_both_languages():
    known = catalogue.catalogue()
    for use, entry in uses.texts().items():
        assert set(entry) <= {"en", "ja", "text", "measures", "never", "count"}
        assert entry.get("never") or entry["measures"]
        assert entry["en"]
        assert entry["ja"]
        assert set(entry["text"]) == {"en", "ja"}
        for key in entry.get("measures", []):
            assert key in known, f"{use}: {key}"
        goals = [catalogue.goal_of(key) for key in entry.get("measures", [])]
        assert entry.get("never") or 2 * sum(goal is not None for goal in goals) > len(goals), use
    never = [use for use, entry in uses.texts().items() if entry.get("never")]
    assert never == ["gene_environment", "dominance", "rare_variants", "outside_scores", "singletons", "families"]


def test_a_use_falls_short_with_any_of_its_measures():
    def found(verdicts):
        told = {use["use"]: use for use in summary_of(made_page.lines(verdicts))["uses"]}
        return {name: (use["verdict"], use["falls_short"], use["unclear"]) for name, use in told.items()}

    missed = found({"c2st": "beyond"})
    assert missed["machine_learning"] == ("beyond", ["c2st"], [])
    assert missed["missing"] == ("within", [], [])
    assert missed["dominance"] == ("never kept", [], [])
    blind = dict.fromkeys(("missing_rate", "worst_missing"), "not measurable")
    assert found(blind)["missing"] == ("not measurable", [], [])
    assert found({"spectrum": "beyond"})["singletons"] == ("never kept", ["spectrum"], [])
    assert found({"transfer": "unclear"})["machine_learning"] == ("unclear", [], ["transfer"])
    assert {use["verdict"] for use in summary_of([])["uses"]} == {"not measurable", "never kept"}


def test_uses_in_words_of_both_languages():
    summary = summary_of(made_page.lines({"c2st": "beyond"}))
    english = {use["name"]: use["word"] for use in uses.uses_in_words(summary, "en")}
    name = catalogue.catalogue()["c2st"]
    assert english["machine learning on items"] == f"misses goals (falls short: {name['en']})"
    assert english["dominance and epistasis"] == "never kept"
    open_one = {use["name"]: use["word"] for use in uses.uses_in_words(
        summary_of(made_page.lines({"transfer": "unclear"})), "en")}  # fmt: skip
    transfer = catalogue.catalogue()["transfer"]["en"]
    assert open_one["machine learning on items"] == f"unclear ({transfer})"
    japanese = {use["name"]: use["word"] for use in uses.uses_in_words(summary, "ja")}
    assert japanese["項目を用いた機械学習"] == f"未達の目標あり（未達：{name['ja']}）"
