"""Lanczos steps, their quadratures and conjugate gradient, against exact algebra."""

import logging

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from kernel_cohort import random_kernel
from pseudocohort.weights import lanczos


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """On small systems threads only wait for each other."""
    with threadpool_limits(1):
        yield


def test_quadratures_equal_exact_quadratic_forms_and_log_determinants():
    rng = np.random.default_rng(7)
    k, basis = random_kernel(rng)
    k *= 1.5  # as among some of the people
    projector = lanczos.Projector(basis)
    start = projector(np.column_stack([rng.normal(size=(300, 2)), rng.choice([-1.0, 1.0], (300, 400))]))
    q = lanczos.lanczos(lambda v, columns: projector(k @ v), start, 40)
    h = np.array([0.0, 0.1, 0.5, 0.9])
    probes = lanczos.Quadrature(q.nodes[:, 2:], q.weights[:, 2:], q.squares[2:])
    estimates = lanczos.log_determinants(probes, 299, np.trace(k), h)
    assert estimates.shape == (400, 4)
    for j, share in enumerate(h):
        v = share * k + (1 - share) * np.eye(300)
        for c in (0, 1):
            exact = start[:, c] @ np.linalg.solve(v, start[:, c])
            near = q.squares[c] * (q.weights[:, c] / (share * q.nodes[:, c] + 1 - share)).sum()
            assert near == pytest.approx(exact, rel=1e-6)
        exact = np.linalg.slogdet(v)[1] - (np.log(1 - share) if share else 0)  # the intercept's direction
        error = estimates[:, j].std() / 20
        # four standard errors of 400 probes: false alarm 6e-5 each
        assert abs(estimates[:, j].mean() - exact) < 4 * error + 1e-9
        plain = (q.squares[2:] * (probes.weights * np.log(share * probes.nodes + 1 - share)).sum(axis=0)).std()
        assert estimates[:, j].std() < 0.7 * plain + 1e-9  # what the control variate is for


def test_lanczos_ends_where_the_space_is_complete():
    rng = np.random.default_rng(8)
    k = np.diag([0.5, 0.5, 2.0, 7.0])
    start = np.column_stack([rng.normal(size=4), [1.0, 1, 0, 0], np.zeros(4)])
    q = lanczos.lanczos(lambda v, columns: k @ v, start, 12)
    got = (q.squares * (q.weights / (q.nodes + 1)).sum(axis=0))[:2]
    np.testing.assert_allclose(got, np.diag(start.T @ np.linalg.solve(k + np.eye(4), start))[:2], rtol=1e-9)


def test_conjugate_gradient_says_when_it_stops_early(caplog):
    k, basis = random_kernel(np.random.default_rng(9))
    right = lanczos.Projector(basis)(np.random.default_rng(10).normal(size=(300, 2)))
    asked = []

    def multiply(v, columns):
        asked.append(len(columns))
        return k @ v

    x = lanczos.conjugate_gradient(multiply, right, np.array([10.0, 0.1]), 1e-8)
    for c, ratio in enumerate((10.0, 0.1)):
        np.testing.assert_allclose(x[:, c], np.linalg.solve(k + ratio * np.eye(300), right[:, c]), atol=1e-6)
    assert asked[0] == 2  # both,
    assert asked[-1] == 1  # and at the end only the harder one
    assert not caplog.records
    with caplog.at_level(logging.INFO, "pseudocohort"):
        lanczos.conjugate_gradient(multiply, right, np.array([10.0, 0.1]), 1e-8, iterations=12)
    assert "1 systems stop after 12 steps at a residual of" in caplog.text
