"""Lyapunov exponents against theory: Lorenz, determinants, eigenvalues, twin trajectories."""

import networkx as nx
import numpy as np
import pytest
from numpy.testing import assert_allclose

from hrsnn.pruning import lyapunov_spectrum, node_exponents, qr_spectrum, twin_exponent
from hrsnn.pruning.lyapunov import rate_spectrum
from hrsnn.pruning.rates import RateNetwork


def test_lorenz_exponents():
    """Known values (0.906, 0, -14.57); their sum is the divergence -(10 + 1 + 8/3) exactly."""
    dt = 0.01

    def flow(m):  # the state in column 0, tangent vectors beside it
        x, y, z = m[:, 0]
        jacobian = np.array([[-10, 10, 0], [28 - z, -1, -x], [y, x, -8 / 3]])
        out = jacobian @ m
        out[:, 0] = 10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z
        return out

    def rk4(m):
        k1 = flow(m)
        k2 = flow(m + dt / 2 * k1)
        k3 = flow(m + dt / 2 * k2)
        return m + dt / 6 * (k1 + 2 * k2 + 2 * k3 + flow(m + dt * k3))

    state = np.array([1.0, 2.0, 20.0])

    def propagate(vectors):
        nonlocal state
        m = rk4(np.column_stack([state, vectors]))
        state = m[:, 0]
        return m[:, 1:]

    exponents, _ = qr_spectrum(propagate, np.eye(3), n_steps=30_000, dt=dt, warm_up=2000)
    assert_allclose(exponents.sum(), -(10 + 1 + 8 / 3), rtol=1e-4)  # error of RK4 at this step
    assert_allclose(exponents, [0.906, 0, -14.57], atol=0.03)  # spread over 300 time units


def test_sum_is_the_mean_log_determinant(make_network):
    network = RateNetwork.from_graph(make_network(n=30), noise=0.2)
    n, logs = 30, []
    rates, rng = np.full(n, 15.0), np.random.default_rng(1)

    def propagate(vectors):
        nonlocal rates
        rates, slope = network.step(rates, rng)
        logs.append(np.linalg.slogdet(network.tangent(slope, np.eye(n)))[1])
        return network.tangent(slope, vectors)

    exponents, _ = qr_spectrum(propagate, np.eye(n), 300, network.dt)
    assert np.std(logs) > 0
    assert_allclose(exponents.sum(), np.mean(logs) / network.dt, rtol=1e-10)


def test_participation_is_doubly_stochastic_and_keeps_the_sum(network):
    spectrum = lyapunov_spectrum(network, n_steps=300, seed=0)
    assert len(spectrum.exponents) == 60
    assert_allclose(spectrum.participation.sum(axis=0), 1, rtol=1e-12)
    assert_allclose(spectrum.participation.sum(axis=1), 1, rtol=1e-12)
    values = node_exponents(spectrum)
    assert_allclose(values.sum(), spectrum.exponents.sum(), rtol=1e-12)
    assert spectrum.exponents.min() <= values.min() <= values.max() <= spectrum.exponents.max()


def test_node_exponents_track_the_leak(network):
    leak = -1 / RateNetwork.from_graph(network).tau_m
    values = node_exponents(lyapunov_spectrum(network, n_steps=500, seed=0))
    assert np.corrcoef(values, leak)[0, 1] > 0.8


def test_uncoupled_neurons_have_the_exponents_of_their_leaks():
    graph = nx.DiGraph()
    tau = [0.005, 0.01, 0.02, 0.04, 0.08]
    for i, value in enumerate(tau):
        graph.add_node(i, tau_m=value)
    graph.add_edge(0, 1, weight=0.0)
    spectrum = lyapunov_spectrum(graph, n_steps=500, warm_up=5000, seed=0)
    assert_allclose(spectrum.exponents, -1 / np.array(tau[::-1]), rtol=1e-9)
    assert_allclose(node_exponents(spectrum), -1 / np.array(tau), rtol=1e-6)  # directions align exponentially


def fixed_point_eigenvalues(rates):
    _, slope = rates.step(np.full(60, rates.rate))
    eigenvalues = np.linalg.eigvals(rates.tangent(slope, np.eye(60)))
    return np.sort(np.log(np.abs(eigenvalues)))[::-1] / rates.dt


