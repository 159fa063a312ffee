"""The rate reduction of a LIF network."""

import networkx as nx
import numpy as np
import pytest
from brian2 import ms
from numpy.testing import assert_allclose
from scipy import sparse

from hrsnn.pruning.rates import RateNetwork, spectral_radius

TAU = np.array([0.002, 0.01, 0.02, 0.1])


@pytest.fixture
def free():
    return RateNetwork(sparse.csr_array((4, 4)), TAU, np.full(4, 0.003))


def test_gain_curve_is_that_of_lif_at_strong_drive(free):
    current = np.full(4, 3.0)  # 20 softplus widths above threshold
    exact = 1 / (0.003 + TAU * np.log(current / (current - 1)))
    assert_allclose(free.rate_of(current)[0], exact, rtol=1e-8)


@pytest.mark.parametrize("current", [-8.0, -2.0, 0.7, 1.0, 1.4, 3.0])
def test_slope_is_the_derivative(free, current):
    h = 1e-5
    rate, slope = free.rate_of(np.full(4, current))
    difference = (free.rate_of(np.full(4, current + h))[0] - free.rate_of(np.full(4, current - h))[0]) / (2 * h)
    assert_allclose(slope, difference, rtol=1e-5, atol=1e-9)
    assert np.all(rate > 0)


def test_far_below_threshold_is_silent_and_finite(free):
    rate, slope = free.rate_of(np.full(4, -1e6))
    assert np.all(np.isfinite(slope))
    assert np.all(rate < 1)


def test_inverse_rate(free):
    for rate in (2.0, 15.0, 200.0):
        assert_allclose(free.rate_of(free.inverse_rate(rate))[0], rate, rtol=1e-9)


def test_the_operating_point_is_a_fixed_point_and_stable(network):
    rates = RateNetwork.from_graph(network, rate=12.0)
    assert_allclose(rates.step(np.full(60, 12.0))[0], 12.0, rtol=1e-10)
    state = np.full(60, 12.0) * np.random.default_rng(0).uniform(0.9, 1.1, 60)
    for _ in range(3000):
        state, _ = rates.step(state)
    assert_allclose(state, 12.0, rtol=1e-4)


def test_gain_sets_the_spectral_radius(network):
    rates = RateNetwork.from_graph(network)
    slope = rates.rate_of(rates.inverse_rate(15.0))[1]
    coupling = np.diag(slope) @ rates.coupling.toarray()
    assert_allclose(np.abs(np.linalg.eigvals(coupling)).max(), 0.9, rtol=1e-9)
    assert RateNetwork.from_graph(nx.DiGraph([(0, 1, {"weight": 1.0})])).gain == 1.0  # no cycle


def test_step_follows_the_differential_equation(network):
    """Euler's method with a 100 times finer step, over 5 ms from a start away from the fixed point."""
    rates = RateNetwork.from_graph(network, dt=0.02 * ms)
    state = start = np.random.default_rng(1).uniform(5, 30, 60)
    for _ in range(250):
        state, _ = rates.step(state)
    fine, h = start.copy(), 0.000002
    for _ in range(2500):
        fine = fine + h / rates.tau_m * (rates.rate_of(rates.coupling @ fine + rates.bias)[0] - fine)
    assert np.abs(state - start).max() > 1
    assert_allclose(state, fine, rtol=2e-3)  # first order in the step of 0.02 ms


def test_tangent_is_the_derivative_of_the_step(network):
    rates = RateNetwork.from_graph(network)
    start, direction = np.full(60, 14.0), np.random.default_rng(2).standard_normal((60, 1))
    h = 1e-5
    _, slope = rates.step(start)
    forward, backward = (rates.step(start + s * h * direction[:, 0])[0] for s in (1, -1))
    assert_allclose(rates.tangent(slope, direction)[:, 0], (forward - backward) / (2 * h), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("n", [40, 150])
def test_spectral_radius(n):
    matrix = make_matrix(n)
    assert_allclose(spectral_radius(sparse.csr_array(matrix)), np.abs(np.linalg.eigvals(matrix)).max(), rtol=1e-8)
    assert spectral_radius(sparse.csr_array(np.triu(matrix, 1))) == 0
    assert spectral_radius(sparse.csr_array((n, n))) == 0


def make_matrix(n):
    return np.random.default_rng(n).standard_normal((n, n))


def test_bad_arguments(network):
    with pytest.raises(ValueError, match=r"rate must be in \(0, 333\.3\) Hz \(1 / t_ref\), got 400"):
        RateNetwork.from_graph(network, rate=400)
    with pytest.raises(ValueError, match=r"dt must be positive, got 0\.0 s"):
        RateNetwork.from_graph(network, dt=0 * ms)


def test_times_may_carry_units(make_network):
    graph = make_network(n=10, density=0.5)
    a = RateNetwork.from_graph(graph, tau_syn=4 * ms, dt=0.5 * ms, t_ref=2 * ms)
    b = RateNetwork.from_graph(graph, tau_syn=0.004, dt=0.0005, t_ref=0.002)
    assert_allclose(a.bias, b.bias, rtol=1e-12)
    assert a.dt == b.dt
