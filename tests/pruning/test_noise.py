"""Noise pruning: Lyapunov matrix, keep probabilities, sampling and diagonals."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose
from scipy import stats

from hrsnn.pruning import lyapunov_noise
from hrsnn.pruning.covariance import covariance
from hrsnn.pruning.graphs import Edges, edges_of
from hrsnn.pruning.noise import (
    edge_scores,
    edge_strengths,
    keep_probabilities,
    linear_dynamics,
    lyapunov_matrix,
    matched_leak,
    rescaled_weights,
    sample_edges,
)

SCORES = hnp.arrays(float, st.integers(1, 40), elements=st.just(0.0) | st.floats(1e-9, 1e3)).filter(np.any)


def symmetric_edges(n=12, seed=0):
    rng = np.random.default_rng(seed)
    w = np.triu(rng.normal(size=(n, n)) * (rng.random((n, n)) < 0.5), 1)
    w = w + w.T
    post, pre = np.nonzero(w)
    return Edges(n, pre, post, w[post, pre])


@pytest.mark.parametrize(("n", "density"), [(40, 0.2), (600, 0.004)], ids=["dense product", "sparse product"])
def test_lyapunov_matrix_against_brute_force(make_network, n, density):
    graph = make_network(n=n, density=density)
    graph.add_edge(0, 0, weight=3.0)
    nodes, edges = edges_of(graph)
    exponents = np.random.default_rng(1).normal(-50, 30, n)
    found = lyapunov_matrix(edges, exponents)
    floor = 1e-3 * np.median(np.abs(exponents))
    around = {v: (set(graph.pred[v]) | set(graph.succ[v])) - {v} for v in nodes}
    for value, i, j, w in zip(found, edges.pre, edges.post, edges.weight, strict=True):
        if i == j:
            assert value == 0
            continue
        union = around[i] | around[j]
        expected = len(union) / sum(1 / max(abs(exponents[k]), floor) for k in union)
        assert value == pytest.approx(np.sign(w) * expected, rel=1e-10)


def test_exponents_near_zero_are_floored(network):
    _, edges = edges_of(network)
    exponents = np.full(60, -50.0)
    exponents[7] = 0.0
    found = lyapunov_matrix(edges, exponents)
    assert np.all(np.isfinite(found))
    assert_allclose(np.abs(lyapunov_matrix(edges, np.full(60, 50.0))), 50, rtol=1e-12)


def test_probability_identity_of_symmetric_networks():
    """sum p_ij (rho = 1) = N - 2 sum_i slack_i C_ii, the effective-resistance identity."""
    edges = symmetric_edges()
    n = edges.n
    leak = np.abs(edges.matrix().toarray()).sum(axis=1) + np.random.default_rng(1).uniform(0.1, 1, n)
    a = edges.matrix().toarray() - np.diag(leak)
    c = covariance(a)
    slack = leak - np.abs(edges.matrix().toarray()).sum(axis=1)
    total = edge_scores(edges, edges.weight, c).sum()
    assert total == pytest.approx(n - 2 * np.sum(slack * np.diag(c)), rel=1e-10)
    assert 0 < total < n


def test_scores_against_the_formula(network):
    _, edges = edges_of(network)
    rng = np.random.default_rng(0)
    root = rng.normal(size=(60, 60))
    c = root @ root.T
    found = edge_scores(edges, edges.weight, c)
    for value, i, j, w in zip(found, edges.pre, edges.post, edges.weight, strict=True):
        excitatory = w > 0
        expected = abs(w) * (c[i, i] + c[j, j] + (-2 if excitatory else 2) * c[i, j])
        assert value == pytest.approx(expected, rel=1e-12)


@given(SCORES, st.floats(0.05, 1))
def test_keep_probabilities_reach_the_density(scores, fraction):
    goal = fraction * len(scores)
    p = keep_probabilities(scores, goal)
    positive = np.count_nonzero(scores)
    assert np.all((p >= 0) & (p <= 1))
    assert np.array_equal(p > 0, scores > 0)
    if positive <= goal:
        assert p.sum() == positive
        return
    assert p.sum() == pytest.approx(goal, rel=1e-9)
    free = p < 1
    if free.any():
        rho = p[free & (scores > 0)] / scores[free & (scores > 0)]
        assert_allclose(rho, rho.max(), rtol=1e-6)
        if (~free).any():
            assert scores[~free].min() * rho.max() >= 1 - 1e-9


def test_keep_probabilities_clip_and_pass_on_the_rest():
    assert keep_probabilities([100.0, 1.0, 1.0, 2.0], 2.0) == pytest.approx([1, 0.25, 0.25, 0.5])


def test_mean_over_draws_is_the_original_network(make_network):
    """Unbiased without a cap: each edge's mean lies within its standard error, tested jointly by chi square."""
    _, edges = edges_of(make_network(n=20, density=0.4))
    p = keep_probabilities(np.random.default_rng(0).uniform(0.2, 1, len(edges)), 0.6 * len(edges))
    n_draws = 2000
    rng = np.random.default_rng(1)
    total = np.zeros(len(edges))
    for _ in range(n_draws):
        kept = sample_edges(edges, p, rng)
        total[kept] += rescaled_weights(edges, p, kept, True, np.inf)
    error = edges.weight * np.sqrt((1 / p - 1) / n_draws)
    random = p < 1
    assert random.sum() > 50
    z = (total / n_draws - edges.weight)[random] / error[random]
    assert stats.chi2.sf(np.sum(z**2), random.sum()) > 1e-3
    assert_allclose((total / n_draws)[~random], edges.weight[~random])


