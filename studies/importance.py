"""Which parameter's heterogeneity moves memory capacity, and which the spikes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from brian2 import ms
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import KFold

from hrsnn import Gamma, optimize, plots
from hrsnn.lab import main, study
from hrsnn.laws import Law
from hrsnn.studies import _search

MEANS: dict[str, Any] = {
    "tau_m": 20 * ms,
    "v_thresh": 1.0,
    "A_plus": 0.01,
    "A_minus": 0.0105,
    "tau_plus": 20 * ms,
    "tau_minus": 20 * ms,
}
LOWEST = {"tau_m": 1 * ms, "v_thresh": 0.1, "tau_plus": 1 * ms, "tau_minus": 1 * ms}
TARGETS = ("capacity", "spikes")


@study(quick=dict(n_points=24, n_draws=1, n_trees=30, n_background=16))
def importance(
    run,
    n_points=200,
    variation=(0.05, 0.8),
    n_draws=2,
    n_neurons=100,
    n_learn=200,
    n_trees=100,
    n_background=64,
    n_folds=5,
    membrane=False,
    backend="auto",
    seed=0,
):
    """Attribute memory capacity and spikes to the heterogeneity of each parameter by exact SAGE values.

    Chakraborty & Mukhopadhyay, figure 4: heterogeneity of tau_m matters most for memory capacity, that of the STDP
    parameters for the spike count. Features are the coefficients of variation of six gamma laws, spread over the
    interval by a Latin hypercube; their means stay the same. Each point is measured on n_draws networks, the same
    for all points; membrane tells whether readouts see membrane potentials too. A random forest is fitted to the
    points; SAGE values, all 64 subsets, are taken on points it has not seen, fold by fold, as a share of the
    squared error that is left where nothing is known.

    sage_Y_X is the value of X for target Y: the share of the squared error that knowing X removes, interactions
    divided evenly; r2_Y, their sum, is what all together remove. Where it is near zero or below, they mean nothing.
    """
    low, high = variation
    if not 0 < low < high:
        raise ValueError(f"variation must be 0 < low < high, got {variation!r}.")
    setting = _search.Setting(n_neurons=n_neurons, n_learn=n_learn, membrane=membrane, backend=backend)
    space = optimize.Space({name: (low, high) for name in MEANS})
    X = space.from_unit(space.latin_hypercube(n_points, np.random.default_rng(seed)))
    rows = []

    def measure(point: np.ndarray) -> list[dict[str, float]]:
        laws = {name: _law(name, cv) for name, cv in zip(MEANS, point, strict=True)}
        return [_search.memory(laws, setting, draw) for draw in range(n_draws)]

    jobs = {f"point_{k}": partial(measure, point) for k, point in enumerate(X)}
    for point, measured in zip(X, run.results(jobs, "networks"), strict=True):
        means = {target: float(np.mean([m[target] for m in measured])) for target in TARGETS}
        rows.append({**dict(zip(MEANS, point, strict=True)), **means})
    run.table("points", rows)
    found: dict[str, dict[str, np.ndarray]] = {}
    for target in TARGETS:
        y = np.array([row[target] for row in rows])
        found[target] = run.cached(f"sage_{target}", lambda: _sage(X, y, n_trees, n_background, n_folds, seed))  # noqa: B023
        r2, values = found[target]["r2"], found[target]["values"]
        run.save(
            **{f"r2_{target}": float(r2.mean()), f"mean_{target}": float(y.mean()), f"std_{target}": float(y.std())}
        )
        run.save(**{f"sage_{target}_{name}": float(v) for name, v in zip(MEANS, values.mean(axis=0), strict=True)})
        run.save(
            **{f"correlation_{target}_{name}": float(np.corrcoef(X[:, i], y)[0, 1]) for i, name in enumerate(MEANS)}
        )
    run.table(
        "sage",
        [
            {"feature": name}
            | {f"{t} {part}": float(f(found[t]["values"][:, i])) for t in TARGETS for part, f in _PARTS.items()}
            for i, name in enumerate(MEANS)
        ],
    )
    run.figure("sage", _figure({target: found[target]["values"] for target in TARGETS}))


_PARTS: dict[str, Callable[[np.ndarray], Any]] = {
    "sage": np.mean,
    "standard error": lambda v: np.std(v, ddof=1) / np.sqrt(len(v)),
}


def _law(name: str, variation: float) -> Law:
    return Gamma(mean=MEANS[name], shape=variation**-2, low=LOWEST.get(name))


def _sage(X: np.ndarray, y: np.ndarray, n_trees: int, n_background: int, n_folds: int, seed: int) -> dict[str, Any]:
    """Return SAGE values (n_folds, n_features) and r2 (n_folds,) on the points that each fold leaves out."""
    rng = np.random.default_rng(seed)
    values, r2 = [], []
    for known, left in KFold(n_folds, shuffle=True, random_state=seed).split(X):
        forest = RandomForestRegressor(n_trees, min_samples_leaf=2, random_state=seed).fit(X[known], y[known])
        background = X[rng.choice(known, min(n_background, len(known)), replace=False)]
        nothing_known = np.mean((forest.predict(background).mean() - y[left]) ** 2)
        values.append(optimize.sage(forest.predict, X[left], y[left], background) / nothing_known)
        r2.append(1 - np.mean((forest.predict(X[left]) - y[left]) ** 2) / nothing_known)
    return {"values": np.array(values), "r2": np.array(r2)}


def _figure(values: dict[str, np.ndarray]) -> Any:
    """Draw the values of each feature as bars with their standard errors, one panel a target."""
    figure, grid = plots.figure(1, len(values))
    rows = np.arange(len(MEANS))[::-1]
    for axes, (target, folds) in zip(grid, values.items(), strict=True):
        error = folds.std(axis=0, ddof=1) / np.sqrt(len(folds))
        axes.barh(rows, folds.mean(axis=0), xerr=error, color=plots.COLOURS[0], height=0.6, ecolor=plots.GREY)
        axes.axvline(0, color=plots.GREY, linewidth=0.8)
        axes.set_yticks(rows, list(MEANS))
        axes.set(xlabel="SAGE value (share of the squared error)")
        axes.set_title({"capacity": "memory capacity", "spikes": "spike count"}[target], fontsize=10)
    return figure


if __name__ == "__main__":
    sys.exit(main(["run", __file__, *sys.argv[1:]]))
