"""Graphs to arrays and back."""

import networkx as nx
import numpy as np
import pytest
from brian2 import ms, mV

from hrsnn.pruning.graphs import edges_of, graph_of, node_values, seconds


def test_round_trip_keeps_everything(network):
    nodes, edges = edges_of(network)
    again = graph_of(network, nodes, edges)
    assert dict(again.nodes(data=True)) == dict(network.nodes(data=True))
    assert {(u, v): d for u, v, d in again.edges(data=True)} == {(u, v): d for u, v, d in network.edges(data=True)}


def test_matrix_has_rows_post_and_columns_pre():
    graph = nx.DiGraph()
    graph.add_edge("a", "b", weight=2.0)
    _, edges = edges_of(graph)
    assert edges.matrix().toarray().tolist() == [[0, 0], [2, 0]]
    assert edges.neighbours().toarray().tolist() == [[0, 1], [1, 0]]
    assert edges.degrees().tolist() == [1, 1]


def test_subgraph_matches_networkx(network):
    nodes, edges = edges_of(network)
    kept = np.array([3, 7, 8, 20, 21, 40, 59])
    part = graph_of(network, [nodes[i] for i in kept], edges.subgraph(kept))
    expected = network.subgraph(kept.tolist())
    assert set(part.edges) == set(expected.edges)
    assert len(part.edges) > 0
    assert all(part.edges[e] == expected.edges[e] for e in part.edges)


def test_inhibitory_neurons_are_told_by_their_weights(make_network):
    _, edges = edges_of(make_network(n=50, inhibitory=0.3))
    assert edges.inhibitory().tolist() == [True] * 15 + [False] * 35


def test_times_are_read_in_seconds():
    graph = nx.DiGraph()
    graph.add_node(0, tau_m=20 * ms)
    graph.add_node(1, tau_m=0.03)
    graph.add_node(2)
    assert node_values(graph, "tau_m", 5 * ms) == pytest.approx([0.02, 0.03, 0.005])
    assert seconds(0.5, "dt") == 0.5
    with pytest.raises(ValueError, match=r"dt must be a time, got 3\. \* mvolt"):
        seconds(3 * mV, "dt")
    graph.nodes[2]["tau_m"] = -0.1
    with pytest.raises(ValueError, match=r"tau_m of each node must be a positive time, got .*-0\.1"):
        node_values(graph, "tau_m", 0.02)


def test_bad_graphs():
    with pytest.raises(TypeError, match=r"graph must be a networkx\.DiGraph, got Graph"):
        edges_of(nx.path_graph(3))
    with pytest.raises(TypeError, match="got MultiDiGraph"):
        edges_of(nx.MultiDiGraph([(0, 1)]))
    lonely = nx.DiGraph()
    lonely.add_node(0)
    with pytest.raises(ValueError, match="1 nodes and no edge"):
        edges_of(lonely)
    with pytest.raises(ValueError, match="Edge 0 -> 1 has no attribute 'weight'"):
        edges_of(nx.DiGraph([(0, 1)]))
    graph = nx.DiGraph()
    graph.add_edge(0, 1, weight=1.0)
    graph.add_edge(1, 0, weight=np.nan)
    with pytest.raises(ValueError, match="Edge 1 -> 0 has weight nan"):
        edges_of(graph)
