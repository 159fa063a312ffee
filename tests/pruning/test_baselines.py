"""Activity pruning and the controls of equal size."""

import networkx as nx
import numpy as np
import pytest
from scipy import stats

from hrsnn.pruning import activity_pruning, prune_inactive, prune_uniform, prune_weakest, random_graph
from hrsnn.pruning.graphs import edges_of


def test_least_active_neurons_go(network):
    activity = {v: (37 * v) % 61 for v in network}
    pruned = prune_inactive(network, activity, 15)
    best = set(sorted(activity, key=activity.get)[-15:])
    assert set(pruned) <= best
    assert best - set(pruned) == {v for v in best if not set(network.to_undirected()[v]) & best}
    assert set(pruned.edges) == set(network.subgraph(pruned).edges)
    worst = min(activity, key=activity.get)
    assert worst in prune_inactive(network, activity, 15, readouts=[worst])


def test_isolated_neurons_stay_if_asked(network):
    activity = {v: (37 * v) % 61 for v in network}
    best = sorted(activity, key=activity.get)[-8:]
    pruned = prune_inactive(network, activity, 8, isolated=True)
    assert set(pruned) == set(best)
    assert set(pruned.edges) == set(network.subgraph(best).edges)
    assert nx.number_of_isolates(pruned) > 0
    graphs = list(activity_pruning(network, lambda g: (g, activity), 0.1, 3, isolated=True))
    assert [len(g) for g in graphs] == [28, 13, 6]


def test_activity_pruning_trains_before_each_cut(network):
    seen = []

    def train(graph):
        trained = graph.copy()
        for u, v in trained.edges:
            trained.edges[u, v]["weight"] *= 2
        seen.append(graph.number_of_nodes())
        return trained, {v: v for v in graph}

    graphs = list(activity_pruning(network, train, keep_neurons=0.25, n_iterations=4, inputs=[0]))
    assert seen[0] == 60
    assert seen[1:] == [g.number_of_nodes() for g in graphs[:-1]]
    assert [g.number_of_nodes() for g in graphs] == [42, 30, 21, 15]
    assert all(0 in g for g in graphs)  # the only input, though the least active
    assert set(graphs[-1]) - {0} <= set(range(45, 60))
    u, v = next(iter(graphs[-1].edges))
    assert graphs[-1].edges[u, v]["weight"] == 16 * network.edges[u, v]["weight"]


def test_random_graph_has_the_size_and_neurons_asked_for(network):
    graph = random_graph(network, 25, 80, seed=0)
    assert (graph.number_of_nodes(), graph.number_of_edges()) == (25, 80)
    assert nx.number_of_selfloops(graph) == 0
    assert all(graph.nodes[v] == network.nodes[v] for v in graph)
    inhibitory = dict(zip(network, edges_of(network)[1].inhibitory().tolist(), strict=True))
    assert all((w < 0) == inhibitory[u] for u, _, w in graph.edges(data="weight"))
    weights = {w for *_, w in network.edges(data="weight")}
    assert all(w in weights for *_, w in graph.edges(data="weight"))
    assert random_graph(network, 5, 20, seed=0).number_of_edges() == 20  # complete
    assert random_graph(network, 1, 0, seed=0).number_of_edges() == 0


def test_random_graph_takes_the_weights_of_another(network):
    light = network.copy()
    for u, v in light.edges:
        light.edges[u, v]["weight"] *= 0.001
    largest = max(abs(w) for *_, w in light.edges(data="weight"))
    graph = random_graph(network, 30, 100, weights_of=light, seed=0)
    assert max(abs(w) for *_, w in graph.edges(data="weight")) <= largest


def test_random_edges_are_uniform(make_network):
    graph = make_network(n=6, density=0.9)
    n_draws = 1500
    counts = dict.fromkeys(((u, v) for u in graph for v in graph if u != v), 0)
    for seed in range(n_draws):
        for e in random_graph(graph, 6, 10, seed=seed).edges:
            counts[e] += 1
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3
    assert sum(counts.values()) == 10 * n_draws


def test_weakest_edges_go(network):
    pruned = prune_weakest(network, 100)
    magnitudes = sorted(abs(w) for *_, w in network.edges(data="weight"))
    assert sorted(abs(w) for *_, w in pruned.edges(data="weight")) == magnitudes[-100:]
    assert set(pruned) == set(network)
    assert prune_weakest(network, 10**6).number_of_edges() == len(magnitudes)


def test_uniform_thinning(network):
    m = network.number_of_edges()
    pruned = prune_uniform(network, m // 4, seed=0)
    assert abs(pruned.number_of_edges() - m // 4) < 5 * np.sqrt(m * 0.25 * 0.75)
    p = (m // 4) / m
    for u, v, w in pruned.edges(data="weight"):
        assert w == pytest.approx(network.edges[u, v]["weight"] / p)
    plain = prune_uniform(network, m // 4, rescale=False, seed=0)
    assert all(plain.edges[e]["weight"] == network.edges[e]["weight"] for e in plain.edges)


def test_errors(network):
    activity = dict.fromkeys(network, 1.0)
    del activity[3]
    with pytest.raises(ValueError, match=r"activity of node 3 is None\. Give each node a finite spike count"):
        prune_inactive(network, activity, 5)
    with pytest.raises(ValueError, match=r"keep_neurons must be in \(0, 1\], got 0"):
        next(activity_pruning(network, lambda g: (g, activity), keep_neurons=0))
    with pytest.raises(ValueError, match="n_iterations must be at least 1"):
        next(activity_pruning(network, lambda g: (g, activity), n_iterations=0))
    with pytest.raises(ValueError, match=r"n_nodes must be in \[1, 60\]"):
        random_graph(network, 61, 5)
    with pytest.raises(ValueError, match=r"n_edges must be in \[0, 90\] for 10 nodes, got 91"):
        random_graph(network, 10, 91)
    for prune in (prune_weakest, prune_uniform):
        with pytest.raises(ValueError, match="n_edges must be at least 1, got 0"):
            prune(network, 0)
