"""Baseline: remove the least active neurons, train again, and so on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

import networkx as nx
import numpy as np

from hrsnn.pruning.betweenness import node_numbers, select_nodes
from hrsnn.pruning.graphs import edges_of, graph_of

__all__ = ["activity_pruning", "prune_inactive"]

Train = Callable[[nx.DiGraph], tuple[nx.DiGraph, Mapping[Hashable, float]]]


def prune_inactive(
    graph: nx.DiGraph,
    activity: Mapping[Hashable, float],
    n_keep: int,
    inputs: Iterable[Hashable] = (),
    readouts: Iterable[Hashable] = (),
    isolated: bool = False,
) -> nx.DiGraph:
    """Remove the neurons with the fewest spikes, and those left without any edge.

    Parameters
    ----------
    graph : networkx.DiGraph
        Edges run pre -> post with ``weight``. Not changed.
    activity : mapping
        Node -> spike count. Of equally active neurons the one of higher degree stays.
    n_keep : int
        Neurons kept at most, at least 1.
    inputs, readouts : iterable of nodes
        Of each kind the most active neuron always stays.
    isolated : bool
        Whether neurons left without any edge stay: where every neuron receives input, they still respond.

    Returns
    -------
    networkx.DiGraph
        The remaining network.

    Raises
    ------
    ValueError
        If a node has no activity or one that is not finite, or `n_keep` is below 1.

    References
    ----------
    .. [1] Rust, Adams, George & Bolouri (1997), Activity-based pruning in developmental artificial neural networks.
    """
    nodes, edges = edges_of(graph)
    values = np.array([float(activity.get(node, np.nan)) for node in nodes])
    if not np.isfinite(values).all():
        node = nodes[int(np.argmin(np.isfinite(values)))]
        raise ValueError(f"activity of node {node!r} is {activity.get(node)!r}. Give each node a finite spike count.")
    groups = [node_numbers(nodes, inputs, "inputs"), node_numbers(nodes, readouts, "readouts")]
    chosen = select_nodes(edges, values, n_keep, groups, isolated)
    return graph_of(graph, [nodes[i] for i in chosen], edges.subgraph(chosen))


def activity_pruning(
    graph: nx.DiGraph,
    train: Train,
    keep_neurons: float = 0.07,
    n_iterations: int = 100,
    inputs: Iterable[Hashable] = (),
    readouts: Iterable[Hashable] = (),
    isolated: bool = False,
) -> Iterator[nx.DiGraph]:
    """Prune the least active neurons again and again, training in between.

    Parameters
    ----------
    graph : networkx.DiGraph
        Network before pruning. Not changed.
    train : callable
        ``train(graph)`` trains a network, runs the training set, and returns the trained graph and the spike count of
        each node.
    keep_neurons : float
        Fraction of neurons left after the last iteration, in (0, 1]; each iteration removes the same fraction.
    n_iterations : int
        Iterations, at least 1.
    inputs, readouts : iterable of nodes
        As in `prune_inactive`, as far as they are still in the network.
    isolated : bool
        As in `prune_inactive`.

    Yields
    ------
    networkx.DiGraph
        The network after each iteration: trained, then pruned. It wants training once more before use.

    Raises
    ------
    ValueError
        If an argument is out of range, or all edges are gone before the last iteration.

    References
    ----------
    .. [1] Rust, Adams, George & Bolouri (1997), Activity-based pruning in developmental artificial neural networks.
    """
    if not 0 < keep_neurons <= 1:
        raise ValueError(f"keep_neurons must be in (0, 1], got {keep_neurons!r}.")
    if n_iterations < 1:
        raise ValueError(f"n_iterations must be at least 1, got {n_iterations!r}.")
    inputs, readouts = set(inputs), set(readouts)
    n_start = graph.number_of_nodes()
    for iteration in range(1, n_iterations + 1):
        trained, activity = train(graph)
        n_keep = max(1, round(n_start * keep_neurons ** (iteration / n_iterations)))
        graph = prune_inactive(trained, activity, n_keep, inputs & set(trained), readouts & set(trained), isolated)
        yield graph
