"""Graphs: connection probabilities, weights, types and degrees against their laws."""

import time

import networkx as nx
import numpy as np
import pytest
from brian2 import ms
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from hrsnn import topology

ALPHA = 1e-3  # level of the statistical tests


def arrays(graph):
    pre, post, weight = (np.array(column) for column in zip(*graph.edges(data="weight"), strict=True))
    inhibits = np.array([kind == "I" for _, kind in graph.nodes(data="type")])
    position = np.array([place for _, place in graph.nodes(data="position")], dtype=float)
    return pre, post, weight, inhibits, position


@pytest.mark.parametrize("preset", ["nalsm", "maass"])
def test_connections_follow_the_law_of_distance(preset):
    graph = topology.distance_dependent(720, preset=preset, seed=1)
    pre, post, _, inhibits, position = arrays(graph)
    connected = np.zeros((720, 720), dtype=bool)
    connected[pre, post] = True
    assert not connected.diagonal().any()
    distance = np.sqrt(((position[:, None] - position) ** 2).sum(axis=2))
    constants, tests = topology.PRESETS[preset], 0
    for kind in ("EE", "EI", "IE", "II"):
        group = (inhibits[:, None] == (kind[0] == "I")) & (inhibits == (kind[1] == "I")) & (distance > 0)
        for d in np.unique(distance[group & (distance < 4)])[:6]:
            members = group & (distance == d)
            p = constants[kind] * np.exp(-((d / constants["lambda"]) ** 2))
            result = stats.binomtest(int(connected[members].sum()), int(members.sum()), p)
            assert result.pvalue > ALPHA / 24, (kind, d)
            tests += 1
    assert tests == 24


def test_weights_are_gamma_with_the_mean_and_spread_of_w_scale():
    for w_scale in (0.5, 2.0):
        pre, post, weight, inhibits, _ = arrays(topology.distance_dependent(1000, w_scale=w_scale, cv=0.7, seed=0))
        assert_array_equal(weight < 0, inhibits[pre])
        assert inhibits.sum() == 200
        for kind, mean in topology.MEAN_WEIGHT.items():
            chosen = np.abs(weight[(inhibits[pre] == (kind[0] == "I")) & (inhibits[post] == (kind[1] == "I"))])
            assert len(chosen) > 100
            law = stats.gamma(1 / 0.49, scale=w_scale * mean * 0.49)
            assert stats.kstest(chosen, law.cdf).pvalue > ALPHA


def test_grid_is_the_published_box_and_holds_every_neuron_once():
    for n, box in [(1000, [10, 10, 10]), (2000, [20, 10, 10]), (5000, [25, 20, 10])]:
        assert list(topology._box(n, "nalsm")) == box
    _, _, _, _, position = arrays(topology.distance_dependent(101, seed=0))  # a prime: a cube with vacancies
    assert len(np.unique(position, axis=0)) == 101
    assert position.max() == 4


def test_lambda_controls_the_density():
    edges = [topology.distance_dependent(500, lambda_, seed=0).number_of_edges() for lambda_ in (1, 2, 4, 8)]
    assert edges == sorted(edges)
    assert edges[-1] > 20 * edges[0]


def test_random_graph_has_binomial_degrees():
    n, p = 600, 0.03
    pre, post, *_ = arrays(topology.random(n, p, seed=3))
    assert not (pre == post).any()
    assert len(np.unique(pre * n + post)) == len(pre)
    assert stats.binomtest(len(pre), n * (n - 1), p).pvalue > ALPHA
    for end in (pre, post):
        degrees = np.bincount(end, minlength=n)
        assert_allclose(degrees.var() / degrees.mean(), 1 - p, atol=0.25)  # 600 degrees: 6 % deviation
    assert topology.random(5, 1.0).number_of_edges() == 20
    assert topology.random(5, 0.0).number_of_edges() == 0


def test_small_world_is_a_ring_and_then_short():
    ring = topology.small_world(300, 8, rewire=0.0)
    assert all(min((v - u) % 300, (u - v) % 300) <= 4 for u, v in ring.edges)
    assert_array_equal([d for _, d in ring.in_degree], 8)
    rewired = topology.small_world(300, 8, rewire=0.2, seed=2)
    assert_array_equal([d for _, d in rewired.out_degree], 8)
    assert nx.number_of_selfloops(rewired) == 0
    far = sum(min((v - u) % 300, (u - v) % 300) > 4 for u, v in rewired.edges)
    assert stats.binomtest(far, 2400, 0.2 * 291 / 299).pvalue > ALPHA
    assert nx.average_shortest_path_length(rewired) < 0.4 * nx.average_shortest_path_length(ring)
    full = topology.small_world(9, 8, rewire=1.0)  # every pair is connected: nowhere else to go
    assert full.number_of_edges() == 72


