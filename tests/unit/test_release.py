"""The gate and the release: complete evidence opens it, every planted fault keeps it shut, nothing half-made stays."""

import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pseudocohort.cohort.digests import file_sums, people_digest, people_facts
from pseudocohort.errors import InputError
from pseudocohort.measures import catalogue as book
from pseudocohort.measures.line import measure, save_evidence, save_lines
from pseudocohort.release import bundle, documents, gate, scan
from pseudocohort.release.audit import write_audit
from pseudocohort.release.contents import released_files
from pseudocohort.release.files import verify

RELEASE = {
    "title": "A course", "level": "strong", "purpose": "teaching", "population": "two regions", "terms": "no onward",
    "contact": "desk@biobank.example", "responsible": "head of data", "expires": "2030-01-01",
}  # fmt: skip
CONFIG = {"goals": {}, "release": RELEASE, "seed_is_known": False}
FACTS = {
    "release": RELEASE, "version": "0.1.0", "made": "2026-01-02", "people": 1200, "strata": ["a", "b"],
    "chromosomes": ["22"], "build": "GRCh38", "items": ["bmi"], "founders": 1000, "holdout": 200, "generations": 10,
    "mating": "balanced", "dp": None,
    "changed_goals": ["auc: ≤ 0.7 (written: ≤ 0.6)"], "level": "strong", "protection": "none",
    "disclosure": {"within": 1, "judged": 1},
    "by_language": {
        lang: {"model": "a network", "uses": [{"name": "GWAS", "word": "good"}], "checks": ["all there"]}
        for lang in ("en", "ja")
    },
}  # fmt: skip
CONTROLS = {"haplotypes": {"planted": {"passed": True}, "null": {"passed": True}}}


@pytest.fixture
def catalogue(monkeypatch):
    required = [key for keys in gate.REQUIRED.values() for key in keys]
    known = {key: {"group": "disclosure", "en": key, "ja": "指標", "goal": {"at_most": 0.6}} for key in required} | {
        "utility": {"group": "items", "en": "utility", "ja": "有用性", "goal": {"at_most": 1}},
    }
    monkeypatch.setattr(book, "catalogue", lambda: known)


@pytest.fixture
def results(tmp_path, catalogue):
    """A finished run's results, as far as the gate looks at them."""
    root = tmp_path / "results"
    for folder in ("synthetic/genotypes", "synthetic/vcf", "real", "association/synthetic", "association_hits"):
        (root / folder).mkdir(parents=True)
    people = cohort()
    people.to_parquet(root / "real/people.parquet")
    for name in ("real", "synthetic"):
        text = "item\ttype\tlevel\nbmi\tcontinuous\topen\nincome\tcount\tstrong\n"
        (root / name / "dictionary.tsv").write_text(text)
    made = [f"PC{i:04d}" for i in range(12)]
    table = pd.DataFrame({"person": made, "sex": "male", "bmi": np.linspace(18, 30, 12), "income": 3})
    table.to_parquet(root / "synthetic/phenotypes.parquet")
    with gzip.open(root / "synthetic/phenotypes.tsv.gz", "wt") as file:
        file.write(table.to_csv(sep="\t", index=False))
    table[["person"]].assign(bmi=0.5).to_parquet(root / "synthetic/scores.parquet")
    (root / "synthetic/genotypes/chr22.psam").write_text("#IID\tSEX\n" + "".join(f"{i}\t1\n" for i in made))
    (root / "synthetic/genotypes/chr22.pvar").write_text("#CHROM\tPOS\tID\tREF\tALT\n22\t12345\trs1\tA\tG\n")
    (root / "synthetic/genotypes/chr22.pgen").write_bytes(bytes(range(50)))
    with gzip.open(root / "synthetic/vcf/chr22.vcf.gz", "wt") as file:
        file.write("##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t" + "\t".join(made))
    (root / "synthetic/vcf/chr22.vcf.gz.tbi").write_bytes(b"index")
    (root / "association/synthetic/bmi.tsv.gz").write_bytes(gzip.compress(b"chromosome\n22\n"))
    (root / "association_hits/synthetic.tsv").write_text("trait\n")
    (root / "report.html").write_text("<p>a report</p>")
    (root / "run_config.yaml").write_text("config: {}\n")
    write_evidence(root, people)
    return root


