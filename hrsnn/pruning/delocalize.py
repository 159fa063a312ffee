"""Step III: a few new edges that raise the spread of degrees and delocalise the eigenvectors."""

from __future__ import annotations

from math import ceil

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from hrsnn.pruning.graphs import Edges, edges_of, graph_of

__all__ = ["delocalize", "inverse_participation_ratios", "resample_weights"]


def delocalize(
    graph: nx.DiGraph, original: nx.DiGraph, fraction: float = 0.01, n_edges: int | None = None, seed: int | None = None
) -> nx.DiGraph:
    """Add edges inside neighbourhoods so that the variance of the degrees grows most.

    An edge (u, v) raises the variance by an amount that depends on d_u + d_v alone, so the pairs of largest degree
    sum are taken one after the other: at most two hops apart, unconnected in the original graph too (unless too few
    such pairs exist), at most ``ceil(m / 20)`` new edges a node. Weights are drawn from the surviving weights of the
    same pair of types.

    Parameters
    ----------
    graph : networkx.DiGraph
        Pruned graph. Not changed.
    original : networkx.DiGraph
        Graph before pruning, which holds all nodes of `graph`.
    fraction : float
        New edges as a fraction of the edges of `graph`, at least 0.
    n_edges : int, optional
        Number m of new edges, in place of `fraction`.
    seed : int, optional
        Seed of ties, directions and weights; fresh entropy if None.

    Returns
    -------
    networkx.DiGraph
        The pruned graph with up to m more edges (fewer if no admissible pair is left).

    Raises
    ------
    ValueError
        If `fraction` or `n_edges` is negative, or `graph` has nodes that `original` lacks.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, eq. 17.
    """
    nodes, edges = edges_of(graph)
    full_nodes, full = edges_of(original)
    number = {node: i for i, node in enumerate(full_nodes)}
    strangers = [node for node in nodes if node not in number]
    if strangers:
        raise ValueError(f"Node {strangers[0]!r} of graph is not in original. Pass the graph before pruning.")
    n_new = round(fraction * len(edges)) if n_edges is None else n_edges
    if n_new < 0:
        raise ValueError(f"The number of new edges must not be negative, got {n_new} (fraction={fraction!r}).")
    if n_new == 0:
        return graph_of(graph, nodes, edges)
    rng = np.random.default_rng(seed)
    where = np.array([number[node] for node in nodes])
    taken = full.matrix(np.ones(len(full)))[where][:, where].toarray() > 0
    pre, post = _greedy(edges, taken.T, n_new, rng)
    inhibitory = full.inhibitory()[where]
    weight = resample_weights(edges, inhibitory, pre, post, rng, fallback=(full, full.inhibitory()), types=inhibitory)
    grown = Edges(
        edges.n,
        np.concatenate([edges.pre, pre]),
        np.concatenate([edges.post, post]),
        np.concatenate([edges.weight, weight]),
    )
    return draw_delays(graph_of(graph, nodes, grown), original, rng)


def draw_delays(graph: nx.DiGraph, original: nx.DiGraph, rng: np.random.Generator) -> nx.DiGraph:
    """Give edges without a delay that of an edge of the original network, drawn at random, if those have delays.

    Parameters
    ----------
    graph : networkx.DiGraph
        Changed in place, and returned.
    original : networkx.DiGraph
    rng : numpy.random.Generator
        Used only if there is something to draw.
    """
    known = [delay for _, _, delay in original.edges(data="delay") if delay is not None]
    bare = [data for _, _, data in graph.edges(data=True) if "delay" not in data]
    if known and bare:
        for data, k in zip(bare, rng.integers(0, len(known), len(bare)).tolist(), strict=True):
            data["delay"] = known[k]
    return graph


