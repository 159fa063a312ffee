"""Search the law of a parameter, on two workers.

The points of this search are probability distributions: of the membrane time constants of a population that has to
tell how long ago a pulse came. Two processes evaluate at the same time; killed, the search would go on from its folder.
"""

import tempfile

import numpy as np
from brian2 import ms

from hrsnn import optimize, plots, search_plots
from hrsnn.laws import Gamma


def objective(tau_m):
    """Return the mean error, in ms, of a linear readout of 60 leaky neurons that remember a pulse."""
    tau = np.asarray(tau_m.sample(60, np.random.default_rng(0)) / ms)
    age = np.arange(1.0, 200.0)
    traces = np.exp(-age[:, None] / tau)
    noisy = traces + np.random.default_rng(1).normal(0, 0.02, traces.shape)
    features = np.column_stack([noisy, np.ones(len(age))])
    learnt = np.linalg.solve(features.T @ features + 0.1 * np.eye(61), features.T @ age)
    return float(np.mean(np.abs(np.column_stack([traces, np.ones(len(age))]) @ learnt - age)))


if __name__ == "__main__":
    space = dict(tau_m=Gamma(mean=(5 * ms, 80 * ms), shape=(2, 20)))
    search = optimize.minimize(objective, space, 24, seed=0, n_workers=2, folder=tempfile.mkdtemp())
    print(search.x, f"error {search.fun:.2f} ms")

    figure, (left, right) = plots.figure(1, 2, width=4.4)
    search_plots.convergence(left, search, "error (ms)")
    search_plots.law_before_and_after(right, *optimize.laws_before_and_after(search)["tau_m"], "membrane time constant")
    figure.savefig("search.png", dpi=150)
