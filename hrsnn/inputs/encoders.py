"""Encoders: numbers become spikes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from brian2 import Hz, Quantity, ms, second
from brian2.units.fundamentalunits import fail_for_dimension_mismatch
from sklearn.utils.validation import check_array

from hrsnn.checks import check_integer

__all__ = [
    "Encoder",
    "Encoding",
    "FrameEncoder",
    "LatencyEncoder",
    "PoissonEncoder",
    "PopulationEncoder",
    "check_samples",
    "equal_drive",
    "unit_range",
]

HEADROOM = 4  # a normalised rate is at most so many times rate_max


@dataclass(frozen=True)
class Encoding:
    """How an input group turns a sample's values into spike times, as Brian2 expressions.

    ``drive`` is evaluated once a frame from ``samples((sample*n_frames + frame)*second, i)``, the value of input i, and
    ``intensity`` (1, higher when a sample is shown again); ``first_step`` and ``next_step`` give the time step
    of the first spike after ``start_step`` and of the one after a spike at ``step``. A sample may have several
    frames of ``n_frames`` equal durations; a frame whose values are all ``silent`` draws no spike.
    """

    drive: str
    first_step: str
    next_step: str
    silent: float = 0.0
    n_frames: int = 1


POISSON = Encoding(
    drive="samples((sample*n_frames + frame)*second, i)*intensity*step_width",
    first_step="start_step + poisson_gap(drive, seed_, i, draw) - 1",
    next_step="step + poisson_gap(drive, seed_, i, draw)",
)
LATENCY = Encoding(
    drive="samples(sample*second, i)/step_width",
    first_step="start_step + int(drive + 0.5)",
    next_step="never",
    silent=1000.0,
)


def check_samples(X: Any) -> np.ndarray:
    """Return samples as an array, checked to be integers in 0..255 or floats in [0, 1].

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        Integers in 0..255, or floats in [0, 1].

    Returns
    -------
    array of shape (n_samples, n_features)
        X itself, if it is an array.

    Raises
    ------
    ValueError
        If X is not 2-D, is empty, has NaN, or leaves its range.
    TypeError
        If X is sparse.
    """
    least = dict(ensure_all_finite=False, ensure_2d=False, ensure_min_samples=0, ensure_min_features=0)
    X = check_array(X, dtype=None, allow_nd=True, input_name="X", **least)  # refuses sparse and complex numbers
    if X.ndim != 2 or X.size == 0:
        raise ValueError(f"X must have shape (n_samples, n_features) and not be empty, got {X.shape}.")
    if X.dtype.kind not in "buif":
        raise ValueError(f"X must hold numbers, got {X.dtype}.")
    top = 255 if X.dtype.kind in "ui" else 1
    if X.dtype.kind == "f" and not np.isfinite(X).all():
        raise ValueError("X has NaN or infinite values. Fill or drop them.")
    low, high = float(X.min()), float(X.max())
    if low < 0 or high > top:
        kind = "integers in 0..255" if top == 255 else "floats in [0, 1]"
        wrong = "Negative values in data: " if low < 0 else ""
        raise ValueError(f"{wrong}X must be {kind}, got values from {low:g} to {high:g}. Scale X first.")
    return X


def unit_range(X: Any) -> np.ndarray:
    """Return samples as floats in [0, 1]: integers are divided by 255, floats are taken as they are.

    Takes and raises what ``check_samples`` does.
    """
    X = check_samples(X)
    return X / (255 if X.dtype.kind in "ui" else 1)


def _check_times(who: str, duration: Quantity, rest: Quantity) -> None:
    for name, value in (("duration", duration), ("rest", rest)):
        fail_for_dimension_mismatch(value, second, f"{who}: {name} must be a time")
    if not 0 < float(duration) < np.inf:
        raise ValueError(f"{who}: duration must be positive and finite, got {duration}.")
    if not 0 <= float(rest) < np.inf:
        raise ValueError(f"{who}: rest must not be negative, and finite, got {rest}.")


def _check_rate(who: str, rate_max: Quantity) -> None:
    fail_for_dimension_mismatch(rate_max, Hz, f"{who}: rate_max must be a rate")
    if not 0 < float(rate_max) < np.inf:
        raise ValueError(f"{who}: rate_max must be positive and finite, got {rate_max}.")


def _check_spikes(who: str, n_spikes: float | None) -> None:
    if n_spikes is not None and not (isinstance(n_spikes, Real) and 0 < n_spikes < np.inf):
        raise ValueError(f"{who}: n_spikes must be positive and finite, or None, got {n_spikes!r}.")


def equal_drive(rates: np.ndarray, n_spikes: float, duration: float, highest: float) -> np.ndarray:
    """Return rates scaled, sample by sample, so that each sample sends the same expected number of spikes.

    Where an input reaches the highest rate, the others take over what it cannot send.

    Parameters
    ----------
    rates : array of shape (n_samples, n_inputs)
        Not negative.
    n_spikes : float
        Expected spikes of all inputs together. A sample of zeros sends none, and one whose active inputs all reach the
        highest rate sends what they can.
    duration : float
        How long a rate lasts, in seconds.
    highest : float
        Highest rate of an input in hertz.
    """
    wanted = n_spikes / duration
    capped = np.zeros(rates.shape, dtype=bool)
    while True:
        left = wanted - highest * capped.sum(axis=1)
        total = np.where(capped, 0, rates).sum(axis=1)
        factor = np.divide(left, total, out=np.zeros(len(rates)), where=total > 0)
        over = ~capped & (rates * factor[:, None] > highest)
        if not over.any():
            return np.where(capped, highest, rates * factor[:, None])
        capped |= over


class Encoder:
    """Turns samples into spikes of input neurons, for ``duration``, then ``rest`` without input.

    A subclass has the attributes below, and keeps its settings, and nothing else, as instance attributes.

    Attributes
    ----------
    encoding : Encoding
        Brian2 expressions of the spikes.
    duration, rest : Quantity (second)
    """

    encoding: Encoding
    duration: Quantity
    rest: Quantity

    def n_inputs(self, n_features: int) -> int:
        """Return the number of input neurons for samples of ``n_features`` values."""
        return n_features

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Return the values that ``encoding`` reads, array of shape (n_samples, n_inputs), for checked samples."""
        raise NotImplementedError

    def values(self) -> tuple[tuple[str, float], ...]:
        """Return the settings by name, in SI units, without those that are None."""
        return tuple((name, float(value)) for name, value in vars(self).items() if value is not None)

    def __repr__(self) -> str:
        settings = ", ".join(f"{key}={value!s}" for key, value in vars(self).items() if value is not None)
        return f"{type(self).__name__}({settings})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Encoder) or type(self) is not type(other):
            return NotImplemented
        return self.values() == other.values()

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.values()))


