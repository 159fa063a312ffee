"""Processor seconds per simulated second of a plastic reservoir, against a program written by hand."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from brian2 import Hz, Quantity, ms

from hrsnn import PopulationCode, Reservoir, Uniform, plots, topology
from hrsnn.lab import main, study
from hrsnn.reservoirs.liquid import Liquid
from hrsnn.simulation import backends
from hrsnn.studies._networks import INHIBITORY, NEURON, SYNAPSE
from hrsnn.studies.speed import timed

REFERENCE = Path(__file__).parent.parent / "tests" / "reference" / "reservoir.cpp"
NEURON_ROWS = {"tau_m": 1e3, "v_rest": 1, "v_reset": 1, "v_thresh": 1, "t_ref": 1e3, "tau_e": 1e3, "tau_i": 1e3}
SYNAPSE_ROWS = {"A_plus": 1, "A_minus": 1, "tau_plus": 1e3, "tau_minus": 1e3, "w_min": 1, "w_max": 1}
STEP = 20 * ms


@study(quick=dict(sizes=[200], synapses=[2000], w_scales=[0.5], n_steps=100, repeats=1))
def reservoir_speed(
    run,
    sizes=(1000, 5000),
    synapses=(30_000, 625_000),
    w_scales=(0.3, 0.12),
    input_weight=0.5,
    n_steps=200,
    repeats=3,
    seed=0,
):
    """Measure processor seconds per simulated second of reservoirs that learn, and what surrounds a run.

    Random graphs of heterogeneous neurons, each synapse with STDP constants of its own (HeNHeS), also those of the
    inputs; three noise features, 20 ms a step, dt 0.5 ms. learn and frozen are the compiled network with and without
    STDP, without the start of the program; reference is the hand-written program with the same parameters, wiring
    and input, in single precision (only in a checkout, where its source is). ratio is learn over reference, the
    median of those within a turn. topology_s and build_s are the wall seconds of making the graph and of compiling,
    rerun_s and rerun_cpu_s what a run of a single step costs with new parameters.
    """
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="hrsnn-speed-") as folder:
        program = compile_reference(Path(folder))
        for n, n_synapses, w_scale in run.progress(list(zip(sizes, synapses, w_scales, strict=True)), label="sizes"):
            measure = partial(_measure, n, n_synapses, w_scale, input_weight, n_steps, repeats, seed, program)
            rows.append(run.cached(f"size_{n}", measure))
            run.table("speed", rows)
            run.save(**{f"{key}_{n}": rows[-1][key] for key in ("learn", "ratio", "rerun_s", "topology_s")})
    figure, axes = plots.figure()
    lines = {form: (list(sizes), [row[form] for row in rows]) for form in ("learn", "frozen", "reference")}
    plots.curves(axes, lines, "neurons", "processor s per simulated s", log="xy")
    run.figure("speed", figure)


def _measure(
    n: int, n_synapses: int, w_scale: float, weight: float, n_steps: int, repeats: int, seed: int, program: Path | None
) -> dict[str, Any]:
    graphs: list[Any] = []
    made = timed(lambda: graphs.append(topology.random(n, n_synapses / (n * (n - 1)), w_scale, seed=seed)))
    options: dict[str, Any] = dict(
        input_weight=weight, input_fraction=1.0, input_probability=0.2, membrane=True, block=n_steps, backend="cpp"
    )
    code = PopulationCode(20, rate_max=200 * Hz, step=STEP)
    X = np.random.default_rng(seed).random((n_steps, 3))
    reservoir = Reservoir(graphs[0], NEURON, INHIBITORY, SYNAPSE, code, seed=seed, **options)
    built = timed(lambda: reservoir.fit(X[:2]).transform(X[:2]))  # both programs; 0.1 s if they were compiled before
    other = Reservoir(graphs[0], NEURON, INHIBITORY, SYNAPSE, code, seed=seed + 1, **options).fit(X)
    liquid, u = reservoir.liquid_, reservoir.scaled(X)
    simulated = (n_steps - 1) * float(STEP)
    turns: dict[str, list[float]] = {"learn": [], "frozen": [], "reference": []}
    reruns, spikes = [], []
    for _ in range(repeats):
        for form, learn in (("learn", True), ("frozen", False)):
            long = timed(lambda: spikes.append(len(liquid.run(u, liquid.start(), learn=learn).i)))  # noqa: B023
            short = timed(lambda: other.liquid_.run(u[:1], other.liquid_.start(), learn=learn))  # noqa: B023
            turns[form].append((long[1] - short[1]) / simulated)
            reruns.append(short)
        if program is not None:
            turns["reference"].append(run_reference(program, liquid, u)["seconds"] / (n_steps * float(STEP)))
    ratios = [a / b for a, b in zip(turns["learn"], turns["reference"], strict=False)]
    return {
        "n_neurons": n,
        "n_synapses": graphs[0].number_of_edges(),
        "rate_hz": spikes[0] / n / (n_steps * float(STEP)),
        **{form: median(values) if values else np.nan for form, values in turns.items()},
        "ratio": median(ratios) if ratios else np.nan,
        "topology_s": made[0],
        "build_s": built[0],
        "rerun_s": median(wall for wall, _ in reruns),
        "rerun_cpu_s": median(cpu for _, cpu in reruns),
    }


@study(quick=dict(n_neurons=200, n_synapses=20, n_steps=50, repeats=1))
def delay_speed(
    run,
    n_neurons=1000,
    n_synapses=50,
    strength=0.1,
    span: Quantity = 400 * ms,
    rate_max: Quantity = 200 * Hz,
    input_weight=0.5,
    n_steps=500,
    repeats=5,
    seed=0,
):
    """Measure what delays of synapses cost: a reservoir with and without them, and the program written by hand.

    Balanced graphs, three noise features of 20 ms a step, dt 1 ms. frozen and learn are processor microseconds a time
    step of the compiled network with fixed weights, and with STDP in all synapses; their names with "plain" are those
    of the same network without delays. reference is the hand-written program with STDP and the same delays, in single
    precision. cost is frozen over frozen plain, ratio is learn over reference, each the median of those within a turn.
    """
    graph = topology.balanced(n_neurons, n_synapses, strength, seed=seed)
    code = PopulationCode(20, rate_max=rate_max, step=STEP)
    X = np.random.default_rng(seed).random((n_steps, 3))
    liquids = {}
    for name, delay in (("", Uniform(0 * ms, span)), (" plain", None)):
        reservoir = Reservoir(
            graph, NEURON, INHIBITORY, SYNAPSE, code, input_weight=input_weight, input_fraction=1.0,
            input_probability=0.2, membrane=True, delay=delay, dt=1 * ms, block=n_steps, backend="cpp", seed=seed,
        ).fit(X[:2])  # fmt: skip
        liquids[name], u = reservoir.liquid_, reservoir.scaled(X)
    n_total = (n_steps - 1) * liquids[""].plastic.n_total
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="hrsnn-speed-") as folder:
        program = compile_reference(Path(folder))
        for _ in run.progress(range(repeats), label="turns"):
            row: dict[str, Any] = {}
            for name, liquid in liquids.items():
                for form, learn in (("frozen", False), ("learn", True)):
                    spikes: list[int] = []
                    long = timed(lambda: spikes.append(len(liquid.run(u, liquid.start(), learn=learn).i)))  # noqa: B023
                    short = timed(lambda: liquid.run(u[:1], liquid.start(), learn=learn))  # noqa: B023
                    row[f"{form}{name}"] = 1e6 * (long[1] - short[1]) / n_total
                    row[f"rate_hz_{form}{name}"] = spikes[0] / n_neurons / (n_steps * float(STEP))
            if program is not None:
                seconds = run_reference(program, liquids[""], u)["seconds"]
                row["reference"] = 1e6 * seconds / (n_steps * liquids[""].plastic.n_total)
            rows.append(row)
            run.table("turns", rows)
    found = {key: median(row[key] for row in rows) for key in rows[0]}
    found["cost"] = median(row["frozen"] / row["frozen plain"] for row in rows)
    if "reference" in found:
        found["ratio"] = median(row["learn"] / row["reference"] for row in rows)
    run.save(**{key.replace(" ", "_"): value for key, value in found.items()})


def compile_reference(folder: Path, real: str = "float") -> Path | None:
    """Compile the hand-written program, with numbers of type `real`; None if its source is not here."""
    if not REFERENCE.is_file():
        return None
    compiler, _ = backends.compiler()
    flags = [flag for flag in backends.compile_flags() if flag != "-fno-finite-math-only"]  # its own, fastest flags
    subprocess.run([compiler, *flags, f"-DREAL={real}", str(REFERENCE), "-o", str(folder / real)], check=True)
    return folder / real


def run_reference(program: Path, liquid: Liquid, u: np.ndarray, results: dict[str, np.ndarray] | None = None) -> Any:
    """Run the hand-written program with what a liquid is made of, from rest and with STDP.

    Parameters
    ----------
    program : Path
    liquid : Liquid
        Regular inputs, neurons of the model LIF, synapses STDP.
    u : array of shape (n_steps, n_features)
        Values in [0, 1].
    results : dict, optional
        Takes ``spikes`` (time step and neuron), ``states`` and the weights of each projection.

    Returns
    -------
    dict
        What the program says: ``seconds`` of processor time, and the number of ``spikes``.
    """
    network = liquid.plastic
    n, dt = network.n_neurons, float(network.dt)
    with tempfile.TemporaryDirectory(prefix="hrsnn-reference-") as name:
        folder = Path(name)
        row = lambda key, unit: np.broadcast_to(unit * liquid.values[f"neurons.{key}"], n + 1)[:n]  # noqa: E731
        files = {
            "rates": network.code.rates(u) * dt,
            "phase": network.code.constants(network.n_features)["phase_start"],
            "neurons": np.stack([row(key, unit) for key, unit in {**NEURON_ROWS, "drive": 1}.items()]),
            "filters": np.array([1e3 * liquid.values[f"neurons.tau_x_{k}"] for k in range(network.filters)]),
        }
        for projection, (i, j) in liquid.wiring.items():
            values = [np.asarray(liquid.learning[f"{projection}.{key}"]) * unit for key, unit in SYNAPSE_ROWS.items()]
            own = [value[: len(i)] if value.ndim else np.full(len(i), value) for value in values]
            files[projection] = np.stack([liquid.initial[projection], *own])
            np.stack([i, j]).astype("<i4").tofile(folder / f"{projection}_ends.bin")
            if network.slots:
                lags = liquid.values[f"{projection}.lag"][: len(i)]
                lags.astype("<i4").tofile(folder / f"{projection}_lag.bin")
        for file, array in files.items():
            np.ascontiguousarray(array, dtype="<f8").tofile(folder / f"{file}.bin")
        sizes = {"n_neurons": n, "n_inputs": network.n_inputs, "n_steps": len(u), "n_total": network.n_total}
        command = [str(program), f"folder={folder}/", f"dt={1e3 * dt}", *(f"{k}={v}" for k, v in sizes.items())]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        if results is not None:
            results["spikes"] = np.fromfile(folder / "spikes.bin", "<i4").reshape(-1, 2)
            results["states"] = np.fromfile(folder / "states.bin").reshape(len(u), -1)
            results |= {projection: np.fromfile(folder / f"{projection}_w.bin") for projection in liquid.wiring}
        return json.loads(done.stdout)


if __name__ == "__main__":
    sys.exit(main(["run", __file__, *sys.argv[1:]]))
