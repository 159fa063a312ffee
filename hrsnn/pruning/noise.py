"""Step I, noise pruning: keep each synapse by its share of the noise covariance."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hrsnn.pruning.covariance import covariance
from hrsnn.pruning.graphs import Edges, edges_of, graph_of, node_values
from hrsnn.pruning.lyapunov import node_exponents, rate_spectrum
from hrsnn.pruning.rates import RateNetwork

__all__ = [
    "check_strength",
    "edge_scores",
    "edge_strengths",
    "keep_probabilities",
    "linear_dynamics",
    "lyapunov_matrix",
    "lyapunov_noise",
    "matched_leak",
    "sample_edges",
]

STRENGTHS = ("lyapunov", "weight", "product")
RTOL = 1e-5  # of the covariance: far below what the sampling could show


def lyapunov_matrix(edges: Edges, exponents: NDArray, floor: float = 1e-3) -> NDArray[np.float64]:
    """Harmonic mean of the node exponents around each edge, with the sign of its weight.

    ``L_ij = sign(w_ij) n_ij / sum_k 1 / |lambda_k|`` over the union of the neighbours of i and j.

    Parameters
    ----------
    edges : Edges
        The network.
    exponents : array of shape (n,)
        Exponent of each node in 1/s; only magnitudes count.
    floor : float
        Smallest magnitude, as a fraction of the median one.

    Returns
    -------
    array of shape (n_edges,)
        L of each edge in 1/s; 0 for self-loops and zero weights.

    Raises
    ------
    ValueError
        If the exponents do not fit the nodes, are not finite, or are all zero.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, eq. 13.
    """
    magnitude = np.abs(np.asarray(exponents, dtype=float))
    if magnitude.shape != (edges.n,) or not np.isfinite(magnitude).all():
        raise ValueError(f"exponents must be {edges.n} finite numbers, one a node, got shape {magnitude.shape}.")
    if not magnitude.any():
        raise ValueError("All Lyapunov exponents are zero. Simulate longer, or check the time constants.")
    typical = float(np.median(magnitude)) or float(magnitude.mean())
    inverse = 1 / np.maximum(magnitude, floor * typical)
    near = edges.neighbours()
    degree, around = near.sum(axis=1), near @ inverse
    common, shared = _common_neighbours(edges, near, inverse)
    i, j = edges.post, edges.pre
    count = degree[i] + degree[j] - common
    total = around[i] + around[j] - shared
    values = np.zeros(len(edges))
    real = i != j
    values[real] = np.sign(edges.weight[real]) * count[real] / total[real]
    return values


def edge_strengths(edges: Edges, strength: str, exponents: NDArray | None = None) -> NDArray[np.float64]:
    """Signed strength of each edge in the linearised dynamics.

    Parameters
    ----------
    edges : Edges
        The network.
    strength : {"lyapunov", "weight", "product"}
        Lyapunov matrix (the source's), weights (Moore & Chaudhuri), or the product of their magnitudes.
    exponents : array of shape (n,), optional
        Exponent of each node; not needed for "weight".

    Returns
    -------
    array of shape (n_edges,)
        Strengths; 0 for self-loops and zero weights.

    Raises
    ------
    ValueError
        If `strength` is unknown, exponents are missing, or no strength differs from zero.
    """
    check_strength(edges, strength)
    if strength == "weight":
        values = np.where(edges.pre == edges.post, 0.0, edges.weight)
    elif exponents is None:
        raise ValueError(f"strength {strength!r} needs the exponents of the nodes.")
    else:
        values = lyapunov_matrix(edges, exponents)
        if strength == "product":
            values *= np.abs(edges.weight)
    return values


def check_strength(edges: Edges, strength: str) -> None:
    """Refuse an unknown kind of strength, and a network of which all strengths are zero."""
    if strength not in STRENGTHS:
        raise ValueError(f"strength must be one of {', '.join(STRENGTHS)}, got {strength!r}.")
    if not edges.weight[edges.pre != edges.post].any():
        raise ValueError("All weights between different neurons are zero, so no synapse is worth keeping.")


def linear_dynamics(
    edges: Edges, strengths: NDArray, delta: float = 0.1
) -> tuple[sparse.csr_array, NDArray[np.float64]]:
    """Linearise the network as ``A = -D + L`` with a leak that dominates the inputs.

    Parameters
    ----------
    edges : Edges
        The network.
    strengths : array of shape (n_edges,)
        Off-diagonal entries.
    delta : float
        Excess of the leak, ``D_i = (1 + delta) sum_j |L_ij|``, positive. Neurons without input take the median leak
        of the others.

    Returns
    -------
    dynamics : sparse array of shape (n, n)
        A, ``A[i, j]`` from j to i; stable.
    leak : array of shape (n,)
        D, positive.

    Raises
    ------
    ValueError
        If `delta` is not positive.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, eq. 14.
    """
    if not delta > 0:
        raise ValueError(f"delta must be positive (0 is singular for an excitatory network), got {delta!r}.")
    load = np.bincount(edges.post, weights=np.abs(strengths), minlength=edges.n)
    leak = (1 + delta) * np.where(load > 0, load, np.median(load[load > 0]))
    return sparse.csr_array(edges.matrix(strengths) - sparse.diags_array(leak)), leak


def edge_scores(edges: Edges, strengths: NDArray, covariances: NDArray) -> NDArray[np.float64]:
    """Score of each edge, ``|L_ij| (C_ii + C_jj - 2 sign(w_ij) C_ij)``.

    Parameters
    ----------
    edges : Edges
        The network.
    strengths : array of shape (n_edges,)
        Signed strengths.
    covariances : array of shape (n, n)
        Noise covariance C.

    Returns
    -------
    array of shape (n_edges,)
        Scores, not negative; proportional to the keep probabilities.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, eq. 16.
    """
    variance = np.diag(covariances)
    i, j = edges.post, edges.pre
    spread = variance[i] + variance[j] - 2 * np.sign(strengths) * covariances[i, j]
    return np.abs(strengths) * np.maximum(spread, 0)


def keep_probabilities(scores: NDArray, n_keep: float) -> NDArray[np.float64]:
    """Scale scores to probabilities, clipped at 1, whose sum is the expected number of edges.

    Parameters
    ----------
    scores : array of shape (n_edges,)
        Scores, not negative.
    n_keep : float
        Expected number of edges kept. If fewer scores are positive, those edges are kept for sure.

    Returns
    -------
    array of shape (n_edges,)
        ``min(1, rho * score)`` with the rho that solves the density.

    Raises
    ------
    ValueError
        If a score is negative or not finite, none is positive, or `n_keep` is not positive.
    """
    scores = np.asarray(scores, dtype=float)
    if not (np.isfinite(scores) & (scores >= 0)).all() or not scores.any():
        raise ValueError("scores must be finite, not negative and not all zero.")
    if not n_keep > 0:
        raise ValueError(f"n_keep must be positive, got {n_keep!r}.")
    if np.count_nonzero(scores) <= n_keep:
        return (scores > 0).astype(float)
    scores = scores / scores.max()
    ranked = np.sort(scores[scores > 0])[::-1]
    rest = np.cumsum(ranked[::-1])[::-1]  # sum of the scores from rank m on, if the first m are clipped
    with np.errstate(over="ignore"):
        rho = (n_keep - np.arange(len(ranked))) / rest
        fits = (rho > 0) & (ranked * rho <= 1)
    return np.minimum(1, scores * rho[np.argmax(fits)])


def sample_edges(edges: Edges, probabilities: NDArray, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw the edges that stay, each on its own; of a symmetric network both directions together.

    Parameters
    ----------
    edges : Edges
        The network.
    probabilities : array of shape (n_edges,)
        Keep probabilities. Self-loops always stay.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    bool array of shape (n_edges,)
        True for the edges kept.
    """
    draws = rng.random(len(edges))
    matrix = edges.matrix()
    if abs(matrix - matrix.T).max() == 0:
        pair = np.minimum(edges.pre, edges.post) * edges.n + np.maximum(edges.pre, edges.post)
        first, inverse = np.unique(pair, return_index=True, return_inverse=True)[1:]
        draws = draws[first][inverse]
    return (draws < probabilities) | (edges.pre == edges.post)


def matched_leak(edges: Edges, leak: NDArray, strengths: NDArray, kept: NDArray, rescaled: NDArray) -> NDArray:
    """Leak that keeps each row's dominance after pruning, ``D_i + sum |A_ij^sparse| - sum |A_ij|``.

    Parameters
    ----------
    edges : Edges
        The network before pruning.
    leak, strengths : array of shape (n,) and (n_edges,)
        Its leak and strengths.
    kept : bool array of shape (n_edges,)
        Edges that stay.
    rescaled : array of shape (number kept,)
        Their new strengths.

    Returns
    -------
    array of shape (n,)
        New leak.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, section V, step I.
    """
    before = np.bincount(edges.post, weights=np.abs(strengths), minlength=edges.n)
    after = np.bincount(edges.post[kept], weights=np.abs(rescaled), minlength=edges.n)
    return leak + (after - before)


def lyapunov_noise(
    graph: nx.DiGraph,
    keep: float,
    strength: str = "lyapunov",
    rescale: bool = True,
    cap: float = 5.0,
    delta: float = 0.1,
    n_exponents: int | None = None,
    seed: int | None = None,
    **network: Any,
) -> nx.DiGraph:
    """Sample synapses by their share of the noise covariance.

    Synapse i -> j stays with probability proportional to |L_ij| (C_ii + C_jj - 2 sign(w_ij) C_ij), where
    A C + C A^T = -I and A = -D + L; the weight of a kept synapse is divided by its probability, so that the mean over
    draws is the original network.

    Parameters
    ----------
    graph : networkx.DiGraph
        Edges run pre -> post with attribute ``weight``. Not changed.
    keep : float
        Expected fraction of synapses kept, 0 < keep <= 1.
    strength : {"lyapunov", "weight", "product"}
        What L holds (see `edge_strengths`).
    rescale : bool
        Divide kept weights by their probability.
    cap : float
        Largest magnitude of a rescaled weight, in units of the largest weight of `graph`.
    delta : float
        Excess of the leak over the inputs (see `linear_dynamics`).
    n_exponents : int, optional
        Number of leading exponents; None takes all up to 1000 neurons and 128 above.
    seed : int, optional
        Seed of the exponents' noise and of the sampling; fresh entropy if None.
    **network
        Options of `RateNetwork.from_graph`, such as tau_m for nodes without that attribute.

    Returns
    -------
    networkx.DiGraph
        Same nodes, fewer edges.

    Raises
    ------
    ValueError
        If `keep` is out of range, the graph has no edge, or all weights are zero.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, section V, step I.
    .. [2] Moore & Chaudhuri (2020), Using noise to probe recurrent neural network structure and prune synapses.
    """
    if not 0 < keep <= 1:
        raise ValueError(f"keep must be in (0, 1], got {keep!r}.")
    nodes, edges = edges_of(graph)
    check_strength(edges, strength)
    exponents = None
    rng = np.random.default_rng(seed)
    if strength != "weight":
        rates = RateNetwork.from_graph(graph, **network)
        spectrum = rate_spectrum(rates, n_exponents, seed=int(rng.integers(2**32)))
        exponents = node_exponents(spectrum, node_values(graph, "tau_m", network.get("tau_m", 0.020)))
    strengths = edge_strengths(edges, strength, exponents)
    dynamics, _ = linear_dynamics(edges, strengths, delta)
    p = keep_probabilities(edge_scores(edges, strengths, covariance(dynamics, rtol=RTOL)), keep * len(edges))
    kept = sample_edges(edges, p, rng)
    return graph_of(graph, nodes, edges.take(kept, rescaled_weights(edges, p, kept, rescale, cap)))


def rescaled_weights(
    edges: Edges, probabilities: NDArray, kept: NDArray, rescale: bool, cap: float, largest: float | None = None
) -> NDArray[np.float64]:
    """Weights of the kept edges, divided by their probability and capped at `cap` times the largest weight."""
    if not rescale:
        return edges.weight[kept]
    limit = cap * (np.abs(edges.weight).max() if largest is None else largest)
    loops = edges.pre[kept] == edges.post[kept]
    weight = edges.weight[kept] / np.where(loops, 1.0, probabilities[kept])
    return np.clip(weight, -limit, limit)


def _common_neighbours(edges: Edges, near: sparse.csr_array, inverse: NDArray) -> tuple[NDArray, NDArray]:
    """For each edge the number of common neighbours and the sum of `inverse` over them."""
    weighted = sparse.csr_array(near @ sparse.diags_array(inverse))
    if near.nnz > 0.02 * near.shape[0] ** 2:  # dense products are faster; row blocks bound the memory
        near, weighted = near.toarray(), weighted.toarray()
    common, shared = np.empty(len(edges)), np.empty(len(edges))
    order = np.argsort(edges.post, kind="stable")
    for start in range(0, edges.n, 512):
        low, high = np.searchsorted(edges.post[order], [start, start + 512])
        chosen = order[low:high]
        i, j = edges.post[chosen] - start, edges.pre[chosen]
        rows = near[start : start + 512]
        for product, out in ((rows @ near, common), (rows @ weighted.T, shared)):
            block = product if isinstance(product, np.ndarray) else product.toarray()
            out[chosen] = block[i, j]
    return common, shared
