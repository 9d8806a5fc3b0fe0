"""The baseline to beat: every item drawn from its own training distribution, blind to everything else."""

import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.phenotype.conditions import sex_codes
from pseudocohort.phenotype.decoding import decode, normal_latents, people_table
from pseudocohort.phenotype.encoding import fit_encoding


def sample_marginals(
    phenotypes: pd.DataFrame, people: pd.DataFrame, dictionary, sex, stratum, age, seed: int
) -> pd.DataFrame:
    """Pseudo people (n) with independent items, in the format of `sampling.sample_people`.

    phenotypes, people: the training people, same row order; sex, stratum, age (n,): of the pseudo people. Items
    follow their smoothed training distribution and missing rate; skip rules look at the drawn parents.
    """
    encoding = fit_encoding(phenotypes, sex_codes(people["sex"]), dictionary)
    sex = sex_codes(sex)
    latent = normal_latents(seed, "marginal latents", len(sex), len(encoding.atoms))
    uniform = counter.generator(seed, "marginal ranks").random(latent.shape)
    return people_table(
        decode(encoding, latent, sex, uniform),
        sex,
        None if age is None else np.asarray(age),
        np.asarray(stratum).astype(str),
    )
