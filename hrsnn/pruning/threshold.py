"""Threshold pruning of learnt weights: which synapses STDP has made critical."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["connectivity", "critical", "prune", "prune_to", "random_mask", "thin"]

GOLDEN_RATIO = 0.6180339887498949


def critical(weights: ArrayLike, threshold: float) -> NDArray[np.bool_]:
    """Mark the synapses whose weight lies above the threshold.

    Parameters
    ----------
    weights : array of any shape
        Learnt weights (dense matrix, or the values of the existing synapses), in [0, w_max].
    threshold : float
        Pruning threshold, in units of the weights, at least 0.

    Returns
    -------
    bool array, shape of `weights`
        True where ``weights > threshold``; may be False everywhere.

    Raises
    ------
    ValueError
        If a weight is not finite, there is no weight, or the threshold is negative or not finite.

    References
    ----------
    .. [1] Rathi (2021), dissertation, chapter 2, section 2.3.1.
    """
    check_threshold(threshold)
    return as_weights(weights) > threshold


def prune(weights: ArrayLike, threshold: float) -> NDArray:
    """Set all non-critical weights to zero.

    Parameters
    ----------
    weights : array of any shape
        Learnt weights, in [0, w_max].
    threshold : float
        Pruning threshold, in units of the weights, at least 0.

    Returns
    -------
    array, shape of `weights`
        A copy in which only weights above the threshold survive.

    Raises
    ------
    ValueError
        If nothing is critical, or as in `critical`.

    References
    ----------
    .. [1] Rathi (2021), dissertation, chapter 2, section 2.3.1.
    """
    values = as_weights(weights)
    mask = critical(values, threshold)
    if not mask.any():
        raise ValueError(
            f"No weight is above the pruning threshold {threshold} (the largest is {values.max():.4g}). "
            "Lower the threshold, or train longer before the first pruning."
        )
    return np.where(mask, values, values.dtype.type(0))


def prune_to(weights: ArrayLike, connectivity: float) -> NDArray:
    """Keep the largest weights, as many as a connectivity asks for.

    Parameters
    ----------
    weights : array of any shape
        Learnt weights of all possible synapses.
    connectivity : float
        Fraction of the weights to keep, in (0, 1]. Of equal weights the first ones stay; zeros never count as kept.

    Returns
    -------
    array, shape of `weights`
        A copy with at most ``round(connectivity * size)`` non-zero weights, at least one.

    Raises
    ------
    ValueError
        If a weight is not finite, none is positive, or the connectivity is out of range.
    """
    check_connectivity(connectivity)
    values = as_weights(weights)
    if not (values > 0).any():
        raise ValueError("No weight is positive, so there is nothing to keep. Check the training.")
    n_kept = max(1, round(connectivity * values.size))
    pruned = np.zeros_like(values)
    kept = np.argsort(-values, axis=None, kind="stable")[:n_kept]
    pruned.flat[kept] = values.flat[kept]
    return pruned


def thin(weights: ArrayLike, connectivity: float) -> NDArray:
    """Thin the synapses of each neuron evenly, in proportion to their weights.

    Strong weights lie beside each other, on neighbouring pixels that tell the same: the strongest alone are a poor
    picture of what a neuron has learnt. Here an input is kept with a probability proportional to its weight, by
    systematic sampling along the inputs (one at every equal step of the summed weights), so that what is kept is the
    same picture, thinned. Every neuron keeps equally many, and its sum, which normalisation has made the same for all:
    thresholds still fit.

    Parameters
    ----------
    weights : array of shape (n_inputs, n_neurons)
        Learnt weights, zero where there is no synapse; neighbouring inputs stand next to each other.
    connectivity : float
        Fraction of the inputs of each neuron to keep, in (0, 1].

    Returns
    -------
    array of shape (n_inputs, n_neurons)
        A copy with at most ``round(connectivity * n_inputs)`` non-zero weights in each column, at least one. Kept
        weights are scaled so that columns have the mean of the sums given, but none is above the largest one given.

    Raises
    ------
    ValueError
        If the weights are no matrix, or as in `prune_to`.
    """
    check_connectivity(connectivity)
    values = as_weights(weights)
    if values.ndim != 2:
        raise ValueError(f"weights must have shape (n_inputs, n_neurons), got {values.shape}.")
    if not (values > 0).any():
        raise ValueError("No weight is positive, so there is nothing to keep. Check the training.")
    n_kept = max(1, round(connectivity * len(values)))
    start = np.arange(values.shape[1]) * GOLDEN_RATIO % 1  # where each neuron's steps begin: spread evenly
    steps = np.floor(np.cumsum(_bounded(values, n_kept), axis=0) + start + 1e-9)
    pruned = np.where(np.diff(steps, axis=0, prepend=0) > 0, values, 0)
    sums, most = values.sum(axis=0), values.max()
    return most * _bounded(pruned, sums[sums > 0].mean() / most)


def _bounded(values: NDArray, total: float) -> NDArray:
    """Return numbers proportional to the values of each column, at most 1, with a given sum as far as they reach."""
    full = np.zeros(values.shape, dtype=bool)
    while True:
        rest = np.where(full, 0, values)
        left = rest.sum(axis=0)
        scaled = np.where(full, 1, rest * ((total - full.sum(axis=0)) / np.where(left > 0, left, 1)))
        beyond = scaled >= 1
        if (beyond == full).all():
            return scaled
        full = beyond


def random_mask(shape: int | tuple[int, ...], connectivity: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw a mask that keeps a fixed number of synapses at random.

    Parameters
    ----------
    shape : int or tuple of int
        Shape of the weights.
    connectivity : float
        Fraction kept, in (0, 1].
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    bool array of shape `shape`
        Exactly ``round(connectivity * size)`` entries are True, at least one.

    Raises
    ------
    ValueError
        If the connectivity is out of range or the shape is empty.
    """
    check_connectivity(connectivity)
    mask = np.zeros(shape, dtype=bool)
    if mask.size == 0:
        raise ValueError(f"shape must hold at least one synapse, got {shape!r}.")
    n_kept = max(1, round(connectivity * mask.size))
    mask.flat[rng.choice(mask.size, size=n_kept, replace=False)] = True
    return mask


