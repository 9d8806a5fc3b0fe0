"""Recombination: the coordinate of a chromosome's mosaic, and tables of how each sex crosses over on it.

Positions are uint32 fractions of a length, x = share * 2^32: of the coordinate, which all gametes and sites share, or
of the map of one sex, in which its crossovers are drawn. Functions between such fractions are tables at 2^k + 1 equally
spaced points with exact integer interpolation (`interpolate`), so that numpy and JAX give the same bits.

What the tables cost. A sex's map to the coordinate has 2^18 parts: the number of crossovers in each part is exact, in
it (.001 cM of a map of 290 cM) they are even over the coordinate. Distributions have 2^18 parts of equal probability,
and are even in each, between the quantiles of 2^-33 and 1 - 2^-33: nowhere is a distribution function wrong by more
than 2^-18. Base pairs to the coordinate have 2^20 parts, at most 240 bp long, for tracts are short: on HapMap's map of
chromosome 1, of 257,000 points, those of 300 bp have 298 in the mean and an exponential distribution up to .004.
"""

import logging
import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from pseudocohort.errors import InputError

log = logging.getLogger("pseudocohort")
NONE = 2**32 - 1  # no crossover; above every crossover's position
LAST = 2**32 - 2  # the greatest position of a crossover
PARTS, BP_PARTS = 18, 20  # log2 of the parts of tables, and of the one from base pairs
GREATEST_MEAN = 100  # of Poisson numbers: above it a map is not in Morgans, as `maps.check_units` has told before
RARE = 2**-40  # probability that a gamete has more chiasmata than there is room for


@dataclass(frozen=True, eq=False)
class Process:
    """How the gametes of one sex recombine on one chromosome. Tables are uint32; positions fractions of its map.

    number: (most,) Poisson thresholds of the number of crossovers without interference. first, spacing: (2^18 + 1,)
    quantiles of where the first chiasma is and how far the next is from the one before, or None; room: for how many
    chiasmata. place: (2^18 + 1,) from its map to the coordinate, None where both are the same.
    par: fathers on X, else None: (3,) the end of PAR1 on its map; where the one copy begins and ends on the coordinate.
    tracts: (most,) Poisson thresholds of the number of gene conversions; to_bp: (2^18 + 1,) from its map to fractions
    of the base pairs that the map spans; tract: (2^18 + 1,) quantiles of a tract's length, in these; None without.
    """

    number: np.ndarray
    first: np.ndarray | None = None
    spacing: np.ndarray | None = None
    room: int = 0
    place: np.ndarray | None = None
    par: np.ndarray | None = None
    tracts: np.ndarray | None = None
    to_bp: np.ndarray | None = None
    tract: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Recombination:
    """How a chromosome is inherited and recombines.

    inheritance: autosome, X, Y or MT. father, mother: their gametes; mother None: as the father's. averaged: of either
    where nobody's sex is known; None: as the father's. from_bp: uint32 (2^20 + 1,), from fractions of the base pairs
    to the coordinate, None without gene conversion. haploid: on X, where on the coordinate the one copy of a male
    begins and ends, NONE for the chromosome's end; 0 and NONE without PAR.
    """

    inheritance: str
    father: Process
    mother: Process | None = None
    averaged: Process | None = None
    from_bp: np.ndarray | None = None
    haploid: tuple[int, int] | None = None


class _Models(NamedTuple):
    interference: float
    escape: float
    gene_conversion: float
    tract_length: float


def coordinate(genetic_map) -> tuple[np.ndarray, np.ndarray]:
    """The mosaic's coordinate at the points of a map: the average of the sexes' maps, else the map there is.

    genetic_map: a `GeneticMap`. Returns pos, int64 (points,) bp, and fraction, float64 (points,), from 0 at the first
    to 1 at the last point; all 0 where the map has no length.
    """
    return genetic_map.pos, _fraction(_averaged(genetic_map))


