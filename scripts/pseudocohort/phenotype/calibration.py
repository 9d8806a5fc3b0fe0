"""Calibration: each atom's latents are shifted, as it is drawn, until the moments of its scores are the training ones.

For atom j and the people n it is active for, x = (1, conditions, scores of the atoms before j); the latents become
l + x d with d such that E[x s_j] over all pseudo people is what the training regression on the conditions and the
training covariance of the rest say. d is found by Newton's method, the scores' response to a shift taken as linear:

    d <- d + (a E[x x'] + ridge)^-1 (target - E[x s_j]) / gain,    gain = cov(s_j, l) / var(l)

a being the share of people for whom the atom is active. The steps are few and the ridge is as large as the mean
diagonal: directions in which few people differ are left as drawn. With a tenth of it the noise of the training moments
is fitted, too: pseudo people come nearer to the training people and no nearer to others.

The atoms that follow are drawn given the shifted scores. So what the model knows beyond linear relations stays sharp;
recolouring all latents at once, after they are drawn, blurs it (measured on NHANES: benchmarks/phenotype.py).
"""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from pseudocohort.phenotype.decoding import POLISH, Decoder
from pseudocohort.phenotype.moments import Moments

STEPS = 4
RIDGE = 1.0  # of the mean diagonal of a E[x x']
GAIN = 0.7  # least: scores that hardly answer, as those of a nearly determined atom, are not forced


class Calibration:
    """The calibration of one drawing; `shift` is called for every atom in order, then `note` with its scores."""

    def __init__(self, target: Moments, c: np.ndarray):
        """target: of the training people; c: (n, conditions) of the pseudo people."""
        n, self._width = len(c), 1 + c.shape[1]
        self._x = np.zeros((n, self._width + target.slope.shape[1]), dtype=np.float32, order="F")
        self._x[:, 0], self._x[:, 1 : self._width] = 1, c
        own = self._x[:, : self._width].astype(np.float64)
        self._second = np.zeros((self._x.shape[1],) * 2)  # E[x x'], a column is added with every atom
        self._second[: self._width, : self._width] = own.T @ own / n
        self._target = target

    def shift(self, atom: int, latent: np.ndarray, decoder: Decoder) -> np.ndarray:
        """Latents float64 (n,), shifted where the atom is active."""
        rows = np.flatnonzero(decoder.active(atom))
        width = self._width + atom
        latent = np.asarray(latent, dtype=np.float64)
        if len(rows) < max(POLISH, width // 2) or latent[rows].std() == 0:
            return latent
        x, n = self._x[rows, :width], len(latent)
        second = self._second[:width, :width] * (len(rows) / n)
        second[np.diag_indices(width)] += RIDGE * np.trace(second) / width
        factor = cho_factor(second)
        target = self._wanted(atom)
        best, least = latent, np.inf
        for step in range(STEPS + 1):
            score = np.zeros(n)
            order, values = decoder.preview(atom, latent, rows)
            score[order] = values
            lack = target - x.T @ score[rows].astype(np.float32) / n
            if np.abs(lack).mean() < least:
                best, least = latent, np.abs(lack).mean()
            if step < STEPS:
                own = latent[rows] - latent[rows].mean()
                gain = max(float(own @ score[rows] / (own @ own)), GAIN)
                latent = latent.copy()
                latent[rows] += x @ (cho_solve(factor, lack) / gain).astype(np.float32)
        return best

    def note(self, atom: int, score: np.ndarray) -> None:
        """The scores (n,) that the atom got."""
        place = self._width + atom
        self._x[:, place] = score
        column = self._x[:, : place + 1].T @ self._x[:, place] / len(self._x)
        self._second[place, : place + 1] = self._second[: place + 1, place] = column

    def _wanted(self, atom: int) -> np.ndarray:
        """E[x s] (1 + conditions + atoms before,) over the pseudo people by the training moments."""
        own = self._second[: self._width, : self._width] @ self._target.slope[:, atom]
        return np.concatenate([own, self._target.slope[:, :atom].T @ own + self._target.covariance[:atom, atom]])
