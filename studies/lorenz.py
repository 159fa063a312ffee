"""Forecasts of the Lorenz system by heterogeneous spiking reservoirs."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import networkx as nx
import numpy as np
from brian2 import Hz, Quantity, ms
from sklearn.dummy import DummyRegressor

from hrsnn import CurrentCode, Forecaster, Gamma, Normal, PopulationCode, Reservoir, datasets, plots, topology
from hrsnn.baselines import EchoState, NextGeneration, Persistence, RidgePath
from hrsnn.lab import main, study
from hrsnn.metrics import paired
from hrsnn.models import LIF, BalancedSTDP
from hrsnn.reservoirs.reservoir import FarFromRange, homogeneous
from hrsnn.studies import _forecast
from hrsnn.studies._networks import INHIBITORY, NEURON, SYNAPSE, VARIANTS

EXPONENT = 0.906  # largest Lyapunov exponent of Lorenz-63
FAST = LIF(tau_m=Gamma(mean=10 * ms, shape=1, low=2 * ms, high=100 * ms), t_ref=2 * ms)  # with currents
BALANCED = BalancedSTDP(
    **{key: SYNAPSE.parameters[key] for key in ("A_plus", "tau_plus", "tau_minus")},
    ratio=1.05,
)
UNCONNECTED = ("HoN unconnected", "HeN unconnected")


class Spiking:
    """A spiking forecaster as the protocol asks for it."""

    def __init__(self, reservoir: Reservoir):
        self.reservoir = reservoir

    def respond(self, X: np.ndarray) -> None:
        """Learn by STDP, then collect the states."""
        self.forecaster = Forecaster(self.reservoir, DummyRegressor(), increments=True).fit(X)
        self.path = RidgePath(*self.forecaster.training_set(X))
        n_neurons = self.reservoir.graph.number_of_nodes()
        self.spikes = len(self.forecaster.response_.i) / n_neurons
        self.rate = self.spikes / (len(X) * float(self.reservoir.code.step))

    def train(self, alpha: float) -> None:
        """Train the readout on the states."""
        self.forecaster.readout_ = self.path.solve(alpha)

    def forecast(self, n_steps: int, warm: np.ndarray) -> np.ndarray:
        """Run freely from every start."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FarFromRange)  # valid prediction times count it
            return self.forecaster.forecast(n_steps, warm)


