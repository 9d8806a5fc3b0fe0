"""The gate: complete evidence opens it, every planted fault keeps it shut."""

import base64
import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.cohort.digests import people_digest, people_facts
from pseudocohort.errors import InputError
from pseudocohort.measures import catalogue as book
from pseudocohort.measures.line import measure, save_evidence, save_lines
from pseudocohort.release import gate
from pseudocohort.release.levels import above_level
from release_run import (
    CONTROLS,
    RELEASE,
    asked,
    attacked,
    audit,
    cohort,
    files_of,
    short,
    write_evidence,
)


def disclosed(results: Path, part: str, lines: list[dict]) -> None:
    """Other lines in a file of disclosure, and a summary and an audit that fit."""
    name = f"disclosure/{part}.json"
    facts = people_facts(cohort())
    save_lines(results / name, lines, people=facts, controls=CONTROLS, files=files_of(results))
    digests = {n: json.loads((results / n).read_text())["digest"] for n in gate.EVIDENCE[1:]}
    save_evidence(results / gate.SUMMARY, {"metrics": [], "parts": digests, "people": facts})
    audit(results, cohort())


def test_utility_may_fall_short_but_disclosure_may_not(results):
    write_evidence(results, cohort(), auc=0.61)
    found = short(asked(results))
    assert list(found) == ["goals"]
    assert found["goals"][0] == "genome_membership: 0.61 (beyond; goal ≤ 0.6)"
    looser = {key: {"at_most": 0.7} for key in gate.BOUND}
    answer = asked(results, goals=looser)
    assert answer["complete"]
    assert answer["changed_goals"][0] == "genome_membership: ≤ 0.7 (written: ≤ 0.6)"
    assert len(answer["changed_goals"]) == len(looser)


def test_a_required_goal_cannot_be_taken_away(results):
    write_evidence(results, cohort(), auc=0.99)
    nothing = dict.fromkeys(gate.BOUND)
    found = short(asked(results, goals=nothing))
    assert found == {"goals": [f"{key}: its goal was removed" for key in nothing]}


@pytest.mark.parametrize(
    "key", ["genome_membership", "relative_true_positives_1", "copied_windows", "shadow_membership"]
)
@pytest.mark.parametrize(
    ("goal", "told"),
    [
        (None, "its goal was removed"),
        ({"at_least": 0.1}, "its goal has no upper bound (at_most)"),
        ({"at_most": float("inf")}, "its goal has no upper bound (at_most)"),
        ({"at_most": None}, "its goal was removed"),
        ({"of": "value"}, "its goal was removed"),
        ({"of": "z", "at_most": 100}, "its goal is one of z, not of value"),
    ],
)
def test_a_goal_that_is_bound_cannot_be_bent(results, key, goal, told):
    assert f"{key}: {told}" in short(asked(results, goals={key: goal}))["goals"]
    assert asked(results, goals={key: {"of": "value", "at_most": 0.7}})["complete"]


SPOILT = {
    "no people": {"people": None},
    "no lines": {"metrics": "none"},
    "lines that are none": {"metrics": [1]},
    "a line of no measure": {"metrics": [measure("made_up", 1.0)]},
    "a text for a number": {"metrics": [measure("utility", 1.0) | {"value": "1"}]},
    "half an interval": {"metrics": [measure("utility", 1.0) | {"interval": [1]}]},
    "no controls": {"controls": None},
    "controls that are none": {"controls": {"haplotypes": {"planted": None}}},
    "files that are none": {"files": {"a": []}},
}


@pytest.mark.parametrize("name", [gate.SUMMARY, "disclosure/genomes.json"])
@pytest.mark.parametrize("how", SPOILT)
def test_evidence_of_another_form_is_told_and_no_crash(results, name, how):
    content = json.loads((results / name).read_text()) | SPOILT[how]
    save_evidence(results / name, content)
    audit(results, cohort())
    assert name in short(asked(results))["evidence_intact"]


@pytest.mark.parametrize("text", ['{"people": NaN}', '{"metrics": [Infinity]}', "[" * 10**5])
def test_no_json_is_told_and_no_crash(results, text):
    (results / "disclosure/items.json").write_text(text)
    answer = asked(results)
    assert "disclosure/items.json" in short(answer)["evidence_intact"]
    (results / "audit.json").write_text(text)
    assert "audit.json: other people, or changed since it was written" in short(asked(results))["evidence_current"]


