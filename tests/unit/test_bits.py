"""Kernels on words: against bit-by-bit loops, and the same bits from numpy and JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pseudocohort.pgen import bits


def words(seed, *shape):
    """Random words, words of no and of all bits, and words of few bits."""
    rng = np.random.default_rng(seed)
    made = rng.integers(0, 2**32, shape, dtype=np.uint32)
    made.flat[: made.size // 8] &= rng.integers(0, 2**32, made.size // 8, dtype=np.uint32)
    made.flat[:2] = 0, 2**32 - 1
    return made


def as_bits(word):
    return [word >> i & 1 for i in range(32)]


def as_word(bits_of_word):
    return sum(bit << i for i, bit in enumerate(bits_of_word))


def closed_up(x, mask):
    chosen = [bit for bit, kept in zip(x, mask, strict=True) if kept]
    return chosen + [0] * (len(x) - len(chosen))


def spread(x, mask):
    lowest = iter(x)
    return [next(lowest) if kept else 0 for kept in mask]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("kernel", "loop"), [(bits.compress, closed_up), (bits.expand, spread)])
def test_compress_and_expand(kernel, loop, stride):
    x, mask = words(1, 2, 400)
    made = kernel(x, mask, stride=stride)
    for a, m, result in zip(x.tolist(), mask.tolist(), made.tolist(), strict=True):
        wanted = [0] * 32
        for lane in range(stride):
            wanted[lane::stride] = loop(as_bits(a)[lane::stride], as_bits(m)[lane::stride])
        assert result == as_word(wanted)


def test_unzip_and_planes():
    x = words(2, 20, 6)
    for a, unzipped in zip(x.ravel().tolist(), bits.unzip(x).ravel().tolist(), strict=True):
        assert unzipped == as_word(as_bits(a)[0::2] + as_bits(a)[1::2])
    np.testing.assert_array_equal(bits.rezip(bits.unzip(x)), x)
    first, second = bits.planes(x)
    for pair, a, b in zip(x.reshape(-1, 2).tolist(), first.ravel().tolist(), second.ravel().tolist(), strict=True):
        low, high = map(as_bits, pair)
        for plane, which in ((a, 0), (b, 1)):
            assert as_word(as_bits(plane)) == as_word(
                [bit for both in zip(low[which::2], high[which::2], strict=True) for bit in both]
            )
    np.testing.assert_array_equal(bits.join_planes(first, second), x)


@pytest.mark.parametrize("shape", [(1, 32, 1), (3, 2, 32, 7), (5, 32, 5000)])
def test_transpose(shape):
    x = words(3, *shape)
    before = x.copy()
    turned = bits.transpose(x)
    np.testing.assert_array_equal(x, before)

    def square(blocks):  # (..., row, column, bit)
        return blocks[..., None] >> np.arange(32, dtype=np.uint32) & 1

    np.testing.assert_array_equal(square(turned), np.swapaxes(square(x), -1, -3))


def test_positions():
    for x in (words(4, 300), np.zeros(3, dtype=np.uint32), np.zeros(0, dtype=np.uint32)):
        wanted = np.flatnonzero(np.unpackbits(x.view(np.uint8), bitorder="little"))
        np.testing.assert_array_equal(bits.positions(x), wanted)


@pytest.mark.parametrize("people", [1, 16, 17, 32, 33, 100])
def test_pack(people):
    alleles = np.random.default_rng(people).integers(0, 2, (5, 2 * people))
    packed = bits.pack(alleles)
    assert packed.shape == (5, bits.words_of(people))
    for row, wanted in zip(packed.tolist(), alleles.tolist(), strict=True):
        assert [bit for word in row for bit in as_bits(word)] == wanted + [0] * (32 * len(row) - 2 * people)
    np.testing.assert_array_equal(bits.unpack(packed, people), alleles)
    assert bits.people_words(alleles[0, ::2] == 1).tolist() == (packed[0] & bits.EVEN).tolist()


def test_the_same_bits_from_jax():
    x, mask = words(5, 2, 64, 32)
    for kernel in (
        lambda x, m, xp: bits.compress(x, m, xp, stride=2),
        lambda x, m, xp: bits.expand(x, m, xp),
        lambda x, m, xp: bits.transpose(x.reshape(2, 32, 32), xp),
        lambda x, m, xp: bits.rezip(bits.unzip(x, xp) ^ m, xp),
        lambda x, m, xp: bits.join_planes(*bits.planes(x, xp)[::-1], xp),
    ):
        made = jax.jit(kernel, static_argnums=2)(jnp.asarray(x), jnp.asarray(mask), jnp)
        assert made.dtype == np.uint32
        np.testing.assert_array_equal(np.asarray(made), kernel(x, mask, np))
