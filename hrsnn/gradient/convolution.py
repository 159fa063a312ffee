"""Feed-forward networks of declared neurons, and the networks of rectified units with the same weights.

Nothing in them is recurrent but the neurons: each population sees the drive of all time steps at once, so that time is
a part of the batch in every convolution, and only the neurons' own step is scanned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from brian2 import ms

from hrsnn.gradient.architectures import Convolution, Dense, Dropout, Layer, Pooling, Step, wired
from hrsnn.gradient.surrogates import Surrogate, Triangle
from hrsnn.gradient.translation import Translation
from hrsnn.models import DiscreteLIF
from hrsnn.simulation.brian2_hooks import never_run
from hrsnn.simulation.model import NeuronModel
from hrsnn.streams import Gradients, stream

__all__ = ["FeedForward", "Response"]

Weights = Mapping[str, Any]
NEVER = 1000.0  # time steps since the last spike of a neuron that never fired


class Response(NamedTuple):
    """What a network did with a batch.

    ``potentials`` : array of shape (n_samples, n_outputs), of the output after the last time step. ``counts`` : for
    each spiking population, spikes of each neuron, shape (n_samples, *shape). ``spikes`` : the same with an axis of
    time steps in front, if recorded. ``state`` : of all neurons, to go on from.
    """

    potentials: Any
    counts: list[Any]
    spikes: list[Any] | None
    state: Any


class FeedForward:
    """Layers of neurons for images, as functions of weights.

    Parameters
    ----------
    layers : sequence of Convolution, Dense, Pooling, Dropout or Residual
        Without the output.
    shape : tuple of int
        Height, width and channels of an image.
    n_outputs : int
    neuron : NeuronModel
        A neuron whose step is the time step, with ``v_thresh`` and without laws: ``DiscreteLIF`` or ``DiscreteIF``.
    surrogate : Surrogate
        Derivative of its spikes. Distances are in units of the threshold.

    Attributes
    ----------
    populations : list of Population
        The last is the output: it adds up what arrives and does not spike (eq. 5.3).
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        shape: tuple[int, ...],
        n_outputs: int,
        neuron: NeuronModel | None = None,
        surrogate: Surrogate | None = None,
    ):
        self.neuron, self.surrogate = neuron or DiscreteLIF(), surrogate or Triangle()
        name = type(self.neuron).__name__
        if not self.neuron.update or "v_thresh" not in self.neuron.parameters or self.neuron.heterogeneous:
            raise ValueError(
                f"The neurons of a feed-forward network need an update by time steps and one v_thresh a layer, which "
                f"{name} has not: use DiscreteLIF or DiscreteIF of hrsnn.models, or one of your own, without laws."
            )
        self.shape, self.populations = tuple(shape), wired(layers, shape, n_outputs)
        group = never_run(self.neuron.build(1, name="neurons", dt=1 * ms))
        self.cell = Translation(group, name)
        steps = [step for population in self.populations for entry in population.inputs for step in entry.steps]
        self.weighted = sorted((step for step in steps if step.weights is not None), key=lambda step: step.weights or 0)

    # Weights

    def weights(self, seed: int) -> dict[str, Any]:
        """Return initial weights, normal with variance 2 / n_from, as {"w": [...]}."""
        found = []
        for step in self.weighted:
            n_from = math.prod(step.weight_shape[:-1])
            random = stream(seed, Gradients.WEIGHTS, step.weights or 0).standard_normal(step.weight_shape)
            found.append(jnp.asarray(random * math.sqrt(2 / n_from), jnp.float32))
        return {"w": found}

    def parameters(self, weights: Weights) -> list[dict[str, Any]]:
        """Return the neurons' parameters of each spiking population, those of the model where ``weights`` has none.

        Values out of a parameter's range count as the nearest in it, with a derivative as if they were in it.
        """
        found = []
        for k in range(len(self.populations) - 1):
            values = {key: jnp.asarray(value, jnp.result_type(float)) for key, value in self.cell.parameters.items()}
            for key, all_values in weights.items():
                if key != "w":
                    low, high = self.neuron.ranges.get(key, (None, None))
                    value = all_values[k]
                    values[key] = value + jax.lax.stop_gradient(jnp.clip(value, low, high) - value)
            found.append(values)
        return found

    # Without spikes

    def rectified(self, weights: Weights, X: Any, random: Any = None) -> Any:
        """Return the outputs of the network of rectified linear units, shape (n_samples, n_outputs).

        Parameters
        ----------
        weights : dict
        X : array of shape (n_samples, height, width, channels)
        random : key, optional
            Of the dropout, in training.
        """
        values: list[Any] = []
        for k, population in enumerate(self.populations):
            drive: Any = 0.0
            for entry in population.inputs:
                value = X if entry.source < 0 else values[entry.source]
                drive = drive + self._mapped(weights, entry.steps, value, _key(random, k))
            values.append(jnp.maximum(drive, 0) if k < len(self.populations) - 1 else drive)
        return values[-1]

    # With spikes

    def start(self, n_samples: int, dtype: Any = None) -> Any:
        """Return the state of all neurons at rest, before the first time step."""
        number = dtype or jnp.result_type(float)
        spiking = self.populations[:-1]
        return {
            "k": jnp.asarray(0),
            "neurons": [
                {key: jnp.zeros((n_samples, *population.shape), number) for key in self.cell.state}
                for population in spiking
            ],
            "last": [
                jnp.full((n_samples, *population.shape), -NEVER, number) if self.surrogate.by_time else None
                for population in spiking
            ],
            "output": jnp.zeros((n_samples, *self.populations[-1].shape), number),
        }

    def run(
        self,
        weights: Weights,
        X: Any,
        n_steps: int,
        state: Any = None,
        random: Any = None,
        record: bool = False,
        balanced: Callable[[int, Any], Any] | None = None,
    ) -> Response:
        """Show images.

        Parameters
        ----------
        weights : dict
        X : array of shape (n_samples, height, width, channels) or (n_steps, n_samples, height, width, channels)
            Currents that are the same in all time steps, or the values (spikes) of each.
        n_steps : int
        state : optional
            To go on from; at rest if None.
        random : key, optional
            Of the dropout, in training: the same key gives the same mask.
        record : bool
            Whether to return every spike.
        balanced : callable, optional
            Of the number of a population and its drive: the threshold that it gets instead of its own.
        """
        n_samples = X.shape[-4]
        state = self.start(n_samples, X.dtype) if state is None else state
        parameters = self.parameters(weights)
        steady = X.ndim == 4
        trains: list[Any] = []
        new: dict[str, Any] = {"k": state["k"] + n_steps, "neurons": [], "last": []}
        for k, population in enumerate(self.populations):
            drive: Any = 0.0
            for entry in population.inputs:
                value = X if entry.source < 0 else trains[entry.source]
                if k == len(self.populations) - 1:  # adds up: the sum of the spikes is enough
                    value = value * n_steps if entry.source < 0 and steady else jnp.sum(value, axis=0)
                drive = drive + self._mapped(weights, entry.steps, value, _key(random, k))
            if k == len(self.populations) - 1:
                new["output"] = state["output"] + drive
                break
            if drive.ndim == len(population.shape) + 1:
                drive = jnp.broadcast_to(drive, (n_steps, *drive.shape))
            if balanced is not None:
                parameters[k]["v_thresh"] = balanced(k, drive)
            spikes, neurons, last = self._fire(parameters[k], drive, state["k"], state["neurons"][k], state["last"][k])
            trains.append(spikes)
            new["neurons"].append(neurons)
            new["last"].append(last)
        counts = [jnp.sum(spikes, axis=0) for spikes in trains]
        return Response(new["output"], counts, trains if record else None, new)

    def _fire(self, parameters: Any, drive: Any, first: Any, state: Any, last: Any) -> tuple[Any, Any, Any]:
        """Return the spikes of a population, and its state after them."""
        cell, constants = self.cell, self.cell.constants(parameters)
        scale = jax.lax.stop_gradient(parameters["v_thresh"])

        def step(carry: Any, arriving: Any) -> Any:
            k, state, last = carry
            state = cell.advance(cell.receive(state, "i_e", arriving), constants, k)
            age = None if last is None else k - last
            spikes = cell.spikes(state, constants, k, self.surrogate, scale, age)
            state = cell.reset(cell.fired(state, k, spikes), constants, k, spikes)
            last = None if last is None else jnp.where(spikes > 0, k, last).astype(last.dtype)
            return (k + 1, state, last), spikes

        (_, state, last), spikes = jax.lax.scan(step, (first, state, last), drive)
        return spikes, state, last

    def _mapped(self, weights: Weights, steps: Sequence[Step], value: Any, random: Any) -> Any:
        """Return values behind linear steps; an axis of time in front of the samples is a part of the batch."""
        time = value.ndim - 1 - len(steps[0].before) if steps else 0
        lead = value.shape[:time]
        mask_lead = value.shape[time : time + 1]
        if time:
            value = value.reshape(-1, *value.shape[2:])
        for number, step in enumerate(steps):
            layer = step.layer
            if isinstance(layer, Dropout):
                if random is not None and layer.rate:
                    key = jax.random.fold_in(random, number)
                    kept = jax.random.bernoulli(key, 1 - layer.rate, (*mask_lead, *step.before)) / (1 - layer.rate)
                    split = value.reshape(-1, *kept.shape) * kept.astype(value.dtype)
                    value = split.reshape(value.shape)
            elif isinstance(layer, Pooling):
                value = _pooled(value, layer.size)
            elif isinstance(layer, Convolution):
                value = _convolved(value, weights["w"][step.weights or 0], layer.stride)
            elif isinstance(layer, Dense):
                value = value.reshape(len(value), -1) @ weights["w"][step.weights or 0]
        return value.reshape(*lead, -1, *value.shape[1:]) if time else value


def _convolved(value: Any, w: Any, stride: int) -> Any:
    reach = w.shape[0] // 2
    return jax.lax.conv_general_dilated(
        value, w, (stride, stride), [(reach, reach)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _pooled(value: Any, size: int) -> Any:
    n, height, width, channels = value.shape
    rows, columns = height // size, width // size
    value = value[:, : rows * size, : columns * size]
    return value.reshape(n, rows, size, columns, size, channels).mean(axis=(2, 4))


def _key(random: Any, k: int) -> Any:
    return None if random is None else jax.random.fold_in(random, k)
