"""The mosaic: which founder haplotype each stretch of each pseudo haplotype descends from.

Traced back from the pseudo cohort, so only gametes that have descendants in it are looked at: a segment of a
person of generation g is cut at the crossovers of the gamete that brought it, and each piece belongs to one
haplotype of the parent in generation g - 1. The same program runs in numpy and, jitted with padded arrays, in
JAX; all arithmetic is on integers, so both give the same bytes.
"""

import importlib.util
import logging
import pkgutil
import time
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pseudocohort.errors import InputError
from pseudocohort.files import atomic
from pseudocohort.genome.meiosis import LAST, Gametes, crossover_thresholds, make_gametes, stream
from pseudocohort.genome.pedigree import Pedigree

log = logging.getLogger("pseudocohort")
CHUNK = {"numpy": 4096, "jax": 65536}  # pseudo haplotypes traced together; the result does not depend on it


class Mosaic(NamedTuple):
    """Founder segments of every pseudo haplotype.

    offset: int64 (2 people + 1,); pseudo haplotype h (2i from the father of person i, 2i + 1 from the mother)
    has the segments offset[h]:offset[h + 1]. start: uint32 (segments,), fraction of the map length where a
    segment starts (x = cM / length * 2^32), 0 for the first; it ends where the next starts. founder: int32
    (segments,), founder haplotype, 2 founder + haplotype.
    """

    offset: np.ndarray
    start: np.ndarray
    founder: np.ndarray


class Trace(NamedTuple):
    """Segments of a chunk of pseudo haplotypes, at some generation, ordered by haplotype and start.

    gamete: int32 (segments,): 2 person + (0 from the father, 1 from the mother) in the current generation.
    start: uint32 (segments,). offset: int64 host array (haplotypes + 1,).
    On JAX the arrays of segments are padded with zeros to a power of two.
    """

    gamete: np.ndarray
    start: np.ndarray
    offset: np.ndarray


def trace_mosaic(
    pedigree: Pedigree,
    length_morgan: float,
    chrom: str,
    seed: int,
    inheritance: str = "autosome",
    device: str = "auto",
    xp=None,
    chunk: int | None = None,
) -> Mosaic:
    """Trace a chromosome of the pseudo cohort back to founder haplotypes.

    length_morgan: length of the chromosome's genetic map; chrom, seed: name the random stream.
    inheritance "X" (without PAR): a father passes his X whole to daughters, sons get none from him, and a
    male's pair is his mother's gamete twice, as .pgen stores it.
    device: "cpu" (numpy), "gpu" (JAX), "auto" (JAX when there is a GPU); xp, numpy or jax.numpy, overrides it.
    chunk: pseudo haplotypes held together (memory only). Memory: the segments, one generation's gametes and
    one chunk. The result is the same for every device, xp and chunk.
    """
    xp = _array_module(device) if xp is None else xp
    if inheritance not in ("autosome", "X"):
        raise ValueError(f"inheritance {inheritance!r}; autosome or X")
    if inheritance == "X" and any((sex == 0).any() for sex in pedigree.sex):
        raise InputError(
            "the X chromosome needs the sex of every founder",
            where="sex",
            expected="1 or 2 for everybody",
            remedy="complete the sample sheet or leave out X",
        )
    thresholds = crossover_thresholds(length_morgan)
    traces = _start(pedigree, inheritance, chunk or CHUNK["numpy" if xp is np else "jax"])
    cut = _cut_numpy if xp is np else partial(_cut_jax, xp=xp)
    began = time.monotonic()
    for g in range(pedigree.generations, 0, -1):
        parent = np.stack([pedigree.father[g - 1], pedigree.mother[g - 1]], axis=1).ravel()
        gametes, parent = _generation(stream(seed, chrom, g), parent, thresholds, inheritance == "X", xp)
        traces = [cut(trace, gametes, parent) for trace in traces]
        done = pedigree.generations - g + 1
        left = (time.monotonic() - began) * (pedigree.generations - done) / done
        log.info(
            "chromosome %s: %d of %d generations traced (%d %%), about %.0f s left",
            chrom,
            done,
            pedigree.generations,
            100 * done // pedigree.generations,
            left,
        )
    merged = [_merge(trace) for trace in traces]
    sizes = np.concatenate([np.diff(part.offset) for part in merged])
    return Mosaic(
        np.concatenate([[0], np.cumsum(sizes)]),
        np.concatenate([part.start for part in merged]),
        np.concatenate([part.founder for part in merged]),
    )


