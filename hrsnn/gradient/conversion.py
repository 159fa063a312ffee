"""From rectified units to spiking neurons: the same weights, and thresholds by what arrives at each layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from hrsnn.gradient.convolution import FeedForward

__all__ = ["balanced", "normalised", "poisson"]


def poisson(random: Any, X: Any, n_steps: int, first: Any = 0) -> Any:
    """Return spikes of the time steps from ``first`` on: one where a uniform number is below the pixel.

    Parameters
    ----------
    random : key
    X : array of shape (n_samples, height, width, channels)
        Values from 0 to 1.
    n_steps : int
    first : int
        A train drawn in parts is that drawn at once.

    Returns
    -------
    array of shape (n_steps, n_samples, height, width, channels)
    """

    def step(k: Any) -> Any:
        return jax.random.uniform(jax.random.fold_in(random, k), X.shape, jnp.float32) < X

    return jax.vmap(step)(first + jnp.arange(n_steps)).astype(X.dtype)


def balanced(
    network: FeedForward,
    weights: Mapping[str, Any],
    X: Any,
    n_steps: int,
    percentile: float = 100.0,
    scale: float = 1.0,
    random: Any = None,
) -> dict[str, Any]:
    """Return the weights with one threshold for each spiking population, found in order from the image on.

    The threshold of a population is a percentile (100: the maximum) of what arrives in a time step, over its neurons,
    all samples and time steps, while those before it already fire by their thresholds, without a leak. With the
    maximum, populations in residual blocks get a threshold of one, so that their shortcuts count like their inputs.

    Parameters
    ----------
    network : FeedForward
    weights : dict
        With ``w``.
    X : array of shape (n_samples, height, width, channels)
        Some training samples; all time steps of all of them are held at once.
    n_steps : int
    percentile : float
        In (0, 100].
    scale : float
        What all thresholds found are multiplied by: below one, fewer time steps are enough.
    random : key, optional
        Of Poisson input; the values are currents, the same in each time step, if None.

    Raises
    ------
    ValueError
        If nothing positive arrives at a population.

    References
    ----------
    .. [1] Rathi (2021), algorithms 1 and 4, sections 4.4.2 and 5.2.3 (95th percentile).
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile must be in (0, 100], got {percentile!r}.")
    if not scale > 0:
        raise ValueError(f"scale must be positive, got {scale!r}.")
    found: list[Any] = []

    def threshold(k: int, drive: Any) -> Any:
        in_block = percentile == 100 and network.populations[k].in_block
        value = jnp.ones(()) if in_block else scale * jnp.percentile(drive, percentile)
        found.append(value)
        return value

    @jax.jit
    def thresholds(weights: Any, X: Any) -> Any:
        found.clear()
        values = X if random is None else poisson(random, X, n_steps)
        fixed = {"leak": [jnp.ones(())] * len(network.populations)} if "leak" in network.cell.parameters else {}
        network.run({"w": weights["w"], **fixed}, values, n_steps, balanced=threshold)
        return list(found)

    values = [jnp.asarray(value, jnp.float32) for value in thresholds(weights, jnp.asarray(X, jnp.float32))]
    for k, value in enumerate(values):
        if not 0 < float(value) < float("inf"):
            raise ValueError(
                f"Layer {k} would get a threshold of {float(value):g}: percentile {percentile:g} of what arrives there "
                "is not positive. Use a higher percentile, or train the network without spikes for longer."
            )
    new = {"w": list(weights["w"]), "v_thresh": values}
    if "leak" in network.cell.parameters:
        new["leak"] = [jnp.ones((), jnp.float32) for _ in values]
    return new


def normalised(network: FeedForward, weights: Mapping[str, Any]) -> dict[str, Any]:
    """Return weights that are divided by their layer's threshold, and thresholds of one: the same spikes.

    Raises
    ------
    ValueError
        If the network has shortcuts without weights.

    References
    ----------
    .. [1] Rathi (2021), section 4.3: weight normalisation and threshold balancing.
    """
    divided = list(weights["w"])
    for population, threshold in zip(network.populations[:-1], weights["v_thresh"], strict=True):
        for entry in population.inputs:
            numbers = [step.weights for step in entry.steps if step.weights is not None]
            if not numbers:
                raise ValueError("Shortcuts that are the identity have no weights to divide by a threshold.")
            divided[numbers[-1]] = divided[numbers[-1]] / threshold
    return {**weights, "w": divided, "v_thresh": [jnp.ones_like(value) for value in weights["v_thresh"]]}
