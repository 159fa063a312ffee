"""The space of a search: laws with intervals, plain intervals, integers and choices; a point is a plain vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from hrsnn.laws import Law, code

__all__ = ["Integer", "Space"]


class Interval(Law):
    """A plain number to search, ``(low, high)`` in a space: the law that gives one value for certain."""

    def __init__(self, value: Any):
        super().__init__(value=value)

    @classmethod
    def si_quantile(cls, u: Any, *, value: Any = None, **parameters: Any) -> np.ndarray:
        """Return the number itself at every probability."""
        return value + 0 * np.asarray(u)

    def _print(self, digits: int) -> str:
        return code(self.arguments["value"], digits)


class Integer(Interval):
    """An integer to search, both ends included.

    Parameters
    ----------
    low, high : int
        Ends, low < high.
    scale : {"linear", "log"}
        Scale of the search.

    Raises
    ------
    ValueError
        If an end is no integer, low >= high, or a log scale starts below 1.
    """

    def __init__(self, low: int, high: int, scale: str = "linear"):
        if any(int(end) != end for end in (low, high)):
            raise ValueError(f"Integer needs two integers, got {low!r} and {high!r}.")
        super().__init__((int(low), int(high), scale))

    def _print(self, digits: int) -> str:
        low, high, scale = self.intervals["value"]
        return f"Integer({low:.0f}, {high:.0f}" + (', "log")' if scale == "log" else ")")

    def __reduce__(self) -> tuple:
        return Integer, self.intervals["value"]


class Coordinate(NamedTuple):
    """One searched number of a point, in SI units: an argument of a law, a plain number, the index of a choice."""

    variable: str
    argument: str
    low: float
    high: float
    scale: str

    @property
    def name(self) -> str:
        """``tau_m.mean`` for the argument of a law, the variable's name otherwise."""
        return self.variable if self.argument in ("value", "choice") else f"{self.variable}.{self.argument}"