def test_symmetric_networks_stay_symmetric():
    edges = symmetric_edges(n=20)
    kept = sample_edges(edges, np.full(len(edges), 0.5), np.random.default_rng(0))
    matrix = edges.take(kept).matrix().toarray()
    assert 0 < kept.sum() < len(edges)
    assert np.array_equal(matrix, matrix.T)


def test_matched_diagonal_preserves_strict_dominance(network):
    _, edges = edges_of(network)
    _, leak = linear_dynamics(edges, edges.weight)
    p = np.full(len(edges), 0.4)
    kept = sample_edges(edges, p, np.random.default_rng(0))
    rescaled = edges.weight[kept] / p[kept]
    new = matched_leak(edges, leak, edges.weight, kept, rescaled)
    before = -leak + np.abs(edges.matrix().toarray()).sum(axis=1)
    after = -new + np.abs(edges.take(kept, rescaled).matrix().toarray()).sum(axis=1)
    assert_allclose(after, before, rtol=1e-10)
    assert np.all(after < 0)
    assert np.abs(new - leak).max() > 0.1


def test_linear_dynamics_is_dominant_and_stable(network):
    network.add_node("source", tau_m=0.02)
    network.add_edge("source", 0, weight=1.0)
    _, edges = edges_of(network)
    a, leak = linear_dynamics(edges, edges.weight, delta=0.2)
    load = np.abs(edges.matrix().toarray()).sum(axis=1)
    assert_allclose(leak[:-1], 1.2 * load[:-1])
    assert leak[-1] == pytest.approx(np.median(leak[:-1]))  # no input: the median leak of the others
    assert np.linalg.eigvals(a.toarray()).real.max() < 0


def test_strengths(network):
    _, edges = edges_of(network)
    exponents = -1 / np.linspace(0.01, 0.1, 60)
    l_values = edge_strengths(edges, "lyapunov", exponents)
    assert np.array_equal(edge_strengths(edges, "weight"), edges.weight)
    assert_allclose(edge_strengths(edges, "product", exponents), l_values * np.abs(edges.weight))
    assert np.array_equal(np.sign(l_values), np.sign(edges.weight))


@pytest.mark.parametrize("strength", ["lyapunov", "weight", "product"])
def test_one_step_of_pruning(make_network, strength):
    graph = make_network(n=80, density=0.2)
    before = {(u, v): w for u, v, w in graph.edges(data="weight")}
    options = {"strength": strength, "n_exponents": 20, "seed": 0}
    pruned = lyapunov_noise(graph, 0.3, **options)
    m = len(before)
    assert dict(pruned.nodes(data=True)) == dict(graph.nodes(data=True))
    assert abs(pruned.number_of_edges() - 0.3 * m) < 5 * np.sqrt(0.3 * 0.7 * m)
    largest = 5 * max(map(abs, before.values()))
    for u, v, w in pruned.edges(data="weight"):
        assert np.sign(w) == np.sign(before[u, v])
        assert min(abs(before[u, v]), largest) <= abs(w) <= largest
    plain = lyapunov_noise(graph, 0.3, rescale=False, **options)
    assert all(w == before[u, v] for u, v, w in plain.edges(data="weight"))
    assert set(plain.edges) == set(pruned.edges)
    assert {(u, v): w for u, v, w in graph.edges(data="weight")} == before
    assert lyapunov_noise(graph, 1.0, **options).number_of_edges() == m


