"""Genomes of the built-in demo cohort: founders from a published Japanese demography, dropped through families.

The coalescent is msprime's (Baumdicker et al. 2022, doi:10.1093/genetics/iyab229). Only as many mutations
are laid on it as sites are wanted: `sites` / (total branch length in bp x generations) a bp and generation
instead of about 1.4e-8. That equals a uniform random subsample of the sites that sequencing would find,
so the allele-frequency spectrum stays that of sequencing (most sites rare).
"""

import gzip
import logging
import math
from pathlib import Path
from typing import NamedTuple

import demes
import msprime
import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.builds import get_build
from pseudocohort.cohort.demo_people import STRATA, X_SHARE, generations, parent_rows, setting
from pseudocohort.cohort.demo_vcf import Variants, name_alleles, write_vcf
from pseudocohort.errors import InputError
from pseudocohort.files import atomic

log = logging.getLogger("pseudocohort")

# Jouganous, Long, Ragsdale, Gravel 2017 (doi:10.1534/genetics.117.200493), Table 4: YRI, CEU, CHB, JPT;
# sizes in diploid people, times in years of 29 a generation, rates a generation.
GENERATION_YEARS = 29
SIZES = {"A": 11293, "AF": 23721, "B": 2831, "EU0": 2512, "AS0": 1019, "JP0": 4384}
GROWTH = {"EU": 0.0016, "AS": 0.0026, "JP": 0.0129}
TIMES_YEARS = {"AF": 357_000, "B": 119_000, "EU_AS": 46_000, "CH_JP": 9_000}
MIGRATION = {
    ("YRI", "B"): 16.8e-5,
    ("YRI", "CEU"): 1.14e-5,
    ("YRI", "CHB"): 0.56e-5,
    ("CEU", "CHB"): 4.75e-5,
    ("CHB", "JPT"): 3.3e-5,
}
# Ours, for a differentiation of Fst about 0.002 as between Japanese regions: the two strata part 80
# generations ago with these sizes, grow at the Japanese rate and exchange one in a thousand a generation.
SPLIT_GENERATIONS = 80
STRATUM_SIZES = {"coast": 15_000, "inland": 8_000}
STRATUM_MIGRATION = 1e-3

_START = {"20": 31_000_000, "X": 100_000_000}  # clear of centromeres and of the pseudoautosomal regions
_OTHER_START = 20_000_000
_WHOLE = {"Y": (7_000_000, 1_000_000, 60), "MT": (0, 16_569, 40)}  # without crossovers: start, length, sites

_COPIES = {"X": 0.75, "Y": 0.25, "MT": 0.25}  # chromosomes of a couple, as a share of an autosome's four
_CM_PER_MB = {"autosome": 1.3, "X": 1.6}  # the X map is the female one: males do not recombine here
_HOTSPOT_SPACING = 60_000
_HOTSPOT_WIDTHS = (1_000, 3_000)
_HOTSPOT_SHARE = 0.8


class DemoMap(NamedTuple):
    """Genetic map of a demo chromosome: pos int64 (points,) and cm float64 (points,), both increasing."""

    pos: np.ndarray
    cm: np.ndarray


def make_demo_chromosome(
    people: pd.DataFrame, chrom: str, settings: dict, seed: int, vcf_path: str | Path, map_path: str | Path
) -> None:
    """Write one demo chromosome: a phased, bgzipped, indexed VCF and its genetic map.

    people: sample sheet of `make_demo_people`.  chrom: "1" ... "22", "X", "Y" or "MT" (without chr).
    settings: `megabases` (default 20) and `sites` (default 10,000) of an autosome; X has half of both, Y and MT have
    a few sites whatever these are.
    vcf_path: ends in .vcf.gz; an index .tbi goes beside it.  map_path: ends in .gz (columns pos chr cM).
    Positions are GRCh38's. Males are haploid on X and Y, everybody on MT; females are missing on Y. Raises InputError
    where the chromosome is too short.
    """
    start, length, sites = _extent(chrom, settings)
    genetic_map = make_demo_map(chrom, start, length, seed)
    alleles, pos = _founders(people, chrom, start, genetic_map, sites, seed)
    log.info("chromosome %s: %d sites in %d founder haplotypes", chrom, len(pos), len(alleles))
    variants = name_alleles(chrom, pos, alleles, counter.generator(seed, "demo alleles", chrom))
    haplotypes = drop_genes(
        people, chrom, variants.haplotypes, np.interp(variants.pos, genetic_map.pos, genetic_map.cm), seed
    )
    write_demo_map(map_path, chrom, genetic_map)
    write_vcf(vcf_path, chrom, people, Variants(variants.pos, variants.ref, variants.alt, haplotypes))
    log.info("chromosome %s: %s written", chrom, Path(vcf_path).name)


