"""What the studies of Lyapunov noise pruning share: networks, series, baselines of equal size, forecasts judged."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
from brian2 import Hz, ms
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hrsnn import Forecaster, PopulationCode, Reservoir, datasets, metrics, pruning, topology
from hrsnn.models import LIF
from hrsnn.reservoirs.reservoir import FarFromRange
from hrsnn.studies import _forecast
from hrsnn.studies._networks import SYNAPSE, TAU_M

NEURON, INHIBITORY = LIF(), LIF(t_ref=2 * ms)  # each neuron keeps its draw of TAU_M, as an attribute of its node
FILTERS = (20 * ms, 60 * ms)
ALPHAS = (1e-7, 1e-5, 1e-3)
N_STDP = 300  # steps of the series from which STDP learns


def network(kind: str, n_neurons: int, seed: int) -> nx.DiGraph:
    """Return an unpruned network whose nodes carry their time constants.

    Parameters
    ----------
    kind : {"HRSNN", "CHRSNN"}
        One network with distance-dependent connections, or clusters of such with time constants of their own.
    n_neurons, seed : int
    """
    if kind not in ("HRSNN", "CHRSNN"):
        raise ValueError(f"A network is HRSNN or CHRSNN, got {kind!r}.")
    if kind == "CHRSNN":
        return topology.clustered(n_neurons, seed=seed)
    graph = topology.distance_dependent(n_neurons, seed=seed)
    draw_time_constants(graph, seed)
    return graph


def draw_time_constants(graph: nx.DiGraph, seed: int) -> None:
    """Give each node of a new graph its ``tau_m`` in seconds, by its type."""
    rng = np.random.default_rng([seed, 1])
    for data in graph.nodes.values():
        data["tau_m"] = float(TAU_M[data["type"]].sample(1, rng)[0])


def series(name: str, n_train: int, n_tuning: int, n_test: int) -> _forecast.Split:
    """Return a series cut into a training part and starts of forecasts.

    Forecasts of the chaotic systems run for 150 steps after 40, those of the measured series for 15 after 15. The
    stock price trains on at most 1,000 days (to the end of 2015); fewer starts are left after these.

    Parameters
    ----------
    name : {"lorenz", "roessler", "stock", "wind"}
    n_train, n_tuning, n_test : int
        Steps of the training part, and starts to tune with and to test with.
    """
    chaotic = {"lorenz": datasets.lorenz63, "roessler": datasets.roessler}
    measured = {"stock": datasets.google_stock, "wind": datasets.wind_speed}
    if name not in {**chaotic, **measured}:
        raise ValueError(f"A series is one of {', '.join([*chaotic, *measured])}, got {name!r}.")
    n_warm, n_free = (40, 150) if name in chaotic else (15, 15)
    if name in chaotic:
        X, _ = chaotic[name](n_train + (n_tuning + n_test) * (n_warm + n_free))
    else:
        X, _ = measured[name]()
    if name == "stock":
        n_train = min(n_train, 1000)
        n_starts = (len(X) - n_train) // (n_warm + n_free)
        n_tuning = min(n_tuning, n_starts // 3)
        n_test = min(n_test, n_starts - n_tuning)
    return _forecast.split(X, n_train, n_warm, n_free, n_tuning, n_test)


def reservoir(graph: nx.DiGraph, n_dims: int, seed: int, input_weight: float, backend: str) -> Reservoir:
    """Return the reservoir of a graph for a series of n_dims variables.

    Inputs reach every neuron, whatever is left of the network: six on average, however many variables there are.
    """
    return Reservoir(
        graph,
        NEURON,
        INHIBITORY,
        SYNAPSE,
        PopulationCode(n_fields=20, rate_max=1000 * Hz, step=20 * ms),
        input_weight=input_weight,
        input_fraction=1.0,
        input_probability=0.3 / n_dims,
        n_learn=N_STDP,
        filters=FILTERS,
        membrane=True,
        squares=True,
        margin=0.05,
        backend=backend,
        seed=seed,
    )


class Spiking:
    """A reservoir with a readout of all its neurons, as the protocol asks for it."""

    def __init__(self, made: Reservoir):
        self.reservoir = made

    def respond(self, X: np.ndarray) -> None:
        """Learn by STDP, then collect the states."""
        self.X = X
        self.forecaster = Forecaster(self.reservoir, increments=True).fit(X)
        graph = self.reservoir.graph
        counts = np.bincount(self.forecaster.response_.i, minlength=len(graph))
        self.sops = metrics.sops(counts, [degree for _, degree in graph.out_degree()])
        self.rate = counts.mean() / (len(X) * float(self.reservoir.code.step))

    def train(self, alpha: float) -> None:
        """Train the readout on the states."""
        self.forecaster.refit(make_pipeline(StandardScaler(), Ridge(alpha * len(self.X))), self.X)

    def forecast(self, n_steps: int, warm: np.ndarray) -> np.ndarray:
        """Run freely from every start."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FarFromRange)  # valid prediction times count it
            return self.forecaster.forecast(n_steps, warm)


