"""Lyapunov noise pruning as a whole: iterations of steps I and II, then steps III and IV."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hrsnn.checks import check_integer
from hrsnn.pruning.betweenness import edge_list_betweenness, node_numbers, select_nodes
from hrsnn.pruning.covariance import covariance
from hrsnn.pruning.delocalize import delocalize
from hrsnn.pruning.graphs import Edges, edges_of, graph_of
from hrsnn.pruning.history import load_state, record, save_state
from hrsnn.pruning.lyapunov import LyapunovSpectrum, node_exponents, rate_spectrum
from hrsnn.pruning.noise import (
    RTOL,
    STRENGTHS,
    check_strength,
    edge_scores,
    edge_strengths,
    keep_probabilities,
    linear_dynamics,
    matched_leak,
    rescaled_weights,
    sample_edges,
)
from hrsnn.pruning.rates import RateNetwork
from hrsnn.pruning.timescales import CLIP, optimize_timescales, set_tau_m

__all__ = ["LyapunovNoisePruning", "lyapunov_noise_pruning"]

PATIENCE = 5  # idle iterations before stopping
IDLE = 1e-3  # largest relative change of an idle iteration


@dataclass(frozen=True)
class _State:
    """Where the iterations stand; `nodes` numbers the nodes of the original graph."""

    iteration: int
    nodes: NDArray[np.intp]
    edges: Edges
    tau_m: NDArray[np.float64]
    lost: float  # fraction of synapses that went with the neurons of the last iteration
    idle: int
    n_sampled: int = 0  # synapses that step I removed in this iteration


class LyapunovNoisePruning:
    """Prune a recurrent network without looking at any task.

    Each iteration samples the synapses by their share of the noise covariance (step I) and removes the neurons of
    lowest betweenness (step II). After iteration t of T a fraction ``keep_neurons^(t/T)`` of the neurons is left;
    `schedule` says how the synapses follow. At the end, a few delocalising edges are added (step III) and the time
    constants are chosen anew (step IV).

    Parameters
    ----------
    keep_synapses, keep_neurons : float
        Fractions left after the last iteration, in (0, 1]; of synapses as `schedule` says.
    n_iterations : int
        Iterations. Fewer if 5 in a row change less than 0.1 %, or if the next one would leave no synapse.
    schedule : {"total", "sampled"}
        "total": ``keep_synapses^(t/T)`` of all synapses are left after both steps. Synapses that are expected to go
        with their neurons are not sampled away as well; where removing neurons alone overshoots, step I rests and
        fewer synapses remain than asked for. "sampled": step I keeps ``keep_synapses^(1/T)`` of the synapses in each
        iteration, whatever goes with the neurons afterwards.
    strength : {"lyapunov", "weight", "product"}
        Edge strength of step I (`edge_strengths`).
    diagonal : {"original", "matched"}
        "matched" turns the change of each neuron's total input into a change of its membrane time constant,
        ``tau_m D / D_sparse``.
    rescale : bool
        Divide kept weights by their probability, up to 5 times the largest weight of the unpruned network.
    prune_synapses, prune_neurons, add_edges, tune_timescales : bool
        Switches of steps I, II, III and IV.
    inputs, readouts : iterable of nodes
        Neurons that receive input, and neurons that are read out; one of each always stays.
    delta : float
        Excess of the leak in the linearised dynamics.
    n_exponents : int
        Leading Lyapunov exponents used in the iterations; smaller networks use all.
    n_steps : int
        Steps of 1 ms over which exponents are averaged, after as many that are not.
    n_pivots : int, optional
        Sources of the betweenness; None is exact up to 1000 neurons and takes 256 above.
    optimizer : callable, optional
        Search of step IV (`optimize_timescales`).
    network : dict, optional
        Options of `RateNetwork.from_graph`: tau_m, tau_syn, rate, t_ref, v_thresh, noise, dt, gain (None: found
        once, for the unpruned network).
    seed : int
        Seed of everything random.

    Attributes
    ----------
    history_ : list of dict
        One record an iteration, the unpruned network first: iteration, n_neurons, n_synapses, n_sampled (synapses
        removed by step I; the others went with their neurons), sops (synaptic operations a second at the operating
        point), exponents (1/s), and mean and shape of the gamma laws of tau_m and |weight| by type. Steps III and IV
        append a record each, told apart by "step".
    gain_ : float
        Gain of the rate network, the same in all iterations.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, section V and VI-F.
    """

    def __init__(
        self,
        keep_synapses: float = 0.05,
        keep_neurons: float = 0.07,
        n_iterations: int = 100,
        schedule: str = "total",
        strength: str = "lyapunov",
        diagonal: str = "original",
        rescale: bool = True,
        prune_synapses: bool = True,
        prune_neurons: bool = True,
        add_edges: bool = True,
        tune_timescales: bool = True,
        inputs: Iterable[Hashable] = (),
        readouts: Iterable[Hashable] = (),
        delta: float = 0.1,
        n_exponents: int = 128,
        n_steps: int = 500,
        n_pivots: int | None = None,
        optimizer: Callable[..., Any] | None = None,
        network: dict[str, Any] | None = None,
        seed: int = 0,
    ):
        for name, value in (("keep_synapses", keep_synapses), ("keep_neurons", keep_neurons)):
            if not 0 < value <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {value!r}.")
        check_integer("n_iterations", n_iterations, 1)
        if schedule not in ("total", "sampled"):
            raise ValueError(f"schedule must be total or sampled, got {schedule!r}.")
        if strength not in STRENGTHS:
            raise ValueError(f"strength must be one of {', '.join(STRENGTHS)}, got {strength!r}.")
        if diagonal not in ("original", "matched"):
            raise ValueError(f"diagonal must be original or matched, got {diagonal!r}.")
        self.keep_synapses = keep_synapses
        self.keep_neurons = keep_neurons
        self.n_iterations = n_iterations
        self.schedule = schedule
        self.strength = strength
        self.diagonal = diagonal
        self.rescale = rescale
        self.prune_synapses = prune_synapses
        self.prune_neurons = prune_neurons
        self.add_edges = add_edges
        self.tune_timescales = tune_timescales
        self.inputs = inputs
        self.readouts = readouts
        self.delta = delta
        self.n_exponents = n_exponents
        self.n_steps = n_steps
        self.n_pivots = n_pivots
        self.optimizer = optimizer
        self.network = network
        self.seed = seed
        self.history_: list[dict[str, Any]] = []
        self.gain_: float | None = None

    def __repr__(self) -> str:
        """Return the arguments that differ from their defaults."""
        defaults = {name: p.default for name, p in inspect.signature(type(self)).parameters.items()}
        given = [f"{n}={getattr(self, n)!r}" for n, default in defaults.items() if getattr(self, n) is not default]
        return f"LyapunovNoisePruning({', '.join(given)})"

    def prune(self, graph: nx.DiGraph, checkpoint: str | Path | None = None) -> nx.DiGraph:
        """Prune a graph with all iterations and steps.

        Parameters
        ----------
        graph : networkx.DiGraph
            Edges run pre -> post with ``weight``, negative for inhibition; nodes may carry ``tau_m`` and ``tau_syn``
            (Quantity or seconds). Not changed.
        checkpoint : path, optional
            File written after each iteration. If it exists, the pruning goes on from there, with the same result as
            one that was never interrupted.

        Returns
        -------
        networkx.DiGraph
            Remaining neurons with their attributes, and synapses with new weights.

        Raises
        ------
        ValueError
            If the graph has no edge, only zero weights, or the checkpoint belongs to another run.
        """
        pruned = graph
        steps = self.iterate(graph, checkpoint)
        for network in tqdm(steps, desc="pruning", total=self.n_iterations, unit="iteration", disable=None):
            pruned = network
        return pruned

    def iterate(self, graph: nx.DiGraph, checkpoint: str | Path | None = None) -> Iterator[nx.DiGraph]:
        """Prune step by step.

        Parameters
        ----------
        graph : networkx.DiGraph
            As in `prune`.
        checkpoint : path, optional
            As in `prune`; iterations already in the file are not yielded again.

        Yields
        ------
        networkx.DiGraph
            The network after each iteration, and at last after steps III and IV if they are switched on.
        """
        names, original = edges_of(graph)
        check_strength(original, self.strength)
        alive = [node_numbers(names, self.inputs, "inputs"), node_numbers(names, self.readouts, "readouts")]
        self.gain_ = None
        start = RateNetwork.from_graph(graph, **self._options)
        self.gain_, tau_m, tau_syn = start.gain, start.tau_m, start.tau_syn
        state = _State(0, np.arange(original.n), original, tau_m, np.nan, 0)
        key = self._key(original, tau_m)
        resumed = load_state(checkpoint, key) if checkpoint is not None else None
        if resumed is not None:
            arrays, self.history_ = resumed
            edges = Edges(len(arrays["nodes"]), arrays["pre"], arrays["post"], arrays["weight"])
            state = _State(
                int(arrays["iteration"]),
                arrays["nodes"],
                edges,
                arrays["tau_m"],
                float(arrays["lost"]),
                int(arrays["idle"]),
            )
        spectrum = self._spectrum(state, tau_syn)
        if resumed is None:
            self.history_ = [record(0, state.edges, state.tau_m, spectrum)]
        current = graph if state.iteration == 0 else self._graph(graph, names, state)
        while state.iteration < self.n_iterations and state.idle < PATIENCE:
            after = self._iteration(state, spectrum, original, alive)
            if not len(after.edges):
                break
            state = after
            spectrum = self._spectrum(state, tau_syn)
            entry = record(state.iteration, state.edges, state.tau_m, spectrum)
            self.history_.append(entry | {"n_sampled": state.n_sampled})
            if checkpoint is not None:
                save_state(checkpoint, key, self.history_, **_arrays(state))
            current = self._graph(graph, names, state)
            yield current
        if self.add_edges or self.tune_timescales:
            yield self._finish(graph, current)

    def _iteration(
        self, state: _State, spectrum: LyapunovSpectrum, original: Edges, alive: list[NDArray[np.intp]]
    ) -> _State:
        """Run steps I and II once."""
        t = state.iteration + 1
        rng = np.random.default_rng([self.seed, t, 0])
        edges, tau_m, nodes = state.edges, state.tau_m, state.nodes
        n_neurons = max(1, round(original.n * self.keep_neurons ** (t / self.n_iterations)))
        removal = max(0.0, 1 - n_neurons / edges.n) if self.prune_neurons else 0.0
        if self.prune_synapses:
            if self.schedule == "total":
                lost = 2 * removal if np.isnan(state.lost) else state.lost
                goal = len(original) * self.keep_synapses ** (t / self.n_iterations) / (1 - min(lost, 0.9))
            else:
                goal = len(edges) * self.keep_synapses ** (1 / self.n_iterations)
            if goal < len(edges):
                edges, tau_m = self._sample(edges, tau_m, spectrum, goal, rng, np.abs(original.weight).max())
        kept = np.arange(edges.n)
        if removal > 0 and len(edges):
            values = edge_list_betweenness(edges, self.n_pivots, seed=int(rng.integers(2**31)))
            groups = [np.flatnonzero(np.isin(nodes, group)) for group in alive]
            kept = select_nodes(edges, values, n_neurons, groups)
        after = edges.subgraph(kept)
        lost = 1 - len(after) / len(edges) if len(edges) else 0.0
        change = max(1 - len(after) / len(state.edges), 1 - after.n / state.edges.n)
        idle = state.idle + 1 if change < IDLE else 0
        return _State(t, nodes[kept], after, tau_m[kept], lost, idle, len(state.edges) - len(edges))

    def _sample(
        self,
        edges: Edges,
        tau_m: NDArray,
        spectrum: LyapunovSpectrum,
        goal: float,
        rng: np.random.Generator,
        largest: float,
    ) -> tuple[Edges, NDArray]:
        """Step I: edges drawn by the noise covariance, and the time constants that go with them."""
        strengths = edge_strengths(edges, self.strength, node_exponents(spectrum, tau_m))
        dynamics, leak = linear_dynamics(edges, strengths, self.delta)
        p = keep_probabilities(edge_scores(edges, strengths, covariance(dynamics, rtol=RTOL)), max(goal, 1.0))
        kept = sample_edges(edges, p, rng)
        if self.diagonal == "matched":
            rescaled = strengths[kept] / np.where(strengths[kept] == 0, 1.0, p[kept])
            new = tau_m * leak / matched_leak(edges, leak, strengths, kept, rescaled)
            kind = edges.inhibitory()
            low, high = (np.where(kind, CLIP["inhibitory"][k], CLIP["excitatory"][k]) for k in (0, 1))
            tau_m = np.clip(new, np.minimum(low, tau_m), np.maximum(high, tau_m))
        return edges.take(kept, rescaled_weights(edges, p, kept, self.rescale, 5.0, largest)), tau_m

    def _finish(self, original: nx.DiGraph, graph: nx.DiGraph) -> nx.DiGraph:
        """Run steps III and IV."""
        options = self._options
        if self.add_edges:
            graph = delocalize(graph, original, seed=self.seed)
            self._append("delocalize", graph)
        if self.tune_timescales:
            reference = rate_spectrum(RateNetwork.from_graph(original, **options), None, self.n_steps, seed=self.seed)
            tuned = optimize_timescales(
                graph, reference, optimizer=self.optimizer, n_steps=self.n_steps, seed=self.seed, **options
            )
            graph = tuned.graph
            self._append("timescales", graph)
            self.history_[-1] |= {"laws": tuned.laws, "objective": tuned.fun, "objective_before": tuned.before}
        return graph

    def _append(self, step: str, graph: nx.DiGraph) -> None:
        network = RateNetwork.from_graph(graph, **self._options)
        spectrum = rate_spectrum(network, self.n_exponents, self.n_steps, self.n_steps, self.seed)
        entry = record(self.history_[-1]["iteration"], edges_of(graph)[1], network.tau_m, spectrum)
        self.history_.append(entry | {"step": step})

    def _spectrum(self, state: _State, tau_syn: NDArray) -> LyapunovSpectrum:
        network = RateNetwork.from_edges(state.edges, state.tau_m, tau_syn[state.nodes], **self._options)
        return rate_spectrum(network, self.n_exponents, self.n_steps, self.n_steps, [self.seed, state.iteration, 1])

    def _graph(self, original: nx.DiGraph, names: list[Hashable], state: _State) -> nx.DiGraph:
        graph = graph_of(original, [names[i] for i in state.nodes], state.edges)
        if self.diagonal == "matched":
            graph = set_tau_m(graph, dict(zip(graph, state.tau_m.tolist(), strict=True)))
        return graph

    @property
    def _options(self) -> dict[str, Any]:
        return {**(self.network or {}), **({} if self.gain_ is None else {"gain": self.gain_})}

    def _key(self, edges: Edges, tau_m: NDArray) -> dict[str, Any]:
        """Tell one run from another: the arguments that shape the iterations, and the graph."""
        names = [name for name in inspect.signature(type(self)).parameters if name not in ("optimizer",)]
        arguments = {name: repr(getattr(self, name)) for name in names}
        sums = [edges.n, len(edges), float(edges.weight.sum()), float((edges.weight * edges.pre).sum())]
        return {**arguments, "graph": [*sums, float((edges.weight * edges.post).sum()), float(tau_m.sum())]}


def lyapunov_noise_pruning(
    graph: nx.DiGraph, keep: float = 0.05, keep_neurons: float = 0.07, seed: int = 0, **options: Any
) -> nx.DiGraph:
    """Prune a recurrent network by Lyapunov noise pruning with all four steps.

    Parameters
    ----------
    graph : networkx.DiGraph
        Edges run pre -> post with ``weight``, negative for inhibition. Not changed.
    keep, keep_neurons : float
        Fractions of synapses and neurons left, in (0, 1].
    seed : int
        Seed of everything random.
    **options
        Further arguments of `LyapunovNoisePruning`.

    Returns
    -------
    networkx.DiGraph
        Remaining neurons with their attributes, and synapses with new weights.

    Raises
    ------
    ValueError
        If the graph has no edge or only zero weights, or an argument is out of range.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, section V.
    """
    return LyapunovNoisePruning(keep, keep_neurons, seed=seed, **options).prune(graph)


def _arrays(state: _State) -> dict[str, Any]:
    edges = state.edges
    values = {name: getattr(state, name) for name in ("iteration", "nodes", "tau_m", "lost", "idle")}
    return {**values, "pre": edges.pre, "post": edges.post, "weight": edges.weight}
