"""What a search of laws is judged by: memory, spikes and tasks of small reservoirs whose parameters follow the laws."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Hz, ms
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hrsnn import PopulationCode, Reservoir, datasets, metrics, topology
from hrsnn.laws import Law
from hrsnn.models import LIF, STDP
from hrsnn.studies._networks import SYNAPSE, TAU_M

# The source's point: separate gamma laws of tau_m for excitatory and inhibitory neurons, and the laws of STDP.
# Intervals and first values: equations 1.6 and 1.7 of the restored procedures; amplitudes in units of w_max.
FIRST: dict[str, Law] = {
    "tau_m": TAU_M["E"].replace(high=200 * ms),
    "tau_m_inhibitory": TAU_M["I"].replace(high=120 * ms),
    **{name: SYNAPSE.parameters[name] for name in ("A_plus", "A_minus")},
    **{name: SYNAPSE.parameters[name].replace(high=200 * ms) for name in ("tau_plus", "tau_minus")},
}
INTERVALS: dict[str, Any] = {
    "tau_m": (5 * ms, 100 * ms),
    "tau_m_inhibitory": (2 * ms, 60 * ms),
    "A_plus": (0.001, 0.05),
    "A_minus": (0.001, 0.05),
    "tau_plus": (5 * ms, 80 * ms),
    "tau_minus": (5 * ms, 80 * ms),
}
SPACE: dict[str, Law] = {name: law.replace(mean=INTERVALS[name], shape=(1, 20)) for name, law in FIRST.items()}


@dataclass(frozen=True)
class Setting:
    """What all points of a search share: size of the network, scale of its weights, lengths of the tasks.

    Parameters
    ----------
    n_neurons : int
    w_scale, input_weight : float
        Scales of the recurrent and of the input weights.
    n_learn : int
        Steps of a series from which STDP learns.
    n_memory, n_lorenz : int
        Steps of the random input of the memory capacity, and of the Lorenz series.
    n_digits : int
        Images, two thirds of them for training.
    membrane : bool
        Whether a readout sees membrane potentials besides filtered spikes. Without, a silent network knows nothing;
        with, its potentials may hold the input, and capacity over spikes has no bound.
    backend : str
    """

    n_neurons: int = 100
    w_scale: float = 0.3
    input_weight: float = 0.3
    n_learn: int = 200
    n_memory: int = 1200
    n_lorenz: int = 1000
    n_digits: int = 450
    membrane: bool = False
    backend: str = "auto"

    def reservoir(self, laws: Mapping[str, Any], seed: int, n_fields: int = 10) -> Reservoir:
        """Return the network of a seed whose parameters are drawn from the laws; others have their first values."""
        p = FIRST | dict(laws)
        stdp = {name: p[name] for name in ("A_plus", "A_minus", "tau_plus", "tau_minus")}
        return Reservoir(
            topology.distance_dependent(self.n_neurons, w_scale=self.w_scale, seed=seed),
            LIF(tau_m=p["tau_m"], v_thresh=p.get("v_thresh", 1.0)),
            LIF(tau_m=p["tau_m_inhibitory"], v_thresh=p.get("v_thresh", 1.0), t_ref=2 * ms),
            STDP(**stdp),
            PopulationCode(n_fields, 1000 * Hz, 20 * ms),
            input_weight=self.input_weight,
            input_fraction=1.0,
            input_probability=0.1,
            n_learn=self.n_learn,
            filters=(20 * ms, 60 * ms),
            membrane=True,
            dt=1 * ms,
            backend=self.backend,
            seed=seed,
        )

    def seen(self, states: np.ndarray) -> np.ndarray:
        """Return the features that a readout sees: the filtered spikes come first."""
        return states if self.membrane else states[:, : 2 * self.n_neurons]


def memory(laws: Mapping[str, Any], setting: Setting, seed: int) -> dict[str, float]:
    """Return the memory capacity C of a network, its spikes S (mean count of a neuron, per 100 steps) and C / S."""
    u = np.random.default_rng([seed, 5]).random((setting.n_memory, 1))
    reservoir = setting.reservoir(laws, seed).fit(u)
    response = reservoir.respond(u)
    capacity, _ = metrics.memory_capacity(setting.seen(response.features)[100:], u[100:, 0], tau_max=30)
    spikes = len(response.i) / setting.n_neurons * 100 / setting.n_memory
    return {"capacity": capacity, "spikes": spikes, "efficiency": capacity / max(spikes, 1e-3)}


def lorenz(laws: Mapping[str, Any], setting: Setting, seed: int) -> dict[str, float]:
    """Return the error of Lorenz-63 forecasts ten steps ahead, in standard deviations, on the last third."""
    ahead = 10
    X, _ = datasets.lorenz63(setting.n_lorenz + ahead, 0.02)
    goal, X = X[ahead:], X[:-ahead]
    states = setting.seen(setting.reservoir(laws, seed, n_fields=5).fit(X).transform(X))
    train, test = slice(100, 2 * len(X) // 3), slice(2 * len(X) // 3, None)
    readout = make_pipeline(StandardScaler(), Ridge(1e-2)).fit(states[train], goal[train])
    forecast = np.clip(readout.predict(states[test]), goal[train].min(axis=0), goal[train].max(axis=0))
    error = (forecast - goal[test]) / goal.std(axis=0)
    return {"lorenz": float(np.sqrt(np.mean(error**2)))}


def digits(laws: Mapping[str, Any], setting: Setting, seed: int) -> dict[str, float]:
    """Return the share of digits misread from the final state; an image is shown row by row, in eight steps."""
    X, _, y, _ = datasets.digits()
    X, y = X[: setting.n_digits].reshape(-1, 8, 8).astype(float), y[: setting.n_digits]
    states = setting.seen(setting.reservoir(laws, seed, n_fields=2).fit(X).transform(X))
    n_train = 2 * len(X) // 3
    readout = make_pipeline(StandardScaler(), RidgeClassifier(10.0)).fit(states[:n_train], y[:n_train])
    return {"digits": 1 - float(readout.score(states[n_train:], y[n_train:]))}


TASKS = {"memory": memory, "lorenz": lorenz, "digits": digits}

# Objective: the function that measures it, its name there, and its sign as something to minimise.
OBJECTIVES: dict[str, tuple[Callable[..., dict[str, float]], int]] = {
    "capacity": (memory, -1),
    "spikes": (memory, 1),
    "efficiency": (memory, -1),
    "lorenz": (lorenz, 1),
    "digits": (digits, 1),
}


@dataclass(frozen=True)
class Objective:
    """One of the objectives as a function of laws and a seed, to minimise; a value that can be pickled."""

    name: str
    setting: Setting

    def __call__(self, *, seed: int, **laws: Any) -> float:
        measure, sign = OBJECTIVES[self.name]
        return sign * measure(laws, self.setting, seed)[self.name]


def mean_of_draws(name: str, setting: Setting, n_draws: int) -> Callable[..., float]:
    """Return an objective as the mean of the networks of seeds 0 ... n_draws - 1."""
    objective = Objective(name, setting)
    return lambda **laws: float(np.mean([objective(seed=seed, **laws) for seed in range(n_draws)]))


def without_dispersion(laws: Mapping[str, Law]) -> dict[str, Law]:
    """Return laws that hardly vary (by a thousandth), so that the same program runs them.

    Their means are the arguments of the laws; `_networks.narrow` takes the means of the truncated laws.
    """
    return {name: law.replace(shape=1e6) for name, law in laws.items()}


def measure_all(laws: Mapping[str, Any], setting: Setting, seed: int, tasks: Sequence[str]) -> dict[str, float]:
    """Return the measures of one network in some tasks."""
    return {name: value for task in tasks for name, value in TASKS[task](laws, setting, seed).items()}
