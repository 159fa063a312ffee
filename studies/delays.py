"""What delays of synapses give to reservoirs: memory, products of past values, forecasts of one column alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
from brian2 import Quantity, ms

from hrsnn import CurrentCode, Normal, Reservoir, Uniform, datasets, metrics, topology
from hrsnn.baselines import EchoState, RidgePath, echo_states
from hrsnn.lab import study
from hrsnn.metrics import paired
from hrsnn.studies import _forecast, _liquid
from hrsnn.studies.lorenz import Spiking

NETWORKS = ("delays", "no delays", "uncoupled", "echo state")
#: Gain of the inputs and scale of the biases of the echo-state networks, of which each task takes the better.
ECHO_STATES = ((0.1, 0.0), (0.5, 0.5))
#: What the readout of a forecast sees of each neuron.
READ: dict[str, Any] = dict(features=("spikes", "membrane", "current"), filters=(20 * ms,), smooth=True, squares=True)
#: Series of one column: how they are made, the time of a step, and the largest Lyapunov exponent.
SERIES: dict[str, tuple[Callable[[int], np.ndarray], float, float]] = {
    "lorenz": (lambda n: datasets.lorenz63(n, 0.02)[0][:, :1], 0.02, 0.906),
    "mackey_glass": (lambda n: datasets.mackey_glass(n, tau=17.0)[0], 1.0, 0.0058),
}
PAIRS = {
    "delays": ("delays", "uncoupled"),
    "delays alone": ("delays", "no delays"),
    "synapses without delays": ("no delays", "uncoupled"),
    "echo state": ("delays", "echo state"),
}


@study(
    quick=dict(sizes=[200], seeds=[0], n_steps=1600, n_narma=1200, tau_max=60, quadratic_max=6, alphas=[1e-4, 1e-2]),
    least=dict(n_wash_out=0),
)
def memory_capacity(
    run,
    sizes=(500, 1000),
    seeds=(0, 1, 2, 3, 4),
    n_steps=5000,
    n_narma=4000,
    n_wash_out=200,
    tau_max=100,
    quadratic_max=12,
    span: Quantity = 1000 * ms,
    narma_span: Quantity = 300 * ms,
    gain=1.0,
    strength=0.3,
    alphas=(1e-6, 1e-4, 1e-2),
    narma_alphas=(1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1.0),
    backend="auto",
):
    """Measure how many past values reservoirs hold with delays, without delays, and without synapses.

    ``Reservoir.memory`` of each size with synapses of delays uniform up to span, the same with all delays at zero, the
    same with all weights at zero, and an echo-state network of as many units. capacity sums the squared correlations
    of a ridge readout with the input 1 to tau_max steps before, quadratic those with the squares and products of the
    inputs 1 to quadratic_max steps before (Dambre et al. 2012), on the last third of the steps, chance removed.
    narma10 is the error of the NARMA-10 task (nrmse, last fourth), with delays up to narma_span and inputs of the gain.
    The ridge penalty is the best of alphas (for narma10 of narma_alphas), and an echo-state network the better of two,
    on the steps before those that are judged. The tests are t-tests of pairs of one seed.
    """
    rows: list[dict[str, Any]] = []

    def spiking(network: str, n: int, seed: int, X: np.ndarray, limits: Any, **settings: Any) -> tuple[Any, float]:
        graph = wired(network, n, strength, seed)
        preset = dict(graph=graph, limits=limits, margin=0.0, block=1000, backend=backend, seed=seed)
        reservoir = Reservoir.memory(**{**preset, **settings}).fit(X)
        states = reservoir.transform(X)
        return states, float(reservoir.spike_counts_.mean() / (len(X) * float(reservoir.code.step)))

    def measure(network: str, n: int, seed: int) -> dict[str, Any]:
        X = np.random.default_rng([seed, 9]).random((n_wash_out + n_steps, 1))
        u, y = datasets.narma10(n_wash_out + n_narma, seed=seed)
        rate = np.nan
        if network == "echo state":
            memories, others = ([echo(V, n, seed, *own) for own in ECHO_STATES] for V in (2 * X - 1, 4 * u - 1))
        else:
            states, rate = spiking(network, n, seed, X, (0.0, 1.0), delay=law(network, span))
            memories = [states]
            code = CurrentCode(Normal(0.0, gain), Normal(1.2, 0.3), 20 * ms)
            others = [spiking(network, n, seed, u, (0.0, 0.5), delay=law(network, narma_span), code=code)[0]]
        value = X[n_wash_out:, 0]
        kept = [states[n_wash_out:] for states in memories]
        linear = best(metrics.memory_capacity, kept, value, tau_max, alphas)
        quadratic = best(metrics.quadratic_capacity, kept, value, quadratic_max, alphas)
        error = narma_error([states[n_wash_out:] for states in others], y[n_wash_out:, 0], narma_alphas)
        row = {"network": network, "n_neurons": n, "seed": seed, "capacity": linear[0], "quadratic": quadratic[0]}
        return {**row, "narma10": error, "rate_hz": rate, "profile": linear[1]}

    jobs = [(network, n, seed) for n in sizes for seed in seeds for network in NETWORKS]
    for job in run.progress(jobs, label="reservoirs"):
        rows.append(run.cached("_".join(map(str, job)).replace(" ", "_"), lambda: measure(*job)))  # noqa: B023
        run.table("reservoirs", [{k: v for k, v in row.items() if k != "profile"} for row in rows])
    values = ("capacity", "quadratic", "narma10", "rate_hz")
    means = paired.means(rows, ("network", "n_neurons"), values)
    run.table("means", means)
    tests = paired.compare(rows, values[:3], PAIRS, "n_neurons", of="network", test=paired.t_test)
    run.table("tests", tests)
    for entry in means:
        if entry["n_neurons"] == max(sizes):
            name = entry["network"].replace(" ", "_")
            run.save(**{f"{value}_{name}": entry[value] for value in values[:3]})
    profile = [
        {"network": row["network"], "delay": k + 1, "share": c}
        for row in rows
        if row["n_neurons"] == max(sizes)
        for k, c in enumerate(row["profile"])
    ]
    panel = {"share": "squared correlation"}
    run.figure("profile", _liquid.drawn(profile, "delay", panel, "delay (steps)", line="network"))


@study(
    quick=dict(n_neurons=100, seeds=[0, 1], n_train=600, n_tuning=2, n_test=3, n_free=100, alphas=[1e-6, 1e-4]),
)
def delayed_forecasts(
    run,
    series=("lorenz", "mackey_glass"),
    n_neurons=500,
    seeds=(0, 1, 2, 3, 4),
    n_train=3000,
    n_tuning=4,
    n_test=16,
    n_warm=100,
    n_free=300,
    threshold=0.4,
    span: Quantity = 400 * ms,
    strength=0.1,
    alphas=(1e-6, 1e-4, 1e-2),
    backend="auto",
):
    """Forecast series of which one column is seen, the loop closed: delayed synapses carry what is not seen, or not.

    x of Lorenz-63 (steps of 0.02) and Mackey-Glass with a delay of 17 (steps of 1). One value does not tell where such
    a system is, the values before it do. Reservoirs as in `memory_capacity`, with weaker synapses, for their noise
    reaches the forecast, and with filtered spikes and the squares of all features; uncoupled, they have the same
    neurons and no synapses. An echo-state network has as many units, and a gain that suits both series. The readout
    sees the present value too. Its ridge penalty is the best of alphas by the mean valid prediction time of n_tuning
    starts. vpt is the mean valid prediction time over n_test other starts in Lyapunov times, nrmse the mean error of
    their first 100 steps. The tests are t-tests of pairs of one seed, each with a graph and a piece of the series of
    its own.
    """
    rows: list[dict[str, Any]] = []

    def measure(name: str, network: str, seed: int) -> dict[str, Any]:
        make, dt, exponent = SERIES[name]
        n_steps = n_train + (n_tuning + n_test) * (n_warm + n_free)
        X = make(n_steps + 500 * seed)[500 * seed :]
        data = _forecast.split(X, n_train, n_warm, n_free, n_tuning, n_test)
        score = _forecast.vpt_score(data.scale, threshold, dt, exponent)
        model: Any
        if network == "echo state":
            model = EchoState(n_neurons, gain=0.5, seed=seed)
        else:
            graph = wired(network, n_neurons, strength, seed)
            delays = law(network, span)
            preset = dict(graph=graph, delay=delays, margin=0.05, backend=backend, seed=seed, **READ)
            model = Spiking(Reservoir.memory(**preset))
        result = _forecast.judge(model, data, alphas, score)
        row = {"series": name, "network": network, "seed": seed, "alpha": result["alpha"]}
        return {**row, "vpt": float(np.mean(result["vpt"])), "nrmse": result["nrmse"]}

    unknown = [name for name in series if name not in SERIES]
    if unknown:
        raise ValueError(f"series must be some of {', '.join(SERIES)}, got {unknown[0]!r}.")
    networks = [network for network in NETWORKS if network != "no delays"]
    jobs = [(name, network, seed) for name in series for seed in seeds for network in networks]
    for job in run.progress(jobs, label="forecasters"):
        rows.append(run.cached("_".join(map(str, job)).replace(" ", "_"), lambda: measure(*job)))  # noqa: B023
        run.table("forecasters", rows)
    means = paired.means(rows, ("series", "network"), ("vpt", "nrmse"))
    run.table("means", means)
    tests = paired.compare(rows, ("vpt", "nrmse"), PAIRS, "series", of="network", test=paired.t_test)
    run.table("tests", [row for row in tests if row["group"] != "all"])
    for entry in means:
        run.save(**{f"vpt_{entry['series']}_{entry['network'].replace(' ', '_')}": entry["vpt"]})


def wired(network: str, n: int, strength: float, seed: int) -> nx.DiGraph:
    """Return the graph of a network; of weights zero if it is uncoupled, so that one program runs all."""
    graph = topology.balanced(n, min(50, n - 1), strength, seed=seed)
    if network == "uncoupled":
        nx.set_edge_attributes(graph, 0.0, "weight")
    return graph


def law(network: str, span: Quantity) -> Uniform | None:
    """Return the law of the delays of a network."""
    return None if network == "no delays" else Uniform(0 * ms, span)


def echo(V: np.ndarray, n: int, seed: int, gain: float, bias: float) -> np.ndarray:
    """Return the states of an echo-state network of spectral radius 0.95 and the values, (n_steps, n + 1)."""
    return echo_states(V[None], n, seed, radius=0.95, gain=gain, bias=bias)[0]


def best(
    capacity: Callable[..., Any], candidates: list[np.ndarray], u: np.ndarray, tau_max: int, alphas: Any
) -> tuple[float, np.ndarray]:
    """Return the capacity of the states and penalty that are best on the first two thirds of the steps."""
    first = 2 * len(u) // 3
    tried = {
        (k, alpha): capacity(states[:first], u[:first], tau_max, alpha=alpha)[0]
        for k, states in enumerate(candidates)
        for alpha in alphas
    }
    k, alpha = max(tried, key=lambda key: tried[key])
    return capacity(candidates[k], u, tau_max, alpha=alpha)


def narma_error(candidates: list[np.ndarray], y: np.ndarray, alphas: Any) -> float:
    """Return the error on the last fourth of the steps; states and penalty are the best on the fourth before."""
    n, tried = len(y), {}
    for k, states in enumerate(candidates):
        for alpha in alphas:
            tried[k, alpha] = _error(states[: 3 * n // 4], y[: 3 * n // 4], n // 2, alpha)
    k, alpha = min(tried, key=lambda key: tried[key])
    return _error(candidates[k], y, 3 * n // 4, alpha)


def _error(states: np.ndarray, y: np.ndarray, n_train: int, alpha: float) -> float:
    states = states[:, np.ptp(states[:n_train], axis=0) > 0]  # the penalty is in units of the median variance
    path = RidgePath(states[:n_train], y[:n_train, None])
    ridge = path.solve(alpha)
    estimate = states[n_train:] @ np.ravel(ridge.coef_) + ridge.intercept_
    return float(metrics.nrmse(y[n_train:], estimate))
