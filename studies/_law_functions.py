"""Functions of laws in closed form, to compare searches: each is an exact number, its lowest value is known.

All variables are laws of time constants or amplitudes as in heterogeneous networks, searched over wide intervals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from hrsnn.laws import Gamma, Law, LogNormal, Normal

Laws = dict[str, Law]


class LawFunction(NamedTuple):
    """A function to minimise: called with a law for each variable of the space.

    Attributes
    ----------
    space : dict of str to Law
    function : callable
    lowest : float
        Its lowest value over the space.
    """

    space: Laws
    function: Callable[..., float]
    lowest: float


def _numbers(law: Any) -> tuple[float, ...]:
    return tuple(float(value) for name, value in law.arguments.items() if name not in ("low", "high"))


def transport(**laws: Any) -> float:
    """Sum of W_2^2 between normal laws and goals, in squared standard deviations of the goals."""
    goals = [(30.0, 10.0), (70.0, 4.0), (50.0, 20.0)]
    pairs = zip(laws.values(), goals, strict=True)
    return float(sum(((m - a) ** 2 + (s - b) ** 2) / b**2 for law, (a, b) in pairs for m, s in [_numbers(law)]))


def divergence(**laws: Any) -> float:
    """Sum of the Kullback-Leibler divergences of gamma laws from goals."""
    goals = [(20.0, 3.0), (40.0, 8.0), (12.0, 2.0)]
    total = 0.0
    for law, (mean, k0) in zip(laws.values(), goals, strict=True):
        m, k = _numbers(law)
        theta, theta0 = m / k, mean / k0
        total += (k - k0) * special.digamma(k) - special.gammaln(k) + special.gammaln(k0)
        total += k0 * np.log(theta0 / theta) + k * (theta - theta0) / theta0
    return float(total)


def forgetting(**laws: Any) -> float:
    """Mean squared error of the mean of exp(-r t) over gamma rates r, of three populations, against 1 / (1 + t).

    The mean is the Laplace transform (1 + theta t)^-k. Units of rates: per 100 steps.
    """
    t = np.geomspace(0.05, 20, 12)
    curves = [(1 + m / k / 20 * t) ** -k for m, k in map(_numbers, laws.values())]
    goals = [(1 + t) ** -1.0, (1 + t) ** -2.0, (1 + t / 2) ** -4.0]
    return float(sum(np.mean((c - g) ** 2) for c, g in zip(curves, goals, strict=True)))


def tails(**laws: Any) -> float:
    """Squared errors of the probabilities that gamma laws exceed 15 and 60."""
    goals = [(20.0, 3.0), (50.0, 5.0), (35.0, 1.5)]
    total = 0.0
    for law, goal in zip(laws.values(), goals, strict=True):
        (m, k), (m0, k0) = _numbers(law), goal
        for x in (15.0, 60.0):
            total += (special.gammaincc(k, x * k / m) - special.gammaincc(k0, x * k0 / m0)) ** 2
    return float(total)


def valley(**laws: Any) -> float:
    """Curved valley: the best dispersion of each lognormal law depends on the mean of the one before."""
    log_means, variations = zip(*((np.log(m / 20), s / m) for m, s in map(_numbers, laws.values())), strict=True)
    total = 0.0
    for k in range(len(laws)):
        total += (log_means[k] - 0.4 * k) ** 2 + 10 * (variations[k] - 0.5 - 0.25 * log_means[k - 1]) ** 2
    return float(total)


def ripples(**laws: Any) -> float:
    """Mean over gamma laws of a potential with ripples, ((x - 40) / 20)^2 + 1 - cos((x - 40) / 5)."""
    total = 0.0
    for m, k in map(_numbers, laws.values()):
        theta, omega = m / k, 1 / 5
        wave = np.exp(-40j * omega) * (1 - 1j * omega * theta) ** -k
        total += ((m - 40) ** 2 + m**2 / k) / 400 + 1 - wave.real
    return float(total)


_GAMMAS: Laws = {f"p{k}": Gamma(mean=(5.0, 100.0), shape=(1.0, 20.0)) for k in range(3)}
_NORMALS: Laws = {f"p{k}": Normal(mean=(5.0, 100.0), std=(1.0, 30.0)) for k in range(3)}
_LOG_NORMALS: Laws = {f"p{k}": LogNormal(mean=(5.0, 100.0), std=(1.0, 100.0)) for k in range(3)}

FUNCTIONS = {
    "transport": LawFunction(_NORMALS, transport, 0.0),
    "divergence": LawFunction(_GAMMAS, divergence, 0.0),
    "forgetting": LawFunction(_GAMMAS, forgetting, 0.0),
    "tails": LawFunction(_GAMMAS, tails, 0.0),
    "valley": LawFunction(_LOG_NORMALS, valley, 0.0),
    "ripples": LawFunction(_GAMMAS, ripples, 2.9604715),
}
