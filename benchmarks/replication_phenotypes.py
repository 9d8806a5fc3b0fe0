"""Pseudo phenotypes for replication.py: by a linear stand-in for the network, and by the conditional VAE itself."""

import numpy as np
import pandas as pd
from replication_cohort import Cohort, Truth, product

from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.genetics.traits import make_covariates
from pseudocohort.weights.liability import fit_probit, ratio


def weight_matrix(weights: dict, names: tuple, index: dict) -> np.ndarray:
    """Effects (m, t) per ALT allele at the simulated sites."""
    out = np.zeros((len(index), len(names)))
    for k, name in enumerate(names):
        rows = [index[site] for site in weights[name].sites["id"]]
        values = np.asarray(weights[name].values)
        out[rows, k] = values if values.ndim == 1 else (values[:, 2] - values[:, 0]) / 2
    return out


def scores_of(cohort: Cohort, effects: np.ndarray) -> np.ndarray:
    return product(cohort.dosage, effects)


def sample_linear(train: Cohort, items, scores, pseudo: Cohort, pseudo_scores, truth: Truth, seed: int) -> np.ndarray:
    """Items (n, t) of the pseudo cohort by multivariate normal regression of all items on covariates and all scores.

    Binary items are cut liabilities: a probit regression each, and correlations of liabilities beside it that follow
    from those of their expected values, E[l | y], to first order.
    """
    rng = np.random.default_rng([seed, 5])
    binary = ~np.isnan(truth.cuts)
    centre, spread = scores.mean(axis=0), np.maximum(scores.std(axis=0), 1e-12)
    own, other = (
        np.column_stack([np.ones(len(c.sex)), make_covariates(c.sex, c.age, None)[0], (s - centre) / spread])
        for c, s in ((train, scores), (pseudo, pseudo_scores))
    )
    own, other = (x[:, own.std(axis=0) + (np.arange(own.shape[1]) == 0) > 1e-9] for x in (own, other))
    fitted, expected, seen = np.empty((len(other), items.shape[1])), np.empty(items.shape), np.ones(items.shape[1])
    for k, y in enumerate(items.T):
        eta = fit_probit(y, own) if binary[k] else y
        slope = np.linalg.lstsq(own, eta, rcond=None)[0]
        fitted[:, k] = other @ slope
        expected[:, k] = y - own @ slope
        if binary[k]:
            expected[:, k] = np.where(y > 0, ratio(eta), -ratio(-eta))
            seen[k] = expected[:, k].var()
    covariance = expected.T @ expected / (len(own) - own.shape[1]) / np.outer(seen, seen)
    covariance[np.diag_indices(len(seen))] = np.where(binary, 1, np.diag(covariance))
    value, vector = np.linalg.eigh(covariance)
    size = np.sqrt(np.diag(covariance))
    covariance = (vector * np.maximum(value, 1e-9)) @ vector.T
    covariance *= np.outer(size, size) / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    total = fitted + rng.multivariate_normal(np.zeros(len(seen)), covariance, size=len(fitted), method="eigh")
    return np.where(binary, total > 0, total)


def sample_network(
    train: Cohort, items, scores, pseudo: Cohort, pseudo_scores, truth: Truth, seed: int
) -> tuple[Cohort, np.ndarray]:
    """Items (n, t) by the conditional VAE trained on the training people's scores and items, and its ages."""
    from pseudocohort.phenotype.sampling import sample_people
    from pseudocohort.phenotype.training import train_network

    binary, names = ~np.isnan(truth.cuts), truth.names
    rows = [
        Item(name=name, type="binary", categories=("0", "1")) if b else Item(name=name, type="continuous")
        for name, b in zip(names, binary, strict=True)
    ]
    dictionary = Dictionary((Item(name="age", type="continuous", role="age", decimals=1), *rows))
    table = pd.DataFrame({"age": train.age})
    for name, b, y in zip(names, binary, items.T, strict=True):
        table[name] = pd.Series(y.astype(int).astype(str)) if b else y
    people = pd.DataFrame({"sex": train.sex, "stratum": "all", "family": [f"f{i}" for i in range(len(train.sex))]})
    model = train_network(table, people, pd.DataFrame(scores, columns=names), dictionary, {}, seed)
    drawn = sample_people(
        model, pd.DataFrame(pseudo_scores, columns=names), pseudo.sex, np.full(len(pseudo.sex), "all"), seed
    )
    return pseudo._replace(age=drawn["age"].to_numpy(float)), drawn[list(names)].to_numpy(dtype=float)