def cohort(first: str = "JP-00017-X") -> pd.DataFrame:
    ids = [first, *(f"JP-{i:05d}-Q" for i in range(30)), "4711", "12345"]
    return pd.DataFrame({"person": ids, "part": "train"})


def write_evidence(root: Path, people: pd.DataFrame, auc: float = 0.55, controls: dict = CONTROLS) -> None:
    facts, digests = people_facts(people), {}
    for name in gate.EVIDENCE[1:]:
        disclosed = name.startswith("disclosure/")
        if disclosed:
            save_lines(root / name, attacked(name, auc), people=facts, controls=controls, files=files_of(root))
        else:
            save_lines(root / name, [measure("utility", 7.0)], people=facts)
        digests[name] = json.loads((root / name).read_text())["digest"]
    save_evidence(root / gate.SUMMARY, {"metrics": [], "parts": digests, "people": facts})
    audit(root, people)


def attacked(name: str, auc: float, **more) -> list[dict]:
    return [measure(key, auc, subject="haplotypes", **more) for key in gate.REQUIRED[Path(name).stem]]


def files_of(root: Path) -> dict[str, str]:
    names = ("genotypes/chr22.pgen", "phenotypes.parquet")
    return file_sums([root / "synthetic" / name for name in names], root)


def audit(root: Path, people: pd.DataFrame) -> None:
    names = ("synthetic", "association", "association_hits", "report.html", "run_config.yaml")
    paths = [root / name for name in names]
    paths += [root / name for name in gate.EVIDENCE] + [root / "real/dictionary.tsv"]
    write_audit(root / "audit.json", root, paths, people, 0)


def asked(root: Path, people=None, withdrawn=frozenset(), **changes) -> dict:
    files = released_files(root, ["22"], gate.EVIDENCE)
    return gate.ask(root, files, cohort() if people is None else people, set(withdrawn), CONFIG | changes)


def short(answer: dict) -> dict[str, list[str]]:
    return {c["check"]: c["short"] for c in answer["checks"] if not c["passed"]}


def test_complete_evidence_opens_the_gate_and_the_release_is_whole(results, tmp_path):
    (results / "association/synthetic/.snakemake_timestamp").touch()
    answer = asked(results)
    assert short(answer) == {}
    assert answer["complete"]
    number = released(results, tmp_path / "out")
    folder = tmp_path / "out"
    (folder / ".snakemake_timestamp").touch()  # as Snakemake does with the folders of rules
    assert verify(folder) == number
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {"genotypes/chr22.pgen", "vcf/chr22.vcf.gz", "phenotypes.tsv.gz", "phenotypes.parquet", "dictionary.tsv",
            "association/bmi.tsv.gz", "evidence/disclosure/genomes.json", "evidence/report.html", "evidence/gate.json",
            "datasheet.en.html", "datasheet.ja.md", "export_request.ja.html", "sbom.json", "README.md",
            "SHA256SUMS"} <= names  # fmt: skip
    assert not any("real" in name.split("/") for name in names)
    assert "association/.snakemake_timestamp" not in names
    done = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, capture_output=True)
    assert done.returncode == 0


def released(results: Path, folder: Path) -> int:
    files = released_files(results, ["22"], gate.EVIDENCE)
    save_evidence(results / "gate.json", asked(results))
    bundle.require_open(results / "gate.json", "results/gate.html")
    ids = cohort()["person"].tolist()
    return bundle.build(folder, results / "gate.json", files, FACTS, scan.words_of(ids), scan.this_machine())


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


PLACES = {
    "report.html": lambda p, word: p.write_text(f"<td>{word}</td>"),
    "association_hits/synthetic.tsv": lambda p, word: p.write_text(f"trait\n{word}_bmi\n"),
    "association/synthetic/bmi.tsv.gz": lambda p, word: p.write_bytes(gzip.compress(f"a\t{word}".encode())),
    "synthetic/vcf/chr22.vcf.gz": lambda p, word: p.write_bytes(gzip.compress(f"##source=x {word};y\n".encode())),
    "run_config.yaml": lambda p, word: p.write_text(f"config: {{path: /data/{word}.vcf}}\n"),
    "synthetic/genotypes/chr22.pvar": lambda p, word: p.write_text(f"##x={word}\n#CHROM\tPOS\tID\tREF\tALT\n"),
}


