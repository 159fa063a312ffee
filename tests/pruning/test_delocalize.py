"""Delocalising edges against brute force."""

from itertools import combinations
from math import ceil

import networkx as nx
import numpy as np
import pytest
from numpy.testing import assert_allclose

from hrsnn.pruning import delocalize, inverse_participation_ratios
from hrsnn.pruning.delocalize import resample_weights
from hrsnn.pruning.graphs import edges_of


@pytest.fixture
def pair(make_network):
    """A network and what a thinning leaves of it."""
    original = make_network(n=40, density=0.12, seed=3)
    rng = np.random.default_rng(0)
    pruned = original.copy()
    pruned.remove_edges_from([e for e in original.edges if rng.random() < 0.6])
    pruned.remove_nodes_from([v for v, d in list(pruned.degree) if d == 0])
    return original, pruned


def total_degrees(graph):
    return np.array([d for _, d in graph.degree])


def candidates(original, graph):
    """Unconnected pairs at most two hops apart, with a free direction in the original graph."""
    flat = graph.to_undirected()
    for u, v in combinations(graph, 2):
        free = not original.has_edge(u, v) or not original.has_edge(v, u)
        if free and u in nx.single_source_shortest_path_length(flat, v, cutoff=2):
            yield u, v


def test_variance_gain_depends_on_the_degree_sum_alone(pair):
    _, graph = pair
    degrees = dict(graph.degree)
    gains = {}
    for u, v in combinations(graph, 2):
        grown = dict(degrees)
        grown[u] += 1
        grown[v] += 1
        gain = np.var(list(grown.values())) - np.var(list(degrees.values()))
        gains.setdefault(degrees[u] + degrees[v], set()).add(round(gain, 10))
    assert len(gains) > 5
    assert all(len(values) == 1 for values in gains.values())
    assert sorted(gains) == sorted(gains, key=lambda s: max(gains[s]))  # and grows with it


@pytest.mark.parametrize("m", [1, 2, 15])
def test_each_new_edge_has_the_largest_admissible_degree_sum(pair, m):
    original, graph = pair
    grown = delocalize(graph, original, n_edges=m, seed=1)
    new = [e for e in grown.edges if e not in graph.edges]
    assert len(new) == m
    used = dict.fromkeys(graph, 0)
    degree = dict(graph.degree)
    open_pairs = set(candidates(original, graph))
    limit = ceil(m / 20)
    while new:
        u, v = max(new, key=lambda e: degree[e[0]] + degree[e[1]])  # the order they must have been added in
        new.remove((u, v))
        best = max(degree[a] + degree[b] for a, b in open_pairs if max(used[a], used[b]) < limit)
        assert degree[u] + degree[v] == best
        open_pairs -= {(u, v), (v, u)}
        for node in (u, v):
            degree[node] += 1
            used[node] += 1
    assert max(used.values()) <= limit
    assert total_degrees(grown).var() > total_degrees(graph).var()


def test_new_edges_are_new_to_the_original_and_close(pair):
    original, graph = pair
    grown = delocalize(graph, original, fraction=0.1, seed=0)
    new = set(grown.edges) - set(graph.edges)
    assert len(new) == round(0.1 * graph.number_of_edges())
    assert not new & set(original.edges)
    admissible = set(candidates(original, graph))
    assert all((u, v) in admissible or (v, u) in admissible for u, v in new)
    assert all(grown.edges[e] == graph.edges[e] for e in graph.edges)
    assert dict(grown.nodes(data=True)) == dict(graph.nodes(data=True))


def test_weights_come_from_the_same_pair_of_types(pair):
    original, graph = pair
    grown = delocalize(graph, original, n_edges=30, seed=0)
    inhibitory = dict(zip(original, edges_of(original)[1].inhibitory().tolist(), strict=True))
    pools = {}
    for u, v, w in graph.edges(data="weight"):
        pools.setdefault((inhibitory[u], inhibitory[v]), set()).add(w)
    new = [(u, v, w) for u, v, w in grown.edges(data="weight") if (u, v) not in graph.edges]
    assert len({inhibitory[u] for u, _, _ in new}) == 2
    for u, v, w in new:
        assert w in pools[inhibitory[u], inhibitory[v]]


def test_complete_original_falls_back_to_the_pruned_graph():
    original = nx.complete_graph(8, create_using=nx.DiGraph)
    nx.set_edge_attributes(original, 1.0, "weight")
    graph = nx.DiGraph()
    graph.add_edges_from([(0, i) for i in range(1, 8)], weight=1.0)
    grown = delocalize(graph, original, n_edges=3, seed=0)
    assert grown.number_of_edges() == 10


def test_runs_out_of_candidates():
    graph = nx.DiGraph()
    graph.add_edges_from([(0, 1), (1, 0), (2, 3)], weight=1.0)
    grown = delocalize(graph, graph, n_edges=50, seed=0)
    assert set(grown.edges) - set(graph.edges) == {(3, 2)}  # the only free place inside a neighbourhood
    assert delocalize(graph, graph, fraction=0.0).number_of_edges() == 3


def test_same_seed_same_edges(pair):
    original, graph = pair
    a, b, c = (delocalize(graph, original, n_edges=10, seed=s) for s in (0, 0, 1))
    assert list(a.edges(data=True)) == list(b.edges(data=True)) != list(c.edges(data=True))


def test_participation_ratios_of_known_graphs():
    ring = nx.cycle_graph(12, create_using=nx.DiGraph)
    nx.set_edge_attributes(ring, 1.0, "weight")
    values, ratios = inverse_participation_ratios(ring)
    assert_allclose(values, np.sort(2 - 2 * np.cos(2 * np.pi * np.arange(12) / 12)), atol=1e-12)
    assert_allclose(ratios[0], 1 / 12)  # the constant vector
    apart = nx.DiGraph()
    apart.add_edges_from([(0, 1), (2, 3)], weight=1.0)
    apart.add_node(4)
    values, ratios = inverse_participation_ratios(apart)
    assert_allclose(values, [0, 0, 0, 2, 2], atol=1e-12)
    assert np.all((ratios >= 1 / 5 - 1e-12) & (ratios <= 1 + 1e-12))


def test_hubs_localise_and_new_edges_change_the_ratio(pair):
    original, graph = pair
    before = inverse_participation_ratios(graph)[1]
    after = inverse_participation_ratios(delocalize(graph, original, n_edges=30, seed=0))[1]
    assert np.all(before <= 1 + 1e-12)
    assert abs(after.mean() - before.mean()) > 1e-4


def test_resampling_without_an_edge_of_the_pair():
    graph = nx.DiGraph()
    graph.add_edges_from([(0, 1), (1, 0)], weight=2.0)
    _, edges = edges_of(graph)
    weights = resample_weights(
        edges,
        np.array([False, False]),
        np.array([0, 1]),
        np.array([1, 0]),
        np.random.default_rng(0),
        types=np.array([True, False]),
    )
    assert weights.tolist() == [-2.0, 2.0]


def test_errors(pair):
    original, graph = pair
    with pytest.raises(ValueError, match=r"must not be negative, got -1"):
        delocalize(graph, original, n_edges=-1)
    graph.add_edge("x", next(iter(graph)), weight=1.0)
    with pytest.raises(ValueError, match="Node 'x' of graph is not in original"):
        delocalize(graph, original)