def test_clusters_have_their_own_time_constants_and_few_connections_between():
    graph = topology.clustered(1200, (10, 20, 40, 80) * ms, lambda_=3, seed=0)
    pre, post, _, inhibits, _ = arrays(graph)
    cluster = np.array([c for _, c in graph.nodes(data="cluster")])
    tau = np.array([t for _, t in graph.nodes(data="tau_m")])
    for k, mean in enumerate([0.01, 0.02, 0.04, 0.08]):
        for kind, factor in ((False, 1), (True, 0.5)):
            drawn = tau[(cluster == k) & (inhibits == kind)]
            law = stats.gamma(3, scale=mean * factor / 3)
            n_clipped = int((drawn == 0.002).sum())
            assert stats.binomtest(n_clipped, len(drawn), law.cdf(0.002)).pvalue > ALPHA
            assert stats.ttest_1samp(drawn, law.mean()).pvalue > ALPHA
    crossing = cluster[pre] != cluster[post]
    assert not inhibits[pre[crossing]].any()
    within = (~crossing).sum() / (4 * 300 * 299)
    assert stats.binomtest(int(crossing.sum()), 960 * 900, 0.1 * within).pvalue > ALPHA


def test_inputs_reach_their_share_of_both_types():
    graph = topology.distance_dependent(500, seed=0)
    i, j, w = topology.project_inputs(graph, 60, weight=0.4, fraction=0.3, probability=0.5, seed=1)
    inhibits = arrays(graph)[3]
    reached = np.unique(j)
    assert [inhibits[reached].sum(), (~inhibits[reached]).sum()] == [30, 120]
    assert stats.binomtest(len(i), 60 * 150, 0.5).pvalue > ALPHA
    assert stats.kstest(w, stats.gamma(1 / 0.49, scale=0.4 * 0.49).cdf).pvalue > ALPHA


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: topology.distance_dependent(60, seed=seed),
        lambda seed: topology.random(60, 0.1, seed=seed),
        lambda seed: topology.small_world(60, 4, seed=seed),
        lambda seed: topology.clustered(60, seed=seed),
    ],
)
def test_seed_decides_the_graph(make):
    a, b, c = make(1), make(1), make(2)
    assert nx.utils.graphs_equal(a, b)
    assert set(a.edges) != set(c.edges)


def test_five_thousand_neurons_take_seconds():
    start = time.process_time()
    graph = topology.distance_dependent(5000, lambda_=6.0, seed=0)
    assert time.process_time() - start < 15  # some 5 s on a free core
    assert 0.01 < graph.number_of_edges() / (5000 * 4999) < 0.05


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: topology.distance_dependent(1), "n must be an integer of at least 2, got 1"),
        (lambda: topology.distance_dependent(10, preset="x"), "preset must be one of nalsm, maass"),
        (lambda: topology.distance_dependent(10, lambda_=0), "lambda_ must be positive"),
        (lambda: topology.distance_dependent(10, w_scale=np.nan), "w_scale must be positive"),
        (lambda: topology.distance_dependent(10, grid=(2, 2, 2)), "8 places, too few for 10"),
        (lambda: topology.distance_dependent(10, grid=(2, 2)), "grid must be three integers"),
        (lambda: topology.random(10, 1.2), r"density must be in \[0, 1\], got 1.2"),
        (lambda: topology.small_world(10, 3), "n_neighbours must be even"),
        (lambda: topology.small_world(10, 4, rewire=-1), "rewire must be in"),
        (lambda: topology.clustered(40, (0, 20) * ms), "tau_m must be positive times"),
        (lambda: topology.project_inputs(topology.random(5, 0.5), 0), "n_inputs must be an integer"),
        (lambda: topology.project_inputs(topology.random(5, 0.5), 2, cv=0), "cv must be positive"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_balanced_networks_have_equal_in_degrees_and_weights_that_balance():
    graph = topology.balanced(300, 40, strength=0.3, seed=1)
    assert set(dict(graph.in_degree()).values()) == {40}
    assert not any(u == v for u, v in graph.edges)
    inhibits = {node for node, kind in graph.nodes(data="type") if kind == "I"}
    assert len(inhibits) == 60
    weights = {True: [], False: []}
    for u, _, w in graph.edges(data="weight"):
        assert (w < 0) == (u in inhibits)
        weights[u in inhibits].append(w)
    mean = 0.3 / np.sqrt(40)
    assert_allclose(np.mean(weights[False]), mean, rtol=4 * 0.7 / np.sqrt(len(weights[False])))
    assert_allclose(np.mean(weights[True]), -4 * mean, rtol=4 * 0.7 / np.sqrt(len(weights[True])))
    with pytest.raises(ValueError, match="n_synapses must be an integer of at least 1 and below n = 20, got 20"):
        topology.balanced(20, 20)