class Space:
    """A named set of things to search.

    A point is a dict: a law, number or choice for each variable. Its vector has one number a searched
    interval, in SI units, and ``encode`` and ``decode`` are exact inverses. ``from_unit`` and ``to_unit`` go
    between vectors and the unit cube, over which intervals (linear or log), integers and choices spread evenly.

    Parameters
    ----------
    variables : dict of str to Law, tuple, Integer or list
        A law with intervals, an interval ``(low, high)`` or ``(low, high, "log")`` of numbers or Quantities,
        an ``Integer(low, high)``, or a list of choices.

    Raises
    ------
    TypeError
        If a variable is none of these.
    ValueError
        If a variable leaves nothing to search.
    """

    def __init__(self, variables: Mapping[str, Any]):
        if not isinstance(variables, Mapping) or not variables:
            raise TypeError(f"A space is a dict of names to laws, intervals or choices, got {variables!r}.")
        self.variables = {name: _variable(name, value) for name, value in variables.items()}
        self.coordinates = tuple(c for name, value in self.variables.items() for c in _coordinates(name, value))
        self._code = f"Space(dict({', '.join(f'{name}={value!r}' for name, value in self.variables.items())}))"

    def encode(self, point: Mapping[str, Any]) -> np.ndarray:
        """Return the vector of a point.

        Parameters
        ----------
        point : dict
            A value for each variable.

        Returns
        -------
        array of shape (n_coordinates,)
            SI units; a choice is its index.

        Raises
        ------
        ValueError
            If the point is not in the space.
        """
        if set(point) != set(self.variables):
            raise ValueError(f"A point of this space names {', '.join(self.variables)}; got {', '.join(point)}.")
        vector = np.array([self._number(c, point[c.variable]) for c in self.coordinates])
        for c, x in zip(self.coordinates, vector, strict=True):
            if not c.low <= x <= c.high:
                raise ValueError(f"{c.name} is searched from {c.low:.4g} to {c.high:.4g} (SI units), got {x:.4g}.")
        for name, value in self.decode(vector).items():
            if not bool(value == point[name]):
                raise ValueError(f"{name} is searched as {self.variables[name]}; {point[name]} is not in it.")
        return vector

    def decode(self, vector: Any) -> dict[str, Any]:
        """Return the point of a vector: a law, number, Quantity or choice for each variable."""
        found: dict[str, dict[str, float]] = {name: {} for name in self.variables}
        for c, x in zip(self.coordinates, np.asarray(vector, dtype=float), strict=True):
            found[c.variable][c.argument] = float(x)
        return {name: _value(self.variables[name], numbers) for name, numbers in found.items()}

    def from_unit(self, unit: Any) -> np.ndarray:
        """Return vectors of shape (n, n_coordinates) for as many rows of the unit cube."""
        columns = np.clip(np.atleast_2d(unit), 0, 1).T
        vectors = []
        for c, u in zip(self.coordinates, columns, strict=True):
            low, high = self._ends(c)
            x = low * (high / low) ** u if c.scale == "log" else low + u * (high - low)
            vectors.append(np.clip(np.round(x) if self._whole(c) else x, c.low, c.high))
        return np.stack(vectors, axis=1)

    def to_unit(self, vectors: Any) -> np.ndarray:
        """Return rows of the unit cube for vectors of shape (n, n_coordinates)."""
        rows = []
        for c, x in zip(self.coordinates, np.atleast_2d(vectors).T, strict=True):
            low, high = self._ends(c)
            rows.append(np.log(x / low) / np.log(high / low) if c.scale == "log" else (x - low) / (high - low))
        return np.stack(rows, axis=1)

    def latin_hypercube(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return n rows of the unit cube with each coordinate spread evenly over its range."""
        strata = rng.permuted(np.tile(np.arange(n), (len(self.coordinates), 1)), axis=1).T
        return (strata + rng.random(strata.shape)) / n

    def _whole(self, c: Coordinate) -> bool:
        return c.argument == "choice" or isinstance(self.variables[c.variable], Integer)

    def _ends(self, c: Coordinate) -> tuple[float, float]:
        """Return the ends before rounding, so that each integer or choice gets an equal share."""
        return (c.low - 0.5, c.high + 0.5) if self._whole(c) else (c.low, c.high)

    def _number(self, c: Coordinate, value: Any) -> float:
        variable = self.variables[c.variable]
        if isinstance(variable, list):
            known = value in variable
        else:
            known = type(value) is type(variable) or (isinstance(variable, Interval) and not isinstance(value, Law))
        if not known:
            raise ValueError(f"{c.variable} is searched as {variable}; {value!r} is not in it.")
        if isinstance(variable, list):
            return float(variable.index(value))
        return float(np.asarray(value if isinstance(variable, Interval) else value.arguments[c.argument]))

    def __str__(self) -> str:
        """Return the space as a table, one searched interval a line."""
        rows: list[tuple[str, ...]] = [("variable", "law", "argument", "low", "high", "scale")]
        for c in self.coordinates:
            variable = self.variables[c.variable]
            if isinstance(variable, list):
                rows.append(
                    (
                        c.variable,
                        "choice",
                        "",
                        *(code(v) for v in (variable[0], variable[-1])),
                        f"{len(variable)} choices",
                    )
                )
                continue
            law, ends = type(variable).__name__, variable.arguments[c.argument][:2]
            rows.append((c.variable, law, c.argument, *(code(end, 4) for end in ends), c.scale))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        rows.insert(1, tuple("-" * width for width in widths))
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)

    def __repr__(self) -> str:
        """Return code that makes an equal space."""
        return self._code

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self._code == other._code

    def __hash__(self) -> int:
        return hash(self._code)

    def __deepcopy__(self, memo: dict) -> Space:
        return self  # a value: an estimator that copies its parameters needs no copy of it


def _variable(name: str, value: Any) -> Law | list:
    """Return a variable as a law with intervals or a list of choices; refuse what cannot be searched."""
    if isinstance(value, list):
        if len(value) < 2:
            raise ValueError(f"{name} needs at least two choices, got {value!r}.")
        return value
    try:
        law = Interval(value) if isinstance(value, tuple) else value
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if not isinstance(law, Law):
        raise TypeError(
            f"{name} must be a law with intervals, an interval (low, high), an Integer(low, high) "
            f"or a list of choices, got {value!r}."
        )
    if not law.intervals:
        raise ValueError(f"{name}={law} has no interval to search. Give an argument an interval, or leave {name} out.")
    return law


def _coordinates(name: str, variable: Law | list) -> list[Coordinate]:
    if isinstance(variable, list):
        return [Coordinate(name, "choice", 0, len(variable) - 1, "linear")]
    return [Coordinate(name, argument, *interval) for argument, interval in variable.intervals.items()]


def _value(variable: Law | list, numbers: dict[str, float]) -> Any:
    if isinstance(variable, list):
        return variable[int(numbers["choice"])]
    if isinstance(variable, Integer):
        return int(numbers["value"])
    quantities = {argument: variable.with_unit(argument, x) for argument, x in numbers.items()}
    return quantities["value"] if isinstance(variable, Interval) else variable.replace(**quantities)