def _extent(chrom: str, settings: dict) -> tuple[int, int, int]:
    """First position less one, length in bp and wanted number of sites."""
    whole = get_build("GRCh38").length
    if chrom not in whole:
        raise InputError(
            f"the demo has no chromosome {chrom}",
            where="demo: chromosomes",
            expected="1 to 22, X, Y or MT",
            remedy="choose other chromosomes for the demo",
        )
    if chrom in _WHOLE:
        return _WHOLE[chrom]
    share = X_SHARE if chrom == "X" else 1.0
    start = _START.get(chrom, _OTHER_START)
    length = int(setting(settings, "megabases") * share * 1e6)
    if start + length > whole[chrom]:
        raise InputError(
            f"{length / 1e6:g} Mb from {start / 1e6:g} Mb on pass the end of chromosome {chrom}",
            where="demo: megabases",
            expected=f"{(whole[chrom] - start) / 1e6:.1f} or less",
            remedy="lower demo.megabases",
        )
    return start, length, int(setting(settings, "sites") * share)


def make_demo_map(chrom: str, start: int, length: int, seed: int) -> DemoMap:
    """A map with one hotspot of 1 to 3 kb in every 60 kb; hotspots carry 80 % of the recombination.

    The heat of hotspots is exponential, the rest is even. Covers positions start+1 to start+length. That of Y and MT
    is flat.
    """
    if chrom in _WHOLE:
        return DemoMap(np.array([start + 1, start + length]), np.zeros(2))
    rng = counter.generator(seed, "demo map", chrom)
    spots = max(1, length // _HOTSPOT_SPACING)
    cell = length / spots
    width = rng.uniform(*_HOTSPOT_WIDTHS, spots)
    left = (np.arange(spots) + rng.uniform(0.05, 0.9, spots)) * cell
    inner = np.sort(np.concatenate([left, left + width])).astype(np.int64)
    pos = np.concatenate([[0], inner, [length - 1]])
    heat = np.zeros(len(pos) - 1)
    heat[1::2] = rng.exponential(size=spots)
    total = length / 1e6 * _CM_PER_MB["X" if chrom == "X" else "autosome"]
    step = _HOTSPOT_SHARE * total * heat / heat.sum() + (1 - _HOTSPOT_SHARE) * total * np.diff(pos) / (length - 1)
    return DemoMap(pos + start + 1, np.concatenate([[0.0], np.cumsum(step)]))


def write_demo_map(path: str | Path, chrom: str, genetic_map: DemoMap) -> None:
    """Write gzipped columns pos, chr, cM (the same bytes for the same map)."""
    table = pd.DataFrame({"pos": genetic_map.pos, "chr": chrom, "cM": genetic_map.cm})
    text = table.to_csv(None, sep="\t", index=False, float_format="%.7f")
    with atomic(path) as part:
        part.write_bytes(gzip.compress(text.encode(), mtime=0))


def japanese_demography(scale: float = 1.0) -> msprime.Demography:
    """Jouganous et al. 2017 with the Japanese parted into two strata (constants above).

    scale: factor on all sizes; 0.75 gives the X chromosome with equal numbers of men and women, 0.25 Y and MT.
    """
    time = {k: years // GENERATION_YEARS for k, years in TIMES_YEARS.items()}

    def growing(size: float, rate: float, since: int, until: int = 0) -> list[dict]:
        grown = size * math.exp(rate * (since - until))
        return [{"start_size": size * scale, "end_size": grown * scale, "end_time": until}]

    model = demes.Builder(time_units="generations")
    model.add_deme(
        "YRI",
        epochs=[
            {"start_size": SIZES["A"] * scale, "end_time": time["AF"]},
            {"start_size": SIZES["AF"] * scale, "end_time": 0},
        ],
    )
    model.add_deme(
        "B",
        ancestors=["YRI"],
        start_time=time["B"],
        epochs=[{"start_size": SIZES["B"] * scale, "end_time": time["EU_AS"]}],
    )
    model.add_deme("CEU", ancestors=["B"], epochs=growing(SIZES["EU0"], GROWTH["EU"], time["EU_AS"]))
    model.add_deme("CHB", ancestors=["B"], epochs=growing(SIZES["AS0"], GROWTH["AS"], time["EU_AS"]))
    model.add_deme(
        "JPT",
        ancestors=["CHB"],
        start_time=time["CH_JP"],
        epochs=growing(SIZES["JP0"], GROWTH["JP"], time["CH_JP"], SPLIT_GENERATIONS),
    )
    for stratum, size in STRATUM_SIZES.items():
        model.add_deme(stratum, ancestors=["JPT"], epochs=growing(size, GROWTH["JP"], SPLIT_GENERATIONS))
        model.add_migration(demes=["CHB", stratum], rate=MIGRATION["CHB", "JPT"])
    for pair, rate in MIGRATION.items():
        model.add_migration(demes=list(pair), rate=rate)
    model.add_migration(demes=list(STRATUM_SIZES), rate=STRATUM_MIGRATION)
    return msprime.Demography.from_demes(model.resolve())


def _founders(
    people: pd.DataFrame, chrom: str, start: int, genetic_map: DemoMap, sites: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Alleles of the founders: uint8 (2 founders, sites), founders in row order, and positions.

    Who has one copy has it twice; what women have on Y is of no meaning.
    """
    father, _ = parent_rows(people)
    founders = people[father < 0]
    male = founders["sex"] == "male"
    copies = {"X": np.where(male, 1, 2), "Y": np.where(male, 1, 0), "MT": np.ones(len(founders), dtype=int)}.get(
        chrom, np.full(len(founders), 2)
    )
    samples = [msprime.SampleSet(int(copies[founders["stratum"] == s].sum()), population=s, ploidy=1) for s in STRATA]
    seeds = counter.generator(seed, "demo ancestry", chrom).integers(1, 2**31, 2)
    edges = np.append(genetic_map.pos[:-1] - start - 1, genetic_map.pos[-1] - start)  # bp from 0 on
    # Two thirds of all X chromosomes sit in women, where alone they recombine.
    morgans = genetic_map.cm * 0.01 * (2 / 3 if chrom == "X" else 1.0)
    rates = msprime.RateMap(position=edges, rate=np.diff(morgans) / np.diff(edges))
    trees = msprime.sim_ancestry(
        [s for s in samples if s.num_samples],
        recombination_rate=rates,
        ploidy=2,
        demography=japanese_demography(_COPIES.get(chrom, 1.0)),
        random_seed=seeds[0],
    )
    rate = sites / trees.segregating_sites(mode="branch", span_normalise=False)
    log.info("chromosome %s: mutation rate %.3g for %d sites", chrom, rate, sites)
    trees = msprime.sim_mutations(trees, rate=rate, model=msprime.BinaryMutationModel(), random_seed=seeds[1])
    alleles = trees.genotype_matrix().T.astype(np.uint8)
    # Where a mutation hit a site twice it may have left everybody alike.
    varied = alleles.any(0) & ~alleles.all(0)
    by_stratum = np.concatenate(
        [np.repeat(np.flatnonzero(founders["stratum"] == s), copies[founders["stratum"] == s]) for s in STRATA]
    )
    first = np.argsort(by_stratum, kind="stable")
    pairs = np.repeat(first[np.minimum(np.cumsum(copies) - copies, len(first) - 1)], 2)
    pairs[1::2] = first[np.cumsum(copies) - 1]
    pos = trees.sites_position.astype(np.int64)[varied] + start + 1
    return alleles[pairs][:, varied], pos


def drop_genes(people: pd.DataFrame, chrom: str, founders: np.ndarray, cm: np.ndarray, seed: int) -> np.ndarray:
    """Haplotypes of all people by Mendelian transmission within families.

    founders: uint8 (2 founders, sites), founders in row order.  cm: float64 (sites,), genetic positions.
    Crossovers are Poisson in cM (Haldane). On X a mother recombines, a father gives his X to daughters. Y is the
    father's, MT the mother's.
    Returns uint8 (2 people, sites): row 2i from the father, 2i+1 from the mother; a single copy twice the same.
    """
    father, mother = parent_rows(people)
    male = (people["sex"] == "male").to_numpy()
    above, _ = generations(father, mother)
    founder = np.flatnonzero(above == 0)
    result = np.empty((2 * len(people), founders.shape[1]), dtype=np.uint8)
    result[2 * founder], result[2 * founder + 1] = founders[0::2], founders[1::2]
    rng = counter.generator(seed, "demo gene drop", chrom)

    def gamete(parent: int) -> np.ndarray:
        crossovers = np.sort(rng.uniform(cm[0], cm[-1], rng.poisson((cm[-1] - cm[0]) / 100)))
        copy = (np.searchsorted(crossovers, cm) + rng.integers(2)) & 1
        return np.where(copy, result[2 * parent + 1], result[2 * parent])

    for child in np.argsort(above, kind="stable")[len(founder) :]:
        if chrom in _WHOLE:
            parent = father[child] if chrom == "Y" else mother[child]
            result[2 * child : 2 * child + 2] = result[2 * parent]
            continue
        result[2 * child + 1] = gamete(mother[child])
        if chrom != "X":
            result[2 * child] = gamete(father[child])
        else:
            result[2 * child] = result[2 * child + 1] if male[child] else result[2 * father[child]]
    return result
