"""What reservoirs remember and tell apart: memory capacity, spikes, efficiency and rank of the four variants."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from brian2 import Hz, Quantity, ms

from hrsnn import PopulationCode, metrics
from hrsnn.baselines import echo_states
from hrsnn.lab import study
from hrsnn.metrics import paired
from hrsnn.studies import _liquid

SETTINGS: dict[str, Any] = dict(input_fraction=1.0, filters=(30 * ms,), block=1000)


@study(quick=dict(sizes=[100], seeds=[0, 1], n_steps=400, n_learn=50, tau_max=10), least=dict(n_wash_out=0))
def variants_memory(
    run,
    sizes=(100, 200, 400, 800),
    seeds=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    n_steps=3200,
    n_wash_out=200,
    n_learn=500,
    tau_max=50,
    alphas=(1e-4, 1e-3, 1e-2, 1e-1),
    w_scale=1.0,
    input_weight=0.3,
    input_probability=0.2,
    rate_max: Quantity = 1000 * Hz,
    step: Quantity = 10 * ms,
    backend="auto",
):
    """Measure memory capacity, spikes and their ratio of the four variants against the number of neurons.

    Chakraborty & Mukhopadhyay, equations 9 and 10: heterogeneous neurons (HeN) raise the capacity C, heterogeneous
    STDP (HeS) lowers the spike count S, both raise the efficiency E = C / S. The input is independent and uniform,
    one value a step; C sums over delays the squared correlation of a ridge readout with the delayed input, on the last
    third of the steps, chance removed; its penalty is the best on the steps before. S is the mean number of spikes of
    a neuron in a second, E = C / S. HoN and HeN do not learn: they show what STDP does. The baseline is an echo-state
    network with as many tanh units, tuned likewise.

    The tests are Wilcoxon's over seeds, per size and over all sizes.
    """
    rows: list[dict[str, Any]] = []
    code = PopulationCode(20, rate_max, step)
    settings = dict(
        code=code, input_weight=input_weight, input_probability=input_probability, backend=backend, **SETTINGS
    )

    def measure(variant: str, n: int, seed: int) -> dict[str, Any]:
        rng = np.random.default_rng([seed, 7])
        X, learned = rng.random((n_wash_out + n_steps, 1)), rng.random((n_learn, 1))
        found: dict[str, Any] = {}
        if variant == "echo state":
            states = echo_states(X[None], n, seed)[0]
        else:
            reservoir = _liquid.reservoir(variant, n, seed, w_scale, **settings).fit(learned)
            states = reservoir.transform(X)
            found["spikes"] = reservoir.spike_counts_.mean() / (len(X) * float(step))
            found["active"] = float((reservoir.spike_counts_ > 0).mean())
            found |= {f"w_{name}": float(w.mean()) for name, w in reservoir.weights_.items()}
        C, alpha, profile = _capacity(states[n_wash_out:], X[n_wash_out:, 0], tau_max, alphas)
        blank = dict.fromkeys(("spikes", "active", "w_inputs", "w_excitation", "w_inhibition"), np.nan)
        row = {"variant": variant, "n_neurons": n, "seed": seed, "capacity": C, "alpha": alpha, **blank, **found}
        return {**row, "efficiency": C / row["spikes"] if row["spikes"] > 0 else np.nan, "profile": profile}

    variants = (*_liquid.VARIANTS, "HoN", "HeN", "echo state")
    jobs = [(variant, n, seed) for n in sizes for seed in seeds for variant in variants]
    named = {"_".join(map(str, job)).replace(" ", "_"): partial(measure, *job) for job in jobs}
    for row in run.results(named, "reservoirs"):
        rows.append(row)
        run.table("reservoirs", [{k: v for k, v in row.items() if k != "profile"} for row in rows])
    values = ("capacity", "spikes", "efficiency", "active", "w_inputs", "w_excitation", "w_inhibition")
    run.table("means", paired.means(rows, ("variant", "n_neurons"), values))
    pairs = {**_liquid.PAIRS, "STDP": ("HoNHoS", "HoN"), "neurons without STDP": ("HeN", "HoN")}
    tests = paired.compare(rows, ("capacity", "spikes", "efficiency"), pairs, "n_neurons")
    run.table("tests", tests)
    run.save(**paired.headline(tests))
    spiking = [row for row in rows if row["variant"] != "echo state"]
    panels = {
        "capacity": "memory capacity C",
        "spikes": "spikes S (per neuron and s)",
        "efficiency": "efficiency C / S",
    }
    run.figure("capacity_spikes_efficiency", _liquid.drawn(spiking, "n_neurons", panels, "neurons", log="x"))
    delays = [
        {"variant": row["variant"], "delay": k + 1, "share": c}
        for row in rows
        if row["n_neurons"] == max(sizes)
        for k, c in enumerate(row["profile"][:20])
    ]
    run.figure("delays", _liquid.drawn(delays, "delay", {"share": "C of a delay"}, "delay (steps)"))


@study(quick=dict(n_neurons=100, seeds=[0, 1], n_stimuli=50, n_learn=50))
def separation(
    run,
    n_neurons=400,
    seeds=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    n_stimuli=500,
    n_steps=10,
    n_learn=500,
    noise=0.05,
    w_scales=(0.3, 1.0, 2.0),
    input_weight=0.3,
    input_probability=0.2,
    rate_max: Quantity = 1000 * Hz,
    step: Quantity = 10 * ms,
    backend="auto",
):
    """Measure how many directions the final states of the four variants span: for different and for like stimuli.

    Chakraborty & Mukhopadhyay judge separation by the effective rank of the matrix of final states, the number of
    singular values that hold 99 % of their sum. Stimuli are series of n_steps uniform values. separation is the rank
    for n_stimuli different ones, the higher the better; generalisation that for as many versions of a single one with
    Gaussian noise of the given deviation, the lower the better; computation is their difference (Legenstein & Maass
    2007). spikes: mean number of a neuron in a second of different stimuli.
    """
    rows: list[dict[str, Any]] = []
    code = PopulationCode(20, rate_max, step)
    settings = dict(
        code=code, input_weight=input_weight, input_probability=input_probability, backend=backend, **SETTINGS
    )

    def measure(variant: str, w_scale: float, seed: int) -> dict[str, Any]:
        rng = np.random.default_rng([seed, 8])
        different = rng.random((n_stimuli, n_steps, 1))
        like = np.clip(different[:1] + noise * rng.standard_normal(different.shape), 0, 1)
        reservoir = _liquid.reservoir(variant, n_neurons, seed, w_scale, limits=(0.0, 1.0), **settings)
        reservoir.fit(rng.random((n_learn, 1)))
        generalisation = metrics.generalisation_rank(reservoir.transform(like))
        states = reservoir.transform(different)
        rank = metrics.effective_rank(states)
        return {
            "variant": variant,
            "w_scale": w_scale,
            "seed": seed,
            "separation": rank,
            "generalisation": generalisation,
            "computation": rank - generalisation,
            "spikes": reservoir.spike_counts_.mean() / (n_stimuli * n_steps * float(step)),
        }

    jobs = [(v, w, seed) for w in w_scales for seed in seeds for v in (*_liquid.VARIANTS, "HoN", "HeN")]
    for row in run.results({"_".join(map(str, job)): partial(measure, *job) for job in jobs}, "reservoirs"):
        rows.append(row)
        run.table("reservoirs", rows)
    values = ("separation", "generalisation", "computation", "spikes")
    run.table("means", paired.means(rows, ("variant", "w_scale"), values))
    tests = paired.compare(rows, values, _liquid.PAIRS, "w_scale")
    run.table("tests", tests)
    run.save(**paired.headline(tests))
    panels = {
        "separation": "rank, different stimuli",
        "generalisation": "rank, like stimuli",
        "spikes": "spikes S (1/s)",
    }
    run.figure("ranks", _liquid.drawn(rows, "w_scale", panels, "W_scale", log="x"))


def _capacity(states: np.ndarray, u: np.ndarray, tau_max: int, alphas: Any) -> tuple[float, float, np.ndarray]:
    """Return the capacity, the penalty that is best on the first two thirds of the steps, and the capacity by delay."""
    first = 2 * len(u) // 3
    tried = [metrics.memory_capacity(states[:first], u[:first], tau_max, alpha=alpha)[0] for alpha in alphas]
    alpha = float(alphas[int(np.argmax(tried))])
    capacity, profile = metrics.memory_capacity(states, u, tau_max, alpha=alpha)
    return capacity, alpha, profile
