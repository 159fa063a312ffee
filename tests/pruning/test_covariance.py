"""The Lyapunov equation against closed forms, LAPACK and sampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import linalg, sparse

from hrsnn.pruning.covariance import N_DENSE, covariance, sampled_covariance


def dominant(n, density, signs, seed, delta=0.1):
    rng = np.random.default_rng(seed)
    coupling = rng.gamma(2, 1, (n, n)) * rng.choice(signs, (n, n)) * (rng.random((n, n)) < density)
    np.fill_diagonal(coupling, 0)
    load = np.abs(coupling).sum(axis=1)
    return coupling - np.diag((1 + delta) * np.where(load > 0, load, 1.0))


def test_symmetric_network():
    a = dominant(30, 0.3, [1, -1], 0)
    a = (a + a.T) / 2
    assert_allclose(covariance(a), -np.linalg.inv(a) / 2, rtol=1e-9, atol=1e-12)


def test_normal_network():
    antisymmetric = np.array([[0.0, 2, -1], [-2, 0, 3], [1, -3, 0]])
    a = antisymmetric - 0.7 * np.eye(3)
    assert_allclose(covariance(a, sigma=2.0), -4 * np.linalg.inv(a + a.T), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("signs", [[1], [-1], [1, 1, 1, 1, -1]], ids=["excitatory", "inhibitory", "mixed"])
@pytest.mark.parametrize("density", [0.02, 0.7])
def test_iteration_agrees_with_lapack(signs, density):
    a = dominant(N_DENSE + 50, density, signs, 1)
    expected = linalg.solve_continuous_lyapunov(a, -np.eye(len(a)))
    found = covariance(sparse.csr_array(a))
    assert np.abs(found - expected).max() <= 1e-7 * expected.max()  # the promise of rtol
    assert np.array_equal(found, found.T)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 12), st.integers(0, 10_000), st.floats(0.1, 3))
def test_residual_vanishes_and_covariance_is_positive(n, seed, sigma):
    a = dominant(n, 0.5, [1, -1], seed)
    c = covariance(a, sigma)
    scale = np.abs(a).max() * c.max()
    assert_allclose(a @ c + c @ a.T, -(sigma**2) * np.eye(n), atol=1e-10 * (scale + sigma**2))
    assert np.linalg.eigvalsh(c).min() > 0


def test_scaling_the_noise_scales_the_covariance():
    a = dominant(N_DENSE + 5, 0.05, [1, -1], 2)
    assert_allclose(covariance(a, sigma=3.0), 9 * covariance(a), rtol=1e-6, atol=1e-9)


def test_stable_but_not_dominant_goes_to_lapack():
    n = N_DENSE + 20
    a = sparse.csr_array(-np.eye(n) + np.diag(np.ones(n - 1), 1))  # load equals leak
    c = covariance(a)
    assert np.linalg.norm(a @ c + c @ a.T + np.eye(n)) <= 1e-8 * np.linalg.norm(c)


def test_sampling_agrees():
    a = np.array([[-2.0, 1.0, 0.0], [0.0, -1.5, -1.0], [0.5, 0.5, -2.0]])
    sampled = sampled_covariance(a, np.random.default_rng(0), n_steps=200_000)
    assert_allclose(sampled, covariance(a), atol=0.03)  # 1000 time units, some hundred independent samples


def test_errors():
    with pytest.raises(ValueError, match=r"not stable \(largest eigenvalue 0\.07\)\. Lower the gain"):
        covariance(np.diag([-1.0, 0.07]))
    with pytest.raises(ValueError, match="not stable"):
        covariance(np.array([[-1.0, 1.0], [1.0, -1.0]]))  # marginal: delta = 0 in an excitatory network
    chain = -0.1 * np.eye(220) + np.diag(np.ones(219), 1)  # stable, but the covariance reaches 10^400
    with pytest.raises(ValueError, match="too large for floating point"):
        covariance(chain)
    with pytest.raises(ValueError, match=r"square matrix, got shape \(2, 3\)"):
        covariance(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="NaN or infinite values"):
        covariance(np.array([[-1.0, np.nan], [0, -1]]))
    with pytest.raises(ValueError, match="The trajectory diverges"):
        sampled_covariance(np.diag([-1.0, 50.0]), np.random.default_rng(0))
