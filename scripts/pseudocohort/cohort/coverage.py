"""Genetic maps fitted to the sites of a cohort: from the first to the last site, with both sexes' map on X."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pseudocohort.cohort.builds import chromosome_length, get_build
from pseudocohort.cohort.maps import GeneticMap, check_units, read_map
from pseudocohort.errors import InputError

# Largest part of the sites' span that a map may leave uncovered: 15 % is what the short arms of 21 and 22 need
# (GRCh38 has sites 5 Mb before the first point of the HapMap and deCODE maps); 100 kb serves short regions.
UNCOVERED_SHARE = 0.15
UNCOVERED_BP = 100_000

# Length of the male map across PAR1 and PAR2 where the user's map tells none: the obligate crossover of X and Y in
# PAR1 (Rouyer et al. 1986; Hinch et al. 2014), and 2 % in PAR2 (Li and Hamer 1995). See resources/README.md.
MALE_PAR_CM = (50.0, 2.0)
# Rise of a male map outside the pseudo-autosomal regions that passes for points beside their bounds, cM.
_TOLERANCE = 1.0
# Least rise from PAR1's last bp to the next, and to PAR2's first, cM: by places on the map alone the mosaic tells where
# men have one copy. It is 180 of the units in which places are counted on people's X, and 4 on a map of 5,000 cM.
_BOUND_CM = 1e-5


def flat_map(chrom: str, first_site: int, last_site: int, chrom_length: int) -> tuple[GeneticMap, dict]:
    """The map of Y or MT: two points of 0 cM, and its report, as `cover` gives it."""
    first_site, last_site = _span(first_site, last_site, chrom_length)
    flat = GeneticMap(chrom, np.array([first_site, last_site], dtype=np.int64), np.zeros(2))
    return flat, {"points": 2, "length_cm": 0.0, "extrapolated_bp": 0, "extrapolated_cm": 0.0}


def chromosome_map(
    paths: Sequence[str | Path], chrom: str, build: str, positions: np.ndarray
) -> tuple[GeneticMap, dict]:
    """The map from the first to the last of the positions (ascending) and its report.

    paths: the user's files, none for Y and MT.
    """
    length, first, last = chromosome_length(build, chrom), int(positions[0]), int(positions[-1])
    if chrom in ("Y", "MT"):  # pass whole from one parent
        return flat_map(chrom, first, last, length)
    par = get_build(build).par
    meets = chrom == "X" and (first <= par[0][1] or last >= par[1][0])
    return cover(read_map(paths, chrom), first, last, length, par if meets else ())


def cover(
    genetic_map: GeneticMap, first_site: int, last_site: int, chrom_length: int, par: tuple[tuple[int, int], ...] = ()
) -> tuple[GeneticMap, dict]:
    """Cut or extend a map so that it runs from the first to the last site, starting at 0 cM.

    par: first and last position of PAR1 and PAR2, if the map is of X and there are sites in them; the map then gets
    a male map (`both_sexes`), otherwise X has none.
    Parts of the sites' span that the map leaves uncovered are given its mean rate, if together they are at most
    15 % of the span or 100 kb; the report says how much that was. A single site gets a span of 1 bp.
    Returns the map and its report: points, length_cm, extrapolated_bp, extrapolated_cm; with `par` also male_cm and
    female_cm, the lengths of these maps.
    Raises InputError for a map without recombination, one that is not in cM (`check_units`), does not cover the sites
    or runs beyond the chromosome (`chrom_length`, bp), or males that cross over on X outside `par`.
    """
    where = f"genetic map of chromosome {genetic_map.chrom}"
    if genetic_map.pos[-1] > chrom_length or genetic_map.pos[0] < 0:
        raise InputError(
            f"the map ends at {genetic_map.pos[-1]}, beyond the end of the chromosome: do the builds disagree?",
            where=where,
            expected=f"positions up to {chrom_length}",
            remedy="give the map of the build named in `build`",
        )
    if genetic_map.length_cm == 0:
        raise InputError(
            "the genetic map has no recombination: all its cM are equal",
            where=where,
            expected="genetic positions in cM",
            remedy="give a map with its cM filled in",
        )
    check_units(genetic_map, where)
    first_site, last_site = _span(first_site, last_site, chrom_length)
    uncovered = _uncovered(genetic_map, first_site, last_site, where)
    rate = genetic_map.mean_rate
    if par:
        genetic_map = both_sexes(genetic_map, par)
    elif genetic_map.chrom == "X":
        genetic_map = replace(genetic_map, male_cm=None)
    inside = (genetic_map.pos > first_site) & (genetic_map.pos < last_site)
    pos = np.concatenate([[first_site], genetic_map.pos[inside], [last_site]]).astype(np.int64)
    covered = GeneticMap(genetic_map.chrom, pos, *_at(genetic_map, pos))
    check_units(covered, where, rated=False)  # a short map of a hotspot, extended
    report = {
        "points": len(pos),
        "length_cm": covered.length_cm,
        "extrapolated_bp": uncovered,
        "extrapolated_cm": uncovered * rate,
    }
    return covered, report | (
        {"male_cm": float(covered.male_cm[-1]), "female_cm": float(covered.female_cm[-1])} if par else {}
    )


def _span(first: int, last: int, chrom_length: int) -> tuple[int, int]:
    """First and last site, made two positions where they are one."""
    if first < last:
        return first, last
    return (first, last + 1) if last < chrom_length else (first - 1, last)


def _uncovered(genetic_map: GeneticMap, first: int, last: int, where: str) -> int:
    """bp from the first to the last site that the map does not cover; an InputError if they are too many."""
    low, high, span = int(genetic_map.pos[0]), int(genetic_map.pos[-1]), last - first
    uncovered = span - max(0, min(last, high) - max(first, low))
    if uncovered > max(UNCOVERED_SHARE * span, UNCOVERED_BP) or uncovered >= span > 1:
        raise InputError(
            f"the map does not cover the sites: it runs from {low} to {high}, the sites from {first} to {last}",
            where=where,
            expected=f"at most {UNCOVERED_SHARE:.0%} of the sites' span or {UNCOVERED_BP // 1000} kb outside the map, "
            "which get its mean rate",
            remedy="give a map of the whole chromosome, of the same build",
        )
    return uncovered


def _at(genetic_map: GeneticMap, pos: np.ndarray) -> tuple[np.ndarray | None, ...]:
    """The map, male map and female map at these positions, each from 0 on; None for those that there are not."""
    maps = (genetic_map.cm, genetic_map.male_cm, genetic_map.female_cm)
    values = (None if cm is None else replace(genetic_map, cm=cm).cm_at(pos) for cm in maps)
    return tuple(None if cm is None else cm - cm[0] for cm in values)


def both_sexes(genetic_map: GeneticMap, par: tuple[tuple[int, int], ...]) -> GeneticMap:
    """A map of X that reaches over PAR1 and PAR2 (`par`, bp), with male and female map; the male one is flat between.

    The female map is the source's, at its mean rate where it does not reach. Where the source tells no male map, males
    get 50 cM in PAR1 and 2 cM in PAR2, spread there as the source's cM are (evenly where these stand still). A source
    that does not tell the sexes apart is taken for the female map outside of the regions; inside, its cM are of both
    sexes together (HapMap's, for one, are estimated from men and women), so that it gives the places of crossovers and
    the female map goes on at its mean rate. The map used is the average of both sexes' inside and the female one
    outside, where females alone cross over.
    Between PAR1's last bp and the next, and the last before PAR2 and its first, the map used and the female one rise
    by 1e-5 cM at least, so that places on the map tell the regions from the rest wherever the source stands still.
    """
    bounds = [par[0][1] + 1, par[1][0] - 1]
    pos = np.unique(np.concatenate([genetic_map.pos, np.ravel(par), bounds])).astype(np.int64)
    used, male, female = _at(genetic_map, pos)
    first, last = (np.searchsorted(pos, [p[end] for p in par]) for end in (0, 1))
    if male is None or male[-1] == 0:
        male = _steps(pos, used, first, last, MALE_PAR_CM)
    else:
        male = _flat_between(male, first, last, genetic_map.chrom)
    if female is None:
        step, bp = np.diff(used), np.diff(pos)
        inside = _inside(len(pos), first, last)
        rate = step[~inside].sum() / bp[~inside].sum()
        shares = _steps(pos, used, first, last, [rate * (b - a) for a, b in par])
        female = _sum(np.where(inside, np.diff(shares), step))
    inside, rise = _inside(len(pos), first, last), np.diff(female)
    beside = [last[0], first[1] - 1]  # the steps over the bounds
    rise[beside] = np.maximum(rise[beside], _BOUND_CM)
    average = _sum(np.where(inside, (np.diff(male) + rise) / 2, rise))
    return GeneticMap(genetic_map.chrom, pos, average, male, _sum(rise))


def _inside(points: int, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """bool (points - 1,): the step to the next point lies in a region that runs from point first to point last."""
    step = np.arange(points - 1)
    return ((step[:, None] >= first) & (step[:, None] < last)).any(axis=1)


def _sum(steps: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(steps)])


def _steps(
    pos: np.ndarray, cm: np.ndarray, first: np.ndarray, last: np.ndarray, lengths: Sequence[float]
) -> np.ndarray:
    """A map that rises by `lengths` cM within the regions, as `cm` does or else evenly, and stands still elsewhere."""
    steps = np.zeros(len(cm) - 1)
    for a, b, length in zip(first, last, lengths, strict=True):
        rise = np.diff(cm[a : b + 1])
        rise = rise if rise.sum() > 0 else np.diff(pos[a : b + 1])
        steps[a:b] = length * rise / rise.sum()
    return _sum(steps)


def _flat_between(male: np.ndarray, first: np.ndarray, last: np.ndarray, chrom: str) -> np.ndarray:
    """The male map without what it rises outside the regions; an InputError if that is more than points beside."""
    steps, inside = np.diff(male), _inside(len(male), first, last)
    outside = float(steps[~inside].sum())
    if outside > _TOLERANCE:
        raise InputError(
            f"the male map has {outside:.1f} cM outside the pseudo-autosomal regions",
            where=f"genetic map of chromosome {chrom}",
            expected="NA, or the same male cM from the end of PAR1 to the start of PAR2",
            remedy="give NA there, and the map of the build named in `build`",
        )
    return _sum(np.where(inside, steps, 0.0))
