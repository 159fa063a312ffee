"""A trained feed-forward network as a Brian2 network: convolutions as lists of synapses with their shared weights."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
from brian2 import NeuronGroup, Synapses, ms
from scipy import sparse

from hrsnn.gradient.architectures import Convolution, Dense, Pooling, Shape, Step
from hrsnn.gradient.brian2_network import Simulation
from hrsnn.gradient.convolution import FeedForward
from hrsnn.simulation.engine import Blueprint

__all__ = ["ImageSimulation", "matrix"]


class ImageSimulation(Simulation):
    """Runs a feed-forward network in Brian2, sample after sample, each from rest.

    A spike acts on the next layer one time step later, so that layer k lags k steps behind; spikes are returned by the
    time steps of their own layer. The output, which adds up spikes, is not a part of it.

    Parameters
    ----------
    network : FeedForward
    weights : dict
        As ``SpikingImageClassifier.weights_``.
    backend : {"auto", "runtime", "cpp", "cuda"}, optional
        The choice of ``hrsnn.use_backend`` if None.
    """

    def __init__(self, network: FeedForward, weights: Mapping[str, Any], backend: str | None = None):
        self.feed_forward, self.lists = network, {}
        spiking = network.populations[:-1]
        projections = [
            (entry.source, k, f"w_{number}", k - entry.source - 1)
            for k, population in enumerate(spiking)
            for number, entry in enumerate(population.inputs)
        ]
        double = [np.asarray(value, np.float64) for value in weights["w"]]
        for source, k, name, _ in projections:
            entry = spiking[k].inputs[int(name.removeprefix("w_"))]
            before = network.shape if source < 0 else spiking[source].shape
            self.lists[f"{name}_{k}"] = matrix(entry.steps, double, before)
        layers = [
            SimpleNamespace(neuron=network.neuron, own={}, n_neurons=population.n_neurons, target="i_e")
            for population in spiking
        ]
        chain = SimpleNamespace(layers=layers, n_inputs=math.prod(network.shape), n_steps=1, dt=1 * ms)
        super().__init__(chain, weights, backend, projections)

    def run(self, X: np.ndarray) -> list[np.ndarray]:
        """Return the spikes of each layer, bool arrays of shape (n_samples, n_steps, n_neurons).

        Parameters
        ----------
        X : array of shape (n_samples, n_steps, n_inputs)
        """
        n_steps, behind = X.shape[1], len(self.network.layers)
        found = super().run(np.pad(X, ((0, 0), (0, behind), (0, 0))))
        return [spikes[:, k + 1 : k + 1 + n_steps] for k, spikes in enumerate(found)]

    def blueprint(self, block: int) -> Blueprint:
        """Return what the engine builds, for ``block`` frames."""
        found = super().blueprint(block)
        wiring = repr((self.feed_forward.shape, self.feed_forward.populations))
        return replace(found, signature=found.signature + wiring, sources=(*found.sources, sys.modules[__name__]))

    def _projection(self, name: str, source: NeuronGroup, target: NeuronGroup, added: str, delay: int) -> Synapses:
        dt = self.network.dt
        on_pre = f"i_e_post += {added}"
        synapses = Synapses(source, target, "w : 1", on_pre=on_pre, delay=delay * dt, dt=dt, name=name)
        synapses.connect(i=self.lists[name].row, j=self.lists[name].col)
        return synapses

    def _synapses(self) -> list[tuple[str, int]]:
        return [(name, found.nnz) for name, found in self.lists.items()]

    def _state(self, weights: Any) -> dict[str, np.ndarray]:
        state = {f"{name}.w": found.data for name, found in self.lists.items()}
        with jax.enable_x64(True):
            double = jax.tree.map(lambda value: np.asarray(value, np.float64), dict(weights))
            for k, values in enumerate(self.feed_forward.parameters(double)):
                state |= {f"layer_{k}.{key}": np.asarray(value, float) for key, value in values.items()}
        return state


def matrix(steps: Sequence[Step], weights: Sequence[np.ndarray], before: Shape) -> sparse.coo_array:
    """Return linear steps as one matrix (from, to) of synapses, those outside of the image left out.

    Parameters
    ----------
    steps : sequence of Step
        A mean over n values is n synapses of weight 1/n; dropout leaves all as it is.
    weights : list of array
    before : tuple of int
        Shape of the source.
    """
    n = math.prod(before)
    found = sparse.csr_array(sparse.eye_array(n))
    for step in steps:
        if isinstance(step.layer, Dense):
            found = found @ sparse.csr_array(weights[step.weights or 0])
        elif isinstance(step.layer, Pooling):
            size = step.layer.size
            kernel = np.eye(step.after[2])[None, None] / size**2
            found = found @ _sliding(step, np.tile(kernel, (size, size, 1, 1)), size, 0)
        elif isinstance(step.layer, Convolution):
            found = found @ _sliding(step, weights[step.weights or 0], step.layer.stride, step.layer.kernel // 2)
    return found.tocoo()


def _sliding(step: Step, kernel: np.ndarray, stride: int, border: int) -> sparse.csr_array:
    """Return the matrix of a kernel (height, width, from, to) that moves over an image."""
    height, width, n_from = step.before
    rows, columns, n_to = step.after
    sources = np.arange(height * width * n_from).reshape(height, width, n_from)
    targets = np.arange(rows * columns * n_to).reshape(rows, columns, n_to)
    parts = []
    for y in range(kernel.shape[0]):
        for x in range(kernel.shape[1]):
            down, right = np.arange(rows) * stride + y - border, np.arange(columns) * stride + x - border
            real = np.ix_((down >= 0) & (down < height), (right >= 0) & (right < width))
            places = sources[np.ix_(down[real[0].ravel()], right[real[1].ravel()])]
            i, j = np.broadcast_arrays(places[..., :, None], targets[real][..., None, :])
            w = np.broadcast_to(kernel[y, x], i.shape)
            parts.append(np.stack([i.ravel(), j.ravel(), w.ravel()]))
    i, j, w = np.concatenate(parts, axis=1)
    kept = w != 0 if step.weights is None else slice(None)
    ends = (i[kept].astype(int), j[kept].astype(int))
    return sparse.csr_array(sparse.coo_array((w[kept], ends), shape=(sources.size, targets.size)))
