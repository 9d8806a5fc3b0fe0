"""The .pgen file: types of its records, and its header.

A record is a site's genotypes, two bits each (type 0); or one bit each for two genotypes and a list of the people who
have others (1); or the last site of the same vblock of another type, as it is (2) or with REF and ALT exchanged (3),
and a list of the people who differ from it; or a list of the people who differ from 0|0 (4), 1|1 (6) or missing (7).
Phase follows where the type has bit 16: a bit 0, then a bit for every heterozygote, set for 1|0.
"""

import os
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from pseudocohort.errors import InputError

VBLOCK = 2**16  # sites of a .pgen between two of its seek points; no record depends on one of another vblock
PHASED = 16
TWO_BIT, ONE_BIT, SAME, INVERTED, COMMON_REF, COMMON_ALT, COMMON_MISSING = 0, 1, 2, 3, 4, 6, 7


class Index(NamedTuple):
    """The header of a .pgen. kind: record types, uint8 (sites,); start: int64 (sites + 1,), bytes from the top."""

    kind: np.ndarray
    start: np.ndarray


def foreign(path: str | Path, what: str) -> InputError:
    return InputError(
        f"{path} {what}",
        where=str(path),
        expected="a complete .pgen of phased biallelic calls, without dosages",
        remedy="make the three files again with plink2 --make-pgen (after --max-alleles 2 erase-dosage where need be)",
    )


def read_index(path: str | Path) -> Index:
    """Types and places of a .pgen's records. Raises InputError where the file is cut off or of another make."""
    with open(path, "rb") as file:
        head = np.frombuffer(file.read(12), dtype=np.uint8)
        if len(head) < 12 or tuple(head[:3]) != (0x6C, 0x1B, 0x10) or head[11] & 15 not in range(8) or head[11] & 48:
            raise foreign(path, "is not a .pgen as plink2 --make-pgen makes them")
        sites, width = int(head[3:7].view("<u4")[0]), int(head[11] & 3) + 1
        packed, flags = not head[11] & 4, head[11] >> 6 == 3
        size, blocks = os.fstat(file.fileno()).st_size, -(-sites // VBLOCK)
        each = (-(-sites // 2) if packed else sites) + width * sites + (-(-sites // 8) if flags else 0)
        if sites == 0 or size < 12 + 8 * blocks + each:
            raise foreign(path, "is cut off")
        first = np.frombuffer(file.read(8 * blocks), dtype="<u8").astype(np.int64)
        kinds, lengths = [], []
        for block in range(blocks):
            n = min(VBLOCK, sites - block * VBLOCK)
            kind = np.frombuffer(file.read((n + 1) // 2 if packed else n), dtype=np.uint8)
            kinds.append(np.stack([kind & 15, kind >> 4], axis=1).ravel()[:n] if packed else kind)
            length = np.zeros((n, 4), dtype=np.uint8)
            length[:, :width] = np.frombuffer(file.read(n * width), dtype=np.uint8).reshape(n, width)
            lengths.append(length.view("<u4")[:, 0])
            file.seek((n + 7) // 8 if flags else 0, 1)
    kind = np.concatenate(kinds)
    start = np.append(0, np.cumsum(np.concatenate(lengths), dtype=np.int64)) + first[0]
    if start[-1] > size:
        raise foreign(path, "is cut off")
    if first[0] != 12 + 8 * blocks + each or (start[:-1:VBLOCK] != first).any():
        raise foreign(path, "is not a .pgen as plink2 --make-pgen makes them")
    if (kind & ~np.uint8(7 | PHASED)).any() or (kind & 7 == 5).any():
        raise foreign(path, "holds dosages or sites of several ALT alleles")
    if (kind[::VBLOCK] & 6 == SAME).any():
        raise foreign(path, "begins a block of sites with a difference from another site")
    return Index(kind, start)


def write_header(file: BinaryIO, people: int, kind: np.ndarray, size: np.ndarray) -> None:
    """Header of a .pgen of biallelic sites whose REF is known. kind, size: uint8, uint32 (sites,), of the records."""
    sites, width = len(kind), max(1, -(-int(size.max()).bit_length() // 8))
    blocks, starts = -(-sites // VBLOCK), np.append(0, np.cumsum(size, dtype=np.int64))
    tops = starts[:-1:VBLOCK] + 12 + 8 * blocks + (1 + width) * sites
    file.write(b"\x6c\x1b\x10" + np.array([sites, people], dtype="<u4").tobytes() + bytes([0x40 | 3 + width]))
    file.write(tops.astype("<u8").tobytes())
    size = size.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :width]
    for top in range(0, sites, VBLOCK):
        file.write(kind[top : top + VBLOCK].tobytes() + size[top : top + VBLOCK].tobytes())