def site_fractions(genetic_map, positions: np.ndarray) -> np.ndarray:
    """Genetic positions of sites as the mosaic counts them: uint32 fractions of the coordinate.

    positions: base pairs (sites,). Sites beyond an end of the map are at that end.
    """
    return _rounded(np.interp(positions, *coordinate(genetic_map)))


def interpolate(table, x, xp=np):
    """A function given as a table, at x: uint32, the whole part of the exact linear interpolation.

    table: uint32 (2^k + 1,), its values at the fractions i / 2^k, ascending; x: uint32 fractions, any shape.
    With d the rise of x's part and w how far x is in it (of 2^s, s = 32 - k), floor(d w / 2^s) is taken as
    (d >> s) w + ((d mod 2^s) w >> s), which stays below 2^32.
    """
    shift = 33 - (table.shape[0] - 1).bit_length()
    part, within = x >> xp.uint32(shift), x & xp.uint32(2**shift - 1)
    low = xp.take(table, part)
    rise = xp.take(table, part + xp.uint32(1)) - low
    rest = (rise & xp.uint32(2**shift - 1)) * within
    return low + (rise >> xp.uint32(shift)) * within + (rest >> xp.uint32(shift))


def poisson_thresholds(mean: float) -> np.ndarray:
    """Poisson distribution function as uint32: a draw u gives the number #{k: T_k <= u}.

    T_k = round(2^32 P(number <= k)). Its length is the greatest number that can occur; what lies beyond has a
    probability below 2^-32.
    """
    if not 0 <= mean < GREATEST_MEAN:
        raise ValueError(f"map length of {mean} Morgans; is it in centimorgans?")
    probability = cumulative = math.exp(-mean)
    thresholds, k = [], 0
    while round(cumulative * 2**32) < 2**32:
        thresholds.append(round(cumulative * 2**32))
        k += 1
        probability *= mean / k
        cumulative += probability
    return np.array(thresholds, dtype=np.uint32)


def make_recombination(
    genetic_map,
    chrom: str,
    par: tuple[tuple[int, int], ...] = (),
    interference: float = 1.0,
    escape: float = 0.0,
    sex_specific: bool = True,
    gene_conversion: float = 0.0,
    tract_length: float = 300,
) -> Recombination:
    """Tables of a chromosome's recombination.

    genetic_map: a `GeneticMap`. chrom: "X", "Y" and "MT" are inherited as such, all others as autosomes.
    par: first and last bp of PAR1 and PAR2 on X, or none. Fathers cross over on X inside the PAR alone, by the male
    map there, or the map there is; to interference PAR2 follows PAR1 at no distance.
    interference, escape: chiasmata of the four-strand bundle are a stationary renewal process with gamma distances of
    shape `interference`, 2 (1 - escape) a Morgan, and each is in a gamete with probability 1/2; crossovers that escape
    are a Poisson process of rate `escape` a Morgan beside it (Housworth and Stahl 2003, Am J Hum Genet 73:188; escape
    0: Broman and Weber 2000, Am J Hum Genet 66:1911). Shape 1 is Haldane's model whatever escapes.
    sex_specific: fathers by the male and mothers by the female map where both are known; else all by their average,
    outside the PAR of X by the female map.
    gene_conversion: tracts begun per bp and gamete (on X a father's: per bp of the PAR), without crossover; where is
    uniform on the sex's map, as breaks of the DNA follow it. Lengths are exponential (the continuous form of the
    geometric) with mean tract_length bp. None where the sex's map has no length.
    """
    if not (interference >= 1 and 0 <= escape <= 1 and gene_conversion >= 0 and tract_length > 0):
        raise ValueError(f"interference {interference}, escape {escape}, conversion {gene_conversion} x {tract_length}")
    inheritance = chrom if chrom in ("X", "Y", "MT") else "autosome"
    nothing = Process(poisson_thresholds(0))
    if inheritance in ("Y", "MT"):
        return Recombination(inheritance, nothing)
    models = _Models(interference, escape, gene_conversion, tract_length)
    pos, fraction = coordinate(genetic_map)
    from_bp = _from_bp(genetic_map) if gene_conversion else None
    if inheritance == "X":
        father, mother, haploid = _sexes_on_x(genetic_map, par, sex_specific, models)
        return Recombination("X", father, mother, None, from_bp, haploid)
    both = _process(pos, _averaged(genetic_map), fraction, models)
    if not sex_specific or genetic_map.male_cm is None or genetic_map.female_cm is None:
        return Recombination(inheritance, both, None, None, from_bp)
    father, mother = (_process(pos, cm, fraction, models) for cm in (genetic_map.male_cm, genetic_map.female_cm))
    return Recombination(inheritance, father, mother, both, from_bp)


