"""Figures of spikes, weights, graphs and scores: axes in, axes out.

`figure` makes a figure in the house style without a window; every other function draws into axes and returns them.
Colours are those of Okabe and Ito, which colour-blind readers can tell apart.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import networkx
import numpy as np
from brian2 import Quantity, get_dimensions, ms, second
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#777777"
_WEIGHT_MAP = "viridis"


def figure(n_rows: int = 1, n_cols: int = 1, width: float = 4.5, height: float = 3.4) -> tuple[Figure, Any]:
    """Make a figure in the house style.

    Parameters
    ----------
    n_rows, n_cols : int
        Grid of axes.
    width, height : float
        Size of each axes in inches.

    Returns
    -------
    Figure
        It belongs to no window and needs no closing.
    Axes or array of Axes
        One axes, or an array of shape ``(n_rows, n_cols)`` without its dimensions of length one.
    """
    made = Figure(figsize=(n_cols * width, n_rows * height), layout="constrained")
    grid = made.subplots(n_rows, n_cols, squeeze=False)
    for axes in grid.flat:
        axes.set_prop_cycle(color=COLOURS)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=9)
    return made, grid[0, 0] if grid.size == 1 else grid.squeeze()


def raster(axes: Axes, times: Quantity, neurons: ArrayLike, n_neurons: int | None = None, label: str = "") -> Axes:
    """Draw spikes as dots, time to the right and neuron upwards.

    Parameters
    ----------
    times : Quantity (second), array of shape (n_spikes,)
        Spike times.
    neurons : array of int, shape (n_spikes,)
        Index of the neuron of each spike.
    n_neurons : int, optional
        Height of the axes; the highest index that fired if None.
    label : str
        Name of the population.
    """
    if get_dimensions(times) is not second.dim:
        raise ValueError(f"times must be in seconds or milliseconds, got {times!r}.")
    indices = np.asarray(neurons)
    if np.shape(times) != indices.shape or indices.ndim != 1:
        raise ValueError(f"times and neurons must be of one length, got shapes {np.shape(times)} and {indices.shape}.")
    long = indices.size > 0 and float(np.max(times)) >= 2
    unit, name = (second, "s") if long else (ms, "ms")
    size = float(np.clip(4000 / max(indices.size, 1), 0.3, 9))
    axes.scatter(np.asarray(times / unit), indices, s=size, color=COLOURS[0], linewidths=0, rasterized=True)
    axes.set_ylim(-0.5, (n_neurons or (indices.max() + 1 if indices.size else 1)) - 0.5)
    axes.set(xlabel=f"time ({name})", ylabel=f"{label} neuron".strip())
    return axes


def receptive_fields(
    axes: Axes,
    weights: ArrayLike,
    shape: tuple[int, int] = (28, 28),
    n_cols: int | None = None,
    w_max: float | None = None,
    labels: Sequence | None = None,
) -> Axes:
    """Draw the weights into each neuron as an image, in a grid.

    Parameters
    ----------
    weights : array of shape (n_inputs, n_neurons)
        Column j holds the weights into neuron j.
    shape : (int, int)
        Height and width of the input image; their product is n_inputs.
    n_cols : int, optional
        Images in a row; about a square grid if None.
    w_max : float, optional
        Weight of the brightest colour; the largest weight if None.
    labels : sequence, optional
        Class of each neuron, written on its image where there is room.
    """
    W = np.asarray(weights, dtype=float)
    if W.ndim != 2 or W.shape[0] != shape[0] * shape[1]:
        raise ValueError(
            f"weights must have shape ({shape[0] * shape[1]}, n_neurons) for images {shape}, got {W.shape}."
        )
    n_neurons = W.shape[1]
    n_cols = n_cols or int(np.ceil(np.sqrt(n_neurons)))
    n_rows = -(-n_neurons // n_cols)
    gap = max(1, shape[0] // 14)
    height, width = shape[0] + gap, shape[1] + gap
    tiles = np.full((n_rows * height - gap, n_cols * width - gap), np.nan)
    for j in range(n_neurons):
        row, col = divmod(j, n_cols)
        tiles[row * height :, col * width :][: shape[0], : shape[1]] = W[:, j].reshape(shape)
        if labels is not None and n_cols <= 12:
            corner = (col * width + 1, row * height + 1)
            axes.text(*corner, str(labels[j]), color="white", fontsize=7, va="top", fontweight="bold")
    drawn = axes.imshow(tiles, cmap=_WEIGHT_MAP, vmin=0, vmax=w_max or W.max() or 1, interpolation="nearest")
    _colour_bar(axes, drawn, "weight")
    axes.set_axis_off()
    return axes


def connectivity(axes: Axes, connections: ArrayLike | networkx.DiGraph) -> Axes:
    """Draw a weight matrix, presynaptic neurons downwards and postsynaptic to the right.

    Parameters
    ----------
    connections : array of shape (n_pre, n_post), or networkx.DiGraph
        Weights; zero means no synapse. Edges run pre -> post with attribute ``weight``; nodes in their order.
    """
    if isinstance(connections, networkx.DiGraph):
        connections = networkx.to_numpy_array(connections)
    W = np.asarray(connections, dtype=float)
    if W.ndim != 2:
        raise ValueError(f"connections must be a matrix of shape (n_pre, n_post), got shape {W.shape}.")
    signed = W.min() < 0
    limit = np.abs(W).max() or 1
    drawn = axes.imshow(
        np.where(W == 0, np.nan, W),
        cmap="RdBu_r" if signed else _WEIGHT_MAP,
        vmin=-limit if signed else 0,
        vmax=limit,
        aspect="auto" if max(W.shape) > 2 * min(W.shape) else "equal",
        interpolation="nearest",
    )
    _colour_bar(axes, drawn, "weight")
    axes.set(xlabel="postsynaptic neuron", ylabel="presynaptic neuron")
    axes.set_title(f"{np.count_nonzero(W):,} synapses, {np.mean(W != 0):.1%} of all pairs", fontsize=10)
    return axes


def weight_histogram(
    axes: Axes, weights: Mapping[str, ArrayLike], n_bins: int = 50, levels: Sequence[float] = ()
) -> Axes:
    """Draw how often each weight occurs, one outline a network, on a logarithmic scale.

    Parameters
    ----------
    weights : mapping of str to array
        Weights of any shape by the name of their network.
    n_bins : int
        Number of bins between the lowest and the highest weight of all.
    levels : sequence of float
        Shared weights to mark.
    """
    flat = {name: np.asarray(values, dtype=float).ravel() for name, values in weights.items()}
    together = np.concatenate(list(flat.values()))
    edges = np.linspace(together.min(), together.max() or 1, n_bins + 1)
    for name, values in flat.items():
        axes.hist(values, edges.tolist(), histtype="step", linewidth=1.6, label=name)
    for level in levels:
        axes.axvline(level, color=GREY, linewidth=0.8, linestyle=":")
    axes.set_yscale("log")
    axes.set(xlabel="weight", ylabel="synapses")
    return _legend(axes, flat)


def accuracy(
    axes: Axes,
    x: ArrayLike,
    scores: Mapping[str, ArrayLike],
    x_label: str,
    chance: float | None = None,
    log: bool = False,
) -> Axes:
    """Draw accuracy against a setting, one line a method, with the spread over seeds.

    Parameters
    ----------
    x : array of shape (n_points,)
        The setting.
    scores : mapping of str to array of shape (n_points,) or (n_seeds, n_points)
        Accuracy from 0 to 1. With several seeds the line is the mean and the band one standard deviation.
    x_label : str
        Name of the setting with its unit.
    chance : float, optional
        Accuracy of guessing, drawn as a dotted line.
    log : bool
        Whether the setting stands on a logarithmic scale.
    """
    points = np.asarray(x, dtype=float)
    for (name, values), marker in zip(scores.items(), "os^Dv<>" * len(scores), strict=False):
        runs = 100 * np.atleast_2d(np.asarray(values, dtype=float))
        if runs.shape[1] != points.size:
            raise ValueError(f"scores of {name!r} have {runs.shape[1]} points, but x has {points.size}.")
        mean = runs.mean(axis=0)
        (line,) = axes.plot(points, mean, marker=marker, markersize=4.5, linewidth=1.6, label=name)
        if len(runs) > 1:
            spread = runs.std(axis=0, ddof=1)
            axes.fill_between(points, mean - spread, mean + spread, color=line.get_color(), alpha=0.18, linewidth=0)
    if chance is not None:
        axes.axhline(100 * chance, color=GREY, linestyle=":", linewidth=1)
        axes.annotate(
            "chance",
            (1, 100 * chance),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            color=GREY,
            fontsize=8,
        )
    if log:
        axes.set_xscale("log")
        axes.set_xticks(points, [f"{point:g}" for point in points], minor=False)
        axes.minorticks_off()
    axes.set(xlabel=x_label, ylabel="accuracy (%)")
    return _legend(axes, scores)


def curves(
    axes: Axes, lines: Mapping[str, tuple[ArrayLike, ArrayLike]], x_label: str, y_label: str, log: str = ""
) -> Axes:
    """Draw lines that each have their own points, joined from left to right.

    Parameters
    ----------
    lines : mapping of str to (array of shape (n_points,), array of shape (n_points,))
        Positions and values by the name of the line; a NaN value leaves a gap.
    x_label, y_label : str
        Names with their units.
    log : {"", "x", "y", "xy"}
        Which axes are logarithmic.
    """
    for (name, (x, y)), marker in zip(lines.items(), "os^Dv<>" * len(lines), strict=False):
        points, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        if points.ndim != 1 or points.shape != values.shape:
            raise ValueError(f"line {name!r} must have as many x as y, got shapes {points.shape} and {values.shape}.")
        order = np.argsort(points, kind="stable")
        axes.plot(points[order], values[order], marker=marker, markersize=4.5, linewidth=1.6, label=name)
    axes.set(xlabel=x_label, ylabel=y_label)
    if "x" in log:
        axes.set_xscale("log")
    if "y" in log:
        axes.set_yscale("log")
    return _legend(axes, lines)


def heat_map(
    axes: Axes,
    values: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    x_label: str,
    y_label: str,
    label: str,
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Draw a value over a grid of two settings, as fields of even size.

    Parameters
    ----------
    values : array of shape (n_y, n_x)
        NaN leaves a field white.
    x, y : array of shape (n_x,), (n_y,)
        The settings, y upwards; their names and the value's are ``x_label``, ``y_label`` and ``label``.
    limits : (float, float), optional
        Values of the darkest and the brightest colour.
    """
    grid = np.asarray(values, dtype=float)
    if grid.shape != (np.size(y), np.size(x)):
        raise ValueError(f"values must have shape ({np.size(y)}, {np.size(x)}), a row for each y, got {grid.shape}.")
    low, high = limits or (None, None)
    drawn = axes.imshow(grid, origin="lower", aspect="auto", cmap=_WEIGHT_MAP, vmin=low, vmax=high)
    axes.set_xticks(range(np.size(x)), [f"{value:g}" for value in np.asarray(x)])
    axes.set_yticks(range(np.size(y)), [f"{value:g}" for value in np.asarray(y)])
    axes.set(xlabel=x_label, ylabel=y_label)
    _colour_bar(axes, drawn, label)
    return axes