@study(
    quick=dict(
        n_neurons=100,
        n_train=500,
        n_stdp=100,
        seeds=[0],
        n_test=5,
        n_tuning=3,
        n_free=150,
        n_units=50,
        alphas=[1e-8, 1e-4],
    ),
    least=dict(bias=-np.inf),
)
def lorenz(
    run,
    n_neurons=1000,
    n_train=5000,
    n_stdp=500,
    seeds=(0, 1, 2, 3, 4),
    n_test=40,
    n_tuning=10,
    n_warm=60,
    n_free=800,
    dt=0.02,
    threshold=0.4,
    alphas=(1e-12, 1e-10, 1e-8, 1e-6, 1e-4),
    code="current",
    step: Quantity = 20 * ms,
    time_step: Quantity = 1 * ms,
    gain=0.7,
    bias=0.7,
    n_fields=20,
    rate_max: Quantity = 1000 * Hz,
    input_weight=0.25,
    input_probability=0.1,
    w_scale=0.03,
    stdp="balanced",
    filter_time: Quantity = 20 * ms,
    spikes=False,
    membrane=True,
    squares=True,
    n_units=300,
    connected=True,
    backend="auto",
):
    """Compare reservoirs of homogeneous and heterogeneous neurons and synapses on Lorenz-63, the loop closed.

    Chakraborty & Mukhopadhyay, table III: heterogeneous neurons (HeN) predict better than homogeneous ones (HoN),
    heterogeneous STDP (HeS) saves spikes. The four variants have the same graph, initial weights and mean
    parameters; only the dispersion differs. STDP learns from the first n_stdp training steps, the readout from all.
    Beside them stand the same neurons without recurrent synapses, which tells what these bring or cost; with
    connected=False these alone.

    With stdp "independent" the four parameters of a synapse are drawn independently, so that its weight drifts up or
    down whatever the input; with "balanced" every synapse has the same ratio of depression to potentiation.

    With code "current" each neuron takes a current from the values, gain and bias its own; with "population" inputs
    of Gaussian fields send spikes. The readout sees the membrane potentials (membrane), the spikes filtered twice by
    filter_time (spikes), and the squares of these (squares), besides the values.

    Baselines with the same training data, and the same tuning (the ridge penalty alone, of the same alphas, by the
    mean valid prediction time from n_tuning starts): an echo-state network of n_units and one of n_neurons tanh
    units with common settings, a next-generation reservoir, and persistence.

    vpt is the median valid prediction time over the test starts in Lyapunov times; nrmse the mean error of the first
    100 forecast steps, in standard deviations; spikes the mean count of a neuron in training; efficiency
    1 / (nrmse spikes). The paired test is Wilcoxon's over seeds and, for vpt, over seeds and starts.
    """
    if code not in ("current", "population"):
        raise ValueError(f"code must be current or population, got {code!r}.")
    if stdp not in ("balanced", "independent"):
        raise ValueError(f"stdp must be balanced or independent, got {stdp!r}.")
    n_steps = n_train + (n_tuning + n_test) * (n_warm + n_free)
    X, _ = datasets.lorenz63(n_steps, dt)
    data = _forecast.split(X, n_train, n_warm, n_free, n_tuning, n_test)
    score = _forecast.vpt_score(data.scale, threshold, dt, EXPONENT)
    rows: list[dict[str, Any]] = []
    curves: dict[str, np.ndarray] = {}
    rule = BALANCED if stdp == "balanced" else SYNAPSE
    currents = CurrentCode(Normal(0.0, gain), Normal(bias, 0.5), step)
    series_code = currents if code == "current" else PopulationCode(n_fields, rate_max, step)

    def spiking(variant: str, seed: int) -> tuple[dict[str, Any], np.ndarray]:
        neurons = (FAST, FAST) if code == "current" else (NEURON, INHIBITORY)
        if "HoN" in variant:
            neurons = tuple(map(homogeneous, neurons))
        synapse = rule if "HeS" in variant else homogeneous(rule)
        graph = topology.distance_dependent(n_neurons, w_scale=w_scale, seed=seed)
        if variant in UNCONNECTED:
            nx.set_edge_attributes(graph, 0.0, "weight")  # not removed, so that one program runs all
            synapse = None
        reservoir = Reservoir(
            graph,
            *neurons,
            synapse,
            series_code,
            input_weight=input_weight,
            input_fraction=1.0,
            input_probability=input_probability,
            n_learn=n_stdp,
            filters=(filter_time,) if spikes else (),
            smooth=True,
            membrane=membrane,
            squares=squares,
            margin=0.05,
            dt=time_step,
            backend=backend,
            seed=seed,
        )
        model = Spiking(reservoir)
        result = _forecast.judge(model, data, alphas, score)
        row = _row(variant, seed, result)
        row |= {"spikes": model.spikes, "rate_hz": model.rate, "efficiency": 1 / (result["nrmse"] * model.spikes)}
        return row, result["forecast"][0]

    def plain(name: str, seed: int) -> tuple[dict[str, Any], np.ndarray]:
        makers = {
            "persistence": Persistence,
            "next generation": NextGeneration,
            f"echo state {n_units}": lambda: EchoState(n_units, seed=seed),
            f"echo state {n_neurons}": lambda: EchoState(n_neurons, seed=seed),
        }
        result = _forecast.judge(makers[name](), data, alphas, score)
        return _row(name, seed, result), result["forecast"][0]

    baselines = dict.fromkeys([f"echo state {n_units}", f"echo state {n_neurons}"], tuple(seeds))
    jobs: list[tuple[str, int, Callable[[str, int], tuple[dict[str, Any], np.ndarray]]]]
    jobs = [("persistence", seeds[0], plain), ("next generation", seeds[0], plain)]
    jobs += [(name, seed, plain) for name, own in baselines.items() for seed in own]
    variants = (*UNCONNECTED, *(VARIANTS if connected else ()))
    jobs += [(name, seed, spiking) for seed in seeds for name in variants]
    named = {f"{name}_{seed}".replace(" ", "_"): partial(measure, name, seed) for name, seed, measure in jobs}
    for (name, *_), (row, first) in zip(jobs, run.results(named, "forecasters"), strict=True):
        rows.append(row)
        curves.setdefault(name, first)
        run.table("forecasters", [{k: v for k, v in row.items() if k != "all_vpt"} for row in rows])
    run.table("variants", _summary(rows))
    run.save(**_headline(rows))
    run.figure("forecast", _figure(data.test[1][0][:, 0], {k: v[:, 0] for k, v in curves.items()}, dt))


