"""The audit: which artefacts there are, their checksums, and the digest of the people they were made from."""

import hashlib
import stat
from pathlib import Path

import pandas as pd

from pseudocohort.cohort.digests import people_digest
from pseudocohort.errors import InputError
from pseudocohort.measures.line import save_evidence
from pseudocohort.release.contents import STAMP
from pseudocohort.release.files import is_plain, sha256

OF_NOBODY = ("run_config.yaml",)  # artefacts that no person is behind: they may be older than the import
SECRET = ("secret", "pedigree.npz", "mosaic", "real/attacks", "real/out_of_fold.parquet", "real/network_checkpoint")


def artefacts(results: str | Path, paths: list[str]) -> dict[str, str]:
    """SHA-256 by path under results, of files and of the files of folders.

    InputError for a symbolic link: what it points to may be anything.
    """
    root, found = Path(results), {}
    for path in map(Path, paths):
        inside = sorted(p for p in path.rglob("*") if p.is_file() and p.name != STAMP)
        for file in inside if path.is_dir() else [path]:
            if not is_plain(file, root):
                raise InputError(
                    f"{file} is missing or no plain file",
                    where=str(file),
                    expected="a file that the workflow wrote",
                    remedy="delete it and run the workflow again",
                )
            found[file.relative_to(root).as_posix()] = sha256(file)
    return found


def stale(results: str | Path, paths: dict[str, str]) -> list[str]:
    """Artefacts of people that are older than the table of the people."""
    root = Path(results)
    made = (root / "real/people.parquet").stat().st_mtime
    return [name for name in paths if name not in OF_NOBODY and (root / name).stat().st_mtime < made]


def secrets(results: str | Path) -> list[dict]:
    """The secret files that are there, as path, mode and bytes; their mode should be 0600."""
    root, found = Path(results), []
    for name in SECRET:
        path = root / name
        for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            if file.is_file():
                mode = stat.S_IMODE(file.stat().st_mode)
                found.append({"path": file.relative_to(root).as_posix(), "mode": f"{mode:04o}"})
    return found


def write_audit(
    output: str | Path, results: str | Path, paths: list[str], people: pd.DataFrame, withdrawn: int
) -> dict:
    """Write results/audit.json; returns it.

    paths: artefacts, files and folders.  withdrawn: ids on the list of withdrawals.  InputError where an artefact is
    older than the table of the people, or a secret file may be read by others.
    """
    found = artefacts(results, paths)
    if old := stale(results, found):
        raise InputError(
            f"{len(old)} artefacts are older than the people they should be made from, the first is {old[0]}",
            where=f"{results}/{old[0]}",
            expected="files that were made after the last import of the people",
            remedy="run the workflow again (after `snakemake --touch` everything must be made anew: make clean)",
        )
    kept = secrets(results)
    if bare := [s for s in kept if s["mode"] != "0600"]:
        raise InputError(
            f"{bare[0]['path']} is secret and has mode {bare[0]['mode']}",
            where=f"{results}/{bare[0]['path']}",
            expected="mode 0600 for every secret file",
            remedy=f"chmod 600 {results}/{bare[0]['path']}",
        )
    digest = people_digest(people)
    content = {
        "schema_version": 1,
        "people": {"digest": digest, "people": len(people), "on_the_list_of_withdrawals": withdrawn},
        "artefacts": {name: {"sha256": total, "people": digest} for name, total in found.items()},
        "secret": kept,
        "together": hashlib.sha256("".join(sorted(found.values())).encode()).hexdigest(),
    }
    save_evidence(output, content)
    return content
