"""The mosaic: which founder haplotype each stretch of each pseudo haplotype descends from.

Traced back from the pseudo cohort, so only gametes that have descendants in it are looked at (`tracing`). All
arithmetic is on integers, so numpy and JAX give the same bytes.
"""

import importlib.util
import logging
import pkgutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pseudocohort.errors import InputError
from pseudocohort.files import atomic
from pseudocohort.genome.meiosis import stream
from pseudocohort.genome.recombination import NONE, Recombination
from pseudocohort.genome.tracing import Trace, generation_back

if TYPE_CHECKING:  # its imports would cost the transmission a fifth of a second
    from pseudocohort.genome.pedigree import Pedigree

log = logging.getLogger("pseudocohort")
CHUNK = {"numpy": 4096, "jax": 65536}  # pseudo haplotypes traced together; the result does not depend on it


class Mosaic(NamedTuple):
    """Founder segments of every pseudo haplotype.

    offset: int64 (2 people + 1,); pseudo haplotype h (2i from the father of person i, 2i + 1 from the mother)
    has the segments offset[h]:offset[h + 1]. start: uint32 (segments,), fraction of the coordinate where a
    segment starts (`recombination.coordinate`, x = share * 2^32), 0 for the first; it ends where the next starts.
    founder: int32 (segments,), founder haplotype, 2 founder + haplotype; -1 for none, as females have on Y.
    """

    offset: np.ndarray
    start: np.ndarray
    founder: np.ndarray


def trace_mosaic(
    pedigree: "Pedigree",
    recombination: Recombination,
    chrom: str,
    seed: int,
    device: str = "auto",
    xp=None,
    chunk: int | None = None,
) -> Mosaic:
    """Trace a chromosome of the pseudo cohort back to founder haplotypes.

    recombination: also tells how the chromosome is inherited; chrom, seed: name the random stream.
    On X a father passes his X (his haplotype 1) to daughters and his Y (0) to sons, with crossovers inside the PAR
    alone; outside it a male's pair is his mother's gamete twice, as .pgen stores it. On Y both haplotypes of a male are
    haplotype 0 of the founder in his fathers' line, on MT everybody's are haplotype 1 of the one in the mothers' line.
    Where nobody's sex is known, all recombine by the average of the sexes' maps.
    device: "cpu" (numpy), "gpu" (JAX), "auto" (JAX when there is a GPU); xp, numpy or jax.numpy, overrides it.
    chunk: pseudo haplotypes held together (memory only). Memory: the segments, one generation's gametes and
    one chunk. The result is the same for every device, xp and chunk.
    Raises InputError for X and Y where somebody's sex is not known.
    """
    xp = array_module(device) if xp is None else xp
    recombination = _of_known_sexes(recombination, pedigree)
    if recombination.inheritance in ("Y", "MT"):
        return _one_line(pedigree, recombination.inheritance)
    traces = _start(pedigree, recombination.haploid, chunk or CHUNK["numpy" if xp is np else "jax"])
    began = time.monotonic()
    for g in range(pedigree.generations, 0, -1):
        parent = np.stack([pedigree.father[g - 1], pedigree.mother[g - 1]], axis=1).ravel()
        sex = pedigree.sex[g] if recombination.inheritance == "X" else None
        back = generation_back(stream(seed, chrom, g), parent, recombination, sex, xp)
        traces = [back(trace) for trace in traces]
        done, left = 1 - (g - 1) / pedigree.generations, g - 1
        seconds = (time.monotonic() - began) * (1 - done) / done
        form = "chromosome %s: %d of %d generations traced (%.0f %%), about %.0f s left"
        log.info(form, chrom, pedigree.generations - left, pedigree.generations, 100 * done, seconds)
    merged = [_merge(trace) for trace in traces]
    sizes = np.concatenate([np.diff(part.offset) for part in merged])
    return Mosaic(
        np.append(0, np.cumsum(sizes)),
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


def array_module(device: str):
    """numpy or jax.numpy; JAX is imported only where a GPU may exist, for its import takes seconds."""
    if device not in ("auto", "cpu", "gpu"):
        raise InputError(
            f"device {device!r} is not known",
            where="config key device",
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
            where="config key device",
            expected="a GPU and JAX's CUDA plugin",
            remedy="use device: cpu, or install JAX's CUDA plugin of the version of jax: pip install 'jax[cuda13]', or "
            "'jax[cuda12]' for an older driver",
        )
    return np


def _gpu_plugin() -> bool:
    """Whether a GPU back end of JAX is installed (they are modules of the namespace jax_plugins)."""
    spec = importlib.util.find_spec("jax_plugins")
    return spec is not None and any(pkgutil.iter_modules(spec.submodule_search_locations))


def _of_known_sexes(recombination: Recombination, pedigree: "Pedigree") -> Recombination:
    """The tables that apply; an InputError where a sex is needed and not known."""
    name = recombination.inheritance
    if name in ("X", "Y") and any((sex == 0).any() for sex in pedigree.sex):
        raise InputError(
            f"the {name} chromosome needs the sex of every founder",
            where="sample sheet, column sex",
            expected="1 or 2 for everybody",
            remedy=f"complete the sample sheet or leave out {name}",
        )
    if recombination.averaged is not None and not any(sex.any() for sex in pedigree.sex):
        return replace(recombination, father=recombination.averaged, mother=None, averaged=None)
    return replace(recombination, averaged=None)


def _start(pedigree: "Pedigree", haploid: tuple[int, int] | None, chunk: int) -> list[Trace]:
    """The pseudo haplotypes in chunks, one whole segment each; a male's first on X turns to his mother's gamete where
    he has one copy, and back."""
    parts = []
    for low in range(0, 2 * pedigree.people, chunk):
        haplotype = np.arange(low, min(low + chunk, 2 * pedigree.people), dtype=np.int32)
        if haploid is None:
            parts.append(Trace(haplotype, np.zeros(len(haplotype), np.uint32), np.arange(len(haplotype) + 1)))
            continue
        begin, end = haploid
        single = (haplotype % 2 == 0) & (pedigree.sex[-1][haplotype // 2] == 1)
        starts = np.array([0, begin, end], dtype=np.uint32)
        used = np.ones((len(haplotype), 3), dtype=bool)
        used[:, 0] = ~single | (begin > 0) | (begin == end)
        used[:, 1] = single & (begin < end)
        used[:, 2] = single & (begin < end < NONE)
        gamete = haplotype[:, None] + (single[:, None] & np.array([False, True, False])).astype(np.int32)
        offset = np.append(0, np.cumsum(used.sum(axis=1)))
        parts.append(Trace(gamete[used], np.broadcast_to(starts, used.shape)[used], offset))
    return parts


def _one_line(pedigree: "Pedigree", inheritance: str) -> Mosaic:
    """The mosaic of a chromosome that comes whole through fathers (Y) or mothers (MT)."""
    line = np.arange(pedigree.people)
    for parents in reversed(pedigree.father if inheritance == "Y" else pedigree.mother):
        line = parents[line]
    founder = 2 * line + (inheritance == "MT")
    if inheritance == "Y":
        founder = np.where(pedigree.sex[-1] == 1, founder, -1)
    founder = np.repeat(founder, 2).astype(np.int32)
    return Mosaic(np.arange(len(founder) + 1, dtype=np.int64), np.zeros(len(founder), np.uint32), founder)


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
