"""Forecasters that do not spike: persistence, echo-state network, next-generation reservoir."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from hrsnn.checks import check_integer, check_seed

__all__ = ["EchoState", "NextGeneration", "Persistence", "echo_states"]

Array = NDArray[np.float64]


class Persistence(RegressorMixin, BaseEstimator):
    """The last value, for ever: what a forecast must beat."""

    def fit(self, X: Any, Y: Any = None) -> Persistence:
        """Take the end of a series of shape (n_steps, n_features)."""
        X = _series(X)
        self.n_features_in_, self.last_ = X.shape[1], X[-1]
        return self

    def predict(self, X: Any) -> Array:
        """Return each value as the forecast of the next, array of shape (n_steps, n_features)."""
        check_is_fitted(self, "last_")
        return _series(X, self.n_features_in_).copy()

    def forecast(self, n_steps: int, X: Any = None) -> Array:
        """Repeat the last value of each series.

        Parameters
        ----------
        n_steps : int
        X : array of shape (n_warm, n_features) or (n_starts, n_warm, n_features), optional
            The series that come before; the training series if None.

        Returns
        -------
        array of shape (n_steps, n_features) or (n_starts, n_steps, n_features)
        """
        check_integer("n_steps", n_steps, 1)
        check_is_fitted(self, "last_")
        last = self.last_ if X is None else _starts(X, self.n_features_in_)[..., -1, :]
        return np.repeat(np.asarray(last)[..., None, :], n_steps, axis=-2)

    def respond(self, X: Any) -> None:
        """Take the training series, as `fit`."""
        self.fit(X)

    def train(self, alpha: float) -> None:
        """Learn nothing."""


class LinearForecaster(RegressorMixin, BaseEstimator, ABC):
    """What forecasters with a linear readout share: ridge regression of increments, and the loop that feeds it back.

    Series are standardised; features of each step, standardised too, give the change to the next step. ``fit`` is
    ``respond`` and ``train``: to tune the penalty call ``respond`` once and ``train`` with one after another. A class
    of your own defines ``start``, ``advance`` and ``read``.
    """

    alpha: float
    n_wash_out: int

    def fit(self, X: Any, Y: Any = None) -> Any:
        """Train on a series, to forecast each next value.

        Parameters
        ----------
        X : array of shape (n_steps, n_features)
        Y : ignored

        Raises
        ------
        ValueError
            If X is no series of finite numbers, has a constant feature, or is too short.
        """
        self.respond(X)
        self.train(self.alpha)
        return self

    def respond(self, X: Any) -> None:
        """Take the training series of shape (n_steps, n_features): standardise it, and collect features."""
        X = _series(X)
        self._check()
        if len(X) < self.n_wash_out + 10:
            raise ValueError(
                f"X has {len(X)} steps, too few: {self.n_wash_out} are the wash-out (n_wash_out), and 10 must be left."
            )
        self.n_features_in_ = X.shape[1]
        self.mean_, self.deviation_ = X.mean(axis=0), X.std(axis=0)
        if not self.deviation_.all():
            raise ValueError(f"X has a constant feature: column {int(np.argmin(self.deviation_))}. Leave it out.")
        self.draw(X.shape[1])
        u = (X - self.mean_) / self.deviation_
        self._last = X
        features = self.features(u[None])[0]
        F, self._goal = features[self.n_wash_out : -1], np.diff(u, axis=0)[self.n_wash_out :]
        self._centre, self._spread = F.mean(axis=0), np.maximum(F.std(axis=0), 1e-9)
        self._svd = np.linalg.svd((F - self._centre) / self._spread, full_matrices=False)

    def train(self, alpha: float) -> None:
        """Solve the ridge regression of the features of ``respond``.

        Parameters
        ----------
        alpha : float
            Penalty as a share of the number of training steps.

        Raises
        ------
        ValueError
            If it is negative.
        """
        check_is_fitted(self, "mean_")
        if not alpha >= 0:
            raise ValueError(f"alpha must not be negative, got {alpha!r}.")
        U, s, Vt = self._svd
        bias = self._goal.mean(axis=0)
        gain = s / (s**2 + alpha * len(self._goal))
        W = Vt.T @ (gain[:, None] * (U.T @ (self._goal - bias)))
        self.coef_ = W / self._spread[:, None]
        self.intercept_ = bias - self._centre @ self.coef_

    def forecast(self, n_steps: int, X: Any = None) -> Array:
        """Run on freely: each forecast is the input of the next step.

        Parameters
        ----------
        n_steps : int
        X : array of shape (n_warm, n_features) or (n_starts, n_warm, n_features), optional
            Series after which to run on, each from rest; after the end of the training series if None.

        Returns
        -------
        array of shape (n_steps, n_features) or (n_starts, n_steps, n_features)

        Raises
        ------
        ValueError
            If n_steps is not positive or X does not fit.
        """
        check_is_fitted(self, "coef_")
        check_integer("n_steps", n_steps, 1)
        warm = self._last if X is None else _starts(X, self.n_features_in_)
        u = ((warm if warm.ndim == 3 else warm[None]) - self.mean_) / self.deviation_
        state = self.start(u)
        now, out = u[:, -1], []
        for _ in range(n_steps):
            now = np.clip(now + self.read(state, now) @ self.coef_ + self.intercept_, -10, 10)
            out.append(now)
            state = self.advance(state, now)
        free = np.stack(out, axis=1) * self.deviation_ + self.mean_
        return free if warm.ndim == 3 else free[0]

    def predict(self, X: Any) -> Array:
        """Return the forecast one step ahead of each value of a series, from rest, driven by the true series.

        Parameters
        ----------
        X : array of shape (n_steps, n_features)

        Returns
        -------
        array of shape (n_steps, n_features)
            Row k is the forecast of the value that follows row k of X.
        """
        check_is_fitted(self, "coef_")
        u = (_series(X, self.n_features_in_) - self.mean_) / self.deviation_
        return (u + self.features(u[None])[0] @ self.coef_ + self.intercept_) * self.deviation_ + self.mean_

    def transform(self, X: Any) -> Array:
        """Return the features of each step of a series, from rest, array of shape (n_steps, n_state)."""
        check_is_fitted(self, "mean_")
        u = (_series(X, self.n_features_in_) - self.mean_) / self.deviation_
        return self.features(u[None])[0]

    def score(self, X: Any, Y: Any = None, sample_weight: Any = None) -> float:
        """Return R^2 of the forecasts one step ahead.

        Parameters
        ----------
        X : array of shape (n_steps, n_features)
        Y : array of shape (n_steps, n_features), optional
            The value that follows each of X; the next row of X if None.
        """
        if Y is None:
            X = _series(X)
            return float(r2_score(X[1:], self.predict(X)[:-1], sample_weight=sample_weight))
        return float(super().score(X, Y, sample_weight))

    def features(self, u: Array) -> Array:
        """Return features of each step of standardised series, array of shape (n_series, n_steps, n_state)."""
        state, rows = self.start(u[:, :1]), [self.read(self.start(u[:, :1]), u[:, 0])]
        for k in range(1, u.shape[1]):
            state = self.advance(state, u[:, k])
            rows.append(self.read(state, u[:, k]))
        return np.stack(rows, axis=1)

    def draw(self, n_features: int) -> None:
        """Draw what is random, for series of so many features; nothing by default."""

    def _check(self) -> None:
        check_integer("n_wash_out", self.n_wash_out, 0)

    @abstractmethod
    def start(self, u: Array) -> Array:
        """Return the state after standardised series of shape (n_series, n_steps, n_features)."""

    @abstractmethod
    def advance(self, state: Array, now: Array) -> Array:
        """Return the state after one value more."""

    @abstractmethod
    def read(self, state: Array, now: Array) -> Array:
        """Return the features of a state."""


class EchoState(LinearForecaster):
    """Echo-state network of leaky tanh units; the readout sees the units and the present values.

    Parameters
    ----------
    n_units : int
    radius, gain, leak, bias : float
        Spectral radius, scale of the input weights, leak in (0, 1], and scale of the biases (uniform).
    density : float
        Share of recurrent weights that are not zero.
    alpha : float
        Ridge penalty as a share of the number of training steps.
    n_wash_out : int
        First steps of the training series that the readout does not see.
    seed : int

    Attributes
    ----------
    recurrent_ : array of shape (n_units, n_units)
        Weights from row to column.
    inputs_ : array of shape (n_features, n_units)
    offset_ : array of shape (n_units,)
    coef_, intercept_
        The readout, from features to standardised increments.

    References
    ----------
    .. [1] Jaeger (2001), The "echo state" approach to analysing and training recurrent neural networks.
    """

    def __init__(
        self,
        n_units: int = 300,
        radius: float = 0.9,
        gain: float = 0.1,
        leak: float = 1.0,
        bias: float = 0.5,
        density: float = 0.1,
        alpha: float = 1e-8,
        n_wash_out: int = 50,
        seed: int = 0,
    ):
        self.n_units = n_units
        self.radius = radius
        self.gain = gain
        self.leak = leak
        self.bias = bias
        self.density = density
        self.alpha = alpha
        self.n_wash_out = n_wash_out
        self.seed = seed

    def _check(self) -> None:
        super()._check()
        check_integer("n_units", self.n_units, 1)
        check_seed(self.seed)
        for name in ("leak", "density"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {getattr(self, name)!r}.")

    def draw(self, n_features: int) -> None:
        """Draw the weights, for series of so many features."""
        self._check()
        rng = np.random.default_rng(self.seed)
        shape = (self.n_units, self.n_units)
        W = rng.standard_normal(shape) * (rng.random(shape) < self.density)
        largest = np.abs(np.linalg.eigvals(W)).max()
        if not largest:
            raise ValueError(f"No loop is left among n_units={self.n_units} at density={self.density}. Raise either.")
        self.recurrent_ = W * (self.radius / largest)
        self.inputs_ = self.gain * rng.uniform(-1, 1, (n_features, self.n_units))
        self.offset_ = self.bias * rng.uniform(-1, 1, self.n_units)

    def start(self, u: Array) -> Array:
        """Return the state after a series, from zero."""
        state = np.zeros((len(u), self.n_units))
        for k in range(u.shape[1]):
            state = self.advance(state, u[:, k])
        return state

    def advance(self, state: Array, now: Array) -> Array:
        """Return the state after one value more."""
        new = np.tanh(state @ self.recurrent_ + now @ self.inputs_ + self.offset_)
        return (1 - self.leak) * state + self.leak * new

    def read(self, state: Array, now: Array) -> Array:
        """Return the features: the units and the values."""
        return np.concatenate([state, now], axis=1)


class NextGeneration(LinearForecaster):
    """Next-generation reservoir: the present and the last values, and all products of two of them.

    Parameters
    ----------
    alpha : float
        Ridge penalty as a share of the number of training steps.
    n_wash_out : int
        First steps of the training series that the readout does not see.

    References
    ----------
    .. [1] Gauthier, Bollt, Griffith & Barbosa (2021), Next generation reservoir computing.
    """

    def __init__(self, alpha: float = 1e-8, n_wash_out: int = 50):
        self.alpha = alpha
        self.n_wash_out = n_wash_out

    def start(self, u: Array) -> Array:
        """Return the last but one and the last value."""
        return np.concatenate([u[:, max(u.shape[1] - 2, 0)], u[:, -1]], axis=1)

    def advance(self, state: Array, now: Array) -> Array:
        """Return the last and the present value."""
        return np.concatenate([state[:, state.shape[1] // 2 :], now], axis=1)

    def read(self, state: Array, now: Array) -> Array:
        """Return the values and their products."""
        i, j = np.triu_indices(state.shape[1])
        return np.concatenate([state, state[:, i] * state[:, j]], axis=1)


def echo_states(X: Any, n_units: int, seed: int = 0, **settings: Any) -> Array:
    """Return the states of an echo-state network, driven by the values of several series as they are.

    Nothing is trained: these are features, for a readout of any kind.

    Parameters
    ----------
    X : array of shape (n_series, n_steps, n_features)
        Each series starts from zero state.
    n_units, seed : int
    **settings
        radius, gain, leak, bias, density of `EchoState`.

    Returns
    -------
    array of shape (n_series, n_steps, n_units + n_features)
        Units, then the values.

    Raises
    ------
    ValueError
        If X is no array of that shape, or a setting is out of range.
    """
    X = np.asarray(X, dtype=float)
    if X.ndim != 3 or not X.size or not np.isfinite(X).all():
        raise ValueError(f"X must be finite, of shape (n_series, n_steps, n_features), got {X.shape}. One is X[None].")
    network = EchoState(n_units, seed=seed, **settings)
    network.draw(X.shape[-1])
    return network.features(X)


def _series(X: Any, n_features: int | None = None) -> Array:
    array = np.asarray(X, dtype=float)
    if array.ndim != 2:
        raise ValueError(f"X must have shape (n_steps, n_features), got {array.shape}. One series is X[:, None].")
    return _checked(array, n_features)


def _starts(X: Any, n_features: int) -> Array:
    array = np.asarray(X, dtype=float)
    if array.ndim not in (2, 3):
        raise ValueError(
            f"X must have shape (n_warm, n_features) or (n_starts, n_warm, n_features), got {array.shape}."
        )
    return _checked(array, n_features)


def _checked(array: Array, n_features: int | None) -> Array:
    if not array.size or not np.isfinite(array).all():
        raise ValueError(f"X must be finite numbers and not empty, got shape {array.shape}. Fill or drop NaN.")
    if n_features is not None and array.shape[-1] != n_features:
        raise ValueError(f"X has {array.shape[-1]} features, but the forecaster was fitted with {n_features}.")
    return array