def test_without_noise_exponents_are_log_eigenvalues(network):
    rates = RateNetwork.from_graph(network, noise=0.0)
    expected = fixed_point_eigenvalues(rates)
    found = np.sort(rate_spectrum(rates, n_steps=6000, warm_up=4000, seed=0).exponents)[::-1]
    assert_allclose(found[0], expected[0], rtol=1e-5)  # a simple real eigenvalue, well apart
    assert_allclose(found[:10], expected[:10], rtol=0.03)  # complex pairs turn, and converge as 1 / T
    assert_allclose(found.sum(), expected.sum(), rtol=1e-10)


def test_leading_part_agrees_with_the_full_spectrum(network):
    rates = RateNetwork.from_graph(network)
    full = rate_spectrum(rates, None, n_steps=2000, seed=0)
    part = rate_spectrum(rates, 10, n_steps=2000, seed=0)
    assert_allclose(part.exponents[:6], full.exponents[:6], atol=2.5)  # 1/s, of a spectrum that reaches -300/s
    filled = node_exponents(part, rates.tau_m)
    assert_allclose(filled, part.participation @ part.exponents - (1 - part.participation.sum(1)) / rates.tau_m)
    assert np.corrcoef(filled, node_exponents(full))[0, 1] > 0.9
    with pytest.raises(ValueError, match=r"holds 10 of 60 exponents\. Pass tau_m"):
        node_exponents(part)


@pytest.mark.parametrize("factor", [0.9, 1.5])
def test_twins_agree_with_the_qr_method_and_theory(network, factor):
    """At the fixed point of a weak, stable network and of a strong one, where it is unstable."""
    rates = RateNetwork.from_graph(network, noise=0.0)
    rates = RateNetwork.from_graph(network, noise=0.0, gain=factor * rates.gain)
    block_steps = 10

    def advance(state, block):
        for _ in range(block_steps):
            state, _ = rates.step(state)
        return state

    start = np.full(60, rates.rate)
    twin = twin_exponent(advance, start, block_steps * rates.dt, n_blocks=30, epsilon=1e-4, warm_up=30, seed=1)
    leading = rate_spectrum(rates, 3, n_steps=300, warm_up=1500, seed=2).exponents[0]
    expected = fixed_point_eigenvalues(rates)[0]
    assert np.sign(expected) == np.sign(factor - 1)
    assert_allclose(leading, expected, rtol=0.02)
    assert_allclose(twin, expected, rtol=0.02)


def test_twins_agree_with_the_qr_method_under_noise(network):
    rates = RateNetwork.from_graph(network, noise=0.1)

    def advance(state, block):
        rng = np.random.default_rng([7, block])
        for _ in range(20):
            state, _ = rates.step(state, rng)
        return state

    twin = twin_exponent(advance, np.full(60, 15.0), 20 * rates.dt, n_blocks=200, warm_up=30, seed=1)
    leading = rate_spectrum(rates, 3, n_steps=4000, warm_up=600, seed=2).exponents[0]
    assert_allclose(twin, leading, atol=2)  # 1/s, 4 s of different noise near the critical point


def test_twin_of_a_known_map():
    assert twin_exponent(lambda x, block: 0.5 * x, np.ones(3), 0.1, n_blocks=4) == pytest.approx(np.log(0.5) / 0.1)
    assert twin_exponent(lambda x, block: 0 * x, np.ones(3), 0.1, n_blocks=4) == -np.inf
    with pytest.raises(ValueError, match="state is not finite after block 0"):
        twin_exponent(lambda x, block: np.full(3, np.inf), np.ones(3), 0.1, n_blocks=4)
    with pytest.raises(ValueError, match="n_blocks must be at least 1"):
        twin_exponent(lambda x, block: x, np.ones(3), 0.1, n_blocks=0)


def test_same_seed_same_spectrum(network):
    a, b = (lyapunov_spectrum(network, n_steps=50, seed=4) for _ in range(2))
    assert np.array_equal(a.exponents, b.exponents)
    assert not np.array_equal(a.exponents, lyapunov_spectrum(network, n_steps=50, seed=5).exponents)


def test_bad_arguments(network):
    with pytest.raises(ValueError, match="n_exponents must be at least 1"):
        lyapunov_spectrum(network, n_exponents=0)
    with pytest.raises(ValueError, match="n_steps must be at least n_orth"):
        lyapunov_spectrum(network, n_steps=3)
    with pytest.raises(ValueError, match="tangent vectors overflow"):
        qr_spectrum(lambda q: np.full((2, 2), np.inf), np.eye(2), 10, 0.001)