def confusion(axes: Axes, y_true: ArrayLike, y_predicted: ArrayLike, names: Sequence | None = None) -> Axes:
    """Draw which classes are taken for which: true classes downwards, each row sums to 100 %.

    Parameters
    ----------
    y_true, y_predicted : array of shape (n_samples,)
        Labels.
    names : sequence, optional
        Names of the classes in sorted order.
    """
    truth, guess = np.asarray(y_true), np.asarray(y_predicted)
    if truth.shape != guess.shape or truth.ndim != 1 or truth.size == 0:
        raise ValueError(f"y_true and y_predicted must be of one length, got shapes {truth.shape} and {guess.shape}.")
    classes = np.unique(np.concatenate([truth, guess]))
    counts = np.zeros((classes.size, classes.size))
    np.add.at(counts, (np.searchsorted(classes, truth), np.searchsorted(classes, guess)), 1)
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    drawn = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    if classes.size <= 12:
        for row, col in np.argwhere(share >= 0.5):
            colour = "white" if share[row, col] > 55 else "black"
            axes.text(col, row, f"{share[row, col]:.0f}", ha="center", va="center", fontsize=7.5, color=colour)
    labels = [str(name) for name in (names if names is not None else classes)]
    rotation = 60 if max(map(len, labels)) > 3 else 0
    axes.set_xticks(range(classes.size), labels, rotation=rotation, ha="right" if rotation else "center")
    axes.set_yticks(range(classes.size), labels)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="predicted class", ylabel="true class")
    _colour_bar(axes, drawn, "share of the true class (%)")
    return axes


