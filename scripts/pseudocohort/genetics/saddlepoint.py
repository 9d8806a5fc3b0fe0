"""Saddle-point approximation of score tests of binary traits (Dey, Schmidt, Abecasis & Lee 2017, SPAtest and fastSPA).

The score of a site is S = sum_i g_i (Y_i - mu_i), with g the dosage less its covariate part (so S is U) and Y_i
independent with probability mu_i. Its cumulant generating function is

    K(t) = sum_i log(1 - mu_i + mu_i exp(t g_i)) - t g_i mu_i

and with t the root of K'(t) = s, w = sqrt(2(t s - K)), u = t sqrt(K''), P(S >= s) = Phi(-r), r = w + log(u/w)/w
(Barndorff-Nielsen 1986). The two-sided p is the sum of both tails beyond |s|. Of those who do not carry the minor
allele g is small, and their sum is taken as normal: t^2/2 sum g^2 mu (1 - mu).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr

from pseudocohort.genetics.tails import normal_deviate

ITERATIONS = 100
TOLERANCE = 1e-6  # of Newton's last step; the error left is about its square
LARGEST = 700.0  # exponents beyond overflow
LARGEST_T = 1e12
REFINED = 1 << 20  # numbers of a block in which effects are refined


class Carriers(NamedTuple):
    """Tests with their carriers end to end. s tests, m carriers in all.

    g, mu: (m,).  bounds: (s + 1,), where each test's carriers begin; every test has some.  rest: (s,), variance of the
    score of everybody else.
    """

    g: np.ndarray
    mu: np.ndarray
    bounds: np.ndarray
    rest: np.ndarray


def cumulants(tests: Carriers, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """K, K' and K'' (s,) at t (s,)."""
    number = np.diff(tests.bounds)
    exponent = np.clip(tests.g * t.repeat(number), -LARGEST, LARGEST)
    grown = np.expm1(exponent)
    grown *= tests.mu
    value = np.log1p(grown)
    value -= exponent * tests.mu
    grown += 1.0  # 1 - mu + mu exp(t g)
    tilted = tests.mu * np.exp(exponent) / grown
    slope = tests.g * (tilted - tests.mu)
    curve = tests.g**2 * tilted * (1 - tilted)
    value, slope, curve = (np.add.reduceat(a, tests.bounds[:-1]) for a in (value, slope, curve))
    return value + tests.rest * t * t / 2, slope + tests.rest * t, curve + tests.rest


def _subset(tests: Carriers, rows: np.ndarray) -> Carriers:
    """Some of the tests (bool (s,))."""
    number = np.diff(tests.bounds)
    flat = rows.repeat(number)
    return Carriers(tests.g[flat], tests.mu[flat], np.concatenate([[0], np.cumsum(number[rows])]), tests.rest[rows])


def _start(tests: Carriers, score: np.ndarray) -> np.ndarray:
    """First t (s,): the root if S were Poisson, scaled and shifted to the same second and third cumulant."""
    p, first = tests.mu, tests.bounds[:-1]
    flat = tests.g * tests.g * p * (1 - p)
    variance = np.add.reduceat(flat, first) + tests.rest
    flat *= tests.g * (1 - 2 * p)
    step = np.add.reduceat(flat, first) / variance
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.log1p(score * step / variance) / step
    return np.where(np.isfinite(t), t, score / variance)


def saddle_points(tests: Carriers, score: np.ndarray) -> np.ndarray:
    """The t > 0 (s,) with K'(t) = score > 0; NaN without one. Newton's steps, bisected where they leave."""
    found = np.full(len(score), np.nan)
    place, target, t = np.arange(len(score)), score, _start(tests, score)
    low, high = np.zeros(len(score)), np.full(len(score), np.inf)
    for _ in range(ITERATIONS):
        _, slope, curve = cumulants(tests, t)
        below = slope < target
        low, high = np.where(below, t, low), np.where(below, high, t)
        with np.errstate(divide="ignore", invalid="ignore"):
            new = t + (target - slope) / curve
        inside = (new > low) & (new < high) & (new < 4 * t)  # far steps come from the flat part of an exponential
        new = np.where(inside, new, np.where(np.isinf(high), 2 * t, (low + high) / 2))
        done = np.abs(new - t) <= TOLERANCE * new
        found[place[done]] = new[done]
        more = ~done & (new < LARGEST_T)
        if not more.any():
            break
        if not more.all():
            tests, place, target = _subset(tests, more), place[more], target[more]
            low, high, new = low[more], high[more], new[more]
        t = new
    return found


