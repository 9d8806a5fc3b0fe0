"""Protections between the mosaic and its transmission, streamed in windows of sites.

Recombination leaves founder segments of many centimorgans, so that nearly every founder with descendants is found in
the pseudo cohort by matching. What is copied in a window is therefore chosen anew:

minimum_allele_count    sites whose minor allele fewer families carry are dropped, not redrawn: their list would tell.
k_anonymous             a founder's haplotype of a window stays only where at least k families carry it, else the
                        nearest such stands for it; where too few do, in each half of the window. What the halves make
                        together is the haplotype of enough families or of nobody.
switch_cm               a founder segment longer than so is left for a haplotype that is locally identical: one of the
                        few with the longest matches to the left in the stratum, at distances uniform in (c / 2, c).

Matches are of haplotypes as they are emitted: many more are alike than were before, so that switching often costs
little linkage disequilibrium. Windows are cells of a fixed grid of the genetic map, joined until they have SITES, and
every draw is a counter-based one, so the bytes depend on no block size, number of processes or choice of chromosomes.
"""

from typing import NamedTuple

import numpy as np

from pseudocohort import counter
from pseudocohort.errors import InputError
from pseudocohort.genome.mosaic import Mosaic
from pseudocohort.genome.switching import Order, advance, longest_matches, start_order
from pseudocohort.genome.windows import Classes, allowed_classes, classify, hashes, replacements

CANDIDATES, EVERY = (4, 6), 400  # longest matches, of which one is switched to: 1 in 400 haplotypes, 4 to 6
WINDOW = 0.05  # cM where k_anonymous does not tell
SITES = 20  # a window has at least; of fewer nearly every haplotype is common, and none is replaced
COVERED = 0.3  # share of founder haplotypes that the allowed ones of a window are at least, or it is halved
CHOICE = 1000  # most frequent of those put together from halves; the nearest stands for one that few families carry


class Protection(NamedTuple):
    """Settings; 0 is off.

    minimum_allele_count: distinct families. switch_cm: longest founder segment. least, most: families that must carry
    a window's haplotype, a threshold drawn anew for each from this range. window_cm: step of the grid of windows.
    """

    minimum_allele_count: int = 0
    switch_cm: float = 0.0
    least: int = 0
    most: int = 0
    window_cm: float = WINDOW

    @property
    def in_windows(self) -> bool:
        """Whether haplotypes are chosen window by window, not only sites dropped."""
        return self.switch_cm > 0 or self.least > 0


class Founded(NamedTuple):
    """Who the founder haplotypes belong to: family, int64, from 0, and stratum, int, (haplotypes,) both."""

    family: np.ndarray
    stratum: np.ndarray


def make_protection(config: dict, families: int) -> Protection:
    """Settings from the configuration's key `protection`.

    config: minimum_allele_count (below 1: a share of the families), switch_cm, k_anonymous: {share or k, most (times
    k), window_cm}; None is off. families: of the founders. Raises InputError where fewer than twice as many families
    are there as the highest threshold.
    """
    given = config.get("k_anonymous") or {"k": 0, "most": 1, "window_cm": WINDOW}
    least = int(np.ceil(given["share"] * families)) if given.get("share") else given["k"]
    most = max(least, round(least * given["most"]))
    if 2 * most > families:
        raise InputError(
            f"haplotypes that at least {most} families carry are asked for, of {families} families",
            where="config key protection.k_anonymous",
            expected=f"at most {families // 2}",
            remedy="lower k, share or most, or add founders",
        )
    minimum = config.get("minimum_allele_count") or 0
    return Protection(
        int(np.ceil(minimum * families)) if minimum < 1 else int(minimum),
        config.get("switch_cm") or 0.0,
        least,
        most,
        float(given["window_cm"]),
    )


