"""LD matrices of one region: every pair of its common sites, real beside pseudo."""

from typing import NamedTuple

import numpy as np

from pseudocohort.evaluation.metrics import against_floor, compared, real_halves, root_mean
from pseudocohort.genotypes import Genotypes

COMMON = 0.05
MOST = 100  # common sites
READ = 4096  # sites read in search of them
BLOCK = 256
FEWEST = 20  # people of a group for the figure
# Of exact r^2, alleles can be solved for (Wang et al. 2009): those of real people are told in steps, and of no more
# sites than people, so that s^2 / 2 numbers of less than 4.4 bits each cannot tell 2 n s alleles.
STEP = 0.05


class Region(NamedTuple):
    """chrom; cm: (sites,); train, holdout, pseudo: (people, sites, 2) 0/1 of equally many people, the unrelated
    real ones; rows: (people,) row numbers of the holdout's in the table of people."""

    chrom: str
    cm: np.ndarray
    train: np.ndarray
    holdout: np.ndarray
    pseudo: np.ndarray
    rows: np.ndarray


def read_region(chrom: str, real_prefix: str, pseudo_prefix: str, cm_at, drawn: dict[str, np.ndarray]) -> Region | None:
    """The densest MOST sites that are common among the founders.

    They are looked for where READ sites lie in the fewest bp, and are the neighbours that lie in the fewest cM.
    cm_at: bp -> cM.  drawn: row numbers (people,) of train, holdout and pseudo.  None where there are fewer than 10.
    """
    keys = ["pos", "ref", "alt"]
    kept: dict[str, list] = {k: [] for k in ("cm", "train", "holdout", "pseudo")}
    with Genotypes(real_prefix) as real, Genotypes(pseudo_prefix) as pseudo:
        position = real.sites["pos"].to_numpy()
        there = pseudo.sites.assign(row=np.arange(pseudo.n_sites)).set_index(keys)["row"]
        first = densest(position, READ)
        for start in range(first, min(first + READ, real.n_sites), BLOCK):
            stop = min(start + BLOCK, real.n_sites)
            rows = there.reindex(real.sites.iloc[start:stop].set_index(keys).index).to_numpy(dtype=float)
            found = np.isfinite(rows)
            alleles = real.haplotypes(start, stop)
            others = np.zeros((stop - start, 2 * pseudo.n_people), dtype=np.int8)  # sites left out: nobody has ALT
            if found.any():
                low, high = int(np.nanmin(rows)), int(np.nanmax(rows)) + 1
                others[found] = pseudo.haplotypes(low, high)[rows[found].astype(int) - low]
            group = {k: people_of(alleles, drawn[k]) for k in ("train", "holdout")}
            share = group["train"].mean(axis=(0, 2))
            use = np.flatnonzero(np.minimum(share, 1 - share) >= COMMON)
            group["pseudo"] = people_of(others, drawn["pseudo"])
            for k, taken in group.items():
                kept[k].append(taken[:, use])
            kept["cm"].append(np.asarray(cm_at(position[start:stop][use]), dtype=float))
    cm = np.concatenate([*kept["cm"], np.empty(0)])
    if len(cm) < 10:
        return None
    chosen = slice(densest(cm, MOST), densest(cm, MOST) + MOST)
    joined = [np.concatenate(kept[k], axis=1)[:, chosen] for k in ("train", "holdout", "pseudo")]
    return Region(chrom, cm[chosen], *joined, drawn["holdout"])


def densest(position: np.ndarray, sites: int) -> int:
    """Where the shortest stretch of so many sites starts; 0 where there are no more.  position: (n,) increasing."""
    if len(position) <= sites:
        return 0
    return int(np.argmin(position[sites - 1 :] - position[: len(position) - sites + 1]))


def people_of(alleles: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(sites, 2 people) -> (rows, sites, 2)."""
    return np.ascontiguousarray(alleles.reshape(len(alleles), -1, 2)[:, rows].transpose(1, 0, 2))


def signed_r(people: np.ndarray) -> np.ndarray:
    """Correlation of every pair of sites over haplotypes: (people, sites, 2) -> (sites, sites); 0 of a fixed one."""
    haplotypes = people.transpose(0, 2, 1).reshape(-1, people.shape[1]).astype(np.float32)
    centred = haplotypes - haplotypes.mean(axis=0)
    norm = np.sqrt((centred**2).sum(axis=0))
    scaled = centred / np.where(norm > 0, norm, 1)
    return scaled.T @ scaled


def region_metrics(
    region: Region, family: np.ndarray, part: np.ndarray, rng: np.random.Generator
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """R of the RMS difference of signed r over all pairs of the region's sites; matrices of r^2 for the figure.

    family, part: of all real people.  The interval leaves out groups of families and of pseudo people.
    """
    pairs = np.triu_indices(len(region.cm), 1)

    def squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (signed_r(x)[pairs] - signed_r(y)[pairs]).astype(float) ** 2

    family = family[region.rows]
    halves = real_halves(family, part[region.rows], rng)
    result = against_floor(squares, region.holdout, region.pseudo, halves, family, rng, root_mean)
    unlinked = rng.permuted(region.pseudo, axis=0)
    naive = against_floor(squares, region.holdout, unlinked, halves, family, rng, root_mean, left_out=0)
    numbers = {"sites": len(region.cm), "length": float(np.ptp(region.cm)), "chromosome": region.chrom}
    lines = [compared("linkage_region", result, baseline=naive.ratio, **numbers)]
    if len(region.rows) < FEWEST:
        return lines, {}
    few = min(len(region.cm), len(region.rows))
    arrays = {
        f"region/{k}": (STEP * np.round(signed_r(g[:, :few]) ** 2 / STEP)).astype(np.float16)
        for k, g in (("train", region.train), ("pseudo", region.pseudo))
    }
    return lines, arrays | {"region/cm": region.cm[:few], "region/chrom": np.array(region.chrom)}
