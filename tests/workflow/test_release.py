"""The gate and the release of a whole run: what opens it, what keeps it shut, who can read it."""

import json
import os
import re
import shutil
import subprocess

import pandas as pd
import pytest

from .conftest import Run
from .released import ITEM_EVIDENCE, ITEMS, REAL, partial, planned, said, short


def test_a_known_seed_and_goals_that_are_missed_keep_the_gate_shut(tiny, copied):
    run = copied(tiny)
    done = run.snakemake("results/release")
    assert done.returncode != 0
    messages = re.findall(r"^pseudocohort: (.*)$", said(done), re.MULTILINE)
    assert len(set(messages)) == 1, said(done)[-3000:]
    assert "the evidence is incomplete, nothing was released: " in messages[0]
    assert {"goals", "seed"} <= set(messages[0].split(": ")[-1].split(", "))
    assert "results/gate.html: it says what is missing" in said(done)
    page = (run / "results/gate.html").read_text(encoding="utf-8")
    assert "Evidence incomplete: nothing was released" in page
    assert "the configuration names the seed" in page
    assert "set seed: null and run again" in page
    assert any("membership of founders by genomes" in text for text in short(run)["goals"])
    assert set(short(run)) <= {"goals", "seed", "controls"}  # 47 people of a holdout may not do for every control
    assert not (run / "results/release").exists()
    assert not partial(run)
    assert REAL not in page


def test_the_release_is_whole_and_fits_its_checksums(opened):
    folder = opened / "results/release"
    done = opened.snakemake("verify_release")
    assert done.returncode == 0, said(done)[-3000:]
    assert "files as released" in said(done)
    sums = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, capture_output=True)
    assert sums.returncode == 0
    named = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    papers = {f"{n}.{lang}.{kind}" for n in ("datasheet", "export_request") for lang in ("en", "ja")
              for kind in ("md", "html")}  # fmt: skip
    assert papers | {
        "README.md", "SHA256SUMS", "sbom.json", "dictionary.tsv", "phenotypes.tsv.gz", "phenotypes.parquet",
        "scores.parquet", "genotypes/chr22.pgen", "vcf/chr22.vcf.gz.tbi", "association_hits.tsv",
        "evidence/gate.json", "evidence/report.html", ITEM_EVIDENCE.replace("results", "evidence"),
    } <= named  # fmt: skip
    assert not any(part in name for name in named for part in ("real", "secret", "mosaic", "holdout", ".partial"))
    assert not partial(opened)
    nothing = opened.snakemake("-n", "results/release")
    assert "Nothing to be done" in said(nothing)


def test_plink2_bcftools_and_pandas_open_the_release(opened, tmp_path):
    folder = opened / "results/release"
    table = pd.read_csv(folder / "phenotypes.tsv.gz", sep="\t")
    assert list(table.columns) == list(pd.read_parquet(folder / "phenotypes.parquet").columns)
    assert len(table) == len(pd.read_parquet(folder / "scores.parquet")) == 120
    dictionary = pd.read_csv(folder / "dictionary.tsv", sep="\t")
    assert set(dictionary["item"]) == set(ITEMS) <= set(table.columns)
    query = subprocess.run(["bcftools", "query", "-l", folder / "vcf/chr22.vcf.gz"], capture_output=True, text=True)
    assert query.stdout.split() == table["person"].tolist()
    if shutil.which("plink2"):
        command = ["plink2", "--pfile", folder / "genotypes/chr22", "--validate", "--freq", "--out", tmp_path / "x"]
        subprocess.run(command, check=True, capture_output=True)
        assert len(pd.read_csv(tmp_path / "x.afreq", sep="\t")) > 100


def test_the_papers_speak_both_languages_and_promise_nothing(opened):
    folder = opened / "results/release"
    for name, english, japanese in (
        ("datasheet", "## Purpose", "## 目的"),
        ("export_request", "| Approved by (responsible: head of data management) | | | |", "決裁"),
    ):
        for language, text in (("en", english), ("ja", japanese)):
            paper = (folder / f"{name}.{language}.md").read_text(encoding="utf-8")
            assert text in paper
            assert "Learning to analyse genomes" in paper
            assert f'<html lang="{language}">' in (folder / f"{name}.{language}.html").read_text(encoding="utf-8")
    for path in (*folder.glob("*.md"), *folder.glob("*.html"), opened / "results/gate.html"):
        words = set(re.findall(r"[a-z]+", path.read_text(encoding="utf-8").lower()))
        assert not words & {"safe", "anonymous", "anonymised", "anonymized"}, path
        assert "匿名" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("how", ["an extra file", "a link"])
def test_what_was_smuggled_into_the_release_is_refused(opened, copied, how):
    run = copied(opened)
    place = run / "results/release/evidence/more.json"
    if how == "a link":
        place.symlink_to(run / "results/real/people.parquet")
    else:
        place.write_text("{}")
    done = run.snakemake("verify_release")
    assert done.returncode != 0
    assert "evidence/more.json, which" in said(done)
    assert "remedy:" in said(done)


def edit_evidence(run: Run) -> None:
    """Make an attack look harmless, and the file as old as it was."""
    path = run / ITEM_EVIDENCE
    times = path.stat()
    content = json.loads(path.read_text(encoding="utf-8"))
    line = next(line for line in content["metrics"] if line["value"] is not None)
    line["value"] = 0.5 * line["value"] + 0.001
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_evidence_edited_by_hand_keeps_the_gate_shut(opened, copied):
    run = copied(opened)
    edit_evidence(run)
    shutil.rmtree(run / "results/release")
    done = run.snakemake("results/release")  # the gate has answered before: it is the release that looks again
    assert done.returncode != 0
    assert "evidence/disclosure/items.json has changed since the gate looked at it" in said(done)
    for name in ("audit.json", "gate.json", "gate.html"):
        (run / "results" / name).unlink()
    assert planned(run, "results/release") == {"audit", "gate", "release"}
    done = run.snakemake("results/release")
    assert done.returncode != 0
    assert "nothing was released: evidence_intact" in said(done)
    assert short(run) == {"evidence_intact": ["disclosure/items.json"]}
    assert "disclosure/items.json" in (run / "results/gate.html").read_text(encoding="utf-8")
    assert not (run / "results/release").exists()
    assert not partial(run)


# Kills the process when it puts its fourth file into a release.
KILLER = """
import os, signal, sys

placed = []

def kill(frame, event, argument):
    code = frame.f_code
    if event == "call" and code.co_name == "place" and code.co_filename.endswith("release/files.py"):
        placed.append(frame)
        if len(placed) == 4:
            open(os.path.join(os.environ["PYTHONPATH"], "killed"), "w").close()
            os.kill(os.getpid(), signal.SIGKILL)

sys.setprofile(kill)
"""


def test_killed_while_it_bundles(opened, copied, tmp_path, monkeypatch):
    """kill -9: no release, and the next command makes a whole one."""
    run = copied(opened)
    shutil.rmtree(run / "results/release")
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        killed = run.snakemake("results/release")
    assert killed.returncode != 0
    assert (tmp_path / "killed").exists()
    assert not (run / "results/release").exists()
    done = run.snakemake("results/release", "--rerun-incomplete")
    assert done.returncode == 0, done.stderr[-3000:]
    assert not partial(run)
    sums = [(r / "results/release/SHA256SUMS").read_text().splitlines() for r in (run, opened)]
    assert [line.split("  ")[1] for line in sums[0]] == [line.split("  ")[1] for line in sums[1]]
    assert run.snakemake("verify_release").returncode == 0
