"""SpikingForecaster: a declared network trained by gradients to say the next value of a series, then left to itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from brian2 import Hz, Quantity, ms
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from hrsnn.checks import check_integer
from hrsnn.gradient.network import Layer
from hrsnn.gradient.regressor import SpikingRegressor

__all__ = ["SpikingForecaster"]


class SpikingForecaster(SpikingRegressor):
    """Learn the increments of a series by surrogate gradients; in a forecast each output is the next input.

    The series is cut into windows that overlap by ``washout`` steps, in which the network forgets where it started; the
    loss counts every step of the series once. Values are standardised within.

    Parameters
    ----------
    window : int
        Steps of a window, more than ``washout``.
    washout : int
        Steps at the start of a window that do not count.
    layers, step, dt, tau_out, rate, n_epochs, batch_size, learning_rate, schedule, clip, validation, patience, \
checkpoint, seed
        As of ``SpikingClassifier``; a step of the series is a frame.

    Attributes
    ----------
    mean_, spread_ : array of shape (n_features,)
        By which values are standardised.
    sops_ : float
        Synaptic operations in the last layer's recurrent synapses while it was shown the training series.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, table V (rows of networks trained by backpropagation).
    """

    def __init__(
        self,
        layers: Sequence[Layer | int] = (100,),
        step: Quantity = 5 * ms,
        dt: Quantity = 1 * ms,
        tau_out: Quantity = 20 * ms,
        rate: Quantity = 50 * Hz,
        window: int = 100,
        washout: int = 20,
        n_epochs: int = 50,
        batch_size: int = 16,
        learning_rate: float = 1e-2,
        schedule: str = "cosine",
        clip: float | None = 1.0,
        validation: float = 0.0,
        patience: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        seed: int = 0,
    ):
        super().__init__(
            layers, step, dt, tau_out, rate, washout, n_epochs, batch_size, learning_rate, schedule, clip,
            validation, patience, checkpoint, seed,
        )  # fmt: skip
        self.window = window

    def __sklearn_tags__(self) -> Tags:
        """Say that goals are the next values of the series itself."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags

    def fit(self, X: Any, y: None = None) -> Self:
        """Train on one series, or on several.

        Parameters
        ----------
        X : array of shape (n_steps, n_features), or list of such arrays
            Longer than a window.
        y : None
            Ignored.

        Raises
        ------
        ValueError
            If a series is too short, or holds NaN.
        Diverged
            If the loss becomes NaN.
        """
        check_integer("washout", self.washout, 0)
        check_integer("window", self.window, self.washout + 1, " (washout + 1)")
        series = [_series(x) for x in (X if isinstance(X, (list, tuple)) else [X])]
        short = min(len(x) for x in series)
        if short <= self.window:
            raise ValueError(f"A series has {short} steps; a window of {self.window} and the step behind it need more.")
        joined = np.concatenate(series)
        self.mean_, self.spread_ = joined.mean(0), joined.std(0) + 1e-12
        windows, goals = [], []
        for x in series:
            scaled = (x - self.mean_) / self.spread_
            for start in range(0, len(x) - self.window, self.window - self.washout):
                part = scaled[start : start + self.window + 1]
                windows.append(part[:-1])
                goals.append(np.diff(part, axis=0))
        super().fit(np.array(windows), np.array(goals))
        counts = self._counts(((joined - self.mean_) / self.spread_)[None])
        recurrent = self.network_.synapses(self.weights_["layers"])[-1].get("recurrent")
        self.sops_ = 0.0 if recurrent is None else float(counts @ np.count_nonzero(recurrent, axis=1))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the value that follows each step of a series.

        Parameters
        ----------
        X : array of shape (n_steps, n_features)

        Returns
        -------
        array of shape (n_steps, n_features)
        """
        check_is_fitted(self, "weights_")
        series = _series(X)
        if series.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {series.shape[1]} features, but SpikingForecaster is expecting {self.n_features_in_} features "
                "as input."
            )
        scaled = (series - self.mean_) / self.spread_
        increments = super().predict(scaled[None])[0]
        return (scaled + increments) * self.spread_ + self.mean_

    def forecast(self, n_steps: int, X: Any) -> np.ndarray:
        """Return how a series goes on, the network fed by its own output.

        Parameters
        ----------
        n_steps : int
        X : array of shape (n_warm, n_features) or (n_starts, n_warm, n_features)
            The steps before.

        Returns
        -------
        array of shape (n_steps, n_features) or (n_starts, n_steps, n_features)
        """
        check_is_fitted(self, "weights_")
        check_integer("n_steps", n_steps, 1)
        warm = np.asarray(X, dtype=float)
        single = warm.ndim == 2
        warm = warm[None] if single else warm
        if warm.ndim != 3 or warm.shape[2] != self.n_features_in_ or not np.isfinite(warm).all():
            raise ValueError(
                f"X must be finite, of shape (n_starts, n_warm, {self.n_features_in_}), got {np.shape(X)}."
            )
        mean, spread = np.float32(self.y_mean_), np.float32(self.y_spread_)

        def answer(weights: Any, trace: Any, frame: Any) -> Any:
            return frame + (trace @ weights["w"] + weights["b"]) * spread + mean

        @jax.jit
        def run(weights: Any, X: Any) -> Any:
            readout = weights["readout"]
            return self.network_.forecast(weights["layers"], X, lambda *seen: answer(readout, *seen), n_steps)[0]

        made = np.asarray(run(self.weights_, np.float32((warm - self.mean_) / self.spread_)), dtype=float)
        future = made * self.spread_ + self.mean_
        return future[0] if single else future

    def _counts(self, scaled: np.ndarray) -> np.ndarray:
        """Return the spikes of each neuron of the last layer."""
        run = jax.jit(lambda weights, X: self.network_.run(weights, X).counts[-1])
        return np.asarray(jnp.sum(run(self.weights_["layers"], np.float32(scaled)), axis=0), dtype=float)


def _series(X: Any) -> np.ndarray:
    array = np.asarray(X, dtype=float)
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise ValueError(f"A series must be finite numbers of shape (n_steps, n_features), got {array.shape}.")
    return array
