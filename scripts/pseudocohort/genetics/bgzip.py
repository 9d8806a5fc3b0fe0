"""BGZF (SAM specification, 4.1) whose deflate code numpy can pack, and tabix indices (.tbi) made while writing.

Columns of digits hold next to no repeats: what compresses them is entropy coding, and that is most of the time that
zlib takes. Here every byte has a fixed Huffman code of one, two or three nibbles (RFC 1951, 3.2.2 and 3.2.7), so that
compressing is a lookup and a shift: a seventh of zlib's time at its fastest level, a third more bytes, and the same
bytes on every machine. Any gunzip, bgzip or htslib reads it.
"""

import struct
import zlib
from functools import cache

import numpy as np

ONE_NIBBLE = b"\t-.0123456789e"
TWO_NIBBLES = b"\n*+,:;ACGNTX_chrs"
SYMBOLS = 271  # 256 bytes, the end of the block, and 14 that never occur but make the code complete
BLOCK = 40_000  # bytes of text a block: even of three nibbles a byte they stay below the 65,536 that BGZF allows
END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
LEVEL_5 = 4681  # number of the first bin of 2**14 bases
CHUNK = np.dtype([("chrom", "<i4"), ("bin", "<i4"), ("offset", "<u8")])


@cache
def nibbles() -> tuple[np.ndarray, np.ndarray, bytes]:
    """The code: nibbles of every byte (256, 3) uint8 in the order of the file, how many (256,), those of the end."""
    lengths = _lengths()
    code, codes = 0, {}
    for length in (4, 8, 12):  # canonical: shorter codes first, then by symbol
        code <<= 4 if length > 4 else 0
        for symbol in np.flatnonzero(lengths == length):
            codes[int(symbol)] = code
            code += 1
    # Codes enter a byte from their highest bit on and from its lowest.
    turned = np.array([int(f"{n:04b}"[::-1], 2) for n in range(16)], dtype=np.uint8)
    table = np.zeros((257, 3), dtype=np.uint8)
    for symbol in range(257):
        size = lengths[symbol] // 4
        table[symbol, :size] = [turned[codes[symbol] >> 4 * (size - 1 - k) & 15] for k in range(size)]
    return table[:256], lengths[:256] // 4, table[256].tobytes()


def _lengths() -> np.ndarray:
    """Code lengths in bits (SYMBOLS,): 14 of 4, 17 of 8 and 240 of 12 fill the code space exactly."""
    lengths = np.full(SYMBOLS, 12)
    lengths[list(ONE_NIBBLE)], lengths[list(TWO_NIBBLES)] = 4, 8
    return lengths


@cache
def _preamble() -> bytes:
    """What stands before the nibbles of every block: header of a last, dynamic deflate block, whole bytes long.

    The code lengths are themselves coded: 4, 8, 12 and 16 (repeat the last 3 to 6 times) by two bits each. The 16
    distance codes are never used. Zero lengths are added to the list of code lengths until it ends at a byte.
    """
    sequence = [*_lengths().tolist(), *[4] * 16]
    order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
    code = {4: "00", 8: "01", 12: "10", 16: "11"}
    for longest in (6, 5, 4, 3):
        body, k = "", 0
        while k < len(sequence):
            run = next((r for r in range(k, len(sequence)) if sequence[r] != sequence[k]), len(sequence)) - k
            body, k = body + code[sequence[k]], k + 1
            while (rest := min(run - 1, longest)) >= 3:
                body, k, run = body + code[16] + f"{rest - 3:02b}"[::-1], k + rest, run - rest
        for count in range(13, 20):
            sizes = "".join(f"{2 if length in code else 0:03b}"[::-1] for length in order[:count])
            fields = ((1, 1), (2, 2), (SYMBOLS - 257, 5), (15, 5), (count - 4, 4))
            bits = "".join(f"{value:0{size}b}"[::-1] for value, size in fields) + sizes + body
            if len(bits) % 8 == 0:
                return bytes(int(bits[b : b + 8][::-1], 2) for b in range(0, len(bits), 8))
    raise AssertionError("no header ends at a byte")


