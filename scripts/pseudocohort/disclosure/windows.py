"""Haplotypes of short windows as alleles: how often the pseudo cohort and the reference panel carry a target's.

The likelihood ratio of Sankararaman et al. 2009 with the haplotype of a window in place of the allele of a site: what
an attacker tries where windows are all that a protection lets through.
"""

import numpy as np

from pseudocohort.disclosure.packed import Packed

WINDOWS = (0.02, 0.05, 0.1, 0.2, 0.5)  # cM
PRIOR = 0.5
_PRIME = np.uint64(0x9E3779B97F4A7C15)


def window_sums(targets: Packed, pseudo: Packed, reference: Packed, cm: np.ndarray) -> dict[str, np.ndarray]:
    """Sums over windows and a person's haplotypes of log (pseudo frequency / reference frequency), float64 (people,).

    Frequencies are (carriers + PRIOR) / (haplotypes + 1).  Names: `windows c` for windows of c cM.
    """
    panels = (targets, pseudo, reference)
    found = {}
    for width in WINDOWS:
        total = np.zeros(targets.number)
        for first, last in window_bounds(cm, width):
            own, made, known = (hashes(p, first, last) for p in panels)
            total += np.log((carriers(own, made) + PRIOR) / (len(made) + 1))
            total -= np.log((carriers(own, known) + PRIOR) / (len(known) + 1))
        found[f"windows {width:g}"] = total.reshape(-1, 2).sum(axis=1)
    return found


def window_bounds(cm: np.ndarray, width: float) -> list[tuple[int, int]]:
    """[first, last) sites of the windows of `width` cM that hold any."""
    number = np.floor(cm / width).astype(np.int64)  # windows at multiples of the width, as a generator has them
    opens = np.flatnonzero(np.append(True, number[1:] != number[:-1]))
    return list(zip(opens.tolist(), [*opens[1:].tolist(), len(cm)], strict=True))


def hashes(packed: Packed, first: int, last: int) -> np.ndarray:
    """A 64-bit hash of every haplotype's alleles at the sites [first, last): uint64 (haplotypes,)."""
    state = np.zeros(packed.number, dtype=np.uint64)
    for low in range(first, last, 64):
        rows = packed.rows[low : min(low + 64, last)]
        bytes_ = np.zeros((8, packed.number), dtype=np.uint8)
        bits = np.packbits(np.unpackbits(rows, axis=1, count=packed.number, bitorder="little"), axis=0)
        bytes_[: len(bits)] = bits
        state = (state ^ np.ascontiguousarray(bytes_.T).view("<u8")[:, 0]) * _PRIME
        state ^= state >> np.uint64(29)
    return state


def carriers(of: np.ndarray, among: np.ndarray) -> np.ndarray:
    """How many of `among` equal each of `of`, int64."""
    ordered = np.sort(among)
    return np.searchsorted(ordered, of, side="right") - np.searchsorted(ordered, of, side="left")
