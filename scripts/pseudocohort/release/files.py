"""Plain files, their checksums, and a release folder that holds what its checksums say and nothing else."""

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


def place(source: Path, target: Path) -> None:
    """Put a file into the release: a second name of the same bytes where the file system can, else a copy.

    The workflow replaces its files by renaming and never writes into them, so that a later run leaves a release alone.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copyfile(source, target)


def write_sums(folder: Path) -> None:
    """SHA256SUMS of all files of a folder, as `sha256sum --check` reads it."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name != SUMS)
    lines = "".join(f"{sha256(folder / name)}  {name}\n" for name in names)
    (folder / SUMS).write_text(lines, encoding="utf-8", newline="\n")


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