def test_probable_edges_are_kept_more_often(make_network):
    """Over draws, the frequency of an edge equals its probability (weights: no Lyapunov noise in between)."""
    graph = make_network(n=30, density=0.3)
    _, edges = edges_of(graph)
    dynamics, _ = linear_dynamics(edges, edges.weight)
    p = keep_probabilities(edge_scores(edges, edges.weight, covariance(dynamics)), 0.4 * len(edges))
    n_draws = 300
    counts = np.zeros(len(edges))
    number = {e: k for k, e in enumerate(graph.edges)}
    for seed in range(n_draws):
        for e in lyapunov_noise(graph, 0.4, strength="weight", seed=seed).edges:
            counts[number[e]] += 1
    random = p < 1
    z = (counts - n_draws * p)[random] / np.sqrt(n_draws * p * (1 - p))[random]
    assert stats.chi2.sf(np.sum(z**2), random.sum()) > 1e-3
    assert p.max() / p.min() > 3


def test_zero_weights_go_first_and_self_loops_stay(make_network):
    graph = make_network(n=20, density=0.3)
    graph.add_edge(0, 0, weight=1.5)
    zero = [e for e in list(graph.edges)[:30] if e[0] != e[1]]
    for e in zero:
        graph.edges[e]["weight"] = 0.0
    pruned = lyapunov_noise(graph, 0.5, seed=0)
    assert not set(zero) & set(pruned.edges)
    assert pruned.edges[0, 0]["weight"] == 1.5


@pytest.mark.parametrize("sign", [1, -1], ids=["excitatory", "inhibitory"])
def test_one_signed_and_disconnected_networks(make_network, sign):
    a, b = make_network(n=20, density=0.3, seed=1), make_network(n=20, density=0.3, seed=2)
    graph = nx.disjoint_union(a, b)
    graph.add_node("alone", tau_m=0.02)
    for _, _, data in graph.edges(data=True):
        data["weight"] = sign * abs(data["weight"])
    pruned = lyapunov_noise(graph, 0.4, seed=0)
    assert 0 < pruned.number_of_edges() < 0.6 * graph.number_of_edges()
    assert pruned.number_of_nodes() == 41
    assert all(np.sign(w) == sign for _, _, w in pruned.edges(data="weight"))


def test_errors(network):
    with pytest.raises(ValueError, match=r"keep must be in \(0, 1\], got 1\.2"):
        lyapunov_noise(network, 1.2)
    with pytest.raises(ValueError, match="strength must be one of lyapunov, weight, product, got 'size'"):
        lyapunov_noise(network, 0.5, strength="size")
    zero = network.copy()
    nx.set_edge_attributes(zero, 0.0, "weight")
    with pytest.raises(ValueError, match="All weights between different neurons are zero"):
        lyapunov_noise(zero, 0.5)
    single = nx.DiGraph()
    single.add_edge(0, 0, weight=1.0)
    with pytest.raises(ValueError, match="All weights between different neurons are zero"):
        lyapunov_noise(single, 0.5)
    _, edges = edges_of(network)
    with pytest.raises(ValueError, match="needs the exponents of the nodes"):
        edge_strengths(edges, "lyapunov")
    with pytest.raises(ValueError, match="exponents must be 60 finite numbers"):
        lyapunov_matrix(edges, np.ones(59))
    with pytest.raises(ValueError, match="All Lyapunov exponents are zero"):
        lyapunov_matrix(edges, np.zeros(60))
    with pytest.raises(ValueError, match="delta must be positive"):
        linear_dynamics(edges, np.ones(len(edges)), delta=0)
    with pytest.raises(ValueError, match="scores must be finite, not negative and not all zero"):
        keep_probabilities([0.0, 0.0], 1)
    with pytest.raises(ValueError, match="n_keep must be positive, got 0"):
        keep_probabilities([1.0], 0)