def convergence(axes: Axes, values: Mapping[str, ArrayLike], y_label: str = "objective") -> Axes:
    """Draw the lowest value found against the number of evaluations, one colour a search.

    Parameters
    ----------
    values : mapping of str to array of shape (n_evaluations,) or (n_seeds, n_evaluations)
        Values in the order of their evaluation; NaN for a failed one. With one seed each value is a dot; with
        several the line is the median of the lowest values and the band reaches from quartile to quartile.
    y_label : str
        Name of the value with its unit.
    """
    for name, given in values.items():
        runs = np.atleast_2d(np.asarray(given, dtype=float))
        lowest = np.fmin.accumulate(runs, axis=1)
        n = np.arange(1, runs.shape[1] + 1)
        (line,) = axes.step(n, np.nanmedian(lowest, axis=0), where="post", linewidth=1.8, label=name)
        if len(runs) == 1:
            axes.plot(n, runs[0], ".", markersize=5, alpha=0.5, color=line.get_color())
        else:
            low, high = np.nanpercentile(lowest, [25, 75], axis=0)
            axes.fill_between(n, low, high, step="post", alpha=0.18, color=line.get_color(), linewidth=0)
    axes.set(xlabel="evaluation", ylabel=f"lowest {y_label} so far")
    return _legend(axes, values)


