"""Interval-modulated synapses as a function of spikes and heights, with the selective derivative of their learning."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from hrsnn.gradient.interval_kernel import is_compiled, kernel

__all__ = ["dense", "sparse", "through_intervals"]

#: What happens to derivatives by intervals, by what is suppressed: the sign of those that are, 0 for none.
SIGNS = {"positive": 1, "negative": -1, None: 0}


def through_intervals(spikes: Any, h: Any, mu: Any, sigma: Any, suppress: str | None, first: bool = False) -> Any:
    """Return what arrives through interval-modulated synapses: by the compiled kernel where there is one.

    Parameters
    ----------
    spikes : array of shape (n_steps, n_samples, n_pre)
        1 where a neuron fires, else 0.
    h, mu, sigma : array of shape (n_pre, n_post)
        Heights; intervals and widths, in time steps.
    suppress : {"positive", "negative", None}
        Which derivatives of the loss by an interval are not propagated: those that are not negative (fewer
        spikes), those that are not positive (more), or none.
    first : bool
        Whether the spikes are given, and need no derivative.

    Returns
    -------
    array of shape (n_steps, n_samples, n_post)

    References
    ----------
    .. [1] Adams et al. (2024), eqs 4, 5 and 7 to 10.
    """
    form = sparse if is_compiled() else dense
    return form(SIGNS[suppress], first, spikes, h, mu, sigma)


def dense(sign: int, first: bool, spikes: Any, h: Any, mu: Any, sigma: Any) -> Any:
    """Return the same by arrays of all synapses, step by step: what the kernel is tested against."""

    def step(phi: Any, fired: Any) -> Any:
        interval = _selected(sign, phi)[:, :, None]
        w = h * jnp.exp(-jnp.square(interval - mu) / (2 * jnp.square(sigma)))
        return 1 + phi * (1 - fired), jnp.einsum("bi,bij->bj", fired, w)

    spikes = jax.lax.stop_gradient(spikes) if first else spikes
    return jax.lax.scan(jax.checkpoint(step), jnp.ones_like(spikes[0]), spikes)[1]


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _selected(sign: int, phi: Any) -> Any:
    """Return the intervals, whose derivatives of this sign do not pass (eq. 10)."""
    return phi


_selected.defvjp(
    lambda sign, phi: (phi, None),
    lambda sign, _, slope: (jnp.where(slope * sign >= 0, 0, slope) if sign else slope,),
)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def sparse(sign: int, first: bool, spikes: Any, h: Any, mu: Any, sigma: Any) -> Any:
    """Return the same by the compiled kernel, whose cost is that of the spikes."""
    return kernel("forward", (*spikes.shape[:2], h.shape[1]), spikes, h, mu, sigma)


def _forward(sign: int, first: bool, *arrays: Any) -> Any:
    return sparse(sign, first, *arrays), arrays


def _backward(sign: int, first: bool, arrays: Any, delta: Any) -> Any:
    spikes, h, mu, sigma = arrays
    shapes = (h.shape, (0,) if first else spikes.shape)
    heights, before = kernel("backward", shapes, *arrays, delta, sign=sign)
    return jnp.zeros_like(spikes) if first else before, heights, jnp.zeros_like(mu), jnp.zeros_like(sigma)


sparse.defvjp(_forward, _backward)
