"""The attacks on one chromosome: what they leave of every target, and aggregates of what the pseudo cohort exposes.

What is of every target is individual: it goes to a secret file and no further than `genome_evidence`.
"""

from pathlib import Path

import numpy as np

from pseudocohort.disclosure import exposure, genomes
from pseudocohort.disclosure import packed as bits
from pseudocohort.disclosure.nearest import adversarial_accuracy, nearest_distance
from pseudocohort.disclosure.panels import Panel, Panels
from pseudocohort.genotypes import Genotypes
from pseudocohort.measures.arrays import load_arrays, save_arrays

FAMILIES = (1, 2, 3, 4, 5, 10, 20)  # classes of carriers: from so many families on
MOST_COPIES = 400  # of an allele; who has more is taken to have it in 20 families and more
BLOCK = 256
NEAR_LOOKED = 2000  # sites, evenly spread, at which whole people are compared


def attack_chromosome(panels: Panels) -> dict[str, np.ndarray]:
    """Arrays by name: `found/...` statistics of members, non-members and relatives, `planted/...` of non-members with
    the leak, `carrier/length` (cM) and `carrier/donor` (number among the pseudo people of the panel) of the longest
    match of members and non-members, and aggregates `copies/...`."""
    targets = bits.join(panels.members, panels.nonmembers, panels.relatives)
    found, carriers = genomes.statistics_and_carriers(targets, panels.pseudo, panels.reference, panels.cm)
    planted = genomes.statistics(panels.nonmembers, panels.leaky, panels.reference, panels.cm)
    arrays = {f"found/{k}": v for k, v in found.items()} | {f"planted/{k}": v for k, v in planted.items()}
    known = (panels.members.number + panels.nonmembers.number) // 2
    arrays |= {f"carrier/{k}": v[:known] for k, v in carriers._asdict().items()}
    return arrays | {f"copies/{k}": np.array(v) for k, v in copies(panels).items()}


def copies(panels: Panels) -> dict[str, list[float]]:
    """[pseudo cohort, reference panel]: shares of windows, of the chromosome's haplotypes and of people that are
    copies of founders', letter by letter or nearly (at NEAR_LOOKED sites: it takes all pairs of people), and the two
    halves of adversarial accuracy, of as many members."""
    founders, sides = panels.founders, (panels.pseudo, panels.reference)
    found = {
        f"{width:g} cM": [exposure.copied_windows(founders, side, panels.cm, width) for side in sides]
        for width in exposure.COPY_WINDOWS
    }
    found["whole chromosome"] = [exposure.copied_windows(founders, side, panels.cm) for side in sides]
    some = bits.spread(len(panels.cm), NEAR_LOOKED)
    thin = bits.select(founders, some)
    looked = [bits.in_memory(bits.select(side, some)) for side in sides]
    found["near"] = [exposure.near_copies(nearest_distance(side, thin), len(some)) for side in looked]
    members, most = bits.select(panels.members, some), min(side.number for side in looked)
    told = [adversarial_accuracy(members, side, most) for side in looked]
    return found | {"own founders": [a.targets for a in told], "own pseudo": [a.pseudo for a in told]}


def carrying_families(
    real_prefix: str, released: np.ndarray, founders: np.ndarray, family: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Released alleles by the number of founders' families that carry them: (alleles, of them of frequency below 1 %),
    int64 (classes of FAMILIES,).

    The rarer allele of each site is counted.  released: rows of the sites that the pseudo cohort has, ascending.
    founders: rows; family: (founders,) labels.
    """
    order = np.argsort(founders)
    code = np.unique(family.astype(str), return_inverse=True)[1][order]
    by_class, rare = np.zeros((2, len(FAMILIES)), dtype=np.int64)
    with Genotypes(real_prefix, founders) as real:
        for low in range(0, len(released), BLOCK):
            sites = released[low : low + BLOCK]
            dosages = real.dosages(int(sites[0]), int(sites[-1]) + 1)[sites - sites[0]]
            major = dosages.sum(axis=1, dtype=np.int64) > len(founders)
            dosages[major] = 2 - dosages[major]
            number_of = dosages.sum(axis=1, dtype=np.int64)
            few = np.flatnonzero(number_of <= MOST_COPIES)
            site, person = np.nonzero(dosages[few])
            pairs = np.unique(site * (code.max() + 1) + code[person])
            families = np.full(len(sites), FAMILIES[-1])
            families[few] = np.bincount(pairs // (code.max() + 1), minlength=len(few))
            number = np.searchsorted(FAMILIES, families, side="right") - 1
            carried = families > 0
            by_class += np.bincount(number[carried], minlength=len(FAMILIES))
            below = carried & (number_of < 0.01 * 2 * len(founders))
            rare += np.bincount(number[below], minlength=len(FAMILIES))
    return by_class, rare


def save_panel(path: str | Path, panel: Panel, kin: int) -> None:
    """Write who is attacked, for its owner alone to read. kin: people left out as kin of founders."""
    save_arrays(path, panel._asdict() | {"kin": np.array(kin)}, mode=0o600)


def load_panel(path: str | Path) -> tuple[Panel, int]:
    """The panel and the number of people left out that `save_panel` wrote."""
    arrays = load_arrays(path)
    return Panel(**{name: arrays[name] for name in Panel._fields}), int(arrays["kin"])