def _averaged(genetic_map) -> np.ndarray:
    if genetic_map.male_cm is None or genetic_map.female_cm is None:
        return genetic_map.cm
    return (genetic_map.male_cm + genetic_map.female_cm) / 2


def _fraction(cm: np.ndarray) -> np.ndarray:
    """A map as shares of its length, float64 0 to 1."""
    cm = np.asarray(cm, dtype=np.float64)
    length = cm[-1] - cm[0]
    return (cm - cm[0]) / length if length > 0 else np.zeros(len(cm))


def _rounded(fraction: np.ndarray) -> np.ndarray:
    """uint32 fractions."""
    return np.minimum(np.rint(np.asarray(fraction) * 2**32), 2**32 - 1).astype(np.uint32)


def _table(x: np.ndarray, y: np.ndarray, parts: int = PARTS) -> np.ndarray:
    """Table of the function through the points (x, y), shares from 0 to 1."""
    return _rounded(np.interp(np.arange(2**parts + 1) / 2**parts, x, y))


def _quantiles(x: np.ndarray, distribution: np.ndarray) -> np.ndarray:
    """Table of the inverse of a distribution function known at x; NONE for what lies beyond the last x."""
    return _rounded(np.interp(_levels(), distribution, x, right=1.0))


def _levels() -> np.ndarray:
    """Probabilities at which quantiles are tabulated."""
    return np.clip(np.arange(2**PARTS + 1) / 2**PARTS, 2**-33, 1 - 2**-33)


def _span(pos: np.ndarray) -> np.ndarray:
    return (pos - pos[0]) / (pos[-1] - pos[0])


def _from_bp(genetic_map) -> np.ndarray:
    pos, fraction = coordinate(genetic_map)
    return _table(_span(pos), fraction, BP_PARTS)


def _process(
    pos: np.ndarray, cm: np.ndarray, fraction: np.ndarray, models: _Models, bp: float | None = None
) -> Process:
    """Tables of one sex. cm: (points,) its map; fraction: (points,) the coordinate; bp: that recombine, or the span."""
    own, morgans = _fraction(cm), float(cm[-1] - cm[0]) / 100
    haldane = Process(poisson_thresholds(morgans))
    if morgans == 0:
        return haldane
    place = None if np.abs(own - fraction).max() < 1e-12 else _table(own, fraction)
    if models.interference == 1:
        process = replace(haldane, place=place)
    else:
        tables = spacings(models.interference, 2 * (1 - models.escape) * morgans) if models.escape < 1 else ()
        process = Process(poisson_thresholds(models.escape * morgans), *tables, place=place)
    if models.gene_conversion == 0:
        return process
    span = float(pos[-1] - pos[0])
    mean = models.gene_conversion * (span if bp is None else bp)
    if mean >= GREATEST_MEAN:
        raise InputError(
            f"{mean:.0f} gene conversions a gamete on one chromosome",
            where="config key recombination.gene_conversion",
            expected=f"less than {GREATEST_MEAN / span:.1g} per bp where a chromosome has {span:.0f}; in people 2e-8",
            remedy="lower it",
        )
    tract = _rounded(np.minimum(-np.log1p(-_levels()) * models.tract_length / span, 1))
    return replace(process, tracts=poisson_thresholds(mean), to_bp=_table(own, _span(pos)), tract=tract)


