"""VCF and BCF as files: header, completeness and index, read without htslib so that what is wrong can be told."""

import gzip
import logging
import re
import struct
import zlib
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pseudocohort.errors import InputError

_GZIP = b"\x1f\x8b"
# The empty block that ends every complete BGZF file (SAM specification, section 4.1.2).
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_INDEX_FAULT = "the index cannot be read"

log = logging.getLogger("pseudocohort")


class Header(NamedTuple):
    """contigs: length in bp by name, None where the header gives none, in the file's order.  samples: ids."""

    contigs: dict[str, int | None]
    samples: list[str]


def open_binary(path: Path) -> BinaryIO:
    """The file's bytes, decompressed if it is gzip or BGZF."""
    with open(path, "rb") as file:
        compressed = file.read(2) == _GZIP
    return gzip.open(path, "rb") if compressed else open(path, "rb")


def read_header(path: str | Path) -> Header:
    """Contigs and samples of a VCF (plain, gzip, BGZF) or BCF.

    Raises InputError where the file is neither, ends inside its header, or holds no samples.
    """
    path = Path(path)
    try:
        with open_binary(path) as file:
            start = file.read(3)
            if start == b"BCF":
                file.read(2)
                lines = file.read(struct.unpack("<i", file.read(4))[0]).rstrip(b"\0\n").decode().split("\n")
            elif start == b"##f":
                lines = [(start + file.readline()).decode()]
                while lines[-1].startswith("##"):
                    lines.append(file.readline().decode())
            else:
                raise InputError(
                    "this is no VCF or BCF",
                    where=str(path),
                    expected="a first line ##fileformat=VCF...",
                    remedy="give a phased VCF, BCF or PGEN",
                )
    except (OSError, EOFError, zlib.error, struct.error, UnicodeDecodeError) as error:
        raise InputError(
            "the header cannot be read: is the file truncated?",
            where=str(path),
            remedy="copy or download the file again",
        ) from error
    columns = lines[-1].rstrip("\r\n").split("\t")
    if columns[0] != "#CHROM":
        raise InputError(
            "the header has no line #CHROM: is the file truncated?",
            where=str(path),
            expected="a header with the line #CHROM and the samples",
            remedy="copy the file again",
        )
    if len(columns) < 10:
        raise InputError(
            "the file holds no samples",
            where=str(path),
            expected="a column for each person after FORMAT",
            remedy="give the file with genotypes, not the list of sites",
        )
    return Header(header_contigs(lines), columns[9:])


def header_contigs(lines: list[str]) -> dict[str, int | None]:
    """Names and lengths (None where not given) of the contigs in the lines of a header."""
    contigs = {}
    for line in lines:
        name = re.match(r"##contig=<.*?\bID=([^,>]+)", line)
        if name:
            length = re.search(r"[<,]length=(\d+)", line)
            contigs[name[1]] = int(length[1]) if length else None
    return contigs


def check_complete(path: str | Path) -> None:
    """Raise InputError if the file is truncated: no BGZF end block, a gzip stream or a line that does not end."""
    path = Path(path)
    with open(path, "rb") as file:
        head = file.read(18)
        file.seek(max(0, path.stat().st_size - len(_BGZF_END)))
        tail = file.read()
    if head[:2] == _GZIP and head[12:14] == b"BC":
        complete, why = tail == _BGZF_END, "its BGZF end block is missing"
    elif head[:2] == _GZIP:
        stat = path.stat()
        complete, why = _gzip_is_whole(path, stat.st_size, stat.st_mtime_ns), "its gzip stream is broken off or damaged"
    else:
        complete, why = head[:3] == b"BCF" or tail.endswith(b"\n"), "its last line does not end"
    if not complete:
        raise InputError(f"the file is truncated: {why}", where=str(path), remedy="copy or download the file again")


@lru_cache
def _gzip_is_whole(path: Path, size: int, mtime_ns: int) -> bool:
    """Read a plain gzip file to its end; size and time make the answer that of this state of the file."""
    try:
        with gzip.open(path, "rb") as file:
            while file.read(1 << 22):
                pass
    except (OSError, EOFError, zlib.error):
        return False
    return True


def index_counts(path: str | Path, header: Header) -> dict[str, int] | None:
    """Number of records of each contig, from the .tbi or .csi beside the file.

    None where there is no index to rely on: none at all, older than the file, or without counts.
    The counts stand in the pseudo-bin of each contig (SAM specification, sections 5.2 and 5.3; tabix paper).
    """
    path = Path(path)
    index = next((p for suffix in (".csi", ".tbi") if (p := path.with_name(path.name + suffix)).is_file()), None)
    if index is None:
        return None
    if index.stat().st_mtime < path.stat().st_mtime:
        log.warning("%s is older than %s: not used; make the index again to read faster", index.name, path.name)
        return None
    try:
        with gzip.open(index, "rb") as file:
            return _parse_index(file.read(), list(header.contigs))
    except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
        raise InputError(_INDEX_FAULT, where=str(index), remedy="make it again: bcftools index -f FILE") from error


def _parse_index(data: bytes, contigs: list[str]) -> dict[str, int] | None:
    magic, offset = data[:4], 4
    if magic == b"CSI\1":
        _, depth, extra = struct.unpack_from("<iii", data, offset)
        names = _tabix_names(data[16 : 16 + extra], 24) if extra else contigs
        offset = 16 + extra
        bin_format, pseudo_bin = "<IQi", ((1 << 3 * (depth + 1)) - 1) // 7 + 1
    elif magic == b"TBI\1":
        names = _tabix_names(data[8:], 24)
        bin_format, pseudo_bin = "<Ii", 37450
        n_ref = struct.unpack_from("<i", data, 4)[0]
        offset = 36 + struct.unpack_from("<i", data, 32)[0]
    else:
        raise ValueError("neither TBI nor CSI")
    if magic == b"CSI\1":
        n_ref = struct.unpack_from("<i", data, offset)[0]
        offset += 4
    counts, size = {}, struct.calcsize(bin_format)
    for name in names[:n_ref]:
        n_bins = struct.unpack_from("<i", data, offset)[0]
        offset += 4
        count = None if n_bins else 0
        for _ in range(n_bins):
            *number, chunks = struct.unpack_from(bin_format, data, offset)
            offset += size
            if number[0] == pseudo_bin and chunks == 2:
                count = sum(struct.unpack_from("<QQ", data, offset + 16))
            offset += 16 * chunks
        if magic == b"TBI\1":
            offset += 4 + 8 * struct.unpack_from("<i", data, offset)[0]
        if count is None:
            return None
        counts[name] = count
    return counts


def _tabix_names(data: bytes, offset: int) -> list[str]:
    """Names of the sequences in a tabix header that starts at data[0]."""
    length = struct.unpack_from("<i", data, offset)[0]
    return data[offset + 4 : offset + 4 + length].rstrip(b"\0").decode().split("\0")
