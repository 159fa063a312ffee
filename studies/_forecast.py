"""Forecasters that do not spike, and the protocol by which all forecasters are trained, tuned and judged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from sklearn.linear_model import Ridge

from hrsnn import metrics

Array = NDArray[np.float64]


class Model(Protocol):
    """What the protocol asks of a forecaster: one response to the training series, then readouts and forecasts."""

    def respond(self, X: Array) -> None:
        """Take the training series."""

    def train(self, alpha: float) -> None:
        """Train the readout with a ridge penalty, as a share of the number of training steps."""

    def forecast(self, n_steps: int, warm: Array) -> Array:
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
    errors = (forecast - data.test[1])[:, :100] / data.scale
    nrmse = np.minimum(np.sqrt(np.nan_to_num(errors**2, nan=np.inf).mean(axis=(1, 2))), 10.0)
    return {"alpha": alpha, "vpt": score(data.test[1], forecast), "nrmse": float(nrmse.mean()), "forecast": forecast}


def vpt_score(scale: Array, threshold: float, dt: float, exponent: float) -> Callable[[Array, Array], Array]:
    """Return the function that gives valid prediction times, in Lyapunov times, of forecasts from several starts."""

    def score(truth: Array, forecast: Array) -> Array:
        pairs = zip(truth, forecast, strict=True)
        return np.array([metrics.valid_prediction_time(t, f, threshold, scale, dt, exponent) for t, f in pairs])

    return score


class RidgePath:
    """Ridge regressions of the same data with several penalties: the large matrix product is done once.

    Parameters
    ----------
    F : array of shape (n_samples, n_inputs)
        Inputs; centred, not scaled: an input that hardly varies in training is not blown up.
    goals : array of shape (n_samples, n_outputs)
    """

    def __init__(self, F: Array, goals: Array):
        self.n, self.centre, self.bias = len(F), F.mean(axis=0), goals.mean(axis=0)
        centred = F - self.centre
        self.gram, self.product = centred.T @ centred, centred.T @ (goals - self.bias)
        self.unit = self.n * float(np.median(centred.var(axis=0)))

    def solve(self, alpha: float) -> Ridge:
        """Return the regression whose penalty is ``alpha`` in units of the inputs' median variance and number."""
        penalty = max(alpha * self.unit, 1e-14 * float(np.trace(self.gram)))  # else rounding decides
        factor = cho_factor(self.gram + penalty * np.eye(len(self.gram)), overwrite_a=True)
        ridge = Ridge(penalty)
        ridge.coef_ = cho_solve(factor, self.product).T
        ridge.intercept_ = self.bias - ridge.coef_ @ self.centre
        ridge.n_features_in_ = len(self.centre)
        return ridge


class Persistence:
    """The last value, for ever."""

    def respond(self, X: Array) -> None:
        """Take nothing from the training series."""

    def train(self, alpha: float) -> None:
        """Learn nothing."""

    def forecast(self, n_steps: int, warm: Array) -> Array:
        """Repeat the last value."""
        return np.repeat(warm[:, -1:], n_steps, axis=1)


class _Linear(ABC):
    """A readout of increments, ridge regression of standardised features, and the loop that feeds it back."""

    n_wash_out = 50

    def respond(self, X: Array) -> None:
        """Standardise the training series, and collect features."""
        self.mean, self.deviation = X.mean(axis=0), X.std(axis=0)
        u = (X - self.mean) / self.deviation
        features = self.features(u[None])[0]
        self.F, self.goal = features[self.n_wash_out : -1], np.diff(u, axis=0)[self.n_wash_out :]
        self.centre, self.spread = self.F.mean(axis=0), np.maximum(self.F.std(axis=0), 1e-9)
        self.U, self.s, self.Vt = np.linalg.svd((self.F - self.centre) / self.spread, full_matrices=False)

    def train(self, alpha: float) -> None:
        """Solve the ridge regression."""
        bias = self.goal.mean(axis=0)
        gain = self.s / (self.s**2 + alpha * len(self.F))
        W = self.Vt.T @ (gain[:, None] * (self.U.T @ (self.goal - bias)))
        self.W = W / self.spread[:, None]
        self.bias = bias - self.centre @ self.W

    def forecast(self, n_steps: int, warm: Array) -> Array:
        """Run freely from every start at once."""
        u = (warm - self.mean) / self.deviation
        state = self.start(u)
        now, out = u[:, -1], []
        for _ in range(n_steps):
            now = np.clip(now + self.read(state, now) @ self.W + self.bias, -10, 10)
            out.append(now)
            state = self.advance(state, now)
        return np.stack(out, axis=1) * self.deviation + self.mean

    def features(self, u: Array) -> Array:
        """Return features of each step, array of shape (n_series, n_steps, n_state)."""
        state, rows = self.start(u[:, :1]), [self.read(self.start(u[:, :1]), u[:, 0])]
        for k in range(1, u.shape[1]):
            state = self.advance(state, u[:, k])
            rows.append(self.read(state, u[:, k]))
        return np.stack(rows, axis=1)

    @abstractmethod
    def start(self, u: Array) -> Array:
        """Return the state after a series."""

    @abstractmethod
    def advance(self, state: Array, now: Array) -> Array:
        """Return the state after one value more."""

    @abstractmethod
    def read(self, state: Array, now: Array) -> Array:
        """Return the features of a state."""


class EchoState(_Linear):
    """Echo-state network of leaky tanh units; the readout sees the units and the present values.

    Parameters
    ----------
    n_units : int
    radius, gain, leak, bias : float
        Spectral radius, scale of the input weights and of the biases (uniform), and leak.
    density : float
        Share of recurrent weights that are not zero.
    seed : int

    References
    ----------
    .. [1] Jaeger (2001), The "echo state" approach to analysing and training recurrent neural networks.
    """

    def __init__(
        self,
        n_units: int,
        radius: float = 0.9,
        gain: float = 0.1,
        leak: float = 1.0,
        bias: float = 0.5,
        density: float = 0.1,
        seed: int = 0,
    ):
        rng = np.random.default_rng(seed)
        W = rng.standard_normal((n_units, n_units)) * (rng.random((n_units, n_units)) < density)
        self.recurrent = W * (radius / np.abs(np.linalg.eigvals(W)).max())
        self.n_units, self.gain, self.leak, self.bias_scale, self.rng = n_units, gain, leak, bias, rng

    def respond(self, X: Array) -> None:
        """Draw the weights of the inputs, then as every linear readout."""
        self.draw(X.shape[1])
        super().respond(X)

    def draw(self, n_features: int) -> None:
        """Draw the weights of the inputs and the biases."""
        self.inputs = self.gain * self.rng.uniform(-1, 1, (n_features, self.n_units))
        self.offset = self.bias_scale * self.rng.uniform(-1, 1, self.n_units)

    def start(self, u: Array) -> Array:
        """Return the state after a series, from zero."""
        state = np.zeros((len(u), self.n_units))
        for k in range(u.shape[1]):
            state = self.advance(state, u[:, k])
        return state

    def advance(self, state: Array, now: Array) -> Array:
        """Return the state after one value more."""
        new = np.tanh(state @ self.recurrent + now @ self.inputs + self.offset)
        return (1 - self.leak) * state + self.leak * new

    def read(self, state: Array, now: Array) -> Array:
        """Return the features: the units and the values."""
        return np.concatenate([state, now], axis=1)


class NextGeneration(_Linear):
    """Next-generation reservoir: the present and the last values, and all products of two of them.

    References
    ----------
    .. [1] Gauthier, Bollt, Griffith & Barbosa (2021), Next generation reservoir computing.
    """

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