@pytest.mark.parametrize("name", PLACES)
def test_an_id_of_a_real_person_is_found_wherever_it_stands(results, name):
    PLACES[name](results / name, "JP-00017-X")
    audit(results, cohort())
    found = short(asked(results))["traces"]
    assert found[0].endswith("an id of a real person")
    assert "JP-00017-X" not in json.dumps(found)


def test_plain_numbers_are_ids_where_ids_stand_only(results):
    """12345 is a person's id and a position of the .pvar; 4711 stands in a column of ids."""
    (results / "association_hits/synthetic.tsv").write_text("trait\tn\n4711\t2\n")
    audit(results, cohort())
    assert short(asked(results)) == {"traces": ["association_hits.tsv: an id of a real person in the first column"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("made in /srv/bank/run7/results", ["a folder of this machine"]),
        ("see /home/sato/x and sato san", ["the name of the user"]),
        ("by sato alone", []),
        ("on node-0815 at night", ["the name of the host"]),
        ("mail sato@node-0815", ["the name of the user", "the name of the host"]),
        ("node-08150 and anode-0815", []),
    ],
)
def test_traces_of_the_machine(tmp_path, text, expected):
    (tmp_path / "a.md").write_text(text)
    machine = scan.Machine(("/srv/bank/run7",), "sato", "node-0815")
    assert scan.traces(tmp_path / "a.md", scan.words_of([]), machine) == expected


def test_words_across_the_borders_of_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(scan, "CHUNK", 64)
    rng = np.random.default_rng(1)
    for place in range(0, 200, 7):
        text = "".join(rng.choice(list("abc \t\n"), place)) + " JP-00017-X " + "".join(rng.choice(list("abc\n "), 90))
        (tmp_path / "a.txt").write_text(text)
        assert scan.traces(tmp_path / "a.txt", scan.words_of(["JP-00017-X"]), scan.Machine((), "", ""))
        (tmp_path / "a.txt").write_text(text.replace("JP-00017-X", "JP-00017-Y"))
        assert not scan.traces(tmp_path / "a.txt", scan.words_of(["JP-00017-X"]), scan.Machine((), "", ""))


def test_a_shut_gate_releases_nothing(results, tmp_path):
    save_evidence(results / "gate.json", asked(results, seed_is_known=True))
    with pytest.raises(InputError, match=r"evidence is incomplete, nothing was released: seed(?s:.*)gate\.html"):
        bundle.require_open(results / "gate.json", "results/gate.html")
    content = json.loads((results / "gate.json").read_text()) | {"complete": True}
    (results / "gate.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="changed after the gate wrote it"):
        bundle.require_open(results / "gate.json", "results/gate.html")


def test_what_changes_behind_the_gate_is_not_released(results, tmp_path):
    save_evidence(results / "gate.json", asked(results))
    (results / "synthetic/genotypes/chr22.pgen").write_bytes(b"other")
    files = released_files(results, ["22"], gate.EVIDENCE)
    with pytest.raises(InputError, match="has changed since the gate looked at it"):
        bundle.build(tmp_path / "out", results / "gate.json", files, FACTS, scan.words_of([]), scan.this_machine())
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".partial*"))


def test_a_full_disk_or_a_killed_process_leaves_no_part_of_a_release(results, tmp_path, monkeypatch):
    placed = []

    def full(source, target):
        placed.append(target)
        if len(placed) > 3:
            raise OSError(28, os.strerror(28))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)

    monkeypatch.setattr(bundle, "place", full)
    with pytest.raises(OSError, match="No space left"):
        released(results, tmp_path / "out")
    assert len(placed) == 4
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".partial*"))
    known = book.catalogue()
    monkeypatch.undo()
    (tmp_path / ".partial-77.x-out").mkdir()  # what kill -9 leaves is cleared by the next attempt
    monkeypatch.setattr(book, "catalogue", lambda: known)
    released(results, tmp_path / "out")
    assert not list(tmp_path.glob(".partial*"))


