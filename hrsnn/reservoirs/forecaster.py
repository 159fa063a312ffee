"""Forecaster: a reservoir and a readout; in a forecast the readout is a part of the network and feeds it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from hrsnn.checks import check_integer, check_kind, check_seed
from hrsnn.pruning import betweenness
from hrsnn.reservoirs.liquid import Affine, Readout, Response
from hrsnn.reservoirs.reservoir import FarFromRange, Reservoir, samples_of

__all__ = ["Forecaster"]


class Forecaster(RegressorMixin, BaseEstimator):
    """Forecast a series: a readout of a reservoir learns the next value, then its output becomes the input.

    The readout is trained teacher-forced: from the state at the end of a step, driven by the true series, to the
    value of the next step. ``forecast`` closes the loop inside the simulation: the weights of the readout are weights
    of synapses in the network, on every back end.

    Parameters
    ----------
    reservoir : Reservoir
        Cloned and fitted by ``fit``.
    readout : scikit-learn regressor, optional
        Affine (Ridge, RidgeCV, Lasso), or an MLPRegressor with one hidden layer of tanh units; either alone or in a
        pipeline after scalers. A StandardScaler and Ridge(alpha) with alpha ``1e-3`` times the number of training
        steps if None. Others predict, but cannot close the loop.
    share : float
        Share of the neurons that the readout sees: those through which most shortest paths of the graph run.
    increments : bool
        Whether the readout learns the change from one step to the next rather than the next value.
    passthrough : bool
        Whether the present values of the series are features of the readout, beside the state.
    noise : float
        Standard deviation of Gaussian noise on the series that drives the reservoir in training, in standard
        deviations of each feature; the targets stay clean, so the readout learns to return to the series.
    n_wash_out : int
        First steps left out of the training of the readout, while the reservoir forgets its start.
    seed : int
        Seed of the noise.

    Attributes
    ----------
    reservoir_ : Reservoir
        The fitted reservoir.
    readout_ : scikit-learn regressor
        The fitted readout: from features and values in [0, 1] units to goals in units of ``scale_``.
    scale_ : array of shape (n_features_in_,)
        Standard deviation of the goals.
    neurons_ : array of int
        Neurons that the readout sees.
    starts_ : array of int
        First step of each of the fitted series among the steps of all.
    n_features_in_ : int

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, sections III and VI.
    .. [2] Jaeger & Haas (2004), Harnessing nonlinearity (training with noise, closed loop).
    """

    def __init__(
        self,
        reservoir: Reservoir,
        readout: Any = None,
        share: float = 1.0,
        increments: bool = False,
        passthrough: bool = True,
        noise: float = 0.0,
        n_wash_out: int = 50,
        seed: int = 0,
    ):
        self.reservoir = reservoir
        self.readout = readout
        self.share = share
        self.increments = increments
        self.passthrough = passthrough
        self.noise = noise
        self.n_wash_out = n_wash_out
        self.seed = seed

    def __sklearn_tags__(self) -> Tags:
        """Say that a goal is the next value of the series, so it has as many columns and may be left out.

        A chaotic or a noisy series can be forecast, a goal that is no series cannot.
        """
        tags = super().__sklearn_tags__()
        tags.target_tags.required, tags.target_tags.multi_output = False, True
        if tags.regressor_tags is not None:
            tags.regressor_tags.poor_score = True
        return tags

    def fit(self, X: Any, Y: Any = None) -> Forecaster:
        """Fit the reservoir to a series, then the readout.

        Parameters
        ----------
        X : array of shape (n_steps, n_features), or list of arrays
            The series, or several of any lengths; each starts from rest and has a wash-out of its own.
        Y : array of shape (n_steps, n_features), or list of arrays, optional
            The value after each; ``X[1:]`` if None. Of a series of one feature it may have shape (n_steps,), and
            ``predict`` returns that shape too.

        Raises
        ------
        ValueError
            If X is too short, has NaN or a constant feature, or Y does not fit.
        """
        series = self._series(X, reset=True)
        goals = self._goals(series, Y, several=_are_several(X))
        check_integer("n_wash_out", self.n_wash_out, 0)
        check_seed(self.seed)
        check_kind("reservoir", self.reservoir, Reservoir)
        n_kept = sum(max(0, len(goal) - self.n_wash_out) for goal in goals)
        if n_kept < 10:
            n_steps = " + ".join(str(len(own)) for own in series[:5]) + (" + ..." if len(series) > 5 else "")
            raise ValueError(
                f"X has {n_steps} steps (n_samples = {sum(map(len, series))}), too few: {self.n_wash_out} of each "
                "series are the wash-out (n_wash_out), and 10 must be left."
            )
        if not self.noise >= 0:
            raise ValueError(f"noise must not be negative, got {self.noise!r}.")
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be in (0, 1], got {self.share!r}.")
        self.reservoir_ = clone(self.reservoir).fit(series)
        self.neurons_ = self._central()
        rng = np.random.default_rng(self.seed)
        noisy = series
        if self.noise:
            deviation = self.noise * np.concatenate(series).std(axis=0)
            noisy = [own + deviation * rng.standard_normal(own.shape) for own in series]
        self.starts_ = np.cumsum([0, *(len(own) for own in series[:-1])])
        response = self._drive(noisy)
        self._train(response, goals)
        if self.noise:  # a forecast goes on from the end of the true series
            response = self._drive(series)
        self.state_ = response.state
        self.response_ = response
        return self

    def refit(self, readout: Any, X: Any) -> Forecaster:
        """Fit another readout to the response of the fitted reservoir, without a new simulation.

        Parameters
        ----------
        readout : scikit-learn regressor
        X : array of shape (n_steps, n_features), or list of arrays
            The series that ``fit`` was given.
        """
        check_is_fitted(self, "state_")
        self.readout = readout
        self._train(self.response_, [own[1:] for own in self._series(X)])
        return self

    def predict(self, X: Any) -> Any:
        """Return the forecast one step ahead of each value of a series, from rest, driven by the true series.

        Parameters
        ----------
        X : array of shape (n_steps, n_features), or list of arrays
            A series, or several of any lengths.

        Returns
        -------
        array of shape (n_steps, n_features), or (n_steps,) as ``Y`` had; a list of them for several series
        """
        check_is_fitted(self, "state_")
        series = self._series(X)
        response = self._drive(series)
        ahead = self.reservoir_.unscaled(self._next(response.features, response.u))
        ahead = ahead[:, 0] if self._flat else ahead
        return np.split(ahead, np.cumsum([len(own) for own in series])[:-1]) if _are_several(X) else ahead

    def forecast(self, n_steps: int, X: Any = None) -> NDArray[np.float64]:
        """Run on freely: each forecast is the input of the next step.

        Parameters
        ----------
        n_steps : int
        X : array of shape (n_warm, n_features) or (n_starts, n_warm, n_features), or list of arrays, optional
            Series after which to run on, each from rest; after the end of the (last) training series if None.

        Returns
        -------
        array of shape (n_steps, n_features) or (n_starts, n_steps, n_features)

        Raises
        ------
        ValueError
            If n_steps is not positive or X does not fit.
        """
        check_is_fitted(self, "state_")
        if not isinstance(n_steps, (int, np.integer)) or n_steps < 1:
            raise ValueError(f"n_steps must be an integer of at least 1, got {n_steps!r}.")
        liquid, readout = self.reservoir_.liquid_, self.feedback_
        n_features = self.n_features_in_
        if X is None:
            table = np.zeros((n_steps, n_features))
            response = liquid.run(table, self.state_, forced=False, readout=readout, keep=False)
            return self._free(response.u)
        warm = self.reservoir_._checked(X)
        self.reservoir_._warn_of_far(warm)
        starts = samples_of(warm)
        empty = np.zeros((n_steps, n_features))
        table = np.concatenate([part for start in starts for part in (self.reservoir_.scaled(start), empty)])
        lengths = np.array([len(start) + n_steps for start in starts])
        step = np.concatenate([np.arange(length) for length in lengths])
        forced = step < np.repeat(lengths - n_steps, lengths)
        response = liquid.run(
            table, self.reservoir_.rest(), forced=forced, fresh=step == 0, readout=readout, keep=False
        )
        free = self._free(response.u[~forced]).reshape(len(starts), n_steps, n_features)
        return free[0] if isinstance(warm, np.ndarray) and warm.ndim == 2 else free

    def _series(self, X: Any, reset: bool = False) -> list[NDArray[np.float64]]:
        """Return the series in X, one or several, each of shape (n_steps, n_features)."""
        if not _are_several(X):
            shape = np.shape(np.asarray(X))
            if len(shape) == 1:
                raise ValueError(
                    f"X must have shape (n_steps, n_features), got {shape}. Reshape your data: X[:, None]."
                )
            return [validate_data(self, X, reset=reset, dtype=float)]
        found = [np.asarray(own, dtype=float) for own in X]
        if reset:
            self.n_features_in_ = found[0].shape[1]
        return found

    def _goals(self, series: list[NDArray], Y: Any, several: bool) -> list[NDArray]:
        """Return the value after each step of each series: Y, or the rest of the series."""
        self._flat = False
        if Y is None:
            return [own[1:] for own in series]
        if several:
            found = [np.asarray(goal, dtype=float) for goal in Y]
        else:
            only = check_array(Y, dtype=float, ensure_2d=False, input_name="Y")
            self._flat = only.ndim == 1
            found = [only[:, None] if self._flat and series[0].shape[1] == 1 else only]
        if len(found) != len(series):
            raise ValueError(f"Y must have one series for each of the {len(series)} of X, got {len(found)}.")
        for own, goal in zip(series, found, strict=True):
            if goal.shape not in (own.shape, own[1:].shape):
                raise ValueError(f"Y must have the shape of X, {own.shape}, or one row less, got {goal.shape}.")
        return found

    def _free(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a forecast in units of the series; warn if it was held at the ends of the range."""
        share = ((u <= 0) | (u >= 1)).mean(axis=0)
        if share.any():
            told = "; ".join(f"column {k} in {share[k]:.3g} of the steps" for k in np.flatnonzero(share)[:5])
            warnings.warn(
                f"The forecast leaves the range of the fitted series and is held at its ends: {told}. Raise the margin "
                "of the reservoir, or the ridge penalty or noise of the forecaster.",
                FarFromRange,
                stacklevel=3,
            )
        return self.reservoir_.unscaled(u)

    def _drive(self, series: list[NDArray[np.float64]]) -> Response:
        return self.reservoir_.respond(series)

    def _central(self) -> NDArray[np.intp]:
        """Return the neurons of highest betweenness, in the order of the graph."""
        n = self.reservoir.graph.number_of_nodes()
        if self.share == 1:
            return np.arange(n)
        values = np.array(list(betweenness(self.reservoir.graph, seed=self.seed).values()))
        return np.sort(np.argsort(-values, kind="stable")[: max(1, round(self.share * n))])

    def training_set(self, X: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what the readout learns from: its inputs, and its goals in units of ``scale_``.

        Parameters
        ----------
        X : array of shape (n_steps, n_features), or list of arrays
            The series that ``fit`` was given.

        Returns
        -------
        inputs : array of shape (n_kept, n_inputs)
        goals : array of shape (n_kept, n_features)
        """
        check_is_fitted(self, "response_")
        return self._examples(self.response_, [own[1:] for own in self._series(X)])

    def _examples(self, response: Response, goals: list[NDArray]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return inputs and goals of the readout, the wash-out of each series left out."""
        first = self.starts_
        kept = np.concatenate([k + np.arange(self.n_wash_out, len(y)) for k, y in zip(first, goals, strict=True)])
        goal = self.reservoir_.scaled(np.concatenate([y[self.n_wash_out :] for y in goals]))
        goal = goal - (response.u[kept] if self.increments else 0)
        self.scale_ = np.maximum(goal.std(axis=0), 1e-12)
        return self._inputs(response.features, response.u)[kept], goal / self.scale_

    def _train(self, response: Response, goals: list[NDArray]) -> None:
        inputs, goal = self._examples(response, goals)
        readout = self.readout
        if readout is None:
            readout = make_pipeline(StandardScaler(), Ridge(1e-3 * len(goal)))
        self.readout_ = clone(readout).fit(inputs, goal)

    def _inputs(self, features: NDArray, u: NDArray) -> NDArray[np.float64]:
        n_neurons = self.reservoir.graph.number_of_nodes()
        if len(self.neurons_) < n_neurons:
            features = features.reshape(len(u), -1, n_neurons)[:, :, self.neurons_].reshape(len(u), -1)
        return np.concatenate([features, u], axis=1) if self.passthrough else features

    def _next(self, features: NDArray, u: NDArray) -> NDArray[np.float64]:
        step = self.readout_.predict(self._inputs(features, u)).reshape(u.shape) * self.scale_
        return step + u if self.increments else step

    @property
    def feedback_(self) -> Readout:
        """The readout as the weights that the network takes."""
        check_is_fitted(self, "readout_")
        d = self.n_features_in_
        scalers, last = self.readout_[:-1] if isinstance(self.readout_, Pipeline) else None, self.readout_
        last = last[-1] if isinstance(last, Pipeline) else last
        identity = np.eye(d) * self.increments
        if isinstance(last, MLPRegressor) and last.activation == "tanh" and len(last.coefs_) == 2:
            hidden = self._affine(
                lambda F: (scalers.transform(F) if scalers else F) @ last.coefs_[0] + last.intercepts_[0]
            )
            zero = np.zeros((len(hidden.state), d))
            return Readout(zero, identity, last.intercepts_[1] * self.scale_, hidden, last.coefs_[1] * self.scale_)
        found = self._affine(lambda F: np.reshape(self.readout_.predict(F), (len(F), d)) * self.scale_)
        return Readout(found.state, found.values + identity, found.bias)

    def _affine(self, function: Callable[[NDArray], NDArray]) -> Affine:
        """Return the weights of an affine function of the readout's inputs, from its values for unit vectors."""
        d, n = self.n_features_in_, self.readout_.n_features_in_
        bias = function(np.zeros((1, n)))[0]
        W = function(np.eye(n)) - bias
        probe = np.random.default_rng(0).standard_normal((1, n))
        if not np.allclose(function(probe)[0], probe[0] @ W + bias, rtol=1e-6, atol=1e-6 * np.abs(W).max()):
            raise TypeError(
                f"{type(self.readout_).__name__} is not affine, so the loop cannot be closed with it. Use predict, or "
                "Ridge, RidgeCV or MLPRegressor(activation='tanh') with one hidden layer, alone or after scalers."
            )
        n_state = n - d if self.passthrough else n
        values = W[n_state:] if self.passthrough else np.zeros((d, len(bias)))
        n_neurons = self.reservoir.graph.number_of_nodes()
        state = np.zeros((n_state // len(self.neurons_), n_neurons, len(bias)))
        state[:, self.neurons_] = W[:n_state].reshape(-1, len(self.neurons_), len(bias))
        return Affine(state.reshape(-1, len(bias)), values, bias)


def _are_several(X: Any) -> bool:
    """Tell whether X holds several series: a list of matrices, or an array of three axes."""
    if isinstance(X, (list, tuple)):
        return len(X) > 0 and np.ndim(X[0]) == 2
    return np.asarray(X).ndim == 3
