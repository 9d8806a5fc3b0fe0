"""Site frequency spectrum, and which of the founders' rare alleles survive reproduction."""

from collections.abc import Sequence

import numpy as np

from pseudocohort.evaluation.resampling import interval, resampled
from pseudocohort.evaluation.sites import Sample
from pseudocohort.genome.drift import Drift
from pseudocohort.measures.line import measure

CLASSES = ((1, 1), (2, 5), (6, 20), (21, 100))  # copies of the rarer allele among the founders
FEWEST = 20  # sites of a class


def spectrum_metrics(samples: Sequence[Sample]) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Folded site frequency spectrum, in equal numbers of haplotypes of founders, holdout and pseudo people."""
    haplotypes = min(s.haplotypes for s in samples)
    edges = np.unique(np.append(2 ** np.arange(np.log2(max(haplotypes // 2, 2))).astype(int), haplotypes // 2)) + 0.0
    edges[-1] += 1
    spectra = {}
    for name in ("train", "holdout", "pseudo"):
        count = np.concatenate([np.minimum(s.counts[name], s.haplotypes - s.counts[name]) for s in samples])
        spectra[name] = np.histogram(count[count > 0], edges)[0]
    shares = {k: v / max(v.sum(), 1) for k, v in spectra.items()}
    value, floor = (0.5 * np.abs(shares[k] - shares["train"]).sum() for k in ("pseudo", "holdout"))
    arrays = {"spectrum/edges": edges, "spectrum/haplotypes": np.array(haplotypes)}
    arrays |= {f"spectrum/{k}": v for k, v in spectra.items()}
    return [measure("spectrum", value, floor=floor, haplotypes=haplotypes)], arrays


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
