"""Whether a search of laws on the Wasserstein metric beats searches that do not know them as laws."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from hrsnn import optimize, plots
from hrsnn.lab import main, study
from hrsnn.studies import _search
from hrsnn.studies._law_functions import FUNCTIONS

METHODS = ("Wasserstein", "Euclidean", "parameters", "random")


@dataclass(frozen=True)
class Problem:
    """What is minimised: a space, a function of its variables, and the lowest value if it is known."""

    space: dict[str, Any]
    function: Callable[..., float]
    lowest: float | None


@study(quick=dict(functions=["divergence"], reservoirs=["capacity"], n_calls=12, n_initial=6, seeds=[0, 1]))
def search_baselines(
    run,
    functions=("transport", "divergence", "forgetting", "tails", "valley", "ripples"),
    reservoirs=("capacity", "lorenz"),
    n_calls=40,
    n_initial=10,
    seeds=(0, 1, 2, 3, 4),
    acquisition="EI",
    n_neurons=100,
    n_draws=2,
    membrane=False,
    backend="auto",
):
    """Compare the Wasserstein search with random search and with ordinary Bayesian optimisation of the parameters.

    Chakraborty & Mukhopadhyay, section III-C, claim that a kernel on laws makes the search scale; they show no
    comparison. Functions of laws in closed form have a known lowest value: what is reported is the distance to it.
    reservoirs: memory capacity (negative) and ten-step Lorenz error of small networks, mean of n_draws networks, the
    same for all points and searches; lower is better. membrane: whether readouts see membrane potentials too.

    All searches have n_calls evaluations; the Bayesian ones start from the same n_initial points for a seed.
    "parameters" is scikit-optimize's Optimizer as it is, on the parameters of the laws, each on its scale;
    acquisition is its own default "gp_hedge", or "EI" as in the Wasserstein search. "Euclidean" is the Wasserstein
    search with nothing changed but the kernel, which sees those parameters: what the metric itself does.

    best_X_Y is the median over seeds of the best value of method Y on problem X; wins_X_Y the number of seeds in
    which the Wasserstein search ends lower than Y.
    """
    problems: dict[str, Problem] = {}
    for name in functions:
        if name not in FUNCTIONS:
            raise ValueError(f"functions must be of {', '.join(FUNCTIONS)}, got {name!r}.")
        problems[name] = Problem(*FUNCTIONS[name])
    setting = _search.Setting(n_neurons=n_neurons, membrane=membrane, backend=backend)
    for name in reservoirs:
        problems[f"reservoir {name}"] = Problem(_search.SPACE, _search.mean_of_draws(name, setting, n_draws), None)
    jobs = [(name, method, seed) for name in problems for seed in seeds for method in METHODS]
    values: dict[tuple[str, str], list[np.ndarray]] = {}
    named = {
        f"{name}_{method}_{seed}".replace(" ", "_"): partial(
            _values, problems[name], method, seed, n_calls, n_initial, acquisition
        )
        for name, method, seed in jobs
    }
    for (name, method, _), found in zip(jobs, run.results(named, "searches"), strict=True):
        values.setdefault((name, method), []).append(found - (problems[name].lowest or 0.0))
    runs = {key: np.array(rows) for key, rows in values.items()}
    rows = [_row(name, {method: runs[name, method] for method in METHODS}) for name in problems]
    run.table("best_values", rows)
    for row in rows:
        problem = row["problem"].replace(" ", "_")
        run.save(**{f"{key.replace(' ', '_')}_{problem}": row[key] for key in row if key.startswith(("best", "wins"))})
    run.save(
        problems_ahead_of_random=sum(row["best Wasserstein"] < row["best random"] for row in rows),
        problems_not_behind_parameters=sum(row["best Wasserstein"] <= row["best parameters"] for row in rows),
        n_problems=len(rows),
    )
    run.figure("convergence", _figure(problems, runs))


def _values(problem: Problem, method: str, seed: int, n_calls: int, n_initial: int, acquisition: str) -> np.ndarray:
    """Return the values of a search in the order of evaluation."""
    if method == "random":
        search = optimize.random_search(problem.function, problem.space, n_calls, seed=seed)
    elif method == "parameters":
        search = optimize.parameter_search(
            problem.function, problem.space, n_calls, seed=seed, n_initial=n_initial, acquisition=acquisition
        )
    else:
        metric = {"Wasserstein": "auto", "Euclidean": "parameters"}[method]
        search = optimize.minimize(
            problem.function, problem.space, n_calls, seed=seed, n_initial=n_initial, metric=metric
        )
    return np.array([e.value for e in search.evaluations])


def _row(name: str, runs: dict[str, np.ndarray]) -> dict[str, Any]:
    best = {method: np.nanmin(values, axis=1) for method, values in runs.items()}
    row: dict[str, Any] = {"problem": name, "n_seeds": len(next(iter(best.values())))}
    row |= {f"best {method}": float(np.median(values)) for method, values in best.items()}
    for method, values in best.items():
        row |= {f"{part} {method}": float(np.quantile(values, q)) for part, q in (("lower", 0.25), ("upper", 0.75))}
    row |= {f"wins {method}": int(np.sum(best["Wasserstein"] < best[method])) for method in METHODS[1:]}
    return row


def _figure(problems: dict[str, Problem], runs: dict[tuple[str, str], np.ndarray]) -> Any:
    n_cols = min(3, len(problems))
    figure, grid = plots.figure(-(-len(problems) // n_cols), n_cols, width=3.6, height=2.8)
    spare = list(np.atleast_1d(grid).flat)
    for axes, (name, problem) in zip(spare, problems.items(), strict=False):
        plots.convergence(axes, {method: runs[name, method] for method in METHODS}, "value")
        axes.set_title(name, fontsize=10)
        if problem.lowest is not None:
            axes.set_yscale("log")
            axes.set_ylabel("distance to the lowest value")
    for axes in spare[len(problems) :]:
        axes.remove()
    return figure


if __name__ == "__main__":
    sys.exit(main(["run", __file__, *sys.argv[1:]]))
