"""Is a release still of the people who may be in it? It stays where it is when somebody withdraws."""

import json
from pathlib import Path

import pandas as pd

from pseudocohort.cohort.digests import people_digest
from pseudocohort.cohort.people import read_withdrawals
from pseudocohort.release.gate import SUMMARY


def outdated(folder: str | Path, people: str | Path, withdrawn: str | Path | None) -> str:
    """Why a release folder is out of date, or "".

    people: the table of the imported people.  withdrawn: the list of withdrawals, which may be newer than the import.
    """
    evidence = json.loads((Path(folder) / "evidence" / SUMMARY).read_text(encoding="utf-8"))
    imported = pd.read_parquet(people, columns=["person", "part"])
    if evidence["people"]["digest"] != people_digest(imported):
        return "it was made from other people than the cohort now has"
    if withdrawn and not read_withdrawals(withdrawn).isdisjoint(imported["person"].astype(str)):
        return "people whom it was made from have withdrawn their consent"
    return ""


def warning(folder: str | Path, people: str | Path, withdrawn: str | Path | None) -> str:
    """What the end of a run says of a release that is out of date; "" if there is none, or it is not."""
    try:
        why = outdated(folder, people, withdrawn) if (Path(folder) / "SHA256SUMS").exists() else ""
    except Exception as error:  # a run that ended well must not fail over an old folder, whatever is in it
        why = f"whom it was made from cannot be told ({type(error).__name__})"
    return (
        why and f"{folder} is out of date: {why}. Make it anew (snakemake {folder}) or delete it; tell who has a copy."
    )
