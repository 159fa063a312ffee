"""Codes for series: a value that changes from step to step drives neurons by spikes or currents, in the simulation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from brian2 import Hz, Quantity, ms, second
from brian2.units.fundamentalunits import fail_for_dimension_mismatch

from hrsnn.checks import check_integer
from hrsnn.laws import Law, Normal

__all__ = ["CurrentCode", "PopulationCode", "RateCode", "SeriesCode"]

SPIKES = ("regular", "poisson")
GAIN, BIAS = Normal(mean=0.0, std=1.0), Normal(mean=1.0, std=0.5)  # of `CurrentCode`
GOLDEN = 0.6180339887498949  # spreads the first phases of the inputs evenly, whatever their number


class SeriesCode(ABC):
    """How values in [0, 1] become the rates of input neurons (base class of the codes).

    ``rate`` is a Brian2 expression of ``u``, the value of the input's feature, and of the constants of the input
    that ``constants`` gives. Spikes are "regular" (an input integrates its rate and fires at each whole number: no
    randomness) or "poisson".
    """

    rate = ""
    n_copies: int
    current = False  # whether the neurons take currents (`CurrentCode`) in place of spikes

    def __init__(self, rate_max: Quantity, step: Quantity, spikes: str):
        name = type(self).__name__
        fail_for_dimension_mismatch(rate_max, Hz, f"{name}: rate_max must be a rate")
        fail_for_dimension_mismatch(step, second, f"{name}: step must be a time")
        if not 0 < float(rate_max) < np.inf or not 0 < float(step) < np.inf:
            raise ValueError(f"{name}: rate_max and step must be positive and finite, got {rate_max} and {step}.")
        if spikes not in SPIKES:
            raise ValueError(f"{name}: spikes must be one of {', '.join(SPIKES)}, got {spikes!r}.")
        self.rate_max, self.step, self.spikes = rate_max, step, spikes

    @property
    @abstractmethod
    def inputs_per_feature(self) -> int:
        """Number of input neurons of a feature."""

    def constants(self, n_features: int) -> dict[str, np.ndarray]:
        """Return the constants of each input: ``feature``, its feature, ``phase_start``, and those of ``rate``.

        Parameters
        ----------
        n_features : int

        Returns
        -------
        dict of str to array of shape (n_features * inputs_per_feature,)
        """
        n = n_features * self.inputs_per_feature
        return {
            "feature": np.repeat(np.arange(n_features), self.inputs_per_feature),
            "phase_start": (GOLDEN * np.arange(1, n + 1)) % 1.0,
            "peak": np.full(n, float(self.rate_max)),
        }

    @abstractmethod
    def rates(self, u: Any) -> np.ndarray:
        """Return rates in hertz of shape (n_steps, n_inputs) for u in [0, 1] of shape (n_steps, n_features)."""

    def program(self) -> str:
        """Return all of the code that is compiled in."""
        return repr(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value!s}' for key, value in vars(self).items())})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


class PopulationCode(SeriesCode):
    """Each feature drives inputs with Gaussian receptive fields, centres evenly on [0, 1].

    The input of centre c fires at rate_max exp(-(u - c)^2 / (2 s^2)), s = width spacings of the centres.

    Parameters
    ----------
    n_fields : int
        Fields of a feature, at least 2.
    rate_max : Quantity (hertz)
        Rate at a centre.
    step : Quantity (second)
        How long a step of the series lasts.
    width : float
        Width of a field in spacings.
    n_copies : int
        Inputs of each field.
    spikes : {"regular", "poisson"}

    References
    ----------
    .. [1] Bohte, Kok & La Poutre (2002), Error-backpropagation in temporally encoded networks (population code).
    """

    rate = "peak*exp(-(u - centre)**2/(2*width**2))"

    def __init__(
        self,
        n_fields: int = 20,
        rate_max: Quantity = 100 * Hz,
        step: Quantity = 20 * ms,
        width: float = 1.0,
        n_copies: int = 1,
        spikes: str = "regular",
    ):
        super().__init__(rate_max, step, spikes)
        check_integer("PopulationCode: n_fields", n_fields, 2)
        check_integer("PopulationCode: n_copies", n_copies, 1)
        if not 0 < width < np.inf:
            raise ValueError(f"PopulationCode: width must be positive, got {width!r}.")
        self.n_fields, self.width, self.n_copies = n_fields, width, n_copies

    @property
    def inputs_per_feature(self) -> int:  # noqa: D102
        return self.n_fields * self.n_copies

    def constants(self, n_features: int) -> dict[str, np.ndarray]:  # noqa: D102
        found = super().constants(n_features)
        centre = np.repeat(np.linspace(0, 1, self.n_fields), self.n_copies)
        width = self.width / (self.n_fields - 1)
        return {**found, "centre": np.tile(centre, n_features), "width": np.full(len(found["peak"]), width)}

    def rates(self, u: Any) -> np.ndarray:  # noqa: D102
        values = np.asarray(u, dtype=float)
        c = self.constants(values.shape[1])
        return c["peak"] * np.exp(-((values[:, c["feature"]] - c["centre"]) ** 2) / (2 * c["width"] ** 2))


class RateCode(SeriesCode):
    """Each feature drives inputs at rate_max times its value: the plain rate code.

    Parameters
    ----------
    n_copies : int
        Inputs of a feature.
    rate_max, step, spikes
        As in `PopulationCode`.
    """

    rate = "peak*u"

    def __init__(
        self,
        n_copies: int = 20,
        rate_max: Quantity = 100 * Hz,
        step: Quantity = 20 * ms,
        spikes: str = "regular",
    ):
        super().__init__(rate_max, step, spikes)
        check_integer("RateCode: n_copies", n_copies, 1)
        self.n_copies = n_copies

    @property
    def inputs_per_feature(self) -> int:  # noqa: D102
        return self.n_copies

    def rates(self, u: Any) -> np.ndarray:  # noqa: D102
        values = np.asarray(u, dtype=float)
        c = self.constants(values.shape[1])
        return c["peak"] * values[:, c["feature"]]


class CurrentCode(SeriesCode):
    """Each value drives the neurons themselves, by a constant current during its step: no spikes, so no noise, enter.

    Neuron j takes the current bias_j + sum over features d of gain_dj (2 u_d - 1), in units of its threshold: the
    analogue input of most published spiking reservoirs. The model of the neurons needs a parameter ``drive``, to
    which the current adds.

    Parameters
    ----------
    gain : Law or float
        Weight of each feature for each neuron; of either sign.
    bias : Law or float
        Current of a neuron at the middle of the range.
    step : Quantity (second)
        How long a step of the series lasts.

    References
    ----------
    .. [1] Eliasmith & Anderson (2003), Neural Engineering (random gains and biases of spiking neurons).
    """

    rate = "0*peak"
    current = True

    def __init__(
        self,
        gain: Law | float = GAIN,
        bias: Law | float = BIAS,
        step: Quantity = 50 * ms,
    ):
        super().__init__(1 * Hz, step, "regular")
        for name, value in (("gain", gain), ("bias", bias)):
            if not isinstance(value, Law) and not np.isfinite(float(value)):
                raise ValueError(f"CurrentCode: {name} must be a law or a finite number, got {value!r}.")
        self.gain, self.bias = gain, bias

    @property
    def inputs_per_feature(self) -> int:  # noqa: D102
        return 0

    def rates(self, u: Any) -> np.ndarray:  # noqa: D102
        return np.zeros((len(u), 0))

    def draw(self, n_features: int, n_neurons: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return gains of shape (n_features, n_neurons) and biases of shape (n_neurons,)."""
        n = n_features * n_neurons
        gain = self.gain.sample(n, rng) if isinstance(self.gain, Law) else np.full(n, float(self.gain))
        bias = self.bias.sample(n_neurons, rng) if isinstance(self.bias, Law) else np.full(n_neurons, float(self.bias))
        return np.asarray(gain, dtype=float).reshape(n_features, n_neurons), np.asarray(bias, dtype=float)

    def program(self) -> str:
        """Return all of the code that is compiled in: gains and biases come from files."""
        return f"CurrentCode({self.step!s})"
