"""Controls of equal size: a random graph, the strongest weights, a uniform thinning."""

from __future__ import annotations

import networkx as nx
import numpy as np

from hrsnn.pruning.delocalize import draw_delays, resample_weights
from hrsnn.pruning.graphs import Edges, edges_of, graph_of
from hrsnn.pruning.noise import keep_probabilities, rescaled_weights, sample_edges

__all__ = ["prune_uniform", "prune_weakest", "random_graph"]


def random_graph(
    original: nx.DiGraph, n_nodes: int, n_edges: int, weights_of: nx.DiGraph | None = None, seed: int | None = None
) -> nx.DiGraph:
    """Draw an Erdos-Renyi graph G(n, m) from the neurons of a network.

    Parameters
    ----------
    original : networkx.DiGraph
        Network whose nodes, with their attributes, are drawn without replacement. Not changed.
    n_nodes, n_edges : int
        Size, for example that of a pruned network.
    weights_of : networkx.DiGraph, optional
        Graph whose weights are drawn, by pair of types; `original` if None.
    seed : int, optional
        Seed of all draws; fresh entropy if None.

    Returns
    -------
    networkx.DiGraph
        Exactly `n_nodes` nodes and `n_edges` edges without self-loops.

    Raises
    ------
    ValueError
        If the original has fewer nodes, or the edges do not fit between the nodes.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, section VI-F.
    """
    nodes, edges = edges_of(original)
    if not 1 <= n_nodes <= edges.n:
        raise ValueError(f"n_nodes must be in [1, {edges.n}] (the nodes of original), got {n_nodes!r}.")
    if not 0 <= n_edges <= n_nodes * (n_nodes - 1):
        raise ValueError(f"n_edges must be in [0, {n_nodes * (n_nodes - 1)}] for {n_nodes} nodes, got {n_edges!r}.")
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(edges.n, size=n_nodes, replace=False))
    pre, post = np.divmod(np.sort(rng.choice(n_nodes * (n_nodes - 1), size=n_edges, replace=False)), n_nodes - 1 or 1)
    post = post + (post >= pre)  # skip the diagonal
    types = edges.inhibitory()
    source, source_types = edges, types
    if weights_of is not None:
        source = edges_of(weights_of)[1]
        source_types = source.inhibitory()
    weight = resample_weights(source, source_types, pre, post, rng, types=types[chosen], fallback=(edges, types))
    bare = nx.DiGraph(**original.graph)
    bare.add_nodes_from((nodes[i], dict(original.nodes[nodes[i]])) for i in chosen)
    return draw_delays(graph_of(bare, list(bare), Edges(n_nodes, pre, post, weight)), original, rng)


def prune_weakest(graph: nx.DiGraph, n_edges: int) -> nx.DiGraph:
    """Keep the edges of largest weight magnitude.

    Parameters
    ----------
    graph : networkx.DiGraph
        Edges run pre -> post with ``weight``. Not changed.
    n_edges : int
        Edges kept, at least 1; all if there are no more. Of equal weights the first stay.

    Returns
    -------
    networkx.DiGraph
        Same nodes, fewer edges.

    Raises
    ------
    ValueError
        If `n_edges` is below 1 or the graph has no edge.
    """
    _check_size(n_edges)
    nodes, edges = edges_of(graph)
    kept = np.sort(np.argsort(-np.abs(edges.weight), kind="stable")[:n_edges])
    return graph_of(graph, nodes, edges.take(kept))


def prune_uniform(graph: nx.DiGraph, n_edges: int, rescale: bool = True, seed: int | None = None) -> nx.DiGraph:
    """Keep each edge with the same probability.

    Parameters
    ----------
    graph : networkx.DiGraph
        Edges run pre -> post with ``weight``. Not changed.
    n_edges : int
        Expected number of edges kept, at least 1.
    rescale : bool
        Divide kept weights by the probability.
    seed : int, optional
        Seed of the draw; fresh entropy if None.

    Returns
    -------
    networkx.DiGraph
        Same nodes, fewer edges.

    Raises
    ------
    ValueError
        If `n_edges` is below 1 or the graph has no edge.

    References
    ----------
    .. [1] Moore & Chaudhuri (2020), Using noise to probe recurrent neural network structure and prune synapses.
    """
    _check_size(n_edges)
    nodes, edges = edges_of(graph)
    probabilities = keep_probabilities(np.ones(len(edges)), n_edges)
    kept = sample_edges(edges, probabilities, np.random.default_rng(seed))
    weight = rescaled_weights(edges, probabilities, kept, rescale, cap=np.inf)
    return graph_of(graph, nodes, edges.take(kept, weight))


def _check_size(n_edges: int) -> None:
    if n_edges < 1:
        raise ValueError(f"n_edges must be at least 1, got {n_edges!r}.")