def test_files_that_are_missing_or_spoilt_are_told_and_no_crash(results):
    (results / "synthetic/phenotypes.parquet").unlink()
    (results / "synthetic/scores.parquet").write_bytes(b"PAR1, but no table")
    (results / "synthetic/genotypes/chr22.psam").write_text("#FID\n")
    (results / "synthetic/phenotypes.tsv.gz").write_bytes(b"no gzip")
    found = short(asked(results, release=RELEASE | {"level": "standard", "genotypes_level": "open"}))
    assert found["files"] == ["phenotypes.parquet"]
    assert {
        f"{name}: the ids of its people cannot be read" for name in ("scores.parquet", "genotypes/chr22.psam")
    } == set(found["people"])
    assert [text.split(" (")[0] for text in found["traces"]] == [
        "phenotypes.tsv.gz: cannot be looked through", "scores.parquet: cannot be looked through"]  # fmt: skip
    assert [text.split(" (")[0] for text in found["levels"][:2]] == [
        "phenotypes.tsv.gz cannot be read", "scores.parquet cannot be read"]  # fmt: skip


def test_evidence_that_does_not_tell_what_is_asked_is_refused(results):
    for lines, controls in (([], CONTROLS), (attacked("items", 0.5), {"made up": CONTROLS["haplotypes"]}),
                            (attacked("items", 0.5)[:1], {"haplotypes": {"planted": {"passed": "no"}}})):  # fmt: skip
        write_evidence(results, cohort())
        save_lines(results / "disclosure/items.json", lines, people=people_facts(cohort()), controls=controls,
                   files=files_of(results))  # fmt: skip
        assert "controls" in short(asked(results))


def test_evidence_about_other_files_is_refused(results):
    """Another genotype file, audited anew: no attack has read it."""
    (results / "synthetic/genotypes/chr22.pgen").write_bytes(b"the real one")
    audit(results, cohort())
    found = short(asked(results))
    assert found == {"evidence_current": ["synthetic/genotypes/chr22.pgen: the attacks have seen another"]}


def test_a_file_slipped_into_the_associations_is_not_released_and_one_outside_the_audit_refused(results):
    (results / "association/synthetic/zz_rows.tsv.gz").write_bytes(gzip.compress(b"rows"))
    audit(results, cohort())
    answer = asked(results)
    assert answer["complete"]
    assert not any("zz_rows" in name for name in answer["files"])
    (results / "synthetic/vcf/chr22.vcf.gz").write_bytes(gzip.compress(b"##other\n"))
    assert short(asked(results)) == {"evidence_current": ["vcf/chr22.vcf.gz: changed since it was made"]}


def test_an_interval_that_reaches_the_goal_is_not_enough(results):
    disclosed(results, "genomes", attacked("genomes", 0.62, reach=0.04))
    found = short(asked(results))
    assert "unclear" in found["goals"][0]


def test_of_membership_the_whole_interval_must_meet_the_goal_and_needed_people_are_told(results):
    lines = attacked("genomes", 0.56, reach=0.08, nonmembers=200)
    disclosed(results, "genomes", lines)
    found = short(asked(results))
    assert list(found) == ["goals"]
    text = "within, but its 95 % interval, 0.48 to 0.64, reaches beyond: 200 non-members, about 800 would do"
    assert found["goals"][0] == f"genome_membership: 0.56 ({text} if the value stays; goal ≤ 0.6)"
    assert len(found["goals"]) == 4
    disclosed(results, "genomes", [line | {"interval": None} for line in lines])
    assert "without an interval" in short(asked(results))["goals"][0]
    disclosed(results, "genomes", attacked("genomes", 0.56, reach=0.03))
    disclosed(results, "items", [line | {"interval": [0, 0.9]} if line["key"] == "anonymeter_risk" else line
                                 for line in attacked("items", 0.5)])  # fmt: skip
    assert asked(results)["complete"]  # the risk's interval is told and not judged


def test_every_measure_of_membership_with_a_goal_is_judged_by_its_interval():
    known = {key for key, entry in book.catalogue().items() if entry["group"] == "disclosure" and "goal" in entry}
    assert {key for key in known if key.endswith(("_membership", "_true_positives_1"))} == set(gate.SURE)
    assert set(gate.BOUND) <= known


