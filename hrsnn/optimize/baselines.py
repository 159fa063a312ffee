"""Searches to compare with: at random, and scikit-optimize's own on the numbers of the laws."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import skopt

from hrsnn.optimize.evaluate import Evaluation
from hrsnn.optimize.search import Search, one_thread
from hrsnn.optimize.space import Integer, Space
from hrsnn.streams import Searching, stream

__all__ = ["parameter_search", "random_search"]


def random_search(
    objective: Callable[..., float], space: Space | Mapping[str, Any], n_calls: int = 60, *, seed: int = 0
) -> Search:
    """Evaluate points drawn evenly over the space: what any search must beat.

    Parameters
    ----------
    objective : callable
        Called with a keyword argument for each variable of the space, returns a number.
    space : Space or dict
        What to search.
    n_calls : int
        Number of points.
    seed : int
        Seed of the points.

    Returns
    -------
    Search
        Holds the evaluations, for the reports.
    """
    search = Search(space, seed=seed)
    rng = stream(seed, Searching.RANDOM)
    for number in range(n_calls):
        vector = search.space.from_unit(rng.random((1, len(search.space.coordinates))))[0]
        _evaluate(search, number, vector, objective)
    return search


def parameter_search(
    objective: Callable[..., float],
    space: Space | Mapping[str, Any],
    n_calls: int = 60,
    *,
    seed: int = 0,
    n_initial: int = 10,
    first: Sequence[Mapping[str, Any]] = (),
    acquisition: str = "gp_hedge",
) -> Search:
    """Search the numbers of the laws by ordinary Bayesian optimisation, scikit-optimize's as it is.

    Its Gaussian process has a Matern kernel (nu = 5/2) on the parameters, each on its scale (linear or log), with
    a length of its own. It starts from the same points as a Search of the same seed.

    Parameters
    ----------
    objective, space, n_calls, seed, n_initial, first
        See minimize.
    acquisition : {"gp_hedge", "EI", "LCB", "PI"}
        What chooses the next point; scikit-optimize's default is "gp_hedge".

    Returns
    -------
    Search
        Holds the evaluations, for the reports.

    References
    ----------
    .. [1] Head et al., scikit-optimize, doi:10.5281/zenodo.1157319.
    """
    search = Search(space, seed=seed, n_initial=n_initial, first=first)
    dimensions = []
    for c in search.space.coordinates:
        variable = search.space.variables[c.variable]
        prior = "log-uniform" if c.scale == "log" else "uniform"
        if isinstance(variable, list):
            dimensions.append(skopt.space.Categorical(range(len(variable))))
        elif isinstance(variable, Integer):
            dimensions.append(skopt.space.Integer(int(c.low), int(c.high), prior=prior))
        else:
            dimensions.append(skopt.space.Real(c.low, c.high, prior=prior))
    optimizer = skopt.Optimizer(dimensions, n_initial_points=n_initial, acq_func=acquisition, random_state=seed)
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lengths at their bounds, and of points evaluated before
        for number in range(n_calls):
            vector = search.ask_vector()[1] if number < n_initial else np.array(optimizer.ask(), dtype=float)
            evaluation = _evaluate(search, number, vector, objective)
            value = max((e.value for e in search.successes), default=0.0) if evaluation.failed else evaluation.value
            optimizer.tell([d(x) for d, x in zip(_kinds(search.space), vector.tolist(), strict=True)], value)
    return search


def _kinds(space: Space) -> list[type]:
    variables = (space.variables[c.variable] for c in space.coordinates)
    return [int if isinstance(variable, (list, Integer)) else float for variable in variables]


def _evaluate(search: Search, number: int, vector: np.ndarray, objective: Callable[..., float]) -> Evaluation:
    value = float(objective(**search.space.decode(vector)))
    evaluation = Evaluation(number, tuple(vector.tolist()), value, message="" if np.isfinite(value) else "no value")
    search.record(evaluation)
    return evaluation
