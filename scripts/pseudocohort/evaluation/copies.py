"""Exact copies: genomes by hash, rows of items by comparison. None is expected.

That nothing is copied letter by letter proves no privacy; it only shows that the generator does not
hand out what it was given.
"""

import numpy as np

from pseudocohort.evaluation.metrics import enough, metric, ranged

HOLDOUT = ("A", "B")  # parts; people whose part is neither of these nor train are of neither group
_PRIME = np.uint64(0x9E3779B97F4A7C15)


def hash_block(state: np.ndarray, alleles: np.ndarray) -> np.ndarray:
    """Fold a block of alleles into one 64-bit hash a haplotype.

    state: (haplotypes,) uint64, zeros at the start.  alleles: (sites, haplotypes) 0 or 1.  Returns the new state.
    Equal haplotypes get equal hashes; of n pairs of unequal ones about n / 2^64 do, too.
    """
    pad = -alleles.shape[0] % 64
    packed = np.packbits(np.pad(alleles.astype(np.uint8), ((0, pad), (0, 0))), axis=0)
    words = np.ascontiguousarray(packed.reshape(-1, 8, alleles.shape[1]).transpose(0, 2, 1)).view(np.uint64)[..., 0]
    for word in words:
        state = (state ^ word) * _PRIME
        state = state ^ (state >> np.uint64(29))
    return state


def person_hash(haplotypes: np.ndarray) -> np.ndarray:
    """Hash of each person's unordered pair of haplotypes: (2n,) uint64 -> (n,)."""
    pair = np.sort(haplotypes.reshape(-1, 2), axis=1)
    mixed = (pair[:, 0] * _PRIME) ^ (pair[:, 0] >> np.uint64(31))
    return (mixed + pair[:, 1]) * _PRIME


def genome_copies(real: dict[str, np.ndarray], pseudo: dict[str, np.ndarray], part: np.ndarray) -> list[dict]:
    """Metrics of exact copies of genomes, chromosomes and haplotypes.

    real, pseudo: hashes (2 people,) by chromosome.  part: (people,) train for the founders, A or B for the holdout,
    anything else for others; the floor is the same count among holdout people against founders.
    """
    train, holdout = part == "train", np.isin(part, HOLDOUT)
    autosomes = [c for c in real if c != "X"]
    names = {"whole genome": _genome(real), **{c: person_hash(real[c]) for c in autosomes}}
    others = {"whole genome": _genome(pseudo), **{c: person_hash(pseudo[c]) for c in autosomes}}
    held = np.isin(names["whole genome"][holdout], names["whole genome"][train]).sum()
    lines = [
        _count(
            "people of the pseudo cohort whose whole genome equals a real person's",
            np.isin(others["whole genome"], names["whole genome"]).sum(),
            held,
            headline=True,
        )
    ]
    if autosomes:
        copied = sum(np.isin(others[c], names[c]).sum() for c in autosomes)
        held = sum(np.isin(names[c][holdout], names[c][train]).sum() for c in autosomes)
        lines.append(
            metric(
                "copies",
                "pairs of autosomes equal to a real person's pair",
                int(copied),
                floor=int(held),
                note="on few or short chromosomes, or after few generations, a pair may come down whole",
            )
        )
        whole = np.mean([np.isin(pseudo[c], real[c]).mean() for c in autosomes])
        rows, held = np.repeat(train, 2), np.repeat(holdout, 2)
        floor = np.mean([np.isin(real[c][held], real[c][rows]).mean() if held.any() else np.nan for c in autosomes])
        lines.append(
            metric(
                "copies",
                "share of single autosomal haplotypes equal to a real one over the whole chromosome",
                whole,
                floor=floor,
                note="about exp(-generations x Morgans) is inherited without any crossover, so short "
                "chromosomes have many; it is counted over the sites in the files alone",
            )
        )
    return lines


def row_copies(
    real: np.ndarray,
    pseudo: np.ndarray,
    part: np.ndarray,
    rng: np.random.Generator,
    limit: int = 3000,
    family: np.ndarray | None = None,
) -> dict[str, dict]:
    """{copies, nearer_train}: lines of item rows equal to a real row, and nearer to the people trained on.

    real: (n, k), pseudo: (m, k) item values as numbers (categories as codes), NaN missing.  part: (n,) train, A
    or B; others are left out.  family: (n,), by default everyone's own.  At most `limit` rows a side are compared,
    drawn at random. Rows are equal when they are on every item that both have, which must be half of the items at
    least; the floor is the share of holdout rows that equal a train row: what independent real people share.
    """
    family = np.arange(len(real)) if family is None else family
    train, held = (rng.permutation(np.flatnonzero(rows))[:limit] for rows in (part == "train", np.isin(part, HOLDOUT)))
    drawn = rng.permutation(len(pseudo))[:limit]
    codes = _codes(np.vstack([pseudo[drawn], real[train], real[held]]))
    p, t, h = np.split(codes, [len(drawn), len(drawn) + len(train)])
    found, shared = _equal(p, t), _equal(h, t)
    line = metric(
        "copies",
        "share of pseudo rows of items equal to a row trained on",
        found.mean() if len(p) else np.nan,
        floor=shared.mean() if len(h) else None,
        interval=_share_interval(int(found.sum()), len(p)),
        goal="no more than independent real people share (one-sided exact test, 2.5 %)",
        within=_no_more(found, shared),
        headline=True,
        note="equal on all items that both rows have; floor: holdout rows against train rows",
    )
    return {"copies": line, "nearer_train": _nearest(real, pseudo[drawn], train, held, family)}


