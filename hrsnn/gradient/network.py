"""Layers of declared neurons as one function of weights, parameters and samples: a scan over time steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
from brian2 import Quantity, ms, second
from brian2.equations.equations import Equations
from brian2.units.fundamentalunits import fail_for_dimension_mismatch

from hrsnn.checks import check_integer
from hrsnn.gradient.surrogates import FastSigmoid, Surrogate
from hrsnn.gradient.translation import Translation
from hrsnn.models import LIF
from hrsnn.simulation.brian2_hooks import never_run
from hrsnn.simulation.model import NeuronModel
from hrsnn.streams import Gradients, stream

__all__ = ["Activity", "Layer", "SpikingNetwork"]

Weights = dict[str, Any]
NEVER = 1e6  # time steps since the last spike of a neuron that never fired
DOUBLINGS = 24  # tries to find the scale at which a layer fires at the rate that is wanted
SETTLED = 2000  # time steps after which a constant input has had its effect
MEMORY = 1e9  # bytes that the states of all time steps may take before they are computed twice instead


@dataclass(frozen=True)
class Layer:
    """A layer of declared neurons, and the synapses that arrive there.

    Parameters
    ----------
    n_neurons : int
    neuron : NeuronModel
        Any model of ``hrsnn.models`` or of your own; parameters may be laws.
    recurrent : bool or networkx.DiGraph
        Whether its neurons are connected to each other, all to all; or the graph that connects them, with ``weight``
        on its edges: these and no other synapses are trained, from the ratios of these weights.
    train : tuple of str
        Parameters of the neuron that are trained beside the weights, each neuron's own where it is a law. Time
        constants (``tau...``) are trained as the sigmoid of their leak, and stay positive.
    delay : Quantity (second)
        Delay of the synapses from spiking neurons, whole time steps; is not trained.
    target : str, optional
        Variable that synapses add to; ``i_e`` or ``g_e`` if None, whichever the neuron has.
    surrogate : Surrogate
        Derivative of its spikes.
    reset_gradient : bool
        Whether gradients pass through the reset of a spike.

    Raises
    ------
    ValueError
        If a parameter cannot be trained, or the target is not a variable of the neuron.
    """

    n_neurons: int
    neuron: NeuronModel = field(default_factory=lambda: LIF(t_ref=0 * ms))
    recurrent: bool | nx.DiGraph = False
    train: tuple[str, ...] = ()
    delay: Quantity = field(default_factory=lambda: 0 * ms)
    target: str | None = None
    surrogate: Surrogate = field(default_factory=FastSigmoid)
    reset_gradient: bool = False

    def __post_init__(self) -> None:
        check_integer("Layer: n_neurons", self.n_neurons, 1)
        object.__setattr__(self, "train", (self.train,) if isinstance(self.train, str) else tuple(self.train))
        fail_for_dimension_mismatch(self.delay, second, "Layer: delay must be a time")
        if not 0 <= float(self.delay) < np.inf:
            raise ValueError(f"Layer: delay must not be negative, and finite, got {self.delay}.")
        if isinstance(self.recurrent, nx.DiGraph):
            self._check_graph(self.recurrent)
        name = type(self.neuron).__name__
        for key in self.train:
            if key not in self.neuron.parameters:
                known = ", ".join(self.neuron.parameters)
                raise ValueError(f"Layer: {name} has no parameter {key!r} to train. It has: {known}.")
            if key == self.neuron.refractory:
                raise ValueError(f"Layer: {key} is counted in whole time steps, and has no derivative to train it by.")
        names = [key for key in Equations(self.neuron.equations).names if key != "v"]
        if self.target is None:
            found = [key for key in ("i_e", "g_e") if key in names]
            if not found:
                raise ValueError(f"Layer: name the variable of {name} that synapses add to: target=, one of {names}.")
            object.__setattr__(self, "target", found[0])
        elif self.target not in Equations(self.neuron.equations).names:
            raise ValueError(f"Layer: {name} has no variable {self.target!r} for synapses to add to.")

    def _check_graph(self, graph: nx.DiGraph) -> None:
        if len(graph) != self.n_neurons or not graph.number_of_edges():
            raise ValueError(
                f"Layer: the graph has {len(graph)} nodes and {graph.number_of_edges()} edges; it needs "
                f"n_neurons={self.n_neurons} nodes, and an edge."
            )
        weights = [weight for *_, weight in graph.edges(data="weight", default=np.nan)]
        if not np.isfinite(weights).all():
            raise ValueError("Layer: every edge of the graph needs a finite weight.")

    @classmethod
    def of_graph(cls, graph: nx.DiGraph, neuron: NeuronModel | None = None, **settings: Any) -> Layer:
        """Return the layer of a network of `hrsnn.topology`, or of a pruned one.

        Parameters
        ----------
        graph : networkx.DiGraph
            With ``weight`` on its edges; nodes with ``type`` "I" get weights below zero. Time constants ``tau_m`` in
            seconds on its nodes go before those of the neuron's model.
        neuron : NeuronModel, optional
            ``LIF(t_ref=0*ms)`` if None.
        **settings
            Of `Layer`.
        """
        signed = nx.DiGraph()
        signed.add_nodes_from(graph.nodes(data=True))
        for source, target, weight in graph.edges(data="weight"):
            sign = -1 if graph.nodes[source].get("type") == "I" else 1
            signed.add_edge(source, target, weight=sign * abs(weight))
        return cls(len(graph), neuron or LIF(t_ref=0 * ms), recurrent=signed, **settings)

    @cached_property
    def own(self) -> dict[str, np.ndarray]:
        """Parameters that the nodes of the graph have for themselves, in SI units."""
        if not isinstance(self.recurrent, nx.DiGraph):
            return {}
        values = [value for _, value in self.recurrent.nodes(data="tau_m")]
        return {} if None in values else {"tau_m": np.array([float(value) for value in values])}

    @cached_property
    def adjacency(self) -> np.ndarray | None:
        """Weights of the graph, of root mean square one over the root of the mean number of inputs; or None."""
        if not isinstance(self.recurrent, nx.DiGraph):
            return None
        matrix = nx.to_numpy_array(self.recurrent, weight="weight")
        return matrix / np.sqrt((matrix**2).sum() / len(matrix))

    def __hash__(self) -> int:
        return hash(repr(self))


class Activity(NamedTuple):
    """What a network did with a batch.

    ``traces`` : array of shape (n_frames, n_samples, n_neurons), filtered spikes of the last layer at the end of each
    frame. ``counts`` : for each layer, spikes of each neuron, shape (n_samples, n_neurons). ``spikes`` : for each
    layer, shape (n_steps, n_samples, n_neurons), if recorded.
    """

    traces: Any
    counts: list[Any]
    spikes: list[Any] | None


class SpikingNetwork:
    """Layers of declared neurons, each driven by the one before, the first by the values of a sample.

    A sample is a sequence of frames; the values of a frame, times the input weights, are added to the target of the
    first layer in each of its time steps. Spikes arrive in the time step in which they are emitted, or ``delay``
    later, as in Brian2. Weights, and the parameters that are trained, are one pytree of arrays (see ``weights``).

    Parameters
    ----------
    layers : sequence of Layer
    n_inputs : int
        Values of a frame.
    step : Quantity (second)
        How long a frame lasts, whole time steps.
    dt : Quantity (second)
        Time step.
    tau_out : Quantity (second)
        Time constant of the filter of the last layer's spikes.
    seed : int
        Seed of initial weights and of the neurons' parameters, which are those that other back ends draw.

    Attributes
    ----------
    projections : list of (int, int, str, int)
        Source and target layer, name of the weights and delay in time steps of synapses from spiking neurons.
    units : list of float
        For each layer, what has to be added in every time step to bring its mean neuron from rest to threshold.

    Raises
    ------
    Untranslatable
        If a neuron has no derivative.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        n_inputs: int,
        step: Quantity = 5 * ms,
        dt: Quantity = 1 * ms,
        tau_out: Quantity = 20 * ms,
        seed: int = 0,
    ):
        self.layers, self.n_inputs, self.step, self.dt, self.tau_out = tuple(layers), n_inputs, step, dt, tau_out
        self.seed = seed
        if not self.layers:
            raise ValueError("A network needs at least one layer.")
        check_integer("n_inputs", n_inputs, 1)
        self.n_steps = _steps("step", step, dt, 1)
        self.projections = []
        for k, layer in enumerate(self.layers):
            delay = _steps("delay", layer.delay, dt, 0)
            self.projections += [(k - 1, k, "w", delay)] if k else []
            self.projections += [(k, k, "recurrent", delay)] if layer.recurrent else []
        if not float(tau_out) > 0:
            raise ValueError(f"tau_out must be positive, got {tau_out}.")
        self.decay = math.exp(-float(dt) / float(tau_out))
        self.translations = []
        for k, layer in enumerate(self.layers):
            rng = stream(seed, Gradients.PARAMETERS, k)
            group = never_run(layer.neuron.build(layer.n_neurons, name=f"layer_{k}", dt=dt, rng=rng))
            self.translations.append(Translation(group, type(layer.neuron).__name__, layer.own))
        self.scales = [_scale(layer, cell) for layer, cell in zip(self.layers, self.translations, strict=True)]
        self.units = [_unit(layer, cell) for layer, cell in zip(self.layers, self.translations, strict=True)]

    # Weights and parameters

    def weights(self) -> list[Weights]:
        """Return the initial pytree: for each layer ``w`` (from, to), ``recurrent``, and ``free`` trained parameters.

        Weights are normal, and kept in units of ``units``. ``calibrated`` scales them to samples.
        """
        found = []
        n_from = self.n_inputs
        for k, (layer, cell) in enumerate(zip(self.layers, self.translations, strict=True)):
            rng = stream(self.seed, Gradients.WEIGHTS, k)
            n = layer.n_neurons
            weights = {"w": rng.standard_normal((n_from, n)) / math.sqrt(n_from)}
            if layer.recurrent:
                random = rng.standard_normal((n, n)) / math.sqrt(n)
                weights["recurrent"] = random if layer.adjacency is None else layer.adjacency
            free = {key: self._encoded(k, key, cell.parameters[key]) for key in layer.train}
            found.append({**weights, "free": free})
            n_from = n
        return jax.tree.map(lambda value: jnp.asarray(value, jnp.result_type(float)), found)

    def calibrated(self, weights: Sequence[Weights], X: Any, rate: float) -> list[Weights]:
        """Return the weights, those to each layer scaled so that its neurons fire at a rate in their mean.

        Parameters
        ----------
        weights : list of dict
        X : array of shape (n_samples, n_frames, n_inputs)
            Some samples.
        rate : float
            Spikes of a neuron in a time step, met within a fifth.

        Raises
        ------
        ValueError
            If no scale of the weights does it: the samples are zero, or the neurons are held.
        """
        n_steps = X.shape[1] * self.n_steps
        rates = jax.jit(lambda weights: [jnp.mean(counts) / n_steps for counts in self.run(weights, X).counts])
        found = list(weights)
        for k in range(len(found)):
            low, high, scale = 0.0, np.inf, 1.0
            for _ in range(DOUBLINGS):
                found[k] = {**weights[k], "w": weights[k]["w"] * scale}
                present = float(rates(found)[k])
                if rate / 1.2 <= present <= rate * 1.2:
                    break
                low, high = (scale, high) if present < rate else (low, scale)
                scale = scale * 2 if high == np.inf else scale / 2 if low == 0 else math.sqrt(low * high)
            else:
                if high == np.inf or low == 0:
                    raise ValueError(
                        f"Layer {k} fires {present:g} spikes a neuron and time step whatever its weights, "
                        f"not {rate:g}: check that samples are not zero, and the threshold and drive of its neurons."
                    )
        return found

    def parameters(self, weights: Sequence[Weights]) -> list[dict[str, Any]]:
        """Return the trained parameters of each layer in SI units."""
        return [
            {key: self._decoded(k, key, value) for key, value in layer["free"].items()}
            for k, layer in enumerate(weights)
        ]

    def synapses(self, weights: Sequence[Weights]) -> list[dict[str, Any]]:
        """Return the weights of each layer in SI units, as synapses of Brian2 have them: ``w`` and ``recurrent``."""
        found = [
            {key: value * unit for key, value in layer.items() if key != "free"}
            for layer, unit in zip(weights, self.units, strict=True)
        ]
        for synapses, layer in zip(found, self.layers, strict=True):
            if layer.adjacency is not None:
                synapses["recurrent"] = synapses["recurrent"] * (layer.adjacency != 0)
        return found

    def _encoded(self, layer: int, key: str, value: Any) -> Any:
        """Return a parameter as it is trained: the logit of a leak, or in units of its size."""
        if key.startswith("tau"):
            return -np.log(np.expm1(float(self.dt) / np.asarray(value)))
        return np.asarray(value) / self._size(layer, key)

    def _decoded(self, layer: int, key: str, value: Any) -> Any:
        if key.startswith("tau"):
            return float(self.dt) / jax.nn.softplus(-value)
        return value * self._size(layer, key)

    def _size(self, layer: int, key: str) -> float:
        return float(np.max(np.abs(self.translations[layer].parameters[key]))) or 1.0

    # Time

    def run(self, weights: Sequence[Weights], X: Any, record: bool = False, lengths: Any = None) -> Activity:
        """Show samples, from rest.

        Parameters
        ----------
        weights : list of dict
            As ``weights`` returns it.
        X : array of shape (n_samples, n_frames, n_inputs)
        record : bool
            Whether to return every spike.
        lengths : array of shape (n_samples,), optional
            Frames of each sample that are no filling: spikes behind them do not count.
        """
        frames = _frames_first(X, weights)
        advance, start, inputs = self._prepared(weights, frames.shape[1], record)
        if lengths is not None:
            start["end"] = jnp.asarray(lengths)[:, None] * self.n_steps

        def segment(carry: Any, values: Any) -> Any:
            return jax.lax.scan(advance, carry, values @ inputs)

        length = self._segment(len(frames), frames.shape[1], frames.dtype)
        last, (traces, spikes) = _scan(segment, start, frames, length)
        joined = None if not record else [value.reshape(-1, *value.shape[2:]) for value in spikes]
        return Activity(traces, last["counts"], joined)

    def forecast(
        self, weights: Sequence[Weights], X: Any, answer: Callable[[Any, Any], Any], n_free: int
    ) -> tuple[Any, Any]:
        """Show samples, then go on with frames that ``answer`` makes of the last layer's traces and the last frame.

        Parameters
        ----------
        weights : list of dict
        X : array of shape (n_samples, n_frames, n_inputs)
        answer : callable
            Of traces (n_samples, n_neurons) and a frame (n_samples, n_inputs): the next frame.
        n_free : int
            Frames to make.

        Returns
        -------
        frames : array of shape (n_samples, n_free, n_inputs)
        counts : list of array
            For each layer, spikes of each neuron in all frames, shape (n_samples, n_neurons).
        """
        frames = _frames_first(X, weights)
        advance, carry, inputs = self._prepared(weights, frames.shape[1], False)
        carry, (traces, _) = jax.lax.scan(advance, carry, frames @ inputs)

        def free(carry: Any, _: Any) -> Any:
            inner, value = carry
            inner, (trace, _) = advance(inner, value @ inputs)
            return (inner, answer(trace, value)), value

        first = answer(traces[-1], frames[-1])
        (carry, _), made = jax.lax.scan(free, (carry, first), None, length=n_free)
        return jnp.swapaxes(made, 0, 1), carry["counts"]

    def _prepared(self, weights: Sequence[Weights], n_samples: int, record: bool) -> tuple[Any, Any, Any]:
        """Return what advances the network by a frame, its start, and the weights of the inputs."""
        synapses = self.synapses(weights)
        trained = self.parameters(weights)
        constants = [cell.constants(free) for cell, free in zip(self.translations, trained, strict=True)]
        resting = [
            _resting(layer, cell, found)
            for layer, cell, found in zip(self.layers, self.translations, constants, strict=True)
        ]

        def step(carry: Any, drive: Any) -> Any:
            return self._step(synapses, constants, carry, drive, record)

        def frame(carry: Any, drive: Any) -> Any:
            if self.n_steps == 1:
                carry, spikes = step(carry, drive)
                spikes = jax.tree.map(lambda value: value[None], spikes)
            else:
                carry, spikes = jax.lax.scan(lambda c, _: step(c, drive), carry, None, length=self.n_steps)
            return carry, (carry["trace"], spikes)

        return frame, self._start(resting, n_samples), synapses[0]["w"]

    def _step(
        self,
        synapses: Sequence[Weights],
        constants: Any,
        carry: Any,
        drive: Any,
        record: bool,
    ) -> Any:
        """Advance by a time step, in Brian2's order: all updates, all thresholds, all synapses, all resets."""
        k = carry["k"]
        states, fired, ages = [], [], []
        for number, (layer, cell) in enumerate(zip(self.layers, self.translations, strict=True)):
            state = cell.advance(carry["states"][number], constants[number], k)
            age = k - carry["last"][number] if layer.surrogate.by_time else None
            spikes = cell.spikes(state, constants[number], k, layer.surrogate, self.scales[number], age)
            states.append(cell.fired(state, k, spikes))
            fired.append(spikes)
            ages.append(jnp.where(spikes > 0, k, carry["last"][number]) if layer.surrogate.by_time else None)
        totals = [drive, *[0.0] * (len(self.layers) - 1)]
        queues = []
        for (source, target, name, delay), queue in zip(self.projections, carry["queues"], strict=True):
            arriving, queue = _delayed(queue, fired[source], k, delay)
            totals[target] = totals[target] + arriving @ synapses[target][name]
            queues.append(queue)
        for number, (layer, cell) in enumerate(zip(self.layers, self.translations, strict=True)):
            state = cell.receive(states[number], str(layer.target), totals[number])
            states[number] = cell.reset(state, constants[number], k, fired[number], layer.reset_gradient)
        trace = carry["trace"] * self.decay + fired[-1]
        new = {
            "k": k + 1,
            "states": states,
            "last": ages,
            "queues": queues,
            "trace": trace,
            "counts": [
                total + jnp.where(k < carry["end"], spikes, 0)
                for total, spikes in zip(carry["counts"], fired, strict=True)
            ],
            "end": carry["end"],
        }
        return new, fired if record else None

    def _start(self, resting: Sequence[Any], n_samples: int) -> dict[str, Any]:
        """Return what the scan carries, at rest."""
        sizes = [layer.n_neurons for layer in self.layers]
        number = jnp.result_type(float)
        return {
            "k": jnp.asarray(0),
            "states": [
                {key: jnp.broadcast_to(value, (n_samples, size)) for key, value in state.items()}
                for state, size in zip(resting, sizes, strict=True)
            ],
            "last": [
                jnp.full((n_samples, layer.n_neurons), -NEVER, number) if layer.surrogate.by_time else None
                for layer in self.layers
            ],
            "queues": [
                jnp.zeros((delay, n_samples, sizes[source]), number) if delay else None
                for source, _, _, delay in self.projections
            ],
            "trace": jnp.zeros((n_samples, sizes[-1]), number),
            "counts": [jnp.zeros((n_samples, size), number) for size in sizes],
            "end": jnp.full((n_samples, 1), jnp.iinfo(jnp.int32).max),
        }

    def _segment(self, n_frames: int, n_samples: int, dtype: Any) -> int:
        """Return the frames of a segment: all, or about the root of them if the states would not fit the memory."""
        values = sum(
            layer.n_neurons * (len(cell.state) + 4) for layer, cell in zip(self.layers, self.translations, strict=True)
        )
        needed = n_frames * self.n_steps * n_samples * values * np.dtype(dtype).itemsize
        return n_frames if needed <= MEMORY else max(1, math.isqrt(n_frames))


