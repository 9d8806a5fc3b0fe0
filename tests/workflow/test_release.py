"""The gate and the release of a whole run: what opens it, what keeps it shut, and that nothing individual gets out."""

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pseudocohort.disclosure.evidence import FAILED
from pseudocohort.measures.catalogue import catalogue
from pseudocohort.measures.line import content_digest, save_evidence
from pseudocohort.release.gate import DISCLOSED, JUDGED, SUMMARY

from .conftest import Run

REAL, FAMILY = "jp-Nagi", "kin-Oak"  # what the ids of all real people, and of their families, begin with
MARKERS = {"height": "163.4375", "weight": "171.0625"}  # planted values; the weight is the greatest of all
ITEMS = [
    "age", "triglyceride", "hdl_cholesterol", "height", "weight", "valine", "leucine", "smoking", "sleep_hours",
    "hypertension",
]  # fmt: skip
# What may hold ids and values of real people: design.md. Everything else of a run may be read by others.
SECURE = ("results/real/", "results/model/", "results/mosaic/", "results/secret/", "results/weights/")
ITEM_EVIDENCE = "results/disclosure/items.json"


def edit(path: Path, change) -> pd.DataFrame:
    """Apply `change` to a table of text cells and write it back; returns it."""
    table = change(pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False))
    table.to_csv(path, sep="\t", index=False)
    return table


def rename_people(data: Path, chrom: str) -> None:
    """Give the demo's people ids that no other text holds."""
    for path in sorted(data.glob("*.t*")):
        path.write_text(path.read_text().replace("DEMO", REAL).replace("FAM", FAMILY))
    vcf, part = data / f"genotypes/chr{chrom}.vcf.gz", data / "part.vcf.gz"
    ids = subprocess.run(["bcftools", "query", "-l", vcf], check=True, capture_output=True, text=True).stdout
    (data / "ids").write_text(ids.replace("DEMO", REAL))
    subprocess.run(["bcftools", "reheader", "-s", data / "ids", "-o", part, vcf], check=True, capture_output=True)
    part.rename(vcf)
    subprocess.run(["tabix", "-f", "-p", "vcf", vcf], check=True)
    (data / "ids").unlink()


def few_items(data: Path) -> None:
    """Leave ITEMS, and plant MARKERS in rows of people who have not withdrawn."""

    def plant(table):
        withdrawn = (data / "withdrawn.txt").read_text().split()
        rows = table.index[~table["person"].isin(withdrawn)]
        for row, (item, value) in zip(rows[[5, 9]], MARKERS.items(), strict=True):
            table.loc[row, item] = value
        return table[["person", *ITEMS]]

    def describe(table):
        table.loc[table["item"].isin(MARKERS), "decimals"] = "4"
        return table[table["item"].isin(ITEMS)]

    edit(data / "phenotypes.tsv", plant)
    edit(data / "dictionary.tsv", describe)


def loose_goals() -> dict:
    """Goals that every number meets, for the measures that the gate asks for."""
    known = catalogue().items()
    return {key: {"at_most": 1e6} for key, entry in known if entry["group"] in JUDGED and entry.get("goal")}


@pytest.fixture(scope="session")
def opened(tmp_path_factory) -> Run:
    """A complete run on a user's data whose gate opens, and its release.

    A half of the holdout has the 100 people that true positives at 1 % need. The configuration names no seed, so the
    gate takes it as drawn; the file it would be drawn into is there before, so that all runs of the tests are alike.
    """
    directory = tmp_path_factory.mktemp("opened")
    run = Run(
        directory, chromosomes=["22"], seed=None, holdout=0.41, compare_models=[], disclosure={"frontier": None},
        goals=loose_goals(), demo={"seed": 3, "people": 500, "megabases": 5, "sites": 500},
    )  # fmt: skip
    done = run.snakemake("results/demo/phenotypes.tsv")
    assert done.returncode == 0, done.stderr[-3000:]
    (run / "results/demo").rename(directory / "data")
    shutil.rmtree(directory / ".snakemake")
    rename_people(directory / "data", "22")
    few_items(directory / "data")
    seed = run / "results/secret/seed"
    seed.parent.mkdir(parents=True)
    seed.write_text("123456789\n")
    seed.chmod(0o600)
    run.config["input"] = {
        key: value.replace("results/demo/", "data/") if isinstance(value, str) else value
        for key, value in run.config["input"].items()
    }
    run.write_config()
    done = run.snakemake()
    assert done.returncode == 0, done.stderr[-6000:]
    let_controls_pass(run)
    done = run.snakemake("results/release")
    assert done.returncode == 0, done.stderr[-6000:]
    return run


