"""The digest of the people that something was made from: another person more or less, and it is another."""

import hashlib
from pathlib import Path

import pandas as pd

from pseudocohort.files import sha256


def people_digest(people: pd.DataFrame) -> str:
    """First 32 hexadecimal digits of the SHA-256 of the sorted ids and parts (column `part`: train, A, B) of a table.

    Which of the people are transmitted and which are kept apart is part of what something was made from.
    """
    rows = sorted(zip(people["person"].astype(str), people["part"].astype(str), strict=True))
    text = "".join(f"{person}\t{part}\n" for person, part in rows)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def file_sums(paths: list[str], root: str = "results") -> dict[str, str]:
    """SHA-256 by path under `root` of the pseudo cohort's files that evidence is about."""
    return {Path(path).relative_to(root).as_posix(): sha256(path) for path in paths}


def people_facts(people: pd.DataFrame) -> dict:
    """What evidence says of the people it was made from: digest and number."""
    return {"digest": people_digest(people), "people": len(people)}
