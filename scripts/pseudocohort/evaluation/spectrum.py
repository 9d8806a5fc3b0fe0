"""Site frequency spectrum, and which of the founders' rare alleles survive reproduction."""

from collections.abc import Sequence

import numpy as np

from pseudocohort.evaluation.metrics import shifted
from pseudocohort.evaluation.resampling import interval, resampled
from pseudocohort.evaluation.sites import Sample
from pseudocohort.genome.drift import Drift
from pseudocohort.measures.line import measure

CLASSES = ((1, 1), (2, 5), (6, 20), (21, 100))  # copies of the rarer allele among the founders
FEWEST = 20  # sites of a class
REPEATS = 10  # of dropping every site's alleles


def spectrum_metrics(
    samples: Sequence[Sample], expected: Drift, block: np.ndarray, rng: np.random.Generator
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Folded site frequency spectrum, in equal numbers of haplotypes of founders, holdout and pseudo people.

    Judged against the founders' alleles dropped through the pedigree; floor: the holdout's to the founders'.  block:
    (sites,).  The interval is of blocks drawn with replacement, moved onto the value (`metrics.shifted`).
    """
    haplotypes = min(s.haplotypes for s in samples)
    edges = np.unique(np.append(2 ** np.arange(np.log2(max(haplotypes // 2, 2))).astype(int), haplotypes // 2)) + 0.0
    edges[-1] += 1
    founders = np.concatenate([s.totals["train"] for s in samples])
    tables = {"theory": expected_classes(founders, 2 * samples[0].people["train"], expected, haplotypes, edges, rng)}
    for name in ("train", "holdout", "pseudo"):
        counts = np.concatenate([s.counts[name] * haplotypes / s.haplotypes for s in samples]).round()
        tables[name] = _classes(np.minimum(counts, haplotypes - counts)[:, None], edges)
    names, width = list(tables), len(edges) - 1
    sums = np.hstack([tables[name] for name in names])
    draws = dict(zip(names, np.split(resampled(block, sums, rng), len(names), axis=1), strict=True))
    means = {k: v.mean(axis=0) for k, v in tables.items()}
    value, floor, changed = (
        float(_distance(means[a], means[b]))
        for a, b in (("pseudo", "theory"), ("holdout", "train"), ("pseudo", "train"))
    )
    ends = shifted(value, _distance(draws["pseudo"], draws["theory"]))
    arrays = {"spectrum/edges": edges, "spectrum/haplotypes": np.array(haplotypes)}
    arrays |= {f"spectrum/{k}": v.sum(axis=0) for k, v in tables.items()}
    numbers = {
        "interval": (max(ends[0], 0.0), ends[1]),
        "haplotypes": haplotypes,
        "founders": changed,
        "classes": width,
    }
    return [measure("spectrum", value, floor=floor, **numbers)], arrays


def expected_classes(
    copies: np.ndarray, founders: int, expected: Drift, haplotypes: int, edges: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Chance that alleles of so many copies (sites,) among `founders` haplotypes fall into each class of the folded
    spectrum of `haplotypes` pseudo haplotypes: (sites, classes).

    The allele is on k founder haplotypes taken at random, whose numbers of copies among all pseudo haplotypes are
    drawn without replacement from what gene dropping found; then haplotypes are drawn of these, hypergeometrically.
    """
    shares = np.array(expected.copies)
    left = np.repeat(np.arange(len(shares)), np.diff(np.round(np.append(0, np.cumsum(shares)) * founders).astype(int)))
    total, chances = int(left.sum()), np.zeros((len(copies), len(edges) - 1))
    for _ in range(REPEATS):
        around = np.append(0, np.cumsum(np.tile(rng.permutation(left), 2)))
        start = rng.integers(len(left), size=len(copies))
        handed = around[start + np.minimum(copies, len(left))] - around[start]
        drawn = rng.hypergeometric(handed, total - handed, min(haplotypes, total))
        chances += _classes(np.minimum(drawn, min(haplotypes, total) - drawn)[:, None], edges)
    return chances / REPEATS


def _classes(counts: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Which class each count (sites, 1) is of, as (sites, classes) 0 or 1; counts of 0 are of none."""
    return ((counts >= edges[:-1]) & (counts < edges[1:])).astype(float)


def _distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Total variation distance of spectra (..., classes) as shares of the sites that vary."""
    shares = [x / np.maximum(x.sum(axis=-1, keepdims=True), 1e-12) for x in (one, other)]
    return 0.5 * np.abs(shares[0] - shares[1]).sum(axis=-1)


def singleton_metrics(
    samples: Sequence[Sample], expected: Drift, block: np.ndarray, rng: np.random.Generator
) -> list[dict]:
    """Share of the founders' singletons that any pseudo person carries, beside what the pedigree lets survive."""
    kept = _kept(samples, 1, 1, expected, block, rng)
    return [] if kept is None else [measure("singletons", **kept)]


def class_metrics(
    samples: Sequence[Sample], expected: Drift, block: np.ndarray, rng: np.random.Generator
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """The same for rare alleles of several copies, each of which survives on its own: 1 - (1 - s)^k of k copies."""
    found = [(low, high, _kept(samples, low, high, expected, block, rng)) for low, high in CLASSES]
    found = [(low, high, kept) for low, high, kept in found if kept is not None]
    if not found:
        return [], {}
    lines = [measure("rare_alleles", subject=f"{low}\u2013{high}", **kept) for low, high, kept in found if low > 1]
    columns = {k: np.array([kept[k] for _, _, kept in found]) for k in ("value", "theory", "sites")}
    arrays = {f"kept/{k}": v for k, v in columns.items()}
    return lines, arrays | {"kept/classes": np.array([(low, high) for low, high, _ in found])}


def _kept(
    samples: Sequence[Sample], low: int, high: int, expected: Drift, block: np.ndarray, rng: np.random.Generator
) -> dict | None:
    """Numbers of a line: the share of sites with low to high copies that still segregate; None of too few sites."""
    copies, left = (np.concatenate([s.totals[k] for s in samples]) for k in ("train", "pseudo"))
    use = (copies >= low) & (copies <= high)
    if use.sum() < FEWEST:
        return None
    theory = 1 - (1 - expected.survival) ** copies[use]
    draws = resampled(block[use], np.column_stack([left[use] > 0, theory]).astype(float), rng)
    value = float((left[use] > 0).mean())
    ends = interval(draws[:, 0] / draws[:, 1])
    sites = int(use.sum())
    return {"value": value, "ratio": value / theory.mean(), "interval": ends, "theory": theory.mean(), "sites": sites}
