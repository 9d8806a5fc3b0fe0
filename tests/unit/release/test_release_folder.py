"""The release folder and the audit: whole or not at all, and nothing that does not belong there."""

import json
import os
import subprocess

import pytest

from pseudocohort.errors import InputError
from pseudocohort.measures import catalogue as book
from pseudocohort.measures.line import save_evidence
from pseudocohort.release import bundle, files, gate, scan
from pseudocohort.release.contents import released_files
from pseudocohort.release.current import outdated, warning
from pseudocohort.release.files import place, sha256, verify
from release_run import FACTS, RELEASE, asked, cohort, released, short


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


def test_a_release_is_its_own_and_read_only(results, tmp_path):
    """What happens to the results later, even in place, leaves the release as it was."""
    released(results, tmp_path / "out")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o444}
    assert {path.stat().st_nlink for path in files} == {1}
    with (results / "synthetic/genotypes/chr22.pgen").open("r+b") as file:
        file.write(b"other")
    assert verify(tmp_path / "out") == len(files) - 1


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
        return place(source, target)

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
    "another content": (
        lambda f: (f / "sbom.json").chmod(0o644) or (f / "sbom.json").write_text("{}"),
        "another sbom.json",
    ),
    "a list less": (lambda f: (f / "SHA256SUMS").unlink(), "no list of checksums"),
}


@pytest.mark.parametrize("how", SMUGGLED)
def test_what_was_smuggled_into_a_release_is_refused(results, tmp_path, how):
    released(results, tmp_path / "out")
    spoil, text = SMUGGLED[how]
    spoil(tmp_path / "out")
    with pytest.raises(InputError, match=text):
        verify(tmp_path / "out")


def test_a_link_is_not_placed_and_the_sum_is_that_of_the_copy(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * (2**22 + 5))
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert place(tmp_path / "a", tmp_path / "out/b") == sha256(tmp_path / "a") == sha256(tmp_path / "out/b")
    with pytest.raises(OSError, match="symbolic links"):
        place(tmp_path / "link", tmp_path / "out/c")


def test_the_sum_is_of_what_was_written_where_blocks_are_shared(tmp_path, monkeypatch):
    """The source is written to between the sharing and the sum."""

    def share(source, target):
        os.write(target, b"as it was")
        (tmp_path / "a").write_bytes(b"as it is now")
        return True

    (tmp_path / "a").write_bytes(b"as it was")
    monkeypatch.setattr(files, "_share_blocks", share)
    assert place(tmp_path / "a", tmp_path / "b") == sha256(tmp_path / "b") != sha256(tmp_path / "a")
    assert (tmp_path / "b").read_bytes() == b"as it was"


@pytest.mark.parametrize("text", ["[]", "null", '{"people": null}', "{", "\xff", '{"people": []}'])
def test_a_release_that_cannot_be_read_is_told_and_no_crash(results, tmp_path, text):
    (tmp_path / "out/evidence/evaluation").mkdir(parents=True)
    (tmp_path / "out/SHA256SUMS").touch()
    (tmp_path / "out/evidence" / gate.SUMMARY).write_bytes(text.encode("latin-1"))
    assert "cannot be told" in warning(tmp_path / "out", results / "real/people.parquet", None)


def test_a_list_of_withdrawals_that_is_not_there_is_told_and_no_crash(results, tmp_path):
    released(results, tmp_path / "out")
    told = warning(tmp_path / "out", results / "real/people.parquet", tmp_path / "none.txt")
    assert "cannot be told (InputError)" in told


def test_a_release_of_people_who_have_since_withdrawn_is_out_of_date(results, tmp_path):
    released(results, tmp_path / "out")
    people, gone = results / "real/people.parquet", tmp_path / "withdrawn.txt"
    assert outdated(tmp_path / "out", people, None) == ""
    gone.write_text("person\nSOMEBODY-ELSE\n")
    assert outdated(tmp_path / "out", people, gone) == warning(tmp_path / "out", people, gone) == ""
    gone.write_text("JP-00003-Q\n")  # not imported again yet
    assert outdated(tmp_path / "out", people, gone) == "people whom it was made from have withdrawn their consent"
    cohort().query("person != 'JP-00003-Q'").to_parquet(people)
    assert outdated(tmp_path / "out", people, gone) == "it was made from other people than the cohort now has"
    told = warning(tmp_path / "out", people, gone)
    assert told.startswith(f"{tmp_path / 'out'} is out of date: it was made from other people")
    assert "JP-" not in told
    assert warning(tmp_path / "none", people, gone) == ""
    people.unlink()
    assert "cannot be told (FileNotFoundError)" in warning(tmp_path / "out", people, gone)
