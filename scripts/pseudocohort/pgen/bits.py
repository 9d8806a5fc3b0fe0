"""Kernels on uint32 words of alleles and genotypes: array programs for numpy and jax.numpy alike (`xp`), same bits.

A pair of neighbouring words holds 32 people, two bits each. `planes` parts them into one word of all first bits and
one of all second bits: bit 2i belongs to person i of the pair's first word, bit 2i + 1 to person i of its second.
Two streams of 16 bits thus lie in one word, and closing up a word's bits under a mask (`stride` 2) needs four steps
instead of five; a plane in the order of people is `unzip` of it.
compress and expand are after H. S. Warren, Hacker's Delight, 2nd ed., 7-4 and 7-5, transpose after 7-3, unzip 7-2.
"""

from collections.abc import Iterator

import numpy as np

EVEN = np.uint32(0x55555555)
LOW = np.uint32(0xFFFF)
CHUNK = 2**17  # words worked on together: they stay in a cache
_LOWEST = np.array([(byte & -byte).bit_length() - 1 for byte in range(256)])  # lowest bit set of a byte

# Freeing one large piece tells glibc to keep temporaries (mallopt, M_MMAP_THRESHOLD): else every operation faults its
# pages in anew, which took 2.3 times the time. No page of this one is touched.
np.empty(2**24, dtype=np.uint8)


