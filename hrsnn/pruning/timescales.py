"""Step IV: new membrane time constants, chosen by the Lyapunov spectrum alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from hrsnn.pruning.graphs import edges_of, node_values
from hrsnn.pruning.lyapunov import LyapunovSpectrum, rate_spectrum
from hrsnn.pruning.rates import RateNetwork

__all__ = ["SearchResult", "Timescales", "optimize_timescales", "scipy_search", "set_tau_m", "spectrum_distance"]

Laws = Mapping[str, Mapping[str, float]]
Space = Mapping[str, Mapping[str, tuple[float, float]]]

SPACE: Space = {
    "excitatory": {"mean": (0.005, 0.100), "shape": (1.0, 20.0)},
    "inhibitory": {"mean": (0.002, 0.060), "shape": (1.0, 20.0)},
}
CLIP = {"excitatory": (0.003, 0.100), "inhibitory": (0.002, 0.060)}


class SearchResult(NamedTuple):
    """Best laws found by a search, and the value of the objective there."""

    x: Laws
    fun: float


class Timescales(NamedTuple):
    """Outcome of `optimize_timescales`.

    Attributes
    ----------
    graph : networkx.DiGraph
        Graph with new ``tau_m``.
    laws : mapping
        "excitatory" and "inhibitory" -> mean (second) and shape of the gamma law.
    fun : float
        Objective in 1/ms, the smaller the better.
    before : float
        Objective of the time constants the graph came with.
    """

    graph: nx.DiGraph
    laws: Laws
    fun: float
    before: float


def spectrum_distance(a: NDArray, n_a: int, b: NDArray, n_b: int) -> float:
    """Wasserstein-2 distance of two Lyapunov spectra, over the upper part that both know.

    Parameters
    ----------
    a, b : array of shape (k_a,), (k_b,)
        Leading exponents.
    n_a, n_b : int
        Dimensions of the two systems; the spectrum is full if k equals n.

    Returns
    -------
    float
        Distance in the unit of the exponents.
    """
    upper = min(len(a) / n_a, len(b) / n_b)
    grid = np.unique(np.concatenate([np.arange(len(a) + 1) / n_a, np.arange(len(b) + 1) / n_b, [upper]]))
    grid = grid[grid <= upper]
    middle = (grid[1:] + grid[:-1]) / 2
    pick_a = np.minimum((middle * n_a).astype(int), len(a) - 1)
    pick_b = np.minimum((middle * n_b).astype(int), len(b) - 1)
    gap = np.sort(a)[::-1][pick_a] - np.sort(b)[::-1][pick_b]
    return float(np.sqrt(np.sum(np.diff(grid) * gap**2) / upper))


def optimize_timescales(
    graph: nx.DiGraph,
    reference: LyapunovSpectrum,
    n_calls: int = 30,
    optimizer: Callable[..., Any] | None = None,
    target: float = -2.0,
    space: Space = SPACE,
    n_steps: int = 500,
    seed: int = 0,
    **network: Any,
) -> Timescales:
    """Choose gamma laws of tau_m so that the spectrum resembles that of the unpruned network.

    Minimises ``W_2(spectrum, reference) + 10 max(0, lambda_max) + |lambda_max - target|``. Neurons keep their order:
    each takes the quantile of the new law that it has among the old time constants of its type (at random among
    equals).

    Parameters
    ----------
    graph : networkx.DiGraph
        Pruned network. Not changed.
    reference : LyapunovSpectrum
        Spectrum of the network before pruning (`lyapunov_spectrum`).
    n_calls : int
        Evaluations, at least 1.
    optimizer : callable, optional
        ``optimizer(objective, space, n_calls, seed)`` returns an object with the best laws `x` and their value `fun`;
        ``objective(laws)`` takes ``{type: {"mean": .., "shape": ..}}`` and the space holds a (low, high) in place of
        each number. If None, `scipy_search` from the moments of the old time constants.
    target : float
        Largest exponent aimed at, in 1/s.
    space : mapping
        Bounds of mean (second) and shape for the types "excitatory" and "inhibitory".
    n_steps : int
        Steps of each spectrum (500 warm-up steps come before).
    seed : int
        Seed of the quantiles, the noise and the search.
    **network
        Options of `RateNetwork.from_graph`.

    Returns
    -------
    Timescales
        New graph, its laws and objective. The old time constants stay if no candidate was better; laws is then empty.

    Raises
    ------
    ValueError
        If `n_calls` is below 1.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, section V, step IV.
    """
    if n_calls < 1:
        raise ValueError(f"n_calls must be at least 1, got {n_calls!r}.")
    nodes, edges = edges_of(graph)
    inhibitory = edges.inhibitory()
    members = {"excitatory": ~inhibitory, "inhibitory": inhibitory}
    searched = {kind: dict(bounds) for kind, bounds in space.items() if members[kind].any()}
    n_reference = len(reference.participation)
    options = {name: value for name, value in network.items() if name != "tau_m"}

    def value(tau_m: NDArray) -> float:
        candidate = set_tau_m(graph, dict(zip(nodes, tau_m.tolist(), strict=True)))
        spectrum = rate_spectrum(RateNetwork.from_graph(candidate, **options), None, n_steps, seed=seed)
        largest = float(spectrum.exponents.max())
        distance = spectrum_distance(spectrum.exponents, edges.n, reference.exponents, n_reference)
        return (distance + 10 * max(0.0, largest) + abs(largest - target)) / 1000

    def time_constants(laws: Laws) -> NDArray:
        tau_m = start.copy()
        for kind, law in laws.items():
            drawn = stats.gamma(law["shape"], scale=law["mean"] / law["shape"]).ppf(quantiles[members[kind]])
            tau_m[members[kind]] = np.clip(drawn, *CLIP[kind])
        return tau_m

    start = node_values(graph, "tau_m", network.get("tau_m", 0.020))
    quantiles = np.empty(edges.n)
    rng = np.random.default_rng(seed)
    old: dict[str, dict[str, float]] = {}
    for kind in searched:
        tau = start[members[kind]]
        rank = np.argsort(np.lexsort((rng.uniform(size=len(tau)), tau)))
        quantiles[members[kind]] = (rank + 0.5) / len(tau)
        old[kind] = {"mean": float(tau.mean()), "shape": float(tau.mean() ** 2 / max(tau.var(), 1e-12))}
    before = value(start)
    search = functools.partial(scipy_search, start=old) if optimizer is None else optimizer
    result = search(lambda laws: value(time_constants(laws)), searched, n_calls, seed)
    if not result.fun < before:
        return Timescales(set_tau_m(graph, {}), {}, before, before)
    new = dict(zip(nodes, time_constants(result.x).tolist(), strict=True))
    return Timescales(set_tau_m(graph, new), result.x, float(result.fun), before)


def scipy_search(
    objective: Callable[[Laws], float], space: Space, n_calls: int, seed: int, start: Laws | None = None
) -> SearchResult:
    """Search the laws with Nelder and Mead's simplex on logarithmic axes.

    Parameters
    ----------
    objective : callable
        ``objective(laws)`` to be minimised.
    space : mapping
        Type -> argument -> (low, high), positive.
    n_calls : int
        Evaluations at most.
    seed : int
        Seed of the first simplex.
    start : mapping, optional
        Laws around which the simplex lies, brought into the space; a random point of it if None.

    Returns
    -------
    SearchResult
        Best laws evaluated and their value.
    """
    names = [(kind, name) for kind, bounds in space.items() for name in bounds]
    low, high = np.log([space[kind][name] for kind, name in names]).T
    best = SearchResult({}, np.inf)

    def laws_at(x: NDArray) -> dict[str, dict[str, float]]:
        laws: dict[str, dict[str, float]] = {kind: {} for kind in space}
        for (kind, name), value in zip(names, np.exp(low + x * (high - low)), strict=True):
            laws[kind][name] = float(value)
        return laws

    def evaluate(x: NDArray) -> float:
        nonlocal best
        laws = laws_at(np.clip(x, 0, 1))
        fun = float(objective(laws))
        if fun < best.fun:
            best = SearchResult(laws, fun)
        return fun

    centre = np.random.default_rng(seed).uniform(0.2, 0.8, size=len(names))
    if start is not None:
        centre = np.clip((np.log([start[kind][name] for kind, name in names]) - low) / (high - low), 0.0, 1.0)
    step = np.where(centre > 0.5, -0.2, 0.2)  # towards the middle of the space
    simplex = np.vstack([centre, centre + np.diag(step)])
    optimize.minimize(
        evaluate,
        simplex[0],
        method="Nelder-Mead",
        bounds=[(0, 1)] * len(names),
        options={"maxfev": n_calls, "initial_simplex": simplex},
    )
    return best


def set_tau_m(graph: nx.DiGraph, tau_m: Mapping[Any, float]) -> nx.DiGraph:
    """Return the graph with new membrane time constants.

    Parameters
    ----------
    graph : networkx.DiGraph
        Any graph. Not changed.
    tau_m : mapping
        Node -> seconds; other nodes keep theirs. A node that carried a Quantity gets one again.

    Returns
    -------
    networkx.DiGraph
        Copy of the graph.
    """
    copy = graph.copy()
    for node, value in tau_m.items():
        old = graph.nodes[node].get("tau_m")
        has_unit = getattr(old, "dim", None) is not None
        copy.nodes[node]["tau_m"] = old * (value / float(np.asarray(old))) if has_unit else value
    return copy