@pytest.mark.parametrize(
    ("key", "value", "floor", "verdict"),
    [
        ("copied_windows", 0.82, 0.57, "beyond"),  # 1 cM of the demo, `mendelian`
        ("copied_windows", 0.60, 0.57, "within"),
        ("near_copies", 0.001, 0.0, "beyond"),
        ("near_copies", 0.002, 0.002, "within"),
        ("few_families", 0.0001, None, "beyond"),
        ("few_families", 0.0, None, "within"),
    ],
)
def test_goals_of_copies_and_of_rare_alleles(key, value, floor, verdict):
    assert book.judged([measure(key, value, floor=floor)])[0]["verdict"] == verdict


def test_controls_that_cannot_be_judged_keep_the_gate_shut_and_tell_how_many_are_needed(results):
    few = {"haplotypes": {"planted": {"passed": None, "needed": 120}, "null": {"passed": None}}}
    write_evidence(results, cohort(), controls=few)
    found = short(asked(results))
    assert list(found) == ["controls"]
    assert found["controls"][:2] == [
        "disclosure/genomes.json: haplotypes: too few to judge the planted control; 120 are needed",
        "disclosure/genomes.json: haplotypes: too few to judge the null control",
    ]


def test_copies_must_be_told_and_meet_their_goals(results):
    lines = attacked("genomes", 0.5)
    disclosed(results, "genomes", [line for line in lines if line["key"] != "near_copies"])
    assert short(asked(results)) == {"controls": ["disclosure/genomes.json: nothing is told of near_copies"]}
    more = [line | {"value": 0.9} if line["key"] == "few_families" else line for line in lines]
    disclosed(results, "genomes", more)
    assert short(asked(results)) == {"goals": ["few_families: 0.9 (beyond; goal ≤ 0.6)"]}


def test_no_number_is_not_enough(results):
    write_evidence(results, cohort(), auc=np.nan)
    assert "no number (not measurable" in short(asked(results))["goals"][0]


@pytest.mark.parametrize("control", [{}, {"haplotypes": {"planted": {"passed": False}, "null": {"passed": True}}},
                                     {"haplotypes": {"planted": {"passed": True}}}])  # fmt: skip
def test_an_attack_without_a_working_control_is_no_evidence(results, control):
    write_evidence(results, cohort(), controls=control)
    assert list(short(asked(results))) == ["controls"]


@pytest.mark.parametrize("name", gate.EVIDENCE)
def test_evidence_edited_by_hand_is_refused(results, name):
    path = results / name
    content = json.loads(path.read_text()) | {"note": "looks fine"}
    path.write_text(json.dumps(content))
    audit(results, cohort())
    assert short(asked(results))["evidence_intact"] == [name]


def test_evidence_exchanged_for_that_of_another_run_is_refused(results):
    save_lines(results / "disclosure/items.json", attacked("items", 0.5), people=people_facts(cohort()),
               controls=CONTROLS, files=files_of(results))  # fmt: skip
    audit(results, cohort())
    assert short(asked(results)) == {"evidence_intact": ["disclosure/items.json"]}


def test_missing_evidence_is_named(results):
    (results / "disclosure/joint.json").unlink()
    found = short(asked(results))
    assert found["evidence_there"] == ["disclosure/joint.json"]
    assert "evidence/disclosure/joint.json" in found["files"]
    (results / "disclosure/genomes.json").write_text("{")
    assert "disclosure/genomes.json" in short(asked(results))["evidence_intact"]


def test_another_person_makes_all_evidence_stale(results):
    fewer = cohort()[1:]
    assert people_digest(fewer) != people_digest(cohort())
    assert people_digest(cohort().sample(frac=1, random_state=1)) == people_digest(cohort())
    found = short(asked(results, people=fewer))
    assert len(found["evidence_current"]) == len(gate.EVIDENCE) + 1


def test_withdrawn_and_real_ids(results):
    found = short(asked(results, withdrawn={"JP-00003-Q"}))
    assert found == {"people": ["fewer than 5 withdrawn people are in the cohort"]}
    (results / "report.html").write_text("<td>GONE-1</td>")
    audit(results, cohort())
    found = short(asked(results, withdrawn={"GONE-1"}))
    assert found == {"traces": ["evidence/report.html: an id of a real person"]}
    (results / "report.html").write_text("<td></td>")
    table = pd.read_parquet(results / "synthetic/scores.parquet")
    table.loc[3, "person"] = "JP-00003-Q"
    table.to_parquet(results / "synthetic/scores.parquet")
    audit(results, cohort())
    found = short(asked(results))
    assert found["people"][0] == "ids of real people among the pseudo people"
    assert found["traces"] == ["scores.parquet: an id of a real person in column person"]
    assert "JP-00003-Q" not in json.dumps(found)