def _frames_first(X: Any, weights: Sequence[Weights]) -> Any:
    return jnp.swapaxes(jnp.asarray(X).astype(weights[0]["w"].dtype), 0, 1)


def _resting(layer: Layer, cell: Translation, constants: Any) -> Any:
    """Return the state at rest: of shape (n_neurons,) or (), by the present values of the parameters."""
    return {**cell.initial(), **cell.values({**layer.neuron.rest, **layer.neuron.start}, constants)}


def _scale(layer: Layer, cell: Translation) -> np.ndarray:
    """Return each neuron's distance from rest to threshold, before anything is trained."""
    with jax.enable_x64(True):
        constants = cell.constants({})
        return np.asarray(cell.distance(_resting(layer, cell, constants), constants))


def _unit(layer: Layer, cell: Translation) -> float:
    """Return the input of a time step that, held, brings the mean neuron from rest to threshold."""
    with jax.enable_x64(True):
        constants = cell.constants({})
        rest = {key: jnp.broadcast_to(v, (cell.n,)) for key, v in _resting(layer, cell, constants).items()}

        def distance(value: Any) -> Any:
            def step(state: Any, k: Any) -> Any:
                return cell.receive(cell.advance(state, constants, k), str(layer.target), value), None

            return cell.distance(jax.lax.scan(step, rest, jnp.arange(SETTLED))[0], constants)

        start, slope = jax.jvp(distance, (0.0,), (1.0,))
        moved = -float(jnp.mean(slope / start))
    if not np.isfinite(moved) or moved == 0:
        raise ValueError(f"Layer: what is added to {layer.target} of {cell.title} does not move it to its threshold.")
    return 1 / abs(moved)


