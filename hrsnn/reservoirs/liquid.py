"""A liquid: graph, models and seed made into a compiled recurrent network, and its response to a series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import networkx as nx
import numpy as np
from brian2 import Quantity
from brian2.equations.equations import Equations
from numpy.typing import NDArray

from hrsnn.inputs.codes import CurrentCode, SeriesCode
from hrsnn.laws import Law
from hrsnn.models import Static
from hrsnn.reservoirs.delays import check_memory, drawn_delays, edge_delays, time_steps
from hrsnn.reservoirs.in_flight import n_slots
from hrsnn.reservoirs.network import PROJECTIONS, RecurrentNetwork, capacity
from hrsnn.reservoirs.topology import check_graph, project_inputs
from hrsnn.simulation.backends import is_build_only
from hrsnn.simulation.engine import Engine, RuntimeEngine, engine
from hrsnn.simulation.model import NeuronModel, SynapseModel

__all__ = ["Affine", "Liquid", "Readout", "Response"]

#: Parameters of a synapse in units of four times the mean initial weight of its projection.
RELATIVE = ("A_plus", "A_minus", "w_min", "w_max")
HEADROOM = 4.0
OWN = ("tau_m", "v_thresh", "t_ref")  # always one value a neuron, so that homogeneous networks share the program

NONE = np.zeros(0, dtype=np.int32)

State = dict[str, np.ndarray]


@dataclass(frozen=True)
class Affine:
    """An affine function of the features of the state and of the present values u, in [0, 1] units of the series.

    Parameters
    ----------
    state : array of shape (n_state, n_out)
        Weights of the state's features.
    values : array of shape (n_features, n_out)
        Weights of the present values; entry [d, e] from value d to output e.
    bias : array of shape (n_out,)
    """

    state: NDArray[np.float64]
    values: NDArray[np.float64]
    bias: NDArray[np.float64]


@dataclass(frozen=True)
class Readout(Affine):
    """The next values: an affine function, plus, if there are hidden units, a sum over these.

    Parameters
    ----------
    hidden : Affine, optional
        What each hidden unit takes the tanh of.
    out : array of shape (n_hidden, n_features), optional
        Weights of the hidden units.
    """

    hidden: Affine | None = None
    out: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Response:
    """What a liquid did.

    Parameters
    ----------
    state : dict of str to array
        State at the end, to go on from.
    features : array of shape (n_steps, n_state)
        Features of the state at the end of each step; of no steps if they are not kept.
    u : array of shape (n_steps, n_features)
        Value of the series in each step, given or fed back.
    i, t : array of shape (n_spikes,)
        Neuron and time (seconds) of each spike.
    """

    state: State
    features: NDArray[np.float64]
    u: NDArray[np.float64]
    i: NDArray[np.int64]
    t: NDArray[np.float64]


class Liquid:
    """A recurrent network of given graph, models and draws, ready to run.

    The settings are those of ``Reservoir``, where they are described; ``filters`` are times in seconds.
    """

    def __init__(
        self,
        graph: nx.DiGraph,
        n_features: int,
        *,
        neuron: NeuronModel,
        inhibitory: NeuronModel,
        synapse: SynapseModel | None,
        code: SeriesCode,
        inputs: Mapping[str, Any],
        filters: Sequence[float],
        membrane: bool,
        squares: bool,
        plastic_inhibition: bool,
        smooth: bool = False,
        current: bool = False,
        delay: Any = None,
        input_delay: Any = None,
        dt: Quantity,
        block: int,
        backend: str | None,
        seed: int,
    ):
        check_graph(graph)
        self.backend, self.seed = backend, seed
        self.synapse = synapse
        self.nodes = list(graph)
        number = {node: k for k, node in enumerate(self.nodes)}
        n = len(self.nodes)
        edges = list(graph.edges(data="weight"))
        pre = np.array([number[u] for u, _, _ in edges], dtype=np.int32)
        post = np.array([number[v] for _, v, _ in edges], dtype=np.int32)
        weight = np.array([w for _, _, w in edges], dtype=float)
        self.inhibits = np.array([graph.nodes[node].get("type", "E") == "I" for node in self.nodes])
        from_inhibitory = self.inhibits[pre] if len(pre) else np.zeros(0, dtype=bool)
        n_inputs = n_features * code.inputs_per_feature
        i, j, w = project_inputs(graph, n_inputs, seed=seed, **inputs) if n_inputs else (NONE, NONE, np.zeros(0))
        self.wiring = {
            "inputs": (i.astype(np.int32), j.astype(np.int32)),
            "excitation": (pre[~from_inhibitory], post[~from_inhibitory]),
            "inhibition": (pre[from_inhibitory], post[from_inhibitory]),
        }
        self.edge_of = {"excitation": np.flatnonzero(~from_inhibitory), "inhibition": np.flatnonzero(from_inhibitory)}
        self.initial = {
            "inputs": w,
            "excitation": np.abs(weight[~from_inhibitory]),
            "inhibition": np.abs(weight[from_inhibitory]),
        }
        self.delays = self._delays(graph, delay, input_delay)
        longest = max((float(values.max(initial=0.0)) for values in self.delays.values()), default=0.0)
        check_memory(longest, float(dt), n)
        lags = {name: time_steps(values, float(dt)) for name, values in self.delays.items()}
        slots = n_slots(max(int(lag.max(initial=0)) for lag in lags.values()))
        parameters = self._neuron_values(graph, neuron, inhibitory)
        if current and not {"i_e", "i_i"} <= set(Equations(neuron.equations).names):
            raise TypeError(
                f"The feature 'current' needs neurons with currents i_e and i_i, as LIF has, got {neuron!r}."
            )
        currents: dict[str, Any] = {}
        if isinstance(code, CurrentCode):
            if "drive" not in parameters:
                raise TypeError(f"CurrentCode needs neurons with a parameter 'drive', as LIF has, got {neuron!r}.")
            gain, bias = code.draw(n_features, n, np.random.default_rng([seed, 3]))
            currents["currents.w_0"] = gain.ravel()
            drive = np.broadcast_to(parameters.pop("drive"), n + 1)
            currents["neurons.bias"] = drive + np.append(bias, 0.0)
        self.plastic = RecurrentNetwork(
            n_features=n_features,
            n_neurons=n,
            neuron=neuron,
            own=tuple(key for key, value in parameters.items() if np.ndim(value)),
            synapse=Static() if synapse is None else synapse,
            static=Static(),
            code=code,
            sizes=tuple(capacity(len(self.wiring[name][0])) for name in PROJECTIONS),  # type: ignore[arg-type]
            dt=dt,
            block=block,
            filters=len(filters),
            smooth=smooth,
            membrane=membrane,
            squares=squares,
            plastic_inhibition=plastic_inhibition,
            current=current,
            slots=slots if any(lag.any() for lag in lags.values()) else 0,
        )
        self.learns = synapse is not None and synapse.learns
        still = {"synapse": Static(), "plastic_inhibition": True}
        self.frozen = replace(self.plastic, **still) if self.learns else self.plastic
        self.values = {f"neurons.{key}": value for key, value in parameters.items()}
        self.values |= {f"neurons.tau_x_{k}": tau for k, tau in enumerate(filters)}
        self.values |= {"input.seed_": seed, **currents}
        for name, (source, target) in self.wiring.items():
            self.values[f"{name}._synaptic_pre"] = self._padded(name, source, n_inputs if name == "inputs" else n)
            self.values[f"{name}._synaptic_post"] = self._padded(name, target, n)
            if self.plastic.slots:
                self.values[f"{name}.lag"] = self._padded(name, lags[name], 0)
        self.learning = self._synapse_values()

    def start(self, weights: Mapping[str, np.ndarray] | None = None) -> State:
        """Return the state of a rested network, with its initial weights or others."""
        given = self.initial if weights is None else weights
        return {f"{name}.w": self._padded(name, given[name], 0.0) for name in PROJECTIONS}

    def weights(self, state: State) -> dict[str, np.ndarray]:
        """Return the weights of each projection in a state, without the spare synapses."""
        return {name: state[f"{name}.w"][: len(self.wiring[name][0])] for name in PROJECTIONS}

    def run(
        self,
        table: NDArray[np.float64],
        state: State,
        *,
        forced: Any = True,
        fresh: Any = False,
        learn: bool = False,
        readout: Readout | None = None,
        keep: bool = True,
    ) -> Response:
        """Drive the network with a series.

        Parameters
        ----------
        table : array of shape (n_steps, n_features)
            Values in [0, 1]; ignored where a step is not forced.
        state : dict of str to array
            Where to start: ``start()``, or the ``state`` of a response.
        forced : bool or array of shape (n_steps,)
            Whether a step takes its values from the table; else it takes the readout's.
        fresh : bool or array of shape (n_steps,)
            Whether the neurons and inputs are put to rest before a step.
        learn : bool
            Whether the synapses learn.
        readout : Readout, optional
            Needed where a step is not forced.
        keep : bool
            Whether the features of every step are kept; without them long forecasts need little memory.

        Returns
        -------
        Response
        """
        if is_build_only():
            self.build()
        network, run_engine = self._choose(learn, readout)
        size, n_steps = network.block, len(table)
        schedule = np.zeros((n_steps, 2))
        schedule[:, 0], schedule[:, 1] = forced, fresh
        own = self.learning if network.synapse is self.synapse else {}
        fixed = {**self.values, **own, **self._readout(readout)}
        recorded, values, spikes, times = [], [], [], []
        for first in range(0, n_steps, size):
            rows = slice(first, min(first + size, n_steps))
            n = rows.stop - first
            inputs = {**fixed, **state, "samples.values": np.zeros((size, table.shape[1])), "control.n_samples": n}
            inputs["samples.values"][:n] = table[rows]
            inputs["schedule.values"] = np.zeros((size, 2))
            inputs["schedule.values"][:n] = schedule[rows]
            names = [f"states.{name}" for name in network.recorded] if keep else []
            result = run_engine.run(inputs, (*network.carried(), *names, "values.u", "spikes.i", "spikes.t"))
            length = n * network.n_total * float(network.dt)
            state = {name: result[name] for name in network.carried()}
            for name in state:
                if name.endswith(".lastupdate"):
                    state[name] = state[name] - length
            for name in (f"neurons.{name}" for name in network.flying):  # the next block begins with slot 0
                flying = state[name].reshape(network.slots, -1)
                state[name] = np.roll(flying, -(n * network.n_total % network.slots), axis=0).ravel()
            if keep:
                recorded.append(np.stack([self._block(result, name, n) for name in network.recorded], axis=1))
            values.append(result["values.u"].reshape(n, -1))
            spikes.append(result["spikes.i"])
            times.append(result["spikes.t"] + first * network.n_total * float(network.dt))
        features = np.zeros((0, len(network.powers) * network.n_neurons))
        if keep:
            variables = np.concatenate(recorded)
            parts = [variables**power for power in ((1, 2) if network.squares else (1,))]
            features = np.concatenate(parts, axis=1).reshape(n_steps, -1)
        u, i, t = np.concatenate(values), np.concatenate(spikes), np.concatenate(times)
        return Response(state, features, u, i, t)

    def _choose(self, learn: bool, readout: Readout | None) -> tuple[RecurrentNetwork, Engine]:
        """Return the network, and its engine, for a run that learns or not, with a readout or without."""
        if readout is not None and readout.out is not None:
            network = replace(self.frozen, hidden=len(readout.out))
            if network.hidden not in self._hidden_engines:
                self._hidden_engines[network.hidden] = engine(network.blueprint(), self.backend)
            return network, self._hidden_engines[network.hidden]
        if learn and self.learns:
            return self.plastic, self._plastic_engine
        return self.frozen, self.frozen_engine

    def build(self) -> None:
        """Compile the networks with and without plasticity."""
        for network in (self.plastic, self.frozen):
            engine(network.blueprint(), self.backend)

    @property
    def network(self) -> Any:
        """The Brian2 network that does not learn, in runtime mode."""
        if not isinstance(self.frozen_engine, RuntimeEngine):
            raise AttributeError("network_ exists in Python only with backend='runtime'.")
        return self.frozen_engine.network

    @cached_property
    def _plastic_engine(self) -> Engine:
        return engine(self.plastic.blueprint(), self.backend)

    @cached_property
    def _hidden_engines(self) -> dict[int, Engine]:
        return {}

    @cached_property
    def frozen_engine(self) -> Engine:
        """The engine of the network that does not learn."""
        return engine(self.frozen.blueprint(), self.backend)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the engines out of a pickle: they are made again, from the cache of programs."""
        engines = ("frozen_engine", "_plastic_engine", "_hidden_engines")
        return {key: value for key, value in vars(self).items() if key not in engines}

    def _block(self, result: Mapping[str, np.ndarray], name: str, n: int) -> np.ndarray:
        """Return a variable at the end of each step: records are taken at the start, the last is the final state."""
        records = result[f"states.{name}"].reshape(n, -1)[1:, :-1]
        last = result["neurons.i_e"] - result["neurons.i_i"] if name == "i_syn" else result[f"neurons.{name}"]
        return np.concatenate([records, last[None, :-1]])

    def _delays(self, graph: nx.DiGraph, delay: Any, input_delay: Any) -> dict[str, NDArray[np.float64]]:
        """Return the delays of each projection in seconds; what the edges carry goes before ``delay``."""
        own = edge_delays(graph)
        if own is None:
            own = drawn_delays("delay", delay, graph.number_of_edges(), np.random.default_rng([self.seed, 4]))
        n_inputs = len(self.wiring["inputs"][0])
        inputs = drawn_delays("input_delay", input_delay, n_inputs, np.random.default_rng([self.seed, 5]))
        return {"inputs": inputs, **{name: own[chosen] for name, chosen in self.edge_of.items()}}

    def _neuron_values(self, graph: nx.DiGraph, neuron: NeuronModel, inhibitory: NeuronModel) -> dict[str, Any]:
        """Return the parameters: an array with a value for each neuron and the spare one, or one value for all."""
        if type(neuron) is not type(inhibitory):
            raise TypeError(f"inhibitory must be a {type(neuron).__name__} as neuron is, got {inhibitory!r}.")
        n = len(self.nodes)
        rng = [np.random.default_rng([self.seed, kind]) for kind in (0, 1)]
        drawn = [model.draw(n, rng[k]) for k, model in enumerate((neuron, inhibitory))]
        values: dict[str, Any] = {}
        for key in neuron.parameters:
            pair = [np.broadcast_to(np.asarray(draw[key], dtype=float), n) for draw in drawn]
            own = np.where(self.inhibits, pair[1], pair[0])
            if key == "tau_m":
                found = [graph.nodes[node].get("tau_m") for node in self.nodes]
                own = np.array([value if tau is None else float(tau) for tau, value in zip(found, own, strict=True)])
            same = key not in OWN and not any(isinstance(m.parameters[key], Law) for m in (neuron, inhibitory))
            values[key] = own[0] if same and (own == own[0]).all() else np.append(own, own[0])
        return values

    def _synapse_values(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if self.synapse is None or isinstance(self.synapse, Static):
            return values
        for k, name in enumerate(PROJECTIONS):
            n = len(self.wiring[name][0])
            if self.plastic.models()[name] is not self.synapse:
                continue
            unit = HEADROOM * float(self.initial[name].mean()) if n else 1.0
            drawn = self.synapse.draw(max(n, 1), np.random.default_rng([self.seed, 2, k]))
            for key, value in drawn.items():
                value = np.asarray(value, dtype=float) * (unit if key in RELATIVE else 1.0)
                values[f"{name}.{key}"] = self._padded(name, value[:n], 1.0) if np.ndim(value) else value
            for key in Equations(self.synapse.equations).names:
                if key != "w":
                    values[f"{name}.{key}"] = np.zeros(capacity(n))
            values[f"{name}.lastupdate"] = np.full(capacity(n), -1.0)
        return values

    def _padded(self, name: str, values: np.ndarray, fill: float) -> np.ndarray:
        spare = capacity(len(self.wiring[name][0])) - len(values)
        return np.concatenate([values, np.full(spare, fill, dtype=values.dtype)])

    def _readout(self, readout: Readout | None) -> dict[str, np.ndarray]:
        """Return the weights of the readout by the names of the variables; of zeros if there is none."""
        d, n_powers = self.frozen.n_features, len(self.frozen.powers)
        n_state = n_powers * self.frozen.n_neurons
        given = readout or Readout(np.zeros((n_state, d)), np.zeros((d, d)), np.zeros(d))
        found = self._affine(given, "readout", "passthrough", "series")
        if given.hidden is not None and given.out is not None:
            found |= self._affine(given.hidden, "state_to_hidden", "values_to_hidden", "hidden")
            found["hidden_to_series.w_0"] = given.out.ravel()
        return found

    def _affine(self, affine: Affine, state: str, values: str, target: str) -> dict[str, np.ndarray]:
        parts = np.split(affine.state, len(self.frozen.powers))
        weights = {f"{state}.w_{k}": part.ravel() for k, part in enumerate(parts)}
        return {**weights, f"{values}.w_0": affine.values.ravel(), f"{target}.bias": affine.bias}
