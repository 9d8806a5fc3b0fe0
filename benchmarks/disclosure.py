"""Protections of genomes against all attacks on them: what each costs in realism and what it saves.

    python benchmarks/disclosure.py [rows ...] [--people 1000] [--seeds 1,2,3] [--list]
    python benchmarks/disclosure.py --sizes 500,1000,2000 protected      the same share of families, more people
    python benchmarks/disclosure.py --density 200 protected              so many sites a cM of 1 % and more
    python benchmarks/disclosure.py --cost 100000                        time of a window, and what that projects

Two regions, 20 cM (`disclosure_cohort`): members, as many non-members of the same population, and a reference panel.
A row is a generator. best, all, TPR: AUC of the best attack, AUC of all attacks combined by a cross-fitted logistic
regression, and its true positive rate at 1 % false positives; drawn: `all` of the founders alone (`founder_share`).
LD: mean r^2, less 1 / haplotypes, over that of the members, of pairs of sites at .02-.1, .1-.5, .5-1 cM with minor
allele frequencies of 5 % or more; low: 1 to 5 %, and both written. af: RMS difference of standardised allele
frequencies to the members', over that of the non-members'. kept: sites of 1 to 5 % that vary. div: haplotype diversity
in windows of .05 cM over the members'. single: members' singletons that are there. Every run prints a line to standard
error; then the means over the seeds are a Markdown table on standard output, `all` and TPR of every seed in brackets.
The preset was chosen on seed 1, its `most` and the number of matches to switch to after a look at 2 and 3 as well.
"""

import argparse
import sys
import time
from itertools import pairwise, product
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

from disclosure_cohort import Panels, load_panels
from scipy.stats import rankdata

from pseudocohort.cohort.maps import GeneticMap
from pseudocohort.disclosure import combined, genomes
from pseudocohort.genome.mosaic import Mosaic, founder_at, trace_mosaic
from pseudocohort.genome.pedigree import Founders, make_pedigree
from pseudocohort.genome.protection import Copying, Founded, Protection, protected_words, streams_of, window_bounds
from pseudocohort.genome.recombination import make_recombination, site_fractions

BINS = ((0.02, 0.1), (0.1, 0.5), (0.5, 1.0))
PAIRS, LOW_PAIRS = 40_000, 120_000


class Generator(NamedTuple):
    """mating, generations: of the pedigree, "" for one founder haplotype a pseudo haplotype; population: times the
    founders, 0 for what `make_pedigree` takes (balanced: 4, random: 1). share: of families that
    must carry a haplotype; most: how many times that its threshold is at most. minimum: minimum_allele_count at 1,000
    people; a share of that at others. founder_share: of members that are founders; all are attacked, and `drawn` is
    the AUC of all attacks on these alone."""

    mating: str = ""
    generations: int = 10
    population: float = 0.0
    switch_cm: float = 0.0
    share: float = 0.0
    most: float = 1.0
    window_cm: float = 0.05
    minimum: int = 0
    founder_share: float = 1.0


