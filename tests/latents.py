"""Latents for tests of the decoder, without a network."""

import numpy as np
from scipy.special import ndtri

from pseudocohort import counter
from pseudocohort.phenotype.atoms import Encoding
from pseudocohort.phenotype.decoding import Decoder


def decode(encoding: Encoding, latent: np.ndarray, sex: np.ndarray, uniform: np.ndarray) -> Decoder:
    """Decode given latents (n, atoms); sex: codes (n,); uniform: (n, atoms) places within a rank's share."""
    decoder = Decoder(encoding, sex, uniform)
    for atom, own in enumerate(np.ascontiguousarray(latent.T)):
        decoder.take(atom, own)
    return decoder


def normal_latents(seed: int, purpose: str, n: int, atoms: int) -> np.ndarray:
    """Independent standard normal latents (n, atoms)."""
    return ndtri(np.clip(counter.generator(seed, purpose).random((n, atoms)), 1e-12, 1 - 1e-12))
