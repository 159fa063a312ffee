"""Checks that the metrics share."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def pair(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
    truth, forecast = finite(y_true, "y_true"), np.asarray(y_pred, dtype=float)
    if truth.shape != forecast.shape or truth.ndim not in (1, 2):
        raise ValueError(
            f"y_true and y_pred must have one shape, (n_steps,) or (n_steps, n_features), "
            f"got {truth.shape} and {forecast.shape}."
        )
    return truth.reshape(len(truth), -1), forecast.reshape(len(truth), -1)


def finite(values: ArrayLike, name: str) -> Array:
    array = np.asarray(values, dtype=float)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite numbers and not empty, got shape {array.shape}. Fill or drop NaN.")
    return array


def matrix(values: ArrayLike, name: str) -> Array:
    matrix = finite(values, name)
    if matrix.ndim != 2:
        raise ValueError(f"{name} must be a matrix of rows and features, got shape {matrix.shape}.")
    return matrix


def counts_of(counts: ArrayLike, name: str = "counts") -> Array:
    values = finite(counts, name)
    if values.ndim != 1 or (values < 0).any():
        raise ValueError(f"{name} must be 1-D and not negative, got shape {values.shape}.")
    return values


def positive(name: str, value: float) -> None:
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be positive and finite, got {value!r}.")