ROWS = {
    "floor": None,
    "random G=10": Generator("random"),
    "balanced G=10": Generator("balanced"),
    "balanced G=100": Generator("balanced", 100),
    "switching .2": Generator("balanced", switch_cm=0.2),
    "switching .1, MAC 5": Generator("balanced", switch_cm=0.1, minimum=5),
    "windows .05, k 2 %": Generator("balanced", switch_cm=0.1, share=0.02, minimum=5),
    "windows .1, k 4 %, MAC 20": Generator("balanced", switch_cm=0.2, share=0.04, window_cm=0.1, minimum=20),
    "k 2-6 %, MAC 20": Generator("balanced", switch_cm=2.0, share=0.02, most=3, minimum=20),
    "protected, balanced": Generator("balanced", switch_cm=0.2, share=0.01, most=13, minimum=40),
    "protected": Generator("random", switch_cm=0.2, share=0.01, most=13, minimum=40),
    "protected, founder_share .5": Generator("random", 10, 2, 0.2, 0.01, 13, minimum=40, founder_share=0.5),
    "protected, founder_share .4": Generator("random", 10, 2, 0.2, 0.01, 13, minimum=40, founder_share=0.4),
    "protected, founder_share .33": Generator("random", 10, 2, 0.2, 0.01, 13, minimum=40, founder_share=0.33),
    "k 1-18 %, population 2": Generator("random", 10, 2, 0.15, 0.01, 18, minimum=40),
    "k 2-10 %, switching 1.5": Generator("random", switch_cm=1.5, share=0.02, most=5, minimum=40),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", help="names, default all")
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--sizes", default="", help="people, several")
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--density", type=int, default=0, help="sites a cM, default all")
    parser.add_argument("--cost", type=int, default=0)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print(*(f"{name:28}{generator}" for name, generator in ROWS.items()), sep="\n")
        return
    if options.cost:
        measure_cost(options.cost)
        return
    sizes = [int(size) for size in (options.sizes or str(options.people)).split(",")]
    found = {}
    for people, seed in product(sizes, map(int, options.seeds.split(","))):
        loaded, panels = None, None
        for name in options.rows or ROWS:
            # sites of 1 % and more are there though a row drops them, so that it is told how many it keeps
            minimum = max(1, min(minimum_of(ROWS[name], people), people // 100))
            if minimum != loaded:
                loaded, panels = minimum, load_panels(people, seed, minimum=minimum)
                panels = thinned(panels, options.density, seed) if options.density else panels
            values = judged(*measured(panels, ROWS[name], seed))
            values["drawn"] = values["all"]
            if ROWS[name] and ROWS[name].founder_share < 1:
                values["drawn"] = judged(*measured(panels, ROWS[name], seed, attack_all=False))["all"]
            found.setdefault((name, people), []).append(values)
            print(name, people, f"seed {seed}", *(f"{k} {_text(v)}" for k, v in values.items()), file=sys.stderr)
    print(table(found))


def thinned(panels: Panels, density: int, seed: int) -> Panels:
    """So many random sites a cM of those of 1 % and more among members and non-members together."""
    share = (mean(panels.members) + mean(panels.nonmembers)) / 2
    common = np.flatnonzero(np.minimum(share, 1 - share) >= 0.01)
    number = min(len(common), round(density * panels.cm[-1]))
    rows = np.sort(np.random.default_rng([seed, 6]).choice(common, number, replace=False))
    return Panels(*(a[rows] for a in panels[:-1]), panels.stratum)


def minimum_of(generator: Generator | None, people: int) -> int:
    return 0 if generator is None else round(generator.minimum * people / 1000)


def measured(
    panels: Panels, generator: Generator | None, seed: int, attack_all: bool = True
) -> tuple[dict, dict, float]:
    """Attack scores (of all members or of those drawn as founders), utility and CPU seconds of the generator."""
    began = time.process_time()
    if generator is None:  # half of the reference panel in place of the pseudo cohort
        half = panels.reference.shape[1] // 4 * 2
        stratified = np.arange(panels.reference.shape[1]) // 2 % 2 == 0
        pseudo, reference = panels.reference[:, stratified][:, :half], panels.reference[:, ~stratified]
    else:
        pseudo, reference = generate(panels, generator, seed), panels.reference
    seconds = time.process_time() - began
    attacked = panels.members if attack_all else founders_of(panels, generator, seed).members
    scores = genomes.attack_scores(attacked, panels.nonmembers, pseudo, reference, panels.cm)
    return scores, utility(panels, pseudo, seed), seconds


def generate(panels: Panels, generator: Generator, seed: int) -> np.ndarray:
    """Pseudo haplotypes, int8 (sites, 2 people), 0 at sites that are dropped."""
    everybody, panels = panels.members.shape[1] // 2, founders_of(panels, generator, seed)
    people = panels.members.shape[1] // 2
    line = GeneticMap("1", np.array([0, int(panels.positions[-1]) + 1]), np.array([0.0, panels.cm[-1]]))
    founded = Founded(np.repeat(np.arange(people), 2), np.repeat(panels.stratum["members"].astype(int), 2))
    mosaic = pedigree_mosaic(everybody, panels.stratum["members"], generator, line, seed)
    least = round(generator.share * people)
    settings = Protection(0, generator.switch_cm, least, round(least * generator.most), generator.window_cm)
    copies = panels.members.sum(axis=1, dtype=np.int64)
    minor = np.minimum(copies, 2 * people - copies)
    family_copies = minor_families(panels.members, copies, minor, minimum_of(generator, people))
    kept = np.flatnonzero(family_copies)
    x = site_fractions(line, panels.positions)
    pseudo = np.zeros((len(x), 2 * everybody), dtype=np.int8)
    if not settings.in_windows:
        at = founder_at_blocks(mosaic, x)
        for low, sources in at:
            rows = slice(low, low + len(sources))
            pseudo[rows] = np.take_along_axis(panels.members[rows], sources, axis=1)
        pseudo[~family_copies] = 0
        return pseudo
    bounds = window_bounds(panels.cm[kept], settings)
    streams = streams_of(seed, "1")
    starts = np.append(x[kept[bounds[:-1]]].astype(np.int64), 2**32)
    copying = Copying(mosaic, settings, founded, starts, line.length_cm, streams.switch)
    for low, high in pairwise(bounds.tolist()):
        rows = kept[low:high]
        words = to_words(panels.members[rows])
        made = protected_words(words, high - low, copying, settings, founded, streams)
        pseudo[rows] = from_words(made, high - low)
    return pseudo


def founders_of(panels: Panels, generator: Generator, seed: int) -> Panels:
    """The panels with those members alone who are drawn as founders."""
    if generator.founder_share == 1:
        return panels
    people = panels.members.shape[1] // 2
    drawn = np.random.default_rng([seed, 8]).permutation(people)[: round(generator.founder_share * people)]
    drawn.sort()
    members = panels.members[:, (2 * drawn[:, None] + [0, 1]).ravel()]
    return panels._replace(members=members, stratum=panels.stratum | {"members": panels.stratum["members"][drawn]})


def minor_families(alleles: np.ndarray, copies: np.ndarray, minor: np.ndarray, minimum: int) -> np.ndarray:
    """Sites whose minor allele at least `minimum` people carry (each a family of its own): bool (sites,)."""
    kept = minor >= 2 * minimum
    unsure = np.flatnonzero((minor >= minimum) & ~kept)
    flipped = copies[unsure] > alleles.shape[1] // 2
    carried = (
        (alleles[unsure] != flipped[:, None]).reshape(len(unsure), alleles.shape[1] // 2, 2).any(axis=2).sum(axis=1)
    )
    kept[unsure] = carried >= minimum
    return kept


def pedigree_mosaic(people: int, stratum: np.ndarray, generator: Generator, line: GeneticMap, seed: int) -> Mosaic:
    founders = len(stratum)
    if not generator.mating:
        number = 2 * founders
        return Mosaic(np.arange(number + 1), np.zeros(number, dtype=np.uint32), np.arange(number, dtype=np.int32))
    sex = np.arange(founders) % 2 + 1
    population = round(generator.population * founders) or None
    founders = Founders.strangers(sex, stratum, ("north", "south"))
    pedigree = make_pedigree(founders, people, generator.generations, generator.mating, seed, population)
    return trace_mosaic(pedigree, make_recombination(line, "1"), "1", seed, device="cpu")


def founder_at_blocks(mosaic: Mosaic, x: np.ndarray, size: int = 2048):
    for low in range(0, len(x), size):
        yield low, founder_at(mosaic, x[low : low + size])


def to_words(alleles: np.ndarray) -> np.ndarray:
    """uint32 (tiles, haplotypes) of alleles (sites, haplotypes), 32 sites a word."""
    packed = np.packbits(alleles, axis=0, bitorder="little")
    packed = np.concatenate([packed, np.zeros((-len(packed) % 4, packed.shape[1]), dtype=np.uint8)])
    return packed.reshape(-1, 4, packed.shape[1]).transpose(0, 2, 1).copy().view("<u4")[:, :, 0]


def from_words(words: np.ndarray, sites: int) -> np.ndarray:
    flat = np.ascontiguousarray(words, dtype="<u4")[:, :, None].view(np.uint8).transpose(0, 2, 1)
    return np.unpackbits(flat.reshape(-1, words.shape[1]), axis=0, bitorder="little", count=sites)


def utility(panels: Panels, pseudo: np.ndarray, seed: int) -> dict:
    real, made, other = (mean(a) for a in (panels.members, pseudo, panels.nonmembers))
    minor, rng = np.minimum(real, 1 - real), np.random.default_rng([seed, 5])
    varies = (made > 0) & (made < 1)
    common, low = minor >= 0.05, (minor >= 0.01) & (minor < 0.05)
    sd = np.sqrt(real * (1 - real))[common]
    found = {"kept": varies[low].mean()}
    for name, which, number in (("LD", common, PAIRS), ("low", low & varies, LOW_PAIRS)):
        pairs = site_pairs(panels.cm, np.flatnonzero(which), number, rng)
        found[name] = linkage(pseudo, pairs) / linkage(panels.members, pairs)
    rms = [np.sqrt(np.mean(((a[common] - real[common]) / sd) ** 2)) for a in (made, other)]
    single = np.rint(real * panels.members.shape[1]) == 1
    # of sites that are not loaded, as they are dropped, none is there
    found |= {"af": rms[0] / rms[1], "single": made[single].astype(bool).mean() if single.any() else 0.0}
    return found | {"div": diversity(pseudo, panels.cm) / diversity(panels.members, panels.cm)}


def mean(alleles: np.ndarray) -> np.ndarray:
    return alleles.sum(axis=1, dtype=np.int64) / alleles.shape[1]


def site_pairs(cm: np.ndarray, sites: np.ndarray, number: int, rng) -> list[tuple[np.ndarray, np.ndarray]]:
    """Random pairs of sites in each distance bin."""
    pairs = []
    for low, high in BINS:
        first = rng.choice(sites, number)
        begin, end = (np.searchsorted(cm[sites], cm[first] + d) for d in (low, high))
        first, begin, end = (a[end > begin] for a in (first, begin, end))
        pairs.append((first, sites[begin + (rng.random(len(first)) * (end - begin)).astype(int)]))
    return pairs


def linkage(alleles: np.ndarray, pairs: list, step: int = 2000) -> np.ndarray:
    """Mean r^2 less 1 / haplotypes in each distance bin; 0 of sites that do not vary."""
    found = []
    for first, second in pairs:
        values = np.zeros(len(first))
        for low in range(0, len(first), step):
            a, b = (alleles[s[low : low + step]].astype(np.float32) for s in (first, second))
            p, q = a.mean(axis=1), b.mean(axis=1)
            variance = p * (1 - p) * q * (1 - q)
            covariance = np.einsum("ij,ij->i", a, b) / a.shape[1] - p * q
            values[low : low + step] = np.where(variance > 1e-9, covariance**2 / np.maximum(variance, 1e-9), 0)
        found.append(values.mean() - 1 / alleles.shape[1])
    return np.array(found)


def diversity(alleles: np.ndarray, cm: np.ndarray, window: float = 0.05, every: int = 8) -> float:
    number, found = (cm / window).astype(int), []
    for one in range(0, number[-1] + 1, every):
        rows = np.packbits(alleles[number == one], axis=0)
        if len(rows):
            share = np.unique(rows, axis=1, return_counts=True)[1] / alleles.shape[1]
            found.append(1 - (share**2).sum())
    return float(np.mean(found))


def auc(member: np.ndarray, nonmember: np.ndarray) -> float:
    rank, n = rankdata(np.concatenate([member, nonmember])), len(member)
    return (rank[:n].sum() - n * (n + 1) / 2) / (n * len(nonmember))


def judged(scores: dict, use: dict, seconds: float) -> dict:
    """Numbers of one run by column; best: of a single attack, by: its name."""
    each = {key: auc(*pair) for key, pair in scores.items()}
    best = max(each, key=each.get)
    member, nonmember = combined.combine(scores)
    rate = np.mean(member > np.quantile(nonmember, 0.99))
    return {"best": each[best], "by": best, "all": auc(member, nonmember), "TPR": rate} | use | {"seconds": seconds}


def table(found: dict[tuple[str, int], list[dict]]) -> str:
    """Markdown: a row for each name and number of people, means over seeds; `all` and TPR of every seed too."""
    columns = ("best", "all", "TPR", "drawn", "LD", "low", "af", "kept", "div", "single")
    lines = ["| generator | people | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for (name, people), runs in found.items():
        cells = [_text(np.mean([run[key] for run in runs], axis=0)) for key in columns]
        for at in (1, 2):
            cells[at] += f" ({' '.join(_text(run[columns[at]]) for run in runs)})" if len(runs) > 1 else ""
        lines.append(" | ".join([f"| {name}", str(people), *cells]) + " |")
    return "\n".join(lines)


def _text(value) -> str:
    """.671, several side by side; a word as it is."""
    if isinstance(value, str):
        return value
    values = np.atleast_1d(value)
    return " ".join(f"{v:.{3 if len(values) == 1 and v < 1 else 2}f}".removeprefix("0") for v in values)


def measure_cost(people: int, windows: int = 12, tiles: int = 4, ancestors: int = 3000) -> None:
    """Seconds of the steps of a window for so many founders and pseudo people, and of 70,000 windows."""
    rng = np.random.default_rng(1)
    settings = Protection(0, 0.2, people // 100, 13 * people // 100, 0.05)
    founded = Founded(np.repeat(np.arange(people), 2), np.repeat(np.arange(people) % 2, 2))
    number = 2 * people
    mosaic = Mosaic(np.arange(number + 1), np.zeros(number, dtype=np.uint32), rng.permutation(number).astype(np.int32))
    copying = Copying(mosaic, settings, founded, np.arange(windows + 1) * 2**20, 0.05 * 2**12, (1, 2))
    streams, spent = streams_of(1, "1"), 0.0
    weight = np.arange(1, ancestors + 1) ** -1.5  # the allowed classes hold 3 in 4, as in sequences
    for window in range(windows):
        kinds = rng.integers(2**32, size=(tiles, ancestors), dtype=np.uint32)
        words = kinds[:, rng.choice(ancestors, number, p=weight / weight.sum())]
        began = time.process_time()
        protected_words(words, 32 * tiles, copying, settings, founded, streams)
        spent += (time.process_time() - began) * (window >= 2)
    each = spent / (windows - 2)
    hours = each * 70_000 / 3600
    print(f"{people} people: {each:.3f} CPU s a window, {hours:.1f} CPU h for 3,500 cM in windows of .05 cM")


if __name__ == "__main__":
    main()
