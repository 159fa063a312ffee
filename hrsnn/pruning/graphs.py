"""Weighted directed graphs as arrays and back: what every pruning step reads and writes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["Edges", "edges_of", "graph_of", "node_values", "seconds"]


@dataclass(frozen=True)
class Edges:
    """Edge list of a weighted directed graph whose nodes are 0 .. n - 1.

    Parameters
    ----------
    n : int
        Number of nodes.
    pre, post : int array of shape (n_edges,)
        Source and target of each edge.
    weight : array of shape (n_edges,)
        Signed weights, negative for inhibition.
    """

    n: int
    pre: NDArray[np.intp]
    post: NDArray[np.intp]
    weight: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.pre)

    def matrix(self, values: NDArray | None = None) -> sparse.csr_array:
        """Matrix of shape (n, n) with rows post and columns pre, of the weights or of other edge values."""
        data = self.weight if values is None else values
        return sparse.csr_array((data, (self.post, self.pre)), shape=(self.n, self.n))

    def neighbours(self) -> sparse.csr_array:
        """Symmetric 0/1 matrix of who shares an edge in either direction, without self-loops."""
        other = self.pre != self.post
        ends = np.concatenate([self.pre[other], self.post[other]]), np.concatenate([self.post[other], self.pre[other]])
        matrix = sparse.csr_array((np.ones(len(ends[0])), ends), shape=(self.n, self.n))
        matrix.data[:] = 1
        return matrix

    def degrees(self) -> NDArray[np.intp]:
        """Edges at each node, incoming and outgoing together."""
        return np.bincount(self.pre, minlength=self.n) + np.bincount(self.post, minlength=self.n)

    def inhibitory(self) -> NDArray[np.bool_]:
        """Tell the nodes whose outgoing weights sum to less than zero."""
        return np.bincount(self.pre, weights=self.weight, minlength=self.n) < 0

    def take(self, chosen: NDArray, weight: NDArray | None = None) -> Edges:
        """Edges chosen by a mask or by indices, optionally with new weights (of the chosen edges)."""
        values = self.weight[chosen] if weight is None else weight
        return replace(self, pre=self.pre[chosen], post=self.post[chosen], weight=values)

    def subgraph(self, nodes: NDArray[np.intp]) -> Edges:
        """Edges among the nodes kept (ascending), renumbered from 0."""
        new = np.full(self.n, -1)
        new[nodes] = np.arange(len(nodes))
        inside = (new[self.pre] >= 0) & (new[self.post] >= 0)
        return Edges(len(nodes), new[self.pre[inside]], new[self.post[inside]], self.weight[inside])


def edges_of(graph: nx.DiGraph) -> tuple[list[Hashable], Edges]:
    """Read a weighted directed graph.

    Parameters
    ----------
    graph : networkx.DiGraph
        Edges run pre -> post with a finite attribute ``weight``.

    Returns
    -------
    nodes : list
        The graph's nodes in their order; node i of the edge list is ``nodes[i]``.
    edges : Edges
        The graph's edges in their order.

    Raises
    ------
    TypeError
        If `graph` is not a simple networkx.DiGraph.
    ValueError
        If it has no edge, or a weight is missing or not finite.
    """
    if not isinstance(graph, nx.DiGraph) or graph.is_multigraph():
        raise TypeError(f"graph must be a networkx.DiGraph, got {type(graph).__name__}.")
    nodes = list(graph)
    number = {node: i for i, node in enumerate(nodes)}
    table = list(graph.edges(data="weight"))
    if not table:
        raise ValueError(f"The graph has {len(nodes)} nodes and no edge, so there is nothing to prune.")
    missing = next(((u, v) for u, v, w in table if w is None), None)
    if missing is not None:
        raise ValueError(f"Edge {missing[0]!r} -> {missing[1]!r} has no attribute 'weight'. Give each edge one.")
    weight = np.array([float(w) for _, _, w in table])
    if not np.isfinite(weight).all():
        u, v, w = table[int(np.argmin(np.isfinite(weight)))]
        raise ValueError(f"Edge {u!r} -> {v!r} has weight {w!r}. Weights must be finite.")
    pre = np.array([number[u] for u, _, _ in table], dtype=np.intp)
    post = np.array([number[v] for _, v, _ in table], dtype=np.intp)
    return nodes, Edges(len(nodes), pre, post, weight)


def graph_of(original: nx.DiGraph, nodes: Iterable[Hashable], edges: Edges) -> nx.DiGraph:
    """Build a graph of some nodes of another one.

    Parameters
    ----------
    original : networkx.DiGraph
        Source of the attributes of the graph, the nodes and the edges it shares.
    nodes : iterable of nodes
        Nodes kept; node i of `edges` is the i-th of them.
    edges : Edges
        Edges and weights of the new graph.

    Returns
    -------
    networkx.DiGraph
        New graph; attribute values are shared with the original.
    """
    kept = list(nodes)
    graph = nx.DiGraph(**original.graph)
    graph.add_nodes_from((node, dict(original.nodes[node])) for node in kept)
    for i, j, weight in zip(edges.pre.tolist(), edges.post.tolist(), edges.weight.tolist(), strict=True):
        u, v = kept[i], kept[j]
        graph.add_edge(u, v, **{**original.get_edge_data(u, v, {}), "weight": weight})
    return graph


def node_values(graph: nx.DiGraph, name: str, default: Any) -> NDArray[np.float64]:
    """Read a time constant of each node in seconds.

    Parameters
    ----------
    graph : networkx.DiGraph
        Graph whose nodes may carry the attribute.
    name : str
        Attribute, for example ``tau_m``; a Quantity (second) or a plain number of seconds.
    default : Quantity (second) or float
        Value of nodes without the attribute.

    Returns
    -------
    array of shape (n_nodes,)
        Seconds, positive.

    Raises
    ------
    ValueError
        If a value is not positive and finite, or has another unit.
    """
    values = np.array([seconds(value, name) for _, value in graph.nodes(data=name, default=default)])
    if not (np.isfinite(values) & (values > 0)).all():
        bad = values[~(np.isfinite(values) & (values > 0))][0]
        raise ValueError(f"{name} of each node must be a positive time, got {bad!r} s.")
    return values


def seconds(value: Any, name: str) -> float:
    """Turn a Quantity (second), or a plain number of seconds, into a float."""
    dimension = getattr(value, "dim", None)
    if dimension is not None and repr(dimension) != "second":
        raise ValueError(f"{name} must be a time, got {value!r}.")
    return float(np.asarray(value))
