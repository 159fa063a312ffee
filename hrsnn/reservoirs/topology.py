"""Recurrent networks as graphs: who connects to whom, how strongly, and who excites or inhibits.

A graph is a networkx.DiGraph with nodes 0 .. n - 1. Nodes carry ``type`` ("E" or "I") and ``position`` (three
coordinates), edges run pre -> post and carry ``weight``, negative from inhibitory neurons. A weight is what a spike
adds to the synaptic current, in units of the threshold (see ``hrsnn.models.LIF``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import networkx as nx
import numpy as np
from brian2.units import ms, second
from brian2.units.fundamentalunits import fail_for_dimension_mismatch
from numpy.typing import NDArray

__all__ = [
    "PRESETS",
    "balanced",
    "check_graph",
    "clustered",
    "distance_dependent",
    "project_inputs",
    "random",
    "small_world",
]

#: Connection probability at distance 0 by types pre and post, and its range lambda in units of the grid.
PRESETS: Mapping[str, Mapping[str, float]] = {
    "nalsm": {"EE": 0.2, "EI": 0.1, "IE": 0.3, "II": 0.05, "lambda": 3.0},
    "maass": {"EE": 0.3, "EI": 0.2, "IE": 0.4, "II": 0.1, "lambda": 2.0},
}
#: Mean weight by types pre and post at w_scale 1: the ratios of Maass, Natschlaeger & Markram (2002).
MEAN_WEIGHT = {"EE": 0.30, "EI": 0.60, "IE": 0.19, "II": 0.19}
KINDS = ("EE", "EI", "IE", "II")
BLOCK = 1 << 22  # entries of a block of the matrix of distances

Index = NDArray[np.int64]


def distance_dependent(
    n: int,
    lambda_: float | None = None,
    w_scale: float = 1.0,
    *,
    preset: str = "nalsm",
    grid: tuple[int, int, int] | None = None,
    inhibitory: float = 0.2,
    cv: float = 0.7,
    seed: int = 0,
) -> nx.DiGraph:
    """Connect neurons on a grid with a probability that falls with their distance.

    P(pre -> post) = C exp(-(D / lambda)^2), at most 1, with C by the types of pre and post. Weights are gamma
    distributed with mean ``w_scale`` times the mean weight of the types and coefficient of variation ``cv``, so that
    w_scale sets their mean and their spread.

    Parameters
    ----------
    n : int
        Number of neurons.
    lambda_ : float, optional
        Range of the connections in units of the grid; the preset's if None.
    w_scale : float
        Factor on all weights.
    preset : {"nalsm", "maass"}
        Connection probabilities C, and lambda: of Ivanov & Michmizos, or of Maass, Natschlaeger & Markram, who
        stack columns of 3 x 3 neurons.
    grid : (int, int, int), optional
        Extent of the grid, at least n places, of which n are taken at random. By default the most cubic box of n
        places (3 x 3 columns for "maass"), or a cube with vacancies.
    inhibitory : float
        Share of inhibitory neurons, at random places.
    cv : float
        Coefficient of variation of the weights, positive.
    seed : int

    Returns
    -------
    networkx.DiGraph

    Raises
    ------
    ValueError
        If an argument is out of range or the grid is too small.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, eq. 2.
    .. [2] Ju et al. (2013), Effects of synaptic connectivity on liquid state machine performance.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}.")
    _check(n, inhibitory, w_scale, cv)
    extent = _positive("lambda_", PRESETS[preset]["lambda"] if lambda_ is None else lambda_)
    rng = np.random.default_rng(seed)
    position = _places(n, _box(n, preset) if grid is None else tuple(grid), rng)
    types = _types(n, inhibitory, rng)
    C = np.reshape([PRESETS[preset][kind] for kind in KINDS], (2, 2))
    pre, post = [], []
    for rows in np.array_split(np.arange(n), -(-n * n // BLOCK)):
        square = ((position[rows, None, :] - position) ** 2).sum(axis=2, dtype=float)
        probability = C[types[rows][:, None], types] * np.exp(-square / extent**2)
        probability[np.arange(len(rows)), rows] = 0
        i, j = np.nonzero(rng.random(square.shape) < probability)
        pre.append(rows[i])
        post.append(j)
    return _graph(position, types, np.concatenate(pre), np.concatenate(post), w_scale, cv, rng)


def random(
    n: int, density: float, w_scale: float = 1.0, *, inhibitory: float = 0.2, cv: float = 0.7, seed: int = 0
) -> nx.DiGraph:
    """Connect each ordered pair of neurons with one probability (Erdos-Renyi).

    Parameters
    ----------
    n : int
    density : float
        Probability of each of the n (n - 1) connections.
    w_scale, inhibitory, cv, seed
        As in `distance_dependent`.

    Returns
    -------
    networkx.DiGraph

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    _check(n, inhibitory, w_scale, cv)
    _probability("density", density)
    rng = np.random.default_rng(seed)
    position, types = _places(n, _box(n, ""), rng), _types(n, inhibitory, rng)
    pairs = n * (n - 1)
    # All numbers of connections are drawn first, then that many different pairs.
    chosen = np.sort(rng.choice(pairs, rng.binomial(pairs, density), replace=False, shuffle=False))
    pre, post = np.divmod(chosen, n - 1)
    return _graph(position, types, pre, post + (post >= pre), w_scale, cv, rng)


def balanced(
    n: int,
    n_synapses: int = 50,
    strength: float = 0.3,
    *,
    inhibition: float = 4.0,
    inhibitory: float = 0.2,
    cv: float = 0.7,
    seed: int = 0,
) -> nx.DiGraph:
    """Give each neuron equally many synapses from others at random, inhibitory ones stronger than excitatory ones.

    Weights are gamma distributed. Their mean is ``strength / sqrt(n_synapses)`` from excitatory neurons, in units of
    the threshold for LIF, and ``inhibition`` times as much from inhibitory ones: with 4 and a fifth of inhibitory
    neurons the two balance, and what a neuron receives varies by about ``strength`` however many synapses it has.

    Parameters
    ----------
    n : int
    n_synapses : int
        Of each neuron, below n.
    strength, inhibition : float
    inhibitory, cv, seed
        As in `distance_dependent`.

    Returns
    -------
    networkx.DiGraph

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    .. [1] Brunel (2000), Dynamics of sparsely connected networks of excitatory and inhibitory spiking neurons.
    .. [2] van Vreeswijk & Sompolinsky (1996), Chaos in neuronal networks with balanced excitation and inhibition.
    """
    _check(n, inhibitory, strength, cv)
    _positive("inhibition", inhibition)
    if not isinstance(n_synapses, (int, np.integer)) or not 1 <= n_synapses < n:
        raise ValueError(f"n_synapses must be an integer of at least 1 and below n = {n}, got {n_synapses!r}.")
    rng = np.random.default_rng(seed)
    position, types = _places(n, _box(n, ""), rng), _types(n, inhibitory, rng)
    pre = np.stack([rng.choice(n - 1, n_synapses, replace=False) for _ in range(n)])
    post = np.repeat(np.arange(n), n_synapses)
    pre = pre.ravel() + (pre.ravel() >= post)  # not from itself
    order = np.lexsort((post, pre))
    pre, post = pre[order], post[order]
    mean = strength / np.sqrt(n_synapses) * np.where(types[pre] == 0, 1.0, inhibition)
    weights = np.where(types[pre] == 0, 1.0, -1.0) * rng.gamma(1 / cv**2, mean * cv**2)
    return _with_edges(_nodes(position, types), pre, post, weights)


def small_world(
    n: int,
    n_neighbours: int,
    rewire: float = 0.1,
    w_scale: float = 1.0,
    *,
    inhibitory: float = 0.2,
    cv: float = 0.7,
    seed: int = 0,
) -> nx.DiGraph:
    """Connect neurons on a ring to their neighbours, and some to others anywhere (Watts-Strogatz, directed).

    Parameters
    ----------
    n : int
    n_neighbours : int
        Targets of each neuron, even and below n: half of them on either side.
    rewire : float
        Probability of each connection to get a new random target.
    w_scale, inhibitory, cv, seed
        As in `distance_dependent`.

    Returns
    -------
    networkx.DiGraph
        Positions are on a circle with neighbours at distance 1 (nearly).

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    .. [1] Watts & Strogatz (1998), Collective dynamics of small-world networks.
    """
    _check(n, inhibitory, w_scale, cv)
    _probability("rewire", rewire)
    if not isinstance(n_neighbours, (int, np.integer)) or n_neighbours % 2 or not 2 <= n_neighbours < n:
        raise ValueError(f"n_neighbours must be even, at least 2 and below n = {n}, got {n_neighbours!r}.")
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(n) / n
    position = n / (2 * np.pi) * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    types = _types(n, inhibitory, rng)
    steps = np.concatenate([np.arange(1, n_neighbours // 2 + 1), -np.arange(1, n_neighbours // 2 + 1)])
    pre = np.repeat(np.arange(n), n_neighbours)
    post = ((np.arange(n)[:, None] + steps) % n).ravel()
    moving = rng.random(len(pre)) < rewire
    while moving.any():  # those that meet another connection or themselves draw again
        post[moving] = rng.integers(0, n, moving.sum())
        order = np.lexsort((moving, post, pre))  # connections that stay come first among equals
        key = (pre * n + post)[order]
        again = np.zeros(len(pre), dtype=bool)
        again[order[1:]] = key[1:] == key[:-1]
        moving &= again | (post == pre)
    return _graph(position, types, pre, post, w_scale, cv, rng)


def clustered(
    n: int,
    tau_m: Any = (10, 20, 40, 80) * ms,
    lambda_: float | None = None,
    w_scale: float = 1.0,
    *,
    between: float = 0.1,
    shape: float = 3.0,
    preset: str = "nalsm",
    inhibitory: float = 0.2,
    cv: float = 0.7,
    seed: int = 0,
) -> nx.DiGraph:
    """Connect clusters, each a `distance_dependent` network with its own law of membrane time constants.

    Excitatory neurons of all clusters connect to the other clusters with ``between`` times the mean probability
    within clusters.

    Parameters
    ----------
    n : int
    tau_m : Quantity (second), array of shape (n_clusters,)
        Mean time constant of the excitatory neurons of each cluster; inhibitory ones have half of it. Each neuron
        draws its own from a gamma law, clipped to 2 ms at the least.
    lambda_, w_scale, preset, inhibitory, cv, seed
        As in `distance_dependent`.
    between : float
        Density between clusters relative to that within, in [0, 1].
    shape : float
        Shape of the gamma laws of tau_m.

    Returns
    -------
    networkx.DiGraph
        Nodes also carry ``cluster`` (int) and ``tau_m`` (seconds); clusters stand side by side.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales (CHRSNN).
    """
    fail_for_dimension_mismatch(tau_m, second, "tau_m must be times")
    means = np.atleast_1d(np.asarray(tau_m, dtype=float))
    _probability("between", between)
    _positive("shape", shape)
    if means.ndim != 1 or not (np.isfinite(means) & (means > 0)).all():
        raise ValueError(f"tau_m must be positive times, one a cluster, got {tau_m!r}.")
    sizes = [len(part) for part in np.array_split(np.arange(n), len(means))]
    options: dict[str, Any] = dict(preset=preset, inhibitory=inhibitory, cv=cv)
    parts = [
        distance_dependent(size, lambda_, w_scale, seed=child, **options)
        for size, child in zip(sizes, np.random.SeedSequence(seed).generate_state(len(means)).tolist(), strict=True)
    ]
    rng = np.random.default_rng([seed, 1])
    graph = nx.DiGraph()
    starts, shift = np.cumsum([0, *sizes]), 0.0
    for k, part in enumerate(parts):
        width = 1 + max(place[0] for _, place in part.nodes(data="position"))
        for node, data in part.nodes(data=True):
            mean = means[k] * (1 if data["type"] == "E" else 0.5)
            x, y, z = data["position"]
            tau = max(float(rng.gamma(shape, mean / shape)), 0.002)
            graph.add_node(int(starts[k]) + node, type=data["type"], position=(x + shift, y, z), cluster=k, tau_m=tau)
        shift += width
        graph.add_edges_from((int(starts[k]) + u, int(starts[k]) + v, data) for u, v, data in part.edges(data=True))
    within = graph.number_of_edges() / sum(size * (size - 1) for size in sizes)
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    types = np.array([kind == "I" for _, kind in graph.nodes(data="type")], dtype=int)
    pre, post = np.nonzero((types == 0)[:, None] & (cluster[:, None] != cluster))
    chosen = rng.random(len(pre)) < between * within
    _add_edges(graph, types, pre[chosen], post[chosen], w_scale, cv, rng)
    return graph


def project_inputs(
    graph: nx.DiGraph,
    n_inputs: int,
    weight: float = 1.0,
    *,
    fraction: float = 0.3,
    probability: float = 0.05,
    cv: float = 0.7,
    seed: int = 0,
) -> tuple[Index, Index, NDArray[np.float64]]:
    """Connect inputs to a random part of a network's neurons.

    A share ``fraction`` of the excitatory and of the inhibitory neurons may receive input; each pair of an input and
    such a neuron is connected with one probability. Inputs excite.

    Parameters
    ----------
    graph : networkx.DiGraph
        Nodes carry ``type``.
    n_inputs : int
    weight : float
        Mean weight; weights are gamma distributed.
    fraction, probability : float
        Share of neurons that receive input, and probability of each connection.
    cv : float
        Coefficient of variation of the weights.
    seed : int

    Returns
    -------
    i, j : array of int, shape (n_synapses,)
        Input, and place of the neuron in the order of the graph's nodes.
    w : array of shape (n_synapses,)
        Weights.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, section III.
    """
    if not isinstance(n_inputs, (int, np.integer)) or n_inputs < 1:
        raise ValueError(f"n_inputs must be an integer of at least 1, got {n_inputs!r}.")
    _probability("fraction", fraction)
    _probability("probability", probability)
    _positive("weight", weight)
    _positive("cv", cv)
    rng = np.random.default_rng(seed)
    inhibits = np.array([kind == "I" for _, kind in graph.nodes(data="type")])
    pool = [rng.permutation(np.flatnonzero(inhibits == kind)) for kind in (False, True)]
    targets = np.sort(np.concatenate([members[: round(fraction * len(members))] for members in pool]))
    i, j = np.nonzero(rng.random((n_inputs, len(targets))) < probability)
    return i, targets[j], rng.gamma(1 / cv**2, weight * cv**2, len(i))


def check_graph(graph: nx.DiGraph) -> None:
    """Refuse what is no graph of a recurrent network.

    A self-loop is a synapse of a neuron onto itself (an autapse), and acts as every other.

    Parameters
    ----------
    graph : networkx.DiGraph
        Edges run pre -> post with a finite ``weight``; nodes have ``type`` "E" (as they have without one) or "I".

    Raises
    ------
    TypeError
        If it has no directions or parallel edges, or is no graph of networkx.
    ValueError
        If it has no nodes, a node of another type, or an edge without a weight that is finite.
    """
    if not isinstance(graph, nx.Graph):
        raise TypeError(f"graph must be a networkx.DiGraph, got {type(graph).__name__}.")
    if graph.is_multigraph():
        raise TypeError(
            f"graph must have one edge at most from a node to another, got a {type(graph).__name__}. Add the weights "
            "of parallel edges up in a networkx.DiGraph."
        )
    if not graph.is_directed():
        raise TypeError(
            "graph must be directed, pre -> post. graph.to_directed() has a synapse each way for each edge."
        )
    if not len(graph):
        raise ValueError("graph has no nodes: a reservoir needs one neuron at least. hrsnn.topology makes graphs.")
    for node, kind in graph.nodes(data="type", default="E"):
        if kind not in ("E", "I"):
            raise ValueError(f"Node {node!r} has type {kind!r}. It must be 'E' (excites) or 'I' (inhibits).")
    for u, v, weight in graph.edges(data="weight"):
        if weight is None:
            raise ValueError(f"Edge {u!r} -> {v!r} has no attribute 'weight'. Give each edge one.")
        if not np.isfinite(weight):
            raise ValueError(f"Edge {u!r} -> {v!r} has weight {weight!r}. Weights must be finite.")


def _graph(
    position: NDArray, types: Index, pre: Index, post: Index, w_scale: float, cv: float, rng: np.random.Generator
) -> nx.DiGraph:
    graph = _nodes(position, types)
    _add_edges(graph, types, pre, post, w_scale, cv, rng)
    return graph


def _nodes(position: NDArray, types: Index) -> nx.DiGraph:
    graph = nx.DiGraph()
    kinds = np.array(["E", "I"])[types].tolist()
    places = map(tuple, position.tolist())
    graph.add_nodes_from(
        (k, {"type": kind, "position": place}) for k, (kind, place) in enumerate(zip(kinds, places, strict=True))
    )
    return graph


def _with_edges(graph: nx.DiGraph, pre: Index, post: Index, weights: NDArray) -> nx.DiGraph:
    graph.add_weighted_edges_from(zip(pre.tolist(), post.tolist(), weights.tolist(), strict=True))
    return graph


def _add_edges(
    graph: nx.DiGraph, types: Index, pre: Index, post: Index, w_scale: float, cv: float, rng: np.random.Generator
) -> None:
    mean = w_scale * np.reshape([MEAN_WEIGHT[kind] for kind in KINDS], (2, 2))[types[pre], types[post]]
    weights = np.where(types[pre] == 0, 1.0, -1.0) * rng.gamma(1 / cv**2, mean * cv**2)
    _with_edges(graph, pre, post, weights)


def _types(n: int, inhibitory: float, rng: np.random.Generator) -> Index:
    """Return 0 for excitatory and 1 for inhibitory neurons."""
    types = np.zeros(n, dtype=np.int64)
    types[rng.permutation(n)[: round(inhibitory * n)]] = 1
    return types


def _box(n: int, preset: str) -> tuple[int, ...]:
    if preset == "maass":
        return (-(-n // 9), 3, 3)
    sides = [
        (n // (a * b), b, a)
        for a in range(1, round(n ** (1 / 3)) + 1)
        if n % a == 0
        for b in range(a, int((n // a) ** 0.5) + 1)
        if (n // a) % b == 0
    ]
    best = min(sides, key=sum)
    side = int(np.ceil(n ** (1 / 3) - 1e-9))
    return best if best[0] <= 3 * best[2] else (side, side, side)


def _places(n: int, grid: tuple[int, ...], rng: np.random.Generator) -> Index:
    if len(grid) != 3 or not all(isinstance(side, (int, np.integer)) and side >= 1 for side in grid):
        raise ValueError(f"grid must be three integers of at least 1, got {grid!r}.")
    room = int(np.prod(grid))
    if room < n:
        raise ValueError(f"grid {grid} has {room} places, too few for {n} neurons.")
    chosen = np.arange(n) if room == n else np.sort(rng.choice(room, n, replace=False))
    return np.stack(np.unravel_index(chosen, grid), axis=1)


def _check(n: int, inhibitory: float, w_scale: float, cv: float) -> None:
    if not isinstance(n, (int, np.integer)) or n < 2:
        raise ValueError(f"n must be an integer of at least 2, got {n!r}.")
    _probability("inhibitory", inhibitory)
    _positive("w_scale", w_scale)
    _positive("cv", cv)


def _probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be in [0, 1], got {value!r}.")


def _positive(name: str, value: float) -> float:
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be positive and finite, got {value!r}.")
    return float(value)
