"""Principal components of real genomes, and pseudo genomes on the same axes."""

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from pseudocohort.evaluation.sites import Sample

AXES = 4
GRID = 80
FEWEST_PEOPLE = 20  # strata with fewer real people are not drawn
CROWD = 5  # density is kept above that of about so many people within the smoothing kernel


class Axes(NamedTuple):
    """real: (n, 4) projected people, rows of the people table in `rows`; pseudo: (m, 4); sites: number used;
    figure: aggregates for the picture."""

    real: np.ndarray
    rows: np.ndarray
    pseudo: np.ndarray
    sites: int
    figure: dict[str, np.ndarray]


def principal_components(
    samples: list[Sample], people: pd.DataFrame, pseudo_people: pd.DataFrame, rng: np.random.Generator
) -> Axes:
    """Axes from a random half of the founders (Patterson scaling); everybody else is projected, real and pseudo.

    People on whom axes are fitted lie further out than projected ones, so those of the first half are not shown.
    Sites are thinned to r^2 < 0.2 in windows of 100 (scikit-allel).
    """
    import allel

    real, pseudo = (np.concatenate([getattr(s, k) for s in samples]) for k in ("structure_real", "structure_pseudo"))
    rows, pseudo_rows = samples[0].structure_rows
    founders = np.flatnonzero(people["part"].to_numpy(dtype=str)[rows] == "train")
    half = np.sort(rng.permutation(founders)[: len(founders) // 2])
    rest = np.setdiff1d(np.arange(len(rows)), half)
    varies = real[:, half].std(axis=1) > 0
    real, pseudo = real[varies], pseudo[varies]
    loose = allel.locate_unlinked(real[:, half], size=100, step=20, threshold=0.2)
    real, pseudo = real[loose], pseudo[loose]
    count = min(AXES, len(half) - 1, len(real) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, model = allel.randomized_pca(
            real[:, half], n_components=count, scaler="patterson", random_state=int(rng.integers(2**31))
        )
        shown, projected = (model.transform(x).astype(float) for x in (real[:, rest], pseudo))
    axes = Axes(shown, rows[rest], projected, len(real), {})
    strata = people["stratum"].to_numpy(dtype=str)[rows[rest]]
    pseudo_strata = pseudo_people["stratum"].to_numpy(dtype=str)[pseudo_rows]
    return axes._replace(
        figure=density_figure(shown, strata, projected, pseudo_strata, model.explained_variance_ratio_)
    )


def density_figure(
    real: np.ndarray, strata: np.ndarray, pseudo: np.ndarray, pseudo_strata: np.ndarray, share: np.ndarray
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
        "structure/pseudo": np.round(pseudo[:, :2], 2),
        "structure/pseudo_strata": list(pseudo_strata),
    }
    for i, name in enumerate(names):
        rows = strata == name
        counts = np.histogram2d(*real[rows, :2].T, bins=GRID, range=bounds)[0]
        width = max(GRID * 0.035, 1.5)
        smooth = gaussian_filter(counts, width, mode="constant") * (2 * np.pi * width**2)
        arrays[f"structure/density/{i}"] = np.maximum(smooth - CROWD, 0.0)
    return arrays
