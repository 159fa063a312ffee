"""Figures of a search of laws: axes in, axes out, and one call that saves them all.

>>> from hrsnn import optimize, search_plots
>>> search_plots.save_report(search, "report")  # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import Quantity

from hrsnn import optimize, plots
from hrsnn.files import atomic
from hrsnn.laws import Law

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["convergence", "figures", "law_before_and_after", "length_scales", "partial_dependence", "save_report"]

N_COLS = 3


def convergence(axes: Axes, search: optimize.Search, y_label: str = "objective") -> Axes:
    """Draw each value and the lowest so far; failed evaluations are crosses on the upper edge.

    Parameters
    ----------
    search : Search
        With a value at least.
    y_label : str
        Name of the objective with its unit.
    """
    values = np.array([e.value for e in search.evaluations])
    numbers = np.arange(1, len(values) + 1)
    axes.plot(numbers, values, ".", markersize=5, color=plots.COLOURS[0], alpha=0.5, label="value")
    axes.step(numbers, optimize.convergence(search), where="post", linewidth=1.8, color=plots.COLOURS[0], label="best")
    failed = numbers[~np.isfinite(values)]
    if failed.size:
        edge = axes.get_xaxis_transform()
        axes.plot(failed, np.full(failed.size, 0.98), "x", color=plots.GREY, transform=edge, label="failed")
    if 0 < search.n_initial < len(values):
        axes.axvline(search.n_initial + 0.5, color=plots.GREY, linewidth=0.8, linestyle=":")
    found = values[np.isfinite(values)]
    if found.min() > 0 and found.max() > 30 * found.min():
        axes.set_yscale("log")
    axes.set(xlabel="evaluation", ylabel=y_label)
    axes.locator_params(axis="x", integer=True)
    axes.legend(frameon=False, fontsize=8.5, ncols=3, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
    return axes


def law_before_and_after(axes: Axes, before: Law, after: Law, name: str = "") -> Axes:
    """Draw the densities of the first law of a search and of the best one.

    Parameters
    ----------
    before, after : Law
        As ``optimize.laws_before_and_after`` gives them.
    name : str
        Name of the parameter.
    """
    unit, unit_name = _unit(after.quantile(0.5))
    styles = {"before": ("--", plots.GREY), "after": ("-", plots.COLOURS[0])}
    top = 0.0
    for (label, (style, colour)), law in zip(styles.items(), (before, after), strict=True):
        x, density = _density(law, unit)
        top = max(top, float(np.quantile(density, 0.98)))
        axes.plot(x, density, linestyle=style, color=colour, linewidth=1.6, label=label)
        if label == "after":
            axes.fill_between(x, density, color=colour, alpha=0.15, linewidth=0)
    axes.set(xlabel=f"{name} ({unit_name})" if unit_name else name, ylabel="density", ylim=(0, 1.15 * top))
    axes.legend(frameon=False, fontsize=8.5)
    return axes


def length_scales(axes: Axes, search: optimize.Search) -> Axes:
    """Draw how far each part of a law must move for the objective to change, shortest on top.

    Parameters
    ----------
    search : Search
        With at least two values.
    """
    lengths = sorted(optimize.length_scales(search).items(), key=lambda item: -item[1])
    names, values = zip(*lengths, strict=True)
    rows = np.arange(len(names))
    axes.axvline(1, color=plots.GREY, linewidth=0.8, linestyle=":")
    axes.hlines(rows, 1, values, color=plots.GREY, linewidth=1)
    axes.plot(values, rows, "o", color=plots.COLOURS[0], markersize=6)
    _log_ticks(axes, min(*values, 0.8), max(*values, 1.25))
    axes.set_yticks(rows, names)
    axes.set(xlabel="length, in typical distances of two points", ylim=(-0.6, len(names) - 0.4))
    return axes


def partial_dependence(
    axes: Axes, search: optimize.Search, name: str, n_points: int = 30, y_label: str = "objective"
) -> Axes:
    """Draw how the predicted objective depends on one coordinate, averaged over the others.

    The band is one standard deviation of the prediction; the ticks below are the values tried; the dotted line
    marks that of the best point.

    Parameters
    ----------
    search : Search
        With at least two values.
    name : str
        A coordinate such as ``tau_m.mean``, or the name of a plain variable.
    n_points : int
        Number of values of the coordinate.
    y_label : str
        Name of the objective with its unit.

    Raises
    ------
    ValueError
        If there is no such coordinate.
    """
    values, middle, low, high = _band(search, name, n_points)
    index = [c.name for c in search.space.coordinates].index(name)
    tried = np.array([e.vector[index] for e in search.evaluations])
    if isinstance(values, list):
        axes.errorbar(range(len(values)), middle, yerr=[middle - low, high - middle], fmt="o", color=plots.COLOURS[0])
        axes.set_xticks(range(len(values)), [str(value) for value in values])
        axes.set(xlabel=name, ylabel=y_label, xlim=(-0.5, len(values) - 0.5))
        return axes
    unit, unit_name = _unit(values)
    x = np.asarray(values, dtype=float) / unit
    axes.plot(x, middle, linewidth=1.6, color=plots.COLOURS[0])
    axes.fill_between(x, low, high, alpha=0.18, color=plots.COLOURS[0], linewidth=0)
    axes.axvline(search.best.vector[index] / unit, color=plots.GREY, linewidth=1, linestyle=":")
    edge = axes.get_xaxis_transform()
    axes.plot(tried / unit, np.zeros(tried.size), "|", color=plots.GREY, markersize=7, transform=edge, clip_on=False)
    axes.set(xlabel=f"{name} ({unit_name})" if unit_name else name, ylabel=y_label)
    if search.space.coordinates[index].scale == "log":
        _log_ticks(axes, x.min(), x.max())
    return axes


def figures(search: optimize.Search, y_label: str = "objective") -> dict[str, Figure]:
    """Return all figures of a search by name: convergence, laws, length_scales, partial_dependence.

    Parameters
    ----------
    search : Search
        With at least two values.
    y_label : str
        Name of the objective with its unit.
    """
    made = {}
    made["convergence"], axes = plots.figure()
    convergence(axes, search, y_label)
    laws = optimize.laws_before_and_after(search)
    if laws:
        made["laws"], grid = _grid(len(laws))
        for axes, (name, (before, after)) in zip(grid, laws.items(), strict=True):
            law_before_and_after(axes, before, after, name)
    made["length_scales"], axes = plots.figure(height=1.2 + 0.28 * len(optimize.length_scales(search)))
    length_scales(axes, search)
    names = [c.name for c in search.space.coordinates]
    made["partial_dependence"], grid = _grid(len(names))
    for axes, name in zip(grid, names, strict=True):
        partial_dependence(axes, search, name, y_label=y_label)
    middle, low, high = (
        np.concatenate(parts) for parts in zip(*(_band(search, n, 30)[1:] for n in names), strict=True)
    )
    bottom, top = min(middle.min(), np.median(low)), max(middle.max(), np.median(high))
    for axes in grid:  # one scale, so that what matters most is steepest
        axes.set_ylim(bottom - 0.1 * (top - bottom or 1), top + 0.1 * (top - bottom or 1))
    return made


def save_report(search: optimize.Search, folder: str | Path, y_label: str = "objective") -> list[Path]:
    """Save all figures of a search, its table of points, and its best point as code.

    Parameters
    ----------
    search : Search
        With at least two values.
    folder : str or Path
        Made if missing.
    y_label : str
        Name of the objective with its unit.

    Returns
    -------
    list of Path
        ``convergence.png``, ``laws.png`` (if laws are searched), ``length_scales.png``,
        ``partial_dependence.png``, ``points.csv`` and ``best.py``.
    """
    folder = Path(folder)
    paths = []
    for name, figure in figures(search, y_label).items():
        paths.append(folder / f"{name}.png")
        with atomic(paths[-1]) as temporary:
            figure.savefig(temporary, dpi=150, bbox_inches="tight")
    paths += [folder / "points.csv", folder / "best.py"]
    optimize.write_csv(search, paths[-2])
    paths[-1].write_text(optimize.paste(search))
    return paths


def _grid(n: int) -> tuple[Figure, list[Axes]]:
    """Return a figure with n axes, at most three beside each other."""
    n_cols = min(n, N_COLS)
    figure, axes = plots.figure(-(-n // n_cols), n_cols, width=3.4, height=2.6)
    grid = list(np.atleast_1d(axes).flat)
    for spare in grid[n:]:
        spare.remove()
    return figure, grid[:n]


def _band(search: optimize.Search, name: str, n_points: int) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    """Return values of a coordinate, the mean prediction, and one standard deviation below and above it."""
    values, mean, std = optimize.partial_dependence(search, name, n_points)
    middle, low, high = (search.warp.inverse(y) for y in (mean, mean - std, mean + std))
    return values, middle, low, high


def _log_ticks(axes: Axes, low: float, high: float) -> None:
    """Make the x axis logarithmic, with plain numbers: 1, 2, 5, 10, ..., or powers of ten over many decades."""
    decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    steps = np.array([1, 2, 5]) if high < 200 * low else np.array([1])
    ticks = np.outer(10.0**decades, steps).ravel()
    ticks = ticks[(ticks > 0.99 * low) & (ticks < 1.01 * high)]
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(low * (low / high) ** 0.04, high * (high / low) ** 0.04)


def _density(law: Law, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """Return positions in a unit and the density there, from differences of quantiles; zero at both ends."""
    u = 0.0002 + 0.9988 * (1 - np.cos(np.linspace(0, np.pi, 400))) / 2  # dense in both tails
    x = np.asarray(law.quantile(u), dtype=float) / unit
    gap = np.diff(x)
    middle, density = (x[1:] + x[:-1]) / 2, np.diff(u) / np.maximum(gap, 1e-12 * abs(x).max())
    return np.concatenate([middle[:1], middle, middle[-1:]]), np.concatenate([[0], density, [0]])


def _unit(value: Any) -> tuple[float, str]:
    """Return the best unit of a value in SI units, and its name."""
    if not isinstance(value, Quantity):
        return 1.0, ""
    best = value.get_best_unit()
    return float(best), str(best)
