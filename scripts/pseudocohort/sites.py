"""The text files beside a .pgen as lines of bytes: sites are picked from a .pvar, never parsed but for positions."""

from pathlib import Path

import numpy as np

from pseudocohort.errors import InputError
from pseudocohort.files import atomic

HEADER = b"#CHROM\tPOS\tID\tREF\tALT"
CHUNK_BYTES = 2**20
LINES = 2**16  # written together
NEWLINE, TAB, ZERO = 10, 9, 48


class SiteLines:
    """The lines of a .pvar as this project writes them: any lines ##, the header, five columns between tabs.

    start: int64 (sites + 1,), first byte of every site's line and the end of the last. positions: int64 (sites,).
    """

    def __init__(self, path: str | Path):
        self.path, starts, positions = Path(path), [], []
        with open(path, "rb") as file:
            self._read_header(file)
            top, tail = file.tell(), b""
            while chunk := file.read(CHUNK_BYTES):
                lines, newline, tail = (tail + chunk).rpartition(b"\n")
                self._parse(lines + newline, top, starts, positions)
                top += len(lines) + len(newline)
        if tail:
            self._refuse("ends in the middle of a line")
        self.start = np.concatenate([*starts, [top]]).astype(np.int64)
        self.positions = np.concatenate([np.zeros(0, dtype=np.int64), *positions])

    def __len__(self) -> int:
        return len(self.start) - 1

    def _read_header(self, file) -> None:
        line = b"##"
        while line.startswith(b"##"):
            line = file.readline()
        if line.rstrip(b"\n") != HEADER:
            self._refuse("has another header than this workflow writes")

    def _refuse(self, what: str) -> None:
        raise InputError(
            f"{self.path} {what}",
            where=str(self.path),
            expected="lines with " + HEADER.decode().replace("\t", " ") + ", separated by tabs",
            remedy="import the genotypes again",
        )

    def _parse(self, lines: bytes, top: int, starts: list, positions: list) -> None:
        """Add where the lines begin, the first one at byte `top`, and their positions."""
        data = np.frombuffer(lines, dtype=np.uint8)
        end, tab = np.flatnonzero(data == NEWLINE), np.flatnonzero(data == TAB)
        start = np.append(0, end[:-1] + 1)[: len(end)]
        if len(tab) != 4 * len(end) or (tab[0::4] < start).any() or (tab[3::4] > end).any():
            self._refuse(f"has other than five columns near line {sum(map(len, starts)) + 1} of its sites")
        low, high = tab[0::4] + 1, tab[1::4]
        if (high == low).any() or (high > low + 17).any():
            self._refuse("has a position that is not a number")
        position = np.zeros(len(end), dtype=np.int64)
        for digit in range(int((high - low).max(initial=0))):
            at = high - 1 - digit
            value = np.where(at >= low, data[at] - np.uint8(ZERO), np.uint8(0))
            if (value > 9).any():
                self._refuse("has a position that is not a number")
            position += value.astype(np.int64) * 10**digit
        starts.append(start + top)
        positions.append(position)

    def name(self, site: int) -> str:
        """Where a site is to be found, for an error: its file and its id."""
        with open(self.path, "rb") as file:
            file.seek(int(self.start[site]))
            return f"{self.path}, site " + file.readline().split(b"\t")[2].decode()

    def write(self, path: str | Path, kept: np.ndarray) -> None:
        """Write a .pvar with the lines of the sites kept, bool (sites,), and no line ##: no INFO survives."""
        with atomic(path) as part, open(self.path, "rb") as source, open(part, "wb") as target:
            target.write(HEADER + b"\n")
            for first in range(0, len(self), LINES):
                start = self.start[first : first + LINES + 1]
                source.seek(int(start[0]))
                lines = memoryview(source.read(int(start[-1] - start[0])))
                # a run of lines kept begins and ends where `kept` changes
                turn = np.flatnonzero(np.diff(kept[first : first + LINES], prepend=False, append=False))
                turn = (start[turn] - start[0]).reshape(-1, 2).tolist()
                target.writelines(lines[low:high] for low, high in turn)


def count_people(path: str | Path) -> int:
    """People of a .psam with header lines #."""
    with open(path, "rb") as file:
        return sum(not line.startswith(b"#") and not line.isspace() for line in file)


def write_psam(path: str | Path, person: np.ndarray, sex: np.ndarray) -> None:
    """Write `#IID SEX`, sex as 1, 2 or NA."""
    codes = np.array(["NA", "1", "2"])[np.asarray(sex, dtype=int)].tolist()
    with atomic(path) as part, open(part, "w", encoding="utf-8", newline="\n") as file:
        file.write("#IID\tSEX\n")
        file.writelines(f"{one}\t{code}\n" for one, code in zip(np.asarray(person).tolist(), codes, strict=True))
