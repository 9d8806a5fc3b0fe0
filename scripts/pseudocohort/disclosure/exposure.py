"""What of real people stands letter by letter in the pseudo cohort, in aggregate: segments, windows, whole haplotypes.

Nothing here is one person's: values are means over groups of at least SMALLEST people.
"""

import numpy as np

from pseudocohort.disclosure import packed as bits
from pseudocohort.disclosure.windows import hashes, window_bounds

SMALLEST = 5  # people in a group
GROUPS = 20
COPY_WINDOWS = (1.0, 5.0)  # cM
NEAR_SITES = 0.001  # of the sites at which a near copy differs at most


def grouped(values: np.ndarray, groups: int = GROUPS) -> tuple[np.ndarray, np.ndarray]:
    """Means of people ranked by a value, (share of people below the group's middle, mean), from the least to the most.

    Groups are as equal as can be, of SMALLEST people or more; both are empty for fewer people than that.
    """
    number = min(groups, len(values) // SMALLEST)
    if number == 0:
        return np.empty(0), np.empty(0)
    parts = np.array_split(np.sort(values), number)
    sizes = np.array([len(part) for part in parts])
    return (np.cumsum(sizes) - sizes / 2) / len(values), np.array([part.mean() for part in parts])


def copied_windows(real: bits.Packed, pseudo: bits.Packed, cm: np.ndarray, width: float | None = None) -> float:
    """Share of the pseudo haplotypes' windows of `width` cM (None: the whole chromosome) that equal one of `real`."""
    bounds = [(0, len(cm))] if width is None else window_bounds(cm, width)
    shares = [np.isin(hashes(pseudo, *ends), hashes(real, *ends)).mean() for ends in bounds]
    return float(np.mean(shares))


def near_copies(distance: np.ndarray, sites: int) -> float:
    """Share of pseudo people whose nearest real person is no further than NEAR_SITES of the sites.

    distance: (pseudo people,) of `nearest.nearest_distance`: a difference of one allele at a site counts one.
    """
    return float(np.mean(distance <= NEAR_SITES * sites))
