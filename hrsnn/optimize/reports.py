"""What a search found, in numbers: convergence, laws, length scales, partial dependence, tables, code."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
from brian2.units import allunits, stdunits

from hrsnn.laws import Law, code
from hrsnn.optimize.distance import group_names
from hrsnn.optimize.search import Search

__all__ = ["convergence", "laws_before_and_after", "length_scales", "partial_dependence", "paste", "write_csv"]


def convergence(search: Search) -> np.ndarray:
    """Return the best value after each evaluation, of shape (n_evaluations,); NaN before the first success."""
    values = np.array([e.value for e in search.evaluations])
    return np.fmin.accumulate(values)


def laws_before_and_after(search: Search) -> dict[str, tuple[Law, Law]]:
    """Return for each law of the space the first law that gave a value, and the best one."""
    before = search.space.decode(search.successes[0].vector)
    return {name: (law, search.x[name]) for name, law in before.items() if isinstance(law, Law)}


def length_scales(search: Search) -> dict[str, float]:
    """Return the fitted length of each part of the distance, in units of its typical size between two points.

    A short length means that the objective changes fast with the variable. A law of two searched arguments or more
    has two: ``tau_m mean``, and ``tau_m form`` for the rest of the law, its dispersion above all. For the sliced
    and Sinkhorn metrics there is one length, under the name ``joint``.
    """
    kernel = search.model().kernel_.get_params()
    lengths = np.atleast_1d(kernel["k1__k2__length_scale"])
    return dict(zip(group_names(search.space, kernel["k1__k2__metric"]), lengths.tolist(), strict=True))


def partial_dependence(search: Search, name: str, n_points: int = 30) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return how the predicted objective depends on one coordinate, averaged over the others.

    Parameters
    ----------
    search : Search
        With at least two values.
    name : str
        A coordinate such as ``tau_m.mean``, or the name of a plain variable.
    n_points : int
        Number of values of the coordinate.

    Returns
    -------
    values : Quantity, array or list of choices, of shape (n_points,)
        Values of the coordinate, in its unit.
    mean, std : array of shape (n_points,)
        Mean over the space of the predicted warped objective and of its standard deviation (see Search.warp).

    Raises
    ------
    ValueError
        If there is no such coordinate.
    """
    names = [c.name for c in search.space.coordinates]
    if name not in names:
        raise ValueError(f"There is no coordinate {name!r}. The coordinates are: {', '.join(names)}.")
    index = names.index(name)
    c = search.space.coordinates[index]
    variable = search.space.variables[c.variable]
    grid = np.unique(
        search.space.from_unit(np.full((n_points, len(names)), np.linspace(0, 1, n_points)[:, None]))[:, index]
    )
    background = search.space.latin_hypercube(64, np.random.default_rng(0))
    rows = np.repeat(background, len(grid), axis=0)
    vectors = search.space.from_unit(rows)
    vectors[:, index] = np.tile(grid, len(background))
    mean, std = search.model().predict(search.space.to_unit(vectors), return_std=True)
    mean, std = (x.reshape(len(background), len(grid)).mean(axis=0) for x in (mean, std))
    if isinstance(variable, list):
        return [variable[int(i)] for i in grid], mean, std
    return variable.with_unit(c.argument, grid), mean, std


def write_csv(search: Search, path: str | Path) -> None:
    """Write the table of points: number, each coordinate in SI units, value, variance, seconds, message."""
    with Path(path).open("w", newline="") as file:
        writer = csv.writer(file)
        names = [c.name for c in search.space.coordinates]
        writer.writerow(["number", *names, "value", "variance", "seconds", "message"])
        for e in search.evaluations:
            writer.writerow([e.number, *map(repr, e.vector), repr(e.value), repr(e.variance), e.seconds, e.message])


def paste(search: Search) -> str:
    """Return the best point as code to paste, with the imports it needs, and its value as a comment."""
    lines = [f"{name} = {_source(value)}" for name, value in search.x.items()]
    words = set(re.findall(r"[A-Za-z_]\w*", " ".join(map(_source, search.x.values()))))
    sources = (
        ("brian2", [*allunits.__all__, *stdunits.__all__]),
        ("hrsnn", ["Gamma", "LogNormal", "Normal", "Uniform"]),
    )
    needed = ((module, ", ".join(sorted(words & set(names)))) for module, names in sources)
    imports = [f"from {module} import {names}" for module, names in needed if names]
    head = f"# {search.fun!r} after {len(search.evaluations)} evaluations"
    return "\n".join([head, *imports, *lines]) + "\n"


def _source(value: Any) -> str:
    return repr(value) if isinstance(value, (Law, str, bool)) or value is None else code(value)
