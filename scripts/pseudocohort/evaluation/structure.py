"""Principal components of real genomes, and pseudo genomes on the same axes."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from pseudocohort.evaluation.metrics import HOLDOUT
from pseudocohort.evaluation.sites import Sample

AXES = 4
GRID = 80
FEWEST_PEOPLE = 20  # strata with fewer real people are not drawn
CROWD = 5  # density is kept above that of about so many people within the smoothing kernel


def structure_figure(
    samples: Sequence[Sample], people: pd.DataFrame, pseudo_people: pd.DataFrame, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Founders and pseudo people on axes fitted on the holdout, to which both are strangers, and each on their own.

    People on whom axes are fitted lie further out than projected ones, and so do their descendants.
    """
    real, pseudo = (np.concatenate([getattr(s, f"structure_{k}") for s in samples]) for k in ("real", "pseudo"))
    rows, pseudo_rows = samples[0].structure_rows
    part, stratum = (people[c].to_numpy(dtype=str)[rows] for c in ("part", "stratum"))
    held = np.isin(part, HOLDOUT)
    if held.sum() < FEWEST_PEOPLE:
        return {}
    project, share, _ = fitted(real[:, held], rng)
    founders = part == "train"
    of = pseudo_people["stratum"].to_numpy(dtype=str)[pseudo_rows]
    arrays = density_figure(project(real[:, founders]), stratum[founders], project(pseudo), of, share)
    family = people["family"].iloc[rows].where(founders)
    return arrays | own_axes(real, pseudo, np.flatnonzero(founders & ~family.duplicated()), stratum, of, rng)


def own_axes(
    real: np.ndarray, pseudo: np.ndarray, founders: np.ndarray, stratum: np.ndarray, of: np.ndarray, rng
) -> dict[str, np.ndarray]:
    """Founders, one a family, and as many pseudo people, each on axes fitted on themselves, as a user would see them.

    real, pseudo: dosages (sites, people); founders: columns of `real`; stratum, of: of the people of both.  Positions
    are divided by the root of the number of sites; signs are such that strata lie alike.
    """
    size = min(len(founders), pseudo.shape[1])
    if size < FEWEST_PEOPLE:
        return {}
    chosen = ((real[:, founders[:size]], stratum[founders[:size]]), (pseudo[:, :size], of[:size]))
    places, shares = [], []
    for dosages, names in chosen:
        project, share, sites = fitted(dosages, rng)
        place = project(dosages) / np.sqrt(sites)
        first = place[names == min(names)].mean(axis=0) - place.mean(axis=0)
        places.append(np.where(first > 0, -1, 1) * place)
        shares.append(share[:2])
    figure = density_figure(places[0], chosen[0][1], places[1], chosen[1][1], np.array(shares), digits=4)
    return {key.replace("structure/", "own/"): values for key, values in figure.items()}


def fitted(dosages: np.ndarray, rng: np.random.Generator) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray, int]:
    """Principal axes of people's dosages (sites, n): a function from dosages (sites, m) to positions (m, axes), each
    axis's share of the variance, and the number of sites used.

    Patterson scaling; sites are thinned to r^2 < 0.2 in windows of 100 (scikit-allel).
    """
    import allel

    varies = np.flatnonzero(dosages.std(axis=1) > 0)
    used = varies[allel.locate_unlinked(dosages[varies], size=100, step=20, threshold=0.2)]
    count = min(AXES, dosages.shape[1] - 1, len(used) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, model = allel.randomized_pca(
            dosages[used], n_components=count, scaler="patterson", random_state=int(rng.integers(2**31))
        )

    def project(others: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return model.transform(others[used]).astype(float)

    return project, model.explained_variance_ratio_, len(used)


def density_figure(
    real: np.ndarray,
    strata: np.ndarray,
    pseudo: np.ndarray,
    pseudo_strata: np.ndarray,
    share: np.ndarray,
    digits: int = 2,
) -> dict[str, np.ndarray]:
    """Smoothed densities of the real people by stratum (never points) and points of the pseudo people."""
    if real.shape[1] < 2:
        return {}
    both = np.vstack([real[:, :2], pseudo[:, :2]])
    low, high = np.quantile(both, [0.01, 0.99], axis=0)
    bounds = np.column_stack([low - 0.3 * (high - low), high + 0.3 * (high - low)])
    names = [s for s in np.unique(strata) if (strata == s).sum() >= FEWEST_PEOPLE]
    arrays: dict = {
        "structure/bounds": bounds,
        "structure/share": share,
        "structure/strata": list(names) or ["-"],
        "structure/pseudo": np.round(pseudo[:, :2], digits),
        "structure/pseudo_strata": list(pseudo_strata),
    }
    for i, name in enumerate(names):
        rows = strata == name
        counts = np.histogram2d(*real[rows, :2].T, bins=GRID, range=bounds)[0]
        width = max(GRID * 0.035, 1.5)
        smooth = gaussian_filter(counts, width, mode="constant") * (2 * np.pi * width**2)
        arrays[f"structure/density/{i}"] = np.maximum(smooth - CROWD, 0.0)
    return arrays
