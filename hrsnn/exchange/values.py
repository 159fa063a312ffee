"""Parameters that are known neuron by neuron, as a law that gives exactly them."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Quantity
from brian2.units.fundamentalunits import get_dimensions

from hrsnn.laws import Law, Uniform, code

__all__ = ["PerNeuron"]


class PerNeuron(Uniform):
    """A law that gives neuron k the k-th of its values; between neurons it is uniform from the least to the largest.

    Parameters
    ----------
    values : array of shape (n_neurons,), or Quantity
        At least two of them differ.

    Raises
    ------
    ValueError
        If all values are equal, or another number of neurons asks for them.
    """

    values: np.ndarray

    def __init__(self, values: Any):
        plain = np.array(values, dtype=float)
        if plain.ndim != 1 or len(np.unique(plain)) < 2:
            raise ValueError(f"PerNeuron needs a row of values that differ, got {values!r}: give the number itself.")
        dim = get_dimensions(values[0])
        super().__init__(Quantity(plain.min(), dim=dim), Quantity(plain.max(), dim=dim))
        plain.setflags(write=False)
        object.__setattr__(self, "values", plain)

    def sample(self, size: int | tuple[int, ...] | None, rng: np.random.Generator) -> Any:
        """Return the values; ``rng`` is not used."""
        if size not in (len(self.values), (len(self.values),)):
            raise ValueError(f"PerNeuron has values of {len(self.values)} neurons, but {size} are wanted.")
        return self._with_unit(self.values.copy())

    @property
    def arguments(self) -> dict[str, Any]:
        """The values as given."""
        return {"values": self._with_unit(self.values.copy())}

    def replace(self, **arguments: Any) -> Law:
        """Return the law of other values."""
        return PerNeuron(**{**self.arguments, **arguments})

    def _print(self, digits: int) -> str:
        return f"PerNeuron([{', '.join(code(self._with_unit(float(value)), digits) for value in self.values)}])"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._dim is other._dim and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash((str(self._dim), self.values.tobytes()))
