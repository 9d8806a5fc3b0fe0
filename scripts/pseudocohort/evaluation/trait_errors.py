"""Differences of single traits, which a mean over traits hides where they cancel."""

import numpy as np

from pseudocohort.evaluation.metrics import jackknifed
from pseudocohort.measures.line import measure

FEWEST = 5  # traits, and groups of blocks
FEW_TRAITS, SHORT = "too few compared traits", "too few blocks"


def error_by_trait(key: str, made: np.ndarray, held: np.ndarray, errors: list[np.ndarray] | None = None) -> dict:
    """Line of the RMS over traits of differences in standard errors, pseudo beside holdout.

    made, held: (t, 1 + g) differences from the founders, whole and without each of g groups.  errors: (t,) of each;
    None for those of a jackknife over the groups.
    """
    t, g = len(made), made.shape[1] - 1
    if t < FEWEST or g < FEWEST:
        return measure(key, None, reason=FEW_TRAITS if t < FEWEST else SHORT, traits=t)
    if errors is None:
        errors = [np.sqrt((g - 1) * x[:, 1:].var(axis=1)) for x in (made, held)]
    with np.errstate(invalid="ignore", divide="ignore"):  # a trait without an error has no difference in errors
        sizes = [np.sqrt(np.mean((x / e[:, None]) ** 2, axis=0)) for x, e in zip((made, held), errors, strict=True)]
        ratio = sizes[0] / sizes[1]
    interval = jackknifed(ratio[0], ratio[1:], np.log, np.exp)
    return measure(key, sizes[0][0], floor=sizes[1][0], ratio=ratio[0], interval=interval, traits=t)
