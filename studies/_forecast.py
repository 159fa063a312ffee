"""The protocol by which all forecasters are trained, tuned and judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hrsnn import metrics

Array = NDArray[np.float64]


class Model(Protocol):
    """What the protocol asks of a forecaster: one response to the training series, then readouts and forecasts."""

    def respond(self, X: Array) -> None:
        """Take the training series."""

    def train(self, alpha: float) -> None:
        """Train the readout with a ridge penalty, as a share of the number of training steps."""

    def forecast(self, n_steps: int, X: Array) -> Array:
        """Forecast after each of the series of shape (n_starts, n_warm, n_features)."""


@dataclass(frozen=True)
class Split:
    """A series cut into a training part, and starts for tuning and for the test, which come later.

    Parameters
    ----------
    train : array of shape (n_train, n_features)
    tuning, test : (array of shape (n_starts, n_warm, n_features), array of shape (n_starts, n_free, n_features))
        What comes before each start, and what follows.
    scale : array of shape (n_features,)
        Standard deviation of the training part.
    """

    train: Array
    tuning: tuple[Array, Array]
    test: tuple[Array, Array]
    scale: Array


def split(X: Array, n_train: int, n_warm: int, n_free: int, n_tuning: int, n_test: int) -> Split:
    """Cut a series; the windows of the starts stand side by side without overlap."""
    width = n_warm + n_free
    need = n_train + (n_tuning + n_test) * width
    if len(X) < need:
        raise ValueError(f"The series has {len(X)} steps, {need} are needed: lower n_train or the number of starts.")
    windows = X[n_train:need].reshape(-1, width, X.shape[1])
    warm, free = windows[:, :n_warm], windows[:, n_warm:]
    parts = (warm[:n_tuning], free[:n_tuning]), (warm[n_tuning:], free[n_tuning:])
    return Split(X[:n_train], *parts, X[:n_train].std(axis=0))


def judge(model: Model, data: Split, alphas: Sequence[float], score: Callable[[Array, Array], Array]) -> dict[str, Any]:
    """Train with every penalty, keep the best by the starts for tuning, and forecast from those of the test.

    Parameters
    ----------
    model : Model
    data : Split
    alphas : sequence of float
    score : callable
        Valid prediction times of forecasts: (truth, forecast) -> array of shape (n_starts,).

    Returns
    -------
    dict
        alpha, vpt (array), nrmse (over the first 100 steps of each start, clipped at 10), forecast (array).
    """
    model.respond(data.train)
    tuned = []
    for alpha in alphas:
        model.train(alpha)
        tuned.append(float(np.mean(score(data.tuning[1], model.forecast(data.tuning[1].shape[1], data.tuning[0])))))
    alpha = alphas[int(np.argmax(tuned))]
    model.train(alpha)
    forecast = model.forecast(data.test[1].shape[1], data.test[0])
    vpt, nrmse = score(data.test[1], forecast), error(data, forecast)
    return {"alpha": alpha, "vpt": vpt, "nrmse": nrmse, "forecast": forecast}


def error(data: Split, forecast: Array) -> float:
    """Return the error of forecasts in standard deviations, over their first 100 steps, clipped at 10."""
    errors = (forecast - data.test[1])[:, :100] / data.scale
    nrmse = np.minimum(np.sqrt(np.nan_to_num(errors**2, nan=np.inf).mean(axis=(1, 2))), 10.0)
    return float(nrmse.mean())


def vpt_score(scale: Array, threshold: float, dt: float, exponent: float) -> Callable[[Array, Array], Array]:
    """Return the function that gives valid prediction times, in Lyapunov times, of forecasts from several starts."""

    def score(truth: Array, forecast: Array) -> Array:
        pairs = zip(truth, forecast, strict=True)
        return np.array([metrics.valid_prediction_time(t, f, threshold, scale, dt, exponent) for t, f in pairs])

    return score
