"""The law of one parameter: Gamma, LogNormal, Normal and Uniform, with units, truncation and search intervals."""

from __future__ import annotations

from itertools import product
from types import MappingProxyType
from typing import Any, ClassVar

import brian2
import numpy as np
from brian2.units import stdunits
from brian2.units.fundamentalunits import (
    DIMENSIONLESS,
    Dimension,
    DimensionMismatchError,
    Quantity,
    get_dimensions,
)
from scipy import stats

__all__ = ["Gamma", "Law", "LogNormal", "Normal", "Uniform", "code"]

Interval = tuple[float, float, str]  # low and high in SI units, "linear" or "log"


class Law:
    """The probability law of one parameter (base class of the four laws).

    An argument is a number, a Quantity, or an interval: ``(low, high)``, or ``(low, high, "log")`` and
    ``(low, high, "linear")`` to choose the scale. An interval makes the law a search space for
    ``hrsnn.optimize``; positive arguments are then searched on a log scale unless told otherwise.
    Laws are values: they never change, are equal when their arguments are, and print as code to paste.

    Raises
    ------
    ValueError
        If an argument is out of range, an interval has low >= high, or the truncation leaves no probability.
    DimensionMismatchError
        If the units differ.
    TypeError
        If an argument is no number, Quantity or interval.
    """

    _unitless: ClassVar[tuple[str, ...]] = ()  # arguments that do not carry the unit of the law
    _positive: ClassVar[tuple[str, ...]] = ()
    _optional: ClassVar[tuple[str, ...]] = ("low", "high")  # the truncation
    _si: dict[str, float | Interval]
    _dim: Dimension

    def __init__(self, **arguments: Any):
        given = {name: value for name, value in arguments.items() if value is not None or name not in self._optional}
        dims = {name: _dimensions(self, name, value) for name, value in given.items()}
        carriers = [name for name in given if name not in self._unitless]
        for name, dim in dims.items():
            right = DIMENSIONLESS if name in self._unitless else dims[carriers[0]]
            if dim is not right:
                what = "must have no unit" if name in self._unitless else f"must have the unit of {carriers[0]}"
                raise DimensionMismatchError(f"{type(self).__name__}: {name} {what}", dim, right)
        si = {name: _to_si(self, name, value) for name, value in given.items()}
        object.__setattr__(self, "_dim", dims[carriers[0]])
        object.__setattr__(self, "_si", si)
        intervals = {name: value[:2] for name, value in si.items() if isinstance(value, tuple)}
        for corner in product(*intervals.values()):
            self._check(**(si | dict(zip(intervals, corner, strict=True))))

    def _check(self, low: Any = None, high: Any = None, **parameters: Any) -> None:
        """Refuse values (SI units) of which no law can be made; a search space is checked at its corners."""
        values = parameters | {"low": low, "high": high}
        for name in self._positive:
            if not values[name] > 0:
                raise ValueError(f"{self}: {name} must be positive, got {self._text(values[name])}.")
        if low is not None and high is not None and not low < high:
            raise ValueError(f"{self}: low must be below high, got {self._text(low)} and {self._text(high)}.")
        if not self._mass(low, high, **parameters) > 0:
            raise ValueError(f"{self}: no probability is left between low and high. Widen the truncation.")

    @staticmethod
    def _scipy(*args: Any, **parameters: Any) -> Any:
        """Return the frozen scipy.stats law of SI values (scalars or arrays), without truncation."""
        raise TypeError("Law is a base class: use Gamma, LogNormal, Normal or Uniform.")

    @classmethod
    def _mass(cls, low: Any, high: Any, **parameters: Any) -> Any:
        """Return the probability between low and high; the tail that is smaller gives the digits."""
        if low is None and high is None:
            return 1.0
        law = cls._scipy(**parameters)
        low, high = -np.inf if low is None else low, np.inf if high is None else high
        return np.where(law.cdf(low) > 0.5, law.sf(low) - law.sf(high), law.cdf(high) - law.cdf(low))

    @classmethod
    def si_quantile(cls, u: Any, *, low: Any = None, high: Any = None, **parameters: Any) -> np.ndarray:
        """Return quantiles as plain numbers of the broadcast shape; all arguments are arrays in SI units."""
        law = cls._scipy(**parameters)
        if low is None and high is None:
            return law.ppf(u)
        mass = cls._mass(low, high, **parameters)
        low, high = -np.inf if low is None else low, np.inf if high is None else high
        below, above = law.cdf(low) + u * mass, law.sf(high) + (1 - u) * mass
        return np.clip(np.where(below < 0.5, law.ppf(below), law.isf(above)), low, high)

    def quantile(self, u: Any) -> Any:
        """Return the values below which the law has probability u.

        Parameters
        ----------
        u : array_like
            Probabilities in [0, 1].

        Returns
        -------
        Quantity or array
            Of the shape of u and the unit of the law.

        Raises
        ------
        ValueError
            If a probability is outside [0, 1], or the law is a search space.
        """
        u = np.asarray(u, dtype=float)
        if not np.all((u >= 0) & (u <= 1)):
            raise ValueError(f"{self}: probabilities must be in [0, 1], got {u.min()} to {u.max()}.")
        return self._with_unit(self.si_quantile(u, **self._fixed()))

    def sample(self, size: int | tuple[int, ...] | None, rng: np.random.Generator) -> Any:
        """Draw values by inverting uniform draws, so that equal generators give common random numbers.

        Parameters
        ----------
        size : int, tuple of int or None
            Shape of the sample; one value if None.
        rng : numpy.random.Generator
            Source of the uniform draws, one a value.

        Returns
        -------
        Quantity or array
            Of shape ``size`` and the unit of the law.
        """
        if not isinstance(rng, np.random.Generator):
            raise TypeError(f"rng must be a numpy.random.Generator (numpy.random.default_rng(seed)), got {rng!r}.")
        return self.quantile(np.maximum(rng.random(size), 2**-54))  # a draw of exactly 0 would give -inf

    @property
    def mean(self) -> Any:
        """Mean of the law, truncation included (Quantity or float)."""
        fixed = self._fixed()
        truncated = fixed.keys() & self._optional
        return self._with_unit(self._moment(1) if truncated or "mean" not in fixed else fixed["mean"])

    @property
    def std(self) -> Any:
        """Standard deviation of the law, truncation included (Quantity or float)."""
        fixed = self._fixed()
        truncated = fixed.keys() & self._optional
        return self._with_unit(self._moment(2) ** 0.5 if truncated else float(self._scipy(**fixed).std()))

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments as given: numbers, Quantities or intervals."""
        return {name: self.with_unit(name, value) for name, value in self._si.items()}

    @property
    def intervals(self) -> MappingProxyType[str, Interval]:
        """The searched arguments: name -> (low, high, scale), in SI units; empty for a plain law."""
        return MappingProxyType({name: value for name, value in self._si.items() if isinstance(value, tuple)})

    @property
    def dimensions(self) -> Dimension:
        """Physical dimensions of the parameter (brian2 Dimension)."""
        return self._dim

    def replace(self, **arguments: Any) -> Law:
        """Return the law with some arguments changed."""
        return type(self)(**(self.arguments | arguments))

    def _fixed(self) -> dict[str, Any]:
        if self.intervals:
            raise ValueError(
                f"{self} is a search space, not a law: replace the intervals of {', '.join(self.intervals)}."
            )
        return self._si

    def _moment(self, order: int) -> float:
        """Return the mean (1) or the variance (2) by integrating the quantile function."""
        nodes, weights = np.polynomial.legendre.leggauss(256)
        t, weight = (nodes + 1) / 2, weights / 2
        u, du = t**3 * (10 - 15 * t + 6 * t**2), 30 * (t * (1 - t)) ** 2  # tames quantiles that diverge at 0 or 1
        x = self.si_quantile(u, **self._fixed())
        mean = float(np.sum(weight * du * x))
        return mean if order == 1 else float(np.sum(weight * du * (x - mean) ** 2))

    def _with_unit(self, value: Any) -> Any:
        if self._dim is not DIMENSIONLESS:
            return Quantity(value, dim=self._dim)
        return value if np.ndim(value) else float(value)

    def with_unit(self, name: str, value: Any) -> Any:
        """Return a number or interval in SI units as it would be given for the argument."""
        if isinstance(value, tuple):
            low, high, scale = value
            ends = (self.with_unit(name, low), self.with_unit(name, high))
            return ends if scale == self._default_scale(name) else (*ends, scale)
        return value if name in self._unitless else self._with_unit(value)

    def _default_scale(self, name: str) -> str:
        return "log" if name in self._positive else "linear"

    def _text(self, value: float, name: str = "") -> str:
        return code(self.with_unit(name, value), 4)

    def _print(self, digits: int) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={code(v, digits)}' for k, v in self.arguments.items())})"

    def __repr__(self) -> str:
        """Return code that makes an equal law."""
        return self._print(17)

    def __str__(self) -> str:
        """Return the same code with four significant digits."""
        return self._print(4)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"A law cannot be changed. Use replace({name}=...) to make another one.")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and (self._dim, self._si) == (other._dim, other._si)

    def __hash__(self) -> int:
        return hash((type(self), str(self._dim), tuple(self._si.items())))

    def __reduce__(self) -> tuple:
        return _make, (type(self), self.arguments)


class Gamma(Law):
    """Gamma law by its mean and shape (variance mean^2 / shape), optionally truncated.

    Parameters
    ----------
    mean : number, Quantity or interval
        Mean before truncation, positive.
    shape : number or interval
        Shape k, positive; the coefficient of variation is 1 / sqrt(k).
    low, high : number, Quantity or interval, optional
        Truncation: the law given that the value lies between them.
    """

    _unitless = ("shape",)
    _positive = ("mean", "shape")

    def __init__(self, mean: Any, shape: Any, low: Any = None, high: Any = None):
        super().__init__(mean=mean, shape=shape, low=low, high=high)

    @staticmethod
    def _scipy(mean: Any, shape: Any) -> Any:
        return stats.gamma(shape, scale=np.divide(mean, shape))


class LogNormal(Law):
    """Log-normal law by its mean and standard deviation, optionally truncated.

    Parameters
    ----------
    mean, std : number, Quantity or interval
        Mean and standard deviation of the value itself (not of its logarithm) before truncation, positive.
    low, high : number, Quantity or interval, optional
        Truncation: the law given that the value lies between them.
    """

    _positive = ("mean", "std")

    def __init__(self, mean: Any, std: Any, low: Any = None, high: Any = None):
        super().__init__(mean=mean, std=std, low=low, high=high)

    @staticmethod
    def _scipy(mean: Any, std: Any) -> Any:
        variance = np.log1p(np.divide(std, mean) ** 2)  # of the logarithm
        return stats.lognorm(np.sqrt(variance), scale=mean * np.exp(-variance / 2))


class Normal(Law):
    """Normal law by its mean and standard deviation, optionally truncated.

    Parameters
    ----------
    mean : number, Quantity or interval
        Mean before truncation.
    std : number, Quantity or interval
        Standard deviation before truncation, positive.
    low, high : number, Quantity or interval, optional
        Truncation: the law given that the value lies between them.
    """

    _positive = ("std",)

    def __init__(self, mean: Any, std: Any, low: Any = None, high: Any = None):
        super().__init__(mean=mean, std=std, low=low, high=high)

    @staticmethod
    def _scipy(mean: Any, std: Any) -> Any:
        return stats.norm(mean, std)


class Uniform(Law):
    """Uniform law between two values.

    Parameters
    ----------
    low, high : number, Quantity or interval
        Ends of the support, low < high.
    """

    _optional = ()

    def __init__(self, low: Any, high: Any):
        super().__init__(low=low, high=high)

    @staticmethod
    def _scipy(low: Any, high: Any) -> Any:
        return stats.uniform(low, np.subtract(high, low))

    @classmethod
    def _mass(cls, low: Any, high: Any, **parameters: Any) -> Any:
        return 1.0

    @classmethod
    def si_quantile(cls, u: Any, *, low: Any = None, high: Any = None, **parameters: Any) -> np.ndarray:
        """Return quantiles as plain numbers (see Law.si_quantile)."""
        return low + np.asarray(u) * (high - low)


def _make(law: type[Law], arguments: dict[str, Any]) -> Law:
    return law(**arguments)


def _dimensions(law: Law, name: str, value: Any) -> Dimension:
    """Return the dimensions of an argument; refuse anything that is no number, Quantity or interval."""
    who = f"{type(law).__name__}: {name}"
    if isinstance(value, (tuple, list)):
        if len(value) not in (2, 3) or (len(value) == 3 and value[2] not in ("linear", "log")):
            raise ValueError(f'{who} must be an interval (low, high) or (low, high, "log" or "linear"), got {value!r}.')
        low, high = (_dimensions(law, name, end) for end in value[:2])
        if low is not high:
            raise DimensionMismatchError(f"{who}: the ends of the interval have different units", low, high)
        return low
    if isinstance(value, (bool, str)) or not np.isrealobj(value) or np.ndim(value):
        raise TypeError(f"{who} must be a number, a Quantity or an interval (low, high), got {value!r}.")
    try:
        number = float(np.asarray(value))
    except (TypeError, ValueError):
        raise TypeError(f"{who} must be a number, a Quantity or an interval (low, high), got {value!r}.") from None
    if not np.isfinite(number):
        raise ValueError(f"{who} must be finite, got {value!r}. Leave a truncation out where there is none.")
    return get_dimensions(value)


def _to_si(law: Law, name: str, value: Any) -> float | Interval:
    if not isinstance(value, (tuple, list)):
        return float(np.asarray(value))
    low, high = float(np.asarray(value[0])), float(np.asarray(value[1]))
    scale = value[2] if len(value) == 3 else law._default_scale(name)
    if not low < high:
        raise ValueError(f"{type(law).__name__}: {name} needs low < high in its interval, got {value!r}.")
    if scale == "log" and low <= 0:
        raise ValueError(
            f"{type(law).__name__}: {name} is searched on a log scale, so low must be positive, got {value!r}."
        )
    return low, high, scale


def code(value: Any, digits: int = 17) -> str:
    """Return code for a number, Quantity or interval: exact with 17 digits, rounded with fewer."""
    if isinstance(value, tuple):
        return f"({', '.join(code(item, digits) for item in value)})"
    if isinstance(value, str):
        return f'"{value}"'
    if not isinstance(value, Quantity):
        return f"{value:.{digits}g}" if digits < 17 else repr(value).removesuffix(".0")
    best = value.get_best_unit()
    named = [best, *(u for u in map(vars(stdunits).get, stdunits.__all__) if get_dimensions(u) is value.dim)]
    named.append(Quantity(1.0, dim=value.dim).get_best_unit())  # with a factor of 1, so exact
    scales = {name: float(unit) for unit in named if (name := _unit_name(unit))} or {f"({value.dim!r})": 1.0}
    if digits < 17:
        name, scale = next(iter(scales.items()))
        return f"{float(value) / scale:.{digits}g}*{name}"
    texts = [f"{number}*{name}" for name, scale in scales.items() if (number := _exact(float(value), scale))]
    return min(texts, key=len)


def _unit_name(unit: Any) -> str:
    """Return the name that Brian2 exports for a unit, if there is one: there is none for mV/ms."""
    return next((name for name in (str(unit), repr(unit)) if name in vars(brian2)), "")


def _exact(value: float, scale: float) -> str:
    """Return the shortest number that gives back the very same value when multiplied by scale, or nothing."""
    numbers = (float(f"{value / scale:.{digits}g}") for digits in range(1, 18))
    return next((repr(number).removesuffix(".0") for number in numbers if number * scale == value), "")
