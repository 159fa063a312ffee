"""Weight sharing: all critical synapses use the few values of one global codebook."""

from __future__ import annotations

from math import ceil, log2

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hrsnn.checks import check_integer
from hrsnn.pruning.threshold import as_weights

__all__ = ["codebook", "quantize", "storage_bits"]


def quantize(weights: ArrayLike, levels: int) -> NDArray:
    """Replace each non-zero weight by the mean of its group.

    The non-zero (critical) weights are split at their quantiles into ``levels - 1`` groups of equal count; each
    weight becomes its group's mean and zero stays zero. Two levels give {0, mean}; three levels split at the
    median, {0, mean(<= median), mean(> median)}. Equal weights stay in one group, so heavy ties give fewer levels.

    Parameters
    ----------
    weights : array of any shape
        Pruned weights, zero where there is no synapse; not negative.
    levels : int
        Number of levels, zero included, at least 2.

    Returns
    -------
    array, shape of `weights`
        Weights with at most `levels` distinct values.

    Raises
    ------
    ValueError
        If all weights are zero, one is negative or not finite, or `levels` is below 2.

    References
    ----------
    .. [1] Rathi (2021), dissertation, chapter 2, section 2.3.2.
    """
    values, means, group = _groups(weights, levels)
    shared = np.zeros_like(values)
    shared[values > 0] = means[group]
    return shared


def codebook(weights: ArrayLike, levels: int) -> NDArray:
    """Shared values that `quantize` would use.

    Parameters
    ----------
    weights : array of any shape
        Pruned weights, zero where there is no synapse; not negative.
    levels : int
        Number of levels, zero included, at least 2.

    Returns
    -------
    array of shape (at most levels,)
        Zero followed by the group means, ascending.

    Raises
    ------
    ValueError
        As in `quantize`.

    References
    ----------
    .. [1] Rathi (2021), dissertation, chapter 2, section 2.3.2.
    """
    _, means, group = _groups(weights, levels)
    return np.concatenate([[0.0], means[np.unique(group)]]).astype(means.dtype)


def storage_bits(weights: ArrayLike, levels: int | None = None, n_bits: int = 32, sparse: bool = False) -> int:
    """Bits needed to store the weights.

    Parameters
    ----------
    weights : array of any shape
        Weights of all possible synapses, zero where there is none.
    levels : int, optional
        Number of shared levels, zero included; None for continuous weights.
    n_bits : int
        Bits of one stored value, at least 1.
    sparse : bool
        False stores one entry for each possible synapse, as a crossbar does. True lists the non-zero synapses only,
        each with its position.

    Returns
    -------
    int
        Dense: ``size * n_bits``, or with levels ``size * ceil(log2(levels))`` plus the codebook. Sparse: for each
        non-zero weight ``ceil(log2(size))`` position bits plus the value or its codebook index. The codebook takes
        ``(levels - 1) * n_bits``: zero needs no entry.

    Raises
    ------
    ValueError
        If a weight is not finite, `levels` is below 2 or `n_bits` below 1.
    """
    values = as_weights(weights)
    if n_bits < 1:
        raise ValueError(f"n_bits must be at least 1, got {n_bits!r}.")
    if levels is not None:
        check_levels(levels)
    book = 0 if levels is None else (levels - 1) * n_bits
    if sparse:
        position = ceil(log2(values.size))
        entry = n_bits if levels is None else ceil(log2(levels - 1))
        return int(np.count_nonzero(values)) * (position + entry) + book
    return values.size * (n_bits if levels is None else ceil(log2(levels))) + book


def check_levels(levels: int) -> None:
    """Refuse a number of levels that is not an integer of at least 2."""
    check_integer("levels", levels, 2, " (zero is one level)")


def _groups(weights: ArrayLike, levels: int) -> tuple[NDArray, NDArray, NDArray[np.intp]]:
    """Weights, mean of each group (NaN if empty) and group of each positive weight."""
    check_levels(levels)
    values = as_weights(weights)
    if (values < 0).any():
        raise ValueError(f"weights must not be negative, got {values.min():.4g}. Pass their magnitudes.")
    chosen = values[values > 0].astype(float)
    if chosen.size == 0:
        raise ValueError("All weights are zero, so there is nothing to share. Lower the pruning threshold.")
    n_groups = int(levels) - 1
    ranked = np.sort(chosen)
    # "weight <= quantile" compares with the largest weight at or below the quantile: exact in integers.
    edges = ranked[np.arange(1, n_groups) * (ranked.size - 1) // n_groups]
    group = np.searchsorted(edges, chosen, side="left")
    means = np.full(n_groups, np.nan)
    for g in np.unique(group):
        members = chosen[group == g]
        means[g] = np.clip(members.mean(), members.min(), members.max())  # a mean of equal values is that value
    return values, means.astype(values.dtype), group
