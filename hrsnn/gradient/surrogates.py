"""Surrogate derivatives: what stands for the derivative of a spike with respect to the distance to the threshold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

__all__ = ["FastSigmoid", "MultiGaussian", "SpikeTime", "Surrogate", "Triangle", "spike"]


@dataclass(frozen=True)
class Surrogate:
    """The derivative that a spike is given in the backward pass; the forward pass is the model's own comparison.

    The condition of a spike is ``u > theta``. Its distance is z = (u - theta) / scale, where ``scale`` is the distance
    from rest to threshold at the start, or, if ``relative``, z = u/theta - 1, so that the threshold scales its own
    surrogate. ``by_time`` tells whether the derivative depends on the time since the neuron's last spike.
    """

    relative: ClassVar[bool] = False
    by_time: ClassVar[bool] = False

    def slope(self, z: Any, age: Any) -> Any:
        """Return dS/dz.

        Parameters
        ----------
        z : array
            Distance to the threshold.
        age : array or None
            Time steps since the last spike, infinite before the first; only given if ``by_time``.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    """1 / (1 + k abs(z))^2.

    References
    ----------
    .. [1] Zenke & Ganguli (2018), SuperSpike; Neftci, Mostafa & Zenke (2019), Surrogate gradient learning.
    """

    k: float = 10.0

    def slope(self, z: Any, age: Any = None) -> Any:  # noqa: D102
        return 1 / jnp.square(1 + self.k * jnp.abs(z))


@dataclass(frozen=True)
class Triangle(Surrogate):
    """Gamma max(0, 1 - abs(z)) with z = u/theta - 1.

    References
    ----------
    .. [1] Rathi (2021), eq. 5.12.
    """

    relative: ClassVar[bool] = True
    gamma: float = 0.3

    def slope(self, z: Any, age: Any = None) -> Any:  # noqa: D102
        return self.gamma * jnp.maximum(0, 1 - jnp.abs(z))


@dataclass(frozen=True)
class SpikeTime(Surrogate):
    """Alpha exp(-beta age), with the age of the neuron's last spike in time steps; 0 where it never fired.

    A spike counts from its own time step on: there the age is 0, and the derivative the largest.

    References
    ----------
    .. [1] Rathi (2021), eq. 4.11, figure 4.1.
    """

    by_time: ClassVar[bool] = True
    alpha: float = 0.3
    beta: float = 0.01

    def slope(self, z: Any, age: Any) -> Any:  # noqa: D102
        return self.alpha * jnp.exp(-self.beta * age)


@dataclass(frozen=True)
class MultiGaussian(Surrogate):
    """gamma ((1 + h) N(z; 0, sigma) - h N(z; sigma, s sigma) - h N(z; -sigma, s sigma)): negative at its flanks.

    References
    ----------
    .. [1] Yin, Corradi & Bohte (2021), Accurate and efficient time-domain classification with adaptive spiking neurons.
    .. [2] Matam, Liquid spiking networks, section on surrogate gradients.
    """

    gamma: float = 0.5
    sigma: float = 0.3
    h: float = 0.15
    s: float = 6.0

    def slope(self, z: Any, age: Any = None) -> Any:  # noqa: D102
        wide = self.s * self.sigma
        flanks = _normal(z - self.sigma, wide) + _normal(z + self.sigma, wide)
        return self.gamma * ((1 + self.h) * _normal(z, self.sigma) - self.h * flanks)


def _normal(x: Any, sigma: float) -> Any:
    return jnp.exp(-jnp.square(x) / (2 * sigma**2)) / (sigma * jnp.sqrt(2 * jnp.pi))


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def spike(surrogate: Surrogate, inclusive: bool, u: Any, theta: Any, scale: Any, age: Any) -> Any:
    """Return 1 where ``u > theta`` (or equal, if ``inclusive``), else 0, with the surrogate's derivative.

    Parameters
    ----------
    surrogate : Surrogate
    inclusive : bool
    u, theta : array
        The two sides of the model's comparison.
    scale : array
        Distance from rest to threshold; has no derivative.
    age : array or None
        Time steps since the last spike before this step.
    """
    u, theta = jnp.asarray(u), jnp.asarray(theta)
    return (u >= theta if inclusive else u > theta).astype(jnp.result_type(u, float))


@spike.defjvp
def _spike_jvp(surrogate: Surrogate, inclusive: bool, primals: Any, tangents: Any) -> Any:
    u, theta, scale, age = primals
    d_u, d_theta = tangents[:2]
    out = spike(surrogate, inclusive, u, theta, scale, age)
    if surrogate.by_time:
        age = jnp.where(out > 0, 0, age)
    if surrogate.relative:
        slope = surrogate.slope(u / theta - 1, age) / theta
        return out, slope * (d_u - u / theta * d_theta)
    slope = surrogate.slope((u - theta) / scale, age) / scale
    return out, slope * (d_u - d_theta)
