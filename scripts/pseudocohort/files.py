"""Files that appear whole or not at all, and digests of files and code."""

import gzip
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic(path: str | Path, mode: int | None = None) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success rename it to `path`, on failure remove it.

    The temporary name ends like the target's, so that libraries that look at suffixes are not misled.
    mode: permission bits of the finished file (0o600 for secrets).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_remains(path)
    temporary = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        if mode is not None:
            temporary.touch(mode=mode)  # before anything secret is in it
        yield temporary
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Like `atomic` for a directory: it replaces `path` only when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_remains(path)
    temporary = Path(tempfile.mkdtemp(prefix=f".partial-{os.getpid()}.", suffix=f"-{path.name}", dir=path.parent))
    try:
        yield temporary
        os.chmod(temporary, 0o755)
        if path.exists():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_remains(path: Path) -> None:
    """Remove what a killed process (power cut, kill -9) left of an earlier attempt to write `path`."""
    for found in path.parent.glob(".partial-*"):
        if re.fullmatch(r"\.partial-\d+(\.\w+)?-" + re.escape(path.name), found.name):
            shutil.rmtree(found) if found.is_dir() else found.unlink(missing_ok=True)


def digest(paths: list[str | Path]) -> str:
    """Short SHA-256 over the names and contents of files, in sorted order."""
    total = hashlib.sha256()
    for path in sorted(map(Path, paths)):
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(2**22):
            total.update(piece)
    return total.hexdigest()


def read_seed(path: str | Path) -> int:
    """The run's seed from its secret file."""
    return int(Path(path).read_text())


def number_of_rows(path: str | Path) -> int:
    """Rows of a Parquet file."""
    import pyarrow.parquet as pq

    return pq.read_metadata(path).num_rows


def read_rows(path: str | Path, rows):
    """Some rows (ascending) of a Parquet file, as pandas.read_parquet gives them; the others are not kept in memory."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    taken, start = [], 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            low, high = np.searchsorted(rows, [start, start + len(batch)])
            taken.append(batch.take(pa.array(rows[low:high] - start)))
            start += len(batch)
        return pa.Table.from_batches(taken, schema=file.schema_arrow).to_pandas()


def write_tsv_gz(path: str | Path, table) -> None:
    """Write a DataFrame as gzipped TSV: missing values empty, whole numbers whole, the same bytes at every time."""
    with atomic(path) as part, part.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
        file.write(table.to_csv(sep="\t", index=False, float_format="%.10g").encode("utf-8"))
