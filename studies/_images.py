"""What the studies of feed-forward networks share: images, networks without spikes, and judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hrsnn import datasets, plots
from hrsnn.metrics import energy_ratio

Row = dict[str, Any]
GREY, COLOUR = (28, 28, 1), (32, 32, 3)
#: Each set: how it is loaded, the shape of its images, and whether its training images may be mirrored.
SETS: dict[str, tuple[Callable[[], Any], tuple[int, int, int], bool]] = {
    "mnist": (datasets.mnist, GREY, False),
    "fashion": (datasets.fashion_mnist, GREY, True),
    "caltech": (lambda: datasets.caltech101(view="grey", oversample=None), GREY, True),
    "cifar10": (datasets.cifar10, COLOUR, True),
    "cifar10_files": (lambda: datasets.cifar10_files(colour=True), COLOUR, True),
    "cifar100": (datasets.cifar100, COLOUR, True),
}


@dataclass(frozen=True)
class Task:
    """Images of values 0 to 1, rows of pixels, and their labels.

    ``shape`` : height, width, channels. ``flip`` : whether mirrored images are of the same class.
    """

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray
    shape: tuple[int, int, int]
    flip: bool

    def part(self, n: int, number: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return ``n`` training images chosen at random, all if there are fewer, and their labels."""
        rows = np.random.default_rng([1, number]).permutation(len(self.y_train))[:n]
        return self.X_train[rows], self.y_train[rows]


def task(data: str, n_train: int, n_test: int) -> Task:
    """Return images of a set, chosen at random but always the same, in its order."""
    if data not in SETS:
        raise ValueError(f"data must be one of {', '.join(SETS)}, got {data!r}.")
    load, shape, flip = SETS[data]
    X_train, X_test, y_train, y_test = load()
    parts = []
    for X, y, n in ((X_train, y_train, n_train), (X_test, y_test, n_test)):
        rows = np.sort(np.random.default_rng(0).permutation(len(y))[:n])
        parts.append(((X[rows] / np.float32(255)).reshape(len(rows), -1), y[rows]))
    (X_train, y_train), (X_test, y_test) = parts
    return Task(X_train, X_test, y_train, y_test, shape, flip)


def without_spikes(task: Task, layers: Any, n_epochs: int, learning_rate: float, seed: int, checkpoint: Path) -> Any:
    """Return the network of rectified units, trained or read from its checkpoint."""
    from hrsnn.gradient import ImageClassifier

    return ImageClassifier(
        layers,
        shape=task.shape,
        shift=1 if task.shape == GREY else 4,
        flip=task.flip,
        n_epochs=n_epochs,
        learning_rate=learning_rate,
        checkpoint=checkpoint,
        seed=seed,
    ).fit(task.X_train, task.y_train)


def judged(network: Any, task: Task, n_compared: int, backend: str) -> Row:
    """Return accuracy, spikes and energy of a spiking network, and how its spikes compare with Brian2's.

    ``spikes`` : of a neuron and image, the mean of layers. ``energy_ratio`` : by eqs. 5.18-5.21 as printed, from the
    spikes of Brian2 in ``n_compared`` images, the output counted with the spike rate of the layer before it;
    ``energy_ratio_arriving`` : each layer counted with the rate of the layer that drives it.
    """
    by_layer = [float(counts.mean()) for counts in network.spike_counts(task.X_test)]
    row: Row = {
        "accuracy": float(network.score(task.X_test, task.y_test)),
        "spikes": float(np.mean(by_layer)),
        "layers": by_layer,
    }
    if n_compared:
        some = task.X_test[:n_compared]
        brian2 = network.simulate(some, backend)
        double, single = network.spikes(some, double=True), network.spikes(some)
        row["spikes_different"] = sum(int((a != b).sum()) for a, b in zip(double, brian2, strict=True))
        row["spikes_different_single"] = sum(int((a != b).sum()) for a, b in zip(single, brian2, strict=True))
        rates = [float(layer.sum() / len(some) / layer.shape[2]) for layer in brian2]
        operations = [population.operations for population in network.network_.populations]
        direct = network.encoding == "direct"
        pixels = float(network.n_steps * some.mean())  # spikes of a pixel, if it spikes
        row["energy_ratio"] = energy_ratio(operations, [*rates, rates[-1]], direct)
        row["energy_ratio_arriving"] = energy_ratio(operations, [pixels, *rates], direct)
    return row


def curve(network: Any, task: Task, n_images: int, steps: Sequence[int]) -> list[float]:
    """Return the accuracy of a network of the longest time after some numbers of time steps."""
    labels = network.staged_predict(task.X_test[:n_images], every=5)
    right = (labels == task.y_test[:n_images]).mean(axis=1)
    return [float(right[-(-n // 5) - 1]) for n in steps]


def drawn_curve(lines: Mapping[str, Any], points: Sequence[Row], without: float) -> Any:
    """Return the figure of accuracy against time steps; the dotted line is the network without spikes."""
    figure, axes = plots.figure()
    trained: dict[str, tuple[list[int], list[float]]] = {}
    for row in sorted(points, key=lambda row: row["n_steps"]):
        at, values = trained.setdefault(row["variant"], ([], []))
        at.append(row["n_steps"])
        values.append(100 * row["accuracy"])
    given = {name: (at, 100 * np.asarray(values)) for name, (at, values) in lines.items()}
    plots.curves(axes, {**given, **trained}, "time steps", "accuracy (%)", log="x")
    for line in axes.lines:
        if len(line.get_xdata()) < 2:
            line.set_marker("o")
    axes.axhline(100 * without, color="0.6", linestyle=":")
    return figure


def drawn_layers(values: Mapping[str, Sequence[float]], label: str) -> Any:
    """Return a figure of values by layer, a line a network (figures 4.3 and 5.2)."""
    figure, axes = plots.figure()
    plots.curves(axes, {k: (np.arange(1, len(v) + 1), v) for k, v in values.items()}, "layer", label)
    return figure


def drawn_parameters(before: Mapping[str, Sequence[float]], after: Mapping[str, Sequence[float]]) -> Any:
    """Return the figure of thresholds and leaks of the layers before and after the training (figure 5.2 b)."""
    figure, grid = plots.figure(1, len(before))
    for axes, key in zip(np.atleast_1d(grid), before, strict=True):
        lines = {"before": before[key], "after": after[key]}
        named = {"v_thresh": "threshold", "leak": "leak"}[key]
        plots.curves(axes, {k: (np.arange(1, len(v) + 1), v) for k, v in lines.items()}, "layer", named)
    return figure
