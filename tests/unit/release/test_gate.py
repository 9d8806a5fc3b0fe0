"""The gate: complete evidence opens it, every planted fault keeps it shut."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from pseudocohort.cohort.digests import people_digest, people_facts
from pseudocohort.errors import InputError
from pseudocohort.measures.line import save_lines
from pseudocohort.release import gate
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


def test_utility_may_fall_short_but_disclosure_may_not(results):
    write_evidence(results, cohort(), auc=0.61)
    found = short(asked(results))
    assert list(found) == ["goals"]
    assert found["goals"][0] == "genome_membership: 0.61 (beyond; goal ≤ 0.6)"
    looser = {key: {"at_most": 0.7} for keys in gate.REQUIRED.values() for key in keys}
    answer = asked(results, goals=looser)
    assert answer["complete"]
    assert answer["changed_goals"][0] == "genome_membership: ≤ 0.7 (written: ≤ 0.6)"
    assert len(answer["changed_goals"]) == len(looser)


def test_a_required_goal_cannot_be_taken_away(results):
    write_evidence(results, cohort(), auc=0.99)
    nothing = dict.fromkeys(key for keys in gate.REQUIRED.values() for key in keys)
    found = short(asked(results, goals=nothing))
    assert found == {"goals": [f"{key}: its goal was removed" for key in nothing]}


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
    for name in ("genomes", "items", "joint"):
        save_lines(results / f"disclosure/{name}.json", attacked(name, 0.62, interval=(0.58, 0.66)),
                   people=people_facts(cohort()), controls=CONTROLS, files=files_of(results))  # fmt: skip
    found = short(asked(results))
    assert "unclear" in found["goals"][0]


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
        "levels": ["item income is strong"],
        "datasheet": ["release.contact"],
    }
    found = short(asked(results, release=RELEASE | {"expires": "2001-01-01"}))
    assert found == {"datasheet": ["release.expires: the day is past"]}


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
