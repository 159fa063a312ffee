"""How good a forecast is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hrsnn.metrics._checks import Array, finite, pair, positive

__all__ = ["forecast_error", "nrmse", "valid_prediction_time"]


def nrmse(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the root mean squared error over all steps and features, in standard deviations of the truth.

    sqrt(mean |y_pred - y_true|^2 / mean |y_true - mean y_true|^2): 1 for a forecast by the mean.

    Parameters
    ----------
    y_true, y_pred : array of shape (n_steps,) or (n_steps, n_features)

    Returns
    -------
    float
        Infinite or NaN if the forecast is.

    Raises
    ------
    ValueError
        If the shapes differ, or the truth is constant, has NaN or is empty.
    """
    truth, forecast = pair(y_true, y_pred)
    variance = float(truth.var(axis=0).sum())
    if not variance > 0:
        raise ValueError("y_true is constant: its spread, in units of which the error is given, is 0.")
    return float(np.sqrt(((forecast - truth) ** 2).sum(axis=1).mean() / variance))


def forecast_error(y_true: ArrayLike, y_pred: ArrayLike, scale: ArrayLike | None = None) -> Array:
    """Return the normalised error of each step: the root mean over features of ((y_pred - y_true) / scale)^2.

    Parameters
    ----------
    y_true, y_pred : array of shape (n_steps,) or (n_steps, n_features)
    scale : float or array of shape (n_features,), optional
        Long-term standard deviation of each feature; of ``y_true`` if None.

    Returns
    -------
    array of shape (n_steps,)

    Raises
    ------
    ValueError
        If the shapes differ, the truth has NaN or is empty, or a scale is not positive.

    References
    ----------
    .. [1] Platt et al. (2022), A systematic exploration of reservoir computing for forecasting complex dynamics.
    """
    truth, forecast = pair(y_true, y_pred)
    sigma = truth.std(axis=0) if scale is None else np.broadcast_to(finite(scale, "scale"), truth.shape[1:])
    if not (sigma > 0).all():
        raise ValueError(f"scale must be positive for every feature, got {sigma}. Pass the long-term deviation.")
    return np.sqrt((((forecast - truth) / sigma) ** 2).mean(axis=1))


def valid_prediction_time(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    threshold: float = 0.4,
    scale: ArrayLike | None = None,
    dt: float | None = None,
    lyapunov_exponent: float | None = None,
) -> float:
    """Return how long a forecast stays below an error: in steps, or in Lyapunov times.

    Parameters
    ----------
    y_true, y_pred : array of shape (n_steps,) or (n_steps, n_features)
        The first step is the first forecast.
    threshold : float
        Bound of `forecast_error`: 0.4 here, 0.1 in the first reference, 0.5 in the second.
    scale : float or array of shape (n_features,), optional
        As in `forecast_error`.
    dt : float, optional
        Time of a step in the system's own unit, to get Lyapunov times.
    lyapunov_exponent : float, optional
        Largest Lyapunov exponent per that unit (0.906 for Lorenz-63); needed with ``dt``.

    Returns
    -------
    float
        Number of steps before the first at which the error is not below the threshold (all steps if none is; NaN
        is not below), times ``dt * lyapunov_exponent`` if given.

    Raises
    ------
    ValueError
        If the shapes differ, or an argument is not positive.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales.
    .. [2] Vlachas et al. (2020), Backpropagation algorithms and reservoir computing in recurrent neural networks.
    """
    positive("threshold", threshold)
    if (dt is None) != (lyapunov_exponent is None):
        raise ValueError("Lyapunov times need both dt and lyapunov_exponent; steps need neither.")
    error = forecast_error(y_true, y_pred, scale)
    late = ~(error < threshold)
    steps = float(np.argmax(late)) if late.any() else float(len(error))
    if dt is None or lyapunov_exponent is None:
        return steps
    positive("dt", dt)
    positive("lyapunov_exponent", lyapunov_exponent)
    return steps * dt * lyapunov_exponent
