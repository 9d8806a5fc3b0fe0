"""Mosaic and transmission by JAX on a GPU, and the bandwidth of its kernel beside the device's: steps of genome.py."""

import filecmp
import time
from collections.abc import Iterator
from functools import partial

from genome_peers import Row
from genome_work import Case, measure_step

NONE = "no GPU on this machine: not measured"
WORDS = 2**28  # of the array that is copied to measure the device's bandwidth: 1 GiB
TILES = 2**25  # words of the founders and of the pseudo cohort that the kernel takes at once, at most
ROUNDS = 20


def gpu_rows(case: Case, repeats: int, name: str) -> Iterator[Row]:
    """The engine's steps on the GPU of this name."""
    case = case._replace(device="gpu", out="pseudo-gpu")
    yield Row("pedigree + mosaic on GPU", measure_step("mosaic", case, repeats), case.alleles, name)
    transmission = measure_step("transmission", case, repeats)
    files = (f"{case.directory}/{prefix}.pgen" for prefix in ("pseudo", case.out))
    same = "the same bytes as on CPU" if filecmp.cmp(*files, shallow=False) else "BYTES DIFFER FROM CPU'S"
    yield Row("transmission on GPU", transmission, case.alleles, same)
    rates = measure_step("bandwidth", case).told
    for kernel in ("gather", "transmission"):
        share = f"{rates[kernel]:.0f} GB/s, {rates[kernel] / rates['copy']:.0%} of the {rates['copy']:.0f} of a copy"
        yield Row(f"... {kernel} kernel alone", None, remark=share)


def find_gpu(case: Case) -> dict:
    """Name of the GPU that JAX sees, or nothing."""
    import jax

    return {"gpu": next((device.device_kind for device in jax.devices() if device.platform == "gpu"), "")}


def bandwidth(case: Case) -> dict:
    """GB/s that must move at least: of a copy, of one np.take of the case's width, of the engine's dense kernel.

    A copy reads and writes a word of 4 bytes. A gather reads the number of the founder and its word and writes one,
    for 32 sites of a haplotype. The kernel (turned over, gathered, turned back) reads the founders' words, the
    numbers and writes the pseudo cohort's words; what it moves in between is not counted.
    """
    import jax
    import jax.numpy as jnp

    from pseudocohort.genome.dense import transmit_words
    from pseudocohort.genome.tiles import Course
    from pseudocohort.pgen.bits import words_of

    sources, made = 32 * words_of(case.work.founders), 32 * words_of(case.work.people)
    tiles, key = max(1, TILES // max(sources, made)), jax.random.key(1)
    words = jax.random.bits(key, (tiles * 32, sources // 32), dtype=jnp.uint32)
    starts = jax.random.randint(key, (tiles, made), 0, sources)  # places in the tile, of founders who never change
    nothing = jnp.zeros(0, dtype=jnp.int32)
    course = Course([], nothing, nothing, nothing.astype(jnp.uint32), nothing.astype(bool))
    which = (starts + sources * jnp.arange(tiles)[:, None]).reshape(-1)
    valid = jnp.full(made // 32, 2**32 - 1, dtype=jnp.uint32)
    kernel, take = jax.jit(partial(transmit_words, xp=jnp)), jax.jit(lambda words, which: jnp.take(words, which))
    return {
        "copy": rate(jax.jit(lambda words: words ^ jnp.uint32(1)), (jnp.zeros(WORDS, dtype=jnp.uint32),), 8 * WORDS),
        "gather": rate(take, (words.reshape(-1), which), 12 * which.size),
        "transmission": rate(kernel, (words, starts, course, valid), 4 * words.size + 8 * which.size),
    }


def rate(program, arguments: tuple, size: int) -> float:
    """GB/s of a compiled program that moves so many bytes."""
    program(*arguments).block_until_ready()
    began = time.monotonic()
    for _ in range(ROUNDS):
        made = program(*arguments)
    made.block_until_ready()
    return size * ROUNDS / (time.monotonic() - began) / 1e9


STEPS = {"gpu": find_gpu, "bandwidth": bandwidth}