def _row(name: str, seed: int, result: dict[str, Any]) -> dict[str, Any]:
    vpt = result["vpt"]
    return {
        "forecaster": name,
        "seed": seed,
        "alpha": result["alpha"],
        "vpt": float(np.median(vpt)),
        "vpt_mean": float(np.mean(vpt)),
        "nrmse": result["nrmse"],
        "spikes": np.nan,
        "rate_hz": np.nan,
        "efficiency": np.nan,
        "all_vpt": vpt,
    }


def _summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return mean and standard deviation over seeds of each forecaster's numbers."""
    table = []
    for name in dict.fromkeys(row["forecaster"] for row in rows):
        own = [row for row in rows if row["forecaster"] == name]
        entry: dict[str, Any] = {"forecaster": name, "n_seeds": len(own)}
        for key in ("vpt", "vpt_mean", "nrmse", "spikes", "rate_hz", "efficiency"):
            values = [row[key] for row in own]
            entry |= {key: float(np.mean(values)), f"{key}_std": float(np.std(values))}
        table.append(entry)
    return table


def _headline(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the claims as numbers: differences of the variants with their paired tests."""
    found: dict[str, float] = {}
    for entry in _summary(rows):
        name = entry["forecaster"].replace(" ", "_")
        found |= {f"{key}_{name}": entry[key] for key in ("vpt", "nrmse", "spikes") if np.isfinite(entry[key])}
    by = {name: [row for row in rows if row["forecaster"] == name] for name in (*VARIANTS, *UNCONNECTED)}
    for key, better, worse in (
        ("nrmse", "HeNHeS", "HoNHoS"),
        ("spikes", "HeNHeS", "HeNHoS"),
        ("vpt", "HeN unconnected", "HoN unconnected"),
    ):
        a, b = ([row[key] for row in by[name]] for name in (better, worse))
        if a and b:
            name = f"{key}_{better}_minus_{worse}".replace(" ", "_")
            found |= {name: float(np.mean(np.subtract(a, b))), f"{name}_p": paired.wilcoxon(a, b)}
    for better, worse in (("HeNHeS", "HoNHoS"), UNCONNECTED[::-1]):
        if by[better] and by[worse]:
            a, b = (np.concatenate([row["all_vpt"] for row in by[name]]) for name in (better, worse))
            found[f"vpt_{better}_minus_{worse}_p_starts".replace(" ", "_")] = paired.wilcoxon(a, b)
    return found


def _figure(truth: np.ndarray, forecasts: dict[str, np.ndarray], dt: float) -> Any:
    figure, axes = plots.figure(width=7.0)
    time = dt * EXPONENT * np.arange(1, len(truth) + 1)
    shown = {
        name: curve for name, curve in forecasts.items() if name in ("HeNHeS", "HeN unconnected") or "echo" in name
    }
    plots.forecast(axes, truth, shown, time=time, x_label="time (Lyapunov times)", y_label="x")
    return figure


if __name__ == "__main__":
    sys.exit(main(["run", __file__, *sys.argv[1:]]))
