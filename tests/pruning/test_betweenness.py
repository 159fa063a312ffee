"""Betweenness and node pruning."""

import sys
from itertools import permutations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrsnn.pruning import betweenness, prune_nodes
from hrsnn.pruning.betweenness import select_nodes
from hrsnn.pruning.graphs import edges_of

MODULE = sys.modules[betweenness.__module__]  # the package exports the function of the same name


def weighted(graph):
    nx.set_edge_attributes(graph, 1.0, "weight")
    return graph


def brute_force(graph):
    counts = dict.fromkeys(graph, 0.0)
    for s, t in permutations(graph, 2):
        if nx.has_path(graph, s, t):
            paths = list(nx.all_shortest_paths(graph, s, t))
            for path in paths:
                for v in path[1:-1]:
                    counts[v] += 1 / len(paths)
    return counts


@pytest.mark.parametrize("library", ["networkx", "networkit"])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_betweenness_against_all_shortest_paths(library, seed):
    if library == "networkit":
        pytest.importorskip("networkit")
    graph = weighted(nx.gnp_random_graph(12, 0.2, seed=seed, directed=True))
    if graph.number_of_edges() == 0:
        return
    graph.add_edge(0, 0, weight=1.0)  # a self-loop is on no shortest path
    assert betweenness(graph, library=library) == pytest.approx(brute_force(graph))


def test_middle_of_a_path():
    graph = weighted(nx.path_graph(5, create_using=nx.DiGraph))
    assert betweenness(graph) == {0: 0, 1: 3, 2: 4, 3: 3, 4: 0}


@pytest.mark.parametrize("library", ["networkx", "networkit"])
def test_sampled_betweenness_is_close_and_repeats(library):
    if library == "networkit":
        pytest.importorskip("networkit")
    graph = weighted(nx.DiGraph(nx.gnp_random_graph(150, 0.04, seed=1, directed=True)))
    exact = np.array(list(betweenness(graph, library=library).values()))
    sampled, again, other = (
        np.array(list(betweenness(graph, n_pivots=60, library=library, seed=s).values())) for s in (1, 1, 2)
    )
    assert np.corrcoef(exact, sampled)[0, 1] > 0.85
    assert sampled.sum() == pytest.approx(exact.sum(), rel=0.1)
    assert np.array_equal(sampled, again)
    assert not np.array_equal(sampled, other)


def test_large_graphs_are_sampled(monkeypatch, network):
    exact = betweenness(network, library="networkx")
    monkeypatch.setattr(MODULE, "N_EXACT", 50)
    monkeypatch.setattr(MODULE, "N_PIVOTS", 20)
    assert betweenness(network, library="networkx") == betweenness(network, n_pivots=20, library="networkx") != exact


def test_prune_nodes_keeps_the_best(network):
    values = betweenness(network)
    pruned = prune_nodes(network, 20)
    kept = set(pruned)
    assert len(kept) == 20
    assert min(values[v] for v in kept) >= max(values[v] for v in set(network) - kept)
    assert set(pruned.edges) == set(network.subgraph(kept).edges)
    assert all(pruned.nodes[v] == network.nodes[v] for v in kept)
    assert network.number_of_nodes() == 60


def test_input_and_readout_stay_alive(network):
    values = betweenness(network)
    worst = sorted(values, key=values.get)[:6]
    pruned = prune_nodes(network, 5, inputs=worst[:3], readouts=worst[3:])
    assert sum(v in pruned for v in worst[:3]) == 1
    assert max(worst[:3], key=values.get) in pruned
    assert max(worst[3:], key=values.get) in pruned
    assert len(pruned) <= 5


def test_isolated_neurons_are_dropped_unless_guarded():
    graph = weighted(nx.path_graph(4, create_using=nx.DiGraph))
    graph.add_nodes_from(["alone", "input"])
    graph.add_edge("alone", "alone", weight=1.0)
    assert set(prune_nodes(graph, 6)) == {0, 1, 2, 3}
    assert set(prune_nodes(graph, 6, inputs=["input"])) == {0, 1, 2, 3, "input"}


def test_ties_go_to_the_higher_degree():
    star = nx.DiGraph()
    star.add_nodes_from(range(6))
    star.add_edges_from([(0, i) for i in range(1, 6)], weight=1.0)  # no node is between others
    star.add_edge(5, 5, weight=1.0)
    assert set(prune_nodes(star, 2)) == {0, 5}


def test_select_nodes_needs_no_more_than_it_may(network):
    _, edges = edges_of(network)
    groups = [np.array([0]), np.array([1]), np.array([2], dtype=int), np.array([], dtype=int)]
    assert select_nodes(edges, np.zeros(60), 1, groups).tolist() == [0, 1, 2]


def test_errors(network):
    with pytest.raises(ValueError, match="n_keep must be at least 1, got 0"):
        prune_nodes(network, 0)
    with pytest.raises(ValueError, match="inputs holds 99, which is not a node"):
        prune_nodes(network, 5, inputs=[99])
    with pytest.raises(ValueError, match="library must be auto, networkx or networkit, got 'igraph'"):
        betweenness(network, library="igraph")
    with pytest.raises(ValueError, match="n_pivots must be at least 1, got 0"):
        betweenness(network, n_pivots=0)


def test_missing_networkit_is_named(monkeypatch, network):
    monkeypatch.setattr(MODULE, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"networkit is not installed. Run: pip install 'hrsnn\[graphs\]'"):
        betweenness(network, library="networkit")
    assert betweenness(network) == betweenness(network, library="networkx")