def test_a_known_seed_an_item_above_the_level_and_an_empty_datasheet(results):
    found = short(asked(results, seed_is_known=True, release=RELEASE | {"level": "standard", "contact": " "}))
    assert found == {
        "seed": ["the configuration names the seed"],
        "levels": [
            "genotypes, with scores, sex and stratum, are strong, the release is standard",
            "item income is strong: phenotypes.tsv.gz, phenotypes.parquet, dictionary.tsv",
        ],
        "datasheet": ["release.contact"],
    }
    found = short(asked(results, release=RELEASE | {"expires": "2001-01-01"}))
    assert found == {"datasheet": ["release.expires: the day is past"]}


def test_items_without_a_level_keep_the_gate_shut_and_are_named(results):
    for name in ("real", "synthetic"):
        (results / name / "dictionary.tsv").write_text("item\ttype\nbmi\tcontinuous\nincome\tcount\n")
    audit(results, cohort())
    told = "no level is given to 2 rows of the dictionary, so they count as strong: bmi, income"
    assert short(asked(results)) == {"levels": [told]}
    lower = RELEASE | {"level": "open", "genotypes_level": "open"}
    found = short(asked(results, release=lower))["levels"]
    assert [text.split(":")[0] for text in found[1:]] == ["item bmi is strong", "item income is strong"]


def pictured(svg: str) -> str:
    return f'<img src="data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}">'


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("evidence/evaluation/items.json", lambda p: p.write_text('{"metrics": [{"subject": "income"}]}')),
        ("evidence/evaluation/items.json", lambda p: p.write_text('{"metrics": [{"subject": "inference of income"}]}')),
        ("evidence/evaluation/heritability.json", lambda p: p.write_text('{"real": {"traits": {"income": [1]}}}')),
        ("evidence/report.html", lambda p: p.write_text("<td>\nHousehold income</td>")),
        ("evidence/run_config.yaml", lambda p: p.write_text("scoring_files: {income: [a.txt]}")),
        ("association_hits.tsv", lambda p: p.write_text("trait\tchrom\nincome\t22\n")),
        ("scores.parquet", lambda p: pd.DataFrame({"person": ["PC1"], "income": [0.1]}).to_parquet(p)),
        ("association/associations.parquet", lambda p: pd.DataFrame({"beta:income": [0.1]}).to_parquet(p)),
        ("association/income.tsv.gz", lambda p: p.write_bytes(gzip.compress(b"chromosome\n22\n"))),
        ("association/other.tsv.gz-meta.yaml", lambda p: p.write_text('trait_description: ["Household income"]')),
        ("dictionary.tsv", lambda p: p.write_text("item\ttype\nincome\tcount\n")),
        ("dictionary.tsv", lambda p: p.write_text("item\ttype\tlabel\nx\tcount\tClass of Household income\n")),
        ("evidence/disclosure/items.json", lambda p: p.write_text('{"controls": {"inference of income": {}}}')),
        ("evidence/evaluation/items.json", lambda p: p.write_text('{"income": 1}')),
        ("evidence/evaluation/items.json", lambda p: p.write_text('{"metrics": [{"metric": "income x sex: 3"}]}')),
        ("evidence/report.html", lambda p: p.write_text("<h2>Median &#72;ousehold&nbsp;income, by sex</h2>")),
        ("evidence/report.html", lambda p: p.write_text("<td>世帯所得の中央値</td>")),
        ("evidence/report.html", lambda p: p.write_text('<img alt="income by age">')),
        ("evidence/report.html", lambda p: p.write_text(pictured("<svg><text>income, JPY</text></svg>"))),
        ("association_hits.tsv", lambda p: p.write_text("trait\tchrom\nbeta_income\t22\n")),
    ],
)
def test_an_item_above_the_level_is_found_in_every_file_that_names_it(tmp_path, name, write):
    """The item was left out, so that it is an ignored row; what was never wanted may stand anywhere."""
    labels = {"label": "Household income", "label_ja": "世帯所得"}
    left_out = Item("income", "count", role="ignore", level="strong", **labels)
    never = Item("value", "nominal", role="ignore")
    age = Item("years", "continuous", role="age", level="open")
    path = tmp_path / "file"
    write(path)
    for level, above in (("standard", [f"item income is strong: {name}"]), ("strong", [])):
        release = {"level": level, "genotypes_level": "open"}
        assert list(above_level(Dictionary((age, left_out, never)), {name: path}, release)) == above


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "evidence/report.html",
            "<style>income {}</style><p>incomes, outcome, income_class, Household income class</p>",
        ),
        (
            "evidence/report.html",
            "<p class='income'>a value of the interval</p>" + pictured("<svg><path d='M0'/></svg>"),
        ),
        ("evidence/evaluation/items.json", '{"metrics": [{"value": 1, "metric": "the value of each"}]}'),
    ],
)
def test_parts_of_other_words_other_items_and_the_workflows_own_words_are_no_items(tmp_path, name, text):
    rows = (
        Item("income", "count", role="ignore", level="strong", label="Household income"),
        Item("value", "nominal", role="ignore", level="strong", label="Interval"),
        Item("income_class", "ordinal", level="open", label="Household income class", categories=("a", "b")),
    )
    (tmp_path / "file").write_text(text)
    release = {"level": "standard", "genotypes_level": "open"}
    assert list(above_level(Dictionary(rows), {name: tmp_path / "file"}, release)) == []
    (tmp_path / "file").write_text(text.replace("metric", "income").replace("<p", "<p>income</p><p"))
    assert list(above_level(Dictionary(rows), {name: tmp_path / "file"}, release)) == [f"item income is strong: {name}"]