def transpose(blocks, xp=np):
    """32 x 32 bits turned over: bit j of row i of the result is bit i of row j. uint32 (..., 32, m), every column m."""
    if xp is np:
        return _transpose_in_place(np.array(blocks, dtype=np.uint32, order="C"))
    shape = blocks.shape
    for step, mask in _TURNS:
        pairs = blocks.reshape(*shape[:-2], 16 // step, 2, step, shape[-1])
        low, high = pairs[..., 0, :, :], pairs[..., 1, :, :]
        swap = (low >> np.uint32(step) ^ high) & np.uint32(mask)
        blocks = xp.stack([low ^ swap << np.uint32(step), high ^ swap], axis=-3).reshape(shape)
    return blocks


_TURNS = ((16, 0x0000FFFF), (8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555))


def _transpose_in_place(blocks: np.ndarray) -> np.ndarray:
    columns = blocks.shape[-1]
    flat = blocks.reshape(-1, 32, columns)
    width = max(1, min(columns, CHUNK // 32))
    depth = max(1, CHUNK // (32 * width))
    for first in range(0, len(flat), depth):
        for left in range(0, columns, width):
            part = flat[first : first + depth, :, left : left + width]
            for step, mask in _TURNS:
                pairs = part.reshape(len(part), 16 // step, 2, step, part.shape[-1])
                low, high = pairs[:, :, 0], pairs[:, :, 1]
                swap = low >> np.uint32(step)
                swap ^= high
                swap &= np.uint32(mask)
                high ^= swap
                swap <<= np.uint32(step)
                low ^= swap
    return blocks


def unzip(words, xp=np):
    """Even bits of a word to its lower half, odd bits to its upper half. uint32, elementwise."""
    for step, mask in ((1, 0x22222222), (2, 0x0C0C0C0C), (4, 0x00F000F0), (8, 0x0000FF00)):
        words = _exchange(words, step, mask)
    return words


def rezip(words, xp=np):
    """The reverse of unzip: lower half to the even bits, upper half to the odd ones. uint32, elementwise."""
    for step, mask in ((8, 0x0000FF00), (4, 0x00F000F0), (2, 0x0C0C0C0C), (1, 0x22222222)):
        words = _exchange(words, step, mask)
    return words


def _exchange(words, step: int, mask: int):
    """The bits under the mask change places with those `step` above them."""
    swap = words >> np.uint32(step)
    swap ^= words
    swap &= np.uint32(mask)
    words = words ^ swap
    swap <<= np.uint32(step)
    words ^= swap
    return words


def compress(x, mask, xp=np, stride: int = 1):
    """Bits of x under the mask, closed up at the lower end (pext); stride 2: even and odd bits each by themselves.

    uint32, elementwise.
    """
    x = x & mask
    for step, move in _moves(mask, stride):
        moved = x & move
        x ^= moved
        moved >>= np.uint32(step)
        x |= moved
    return x


def expand(x, mask, xp=np, stride: int = 1):
    """The lowest bits of x put under the bits of the mask, in their order (pdep); stride as in compress.

    uint32, elementwise.
    """
    for step, move in reversed(list(_moves(mask, stride))):
        moved = x << np.uint32(step)
        moved ^= x
        moved &= move
        x = x ^ moved
    return x & mask


def _moves(mask, stride: int) -> Iterator[tuple]:
    """Steps, and the bits that move down by them, when the bits under a mask close up.

    A bit moves by the number of zeros below it: the parity of their count by 1, that of half the count by 2 ...
    """
    steps = [step for step in (1, 2, 4, 8, 16) if step >= stride]
    zeros = ~mask << np.uint32(stride)
    for step in steps:
        parity = zeros
        for reach in steps:
            parity = parity ^ parity << np.uint32(reach)
        move = parity & mask
        yield step, move
        if step < 16:
            mask = mask ^ move
            mask |= move >> np.uint32(step)
            zeros = zeros & ~parity


def planes(words, xp=np):
    """Words uint32 (..., 2 n) in pairs to planes of first and of second bits, uint32 (..., n) each."""
    return _deal(xp.copy(words[..., 0::2]), xp.copy(words[..., 1::2]))


def join_planes(first, second, xp=np):
    """The words of two planes: the reverse of `planes`."""
    return xp.stack(_deal(first, second), axis=-1).reshape(*first.shape[:-1], 2 * first.shape[-1])


def positions(words: np.ndarray) -> np.ndarray:
    """Numbers of the bits set in uint32 words (n,), int64 ascending. On the host."""
    flat = words.astype("<u4", copy=False).view(np.uint8)
    place = (flat != 0).nonzero()[0]
    byte = flat.take(place, mode="wrap")
    place <<= 3
    number = np.bitwise_count(byte)
    at = np.cumsum(number, dtype=np.int64)
    out = np.empty(at[-1] if len(at) else 0, dtype=np.int64)
    at -= number
    out[at] = place + _LOWEST.take(byte, mode="wrap")
    more = (number > 1).nonzero()[0]
    while len(more):
        byte, place, at = byte[more], place[more], at[more] + 1
        byte &= byte - np.uint8(1)
        out[at] = place + _LOWEST.take(byte, mode="wrap")
        more = (byte & byte - np.uint8(1)).nonzero()[0]
    return out


def _deal(a, b):
    """Even bits of a and b, the latter one place higher, and odd bits of a and b, the former one place lower."""
    swap = a >> np.uint32(1)
    swap ^= b
    swap &= EVEN
    second = b ^ swap
    swap <<= np.uint32(1)
    swap ^= a
    return swap, second


def words_of(people: int) -> int:
    """Words of a site's alleles: an even number."""
    return 2 * -(-people // 32)


def pack(alleles: np.ndarray) -> np.ndarray:
    """Words, uint32 (sites, words), of alleles 0 or 1 (sites, 2 people)."""
    rows = np.packbits(np.asarray(alleles) != 0, axis=1, bitorder="little")
    words = np.zeros((len(rows), 4 * words_of(np.shape(alleles)[1] // 2)), dtype=np.uint8)
    words[:, : rows.shape[1]] = rows
    return words.view("<u4")


def unpack(words: np.ndarray, people: int) -> np.ndarray:
    """Alleles, uint8 (sites, 2 people), of words."""
    rows = np.ascontiguousarray(words, dtype="<u4").view(np.uint8)
    return np.unpackbits(rows, axis=1, bitorder="little", count=2 * people)


def people_words(which: np.ndarray) -> np.ndarray:
    """Words, uint32 (words,), with the first of the two bits of the people set who are True in bool (people,)."""
    return pack(np.stack([which, np.zeros_like(which)], axis=1).reshape(1, -1))[0]