def founder_at(mosaic: Mosaic, x: np.ndarray) -> np.ndarray:
    """Founder haplotype of every pseudo haplotype at the positions x (uint32, (m,)): int32 (m, haplotypes)."""
    haplotype = np.repeat(np.arange(len(mosaic.offset) - 1, dtype=np.uint64), np.diff(mosaic.offset))
    keys = haplotype << np.uint64(32) | mosaic.start
    wanted = np.arange(len(mosaic.offset) - 1, dtype=np.uint64) << np.uint64(32)
    rows = np.searchsorted(keys, wanted[None, :] | np.asarray(x, dtype=np.uint32)[:, None], side="right") - 1
    return mosaic.founder[rows]


def save_mosaic(path: str | Path, mosaic: Mosaic) -> None:
    """Write the mosaic as .npz, readable by its owner only."""
    with atomic(path, mode=0o600) as part, open(part, "wb") as file:
        np.savez(file, **mosaic._asdict())


def load_mosaic(path: str | Path) -> Mosaic:
    """Read what `save_mosaic` wrote."""
    with np.load(path) as file:
        return Mosaic(**{name: file[name] for name in Mosaic._fields})


def _array_module(device: str):
    """numpy or jax.numpy; JAX is imported only where a GPU may exist, for its import takes seconds."""
    if device not in ("auto", "cpu", "gpu"):
        raise InputError(
            f"device {device!r} is not known",
            where="device",
            expected="auto, cpu or gpu",
            remedy="set the key device to one of these",
        )
    if device == "cpu" or (device == "auto" and not _gpu_plugin()):
        return np
    import jax

    if any(d.platform == "gpu" for d in jax.devices()):
        return jax.numpy
    if device == "gpu":
        raise InputError(
            "no GPU is visible to JAX",
            where="device",
            expected="a GPU and JAX's CUDA plugin",
            remedy="use device: cpu, or install the CUDA requirements",
        )
    return np


def _gpu_plugin() -> bool:
    """Whether a GPU back end of JAX is installed (they are modules of the namespace jax_plugins)."""
    spec = importlib.util.find_spec("jax_plugins")
    return spec is not None and any(pkgutil.iter_modules(spec.submodule_search_locations))


def _start(pedigree: Pedigree, inheritance: str, chunk: int) -> list[Trace]:
    """One whole-chromosome segment a pseudo haplotype, in chunks."""
    gamete = np.arange(2 * pedigree.people, dtype=np.int32)
    if inheritance == "X":
        gamete[0::2] += pedigree.sex[-1] == 1
    parts = [gamete[i : i + chunk] for i in range(0, len(gamete), chunk)]
    return [Trace(part, np.zeros(len(part), np.uint32), np.arange(len(part) + 1, dtype=np.int64)) for part in parts]


def _generation(key, parent: np.ndarray, thresholds: np.ndarray, x_linked: bool, xp) -> tuple[Gametes, np.ndarray]:
    """Gametes of a generation and, for each gamete, the parent (row of the generation before)."""
    if xp is np:
        return make_gametes(key, len(parent), thresholds, np, x_linked), parent
    n = _power_of_two(len(parent))
    gametes = _jitted()["gametes"](xp.asarray(key, dtype=xp.uint32), n, xp.asarray(thresholds), x_linked)
    return gametes, xp.asarray(np.pad(parent, (0, n - len(parent))))


def _pieces(gamete, start, crossover, xp):
    """Crossovers of its gamete at or before each segment's start, and pieces that the segment is cut into.

    A segment reaches to just before the next one's start; the last of a haplotype is followed by a start of 0,
    which wraps to the chromosome's end. A segment between two equal crossovers is empty and stays one piece.
    """
    rows = xp.take(crossover, gamete, axis=0)
    following = xp.concatenate([start[1:], xp.zeros(1, dtype=xp.uint32)])
    end = xp.minimum(following - xp.uint32(1), xp.uint32(LAST))
    before = xp.sum(rows <= start[:, None], axis=1, dtype=xp.uint8).astype(xp.int32)
    within = xp.sum(rows <= end[:, None], axis=1, dtype=xp.uint8).astype(xp.int32) - before
    return before, xp.maximum(within, 0) + 1