def inverse_participation_ratios(graph: nx.DiGraph) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure how localised the eigenvectors of a graph's Laplacian are.

    Parameters
    ----------
    graph : networkx.DiGraph
        Read as undirected and unweighted.

    Returns
    -------
    eigenvalues : array of shape (n,)
        Of ``diag(d) - A``, ascending.
    ratios : array of shape (n,)
        ``sum_i v_i^4 / (sum_i v_i^2)^2`` of each eigenvector: 1 if it sits on one node, 1/n if it is even.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, section V, step III.
    """
    near = edges_of(graph)[1].neighbours().toarray()
    values, vectors = np.linalg.eigh(np.diag(near.sum(axis=0)) - near)
    return values, (vectors**4).sum(axis=0)


def resample_weights(
    source: Edges,
    source_types: NDArray,
    pre: NDArray,
    post: NDArray,
    rng: np.random.Generator,
    types: NDArray,
    fallback: tuple[Edges, NDArray] | None = None,
) -> NDArray[np.float64]:
    """Draw weights for new edges from existing edges of the same pair of types.

    Parameters
    ----------
    source : Edges
        Edges whose weights are drawn from.
    source_types, types : bool arrays
        Whether each node of `source`, and each node that `pre` and `post` number, is inhibitory.
    pre, post : int arrays of shape (n_new,)
        The new edges.
    rng : numpy.random.Generator
        Source of randomness.
    fallback : tuple of Edges and bool array, optional
        Drawn from where `source` has no edge of the pair. Without it, or if it has none either, the sign of the
        presynaptic type is given to a weight of any pair.

    Returns
    -------
    array of shape (n_new,)
        Weights.
    """
    weight = np.empty(len(pre))
    for kind in range(4):
        chosen = np.flatnonzero(2 * types[pre] + types[post] == kind)
        if not len(chosen):
            continue
        pools = [
            pool.weight[2 * kinds[pool.pre] + kinds[pool.post] == kind]
            for pool, kinds in ((source, source_types), *([fallback] if fallback else []))
        ]
        any_pair = np.abs(source.weight) * (-1 if kind >= 2 else 1)
        pool = next((pool for pool in pools if len(pool)), any_pair)
        weight[chosen] = rng.choice(pool, size=len(chosen))
    return weight


def _greedy(edges: Edges, taken: NDArray, n_new: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Choose new edges; ``taken[u, v]`` marks edges u -> v of the original graph."""
    n = edges.n
    order = rng.permutation(n)  # argmax takes the first of equals, so ties fall by this order
    near = edges.neighbours().toarray()[np.ix_(order, order)]
    present = np.zeros((n, n), dtype=bool)
    present[edges.pre, edges.post] = True
    free = ~(taken | present)[np.ix_(order, order)]
    close = (near + near @ near) > 0
    np.fill_diagonal(close, False)
    limit = ceil(n_new / 20)
    if np.count_nonzero(np.triu(close & (free | free.T))) < n_new:  # too few pairs are new to the original graph
        free = ~present[np.ix_(order, order)]
    allowed = close & (free | free.T)
    degree = edges.degrees()[order]
    used = np.zeros(n, dtype=int)
    partner = np.where(allowed, degree, -1).max(axis=1)  # largest degree each node could link to
    pairs = []
    for _ in range(n_new):
        u = int(np.argmax(np.where(partner >= 0, degree + partner, -1)))
        if partner[u] < 0:
            break
        v = int(np.argmax(np.where(allowed[u], degree, -1)))
        ends = [(a, b) for a, b in ((u, v), (v, u)) if free[a, b]]
        pairs.append(ends[rng.integers(len(ends))])
        allowed[u, v] = allowed[v, u] = False
        full = False
        for node in (u, v):
            degree[node] += 1
            used[node] += 1
            if used[node] == limit:
                allowed[node, :] = allowed[:, node] = False
                full = True
            partner[allowed[:, node]] = np.maximum(partner[allowed[:, node]], degree[node])
        stale = slice(None) if full else [u, v]
        partner[stale] = np.where(allowed[stale], degree, -1).max(axis=1)
    chosen = order[np.array(pairs, dtype=np.intp).reshape(-1, 2)]
    return chosen[:, 0], chosen[:, 1]