def _no_more(found: np.ndarray, shared: np.ndarray) -> bool | None:
    """Is the share among the first no larger than among the second, beyond chance (Fisher's exact test)?"""
    from scipy.stats import fisher_exact

    if not len(found) or not len(shared):
        return None
    table = [[found.sum(), (~found).sum()], [shared.sum(), (~shared).sum()]]
    return bool(found.mean() <= shared.mean() or fisher_exact(table, alternative="greater").pvalue > 0.025)


def _share_interval(count: int, people: int) -> tuple[float, float]:
    """Clopper and Pearson's 95 % interval of a share."""
    from scipy.stats import binomtest

    if not people:
        return np.nan, np.nan
    interval = binomtest(count, people).proportion_ci()
    return float(interval.low), float(interval.high)


def _nearest(real: np.ndarray, pseudo: np.ndarray, train: np.ndarray, held: np.ndarray, family: np.ndarray) -> dict:
    """Are pseudo rows nearer to the people trained on than to others? Half of them by chance.

    Of n_t people trained on and n_h others the nearest is trained on with chance c = n_t / (n_t + n_h). The share s of
    pseudo rows for which it is is told for equal numbers, where chance is one half: odds s / (1 - s) over c / (1 - c).
    Its error is that of s were it chance which families are trained on, given how many pseudo rows are nearest to
    each: Var s = c (1 - c) sum_f (sum of (k_i - mean k) over family f)^2 / m^2, k_i the pseudo rows nearest to i.
    """
    from sklearn.neighbors import NearestNeighbors

    name = "share of pseudo rows nearer to people trained on than to the holdout"
    if min(len(train), len(held)) < 20 or not len(pseudo):
        return metric("copies", name, np.nan, note="too few people")
    scaled, rows = _standardised(real, pseudo), np.concatenate([train, held])
    chance = len(train) / len(rows)
    (near, first), (other, second) = (
        (x[:, 0] for x in NearestNeighbors(n_neighbors=1).fit(scaled[part]).kneighbors(scaled[len(real) :]))
        for part in (train, held)
    )
    win = np.where(near == other, chance, near < other)
    nearest = np.bincount(first, win, len(rows)) + np.bincount(len(train) + second, 1 - win, len(rows))
    excess = np.bincount(np.unique(family[rows], return_inverse=True)[1], nearest - nearest.mean())
    s, deviation = win.mean(), np.sqrt(chance * (1 - chance) * (excess**2).sum()) / len(pseudo)
    share = _balanced(s, chance)
    error = float(deviation * chance * (1 - chance) / (s * (1 - chance) + (1 - s) * chance) ** 2)
    note = f"{len(train)} trained on, {len(held)} not, told for equal numbers: 0.5 by chance, 1 when copied"
    line = ranged(
        "copies",
        name,
        share,
        (share - 1.96 * error, share + 1.96 * error),
        -np.inf,
        0.52,
        floor=0.5,
        z=(share - 0.5) / error if error > 0 else None,
        note=note,
    )
    return enough(line, min(len(train), len(held)))


def _balanced(share: float, chance: float) -> float:
    """The share that would be, were both groups of equal size: odds of `share` over odds of `chance`."""
    weighted = share * (1 - chance)
    return float(weighted / (weighted + (1 - share) * chance))


def _count(name: str, value: int, floor: int, headline: bool = False) -> dict:
    return metric(
        "copies",
        name,
        int(value),
        floor=int(floor),
        goal="none, or no more than among real people",
        within=bool(value <= floor),
        headline=headline,
        note="floor: holdout people equal to a founder",
    )


def _genome(hashes: dict[str, np.ndarray]) -> np.ndarray:
    total = np.uint64(0)
    for chromosome in sorted(hashes):
        total = (total ^ person_hash(hashes[chromosome])) * _PRIME
    return total


def _codes(values: np.ndarray) -> np.ndarray:
    """Columns as int32 codes, -1 missing, so that equality is one comparison of integers."""
    codes = np.empty(values.shape, dtype=np.int32)
    for j, column in enumerate(values.T):
        codes[:, j] = np.unique(column, return_inverse=True)[1]
        codes[np.isnan(column), j] = -1
    return codes


def _equal(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which rows equal at least one of the others on all items that both have (at least half of all): (n,) bool.

    Items with many values first, so that few candidates are left for the rest.
    """
    found = np.zeros(len(rows), dtype=bool)
    if min(len(rows), len(others)) == 0:
        return found
    order = np.argsort([-len(np.unique(column)) + 2 * (column < 0).sum() for column in others.T], kind="stable")
    rows, others = rows[:, order], np.ascontiguousarray(others[:, order])
    columns = np.ascontiguousarray(others.T)
    for i, row in enumerate(rows):
        left = np.arange(len(others))
        for j in np.flatnonzero(row >= 0):
            values = columns[j, left]
            left = left[(values == row[j]) | (values < 0)]
            if not len(left):
                break
        both = ((others[left] >= 0) & (row >= 0)).sum(axis=1)
        found[i] = (both >= (len(row) + 1) // 2).any()
    return found


def _standardised(real: np.ndarray, pseudo: np.ndarray) -> np.ndarray:
    """Both tables in units of the real standard deviation, missing values at the real mean."""
    seen = ~np.isnan(real)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, real, 0).sum(axis=0) / count
    spread = np.sqrt(np.where(seen, (real - mean) ** 2, 0).sum(axis=0) / count)
    table = (np.vstack([real, pseudo]) - mean) / np.where(spread > 0, spread, 1.0)
    return np.where(np.isnan(table), 0.0, table)
