"""What spikes cost, and their statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hrsnn.metrics._checks import Array, counts_of, positive

__all__ = ["average_activation", "energy", "energy_ratio", "sops", "spike_efficiency", "spike_statistics"]


def spike_efficiency(capacity: float, counts: ArrayLike) -> float:
    """Return memory capacity (or accuracy, or 1 / NRMSE) per mean spike count of a neuron.

    Parameters
    ----------
    capacity : float
    counts : array of shape (n_neurons,)
        Spikes of each neuron.

    Raises
    ------
    ValueError
        If no neuron fired.
    """
    mean = float(counts_of(counts).mean())
    if mean == 0:
        raise ValueError("No neuron fired: spike efficiency is not defined.")
    return capacity / mean


def average_activation(counts: ArrayLike, n_steps: int | None = None) -> float:
    """Return the mean spike count of a neuron; per step if ``n_steps`` is given.

    Parameters
    ----------
    counts : array of shape (n_neurons,)
    n_steps : int, optional
        Time steps in which the spikes were counted.
    """
    mean = float(counts_of(counts).mean())
    if n_steps is None:
        return mean
    positive("n_steps", n_steps)
    return mean / n_steps


def sops(counts: ArrayLike, n_targets: ArrayLike) -> int:
    """Return the number of synaptic operations: each spike makes one at every outgoing synapse.

    Parameters
    ----------
    counts : array of shape (n_neurons,)
        Spikes of each neuron.
    n_targets : array of shape (n_neurons,)
        Outgoing synapses of each neuron.

    References
    ----------
    .. [1] Shi, Ding, Hao & Yu (2024), Towards energy efficient spiking neural networks, ICLR.
    """
    spikes, fan_out = counts_of(counts), counts_of(n_targets, "n_targets")
    if spikes.shape != fan_out.shape:
        raise ValueError(f"counts and n_targets must have one shape, got {spikes.shape} and {fan_out.shape}.")
    return int(spikes @ fan_out)


def energy(operations: float, joule_per_operation: float = 0.9e-12) -> float:
    """Return the energy of synaptic operations in joule; 0.9 pJ is an addition in 45 nm.

    Parameters
    ----------
    operations : float
        See `sops`.
    joule_per_operation : float
    """
    return float(operations) * float(joule_per_operation)


def energy_ratio(
    operations: ArrayLike, spike_rates: ArrayLike, direct: bool = True, multiply_add: float = 4.6, add: float = 0.9
) -> float:
    """Return how many times the energy of a spiking network a network of the same layers without spikes takes.

    The one multiplies and adds in each operation. In the other each spike adds: a layer makes as many operations as
    without spikes, times its spike rate; the first layer multiplies and adds once if currents drive it.

    Parameters
    ----------
    operations : array of shape (n_layers,)
        Operations of each layer without spikes: kernel area, input channels and output values multiplied for a
        convolution (eq. 5.18), inputs times outputs for a dense layer (eq. 5.19).
    spike_rates : array of shape (n_layers,)
        Spikes a neuron, over all time steps, by which a layer's operations are counted (eqs. 5.20, 5.21). The first is
        not looked at with direct input.
    direct : bool
        Whether currents drive the first layer, not spikes.
    multiply_add, add : float
        Energy of an operation, in pJ: 45 nm, 32 bits.

    Raises
    ------
    ValueError
        If there is not one rate a layer, or nothing takes energy.

    References
    ----------
    .. [1] Rathi (2021), eqs. 5.18-5.21, tables 5.3 and 5.4.
    """
    plain, rates = counts_of(operations, "operations"), counts_of(spike_rates, "spike_rates").copy()
    if plain.shape != rates.shape:
        raise ValueError(f"operations and spike_rates must have one shape, got {plain.shape} and {rates.shape}.")
    spiking = plain * rates * add
    if direct:
        spiking[0] = plain[0] * multiply_add
    if not spiking.sum() > 0:
        raise ValueError("No layer makes an operation: the ratio of energies is not defined.")
    return float(plain.sum() * multiply_add / spiking.sum())


def spike_statistics(i: ArrayLike, t: Any, n_neurons: int, duration: Any, window: Any = 0.1) -> dict[str, Array]:
    """Return rate, irregularity and count variability of each neuron.

    Parameters
    ----------
    i : array of int, shape (n_spikes,)
        Neuron of each spike.
    t : Quantity (second) or array of seconds, shape (n_spikes,)
        Time of each spike, from 0 to ``duration``.
    n_neurons : int
    duration : Quantity (second) or seconds
    window : Quantity (second) or seconds
        Length of the windows of the Fano factor.

    Returns
    -------
    dict of str to array of shape (n_neurons,)
        ``rate`` in hertz; ``cv``, deviation over mean of the inter-spike intervals (NaN below two intervals);
        ``fano``, variance over mean of the counts in whole windows (NaN without a spike or with one window).

    Raises
    ------
    ValueError
        If a neuron or time is out of range, or window is longer than duration.
    """
    neuron, time = np.asarray(i, dtype=np.int64), np.asarray(t, dtype=float)
    length, width = float(np.asarray(duration)), float(np.asarray(window))
    if neuron.shape != time.shape or neuron.ndim != 1:
        raise ValueError(f"i and t must be 1-D and of one length, got {neuron.shape} and {time.shape}.")
    if neuron.size and not (neuron.min() >= 0 and neuron.max() < n_neurons):
        raise ValueError(f"i must be in 0..{n_neurons - 1}, got {neuron.min()} to {neuron.max()}.")
    if neuron.size and not (time.min() >= 0 and time.max() <= length):
        raise ValueError(f"t must be in 0..{length} s, got {time.min()} to {time.max()}.")
    if not 0 < width <= length:
        raise ValueError(f"window must be positive and at most duration, got {width} s and {length} s.")
    order = np.lexsort((time, neuron))
    neuron, time = neuron[order], time[order]
    interval, owner = np.diff(time)[np.diff(neuron) == 0], neuron[1:][np.diff(neuron) == 0]
    n_windows = int(length / width + 1e-9)
    inside = time < n_windows * width
    flat = neuron[inside] * n_windows + np.minimum((time[inside] / width + 1e-9).astype(int), n_windows - 1)
    counts = np.bincount(flat, minlength=n_neurons * n_windows).reshape(n_neurons, n_windows)
    with np.errstate(invalid="ignore", divide="ignore"):
        n = np.bincount(owner, minlength=n_neurons).astype(float)
        mean = np.bincount(owner, interval, n_neurons) / n
        deviation = np.sqrt(np.bincount(owner, (interval - mean[owner]) ** 2, n_neurons) / n)
        fano = counts.var(axis=1, ddof=1) / counts.mean(axis=1) if n_windows > 1 else np.full(n_neurons, np.nan)
        cv = np.where(n >= 2, deviation / mean, np.nan)
    return {"rate": np.bincount(neuron, minlength=n_neurons) / length, "cv": cv, "fano": fano}
