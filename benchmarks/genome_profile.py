"""Where the CPU time of a transmission goes, and the least that any program would need: two steps of genome.py.

profile: cProfile of one transmission, start-up apart. The seconds of a function count for the step that its module
stands for in `STEPS_OF_ENGINE`, those of any other function (numpy, bits, lists) for the steps that called it.
cProfile's own time, by a run without it just before, is taken off every call alike.

floor: CPU seconds, in this machine's page cache, of reading the founders' .pgen and .pvar in pieces of 1 MiB and
writing as many bytes as the pseudo cohort's files have, and of one pass of the minimal work with numpy on arrays of
the true sizes: for common sites one table lookup (np.take of a 32-bit word) for every 32 alleles of a pseudo
haplotype, for rare ones one for every person in the list that is written. Decoding, transposing, encoding and
changes of founder are not in it.
"""

import cProfile
import pstats
import time
from pathlib import Path

from genome_work import Case, size, transmission_call

# Steps by the engine's module and function, or module; functions of other modules count for what called them
STEPS_OF_ENGINE = {
    ("reader.py", ""): "decode",
    ("tiles.py", ""): "gather",
    ("tiles.py", "in_sites"): "mosaic",
    ("tiles.py", "_first_sites"): "mosaic",
    ("mosaic.py", ""): "mosaic",
    ("dense.py", ""): "gather",
    ("sparse.py", ""): "sparse",
    ("writer.py", ""): "encode",
    ("sites.py", ""): ".pvar, .psam",
    ("genome_work.py", ""): "ids",
    ("transmission.py", ""): "the loop",
}
READ, WRITE = ("pread", "'read' of", "readinto", "fromfile"), ("'write' of", "pwrite", "tofile", "fsync")
LISTS = (4, 6)  # record types of plink2's .pgen that list the people who differ from the common homozygote
PIECE = 2**20


def run_profile(case: Case) -> dict:
    """CPU seconds of every step of one transmission, of which cProfile's own are taken off; and these."""
    call = transmission_call(case)
    began = time.process_time()
    call()
    bare = time.process_time() - began
    profile = cProfile.Profile(time.process_time)
    profile.runcall(call)
    stats = pstats.Stats(profile).stats
    calls, seen = (sum(entry[i] for entry in stats.values()) for i in (1, 2))
    each = max(0.0, seen - bare) / calls
    return {"steps": by_step(stats, each), "own": max(0.0, seen - bare)}


def by_step(stats: dict, each: float) -> dict[str, float]:
    """Own seconds of all functions, handed on to their callers until one that names a step.

    stats: pstats' function: (primitive calls, calls, own, cumulative, {caller: the same of these calls}); each:
    seconds of a call that are cProfile's. What a function owes is shared out by its callers' cumulative time in it.
    """
    owed = {function: max(0.0, own - calls * each) for function, (_, calls, own, _, _) in stats.items()}
    total: dict[str, float] = {}
    for _ in range(200):  # longer than any chain of calls
        handed: dict[tuple, float] = {}
        for function, seconds in owed.items():
            callers = stats[function][4]
            weight = sum(entry[3] for entry in callers.values())
            step = step_of(Path(function[0]).name, function[2]) or ("other" if weight <= 0 else "")
            if step:
                total[step] = total.get(step, 0.0) + seconds
                continue
            for caller, entry in callers.items():
                handed[caller] = handed.get(caller, 0.0) + seconds * entry[3] / weight
        owed = handed
        if not owed:
            break
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def step_of(module: str, name: str) -> str:
    """Step that a function is part of, or nothing when that depends on who calls it."""
    for step, names in (("read", READ), ("write", WRITE)):
        if module == "~" and any(part in name for part in names):
            return step
    return STEPS_OF_ENGINE.get((module, name)) or STEPS_OF_ENGINE.get((module, ""), "")


def run_floor(case: Case) -> dict:
    """CPU seconds for the bytes and for the minimal work, and what was counted."""
    dense, entries = written(case)
    began = time.process_time()
    moved = move_bytes(case)
    bytes_done = time.process_time()
    look_up(case, dense, entries)
    done = time.process_time()
    seconds = {"bytes": bytes_done - began, "lookups": done - bytes_done}
    return seconds | {"moved": moved, "dense": dense, "entries": entries}


def written(case: Case) -> tuple[int, int]:
    """Sites of the pseudo .pgen that are not lists, and the entries of all lists."""
    import numpy as np

    from pseudocohort.pgen.header import read_index

    index = read_index(f"{case.directory}/pseudo.pgen")
    listed = np.isin(index.kind & 7, LISTS)
    data = np.fromfile(f"{case.directory}/pseudo.pgen", dtype=np.uint8)
    place, entries, open_ = index.start[:-1][listed], 0, np.ones(np.count_nonzero(listed), dtype=bool)
    for shift in range(0, 35, 7):  # the number of entries is a varint at the record's start
        byte = data[place[open_] + shift // 7].astype(np.int64)
        entries += int(((byte & 127) << shift).sum())
        open_[open_] = byte > 127
    return int(np.count_nonzero(~listed)), entries


def move_bytes(case: Case) -> int:
    """Read the founders' files and write as many bytes as the pseudo cohort's; returns the bytes of both."""
    piece = memoryview(bytearray(PIECE))
    read = 0
    for suffix in ("pgen", "pvar"):
        with open(f"{case.directory}/founders.{suffix}", "rb", buffering=0) as file:
            while n := file.readinto(piece):
                read += n
    left = wrote = size(case.directory, "pseudo.pgen", "pseudo.pvar", "pseudo.psam")
    with open(f"{case.directory}/floor", "wb", buffering=0) as file:
        while left:
            left -= file.write(piece[:left])
    Path(f"{case.directory}/floor").unlink()
    return read + wrote


def look_up(case: Case, dense: int, entries: int) -> None:
    """One np.take from the founders' words for 32 sites of all pseudo haplotypes at a time, then one for each entry."""
    import numpy as np

    rng, founders, haplotypes = np.random.default_rng(1), 2 * case.work.founders, 2 * case.work.people
    words = rng.integers(2**32, size=founders, dtype=np.uint32)
    which, made = rng.integers(founders, size=haplotypes), np.empty(haplotypes, dtype=np.uint32)
    for _ in range(-(-dense // 32)):
        np.take(words, which, out=made, mode="wrap")
    for left in range(entries, 0, -haplotypes):
        n = min(left, haplotypes)
        np.take(words, which[:n], out=made[:n], mode="wrap")


STEPS = {"profile": run_profile, "floor": run_floor}
