"""The audit: which artefacts there are, their checksums, and the digest of the people they were made from.

Every file under results/ is of one kind, by its path. What was made from people must not be older than their table,
and must name no other people where it names any (as evidence does). What this cannot see: a file without that digest
that is newer than the table but was made from an older one; Snakemake, which runs again what has newer inputs, sees it.
"""

import hashlib
import json
import logging
import os
import re
import stat
from contextlib import suppress
from operator import itemgetter
from pathlib import Path

import pandas as pd

from pseudocohort.cohort.digests import people_digest
from pseudocohort.errors import InputError
from pseudocohort.measures.line import save_evidence
from pseudocohort.release.contents import STAMP
from pseudocohort.release.files import is_plain, sha256

log = logging.getLogger("pseudocohort")

ARTEFACT, SECRET, INPUT, BEHIND = "artefact", "secret", "input", "behind the audit"
OF_NOBODY = (
    "run_config.yaml",
    "real/import/scoring_files_checked",
)  # no person is behind: may be older than the import
# Kind by path under results/, of folders with all that is in them; the longest that fits counts.
KINDS = {
    **dict.fromkeys(
        ("real", "synthetic", "weights", "model", "association", "association_hits", "ld_scores"), ARTEFACT
    ),
    **dict.fromkeys(("comparison", "evaluation", "disclosure", "figures", "report.html", "run_config.yaml"), ARTEFACT),
    **dict.fromkeys(("secret", "pedigree.npz", "mosaic", "real/attacks"), SECRET),
    **dict.fromkeys(("real/out_of_fold.parquet", "real/network_checkpoint"), SECRET),
    **dict.fromkeys(("demo", "planted", "dictionary_draft.tsv"), INPUT),  # made before people are imported
    **dict.fromkeys(("audit.json", "gate.json", "gate.html", "release"), BEHIND),
}
REMAINS = re.compile(r"(?:^|(?<=/))\.partial-(?:\d+(?:\.\w+)?-)?")  # before a name: see files.atomic


def kind_of(name: str) -> str | None:
    """The kind of a file by its path under results/; None for one that no rule makes.

    What is half-written is of the kind of what it was to become.
    """
    path = Path(REMAINS.sub("", name))
    return next((KINDS[p] for p in map(Path.as_posix, (path, *path.parents)) if p in KINDS), None)


def found_files(results: str | Path) -> dict[str | None, list[str]]:
    """Paths under results/ by kind, sorted; without Snakemake's time stamps.

    Folders behind symbolic links are told as files: what they point to may be anything.
    """
    root, found = Path(results), {}
    for folder, folders, names in os.walk(root):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        folders[:] = [name for name in folders if name not in links]
        for name in (*links, *names):
            if name != STAMP:
                path = (Path(folder) / name).relative_to(root).as_posix()
                found.setdefault(kind_of(path), []).append(path)
    return {kind: sorted(names) for kind, names in found.items()}


def stale(results: str | Path, names: list[str], digest: str) -> list[str]:
    """Artefacts of people that are older than the table of the people, or name others. digest: of the people."""
    root = Path(results)
    made = (root / "real/people.parquet").stat().st_mtime
    names = [name for name in names if name not in OF_NOBODY]
    return [n for n in names if (root / n).stat().st_mtime < made or _people_of(root / n) not in (None, digest)]


def _people_of(path: Path) -> str | None:
    """The digest of the people that a file names; None if it names none."""
    if path.suffix != ".json":
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None  # the gate says which evidence is broken
    people = content.get("people") if isinstance(content, dict) else None
    return people.get("digest") if isinstance(people, dict) else None


def write_audit(output: str | Path, results: str | Path, people: pd.DataFrame, withdrawn: int) -> dict:
    """Write results/audit.json; returns it.

    withdrawn: ids on the list of withdrawals.  `others` are files that no rule makes, `remains` what killed jobs
    have left half-written: they are named, not looked at.
    InputError for a symbolic link, where an artefact is older than the table of the people or of others, or where a
    secret file may be read by others.
    """
    root, found, remains = Path(results), {}, []
    for kind, names in found_files(results).items():
        found[kind] = [name for name in names if not REMAINS.search(name)]
        remains += [(name, kind) for name in names if REMAINS.search(name)]
    artefacts, secret = found.get(ARTEFACT, []), found.get(SECRET, [])
    digest = people_digest(people)
    if links := [name for name in (*artefacts, *secret) if not is_plain(root / name, root)]:
        raise InputError(
            f"{root / links[0]} is no plain file",
            where=str(root / links[0]),
            expected="a file that the workflow wrote",
            remedy="delete it and run the workflow again",
        )
    drawn = [name for name in secret if not name.startswith("secret/")]  # the seed is of nobody
    if old := stale(root, [*artefacts, *drawn], digest):
        raise InputError(
            f"{len(old)} artefacts are older than the people they should be made from, or of others: "
            + ", ".join(old[:3]) + (" and more" if len(old) > 3 else ""),
            where=f"{results}/{old[0]}",
            expected="files that were made after the last import of the people, and from them",
            remedy="run the workflow again, and delete what it makes no more "
            "(after `snakemake --touch` everything must be made anew: make clean)",
        )  # fmt: skip
    kept = [{"path": name, "mode": _mode(root / name)} for name in secret]
    if bare := [s for s in kept if s["mode"] != "0600"]:
        raise InputError(
            f"{bare[0]['path']} is secret and has mode {bare[0]['mode']}",
            where=f"{results}/{bare[0]['path']}",
            expected="mode 0600 for every secret file",
            remedy=f"chmod 600 {results}/{bare[0]['path']}",
        )
    left = []
    for name, kind in sorted(remains, key=itemgetter(0)):
        with suppress(FileNotFoundError):  # another job was just writing it
            left.append({"path": name, "kind": kind, "mode": _mode(root / name)})
    if bare := [r for r in left if r["kind"] == SECRET and r["mode"] != "0600"]:
        raise InputError(
            f"{bare[0]['path']}, half-written and secret, has mode {bare[0]['mode']}",
            where=f"{results}/{bare[0]['path']}",
            expected="mode 0600 for every secret file, and nothing left of jobs that were killed",
            remedy="delete it",
        )
    if left:
        log.warning("%d files are left of jobs that were killed, such as %s: delete them", len(left), left[0]["path"])
    sums = {name: sha256(root / name) for name in artefacts}
    content = {
        "schema_version": 1,
        "people": {"digest": digest, "people": len(people), "on_the_list_of_withdrawals": withdrawn},
        "artefacts": {name: {"sha256": total, "people": digest} for name, total in sums.items()},
        "secret": kept,
        "others": found.get(None, []),
        "remains": left,
        "together": hashlib.sha256("".join(sorted(sums.values())).encode()).hexdigest(),
    }
    save_evidence(output, content)
    return content


def _mode(path: Path) -> str:
    """Permission bits in octal digits, as 0600."""
    return f"{stat.S_IMODE(path.lstat().st_mode):04o}"