def spacings(shape: float, chiasmata: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Tables of chiasmata with gamma distances, `chiasmata` on the map's length in the mean: first, spacing, room.

    With mu = 1 / chiasmata the mean distance as a share of the length and F(x; nu) the distribution function of the
    gamma distribution with shape nu and scale mu / shape, distances have F(x; shape), and the first chiasma of a
    stationary process is at F_e(x) = x / mu (1 - F(x; shape)) + F(x; shape + 1) (Cox 1962, Renewal Theory, 5.2).
    There is room for so many that a gamete has more with a probability below 2^-40.
    """
    from scipy.special import gammainc

    x = np.arange(2**PARTS + 1) / 2**PARTS
    distance = gammainc(shape, shape * chiasmata * x)
    first = chiasmata * x * (1 - distance) + gammainc(shape + 1, shape * chiasmata * x)
    room = 2  # the last of them lies beyond the end, or there would be more
    while gammainc((room - 1) * shape, shape * chiasmata) > RARE:
        room += 1
    return _quantiles(x, np.maximum.accumulate(first)), _quantiles(x, distance), room


def _sexes_on_x(genetic_map, par, sex_specific: bool, models: _Models):
    """Father, mother and the bounds of the one copy of a male, on X."""
    if len(par) not in (0, 2):
        raise ValueError(f"{len(par)} pseudo-autosomal regions of X; none or PAR1 and PAR2")
    edges = np.array(sorted(par), dtype=np.int64).reshape(-1, 2)
    start, end = genetic_map.pos[[0, -1]]
    pos = np.union1d(genetic_map.pos, np.clip(edges, start, end))
    fraction = np.interp(pos, *coordinate(genetic_map))
    inside = ((pos[:-1, None] >= edges[:, 0]) & (pos[1:, None] <= edges[:, 1])).any(axis=1)
    rise = {
        name: None if cm is None else np.diff(np.interp(pos, genetic_map.pos, cm))
        for name, cm in (("any", genetic_map.cm), ("male", genetic_map.male_cm), ("female", genetic_map.female_cm))
    }
    if rise["male"] is None or rise["female"] is None:
        if inside.any():
            log.warning("chromosome X: the genetic map has no male map; fathers cross over in the PAR by its only one")
        rise["male"] = rise["female"] = rise["any"]
    elif not sex_specific:
        average = (rise["male"] + rise["female"]) / 2
        rise["male"], rise["female"] = average, np.where(inside, average, rise["female"])
    male, female = (np.append(0, np.cumsum(r)) for r in (np.where(inside, rise["male"], 0), rise["female"]))
    haploid = _haploid(genetic_map, edges)
    father = _process(pos, male, fraction, models, float(np.diff(pos)[inside].sum()))
    if male[-1] > 0:
        split = _rounded(np.interp(edges[0, 1], pos, _fraction(male)))
        father = replace(father, par=np.array([split, *haploid], dtype=np.uint32))
    return father, _process(pos, female, fraction, models), haploid


def _haploid(genetic_map, edges: np.ndarray) -> tuple[int, int]:
    """Where on the coordinate the part between PAR1 and PAR2 begins and ends.

    All sites between them are in it; a site of the PAR is too where its place cannot be told from theirs.
    """
    low, high = 0, NONE
    if len(edges):
        beyond, before = edges[0, 1] + 1, edges[1, 0] - 1
        start, end = genetic_map.pos[[0, -1]]
        if beyond > start:
            low = int(site_fractions(genetic_map, beyond)) if beyond <= end else NONE
        if before < end:
            high = min(int(site_fractions(genetic_map, before)) + 1, NONE) if before >= start else 0
    return low, max(high, low) if high else 0