def _delayed(queue: Any, spikes: Any, k: Any, delay: int) -> tuple[Any, Any]:
    """Return the spikes of ``delay`` steps ago, and the ring buffer with those of now."""
    if not delay:
        return spikes, queue
    slot = k % delay
    return queue[slot], queue.at[slot].set(spikes)


def _scan(segment: Callable[[Any, Any], Any], carry: Any, values: Any, length: int) -> Any:
    """Scan over segments; the states within one are computed again in the backward pass if there are several."""
    n = len(values)
    if length >= n:
        return segment(carry, values)
    again = jax.checkpoint(segment)
    whole = n // length * length
    parts = values[:whole].reshape(-1, length, *values.shape[1:])
    carry, found = jax.lax.scan(again, carry, parts)
    found = jax.tree.map(lambda value: value.reshape(-1, *value.shape[2:]), found)
    if whole < n:
        carry, rest = again(carry, values[whole:])
        found = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), found, rest)
    return carry, found


def _steps(name: str, value: Quantity, dt: Quantity, low: int) -> int:
    """Return a duration in time steps."""
    fail_for_dimension_mismatch(value, second, f"{name} must be a time")
    steps = float(value) / float(dt)
    if not np.isfinite(steps) or abs(steps - round(steps)) > 1e-6 or round(steps) < low:
        raise ValueError(f"{name} must be {'a positive' if low else 'a'} whole multiple of dt = {dt}, got {value}.")
    return round(steps)
