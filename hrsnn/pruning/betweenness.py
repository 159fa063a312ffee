"""Step II, node pruning: remove the neurons that lie on the fewest shortest paths."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from importlib.util import find_spec

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from hrsnn.pruning.graphs import Edges, edges_of, graph_of

__all__ = ["betweenness", "edge_list_betweenness", "prune_nodes", "select_nodes"]

N_NETWORKX = 100  # up to here networkx needs no more than a tenth of a second
N_EXACT = 1000
N_PIVOTS = 256


def betweenness(
    graph: nx.DiGraph, n_pivots: int | None = None, library: str = "auto", seed: int = 0
) -> dict[Hashable, float]:
    """Count the shortest paths through each node (directed, unweighted).

    Parameters
    ----------
    graph : networkx.DiGraph
        Any graph with weights.
    n_pivots : int, optional
        Sources sampled. None is exact up to 1000 nodes and takes 256 above; a number of nodes or more is exact.
    library : {"auto", "networkx", "networkit"}
        "auto" takes networkit above 100 nodes if it is installed.
    seed : int
        Seed of the pivots.

    Returns
    -------
    dict
        Node -> sum over ordered pairs (s, t) of the fraction of shortest paths through it.

    Raises
    ------
    ValueError
        If `library` is unknown or `n_pivots` below 1.
    ImportError
        If networkit is asked for and not installed.

    References
    ----------
    .. [1] Brandes (2001), A faster algorithm for betweenness centrality.
    """
    nodes, edges = edges_of(graph)
    return dict(zip(nodes, edge_list_betweenness(edges, n_pivots, library, seed).tolist(), strict=True))


def edge_list_betweenness(
    edges: Edges, n_pivots: int | None = None, library: str = "auto", seed: int = 0
) -> NDArray[np.float64]:
    """Betweenness of each node of an edge list, of shape (n,) (see `betweenness`)."""
    if n_pivots is None:
        n_pivots = edges.n if edges.n <= N_EXACT else N_PIVOTS
    if n_pivots < 1:
        raise ValueError(f"n_pivots must be at least 1, got {n_pivots!r}.")
    if library not in ("auto", "networkx", "networkit"):
        raise ValueError(f"library must be auto, networkx or networkit, got {library!r}.")
    installed = find_spec("networkit") is not None
    if library == "networkit" and not installed:
        raise ImportError("networkit is not installed. Run: pip install 'hrsnn[graphs]'.")
    if library == "networkit" or (library == "auto" and installed and edges.n > N_NETWORKX):
        return _networkit(edges, n_pivots, seed)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(edges.n))
    graph.add_edges_from(zip(edges.pre.tolist(), edges.post.tolist(), strict=True))
    sampled = n_pivots if n_pivots < edges.n else None
    values = nx.betweenness_centrality(graph, k=sampled, normalized=False, seed=seed)
    return np.array([values[i] for i in range(edges.n)])


def prune_nodes(
    graph: nx.DiGraph,
    n_keep: int,
    inputs: Iterable[Hashable] = (),
    readouts: Iterable[Hashable] = (),
    n_pivots: int | None = None,
    seed: int = 0,
) -> nx.DiGraph:
    """Remove the nodes of lowest betweenness, and those left without any edge.

    Parameters
    ----------
    graph : networkx.DiGraph
        Edges run pre -> post with ``weight``. Not changed.
    n_keep : int
        Nodes kept at most, at least 1.
    inputs, readouts : iterable of nodes
        Nodes that receive input, and nodes that are read out: of each kind the one of highest betweenness always
        stays, connected or not.
    n_pivots : int, optional
        As in `betweenness`.
    seed : int
        Seed of the pivots.

    Returns
    -------
    networkx.DiGraph
        At most `n_keep` nodes with their attributes, and the edges among them.

    Raises
    ------
    ValueError
        If `n_keep` is below 1, or an input or readout is not a node.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, section V, step II.
    """
    nodes, edges = edges_of(graph)
    groups = [node_numbers(nodes, inputs, "inputs"), node_numbers(nodes, readouts, "readouts")]
    values = edge_list_betweenness(edges, n_pivots, seed=seed)
    chosen = select_nodes(edges, values, n_keep, groups)
    return graph_of(graph, [nodes[i] for i in chosen], edges.subgraph(chosen))


def select_nodes(
    edges: Edges, values: NDArray, n_keep: int, alive: list[NDArray[np.intp]], isolated: bool = False
) -> NDArray[np.intp]:
    """Choose the nodes that stay, in ascending order.

    Parameters
    ----------
    edges : Edges
        The network.
    values : array of shape (n,)
        Importance of each node, such as its betweenness. Of equal nodes the one of higher degree stays.
    n_keep : int
        Nodes kept at most, at least 1.
    alive : list of int arrays
        Groups of nodes; the most important node of each group always stays.
    isolated : bool
        Whether nodes left without any edge stay.

    Returns
    -------
    int array of shape (at most n_keep,)
        Nodes kept. More than `n_keep` only if the groups need them.

    Raises
    ------
    ValueError
        If `n_keep` is below 1.
    """
    if n_keep < 1:
        raise ValueError(f"n_keep must be at least 1, got {n_keep!r}.")
    rank = np.empty(edges.n, dtype=int)
    rank[np.lexsort((np.arange(edges.n), -edges.degrees(), -np.asarray(values)))] = np.arange(edges.n)
    guarded = np.zeros(edges.n, dtype=bool)
    for group in alive:
        if len(group):
            guarded[group[np.argmin(rank[group])]] = True
    rank[guarded] -= edges.n
    kept = np.sort(np.argsort(rank)[: max(n_keep, int(guarded.sum()))])
    if isolated:
        return kept
    connected = edges.subgraph(kept).neighbours().sum(axis=1) > 0
    return kept[connected | guarded[kept]]


def node_numbers(nodes: list[Hashable], some: Iterable[Hashable], name: str) -> NDArray[np.intp]:
    """Positions of some nodes in the list of all."""
    number = {node: i for i, node in enumerate(nodes)}
    chosen = list(some)
    unknown = [node for node in chosen if node not in number]
    if unknown:
        raise ValueError(f"{name} holds {unknown[0]!r}, which is not a node of the graph.")
    return np.array(sorted({number[node] for node in chosen}), dtype=np.intp)


def _networkit(edges: Edges, n_pivots: int, seed: int) -> NDArray[np.float64]:
    import networkit as nk

    other = edges.pre != edges.post
    graph = nk.GraphFromCoo((edges.pre[other], edges.post[other]), n=edges.n, weighted=False, directed=True)
    if n_pivots >= edges.n:
        algorithm = nk.centrality.Betweenness(graph, normalized=False)
    else:
        nk.setSeed(seed, False)  # networkit's own generator; restarted for each call, so nothing depends on the past
        algorithm = nk.centrality.EstimateBetweenness(graph, n_pivots, normalized=False, parallel=False)
    return np.asarray(algorithm.run().scores())
