"""Counter-based random bits: the same in numpy and JAX, on every device, in any order of execution.

Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as
1, 2, 3"), the cipher that jax.random uses too. The key names the stream (seed, purpose, chromosome,
generation ...), the two counters name the draw (haplotype, index), so no draw depends on another.
"""

import hashlib

import numpy as np

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def key(seed: int, purpose: str, *place: int | str) -> tuple[int, int]:
    """Two 32-bit key words of the stream (seed, purpose, place...)."""
    text = "\x1f".join([str(int(seed)), purpose, *map(str, place)])
    word = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(word[:4], "little"), int.from_bytes(word[4:], "little")


def bits(stream: tuple[int, int], first, second, xp=np):
    """Random bits of the draws numbered (first, second).

    first, second: broadcastable uint32 counters; xp: numpy or jax.numpy.
    Returns two uint32 arrays of the broadcast shape. Each (stream, first, second) is its own draw.
    """
    u = xp.uint32
    k0, k1 = u(stream[0]), u(stream[1])
    keys = (k0, k1, u(stream[0] ^ stream[1] ^ 0x1BD11BDA))
    x0, x1 = xp.broadcast_arrays(xp.asarray(first, dtype=u), xp.asarray(second, dtype=u))
    x0, x1 = x0 + k0, x1 + k1
    for block in range(5):
        for r in _ROTATIONS[block % 2]:
            x0 = x0 + x1
            x1 = (x1 << u(r)) | (x1 >> u(32 - r))
            x1 = x1 ^ x0
        x0 = x0 + keys[(block + 1) % 3]
        x1 = x1 + keys[(block + 2) % 3] + u(block + 1)
    return x0, x1


def order(stream: tuple[int, int], n: int) -> np.ndarray:
    """A random permutation of range(n), int64 (numpy only): the order of n 64-bit draws."""
    high, low = bits(stream, np.arange(n, dtype=np.uint32), np.uint32(0))
    return np.argsort(high.astype(np.uint64) << np.uint64(32) | low, kind="stable")


def normals(stream: tuple[int, int], first, second) -> np.ndarray:
    """Standard normals, float64, of the draws numbered (first, second), broadcastable counters (numpy only)."""
    from scipy.special import ndtri

    high, low = bits(stream, np.asarray(first, dtype=np.uint32), np.asarray(second, dtype=np.uint32))
    wide = high.astype(np.uint64) << np.uint64(20) | low.astype(np.uint64) >> np.uint64(12)
    return ndtri((wide + 0.5) / 2.0**52)


def generator(seed: int, purpose: str, *place: int | str) -> np.random.Generator:
    """A numpy generator for a stream on the host whose number of draws is not known beforehand."""
    return np.random.default_rng(key(seed, purpose, *place))
