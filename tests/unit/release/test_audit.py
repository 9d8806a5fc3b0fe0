"""The audit: every file under results/ is of a kind, secret ones are private, and none is of other people."""

import json
import os
import re
from pathlib import Path

import pytest

from pseudocohort.cohort.digests import people_digest, people_facts
from pseudocohort.errors import InputError
from pseudocohort.measures.line import save_evidence
from pseudocohort.release.audit import ARTEFACT, BEHIND, INPUT, SECRET, kind_of
from release_run import audit, cohort

ROOT = Path(__file__).parents[3]


def audited(results) -> dict:
    audit(results, cohort())
    return json.loads((results / "audit.json").read_text())


def test_secrets_that_others_may_read_and_old_artefacts_stop_the_audit(results):
    (results / "secret").mkdir()
    (results / "secret/seed").write_text("1")
    (results / "secret/seed").chmod(0o644)
    with pytest.raises(InputError, match=r"secret/seed is secret and has mode 0644"):
        audit(results, cohort())
    (results / "secret/seed").chmod(0o600)
    audit(results, cohort())
    found = json.loads((results / "audit.json").read_text())
    assert found["secret"] == [{"path": "secret/seed", "mode": "0600"}]
    assert found["artefacts"]["report.html"]["people"] == people_digest(cohort())
    os.utime(results / "real/people.parquet", (2e9, 2e9))
    with pytest.raises(InputError, match="artefacts are older than the people"):
        audit(results, cohort())


def test_every_file_that_a_rule_makes_is_of_a_kind():
    """A rule whose files no kind covers fails here: is it made from people, secret, or neither?"""
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    paths = set(re.findall(r'"results/([^"]+)"', rules))
    assert len(paths) > 60
    for path in sorted(paths):
        for of_whom in ("real", "synthetic"):
            name = re.sub(r"\{[^}]*\bcohort\b[^}]*\}", of_whom, path)
            assert kind_of(re.sub(r"\{[^}]*\}", "x", name)) is not None, path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("association/real/bmi.tsv.gz", ARTEFACT),
        ("comparison/marginal.parquet", ARTEFACT),
        ("disclosure/frontier.json", ARTEFACT),
        ("real/genotypes/chr22.pgen", ARTEFACT),
        ("real/attacks/chr22.npz", SECRET),
        ("real/out_of_fold.parquet", SECRET),
        ("mosaic/chr22.trees", SECRET),
        ("demo/withdrawn.txt", INPUT),
        ("release/genotypes/chr22.pgen", BEHIND),
        ("notes.txt", None),
        ("realistic/notes.txt", None),
        (".partial-7-pedigree.npz", SECRET),
        ("real/.partial-7-out_of_fold.parquet", SECRET),
        (".partial-7.ab_c-mosaic/chr22.trees", SECRET),
        ("figures/.partial-7-x.svg", ARTEFACT),
        ("release/.partial-7-x", BEHIND),
    ],
)
def test_kinds(name, kind):
    assert kind_of(name) == kind


def test_all_that_is_there_is_audited_and_what_no_rule_makes_is_named(results):
    for name in ("ld_scores/real/22.l2.M", "comparison/cart.parquet", "figures/pca.svg", "real/genotypes/chr22.pgen",
                 "notes.txt", "demo/samples.tsv", "release/README.md", "figures/.partial-7-x.svg",
                 "model/.partial-8-m/x", "model/.snakemake_timestamp"):  # fmt: skip
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text("x")
    found = audited(results)
    new = {"ld_scores/real/22.l2.M", "comparison/cart.parquet", "figures/pca.svg", "real/genotypes/chr22.pgen"}
    assert new <= set(found["artefacts"])
    assert {"real/people.parquet", "disclosure/genomes.json", "run_config.yaml"} <= set(found["artefacts"])
    assert not [name for name in found["artefacts"] if name.startswith(("demo", "release", "notes")) or "/." in name]
    assert found["others"] == ["notes.txt"]
    assert [(r["path"], r["kind"]) for r in found["remains"]] == [
        ("figures/.partial-7-x.svg", ARTEFACT), ("model/.partial-8-m/x", ARTEFACT)]  # fmt: skip


def test_what_a_killed_job_left_of_a_secret_must_be_private(results):
    rest = results / "mosaic/.partial-7.x-chr22/part.npz"
    rest.parent.mkdir(parents=True)
    rest.touch(mode=0o600)
    assert audited(results)["remains"] == [
        {"path": "mosaic/.partial-7.x-chr22/part.npz", "kind": SECRET, "mode": "0600"}
    ]
    rest.chmod(0o640)
    with pytest.raises(InputError, match=r"part.npz, half-written and secret, has mode 0640(?s:.*)remedy: +delete it"):
        audit(results, cohort())


def test_what_only_an_earlier_run_made_must_not_be_of_earlier_people(results):
    (results / "ld_scores").mkdir()
    (results / "ld_scores/22.l2.M").write_text("x")
    os.utime(results / "ld_scores/22.l2.M", (1e9, 1e9))
    with pytest.raises(
        InputError, match=r"1 artefacts are older(?s:.*)ld_scores/22(?s:.*)delete what it makes no more"
    ):
        audit(results, cohort())


def test_a_kept_truth_of_earlier_people_stops_the_audit_and_the_seed_does_not(results):
    for name in ("secret/seed", "mosaic/chr22.npz"):
        (results / name).parent.mkdir()
        (results / name).touch(mode=0o600)
        os.utime(results / name, (1e9, 1e9))
    with pytest.raises(InputError, match=r"1 artefacts are older than the people(?s:.*)mosaic/chr22.npz"):
        audit(results, cohort())


def test_evidence_of_other_people_is_found_though_it_is_new(results):
    audit(results, cohort())
    save_evidence(results / "disclosure/frontier.json", {"people": people_facts(cohort()[1:])})
    with pytest.raises(InputError, match=r"or of others: disclosure/frontier.json"):
        audit(results, cohort())
    save_evidence(results / "disclosure/frontier.json", {"people": people_facts(cohort())})
    (results / "evaluation/drift.json").write_text('{"people": 5}')
    (results / "evaluation/weights.json").write_text("[]")
    (results / "evaluation/models.json").write_text("{")
    audit(results, cohort())


@pytest.mark.parametrize("name", ["figures/more", "synthetic/genotypes/chr21.pgen"])
def test_links_among_the_artefacts_are_refused(results, tmp_path, name):
    (results / "figures").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (results / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"no plain file"):
        audit(results, cohort())
