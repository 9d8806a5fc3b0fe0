"""Plain files, their checksums, and a release folder that holds what its checksums say and nothing else."""

import fcntl
import hashlib
import os
import shutil
from pathlib import Path

from pseudocohort.errors import InputError
from pseudocohort.files import sha256
from pseudocohort.release.contents import STAMP, SUMS


def is_plain(path: Path, root: Path) -> bool:
    """Is it a file, reached from `root` without a symbolic link?"""
    steps = [path, *path.parents]
    inside = steps[: steps.index(root)] if root in steps else [path]
    return path.is_file() and not any(step.is_symlink() for step in inside)


def place(source: Path, target: Path) -> str:
    """Copy a file into the release; returns the SHA-256 of what was written.

    Never a second name of the same bytes: whoever changed the one would change the other. Where the file system can,
    the two share their blocks until one is changed. A symbolic link is not followed: OSError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(source, os.O_RDONLY | os.O_NOFOLLOW), "rb") as taken, target.open("x+b") as put:
        if not _share_blocks(taken.fileno(), put.fileno()):
            shutil.copyfileobj(taken, put, 2**22)
        put.seek(0)  # of the source, something may have been written since
        return hashlib.file_digest(put, "sha256").hexdigest()


def _share_blocks(source: int, target: int) -> bool:
    """Make an empty file hold what another does without copying it (Linux' FICLONE); whether that could be done."""
    try:
        fcntl.ioctl(target, 0x40049409, source)
    except OSError:
        return False
    return True


def write_sums(folder: Path, known: dict[str, str]) -> None:
    """SHA256SUMS of all files of a folder, as `sha256sum --check` reads it; all are made read-only.

    known: sums by name of those that were placed.
    """
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name != SUMS)
    lines = "".join(f"{known.get(name) or sha256(folder / name)}  {name}\n" for name in names)
    (folder / SUMS).write_text(lines, encoding="utf-8", newline="\n")
    for name in (*names, SUMS):
        (folder / name).chmod(0o444)


def verify(folder: str | Path, whole: bool = True) -> int:
    """Raise InputError unless a release folder holds exactly the files of its SHA256SUMS; returns their number.

    No symbolic link, no other kind of file, none more (but Snakemake's empty time stamp), none fewer; whole: also
    compare the contents.
    """
    folder = Path(folder)
    if folder.is_symlink() or not (folder / SUMS).is_file():
        _refuse(folder, "is no release: it has no list of checksums", folder / SUMS)
    named = {}
    for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
        total, _, name = line.partition("  ")
        named[name] = total
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            _refuse(folder, f"holds {name}, which is no plain file", path)
        if name == STAMP and path.stat().st_size == 0:
            continue
        if path.is_file() and name not in named and name != SUMS:
            _refuse(folder, f"holds {name}, which the release did not put there", path)
    for name, total in named.items():
        if not (folder / name).is_file():
            _refuse(folder, f"lacks {name}", folder / name)
        if whole and sha256(folder / name) != total:
            _refuse(folder, f"holds another {name} than was released", folder / name)
    return len(named)


def _refuse(folder: Path, what: str, where: Path) -> None:
    raise InputError(
        f"{folder} {what}",
        where=str(where),
        expected=f"the files that {SUMS} lists, unchanged, and no others",
        remedy=f"remove the folder and run: snakemake --cores all {folder}",
    )