def measure(
    graph: nx.DiGraph, data: _forecast.Split, seed: int, threshold: float, input_weight: float, backend: str
) -> dict[str, Any]:
    """Train a network on a series and judge its forecasts.

    Returns
    -------
    dict
        n_neurons, n_synapses, sops (in the training series), rate_hz, alpha, vpt (mean over the starts, in steps),
        rmse (in standard deviations, over the first 100 steps at most).
    """
    model = Spiking(reservoir(graph, data.train.shape[1], seed, input_weight, backend))
    score = _forecast.vpt_score(data.scale, threshold, 1.0, 1.0)  # in steps
    result = _forecast.judge(model, data, ALPHAS, score)
    return {
        "n_neurons": len(graph),
        "n_synapses": graph.number_of_edges(),
        "sops": model.sops,
        "rate_hz": float(model.rate),
        "alpha": result["alpha"],
        "vpt": float(np.mean(result["vpt"])),
        "rmse": float(result["nrmse"]),
    }


def measure_trained(
    graph: nx.DiGraph, data: _forecast.Split, seed: int, threshold: float, n_epochs: int
) -> dict[str, Any]:
    """Train a network by gradients on a series, all weights and time constants, and judge its forecasts.

    Returns
    -------
    dict
        As of `measure`; alpha is nan.
    """
    from hrsnn.gradient import Layer, SpikingForecaster

    n_warm = data.test[0].shape[1]
    layer = Layer.of_graph(graph, train=("tau_m",)) if graph.number_of_edges() else Layer(len(graph), train=("tau_m",))
    model = SpikingForecaster([layer], window=100, washout=min(20, n_warm), n_epochs=n_epochs, seed=seed)
    model.fit(data.train)
    forecast = model.forecast(data.test[1].shape[1], data.test[0])
    score = _forecast.vpt_score(data.scale, threshold, 1.0, 1.0)
    return {
        "n_neurons": len(graph),
        "n_synapses": graph.number_of_edges(),
        "sops": model.sops_,
        "rate_hz": model.history_[-1]["spikes_0"] / float(model.dt),
        "alpha": np.nan,
        "vpt": float(np.mean(score(data.test[1], forecast))),
        "rmse": _forecast.error(data, forecast),
    }


def least_active_pruned(
    graph: nx.DiGraph, X: np.ndarray, keep: float, n_iterations: int, seed: int, input_weight: float, backend: str
) -> nx.DiGraph:
    """Return the network after activity pruning; each iteration trains by STDP and counts spikes.

    Neurons that lose all synapses stay: they receive input and are read out like all others.
    """

    def train(current: nx.DiGraph) -> tuple[nx.DiGraph, Mapping[Any, float]]:
        fitted = reservoir(current, X.shape[1], seed, input_weight, backend).fit(X)
        fitted.transform(X[:N_STDP])
        return fitted.graph_, dict(zip(current, fitted.spike_counts_.tolist(), strict=True))

    return list(pruning.activity_pruning(graph, train, keep, n_iterations, isolated=True))[-1]


def thinned_alike(graph: nx.DiGraph, history: Sequence[Mapping[str, Any]], choice: str, seed: int) -> nx.DiGraph:
    """Return the network after iterations that remove as many synapses and neurons as in a pruning's history.

    Only the choice of synapses in step I differs: the weakest go ("magnitude"), or any ("uniform", kept weights
    rescaled). Neurons go by betweenness. What is left beyond the synapses of the pruning goes at the end.
    """
    records = [entry for entry in history if "step" not in entry]
    rng = np.random.default_rng([seed, 2])

    def thin(current: nx.DiGraph, n_edges: int) -> nx.DiGraph:
        if n_edges >= current.number_of_edges():
            return current
        if choice == "magnitude":
            return pruning.prune_weakest(current, max(1, n_edges))
        return pruning.prune_uniform(current, max(1, n_edges), seed=int(rng.integers(2**31)))

    for _, entry in pairwise(records):
        graph = thin(graph, graph.number_of_edges() - entry["n_sampled"])
        if entry["n_neurons"] < len(graph):
            graph = pruning.prune_nodes(graph, entry["n_neurons"], seed=seed)
    return thin(graph, records[-1]["n_synapses"])


def uncoupled(graph: nx.DiGraph) -> nx.DiGraph:
    """Return the network with synapses too weak to matter, to see what they are good for."""
    copy = graph.copy()
    for *_, data in copy.edges(data=True):
        data["weight"] *= 1e-6
    return copy


def packed(graph: nx.DiGraph) -> dict[str, np.ndarray]:
    """Return a pruned graph as arrays, for a run's folder: nodes, tau_m, pre, post and weight."""
    edges = list(graph.edges(data="weight"))
    return {
        "nodes": np.array(list(graph)),
        "tau_m": np.array([tau for _, tau in graph.nodes(data="tau_m")]),
        "pre": np.array([u for u, _, _ in edges]),
        "post": np.array([v for _, v, _ in edges]),
        "weight": np.array([w for _, _, w in edges]),
    }


def unpacked(original: nx.DiGraph, arrays: Mapping[str, np.ndarray]) -> nx.DiGraph:
    """Return the graph of `packed` arrays, with the other attributes of the original's nodes."""
    graph = nx.DiGraph()
    for node, tau_m in zip(arrays["nodes"].tolist(), arrays["tau_m"].tolist(), strict=True):
        graph.add_node(node, **{**original.nodes[node], "tau_m": tau_m})
    ends = (arrays[key].tolist() for key in ("pre", "post", "weight"))
    graph.add_weighted_edges_from(zip(*ends, strict=True))
    return graph
