"""Nothing individual gets out of a whole run: ids, families, planted values, paths, withdrawals, levels, consents."""

import base64
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

from .conftest import Run
from .released import (
    FAMILY,
    MARKERS,
    REAL,
    SECURE,
    edit,
    planned,
    said,
)


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
    assert audit["others"] == []  # every file of a run is of a kind that the audit knows
    for part in ("association/real", "comparison", "disclosure", "figures", "ld_scores", "real/genotypes"):
        assert any(name.startswith(f"{part}/") for name in audit["artefacts"])
    digests = {entry["people"] for entry in audit["artefacts"].values()}
    assert digests == {audit["people"]["digest"]}
    seed = (opened / "results/secret/seed").read_text().strip()
    texts = [path for path in told(opened) if path.suffix in (".json", ".yaml", ".html", ".md", ".log", ".tsv")]
    assert len(seed) > 5
    assert not [path for path in texts if re.search(rf"\b{seed}\b", path.read_text(encoding="utf-8"))]


def test_a_new_withdrawal_makes_anew_all_that_touched_the_person(opened, copied):
    run = copied(opened)
    person = pd.read_parquet(run / "results/real/people.parquet")["person"].iloc[3]
    assert planned(run, "results/release") == set()
    with (run / "data/withdrawn.txt").open("a") as file:
        file.write(person + "\n")
    done = run.snakemake("verify_release")
    assert done.returncode != 0
    assert "results/release is out of date: people whom it was made from have withdrawn their consent" in said(done)
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
    assert "results/release is out of date: it was made from other people" in done.stderr
    assert person not in set(pd.read_parquet(run / "results/real/people.parquet")["person"])
    for path in [*real_files(run), *told(run)]:
        if ".snakemake" not in path.parts and "release" not in path.parts:
            assert person.encode() not in readable(path), path.relative_to(run.directory)


def real_files(run: Run) -> list[Path]:
    return [path for path in (run / "results/real").rglob("*") if path.is_file()]


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