def connectivity(weights: ArrayLike, n_possible: int | None = None) -> float:
    """Fraction of the possible synapses that carry a non-zero weight.

    Parameters
    ----------
    weights : array of any shape
        Weights of all possible synapses, or only the values of the existing ones.
    n_possible : int, optional
        Number of possible synapses (for example 784 x 100); the size of `weights` if None.

    Returns
    -------
    float
        Connectivity in [0, 1].

    Raises
    ------
    ValueError
        If a weight is not finite or there are more weights than possible synapses.

    References
    ----------
    .. [1] Rathi (2021), dissertation, chapter 2, section 2.5.1.
    """
    values = as_weights(weights)
    total = values.size if n_possible is None else n_possible
    if total < values.size:
        raise ValueError(f"n_possible must be at least the number of weights ({values.size}), got {n_possible}.")
    return float(np.count_nonzero(values) / total)


def as_weights(weights: ArrayLike) -> NDArray:
    """Weights as a floating point array, checked to be finite and not empty."""
    values = np.asarray(weights)
    if not np.issubdtype(values.dtype, np.floating):
        values = values.astype(float)
    if values.size == 0:
        raise ValueError("weights is empty. Pass at least one weight.")
    if not np.isfinite(values).all():
        n_bad = int((~np.isfinite(values)).sum())
        raise ValueError(
            f"weights holds {n_bad} NaN or infinite values of {values.size}. "
            "Look at the learning rate and the weight bounds."
        )
    return values


def check_threshold(threshold: float) -> None:
    """Refuse a threshold that is negative or not finite."""
    if not (np.isfinite(threshold) and threshold >= 0):
        raise ValueError(f"threshold must be a finite number of at least 0, got {threshold!r}.")


def check_connectivity(connectivity: float) -> None:
    """Refuse a connectivity outside (0, 1]."""
    if not 0 < connectivity <= 1:
        raise ValueError(f"connectivity must be in (0, 1], got {connectivity!r}.")