def window_bounds(cm: np.ndarray, protection: Protection) -> np.ndarray:
    """First sites of the windows, and the number of sites: int64 (windows + 1,).

    cm: float64 (sites,), ascending. Cells of a grid that begins at 0 cM are joined until a window in which haplotypes
    are replaced has SITES; what is left at the end joins the last.
    """
    number = np.floor(np.asarray(cm) / protection.window_cm)
    least = SITES if protection.least else 1
    cells = np.append(np.flatnonzero(np.diff(number, prepend=-np.inf)), len(cm))
    bounds = [0]
    for cell in cells.tolist():
        if cell - bounds[-1] >= least:
            bounds.append(cell)
    bounds[max(1, len(bounds) - 1) :] = [len(cm)]
    return np.unique(bounds)  # one 0 where there is no site


class Copying:
    """Which founder haplotype every pseudo haplotype copies, window by window, in ascending order of windows.

    Without switching the one that the mosaic has at the window's first site. With it a segment of the mosaic begins at
    its founder, and is left at the last window border before it would exceed its cap. x: uint32 (windows + 1,),
    fractions of the coordinate at the windows' first sites, and the end; length_cm: of the coordinate, 0 where nothing
    recombines. pieces: of the windows so far, 1 or as many as a window was cut into for want of allowed haplotypes.
    """

    def __init__(self, mosaic: Mosaic, protection: Protection, founded: Founded, x, length_cm: float, stream):
        self.mosaic, self.stream = mosaic, stream
        self.cap = protection.switch_cm / length_cm * 2**32 if length_cm > 0 else 0.0
        self.x, self.group, self.window = np.asarray(x, dtype=np.int64), founded.stratum, 0
        self.pieces: list[int] = []
        self.segment, self.number = mosaic.offset[:-1].copy(), np.arange(len(mosaic.offset) - 1, dtype=np.uint32)
        self.source = np.full(len(self.number), -2, dtype=np.int64)
        self.until = np.zeros(len(self.number), dtype=np.int64)
        self.order: Order | None = start_order(founded.stratum) if self.cap else None
        self.candidates = int(np.clip(len(founded.stratum) // EVERY, *CANDIDATES))

    def take(self) -> np.ndarray:
        """Sources in the next window: int64 (pseudo haplotypes,), -1 for none."""
        at, end = self.x[self.window], self.x[self.window + 1]
        started = self._follow_mosaic(at)
        if self.cap:
            left = (self.until < end) & (self.source >= 0) & ~started
            if left.any():
                self._switch(np.flatnonzero(left))
            self._draw_ends(np.flatnonzero(left | started), at)
        self.window += 1
        return self.source

    def seen(self, words: np.ndarray, pieces: int) -> None:
        """Tell what the founder haplotypes are in the window just taken, uint32 (tiles, haplotypes), and its pieces."""
        self.pieces.append(pieces)
        if self.order is not None:
            code = np.unique(hashes(words), return_inverse=True)[1]
            self.order = advance(self.order, code, self.group, self.window - 1)

    def draws(self) -> np.ndarray:
        """Counters of the pseudo haplotypes' draws; who copies what the other haplotype does (a male's X) has its."""
        mate = self.number & ~np.uint32(1)
        return np.where(self.source[mate] == self.source, mate, self.number)

    def _follow_mosaic(self, at: int) -> np.ndarray:
        """Move to the segments at x; returns who begins a new one, bool."""
        start, last, moved = self.mosaic.start, self.mosaic.offset[1:] - 1, np.zeros(len(self.number), dtype=bool)
        while True:
            behind = np.flatnonzero(self.segment < last)
            behind = behind[start[self.segment[behind] + 1] <= at]
            if len(behind) == 0:
                break
            self.segment[behind] += 1
            moved[behind] = True
        if self.window == 0:
            moved[:] = True
        self.source[moved] = self.mosaic.founder[self.segment[moved]]
        return moved

    def _switch(self, rows: np.ndarray) -> None:
        draw, _ = counter.bits(self.stream, self.draws()[rows], np.uint32(2 * self.window))
        other, _ = longest_matches(self.order, self.source[rows], self.candidates)
        found = (other >= 0).sum(axis=1)
        pick = (draw.astype(np.int64) * np.maximum(found, 1)) >> 32
        chosen = other[np.arange(len(rows)), pick]
        self.source[rows] = np.where(found > 0, chosen, self.source[rows])

    def _draw_ends(self, rows: np.ndarray, at: int) -> None:
        draw, _ = counter.bits(self.stream, self.draws()[rows], np.uint32(2 * self.window + 1))
        self.until[rows] = at + (self.cap * (0.5 + draw / 2**33)).astype(np.int64)


class Streams(NamedTuple):
    """Keys of the draws on one chromosome: of switches, of thresholds and of replacements."""

    switch: tuple[int, int]
    threshold: tuple[int, int]
    replace: tuple[int, int]


def streams_of(seed: int, chrom: str) -> Streams:
    return Streams(*(counter.key(seed, f"protection {name}", chrom) for name in Streams._fields))


def protected_words(
    words: np.ndarray, sites: int, copying: Copying, protection: Protection, founded: Founded, streams: Streams
) -> np.ndarray:
    """Alleles of the pseudo haplotypes in the next window, uint32 (tiles, pseudo haplotypes).

    words: uint32 (tiles, founder haplotypes), of so many sites. Who has no chromosome gets 0.
    """
    window, source, pieces = copying.window, copying.take(), 1
    if protection.least:
        words, pieces = anonymous_words(words, range(sites), window, protection, founded, streams)
    copying.seen(words, pieces)
    there = source >= 0
    made = np.zeros((len(words), len(source)), dtype=np.uint32)
    made[:, there] = words[:, source[there]]
    return made


def anonymous_words(
    words: np.ndarray, sites: range, window: int, protection: Protection, founded: Founded, streams: Streams
) -> tuple[np.ndarray, int]:
    """What stands for the founder haplotypes at some sites of a window, uint32 (tiles, founder haplotypes), 0 at its
    other sites; and in how many pieces enough families carry it.

    Sites of which the allowed classes hold less than COVERED of all founder haplotypes (a window without recombination
    may have thousands) are halved, and each half is a window of its own. What they make together no family or at least
    `least` carry, but where all haplotypes come out as one.
    """
    haplotype = np.arange(words.shape[1], dtype=np.uint32)
    classes = classify(words & _mask(sites, len(words))[:, None], founded.family)
    allowed = allowed_classes(classes, protection.least, protection.most, streams.threshold, window)
    held = np.isin(classes.code, allowed).mean()
    if held < COVERED and len(sites) > 1:
        middle = sites.start + len(sites) // 2
        halves = range(sites.start, middle), range(middle, sites.stop)
        first, second = (anonymous_words(words, half, window, protection, founded, streams) for half in halves)
        made, rare = first[0] | second[0], classes.words[:, classes.families < protection.least]
        again = np.flatnonzero(np.isin(hashes(made), hashes(rare)))
        if len(again):
            joined = classify(made, founded.family)
            safe = _safe_classes(joined, rare)
            chosen = replacements(joined, safe, joined.code[again], haplotype[again], window, streams.replace)
            made[:, again] = joined.words[:, chosen]
        return made, first[1] + second[1]
    if len(allowed) == 0:  # of one site: nothing is told of it
        allowed = np.array([classes.families.argmax()])
    emitted = replacements(classes, allowed, classes.code, haplotype, window, streams.replace)
    return classes.words[:, emitted], 1


def _safe_classes(joined: Classes, rare: np.ndarray) -> np.ndarray:
    """The CHOICE most frequent classes that are none of `rare`, uint32 (tiles, haplotypes): int64, ascending."""
    safe = np.flatnonzero(~np.isin(hashes(joined.words), hashes(rare)))
    if len(safe) == 0:  # there is no choice: one for all, which tells of nobody
        return np.array([joined.families.argmax()])
    return np.sort(safe[np.argsort(-joined.families[safe], kind="stable")[:CHOICE]])


def _mask(sites: range, tiles: int) -> np.ndarray:
    """Bits of some sites of a window: uint32 (tiles,)."""
    flags = np.zeros(32 * tiles, dtype=bool)
    flags[sites.start : sites.stop] = True
    return np.packbits(flags, bitorder="little").view("<u4")
