"""Association results as text: a bgzipped, tabix-indexed table a trait, columns of the GWAS Catalog's GWAS-SSF 1.

What is the same for every trait (chromosome, position, alleles, id) becomes text once a block of sites. Numbers are
written with six significant digits as D.DDDDDe-D (e0D from 1 on), by lookup of three digits at a time. Everything is
made twice, as text for the checksum and as the nibbles that are written (`bgzip`).
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from pseudocohort.genetics import bgzip

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = (
    "chromosome",
    "base_pair_location",
    "effect_allele",
    "other_allele",
    "beta",
    "standard_error",
    "effect_allele_frequency",
    "neg_log_10_p_value",
    "n",
    "variant_id",
)
SIZE = 11  # characters of a number and the tab behind it
SLOTS = ("beta", "se", "af", "log10p")
WAITING = 4096  # chunks of an index that a table keeps in memory


class Digits(NamedTuple):
    """Numbers as places in the tables of `_tables`. head, tail, power: (b,); odd: (b,) bool, do not fit them."""

    head: np.ndarray
    tail: np.ndarray
    power: np.ndarray
    odd: np.ndarray


@cache
def _tables() -> dict[str, np.ndarray]:
    """Texts of digits as numbers of 4 and 2 bytes, as they are and as nibbles, and what scales a binary exponent."""
    head = "".join(f"{i // 100}.{i % 100:02d}" for i in range(1000)).encode()
    tail = "".join(f"{i:03d}e" for i in range(1000)).encode()
    power = "".join(f"{e:02d}" for e in range(-9, 10)).encode()
    tables = {}
    for name, text, dtype in (("head", head, "<u4"), ("tail", tail, "<u4"), ("power", power, "<u2")):
        tables[name] = np.frombuffer(text, dtype)
        tables[f"{name} code"] = np.frombuffer(bgzip.spread(text)[0].tobytes(), dtype)
    exponent = np.floor((np.arange(2048) - 1023) * np.log10(2)).astype(np.int64)
    usable = np.abs(exponent) < 20  # others are odd
    tables["scale"] = np.where(usable, 10.0 ** (5 - np.clip(exponent, -20, 20)), 0)
    tables["exponent"] = np.where(usable, exponent, -99)
    tables["exponent"][0] = 0  # 0 itself: what is so small but not 0 is odd, see `digits`
    return tables


def digits(x: np.ndarray) -> Digits:
    """Six significant digits of finite numbers (b,) float64, without their sign."""
    tables = _tables()
    x = np.abs(x)
    binary = x.view(np.int64) >> 52
    digit = np.rint(x * tables["scale"].take(binary))  # 1e5 to 2e6: a binary exponent spans up to two decimal ones
    power = tables["exponent"].take(binary)
    large = digit >= 1e6
    digit[large] = np.rint(x[large] * (tables["scale"][binary[large]] / 10))
    power += large
    odd = np.abs(power) > 9
    odd |= (binary == 0) & (x > 0)
    if odd.any():
        power[odd], digit[odd] = 0, 0
    head = ((digit + 0.5) * 0.001).astype(np.int64)
    return Digits(head, digit.astype(np.int64) - 1000 * head, power + 9, odd)


def plain(x: float) -> str:
    """One number as `digits` has it, of any size."""
    number, _, power = f"{abs(x):.5e}".partition("e")
    return f"{number}e{int(power):02d}"


class Texts(NamedTuple):
    """What the rows of b sites have before and behind their numbers, as Arrow arrays of texts and of nibbles.

    before: chromosome to other allele.  after: the id.  chrom, bin: (b,) codes of chromosomes, bins of the index.
    """

    before: "pa.Array"
    after: "pa.Array"
    before_code: "pa.Array"
    after_code: "pa.Array"
    chrom: np.ndarray
    bin: np.ndarray

    def take(self, rows: np.ndarray) -> "Texts":
        """Those of some sites only."""
        return Texts(*(column.take(rows) for column in self[:4]), self.chrom[rows], self.bin[rows])


def site_texts(sites: pd.DataFrame, codes: np.ndarray) -> Texts:
    """Texts of the sites pos, id, ref, alt on the chromosomes of these codes (b,)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    pos = sites["pos"].to_numpy()
    place = [pa.array(numbers).cast(pa.string()) for numbers in (codes, pos)]
    alt, ref, name = (pa.array(sites[c].to_numpy(dtype=object), pa.string()) for c in ("alt", "ref", "id"))
    before = pc.binary_join_element_wise(*place, alt, ref, "", "\t").cast(pa.binary())
    after = pc.binary_join_element_wise("\t", name, "\n", "").cast(pa.binary())
    return Texts(before, after, _coded(before), _coded(after), codes, bgzip.bins(pos))