def forecast(
    axes: Axes,
    truth: ArrayLike,
    forecasts: Mapping[str, ArrayLike],
    time: ArrayLike | None = None,
    x_label: str = "step",
    y_label: str = "value",
    valid: float | None = None,
) -> Axes:
    """Draw one variable of a series and its forecasts.

    Parameters
    ----------
    truth : array of shape (n_steps,)
        The series.
    forecasts : mapping of str to array of shape (n_steps,)
        Forecasts by name.
    time : array of shape (n_steps,), optional
        Time of each step; the step number if None.
    x_label, y_label : str
        Names with their units.
    valid : float, optional
        Valid prediction time, marked, in the unit of `time`.
    """
    series = np.asarray(truth, dtype=float)
    steps = np.arange(series.size) if time is None else np.asarray(time, dtype=float)
    axes.plot(steps, series, color="black", linewidth=1.2, label="truth")
    for (name, values), colour in zip(forecasts.items(), COLOURS * len(forecasts), strict=False):
        if np.shape(values) != series.shape:
            raise ValueError(f"forecast {name!r} has shape {np.shape(values)}, but truth has {series.shape}.")
        axes.plot(steps, values, color=colour, linewidth=1.5, linestyle="--", label=name)
    if valid is not None:
        axes.axvline(valid, color=GREY, linestyle=":", linewidth=1.2)
        axes.annotate(
            " valid until here", (valid, 1), xycoords=("data", "axes fraction"), va="top", color=GREY, fontsize=8
        )
    low, high = series.min(), series.max()
    margin = 0.25 * (high - low or 1)
    axes.set(xlabel=x_label, ylabel=y_label, ylim=(low - margin, high + margin))
    axes.legend(frameon=False, fontsize=8.5, ncols=5, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
    return axes


def _colour_bar(axes: Axes, drawn: Any, label: str) -> None:
    bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.8, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8)
    bar.set_label(label, fontsize=9)


def _legend(axes: Axes, entries: Mapping[str, Any]) -> Axes:
    if len(entries) > 1:
        axes.legend(frameon=False, fontsize=8.5)
    return axes
