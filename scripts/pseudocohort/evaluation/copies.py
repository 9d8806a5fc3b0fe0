"""Exact copies: genomes by hash, rows of items by comparison. None is expected.

That nothing is copied letter by letter proves no privacy; it only shows that the generator does not
hand out what it was given.
"""

import numpy as np

from pseudocohort.evaluation.metrics import metric

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
    real: np.ndarray, pseudo: np.ndarray, part: np.ndarray, rng: np.random.Generator, limit: int = 3000
) -> list[dict]:
    """Metrics of item rows that equal a real row on every item that both have.

    real: (n, k), pseudo: (m, k) item values as numbers (categories as codes), NaN missing.  part: (n,) train, A
    or B; others are left out.  At most `limit` rows a side are compared, drawn at random. Rows with fewer than half of
    the items in common are not compared. The floor is the share of holdout rows that equal a train row.
    """
    train, held = (rng.permutation(np.flatnonzero(rows))[:limit] for rows in (part == "train", np.isin(part, HOLDOUT)))
    drawn = rng.permutation(len(pseudo))[:limit]
    codes = _codes(np.vstack([pseudo[drawn], real[train], real[held]]))
    p, t, h = np.split(codes, [len(drawn), len(drawn) + len(train)])
    share, floor = _equal_share(p, np.vstack([t, h])), _equal_share(h, t)
    lines = [
        metric(
            "copies",
            "share of pseudo rows of items equal to a real row",
            share,
            floor=floor,
            goal="no more than among real people",
            within=bool(share <= floor + 1 / max(len(p), 1)) if floor else share == 0,
            headline=True,
            note="equal on all items that both rows have; floor: holdout rows against train rows",
        )
    ]
    return lines + _nearest(real, pseudo[drawn], train, held, rng)


def _nearest(
    real: np.ndarray, pseudo: np.ndarray, train: np.ndarray, held: np.ndarray, rng: np.random.Generator
) -> list[dict]:
    """Are pseudo rows nearer to the people trained on than to others? Half of them by chance."""
    from sklearn.neighbors import NearestNeighbors

    size = min(len(train), len(held))
    if size < 20:
        return []
    scaled = _standardised(real, pseudo)
    values, shares = scaled[len(real) :], []
    other = NearestNeighbors(n_neighbors=1).fit(scaled[held[:size]]).kneighbors(values)[0][:, 0]
    for _ in range(5):
        near = NearestNeighbors(n_neighbors=1).fit(scaled[rng.permutation(train)[:size]]).kneighbors(values)[0][:, 0]
        shares.append((near < other).mean() + 0.5 * (near == other).mean())
    share = float(np.mean(shares))
    # Each of the `size` real rows on both sides attracts a few pseudo rows, so they count, not the pseudo rows.
    error = 0.5 / np.sqrt(min(size, len(values)))
    return [
        metric(
            "copies",
            "share of pseudo rows nearer to people trained on than to the holdout",
            share,
            floor=0.5,
            z=(share - 0.5) / error,
            interval=(share - 1.96 * error, share + 1.96 * error),
            goal="z ≤ 3",
            within=bool(share - 0.5 <= 3 * error),
            note="equal numbers of both; 0.5 by chance, 1 when copied",
        )
    ]


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


def _equal_share(rows: np.ndarray, others: np.ndarray) -> float:
    """Share of rows that equal at least one of the others on all items that both have (at least half of all)."""
    if min(len(rows), len(others)) == 0:
        return np.nan
    found = np.zeros(len(rows), dtype=bool)
    for i, row in enumerate(rows):
        comparable = (others >= 0) & (row >= 0)
        differs = (comparable & (others != row)).any(axis=1)
        found[i] = (~differs & (comparable.sum(axis=1) >= (len(row) + 1) // 2)).any()
    return float(found.mean())


def _standardised(real: np.ndarray, pseudo: np.ndarray) -> np.ndarray:
    """Both tables in units of the real standard deviation, missing values at the real mean."""
    seen = ~np.isnan(real)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, real, 0).sum(axis=0) / count
    spread = np.sqrt(np.where(seen, (real - mean) ** 2, 0).sum(axis=0) / count)
    table = (np.vstack([real, pseudo]) - mean) / np.where(spread > 0, spread, 1.0)
    return np.where(np.isnan(table), 0.0, table)
