"""Samples as the networks take them: sequences of frames, filled up to one length, with a mask of the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["frames", "padded"]


def frames(X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return samples as an array of sequences, and the number of frames of each.

    Parameters
    ----------
    X : array of shape (n_samples, n_features) or (n_samples, n_frames, n_features), or list of 2-D arrays
        A row of a 2-D array is one frame. Arrays in a list may differ in their number of frames.

    Returns
    -------
    samples : array of float32, shape (n_samples, n_frames, n_features)
    lengths : array of int, shape (n_samples,)

    Raises
    ------
    ValueError
        If there are no samples, they differ in their features, or a value is not finite.
    """
    if isinstance(X, (list, tuple)) and len(X) and all(np.ndim(x) == 2 for x in X):
        return padded(X)
    try:
        samples = np.asarray(X, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"X must hold numbers, in an array or a list of 2-D arrays: {error}") from error
    if samples.ndim == 2:
        samples = samples[:, None, :]
    if samples.ndim != 3 or samples.size == 0:
        raise ValueError(
            "X must have shape (n_samples, n_features) or (n_samples, n_frames, n_features) and not be empty, "
            f"got {np.shape(X)}."
        )
    _check_finite(samples)
    return samples, np.full(len(samples), samples.shape[1])


def padded(X: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return sequences of different lengths as one array, zeros behind their ends; and their lengths."""
    arrays = [np.asarray(x, dtype=np.float32) for x in X]
    widths = {array.shape[1] for array in arrays}
    lengths = np.array([len(array) for array in arrays])
    if len(widths) > 1 or 0 in widths:
        raise ValueError(f"All sequences must have the same features, and at least one: got {sorted(widths)}.")
    if lengths.min() == 0:
        raise ValueError(f"Sequence {int(lengths.argmin())} has no frames.")
    samples = np.zeros((len(arrays), lengths.max(), widths.pop()), np.float32)
    for row, array in zip(samples, arrays, strict=True):
        row[: len(array)] = array
    _check_finite(samples)
    return samples, lengths


def _check_finite(samples: np.ndarray) -> None:
    if not np.isfinite(samples).all():
        sample = int(np.argwhere(~np.isfinite(samples))[0][0])
        raise ValueError(f"X has NaN or infinite values, first in sample {sample}. Fill or drop them.")
