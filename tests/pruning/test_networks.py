"""Pruning at work: graphs of a classifier and of a reservoir, back into a reservoir, and spiking twins as a check."""

import networkx as nx
import numpy as np
import pytest
from brian2 import ms, mV, prefs
from numpy.testing import assert_allclose, assert_array_equal
from scipy import linalg

from hrsnn import Gamma, PoissonEncoder, Reservoir, STDPClassifier, pruning, topology
from hrsnn.inputs.codes import PopulationCode
from hrsnn.models import LIF, STDP, AdaptiveConductanceLIF, PowerLawSTDP
from hrsnn.pruning.graphs import edges_of

QUICK = {"n_iterations": 4, "n_steps": 20, "n_exponents": 10, "keep_synapses": 0.3, "keep_neurons": 0.5}
SERIES = np.sin(np.arange(40)[:, None] * np.array([0.3, 0.5]))


@pytest.fixture(autouse=True)
def numpy_target():
    previous, prefs.codegen.target = prefs.codegen.target, "numpy"
    yield
    prefs.codegen.target = previous


def reservoir(graph, step=5 * ms, **settings):
    return Reservoir(graph, code=PopulationCode(n_fields=6, step=step), backend="runtime", seed=3, **settings)


@pytest.fixture(scope="module")
def learnt():
    """A reservoir that has learnt by STDP; the law of tau_m draws a value for each neuron."""
    previous, prefs.codegen.target = prefs.codegen.target, "numpy"
    graph = topology.random(40, 0.25, seed=1)
    neuron = LIF(tau_m=Gamma(mean=20 * ms, shape=3, low=3 * ms), drive=1.5)
    made = reservoir(graph, neuron=neuron, synapse=STDP(A_plus=0.05, A_minus=0.05)).fit(SERIES)
    prefs.codegen.target = previous
    return made


@pytest.fixture(scope="module")
def classifier():
    previous, prefs.codegen.target = prefs.codegen.target, "numpy"
    made = STDPClassifier(
        n_neurons=6,
        neuron=AdaptiveConductanceLIF(theta_plus=0.2 * mV),
        synapse=PowerLawSTDP(eta=0.05, offset=0.1),
        encoder=PoissonEncoder(duration=50 * ms, rest=10 * ms),
        w_total=8.0,
        backend="runtime",
        batch_size=10,
        n_epochs=1,
        normalise="sum",
        thresholds="own",
        seed=1,
    )
    X = np.random.default_rng(0).integers(0, 256, (10, 25)).astype(np.uint8)
    made.fit(X, np.arange(10) % 2)
    prefs.codegen.target = previous
    return made


def brute_force_probabilities(graph, n_keep, delta=0.1):
    """Keep probability of each edge by dense linear algebra, from the equations alone (strength: weight)."""
    nodes = list(graph)
    W = nx.to_numpy_array(graph, nodelist=nodes).T  # [post, pre]
    load = np.abs(W).sum(axis=1)
    A = W - np.diag((1 + delta) * np.where(load > 0, load, np.median(load[load > 0])))
    C = linalg.solve_continuous_lyapunov(A, -np.eye(len(nodes)))
    variance = np.diag(C)
    score = np.abs(W) * (variance[:, None] + variance[None, :] - 2 * np.sign(W) * C)
    low, high = 0.0, 1e12 / score.max()
    for _ in range(300):
        rho = (low + high) / 2
        low, high = (rho, high) if np.minimum(1, rho * score).sum() < n_keep else (low, rho)
    probability = np.minimum(1, rho * score)
    return {(u, v): probability[nodes.index(v), nodes.index(u)] for u, v in graph.edges}


@pytest.mark.parametrize("kind", ["classifier", "reservoir"])
def test_synapses_of_learnt_networks_stay_by_their_noise_covariance(kind, classifier, learnt):
    graph = classifier.graph_ if kind == "classifier" else learnt.graph_
    expected = brute_force_probabilities(graph, 0.5 * graph.number_of_edges())
    pruned = pruning.lyapunov_noise(graph, 0.5, strength="weight", cap=1e9, seed=0)
    assert set(pruned) == set(graph)
    assert 0.35 < pruned.number_of_edges() / graph.number_of_edges() < 0.65
    for u, v, weight in pruned.edges(data="weight"):
        assert weight == pytest.approx(graph.edges[u, v]["weight"] / expected[u, v], rel=1e-4)  # of the covariance
    counts = dict.fromkeys(graph.edges, 0)
    n_draws = 200
    for seed in range(n_draws):
        for edge in pruning.lyapunov_noise(graph, 0.5, strength="weight", seed=seed).edges:
            counts[edge] += 1
    p = np.array([expected[edge] for edge in graph.edges])
    z = (np.array(list(counts.values())) - n_draws * p) / np.sqrt(n_draws * p * (1 - p) + 1e-9)
    assert np.abs(z[p < 1 - 1e-9]).max() < 5  # standard deviations of the binomial, some hundred edges
    assert all(counts[edge] == n_draws for edge, prob in expected.items() if prob > 1 - 1e-9)


