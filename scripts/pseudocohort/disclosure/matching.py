"""Scores from a target's matches with a panel: the longest, sums of long ones, mean log length; and across a mismatch.

A set-maximal match is continued on the same donor beyond the mismatch that ends it, on one side or the other, whichever
goes further: one wrong letter (an error, a new mutation, noise added on purpose) does not hide a shared segment.
"""

from typing import NamedTuple

import numpy as np

from pseudocohort.disclosure import packed as bits
from pseudocohort.disclosure import pbwt

LENGTHS = (0.1, 0.5, 2.0)  # cM
COVERED = (0.2, 0.5, 1.0, 2.0, 5.0)  # cM
CELL = 0.05  # cM
SHORTEST = 1e-3  # cM; added to lengths before their logarithm
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
AT_ONCE = 2**18  # matches


class Carriers(NamedTuple):
    """Of the longest match of each target: its length, cM, and the number of its donor among the panel's people; 0 and
    -1 without any. (targets,) each."""

    length: np.ndarray
    donor: np.ndarray


def longest_carriers(matches: pbwt.Matches, cm: np.ndarray, people: int) -> Carriers:
    """matches: of haplotypes 2 i and 2 i + 1 of person i of `people`."""
    size = cm[matches.last] - cm[matches.first]
    found = Carriers(np.zeros(people), np.full(people, -1))
    order = np.argsort(size, kind="stable")  # of several writes to one place the last one, the longest, stays
    found.length[matches.target[order] // 2] = size[order]
    found.donor[matches.target[order] // 2] = matches.donor[order] // 2
    return found


def match_sums(matches: pbwt.Matches, stitched: np.ndarray, cm: np.ndarray, people: int) -> dict[str, np.ndarray]:
    """Sums over the matches of a person's two haplotypes, float64 (people,) each.

    matches: of haplotypes 2 i and 2 i + 1 of person i.  stitched: (matches,) lengths across a mismatch, cM.  Names:
    longest; sum>t, of lengths over t cM; log, of length x log length, which over `cover`, the sum of lengths, is the
    mean log length at a place; the same for stitched lengths, `stitched ...`.
    """
    person = matches.target // 2
    found = {}
    for lead, length in (("", cm[matches.last] - cm[matches.first]), ("stitched ", stitched)):
        longest = np.zeros(people)
        np.maximum.at(longest, person, length)
        found[f"{lead}longest"] = longest
        for t in LENGTHS:
            found[f"{lead}sum>{t:g}"] = np.bincount(person, np.where(length > t, length, 0), people)
        found[f"{lead}log"] = np.bincount(person, length * np.log(length + SHORTEST), people)
        found[f"{lead}cover"] = np.bincount(person, length, people)
    return found


def longest_over(matches: pbwt.Matches, length: np.ndarray, cm: np.ndarray, haplotypes: int) -> np.ndarray:
    """Length of the longest match over each place of a grid of CELL cM, float32 (haplotypes, places), 0 where none is.

    length: (matches,), cM: of the matches themselves, or stitched.
    """
    places = np.arange(cm[0] + CELL / 2, max(cm[-1], cm[0] + CELL), CELL)
    low = places.searchsorted(cm[matches.first])
    times = places.searchsorted(cm[matches.last], side="right") - low
    over = np.zeros(haplotypes * len(places), dtype=np.float32)
    for start in range(0, len(low), AT_ONCE):
        at = slice(start, start + AT_ONCE)
        number = times[at]
        within = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
        cell = np.repeat(matches.target[at] * len(places) + low[at], number) + within
        np.maximum.at(over, cell, np.repeat(length[at].astype(np.float32), number))
    return over.reshape(haplotypes, -1)


def covered_sums(over: np.ndarray) -> dict[str, np.ndarray]:
    """Sums over places and a person's haplotypes, float64 (people,): `covered>t`, how many lie under a match of over t
    cM; `log over`, of log length."""
    people = len(over) // 2
    found = {f"covered>{t:g}": np.sum(over > t, axis=1, dtype=float) for t in COVERED}
    found["log over"] = np.log(over + np.float32(SHORTEST)).sum(axis=1, dtype=float)
    return {name: value.reshape(people, 2).sum(axis=1) for name, value in found.items()}


def excess(made: np.ndarray, known: np.ndarray) -> np.ndarray:
    """How far matches with the pseudo cohort surpass those with the reference panel at the places where they do.

    made, known: of `longest_over`.  Sum over places of max(0, log made - log known), float64 (people,): a participant's
    segment stands out at its place, however short a stranger's luck makes the sum over all places.
    """
    ratio = np.log((made + np.float32(SHORTEST)) / (known + np.float32(SHORTEST)))
    return np.maximum(ratio, 0).sum(axis=1, dtype=float).reshape(-1, 2).sum(axis=1)


def stitched_lengths(matches: pbwt.Matches, targets: np.ndarray, panel: bits.Packed, cm: np.ndarray) -> np.ndarray:
    """Lengths, cM (matches,), of the matches with their donors when one mismatch is passed over, at the better end.

    targets: words of 64 sites (words, haplotypes).  The donors are looked at batch by batch of the panel.
    """
    sites, made = len(cm), np.empty(len(matches.target))
    for first, batch in panel.batches():
        mine = np.flatnonzero((matches.donor >= first) & (matches.donor < first + batch.number))
        words = bits.words(batch)
        for low in range(0, len(mine), AT_ONCE):
            at = mine[low : low + AT_ONCE]
            part = pbwt.Matches(*(x[at] for x in matches))
            part = part._replace(donor=part.donor - first)
            right = next_mismatch(targets, words, part.target, part.donor, part.last + 2, sites) - 1
            left = last_mismatch(targets, words, part.target, part.donor, part.first - 2) + 1
            right = np.where(right > part.last + 1, right, part.last)  # a mismatch followed by another ends the match
            left = np.where(left < part.first - 1, left, part.first)
            made[at] = np.maximum(cm[right] - cm[part.first], cm[part.last] - cm[left])
    return made


def next_mismatch(targets, panel, target, donor, site, sites: int) -> np.ndarray:
    """First site from `site` on at which target and donor differ, int64; `sites` where none does."""
    word = np.minimum(site // 64, len(targets) - 1)
    differ = (targets[word, target] ^ panel[word, donor]) & (_ALL << (site % 64).astype(np.uint64))
    differ[site >= sites] = 0
    todo = np.flatnonzero((differ == 0) & (word < len(targets) - 1))
    while len(todo):
        word[todo] += 1
        now = targets[word[todo], target[todo]] ^ panel[word[todo], donor[todo]]
        differ[todo] = now
        todo = todo[(now == 0) & (word[todo] < len(targets) - 1)]
    lowest = np.bitwise_count((differ & (~differ + np.uint64(1))) - np.uint64(1)).astype(np.int64)
    return np.where(differ == 0, sites, 64 * word + lowest)


def last_mismatch(targets, panel, target, donor, site) -> np.ndarray:
    """Last site up to `site` at which target and donor differ, int64; -1 where none does."""
    word = np.maximum(site, 0) // 64
    differ = (targets[word, target] ^ panel[word, donor]) & (_ALL >> (63 - site % 64).astype(np.uint64))
    differ[site < 0] = 0
    todo = np.flatnonzero((differ == 0) & (word > 0))
    while len(todo):
        word[todo] -= 1
        now = targets[word[todo], target[todo]] ^ panel[word[todo], donor[todo]]
        differ[todo] = now
        todo = todo[(now == 0) & (word[todo] > 0)]
    for step in (1, 2, 4, 8, 16, 32):
        differ |= differ >> np.uint64(step)
    return np.where(differ == 0, -1, 64 * word + np.bitwise_count(differ).astype(np.int64) - 1)