@pytest.mark.parametrize("name", ["a.json", "a.html", "a.yaml", "a.parquet", "a.tsv.gz", "dictionary.tsv", "a.tsv"])
def test_what_cannot_be_read_keeps_the_gate_shut(tmp_path, name):
    (tmp_path / "file").write_bytes(b"{\xff")
    rows = Dictionary((Item("income", "count", role="ignore", level="strong"),))
    release = {"level": "standard", "genotypes_level": "open"}
    (told,) = above_level(rows, {name: tmp_path / "file"}, release)
    assert told.startswith(f"{name} cannot be read")


def test_the_age_has_a_level_and_other_front_columns_have_the_one_of_the_genotypes(tmp_path):
    path = tmp_path / "phenotypes.parquet"
    pd.DataFrame({"person": ["PC1"], "sex": ["male"], "age": [40], "stratum": ["a"]}).to_parquet(path)
    rows = (
        Item("years", "continuous", role="age", level="standard"),
        Item("sex", "binary", role="ignore", level="strong"),
    )
    release = {"level": "open", "genotypes_level": "standard"}
    assert list(above_level(Dictionary(rows), {"phenotypes.parquet": path}, release)) == [
        "genotypes, with scores, sex and stratum, are standard, the release is open",
        "item years is standard: phenotypes.parquet",
    ]


def test_ids_that_only_the_inputs_name_are_looked_for(results):
    (results / "report.html").write_text("<td>KIN-77-Oak</td><td>/mnt/vault/cohort/x.vcf</td>")
    audit(results, cohort())
    assert asked(results)["complete"]
    found = short(asked(results, named={"KIN-77-Oak"}, paths=["/mnt/vault/cohort/chr{chrom}.vcf.gz"]))
    assert found == {"traces": ["evidence/report.html: an id of a real person",
                                "evidence/report.html: a folder of this machine"]}  # fmt: skip


def test_a_file_changed_after_it_was_made_is_stale(results):
    (results / "synthetic/genotypes/chr22.pgen").write_bytes(b"other")
    found = short(asked(results))
    assert list(found) == ["evidence_current"]
    assert found["evidence_current"][0] == "genotypes/chr22.pgen: changed since it was made"


def test_a_link_instead_of_a_file_is_refused(results):
    path = results / "synthetic/genotypes/chr22.pgen"
    path.rename(results / "real/chr22.pgen")
    path.symlink_to(results / "real/chr22.pgen")
    assert short(asked(results))["files"] == ["genotypes/chr22.pgen"]
    with pytest.raises(InputError, match="no plain file"):
        audit(results, cohort())
