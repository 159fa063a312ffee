"""Seconds of a gradient: a declared network against one by hand, and spikes against arrays of all synapses."""

from __future__ import annotations

import importlib.util
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
from brian2 import Hz, ms

from hrsnn import plots
from hrsnn.lab import main, study
from hrsnn.laws import Gamma, Uniform
from hrsnn.models import LIF, IntervalModulated

REFERENCE = Path(__file__).parent.parent / "tests" / "reference" / "lif_jax.py"


@study(quick=dict(n_neurons=64, n_samples=32, repeats=3, long_neurons=200, long_steps=200))
def gradient_speed(
    run,
    n_neurons=256,
    n_inputs=64,
    n_steps=100,
    n_samples=128,
    repeats=7,
    one_core=True,
    long_neurons=1000,
    long_steps=1000,
    long_samples=64,
    seed=0,
):
    """Measure how long a forward and backward pass takes, and what memory a long one needs.

    A recurrent layer of declared LIF neurons whose time constants are trained, a value a time step for each input,
    in single precision: declared, as `hrsnn.gradient` translates it; by hand, the same equations written directly in
    JAX (tests/reference/lif_jax.py, only in a checkout); torch, a loop over time steps in PyTorch, where it is
    installed. They take turns; ratios are medians of ratios within a turn. Both in JAX give equal losses, which the
    run checks.

    memory_gb is what XLA sets aside for the states of the long pass (``long_steps`` of ``long_neurons``), by its own
    account; nothing is run for it.
    """
    if one_core and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before JAX counts the cores; for good
    import jax
    import jax.numpy as jnp

    from hrsnn.gradient import Layer, SpikingNetwork

    neuron = LIF(tau_m=Gamma(20 * ms, 3, low=2 * ms), t_ref=0 * ms)
    network = SpikingNetwork([Layer(n_neurons, neuron, recurrent=True, train="tau_m")], n_inputs, 1 * ms, seed=seed)
    rng = np.random.default_rng(seed)
    X = rng.random((n_samples, n_steps, n_inputs), dtype=np.float32)
    weights = network.calibrated(network.weights(), X, 0.05)

    def loss(traces: Any) -> Any:
        return jnp.mean(jnp.square(traces.mean(axis=(0, 2)) - 1.0))

    forms: dict[str, Callable[[], Any]] = {}
    declared = jax.jit(jax.value_and_grad(lambda weights, X: loss(network.run(weights, X).traces)))
    forms["declared"] = lambda: jax.block_until_ready(declared(weights, X))
    if REFERENCE.is_file():
        own = _load(REFERENCE)

        def by_hand(weights: Any, X: Any) -> Any:
            synapses, tau_m = network.synapses(weights)[0], network.parameters(weights)[0]["tau_m"]
            return loss(own.traces(synapses["w"], synapses["recurrent"], tau_m, X))

        hand = jax.jit(jax.value_and_grad(by_hand))
        forms["by hand"] = lambda: jax.block_until_ready(hand(weights, X))
    if importlib.util.find_spec("torch") is not None:
        forms["torch"] = _torch(network, weights, X, one_core)
    compile_s = {name: _timed(form) for name, form in forms.items()}
    values = [float(forms[name]()[0]) for name in ("declared", "by hand") if name in forms]
    if not np.allclose(values, values[0], rtol=1e-5):
        raise RuntimeError(f"The declared network and that by hand differ: losses {values}.")
    turns = [{name: _timed(form) for name, form in forms.items()} for _ in run.progress(range(repeats), label="turns")]
    rows: list[dict[str, Any]] = []
    for name in forms:
        seconds = [turn[name] for turn in turns]
        ratios = [turn[name] / turn["by hand"] for turn in turns] if "by hand" in forms else [float("nan")]
        rows.append({"form": name, "seconds": median(seconds), "ratio": median(ratios), "first_s": compile_s[name]})
    run.table("passes", rows)
    run.save(
        device=jax.devices()[0].device_kind,
        **{f"seconds_{row['form'].replace(' ', '_')}": row["seconds"] for row in rows},
    )
    run.save(**{f"ratio_{row['form'].replace(' ', '_')}": row["ratio"] for row in rows if row["form"] != "by hand"})
    long = SpikingNetwork([Layer(long_neurons, LIF(t_ref=0 * ms), recurrent=True)], n_inputs, 1 * ms, seed=seed)
    slopes = jax.jit(jax.grad(lambda weights, X: loss(long.run(weights, X).traces)))
    shape = jax.ShapeDtypeStruct((long_samples, long_steps, n_inputs), jnp.float32)
    used = slopes.lower(long.weights(), shape).compile().memory_analysis()
    if used is not None:
        run.save(memory_gb=used.temp_size_in_bytes / 1e9)
    figure, axes = plots.figure()
    axes.barh([row["form"] for row in rows], [row["seconds"] for row in rows], color=plots.COLOURS[0])
    axes.set_xlabel("seconds forward and backward")
    run.figure("seconds", figure)