class PoissonEncoder(Encoder):
    """Each value is the rate of a Poisson input, as a share of ``rate_max``.

    With ``n_spikes``, rates are in proportion to the values, and all samples send the same expected number of spikes,
    dark and bright ones alike.

    Parameters
    ----------
    rate_max : Quantity (hertz)
        Rate at the largest value; in a time step an input fires with probability rate * dt. With ``n_spikes``, no rate
        is above four times ``rate_max``.
    duration, rest : Quantity (second)
        How long a sample is shown, and the silence after it.
    n_spikes : float, optional
        Spikes that all inputs together send in a presentation, on average; what the values give if None. MNIST's images
        have 2,290 at 63.75 Hz and 350 ms, from 450 to 7,000.

    References
    ----------
    .. [1] Diehl & Cook (2015), Unsupervised learning of digit recognition using STDP (255/4 Hz, 350 ms, 150 ms).
    """

    encoding = POISSON
    n_spikes: float | None = None  # of encoders that were saved before there was one

    def __init__(
        self,
        rate_max: Quantity = 63.75 * Hz,
        duration: Quantity = 350 * ms,
        rest: Quantity = 150 * ms,
        n_spikes: float | None = None,
    ):
        _check_rate("PoissonEncoder", rate_max)
        _check_times("PoissonEncoder", duration, rest)
        _check_spikes("PoissonEncoder", n_spikes)
        self.rate_max, self.duration, self.rest, self.n_spikes = rate_max, duration, rest, n_spikes

    def encode(self, X: Any) -> np.ndarray:
        """Return rates in hertz, array of shape (n_samples, n_inputs)."""
        rates = unit_range(X) * float(self.rate_max)
        if self.n_spikes is None:
            return rates
        return equal_drive(rates, self.n_spikes, self._lasting, HEADROOM * float(self.rate_max))

    @property
    def _lasting(self) -> float:
        """How long a rate lasts, in seconds."""
        return float(self.duration)


