"""Bayesian optimisation over a space of laws: ask for a point, tell its value."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from skopt.acquisition import gaussian_ei
from skopt.learning import GaussianProcessRegressor
from skopt.learning.gaussian_process.kernels import ConstantKernel, WhiteKernel
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from hrsnn.checks import check_integer, check_seed
from hrsnn.optimize.distance import METRICS, PRODUCT_METRICS, group_names, squared_distances
from hrsnn.optimize.evaluate import Evaluation
from hrsnn.optimize.fit import posterior_optimizer
from hrsnn.optimize.kernel import WassersteinMatern
from hrsnn.optimize.space import Space
from hrsnn.optimize.warp import Warp
from hrsnn.streams import Searching, stream

__all__ = ["Search"]

N_CANDIDATES = {"sliced": 500, "sinkhorn": 30}  # 2000 otherwise
LOCAL_STEPS = (0.2, 0.1, 0.05, 0.02, 0.01, 0.003)  # of the unit cube, around the best; not for sinkhorn


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()  # finding the libraries takes longer than a fit


def one_thread() -> AbstractContextManager:
    """Keep linear algebra in one thread: its matrices are small."""
    return _threads().limit(limits=1)


class Search:
    """Minimise a function of laws by a Gaussian process with a Wasserstein kernel.

    The first points are ``first`` and a Latin hypercube. Then each point maximises the expected improvement of
    the process. A point depends only on the seed, its number, and what has been told, so a search that is told
    the same values in the same order asks for the same points, however often it is interrupted.

    Parameters
    ----------
    space : Space or dict
        What to search.
    seed : int
        Seed of the points.
    n_initial : int
        Number of points before the process is used.
    first : sequence of dict
        Points to try first, for instance the published values; they count as initial points.
    metric : {"auto", "quantile", "log_quantile", "sliced", "sinkhorn", "parameters"}
        Distance of the kernel. "auto" takes at each point "quantile" or "log_quantile", whichever gives the values
        told so far the greater posterior. "parameters" does not see laws and is there for comparison.
    nu : {0.5, 1.5, 2.5}
        Smoothness of the kernel.
    batch : {"believer", "liar"}
        What points that are being evaluated are taken to give meanwhile: the mean of the process ("kriging
        believer") or the best value so far ("constant liar").
    xi : float
        Margin of the expected improvement, in standard deviations of the warped values.

    Attributes
    ----------
    evaluations : list of Evaluation
        What has been told, by number.

    Raises
    ------
    ValueError
        If an argument is out of range, or a first point is not in the space.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting heterogeneity in timescales for sparse recurrent spiking
       neural networks, section III-C.
    .. [2] Ginsbourger, Le Riche & Carraro (2010), Kriging is well-suited to parallelize optimization.
    """

    def __init__(
        self,
        space: Space | Mapping[str, Any],
        *,
        seed: int = 0,
        n_initial: int = 10,
        first: Sequence[Mapping[str, Any]] = (),
        metric: str = "auto",
        nu: float = 2.5,
        batch: str = "believer",
        xi: float = 0.01,
    ):
        self.space = space if isinstance(space, Space) else Space(space)
        for name, value, right in (
            ("metric", metric, ("auto", *METRICS)),
            ("nu", nu, (0.5, 1.5, 2.5)),
            ("batch", batch, ("believer", "liar")),
        ):
            if value not in right:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, right))}, got {value!r}.")
        check_integer("n_initial", n_initial, 2)
        check_seed(seed)
        if not 0 <= xi < math.inf:
            raise ValueError(f"xi must not be negative, got {xi!r}.")
        self.seed, self.n_initial, self.metric, self.nu, self.batch, self.xi = seed, n_initial, metric, nu, batch, xi
        self.first = [dict(point) for point in first]
        rng = stream(seed, Searching.DESIGN)
        initial = self.space.from_unit(self.space.latin_hypercube(max(n_initial - len(first), 1), rng))
        self._initial = [*(self.space.encode(point) for point in first), *initial][: max(n_initial, len(first))]
        self._candidates = rng.random((N_CANDIDATES.get(metric, 2000), len(self.space.coordinates)))
        self._told: dict[int, Evaluation] = {}
        self._pending: dict[int, np.ndarray] = {}
        self._model: GaussianProcessRegressor | None = None  # fitted to what has been told so far

    @property
    def evaluations(self) -> list[Evaluation]:
        """What has been told, by number."""
        return [self._told[number] for number in sorted(self._told)]

    @property
    def successes(self) -> list[Evaluation]:
        """The evaluations that have a value."""
        return [evaluation for evaluation in self.evaluations if not evaluation.failed]

    @property
    def best(self) -> Evaluation:
        """The evaluation with the smallest value."""
        if not self.successes:
            raise ValueError("The search has no value yet: tell it one, or look at the messages of its evaluations.")
        return min(self.successes, key=lambda evaluation: evaluation.value)

    @property
    def x(self) -> dict[str, Any]:
        """The point with the smallest value."""
        return self.space.decode(self.best.vector)

    @property
    def fun(self) -> float:
        """The smallest value."""
        return self.best.value

    def ask(self) -> dict[str, Any]:
        """Return the next point to evaluate, a value for each variable of the space.

        Points that were asked for and not yet told count as running: they are not asked for again.
        """
        return self.space.decode(self.ask_vector()[1])

    def ask_vector(self) -> tuple[int, np.ndarray]:
        """Return the number and the vector of the next point."""
        number = self._free_number()
        if number < len(self._initial):
            vector = self._initial[number]
        else:
            vector = self._next(stream(self.seed, Searching.PROPOSAL, number))
        self._pending[number] = vector
        return number, vector

    def tell(self, point: Mapping[str, Any], value: float, variance: float = 0.0, message: str = "") -> Evaluation:
        """Record the value of a point.

        Parameters
        ----------
        point : dict
            A point that was asked for, or any other of the space.
        value : float
            Value to minimise. NaN or infinity records a failure.
        variance : float
            Variance of the value, if it is a noisy estimate.
        message : str
            Why the evaluation failed.

        Returns
        -------
        Evaluation
            What was recorded.
        """
        vector = self.space.encode(point)
        asked = (number for number, other in self._pending.items() if np.array_equal(other, vector))
        number = next(asked, None)
        if not variance >= 0:
            raise ValueError(f"variance must be at least 0, got {variance!r}.")
        if not math.isfinite(value):
            message = message or f"the objective returned {value}"
        number = self._free_number() if number is None else number
        evaluation = Evaluation(number, tuple(vector.tolist()), float(value), float(variance), message)
        self.record(evaluation)
        return evaluation

    def record(self, evaluation: Evaluation) -> None:
        """Take in an evaluation with its number, as it was stored."""
        self._pending.pop(evaluation.number, None)
        self._told[evaluation.number] = evaluation
        self._model = None

    @property
    def n_design(self) -> int:
        """Number of the points that are given or evenly spread, before the process is used."""
        return len(self._initial)

    @property
    def n_pending(self) -> int:
        """Number of points asked for and not yet told."""
        return len(self._pending)

    def _free_number(self) -> int:
        taken = self._told.keys() | self._pending.keys()
        return next(number for number in range(len(taken) + 1) if number not in taken)

    def model(self) -> GaussianProcessRegressor:
        """Return the process fitted to what has been told; it predicts values warped by ``warp``.

        A failed evaluation counts as the worst value seen, so that the search leaves where objectives fail.

        Returns
        -------
        skopt.learning.GaussianProcessRegressor
            Takes rows of the unit cube; ``warp.inverse`` brings its predictions to units of the objective.
        """
        if self._model is not None:
            return self._model
        told = self.evaluations
        values = np.array([e.value for e in told])
        values[~np.isfinite(values)] = self._worst
        rows = self.space.to_unit([e.vector for e in told])
        warp = self.warp
        metrics = PRODUCT_METRICS if self.metric == "auto" else (self.metric,)
        processes = []
        for metric in metrics:
            names = group_names(self.space, metric)
            lengths = 1.0 if names == ["joint"] else np.ones(len(names))
            matern = WassersteinMatern(self.space, lengths, nu=self.nu, metric=metric)
            alpha = np.array([e.variance for e in told]) * warp.slope(values) ** 2 + 1e-10
            optimizer = posterior_optimizer(
                squared_distances(self.space, metric, rows, rows), warp(values), alpha, self.nu
            )
            process = GaussianProcessRegressor(
                ConstantKernel(1.0, (0.05, 1000.0)) * matern + WhiteKernel(1e-3, (1e-6, 1.0)),
                alpha=alpha,
                optimizer="fmin_l_bfgs_b" if metric == "sinkhorn" else optimizer,
                noise="gaussian",
            )
            with one_thread(), warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound is no news
                processes.append(process.fit(rows, warp(values)))
        self._model = max(processes, key=lambda process: process.log_marginal_likelihood_value_)
        return self._model

    @property
    def warp(self) -> Warp:
        """The map from values to what the process sees."""
        return Warp.fit(np.array([e.value for e in self.successes]))

    @property
    def _worst(self) -> float:
        return max(e.value for e in self.successes)

    def _next(self, rng: np.random.Generator) -> np.ndarray:
        """Return the vector of the largest expected improvement."""
        dimensions = len(self.space.coordinates)
        if len(self.successes) < 2:
            return self.space.from_unit(rng.random((1, dimensions)))[0]
        with one_thread(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Predicted variances smaller than 0")
            process = self.model()
            best = process.predict(process.X_train_).min()
            if self._pending:
                process = self._imagine(process)

            def improvement(rows: np.ndarray) -> np.ndarray:
                rows = self.space.to_unit(self.space.from_unit(rows))  # integers and choices as they will be
                return gaussian_ei(rows, process, y_opt=best, xi=self.xi)

            rows = self._candidates
            gain = improvement(rows)
            for step in LOCAL_STEPS if self.metric != "sinkhorn" else ():
                top = rows[np.argsort(-gain, kind="stable")[:5]]
                near = np.clip(np.repeat(top, 10, axis=0) + step * rng.standard_normal((50, dimensions)), 0, 1)
                rows, gain = np.concatenate([rows, near]), np.concatenate([gain, improvement(near)])
        return self.space.from_unit(rows[[np.argmax(gain)]])[0]

    def _imagine(self, process: GaussianProcessRegressor) -> GaussianProcessRegressor:
        """Return the process as if the points under way had given their believed or lied values."""
        pending = self.space.to_unit(list(self._pending.values()))
        believed = process.predict(pending) if self.batch == "believer" else process.y_train_.min()
        values = np.concatenate([process.y_train_, np.broadcast_to(believed, len(pending))])
        alpha = np.concatenate([process.alpha + process.noise_, np.full(len(pending), process.noise_)])
        imagined = GaussianProcessRegressor(process.kernel_.k1, alpha=alpha, optimizer=None)  # k2 is the noise
        return imagined.fit(np.concatenate([process.X_train_, pending]), values)