def _expand(gamete, start, before, first, segment, gametes: Gametes, parent, xp):
    """Gametes (of the generation before) and starts of the pieces; segment: the segment that each is cut from."""
    piece = xp.arange(len(segment), dtype=xp.int32) - xp.take(first, segment)
    brought = xp.take(gamete, segment)
    crossed = xp.take(before, segment) + piece
    cut_at = gametes.crossover[brought, xp.maximum(crossed - 1, 0)]
    haplotype = (xp.take(gametes.start, brought).astype(xp.int32) + crossed) & 1
    return 2 * xp.take(parent, brought) + haplotype, xp.where(piece == 0, xp.take(start, segment), cut_at)


def _cut_numpy(trace: Trace, gametes: Gametes, parent: np.ndarray) -> Trace:
    """One generation back."""
    before, pieces = _pieces(trace.gamete, trace.start, gametes.crossover, np)
    bounds = np.concatenate([[0], np.cumsum(pieces)])
    segment = np.repeat(np.arange(len(pieces)), pieces)
    first = bounds[:-1].astype(np.int32)
    gamete, start = _expand(trace.gamete, trace.start, before, first, segment, gametes, parent, np)
    return Trace(gamete, start, bounds[trace.offset])


def _cut_jax(trace: Trace, gametes: Gametes, parent, xp) -> Trace:
    """The same with padded arrays: a first pass counts the pieces exactly, so that none can be lost."""
    valid = int(trace.offset[-1])
    gamete, start = (_padded(a, _power_of_two(valid), xp) for a in (trace.gamete, trace.start))
    before, bounds = _jitted()["pieces"](gamete, start, gametes.crossover, valid)
    host = np.asarray(bounds).astype(np.int64)
    total = int(host[valid])
    gamete, start = _jitted()["expand"](gamete, start, before, bounds, gametes, parent, _power_of_two(total))
    return Trace(gamete, start, host[trace.offset])


@lru_cache
def _jitted() -> dict:
    """JAX's versions of the kernels; compiled once for each padded size."""
    import jax
    import jax.numpy as jnp

    @partial(jax.jit, static_argnums=(1, 3))
    def gametes(key, n, thresholds, x_linked):
        return make_gametes((key[0], key[1]), n, thresholds, jnp, x_linked)

    @jax.jit
    def pieces(gamete, start, crossover, valid):
        before, number = _pieces(gamete, start, crossover, jnp)
        number = jnp.where(jnp.arange(len(number)) < valid, number, 0)
        return before, jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(number, dtype=jnp.int32)])

    @partial(jax.jit, static_argnums=6)
    def expand(gamete, start, before, bounds, gametes, parent, capacity):
        segment = jnp.repeat(jnp.arange(len(gamete)), jnp.diff(bounds), total_repeat_length=capacity)
        made = _expand(gamete, start, before, bounds[:-1], segment, gametes, parent, jnp)
        used = jnp.arange(capacity) < bounds[-1]
        return tuple(jnp.where(used, a, jnp.zeros((), a.dtype)) for a in made)

    return {"gametes": gametes, "pieces": pieces, "expand": expand}


def _power_of_two(n: int) -> int:
    """Padded size for n elements, at least 1024, so that few sizes are compiled."""
    size = max(1024, 1 << max(n - 1, 0).bit_length())
    if size >= 2**31:
        raise ValueError(f"{n} segments in one chunk exceed 32-bit indices; use a smaller chunk")
    return size


def _padded(array, size: int, xp):
    """The array with zeros up to `size`, on the device."""
    array = xp.asarray(array)
    return array if len(array) == size else xp.pad(array, (0, size - len(array)))


def _merge(trace: Trace) -> Mosaic:
    """Drop empty segments and join neighbours of the same founder haplotype."""
    valid = int(trace.offset[-1])
    founder, start = np.asarray(trace.gamete)[:valid], np.asarray(trace.start)[:valid]
    whole = np.concatenate([start[1:] != start[:-1], [True]])
    whole[trace.offset[1:] - 1] = True
    bounds = np.concatenate([[0], np.cumsum(whole)])[trace.offset]
    founder, start = founder[whole], start[whole]
    changes = np.concatenate([[True], founder[1:] != founder[:-1]])
    changes[bounds[:-1]] = True
    bounds = np.concatenate([[0], np.cumsum(changes)])[bounds]
    return Mosaic(bounds, start[changes], founder[changes].astype(np.int32))
