"""Layers of graphs, and forecasts of networks trained by gradients."""

import jax
import networkx as nx
import numpy as np
import pytest
from brian2 import ms, prefs

from hrsnn import topology
from hrsnn.gradient import Layer, SpikingForecaster, SpikingNetwork
from hrsnn.gradient.brian2_network import Simulation


@pytest.fixture(scope="module")
def graph():
    made = topology.distance_dependent(30, seed=1)
    rng = np.random.default_rng(0)
    nx.set_node_attributes(made, {node: rng.uniform(5e-3, 40e-3) for node in made}, "tau_m")
    return made


@pytest.fixture(scope="module")
def wave():
    t = np.arange(500)
    return np.stack([np.sin(t / 6), np.cos(t / 6)], axis=1)


def test_a_graph_gives_synapses_signs_and_time_constants(graph):
    layer = Layer.of_graph(graph, train="tau_m")
    network = SpikingNetwork([layer], 2)
    weights = network.weights()
    synapses = np.asarray(network.synapses(weights)[0]["recurrent"])
    nodes = list(graph)
    pairs = {(nodes[i], nodes[j]) for i, j in zip(*np.nonzero(synapses), strict=True)}
    assert pairs == set(graph.edges)
    for u, v, weight in graph.edges(data="weight"):
        found = synapses[nodes.index(u), nodes.index(v)]
        assert np.sign(found) == (-1 if graph.nodes[u]["type"] == "I" else 1)
        assert abs(found) == pytest.approx(abs(weight) * np.abs(synapses).max() / max(
            abs(w) for *_, w in graph.edges(data="weight")), rel=1e-5)  # fmt: skip
    expected = [graph.nodes[node]["tau_m"] for node in nodes]
    np.testing.assert_allclose(network.parameters(weights)[0]["tau_m"], expected, rtol=1e-4)


def test_only_the_synapses_of_the_graph_are_trained_and_brian2_runs_them(graph, wave):
    forecaster = SpikingForecaster([Layer.of_graph(graph, train="tau_m")], window=60, n_epochs=2).fit(wave)
    with pytest.raises(ValueError, match="X has 1 features, but SpikingForecaster is expecting 2 features"):
        forecaster.predict(wave[:40, :1])
    layers = forecaster.weights_["layers"]
    synapses = np.asarray(forecaster.network_.synapses(layers)[0]["recurrent"])
    assert np.count_nonzero(synapses) == graph.number_of_edges()
    X = ((wave[:40] - forecaster.mean_) / forecaster.spread_)[None]
    before, prefs.codegen.target = prefs.codegen.target, "numpy"
    try:
        found = Simulation(forecaster.network_, layers, "runtime").run(np.float32(X))[0]
    finally:
        prefs.codegen.target = before
    with jax.enable_x64(True):
        double = jax.tree.map(lambda value: np.asarray(value, np.float64), layers)
        expected = np.asarray(forecaster.network_.run(double, np.float64(np.float32(X)), True).spikes[0]) > 0
    assert expected.sum() > 30
    assert np.array_equal(found, np.swapaxes(expected, 0, 1))
    degrees = dict(graph.out_degree())
    counts = forecaster._counts((wave - forecaster.mean_)[None] / forecaster.spread_)
    assert forecaster.sops_ == pytest.approx(sum(c * degrees[node] for c, node in zip(counts, graph, strict=True)))


def test_a_wave_is_forecast(wave):
    forecaster = SpikingForecaster([Layer(80, recurrent=True)], window=60, n_epochs=60, seed=1).fit(wave[:400])
    ahead = forecaster.predict(wave[:400])
    error = np.abs(ahead[50:-1] - wave[51:400]).mean()
    assert error < 0.3 * np.abs(np.diff(wave, axis=0)).mean()  # persistence is 1
    future = forecaster.forecast(20, wave[350:400])
    assert future.shape == (20, 2)
    several = forecaster.forecast(20, np.stack([wave[350:400], wave[300:350]]))
    np.testing.assert_allclose(several[0], future, atol=1e-5)
    np.testing.assert_allclose(future[0], ahead[-1], atol=0.02)  # warmed up for 50 of 400 steps
    assert np.sqrt(np.mean((future - wave[400:420]) ** 2)) < 0.5


def test_a_layer_without_recurrence_has_no_synaptic_operations(wave):
    forecaster = SpikingForecaster([10], window=60, n_epochs=1).fit(wave)
    assert forecaster.sops_ == 0
    assert forecaster.forecast(3, wave[:30]).shape == (3, 2)


@pytest.mark.parametrize(
    ("settings", "X", "said"),
    [
        (dict(window=20, washout=20), np.ones((50, 2)), "window must be an integer of at least 21"),
        (dict(window=60), np.ones((60, 2)), "60 steps; a window of 60"),
        ({}, np.full((200, 2), np.nan), "finite numbers"),
    ],
)
def test_series_and_windows_that_do_not_fit_are_refused(settings, X, said):
    with pytest.raises(ValueError, match=said):
        SpikingForecaster([5], **settings).fit(X)


def test_graphs_that_are_no_networks_are_refused():
    with pytest.raises(ValueError, match="2 nodes and 0 edges"):
        Layer(2, recurrent=nx.empty_graph(2, nx.DiGraph))
    with pytest.raises(ValueError, match="finite weight"):
        Layer(2, recurrent=nx.DiGraph([(0, 1)]), delay=1 * ms)