def test_a_classifier_keeps_strong_inputs_and_all_parts(classifier):
    graph = classifier.graph_
    inputs = [v for v, layer in graph.nodes(data="layer") if layer == "input"]
    neurons = [v for v, layer in graph.nodes(data="layer") if layer == "exc"]
    pruner = pruning.LyapunovNoisePruning(inputs=inputs, readouts=neurons, tune_timescales=False, **QUICK)
    pruned = pruner.prune(graph)
    assert {layer for _, layer in pruned.nodes(data="layer")} == {"input", "exc"}
    assert set(pruned.edges) <= set(graph.edges)
    assert len(pruned) <= 16
    assert pruned.number_of_edges() <= 0.4 * graph.number_of_edges()
    alone = pruning.LyapunovNoisePruning(prune_neurons=False, add_edges=False, tune_timescales=False, strength="weight",
                                         **QUICK).prune(graph)  # fmt: skip
    kept = np.mean([graph.edges[edge]["weight"] for edge in alone.edges])
    assert kept > np.mean([w for *_, w in graph.edges(data="weight")])  # L_ij is the weight, so strong ones stay


def test_a_reservoirs_graph_tells_its_time_constants(learnt):
    graph = learnt.graph_
    drawn = learnt.liquid_.values["neurons.tau_m"][:40]
    assert np.ptp(drawn) > 0.01
    assert_array_equal([graph.nodes[v]["tau_m"] for v in learnt.graph], drawn)
    moved = [abs(w - learnt.graph.edges[u, v]["weight"]) for u, v, w in graph.edges(data="weight")]
    assert max(moved) > 0.1  # it has learnt
    assert all("tau_m" not in data for data in learnt.graph.nodes.values())  # the given one is not changed


def test_a_pruned_network_keeps_its_neurons_in_a_reservoir(learnt):
    graph = learnt.graph_
    pruner = pruning.LyapunovNoisePruning(tune_timescales=False, **QUICK)
    pruned = pruner.prune(graph)
    assert 0 < len(pruned) <= 20
    again = reservoir(pruned, neuron=learnt.neuron).fit(SERIES)
    own = dict(zip(learnt.graph, learnt.liquid_.values["neurons.tau_m"], strict=False))
    assert_array_equal(again.liquid_.values["neurons.tau_m"][:-1], [own[v] for v in pruned])
    edges = edges_of(pruned)[1]
    assert_allclose(again.weights_["excitation"], edges.weight[edges.weight > 0])
    assert_allclose(again.weights_["inhibition"], -edges.weight[edges.weight < 0])
    states = again.transform(SERIES)
    assert states.shape == (40, len(pruned))
    assert again.spike_counts_.sum() > 100


def test_time_constants_of_step_four_reach_the_reservoir_by_node(learnt):
    def search(objective, space, n_calls, seed):
        class Result:
            x = {kind: {"mean": 0.03, "shape": 9.0} for kind in space}  # noqa: RUF012
            fun = -np.inf

        return Result

    graph = learnt.graph_
    pruned = pruning.LyapunovNoisePruning(optimizer=search, seed=0, **QUICK).prune(graph)
    tuned = {v: pruned.nodes[v]["tau_m"] for v in pruned}
    assert all(tuned[v] != graph.nodes[v]["tau_m"] for v in pruned)
    again = reservoir(pruned, neuron=learnt.neuron).fit(SERIES)
    assert_array_equal(again.liquid_.values["neurons.tau_m"][:-1], list(tuned.values()))


def test_a_network_without_inhibition_left_still_learns():
    graph = topology.random(12, 0.3, inhibitory=0.0, seed=0)
    law = Gamma(mean=20 * ms, shape=3, low=2 * ms)
    made = reservoir(graph, neuron=LIF(drive=1.5), synapse=STDP(A_plus=0.05, tau_plus=law)).fit(SERIES)
    assert len(made.weights_["inhibition"]) == 0
    assert np.abs(made.weights_["excitation"] - [w for *_, w in graph.edges(data="weight")]).max() > 1e-3


class Twin:
    """A running spiking network as `pruning.twin_exponent` asks for it: potentials and currents are perturbed.

    The rest of the state (phases of the inputs, refractory periods) is that of the unperturbed run, so both
    trajectories have the same noise.
    """

    names = ("neurons.v", "neurons.i_e", "neurons.i_i")

    def __init__(self, made, X):
        self.liquid, self.rest, self.table = made.liquid_, [made.rest()], made.scaled(X)

    def __call__(self, vector, block):
        parts = dict(zip(self.names, np.split(vector, 3), strict=True))
        after = self.liquid.run(self.table[block : block + 1], self.rest[block] | parts).state
        self.rest[block + 1 :] = [after]
        return np.concatenate([after[name] for name in self.names])


@pytest.mark.parametrize("spiking", [False, True])
def test_twin_trajectories_of_a_spiking_network(spiking):
    """Silent neurons forget with their slowest time constant; resets make firing ones forget as fast as currents."""
    graph = topology.random(20, 0.2, w_scale=0.3, seed=0)
    for k, data in enumerate(graph.nodes.values()):
        data["tau_m"] = 0.08 if k == 0 else 0.01
    neuron = LIF(drive=3.0) if spiking else LIF(v_thresh=100.0)
    made = reservoir(graph, step=20 * ms, neuron=neuron).fit(SERIES)
    start = np.tile(np.random.default_rng(0).uniform(0, 0.5, 21), 3)
    exponent = pruning.twin_exponent(Twin(made, SERIES), start, 20 * ms, n_blocks=2, epsilon=1e-6, warm_up=4, seed=1)
    if spiking:
        assert made.transform(SERIES).shape == (40, 20)
        assert (made.spike_counts_[1:] > 20).all()
        assert exponent == pytest.approx(-1 / 0.006, rel=0.15)  # tau_i, the slower current
    else:
        assert exponent == pytest.approx(-1 / 0.08, rel=0.02)