def spread(text: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The nibbles of a text, one a byte (m,) uint8, and where each of its bytes begins among them (n + 1,)."""
    table, sizes, _ = nibbles()
    symbols = np.frombuffer(text, dtype=np.uint8)
    size = sizes[symbols]
    place = np.concatenate([[0], np.cumsum(size)])
    code = np.empty(place[-1], dtype=np.uint8)
    code[place[:-1]] = table[symbols, 0]
    for k in (1, 2):
        longer = np.flatnonzero(size > k)
        code[place[longer] + k] = table[symbols[longer], k]
    return code, place


def block(text, code) -> bytes:
    """A BGZF block of at most BLOCK bytes of text from its nibbles, one a byte."""
    code = b"".join([code, nibbles()[2], b"\0"])
    pairs = np.frombuffer(code, dtype="<u2", count=len(code) // 2)
    packed = (pairs >> 4 | pairs).astype(np.uint8).tobytes()
    return _framed(_preamble() + packed, text)


def zlib_blocks(text: bytes, level: int = 6) -> list[bytes]:
    """BGZF blocks of any text by zlib."""
    blocks = []
    for start in range(0, len(text), BLOCK):
        part, coder = text[start : start + BLOCK], zlib.compressobj(level, zlib.DEFLATED, -15)
        blocks.append(_framed(coder.compress(part) + coder.flush(), part))
    return blocks


def _framed(deflated: bytes, text: bytes) -> bytes:
    size = len(deflated) + 25
    head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + struct.pack("<H", size)
    return head + deflated + struct.pack("<II", zlib.crc32(text), len(text))


def bins(position: np.ndarray) -> np.ndarray:
    """Number of the bin of 16,384 bases of 1-based positions."""
    return LEVEL_5 + (np.asarray(position) - 1 >> 14)


def tabix_index(chunks: np.ndarray, end: int, columns: tuple[int, int]) -> bytes:
    """A .tbi file for rows of one base each, sorted within each chromosome, below one line of header.

    chunks: CHUNK records in the order of the file, the virtual offset at which rows of another bin begin, and the
    number by which their chromosome goes; a chunk ends where the next begins, the last at the virtual offset `end`.
    columns: of chromosome and position, from 1.
    """
    chrom, bin_ = chunks["chrom"], chunks["bin"]
    changed = (chrom[1:] != chrom[:-1]) | (bin_[1:] != bin_[:-1])
    first = np.flatnonzero(np.concatenate([[True], changed])[: len(chunks)])
    chrom, bin_, begin = chrom[first], bin_[first], chunks["offset"][first]
    ends = np.append(begin[1:], np.uint64(end))[: len(first)]
    names = list(dict.fromkeys(chrom.tolist()))
    text = b"".join(f"{name}\0".encode() for name in names)
    out = [b"TBI\1", struct.pack("<8i", len(names), 0, *columns, columns[1], ord("#"), 1, len(text)), text]
    for name in names:
        mine = chrom == name
        out += _reference(bin_[mine], begin[mine], ends[mine])
    return b"".join([*zlib_blocks(b"".join(out), level=1), END])


def _reference(bin_: np.ndarray, begin: np.ndarray, end: np.ndarray) -> list[bytes]:
    """Bins with a chunk each, and the linear index: where the first row at or after each 16,384 bases begins."""
    table = np.zeros(len(bin_), dtype=[("bin", "<u4"), ("n", "<i4"), ("begin", "<u8"), ("end", "<u8")])
    table["bin"], table["n"], table["begin"], table["end"] = bin_, 1, begin, end
    windows = int(bin_[-1]) - LEVEL_5 + 1 if len(bin_) else 0
    linear = begin[np.searchsorted(bin_, LEVEL_5 + np.arange(windows))].astype("<u8")
    return [struct.pack("<i", len(table)), table.tobytes(), struct.pack("<i", windows), linear.tobytes()]
