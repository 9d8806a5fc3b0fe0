"""Pseudo genomes against real ones: allele frequency, site frequency spectrum, LD, structure, heterozygosity.

Everything is computed on a stated sample of sites (blocks of neighbouring sites, evenly spread) and of people,
beside the same statistic between real people, and beside what theory expects of reproduction.
"""

import logging

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.maps import read_map
from pseudocohort.evaluation.copies import HOLDOUT, genome_copies
from pseudocohort.evaluation.metrics import against_floor, compared, ks_distance, metric, real_halves
from pseudocohort.evaluation.sites import PAIR_BINS, Sample, sample_chromosome
from pseudocohort.evaluation.structure import principal_components
from pseudocohort.genome.drift import Drift

log = logging.getLogger("pseudocohort")
COMMON = 0.05
BLOCK_CM = 2.0  # sites within this many cM are resampled together
FAR_OFF = 6.0  # standard deviations of drift
RESAMPLES = 200
STRUCTURE_SITES = 4000  # for principal components, about so many on all autosomes together
STRUCTURE_CM = 0.02  # and no nearer to each other than this


def evaluate_genomes(
    real: dict[str, str],
    pseudo: dict[str, str],
    maps: dict[str, str],
    people: pd.DataFrame,
    pseudo_people: pd.DataFrame,
    expected: Drift,
    generations: int,
    seed: int,
    sites: int = 20_000,
    persons: int = 1000,
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """All metrics of the genomes, and aggregates for the figures.

    real, pseudo: genotype prefix by chromosome.  maps: table (pos, cM) by chromosome.  people: real people in
    the order of the .psam (person, sex, family, stratum, part: train for the founders, A and B for the holdout, and
    anything else for those who are of neither group, as people not transmitted).  pseudo_people: person, sex,
    stratum.  expected: what the pedigree makes of allele frequencies; generations: how many it has.
    sites: at most so many of a chromosome; persons: at most so many of each group for LD, spectrum and PCA.
    """
    part = people["part"].to_numpy(dtype=str)
    grouped = np.isin(part, ("train", *HOLDOUT))
    alone = grouped & ~people["family"].where(grouped).duplicated().to_numpy()
    lengths = [read_map(maps[chrom], chrom).length_cm for chrom in real if chrom != "X"]
    spacing = max(STRUCTURE_CM, sum(lengths) / STRUCTURE_SITES)
    samples = []
    for chrom in real:
        samples.append(
            sample_chromosome(
                chrom, real[chrom], pseudo[chrom], maps[chrom], part, alone, seed, sites, persons, spacing
            )
        )
        log.info("chromosome %s: %d sites compared", chrom, len(samples[-1].cm))
    rng = counter.generator(seed, "evaluate genomes")
    autosomes = [s for s in samples if s.chrom != "X"]
    lines, arrays = frequency_metrics(autosomes or samples, expected if autosomes else None, rng)
    for more, extra in (spectrum_metrics(samples), linkage_metrics(samples, generations, rng)):
        lines, arrays = lines + more, arrays | extra
    lines += singleton_metrics(autosomes, expected) + heterozygosity_metrics(autosomes, rng)
    if sum(len(s.structure_real) for s in autosomes) >= 20:
        axes = principal_components(autosomes, people, pseudo_people, rng)
        lines += structure_metrics(axes, people, rng)
        arrays |= axes.figure
    lines += genome_copies({s.chrom: s.hash_real for s in samples}, {s.chrom: s.hash_pseudo for s in samples}, part)
    counts = {"sites": sum(len(s.cm) for s in samples), "chromosomes": len(samples), "people": persons}
    return lines, arrays | {f"sample/{k}": np.array(v) for k, v in counts.items()}


def frequency_metrics(
    samples: list[Sample], expected: Drift | None, rng: np.random.Generator
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Allele frequencies. Distances are RMS of (p - q) / sqrt(q(1 - q)), q the founders' frequency, at common sites.

    Under exchangeable alleles the drift of a pedigree gives E (p - q)^2 = q(1 - q) x Drift.variance.
    """
    f = {k: np.concatenate([s.frequency[k] for s in samples]) for k in samples[0].frequency}
    block = _blocks(samples)
    q = f["train"]
    use = np.minimum(q, 1 - q) >= COMMON
    scale = np.sqrt(q * (1 - q))[use]
    pairs = {"value": ("matched", "A"), "floor": ("B", "A"), "drift": ("pseudo", "train"), "held": ("holdout", "train")}
    d = {k: ((f[a] - f[b])[use] / scale) ** 2 for k, (a, b) in pairs.items()}
    root = {k: float(np.sqrt(v.mean())) if len(v) else np.nan for k, v in d.items()}
    arrays = {"frequency/pseudo": _grid(q, f["pseudo"]), "frequency/holdout": _grid(q, f["holdout"])}
    if not use.any():
        return [], arrays
    draws = _resampled(block[use], np.column_stack([d["value"], d["floor"], d["drift"]]), rng)
    ratio = root["value"] / root["floor"] if root["floor"] else np.nan
    lines = [
        metric(
            "genomes",
            "allele frequency at common sites (standardised RMS difference)",
            root["value"],
            floor=root["floor"],
            ratio=ratio,
            interval=_interval(np.sqrt(draws[:, 0] / draws[:, 1])),
            goal="R ≤ 1.25",
            within=bool(ratio <= 1.25) if np.isfinite(ratio) else None,
            headline=True,
            note="equal numbers of people",
        )
    ]
    if expected is None:
        return lines, arrays
    theory = float(np.sqrt(expected.variance))
    low, high = _interval(np.sqrt(draws[:, 2]))
    lines.append(
        metric(
            "genomes",
            "drift of allele frequency from founders to pseudo people (standardised SD)",
            root["drift"],
            floor=root["held"],
            ratio=root["drift"] / theory,
            interval=(low, high),
            goal="within 20 % of theory, or theory in the interval",
            within=bool(0.8 <= root["drift"] / theory <= 1.2 or low <= theory <= high),
            note=f"theory (genes dropped through this pedigree): {theory:.4f}; the ratio is to theory; floor: holdout "
            "against founders",
        )
    )
    off = int((np.sqrt(d["drift"]) > FAR_OFF * theory).sum())
    lines.append(
        metric(
            "genomes",
            f"common sites more than {FAR_OFF:g} drift SD from the founders' frequency",
            off,
            goal="none",
            within=off == 0,
            note=f"of {int(use.sum())} sites; swapped alleles show here",
        )
    )
    return lines, arrays


def spectrum_metrics(samples: list[Sample]) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Folded site frequency spectrum, in equal numbers of haplotypes of founders, holdout and pseudo people."""
    autosomes = [s for s in samples if s.chrom != "X"] or samples
    haplotypes = min(s.haplotypes for s in autosomes)
    edges = np.unique(np.append(2 ** np.arange(np.log2(max(haplotypes // 2, 2))).astype(int), haplotypes // 2)) + 0.0
    edges[-1] += 1
    spectra = {}
    for name in ("train", "holdout", "pseudo"):
        count = np.concatenate([np.minimum(s.counts[name], s.haplotypes - s.counts[name]) for s in autosomes])
        spectra[name] = np.histogram(count[count > 0], edges)[0]
    shares = {k: v / max(v.sum(), 1) for k, v in spectra.items()}
    value, floor = (0.5 * np.abs(shares[k] - shares["train"]).sum() for k in ("pseudo", "holdout"))
    arrays = {"spectrum/edges": edges, "spectrum/haplotypes": np.array(haplotypes)}
    arrays |= {f"spectrum/{k}": v for k, v in spectra.items()}
    return [
        metric(
            "genomes",
            "site frequency spectrum (total variation distance)",
            value,
            floor=floor,
            goal="≤ 0.05 above the floor",
            within=bool(value <= floor + 0.05),
            note=f"folded, {haplotypes} haplotypes a group; alleles that only holdout people carry cannot be in "
            "the pseudo cohort",
        )
    ], arrays


def singleton_metrics(samples: list[Sample], expected: Drift) -> list[dict]:
    """Share of the founders' singletons that any pseudo person carries, beside what the pedigree lets survive."""
    once = [s.totals["train"] == 1 for s in samples]
    total = sum(int(o.sum()) for o in once)
    if total < 20:
        return []
    kept = sum(int((s.totals["pseudo"][o] > 0).sum()) for s, o in zip(samples, once, strict=True)) / total
    return [
        metric(
            "genomes",
            "singletons of the founders that survive",
            kept,
            ratio=kept / expected.survival,
            goal="within 20 % of theory",
            within=bool(0.8 <= kept / expected.survival <= 1.2),
            note=f"theory (this pedigree): {expected.survival:.3f}; {total} singletons; the ratio is to theory",
        )
    ]


def linkage_metrics(
    samples: list[Sample], generations: int, rng: np.random.Generator
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """LD decay: mean r^2 of pairs of common sites by distance in cM, on equal numbers of haplotypes.

    r^2 of unlinked sites is about 1 / haplotypes; that is taken off before ratios. Recombination through G
    generations multiplies r^2 at fraction c by (1 - c)^(2G), and drift adds to it.
    """
    pairs = np.concatenate([s.pairs for s in samples])
    arrays = {"linkage/edges": PAIR_BINS}
    if len(pairs) == 0:
        return [], arrays
    chrom = np.concatenate([np.full(len(s.pairs), i) for i, s in enumerate(samples)])
    chance = np.mean([1 / s.haplotypes for s in samples])
    bins = np.digitize(pairs[:, 1], PAIR_BINS) - 1
    block = _codes(chrom, np.floor(pairs[:, 0] / BLOCK_CM))
    sizes = np.bincount(bins, minlength=len(PAIR_BINS) - 1)
    with np.errstate(invalid="ignore"):
        means = np.array([np.bincount(bins, pairs[:, 2 + k], len(sizes)) / sizes for k in range(3)])
    means[:, sizes < 30] = np.nan
    arrays |= {"linkage/r2": means, "linkage/pairs": sizes, "linkage/chance": np.array(chance)}
    draws = [
        _resampled(block[bins == b], pairs[bins == b, 2:], rng) if sizes[b] >= 30 else None for b in range(len(sizes))
    ]
    arrays["linkage/intervals"] = np.array(
        [[(np.nan, np.nan) if d is None else _interval(d[:, k]) for d in draws] for k in range(3)]
    )
    lines = []
    for name, low, high, judged in (
        ("under 0.1 cM", 0.0, 0.1, True),
        ("0.1 to 0.5 cM", 0.1, 0.5, True),
        ("1 to 5 cM", 1.0, 5.0, False),
    ):
        inside = (pairs[:, 1] >= low) & (pairs[:, 1] < high)
        if inside.sum() < 100:
            continue
        draws = _resampled(block[inside], pairs[inside, 2:] - chance, rng)
        train, held, made = pairs[inside, 2:].mean(axis=0) - chance
        if train <= 0:  # too few people to tell linkage from chance
            continue
        kept = np.exp(-2 * generations * pairs[inside, 1].mean() / 100)
        lines.append(
            metric(
                "genomes",
                f"LD (r² above chance) {name}, pseudo over real",
                made / train,
                floor=held / train,
                interval=_interval(draws[:, 2] / draws[:, 0]),
                headline=judged and low == 0,
                goal="0.9 to 1.25" if judged else "",
                within=bool(0.9 <= made / train <= 1.25) if judged else None,
                note=f"recombination alone would leave {kept:.2f}, drift adds to it; floor: holdout over founders",
            )
        )
    return lines, arrays


def heterozygosity_metrics(samples: list[Sample], rng: np.random.Generator) -> list[dict]:
    """F = 1 - observed / expected heterozygosity over common autosomal sites (0 under Hardy-Weinberg)."""
    if not samples:
        return []
    q = np.concatenate([s.frequency["train"] for s in samples])
    use = np.minimum(q, 1 - q) >= COMMON
    if not use.any():
        return []
    columns, names = [], ("train", "holdout", "pseudo")
    for name in names:
        p = np.concatenate([s.frequency[name] for s in samples])[use]
        n = 2 * samples[0].people[name]
        columns += [np.concatenate([s.heterozygous[name] for s in samples])[use], 2 * p * (1 - p) * n / (n - 1)]
    table = np.column_stack(columns)
    draws = _resampled(_blocks(samples)[use], table, rng)
    f, spread = (1 - t[..., 0::2] / t[..., 1::2] for t in (table.mean(axis=0), draws))
    change = spread[:, 2] - spread[:, 0]
    return [
        metric(
            "genomes",
            "Hardy-Weinberg: inbreeding coefficient F of the pseudo people",
            f[2],
            floor=f[0],
            z=(f[2] - f[0]) / change.std() if change.std() else None,
            interval=_interval(spread[:, 2]),
            goal="within 0.01 of the founders'",
            within=bool(abs(f[2] - f[0]) <= 0.01),
            note=f"floor: founders; holdout {f[1]:.4f}; z over blocks of {BLOCK_CM:g} cM",
        )
    ]


def structure_metrics(axes, people: pd.DataFrame, rng: np.random.Generator) -> list[dict]:
    """Distributions along the real principal axes, holdout halves against pseudo people, all projected alike."""
    family, part = (people[c].to_numpy(dtype=str)[axes.rows] for c in ("family", "part"))
    halves = real_halves(family, part, rng)

    def distance(x, y):
        return np.array([ks_distance(x[:, k], y[:, k]) for k in range(x.shape[1])])

    result = against_floor(distance, axes.real, axes.pseudo, halves, family, rng)
    return [
        compared(
            "genomes",
            "ancestry: positions on the first 4 principal axes (mean KS distance)",
            result,
            1.5,
            headline=True,
            note=f"{axes.sites} common, nearly unlinked sites",
        )
    ]


def _grid(x: np.ndarray, y: np.ndarray, bins: int = 60) -> np.ndarray:
    """Numbers of sites on a grid of two allele frequencies: (bins, bins)."""
    return np.histogram2d(x, y, bins=bins, range=[[0, 1], [0, 1]])[0]


def _blocks(samples: list[Sample]) -> np.ndarray:
    chrom = np.concatenate([np.full(len(s.cm), i) for i, s in enumerate(samples)])
    return _codes(chrom, np.floor(np.concatenate([s.cm for s in samples]) / BLOCK_CM))


def _codes(chrom: np.ndarray, window: np.ndarray) -> np.ndarray:
    window = (window - window.min()).astype(np.int64) if len(window) else window.astype(np.int64)
    return np.unique(chrom * (window.max(initial=0) + 1) + window, return_inverse=True)[1]


def _resampled(block: np.ndarray, columns: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Means of the columns over blocks drawn with replacement: (RESAMPLES, columns).

    block: (rows,) numbers of blocks; a number without rows, as where only some rows are judged, is no block.
    """
    block = np.unique(block, return_inverse=True)[1]
    sizes = np.bincount(block)
    sums = np.column_stack([np.bincount(block, c) for c in columns.T])
    drawn = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=RESAMPLES)
    return (drawn @ sums) / (drawn @ sizes)[:, None]


def _interval(draws: np.ndarray) -> tuple[float, float]:
    draws = draws[np.isfinite(draws)]
    return tuple(np.quantile(draws, [0.025, 0.975]).tolist()) if len(draws) > 20 else (np.nan, np.nan)