def let_controls_pass(run: Run) -> None:
    """Evidence as a larger cohort would have it: on so few people, and so short a chromosome, some controls fail."""
    summary = json.loads((run / "results" / SUMMARY).read_text(encoding="utf-8"))
    for part in DISCLOSED:
        name = f"disclosure/{part}.json"
        content = json.loads((run / "results" / name).read_text(encoding="utf-8"))
        for control in content["controls"].values():
            assert set(control) == {"planted", "null"}
            control["planted"]["passed"] = control["null"]["passed"] = True
        for line in content["metrics"]:
            line["reason"] = None if line["reason"] == FAILED else line["reason"]
        summary["parts"][name] = rewrite(run / "results" / name, content)
    rewrite(run / "results" / SUMMARY, summary)


def rewrite(path: Path, content: dict) -> str:
    """Write evidence with a digest that fits, as old as it was; returns the digest."""
    times = path.stat()
    save_evidence(path, content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return content_digest(content)


@pytest.fixture
def copied(tmp_path):
    """Make a copy of a complete run, times of files included, ready to be spoilt."""

    def make(run: Run) -> Run:
        shutil.copytree(run.directory, tmp_path / "run", symlinks=True)
        copy = Run(tmp_path / "run")
        copy.config = run.config
        copy.write_config()
        return copy

    return make


def said(done: subprocess.CompletedProcess) -> str:
    return done.stdout + done.stderr


def planned(run: Run, *targets: str) -> set[str]:
    """Rules that a dry run would run."""
    done = run.snakemake("-n", *targets)
    assert done.returncode == 0, done.stderr[-3000:]
    return set(re.findall(r"^([a-z_]+) +\d+$", said(done), re.MULTILINE)) - {"all", "total"}


def partial(run: Run) -> list[Path]:
    return list((run / "results").rglob(".partial*"))


def short(run: Run) -> dict[str, list[str]]:
    """What the gate found missing, by check."""
    checks = json.loads((run / "results/gate.json").read_text())["checks"]
    return {c["check"]: c["short"] for c in checks if not c["passed"]}


# (1) a gate that stays shut


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


# (2) a gate that opens


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


def readable(path: Path) -> bytes:
    """What a reader of a file finds in it: unpacked, tables and arrays as text, pictures in pages taken out."""
    content = path.read_bytes()
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
        return content + table.to_csv().encode()
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            texts = [" ".join([name, *map(str, arrays[name].ravel().tolist())]) for name in arrays.files]
        return "\n".join(texts).encode()
    if content[:2] == b"\x1f\x8b":
        return gzip.decompress(content)
    for found in re.findall(rb"base64,\s*([A-Za-z0-9+/=]{16,})", content):
        inner = base64.b64decode(found)
        content += gzip.decompress(inner) if inner[:2] == b"\x1f\x8b" else inner
    return content


def told(run: Run) -> list[Path]:
    """Every file of a run that may be read by others."""
    places = [run / part for part in ("results", "logs", ".snakemake/log")]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    return [path for path in files if not str(path.relative_to(run.directory)).startswith(SECURE)]


def test_no_id_no_family_and_no_planted_value_leaves_the_secure_places(opened):
    real = pd.read_parquet(opened / "results/real/people.parquet")
    assert real["person"].str.startswith(REAL).all()
    values = pd.read_parquet(opened / "results/real/phenotypes.parquet")
    for item, value in MARKERS.items():  # they are in what was trained on, else this test tests nothing
        assert (values[item] == float(value)).sum() == 1
    sought = [text.lower().encode() for text in (REAL, FAMILY, *MARKERS.values(), "demo0")]
    files = told(opened)
    parts = {path.relative_to(opened.directory).parts[:2] for path in files}
    for part in ("evaluation", "disclosure", "figures", "release", "synthetic", "association", "report.html"):
        assert ("results", part) in parts
    assert any(path.suffix == ".log" for path in files)
    for path in files:
        content = readable(path).lower()
        assert not [text for text in sought if text in content], path.relative_to(opened.directory)


def test_no_path_of_the_run_leaves_it(opened):
    """Neither in the release nor in what may be shown; Snakemake's own log names files of this machine."""
    sought = [str(opened.directory).encode(), str(Path.home()).encode() + b"/"]
    for path in told(opened):
        if ".snakemake" not in path.parts:
            content = readable(path)
            assert not [text for text in sought if text in content], path.relative_to(opened.directory)


def test_secrets_are_private_and_named(opened):
    audit = json.loads((opened / "results/audit.json").read_text())
    named = {secret["path"]: secret["mode"] for secret in audit["secret"]}
    assert "secret/seed" in named
    assert set(named.values()) == {"0600"}
    for name in named:
        assert (opened / "results" / name).stat().st_mode & 0o777 == 0o600
    assert not list((opened / "results/real").glob("attacks/*"))
    digests = {entry["people"] for entry in audit["artefacts"].values()}
    assert digests == {audit["people"]["digest"]}
    seed = (opened / "results/secret/seed").read_text().strip()
    texts = [path for path in told(opened) if path.suffix in (".json", ".yaml", ".html", ".md", ".log", ".tsv")]
    assert len(seed) > 5
    assert not [path for path in texts if re.search(rf"\b{seed}\b", path.read_text(encoding="utf-8"))]


# (3) a release that was tampered with


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


# (4) evidence that was edited


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


# (5) a person withdraws


def test_a_new_withdrawal_makes_anew_all_that_touched_the_person(opened, copied):
    run = copied(opened)
    person = pd.read_parquet(run / "results/real/people.parquet")["person"].iloc[3]
    assert planned(run, "results/release") == set()
    with (run / "data/withdrawn.txt").open("a") as file:
        file.write(person + "\n")
    rules = planned(run, "results/release", "results/report.html")
    assert {
        "import_tables", "import_chromosome", "pedigree", "mosaic", "transmission", "export_vcf", "components",
        "association", "weights", "hits", "scores", "ld_scores", "heritability", "model", "phenotypes",
        "evaluate_genomes", "evaluate_relatedness", "evaluate_items", "evaluate_associations", "evaluate_prs",
        "attack_panel", "attack_genomes", "disclose_genomes", "disclose_items", "disclose_joint", "figures_genomes",
        "figures_relatedness", "figures_items", "figures_associations", "figures_disclosure", "summary",
        "report_page", "released_dictionary", "audit", "gate", "release",
    } <= rules  # fmt: skip
    assert not rules & {"seed", "run_config", "demo_people", "demo_items"}
    holding = [path.relative_to(run.directory) for path in real_files(run) if person.encode() in readable(path)]
    assert holding
    done = run.snakemake(*sorted(str(path) for path in holding))
    assert done.returncode == 0, done.stderr[-3000:]
    assert person not in set(pd.read_parquet(run / "results/real/people.parquet")["person"])
    for path in [*real_files(run), *told(run)]:
        if ".snakemake" not in path.parts and "release" not in path.parts:
            assert person.encode() not in readable(path), path.relative_to(run.directory)


def real_files(run: Run) -> list[Path]:
    return [path for path in (run / "results/real").rglob("*") if path.is_file()]


# (6) killed in the middle

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


# levels and consents of items


def test_items_above_the_level_and_values_without_consent_are_not_taken_in(from_tiny):
    run = from_tiny(release={"level": "standard"})
    item = {"height": ("open", "use_of_body=yes"), "weight": ("standard", ""), "alcohol": ("strong", "")}

    def describe(table):
        for name, (level, consent) in item.items():
            table.loc[table["item"] == name, ["level", "consent"]] = [level, consent]
        return table

    def ask(table):
        table["use_of_body"] = np.where(np.arange(len(table)) % 3 == 0, "no", "yes")
        table.loc[7, "use_of_body"] = ""
        return table

    edit(run / "data/dictionary.tsv", describe)
    table = edit(run / "data/phenotypes.tsv", ask).set_index("person")
    done = run.snakemake("results/real/people.parquet")
    assert done.returncode == 0, done.stderr[-3000:]
    real = pd.read_parquet(run / "results/real/phenotypes.parquet").set_index("person")
    assert {"height", "weight"} <= set(real.columns)
    assert not {"alcohol", "use_of_body"} & set(real.columns)
    agreed = table.loc[real.index, "use_of_body"] == "yes"
    assert real.loc[~agreed, "height"].isna().all()
    assert real.loc[agreed, "height"].notna().sum() > 100
    report = json.loads((run / "results/real/import/tables.json").read_text())["items"]
    assert report["items_above_level"] == 1
    assert report["values_without_consent"]["height"] == (table.loc[real.index, "height"][~agreed] != "").sum()
    run.config["release"] = {"level": "strong"}
    run.write_config()
    assert "import_tables" in planned(run, "results/real/people.parquet")
