"""A user's data for a run that is released, and what its tests read and change."""

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pseudocohort.measures.catalogue import catalogue
from pseudocohort.release.gate import JUDGED

if TYPE_CHECKING:
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


def said(done: subprocess.CompletedProcess) -> str:
    return done.stdout + done.stderr


def planned(run: "Run", *targets: str) -> set[str]:
    """Rules that a dry run would run."""
    done = run.snakemake("-n", *targets)
    assert done.returncode == 0, done.stderr[-3000:]
    return set(re.findall(r"^([a-z_]+) +\d+$", said(done), re.MULTILINE)) - {"all", "total"}


def partial(run: "Run") -> list[Path]:
    return list((run / "results").rglob(".partial*"))


def short(run: "Run") -> dict[str, list[str]]:
    """What the gate found missing, by check."""
    checks = json.loads((run / "results/gate.json").read_text())["checks"]
    return {c["check"]: c["short"] for c in checks if not c["passed"]}