class FrameEncoder(PoissonEncoder):
    """A sample is a sequence of frames, shown one after another; in each, values are rates of Poisson inputs.

    For sounds and films: a row of samples holds the values of all inputs in the first frame, then in the second...

    Parameters
    ----------
    n_frames : int
        Frames of a sample. A frame lasts duration / n_frames; that and the rest must be whole multiples of it and of
        the time step.
    rate_max : Quantity (hertz)
        Rate at the largest value.
    duration, rest : Quantity (second)
        How long a sample is shown, and the silence after it.
    n_spikes : float, optional
        Spikes that all inputs together send in all frames of a sample, as in ``PoissonEncoder``.

    References
    ----------
    .. [1] Rathi (2021), chapter 3: firing probabilities of the channels of an ear, step by step.
    """

    def __init__(
        self,
        n_frames: int,
        rate_max: Quantity = 63.75 * Hz,
        duration: Quantity = 350 * ms,
        rest: Quantity = 150 * ms,
        n_spikes: float | None = None,
    ):
        super().__init__(rate_max, duration, rest, n_spikes)
        check_integer("FrameEncoder: n_frames", n_frames, 1)
        self.n_frames = int(n_frames)

    @property
    def encoding(self) -> Encoding:  # type: ignore[override]
        """Brian2 expressions of the inputs' spikes."""
        return replace(POISSON, n_frames=self.n_frames)

    def n_inputs(self, n_features: int) -> int:
        """Return the number of input neurons, ``n_features / n_frames``."""
        if n_features % self.n_frames:
            raise ValueError(f"FrameEncoder: {n_features} columns are not {self.n_frames} frames of equal size.")
        return n_features // self.n_frames

    @property
    def _lasting(self) -> float:
        return float(self.duration) / self.n_frames


class LatencyEncoder(Encoder):
    """Each input fires once, the earlier the larger its value; zeros do not fire. Nothing is random.

    Value x fires (1 - x) * duration after the start of the sample. A sample sends as many spikes as it has values above
    zero, whatever their size.

    Parameters
    ----------
    duration, rest : Quantity (second)
        How long a sample is shown, and the silence after it.
    """

    encoding = LATENCY

    def __init__(self, duration: Quantity = 50 * ms, rest: Quantity = 50 * ms):
        _check_times("LatencyEncoder", duration, rest)
        self.duration, self.rest = duration, rest

    def encode(self, X: Any) -> np.ndarray:
        """Return spike times in seconds, array of shape (n_samples, n_inputs); 1000 s stands for never."""
        X = unit_range(X)
        return np.where(X > 0, (1 - X) * float(self.duration), 1000.0)


class PopulationEncoder(Encoder):
    """Each feature drives ``n_fields`` Poisson inputs with Gaussian receptive fields over [0, 1].

    Field c fires at rate_max exp(-(x - mu_c)^2 / (2 width^2)), centres mu_c evenly on [0, 1], width one spacing.

    Parameters
    ----------
    n_fields : int
        Fields of a feature, at least 2.
    rate_max : Quantity (hertz)
        Rate at a centre. Whatever the values, a feature sends nearly the same number of spikes, so nothing is
        left to normalise.
    duration, rest : Quantity (second)
        How long a sample is shown, and the silence after it.
    """

    encoding = POISSON

    def __init__(
        self,
        n_fields: int = 20,
        rate_max: Quantity = 100 * Hz,
        duration: Quantity = 20 * ms,
        rest: Quantity = 0 * ms,
    ):
        check_integer("PopulationEncoder: n_fields", n_fields, 2)
        _check_rate("PopulationEncoder", rate_max)
        _check_times("PopulationEncoder", duration, rest)
        self.n_fields, self.rate_max, self.duration, self.rest = n_fields, rate_max, duration, rest

    def n_inputs(self, n_features: int) -> int:
        """Return ``n_features * n_fields``."""
        return n_features * self.n_fields

    def encode(self, X: Any) -> np.ndarray:
        """Return rates in hertz, array of shape (n_samples, n_features * n_fields); fields of a feature together."""
        X = unit_range(X)
        centres = np.linspace(0, 1, self.n_fields)
        width = 1 / (self.n_fields - 1)
        rates = np.exp(-((X[:, :, None] - centres) ** 2) / (2 * width**2))
        return rates.reshape(len(X), -1) * float(self.rate_max)
