"""Arrays on disk: aggregates for the figures, and secret ones of single people."""

from pathlib import Path

import numpy as np

from pseudocohort.files import atomic


def save_arrays(path: str | Path, arrays: dict[str, np.ndarray], mode: int | None = None) -> None:
    """Write arrays as .npz; texts become fixed-width unicode, so that no pickle is needed.

    mode: 0o600 for what is of single people.
    """
    plain = {
        k: np.array([str(x) for x in v])
        if isinstance(v, (list, tuple)) and v and isinstance(v[0], str)
        else np.asarray(v)
        for k, v in arrays.items()
    }
    with atomic(path, mode=mode) as part, open(part, "wb") as file:
        np.savez_compressed(file, **plain)


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """What `save_arrays` wrote."""
    with np.load(path) as file:
        return {key: file[key] for key in file.files}