def _coded(texts: "pa.Array") -> "pa.Array":
    """The nibbles of texts, one a byte."""
    offsets, data = _parts(texts)
    code, place = bgzip.spread(data[offsets[0] : offsets[-1]])
    return _array(code, place[offsets - offsets[0]])


def _parts(texts: "pa.Array") -> tuple[np.ndarray, memoryview]:
    """Offsets (b + 1,) and the bytes that they are offsets in, without a copy."""
    _, offsets, data = texts.buffers()
    return np.frombuffer(offsets, np.int32, len(texts) + 1, 4 * texts.offset), memoryview(data or b"")


def _array(data, offsets: np.ndarray) -> "pa.Array":
    """Texts that lie end to end in a buffer, without a copy."""
    import pyarrow as pa

    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)


@cache
def _code(text: bytes) -> bytes:
    return bgzip.spread(text)[0].tobytes()


class Records:
    """Rows of numbers with the count of people, for at most `size` sites, as text and as nibbles.

    Kept from trait to trait: what does not change is not written again.
    """

    def __init__(self, size: int, people: int):
        self.people, self._frequencies = people, None
        count = str(people).encode()
        self.width = SIZE * len(SLOTS) + len(count)
        parts = (("head", "<u4", 0), ("tail", "<u4", 4), ("power", "<u2", 8), ("tab", "u1", 10))
        fields = [(f"{slot} {part}", dtype, SIZE * k + at) for k, slot in enumerate(SLOTS) for part, dtype, at in parts]
        fields.append(("n", f"S{len(count)}", SIZE * len(SLOTS)))
        names, formats, offsets = (list(x) for x in zip(*fields, strict=True))
        row = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": self.width})
        self.text, self.code = np.zeros(size, row), np.zeros(size, row)
        for rows, tab, n in ((self.text, b"\t", count), (self.code, _code(b"\t"), _code(count))):
            rows["n"] = n
            for slot in SLOTS:
                rows[f"{slot} tab"] = ord(tab)

    def fill(self, slot: str, x: np.ndarray) -> np.ndarray:
        """Write a column of finite numbers (m,) into the first m rows; returns which do not fit, (m,) bool."""
        tables, number = _tables(), digits(x)
        for rows, kind in ((self.text, ""), (self.code, " code")):
            rows = rows[: len(x)]
            for part, place in (("head", number.head), ("tail", number.tail), ("power", number.power)):
                rows[f"{slot} {part}"] = tables[part + kind].take(place)
        return number.odd

    def arrays(self, columns: dict[str, np.ndarray]) -> tuple["pa.Array", "pa.Array"]:
        """Rows as Arrow arrays of texts and of nibbles, without the sign of beta.

        columns: finite numbers (m,) by slot.
        """
        m = len(columns["beta"])
        odd = np.zeros(m, dtype=bool)
        for slot in SLOTS:
            same = slot == "af" and self._frequencies is not None and np.array_equal(self._frequencies, columns["af"])
            if not same:
                odd |= self.fill(slot, columns[slot])
        self._frequencies = columns["af"] if not odd.any() else None
        place = np.arange(m + 1) * self.width
        text, code = (_array(rows[:m].view(np.uint8), place) for rows in (self.text, self.code))
        return self._mended(text, code, columns, odd) if odd.any() else (text, code)

    def _mended(self, text: "pa.Array", code: "pa.Array", columns: dict[str, np.ndarray], odd: np.ndarray):
        """The same with the rows of very large and very small numbers."""
        import pyarrow as pa

        rows, coded = text.to_pylist(), code.to_pylist()
        for i in np.flatnonzero(odd).tolist():
            rows[i] = "\t".join([*(plain(columns[slot][i]) for slot in SLOTS), str(self.people)]).encode()
            coded[i] = bgzip.spread(rows[i])[0].tobytes()
        return pa.array(rows, pa.binary()), pa.array(coded, pa.binary())


