"""Log-likelihood of a target haplotype as a mosaic of a panel's: the copying model of Li and Stephens 2003.

A target copies one haplotype of the panel at a time, changes it at a rate along the map, and differs from it with a
small chance at a site. The states are those panel haplotypes that the target's longest matches in a stretch are with:
all others have next to no weight. The chain may change states between blocks of sites only (8 to 64, so that a block
spans little of the map), which makes a block one XOR and one count of bits.
"""

import numpy as np

from pseudocohort.disclosure import packed as bits
from pseudocohort.disclosure import pbwt

ERROR = 1e-3  # chance that a target differs from what it copies, a site
EFFECTIVE_SIZE = 10_000  # people; a change of state every 4 N_e / (100 haplotypes) per cM, as Li and Stephens have it
STATES = 32
STRETCH = 1.0  # cM, of one set of states
BLOCK_CM = 0.02
AT_ONCE = 512  # targets whose states stay in a cache
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


def log_likelihood(
    matches: pbwt.Matches,
    targets: np.ndarray,
    panel: bits.Packed,
    cm: np.ndarray,
    *,
    states: int = STATES,
    block: int | None = None,
    error: float = ERROR,
    rate: float | None = None,
) -> np.ndarray:
    """log P(target | panel), float64 (targets,); O(targets x states x blocks).

    matches: set-maximal matches of the targets with the panel.  targets: words of 64 sites, uint64 (words, haplotypes).
    cm: (sites,).  block: sites of a block, 8, 16, 32 or 64 (by default the most that span BLOCK_CM).  rate: changes of
    state a cM, by default 4 EFFECTIVE_SIZE / (100 haplotypes).
    With K the states of N haplotypes, a_b(k) = P(data to block b, state k):
    a_b(k) = e(m_bk) [(1 - r_b) a_(b-1)(k) + r_b / N sum_k a_(b-1)(k)], e(m) = error^m (1 - error)^(sites - m).
    """
    rate = 4 * EFFECTIVE_SIZE / 100 / panel.number if rate is None else rate
    block = block_size(cm) if block is None else block
    stretch = stretch_of_word(cm)
    donors = states_by_stretch(matches, stretch, targets.shape[1], states)
    jump = block_jumps(cm, block, rate)
    table = ((error / (1 - error)) ** np.arange(65)).astype(np.float32)
    lows = range(0, targets.shape[1], AT_ONCE)
    chains = [_Chain(donors[:, low : low + AT_ONCE], panel.number, jump, table, block) for low in lows]
    for word, row in enumerate(bits.word_rows(panel)):
        for low, chain in zip(lows, chains, strict=True):
            chain.advance(word, targets[word, low : low + AT_ONCE], row, stretch[word])
    total = np.concatenate([chain.total + chain.fewest * np.log(error / (1 - error)) for chain in chains])
    return total + len(cm) * np.log1p(-error)


class _Chain:
    """Scaled forward algorithm of some targets, (targets, states) at a time. total: the log-likelihood without the
    fewest differences in every block, fewest: their sum, (targets,) each."""

    def __init__(self, donors: np.ndarray, number: int, jump: np.ndarray, table: np.ndarray, block: int):
        self.donors, self.number, self.jump, self.table, self.block = donors, number, jump, table, block
        self.mask = _ALL >> np.uint64(64 - block)
        self.stretch, self.state, self.used = 0, donors[0], donors[0] >= 0
        self.weight = self.used / np.float32(number)
        self.total, self.fewest = np.zeros(donors.shape[1]), np.zeros(donors.shape[1], dtype=np.int64)

    def advance(self, word: int, targets: np.ndarray, panel: np.ndarray, stretch: int) -> None:
        """Over the next 64 sites: the words of the targets (targets,) and of the panel (haplotypes,)."""
        if stretch != self.stretch:
            old, self.state = self.state, self.donors[stretch]
            self.used, self.stretch = self.state >= 0, stretch
            self.weight = _carried(self.weight, old, self.state)
        differ = panel.take(self.state, mode="wrap") ^ targets[:, None]
        differ[~self.used] = _ALL
        parts = 64 // self.block
        for part in range(min(parts, len(self.jump) - word * parts)):
            step = word * parts + part
            if step:
                self.weight *= np.float32(1 - self.jump[step])
                self.weight += self.used * np.float32(self.jump[step] / self.number)
            seen = np.bitwise_count(differ >> np.uint64(part * self.block) & self.mask)
            least = seen.min(axis=1)  # taken out, as the error to so high a power is no longer a number
            self.fewest += least
            self.weight *= self.table.take(seen - least[:, None])
            sums = self.weight.sum(axis=1)
            self.total += np.log(sums.astype(float))
            self.weight /= sums[:, None]


def _carried(weight: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Weights of new states that were states before; what the others had goes to all, so that the sum stays one."""
    same = (new[:, :, None] == old[:, None, :]) & (new >= 0)[:, :, None]
    kept = np.einsum("tij,tj->ti", same.astype(np.float32), weight)
    lost = np.maximum(1 - kept.sum(axis=1, keepdims=True), np.float32(1e-12))
    used = new >= 0
    return kept + used * (lost / used.sum(axis=1, keepdims=True))


def block_size(cm: np.ndarray) -> int:
    """The most sites of 8, 16, 32 or 64 whose mean span is no more than BLOCK_CM; 8 at least."""
    spacing = (cm[-1] - cm[0]) / max(1, len(cm) - 1)
    return max([8] + [size for size in (16, 32, 64) if size * spacing <= BLOCK_CM])


def block_jumps(cm: np.ndarray, block: int, rate: float) -> np.ndarray:
    """Chance of a change of state between the first site of a block and that of the block before; (blocks,)."""
    return -np.expm1(-rate * np.diff(cm[::block], prepend=cm[0]))


def stretch_of_word(cm: np.ndarray) -> np.ndarray:
    """Stretch of the map that each word of 64 sites lies in, int64 (words,), from 0 without gaps."""
    return np.unique(((cm[::64] - cm[0]) / STRETCH).astype(np.int64), return_inverse=True)[1]


def states_by_stretch(matches: pbwt.Matches, stretch: np.ndarray, targets: int, states: int) -> np.ndarray:
    """Donors of each target's longest matches that reach into a stretch, int64 (stretches, targets, states), -1 where
    there are fewer."""
    first, last = stretch[matches.first // 64], stretch[matches.last // 64]
    times = last - first + 1
    row = np.repeat(np.arange(len(times)), times)
    where = first[row] + np.arange(len(row)) - np.repeat(np.cumsum(times) - times, times)
    slot = where * targets + matches.target[row]
    length, donor = (matches.last - matches.first)[row], matches.donor[row]
    order = np.lexsort([-length, donor, slot])
    slot, donor, length = slot[order], donor[order], length[order]
    fresh = np.append(True, (slot[1:] != slot[:-1]) | (donor[1:] != donor[:-1])) if len(slot) else slot == 0
    slot, donor, length = slot[fresh], donor[fresh], length[fresh]
    order = np.lexsort([-length, slot])
    slot, donor = slot[order], donor[order]
    opens = np.append(True, slot[1:] != slot[:-1]) if len(slot) else slot == 0
    rank = np.arange(len(slot)) - np.maximum.accumulate(np.where(opens, np.arange(len(slot)), 0))
    kept = rank < states
    made = np.full(((stretch[-1] + 1) * targets, states), -1)
    made[slot[kept], rank[kept]] = donor[kept]
    made[made[:, 0] < 0, 0] = 0  # matches nobody at all: any haplotype
    return made.reshape(-1, targets, states)
