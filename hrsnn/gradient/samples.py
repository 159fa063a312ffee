"""Samples as the networks take them: sequences of frames, filled up to one length, with a mask of the real ones."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["are_sequences", "check_finite", "filled", "frames"]


def are_sequences(X: Any) -> bool:
    """Tell whether samples are sequences of rows, in a 3-D array or a list of 2-D arrays, and not rows themselves."""
    if isinstance(X, (list, tuple)):
        return len(X) > 0 and all(np.ndim(x) == 2 for x in X)
    return getattr(X, "ndim", 0) == 3


def frames(X: Any, name: str = "X") -> tuple[np.ndarray, np.ndarray]:
    """Return sequences as one array, zeros behind their ends, and the number of frames of each.

    Parameters
    ----------
    X : array of shape (n_samples, n_frames, n_features), or list of 2-D arrays
        Arrays in a list may differ in their number of frames.
    name : str
        Of the argument, for messages.

    Returns
    -------
    samples : array of float32, shape (n_samples, n_frames, n_features)
    lengths : array of int, shape (n_samples,)

    Raises
    ------
    ValueError
        If there are no samples, they differ in their features, or a value is not finite.
    """
    try:
        arrays = [np.asarray(x, dtype=np.float32) for x in X]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold numbers, in an array or a list of 2-D arrays: {error}") from error
    widths = {array.shape[1] for array in arrays}
    lengths = np.array([len(array) for array in arrays])
    if not arrays:
        raise ValueError(f"{name} has no sequences.")
    if len(widths) > 1 or 0 in widths:
        raise ValueError(
            f"All sequences of {name} must have the same features, and at least one: got {sorted(widths)}."
        )
    if lengths.min() == 0:
        raise ValueError(f"Sequence {int(lengths.argmin())} of {name} has no frames.")
    samples = np.zeros((len(arrays), lengths.max(), widths.pop()), np.float32)
    for row, array in zip(samples, arrays, strict=True):
        row[: len(array)] = array
    check_finite(samples, name)
    return samples, lengths


def filled(samples: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return sequences of one length: each is repeated behind its end, not zero there."""
    places = np.arange(samples.shape[1]) % lengths[:, None]
    return np.take_along_axis(samples, places[:, :, None], axis=1)


def check_finite(values: np.ndarray, name: str = "X") -> None:
    """Refuse NaN and infinite values.

    Raises
    ------
    ValueError
        Which says the first sample that has one.
    """
    if not np.isfinite(values).all():
        sample = int(np.argwhere(~np.isfinite(values))[0][0])
        raise ValueError(f"{name} has NaN or infinite values, first in sample {sample}. Fill or drop them.")