def log_tail(tests: Carriers, score: np.ndarray) -> np.ndarray:
    """Natural log of P(S >= score) (s,) for scores > 0; NaN where there is no saddle point."""
    return _log_tail(tests, score, saddle_points(tests, score))


def _log_tail(tests: Carriers, score: np.ndarray, t: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        value, _, curve = cumulants(tests, np.nan_to_num(t))
        w = np.sqrt(2 * (t * score - value))
        r = w + np.log(t * np.sqrt(curve) / w) / w
        return np.where(w > 1e-3, log_ndtr(-r), np.nan)


def two_sided(tests: Carriers, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Natural log of P(|S| >= |score|) (s,), both tails added, and the log odds ratio (s,) of an allele.

    NaN where a saddle point is missing. K'(t) = s is the likelihood equation of the effect t of g with the null's
    linear predictor as offset, so the saddle point on the score's side is its maximum likelihood estimate.
    """
    size, turned = np.abs(score), tests._replace(g=-tests.g)
    upper, lower = saddle_points(tests, size), saddle_points(turned, size)
    with np.errstate(invalid="ignore"):
        log_p = np.logaddexp(_log_tail(tests, size, upper), _log_tail(turned, size, lower))
    return log_p, np.where(score > 0, upper, -lower)


def make_tests(dosage, coefficients, basis, mu, variance) -> Carriers:
    """Tests from dosages (s, n) less the shift that makes non-carriers 0, as `adjusted_deviates` has them."""
    site, person = np.nonzero(np.ascontiguousarray(dosage) != 0)
    there = mu[person] > 0
    site, person = site[there], person[there]
    g = dosage[site, person] - np.einsum("mk,mk->m", coefficients[site], basis[person])
    p = mu[person]
    bounds = np.concatenate([[0], np.cumsum(np.bincount(site, minlength=len(dosage)))])
    carried = np.add.reduceat(g * g * p * (1 - p), bounds[:-1])
    return Carriers(g, p, bounds, np.maximum(variance - carried, 0))


def adjusted_deviates(score, variance, dosage, coefficients, basis, mu) -> tuple[np.ndarray, np.ndarray]:
    """|z| (s,) whose two-sided normal p is that of the saddle-point approximation, and the log odds ratio (s,).

    score, variance: (s,) U and V.  dosage: (s, n) int8, 0 for non-carriers of the minor allele.
    coefficients: (s, k) on basis (n, k), the covariate part of the dosages.  mu: (n,) probabilities under the null,
    0 for people without a value; a site has a carrier with one.
    NaN where there is no saddle point: the score is then all but impossible under the null, where the normal p is
    wrong by any number of digits, so none is better.
    """
    tests = make_tests(dosage, coefficients, basis, mu, variance)
    log_p, effect = two_sided(tests, score)
    z = normal_deviate(log_p)
    z[np.isinf(z)] = np.nan
    return z, refine(score, dosage, coefficients, basis, mu, effect)


def refine(score, dosage, coefficients, basis, mu, effect) -> np.ndarray:
    """Maximum likelihood log odds ratios (s,), the null's linear predictor an offset, by Newton's steps from `effect`.

    Everybody counts here: that those who carry nothing are nearly normal is enough for p, not for an effect.
    """
    there = np.flatnonzero(mu > 0)
    basis, mu, out = basis[there], np.clip(mu[there], 1e-13, 1 - 1e-13), np.array(effect)
    offset, mu = (np.log(mu) - np.log1p(-mu)).astype(np.float32), mu.astype(np.float32)
    step = max(1, REFINED // len(there))
    for top in range(0, len(out), step):
        rows = slice(top, top + step)
        g = dosage[rows][:, there] - (coefficients[rows] @ basis.T).astype(np.float32)
        for _ in range(2):
            p = 1 / (1 + np.exp(-np.clip(offset + g * out[rows, None].astype(np.float32), -30, 30)))
            lack = score[rows] - np.einsum("sn,sn->s", g, p - mu, dtype=float)
            change = lack / np.maximum(np.einsum("sn,sn->s", g * g, p * (1 - p), dtype=float), 1e-12)
            out[rows] += np.clip(change, -np.abs(out[rows]) / 2, np.abs(out[rows]) / 2)  # never across 0
    return out