@study(quick=dict(n_hidden=40, n_samples=16, repeats=1))
def interval_speed(run, n_hidden=500, n_samples=128, repeats=3, one_core=True, seed=0):
    """Measure what interval-modulated synapses cost, by spikes and by arrays of all synapses.

    784 inputs of which a fifth is not 0, as in MNIST, n_hidden neurons, 100 time steps; values and derivatives by
    the heights, in single precision; seconds are those of the processor. sparse: the compiled kernel; dense: all
    synapses in every time step. They take turns; the ratio is the median of ratios within a turn, and the run checks
    that both give equal derivatives.

    seconds_network: a forward and backward pass of 784-n_hidden-10 by the kernel. memory_gb: what XLA sets aside for
    it, by its own account; peak_gb: the largest memory of this process, before the dense form is run.
    """
    if one_core and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before JAX counts the cores; for good
    import jax
    import jax.numpy as jnp

    from hrsnn.gradient import IntervalNetwork, intervals

    synapse = IntervalModulated(mu=Uniform(10 * ms, 35 * ms), sigma=Uniform(5 * ms, 15 * ms))
    rates = (28.5 * Hz, 100 * Hz)
    network = IntervalNetwork((784, n_hidden, 10), synapse, 100 * ms, rates, 100 * ms, 1 * ms, "positive", seed)
    rng = np.random.default_rng(seed)
    X = (rng.random((n_samples, 784)) * (rng.random((n_samples, 784)) < 0.19)).astype(np.float32)
    weights, spikes = network.weights(), network.encode(jnp.asarray(X))
    whole = jax.jit(jax.value_and_grad(lambda weights, X: jnp.sum(jnp.square(network.run(weights, X).traces))))
    network_s = [
        _timed(lambda: jax.block_until_ready(whole(weights, X[:, None])), process_time) for _ in range(1 + repeats)
    ]
    run.save(seconds_network=median(network_s[1:]), peak_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
    used = whole.lower(weights, X[:, None]).compile().memory_analysis()
    if used is not None:
        run.save(memory_gb=used.temp_size_in_bytes / 1e9)
    mu, sigma = (jnp.asarray(network.constants[0][key] / float(network.dt), jnp.float32) for key in ("mu", "sigma"))
    delta = jnp.asarray(rng.standard_normal((network.n_steps, n_samples, n_hidden)), jnp.float32)

    def passes(form: Any) -> Callable[[], Any]:
        def total(h: Any, spikes: Any) -> Any:
            out = form(1, True, spikes, h, mu, sigma)
            return jnp.sum(out * delta), out

        slopes = jax.jit(jax.grad(total, has_aux=True))
        return lambda: jax.block_until_ready(slopes(weights[0], spikes))[0]

    forms = {"sparse": passes(intervals.sparse), "dense": passes(intervals.dense)}
    first, second = (np.asarray(form()) for form in forms.values())  # compiles
    if not np.allclose(first, second, rtol=1e-3, atol=1e-3 * np.abs(second).max()):
        raise RuntimeError(f"The forms differ by up to {np.abs(first - second).max():g} of {np.abs(second).max():g}.")
    turns = [
        {name: _timed(form, process_time) for name, form in forms.items()}
        for _ in run.progress(range(repeats), label="turns")
    ]
    rows = [{"form": name, "seconds": median(turn[name] for turn in turns)} for name in forms]
    run.table("synapses", rows)
    run.save(**{f"seconds_{row['form']}": row["seconds"] for row in rows})
    run.save(ratio=median(turn["dense"] / turn["sparse"] for turn in turns), spikes=float(spikes.sum()) / n_samples)
    figure, axes = plots.figure()
    axes.barh([row["form"] for row in rows], [row["seconds"] for row in rows], color=plots.COLOURS[0])
    axes.set_xlabel("seconds forward and backward")
    axes.set_xscale("log")
    run.figure("seconds", figure)


def _timed(function: Callable[[], Any], clock: Callable[[], float] = perf_counter) -> float:
    start = clock()
    function()
    return clock() - start


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{path} cannot be read.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _torch(network: Any, weights: Any, X: np.ndarray, one_core: bool) -> Callable[[], Any]:
    """Return a pass of the same network as a loop over time steps in PyTorch."""
    import torch  # type: ignore[import-not-found]

    if one_core:
        torch.set_num_threads(1)

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, v: Any) -> Any:
            ctx.save_for_backward(v)
            return (v > 1).to(v.dtype)

        @staticmethod
        def backward(ctx: Any, slope: Any) -> Any:
            (v,) = ctx.saved_tensors
            return slope / (1 + 10 * (v - 1).abs()) ** 2

    synapses, tau_m = network.synapses(weights)[0], network.parameters(weights)[0]["tau_m"]
    w, recurrent, tau = (
        torch.tensor(np.array(value), requires_grad=True) for value in (synapses["w"], synapses["recurrent"], tau_m)
    )
    samples = torch.tensor(X)
    leak_e, leak_out = np.exp(-1 / 3), np.exp(-1 / 20)

    def run() -> float:
        for leaf in (w, recurrent, tau):
            leaf.grad = None
        keep = 1 - torch.exp(-1e-3 / tau)
        drive = samples @ w
        v = current = trace = torch.zeros(X.shape[0], w.shape[1])
        total = torch.zeros(X.shape[0])
        for k in range(X.shape[1]):
            v = v + (current - v) * keep
            s = Spike.apply(v)
            current = current * leak_e + drive[:, k] + s @ recurrent
            v = torch.where(s > 0, 0.0, v)
            trace = trace * leak_out + s
            total = total + trace.mean(1)
        value = ((total / X.shape[1] - 1.0) ** 2).mean()
        value.backward()
        return value.item()

    return run


if __name__ == "__main__":
    sys.exit(main(["run", __file__, *sys.argv[1:]]))