def test_ids_in_the_words_of_the_configuration_are_not_released(results, tmp_path):
    save_evidence(results / "gate.json", asked(results))
    files = released_files(results, ["22"], gate.EVIDENCE)
    facts = FACTS | {"release": RELEASE | {"contact": "ask JP-00017-X"}}
    with pytest.raises(InputError, match="would hold an id of a real person"):
        bundle.build(tmp_path / "out", results / "gate.json", files, facts, scan.words_of(["JP-00017-X"]),
                     scan.this_machine())  # fmt: skip
    assert not (tmp_path / "out").exists()


SMUGGLED = {
    "an extra file": (lambda f: (f / "genotypes/notes.txt").write_text("x"), "did not put there"),
    "a link to a file": (lambda f: (f / "more").symlink_to("/etc/hosts"), "no plain file"),
    "a link to a folder": (lambda f: (f / "evidence/more").symlink_to("/etc"), "no plain file"),
    "a pipe": (lambda f: os.mkfifo(f / "pipe"), "no plain file"),
    "a time stamp that is not empty": (lambda f: (f / ".snakemake_timestamp").write_text("x"), "did not put there"),
    "a hidden file deeper": (lambda f: (f / "evidence/.snakemake_timestamp").touch(), "did not put there"),
    "a file less": (lambda f: (f / "sbom.json").unlink(), "lacks sbom.json"),
    "another content": (lambda f: (f / "sbom.json").write_text("{}"), "another sbom.json"),
    "a list less": (lambda f: (f / "SHA256SUMS").unlink(), "no list of checksums"),
}


@pytest.mark.parametrize("how", SMUGGLED)
def test_what_was_smuggled_into_a_release_is_refused(results, tmp_path, how):
    released(results, tmp_path / "out")
    spoil, text = SMUGGLED[how]
    spoil(tmp_path / "out")
    with pytest.raises(InputError, match=text):
        verify(tmp_path / "out")


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


def test_the_papers_tell_the_facts_and_escape_what_the_owner_wrote():
    release = RELEASE | {"title": "<script>alert(1)</script> | a_b_"}
    told = documents.papers(FACTS | {"release": release, "files": [{"name": "a", "size": 5, "sum": "f" * 64}],
                                     "size": 1234567, "gate": "0" * 64})  # fmt: skip
    assert "<script>" not in "".join(text for name, text in told.items() if name.endswith(".html"))
    assert "1,200 people" in told["datasheet.en.md"]
    assert "1,200 名" in told["datasheet.ja.md"]
    assert "1.2 MB" in told["export_request.en.md"]
    assert "auc: ≤ 0.7" in told["export_request.en.md"]
    assert "署名" in told["export_request.ja.html"]
    assert "<table>" in told["export_request.ja.html"]
    for text in told.values():
        assert not set(text.lower().split()) & {"safe", "anonymous", "anonymised", "anonymized"}


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_page_of_the_gate_says_what_to_do(results, language):
    answer = asked(results, seed_is_known=True)
    text = documents.gate_text(answer, language)
    assert documents.check_texts()["seed"][f"remedy_{language}"] in text
    assert ("Evidence incomplete" in text) == (language == "en")
    assert "✘" in documents.page(text, "Gate", language)


def test_every_check_has_a_name_and_a_remedy_in_both_languages(results):
    keys = {check["check"] for check in asked(results)["checks"]}
    assert keys == set(documents.check_texts())
    for texts in documents.check_texts().values():
        assert set(texts) == {"en", "ja", "remedy_en", "remedy_ja"}


def test_the_bill_of_materials_names_what_is_installed():
    import importlib.metadata

    from pseudocohort.release.bill import bill_of_materials

    bill = json.loads(bill_of_materials("2026-01-02"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    named = {c["name"]: c["version"] for c in bill["components"]}
    assert named["numpy"] == importlib.metadata.version("numpy")
    assert bill == json.loads(bill_of_materials("2026-01-02"))
    assert all(c["purl"] == f"pkg:pypi/{c['name']}@{c['version']}" for c in bill["components"])