class TextTable:
    """A table that grows block by block, with what its index will need."""

    def __init__(self, path: Path):
        self._path, self._waiting_path = path, path.with_name(f".{path.name}.chunks")
        self._waiting: list[np.ndarray] = []
        self._size = 0
        self._put(bgzip.zlib_blocks(("\t".join(COLUMNS) + "\n").encode()))

    def append(self, sites: Texts, numbers: Records, columns: dict[str, np.ndarray]) -> None:
        """Append the rows of m sites. columns: finite numbers (m,) by slot."""
        import pyarrow.compute as pc

        m = len(sites.bin)
        if m == 0:
            return
        negative = np.concatenate([[0], np.cumsum(np.signbit(columns["beta"]))])
        text, code = numbers.arrays(columns)
        lines = []
        for before, minus, row, after in (
            (sites.before, b"-", text, sites.after),
            (sites.before_code, _code(b"-"), code, sites.after_code),
        ):
            sign = _array(minus * int(negative[-1]), negative)
            lines.append(_parts(pc.binary_join_element_wise(before, sign, row, after, b"")))
        self._write(*lines, sites.chrom, sites.bin)

    def _write(self, lines, coded, chrom: np.ndarray, bin_: np.ndarray) -> None:
        """Write rows, given as offsets and bytes, in blocks of whole rows."""
        (start, text), (coded_start, code) = lines, coded
        cuts, blocks, places, size = [0], [], [], self._size
        while cuts[-1] < len(bin_):
            first = cuts[-1]
            last = max(int(start.searchsorted(start[first] + bgzip.BLOCK, side="right")) - 1, first + 1)
            part = text[start[first] : start[last]]
            if len(part) <= bgzip.BLOCK:
                new = [bgzip.block(part, code[coded_start[first] : coded_start[last]])]
            else:  # one row with very long alleles
                new = bgzip.zlib_blocks(part)
            cuts.append(last)
            places.append(size)
            blocks += new
            size += sum(map(len, new))
        changed = np.flatnonzero(np.concatenate([[True], (chrom[1:] != chrom[:-1]) | (bin_[1:] != bin_[:-1])]))
        inside = np.searchsorted(cuts, changed, side="right") - 1
        chunks = np.empty(len(changed), dtype=bgzip.CHUNK)
        chunks["chrom"], chunks["bin"] = chrom[changed], bin_[changed]
        chunks["offset"] = (np.array(places)[inside] << 16) + start[changed] - start[np.array(cuts)[inside]]
        self._put(blocks)
        self._waiting.append(chunks)
        if sum(map(len, self._waiting)) > WAITING:
            self._set_aside()

    def _put(self, blocks: list[bytes]) -> None:
        data = b"".join(blocks)
        self._size += len(data)
        with self._path.open("ab") as file:
            file.write(data)

    def _set_aside(self) -> None:
        with self._waiting_path.open("ab") as file:
            file.write(b"".join(chunks.tobytes() for chunks in self._waiting))
        self._waiting = []

    def close(self) -> None:
        """End the table and write its index beside it."""
        self._set_aside()
        chunks = np.frombuffer(self._waiting_path.read_bytes(), dtype=bgzip.CHUNK)
        self._waiting_path.unlink()
        index = bgzip.tabix_index(chunks, self._size << 16, columns=(1, 2))
        self._put([bgzip.END])
        self._path.with_name(f"{self._path.name}.tbi").write_bytes(index)
